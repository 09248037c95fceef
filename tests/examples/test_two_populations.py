"""The first example: it runs, fires at sensible rates, and is what its description says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.results import Results

pytestmark = pytest.mark.neuron


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, so that a stray file would be seen."""
    place = tmp_path_factory.mktemp("example") / "model"
    shutil.copytree(repository / "examples" / "01_two_populations", place)
    return place


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return nmlbridge.simulate(folder / "LEMS_TwoPopulations.xml", output=folder.parent / "out")


def test_its_files_are_valid(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        assert nmlbridge.validate(path) == []


def test_cells_fire_at_sensible_rates(results: Results) -> None:
    counts = results.spikes.counts()
    assert 5 <= counts["excitatoryCells"] / 8 / 0.5 <= 60  # Hz; jNeuroML and NEURON 8.2 with their own noise: 28
    assert 20 <= counts["inhibitoryCells"] / 4 / 0.5 <= 150  # likewise: 84


def test_potentials_and_gates_stay_in_their_ranges(results: Results) -> None:
    for quantity in results.traces:
        values = results[quantity]
        low, high = (-0.1, 0.06) if quantity.endswith("/v") else (0, 1)
        assert low < values.min() < values.max() < high, quantity
    assert results.traces.unit("excitatoryCells/0/excitatory/v") == "V"


def test_it_starts_where_it_says(results: Results) -> None:
    assert results["excitatoryCells/0/excitatory/v"][0] == pytest.approx(-0.069)
    assert results["inhibitoryCells/0/inhibitory/v"][0] == pytest.approx(-0.067)
    # the slow gate starts in its steady state: 1 / (1 + exp(-(v + 36 mV) / 9 mV))
    (gate,) = (quantity for quantity in results.traces if quantity.endswith("/q"))
    assert results[gate][0] == pytest.approx(1 / (1 + np.exp((69 - 36) / 9)), rel=1e-9)


def test_gap_junctions_hold_the_inhibitory_cells_together(results: Results) -> None:
    pair = [results[f"inhibitoryCells/{index}/inhibitory/v"] for index in (0, 1)]
    apart = [results[f"excitatoryCells/{index}/excitatory/v"] for index in (0, 1)]
    assert np.corrcoef(*pair)[0, 1] > np.corrcoef(*apart)[0, 1]


def test_its_files_are_written_and_nothing_else(results: Results, folder: Path) -> None:
    out = folder.parent / "out"
    names = {"two_populations.dat", "two_populations.channels.dat", "two_populations.spikes",
             "LEMS_TwoPopulations.run.json"}  # fmt: skip
    assert {path.name for path in out.iterdir()} == names
    assert {path.name for path in folder.iterdir()} == {
        "LEMS_TwoPopulations.xml",
        "TwoPopulations.net.nml",
        "cells.nml",
        "synapses.nml",
    }
    table = np.loadtxt(out / "two_populations.dat")
    assert table.shape == (20001, 5)
    np.testing.assert_allclose(table[:, 0], np.arange(20001) * 2.5e-5, atol=1e-9)
    np.testing.assert_allclose(table[:, 1], results["excitatoryCells/0/excitatory/v"], rtol=1e-9)
    events = np.loadtxt(out / "two_populations.spikes")
    assert len(events) == len(results.spikes)
    assert set(events[:, 1]) <= set(range(12))


def test_the_same_seed_gives_the_same_spikes_and_another_does_not(results: Results, folder: Path) -> None:
    again = nmlbridge.simulate(folder / "LEMS_TwoPopulations.xml", duration=200)
    other = nmlbridge.simulate(folder / "LEMS_TwoPopulations.xml", duration=200, seed=99)
    early = results.spikes.time <= 0.2
    np.testing.assert_array_equal(again.spikes.time, results.spikes.time[early])
    np.testing.assert_array_equal(again.spikes.gid, results.spikes.gid[early])
    assert other.spikes.time.tolist() != again.spikes.time.tolist()


@pytest.mark.mpi
def test_two_ranks_give_the_same_as_one(results: Results, folder: Path) -> None:
    from nmlbridge.simulator.neuron.mpi import find_launcher, find_library

    launcher = find_launcher()
    if launcher is None or find_library(launcher) is None:
        pytest.skip("no MPI on this machine")
    double = nmlbridge.simulate(folder / "LEMS_TwoPopulations.xml", ranks=2)
    np.testing.assert_array_equal(double.spikes.gid, results.spikes.gid)
    np.testing.assert_allclose(double.spikes.time, results.spikes.time, rtol=0, atol=1e-9)
