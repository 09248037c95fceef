"""What each rank needs of a Program's tables: its own rows, found once for all ranks.

The process that starts the ranks decides where each cell is, sorts the rows of every table by rank, and leaves both in
a file. A rank maps that file and the tables into its memory, and touches only the rows of its own cells: what it keeps
for a network of any size is its share, and two bytes a cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pile import blank, blocks, made, release
from ..program import Program, map_tables, write_tables
from .cut import Tree
from .mirrors import possible
from .places import Places
from .ranks import Cut, Placement, template_of
from .tables import distinct

Ints = NDArray[np.int64]
_BLOCK = 1 << 16  # rows that are looked at together
_FILE = "shares.npz"


class Shares:
    """Where cells are, and which rows of which group belong to which rank. ``mirrored`` are the gids of sources that
    some rank has a mirror of (see ``mirrors``), in order."""

    def __init__(self, placement: Placement, tables: Mapping[str, NDArray[Any]]) -> None:
        self.placement, self.tables = placement, tables
        self.mirrored: NDArray[np.int64] = tables.get("mirrored", np.zeros(0, np.int64))

    def rows(self, kind: str, number: int, size: int, rank: int) -> Iterator[Ints]:
        """The rows of a rank, block by block, of group ``number`` of a kind, which has ``size`` rows."""
        order, start, end = None, 0, size
        if self.placement.ranks > 1:
            order = self.tables[f"{kind}{number}.rows"]
            start, end = self.tables[f"{kind}{number}.bounds"][rank : rank + 2].tolist()
        for first in range(start, end, _BLOCK):
            last = min(first + _BLOCK, end)
            yield np.arange(first, last) if order is None else order[first:last].astype(np.int64)

    def save(self, folder: Path) -> None:
        """For ``load``; nothing if there is one rank."""
        if self.placement.homes is not None:
            write_tables(folder / _FILE, {**self.tables, "homes": self.placement.homes, **self._cuts()})

    def _cuts(self) -> dict[str, NDArray[Any]]:
        """The cells in pieces as tables: for each of their sections the cell, the piece and the rank."""
        cuts = self.placement.cuts
        if not cuts:
            return {}
        sizes = [len(cut.pieces) for cut in cuts.values()]
        columns = (np.repeat(list(cuts), sizes), *(
            np.concatenate([getattr(cut, name) for cut in cuts.values()]) for name in ("pieces", "homes")))  # fmt: skip
        return dict(zip(("cut.gids", "cut.pieces", "cut.homes"), columns, strict=True))

    def digest(self) -> str:
        """Stands for how cells are cut, which a checkpoint depends on; "" if none is."""
        columns = self._cuts().values()
        if not columns:
            return ""
        return hashlib.sha256(b"".join(column.astype("<i8").tobytes() for column in columns)).hexdigest()

    @classmethod
    def load(cls, folder: Path, program: Program, ranks: int) -> Shares:
        """What the process that started the ranks left; found here if there is nothing."""
        if ranks == 1 or not (folder / _FILE).exists():
            return divide(program, ranks)
        tables, _ = map_tables(folder / _FILE)
        cuts = {}
        if "cut.gids" in tables:
            gids, pieces, homes = (np.asarray(tables.pop(f"cut.{name}")) for name in ("gids", "pieces", "homes"))
            for gid in np.unique(gids).tolist():
                tree, mine = Tree.of(template_of(program, gid)["sections"]), gids == gid
                cuts[gid] = Cut(tree, pieces[mine], homes[mine])
        return cls(Placement(program, ranks, tables.pop("homes"), cuts), tables)


def divide(program: Program, ranks: int, placement: Placement | None = None) -> Shares:
    """Place the cells of a Program, each as a whole (or take where they are), and sort its rows by rank."""
    placement = placement or Placement(program, ranks)
    homes = placement.homes
    if homes is None:
        return Shares(placement, {})
    spec, column = program.spec, program.column
    tables: dict[str, NDArray[Any]] = {}

    def put(name: str, home: NDArray[np.uint16]) -> None:
        tables[f"{name}.rows"], tables[f"{name}.bounds"] = by_rank(home, ranks)

    for kind in ("points", "generators"):
        for number, group in enumerate(spec.get(kind, ())):
            put(f"{kind}{number}", row_homes(program, group, placement))
    mirrored: list[Ints] = []
    run = spec["run"]
    for number, group in enumerate(spec.get("netcons", ())):
        home = target_homes(program, group, placement)
        put(f"netcons{number}", home)
        if not (run.get("coreneuron") or run.get("cvode")):
            for soon in _below(column(group["delay"]), float(run["dt"]) - 1e-9):
                soon = soon[source_homes(program, group, placement, soon) != home[soon]]
                mirrored.append(np.unique(column(group["source_gid"])[soon]).astype(np.int64))
    if mirrored:
        gids = np.unique(np.concatenate(mirrored))
        tables["mirrored"] = gids[possible(program, gids)]
    for number, group in enumerate(spec.get("transfers", ())):
        put(f"targets{number}", target_homes(program, group, placement))
        variable = group["source_variable"]
        if isinstance(variable, str):
            at = {"gid": group["source_gid"], "section": group["source_section"]}
            put(f"sources{number}", row_homes(program, at, placement))
        else:
            put(f"sources{number}", target_homes(program, variable, placement))
        tables[f"transfers{number}.number"], count = numbers(program, group)
        tables[f"transfers{number}.count"] = np.array([count])
    return Shares(placement, tables)


def hasty(program: Program, placement: Placement, least: float) -> int:
    """How many connections between ranks have a delay below ``least`` (ms)."""
    found = 0
    for group in program.spec.get("netcons", ()) if placement.homes is not None else ():
        homes = target_homes(program, group, placement)
        for soon in _below(program.column(group["delay"]), least):
            found += int(np.sum(source_homes(program, group, placement, soon) != homes[soon]))
    return found


def _below(column: NDArray[Any], least: float) -> Iterator[Ints]:
    """The rows of a column with numbers below ``least``, block by block."""
    for block in blocks(len(column)):
        yield np.flatnonzero(column[block] < least) + block.start
        release(column)


def by_rank(home: NDArray[np.uint16], ranks: int) -> tuple[NDArray[Any], Ints]:
    """The rows of rank after rank, each in order, and where each rank's begin; ``home`` is the rank of each row."""
    ends = np.zeros(ranks + 1, np.int64)
    for block in blocks(len(home)):
        ends[1:] += np.bincount(home[block], minlength=ranks)
    bounds = np.cumsum(ends)
    next_ = bounds[:-1].copy()
    rows = blank(len(home), np.uint32 if len(home) < 2**32 else np.int64)
    for block in blocks(len(home)):
        part = home[block]
        order = np.argsort(part, kind="stable")
        counts = np.bincount(part, minlength=ranks)
        begins = np.cumsum(counts) - counts
        place = np.arange(len(part)) + np.repeat(next_ - begins, counts)
        rows[place] = order + block.start
        next_ += counts
        release(home, rows)
    return rows, bounds


