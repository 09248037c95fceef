"""Figures of fields: potentials at electrodes, current source density, dipole moments, EEG."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import analysis
from ..errors import UsageError
from ..results import Traces
from .signals import _prefixed, envelope, sampling
from .style import SIZE, canvas, color_bar, colors, legend, nothing

Floats = npt.NDArray[np.float64]
_LFP = re.compile(r"^lfp\[(\d+)\](?:/(.*))?$")
_ANGLES = (0, 30, 60, 90)  # degrees from the place above the dipole, for the traces of an EEG
_RADII = (79e3, 80e3, 85e3, 90e3)  # um: brain, fluid, skull, scalp
_DEPTH = 2e3  # um of a dipole below the surface of the brain


def potentials(data: Traces, part: str | None = None) -> Floats:
    """The recorded potentials (contacts, n), V, in the order of the contacts; ``part`` is a population or a cell.

    Raises UsageError if there are none.
    """
    found: dict[int, Floats] = {}
    parts: set[str] = set()
    for name in data:
        match = _LFP.match(name)
        if match:
            parts.add(match[2] or "")
            if match[2] == part:
                found[int(match[1])] = data[name]
    if not found:
        some = ", ".join(sorted(p for p in parts if p)[:8])
        if part is not None and parts:
            raise UsageError(f"no potentials of '{part}' were recorded; there are those of {some or 'all together'}")
        raise UsageError("no potentials were recorded (lfp[0] ...): a run records them with electrodes")
    return np.array([found[contact] for contact in sorted(found)])


def lfp(data: Traces, part: str | None = None, axes: Any = None) -> Any:
    """Potentials of the contacts over time (ms), one below the other, with a bar for their scale."""
    values = potentials(data, part)
    axes = canvas(axes, (SIZE[0], float(np.clip(1.5 + 0.35 * len(values), 4, 9))))
    axes.set_xlabel("time (ms)")
    if values.shape[1] < 2:
        return nothing(axes, "there are fewer than 2 samples: no potentials to show")
    values = values - values.mean(axis=1, keepdims=True)
    # rare spikes may reach into the next line, so that what goes on between them is seen
    usual = np.ptp(np.quantile(values, [0.002, 0.998], axis=1), axis=0)
    step = max(float(usual.max()), float(np.ptp(values, axis=1).max()) / 4) or 1.0
    for contact, series in enumerate(values):
        x, y = envelope(data.time * 1e3, series / step - contact)
        axes.plot(x, y, color=colors(1)[0], linewidth=0.8)
    every = max(1, len(values) // 20)
    axes.set_yticks(-np.arange(0, len(values), every), [str(k) for k in range(0, len(values), every)])
    axes.set_ylim(-len(values) + 0.3, 0.7)
    axes.set_ylabel("contact")
    axes.set_xlim(data.time[0] * 1e3, data.time[-1] * 1e3)
    size = 10.0 ** np.floor(np.log10(step))
    size *= max(k for k in (1, 2, 5) if k * size <= 1.01 * step)
    scale, unit = _prefixed([np.array([size])], "V")
    edge = data.time[-1] * 1e3 + 0.015 * np.ptp(data.time) * 1e3
    axes.plot([edge, edge], [-0.5 * size / step, 0.5 * size / step], color="black", linewidth=2, clip_on=False)
    axes.text(edge, 0, f"  {size / scale:g} {unit}", va="center", ha="left", fontsize="small")
    axes.set_title("extracellular potentials" + (f" of {part}" if part else ""))
    return axes


def csd(
    data: Traces, spacing: float | None, part: str | None = None, conductivity: float = 0.3, axes: Any = None
) -> Any:
    """Current source density over time (ms) and depth (um) of contacts in a line, ``spacing`` um apart.

    Sinks are blue, sources red; beyond the outer contacts the potential is taken to go on. Raises UsageError without a
    spacing, or for fewer than three contacts.
    """
    if spacing is None:
        raise UsageError("a current source density needs the distance of the contacts: --spacing UM")
    density = analysis.current_source_density(potentials(data, part), spacing, conductivity, edges=True)
    axes = canvas(axes)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("place along the contacts (um)")
    if density.shape[1] < 2:
        return nothing(axes, "there are fewer than 2 samples: no current source density")
    most = float(np.abs(density).max())
    top = max(float(np.quantile(np.abs(density), 0.99)), most / 20) or 1.0  # a few spikes do not hide the rest
    thin = max(1, density.shape[1] // 3000)  # columns that a figure can show
    depth = spacing * np.arange(len(density))
    mesh = axes.pcolormesh(data.time[::thin] * 1e3, depth, density[:, ::thin], cmap="RdBu_r", vmin=-top, vmax=top,
                           rasterized=True)  # fmt: skip
    axes.invert_yaxis()
    color_bar(axes, mesh, "current source density (A/m³)", "both" if most > top else "neither")
    axes.set_title("current source density" + (f" of {part}" if part else ""))
    return axes


def moments(data: Traces, part: str | None = None) -> Floats:
    """The recorded dipole moment (3, n), A m, of all, a population or a cell. Raises UsageError if there is none."""
    mark = f"/{part}" if part else ""
    names = [f"dipole/{axis}{mark}" for axis in "xyz"]
    if not all(name in data for name in names):
        parts = sorted(name.removeprefix("dipole/x/") for name in data if name.startswith("dipole/x/"))
        if part and parts:
            raise UsageError(f"no dipole of '{part}' was recorded; there are those of {', '.join(parts[:8])}")
        raise UsageError("no dipole was recorded (dipole/x ...): a run records it with electrodes that ask for one")
    return np.array([data[name] for name in names])


def dipole(data: Traces, part: str | None = None, axes: Any = None) -> Any:
    """The components of the current dipole moment (nA um) over time (ms)."""
    moment = moments(data, part) * 1e15
    axes = canvas(axes)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("dipole moment (nA um)")
    if moment.shape[1] < 2:
        return nothing(axes, "there are fewer than 2 samples: no dipole to show")
    for letter, series, color in zip("xyz", moment, colors(3), strict=True):
        x, y = envelope(data.time * 1e3, series)
        axes.plot(x, y, color=color, linewidth=1.0, label=letter)
    axes.set_xlim(data.time[0] * 1e3, data.time[-1] * 1e3)
    axes.set_title("current dipole moment" + (f" of {part}" if part else ""))
    legend(axes, 3)
    return axes


def eeg(data: Traces, part: str | None = None, up: str = "y", axes: Any = None) -> Any:
    """What the dipole gives on the scalp of a head of four spheres: a map at the greatest moment, and traces.

    The dipole lies 2 mm below the surface of the brain, at the top of the head, with the tissue's axis ``up`` pointing
    outwards. ``axes`` are two, or made. Returns both.
    """
    if up not in ("x", "y", "z"):
        raise UsageError(f"up is '{up}'; expected x, y or z, the axis of the tissue that points out of the head")
    turn = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}[up]
    moment = moments(data, part)[list(turn)]
    if axes is None:
        first = canvas(size=(9.5, 4.2))
        figure = first.figure
        figure.clear()
        axes = figure.subplots(1, 2, width_ratios=(1, 1.4))
        axes[1].spines[["top", "right"]].set_visible(False)
    disc, lines = axes
    lines.set_xlabel("time (ms)")
    if moment.shape[1] < 2 or not np.abs(moment).max():
        nothing(disc, "there is no dipole moment to project")
        disc.set_axis_off()
        nothing(lines, "no potentials on the scalp")
        return axes
    sampling(data)
    place = np.array([0.0, 0.0, _RADII[0] - _DEPTH])
    angle = np.deg2rad(_ANGLES)
    scalp = _RADII[-1] * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
    values = analysis.eeg(moment, place, scalp)
    scale, unit = _prefixed([values], "V")
    for degrees, series, color in zip(_ANGLES, values, colors(len(_ANGLES)), strict=True):
        x, y = envelope(data.time * 1e3, series / scale)
        lines.plot(x, y, color=color, linewidth=1.0, label=f"{degrees}°")
    lines.set_xlim(data.time[0] * 1e3, data.time[-1] * 1e3)
    lines.set_ylabel(f"potential on the scalp ({unit})")
    legend(lines, len(_ANGLES))
    peak = int(np.abs(values[0]).argmax())
    grid = np.linspace(-1, 1, 61)
    x, y = np.meshgrid(grid, grid)
    radius = np.hypot(x, y)
    inside = radius <= 1
    tilt, around = radius[inside] * np.pi / 2, np.arctan2(y[inside], x[inside])  # equal distances from the top
    # around the dipole's axis the potential is that of the upright part plus a cosine times that of the lying part
    tilts = np.linspace(0, np.pi / 2, 61)
    rim = _RADII[-1] * np.stack([np.sin(tilts), 0 * tilts, np.cos(tilts)], axis=1)
    lying, upright = (np.interp(tilt, tilts, part) for part in analysis.eeg(np.eye(3)[:, [0, 2]], place, rim).T)
    shown = np.full(x.shape, np.nan)
    p = moment[:, peak]
    shown[inside] = p[2] * upright + (p[0] * np.cos(around) + p[1] * np.sin(around)) * lying
    by, name = _prefixed([shown], "V")
    top = float(np.nanmax(np.abs(shown))) / by
    mesh = disc.pcolormesh(grid, grid, shown / by, cmap="RdBu_r", vmin=-top, vmax=top, rasterized=True)
    ring = np.linspace(0, 2 * np.pi, 200)
    disc.plot(np.cos(ring), np.sin(ring), color="black", linewidth=1)
    disc.set_aspect("equal")
    disc.set_axis_off()
    disc.set_title(f"at {data.time[peak] * 1e3:.4g} ms, seen from above")
    color_bar(disc, mesh, f"potential ({name})")
    return axes
