"""Which rank owns which cell: the one place that decides it.

A cell with its synapses and inputs is on one rank. Cells are dealt out by what one step of them costs: the arithmetic
of their compartments, mechanisms and point processes, as it is read off the mechanisms' texts, and a little for each
event that may arrive. The dearest cells go first, each to the rank that has least (longest processing time first:
Graham, SIAM J. Appl. Math. 17:416, 1969; no rank then has more than 4/3 of the best possible). Costs are rounded to
steps of 2 %, so that the many equal cells of a network are dealt out together, without a loop over them.

The process that starts the ranks computes the placement, from the Program alone (see ``shares``): a number of two bytes
for each cell.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..program import Program
from ..work import Work, contents, work, work_of

Gids = TypeVar("Gids", int, NDArray[np.int64])
Floats = NDArray[np.float64]

_CELL, _SEGMENT, _INSTANCE, _CALL, _EVENT = 40.0, 60.0, 10.0, 10.0, 0.05
"""operations that a cell, a compartment, an instance of a mechanism, an exponential and a connection cost in a step"""
_GRAIN = 1.02
_BLOCK = 1 << 20  # rows of a table that are looked at together


class Placement:
    """The rank of each cell of a Program among ``ranks``; ``homes``, an array of them by gid, if it is known."""

    def __init__(self, program: Program, ranks: int, homes: NDArray[np.uint16] | None = None) -> None:
        self.ranks, self.homes, self.share = ranks, homes, 0.0
        """share: of the dearest cell in the work of all, where the placement was decided here"""
        if ranks > 1 and homes is None:
            costs = step_costs(program)
            self.share = float(costs.max() / costs.sum()) if costs.sum() > 0 else 0.0
            self.homes = deal(costs, ranks)

    def of(self, gids: Gids) -> Gids:
        """The rank of a cell, or of each of an array of cells."""
        if self.homes is None:
            return gids * 0
        found = self.homes[gids]
        return int(found) if isinstance(gids, int) else found.astype(np.int64)

    def local(self, first: int, size: int, rank: int) -> list[int]:
        """The gids from ``first`` on, ``size`` of them, that belong to ``rank``."""
        if self.homes is None:
            return list(range(first, first + size))
        return (np.flatnonzero(self.homes[first : first + size] == rank) + first).tolist()


def step_costs(program: Program) -> Floats:
    """What one step of each cell with all that is on it costs, in operations: an array by gid."""
    spec, texts = program.spec, work(program.mods)
    templates = [contents(each) for each in spec.get("templates", ())]
    populations = {each["id"]: each for each in spec.get("populations", ())}
    found = np.zeros(max((each["first_gid"] + each["size"] for each in populations.values()), default=0))
    for population in populations.values():
        mine = slice(population["first_gid"], population["first_gid"] + population["size"])
        if "artificial" in population:
            found[mine] = _instance(population["artificial"], texts, "artificial")
            continue
        segments, mechanisms = templates[population["template"]]
        found[mine] = _CELL + _SEGMENT * segments
        found[mine] += sum(number * _instance(name, texts, "density") for name, number in mechanisms.items())
    for kind in ("points", "generators"):
        for group in spec.get(kind, ()):
            each = _instance(group["mechanism"], texts, kind.rstrip("s"))
            for gids in _blocks(program.column(group["gid"])):
                found += each * np.bincount(gids, minlength=len(found))
    groups = {each["id"]: program.column(each["gid"]) for each in spec.get("points", ())}
    for connections in spec.get("netcons", ()):
        target = connections["points"]
        for rows in _blocks(program.column(connections["index"])):
            gids = groups[target][rows] if target in groups else rows + populations[target]["first_gid"]
            found += _EVENT * np.bincount(gids.astype(np.int64, copy=False), minlength=len(found))
    return found


def deal(costs: Floats, ranks: int) -> NDArray[np.uint16]:
    """The rank of each thing, so that the sums of the costs come out even."""
    homes = np.zeros(len(costs), np.uint16)
    grades = np.round(np.log(np.maximum(costs, 1e-3)) / np.log(_GRAIN)).astype(np.int64)
    order = np.argsort(-grades, kind="stable")
    ends = np.flatnonzero(np.diff(grades[order], append=np.iinfo(np.int64).min)) + 1
    loads = np.zeros(ranks)
    start = 0
    for end in ends.tolist():
        same = order[start:end]
        homes[same] = _turns(loads, float(costs[same].mean()), len(same))
        loads += np.bincount(homes[same], costs[same], ranks)
        start = end
    return homes


def _turns(loads: Floats, cost: float, number: int) -> NDArray[np.int64]:
    """The ranks that take ``number`` things of equal cost one after the other, each the one that then has least."""
    ranks = len(loads)
    least = np.sort(loads)
    # what all could be filled up to; ranks that have more take none
    levels = (np.cumsum(least) + number * cost) / np.arange(1, ranks + 1)
    level = levels[max(int(np.sum(levels > least)) - 1, 0)]
    counts = np.maximum(np.floor((level - loads) / cost), 0).astype(np.int64)
    heap = [(float(load + count * cost), rank) for rank, (load, count) in enumerate(zip(loads, counts, strict=True))]
    heapq.heapify(heap)
    for _ in range(number - int(counts.sum())):  # at most one for each rank, for the rounding down
        load, rank = heap[0]
        counts[rank] += 1
        heapq.heapreplace(heap, (load + cost, rank))
    ids = np.repeat(np.arange(ranks), counts)
    turns = np.concatenate([(np.arange(count) + 0.5) / count for count in counts.tolist() if count])
    return ids[np.lexsort((ids, turns))][:number]  # neighbours go to different ranks


def _instance(mechanism: str, texts: dict[str, Work], kind: str) -> float:
    found = work_of(mechanism, texts, kind)
    return _INSTANCE + found.operations + _CALL * found.calls


def _blocks(column: NDArray[np.generic]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(column), _BLOCK):
        yield column[start : start + _BLOCK].astype(np.int64)
