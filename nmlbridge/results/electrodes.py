"""Extracellular electrodes and dipole moments: what is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError, NmlBridgeError, UsageError

SOURCES = {"line": "linesource", "point": "pointsource", "soma_point": "root_as_point"}
SHAPES = ("given", "joined", "shared")
_CELL = re.compile(r"[^\[\]/]+(\[\d+\])?")


@dataclass(frozen=True, eq=False)
class Electrodes:
    """Contacts at ``positions`` (n, 3), um, in a medium of ``conductivity`` (S/m); n may be 0 for a dipole alone.

    ``source``: segments are "line", "point", or "soma_point" (the first segment of each cell a sphere, others lines).
    With a ``radius`` (um) contacts are discs with ``normals`` (n, 3; default z), and the potential is the mean over
    ``samples`` points of the disc. ``dipole`` adds the current dipole moment. ``populations``: for each one on its own
    too, not only in total; ``cells``: for these, "pop" (each of its cells) or "pop[3]".

    ``shapes`` says where sections are: "given", where their 3-D points say; "joined", moved to where they are attached
    (NEURON's ``define_shape``); "shared", as NetPyNE has it: joined, sections without points along y, and all cells of
    a population with the outline of its first one, moved from soma to soma. Raises UsageError for what cannot be.
    """

    positions: npt.NDArray[np.float64]
    conductivity: float = 0.3
    source: str = "line"
    radius: float | None = None
    normals: npt.NDArray[np.float64] | None = None
    samples: int = 50
    dipole: bool = False
    populations: bool = False
    cells: tuple[str, ...] = ()
    shapes: str = "given"

    def __post_init__(self) -> None:
        try:
            positions = np.asarray(self.positions, float).reshape(-1, 3)
            normals = None if self.normals is None else np.asarray(self.normals, float).reshape(len(positions), 3)
        except (ValueError, TypeError):
            raise UsageError("positions and normals of electrodes need three numbers each: x, y, z in um") from None
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "normals", normals)
        if not np.isfinite(positions).all():
            raise UsageError("the position of an electrode is not finite")
        if not (isinstance(self.conductivity, (int, float)) and 0 < self.conductivity < np.inf):
            raise UsageError(f"the conductivity is {self.conductivity} S/m; it must be a number of more than 0")
        if self.source not in SOURCES:
            raise UsageError(f"there is no source '{self.source}'; there are {', '.join(SOURCES)}")
        if self.shapes not in SHAPES:
            raise UsageError(f"there are no shapes '{self.shapes}'; there are {', '.join(SHAPES)}")
        cells = (self.cells,) if isinstance(self.cells, str) else tuple(map(str, self.cells))
        object.__setattr__(self, "cells", cells)
        for cell in cells:
            if not _CELL.fullmatch(cell):
                raise UsageError(f"'{cell}' names no cell; expected a population, or a cell of it such as pop[3]")
        if self.radius is not None and not (self.radius > 0 and self.samples > 1):
            raise UsageError("a disc needs a radius of more than 0 and at least 2 samples")
        if not len(positions) and not self.dipole:
            raise UsageError("there are no electrodes, and no dipole is asked for")

    @classmethod
    def read(cls, path: str | Path) -> Electrodes:
        """From a YAML or JSON file with the fields as keys. Raises UsageError that names the file."""
        from ..plain import read_source

        try:
            found = read_source(path).data
        except DocumentError as error:
            raise UsageError(f"no file of electrodes can be read there: {error}") from None
        known = cls.__dataclass_fields__
        if not isinstance(found, Mapping) or not set(found) <= set(known):
            strange = min(map(str, set(found) - set(known))) if isinstance(found, Mapping) else type(found).__name__
            raise UsageError(f"{path}: '{strange}' does not belong there; expected {', '.join(known)}")
        try:
            return cls(**{"positions": np.empty((0, 3)), **found})
        except (NmlBridgeError, TypeError) as error:
            raise UsageError(f"{path}: {error}") from None
