"""Kinetic schemes: two states become one exponential equation, more become a KINETIC block.

Both start in the steady state at the initial voltage, as NEURON users expect (jLEMS starts with all occupancy in the
first state listed; the difference decays with the slowest rate).
"""

from __future__ import annotations

from dataclasses import replace

from ..lems.expression import Expr, Name, Num
from ..lems.flat import Assign, Kinetics
from .algebra import ONE, ZERO, add, divide, multiply, subtract
from .equations import Equations
from .fold import ordered
from .mod import Line, Set, Stmt
from .ode import derived_statements


def reduce_pairs(eq: Equations) -> Equations:
    """Turn every scheme of two states into ``x' = r*(1 - x) - f*x``."""
    derived, derivatives = dict(eq.derived), dict(eq.derivatives)
    states, starts, kept = dict(eq.states), list(eq.on_start), []
    for scheme in eq.kinetics:
        if len(scheme.states) != 2:
            kept.append(scheme)
            continue
        first, second = scheme.states
        leave, arrive = _flows(scheme, first)
        rest = subtract(ONE, Name(first))
        derived[second] = rest
        derivatives[first] = subtract(multiply(arrive, rest), multiply(leave, Name(first)))
        del states[second]
        starts = [a for a in starts if a.variable not in scheme.states]
        starts.append(Assign(first, divide(arrive, add(arrive, leave))))
    if len(kept) == len(eq.kinetics):
        return eq
    return replace(eq, derived=ordered(derived), derivatives=derivatives, states=states, on_start=starts, kinetics=kept)


def _flows(scheme: Kinetics, state: str) -> tuple[Expr, Expr]:
    """(rate out of the state, rate into it) in a scheme of two states."""
    leave: Expr = ZERO
    arrive: Expr = ZERO
    for step in scheme.transitions:
        forward = Name(step.forward) if step.forward else ZERO
        reverse = Name(step.reverse) if step.reverse else ZERO
        if step.source == state:
            leave, arrive = add(leave, forward), add(arrive, reverse)
        else:
            leave, arrive = add(leave, reverse), add(arrive, forward)
    return leave, arrive


def blocks(eq: Equations) -> list[tuple[str, tuple[Stmt, ...]]]:
    """The KINETIC blocks, named kinetic1, kinetic2 ..., with their rates computed inside."""
    per_ms = 1.0 if eq.factors.get("t") == 1e3 else 1e-3
    found = []
    for number, scheme in enumerate(eq.kinetics, 1):
        rates = {rate for step in scheme.transitions for rate in (step.forward, step.reverse) if rate}
        body: list[Stmt] = derived_statements(eq, rates)
        for row, step in enumerate(scheme.transitions):
            forward, reverse = (
                multiply(Num(per_ms), Name(rate)) if rate else ZERO for rate in (step.forward, step.reverse)
            )
            body += [Set(f"f{number}_{row}_", forward), Set(f"r{number}_{row}_", reverse)]
        for row, step in enumerate(scheme.transitions):
            body.append(Line(f"~ {step.source} <-> {step.target} (f{number}_{row}_, r{number}_{row}_)"))
        body.append(Line(f"CONSERVE {' + '.join(scheme.states)} = 1"))
        found.append((f"kinetic{number}", tuple(body)))
    return found
