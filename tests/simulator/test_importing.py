"""hoc and Python that build cells in NEURON: the imported network gives the original's voltages, to the last bits."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.cli import main
from nmlbridge.errors import DocumentError, UsageError
from nmlbridge.graph import NativeCell, Network
from nmlbridge.nmodl.files import global_parameters, mechanism_of, mods_beside, with_globals
from nmlbridge.report import Report
from nmlbridge.results import saved
from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.neuron.importer import read
from nmlbridge.simulator.run import simulate_network

pytestmark = pytest.mark.neuron

ORIGINAL = """
import json, os, runpy, sys
from neuron import h
file, library, template, duration = json.loads(sys.argv[1])
if library:
    h.nrn_load_dll(library)
os.chdir(os.path.dirname(file))
h.load_file("stdrun.hoc")
if file.endswith(".py"):
    kept = runpy.run_path(file, run_name="model")
else:
    h.load_file(1, file)
    kept = getattr(h, template)() if template else None
traces = {s.name().rpartition(".")[2] + f"({i})": h.Vector().record(s(0.5)._ref_v) for i, s in enumerate(h.allsec())}
spikes = []
for place in {(n.preseg(), n.threshold) for n in h.List("NetCon") if n.preseg() is not None}:
    times = h.Vector()
    watch = h.NetCon(place[0]._ref_v, None, sec=place[0].sec)
    watch.threshold = place[1]
    watch.record(times)
    spikes.append((watch, times))
