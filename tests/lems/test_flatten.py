"""Flattening: names, selections, requirements, regimes, events, kinetic schemes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from nmlbridge.errors import LemsError, UnsupportedError
from nmlbridge.lems import FlatComponent
from nmlbridge.lems.evaluate import evaluate
from nmlbridge.lems.expression import Num, Piecewise, to_text
from nmlbridge.lems.flat import Action, Assign, External, State, Transition
from nmlbridge.units import NONE

from .test_model import HH

Flat = Callable[..., FlatComponent]

CELL = """
<cell id="c"><morphology id="m"><segment id="0"><proximal x="0" y="0" z="0" diameter="2"/>
 <distal x="0" y="0" z="5" diameter="2"/></segment></morphology>
 <biophysicalProperties id="b"><membraneProperties>
  <channelDensity id="naChans" ionChannel="na" condDensity="120 mS_per_cm2" erev="50mV" ion="na"/>
  <channelDensityVShift id="shifted" ionChannel="na" condDensity="1 mS_per_cm2" erev="50mV" ion="na" vShift="2mV"/>
  <spikeThresh value="0mV"/><specificCapacitance value="1uF_per_cm2"/><initMembPotential value="-65mV"/>
 </membraneProperties><intracellularProperties>
  <species id="ca" ion="ca" concentrationModel="pool" initialConcentration="1e-4mM" initialExtConcentration="2mM"/>
 </intracellularProperties></biophysicalProperties></cell>
<decayingPoolConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="10ms" shellThickness="0.2um"/>
"""
SYNAPSES = """
<expTwoSynapse id="AMPA" gbase="1nS" erev="0mV" tauRise="0.5ms" tauDecay="2ms"/>
<blockingPlasticSynapse id="NMDA" gbase="1nS" erev="0mV" tauRise="2ms" tauDecay="8ms">
  <plasticityMechanism type="tsodyksMarkramDepFacMechanism" initReleaseProb="0.5" tauRec="120ms" tauFac="10ms"/>
  <blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM" scalingConc="1.9mM"
    scalingVolt="16mV"/>
