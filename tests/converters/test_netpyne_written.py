"""Learning, fields, changing weights and rates, given events and diffusion, written for NetPyNE and run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.converters.netpyne.plasticity import MOD
from nmlbridge.graph import Adjuster
from nmlbridge.graph.network import Network
from nmlbridge.registry import convert
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.compile import compile_mods

from .netpyne_words import CELL, CONFIG, CONFIGS, EXC, MODELS, NSLOC, SATURATING, STDP, rule

pytestmark = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra netpyne)")

MANY = {name: MODELS[name] for name in ("shaped", "imposed", "drives", "plastic", "changing", "together")}
REFERENCE = """
import json, sys
from netpyne import sim
library, *paths = sys.argv[1:]
assert sim.h.nrn_load_dll(library)
found = {}
for path in paths:
    config, params = sim.loadModel(path)
    config.saveJson = False
    sim.create(params, config)
    sim.simulate()
    sim.gatherData()
    weights = [[k["preGid"], c.gid, k["hObj"].weight[0]] for c in sim.net.cells for k in c.conns
               if k["preGid"] != "NetStim" and k.get("hObj") is not None]
    found[path] = {
        "spikes": [list(sim.allSimData["spkt"]), list(map(int, sim.allSimData["spkid"]))], "weights": sorted(weights),
        "traces": {label: {cell: list(one) for cell, one in sim.allSimData[label].items()}
                   for label in config.recordTraces},
    }
    sim.clearAll()
json.dump(found, open("found.json", "w"))
"""


def in_netpyne(folder: Path, paths: list[Path]) -> dict[str, Any]:
    """What NetPyNE finds in models that were written, by name; the library is made of the mod files beside them."""
    mods = {mod.name: mod.read_text() for path in paths for mod in (path.parent / "mod").glob("*.mod")}
    command = [sys.executable, "-c", REFERENCE, str(compile_mods(mods)), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert (folder / "found.json").exists(), done.stdout[-2000:] + done.stderr[-3000:]
    found = json.loads((folder / "found.json").read_text())
    return {path.parent.name: found[str(path)] for path in paths}


def ordered(times: Any, gids: Any) -> list[tuple[float, int]]:
    return sorted(zip(np.round(times, 6).tolist(), list(gids), strict=True))


def ours(path: Path, **options: Any) -> list[tuple[float, int]]:
    spikes = nmlbridge.simulate(path, allow=("mods", "code"), **options).spikes
    return ordered(spikes.time * 1e3, spikes.gid.tolist())


def losses(report: Report) -> list[str]:
    return [str(note) for note in report if note.severity in ("loss", "approximation")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models in NetPyNE's words, and as they are written again."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "mod").mkdir()
    for name, text in {"stdp.mod": STDP, "nsloc.mod": NSLOC, "saturating.mod": SATURATING}.items():
        (folder / "mod" / name).write_text(text)
    for name, params in MANY.items():
        config = CONFIGS[name] | {"recordTraces": CONFIG["recordTraces"]}
        (folder / f"{name}.json").write_text(json.dumps({"net": {"params": params}, "simConfig": config}))
        report = Report()
        convert(folder / f"{name}.json", folder / name / "index.npjson", report=report, allow=("mods",))
        assert losses(report) == []
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, Any]:
    return in_netpyne(folder, [folder / name / "index.npjson" for name in MANY])


@pytest.mark.neuron
@pytest.mark.parametrize("name", MANY)
def test_the_spikes_in_netpyne_and_read_again(name: str, folder: Path, theirs: dict[str, Any]) -> None:
    expected = ours(folder / f"{name}.json")
    assert len(expected) > 30
    assert ordered(*theirs[name]["spikes"]) == expected
    assert ours(folder / name / "index.npjson") == expected


@pytest.mark.neuron
def test_fields_act_in_netpyne(folder: Path, theirs: dict[str, Any]) -> None:
    """Voltages to what NEURON's single precision of shapes leaves."""
    results = nmlbridge.simulate(folder / "imposed.json")
    for gid, quantity in enumerate(results.traces.quantities):
        (found,) = (trace[f"cell_{gid}"] for trace in theirs["imposed"]["traces"].values() if f"cell_{gid}" in trace)
        voltage = results[quantity] * 1e3
        np.testing.assert_allclose(found[::20][: len(voltage)], voltage[: len(found[::20])], rtol=0, atol=1e-5)


