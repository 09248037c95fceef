"""Networks that benchmarks build: cells of Hodgkin and Huxley with random connections and a Poisson background."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from instantiate import MODEL

import nmlbridge
from nmlbridge.graph import InputList, Network, Population, Projection
from nmlbridge.lems import load_core, resolve
from nmlbridge.report import Report
from nmlbridge.results import Outputs
from nmlbridge.simulator.neuron.lower import lower
from nmlbridge.simulator.neuron.settings import Settings
from nmlbridge.simulator.program import Program


def hodgkin_huxley(cells: int, each: int, duration: float, *, step: float = 0.025, coreneuron: bool = False) -> Program:
    """``cells`` of one compartment, each with ``each`` synapses from random others (delays of 1 to 5 ms, weak: the
    background alone makes the spikes, about 10 a second, so that rates are the same in networks of any size)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cells.nml")
        path.write_text(MODEL)
        base = nmlbridge.read(path)
    report = Report()
    library = load_core().extended(base.components, report)
    components = resolve(base.components, library, report)
    rng = np.random.default_rng(1)
    post = np.repeat(np.arange(cells), each)
    pre = (post + rng.integers(1, cells, len(post))) % cells
    recurrent = Projection("rec", "chemical", "pop", "pop", pre, post, synapses=("exc",),
                           weight=np.full(len(pre), 0.5), delay=rng.uniform(1, 5, len(pre)))  # fmt: skip
    network = Network("net", {"pop": Population("pop", "hh", np.arange(cells))}, [recurrent],
                      [InputList("bg", "background", "pop", np.arange(cells))], components=base.components)  # fmt: skip
    settings = Settings(dt=step, duration=duration, coreneuron=coreneuron)
    program = lower(network, components, library, settings, Outputs(), report).program
    return Program({**program.spec, "spikes": "all"}, program.tables, program.mods)
