"""rxdParams: the same concentrations as NetPyNE's own run, or rxd by hand, of the same statement."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne.reacting import _initial
from nmlbridge.errors import NmlBridgeError
from nmlbridge.registry import convert

pytestmark = pytest.mark.neuron

# after NetPyNE's own examples rxd_buffering and rxd_net, with numbers of our own
BUFFERING: dict[str, Any] = {
    "popParams": {"cell": {"numCells": 2, "cellModel": "HH"}},
    "cellParams": {"PYR": {"conds": {"cellModel": "HH"}, "secs": {"soma": {"geom": {}, "mechs": {}}}}},
    "rxdParams": {
        "regions": {"cyt": {"cells": ["all"], "secs": "soma", "nrn_region": "i"}},
        "species": {"ca": {"regions": ["cyt"], "charge": 2, "initial": 1e-4},
                    "buf": {"regions": ["cyt"], "initial": 1e-4}, "cabuf": {"regions": ["cyt"], "initial": 0}},
        "reactions": {"buffering": {"reactant": "2 * ca + buf", "product": "cabuf", "rate_f": 1e6, "rate_b": 1e-2}},
        "rates": {"degradation": {"species": "buf", "rate": "-1e-3 * buf"}},
    },
}  # fmt: skip
MINF = "ip3[cyt] * 1000. * ca[cyt] / (ip3[cyt] + kip3) / (1000. * ca[cyt] + kact)"
GATE = "ip3r_gate_state[cyt_er_membrane]"
OPEN = f"gip3r * ({MINF} * {GATE}) ** 3"
SECTION = {"geom": {"L": 40.0, "diam": 8.0, "Ra": 100.0, "cm": 1.0, "nseg": 3},
           "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.0003, "el": -54.3}}}  # fmt: skip
STORE: dict[str, Any] = {
    "sizeX": 60, "sizeY": 60, "sizeZ": 60,
    "popParams": {"E": {"cellType": "E", "numCells": 3, "cellModel": "HH"}},
    "cellParams": {"E": {"conds": {"cellType": "E"}, "secs": {
        "soma": SECTION,
        "dend": SECTION | {"geom": {"L": 60.0, "diam": 2.0, "Ra": 100.0, "cm": 1.0, "nseg": 5},
                           "topol": {"parentSec": "soma", "parentX": 1.0, "childX": 0}}}}},
    "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": 0.8, "tau2": 5.3, "e": 0}},
    "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 80, "noise": 0.8}},
    "stimTargetParams": {"bkg->E": {"source": "bkg", "conds": {"cellType": "E"}, "weight": 0.02, "sec": "soma",
                                    "delay": 1, "synMech": "exc"}},
    "rxdParams": {
        "constants": {"kip3": 0.15, "kact": 0.4, "gip3r": 12040 * 100, "gserca": 0.3913, "kserca": 0.1, "fc": 0.8,
                      "fe": 0.2, "caci_init": 1e-5, "ip3rtau": 2000, "caco_init": 2.0},
        "regions": {
            "cyt": {"cells": ["all"], "secs": "all", "nrn_region": "i", "geometry": {
                "class": "FractionalVolume", "args": {"volume_fraction": 0.8, "surface_fraction": 1}}},
            "er": {"cells": ["all"], "secs": "all", "geometry": {"class": "FractionalVolume",
                                                                 "args": {"volume_fraction": 0.2}}},
            "cyt_er_membrane": {"cells": ["all"], "secs": "all", "geometry": {
                "class": "ScalableBorder", "args": {"scale": 1, "on_cell_surface": False}}},
            "ecs": {"extracellular": True, "xlo": -20, "ylo": -90, "zlo": -20, "xhi": 90, "yhi": 90, "zhi": 90,
                    "dx": 10, "volume_fraction": 0.2, "tortuosity": 1.6},
        },
        "species": {
            "ca": {"regions": ["cyt", "er", "ecs"], "d": 0.08, "charge": 2,
                   "initial": "caco_init if isinstance(node,rxd.node.NodeExtracellular) else (0.0017 - caci_init * fc) "
                              "/ fe if node.region == er else caci_init"},
            "ip3": {"regions": ["cyt"], "d": 1.41, "initial": 0.1},
            "k": {"regions": ["cyt", "ecs"], "d": 2.62, "charge": 1,
                  "initial": "2.5 if isinstance(node,rxd.node.NodeExtracellular) else 54.4"},
        },
        "states": {"ip3r_gate_state": {"regions": ["cyt_er_membrane"], "initial": 0.8}},
        "multicompartmentReactions": {
            "serca": {"reactant": "ca[cyt]", "product": "ca[er]", "membrane": "cyt_er_membrane",
                      "custom_dynamics": True, "rate_f": "gserca / ((kserca / (1000. * ca[cyt])) ** 2 + 1)"},
            "leak": {"reactant": "ca[er]", "product": "ca[cyt]", "rate_f": 6.02, "rate_b": 6.02,
                     "membrane": "cyt_er_membrane"},
            "ip3r": {"reactant": "ca[er]", "product": "ca[cyt]", "rate_f": OPEN, "rate_b": OPEN,
                     "membrane": "cyt_er_membrane"},
        },
        "rates": {"ip3rg": {"species": GATE, "rate": f"(1. / (1 + 1000. * ca[cyt] / (0.3)) - {GATE}) / ip3rtau",
                            "regions": ["cyt_er_membrane", "cyt"]}},
    },
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "buffering": {"duration": 500, "dt": 0.025, "recordStep": 0.1, "recordCells": ["all"], "recordTraces": {
        name: {"sec": "soma", "loc": 0.5, "var": f"{name}i"} for name in ("ca", "buf", "cabuf")}},
    "store": {"duration": 60, "dt": 0.025, "recordStep": 0.1, "recordCells": ["all"], "recordTraces": {
        "V": {"sec": "soma", "loc": 0.5, "var": "v"}, "ca": {"sec": "dend", "loc": 0.5, "var": "cai"},
        "cao": {"sec": "soma", "loc": 0.5, "var": "cao"}, "ko": {"sec": "soma", "loc": 0.5, "var": "ko"},
        "ki": {"sec": "soma", "loc": 0.5, "var": "ki"}}},
}  # fmt: skip


def _outside() -> dict[str, Any]:
    """The same store, with what is around it as an entry of rxdParams of its own."""
    params: dict[str, Any] = json.loads(json.dumps(STORE).replace('"ecs"', '"extracellular"'))
    around = params["rxdParams"]["regions"].pop("extracellular")
    del around["extracellular"]
    params["rxdParams"]["extracellular"] = around
    return params


BORDER = " or ".join(f"abs(node.{axis}3d - ecs._{axis}{end}) < ecs._dx[{at}]"
                     for at, axis in enumerate("xyz") for end in ("lo", "hi"))  # fmt: skip
BOX = {"extracellular": True, "xlo": 0, "ylo": -95, "zlo": 0, "xhi": 100, "yhi": 0, "zhi": 100, "dx": 20}
NEAR = "(node.x3d - 50)**2 + (node.y3d + 50)**2 < 40**2 and not node.z3d > 70"
WAVE: dict[str, Any] = {  # after NetPyNE's example of spreading depression, with numbers and reactions of our own
    "sizeX": 100, "sizeY": 90, "sizeZ": 100,
    "popParams": {"E": {"cellType": "E", "numCells": 3}},
    "cellParams": {"E": {"secs": {"soma": {"geom": {"diam": 15, "L": 15, "pt3d": [[0, 0, 0, 15], [0, 15, 0, 15]]},
                                           "mechs": {"pas": {"g": 1e-4, "e": -70}}}}}},
    "rxdParams": {
        "constants": {"inside": 140.0, "outside": 4.0, "leaks": 50.0, "bath": 0.1},
        "regions": {"ecs": BOX | {"volume_fraction": 0.2, "tortuosity": 1.6}, "ecs_gas": BOX,
                    "cyt": {"cells": "all", "secs": "all", "nrn_region": "i"},
                    "mem": {"cells": "all", "secs": "all", "geometry": "membrane"}},
        "species": {
            "k": {"regions": ["cyt", "mem", "ecs"], "d": 2.62, "charge": 1, "name": "k",
                  "initial": f"inside if isinstance(node, rxd.node.Node1D) else (40.0 if {NEAR} else outside)"},
            "gas_outside": {"regions": ["ecs_gas"], "d": 3.3, "initial": "bath", "name": "oxygen",
                            "ecs_boundary_conditions": 0.1}},
        "parameters": {"sink": {"regions": ["cyt", "ecs", "ecs_gas"]},
                       "edge": {"regions": ["ecs", "ecs_gas"], "name": "rim", "value": f"1 if ({BORDER}) else 0"}},
        "states": {"gate": {"regions": ["cyt", "mem"], "initial": 0.3, "name": "opening"}},
        "multicompartmentReactions": {
            "current": {"reactant": "k[cyt]", "product": "k[ecs]", "membrane": "mem", "custom_dynamics": True,
                        "membrane_flux": True, "rate_f": "leaks * gate**2 * (rxd.v - 26 * rxdmath.log(k[ecs]/k[cyt]))"},
            "burnt": {"reactant": "gas_outside[ecs_gas]", "product": "sink[cyt]", "membrane": "mem",
                      "custom_dynamics": True, "rate_f": "1e4 * gas_outside[ecs_gas]"}},
        "rates": {"gating": {"species": "gate", "regions": ["cyt", "mem"],
                             "rate": "(1 / (1 + rxdmath.exp(-(rxd.v + 60) / 5)) - gate) / 10"},
                  "supply": {"species": "gas_outside[ecs_gas]", "regions": ["ecs_gas"],
                             "rate": "edge * 0.02 * (bath - gas_outside[ecs_gas])"},
                  "cleared": {"species": "k[ecs]", "regions": ["ecs"],
                              "rate": "edge * 0.05 * gas_outside[ecs_gas] * (outside - k[ecs])"}},
    },
}  # fmt: skip
CONFIGS["wave"] = {"duration": 40, "dt": 0.1, "recordStep": 0.1, "recordCells": ["all"],
                   "recordTraces": {v: {"sec": "soma", "loc": 0.5, "var": v} for v in ("v", "ki", "ko")}}  # fmt: skip
WRITTEN_TOO = {"buffering": BUFFERING, "store": STORE, "wave": WAVE}
MODELS = WRITTEN_TOO | {"outside": _outside()}
CONFIGS["outside"] = CONFIGS["store"]
REFERENCE = """
import json, sys
from netpyne import sim, specs
model = json.load(open(sys.argv[1]))
config = specs.SimConfig(model["simConfig"])
config.analysis = {}
sim.initialize(simConfig=config, netParams=specs.NetParams(model["net"]["params"]))
sim.net.createPops()
sim.net.createCells()
sim.net.connectCells()
sim.net.addStims()
sim.net.addRxD()
sim.setupRecording()
sim.runSim()
sim.gatherData()
found = {name: {cell: list(trace) for cell, trace in sim.allSimData[name].items()} for name in config.recordTraces}
print("found" + json.dumps(found, default=float))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
@pytest.mark.parametrize("name", MODELS)
def test_the_concentrations_of_netpyne(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": MODELS[name]}, "simConfig": CONFIGS[name]}))
    done = subprocess.run([sys.executable, "-c", REFERENCE, str(path)], capture_output=True, text=True, cwd=tmp_path,
                          check=False, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("found"))
    theirs: dict[str, dict[str, list[float]]] = json.loads(line.removeprefix("found"))
    results = nmlbridge.simulate(path)
    moved = 0
    for label, spec in CONFIGS[name]["recordTraces"].items():
        scale = 1e3 if spec["var"] == "v" else 1.0
        for cell, trace in theirs[label].items():
            row = int(cell.removeprefix("cell_"))
            end = f"[{row}]/{spec['sec']}(0.5)/{spec['var']}"
            (quantity,) = (q for q in results.traces.quantities if q.endswith(end))
            assert len(results[quantity]) - len(trace) in (0, 1)  # NetPyNE may leave out the sample at the very end
            ours = results[quantity][: len(trace)] * scale
            np.testing.assert_allclose(ours, trace, rtol=1e-9, atol=1e-9 if spec["var"] == "v" else 1e-15)
            moved += np.ptp(ours) > 1e-8
    assert moved >= 6


WRITTEN = REFERENCE.replace('model = json.load(open(sys.argv[1]))\nconfig = specs.SimConfig(model["simConfig"])',
                            "config, params = sim.loadModel(sys.argv[1])").replace(
    'specs.NetParams(model["net"]["params"])', "params").replace(
    "print(", 'found["spikes"] = list(sim.allSimData["spkt"])\nprint(')  # fmt: skip


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
@pytest.mark.parametrize("name", WRITTEN_TOO)
def test_what_is_written_has_the_reactions(name: str, tmp_path: Path) -> None:
    """NetPyNE, and reading again, have the concentrations of the model that was written."""
    path, index = tmp_path / "model.json", tmp_path / "out" / "index.npjson"
    path.write_text(json.dumps({"net": {"params": MODELS[name]}, "simConfig": CONFIGS[name]}))
    index.parent.mkdir()
    report = nmlbridge.Report()
    convert(path, index, report=report)
    assert not [note for note in report.losses if "rxd" in note.code or "reactions" in note.code]
    first, again = nmlbridge.simulate(path), nmlbridge.simulate(index)
    done = subprocess.run([sys.executable, "-c", WRITTEN, str(index)], capture_output=True, text=True,
                          cwd=index.parent, check=False, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("found"))
    theirs = json.loads(line.removeprefix("found"))
    assert theirs.pop("spikes") == pytest.approx((first.spikes.time * 1e3).tolist(), abs=1e-9)
    seen = 0
    for quantity in first.traces.quantities:
        every = (len(again[quantity]) - 1) // (len(first[quantity]) - 1)  # each step is recorded in what is written
        np.testing.assert_allclose(again[quantity][::every], first[quantity], rtol=1e-8, atol=1e-12)
        place, _, variable = quantity.rpartition("/")
        row, section = place.partition("[")[2].partition("]")[0], place.rpartition("/")[2].partition("(")[0]
        for label, cells in theirs.items():
            if label.endswith(f"_{section}_05_{variable}"):
                trace = np.array(cells[f"cell_{row}"])[::every] * (1e-3 if variable == "v" else 1.0)
                np.testing.assert_allclose(first[quantity][: len(trace)], trace, rtol=1e-8, atol=1e-12)
                seen += 1
    assert seen >= 6


@pytest.mark.parametrize(("part", "entry", "message"), [
    ("reactions", {"r": {"reactant": "ca", "product": "buf", "rate_f": "__import__('os')"}}, "not supported"),
    ("reactions", {"r": {"reactant": "ca", "product": "buf"}}, "'rate_f' is missing"),
    ("reactions", {"r": {"reactant": "ca", "product": "bof", "rate_f": 1}}, "did you mean 'buf'"),
    ("regions", {"cyt": {"geometry": {"class": "Sphere"}}}, "the geometry 'Sphere'"),
    ("regions", {"cyt": {"cells": ["B"]}}, "there is no population 'B'"),
    ("shells", {}, "'shells' is not supported"),
])  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(
    part: str, entry: dict[str, Any], message: str, tmp_path: Path
) -> None:
    params = copy.deepcopy(BUFFERING)
    params["rxdParams"][part] = entry
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": CONFIGS["buffering"]}))
    with pytest.raises(NmlBridgeError, match="rxd") as caught:
        nmlbridge.read(path)
    assert message in str(caught.value)


def test_no_name_of_a_region_becomes_code() -> None:
    """Of initial values that differ between regions NetPyNE makes one formula, which it runs."""
    hostile = "cyt or print(1)"
    with pytest.raises(NmlBridgeError, match=r"the region 'cyt or print\(1\)' stands in a formula"):
        _initial({hostile: "1", "er": "2 * x"}, [hostile, "er"], set())
    assert _initial({"cyt": "1", "er": "2 * x"}, ["cyt", "er"], set()) == (
        "(1) if node.region == cyt else ((2 * node.x3d))")  # fmt: skip
