"""Reconstructed cells split over ranks, as NeuroML and as NEURON's code: the numbers are those of the whole cell."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.results import Results

pytestmark = [pytest.mark.neuron, pytest.mark.mpi, pytest.mark.usefixtures("launcher")]
SHAPE = "sonata/shared_components/morphologies/Scnn1a_473845048_m.swc"
CHANNELS = Path(__file__).parents[2] / "examples" / "01_two_populations" / "cells.nml"
ROUNDING = 1e-12
"""V: 1e-9 mV. A solution of the matrix is good to some 1e-13 mV; channels and spikes make errors grow."""

BIOPHYSICS = """<biophysicalProperties id="bio"><membraneProperties>
<channelDensity id="l" ionChannel="leak" condDensity="0.1 mS_per_cm2" erev="-65 mV" ion="non_specific"/>
<channelDensity id="n" ionChannel="naFast" condDensity="{na} mS_per_cm2" erev="50 mV" ion="na"/>
<channelDensity id="k" ionChannel="kDelayed" condDensity="36 mS_per_cm2" erev="-77 mV" ion="k"/>
<spikeThresh value="-10 mV"/><specificCapacitance value="1 uF_per_cm2"/><initMembPotential value="-65 mV"/>
</membraneProperties><intracellularProperties><resistivity value="0.12 kohm_cm"/></intracellularProperties>
</biophysicalProperties></cell>{channels}
<expTwoSynapse id="exc" tauRise="0.5 ms" tauDecay="3 ms" gbase="2 nS" erev="0 mV"/>
<poissonFiringSynapse id="noise" averageRate="30 Hz" synapse="exc" spikeTarget="./exc"/>
<pulseGenerator id="clamp" delay="2 ms" duration="100 ms" amplitude="{clamp} nA"/>
<network id="net"><population id="pop" component="{cell}" size="1"/>
<inputList id="c" population="pop" component="clamp"><input id="0" target="../pop[0]" destination="synapses"/>
</inputList>
<inputList id="n" population="pop" component="noise">{noise}</inputList></network></neuroml>"""

SIMULATION = """<Lems><Target component="s"/><Include file="Cells.xml"/><Include file="Networks.xml"/>
<Include file="Simulation.xml"/><Include file="model.nml"/>
<Simulation id="s" length="{duration} ms" step="0.025 ms" target="net"><OutputFile id="o" fileName="o.dat">{columns}
</OutputFile></Simulation></Lems>"""

NATIVE = """
from neuron import h
h.load_file("stdrun.hoc"); h.load_file("import3d.hoc")
class Cell:
    def __init__(self):
        reader = h.Import3d_SWC_read(); reader.input({shape!r})
        h.Import3d_GUI(reader, 0).instantiate(self)
cell = Cell()
for section in h.allsec():
    section.nseg = 1 + 2 * int(section.L / 20)
    section.insert("pas"); section.Ra = 120; section.e_pas = -65
    section.insert("hh")
soma = next(s for s in h.allsec() if "soma" in s.name())
clamp = h.IClamp(soma(0.5)); clamp.delay, clamp.dur, clamp.amp = 2, 100, 0.8
watch = h.NetCon(soma(0.5)._ref_v, None, sec=soma); watch.threshold = -10
kept = []
for number, section in enumerate(list(h.allsec())[::4]):
    stim = h.NetStim(); stim.start, stim.number, stim.interval = 3 + number, 5, 6
    synapse = h.Exp2Syn(section(0.3)); synapse.tau1, synapse.tau2 = 0.5, 3
    kept += [stim, synapse, h.NetCon(stim, synapse, 0, 1, 0.002)]
h.dt = 0.025; h.tstop = 30; h.v_init = -65
"""


def both(model: Path, **options: object) -> tuple[Results, Results]:
    """The run on one rank, and split over two."""
    whole = nmlbridge.simulate(model, **options)  # type: ignore[arg-type]
    split = nmlbridge.simulate(model, ranks=2, split="force", **options)  # type: ignore[arg-type]
    assert any("is split over 2 ranks" in note.message for note in split.report)
    np.testing.assert_array_equal(split.spikes.gid, whole.spikes.gid)
    np.testing.assert_allclose(split.spikes.time, whole.spikes.time, rtol=0, atol=1e-9)
    np.testing.assert_allclose(split.traces.values, whole.traces.values, rtol=0, atol=ROUNDING)
    assert np.ptp(whole.traces.values, axis=1).min() > 1e-3, "every trace moves"
    return whole, split


@pytest.mark.parametrize(("na", "clamp", "spikes"), [(0, 0.3, 0), (120, 0.5, 2)])
def test_neuroml(tmp_path: Path, corpus: Path, na: float, clamp: float, spikes: int) -> None:
    """Without sodium it stays below threshold, with it it fires; a clamp on the soma, noise on a hundred places, and
    seven traces from the soma to the last dendrite."""
    nmlbridge.write(nmlbridge.read(corpus / SHAPE), tmp_path / "model.nml")
    text = (tmp_path / "model.nml").read_text()
    cell, ids = re.search(r'<cell id="(\w+)"', text), re.findall(r'<segment id="(\d+)"', text)
    assert cell is not None and len(ids) > 3000
    place = '<input id="{}" target="../pop[0]" segmentId="{}" destination="synapses"/>'
    noise = "".join(place.format(number, id) for number, id in enumerate(ids[::37]))
    channels = "".join(re.findall(r"<ionChannelHH.*?</ionChannelHH>", CHANNELS.read_text(), re.DOTALL))
    more = BIOPHYSICS.format(na=na, clamp=clamp, cell=cell[1], noise=noise, channels=channels)
    (tmp_path / "model.nml").write_text(text.partition("</cell>")[0] + more)
    columns = "".join(f'<OutputColumn id="c{id}" quantity="pop[0]/{id}/v"/>' for id in ids[::600])
    (tmp_path / "LEMS.xml").write_text(SIMULATION.format(duration=30, columns=columns))
    whole, _ = both(tmp_path / "LEMS.xml")
    assert len(whole.spikes.time) >= spikes and bool(spikes) == (len(whole.spikes.time) > 0)


def test_native(tmp_path: Path, corpus: Path) -> None:
    """A cell that NEURON's own import makes: nseg by length, NetStims that drive synapses all over."""
    (tmp_path / "cell.py").write_text(NATIVE.format(shape=str(corpus / SHAPE)))
    whole, _ = both(tmp_path / "cell.py", allow={"code"})
    assert 0 in whole.spikes.gid, "the cell fires"
