"""A cell in pieces on this rank: what is here, and the wires that join it to what is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cut import wires
from .ranks import Cut
from .template import Cell


class Pieces:
    """The pieces of one cell that ``rank`` has."""

    def __init__(self, cut: Cut, rank: int) -> None:
        self.cut, self.rank = cut, rank

    def has(self, section: int) -> bool:
        """Whether a section is on this rank."""
        return int(self.cut.homes[section]) == self.rank

    def parent(self, section: int) -> tuple[int, float]:
        """The section that another hangs at within its piece, and where; -1 for the root of a piece."""
        tree = self.cut.tree
        owner = tree.owner(section)
        if owner < 0 or self.cut.pieces[owner] != self.cut.pieces[section]:
            return -1, 1.0
        return owner, tree.places[tree.joint[section]][1]


def join(pc: Any, cells: Mapping[int, Cell], templates: Mapping[int, Any], cuts: Mapping[int, Cut], rank: int) -> None:
    """Join the pieces of all cells in pieces, by a number for each joint that all ranks agree on.

    To be called on every rank when all sections are there. ``templates`` are those of the cells, by gid.
    """
    number = 0
    for gid, cut in cuts.items():
        cell, mine = cells.get(gid), Pieces(cut, rank)
        for joint, members in wires(cut.tree, cut.pieces):
            owner, x = cut.tree.places[joint]
            ends = [(owner, x), *((member, templates[gid].sections[member].child_x) for member in members)]
            for section, at in ends:
                if cell is not None and mine.has(section):
                    pc.multisplit(cell.sections[section](at), number, 2)
            number += 1
    if cuts:
        pc.multisplit()
