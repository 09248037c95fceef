"""Traces and rasters, drawn without a screen and without matplotlib's global state."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..results import Display, Line, Results
from .fields import dipole, lfp
from .signals import MOST_LINES, envelope, traces
from .spikes import raster
from .style import canvas, legend, require_matplotlib, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PREFIXES = {1e-12: "p", 1e-9: "n", 1e-6: "u", 1e-3: "m", 1.0: "", 1e3: "k"}
_HEX = re.compile(r"#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3}")


def draw(results: Results, folder: str | Path, stem: str) -> list[Path]:
    """Draw each Display of a run, a raster if there are spikes, and fields that were recorded; returns the paths.

    They are called ``stem``.``id of the Display``.png, ``stem``.raster.png, ``stem``.lfp.png and ``stem``.dipole.png,
    in ``folder``. A model of rules has no Displays: each table that it records is drawn, as ``stem``.``id``.png,
    or 14 quantities from one end of it to the other.
    """
    require_matplotlib()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for display in results.outputs.displays:
        path = folder / f"{stem}.{_plain(display.id)}.png"
        save(draw_display(results, display), path)
        drawn.append(path)
    if len(results.spikes):
        path = folder / f"{stem}.raster.png"
        save(draw_raster(results), path)
        drawn.append(path)
    for name, first, figure in (("lfp", "lfp[0]", lfp), ("dipole", "dipole/x", dipole)):
        if first in results.traces:
            path = folder / f"{stem}.{name}.png"
            save(figure(results.traces).figure, path)
            drawn.append(path)
    for file in results.outputs.files:
        shown = _shown(results, [quantity for _, quantity in file.columns]) if file.named else []
        if shown:
            path = folder / f"{stem}.{_plain(file.id.removesuffix(Path(file.name).suffix))}.png"
            path = path.with_suffix(".table.png") if path in drawn else path  # it may be called raster
            save(traces(results.traces, shown).figure, path)
            drawn.append(path)
    return drawn


def _shown(results: Results, quantities: list[str]) -> list[str]:
    """What is drawn of a table: what has the first unit, MOST_LINES of it at most; nothing of a table of fields."""
    if any(quantity.startswith(("lfp", "dipole")) for quantity in quantities):
        return []
    alike = [one for one in quantities if results.traces.unit(one) == results.traces.unit(quantities[0])]
    if len(alike) <= MOST_LINES:
        return alike
    return [alike[round(n * (len(alike) - 1) / (MOST_LINES - 1))] for n in range(MOST_LINES)]


def draw_display(results: Results, display: Display) -> Figure:
    """One Display as a figure: each Line divided by its scale, time by its time scale."""
    axes = canvas()
    for line in display.lines:
        x, y = envelope(results.time / line.time_scale, results[line.quantity] / line.scale)
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
    legend(axes, len(display.lines))
    figure: Figure = axes.figure
    return figure


def draw_raster(results: Results) -> Figure:
    """All spikes of a run, over the run's time."""
    duration = results.provenance.get("duration") or (results.time[-1] if len(results.time) else None)
    axes = raster(results.spikes, float(duration) if duration else None)
    axes.set_title("spikes")
    figure: Figure = axes.figure
    return figure


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


def _plain(text: str) -> str:
    """The text as part of a file name."""
    return re.sub(r"[^\w.-]", "_", text) or "_"
