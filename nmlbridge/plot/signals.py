"""Figures of signals over time and frequency: traces, spectra, coherence, phase planes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import analysis
from ..errors import UsageError
from ..results import Traces
from .style import canvas, color_bar, colors, legend, nothing, short

Floats = npt.NDArray[np.float64]
_MOST_POINTS = 20_000  # a line: more than a figure of this size can show
_LONG_NUMBER = re.compile(r"\d+\.\d{5,}")  # a place on a section, to the last digit
MOST_LINES = 14  # traces that are drawn where none is named
_PREFIXES = ((1e-12, "p"), (1e-9, "n"), (1e-6, "u"), (1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M"))


def traces(data: Traces, quantities: Sequence[str] = (), axes: Any = None) -> Any:
    """Quantities over time (ms), in a unit with the prefix that suits their size. Returns the axes.

    Without names the first 14 that share the unit of the first are drawn. Quantities of
    different units are drawn in SI, with the units in the legend.
    Raises UsageError for a name that was not recorded.
    """
    axes = canvas(axes)
    chosen = _chosen(data, quantities)
    axes.set_xlabel("time (ms)")
    if not chosen or not len(data.time):
        return nothing(axes, "no traces were recorded")
    if len(data.time) < 2:
        return nothing(axes, f"there is one sample, at {data.time[0] * 1e3:g} ms: no trace to draw")
    units = {data.unit(name) for name in chosen}
    scale, label = _prefixed([data[name] for name in chosen], units.pop()) if len(units) == 1 else (1.0, "SI")
    for name, color in zip(chosen, colors(len(chosen)), strict=True):
        x, y = envelope(data.time * 1e3, data[name] / scale)
        axes.plot(x, y, color=color, linewidth=1.0, label=name + (f" ({data.unit(name)})" if label == "SI" else ""))
    axes.set_ylabel(label or "value")
    axes.set_xlim(data.time[0] * 1e3, data.time[-1] * 1e3)
    if len(chosen) == 1:
        axes.set_title(short(_LONG_NUMBER.sub(lambda found: f"{float(found[0]):.4g}", chosen[0]), 80))
    legend(axes, len(chosen))
    return axes


def spectrum(
    data: Traces, quantities: Sequence[str] = (), segment: float | None = None, limit: float | None = None,
    axes: Any = None,
) -> Any:  # fmt: skip
    """Power spectral densities (Welch) against frequency (Hz), on a logarithmic axis, up to ``limit`` Hz."""
    axes = canvas(axes)
    axes.set_xlabel("frequency (Hz)")
    chosen = _chosen(data, quantities)
    if len(data.time) < 8 or not chosen:
        return nothing(axes, "there are fewer than 8 samples: no spectrum")
    rate = sampling(data)
    units = {data.unit(name) for name in chosen}
    top = limit or min(rate / 2, 500.0)
    for name, color in zip(chosen, colors(len(chosen)), strict=True):
        frequency, density = analysis.power_spectrum(data[name], rate, segment)
        seen = (frequency > 0) & (frequency <= top) & (density > 0)
        axes.plot(frequency[seen], density[seen], color=color, linewidth=1.2, label=name)
    if not any(len(line.get_xdata()) for line in axes.lines):
        return nothing(axes, f"no power up to {top:g} Hz: the signals are constant or too short")
    axes.set_yscale("log")
    axes.set_xlim(0, top)
    axes.set_ylabel(f"power ({u}²/Hz)" if len(units) == 1 and (u := units.pop()) else "power (SI²/Hz)")
    legend(axes, len(chosen))
    return axes


def spectrogram(
    data: Traces, quantity: str, segment: float | None = None, limit: float | None = None, axes: Any = None
) -> Any:
    """Power of one quantity by time (ms) and frequency (Hz), in decibels of its unit squared per Hz."""
    axes = canvas(axes)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("frequency (Hz)")
    _chosen(data, (quantity,))
    if len(data.time) < 16:
        return nothing(axes, "there are fewer than 16 samples: no spectrogram")
    rate = sampling(data)
    length = segment or max(16 / rate, (data.time[-1] - data.time[0]) / 20)
    frequency, time, power = analysis.spectrogram(data[quantity], rate, length)
    top = limit or min(rate / 2, 500.0)
    seen = frequency <= max(top, frequency[min(2, len(frequency) - 1)])
    level = 10 * np.log10(np.maximum(power[seen], power.max() * 1e-12 if power.any() else 1e-300))
    mesh = axes.pcolormesh((time + data.time[0]) * 1e3, frequency[seen], level, cmap="viridis", rasterized=True)
    axes.set_ylim(bottom=0)
    color_bar(axes, mesh, f"power (dB of {data.unit(quantity) or '1'}²/Hz)")
    axes.set_title(short(quantity, 80))
    return axes


def coherence(
    data: Traces, first: str, second: str, segment: float | None = None, limit: float | None = None, axes: Any = None
) -> Any:
    """Magnitude-squared coherence of two quantities against frequency (Hz)."""
    axes = canvas(axes)
    _chosen(data, (first, second))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("coherence")
    if len(data.time) < 16:
        return nothing(axes, "there are fewer than 16 samples: no coherence")
    rate = sampling(data)
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency, value = analysis.coherence(data[first], data[second], rate, segment)
    if not np.isfinite(value).any():
        return nothing(axes, "one of the signals is constant: no coherence")
    top = limit or min(rate / 2, 500.0)
    seen = frequency <= top
    axes.plot(frequency[seen], value[seen], color=colors(1)[0], linewidth=1.2)
    axes.set_xlim(0, top)
    axes.set_ylim(0, 1.02)
    axes.set_title(f"{short(first, 40)} and {short(second, 40)}")
    return axes


def phase_plane(data: Traces, x: str, y: str | None = None, axes: Any = None) -> Any:
    """One quantity against another; without ``y`` against its own rate of change, as is usual for spikes."""
    axes = canvas(axes, (5.5, 4.5))
    _chosen(data, (x, y) if y else (x,))
    if len(data.time) < 3:
        return nothing(axes, "there are fewer than 3 samples: no phase plane")
    scale, label = _prefixed([data[x]], data.unit(x))
    first = data[x] / scale
    if y:
        other, unit = _prefixed([data[y]], data.unit(y))
        second, name = data[y] / other, f"{short(y)} ({unit})" if unit else short(y)
    else:
        second, name = np.gradient(first, data.time * 1e3), f"rate of change ({label or '1'}/ms)"
    axes.plot(first, second, color=colors(1)[0], linewidth=0.9)
    axes.plot(first[:1], second[:1], "o", color=colors(2)[1], markersize=4, label="start")
    axes.set_xlabel(f"{short(x)} ({label})" if label else short(x))
    axes.set_ylabel(name)
    axes.legend(frameon=False, fontsize="small")
    return axes


def sampling(data: Traces) -> float:
    """Samples a second. Raises UsageError where the steps of time are not equal."""
    steps = np.diff(data.time)
    if not np.allclose(steps, steps[0], rtol=1e-3, atol=1e-12):
        raise UsageError("the samples are not at equal steps of time; a spectrum needs that (record with a fixed dt)")
    return float((len(data.time) - 1) / (data.time[-1] - data.time[0]))


def envelope(x: Floats, y: Floats) -> tuple[Floats, Floats]:
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


def _chosen(data: Traces, quantities: Sequence[str]) -> list[str]:
    for name in quantities:
        try:
            data.row(name)
        except KeyError as lost:
            raise UsageError(str(lost.args[0])) from None
    if quantities or not len(data):
        return list(quantities)
    return [name for name, unit in zip(data, data.units, strict=True) if unit == data.units[0]][:MOST_LINES]


def _prefixed(values: Sequence[Floats], unit: str) -> tuple[float, str]:
    """The scale and the unit that make the largest value a number from 1 to 1000."""
    if unit == "mol/m3":  # which people write as mM
        scale, unit = _prefixed([part * 1e-3 for part in values], "M")
        return scale * 1e3, unit
    largest = max((float(np.abs(part[np.isfinite(part)]).max(initial=0.0)) for part in values), default=0.0)
    if not unit or not largest or not unit.isalpha():
        return 1.0, unit
    if unit == "V" and 1e-3 <= largest < 1:
        return 1e-3, "mV"
    for scale, prefix in reversed(_PREFIXES):
        if largest >= scale * (1 - 1e-9):
            return scale, prefix + unit
    return 1.0, unit
