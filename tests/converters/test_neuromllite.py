"""NeuroMLlite: rules expanded as NeuroMLlite does, number by number; what rules can say goes out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import read, write
from nmlbridge.errors import DocumentError, ModelError, NetworkError
from nmlbridge.registry import convert, format_to_read
from nmlbridge.report import Report

from .contract import VIEWS

SHIPPED = ["Example2_TestNetwork", "Example3_Network", "Example4_PyNN", "Example7_Brunel2000", "Example11_Synapses"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_expansion_is_what_neuromllite_generated(name: str, corpus: Path, tmp_path: Path) -> None:
    """Positions, connections, weights, delays and inputs of the files that NeuroMLlite made of the same rules."""
    lines = (corpus / "neuromllite" / f"{name}.net.nml").read_text().splitlines()
    (tmp_path / "theirs.net.nml").write_text("\n".join(line for line in lines if "<include" not in line))
    theirs, mine = read(tmp_path / "theirs.net.nml"), read(corpus / "neuromllite" / f"{name}.json")
    assert mine.id == theirs.id
    for view in ("networks", "connections", "inputs"):
        assert VIEWS[view](mine) == VIEWS[view](theirs), view
    for population in theirs.populations.values():
        ours = mine.populations[population.id]
        assert ours.positions is not None and population.positions is not None
        assert np.allclose(ours.positions, population.positions, rtol=1e-14, atol=1e-12)  # written with 15 digits
        assert ours.properties == population.properties
    for a, b in zip(mine.projections, theirs.projections, strict=True):
        for column in ("weight", "delay"):
            x, y = getattr(a, column), getattr(b, column)
            assert (x is None) == (y is None)
            assert x is None or np.allclose(x, y, rtol=1e-14)
    there = {e.get("id"): e for e in mine.components}
    for element in theirs.components:
        if element.get("id") in there and element.tag not in ("expTwoSynapse",):
            values = {k: v.replace(" ", "") for k, v in there[element.get("id")].attributes.items()}
            assert values == element.attributes


def test_yaml_and_json_are_the_same_network(corpus: Path) -> None:
    one, two = (read(corpus / "neuromllite" / f"Example4_PyNN.{kind}") for kind in ("json", "yaml"))
    for view in ("networks", "positions", "weights", "delays", "components"):
        assert VIEWS[view](one) == VIEWS[view](two)


def test_a_simulation_brings_its_network_and_what_to_record(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "neuromllite" / "SimExample4.json"
    assert format_to_read(source).name == "neuromllite"
    network = convert(source, tmp_path / "LEMS_it.xml")
    shipped = read(corpus / "neuromllite" / "Example4_PyNN.net.nml")
    assert VIEWS["weights"](network) == VIEWS["weights"](shipped)
    theirs = (corpus / "neuromllite" / "LEMS_SimExample4.xml").read_text()
    simulation = next(e for e in network.simulation if e.tag == "Simulation")
    assert (simulation.get("length"), simulation.get("step"), simulation.get("seed")) == (
        "1000.0 ms",
        "0.01 ms",
        "5678",
    )
    quantities = [c.attributes["quantity"] for f in simulation.findall("OutputFile") for c in f.children]
    assert len(quantities) == 5
    assert all(f'<OutputColumn id="{q.replace("/", "_")}" quantity="{q}"/>' in theirs for q in quantities)


@pytest.mark.neuron
def test_a_simulation_runs(corpus: Path) -> None:
    """The same spikes as the NeuroML and LEMS files that NeuroMLlite made of it give."""
    import nmlbridge

    folder = corpus / "neuromllite"
    one = nmlbridge.simulate(folder / "SimExample4.json", duration=300, dt=0.05)
    two = nmlbridge.simulate(folder / "LEMS_SimExample4.xml", duration=300, dt=0.05)
    assert len(one.spikes) == 3
    assert np.array_equal(one.spikes.time, two.spikes.time)
    assert np.array_equal(one["pop1/0/testcell2/v"], two["pop1/0/testcell2/v"])


def test_what_rules_say_goes_out_and_comes_back(corpus: Path, tmp_path: Path) -> None:
    report = Report()
    network = convert(corpus / "neuromllite" / "Example4_PyNN.net.nml", tmp_path / "out.nmllite.json", report=report)
    assert {note.code for note in report.losses} == {"no-positions", "no-annotations"}
    back = read(tmp_path / "out.nmllite.json")
    for view in ("networks", "connections", "weights", "delays", "inputs", "components"):
        assert VIEWS[view](network) == VIEWS[view](back), view
    report = Report()
    convert(corpus / "neuromllite" / "Example7_Brunel2000.net.nml", tmp_path / "two.nmllite.json", report=report)
    lost = {note.component for note in report.losses if note.code == "no-connections"}
    assert lost == {"projEE", "projEI", "projIE", "projII"}  # drawn at random: no rule draws the same again
    assert set(json.loads((tmp_path / "two.nmllite.json").read_text())["Example7_Brunel2000"]["projections"]) == {
        "projEinput", "projIinput",
    }  # fmt: skip


BAD = [
    ('"size": 5', "\"size\": \"__import__('os').system('true')\"", "not allowed"),
    ('"size": 5', '"size": "n*2"', "no parameter"),
    ('"size": 5', '"size": "(1).__class__"', "not allowed"),
    ('"size": 5', '"size": "2**2**2**2**2**2"', "no value"),
    ('"size": 5', '"size": 5.5', "whole number"),
    ('"size": 5', '"size": -1', "whole number"),
    ('"size": 5', '"size": "1/0"', "no value"),
    ('"presynaptic": "pop0"', '"presynaptic": "popX"', "popX"),
    ('"region": "region1"', '"region": "nowhere"', "nowhere"),
    ('"probability": 0.5', '"probability": "many"', "no parameter"),
    ('"population": "pop0"', '"population": "pop9"', "pop9"),
    ('"test_files/hhcell.cell.nml"', '"/etc/passwd"', "relative path"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD)
def test_a_broken_rule_is_one_error(old: str, new: str, message: str, corpus: Path, tmp_path: Path) -> None:
    text = (corpus / "neuromllite" / "Example3_Network.json").read_text()
    assert old in text
    (tmp_path / "bad.json").write_text(text.replace(old, new, 1))
    with pytest.raises(NetworkError, match=message) as raised:
        convert(tmp_path / "bad.json", tmp_path / "out.nml")
    assert raised.value.file and raised.value.component and "\n" not in str(raised.value)
    assert not (tmp_path / "out.nml").exists()


def test_what_needs_another_program_is_said(corpus: Path) -> None:
    with pytest.raises(NetworkError, match="BBPConnectomeReader"):
        read(corpus / "neuromllite" / "BBP_5percent.json")
    with pytest.raises((DocumentError, ModelError)):
        read(corpus / "neuromllite" / "Example10_Lorenz.mdf.yaml")


UNITS = {
    "Net": {
        "version": "NeuroMLlite v0.6.1",
        "parameters": {"amp": "0.2 nA", "count": "4", "rate": "20 Hz", "delay": "1.5e1ms"},
        "cells": {"unit": {"neuroml2_cell": "IafCell", "parameters": {
            "leakReversal": "-70mV", "thresh": "-50mV", "reset": "-65mV", "C": "0.2nF", "leakConductance": "0.01uS"}}},
        "input_sources": {
            "pulse": {"neuroml2_input": "PulseGenerator",
                      "parameters": {"amplitude": "amp", "delay": "delay", "duration": "20ms"}},
        },
        "populations": {"p": {"size": "count", "component": "unit"}},
        "inputs": {"i": {"input_source": "pulse", "population": "p", "percentage": 100, "weight": "2 * random()"}},
    }
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
def test_numbers_with_units_core_types_and_drawn_weights(old: bool, tmp_path: Path) -> None:
    """``old``: lists of objects in place of objects, and recordTraces, as NeuroMLlite 0.2 wrote."""
    network = json.loads(json.dumps(UNITS))
    run: dict[str, object] = {"version": "NeuroMLlite v0.6.1", "network": "net.json", "duration": 50, "dt": 0.1}
    run["recordTraces" if old else "record_traces"] = {"all": "*"}
    if old:
        for name in ("cells", "input_sources", "populations", "inputs"):
            network["Net"][name] = [{id: entry} for id, entry in network["Net"][name].items()]
    (tmp_path / "net.json").write_text(json.dumps(network))
    (tmp_path / "sim.json").write_text(json.dumps({"Sim": run}))
    made = read(tmp_path / "sim.json")
    elements = {e.get("id"): e for e in made.components}
    assert elements["unit"].tag == "iafCell" and elements["unit"].get("C") == "0.2nF"
    pulse = elements["pulse"]
    assert (pulse.tag, pulse.get("amplitude"), pulse.get("delay")) == ("pulseGenerator", "0.2 nA", "1.5e1ms")
    # NeuroMLlite draws for each cell whether it is chosen, a weight, and the weight of each input
    rng = random.Random(1234)
    assert made.inputs[0].weight is not None
    assert made.inputs[0].weight.tolist() == [[rng.random(), rng.random(), 2 * rng.random()][2] for _ in range(4)]
    assert [c.tag for c in made.simulation[1].children] == ["OutputFile"]
    network["Net"]["parameters"]["amp"] = "0.2 nA * 2"
    (tmp_path / "net.json").write_text(json.dumps(network))
    with pytest.raises(NetworkError, match=r"'pulse': .*neither an expression nor a number with a unit"):
        read(tmp_path / "net.json")


def test_a_current_of_pynn_ends_when_it_says_and_the_temperature_comes_back(tmp_path: Path) -> None:
    network = json.loads(json.dumps(UNITS))
    source = {"pynn_input": "DCSource", "parameters": {"amplitude": 2, "start": 10, "stop": 30}}
    network["Net"] |= {"input_sources": {"pulse": source}, "temperature": 32.0}
    (tmp_path / "net.json").write_text(json.dumps(network))
    made = read(tmp_path / "net.json")
    pulse = next(e for e in made.components if e.get("id") == "pulse")
    assert (pulse.tag, pulse.get("delay"), pulse.get("duration")) == ("pulseGenerator", "10.0 ms", "20.0 ms")
    assert made.temperature == pytest.approx(305.15)
    write(made, tmp_path / "again.nmllite.json")
    (again,) = json.loads((tmp_path / "again.nmllite.json").read_text()).values()
    assert again["temperature"] == 32.0


def test_an_unknown_core_type_is_named(tmp_path: Path) -> None:
    network = json.loads(json.dumps(UNITS))
    network["Net"]["input_sources"]["pulse"]["neuroml2_input"] = "PulsGenerator"
    (tmp_path / "net.json").write_text(json.dumps(network))
    with pytest.raises(NetworkError, match=r"'PulsGenerator' is no type of NeuroML; did you mean 'pulseGenerator'"):
        read(tmp_path / "net.json")
