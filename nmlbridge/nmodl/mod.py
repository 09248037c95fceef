"""A .mod file as a value, and its printing. Text from a model never gets here: names are made safe before."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import UnsupportedError
from ..lems.expression import Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, Piecewise, calls, operands, rebuild
from .fold import small_power


@dataclass(frozen=True)
class Set:
    """``name = expr``; a name that the mechanism does not declare becomes LOCAL to the block."""

    name: str
    expr: Expr


@dataclass(frozen=True)
class Rate:
    """``name' = expr`` in a DERIVATIVE block."""

    name: str
    expr: Expr


@dataclass(frozen=True)
class Line:
    """A fixed statement (SOLVE, net_send, WATCH ...) whose free parts are expressions: ``{0}``, ``{1}`` in the text."""

    text: str
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class If:
    """Branches in order; the condition of a final "else" is None."""

    cases: tuple[tuple[Expr | None, tuple[Stmt, ...]], ...]


Stmt = Set | Rate | Line | If


@dataclass(frozen=True)
class Ion:
    """One USEION line."""

    name: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    valence: int | None = None


@dataclass(frozen=True)
class Mod:
    """One mechanism: what each block of the .mod file holds."""

    name: str
    kind: str  # SUFFIX | POINT_PROCESS | ARTIFICIAL_CELL
    comment: tuple[str, ...] = ()
    ions: tuple[Ion, ...] = ()
    current: tuple[str, str] | None = None
    """("NONSPECIFIC_CURRENT" | "ELECTRODE_CURRENT", variable)"""
    ranges: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    parameters: dict[str, float] = field(default_factory=dict)
    assigned: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    initial: tuple[Stmt, ...] = ()
    breakpoint: tuple[Stmt, ...] = ()
    derivative: tuple[Stmt, ...] = ()
    kinetics: tuple[tuple[str, tuple[Stmt, ...]], ...] = ()
    procedure: tuple[Stmt, ...] = ()
    net_receive: tuple[Stmt, ...] = ()
    net_args: tuple[str, ...] = ()
    random: bool = False

    @property
    def declared(self) -> set[str]:
        """Names that are not LOCAL."""
        ion_names = {n for ion in self.ions for n in (*ion.read, *ion.write)}
        return {*self.parameters, *self.assigned, *self.states, *self.net_args, *ion_names, "v", "t", "flag", "area"}


_LOGIC = {"and": "&&", "or": "||"}
_CALLS = {"abs": "fabs", "H": "heaviside", "factorial": "factorial_of"}


def expression(expr: Expr) -> str:
    """NMODL text of an expression, fully bracketed. A Piecewise has none: it must have been lifted out before."""
    if isinstance(expr, Num):
        text = repr(expr.value)
        return f"({text})" if expr.value < 0 else text
    if isinstance(expr, Name):
        return expr.id
    if isinstance(expr, Neg):
        return f"(-{expression(expr.arg)})"
    if isinstance(expr, Bin):
        if expr.op == "^":
            exponent = small_power(expr)
            if exponent and isinstance(expr.left, Name):
                return "(" + "*".join([expr.left.id] * exponent) + ")"
            return f"pow({expression(expr.left)}, {expression(expr.right)})"
        return f"({expression(expr.left)} {expr.op} {expression(expr.right)})"
    if isinstance(expr, Cmp):
        return f"({expression(expr.left)} {expr.op} {expression(expr.right)})"
    if isinstance(expr, Logic):
        return f"({expression(expr.left)} {_LOGIC[expr.op]} {expression(expr.right)})"
    if isinstance(expr, Call):
        if expr.function == "random":
            return f"({expression(expr.arg)}*random_uniform(rng))"
        return f"{_CALLS.get(expr.function, expr.function)}({expression(expr.arg)})"
    raise TypeError(f"{type(expr).__name__} cannot stand inside an NMODL expression")


def lifted(name: str, expr: Expr) -> list[Stmt]:
    """``name = expr`` as statements: every Piecewise becomes an if-else, nested ones through variables of their own."""
    statements: list[Stmt] = []
    if isinstance(expr, Piecewise):
        cases: list[tuple[Expr | None, tuple[Stmt, ...]]] = []
        for number, (condition, value) in enumerate(expr.cases):
            if condition is not None:
                condition = _lift(condition, f"{name}_c{number}", statements)
            cases.append((condition, tuple(lifted(name, value))))
        statements.append(If(tuple(cases)))
        return statements
    plain = _lift(expr, name, statements)
    return [*statements, Set(name, plain)]


def _lift(expr: Expr, name: str, statements: list[Stmt]) -> Expr:
    if isinstance(expr, Piecewise):
        new = f"{name}_p{len(statements)}"
        statements.extend(lifted(new, expr))
        return Name(new)
    parts = operands(expr)
    if not parts:
        return expr
    return rebuild(expr, tuple(_lift(part, name, statements) for part in parts))


