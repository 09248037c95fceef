"""Traces, spike trains and results say what they hold and refuse what does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nmlbridge.results import Results, SpikeTrains, Traces


@pytest.fixture
def traces() -> Traces:
    return Traces(np.array([0.0, 0.1, 0.2]), np.arange(6.0).reshape(2, 3), ("pop[0]/v", "pop[1]/v"), ("V", "V"))


@pytest.fixture
def spikes() -> SpikeTrains:
    return SpikeTrains(np.array([3, 0, 1]), np.array([0.3, 0.1, 0.2]), {"exc": (0, 2), "inh": (2, 2)})


def test_a_quantity_is_found_by_its_path(traces: Traces) -> None:
    assert traces["pop[1]/v"].tolist() == [3.0, 4.0, 5.0]
    assert traces.unit("pop[1]/v") == "V"
    assert "pop[0]/v" in traces
    assert list(traces) == ["pop[0]/v", "pop[1]/v"]


def test_an_unknown_quantity_names_the_nearest(traces: Traces) -> None:
    with pytest.raises(KeyError, match=r"pop\[1\]/v"):
        traces["pop[1]/V"]


def test_arrays_are_read_only_and_the_callers_own_stay_writable() -> None:
    own = np.zeros(3)
    traces = Traces(np.arange(3.0), own[None, :], ("a",))
    with pytest.raises(ValueError, match="read-only"):
        traces["a"][0] = 1.0
    own[0] = 1.0
    assert own.flags.writeable


@pytest.mark.parametrize(
    ("time", "values", "quantities"),
    [
        ([0, 1], [[1, 2, 3]], ("a",)),
        ([0, 1], [[1, 2]], ("a", "b")),
        ([0, 0], [[1, 2]], ("a",)),
        ([1, 0], [[1, 2]], ("a",)),
        ([0, 1], [[1, 2], [1, 2]], ("a", "a")),
    ],
)
def test_what_does_not_fit_is_refused(time: list[float], values: list[list[float]], quantities: tuple[str]) -> None:
    with pytest.raises(ValueError, match=r"fit|increase|twice"):
        Traces(np.array(time), np.array(values), quantities)


def test_spikes_are_sorted_by_time_and_found_by_population(spikes: SpikeTrains) -> None:
    assert spikes.gid.tolist() == [0, 1, 3]
    assert spikes.of("exc").tolist() == [0.1, 0.2]
    assert spikes.of("inh", 1).tolist() == [0.3]
    assert spikes.of("inh", 0).tolist() == []
    assert spikes.counts() == {"exc": 2, "inh": 1}


def test_an_unknown_population_or_cell_is_refused(spikes: SpikeTrains) -> None:
    with pytest.raises(KeyError, match="exc, inh"):
        spikes.of("pop")
    with pytest.raises(IndexError, match="2 cells"):
        spikes.of("inh", 2)


def test_results_say_how_much_is_inside(traces: Traces, spikes: SpikeTrains) -> None:
    results = Results(traces, spikes, {"dt": 1e-5, "seed": 7}, {"simulate": {"seconds": 1.5, "peak_mb": 80.0}})
    text = repr(results)
    for part in ("2 quantities at 3 times", "3 spikes of 3 cells", "seed 7", "exc 2", "simulate 1.50 s"):
        assert part in text
    assert results["pop[0]/v"] is not None
    assert json.loads(json.dumps(results.summary()))["spikes_by_population"] == {"exc": 2, "inh": 1}


def test_empty_results_have_a_repr() -> None:
    assert "0 quantities" in repr(Results())
