"""Electric fields that act on cells from outside: uniform ones and point electrodes, with any course in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NetworkError
from .columns import Floats, Ints, frozen

KINDS = ("uniform", "point")


@dataclass(eq=False)
class ImposedField:
    """An extracellular potential that is imposed on some cells of a population.

    ``target`` (n,) int64 are rows of the population. A "uniform" field has the direction ``vector`` (of length 1), and
    no potential at ``origin`` (um); ``values`` are V/m. A "point" electrode is at ``origin`` in a medium of
    ``conductivity`` (S/m); ``values`` are uA that leave it. ``times`` (ms) do not decrease; between them the course is
    linear, before and after them constant; two values at one time are a jump. ``upright``: sections without 3-D points
    stand along y at the place of their cell, as NetPyNE draws them, and do not lie along x, as NEURON does.
    """

    id: str
    population: str
    target: Ints
    kind: str
    origin: tuple[float, float, float]
    times: Floats
    values: Floats
    vector: tuple[float, float, float] = (0.0, 0.0, 0.0)
    conductivity: float = 0.3
    upright: bool = False
    file: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind '{self.kind}' is none of {KINDS}")
        self.target = frozen(self.target, np.int64)
        self.times, self.values = frozen(self.times, np.float64), frozen(self.values, np.float64)
        if self.times.shape != self.values.shape or self.times.ndim != 1 or not len(self.times):
            raise self.error(f"{len(self.times)} times go with {len(self.values)} values; expected as many of each")
        if not (np.isfinite(self.times).all() and np.isfinite(self.values).all()):
            raise self.error("its course has numbers that are not finite")
        if (np.diff(self.times) < 0).any():
            raise self.error("the times of its course decrease")
        if self.kind == "point" and not self.conductivity > 0:
            raise self.error(f"the conductivity is {self.conductivity:g} S/m; it must be more than zero")
        if self.kind == "uniform" and abs(np.linalg.norm(self.vector) - 1) > 1e-9:
            raise self.error("its vector must have the length 1")

    def place(self) -> dict[str, Any]:
        """Where it stands, for an error."""
        return {"file": self.file, "line": self.line, "component": self.id}

    def error(self, message: str) -> NetworkError:
        """A NetworkError at its place."""
        return NetworkError(message, **self.place())

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return f"<ImposedField {self.id}: {self.kind}, on {len(self)} cells of {self.population}>"
