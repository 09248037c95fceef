"""The differential equations in the form that NEURON's ``cnexp`` solves exactly, or as exactly as one step allows.

Every state becomes ``q' = b + a*q`` with a and b free of q, in variables computed just before. Where the equation is
not linear in q, it is linearised at the state's own value, q' = f(q0) + J*(q - q0): the exponential Rosenbrock-Euler
step (Hochbruck and Ostermann 2010, Exponential integrators, Acta Numerica 19), second order for a single state, and
exactly f(q0) when a variable-step method asks for the derivative. A state that drives another one enters it by the mean
of its old and new value, which keeps second order. Where both decay by themselves, at rates a and c, the exact mean is
smaller than that by 1 - (a*(a + c)*dt^2)/12 + O(dt^4), and the mean is divided by the inverse of this, which stays
positive: an alpha function then carries its charge to fourth order, however short it is against the step.
"""

from __future__ import annotations

import numpy as np

from ..lems.evaluate import evaluate
from ..lems.expression import Bin, Call, Cmp, Expr, Name, Num, Piecewise, names, substitute
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
    sequence = _drivers_first(closed, moving)
    saved = {other for row, name in enumerate(sequence) for other in names(closed[name]) & set(sequence[:row])}
    decays = {name: _decay(eq, closed[name], name) for name in sequence}
    for name in sequence:
        own = decays[name][0]
        drivers = {
            driver: divide(mean, _excess(decays[driver][0], own, 2.0 if halved else 1.0))
            if fixed_step and decays[driver][1] and own is not None
            else mean
            for driver, mean in means.items()
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


def _drivers_first(closed: dict[str, Expr], moving: list[str]) -> list[str]:
    """States in an order in which drivers come before what they drive, where there is one."""
    left, order = list(moving), []
    while left:
        free = [n for n in left if not (names(closed[n]) & (set(left) - {n}))]
        chosen = free[0] if free else left[0]
        order.append(chosen)
        left.remove(chosen)
    return order


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
