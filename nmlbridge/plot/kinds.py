"""The kinds of figures that the command line knows: what each is made from, and which function draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import analysis
from ..errors import UsageError
from ..graph import NativeCell, Network
from ..lems import load_core
from ..results import Results, Traces
from . import cells, fields, networks, signals, spikes
from .chord import chord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Options:
    """What narrows a figure.

    A window (s), a population, a selection of cells (``analysis.select``), quantities, a feature, a view, a width (s),
    a limit of frequency (Hz); ``part`` of the network whose field is meant, ``spacing`` of contacts (um), ``up``, the
    axis out of the head; a ``channel`` and the ``temperature`` of its kinetics (degC); ``color`` of a shape, its cell
    ``row`` and the ``time`` (s) of its values.
    """

    start: float = 0.0
    stop: float | None = None
    population: str | None = None
    quantities: Sequence[str] = ()
    feature: str = "number"
    by: str = "population"
    view: str = "xy"
    width: float | None = None
    limit: float | None = None
    include: Sequence[Any] = ()
    part: str | None = None
    spacing: float | None = None
    up: str = "y"
    channel: str | None = None
    temperature: float = 6.3
    color: str = "path"
    row: int = 0
    time: float | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of figure: ``source`` is "spikes", "traces" or "network"; ``draw`` takes that and the options.

    With ``also`` the figure of a network may take results too: ``draw`` gets them as the third argument, or None.
    """

    title: str
    source: str
    draw: Callable[..., Any]
    also: bool = False


def _several(count: int, options: Options, data: Any) -> list[str]:
    names = list(options.quantities) or list(data)[:count]
    if len(names) < count:
        raise UsageError(f"this figure needs {count} recorded quantities; there are {len(names)}")
    return names[:count]


def _raster(data: Any, o: Options) -> Any:
    return spikes.raster_with_rate(data, o.stop, o.start, o.population, o.width)[0]


def _coherence(data: Any, o: Options) -> Any:
    first, second = _several(2, o, data)
    return signals.coherence(data, first, second, o.width, o.limit)


def _morphology(network: Network, o: Options, results: Results | None = None) -> Any:
    if results is None or not len(results.traces):
        return cells.morphology(network, o.population, o.color, o.view, o.row)
    data = results.traces
    when = len(data.time) - 1 if o.time is None else int(np.argmin(np.abs(data.time - o.time)))
    recorded = {name: float(data[name][when]) for name in data}
    unit = next((data.unit(name) for name in data if name.endswith(f"/{o.color}")), "")
    axes = cells.morphology(network, o.population, o.color, o.view, o.row, recorded, unit)
    if o.color not in cells.COLORINGS:
        axes.set_title(f"{axes.get_title()} at {data.time[when] * 1e3:.6g} ms")
    return axes


def _kinetics(network: Network, o: Options) -> Any:
    """Of a LEMS channel by its equations, of a mechanism of NEURON by measuring it."""
    from ..simulator.kinetics import mechanism_kinetics, suffixes

    known = analysis.channels(network)
    inserted = [name for cell in network.native.values() if isinstance(cell, NativeCell)
                for section in cell.sections for name in section.mechanisms]  # fmt: skip
    compiled = list(dict.fromkeys([*inserted, *suffixes(network.mods)]))
    wanted = o.channel or next(iter([*known, *compiled]), None)
    if wanted is None:
        raise UsageError("the model has no channels: there are no kinetics to draw")
    if wanted in known:
        library = load_core().extended(network.components)
        given = {"temperature": o.temperature + 273.15}
        return cells.kinetics(analysis.channel_kinetics(known[wanted], library, given=given))[0]
    if wanted not in compiled and o.channel != "hh":
        raise UsageError(f"there is no channel '{wanted}'; there are {', '.join([*known, *compiled])}")
    return cells.kinetics(mechanism_kinetics(wanted, mods=network.mods, temperature=o.temperature))[0]


