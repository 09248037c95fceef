"""Models in NetPyNE's words, written for the tests: small networks, each with what its name says.

``SYNAPSES`` are their numbers of synapses, as NetPyNE's own tests expect them for models of the same parameters. (The
numbers of spikes that those expect belong to NEURON 8: with NEURON 9 NetPyNE itself has about one in a hundred more.)
"""

from __future__ import annotations

from typing import Any

from .netpyne_column import column

HH = {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}
BALL = {"geom": {"diam": 18.8, "L": 18.8, "Ra": 123.0}, "mechs": {"hh": HH}}
STICK = {
    "geom": {"diam": 5.0, "L": 150.0, "Ra": 150.0, "cm": 1},
    "topol": {"parentSec": "soma", "parentX": 1.0, "childX": 0}, "mechs": {"pas": {"g": 0.0000357, "e": -70}},
}  # fmt: skip
POINT = {
    "geom": {"diam": 10.0, "L": 10.0, "cm": 31.831},
    "pointps": {"izhikevich": {"mod": "Izhi2007b", "C": 1, "k": 0.7, "vr": -60, "vt": -40, "vpeak": 35, "a": 0.03,
                               "b": -2, "c": -50, "d": 100, "celltype": 1}},
}  # fmt: skip
IZHIKEVICH = """: regular spiking cell of Izhikevich (2007), Dynamical Systems in Neuroscience, chapter 8
NEURON {
    POINT_PROCESS Izhi2007b
    RANGE C, k, vr, vt, vpeak, a, b, c, d, celltype, u, last
    NONSPECIFIC_CURRENT i
}
PARAMETER { C = 100  k = 0.7  vr = -60 (mV)  vt = -40 (mV)  vpeak = 35 (mV)  a = 0.03  b = -2  c = -50  d = 100
            celltype = 1 }
ASSIGNED { v (mV)  i (nA)  u  last (ms) }
INITIAL {
    u = 0.2 * vr
    last = t
    net_send(0, 1)
}
BREAKPOINT {
    u = u + (t - last) * a * (b * (v - vr) - u)
    last = t
    i = -(k * (v - vr) * (v - vt) - u) / C / 1000
}
NET_RECEIVE (w) {
    if (flag == 1) {
        WATCH (v > vpeak) 2
        v = vr
    } else if (flag == 2) {
        net_event(t)
        v = c
        u = u + d
    }
}
"""

JUNCTION = """: a gap junction: a current in proportion to the difference of two voltages
NEURON { POINT_PROCESS Tunnel  NONSPECIFIC_CURRENT i  RANGE g, i, weight, other }
PARAMETER { v (mV)  other (mV)  g = 0.0001 (uS)  weight = 1 }
ASSIGNED { i (nA) }
BREAKPOINT { i = weight * g * (v - other) }
"""
GRADED = """: a graded synapse: open in proportion to the voltage of the cell before
NEURON { POINT_PROCESS Graded  NONSPECIFIC_CURRENT i  RANGE g, i, e, before }
PARAMETER { v (mV)  before (mV)  g = 0.001 (uS)  e = 0 (mV) }
ASSIGNED { i (nA) }
BREAKPOINT { i = g / (1 + exp(-(before + 30) / 4)) * (v - e) }
"""
MODS = {"izhikevich.mod": IZHIKEVICH, "junction.mod": JUNCTION, "graded.mod": GRADED}

SYNAPSES = {
    "one population": 1823, "two populations": 280, "dendrites": 243, "layers": 7096, "stimuli": 16, "inhibition": 2500,
    "point cells": 73, "hybrid": 356,
}  # fmt: skip


def two(cell: dict[str, Any], *, tau: tuple[float, float], **rule: Any) -> dict[str, Any]:
    """Two populations S and M of one kind of cell, with background noise and S -> M."""
    link = {"preConds": {"pop": "S"}, "postConds": {"pop": "M"}, "weight": 0.01, "delay": 5, "synMech": "exc"}
    return {
        "popParams": {name: {"cellType": "PYR", "numCells": 20} for name in "SM"},
        "cellParams": {"PYR": {"secs": cell}},
        "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": tau[0], "tau2": tau[1], "e": 0}},
        "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 10, "noise": 0.5}},
        "stimTargetParams": {"bkg->PYR": {"source": "bkg", "conds": {"cellType": "PYR"}, "weight": 0.01, "delay": 5,
                                          "synMech": "exc"}},
        "connParams": {"S->M": link | rule},
    }  # fmt: skip


