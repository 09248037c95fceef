"""A mechanism in Arbor's dialect of NMODL: https://docs.arbor-sim.org/en/latest/fileformat/nmodl.html

Arbor has no time in mechanisms, no events that they send themselves, no pointers, and random numbers of another kind.
SOLVE stands first in BREAKPOINT, and ``v`` is not declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import UnsupportedError
from ..lems.expression import Bin, Call, Cmp, Expr, Name, Num, names, operands, rebuild
from .fold import small_power
from .mod import If, Line, Mod, Rate, Set, Stmt, block_lines, mod_expressions

_KNOWN = {"exp": "exp", "ln": "log", "log": "log", "sqrt": "sqrt", "abs": "abs", "sin": "sin", "cos": "cos"}
_DROPPED = ("CONDUCTANCE", "at_time")
_METHODS = {"cnexp": "cnexp", "derivimplicit": "sparse", "sparse": "sparse"}
_SOLVE = re.compile(r"SOLVE (\w+) METHOD (\w+)")


def to_arbor(mod: Mod) -> str:
    """The text of the .mod file. Raises UnsupportedError that names what Arbor's mechanisms have not."""
    _check(mod)
    current = "" if mod.current is None else mod.current[1]
    out = [*(f": {line}" for line in mod.comment), "", "NEURON {", f"    {mod.kind} {mod.name}"]
    for ion in mod.ions:
        line = f"    USEION {ion.name}"
        line += f" READ {', '.join(ion.read)}" if ion.read else ""
        line += f" WRITE {', '.join(ion.write)}" if ion.write else ""
        out.append(line + (f" VALENCE {ion.valence}" if ion.valence is not None else ""))
    out += [f"    NONSPECIFIC_CURRENT {current}"] if current else []
    ranges = [name for name in mod.ranges if name != current]
    ranges += [name for name in mod.parameters if name not in ranges]
    out += [f"    RANGE {', '.join(ranges)}"] if ranges else []
    out += ["}", ""]
    if mod.parameters:
        out += ["PARAMETER {", *(f"    {name} = {value!r}" for name, value in mod.parameters.items()), "}", ""]
    ion_names = {name for ion in mod.ions for name in (*ion.read, *ion.write)}
    assigned = [name for name in dict.fromkeys(mod.assigned) if name not in {*mod.states, *ion_names, current}]
    if assigned:
        out += ["ASSIGNED {", *(f"    {name}" for name in assigned), "}", ""]
    if mod.states:
        out += ["STATE {", *(f"    {name}" for name in mod.states), "}", ""]
    declared = mod.declared
    out += _block("INITIAL", mod.initial, declared)
    out += _block("BREAKPOINT", mod.breakpoint, declared)
    if mod.derivative:
        out += _block("DERIVATIVE states", mod.derivative, declared)
    if mod.net_receive or mod.net_args:
        out += _block(f"NET_RECEIVE({mod.net_args[0] if mod.net_args else 'w'})", _events(mod), declared)
    return "\n".join(out)


def _check(mod: Mod) -> None:
    used = {name for expr in mod_expressions(mod) for name in names(expr)}
    current = mod.current is not None and mod.current[0] == "ELECTRODE_CURRENT"
    for fault, what in (
        (mod.kind == "ARTIFICIAL_CELL", "artificial cells"), (mod.random, "random numbers"), (mod.pointers, "pointers"),
        (mod.procedure, "conditions that are watched"), (mod.kinetics, "kinetic schemes"), ("t" in used, "time"),
        ("area" in used, "the area of a compartment"), (len(mod.net_args) > 1, "events with several numbers"),
        (current, "currents that depend on time or are an electrode's"),
    ):  # fmt: skip
        if fault:
            raise UnsupportedError(f"mechanism '{mod.name}' ({'; '.join(mod.comment)}) needs {what}, which Arbor's "
                                   "mechanisms have not")  # fmt: skip
    for statement in _flat((*mod.initial, *mod.breakpoint, *mod.derivative)):
        if isinstance(statement, Line) and not statement.text.startswith((*_DROPPED, "SOLVE")):
            raise UnsupportedError(f"mechanism '{mod.name}' needs '{statement.text.split('(')[0]}', which Arbor's "
                                   "mechanisms have not")  # fmt: skip


