"""Cells with sections that differ within a population: the numbers of NEURON scripts that build each of them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.converters.netpyne.read import read_simulation
from nmlbridge.errors import ModelError, UsageError
from nmlbridge.graph import NativeCell
from nmlbridge.graph.morphology import Morphology
from nmlbridge.report import Report

from .by_hand import by_hand
from .rules import run

NATIVE: dict[str, Any] = {
    "parameters": {"gna": 0.12, "gdend": "gna / 4"},
    "cells": {"c": {
        "sections": {
            "soma": {"length": 20, "diameter": 20},
            "dend": {"length": 300, "diameter": 2, "parent": "soma", "compartments": "d_lambda"},
        },
        "biophysics": {
            "mechanisms": {
                "hh": {"neuron": "hh", "where": "soma", "gnabar": "gna"},
                "dendrite": {"neuron": "hh", "where": "dend", "gnabar": "gdend * exp(-path_dist / 200)"},
            },
            "ions": {"k": {"e": -77}},
        },
    }},
    "populations": {"A": {"cell": "c", "number": 4, "vary": {
        "gna": "normal(0.12, 0.01)",
        "sections.dend.diameter": "1.5 + 0.7 * index",
        "sections.dend.length": "lognormal(300 um, 30 um)",
        "biophysics.resistivity": "uniform(80, 160)",
        "biophysics.capacitance": "1 + index / 10",
        "biophysics.v_init": "-65 mV - 1 mV * index",
        "biophysics.threshold": "-20 + 5 * index",
        "biophysics.mechanisms.dendrite.gl": "3e-4 * (1 + index / 3)",
        "biophysics.ions.k.e": "-77 + index",
    }}, "B": {"cell": "c", "number": 1}},
    "stimuli": {"p": {"type": "pulse", "to": "all", "at": {"where": "soma", "fraction": 0.5}, "amplitude": 0.4,
                      "start": 2, "duration": 20}},
    "record": {"v": {"cells": "all"}, "d": {"cells": "all", "at": "dend[2]"}},
    "run": {"duration": 25, "dt": 0.025},
}  # fmt: skip
SCRIPT = """
from math import exp
cells = []
for one in OWN:
    soma, dend = h.Section(name="soma"), h.Section(name="dend")
    for section, ends in ((soma, [(0, 0, 0, 20), (0, 20, 0, 20)]),
                          (dend, [(0, 20, 0, one["diam"]), (0, 20 + one["L"], 0, one["diam"])])):
        for point in ends:
            section.pt3dadd(*point)
        section.Ra = one["Ra"]
        section.cm = one["cm"]
        section.insert("hh")
    dend.connect(soma(1))
    dend.nseg = one["nseg"]
    for segment in soma:
        segment.hh.gnabar, segment.v = one["gna"], one["v"]
        segment.ek = one["ek"]
    for segment in dend:
        segment.hh.gnabar = one["gna"] / 4 * exp(-(20 + one["L"] * segment.x) / 200)
        segment.hh.gl, segment.ek, segment.v = one["gl"], one["ek"], one["v"]
    soma(0).v = soma(1).v = dend(1).v = one["v"]
    clamp = h.IClamp(soma(0.5))
    clamp.delay, clamp.dur, clamp.amp = 2, 20, 0.4
    netcon = h.NetCon(soma(0.5)._ref_v, None, sec=soma)
    netcon.threshold = one["threshold"]
    times = h.Vector()
    netcon.record(times)
    place = 2.5 / one["nseg"]
    cells.append((soma, dend, clamp, netcon, times, h.Vector().record(soma(0.5)._ref_v),
                  h.Vector().record(dend(place)._ref_v)))
