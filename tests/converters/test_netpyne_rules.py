"""netParams: the same cells, connections, weights, delays and stimuli as NetPyNE 1.1 makes of the same rules."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne.functions import Function
from nmlbridge.converters.netpyne.instance import Instance
from nmlbridge.converters.netpyne.rules import build
from nmlbridge.converters.netpyne.streams import DISTRIBUTIONS, Stream
from nmlbridge.errors import NetworkError, NmlBridgeError, SimulatorError, UnsupportedError
from nmlbridge.graph import NativeCell
from nmlbridge.registry import read
from nmlbridge.report import Report

from .netpyne_words import DEND, HH, SOMA

needs_netpyne = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")

TUFT = DEND | {"geom": DEND["geom"] | {"L": 80.0}, "topol": {"parentSec": "dend", "parentX": 1.0, "childX": 0}}
TREE = {"secs": {"soma": SOMA, "dend": DEND, "tuft": TUFT}, "secLists": {"alldend": ["dend", "tuft"]}}
SYNAPSES = {
    "exc": {"mod": "Exp2Syn", "tau1": 0.8, "tau2": 5.3, "e": 0},
    "inh": {"mod": "Exp2Syn", "tau1": 0.6, "tau2": 8.5, "e": -75},
    "fast": {"mod": "ExpSyn", "tau": 2.0, "e": 0},
}  # fmt: skip
CONFIG = {"duration": 150, "dt": 0.05, "recordStep": 1, "hParams": {"celsius": 6.3, "v_init": -65.0}}


def rule(pre: Any, post: Any, **more: Any) -> dict[str, Any]:
    conditions = {"preConds": {"pop": pre}, "postConds": {"pop": post}}
    return conditions | {"weight": 0.002, "delay": 2.0, "synMech": "exc"} | more


BACKGROUND = {
    "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 40, "noise": 0.6}},
    "stimTargetParams": {"bkg->all": {"source": "bkg", "conds": {"cellType": ["E", "I"]}, "weight": 0.01,
                                      "delay": "max(1, normal(5,2))", "synMech": "exc"}},
}  # fmt: skip

MODELS: dict[str, dict[str, Any]] = {
    "distance and depth": {
        "sizeX": 100, "sizeY": 1000, "sizeZ": 100, "propVelocity": 100.0, "lambda_c": 150.0,
        "popParams": {"E2": {"cellType": "E", "numCells": 20, "yRange": [100, 300]},
                      "I2": {"cellType": "I", "numCells": 15, "yRange": [100, 300]},
                      "E5": {"cellType": "E", "numCells": 25, "ynormRange": [0.6, 1.0]}},
        "cellParams": {"E": {"secs": {"soma": SOMA}}, "I": {"secs": {"soma": SOMA}}}, "synMechParams": SYNAPSES,
        **BACKGROUND,
        "connParams": {
            "E->all": {"preConds": {"cellType": "E"}, "postConds": {"y": [100, 1000]}, "probability": 0.1,
                       "weight": "0.005*post_ynorm", "delay": "dist_3D/propVelocity", "synMech": "exc"},
            "I->E": {"preConds": {"cellType": "I"}, "postConds": {"pop": ["E2", "E5"]},
                     "probability": "0.4*exp(-dist_3D/lambda_c)", "weight": 0.001,
                     "delay": "0.2 + gauss_ms + dist_2D/propVelocity", "synMech": "inh"},
            "E2->E5": rule("E2", "E5", probability="uniform(0, 0.4)", weight="normal(0.002, 1e-7)",
                           delay="0.2+lognormal(2,1)+(1 if post_ynorm > 0.8 else 0)"),
        },
        "gauss_ms": 0.25,
    },
    "counts and lists": {
        "shape": "cylinder", "sizeX": 200, "sizeY": 300, "sizeZ": 200,
        "popParams": {"A": {"cellType": "E", "numCells": 20}, "B": {"cellType": "I", "numCells": 15},
                      "one": {"cellType": "I", "numCells": 1}},
        "cellParams": {"E": {"secs": {"soma": SOMA}}, "Irule": {"conds": {"cellType": "I"}, "secs": {"soma": SOMA}}},
        "synMechParams": SYNAPSES, "defaultDelay": 3.5, **BACKGROUND,
        "connParams": {
            "conv": rule("A", "B", convergence=5, weight="uniform(0.001, 0.003)"),
            "conv in one": rule("A", "A", convergence="3+4*post_ynorm", delay="discunif(1, 5)"),
            "div": rule("B", "A", divergence="2 + pre_xnorm*3", synMech="inh"),
            "full": rule("one", "B", weight="erlang(0.002, 1e-7)", delay="negexp(2)+1"),
            "list": rule("A", "B", connList=[[0, 3], [19, 14], [4, 4]], weight=[0.001, 0.002, 0.003]),
            "several": rule("A", "one", probability=0.5, synMech=["exc", "fast"], weight=[0.002, 0.001], delay=None),
        },
    },
    "dendrites": {
        "shape": "ellipsoid",
        "popParams": {"A": {"cellType": "E", "numCells": 6}, "B": {"cellType": "E", "numCells": 5}},
        "cellParams": {"E": TREE}, "synMechParams": SYNAPSES,
        "stimSourceParams": {"step": {"type": "IClamp", "del": 20, "dur": 60, "amp": "0.2+0.3*post_ynorm"},
                             "bkg": {"type": "NetStim", "interval": 15, "noise": 1, "start": 5, "seed": 7}},
        "stimTargetParams": {
            "steps": {"source": "step", "conds": {"pop": "A", "cellList": [0, 2]}, "sec": "dend", "loc": 0.3},
            "noise": {"source": "bkg", "conds": {"pop": ["A", "B"]}, "sec": "dend", "loc": 0.8, "weight": 0.01,
                      "delay": 1, "synMech": "exc"}},
        "connParams": {
            "spread": rule("A", "B", probability=0.6, sec="alldend", synsPerConn=4),
            "one of": rule("B", "A", probability=0.7, sec=["soma", "dend", "tuft"], loc=[0.5, 0.2, 0.9]),
            "along": rule("A", "A", convergence=3, sec="tuft", synsPerConn=3, synMech="inh"),
            "drawn": rule("B", "A", probability=0.5, sec="alldend", synsPerConn=3, distributeSynsUniformly=False),
        },
    },
    "cells that differ": {
        "popParams": {"A": {"cellType": "E", "numCells": 24}, "B": {"cellType": "E", "numCells": 18}},
        "cellParams": {"E": {"vars": {"g": "uniform(0.1, 0.14)"}, "secs": {
            "soma": SOMA | {"geom": {"diam": "18+2*uniform(0,1)", "L": "15+5*ynorm", "nseg": 1},
                            "mechs": {"hh": HH | {"gnabar": "g"}}},
            "dend": DEND | {"geom": {"diam": 2, "L": "uniform(80, 120)", "Ra": "normal(150, 100)", "nseg": 3}},
        }}},
        "synMechParams": SYNAPSES, **BACKGROUND,
        "connParams": {"A->B": rule("A", "B", probability=0.3, sec="dend", loc=0.7, weight="uniform(0, 0.004)"),
                       "B->A": rule("B", "A", convergence=4, synMech="inh")},
    },
    "many kinds of places": {
        "sizeX": 100, "sizeY": 100, "sizeZ": 100, "scale": 1,
        "popParams": {
            "dense": {"cellType": "E", "density": 12000, "xnormRange": [0.2, 0.9]},
            "deep": {"cellType": "E", "density": "20000*ynorm", "ynormRange": [0.1, 0.8]},
            "grid": {"cellType": "I", "gridSpacing": [50, 60, 100]},
            "listed": {"cellType": "I", "cellsList": [{"x": 1, "y": 2, "z": 3}, {"xnorm": 0.5, "ynorm": 0.25}]},
            "mixed": {"cellType": "M", "numCells": 8, "diversity": True},
            "noise": {"cellModel": "NetStim", "numCells": 4, "rate": [20, 60], "noise": 0.8, "start": 2},
        },
        "cellParams": {
            "E": {"secs": {"soma": SOMA | {"geom": {"diam": "18+2*uniform(0,1)", "L": "15+5*ynorm"}}}},
            "I": {"vars": {"g": "normal(0.12, 1e-4)"},
                  "secs": {"soma": {**SOMA, "mechs": {"hh": {**HH, "gnabar": "g"}}}}},
            "M1": {"conds": {"cellType": "M"}, "secs": {"soma": SOMA}, "diversityFraction": 0.25},
            "M2": {"conds": {"cellType": "M"}, "secs": {"soma": SOMA, "dend": DEND}, "diversityFraction": 0.75},
        },
        "synMechParams": SYNAPSES,
        "connParams": {"noise": rule("noise", ["dense", "grid", "mixed", "listed"], probability=0.8, weight=0.01),
                       "recurrent": {"preConds": {"cellType": "M"}, "postConds": {"x": [0, 60]}, "probability": 0.3,
                                     "weight": 0.001, "delay": 1, "synMech": "inh"}},
    },
}  # fmt: skip

REFERENCE = """
import json, sys
from netpyne import sim, specs
found = {}
for name, params in json.load(open(sys.argv[1]))["models"].items():
    config = specs.SimConfig(json.load(open(sys.argv[1]))["config"])
    config.saveJson = config.savePickle = config.recordStim = False
    config.analysis = {}
    sim.initialize(simConfig=config, netParams=specs.NetParams(params))
    sim.net.createPops()
    sim.net.createCells()
    sim.net.connectCells()
    sim.net.addStims()
    keys = ("type", "source", "rate", "noise", "start", "number", "seed", "del", "dur", "amp", "sec", "loc")
    one = {
        "cells": [[c.gid, c.tags["pop"], *(float(c.tags[a]) for a in "xyz")] for c in sim.net.cells],
        "connections": [[c.gid, k["preGid"], k.get("sec"), k.get("loc"), k.get("synMech"), float(k["weight"]),
                         float(k["delay"])] for c in sim.net.cells for k in c.conns],
        "stimuli": [[c.gid, *(s.get(key) for key in keys)] for c in sim.net.cells for s in c.stims],
    }
    sim.setupRecording()
    sim.runSim()
    sim.gatherData()
    one["spikes"] = [list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])]
    found[name] = one
    sim.clearAll()
