"""Components: slots, references, prototypes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nmlbridge.errors import LemsError
from nmlbridge.lems import Model
from nmlbridge.report import Report

Build = Callable[..., Model]

HH = """
<ionChannelHH id="na" conductance="10pS" species="na">
  <notes>any text</notes>
  <gateHHrates id="m" instances="3">
    <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/>
  </gateHHrates>
  <gate id="h" instances="1" type="gateHHrates">
    <q10Settings type="q10ExpTemp" q10Factor="3" experimentalTemp="6.3 degC"/>
    <forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
    <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/>
  </gate>
</ionChannelHH>
"""


def test_slots_and_numbers(build: Build) -> None:
    channel = build(HH).component("na")
    assert channel.parameters == {"conductance": 1e-11}
    assert channel.texts["species"] == "na"
    assert [(slot, child.id, child.type.name) for slot, child in channel.children] == [
        ("gates", "m", "gateHHrates"),
        ("gates", "h", "gateHHrates"),
    ]
    gate = channel.children_of("gates")[1]
    rate = gate.child("forwardRate")
    assert rate is not None
    assert rate.type.name == "HHExpRate"
    assert rate.parameters == {"rate": 70.0, "midpoint": -0.065, "scale": -0.02}
    (setting,) = gate.children_of("q10Settings")
    assert setting.parameters["experimentalTemp"] == 279.45
    assert (channel.file, channel.line) == ("model.nml", 2)


def test_the_same_model_as_component_elements(build: Build) -> None:
    model = build(
        """<Component id="cell" type="iafTauCell" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms"/>
        <iafTauCell id="short" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms"/>
        <Component id="like" extends="short" tau="10 ms"/>"""
    )
    assert model.component("cell").parameters == model.component("short").parameters
    like = model.component("like")
    assert like.type.name == "iafTauCell"
    assert like.parameters == {**model.component("short").parameters, "tau": 0.01}


def test_type_attribute_overrides_the_tag(build: Build) -> None:
    model = build('<ionChannelHH id="leak" type="ionChannelPassive" conductance="1pS"/>')
    assert model.component("leak").type.name == "ionChannelPassive"


def test_references_are_looked_up_when_asked_for(build: Build) -> None:
    model = build(
        """<poissonFiringSynapse id="in" averageRate="5Hz" synapse="syn" spikeTarget="./syn"/>
        <expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="2ms"/>
        <poissonFiringSynapse id="bad" averageRate="5Hz" synapse="sin" spikeTarget="./sin"/>"""
    )
    assert model.component("in").references["synapse"] is model.component("syn")
    with pytest.raises(LemsError, match=r"component 'bad': synapse='sin' names no component; did you mean .*'syn'"):
        model.component("bad").references["synapse"]
    with pytest.raises(LemsError, match="names no component"):
        model.check()


def test_morphology_and_biophysics_beside_the_cell(build: Build) -> None:
    model = build(
        """<cell id="c" morphology="m" biophysicalProperties="b"/>
        <morphology id="m"><segment id="0"><proximal x="0" y="0" z="0" diameter="2"/>
          <distal x="0" y="0" z="5" diameter="2"/></segment></morphology>
        <biophysicalProperties id="b"><membraneProperties><spikeThresh value="0mV"/></membraneProperties>
          <intracellularProperties/></biophysicalProperties>"""
    )
    cell = model.component("c")
    assert cell.child("morphology") is model.component("m")
    assert cell.child("biophysicalProperties") is model.component("b")
    (segment,) = model.component("m").children_of("segments")
    distal = segment.child("distal")
    assert distal is not None
    assert distal.parameters["z"] == 5.0


def test_the_bulk_of_a_network_is_left_alone(build: Build) -> None:
    network = build(
        '<network id="n" type="networkWithTemperature" temperature="6.3degC"><nonsense/></network>'
    ).component("n")
    assert network.parameters == {"temperature": 279.45}
    assert not network.children


def test_the_last_children_list_that_accepts_a_type_wins(build: Build) -> None:
    model = build(
        """<ComponentType name="item"/><ComponentType name="box"><Children name="a" type="item"/>
        <Children name="b" type="item"/></ComponentType><box id="x"><item id="1"/></box>"""
    )
    assert [slot for slot, _ in model.component("x").children] == ["b"]


def test_inline_component_for_a_reference(build: Build) -> None:
    model = build(
        """<ComponentType name="holder"><ComponentReference name="synapse" type="expOneSynapse"/></ComponentType>
        <holder id="h"><synapse id="s" type="expOneSynapse" gbase="1nS" erev="0mV" tauDecay="2ms"/></holder>"""
    )
    assert model.component("h").references["synapse"].parameters["gbase"] == 1e-9


def test_simulation_by_target_or_as_the_only_one(build: Build) -> None:
    text = '<Simulation id="{}" length="1s" step="0.1ms" target="net"/>'
    assert build(text.format("a")).simulation().id == "a"
    two = build(text.format("a") + text.format("b"))
    assert two.simulation("b").id == "b"
    with pytest.raises(LemsError, match=r"found a, b; name one"):
        two.simulation()
    with pytest.raises(LemsError, match="expected a Simulation"):
        build(HH).simulation("na")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<iafCel id="x"/>', r"model\.nml:1: component 'x': unknown ComponentType 'iafCel'; did you mean 'iafCell'"),
        (
            '<expOneSynapse id="s" gbase="10mV" erev="0mV" tauDecay="1ms"/>',
            r"gbase: '10mV' is a voltage; expected a cond",
        ),
        (
            '<expOneSynapse id="s" gbase="10" erev="0mV" tauDecay="1ms"/>',
            r"'10' has no unit; expected a conductance \(in S",
        ),
        ('<expOneSynapse id="s" gbase="1 NS" erev="0mV" tauDecay="1ms"/>', r"unknown unit 'NS'.*did you mean 'nS'"),
        (
            '<expOneSynapse id="s" gbase="1nS" erev="0mV"/>',
            r"component 's': the expOneSynapse lacks tauDecay \(a time\)",
        ),
        ('<expOneSynapse id="s" gbase="1nS" erev="0mV" taudecay="1ms"/>', r"lacks tauDecay.*did you mean 'taudecay'"),
        ('<Component id="x" tau="1ms"/>', "needs a type"),
        ('<Component id="x" extends="y"/>', "extends the component 'y', which is not there"),
        ('<Component id="x" extends="y"/><Component id="y" extends="x"/>', "circle"),
        (
            '<ionChannelHH id="c"><gate id="m" type="gateHHrate" instances="1"/></ionChannelHH>',
            "'gateHHrate'; did you mean",
        ),
        (
            '<ComponentType name="a"><Parameter name="p" dimension="foo"/></ComponentType><a id="x" p="1"/>',
            "dimension 'foo'",
        ),
    ],
)
def test_mistakes(build: Build, text: str, message: str) -> None:
    with pytest.raises(LemsError, match=message) as caught:
        build(text)
    assert caught.value.file == "model.nml"
    assert caught.value.line == 1


def test_an_id_used_twice(build: Build) -> None:
    one = '<ionChannelPassive id="a" conductance="1pS"/>\n'
    build(one + one)
    with pytest.raises(
        LemsError, match=r"model\.nml:2: .*the id 'a' is used twice: by <ionChannelPassive> at model\.nml:1"
    ):
        build(one + '<ionChannelPassive id="a" conductance="2pS"/>')


def test_nesting_is_bounded(build: Build) -> None:
    nest = '<ComponentType name="nest"><Children name="inner" type="nest"/></ComponentType>'
    build(nest + '<nest id="x">' + "<nest>" * 90 + "</nest>" * 90 + "</nest>")
    with pytest.raises(LemsError, match="nested deeper than 100 levels"):
        build(nest + '<nest id="x">' + "<nest>" * 1500 + "</nest>" * 1500 + "</nest>")


def test_zero_needs_no_unit(build: Build) -> None:
    model = build('<expOneSynapse id="s" gbase="1nS" erev="0" tauDecay="1ms"/>')
    assert model.component("s").parameters["erev"] == 0.0


def test_what_has_no_place_is_reported(build: Build) -> None:
    report = Report()
    build('<ionChannelHH id="c"><expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="1ms"/></ionChannelHH>', report)
    assert [note.code for note in report.losses] == ["unknown-element"]
    assert report.losses[0].component == "c"
