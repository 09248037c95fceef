"""Which rank owns which cell: the one place that decides it.

A cell with its synapses and inputs is on one rank, but for those that would limit the ranks, which are cut into pieces
(``splitting``). Cells are dealt out by what one step of them costs: the arithmetic of their compartments, mechanisms
and point processes, as it is read off the mechanisms' texts, and a little for each event that may arrive. The dearest
cells go first, each to the rank that has least (longest processing time first: Graham, SIAM J. Appl. Math. 17:416,
1969; no rank then has more than 4/3 of the best possible). Costs are rounded to steps of 2 %, so that the many equal
cells of a network are dealt out together, without a loop over them.

The process that starts the ranks computes the placement, from the Program alone (see ``shares``): a number of two bytes
for each cell.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...pile import blocks, release
from ..program import Program
from ..work import Work, contents, work, work_of
from .cut import Tree
from .places import Places

Gids = TypeVar("Gids", int, NDArray[np.int64])
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CELL, _SEGMENT, _INSTANCE, _CALL, _EVENT = 40.0, 60.0, 10.0, 10.0, 0.05
"""operations that a cell, a compartment, an instance of a mechanism, an exponential and a connection cost in a step"""
_GRAIN = 1.02


@dataclass(frozen=True)
class Cut:
    """A cell in pieces: the number of each section's piece, and its rank."""

    tree: Tree
    pieces: NDArray[np.int64]
    homes: NDArray[np.int64]


class Placement:
    """The rank of each cell of a Program among ``ranks``; ``homes``, an array of them by gid, if it is known.

    ``cuts`` are the cells in pieces, by gid; their rank in ``homes`` is that of the section that sends their spikes.
    ``loads`` are the operations of a step of each rank, ``share`` the part that the dearest whole cell has in those of
    all, and ``hindrance`` why such a cell was not cut, where the placement was decided here (see ``splitting.place``).
    """

    def __init__(
        self, program: Program, ranks: int, homes: NDArray[np.uint16] | None = None,
        cuts: Mapping[int, Cut] | None = None,
    ) -> None:  # fmt: skip
        self.ranks, self.homes, self.share = ranks, homes, 0.0
        self.cuts: Mapping[int, Cut] = dict(sorted((cuts or {}).items()))
        self.loads: Floats = np.zeros(ranks)
        self.hindrance: str | None = None
        if ranks > 1 and homes is None:
            costs = step_costs(program)
            self.homes = deal(costs, ranks)
            self.weigh(costs, sums(self.homes, costs, ranks))

    def weigh(self, costs: Floats, loads: Floats) -> None:
        """Know what cells and ranks cost in a step."""
        self.loads, self.share = loads, 0.0
        if loads.sum() > 0:
            self.share = float(np.delete(costs, list(self.cuts)).max(initial=0.0) / loads.sum())

    def of(self, gids: Gids) -> Gids:
        """The rank of a cell, or of each of an array of cells."""
        if self.homes is None:
            return gids * 0
        found = self.homes[gids]
        return int(found) if isinstance(gids, int) else found.astype(np.int64)

    def at(self, gids: NDArray[np.int64], sections: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rank of each of an array of sections of cells."""
        found = np.array(self.of(gids))
        for gid, cut in self.cuts.items():
            here = gids == gid
            # a section that is not there is for the builder to tell of
            found[here] = cut.homes[np.clip(sections[here], 0, len(cut.homes) - 1)]
        return found

    def local(self, first: int, size: int, rank: int) -> list[int]:
        """The gids from ``first`` on, ``size`` of them, that belong to ``rank``, or have a piece there."""
        if self.homes is None:
            return list(range(first, first + size))
        mine = self.homes[first : first + size] == rank
        for gid, cut in self.cuts.items():
            if first <= gid < first + size:
                mine[gid - first] = bool(np.any(cut.homes == rank))
        return (np.flatnonzero(mine) + first).tolist()


def sums(numbers: NDArray[Any], costs: Floats, size: int = 0) -> Floats:
    """The sum of the costs of each number."""
    return np.bincount(numbers, costs, size).astype(float)


def step_costs(program: Program) -> Floats:
    """What one step of each cell with all that is on it costs, in operations: an array by gid."""
    spec, texts = program.spec, work(program.mods)
    templates = [contents(each) for each in spec.get("templates", ())]
    populations = spec.get("populations", ())
    found = np.zeros(max((each["first_gid"] + each["size"] for each in populations), default=0))
    for population in populations:
        mine = slice(population["first_gid"], population["first_gid"] + population["size"])
        if "artificial" in population:
            found[mine] = _instance(population["artificial"], texts, "artificial")
            continue
        segments, mechanisms = templates[population["template"]]
        found[mine] = _CELL + _SEGMENT * segments
        found[mine] += sum(number * _instance(name, texts, "density") for name, number in mechanisms.items())
    for gids, _, cost in _attached(program, texts, False):
        found += cost * np.bincount(gids, minlength=len(found))
    return found


def section_costs(program: Program, gid: int) -> Floats:
    """The same for each section of one cell, which has a template."""
    texts = work(program.mods)
    template = template_of(program, gid)
    sizes = np.array([int(section.get("nseg", 1)) for section in template["sections"]], float)
    found = _SEGMENT * sizes
    found[0] += _CELL
    for insert in template.get("inserts", ()):
        members = np.asarray(insert["sections"], int)
        found[members] += sizes[members] * _instance(insert["mechanism"], texts, "density")
    for point in template.get("points", ()):
        found[point["section"]] += _instance(point["mechanism"], texts, "density")
    for gids, sections, cost in _attached(program, texts, True):
        found += cost * np.bincount(sections[gids == gid], minlength=len(found))[: len(found)]
    return found


def named(program: Program, gid: int) -> str:
    """A cell as population[row]."""
    home = next(p for p in program.spec["populations"] if p["first_gid"] <= gid < p["first_gid"] + p["size"])
    return f"{home['id']}[{gid - home['first_gid']}]"


def template_of(program: Program, gid: int) -> Mapping[str, Any]:
    """The template of a cell; KeyError if it has none."""
    for population in program.spec["populations"]:
        if population["first_gid"] <= gid < population["first_gid"] + population["size"]:
            template: Mapping[str, Any] = program.spec["templates"][population["template"]]
            return template
    raise KeyError(gid)


def _attached(program: Program, texts: dict[str, Work], exact: bool) -> Iterator[tuple[Ints, Ints, float]]:
    """Cells and sections of all that is on cells, block by block, and what one costs; sections if ``exact``."""
    spec, places, none = program.spec, Places(program), np.zeros(0, np.int64)
    for kind in ("points", "generators"):
        for group in spec.get(kind, ()):
            each = _instance(group["mechanism"], texts, kind.rstrip("s"))
            column = program.column(group["gid"])
            for rows in blocks(len(column)):
                if exact:
                    yield (*places.of(group, np.arange(rows.start, rows.stop)), each)
                else:
                    yield column[rows].astype(np.int64), none, each
                release(column)
    for connections in spec.get("netcons", ()):
        for index in in_blocks(program.column(connections["index"])):
            yield (*places.target(connections, index, exact), _EVENT)


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


def in_blocks(column: NDArray[np.generic]) -> Iterator[NDArray[np.int64]]:
    """Whole numbers of a table, block by block."""
    for block in blocks(len(column)):
        yield column[block].astype(np.int64)
        release(column)
