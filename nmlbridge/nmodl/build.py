"""From equations to a Mod: one function per role a component can have in NEURON."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..errors import UnsupportedError
from ..lems.expression import Expr, Name, Num, Piecewise, calls, names, substitute
from ..lems.flat import Assign, Emit
from ..units import Dimension
from .algebra import ZERO, add, derivative, linear, multiply, simplify, subtract
from .current import around, cell_current, current_line, farad_of, role_current, start_voltage
from .equations import Array, Equations
from .events import FIRST_FLAG, NEVER, PORT, Handling, classify, net_receive, scheduling, stepwise_statements
from .fold import constants, prune
from .kinetics import blocks as kinetic_blocks
from .mechanism import GATHERED, POINT_AREA_UM2, Mechanism, Role
from .mod import Ion, Line, Mod, Rate, Set, Stmt, lifted, to_nmodl
from .ode import derivative_block, derived_statements
from .timing import BEFORE, Timing
from .variable import Edges, bounded, edge_statements, find_edges

KINDS = {"density": "SUFFIX", "pool": "SUFFIX", "source": "ARTIFICIAL_CELL"}  # others are point processes
SIZES = (  # of a state of this dimension, SI: a thousandth of it is what cvode's usual tolerance of 1e-3 allows
    (Dimension(m=1, l=2, t=-3, i=-1), 1e-3),
    (Dimension(), 1e-2),
    (Dimension(m=-1, l=-2, t=3, i=2), 1e-9),
    (Dimension(i=1), 1e-11),
    (Dimension(l=-3, n=1), 1e-4),
)
SUM = "gathered__"  # of what is attached
CLOCK = "idle__"  # a state that stands still
AHEAD = 1.5
"""Steps from the value of a state that a transfer takes to where it is used: it is taken before the states move, and
read by the currents of the next step, which stand for the middle of it."""


def build(
    eq: Equations, role: Role, name: str, comment: tuple[str, ...], stagger: float | None = None,
    ahead: Collection[str] = (),
) -> Mechanism:  # fmt: skip
    """The mechanism of a group in a role. Raises UnsupportedError for what NEURON has no place for.

    ``stagger`` is that of compile_group: None asks for a mechanism for variable steps. ``ahead``: see there.
    """
    variable = stagger is None
    coherent = eq.factors.get("t") == 1e3
    eq, ions = bind(eq, role, coherent)
    gather: list[Stmt] = []
    drives = role.kind == "cell" and "v" in eq.derivatives
    capacitance: Array | None = None
    current: Expr | None = None
    v_init: Array | None = None
    if drives:
        current, capacitance, eq = cell_current(eq)
        v_init = start_voltage(eq)
        eq = replace(eq, states={n: r for n, r in eq.states.items() if n != "v"},
                     on_start=[a for a in eq.on_start if a.variable != "v"],
                     derivatives={n: e for n, e in eq.derivatives.items() if n != "v"})  # fmt: skip
        acted = {a.variable for group in eq.reactions for a in group.actions if isinstance(a, Assign)}
        eq = prune(eq, {"v"} | names(current) | acted)
    elif role.current is not None:
        current = role_current(eq, role)
    if role.gathers:
        eq, gather = _gathered(eq)
        ions = [*ions, Ion(GATHERED, read=(f"i{GATHERED}",), valence=1)]
    _refuse_unbound(eq)
    kinetic = [state for scheme in eq.kinetics for state in scheme.states]
    continuous = {"v"} | set(eq.derivatives) | set(kinetic) | {n for n, x in eq.externals.items() if x.kind == "peer"}
    if gather:
        continuous.add(SUM)
    artificial = role.kind == "source"
    density = KINDS.get(role.kind) == "SUFFIX"
    if variable and density:
        eq = bounded(eq)
    handling = classify(eq, continuous, artificial, variable and not density)
    if variable:
        _refuse_noise(eq)
    emits = role.kind in ("cell", "source") and any(
        isinstance(a, Emit) for group in eq.reactions for a in group.actions
    )
    moved: list[Stmt] = []
    if artificial:
        eq, moved = _clockwork(eq)
    ported = role.kind in ("cell", "source") and len(eq.in_ports) > 1
    if not ported:  # nothing reaches the other ports of a synapse
        eq = replace(eq, events=[e for e in eq.events if e.port == eq.in_ports[0]])
    weight, instance, args = properties_of(eq, role)
    if ported:
        args = [weight or "w", PORT]
    held = Name("v_hold") if drives and current is not None and "v_hold" in names(current) else None
    ranges: list[str] = []
    recorded = [n for n in eq.derived if n in eq.keep]
    varying = constants(eq, *([] if current is None else [current]))
    random = any(calls(expr, "random") for expr in eq.expressions())
    after: list[Stmt] = [Set("v_hold", Name("v"))] if held is not None else []
    timing: Timing | None = None
    if stagger is not None and not artificial:
        farad = farad_of(eq, capacitance) if capacitance is not None else None
        # the states of a cell that has no voltage of NEURON's begin with the step, as their initial values do
        timing = Timing(0.0 if role.kind == "cell" and not drives else stagger, current if drives else None, farad)
    receive = net_receive(eq, handling, emits, after, timing, variable, ported)
    crossing = timing is not None and bool(handling.watched)
    if moved and receive:
        receive = [*moved, *receive]
    discrete = [n for n in eq.states if n not in eq.derivatives and n not in kinetic]
    moving = [n for n in eq.states if n in eq.derivatives]
    pool_state = f"{role.ion}i" if role.kind == "pool" else None
    schemes = kinetic_blocks(eq)
    derivative_body = derivative_block(eq, stagger is not None, halved=bool(schemes and stagger))
    late = stepwise_statements(eq, handling)
    own_time = role.kind == "cell" and not drives
    if own_time and not variable and recorded:
        late += derived_statements(eq, set(recorded))  # BREAKPOINT would see the states of the step before
    if derivative_body:
        derivative_body = (*gather, *derivative_body)
    else:
        late = [*gather, *late]
    procedure: list[Stmt] = []
    if late and schemes and not derivative_body:
        # a SOLVE of a procedure beside one of a scheme is more than NEURON's translator can take
        moving = [CLOCK]
        derivative_body = (Rate(CLOCK, ZERO),)
    if derivative_body:
        derivative_body = (*derivative_body, *late)
    else:
        procedure = late
    shown = {n: f"{n}_ahead" for n in sorted(ahead) if stagger and own_time and _smooth(eq, n)}
    if shown:
        gone = [multiply(Num(AHEAD), subtract(Name(n), Name(f"{n}_last"))) for n in shown]
        derivative_body = (
            *(Set(f"{n}_last", Name(n)) for n in shown),
            *derivative_body,
            *(Set(told, add(Name(n), step)) for (n, told), step in zip(shown.items(), gone, strict=True)),
        )
    breakpoint_body = _breakpoint(
        eq, role, current, [] if own_time and not variable else recorded, bool(derivative_body), bool(procedure),
        [name for name, _ in schemes], variable,
    )
    edges = Edges()
    if variable and not artificial:
        watched = [condition.test for condition in handling.stepwise]
        flow = [*eq.derived.values(), *eq.derivatives.values(), *([] if current is None else [current]), *watched]
        edges = find_edges(eq, continuous, flow)
        if current is not None:
            breakpoint_body += edge_statements(eq, edges)
        elif derivative_body:
            derivative_body = (*derivative_body, *edge_statements(eq, edges))
    if crossing:
        breakpoint_body.append(Set(BEFORE, Name("v")))
    initial = _initial(
        eq, role, handling, discrete, moving, recorded, held is not None, bool(moved), [name for name, _ in schemes],
        variable,
    )  # fmt: skip
    initial += [Set(told, Name(n)) for n, told in shown.items()]
    ranges += [*varying, *shown.values(), *instance.values(), *recorded, *discrete]
    peers = {x.target: n for n, x in eq.externals.items() if x.kind == "peer"}
    ranges += list(peers.values())
    currents = current_line(role, ions)
    if currents is not None and currents[0] == "NONSPECIFIC_CURRENT" and role.kind == "density":
        ranges.append(currents[1])
    sent = [f"sent_{FIRST_FLAG + row}" for row in range(len(handling.scheduled))]
    assigned = [*shown.values(), *discrete, *recorded, *peers.values(), *sent]
    if held is not None:
        assigned.append("v_hold")
    if gather:
        assigned.append(SUM)
        initial.insert(0, Set(SUM, ZERO))
    if moved:
        assigned.append("t_last")
    if (handling.scheduled and not variable) or (timing is not None and receive):
        assigned.append("dt")
    if crossing:
        assigned.append(BEFORE)
    if currents is not None and currents[1] not in {n for ion in ions for n in ion.write}:
        assigned.append(currents[1])
    if "area" in {n for expr in _all(eq) for n in names(expr)}:
        assigned.append("area")
    mod = Mod(
        name=name,
        kind=KINDS.get(role.kind, "POINT_PROCESS"),
        comment=comment,
        ions=tuple(ions),
        current=currents if role.carrier is None else None,
        ranges=tuple(dict.fromkeys(n for n in ranges if n != pool_state)),
        parameters={n: float(a[0]) for n, a in varying.items()}
        | {r: float(eq.properties[p][0]) for p, r in instance.items()},
        assigned=tuple(dict.fromkeys(n for n in assigned if n != pool_state)),
        states=(*moving, *kinetic),
        initial=tuple(initial),
        breakpoint=tuple(breakpoint_body),
        derivative=tuple(derivative_body),
        kinetics=tuple(schemes),
        procedure=tuple(procedure),
        net_receive=tuple(receive),
        net_args=tuple(args) if receive or eq.events else (),
        random=random,
    )
    return Mechanism(
        name=name,
        mod=mod,
        text=to_nmodl(mod),
        parameters=dict(varying),
        variables={n: (n, 1.0 / eq.factors.get(n, 1.0)) for n in [*moving, *kinetic, *discrete, *recorded, *instance]},
        instance=instance,
        weight=weight,
        peers=peers,
        shareable=_shareable(eq, role, current, weight, instance, handling),
        emits=emits,
        random=random,
        drives_voltage=drives,
        silent=current == ZERO and not eq.keep - {role.current},
        clamps=role.kind == "electrode" and current is not None and "v" in names(current),
        capacitance=capacitance,
        v_init=v_init,
        hidden_edges=edges.hidden,
        ahead=shown,
        tolerances={n: _tolerance(eq, n) for n in (*moving, *kinetic)},
    )


def _smooth(eq: Equations, state: str) -> bool:
    """Whether a state goes on as it went: nothing sets it, and nothing here is drawn at random."""
    acted = {a.variable for group in eq.reactions for a in group.actions if isinstance(a, Assign)}
    return state in eq.derivatives and state not in acted and not any(calls(e, "random") for e in eq.expressions())


def _all(eq: Equations) -> list[Expr]:
    return list(eq.expressions())


def bind(eq: Equations, role: Role, coherent: bool, literal: bool = False) -> tuple[Equations, list[Ion]]:
    """Replace Requirements by NEURON's variables; collect the ions that are read or written.

    ``literal`` leaves the order of operations as it is.
    """
    used = eq.used() | ({role.current} if role.current else set())
    mapping: dict[str, Expr] = {}
    ions: dict[str, Ion] = {}

    def merge(ion: Ion) -> None:
        old = ions.get(ion.name, Ion(ion.name))
        ions[ion.name] = Ion(
            ion.name,
            tuple(dict.fromkeys([*old.read, *ion.read])),
            tuple(dict.fromkeys([*old.write, *ion.write])),
            ion.valence if ion.valence is not None else old.valence,
        )

    # "v" may be a state of the component (a cell) as well as a Requirement (everything that sits on a cell)
    requirements = {n: x for n, x in eq.externals.items() if x.kind == "requirement"}
    voltage = set(requirements) & {"v"}
    if role.kind == "cell" and "v" in eq.derivatives:
        voltage.add("v")
    for name in requirements:
        if name not in used and name not in eq.keep:
            continue
        binding = role.bindings.get(name)
        if binding is None:
            if name == "v":
                continue
            raise UnsupportedError(
                f"'{eq.id}' ({eq.type}) requires '{name}', which NEURON does not offer to it here; "
                f"known there: {', '.join(sorted(role.bindings)) or 'nothing'}"
            )
        mapping[name] = binding.expr
        if binding.ion is not None:
            merge(binding.ion)
    if not coherent:
        from .scale import factor

        for name in [*mapping]:
            mapping[name] = multiply(Num(1.0 / factor(eq.dimensions[name])), mapping[name])
        if voltage:
            mapping["v"] = multiply(Num(1e-3), Name("v"))
    if role.carrier is not None:
        merge(Ion(role.carrier, (), (f"i{role.carrier}",), 1 if role.carrier == GATHERED else None))
    if role.kind == "pool" and role.ion is not None:
        merge(Ion(role.ion, (), (f"{role.ion}i",)))
    bound = eq.map(lambda expr: substitute(expr, mapping) if literal else simplify(substitute(expr, mapping)))
    return bound, list(ions.values())


def _refuse_unbound(eq: Equations) -> None:
    attachments = {n for n, x in eq.externals.items() if x.kind == "attachments"}
    used = eq.used()
    for name in attachments & used:
        raise UnsupportedError(
            f"'{eq.id}' ({eq.type}) uses the sum of its attached currents '{name}' outside the derivative of v; "
            "NEURON keeps no such sum"
        )


def _refuse_noise(eq: Equations) -> None:
    flow = [*eq.derived.values(), *eq.derivatives.values()]
    if any(calls(expr, "random") for expr in flow):
        raise UnsupportedError(
            f"'{eq.id}' ({eq.type}) draws a random number at every step; cvode, which chooses its steps by how "
            "smooth the equations are, cannot integrate that: take --method best"
        )


def _tolerance(eq: Equations, name: str) -> float:
    """What the absolute tolerance is multiplied with for a state: the size of a change that matters."""
    factor = eq.factors.get(name, 1.0)
    return next((size * factor for dimension, size in SIZES if eq.dimensions.get(name) == dimension), 1.0)


def _gathered(eq: Equations) -> tuple[Equations, list[Stmt]]:
    """The equations with the sum of what is attached as a variable, and the statement that fills it once a step.

    mA/cm2 over an area in um2 are 1e-2 nA; an ion's current is outward. It may not be read in BREAKPOINT, where what is
    attached may not have added its part yet. The area is a number, as NEURON 9 gives ``area`` and RANDOM one slot.
    """
    attached = [n for n, x in eq.externals.items() if x.kind == "attachments"]
    if len(attached) != 1:
        raise UnsupportedError(
            f"'{eq.id}' ({eq.type}) sums {len(attached)} lists of attached currents and uses them outside the "
            "derivative of v; NEURON can keep one sum"
        )
    unit = eq.factors.get(attached[0], 1.0) / 1e9 if not eq.dimensions[attached[0]].dimensionless else 1.0
    total = multiply(Num(-1e-2 * unit * POINT_AREA_UM2), Name(f"i{GATHERED}"))
    kept = {n: x for n, x in eq.externals.items() if n not in attached}
    eq = eq.map(lambda expr: substitute(expr, {attached[0]: Name(SUM)}))
    derived = dict(eq.derived)
    keep = set(eq.keep)
    if attached[0] in keep:
        derived = {attached[0]: Name(SUM), **derived}
    return replace(eq, externals=kept, derived=derived, keep=keep), [Set(SUM, total)]


def properties_of(eq: Equations, role: Role) -> tuple[str | None, dict[str, str], list[str]]:
    """(property that the NetCon weight carries, properties set per instance, arguments of NET_RECEIVE)."""
    in_events = {
        n
        for e in eq.events
        for a in e.actions
        if isinstance(a, Assign)
        for n in names(eq.expand(a.expr, set(eq.properties)))
    }
    everywhere: set[str] = set()
    for expr in [*eq.derived.values(), *eq.derivatives.values(), *(a.expr for a in eq.on_start)]:
        everywhere |= names(expr)
    for condition in eq.conditions:
        everywhere |= names(condition.test)
        everywhere |= {n for a in condition.actions if isinstance(a, Assign) for n in names(a.expr)}
    weight: str | None = None
    instance: dict[str, str] = {}
    for name in eq.properties:
        if name in everywhere:
            instance[name] = name
        elif name in in_events and weight is None:
            weight = name
        elif name in in_events:
            instance[name] = name
    return weight, instance, [weight] if weight else []


def _clockwork(eq: Equations) -> tuple[Equations, list[Stmt]]:
    """States of an event source move in straight lines: brought up to date when something happens."""
    body: list[Stmt] = []
    for name, rate in eq.derivatives.items():
        rate = simplify(eq.expand(rate, set(eq.states)))
        if not names(rate) <= set(eq.values):
            raise UnsupportedError(
                f"'{eq.id}' ({eq.type}): '{name}' of an event source may only grow at a constant rate"
            )
        body.append(Set(name, add(Name(name), multiply(rate, subtract(Name("t"), Name("t_last"))))))
    if body:
        body.append(Set("t_last", Name("t")))
    return replace(eq, derivatives={}), body


def _breakpoint(
    eq: Equations,
    role: Role,
    current: Expr | None,
    recorded: list[str],
    solves: bool,
    steps: bool,
    schemes: list[str],
    variable: bool,
) -> list[Stmt]:
    body: list[Stmt] = []
    if solves:
        body.append(Line("SOLVE states METHOD cnexp"))
    body += [Line(f"SOLVE {name} METHOD sparse") for name in schemes]
    if steps:
        body.append(Line("SOLVE look METHOD after_cvode" if variable else "SOLVE look"))
    needed = set(recorded)
    tail: list[Stmt] = []
    target = "i_m" if role.carrier is None else f"i{role.carrier}"
    if current is not None:
        split = linear(current, "v") if not isinstance(current, Piecewise) else None
        hidden = eq.depends({"v"}) - {"v"}
        if (
            split is not None
            and not (names(split[0]) | names(split[1])) & hidden
            and split[0] != ZERO
            and role.kind in ("density", "point")
        ):
            # NEURON is told the conductance, so it need not compute the current twice
            using = f" USEION {role.carrier}" if role.carrier is not None else ""
            tail += [*lifted("g_m", simplify(split[0])), Line(f"CONDUCTANCE g_m{using}")]
            needed |= names(split[0]) | names(split[1])
            tail += lifted(target, simplify(around(split[0], split[1], current)))
        else:
            needed |= names(current)
            tail += lifted(target, current)
    elif role.kind == "cell":
        pass
    body += derived_statements(eq, needed)
    body += tail
    return body


def _initial(
    eq: Equations, role: Role, handling: Handling, discrete: list[str], moving: list[str],
    recorded: list[str], held: bool, clockwork: bool, schemes: list[str], variable: bool,
) -> list[Stmt]:  # fmt: skip
    body: list[Stmt] = []
    started = {a.variable for a in eq.on_start}
    for name in [*discrete, *moving]:
        if name not in started or name in names_of_starts(eq):
            body.append(Set(name, ZERO))
    body += [Line(f"SOLVE {name} STEADYSTATE sparse") for name in schemes]
    rounds = 2 if _needs_second_round(eq) else 1
    for _ in range(rounds):
        for assign in eq.on_start:
            body += derived_statements(eq, names(assign.expr))
            body += lifted(assign.variable, assign.expr)
    if held:
        body.append(Set("v_hold", Name("v")))
    for row in range(len(handling.scheduled)):
        body.append(Set(f"sent_{FIRST_FLAG + row}", NEVER))
    body += scheduling(handling, variable)
    if handling.watched:
        body.append(Line("net_send(0, 1)"))
    if clockwork:
        body.append(Set("t_last", Num(0.0)))
    body += derived_statements(eq, set(recorded))
    return body


def names_of_starts(eq: Equations) -> set[str]:
    """Names that the start assignments read, derived variables expanded."""
    found: set[str] = set()
    for assign in eq.on_start:
        found |= names(eq.expand(assign.expr, set(eq.states)))
    return found


def _needs_second_round(eq: Equations) -> bool:
    """Whether a start value uses a state that is given its own start value later (LEMS initialises three times)."""
    if any(calls(a.expr, "random") for a in eq.on_start):
        return False
    order = [a.variable for a in eq.on_start]
    for row, assign in enumerate(eq.on_start):
        if names(eq.expand(assign.expr, set(eq.states))) & set(order[row + 1 :]):
            return True
    return False


def _shareable(
    eq: Equations, role: Role, current: Expr | None, weight: str | None, instance: dict[str, str], handling: Handling
) -> bool:
    """Whether one instance can stand for many: events add up, and everything is linear in the states."""
    if role.kind != "point" or current is None or eq.conditions or instance or eq.keep or not eq.events:
        return False
    if any(x.kind == "peer" for x in eq.externals.values()):
        return False
    states = set(eq.states)
    for event in eq.events:
        if event.regime is not None:
            return False
        for action in event.actions:
            if isinstance(action, Emit):
                continue  # nobody listens to a synapse
            split = linear(simplify(eq.expand(action.expr, states)), action.variable)
            if split is None or split[0] != Num(1.0) or names(split[1]) & states:
                return False
            if any(calls(action.expr, f) for f in ("random",)):
                return False
    if any(n not in eq.derivatives for n in states):
        return False
    forms = [eq.expand(expr, states) for expr in eq.derivatives.values()] + [eq.expand(current, states)]
    return all(_linear_in(form, states) for form in forms)


def _linear_in(expr: Expr, states: set[str]) -> bool:
    zero: dict[str, Expr] = {}
    for state in states:
        slope = derivative(expr, state)
        if slope is None or names(slope) & states:
            return False
        zero[state] = ZERO
    return simplify(substitute(expr, zero)) == ZERO
