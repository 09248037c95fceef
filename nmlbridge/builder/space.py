"""Space: regions, and where cells are put. Positions in um."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError, LemsError
from ..graph.population import fit_in_memory
from .context import Context, Path_, used_names
from .evaluate import Column, Evaluator, truth
from .language import parse
from .listed import file_of
from .mesh import surface
from .randomness import uniforms
from .vocabulary import Grid, Population, Region

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
AXES = ("x", "y", "z")
_PROBES = 200_000  # points by which the volume of a mask or the integral of a density is estimated
_TRIES = 10_000
_PIECE = 1_000_000


@dataclass(frozen=True)
class Shape:
    """A region: the corners of its box, and a test of what lies inside."""

    low: Floats
    high: Floats
    inside: Callable[[Floats], Bools]
    exact: float | None
    """its volume in um3, if no mask cuts it"""


class Space:
    """The regions of a specification."""

    def __init__(self, context: Context) -> None:
        self.context, self.cells = context, 0.0
        self.whole = self.shape(context.spec.model.space, ("space",), None)
        self.shapes: dict[str, Shape] = {}
        for name, region in context.spec.model.regions.items():
            self.shapes[name] = self.shape(region, ("regions", name), self.whole)

    def shape(self, region: Region, path: Path_, around: Shape | None) -> Shape:
        """The Shape of a region. Raises NetworkError for a range that is empty or has no numbers."""
        mask = partial(self._mask, region.where, (*path, "where")) if region.where else None
        if region.file is not None:
            low, high, inside, volume = self._surface(region.file, region.scale, path)
            if mask is None:
                return Shape(low, high, inside, volume)
            return Shape(low, high, lambda points: np.asarray(inside(points) & mask(points)), None)
        low, high = np.zeros(3), np.zeros(3)
        for axis, name in enumerate(AXES):
            given = getattr(region, name)
            if given is None:
                low[axis], high[axis] = (around.low[axis], around.high[axis]) if around else (0.0, 0.0)
                continue
            ends = [self.context.number(end, "um", *path, name, i) for i, end in enumerate(given)]
            if ends[0] > ends[1]:
                raise self.context.error(f"the range goes from {ends[0]:g} to {ends[1]:g}; the smaller number stands "
                                         "first", *path, name)  # fmt: skip
            low[axis], high[axis] = ends
        size = high - low
        volume = float(np.prod(size)) * {"box": 1.0, "cylinder": np.pi / 4, "ellipsoid": np.pi / 6}[region.shape]
        return Shape(low, high, partial(_inside, region.shape, low, high, mask), None if mask else volume)

    def _surface(self, file: str, scale: float | str, path: Path_) -> tuple[Floats, Floats, Any, float]:
        unit = self.context.number(scale, "um", *path, "scale")
        if not unit > 0:
            raise self.context.error(f"the scale is {unit:g}; it must be more than zero", *path, "scale")
        try:
            return surface(file_of(self.context.spec, file, *path, "file"), unit)
        except DocumentError as error:
            raise self.context.error(f"'{file}': {error.message}", *path, "file") from None

    def _mask(self, text: str, path: Path_, points: Floats) -> Bools:
        def column(name: str) -> Column | None:
            if name in self.shapes:
                return Column(self.shapes[name].inside(points))
            return self.point(name, points)

        known = (*self.context.parameters, *self.shapes, *AXES, "depth")
        evaluator = Evaluator(lambda name: self.context.named(name) or column(name), lambda: known, len(points),
                              tables=self.context.tables)  # fmt: skip
        try:
            return np.broadcast_to(truth(evaluator.value(parse(text))), len(points))
        except LemsError as error:
            raise self.context.error(error.message, *path) from None

    def point(self, name: str, points: Floats) -> Column | None:
        """A coordinate by name: x, y, z, depth (which is y), xnorm and its like (0 to 1 within the space)."""
        if name == "depth":
            name = "y"
        if name in AXES:
            return Column(points[:, AXES.index(name)], None)
        if name.endswith("norm") and name[:-4] in AXES:
            axis = AXES.index(name[:-4])
            size = self.whole.high[axis] - self.whole.low[axis]
            return Column((points[:, axis] - self.whole.low[axis]) / (size or 1.0), None)
        return None

    def region_of(self, population: Population, path: Path_) -> Shape:
        """The region that a population lies in."""
        region = population.region
        if region is None:
            return self.whole
        if isinstance(region, Region):
            return self.shape(region, (*path, "region"), self.whole)
        if region not in self.shapes:
            from ..units import nearest

            hint = nearest(region, self.shapes) or f"; there are {', '.join(self.shapes) or 'none'}"
            raise self.context.error(f"there is no region '{region}'{hint}", *path, "region")
        return self.shapes[region]

    def place(self, name: str, population: Population) -> Floats:
        """The positions (n, 3) of a population's cells. Raises NetworkError for what cannot be."""
        path: Path_ = ("populations", name)
        shape = self.region_of(population, path)
        if population.positions is not None:
            return np.asarray(population.positions, float).reshape(-1, 3)
        if population.grid is not None:
            return self._grid(population.grid, shape, (*path, "grid"))
        key = self.context.key("position", name)
        if population.number is not None:
            count = self.context.whole(population.number, 0, *path, "number")
            return self._scatter(count, shape, key, None, 1.0, path)
        assert population.density is not None
        path = (*path, "density")
        varying = used_names(population.density) - set(self.context.parameters)
        if shape.exact is not None and not shape.exact > 0:
            raise self.context.error("a density needs a volume, but the region has none: give its x, y and z ranges",
                                     *path)  # fmt: skip
        density = partial(self._density, population.density, path) if varying else None
        if density is None and shape.exact is not None:
            total = self.context.number(population.density, "", *path) * shape.exact
            most = 1.0
            if total < 0:
                raise self.context.error("the density is negative", *path)
        else:
            probes = shape.low + (shape.high - shape.low) * _halton(_PROBES)
            values = np.broadcast_to(self._density(population.density, path, probes), len(probes))
            values = np.where(shape.inside(probes), values, 0.0)
            most = float(values.max())
            total = float(values.mean() * np.prod(shape.high - shape.low))
        count = np.floor(total * 1e-9 + 0.5)  # um3 to mm3
        return self._scatter(count, shape, key, density, most, path)

    def _fit(self, count: float, path: Path_) -> None:
        self.cells += count
        if not fit_in_memory(self.cells):
            raise self.context.error(f"{count:.4g} cells are more than this machine can hold", *path)

    def _density(self, value: float | str, path: Path_, points: Floats) -> npt.NDArray[Any]:
        found = self.context.column(value, "", len(points), lambda name: self.point(name, points),
                                    (*AXES, "depth"), path)  # fmt: skip
        if np.any(found < 0):
            raise self.context.error("the density is negative in a part of the region", *path)
        return found

    def _scatter(
        self, count: float, shape: Shape, key: int, density: Callable[[Floats], Any] | None, most: float, path: Path_
    ) -> Floats:
        """Independent places, uniform in the region or with a density, by rejection."""
        self._fit(count, path)
        places = np.empty((int(count), 3))
        left, attempt = np.arange(len(places)), 0
        while len(left):
            if attempt >= _TRIES:
                raise self.context.error("no place for the cells was found: the region is (almost) empty", *path)
            for begin in range(0, len(left), _PIECE):
                part = left[begin : begin + _PIECE]
                unit = uniforms(key, part[:, None], attempt, np.arange(3)[None, :])
                places[part] = shape.low + (shape.high - shape.low) * unit
            points = places[left]
            good = shape.inside(points)
            if density is not None:
                good = good & (uniforms(key, left, attempt, 3) * most < density(points))
            left = left[~good]
            attempt += 1
        return places

    def _grid(self, grid: Grid, shape: Shape, path: Path_) -> Floats:
        axes: list[Floats] = []
        for axis, name in enumerate(AXES):
            given = getattr(grid, name)
            if given is None:
                axes.append(np.array([(shape.low[axis] + shape.high[axis]) / 2]))
                continue
            step = self.context.number(given, "um", *path, name)
            if not step > 0:
                raise self.context.error(f"the distance is {step:g}; it must be more than zero", *path, name)
            count = np.floor((shape.high[axis] - shape.low[axis]) / step + 1e-9) + 1
            self._fit(count * np.prod([len(other) for other in axes]), path)
            axes.append(shape.low[axis] + step * np.arange(int(count)))
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return places[shape.inside(places)]