</blockingPlasticSynapse>
<doubleSynapse id="both" synapse1="AMPA" synapse1Path="./AMPA" synapse2="NMDA" synapse2Path="./NMDA"/>
<poissonFiringSynapse id="noise" averageRate="50Hz" synapse="AMPA" spikeTarget="./AMPA"/>
<timedSynapticInput id="timed" synapse="AMPA" spikeTarget="./AMPA"><spike id="0" time="2ms"/><spike id="1" time="9ms"/>
</timedSynapticInput>
"""


def text(actions: Sequence[Action]) -> list[str]:
    return [f"{a.variable} = {to_text(a.expr)}" if isinstance(a, Assign) else f"emit {a.port}" for a in actions]


def values(flat: FlatComponent, **given: float) -> dict[str, float]:
    """All derived variables of the component for these states and externals."""
    env: dict[str, float] = {name: p.value for name, p in flat.parameters.items()}
    env |= {name: p.default for name, p in flat.properties.items()} | given
    for name, variable in flat.derived.items():
        env[name] = float(evaluate(variable.expr, env))
    return env


def test_channel_density(flat: Flat) -> None:
    density = flat(HH + CELL, "c", "naChans")
    assert list(density.states) == ["na_m_q", "na_h_q"]
    assert density.parameters["condDensity"].value == 1200.0
    assert density.parameters["na_m_forwardRate_rate"].path == "na/m/forwardRate/rate"
    assert density.externals.keys() == {"v", "temperature"}
    v, celsius = -0.05, 279.45 + 10
    got = values(density, v=v, temperature=celsius, t=0.0, na_m_q=0.5, na_h_q=0.25)
    x = (v + 0.04) / 0.01
    alpha, beta = 1000 * x / (1 - math.exp(-x)), 4000 * math.exp((v + 0.065) / -0.018)
    assert got["na_m_inf"] == pytest.approx(alpha / (alpha + beta), rel=1e-14)
    assert got["na_m_tau"] == pytest.approx(1 / (alpha + beta), rel=1e-14)
    assert got["na_h_rateScale"] == pytest.approx(3.0, rel=1e-14)
    assert got["iDensity"] == pytest.approx(1200 * 0.5**3 * 0.25 * (0.05 - v), rel=1e-14)
    assert to_text(density.derivatives["na_m_q"]) == "((na_m_inf - na_m_q) / na_m_tau)"
    assert text(density.on_start) == ["na_m_q = na_m_inf", "na_h_q = na_h_inf"]


def test_paths_by_id_and_by_slot(flat: Flat) -> None:
    paths = flat(HH + CELL, "c", "naChans").paths
    for path in ("na/m/q", "ionChannel/m/q"):
        assert paths[path] == "na_m_q"
    assert paths["na/m/forwardRate/r"] == "na_m_forwardRate_r"
    assert paths["na/h/q10Settings/q10"] == "na_h_q10Settings_q10"
    assert paths["iDensity"] == "iDensity"
    synapse = flat(SYNAPSES, "NMDA").paths
    assert synapse["plasticityMechanism/R"] == synapse["plasticityMechanisms/R"] == "plasticityMechanisms_R"


def test_the_same_input_gives_the_same_output(flat: Flat) -> None:
    assert flat(HH + CELL, "c", "naChans") == flat(HH + CELL, "c", "naChans")


def test_a_requirement_is_met_by_the_nearest_above(flat: Flat) -> None:
    rate = """<ComponentType name="shiftedRate" extends="baseHHRate"><Requirement name="vShift" dimension="voltage"/>
      <Requirement name="instances" dimension="none"/>
      <Dynamics><DerivedVariable name="r" dimension="per_time" exposure="r"
       value="rate*exp((v-vShift)/scale)*instances"/></Dynamics></ComponentType>"""
    density = flat(rate + HH.replace("HHExpLinearRate", "shiftedRate") + CELL, "c", "shifted")
    assert density.parameters["vShift"].value == 0.002
    assert to_text(density.derived["na_m_forwardRate_r"].expr) == (
        "((na_m_forwardRate_rate * exp(((v - vShift) / na_m_forwardRate_scale))) * na_m_instances)"
    )


def test_species_with_its_concentration_model(flat: Flat) -> None:
    species = flat(CELL.replace('ionChannel="na"', 'ionChannel="none"'), "c", "ca")
    assert species.externals.keys() == {"iCa", "surfaceArea"}
    assert text(species.on_start)[0] == "pool_concentration = initialConcentration"
    assert species.derived["concentration"].expr == species.derived["concentration"].expr
    assert to_text(species.derived["concentration"].expr) == "pool_concentration"
    assert species.parameters["initialConcentration"].value == 1e-4
    assert text(species.conditions[0].actions) == ["pool_concentration = 0.0"]


def test_time_courses_expose_t_and_time_stays_t(flat: Flat) -> None:
    gate = """<ComponentType name="clock" extends="baseVoltageDepTime">
      <Constant name="SEC" dimension="time" value="1s"/>
      <Dynamics><DerivedVariable name="t" dimension="time" exposure="t" value="SEC + 0*v"/></Dynamics></ComponentType>
    <ComponentType name="drift" extends="baseVoltageDepVariable"><Constant name="SEC" dimension="time" value="1s"/>
      <Dynamics><DerivedVariable name="x" dimension="none" exposure="x" value="t/SEC"/></Dynamics></ComponentType>
    <ionChannelHH id="k" conductance="1pS"><gateHHtauInf id="n" instances="1"><timeCourse type="clock"/>
      <steadyState type="drift"/></gateHHtauInf></ionChannelHH>
    <clock id="alone"/>"""
    channel = flat(gate, "k")
    assert channel.paths["n/timeCourse/t"] == "n_timeCourse_t"
    assert to_text(channel.derived["n_steadyState_x"].expr) == "(t / n_steadyState_SEC)"
    alone = flat(gate, "alone")
    assert "t" not in alone.derived
    assert alone.paths["t"] in alone.derived


def test_plasticity_is_relayed_after_the_synapses_own_assignments(flat: Flat) -> None:
    synapse = flat(SYNAPSES, "NMDA")
    (event,) = synapse.events
    assert event.port == "in"
    p = "plasticityMechanisms"
    assert text(event.actions) == [
        "A = (A + ((weight * plasticityFactor) * waveformFactor))",
        "B = (B + ((weight * plasticityFactor) * waveformFactor))",
        f"{p}_R = ({p}_R * (1.0 - {p}_U))",
        f"{p}_U = ({p}_U + ({p}_initReleaseProb * (1.0 - {p}_U)))",
        "emit relay",
    ]
    assert synapse.properties["weight"].default == 1.0
    got = values(synapse, v=-0.03, A=0.0, B=1.0, **{f"{p}_R": 0.5, f"{p}_U": 0.25})
    assert got["plasticityFactor"] == 0.125
    assert got["i"] == pytest.approx(1e-9 * 0.03 / (1 + 1.2 / 1.9 * math.exp(0.03 / 0.016)), rel=1e-13)


def test_without_mechanisms_the_product_is_one(flat: Flat) -> None:
    bare = '<blockingPlasticSynapse id="s" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="2ms"/>'
    synapse = flat(bare, "s")
    assert synapse.derived["blockFactor"].expr == Num(1.0)
    assert synapse.derived["plasticityFactor"].expr == Num(1.0)


def test_double_synapse_gives_its_children_unit_events(flat: Flat) -> None:
    both = flat(SYNAPSES, "both")
    assert list(both.properties) == ["weight"]
    assert both.parameters["AMPA_weight"].value == 1.0
    (event,) = both.events
    assert text(event.actions)[0] == "weightFactor = weight"
    assert "AMPA_A = (AMPA_A + (AMPA_weight * AMPA_waveformFactor))" in text(event.actions)
    assert to_text(both.derived["i"].expr) == "(weightFactor * (i1 + i2))"
    assert both.paths["AMPA/g"] == both.paths["synapse1/g"] == "AMPA_g"


def test_the_same_synapse_twice_is_two_instances(flat: Flat) -> None:
    twice = SYNAPSES.replace('synapse2="NMDA" synapse2Path="./NMDA"', 'synapse2="AMPA" synapse2Path="./synapse2"')
    both = flat(twice, "both")
    assert [name for name in both.states if name.endswith("_A")] == ["AMPA_A", "synapse2_A"]
    (event,) = both.events
    assert sum(action.startswith("AMPA_A =") for action in text(event.actions)) == 1
    assert sum(action.startswith("synapse2_A =") for action in text(event.actions)) == 1


def test_poisson_input_drives_its_synapse(flat: Flat) -> None:
    noise = flat(SYNAPSES, "noise")
    (condition,) = noise.conditions
    assert to_text(condition.test) == "(t .gt. tnextUsed)"
    assert text(condition.actions)[-3:] == [
        "AMPA_A = (AMPA_A + (AMPA_weight * AMPA_waveformFactor))",
        "AMPA_B = (AMPA_B + (AMPA_weight * AMPA_waveformFactor))",
        "emit spike",
    ]
    assert noise.parameters["averageIsi"].value == 0.02
    assert noise.externals == {"v": External(noise.externals["v"].dimension, "requirement", "v")}


def test_spikes_of_children_reach_the_parent_and_its_synapse(flat: Flat) -> None:
    timed = flat(SYNAPSES, "timed")
    assert [to_text(c.test) for c in timed.conditions] == [
        f"((t .geq. spikes_{n}_time) .and. (spikes_{n}_spiked .eq. 0.0))" for n in (0, 1)
    ]
    for condition in timed.conditions:
        assert "tsince = 0.0" in text(condition.actions)
        assert "AMPA_A = (AMPA_A + (AMPA_weight * AMPA_waveformFactor))" in text(condition.actions)
    assert timed.parameters["spikes_1_time"].value == 0.009


def test_derived_parameters_are_numbers(flat: Flat) -> None:
    synapse = flat(SYNAPSES, "AMPA")
    rise, decay = 0.0005, 0.002
    peak = math.log(decay / rise) * rise * decay / (decay - rise)
    assert synapse.parameters["peakTime"].value == pytest.approx(peak, rel=1e-15)
    factor = 1 / (-math.exp(-peak / rise) + math.exp(-peak / decay))
    assert synapse.parameters["waveformFactor"].value == pytest.approx(factor, rel=1e-14)
    with pytest.raises(
        LemsError, match=r"component 'AMPA': the DerivedParameter 'peakTime' has no value for tauDecay="
    ):
        flat(SYNAPSES.replace('tauRise="0.5ms" tauDecay="2ms"', 'tauRise="2ms" tauDecay="2ms"'), "AMPA")


ENVIRONMENT = """
<ComponentType name="Ion"/>
<ComponentType name="Potential"><ComponentReference name="ion" type="Ion"/>
 <Parameter name="reversal" dimension="voltage"/></ComponentType>
