"""Fields from outside, against the cable equation, NEURON by hand, and each other."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import ModelError, UnsupportedError

from .by_hand import by_hand
from .rules import run

pytestmark = pytest.mark.neuron

CABLE: dict[str, Any] = {
    "name": "net",
    "space": {"x": [0, 300], "y": [0, 300], "z": [0, 300]},
    "cells": {"cable": {
        "sections": {"c": {"points": [[x, 0, 0, 2] for x in (0, 3, 597, 600)], "compartments": 200}},
        "biophysics": {"v_init": -70, "resistivity": 100,
                       "mechanisms": {"leak": {"neuron": "pas", "g": 1e-4, "e": -70}}},
    }},
    "populations": {"A": {"cell": "cable", "number": 3}},
    "record": {"near": {"cells": "A", "at": "c[0]"}, "far": {"cells": "A", "at": "c[2]"}},
    "run": {"duration": 20, "dt": 0.025},
}  # fmt: skip
LENGTH, LAMBDA = 600.0, np.sqrt(1e4 * 2e-4 / (4 * 100)) * 1e4  # um: sqrt(Rm d / (4 Ra)), with Rm = 1e4 ohm cm2
FIELD = {"type": "uniform_field", "to": "A[0]", "direction": [2, 0, 0], "amplitude": 10}


def of(channel: str) -> dict[str, Any]:
    """The cable with a leak of NEURON or of LEMS."""
    data = copy.deepcopy(CABLE)
    if channel == "LEMS":
        data["cells"]["cable"]["biophysics"]["mechanisms"]["leak"] = {"channel": "leak", "density": 1e-4, "erev": -70}
        data["components"] = {"leak": {"type": "ionChannelHH", "conductance": "10 pS"}}
    return data


@pytest.mark.parametrize("channel", ["pas", "LEMS"])
def test_a_uniform_field_polarises_the_ends_of_a_cable(channel: str) -> None:
    """In the steady state the ends are off rest by E lambda tanh(L / 2 lambda), against the field and along it.

    Recorded is the middle of the outermost compartments, 1.5 um from the end, and V = E lambda sinh(x / lambda) /
    cosh(L / 2 lambda) around the middle of the cable. 200 compartments are off by about (3 um / lambda)^2 / 12.
    """
    data = of(channel) | {"stimuli": {"e": FIELD}}
    data["run"] = {"duration": 150, "dt": 0.025}  # 15 time constants
    off = run(data).traces.values[:, -1] + 0.070
    exact = 10 * LAMBDA * 1e-6 * np.sinh((LENGTH / 2 - 1.5) / LAMBDA) / np.cosh(LENGTH / 2 / LAMBDA)
    np.testing.assert_allclose(off, [-exact, 0, 0, exact, 0, 0], rtol=1e-5, atol=1e-9)


def test_an_electrode_as_neurons_extracellular_does_it() -> None:
    """A branched cell, with e_extracellular played by hand into each segment."""
    sections = {"soma": {"points": [[0, 0, 0, 15], [0, 15, 0, 15]], "compartments": 3},
                "up": {"points": [[0, 15, 0, 2], [0, 200, 0, 1]], "parent": "soma", "compartments": 11},
                "left": {"points": [[0, 200, 0, 1], [-150, 300, 0, 0.7]], "parent": "up", "compartments": 7},
                "right": {"points": [[0, 200, 0, 1], [150, 300, 20, 0.7]], "parent": "up", "compartments": 7},
                "side": {"points": [[0, 7.5, 0, 1], [100, 7.5, 0, 1]], "parent": "soma", "at": 0.5, "compartments": 5},
                "low": {"points": [[0, 0, 0, 2], [0, -100, 0, 1]], "parent": "soma", "at": 0, "compartments": 5}}
    data = of("pas") | {"stimuli": {"e": {"type": "point_electrode", "to": "A[1]", "position": [100, 80, 50],
                                          "amplitude": "20 uA", "conductivity": 0.4,
                                          "course": "sin(2 * pi * t / 0.5) * exp(-t)"}}}  # fmt: skip
    data["populations"] = {"A": {"cell": "cable", "positions": [[0, 0, 0], [30, 20, 10]]}}
    data["cells"]["cable"]["sections"] = sections
    data["record"] = {name: {"cells": "A", "at": name} for name in sections}
    data["run"] = {"duration": 1, "dt": 0.001}
    built = build(data)
    results = nmlbridge.simulate_network(built.network, dataclasses.replace(built.simulation, method="implicit"))
    hand = np.array(by_hand(f"""
