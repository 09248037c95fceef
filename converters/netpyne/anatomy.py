"""Where the parts of one cell are, as NEURON has them: 3-D points in single precision, distances along the tree."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from .instance import Cell
from .sections import POINT_DEFAULTS

if TYPE_CHECKING:
    from .rules import Model

Point = tuple[float, float, float]
FAR = frozenset({"dist_path", "dist_euclidean"})
"""what functions may say of a place on a cell: distances from the origin"""


class Anatomy:
    """The sections of a cell in space, at the place where NetPyNE puts its points."""

    def __init__(self, model: Model, cell: Cell) -> None:
        assert cell.secs is not None
        self.cell, self.secs = cell, cell.secs
        config = model.config
        self.place = np.zeros(3)
        if config.get("pt3dRelativeToCellLocation", True):
            up = -1.0 if config.get("invertedYCoord", True) else 1.0
            tags = cell.tags
            self.place = np.array([tags.get("x", 0.0), up * tags.get("y", 0.0), tags.get("z", 0.0)], dtype=float)
        self.points: dict[str, tuple[npt.NDArray[np.float32], list[float]] | None] = {}

    @property
    def origin(self) -> str:
        """The section that distances are measured from: the soma, or the first."""
        if "soma" in self.secs:
            return "soma"
        return next((name for name in self.secs if name.startswith("soma")), next(iter(self.secs)))

    def nseg(self, section: str) -> int:
        """The number of its segments."""
        return int((self.secs[section].get("geom") or {}).get("nseg", 1))

    def centres(self, section: str) -> list[float]:
        """The x of each segment's centre."""
        count = self.nseg(section)
        return [(number + 0.5) / count for number in range(count)]

    def traced(self, section: str) -> tuple[npt.NDArray[np.float32], list[float]] | None:
        """Its 3-D points and the length up to each; None if it has none."""
        if section not in self.points:
            given = (self.secs[section].get("geom") or {}).get("pt3d")
            found = None
            if given:
                points = (np.asarray(given, dtype=float)[:, :3] + self.place).astype(np.float32)
                arcs = [0.0]
                for step in np.diff(points, axis=0).astype(float).tolist():
                    arcs.append(arcs[-1] + math.sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]))
                found = points, arcs
            self.points[section] = found
        return self.points[section]

    def length(self, section: str) -> float:
        """Its length (um)."""
        traced = self.traced(section)
        if traced is not None and len(traced[1]) > 1:
            return traced[1][-1]
        return float((self.secs[section].get("geom") or {}).get("L", POINT_DEFAULTS["L"]))

    def point(self, section: str, x: float) -> Point:
        """The place (um) at ``x`` of a section. Raises UnsupportedError if it has no 3-D points."""
        traced = self.traced(section)
        if traced is None or len(traced[1]) < 2:
            raise UnsupportedError(f"cell {self.cell.gid}: section '{section}' has no pt3d, which places along it need")
        points, arcs = traced
        at = x * arcs[-1]
        after = next((n for n, arc in enumerate(arcs) if arc >= at), len(arcs) - 1)
        two = points[after].astype(float).tolist()
        if arcs[after] == at or after == 0:
            return two[0], two[1], two[2]
        one = points[after - 1].astype(float).tolist()
        t = (at - arcs[after - 1]) / (arcs[after] - arcs[after - 1])
        found = [a + t * (b - a) for a, b in zip(one, two, strict=True)]
        return found[0], found[1], found[2]

    def distance(self, section: str, x: float) -> float:
        """The straight distance (um) from the middle of the origin."""
        a, b = self.point(self.origin, 0.5), self.point(section, x)
        return math.sqrt((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2 + (b[2] - a[2]) ** 2)

    def distances(self, section: str, x: float, names: Collection[str]) -> dict[str, float]:
        """The distances (um) of a place that are asked for, among FAR."""
        found = {}
        if "dist_path" in names:
            found["dist_path"] = self.path((self.origin, 0.5), (section, x))
        if "dist_euclidean" in names:
            found["dist_euclidean"] = self.distance(section, x)
        return found

    def path(self, start: tuple[str, float], end: tuple[str, float]) -> float:
        """The distance (um) along the tree between two places; NEURON measures between the middles of segments."""
        chains = [self._chain(*start), self._chain(*end)]
        known = {section: n for n, (section, _) in enumerate(chains[0])}
        for n, (section, x) in enumerate(chains[1]):
            if section in known:
                m = known[section]
                above = abs(x - chains[0][m][1]) * self.length(section)
                return sum(self._up(chains[0], m)) + above + sum(self._up(chains[1], n))
        return math.inf

    def _chain(self, section: str, x: float) -> list[tuple[str, float]]:
        """The place, and where the way to the root passes each section above."""
        found = [(section, self.node(section, x))]
        while True:
            topology: Mapping[str, Any] = self.secs[section].get("topol") or {}
            if not topology.get("parentSec"):
                return found
            section = topology["parentSec"]
            found.append((section, self.node(section, float(topology.get("parentX", 1.0)))))

    def node(self, section: str, x: float) -> float:
        """The x of the point of a section that stands for ``x``: an end, or the middle of a segment."""
        if x in (0.0, 1.0):
            return x
        count = self.nseg(section)
        return (min(int(x * count), count - 1) + 0.5) / count

    def _up(self, chain: list[tuple[str, float]], last: int) -> list[float]:
        """The lengths from each place of a chain before ``last`` to the start of its section."""
        found = []
        for section, x in chain[:last]:
            start = float((self.secs[section].get("topol") or {}).get("childX", 0.0))
            found.append(abs(x - start) * self.length(section))
        return found


class Turns:
    """rotateCellsRandomly: each cell turned about the vertical axis.

    NetPyNE turns the points of the rule itself, so that a cell is turned on from where the cell before it was; with
    random numbers of its own each is turned by itself.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.asked = model, model.params.get("rotateCellsRandomly")
        self.last: dict[tuple[str, str], Any] = {}

    def turned(self, label: str, section: str, gid: int, points: Any) -> Any:
        """The points of a section of a rule for one cell."""
        ends = self.asked if isinstance(self.asked, list) and len(self.asked) == 2 else None
        if not self.asked or (self.asked is not True and not self.model.own):
            return points  # NetPyNE does not turn by a range
        angle = self.model.stream("turn", gid).uniform(*((0, 6.2832) if ends is None or not self.model.own else ends))
        c, s = math.cos(angle), math.sin(angle)
        if not self.model.own:
            points = self.last.get((label, section), points)
        found = [[p[0] * c - p[2] * s + 0.0, p[1], p[0] * s + p[2] * c + 0.0, p[3]] for p in points]  # no -0.0
        self.last[label, section] = found
        return found
