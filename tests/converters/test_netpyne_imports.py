"""importCellParams: cells of hoc, Python and SWC with mod files, as NetPyNE has them, and as they are in NEURON."""

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
from nmlbridge.builder import Specification, build
from nmlbridge.graph import NativeCell
from nmlbridge.nmodl.files import global_parameters
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.compile import compile_mods

from .netpyne_models import IZHIKEVICH

pytestmark = [
    pytest.mark.neuron,
    pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)"),
]

FAST = """: a sodium channel
NEURON { SUFFIX fast  USEION na READ ena WRITE ina  RANGE gmax, g  GLOBAL vhalf }
UNITS { (mV) = (millivolt) (mA) = (milliamp) }
PARAMETER { gmax = 0.1 (mho/cm2)  vhalf = -38 (mV) }
ASSIGNED { v (mV)  ena (mV)  ina (mA/cm2)  g (mho/cm2) }
STATE { m h }
INITIAL { m = 1 / (1 + exp(-(v - vhalf) / 7))  h = 1 / (1 + exp((v + 60) / 6)) }
BREAKPOINT { SOLVE gates METHOD cnexp
  g = gmax * m^3 * h  ina = g * (v - ena) }
DERIVATIVE gates { m' = (1 / (1 + exp(-(v - vhalf) / 7)) - m) / 0.1
  h' = (1 / (1 + exp((v + 60) / 6)) - h) / 1.5 }
"""
SLOW = """: a potassium channel that calcium opens
NEURON { SUFFIX slow  USEION k READ ek WRITE ik  USEION ca READ cai  RANGE gmax }
UNITS { (mV) = (millivolt) (mA) = (milliamp) (mM) = (milli/liter) }
PARAMETER { gmax = 0.02 (mho/cm2) }
ASSIGNED { v (mV)  ek (mV)  ik (mA/cm2)  cai (mM) }
STATE { n }
INITIAL { n = 1 / (1 + exp(-(v + 30) / 9)) }
BREAKPOINT { SOLVE gates METHOD cnexp
  ik = gmax * (n^2 + cai / (cai + 0.01)) * (v - ek) }
DERIVATIVE gates { n' = (1 / (1 + exp(-(v + 30) / 9)) - n) / 2 }
"""
POOL = """: calcium that flows in and is taken out
NEURON { SUFFIX pool  USEION ca READ eca, ica WRITE cai, ica  RANGE tau, gca, depth }
UNITS { (mV) = (millivolt) (mA) = (milliamp) (mM) = (milli/liter) }
PARAMETER { tau = 40 (ms)  gca = 0.0005  depth = 0.2 }
ASSIGNED { v (mV)  eca (mV)  ica (mA/cm2) }
STATE { cai (mM) }
INITIAL { cai = 1e-4 }
BREAKPOINT { SOLVE flow METHOD cnexp
  ica = gca / (1 + exp(-(v + 20) / 5)) * (v - eca) }
DERIVATIVE flow { cai' = -ica / depth * 0.05 + (1e-4 - cai) / tau }
"""
SPARK = """: a spike of its own when the voltage passes a threshold: a conductance that opens and closes
NEURON { POINT_PROCESS Spark  NONSPECIFIC_CURRENT i  RANGE vth, top, rest, gopen, ghold, e, tau, now }
PARAMETER { vth = -45 (mV)  top = 20 (mV)  rest = -75 (mV)  gopen = 0.4 (uS)  ghold = 0.2 (uS)  e = 0  tau = 1 (ms) }
ASSIGNED { v (mV)  i (nA)  now  since (ms) }
INITIAL { now = 0  since = -1e9  net_send(0, 1) }
BREAKPOINT {
  if (now == 1) { i = gopen * (v - top) } else { i = ghold * exp(-(t - since) / 5) * (v - rest) }
}
NET_RECEIVE (w) {
  if (flag == 1) { WATCH (v > vth) 2 }
  if (flag == 2) { now = 1  net_event(t)  net_send(tau, 3) }
  if (flag == 3) { now = 0  since = t  WATCH (v > vth) 2 }
}
"""
OWN = """: regular spiking cell of Izhikevich (2007) with a voltage of its own, which events push by a current
NEURON { POINT_PROCESS Izhi2007a  RANGE C, k, vr, vt, vpeak, a, b, c, d, V, u, push, last }
PARAMETER { C = 100  k = 0.7  vr = -60  vt = -40  vpeak = 35  a = 0.03  b = -2  c = -50  d = 100 }
ASSIGNED { V  u  push  last (ms) }
INITIAL { V = vr  u = 0.2 * vr  push = 0  last = t  net_send(0, 1) }
BREAKPOINT {
    V = V + (t - last) * (k * (V - vr) * (V - vt) - u + push) / C
    u = u + (t - last) * a * (b * (V - vr) - u)
    push = push * exp(-(t - last) / 5)
    last = t
}
NET_RECEIVE (w) {
    if (flag == 1) {
        WATCH (V > vpeak) 2
    } else if (flag == 2) {
        net_event(t)
        V = c
        u = u + d
    } else {
        push = push + 400 * w
    }
}
"""
MODS = {"fast.mod": FAST, "slow.mod": SLOW, "pool.mod": POOL, "spark.mod": SPARK, "izhikevich.mod": IZHIKEVICH,
        "own.mod": OWN}  # fmt: skip

