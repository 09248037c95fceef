"""Places on cells: segments with their path distance, and where synapses are put among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..graph.morphology import Morphology
from ..units import nearest
from .context import Context, Path_
from .evaluate import Column, Draw
from .select import select_segments
from .vocabulary import Placement

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sites:
    """Segment ids, fractions along them, and path distances (um) from the root: numbers, or one for each synapse."""

    segment: npt.NDArray[Any]
    fraction: npt.NDArray[Any]
    path_dist: npt.NDArray[Any]


class CellParts:
    """The components of the model, and the segments of the cells of each population."""

    def __init__(self, context: Context, components: Mapping[str, Element], cells: Mapping[str, str]) -> None:
        self.context, self.components, self.cells = context, components, cells
        self._morphologies: dict[str, Morphology | None] = {}
        self._weights: dict[tuple[str, str], tuple[npt.NDArray[np.int64], Floats]] = {}

    def need(self, component: str, *path: str | int) -> Element:
        """The component with this id. Raises NetworkError at ``path``."""
        if component not in self.components:
            hint = nearest(component, self.components) or f"; there are {', '.join(sorted(self.components)) or 'none'}"
            raise self.context.error(f"there is no component '{component}'{hint}", *path)
        return self.components[component]

    def morphology(self, population: str) -> Morphology | None:
        """The segments of a population's cells; None for point cells."""
        id = self.cells[population]
        if id not in self._morphologies:
            element = self.components[id].find("morphology")
            named = self.components[id].get("morphology")
            if element is None and named:
                element = self.components.get(named)
            self._morphologies[id] = Morphology.from_element(element) if element is not None else None
        return self._morphologies[id]

    def segment_column(self, shape: Morphology, name: str) -> Column | None:
        """A set or number for each segment."""
        if name == "all":
            return Column(np.ones(len(shape.ids), bool))
        if name in shape.groups or name in shape.names:
            mask = np.zeros(len(shape.ids), bool)
            if name in shape.groups:
                mask[shape.groups[name].rows] = True
            else:
                mask[[row for row, other in enumerate(shape.names) if other == name]] = True
            return Column(mask)
        middle = (shape.proximal + shape.distal) / 2
        numbers: dict[str, Floats] = {"x": middle[:, 0], "y": middle[:, 1], "z": middle[:, 2], "depth": middle[:, 1],
                                      "diam": middle[:, 3], "path_dist": shape.start + shape.length / 2}  # fmt: skip
        return Column(numbers[name], None) if name in numbers else None

    def sets(self, shape: Morphology) -> tuple[str, ...]:
        """The names of groups and segments."""
        return (*shape.groups, *dict.fromkeys(shape.names))

    def select(self, population: str, text: str, path: Path_) -> npt.NDArray[np.int64]:
        """The rows of the selected segments."""
        shape = self.morphology(population)
        if shape is None:
            raise self.context.error(f"the cells of '{population}' are points: they have no segments to choose from",
                                     *path)  # fmt: skip
        return select_segments(self.context, text, len(shape.ids), lambda n: self.segment_column(shape, n),
                               self.sets(shape), path)  # fmt: skip

    def sites(self, population: str, place: str | Placement | None, draw: Draw, path: Path_) -> Sites:
        """Places for synapses: at the root, or drawn along the selected membrane."""
        shape = self.morphology(population)
        if place is None:
            root = 0 if shape is None else shape.root
            return Sites(np.asarray(root), np.asarray(0.5), np.asarray(0.0 if shape is None else shape.length[0] / 2))
        if isinstance(place, str):
            place = Placement(where=place)
        key = (population, place.model_dump_json())
        if key not in self._weights:
            self._weights[key] = self._cumulative(population, place, path)
        rows, total = self._weights[key]
        assert shape is not None
        u = draw(1)
        chosen = rows[np.minimum(np.searchsorted(total, u * total[-1], side="right"), len(rows) - 1)]
        fraction = draw(2) if place.fraction is None else np.asarray(place.fraction)
        if place.fraction is None:
            # a single segment without length is a point
            fraction = np.where(shape.length[chosen] > 0, fraction, 0.5)
        return Sites(shape.ids[chosen], fraction, shape.start[chosen] + shape.length[chosen] * fraction)

    def _cumulative(self, population: str, place: Placement, path: Path_) -> tuple[Any, Any]:
        inner: Path_ = (*path, "where") if path in self.context.spec.source.lines else path
        rows = self.select(population, place.where, inner)
        shape = self.morphology(population)
        assert shape is not None
        density = np.broadcast_to(self.context.column(
            place.density, "", len(shape.ids), lambda n: self.segment_column(shape, n), ("path_dist", "x", "y", "z",
            "diam"), (*path, "density")), len(shape.ids))[rows]  # fmt: skip
        length = np.where(shape.length[rows] > 0, shape.length[rows], shape.distal[rows, 3])
        weights = density * length
        if (weights < 0).any() or not weights.sum() > 0:
            raise self.context.error("the density is negative, or zero everywhere", *path, "density")
        return rows, np.cumsum(weights)
