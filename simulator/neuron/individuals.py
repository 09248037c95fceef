"""Cells with sections that differ within a population: where each departs from the template that stands for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import NetworkError
from ...graph import NativeCell, Population
from ...lems import Component, Library, Model, resolve
from ...lems.flat import FlatComponent
from ...nmodl.equations import structure_key
from ...report import Report
from ..program import is_table
from .cells import CellTemplate, Placement, lower_cell
from .population import CellKind, Placed
from .roles import charge, ion_name
from .tables import Tables

Flat = Callable[[Component], FlatComponent]
Rounded = Callable[[npt.NDArray[np.float64] | float, float], npt.NDArray[np.float64]]
Path_ = tuple[str | int, ...]
_SCALES = frozenset({"condDensity", "permeability", "number", "erev"})
_NUMBERS = frozenset({"L", "diam", "points", "Ra", "internal", "external", "reversal", "threshold", "cm", "v_init"})


class Differences:
    """What the cells of a population have in place of numbers of their template, gathered cell by cell.

    Held is a column for each number that some cell has otherwise; cells themselves need not stay.
    """

    def __init__(self, population: Population, template: Mapping[str, Any], tables: Mapping[str, npt.NDArray[Any]]):
        self.population = population
        self.numbers, self.rest = _parts(template, tables)
        self.columns: dict[Path_, npt.NDArray[np.float64]] = {}

    def add(self, row: int, entry: Mapping[str, Any], tables: Mapping[str, npt.NDArray[Any]]) -> None:
        """The entry that would be the template of this cell. Raises NetworkError for one of another structure."""
        numbers, rest = _parts(entry, tables)
        if rest != self.rest or numbers.keys() != self.numbers.keys():
            raise self.other(row)
        for path, value in numbers.items():
            usual = self.numbers[path]
            if path not in self.columns and np.array_equal(value, usual):
                continue
            if value.ndim > 1 and value.shape != usual.shape:
                raise self.other(row)
            column = self.columns.get(path)
            shape = np.broadcast_shapes(value.shape, usual.shape if column is None else column.shape[1:])
            if column is None:
                column = np.broadcast_to(usual, (self.population.size, *shape)).copy()
            elif column.shape[1:] != shape:
                column = np.broadcast_to(column[:, None], (len(column), *shape)).copy()
            column[row] = value
            self.columns[path] = column

    def other(self, row: int) -> NetworkError:
        """The error for a cell that has other parts."""
        return NetworkError(
            f"cell {row} has other sections, compartments or mechanisms than '{self.population.component}', which its "
            f"population is of; cells of one population differ in numbers only", **self.population.place())  # fmt: skip

    def stated(self, tables: Tables) -> list[dict[str, Any]]:
        """What a Program says of them."""
        return [{"path": list(path), "values": tables.add(f"{self.population.id}.own{number}", column)}
                for number, (path, column) in enumerate(self.columns.items())]  # fmt: skip


@dataclass(frozen=True)
class Equations:
    """One density or species of a cell: its component, flat, and what ``varied`` (SI) is in each compartment, where it
    is no number of the whole mechanism."""

    part: Component
    flat: FlatComponent
    varied: str | None = None
    values: npt.NDArray[np.float64] | None = None


class Individuals:
    """The cells of a population of LEMS cells that differ: their numbers, and those of their mechanisms once these are
    made.

    ``equations`` gives what a density is in a model, with ``flat`` to flatten it; ``rounded`` gives numbers as the
    scheme of the run has them. Raises NetworkError for a cell of another structure, and what lowering a cell raises.
    """

    def __init__(
        self, population: Population, kind: CellKind, model: Model, library: Library, flat: Flat,
        equations: Callable[[Placement, Model, Flat], Equations], rounded: Rounded,
    ) -> None:  # fmt: skip
        assert kind.template is not None
        self.placed = [*kind.densities, *kind.pool_models]
        usual = _placements(kind.template)
        self.keys = [structure_key(each.request.flat) for each in self.placed]
        known: dict[Any, FlatComponent] = {}
        for each in usual:
            part = each.component(model)
            if (key := _but_numbers(part)) is not None:
                known.setdefault(key, flat(part))
        tables = Tables()
        entry = _entry(kind, self.placed, [each.values for each in self.placed], tables, rounded)
        self.differences = Differences(population, entry, tables.arrays)
        made: list[list[FlatComponent]] = [[] for _ in self.placed]
        for row, elements in enumerate(population.individuals or ()):
            if isinstance(elements, NativeCell):
                raise NetworkError(f"cell {row} of '{population.id}' is a native cell, and '{population.component}' is "
                                   "none", **population.place())  # fmt: skip
            own = resolve(elements, library, Report(), base=model)
            template = lower_cell(own.component(str(elements[0].get("id"))), own, library.units, Report())
            placements = _placements(template)
            if len(placements) != len(usual):
                raise self.differences.other(row)
            others = {element.get("id") for element in elements[1:]}
            values = []
            mine: dict[Any, FlatComponent] = {}
            for number, (one, other) in enumerate(zip(placements, usual, strict=True)):
                part = one.component(own)
                key = _but_numbers(part)
                shared = mine if others & {*part.references.ids.values()} else known
                before = None if key is None else shared.get(key)
                found = None if before is None else _with_numbers(before, part)
                fresh = found is None
                if found is None:
                    found = flat(part)
                    if key is not None:
                        shared.setdefault(key, found)
                whole = Equations(part, found)
                if number < len(kind.densities):
                    whole = equations(one, own, partial(_given, found))
                alike = np.array_equal(one.sections, other.sections)
                if fresh and alike:
                    alike = structure_key(whole.flat) == self.keys[number]
                if not alike:
                    raise self.differences.other(row)
                made[number].append(whole.flat)
                values.append(whole.values)
            tables = Tables()
            its = CellKind(kind.kind, kind.component, template=template, ions=[
                ion_entry(species, ion) for species in template.species if (ion := ion_name(species.ion)) is not None
            ])  # fmt: skip
            self.differences.add(row, _entry(its, self.placed, values, tables, rounded), tables.arrays)
        for placed, flats in zip(self.placed, made, strict=True):
            if any(each.parameters != placed.request.flat.parameters for each in flats):
                placed.request.varied = flats

    def stated(self, tables: Tables) -> list[dict[str, Any]]:
        """What a Program says of them, when the mechanisms are made."""
        found: dict[Path_, npt.NDArray[np.float64]] = {}
        for path, column in self.differences.columns.items():
            if path[0] == "inserts":
                variable, factor = varied_along(self.placed[int(path[1])])
                found[(*path[:-1], variable)] = column / factor
            else:
                found[path] = column
        for number, placed in enumerate(self.placed):
            request = placed.request
            for name, column in request.made.parameters.items() if request.varied else ():
                if (column[request.own] != column[request.member]).any():
                    found[("inserts", number, "parameters", name)] = np.asarray(column[request.own], float)
        self.differences.columns = found
        return self.differences.stated(tables)


def cell_outline(kind: CellKind, tables: Tables, key: str, rounded: Rounded) -> dict[str, Any]:
    """The Program's template of a LEMS cell, without what is inserted."""
    template = kind.template
    assert template is not None
    sections = []
    for number, section in enumerate(template.sections):
        sections.append({
            "name": section.name, "nseg": section.nseg, "parent": section.parent, "parent_x": section.parent_x,
            "Ra": float(rounded(section.Ra, 100.0)[0]),
            "points": tables.add(f"{key}.points{number}", section.points),
        })  # fmt: skip
    at, x = kind.locate(None, 0.5)
    threshold = float(template.threshold[template.compartment(at, x)])
    return {
        "id": kind.component, "sections": sections, "inserts": [], "ions": [dict(ion) for ion in kind.ions],
        "points": [], "cm": tables.add(f"{key}.cm", rounded(template.cm, 100.0)),
        "v_init": tables.add(f"{key}.v", rounded(template.v_init, 1e3)),
        "source": {"kind": "voltage", "section": at, "x": x, "threshold": threshold},
    }  # fmt: skip