FILES = {
    "ball.py": """from neuron import h
class Ball:
    def __init__(self, length=150):
        self.soma = h.Section(name="soma", cell=self)
        self.dend = h.Section(name="dend", cell=self)
        self.dend.connect(self.soma(1))
        self.soma.L = self.soma.diam = 18.8
        self.soma.Ra = 123.0
        self.soma.insert("hh")
        self.dend.L, self.dend.diam, self.dend.nseg = length, 5.0, 3
        self.dend.insert("pas")
        for segment in self.dend:
            segment.pas.g, segment.pas.e = 2e-5 * (1 + segment.x), -70
        self.syn = h.Exp2Syn(self.dend(0.5))
        self.syn.tau1, self.syn.tau2 = 0.3, 4
        self.all_sec = [self.soma, self.dend]
""",
    "drawn.hoc": """begintemplate Drawn
public soma, dend, basal
create soma, dend[2], basal
proc init() {
    create soma, dend[2], basal
    connect dend[0](0), soma(1)
    connect dend[1](0), dend[0](1)
    connect basal(0), soma(0)
    soma { pt3dclear() pt3dadd(0, -10, 0, 16) pt3dadd(0, 0, 0, 20) pt3dadd(0, 10, 0, 12) }
    dend[0] { pt3dclear() pt3dadd(0, 10, 0, 4) pt3dadd(15, 80, 6, 3) pt3dadd(15, 140, 6, 2.5) nseg = 3 }
    dend[1] { pt3dclear() pt3dadd(15, 140, 6, 2) pt3dadd(55, 260, 0, 1) nseg = 5 }
    basal { pt3dclear() pt3dadd(0, -10, 0, 3) pt3dadd(-40, -90, 12, 1) nseg = 2 }
    forall { Ra = 110 }
}
endtemplate Drawn
""",
    "tree.swc": """# a soma of three points, a dendrite that branches, an axon
1 1 0 0 0 8 -1
2 1 0 -8 0 8 1
3 1 0 8 0 8 1
4 3 0 30 0 1.5 1
5 3 0 80 5 1.2 4
6 3 30 140 5 0.8 5
7 3 -30 150 0 0.8 5
8 2 0 -40 0 1 1
9 2 10 -120 0 0.6 8
""",
    "many.hoc": """begintemplate Many
public comp, Soma, Dendrites
objref Soma, Dendrites
create comp[12]
proc init() { local i
    Soma = new SectionList()
    Dendrites = new SectionList()
    create comp[12]
    comp[1] Soma.append()
    for i = 2, 11 comp[i] Dendrites.append()
    connect comp[0](0), comp[1](0)
    for i = 2, 5 connect comp[i](0), comp[1](1)
    for i = 6, 11 connect comp[i](0), comp[i - 4](1)
    forall { Ra = 150 cm = 0.9 insert pas g_pas = 4e-5 e_pas = -68 insert fast insert slow gmax_fast = 0.003
             gmax_slow = 0.001 insert pool ena = 52 ek = -92 }
    comp[0] { L = 100 diam = 1 gmax_fast = 0.3 gmax_slow = 0.05 }
    comp[1] { L = 20 diam = 15 gmax_fast = 0.2 gmax_slow = 0.04 }
    for i = 2, 11 comp[i] { L = 60 diam = 2.4 - 0.1 * i nseg = 1 + 2 * (i > 8) tau_pool = 20 + i }
    vhalf_fast = -40
}
endtemplate Many
""",
    "axo.py": """from math import pi
from neuron import h
class Axo:
    def __init__(self, rho=16.5, kappa=10.0, leak=False):
        self.soma, self.dend = h.Section(name="soma", cell=self), h.Section(name="dend", cell=self)
        self.dend.connect(self.soma, 0.5, 0)
        for section in (self.soma, self.dend):
            section.insert("k_ion"), section.insert("na_ion"), section.insert("ca_ion")
            section.ek, section.ena, section.eca = -90, 60, 140
            h.ion_style("ca_ion", 0, 1, 0, 0, 0, sec=section)
            section.Ra, section.cm, section.L, section.diam = 100, 0.75, 40, 40 / pi
            section.insert("fast")
        self.dend.L = rho * self.soma.L
        self.dend.Ra *= kappa / self.dend(0.5).ri()
        self.soma.gmax_fast = 0.4
        self.soma.insert("slow")
        self.soma.gmax_slow = 0.06
        self.dend.insert("pas")
        self.dend.e_pas, self.dend.g_pas, self.dend.gmax_fast = -70, 1 / 3e4, 0.0015
""",
    "sparks.py": """from neuron import h
class Cell:
    pass
def make():
    cell = Cell()
    cell.soma, cell.dend, cell.axon = h.Section(), h.Section(), h.Section()
    for section, (length, wide) in ((cell.soma, (30, 30)), (cell.dend, (500, 2)), (cell.axon, (200, 1))):
        section.L, section.diam = length, wide
        section.insert("pas")
        section.g_pas, section.e_pas, section.Ra = 5e-5, -65, 40
    cell.soma.connect(cell.axon, 1, 0)
    cell.dend.connect(cell.soma, 1, 0)
    cell.spark = h.Spark(0.5, sec=cell.axon)
    cell.spark.vth, cell.spark.gopen = -50, 0.3
    cell.ampa = h.Exp2Syn(0.5, sec=cell.dend)
    return cell
""",
    "izhi.py": """from neuron import h
class Izhi:
    def __init__(self, kind="RS", host=None):
        self.sec = h.Section(name="sec", cell=self)
        self.sec.L, self.sec.diam, self.sec.cm = 10, 10, 31.831
        self.izh = h.Izhi2007a(self.sec(0.5)) if host else h.Izhi2007b(self.sec(0.5))
        self.izh.C, self.izh.k, self.izh.a, self.izh.b = (100 if host else 1), 0.7, 0.03, -2
        self.izh.d = 80 if kind == "RS" else 100
""",
}
# after NetPyNE's tutorial of imported cells: its populations and rules, with cells of our own
PARAMS = """from netpyne import specs
netParams, cfg = specs.NetParams(), specs.SimConfig()
models = ["HH", "HH3D_hoc", "HH3D_swc", "Traub", "Mainen", "Friesen", "Izhi03a", "Izhi03b", "Izhi07a", "Izhi07b"]
for model in models:
    netParams.popParams[model + "_pop"] = {"cellType": "PYR", "numCells": 5, "cellModel": model}
def take(model, file, name, **more):
    conds = {"cellType": "PYR", "cellModel": model}
    return netParams.importCellParams(label=model + "_rule", conds=conds, fileName=file, cellName=name, **more)
HH = {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}
take("HH", "ball.py", "Ball", importSynMechs=True)
for model, file, name in (("HH3D_hoc", "drawn.hoc", "Drawn"), ("HH3D_swc", "tree.swc", "tree")):
    rule = take(model, file, name)
    if model == "HH3D_swc":
        netParams.renameCellParamsSec(model + "_rule", "soma_0", "soma")
    for name, section in rule["secs"].items():
        section["mechs"]["pas"] = {"g": 0.0000357, "e": -70}
        section["geom"]["cm"] = 1
        if name.startswith("soma"):
            section["mechs"]["hh"] = HH
rule = take("Traub", "many.hoc", "Many")
rule["secs"][rule["secLists"]["Soma"][0]]["spikeGenLoc"] = 0.5
netParams.renameCellParamsSec("Traub_rule", rule["secLists"]["Soma"][0], "soma")
take("Mainen", "axo.py", "Axo", cellArgs={"rho": 16.5})
take("Friesen", "sparks.py", "make")["secs"]["axon"]["spikeGenLoc"] = 0.5
for model, kind, host in (("Izhi03a", "TS", "own"), ("Izhi03b", "TS", None), ("Izhi07a", "RS", "own"),
                          ("Izhi07b", "RS", None)):
    rule = take(model, "izhi.py", "Izhi", cellArgs={"kind": kind, "host": host})
    netParams.renameCellParamsSec(model + "_rule", "sec", "soma")
    if host:
        rule["secs"]["soma"]["pointps"]["Izhi2007a_0"]["vref"] = "V"
netParams.synMechParams["AMPA"] = {"mod": "Exp2Syn", "tau1": 1.0, "tau2": 5.0, "e": 0}
netParams.stimSourceParams["bkg"] = {"type": "NetStim", "rate": 50, "noise": 0.5}
strong = ["Friesen", "Izhi03a", "Izhi07a"]
for label, which, weight in (("bg1", [m for m in models if m not in strong], 0.1), ("bg2", strong, 5)):
    netParams.stimTargetParams[label] = {"source": "bkg", "conds": {"cellType": "PYR", "cellModel": which},
                                         "weight": weight, "delay": 5, "sec": "soma", "synMech": "AMPA"}
def rule(pre, post, weight, **more):
    return {"preConds": pre, "postConds": post, "weight": weight, "delay": 5, "sec": "soma", "synMech": "AMPA", **more}
every = {"cellType": "PYR"}
netParams.connParams["recurrent"] = rule(every, every, 0.001, convergence="uniform(0,10)")
netParams.connParams["HH->izhi07a"] = rule({"pop": "HH_pop"}, {"pop": "Izhi07a_pop"}, 5)
netParams.connParams["izhi07a->HH"] = rule({"pop": "Izhi07a_pop"}, {"pop": "HH_pop"}, 0.1)
cfg.duration, cfg.dt, cfg.recordStep, cfg.recordCells = 150, 0.025, 0.1, ["all"]
cfg.recordTraces = {"V": {"sec": "soma", "loc": 0.5, "var": "v"}}
"""

