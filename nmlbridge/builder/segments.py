"""Places on cells: segments with their path distance, and where synapses are put among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..graph.morphology import Morphology
from ..graph.native import Native, NativeProcess
from ..units import nearest
from .context import Context, Path_, used_names
from .edges import ragged
from .evaluate import Column, Draw
from .select import select_segments
from .vocabulary import Placement

Floats = npt.NDArray[np.float64]
EVENTS = "events"
"""the id of what events go through that reach an artificial cell itself"""
_PIECE = 5.0  # um, within which a density of synapses is constant


@dataclass(frozen=True)
class Sites:
    """Segment ids, fractions along them, and path distances (um) from the root: numbers, or one for each synapse."""

    segment: npt.NDArray[Any]
    fraction: npt.NDArray[Any]
    path_dist: npt.NDArray[Any]


def segment_column(shape: Morphology, name: str) -> Column | None:
    """A set or number for each segment; the group ``soma_group`` may be called ``soma``."""
    if name == "all":
        return Column(np.ones(len(shape.ids), bool))
    mask = np.zeros(len(shape.ids), bool)
    if name not in shape.groups and name not in shape.names and f"{name}_group" in shape.groups:
        name = f"{name}_group"
    if name in shape.groups:
        mask[shape.groups[name].rows] = True
        return Column(mask)
    if name in shape.names:
        mask[[row for row, other in enumerate(shape.names) if other == name]] = True
        return Column(mask)
    return number_at(shape, np.arange(len(shape.ids)), np.full(len(shape.ids), 0.5), name)


def number_at(shape: Morphology, rows: npt.NDArray[np.int64], fraction: Floats, name: str) -> Column | None:
    """A coordinate of places on segments: x, y, z, depth, diam, path_dist (um)."""
    places = ("x", "y", "z", "diam")
    name = "y" if name == "depth" else name
    if name == "path_dist":
        return Column(shape.start[rows] + shape.length[rows] * fraction, None)
    if name not in places:
        return None
    near, far = (ends[rows, places.index(name)] for ends in (shape.proximal, shape.distal))
    return Column(near + fraction * (far - near), None)


def segment_sets(shape: Morphology) -> tuple[str, ...]:
    """The names of groups and segments."""
    return (*shape.groups, *dict.fromkeys(shape.names))


@dataclass(frozen=True)
class NativeShape:
    """The segments of a native cell, and where on its sections each of them lies."""

    shape: Morphology
    names: tuple[str, ...]
    section: npt.NDArray[np.int64]
    begin: Floats
    width: Floats

    def place(self, rows: npt.NDArray[Any], fraction: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Sections, and places along them (NEURON's x), of fractions of segments."""
        return self.section[rows], np.clip(self.begin[rows] + self.width[rows] * fraction, 0.0, 1.0)