def _point_cells() -> dict[str, Any]:
    model = two({}, tau=(1.0, 5.0), probability=0.1, weight=0.005, sec="dend", loc=1.0)
    model["cellParams"] = {"HH": {"secs": {"soma": BALL, "dend": STICK}}, "Izhi": {"secs": {"soma": POINT}}}
    model["popParams"] = {"S": {"cellType": "Izhi", "numCells": 20}, "M": {"cellType": "HH", "numCells": 20}}
    model["stimSourceParams"]["bkg"]["rate"] = 100
    model["stimTargetParams"]["bkg->PYR"]["conds"] = {"cellType": ["Izhi", "HH"]}
    return model


def _stimuli() -> dict[str, Any]:
    model = two({"soma": {"geom": {"diam": 18.8, "L": 18.8}, "mechs": {"hh": HH}}}, tau=(0.1, 5.0))
    for population in model["popParams"].values():
        population["cellModel"] = "HH"
    at = {"sec": "soma", "loc": 0.5}
    return model | {
        "connParams": {},
        "stimSourceParams": {
            "Input_1": {"type": "IClamp", "del": 300, "dur": 100, "amp": "uniform(0.4,0.5)"},
            "Input_2": {"type": "VClamp", "dur": [0, 50, 200], "amp": [-60, -30, 40], "gain": 1e5, "rstim": 1,
                        "tau1": 0.1, "tau2": 0},
            "Input_3": {"type": "AlphaSynapse", "onset": "uniform(300,600)", "tau": 5, "gmax": "post_ynorm", "e": 0},
            "Input_4": {"type": "NetStim", "interval": "uniform(20,100)", "start": 600, "noise": 0.1},
        },
        "stimTargetParams": {
            "Input_1->S": at | {"source": "Input_1", "loc": 0.8, "conds": {"pop": "S", "cellList": list(range(15))}},
            "Input_2->S": at | {"source": "Input_2", "conds": {"pop": "S", "ynorm": [0, 0.5]}},
            "Input_3->M1": at | {"source": "Input_3", "loc": 0.2,
                                 "conds": {"pop": "M", "cellList": [2, 4, 5, 8, 10, 15, 19]}},
            "Input_4->PYR": at | {"source": "Input_4", "weight": "0.1+normal(0.2,0.05)", "delay": 1,
                                  "conds": {"cellType": "PYR", "ynorm": [0.6, 1.0]}},
        },
    }  # fmt: skip


def _layers() -> dict[str, Any]:
    depths = {"2": {"yRange": [100, 300]}, "4": {"yRange": [300, 600]}, "5": {"ynormRange": [0.6, 1.0]}}
    soma = {
        "E": {"geom": {"diam": 15, "L": 14, "Ra": 120.0}, "mechs": {"hh": HH | {"gnabar": 0.13}}},
        "I": {"geom": {"diam": 10.0, "L": 9.0, "Ra": 110.0}, "mechs": {"hh": HH | {"gnabar": 0.11}}},
    }
    return {
        "sizeX": 100, "sizeY": 1000, "sizeZ": 100, "propVelocity": 100.0, "probLengthConst": 150.0,
        "popParams": {f"{kind}{layer}": {"cellType": kind, "numCells": 50} | depth
                      for layer, depth in depths.items() for kind in "EI"},
        "cellParams": {f"{kind}rule": {"conds": {"cellType": kind}, "secs": {"soma": soma[kind]}} for kind in "EI"},
        "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": 0.8, "tau2": 5.3, "e": 0},
                          "inh": {"mod": "Exp2Syn", "tau1": 0.6, "tau2": 8.5, "e": -75}},
        "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 20, "noise": 0.3}},
        "stimTargetParams": {"bkg->all": {"source": "bkg", "conds": {"cellType": ["E", "I"]}, "weight": 0.01,
                                          "delay": "max(1, normal(5,2))", "synMech": "exc"}},
        "connParams": {
            "E->all": {"preConds": {"cellType": "E"}, "postConds": {"y": [100, 1000]}, "probability": 0.1,
                       "weight": "0.005*post_ynorm", "delay": "dist_3D/propVelocity", "synMech": "exc"},
            "I->E": {"preConds": {"cellType": "I"}, "postConds": {"pop": ["E2", "E4", "E5"]},
                     "probability": "0.4*exp(-dist_3D/probLengthConst)", "weight": 0.001,
                     "delay": "dist_3D/propVelocity", "synMech": "inh"},
        },
    }  # fmt: skip


