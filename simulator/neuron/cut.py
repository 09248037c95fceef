"""Where a cell is cut so that ranks can share it: its tree of sections, in pieces that NEURON can join again.

NEURON's multisplit joins pieces by wires without resistance at nodes of the same number, and solves the whole exactly,
provided that no piece has more than two such nodes (multisplit.cpp: what lies between the two is the backbone of a
piece). So a tree is cut from the leaves to the root: what hangs below a section is kept together until it
costs more than a limit, or until a third place of cutting would come into one piece; there everything that hangs at
that place becomes a piece of its own. Pieces that come to lie on one rank side by side are put together again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MOST = 2  # places of cutting that a piece may touch: NEURON's
_TWIG = 0.02  # of the limit: what costs less stays with the section that it hangs at


@dataclass(frozen=True)
class Tree:
    """A cell's sections as a tree: where each hangs. A *joint* is a node at which others hang at a section, its owner.

    ``joint`` has the number of each section's joint, -1 for one that hangs nowhere; ``places`` the owner of each joint
    and x there. What hangs at the end by which a section hangs itself has the same joint as that section.
    """

    joint: tuple[int, ...]
    places: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, sections: Sequence[Mapping[str, Any]]) -> Tree:
        """That of a template's sections (see ``program``)."""
        joint: list[int] = []
        places: list[tuple[int, float]] = []
        known: dict[tuple[int, float], int] = {}
        for section in sections:
            parent, x = int(section["parent"]), float(section.get("parent_x", 1.0))
            if parent < 0:
                joint.append(-1)
                continue
            if joint[parent] >= 0 and x == sections[parent].get("child_x", 0.0):
                joint.append(joint[parent])
                continue
            nseg = int(sections[parent].get("nseg", 1))
            node = x if x in (0.0, 1.0) else (min(int(x * nseg), nseg - 1) + 0.5) / nseg
            if (parent, node) not in known:
                known[parent, node] = len(places)
                places.append((parent, node))
            joint.append(known[parent, node])
        return cls(tuple(joint), tuple(places))

    def owner(self, section: int) -> int:
        """The section that another hangs at, -1 if there is none."""
        return self.places[self.joint[section]][0] if self.joint[section] >= 0 else -1

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """The sections that hang at each joint."""
        found: list[list[int]] = [[] for _ in self.places]
        for section, joint in enumerate(self.joint):
            if joint >= 0:
                found[joint].append(section)
        return tuple(map(tuple, found))

    @cached_property
    def joints(self) -> tuple[tuple[int, ...], ...]:
        """The joints that each section owns."""
        found: list[list[int]] = [[] for _ in self.joint]
        for joint, (owner, _) in enumerate(self.places):
            found[owner].append(joint)
        return tuple(map(tuple, found))


def cut(tree: Tree, costs: Floats, limit: float) -> NDArray[np.int64]:
    """The number of the piece that each section belongs to; pieces cost no more than ``limit`` where that can be."""
    load, apart = costs.astype(float), np.zeros(len(costs), bool)
    cuts: list[set[int]] = [set() for _ in costs]  # joints, of those that are cut, that each section's piece touches

    def together(joints: Iterable[int]) -> float:
        """Undo what was cut at some joints and below; what comes back."""
        back, left = 0.0, list(joints)
        while left:
            for section in tree.members[left.pop()]:
                if apart[section]:
                    apart[section] = False
                    back += load[section]
                    left += cuts[section]
        return back

    for section in reversed(range(len(costs))):
        most = _MOST - 1 if tree.joint[section] >= 0 else _MOST  # it may be cut off itself
        hanging = [(sum(load[m] for m in tree.members[joint]), joint) for joint in tree.joints[section]]
        for weight, joint in sorted(hanging, reverse=True):
            members = tree.members[joint]
            deeper = set().union(*(cuts[member] for member in members))
            too_many = len(cuts[section] | deeper) > most
            if len(cuts[section]) < most and (too_many or load[section] + weight > limit):
                cuts[section].add(joint)
                for member in members:
                    apart[member] = bool(cuts[member]) or load[member] > _TWIG * limit
                load[section] += sum(load[m] for m in members if not apart[m])
                continue
            if too_many:
                weight += together(deeper)
                deeper = set()
            load[section] += weight
            cuts[section] |= deeper
    return _numbered(tree, apart)


def united(tree: Tree, pieces: NDArray[np.int64], homes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same with neighbours on one rank put together, where NEURON's rule allows; ``homes``: rank of each piece."""
    apart = np.array([tree.joint[s] >= 0 and pieces[s] != pieces[tree.owner(s)] for s in range(len(pieces))])
    rank, number = homes[pieces], pieces.copy()
    changed = True
    while changed:
        changed = False
        for section in np.flatnonzero(apart).tolist():
            joint, above = tree.joint[section], tree.owner(section)
            if rank[section] != rank[above]:
                continue
            rest = [member for member in tree.members[joint] if apart[member] and member != section]
            touched = _touched(tree, apart, number, (number[section], number[above])) - ({joint} if not rest else set())
            if len(touched) <= _MOST:
                apart[section] = False
                number[number == number[section]] = number[above]
                changed = True
    return _numbered(tree, apart)


def wires(tree: Tree, pieces: NDArray[np.int64]) -> list[tuple[int, list[int]]]:
    """The joints that are cut, and the sections that hang there in pieces of their own."""
    found = []
    for joint, (owner, _) in enumerate(tree.places):
        if members := [member for member in tree.members[joint] if pieces[member] != pieces[owner]]:
            found.append((joint, members))
    return found


def _touched(
    tree: Tree, apart: NDArray[np.bool_], number: NDArray[np.int64], wanted: tuple[int, int]
) -> set[int]:  # fmt: skip
    """The cut joints that some pieces touch."""
    found = set()
    for section in np.flatnonzero(apart).tolist():
        if number[section] in wanted or number[tree.owner(section)] in wanted:
            found.add(tree.joint[section])
    return found


def _numbered(tree: Tree, apart: NDArray[np.bool_]) -> NDArray[np.int64]:
    pieces, count = np.zeros(len(apart), np.int64), 0
    for section in range(len(apart)):
        if tree.joint[section] < 0 or apart[section]:
            pieces[section], count = count, count + 1
        else:
            pieces[section] = pieces[tree.owner(section)]
    return pieces
