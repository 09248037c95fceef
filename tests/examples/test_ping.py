"""The PING example: a gamma rhythm that needs its feedback inhibition, the same on two ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.results import Results
from nmlbridge.simulator.neuron.mpi import find_launcher, find_library

pytestmark = pytest.mark.neuron


@pytest.fixture(scope="module")
def model(repository: Path) -> Path:
    return repository / "examples" / "10_ping" / "ping.yaml"


@pytest.fixture(scope="module")
def results(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return nmlbridge.simulate(model, output=tmp_path_factory.mktemp("ping"))


def rhythm(results: Results, population: str) -> tuple[float, float]:
    """Frequency (Hz) of the highest peak of a population's spectrum from 10 to 150 Hz, and its share of the power."""
    counts, _ = np.histogram(results.spikes.of(population), np.arange(0.1, 0.5, 0.001))
    power = np.abs(np.fft.rfft(counts - counts.mean(), 4096)) ** 2
    frequency = np.fft.rfftfreq(4096, 1e-3)
    band = (frequency > 10) & (frequency < 150)
    peak = frequency[band][power[band].argmax()]
    return peak, power[np.abs(frequency - peak) < 4].sum() / power[band].sum()


def test_gamma_in_both_populations(results: Results) -> None:
    for population in "EI":
        frequency, share = rhythm(results, population)
        assert 30 < frequency < 80, population  # gamma
        assert share > 0.3, population
    assert {path.name for path in results.files} == {"ping.v.dat", "ping.spikes"}
    assert results["E[0]/v"].min() > -0.1


def test_inhibition_follows_excitation_and_sets_the_pace(model: Path, results: Results) -> None:
    """In each cycle interneurons fire some ms after pyramidal cells; a synapse that lasts longer slows the rhythm."""
    edges = np.arange(0.1, 0.5, 5e-4)
    first, then = (counts - counts.mean() for counts in (
        np.histogram(results.spikes.of(name), edges)[0].astype(float) for name in "EI"))  # fmt: skip
    lags = np.arange(-30, 31)
    together = [np.sum(first[30:-30] * np.roll(then, -lag)[30:-30]) for lag in lags]
    assert 1 <= 0.5 * lags[int(np.argmax(together))] <= 6  # ms
    rates = {name: rhythm(results, name)[0] for name in "EI"}
    assert abs(rates["E"] - rates["I"]) < 1
    slow = nmlbridge.simulate(model, changes={"synapses.gaba.tauDecay": "18 ms"})
    assert rhythm(slow, "E")[0] < 0.9 * rates["E"]


def test_without_feedback_inhibition_the_rhythm_is_gone(model: Path, results: Results) -> None:
    free = nmlbridge.simulate(model, changes={"inhibition": 0})
    assert rhythm(free, "E")[1] < 0.5 * rhythm(results, "E")[1]
    assert len(free.spikes.of("E")) > 1.2 * len(results.spikes.of("E"))


def test_ten_lines_of_python(model: Path, results: Results) -> None:
    built = nmlbridge.build(model)
    assert built.simulation is not None
    again = nmlbridge.simulate_network(built.network, built.simulation)
    assert np.array_equal(again.spikes.time, results.spikes.time)


@pytest.mark.mpi
def test_two_ranks_are_one(model: Path, results: Results) -> None:
    launcher = find_launcher()
    if launcher is None or find_library(launcher) is None:
        pytest.skip("no MPI here")
    two = nmlbridge.simulate(model, ranks=2)
    assert np.array_equal(two.spikes.time, results.spikes.time)
    assert np.array_equal(two.spikes.gid, results.spikes.gid)


def test_it_exports(model: Path, tmp_path: Path) -> None:
    network = nmlbridge.build(model).network
    nmlbridge.write(network, tmp_path / "ping.nml")
    assert nmlbridge.validate(tmp_path / "ping.nml") == []
    nmlbridge.write(network, tmp_path / "ping.nml.h5")
    assert nmlbridge.diff(tmp_path / "ping.nml", tmp_path / "ping.nml.h5") == []
