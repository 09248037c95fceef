"""The same spikes on 1, 2 and 4 ranks, to the last bit: published networks, and one with gap junctions and noise.

NEURON sums the currents of one cell on one rank, in the order in which its synapses were made, which is the same on any
number of ranks; so no sum is taken in another order, and nothing but the exchange of spikes could differ.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import UnsupportedError

pytestmark = [pytest.mark.neuron, pytest.mark.mpi, pytest.mark.usefixtures("launcher")]
CELLS = Path(__file__).parents[2] / "examples" / "01_two_populations" / "cells.nml"
SIZE = 10


def same_on_all(model: Path, duration: float, at_least: int, backend: str = "neuron") -> None:
    serial = nmlbridge.simulate(model, duration=duration, backend=backend)
    assert len(serial.spikes.gid) >= at_least
    for ranks in (2, 4):
        parallel = nmlbridge.simulate(model, duration=duration, ranks=ranks, backend=backend)
        assert not [note for note in parallel.report.notes if "between ranks" in note.message]
        np.testing.assert_array_equal(parallel.spikes.gid, serial.spikes.gid)
        np.testing.assert_array_equal(parallel.spikes.time, serial.spikes.time)
        np.testing.assert_array_equal(parallel.traces.values, serial.traces.values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "duration", "at_least"),
    [
        ("NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml", 100, 300),
        ("ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml", 100, 100),
    ],
)
def test_published_networks(corpus: Path, model: str, duration: float, at_least: int) -> None:
    if not (corpus / model).is_file():
        pytest.skip(f"{model} is not in the corpus here")
    same_on_all(corpus / model, duration, at_least)


@pytest.mark.slow
def test_a_published_network_in_coreneuron(corpus: Path) -> None:
    model = corpus / "NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml"
    if not model.is_file():
        pytest.skip("the model is not in the corpus here")
    same_on_all(model, 100, 300, "coreneuron")


@pytest.mark.parametrize(("backend", "delays"), [("neuron", (0, 1)), ("coreneuron", (1, 2))])
def test_gap_junctions_and_noise(tmp_path: Path, backend: str, delays: tuple[int, int]) -> None:
    """A ring of gap junctions and of synapses, in NEURON half of them without delay, from one rank to the next, under
    Poisson noise."""
    same_on_all(noisy_ring(tmp_path, delays), 200, 20, backend)


def test_coreneuron_says_that_delays_are_too_short_for_ranks(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"on 2 ranks: \d+ connections .* below two steps \(0.05 ms\)"):
        nmlbridge.simulate(noisy_ring(tmp_path, (0, 1)), ranks=2, backend="coreneuron")


def test_coreneuron_takes_noise_with_several_events_in_a_step(tmp_path: Path) -> None:
    """It hears of the second of two events in one step a step late, which shifts spikes by a step at first."""
    model = noisy_ring(tmp_path, (1, 2))
    one, other = nmlbridge.simulate(model), nmlbridge.simulate(model, backend="coreneuron")
    np.testing.assert_array_equal(one.spikes.time[:50], other.spikes.time[:50])
    for gid in range(SIZE):
        times, others = (spikes.time[spikes.gid == gid] for spikes in (one.spikes, other.spikes))
        assert len(times) == len(others) > 20 and np.abs(times - others).max() < 1e-3  # 0.55 ms after 200 ms


def noisy_ring(tmp_path: Path, delays: tuple[int, int]) -> Path:
    """A model file; every other synapse has the one or the other delay (ms)."""
    (tmp_path / "cells.nml").write_text(CELLS.read_text())

    def cell(index: int) -> str:
        return f"../p/{index % SIZE}/inhibitory"

    gaps = "".join(
        f'<electricalConnectionInstance id="{n}" preCell="{cell(n)}" postCell="{cell(n + 1)}" synapse="gap"/>'
        for n in range(SIZE)
    )
    chemical = "".join(
        f'<connectionWD id="{n}" preCellId="{cell(n)}" postCellId="{cell(n + 3)}" weight="1" '
        f'delay="{delays[n % 2]}ms"/>'
        for n in range(SIZE)
    )
    noise = "".join(f'<input id="{n}" target="{cell(n)}" destination="synapses"/>' for n in range(SIZE))
    instances = "".join(f'<instance id="{n}"><location x="{n}" y="0" z="0"/></instance>' for n in range(SIZE))
    events = "".join(f'<EventSelection id="{n}" select="p/{n}/inhibitory" eventPort="spike"/>' for n in range(SIZE))
    (tmp_path / "LEMS_Gaps.xml").write_text(
        '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        '<Include file="Simulation.xml"/><Include file="cells.nml"/><gapJunction id="gap" conductance="0.5nS"/>'
        '<expOneSynapse id="fast" gbase="1nS" erev="0mV" tauDecay="2ms"/>'
        '<poissonFiringSynapse id="noise" averageRate="800Hz" synapse="fast" '
        'spikeTarget="./fast"/>'
        f'<network id="net"><population id="p" type="populationList" component="inhibitory" size="{SIZE}">{instances}'
        '</population><projection id="c" presynapticPopulation="p" postsynapticPopulation="p" synapse="fast">'
        f'{chemical}</projection><electricalProjection id="g" presynapticPopulation="p" postsynapticPopulation="p">'
        f'{gaps}</electricalProjection><inputList id="i" population="p" component="noise">{noise}</inputList></network>'
        '<Simulation id="sim" length="200ms" step="0.025ms" target="net"><OutputFile id="o" fileName="v.dat">'
        '<OutputColumn id="a" quantity="p/0/inhibitory/v"/><OutputColumn id="b" quantity="p/5/inhibitory/v"/>'
        f'</OutputFile><EventOutputFile id="e" fileName="e.dat" format="ID_TIME">{events}</EventOutputFile>'
        "</Simulation></Lems>"
    )
    return tmp_path / "LEMS_Gaps.xml"
