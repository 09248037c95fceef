"""Templates that do not agree on what all cells share in NEURON: each keeps its own, and is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.builder.context import Context
from nmlbridge.builder.mods import Mods
from nmlbridge.errors import ModelError
from nmlbridge.graph import NativeCell
from nmlbridge.nmodl.files import global_parameters, renamed, same_code, with_globals
from nmlbridge.nmodl.header import read_header
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.compile import compile_mods

from .by_hand import by_hand

GATE = """: a potassium channel; of its parameters gbar alone is a RANGE variable
NEURON { SUFFIX gate USEION k READ ek WRITE ik RANGE gbar GLOBAL vhalf, shift, ninf }
UNITS { (mV) = (millivolt) (mA) = (milliamp) }
PARAMETER { gbar = 0.01 (S/cm2)  vhalf = -40 (mV)  slope = 9 : GLOBAL, as all that is not RANGE
  late  v (mV)  celsius (degC)  ek (mV) }
ASSIGNED { ik (mA/cm2)  ninf  shift (mV) }
STATE { n }
INITIAL { n = 1 / (1 + exp(-(v - vhalf - shift) / slope)) }
BREAKPOINT { SOLVE states METHOD cnexp
  ik = gbar * n * (v - ek) }
DERIVATIVE states { ninf = 1 / (1 + exp(-(v - vhalf - shift) / slope))
  n' = (ninf - n) / (4 + late) }
"""
SYNAPSE = """NEURON { POINT_PROCESS Leaker NONSPECIFIC_CURRENT i RANGE g }
PARAMETER { g = 0.001 (uS)  rest = -70 (mV)  v (mV) }
ASSIGNED { i (nA) }
BREAKPOINT { i = g * (v - rest) }
"""
TEMPLATE = """begintemplate NAME
public soma
objref leaker
create soma
proc init() {
    create soma
    soma { L = 20 diam = 20 insert pas g_pas = 2e-4 insert gate leaker = new Leaker(0.5) }
    SETS
}
endtemplate NAME
"""
SETS = {"One": "vhalf_gate = -50", "Two": "slope_gate = 5 late_gate = 3 rest_Leaker = -60", "Three": "vhalf_gate = -50",
        "Four": ""}  # fmt: skip
PLAIN = {"sections": {"soma": {"length": 20, "diameter": 20}}, "biophysics": {
    "resistivity": 35.4, "mechanisms": {"pas": {"neuron": "pas", "g": 2e-4, "e": -70}, "gate": {"neuron": "gate"}},
    "ions": {"k": {"e": -77}}}}  # fmt: skip
STIMULI = {"step": {"type": "pulse", "to": "all", "start": 5, "duration": 30, "amplitude": 0.15}}
ALONE = """
h.nrn_load_dll("LIBRARY")
h.load_file("FILE")
cell = h.NAME()
step = h.IClamp(cell.soma(0.5))
step.delay, step.dur, step.amp = 5, 30, 0.15
trace = h.Vector().record(cell.soma(0.5)._ref_v)
h.dt, h.steps_per_ms = 0.025, 40
h.finitialize(-65)
h.continuerun(40)
result = list(trace)
"""


def _model(cells: dict[str, Any], **more: Any) -> dict[str, Any]:
    populations = {f"P{name}": {"cell": name, "number": 1} for name in cells}
    record = {name: {"cells": name} for name in populations}
    return {"name": "net", "cells": cells, "populations": populations, "stimuli": STIMULI, "record": record,
            "run": {"duration": 40, "dt": 0.025}, **more}  # fmt: skip


def _template(name: str, folder: str = ".") -> dict[str, Any]:
    return {"template": name, "file": f"{folder}/{name}.hoc", "threshold": 0, "v_init": -65}


def _written(folder: Path, names: str, mods: dict[str, str]) -> None:
    (folder / "mod").mkdir(parents=True)
    for name in names.split():
        (folder / f"{name}.hoc").write_text(TEMPLATE.replace("NAME", name).replace("SETS", SETS[name]))
    for name, text in mods.items():
        (folder / "mod" / name).write_text(text)


def _alone(folder: Path, name: str, mods: dict[str, str]) -> list[float]:
    """The voltage of one cell of a template that is alone in NEURON."""
    script = ALONE.replace("LIBRARY", str(compile_mods(mods))).replace("FILE", str(folder / f"{name}.hoc"))
    return list(by_hand(script.replace("NAME", name)))


def _run(model: dict[str, Any], folder: Path, report: Report) -> tuple[Any, dict[str, Any]]:
    built = build(Specification.of(model, folder), allow=("code", "mods"), report=report)
    simulation = nmlbridge.results.Simulation(**{**built.simulation.__dict__, "method": "implicit"})
    results = nmlbridge.simulate_network(built.network, simulation)
    return built.network, dict(zip(model["populations"], results.traces.values * 1e3, strict=True))


@pytest.mark.neuron
def test_each_template_keeps_the_globals_that_it_sets(tmp_path: Path) -> None:
    mods = {"gate.mod": GATE, "leaker.mod": SYNAPSE}
    _written(tmp_path, "One Two Three Four", mods)
    names, report = list(SETS), Report()
    cells: dict[str, Any] = {name: _template(name) for name in names} | {"plain": PLAIN}
    network, traces = _run(_model(cells, mods=["mod"]), tmp_path, report)
    alone = {name: np.array(_alone(tmp_path, name, mods)) for name in names}
    for name in names:
        assert np.abs(traces[f"P{name}"] - alone[name]).max() < 1e-9
    assert min(np.abs(alone[a] - alone[b]).max() for a, b in (("One", "Two"), ("One", "Four"), ("Two", "Four"))) > 0.5
    assert np.abs(traces["PThree"] - traces["POne"]).max() == 0
    used = {name: [p.mechanism for p in cell.points] + [m for m in cell.sections[0].mechanisms if m != "pas"]
            for name, cell in network.native.items() if isinstance(cell, NativeCell)}  # fmt: skip
    assert used == {"One": ["Leaker", "gate_2"], "Two": ["Leaker_2", "gate_3"], "Three": ["Leaker", "gate_2"],
                    "Four": ["Leaker", "gate"], "plain": ["gate"]}  # fmt: skip
    told = [str(note) for note in report if note.code == "mods"]
    assert len(told) == 4, told  # of One, Two (twice), Three
    for word in ("cells.One.file", "cells.plain", "'vhalf' of 'gate' is -50 here and -40", "'gate_2'"):
        assert word in told[0]


@pytest.mark.neuron
def test_templates_bring_mod_files_of_one_name(tmp_path: Path) -> None:
    """Each beside its own template, with other contents: other equations, or another mechanism."""
    theirs = {"gate.mod": GATE.replace("n * (v", "n * n * (v"), "leaker.mod": SYNAPSE}
    ours = {"gate.mod": GATE, "leaker.mod": SYNAPSE + ": the same but for this\n"}
    odd = {"gate.mod": SYNAPSE, "other.mod": GATE}
    for place, name, mods in (("a", "One", ours), ("b", "Two", theirs), ("c", "Four", odd)):
        _written(tmp_path / place, name, mods)
    places = {"One": ("a", ours), "Two": ("b", theirs), "Four": ("c", odd)}
    cells = {name: _template(name, place) for name, (place, _) in places.items()}
    report = Report()
    network, traces = _run(_model(cells), tmp_path, report)
    for name, (place, mods) in places.items():
        assert np.abs(traces[f"P{name}"] - _alone(tmp_path / place, name, mods)).max() < 1e-9
    assert len(network.mods) == 5  # gate as it is set by One, as it is of Two, as it is; Leaker as it is, as set by Two
    (said,) = [str(note) for note in report if "'gate_2'" in str(note)]
    assert "cells.Two.file" in said and "other contents than that of cells.One.file" in said


def test_a_mechanism_that_c_code_names_is_an_error() -> None:
    tied = GATE.replace("STATE", "VERBATIM\nextern void rates_gate();\nENDVERBATIM\nSTATE")
    mods = Mods(Context.of(Specification.of({"populations": {}}, ".")), Report())
    assert mods.add({"gate.mod": with_globals(tied, {"vhalf": -50})}, "cells", "One", "file") == {}
    said = r"cells.Four.*'vhalf' of 'gate' is -40 here and -50 for cells.One.file.*C code"
    with pytest.raises(ModelError, match=said):
        mods.add({"gate.mod": tied}, "cells", "Four", "file")


def test_what_a_template_sets_and_cannot_be_taken_over_is_told(tmp_path: Path) -> None:
    """A GLOBAL that is no PARAMETER, and one of a mechanism that the cell does not have."""
    other = GATE.replace("SUFFIX gate", "SUFFIX absent")
    _written(tmp_path, "One", {"gate.mod": GATE, "leaker.mod": SYNAPSE, "absent.mod": other})
    text = (tmp_path / "One.hoc").read_text()
    (tmp_path / "One.hoc").write_text(text.replace("vhalf_gate = -50", "shift_gate = 4 slope_absent = 2 ninf_gate = 1"))
    report = Report()
    build(Specification.of(_model({"One": _template("One")}), tmp_path), allow=("code", "mods"), report=report)
    told = sorted(note.message for note in report if note.code == "neuron-globals")
    assert len(told) == 2 and {note.severity for note in report if note.code == "neuron-globals"} == {"loss"}
    assert "sets shift_gate, which gate.mod declares as ASSIGNED" in told[0] and "sets slope of absent" in told[1]


def test_what_instances_share() -> None:
    header = read_header(GATE)
    assert header is not None
    assert header.shared == {"vhalf": -40.0, "slope": 9.0, "late": 0.0, "shift": None}
    changed = with_globals(GATE, {"late": 2.5, "slope": -1e-7})
    assert global_parameters(changed) == {"vhalf": -40.0, "slope": -1e-7, "late": 2.5}
    other = read_header(renamed(changed, "gate_2"))
    assert other is not None and other.name == "gate_2" and other.parameters == header.parameters
    assert same_code(GATE, GATE.replace(": GLOBAL, as all that is not RANGE", "")) and not same_code(GATE, changed)
