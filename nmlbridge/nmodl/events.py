"""Events and conditions: what happens at a spike, at a time and at a crossing.

LEMS looks at every OnCondition after every step. NEURON has three places for that, and each condition gets one of them:

- *scheduled*: the test waits for a time that only events change (``t .gt. tnext``): a self event at exactly that time;
- *watched*: the test compares something continuous and its actions send an event, draw a number or set v: a WATCH;
- *stepwise*: anything else that only sets states: looked at after each step, after the states have moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UnsupportedError
from ..lems.expression import Bin, Cmp, Expr, Logic, Name, Num, calls, names
from ..lems.flat import Action, Assign, Condition, Emit
from .algebra import divide, linear, negate, simplify, subtract
from .equations import Equations
from .mod import If, Line, Set, Stmt, lifted
from .ode import derived_statements
from .timing import (
    BEFORE,
    Timing,
    after_crossing,
    after_event,
    before_release,
    carry_voltage,
    dated,
    holds,
    jump,
    recall_voltage,
    rewound,
    steered,
    touches,
)

FIRST_FLAG = 2
PORT = "port__"  # argument of NET_RECEIVE: the number of the in port
FIRED = Num(-1.0)  # a condition has just acted; NEVER: it has not been scheduled yet
NEVER = Num(1e30)
FAR = 1e9  # ms: beyond any run; nothing is scheduled after it
PAUSE = 0.01  # ms: where there are no fixed steps, how long after a condition acted that still holds it acts again


@dataclass
class Handling:
    """Where each condition goes."""

    scheduled: list[tuple[Condition, Expr]] = field(default_factory=list)  # with the time it waits for
    watched: list[tuple[Condition, Cmp]] = field(default_factory=list)
    stepwise: list[Condition] = field(default_factory=list)


def classify(eq: Equations, continuous: set[str], artificial: bool, variable: bool = False) -> Handling:
    """Sort the conditions. ``continuous`` are the names that change between events (v, states with a derivative).

    ``variable``: steps are long, so every condition that can be an event is one.
    """
    handling = Handling()
    discrete = set(eq.states) - set(eq.derivatives)
    for condition in eq.conditions:
        moving = continuous | {"t"}
        test = simplify(eq.expand(condition.test, moving | discrete))
        terms = conjuncts(test)
        timed = [t for t in terms if "t" in names(t)]
        flowing = [t for t in terms if names(t) & continuous]
        telling = any(isinstance(a, Emit) or a.variable == "v" for a in condition.actions)
        heavy = telling or any(isinstance(a, Assign) and calls(a.expr, "random") for a in condition.actions)
        when = _due(timed[0]) if len(timed) == 1 and not flowing else None
        if when is not None and (heavy or artificial or variable or condition.regime is not None):
            handling.scheduled.append((condition, when))
        elif heavy or artificial or condition.regime is not None:
            watch = next((t for t in flowing if isinstance(t, Cmp) and t.op not in ("==", "!=")), None)
            if watch is None and not (telling or artificial or variable or condition.regime is not None):
                handling.stepwise.append(condition)  # draws anew in every step of a stretch of time
                continue
            if watch is None or artificial:
                raise UnsupportedError(
                    f"'{eq.id}' ({eq.type}): NEURON has no event for its OnCondition; the test must compare time or "
                    "a variable that changes continuously with <, >, .geq. or .leq."
                )
            handling.watched.append((condition, watch))
        else:
            watch = next((t for t in flowing if isinstance(t, Cmp) and t.op not in ("==", "!=")), None)
            if variable and watch is not None:
                handling.watched.append((condition, watch))
            else:
                handling.stepwise.append(condition)
    return handling


def conjuncts(test: Expr) -> list[Expr]:
    """The parts of a test that are joined by "and"."""
    if isinstance(test, Logic) and test.op == "and":
        return [*conjuncts(test.left), *conjuncts(test.right)]
    return [test]


def _due(test: Expr) -> Expr | None:
    """The time from which a comparison holds, if it holds for good from then on."""
    if not isinstance(test, Cmp) or test.op in ("==", "!="):
        return None
    split = linear(simplify(subtract(test.left, test.right)), "t")
    if split is None or not isinstance(split[0], Num) or split[0].value == 0:
        return None
    rising = split[0].value > 0
    if rising != (test.op in (">", ">=")):
        return None
    return simplify(divide(negate(split[1]), split[0]))


def perform(
    eq: Equations, actions: tuple[Action, ...], emits: bool, timing: Timing | None = None, arriving: bool = False
) -> list[Stmt]:
    """The actions in order; derived variables have the values from before them. ``arriving``: an event came in."""
    needed: set[str] = set()
    for action in actions:
        if isinstance(action, Assign):
            needed |= names(action.expr)
    before: list[Stmt] = []
    after: list[Stmt] = []
    if timing is not None and timing.current is not None and touches(eq, actions):
        before, after = steered(eq, timing, actions)
    back: set[str] = set()
    if timing is not None and arriving:
        first, last, back = rewound(eq, timing, actions)
        before, after = [*before, *first], [*last, *after]
    body = [*before, *derived_statements(eq, needed)]
    for action in actions:
        if isinstance(action, Assign):
            if timing is not None and action.variable not in back:
                body += jump(eq, timing, action.variable, action.expr)
            else:
                body += lifted(action.variable, action.expr)
        elif emits and action.port == eq.out_ports[0]:  # the one that connections and spikes are from
            body.append(Line("net_event(t)"))
    return [*body, *after]


def stepwise_statements(eq: Equations, handling: Handling) -> list[Stmt]:
    """The conditions that are looked at after every step."""
    body: list[Stmt] = []
    for condition in handling.stepwise:
        body += derived_statements(eq, names(condition.test))
        body.append(If(((condition.test, tuple(perform(eq, condition.actions, False))),)))
    return body


def scheduling(handling: Handling, variable: bool = False) -> list[Stmt]:
    """Send a self event for each scheduled condition whose time has changed."""
    again = f"net_send({PAUSE}, " if variable else "net_send(dt, "
    body: list[Stmt] = []
    for row, (condition, when) in enumerate(handling.scheduled):
        flag = FIRST_FLAG + row
        due, sent, fired = f"due_{flag}", f"sent_{flag}", f"fired_{flag}"
        send: list[Stmt] = [
            Set(fired, Name(sent)),
            Set(sent, Name(due)),
            If((
                (Cmp(">", Name(due), Name("t")), (Line("net_send({0} - t, " + str(flag) + ")", (Name(due),)),)),
                # a condition that stays true after it acted acts again after a step, as in LEMS
                (Cmp("<", Name(fired), Num(0.0)), (Line(again + str(flag) + ")"),)),
                (None, (Line("net_send(0, " + str(flag) + ")"),)),
            )),
        ]  # fmt: skip
        waits: Expr = Logic("and", Cmp("!=", Name(due), Name(sent)), Cmp("<", Name(due), Num(FAR)))
        if condition.regime is not None:
            waits = Logic("and", in_regime(condition.regime), waits)
        body += [*lifted(due, when), If(((waits, tuple(send)),))]
    return body


def in_regime(regime: tuple[str, int]) -> Expr:
    """The test that a regime is active."""
    return Cmp("==", Name(regime[0]), Num(float(regime[1])))


def net_receive(
    eq: Equations, handling: Handling, emits: bool, after: list[Stmt], timing: Timing | None = None,
    variable: bool = False, ported: bool = False,
) -> list[Stmt]:  # fmt: skip
    """The body of NET_RECEIVE: flag 0 is an event from outside, 1 sets the watches, the others are conditions.

    ``after`` follows every event; ``timing`` is None where events are exact (variable steps, event sources). An event
    brings the number of the port that it comes in at if ``ported``.
    """
    body: list[Stmt] = []
    arrived: list[Stmt] = []
    guarded: list[tuple[Expr | None, tuple[Stmt, ...]]] = []
    for event in eq.events:
        done = perform(eq, event.actions, emits, timing, True)
        if timing is not None and touches(eq, event.actions):
            done = [*recall_voltage(eq, timing, event.actions, False), *done, *after, *carry_voltage(eq, timing, False)]
        if ported:
            done = [If(((Cmp("==", Name(PORT), Num(float(eq.in_ports.index(event.port)))), tuple(done)),))]
        if event.regime is None:
            arrived += done
        else:
            guarded.append((in_regime(event.regime), tuple(done)))
    if guarded:
        # one regime acts on an event, even if it leaves for another one
        arrived.insert(0, If(tuple(guarded)))
    if arrived:
        if timing is not None:
            arrived = [*after_event(timing), *arrived]
        body.append(If(((Cmp("==", Name("flag"), Num(0.0)), tuple(arrived)),)))
    cases: list[tuple[Expr, Condition, Expr | None]] = []
    when: Expr | None
    for row, (condition, when) in enumerate(handling.scheduled):
        cases.append((Cmp("==", Name("flag"), Num(float(FIRST_FLAG + row))), condition, when))
    first = FIRST_FLAG + len(handling.scheduled)
    watches: list[Stmt] = []
    for row, (condition, watch) in enumerate(handling.watched):
        sign = ">" if watch.op in (">", ">=") else "<"
        watches += derived_statements(eq, names(watch))
        watches.append(Line("WATCH ({0} " + sign + " {1}) " + str(first + row), (watch.left, watch.right)))
        cases.append((Cmp("==", Name("flag"), Num(float(first + row))), condition, None))
    if watches:
        # what holds from the start never crosses, so it is asked for once
        for row, (_, watch) in enumerate(handling.watched):
            watches.append(If(((watch, (Line("net_send(0, " + str(first + row) + ")"),)),)))
        body.append(If(((Cmp("==", Name("flag"), Num(1.0)), tuple(watches)),)))
    for row, (flagged, condition, when) in enumerate(cases):
        guard: Expr | None = None if condition.regime is None else in_regime(condition.regime)
        statements: list[Stmt] = []
        test = simplify(condition.test)
        if when is not None:
            # The event comes at the time itself: compare with that time rather than ask "t > time". A state that has
            # moved on since makes the event stale.
            due = f"due_{FIRST_FLAG + row}"
            statements += lifted(due, when)
            rest = [t for t in conjuncts(test) if "t" not in names(t)]
            guard = _both(guard, Cmp("<=", Name(due), Bin("+", Name("t"), Num(1e-6))))
            for term in rest:
                guard = _both(guard, term)
        else:
            rest = [t for t in conjuncts(test) if t != handling.watched[row - len(handling.scheduled)][1]]
            for term in rest:
                guard = _both(guard, term)
        if guard is not None:
            statements += derived_statements(eq, names(guard))
        if timing is None:
            actions = perform(eq, condition.actions, emits)
        else:
            crossed = None if when is not None else handling.watched[row - len(handling.scheduled)][1]
            wanted = condition.actions if crossed is None else dated(condition.actions)
            before = after_event(timing) if crossed is None else after_crossing(eq, timing, crossed)
            moved = touches(eq, condition.actions)
            # what a held voltage is pulled by shows over a whole step, of which v_before is the beginning
            held = moved and bool(handling.watched) and timing.current is not None and holds(timing.current)
            if held and crossed is None:
                before += before_release(timing)
            if moved:
                before += recall_voltage(eq, timing, wanted, crossed is not None or held)
            actions = [*before, *perform(eq, wanted, emits, timing)]
            if moved:
                actions += [*after, *carry_voltage(eq, timing, crossed is not None or held)]
            if held and crossed is not None:
                actions.append(Set(BEFORE, Name("v")))
        if when is not None:
            actions = [Set(f"sent_{FIRST_FLAG + row}", FIRED), *actions]
        statements += actions if guard is None else [If(((guard, tuple(actions)),))]
        body.append(If(((flagged, tuple(statements)),)))
    if body:
        body += [*scheduling(handling, variable), *after]
    return body


def _both(left: Expr | None, right: Expr) -> Expr:
    return right if left is None else Logic("and", left, right)