SEEN = """
import json, sys
sys.path.insert(0, ".")
asked = json.load(open("asked.json"))
from netpyne import sim
sim.h.nrn_load_dll(asked["library"])
from netParams import netParams, cfg
cfg.saveJson = cfg.savePickle = False
sim.create(netParams, cfg)
found = {"connections": [[c.gid, k["preGid"], k.get("sec"), k.get("loc"), float(k["weight"]), float(k["delay"])]
                         for c in sim.net.cells for k in c.conns]}
sim.runSim()
sim.gatherData()
found["spikes"] = [list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])]
found["synapses"] = sim.totalSynapses
found["V"] = {cell: list(trace) for cell, trace in sim.allSimData["V"].items()}
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, with NetPyNE's answers in found.json."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "mod").mkdir()
    for name, text in MODS.items():
        (folder / "mod" / name).write_text(text)
    for name, text in (FILES | {"netParams.py": PARAMS}).items():
        (folder / name).write_text(text)
    (folder / "asked.json").write_text(json.dumps({"library": str(compile_mods(MODS))}))
    done = subprocess.run([sys.executable, "-c", SEEN], capture_output=True, text=True, cwd=folder, check=False)
    assert (folder / "found.json").exists(), done.stdout[-2000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


@pytest.fixture(scope="module")
def ours(folder: Path) -> nmlbridge.Results:
    return nmlbridge.simulate(folder / "netParams.py", allow=("code", "mods"))


def test_the_network_of_imported_cells(ours: nmlbridge.Results, theirs: dict[str, Any]) -> None:
    assert theirs["synapses"] == 372  # of models with these populations and rules, whatever their cells
    times, gids = theirs["spikes"]
    expected = sorted(zip(np.round(times, 6).tolist(), map(int, gids), strict=True))
    found = sorted(zip(np.round(ours.spikes.time * 1e3, 6).tolist(), ours.spikes.gid.tolist(), strict=True))
    found = [(time, gid) for time, gid in found if gid < 50]  # those after them are NetStims
    assert {gid // 5 for _, gid in expected} == set(range(10)), "a kind of cell is silent"
    assert found == expected
    names = [q for q in ours.traces.quantities if q.endswith("soma(0.5)/v")]
    assert len(names) == len(theirs["V"]) == 50
    for name, (cell, trace) in zip(names, theirs["V"].items(), strict=True):
        apart = np.abs(ours[name][: len(trace)] * 1e3 - trace) > 1e-9
        if "b_pop" in name:  # an event sets the voltage: a sample of that very moment is the one before or after it
            apart &= ~((ours[name][: len(trace)] > 0.035) & (np.array(trace) == -50))
        assert not apart.any(), (name, cell)
    assert not any(note.severity == "loss" for note in ours.report), [str(note) for note in ours.report]


CELLS = {
    "Ball": ("ball.py", "Ball()", "cell.soma", "cell.dend"),
    "Drawn": ("drawn.hoc", "h.Drawn()", "cell.soma", "cell.dend[1]"),
    "tree": ("tree.swc", "", "soma_0", "apic_0"),
    "Many": ("many.hoc", "h.Many()", "cell.comp[1]", "cell.comp[11]"),
    "Axo": ("axo.py", "Axo(16.5)", "cell.soma", "cell.dend"),
    "make": ("sparks.py", "make()", "cell.soma", "cell.axon"),
    "Izhi": ("izhi.py", "Izhi()", "cell.sec", "cell.sec"),
}
TEMPLATES = """
import json, sys
sys.path.insert(0, ".")
from neuron import h
h.load_file("stdrun.hoc")
h.load_file("import3d.hoc")
asked = json.load(open("asked.json"))
h.nrn_load_dll(asked["library"])
found = {}
for name, (file, made, *places) in asked["cells"].items():
    h.vhalf_fast = -40  # GLOBAL: one of the templates sets it, for all cells of a network
    if file.endswith(".hoc"):
        h.load_file(file)
        cell = eval(made)
    elif file.endswith(".py"):
        module = __import__(file[:-3])
        cell = eval(made, vars(module))
    else:
        class Tree:
            pass
        reader = h.Import3d_SWC_read()
        reader.input(file)
        cell = Tree()
        h.Import3d_GUI(reader, False).instantiate(cell)
        for section in h.allsec():
            section.cm = 1
            section.insert("pas")
            section.g_pas, section.e_pas = 0.0000357, -70
            if section.name().endswith("soma[0]"):
                section.insert("hh")
                section.gnabar_hh, section.gkbar_hh, section.gl_hh, section.el_hh = 0.12, 0.036, 0.003, -70
        places = ["cell.soma[0]", "cell.apic[0]" if hasattr(cell, "apic") else "cell.dend[0]"]
    if name == "Drawn":
        for section in h.allsec():
            section.insert("pas")
            section.g_pas, section.e_pas = 0.0000357, -70
        cell.soma.insert("hh")
        cell.soma.gnabar_hh, cell.soma.gkbar_hh, cell.soma.gl_hh, cell.soma.el_hh = 0.12, 0.036, 0.003, -70
    at = [eval(place) for place in places]
    step = h.IClamp(at[0](0.5))
    step.delay, step.dur, step.amp = 5, 60, asked["step"][name]
    traces = [h.Vector().record(section(0.5)._ref_v) for section in at]
    h.dt, h.steps_per_ms, h.v_init, h.celsius = 0.025, 40, -65, 6.3
    h.finitialize(-65)
    h.continuerun(80)
    found[name] = {"names": [section.name() for section in at], "traces": [list(trace) for trace in traces]}
    cell = step = traces = at = section = None
    for section in list(h.allsec()):
        h.delete_section(sec=section)
    section = None
