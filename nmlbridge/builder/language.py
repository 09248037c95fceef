"""The one small language of specifications: formulas and selections.

It is the LEMS expression language with

- quantities: a number with a unit behind it, ``0.5 nS``, ``20 Hz``;
- functions of several arguments and distributions: ``normal(mean, sd)``, ``min(a, b)`` (FUNCTIONS, DISTRIBUTIONS);
- ``< <= > >= == !=`` beside ``.lt.`` and its like, and ``& | !`` or ``and or not``, which bind in this order: ``!``,
  comparisons, ``&``, ``|``;
- numbers from a table of the specification: ``table(profile, depth)``, ``table(map, x, y)``;
- members of a set: ``E[0]``, ``E[0:10]``, ``E[-5:]``, and names with wildcards in quotes: ``'L4_*'``.

A selection is a formula with a truth value for each cell or segment: ``(E | I) & depth > 300``. Nothing runs text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ..errors import LemsError
from ..lems.expression import FUNCTIONS as LEMS_FUNCTIONS
from ..lems.expression import Apply, Cmp, Expr, Logic, Name, Num, Parser, operands
from ..units import nearest

DISTRIBUTIONS = {
    "uniform": ("low", "high"),
    "normal": ("mean", "sd"),
    "lognormal": ("mean", "sd"),
    "exponential": ("mean",),
    "poisson": ("mean",),
    "chance": ("probability",),
}
"""Names of random functions and of their arguments; mean and sd are those of the numbers drawn."""
FUNCTIONS = {"min": 2, "max": 2, "pow": 2, "atan2": 2, "clip": 3, "if": 3, "interpolate": -5, "sample": 2}
"""Functions of several arguments; a negative count means at least so many."""


@dataclass(frozen=True, slots=True)
class Quantity(Expr):
    """A number with a unit."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Members(Expr):
    """Some members of a set by their place in it: one index, or from first to last (excluded)."""

    of: Expr
    first: int | None
    last: int | None
    single: bool


