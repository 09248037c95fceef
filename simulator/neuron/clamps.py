"""When a voltage clamp rings: the stability of NEURON's second-order scheme under a stiff current.

Crank-Nicolson multiplies a deviation of a compartment's voltage by (1 - z) / (1 + z) a step, z = dt / (2 r C), with r
the clamp's series resistance and C the capacitance of the compartment: for z > 1 the sign changes every step, and for
z >> 1 the ringing hardly decays (Hines 1984, Int. J. Bio-Medical Computing 15:69).
"""

from __future__ import annotations

import numpy as np

from ...lems.flat import FlatComponent
from ...units import Dimension
from .cells import CellTemplate
from .population import CellKind

RESISTANCE = Dimension(m=1, l=2, t=-3, i=-2)
CAPACITANCE = Dimension(m=-1, l=-2, t=4, i=2)
SMALL_CELL = 1e-11  # F; where a cell's capacitance is no parameter of its own


def rings(clamp: FlatComponent, kind: CellKind, dt: float) -> bool:
    """Whether this clamp on a cell of this kind overshoots in steps of ``dt`` (ms) under the second-order scheme."""
    if kind.native is not None:
        return True
    resistances = [p.value for p in clamp.parameters.values() if p.dimension == RESISTANCE]
    if not resistances:
        return True
    return dt * 1e-3 > 2 * min(resistances) * smallest_capacitance(kind)


def smallest_capacitance(kind: CellKind) -> float:
    """The capacitance (F) of the smallest compartment of a cell."""
    if kind.template is not None:
        return _smallest(kind.template)
    assert kind.request is not None
    found = [p.value for p in kind.request.flat.parameters.values() if p.dimension == CAPACITANCE]
    return min(found, default=SMALL_CELL)


def _smallest(template: CellTemplate) -> float:
    least = np.inf
    for section, first in zip(template.sections, template.mapping.first.tolist(), strict=True):
        a, b = section.points[:-1, 3] / 2, section.points[1:, 3] / 2
        lengths = np.linalg.norm(np.diff(section.points[:, :3], axis=0), axis=1)
        area = float(np.sum(np.pi * (a + b) * np.sqrt(lengths**2 + (a - b) ** 2))) / section.nseg  # um2
        cm = float(template.cm[first : first + section.nseg].min())  # uF/cm2, which is 1e-14 F/um2
        least = min(least, cm * area * 1e-14)
    return least