h.celsius, h.secondorder = 6.3, 2
h.finitialize()
h.continuerun(25)
result = [[list(c[5]) for c in cells], [list(c[6]) for c in cells], [list(c[4]) for c in cells]]
"""


@pytest.mark.neuron
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_numbers_of_a_script_that_makes_each_cell(ranks: int) -> None:
    network = build(copy.deepcopy(NATIVE)).network
    cells = network.populations["A"].individuals
    assert cells is not None and len(cells) == 4
    usual = network.native["c"]
    own = []
    for cell in (*cells, usual):
        soma, dend = cell.sections
        length, diameter = dend.points[-1, 1] - 20, dend.points[0, 3]
        own.append({
            "gna": soma.mechanisms["hh"]["gnabar"], "gl": dend.mechanisms["hh"].get("gl", 3e-4), "L": length,
            "diam": diameter, "Ra": dend.Ra, "cm": dend.cm, "v": cell.v_init, "threshold": cell.threshold,
            "ek": soma.ions["k"]["e"], "nseg": dend.nseg,
        })  # fmt: skip
    assert [one["diam"] for one in own] == pytest.approx([1.5, 2.2, 2.9, 3.6, 2])
    assert [one["v"] for one in own] == pytest.approx([-65, -66, -67, -68, -65])
    assert [one["cm"] for one in own] == pytest.approx([1, 1.1, 1.2, 1.3, 1])
    assert len({one["gna"] for one in own}) == len({one["L"] for one in own}) == len({one["Ra"] for one in own}) == 5
    assert len({one["nseg"] for one in own[:4]}) == 1
    soma, dend, spikes = by_hand(SCRIPT.replace("OWN", json.dumps(own)))
    results = run(NATIVE, ranks=ranks)
    traces = np.array(results.traces.values) * 1e3
    assert np.abs(traces - np.concatenate([soma, dend])).max() < 1e-9
    for row, times in enumerate([*spikes]):
        found = results.spikes.of("A", row) if row < 4 else results.spikes.of("B", 0)
        np.testing.assert_allclose(found * 1e3, times, atol=1e-9)
    assert len({tuple(times) for times in spikes}) == 5


@pytest.mark.neuron
def test_written_as_neuroml_each_has_a_component_of_its_own(tmp_path: Path) -> None:
    """Native cells as NeuroML's: the file gives what that of a network with one of the cells alone gives."""
    built = build(copy.deepcopy(NATIVE))
    report = Report()
    nmlbridge.write(built.network, tmp_path / "LEMS_net.xml", report=report)
    assert not [note for note in report if note.severity == "loss"]
    back = nmlbridge.read(tmp_path / "LEMS_net.xml")
    assert [p.size for p in back.populations.values()] == [1] * 5
    assert len({p.component for p in back.populations.values()}) == 5
    all_of_them = nmlbridge.simulate(tmp_path / "LEMS_net.xml", output=tmp_path / "out").traces.values
    cell = built.network.populations["A"].individuals[2]  # type: ignore[index]
    dend = cell.sections[1]  # type: ignore[union-attr]
    alone = copy.deepcopy(NATIVE)
    alone["populations"] = {"A": {"cell": "c", "number": 1}}
    alone["parameters"]["gna"] = cell.sections[0].mechanisms["hh"]["gnabar"]  # type: ignore[union-attr]
    made = alone["cells"]["c"]
    made["sections"]["dend"] |= {"length": float(dend.points[-1, 1] - 20), "diameter": 2.9, "compartments": 11}
    made["biophysics"] |= {"resistivity": dend.Ra, "capacitance": 1.2, "v_init": -67, "threshold": -10}
    made["biophysics"]["mechanisms"]["dendrite"]["gl"] = 5e-4
    made["biophysics"]["ions"]["k"]["e"] = -75
    nmlbridge.write(build(alone).network, tmp_path / "LEMS_one.xml")
    one = nmlbridge.simulate(tmp_path / "LEMS_one.xml", output=tmp_path / "one").traces.values
    assert np.abs(one[0] - all_of_them[2]).max() < 1e-12 and np.abs(one[1] - all_of_them[7]).max() < 1e-12
    assert np.ptp(one[0]) > 0.08


