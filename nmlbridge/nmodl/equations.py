"""Equations: the system that the passes work on, shared by all components of equal structure.

One Equations stands for a whole group of FlatComponents that differ in numbers only (and in the ids their names come
from). Expressions are shared; ``values`` holds each number as an array with one entry per member of the group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UnsupportedError
from ..lems.expression import Bin, Expr, Name, names, operands, substitute, to_text
from ..lems.flat import Action, Assign, Condition, Emit, Event, External, FlatComponent, Kinetics, Transition
from ..units import Dimension

Array = npt.NDArray[np.float64]
MAX_NODES = 20_000  # of a formula; what hangs together makes some hundreds in published models


@dataclass
class Equations:
    """See the module docstring. Names are those of the first member."""

    id: str
    type: str
    values: dict[str, Array]
    properties: dict[str, Array]
    externals: dict[str, External]
    states: dict[str, bool]
    """state -> whether it is the number of a regime"""
    derived: dict[str, Expr]
    derivatives: dict[str, Expr]
    kinetics: list[Kinetics]
    on_start: list[Assign]
    conditions: list[Condition]
    events: list[Event]
    dimensions: dict[str, Dimension]
    paths: dict[str, str]
    out_ports: tuple[str, ...] = ()
    in_ports: tuple[str, ...] = ()
    keep: set[str] = field(default_factory=set)
    """names that must survive as variables because they are recorded"""
    factors: dict[str, float] = field(default_factory=dict)
    """name -> what its SI value was multiplied with (set by the scaling pass)"""

    @property
    def members(self) -> int:
        """How many components share these equations."""
        arrays = [*self.values.values(), *self.properties.values()]
        return len(arrays[0]) if arrays else 1

    @property
    def reactions(self) -> list[Condition | Event]:
        """Conditions and events: everything that has actions."""
        return [*self.conditions, *self.events]

    def expressions(self) -> Iterator[Expr]:
        """Every expression of the system."""
        yield from self.derived.values()
        yield from self.derivatives.values()
        for assign in self.on_start:
            yield assign.expr
        for condition in self.conditions:
            yield condition.test
            yield from (a.expr for a in condition.actions if isinstance(a, Assign))
        for event in self.events:
            yield from (a.expr for a in event.actions if isinstance(a, Assign))

    def used(self) -> set[str]:
        """All names that any expression mentions."""
        found: set[str] = set()
        for expr in self.expressions():
            found |= names(expr)
        for scheme in self.kinetics:
            for step in scheme.transitions:
                found |= {rate for rate in (step.forward, step.reverse) if rate}
        return found

    def map(self, change: Callable[[Expr], Expr]) -> Equations:
        """A copy with ``change(expr)`` applied to every expression."""

        def actions(items: Iterable[Action]) -> tuple[Action, ...]:
            return tuple(Assign(a.variable, change(a.expr)) if isinstance(a, Assign) else a for a in items)

        return replace(
            self,
            derived={name: change(expr) for name, expr in self.derived.items()},
            derivatives={name: change(expr) for name, expr in self.derivatives.items()},
            on_start=[Assign(a.variable, change(a.expr)) for a in self.on_start],
            conditions=[replace(c, test=change(c.test), actions=actions(c.actions)) for c in self.conditions],
            events=[replace(e, actions=actions(e.actions)) for e in self.events],
        )

    def depends(self, on: set[str]) -> set[str]:
        """``on`` and every derived variable that needs one of them, directly or not."""
        reached = set(on)
        for name, expr in self.derived.items():
            if names(expr) & reached:
                reached.add(name)
        return reached

    def expand(self, expr: Expr, on: set[str]) -> Expr:
        """Inline the derived variables that depend on any of the names ``on``.

        Raises UnsupportedError where the outcome would be huge: each variable that is used twice doubles it.
        """
        reached = self.depends(on)
        mapping: dict[str, Expr] = {}
        sizes: dict[str, int] = {}
        for name, value in self.derived.items():
            if name in reached and name not in on:
                sizes[name] = _size(value, sizes)
                if sizes[name] <= MAX_NODES:
                    mapping[name] = substitute(value, mapping)
        if _size(expr, sizes) > MAX_NODES:
            raise UnsupportedError(
                f"'{self.id}' ({self.type}): its derived variables, each put into the next, make a formula of "
                f"more than {MAX_NODES} parts"
            )
        return substitute(expr, mapping)


def _size(expr: Expr, sizes: Mapping[str, int]) -> int:
    """How many nodes an expression has once the names in ``sizes`` are replaced by something of that size."""
    total, stack = 0, [expr]
    while stack:
        node = stack.pop()
        total += sizes.get(node.id, 1) if isinstance(node, Name) else 1
        stack += operands(node)
    return total


def from_flat(members: Sequence[FlatComponent]) -> Equations:
    """One Equations for FlatComponents with equal ``structure_key``; names follow the first."""
    first = members[0]

    def column(get: str) -> dict[str, Array]:
        names_of = [list(getattr(member, get)) for member in members]
        attribute = "value" if get == "parameters" else "default"
        return {
            name: np.array(
                [getattr(getattr(m, get)[names_of[k][row]], attribute) for k, m in enumerate(members)], dtype=float
            )
            for row, name in enumerate(names_of[0])
        }

    dimensions: dict[str, Dimension] = {}
    tables: list[dict[str, Any]] = [
        dict(first.parameters), dict(first.properties), dict(first.externals), dict(first.states), dict(first.derived),
    ]  # fmt: skip
    for table in tables:
        dimensions.update({name: item.dimension for name, item in table.items()})
    return Equations(
        id=first.id,
        type=first.type,
        values=column("parameters"),
        properties=column("properties"),
        externals=dict(first.externals),
        states={name: state.regime for name, state in first.states.items()},
        derived={name: item.expr for name, item in first.derived.items()},
        derivatives=dict(first.derivatives),
        kinetics=list(first.kinetics),
        on_start=list(first.on_start),
        conditions=list(first.conditions),
        events=list(first.events),
        dimensions=dimensions,
        paths=dict(first.paths),
        out_ports=first.out_ports,
        in_ports=first.in_ports,
    )


def structure_key(flat: FlatComponent, context: Iterable[str] = ()) -> str:
    """A hash that is equal for components that can share one mechanism.

    Names are replaced by their position, so ids do not matter; numbers do not matter either, except those used as
    exponents (a shared mechanism would need a general power).
    ``context`` adds what else must agree (role, ions, recorded variables by position).
    """
    position: dict[str, Expr] = {}
    shape: list[str] = [flat.type]
    tables: list[tuple[str, dict[str, Any]]] = [
        ("p", dict(flat.parameters)), ("w", dict(flat.properties)), ("s", dict(flat.states)), ("d", dict(flat.derived)),
    ]  # fmt: skip
    for kind, table in tables:
        for row, (name, item) in enumerate(table.items()):
            position[name] = Name(f"{kind}{row}")
            shape.append(f"{kind}{row} {item.dimension}{' r' if getattr(item, 'regime', False) else ''}")
    shape += [f"x {name} {item.kind} {item.target} {item.reduce}" for name, item in flat.externals.items()]

    def text(expr: Expr) -> str:
        return to_text(substitute(expr, position))

    def actions(items: Iterable[Action]) -> str:
        return "; ".join(
            f"emit {a.port}" if isinstance(a, Emit) else f"{at(a.variable)} = {text(a.expr)}" for a in items
        )

    def at(name: str | None) -> str:
        return "" if name is None else text(Name(name))

    def guard(regime: tuple[str, int] | None) -> str:
        return "" if regime is None else f"in {at(regime[0])}={regime[1]}"

    shape += [f"d{row} = {text(item.expr)}" for row, item in enumerate(flat.derived.values())]
    shape += [f"{at(name)}' = {text(expr)}" for name, expr in flat.derivatives.items()]
    for scheme in flat.kinetics:
        shape.append("kinetic " + " ".join(at(state) for state in scheme.states))
        shape += [f"{at(s.source)}>{at(s.target)} {at(s.forward)} {at(s.reverse)}" for s in scheme.transitions]
    shape += [f"start {actions([assign])}" for assign in flat.on_start]
    shape += [f"when {guard(c.regime)} {text(c.test)} do {actions(c.actions)}" for c in flat.conditions]
    shape += [f"on {e.port} {guard(e.regime)} do {actions(e.actions)}" for e in flat.events]
    shape += [f"exponent {text(Name(name))} {flat.parameters[name].value!r}" for name in sorted(_exponents(flat))]
    shape.append("ports " + " ".join((*flat.in_ports, ">", *flat.out_ports)))
    shape += sorted(context)
    return hashlib.sha256("\n".join(shape).encode()).hexdigest()


def _exponents(flat: FlatComponent) -> set[str]:
    found: set[str] = set()
    stack: list[Expr] = [item.expr for item in flat.derived.values()]
    stack += list(flat.derivatives.values())
    while stack:
        node = stack.pop()
        if isinstance(node, Bin) and node.op == "^":
            found |= names(node.right) & set(flat.parameters)
        stack.extend(operands(node))
    return found


def rename(eq: Equations, new: dict[str, str]) -> Equations:
    """The same equations with every declared name replaced (names not in ``new`` stay)."""
    mapping: dict[str, Expr] = {old: Name(name) for old, name in new.items()}

    def at(name: str) -> str:
        return new.get(name, name)

    def actions(items: Iterable[Action]) -> tuple[Action, ...]:
        return tuple(Assign(at(a.variable), a.expr) if isinstance(a, Assign) else a for a in items)

    def guard(regime: tuple[str, int] | None) -> tuple[str, int] | None:
        return None if regime is None else (at(regime[0]), regime[1])

    eq = eq.map(lambda expr: substitute(expr, mapping))
    return replace(
        eq,
        values={at(n): a for n, a in eq.values.items()},
        properties={at(n): a for n, a in eq.properties.items()},
        externals={at(n): x for n, x in eq.externals.items()},
        states={at(n): r for n, r in eq.states.items()},
        derived={at(n): e for n, e in eq.derived.items()},
        derivatives={at(n): e for n, e in eq.derivatives.items()},
        kinetics=[
            Kinetics(
                tuple(at(s) for s in k.states),
                tuple(
                    Transition(at(s.source), at(s.target), s.forward and at(s.forward), s.reverse and at(s.reverse))
                    for s in k.transitions
                ),
            )
            for k in eq.kinetics
        ],
        on_start=[Assign(at(a.variable), a.expr) for a in eq.on_start],
        conditions=[replace(c, actions=actions(c.actions), regime=guard(c.regime)) for c in eq.conditions],
        events=[replace(e, actions=actions(e.actions), regime=guard(e.regime)) for e in eq.events],
        dimensions={at(n): d for n, d in eq.dimensions.items()},
        paths={path: at(n) for path, n in eq.paths.items()},
        keep={at(n) for n in eq.keep},
        factors={at(n): f for n, f in eq.factors.items()},
    )