import numpy as np
sections = {sections!r}
h.dt = 0.001
made = {{}}
for name, s in sections.items():
    c = made[name] = h.Section(name=name)
    for point in s['points']: h.pt3dadd(*point, sec=c)
    c.nseg, c.Ra = s['compartments'], 100
    if 'parent' in s: c.connect(made[s['parent']](s.get('at', 1)))
    c.insert('pas'); c.g_pas, c.e_pas = 1e-4, -70
    c.insert('extracellular')
times = np.arange(2003) * 0.0005
course = np.sin(2 * np.pi * times / 0.5) * np.exp(-times)
clock, played = h.Vector(times), []
for name, c in made.items():
    near, far = (np.array(sections[name]['points'][i][:3], float) for i in (0, 1))
    for segment in c:
        r = np.linalg.norm(near + segment.x * (far - near) + [30 - 100, 20 - 80, 10 - 50])
        played.append(h.Vector(1e3 * 20 / (4 * np.pi * 0.4 * r) * course))
        played[-1].play(segment._ref_e_extracellular, clock, True)
kept = [h.Vector().record(c(0.5)._ref_v) for c in made.values()]
h.finitialize(-70)
h.tstop = 1
h.continuerun(1)
result = [list(v) for v in kept]
"""))
    found = results.traces.values[1::2] * 1e3
    assert (np.ptp(hand, axis=1) > 0.4).all()
    np.testing.assert_allclose(found, hand, rtol=0, atol=1e-6)
    assert np.ptp(results.traces.values[::2]) < 1e-12


@pytest.mark.mpi
def test_ranks_agree(launcher: None) -> None:
    data = of("LEMS") | {"stimuli": {
        "e": {**FIELD, "to": "all", "course": {"times": [0, 5, 5, 20], "values": [0, 1, 0, 2]}},
        "p": {"type": "point_electrode", "to": "A[1:3]", "position": [0, 150, 0], "amplitude": -5},
    }}  # fmt: skip
    one, two = run(data), run(data, ranks=2)
    assert np.ptp(one.traces.values, axis=1).min() > 1e-3
    assert (one.traces.values == two.traces.values).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"direction": [0, 0, 0]}, "e.direction': the direction is zero"),
    ({"direction": [1, 0]}, "direction"),
    ({"course": {"times": [0, 2, 1], "values": [0, 0, 0]}}, "times decrease at 1 ms"),
    ({"course": {"times": [0, 2], "values": [0]}}, "as many values"),
    ({"course": "sqrt(5 - t)"}, "gives nan"),
    ({"course": "v * 2"}, "'v' is not known here"),
    ({"course": {"file": "none.csv"}}, "none.csv"),
    ({"amplitud": 5}, "did you mean 'amplitude'"),
    ({"to": "B"}, "'B' is not known here"),
])  # fmt: skip
def test_errors_name_their_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        build(of("pas") | {"stimuli": {"e": {**FIELD, **change}}})
    assert message in str(caught.value) and "stimuli.e" in str(caught.value)


def test_point_cells_have_no_field() -> None:
    point = {"type": "iafCell", "leakReversal": "-50 mV", "thresh": "-55 mV", "reset": "-70 mV", "C": "0.2 nF",
             "leakConductance": "0.01 uS"}  # fmt: skip
    data = of("pas") | {"stimuli": {"e": FIELD}, "cells": {"cable": point}, "record": {}}
    with pytest.raises(UnsupportedError, match="population 'A', whose cells have no shape"):
        run(data)


def test_other_formats_note_the_loss(tmp_path: Path) -> None:
    from nmlbridge.report import Report

    report = Report()
    nmlbridge.write(build(of("LEMS") | {"stimuli": {"e": FIELD}}).network, tmp_path / "net.nml", report=report)
    assert any("imposed fields" in note.message for note in report.notes)


def test_units_of_fields() -> None:
    """A medium's conductivity and a field's strength may be said with their units."""
    data = of("pas")
    wire = {"type": "point_electrode", "to": "A", "position": [50, 0, 50], "amplitude": "-20 uA"}
    tacs = {"type": "uniform_field", "to": "A", "direction": [1, 0, 0]}
    data["parameters"] = {"sigma": "0.4 S_per_m", "plain": 0.4}
    data["stimuli"] = {
        "a": wire | {"conductivity": 0.4}, "b": wire | {"conductivity": "0.4 S_per_m"},
        "c": wire | {"conductivity": "sigma"}, "d": wire | {"conductivity": "plain"},
        "e": tacs | {"amplitude": 0.5}, "f": tacs | {"amplitude": "0.5 V_per_m"},
        "g": tacs | {"amplitude": "0.5 mV_per_mm"},
    }  # fmt: skip
    fields = build(data).network.fields
    assert [field.conductivity for field in fields[:4]] == pytest.approx([0.4] * 4)
    assert [field.values[0] for field in fields[4:]] == pytest.approx([0.5] * 3)
