"""What each rank needs of a Program's tables: its own rows, found once for all ranks.

The process that starts the ranks decides where each cell is, sorts the rows of every table by rank, and leaves both in
a file. A rank maps that file and the tables into its memory, and touches only the rows of its own cells: what it keeps
for a network of any size is its share, and two bytes a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program import Program, map_tables, write_tables
from .mirrors import possible
from .ranks import Placement
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
            write_tables(folder / _FILE, {**self.tables, "homes": self.placement.homes})

    @classmethod
    def load(cls, folder: Path, program: Program, ranks: int) -> Shares:
        """What the process that started the ranks left; found here if there is nothing."""
        if ranks == 1 or not (folder / _FILE).exists():
            return divide(program, ranks)
        tables, _ = map_tables(folder / _FILE)
        return cls(Placement(program, ranks, tables.pop("homes")), tables)


def divide(program: Program, ranks: int, where: NDArray[np.uint16] | None = None) -> Shares:
    """Place the cells of a Program (or take where they are) and sort its rows by rank."""
    placement = Placement(program, ranks, where)
    homes = placement.homes
    if homes is None:
        return Shares(placement, {})
    spec, column = program.spec, program.column
    tables: dict[str, NDArray[Any]] = {}

    def put(name: str, home: NDArray[np.uint16]) -> None:
        order = np.argsort(home, kind="stable")
        tables[f"{name}.rows"] = order.astype(np.uint32 if len(order) < 2**32 else np.int64)
        tables[f"{name}.bounds"] = np.concatenate([[0], np.cumsum(np.bincount(home, minlength=ranks))])

    for kind in ("points", "generators"):
        for number, group in enumerate(spec.get(kind, ())):
            put(f"{kind}{number}", homes[column(group["gid"])])
    mirrored: list[Ints] = []
    run = spec["run"]
    for number, group in enumerate(spec.get("netcons", ())):
        home = target_homes(program, group, homes)
        put(f"netcons{number}", home)
        if not (run.get("coreneuron") or run.get("cvode")):
            soon = np.flatnonzero(column(group["delay"]) < float(run["dt"]) - 1e-9)
            soon = soon[homes[column(group.get("source_cell", group["source_gid"]))[soon]] != home[soon]]
            mirrored.append(np.unique(column(group["source_gid"])[soon]).astype(np.int64))
    if mirrored:
        gids = np.unique(np.concatenate(mirrored))
        tables["mirrored"] = gids[possible(spec, gids)]
    for number, group in enumerate(spec.get("transfers", ())):
        put(f"targets{number}", target_homes(program, group, homes))
        variable = group["source_variable"]
        told = isinstance(variable, str)
        put(f"sources{number}", homes[column(group["source_gid"])] if told else target_homes(program, variable, homes))
        tables[f"transfers{number}.number"], count = numbers(program, group)
        tables[f"transfers{number}.count"] = np.array([count])
    return Shares(placement, tables)


def hasty(program: Program, shares: Shares, least: float) -> int:
    """How many connections between ranks have a delay below ``least`` (ms)."""
    homes, found = shares.placement.homes, 0
    for group in program.spec.get("netcons", ()) if homes is not None else ():
        assert homes is not None
        soon = np.flatnonzero(program.column(group["delay"]) < least)
        sources = program.column(group.get("source_cell", group["source_gid"]))[soon]
        found += int(np.sum(homes[sources] != target_homes(program, group, homes)[soon]))
    return found


def numbers(program: Program, group: Mapping[str, Any]) -> tuple[Ints, int]:
    """The number of each row's source among the group's distinct ones, and how many these are."""
    variable, column = group["source_variable"], program.column
    if not isinstance(variable, str):
        found, number = np.unique(column(variable["index"]), return_inverse=True)
        return number.reshape(-1), len(found)
    first, number = distinct(*(column(group[f"source_{name}"]) for name in ("gid", "section", "x")))
    return number, len(first)


def target_homes(program: Program, group: Mapping[str, Any], homes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The rank of what each row of ``index`` stands for: a row of a group of points, or a cell of a population."""
    index = program.column(group["index"])
    for points in program.spec.get("points", ()):
        if points["id"] == group["points"]:
            return homes[program.column(points["gid"])][index]
    for population in program.spec.get("populations", ()):
        if population["id"] == group["points"]:
            first = population["first_gid"]
            return homes[first : first + population["size"]][index]
    return np.zeros(len(index), np.uint16)  # the builder says that there is no such group