LEMS: dict[str, Any] = {
    "parameters": {"gna": "0.12 S_per_cm2", "half": "-40 mV", "gleak": 3e-4},
    "components": {
        "leak": {"type": "ionChannelHH", "conductance": "10 pS"},
        "na": {"type": "ionChannelHH", "conductance": "10 pS", "gateHHrates": [
            {"id": "m", "instances": 3,
             "forwardRate": {"type": "HHExpLinearRate", "rate": "1 per_ms", "midpoint": "half", "scale": "10 mV"},
             "reverseRate": {"type": "HHExpRate", "rate": "4 per_ms", "midpoint": "-65 mV", "scale": "-18 mV"}},
            {"id": "h", "instances": 1,
             "forwardRate": {"type": "HHExpRate", "rate": "0.07 per_ms", "midpoint": "-65 mV", "scale": "-20 mV"},
             "reverseRate": {"type": "HHSigmoidRate", "rate": "1 per_ms", "midpoint": "-35 mV", "scale": "10 mV"}},
        ]},
        "kdr": {"type": "ionChannelHH", "conductance": "10 pS", "gateHHrates": [
            {"id": "n", "instances": 4,
             "forwardRate": {"type": "HHExpLinearRate", "rate": "0.1 per_ms", "midpoint": "-55 mV", "scale": "10 mV"},
             "reverseRate": {"type": "HHExpRate", "rate": "0.125 per_ms", "midpoint": "-65 mV", "scale": "-80 mV"}}]},
    },
    "cells": {"c": {
        "sections": {
            "soma": {"length": 20, "diameter": 20},
            "dend": {"length": 300, "diameter": 2, "parent": "soma", "compartments": "d_lambda"},
        },
        "biophysics": {"mechanisms": {
            "na": {"channel": "na", "density": "gna * exp(-path_dist / 300)", "erev": 50, "ion": "na"},
            "k": {"channel": "kdr", "density": 0.036, "erev": -77, "ion": "k"},
            "leak": {"channel": "leak", "density": "gleak", "erev": -54.3},
        }},
    }},
    "populations": {"A": {"cell": "c", "number": 3, "vary": {
        "gna": "normal(0.12 S_per_cm2, 0.01 S_per_cm2)",
        "half": "-40 mV - 1 mV * index",
        "gleak": "uniform(2e-4, 4e-4)",
        "sections.dend.diameter": "1.5 + 0.7 * index",
        "biophysics.resistivity": "uniform(80, 160)",
        "biophysics.mechanisms.k.density": "0.036 * (1 + index / 20)",
        "biophysics.v_init": "-65 - index",
    }}, "B": {"cell": "c", "number": 1}},
    "stimuli": {"p": {"type": "pulse", "to": "all", "at": {"where": "soma", "fraction": 0.5}, "amplitude": 0.4,
                      "start": 2, "duration": 20}},
    "record": {"v": {"cells": "all"}, "d": {"cells": "all", "at": "dend_3"}},
    "run": {"duration": 25, "dt": 0.025},
}  # fmt: skip


@pytest.mark.neuron
def test_lems_cells_are_those_of_populations_of_one() -> None:
    """Against a network in which each cell is a kind of its own, with its numbers written down; on one rank and two."""
    network = build(copy.deepcopy(LEMS)).network
    cells = network.populations["A"].individuals
    assert cells is not None
    divisions = [e.get("value") for e in cells[0][0].iter() if e.get("tag") == "numberInternalDivisions"]  # type: ignore[index]
    compartments = int(divisions[1])
    apart = copy.deepcopy(LEMS)
    apart["populations"] = {}
    for row in range(3):
        own = _numbers(cells[row])
        gna = float(own["soma"] * np.exp(10 / 300))
        cell = apart["cells"][f"c{row}"] = copy.deepcopy(LEMS["cells"]["c"])
        channel = apart["components"][f"na{row}"] = copy.deepcopy(LEMS["components"]["na"])
        channel["gateHHrates"][0]["forwardRate"]["midpoint"] = f"{-40 - row} mV"
        cell["sections"]["dend"] |= {"diameter": 1.5 + 0.7 * row, "compartments": compartments}
        cell["biophysics"] |= {"resistivity": own["resistivity"], "v_init": -65 - row}
        mechanisms = cell["biophysics"]["mechanisms"]
        mechanisms["na"] |= {"channel": f"na{row}", "density": f"{gna!r} * exp(-path_dist / 300)"}
        mechanisms["k"]["density"] = 0.036 * (1 + row / 20)
        mechanisms["leak"]["density"] = own["leak"]
        apart["populations"][f"A{row}"] = {"cell": f"c{row}", "number": 1}
    apart["populations"]["B"] = LEMS["populations"]["B"]
    one, two, other = run(LEMS), run(LEMS, ranks=2), run(apart)
    assert np.array_equal(one.traces.values, two.traces.values) and np.array_equal(one.spikes.time, two.spikes.time)
    assert np.abs(one.traces.values - other.traces.values).max() < 1e-12
    for row in range(3):
        np.testing.assert_allclose(one.spikes.of("A", row), other.spikes.of(f"A{row}"), atol=1e-12)
        assert len(one.spikes.of("A", row))
    assert len({tuple(one.spikes.of("A", row)) for row in range(3)}) == 3