def _one_population() -> dict[str, Any]:
    return {
        "popParams": {"PYR": {"cellType": "PYR", "numCells": 200}},
        "cellParams": {"PYR": {"secs": {"soma": BALL | {"vinit": -71}}}},
        "synMechParams": {"AMPA": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0, "e": 0}},
        "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 10, "noise": 0.5, "start": 1}},
        "stimTargetParams": {"bkg->PYR": {"source": "bkg", "conds": {"pop": "PYR"}, "weight": 0.1,
                                          "delay": "uniform(1,5)"}},
        "connParams": {"PYR->PYR": {"preConds": {"pop": "PYR"}, "postConds": {"pop": "PYR"}, "weight": 0.002,
                                    "delay": "0.2+normal(13.0,1.4)", "threshold": 10, "convergence": "uniform(1,15)"}},
    }  # fmt: skip


def _inhibition() -> dict[str, Any]:
    synapse = {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0}
    return {
        "popParams": {"hop": {"cellType": "PYR", "cellModel": "HH", "numCells": 50}},
        "cellParams": {"PYR": {"secs": {"soma": {"geom": {"diam": 18.8, "L": 160}, "mechs": {"hh": HH}}}}},
        "synMechParams": {"exc": synapse | {"e": 0}, "inh": synapse | {"e": -80}},
        "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 50, "noise": 0.5}},
        "stimTargetParams": {"bkg->all": {"source": "bkg", "conds": {"pop": "hop"}, "weight": 0.1, "delay": 1,
                                          "synMech": "exc"}},
        "connParams": {"hop->hop": {"preConds": {"pop": "hop"}, "postConds": {"pop": "hop"}, "weight": 0.5,
                                    "synMech": "inh", "delay": 5}},
    }  # fmt: skip


def _hybrid() -> dict[str, Any]:
    soma = {"geom": {"diam": 6.3, "L": 5, "Ra": 123.0, "pt3d": [[0, 0, 0, 20], [0, 0, 20, 20]]}, "mechs": {"hh": HH}}
    drive = {"source": "bkg", "weight": 1, "delay": "uniform(1,5)", "synMech": "AMPA"}
    both = {"cellType": ["PYR_HH", "PYR_Izhi"]}
    return {
        "popParams": {f"{kind}_pop": {"cellType": kind, "numCells": 50} for kind in both["cellType"]},
        "cellParams": {"PYR_HH": {"secs": {"soma": soma, "dend": STICK}}, "PYR_Izhi": {"secs": {"soma": POINT}}},
        "synMechParams": {"AMPA": {"mod": "ExpSyn", "tau": 0.1, "e": 0}},
        "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 10, "noise": 0.5}},
        "stimTargetParams": {"bg->Izhi": drive | {"conds": {"cellType": "PYR_Izhi"}},
                             "bg->HH": drive | {"conds": {"cellType": "PYR_HH"}, "sec": "dend", "loc": 1.0}},
        "connParams": {"PYR->PYR": {"preConds": both, "postConds": both, "weight": 0.2,
                                    "delay": "0.2+normal(13.0,1.4)", "threshold": 10, "convergence": "uniform(0,5)",
                                    "synMech": "AMPA"}},
    }  # fmt: skip


