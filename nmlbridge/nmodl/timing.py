"""When things really happen inside a step.

A fixed-step run looks at thresholds once a step and hands over events at the next step, so a spike is seen up to a step
late and a jump of a conductance acts up to a step off: errors of first order that no better integrator can mend. But
the time of an event is known (NET_RECEIVE is called with it), and so is the voltage before and after a crossing. So

- a jump of a state is carried to the time that the state stands for, with the state's own decay;
- a crossing is dated by interpolation, and what a reset sets in motion is carried on to the end of the step;
- what ends at a time within a step (a refractory period) is started from there.

All of it is of second order in the step, vanishes with it, and is left out under variable steps, where events are
exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..lems.expression import Bin, Call, Cmp, Expr, Name, Num, Piecewise, calls, names, substitute
from ..lems.flat import Action, Assign
from .algebra import ZERO, add, derivative, divide, linear, multiply, simplify, subtract
from .equations import Equations
from .mod import If, Set, Stmt, lifted
from .ode import derived_statements

LATE, BEFORE, DRIVE = "late_", "v_before", "drive_"
T, DT = Name("t"), Name("dt")


@dataclass(frozen=True)
class Timing:
    """How a fixed-step run sees time. ``stagger``: states stand for this part of a step after the voltage.

    ``current`` (nA, outward, in terms of v and the states) and ``capacitance`` (nF) are those of a cell that drives the
    voltage of its section.
    """

    stagger: float
    current: Expr | None = None
    capacitance: Expr | None = None


def after_event(timing: Timing) -> list[Stmt]:
    """Set ``late_``: how long before the voltage's time (ms, may be negative) the event was that is being handled."""
    steps = Call("ceil", Bin("-", Bin("/", T, DT), Num(0.5 + 1e-9)))
    return [Set(LATE, Bin("-", Bin("*", DT, steps), T))]


def after_crossing(eq: Equations, timing: Timing, watch: Cmp) -> list[Stmt]:
    """Set ``late_`` from where the voltage crossed, and ``drive_``: what moved it besides the cell's own current."""
    now = simplify(subtract(watch.left, watch.right))
    before = substitute(now, {"v": Name(BEFORE)})
    needed = names(now) | (names(timing.current) if timing.current is not None else set())
    body: list[Stmt] = [
        *derived_statements(eq, needed),
        *lifted("now_", now),
        *lifted("was_", before),
        Set(LATE, ZERO),
        If(((
            Cmp("<", Bin("*", Name("was_"), Name("now_")), ZERO),
            (Set(LATE, Bin("/", Bin("*", DT, Name("now_")), Bin("-", Name("now_"), Name("was_")))),),
        ),)),
    ]  # fmt: skip
    if timing.current is not None and timing.capacitance is not None:
        middle: dict[str, Expr] = {"v": multiply(Num(0.5), add(Name("v"), Name(BEFORE)))}
        wanted = names(timing.current)
        for name in reversed(list(eq.derived)):
            if name in wanted:
                wanted |= names(eq.derived[name])
        for name in [n for n in eq.derived if n in wanted and n in eq.depends({"v"})]:
            body += lifted(f"{name}_mid", substitute(eq.derived[name], middle))
            middle[name] = Name(f"{name}_mid")
        own = divide(substitute(timing.current, middle), timing.capacitance)
        if not isinstance(timing.current, Piecewise):
            slope = divide(subtract(Name("v"), Name(BEFORE)), DT)
            body += lifted(DRIVE, simplify(add(slope, own)))
        else:
            body.append(Set(DRIVE, ZERO))
            for condition, branch in timing.current.cases:
                if holds(branch):
                    continue
                part = divide(substitute(branch, middle), timing.capacitance)
                value = add(divide(subtract(Name("v"), Name(BEFORE)), DT), part)
                body.append(If(((condition, (Set(DRIVE, value),)),)))
    else:
        body.append(Set(DRIVE, ZERO))
    return body


def before_release(timing: Timing) -> list[Stmt]:
    """Set ``drive_`` where the cell holds its voltage still: the current that does so is what comes in from outside."""
    body: list[Stmt] = [Set(DRIVE, ZERO)]
    if timing.capacitance is None or not isinstance(timing.current, Piecewise):
        return body
    middle = {"v": multiply(Num(0.5), add(Name("v"), Name(BEFORE)))}
    for condition, branch in timing.current.cases:
        if holds(branch):
            slope = divide(subtract(Name("v"), Name(BEFORE)), DT)
            value = add(slope, divide(substitute(branch, middle), timing.capacitance))
            body.append(If(((condition, (Set(DRIVE, value),)),)))
    return body


