"""Which mechanism each component gets: components of equal structure share one.

``ask`` collects what the network needs; ``compile`` then groups, compiles and hands out names. Nothing here knows about
sections or cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...errors import UnsupportedError
from ...lems import check_dimensions
from ...lems.flat import FlatComponent
from ...nmodl.compat import Layout
from ...nmodl.compile import Dump, compile_group
from ...nmodl.equations import structure_key
from ...nmodl.mechanism import Mechanism, Role
from ...nmodl.mod import Mod, to_nmodl
from ...report import Report


@dataclass
class Request:
    """One component in one role; ``mechanism`` and ``member`` are known after ``Catalogue.compile``."""

    flat: FlatComponent
    role: Role
    record: set[str] = field(default_factory=set)
    ahead: set[str] = field(default_factory=set)
    """states that others read by a transfer, for their currents"""
    mechanism: Mechanism | None = None
    member: int = 0
    layout: Layout | None = None
    """asks for the compatibility scheme"""
    varied: list[FlatComponent] = field(default_factory=list)
    """the same component with other numbers, for each cell of a population; ``varied_at`` is the first one's member"""
    varied_at: int = 0

    @property
    def made(self) -> Mechanism:
        """The compiled mechanism."""
        assert self.mechanism is not None, "asked before the catalogue was compiled"
        return self.mechanism

    @property
    def own(self) -> slice:
        """Where ``varied`` are among the members of the mechanism."""
        return slice(self.varied_at, self.varied_at + len(self.varied))

    def parameters(self) -> dict[str, float]:
        """RANGE parameters of this component, in the mechanism's units."""
        return {name: float(column[self.member]) for name, column in self.made.parameters.items()}

    def variable(self, flat_name: str) -> tuple[str, float] | None:
        """(variable of the mechanism, factor to SI) of one of this component's flat names, if it can be read."""
        first = self.first_names[self.own_names.index(flat_name)] if flat_name in self.own_names else flat_name
        return self.made.variables.get(first)

    def sent(self, flat_name: str, ahead: bool) -> str | None:
        """The variable of the mechanism that a transfer takes for one of this component's flat names."""
        first = self.first_names[self.own_names.index(flat_name)]
        found = self.made.variables.get(first)
        return self.made.ahead.get(first, found and found[0]) if ahead else found and found[0]

    own_names: list[str] = field(default_factory=list)
    first_names: list[str] = field(default_factory=list)


def flat_names(flat: FlatComponent) -> list[str]:
    """All declared names in a fixed order, the same for components of equal structure."""
    return [*flat.parameters, *flat.properties, *flat.externals, *flat.states, *flat.derived]


def _place(request: Request) -> str:
    flat = request.flat
    return f"{flat.file}:{flat.line}: " if flat.file else ""


class Catalogue:
    """The components that a program needs as mechanisms."""

    def __init__(self, report: Report, dump: Dump | None = None) -> None:
        self.report, self.dump = report, dump
        self.stagger: float | None = 0.5
        self.requests: dict[tuple[object, ...], Request] = {}
        self.mods: dict[str, str] = {}
        self.values: dict[str, Mod] = {}
        """the same mechanisms as values, by name"""
        self.variants: list[dict[tuple[object, ...], list[FlatComponent]]] = []
        """what else the requests may become: parameters that differ there are left open"""

    def ask(self, key: tuple[object, ...], make: Callable[[], tuple[FlatComponent, Role]]) -> Request:
        """The request filed under ``key``; made on the first call."""
        if key not in self.requests:
            flat, role = make()
            self.requests[key] = Request(flat, role)
        return self.requests[key]

    def compile(self) -> None:
        """Group the requests by structure, role and what is recorded, and compile each group once."""
        groups: dict[str, list[Request]] = {}
        coherent: dict[str, bool] = {}
        for request in self.requests.values():
            names = flat_names(request.flat)
            request.own_names = names
            problems = check_dimensions(request.flat)
            role = request.role
            context = [
                f"role {role.kind} {role.ion} {names.index(role.current) if role.current in names else role.current}",
                f"gathers {role.gathers}",
                f"state {names.index(role.state) if role.state in names else role.state}",
                *(f"bind {name} {binding}" for name, binding in role.bindings.items()),
                f"record {sorted(names.index(name) for name in request.record)}",
                f"ahead {sorted(names.index(name) for name in request.ahead)}",
                f"coherent {not problems}",
            ]
            if request.layout is not None:
                parts = (request.layout.order, sorted(request.layout.late), sorted(request.layout.exact))
                context += [f"compat {[names.index(name) for name in part]}" for part in parts]
                context.append(f"still {sorted(request.layout.still)}")
            key = structure_key(request.flat, context)
            groups.setdefault(key, []).append(request)
            coherent[key] = not problems
            for problem in problems:
                self.report.add("dimension-mismatch", "info", f"{problem}; computed in SI, as jLEMS does",
                                file=request.flat.file, line=request.flat.line, component=request.flat.id)  # fmt: skip
        for key, group in groups.items():
            first = group[0]
            others = self._others(group)
            members = [*others, *(request.flat for request in group)]
            for request in group:
                request.varied_at = len(members)
                members += request.varied
            try:
                mechanism = compile_group(
                    members, first.role, coherent=coherent[key], stagger=self.stagger, record=frozenset(first.record),
                    ahead=frozenset(first.ahead), layout=first.layout, dump=self.dump,
                )  # fmt: skip
            except UnsupportedError as error:
                raise UnsupportedError(f"{_place(first)}component {error}") from None
            except RecursionError:
                raise UnsupportedError(
                    f"{_place(first)}component '{first.flat.id}': its formulas, each put into the next, are nested too "
                    "deeply"
                ) from None
            self.mods[f"{mechanism.name}.mod"] = mechanism.text
            self.values[mechanism.name] = mechanism.mod
            for row, request in enumerate(group, len(others)):
                request.mechanism, request.member = mechanism, row
                request.first_names = flat_names(members[0])

    def _others(self, group: list[Request]) -> list[FlatComponent]:
        """The variants of the requests of a group; those of the first of them come first."""
        keys = [key for key, request in self.requests.items() if any(request is each for each in group)]
        found = [flat for variant in self.variants for key in keys for flat in variant.get(key, ())]
        shape = structure_key(group[0].flat, [])
        return [flat for flat in found if structure_key(flat, []) == shape]

    def copy(self, mechanism: Mechanism, number: int) -> Mechanism:
        """The same mechanism under another name, for a second density of one structure in a section."""
        if number == 0:
            return mechanism
        name = f"{mechanism.name}_{number + 1}"
        mod = replace(mechanism.mod, name=name)
        text = to_nmodl(mod)
        self.mods[f"{name}.mod"] = text
        self.values[name] = mod
        return replace(mechanism, name=name, mod=mod, text=text)