def _subcellular() -> dict[str, Any]:
    """Synapses over the trees of cells in three dimensions: spread, drawn, and moved by rules of all kinds."""
    pas = {"pas": {"g": 0.00003, "e": -70}}
    at_end = {"parentSec": "soma", "parentX": 1.0, "childX": 0}
    secs: dict[str, Any] = {
        "soma": {"geom": {"diam": 12, "L": 12, "Ra": 120.0, "cm": 1, "nseg": 1,
                          "pt3d": [[0, 0, 0, 12], [0, 12, 0, 12]]},
                 "mechs": {"hh": HH}, "weightNorm": [1.0]},
        "basal": {"geom": {"diam": 2, "L": 141.4, "Ra": 120.0, "cm": 1, "nseg": 3,
                           "pt3d": [[0, 0, 0, 2], [70.7, -60, 20, 2], [100.3, -100.1, 0, 1]]},
                  "topol": at_end | {"parentX": 0.0}, "mechs": pas, "weightNorm": [1.1, 1.2, 1.4]},
        "apical": {"geom": {"diam": 3, "L": 300, "Ra": 120.0, "cm": 1, "nseg": 5,
                            "pt3d": [[0, 12, 0, 3], [0, 150, 10, 3], [5, 312, 0, 2]]},
                   "topol": at_end, "mechs": pas, "weightNorm": [1.1, 1.3, 1.5, 1.7, 2.0]},
        "tuft": {"geom": {"diam": 1, "L": 100, "Ra": 120.0, "cm": 1, "nseg": 2,
                          "pt3d": [[5, 312, 0, 1], [40, 400, 7, 1]]},
                 "topol": {"parentSec": "apical", "parentX": 1.0, "childX": 0}, "mechs": pas, "weightNorm": [2.2, 2.5]},
    }  # fmt: skip
    tree = ["basal", "apical", "tuft"]
    pair = {"synMech": ["AMPA", "NMDA"], "weight": [0.0004, 0.0002], "delay": "2+dist_3D/propVelocity", "sec": "spiny"}
    grid = list(range(100, -900, -50))

    def rule(pre: str, **more: Any) -> dict[str, Any]:
        return {"preConds": {"pop": pre}, "postConds": {"pop": "P"}} | more

    def moved(pre: str, density: Any, **more: Any) -> dict[str, Any]:
        return {"preConds": {"pop": pre}, "postConds": {"cellType": "T"}, "sec": "spiny", "density": density} | more

    return {
        "sizeX": 200, "sizeY": 600, "sizeZ": 200,
        "popParams": {"P": {"cellType": "T", "numCells": 6}}
        | {name: {"cellType": "S", "numCells": 7} for name in ("A", "B", "C", "D", "F")}
        | {"N": {"cellModel": "NetStim", "numCells": 12, "rate": 60, "noise": 1}},
        "cellParams": {"T": {"secs": secs, "secLists": {"spiny": tree}}, "S": {"secs": {"soma": BALL}}},
        "synMechParams": {"AMPA": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 2, "e": 0},
                          "NMDA": {"mod": "Exp2Syn", "tau1": 3, "tau2": 50, "e": 0},
                          "GABA": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 10, "e": -80}},
        "connParams": {
            "A->P": rule("A", probability=0.7, synsPerConn=5, **pair),
            "B->P": rule("B", convergence=4, synsPerConn=3, **pair),
            "C->P": rule("C", probability="0.9*exp(-dist_3D/400)", synMech="GABA", weight=0.001, delay=1, sec="spiny",
                         synsPerConn=4, distributeSynsUniformly=False),
            "D->P": rule("D", probability=0.6, synMech="GABA", weight=0.001, delay=1, sec=["soma", "apical"],
                         loc=[0.5, 0.7]),
            "F->P": rule("F", probability=0.6, synMech="AMPA", weight=0.001, delay=1, sec="apical", loc=0.25),
            "N->P": rule("N", probability=0.9, synsPerConn=2, **pair),
        },
        "subConnParams": {
            "even": moved("A", "uniform", groupSynMechs=["AMPA", "NMDA"]),
            "deep": moved("B", {"type": "1Dmap", "gridX": None, "gridY": grid, "fixedSomaY": -300,
                                "gridValues": [0.1 + (n % 7) * 0.3 for n in range(len(grid))]},
                          groupSynMechs=["AMPA", "NMDA"]),
            "flat": moved("C", {"type": "2Dmap", "gridX": [-300, -100, 0, 100, 300, 500], "gridY": grid,
                                "gridValues": [[(n + m) % 5 + 0.5 for n in range(len(grid))] for m in range(6)]}),
            "far": moved("D", {"type": "distance", "ref_sec": "soma", "ref_seg": 0.5, "target_distance": 250}),
            "near": moved("F", {"type": "distance", "ref_sec": "soma", "ref_seg": 0.5, "target_distance": 120,
                                "coord": "cartesian"}),
        },
    }  # fmt: skip


