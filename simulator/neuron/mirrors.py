"""Events that arrive sooner than ranks can send them: the receiving rank watches a copy of the sender's variable.

NEURON tests thresholds when a step begins, after the ranks have exchanged what the last step found, so an event comes
to another rank one step late at the earliest. A variable, though, is copied between ranks within each step (the
ParallelContext's transfer, as for gap junctions). So for a connection whose delay is below the step, the rank of
the target has a mirror of the voltage that the source watches, and a NetCon of its own that watches the mirror. It sees
the same numbers at the same time as the source's own test does, and the delay stays what the model says.

What sends events otherwise than by a variable that passes a threshold (an artificial cell) has no such mirror.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program import Program
from .template import Cell

_VARIABLE = "time"  # of an APCount that never counts: a transfer can set it, a NetCon watch it; it has no current


@dataclass(frozen=True)
class _Watched:
    """Sources ``first`` to ``first + size`` (gids), one on each cell from ``cells`` on, and what they watch."""

    first: int
    size: int
    cells: int
    threshold: float
    place: Mapping[str, Any]

    def of(self, cell: Cell) -> Any:
        """The point process or section of a cell that is watched; None if it is in a piece on another rank."""
        return cell.points[self.place["point"]] if "variable" in self.place else cell.sections[self.place["section"]]

    def pointer(self, cell: Cell) -> tuple[Any, Any]:
        """What is watched on a cell, and its section."""
        if "variable" in self.place:
            point = self.of(cell)
            return getattr(point, f"_ref_{self.place['variable']}"), point.get_segment().sec
        section = self.of(cell)
        return section(self.place["x"])._ref_v, section


class Mirrors:
    """The mirrors of one rank. ``gids`` are the sources that some rank has a mirror of, in order: their places in it
    are the numbers of the transfers, on which all ranks must agree."""

    def __init__(self, h: Any, pc: Any, program: Program, gids: NDArray[np.int64]) -> None:
        self.h, self.pc, self.gids = h, pc, gids
        self.watched = _watched(program)
        self.firsts = np.array([each.first for each in self.watched], np.int64)
        self.members: dict[int, Any] = {}  # by the gid of the source
        self.home: Any = None  # the section that the mirrors are on

    def show(self, cells: Mapping[int, Cell]) -> None:
        """Offer those variables that are on cells of this rank."""
        for number, gid in enumerate(self.gids.tolist()):
            watched = self._of(gid)
            cell = cells.get(watched.cells + gid - watched.first)
            if cell is not None and watched.of(cell) is not None:
                pointer, section = watched.pointer(cell)
                self.pc.source_var(pointer, number, sec=section)

    def connect(self, gid: int, target: Any) -> Any:
        """A NetCon that watches the mirror of a source that is on another rank."""
        if self.home is None:
            self.home = self.h.Section(name="mirrors")
        mirror = self.members.get(gid)
        if mirror is None:
            mirror = self.members[gid] = self.h.APCount(self.home(0.5))
            mirror.thresh = 1e9
            number = int(np.searchsorted(self.gids, gid))
            self.pc.target_var(mirror, getattr(mirror, f"_ref_{_VARIABLE}"), number)
        netcon = self.h.NetCon(getattr(mirror, f"_ref_{_VARIABLE}"), target, sec=self.home)
        netcon.threshold = self._of(gid).threshold
        return netcon

    def copied(self) -> list[tuple[Any, str]]:
        """The mirrors and the variable of each that is copied from elsewhere, in the order of their making."""
        return [(mirror, _VARIABLE) for mirror in self.members.values()]

    def _of(self, gid: int) -> _Watched:
        return self.watched[int(np.searchsorted(self.firsts, gid, side="right")) - 1]


def possible(program: Program, gids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these sources watch a variable."""
    watched = _watched(program)
    if not watched:
        return np.zeros(len(gids), bool)
    firsts, sizes = np.array([[each.first, each.size] for each in watched]).T
    place = np.searchsorted(firsts, gids, side="right") - 1
    return np.asarray((place >= 0) & (gids < firsts[place] + sizes[place]))


def _watched(program: Program) -> list[_Watched]:
    """All sources that watch a variable, of cells and of further places on them, by their gids."""
    spec, found = program.spec, []
    for population in spec.get("populations", ()):
        source = None if "artificial" in population else spec["templates"][population["template"]].get("source")
        if source is not None and (source["kind"] == "voltage" or "variable" in source):
            first, size = population["first_gid"], population["size"]
            own = next((each["values"] for each in population.get("own", ()) if each["path"][-1] == "threshold"), None)
            if own is None:
                found.append(_Watched(first, size, first, source["threshold"], source))
                continue
            for gid, threshold in enumerate(program.column(own).tolist(), first):
                found.append(_Watched(gid, 1, gid, threshold, source))
    for each in spec.get("sources", ()):
        found.append(_Watched(each["first_gid"], each["size"], each["cells"], each["threshold"], each))
    return sorted(found, key=lambda each: each.first)