<ComponentType name="Bath"><Children name="potentials" type="Potential"/></ComponentType>
<ComponentType name="Pore"><ComponentReference name="ion" type="Ion"/></ComponentType>
<ComponentType name="Pores"><ComponentReference name="pore" type="Pore"/>
 <DerivedParameter name="erev" dimension="voltage" select="//Potential[ion=pore/ion]/reversal"/>
 <DerivedParameter name="other" dimension="voltage" select="//Potential[ion='na']/reversal"/>
 <Exposure name="sum" dimension="voltage"/>
 <Dynamics><DerivedVariable name="sum" exposure="sum" dimension="voltage" value="erev + other"/></Dynamics>
</ComponentType>
<Ion id="na"/><Ion id="k"/><Pore id="open" ion="k"/><Pores id="p" pore="open"/>
<Bath id="sea"><Potential ion="na" reversal="50mV"/><Potential ion="k" reversal="-80mV"/></Bath>
"""


def test_a_derived_parameter_searches_the_model(flat: Flat) -> None:
    found = flat(ENVIRONMENT, "p").parameters
    assert (found["erev"].value, found["other"].value) == (-0.08, 0.05)
    for old, new, expected in (
        ('ion="k" reversal', 'ion="na" reversal', r"'p': .*one Potential with ion='k'; there are 0"),
        ("[ion='na']", "", r"searches the model for one Potential; there are 2"),
        ("pore/ion]", "door/ion]", r"'door' of 'door/ion' leads to no component"),
        ("pore/ion]", "pore/charge]", r"'open' has no 'charge' to search by"),
        ("//Potential[ion='na']/reversal", "//Potential[ion/reversal", r"model.nml:\d+: .*cannot read the path"),
    ):
        with pytest.raises(LemsError, match=expected):
            flat(ENVIRONMENT.replace(old, new), "p")


REFRACTORY = """<iafRefCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
 leakConductance="0.01uS" refract="5ms"/>"""


def test_regimes_become_a_numbered_state(flat: Flat) -> None:
    cell = flat(REFRACTORY, "iaf")
    assert cell.states["regime"] == State(NONE, "regime", regime=True)
    assert to_text(cell.derivatives["v"]) == "{(regime .eq. 1.0): (iMemb / C); else: 0.0}"
    assert text(cell.on_start) == ["v = leakReversal", "regime = 1.0"]
    leave, fire = cell.conditions
    assert (leave.regime, text(leave.actions)) == (("regime", 0), ["regime = 1.0"])
    assert fire.regime == ("regime", 1)
    assert text(fire.actions) == ["emit spike", "regime = 0.0", "lastSpikeTime = t", "v = reset"]
    assert cell.externals["iSyn"] == External(cell.externals["iSyn"].dimension, "attachments", "synapses/i", "add")
    assert cell.out_ports == ("spike",)


def test_a_derivative_that_all_regimes_share_needs_no_choice(flat: Flat) -> None:
    cell = flat(
        """<adExIaFCell id="a" C="281pF" gL="30nS" EL="-70.6mV" reset="-48.5mV" VT="-50.4mV" thresh="-40.4mV"
        refract="0ms" delT="2mV" tauw="40ms" a="4nS" b="0.08nA"/>""",
        "a",
    )
    assert to_text(cell.derivatives["w"]) == "(((a * (v - EL)) - w) / tauw)"
    assert isinstance(cell.derivatives["v"], Piecewise)


CLOCK = """<ComponentType name="switch"><EventPort name="in" direction="in"/><EventPort name="out" direction="out"/>
 <Exposure name="level" dimension="none"/><Constant name="SEC" dimension="time" value="1s"/>
 <Dynamics><StateVariable name="x" dimension="none" exposure="level"/><TimeDerivative variable="x" value="1/SEC"/>
  {top}
  <Regime name="low"><DerivedVariable name="speed" dimension="none" value="1"/>
   <OnEntry><StateAssignment variable="x" value="x + 1"/></OnEntry>
   <OnEvent port="in"><Transition regime="high"/></OnEvent></Regime>
  <Regime name="high" initial="true"><DerivedVariable name="speed" dimension="none" value="2"/>
   <TimeDerivative variable="x" value="speed/SEC"/><OnEntry><StateAssignment variable="x" value="10"/></OnEntry>
   <OnEvent port="in"><StateAssignment variable="x" value="0"/><Transition regime="low"/></OnEvent></Regime>
 </Dynamics></ComponentType>
 <ComponentType name="box"><Child name="inner" type="switch"/><EventPort name="in" direction="in"/>
  <EventPort name="relay" direction="out"/>
  <Dynamics><OnEvent port="in"><EventOut port="relay"/></OnEvent></Dynamics>
  <Structure><With instance="this" as="a"/><With instance="inner" as="b"/><EventConnection from="a" to="b"/></Structure>
 </ComponentType>
 <switch id="s"/><box id="b"><inner/></box>"""


def test_regimes_add_to_what_always_holds(flat: Flat) -> None:
    switch = flat(CLOCK.format(top=""), "s")
    assert to_text(switch.derivatives["x"]) == ("{(regime .eq. 1.0): ((1.0 / SEC) + (speed / SEC)); else: (1.0 / SEC)}")
    assert to_text(switch.derived["speed"].expr) == "{(regime .eq. 0.0): 1.0; (regime .eq. 1.0): 2.0; else: 0.0}"
    assert text(switch.on_start) == ["regime = 1.0", "x = 10.0"]
    assert [(e.port, e.regime, text(e.actions)) for e in switch.events] == [
        ("in", ("regime", 0), ["regime = 1.0", "x = 10.0"]),
        ("in", ("regime", 1), ["x = 0.0", "regime = 0.0", "x = (x + 1.0)"]),
    ]
    assert switch.paths["level"] == "x"


def test_an_event_relayed_into_a_regime_changes_it_once(flat: Flat) -> None:
    box = flat(CLOCK.format(top=""), "b")
    (event,) = box.events
    for before, after in ((0.0, 1.0), (1.0, 0.0)):
        env = {"inner_regime": before, "inner_x": 5.0}
        for action in event.actions:
            if isinstance(action, Assign):
                env[action.variable] = float(evaluate(action.expr, env))
        assert env["inner_regime"] == after
        assert env["inner_x"] == (10.0 if after else 1.0)


def test_an_event_at_the_start_is_not_supported(flat: Flat) -> None:
    with pytest.raises(UnsupportedError, match="at the start"):
        flat(CLOCK.format(top='<OnStart><EventOut port="out"/></OnStart>'), "s")


def test_of_variables_that_share_an_exposure_its_namesake_has_it(flat: Flat) -> None:
    states = [f'<StateVariable name="{n}" exposure="i" dimension="{d}"/>' for n, d in (("i", "current"), ("x", "none"))]
    for order in (states, states[::-1]):
        found = flat(
            f"""<ComponentType name="source" extends="basePointCurrent"><Dynamics>{"".join(order)}
            <OnStart><StateAssignment variable="x" value="3"/></OnStart></Dynamics></ComponentType><source id="s"/>""",
            "s",
        )
        assert found.paths["i"] == "i"


def test_a_derived_variable_hides_a_state_of_its_name(flat: Flat) -> None:
    cell = flat(
        """<pinskyRinzelCA3Cell id="p" iSoma="0.75 uA_per_cm2" iDend="0 uA_per_cm2" gc="2.1 mS_per_cm2" qd0="0"
        gLs="0.1 mS_per_cm2" gLd="0.1 mS_per_cm2" gNa="30 mS_per_cm2" gKdr="15 mS_per_cm2" gCa="10 mS_per_cm2"
        gKahp="0.8 mS_per_cm2" gKC="15 mS_per_cm2" gNmda="0 mS_per_cm2" gAmpa="0 mS_per_cm2" eNa="60mV" eCa="80mV"
        eK="-75mV" eL="-60mV" pp="0.5" cm="3 uF_per_cm2" alphac="2" betac="0.1"/>""",
        "p",
    )
    assert "Sisat" in cell.derived
    assert "Sisat" not in cell.states
    order = list(cell.derived)
    assert order.index("Sisat") < order.index("Inmda") < order.index("Isyn")
    assert order.index("alphacd_Vd") < order.index("betacd_Vd")
    assert cell.paths["v"] == "v"


def test_kinetic_schemes(flat: Flat) -> None:
    channel = flat(
        """<ionChannelKS id="ks" conductance="1pS"><gateKS id="n" instances="2"><closedState id="c"/><openState id="o"/>
        <KSState id="half" relativeConductance="0.5"/>
        <forwardTransition id="f" from="c" to="half"><rate type="HHExpRate" rate="1per_ms" midpoint="0mV" scale="10mV"/>
        </forwardTransition>
        <reverseTransition id="r" from="c" to="half">
        <rate type="HHExpRate" rate="1per_ms" midpoint="0mV" scale="-10mV"/></reverseTransition>
        <vHalfTransition id="v" from="half" to="o" vHalf="0mV" z="1.5" gamma="0.75" tau="3ms" tauMin="0.3ms"/>
        </gateKS></ionChannelKS>""",
        "ks",
    )
    (scheme,) = channel.kinetics
    assert scheme.states == ("n_c_occupancy", "n_o_occupancy", "n_half_occupancy")
    c, o, half = scheme.states
    assert scheme.transitions == (
        Transition(c, half, "n_f_rf", None),
        Transition(c, half, None, "n_r_rr"),
        Transition(half, o, "n_v_rf", "n_v_rr"),
    )
    got = values(channel, v=0.01, n_c_occupancy=0.2, n_o_occupancy=0.3, n_half_occupancy=0.5)
    assert got["n_q"] == pytest.approx(0.3 + 0.25)
    assert got["fopen"] == pytest.approx(0.55**2)
    assert got["n_f_rf"] == pytest.approx(1000 * math.e)
    assert not channel.derivatives


def test_peers_are_external(flat: Flat) -> None:
    gap = flat('<gapJunction id="g" conductance="10pS"/>', "g")
    assert gap.externals["vpeer"].kind == "peer"
    assert gap.externals["vpeer"].target == "peer/v"
    assert to_text(gap.derived["i"].expr) == "((weight * conductance) * (vpeer - v))"
    assert not gap.derived["i"].dimension.dimensionless


def test_children_with_numbers_for_names_and_predicates(flat: Flat) -> None:
    point = flat(
        HH
        + """<pointCellCondBasedCa id="p" C="10pF" v0="-65mV" thresh="20mV">
        <channelPopulation id="naPop" ionChannel="na" number="1000" erev="50mV" ion="na"/>
        <channelPopulation id="caPop" ionChannel="na" number="10" erev="80mV" ion="ca"/></pointCellCondBasedCa>""",
        "p",
    )
    assert to_text(point.derived["iCa"].expr) == "caPop_i"
    assert to_text(point.derived["iChannels"].expr) == "(naPop_i + caPop_i)"
    assert to_text(point.derived["caConc"].expr) == "0.0"
    assert len([s for s in point.states if s.endswith("_q")]) == 4
    starts = text(point.on_start)
    assert starts.index("v = v0") < starts.index("naPop_na_m_q = naPop_na_m_inf")


def test_a_missing_optional_parameter_takes_only_what_needs_it_away(flat: Flat) -> None:
    bare = HH.replace('conductance="10pS"', "")
    density = flat(bare + CELL, "c", "naChans")
    assert "iDensity" in density.derived
    assert "na_g" not in density.derived
    assert all(np.isfinite(p.value) for p in density.parameters.values())


A = '<DerivedVariable name="a" dimension="none" {}/>'
LATER = '<OnCondition test="t .gt. 1">{}</OnCondition>'
JUMP = '<Transition regime="rr"/>'


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (A.format('value="b"') + A.format('value="a+1"').replace('"a"', '"b"', 1), "circle: a -> b -> a"),
        (A.format('value="bee"'), "uses 'bee', which it does not declare"),
        (
            A.format('select="kids[*]/z" reduce="add"'),
            "'z', which 'a' of the odd 'x' selects, is not defined in the kid",
        ),
        (A.format('select="kid[*]/y" reduce="add"'), "'kid' names nothing.*'kids'"),
        (A.format('select="kids[*]/y"'), "there 2 times; expected once .or a reduce"),
        (A.format("select=\"kids[n='3']/y\""), "there 0 times; expected once"),
        (A.format('value="1"').replace("none", "nil"), "unknown dimension 'nil'"),
        (LATER.format('<EventOut port="spik"/>'), "no out port 'spik'; did you mean 'spike'"),
        (LATER.format('<StateAssignment variable="s" value="1"/>'), "sets 's', which is no StateVariable"),
        ('<OnEvent port="inn"/>', "no in port 'inn'; did you mean 'in'"),
        (f'<Regime name="r">{LATER.format(JUMP)}</Regime>', "has no regime 'rr'; did you mean 'r'"),
        ('<TimeDerivative variable="s" value="1"/>', "sets 's', which is no StateVariable"),
    ],
)
def test_mistakes_name_the_component(flat: Flat, members: str, message: str) -> None:
    model = f"""<ComponentType name="kid"><Exposure name="y" dimension="none"/>
      <Dynamics><DerivedVariable name="y" dimension="none" exposure="y" value="1"/></Dynamics></ComponentType>
      <ComponentType name="odd"><Children name="kids" type="kid"/><EventPort name="spike" direction="out"/>
      <EventPort name="in" direction="in"/><Dynamics>{members}</Dynamics></ComponentType>
      <odd id="x"><kid id="k1" n="1"/><kid id="k2" n="2"/></odd>"""
    with pytest.raises(LemsError, match=message) as caught:
        flat(model, "x")
    assert caught.value.file == "model.nml"
    assert caught.value.component in ("x", "k1")
    assert caught.value.line


def test_predicates_select_by_text(flat: Flat) -> None:
    model = """<ComponentType name="kid"><Text name="n"/><Exposure name="y" dimension="none"/>
      <Dynamics><StateVariable name="y" dimension="none" exposure="y"/></Dynamics></ComponentType>
      <ComponentType name="pair"><Children name="kids" type="kid"/><Dynamics>
      <DerivedVariable name="a" dimension="none" select="kids[n='2']/y" reduce="multiply"/>
      <DerivedVariable name="b" dimension="none" select="kids[n='9']/y" reduce="sum"/>
      <DerivedVariable name="c" dimension="none" select="kids[0]/y"/></Dynamics></ComponentType>
      <pair id="x"><kid id="k1" n="1"/><kid id="k2" n="2"/></pair>"""
    pair = flat(model, "x")
    assert {n: to_text(d.expr) for n, d in pair.derived.items()} == {"a": "k2_y", "b": "0.0", "c": "k1_y"}


def test_components_that_contain_each_other(flat: Flat) -> None:
    model = """<ComponentType name="loop"><ComponentReference name="next" type="loop"/>
      <Structure><ChildInstance component="next"/></Structure></ComponentType>
      <loop id="a" next="b"/><loop id="b" next="a"/>"""
    with pytest.raises(LemsError, match="refer to each other in a circle"):
        flat(model, "a")


def test_events_in_a_circle(flat: Flat) -> None:
    model = """<ComponentType name="echo"><Child name="inner" type="echo"/>
      <EventPort name="in" direction="in"/><EventPort name="out" direction="out"/>
      <Dynamics><OnEvent port="in"><EventOut port="out"/></OnEvent></Dynamics>
      <Structure><With instance="this" as="a"/><EventConnection from="a" to="a"/></Structure></ComponentType>
      <echo id="e"/>"""
    with pytest.raises(LemsError, match="passed on in a circle"):
        flat(model, "e")


def test_names_that_meet_are_told_apart(flat: Flat) -> None:
    model = """<ComponentType name="kid"><Exposure name="y" dimension="none"/>
      <Dynamics><StateVariable name="y" dimension="none" exposure="y"/></Dynamics></ComponentType>
      <ComponentType name="top"><Children name="kids" type="kid"/><Dynamics><StateVariable name="a_y" dimension="none"/>
      <DerivedVariable name="s" dimension="none" select="kids[*]/y" reduce="add"/></Dynamics></ComponentType>
      <top id="x"><kid id="a"/><kid id="a-"/><kid id="a."/></top>"""
    top = flat(model, "x")
    assert set(top.states) == {"a_y", "a_y_2", "a__y", "a__y_2"}
    assert top.paths["a_y"] == "a_y"
    assert top.paths["a/y"] == "a_y_2"
