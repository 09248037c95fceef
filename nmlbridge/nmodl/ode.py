"""The differential equations in the form that NEURON's ``cnexp`` solves exactly, or as exactly as one step allows.

Every state becomes ``q' = b + a*q`` with a and b free of q, in variables computed just before. Where the equation is
not linear in q, it is linearised at the state's own value, q' = f(q0) + J*(q - q0): the exponential Rosenbrock-Euler
step (Hochbruck and Ostermann 2010, Exponential integrators, Acta Numerica 19), second order for a single state, and
exactly f(q0) when a variable-step method asks for the derivative. A state that drives another one enters it by the mean
of its old and new value, which keeps second order. Where both decay by themselves, at rates a and c, the exact mean is
smaller than that by 1 - (a*(a + c)*dt^2)/12 + O(dt^4), and the mean is divided by the inverse of this, which stays
positive: an alpha function then carries its charge to fourth order, however short it is against the step.

Where states drive each other in a circle (a cell whose voltages are states of its own), a few of them have to move
last, and the others need their value at the middle of the step before that. It is foretold by half a step from the
beginning, which keeps second order at the price of one more look at these few derivatives.
"""

from __future__ import annotations

import numpy as np

from ..lems.evaluate import evaluate
from ..lems.expression import Bin, Call, Cmp, Expr, Name, Num, Piecewise, calls, names, substitute
from .algebra import ZERO, add, derivative, divide, linear, multiply, simplify, subtract
from .equations import Equations
from .mod import If, Rate, Set, Stmt, lifted

SMALL_SLOPE = 1e-9  # 1/ms: below it cnexp's quotient would be 0/0; the decay it adds is 1e-9 per ms


def derivative_block(eq: Equations, fixed_step: bool = True, halved: bool = False) -> tuple[Stmt, ...]:
    """The body of ``DERIVATIVE states``; empty if no state has a time derivative.

    Without ``fixed_step`` it holds no term that depends on dt, as a variable-step method needs it.
    ``halved``: where a mechanism has a kinetic scheme too, NEURON's second-order steps run all of its SOLVE statements
    with half of dt, and extrapolate the scheme alone. Twice the slope over half the step makes up for it.
    """
    moving = [name for name in eq.states if name in eq.derivatives]
    if not moving:
        return ()
    closed = {name: simplify(eq.expand(eq.derivatives[name], set(moving))) for name in moving}
    body: list[Stmt] = []
    needed = {used for expr in closed.values() for used in names(expr)}
    body += derived_statements(eq, needed)
    means: dict[str, Expr] = {}
    noisy = any(calls(rate, "random") for rate in closed.values())  # a second look would draw a second number
    circular = _circular(closed, moving) if fixed_step and not noisy else []
    sequence = _drivers_first(closed, moving, circular)
    for name in circular:
        body += _foretold(name, closed[name], 2.0 if halved else 1.0)
        means[name] = Name(f"{name}_mid")
    saved = {other for row, name in enumerate(sequence) for other in names(closed[name]) & set(sequence[:row])}
    decays = {name: _decay(eq, closed[name], name) for name in sequence}
    for name in sequence:
        own = decays[name][0]
        drivers = {
            driver: divide(mean, _excess(decays[driver][0], own, 2.0 if halved else 1.0))
            if fixed_step and decays[driver][1] and own is not None
            else mean
            for driver, mean in means.items()
            if driver != name
        }
        rate = simplify(substitute(closed[name], drivers))
        if name in saved:
            body.append(Set(f"{name}_old", Name(name)))
        body += _step(name, rate)
        if name in saved:
            means[name] = multiply(Num(0.5), add(Name(f"{name}_old"), Name(name)))
    if halved:
        body = [Rate(s.name, Bin("*", Num(2.0), s.expr)) if isinstance(s, Rate) else s for s in body]
    return tuple(body)


def _decay(eq: Equations, rate: Expr, name: str) -> tuple[Expr | None, bool]:
    """The constant rate (1/ms) at which a state decays, None if it does not; whether it does nothing else."""
    split = linear(rate, name)
    if split is None:
        return None, False
    slope = simplify(split[0])
    negative = (
        slope.value < 0
        if isinstance(slope, Num)
        else names(slope) <= set(eq.values) and bool((_values(eq, slope) < 0).all())
    )
    return (slope, simplify(split[1]) == ZERO) if negative else (None, False)


def _values(eq: Equations, expr: Expr) -> np.ndarray:
    """The value of an expression of parameters, for each member."""
    return np.asarray(evaluate(expr, {name: eq.values[name] for name in names(expr)}))


