"""Output files that grow while a run goes on.

A file under its own name is whole. What an unfinished run has written so far is under that name with ``.part`` behind
it, always up to the end of a block: complete lines of text, or an HDF5 file that can be opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from .lems import output_paths
from .outputs import EventOutputFile, OutputFile, Outputs
from .sonata import Element, ReportFile, SpikeFile
from .table import Table


class Stream(Protocol):
    """Files that are written block by block."""

    def write(self, time: np.ndarray, columns: np.ndarray, gids: np.ndarray, times: np.ndarray) -> None:
        """The next samples, ``columns`` (k, n) SI at ``time`` (n,) s, and spikes by time (s). OSError as it happens."""

    def finish(self) -> tuple[Path, ...]:
        """All is written: give the files their names, and return these."""

    def abandon(self) -> tuple[Path, ...]:
        """The run has ended early: what there is stays; its paths, if anything was recorded."""


def part(path: Path) -> Path:
    """The name of a file that is not complete."""
    return path.with_name(path.name + ".part")


class LemsStream:
    """The OutputFiles and EventOutputFiles of a Simulation, as ``write_lems`` writes them.

    ``quantities`` are the rows of the columns to come, ``gids`` the source of each event selection; ``digits`` rounds
    values to so many significant digits. Raises as ``output_paths`` does, KeyError for a quantity that is not recorded.
    """

    def __init__(
        self,
        outputs: Outputs,
        folder: str | Path,
        quantities: Sequence[str],
        gids: Mapping[str, int],
        digits: int | None = None,
    ) -> None:
        self.paths, self.digits = output_paths(outputs, folder), digits
        rows = {quantity: row for row, quantity in enumerate(quantities)}
        self.tables: list[tuple[_Text, list[int]]] = []
        self.events: list[tuple[_Text, EventOutputFile, list[tuple[str, int]]]] = []
        self.samples = 0
        for file in outputs.files:
            self.tables.append((_Text(self.paths[file.name]), [_row(rows, file, path) for _, path in file.columns]))
        for events in outputs.event_files:
            chosen = [(id, gids[path]) for id, path, _ in events.selections]
            self.events.append((_Text(self.paths[events.name]), events, chosen))

    def write(self, time: np.ndarray, columns: np.ndarray, gids: np.ndarray, times: np.ndarray) -> None:
        """Append the block to each file; a file whose disk is full keeps the whole blocks it has."""
        if len(time) and self.tables:
            table = Table(time if self.digits is None else rounded(time, self.digits))
            for text, chosen in self.tables:
                if self.digits is None:
                    text.append(table.rows(columns, chosen))
                else:
                    text.append(table.rows(rounded(columns[chosen], self.digits)))
        if len(times):
            for text, file, sources in self.events:
                text.append([_event_lines(file, sources, gids, times)])
        self.samples += len(time)

    def finish(self) -> tuple[Path, ...]:
        """Give the files their names."""
        for text in self._texts():
            os.replace(text.part, text.path)
        return tuple(self.paths.values())

    def abandon(self) -> tuple[Path, ...]:
        """Leave the files as parts if there are samples in them, or take them away."""
        if self.samples:
            return tuple(text.part for text in self._texts())
        for text in self._texts():
            text.part.unlink(missing_ok=True)
        return ()

    def _texts(self) -> list[_Text]:
        return [text for text, *_ in self.tables] + [text for text, *_ in self.events]


class SonataStream:
    """spikes.h5 and one report a variable in a folder: see ``sonata``.

    ``reports`` are (name of the file without .h5, unit, factor to that unit from SI, rows of the columns, what these
    rows are). ``frames`` samples will come, every ``step`` s from 0 on.
    """

    def __init__(
        self,
        folder: str | Path,
        populations: Mapping[str, tuple[int, int]],
        reports: Sequence[tuple[str, str, float, Sequence[int], Sequence[Element]]],
        frames: int,
        step: float,
    ) -> None:
        root = Path(folder).resolve()
        self.spikes = SpikeFile(part(root / "spikes.h5"), populations)
        self.files = [self.spikes.path]
        self.reports: list[tuple[ReportFile, np.ndarray, float]] = []
        self.samples = 0
        try:
            for name, unit, factor, rows, elements in reports:
                self.files.append(part(root / f"{name}.h5"))
                report = ReportFile(self.files[-1], elements, frames, (0.0, step), unit)
                self.reports.append((report, np.array(rows, int), factor))
        except BaseException:
            self.abandon()
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
        if self.samples:
            return tuple(self.files)
        for path in self.files:
            path.unlink(missing_ok=True)
        return ()


class _Text:
    """A text file that grows by whole blocks. It is opened for each, since there may be thousands."""

    def __init__(self, path: Path) -> None:
        self.path, self.part, self.size = path, part(path), 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.part.open("wb").close()

    def append(self, pieces: object) -> None:
        """Write all ``pieces`` (bytes), or nothing of them."""
        with self.part.open("r+b", buffering=0) as stream:
            stream.seek(self.size)
            try:
                for piece in pieces:  # type: ignore[attr-defined]
                    data = memoryview(piece)
                    while data:
                        data = data[stream.write(data) :]
            except BaseException:
                with suppress(OSError):
                    stream.truncate(self.size)
                raise
            self.size = stream.tell()


def _row(rows: Mapping[str, int], file: OutputFile, quantity: str) -> int:
    if quantity not in rows:
        raise KeyError(f"'{quantity}' of the output file '{file.name}' was not recorded")
    return rows[quantity]


def rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Values with so many significant decimal digits."""
    size = np.where((values == 0) | ~np.isfinite(values), 1.0, np.abs(values))
    unit = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    return np.asarray(np.where(np.isfinite(values), np.round(values * unit) / unit, values))


def _event_lines(
    file: EventOutputFile, sources: Sequence[tuple[str, int]], gids: np.ndarray, times: np.ndarray
) -> bytes:
    """The events of all selections, by time; a source that is selected twice is there under both ids."""
    order = np.argsort(gids, kind="stable")
    by_gid, by_time = gids[order], times[order]
    found: list[tuple[float, str]] = []
    for id, gid in sources:
        first, last = np.searchsorted(by_gid, [gid, gid + 1])
        found.extend((time, id) for time in by_time[first:last].tolist())
    found.sort(key=lambda event: event[0])
    if file.format == "ID_TIME":
        return "".join(f"{id}\t{time:.10g}\n" for time, id in found).encode()
    return "".join(f"{time:.10g}\t{id}\n" for time, id in found).encode()
