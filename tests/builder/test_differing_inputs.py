"""Inputs of one stimulus that differ in parameters: one list, one mechanism, a number for each."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.converters.native import inputs_apart
from nmlbridge.errors import NetworkError
from nmlbridge.graph import InputList, Network
from nmlbridge.lems import flatten, load_core, resolve
from nmlbridge.simulator.neuron.diversity import each_of

from .rules import CELL, SYNAPSE, run

PULSE = {"type": "pulse", "to": "A", "amplitude": "normal(0.12 nA, 0.02 nA)", "start": "uniform(1, 9)", "duration": 40}
MODEL: dict[str, Any] = {
    "cells": {"cell": CELL}, "synapses": {"syn": SYNAPSE}, "populations": {"A": {"cell": "cell", "number": 30}},
    "stimuli": {"pulse": PULSE}, "record": {"v": {"cells": "A"}}, "run": {"duration": 60, "dt": 0.05},
}  # fmt: skip


def model(**stimuli: Any) -> dict[str, Any]:
    return copy.deepcopy(MODEL) | {"stimuli": stimuli}


def test_one_list_has_them_all() -> None:
    network = build(MODEL).network
    (inputs,) = network.inputs
    assert len(inputs) == 30 and sorted(inputs.values) == ["amplitude", "delay"]
    assert len(np.unique(inputs.values["amplitude"])) == 30 and abs(inputs.values["amplitude"].mean() - 0.12e-9) < 2e-11
    assert [e.get("id") for e in network.components if e.tag == "pulseGenerator"] == ["pulse_input"]


def test_apart_each_has_a_component_with_its_numbers() -> None:
    network = build(MODEL).network
    apart = inputs_apart(network)
    made = {e.get("id"): e for e in apart.components if e.tag == "pulseGenerator"}
    assert len(made) == len(apart.inputs) == 30 and "pulse_input" not in made
    library = load_core()
    for inputs in apart.inputs:
        ours = network.inputs[0].values
        row = int(inputs.target[0])
        said = made[inputs.component]
        for name, column in ours.items():
            assert library.quantity(str(said.get(name)))[0] == column[row]
    assert network.inputs[0].values, "the network is left as it was"


@pytest.mark.neuron
def test_they_act_as_components_of_their_own() -> None:
    made = build(model(pulse=PULSE, hum={
        "type": "sine", "to": "A", "amplitude": 0.02, "period": "uniform(5, 9)", "duration": 60}))  # fmt: skip
    assert made.simulation is not None
    one = nmlbridge.simulate_network(made.network, made.simulation)
    other = nmlbridge.simulate_network(inputs_apart(made.network), made.simulation)
    assert len(one.spikes.time) > 10
    np.testing.assert_array_equal(one.spikes.time, other.spikes.time)
    np.testing.assert_allclose(one.traces.values, other.traces.values, rtol=0, atol=1e-15)


@pytest.mark.neuron
@pytest.mark.mpi
def test_noise_of_drawn_rates_on_ranks(launcher: None) -> None:
    noise = {"type": "poisson", "to": "A", "rate": "100 + 20 * index", "synapse": "syn", "weight": 2}
    data = model(noise=noise) | {"run": {"duration": 400, "dt": 0.1, "seed": 5}}
    one, two = run(data), run(data, 2)
    np.testing.assert_array_equal(one.spikes.time, two.spikes.time)
    counts = np.bincount(one.spikes.gid, minlength=30)
    assert counts[:10].sum() * 2 < counts[20:].sum()


@pytest.mark.neuron
def test_clamps_that_differ() -> None:
    """Each holds its own voltage, also where only some of them are stiff."""
    cell = {"sections": {"soma": {"length": 20, "diameter": 20}}, "biophysics": {
        "v_init": -65, "mechanisms": {"leak": {"neuron": "pas", "g": 1e-4, "e": -65}}}}  # fmt: skip
    clamp = {"type": "voltage_clamp", "to": "A", "voltage": "-80 + 2 * index", "start": 2, "duration": 100,
             "resistance": "if(index < 15, 0.01, 5)"}  # fmt: skip
    data = model(clamp=clamp) | {"cells": {"cell": cell}}
    last = run(data).traces.values[:, -1] * 1e3
    conductance = 1e-4 * np.pi * 400e-8 * 1e6  # uS
    series = 1 / np.where(np.arange(30) < 15, 0.01, 5.0)
    expected = (conductance * -65 + series * (-80 + 2 * np.arange(30))) / (conductance + series)
    np.testing.assert_allclose(last, expected, atol=1e-3)


@pytest.mark.neuron
def test_a_session_changes_them() -> None:
    data = model(pulse=PULSE | {"amplitude": "gain * normal(0.12 nA, 0.02 nA)"}) | {"parameters": {"gain": 1}}
    with build(data).session(vary={"gain": 1.5}) as session:
        first = session.run()
        session.change(gain=1.3)
        second = session.run()
    data["parameters"]["gain"] = 1.3
    np.testing.assert_array_equal(second.spikes.time, run(data).spikes.time)
    assert len(second.spikes.time) > len(first.spikes.time)


def test_derived_parameters_are_those_of_components_that_are_read() -> None:
    """By columns as one by one: a rate, of which an interval is reckoned; a search through a child, which is not."""
    noise = {"type": "poisson", "to": "A", "rate": "100 + 20 * index", "synapse": "syn"}
    network = build(model(noise=noise)).network
    library = load_core()
    components = resolve(network.components, library)
    (inputs,) = network.inputs
    component = components.component(inputs.component)
    flat = flatten(component, library)
    calls = []

    def counted(one: Any) -> Any:
        calls.append(one)
        return flatten(one, library)

    found = each_of(inputs, component, flat, counted)
    assert len(calls) <= 3 and component.parameters["averageRate"] == inputs.values["averageRate"][0]
    assert [one.parameters["averageIsi"].value for one in found] == [1 / rate for rate in inputs.values["averageRate"]]


@pytest.mark.neuron
def test_another_name_is_said() -> None:
    made = build(MODEL)
    assert made.simulation is not None
    wrong = InputList("push", "pulse_input", "A", np.arange(2), values={"amplitud": np.ones(2)})
    network: Network = replace(made.network, inputs=[wrong])
    with pytest.raises(NetworkError, match="no parameter 'amplitud'; did you mean 'amplitude'"):
        nmlbridge.simulate_network(network, made.simulation)
