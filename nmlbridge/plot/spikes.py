"""Figures of spike trains: rasters, rates, intervals. Ten million spikes are drawn in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import analysis
from ..errors import UsageError
from ..results import SpikeTrains
from .style import MOST_IN_LEGEND, SIZE, canvas, color_bar, colors, legend, nothing, short

Floats = npt.NDArray[np.float64]
_MOST_MARKS = 100_000  # spikes drawn as marks of their own; more become an image of counts
_PIECE = 1_000_000  # spikes that are looked at at once
_PIXELS = (500, 1400)  # rows and columns of that image
_NO_SPIKES = "no spikes"


def last_time(spikes: SpikeTrains, stop: float | None) -> float:
    """Where the window ends (s): as said, or just after the last spike."""
    if stop is not None:
        return stop
    return float(spikes.time[-1]) * (1 + 1e-9) + 1e-6 if len(spikes) else 1.0


def raster(
    spikes: SpikeTrains, stop: float | None = None, start: float = 0.0, population: str | None = None, axes: Any = None
) -> Any:
    """Spikes as marks: time (ms) against gid, a colour a population; above 100 000 spikes as an image of counts.

    ``start``, ``stop`` in s (default: all). Returns the axes. Raises UsageError for an unknown population.
    """
    axes = canvas(axes)
    stop = last_time(spikes, stop)
    spans = _spans(spikes, population)
    if population is None:
        spans = spans or [("", 0, int(spikes.gid.max()) + 1 if len(spikes) else 1)]
    low, high = min(first for _, first, _ in spans), max(first + size for _, first, size in spans)
    at, end = np.searchsorted(spikes.time, [start, stop])
    if end - at > _MOST_MARKS:
        _image(axes, spikes, (int(at), int(end)), spans, (start, stop), (low, high))
    else:
        gid, time = spikes.gid[at:end], spikes.time[at:end] * 1e3
        for (name, first, size), color in zip(spans, colors(len(spans)), strict=True):
            mine = (gid >= first) & (gid < first + size)
            axes.plot(time[mine], gid[mine], "|", color=color, markersize=_mark(high - low), label=name)
    if end == at:
        nothing(axes, f"{_NO_SPIKES} from {start * 1e3:g} to {stop * 1e3:g} ms")
    else:
        axes.set_xlim(start * 1e3, stop * 1e3)
        axes.set_ylim(low - 0.5, high - 0.5)
        axes.yaxis.get_major_locator().set_params(integer=True)
        legend(axes, len(spans), 8 / _mark(high - low))
        if len(spans) > MOST_IN_LEGEND:  # their names stand at the side, where each begins
            every = -(-len(spans) // 30)
            axes.set_yticks([first for _, first, _ in spans[::every]], [short(n, 24) for n, _, _ in spans[::every]],
                            fontsize="small")  # fmt: skip
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("cell")
    return axes


def raster_with_rate(
    spikes: SpikeTrains,
    stop: float | None = None,
    start: float = 0.0,
    population: str | None = None,
    width: float | None = None,
) -> Any:
    """A raster, and below it the mean rate of each population's cells in bins of ``width`` s.

    Without ``width`` there are a hundred bins. Returns the two axes.
    """
    first = canvas(size=(SIZE[0], 6.0))
    figure = first.figure
    figure.clear()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for part in (upper, lower):
        part.spines[["top", "right"]].set_visible(False)
    raster(spikes, stop, start, population, axes=upper)
    upper.set_xlabel("")
    rate(spikes, stop, start, population, width, axes=lower)
    if lower.get_legend():
        lower.get_legend().remove()  # the raster's says it
    return upper, lower


def rate(
    spikes: SpikeTrains,
    stop: float | None = None,
    start: float = 0.0,
    population: str | None = None,
    width: float | None = None,
    axes: Any = None,
) -> Any:
    """Mean rate (Hz) of each population's cells over time (ms), in bins of ``width`` s (default: a hundred bins)."""
    axes = canvas(axes)
    stop = last_time(spikes, stop)
    width = width or (stop - start) / 100
    spans = _spans(spikes, population)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("rate (Hz)")
    if not len(spikes):
        return nothing(axes, _NO_SPIKES)
    means = {}
    for name, _, size in spans or [("", 0, 0)]:
        total: Any = 0
        for piece in _pieces(spikes):
            edges, counts = analysis.histogram(piece, width, stop, start, name or None)
            total = total + counts
        means[name] = total / (width * (size or int(spikes.gid.max()) + 1))
    ends = np.append(edges, edges[-1] + width) * 1e3
    if len(spans) > MOST_IN_LEGEND:
        axes.set_xlim(start * 1e3, stop * 1e3)
        return _rows(axes, means, ends, "rate (Hz)")
    for (name, values), color in zip(means.items(), colors(len(means)), strict=True):
        axes.stairs(values, ends, baseline=None, color=color, label=name)
    axes.set_xlim(start * 1e3, stop * 1e3)
    axes.set_ylim(bottom=0)
    legend(axes, len(spans))
    return axes


