"""Where the cells of a population are: numbers, densities, grids and lists, as NetPyNE draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from .functions import Function
from .streams import Floats

if TYPE_CHECKING:
    from .rules import Model

_AXES = ("x", "y", "z")
_MOST = 10_000_000  # cells of one population
_STEP = 0.001  # of the grid on which a density function's maximum is looked for


class Placement:
    """The places of one population whose first cell has the number ``first``."""

    def __init__(self, model: Model, label: str, tags: dict[str, Any], first: int) -> None:
        self.model, self.label, self.tags, self.first = model, label, tags, first
        self.shape = model.params.get("shape", "cuboid")
        if self.shape not in ("cuboid", "cylinder", "ellipsoid"):
            raise model.error(f"netParams.shape is '{self.shape}'; expected cuboid, cylinder or ellipsoid")

    def cells(self) -> Iterator[dict[str, Any]]:
        """x, y, z (um), xnorm, ynorm, znorm and the tags of its own, of each cell in order."""
        tags = self.tags
        if "cellsList" in tags:
            yield from self._listed()
            return
        if "numCells" in tags:
            places = self._fixed()
        elif "density" in tags:
            places = self._dense()
        elif "gridSpacing" in tags:
            yield from self._grid()
            return
        else:
            tags["numCells"] = 1
            places = self._fixed()
        size = self.model.size
        fractions = self._fractions(len(places))
        for row, place in enumerate(places):
            found = {f"{axis}norm": place[i] for i, axis in enumerate(_AXES)}
            found |= {axis: size[i] * place[i] for i, axis in enumerate(_AXES)}
            yield found | ({} if fractions is None else {"fraction": float(fractions[row])})

    def _count(self, value: Any, what: str) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
            raise self.model.error(f"popParams.{self.label}: {what} is {value!r:.40}; expected 0 to {_MOST}")
        return int(value)

    def _fixed(self) -> Floats:
        scale = self.model.number("scale", 1.0)
        if scale > 1 and not self.model.own:
            raise UnsupportedError("netParams.scale above 1: NetPyNE itself fails on it; --set rng=native")
        count = self._count(self.tags["numCells"], "numCells")
        if self.model.own:
            count, scale = self._count(scale * count, "numCells times scale"), 1.0
        places = self._drawn(count)
        for i, axis in enumerate(_AXES):
            self._normalise(axis, i, divide=float)
            self._squeeze(places, axis, i)
        return places[: int(scale * count)]

    def _drawn(self, count: int) -> Floats:
        """``count`` places in the unit volume of the network's shape."""
        stream = self.model.stream(self.label, count, self.first, int(self.model.seeds["loc"]))
        stream.next()
        places = stream.many(3 * count).reshape(count, 3).copy()
        if self.shape == "cylinder":
            rho, phi = places[:, 0].copy(), 2 * np.pi * places[:, 2]
            places[:, 0] = (1 + np.sqrt(rho) * np.cos(phi)) / 2.0
            places[:, 2] = (1 + np.sqrt(rho) * np.sin(phi)) / 2.0
        elif self.shape == "ellipsoid":
            rho, phi = np.power(places[:, 0], 1.0 / 3.0), 2 * np.pi * places[:, 1]
            theta = np.arccos(2 * places[:, 2] - 1)
            places[:, 0] = (1 + rho * np.cos(phi) * np.sin(theta)) / 2.0
            places[:, 1] = (1 + rho * np.sin(phi) * np.sin(theta)) / 2.0
            places[:, 2] = (1 + rho * np.cos(theta)) / 2.0
        return places

    def _normalise(self, axis: str, number: int, divide: Any = float) -> None:
        found = self.tags.get(f"{axis}Range")
        if found is not None:
            self.tags[f"{axis}normRange"] = [float(point) / self.model.size[number] for point in found]

    def _squeeze(self, places: Floats, axis: str, number: int) -> None:
        span = self.tags.get(f"{axis}normRange")
        if span is None:
            return
        if not isinstance(span, list) or len(span) != 2:
            raise self.model.error(f"popParams.{self.label}: {axis}normRange must be two numbers")
        places[:, number] = places[:, number] * (span[1] - span[0]) + span[0]

    def _dense(self) -> Floats:
        x, y, z = self.model.size
        volume = y / 1e3 * x / 1e3 * z / 1e3
        if self.shape == "cylinder":
            volume = y / 1e3 * x / 1e3 / 2 * z / 1e3 / 2 * np.pi
        elif self.shape == "ellipsoid":
            volume = y / 1e3 / 2.0 * x / 1e3 / 2.0 * z / 1e3 / 2.0 * np.pi * 4.0 / 3.0
        for i, axis in enumerate(_AXES):
            self._normalise(axis, i)
            span = self.tags.get(f"{axis}normRange")
            volume = volume * (span[1] - span[0]) if span is not None else volume
        density, along = self.tags["density"], None
        if isinstance(density, str) and self.shape != "cuboid":
            found = self._by_place(density, volume)
            if not len(found):
                raise self.model.error(f"popParams.{self.label}: the density leaves no cell in its volume")
            self.tags["numCells"] = len(found)
            return found
        if isinstance(density, str):
            along, column = self._by_depth(density, volume)
            self.tags["numCells"] = len(column)
        else:
            self.tags["numCells"] = self._count(density * volume, "density times volume")
        if not self.tags["numCells"]:
            raise self.model.error(f"popParams.{self.label}: the density leaves no cell in its volume")
        places = self._drawn(self.tags["numCells"])
        for i, axis in enumerate(_AXES):
            self._squeeze(places, axis, i)
            if along == axis:
                places[:, i] = column
        return places

    def _by_place(self, text: str, volume: float) -> Floats:
        """Places in a cylinder or ellipsoid by rejection from a density function, which NetPyNE has for boxes only."""
        function = Function(text, f"popParams.{self.label}.density", self.model.file)
        names = {f"{axis}norm": i for i, axis in enumerate(_AXES)}
        function.check_names(dict.fromkeys(names, 0.5))
        spans = [self.tags.get(f"{name}Range") or [0.0, 1.0] for name in names]
        used = sorted(function.names & names.keys())
        count = 1001 if len(used) == 1 else 65
        grid = np.meshgrid(*(np.linspace(float(low), float(high), count)
                             for low, high in (spans[names[name]] for name in used)))  # fmt: skip
        most = float(np.max(function(dict(zip(used, grid, strict=True))))) if used else float(function({}))
        if not 0 <= most < np.inf:
            raise function.error(f"is {most:g} at most; a density is positive and finite")
        places = self._drawn(self._count(volume * most, "the largest density times volume"))
        for i, axis in enumerate(_AXES):
            self._squeeze(places, axis, i)
        density = np.broadcast_to(function({name: places[:, i] for name, i in names.items() if name in used}),
                                  len(places))  # fmt: skip
        stream = self.model.stream(self.label, int(most), self.first, int(self.model.seeds["loc"]))
        return places[density > most * stream.many(len(places))]

    def _by_depth(self, text: str, volume: float) -> tuple[str, Floats]:
        """Places along one axis, by rejection from a density function of it."""
        function = Function(text, f"popParams.{self.label}.density", self.model.file)
        if len(function.names) != 1 or not function.names <= {"xnorm", "ynorm", "znorm"}:
            raise function.error("must use exactly one of xnorm, ynorm, znorm")
        name = next(iter(function.names))
        span = self.tags.get(f"{name}Range")
        if not isinstance(span, list) or len(span) != 2:
            raise self.model.error(f"popParams.{self.label}: a density function of {name} needs {name}Range")
        low, high = span
        most = float(np.max(function({name: np.arange(low, high, _STEP)})))
        count = self._count(volume * most, "the largest density times volume")
        stream = self.model.stream(self.label, int(most), self.first, int(self.model.seeds["loc"]))
        everywhere = low + (high - low) * stream.many(count)
        chance = np.broadcast_to(function({name: everywhere}), everywhere.shape) / most
        return name[0], everywhere[chance > stream.many(count)]

    def _fractions(self, count: int, shuffled: bool = False) -> Floats | None:
        if not self.tags.get("diversity"):
            return None
        found: Floats = np.arange(count, dtype=np.float64) / count
        if shuffled:
            np.random.default_rng(seed=self.model.seeds["cell"]).shuffle(found)
        return found

    def _grid(self) -> Iterator[dict[str, Any]]:
        spacing, size = self.tags["gridSpacing"], self.model.size
        steps = spacing if isinstance(spacing, list) else [spacing] * 3
        axes = []
        for i, axis in enumerate(_AXES):
            span = self.tags.get(f"{axis}Range")
            if self.tags.get(f"{axis}normRange") is not None:
                span = [float(point) * size[i] for point in self.tags[f"{axis}normRange"]]
            low, high = span or (0, size[i])
            if not isinstance(steps[i], (int, float)) or steps[i] <= 0:
                raise self.model.error(f"popParams.{self.label}: gridSpacing must be more than zero")
            axes.append(np.arange(low, high + 1, steps[i]))
        count = int(np.prod([len(axis) for axis in axes]))
        self._count(count, "gridSpacing")
        fractions, row = self._fractions(count, shuffled=True), 0
        for x in axes[0]:
            for y in axes[1]:
                for z in axes[2]:
                    place = dict(zip(_AXES, (x, y, z), strict=True))
                    norms = {f"{axis}norm": place[axis] / size[i] for i, axis in enumerate(_AXES)}
                    yield place | norms | ({} if fractions is None else {"fraction": float(fractions[row])})
                    row += 1

    def _listed(self) -> Iterator[dict[str, Any]]:
        listed = self.tags["cellsList"]
        if not isinstance(listed, list) or not all(isinstance(cell, Mapping) for cell in listed):
            raise self.model.error(f"popParams.{self.label}: cellsList must be a list of objects")
        fractions = self._fractions(len(listed))
        for row, cell in enumerate(listed):
            found = dict(cell) if fractions is None else {"fraction": float(fractions[row])} | dict(cell)
            for i, axis in enumerate(_AXES):
                if axis in found:
                    found[f"{axis}norm"] = found[axis] / self.model.size[i]
                elif f"{axis}norm" in found:
                    found[axis] = found[f"{axis}norm"] * self.model.size[i]
                else:
                    found[axis] = found[f"{axis}norm"] = 0
            yield found


def border(model: Model, label: str, tags: Mapping[str, Any], place: Mapping[str, Any]) -> list[float]:
    """How much nearer than the thresholds of correctBorder a cell is to the nearest border, along each axis (um)."""
    spec, found = model.params["correctBorder"], []
    try:
        for number, axis in enumerate(_AXES):
            size = model.size[number]
            borders = [0.0, size]
            if f"{axis}borders" in spec:
                borders = [float(one) * size for one in spec[f"{axis}borders"]]
            elif f"{axis}Range" in tags:
                borders = [float(one) for one in tags[f"{axis}Range"]]
            elif f"{axis}normRange" in tags:
                borders = [float(one) * size for one in tags[f"{axis}normRange"][:2]]
            nearest = min(abs(float(place[axis]) - one) for one in borders)
            found.append(max(0.0, float(spec["threshold"][number]) - nearest))
    except (KeyError, TypeError, ValueError, IndexError):
        raise model.error("netParams.correctBorder: expected threshold, three numbers in um, and lists such as "
                          f"yborders (see population '{label}')") from None  # fmt: skip
    return found
