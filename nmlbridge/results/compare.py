"""How far two results are from each other, in the measures of the field, and whether that is near enough.

Traces: root mean square and largest difference, relative to the range of the first one. Spike trains: number, largest
shift of the n-th spike, coincidence factor Γ (Kistler, Gerstner & van Hemmen 1997, Neural Comput 9:1015), and by
elephant the distances of Victor & Purpura (1996, J Neurophysiol 76:1310) and van Rossum (2001, Neural Comput 13:751).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import UsageError
from ..extras import require
from .paths import canonical
from .results import Results


@dataclass(frozen=True)
class Limits:
    """What is near enough; None does not ask.

    ``rms``: root mean square of a trace's difference, relative to the range of the first one. ``shift`` (s): every
    spike within so much of its counterpart, and as many of them. ``coincidence``: least Γ of a cell. ``victor_purpura``
    and ``van_rossum``: largest distance of a cell. ``rate``: largest relative difference of a population's spike count.
    """

    rms: float | None = 1e-3
    shift: float | None = 1e-4
    coincidence: float | None = None
    victor_purpura: float | None = None
    van_rossum: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Scales:
    """Time scales of the measures, s: half window of a coincidence, cost of moving a spike, kernel of van Rossum."""

    window: float = 2e-3
    cost: float = 10e-3
    kernel: float = 10e-3


@dataclass(frozen=True)
class TraceDifference:
    """One quantity: rms and largest difference in its own unit, and rms relative to the range of the first."""

    quantity: str
    unit: str
    rms: float
    largest: float
    relative: float
    passed: bool


@dataclass(frozen=True)
class TrainDifference:
    """One cell: its spikes in both, and the measures between them (None where they were not asked for or do not exist).

    ``shift`` (s) exists if there are as many spikes in both.
    """

    population: str
    index: int
    first: int
    second: int
    shift: float | None
    coincidence: float | None
    victor_purpura: float | None = None
    van_rossum: float | None = None
    passed: bool = True


@dataclass(frozen=True)
class Comparison:
    """All differences. ``alone`` are quantities and populations that only one of the two has."""

    traces: tuple[TraceDifference, ...]
    trains: tuple[TrainDifference, ...]
    rates: dict[str, tuple[int, int, bool]] = field(default_factory=dict)
    alone: tuple[str, ...] = ()
    strict: bool = False

    @property
    def passed(self) -> bool:
        """Whether everything that was compared is within the limits, and something was."""
        parts = [*(t.passed for t in self.traces), *(t.passed for t in self.trains),
                 *(ok for *_, ok in self.rates.values())]  # fmt: skip
        return bool(parts) and all(parts) and not (self.strict and self.alone)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "passed": self.passed, "traces": [asdict(t) for t in self.traces],
            "trains": [asdict(t) for t in self.trains], "alone": list(self.alone),
            "populations": {n: {"first": a, "second": b, "passed": ok} for n, (a, b, ok) in self.rates.items()},
        }  # fmt: skip


def compare_results(
    first: Results, second: Results, limits: Limits | None = None, scales: Scales | None = None, *,
    distances: bool = False, strict: bool = False,
) -> Comparison:  # fmt: skip
    """Compare what both have: traces by path, in either spelling; spikes by population and index.

    The second's traces are interpolated at the times of the first within the span of both. ``distances`` computes
    Victor-Purpura and van Rossum also where no limit asks for them; that, or such a limit, needs elephant (UsageError
    without). ``strict`` fails what only one of the two has. Raises UsageError if they have nothing in common.
    """
    limits, scales = limits or Limits(), scales or Scales()
    ours = {canonical(q): row for row, q in enumerate(first.traces)}
    theirs = {canonical(q): row for row, q in enumerate(second.traces)}
    alone = [q for q in ours if q not in theirs] + [q for q in theirs if q not in ours]
    traces = [_trace(first, ours[q], second, theirs[q], limits) for q in ours if q in theirs]
    trains, rates, missing = _trains(first, second, limits, scales, distances)
    if not traces and not rates:
        raise UsageError(
            "the two have no trace and no population in common; their names must agree: "
            f"{_some(first)} and {_some(second)}"
        )
    return Comparison(tuple(traces), tuple(trains), rates, tuple(alone + missing), strict)


def _some(results: Results) -> str:
    names = [*results.traces.quantities[:2], *list(results.spikes.populations)[:2]]
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _trace(first: Results, row: int, second: Results, other_row: int, limits: Limits) -> TraceDifference:
    time, values, other = first.time, first.traces.values[row], second.traces.values[other_row]
    a, unit = first.traces.quantities[row], first.traces.units[row] or second.traces.units[other_row]
    if not np.array_equal(time, second.time):
        slack = 1e-9 * max(float(np.ptp(time)), 1e-12)
        inside = (time >= second.time[0] - slack) & (time <= second.time[-1] + slack)
        other = np.interp(time[inside], second.time, other)
        values = values[inside]
    if not len(values):
        return TraceDifference(a, unit, math.nan, math.nan, math.nan, False)
    # what is not finite in both at once is equal
    both = np.isnan(values) & np.isnan(other) | (values == other)
    with np.errstate(invalid="ignore"):
        gap = np.where(both, 0.0, np.abs(values - other))
    rms, largest = float(np.sqrt(np.mean(gap**2))), float(gap.max())
    span = float(np.ptp(values)) or float(np.abs(values).max()) or 1.0
    passed = limits.rms is None or bool(rms <= limits.rms * span)
    return TraceDifference(a, unit, rms, largest, rms / span, passed)


def _trains(
    first: Results, second: Results, limits: Limits, scales: Scales, distances: bool
) -> tuple[list[TrainDifference], dict[str, tuple[int, int, bool]], list[str]]:
    ours, theirs = first.spikes.populations, second.spikes.populations
    common = [name for name in ours if name in theirs]
    missing = [f"population {n}" for n in (*ours, *theirs) if n not in common]
    end = max(float(r.provenance.get("duration") or 0) for r in (first, second))
    end = max([end, *first.spikes.time[-1:].tolist(), *second.spikes.time[-1:].tolist()])
    trains, rates = [], {}
    for name in common:
        size = max(ours[name][1], theirs[name][1])
        a, b = _split(first, name, size), _split(second, name, size)
        for index in range(size):
            if len(a[index]) or len(b[index]):
                trains.append(_train(name, index, a[index], b[index], limits, scales, distances, end))
        counts = sum(map(len, a)), sum(map(len, b))
        near = limits.rate is None or abs(counts[1] - counts[0]) <= limits.rate * counts[0]
        rates[name] = (*counts, near)
    return trains, rates, missing


def _split(results: Results, population: str, size: int) -> list[np.ndarray]:
    """The spike times of each cell of a population."""
    first = results.spikes.populations[population][0]
    order = np.argsort(results.spikes.gid, kind="stable")
    gid, time = results.spikes.gid[order], results.spikes.time[order]
    own = results.spikes.populations[population][1]
    edges = np.searchsorted(gid, np.arange(first, first + own + 1))
    return [time[edges[i] : edges[i + 1]] if i < own else time[:0] for i in range(size)]


def _train(
    population: str, index: int, a: np.ndarray, b: np.ndarray, limits: Limits, scales: Scales, distances: bool,
    end: float,
) -> TrainDifference:  # fmt: skip
    shift = float(np.max(np.abs(a - b), initial=0.0)) if len(a) == len(b) else None
    gamma = coincidence(a, b, scales.window, end)
    found = TrainDifference(population, index, len(a), len(b), shift, gamma)
    if distances or limits.victor_purpura is not None or limits.van_rossum is not None:
        purpura, rossum = spike_distances(a, b, scales, end)
        found = replace(found, victor_purpura=purpura, van_rossum=rossum)
    checks = [
        # a time written with ten digits may be off by half of the last one
        limits.shift is None or (shift is not None and shift <= limits.shift * (1 + 1e-9) + 1e-12),
        limits.coincidence is None or (gamma is not None and gamma >= limits.coincidence),
        limits.victor_purpura is None or (found.victor_purpura or 0.0) <= limits.victor_purpura,
        limits.van_rossum is None or (found.van_rossum or 0.0) <= limits.van_rossum,
    ]
    return replace(found, passed=all(checks))


def coincidence(a: np.ndarray, b: np.ndarray, window: float, duration: float) -> float | None:
    """Γ of two sorted trains (s): 1 if each spike has its own within ±``window``, 0 as by chance; None without spikes.

    Γ = (N_coinc - 2 ν Δ N_a) / (½ (N_a + N_b)) / (1 - 2 ν Δ), with ν the rate of b (Kistler et al. 1997, eq. 5).
    """
    if not len(a) and not len(b):
        return None
    hits, at = 0, 0
    for time in a.tolist():
        while at < len(b) and b[at] < time - window:
            at += 1
        if at < len(b) and b[at] <= time + window:
            hits += 1
            at += 1  # a spike is the counterpart of one only
    by_chance = 2 * len(b) / duration * window if duration > 0 else 0.0
    if by_chance >= 1:
        return None  # so many spikes that each has one within the window by chance
    return (hits - by_chance * len(a)) / (0.5 * (len(a) + len(b))) / (1 - by_chance)


def spike_distances(a: np.ndarray, b: np.ndarray, scales: Scales, duration: float) -> tuple[float, float]:
    """(Victor-Purpura, van Rossum) of two trains (s), by elephant. Raises UsageError without it."""
    measures: Any = require("elephant.spike_train_dissimilarity", "analysis", "distances of spike trains")
    neo: Any = require("neo", "analysis", "distances of spike trains")
    pq: Any = require("quantities", "analysis", "distances of spike trains")
    if not len(a) and not len(b):
        return 0.0, 0.0
    trains = [neo.SpikeTrain(t * pq.s, t_start=min(0.0, *t[:1], 0.0) * pq.s, t_stop=duration * pq.s) for t in (a, b)]
    purpura = measures.victor_purpura_distance(trains, 1.0 / (scales.cost * pq.s))
    rossum = measures.van_rossum_distance(trains, scales.kernel * pq.s)
    return float(purpura[0, 1]), float(rossum[0, 1])
