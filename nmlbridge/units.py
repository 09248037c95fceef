"""Dimensions, units and quantities.

A Unit says how a number becomes SI: ``SI = number * scale * 10**power + offset``. The arithmetic is decimal, so that
``0.3 mS_per_cm2`` is the double nearest to 3.0 and ``6.3 degC`` the double nearest to 279.45.
Source: LEMS 0.7.6 elements Dimension and Unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, DecimalException
from difflib import get_close_matches

from .errors import LemsError

_BASES = ("m", "l", "t", "i", "k", "n", "j")


@dataclass(frozen=True)
class Dimension:
    """Exponents of mass, length, time, current, temperature, amount and luminous intensity."""

    m: int = 0
    l: int = 0  # noqa: E741  (the SI's own symbol)
    t: int = 0
    i: int = 0
    k: int = 0
    n: int = 0
    j: int = 0

    @property
    def exponents(self) -> tuple[int, ...]:
        """The seven exponents in the order m, l, t, i, k, n, j."""
        return (self.m, self.l, self.t, self.i, self.k, self.n, self.j)

    @property
    def dimensionless(self) -> bool:
        """Whether all exponents are zero."""
        return not any(self.exponents)

    def __mul__(self, other: Dimension) -> Dimension:
        return Dimension(*(a + b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __truediv__(self, other: Dimension) -> Dimension:
        return Dimension(*(a - b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __pow__(self, power: int) -> Dimension:
        return Dimension(*(a * power for a in self.exponents))

    def __str__(self) -> str:
        return " ".join(f"{b}^{e}" for b, e in zip(_BASES, self.exponents, strict=True) if e) or "none"


NONE = Dimension()
"""No dimension: a plain number."""

# 40 digits: more than any double needs, so that only the last step, to a double, rounds
_EXACT = Context(prec=40)


@dataclass(frozen=True)
class Unit:
    """A unit: ``SI = number * scale * 10**power + offset`` (the offset only for degC and its like)."""

    symbol: str
    dimension: Dimension
    power: int = 0
    scale: float = 1.0
    offset: float = 0.0
    _factor: Decimal = field(init=False, repr=False, compare=False)
    _shift: Decimal = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_factor", _EXACT.scaleb(Decimal(repr(self.scale)), self.power))
        object.__setattr__(self, "_shift", Decimal(repr(self.offset)))

    def to_si(self, number: float | str) -> float:
        """The SI value of ``number`` of this unit: the double nearest to the exact decimal result."""
        decimal = Decimal(number if isinstance(number, str) else repr(number))
        return float(_EXACT.fma(decimal, self._factor, self._shift))

    def from_si(self, value: float) -> float:
        """The number of this unit that has this SI value."""
        return float(_EXACT.divide(_EXACT.subtract(Decimal(repr(value)), self._shift), self._factor))


_QUANTITY = re.compile(r"\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(\S*)\s*")


def split_quantity(text: str) -> tuple[str, str]:
    """The number and the unit symbol ("" if there is none) of a quantity, as text.

    Raises LemsError if the text is not a number with an optional unit.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise LemsError(f"cannot read '{text}' as a quantity; expected a number and a unit, like '10 mV'")
    return match.group(1), match.group(2)


def parse_quantity(text: str, units: Mapping[str, Unit]) -> tuple[float, Dimension]:
    """Read ``number [unit]``: the value in SI and its dimension (none without a unit).

    Raises LemsError if the text is no quantity, the unit is unknown (the message offers the nearest symbols) or the
    value does not fit into a double.
    """
    number, symbol = split_quantity(text)
    try:
        if symbol:
            unit = units.get(symbol)
            if unit is None:
                raise LemsError(
                    f"unknown unit '{symbol}' in '{text}'{nearest(symbol, units)}; units are case sensitive"
                )
            value, dimension = unit.to_si(number), unit.dimension
        else:
            value, dimension = float(number), NONE
    except (DecimalException, OverflowError):
        value = float("inf")
    if value in (float("inf"), float("-inf")):
        raise LemsError(f"the quantity '{text[:40]}' is too large for a double")
    return value, dimension


def nearest(name: str, known: Iterable[str]) -> str:
    """The phrase "; did you mean 'a', 'b'?" with the known names most like ``name``, or "" if none is."""
    candidates = list(known)
    by_case = [k for k in candidates if k.lower() == name.lower()]
    close = by_case or get_close_matches(name, candidates, n=3, cutoff=0.6)
    return f"; did you mean {', '.join(repr(c) for c in close)}?" if close else ""
