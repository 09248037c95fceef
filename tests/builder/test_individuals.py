"""Cells with sections that differ within a population: the numbers of NEURON scripts that build each of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import ModelError, UsageError
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
