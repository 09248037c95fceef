"""Cells written out as sections, reconstructions, and places on them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import ModelError
from nmlbridge.graph.morphology import Morphology

from .rules import SYNAPSE

LEAK = {"type": "ionChannelHH", "conductance": "10 pS"}
MODEL: dict[str, Any] = {
    "name": "net",
    "parameters": {"g": "1e-4 S_per_cm2"},
    "cells": {"cell": {
        "sections": {
            "soma": {"length": 20, "diameter": 20},
            "dend": {"length": 1000, "diameter": 2, "parent": "soma", "compartments": 51},
            "tuft": {"length": 200, "diameter": 1, "parent": "dend", "at": 0.5, "compartments": 5},
        },
        "groups": {"dendrites": "dend | tuft", "far": "path_dist > 500"},
        "biophysics": {"resistivity": 150, "v_init": -70, "mechanisms": {
            "leak": {"channel": "leak", "density": "g", "erev": -70}}},
    }},
    "components": {"leak": LEAK},
    "synapses": {"syn": SYNAPSE},
    "populations": {"A": {"cell": "cell", "number": 30}},
}  # fmt: skip


def model(**more: Any) -> dict[str, Any]:
    return copy.deepcopy(MODEL) | more


def shape_of(network: nmlbridge.Network) -> Morphology:
    cell = next(element for element in network.components if element.tag == "cell")
    morphology = cell.find("morphology")
    assert morphology is not None
    return Morphology.from_element(morphology)


def test_geometry() -> None:
    shape = shape_of(build(model()).network)
    for name, length in (("soma", 20), ("dend", 1000), ("tuft", 200)):
        assert shape.length[shape.group(name).rows].sum() == pytest.approx(length)
    assert shape.group("dend").divisions == 51
    tuft = shape.group("tuft").rows[0]
    assert shape.start[tuft] == pytest.approx(20 + 500)
    middle = shape.start + shape.length / 2
    assert np.array_equal(shape.group("far").rows, np.flatnonzero(middle > 500))


def test_it_is_valid_neuroml(tmp_path: Path) -> None:
    nmlbridge.write(build(model()).network, tmp_path / "net.nml")
    assert nmlbridge.validate(tmp_path / "net.nml") == []


def test_d_lambda() -> None:
    data = model()
    data["cells"]["cell"]["sections"]["dend"]["compartments"] = "d_lambda"
    # the length constant at 100 Hz is 1e5 sqrt(d / (4 pi f Ra cm)) um: 325.7 um for 2 um, 150 ohm cm and 1 uF/cm2
    assert shape_of(build(data).network).group("dend").divisions == int((1000 / 32.57 + 0.9) / 2) * 2 + 1


def test_a_density_that_varies_along_the_cell() -> None:
    data = model()
    data["cells"]["cell"]["biophysics"]["mechanisms"]["leak"]["density"] = "g * (1 + path_dist / 100)"
    network = build(data).network
    shape = shape_of(network)
    found = np.zeros(len(shape.ids))
    cell = next(element for element in network.components if element.tag == "cell")
    for density in (e for e in cell.iter() if e.tag == "channelDensity"):
        found[shape.group(density.get("segmentGroup")).rows] += float(str(density.get("condDensity")).split()[0])
    assert len(shape.ids) == 1 + 51 + 5
    assert found == pytest.approx(1e-4 * (1 + (shape.start + shape.length / 2) / 100), rel=1e-12)


@pytest.mark.neuron
def test_input_resistance_of_a_cable() -> None:
    """A sealed cylinder, current into one end: R = R_inf coth(L / lambda) (Rall 1959; Koch 1999, eq. 2.22)."""
    data = model()
    cell = data["cells"]["cell"]
    cell["sections"] = {"cable": {"length": 1000, "diameter": 2, "compartments": 201}}
    cell["groups"] = {}
    data["populations"]["A"] = {"cell": "cell", "number": 1}
    cell["biophysics"]["mechanisms"]["leak"]["density"] = "g + 0 * path_dist"  # so that each compartment is a segment
    place = {"where": "cable & path_dist < 4", "fraction": 0.0}
    data["stimuli"] = {"i": {"type": "pulse", "to": "A", "amplitude": 0.01, "duration": 400, "at": place}}
    data["record"] = {"v": {"cells": "A", "at": "cable & path_dist < 4"}}
    data["run"] = {"duration": 400, "dt": 0.1}
    built = build(data)
    assert built.simulation is not None
    results = nmlbridge.simulate_network(built.network, built.simulation)
    # d = 2 um, Ra = 150 ohm cm, Rm = 1e4 ohm cm2
    d, ra, rm = 2e-4, 150.0, 1e4
    lam = np.sqrt(d * rm / (4 * ra))
    r_inf = 2 / np.pi * np.sqrt(ra * rm) * d**-1.5
    expected = r_inf / np.tanh(0.1 / lam)
    found = (results.traces.values[0, -1] + 0.070) / 0.01e-9
    # the middle of the first of 201 compartments is 2.5 um from the end: 2.5 um of 578 um, and second order in it
    assert found == pytest.approx(expected, rel=0.006)


def test_places_follow_the_density() -> None:
    data = model(connections={"r": {
        "from": "A", "to": "A", "pattern": "all_to_all", "contacts": 20, "synapse": "syn",
        "at": {"where": "dendrites", "density": "exp(-path_dist / 200)"}, "weight": "path_dist",
    }})  # fmt: skip
    network = build(data).network
    projection, shape = network.projections[0], shape_of(network)
    rows = np.array([shape.row_by_id[int(id)] for id in projection.post_segment])
    dist = shape.start[rows] + shape.length[rows] * projection.post_fraction
    assert projection.weight == pytest.approx(dist)
    # contacts per um of cable: on the dendrite (20 to 1020) and the tuft (520 to 720 um), in ten bins of distance
    on_dendrite = np.array(shape.names)[rows] == "dend"
    edges = np.linspace(20, 1020, 11)
    weight = np.exp(-edges[:-1] / 200) - np.exp(-edges[1:] / 200)
    tuft = np.exp(-520 / 200) - np.exp(-720 / 200)
    share = np.append(weight, tuft) / (weight.sum() + tuft)
    found = np.append(np.histogram(dist[on_dendrite], edges)[0], (~on_dendrite).sum())
    assert (np.abs(found - share * len(rows)) < 5 * np.sqrt(share * len(rows))).all()


def test_a_reconstruction(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "swc" / "Case1_new.swc"
    if not source.is_file():
        pytest.skip("no reconstruction among the public models")
    (tmp_path / "cell.swc").write_bytes(source.read_bytes())
    data = model()
    data["cells"]["cell"] = {"swc": "cell.swc", "biophysics": data["cells"]["cell"]["biophysics"]}
    from nmlbridge.builder import Specification

    network = build(Specification.of(data, tmp_path)).network
    assert shape_of(network).length.sum() > 0
    nmlbridge.write(network, tmp_path / "net.nml")
    assert nmlbridge.validate(tmp_path / "net.nml") == []


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"soma": {"length": 20, "diameter": 20, "parent": "dend"}}, "circle"),
        ({"dend": {"length": 20, "diameter": 20, "parent": "some"}}, "did you mean 'soma'"),
        ({"dend": {"length": 20, "diameter": 20}}, "2 sections have no parent"),
        ({"dend": {"length": -20, "diameter": 20, "parent": "soma"}}, "more than zero"),
        ({"dend": {"length": 20, "parent": "soma"}}, "length and diameter"),
        ({"dend": {"points": [[0, 0, 0, 1]], "parent": "soma"}}, "two rows"),
        ({"dend": {"length": 20, "diameter": 20, "parent": "soma", "compartments": 0}}, "compartments"),
    ],
)
def test_bad_sections(section: dict[str, Any], said: str) -> None:
    data = model()
    data["cells"]["cell"]["sections"] |= section
    with pytest.raises(ModelError, match=said):
        build(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channel": "leek"}, "did you mean 'leak'"),
        ({"where": "dendrite"}, "did you mean 'dendrites'"),
        ({"where": "path_dist > 1e6"}, "selects no segment"),
        ({"density": "g * (1 - path_dist)"}, "negative"),
        ({"erev": "5 ms"}, "it is a time; expected a number in mV"),
    ],
)
def test_bad_mechanisms(change: dict[str, Any], said: str) -> None:
    data = model()
    data["cells"]["cell"]["biophysics"]["mechanisms"]["leak"] |= change
    with pytest.raises(ModelError, match=said):
        build(data)
