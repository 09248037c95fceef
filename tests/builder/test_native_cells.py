"""Cells written out with NEURON's own mechanisms: the numbers of NEURON scripts that build them by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.errors import ModelError
from nmlbridge.graph import NativeCell

from .by_hand import by_hand

MODEL: dict[str, Any] = {
    "name": "net",
    "parameters": {"gna": "0.12 S_per_cm2", "far": 100},
    "cells": {"cell": {
        "sections": {
            "soma": {"length": 20, "diameter": 20},
            "dend": {"length": 400, "diameter": 2, "parent": "soma", "compartments": 11},
            "spiny": {"points": [[0, 420, 0, 2], [0, 480, 30, 1.5], [0, 600, 30, 0.5]], "parent": "dend",
                      "compartments": "d_lambda"},
        },
        "groups": {"dendrites": "dend | spiny"},
        "biophysics": {
            "resistivity": 120, "v_init": -65, "threshold": 0,
            "capacitance": [{"value": 1}, {"value": "1 + 0.5 * (path_dist > 220)", "where": "dendrites"}],
            "mechanisms": {
                "fast": {"neuron": "hh", "where": "soma", "gnabar": "gna"},
                "dendritic": {"neuron": "hh", "where": "dend", "gnabar": "gna * exp(-path_dist / far)",
                              "gl": "0.3 mS_per_cm2", "el": "-54.3 mV"},
                "leak": {"neuron": "pas", "where": "spiny", "g": "1e-4 * (1 + depth / 600) / diam", "e": -65},
            },
            "ions": {"na": {"e": 55}, "k": [{"e": -77, "where": "soma"}, {"e": "-77 - path_dist / 100",
                                                                          "where": "dendrites"}]},
        },
    }},
    "populations": {"A": {"cell": "cell", "number": 1}},
    "stimuli": {"p": {"type": "pulse", "to": "A", "at": {"where": "dend[1]", "fraction": 0.5}, "amplitude": 3,
                      "start": 2, "duration": 1}},
    "record": {"v": {"cells": "A"}, "d": {"cells": "A", "at": "dend[5]"}, "s": {"cells": "A", "at": "spiny[1]"},
               "m": {"cells": "A", "at": "dend[5]", "variable": "hh/m"}},
    "run": {"duration": 20, "dt": 0.025},
}  # fmt: skip
SCRIPT = """
from math import exp
soma, dend, spiny = (h.Section(name=n) for n in ("soma", "dend", "spiny"))
for section, points in ((soma, [(0, 0, 0, 20), (0, 20, 0, 20)]), (dend, [(0, 20, 0, 2), (0, 420, 0, 2)]),
                        (spiny, [(0, 420, 0, 2), (0, 480, 30, 1.5), (0, 600, 30, 0.5)])):
    for point in points:
        section.pt3dadd(*point)
    section.Ra = 120
dend.connect(soma(1)); spiny.connect(dend(1))
dend.nseg, spiny.nseg = 11, NSEG
soma.insert("hh"); dend.insert("hh"); spiny.insert("pas"); spiny.insert("k_ion"); spiny.insert("na_ion")
first = (60**2 + 30**2) ** 0.5
length = first + 120
for segment in dend:
    place = 20 + 400 * segment.x
    segment.cm = 1.5 if place > 220 else 1
    segment.hh.gnabar, segment.hh.gl, segment.hh.el = 0.12 * exp(-place / 100), 0.3e-3, -54.3
    segment.ek = -77 - place / 100
for segment in spiny:
    at = segment.x * length
    y = 420 + 60 * at / first if at < first else 480 + at - first
    diam = 2 - 0.5 * at / first if at < first else 1.5 - (at - first) / 120
    segment.cm = 1.5
    segment.pas.g, segment.pas.e = 1e-4 * (1 + y / 600) / diam, -65
