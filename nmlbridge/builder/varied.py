"""Parameters that differ from cell to cell within a population."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import LemsError
from ..graph.native import NativeProcess
from ..units import NONE, Dimension, nearest
from .components import Components
from .context import Context, Path_
from .evaluate import MIXED, Column, Draw, Evaluator, coherent
from .language import parse
from .space import AXES, Cells, Space

Floats = npt.NDArray[np.float64]
_NAMES = (*AXES, "depth", "xnorm", "ynorm", "znorm", "index")


class Rows:
    """The cells of one population, for formulas of their places and random numbers of their own."""

    def __init__(self, context: Context, space: Space, population: str, cells: Cells) -> None:
        self.context, self.space, self.population = context, space, population
        number = cells.names.index(population)
        rows = np.arange(cells.offsets[number], cells.offsets[number + 1])
        self.size, self.positions, self.keys = len(rows), cells.positions[rows], cells.keys[rows]
        self.path: Path_ = ("populations", population, "vary")

    def column(self, name: str) -> Column | None:
        """A parameter, or a number of geometry for each cell."""
        if name == "index":
            return Column(np.arange(self.size), None)
        return self.context.named(name) or self.space.point(name, self.positions)

    def draw(self, name: str) -> Draw:
        """The random numbers of one thing that differs: functions of the cell, the name and the seed."""
        return self.context.draws(self.context.key("vary", self.population, name), self.keys)

    def value(self, name: str, value: float | str) -> Column:
        """What a formula gives for each cell. Raises NetworkError for one that has no meaning or is not finite."""
        context, known = self.context, (*_NAMES, *self.context.parameters)
        evaluator = Evaluator(self.column, lambda: known, self.size, self.draw(name), context.tables)
        try:
            found = evaluator.value(parse(str(value)))
        except LemsError as error:
            raise context.error(error.message, *self.path, name) from None
        values = np.broadcast_to(np.asarray(found.values, float), self.size)
        if not np.isfinite(values).all():
            raise context.error(f"'{value}' gives numbers that are not finite", *self.path, name)
        return Column(values, found.dimension)


def varied(rows: Rows, components: Components) -> dict[str, Floats]:
    """A number for each cell of a population of point cells or sources, by parameter: SI for LEMS components, in
    NEURON's units for others; nothing for cells with sections.

    Raises NetworkError for names that are no parameters, and for formulas of another dimension.
    """
    context = rows.context
    said = context.spec.model.populations[rows.population]
    found: dict[str, Floats] = {}
    if not said.vary or components.has_sections(components.cells[str(said.cell)]):
        return found
    id = components.cells[str(said.cell)]
    for name, value in said.vary.items():
        path = (*rows.path, name)
        wanted = _kind(components, id, name, path)
        if isinstance(wanted, str):
            values = context.column(value, wanted, rows.size, rows.column, _NAMES, path, rows.draw(name))
        else:
            result = rows.value(name, value)
            if result.dimension not in (wanted, MIXED) and not (wanted == NONE and result.dimension is None):
                told = components.library.dimension_name(wanted)
                raise context.error(f"it is no {told}; give its numbers units, as in normal(20 mV, 2 mV)", *path)
            values = result.values * coherent(wanted)
        found[name] = np.broadcast_to(np.asarray(values, float), rows.size)
    return found


def _kind(components: Components, id: str, name: str, path: Path_) -> Dimension | str:
    """The dimension of a LEMS parameter, or the unit of one of NEURON's."""
    context, native = components.context, components.native.get(id)
    if isinstance(native, NativeProcess) and native.kind == "source" and native.mechanism in components.mods.known:
        return components.mods.parameter(components.mods.known[native.mechanism], name, *path)
    element = components.by_id.get(id)
    if element is None:
        raise context.error(f"the parameters of '{id}' cannot differ from cell to cell", *path)
    kind = components.library.type(element.get("type") or element.tag)
    if name not in kind.parameters:
        hint = nearest(name, kind.parameters) or f"; there are {', '.join(kind.parameters)}"
        raise context.error(f"a {kind.name} has no parameter '{name}'{hint}", *path)
    return components.library.dimension(kind.parameters[name].dimension)
