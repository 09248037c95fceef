"""Do the dimensions of a flat component agree? They are inferred through all of its expressions.

Literals are plain numbers, but a bare 0 fits anything. What cannot be inferred is taken to fit, so that one mistake is
reported once. Source: LEMS 0.7.6 on dimensions; jLEMS is the model for what functions accept.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..units import NONE, Dimension
from .expression import Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, Piecewise, to_text
from .flat import Assign, FlatComponent

TIME = Dimension(t=1)
# the dimension of the argument is that of the result
_KEEPS = frozenset(("abs", "ceil", "floor", "random"))


@dataclass(frozen=True)
class Problem:
    """A disagreement: ``where`` it is (a variable or a condition), the expression's text, and what clashes."""

    where: str
    text: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} in '{self.text}'"


def check_dimensions(flat: FlatComponent) -> list[Problem]:
    """All disagreements between the dimensions in ``flat``; empty if it is coherent in every system of units."""
    known: dict[str, Dimension] = {"t": TIME}
    for group in (flat.parameters, flat.properties, flat.externals, flat.states, flat.derived):
        for name, member in group.items():
            known[name] = member.dimension
    checker = _Checker(known)
    for name, variable in flat.derived.items():
        checker.fits(name, variable.expr, variable.dimension)
    for name, expr in flat.derivatives.items():
        checker.fits(f"d({name})/dt", expr, known[name] / TIME)
    groups = [("OnStart", flat.on_start)]
    for condition in flat.conditions:
        checker.fits("OnCondition", condition.test, NONE)
        groups.append(("OnCondition", [a for a in condition.actions if isinstance(a, Assign)]))
    for event in flat.events:
        groups.append(("OnEvent", [a for a in event.actions if isinstance(a, Assign)]))
    for where, actions in groups:
        for assign in actions:
            checker.fits(f"{where}, {assign.variable}", assign.expr, known[assign.variable])
    for scheme in flat.kinetics:
        for transition in scheme.transitions:
            for rate in (transition.forward, transition.reverse):
                if rate is not None:
                    checker.fits("KineticScheme", Name(rate), NONE / TIME)
    return list(dict.fromkeys(checker.problems))


class _Checker:
    def __init__(self, known: dict[str, Dimension]) -> None:
        self.known = known
        self.problems: list[Problem] = []
        self.where = ""

    def fits(self, where: str, expr: Expr, expected: Dimension) -> None:
        self.where = where
        found = self.infer(expr)
        if found is not None and found != expected:
            self.say(expr, f"found {found}, expected {expected}")

    def say(self, expr: Expr, message: str) -> None:
        text = to_text(expr)
        self.problems.append(Problem(self.where, text if len(text) <= 200 else text[:197] + "...", message))

    def infer(self, expr: Expr) -> Dimension | None:
        """The dimension of the expression; None if it fits anything or is not known."""
        if isinstance(expr, Num):
            return None if expr.value == 0 else NONE
        if isinstance(expr, Name):
            return self.known.get(expr.id)
        if isinstance(expr, Neg):
            return self.infer(expr.arg)
        if isinstance(expr, Bin):
            return self.binary(expr)
        if isinstance(expr, Cmp):
            self.agree(expr, self.infer(expr.left), self.infer(expr.right))
            return NONE
        if isinstance(expr, Logic):
            self.infer(expr.left)
            self.infer(expr.right)
            return NONE
        if isinstance(expr, Call):
            return self.call(expr)
        if isinstance(expr, Piecewise):
            result: Dimension | None = None
            for condition, value in expr.cases:
                if condition is not None:
                    self.infer(condition)
                result = self.agree(value, result, self.infer(value))
            return result
        raise TypeError(f"not an expression: {expr!r}")

    def agree(self, expr: Expr, left: Dimension | None, right: Dimension | None) -> Dimension | None:
        if left is not None and right is not None and left != right:
            self.say(expr, f"{left} does not go with {right}")
            return None
        return left if left is not None else right

    def binary(self, expr: Bin) -> Dimension | None:
        left, right = self.infer(expr.left), self.infer(expr.right)
        if expr.op in "+-":
            return self.agree(expr, left, right)
        if expr.op == "^":
            return self.power(expr, left, right)
        if left is None or right is None:
            return None
        return left * right if expr.op == "*" else left / right

    def power(self, expr: Bin, base: Dimension | None, exponent: Dimension | None) -> Dimension | None:
        if exponent is not None and not exponent.dimensionless:
            self.say(expr, f"the exponent is {exponent}, expected a plain number")
            return None
        if base is None or base.dimensionless:
            return base
        value = expr.right.value if isinstance(expr.right, Num) else None
        if value is None or any((e * value) % 1 for e in base.exponents):
            self.say(expr, f"a {base} is raised to a power that gives no whole exponents")
            return None
        return Dimension(*(int(e * value) for e in base.exponents))

    def call(self, expr: Call) -> Dimension | None:
        argument = self.infer(expr.arg)
        if expr.function in _KEEPS:
            return argument
        if expr.function == "H":
            return NONE
        if expr.function == "sqrt" and argument is not None:
            if any(e % 2 for e in argument.exponents):
                self.say(expr, f"the square root of {argument} has no whole exponents")
                return None
            return Dimension(*(e // 2 for e in argument.exponents))
        if argument is not None and not argument.dimensionless:
            self.say(expr, f"{expr.function}() of {argument}, expected a plain number")
        return NONE