def _numbers(elements: Any) -> dict[str, Any]:
    """What the element of a cell says that was drawn at random; the density of na in the soma."""
    found: dict[str, Any] = {}
    for element in elements[0].iter():
        if element.tag == "resistivity":
            found["resistivity"] = element.get("value")
        if element.get("ionChannel") == "leak":
            found["leak"] = element.get("condDensity")
        if element.get("ionChannel") == "na":
            found["soma"] = max(found.get("soma", 0.0), float(element.get("condDensity").split()[0]))
    return found


@pytest.mark.neuron
def test_lems_cells_written_as_neuroml(tmp_path: Path) -> None:
    """A population, a cell and a channel for each; the file runs to the same traces."""
    data = copy.deepcopy(LEMS)
    data["populations"]["A"]["number"] = 2
    report = Report()
    nmlbridge.write(build(data).network, tmp_path / "LEMS_net.xml", report=report)
    assert not [note for note in report if note.severity != "info"]
    back = nmlbridge.read(tmp_path / "LEMS_net.xml")
    assert [p.size for p in back.populations.values()] == [1] * 3
    channels = [e for e in back.components if e.tag == "ionChannelHH" and "na" in str(e.get("id"))]
    assert len(channels) == 3
    ions = {e.get("ion") for c in back.components for e in c.iter() if e.tag == "channelDensity"}
    assert ions == {"na", "k", "non_specific"}  # ids are changed where they are ids, not where an ion is called so
    first = run(data).traces.values
    again = nmlbridge.simulate(tmp_path / "LEMS_net.xml", output=tmp_path / "out").traces.values
    assert np.abs(first - again).max() < 1e-9


@pytest.mark.neuron
def test_a_session_changes_them() -> None:
    """Another distribution of a density, in cells that stand: what a network built with it gives."""
    data = copy.deepcopy(NATIVE)
    data["parameters"]["spread"] = 0.01
    data["populations"]["A"]["vary"]["gna"] = "normal(0.12, spread)"
    built = build(copy.deepcopy(data))
    with built.session() as session:
        before = session.run().traces.values
        session.change(spread=0.02)
        after = session.run().traces.values
        with pytest.raises(UsageError, match="makes another network"):
            session.change(**{"populations.A.vary.biophysics.resistivity": 90})
    data["parameters"]["spread"] = 0.02
    assert np.abs(after - run(data).traces.values).max() < 1e-12 < np.abs(after - before).max()


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({"gnaa": 1}, r"A.vary.gnaa': there is no 'gnaa'; did you mean 'gna'.*expected a parameter, or a place"),
        ({"sections.dent.diameter": 1}, "there is no 'dent' in sections; did you mean 'dend'"),
        ({"sections.dend.diametre": 1}, "cannot differ: .*'diametre' is not known here; did you mean 'diameter'"),
        ({"sections.dend.compartments": 3}, "'sections.dend.compartments' cannot differ"),
        ({"sections.dend.diameter": "normal(2, 5)"}, "cell 0: cells.c.sections.dend.diameter: it is -.* um"),
        ({"gna": "0.1 S_per_cm2"}, "its dimension is .*, but that of the parameter is"),
        ({"gna": "1 / index"}, "vary.gna': '1 / index' gives numbers that are not finite"),
        ({"other": 1}, "the parameter 'other' stands nowhere in the cell 'c', so nothing would differ"),
        ({"biophysics.mechanisms.hh.gnaba": 1}, "gnaba"),
    ],
)  # fmt: skip
def test_bad_input(vary: dict[str, Any], said: str) -> None:
    data = copy.deepcopy(NATIVE)
    data["parameters"]["other"] = 1
    data["populations"]["A"]["vary"] = vary
    with pytest.raises(ModelError, match=said):
        build(data)


