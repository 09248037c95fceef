"""Dynamics: what a ComponentType says about time, as read; names are still those of the type.

Source: LEMS 0.7.6, element Dynamics; what jLEMS makes of it where the text is silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from ..element import Element
from ..errors import LemsError
from .expression import Expr, parse

_T = TypeVar("_T")
REDUCE = {
    "add": "add", "sum": "add", "plus": "add", "+": "add",
    "multiply": "multiply", "product": "multiply", "times": "multiply", "*": "multiply",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a name and, in brackets, ``*``, a position or ``attribute='value'``."""

    name: str
    every: bool = False
    position: int | None = None
    where: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """``//type[attribute=wanted]/name``: a number of the one component, anywhere in the model, that a condition picks.

    ``wanted`` is a text (``literal``), or a path from the component that asks to an attribute or a reference.
    """

    type: str
    name: str
    attribute: str | None = None
    wanted: str = ""
    literal: bool = False


@dataclass(frozen=True, slots=True)
class StateVariable:
    """A state; dimension None where the file does not say."""

    name: str
    dimension: str | None
    exposure: str | None


@dataclass(frozen=True, slots=True)
class TimeDerivative:
    """d(variable)/dt = value."""

    variable: str
    value: Expr


@dataclass(frozen=True, slots=True)
class DerivedVariable:
    """``value``, or a path to variables of children with an optional reduction (add, multiply)."""

    name: str
    dimension: str | None
    exposure: str | None
    value: Expr | None
    select: tuple[Step, ...] | None = None
    reduce: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class ConditionalDerivedVariable:
    """The value of the first case whose condition holds; a condition None always holds."""

    name: str
    dimension: str | None
    exposure: str | None
    cases: tuple[tuple[Expr | None, Expr], ...]


@dataclass(frozen=True, slots=True)
class Actions:
    """What happens at once: assignments in order, then events out of ports, then a change of regime."""

    assignments: tuple[tuple[str, Expr], ...] = ()
    events: tuple[str, ...] = ()
    transition: str | None = None


@dataclass(frozen=True, slots=True)
class OnCondition:
    """Level triggered: done after every step at which the test holds."""

    test: Expr
    actions: Actions


@dataclass(frozen=True, slots=True)
class OnEvent:
    """Done when an event arrives at the port."""

    port: str
    actions: Actions


@dataclass(frozen=True, slots=True)
class KineticScheme:
    """A kinetic scheme over two Children lists, ``nodes`` and ``edges``; the other fields are names inside them."""

    name: str
    nodes: str
    state_variable: str
    edges: str
    edge_source: str
    edge_target: str
    forward_rate: str
    reverse_rate: str


@dataclass(frozen=True, slots=True)
class Regime:
    """A regime: its own dynamics and what is done on entering it."""

    name: str
    initial: bool
    on_entry: Actions
    dynamics: Dynamics


