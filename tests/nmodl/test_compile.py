"""What the compiler makes of components: the form that NEURON solves exactly, and nothing that it need not compute."""

from __future__ import annotations

import re

import pytest

from nmlbridge.lems import FlatComponent, Library, flatten, load_core, resolve
from nmlbridge.lems.core import parse_xml
from nmlbridge.lems.expression import Num
from nmlbridge.nmodl.compile import compile_group
from nmlbridge.nmodl.equations import structure_key
from nmlbridge.nmodl.mechanism import Binding, Mechanism, Role
from nmlbridge.nmodl.names import safe


def flat(xml: str, id: str) -> FlatComponent:
    elements = parse_xml(f"<neuroml>{xml}</neuroml>".encode(), "test.nml").children
    library: Library = load_core().extended(elements)
    return flatten(resolve(elements, library).component(id), library)


def block(mechanism: Mechanism, title: str) -> str:
    match = re.search(rf"^{title}.*?^}}", mechanism.text, re.M | re.S)
    return match.group(0) if match else ""


CHANNEL = """
<ionChannelHH id="{id}" conductance="10pS" species="na">
  <gateHHrates id="m" instances="3">
    <forwardRate type="HHExpLinearRate" rate="{rate}per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/>
  </gateHHrates>
</ionChannelHH>
<channelDensity id="{id}_dens" ionChannel="{id}" condDensity="120 mS_per_cm2" erev="50mV" ion="na"/>
"""
DENSITY = Role("density", current="iDensity", ion=None)


def test_gate_is_linear_in_its_state_and_folded() -> None:
    made = compile_group([flat(CHANNEL.format(id="na", rate=1), "na_dens")], DENSITY)
    assert "METHOD cnexp" in made.text
    assert re.search(r"(\w+)' = \(\1_b \+ \(\1_a \* \1\)\)", block(made, "DERIVATIVE"))
    assert "0.12" in block(made, "BREAKPOINT")  # S/cm2: conductance and units folded into one number
    assert "CONDUCTANCE" in made.text
    assert made.parameters == {} and "RANGE" not in made.text.replace("RANGE i_m", "")
    assert "VERBATIM" not in made.text


def test_singularity_of_the_exp_linear_rate_keeps_its_branch() -> None:
    made = compile_group([flat(CHANNEL.format(id="na", rate=1), "na_dens")], DENSITY)
    assert "if (" in block(made, "DERIVATIVE")


def test_components_of_equal_structure_share_one_mechanism() -> None:
    one, two = (flat(CHANNEL.format(id=i, rate=r), f"{i}_dens") for i, r in (("na", 1), ("nax", 2)))
    assert structure_key(one) == structure_key(two)
    made = compile_group([one, two], DENSITY)
    assert len(made.parameters) == 1, "only the rate differs"
    (values,) = made.parameters.values()
    assert values[1] == pytest.approx(2 * values[0])


def test_what_differs_in_structure_is_not_shared() -> None:
    one = flat(CHANNEL.format(id="na", rate=1), "na_dens")
    two = flat(CHANNEL.format(id="nb", rate=1).replace('instances="3"', 'instances="2"'), "nb_dens")
    assert structure_key(one) != structure_key(two)


def test_a_recorded_variable_stays_readable_in_si() -> None:
    component = flat(CHANNEL.format(id="na", rate=1), "na_dens")
    made = compile_group([component], DENSITY, record=frozenset({component.paths["gDensity"]}))
    variable, factor = made.variables[component.paths["gDensity"]]
    assert variable in block(made, "BREAKPOINT")
    assert factor == pytest.approx(1e-2)  # uS/cm2 -> S/m2


def test_linear_synapse_can_be_shared_and_plastic_one_cannot() -> None:
    linear = flat('<expTwoSynapse id="s" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>', "s")
    role = Role("point", current="i")
    made = compile_group([linear], role)
    assert made.shareable and made.weight == "weight"
    plastic = flat(
        '<blockingPlasticSynapse id="s" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="5ms">'
        '<plasticityMechanism type="tsodyksMarkramDepMechanism" initReleaseProb="0.5" tauRec="120ms"/>'
        "</blockingPlasticSynapse>",
        "s",
    )
    assert not compile_group([plastic], role).shareable


def test_pulse_becomes_a_function_of_time() -> None:
    pulse = flat('<pulseGenerator id="p" delay="50ms" duration="100ms" amplitude="0.1nA"/>', "p")
    made = compile_group([pulse], Role("electrode", current="i"))
    assert "ELECTRODE_CURRENT" in made.text
    assert "t >= 150.0" in block(made, "BREAKPOINT")
    assert not made.mod.net_receive


def test_reset_cell_sends_its_spike_where_the_document_does() -> None:
    cell = flat(
        '<iafRefCell id="c" leakConductance="0.01uS" leakReversal="-70mV" thresh="-50mV" reset="-65mV" C="0.2nF" '
        'refract="5ms"/>',
        "c",
    )
    made = compile_group([cell], Role("cell"))
    assert made.emits and made.drives_voltage
    assert made.capacitance is not None and made.capacitance[0] == pytest.approx(0.2)
    assert made.v_init is not None and made.v_init[0] == pytest.approx(-70)
    receive = block(made, "NET_RECEIVE")
    assert "WATCH (v > (-50.0))" in receive
    assert receive.index("net_event(t)") < receive.index("v = (-65.0)") or "v = (-65.0)" in receive


def test_source_of_events_is_an_artificial_cell() -> None:
    made = compile_group([flat('<spikeGenerator id="g" period="10ms"/>', "g")], Role("source"))
    assert made.mod.kind == "ARTIFICIAL_CELL"
    assert "net_send" in made.text and "BREAKPOINT" not in made.text


def test_an_id_cannot_break_out_of_nmodl() -> None:
    hostile = flat(CHANNEL.format(id="na", rate=1), "na_dens")
    hostile.id = 'x } VERBATIM system("rm -rf /"); ENDVERBATIM {'
    made = compile_group([hostile], DENSITY)
    assert "VERBATIM system" not in made.text and "rm -rf" not in made.text
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", made.name)


@pytest.mark.parametrize("name", ["v", "t", "m0", "while", "exp", "1a", "é", "", "a-b", "x" * 300])
def test_safe_names(name: str) -> None:
    made = safe(name)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", made)
    assert made not in ("v", "t", "while", "exp") and not made.endswith("0") and len(made) < 64


def test_an_unmet_requirement_is_refused() -> None:
    from nmlbridge.errors import UnsupportedError

    component = flat(CHANNEL.format(id="na", rate=1), "na_dens")
    component.externals["magnesium"] = component.externals["v"]
    from nmlbridge.lems.expression import parse
    from nmlbridge.lems.flat import Derived
    from nmlbridge.units import NONE

    component.derived["iDensity"] = Derived(parse("magnesium"), NONE, "")
    with pytest.raises(UnsupportedError, match="magnesium"):
        compile_group([component], DENSITY)
    compile_group([component], Role("density", current="iDensity", bindings={"magnesium": Binding(Num(1.0))}))