@pytest.mark.neuron
def test_a_cell_of_a_file(tmp_path: Path) -> None:
    """Places in a NeuroML cell and in its channel, and parts scaled: what cells that are written out so give."""
    plain = copy.deepcopy(LEMS)
    plain["parameters"] |= {"half": "-40 mV"}
    plain["cells"]["c"]["sections"]["dend"]["compartments"] = 9
    plain["populations"] = {"B": {"cell": "c", "number": 1}}
    nmlbridge.write(build(plain).network, tmp_path / "cell.nml")
    data = {
        "cells": {"c": {"file": "cell.nml"}},
        "populations": {"A": {"cell": "c", "number": 2, "vary": {
            "c_k.condDensity": "36 mS_per_cm2 + 1 mS_per_cm2 * index",
            "na.m.forwardRate.midpoint": "-40 mV - 1 mV * index",
            "resistivity.value": "100 ohm_cm + 20 ohm_cm * index",
            "initMembPotential.value": "-65 mV - 1 mV * index",
            "dend.length_factor": "1 + 0.1 * index",
            "dend.diameter_factor": "1 + 0.5 * index",
        }}},
        **{word: LEMS[word] for word in ("stimuli", "record", "run")},
    }  # fmt: skip
    apart = copy.deepcopy(plain)
    apart["cells"]["c1"] = other = copy.deepcopy(plain["cells"]["c"])
    apart["components"]["na1"] = copy.deepcopy(plain["components"]["na"])
    apart["components"]["na1"]["gateHHrates"][0]["forwardRate"]["midpoint"] = "-41 mV"
    other["sections"]["dend"] |= {"length": 330, "diameter": 3}
    other["biophysics"] |= {"resistivity": 120, "v_init": -66}
    other["biophysics"]["mechanisms"]["k"]["density"] = 0.037
    # densities stay where they were, though the dendrite is longer
    gna = "0.12 S_per_cm2 * exp(-if(path_dist > 20, 20 + (path_dist - 20) / 1.1, path_dist) / 300)"
    other["biophysics"]["mechanisms"]["na"] |= {"density": gna, "channel": "na1"}
    apart["populations"] = {"A": {"cell": "c", "number": 1}, "A1": {"cell": "c1", "number": 1}}
    built = build(Specification.of(data, tmp_path))
    assert built.simulation is not None
    results = nmlbridge.simulate_network(built.network, built.simulation)
    truth = run(apart)
    assert np.abs(results.traces.values - truth.traces.values).max() < 1e-9  # V: points have ten digits
    assert len(results.spikes.of("A", 1)) == len(truth.spikes.of("A1")) > 0
    for name, said in (
        ("c_kk.condDensity", "there is no 'c_kk' in the cell 'c' or in what it refers to; did you mean 'c_k'"),
        ("c_k.condDensit", "<channelDensity> has no 'condDensit'; did you mean 'condDensity'"),
        ("c_k.erev", "it is no voltage; give its numbers units, as '-77.0 mV' has"),
        ("c_k.ion", "'ion' is 'k', which is no number"),
        ("specificCapacitance", "expected a place such as resistivity.value"),
        ("dent.length_factor", "there is no group 'dent'; did you mean 'dend'"),
    ):
        bad = copy.deepcopy(data)
        bad["populations"]["A"]["vary"] = {name: 1}
        with pytest.raises(ModelError, match=said):
            build(Specification.of(bad, tmp_path))


