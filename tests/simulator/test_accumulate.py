"""Cells that read the sum of their attached currents: where that only jumps, events go straight to the cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.element import Element
from nmlbridge.errors import UnsupportedError
from nmlbridge.lems import flatten, load_core, resolve
from nmlbridge.simulator.neuron.accumulate import jump, summed

TYPES = """
<ComponentType name="counter" extends="baseSpikingCell">
  <Parameter name="tau" dimension="time"/><Constant name="UNIT" dimension="current" value="1nA"/>
  <Attachments name="synapses" type="basePointCurrent"/><Exposure name="m" dimension="none"/>
  <Dynamics>
    <StateVariable name="u" dimension="none"/>
    <DerivedVariable name="iSyn" dimension="current" select="synapses[*]/i" reduce="add"/>
    <DerivedVariable name="m" exposure="m" dimension="none" value="u + iSyn/UNIT"/>
    <TimeDerivative variable="u" value="-(u + iSyn/UNIT)/tau"/>
    <OnCondition test="m .gt. 10"><EventOut port="spike"/></OnCondition>
  </Dynamics>
</ComponentType>
<ComponentType name="stays" extends="baseCurrentBasedSynapse">
  <Property name="weight" dimension="none" defaultValue="1"/><Parameter name="size" dimension="current"/>
  <Dynamics>
    <StateVariable name="I" dimension="current"/>
    <DerivedVariable name="i" exposure="i" dimension="current" value="I"/>
    <OnStart><StateAssignment variable="I" value="0"/></OnStart>
    <OnEvent port="in"><StateAssignment variable="I" value="I + weight*size"/></OnEvent>
  </Dynamics>
</ComponentType>
"""


def model(folder: Path, synapse: str = "half") -> Path:
    core = "".join(f'<Include file="{name}.xml"/>' for name in ("Cells", "Networks", "Simulation"))
    path = folder / "LEMS_counter.xml"
    path.write_text(
        f"""<Lems>{core}{TYPES}
      <counter id="cell" tau="20ms"/><stays id="half" size="0.5nA"/>
      <expCondSynapse id="decays" tau_syn="5" e_rev="0"/>
      <spikeArray id="train"><spike id="0" time="5ms"/><spike id="1" time="12.5ms"/></spikeArray>
      <network id="net"><population id="source" component="train" size="1"/>
        <population id="pop" component="cell" size="2"/>
        <projection id="p" presynapticPopulation="source" postsynapticPopulation="pop" synapse="{synapse}">
          <connectionWD id="0" preCellId="../source[0]" postCellId="../pop[0]" weight="2" delay="1ms"/>
          <connectionWD id="1" preCellId="../source[0]" postCellId="../pop[1]" weight="-1" delay="2ms"/>
        </projection></network>
      <Simulation id="sim" length="30ms" step="0.01ms" target="net"><OutputFile id="o" fileName="o.dat">
        <OutputColumn id="a" quantity="pop[0]/m"/><OutputColumn id="b" quantity="pop[1]/m"/></OutputFile></Simulation>
      <Target component="sim"/></Lems>""".replace(
            '<Include file="Simulation.xml"/>', '<Include file="Simulation.xml"/><Include file="PyNN.xml"/>'
        )
    )
    return path


@pytest.mark.neuron
def test_m_jumps_by_the_weight_and_decays(tmp_path: Path) -> None:
    """Against the solution, exponentials that begin at the events; a step of 10 us in tau 20 ms is 5e-4 of a jump."""
    results = nmlbridge.simulate(model(tmp_path))
    t = results.time * 1e3
    for cell, size, delay in ((0, 1.0, 1.0), (1, -0.5, 2.0)):
        since = [t - at - delay for at in (5.0, 12.5)]
        expected = sum(size * np.where(s >= 0, np.exp(-s / 20.0), 0.0) for s in since)
        away = np.min([np.abs(t - at - delay) for at in (5.0, 12.5)], axis=0) > 0.02
        assert np.abs(results[f"pop[{cell}]/m"] - expected)[away].max() < 1e-3


def test_what_decays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="'decays' does not"):
        nmlbridge.simulate(model(tmp_path, "decays"))


def test_which_components_are_meant() -> None:
    library = load_core()
    elements = [
        Element("iafCell", {"id": "cell", "leakReversal": "-50mV", "thresh": "-55mV", "reset": "-70mV", "C": "1nF",
                            "leakConductance": "10nS"}),
        Element("expOneSynapse", {"id": "syn", "gbase": "1nS", "erev": "0mV", "tauDecay": "3ms"}),
    ]  # fmt: skip
    found = resolve(elements, library, None)
    assert summed(flatten(found.component("cell"), library)) is None  # has a membrane: NEURON sums
    assert jump(flatten(found.component("syn"), library)) is None
