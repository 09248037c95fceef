"""A network of a million edges from SONATA to NeuroML HDF5 and back: time and memory for two sizes.

    python benchmarks/sonata.py [EDGES]

Each conversion runs in a process of its own, and what came back must be what went. What must be near 1: the ratios of
CPU time and of memory (above that of an empty process) to those of a tenth of the edges, each divided by ten. Data are
the 32 bytes that two ends, a weight and a delay take.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from nmlbridge.element import Element
from nmlbridge.graph import Network, Population, Projection
from nmlbridge.registry import convert, read, write


def make(edges: int, folder: Path) -> None:
    """A random network in SONATA."""
    rng = np.random.default_rng(1)
    size = max(edges // 100, 10)
    population = Population("cells", "iaf", np.arange(size), rng.random((size, 3)) * 1000)
    pre, post = rng.integers(0, size, (2, edges))
    projection = Projection("p", "chemical", "cells", "cells", pre, post,
                            weight=rng.random(edges), delay=rng.random(edges) * 5, synapses=("syn",))  # fmt: skip
    components = [
        Element("iafCell", {"id": "iaf", "leakReversal": "-65mV", "thresh": "-50mV", "reset": "-65mV", "C": "1nF",
                            "leakConductance": "10nS"}),
        Element("expTwoSynapse", {"id": "syn", "gbase": "1uS", "erev": "0mV", "tauRise": "1ms", "tauDecay": "3ms"}),
    ]  # fmt: skip
    write(Network("net", {"cells": population}, [projection], components=components), folder, format="sonata")


def peak() -> int:
    """Peak memory of this process in kB (Linux; unlike getrusage it begins anew with the process)."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])


def measured(source: str, target: str, target_format: str, answer: Any) -> None:
    """One conversion: CPU seconds, peak memory above that before it in MB, and seconds."""
    before, began, started = peak(), time.process_time(), time.perf_counter()
    convert(source, target, target_format=target_format)
    answer.put((time.process_time() - began, (peak() - before) / 1024, time.perf_counter() - started))


def same(one: Path, two: Path) -> None:
    """Check that two circuits have the same edges."""
    for a, b in zip(read(one).projections, read(two).projections, strict=True):
        for name in ("pre", "post", "weight", "delay"):
            if not np.array_equal(getattr(a, name), getattr(b, name)):
                raise SystemExit(f"{name} of '{a.id}' is not what it was")


def run(source: Path, target: Path, target_format: str) -> tuple[float, float, float]:
    """The measure in a fresh process."""
    context = multiprocessing.get_context("spawn")
    answer: Any = context.Queue()
    process = context.Process(target=measured, args=(str(source), str(target), target_format, answer))
    process.start()
    found: tuple[float, float, float] = answer.get()
    process.join()
    return found


def main() -> None:
    """Print seconds, MB and ratios."""
    edges = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rows = {}
    for count in (edges // 10, edges):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(count, folder / "a")
            there = run(folder / "a", folder / "a.nml.h5", "neuroml-hdf5")
            back = run(folder / "a.nml.h5", folder / "b", "sonata")
            same(folder / "a", folder / "b")
            rows[count] = (*there[:2], *back[:2])
            data = 32 * count / 2**20
            ways = (("to HDF5", there), ("back", back))
            print(f"{count} edges ({data:.0f} MB): " + "; ".join(
                f"{way} {cpu:.2f} s CPU, {seconds:.2f} s, {memory:.0f} MB ({memory / data:.1f} of the data)"
                for way, (cpu, memory, seconds) in ways
            ))  # fmt: skip
    few, many = rows.values()
    names = ("time there", "memory there", "time back", "memory back")
    ratios = [f"{n} x{m / f / 10:.2f}" for n, f, m in zip(names, few, many, strict=True)]
    print("; ".join(ratios) + " of proportional")


if __name__ == "__main__":
    main()
