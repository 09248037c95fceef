"""Figures of single cells: their shape, coloured by what varies along them, and the kinetics of their channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..analysis.shapes import Pieces, pieces, synapse_density
from ..errors import NetworkError, UsageError
from ..extras import require
from ..graph import Network
from ..results import Kinetics
from ..simulator.quantities import split_path
from .signals import _prefixed
from .style import canvas, color_bar, colors, legend, nothing

Floats = npt.NDArray[np.float64]
VIEWS = {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}
_PLACE = re.compile(r"^(?P<section>.+)\((?P<x>[0-9.eE+-]+)\)$")
COLORINGS = ("synapses", "path", "diameter")


def morphology(
    network: Network, population: str | None = None, color: str | None = "path", view: str = "xy", row: int = 0,
    recorded: Mapping[str, float] | None = None, unit: str = "", axes: Any = None,
) -> Any:  # fmt: skip
    """A cell's shape (um), its thickness to scale down to a hairline, coloured by ``color``.

    That is "synapses" (for each um, the mean over the population), "path" (distance from the root), "diameter", None,
    or the name of a variable whose values ``recorded`` has (quantity -> value, in the SI ``unit``), of the cell
    ``row``. Parts without a value are grey. ``population`` may be the id of a cell as well; without it, it is the
    first with a shape. ``view`` is a plane, xy, xz or yz, or 3d. Returns the axes. Raises UsageError for a name or
    view that is not there.
    """
    if view not in (*VIEWS, "3d"):
        raise UsageError(f"there is no view '{view}'; there are {', '.join([*VIEWS, '3d'])}")
    name, shape = _first(network) if population is None else (population, pieces(network, population))
    axes = canvas(axes, (6.5, 6.0), "3d" if view == "3d" else None)
    values, label = _values(network, name, shape, color, row, recorded, unit)
    plane = (0, 1, 2) if view == "3d" else VIEWS[view]
    ends = np.stack([shape.start[:, plane], shape.end[:, plane]], axis=1)
    dot = (ends[:, 0] == ends[:, 1]).all(axis=1)  # a ball, or a piece seen from its end: as long as it is thick
    ends[dot, 0, 0] -= shape.start[dot, 3] / 2
    ends[dot, 1, 0] += shape.start[dot, 3] / 2
    low, high = ends.min(axis=(0, 1)), ends.max(axis=(0, 1))
    thick = (shape.start[:, 3] + shape.end[:, 3]) / 2
    margin = max(float(thick.max()) / 2, 0.03 * float((high - low).max()), 1.0)
    low, high = low - margin, high + margin
    points = 6.0 * 72 * 0.8 / float((high - low).max())  # of the page for each um
    if view == "3d":
        from mpl_toolkits.mplot3d.art3d import Line3DCollection as Collection
    else:
        from matplotlib.collections import LineCollection as Collection
    lines = Collection(ends, linewidths=np.maximum(thick * points, 0.8), capstyle="butt")
    if values is None:
        lines.set_color("#333333")
    else:
        maps = require("matplotlib", "plot", "drawing figures").colormaps
        lines.set_cmap(maps["viridis"].with_extremes(bad="#bbbbbb"))
        lines.set_array(np.ma.masked_invalid(values))
        if np.isfinite(values).any() and np.nanmin(values) == np.nanmax(values):
            lines.set_clim(np.nanmin(values) - 0.5, np.nanmin(values) + 0.5)
    axes.add_collection(lines)
    for letter, which, a, b in zip("xyz"[: len(plane)], plane, low, high, strict=True):
        getattr(axes, f"set_{letter}label")(f"{'xyz'[which]} (um)" if shape.drawn else "um")
        getattr(axes, f"set_{letter}lim")(a, b, auto=view != "3d")  # auto: the aspect may widen them
    axes.set_aspect("equal") if view == "3d" else axes.set_aspect("equal", adjustable="datalim")
    if view == "3d":
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.get_major_locator().set_params(nbins=4)
    if values is not None:
        color_bar(axes, lines, label)
    axes.set_title(name if shape.drawn else f"{name} (laid out: it states no 3-D points)")
    return axes


def _first(network: Network) -> tuple[str, Pieces]:
    for name in (*network.populations, *(str(element.get("id")) for element in network.components)):
        try:
            return name, pieces(network, name)
        except UsageError:
            continue
    raise UsageError("no cell of the model has a shape")


def _values(
    network: Network, population: str, shape: Pieces, color: str | None, row: int,
    recorded: Mapping[str, float] | None, unit: str,
) -> tuple[Floats | None, str]:  # fmt: skip
    """The numbers to colour by, and what they are."""
    if color is None:
        return None, ""
    if color not in (None, "path", "diameter") and population not in network.populations:
        raise UsageError(f"'{population}' is no population; to colour a cell by '{color}' a network is needed")
    if color == "synapses":
        return synapse_density(network, population, shape), "synapses for each um"
    if color == "path":
        return shape.path, "path from the root (um)"
    if color == "diameter":
        return (shape.start[:, 3] + shape.end[:, 3]) / 2, "diameter (um)"
    if recorded is None:
        raise UsageError(f"to colour by '{color}' results are needed that recorded it; without them there are "
                         f"{', '.join(COLORINGS)}")  # fmt: skip
    if not 0 <= row < network.populations[population].size:
        raise UsageError(f"population '{population}' has no cell {row}")
    values = values_along(network, population, row, recorded, color, shape)
    scale, shown = _prefixed([values], unit)
    return values / scale, f"{color} ({shown})" if shown else color


def values_along(
    network: Network, population: str, row: int, recorded: Mapping[str, float], variable: str,
    shape: Pieces | None = None,
) -> Floats:  # fmt: skip
    """A variable of one cell on each piece (n,), from ``recorded``: quantity -> value; each piece has that of the place
    on its part that is next to its middle, NaN where there is none.

    Quantities are spelled as they are recorded: "pop[0]/dend(0.5)/v", "pop/0/cell/7/v", "pop[0]/v" (of the root).
    Raises UsageError if none of them is of this cell and variable.
    """
    shape = shape or pieces(network, population)
    found: dict[int, list[tuple[float, float]]] = {}
    root = int(shape.part[0])
    for name, value in recorded.items():
        try:
            path = split_path(name, network)
        except NetworkError:
            continue
        if (path.population, path.row) != (population, row):
            continue
        rest, part, x = "/".join(path.rest), path.segment, 0.5
        head, _, tail = rest.partition("/")
        match = _PLACE.match(head)
        section = match["section"] if match else head
        if tail and section in shape.names:
            part, x, rest = shape.names[section], float(match["x"]) if match else 0.5, tail
        if rest == variable:
            found.setdefault(root if part is None else part, []).append((x, value))
    if not found:
        raise UsageError(f"no '{variable}' of {population}[{row}] was recorded")
    values = np.full(len(shape.part), np.nan)
    middle = (shape.begin + shape.stop) / 2
    for number, part in enumerate(shape.part.tolist()):
        places = found.get(part)
        if places:
            values[number] = min(places, key=lambda place: abs(place[0] - middle[number]))[1]
    return values


def kinetics(found: Kinetics, axes: Any = None) -> Any:
    """Steady states (left) and time constants (right, ms) of a channel's gates against the voltage (mV).

    ``axes`` are two, or made. Returns both.
    """
    if axes is None:
        first = canvas(size=(9.0, 4.0))
        figure = first.figure
        figure.clear()
        axes = figure.subplots(1, 2)
        for part in axes:
            part.spines[["top", "right"]].set_visible(False)
    left, right = axes
    volts = found.voltage * 1e3
    names = list(dict.fromkeys([*found.steady, *found.tau]))
    paint = dict(zip(names, colors(len(names)), strict=True))
    for part, curves, factor in ((left, found.steady, 1.0), (right, found.tau, 1e3)):
        drawn: list[Floats] = []
        for name, values in curves.items():
            if any(np.array_equal(values, other, equal_nan=True) for other in drawn):
                continue  # such as the only open state of a scheme, beside the whole gate
            drawn.append(values)
            part.plot(volts, values * factor, color=paint[name], linewidth=1.4, label=name)
        part.set_xlabel("voltage (mV)")
        if len(volts) > 1:
            part.set_xlim(volts.min(), volts.max())
    left.set_ylabel("steady state")
    right.set_ylabel("time constant (ms)")
    left.set_title(found.name)
    if not found.steady:
        nothing(left, "the channel has no gates")
    else:
        left.set_ylim(min(0.0, *(np.nanmin(v) for v in found.steady.values())) - 0.02, None)
    taus = [np.asarray(v)[np.isfinite(v)] for v in found.tau.values()]
    taus = [v for v in taus if len(v)]
    if not taus:
        nothing(right, "no gate has a time constant")
    else:
        low, high = min(v.min() for v in taus), max(v.max() for v in taus)
        if low > 0 and high / low > 30:
            right.set_yscale("log")
        else:
            right.set_ylim(bottom=0)
    for name in names:
        if name not in found.tau and taus:  # instantaneous: named in the legend, which stands on the right
            right.plot([], [], color=paint[name], linewidth=1.4, label=name)
    legend(right if taus else left, len(names))
    return axes
