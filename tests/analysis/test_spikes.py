"""Statistics of spikes against elephant's own, and against processes whose statistics are known."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge import analysis
from nmlbridge.errors import UsageError
from nmlbridge.results import SpikeTrains

statistics = pytest.importorskip("elephant.statistics")


def poisson(cells: int, rate: float, stop: float, seed: int = 0) -> SpikeTrains:
    random = np.random.default_rng(seed)
    count = random.poisson(rate * stop * cells)
    gid, time = random.integers(0, cells, count), random.uniform(0, stop, count)
    return SpikeTrains(gid, time, {"a": (0, cells // 2), "b": (cells // 2, cells - cells // 2)})


def test_per_cell_statistics_are_elephants() -> None:
    spikes = poisson(20, 15, 10)
    trains = [spikes.of("b", index) for index in range(10)]
    gaps = [np.diff(train) for train in trains]
    assert analysis.rates(spikes, 10, population="b") == pytest.approx([len(t) / 10 for t in trains])
    row, interval = analysis.intervals(spikes, 10, population="b")
    assert interval == pytest.approx(np.concatenate(gaps))
    assert np.array_equal(row, np.repeat(np.arange(10), [len(g) for g in gaps]))
    assert analysis.cv(spikes, 10, population="b") == pytest.approx([statistics.cv(g) for g in gaps])
    assert analysis.local_variation(spikes, 10, population="b") == pytest.approx([statistics.lv(g) for g in gaps])


def test_a_poisson_process_has_unit_variability_and_no_synchrony() -> None:
    spikes = poisson(200, 20, 50)
    assert np.nanmean(analysis.cv(spikes, 50)) == pytest.approx(1, abs=0.02)
    assert np.nanmean(analysis.local_variation(spikes, 50)) == pytest.approx(1, abs=0.02)
    assert analysis.fano(spikes, 0.1, 50).mean() == pytest.approx(1, abs=0.03)
    assert analysis.synchrony(spikes, 0.01, 50) == pytest.approx(1 / np.sqrt(200), rel=0.1)


def test_one_clock_for_all_is_full_synchrony() -> None:
    ticks = np.arange(0.05, 1, 0.1)
    spikes = SpikeTrains(np.repeat(np.arange(5), 10), np.tile(ticks, 5), {"p": (0, 5)})
    assert analysis.synchrony(spikes, 0.02, 1) == pytest.approx(1)
    assert analysis.cv(spikes, 1) == pytest.approx(np.zeros(5), abs=1e-12)
    assert analysis.fano(spikes, 0.1, 1) == pytest.approx(np.zeros(5), abs=1e-12)


def test_histograms_count_every_spike_once() -> None:
    spikes = poisson(10, 30, 2)
    edges, counts = analysis.histogram(spikes, 0.01, 2)
    assert counts.sum() == len(spikes)
    assert np.array_equal(counts, np.histogram(spikes.time, np.append(edges, 2.0))[0])
    centres, rate = analysis.population_rate(spikes, 0.01, 2, population="a")
    assert rate.sum() * 0.01 * 5 == pytest.approx(len(spikes.of("a")))
    assert centres[0] == pytest.approx(0.005)
    on_edges = SpikeTrains(np.zeros(10, int), 0.1 * np.arange(10), {"p": (0, 1)})
    assert np.array_equal(analysis.histogram(on_edges, 0.1, 1)[1], np.ones(10))


def test_a_correlogram_is_the_count_of_differences() -> None:
    random = np.random.default_rng(1)
    a, b = np.sort(random.uniform(0, 5, 300)), np.sort(random.uniform(0, 5, 400))
    lags, counts = analysis.correlogram(a, b, 2e-3, 0.02)
    differences = (b[None, :] - a[:, None]).ravel()
    edges = np.append(lags - 1e-3, lags[-1] + 1e-3)
    assert np.array_equal(counts, np.histogram(differences, edges)[0])
    shifted, peak = analysis.correlogram(a, a + 5e-3, 1e-3, 0.02)
    assert shifted[peak.argmax()] == pytest.approx(5e-3)
    assert peak.max() >= 300


def test_ten_million_spikes_take_seconds() -> None:
    """Not a timing: what is quadratic, or has a row for each bin of each cell, would not end, or not fit."""
    spikes = poisson(10_000, 10, 100)
    assert len(spikes) > 9_000_000
    assert analysis.rates(spikes, 100).mean() == pytest.approx(10, rel=0.01)
    assert np.nanmean(analysis.cv(spikes, 100)) == pytest.approx(1, abs=0.01)
    assert analysis.fano(spikes, 0.01, 100).mean() == pytest.approx(1, abs=0.01)


def test_no_spikes_is_no_error() -> None:
    silent = SpikeTrains(np.empty(0, int), np.empty(0), {"p": (0, 3)})
    assert np.array_equal(analysis.rates(silent, 1), np.zeros(3))
    assert np.isnan(analysis.cv(silent, 1)).all()
    assert np.isnan(analysis.fano(silent, 0.1, 1)).all()
    assert np.isnan(analysis.synchrony(silent, 0.1, 1))
    assert analysis.correlogram([], [1.0])[1].sum() == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: analysis.rates(s, 0), "is empty"),
        (lambda s: analysis.rates(s, 1, population="c"), "no population 'c'; there are: a, b"),
        (lambda s: analysis.histogram(s, 0, 1), "more than 0"),
        (lambda s: analysis.histogram(s, 2, 1), "shorter than one bin"),
    ],
)
def test_bad_calls_are_told(call: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call(poisson(4, 5, 1))  # type: ignore[operator]


def test_a_selection_is_these_cells_alone() -> None:
    trains = SpikeTrains(np.array([5, 0, 7, 3, 5, 8]), np.arange(6) * 0.1, {"a": (0, 4), "b": (4, 5)})
    some, gids = analysis.select(trains, ["a[3]", ("b", [1, -1]), 0])
    assert gids.tolist() == [0, 3, 5, 8]
    assert some.populations == {"a": (0, 2), "b": (2, 2)}
    assert (some.gid.tolist(), some.time.tolist()) == ([2, 0, 1, 2, 3], pytest.approx([0, 0.1, 0.3, 0.4, 0.5]))
    assert analysis.rates(some, 1.0).tolist() == [1, 1, 2, 1]
    assert len(analysis.select(trains)[0]) == 6
    assert analysis.select(trains, "b")[1].tolist() == [4, 5, 6, 7, 8]
    assert analysis.select(SpikeTrains(np.array([4, 2]), np.zeros(2)), "all")[1].tolist() == [2, 4]
    assert len(analysis.select(trains, [])[0]) == 0
    for wrong, words in (("c", "no population 'c'"), (9, "no cell of the number 9"), (("a", 4), "no index 4"),
                         ("b[-6]", "no index -6")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            analysis.select(trains, wrong)


def test_correlations_are_elephants() -> None:
    elephant = pytest.importorskip("elephant.spike_train_correlation")
    conversion = pytest.importorskip("elephant.conversion")
    neo, pq = pytest.importorskip("neo"), pytest.importorskip("quantities")
    spikes = poisson(8, 30, 5)
    trains = [neo.SpikeTrain(spikes.of_gid(gid) * pq.s, t_stop=5 * pq.s) for gid in range(8)]
    binned = conversion.BinnedSpikeTrain(trains, bin_size=20 * pq.ms, t_start=0 * pq.s, t_stop=5 * pq.s)
    expected = elephant.correlation_coefficient(binned)
    assert analysis.correlations(spikes, 0.02, 5.0) == pytest.approx(expected, abs=1e-12)
    silent = SpikeTrains(np.array([0, 0, 1]), np.array([0.1, 0.3, 0.1]), {"p": (0, 3)})
    found = analysis.correlations(silent, 0.1, 1.0)
    assert np.isnan(found[2]).all()
    assert found[0, 1] == pytest.approx(np.corrcoef([0, 1, 0, 1] + 6 * [0], [0, 1] + 8 * [0])[0, 1])


def test_spike_synchronization() -> None:
    same = SpikeTrains(np.repeat([0, 1, 2], 4), np.tile([0.1, 0.3, 0.4, 0.8], 3), {"p": (0, 3)})
    assert analysis.spike_synchronization(same, 1.0) == 1
    apart = SpikeTrains(np.array([0, 0, 1, 1]), np.array([0.125, 0.375, 0.25, 0.5]), {"p": (0, 2)})
    assert analysis.spike_synchronization(apart, 1.0) == 0  # each lies in the middle of two of the other
    one = SpikeTrains(np.array([0, 0, 1, 1]), np.array([0.1, 0.5, 0.12, 0.8]), {"p": (0, 2)})
    assert analysis.spike_synchronization(one, 1.0) == 0.5
    assert np.isnan(analysis.spike_synchronization(SpikeTrains.empty(), 1.0))
    spikes = poisson(6, 20, 3)
    trains = [np.unique(spikes.of_gid(gid)) for gid in range(6)]

    def reach(train: np.ndarray, at: int) -> float:
        gaps = [train[at + 1] - train[at]] if at + 1 < len(train) else []
        return min([3.0, *gaps, *([train[at] - train[at - 1]] if at else [])]) / 2

    hits = [  # the definition, spike by spike
        any(abs(s - t) < min(reach(a, i), reach(b, j)) for j, t in enumerate(b))
        for a in trains for b in trains if a is not b for i, s in enumerate(a)
    ]  # fmt: skip
    assert analysis.spike_synchronization(spikes, 3.0) == pytest.approx(np.mean(hits), abs=1e-12)
