"""What few NetPyNE models use gives the network and the numbers of NetPyNE; every word of it is known."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne import vocabulary
from nmlbridge.converters.netpyne.files import Files
from nmlbridge.errors import NmlBridgeError
from nmlbridge.report import Report
from nmlbridge.simulator.backend import Checkpointing
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.run import lowered_of

from .netpyne_words import CONFIGS, MODELS, in_netpyne

pytestmark = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra netpyne)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    in_netpyne(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.neuron
@pytest.mark.parametrize("name", MODELS)
def test_the_network_of_netpyne(name: str, folder: Path, theirs: dict[str, Any]) -> None:
    instance = Files.of(folder / f"{name}.json", (), {}, Report()).instance(Report())
    by_cell: dict[int, list[Any]] = {gid: [] for gid in instance.cells}
    for c in instance.connections:
        by_cell[c.post].append([c.post, "NetStim" if c.driven else c.pre, c.section, c.loc, c.weight, c.delay])
    ours, expected = [row for rows in by_cell.values() for row in rows], theirs[name]["connections"]
    assert len(ours) == len(expected) > 10
    for a, b in zip(ours, expected, strict=True):
        assert a[:3] == b[:3]
        place = 0.5 if b[3] is None else b[3]  # artificial cells have none
        assert a[3:] == pytest.approx([place, *b[4:6]], rel=1e-12)
    trains = {str(gid): cell.times for gid, cell in instance.cells.items() if cell.times is not None}
    assert trains.keys() == theirs[name]["trains"].keys()
    for gid, times in trains.items():
        assert times == pytest.approx(theirs[name]["trains"][gid], rel=1e-13, abs=1e-12)


@pytest.mark.neuron
@pytest.mark.parametrize("name", MODELS)
def test_the_spikes_and_traces_of_netpyne(name: str, folder: Path, theirs: dict[str, Any]) -> None:
    results = nmlbridge.simulate(folder / f"{name}.json", allow=("mods",))
    ours = sorted(zip(np.round(results.spikes.time * 1e3, 9).tolist(), results.spikes.gid.tolist(), strict=True))
    assert len(ours) > 10
    assert ours == sorted((round(time, 9), gid) for time, gid in theirs[name]["spikes"])
    traces = {(q.partition("/")[0], q.rpartition("/")[2]): q for q in results.traces.quantities}
    network = nmlbridge.read(folder / f"{name}.json")
    for label, spec in CONFIGS[name]["recordTraces"].items():
        unit = 1e3 if spec["var"] == "v" else 1e6  # mV or uS
        for cell, trace in theirs[name]["traces"][label].items():
            gid = int(cell.removeprefix("cell_"))
            pop = next(p for p in network.populations.values() if p.offset <= gid < p.offset + p.size)
            found = results[traces[f"{pop.id}[{gid - pop.offset}]", spec["var"]]][: len(trace)] * unit
            # where NEURON has `extracellular` it solves another matrix, and it keeps shapes in single precision
            np.testing.assert_allclose(found, trace, rtol=0, atol=1e-5 if name == "imposed" else 1e-7)


def spikes(results: nmlbridge.Results) -> list[tuple[float, int]]:
    return sorted(zip(np.round(results.spikes.time * 1e3, 6).tolist(), results.spikes.gid.tolist(), strict=True))


SAVE = """
import json, sys
import numpy
from netpyne import sim, specs
name, scales = sys.argv[1:]
model = json.load(open(f"{name}.json"))
config = specs.SimConfig(model["simConfig"])
config.saveJson, config.savePickle, config.filename, config.analysis = True, False, f"saved {name}", {}
for source in model["net"]["params"].get("stimSourceParams", {}).values():  # arrays, as a script would have them
    for word in ("time", "signal"):
        if word in source.get("waveform", {}):
            source["waveform"][word] = numpy.array(source["waveform"][word])