def numbers(program: Program, group: Mapping[str, Any]) -> tuple[Ints, int]:
    """The number of each row's source among the group's distinct ones, and how many these are."""
    variable, column = group["source_variable"], program.column
    if not isinstance(variable, str):
        found, number = np.unique(column(variable["index"]), return_inverse=True)
        return number.reshape(-1), len(found)
    first, number, _ = distinct(*(column(group[f"source_{name}"]) for name in ("gid", "section", "x")))
    return number, len(first)


def target_homes(program: Program, group: Mapping[str, Any], placement: Placement) -> NDArray[np.uint16]:
    """The rank of what each row of ``index`` stands for: a row of a group of points, or a cell of a population."""
    places, index = Places(program), program.column(group["index"])
    if group["points"] not in places.points and group["points"] not in places.populations:
        return np.zeros(len(index), np.uint16)  # the builder says that there is no such group
    exact = bool(placement.cuts)
    return made(len(index), np.uint16, lambda rows: _ranks(placement, *places.target(group, index[rows], exact)), index)


def source_homes(
    program: Program, group: Mapping[str, Any], placement: Placement, rows: Ints
) -> NDArray[np.uint16]:  # fmt: skip
    """The rank that the events of some rows of a group of connections come from."""
    if not placement.cuts:
        cells = program.column(group.get("source_cell", group["source_gid"]))[rows].astype(np.int64)
        return _ranks(placement, cells, cells[:0])
    return _ranks(placement, *Places(program).source(program.column(group["source_gid"])[rows].astype(np.int64)))


def row_homes(program: Program, group: Mapping[str, Any], placement: Placement) -> NDArray[np.uint16]:
    """The rank of each row of a group of points or generators."""
    gids, places = program.column(group["gid"]), Places(program)

    def homes(rows: slice) -> NDArray[np.uint16]:
        if placement.cuts:
            return _ranks(placement, *places.of(group, np.arange(rows.start, rows.stop)))
        here = gids[rows].astype(np.int64)
        return _ranks(placement, here, here[:0])

    return made(len(gids), np.uint16, homes, gids)


def _ranks(placement: Placement, gids: Ints, sections: Ints) -> NDArray[np.uint16]:
    found = placement.at(gids, sections) if placement.cuts else placement.of(gids)
    return found.astype(np.uint16)
