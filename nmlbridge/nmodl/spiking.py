"""Cells that fire out of NMODL: the equations, threshold and reset of a process that sends events by WATCH.

Izhikevich's cells are written so: with DERIVATIVE, or with steps of their own, ``u = u + (t - t0) * rate; t0 = t``. Of
such a step the rate is taken, so the equations are those that the mod file approximates. Numbers in NEURON's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import UnsupportedError
from ..lems.evaluate import evaluate
from ..lems.expression import Expr, Name, Num, names, substitute
from .algebra import add, derivative, linear, simplify, subtract
from .interpret import Run, condition_of
from .read import Assignment, Source

_STEP = "_step_"
"""the time since the last step, where a mod file makes its steps itself"""


@dataclass(frozen=True)
class Spiking:
    """It fires when ``test`` becomes true, and its variables are then what ``reset`` says.

    ``current`` (nA, outward; None: it has no place in the circuit) and ``rates`` (1/ms) are formulas of ``v`` and the
    states. ``start`` is where states begin, and ``v`` if the process sets it. ``arrival`` is how far the variables jump
    by an event of weight 1.
    """

    states: tuple[str, ...]
    rates: Mapping[str, Expr]
    start: Mapping[str, float]
    current: Expr | None
    test: Expr
    reset: Mapping[str, Expr]
    arrival: Mapping[str, float] = field(default_factory=dict)


def spiking_of(source: Source, values: Mapping[str, float], rest: float = -65.0) -> Spiking:
    """The cell that a point process is, with parameters ``values``, where the potential is ``rest`` (mV) at the start.

    Raises UnsupportedError that says why it is none.
    """
    if source.kind == "SUFFIX" or source.block("NET_RECEIVE") is None:
        raise UnsupportedError("it sends no events by itself")
    if source.uses or len(source.nonspecific) > 1:
        raise UnsupportedError("it has currents of ions, or several")
    return _Cell(source, {**source.constants, **source.parameters, **values}, rest).found()


class _Cell(Run):
    def __init__(self, source: Source, numbers: Mapping[str, float], rest: float) -> None:
        super().__init__(source)
        self.rest = rest
        self.numbers: dict[str, Expr] = {name: Num(value) for name, value in numbers.items()}
        self.sent: list[tuple[str, tuple[Expr, ...]]] = []
        self.watched: list[tuple[Expr, int]] = []

    def found(self) -> Spiking:
        """All of it."""
        began = self.run("INITIAL", known={"v": Num(self.rest)})
        del began["v"]  # NEURON keeps to itself what INITIAL makes of it
        flags = [args[1] for word, args in self.sent if word == "net_send" and len(args) == 2]
        if len(flags) != 1 or not isinstance(flags[0], Num):
            raise UnsupportedError("INITIAL does not send it the event that sets its WATCH")
        awake = flags[0].value
        rest = self.step()
        rates, algebraic = self.rates_of(rest)
        self.watched.clear()
        began |= self.run("NET_RECEIVE", awake, changed=True)
        watched = list(self.watched)
        current = rest.get(self.source.nonspecific[0], None) if self.source.nonspecific else None
        fires: list[tuple[Expr, dict[str, Expr]]] = []
        others: dict[str, Expr] = {}
        for test, flag in watched:
            self.sent.clear()
            reset = self.run("NET_RECEIVE", float(flag), changed=True)
            if any(word == "net_event" for word, _ in self.sent):
                fires.append((substitute(test, algebraic), {n: substitute(e, algebraic) for n, e in reset.items()}))
            else:
                others |= reset
        if len(fires) != 1:
            raise UnsupportedError(f"it sends events in {len(fires)} ways; one is understood")
        test, reset = fires[0]
        self.sent.clear()
        arriving = self.run("NET_RECEIVE", 0.0, changed=True)
        if self.sent:
            raise UnsupportedError("it sends events when events arrive")
        states = self.states(current, test, reset, rates)
        moved = sorted(set(others) & ({*states, "v"} - set(algebraic)))
        if moved:
            raise UnsupportedError(f"'{moved[0]}' jumps at other times than those of its spikes")
        start = {name: self.number(began.get(name, Num(0.0)), name) for name in states}
        if "v" in began:
            start["v"] = self.number(substitute(began["v"], {n: Num(value) for n, value in start.items()}), "v")
        arrival = {name: self.jump(name, value) for name, value in arriving.items() if name in states}
        if "v" in arriving:
            raise UnsupportedError("events set v")
        return Spiking(states, {name: rates.get(name, Num(0.0)) for name in states}, start, current, test,
                       {name: value for name, value in reset.items() if name in (*states, "v")}, arrival)  # fmt: skip

    # running -------------------------------------------------------------------------------------------------------

    def run(self, name: str, flag: float | None = None, changed: bool = False,
            known: Mapping[str, Expr] | None = None) -> dict[str, Expr]:  # fmt: skip
        """What a block makes of the variables; with ``changed`` only of those that it sets."""
        block = self.source.block(name)
        env = {**self.numbers, **(known or {})}
        if flag is not None:
            env["flag"] = Num(flag)
        before = dict(env)
        if block is not None:
            self.statements(block.body, env, {each: Num(0.0) for each in block.locals_})
        return {n: e for n, e in env.items() if e != before.get(n, Name(n))} if changed else env

    def step(self) -> dict[str, Expr]:
        """The variables after a step of BREAKPOINT, whose time is a variable."""
        block = self.source.block("BREAKPOINT")
        if block is None:
            raise UnsupportedError("it has no BREAKPOINT")
        clocks = {s.name for s in block.body if isinstance(s, Assignment) and s.expr == Name("t")}
        env = dict(self.numbers) | {clock: Num(0.0) for clock in clocks}
        if clocks:
            env["t"] = Name(_STEP)
        scope: dict[str, Expr] = {each: Num(0.0) for each in block.locals_}
        for statement in block.body:
            self.statements((statement,), env, scope)
            for name, value in list(env.items()):
                # what follows may read it: as it is, and not one step on, which is the same when steps are short
                rate = self.euler(name, value)
                if rate is not None:
                    self.rates[name] = add(self.rates[name], rate) if name in self.rates else rate
                    env[name] = Name(name)
        for clock in clocks:
            env.pop(clock)
        return env

    def euler(self, name: str, value: Expr) -> Expr | None:
        """The rate in ``name + step * rate``; None if it is something else."""
        if _STEP not in names(value):
            return None
        parts = linear(value, _STEP)
        if parts is None:
            slope = derivative(value, _STEP)
            parts = None if slope is None else (slope, value)
        if parts is None:
            return None
        nothing: dict[str, Expr] = {_STEP: Num(0.0)}
        slope, rest = (simplify(substitute(part, nothing)) for part in parts)
        return slope if simplify(subtract(rest, Name(name))) in (Num(0.0), Num(-0.0)) or rest == Name(name) else None

    def rates_of(self, after: Mapping[str, Expr]) -> tuple[dict[str, Expr], dict[str, Expr]]:
        """Rates of all that BREAKPOINT moves, and what it sets anew at each step."""
        rates, algebraic = dict(self.rates), dict[str, Expr]()
        for name, value in after.items():
            if name in rates or name in self.source.nonspecific or value in (Name(name), self.numbers.get(name)):
                continue
            if _STEP not in names(value) and name not in names(value) and name not in ("t", "flag"):
                algebraic[name] = value
        return rates, algebraic

    def states(self, current: Expr | None, test: Expr, reset: Mapping[str, Expr],
               rates: Mapping[str, Expr]) -> tuple[str, ...]:  # fmt: skip
        """The variables that must be known, in the order of the mod file."""
        needed: set[str] = set()
        waiting = [e for e in (current, test, reset.get("v")) if e is not None]
        while waiting:
            for name in names(waiting.pop()) - needed:
                needed.add(name)
                waiting += [e for e in (rates.get(name), reset.get(name)) if e is not None]
        known = [*self.source.states, *sorted(self.source.assigned)]
        odd = sorted(needed - {"v"} - set(known))
        if odd:
            what = "the length of its steps" if odd[0] == _STEP else f"'{odd[0]}'"
            raise UnsupportedError(f"it depends on {what}, of which nothing is known here")
        return tuple(dict.fromkeys(name for name in known if name in needed and name != "v"))

    def jump(self, name: str, value: Expr) -> float:
        """How far an event of weight 1 moves a variable: it must be in proportion to the weight."""
        block = self.source.block("NET_RECEIVE")
        assert block is not None
        if not block.arguments:
            raise UnsupportedError(f"events set '{name}', whatever their weight")
        parts = linear(simplify(subtract(value, Name(name))), block.arguments[0])
        if parts is None or not isinstance(parts[0], Num) or parts[1] != Num(0.0):
            raise UnsupportedError(f"events do not add to '{name}' in proportion to their first weight")
        return parts[0].value

    def number(self, value: Expr, name: str) -> float:
        """A number that must be known at the start."""
        if names(value):
            raise UnsupportedError(f"'{name}' begins at no known number")
        return float(evaluate(value, {}))

    # what is done besides ------------------------------------------------------------------------------------------

    def call(self, name: str, args: tuple[Expr, ...], env: dict[str, Expr]) -> Expr:
        """As for channels; events that are sent are noted."""
        if name in ("net_send", "net_event", "net_move") and self.source.block(name) is None:
            self.sent.append((name, args))
            return Num(0.0)
        return super().call(name, args, env)

    def watch(self, condition: Expr, flag: int) -> None:
        """A condition that is waited for."""
        self.watched.append((condition_of(condition), flag))

    def done(self) -> object:
        """Rates, events and conditions."""
        return super().done(), tuple(self.sent), tuple(self.watched)