@pytest.mark.neuron
def test_weights_learnt_in_netpyne(folder: Path, theirs: dict[str, Any]) -> None:
    network = nmlbridge.read(folder / "plastic.json", allow=("mods",))
    assert network.settings is not None
    rows: list[list[float]] = []
    with nmlbridge.Session(network, network.settings) as session:
        session.run(150)
        for projection in network.projections:
            pre, post = (network.populations[p].offset for p in (projection.presynaptic, projection.postsynaptic))
            rows += np.stack([projection.pre + pre, projection.post + post, session.weights(projection.id)], 1).tolist()
    found = theirs["plastic"]["weights"]
    assert len({row[2] for row in found}) > 20
    np.testing.assert_allclose(found, sorted(rows), rtol=1e-9)  # of two spikes in one step, one is told a trifle later


LEARNING: dict[str, Any] = {
    "name": "learning",
    "cells": {
        **{f"beat{period}": {"type": "spikeGenerator", "period": f"{period} ms"} for period in (23, 31)},
        "leaky": {"type": "iafRefCell", "leakReversal": "-65 mV", "thresh": "-50 mV", "reset": "-70 mV", "C": "0.2 nF",
                  "leakConductance": "10 nS", "refract": "12 ms"},
        "cable": {"sections": {"cable": {"points": [[0, 0, 0, 1], [60, 0, 0, 2], [120, 0, 0, 1]], "compartments": 13}},
                  "biophysics": {"mechanisms": {"leak": {"neuron": "pas", "g": 1e-4, "e": -65}}}},
    },
    "synapses": {"ampa": {"type": "expTwoSynapse", "gbase": "1e-6 nS", "erev": "0 mV", "tauRise": "0.5 ms",
                          "tauDecay": "3 ms"}},
    "populations": {"IN": {"cell": "beat23", "number": 10}, "ON": {"cell": "beat31", "number": 10},
                    "OUT": {"cell": "leaky", "number": 2}, "D": {"cell": "cable", "number": 2}},
    "connections": {
        name: {"from": name, "to": "OUT", "pattern": "all_to_all", "synapse": "ampa", "weight": weight,
               "delay": "0.5 + 0.7 * pre_index",
               "plasticity": {"type": "stdp", "a_plus": 0.03, "a_minus": 0.02, "w_max": 6, **more}}
        for name, weight, more in (("IN", 5, {"tau_plus": 15}), ("ON", 4, {"mu": 1, "pairs": "nearest"}))
    },
    # what fires does not depend on weights, as these are 1 ms late
    "stimuli": {"drive": {"type": "pulse", "to": "OUT", "amplitude": "0.2 + 0.05 * index", "duration": 300}},
    "rxd": {
        "regions": {"cyt": {"cells": "D", "side": "i"}},
        "species": {"ca": {"regions": "cyt", "charge": 2, "d": 0.2,
                           "initial": "if(path_dist > 60, 1e-4, 2e-4 * diam)"}},
        "rates": {"pumped": {"species": "ca", "rate": "-0.002 * ca"}},
    },
    "record": {"a": {"weights": "IN"}, "b": {"weights": "ON"},
               "ca": {"cells": "D[0]", "at": "cable[1]", "variable": "ca"}},
    "run": {"duration": 300, "dt": 0.025},
}  # fmt: skip