def rate_bars(spikes: SpikeTrains, stop: float | None = None, start: float = 0.0, axes: Any = None) -> Any:
    """Mean rate (Hz) of each population as a bar, with the standard deviation over its cells."""
    spans, each = _each_rate(spikes, stop, start)
    place = np.arange(len(spans))
    means, spread = [values.mean() for values in each], [values.std() for values in each]
    if not len(spikes):
        return nothing(canvas(axes), _NO_SPIKES)
    error, names = [np.minimum(means, spread), spread], [short(name, 24) for name in spans]
    if sum(len(name) for name in names) <= 70:
        axes = canvas(axes)
        axes.bar(place, means, yerr=error, color=colors(len(spans)), capsize=3, width=0.7)
        axes.set_xticks(place, names)
        spare = max(0, 4 - len(spans)) / 2  # a bar alone does not fill the figure
        axes.set_xlim(-0.6 - spare, len(spans) - 0.4 + spare)
        axes.set_ylabel("rate (Hz)")
        axes.set_ylim(bottom=0)
        return axes
    axes = canvas(axes, (SIZE[0], float(np.clip(0.25 * len(spans) + 1, SIZE[1], 12))))  # long names: bars lie
    axes.barh(place, means, xerr=error, color=colors(len(spans)), capsize=3, height=0.7)
    every = -(-len(spans) // 50)
    axes.set_yticks(place[::every], names[::every])
    axes.set_ylim(len(spans) - 0.5, -0.5)
    axes.set_xlabel("rate (Hz)")
    axes.set_xlim(left=0)
    return axes


def rate_distribution(spikes: SpikeTrains, stop: float | None = None, start: float = 0.0, axes: Any = None) -> Any:
    """The cells' rates (Hz): one histogram a population, as parts of its cells."""
    axes = canvas(axes)
    spans, each = _each_rate(spikes, stop, start)
    axes.set_xlabel("rate (Hz)")
    axes.set_ylabel("part of the cells")
    top = max((values.max() for values in each if len(values)), default=0.0)
    if not top:
        return nothing(axes, _NO_SPIKES)
    edges = np.linspace(0, top * 1.0001, 31)
    if len(spans) > MOST_IN_LEGEND:
        parts = {name: np.histogram(v, edges)[0] / max(len(v), 1) for name, v in zip(spans, each, strict=True)}
        axes.set_xlim(0, edges[-1])
        return _rows(axes, parts, edges, "part of the cells")
    for name, values, color in zip(spans, each, colors(len(spans)), strict=True):
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts / max(len(values), 1), edges, color=color, label=name, linewidth=1.4)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(bottom=0)
    legend(axes, len(spans))
    return axes


def intervals(
    spikes: SpikeTrains, stop: float | None = None, start: float = 0.0, population: str | None = None, axes: Any = None
) -> Any:
    """Intervals between successive spikes of a cell (ms): one histogram a population, on a logarithmic axis."""
    axes = canvas(axes)
    stop = last_time(spikes, stop)
    spans = _spans(spikes, population)
    axes.set_xlabel("interval between spikes (ms)")
    axes.set_ylabel("part of the intervals")
    found = {
        name: analysis.intervals(spikes, stop, start, name or None)[1] * 1e3 for name, _, _ in spans or [("", 0, 0)]
    }
    found = {name: values[values > 0] for name, values in found.items()}
    every = np.concatenate(list(found.values())) if found else np.empty(0)
    if not len(every):
        return nothing(axes, "no cell spiked twice: there are no intervals")
    low, high = every.min(), every.max()
    edges = np.geomspace(low * 0.9, high * 1.1, 41)
    if len(found) > MOST_IN_LEGEND:
        axes.set_xscale("log")
        parts = {name: np.histogram(v, edges)[0] / max(len(v), 1) for name, v in found.items()}
        return _rows(axes, parts, edges, "part of the intervals")
    for (name, values), color in zip(found.items(), colors(len(found)), strict=True):
        if len(values):
            axes.stairs(np.histogram(values, edges)[0] / len(values), edges, color=color, label=name, linewidth=1.4)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    legend(axes, len(found))
    return axes


