"""Output files that grow while a run goes on.

A file under its own name is whole. What an unfinished run has written so far is under that name with ``.part`` behind
it, always up to the end of a block: complete lines of text, or an HDF5 file that can be opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..report import Report
from .paths import place_of
from .sonata import Element, ReportFile, SpikeFile
from .symbols import NEURON


class Stream(Protocol):
    """Files that are written block by block."""

    def write(self, time: np.ndarray, columns: np.ndarray, gids: np.ndarray, times: np.ndarray) -> None:
        """The next samples, ``columns`` (k, n) SI at ``time`` (n,) s, and spikes by time (s). OSError as it happens."""

    def finish(self) -> tuple[Path, ...]:
        """All is written: give the files their names, and return these."""

    def abandon(self) -> tuple[Path, ...]:
        """The run has ended early: what there is stays; its paths, if anything was recorded."""

    def discard(self) -> None:
        """Take away what was written."""


def part(path: Path) -> Path:
    """The name of a file that is not complete."""
    return path.with_name(path.name + ".part")


def own_part(path: Path) -> Path:
    """The same; a link under that name is taken away, since it may have come with a stranger's model."""
    found = part(path)
    if found.is_symlink():
        found.unlink()
    return found


class SonataStream:
    """spikes.h5 and one report a variable, VARIABLE.h5, in a folder: see ``sonata``.

    ``quantities`` and ``units`` are those of the columns to come; a quantity that is no variable of a cell is left out
    with a note. ``frames`` samples will come, every ``step`` s from 0 on. With ``again`` the same blocks are written
    over what an unfinished run has left, which stays readable meanwhile. OSError if the disk has no room for them.
    """

    def __init__(
        self,
        folder: str | Path,
        populations: Mapping[str, tuple[int, int]],
        quantities: Sequence[str],
        units: Sequence[str],
        frames: int,
        step: float,
        report: Report,
        again: bool = False,
    ) -> None:
        root = Path(folder).resolve()
        variables: dict[str, list[tuple[Element, int]]] = {}
        for row, quantity in enumerate(quantities):
            place = place_of(quantity)
            if place is None:
                report.add("no-cell", "loss", f"'{quantity}' is left out of the SONATA reports: it is no variable of a "
                           "cell")  # fmt: skip
                continue
            element = Element(place.population, place.index, place.segment)
            variables.setdefault(place.variable, []).append((element, row))
        self.spikes = SpikeFile(own_part(root / "spikes.h5"), populations, again)
        self.files = [self.spikes.path]
        self.again = again
        self.reports: list[tuple[ReportFile, np.ndarray, float]] = []
        self.samples = 0
        try:
            for variable, members in variables.items():
                rows = np.array([row for _, row in members])
                unit, factor = NEURON.get(units[rows[0]], (units[rows[0]], 1.0))
                self.files.append(own_part(_free(root, variable, self.files)))
                elements = [element for element, _ in members]
                file = ReportFile(self.files[-1], elements, frames, (0.0, step), unit or "1", variable, again)
                self.reports.append((file, rows, factor))
        except BaseException:
            self.discard()
            raise

    def write(self, time: np.ndarray, columns: np.ndarray, gids: np.ndarray, times: np.ndarray) -> None:
        """Append the block."""
        if len(time):
            for report, rows, factor in self.reports:
                report.write(self.samples, columns[rows] * factor)
        self.spikes.add(gids, times)
        self.samples += len(time)

    def finish(self) -> tuple[Path, ...]:
        """Give the files their names."""
        self.spikes.close()
        named = [path.with_suffix("") for path in self.files]
        for path, name in zip(self.files, named, strict=True):
            os.replace(path, name)
        return tuple(named)

    def abandon(self) -> tuple[Path, ...]:
        """Leave the files as parts if there are samples in them, or take them away."""
        self.spikes.close()
        if self.samples or self.again:
            return tuple(self.files)
        self.discard()
        return ()

    def discard(self) -> None:
        """Take away what was written."""
        self.spikes.close()
        for path in self.files:
            path.unlink(missing_ok=True)


def _free(root: Path, variable: str, taken: Sequence[Path]) -> Path:
    """A file name for a variable that no other has."""
    safe = "".join(c if c.isalnum() or c in "_-." else "_" for c in variable).lstrip(".") or "variable"
    names = (safe, *(f"{safe}_{number}" for number in range(2, len(taken) + 3)))
    return next(path for path in (root / f"{name}.h5" for name in names) if part(path) not in taken)