@pytest.mark.neuron
def test_our_rule_learns_in_netpyne(tmp_path: Path) -> None:
    """Its mechanism is told 1 ms late, and ends with the weights of 1 ms before; diffusion that knows its paths."""
    made = build(LEARNING)
    assert made.simulation is not None
    report = Report()
    path = tmp_path / "model" / "index.npjson"
    nmlbridge.write(made.network, path, report=report)
    assert sum("spikes 1 ms late" in note for note in losses(report)) == 2
    theirs = in_netpyne(tmp_path, [path])["model"]
    results = nmlbridge.simulate_network(made.network, replace(made.simulation, method="implicit"))
    expected = ordered(results.spikes.time * 1e3, results.spikes.gid.tolist())
    assert len(expected) > 100
    assert ordered(*theirs["spikes"]) == expected
    before = round(299 / 0.025)
    weights = [float(results[q][before]) for q in results.traces.quantities if q.startswith("weights/")]
    assert len(set(weights)) > 30
    np.testing.assert_allclose(sorted(row[2] for row in theirs["weights"]), sorted(weights), rtol=1e-9)
    (trace,) = theirs["traces"].values()
    (quantity,) = (q for q in results.traces.quantities if "rxd" in q)
    found = np.array(trace[f"cell_{made.network.populations['D'].offset}"])
    # NetPyNE moves cells to their places, and NEURON keeps shapes in single precision
    np.testing.assert_allclose(found, results[quantity][: len(found)], rtol=1e-7)
    assert np.ptp(found) > 1e-5


@pytest.mark.neuron
def test_saved_networks_name_what_netpyne_does_not_load(folder: Path, tmp_path: Path) -> None:
    expected = {"shaped": "does not rebuild how weights change", "plastic": "does not rebuild how weights change",
                "imposed": "does not rebuild imposed fields"}  # fmt: skip
    for name, said in expected.items():
        report = Report()
        convert(folder / f"{name}.json", tmp_path / f"{name}_netpyne.json", report=report, allow=("mods",))
        assert all(said in note for note in losses(report)) and losses(report)
        if name != "shaped":
            assert ours(tmp_path / f"{name}_netpyne.json") == ours(folder / f"{name}.json")
    made = build(LEARNING).network
    report = Report()
    nmlbridge.write(made, tmp_path / "learning_netpyne.json", report=report)
    assert any("weights change, which netpyne.sim.load does not rebuild" in note for note in losses(report))
    assert (tmp_path / "learning_netpyne_mod" / "STDP.mod").read_text() == MOD


@pytest.mark.neuron
def test_mod_files_of_a_saved_network_are_beside_it(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "net_netpyne.json"
    convert(folder / "plastic.json", path, allow=("mods",))
    assert os.listdir(tmp_path / "net_netpyne_mod") == ["stdp.mod"]
    assert ours(path) == ours(folder / "plastic.json")


def test_a_rule_beside_another_mechanism_of_its_name(tmp_path: Path) -> None:
    network = build(LEARNING).network
    network.mods["stdp.mod"] = STDP
    report = Report()
    nmlbridge.write(network, tmp_path / "index.npjson", report=report)
    assert sum("has a mechanism STDP already" in note for note in losses(report)) == 2


def test_another_mechanism_is_a_loss(folder: Path, tmp_path: Path) -> None:
    network: Network = nmlbridge.read(folder / "plastic.json", allow=("mods",))
    for projection in network.projections:
        object.__setattr__(projection, "plasticity", Adjuster("STDP", {}, "other"))
    for name in ("index.npjson", "net_netpyne.json"):
        report = Report()
        nmlbridge.write(network, tmp_path / name, report=report)
        assert any("tells the mechanism STDP of spikes, and no other" in note for note in losses(report))


def test_where_sections_without_points_stand_is_said(tmp_path: Path) -> None:
    params = {"popParams": {"A": {"cellType": "P", "numCells": 2}}, "cellParams": {"P": CELL},
              "synMechParams": {"exc": EXC}, "connParams": {"A": rule("A", "A")},
              "stimSourceParams": {"x": {"type": "XStim", "field": {"class": "uniform"},
                                         "waveform": {"type": "pulse", "amp": 1}}},
              "stimTargetParams": {"x": {"source": "x", "conds": {"pop": "A"}}}}  # fmt: skip
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 5}}))
    network = nmlbridge.read(path)
    for upright in (True, False):
        network.fields[0].upright = upright
        report = Report()
        nmlbridge.write(network, tmp_path / f"{upright}" / "index.npjson", report=report)
        assert any("stand along y in NetPyNE" in note for note in losses(report)) != upright
