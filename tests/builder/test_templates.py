"""Cells of templates, mod files, artificial cells, given spikes: the numbers of a NEURON script that builds by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.cli import main
from nmlbridge.errors import ModelError, UsageError
from nmlbridge.graph import NativeCell
from nmlbridge.nmodl.header import read_header
from nmlbridge.report import Report
from nmlbridge.results import Results, SpikeTrains, write_results
from nmlbridge.simulator.neuron.compile import compile_mods

from .by_hand import by_hand

HOC = """
create stray
begintemplate Ball
public soma, dend, all
create soma, dend
objref all
proc init() {
    connect dend(0), soma(1)
    soma { L = 20 diam = 20 insert hh insert leaky g_leaky = 1e-4 e_leaky = -60 }
    dend { L = $1 diam = 2 nseg = 5 insert leaky g_leaky = 2e-5 e_leaky = -70 }
    all = new SectionList()
    forall { Ra = 120 all.append() }
}
endtemplate Ball
celsius = 20
"""
LEAKY = """
NEURON { SUFFIX leaky NONSPECIFIC_CURRENT i RANGE g, e }
PARAMETER { g = 1e-3 (S/cm2) }
ASSIGNED { v (mV) e (mV) i (mA/cm2) }
BREAKPOINT { i = g * (v - e) }
"""
GATED = """
NEURON { POINT_PROCESS Jump NONSPECIFIC_CURRENT i RANGE tau, e, gain : gain (uS) scales the weight
  GLOBAL shared }
PARAMETER { tau = 2 (ms) <1e-9, 1e9>  e = 0 (mV) gain = 1 shared = 1 }
ASSIGNED { v (mV) i (nA) }
STATE { s (uS) }
INITIAL { s = 0 }
BREAKPOINT { SOLVE decay METHOD cnexp
  i = s * (v - e) }