BALL = """
begintemplate Ball
public soma, dend, all
create soma, dend
objref all
proc init() {
    connect dend(0), soma(1)
    soma { pt3dadd(0, 0, 0, 20) pt3dadd(0, 20, 0, 20) insert hh }
    dend { pt3dadd(0, 20, 0, 2) pt3dadd(0, 200, 0, 2) pt3dadd(80, 320, 0, 1) nseg = 5 insert pas }
    dend { g_pas = 1e-4 e_pas = -65 }
    all = new SectionList()
    forall { Ra = 120 all.append() }
}
endtemplate Ball
"""
HAND = """
h.load_file("FOLDER/ball.hoc")
kept = []
for row in range(3):
    cell = h.Ball()
    cell.soma.gnabar_hh, cell.dend.g_pas = 0.12 + 0.01 * row, 1e-4 * (1 + row)
    cell.dend.L *= 1 + 0.1 * row
    for number in range(cell.dend.n3d()):
        h.pt3dchange(number, cell.dend.diam3d(number) * (1 + 0.2 * row), sec=cell.dend)
    for section in (cell.soma, cell.dend):
        section.Ra = 120 - 10 * row
        section.cm = 1 + row / 10
    cell.soma.ek = -77 + row
    for section in (cell.soma, cell.dend):
        for segment in section.allseg():
            segment.v = -65 - row
    clamp = h.IClamp(cell.soma(0.5))
    clamp.delay, clamp.dur, clamp.amp = 2, 20, 0.4
    kept.append((cell, clamp, h.Vector().record(cell.soma(0.5)._ref_v), h.Vector().record(cell.dend(0.3)._ref_v)))
h.secondorder = 2
h.finitialize()
h.continuerun(25)
result = [list(each[2]) for each in kept] + [list(each[3]) for each in kept]
"""


@pytest.mark.neuron
def test_cells_of_a_template(tmp_path: Path) -> None:
    """The numbers of a script that calls the template and then sets the same variables."""
    (tmp_path / "ball.hoc").write_text(BALL)
    data = {
        "cells": {"c": {"template": "Ball", "file": "ball.hoc"}},
        "populations": {"A": {"cell": "c", "number": 3, "vary": {
            "soma.gnabar_hh": "0.12 + 0.01 * index", "dend.g_pas": "1e-4 * (1 + index)",
            "dend.length_factor": "1 + 0.1 * index", "dend.diameter_factor": "1 + 0.2 * index",
            "all.Ra": "120 - 10 * index", "all.cm": "1 + index / 10", "soma.ek": "-77 mV + 1 mV * index",
            "v_init": "-65 - index",
        }}},
        "stimuli": LEMS["stimuli"], "run": LEMS["run"],
        "record": {"v": {"cells": "all"}, "d": {"cells": "all", "at": "dend[0]"}},
    }  # fmt: skip
    built = build(Specification.of(data, tmp_path), allow=("code",))
    assert built.simulation is not None
    truth = np.array(by_hand(HAND.replace("FOLDER", str(tmp_path))))
    for ranks in (1, 2):
        results = nmlbridge.simulate_network(built.network, built.simulation, ranks=ranks)
        assert np.abs(results.traces.values * 1e3 - truth).max() < 1e-6  # mV: NEURON keeps points in single precision
    assert np.ptp(truth[:3], axis=1).min() > 80
    for name, said in (
        ("soma.gnabar", "these sections have no 'gnabar'; did you mean 'gnabar_hh'"),
        ("some.gnabar_hh", "'c' has no section or list 'some'; did you mean 'soma'"),
        ("gnabar_hh", "expected v_init, threshold, or sections and a variable, such as soma.cm"),
        ("all.length_factor", "a factor is a plain number, more than zero"),
        ("dend.diam", "cell 0: diam is -1; it must be more than zero"),
    ):
        bad = copy.deepcopy(data)
        bad["populations"]["A"]["vary"] = {name: -1}  # type: ignore[index]
        with pytest.raises(ModelError, match=said):
            build(Specification.of(bad, tmp_path), allow=("code",))


