"""Cells with sections that differ within a population: each is made when it is asked for, from numbers of its own.

In a cell that is written out, what differs is a parameter that its formulas use, or any number in it, named by its
place (``sections.dend.diameter``). All cells get the compartments of the one that needs most, and are divided in the
same places.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..element import Element
from ..errors import LemsError, ModelError, NetworkError
from ..graph.native import NativeCell
from ..graph.population import Individual
from ..lems.library import same
from ..units import NONE, nearest
from .cells import Common, Scale, WrittenCell, cell_element
from .components import Components
from .context import Context, Path_, used_names
from .edited import EditedElements, EditedSections, Made, carriers, factor
from .evaluate import MIXED, Column
from .native_cells import is_native, native_cell
from .scaled import FACTORS
from .segments import NativeShape
from .varied import Rows
from .vocabulary import Component, SectionCell, SwcCell


def individuals(rows: Rows, components: Components) -> tuple[str, Sequence[Individual]] | None:
    """What the cells of a population are, and the component that stands for all of them; None if they do not differ.

    Raises NetworkError for names that are nowhere in the cell, and for numbers that cannot be.
    """
    population = rows.context.spec.model.populations[rows.population]
    kind = str(population.cell)
    if not population.vary or not components.has_sections(components.cells[kind]):
        return None
    item = rows.context.spec.model.cells.get(kind)
    if isinstance(item, (SectionCell, SwcCell)):
        written = WrittenCells(rows, components, kind, item)
        return written.component, written
    id = components.cells[kind]
    native = components.native.get(id)
    if isinstance(native, NativeCell):
        return id, EditedSections(rows, components, native)
    return id, EditedElements(rows, components, id, population.vary)


class WrittenCells(Made):
    """The cells of one population of a kind that is written out. ``component`` is the id of what stands for all."""

    def __init__(self, rows: Rows, components: Components, kind: str, item: SectionCell | SwcCell) -> None:
        self.rows, self.components, self.kind, self.context = rows, components, kind, rows.context
        self.usual, self.usual_context = item, rows.context
        self.native = is_native(item)
        self.channels: dict[str, float | str] = {}
        self.scales: list[Scale] = []
        self.item, self.columns = self._stated(item)
        self.edited = EditedElements(rows, components, components.cells[kind], self.channels) if self.channels else None
        self.affected = self._affected()
        leading = carriers(components, components.cells[kind], self.affected) if self.affected else []
        self.carriers = [name for name in leading if name not in self.affected]
        if both := {*(self.edited.changed[1:] if self.edited else ())} & {*self.affected, *self.carriers}:
            raise self.context.error(f"'{min(both)}' differs by a parameter and by its places; choose one", *rows.path)
        self.common = Common()
        self._gather()
        self.component = self._standing()

    def _made(self, row: int) -> Individual:
        return self._of(self._context(row), self.component, self.item, row)[0]

    # what differs --------------------------------------------------------------------------------------------------

    def _stated(self, item: SectionCell | SwcCell) -> tuple[SectionCell | SwcCell, dict[str, Column]]:
        """The cell with names in place of the numbers that differ, and the numbers of each name."""
        context, model = self.context, self.context.spec.model
        data, columns = item.model_dump(by_alias=True, exclude_unset=True), {}
        for number, (name, value) in enumerate(model.populations[self.rows.population].vary.items()):
            path = (*self.rows.path, name)
            found = self.rows.value(name, value)
            where, _, word = name.rpartition(".")
            if name in model.parameters:
                columns[name] = self._fitting(found, context.parameters[name], path)
                continue
            first = name.partition(".")[0]
            if not self.native and first != name and first not in data and first in self.components.by_id:
                self.channels[name] = value
                continue
            alias = f"{self.rows.population}_vary{number}"
            while alias in model.parameters:
                alias += "_"
            if word in FACTORS:
                columns[alias] = factor(self.rows, found, path)
                self.scales.append((where, FACTORS.index(word), alias))
                continue
            stated = self._put(data, name, alias, path)
            columns[alias] = found
            try:
                item = type(item).model_validate(data)
                if not stated:  # the kind itself leaves it to NEURON; what stands for all has that of the first cell
                    usual = self.usual.model_dump(by_alias=True, exclude_unset=True)
                    self._put(usual, name, alias, path)
                    self.usual = type(item).model_validate(usual)
                    one = {alias: Column(np.asarray(found.values[0]), found.dimension)} if self.rows.size else {}
                    self.usual_context = replace(context, parameters={**self.usual_context.parameters, **one})
            except ValidationError as fault:
                raise context.error(f"'{name}' cannot differ: {fault.errors()[0]['msg']}", *path) from None
        return item, columns

    def _fitting(self, column: Column, usual: Column, path: Path_) -> Column:
        """Numbers that stand for a parameter, with its dimension. Raises NetworkError if they have another one."""
        plain = {None, NONE}
        if column.dimension not in (usual.dimension, MIXED) and not {column.dimension, usual.dimension} <= plain:
            raise self.context.error(f"its dimension is {column.dimension}, but that of the parameter is "
                                     f"{usual.dimension}; give its numbers such units", *path)  # fmt: skip
        return Column(column.values, usual.dimension)

    def _put(self, data: dict[str, Any], name: str, alias: str, path: Path_) -> bool:
        """Set the value at a place in the words of the cell, and tell whether it was stated. Raises NetworkError if
        there is no such place."""
        at: Any = data
        steps = name.split(".")
        for number, step in enumerate(steps):
            key: Any = int(step) if isinstance(at, list) and step.isdigit() else step
            last = number == len(steps) - 1
            there = key in at if isinstance(at, Mapping) else isinstance(at, list) and key in range(len(at))
            if not there and not (last and number and isinstance(at, Mapping)):
                known = list(at) if isinstance(at, Mapping) else []
                known += list(self.context.spec.model.parameters) if not number else []
                hint = nearest(step, known) or f"; there are {', '.join(map(str, known)) or 'none'}"
                raise self.context.error(
                    f"there is no '{step}'{f' in {steps[number - 1]}' if number else ''}{hint}; expected a parameter, "
                    f"or a place in the cell '{self.kind}', such as biophysics.v_init", *path)  # fmt: skip
            if last:
                at[key] = alias
                return there
            at = at[key]
        return False

    def _affected(self) -> list[str]:
        """The components whose numbers differ with the parameters. Raises NetworkError for a parameter without use."""
        model, moved = self.context.spec.model, self._dependents(set(self.columns))
        used = self._names(self.item.model_dump())
        found = []
        for name, item in model.components.items():
            if isinstance(item, Component) and not self.native:
                names = self._names(item.model_extra or {})
                if names & moved:
                    used |= names
                    found.append(name)
        for name in self.columns:
            if name in model.parameters and not self._dependents({name}) & used:
                raise self.context.error(f"the parameter '{name}' stands nowhere in the cell '{self.kind}', so nothing "
                                         "would differ", *self.rows.path, name)  # fmt: skip
        return found

    def _dependents(self, names: set[str]) -> set[str]:
        """These parameters, and all that are reckoned with them."""
        uses = {name: used_names(value) for name, value in self.context.spec.model.parameters.items()}
        found = set(names)
        while more := {name for name, used in uses.items() if used & found} - found:
            found |= more
        return found

    def _names(self, value: Any) -> set[str]:
        """The names in all texts of plain values that are formulas."""
        if isinstance(value, Mapping):
            return set().union(*map(self._names, value.values()))
        if isinstance(value, (list, tuple)):
            return set().union(*map(self._names, value))
        if not isinstance(value, str):
            return set()
        try:
            return used_names(value)
        except LemsError:
            return set()

    # cells ---------------------------------------------------------------------------------------------------------

    def _context(self, row: int) -> Context:
        """The specification with the numbers of one cell."""
        own = {name: Column(np.asarray(column.values[row]), column.dimension) for name, column in self.columns.items()}
        moved = self._dependents(set(own))
        kept = {name: column for name, column in self.context.parameters.items() if name not in moved}
        context = replace(self.context, parameters={**kept, **own})
        try:
            context.complete()
        except ModelError as error:
            raise self._error(row, error) from None
        return context

    def _of(
        self, context: Context, id: str, item: SectionCell | SwcCell, row: int | None = None
    ) -> tuple[Individual, NativeShape | None]:
        """The cell with the numbers of a context, and the segments of a native one; without ``row`` what stands for
        all."""
        scales = self.scales if row is not None else []
        path: Path_ = ("cells", self.kind)
        if self.native:
            return native_cell(context, id, item, path, self.components.mods, self.common, scales)
        mine = copy.copy(self.components)
        mine.context = context
        others = []
        for name in self.affected:
            part = context.spec.model.components[name]
            assert isinstance(part, Component)
            others.append(mine.element(name, part.type, part.model_extra or {}, ("components", name)))
        others += [self.components.by_id[name] for name in self.carriers]
        others += () if self.edited is None or row is None else self.edited[row][1:]
        return (cell_element(context, id, item, path, self.common, scales), *others), None

    def _gather(self) -> None:
        """See how all cells are to be divided: what stands for them, and each of them."""
        path: Path_ = ("cells", self.kind)
        contexts = [self.usual_context, *map(self._context, range(len(self)))]
        for counting in (True, False):
            for row, context in enumerate(contexts, -1):
                item, scales = (self.usual, []) if row < 0 else (self.item, self.scales)
                try:
                    if counting:
                        WrittenCell(context, self.kind, item.biophysics, path, self.native, self.common, scales
                                    ).shaped(item)  # fmt: skip
                    else:
                        self._of(context, self.kind, item, None if row < 0 else row)
                except ModelError as error:
                    raise error if row < 0 else self._error(row, error) from None
            self.common.counted = True
        self.common.fixed = True

    def _standing(self) -> str:
        """The id of the cell of the kind's own numbers, divided as all are: a component of its own if need be."""
        components, id = self.components, self.components.cells[self.kind]
        made, shape = self._of(self.usual_context, id, self.usual)
        before = components.native.get(id, components.by_id.get(id))
        if isinstance(made, NativeCell):
            if isinstance(before, NativeCell) and made.same_as(before):
                return id
        elif isinstance(before, Element) and same(made[0], before):
            return id
        taken = {*components.by_id, *components.native}
        id = f"{self.kind}_of_{self.rows.population}"
        while id in taken:
            id += "_"
        made, shape = self._of(self.usual_context, id, self.usual)
        if isinstance(made, NativeCell):
            assert shape is not None
            components.native[id], components.shapes[id] = made, shape
        else:
            components.add(made[0], self.rows.path)
        return id

    def _error(self, row: int, error: ModelError) -> NetworkError:
        return self.context.error(f"cell {row}: {error.component or self.kind}: {error.message}", *self.rows.path)
