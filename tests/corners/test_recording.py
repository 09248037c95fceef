"""Quantities of every kind, by the paths that documents use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.results import Results

from . import models

pytestmark = pytest.mark.neuron

GATE = (
    '<gateHHrates id="m" instances="2"><q10Settings type="q10ExpTemp" q10Factor="3" experimentalTemp="22degC"/>'
    '<forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>'
    '<reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>'
)
POOL = (
    '<decayingPoolConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="20ms" '
    'shellThickness="0.2um"/>'
)
SPECIES = (
    '<species id="ca" ion="ca" concentrationModel="pool" initialConcentration="1e-4mM" initialExtConcentration="2mM"/>'
)
SYN = '<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="3ms"/>'
TRAIN = '<spikeArray id="train"><spike id="0" time="5ms"/></spikeArray>'
CELL_PATHS = {
    "q": "bio/membraneProperties/d/ch/m/q",
    "inf": "bio/membraneProperties/d/ch/m/inf",
    "tau": "bio/membraneProperties/d/ch/m/tau",
    "alpha": "bio/membraneProperties/d/ch/m/alpha",
    "r": "bio/membraneProperties/d/ch/m/forwardRate/r",
    "scale": "bio/membraneProperties/d/ch/m/q10Settings/q10",
    "fopen": "bio/membraneProperties/d/ch/fopen",
    "g": "bio/membraneProperties/d/gDensity",
    "i": "bio/membraneProperties/d/iDensity",
    "conc": "bio/intracellularProperties/ca/concentration",
    "caConc": "caConc",
    "caConcExt": "caConcExt",
    "iCa": "iCa",
    "iChannels": "iChannels",
    "iSyn": "iSyn",
    "surfaceArea": "surfaceArea",
    "totSpecCap": "totSpecCap",
    "spiking": "spiking",
    "clamp_i": "clamp/i",
    "syn_g": "synapses:syn:0/g",
    "syn2_i": "synapses:syn:1/i",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    components = (
        models.PAS + POOL + SYN + TRAIN
        + f'<ionChannelHH id="ch" conductance="10pS" species="ca">{GATE}</ionChannelHH>'
        '<voltageClamp id="clamp" delay="2ms" duration="20ms" targetVoltage="-40mV" simpleSeriesResistance="50Mohm"/>'
        + models.cell(
            "c", models.LEAK
            + '<channelDensity id="d" ionChannel="ch" condDensity="1mS_per_cm2" erev="120mV" ion="ca"/>',
            species=SPECIES,
        )
    )  # fmt: skip
    connections = "".join(
        f'<connectionWD id="{n}" preCellId="../p_train[0]" postCellId="../p_c[{cell}]" weight="{weight}" delay="0ms"/>'
        for n, (cell, weight) in enumerate(((0, 1), (1, 2), (1, 3), (0, 4)))
    )
    network = models.populations("train") + models.populations("c", size=2) + (
        '<explicitInput target="p_c[0]" input="clamp"/><explicitInput target="p_c[1]" input="clamp"/>'
        '<projection id="j" presynapticPopulation="p_train" postsynapticPopulation="p_c" synapse="syn">'
        f"{connections}</projection>"
    )
    record = {name: f"p_c[1]/{path}" for name, path in CELL_PATHS.items()}
    record["by_segment"] = "p_c/1/c/0/bio/membraneProperties/d/ch/m/q"
    record["other"] = "p_c[0]/synapses:syn:1/g"
    return models.both(models.write(tmp_path_factory.mktemp("rec"), components, network, record, 15))


@pytest.mark.parametrize("name", CELL_PATHS)
def test_a_quantity_of_a_cell(name: str, results: tuple[Results, Results]) -> None:
    """Against the reference integrator, in SI.

    What follows the gates is half a step off. A jump may come a sample of the reference's 600 later, which is
    sqrt(1/600) = 4.1 % of its height.
    """
    ours, reference = results
    quantity = f"p_c[1]/{CELL_PATHS[name]}"
    wanted, found = reference[quantity], np.interp(reference.time, ours.time, ours[quantity])
    if np.ptp(wanted) < 1e-9 * np.abs(wanted).max():
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-30)
        return
    limit = 4.5e-2 if name in ("clamp_i", "iSyn", "spiking", "syn2_i", "syn_g") else 1e-2
    assert models.difference(ours, reference, quantity) < limit


def test_the_number_of_a_synapse_counts_on_its_cell(results: tuple[Results, Results]) -> None:
    """Cell 1 has the connections of weight 2 and 3, cell 0 those of 1 and 4, in the order of the document."""
    ours, _ = results
    second = ours["p_c[0]/synapses:syn:1/g"]
    first = ours["p_c[1]/synapses:syn:0/g"]
    assert second.max() / first.max() == pytest.approx(4 / 2, rel=1e-6)
    np.testing.assert_allclose(ours["p_c/1/c/0/bio/membraneProperties/d/ch/m/q"],
                               ours["p_c[1]/bio/membraneProperties/d/ch/m/q"])  # fmt: skip


def test_a_path_that_leads_nowhere_says_what_there_is(tmp_path: Path) -> None:
    components = models.PAS + models.cell("c", models.LEAK)
    file = models.write(tmp_path, components, models.populations("c"), {"x": "p_c[0]/nothing"}, 1)
    with pytest.raises(nmlbridge.errors.NmlBridgeError, match="nothing"):
        nmlbridge.simulate(file)