def _inside(kind: str, low: Floats, high: Floats, mask: Callable[[Floats], Bools] | None, points: Floats) -> Bools:
    inside = np.asarray(((points >= low) & (points <= high)).all(axis=1))
    if kind != "box":
        half = np.where(high > low, (high - low) / 2, 1.0)
        scaled = (points - (low + high) / 2) / half
        axes = [0, 2] if kind == "cylinder" else [0, 1, 2]
        inside &= (scaled[:, axes] ** 2).sum(axis=1) <= 1 + 1e-12
    return np.asarray(inside & mask(points)) if mask is not None else inside


def _halton(count: int) -> Floats:
    """Evenly spread points in the unit cube: the first ones of Halton's sequence in bases 2, 3, 5."""
    points = np.zeros((count, 3))
    for axis, base in enumerate((2, 3, 5)):
        index, factor = np.arange(1, count + 1), 1.0 / base
        while index.any():
            points[:, axis] += factor * (index % base)
            index = index // base
            factor /= base
    return points


@dataclass(frozen=True)
class Cells:
    """All cells of the network in one row: where each population begins, positions, keys of random numbers."""

    names: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    positions: Floats
    keys: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, placed: Mapping[str, Floats]) -> Cells:
        """From the positions of each population."""
        from .randomness import key_of, words

        sizes = [len(positions) for positions in placed.values()]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        keys = [words(key_of("cell", name), np.arange(len(positions))) for name, positions in placed.items()]
        return cls(tuple(placed), offsets, np.concatenate([np.empty((0, 3)), *placed.values()]),
                   np.concatenate([np.empty(0, np.uint64), *keys]))  # fmt: skip

    def __len__(self) -> int:
        return len(self.positions)

    def population_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The place in ``names`` of each cell's population."""
        return np.searchsorted(self.offsets, rows, side="right") - 1
