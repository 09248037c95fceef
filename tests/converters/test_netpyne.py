"""NetPyNE's saved networks: nothing lost, the same spikes as NetPyNE, and what we write NetPyNE loads and runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne import streams
from nmlbridge.errors import ModelError, NmlBridgeError
from nmlbridge.graph import NativeCell, Network
from nmlbridge.registry import format_to_read, read, write
from nmlbridge.report import Report

from .contract import native_everything

needs_netpyne = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra bench)")

# NetPyNE 1.1 looks cells up by their type in cellParams, where files of older versions have the label of a rule.
REFERENCE = """
import json, sys
from netpyne import sim
load = sys.modules["netpyne.sim.load"]
sim.initialize()
data = load._loadFile(sys.argv[1])
load.loadSimCfg(sys.argv[1], data=data)
load.loadNetParams(sys.argv[1], data=data)
config, rules = sim.cfg, sim.net.params.cellParams
config.saveJson = config.savePickle = config.recordStim = False
config.analysis, config.createNEURONObj, config.duration = {}, True, float(sys.argv[2])
for rule in list(rules.values()):
    kind = rule.get("conds", {}).get("cellType")
    if kind and kind not in rules:
        rules[kind] = rule
load.loadNet(sys.argv[1], data=data, instantiate=True)
sim.setupRecording()
sim.runSim()
sim.gatherData()
print(json.dumps([list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])]))
"""


def in_netpyne(path: Path, duration: float) -> list[tuple[float, int]]:
    """Spikes (ms, gid) that NetPyNE gives for a saved network."""
    done = subprocess.run([sys.executable, "-c", REFERENCE, str(path), str(duration)], capture_output=True, text=True,
                          cwd=path.parent if path.parent.stat().st_mode & 0o200 else None, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("[["))
    times, gids = json.loads(line)
    return sorted((round(t, 6), int(g)) for t, g in zip(times, gids, strict=True))


def in_ours(path: Path, duration: float) -> list[tuple[float, int]]:
    results = nmlbridge.simulate(path, duration=duration)
    times = np.round(results.spikes.time * 1e3, 6).tolist()
    return sorted(zip(times, results.spikes.gid.tolist(), strict=True))


@pytest.fixture(scope="module")
def source(corpus: Path) -> Path:
    path = corpus / "netpyne" / "model_output.json"
    if not path.is_file():
        pytest.skip("netpyne/model_output.json is not in the corpus")
    return path


@pytest.fixture(scope="module")
def network(source: Path) -> Network:
    assert format_to_read(source).name == "netpyne"
    return read(source)


def edges(network: Network) -> Counter[tuple[Any, ...]]:
    """(pre gid, post gid, section, place, synapse, weight, delay) of every connection."""
    found: Counter[tuple[Any, ...]] = Counter()
    for p in network.projections:
        pre, post = network.populations[p.presynaptic], network.populations[p.postsynaptic]
        cell = network.native[post.component]
        columns = (
            p.pre + pre.offset,
            p.post + post.offset,
            p.post_segment,
            p.post_fraction,
            p.synapse,
            p.weight,
            p.delay,
        )
        for a, b, section, x, synapse, weight, delay in zip(*(c.tolist() for c in columns), strict=True):
            found[a, b, cell.sections[section].name, x, p.synapses[synapse], weight, delay] += 1
    return found


def test_cells_connections_and_stimuli_are_exact(source: Path, network: Network) -> None:
    data = json.loads(source.read_text())
    cells = data["net"]["cells"]
    assert network.size == len(cells) == 300
    wanted: Counter[tuple[Any, ...]] = Counter()
    stimuli = {}
    for cell in cells:
        for c in cell["conns"]:
            if c["preGid"] == "NetStim":
                stimuli[cell["gid"]] = (c["sec"], c["loc"], c["synMech"], c["weight"], c["delay"])
            else:
                wanted[c["preGid"], cell["gid"], c["sec"], c["loc"], c["synMech"], c["weight"], c["delay"]] += 1
    assert edges(network) == wanted and wanted.total() == 6832
    found = {}
    for inputs in network.inputs:
        population, drive = network.populations[inputs.population], network.native[inputs.component]
        assert dict(drive.parameters) == {"interval": 50.0, "noise": 0.3, "start": 0.0, "number": 1e9}
        for row, target in enumerate(inputs.target.tolist()):
            gid = population.offset + target
            found[gid] = ("soma", 0.5, drive.drives, inputs.weight[row], inputs.delay[row])
            assert inputs.random[row].tolist() == [streams.of_text("NetStim"), gid, 1]
    assert found == stimuli and len(found) == 300
    for population in network.populations.values():
        for gid, place in zip(population.gids.tolist(), population.positions.tolist(), strict=True):
            tags = cells[gid]["tags"]
            assert place == [tags["x"], -tags["y"], tags["z"]] and tags["pop"] == population.id
            section = network.native[population.component].sections[0]
            geometry, mechanism = cells[gid]["secs"]["soma"]["geom"], cells[gid]["secs"]["soma"]["mechs"]["hh"]
            assert (section.L, section.diam, section.Ra) == (geometry["L"], geometry["diam"], geometry["Ra"])
            assert section.mechanisms["hh"] == mechanism


@needs_netpyne
@pytest.mark.neuron
@pytest.mark.slow
def test_the_spikes_of_netpyne(source: Path) -> None:
    """The whole second: 5436 spikes of NetPyNE 1.1 (the file has the 5499 of the version that saved it)."""
    ours = in_ours(source, 1000.0)
    assert ours == in_netpyne(source, 1000.0) and len(ours) == 5436


@pytest.mark.neuron
def test_the_spikes_of_an_older_neuron(source: Path) -> None:
    """The file's own 5499 spikes, to the last. In NEURON 8 NetStims began with the second number of their streams, as
    NetPyNE had drawn the first; NEURON 9 begins at the beginning."""
    saved = json.loads(source.read_text())["simData"]
    spikes = nmlbridge.simulate(source, changes={"rng": "neuron8"}).spikes
    ours = sorted(zip(np.round(spikes.time * 1e3, 6).tolist(), spikes.gid.tolist(), strict=True))
    assert ours == sorted(zip(np.round(saved["spkt"], 6).tolist(), map(int, saved["spkid"]), strict=True))
    assert len(ours) == 5499


@pytest.mark.neuron
def test_written_and_read_again_is_the_same(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "again_netpyne.json"
    write(network, path, report=Report(strict=True))
    again = read(path)
    assert edges(again) == edges(network)
    for a, b in zip(network.populations.values(), again.populations.values(), strict=True):
        assert (a.id, a.component, a.size) == (b.id, b.component, b.size) and np.array_equal(a.positions, b.positions)
    for a, b in zip(network.inputs, again.inputs, strict=True):
        assert np.array_equal(a.random, b.random) and np.array_equal(a.delay, b.delay)


@needs_netpyne
@pytest.mark.neuron
def test_netpyne_runs_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "net_netpyne.json"
    network = native_everything()
    for inputs in network.inputs:  # streams that NetPyNE can have, so that the noise is the same
        gids = network.populations[inputs.population].offset + inputs.target
        word = np.full(len(gids), streams.of_text("NetStim"))
        inputs.random = np.stack([word, gids, np.ones(len(gids), int)], axis=1).astype(np.uint32)
    write(network, path)
    ours = in_ours(path, 200.0)
    assert ours == in_netpyne(path, 200.0) and len(ours) > 10


def broken(network: dict[str, Any], change: str) -> None:
    """Break a small saved network in one place."""
    cell = network["net"]["cells"][0]
    section = cell["secs"]["soma"]
    connection = next(c for each in network["net"]["cells"] for c in each["conns"] if c["preGid"] != "NetStim")
    changes: dict[str, Any] = {
        "no gid": lambda: cell.pop("gid"),
        "gid twice": lambda: cell.update(gid=1),
        "no such source": lambda: connection.update(preGid=99),
        "no such synapse": lambda: connection.update(synMech="nmda"),
        "no such section": lambda: connection.update(sec="axon"),
        "weight a text": lambda: connection.update(weight="0.1*rand"),
        "parameter a text": lambda: section["mechs"]["hh"].update(gnabar="x/2"),
        "parent missing": lambda: section.update(topol={"parentSec": "trunk"}),
        "circle": lambda: section.update(topol={"parentSec": "dend"}),
        "points": lambda: section["geom"].update(pt3d=[[0, 0, 0]]),
        "pops": lambda: network["net"]["pops"].pop("a"),
        "stimulus": lambda: cell["stims"].clear(),
    }
    changes[change]()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("no gid", r"net.cells\[0\]"), ("gid twice", "twice"), ("no such source", "cell 99"),
        ("no such synapse", "nmda"), ("no such section", "axon"), ("weight a text", r"conns\[0\].weight is '0.1"),
        ("parameter a text", "gnabar is 'x/2'"), ("parent missing", "trunk"), ("circle", "circle"),
        ("points", "four numbers"), ("pops", "in no population"), ("stimulus", "has no stimulus"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(change: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad_netpyne.json"
    write(native_everything(), path)
    data = json.loads(path.read_text())
    broken(data, change)
    path.write_text(json.dumps(data))
    with pytest.raises(NmlBridgeError, match=words) as raised:
        read(path)
    assert str(path) in str(raised.value) or not isinstance(raised.value, ModelError)


def test_json_that_breaks_off_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad_netpyne.json"
    path.write_text('{"net": {\n"cells": [1,\n')
    with pytest.raises(ModelError) as raised:
        read(path)
    assert raised.value.line == 3


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04}\x94.")
    for allow in ((), ("python", "code", "mods")):
        with pytest.raises(ModelError, match=r"a pickle, which can run any code.*save the model as JSON"):
            read(path, format="netpyne", allow=allow)
        with pytest.raises(ModelError, match="a pickle"):
            read(path, allow=allow)


def test_cells_of_one_population_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "mixed_netpyne.json"
    write(native_everything(), path)
    data = json.loads(path.read_text())
    data["net"]["cells"][1]["secs"]["soma"]["mechs"]["hh"]["gnabar"] = 0.2
    path.write_text(json.dumps(data))
    report = Report()
    network = read(path, report=report)
    assert [p.size for p in network.populations.values()] == [3, 2]
    own = next(iter(network.populations.values())).individuals
    assert own is not None
    assert [c.sections[0].mechanisms["hh"].get("gnabar") == 0.2 for c in own if isinstance(c, NativeCell)] == [
        False, True, False]  # fmt: skip
    assert "netpyne-gids" not in {note.code for note in report}


def test_cells_of_one_population_with_other_parts(tmp_path: Path) -> None:
    path = tmp_path / "mixed_netpyne.json"
    write(native_everything(), path)
    data = json.loads(path.read_text())
    data["net"]["cells"][1]["secs"]["soma"]["geom"]["nseg"] = 3
    path.write_text(json.dumps(data))
    report = Report()
    network = read(path, report=report)
    assert [p.size for p in network.populations.values()] == [2, 1, 2]
    assert sum(network.native[p.component].sections[0].nseg == 3 for p in network.populations.values()) == 1
    assert "netpyne-gids" in {note.code for note in report}
