"""Networks that benchmarks build: cells of Hodgkin and Huxley with random connections and a Poisson background; one
giant cell."""

from __future__ import annotations

import re
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
    rng = np.random.default_rng(1)
    post = np.repeat(np.arange(cells), each)
    pre = (post + rng.integers(1, cells, len(post))) % cells
    recurrent = Projection("rec", "chemical", "pop", "pop", pre, post, synapses=("exc",),
                           weight=np.full(len(pre), 0.5), delay=rng.uniform(1, 5, len(pre)))  # fmt: skip
    network = Network("net", {"pop": Population("pop", "hh", np.arange(cells))}, [recurrent],
                      [InputList("bg", "background", "pop", np.arange(cells))], components=base.components)  # fmt: skip
    return _lowered(network, Settings(dt=step, duration=duration, coreneuron=coreneuron))


def giant(morphology: Path, divisions: int, duration: float) -> Program:
    """One cell with the shape of an SWC file, each of its sections in so many compartments, with channels of Hodgkin
    and Huxley all over, and 200 Poisson inputs that make it fire."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "shape.cell.nml")
        nmlbridge.write(nmlbridge.read(morphology), path)
        shape = re.search(r"<morphology.*</morphology>", path.read_text(), re.DOTALL)
        assert shape is not None
        section = r'(<segmentGroup id="\w+" neuroLexId="sao864921383">)'  # of NeuroML's groups those that are cables
        divided = rf'\1<property tag="numberInternalDivisions" value="{divisions}"/>'
        fine = re.sub(section, divided, shape[0])
        path.write_text(re.sub(r"<morphology.*?</morphology>", lambda _: fine, MODEL, flags=re.DOTALL))
        base = nmlbridge.read(path)
    segments = np.random.default_rng(1).integers(0, shape[0].count("<segment "), 200)
    inputs = InputList("bg", "background", "pop", np.zeros(200, int), segment=segments)
    cell = Population("pop", "hh", np.zeros(1, int))
    return _lowered(Network("net", {"pop": cell}, [], [inputs], components=base.components),
                    Settings(dt=0.025, duration=duration))  # fmt: skip


def _lowered(network: Network, settings: Settings) -> Program:
    report = Report()
    library = load_core().extended(network.components, report)
    components = resolve(network.components, library, report)
    program = lower(network, components, library, settings, Outputs(), report).program
    return Program({**program.spec, "spikes": "all"}, program.tables, program.mods)
