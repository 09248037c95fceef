"""The hold pass: a state that only level-triggered conditions on time assign is a function of time.

pulseGenerator, sineGenerator, rampGenerator and the voltage clamps of the core write their current as a state that
OnConditions set at every step. Taken as a Piecewise in time it is exact at any step, and NEURON sees the conductance of
a clamp. Source: LEMS 0.7.6, OnCondition is looked at after every step; later conditions override earlier ones.

Not held is what is drawn at random, as each look at a function would draw anew, and what is computed from a memory that
the same step goes on to change (``x = a * old + noise; old = x``): a look afterwards would compute it a second time.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..lems.evaluate import evaluate
from ..lems.expression import Cmp, Expr, Num, Piecewise, calls, names, operands
from ..lems.flat import Assign, Condition
from .algebra import linear, simplify, subtract
from .equations import Equations
from .fold import ordered


def hold(eq: Equations) -> Equations:
    """Turn held states into derived variables where the conditions leave no gap in time."""
    fixed = set(eq.values) | {"t"}
    assigned_elsewhere = {a.variable for e in eq.events for a in e.actions if isinstance(a, Assign)}
    groups: dict[str, list[tuple[Condition, Assign]]] = {}
    refused: set[str] = set(assigned_elsewhere) | set(eq.derivatives)
    for scheme in eq.kinetics:
        refused |= set(scheme.states)
    for condition in eq.conditions:
        plain = (
            condition.regime is None
            and names(condition.test) <= fixed
            and all(isinstance(action, Assign) for action in condition.actions)
        )
        for action in condition.actions:
            if isinstance(action, Assign):
                groups.setdefault(action.variable, []).append((condition, action))
                if not plain:
                    refused.add(action.variable)
    held: dict[str, Expr] = {}
    for variable, pairs in groups.items():
        if variable in refused or variable not in eq.states:
            continue
        if any(eq.depends({variable}) & names(action.expr) for _, action in pairs):
            continue
        if any(calls(action.expr, "random") for _, action in pairs):
            continue
        if _outdated(eq, variable) or _read_before(eq, variable):
            continue
        if not _no_gap(eq, [condition.test for condition, _ in pairs]):
            continue
        start = [a.expr for a in eq.on_start if a.variable == variable]
        cases: list[tuple[Expr | None, Expr]] = [(c.test, a.expr) for c, a in reversed(pairs)]
        held[variable] = Piecewise((*cases, (None, start[-1] if start else Num(0.0))))
    if not held:
        return eq
    conditions = []
    for condition in eq.conditions:
        actions = tuple(a for a in condition.actions if not (isinstance(a, Assign) and a.variable in held))
        if actions:
            conditions.append(replace(condition, actions=actions))
    return replace(
        eq,
        states={name: regime for name, regime in eq.states.items() if name not in held},
        derived=ordered({**eq.derived, **held}),
        on_start=[a for a in eq.on_start if a.variable not in held],
        conditions=conditions,
    )


def _order(eq: Equations) -> list[tuple[int, str, set[str]]]:
    """The assignments of a step as they are made: number of the condition, variable, and what it is computed from."""
    return [
        (row, action.variable, set(names(action.expr)))
        for row, condition in enumerate(eq.conditions)
        for action in condition.actions
        if isinstance(action, Assign)
    ]


def _read_before(eq: Equations, variable: str) -> bool:
    """Whether something reads ``variable`` in a step before it is assigned, and so means its value of the last step."""
    reach = eq.depends({variable})
    for _, name, used in _order(eq):
        if name == variable:
            return False
        if used & reach:
            return True
    return False


def _outdated(eq: Equations, variable: str) -> bool:
    """Whether what ``variable`` is computed from is assigned after it in the same step, and it is not then itself."""
    order = _order(eq)
    sources = {name: eq.depends({name}) for name in {name for _, name, _ in order} - {variable}}
    again = {row for row, name, _ in order if name == variable}
    for place, (row, name, used) in enumerate(order):
        if name != variable:
            continue
        needed: set[str] = set()
        grown = {source for source, reach in sources.items() if reach & used}
        while grown - needed:
            needed |= grown
            further = set().union(*(u for _, n, u in order if n in needed))
            grown = {source for source, reach in sources.items() if reach & further}
        if any(n in needed and (r == row or r not in again) for r, n, _ in order[place + 1 :]):
            return True
    return False


def edges(eq: Equations, tests: list[Expr]) -> list[np.ndarray] | None:
    """For each comparison with time in ``tests`` the times at which it changes, one per member; None if not linear."""
    found = []
    for test in tests:
        stack = [test]
        while stack:
            node = stack.pop()
            if isinstance(node, Cmp):
                if "t" in names(node):
                    split = linear(simplify(subtract(node.left, node.right)), "t")
                    if split is None:
                        return None
                    slope, rest = (np.broadcast_to(evaluate(part, eq.values), (eq.members,)) for part in split)
                    with np.errstate(all="ignore"):
                        found.append(-rest / slope)
            else:
                stack.extend(operands(node))
    return found


def _no_gap(eq: Equations, tests: list[Expr]) -> bool:
    times = edges(eq, tests)
    if times is None:
        return False
    for member in range(eq.members):
        marks = sorted({float(column[member]) for column in times if np.isfinite(column[member])} | {0.0})
        marks = [m for m in marks if m >= 0]
        middles = [(a + b) / 2 for a, b in pairwise(marks)] + [marks[-1] + 1.0]
        env = {name: column[member] for name, column in eq.values.items()}
        matched = [any(bool(evaluate(test, {**env, "t": t})) for test in tests) for t in middles]
        if True in matched and False in matched[matched.index(True) :]:
            return False
    return True
