"""Statistics of spikes: arrays in, arrays out, linear in the number of spikes.

A population is a name of ``spikes.populations``, None all cells that any population has. A window is ``start <= t <
stop`` in s. Results per cell are in the order of the gids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require
from ..results import SpikeTrains

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


Item = str | int | tuple[str, int | Sequence[int]]
_CELL = re.compile(r"(.+)\[(-?\d+)\]")


def select(spikes: SpikeTrains, include: Item | Sequence[Item] = "all") -> tuple[SpikeTrains, Ints]:
    """Some cells alone: their trains, with the cells numbered anew from 0 by their gids, and the gids that they had.

    ``include`` is one of, or a list of: "all" (as NetPyNE's "allCells" and "eachPop"), a population, a gid, "pop[3]",
    ("pop", 3), ("pop", [0, 2]); an index below 0 counts from the end. Populations without a chosen cell are left out.
    Raises UsageError for what is not there.
    """
    chosen: list[Ints] = []
    for item in [include] if isinstance(include, (str, int, tuple)) else include:
        chosen.append(_gids(spikes, item))
    gids = np.unique(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)
    populations, first = {}, 0
    for name, (start, size) in sorted(spikes.populations.items(), key=lambda entry: entry[1]):
        count = int(np.searchsorted(gids, start + size) - np.searchsorted(gids, start))
        if count:
            populations[name] = (first, count)
            first += count
    if len(spikes) and len(gids):
        row = np.searchsorted(gids, spikes.gid)
        mine = gids[np.minimum(row, len(gids) - 1)] == spikes.gid
        return SpikeTrains(row[mine], spikes.time[mine], populations), gids
    return SpikeTrains(np.empty(0, np.int64), np.empty(0), populations), gids


def _gids(spikes: SpikeTrains, item: Item) -> Ints:
    """The gids that an item of ``select`` means."""
    known = spikes.populations
    if item in ("all", "allCells", "eachPop") and item not in known:
        spans = [np.arange(first, first + size) for first, size in known.values()]
        return np.concatenate(spans) if spans else np.unique(spikes.gid)
    if isinstance(item, int):
        if known and not any(first <= item < first + size for first, size in known.values()):
            raise UsageError(f"there is no cell of the number {item}")
        return np.array([item], np.int64)
    name, index = (item, None) if isinstance(item, str) else item
    if name not in known and (match := _CELL.fullmatch(name)):
        name, index = match[1], int(match[2])
    if name not in known:
        raise UsageError(f"there is no population '{name}'; there are: {', '.join(known) or 'none'}")
    first, size = known[name]
    if index is None:
        return np.arange(first, first + size)
    rows = np.atleast_1d(np.asarray(index, np.int64))
    if len(rows) and not (-size <= rows.min() and rows.max() < size):
        lost = rows[(rows < -size) | (rows >= size)][0]
        raise UsageError(f"population '{name}' has {size} cells; there is no index {lost}")
    return first + rows % size


def rates(spikes: SpikeTrains, stop: float, start: float = 0.0, population: str | None = None) -> Floats:
    """Mean rate of each cell (cells,) in Hz. Raises UsageError for an empty window or an unknown population."""
    row, _, cells = _window(spikes, start, stop, population)
    return np.bincount(row, minlength=cells) / (stop - start)


def intervals(
    spikes: SpikeTrains, stop: float, start: float = 0.0, population: str | None = None
) -> tuple[Ints, Floats]:
    """Intervals between successive spikes of each cell: the cell's row (n,) and the interval (n,) in s, by cell."""
    row, time, _ = _window(spikes, start, stop, population)
    order = np.argsort(row, kind="stable")  # times stay in order within a cell
    row, time = row[order], time[order]
    same = row[1:] == row[:-1]
    return row[1:][same], np.diff(time)[same]


def cv(spikes: SpikeTrains, stop: float, start: float = 0.0, population: str | None = None) -> Floats:
    """Coefficient of variation of each cell's intervals (cells,); NaN for a cell with fewer than two intervals.

    The spread is the population's (divided by n), as in elephant.statistics.cv.
    """
    _, _, cells = _window(spikes, start, stop, population)
    row, interval = intervals(spikes, stop, start, population)
    count = np.bincount(row, minlength=cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(row, interval, cells) / count
        variance = np.bincount(row, (interval - mean[row]) ** 2, cells) / count
        return np.where(count > 1, np.sqrt(variance) / mean, np.nan)


def local_variation(spikes: SpikeTrains, stop: float, start: float = 0.0, population: str | None = None) -> Floats:
    """Lv of each cell (cells,): 0 for a clock, 1 for a Poisson process, whatever its rate does slowly.

    3/(n-1) sum ((I_k - I_k+1)/(I_k + I_k+1))^2 (Shinomoto, Shima and Tanji 2003, Neural Computation 15). NaN for a cell
    with fewer than two intervals.
    """
    _, _, cells = _window(spikes, start, stop, population)
    row, interval = intervals(spikes, stop, start, population)
    same = row[1:] == row[:-1]
    first, second, row = interval[:-1][same], interval[1:][same], row[1:][same]
    count = np.bincount(row, minlength=cells)
    total = np.bincount(row, ((first - second) / (first + second)) ** 2, cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, 3 * total / count, np.nan)


def histogram(
    spikes: SpikeTrains, width: float, stop: float, start: float = 0.0, population: str | None = None
) -> tuple[Floats, Ints]:
    """Numbers of spikes of a population in bins of ``width`` s: left edges (bins,) in s, counts (bins,).

    The window is cut to whole bins.
    """
    _, time, _ = _window(spikes, start, stop, population)
    bins = _bins(width, start, stop)
    counts = np.bincount(_bin_of(time, start, width, bins), minlength=bins + 1)[:bins]
    return start + width * np.arange(bins, dtype=float), counts.astype(np.int64)


def population_rate(
    spikes: SpikeTrains, width: float, stop: float, start: float = 0.0, population: str | None = None
) -> tuple[Floats, Floats]:
    """Mean rate of a population's cells in bins: centres (bins,) in s, rates (bins,) in Hz."""
    _, _, cells = _window(spikes, start, stop, population)
    edges, counts = histogram(spikes, width, stop, start, population)
    return edges + width / 2, counts / (width * max(cells, 1))


def fano(spikes: SpikeTrains, width: float, stop: float, start: float = 0.0, population: str | None = None) -> Floats:
    """Fano factor of each cell (cells,): variance over mean of its counts in bins of ``width`` s; NaN if silent."""
    row, time, cells = _window(spikes, start, stop, population)
    bins = _bins(width, start, stop)
    column = _bin_of(time, start, width, bins)
    inside = column < bins
    place, counts = np.unique(row[inside] * bins + column[inside], return_counts=True)  # filled bins only
    cell = place // bins
    total = np.bincount(cell, counts, cells)
    squares = np.bincount(cell, counts.astype(float) ** 2, cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / bins
        return (squares / bins - mean**2) / mean


def synchrony(
    spikes: SpikeTrains, width: float, stop: float, start: float = 0.0, population: str | None = None
) -> float:
    """Golomb's chi of the cells' counts in bins: 0 where cells do not know of each other, 1 where all do the same.

    chi^2 = variance over time of the mean over cells / mean over cells of their variances (Golomb 2007, Scholarpedia
    2(1):1347); for n independent cells it is 1/sqrt(n). NaN if no cell's count changes.
    """
    row, time, cells = _window(spikes, start, stop, population)
    bins = _bins(width, start, stop)
    column = _bin_of(time, start, width, bins)
    inside = column < bins
    _, counts = histogram(spikes, width, stop, start, population)
    place, each = np.unique(row[inside] * bins + column[inside], return_counts=True)
    cell = place // bins
    means = np.bincount(cell, each, cells) / bins
    variances = np.bincount(cell, each.astype(float) ** 2, cells) / bins - means**2
    single = variances.mean() if cells else 0.0
    return float(np.sqrt((counts / max(cells, 1)).var() / single)) if single > 0 else float("nan")


def correlations(
    spikes: SpikeTrains, width: float, stop: float, start: float = 0.0, population: str | None = None
) -> Floats:
    """Pearson's correlation coefficients (cells, cells) of the cells' counts in bins of ``width`` s.

    NaN for a cell whose count never changes. Memory grows as the square of the cells: select some of a large network.
    """
    sparse = require("scipy.sparse", "analysis", "correlations of spike trains")
    row, time, cells = _window(spikes, start, stop, population)
    bins = _bins(width, start, stop)
    column = _bin_of(time, start, width, bins)
    inside = column < bins
    counts = sparse.csr_array((np.ones(inside.sum()), (row[inside], column[inside])), shape=(cells, bins))
    means = np.asarray(counts.sum(axis=1)).reshape(-1) / bins
    covariance = (counts @ counts.T).toarray() / bins - np.outer(means, means)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = covariance / np.outer(spread, spread)
    found[spread < 1e-12 * np.maximum(means, 1)] = np.nan
    found[:, spread < 1e-12 * np.maximum(means, 1)] = np.nan
    return found


def spike_synchronization(
    spikes: SpikeTrains, stop: float, start: float = 0.0, population: str | None = None
) -> float:
    """SPIKE-synchronization: the part of spikes that coincide with one of another cell, the mean over pairs of cells.

    Two spikes coincide if they are nearer to each other than half of each of the four intervals around them, so there
    is no scale to choose; 0 without coincidences, 1 for equal trains (Kreuz, Mulansky and Bozanic 2015, J.
    Neurophysiol. 113:3432). Time grows as the pairs of cells: select some hundreds of a large network. NaN without
    two cells that spike.
    """
    row, time, cells = _window(spikes, start, stop, population)
    order = np.argsort(row, kind="stable")
    trains = np.split(time[order], np.cumsum(np.bincount(row, minlength=cells))[:-1])
    trains = [np.unique(train) for train in trains if len(train)]
    reach = [_reach(train, stop - start) for train in trains]
    together = total = 0
    for a in range(len(trains)):
        for b in range(a):
            nearest = _nearest(trains[a], trains[b])
            close = np.abs(trains[a] - trains[b][nearest]) < np.minimum(reach[a], reach[b][nearest])
            together += 2 * int(close.sum())  # a coincidence is one of both trains
            total += len(trains[a]) + len(trains[b])
    return together / total if total else float("nan")


def _reach(train: Floats, most: float) -> Floats:
    """Half of the shorter interval beside each spike."""
    gaps = np.concatenate([[most], np.diff(train), [most]])
    return np.minimum(gaps[:-1], gaps[1:]) / 2


def _nearest(times: Floats, others: Floats) -> Ints:
    """For each time the index of the nearest of the others, which are sorted."""
    right = np.clip(np.searchsorted(others, times), 1, max(len(others) - 1, 1))
    if len(others) == 1:
        return np.zeros(len(times), np.int64)
    return np.where(times - others[right - 1] <= others[right] - times, right - 1, right)


def correlogram(
    reference: npt.ArrayLike, other: npt.ArrayLike, width: float = 1e-3, window: float = 0.05
) -> tuple[Floats, Ints]:
    """Cross-correlogram: how many spikes of ``other`` lie so long after one of ``reference`` (times in s).

    Returns lags (bins,) in s, from -window to window, bins centred on multiples of ``width``, and counts (bins,). With
    the same train twice it is the autocorrelogram, the coincidence of each spike with itself included.
    """
    _positive(width, "width")
    a, b = np.sort(np.asarray(reference, float)), np.sort(np.asarray(other, float))
    half = round(window / width)
    counts = np.zeros(2 * half + 1, np.int64)
    low = np.searchsorted(b, a - (half + 0.5) * width, "left")
    high = np.searchsorted(b, a + (half + 0.5) * width, "left")
    block = 1_000_000
    each = high - low
    ends = np.cumsum(each)
    at = 0
    while at < len(a):  # blocks bound the memory where many spikes lie in the window
        stop = max(int(np.searchsorted(ends, (ends[at - 1] if at else 0) + block, "right")), at + 1)
        repeat = each[at:stop]
        which = np.repeat(np.arange(at, stop), repeat)
        within = np.arange(len(which)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        lag = b[np.repeat(low[at:stop], repeat) + within] - a[which]
        column = np.floor(lag / width + half + 0.5).astype(np.int64)
        counts += np.bincount(column[(column >= 0) & (column <= 2 * half)], minlength=2 * half + 1)
        at = stop
    return width * np.arange(-half, half + 1, dtype=float), counts


def _window(spikes: SpikeTrains, start: float, stop: float, population: str | None) -> tuple[Ints, Floats, int]:
    """(row of the cell, time) of the spikes in the window, and the number of cells."""
    if not stop > start:
        raise UsageError(f"the window from {start:g} to {stop:g} s is empty; stop must be more than start")
    if population is None:
        spans = list(spikes.populations.values())
        first, size = (
            (min(f for f, _ in spans), max(f + n for f, n in spans) - min(f for f, _ in spans))
            if spans
            else (0, int(spikes.gid.max()) + 1 if len(spikes) else 0)
        )
    elif population in spikes.populations:
        first, size = spikes.populations[population]
    else:
        known = ", ".join(spikes.populations) or "none"
        raise UsageError(f"there is no population '{population}'; there are: {known}")
    low, high = np.searchsorted(spikes.time, [start, stop], "left")  # the trains are sorted by time
    gid, time = spikes.gid[low:high], spikes.time[low:high]
    mine = (gid >= first) & (gid < first + size)
    return gid[mine] - first, time[mine], size


def _positive(value: float, what: str) -> None:
    if not value > 0:
        raise UsageError(f"{what} is {value:g}; it must be more than 0")


def _bins(width: float, start: float, stop: float) -> int:
    _positive(width, "the width of a bin")
    count = int((stop - start) / width * (1 + 1e-12))
    if count < 1:
        raise UsageError(f"the window of {stop - start:g} s is shorter than one bin of {width:g} s")
    return count


def _bin_of(time: Floats, start: float, width: float, bins: int) -> Ints:
    """The bin of each time; ``bins`` for what lies beyond the last. Times on an edge, but for rounding, open a bin."""
    column = np.floor((time - start) / width + 1e-9).astype(np.int64)
    return np.minimum(column, bins)
