"""Traces and rasters, drawn without a screen and without matplotlib's global state."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import require
from ..results import Display, Line, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE, _DPI = (9.0, 4.5), 120
_MOST_POINTS = 20_000  # a line: more than a figure of this size can show
_MOST_IN_LEGEND = 14
_PREFIXES = {1e-12: "p", 1e-9: "n", 1e-6: "u", 1e-3: "m", 1.0: "", 1e3: "k"}
_HEX = re.compile(r"#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3}")


def require_matplotlib() -> None:
    """Raise UsageError with the install line if matplotlib is not there."""
    require("matplotlib", "plot", "drawing figures")


def draw(results: Results, folder: str | Path, stem: str) -> list[Path]:
    """Draw each Display of a run, and a raster if there are spikes; returns the paths of the PNG files.

    They are called ``stem``.``id of the Display``.png and ``stem``.raster.png, in ``folder``.
    """
    require_matplotlib()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for display in results.outputs.displays:
        path = folder / f"{stem}.{_plain(display.id)}.png"
        _save(draw_display(results, display), path)
        drawn.append(path)
    if len(results.spikes):
        path = folder / f"{stem}.raster.png"
        _save(draw_raster(results), path)
        drawn.append(path)
    return drawn


def draw_display(results: Results, display: Display) -> Figure:
    """One Display as a figure: each Line divided by its scale, time by its time scale."""
    figure, axes = _canvas()
    for line in display.lines:
        x, y = _envelope(results.time / line.time_scale, results[line.quantity] / line.scale)
        axes.plot(x, y, color=_color(line), linewidth=1.0, label=line.id)
    axes.set_title(display.title)
    scales = {line.time_scale for line in display.lines}
    axes.set_xlabel(f"time ({_unit('s', scales)})" if len(scales) == 1 else "time")
    units = {results.traces.unit(line.quantity) for line in display.lines}
    if len(units) == 1 and (unit := units.pop()):
        axes.set_ylabel(_unit(unit, {line.scale for line in display.lines}))
    if len(results.time):
        last = results.time[-1] / (min(scales) if scales else 1.0)
        axes.set_xlim(0, last if last > 0 else 1)
    if 1 < len(display.lines) <= _MOST_IN_LEGEND:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
    return figure


def draw_raster(results: Results) -> Figure:
    """All spikes: time in ms against gid, a colour a population."""
    figure, axes = _canvas()
    spikes = results.spikes
    known = np.zeros(len(spikes), bool)
    for number, (name, (first, size)) in enumerate(spikes.populations.items()):
        mine = (spikes.gid >= first) & (spikes.gid < first + size)
        if not mine.any():
            continue
        known |= mine
        times, cells = spikes.time[mine] * 1e3, spikes.gid[mine]
        axes.plot(times, cells, "|", color=f"C{number}", markersize=_mark(size), label=name)
    if not known.all():
        axes.plot(spikes.time[~known] * 1e3, spikes.gid[~known], "|", color="black", markersize=4)
    axes.set_title("spikes")
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("cell")
    duration = results.provenance.get("duration") or (results.time[-1] if len(results.time) else None)
    if duration:
        axes.set_xlim(0, duration * 1e3)
    if 0 < len(spikes.populations) <= _MOST_IN_LEGEND:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
    return figure


def _canvas() -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=_DPI)


def _envelope(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fewer points with the same look: the least and the greatest of each short stretch, so that no spike is lost."""
    if len(x) <= _MOST_POINTS:
        return x, y
    stretch = -(-len(x) // (_MOST_POINTS // 2))
    whole = len(x) // stretch * stretch
    blocks = y[:whole].reshape(-1, stretch)
    rows = np.arange(len(blocks)) * stretch
    extremes = np.sort(np.stack([rows + blocks.argmin(axis=1), rows + blocks.argmax(axis=1)], axis=1), axis=1).ravel()
    keep = np.concatenate([extremes, np.arange(min(whole, len(x) - 1), len(x))])
    return x[keep], y[keep]


def _color(line: Line) -> str | None:
    """The colour of the document; white would not be seen on our ground, and what is no colour gets the next one."""
    if line.color is None or not _HEX.fullmatch(line.color):
        return None
    return "#888888" if line.color.lower() in ("#ffffff", "#fff") else line.color


def _unit(symbol: str, scales: set[float]) -> str:
    """The unit that is left after division by the scale: V by 0.001 is mV."""
    scale = next(iter(scales)) if len(scales) == 1 else 0.0
    for size, prefix in _PREFIXES.items():
        if abs(scale - size) <= 1e-9 * size:
            return prefix + symbol
    return symbol if not scale else f"{scale:g} {symbol}"


def _mark(size: int) -> float:
    return float(np.clip(200 / max(size, 1), 1.5, 8))


def _plain(text: str) -> str:
    """The text as part of a file name."""
    return re.sub(r"[^\w.-]", "_", text) or "_"
