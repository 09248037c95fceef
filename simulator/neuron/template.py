"""Cells of one template: its tables read once, then one loop over sections for every cell.

Each NEURON section is made with the geometry, passive properties, mechanisms and ions of the template; values that are
the same along a section are set once for the section, others segment by segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ..program import Program, is_table, own_template
from .words import meant, variables

if TYPE_CHECKING:
    from .build import Network
    from .pieces import Pieces

# What NEURON packs into the value of ion_style.
_CONCENTRATION, _REVERSAL, _REVERSAL_INITIAL, _REVERSAL_ADVANCE = 3, 24, 32, 64


@dataclass
class Cell:
    """One cell: its sections in the template's order and its own point processes. NEURON shows it by its name.

    Of a cell in pieces, None stands for what is on other ranks.
    """

    name: str
    sections: list[Any] = field(default_factory=list)
    points: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        return self.name

    def shift(self, h: Any, x: float, y: float, z: float) -> None:
        """Move all 3-D points (um). NEURON keeps them in single precision, so lengths change in their last digits."""
        for section in filter(None, self.sections):
            for i in range(int(h.n3d(sec=section))):
                place = (h.x3d(i, sec=section) + x, h.y3d(i, sec=section) + y, h.z3d(i, sec=section) + z)
                h.pt3dchange(i, *place, h.diam3d(i, sec=section), sec=section)

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@dataclass
class _Section:
    """What is done for each copy of one section; along it, a value is a number or one number per segment."""

    name: str
    nseg: int
    parent: int
    parent_x: float
    child_x: float
    Ra: float
    geometry: tuple[Any, ...]  # four Vectors of 3-D points, or L and diam
    cm: float | list[float]
    v_init: list[float] | None
    inserts: list[tuple[str, list[tuple[str, float | list[float]]]]] = field(default_factory=list)
    ions: list[tuple[str, list[tuple[str, float | list[float]]]]] = field(default_factory=list)


class Template:
    """Makes cells of one kind. ``h`` is NEURON's top level."""

    def __init__(self, h: Any, program: Program, spec: Mapping[str, Any]) -> None:
        self.h, self.id = h, spec["id"]
        counts = [section["nseg"] for section in spec["sections"]]
        starts = np.concatenate([[0], np.cumsum(counts)])

        def along(value: Any, members: Sequence[int]) -> dict[int, float | list[float]]:
            """The value of each member section, from a number or a table over the segments of all members."""
            column, at, values = _numbers(program, value), 0, {}
            if not column.ndim:
                return dict.fromkeys(members, float(column))
            if len(column) != sum(counts[i] for i in members):
                raise SimulatorError(
                    f"template '{self.id}': table '{value}' has {len(column)} rows for "
                    f"{sum(counts[i] for i in members)} segments"
                )
            for i in members:
                values[i] = _uniform(column[at : at + counts[i]])
                at += counts[i]
            return values

        everywhere = range(len(counts))
        cm = along(spec["cm"], everywhere) if spec.get("cm") is not None else dict.fromkeys(everywhere, 1.0)
        v_init = along(spec["v_init"], everywhere) if spec.get("v_init") is not None else {}
        self.sections = [
            _Section(
                section["name"],
                section["nseg"],
                section["parent"],
                section.get("parent_x", 1.0),
                section.get("child_x", 0.0),
                section.get("Ra", 35.4),
                self._geometry(program, section),
                cm[i],
                None if v_init.get(i) is None else _each(v_init[i], section["nseg"]),
            )
            for i, section in enumerate(spec["sections"])
        ]
        for insert in spec.get("inserts", ()):
            values = {name: along(value, insert["sections"]) for name, value in insert.get("parameters", {}).items()}
            for i in insert["sections"]:
                parameters = [(f"{name}_{insert['mechanism']}", each[i]) for name, each in values.items()]
                self.sections[i].inserts.append((insert["mechanism"], parameters))
        self.as_written: set[str] = set()  # ions whose reversal potential NEURON's mechanisms decide
        for ion in spec.get("ions", ()):
            names = {"internal": f"{ion['ion']}i", "external": f"{ion['ion']}o", "reversal": f"e{ion['ion']}"}
            values = {names[k]: along(ion[k], ion["sections"]) for k in names if ion.get(k) is not None}
            if ion.get("charge") is not None:
                h.ion_register(ion["ion"], ion["charge"])  # does nothing if a mechanism brought the ion
            for i in ion["sections"]:
                named = [(name, each[i]) for name, each in values.items()]
                self.sections[i].ions.append((ion["ion"], named))
            if ion.get("as_written"):
                self.as_written.add(ion["ion"])
        self.points = [
            (p["mechanism"], p["section"], p["x"], sorted(p.get("parameters", {}).items()))
            for p in spec.get("points", ())
        ]
        self.source = spec.get("source")
        self.segments = int(starts[-1])

    def _geometry(self, program: Program, section: Mapping[str, Any]) -> tuple[Any, ...]:
        if "points" not in section:
            diam = _numbers(program, section["diam"])
            return (section["L"], _uniform(diam) if diam.ndim else float(diam))
        table = _numbers(program, section["points"])
        return tuple(self.h.Vector(table[:, axis]) for axis in range(4))

    def make(self, name: str, origin: Sequence[float] | None = None, pieces: Pieces | None = None) -> Cell:
        """A new cell, its points moved by ``origin`` (um); SimulatorError if a mechanism or parameter is not there.

        Of a cell in ``pieces``, those that are here; pieces are not joined yet.
        """
        h, cell = self.h, Cell(name)
        for number, spec in enumerate(self.sections):
            if pieces is not None and not pieces.has(number):
                cell.sections.append(None)
                continue
            section = h.Section(name=spec.name, cell=cell)
            cell.sections.append(section)
            if len(spec.geometry) == 4:
                points = spec.geometry
                if origin is not None:
                    points = (*(axis.c().add(shift) for axis, shift in zip(points, origin, strict=False)), points[3])
                h.pt3dadd(*points, sec=section)
                section.nseg = spec.nseg
            else:
                section.L = spec.geometry[0]
                section.nseg = spec.nseg
                _along(section, "diam", spec.geometry[1])
            section.Ra = spec.Ra
            parent, x = (spec.parent, spec.parent_x) if pieces is None else pieces.parent(number)
            if parent >= 0:
                section.connect(cell.sections[parent](x), spec.child_x)
            _along(section, "cm", spec.cm)
            for mechanism, parameters in spec.inserts:
                section.insert(mechanism)
                for parameter, value in parameters:
                    try:
                        _along(section, parameter, value)
                    except (AttributeError, LookupError):
                        raise self._unknown(spec.name, mechanism, parameter.removesuffix(f"_{mechanism}")) from None
            for ion, concentrations in spec.ions:
                self._ion(section, ion, concentrations)
            if spec.v_init is not None:
                # segment by segment: setting v of a whole section visits all sections there are
                for segment, v in zip(section, spec.v_init, strict=True):
                    segment.v = v
                section(1).v = spec.v_init[-1]
        for mechanism, index, x, parameters in self.points:
            if cell.sections[index] is None:
                cell.points.append(None)
                continue
            point = getattr(h, mechanism)(cell.sections[index](x))
            for parameter, value in parameters:
                try:
                    setattr(point, parameter, value)
                except (AttributeError, LookupError):
                    raise self._unknown(self.sections[index].name, mechanism, parameter) from None
            cell.points.append(point)
        return cell

    def _unknown(self, section: str, mechanism: str, parameter: str) -> SimulatorError:
        hint = meant(parameter, variables(self.h, mechanism))
        return SimulatorError(f"'{self.id}': section '{section}': the mechanism '{mechanism}' has no parameter "
                              f"'{parameter}'{hint}")  # fmt: skip

    def start(self, cell: Cell, pieces: Pieces | None = None) -> None:
        """Set the voltage at the open ends of the roots; to be called when all cells are there.

        Access to end 0 makes NEURON sort its sections, which must not happen for every cell.
        """
        for number, (section, spec) in enumerate(zip(cell.sections, self.sections, strict=True)):
            if section is None or spec.v_init is None:
                continue
            if spec.parent < 0:
                section(0).v = spec.v_init[0]
            elif pieces is not None and pieces.parent(number)[0] < 0:  # the same as at the node that it is joined to
                owner, x = pieces.cut.tree.places[pieces.cut.tree.joint[number]]
                if (along := self.sections[owner].v_init) is not None:
                    section(spec.child_x).v = along[min(int(x * len(along)), len(along) - 1)]

    def again(self, cell: Cell) -> None:
        """Set what the template says of ions, as a new cell has it."""
        for section, spec in zip(cell.sections, self.sections, strict=True):
            for _, values in spec.ions if section is not None else ():
                for parameter, value in values:
                    _along(section, parameter, value)

    def _ion(self, section: Any, ion: str, values: Sequence[tuple[str, float | list[float]]]) -> None:
        """Set an ion's values so that initialisation keeps them.

        Where a mechanism writes a concentration, NEURON would start it from a global such as cai0_ca_ion; the last
        argument of ion_style turns that off, and the value of the segment stays until the mechanism's INITIAL.
        """
        name = f"{ion}_ion"
        if not self.h.ismembrane(name, sec=section):
            section.insert(name)
        style = int(self.h.ion_style(name, sec=section))
        concentration = max(style & _CONCENTRATION, 1)
        reversal = (style & _REVERSAL) >> 3
        if ion not in self.as_written and any(parameter == f"e{ion}" for parameter, _ in values):
            reversal, style = 1, style & ~(_REVERSAL_INITIAL | _REVERSAL_ADVANCE)
        initial, advance = bool(style & _REVERSAL_INITIAL), bool(style & _REVERSAL_ADVANCE)
        self.h.ion_style(name, concentration, reversal, int(initial), int(advance), 0, sec=section)
        for parameter, value in values:
            _along(section, parameter, value)


def individual(network: Network, population: Mapping[str, Any], gid: int) -> Template:
    """What a cell is made of: its own numbers in place of some of the template's, if its population's cells differ."""
    program = network.program
    if "own" not in population:
        return network.templates[population["template"]]
    row = gid - population["first_gid"]
    return Template(network.h, program, own_template(program, population, row))


def _numbers(program: Program, value: Any) -> NDArray[Any]:
    """What a number, a table or the numbers of a table stand for."""
    return program.column(value) if is_table(value) else np.asarray(value, float)


def _along(section: Any, name: str, value: float | list[float]) -> None:
    """Set a range variable along a section: one value, or one per segment."""
    if isinstance(value, list):
        for segment, one in zip(section, value, strict=True):
            setattr(segment, name, one)
    else:
        setattr(section, name, value)


def _each(value: float | list[float], count: int) -> list[float]:
    return value if isinstance(value, list) else [value] * count


def _uniform(values: NDArray[Any]) -> float | list[float]:
    """The one value if all are the same, else the list."""
    numbers: list[float] = values.tolist()
    return numbers[0] if values.size and (values == values[0]).all() else numbers
