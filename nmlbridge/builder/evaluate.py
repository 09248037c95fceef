"""Formulas on columns: numpy arrays with a dimension.

Numbers are in one coherent system: um, ms, mV, nA, amol, K; so uS, nF, Mohm, mM follow. A quantity in a formula is
turned into it and keeps its dimension. The names of geometry (``dist_3d``) are plain numbers in um, as in
``exp(-dist_3d / 150)``, and whatever is made with them has no known dimension. A result of another dimension than the
field's is an error. A plain number is in the field's own unit, but what a quantity went into (``g * (1 + dist_3d)``) is
in the coherent system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import LemsError
from ..lems import evaluate as lems
from ..lems import load_core
from ..lems.expression import Apply, Bin, Call, Cmp, Expr, Logic, Name, Neg, Num
from ..units import NONE, Dimension, Unit, nearest
from .language import DISTRIBUTIONS, Glob, Lookup, Members, Quantity

if TYPE_CHECKING:
    from .tables import Table

Array = npt.NDArray[Any]
Draw = Callable[[int], Array]
MIXED: Literal["mixed"] = "mixed"
"""the dimension of what was made of quantities and of numbers of geometry"""
Kind = Dimension | Literal["mixed"] | None

# SI values of the coherent system's units: mass follows from mV * nA * ms = kg m2 s-3 units
_SI = {"l": 1e-6, "t": 1e-3, "i": 1e-9, "k": 1.0, "n": 1e-18, "m": 1e-9, "j": 1.0}
_POISSON_MOST = 700.0


@dataclass(frozen=True)
class Column:
    """Values (a number or one per row) and their dimension; None: a number of geometry."""

    values: Array
    dimension: Kind = NONE


Names = Mapping[str, Column]


def coherent(dimension: Dimension) -> float:
    """The SI value of the coherent unit of a dimension."""
    value = 1.0
    for base, exponent in zip("mltiknj", dimension.exponents, strict=True):
        value *= _SI[base] ** exponent
    return value


@cache
def _units() -> Mapping[str, Unit]:
    """The units of the core, and those that fields are stated in; every piece of a column asks for them."""
    core = load_core().units
    volts, metres, conductance = (core[name].dimension for name in ("V", "m", "S"))
    fields = [Unit("V_per_m", volts / metres), Unit("mV_per_mm", volts / metres), Unit("S_per_m", conductance / metres)]
    return {**core, **{unit.symbol: unit for unit in fields}}


def quantity(value: float, unit: str) -> Column:
    """A number of a unit, in the coherent system. Raises LemsError for a unit that is none."""
    units = _units()
    if unit not in units:
        raise LemsError(f"unknown unit '{unit}'{nearest(unit, units)}")
    found = units[unit]
    return Column(np.asarray(float(f"{found.to_si(value) / coherent(found.dimension):.15g}")), found.dimension)


def _called(dimension: Dimension) -> str:
    """The name of a dimension, such as voltage; how it is made if it has none."""
    return load_core().dimension_name(dimension)


def in_unit(column: Column, unit: str) -> Array:
    """The values as numbers of ``unit`` ("" for none). Raises LemsError for another dimension."""
    target = _units()[unit] if unit else None
    dimension = target.dimension if target is not None else NONE
    if column.dimension is None or column.dimension == NONE:
        return column.values
    if column.dimension not in (dimension, MIXED):
        wanted = f"in {unit} or its like" if unit else "without a unit"
        raise LemsError(f"it is a {_called(column.dimension)}; expected a number {wanted}")
    if target is None:
        return column.values
    si = column.values * coherent(dimension)
    return np.round((si - target.offset) / target.to_si(1.0) if not target.offset else si - target.offset, 15)


def in_si(values: Array, unit: str) -> Array:
    """Numbers of ``unit`` ("" for none) in SI, each as if it were read from a document."""
    return np.array([_units()[unit].to_si(number) for number in values.tolist()]) if unit else values


class Evaluator:
    """Evaluates formulas over ``rows`` rows; ``draw(place)`` gives uniform numbers for the place-th draw of one."""

    def __init__(self, columns: Callable[[str], Column | None], known: Callable[[], Iterable[str]], rows: int,
                 draw: Draw | None = None, tables: Mapping[str, Table] | None = None) -> None:  # fmt: skip
        self.column, self.known, self.rows, self.draw, self.tables = columns, known, rows, draw, tables or {}
        self.place = 0

    def value(self, expr: Expr) -> Column:
        """The column of a formula. Raises LemsError for unknown names, units and for dimensions that disagree."""
        self.place = 0
        with np.errstate(all="ignore"):
            return self._value(expr)

    def _value(self, expr: Expr) -> Column:
        if isinstance(expr, Num):
            return Column(np.asarray(expr.value))
        if isinstance(expr, Quantity):
            return quantity(expr.value, expr.unit)
        if isinstance(expr, Name):
            return self.named(expr.id)
        if isinstance(expr, Neg):
            inner = self.number(expr.arg)
            return Column(-inner.values, inner.dimension)
        if isinstance(expr, Logic):
            left, right = truth(self._value(expr.left)), truth(self._value(expr.right))
            return Column(left & right if expr.op == "and" else left | right)
        if isinstance(expr, (Bin, Cmp)):
            return self.binary(expr, self.number(expr.left), self.number(expr.right))
        if isinstance(expr, Call):
            return self.call(expr)
        if isinstance(expr, Apply):
            return self.apply(expr)
        if isinstance(expr, Lookup):
            return self.lookup(expr)
        if isinstance(expr, (Members, Glob)):
            raise LemsError("members of a set can stand in a selection only")
        raise TypeError(f"not an expression: {expr!r}")

    def named(self, name: str) -> Column:
        found = self.column(name)
        if found is None:
            known = sorted(self.known())
            raise LemsError(f"'{name}' is not known here{nearest(name, known) or '; there are ' + ', '.join(known)}")
        return found

    def binary(self, expr: Bin | Cmp, left: Column, right: Column) -> Column:
        values = lems._BINARY[expr.op](left.values, right.values)
        a, b = left.dimension, right.dimension
        if isinstance(expr, Cmp) or expr.op in "+-":
            if isinstance(a, Dimension) and isinstance(b, Dimension) and a != b:
                raise LemsError(f"'{expr.op}' joins a quantity of dimension {a} with one of {b}")
            return Column(values, NONE if isinstance(expr, Cmp) else _joined(a, b))
        if not isinstance(a, Dimension) or not isinstance(b, Dimension):
            return Column(values, _joined(a, b))
        if expr.op == "*":
            return Column(values, a * b)
        if expr.op == "/":
            return Column(values, a / b)
        if a == NONE:
            return Column(values)
        power = float(right.values) if right.values.ndim == 0 else 0.5
        return Column(values, a ** int(power) if power == int(power) else MIXED)

    def number(self, expr: Expr) -> Column:
        """The column of a formula to reckon with: true is 1, false 0."""
        found = self._value(expr)
        return replace(found, values=found.values.astype(float)) if found.values.dtype == bool else found

    def call(self, expr: Call) -> Column:
        inner = self.number(expr.arg)
        if expr.function == "random":
            return Column(inner.values * self.uniform(), inner.dimension)
        return Column(lems._FUNCTIONS[expr.function](inner.values), inner.dimension if expr.function == "abs" else NONE)

    def apply(self, expr: Apply) -> Column:
        if expr.function == "not":
            return Column(~truth(self._value(expr.args[0])))
        arguments = [self.number(arg) for arg in expr.args]
        values = [argument.values for argument in arguments]
        dimension = _common(expr.function, arguments[1:] if expr.function == "if" else arguments)
        if expr.function in DISTRIBUTIONS:
            return Column(self.distribution(expr.function, values), dimension)
        if expr.function == "if":
            return Column(np.where(truth(arguments[0]), values[1], values[2]), dimension)
        if expr.function == "interpolate":
            points = np.array([float(value) for value in values[1:]])
            return Column(np.interp(values[0], points[::2], points[1::2]), arguments[2].dimension)
        simple: dict[str, Callable[..., Any]] = {
            "min": np.minimum, "max": np.maximum, "pow": np.power, "atan2": np.arctan2, "clip": np.clip,
        }  # fmt: skip
        if expr.function not in simple:
            raise LemsError(f"{expr.function}() can stand in a selection only")
        return Column(np.asarray(simple[expr.function](*values)), dimension)

    def lookup(self, expr: Lookup) -> Column:
        table = self.tables.get(expr.table)
        if table is None:
            hint = nearest(expr.table, self.tables) or f"; there are {', '.join(self.tables) or 'none'}"
            raise LemsError(f"there is no table '{expr.table}'{hint}")
        if len(expr.args) != len(table.axes):
            raise LemsError(f"table '{expr.table}' has {len(table.axes)} axes, and is given {len(expr.args)} numbers")
        return Column(table(*(self.number(arg).values for arg in expr.args)))

    def uniform(self) -> Array:
        if self.draw is None:
            raise LemsError("random numbers have no meaning here")
        self.place += 1
        return self.draw(self.place)

    def distribution(self, name: str, values: list[Array]) -> Array:
        if name == "uniform":
            return np.asarray(values[0] + (values[1] - values[0]) * self.uniform())
        if name == "exponential":
            return np.asarray(-values[0] * np.log(self.uniform()))
        if name == "chance":
            return np.asarray((self.uniform() < values[0]).astype(float))
        if name == "poisson":
            return _poisson(values[0], self.uniform())
        # Box & Muller 1958
        normal = np.sqrt(-2 * np.log(self.uniform())) * np.cos(2 * np.pi * self.uniform())
        if name == "normal":
            return np.asarray(values[0] + values[1] * normal)
        mean, sd = values
        if np.any(mean <= 0):
            raise LemsError("the mean of a lognormal distribution must be more than zero")
        variance = np.log1p((sd / mean) ** 2)
        return np.asarray(mean * np.exp(np.sqrt(variance) * normal - variance / 2))


def truth(column: Column) -> Array:
    """The column as truth values."""
    return column.values if column.values.dtype == bool else column.values != 0


def _joined(a: Kind, b: Kind) -> Kind:
    """The dimension of a sum, or of a product with something whose dimension is not known."""
    if a == b:
        return a
    return None if a in (None, NONE) and b in (None, NONE) else MIXED


def _common(function: str, arguments: list[Column]) -> Kind:
    found = {argument.dimension for argument in arguments}
    if function in ("pow", "atan2", "chance", "poisson", "interpolate"):
        return NONE
    if found - {None, NONE} and found & {None, MIXED}:
        return MIXED
    if None in found:
        return None
    if len(found) > 1:
        raise LemsError(f"the arguments of {function}() have different dimensions")
    return found.pop()


def _poisson(mean: Array, uniform: Array) -> Array:
    """By inversion: the smallest n with P(N <= n) >= u."""
    mean, uniform = np.broadcast_arrays(np.asarray(mean, float), uniform)
    if np.any(mean > _POISSON_MOST) or np.any(mean < 0):
        raise LemsError(f"the mean of a poisson distribution must be from 0 to {_POISSON_MOST:g}")
    term = np.exp(-mean)
    total, count = term.copy(), np.zeros(mean.shape)
    left = total < uniform
    number = 0
    while left.any() and number < 10 * _POISSON_MOST:
        number += 1
        term = term * mean / number
        total = total + term
        count[left] = number
        left = left & (total < uniform)
    return count