DERIVATIVE decay { s' = -s / tau }
NET_RECEIVE (w (uS)) { s = s + w * gain * shared }
"""
MODEL: dict[str, Any] = {
    "name": "net",
    "mods": ["mods"],
    "cells": {"ball": {"template": "Ball", "file": "ball.hoc", "arguments": [300], "threshold": -20, "v_init": -65},
              "unit": {"neuron": "IntFire1", "tau": 20, "refrac": 3}},
    "synapses": {"jump": {"neuron": "Jump", "tau": 3, "gain": 2}},
    "populations": {"in": {"spikes": {"times": [[2.0, 20.0], [5.0]]}}, "A": {"cell": "ball", "number": 2},
                    "F": {"cell": "unit", "number": 1}},
    "connections": {
        "a": {"from": "in", "to": "A", "pattern": "one_to_one", "synapse": "jump", "weight": 0.02, "delay": 1,
              "at": {"where": "dend", "fraction": 0.5}},
        "f": {"from": "A", "to": "F", "pattern": "all_to_all", "weight": 0.6, "delay": 2},
    },
    "record": {"v": {"cells": "A"}, "d": {"cells": "A[0]", "at": "dend"}},
    "run": {"duration": 40, "dt": 0.025},
}  # fmt: skip
SCRIPT = """
h.nrn_load_dll("LIBRARY")
h.load_file("FOLDER/ball.hoc")
cells = [h.Ball(300), h.Ball(300)]
unit = h.IntFire1()
unit.tau, unit.refrac = 20, 3
kept, results = [], []
for cell, times in zip(cells, ([2.0, 20.0], [5.0])):
    jump = h.Jump(cell.dend(0.5))
    jump.tau, jump.gain = 3, 2
    arrivals = h.NetCon(None, jump)
    arrivals.weight[0] = 0.02
    out = h.NetCon(cell.soma(0.5)._ref_v, unit, sec=cell.soma)
    out.threshold, out.delay, out.weight[0] = -20, 2, 0.6
    kept += [jump, arrivals, out]
    results.append((arrivals, times))
traces = [h.Vector().record(s(0.5)._ref_v) for s in (cells[0].soma, cells[1].soma, cells[0].dend)]
fired = h.Vector()
watch = h.NetCon(unit, None)
watch.record(fired)
h.dt, h.steps_per_ms = 0.025, 40
h.finitialize(-65)
for arrivals, times in results:
    for t in times:
        arrivals.event(t + 1)
h.continuerun(40)
result = {"v": [list(t) for t in traces], "fired": list(fired), "celsius": h.celsius}
"""


def write_template(place: Path) -> None:
    """A template and its mod files."""
    (place / "mods").mkdir()
    (place / "ball.hoc").write_text(HOC)
    (place / "mods/leaky.mod").write_text(LEAKY)
    (place / "mods/jump.mod").write_text(GATED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A specification, its template and its mod files."""
    place = tmp_path_factory.mktemp("templates")
    write_template(place)
    (place / "net.json").write_text(json.dumps(MODEL))
    return place


def made(folder: Path, change: dict[str, Any] | None = None, allow: tuple[str, ...] = ("code", "mods"),
         report: Report | None = None) -> Any:  # fmt: skip
    return build(Specification.of(MODEL | (change or {}), folder), allow=allow, report=report)


@pytest.mark.neuron
def test_templates_and_mods_are_what_neuron_makes_of_them(folder: Path) -> None:
    built = made(folder)
    library = compile_mods(built.network.mods)
    truth = by_hand(SCRIPT.replace("LIBRARY", str(library)).replace("FOLDER", str(folder)))
    simulation = nmlbridge.results.Simulation(**{**built.simulation.__dict__, "method": "implicit"})
    for ranks in (1, 2):
        results = nmlbridge.simulate_network(built.network, simulation, ranks=ranks)
        assert truth["celsius"] == 20 and built.network.temperature == pytest.approx(293.15)
        # the template's sections lie where it puts them; those of a population are told apart by their cell
        assert np.abs(results.traces.values * 1e3 - np.array(truth["v"])).max() < 1e-9
        assert results.traces.values[0].max() > 0, "no spike"
        assert truth["fired"] and results.spikes.of("F") * 1e3 == pytest.approx(truth["fired"], abs=1e-9)


def test_a_template_is_one_cell_with_its_sections(folder: Path) -> None:
    cell = made(folder).network.native["ball"]
    assert isinstance(cell, NativeCell)
    assert [section.name for section in cell.sections] == ["soma", "dend"]  # not those that the file makes besides
    assert cell.sections[1].mechanisms["leaky"] == {"g": 2e-5, "e": -70.0} and cell.threshold == -20.0


@pytest.mark.neuron
def test_stimuli_through_mechanisms(folder: Path) -> None:
    """A rhythm is a NetStim onto the synapse; a random one has the rate that was asked for."""
    stimuli = {"s": {"type": "rhythmic", "to": "A[0]", "period": 10, "start": 5, "synapse": "jump", "weight": 0.02},
               "p": {"type": "poisson", "to": "A[1]", "rate": 200, "synapse": "jump", "weight": 0.002}}  # fmt: skip
    built = made(folder, {"connections": {}, "stimuli": stimuli, "synapses": {"jump": {"neuron": "Jump"}}})
    results = nmlbridge.simulate_network(built.network, built.simulation)
    rhythm = results.traces.values[0]
    time = results.traces.time * 1e3
    jumps = time[np.flatnonzero(np.diff((np.diff(rhythm) > 2e-4).astype(int)) == 1) + 1]
    assert len(jumps) >= 3 and jumps[:3] == pytest.approx([5, 15, 25], abs=0.3)
    assert results.traces.values[1].std() > 1e-4


def test_given_spikes_come_from_files_of_results(tmp_path: Path, folder: Path) -> None:
    trains = SpikeTrains(np.array([0, 2, 2]), np.array([0.003, 0.001, 0.004]), {"ext": (0, 3)})
    write_results(Results(spikes=trains), tmp_path / "spikes.h5", format="sonata")
    given = {"file": "spikes.h5"}
    spec: dict[str, Any] = {"populations": {"S": {"spikes": given}, "T": {"spikes": given, "number": 5}}}
    network = build(Specification.of(spec, tmp_path)).network
    source = network.populations["S"]
    assert source.size == 3 and network.populations["T"].size == 5
    assert source.train_rows.tolist() == [2, 0, 2] and source.train_times.tolist() == pytest.approx([1, 3, 4])
    spec["populations"]["S"]["number"] = 2
    with pytest.raises(ModelError, match="spikes of cell 2, but the population has 2 cells"):
        build(Specification.of(spec, tmp_path))


def test_code_and_mods_are_taken_only_if_allowed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--allow-code"):
        made(folder, allow=("mods",))
    with pytest.raises(ModelError, match="--allow-mods"):
        made(folder, allow=("code",))
    cells = {"unit": MODEL["cells"]["unit"]}
    populations = {"F": MODEL["populations"]["F"], "in": MODEL["populations"]["in"]}
    plain = {"cells": cells, "populations": populations, "connections": {}, "record": {}}
    report = Report()
    assert made(folder, plain, (), report).network.mods == {}
    assert [note.code for note in report] == ["mods"]  # the synapse is there, if unused
    assert main(["info", str(folder / "net.json"), "--json", "--allow-code", "--allow-mods"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mods": ["modz"]}, r"mods\[0\]': there are no mod files at 'modz'"),
        ({"mods": ["/etc"]}, "relative to the specification"),
        ({"mods": ["mods", "mods/jump.mod"]}, "is there already"),
        ({"cells": {"ball": {"template": "Bell", "file": "ball.hoc"}}}, "no template 'Bell'; there are Ball"),
        ({"cells": {"ball": {"template": "Ball", "file": "bell.hoc"}}}, "did you mean 'ball.hoc'"),
        ({"synapses": {"jump": {"neuron": "Jumq"}}}, "no mechanism 'Jumq'; did you mean 'Jump'"),
        ({"synapses": {"jump": {"neuron": "Jump", "taw": 1}}}, "no parameter 'taw'; did you mean 'tau'"),
        ({"synapses": {"jump": {"neuron": "Jump", "shared": 1}}}, "no parameter 'shared'"),
        ({"synapses": {"jump": {"neuron": "leaky"}}}, "is a density mechanism, for the biophysics"),
        ({"cells": {"unit": {"neuron": "Jump"}}}, "is a point process"),
        ({"connections": {"b": {"from": "A", "to": "in", "pattern": "all_to_all"}}}, "the spikes of 'in' are given"),
        ({"connections": {"b": {"from": "F", "to": "A", "pattern": "all_to_all"}}}, "names no synapse"),
        ({"stimuli": {"p": {"type": "pulse", "to": "F", "amplitude": 1, "duration": 1}}}, "reached by events alone"),
        ({"populations": {"in": {"spikes": {"times": [[-1]]}}}, "connections": {}, "record": {}}, "-1 is no time"),
        ({"populations": {"in": {"cell": "unit", "spikes": {"times": [[1]]}}}}, "exclude each other"),
    ],
)  # fmt: skip
def test_bad_input(folder: Path, change: dict[str, Any], said: str) -> None:
    cells = MODEL["cells"] | change.get("cells", {})
    with pytest.raises(ModelError, match=said):
        made(folder, {**change, "cells": cells})


def test_headers() -> None:
    leaky, jump = read_header(LEAKY), read_header(GATED)
    assert leaky is not None and leaky.parameters == {"g": "S_per_cm2", "e": "mV"} and leaky.left_open == ("e",)
    assert jump is not None and jump.parameters == {"tau": "ms", "e": "mV", "gain": ""} and jump.receives
    assert read_header("TITLE nothing") is None
