"""Sections of a Program as Arbor's segments: one tag for each compartment, so that each is a region of its own.

NEURON divides a section into compartments of one length, with a point between sections. Arbor gets segments that are
cut at the same places, and its control volumes at the ends of every tag, which is the same division of the cable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import Program

Floats = npt.NDArray[np.float64]
_SAME = 1e-9


@dataclass
class Cables:
    """One kind of cell. ``segments`` are (parent or -1, tag, x, y, z, r, x, y, z, r); ``first`` the tag of each
    section's first compartment."""

    segments: list[list[float]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    nseg: list[int] = field(default_factory=list)

    def tag(self, section: int, x: float) -> int:
        """The tag of the compartment that a place is in."""
        return self.first[section] + min(int(x * self.nseg[section]), self.nseg[section] - 1)

    def tags(self, section: int) -> list[int]:
        """The tags of a section's compartments."""
        return list(range(self.first[section], self.first[section] + self.nseg[section]))


def cables_of(template: Mapping[str, Any], program: Program) -> Cables:
    """The segments of a template."""
    sections = template["sections"]
    made = Cables()
    ends: list[dict[float, int]] = []  # of each section: the part of its length at which a segment ends -> the segment
    joints: list[list[float]] = [[] for _ in sections]
    for section in sections:
        if section["parent"] >= 0:
            joints[section["parent"]].append(float(section["parent_x"]))
    tag = 1
    for index, section in enumerate(sections):
        nseg = section["nseg"]
        points = _points(section, program)
        borders = [k / nseg for k in range(1, nseg)]
        edges, points = _cut(points, [*borders, *joints[index]])
        parent, x = section["parent"], float(section["parent_x"])
        at = -1 if parent < 0 else _end(ends[parent], x)
        ends.append({0.0: at})
        made.first.append(tag)
        made.nseg.append(nseg)
        for row in range(len(points) - 1):
            middle = (edges[row] + edges[row + 1]) / 2
            own = tag + min(int(middle * nseg), nseg - 1)
            near, far = points[row], points[row + 1]
            made.segments.append([at, own, *near[:3], near[3] / 2, *far[:3], far[3] / 2])
            at = len(made.segments) - 1
            ends[index][float(edges[row + 1])] = at
        tag += nseg
    return made


def _end(ends: Mapping[float, int], x: float) -> int:
    return min(ends.items(), key=lambda pair: abs(pair[0] - x))[1]


def _points(section: Mapping[str, Any], program: Program) -> Floats:
    if "points" in section:
        return np.asarray(program.column(section["points"]), float).reshape(-1, 4)
    diameter = float(np.max(program.column(section["diam"])))
    return np.array([[0.0, 0.0, 0.0, diameter], [0.0, float(section["L"]), 0.0, diameter]])


def _cut(points: Floats, places: list[float]) -> tuple[Floats, Floats]:
    """Points with further ones at parts (0..1) of the length, and where on it each is."""
    steps = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
    edges = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    new: list[float] = []
    for x in sorted(places):
        if np.abs(edges - x).min() > _SAME and (not new or x - new[-1] > _SAME):
            new.append(x)
    if not new:
        return edges, points
    between = np.array([[np.interp(x, edges, points[:, c]) for c in range(4)] for x in new])
    at = np.searchsorted(edges, new)
    return np.insert(edges, at, new), np.insert(points, at, between, axis=0)