h.steps_per_ms = 1 / h.dt
h.finitialize(h.v_init)
h.continuerun(duration)
print("@" + json.dumps([{n: list(v) for n, v in traces.items()}, sorted(t for _, times in spikes for t in times)]))
"""


def original(file: Path, duration: float, template: str | None = None) -> tuple[dict[str, Any], list[float]]:
    """Voltages (mV) in the middle of each section, by name and order, and spike times (ms) of the code as it stands."""
    library = compile_mods(mods_beside(file))
    asked = json.dumps([str(file), str(library) if library else None, template, duration])
    done = subprocess.run([sys.executable, "-c", ORIGINAL, asked], capture_output=True, text=True, cwd="/",
                          check=False)  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("@")), None)
    assert line is not None, done.stderr[-2000:]
    traces, spikes = json.loads(line[1:])
    return traces, spikes


def run(network: Network, duration: float) -> tuple[dict[str, Any], Any]:
    """The same of an imported network of single cells."""
    columns = []
    for population in network.populations.values():
        cell = network.native[population.component]
        if isinstance(cell, NativeCell):
            columns += [(f"{population.id}[0]/{s.name}(0.5)/v", s.name) for s in cell.sections]
    simulation = replace(network.settings, duration=duration, outputs=saved({"v.dat": [q for q, _ in columns]}, []))
    results = simulate_network(network, simulation)
    return dict(zip([name for _, name in columns], results.traces.values * 1e3, strict=True)), results


def worst(traces: dict[str, Any], network: Network, duration: float) -> float:
    """The largest difference (mV) of any section of a single cell."""
    found, _ = run(network, duration)
    named = {name.rpartition("(")[0]: np.array(values) for name, values in traces.items()}
    assert set(named) == set(found)
    return max(float(np.abs(named[name][: len(v)] - v).max()) for name, v in found.items())


def demos() -> Path:
    """The folder of the models that come with NEURON; skips where there is none."""
    package = find_spec("neuron")
    places = [Path(p) for p in (package.submodule_search_locations or [])] if package else []
    for place in places:
        for folder in (place / ".data" / "share" / "nrn" / "demo", place.parents[2] / "share" / "nrn" / "demo"):
            if (folder / "pyramid.nrn").is_file():
                return folder
    pytest.skip("this NEURON has no demo models")


PYRAMID = """
load_file("stdrun.hoc")
xopen("pyramid.nrn")
access soma
forall { nseg = L/50 + 1  Ra = 100  insert pas  g_pas = .0001  e_pas = -65 }
soma { uninsert pas insert hh }
dendrite_5[0] { uninsert pas insert hh }
celsius = 15
objref clamp
clamp = new IClamp(0.5)
clamp.del = 2
clamp.dur = 20
clamp.amp = 1
tstop = 25
"""


def test_the_pyramidal_cell_that_comes_with_neuron(tmp_path: Path) -> None:
    """79 sections of 2018 points."""
    shutil.copy(demos() / "pyramid.nrn", tmp_path)
    (tmp_path / "cell.hoc").write_text(PYRAMID)
    traces, _ = original(tmp_path / "cell.hoc", 25.0)
    network = nmlbridge.read(tmp_path / "cell.hoc", allow=("code",))
    assert len(traces) == 79 and max(max(v) for v in traces.values()) > 20
    assert worst(traces, network, 25.0) < 1e-9
    # and on to NeuroML, where what is left is hh's table and the points' single precision
    nmlbridge.write(network, tmp_path / "LEMS_cell.xml")
    exported = nmlbridge.simulate(tmp_path / "LEMS_cell.xml", method="implicit").traces.values[0] * 1e3
    soma = np.array(next(v for n, v in traces.items() if n.startswith("soma(")))
    assert np.ptp(soma) > 50
    assert np.abs(soma - exported).max() < 1.2  # on the flank of the spike; hh with and without its table differ by 1.1


TEMPLATE = """
begintemplate Pyr
public soma, dend, axon, all
create soma, dend[2], axon
objref all, clamp
proc init() {
  soma { L = 25  diam = 18 }
  dend[0] { nseg = 5  pt3dadd(0, 25, 0, 3)  pt3dadd(10, 100, 5, 2)  pt3dadd(20, 210, -4, 1) }
  dend[1] { L = 150  diam = 1.2  nseg = 3 }
  axon { L = 300  diam = 1  nseg = 7 }
  connect dend[0](0), soma(1)
  connect dend[1](0), dend[0](0.3)
  connect axon(1), soma(0)
  all = new SectionList()
  forall { all.append()  Ra = 120  cm = 1.1  insert pas  g_pas = 5e-5  e_pas = -67 }
  soma { insert HHna insert HHk insert cachan1 insert cadifpmp imax_cachan1 = 0.5  ena = 55  ek = -80  cai = 1e-4 }
  axon { insert HHna insert HHk gnabar_HHna(0:1) = 0.2:0.05 }
  dend[0] insert nacax
  soma clamp = new IClamp(0.5)
  clamp.del = 5
  clamp.dur = 30
  clamp.amp = 0.4
}
endtemplate Pyr
celsius = 20
rfac_cachan1 = 2
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template with the mechanisms that come with NEURON, published ones, not all of them thread-safe."""
    (tmp_path / "mod").mkdir()
    for name in ("nachan", "khhchan", "cachan1", "cabpump", "nacaex", "capump"):
        shutil.copy(demos() / "release" / f"{name}.mod", tmp_path / "mod")
    (tmp_path / "pyr.hoc").write_text(TEMPLATE)
    return tmp_path / "pyr.hoc"


def test_a_template_with_mod_files(template: Path) -> None:
    traces, _ = original(template, 40.0, "Pyr")
    report = Report()
    network = read(template, report, allow=("code", "mods"))
    assert sorted(network.mods) == ["cabpump.mod", "cachan1.mod", "khhchan.mod", "nacaex.mod", "nachan.mod"]
    assert max(max(v) for v in traces.values()) > 10
    assert worst(traces, network, 40.0) < 1e-9
    assert "neuron-globals" in {note.code for note in report}
    results = nmlbridge.simulate(template, duration=1.0, allow=("code", "mods"))  # whole, from the file
    assert set(results.provenance["mods"]) == set(network.mods)
    assert all(len(digest) == 64 for digest in results.provenance["mods"].values())
    cell = network.native["Pyr"]
    assert isinstance(cell, NativeCell) and sorted(cell.section_lists["all"]) == [0, 1, 2, 3]


def test_templates_with_other_globals_in_one_network(template: Path) -> None:
    """Published channels, whose GLOBALs two templates set otherwise: each cell does what its own script does."""
    other = template.with_name("late.hoc")
    text = TEMPLATE.replace("template Pyr", "template Late")
    other.write_text(text.replace("rfac_cachan1 = 2", "rfac_cachan1 = 0.2\nbeta_cadifpmp = 10"))
    cells = {name: {"template": name, "file": file.name} for name, file in (("Pyr", template), ("Late", other))}
    places = ("soma", "axon")
    record = {f"{name}_{place}": {"cells": f"P{name}", "at": place} for name in cells for place in places}
    model = {"cells": cells, "populations": {f"P{name}": {"cell": name, "number": 1} for name in cells},
             "mods": ["mod"], "run": {"duration": 40, "dt": 0.025}, "record": record}  # fmt: skip
    report = Report()
    built = build(Specification.of(model, template.parent), allow=("code", "mods"), report=report)
    simulation = replace(built.simulation, method="implicit")
    results = simulate_network(built.network, simulation)
    found = {}
    for name, file in (("Pyr", template), ("Late", other)):
        traces, _ = original(file, 40.0, name)
        for place in places:
            theirs = np.array(next(v for n, v in traces.items() if n.startswith(f"{place}(")))
            ours = results.traces.values[list(record).index(f"{name}_{place}")] * 1e3
            assert np.abs(ours - theirs[: len(ours)]).max() < 1e-9
            found[name] = ours
    assert np.abs(found["Pyr"] - found["Late"]).max() > 0.5
    told = "\n".join(str(note) for note in report if note.code == "mods")
    assert "'rfac' of 'cachan1' is 0.2 here and 2 for cells.Pyr.file" in told
    assert "'beta' of 'cadifpmp' is 10 here and 50 for cells.Pyr.file" in told  # GLOBAL, as nothing says RANGE


NETWORK = """
from neuron import h
h.load_file("stdrun.hoc")