def _rows(axes: Any, values: Mapping[str, Floats], edges: Floats, label: str) -> Any:
    """Many histograms as rows of an image, with their names: as lines they could not be told apart."""
    heights = np.arange(len(values) + 1) - 0.5
    mesh = axes.pcolormesh(edges, heights, np.array(list(values.values())), cmap="viridis", vmin=0, rasterized=True)
    every = -(-len(values) // 30)
    names = [short(name, 24) for name in values]
    few = axes.get_position().height < 0.35  # a strip below another figure: names would lie on each other
    axes.set_yticks([] if few else range(0, len(names), every), [] if few else names[::every], fontsize="small")
    if not few:
        axes.invert_yaxis()
    axes.set_ylabel("populations" if few else "")
    color_bar(axes, mesh, label)
    return axes


def _each_rate(spikes: SpikeTrains, stop: float | None, start: float) -> tuple[list[str], list[Floats]]:
    end = last_time(spikes, stop)
    names = [name for name, _, size in _spans(spikes, None) if size]
    if not names:
        return ["all"], [analysis.rates(spikes, end, start)] if len(spikes) else [np.zeros(1)]
    return names, [analysis.rates(spikes, end, start, name) for name in names]


def _spans(spikes: SpikeTrains, population: str | None) -> list[tuple[str, int, int]]:
    """(name, first gid, size) of the populations to draw."""
    if population is not None:
        if population not in spikes.populations:
            known = ", ".join(spikes.populations) or "none"
            raise UsageError(f"there is no population '{population}'; there are: {known}")
        return [(population, *spikes.populations[population])]
    return [(name, first, size) for name, (first, size) in spikes.populations.items() if size]


def _pieces(spikes: SpikeTrains) -> Iterator[SpikeTrains]:
    """The trains piece by piece in time, so that work arrays stay small."""
    for at in range(0, max(len(spikes), 1), _PIECE):
        part = slice(at, at + _PIECE)
        yield SpikeTrains(spikes.gid[part], spikes.time[part], spikes.populations)


def _image(
    axes: Any, spikes: SpikeTrains, part: tuple[int, int], spans: list[tuple[str, int, int]],
    window: tuple[float, float], cells: tuple[int, int],
) -> None:  # fmt: skip
    """Counts of spikes in pixels, the population's colour the stronger the more there are."""
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    (start, stop), (low, high) = window, cells
    rows, columns = min(high - low, _PIXELS[0]), _PIXELS[1]
    counts = np.zeros((rows, columns), np.int64)
    for at in range(part[0], part[1], _PIECE):
        piece = slice(at, min(at + _PIECE, part[1]))
        gid, time = spikes.gid[piece], spikes.time[piece]
        inside = (gid >= low) & (gid < high)
        row = (gid[inside] - low) * rows // (high - low)
        column = np.minimum(((time[inside] - start) * (columns / (stop - start))).astype(np.int64), columns - 1)
        counts += np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)
    shade = np.ones((rows, columns, 4))
    middle = low + (np.arange(rows) + 0.5) * (high - low) / rows
    marks = []
    for (name, first, size), color in zip(spans, colors(len(spans)), strict=True):
        shade[(middle >= first) & (middle < first + size), :, :3] = to_rgb(color)
        marks.append(Line2D([], [], color=color, linewidth=4, label=name))
    most = np.quantile(counts[counts > 0], 0.99) if counts.any() else 1
    shade[..., 3] = np.where(counts > 0, np.clip(0.15 + 0.85 * counts / most, 0, 1), 0)
    extent = (start * 1e3, stop * 1e3, low - 0.5, high - 0.5)
    axes.imshow(shade, origin="lower", aspect="auto", interpolation="nearest", extent=extent)
    for mark in marks:
        axes.add_line(mark)


def _mark(size: int) -> float:
    return float(np.clip(200 / max(size, 1), 1.5, 8))
