"""Expression trees as Python closures over a list of registers: quick to call, and no text is ever run.

A register is a float where a group has one instance, an array (n,) otherwise. The meaning is that of
``lems.evaluate``, which takes over wherever plain floats would raise (division by zero, overflow).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...lems.evaluate import evaluate
from ...lems.expression import Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, Piecewise, calls, names

Registers = list[Any]
Closure = Callable[[Registers], Any]

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_SCALAR: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "exp": math.exp, "sqrt": math.sqrt, "log": math.log, "ln": math.log, "log10": math.log10, "abs": abs,
    "H": lambda x: 0.5 if x == 0 else float(x > 0),
}  # fmt: skip


def closure(expr: Expr, slots: Mapping[str, int], single: bool, random: np.random.Generator) -> Closure:
    """The value of ``expr`` as a function of the registers; ``slots`` maps names to registers."""
    used = {name: slots[name] for name in names(expr)}

    def careful(registers: Registers) -> Any:
        value = evaluate(expr, {name: registers[slot] for name, slot in used.items()}, random)
        return value.item() if single else value

    if not single or calls(expr, "random") or calls(expr, "factorial"):
        return careful
    quick = _scalar(expr, used)

    def checked(registers: Registers) -> Any:
        try:
            return quick(registers)
        except (ArithmeticError, ValueError):
            return careful(registers)

    return checked


def _scalar(expr: Expr, slots: Mapping[str, int]) -> Closure:
    if isinstance(expr, Num):
        value = float(expr.value)
        return lambda r: value
    if isinstance(expr, Name):
        return operator.itemgetter(slots[expr.id])
    if isinstance(expr, Neg):
        arg = _scalar(expr.arg, slots)
        return lambda r: -arg(r)
    if isinstance(expr, Call):
        inner = _scalar(expr.arg, slots)
        if expr.function in ("ceil", "floor"):
            whole = math.ceil if expr.function == "ceil" else math.floor
            return lambda r: float(whole(inner(r)))
        function = _SCALAR[expr.function]
        return lambda r: function(inner(r))
    if isinstance(expr, Piecewise):
        cases = [(None if c is None else _scalar(c, slots), _scalar(v, slots)) for c, v in expr.cases]

        def choose(r: Registers) -> Any:
            for condition, value in cases:
                if condition is None or condition(r):
                    return value(r)
            return math.nan

        return choose
    assert isinstance(expr, (Bin, Cmp, Logic))
    left, right = _scalar(expr.left, slots), _scalar(expr.right, slots)
    if isinstance(expr, Logic):
        if expr.op == "and":
            return lambda r: bool(left(r)) and bool(right(r))
        return lambda r: bool(left(r)) or bool(right(r))
    if expr.op == "^":
        return lambda r: _power(left(r), right(r))
    function2 = _OPERATORS[expr.op]
    return lambda r: function2(left(r), right(r))


def _power(base: float, exponent: float) -> float:
    if base < 0 and exponent != int(exponent):
        return math.nan
    return float(base**exponent)