def _excess(driver: Expr | None, driven: Expr, steps: float) -> Expr:
    """By what the mean of the ends exceeds what a decaying driver really gives to what it drives.

    The step is ``steps`` times NEURON's dt there.
    """
    assert driver is not None
    square = multiply(Name("dt"), Name("dt"))
    return add(Num(1.0), multiply(Num(steps * steps / 12), simplify(multiply(driver, add(driver, driven))), square))


def derived_statements(eq: Equations, needed: set[str]) -> list[Stmt]:
    """Assignments of the derived variables that ``needed`` asks for, in dependency order."""
    wanted = set(needed)
    for name in reversed(list(eq.derived)):
        if name in wanted:
            wanted |= names(eq.derived[name])
    body: list[Stmt] = []
    for name, expr in eq.derived.items():
        if name in wanted:
            body += lifted(name, expr)
    return body


def _circular(closed: dict[str, Expr], moving: list[str]) -> list[str]:
    """Few states without which no state drives itself by way of others, in the order of ``moving``."""
    drivers = {name: (names(closed[name]) & set(moving)) - {name} for name in moving}
    found: set[str] = set()
    while True:
        live = set(drivers)
        while ends := {
            name for name in live if not drivers[name] & live or not any(name in drivers[other] for other in live)
        }:
            live -= ends
        if not live:
            return [name for name in moving if name in found]
        weight = {n: len(drivers[n] & live) * sum(n in drivers[other] for other in live) for n in live}
        chosen = max((n for n in moving if n in live), key=lambda n: weight[n])
        found.add(chosen)
        del drivers[chosen]


def _foretold(name: str, rate: Expr, steps: float) -> list[Stmt]:
    """Set the value of a state at the middle of the step, from all values at its beginning.

    Growth is foretold as that of at most one e-fold in a step, so that what runs away (a spike that a reset ends) does
    not run out of numbers here.
    """
    mid, slope, flow = f"{name}_mid", f"{name}_mid_a", f"{name}_mid_f"
    half = multiply(Num(0.5 * steps), Name("dt"))
    body = lifted(flow, rate)
    jacobian = derivative(rate, name)
    own = simplify(jacobian) if jacobian is not None else ZERO
    if own == ZERO:
        return [*body, Set(mid, add(Name(name), multiply(half, Name(flow))))]
    body += lifted(slope, own)
    limit = Bin("/", Num(1.0 / steps), Name("dt"))
    body.append(If(((Cmp(">", Name(slope), limit), (Set(slope, limit),)),)))
    body.append(_guard(slope))
    passed = Bin("/", Bin("-", Call("exp", Bin("*", Name(slope), half)), Num(1.0)), Name(slope))
    return [*body, Set(mid, add(Name(name), Bin("*", Name(flow), passed)))]


def _drivers_first(closed: dict[str, Expr], moving: list[str], last: list[str]) -> list[str]:
    """States in an order in which drivers come before what they drive, but for those that move ``last``."""
    left, order = [name for name in moving if name not in last], []
    while left:
        free = [n for n in left if not (names(closed[n]) & (set(left) - {n}))]
        chosen = free[0] if free else left[0]
        order.append(chosen)
        left.remove(chosen)
    return [*order, *last]


def _step(name: str, rate: Expr) -> list[Stmt]:
    split = linear(rate, name)
    if split is not None:
        slope, rest = simplify(split[0]), simplify(split[1])
        if slope == ZERO:
            body = lifted(f"{name}_b", rest)
            return [*body, Rate(name, Name(f"{name}_b"))]
        if isinstance(slope, Num):
            return [*lifted(f"{name}_b", rest), Rate(name, add(Name(f"{name}_b"), multiply(slope, Name(name))))] \
                if rest != ZERO else [Rate(name, multiply(slope, Name(name)))]  # fmt: skip
        body = lifted(f"{name}_a", slope)
        if isinstance(slope, Piecewise):
            body.append(_guard(f"{name}_a"))
    else:
        jacobian = derivative(rate, name)
        value = lifted(f"{name}_f", rate)
        if jacobian is None:
            # no closed form (random, steps): one explicit step
            return [*value, Rate(name, Name(f"{name}_f"))]
        body = [Set(f"{name}_q", Name(name)), *value, *lifted(f"{name}_a", simplify(jacobian)), _guard(f"{name}_a")]
        rest = subtract(Name(f"{name}_f"), multiply(Name(f"{name}_a"), Name(f"{name}_q")))
    if rest == ZERO:
        return [*body, Rate(name, Bin("*", Name(f"{name}_a"), Name(name)))]
    body += lifted(f"{name}_b", rest)
    return [*body, Rate(name, Bin("+", Name(f"{name}_b"), Bin("*", Name(f"{name}_a"), Name(name))))]


def _guard(slope: str) -> Stmt:
    small = Cmp("<", Call("abs", Name(slope)), Num(SMALL_SLOPE))
    return If(((small, (Set(slope, Num(-SMALL_SLOPE)),)),))
