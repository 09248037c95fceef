"""The LEMS expression language: a tree, a parser and nothing that runs text.

Binding follows jLEMS, the de-facto standard, from tight to loose: a minus directly after another operator, ``^``
(left-associative), ``/``, ``*``, ``-``, ``+``, comparisons, then ``.and.`` and ``.or.`` together; equal levels bind
left to right. So ``-x^2`` is -(x^2), ``2*-x^2`` is 2*((-x)^2), ``2^3^2`` is 64 and ``a*b/c*d`` is (a*(b/c))*d.
``.eq.`` is read as a comparison (jLEMS refuses ``a .and. b .eq. c``). Source: LEMS 0.7.6, Parser in jLEMS 0.12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import NoReturn

from ..errors import LemsError

FUNCTIONS = frozenset("sin cos tan sinh cosh tanh exp sqrt ceil floor ln log log10 random factorial abs H".split())
MAX_DEPTH = 150
MAX_TOKENS = 20_000
_MAX_CALLS = 620  # of the parser inside itself: enough for MAX_DEPTH fully bracketed levels, well below Python's limit


class Expr:
    """A node of an expression; frozen, hashable, comparable."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Num(Expr):
    """A literal number."""

    value: float


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A variable."""

    id: str


@dataclass(frozen=True, slots=True)
class Neg(Expr):
    """Unary minus."""

    arg: Expr


@dataclass(frozen=True, slots=True)
class Bin(Expr):
    """``left op right`` with op one of ``+ - * / ^``.

    ``bracketed`` tells whether it stood in brackets of its own: it changes no value, but rounding, where a tree is read
    as other languages read its text (``left_to_right``).
    """

    op: str
    left: Expr
    right: Expr
    bracketed: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Cmp(Expr):
    """A comparison, op one of ``< > <= >= == !=``; boolean."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logic(Expr):
    """``left and|or right``; boolean."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function of one argument (see FUNCTIONS); ``log`` and ``ln`` are natural, ``random(x)`` is x*U[0,1)."""

    function: str
    arg: Expr


@dataclass(frozen=True, slots=True)
class Apply(Expr):
    """A function of any number of arguments, or what else a richer language adds; LEMS itself has none."""

    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Piecewise(Expr):
    """The value of the first case whose condition holds; the condition of a default case is None.

    This is a ConditionalDerivedVariable. Without a default, no match means NaN.
    """

    cases: tuple[tuple[Expr | None, Expr], ...]


_TOKEN = re.compile(
    r"\s*(?:(?P<dot>\.(?:gt|lt|geq|leq|ge|le|eq|neq|ne|and|or)\.)"
    r"|(?P<num>(?:\d+\.(?![a-z]{2,3}\.)\d*|\d+|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op>[-+*/^(),]))"
)
_COMPARE = {
    ".gt.": ">", ".lt.": "<", ".geq.": ">=", ".ge.": ">=", ".leq.": "<=", ".le.": "<=",
    ".eq.": "==", ".neq.": "!=", ".ne.": "!=",
}  # fmt: skip
# binary levels, loose to tight; the logical ones share a level
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({".and.", ".or."}),
    frozenset(_COMPARE),
    frozenset({"+"}),
    frozenset({"-"}),
    frozenset({"*"}),
    frozenset({"/"}),
    frozenset({"^"}),
)
_LEVEL_OF = {op: number for number, ops in enumerate(_LEVELS) for op in ops}
_MINUS_LEVEL = 3


def parse(text: str) -> Expr:
    """Read one LEMS expression.

    Raises LemsError that names the spot if the text is not an expression, is nested deeper than MAX_DEPTH or has more
    than MAX_TOKENS tokens.
    """
    return Parser(text).whole()


