"""Cells made longer, shorter, thicker or thinner in parts: what grows from these parts moves along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..graph.morphology import Morphology
from ..graph.native import NativeCell, NativeSection

Floats = npt.NDArray[np.float64]
Factors = tuple[float, float]
"""by which lengths, and diameters, are multiplied"""
FACTORS = ("length_factor", "diameter_factor")


def scaled_morphology(element: Element, factors: Floats) -> Element:
    """A copy of a ``<morphology>``; ``factors`` (n, 2) are those of its segments, in the order of ``Morphology``."""
    shape = Morphology.from_element(element)
    near, far = shape.proximal.copy(), shape.distal.copy()
    for row, parent in enumerate(shape.parent.tolist()):
        if parent >= 0:
            share = shape.fraction[row]
            old = shape.proximal[parent, :3] + share * (shape.distal[parent, :3] - shape.proximal[parent, :3])
            new = near[parent, :3] + share * (far[parent, :3] - near[parent, :3])
            near[row, :3] += new - old
        far[row, :3] = near[row, :3] + factors[row, 0] * (shape.distal[row, :3] - shape.proximal[row, :3])
    near[:, 3] *= factors[:, 1]
    far[:, 3] *= factors[:, 1]
    children = []
    for child in element.children:
        if child.tag == "segment":
            row = shape.row_by_id[int(child.attributes["id"])]
            ends = [_point(tag, place, child) for tag, place in (("proximal", near[row]), ("distal", far[row]))]
            rest = [part for part in child.children if part.tag not in ("proximal", "distal")]
            child = Element(child.tag, child.attributes, [*rest, *ends], child.text, child.file, child.line)
        children.append(child)
    return Element(element.tag, element.attributes, children, element.text, element.file, element.line)


def _point(tag: str, point: Floats, owner: Element) -> Element:
    words = zip(("x", "y", "z", "diameter"), point.tolist(), strict=True)
    return Element(tag, {name: repr(value) for name, value in words}, file=owner.file, line=owner.line)


def scaled_cell(cell: NativeCell, factors: Mapping[int, Factors]) -> NativeCell:
    """A native cell with other lengths and diameters, by the indices of its sections."""
    made: list[NativeSection] = []
    for number, section in enumerate(cell.sections):
        longer, thicker = factors.get(number, (1.0, 1.0))
        shift = np.zeros(3)
        if section.parent >= 0:
            before, after = cell.sections[section.parent].points, made[section.parent].points
            if before is not None and after is not None and before is not after:
                shift = _along(before, after, section.parent_x)
        if section.points is None:
            made.append(replace(section, L=section.L * longer, diam=np.multiply(section.diam, thicker).tolist()))
            continue
        points = np.array(section.points, float)
        if longer != 1.0:
            points[:, :3] = points[0, :3] + longer * (points[:, :3] - points[0, :3])
        points[:, :3] += shift
        points[:, 3] *= thicker
        same = longer == thicker == 1.0 and not shift.any()
        made.append(section if same else replace(section, points=points))
    return replace(cell, sections=tuple(made))


def _along(before: Floats, after: Floats, x: float) -> Floats:
    """How far a place of a cable has moved."""
    steps = np.linalg.norm(np.diff(before[:, :3], axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    return np.array([np.interp(x * place[-1], place, after[:, axis] - before[:, axis]) for axis in range(3)])
