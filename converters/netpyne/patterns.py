"""spikePattern of VecStim populations: the drives of NetPyNE's cell/inputs.py, with its random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...units import nearest
from .instance import Cell
from .streams import Floats, of_text

if TYPE_CHECKING:
    from .rules import Model

_MOST = 10_000_000  # events of one pattern
_NOTHING = object()


class Pattern:
    """The words of one pattern. Raises NetworkError for what is missing or no number."""

    def __init__(self, model: Model, cell: Cell, label: str) -> None:
        self.model, self.label = model, label
        self.given: Mapping[str, Any] = cell.params["spikePattern"]
        if not isinstance(self.given, Mapping):
            raise model.error(f"popParams.{label}.spikePattern: expected an object with a type")
        first = of_text("vecstim_spikePattern")
        seed = cell.params["seed"]
        ids = (first, seed, 0) if self.given.get("sync") else (first, cell.gid, seed)
        self.stream = model.stream("pattern", *ids)

    def number(self, name: str, usual: Any = _NOTHING) -> float:
        """One of its numbers."""
        value = self.given.get(name, usual)
        if value is _NOTHING:
            raise self.model.error(f"popParams.{self.label}.spikePattern: '{name}' is missing")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.model.error(f"popParams.{self.label}.spikePattern.{name} is {value!r:.40}; expected a number")
        return float(value)

    def count(self, events: float) -> int:
        """A number of events that memory has room for."""
        if not 0 <= events <= _MOST:
            raise self.model.error(f"popParams.{self.label}.spikePattern asks for {events:g} events of one cell")
        return int(events)


def events_of(model: Model, cell: Cell, label: str) -> Floats:
    """The times (ms) of one cell's events, before they are sorted and cut."""
    pattern = Pattern(model, cell, label)
    kind = pattern.given.get("type")
    if kind not in _KINDS:
        raise model.error(f"popParams.{label}.spikePattern: there is no type {kind!r:.40}{nearest(str(kind), _KINDS)}; "
                          f"there are {', '.join(_KINDS)}")  # fmt: skip
    return _KINDS[kind](pattern)


def _rhythmic(pattern: Pattern) -> Floats:
    """Cycles of a frequency, each of ``repeats`` events spread about it or of pairs 10 ms apart."""
    start, stream = pattern.number("start"), pattern.stream
    stop = pattern.number("stop" if "stop" in pattern.given else "tstop")
    if start == -1:
        start = stream.uniform(pattern.number("startMin", 25.0), pattern.number("startMax", 125.0))
    elif pattern.number("startStd", -1.0) > 0:
        start = stream.normal(start, pattern.number("startStd"))
    frequency, kind = pattern.number("freq", 0.0), pattern.given.get("distribution", "normal")
    spread, each = pattern.number("freqStd", 0.0), pattern.number("eventsPerCycle", 2)
    if not frequency or stop <= start:
        return np.empty(0)
    if kind == "normal":
        pattern.count((stop - start) * abs(frequency) / 1000)
        times = np.arange(start, stop, 1000.0 / frequency)
        if spread:
            repeats = int(pattern.number("repeats"))
            pattern.count(repeats * len(times))
            times = np.repeat(times, repeats)
            times = stream.normals(0, spread * spread, len(times)) + times
    elif kind == "uniform":
        count = pattern.count(pattern.number("repeats") * frequency * (stop - start) / 1000.0)
        stream.next()
        times = start + (stop - start) * stream.many(count)
    else:
        raise pattern.model.error(f"popParams.{pattern.label}.spikePattern.distribution is {kind!r:.40}; expected "
                                  "normal or uniform")  # fmt: skip
    if each != 1:
        times = np.append(times - 5, times + 5)
    return times[times > 0]


def _evoked(pattern: Pattern) -> Floats:
    """A volley. What is called a deviation is a variance, as NetPyNE hands it to NEURON."""
    start, spread = pattern.number("start"), pattern.number("startStd")
    count = pattern.count(pattern.number("numspikes"))
    times = pattern.stream.normals(start, spread, count) if spread else np.full(count, start)
    return times[times > 0]


def _poisson(pattern: Pattern) -> Floats:
    """A Poisson train; NetPyNE leaves out its first event."""
    rate, stop, at = pattern.number("frequency"), pattern.number("stop"), pattern.number("start")
    if stop == -1:
        stop = float(pattern.model.config.get("duration", 1000.0))
    found: list[float] = []
    while rate > 0:
        at += -1000.0 * math.log(1.0 - pattern.stream.next()) / rate
        if not at < stop:
            break
        found.append(at)
    pattern.count(len(found))
    return np.array(found[0 if pattern.model.own else 1 :])


def _gauss(pattern: Pattern) -> Floats:
    """Fifty events about a time."""
    times = pattern.stream.normals(pattern.number("mu"), pattern.number("sigma"), 50)
    return times[times > 0]


_KINDS: dict[str, Callable[[Pattern], Floats]] = {
    "rhythmic": _rhythmic, "evoked": _evoked, "poisson": _poisson, "gauss": _gauss,
}  # fmt: skip