def holds(current: Expr) -> bool:
    """Whether a current is that of a cell which, in some regime, holds its voltage still."""
    return "v_hold" in names(current)


def dated(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Actions after a crossing mean the time of the crossing when they say t."""
    then: dict[str, Expr] = {"t": Bin("-", T, Name(LATE))}
    return tuple(Assign(a.variable, substitute(a.expr, then)) if isinstance(a, Assign) else a for a in actions)


def rewound(eq: Equations, timing: Timing, actions: tuple[Action, ...]) -> tuple[list[Stmt], list[Stmt], set[str]]:
    """What goes before and after the actions of an event that set states by their own values, and these states.

    Such a state has moved since the event. Where what it did cannot be told apart from what the event adds (a nonlinear
    rate, a factor), it is taken back to the time of the event, set there, and carried on. States that it drives get
    what its new course adds.
    """
    elapsed = add(Name(LATE), multiply(Num(timing.stagger), DT))
    moving = [name for name in eq.states if name in eq.derivatives]
    known = {"v", *eq.states}
    rates = {name: simplify(eq.expand(eq.derivatives[name], known)) for name in moving}
    back = {
        a.variable
        for a in actions
        if isinstance(a, Assign)
        and a.variable in rates
        and a.variable in names(eq.expand(a.expr, known))
        and not calls(rates[a.variable], "random")
        and not _separable(eq, a.variable, a.expr, set(eq.states))
    }
    set_here = {a.variable for a in actions if isinstance(a, Assign)}
    driven = [n for n in moving if n not in set_here and names(rates[n]) & back and not calls(rates[n], "random")]
    before: list[Stmt] = []
    after: list[Stmt] = []
    for name in [*sorted(back), *driven]:
        needed = names(rates[name]) - set(moving)
        before += [*derived_statements(eq, needed), *lifted(f"{name}_then_", rates[name])]
        after += [*derived_statements(eq, needed), *lifted(f"{name}_from_", rates[name])]
    for name in sorted(back):
        own = derivative(rates[name], name)
        gone, to_come = elapsed, elapsed
        if own is not None and own != ZERO and names(own) <= set(eq.values):
            gone = divide(subtract(Num(1.0), Call("exp", multiply(Num(-1.0), own, elapsed))), own)
            to_come = divide(subtract(Call("exp", multiply(own, elapsed)), Num(1.0)), own)
        before.append(Set(name, subtract(Name(name), multiply(Name(f"{name}_then_"), gone))))
        after.append(Set(name, add(Name(name), multiply(Name(f"{name}_from_"), to_come))))
    for name in driven:
        change = subtract(Name(f"{name}_from_"), Name(f"{name}_then_"))
        after.append(Set(name, add(Name(name), multiply(change, elapsed))))
    return before, after, back


def _separable(eq: Equations, variable: str, expr: Expr, moving: set[str]) -> bool:
    """Whether an assignment adds to a state something that goes its way by itself: all that it drives is linear."""
    split = linear(expr, variable)
    if split is None or simplify(split[0]) != Num(1.0):
        return False
    for name in eq.derivatives:
        slope = derivative(simplify(eq.expand(eq.derivatives[name], moving)), variable)
        if slope is None or not names(slope) <= set(eq.values):
            return False
    return True


def jump(eq: Equations, timing: Timing, variable: str, expr: Expr) -> list[Stmt]:
    """``variable = expr``; if that adds to a state that decays, carried on to the time that the state stands for."""
    plain = lifted(variable, expr)
    split = linear(expr, variable)
    if variable not in eq.derivatives or split is None or simplify(split[0]) != Num(1.0):
        return plain
    increment = simplify(split[1])
    if increment == ZERO:
        return plain
    elapsed = add(Name(LATE), multiply(Num(timing.stagger), DT))
    moving = set(eq.states)
    body: list[Stmt] = [*lifted("jump_", increment)]
    own = _slope(eq, variable, variable, moving) or ZERO
    for name in eq.derivatives:
        slope = _slope(eq, name, variable, moving) if name != variable else None
        if slope is None or slope == ZERO:
            continue
        both = multiply(Num(0.5), add(own, _slope(eq, name, name, moving) or ZERO))  # exact if they decay alike
        passed = multiply(slope, Name("jump_"), elapsed)
        decayed = passed if both == ZERO else multiply(passed, Call("exp", multiply(both, elapsed)))
        body.append(Set(name, add(Name(name), decayed)))
    carried = multiply(Name("jump_"), Call("exp", multiply(own, elapsed))) if own != ZERO else Name("jump_")
    return [*body, Set(variable, add(Name(variable), carried))]


def steered(eq: Equations, timing: Timing, actions: tuple[Action, ...]) -> tuple[list[Stmt], list[Stmt]]:
    """What goes before and after actions that set the voltage or the regime, for the states that these drive.

    Such a state has already moved to the time it stands for as if nothing had happened. Of what it did since the event,
    the part of the old voltage or regime is taken back and that of the new one put in.
    """
    regimes = {name for name, regime in eq.states.items() if regime}
    set_here = {a.variable for a in actions if isinstance(a, Assign)}
    drivers = set_here & ({"v"} | regimes)
    moving = [name for name in eq.states if name in eq.derivatives]
    jumping = [name for name in moving if name in set_here]
    before: list[Stmt] = []
    after: list[Stmt] = []
    elapsed = add(Name(LATE), multiply(Num(timing.stagger), DT))
    old: dict[str, Expr] = {name: Name(f"{name}_was_") for name in [*sorted(drivers), *jumping]}
    still: dict[str, Expr] = {name: old[name] for name in jumping}
    for name in moving:
        rate = simplify(eq.expand(eq.derivatives[name], {"v", *moving, *regimes}))
        if not names(rate) & drivers or calls(rate, "random"):
            continue
        after += derived_statements(eq, names(rate) - set(moving))
        after += lifted(f"{name}_new_", substitute(rate, still))
        after += lifted(f"{name}_old_", substitute(rate, old))
        change = subtract(Name(f"{name}_new_"), Name(f"{name}_old_"))
        own = derivative(rate, name)
        passed: Expr = multiply(change, elapsed)
        if own is not None and own != ZERO and names(own) <= set(eq.values):
            grown = subtract(Call("exp", multiply(own, elapsed)), Num(1.0))
            passed = divide(multiply(change, grown), own)
        after.append(Set(name, add(Name(name), passed)))
    if after:
        before = [Set(f"{name}_was_", Name(name)) for name in old]
    return before, after


def _slope(eq: Equations, name: str, variable: str, moving: set[str]) -> Expr | None:
    """What a change of ``variable`` adds to the derivative of ``name``, if that is constant."""
    slope = derivative(simplify(eq.expand(eq.derivatives[name], moving)), variable)
    return slope if slope is not None and names(slope) <= set(eq.values) else None


def recall_voltage(eq: Equations, timing: Timing, actions: tuple[Action, ...], driven: bool) -> list[Stmt]:
    """Move v back to the time of the event, if the actions set it by its own value."""
    old = any(isinstance(a, Assign) and a.variable == "v" and "v" in names(eq.expand(a.expr, {"v"})) for a in actions)
    return carry_voltage(eq, timing, driven, -1.0) if old else []


def carry_voltage(eq: Equations, timing: Timing, driven: bool, sign: float = 1.0) -> list[Stmt]:
    """Move v on by what happens between the event and the voltage's time, unless the cell now holds it still.

    ``driven`` says that ``drive_`` was set before the event's actions. A ``sign`` of -1 moves it back instead.
    """
    if timing.current is None or timing.capacitance is None:
        return []
    drive: Expr = Name(DRIVE) if driven else ZERO
    cases = timing.current.cases if isinstance(timing.current, Piecewise) else ((None, timing.current),)
    branches: list[tuple[Expr | None, tuple[Stmt, ...]]] = []
    for condition, branch in cases:
        if holds(branch):
            branches.append((condition, ()))
            continue
        slope = simplify(subtract(drive, divide(branch, timing.capacitance)))
        body = (*lifted("slope_", slope), Set("v", add(Name("v"), multiply(Num(sign), Name(LATE), Name("slope_")))))
        branches.append((condition, body))
    while branches and not branches[-1][1]:
        branches.pop()
    needed = {n for _, branch in cases for n in names(branch)}
    return [*derived_statements(eq, needed), If(tuple(branches))]


def touches(eq: Equations, actions: tuple[Action, ...]) -> bool:
    """Whether the actions set the voltage or the regime, so that the voltage must be carried on."""
    regimes = {name for name, regime in eq.states.items() if regime}
    return any(isinstance(a, Assign) and (a.variable == "v" or a.variable in regimes) for a in actions)
