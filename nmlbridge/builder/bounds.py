"""Bounds of a formula over a box of its variables: interval arithmetic on the tree.

Connection probabilities are sampled by drawing candidates at an upper bound and keeping each with p / bound. The bound
comes from here, so that it holds for any formula; where nothing is known it is infinite (and 1 does instead).
Source: Moore, Kearfott, Cloud, Introduction to Interval Analysis, 2009.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..lems.expression import Apply, Bin, Call, Cmp, Expr, Logic, Name, Neg, Num
from .evaluate import quantity
from .language import Lookup, Quantity
from .tables import Table

Array = npt.NDArray[Any]
Interval = tuple[Array, Array]
_INCREASING: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "sqrt": np.sqrt, "log": np.log, "ln": np.log, "log10": np.log10, "tanh": np.tanh,
               "sinh": np.sinh, "ceil": np.ceil, "floor": np.floor, "H": lambda x: 0.5 * (1 + np.sign(x))}  # fmt: skip
_RANGE = {"sin": (-1.0, 1.0), "cos": (-1.0, 1.0)}
_ANY: Interval = (np.asarray(-np.inf), np.asarray(np.inf))


def bounds(
    expr: Expr, box: Callable[[str], Interval | None], tables: Mapping[str, Table] | None = None
) -> Interval:  # fmt: skip
    """The least and the greatest value that ``expr`` may have where each name lies in its interval ``box(name)``.

    Bounds may be wide, never too narrow; NaN becomes infinite.
    """
    with np.errstate(all="ignore"):
        low, high = _bounds(expr, box, tables or {})
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def _bounds(expr: Expr, box: Callable[[str], Interval | None], tables: Mapping[str, Table]) -> Interval:
    if isinstance(expr, Num):
        return np.asarray(expr.value), np.asarray(expr.value)
    if isinstance(expr, Quantity):
        value = quantity(expr.value, expr.unit).values
        return value, value
    if isinstance(expr, Name):
        return box(expr.id) or _ANY
    if isinstance(expr, Neg):
        low, high = _bounds(expr.arg, box, tables)
        return -high, -low
    if isinstance(expr, Bin):
        return _binary(expr.op, _bounds(expr.left, box, tables), _bounds(expr.right, box, tables))
    if isinstance(expr, Cmp):
        return _compare(expr.op, _bounds(expr.left, box, tables), _bounds(expr.right, box, tables))
    if isinstance(expr, Logic):
        (a, b), (c, d) = _truth(_bounds(expr.left, box, tables)), _truth(_bounds(expr.right, box, tables))
        return (a * c, b * d) if expr.op == "and" else (np.maximum(a, c), np.maximum(b, d))
    if isinstance(expr, Call):
        return _call(expr.function, _bounds(expr.arg, box, tables))
    if isinstance(expr, Lookup):
        table = tables.get(expr.table)
        return _ANY if table is None else table.between([_bounds(arg, box, tables) for arg in expr.args])
    if isinstance(expr, Apply):
        return _apply(expr, [_bounds(arg, box, tables) for arg in expr.args])
    return _ANY


def _binary(op: str, left: Interval, right: Interval) -> Interval:
    (a, b), (c, d) = left, right
    if op == "+":
        return a + c, b + d
    if op == "-":
        return a - d, b - c
    if op == "*":
        return _hull(a * c, a * d, b * c, b * d)
    if op == "/":
        low, high = _hull(a / c, a / d, b / c, b / d)
        through = (c <= 0) & (d >= 0)
        return np.where(through, -np.inf, low), np.where(through, np.inf, high)
    power = float(c) if c.ndim == 0 and d.ndim == 0 and c == d else None
    if power is not None and power == int(power) and power >= 0:
        one, two = a**power, b**power
        low, high = np.minimum(one, two), np.maximum(one, two)
        if int(power) % 2 == 0:
            low = np.where((a <= 0) & (b >= 0), 0.0, low)
        return low, high
    if np.all(a >= 0):
        return _hull(a**c, a**d, b**c, b**d)
    return _ANY


def _hull(*values: Array) -> Interval:
    # 0 * inf is 0 here: a bound that is infinite stands for a large finite number
    values = tuple(np.where(np.isnan(v), 0.0, v) for v in values)
    low, high = values[0], values[0]
    for value in values[1:]:
        low, high = np.minimum(low, value), np.maximum(high, value)
    return low, high


def _compare(op: str, left: Interval, right: Interval) -> Interval:
    (a, b), (c, d) = left, right
    if op in (">", ">="):
        a, b, c, d = c, d, a, b
    if op in ("<", "<=", ">", ">="):
        sure = b < c if op in ("<", ">") else b <= c
        never = a >= d if op in ("<", ">") else a > d
        return sure.astype(float), (~never).astype(float)
    never = (b < c) | (d < a)
    sure = (a == b) & (c == d) & (a == c)
    if op == "!=":
        sure, never = never, sure
    return sure.astype(float), (~never).astype(float)


def _truth(interval: Interval) -> Interval:
    low, high = interval
    return ((low > 0) | (high < 0)).astype(float), ((low != 0) | (high != 0)).astype(float)


def _call(function: str, inner: Interval) -> Interval:
    low, high = inner
    if function in _INCREASING:
        one = np.maximum(low, 0) if function in ("sqrt", "log", "ln", "log10") else low
        return np.asarray(_INCREASING[function](one)), np.asarray(_INCREASING[function](high))
    if function == "abs":
        one, two = np.abs(low), np.abs(high)
        return np.where((low <= 0) & (high >= 0), 0.0, np.minimum(one, two)), np.maximum(one, two)
    if function == "cosh":
        one, two = _call("abs", inner)
        return np.cosh(one), np.cosh(two)
    if function in _RANGE:
        return np.asarray(_RANGE[function][0]), np.asarray(_RANGE[function][1])
    return _ANY


def _apply(expr: Apply, inner: list[Interval]) -> Interval:
    if expr.function in ("min", "max"):
        pick = np.minimum if expr.function == "min" else np.maximum
        return pick(inner[0][0], inner[1][0]), pick(inner[0][1], inner[1][1])
    if expr.function == "clip":
        (a, b), (c, d), (e, f) = inner
        return np.clip(a, c, e), np.clip(b, d, f)
    if expr.function == "if":
        return np.minimum(inner[1][0], inner[2][0]), np.maximum(inner[1][1], inner[2][1])
    if expr.function == "not":
        low, high = _truth(inner[0])
        return 1 - high, 1 - low
    if expr.function == "chance":
        return np.asarray(0.0), np.asarray(1.0)
    if expr.function == "interpolate":
        points = [float(low) for low, _ in inner[1:]]
        return np.asarray(min(points[1::2])), np.asarray(max(points[1::2]))
    return _ANY
