"""What the compiler gives back: a mechanism and how its variables, parameters and events are reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..lems.expression import Expr
from .equations import Array
from .mod import Ion, Mod

GATHERED = "gathered"
POINT_AREA_UM2 = 100 * math.pi  # of the section of an abstract cell: a cylinder of 10 by 10 um


@dataclass(frozen=True)
class Binding:
    """Where a Requirement gets its value in NEURON, in coherent units (mV, mM, nA, cm2 ...)."""

    expr: Expr
    ion: Ion | None = None


@dataclass(frozen=True)
class Role:
    """What a component is to NEURON.

    ``kind`` is density | pool | point | electrode | cell | source. ``current`` names the flat variable that is the
    current (iDensity of a density, i or I of a point), ``bindings`` the Requirements, ``ion`` the ion that a density's
    current belongs to (None: unspecific), ``state`` the flat variable that is the concentration of a pool. A cell that
    ``gathers`` uses the sum of what is attached to it elsewhere than in dv/dt: what is attached is then a current of
    the ion GATHERED, for which NEURON keeps the sum.
    """

    kind: str
    current: str | None = None
    bindings: dict[str, Binding] = field(default_factory=dict)
    ion: str | None = None
    state: str | None = None
    gathers: bool = False

    @property
    def carrier(self) -> str | None:
        """The ion that the current is of."""
        return self.ion if self.kind in ("density", "point", "electrode") else None


@dataclass(frozen=True)
class Mechanism:
    """A compiled mechanism for a group of components of equal structure.

    ``parameters``: RANGE name -> one value per member. ``variables``: flat name -> (variable of the mechanism, what a
    raw value is multiplied with to be SI). ``instance``: property -> RANGE name set per instance. ``weight``: the
    property that the NetCon weight carries. ``peers``: "peer/v" -> RANGE name that a transfer writes. ``capacitance``
    (nF) and ``v_init`` (mV) hold one value per member for cells that drive the voltage of a section.
    """

    name: str
    mod: Mod
    text: str
    parameters: dict[str, Array]
    variables: dict[str, tuple[str, float]]
    instance: dict[str, str]
    weight: str | None
    peers: dict[str, str]
    shareable: bool
    emits: bool
    random: bool
    drives_voltage: bool = False
    silent: bool = False
    """its current is zero whatever happens"""
    clamps: bool = False
    """an electrode whose current depends on the voltage, or a cell that holds its voltage"""
    capacitance: Array | None = None
    v_init: Array | None = None
    hidden_edges: bool = False
    """its equations jump at times that have no closed form, so that long steps may miss them"""
    ahead: dict[str, str] = field(default_factory=dict)
    """state -> the variable that holds what it will be when others read it that are brought it (``build.AHEAD``)"""
    tolerances: dict[str, float] = field(default_factory=dict)
    """state (the mechanism's name for it) -> what cvode's absolute tolerance is multiplied with"""
