"""The compatibility scheme: mechanisms that integrate step by step as those do that jNeuroML generates.

It exists to show that the default scheme differs from jNeuroML's in integration alone, and to repeat values that were
recorded with it. What jNeuroML 0.14 does, as can be read in any mechanism that it writes:

- derived variables are computed in a procedure that is called from DERIVATIVE, before the states move; those of an ion
  channel itself (fopen, g) are computed in BREAKPOINT from what the procedure left there: gates act a step late;
- every state moves by ``dt`` times its rate, forward Euler, since the rate hides behind a variable;
- where there is a DERIVATIVE block, the current of a synapse or of an abstract cell is what the procedure left;
- conditions are looked at in BREAKPOINT, those that reset the voltage or belong to a regime or a source are WATCHes;
- a regime that holds the voltage pulls it with a rate of 10,000 per us; all parameters are single precision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..errors import UnsupportedError
from ..lems.expression import Bin, Cmp, Expr, Logic, Name, Num, Piecewise, calls, left_to_right, names, substitute
from ..lems.flat import Action, Assign, Condition, Emit
from ..units import Dimension
from .algebra import ZERO, linear, multiply, simplify, subtract
from .build import KINDS, bind, properties_of
from .current import cell_current, current_line, scale_of
from .equations import Array, Equations
from .events import conjuncts, in_regime
from .mechanism import Mechanism, Role
from .mod import If, Line, Mod, Rate, Set, Stmt, lifted, to_nmodl
from .scale import exponent, rescale

HOLD = 1e7  # 1/ms
RESTING = -65.0  # mV; where NEURON starts a section that nobody has told
FIRST_WATCH = 1000
LOOK = Line("look()")
FALL = "v_fall"  # mV/ms: how fast the voltage falls
CONDUCTANCE_DENSITY = Dimension(m=-1, l=-4, t=3, i=2)


@dataclass(frozen=True)
class Layout:
    """What the scheme has to know of a component's tree, as flat names of the first member of a group.

    ``order`` is that of the derived variables as jNeuroML writes them: children first, then as declared, conditional
    ones last. What is used before it is computed has its value from the step before. ``late`` are those that belong to
    an ion channel itself. ``exact`` are parameters that are set from a script; the others stand in the mechanism, and
    NEURON's translator keeps six digits of them. ``still`` are the numbers of regimes of the root in which nothing has
    a derivative: only they pull at the voltage.
    """

    order: tuple[str, ...]
    late: frozenset[str]
    exact: frozenset[str]
    still: frozenset[int] = frozenset()


def single(eq: Equations, density: bool, layout: Layout) -> Equations:
    """The pass ``single``: SI values such that, in NEURON's units, they are products of single precision as printed.

    The conductance densities of a ``density`` are printed in S/cm2.
    """
    values = {}
    for name, column in eq.values.items():
        power = exponent(eq.dimensions[name])
        membrane = density and name in layout.exact  # of the cell: single precision from the start
        if membrane and eq.dimensions[name] == CONDUCTANCE_DENSITY:
            power = -4
        factor = np.float32(10.0**power)
        flat = column.ravel()
        shown = np.array([printed(np.float32(x) * factor if membrane else np.float32(x * float(factor))) for x in flat])
        if name not in layout.exact:
            shown = np.array([float(f"{x:.6g}") for x in shown])
        values[name] = rescale(shown.reshape(column.shape), -power)
    rank = {name: row for row, name in enumerate(layout.order)}
    derived = dict(sorted(eq.derived.items(), key=lambda item: rank.get(item[0], len(rank))))
    return replace(eq, values=values, derived=derived)


def printed(value: np.float32) -> float:
    """What a reader makes of the shortest text that stands for a number of single precision."""
    return float(np.format_float_scientific(value, unique=True, trim="0"))


def build(eq: Equations, role: Role, name: str, late: frozenset[str], still: frozenset[int]) -> Mechanism:
    """The mechanism of a group in a role, in the compatibility scheme; ``late`` and ``still`` are those of a Layout."""
    eq, ions = bind(eq.map(left_to_right), role, eq.factors.get("t") == 1e3, literal=True)
    eq, unit = _per_cm2(eq, role)
    drives = role.kind == "cell" and "v" in eq.derivatives
    attached = {n: ZERO for n, x in eq.externals.items() if x.kind == "attachments"}
    capacitance = cell_current(eq)[1] if drives else None
    eq = eq.map(lambda expr: substitute(expr, dict(attached)))
    occupied = [state for scheme in eq.kinetics for state in scheme.states]
    moving = [n for n in eq.states if n in eq.derivatives and n != "v"]
    discrete = [n for n in eq.states if n not in eq.derivatives and n not in occupied and n != "v"]
    weight, instance, args = properties_of(eq, role)
    emits = not drives and any(isinstance(a, Emit) for group in eq.reactions for a in group.actions)
    watched, stepwise = _sorted(eq, drives, emits)
    procedure, slopes = _procedure(eq, moving, drives, late, still)
    breakpoint_body: list[Stmt] = []
    if moving:
        breakpoint_body.append(Line("SOLVE states METHOD cnexp"))
    schemes = _schemes(eq)
    breakpoint_body += [Line(f"SOLVE {title} METHOD sparse") for title, _ in schemes]
    if procedure and not moving and not schemes:
        breakpoint_body.append(LOOK)
    for derived in [n for n in eq.derived if n in late]:
        breakpoint_body += lifted(derived, eq.derived[derived])
    for condition in stepwise:
        breakpoint_body.append(If(((condition.test, tuple(_assigns(condition.actions))),)))
    line = current_line(role, ions)
    values = dict(eq.values)
    if line is not None:
        breakpoint_body += _current(eq, role, line[1], drives, capacitance, values, unit)
    peers = {x.target: n for n, x in eq.externals.items() if x.kind == "peer"}
    assigned = [*discrete, *slopes, *eq.derived, *peers.values()]
    if line is not None and line[0] != "ION":
        assigned.append(line[1])
    if "area" in {n for expr in eq.expressions() for n in names(expr)}:
        assigned.append("area")
    pool = f"{role.ion}i" if role.kind == "pool" else None
    used = {n for expr in eq.expressions() for n in names(expr)} | {"c_cell"}
    varying = {n: a for n, a in values.items() if n in used}
    starts = [a for a in eq.on_start if a.variable != "v"]
    initial: list[Stmt] = [Set(n, ZERO) for n in discrete]
    initial += [LOOK, LOOK] if procedure else []
    initial += [*(Line(f"SOLVE {title} STEADYSTATE sparse") for title, _ in schemes)]
    for assign in starts:
        initial += lifted(assign.variable, assign.expr)
    receive = _receive(eq, watched, drives, emits)
    if watched or drives:
        initial.append(Line("net_send(0, 1)"))
    ranges = [*varying, *instance.values(), *assigned]
    mod = Mod(
        name=name,
        kind=KINDS.get(role.kind, "POINT_PROCESS"),
        ions=tuple(ions),
        current=line if role.ion is None or role.kind != "density" else None,
        ranges=tuple(dict.fromkeys(n for n in ranges if n not in (pool, "area", *peers.values()))),
        pointers=tuple(peers.values()),
        parameters={n: float(a[0]) for n, a in varying.items()}
        | {r: float(eq.properties[p][0]) for p, r in instance.items()},
        assigned=tuple(dict.fromkeys(n for n in assigned if n != pool)),
        states=(*moving, *occupied),
        initial=tuple(initial),
        breakpoint=tuple(breakpoint_body),
        derivative=(LOOK, *(Rate(n, Name(f"{n}__rate")) for n in moving)) if moving else (),
        kinetics=tuple(schemes),
        procedure=tuple(procedure),
        net_receive=tuple(receive),
        net_args=tuple(args) if receive or eq.events else (),
        random=any(calls(expr, "random") for expr in eq.expressions()),
    )
    readable = [*moving, *occupied, *discrete, *eq.derived, *instance]
    return Mechanism(
        name=name,
        mod=mod,
        text=to_nmodl(mod),
        parameters=varying,
        variables={n: (n, 1.0 / eq.factors.get(n, 1.0)) for n in readable},
        instance=instance,
        weight=weight,
        peers=peers,
        shareable=False,
        emits=emits,
        random=mod.random,
        drives_voltage=drives,
        capacitance=capacitance,
        v_init=np.full(eq.members, RESTING) if drives else None,
    )


def _per_cm2(eq: Equations, role: Role) -> tuple[Equations, float]:
    """A density with its conductance in S/cm2, where that makes a current in mA/cm2; and what a current then lacks."""
    if role.kind != "density" or role.current is None:
        return eq, 1.0
    unit = 1e-6 * scale_of(eq, role.current, 1e5)
    chosen = [n for n in eq.values if eq.dimensions[n] == CONDUCTANCE_DENSITY]
    if len(chosen) != 1 or eq.dimensions[chosen[0]] != CONDUCTANCE_DENSITY or unit != 1e-6:
        return eq, unit
    name = chosen[0]
    through = eq.depends({name})
    if linear(eq.expand(Name(role.current), {name}), name) is None or through & {*eq.derivatives, *eq.states}:
        return eq, unit
    factors = {n: f * 1e-6 if n in through else f for n, f in eq.factors.items()}
    return replace(eq, values={**eq.values, name: rescale(eq.values[name], -6)}, factors=factors), 1.0


def _procedure(
    eq: Equations, moving: list[str], drives: bool, late: frozenset[str], still: frozenset[int]
) -> tuple[list[Stmt], list[str]]:  # fmt: skip
    """The body of the procedure, and the variables that hold the slopes."""
    body: list[Stmt] = []
    for name, expr in eq.derived.items():
        if name not in late:
            body += lifted(name, expr)
    slopes = []
    for name in [*moving, *(["v"] if drives else [])]:
        slope = FALL if name == "v" else f"{name}__rate"
        expr = _held(eq, eq.derivatives[name], still) if name == "v" else eq.derivatives[name]
        to_ms = 1e3 / eq.factors.get("v", 1.0) if name == "v" else 1.0
        body += lifted(slope, multiply(Num(-to_ms), expr) if name == "v" else expr)
        slopes.append(slope)
    return body, slopes


def _held(eq: Equations, rate: Expr, still: frozenset[int]) -> Expr:
    """dv/dt with a strong pull to where a regime without a derivative sets the voltage."""
    if not isinstance(rate, Piecewise):
        return rate
    cases = list(rate.cases)
    regimes = [n for n, regime in eq.states.items() if regime]
    pulls: list[tuple[Expr | None, Expr]] = []
    covered = {c for c, _ in cases if c is not None}
    for reaction in eq.reactions:
        entered = [a for a in reaction.actions if isinstance(a, Assign) and a.variable in regimes]
        resets = [a for a in reaction.actions if isinstance(a, Assign) and a.variable == "v"]
        for regime in entered:
            test = Cmp("==", Name(regime.variable), regime.expr)
            pulls_here = isinstance(regime.expr, Num) and int(regime.expr.value) in still
            if resets and pulls_here and test not in covered:
                covered.add(test)
                pulls.append((test, multiply(Num(HOLD), subtract(resets[-1].expr, Name("v")))))
    plain = [case for case in cases if case[0] is not None]
    return Piecewise((*plain, *pulls, *(case for case in cases if case[0] is None)))


def _sorted(eq: Equations, drives: bool, emits: bool) -> tuple[list[Condition], list[Condition]]:
    """(conditions that are WATCHes, conditions that are looked at in BREAKPOINT)."""
    watched: list[Condition] = []
    stepwise: list[Condition] = []
    for condition in eq.conditions:
        resets = drives and any(isinstance(a, Assign) and a.variable == "v" for a in condition.actions)
        sends = emits and any(isinstance(a, Emit) for a in condition.actions)
        (watched if resets or sends or condition.regime is not None else stepwise).append(condition)
    return watched, stepwise


def _assigns(actions: Iterable[Action]) -> list[Stmt]:
    body: list[Stmt] = []
    for action in actions:
        if isinstance(action, Assign):
            body += lifted(action.variable, action.expr)
    return body


def _receive(eq: Equations, watched: list[Condition], drives: bool, emits: bool) -> list[Stmt]:
    body: list[Stmt] = []
    arm: list[Stmt] = []
    for row, condition in enumerate(watched):
        edge, _ = _edge(eq, condition.test)
        arm.append(Line(f"WATCH ({{0}} {edge.op} {{1}}) {FIRST_WATCH + row}", (edge.left, edge.right)))
    if drives:
        arm += _assigns(a for a in eq.on_start if a.variable == "v")
    if arm:
        body.append(If(((Cmp("==", Name("flag"), Num(1.0)), tuple(arm)),)))
    for row, condition in enumerate(watched):
        done = _assigns(condition.actions)
        if condition.regime is None and any(isinstance(a, Assign) and a.variable == "v" for a in condition.actions):
            done.append(Set(FALL, ZERO))
        if emits and any(isinstance(a, Emit) for a in condition.actions):
            done.append(Line("net_event(t)"))
        guard = _edge(eq, condition.test)[1]
        if condition.regime is not None:
            active = in_regime(condition.regime)
            guard = active if guard is None else Logic("and", active, guard)
        if guard is not None:
            done = [If(((guard, tuple(done)),))]
        body.append(If(((Cmp("==", Name("flag"), Num(float(FIRST_WATCH + row))), tuple(done)),)))
    arrived: list[Stmt] = []
    for event in eq.events:
        done = _assigns(event.actions)
        arrived += done if event.regime is None else [If(((in_regime(event.regime), tuple(done)),))]
    if arrived:
        body.append(If(((Cmp("==", Name("flag"), ZERO), tuple(arrived)),)))
    return body


def _edge(eq: Equations, test: Expr) -> tuple[Cmp, Expr | None]:
    """(the comparison that is watched, what else must hold when it fires)."""
    terms = conjuncts(test)
    flowing = {"t", "v", *eq.derivatives, *(n for n, x in eq.externals.items() if x.kind == "peer")}
    seen = eq.depends(flowing)
    for term in terms:
        if isinstance(term, Cmp) and term.op in ("<", "<=", ">", ">=") and names(term) & seen:
            rest: Expr | None = None
            for other in terms:
                if other is not term:
                    rest = other if rest is None else Logic("and", rest, other)
            return Cmp(term.op[0], term.left, term.right), rest
    raise UnsupportedError(
        f"'{eq.id}' ({eq.type}): the compatibility scheme needs an OnCondition that compares time or a variable that "
        "moves with <, >, .geq. or .leq."
    )


def _current(
    eq: Equations, role: Role, target: str, drives: bool, capacitance: Array | None, values: dict[str, Array],
    unit: float,
) -> list[Stmt]:  # fmt: skip
    if drives:
        assert capacitance is not None
        farad: Expr = Num(float(capacitance[0]))
        if not np.all(capacitance == capacitance[0]):
            farad = Name("c_cell")
            values["c_cell"] = capacitance
        return [Set(target, Bin("*", Name(FALL), farad))]
    if role.current is None:
        return [Set(target, ZERO)] if role.kind == "cell" else []
    if role.kind == "density":
        return lifted(target, simplify(multiply(Num(-unit), Name(role.current))))
    sign = 1.0 if role.kind == "electrode" else -1.0
    return lifted(target, multiply(Num(sign * scale_of(eq, role.current, 1e9)), Name(role.current)))


def _schemes(eq: Equations) -> list[tuple[str, tuple[Stmt, ...]]]:
    """The KINETIC blocks, which call the procedure, as jNeuroML's do."""
    per_ms = 1.0 if eq.factors.get("t") == 1e3 else 1e-3
    found = []
    for number, scheme in enumerate(eq.kinetics, 1):
        body: list[Stmt] = [LOOK]
        for row, step in enumerate(scheme.transitions):
            rates = (multiply(Num(per_ms), Name(rate)) if rate else ZERO for rate in (step.forward, step.reverse))
            body += [Set(f"{way}{number}_{row}_", rate) for way, rate in zip("fr", rates, strict=True)]
        for row, step in enumerate(scheme.transitions):
            body.append(Line(f"~ {step.source} <-> {step.target} (f{number}_{row}_, r{number}_{row}_)"))
        body.append(Line(f"CONSERVE {' + '.join(scheme.states)} = 1"))
        found.append((f"kinetic{number}", tuple(body)))
    return found
