"""FlatComponent: one closed system of equations, what flattening a component with its children gives.

No children, paths, selects, reductions or regimes are left. Numbers are float64 in SI. Every name used in an expression
is declared in exactly one of ``parameters``, ``properties``, ``externals``, ``states``, ``derived``, or is ``t`` (time,
s). Derived variables stand in dependency order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..units import Dimension
from .expression import Expr


@dataclass(frozen=True)
class Parameter:
    """A constant: Parameter, Constant or DerivedParameter. ``value`` is SI; ``path`` is its LEMS path from the root."""

    value: float
    dimension: Dimension
    path: str
    kind: str = "parameter"  # parameter | constant | derived


@dataclass(frozen=True)
class Property:
    """A number per instance (``weight``), set by the connection or the input that makes the instance."""

    default: float
    dimension: Dimension
    path: str


@dataclass(frozen=True)
class External:
    """A value that comes from outside. ``kind`` is

    - ``requirement``: a Requirement that nothing above fulfils (v, caConc, temperature, iCa, surfaceArea, ...);
    - ``attachments``: the reduction over what is attached at run time (iSyn); ``target`` = "synapses/i", ``reduce``;
    - ``peer``: an exposure of the other end of a tunnel; ``target`` = "peer/v".
    """

    dimension: Dimension
    kind: str
    target: str
    reduce: str = "add"


@dataclass(frozen=True)
class State:
    """A StateVariable; without an entry in ``derivatives`` it is a discrete memory."""

    dimension: Dimension
    path: str
    regime: bool = False  # True for the generated number of the active regime


@dataclass(frozen=True)
class Derived:
    """A derived variable; a conditional one has a Piecewise expression."""

    expr: Expr
    dimension: Dimension
    path: str


@dataclass(frozen=True)
class Assign:
    """Assign to a state (sequential: later actions see the new value)."""

    variable: str
    expr: Expr


@dataclass(frozen=True)
class Emit:
    """Send an event out of a port of the root."""

    port: str


Action = Assign | Emit


@dataclass(frozen=True)
class Condition:
    """An OnCondition: level triggered, looked at after every step while ``regime`` = (state name, number) is active."""

    test: Expr
    actions: tuple[Action, ...]
    regime: tuple[str, int] | None = None


@dataclass(frozen=True)
class Event:
    """An OnEvent of the root (events passed on to children are inlined); ``regime`` guards it as in Condition."""

    port: str
    actions: tuple[Action, ...]
    regime: tuple[str, int] | None = None


@dataclass(frozen=True)
class Transition:
    """A transition of a kinetic scheme, in one or both directions; rates are names of variables or parameters, 1/s."""

    source: str
    target: str
    forward: str | None
    reverse: str | None


@dataclass(frozen=True)
class Kinetics:
    """A KineticScheme: occupancies (states, sum 1) and transitions between them."""

    states: tuple[str, ...]
    transitions: tuple[Transition, ...]


@dataclass
class FlatComponent:
    """See the module docstring. Dictionaries are ordered; keys are the flat names (letters, digits, underscore)."""

    id: str
    type: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    externals: dict[str, External] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    derived: dict[str, Derived] = field(default_factory=dict)
    derivatives: dict[str, Expr] = field(default_factory=dict)
    kinetics: list[Kinetics] = field(default_factory=list)
    on_start: list[Assign] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    """LEMS path from the root ("naChan/m/q", "i") to flat name, for everything that can be recorded."""
    out_ports: tuple[str, ...] = ()
    in_ports: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None
