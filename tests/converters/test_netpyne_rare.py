"""Words of NetPyNE that few models use, each against NetPyNE: shared synapses, places before, hParams, populations."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import NmlBridgeError

from .netpyne_models import JUNCTION
from .netpyne_words import CELL, CONFIG, DEND, EXC, SOMA, TRAIN, ask_netpyne, noise, rule

pytestmark = [
    pytest.mark.neuron,
    pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra netpyne)"),
]

GAP = {"exc": EXC, "gap": {"mod": "Tunnel", "g": 0.005, "pointerParams": {"target_var": "other"}}}
COLD = {"P": CELL | {"globals": {"celsius": 20.0, "v_init": -60.0}}}


def _net(**more: Any) -> dict[str, Any]:
    return {
        "popParams": {name: {"cellType": "P", "numCells": 4} for name in "AB"},
        "cellParams": {"P": CELL}, "synMechParams": {"exc": EXC}, **noise("A", 100),
        "connParams": {"A->B": rule("A", "B", sec="dend", loc=0.5)},
    } | more  # fmt: skip


def _populations() -> dict[str, Any]:
    pops = {
        "A": {"cellType": "P", "numCells": 4}, "Z": {"cellType": "P", "numCells": 0},
        "B": {"cellType": "P", "gridSpacing": [60, 90, 60], "yRange": [20, 120]},
        "N": {"cellModel": "NetStim", "numCells": 3, "rate": "50+50*ynorm", "noise": 0.5, "start": "10*xnorm",
              "number": 6, "seed": 7},
        "I": {"cellModel": "IntFire2", "numCells": 3, "taum": "5+ynorm", "taus": 20, "ib": 1.5},
        "V": {"cellModel": "VecStim", "numCells": 2, "spkTimes": [[10, 20, 30], [15, 45, 46]]},
        "W": {"cellModel": "VecStim", "numCells": 3, "interval": 10, "noise": 0.3, "start": 20},
        "L": {"cellModel": "VecStim", "cellsList": [{"x": 1, "y": 2, "z": 3, "spkTimes": [5, 9]},
                                                    {"xnorm": 0.5, "spkTimes": [7, 19]}]},
        "One": {"cellType": "P", "ynormRange": [0.2, 0.4], "own": "tag"},
        "D": {"cellType": "P", "density": 4000, "xRange": [0, 50]},
    }  # fmt: skip
    drives = {f"{pop}->": rule(pop, ["A", "One", "D"], weight=0.006, delay="1+post_ynorm") for pop in "NIVWL"}
    tagged = {"preConds": {"pop": "A"}, "postConds": {"own": "tag"}, "weight": 0.01, "delay": 1, "synMech": "exc"}
    return _net(sizeX=120, sizeY=150, sizeZ=120, shape="cylinder", popParams=pops,
                popTagsCopiedToCells=["cellModel", "cellType", "pop", "own"],
                connParams=drives | {"A->I": rule("A", "I", weight=2.0, weightIndex=0), "tagged": tagged})  # fmt: skip


def _clamps() -> dict[str, Any]:
    sources = {
        "volts": {"type": "VClamp", "dur": [20, 40, 10], "amp": [-70, -20, -60], "gain": 1e5, "tau1": 0.1, "tau2": 0},
        "held": {"type": "SEClamp", "dur1": 30, "amp1": -40, "dur2": 50, "amp2": -60, "rs": 0.5},
        "alpha": {"type": "AlphaSynapse", "onset": 20, "tau": 3, "gmax": 0.02, "e": 0},
        "step": {"type": "IClamp", "del": 20, "dur": 30, "amp": "0.2+post_ynorm"},
    }
    targets = {
        name: {"source": name, "conds": {"pop": "B", "cellList": [row]}, "sec": section, "loc": 0.5}
        for row, (name, section) in enumerate(zip(sources, ("dend", "dend", "soma", "soma"), strict=True))
    }
    return _net(stimSourceParams=sources, stimTargetParams=targets)


MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "shared": (
        _net(synMechParams={"exc": EXC | {"tau2": "uniform(3, 9)"}},
             connParams={"A->B": rule("A", "B", sec="dend", loc=0.5, weight=0.003),
                         "B->A": rule("B", "A", synsPerConn=3, sec=["soma", "dend"], weight=0.001)}),
        {"oneSynPerNetcon": False}),
    "listed": (
        _net(synMechParams=GAP, connParams={
            "A-B": rule("A", "B", synMech="gap", weight=2.0, connList=[[0, 1], [2, 3], [1, 0]], loc=[0.5, 0.2, 0.8],
                        sec=["soma", "dend", "dend"], preLocs=[0.1, 0.5, 0.9], preSecs=["dend", "soma", "dend"]),
            "A->B": rule("A", "B")}),
        {}),
    "not listed": (
        _net(synMechParams=GAP, connParams={
            "A-B": rule("A", "B", synMech="gap", weight=2.0, probability=0.5, preSec="dend", preLoc=0.9, sec="dend",
                        loc=0.3, preLocs=[0.1], preSecs=["soma"]),
            "A->B": rule("A", "B")}),
        {}),
    "of the cells": (_net(cellParams=COLD), {"hParams": {"v_init": -72.0}}),
    "of NetPyNE": (_net(cellParams=COLD), {}),
    "of both": (_net(cellParams={"P": {"secs": {"soma": SOMA | {"vinit": -80}, "dend": DEND}}}),
                {"hParams": {"v_init": -72.0, "celsius": 12, "clamp_resist": 0.01}}),
    "clamps": (_clamps(), {"hParams": {"v_init": -68.0, "celsius": 9, "clamp_resist": 0.05}}),
    "populations": (_populations(), {}),
    "artificial": (
        _net(popParams={**_net()["popParams"], "I": {"cellModel": "IntFire2", "numCells": 3, "taum": 5, "ib": 1.5}},
             connParams={"A->I": rule("A", "I", weight=2.0, weightIndex=0), "I->B": rule("I", "B", weight=0.006)}),
        {}),
}  # fmt: skip
NOTES = {"not listed": "preSecs and preLocs belong to connList", "of NetPyNE": "as in NetPyNE it is 6.3"}
REFERENCE = """
import json, sys
from netpyne import sim, specs
asked = json.load(open(sys.argv[1]))
assert sim.h.nrn_load_dll(asked["library"])
found = {}
for name, params in asked["models"].items():
    sim.create(simConfig=specs.SimConfig(asked["configs"][name]), netParams=specs.NetParams(params))
    sim.runSim()
    sim.gatherData()
    sim.cfg.filename, sim.cfg.saveJson = "saved " + name, True
    sim.cfg.saveDataInclude = ["netParams", "netCells", "netPops", "simConfig"]
    sim.saveData()
    found[name] = {"spikes": sorted(zip(sim.allSimData["spkt"], map(int, sim.allSimData["spkid"]))),
                   "traces": {cell: list(trace) for cell, trace in sim.allSimData["V"].items()}}
    sim.clearAll()
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rare")
    models = {name: params for name, (params, _) in MODELS.items()}
    configs = {name: CONFIG | config for name, (_, config) in MODELS.items()}
    ask_netpyne(folder, REFERENCE, models, configs, {"train.mod": TRAIN, "junction.mod": JUNCTION})
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_spikes_traces_and_notes(name: str, folder: Path) -> None:
    theirs = json.loads((folder / "found.json").read_text())[name]
    results = nmlbridge.simulate(folder / f"{name}.json", allow=("mods",))
    ours = sorted(zip(np.round(results.spikes.time * 1e3, 9).tolist(), results.spikes.gid.tolist(), strict=True))
    assert ours == sorted((round(time, 9), gid) for time, gid in theirs["spikes"])
    network = nmlbridge.read(folder / f"{name}.json")
    traces = {quantity.partition("/")[0]: quantity for quantity in results.traces.quantities}
    assert len(theirs["traces"]) >= 8
    for cell, trace in theirs["traces"].items():
        gid = int(cell.removeprefix("cell_"))
        pop = next(p for p in network.populations.values() if p.offset <= gid < p.offset + p.size)
        found = results[traces[f"{pop.id}[{gid - pop.offset}]"]][: len(trace)] * 1e3
        np.testing.assert_allclose(found, trace, rtol=0, atol=1e-7)
    assert np.ptp(list(theirs["traces"].values())) > 1  # mV: something happened
    losses = [str(note) for note in results.report if note.severity != "info"]
    assert len(losses) == (name in NOTES)
    assert name not in NOTES or NOTES[name] in losses[0]


@pytest.mark.parametrize("name", ["shared", "artificial"])
def test_what_netpyne_saves(name: str, folder: Path) -> None:
    theirs = json.loads((folder / "found.json").read_text())[name]["spikes"]
    results = nmlbridge.simulate(folder / f"saved {name}_data.json", allow=("mods",))
    ours = sorted(zip(np.round(results.spikes.time * 1e3, 9).tolist(), results.spikes.gid.tolist(), strict=True))
    assert ours == sorted((round(time, 9), gid) for time, gid in theirs)


def test_a_temperature_that_is_none(tmp_path: Path) -> None:
    params = _net(cellParams={"P": CELL | {"globals": {"celsius": "warm"}}})
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 5, "hParams": {"v_init": -65}}}))
    with pytest.raises(NmlBridgeError, match="celsius"):
        nmlbridge.read(path)
