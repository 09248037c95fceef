"""Tests of Open Source Brain whose expected values come out of another engine's random stream.

No other stream can repeat these spike times, so what is compared is what a stream cannot change: the number of spikes
and the mean interval, against those of all equal cells over several seeds. A value outside the middle 99 % (of a normal
distribution, three standard deviations for the small samples here) would say that the model runs differently.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import nmlbridge

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
pytestmark = [pytest.mark.neuron, pytest.mark.slow]

STREAMS = {
    # name: (LEMS file, .mep, experiment -> (population, cells that are alike, threshold in mV), seeds)
    "GranCellLayer": (
        "GranCellLayer/NeuroML2/LEMS_GranCellLayer.xml",
        "GranCellLayer/neuroConstruct/generatedNeuroML2/.test.1d.mep", {"gran0": "Grans/{}/Granule_98/v"}, 75, 2,
    ),
    "SpikingNet": (
        "NetPyNEShowcase/NeuroML2/times/LEMS_SpikingNet.xml", "NetPyNEShowcase/NeuroML2/times/.test.spiker.mep",
        {"c0": "pop_pre/{}/RS/v", "c3": "pop_pre/{}/RS/v", "c5": "pop_pre/{}/RS/v", "cc0": "pop_post/{}/RS/v",
         "cc3": "pop_post/{}/RS/v", "cc5": "pop_post/{}/RS/v"}, 5, 6,
    ),
    "Spikers": (
        "NetPyNEShowcase/NeuroML2/LEMS_Spikers.xml", "NetPyNEShowcase/NeuroML2/.test.spiker.mep",
        {"hh0": "hh_net/0/hhcell/v", "hh4": "hh_net/4/hhcell/v", "pynn": "E_net/0/IF_curr_alpha_E_net/v"}, 1, 12,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_counts_and_intervals_are_those_of_the_other_stream(name: str) -> None:
    lems, mep, experiments, cells, seeds = STREAMS[name]
    if not (CORPUS / lems).is_file():
        pytest.skip("the corpus of public models is not here")
    expected = yaml.safe_load((CORPUS / mep).read_text())["experiments"]
    threshold = {"pynn": 19.7e-3}
    runs = [nmlbridge.simulate(CORPUS / lems, seed=seed) for seed in range(1, seeds + 1)]
    for experiment, path in experiments.items():
        ours = [
            _crossings(run.time, run[path.format(cell)], threshold.get(experiment, 0.0))
            for run in runs for cell in range(cells)
        ]  # fmt: skip
        theirs = np.asarray(expected[experiment]["expected"]["spike times"])
        _alike(len(theirs), np.array([len(times) for times in ours]), f"{experiment}: spikes")
        if len(theirs) > 3:
            means = np.array([np.diff(times).mean() for times in ours if len(times) > 3])
            _alike(np.diff(theirs).mean(), means, f"{experiment}: mean interval")


def test_rates_of_brunel() -> None:
    """The rate of one cell that the test states (from NEST), among those of all cells of its population."""
    model = CORPUS / "Brunel2000/NeuroML2/LEMS_Sim_BrunelFromPyNN.xml"
    if not model.is_file():
        pytest.skip("the corpus of public models is not here")
    expected = yaml.safe_load((CORPUS / "Brunel2000/PyNN/.test.small.mep").read_text())["experiments"]
    spikes = nmlbridge.simulate(model, seed=1).spikes
    for population, experiment in (("E_net", "e"), ("I_net", "i"), ("expoisson", "exc_in"), ("inpoisson", "inh_in")):
        first, size = spikes.populations[population]
        rates = [1 / np.diff(spikes.time[spikes.gid == gid]).mean() for gid in range(first, first + size)]
        _alike(expected[f"spike_rate_{experiment}"]["expected"]["spike rate"], np.array(rates), population)


def _crossings(time: np.ndarray, v: np.ndarray, threshold: float) -> np.ndarray:
    """Times (ms) of upward crossings."""
    return time[1:][(v[:-1] <= threshold) & (v[1:] > threshold)] * 1e3


def _alike(value: float, sample: np.ndarray, what: str) -> None:
    spread = max(sample.std(ddof=1), 1e-3 * abs(sample.mean()))
    assert abs(value - sample.mean()) < 3 * spread, f"{what}: {value:g}, ours {sample.mean():g} +- {spread:g}"
    assert spread < 0.8 * abs(sample.mean()) + 2, f"{what}: the sample says nothing"