def _flat(body: Iterable[Stmt]) -> Iterable[Stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, If):
            for _, inner in statement.cases:
                yield from _flat(inner)


def _events(mod: Mod) -> tuple[Stmt, ...]:
    """What an event does: NEURON tells events of several kinds apart by ``flag``, Arbor has one."""
    body: list[Stmt] = []
    for statement in mod.net_receive:
        if isinstance(statement, If) and any(c is not None and "flag" in names(c) for c, _ in statement.cases):
            first, inner = statement.cases[0]
            if len(statement.cases) > 1 or not (isinstance(first, Cmp) and first == Cmp("==", Name("flag"), Num(0.0))):
                raise UnsupportedError(f"mechanism '{mod.name}' sends events to itself; Arbor's mechanisms cannot")
            body += inner
        else:
            body.append(statement)
    if any(isinstance(statement, Line) for statement in _flat(body)):
        raise UnsupportedError(f"mechanism '{mod.name}' sends events; Arbor's mechanisms cannot")
    return tuple(body)


def _block(title: str, body: tuple[Stmt, ...], declared: set[str]) -> list[str]:
    solve, rest = [], []
    for statement in body:
        found = _SOLVE.match(statement.text) if isinstance(statement, Line) else None
        if found is not None:
            if found[2] not in _METHODS:
                raise UnsupportedError(f"Arbor has no method '{found[2]}'")
            solve.append(f"    SOLVE {found[1]} METHOD {_METHODS[found[2]]}")
        elif not (isinstance(statement, Line) and statement.text.startswith(_DROPPED)):
            rest.append(_rewritten(statement))
    return [f"{title} {{", *solve, *block_lines(_unused_left_out(rest, declared), declared), "}", ""]


def _unused_left_out(body: list[Stmt], declared: set[str]) -> list[Stmt]:
    """Without locals that nothing reads, such as the times at which NEURON is told to look."""
    read = {name for statement in _flat(body) for expr in _expressions(statement) for name in names(expr)}
    return [s for s in body if not (isinstance(s, Set) and s.name not in declared and s.name not in read)]


def _expressions(statement: Stmt) -> list[Expr]:
    if isinstance(statement, (Set, Rate)):
        return [statement.expr]
    if isinstance(statement, If):
        return [condition for condition, _ in statement.cases if condition is not None]
    return list(statement.args)


def _rewritten(statement: Stmt) -> Stmt:
    if isinstance(statement, Set):
        return Set(statement.name, _plain(statement.expr))
    if isinstance(statement, Rate):
        return Rate(statement.name, _plain(statement.expr))
    if isinstance(statement, If):
        return If(tuple((None if c is None else _plain(c), tuple(map(_rewritten, inner)))
                        for c, inner in statement.cases))  # fmt: skip
    return statement


def _plain(expr: Expr) -> Expr:
    """An expression in functions that Arbor has; a power becomes a product, or an exponential."""
    parts = operands(expr)
    if parts:
        expr = rebuild(expr, tuple(_plain(part) for part in parts))
    if isinstance(expr, Bin) and expr.op == "^":
        exponent = small_power(expr)
        if exponent:
            product = expr.left
            for _ in range(exponent - 1):
                product = Bin("*", product, expr.left)
            return product
        return Call("exp", Bin("*", expr.right, Call("log", expr.left)))
    if isinstance(expr, Call):
        if expr.function not in _KNOWN:
            raise UnsupportedError(f"Arbor's mechanisms have no function '{expr.function}'")
        return Call(_KNOWN[expr.function], expr.arg)
    return expr
