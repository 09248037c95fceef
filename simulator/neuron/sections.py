"""Sections: the unbranched pieces that NEURON divides into compartments.

A group marked as a cable (neuroLexId sao864921383) becomes one section, divided as its numberInternalDivisions say. A
cell without such groups gets one section per segment, begun at the proximal end (jNeuroML begins there at the distal
end, which turns tapers round), and so do segments that no cable holds. Where on its parent a branch begins is kept as
the arc fraction along the parent's section.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...errors import NetworkError
from ...graph.morphology import Morphology
from ...nmodl.names import safe
from ...report import Report

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
TINY = 1e-3  # um: the length of a section whose points all coincide and that is no sphere


@dataclass
class Section:
    """One section. ``points`` (n, 4): x, y, z, diameter in um; ``parent_x`` is where on the parent it begins."""

    name: str
    points: Floats
    nseg: int
    parent: int
    parent_x: float
    Ra: float = 100.0  # ohm cm


@dataclass
class Sections:
    """All sections of a cell, parents first, and where each segment lies on them."""

    sections: list[Section]
    section_of: Ints
    """segment row -> section"""
    begin: Floats
    """segment row -> arc fraction 0..1 of its proximal end on its section"""
    end: Floats

    @cached_property
    def first(self) -> Ints:
        """The number of the first compartment of each section, all compartments counted through."""
        return np.concatenate(([0], np.cumsum([section.nseg for section in self.sections])[:-1])).astype(np.int64)

    @property
    def compartments(self) -> int:
        """The number of compartments of all sections."""
        return sum(section.nseg for section in self.sections)

    def locate(self, rows: Ints, fractions: Floats) -> tuple[Ints, Floats]:
        """(section, x) of places on segments."""
        x = self.begin[rows] + fractions * (self.end[rows] - self.begin[rows])
        return self.section_of[rows], np.clip(x, 0.0, 1.0)

    def coverage(self, rows: Ints) -> Floats:
        """Per compartment the part (0..1) of its length that lies on the given segments."""
        covered = np.zeros(self.compartments)
        for row in rows.tolist():
            section = int(self.section_of[row])
            nseg, first = self.sections[section].nseg, int(self.first[section])
            edges = np.arange(nseg + 1) / nseg
            overlap = np.minimum(edges[1:], self.end[row]) - np.maximum(edges[:-1], self.begin[row])
            covered[first : first + nseg] += np.maximum(overlap, 0.0) * nseg
        return np.where(covered > 1 - 1e-9, 1.0, np.where(covered < 1e-9, 0.0, covered))

    def centres(self) -> tuple[Ints, Floats]:
        """(section, x) of the middle of each compartment."""
        section = np.concatenate([np.full(s.nseg, n) for n, s in enumerate(self.sections)]).astype(np.int64)
        x = np.concatenate([(np.arange(s.nseg) + 0.5) / s.nseg for s in self.sections])
        return section, x


def map_sections(morphology: Morphology, report: Report) -> Sections:
    """Divide a morphology into sections."""
    chains = _chains(morphology, report)
    count = len(morphology.ids)
    section_of = np.zeros(count, dtype=np.int64)
    for number, (_, rows, _) in enumerate(chains):
        section_of[rows] = number
    # parents first: the row of the first segment grows along every path from the root
    order = sorted(range(len(chains)), key=lambda n: chains[n][1][0])
    place = {old: new for new, old in enumerate(order)}
    section_of = np.array([place[int(n)] for n in section_of], dtype=np.int64)
    begin, end = np.zeros(count), np.ones(count)
    sections: list[Section] = []
    taken: set[str] = set()
    for old in order:
        title, rows, divisions = chains[old]
        points = _points(morphology, rows, begin, end)
        name = safe(title, taken)
        taken.add(name)
        head = rows[0]
        parent = int(morphology.parent[head])
        parent_section, x = -1, 1.0
        if parent >= 0:
            parent_section = int(section_of[parent])
            x = float(begin[parent] + morphology.fraction[head] * (end[parent] - begin[parent]))
        sections.append(Section(name, points, divisions, parent_section, min(max(x, 0.0), 1.0)))
    return Sections(sections, section_of, begin, end)


def _chains(morphology: Morphology, report: Report) -> list[tuple[str, list[int], int]]:
    """(name, segment rows from proximal to distal, divisions) of each section to be."""
    chains: list[tuple[str, list[int], int]] = []
    used: set[int] = set()
    for group in morphology.groups.values():
        if not group.is_cable or not len(group.rows):
            continue
        rows = [int(row) for row in group.rows if int(row) not in used]
        if len(rows) < len(group.rows):
            report.add("cables-overlap", "approximation",
                       f"the cable '{group.id}' shares segments with another one; they stay with the first",
                       component=morphology.id)  # fmt: skip
        runs = _runs(morphology, rows)
        if len(runs) > 1:
            report.add("cable-branches", "approximation",
                       f"the cable '{group.id}' is no unbranched run; it becomes {len(runs)} sections",
                       component=morphology.id)  # fmt: skip
        for number, run in enumerate(runs):
            chains.append((group.id if len(runs) == 1 else f"{group.id}_{number}", run, group.divisions))
        used |= set(rows)
    chains += [(morphology.names[row], [row], 1) for row in range(len(morphology.ids)) if row not in used]
    return chains


def _runs(morphology: Morphology, rows: list[int]) -> list[list[int]]:
    """Split rows into runs in which each segment begins at the end of the one before."""
    runs: list[list[int]] = []
    for row in rows:
        parent = int(morphology.parent[row])
        run = next((r for r in runs if r[-1] == parent), None)
        if run is not None and morphology.fraction[row] == 1.0:
            run.append(row)
        else:
            runs.append([row])
    return runs


def _points(morphology: Morphology, rows: list[int], begin: Floats, end: Floats) -> Floats:
    """The 3D points of a section; ``begin`` and ``end`` get the arc fractions of its segments."""
    points = [morphology.proximal[rows[0]]]
    arcs: list[tuple[float, float]] = []
    arc = 0.0
    for row in rows:
        near, far = morphology.proximal[row], morphology.distal[row]
        if not np.array_equal(near, points[-1]):
            # a step in diameter, or a jump: a second point
            arc += float(np.linalg.norm(near[:3] - points[-1][:3]))
            points.append(near)
        length = float(np.linalg.norm(far[:3] - near[:3]))
        arcs.append((arc, arc + length))
        points.append(far)
        arc += length
    if arc == 0.0:
        # a sphere has the area of a cylinder as long as it is wide; other flat sections get hardly any length
        near, far = points[0], points[-1]
        if not near[3] and not far[3]:
            raise NetworkError(f"segment {morphology.ids[rows[0]]} has neither a length nor a diameter; give it one",
                               component=morphology.id)  # fmt: skip
        arc = float(far[3]) if near[3] == far[3] else TINY
        points = [near, far + np.array([0.0, arc, 0.0, 0.0])]
        arcs = [(arc * n / len(rows), arc * (n + 1) / len(rows)) for n in range(len(rows))]
    for row, (first, last) in zip(rows, arcs, strict=True):
        begin[row], end[row] = first / arc, last / arc
    return np.array(points)