class Parser:
    """A recursive-descent parser of this grammar; a richer language overrides its tables and ``atom``."""

    token = _TOKEN
    level_of = _LEVEL_OF
    minus_level = _MINUS_LEVEL

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = self.token.match(text, position)
            if match is None:
                self.fail("found a character that no expression can hold", position)
            kind = match.lastgroup or ""
            self.tokens.append((kind, match.group(kind), match.start(kind)))
            position = match.end()
            if len(self.tokens) > MAX_TOKENS:
                self.fail(f"the expression has more than {MAX_TOKENS} symbols", position)
        self.tokens.append(("end", "", end))
        self.at = 0
        self.depth = 0

    def fail(self, why: str, position: int | None = None) -> NoReturn:
        if position is None:
            position = self.tokens[self.at][2]
        shown = self.text if len(self.text) <= 120 else self.text[:117] + "..."
        raise LemsError(f"cannot read the expression '{shown}' at character {position + 1}: {why}")

    def peek(self) -> str:
        kind, value, _ = self.tokens[self.at]
        return value if kind in ("op", "dot") else ""

    def whole(self) -> Expr:
        if len(self.tokens) == 1:
            self.fail("it is empty; expected a number, a name or a formula")
        tree = self.level(0, leading=True)
        if self.tokens[self.at][0] != "end":
            self.fail(f"unexpected '{self.tokens[self.at][1]}'; expected an operator")
        if _depth(tree) > MAX_DEPTH:
            self.fail(f"it is nested deeper than {MAX_DEPTH} levels", 0)
        return tree

    def level(self, number: int, leading: bool) -> Expr:
        """An expression of operators that bind at least as tightly as level ``number``."""
        self.deeper()
        if leading and number <= self.minus_level and self.peek() == "-":
            self.at += 1
            left: Expr = _negate(self.level(self.minus_level + 1, False))
        else:
            left = self.atom()
        while (found := self.level_of.get(op := self.peek())) is not None and found >= number:
            self.at += 1
            left = self.join(op, left, self.level(found + 1, False))
        self.depth -= 1
        return left

    def join(self, op: str, left: Expr, right: Expr) -> Expr:
        """The node of a binary operator."""
        return _join(op, left, right)

    def arguments(self) -> list[Expr]:
        """What stands up to the closing bracket, which is not taken."""
        self.deeper()
        arguments = [self.level(0, True)]
        while self.peek() == ",":
            self.at += 1
            arguments.append(self.level(0, True))
        if self.peek() != ")":
            self.fail("expected ')' or ','")
        self.depth -= 1
        return arguments

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > _MAX_CALLS:
            self.fail(f"it is nested deeper than {MAX_DEPTH} levels")

    def atom(self) -> Expr:
        kind, value, position = self.tokens[self.at]
        self.deeper()
        try:
            if kind == "num":
                self.at += 1
                number = float(value)
                if number == float("inf"):
                    self.fail(f"the number {value[:40]} is too large for a double", position)
                return Num(number)
            if kind == "name":
                self.at += 1
                if self.peek() != "(":
                    return Name(value)
                if value not in FUNCTIONS:
                    self.fail(f"'{value}' is no LEMS function; there are {', '.join(sorted(FUNCTIONS))}", position)
                return Call("log" if value == "ln" else value, self.bracket())
            if value == "(":
                return self.bracket()
            if value == "-":
                self.at += 1
                return _negate(self.atom())
            if value == "+":
                self.at += 1
                return self.atom()
        finally:
            self.depth -= 1
        self.fail("expected a number, a name or '('")

    def bracket(self) -> Expr:
        self.deeper()
        self.at += 1
        inner = self.level(0, leading=True)
        if self.peek() != ")":
            self.fail("expected ')'")
        self.at += 1
        self.depth -= 1
        return replace(inner, bracketed=True) if isinstance(inner, Bin) else inner


def _negate(arg: Expr) -> Expr:
    return Num(-arg.value) if isinstance(arg, Num) else Neg(arg)


def _join(op: str, left: Expr, right: Expr) -> Expr:
    if op in _COMPARE:
        return Cmp(_COMPARE[op], left, right)
    if op in (".and.", ".or."):
        return Logic(op.strip("."), left, right)
    return Bin(op, left, right)


