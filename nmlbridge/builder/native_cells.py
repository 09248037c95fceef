"""Cells written out with NEURON's own mechanisms: NativeCells, with a value for each compartment.

A formula along the cell is evaluated at the middle of each compartment, which is where NEURON has its nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph.morphology import Morphology
from ..graph.native import NativeCell, NativeSection
from .cells import Common, Scale, WrittenCell
from .context import Context, Path_
from .evaluate import Column
from .mods import Mods
from .segments import NativeShape, number_at, segment_column, segment_sets
from .select import select_segments
from .vocabulary import Biophysics, Ion, NeuronMechanism, SectionCell, SwcCell

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_ALONG = ("path_dist", "x", "y", "z", "depth", "diam")
_UNITS = {"e": "mV", "i": "mM", "o": "mM"}


def is_native(item: SectionCell | SwcCell) -> bool:
    """Whether a cell that is written out has mechanisms of NEURON, or ions."""
    membrane = item.biophysics
    return bool(membrane.ions) or any(isinstance(m, NeuronMechanism) for m in membrane.mechanisms.values())


def native_cell(
    context: Context, name: str, item: SectionCell | SwcCell, path: Path_, mods: Mods, common: Common | None = None,
    scales: Sequence[Scale] = (),
) -> tuple[NativeCell, NativeShape]:
    """The cell, and its segments for choosing places.

    Raises NetworkError for a topology, a geometry, a word or a number that cannot be.
    """
    _, shape = WrittenCell(context, name, item.biophysics, path, native=True, common=common, scales=scales).shaped(item)
    return _Membrane(context, item.biophysics, shape, (*path, "biophysics"), mods).cell(name, path)


@dataclass
class _Cable:
    """One section to be: its rows of the morphology, in order, and its number of compartments."""

    name: str
    rows: Ints
    count: int


class _Membrane:
    def __init__(self, context: Context, biophysics: Biophysics, shape: Morphology, path: Path_, mods: Mods) -> None:
        self.context, self.biophysics, self.shape, self.path, self.mods = context, biophysics, shape, path, mods
        cables = [_Cable(g.id, g.rows, g.divisions) for g in shape.groups.values() if g.is_cable]
        self.cables = sorted(cables, key=lambda cable: int(cable.rows[0]))  # parents stand before their children
        section, begin, width = np.zeros(len(shape.ids), np.int64), np.zeros(len(shape.ids)), np.ones(len(shape.ids))
        rows, fractions = [], []
        for number, cable in enumerate(self.cables):
            length = shape.length[cable.rows]
            if not length.sum() > 0:
                length = np.ones(1)
            ends = np.cumsum(length) / length.sum()
            section[cable.rows], width[cable.rows] = number, length / length.sum()
            begin[cable.rows] = ends - width[cable.rows]
            middle = (np.arange(cable.count) + 0.5) / cable.count
            index = np.minimum(np.searchsorted(ends, middle), len(ends) - 1)
            rows.append(cable.rows[index])
            fractions.append((middle - begin[rows[-1]]) / np.where(width[rows[-1]] > 0, width[rows[-1]], 1.0))
        self.native = NativeShape(shape, tuple(c.name for c in self.cables), section, begin, width)
        self.rows, self.fractions = np.concatenate(rows), np.concatenate(fractions)
        self.counts = np.array([cable.count for cable in self.cables])
        self.of = np.repeat(np.arange(len(self.cables)), self.counts)

    def column(self, name: str) -> Column | None:
        """A set, or a number at the middle, of each compartment."""
        if name in _ALONG:
            return number_at(self.shape, self.rows, self.fractions, name)
        found = segment_column(self.shape, name)
        return None if found is None else Column(found.values[self.rows], found.dimension)

    def values(self, value: float | str, unit: str, path: Path_) -> Floats:
        known = (*_ALONG, *segment_sets(self.shape))
        found = self.context.column(value, unit, len(self.rows), self.column, known, path)
        return np.broadcast_to(found, len(self.rows)).astype(float)

    def select(self, text: str, path: Path_) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(len(self.rows), bool)
        chosen[select_segments(self.context, text, len(self.rows), self.column, segment_sets(self.shape), path)] = True
        return chosen

    def sections(self, text: str, path: Path_) -> list[int]:
        """Whole sections that a selection takes."""
        taken = np.bincount(self.of, self.select(text, path), len(self.cables)).astype(int)
        part = np.flatnonzero((taken > 0) & (taken < self.counts))
        if len(part):
            name = self.cables[part[0]].name
            raise self.context.error(
                f"'{text}' takes {taken[part[0]]} of {self.counts[part[0]]} compartments of section '{name}', but "
                "NEURON has mechanisms and ions in whole sections; choose sections, and let a parameter vary, such as "
                f"if({text}, 0.1, 0)", *path)  # fmt: skip
        return [int(number) for number in np.flatnonzero(taken)]

    def cell(self, name: str, path: Path_) -> tuple[NativeCell, NativeShape]:
        mechanisms, ions = self._mechanisms(), self._ions()
        capacitance = self._capacitance()
        threshold, rest, ra = (self.context.number(getattr(self.biophysics, word), unit, *self.path, word)
                               for word, unit in (("threshold", "mV"), ("v_init", "mV"),
                                                  ("resistivity", "ohm_cm")))  # fmt: skip
        if not ra > 0:
            raise self.context.error(f"it is {ra:g} ohm cm; it must be more than zero", *self.path, "resistivity")
        made = []
        for number, cable in enumerate(self.cables):
            first = int(cable.rows[0])
            above = int(self.shape.parent[first])
            parent, parent_x = -1, 1.0
            if above >= 0:
                sections, places = self.native.place(np.array([above]), self.shape.fraction[[first]])
                parent, parent_x = int(sections[0]), round(float(places[0]), 12)
            made.append(NativeSection(
                cable.name, parent, parent_x, points=self._points(cable), nseg=cable.count, Ra=ra,
                cm=_plain(capacitance[self.of == number]), mechanisms=mechanisms[number], ions=ions[number],
            ))  # fmt: skip
        source = self.context.spec.source
        lists = {
            group.id: tuple(sorted({int(s) for s in self.native.section[group.rows]}))
            for group in self.shape.groups.values() if not group.is_cable and len(group.rows)
        }  # fmt: skip
        root = int(self.native.section[0])
        cell = NativeCell(name, tuple(made), lists, spike_section=root, threshold=threshold, v_init=rest,
                          file=source.file, line=source.line(path))  # fmt: skip
        return cell, self.native

    def _points(self, cable: _Cable) -> Floats:
        """Points (n, 4) of a section; a sphere is a cylinder of its diameter, along y."""
        near, far = self.shape.proximal[cable.rows], self.shape.distal[cable.rows]
        points = np.concatenate([near[:1], far])
        if not self.shape.length[cable.rows].sum() > 0:
            half = np.array([0.0, far[0, 3] / 2, 0.0, 0.0])
            points = np.stack([far[0] - half, far[0] + half])
        return points

    def _mechanisms(self) -> list[dict[str, dict[str, Any]]]:
        found: list[dict[str, dict[str, Any]]] = [{} for _ in self.cables]
        for label, item in self.biophysics.mechanisms.items():
            path = (*self.path, "mechanisms", label)
            if not isinstance(item, NeuronMechanism):
                raise self.context.error(
                    f"'{label}' is a LEMS channel, but the cell has mechanisms or ions of NEURON; a cell has one kind: "
                    "write them all as {neuron: ...}, or all as {channel: ...}", *path)  # fmt: skip
            header = self.mods.header(item.neuron, ("SUFFIX",), *path, "neuron")
            columns = {}
            for word, value in (item.model_extra or {}).items():
                unit = self.mods.parameter(header, word, *path, word)
                columns[word] = self.values(value, unit, (*path, word))
            for number in self.sections(item.where, (*path, "where")):
                if item.neuron in found[number]:
                    raise self.context.error(f"section '{self.cables[number].name}' has '{item.neuron}' already",
                                             *path, "where")  # fmt: skip
                here = self.of == number
                found[number][item.neuron] = {word: _plain(column[here]) for word, column in columns.items()}
        return found

    def _ions(self) -> list[dict[str, dict[str, Any]]]:
        found: list[dict[str, dict[str, Any]]] = [{} for _ in self.cables]
        for name, given in self.biophysics.ions.items():
            many = isinstance(given, list)
            items: list[Ion] = given if isinstance(given, list) else [given]
            for index, item in enumerate(items):
                path = (*self.path, "ions", name, *((index,) if many else ()))
                columns = {word: self.values(value, unit, (*path, word)) for word, unit in _UNITS.items()
                           if (value := getattr(item, word)) is not None}  # fmt: skip
                for word in ("i", "o"):
                    if word in columns and (columns[word] < 0).any():
                        raise self.context.error("a concentration is negative", *path, word)
                for number in self.sections(item.where, (*path, "where")):
                    here = self.of == number
                    found[number][name] = {word: _plain(column[here]) for word, column in columns.items()}
        return found

    def _capacitance(self) -> Floats:
        given, path = self.biophysics.capacitance, (*self.path, "capacitance")
        if not isinstance(given, list):
            return self.values(given, "uF_per_cm2", path)
        found = np.ones(len(self.rows))
        for index, item in enumerate(given):
            chosen = self.select(item.where, (*path, index, "where"))
            found[chosen] = self.values(item.value, "uF_per_cm2", (*path, index, "value"))[chosen]
        return found


def _plain(values: Floats) -> Any:
    """One number if all are the same, else a tuple."""
    return float(values[0]) if (values == values[0]).all() else tuple(values.tolist())