json.dump(found, open("templates.json", "w"))
"""
STEP = {"Ball": 0.6, "Drawn": 0.6, "tree": 0.4, "Many": 0.5, "Axo": 2.0, "make": 0.8, "Izhi": 0.1}
EACH = """from netpyne import specs
netParams, cfg = specs.NetParams(), specs.SimConfig()
for name, file, step, soma, far in CASES:
    rule = netParams.importCellParams(label=name, conds={"cellType": name}, fileName=file, cellName=name)
    if file in ("drawn.hoc", "tree.swc"):
        for label, section in rule["secs"].items():
            section["mechs"]["pas"] = {"g": 0.0000357, "e": -70}
            section["geom"]["cm"] = 1
            if label.startswith("soma"):
                section["mechs"]["hh"] = {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}
    netParams.popParams["P" + name] = {"cellType": name, "cellsList": [{"x": 0, "y": 0, "z": 0}]}
    netParams.stimSourceParams[name] = {"type": "IClamp", "del": 5, "dur": 60, "amp": step}
    netParams.stimTargetParams[name] = {"source": name, "conds": {"pop": "P" + name}, "sec": soma, "loc": 0.5}
    for part, section in (("V", soma), ("W", far)):
        cfg.recordTraces[part + name] = {"sec": section, "loc": 0.5, "var": "v", "conds": {"pop": "P" + name}}
