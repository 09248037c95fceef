"""The kinds of figures that the command line knows: what each is made from, and which function draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..graph import Network
from ..results import Results
from . import networks, signals, spikes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Options:
    """What narrows a figure: a window (s), a population, quantities, a feature, a view, a limit of frequency (Hz)."""

    start: float = 0.0
    stop: float | None = None
    population: str | None = None
    quantities: Sequence[str] = ()
    feature: str = "number"
    by: str = "population"
    view: str = "xy"
    width: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of figure: ``source`` is "spikes", "traces" or "network"; ``draw`` takes that and the options."""

    title: str
    source: str
    draw: Callable[[Any, Options], Any]


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
    "connectivity": Kind("who is connected to whom", "network",
                         lambda n, o: networks.connectivity(n, o.feature, o.by)),
    "network": Kind("where the cells are", "network", lambda n, o: networks.layout(n, o.view)),
}  # fmt: skip


def kind_named(name: str) -> Kind:
    """The kind of this name. Raises UsageError with the nearest names."""
    if name not in KINDS:
        near = get_close_matches(name, KINDS, 3) or list(KINDS)
        raise UsageError(f"there is no kind of figure '{name}'; there are {', '.join(near)}")
    return KINDS[name]


def figure(name: str, source: Results | Network, options: Options | None = None) -> Figure:
    """A figure of one kind, drawn from results or from a network, as the kind needs.

    Raises UsageError where the source is not what the kind is made from.
    """
    kind, options = kind_named(name), options or Options()
    wanted = "a model" if kind.source == "network" else "results of a run"
    if isinstance(source, Network) != (kind.source == "network"):
        raise UsageError(f"the figure '{name}' is made from {wanted}")
    data: Any = source
    if isinstance(source, Results):
        data = source.spikes if kind.source == "spikes" else _window(source, options)
        if kind.source == "spikes" and options.stop is None and (duration := source.provenance.get("duration")):
            options = Options(**{**options.__dict__, "stop": float(duration)})
    drawn: Figure = kind.draw(data, options).figure
    return drawn


def _window(results: Results, options: Options) -> Any:
    """The traces from start to stop."""
    import numpy as np

    from ..results import Traces

    data = results.traces
    stop = np.inf if options.stop is None else options.stop
    low, high = np.searchsorted(data.time, [options.start, stop])
    if low == 0 and high == len(data.time):
        return data
    return Traces(data.time[low:high], data.values[:, low:high], data.quantities, data.units)
