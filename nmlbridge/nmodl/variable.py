"""What a mechanism needs under variable steps: the times at which its equations jump.

A method that chooses its steps by the past sees nothing of a pulse that lies between two of its evaluations. NEURON's
``at_time`` names such a time: no step goes over it, and the integrator starts anew there. The times are those at which
a comparison with t changes, and the edges of the unit step H. They may depend on parameters and on what only events
change, since NEURON asks again whenever it starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..lems.expression import Call, Cmp, Expr, Logic, Name, Num, Piecewise, names, operands
from ..lems.flat import Assign, Condition
from .algebra import ZERO, divide, linear, negate, simplify, subtract
from .equations import Equations
from .mod import Line, Stmt, lifted
from .ode import derived_statements


@dataclass(frozen=True)
class Edges:
    """``times`` are expressions of parameters and discrete states; ``hidden``: there are others, in no closed form."""

    times: tuple[Expr, ...] = ()
    hidden: bool = False


def find_edges(eq: Equations, moving: set[str], expressions: Iterable[Expr]) -> Edges:
    """The times at which one of ``expressions`` jumps. ``moving`` are the names that change between events."""
    found: dict[Expr, None] = {}
    hidden = False
    clocks = eq.depends({"t"})
    for expr in expressions:
        if not names(expr) & clocks:
            continue
        for difference in _comparisons(eq.expand(expr, {"t"})):
            split = linear(simplify(eq.expand(difference, moving | {"t"})), "t")
            if split is None or names(split[0]) & moving:
                hidden = True
            elif names(split[1]) & moving or split[0] == Num(0.0):
                continue  # a threshold that moves: found by what it does to the equations
            else:
                found[simplify(divide(negate(split[1]), split[0]))] = None
    return Edges(tuple(found), hidden)


def edge_statements(eq: Equations, edges: Edges) -> list[Stmt]:
    """The statements of BREAKPOINT that tell NEURON the times."""
    body: list[Stmt] = derived_statements(eq, {name for time in edges.times for name in names(time)})
    for number, time in enumerate(edges.times):
        at = time if isinstance(time, Name) else Name(f"edge_{number}")
        if not isinstance(time, Name):
            body += lifted(f"edge_{number}", time)
        body.append(Line("at_time({0})", (at,)))
    return body


def _comparisons(expr: Expr) -> Iterator[Expr]:
    """For each comparison and unit step that involves t the difference whose sign matters."""
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Cmp) and "t" in names(node):
            yield simplify(subtract(node.left, node.right))
        elif isinstance(node, Call) and node.function in ("H", "ceil") and "t" in names(node):
            yield node.arg if node.function == "H" else node  # of ceil there is no end of times
        stack.extend(operands(node))


def bounded(eq: Equations) -> Equations:
    """Turn conditions that set a moving state back to a bound into derivatives that are zero beyond it.

    For density mechanisms, which take no events. Nothing may set a state behind the integrator's back.
    """
    derivatives, kept = dict(eq.derivatives), []
    for condition in eq.conditions:
        bound = _bound(condition, derivatives)
        if bound is None:
            kept.append(condition)
            continue
        name, beyond, below = bound
        rate = derivatives[name]
        outward = Cmp("<" if below else ">", eq.expand(rate, {name, "v"}), ZERO)
        derivatives[name] = Piecewise(((Logic("and", beyond, outward), ZERO), (None, rate)))
    return replace(eq, derivatives=derivatives, conditions=kept)


def _bound(condition: Condition, moving: dict[str, Expr]) -> tuple[str, Cmp, bool] | None:
    """(state, test, whether it is a lower bound) of "if x < limit then x = limit", or the same with >."""
    test, actions = condition.test, condition.actions
    if condition.regime is not None or len(actions) != 1 or not isinstance(test, Cmp) or test.op in ("==", "!="):
        return None
    action, state = actions[0], test.left
    if not isinstance(action, Assign) or not isinstance(state, Name) or state.id != action.variable:
        return None
    if state.id not in moving or action.expr != test.right:
        return None
    return state.id, test, test.op in ("<", "<=")