class CellParts:
    """The components of the model, and the segments of the cells of each population."""

    def __init__(self, context: Context, components: Mapping[str, Element], cells: Mapping[str, str],
                 native: dict[str, Native], shapes: Mapping[str, NativeShape]) -> None:  # fmt: skip
        self.context, self.components, self.cells, self.native = context, components, cells, native
        self.shapes = shapes
        self._morphologies: dict[str, Morphology | None] = {}
        self._weights: dict[tuple[str, str], tuple[npt.NDArray[np.int64], Floats, Floats, Floats]] = {}

    def process(self, id: str, kind: str) -> bool:
        """Whether this is a process of NEURON's of such a kind (``NativeProcess.kind``)."""
        found = self.native.get(id)
        return isinstance(found, NativeProcess) and found.kind == kind

    def artificial(self, population: str) -> bool:
        """Whether the cells of a population are artificial cells of NEURON's, which events reach without a synapse."""
        return self.process(self.cells[population], "source")

    def check_events(self, population: str, kind: str, path: Path_) -> None:
        """Raises NetworkError for connections that cannot reach artificial cells."""
        if self.context.spec.model.populations[population].spikes is not None:
            raise self.context.error(f"the spikes of '{population}' are given, so nothing can act on it", *path, "to")
        if kind != "chemical":
            raise self.context.error(f"the cells of '{population}' are artificial and have no membrane; only rules of "
                                     "kind chemical reach them", *path, "kind")  # fmt: skip
        if EVENTS in self.components or (not self.process(EVENTS, "port") and EVENTS in self.native):
            raise self.context.error(f"'{EVENTS}' is what events to artificial cells go through; call the component "
                                     "something else", *path)  # fmt: skip
        self.native.setdefault(EVENTS, NativeProcess(EVENTS, "", "port"))

    def need(self, component: str, *path: str | int) -> Element:
        """The component with this id. Raises NetworkError at ``path``."""
        if component in self.native:
            raise self.context.error(f"'{component}' is a mechanism of NEURON's, which serves as a synapse in "
                                     "rules of kind chemical, or as the component of a stimulus", *path)  # fmt: skip
        if component not in self.components:
            known = sorted({*self.components, *self.native})
            hint = nearest(component, known) or f"; there are {', '.join(known) or 'none'}"
            raise self.context.error(f"there is no component '{component}'{hint}", *path)
        return self.components[component]

    def morphology(self, population: str) -> Morphology | None:
        """The segments of a population's cells; None for point cells."""
        id = self.cells[population]
        if id in self.shapes:
            return self.shapes[id].shape
        if self.artificial(population):
            return None
        if id not in self._morphologies:
            element = self.components[id].find("morphology")
            named = self.components[id].get("morphology")
            if element is None and named:
                element = self.components.get(named)
            self._morphologies[id] = Morphology.from_element(element) if element is not None else None
        return self._morphologies[id]

    def select(self, population: str, text: str, path: Path_) -> npt.NDArray[np.int64]:
        """The rows of the selected segments."""
        shape = self.morphology(population)
        if shape is None:
            raise self.context.error(f"the cells of '{population}' are points: they have no segments to choose from",
                                     *path)  # fmt: skip
        return select_segments(self.context, text, len(shape.ids), lambda n: segment_column(shape, n),
                               segment_sets(shape), path)  # fmt: skip

    def sites(self, population: str, place: str | Placement | None, draw: Draw, path: Path_) -> Sites:
        """Places for synapses: at the root, or drawn along the selected membrane."""
        shape = self.morphology(population)
        native = self.shapes.get(self.cells[population])
        if place is None and native is not None:
            middle = native.shape.length[native.section == native.section[0]].sum() / 2
            return Sites(native.section[0], np.asarray(0.5), np.asarray(middle))
        if place is None:
            root = 0 if shape is None else shape.root
            return Sites(np.asarray(root), np.asarray(0.5), np.asarray(0.0 if shape is None else shape.length[0] / 2))
        if isinstance(place, str):
            place = Placement(where=place)
        key = (population, place.model_dump_json())
        if key not in self._weights:
            self._weights[key] = self._pieces(population, place, path)
        rows, begin, width, total = self._weights[key]
        assert shape is not None
        u = draw(1)
        piece = np.minimum(np.searchsorted(total, u * total[-1], side="right"), len(rows) - 1)
        chosen = rows[piece]
        if place.fraction is None:
            # a segment without length is a point
            fraction = np.where(shape.length[chosen] > 0, begin[piece] + width[piece] * draw(2), 0.5)
        else:
            fraction = np.full(len(chosen), place.fraction)
        path_dist = shape.start[chosen] + shape.length[chosen] * fraction
        if native is not None:
            return Sites(*native.place(chosen, fraction), path_dist)
        return Sites(shape.ids[chosen], fraction, path_dist)

    def _pieces(self, population: str, place: Placement, path: Path_) -> tuple[Any, Any, Any, Any]:
        """Pieces of the selected segments (row, where it begins, how long, in fractions), and their running weight."""
        inner: Path_ = (*path, "where") if (*path, "where") in self.context.spec.source.lines else path
        selected = self.select(population, place.where, inner)
        shape = self.morphology(population)
        assert shape is not None
        whole = place.fraction is not None or not used_names(place.density)
        counts = np.ones(len(selected), np.int64) if whole else (shape.length[selected] // _PIECE).astype(np.int64) + 1
        row, number = ragged(counts)
        rows, width = selected[row], 1 / counts[row]
        begin = number * width
        middle = np.full(len(rows), place.fraction) if place.fraction is not None else begin + width / 2

        def column(name: str) -> Column | None:
            found = number_at(shape, rows, middle, name)
            if found is None and (sets := segment_column(shape, name)) is not None:
                found = Column(sets.values[rows], sets.dimension)
            return found

        density = self.context.column(place.density, "", len(rows), column, ("path_dist", "x", "y", "z", "diam"),
                                      (*path, "density"))  # fmt: skip
        length = np.where(shape.length[rows] > 0, shape.length[rows] * width, shape.distal[rows, 3])
        weights = density * length
        if (weights < 0).any() or not weights.sum() > 0:
            raise self.context.error("the density is negative, or zero everywhere", *path, "density")
        return rows, begin, width, np.cumsum(weights)
