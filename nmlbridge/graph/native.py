"""Cells and processes that are made of a simulator's own mechanisms (NEURON's names), instead of LEMS components.

A ``Network`` files them in ``native`` under their id, and populations, projections and input lists refer to them as to
any component. In a column that refers to a native cell, a *segment* is the index of a section and a *fraction* the
place along it (NEURON's ``sec(x)``). Units are NEURON's: um, mV, ms, nA, uS, ohm cm, uF/cm2, S/cm2, mM.
https://nrn.readthedocs.io/en/latest/python/modelspec/programmatic/mechanisms/mech.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import NetworkError
from .columns import Floats

Along = float | Sequence[float]
"""a value along a section: one number, or one for each of its nseg segments"""
ADDING = frozenset({"ExpSyn", "Exp2Syn"})
"""synapses whose events add up: one at a place is as good as one for each connection"""
KINDS = ("synapse", "input", "source", "port", "junction")
_IONS = ("e", "i", "o")


_NUMBERS = ("L", "diam", "Ra", "cm", "parent_x", "child_x")


@dataclass(frozen=True, eq=False)
class NativeSection:
    """One unbranched cable. Either ``points`` (n, 4: x y z diam, um), or ``L`` and ``diam``.

    ``parent`` is the index of a section that stands before this one (-1: a root), joined at its ``parent_x`` to this
    one's ``child_x``. ``mechanisms`` maps the name of a density mechanism to its parameters, ``ions`` the name of an
    ion to any of e (mV), i and o (mM). ``v_init`` None means the cell's.
    """

    name: str
    parent: int = -1
    parent_x: float = 1.0
    child_x: float = 0.0
    L: float = 100.0
    diam: Along = 500.0
    points: Floats | None = None
    nseg: int = 1
    Ra: float = 35.4
    cm: Along = 1.0
    mechanisms: Mapping[str, Mapping[str, Along]] = field(default_factory=dict)
    ions: Mapping[str, Mapping[str, Along]] = field(default_factory=dict)
    v_init: float | None = None


@dataclass(frozen=True, eq=False)
class NativePoint:
    """A point process that belongs to every cell of a kind (a pump, or a whole neuron model such as Izhi2007b)."""

    mechanism: str
    section: int = 0
    x: float = 0.5
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class NativeCell:
    """A cell written out as sections.

    A spike is a crossing of ``threshold`` (mV) from below at ``spike_x`` of section ``spike_section``; or, if
    ``spike_point`` is the index of one of ``points``, an event of that process, or a crossing by its variable
    ``spike_variable``. ``v_init`` in mV; None means that of the run. With ``moved`` a simulator is given the 3-D points
    moved to the cell's position; NEURON keeps them in single precision, so lengths differ in their last digits.
    Raises NetworkError, with the section's name, for a topology, a geometry or a number that cannot be.
    """

    id: str
    sections: tuple[NativeSection, ...]
    section_lists: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    points: tuple[NativePoint, ...] = ()
    spike_section: int = 0
    spike_x: float = 0.5
    threshold: float = 10.0
    spike_point: int | None = None
    spike_variable: str | None = None
    v_init: float | None = None
    moved: bool = False
    file: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        if not self.sections:
            raise self.error("it has no sections; a cell needs at least one")
        names = [section.name for section in self.sections]
        for name in names:
            if names.count(name) > 1:
                raise self.error(f"the section name '{name}' is used twice; names must differ")
        for number, section in enumerate(self.sections):
            self._check(number, section)
        for name, members in self.section_lists.items():
            if any(not 0 <= member < len(self.sections) for member in members):
                raise self.error(f"the section list '{name}' names a section that is not there")
        for point in self.points:
            if not 0 <= point.section < len(self.sections):
                raise self.error(f"'{point.mechanism}' is on section {point.section}, which is not there")
            for name, value in point.parameters.items():
                if not np.isfinite(value):
                    raise self.error(f"'{name}' of '{point.mechanism}' is not a finite number")
        if not 0 <= self.spike_section < len(self.sections):
            raise self.error(f"spikes are looked for at section {self.spike_section}, which is not there")
        if self.spike_point is not None and not 0 <= self.spike_point < len(self.points):
            raise self.error(f"spikes are looked for at process {self.spike_point}, which is not there")

    def _check(self, number: int, section: NativeSection) -> None:
        who = f"section '{section.name}'"
        if not -1 <= section.parent < number:
            raise self.error(f"{who}: its parent must be a section that stands before it")
        if section.nseg < 1 or section.nseg > 32767:
            raise self.error(f"{who}: nseg is {section.nseg}; expected 1 to 32767")
        if section.points is not None and (np.ndim(section.points) != 2 or np.shape(section.points)[1] != 4):
            raise self.error(f"{who}: points need the shape (n, 4); they have {np.shape(section.points)}")
        if section.points is not None and len(section.points) < 2:
            raise self.error(f"{who}: {len(section.points)} 3-D points make no cable; give at least two, or L and diam")
        if section.points is None and not section.L > 0:
            raise self.error(f"{who}: L is {section.L}; it must be more than zero")
        if section.points is not None and not np.isfinite(section.points).all():
            raise self.error(f"{who}: a coordinate of its 3-D points is not a finite number")
        numbers: list[tuple[str, Any]] = [(name, getattr(section, name)) for name in _NUMBERS]
        numbers += [(f"{m}.{p}", v) for m, values in section.mechanisms.items() for p, v in values.items()]
        for ion, values in section.ions.items():
            unknown = set(values) - set(_IONS)
            if unknown:
                raise self.error(f"{who}: ion '{ion}' has no '{min(unknown)}'; there are {', '.join(_IONS)}")
            numbers += [(f"{ion}.{p}", v) for p, v in values.items()]
        for name, value in numbers:
            many = np.ndim(value) > 0
            if many and np.size(value) != section.nseg:
                raise self.error(f"{who}: {name} has {np.size(value)} values for {section.nseg} segments")
            if not np.isfinite(value).all():
                raise self.error(f"{who}: {name} is not a finite number")
            if name in ("diam", "Ra") and np.min(value) <= 0:
                raise self.error(f"{who}: {name} is {np.min(value)}; it must be more than zero")

    def error(self, message: str) -> NetworkError:
        """A NetworkError that names this cell and its place."""
        return NetworkError(message, file=self.file, line=self.line, component=self.id)

    @cached_property
    def index(self) -> dict[str, int]:
        """Indices of sections by name."""
        return {section.name: number for number, section in enumerate(self.sections)}

    def section(self, name: str) -> int:
        """The index of a section; NetworkError with the nearest names if there is none."""
        if name not in self.index:
            near = get_close_matches(name, list(self.index), 3) or list(self.index)[:3]
            raise self.error(f"there is no section '{name}'; there are {', '.join(near)}")
        return self.index[name]

    @cached_property
    def structure(self) -> tuple[Any, ...]:
        """What cells of one population have in common (``Population.individuals``), hashable: all but the numbers in
        which they may differ."""
        sections = tuple(
            (s.name, s.parent, s.parent_x, s.child_x, s.nseg, None if s.points is None else len(s.points),
             tuple((name, tuple(sorted(values))) for name, values in s.mechanisms.items()),
             tuple((name, tuple(sorted(values))) for name, values in s.ions.items()), s.v_init is None)
            for s in self.sections
        )  # fmt: skip
        points = tuple((p.mechanism, p.section, p.x, tuple(sorted(p.parameters))) for p in self.points)
        return (sections, _plain(self.section_lists), points, self.spike_section, self.spike_x, self.spike_point,
                self.spike_variable, self.v_init is None, self.moved)  # fmt: skip

    def same_as(self, other: NativeCell) -> bool:
        """Whether both describe one kind of cell, whatever they are called."""
        return self.key == other.key

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Everything but id and place, hashable."""
        return (
            tuple(_plain(section.__dict__) for section in self.sections), _plain(self.section_lists),
            tuple(_plain(point.__dict__) for point in self.points), self.spike_section, self.spike_x, self.threshold,
            self.spike_point, self.spike_variable, self.v_init, self.moved,
        )  # fmt: skip

    def __repr__(self) -> str:
        names = sorted({name for section in self.sections for name in section.mechanisms})
        return f"<NativeCell {self.id}: {len(self.sections)} sections, {', '.join(names) or 'no mechanisms'}>"