def to_nmodl(mod: Mod) -> str:
    """The text of the .mod file.

    Raises UnsupportedError for what NEURON gets wrong: it gives ``area`` and RANDOM one slot, and aborts.
    """
    if mod.random and "area" in mod.assigned:
        raise UnsupportedError(
            f"{mod.name} ({'; '.join(mod.comment)}) draws random numbers and needs the area of its compartment; NEURON "
            "cannot do both in one mechanism: move one of them into a component of its own"
        )
    out: list[str] = [f": {line}" for line in mod.comment]
    out += ["", "NEURON {", f"    {mod.kind} {mod.name}", "    THREADSAFE"]
    for ion in mod.ions:
        line = f"    USEION {ion.name}"
        if ion.read:
            line += " READ " + ", ".join(ion.read)
        if ion.write:
            line += " WRITE " + ", ".join(ion.write)
        if ion.valence is not None:
            line += f" VALENCE {ion.valence}"
        out.append(line)
    if mod.current is not None:
        out.append(f"    {mod.current[0]} {mod.current[1]}")
    if mod.ranges:
        out += _wrapped("    RANGE ", mod.ranges)
    if mod.pointers:
        out.append("    POINTER " + ", ".join(mod.pointers))
    if mod.random:
        out.append("    RANDOM rng")
    out += ["}", ""]
    if mod.parameters:
        out += ["PARAMETER {", *(f"    {name} = {value!r}" for name, value in mod.parameters.items()), "}", ""]
    ion_names = {n for ion in mod.ions for n in (*ion.read, *ion.write)}
    assigned = [name for name in dict.fromkeys([*mod.assigned, *sorted(ion_names)]) if name not in mod.states]
    if mod.kind != "ARTIFICIAL_CELL":
        assigned = ["v", *assigned]
    if assigned:
        out += ["ASSIGNED {", *(f"    {name}" for name in assigned), "}", ""]
    if mod.states:
        out += ["STATE {", *(f"    {name}" for name in mod.states), "}", ""]
    declared = mod.declared
    blocks: list[tuple[str, tuple[Stmt, ...]]] = [("INITIAL", mod.initial)]
    if mod.breakpoint:
        blocks.append(("BREAKPOINT", mod.breakpoint))
    if mod.derivative:
        blocks.append(("DERIVATIVE states", mod.derivative))
    blocks += [(f"KINETIC {name}", body) for name, body in mod.kinetics]
    if mod.procedure:
        blocks.append(("PROCEDURE look()", mod.procedure))
    if mod.net_receive or mod.net_args:
        blocks.append((f"NET_RECEIVE({', '.join(mod.net_args) or 'w'})", mod.net_receive))
    for title, body in blocks:
        out += [f"{title} {{", *block_lines(body, declared), "}", ""]
    out += _functions(mod)
    return "\n".join(out)


def _wrapped(head: str, items: Sequence[str]) -> list[str]:
    return [head + ", ".join(items[i : i + 8]) for i in range(0, len(items), 8)]


def block_lines(body: Sequence[Stmt], declared: set[str]) -> list[str]:
    """The lines inside a block; what is not ``declared`` becomes LOCAL."""
    local = list(dict.fromkeys(name for name in _assigned(body) if name not in declared))
    rows = [", ".join(local[i : i + 10]) for i in range(0, len(local), 10)]
    lines = ["    LOCAL " + ",\n        ".join(rows)] if rows else []  # CoreNEURON takes one LOCAL a block
    return lines + _lines(body, 1)


def _assigned(body: Iterable[Stmt]) -> list[str]:
    found: list[str] = []
    for statement in body:
        if isinstance(statement, Set):
            found.append(statement.name)
        elif isinstance(statement, If):
            for _, inner in statement.cases:
                found += _assigned(inner)
    return found


def _lines(body: Iterable[Stmt], depth: int) -> list[str]:
    pad = "    " * depth
    out: list[str] = []
    for statement in body:
        if isinstance(statement, Set):
            out += _broken(f"{pad}{statement.name} = {expression(statement.expr)}", pad)
        elif isinstance(statement, Rate):
            out += _broken(f"{pad}{statement.name}' = {expression(statement.expr)}", pad)
        elif isinstance(statement, Line):
            out += _broken(pad + statement.text.format(*(expression(arg) for arg in statement.args)), pad)
        else:
            for number, (condition, inner) in enumerate(statement.cases):
                head = "else" if number else ""
                if condition is not None:
                    head = f"{head} if ({expression(condition)})".strip()
                elif not number:  # a lone "else" always applies
                    out += _lines(inner, depth)
                    continue
                if number:
                    out[-1:] = _broken(f"{pad}}} {head} {{", pad)
                else:
                    out += _broken(f"{pad}{head} {{", pad)
                out += _lines(inner, depth + 1)
                out.append(f"{pad}}}")
    return out


def _broken(text: str, pad: str) -> list[str]:
    """A long statement over several lines: NEURON's translator has a limit."""
    if len(text) <= 120:
        return [text]
    return textwrap.wrap(text.strip(), 116, initial_indent=pad, subsequent_indent=pad + "    ",
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _statements(body: Iterable[Stmt]) -> Iterable[Expr]:
    for statement in body:
        if isinstance(statement, (Set, Rate)):
            yield statement.expr
        elif isinstance(statement, Line):
            yield from statement.args
        else:
            for condition, inner in statement.cases:
                if condition is not None:
                    yield condition
                yield from _statements(inner)


def mod_expressions(mod: Mod) -> list[Expr]:
    """Every expression in the mechanism."""
    bodies = [
        mod.initial,
        mod.breakpoint,
        mod.derivative,
        mod.procedure,
        mod.net_receive,
        *(b for _, b in mod.kinetics),
    ]
    return [expr for body in bodies for expr in _statements(body)]


def _functions(mod: Mod) -> list[str]:
    out: list[str] = []
    used = mod_expressions(mod)
    if any(calls(expr, "H") for expr in used):
        out += [
            "FUNCTION heaviside(x) {",
            "    if (x < 0) {", "        heaviside = 0", "    } else if (x > 0) {", "        heaviside = 1",
            "    } else {", "        heaviside = 0.5", "    }", "}", "",
        ]  # fmt: skip
    if any(calls(expr, "factorial") for expr in used):
        out += [
            "FUNCTION factorial_of(x) {",
            "    LOCAL n, p", "    n = 2", "    p = 1",
            "    while (n <= x + 0.5) {", "        p = p * n", "        n = n + 1", "    }",
            "    factorial_of = p", "}", "",
        ]  # fmt: skip
    return out