@dataclass(frozen=True, slots=True)
class Dynamics:
    """The Dynamics block of a type, or the body of one Regime."""

    states: tuple[StateVariable, ...] = ()
    derivatives: tuple[TimeDerivative, ...] = ()
    derived: tuple[DerivedVariable | ConditionalDerivedVariable, ...] = ()
    on_start: Actions = Actions()
    conditions: tuple[OnCondition, ...] = ()
    events: tuple[OnEvent, ...] = ()
    regimes: tuple[Regime, ...] = ()
    kinetics: tuple[KineticScheme, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is said at all."""
        return self == _NOTHING

    def over(self, base: Dynamics) -> Dynamics:
        """This block with the content of ``base`` before its own: what ``<Super/>`` asks for."""
        own = {v.name for v in self.states} | {v.name for v in self.derived}
        own_rates = {d.variable for d in self.derivatives}
        return replace(
            self,
            states=tuple(v for v in base.states if v.name not in own) + self.states,
            derived=tuple(v for v in base.derived if v.name not in own) + self.derived,
            derivatives=tuple(d for d in base.derivatives if d.variable not in own_rates) + self.derivatives,
            on_start=Actions(
                base.on_start.assignments + self.on_start.assignments, base.on_start.events + self.on_start.events
            ),
            conditions=base.conditions + self.conditions,
            events=base.events + self.events,
            regimes=base.regimes + self.regimes,
            kinetics=base.kinetics + self.kinetics,
        )


_NOTHING = Dynamics()

_STEP = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_:.-]*|\.\.?)\s*"
    r"(?:\[\s*(?:(\*)|([0-9]+)|([A-Za-z_][A-Za-z0-9_]*)\s*={1,2}\s*(?:'([^']*)'|\"([^\"]*)\"))\s*\])?\s*"
)


_NAME = r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*"
_SEARCH = re.compile(rf"\s*//{_NAME}(?:\[{_NAME}={{1,2}}\s*(?:'([^']*)'|\"([^\"]*)\"|([^\]'\"]+?))\s*\]\s*)?/{_NAME}")


def parse_search(text: str) -> Search | None:
    """Read ``//Type/name``, ``//Type[a='value']/name`` or ``//Type[a=path]/name``; None if it does not begin with //.

    Raises LemsError if it begins so and is none of them.
    """
    if not text.lstrip().startswith("//"):
        return None
    match = _SEARCH.fullmatch(text)
    if match is None:
        raise LemsError(f"cannot read the path '{text}'; expected //Type/name or //Type[attribute=path]/name")
    type_, attribute, one, two, path, name = match.groups()
    if path is not None:
        parse_path(path)
        return Search(type_, name, attribute, path)
    return Search(type_, name, attribute, one if one is not None else two or "", True)


def parse_path(text: str) -> tuple[Step, ...]:
    """Read a path like ``a/b/x``, ``list[*]/x``, ``list[ion='ca']/x`` or ``list[2]/x``.

    Raises LemsError if it is none.
    """
    steps = []
    for part in text.split("/"):
        match = _STEP.fullmatch(part)
        if match is None:
            raise LemsError(f"cannot read '{part}' in the path '{text}'; expected a name, name[*] or name[a='value']")
        name, every, position, attribute, one, two = match.groups()
        where = (attribute, one if one is not None else two) if attribute else None
        steps.append(Step(name, bool(every), int(position) if position else None, where))
    return tuple(steps)


def attribute(element: Element, name: str) -> str:
    """A mandatory attribute; LemsError with file and line if it is missing or empty."""
    value = element.get(name)
    if not value:
        raise LemsError(f"<{element.tag}> lacks the attribute '{name}'", file=element.file, line=element.line)
    return value


def expression(element: Element, name: str = "value") -> Expr:
    """The expression in an attribute; LemsError with file and line if it cannot be read."""
    return _placed(element, lambda: parse(attribute(element, name)))


def _placed(element: Element, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except LemsError as error:
        if error.file is not None:
            raise
        raise LemsError(error.message, file=element.file, line=element.line) from None


def read_dynamics(element: Element) -> Dynamics:
    """Read a Dynamics element or the body of a Regime.

    Raises LemsError with file and line on what cannot be read; elements that LEMS does not know are passed over.
    """
    derived: list[DerivedVariable | ConditionalDerivedVariable] = []
    for child in element.children:
        if child.tag == "DerivedVariable":
            derived.append(_derived(child))
        elif child.tag == "ConditionalDerivedVariable":
            derived.append(_conditional(child))
    return Dynamics(
        states=tuple(
            StateVariable(attribute(e, "name"), e.get("dimension"), e.get("exposure"))
            for e in element.findall("StateVariable")
        ),
        derivatives=tuple(
            TimeDerivative(attribute(e, "variable"), expression(e)) for e in element.findall("TimeDerivative")
        ),
        derived=tuple(derived),
        on_start=_joined(element.findall("OnStart")),
        conditions=tuple(OnCondition(expression(e, "test"), _actions(e)) for e in element.findall("OnCondition")),
        events=tuple(OnEvent(attribute(e, "port"), _actions(e)) for e in element.findall("OnEvent")),
        regimes=tuple(_regime(e) for e in element.findall("Regime")),
        kinetics=tuple(_kinetics(e) for e in element.findall("KineticScheme")),
    )


def _derived(element: Element) -> DerivedVariable:
    name, dimension, exposure = attribute(element, "name"), element.get("dimension"), element.get("exposure")
    select, reduce = element.get("select"), element.get("reduce")
    if reduce is not None and reduce not in REDUCE:
        raise LemsError(
            f"DerivedVariable '{name}' has reduce='{reduce}'; expected 'add' or 'multiply'",
            file=element.file,
            line=element.line,
        )
    if select is None:
        return DerivedVariable(name, dimension, exposure, expression(element))
    return DerivedVariable(
        name,
        dimension,
        exposure,
        None,
        _placed(element, lambda: parse_path(select)),
        REDUCE[reduce] if reduce else None,
        element.get("required", "true") != "false",
    )


def _conditional(element: Element) -> ConditionalDerivedVariable:
    cases = tuple(
        (expression(e, "condition") if e.get("condition") is not None else None, expression(e))
        for e in element.findall("Case")
    )
    name = attribute(element, "name")
    if not cases:
        raise LemsError(
            f"ConditionalDerivedVariable '{name}' has no Case; it needs at least one",
            file=element.file,
            line=element.line,
        )
    return ConditionalDerivedVariable(name, element.get("dimension"), element.get("exposure"), cases)


def _actions(element: Element) -> Actions:
    transition = element.find("Transition")
    return Actions(
        tuple((attribute(e, "variable"), expression(e)) for e in element.findall("StateAssignment")),
        tuple(attribute(e, "port") for e in element.findall("EventOut")),
        attribute(transition, "regime") if transition is not None else None,
    )


def _regime(element: Element) -> Regime:
    return Regime(
        attribute(element, "name"),
        element.get("initial", "false") == "true",
        _joined(element.findall("OnEntry")),
        read_dynamics(element),
    )


def _joined(elements: list[Element]) -> Actions:
    """The actions of several blocks of one kind, one after the other."""
    blocks = [_actions(e) for e in elements]
    return Actions(
        tuple(assignment for block in blocks for assignment in block.assignments),
        tuple(port for block in blocks for port in block.events),
    )


def _kinetics(element: Element) -> KineticScheme:
    return KineticScheme(
        element.get("name", "") or "",
        attribute(element, "nodes"),
        attribute(element, "stateVariable"),
        attribute(element, "edges"),
        attribute(element, "edgeSource"),
        attribute(element, "edgeTarget"),
        attribute(element, "forwardRate"),
        attribute(element, "reverseRate"),
    )
