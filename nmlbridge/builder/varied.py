"""Parameters that differ from cell to cell within a population."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import LemsError
from ..graph.native import NativeProcess
from ..units import NONE, Dimension, nearest
from .components import Components
from .context import Context, Path_
from .evaluate import MIXED, Column, Evaluator, coherent
from .language import parse
from .space import AXES, Cells, Space

Floats = npt.NDArray[np.float64]
_NAMES = (*AXES, "depth", "xnorm", "ynorm", "znorm", "index")


def varied(context: Context, space: Space, components: Components, population: str, cells: Cells) -> dict[str, Floats]:
    """A number for each cell of the population, by parameter: SI for LEMS components, in NEURON's units for others.

    Random numbers are functions of the cell, the parameter and the seed. Raises NetworkError for cells with sections,
    for names that are no parameters, and for formulas of another dimension.
    """
    said = context.spec.model.populations[population]
    if not said.vary:
        return {}
    path: Path_ = ("populations", population, "vary")
    id = components.cells[str(said.cell)]
    number = cells.names.index(population)
    rows = np.arange(cells.offsets[number], cells.offsets[number + 1])

    def column(name: str) -> Column | None:
        if name == "index":
            return Column(np.arange(len(rows)), None)
        return context.named(name) or space.point(name, cells.positions[rows])

    found = {}
    for name, value in said.vary.items():
        wanted = _kind(components, id, name, (*path, name))
        draw = context.draws(context.key("vary", population, name), cells.keys[rows])
        if isinstance(wanted, str):
            values = context.column(value, wanted, len(rows), column, _NAMES, (*path, name), draw)
        else:
            evaluator = Evaluator(column, lambda: (*_NAMES, *context.parameters), len(rows), draw, context.tables)
            try:
                result = evaluator.value(parse(str(value)))
            except LemsError as error:
                raise context.error(error.message, *path, name) from None
            if result.dimension not in (wanted, MIXED) and not (wanted == NONE and result.dimension is None):
                told = components.library.dimension_name(wanted)
                raise context.error(f"it is no {told}; give its numbers units, as in normal(20 mV, 2 mV)", *path,
                                    name)  # fmt: skip
            values = result.values * coherent(wanted)
        if not np.isfinite(values).all():
            raise context.error(f"'{value}' gives numbers that are not finite", *path, name)
        found[name] = np.broadcast_to(np.asarray(values, float), len(rows))
    return found


def _kind(components: Components, id: str, name: str, path: Path_) -> Dimension | str:
    """The dimension of a LEMS parameter, or the unit of one of NEURON's."""
    context, native = components.context, components.native.get(id)
    if isinstance(native, NativeProcess) and native.kind == "source" and native.mechanism in components.mods.known:
        return components.mods.parameter(components.mods.known[native.mechanism], name, *path)
    element = components.by_id.get(id)
    if element is None or element.find("morphology") is not None or element.get("morphology"):
        raise context.error("only parameters of point cells and sources differ from cell to cell; make several kinds "
                            "of cells with sections, and give the population their shares", *path)  # fmt: skip
    kind = components.library.type(element.get("type") or element.tag)
    if name not in kind.parameters:
        hint = nearest(name, kind.parameters) or f"; there are {', '.join(kind.parameters)}"
        raise context.error(f"a {kind.name} has no parameter '{name}'{hint}", *path)
    return components.library.dimension(kind.parameters[name].dimension)
