"""Networks that take a while: SONATA to NeuroML HDF5 and back, unchanged, with a bar, and whole or not there."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from nmlbridge.element import Element
from nmlbridge.graph import Network, Population, Projection
from nmlbridge.registry import convert, read, write
from nmlbridge.report import Report

EDGES = 200_000


@pytest.fixture(scope="module")
def circuit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network in SONATA."""
    rng = np.random.default_rng(1)
    population = Population("cells", "iaf", np.arange(2000), rng.random((2000, 3)) * 1000)
    pre, post = rng.integers(0, 2000, (2, EDGES))
    edges = Projection("p", "chemical", "cells", "cells", pre, post, weight=rng.random(EDGES),
                       delay=rng.random(EDGES) * 5, synapses=("syn",))  # fmt: skip
    components = [
        Element("iafCell", {"id": "iaf", "leakReversal": "-65mV", "thresh": "-50mV", "reset": "-65mV", "C": "1nF",
                            "leakConductance": "10nS"}),
        Element("expTwoSynapse", {"id": "syn", "gbase": "1uS", "erev": "0mV", "tauRise": "1ms", "tauDecay": "3ms"}),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("large") / "circuit"
    write(Network("net", {"cells": population}, [edges], components=components), folder, format="sonata")
    return folder


def test_there_and_back_is_the_same_and_is_told(circuit: Path, tmp_path: Path) -> None:
    told: dict[str, list[float]] = {}

    def progress(phase: str, done: float, total: float) -> None:
        told.setdefault(phase, []).append(done / total)

    report = Report(progress=progress)
    convert(circuit, tmp_path / "net.nml.h5", report=report)
    convert(tmp_path / "net.nml.h5", tmp_path / "again", target_format="sonata", report=report)
    before, after = read(circuit), read(tmp_path / "again")
    for a, b in zip(before.projections, after.projections, strict=True):
        for name in ("pre", "post", "weight", "delay"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
    for a, b in zip(before.populations.values(), after.populations.values(), strict=True):
        assert np.array_equal(a.positions, b.positions)
    assert any(phase.startswith("read ") for phase in told) and any(phase.startswith("write ") for phase in told)
    for phase, parts in told.items():
        assert parts[-1] == 1, phase
    assert max(map(len, told.values())) > 5


@pytest.mark.parametrize("target", ["net.nml.h5", "circuit"])
def test_killed_while_it_writes(target: str, circuit: Path, tmp_path: Path) -> None:
    """The process is killed as soon as it has begun to write; nothing has the final name, and a second run is whole."""
    path = tmp_path / target
    words = [sys.executable, "-c",
             "import sys, time\n"
             "from nmlbridge.registry import convert\n"
             "from nmlbridge.report import Report\n"
             "def tell(phase, done, total):\n"
             "    if phase.startswith('write'):\n"
             "        print(phase, flush=True); time.sleep(60)\n"
             "convert(sys.argv[1], sys.argv[2], target_format=sys.argv[3], report=Report(progress=tell))\n",
             str(circuit), str(path), "sonata" if target == "circuit" else "neuroml-hdf5"]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"write")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not path.exists()
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []
    convert(circuit, path, target_format=words[-1])
    assert read(path).connections == EDGES


def test_a_bar_on_a_terminal_and_nothing_in_a_file(circuit: Path, tmp_path: Path) -> None:
    """The verb itself, its errors once on a terminal and once in a pipe; slowed down so that the bar has patience."""
    code = ("import sys\nfrom nmlbridge.cli import main, progress\n"
            "progress._PATIENCE = progress._REFRESH = 0\nsys.exit(main(sys.argv[1:]))\n")  # fmt: skip
    words = [sys.executable, "-c", code, "convert", str(circuit)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*words, str(tmp_path / "a.nml.h5")], stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the terminal is closed at the other end
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait() == 0
    assert b"%" in shown and b"#" in shown and b"write" in shown
    done = subprocess.run([*words, str(tmp_path / "b.nml.h5")], capture_output=True, check=True)
    assert b"#" not in done.stderr and b"\r" not in done.stderr
    with h5py.File(tmp_path / "b.nml.h5") as file:
        assert file["neuroml/network"]
