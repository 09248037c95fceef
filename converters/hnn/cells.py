"""Cells of hnn-core: sections with NEURON's mechanisms, joined by a tree of their ends."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...graph import NativeCell, NativeSection
from .part import Part

_REVERSAL = re.compile(r"e(na|k|ca)")


def cell_of(id: str, part: Part, threshold: float) -> NativeCell:
    """The cell of a type: its spikes are seen in the middle of the soma, as crossings of ``threshold`` (mV)."""
    sections = part.part("sections").parts()
    joints = _joints(part, sections)
    order: list[str] = []
    while len(order) < len(sections):
        ready = [n for n in sections if n not in order and (n not in joints or joints[n][0] in order)]
        if not ready:
            rest = ", ".join(sorted(set(sections) - set(order)))
            raise part.error(f"cell_tree joins the sections {rest} in a ring")
        order += ready
    made = []
    for name in order:
        parent, parent_x, child_x = joints.get(name, ("", 1.0, 0.0))
        place = order.index(parent) if parent else -1
        made.append(_section(name, sections[name], place, parent_x, child_x))
    if "soma" not in order:
        raise part.error("there is no section 'soma', at which hnn-core sees the spikes of a cell")
    places = part.part("sect_loc")
    lists = {}
    for key in places.data:
        strange = set(places.words(key)) - set(order)
        if strange:
            raise places.error(f"'{key}' names the section '{min(strange)}', which is not there")
        lists[key] = tuple(order.index(name) for name in places.words(key))
    return NativeCell(id, tuple(made), lists, spike_section=order.index("soma"), threshold=threshold, file=part.file)


def _joints(part: Part, sections: dict[str, Part]) -> dict[str, tuple[str, float, float]]:
    """By section: the section that it is joined to, at which end of that, with which of its own."""
    found: dict[str, tuple[str, float, float]] = {}
    if part.entry("cell_tree") is None:
        return found
    tree = part.part("cell_tree")
    for node in tree.data:
        name, end = _node(tree, node, sections)
        for below in tree.words(node):
            child, child_end = _node(tree, below, sections)
            if child == name:
                continue
            if child in found:
                raise tree.error(f"'{child}' is joined to two sections, '{found[child][0]}' and '{name}'")
            found[child] = (name, end, child_end)
    return found


def _node(tree: Part, node: str, sections: dict[str, Part]) -> tuple[str, float]:
    name, comma, end = node.rpartition(",")
    if not comma or end not in ("0", "1") or name not in sections:
        raise tree.error(f"the node '{node}' is no end of a section; expected such as soma,1")
    return name, float(end)


def _section(name: str, part: Part, parent: int, parent_x: float, child_x: float) -> NativeSection:
    L, diam = part.number("L"), part.number("diam")
    nseg = part.whole("nseg") if "nseg" in part.data else _segments(L)
    points = None
    if part.data.get("end_pts"):
        near, far = part.numbers("end_pts", 2, 3)
        long = float(np.linalg.norm(far - near))
        if long > 0:  # L counts, as it is set after the points; they say where to
            points = np.column_stack([[near, near + (far - near) * (L / long)], [diam, diam]])
    mechanisms: dict[str, dict[str, Any]] = {}
    ions: dict[str, dict[str, Any]] = {}
    for mechanism, values in part.part("mechs").parts().items():
        own = mechanisms.setdefault(mechanism, {})
        for key in values.data:
            value = _along(values, key, nseg)
            reversal = _REVERSAL.fullmatch(key)
            if key.endswith(f"_{mechanism}"):
                own[key.removesuffix(f"_{mechanism}")] = value
            elif reversal:
                ions.setdefault(reversal[1], {})["e"] = value
            else:
                raise UnsupportedError(f"{part.file}: {values.name}: '{key}' is no parameter of {mechanism}; expected "
                                       f"such as gbar_{mechanism}, or ena, ek, eca")  # fmt: skip
    return NativeSection(
        name, parent, parent_x, child_x, L, diam, points, nseg, part.number("Ra"), part.number("cm"), mechanisms, ions,
        part.number("v0", -65.0),
    )  # fmt: skip


def _segments(L: float) -> int:
    """What hnn-core takes where the file is silent: an odd number, segments of about 50 um."""
    return int(L / 50) | 1 if L > 100 else 1


def _along(part: Part, key: str, nseg: int) -> float | tuple[float, ...]:
    """A number, or one for each segment: [places, values]."""
    if not isinstance(part.entry(key), list):
        return part.number(key)
    return tuple(map(float, part.numbers(key, 2, nseg)[1]))