params = specs.NetParams(model["net"]["params"] | json.loads(scales))
sim.createSimulateAnalyze(simConfig=config, netParams=params)
"""


def saved(folder: Path, name: str, **scales: float) -> tuple[Path, list[tuple[float, int]]]:
    """A model as NetPyNE saves it, and the spikes that it had there."""
    done = subprocess.run([sys.executable, "-c", SAVE, name, json.dumps(scales)], cwd=folder, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    path = folder / f"saved {name}_data.json"
    data = json.loads(path.read_text())["simData"]
    return path, sorted(zip(np.round(data["spkt"], 6).tolist(), map(int, data["spkid"]), strict=True))


@pytest.mark.neuron
def test_courses_of_weights_and_rates_are_saved(folder: Path, tmp_path: Path) -> None:
    """As NetPyNE saves them, with weights that it scales; as we save them; on two ranks."""
    path, theirs = saved(folder, "shaped", scaleConnWeight=1.25, scaleConnWeightNetStims=0.5)
    ours = spikes(nmlbridge.simulate(path))
    assert ours == theirs
    report = Report()
    nmlbridge.convert(path, tmp_path / "again_netpyne.json", report=report)
    assert not [note for note in report.losses if "course" in note.code]
    assert spikes(nmlbridge.simulate(tmp_path / "again_netpyne.json")) == ours
    two = spikes(nmlbridge.simulate(path, ranks=2))
    assert two == ours and len(ours) > 60


@pytest.mark.neuron
def test_synapses_that_are_shared_and_recorded_are_saved(folder: Path, tmp_path: Path) -> None:
    path, report = tmp_path / "again_netpyne.json", Report()
    nmlbridge.convert(folder / "together.json", path, report=report, allow=("mods",))
    assert not report.losses
    first, again = (nmlbridge.simulate(each, allow=("mods",)) for each in (folder / "together.json", path))
    assert spikes(again) == spikes(first)
    assert sorted(again.traces.quantities) == sorted(first.traces.quantities)
    assert any("synapses:open" in quantity for quantity in first.traces.quantities)
    every = (len(again.traces.time) - 1) // (len(first.traces.time) - 1)  # each step is recorded in what is written
    for quantity in first.traces.quantities:
        np.testing.assert_array_equal(again[quantity][::every], first[quantity])


@pytest.mark.neuron
def test_fields_that_were_saved(folder: Path, tmp_path: Path) -> None:
    """NetPyNE saves the potentials in each compartment, and its rules, which say what they come from."""
    path, theirs = saved(folder, "imposed")
    report = Report()
    network = nmlbridge.read(path, report=report)
    assert len(network.fields) == 5 and not report.losses
    assert spikes(nmlbridge.simulate(path)) == theirs
    data = json.loads(path.read_text())
    del data["net"]["params"]["stimSourceParams"]["plates"]
    data["net"]["params"]["stimTargetParams"].pop("all")
    for cell in data["net"]["cells"][:1]:
        cell["stims"].append({"type": "XStim", "source": "plates"})
    (tmp_path / "model.json").write_text(json.dumps(data))
    with pytest.raises(NmlBridgeError, match=r"net.cells\[0\]: the rules .* do not state the XStim 'plates'"):
        nmlbridge.read(tmp_path / "model.json")


@pytest.mark.neuron
def test_functions_of_artificial_cells_that_were_saved(folder: Path) -> None:
    """NetPyNE saves the functions; they are computed again. Sorted names have lost the order of some."""
    path, theirs = saved(folder, "functions")
    assert json.loads(path.read_text())["net"]["cells"][0]["params"]["interval"] == "10+x*0.2+uniform(0,5)"
    assert spikes(nmlbridge.simulate(path)) == theirs
    report = Report()
    nmlbridge.read(path, report=report)
    (note,) = (note for note in report if note.code == "netpyne-functions")
    assert note.severity == "approximation" and "(cell 10 taum)" in note.message


@pytest.mark.neuron
@pytest.mark.parametrize("name", ["shaped", "changing"])
def test_courses_and_drawn_noise_go_on_after_a_checkpoint(name: str, folder: Path, tmp_path: Path) -> None:
    network = nmlbridge.read(folder / f"{name}.json", allow=("mods",))
    assert network.settings is not None
    program = lowered_of(network, network.settings, Report()).program
    whole = run_program(program)

    def progress(phase: str, done: float, total: float) -> None:
        if phase == "simulate" and done >= 90:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_program(program, checkpointing=Checkpointing(tmp_path / "kept", 1001), progress=progress)
    rest = run_program(program, checkpointing=Checkpointing(tmp_path / "kept", 0, resume=True))
    np.testing.assert_array_equal(rest.spike_times, whole.spike_times)
    np.testing.assert_array_equal(rest.columns, whole.columns)


@pytest.mark.neuron
def test_courses_are_named_where_they_are_lost(folder: Path, tmp_path: Path) -> None:
    report = Report()
    nmlbridge.convert(folder / "shaped.json", tmp_path / "net.nml", report=report)
    assert [note for note in report.losses if "courses" in str(note)]
    with pytest.raises(NmlBridgeError, match="change in time are played in NEURON's memory"):
        nmlbridge.simulate(folder / "shaped.json", backend="coreneuron")


@pytest.mark.parametrize(("shape", "said"), [
    ({"pulseType": "saw"}, "pulseType is 'saw'; there are square and gaussian"),
    ({"pulsewidth": 3}, "expected pulsePeriod, pulseType"), ({"switchOnOff": [5, 3]}, "times in their order"),
    ({"pulsePeriod": 0}, "pulsePeriod above 0"), ({"pulseWidth": "wide"}, "'wide'; expected a number"),
])  # fmt: skip
def test_bad_shapes(shape: dict[str, Any], said: str, tmp_path: Path) -> None:
    params = json.loads(json.dumps(MODELS["shaped"]))
    params["connParams"]["V->P"]["shape"] = shape
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 5}}))
    with pytest.raises(NmlBridgeError, match=said) as raised:
        nmlbridge.read(path)
    assert "V->P" in str(raised.value)


@pytest.mark.neuron
def test_weights_that_a_mod_file_adjusts(folder: Path, theirs: dict[str, Any]) -> None:
    from nmlbridge.converters.netpyne.read import read_simulation

    path = folder / "plastic.json"
    network, simulation = read_simulation(path, allow=("mods",))
    expected = {}
    for gid, pre, _, loc, start, _, end in theirs["plastic"]["connections"]:
        if loc == 0.4:
            expected[pre, gid] = (start, end)
    (projection,) = (p for p in network.projections if p.attributes["netpyne_label"] == "A->B")
    with nmlbridge.Session(network, simulation) as session:
        session.run(150)
        weights = session.weights(projection.id)
    ends = zip(projection.pre.tolist(), (projection.post + 6).tolist(), weights, strict=True)
    changed = 0
    for pre, post, weight in ends:
        start, end = expected[pre, post]
        assert weight == pytest.approx(end, rel=1e-12)
        changed += weight != start
    assert changed == len(expected) > 10


WORDS = """
import json
from netpyne import specs
from netpyne.metadata.metadata import metadata
print("found" + json.dumps({
    "config": [*specs.SimConfig().__dict__, *(k for k in metadata["simConfig"]["children"])],
    "net": [k for k in specs.NetParams().__dict__ if not k.startswith("_")],
    "connParams": list(metadata["netParams"]["children"]["connParams"]["children"]),
    "stimTargetParams": list(metadata["netParams"]["children"]["stimTargetParams"]["children"]),
    "rxdParams": list(metadata["netParams"]["children"]["rxdParams"]["children"]),
}))
"""


def test_every_word_of_netpyne_is_known() -> None:
    """simConfig and netParams of the NetPyNE that is installed: each word is read, changes nothing, or is refused."""
    from nmlbridge.converters.netpyne.reactions import _PARTS

    done = subprocess.run([sys.executable, "-c", WORDS], capture_output=True, text=True, check=True)
    words = json.loads(done.stdout.partition("found")[2])
    config = [vocabulary.CONFIG_READ, vocabulary.CONFIG_OUTPUT, frozenset(vocabulary.CONFIG_UNDONE)]
    net = [vocabulary.NET_READ, vocabulary.NET_OUTPUT]
    for known, wanted in ((config, words["config"]), (net, words["net"])):
        assert sum(map(len, known)) == len(frozenset().union(*known))  # no word is of two kinds
        assert not set(wanted) - frozenset().union(*known)
    assert not set(words["connParams"]) - vocabulary.CONNECTION
    assert not set(words["stimTargetParams"]) - vocabulary.TARGET
    assert not set(words["rxdParams"]) - set(_PARTS)


def test_what_is_not_done_is_said_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    for name, (usual, _) in vocabulary.CONFIG_UNDONE.items():
        other = 3 if usual is None else not usual
        for value, notes in ((usual, 0), (other, 1)):
            model = {"net": {"params": MODELS["plastic"]}, "simConfig": {"duration": 5, name: value}}
            path.write_text(json.dumps(model))
            report = Report()
            nmlbridge.read(path, report=report)
            assert sum(f"simConfig.{name}:" in str(note) for note in report.losses) == notes


@pytest.mark.parametrize(("change", "said"), [
    ({"field": {"class": "plane"}}, "stimSourceParams.x.field: expected a class"),
    ({"field": {"class": "pointSource", "location": [1, 2]}}, "location: expected 3 numbers"),
    ({"field": {"class": "pointSource", "sigma": 0}}, "conductivity is 0 S/m"),
    ({"waveform": {"type": "saw"}}, "waveform: expected a type"),
    ({"waveform": {"type": "external", "time": "t.pkl", "signal": [1]}}, "'t.pkl' is a file of Python objects"),
    ({"waveform": {"type": "external", "time": [1, 2], "signal": [1]}}, "2 times go with 1 values"),
])  # fmt: skip
def test_bad_fields(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    source = {"type": "XStim", "field": {"class": "uniform"}, "waveform": {"type": "pulse", "amp": 1}} | change
    params = {**MODELS["plastic"], "stimSourceParams": {"x": source},
              "stimTargetParams": {"x": {"source": "x", "conds": {"pop": "A"}}}}  # fmt: skip
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 50}}))
    with pytest.raises(NmlBridgeError, match=said):
        nmlbridge.read(path)


def test_fields_by_way_of_a_mod_file_are_named(tmp_path: Path) -> None:
    source = {"type": "XStim", "field": {"class": "uniform"}, "waveform": {"type": "pulse", "amp": 1}}
    path = tmp_path / "model.json"
    for by_mod, count in ((True, 1), (False, 0)):
        params = {**MODELS["plastic"], "stimSourceParams": {"x": source | {"mod_based": by_mod}},
                  "stimTargetParams": {"x": {"source": "x", "conds": {"pop": "A"}}}}  # fmt: skip
        path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 5}}))
        report = Report()
        assert len(nmlbridge.read(path, report=report).fields) == 1
        assert sum("by way of xtra.mod" in note.message for note in report) == count


@pytest.mark.parametrize(("pattern", "said"), [
    ({"type": "evokd"}, "did you mean 'evoked'"),
    ({"type": "evoked", "start": 3}, "'startStd' is missing|'numspikes' is missing"),
    ({"type": "evoked", "start": "x", "startStd": 1, "numspikes": 2}, "start is 'x'; expected a number"),
    ({"type": "gauss", "mu": 3}, "'sigma' is missing"),
    ({"type": "rhythmic", "start": 1, "freq": 3}, "'tstop' is missing"),
    ({"type": "rhythmic", "start": 1, "stop": 9, "freq": 3, "distribution": "odd"}, "expected normal or uniform"),
    ({"type": "evoked", "start": 3, "startStd": 1, "numspikes": 1e12}, "1e.12 events"),
])  # fmt: skip
def test_bad_patterns(pattern: dict[str, Any], said: str, tmp_path: Path) -> None:
    params = {"popParams": {"D": {"cellModel": "VecStim", "numCells": 1, "spikePattern": pattern}}}
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 50}}))
    with pytest.raises(NmlBridgeError, match=said) as caught:
        nmlbridge.read(path)
    assert "popParams.D" in str(caught.value)