cfg.duration, cfg.dt, cfg.recordStep, cfg.recordCells = 80, 0.025, 0.025, ["all"]
"""


@pytest.fixture(scope="module")
def templates(folder: Path) -> dict[str, Any]:
    """What each cell does in NEURON, as its own code makes it."""
    asked = {"library": str(compile_mods(MODS)), "cells": CELLS, "step": STEP}
    (folder / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run([sys.executable, "-c", TEMPLATES], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "templates.json").read_text())
    return found


@pytest.fixture(scope="module")
def each(folder: Path, templates: dict[str, Any]) -> nmlbridge.Results:
    """One imported cell of each kind, with a step of current."""
    cases = [(name, CELLS[name][0], STEP[name], *places(name, templates)) for name in CELLS]
    (folder / "each.py").write_text(EACH.replace("CASES", repr(cases)))
    return nmlbridge.simulate(folder / "each.py", allow=("code", "mods"))


def places(name: str, templates: dict[str, Any]) -> list[str]:
    """What NetPyNE calls the sections of a template."""
    if name == "make":
        return ["soma", "axon"]
    return [text.rpartition(".")[2].replace("[", "_").replace("]", "") for text in templates[name]["names"]]


@pytest.mark.parametrize("name", CELLS)
def test_an_imported_cell_does_what_its_template_does(
    name: str, each: nmlbridge.Results, templates: dict[str, Any]
) -> None:
    for place, theirs in zip(places(name, templates), templates[name]["traces"], strict=True):
        ours = each[f"P{name}[0]/{place}(0.5)/v"] * 1e3
        apart = np.abs(ours[: len(theirs)] - theirs)
        if name == "Izhi":  # as above
            apart = apart[~((ours[: len(theirs)] > 35) & (np.array(theirs) == -50))]
        assert np.ptp(theirs) > 5 and apart.max() < 1e-9
    assert len(each.spikes.of(f"P{name}"))


SETS = """begintemplate NAME
public soma
create soma
proc init() {
    create soma
    soma { L = 20 diam = 20 insert fast }
    vhalf_fast = VALUE
}
endtemplate NAME
"""


@pytest.fixture
def clashing(tmp_path: Path) -> Path:
    """Two templates that set one GLOBAL differently, and netParams that import both."""
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "fast.mod").write_text(FAST)
    for name, value in (("One", -41), ("Two", -35)):
        (tmp_path / f"{name}.hoc").write_text(SETS.replace("NAME", name).replace("VALUE", str(value)))
    lines = ["from netpyne import specs", "netParams = specs.NetParams()"]
    for name in ("One", "Two"):
        lines += [f"netParams.importCellParams('{name}', '{name}.hoc', '{name}', conds={{'cellType': '{name}'}})",
                  f"netParams.popParams['{name}'] = {{'cellType': '{name}', 'numCells': 1}}"]  # fmt: skip
    (tmp_path / "netParams.py").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_globals_that_clash_are_told(clashing: Path) -> None:
    report = Report()
    network = nmlbridge.read(clashing / "netParams.py", report=report, allow=("code", "mods"))
    (note,) = [note for note in report if note.code == "netpyne-globals"]
    assert note.severity == "approximation"
    for word in ("vhalf_fast", "-35", "-41", "cellParams.One", "cellParams.Two"):
        assert word in str(note)
    assert "vhalf = -41" in network.mods["fast.mod"]


def test_globals_that_a_cell_gets_from_another_are_told(clashing: Path) -> None:
    """In NetPyNE what one rule sets holds for cells whose rules do not set it."""
    two = (clashing / "Two.hoc").read_text()
    (clashing / "Two.hoc").write_text(two.replace("vhalf_fast = -35", ""))
    report = Report()
    nmlbridge.read(clashing / "netParams.py", report=report, allow=("code", "mods"))
    (note,) = [note for note in report if note.code == "netpyne-globals"]
    assert note.severity == "approximation"
    for word in ("cellParams.One sets vhalf_fast = -41", "cellParams.Two", "-38"):
        assert word in str(note)


NEUROML = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="pas">
<ionChannelHH id="leak" conductance="10pS"/>
<cell id="ball"><morphology id="m">
<segment id="0"><proximal x="0" y="0" z="0" diameter="20"/><distal x="20" y="0" z="0" diameter="20"/></segment>
</morphology><biophysicalProperties id="b"><membraneProperties>
<channelDensity id="l" ionChannel="leak" condDensity="0.1 mS_per_cm2" erev="-65 mV" ion="non_specific"/>
<spikeThresh value="0 mV"/><specificCapacitance value="1 uF_per_cm2"/><initMembPotential value="-65 mV"/>
</membraneProperties><intracellularProperties><resistivity value="100 ohm_cm"/></intracellularProperties>
</biophysicalProperties></cell></neuroml>
"""


