"""Folding, inlining and pruning: what is constant is computed here, once, in double precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..lems.evaluate import evaluate
from ..lems.expression import (
    Bin,
    Call,
    Cmp,
    Expr,
    Logic,
    Name,
    Num,
    Piecewise,
    calls,
    names,
    operands,
    rebuild,
    substitute,
)
from .algebra import simplify
from .equations import Array, Equations


def fold(eq: Equations) -> Equations:
    """Replace every constant sub-expression by its number, or by a new parameter where members of the group differ.

    Derived variables that depend on numbers only become numbers themselves. Properties stay: they differ per instance.
    """
    values = dict(eq.values)
    known: dict[tuple[float, ...], str] = {}
    folded: dict[str, Expr] = {}

    def constant(expr: Expr) -> bool:
        return names(expr) <= values.keys() and not calls(expr, "random")

    def number(expr: Expr) -> Expr:
        column = np.broadcast_to(np.asarray(evaluate(expr, values), dtype=float), (eq.members,))
        if np.all(column == column[0]) and np.isfinite(column[0]):
            return Num(float(column[0]))
        if isinstance(expr, Name):
            return expr
        key = tuple(column.tolist())
        if key not in known:
            name = f"k{len(known) + 1}"
            while name in eq.dimensions or name in values:
                name += "_"
            known[key] = name
            values[name] = np.array(column)
        return Name(known[key])

    def visit(expr: Expr) -> Expr:
        expr = substitute(expr, folded)
        if isinstance(expr, Num):
            return expr
        if not isinstance(expr, (Cmp, Logic)) and constant(expr):
            return number(expr)
        parts = tuple(visit(part) for part in operands(expr))
        return rebuild(expr, parts) if parts else expr

    derived: dict[str, Expr] = {}
    for name, expr in eq.derived.items():
        new = visit(expr)
        derived[name] = new
        if isinstance(new, Num) or (isinstance(new, Name) and new.id in values):
            folded[name] = new
    result = replace(eq, derived=derived)
    result = result.map(lambda expr: simplify(visit(expr)))
    return replace(result, values=values)


def inline(eq: Equations) -> Equations:
    """Put derived variables that are plain arithmetic into the expressions that use them.

    Function calls, conditions and powers stay variables of their own, so that they are computed once.
    """
    mapping: dict[str, Expr] = {}
    derived: dict[str, Expr] = {}
    for name, expr in eq.derived.items():
        expr = simplify(substitute(expr, mapping))
        derived[name] = expr
        if _plain(expr):
            mapping[name] = expr
    result = replace(eq, derived=derived)
    result = result.map(lambda expr: simplify(substitute(expr, mapping)))
    return replace(result, derived=derived)


def _plain(expr: Expr, size: int = 40) -> bool:
    stack, count = [expr], 0
    while stack:
        node = stack.pop()
        count += 1
        if isinstance(node, (Call, Piecewise, Cmp, Logic)) or count > size:
            return False
        if isinstance(node, Bin) and node.op == "^" and not small_power(node):
            return False
        stack.extend(operands(node))
    return True


def small_power(expr: Bin) -> int:
    """The exponent if it is a whole number from 2 to 8 (printed as a product), else 0."""
    if isinstance(expr.right, Num) and expr.right.value == int(expr.right.value) and 2 <= expr.right.value <= 8:
        return int(expr.right.value)
    return 0


def prune(eq: Equations, outputs: set[str]) -> Equations:
    """Drop the derived variables, states and parameters that nothing in ``outputs`` needs."""
    needed: set[str] = set(outputs) | eq.keep
    roots = set(needed)
    for condition in eq.conditions:
        roots |= names(condition.test)
    while True:
        before = len(needed)
        needed |= roots
        for name in [n for n in reversed(list(eq.derived)) if n in needed]:
            needed |= names(eq.derived[name])
        for name, expr in eq.derivatives.items():
            if name in needed:
                needed |= names(expr)
        for group in eq.reactions:
            for action in group.actions:
                variable = getattr(action, "variable", None)
                if variable in needed or variable is None:
                    needed |= names(action.expr) if hasattr(action, "expr") else set()
        for assign in eq.on_start:
            if assign.variable in needed:
                needed |= names(assign.expr)
        for scheme in eq.kinetics:
            if needed & set(scheme.states):
                needed |= set(scheme.states)
                needed |= {r for s in scheme.transitions for r in (s.forward, s.reverse) if r}
        for group in eq.reactions:
            if group.regime is not None:
                needed.add(group.regime[0])
        for name in [n for n in reversed(list(eq.derived)) if n in needed]:
            needed |= names(eq.derived[name])
        if len(needed) == before:
            break

    def live(actions: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(a for a in actions if getattr(a, "variable", None) is None or a.variable in needed)  # type: ignore[attr-defined]

    conditions = [replace(c, actions=live(c.actions)) for c in eq.conditions]  # type: ignore[arg-type]
    return replace(
        eq,
        states={n: r for n, r in eq.states.items() if n in needed},
        derived={n: e for n, e in eq.derived.items() if n in needed},
        derivatives={n: e for n, e in eq.derivatives.items() if n in needed},
        kinetics=[k for k in eq.kinetics if needed & set(k.states)],
        on_start=[a for a in eq.on_start if a.variable in needed],
        conditions=[c for c in conditions if c.actions],
        events=[replace(e, actions=live(e.actions)) for e in eq.events],  # type: ignore[arg-type]
    )


def ordered(derived: dict[str, Expr]) -> dict[str, Expr]:
    """The derived variables in dependency order (they have no cycles: flattening has checked)."""
    result: dict[str, Expr] = {}

    def place(name: str) -> None:
        if name in result or name not in derived:
            return
        for used in sorted(names(derived[name])):
            place(used)
        result[name] = derived[name]

    for name in derived:
        place(name)
    return result


def constants(eq: Equations, *more: Expr) -> dict[str, Array]:
    """The parameters that are left as names, in the equations or in the expressions given besides."""
    used = eq.used().union(*(names(expr) for expr in more))
    return {name: column for name, column in eq.values.items() if name in used}
