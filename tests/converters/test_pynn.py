"""PyNN: the script runs, builds the network that it was made of, and gives its spikes; nothing of a model is code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import Network, convert, read, simulate
from nmlbridge.converters.pynn import from_pynn
from nmlbridge.errors import DocumentError, NetworkError, UnsupportedError, UsageError
from nmlbridge.registry import formats
from nmlbridge.report import Report

from .contract import alike

CELL = 'cm="{}" i_offset="{}" tau_syn_E="5" tau_syn_I="8" v_init="-65" tau_m="20" tau_refrac="2" v_reset="-65" ' \
    'v_rest="-65" v_thresh="-50" e_rev_E="0" e_rev_I="-80"'
MODEL = f"""<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="PyNN.xml"/>
<IF_cond_exp id="exc" {CELL.format("1.0", "1.1")}/><IF_cond_exp id="inh" {CELL.format("0.5", "0.0")}/>
<iafRefCell id="own" leakReversal="-65mV" thresh="-50mV" reset="-70mV" C="0.2nF" leakConductance="10nS" refract="3ms"/>
<expCondSynapse id="ampa" tau_syn="5" e_rev="0"/><expCondSynapse id="gaba" tau_syn="8" e_rev="-80"/>
<expOneSynapse id="one" gbase="10nS" erev="0mV" tauDecay="4ms"/>
<pulseGenerator id="pulse" delay="20ms" duration="100ms" amplitude="0.3nA"/>
<spikeArray id="train"><spike id="0" time="10ms"/><spike id="1" time="12ms"/><spike id="2" time="30.5ms"/></spikeArray>
<network id="net"><population id="E" component="exc" size="3"/><population id="I" component="inh" size="2"/>
<population id="O" component="own" size="2"/><population id="S" component="train" size="1"/>
<projection id="EI" presynapticPopulation="E" postsynapticPopulation="I" synapse="ampa">
  <connectionWD id="0" preCellId="../E[0]" postCellId="../I[0]" weight="0.05" delay="1.5 ms"/>
  <connectionWD id="1" preCellId="../E[1]" postCellId="../I[1]" weight="0.03" delay="2 ms"/></projection>
<projection id="IE" presynapticPopulation="I" postsynapticPopulation="E" synapse="gaba">
  <connectionWD id="0" preCellId="../I[0]" postCellId="../E[2]" weight="0.02" delay="1 ms"/>
  <connectionWD id="1" preCellId="../I[1]" postCellId="../E[0]" weight="0.01" delay="3 ms"/></projection>
<projection id="EO" presynapticPopulation="E" postsynapticPopulation="O" synapse="one">
  <connectionWD id="0" preCellId="../E[2]" postCellId="../O[0]" weight="1" delay="1 ms"/></projection>
<projection id="SE" presynapticPopulation="S" postsynapticPopulation="E" synapse="ampa">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../E[1]" weight="0.1" delay="1 ms"/></projection>
<inputList id="list" population="O" component="pulse"><input id="0" target="../O[0]" destination="synapses"/>
  <input id="1" target="../O[1]" destination="synapses"/></inputList></network>
<Simulation id="sim" length="200ms" step="0.01ms" target="net">
  <OutputFile id="of" fileName="v.dat"><OutputColumn id="a" quantity="E[0]/v"/></OutputFile>
  <EventOutputFile id="ev" fileName="s.dat" format="ID_TIME">{{}}</EventOutputFile></Simulation>
<Target component="sim"/></Lems>"""
CELLS = [f"{id}[{row}]" for id, size in (("E", 3), ("I", 2), ("O", 2)) for row in range(size)]
EVENTS = "".join(f'<EventSelection id="{n}" select="{cell}" eventPort="spike"/>' for n, cell in enumerate(CELLS))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "LEMS_net.xml"
    path.write_text(MODEL.format(EVENTS))
    return path


def run(folder: Path, simulator: str) -> dict[str, list[float]]:
    """Run the script; spikes (ms) by the cell's path."""
    command = [sys.executable, "run.py", simulator]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    trains: dict[str, list[float]] = {}
    for line in (folder / "spikes.dat").read_text().splitlines():
        cell, time = line.split("\t")
        trains.setdefault(cell, []).append(float(time) * 1e3)
    return {cell: sorted(times) for cell, times in trains.items()}