@dataclass(frozen=True, slots=True)
class Glob(Expr):
    """All sets whose name matches a pattern with ``*`` and ``?``."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Lookup(Expr):
    """A number from a table of the specification."""

    table: str
    args: tuple[Expr, ...]


_LEVELS: tuple[tuple[str, ...], ...] = (
    ("|", "or"), ("&", "and"), (".and.", ".or."),
    (".gt.", ".lt.", ".geq.", ".ge.", ".leq.", ".le.", ".eq.", ".neq.", ".ne.", "<", ">", "<=", ">=", "==", "!="),
    ("+",), ("-",), ("*",), ("/",), ("^",),
)  # fmt: skip
_NOT_LEVEL = 3
_LOGIC = {"|": "or", "or": "or", "&": "and", "and": "and"}


class _Parser(Parser):
    token = re.compile(
        r"\s*(?:(?P<dot>\.(?:gt|lt|geq|leq|ge|le|eq|neq|ne|and|or)\.)"
        r"|(?P<num>(?:\d+\.(?![a-z]{2,3}\.)\d*|\d+|\.\d+)(?:[eE][+-]?\d+)?)"
        r"|(?P<op>(?:and|or|not)\b|[<>]=?|[=!]=|[-+*/^(),&|!:]|\[|\])"
        r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
        r"|'(?P<glob>[A-Za-z0-9_*?]+)')"
    )
    level_of = {op: number for number, ops in enumerate(_LEVELS) for op in ops}
    minus_level = 5

    def join(self, op: str, left: Expr, right: Expr) -> Expr:
        if op in _LOGIC:
            return Logic(_LOGIC[op], left, right)
        if op in ("<", ">", "<=", ">=", "==", "!="):
            return Cmp(op, left, right)
        return super().join(op, left, right)

    def atom(self) -> Expr:
        kind, value, _ = self.tokens[self.at]
        if kind == "op" and value in ("!", "not"):
            self.deeper()
            self.at += 1
            inner = self.level(_NOT_LEVEL, True)
            self.depth -= 1
            return Apply("not", (inner,))
        if kind == "glob":
            self.at += 1
            return self.members(Glob(value))
        if kind == "num":
            number = super().atom()
            after, unit, _ = self.tokens[self.at]
            if after == "name" and isinstance(number, Num):
                self.at += 1
                return Quantity(number.value, unit)
            return number
        following = self.tokens[self.at + 1][1] if kind == "name" else ""
        if kind == "name" and following == "(":
            return self.call(value)
        if kind == "name" or value == "(":
            return self.members(super().atom())
        return super().atom()

    def members(self, of: Expr) -> Expr:
        while self.peek() == "[":
            self.at += 1
            first = None if self.peek() == ":" else self.index()
            last, single = None, True
            if self.peek() == ":":
                self.at += 1
                single = False
                last = None if self.peek() == "]" else self.index()
            if self.peek() != "]":
                self.fail("expected ']'")
            self.at += 1
            of = Members(of, first, last, single)
        return of

    def index(self) -> int:
        sign = 1
        if self.peek() == "-":
            self.at += 1
            sign = -1
        kind, value, _ = self.tokens[self.at]
        if kind != "num" or not value.isdigit():
            self.fail("expected a whole number, as in E[0] or E[0:10]")
        self.at += 1
        return sign * int(value)

    def call(self, name: str) -> Expr:
        if name == "table":
            return self.lookup()
        if name in LEMS_FUNCTIONS and name not in DISTRIBUTIONS:
            return super().atom()
        known = {**FUNCTIONS, **{d: len(arguments) for d, arguments in DISTRIBUTIONS.items()}}
        if name not in known:
            self.fail(f"'{name}' is no function{nearest(name, [*known, 'table', *LEMS_FUNCTIONS])}")
        self.at += 2
        arguments = self.arguments()
        wanted = known[name]
        if len(arguments) != wanted if wanted >= 0 else len(arguments) < -wanted or len(arguments) % 2 == 0:
            self.fail(f"{name} has {len(arguments)} arguments; expected {signature(name)}")
        self.at += 1
        return self.members(Apply(name, tuple(arguments)))

    def lookup(self) -> Expr:
        self.at += 2
        kind, table, _ = self.tokens[self.at]
        if kind != "name" or self.tokens[self.at + 1][1] != ",":
            self.fail("expected the name of a table, as in table(profile, depth)")
        self.at += 2
        arguments = self.arguments()
        if len(arguments) > 2:
            self.fail("a table has one axis or two: table(name, x) or table(name, x, y)")
        self.at += 1
        return Lookup(table, tuple(arguments))


def signature(name: str) -> str:
    """How a function is called."""
    if name in DISTRIBUTIONS:
        return f"{name}({', '.join(DISTRIBUTIONS[name])})"
    return {"clip": "clip(x, low, high)", "if": "if(condition, a, b)", "sample": "sample(set, number)",
            "interpolate": "interpolate(x, x0, y0, x1, y1, ...)"}.get(name, f"{name}(a, b)")  # fmt: skip


@lru_cache(maxsize=4096)
def parse(text: str) -> Expr:
    """Read a formula or a selection. Raises LemsError that names the spot."""
    return _Parser(text).whole()


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions."""
    if isinstance(expr, Lookup):
        return expr.args
    return (expr.of,) if isinstance(expr, Members) else operands(expr)


def names(expr: Expr) -> set[str]:
    """All names in the expression."""
    found: set[str] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Name):
            found.add(node.id)
        stack.extend(parts(node))
    return found


def is_random(expr: Expr) -> bool:
    """Whether the expression draws random numbers."""
    if isinstance(expr, Apply) and expr.function in DISTRIBUTIONS:
        return True
    return getattr(expr, "function", "") == "random" or any(is_random(part) for part in parts(expr))


def checked(text: str) -> str:
    """The text, if it can be read; ValueError otherwise (for the models' validators)."""
    try:
        parse(text)
    except LemsError as error:
        raise ValueError(error.message) from None
    return text
