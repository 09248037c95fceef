"""Channels out of NMODL: what its blocks compute, by running them on expressions, and the gates that this amounts to.

A current that is a product of a conductance, powers of gates and ``(v - e)``, whose gates obey linear equations, is a
channel of Hodgkin and Huxley: each gate x has ``x' = (inf - x) / tau``. All numbers are in NEURON's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UnsupportedError
from ..lems.evaluate import evaluate
from ..lems.expression import Apply, Bin, Call, Cmp, Expr, Name, Neg, Num, Piecewise, names, operands, rebuild
from .algebra import divide, linear, multiply, negate, simplify
from .read import Action, Assignment, Solve, Source, Statement, Watch

_FUNCTIONS = {"exp": "exp", "log": "ln", "log10": "log10", "fabs": "abs", "abs": "abs", "sqrt": "sqrt", "sin": "sin",
              "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "floor": "floor",
              "ceil": "ceil"}  # fmt: skip
_CALLS = 60  # of functions inside each other
_SIZE = 20_000  # nodes of an expression
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_METHODS = ("cnexp", "derivimplicit", "euler", "runge", "")


@dataclass(frozen=True)
class Gate:
    """``x' = (inf - x) / tau``; without a ``tau`` it is ``inf`` at all times. ``start`` is what INITIAL gives it."""

    name: str
    power: int
    inf: Expr
    tau: Expr | None = None
    start: Expr | None = None


@dataclass(frozen=True)
class Channel:
    """One current: ``conductance`` (S/cm2), times gates, times ``v - reversal`` (mV), through ``ion`` (None: any).

    ``powers``: parameters that are powers of gates, with their defaults; the channel is this one for these alone.
    """

    ion: str | None
    conductance: Expr
    gates: tuple[Gate, ...]
    reversal: Expr
    powers: tuple[tuple[str, float], ...] = ()

    def shaping(self) -> set[str]:
        """The names that its gates depend on."""
        each = [e for g in self.gates for e in (g.inf, g.tau) if e is not None]
        return {name for expr in each for name in names(expr)}


def channels_of(source: Source) -> tuple[Channel, ...]:
    """The currents of a density mechanism. Raises UnsupportedError that says what is no channel's."""
    if source.kind != "SUFFIX":
        raise UnsupportedError("it is no density mechanism")
    written = {name for _, (_, writes) in source.uses.items() for name in writes}
    currents: dict[str, str | None] = {f"i{ion}": ion for ion in source.uses if f"i{ion}" in written}
    other = sorted(written - set(currents))
    if other:
        raise UnsupportedError(f"it writes {', '.join(other)}")
    currents |= dict.fromkeys(source.nonspecific)
    if not currents:
        raise UnsupportedError("it has no current")
    if source.block("NET_RECEIVE") is not None:
        raise UnsupportedError("it takes events (NET_RECEIVE)")
    run = _Channels(source)
    return tuple(run.channel(name, ion) for name, ion in currents.items())