def test_reconstructions_are_scaled_in_parts(tmp_path: Path) -> None:
    """Lengths and diameters of a group, of which the rest of the cell follows; and a channel, by its places."""
    rows = ["1 1 0 0 0 5 -1", "2 1 0 10 0 5 1", "3 3 0 60 0 1 2", "4 3 0 110 0 1 3", "5 3 40 140 0 0.5 4",
            "6 2 0 -40 0 0.5 1"]  # fmt: skip
    (tmp_path / "c.swc").write_text("\n".join(rows) + "\n")
    data = copy.deepcopy(LEMS)
    data["parameters"] |= {"half": "-40 mV"}
    data["cells"]["c"]["swc"] = "c.swc"
    del data["cells"]["c"]["sections"]
    data["populations"] = {"A": {"cell": "c", "number": 2, "vary": {
        "dendrite.length_factor": "1 + 0.5 * index", "dendrite.diameter_factor": "1 + index",
        "na.m.forwardRate.midpoint": "-40 mV - 1 mV * index"}}}  # fmt: skip
    data |= {"stimuli": {}, "record": {}}
    cells = build(Specification.of(data, tmp_path)).network.populations["A"].individuals
    assert cells is not None
    one, two = (Morphology.from_element(next(e for e in cell[0].iter() if e.tag == "morphology")) for cell in cells)
    dendrite = np.isin(np.arange(len(one.ids)), one.groups["dendrite_group"].rows)
    assert dendrite.any() and not dendrite.all()
    np.testing.assert_allclose(two.length, np.where(dendrite, 1.5, 1.0) * one.length)
    np.testing.assert_allclose(two.distal[:, 3], np.where(dendrite, 2.0, 1.0) * one.distal[:, 3])
    for row in range(1, len(two.ids)):  # each begins where it did on its parent
        if two.fraction[row] == 1.0 and two.parent[row] >= 0 and one.parent[row] in np.flatnonzero(dendrite):
            np.testing.assert_allclose(two.proximal[row, :3], two.distal[two.parent[row], :3])
    midpoints = [e.get("midpoint") for cell in cells for e in cell[1].iter() if e.tag == "forwardRate"]
    assert midpoints[::2] == ["-0.04 V", "-0.041 V"]
    assert [cell[1].get("id") for cell in cells] == ["na", "na"]


@pytest.mark.parametrize("inputs", [True, False])
def test_written_for_netpyne_each_has_its_own_numbers(tmp_path: Path, inputs: bool) -> None:
    """By way of NEURON's program, where the inputs are LEMS components, and straight from the network."""
    built = build(NATIVE | ({} if inputs else {"stimuli": {}}))
    nmlbridge.write(built.network, tmp_path / "net.json", format="netpyne")
    cells = json.loads((tmp_path / "net.json").read_text())["net"]["cells"]
    individuals = built.network.populations["A"].individuals
    assert individuals is not None
    for cell, each in zip(cells, individuals, strict=False):
        assert isinstance(each, NativeCell)
        soma = cell["secs"]["soma"]
        assert soma["mechs"]["hh"]["gnabar"] == each.sections[0].mechanisms["hh"]["gnabar"]
        assert cell["secs"]["dend"]["geom"]["Ra"] == each.sections[1].Ra
    assert len({cell["secs"]["soma"]["mechs"]["hh"]["gnabar"] for cell in cells}) == 5


@pytest.mark.neuron
def test_a_netpyne_index_has_a_kind_for_each(tmp_path: Path) -> None:
    """Read back as rules, it runs to the same traces; NetPyNE's steps are implicit."""
    built = build(copy.deepcopy(NATIVE))
    assert built.simulation is not None
    nmlbridge.write(built.network, tmp_path / "index.npjson")
    network, simulation = read_simulation(tmp_path / "index.npjson", Report(), frozenset({"mods"}))
    first = nmlbridge.simulate_network(built.network, replace(built.simulation, method="implicit"))
    again = nmlbridge.simulate_network(network, simulation)
    assert np.abs(first.traces.values[:5] - again.traces.values[:5]).max() < 1e-9