KINDS = {
    "raster": Kind("spikes, and the rate of each population below", "spikes", _raster),
    "rate": Kind("rate of each population over time", "spikes",
                 lambda d, o: spikes.rate(d, o.stop, o.start, o.population, o.width)),
    "rates": Kind("mean rate of each population", "spikes", lambda d, o: spikes.rate_bars(d, o.stop, o.start)),
    "rate-distribution": Kind("rates of the cells", "spikes",
                              lambda d, o: spikes.rate_distribution(d, o.stop, o.start)),
    "intervals": Kind("intervals between spikes", "spikes",
                      lambda d, o: spikes.intervals(d, o.stop, o.start, o.population)),
    "traces": Kind("recorded quantities over time", "traces", lambda d, o: signals.traces(d, o.quantities)),
    "spectrum": Kind("power by frequency", "traces",
                     lambda d, o: signals.spectrum(d, o.quantities, o.width, o.limit)),
    "spectrogram": Kind("power by frequency and time", "traces",
                        lambda d, o: signals.spectrogram(d, _several(1, o, d)[0], o.width, o.limit)),
    "coherence": Kind("coherence of two quantities", "traces",
                      _coherence),
    "phase-plane": Kind("a quantity against another, or against its rate of change", "traces",
                        lambda d, o: signals.phase_plane(d, *(list(o.quantities)[:2] or _several(1, o, d)))),
    "lfp": Kind("extracellular potentials, contact by contact", "traces", lambda d, o: fields.lfp(d, o.part)),
    "csd": Kind("current source density by time and depth", "traces", lambda d, o: fields.csd(d, o.spacing, o.part)),
    "dipole": Kind("current dipole moment over time", "traces", lambda d, o: fields.dipole(d, o.part)),
    "eeg": Kind("the dipole's potentials on the scalp", "traces", lambda d, o: fields.eeg(d, o.part, o.up)[0]),
    "connectivity": Kind("who is connected to whom", "network",
                         lambda n, o: networks.connectivity(n, o.feature, o.by)),
    "chord": Kind("who is connected to whom, around a circle", "network", lambda n, o: chord(n, o.feature)),
    "network": Kind("where the cells are", "network", lambda n, o: networks.layout(n, o.view)),
    "morphology": Kind("shape of a cell, coloured by what varies along it", "network", _morphology, also=True),
    "kinetics": Kind("activation and time constants of a channel", "network", _kinetics),
}  # fmt: skip


def kind_named(name: str) -> Kind:
    """The kind of this name. Raises UsageError with the nearest names."""
    if name not in KINDS:
        near = get_close_matches(name, KINDS, 3) or list(KINDS)
        raise UsageError(f"there is no kind of figure '{name}'; there are {', '.join(near)}")
    return KINDS[name]


def figure(
    name: str, source: Results | Network, options: Options | None = None, results: Results | None = None
) -> Figure:
    """A figure of one kind, drawn from results or from a network, as the kind needs.

    ``results`` are for a figure of a network that may show something recorded. Raises UsageError where the source is
    not what the kind is made from.
    """
    kind, options = kind_named(name), options or Options()
    wanted = "a model" if kind.source == "network" else "results of a run"
    if isinstance(source, Network) != (kind.source == "network"):
        raise UsageError(f"the figure '{name}' is made from {wanted}")
    data: Any = source
    if isinstance(source, Results):
        data = source.spikes if kind.source == "spikes" else _window(source, options)
        if kind.source == "spikes" and options.stop is None and (duration := source.provenance.get("duration")):
            options = replace(options, stop=float(duration))
        if kind.source == "spikes" and options.include:
            data = analysis.select(data, options.include)[0]
    drawn: Figure = (kind.draw(data, options, results) if kind.also else kind.draw(data, options)).figure
    return drawn


def _window(results: Results, options: Options) -> Any:
    """The traces from start to stop."""
    data = results.traces
    stop = np.inf if options.stop is None else options.stop
    low, high = np.searchsorted(data.time, [options.start, stop])
    if low == 0 and high == len(data.time):
        return data
    return Traces(data.time[low:high], data.values[:, low:high], data.quantities, data.units)
