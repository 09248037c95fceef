"""Native cells and processes: a Network gives the numbers of a NEURON script that builds the same thing by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nmlbridge.errors import ModelError, NetworkError, SimulatorError, UnsupportedError
from nmlbridge.graph import (
    InputList,
    NativeCell,
    NativePoint,
    NativeProcess,
    NativeSection,
    Network,
    Population,
    Projection,
)
from nmlbridge.results import Simulation, saved
from nmlbridge.simulator.run import simulate_network

SCRIPT = """
import json
from neuron import h
h.load_file("stdrun.hoc")
cells = []
class Cell:
    def __init__(self, n):
        self.n = n
        self.soma, self.dend = h.Section(name="soma", cell=self), h.Section(name="dend", cell=self)
        self.soma.L = self.soma.diam = 18.8
        self.soma.Ra = self.dend.Ra = 123.0
        self.dend.L, self.dend.nseg = 150.0, 5
        for segment, diam in zip(self.dend, (2.0, 1.8, 1.6, 1.4, 1.2)):
            segment.diam = diam
        self.dend.connect(self.soma(1.0), 0)
        self.soma.insert("hh")
        self.soma.gnabar_hh, self.soma.el_hh, self.soma.ek = 0.11, -70, -80
        self.dend.insert("pas")
        for segment, g in zip(self.dend, (1e-4, 2e-4, 3e-4, 4e-4, 5e-4)):
            segment.g_pas = g
        self.dend.e_pas = -70
    def __str__(self):
        return f"Cell{self.n}"
pc = h.ParallelContext()
cells = [Cell(n) for n in range(4)]
for gid, cell in enumerate(cells):
    pc.set_gid2node(gid, 0)
    netcon = h.NetCon(cell.soma(0.5)._ref_v, None, sec=cell.soma)
    netcon.threshold = 5.0
    pc.cell(gid, netcon)
keep = []
for gid, cell in enumerate(cells):
    synapse = h.Exp2Syn(cell.dend(0.7))
    synapse.tau1, synapse.tau2, synapse.e = 0.8, 5.3, 0.0
    netcon = pc.gid_connect((gid + 1) % 4, synapse)
    netcon.weight[0], netcon.delay = 0.004 + 0.001 * gid, 2.0 + 0.37 * gid
    drive = h.Exp2Syn(cell.dend(0.7))
    drive.tau1, drive.tau2, drive.e = 0.8, 5.3, 0.0
    stim = h.NetStim()
    stim.interval, stim.number, stim.start, stim.noise = 12.0, 1e9, 3.0, 0.7
    stim.noiseFromRandom123(11, gid, 3)
    link = h.NetCon(stim, drive)
    link.weight[0], link.delay = 0.01, 1.1
    keep += [synapse, netcon, drive, stim, link]