@dataclass(frozen=True, eq=False)
class NativeProcess:
    """A point process or an artificial cell of the simulator, by its name there (Exp2Syn, IClamp, NetStim ...).

    ``kind`` is "synapse" (events arrive on it), "input" (it acts by itself, as a clamp does), "source" (an artificial
    cell, which sends events) or "port": then nothing is made, and events arrive at the artificial cell itself, or at
    the cell's own process number ``point``, with the weight in slot ``slot``. The source "VecStim" sends what
    ``Population.train_times`` say. A source in an input list needs ``drives``, the id of the synapse that it acts
    through. A "junction" is in electrical projections, on both sides, or in continuous ones, where a port stands for a
    side that has nothing: ``peer`` names the variable of the place on the other side, and the junction's own that is
    told of it. A synapse that is ``shared`` is one at each place and set of parameters, for all connections to it;
    others are one for each connection. Array parameters are spelled with their index: ``{"amp[0]": 1}``. Rows of a
    population, projection or
    input list may differ: their ``values`` override ``parameters``.
    """

    id: str
    mechanism: str
    kind: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    drives: str | None = None
    peer: tuple[str, str] | None = None
    shared: bool = False
    file: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind '{self.kind}' is none of {KINDS}")
        for name, value in self.parameters.items():
            if not np.isfinite(value):
                raise NetworkError(f"'{name}' is not a finite number", file=self.file, line=self.line,
                                   component=self.id)  # fmt: skip

    def __repr__(self) -> str:
        through = f" through {self.drives}" if self.drives else ""
        return f"<NativeProcess {self.id}: {self.mechanism}, {self.kind}{through}>"


Native = NativeCell | NativeProcess


def mechanisms_of(*parts: Native) -> list[str]:
    """The names of the simulator's mechanisms that parts are made of, each once, in the order in which they come."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, NativeCell):
            found += [name for section in part.sections for name in section.mechanisms]
            found += [point.mechanism for point in part.points]
        elif part.kind != "port":
            found.append(part.mechanism)
    return list(dict.fromkeys(found))


def _plain(value: Any) -> Any:
    """A hashable form of nested mappings, sequences and arrays."""
    if isinstance(value, Mapping):
        return tuple((key, _plain(part)) for key, part in value.items())
    if isinstance(value, np.ndarray):
        return (value.shape, value.tobytes())
    if isinstance(value, (list, tuple)):
        return tuple(_plain(part) for part in value)
    return value