def _varied() -> dict[str, Any]:
    """Functions wherever NetPyNE takes them: along a cell, for each synapse, for each cell; cells that are turned."""
    model = _subcellular()
    secs = model["cellParams"]["T"]["secs"]
    secs["apical"]["mechs"] = {"pas": {"g": "3e-5*exp(-dist_path/200)", "e": "normal(-70, 1)"}}
    secs["tuft"]["mechs"] = {"pas": {"g": "2e-5 + dist_euclidean*1e-8", "e": -70}}
    secs["soma"]["mechs"] = {"hh": HH | {"gnabar": "0.12 + 0.001*ynorm"}}
    synapses = {
        "AMPA": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": "2 + 3*post_ynorm", "e": 0},
        "NMDA": {"mod": "Exp2Syn", "tau1": "uniform(2, 4)", "tau2": "40 + post_dist_path/20", "e": "post_ynorm - 1"},
        "GABA": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": "uniform(8, 12)", "e": -80},
    }
    noise = {"source": "noise", "conds": {"pop": "P"}, "sec": "tuft", "loc": 0.7, "weight": 0.0005, "delay": 1,
             "synMech": "NMDA"}  # fmt: skip
    return model | {
        "synMechParams": synapses, "rotateCellsRandomly": True,
        "stimSourceParams": {"noise": {"type": "NetStim", "rate": 80, "noise": 1}},
        "stimTargetParams": {"noise": noise},
    }  # fmt: skip


def _junctions() -> dict[str, Any]:
    """Cells that see each other's voltage: in dendrites, both ways and one way."""
    rule = {"preConds": {"pop": "A"}, "postConds": {"pop": "B"}}
    return {
        "popParams": {name: {"cellType": "PYR", "numCells": 4} for name in "ABC"},
        "cellParams": {"PYR": {"secs": {"soma": BALL, "dend": STICK}}},
        "synMechParams": {
            "gap": {"mod": "Tunnel", "g": 0.005, "pointerParams": {"target_var": "other"}},
            "graded": {"mod": "Graded", "g": 0.02, "pointerParams": {"target_var": "before", "source_var": "v",
                                                                      "bidirectional": False}},
            "exc": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 5.0, "e": 0},
        },
        "stimSourceParams": {"step": {"type": "IClamp", "del": 5, "dur": 100, "amp": "1.0+post_ynorm"},
                             "noise": {"type": "NetStim", "rate": 40, "noise": 1}},
        "stimTargetParams": {"step": {"source": "step", "conds": {"pop": "A"}, "sec": "soma", "loc": 0.5},
                             "noise": {"source": "noise", "conds": {"pop": "C"}, "sec": "soma", "loc": 0.5,
                                       "weight": 0.05, "delay": 1, "synMech": "exc"}},
        "connParams": {
            "A-B": rule | {"probability": 0.6, "weight": 3.0, "synMech": "gap", "sec": "dend", "loc": 0.7,
                           "preSec": "dend", "preLoc": 0.2},
            "B->C": rule | {"preConds": {"pop": "B"}, "postConds": {"pop": "C"}, "convergence": 2, "weight": 1.0,
                            "synMech": "graded", "sec": "soma", "loc": 0.5},
        },
    }  # fmt: skip


MODELS: dict[str, dict[str, Any]] = {
    "one population": _one_population(),
    "two populations": two({"soma": BALL}, tau=(0.1, 5.0), convergence=12),
    "dendrites": two({"soma": BALL, "dend": STICK}, tau=(1.0, 5.0), probability=0.5, sec="dend", loc=1.0),
    "layers": _layers(),
    "stimuli": _stimuli(),
    "inhibition": _inhibition(),
    "point cells": _point_cells(),
    "hybrid": _hybrid(),
    "subcellular": _subcellular(),
    "varied": _varied(),
    "junctions": _junctions(),
    "column": column(),
}
DURATIONS = {"one population": 120, "layers": 50, "stimuli": 700, "inhibition": 100, "hybrid": 200}
CONFIGS: dict[str, dict[str, Any]] = {
    name: {"duration": DURATIONS.get(name, 150), "dt": 0.025, "recordStep": 1,
           "seeds": {"conn": 1, "stim": 1, "loc": 1}}
    for name in MODELS
}  # fmt: skip
