"""The events of hnn-core's drives, drawn as hnn-core draws them: numpy's Mersenne Twister, seeded for each source.

Its streams are frozen (https://numpy.org/neps/nep-0019-rng-policy.html), so the times are those of hnn-core.
"""

from __future__ import annotations

import numpy as np

from ...errors import UnsupportedError
from ...graph.columns import Floats
from .part import Part

LONGEST = 10_000.0
"""ms, where a drive ends that says no end. All draws are in the order of time: a longer drive begins like a shorter."""
_MOST = 1_000_000  # events of one source


def times_of(drive: Part, source: int, target: str) -> Floats:
    """The events (ms) of one source of a drive in its first trial; ``target`` is the cell type that it acts on."""
    kind, dynamics = drive.text("type"), drive.part("dynamics")
    seed = drive.whole("event_seed")
    if seed + source >= 2**32:
        raise drive.error(f"event_seed is {seed}; with the number of the source it must be below 2**32")
    own, common = np.random.RandomState(seed + source), np.random.RandomState(seed)
    if kind in ("evoked", "gaussian"):
        count = dynamics.whole("numspikes")
        _few(dynamics, count)
        found = own.normal(dynamics.number("mu"), _spread(dynamics, "sigma"), count)
    elif kind == "poisson":
        found = _poisson(dynamics, target, own)
    elif kind == "bursty":
        found = _bursts(dynamics, own, common)
    elif kind == "spike_train":
        times, gids = dynamics.numbers("times", -1), dynamics.numbers("gids", -1)
        if len(times) != len(gids):
            raise dynamics.error(f"there are {len(times)} times and {len(gids)} gids")
        return np.sort(times[gids == source])
    else:
        raise UnsupportedError(f"{drive.file}: {drive.name}: drives of the type '{kind}' are not supported; there are "
                               "evoked, gaussian, poisson, bursty, spike_train")  # fmt: skip
    return np.sort(found[found > 0])


def _few(dynamics: Part, count: float) -> None:
    if not count <= _MOST:
        raise dynamics.error(f"one source would have {count:.3g} events; {_MOST} are the most")


def _spread(dynamics: Part, key: str) -> float:
    value = dynamics.number(key)
    if value < 0:
        raise dynamics.error(f"'{key}' is {value:g}; it must be 0 or more")
    return value


def _poisson(dynamics: Part, target: str, own: np.random.RandomState) -> Floats:
    if isinstance(dynamics.entry("rate_constant"), dict):
        rates = dynamics.part("rate_constant")
        if target not in rates.data:
            return np.zeros(0)
        rate = rates.number(target)
    else:
        rate = dynamics.number("rate_constant")
    start, end = dynamics.number("tstart"), dynamics.number("tstop", LONGEST)
    if rate <= 0:
        raise dynamics.error(f"the rate is {rate:g} Hz; it must be more than 0")
    _few(dynamics, rate * (end - start) / 1000)
    found: list[float] = []
    now = start
    while now < end:
        now += own.exponential(1 / rate) * 1000
        found.append(now)
    return np.array(found[:-1])


def _bursts(dynamics: Part, own: np.random.RandomState, common: np.random.RandomState) -> Floats:
    start, late = dynamics.number("tstart"), dynamics.number("tstart_std")
    rate, size, gap = dynamics.number("burst_rate"), dynamics.whole("numspikes"), dynamics.number("spike_isi")
    if rate <= 0:
        raise dynamics.error(f"burst_rate is {rate:g} Hz; it must be more than 0")
    end = dynamics.number("tstop", LONGEST)
    _few(dynamics, size * (end - start) * rate / 1000)
    if late > 0:  # the same for all sources of the drive
        start = common.normal(start, late)
    bursts = own.normal(np.arange(start, end, 1000 / rate), _spread(dynamics, "burst_std"))
    if size < 2:
        return bursts
    places = (np.arange(size) - (size - 1) / 2) * gap
    return (bursts[:, None] + places).ravel()
