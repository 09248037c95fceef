"""Every declared network goes to every format: it runs as the rules do, or the report says what is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import UnsupportedError
from nmlbridge.graph.features import FEATURES, REMOVABLE, present
from nmlbridge.registry import formats, read, write
from nmlbridge.report import Report

EXAMPLES = {
    "10_ping/ping.yaml": 60, "13_hippocampus/ca1.yaml": 80, "17_magnetic_stimulation/pulse.yaml": 8,
    "18_learning/latency.yaml": 250, "19_calcium_diffusion/dendrite.yaml": 20, "21_gap_junctions/ring.yaml": 60,
}  # fmt: skip
"""ms, of which each is run here"""
NAMES = {"lems": "LEMS_m.xml", "neuroml": "m.net.nml", "neuroml-hdf5": "m.net.nml.h5", "neuromllite": "m.nmllite.json",
         "netpyne": "index.npjson", "vtk": "m.vtp", "gltf": "m.glb", "swc": "m.swc"}  # fmt: skip
WRITERS = [name for name, record in formats().items() if record.writer is not None]
NO_SPIKES = {"no-positions", "no-properties", "no-annotations", "native-end"}
"""losses and approximations that move no spike"""
Spikes = list[tuple[float, int]]


def built(example: str, repository: Path) -> nmlbridge.Network:
    return build(repository / "examples" / example, **{"run.duration": f"{EXAMPLES[example]} ms"}).network


@pytest.mark.parametrize("example", EXAMPLES)
def test_all_that_is_lost_is_said(example: str, repository: Path, tmp_path: Path) -> None:
    """Each format writes the network or refuses it; what it does not hold is noted, once, by the feature's own name."""
    network = built(example, repository)
    for name in WRITERS:
        record, report = formats()[name], Report()
        target = tmp_path / name / NAMES.get(name, "written")
        target.parent.mkdir()
        try:
            write(network, target, format=name, report=report)
        except UnsupportedError as fault:
            assert "\n" not in str(fault)
            assert not any(path.is_file() for path in target.parent.rglob("*"))
            continue
        noted = {note.code for note in report}
        for feature in set(present(network)) & set(REMOVABLE) - record.features:
            assert f"no-{feature.replace(' ', '-')}" in noted, name
        for feature in FEATURES:  # nothing is lost that was not there
            code = f"no-{feature.replace(' ', '-')}"
            if code in noted and feature in (*REMOVABLE, "gap junctions", "continuous projections"):
                assert feature in present(network), (name, feature)
        if record.reader is not None and name not in ("swc", "pynn", "neuromllite"):
            back = read(target, format=name, allow=("mods", "code") if record.holds_code else ())
            assert back.size == network.size


def spikes(path: Path, method: str | None = None) -> Spikes:
    found = nmlbridge.simulate(path, method=method, output=None, allow=("mods", "code")).spikes
    return sorted(zip(np.round(found.time * 1e3, 6).tolist(), found.gid.tolist(), strict=True))


def of_project(folder: Path) -> Spikes:
    """The spikes that a NEURON project writes down."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([sys.executable, "run.py"], cwd=folder, env={**os.environ, "PATH": tools},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = folder.rglob("*.spikes")
    rows = [line.split() for line in file.read_text().splitlines()]
    return sorted((round(float(time) * 1e3, 6), int(gid)) for time, gid in rows)


@pytest.mark.neuron
@pytest.mark.parametrize("example", ["10_ping/ping.yaml", "13_hippocampus/ca1.yaml", "21_gap_junctions/ring.yaml"])
def test_what_is_written_runs_the_same(example: str, repository: Path, tmp_path: Path) -> None:
    network = built(example, repository)
    expected = {}
    for method in (None, "implicit"):
        found = nmlbridge.simulate_network(network, replace(network.settings, method=method)).spikes
        expected[method] = sorted(zip(np.round(found.time * 1e3, 6).tolist(), found.gid.tolist(), strict=True))
    assert len(expected[None]) > 15
    same = 0
    for name in ("lems", "sonata", "netpyne", "neuron"):
        report, target = Report(), tmp_path / name / NAMES.get(name, "written")
        target.parent.mkdir()
        write(network, target, format=name, report=report)
        worth = {note.code for note in report if note.severity != "info" and not note.code.startswith("no-comp")}
        held = {f"no-{f.replace(' ', '-')}" for f in formats()[name].compiled}
        method = "implicit" if name == "netpyne" else None
        ours = of_project(target) if name == "neuron" else spikes(target, method)
        if worth - NO_SPIKES - held <= {"nml-template", "nml-synapse", "own-input"}:
            assert ours == expected[method], name
            same += 1
        else:
            assert ours != expected[method], f"{name} notes a loss that is none: {worth}"
    assert same >= 2