def ion_entry(species: Placement, ion: str) -> dict[str, Any]:
    """What a Program says of the ion of a species."""
    return {
        "ion": ion, "sections": [int(s) for s in species.sections], "internal": species.internal,
        "external": species.external, "charge": charge(ion),
    }  # fmt: skip


def varied_along(placed: Placed) -> tuple[str, float]:
    """The variable of its mechanism that differs from compartment to compartment, and its factor to SI."""
    assert placed.varied is not None
    _, factor = placed.request.variable(placed.varied) or ("", 1.0)
    return placed.request.made.instance[placed.varied], factor


def _but_numbers(part: Component) -> Any:
    """What parts have in common that are flat alike but for their own numbers; None if attributes do not tell it."""
    element = part.element
    if any(child.tag not in ("notes", "annotation") for child in element.children):
        return None
    aside = {"id", "segmentGroup", "segment", *part.parameters}
    return part.type.name, frozenset((n, text) for n, text in element.attributes.items() if n not in aside)


def _with_numbers(flat: FlatComponent, part: Component) -> FlatComponent | None:
    """A flat component with the numbers of another part, if these are only such that scale a current; else None."""
    own = flat.parameters
    if own.keys() & part.parameters.keys() != part.parameters.keys() or any(p.kind == "derived" for p in own.values()):
        return None
    changed = {name: value for name, value in part.parameters.items() if own[name].value != value}
    if changed.keys() - _SCALES:
        return None
    return replace(flat, parameters={**own, **{n: replace(own[n], value=value) for n, value in changed.items()}})


def _given(flat: FlatComponent, _: Component) -> FlatComponent:
    return flat


def _placements(template: CellTemplate) -> list[Placement]:
    return [*template.densities, *(each for each in template.species if ion_name(each.ion) is not None)]


def _entry(
    kind: CellKind, placed: list[Placed], values: list[npt.NDArray[np.float64] | None], tables: Tables, rounded: Rounded
) -> dict[str, Any]:
    """A template of which the parameters of mechanisms are only those that differ along the cell, in SI."""
    entry = cell_outline(kind, tables, "", rounded)
    entry["inserts"] = [
        {"parameters": {} if along is None else {str(each.varied): tables.add(f"insert{number}", along)}}
        for number, (each, along) in enumerate(zip(placed, values, strict=True))
    ]  # fmt: skip
    return entry


def _parts(
    entry: Mapping[str, Any], tables: Mapping[str, npt.NDArray[Any]]
) -> tuple[dict[Path_, npt.NDArray[Any]], list[tuple[Path_, Any]]]:
    """The numbers of a template that may differ, and all that may not."""
    numbers, rest = {}, []
    for path, value in _leaves(entry, ()):
        if value is not None and (path[-1] in _NUMBERS or "parameters" in path):
            numbers[path] = np.asarray(tables[value.removeprefix("T:")] if is_table(value) else value, float)
        elif path != ("id",):
            rest.append((path, value))
    return numbers, rest


def _leaves(value: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    if isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and value):
        inside: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in inside:
            yield from _leaves(part, (*path, key))
    else:
        yield path, value
