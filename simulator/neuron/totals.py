"""What a cell with a morphology shows as a whole: its area, its capacitance, and sums of currents.

LEMS sums over the one compartment that a cell is there; here the sums go over all compartments, or over the one in the
middle of a segment where a path names it. Source: ComponentType cell of the NeuroML core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .attachments import Attachment
from .population import CellKind

Floats = npt.NDArray[np.float64]
AREAS = frozenset({"surfaceArea", "totSpecCap"})
CURRENTS = {"iChannels": None, "iCa": "ca", "iCa2": "ca2"}


def compartment_areas(kind: CellKind) -> Floats:
    """Membrane area (m2) of every compartment, from the frusta between the points of its section."""
    template = kind.template
    assert template is not None
    found: list[Floats] = []
    for section in template.sections:
        points = section.points
        arc = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))))
        edges = np.linspace(0.0, arc[-1], section.nseg + 1)
        areas = np.zeros(section.nseg)
        for near, far, a, b in zip(arc[:-1], arc[1:], points[:-1, 3], points[1:, 3], strict=True):
            if far == near:
                areas[min(int(near / arc[-1] * section.nseg), section.nseg - 1)] += np.pi * abs(a * a - b * b) / 4
                continue
            low, high = np.clip(edges[:-1], near, far), np.clip(edges[1:], near, far)
            first, last = a + (b - a) * (low - near) / (far - near), a + (b - a) * (high - near) / (far - near)
            areas += np.pi * (first + last) / 2 * np.hypot(high - low, (first - last) / 2)
        found.append(areas)
    return np.concatenate(found) * 1e-12


def size(kind: CellKind, what: str, compartment: int | None) -> float:
    """surfaceArea in m2, or totSpecCap in F/m2, of the cell or of one compartment."""
    areas = compartment_areas(kind)
    assert kind.template is not None
    chosen = slice(None) if compartment is None else slice(compartment, compartment + 1)
    if what == "surfaceArea":
        return float(areas[chosen].sum())
    return float(np.average(kind.template.cm[chosen], weights=areas[chosen])) * 1e-2


def channel_current(kind: CellKind, gid: int, ion: str | None, compartment: int | None) -> Callable[[], dict[str, Any]]:
    """Where the sum (A) of the currents of all densities is, or of those of an ion; marks them as recorded."""
    template = kind.template
    assert template is not None
    areas = compartment_areas(kind)
    wanted = [p for p in kind.densities if ion is None or p.ion == ion]
    for placed in wanted:
        placed.request.record.add(placed.request.flat.paths["iDensity"])
    sections, xs = template.mapping.centres()

    def place() -> dict[str, Any]:
        terms = []
        for placed in wanted:
            found = placed.request.variable(placed.request.flat.paths["iDensity"])
            if found is None:
                continue
            for row in range(len(areas)) if compartment is None else [compartment]:
                if placed.covers(int(sections[row])):
                    terms.append({
                        "gid": gid, "section": int(sections[row]), "x": float(xs[row]), "variable": found[0],
                        "mechanism": placed.mechanism_name, "scale": found[1] * float(areas[row]),
                    })  # fmt: skip
        return {"terms": terms} if terms else {"constant": 0.0}

    return place


def attached_current(attachments: dict[str, Attachment], gid: int, segment: int | None) -> Callable[[], dict[str, Any]]:
    """Where the sum (A) of the currents of all that is attached to a cell is; marks them as recorded."""
    here: list[tuple[Attachment, list[int], str]] = []
    for attachment in attachments.values():
        if not attachment.chunks:
            continue
        rows = attachment.rows(gid, segment)
        paths = attachment.request.flat.paths
        name = paths.get("i") or paths.get("I")
        if name is not None and len(rows):
            attachment.request.record.add(name)
            here.append((attachment, rows.tolist(), name))

    def place() -> dict[str, Any]:
        terms = []
        for attachment, rows, name in here:
            found = attachment.request.variable(name)
            if found is None or attachment.index is None or attachment.request.made.silent:
                continue
            for index in sorted({int(attachment.index[row]) for row in rows}):
                terms.append({"points": attachment.key, "index": index, "variable": found[0], "scale": found[1]})
        return {"terms": terms} if terms else {"constant": 0.0}

    return place
