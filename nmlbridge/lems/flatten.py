"""Flatten a component with all that is inside it into one closed system of equations (see ``flat``).

The steps: grow the tree of instances; give every variable its flat name; translate expressions, paths and reductions;
turn regimes into a numbered state; wire events between nodes; put derived variables into order. Nothing here knows a
ComponentType by its name.

Actions are meant as in jLEMS: assignments of one list are done in order and see each other's states, while derived
variables keep the values that they had before the first action. Conditions stand with the children before the parents.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import UnsupportedError
from ..units import NONE, Dimension, nearest
from .dynamics import Actions, DerivedVariable, Dynamics, Step
from .events import Wiring
from .expression import Bin, Cmp, Expr, Name, Num, Piecewise, names, substitute
from .flat import (
    Assign,
    Condition,
    Derived,
    Event,
    External,
    FlatComponent,
    Kinetics,
    State,
    Transition,
)
from .instances import Node, Scope, exposures, grow
from .library import Library
from .model import Component


def flatten(component: Component, library: Library) -> FlatComponent:
    """The closed system of equations of ``component``, with its children and the components that it makes instances of.

    Requirements that nothing inside fulfils, attachments and peers become externals. Raises LemsError, with the place
    of the component, where a name or a path means nothing, a parameter that is needed is not given, or derived
    variables depend on each other in a circle; UnsupportedError where a component sends an event at the start.
    """
    try:
        return _Flattener(component, library).run()
    except RecursionError:
        raise component.error("its formulas are nested too deeply") from None


class _Flattener:
    def __init__(self, component: Component, library: Library) -> None:
        self.root = grow(component)
        self.nodes = list(self.root.walk())
        self.flat = FlatComponent(
            component.id,
            component.type.name,
            out_ports=component.type.out_ports,
            in_ports=component.type.in_ports,
            file=component.file or None,
            line=component.line or None,
        )
        self.scope = Scope(self.flat, self.root, library)
        self.derived: dict[str, tuple[Node, Derived]] = {}
        self.wiring = Wiring(self.root, self.actions, self.regime_number)

    def run(self) -> FlatComponent:
        """Do all steps."""
        scope = self.scope
        self.name(self.root)
        for member in (*self.root.type.parameters, *self.root.type.derived_parameters, *self.root.type.constants):
            scope.local(self.root, member)
        for member in self.root.type.properties:
            scope.local(self.root, member)
        for node in self.nodes:
            for required in node.type.requirements:
                scope.names.reserve(required)
        for node in self.nodes[1:]:
            self.name(node)
        for node in self.nodes:
            self.translate(node)
        self.start()
        for node in self.postorder(self.root):
            self.conditions(node)
        self.root_events()
        for node in self.nodes:
            self.kinetics(node)
        self.drop_absent()
        self.sort_derived()
        self.record()
        return self.flat

    def postorder(self, node: Node) -> Iterable[Node]:
        """Children before parents."""
        for child in node.children:
            yield from self.postorder(child)
        yield node

    # names ------------------------------------------------------------------------------------------------------------

    def name(self, node: Node) -> None:
        """Flat names and declarations of the node's variables; a derived variable hides a state of its name."""
        unique, flat = self.scope.names.unique, self.flat
        blocks = _blocks(node)
        derived = {variable.name for _, block in blocks for variable in block.derived}
        for _, block in blocks:
            for variable in block.derived:
                if variable.name not in node.symbols:
                    node.symbols[variable.name] = unique(node.prefix + variable.name)
            for state in block.states:
                if state.name in node.symbols or state.name in derived:
                    continue
                flat_name = node.symbols[state.name] = unique(node.prefix + state.name)
                dimension = self.scope.dimension(node, state.dimension, state.exposure)
                flat.states[flat_name] = State(dimension, node.path(state.name))
        node.exposures = exposures(node)
        if node.dynamics.regimes:
            node.regime = unique(f"{node.prefix}regime")
            flat.states[node.regime] = State(NONE, node.path("regime"), regime=True)

    def translated(self, node: Node, expr: Expr) -> Expr:
        """The expression in flat names."""
        return substitute(expr, {name: Name(self.scope.lookup(node, name)) for name in sorted(names(expr))})

    # variables --------------------------------------------------------------------------------------------------------

    def translate(self, node: Node) -> None:
        """Derived variables and time derivatives of one node."""
        cases: dict[str, list[tuple[Expr | None, Expr]]] = {}
        dimensions: dict[str, Dimension] = {}
        for number, block in _blocks(node):
            guard = self.guard(node, number)
            for variable in block.derived:
                dimension = self.scope.dimension(node, variable.dimension, variable.exposure or variable.name)
                dimensions.setdefault(variable.name, dimension)
                value = self.value(node, variable, dimension)
                if value is not None:
                    cases.setdefault(variable.name, []).append((guard, value))
        for name, choices in cases.items():
            expr = choices[-1][1] if choices[-1][0] is None else _choose(choices)
            self.derived[node.symbols[name]] = (node, Derived(expr, dimensions[name], node.path(name)))
        self.derivatives(node)

    def guard(self, node: Node, number: int | None) -> Expr | None:
        """The condition that the regime of this number is active; None for what always holds."""
        if number is None or node.regime is None:
            return None
        return Cmp("==", Name(node.regime), Num(float(number)))

    def value(self, node: Node, variable: object, dimension: Dimension) -> Expr | None:
        """The expression of a derived variable; None for one that became an external."""
        if not isinstance(variable, DerivedVariable):
            return Piecewise(
                tuple(
                    (None if condition is None else self.translated(node, condition), self.translated(node, value))
                    for condition, value in variable.cases  # type: ignore[attr-defined]
                )
            )
        if variable.value is not None:
            return self.translated(node, variable.value)
        assert variable.select is not None
        return self.select(node, variable, variable.select, dimension)

    def select(
        self, node: Node, variable: DerivedVariable, path: tuple[Step, ...], dimension: Dimension
    ) -> Expr | None:
        """A path as an expression; None, and an external, where it leads out of the component."""
        nodes = [node]
        for position, step in enumerate(path[:-1]):
            outside = [n for n in nodes if step.name in n.type.attachments or step.name in n.type.instance_requirements]
            if outside:
                kind = "attachments" if step.name in outside[0].type.attachments else "peer"
                target = outside[0].path("/".join(s.name for s in path[position:]))
                name = node.symbols[variable.name]
                self.flat.externals[name] = External(dimension, kind, target, variable.reduce or "add")
                return None
            nodes = [below for n in nodes for below in n.follow(step)]
        leaf = path[-1].name
        terms: list[Expr] = []
        for found in nodes:
            flat_name = self.scope.exposed(found, leaf)
            if flat_name is not None:
                terms.append(Name(flat_name))
            elif variable.required:
                known = {*found.symbols, *found.exposures, *found.type.parameters}
                raise found.component.error(
                    f"'{leaf}', which '{variable.name}' of the {node.type.name} '{node.component.label}' selects, "
                    f"is not defined in the {found.type.name}{nearest(leaf, known)}"
                )
        if len(terms) == 1:
            return terms[0]
        if not terms and (variable.reduce is not None or not variable.required):
            return Num(1.0 if variable.reduce == "multiply" else 0.0)
        if not terms or variable.reduce is None:
            spelled = "/".join(step.name for step in path)
            raise node.component.error(
                f"'{variable.name}' of the {node.type.name} selects {spelled}, which is there {len(terms)} times; "
                f"expected once{' (or a reduce attribute)' if terms else ''}"
            )
        expr = terms[0]
        for term in terms[1:]:
            expr = Bin("*" if variable.reduce == "multiply" else "+", expr, term)
        return expr

    def derivatives(self, node: Node) -> None:
        """dx/dt of the node's states; what regimes add becomes a choice by the active regime."""
        always: dict[str, Expr] = {}
        by_regime: dict[str, list[tuple[int, Expr]]] = {}
        for number, block in _blocks(node):
            for derivative in block.derivatives:
                name = self.state(node, derivative.variable)
                if name is None:
                    continue
                expr = self.translated(node, derivative.value)
                if number is None:
                    always[name] = expr
                else:
                    by_regime.setdefault(name, []).append((number, expr))
        self.flat.derivatives.update(always)
        for name, choices in by_regime.items():
            base = always.get(name)
            everywhere = len(choices) == len(node.dynamics.regimes) and len({expr for _, expr in choices}) == 1
            if everywhere:
                self.flat.derivatives[name] = _sum(base, choices[0][1])
                continue
            cases: list[tuple[Expr | None, Expr]] = [
                (self.guard(node, number), _sum(base, expr)) for number, expr in choices
            ]
            self.flat.derivatives[name] = Piecewise((*cases, (None, base if base is not None else Num(0.0))))

    def state(self, node: Node, name: str) -> str | None:
        """The flat name of a state to be set; None if a derived variable hides it; LemsError if there is none."""
        flat_name = node.symbols.get(name)
        if flat_name is not None and flat_name in self.flat.states:
            return flat_name
        if any(state.name == name for _, block in _blocks(node) for state in block.states):
            return None
        known = [state.name for _, block in _blocks(node) for state in block.states]
        raise node.component.error(
            f"the ComponentType '{node.type.name}' sets '{name}', which is no StateVariable{nearest(name, known)}"
        )

    # actions ----------------------------------------------------------------------------------------------------------

    def regime_number(self, node: Node, name: str) -> int:
        """The number of a regime of the node; LemsError with the nearest names if there is none."""
        for number, regime in enumerate(node.dynamics.regimes):
            if regime.name == name:
                return number
        known = [regime.name for regime in node.dynamics.regimes]
        raise node.component.error(f"the ComponentType '{node.type.name}' has no regime '{name}'{nearest(name, known)}")

    def actions(self, node: Node, actions: Actions) -> list[Assign]:
        """The assignments of one block in flat names."""
        listed = []
        for variable, value in actions.assignments:
            name = self.state(node, variable)
            if name is not None:
                listed.append(Assign(name, self.translated(node, value)))
        return listed

    def start(self) -> None:
        """OnStart of all nodes, so that what one node needs from another is set before; then the initial regimes."""
        blocks: list[tuple[Node, list[Assign]]] = []
        for node in self.nodes:
            assigns = self.actions(node, node.dynamics.on_start)
            events = list(node.dynamics.on_start.events)
            regimes = node.dynamics.regimes
            if regimes and node.regime is not None:
                initial = next((n for n, regime in enumerate(regimes) if regime.initial), 0)
                assigns.append(Assign(node.regime, Num(float(initial))))
                assigns += self.actions(node, regimes[initial].on_entry)
                events += regimes[initial].on_entry.events
            if events:
                raise UnsupportedError(
                    f"component '{node.component.label}' sends an event from port '{events[0]}' at the start, "
                    "which has no receiver yet"
                )
            if assigns:
                blocks.append((node, assigns))
        self.flat.on_start = self.ordered(blocks)

    def ordered(self, blocks: list[tuple[Node, list[Assign]]]) -> list[Assign]:
        """Parents first, unless a block needs states that another one sets; circles stay as they are."""
        setters = {assign.variable: at for at, (_, assigns) in enumerate(blocks) for assign in assigns}
        needs = [
            {setters[name] for assign in assigns for name in self.states_behind(assign.expr) if name in setters}
            for _, assigns in blocks
        ]
        result: list[Assign] = []
        done: set[int] = set()
        visiting: set[int] = set()

        def visit(at: int) -> None:
            if at in done or at in visiting:
                return
            visiting.add(at)
            for other in sorted(needs[at]):
                visit(other)
            done.add(at)
            result.extend(blocks[at][1])

        for at in range(len(blocks)):
            visit(at)
        return result

    def states_behind(self, expr: Expr) -> set[str]:
        """The names that an expression depends on, through derived variables."""
        found: set[str] = set()
        stack = list(names(expr))
        while stack:
            name = stack.pop()
            if name in found:
                continue
            found.add(name)
            if name in self.derived:
                stack.extend(names(self.derived[name][1].expr))
        return found

    def conditions(self, node: Node) -> None:
        for number, block in _blocks(node):
            guard = (node.regime, number) if number is not None and node.regime is not None else None
            for condition in block.conditions:
                test = self.translated(node, condition.test)
                actions = tuple(self.wiring.run(node, condition.actions))
                if actions:
                    self.flat.conditions.append(Condition(test, actions, guard))

    def root_events(self) -> None:
        root = self.root
        for number, block in _blocks(root):
            guard = (root.regime, number) if number is not None and root.regime is not None else None
            for event in block.events:
                if event.port not in root.type.in_ports:
                    raise root.component.error(
                        f"the ComponentType '{root.type.name}' has no in port '{event.port}'"
                        f"{nearest(event.port, root.type.in_ports)}"
                    )
                actions = tuple(self.wiring.run(root, event.actions))
                if actions:
                    self.flat.events.append(Event(event.port, actions, guard))

    # kinetic schemes --------------------------------------------------------------------------------------------------

    def kinetics(self, node: Node) -> None:
        for scheme in node.dynamics.kinetics:
            states: dict[str, str] = {}
            for child in node.follow(Step(scheme.nodes)):
                flat_name = self.scope.exposed(child, scheme.state_variable)
                if flat_name is None:
                    raise child.component.error(f"the {child.type.name} has no '{scheme.state_variable}'")
                states[child.component.id] = flat_name
            transitions = []
            for edge in node.follow(Step(scheme.edges)):
                ends = []
                for link in (scheme.edge_source, scheme.edge_target):
                    name = edge.component.texts.get(link, "")
                    if name not in states:
                        raise edge.component.error(
                            f"{link}='{name}' names no state of '{node.component.label}'{nearest(name, states)}"
                        )
                    ends.append(states[name])
                forward, reverse = (self.rate(edge, name) for name in (scheme.forward_rate, scheme.reverse_rate))
                transitions.append(Transition(ends[0], ends[1], forward, reverse))
            self.flat.kinetics.append(Kinetics(tuple(states.values()), tuple(transitions)))

    def rate(self, node: Node, name: str) -> str | None:
        """The flat name of a rate; None if it is always zero."""
        flat_name = self.scope.exposed(node, name)
        if flat_name is None:
            raise node.component.error(f"the {node.type.name} has no rate '{name}'")
        expr = self.derived[flat_name][1].expr if flat_name in self.derived else None
        while isinstance(expr, Bin) and expr.op in "*/":
            expr = expr.left
        return None if isinstance(expr, Num) and expr.value == 0 else flat_name

    # the end ----------------------------------------------------------------------------------------------------------

    def drop_absent(self) -> None:
        """Leave out derived variables that need a parameter that is not given; LemsError if anything else needs it."""
        absent = self.scope.absent
        if not absent:
            return
        grew = True
        while grew:
            grew = False
            for name, (_, variable) in list(self.derived.items()):
                why = next((absent[n] for n in names(variable.expr) if n in absent), None)
                if why is not None:
                    absent[name] = why
                    del self.derived[name]
                    grew = True
        needed: set[str] = set()
        for expr in self.flat.derivatives.values():
            needed |= names(expr)
        for condition in self.flat.conditions:
            needed |= names(condition.test)
            needed |= {n for a in condition.actions if isinstance(a, Assign) for n in names(a.expr)}
        for event in self.flat.events:
            needed |= {n for a in event.actions if isinstance(a, Assign) for n in names(a.expr)}
        needed |= {n for assign in self.flat.on_start for n in names(assign.expr)}
        needed |= {n for k in self.flat.kinetics for t in k.transitions for n in (t.forward, t.reverse) if n}
        for name in absent:
            if name in needed:
                raise self.root.component.error(f"{absent[name]}, which it needs here; give it a value")
            self.flat.parameters.pop(name, None)

    def sort_derived(self) -> None:
        """Dependencies first, otherwise in the order of declaration; LemsError that spells out a circle."""
        done: set[str] = set()
        for first in self.derived:
            stack: list[tuple[str, list[str]]] = [(first, self.needs(first))]
            way = [first]
            while stack:
                name, left = stack[-1]
                if name in done:
                    stack.pop()
                    way.pop()
                    continue
                if left:
                    following = left.pop(0)
                    if following in way:
                        circle = [*way[way.index(following) :], following]
                        raise self.derived[following][0].component.error(
                            f"derived variables depend on each other in a circle: {' -> '.join(circle)}"
                        )
                    if following not in done:
                        stack.append((following, self.needs(following)))
                        way.append(following)
                    continue
                done.add(name)
                self.flat.derived[name] = self.derived[name][1]
                stack.pop()
                way.pop()

    def needs(self, name: str) -> list[str]:
        return sorted(n for n in names(self.derived[name][1].expr) if n in self.derived)

    def record(self) -> None:
        """The paths under which users know the variables."""
        flat = self.flat
        for node in self.nodes:
            for path in node.paths:
                for name, flat_name in node.symbols.items():
                    if flat_name in flat.states or flat_name in flat.derived or flat_name in flat.externals:
                        flat.paths.setdefault(path + name, flat_name)
                for exposure, name in node.exposures.items():
                    flat_name = node.symbols.get(name, "")
                    if flat_name in flat.states or flat_name in flat.derived or flat_name in flat.externals:
                        flat.paths[path + exposure] = flat_name


def _blocks(node: Node) -> list[tuple[int | None, Dynamics]]:
    """The node's dynamics and those of its regimes with their numbers."""
    return [(None, node.dynamics), *((n, regime.dynamics) for n, regime in enumerate(node.dynamics.regimes))]


def _choose(choices: list[tuple[Expr | None, Expr]]) -> Expr:
    """By regime; what stands outside all regimes holds otherwise."""
    guarded = [choice for choice in choices if choice[0] is not None]
    base = [choice for choice in choices if choice[0] is None]
    return Piecewise((*guarded, *(base[-1:] or [(None, Num(0.0))])))


def _sum(base: Expr | None, expr: Expr) -> Expr:
    return expr if base is None else Bin("+", base, expr)
