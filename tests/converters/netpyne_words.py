"""Models in NetPyNE's words for what few models use, each run by NetPyNE itself in the same session; and mod files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from nmlbridge.simulator.neuron.compile import compile_mods

HH = {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}
SOMA = {"geom": {"diam": 18.8, "L": 18.8, "Ra": 123.0}, "mechs": {"hh": HH}}
DEND = {
    "geom": {"diam": 5.0, "L": 150.0, "Ra": 150.0, "cm": 1, "nseg": 3},
    "topol": {"parentSec": "soma", "parentX": 1.0, "childX": 0}, "mechs": {"pas": {"g": 0.0000357, "e": -70}},
}  # fmt: skip
CELL = {"secs": {"soma": SOMA, "dend": DEND}}
EXC = {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 5.0, "e": 0}

TRAIN = """: sends the events that a vector holds
NEURON { ARTIFICIAL_CELL VecStim  POINTER vector }
ASSIGNED { next  due (ms)  vector }
INITIAL {
    next = 0
    take()
    if (next > 0) { net_send(due - t, 1) }
}
NET_RECEIVE (w) {
    if (flag == 1) {
        net_event(t)
        take()
        if (next > 0) { net_send(due - t, 1) }
    }
}
PROCEDURE take() {
VERBATIM
    {
        auto* held = static_cast<IvocVect*>(static_cast<void*>(_p_vector));
        int at = static_cast<int>(next);
        if (held && at >= 0 && at < vector_capacity(held)) {
            due = vector_vec(held)[at];
            next = at + 1;
        } else {
            next = -1;
        }
    }
ENDVERBATIM
}
PROCEDURE play() {
VERBATIM
    _p_vector = ifarg(1) ? static_cast<void*>(vector_arg(1)) : nullptr;
ENDVERBATIM
}
"""
STDP = """: pairs of spikes: told of those before by a weight of 1, of those after by a weight of -1
NEURON {
    POINT_PROCESS STDP
    POINTER synweight
    RANGE up, down, tau, most, before, after
}
PARAMETER { up = 0.0005  down = 0.0004  tau = 15 (ms)  most = 0.02 }
ASSIGNED { synweight  before (ms)  after (ms) }
INITIAL { before = -1e9  after = -1e9 }
BREAKPOINT { }
NET_RECEIVE (w) {
    if (w > 0) {
        before = t
        synweight = synweight - down * exp(-(t - after) / tau)
    } else {
        after = t
        synweight = synweight + up * exp(-(t - before) / tau)
    }
    if (synweight > most) { synweight = most }
    if (synweight < 0) { synweight = 0 }
}
"""
NSLOC = """: a source whose interval may be changed while it runs; its noise comes from a Random that is handed to it
NEURON {
    ARTIFICIAL_CELL NSLOC
    RANGE interval, number, start, noise, sent
    POINTER drawn
}
PARAMETER { interval = 100 (ms)  number = 3000  start = 1 (ms)  noise = 0 }
ASSIGNED { drawn  sent  begun (ms)  draw }
INITIAL {
    sent = 0
    begun = 0
    draw = exponential()
    net_send(start, 1)
}
NET_RECEIVE (w) {
    if (flag == 1) {
        if (sent < number && (t - begun) * 200 >= interval * (1 - noise + noise * draw)) {
            net_event(t)
            sent = sent + 1
            begun = t
            draw = exponential()
        }
        net_send(1, 1)
    }
}
FUNCTION exponential() {
VERBATIM
    _lexponential = _p_drawn ? nrn_random_pick(reinterpret_cast<Rand*>(_p_drawn)) : 1.0;
ENDVERBATIM
}
PROCEDURE noiseFromRandom() {
VERBATIM
    _p_drawn = ifarg(1) ? static_cast<void*>(nrn_random_arg(1)) : nullptr;
ENDVERBATIM
}
"""
SATURATING = """: opens to the same conductance with each event, whatever was open before
NEURON {
    POINT_PROCESS Saturating
    RANGE tau, e, g
    NONSPECIFIC_CURRENT i
}
PARAMETER { tau = 5 (ms)  e = 0 (mV) }
ASSIGNED { v (mV)  i (nA)  g (uS) }
STATE { open (uS) }
INITIAL { open = 0 }
BREAKPOINT {
    SOLVE states METHOD cnexp
    g = open
    i = g * (v - e)
}
DERIVATIVE states { open' = -open / tau }
NET_RECEIVE (w (uS)) { open = w }
"""
MODS = {"saturating.mod": SATURATING, "train.mod": TRAIN, "stdp.mod": STDP, "nsloc.mod": NSLOC}


def rule(pre: Any, post: Any, **more: Any) -> dict[str, Any]:
    """A rule between populations."""
    conditions = {"preConds": {"pop": pre}, "postConds": {"pop": post}}
    return conditions | {"weight": 0.004, "delay": 2.0, "synMech": "exc"} | more


def noise(pop: Any, rate: float = 60) -> dict[str, Any]:
    """Noise of a NetStim on the somata of a population."""
    return {
        "stimSourceParams": {"noise": {"type": "NetStim", "rate": rate, "noise": 1}},
        "stimTargetParams": {"noise": {"source": "noise", "conds": {"pop": pop}, "sec": "soma", "loc": 0.5,
                                       "weight": 0.02, "delay": 1, "synMech": "exc"}},
    }  # fmt: skip


def _drives() -> dict[str, Any]:
    patterns: dict[str, dict[str, Any]] = {
        "evoked": {"type": "evoked", "start": 30, "startStd": 9, "numspikes": 7},
        "still": {"type": "evoked", "start": 20, "startStd": 0, "numspikes": 2},
        "together": {"type": "evoked", "start": 50, "startStd": 25, "numspikes": 4, "sync": True},
        "rhythm": {"type": "rhythmic", "start": 5, "startStd": 4, "stop": 140, "freq": 30, "freqStd": 3, "repeats": 2},
        "beat": {"type": "rhythmic", "start": -1, "startMin": 2, "startMax": 20, "tstop": 140, "freq": 40,
                 "eventsPerCycle": 1},
        "even": {"type": "rhythmic", "start": 10, "stop": 120, "freq": 20, "repeats": 3, "distribution": "uniform"},
        "poisson": {"type": "poisson", "start": 5, "stop": -1, "frequency": 80},
        "gauss": {"type": "gauss", "mu": 60, "sigma": 400},
    }
    pops: dict[str, Any] = {name: {"cellModel": "VecStim", "numCells": 2, "spikePattern": pattern}
                            for name, pattern in patterns.items()}  # fmt: skip
    pops["pulses"] = {"cellModel": "VecStim", "numCells": 3, "rate": [20, 60], "noise": 0.5, "pulses": [
        {"start": 40, "end": 90, "rate": [100, 200], "noise": 1.0}, {"start": 100, "end": 120, "interval": 4}]}
    pops["P"] = {"cellType": "P", "numCells": 5}
    return {
        "popParams": pops, "cellParams": {"P": CELL}, "synMechParams": {"exc": EXC},
        "connParams": {name: rule(name, "P", weight=0.006, delay="1+post_ynorm") for name in pops if name != "P"},
    }  # fmt: skip


def _border() -> dict[str, Any]:
    return {
        "sizeX": 200, "sizeY": 400, "sizeZ": 200, "length": 80.0,
        "correctBorder": {"threshold": [60, 50, 40], "yborders": [0.1, 0.6]},
        "popParams": {"A": {"cellType": "P", "numCells": 15, "ynormRange": [0.1, 0.6]},
                      "B": {"cellType": "P", "numCells": 15, "zRange": [50, 150]}},
        "cellParams": {"P": CELL}, "synMechParams": {"exc": EXC}, **noise(["A", "B"]),
        "connParams": {
            "near": rule(["A", "B"], ["A", "B"], probability="0.6*exp(-dist_3D_border/length)", weight=0.001),
            "listed": rule("A", "B", connList=[[0, 1], [2, 3]], loc=[0.2, 0.9], sec=["dend", "soma"]),
            "itself": rule("A", "A", connList=[[0, 0], [1, 2], [3, 3]]),
        },
    }  # fmt: skip


def _plastic() -> dict[str, Any]:
    learns = {"mech": "STDP", "params": {"up": 0.002, "most": 0.03}}
    return {
        "popParams": {"A": {"cellType": "P", "numCells": 6}, "B": {"cellType": "P", "numCells": 4}},
        "cellParams": {"P": CELL}, "synMechParams": {"exc": EXC, "slow": EXC | {"tau2": 20.0}}, **noise("A", 100),
        "connParams": {
            "A->B": rule("A", "B", probability=0.7, weight=0.008, plast=learns, sec="dend", loc=0.4),
            "B->A": rule("B", "A", convergence=2, synMech=["exc", "slow"], weight=[0.002, 0.001],
                         plast={"mech": "STDP", "params": {}}),
        },
    }  # fmt: skip


def _imposed() -> dict[str, Any]:
    points = {"soma": [[0, 0, 0, 18], [0, 18, 0, 18]], "dend": [[0, 18, 0, 4], [30, 90, 10, 3], [40, 200, 0, 2]]}
    drawn = {name: sec | {"geom": {**sec["geom"], "pt3d": points[name]}} for name, sec in CELL["secs"].items()}
    wave = {"type": "sinusoidal", "amp": 0.02, "del": 20, "dur": 80, "freq": 60}
    return {
        "sizeX": 200, "sizeY": 300, "sizeZ": 200,
        "popParams": {"A": {"cellType": "P", "numCells": 3}, "B": {"cellType": "D", "numCells": 3},
                      "N": {"cellModel": "NetStim", "numCells": 2, "rate": 50}},
        "cellParams": {"P": CELL, "D": {"secs": drawn}}, "synMechParams": {"exc": EXC}, **noise([]),
        "connParams": {"N->A": rule("N", ["A", "B"], weight=0.01, delay="1+2*post_xnorm")},
        "stimSourceParams": {
            "electrode": {"type": "XStim", "waveform": wave,
                          "field": {"class": "pointSource", "location": [60, -150, 90], "sigma": 0.276}},
            "plates": {"type": "XStim", "field": {"class": "uniform", "referencePoint": [100, -100, 0],
                                                  "fieldDirection": [30, 160]},
                       "waveform": {"type": "pulse", "amp": 40.0, "del": 60, "dur": 30}},
            "given": {"type": "XStim", "field": {"class": "uniform"},
                      "waveform": {"type": "external", "time": [0.025 * step for step in range(4000)],
                                   "signal": [step / 200 for step in range(4000)]}},
        },
        "stimTargetParams": {
            "ramp": {"source": "given", "conds": {"pop": "B"}},
            "near": {"source": "electrode", "conds": {"pop": ["A", "B"]}},
            "all": {"source": "plates", "conds": {"pop": ["A", "B", "N"]}},
        },
    }  # fmt: skip


def _shaped() -> dict[str, Any]:
    """Weights and rates that change in time."""
    steps = {"rates": [20, 0, 150, 60], "times": [0, 30, 60, 100]}
    own = {"rates": [[30, 90], [0, 200]], "times": [0, 75]}
    source = {"cellModel": "NetStim", "noise": 0.7, "start": 0}
    gauss = {"pulseType": "gaussian", "pulseWidth": 20, "pulsePeriod": 35, "switchOnOff": [10, 60, 80]}
    return {
        "popParams": {"S": source | {"numCells": 3, "rate": 40, "dynamicRates": steps},
                      "T": source | {"numCells": 2, "rate": 50, "dynamicRates": own},
                      "U": source | {"numCells": 2, "rates": [[100, 10], [0, 50]]},
                      "V": source | {"numCells": 2, "rate": 80},
                      "P": {"cellType": "P", "numCells": 4}, "Q": {"cellType": "P", "numCells": 3}},
        "cellParams": {"P": CELL}, "synMechParams": {"exc": EXC},
        "stimSourceParams": {"noise": {"type": "NetStim", "rate": 90, "noise": 1, "shape": {
            "pulseType": "square", "pulseWidth": 15, "pulsePeriod": 40}}},
        "stimTargetParams": {"noise": {"source": "noise", "conds": {"pop": "Q"}, "sec": "soma", "loc": 0.5,
                                       "weight": "0.02+0.01*uniform(0,1)", "delay": 1, "synMech": "exc"}},
        "connParams": {
            **{f"{pop}->P": rule(pop, "P", weight=0.006, delay=1.5) for pop in "STU"},
            "V->P": rule("V", "P", weight="0.01+0.01*post_ynorm", shape=gauss, synsPerConn=2, sec="dend"),
            "P->Q": rule("P", "Q", weight=0.01, shape={"switchOnOff": [0, 50]}),
        },
    }  # fmt: skip


def _changing() -> dict[str, Any]:
    """NetStims whose rates may be changed while the network runs: their mechanism is one of the model's mod files."""
    to = {"sec": "soma", "loc": 0.5, "weight": 0.02, "synMech": "exc"}
    return {
        "popParams": {"A": {"cellType": "P", "numCells": 5}, "B": {"cellType": "P", "numCells": 6}},
        "cellParams": {"P": CELL}, "synMechParams": {"exc": EXC},
        "stimSourceParams": {
            "even": {"type": "NetStim", "rate": "variable", "noise": 0, "start": 40},
            "noisy": {"type": "NetStim", "rate": "variable", "noise": 0.9, "number": 5, "seed": 7},
            "usual": {"type": "NetStim", "rate": 30, "noise": 0.5},
        },
        "stimTargetParams": {
            "even": {"source": "even", "conds": {"pop": "A"}, **to, "delay": "1+uniform(0,5)"},
            "noisy": {"source": "noisy", "conds": {"pop": "B"}, **to, "delay": 2},
            "usual": {"source": "usual", "conds": {"pop": "B"}, **to, "delay": 3, "sec": "dend"},
        },
        "connParams": {"A->B": rule("A", "B", probability=0.5)},
    }  # fmt: skip


def _functions() -> dict[str, Any]:
    """Artificial cells with functions of their places and random ones."""
    to = {"weight": 0.6, "synMech": None}
    return {
        "popParams": {
            "S": {"cellModel": "NetStim", "numCells": 3, "interval": "10+x*0.2+uniform(0,5)", "noise": 0.2,
                  "start": "ynorm*10"},
            "R": {"cellModel": "NetStim", "numCells": 2, "rate": "30+uniform(0,50)", "noise": 0.5},
            "L": {"cellModel": "NetStim", "numCells": 2, "rate": [20, 60], "noise": 0.5},
            "F": {"cellModel": "IntFire1", "numCells": 3, "tau": "10+uniform(0,10)", "refrac": "2+xnorm"},
            "T": {"cellType": "T", "numCells": 2}, "P": {"cellType": "P", "numCells": 4},
        },
        "cellParams": {"P": CELL, "T": {"cellModel": "IntFire2", "params": {"taum": "5+uniform(0,5)", "ib": 0.2,
                                                                            "taus": "20+uniform(0,5)"}}},
        "synMechParams": {"exc": EXC},
        "connParams": {**{f"{pop}->P": rule(pop, "P", weight=0.01) for pop in "SRL"},
                       "S->F": rule("S", "F", **to), "R->T": rule("R", "T", **to)},
    }  # fmt: skip


def _together() -> dict[str, Any]:
    """Connections that share a synapse at one place, with simConfig.oneSynPerNetcon false."""
    slow = {"mod": "Saturating", "tau": "20+uniform(0,10)", "e": 0}
    return {
        "popParams": {"N": {"cellModel": "NetStim", "numCells": 8, "rate": 90, "noise": 0.8},
                      "A": {"cellType": "P", "numCells": 4}, "B": {"cellType": "P", "numCells": 3}},
        "cellParams": {"P": CELL},
        "synMechParams": {"open": {"mod": "Saturating", "tau": 4, "e": 0}, "slow": slow, "exc": EXC},
        "stimSourceParams": {"noise": {"type": "NetStim", "rate": 200, "noise": 1}},
        "stimTargetParams": {"noise": {"source": "noise", "conds": {"pop": "B"}, "sec": "soma", "loc": 0.5,
                                       "weight": 0.01, "delay": 1, "synMech": "open"}},
        "connParams": {"N->A": rule("N", "A", weight="0.002+0.001*uniform(0,1)", synMech="open", sec="soma", loc=0.5),
                       "N->B": rule("N", "B", weight=0.001, synMech=["exc", "slow"], sec="dend", loc=0.4),
                       "A->B": rule("A", "B", weight=0.006, synMech="open", sec="soma", loc=0.5),
                       "B->A": rule("B", "A", weight=0.001, synMech="slow", sec="dend", synsPerConn=2)},
    }  # fmt: skip


MODELS: dict[str, dict[str, Any]] = {
    "together": _together(),
    "functions": _functions(),
    "changing": _changing(), "shaped": _shaped(), "imposed": _imposed(), "drives": _drives(), "border": _border(),
    "plastic": _plastic(),
}  # fmt: skip
CONFIG: dict[str, Any] = {"duration": 150, "dt": 0.025, "recordStep": 0.5, "recordCells": ["all"],
                          "recordTraces": {"V": {"sec": "soma", "loc": 0.5, "var": "v"}}}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = dict.fromkeys(MODELS, CONFIG)
CONFIGS["together"] = CONFIG | {"oneSynPerNetcon": False, "recordTraces": CONFIG["recordTraces"] | {
    "g": {"sec": "soma", "loc": 0.5, "synMech": "open", "var": "g"}}}  # fmt: skip

REFERENCE = """
import json, sys
import numpy
from netpyne import sim, specs
asked = json.load(open(sys.argv[1]))
assert sim.h.nrn_load_dll(asked["library"])
found = {}
for name, params in asked["models"].items():
    config = specs.SimConfig(asked["configs"][name])
    config.saveJson = config.savePickle = False
    for source in params.get("stimSourceParams", {}).values():  # arrays, as a script would have them
        for word in ("time", "signal"):
            if word in source.get("waveform", {}):
                source["waveform"][word] = numpy.array(source["waveform"][word])
    sim.create(simConfig=config, netParams=specs.NetParams(params))
    sim.runSim()
    connections = [[c.gid, k["preGid"], k.get("sec"), k.get("loc"), float(k["weight"]), float(k["delay"]),
                    k["hObj"].weight[0] if k.get("hObj") is not None and k["preGid"] != "NetStim" else None]
                   for c in sim.net.cells for k in c.conns]
    trains = {c.gid: list(c.hSpkTimes) for c in sim.net.cells if c.tags.get("cellModel") == "VecStim"}
    sim.gatherData()
    found[name] = {
        "connections": connections, "trains": trains,
        "spikes": sorted(zip(sim.allSimData["spkt"], map(int, sim.allSimData["spkid"]))),
        "traces": {label: {cell: list(trace) for cell, trace in sim.allSimData[label].items()}
                   for label in config.recordTraces},
    }
    sim.clearAll()
json.dump(found, open("found.json", "w"))
"""


def ask_netpyne(
    folder: Path, script: str, models: dict[str, Any], configs: dict[str, Any], mods: dict[str, str], **more: Any
) -> dict[str, Any]:
    """What a script, which reads asked.json and writes found.json, finds with NetPyNE; the models as JSON, with their
    mod files, are in the folder then."""
    asked = {"models": models, "configs": configs, "library": str(compile_mods(mods)), **more}
    (folder / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run([sys.executable, "-c", script, "asked.json"], capture_output=True, text=True, cwd=folder,
                          check=False)  # fmt: skip
    assert (folder / "found.json").exists(), done.stdout[-2000:] + done.stderr[-3000:]
    (folder / "mod").mkdir()
    for name, text in mods.items():
        (folder / "mod" / name).write_text(text)
    for name in models:
        one = {"net": {"params": models[name]}, "simConfig": configs[name]}
        (folder / f"{name}.json").write_text(json.dumps(one))
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def in_netpyne(folder: Path) -> dict[str, Any]:
    """What NetPyNE makes and sees of the models; the models as JSON, with their mod files, are in the folder then."""
    return ask_netpyne(folder, REFERENCE, MODELS, CONFIGS, MODS)
