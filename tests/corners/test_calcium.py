"""Concentrations: who reads them, who fills them, what they start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.results import Results

from . import models

pytestmark = pytest.mark.neuron

CA_GATE = (
    '<gateHHtauInf id="m" instances="2"><timeCourse type="fixedTimeCourse" tau="1ms"/>'
    '<steadyState type="HHSigmoidVariable" rate="1" midpoint="-45mV" scale="6mV"/></gateHHtauInf>'
)
# half open at 1 uM; without calcium it is shut
KCA_TYPE = (
    '<ComponentType name="caInf" extends="baseVoltageConcDepVariable"><Constant name="HALF" dimension="concentration" '
    'value="1e-3mM"/><Dynamics><DerivedVariable name="x" exposure="x" dimension="none" '
    'value="caConc / (caConc + HALF)"/></Dynamics></ComponentType>'
)
KCA = (
    KCA_TYPE + '<ionChannelHH id="kca" conductance="10pS"><gateHHtauInf id="z" instances="1"><timeCourse '
    'type="fixedTimeCourse" tau="2ms"/><steadyState type="caInf"/></gateHHtauInf></ionChannelHH>'
)
CHANNELS = (
    models.PAS + KCA + f'<ionChannelHH id="cav" conductance="10pS" species="ca">{CA_GATE}</ionChannelHH>'
    f'<ionChannelHH id="other" conductance="10pS" species="ca2">{CA_GATE}</ionChannelHH>'
    f'<ionChannelHH id="free" conductance="10pS">{CA_GATE}</ionChannelHH>'
)
POOLS = (
    '<decayingPoolConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="20ms" '
    'shellThickness="0.2um"/><decayingPoolConcentrationModel id="pool2" ion="ca2" restingConc="2e-4mM" '
    'decayConstant="10ms" shellThickness="0.2um"/>'
)
CAV = '<channelDensity id="ca_d" ionChannel="cav" condDensity="2mS_per_cm2" erev="120mV" ion="ca"/>'
KCA_D = '<channelDensity id="kca_d" ionChannel="kca" condDensity="0.3mS_per_cm2" erev="-90mV" ion="k"/>'


def species(id: str = "ca", model: str = "pool", inside: str = "1e-4mM", ion: str = "ca") -> str:
    return (
        f'<species id="{id}" ion="{ion}" concentrationModel="{model}" initialConcentration="{inside}" '
        'initialExtConcentration="2mM"/>'
    )


NERNST = '<channelDensityNernst id="ca_d" ionChannel="cav" condDensity="2mS_per_cm2" ion="ca"/>'
CELLS = {
    # a gate reads calcium though its channel names no species
    "no_species": (CAV + KCA_D, species()),
    # the same with a reversal potential that calcium makes
    "nernst": (NERNST + KCA_D, species()),
    # no pool at all: the concentration is 0, the gate is shut, the reversal potential is 0 mV
    "no_pool": (NERNST + KCA_D, ""),
    # the density's ion counts, not the channel's species
    "mismatch": (CAV.replace('"cav"', '"other"') + KCA_D, species()),
    "free_density": (CAV.replace('"cav"', '"free"') + KCA_D, species()),
    # permeation of an ion that has no pool of its own
    "ghk_na": (
        '<channelDensityGHK id="ca_d" ionChannel="free" permeability="1e-7m_per_s" ion="na"/>' + CAV, species()
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_calcium_reaches_who_reads_it(name: str, tmp_path: Path) -> None:
    membrane, inside = CELLS[name]
    components = CHANNELS + POOLS + models.cell("c", models.LEAK + membrane, species=inside) + models.pulse("p", "40pA")
    record = {"v": "p_c[0]/v", "ca": "p_c[0]/caConc", "z": "p_c[0]/bio/membraneProperties/kca_d/kca/z/q"}
    if name == "ghk_na":
        del record["z"]
    network = models.populations("c") + '<explicitInput target="p_c[0]" input="p"/>'
    ours, reference = models.both(models.write(tmp_path, components, network, record, 40))
    for quantity in record.values():
        if name == "no_pool" and quantity != "p_c[0]/v":
            assert not ours[quantity].any() and not reference[quantity].any()
        else:
            assert models.difference(ours, reference, quantity) < 2e-3, quantity
    if name not in ("no_pool", "ghk_na"):
        assert ours[record["z"]][-1] > 0.1 + ours[record["z"]][0]  # calcium came in, and was seen


def test_each_kind_of_cell_has_its_own_initial_concentration(tmp_path: Path) -> None:
    """Without a current c decays from its own start to 0.1 uM with 20 ms."""
    starts = {"low": 0.5e-4, "high": 5e-4, "rest": 1e-4}
    components = CHANNELS + POOLS + "".join(
        models.cell(id, models.LEAK, species=species(inside=f"{start}mM")) for id, start in starts.items()
    )  # fmt: skip
    record = {id: f"p_{id}[0]/caConc" for id in starts}
    found = models.run(tmp_path, components, models.populations(*starts), record, 40)
    for id, start in starts.items():
        exact = 1e-4 + (start - 1e-4) * np.exp(-found.time / 20e-3)
        np.testing.assert_allclose(found[record[id]], exact, rtol=1e-3)


TWO = (
    '<cell2CaPools id="two"><morphology id="m">' + models.BALL + '</morphology><biophysicalProperties2CaPools id="bio">'
    "<membraneProperties2CaPools>" + models.LEAK + CAV
    + '<channelDensity id="ca2_d" ionChannel="other" condDensity="0.1mS_per_cm2" erev="120mV" ion="ca2"/>'
    + '<channelDensityNernstCa2 id="ca2_n" ionChannel="other" condDensity="0.1mS_per_cm2" ion="ca2"/>' + KCA_D
    + '<spikeThresh value="0mV"/><specificCapacitance value="1uF_per_cm2"/><initMembPotential value="-65mV"/>'
    "</membraneProperties2CaPools><intracellularProperties2CaPools>" + species()
    + species("ca2", "pool2", "2e-4mM", "ca2") + '<resistivity value="100ohm_cm"/></intracellularProperties2CaPools>'
    "</biophysicalProperties2CaPools></cell2CaPools>"
)  # fmt: skip


def test_two_pools_of_calcium_keep_apart(tmp_path: Path) -> None:
    components = CHANNELS + POOLS + TWO + models.pulse("p", "40pA")
    record = {"v": "p_two[0]/v", "ca": "p_two[0]/caConc", "ca2": "p_two[0]/caConc2"}
    network = models.populations("two") + '<explicitInput target="p_two[0]" input="p"/>'
    ours, reference = models.both(models.write(tmp_path, components, network, record, 40))
    for quantity in record.values():
        assert models.difference(ours, reference, quantity) < 2e-3, quantity
    assert ours["p_two[0]/caConc2"][0] == pytest.approx(2e-4)


OWN = (
    '<ComponentType name="slowPool" extends="concentrationModel"><Parameter name="base" dimension="concentration"/>'
    '<Parameter name="tau" dimension="time"/><Parameter name="gain" dimension="rho_factor"/>'
    '<Requirement name="iCa" dimension="current"/><Requirement name="surfaceArea" dimension="area"/>'
    '<Dynamics><StateVariable name="concentration" exposure="concentration" dimension="concentration"/>'
    '<StateVariable name="extConcentration" exposure="extConcentration" dimension="concentration"/>'
    '<TimeDerivative variable="concentration" value="iCa / surfaceArea * gain + (base - concentration) / tau"/>'
    '<OnStart><StateAssignment variable="concentration" value="initialConcentration"/>'
    '<StateAssignment variable="extConcentration" value="initialExtConcentration"/></OnStart></Dynamics>'
    '</ComponentType><slowPool id="own" ion="k" base="100mM" tau="5ms" gain="1e4mol_per_m_per_A_per_s"/>'
)


def test_a_pool_for_another_ion_than_calcium(tmp_path: Path) -> None:
    """LEMS sums iCa over the densities of calcium, for whatever ion the pool is, and with no pool of calcium either."""
    components = CHANNELS + POOLS + OWN + models.pulse("p", "40pA") + models.cell(
        "c", models.LEAK + CAV + KCA_D, species=species("k", "own", "140mM", "k")
    ) + models.cell("d", models.LEAK + CAV + KCA_D, species=species() + species("k", "own", "140mM", "k"))  # fmt: skip
    record = {f"{c}_{q}": f"p_{c}[0]/{q}" for c in "cd" for q in ("v", "bio/intracellularProperties/k/concentration")}
    network = models.populations("c", "d") + "".join(f'<explicitInput target="p_{c}[0]" input="p"/>' for c in "cd")
    ours, reference = models.both(models.write(tmp_path, components, network, record, 20))
    for quantity in record.values():
        assert models.difference(ours, reference, quantity) < 2e-3, quantity


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A pool whose volume comes with its area gives one answer however finely the membrane is divided."""
    components, record = CHANNELS + models.pulse("p", "100pA"), {}
    components += (
        '<fixedFactorConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="20ms" '
        'rho="0.2mol_per_m_per_A_per_s"/>'
    )
    for id, divisions in (("one", 1), ("five", 5)):
        group = (
            '<segmentGroup id="g" neuroLexId="sao864921383"><property tag="numberInternalDivisions" '
            f'value="{divisions}"/><member segment="0"/></segmentGroup>'
        )
        components += models.cell(id, models.LEAK + CAV, models.segment(0, (20, 20), (0, 20)) + group, species())
        record[id] = f"p_{id}[0]/caConc"
    network = models.populations("one", "five") + "".join(
        f'<explicitInput target="p_{c}[0]" input="p"/>' for c in ("one", "five")
    )
    return models.run(tmp_path_factory.mktemp("spread"), components, network, record, 40)


def test_a_concentration_does_not_depend_on_compartments(spread: Results) -> None:
    one, five = spread["p_one[0]/caConc"], spread["p_five[0]/caConc"]
    assert np.ptp(one) > 1e-5
    np.testing.assert_allclose(five, one, rtol=5e-3)


def test_a_species_without_an_ion_is_said(tmp_path: Path) -> None:
    file = models.write(
        tmp_path, CHANNELS + POOLS + models.cell("c", models.LEAK, species=species(ion="")), models.populations("c"),
        {"v": "p_c[0]/v"}, 1,
    )  # fmt: skip
    report = nmlbridge.simulate(file).report
    assert any(note.code == "no-ion" and note.severity == "loss" for note in report)
