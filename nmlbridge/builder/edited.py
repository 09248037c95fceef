"""Cells that are not written out here, and differ within a population: those of files and of templates.

What differs is named by its place. In a NeuroML cell: the ids or tags of elements and an attribute, in the cell or in
what it refers to (``na_all.condDensity``, ``NaConductance.m.forwardRate.midpoint``). In the cell of a template:
sections and a variable by NEURON's names (``apical.gbar_na``, ``all.Ra``). In both, ``GROUP.length_factor`` and
``GROUP.diameter_factor`` make parts longer or thicker.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..element import Element
from ..errors import LemsError, ModelError, NetworkError
from ..graph.morphology import Morphology
from ..graph.native import NativeCell, NativeSection
from ..graph.population import Individual
from ..nmodl.files import mechanism_of
from ..nmodl.header import read_header
from ..units import NONE, nearest, parse_quantity
from .components import Components, quantity_text
from .context import Path_
from .evaluate import MIXED, Column, in_unit
from .scaled import FACTORS, scaled_cell, scaled_morphology
from .segments import segment_column
from .varied import Rows

_Part = tuple[str, tuple[int, ...], Element]
_NEVER_NEGATIVE = ("condDensity", "permeability", "number")
_UNITS = {"L": "um", "diam": "um", "Ra": "ohm_cm", "cm": "uF_per_cm2", "v_init": "mV", "threshold": "mV"}


class Made(Sequence[Individual]):
    """Cells that ``_made`` makes by their rows."""

    rows: Rows

    def __len__(self) -> int:
        return self.rows.size

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return self._made(row % len(self))

    @abstractmethod
    def _made(self, row: int) -> Individual:
        """The cell of a row."""


def factor(rows: Rows, column: Column, path: Path_) -> Column:
    """Numbers by which lengths or diameters are multiplied. Raises NetworkError for others."""
    if column.dimension not in (NONE, None) or (column.values <= 0).any():
        raise rows.context.error("a factor is a plain number, more than zero", *path)
    return column


@dataclass(frozen=True)
class _Edit:
    """One attribute that differs: of the element that is found below the component ``id`` by these places."""

    id: str
    steps: tuple[int, ...]
    attribute: str
    texts: Callable[[int], str]


class EditedElements(Made):
    """The cells of a population of a NeuroML cell: copies of its element, and of what it refers to, edited."""

    def __init__(self, rows: Rows, components: Components, id: str, vary: Mapping[str, float | str]) -> None:
        self.rows, self.components, self.id = rows, components, id
        self.used = list(_used(components, id))
        self.edits: list[_Edit] = []
        self.factors: list[tuple[np.ndarray[Any, Any], int, Column]] = []
        for name, value in vary.items():
            path = (*rows.path, name)
            *steps, word = name.split(".")
            column = rows.value(name, value)
            if word in FACTORS:
                self._scale(".".join(steps), FACTORS.index(word), factor(rows, column, path), path)
            else:
                self.edits.append(self._edit(steps, word, column, path))
        changed = {edit.id for edit in self.edits} | ({self._morphology()[0]} if self.factors else set())
        self.changed = [id, *carriers(components, id, changed)]

    def _edit(self, steps: list[str], word: str, column: Column, path: Path_) -> _Edit:
        context, library = self.rows.context, self.components.library
        if not steps:
            raise context.error(f"expected a place such as resistivity.value, or {self._ids()}", *path)
        found: list[_Part] = [(id, (), self.components.by_id[id]) for id in self.used]
        for number, step in enumerate(steps):
            below = [part for top in found for part in _parts(*top) if number == 0 or part != top]
            named = [part for part in below if step in (part[2].get("id"), part[2].get("name"))]
            found = named or [part for part in below if part[2].tag == step]
            if len(found) != 1:
                known = sorted({n for _, _, e in below for n in (e.get("id"), e.tag) if n})
                which = f"there is no '{step}'" if not found else f"{len(found)} parts are called '{step}'"
                hint = nearest(step, known) or f"; there are {', '.join(known[:12])}"
                hint = "; name one by its id" if found else hint
                raise context.error(f"{which} in the cell '{self.id}' or in what it refers to{hint}", *path)
        id, at, element = found[0]
        text = element.get(word)
        if text is None:
            known = list(element.attributes)
            hint = nearest(word, known) or f"; there are {', '.join(known)}"
            raise context.error(f"<{element.tag}> has no '{word}'{hint}", *path)
        try:
            _, dimension = parse_quantity(text, library.units)
        except LemsError:
            raise context.error(f"'{word}' is '{text[:40]}', which is no number", *path) from None
        if column.dimension not in (dimension, MIXED) and not (dimension == NONE and column.dimension is None):
            told = library.dimension_name(dimension)
            raise context.error(f"it is no {told}; give its numbers units, as '{text}' has", *path)
        if word in _NEVER_NEGATIVE and (column.values < 0).any():
            raise context.error("it is negative in some cells", *path)
        return _Edit(id, at, word, lambda row: quantity_text(float(column.values[row]), dimension, library))

    def _ids(self) -> str:
        cell = self.components.by_id[self.id]
        return ", ".join([id for element in cell.iter() if (id := element.get("id")) and "condDensity" in
                          element.attributes][:6])  # fmt: skip

    def _morphology(self) -> _Part:
        tops = [(id, (), self.components.by_id[id]) for id in self.used]
        return next(part for top in tops for part in _parts(*top) if part[2].tag == "morphology")

    def _scale(self, where: str, axis: int, column: Column, path: Path_) -> None:
        shape = Morphology.from_element(self._morphology()[2])
        found = segment_column(shape, where)
        if found is None or found.values.dtype != bool:
            known = [*shape.groups, "all"]
            raise self.rows.context.error(f"there is no group '{where}'{nearest(where, known)}", *path)
        self.factors.append((found.values, axis, column))

    def _made(self, row: int) -> Individual:
        made = {id: self.components.by_id[id] for id in self.changed}
        if self.factors:
            id, at, element = self._morphology()
            factors = np.ones((len(self.factors[0][0]), 2))
            for mask, axis, column in self.factors:
                factors[mask, axis] *= column.values[row]
            made[id] = _with(made[id], at, scaled_morphology(element, factors))
        for edit in self.edits:
            element = made[edit.id]
            for step in edit.steps:
                element = element.children[step]
            attributes = {**element.attributes, edit.attribute: edit.texts(row)}
            made[edit.id] = _with(made[edit.id], edit.steps, Element(
                element.tag, attributes, element.children, element.text, element.file, element.line))  # fmt: skip
        return tuple(made.values())


def carriers(components: Components, id: str, changed: Collection[str]) -> list[str]:
    """Of what a component refers to, those that are changed, or refer to what is."""
    return [other for other in _used(components, id)
            if other != id and any(one in changed for one in _used(components, other))]  # fmt: skip


def _used(components: Components, id: str) -> Iterator[str]:
    """A component, and those that it and they refer to."""
    seen, waiting = {id}, [id]
    while waiting:
        one = waiting.pop()
        yield one
        for element in components.by_id[one].iter():
            for name, text in element.attributes.items():
                if name not in ("id", "name", "ion") and text in components.by_id and text not in seen:
                    seen.add(text)
                    waiting.append(text)


def _parts(id: str, at: tuple[int, ...], element: Element) -> Iterator[_Part]:
    """An element and all below it, each with its place below the component ``id``."""
    yield id, at, element
    for number, child in enumerate(element.children):
        yield from _parts(id, (*at, number), child)


def _with(element: Element, steps: tuple[int, ...], part: Element) -> Element:
    """A copy of an element in which another part stands at a place."""
    if not steps:
        return part
    children = list(element.children)
    children[steps[0]] = _with(children[steps[0]], steps[1:], part)
    return Element(element.tag, element.attributes, children, element.text, element.file, element.line, element.raw)


class EditedSections(Made):
    """The cells of a population of a template: the one that it makes, with other numbers."""

    def __init__(self, rows: Rows, components: Components, cell: NativeCell) -> None:
        self.rows, self.components, self.cell = rows, components, cell
        self.edits: list[tuple[list[int], str, np.ndarray[Any, Any]]] = []
        for name, value in rows.context.spec.model.populations[rows.population].vary.items():
            path = (*rows.path, name)
            where, _, word = name.rpartition(".")
            column = rows.value(name, value)
            if not where:
                if word not in ("v_init", "threshold"):
                    raise rows.context.error("expected v_init, threshold, or sections and a variable, such as "
                                             f"{cell.sections[0].name}.cm", *path)  # fmt: skip
                self.edits.append(([], word, self._numbers(column, _UNITS[word], path)))
            elif word in FACTORS:
                self.edits.append((self._sections(where, path), word, factor(rows, column, path).values))
            else:
                members = self._sections(where, path)
                self.edits.append((members, word, self._numbers(column, self._unit(members, word, path), path)))
        for row in range(rows.size):  # errors are told now
            self[row]

    def _numbers(self, column: Column, unit: str, path: Path_) -> np.ndarray[Any, Any]:
        try:
            return np.asarray(in_unit(column, unit), float)
        except LemsError as error:
            raise self.rows.context.error(error.message, *path) from None

    def _sections(self, where: str, path: Path_) -> list[int]:
        cell = self.cell
        if where == "all":
            return list(range(len(cell.sections)))
        if where in cell.section_lists:
            return list(cell.section_lists[where])
        if where in cell.index:
            return [cell.index[where]]
        known = ["all", *cell.section_lists, *cell.index]
        hint = nearest(where, known) or f"; there are {', '.join(known[:12])}"
        raise self.rows.context.error(f"'{cell.id}' has no section or list '{where}'{hint}", *path)

    def _unit(self, members: list[int], word: str, path: Path_) -> str:
        """The unit of a variable. Raises NetworkError for one that none of the sections has."""
        if word in ("L", "diam", "Ra", "cm"):
            return _UNITS[word]
        known = ["L", "diam", "Ra", "cm"]
        for number in members:
            section = self.cell.sections[number]
            for ion, values in section.ions.items():
                names = {f"e{ion}": "mV", f"{ion}i": "mM", f"{ion}o": "mM"}
                known += [n for n in names if n.replace(ion, "") in values]
                if word in known and word in names:
                    return names[word]
            for mechanism, values in section.mechanisms.items():
                known += [f"{name}_{mechanism}" for name in values]
                if word in known:
                    return self._unit_of(mechanism, word.removesuffix(f"_{mechanism}"))
        known = list(dict.fromkeys(known))
        hint = nearest(word, known) or f"; there are {', '.join(known[:12])}"
        raise self.rows.context.error(f"these sections have no '{word}'{hint}", *path)

    def _unit_of(self, mechanism: str, name: str) -> str:
        mods = self.components.mods
        header = mods.known.get(mechanism)
        if header is None:
            text = next((text for text in mods.texts.values() if mechanism_of(text) == mechanism), "")
            header = read_header(text)
        return "" if header is None else header.parameters.get(name, "")

    def _made(self, row: int) -> Individual:
        cell = self.cell
        try:
            for members, word, values in self.edits:
                value = float(values[row])
                if not members:
                    cell = replace(cell, **{word: value})  # type: ignore[arg-type]
                elif word in FACTORS:
                    pair = (value, 1.0) if word == FACTORS[0] else (1.0, value)
                    cell = scaled_cell(cell, dict.fromkeys(members, pair))
                elif word == "L" or (word == "diam" and any(cell.sections[i].points is not None for i in members)):
                    cell = self._sized(cell, members, word, value)
                else:
                    sections = list(cell.sections)
                    for number in members:
                        sections[number] = _set(sections[number], word, value)
                    cell = replace(cell, sections=tuple(sections))
        except ModelError as error:
            raise self._error(row, error) from None
        return cell

    def _sized(self, cell: NativeCell, members: list[int], word: str, value: float) -> NativeCell:
        if not value > 0:
            raise NetworkError(f"{word} is {value:g}; it must be more than zero")
        if word == "L":
            return scaled_cell(cell, {i: (value / _length(cell.sections[i]), 1.0) for i in members})
        sections = list(cell.sections)
        for number in members:
            points = sections[number].points
            if points is None:
                sections[number] = replace(sections[number], diam=value)
            else:
                points = np.array(points, float)
                points[:, 3] = value
                sections[number] = replace(sections[number], points=points)
        return replace(cell, sections=tuple(sections))

    def _error(self, row: int, error: ModelError) -> NetworkError:
        return self.rows.context.error(f"cell {row}: {error.message}", *self.rows.path)


def _length(section: NativeSection) -> float:
    if section.points is None:
        return section.L
    return float(np.linalg.norm(np.diff(np.asarray(section.points, float)[:, :3], axis=0), axis=1).sum())


def _set(section: NativeSection, word: str, value: float) -> NativeSection:
    """A section with another number, where it has that."""
    if word in ("Ra", "cm", "diam"):
        return replace(section, **{word: value})  # type: ignore[arg-type]
    for ion, values in section.ions.items():
        for name in (f"e{ion}", f"{ion}i", f"{ion}o"):
            if word == name and name.replace(ion, "") in values:
                return replace(section, ions={**section.ions, ion: {**values, name.replace(ion, ""): value}})
    for mechanism, values in section.mechanisms.items():
        name = word.removesuffix(f"_{mechanism}")
        if word != name and name in values:
            return replace(section, mechanisms={**section.mechanisms, mechanism: {**values, name: value}})
    return section