print("found" + json.dumps(found, default=float))
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What NetPyNE makes of the models."""
    folder = tmp_path_factory.mktemp("netpyne")
    (folder / "models.json").write_text(json.dumps({"models": MODELS, "config": CONFIG}))
    done = subprocess.run([sys.executable, "-c", REFERENCE, "models.json"], capture_output=True, text=True, cwd=folder,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("found"))
    found: dict[str, Any] = json.loads(line.removeprefix("found"))
    return found


def made(name: str) -> Instance:
    return build(MODELS[name], CONFIG, Report())


def rows(instance: Instance) -> list[list[Any]]:
    """Connections of each cell in turn, as NetPyNE lists them."""
    by_cell: dict[int, list[list[Any]]] = {gid: [] for gid in instance.cells}
    for c in instance.connections:
        by_cell[c.post].append(
            [c.post, "NetStim" if c.driven else c.pre, c.section, c.loc, c.synapse, c.weight, c.delay]
        )
    return [row for gid in instance.cells for row in by_cell[gid]]


@needs_netpyne
@pytest.mark.neuron
@pytest.mark.parametrize("name", MODELS)
def test_the_network_of_netpyne(name: str, reference: dict[str, Any]) -> None:
    instance, expected = made(name), reference[name]
    cells = [[c.gid, c.tags["pop"], *(float(c.tags[axis]) for axis in "xyz")] for c in instance.cells.values()]
    assert [cell[:2] for cell in cells] == [cell[:2] for cell in expected["cells"]]
    assert np.array([c[2:] for c in cells]) == pytest.approx(np.array([c[2:] for c in expected["cells"]]), rel=1e-14)
    ours, theirs = rows(instance), expected["connections"]
    assert len(ours) == len(theirs) > 20
    for a, b in zip(ours, theirs, strict=True):
        assert a[:2] == b[:2] and a[4] == b[4]
        if a[2] is not None:  # where it is, of a cell that has sections
            assert a[2] == b[2] and a[3] == pytest.approx(b[3], abs=1e-12)
        assert a[5:] == pytest.approx(b[5:], rel=1e-12)
    keys = ("type", "source", "rate", "noise", "start", "number", "seed", "del", "dur", "amp", "sec", "loc")
    stimuli = [[c.gid, *(s.get(key) for key in keys)] for c in instance.cells.values() for s in c.stims]
    assert len(stimuli) == len(expected["stimuli"])
    for a, b in zip(stimuli, expected["stimuli"], strict=True):
        assert a[:3] == b[:3]
        assert [x for x in a[3:] if not isinstance(x, str)] == pytest.approx(
            [x for x in b[3:] if not isinstance(x, str)]
        )


@needs_netpyne
@pytest.mark.neuron
@pytest.mark.parametrize("name", MODELS)
def test_the_spikes_of_netpyne(name: str, reference: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": MODELS[name]}, "simConfig": CONFIG}))
    results = nmlbridge.simulate(path)
    network = read(path)
    renumbered = any(p.properties.get("netpyne_pop") for p in network.populations.values())
    ours = sorted(np.round(results.spikes.time * 1e3, 6).tolist())
    times, gids = reference[name]["spikes"]
    assert ours == sorted(round(t, 6) for t in times) and len(ours) > 10
    if not renumbered:
        assert sorted(results.spikes.gid.tolist()) == sorted(int(g) for g in gids)


def test_cells_that_differ_stay_one_population() -> None:
    network = made("cells that differ").network(Report())
    assert [(p.id, p.size, len(p.individuals or ())) for p in network.populations.values()] == [("A", 24, 24),
                                                                                                ("B", 18, 18)]
    assert len(network.projections) == 2 and len(network.native) == 5  # two cells, two synapses, the NetStim
    for population in network.populations.values():
        cells = list(population.individuals or ())
        assert len({cell.key for cell in cells if isinstance(cell, NativeCell)}) == population.size
        assert len({cell.structure for cell in cells if isinstance(cell, NativeCell)}) == 1


@pytest.mark.neuron
def test_streams_are_those_of_neuron() -> None:
    arguments = {"uniform": (2, 5), "discunif": (0, 9), "negexp": (3,), "normal": (5, 2), "lognormal": (3, 2),
                 "poisson": (4,), "binomial": (10, 0.3), "erlang": (4, 2), "weibull": (2, 3),
                 "geometric": (0.4,)}  # fmt: skip
    assert set(arguments) == set(DISTRIBUTIONS)
    script = (
        "import json, sys\nfrom neuron import h\nfound = {}\n"
        "for name, given in json.loads(sys.argv[1]).items():\n"
        "    r = h.Random(); r.Random123(4000000000, 22, 33)\n"
        "    found[name] = [getattr(r, name)(*given) for _ in range(300)]\n"
        "print('found' + json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", script, json.dumps(arguments)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    expected = json.loads(done.stdout.partition("found")[2])
    for name, given in arguments.items():
        stream = Stream(4000000000, 22, 33)
        ours = [getattr(stream, name)(*given) for _ in range(300)]
        # the same draws to the last bit; a compiler may round a quotient of them otherwise
        assert ours == pytest.approx(expected[name], rel=1e-15), name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1+2*3", 7), ("2**3", 8), ("-x/2", -1.0), ("max(1, x, 0)", 2.0), ("1 if x > 1 else 5", 1),
        ("(x<3)*0.5", 0.5), ("exp(0)*pi", np.pi), ("0 < x < 3 and not x > 5", True), ("x % 1.5", 0.5),
    ],
)  # fmt: skip
def test_functions(text: str, value: float) -> None:
    assert Function(text, "here")({"x": 2.0}) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('x')", "x.real", "[1,2][0]", "lambda: 1", "open('a')", "(1).__class__", "x := 1",
     "f'{x}'", "exp(*[1])", "rand.__class__(1)", "'a'*1000000000", "max(x, key=1)"],
)  # fmt: skip
def test_code_is_refused(text: str) -> None:
    with pytest.raises((UnsupportedError, NetworkError)):
        Function(text, "here")


def test_nesting_is_bounded() -> None:
    with pytest.raises(NmlBridgeError):
        Function("(" * 300 + "1" + ")" * 300 + "+1" * 500, "here")
    with pytest.raises(NmlBridgeError):
        Function("-" * 500 + "1", "here")


def changed(**more: Any) -> dict[str, Any]:
    model: dict[str, Any] = json.loads(json.dumps(MODELS["counts and lists"]))
    for path, value in more.items():
        *folders, last = path.split("__")
        at = model
        for folder in folders:
            at = at[folder]
        at[last] = value
    return model


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"connParams__conv__plast": "STDP"}, "connParams.conv.plast: expected a mech"),
        ({"connParams__conv__weight": "0.1*distt_3D"}, "connParams.conv.weight.*distt_3D"),
        ({"connParams__conv__weight": "0.1*"}, "no expression"),
        ({"connParams__conv__weight": "log(-1)"}, "not a number"),
        ({"connParams__conv__weight": None, "defaultWeight": "x"}, "expected a number|defaultWeight"),
        ({"connParams__conv__delay": -1.0}, "must not be negative"),
        ({"connParams__list__connList": [[0, 99]]}, "there is no pair"),
        ({"connParams__conv__connFunc": "myConn"}, "myConn"),
        ({"connParams__conv__synMech": "nope"}, "nope"),
        ({"popParams__A__numCells": -3}, "numCells is -3"),
        ({"popParams__A__numCells": "x"}, "numCells"),
        ({"popParams__A__cellType": "Q"}, "no rule of cellParams fits"),
        ({"shape": "torus"}, "torus"),
        ({"popParams": {}}, "no population"),
        ({"stimTargetParams__bkg->all__source": "bgk"}, "no source 'bgk'"),
        ({"cellParams__E__secs__soma__geom__L": "dist_path/2"}, "geom.L.*dist_path"),
        ({"cellParams__E__secs__soma__mechs__hh__gnabar": "dist_euclidean/2"}, "no pt3d"),
        ({"synMechParams__exc__tau1": "uniform(0,1)+pre_x"}, "synMechParams.exc.tau1.*pre_x"),
        (
            {"subConnParams": {"s": {"preConds": {"pop": "A"}, "postConds": {"pop": "B"}, "density": "even"}}},
            "subConnParams.s.density: 'even'",
        ),
        ({"scale": 2}, "rng=native"),
    ],
)
def test_what_is_wrong_or_not_supported_is_named(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": changed(**change)}, "simConfig": CONFIG}))
    with pytest.raises(NmlBridgeError, match=words):
        read(path)


@pytest.mark.neuron
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cellParams__E__secs__soma__mechs": {"hhh": {}}}, "mechanism 'hhh'.*did you mean 'hh'"),
        ({"cellParams__E__secs__soma__mechs__hh__gnabr": 1}, "section 'soma'.*'gnabr'; did you mean 'gnabar'"),
        ({"synMechParams__exc__tua1": 1}, "'tua1'; did you mean 'tau1'"),
        ({"synMechParams__exc__mod": "Exp2Sny"}, "'Exp2Sny'.*did you mean 'Exp2Syn'"),
    ],
)
def test_what_neuron_has_not_is_named_with_what_is_like_it(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:  # fmt: skip
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": changed(**change)}, "simConfig": CONFIG}))
    with pytest.raises(SimulatorError, match=words):
        nmlbridge.simulate(path, duration=1)


def test_a_section_that_is_not_there_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": changed(connParams__conv__sec="dendd")}, "simConfig": CONFIG}))
    report = Report()
    read(path, report=report)
    assert sum("no section or list 'dendd'" in str(note) for note in report) == 1


def test_an_index_is_followed_and_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "netParams.json").write_text(json.dumps({"net": {"params": MODELS["dendrites"]}}))
    (tmp_path / "src" / "cfg.json").write_text(json.dumps({"simConfig": CONFIG}))
    index = tmp_path / "index.npjson"
    index.write_text(json.dumps({"netParams": "src/netParams.json", "simConfig": "src/cfg.json", "mod_folder": "mod"}))
    network = read(tmp_path)
    assert network.size == 11 and len(network.projections) == 4
    index.write_text(json.dumps({"netParams": "../netParams.json", "simConfig": "src/cfg.json"}))
    with pytest.raises(NmlBridgeError, match="leaves the folder"):
        read(index)


@pytest.mark.parametrize(
    ("shape", "share"), [("cuboid", 1.0), ("cylinder", np.pi / 4), ("ellipsoid", np.pi / 6)],
)  # fmt: skip
def test_a_density_fills_the_shape(shape: str, share: float) -> None:
    """The part of its box that a shape takes; half of it by its range of y."""
    params = {"shape": shape, "sizeX": 200, "sizeY": 300, "sizeZ": 100, "cellParams": {"E": {"secs": {"soma": SOMA}}},
              "popParams": {"A": {"cellType": "E", "density": 1e5, "ynormRange": [0.25, 0.75]}}}  # fmt: skip
    assert len(build(params, {"duration": 1}, Report()).cells) == int(1e5 * 0.2 * 0.3 * 0.1 * share * 0.5)
