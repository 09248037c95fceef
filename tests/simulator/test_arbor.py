"""Projects for Arbor: what is written, and that Arbor gives the spikes and voltages of `nmlbridge run`.

Both integrate the same equations over the same division of the cable by implicit Euler steps. What differs is the order
of updates inside a step, an error of first order: a spike may be a step or two off, and on its flank (about 100 mV/ms)
that is some mV. The tolerances follow from that.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import UnsupportedError
from nmlbridge.graph import InputList, NativeCell, NativeProcess, NativeSection, Network, Population, Projection
from nmlbridge.lems.expression import parse
from nmlbridge.nmodl.arbor import to_arbor
from nmlbridge.nmodl.mod import If, Line, Mod, Rate, Set
from nmlbridge.report import Report
from nmlbridge.results import Simulation, elements_of, saved

needs_arbor = pytest.mark.skipif(
    find_spec("arbor") is None or shutil.which("cmake") is None, reason="Arbor or CMake is not installed"
)


def model() -> Network:
    """Two branched cells with hh (NEURON joins a branch in the middle of a compartment, Arbor where it is: here the
    same), a given train that drives the first through Exp2Syn, which drives the second."""
    soma = NativeSection("soma", L=20.0, diam=20.0, mechanisms={"hh": {}})
    points = np.array([[0.0, 20, 0, 2], [0, 80, 0, 1], [5, 120, 0, 1]])
    dend = NativeSection("dend", 0, points=points, nseg=3, Ra=120.0, cm=(1.0, 1.5, 2.0),
                         mechanisms={"pas": {"g": (1e-4, 2e-4, 3e-4), "e": -65.0}})  # fmt: skip
    twig = NativeSection("twig", 1, 0.5, L=60.0, diam=0.8, mechanisms={"pas": {"g": 1e-4, "e": -65.0}})
    parts = [
        NativeCell("cell", (soma, dend, twig), threshold=0.0),
        NativeProcess("exc", "Exp2Syn", "synapse", {"tau1": 0.5, "tau2": 3.0}),
        NativeProcess("played", "VecStim", "source"),
        NativeProcess("pulse", "IClamp", "input", {"delay": 30.0, "dur": 5.0, "amp": 0.4}),
    ]
    populations = [
        Population.sized("p", "cell", 2),
        Population.sized("s", "played", 1, train_rows=np.zeros(2, np.int64), train_times=np.array([3.0, 20.0])),
    ]
    one, other = np.array([0]), np.array([1])
    projections = [
        Projection("sp", "chemical", "s", "p", one, one, post_segment=other, weight=np.array([0.03]),
                   delay=np.array([1.0]), synapses=("exc",)),
        Projection("pp", "chemical", "p", "p", one, other, post_segment=other, post_fraction=np.array([0.9]),
                   weight=np.array([0.04]), delay=np.array([1.5]), synapses=("exc",)),
    ]  # fmt: skip
    network = Network("net", {p.id: p for p in populations}, projections, [InputList("i", "pulse", "p", other)],
                      native={p.id: p for p in parts}, temperature=279.45)  # fmt: skip
    traces = ["p[0]/v", "p[1]/v", "p[1]/dend(0.9)/v", "p[0]/twig(0.5)/v"]
    network.settings = Simulation(40.0, 0.01, method="implicit", outputs=saved({"v.dat": traces}, ["p[0]", "p[1]"]))
    network.simulation = elements_of(network.settings, "net")
    return network


def run(project: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "run.py", *words], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]


def test_the_project_is_a_script_and_data(tmp_path: Path) -> None:
    report = Report()
    nmlbridge.write(model(), tmp_path / "project", format="arbor", report=report)
    project = tmp_path / "project"
    ast.parse((project / "run.py").read_text())
    document = json.loads((project / "model" / "model.json").read_text())
    (cell,) = document["cells"]
    assert len(cell["compartments"]) == 5  # soma, three of dend, twig
    # dend is cut at the borders of its compartments and where the twig begins
    assert sum(1 < segment[1] < 5 for segment in cell["segments"]) == 5
    assert {p.name.split("_")[0] for p in (project / "model" / "mod").iterdir()} == {"hh", "pas", "exc"}
    assert [c["current"] for c in document["clamps"]] == [0.4]
    assert "model" in (project / "README.md").read_text() and not report.losses


@needs_arbor
def test_arbor_gives_the_spikes_and_voltages_of_a_network(tmp_path: Path) -> None:
    network = model()
    nmlbridge.write(network, tmp_path / "project", format="arbor")
    run(tmp_path / "project", "-o", "out")
    nmlbridge.write(network, tmp_path / "LEMS_net.xml")
    ours = nmlbridge.simulate(tmp_path / "LEMS_net.xml", method="implicit")
    run(tmp_path / "project", "--acc", "cells")
    assert "cable-cell" in (tmp_path / "project" / "cells" / "p.acc").read_text()
    lines = [line.split() for line in (tmp_path / "project" / "out" / "spikes.dat").read_text().splitlines()]
    for row, name in enumerate(("p[0]", "p[1]")):
        times = np.array([float(time) for id, time in lines if id == name])
        expected = ours.spikes.time[ours.spikes.gid == row]
        assert len(times) == len(expected) >= 2
        assert np.abs(times - expected).max() < 0.02e-3  # two steps
    table = np.loadtxt(tmp_path / "project" / "out" / "v.dat")
    apart = np.abs(table[:, 1:].T - ours.traces.values).max(axis=1)
    assert apart[[0, 3]].max() < 5e-5  # driven by events of a given train
    assert apart[[1, 2]].max() < 2.5e-3  # by events that are dated within a step by Arbor, at its end by NEURON
    quiet = table[:, 0] < 3e-3  # before anything happens both rest at the same voltage
    assert np.abs(table[quiet, 1:].T - ours.traces.values[:, quiet]).max() < 1e-5


@needs_arbor
def test_a_published_cell_with_calcium_converges_to_our_spikes(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "ACnet2" / "neuroConstruct" / "generatedNeuroML2" / "LEMS_TwoCell.xml"
    nmlbridge.convert(source, tmp_path / "project", target_format="arbor")
    spikes = []
    for dt in ("0.02", "0.005"):
        run(tmp_path / "project", "-o", dt, "--dt", dt, "--duration", "250")
        spikes.append(crossings(np.loadtxt(tmp_path / "project" / dt / "pyramidals_0.1.dat")))
    results = nmlbridge.simulate(source, duration=250.0, output=tmp_path / "ours")  # of second order
    truth = crossings(np.loadtxt(tmp_path / "ours" / "pyramidals_0.1.dat"))
    assert results.spikes is not None and len(truth) == len(spikes[0]) == len(spikes[1]) == 6
    coarse, fine = (np.abs(times - truth).max() for times in spikes)
    assert fine < 0.25e-3 and fine < coarse / 3  # of first order: a quarter of the step, a quarter of the error


def crossings(table: np.ndarray) -> np.ndarray:
    """Times (s) at which the first column comes above -20 mV."""
    time, v = table[:, 0], table[:, 1] + 0.02
    rows = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    crossed: np.ndarray = time[rows] - v[rows] * (time[rows + 1] - time[rows]) / (v[rows + 1] - v[rows])
    return crossed


def test_what_arbor_has_not_is_named(corpus: Path, tmp_path: Path) -> None:
    examples = corpus / "NeuroML2" / "LEMSexamples"
    report = Report()
    nmlbridge.convert(examples / "LEMS_NML2_Ex5_DetCell.xml", tmp_path / "a", target_format="arbor", report=report)
    assert any("gDensity" in note.message for note in report.losses)
    with pytest.raises(UnsupportedError, match="morphology"):
        nmlbridge.convert(examples / "LEMS_NML2_Ex2_Izh.xml", tmp_path / "b", target_format="arbor")
    assert not (tmp_path / "b").exists()


def mod(**blocks: Any) -> Mod:
    return Mod("m", "POINT_PROCESS", ("test",), current=("NONSPECIFIC_CURRENT", "i"), states=("g",), **blocks)


def test_the_dialect() -> None:
    text = to_arbor(mod(
        parameters={"w": 2.0},
        breakpoint=(Set("k", parse("w^2 + w^0.5")), Line("SOLVE states METHOD cnexp"), Line("CONDUCTANCE k"),
                    Set("i", parse("k * g * ln(w)"))),
        derivative=(Rate("g", parse("-g")),), net_args=("x",),
        net_receive=(If(((parse("flag .eq. 0"), (Set("g", parse("g + x")),)),)),),
    ))  # fmt: skip
    breakpoint = text[text.index("BREAKPOINT") :]
    assert breakpoint.index("SOLVE") < breakpoint.index("LOCAL k")
    assert "CONDUCTANCE" not in text and "flag" not in text and "RANGE w" in text and "THREADSAFE" not in text
    assert "(w * w)" in text and "exp((0.5 * log(w)))" in text and "NET_RECEIVE(x)" in text
    for wrong, words in (
        (mod(breakpoint=(Set("i", parse("g * t")),)), "time"),
        (mod(breakpoint=(Set("i", parse("g * sinh(v)")),)), "sinh"),
        (mod(net_args=("x",), net_receive=(Line("net_send({0}, 1)", (parse("x"),)),)), "events"),
        (mod(random=True), "random"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            to_arbor(wrong)