soma.ek = -77
soma.ena = dend.ena = 55
clamp = h.IClamp(dend(1.5 / 11))
clamp.delay, clamp.dur, clamp.amp = 2, 1, 3
h.celsius, h.secondorder = 6.3, 2
kept = [h.Vector().record(r) for r in (soma(0.5)._ref_v, dend(0.5)._ref_v, spiny((first + 60) / length)._ref_v,
                                       dend(0.5)._ref_m_hh)]
h.finitialize(-65); h.continuerun(20)
result = [list(k) for k in kept]
"""


def changed(part: dict[str, Any], *path: str) -> dict[str, Any]:
    data = copy.deepcopy(MODEL)
    at = data["cells"]["cell"]["biophysics"]
    for step in path:
        at = at[step]
    at |= part
    return data


def compartments() -> int:
    cell = build(MODEL).network.native["cell"]
    assert isinstance(cell, NativeCell)
    return cell.sections[2].nseg


@pytest.mark.neuron
def test_it_is_what_a_script_builds() -> None:
    """Mechanisms, ions and capacitance that vary along the cell; NEURON keeps points in single precision."""
    built = build(MODEL)
    assert built.simulation is not None
    found = nmlbridge.simulate_network(built.network, built.simulation).traces.values
    truth = np.array(by_hand(SCRIPT.replace("NSEG", str(compartments()))))
    assert np.ptp(truth[0]) > 80  # it spikes
    assert np.abs(found[:3] * 1e3 - truth[:3]).max() < 1e-6
    assert np.abs(found[3] - truth[3]).max() < 1e-8


def test_d_lambda_and_the_round_trip() -> None:
    # 1e5 sqrt(d / (4 pi f Ra cm)) is 297 um for the mean diameters of 1.75 and 1 um; 187 um in steps of a tenth of it
    assert compartments() in (7, 9)
    spec = Specification.of(MODEL)
    assert Specification.parse(spec.to_yaml()).to_dict() == spec.to_dict()


def test_places_are_sections() -> None:
    """Contacts along the cell are sections and NEURON's x, spread evenly along the length."""
    data = copy.deepcopy(MODEL)
    data["populations"]["A"]["number"] = 20
    data["synapses"] = {"syn": {"neuron": "ExpSyn"}}
    data["connections"] = {"r": {"from": "A", "to": "A", "pattern": "all_to_all", "contacts": 5, "synapse": "syn",
                                 "at": "dendrites & path_dist < 320"}}  # fmt: skip
    (projection,) = build(data).network.projections
    assert (projection.post_segment == 1).all()
    assert len(projection) == 1900
    # a compartment is 36 um: those with a middle below 320 um end at 310.9 um, 8 of 11; the mean is off by 3 sd at most
    assert projection.post_fraction.max() < 8 / 11
    assert projection.post_fraction.mean() == pytest.approx(4 / 11, abs=3 * 8 / 11 / np.sqrt(12 * 1900))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (changed({"neuron": "hhh"}, "mechanisms", "fast"), "did you mean 'hh'"),
        (changed({"gnabr": 1}, "mechanisms", "fast"), "did you mean 'gnabar'"),
        (changed({"gnabar": "1 mV"}, "mechanisms", "fast"), "it is a voltage; expected"),
        (changed({"where": "somma"}, "mechanisms", "fast"), "did you mean .soma."),
        (changed({"where": "dendrite"}, "mechanisms", "leak"), "did you mean 'dendrites'"),
        (changed({"where": "path_dist > 200"}, "mechanisms", "leak"), "takes 6 of 11 compartments"),
        (changed({"where": "soma"}, "mechanisms", "dendritic"), "has 'hh' already"),
        (changed({"l": {"channel": "leak", "density": 1, "erev": -70}}, "mechanisms"), "a cell has one kind"),
        (changed({"ca": {"i": -1}}, "ions"), "negative"),
        (changed({"ca": {"x": -1}}, "ions"), "'x' is not known here"),
    ],
)
def test_bad_membranes(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        build(data)
