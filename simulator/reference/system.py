"""A model as groups of instances that share their equations, with all that passes between them.

Derived variables of all groups are put into one order, since a cell's depend on its synapses' and theirs on the
cell's. States of all groups stand in one vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError, UnsupportedError
from ...lems.expression import Cmp, Name, Num, names
from ...lems.flat import Action, Assign, External, FlatComponent
from .closures import Closure, Registers, closure

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(eq=False)
class Group:
    """``size`` instances of one flat component, all attached to instances of one ``host`` (or to nothing).

    ``host_rows`` and ``peer_rows`` (size,) are rows of the host and of the other end of a tunnel. ``values`` holds
    properties (weight) that differ between instances. ``first_gid`` is the gid of row 0 of a population. ``outer``
    is the one component around the whole network (a tissue), if there is one.
    """

    flat: FlatComponent
    size: int
    host: Group | None = None
    host_rows: Ints | None = None
    peer: Group | None = None
    peer_rows: Ints | None = None
    values: dict[str, Floats] = field(default_factory=dict)
    first_gid: int | None = None
    outer: Group | None = None
    slots: dict[str, int] = field(default_factory=dict)
    registers: Registers = field(default_factory=list)
    attached: list[Group] = field(default_factory=list)
    links: dict[tuple[int, str], list[tuple[Group, int, str, float]]] = field(default_factory=dict)
    """(row, out port) -> receivers: group, row, in port, delay in s"""

    @property
    def single(self) -> bool:
        """Whether registers are plain floats."""
        return self.size == 1

    def number(self, value: Any) -> Any:
        """A value for a register: a float, or an array (size,)."""
        return float(np.asarray(value).reshape(-1)[0]) if self.single else np.broadcast_to(value, self.size).copy()


@dataclass(eq=False)
class Rule:
    """What happens on a condition or at a port: ``test`` (None at a port) and steps in order."""

    group: Group
    test: Closure | None
    steps: list[tuple[str, str, Closure | None]]  # ("set", state, value) or ("send", port, None)
    guard: Closure | None = None


class System:
    """Groups, made ready to be integrated. ``random`` gives the numbers of random()."""

    def __init__(self, groups: list[Group], random: np.random.Generator) -> None:
        self.groups, self.random = groups, random
        self.operations: list[tuple[Registers, int, Closure]] = []
        self.slopes: list[tuple[Group, slice, Closure]] = []
        self.states: list[tuple[Group, str, int, slice]] = []
        self.flows: list[tuple[Group, int, int, int | None, int | None, slice, slice]] = []
        self.conditions: list[Rule] = []
        self.ports: dict[tuple[int, str], list[Rule]] = {}
        self.where: dict[tuple[int, str], slice] = {}
        for group in groups:
            self._registers(group)
        size = 0
        for group in groups:
            for name in group.flat.states:
                part = slice(size, size + group.size)
                self.states.append((group, name, group.slots[name], part))
                self.where[id(group), name] = part
                size += group.size
        self.size = size
        self._order()
        for group in groups:
            self._equations(group)

    def _registers(self, group: Group) -> None:
        flat = group.flat
        group.slots = {name: at for at, name in enumerate(
            ["t", *flat.parameters, *flat.properties, *flat.externals, *flat.states, *flat.derived])}  # fmt: skip
        group.registers = [group.number(0.0)] * len(group.slots)
        for name, parameter in flat.parameters.items():
            group.registers[group.slots[name]] = group.number(parameter.value)
        for name, item in flat.properties.items():
            group.registers[group.slots[name]] = group.number(group.values.get(name, item.default))

    def closure(self, group: Group, expr: Any) -> Closure:
        """An expression of a group over its registers."""
        return closure(expr, group.slots, group.single, self.random)

    # derived variables ------------------------------------------------------------------------------------------------

    def _order(self) -> None:
        """All derived variables and externals, each after what it needs. Raises ModelError for a circle."""
        done: set[tuple[int, str]] = set()
        for group in self.groups:
            for name in (*group.flat.externals, *group.flat.derived):
                stack = [(group, name, self._needs(group, name))]
                open_ = {(id(group), name)}
                while stack:
                    owner, current, left = stack[-1]
                    key = (id(owner), current)
                    if key in done or not left:
                        if key not in done:
                            done.add(key)
                            self._operation(owner, current)
                        open_.discard(key)
                        stack.pop()
                        continue
                    other, wanted = left.pop()
                    following = (id(other), wanted)
                    if following in done or wanted not in (*other.flat.externals, *other.flat.derived):
                        continue
                    if following in open_:
                        raise ModelError(f"'{wanted}' of '{other.flat.id}' depends on itself through the network",
                                         component=other.flat.id)  # fmt: skip
                    open_.add(following)
                    stack.append((other, wanted, self._needs(other, wanted)))

    def _needs(self, group: Group, name: str) -> list[tuple[Group, str]]:
        if name in group.flat.derived:
            return [(group, n) for n in sorted(names(group.flat.derived[name].expr))]
        return [(other, wanted) for other, wanted, _ in self.sources(group, name)]

    def sources(self, group: Group, name: str) -> list[tuple[Group, str, Ints | None]]:
        """Where an external comes from: (group, its flat name, rows there; None: rows here of what is attached)."""
        external: External = group.flat.externals[name]
        if external.kind == "attachments":
            leaf = external.target.rpartition("/")[2]
            found = [(a, a.flat.paths.get(leaf)) for a in group.attached]
            return [(a, n, None) for a, n in found if n is not None]
        if external.kind == "peer" and group.peer is not None and group.peer_rows is not None:
            wanted, peer, host = external.target.rpartition("/")[2], group.peer, group.peer.host
            if peer.flat.paths.get(wanted, wanted) in peer.slots or host is None or group.peer.host_rows is None:
                return [(peer, self._exposed(group, peer, wanted), group.peer_rows)]
            # a silent synapse stands for the cell that it is on
            return [(host, self._exposed(group, host, wanted), group.peer.host_rows[group.peer_rows])]
        if external.kind == "requirement" and group.host is not None and group.host_rows is not None:
            if group.outer is None or group.host.flat.paths.get(name, name) in group.host.slots:
                return [(group.host, self._exposed(group, group.host, name), group.host_rows)]
        if external.kind == "requirement" and group.outer is not None:
            return [(group.outer, self._exposed(group, group.outer, name), np.zeros(group.size, dtype=np.int64))]
        raise UnsupportedError(
            f"'{group.flat.id}' ({group.flat.type}) requires '{name}', which nothing that it is in offers"
        )

    def _exposed(self, group: Group, owner: Group, wanted: str) -> str:
        name = owner.flat.paths.get(wanted, wanted)
        if name not in owner.slots:
            raise UnsupportedError(
                f"'{group.flat.id}' ({group.flat.type}) requires '{wanted}', which '{owner.flat.id}' "
                f"({owner.flat.type}) does not expose"
            )
        return name

    def _operation(self, group: Group, name: str) -> None:
        slot = group.slots[name]
        if name in group.flat.derived:
            self.operations.append((group.registers, slot, self.closure(group, group.flat.derived[name].expr)))
            return
        sources = self.sources(group, name)
        if group.flat.externals[name].kind == "attachments":
            multiply = group.flat.externals[name].reduce == "multiply"
            self.operations.append((group.registers, slot, _reduction(group, sources, multiply)))
        else:
            owner, wanted, rows = sources[0]
            assert rows is not None
            self.operations.append((group.registers, slot, _gather(group, owner, owner.slots[wanted], rows)))

    # equations --------------------------------------------------------------------------------------------------------

    def _equations(self, group: Group) -> None:
        flat = group.flat
        for name, expr in flat.derivatives.items():
            if name in flat.states:
                self.slopes.append((group, self.where[id(group), name], self.closure(group, expr)))
        for scheme in flat.kinetics:
            for t in scheme.transitions:
                rates = [group.slots[r] if r is not None else None for r in (t.forward, t.reverse)]
                self.flows.append((group, group.slots[t.source], group.slots[t.target], rates[0], rates[1],
                                   self.where[id(group), t.source], self.where[id(group), t.target]))  # fmt: skip
        for condition in flat.conditions:
            test, steps = self.closure(group, condition.test), self._steps(group, condition.actions)
            self.conditions.append(Rule(group, test, steps, self._guard(group, condition.regime)))
        for event in flat.events:
            self.ports.setdefault((id(group), event.port), []).append(
                Rule(group, None, self._steps(group, event.actions), self._guard(group, event.regime))
            )

    def _guard(self, group: Group, regime: tuple[str, int] | None) -> Closure | None:
        return None if regime is None else self.closure(group, Cmp("==", Name(regime[0]), Num(float(regime[1]))))

    def _steps(self, group: Group, actions: tuple[Action, ...]) -> list[tuple[str, str, Closure | None]]:
        return [
            ("set", action.variable, self.closure(group, action.expr)) if isinstance(action, Assign)
            else ("send", action.port, None)
            for action in actions
        ]  # fmt: skip

    # values -----------------------------------------------------------------------------------------------------------

    def load(self, t: float, y: Floats) -> None:
        """Put time (s) and states into the registers and bring all derived variables up to date."""
        for group in self.groups:
            group.registers[0] = t
        for group, _, slot, part in self.states:
            group.registers[slot] = float(y[part.start]) if group.single else y[part].copy()
        for registers, slot, value in self.operations:
            registers[slot] = value(registers)

    def slope(self, t: float, y: Floats) -> Floats:
        """dy/dt."""
        self.load(t, y)
        dy = np.zeros(self.size)
        for group, part, value in self.slopes:
            dy[part] = value(group.registers)
        for group, source, target, forward, reverse, here, there in self.flows:
            r = group.registers
            flow = (r[forward] * r[source] if forward is not None else 0.0) - (
                r[reverse] * r[target] if reverse is not None else 0.0
            )
            dy[here] -= flow
            dy[there] += flow
        return dy

    def start(self) -> Floats:
        """The initial states: OnStart of all components, then kinetic schemes at rest."""
        y = np.zeros(self.size)
        for _ in range(2):  # what one component starts from may be another's state
            for group in self.groups:
                for assign in group.flat.on_start:
                    if assign.variable in group.flat.states:
                        self.load(0.0, y)
                        value = self.closure(group, assign.expr)(group.registers)
                        y[self.where[id(group), assign.variable]] = value
        self.load(0.0, y)
        for group in self.groups:
            for scheme in group.flat.kinetics:
                self._rest(group, scheme, y)
        return y

    def _rest(self, group: Group, scheme: Any, y: Floats) -> None:
        """Occupancies at which nothing flows, at the rates of the beginning."""
        place = {name: at for at, name in enumerate(scheme.states)}
        for row in range(group.size):
            matrix = np.zeros((len(place), len(place)))
            for t in scheme.transitions:
                ends = ((t.source, t.target, t.forward), (t.target, t.source, t.reverse))
                for source, target, rate in ends:
                    if rate is not None:
                        k = float(np.asarray(group.registers[group.slots[rate]]).reshape(-1)[min(row, group.size - 1)])
                        matrix[place[source], place[source]] -= k
                        matrix[place[target], place[source]] += k
            matrix = np.vstack([matrix, np.full(len(place), np.abs(matrix).max() or 1.0)])
            right = np.zeros(len(place) + 1)
            right[-1] = matrix[-1, 0]
            occupancy = np.linalg.lstsq(matrix, right, rcond=None)[0]
            for name, at in place.items():
                y[self.where[id(group), name].start + row] = occupancy[at]


def _gather(group: Group, owner: Group, slot: int, rows: Ints) -> Closure:
    there = owner.registers
    if owner.single:
        return (lambda r: there[slot]) if group.single else (lambda r: np.full(group.size, there[slot]))
    if group.single:
        row = int(rows[0])
        return lambda r: float(there[slot][row])
    return lambda r: there[slot][rows]


def _reduction(group: Group, sources: list[tuple[Group, str, Ints | None]], multiply: bool) -> Closure:
    parts = [(a, a.slots[name], a.host_rows) for a, name, _ in sources]
    empty = 1.0 if multiply else 0.0
    if group.single:
        fold: Callable[[Any], Any] = np.prod if multiply else np.sum

        def one(r: Registers) -> float:
            total = empty
            for attached, slot, _ in parts:
                value = attached.registers[slot]
                value = value if attached.single else float(fold(value))
                total = total * value if multiply else total + value
            return total

        return one

    def many(r: Registers) -> Floats:
        total = np.full(group.size, empty)
        for attached, slot, rows in parts:
            assert rows is not None
            (np.multiply if multiply else np.add).at(total, rows, attached.registers[slot])
        return total

    return many