def test_cells_of_all_kinds_of_files_in_one_call(folder: Path, clashing: Path) -> None:
    """hoc, Python, SWC and NeuroML beside each other, made while this process has sections of its own."""
    (folder / "ball.cell.nml").write_text(NEUROML)
    cells = {
        "hoc": {"template": "Many", "file": "many.hoc"}, "python": {"template": "Ball", "file": "ball.py"},
        "function": {"template": "make", "file": "sparks.py"}, "nml": {"file": "ball.cell.nml", "component": "ball"},
        "swc": {"swc": "tree.swc", "biophysics": {"mechanisms": {"pas": {"neuron": "pas", "g": 4e-5, "e": -70}}}},
    }  # fmt: skip
    model = {"mods": ["mod"], "cells": cells, "populations": {k: {"cell": k, "number": 2} for k in cells}}
    network = build(Specification.of(model, folder), allow=("code", "mods")).network
    assert network.size == 10 and {p.component for p in network.populations.values()} >= {"ball"}
    assert sum(isinstance(part, NativeCell) for part in network.native.values()) == 4
    script = (
        "import json, sys\nfrom neuron import h\nimport nmlbridge\nfrom nmlbridge.builder import Specification, build\n"
        "soma, dend = h.Section('soma'), h.Section('dend')\ndend.connect(soma)\nsoma.insert('hh')\n"
        "said = lambda: [(str(s), str(s.psection()), str(s.parentseg())) for s in h.allsec()]\nbefore = said()\n"
        "model = json.load(sys.stdin)\nbuild(Specification.of(model, '.'), allow=('code', 'mods'))\n"
        "assert said() == before and len(before) == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, input=json.dumps(model), capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    both = {name: {"template": name, "file": f"{name}.hoc"} for name in ("One", "Two")}
    pair = {"mods": ["mod"], "cells": both, "populations": {k: {"cell": k, "number": 1} for k in both}}
    kept = build(Specification.of(pair, clashing), allow=("code", "mods")).network
    values = {name: global_parameters(text)["vhalf"] for name, text in kept.mods.items()}
    assert values == {"fast.mod": -41, "fast_2.mod": -35}  # each its own, if the network is built here
