"""Where the segments of a cell in NEURON are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from .template import Cell

Floats = NDArray[np.float64]
Outline = tuple[Floats, Floats]  # ends of segments (segments, 3, 2) and diameters (segments,), um


def outline(h: Any, cell: Cell, center: Any = 0.0, stored: bool = False) -> Outline:
    """Where a cell's segments begin and end, (segments, 3, 2) um, and their diameters (segments,) um.

    The ends of segments lie at equal parts of the arc through a section's 3-D points. ``center`` is taken off the
    points before; ``stored`` takes arcs and lengths as NEURON keeps them, in single precision.
    """
    ends, diameters = [], []
    for section in cell.sections:
        if int(h.n3d(sec=section)) < 2:
            raise SimulatorError(f"section '{section.name()}' has no shape: its field cannot be computed")
        table = points_of(h, section) - center
        if stored:
            arc = np.array([h.arc3d(i, sec=section) for i in range(len(table))]) / section.L
            half = 0.5 / section.nseg
            marks = np.array([[segment.x - half, segment.x + half] for segment in section])
        else:
            arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(table, axis=0), axis=1))])
            bounds = np.linspace(0, arc[-1], section.nseg + 1)
            marks = np.stack([bounds[:-1], bounds[1:]], axis=1)
        ends.append(np.stack([np.interp(marks, arc, table[:, axis]) for axis in range(3)], axis=1))
        diameters.append([segment.diam for segment in section])
    return np.concatenate(ends), np.concatenate(diameters)


def points_of(h: Any, section: Any) -> Floats:
    """The 3-D points of a section, (n, 3) um."""
    count = range(int(h.n3d(sec=section)))
    return np.array([(h.x3d(i, sec=section), h.y3d(i, sec=section), h.z3d(i, sec=section)) for i in count])