class Cell:
    def __init__(self, gid):
        self.soma, self.dend = h.Section(name="soma", cell=self), h.Section(name="dend", cell=self)
        self.dend.connect(self.soma(1))
        x = 100 * gid + 0.1
        for section, points in ((self.soma, [(0, 20), (20, 20)]), (self.dend, [(20, 2), (220, 1)])):
            for y, d in points:
                section.pt3dadd(x, y, 0, d)
            section.Ra = 100
        self.dend.nseg = 5
        self.soma.insert("hh"); self.dend.insert("pas"); self.dend.e_pas = -65
        self.syn = h.Exp2Syn(self.dend(0.5)); self.syn.tau1, self.syn.tau2 = 0.5, 2 + gid

cells = [Cell(i) for i in range(3)]
stim = h.NetStim(); stim.number, stim.start, stim.interval = 4, 5, 10
wires = [h.NetCon(stim, cells[0].syn, 0, 1, 0.04)]
for a, b in ((0, 1), (1, 2), (2, 0)):
    wire = h.NetCon(cells[a].soma(0.5)._ref_v, cells[b].syn, sec=cells[a].soma)
    wire.threshold, wire.weight[0], wire.delay = 0, 0.03, 2 + a
    wires.append(wire)
h.tstop = 40
h.celsius = 10
"""


def test_a_network_built_in_python(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    _, spikes = original(tmp_path / "net.py", 40.0)
    network = read(tmp_path / "net.py", allow=("code",))
    assert network.populations["Cell_pop"].size == 3 and network.connections == 4
    results = simulate_network(network, network.settings)
    ours = np.sort(results.spikes.time[results.spikes.gid < 3]) * 1e3
    assert len(spikes) >= 9
    np.testing.assert_allclose(ours, spikes, atol=1e-9)


LIVE = """
import json, sys
import nmlbridge
{code}
network = nmlbridge.from_neuron(h)
nmlbridge.write(network, sys.argv[1])
print(json.dumps(network.summary()))
"""


def test_a_live_model_becomes_a_file(tmp_path: Path) -> None:
    target = tmp_path / "LEMS_live.xml"
    code = LIVE.format(code=NETWORK)
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["connections"] == 4
    assert nmlbridge.read(target).populations["Cell_pop"].size == 3


def test_code_runs_only_where_it_is_allowed(template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--allow-code"):
        nmlbridge.read(template)
    assert main(["convert", str(template), str(tmp_path / "out.nml")]) != 0
    assert "--allow-code" in capsys.readouterr().err
    with pytest.raises(DocumentError, match=r"HHna is not a MECHANISM.*--allow-mods"):
        nmlbridge.read(template, allow=("code",))
    assert not (tmp_path / "out.nml").exists()


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.hoc", 'load_file("stdrun.hoc")\ncreate soma\nsoma { L = = 3 }\n', 3, "syntax error"),
        ("a.py", "from neuron import h\n\nsoma = h.Section(name='s')\nsoma.nonsense(3)\n", 4, "nonsense"),
        ("a.py", "from neuron import h\nimport sys\nsys.exit(3)\n", 3, "SystemExit"),
        ("b.py", "from neuron import h\nx = 1\n", None, "no template"),
        ("b.hoc", "begintemplate A\nendtemplate A\nbegintemplate B\nendtemplate B\n", None, "several templates"),
    ],
)
def test_what_goes_wrong_in_the_code_is_said(
    tmp_path: Path, name: str, text: str, line: int | None, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DocumentError) as raised:
        read(tmp_path / name, allow=("code",))
    assert words in str(raised.value) and raised.value.line == line and raised.value.file == str(tmp_path / name)


def test_a_fault_in_a_file_that_is_loaded_is_placed_there(tmp_path: Path) -> None:
    (tmp_path / "top.hoc").write_text('load_file("stdrun.hoc")\nload_file("below.hoc")\n')
    (tmp_path / "below.hoc").write_text("create soma\n\nsoma { L = = 3 }\n")
    with pytest.raises(DocumentError, match="syntax error") as raised:
        read(tmp_path / "top.hoc", allow=("code",))
    assert Path(raised.value.file or "").name == "below.hoc" and raised.value.line == 3


def test_mod_files_are_told_by_what_they_define() -> None:
    text = """
    COMMENT SUFFIX wrong ENDCOMMENT
    NEURON { SUFFIX right : SUFFIX other
      RANGE g  GLOBAL a, b
      GLOBAL c }
    PARAMETER { g = 1 (S/cm2)  a = -2.5e-3 (mV)  b = 4  d = 5 }
    ASSIGNED { c }
    """
    assert mechanism_of(text) == "right"
    assert global_parameters(text) == {"a": -0.0025, "b": 4.0, "d": 5.0}  # d is GLOBAL as it is not RANGE
    assert global_parameters(with_globals(text, {"a": 7.0})) == {"a": 7.0, "b": 4.0, "d": 5.0}
