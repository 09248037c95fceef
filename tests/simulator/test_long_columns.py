"""Networks of any size: what is lowered block by block is what is lowered at once, and takes memory for a block."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import pile
from nmlbridge.builder import build, connect
from nmlbridge.graph import InputList, Network, Population, Projection
from nmlbridge.report import Report
from nmlbridge.results import Simulation
from nmlbridge.simulator.neuron.shares import divide
from nmlbridge.simulator.run import lowered_of

EXAMPLES = ["10_ping/ping", "11_thalamocortical/loop", "13_hippocampus/ca1", "18_learning/latency",
            "21_gap_junctions/ring"]  # fmt: skip


def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything of more than a few rows is on disk, and looked at in small blocks."""
    monkeypatch.setattr(pile, "LONG", 64)
    monkeypatch.setattr(pile, "BLOCK", 37)
    monkeypatch.setattr(connect, "PIECE", 50)


def fingerprint(network: Network, simulation: Simulation) -> tuple[str, dict[str, bytes]]:
    """The hash of the Program, and what three ranks read of it."""
    program = lowered_of(network, simulation, Report()).program
    shares = divide(program, 3)
    assert shares.placement.homes is not None
    return program.hash, {**{name: table.tobytes() for name, table in shares.tables.items()},
                          "homes": shares.placement.homes.tobytes()}  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES)
def test_blocks_make_the_same_program(example: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one() -> tuple[str, dict[str, bytes]]:
        made = build(repository / "examples" / f"{example}.yaml")
        assert made.simulation is not None
        return fingerprint(made.network, made.simulation)

    whole = one()
    short(monkeypatch)
    assert one() == whole


def test_blocks_of_a_network_in_any_order(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two synapses, random ones, places along cells, and rows that are in no order."""
    base = build(repository / "examples" / "13_hippocampus" / "ca1.yaml").network
    (cell, *_), synapses = base.populations.values(), base.projections[0].synapses
    random, count = np.random.default_rng(2), 700

    def network() -> Network:
        pre, post, segment = (random_of.integers(0, most, count) for most in (20, 20, 2))
        projections = [
            Projection(name, "chemical", "A", "A", pre, post, synapses=(synapses[0], *more), pre_segment=segment,
                       synapse=random_of.integers(0, 1 + len(more), count), post_segment=segment[::-1],
                       post_fraction=random_of.random(count), weight=random_of.random(count),
                       delay=random_of.random(count) * 3)
            for name, more in (("one", ()), ("two", (base.projections[-1].synapses[0],)))
        ]  # fmt: skip
        inputs = [InputList("in", each.component, "A", np.sort(random_of.integers(0, 20, 100)))
                  for each in base.inputs[:1]]  # fmt: skip
        return Network("net", {"A": Population("A", cell.component, np.arange(20))}, projections, inputs,
                       components=base.components, native=base.native, mods=base.mods)  # fmt: skip

    state = random.bit_generator.state
    found = []
    for blocked in (False, True):
        random_of = np.random.default_rng()
        random_of.bit_generator.state = state
        if blocked:
            short(monkeypatch)
        found.append(fingerprint(network(), Simulation(10.0, 0.025)))
    assert found[0] == found[1]


STARTER = """
import resource, sys, tempfile
from pathlib import Path
from nmlbridge.builder import build
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.shares import divide
from nmlbridge.simulator.run import lowered_of
def start(each):
    made = build({
        "cells": {"cell": {"type": "iafCell", "leakReversal": "-60 mV", "thresh": "-50 mV", "reset": "-65 mV",
                           "C": "0.2 nF", "leakConductance": "0.01 uS"}},
        "synapses": {"syn": {"type": "expTwoSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "1 ms",
                             "tauDecay": "3 ms"}},
        "populations": {"E": {"cell": "cell", "number": 5000}},
        "connections": {"EE": {"from": "E", "to": "E", "convergence": each, "synapse": "syn",
                               "weight": "uniform(0, 1)", "delay": "uniform(1, 5)"}},
        "run": {"duration": "10 ms"}})
    program = lowered_of(made.network, made.simulation, Report()).program
    with tempfile.TemporaryDirectory() as folder:
        divide(program, 2).save(Path(folder))
        program.save(folder)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
less = start(60)
print((start(200) - less) / (140 * 5000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in other units")
def test_the_starting_process_does_not_grow_with_the_connections() -> None:
    """Bytes for each connection beyond the first 300,000, of which the columns alone would be 100."""
    ran = subprocess.run([sys.executable, "-c", STARTER], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 15