def operands(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions, conditions of a Piecewise included."""
    if isinstance(expr, (Bin, Cmp, Logic)):
        return (expr.left, expr.right)
    if isinstance(expr, (Neg, Call)):
        return (expr.arg,)
    if isinstance(expr, Apply):
        return expr.args
    if isinstance(expr, Piecewise):
        return tuple(e for condition, value in expr.cases for e in (condition, value) if e is not None)
    return ()


def _depth(expr: Expr) -> int:
    deepest, stack = 0, [(expr, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        stack.extend((child, depth + 1) for child in operands(node))
    return deepest


def names(expr: Expr) -> set[str]:
    """The names of all variables in the expression."""
    found: set[str] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Name):
            found.add(node.id)
        stack.extend(operands(node))
    return found


def calls(expr: Expr, function: str) -> bool:
    """Whether the function is called anywhere in the expression."""
    return (isinstance(expr, Call) and expr.function == function) or any(calls(e, function) for e in operands(expr))


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same node with other operands, in the order of ``operands``."""
    if isinstance(expr, Bin):
        return Bin(expr.op, parts[0], parts[1], expr.bracketed)
    if isinstance(expr, Cmp):
        return Cmp(expr.op, parts[0], parts[1])
    if isinstance(expr, Logic):
        return Logic(expr.op, parts[0], parts[1])
    if isinstance(expr, Neg):
        return Neg(parts[0])
    if isinstance(expr, Call):
        return Call(expr.function, parts[0])
    if isinstance(expr, Apply):
        return Apply(expr.function, parts)
    if isinstance(expr, Piecewise):
        rest = iter(parts)
        return Piecewise(tuple((None if c is None else next(rest), next(rest)) for c, _ in expr.cases))
    return expr


def substitute(expr: Expr, mapping: dict[str, Expr]) -> Expr:
    """Replace variables by expressions (simultaneously)."""
    if isinstance(expr, Name):
        return mapping.get(expr.id, expr)
    parts = operands(expr)
    if not parts:
        return expr
    return rebuild(expr, tuple(substitute(part, mapping) for part in parts))


def left_to_right(expr: Expr) -> Expr:
    """The tree that C and NMODL make of the same text: ``a*b/c`` is (a*b)/c there, ``a+b-c`` is (a+b)-c.

    The value is the same but for rounding.
    """
    parts = operands(expr)
    if not parts:
        return expr
    expr = rebuild(expr, tuple(left_to_right(part) for part in parts))
    tighter = {"*": "/", "+": "-"}.get(expr.op) if isinstance(expr, Bin) else None
    if tighter is None or not isinstance(expr, Bin):
        return expr
    chain, right = [], expr.right
    while isinstance(right, Bin) and right.op == tighter and not right.bracketed:
        chain.append(right)
        right = right.left
    if not chain:
        return expr
    result = Bin(expr.op, expr.left, right)
    for link in reversed(chain):
        result = Bin(tighter, result, link.right)
    return replace(result, bracketed=expr.bracketed)


_PRINT = {"==": ".eq.", "!=": ".neq.", "<": ".lt.", ">": ".gt.", "<=": ".leq.", ">=": ".geq."}


def to_text(expr: Expr) -> str:
    """The expression as LEMS text, fully bracketed; ``parse`` gives the same tree back (Piecewise has no LEMS text)."""
    if isinstance(expr, Num):
        return repr(expr.value) if expr.value >= 0 else f"(-{-expr.value!r})"
    if isinstance(expr, Name):
        return expr.id
    if isinstance(expr, Neg):
        return f"(-({to_text(expr.arg)}))"
    if isinstance(expr, Call):
        return f"{expr.function}({to_text(expr.arg)})"
    if isinstance(expr, Bin):
        return f"({to_text(expr.left)} {expr.op} {to_text(expr.right)})"
    if isinstance(expr, Cmp):
        return f"({to_text(expr.left)} {_PRINT[expr.op]} {to_text(expr.right)})"
    if isinstance(expr, Logic):
        return f"({to_text(expr.left)} .{expr.op}. {to_text(expr.right)})"
    if isinstance(expr, Piecewise):
        cases = "; ".join(f"{to_text(c) if c is not None else 'else'}: {to_text(v)}" for c, v in expr.cases)
        return f"{{{cases}}}"
    raise TypeError(f"not an expression: {expr!r}")