def test_pynn_itself_takes_the_script(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyNN")
    report = Report()
    convert(model, tmp_path / "out", target_format="pynn", report=report)
    assert not report.losses
    run(tmp_path / "out", "mock")  # makes up its spikes, but builds and checks the network
    assert np.loadtxt(tmp_path / "out" / "v.dat").shape[1] == 2


@pytest.mark.neuron
def test_pynn_with_neuron_gives_the_same_spikes(model: Path, tmp_path: Path) -> None:
    pynn = pytest.importorskip("pyNN")
    if not list((Path(pynn.__path__[0]) / "neuron" / "nmodl").glob("*/*nrnmech.so")):
        pytest.skip("PyNN's mechanisms for NEURON are not compiled (nrnivmodl in pyNN/neuron/nmodl)")
    convert(model, tmp_path / "out", target_format="pynn")
    theirs = run(tmp_path / "out", "neuron")
    results = simulate(model)
    for number, cell in enumerate(CELLS):
        ours = np.sort(results.spikes.time[results.spikes.gid == number]) * 1e3
        # each spike is put on the grid of 0.01 ms by both, and one cell's goes on to the next
        assert len(ours) == len(theirs[cell]) and len(ours) > 0
        assert np.allclose(ours, theirs[cell], atol=0.1), cell


def test_a_network_that_pynn_built_comes_in(tmp_path: Path, model: Path) -> None:
    sim = pytest.importorskip("pyNN.mock")
    sim.setup(timestep=0.1)
    places = np.arange(9.0).reshape(3, 3)
    a = sim.Population(3, sim.IF_cond_exp(tau_m=[10.0, 12.0, 10.0], tau_syn_E=3.0), label="a")
    a.positions = places
    b = sim.Population(2, sim.IF_curr_alpha(), label="b", initial_values={"v": -60.0})
    s = sim.Population(1, sim.SpikeSourceArray(spike_times=[1.0, 2.5]), label="s")
    edges = [(0, 0, 0.5, 1.0), (1, 1, 0.25, 2.0), (2, 1, 0.1, 3.0)]
    ab = sim.Projection(a, b, sim.FromListConnector(edges), sim.StaticSynapse(), receptor_type="excitatory", label="ab")
    sa = sim.Projection(s, a, sim.AllToAllConnector(), sim.StaticSynapse(weight=0.01, delay=0.5), label="sa")
    pulse = sim.DCSource(amplitude=0.3, start=5.0, stop=20.0)
    network = from_pynn([a, b, s], [ab, sa], inputs={pulse: [b]})
    assert {p.id: p.size for p in network.populations.values()} == {"a_0": 2, "a_1": 1, "b": 2, "s": 1}
    assert network.populations["a_0"].positions.tolist() == places.T[[0, 2]].tolist()
    cells = {e.get("id"): e for e in network.components}
    assert [cells[network.populations[id].component].get("tau_m") for id in ("a_0", "a_1")] == ["10.0", "12.0"]
    assert cells[network.populations["b"].component].get("v_init") == "-60.0"
    rows = sorted((p.presynaptic, int(x), p.postsynaptic, int(y), float(w), float(d)) for p in network.projections
                  for x, y, w, d in zip(p.pre, p.post, p.weight, p.delay, strict=True))  # fmt: skip
    assert rows == [("a_0", 0, "b", 0, 0.5, 1.0), ("a_0", 1, "b", 1, 0.1, 3.0), ("a_1", 0, "b", 1, 0.25, 2.0),
                    ("s", 0, "a_0", 0, 0.01, 0.5), ("s", 0, "a_0", 1, 0.01, 0.5),
                    ("s", 0, "a_1", 0, 0.01, 0.5)]  # fmt: skip
    assert [(i.population, i.target.tolist()) for i in network.inputs] == [("b", [0, 1])]
    formats()["neuroml"].write(network, tmp_path / "net.nml")
    assert alike(network, read(tmp_path / "net.nml"), {"networks", "weights", "delays", "inputs", "components"}) == []

    with pytest.raises(UnsupportedError, match="Izhikevich"):
        from_pynn([sim.Population(1, sim.Izhikevich(), label="z")])
    with pytest.raises(NetworkError, match="was not given"):
        from_pynn([a], [ab])


@pytest.mark.neuron
def test_a_script_goes_out_and_comes_back(model: Path, tmp_path: Path) -> None:
    """The script that is written is run, up to its simulation, and gives the model's spikes."""
    pytest.importorskip("pyNN")
    convert(model, tmp_path / "out", target_format="pynn")
    back = tmp_path / "LEMS_back.xml"
    convert(tmp_path / "out" / "run.py", back, allow=("code",))
    ours, theirs = simulate(back), simulate(model)
    assert ours.traces.quantities == ("E[0]/v",)
    assert len(theirs.spikes) > 20
    for id in ("E", "I", "O"):
        for row in range(3 if id == "E" else 2):
            assert np.allclose(ours.spikes.of(id, row), theirs.spikes.of(id, row), rtol=0, atol=2e-5), (id, row)


SCRIPT = """
from pyNN.utility import get_simulator
sim, options = get_simulator()
sim.setup(timestep=0.05, min_delay=0.1)
cells = sim.Population(20, sim.IF_curr_exp(tau_m=15.0), label="cells")
noise = sim.Population(5, sim.SpikeSourcePoisson(rate=50.0), label="noise")
sim.Projection(cells, cells, sim.FixedProbabilityConnector(0.3), sim.StaticSynapse(weight=0.1, delay=0.5))
sim.Projection(noise, cells, sim.AllToAllConnector(), sim.StaticSynapse(weight=0.5, delay=1.0), label="drive")
step = sim.DCSource(amplitude=0.4, start=10.0, stop=50.0)
step.inject_into(cells[0:3])
cells[7].inject(step)
cells.record("spikes")
cells[2:4].record("v")
sim.run(123.0)
raise RuntimeError("nothing is simulated")
"""


def test_a_script_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("pyNN")
    script = tmp_path / "net.py"
    script.write_text(SCRIPT)
    network = read(script, allow=("code",))
    assert {p.id: p.size for p in network.populations.values()} == {"cells": 20, "noise": 5}
    drive = next(p for p in network.projections if p.id == "drive")
    assert len(drive) == 100 and set(drive.weight.tolist()) == {0.5} and set(drive.delay.tolist()) == {1.0}
    recurrent = next(p for p in network.projections if p.id != "drive")
    assert 60 < len(recurrent) < 180
    assert sorted(row for i in network.inputs for row in i.target.tolist()) == [0, 1, 2, 7]
    simulation = next(e for e in network.simulation if e.tag == "Simulation")
    assert (simulation.get("length"), simulation.get("step")) == ("123.0 ms", "0.05 ms")
    columns = [c.get("quantity") for f in simulation.findall("OutputFile") for c in f.children]
    assert columns == ["cells[2]/v", "cells[3]/v"]
    assert [len(f.children) for f in simulation.findall("EventOutputFile")] == [20]
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("import pyNN.neuron as sim\nsim.setup()\nsim.Nothing()\n", 3, "Nothing"),
        ("import pyNN.nest as sim\nsim.setup(\n", 2, "SyntaxError"),
        ("import pyNN.nest as sim\nsim.setup()\nsim.Population(2, sim.Izhikevich())\nsim.run(1)\n", None, "Izhikevich"),
        ("import pyNN, os\nos._exit(3)\n", None, "code 3"),
    ],
)
def test_what_a_script_does_wrong_is_one_error(code: str, line: int | None, message: str, tmp_path: Path) -> None:
    pytest.importorskip("pyNN")
    script = tmp_path / "net.py"
    script.write_text(code)
    with pytest.raises(DocumentError, match=message) as raised:
        convert(script, tmp_path / "out.nml", allow=("code",))
    assert (raised.value.line, raised.value.file) == (line, str(script))
    assert not (tmp_path / "out.nml").exists()


