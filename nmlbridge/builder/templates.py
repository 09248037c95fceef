"""Cells of templates: hoc or Python builds one in NEURON, and what it is made of is taken over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ModelError
from ..graph import InputList, Network
from ..graph.morphology import Morphology
from ..graph.native import NativeCell, NativePoint, NativeSection
from ..registry import resolve_name
from ..report import Report
from .context import Context, Path_
from .listed import file_of
from .mods import Mods
from .segments import NativeShape
from .vocabulary import TemplateCell


def template_cell(
    context: Context, name: str, item: TemplateCell, path: Path_, mods: Mods, allow: Collection[str], report: Report
) -> tuple[NativeCell, NativeShape, float]:
    """The cell, its segments for choosing places, and the temperature (degC) that its code has set.

    Raises UsageError if code is not allowed, NetworkError for code that fails or does not build one cell.
    """
    file = file_of(context.spec, item.file, *path, "file")
    read = resolve_name("nmlbridge.simulator.neuron.importer:read")
    try:
        found: Network = read(file, report, allow, template=item.template, arguments=item.arguments,
                              mods=mods.stated or None)  # fmt: skip
    except ModelError as error:
        raise context.error(f"'{item.file}': {error.message}", *path) from None
    cells = [part for part in found.native.values() if isinstance(part, NativeCell)]
    if len(cells) != 1 or sum(population.size for population in found.populations.values()) != 1:
        raise context.error(f"'{item.template}' makes {sum(p.size for p in found.populations.values())} cells, as its "
                            "sections are not joined to one; expected one cell", *path, "template")  # fmt: skip
    own = mods.add(found.mods, *path, "file")
    points = [*cells[0].points, *(point for inputs in found.inputs for point in _points(found, inputs))]
    cell = replace(
        cells[0], id=name, sections=tuple(_renamed(section, own) for section in cells[0].sections),
        points=tuple(replace(p, mechanism=own.get(p.mechanism, p.mechanism)) for p in points), moved=False,
        file=context.spec.source.file, line=context.spec.source.line(path),
        v_init=context.number(item.v_init, "mV", *path, "v_init"),
        threshold=context.number(item.threshold, "mV", *path, "threshold"),
    )  # fmt: skip
    assert found.temperature is not None
    return cell, shape_of(cell), found.temperature - 273.15


def _renamed(section: NativeSection, own: Mapping[str, str]) -> NativeSection:
    """A section with mechanisms under other names."""
    return replace(section, mechanisms={own.get(name, name): values for name, values in section.mechanisms.items()})


def _points(found: Network, inputs: InputList) -> list[NativePoint]:
    """Point processes of the template, as parts of each cell."""
    process: Any = found.native[inputs.component]
    return [
        NativePoint(process.mechanism, int(inputs.segment[row]), float(inputs.fraction[row]),
                    {**process.parameters, **{n: float(column[row]) for n, column in inputs.values.items()}})
        for row in range(len(inputs.target))
    ]  # fmt: skip


def shape_of(cell: NativeCell) -> NativeShape:
    """The segments of a cell that is written out as sections."""
    drawn = resolve_name("nmlbridge.converters.native.shape:Shape")(cell, (), Report())
    shape = Morphology.from_element(drawn.morphology())
    section, begin, width = np.zeros(len(shape.ids), np.int64), np.zeros(len(shape.ids)), np.ones(len(shape.ids))
    for number, piece in drawn.pieces.items():
        for place in range(len(piece.edges) - 1):
            row = shape.row_by_id[drawn.segment(piece.first + place)]
            section[row], begin[row] = number, piece.edges[place]
            width[row] = piece.edges[place + 1] - piece.edges[place]
            if piece.reversed:  # its segments run from its end 1
                begin[row], width[row] = 1.0 - begin[row], -width[row]
    return NativeShape(shape, tuple(s.name for s in cell.sections), section, begin, width)