clamp = h.IClamp(cells[2].soma(0.5))
clamp.delay, clamp.dur, clamp.amp = 20.0, 50.0, 0.3
train = h.NetCon(None, keep[2])
train.weight[0], train.delay = 0.02, 1.0
start = h.FInitializeHandler(1, lambda: [train.event(t + 1.0) for t in (5.0, 33.333)])
v, times, gids = h.Vector().record(cells[1].dend(0.9)._ref_v), h.Vector(), h.Vector()
pc.spike_record(-1, times, gids)
h.celsius, h.dt = 6.3, 0.025
pc.set_maxstep(10)
h.finitialize(-65)
pc.psolve(200)
print(json.dumps({"v": list(v), "times": list(times), "gids": list(gids)}))
"""


def cell() -> NativeCell:
    soma = NativeSection(
        "soma", L=18.8, diam=18.8, Ra=123.0, mechanisms={"hh": {"gnabar": 0.11, "el": -70.0}}, ions={"k": {"e": -80.0}}
    )
    dend = NativeSection(
        "dend", 0, L=150.0, diam=(2.0, 1.8, 1.6, 1.4, 1.2), nseg=5, Ra=123.0,
        mechanisms={"pas": {"g": (1e-4, 2e-4, 3e-4, 4e-4, 5e-4), "e": -70.0}},
    )  # fmt: skip
    return NativeCell("pyr", (soma, dend), threshold=5.0)


def network() -> Network:
    rows = np.arange(4)
    parts = [
        cell(),
        NativeProcess("exc", "Exp2Syn", "synapse", {"tau1": 0.8, "tau2": 5.3, "e": 0.0}),
        NativeProcess(
            "noise", "NetStim", "source", {"interval": 12.0, "number": 1e9, "start": 3.0, "noise": 0.7}, "exc"
        ),
        NativeProcess("step", "IClamp", "input", {"delay": 20.0, "dur": 50.0}),
        NativeProcess("given", "VecStim", "source"),
    ]
    given = Population.sized("given", "given", 1, train_rows=np.zeros(2, int), train_times=np.array([5.0, 33.333]))
    ring = Projection(
        "ring", "chemical", "pyr", "pyr", (rows + 1) % 4, rows, weight=0.004 + 0.001 * rows, delay=2.0 + 0.37 * rows,
        post_segment=np.ones(4, int), post_fraction=np.full(4, 0.7), synapses=("exc",),
    )  # fmt: skip
    train = Projection(
        "train", "chemical", "given", "pyr", np.zeros(1, int), np.zeros(1, int), weight=np.array([0.02]),
        delay=np.array([1.0]), post_segment=np.ones(1, int), post_fraction=np.full(1, 0.7), synapses=("exc",),
    )  # fmt: skip
    noise = InputList(
        "bkg", "noise", "pyr", rows, segment=np.ones(4, int), fraction=np.full(4, 0.7), weight=np.full(4, 0.01),
        delay=np.full(4, 1.1), random=np.stack([np.full(4, 11), rows, np.full(4, 3)], axis=1),
    )  # fmt: skip
    step = InputList("step", "step", "pyr", np.array([2]), values={"amp": np.array([0.3])})
    return Network(
        "net", {"pyr": Population.sized("pyr", "pyr", 4), "given": given}, [ring, train], [noise, step],
        native={part.id: part for part in parts}, temperature=6.3 + 273.15,
    )  # fmt: skip


pytestmark = pytest.mark.neuron

RUN = Simulation(200.0, 0.025, method="implicit", v_init=-65.0)


def run(net: Network, quantities: list[str], ranks: int = 1):
    outputs = saved({"traces.dat": quantities}, [f"pyr[{row}]" for row in range(4)])
    return simulate_network(net, replace(RUN, outputs=outputs), ranks=ranks)


def test_the_same_as_a_neuron_script() -> None:
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    expected = json.loads(said.splitlines()[-1])
    results = run(network(), ["pyr[1]/dend(0.9)/v"])
    trains = results.spikes
    cells = trains.gid < 4  # the player of the train is the fifth
    spikes = sorted(zip(trains.time[cells] * 1e3, trains.gid[cells], strict=True))
    assert len(spikes) > 20
    assert np.allclose([t for t, _ in spikes], sorted(expected["times"]), rtol=0, atol=1e-9)
    assert [gid for _, gid in spikes] == [
        gid for _, gid in sorted(zip(expected["times"], expected["gids"], strict=True))
    ]
    # shared synapses add up in another order than the script's: no more than rounding
    assert np.abs(results["pyr[1]/dend(0.9)/v"] * 1e3 - expected["v"]).max() < 1e-8


def test_what_can_be_recorded() -> None:
    paths = ["pyr[0]/v", "pyr[0]/soma(0.5)/hh/m", "pyr[0]/soma(0.5)/ina", "pyr[0]/exc/g", "pyr[2]/step/i", "pyr[3]/1/v"]
    results = run(network(), paths)
    assert 0 <= results["pyr[0]/soma(0.5)/hh/m"].min() < results["pyr[0]/soma(0.5)/hh/m"].max() <= 1
    assert results["pyr[0]/exc/g"].max() > 1e-9  # S
    assert results["pyr[2]/step/i"].max() == pytest.approx(0.3e-9)
    assert results["pyr[0]/soma(0.5)/ina"].min() < -1  # A/m2


@pytest.mark.parametrize(
    ("path", "words"),
    [("pyr[0]/axon(0.5)/v", "there is no section 'axon'"), ("pyr[0]/dend(0.5)/hh/m", "has no mechanism 'hh'")],
)
def test_what_cannot_be_recorded(path: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        run(network(), [path])


def test_an_unknown_mechanism_or_parameter_is_named() -> None:
    net = network()
    net.native["exc"] = replace(net.native["exc"], mechanism="Exp3Syn")
    with pytest.raises(SimulatorError, match="Exp3Syn"):
        run(net, [])
    net.native["exc"] = NativeProcess("exc", "ExpSyn", "synapse", {"tau9": 1.0})
    with pytest.raises(SimulatorError, match="tau9"):
        run(net, [])
    net.native["exc"] = NativeProcess("exc", 'x")', "synapse", {})
    with pytest.raises(UnsupportedError, match="cannot be the name"):
        run(net, [])


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ((), "no sections"),
        ((NativeSection("a", 0),), "its parent must"),
        ((NativeSection("a"), NativeSection("a")), "used twice"),
        ((NativeSection("a", nseg=0),), "nseg"),
        ((NativeSection("a", L=-1.0),), "'a': L is -1"),
        ((NativeSection("a", nseg=3, cm=(1.0, 2.0)),), "2 values for 3 segments"),
        ((NativeSection("a", mechanisms={"pas": {"g": float("nan")}}),), "pas.g is not a finite"),
        ((NativeSection("a", points=np.zeros((3, 3))),), "shape"),
    ],
)
def test_cells_that_cannot_be(sections: tuple[NativeSection, ...], words: str) -> None:
    with pytest.raises(NetworkError, match=words) as raised:
        NativeCell("c", sections)
    assert raised.value.component == "c"


def test_a_row_on_a_section_that_is_not_there() -> None:
    net = network()
    with pytest.raises(NetworkError, match="section 1 of 'pyr'"):
        Network("net", net.populations, net.projections, net.inputs, native=net.native | {
            "pyr": NativeCell("pyr", (NativeSection("soma"),))
        })  # fmt: skip


def test_artificial_cells_and_processes_of_a_cell() -> None:
    """An IntFire1 that gets two events of weight 0.6 within a time constant fires; a cell's ExpSyn gets them too."""
    owner = NativeCell("owner", (NativeSection("s", mechanisms={"pas": {}}),), points=(NativePoint("ExpSyn"),))
    native = {
        "given": NativeProcess("given", "VecStim", "source"),
        "fire": NativeProcess("fire", "IntFire1", "source", {"tau": 10.0, "refrac": 5.0}),
        "port": NativeProcess("port", "", "port"),
        "owner": owner,
    }
    populations = {
        "given": Population.sized("given", "given", 1, train_rows=np.zeros(3, int),
                                  train_times=np.array([5.0, 7.0, 50.0])),
        "fire": Population.sized("fire", "fire", 1),
        "owner": Population.sized("owner", "owner", 1),
    }  # fmt: skip
    one = np.zeros(1, int)
    links = [
        Projection(f"to_{post}", "chemical", "given", post, one, one, weight=np.array([0.6]), delay=np.array([1.0]),
                   synapses=("port",))
        for post in ("fire", "owner")
    ]  # fmt: skip
    net = Network("net", populations, links, native=native, temperature=280.0)
    outputs = saved({"t.dat": ["owner[0]/ExpSyn/g"]}, [])
    results = simulate_network(net, Simulation(60.0, method="implicit", outputs=outputs))
    assert results.spikes.of("fire") == pytest.approx([8e-3])
    assert results.spikes.of("given") == pytest.approx([5e-3, 7e-3, 50e-3])
    assert results["owner[0]/ExpSyn/g"].max() > 0.4e-6