def test_a_script_is_not_run_unasked(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text("import pyNN\nopen('ran', 'w')\n")
    with pytest.raises(UsageError, match="--allow-code"):
        convert(script, tmp_path / "out.nml")
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]


def test_what_pynn_has_no_receptor_for_is_said(tmp_path: Path) -> None:
    text = MODEL.format("").replace('synapse="gaba"', 'synapse="third"').replace(
        "<pulseGenerator", '<expCondSynapse id="third" tau_syn="1" e_rev="-90"/><pulseGenerator', 1)
    text = text.replace("</network>", """<projection id="more" presynapticPopulation="I" postsynapticPopulation="E"
        synapse="gaba"><connectionWD id="0" preCellId="../I[0]" postCellId="../E[0]" weight="1" delay="1ms"/>
        </projection></network>""")
    (tmp_path / "LEMS_net.xml").write_text(text)
    report = Report()
    convert(tmp_path / "LEMS_net.xml", tmp_path / "out", target_format="pynn", report=report)
    assert [note.code for note in report.losses] == ["projection-left-out"]


def test_text_of_a_model_is_never_code(tmp_path: Path) -> None:
    evil = "x'); import os; os.system('touch pwned')\n#"
    network = read(_small(tmp_path))
    population = network.populations["a"]
    network = Network(evil, {evil: type(population)(evil, "c", population.instance_ids)},
                      components=network.components)  # fmt: skip
    formats()["pynn"].write(network, tmp_path / "out")
    tree = ast.parse((tmp_path / "out" / "run.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"sys", "numpy"}


def _small(folder: Path) -> Path:
    path = folder / "LEMS_small.xml"
    path.write_text(f"""<Lems><Include file="Networks.xml"/><Include file="PyNN.xml"/>
        <IF_cond_exp id="c" {CELL.format("1", "0")}/><network id="n">
        <population id="a" component="c" size="2"/></network></Lems>""")
    return path


SOURCES = """
import pyNN.neuron as sim
sim.setup(timestep=0.05)
cells = sim.Population(3, sim.IF_curr_exp(tau_m=10.0, cm=1.0, v_rest=-65.0, v_thresh=1000.0), label="cells")
cells.initialize(v=-65.0)
cells[0].inject(sim.StepCurrentSource(times=[5.0, 15.0, 30.0], amplitudes=[0.2, 0.0, -0.1]))
cells[1].inject(sim.ACSource(amplitude=0.3, offset=0.1, frequency=50.0, phase=30.0, start=10.0, stop=45.0))
cells[2].inject(sim.NoisyCurrentSource(mean=0.2, stdev=0.4, start=0.0, stop=4000.0, dt=2.0))
cells.record("v")
sim.run(4000.0)
"""


@pytest.mark.neuron
def test_current_sources_of_a_script_run(tmp_path: Path) -> None:
    """Membranes of 10 MOhm and 10 ms: dv/dt = (-65 mV - v + R i(t)) / tau, solved here in steps of 5 us."""
    pytest.importorskip("pyNN")
    script = tmp_path / "sources.py"
    script.write_text(SOURCES)
    results = simulate(script, allow=("code",))
    early = results.time < 0.06
    fine = np.arange(0, 60, 0.005) + 0.0025
    steps = np.where((fine > 5) & (fine < 15), 0.2, 0) + np.where(fine > 30, -0.1, 0)
    wave = 0.1 + 0.3 * np.sin(2 * np.pi * 0.05 * (fine - 10) + np.pi / 6)
    for row, current in enumerate((steps, np.where((fine > 10) & (fine < 45), wave, 0))):
        v, keep = [0.0], np.exp(-0.0005)
        for i in current:
            v.append(v[-1] * keep + 10 * i * (1 - keep))
        exact = np.interp(results.time[early] * 1e3, np.arange(len(v)) * 0.005, v)
        assert np.allclose(results[f"cells[{row}]/v"][early] * 1e3 + 65, exact, rtol=0, atol=0.02)  # mV, of 2 and 3
    noisy = results["cells[2]/v"][results.time > 0.1] * 1e3 + 65
    kept = np.exp(-0.2)  # of a deviation, from one draw to the next
    spread = 10 * 0.4 * np.sqrt((1 - kept) / (1 + kept))  # where the current changes, every 2 ms
    assert noisy.mean() == pytest.approx(2.0, abs=4 * 4 * np.sqrt(2.0 / 3900))
    assert noisy.std() == pytest.approx(spread, rel=0.2)
