"""Evaluate expression trees on numpy arrays; nothing is compiled or run as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LemsError
from .expression import Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, Piecewise

Value = npt.NDArray[Any]


def _factorial(x: Value) -> Value:
    product = np.vectorize(lambda n: float(np.prod(np.arange(1.0, np.floor(n) + 1.0))) if n < 171 else np.inf)
    return np.asarray(product(x))


_FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "exp": np.exp, "sqrt": np.sqrt, "log": np.log, "ln": np.log, "log10": np.log10, "abs": np.abs,
    "ceil": np.ceil, "floor": np.floor, "factorial": _factorial,
    "H": lambda x: 0.5 * (1.0 + np.sign(x)),
}  # fmt: skip
_BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
    "<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
    "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip


def evaluate(expr: Expr, env: Mapping[str, Any], random: np.random.Generator | None = None) -> Value:
    """The value of ``expr`` for the numbers or arrays in ``env`` (they broadcast).

    H(0) is 0.5 and a Piecewise without a matching case is NaN, as in jLEMS. Division by zero gives inf or NaN without a
    warning. ``random(x)`` needs a generator. Raises LemsError for an unknown name.
    """
    with np.errstate(all="ignore"):
        return _evaluate(expr, env, random)


def _evaluate(expr: Expr, env: Mapping[str, Any], random: np.random.Generator | None) -> Value:
    if isinstance(expr, Num):
        return np.asarray(expr.value)
    if isinstance(expr, Name):
        if expr.id not in env:
            raise LemsError(f"the name '{expr.id}' is not known here; there are {', '.join(sorted(env)) or 'none'}")
        return np.asarray(env[expr.id])
    if isinstance(expr, Neg):
        return np.negative(_evaluate(expr.arg, env, random))
    if isinstance(expr, (Bin, Cmp, Logic)):
        left, right = _evaluate(expr.left, env, random), _evaluate(expr.right, env, random)
        return _BINARY[expr.op](left, right)
    if isinstance(expr, Call):
        arg = _evaluate(expr.arg, env, random)
        if expr.function == "random":
            if random is None:
                raise LemsError("random() has no value here: only a running model can draw numbers")
            return arg * random.random(arg.shape)
        return _FUNCTIONS[expr.function](arg)
    if isinstance(expr, Piecewise):
        result: Value = np.asarray(np.nan)
        for condition, value in reversed(expr.cases):
            chosen = _evaluate(value, env, random)
            result = chosen if condition is None else np.where(_evaluate(condition, env, random), chosen, result)
        return result
    raise TypeError(f"not an expression: {expr!r}")