class Run:
    """Blocks of a mod file run on expressions: ``env`` has what its variables are by then, a name what is not known."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.depth = 0
        self.solved = False
        self.rates: dict[str, Expr] = {}

    def statements(self, body: tuple[Statement, ...], env: dict[str, Expr], scope: dict[str, Expr]) -> None:
        """Run statements; ``scope`` has the variables of the block alone."""
        for statement in body:
            if isinstance(statement, Assignment):
                value = self.value(statement.expr, env, scope)
                if statement.rate:
                    self.rates[statement.name] = value
                elif statement.name in scope:
                    scope[statement.name] = value
                else:
                    env[statement.name] = value
            elif isinstance(statement, Action):
                self.call(statement.name, tuple(self.value(a, env, scope) for a in statement.args), env)
            elif isinstance(statement, Solve):
                self.solve(statement, env)
            elif isinstance(statement, Watch):
                self.watch(self.value(statement.condition, env, scope), statement.flag)
            else:
                self.choose(statement.cases, env, scope)

    def choose(
        self, cases: tuple[tuple[Expr | None, tuple[Statement, ...]], ...], env: dict[str, Expr], scope: dict[str, Expr]
    ) -> None:  # fmt: skip
        """Run the branch that applies, or all, with a distinction of cases in what they set."""
        if not cases:
            return
        condition, body = cases[0]
        test = None if condition is None else self.value(condition, env, scope)
        if test is None or (not names(test) and bool(evaluate(condition_of(test), {}))):
            return self.statements(body, env, scope)
        if not names(test):
            return self.choose(cases[1:], env, scope)
        test = condition_of(test)
        other_env, other_scope, done = dict(env), dict(scope), self.done()
        rest = cases[1:]
        if len(rest) == 1 and rest[0][0] is not None:
            other = self.value(rest[0][0], env, scope)
            if isinstance(other, Cmp) and other == _opposite(test):
                rest = ((None, rest[0][1]),)
        self.statements(body, env, scope)
        self.choose(rest, other_env, other_scope)
        if self.done() != done:
            raise UnsupportedError("an equation stands inside an if")
        for mine, theirs in ((env, other_env), (scope, other_scope)):
            for name in {*mine, *theirs}:
                one, two = mine.get(name, Name(name)), theirs.get(name, Name(name))
                mine[name] = one if one == two else Piecewise(((test, one), (None, two)))

    def done(self) -> Any:
        """All that was done besides setting variables, which cannot hang on a condition."""
        return dict(self.rates)

    def watch(self, condition: Expr, flag: int) -> None:
        """A WATCH statement."""
        raise UnsupportedError("it has the statement 'WATCH'")

    def solve(self, statement: Solve, env: dict[str, Expr]) -> None:
        """Note the rates of a DERIVATIVE block."""
        block = self.source.block(statement.block)
        if block is None or block.kind != "DERIVATIVE":
            raise UnsupportedError(f"SOLVE {statement.block} is no system of differential equations")
        if statement.method not in _METHODS:
            raise UnsupportedError(f"the method '{statement.method}' is not that of gates")
        self.statements(block.body, env, {name: Num(0.0) for name in block.locals_})
        self.solved = True

    def value(self, expr: Expr, env: Mapping[str, Expr], scope: Mapping[str, Expr]) -> Expr:
        """What an expression is, with all that is known put in."""
        if isinstance(expr, Name):
            found = scope.get(expr.id, env.get(expr.id, expr))
            return found
        if isinstance(expr, Apply):
            args = tuple(self.value(arg, env, scope) for arg in expr.args)
            # a function may set variables of the mechanism, but as part of a formula that is no habit of channels
            made = self.call(expr.function, args, dict(env))
        else:
            parts = operands(expr)
            made = rebuild(expr, tuple(self.value(part, env, scope) for part in parts)) if parts else expr
        if _size(made) > _SIZE:
            raise UnsupportedError("its formulas are too large")
        return simplify(made)

    def call(self, name: str, args: tuple[Expr, ...], env: dict[str, Expr]) -> Expr:
        """What a function or procedure gives; it may set variables."""
        block = self.source.block(name)
        if block is None:
            return _built_in(name, args)
        if block.kind == "DERIVATIVE" or len(args) != len(block.arguments):
            raise UnsupportedError(f"'{name}' is called with {len(args)} arguments")
        self.depth += 1
        if self.depth > _CALLS:
            raise UnsupportedError(f"'{name}' calls itself")
        scope: dict[str, Expr] = {
            **{n: Num(0.0) for n in block.locals_},
            **dict(zip(block.arguments, args, strict=True)),
        }
        if block.kind == "FUNCTION":
            scope[name] = Num(0.0)
        self.statements(block.body, env, scope)
        self.depth -= 1
        return scope.get(name, Num(0.0))


class _Channels(Run):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        env: dict[str, Expr] = {name: Num(value) for name, value in source.constants.items()}
        start = dict(env)
        initial = source.block("INITIAL")
        if initial is not None:
            self.statements(initial.body, start, {name: Num(0.0) for name in initial.locals_})
        self.start = {name: start[name] for name in source.states if name in start}
        moving = {"v", *source.states}
        # what is read of an ion is read anew at each step, whatever INITIAL makes of it
        gone = {*source.states, *(name for reads, _ in source.uses.values() for name in reads)}
        env |= {n: e for n, e in start.items() if n not in gone and not names(e) & moving}
        breakpoint_ = source.block("BREAKPOINT")
        if breakpoint_ is None:
            raise UnsupportedError("it has no BREAKPOINT")
        self.env = env
        self.statements(breakpoint_.body, env, {name: Num(0.0) for name in breakpoint_.locals_})
        if source.states and not self.solved:
            raise UnsupportedError("nothing is solved")

    # channels ------------------------------------------------------------------------------------------------------

    def channel(self, current: str, ion: str | None) -> Channel:
        """What a current is made of."""
        if current not in self.env:
            raise UnsupportedError(f"BREAKPOINT does not set {current}")
        states = set(self.source.states)
        fixed: Expr = Num(1.0)
        reversal: Expr | None = None
        gates: list[Gate] = []
        powers: dict[str, int] = {}
        pinned: dict[str, float] = {}
        for factor, exponent in _factors(simplify(self.env[current]), 1, self.source.parameters, pinned):
            used = names(factor)
            if isinstance(factor, Name) and factor.id in states:
                powers[factor.id] = powers.get(factor.id, 0) + exponent
                continue
            if used & states:
                raise UnsupportedError(f"{current} is no product of a conductance, powers of gates and v - e")
            force = linear(factor, "v") if "v" in used and exponent == 1 else None
            if force is not None and reversal is None and isinstance(force[0], Num):
                fixed = multiply(fixed, force[0])
                reversal = simplify(negate(divide(force[1], force[0])))
            elif "v" in used:
                gates.append(Gate(f"g{len(gates)}", 1, factor if exponent == 1 else divide(Num(1.0), factor)))
            else:
                fixed = multiply(fixed, factor) if exponent == 1 else divide(fixed, factor)
        if reversal is None:
            raise UnsupportedError(f"{current} has no driving force v - e")
        for name, power in powers.items():
            if power < 1:
                raise UnsupportedError(f"{current} is divided by the gate '{name}'")
            gates.append(self.gate(name, power, states))
        made = Channel(ion, simplify(fixed), tuple(gates), reversal, tuple(sorted(pinned.items())))
        reads = {name for read, _ in self.source.uses.values() for name in read}
        known = {*self.source.parameters, *self.source.left_open, *reads, "celsius"}
        odd = sorted((made.shaping() | names(made.conductance) | names(reversal)) - known - {"v"})
        if odd:
            raise UnsupportedError(f"{current} depends on '{odd[0]}', which is no parameter")
        return made

    def gate(self, name: str, power: int, states: set[str]) -> Gate:
        rate = self.rates.get(name)
        if rate is None:
            raise UnsupportedError(f"there is no equation of '{name}'")
        if names(rate) & (states - {name}):
            raise UnsupportedError(f"the equation of '{name}' depends on other states")
        plain = (
            isinstance(rate, Bin) and rate.op == "/" and isinstance(rate.left, Bin) and rate.left.op == "-"
            and rate.left.right == Name(name) and name not in names(rate.left.left) | names(rate.right)
        )  # fmt: skip
        if plain:
            assert isinstance(rate, Bin) and isinstance(rate.left, Bin)
            inf, tau = rate.left.left, rate.right
        else:
            parts = linear(rate, name)
            if parts is None or name not in names(rate):
                raise UnsupportedError(f"the equation of '{name}' is not linear in it")
            tau = simplify(divide(Num(-1.0), parts[0]))
            inf = simplify(negate(divide(parts[1], parts[0])))
        return Gate(name, power, inf, tau, self.start.get(name))


def _factors(
    expr: Expr, exponent: int, parameters: Mapping[str, float], pinned: dict[str, float]
) -> list[tuple[Expr, int]]:  # fmt: skip
    """A product taken apart, each factor with 1 or -1; ``pinned`` gets the parameters that are exponents."""
    if isinstance(expr, Neg):
        return [(Num(-1.0), 1), *_factors(expr.arg, exponent, parameters, pinned)]
    if isinstance(expr, Bin) and expr.op in "*/":
        return [*_factors(expr.left, exponent, parameters, pinned),
                *_factors(expr.right, exponent if expr.op == "*" else -exponent, parameters, pinned)]  # fmt: skip
    if isinstance(expr, Bin) and expr.op == "^":
        name = expr.right.id if isinstance(expr.right, Name) and expr.right.id in parameters else None
        count = expr.right.value if isinstance(expr.right, Num) else parameters[name] if name is not None else 0.0
        if count == int(count) and 1 <= abs(count) <= 20:
            if name is not None:
                pinned[name] = count
            return _factors(expr.left, exponent if count > 0 else -exponent, parameters, pinned) * int(abs(count))
    return [(expr, exponent)]


def _built_in(name: str, args: tuple[Expr, ...]) -> Expr:
    if name == "pow" and len(args) == 2:
        return Bin("^", *args)
    if name == "exprelr" and len(args) == 1:
        x = args[0]
        small = Cmp("<", Call("abs", x), Num(1e-9))
        return Piecewise(((small, Num(1.0)), (None, Bin("/", x, Bin("-", Call("exp", x), Num(1.0))))))
    if name not in _FUNCTIONS or len(args) != 1:
        raise UnsupportedError(f"it calls '{name}'")
    return Call(_FUNCTIONS[name], args[0])


def condition_of(expr: Expr) -> Expr:
    """A truth value of NMODL; a number counts as one if it is not 0."""
    kind = type(expr).__name__
    return expr if kind in ("Cmp", "Logic", "Piecewise") else Cmp("!=", expr, Num(0.0))


def _opposite(test: Expr) -> Expr | None:
    """The comparison that holds where this one does not."""
    if not isinstance(test, Cmp) or test.op not in _OPPOSITE:
        return None
    return Cmp(_OPPOSITE[test.op], test.left, test.right)


def _size(expr: Expr) -> int:
    count, waiting = 0, [expr]
    while waiting and count <= _SIZE:
        part = waiting.pop()
        count += 1
        waiting += operands(part)
    return count
