"""Models in NetPyNE's words beside NetPyNE itself, which makes and runs the same in one process of this session."""

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
from nmlbridge import analysis, plot
from nmlbridge.converters.netpyne.files import Files
from nmlbridge.converters.netpyne.read import read_simulation
from nmlbridge.errors import NmlBridgeError
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.run import lowered_of

from .netpyne_models import CONFIGS, MODELS, MODS, SYNAPSES
from .netpyne_words import ask_netpyne

pytestmark = [
    pytest.mark.neuron,
    pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)"),
]

FACTS = """
def plain(name):
    return str(name).rpartition(".")[2]
def facts(section):
    said = section.psection()
    shape, parent = said["morphology"], section.parentseg()
    return {"L": shape["L"], "diam": shape["diam"], "points": [list(point) for point in shape["pts3d"]],
            "parent": None if parent is None else [plain(parent.sec), parent.x, section.orientation()],
            "nseg": said["nseg"], "Ra": said["Ra"], "cm": said["cm"], "mechanisms": said["density_mechs"],
            "ions": said["ions"], "processes": sorted(said["point_processes"])}
"""
REFERENCE = """
import json, sys
from netpyne import sim, specs
from neuron import h
asked = json.load(open(sys.argv[1]))
h.nrn_load_dll(asked["library"])
exec(asked["facts"])
found = {}
for name, params in asked["models"].items():
    config = specs.SimConfig(asked["configs"][name])
    config.saveJson = config.savePickle = config.recordStim = False
    config.analysis = {}
    sim.create(simConfig=config, netParams=specs.NetParams(params))
    one = {
        "cells": [[c.gid, c.tags["pop"], *(float(c.tags[a]) for a in "xyz")] for c in sim.net.cells],
        "connections": [[c.gid, k["preGid"], k.get("sec"), k.get("loc"), k.get("synMech"), float(k["weight"]),
                         float(k["delay"])] for c in sim.net.cells for k in c.conns],
        "sections": {c.gid: {s: facts(sec["hObj"]) for s, sec in c.secs.items()}
                     for c in sim.net.cells if isinstance(c, sim.CompartCell)},
        "points": [[pt for sec in c.secs.values() for pt in sec["geom"].get("pt3d", ())] for c in sim.net.cells
                   if isinstance(c, sim.CompartCell)],
    }
    sim.runSim()
    sim.gatherData()
    one["spikes"] = [list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])]
    one["synapses"] = sim.totalSynapses
    one["rates"] = dict(sim.analysis.popAvgRates(show=False))
    for text in asked["included"] if name == "layers" else ():
        item = json.loads(text)
        item = tuple(item) if isinstance(item, list) else item
        drawn = sim.plotting.plotSpikeHist(include=[item], binSize=2, showFig=False)
        rates = sim.analysis.plotSpikeStats(include=[item], graphType="none", showFig=False, stats=["rate"],
                                              includeRate0=True)
        one.setdefault("seen", {})[text] = {  # NetPyNE fails to draw single cells, and answers -1
            "times": [sim.analysis.prepareSpikeHist(include=[item])["spkTimes"]] if drawn == -1
                     else [list(map(float, each)) for each in drawn.x],
            "drawn": drawn != -1 and list(map(float, drawn.bins)),
            "rates": None if rates == -1 else [list(map(float, each)) for each in rates[1]["statData"]],
        }
    if name in asked["save"]:
        config.saveJson, config.savePickle, config.filename = True, name in asked["pickle"], f"saved {name}"
        sim.saveData()
    found[name] = one
    sim.clearAll()
json.dump(found, open("found.json", "w"))
"""
INCLUDED: dict[str, list[Any]] = {
    '"all"': ["all"], '"allCells"': ["allCells"], '"eachPop"': list(MODELS["layers"]["popParams"]), '"I4"': ["I4"],
    "7": [7], '["E5", 3]': [("E5", 3)], '["E2", [0, 2, 9]]': [("E2", [0, 2, 9])],
}  # fmt: skip
"""what NetPyNE is asked for, as JSON, and what select is: several things where it shows several"""
SAVED = ("one population", "junctions", "hybrid", "varied")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NetPyNE's answers in found.json, a network that it has saved, and the models as JSON."""
    folder = tmp_path_factory.mktemp("netpyne")
    ask_netpyne(
        folder,
        REFERENCE,
        MODELS,
        CONFIGS,
        MODS,
        save=SAVED,
        facts=FACTS,
        pickle=["one population"],
        included=list(INCLUDED),
    )
    return folder


@pytest.fixture(scope="module")
def reference(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def spikes(results: nmlbridge.Results) -> list[tuple[float, int]]:
    return sorted(zip(np.round(results.spikes.time * 1e3, 6).tolist(), results.spikes.gid.tolist(), strict=True))


@pytest.mark.parametrize("name", [name for name in MODELS if name != "junctions"])  # NetPyNE lists those twice
def test_cells_and_connections_one_by_one(name: str, folder: Path, reference: dict[str, Any]) -> None:
    instance, expected = Files.of(folder / f"{name}.json", (), {}, Report()).instance(Report()), reference[name]
    cells = [[c.gid, c.tags["pop"], *(c.tags[axis] for axis in "xyz")] for c in instance.cells.values()]
    assert [cell[:2] for cell in cells] == [cell[:2] for cell in expected["cells"]]
    assert np.array([c[2:] for c in cells]) == pytest.approx(np.array([c[2:] for c in expected["cells"]]), abs=1e-9)
    by_cell: dict[int, list[list[Any]]] = {gid: [] for gid in instance.cells}
    for c in instance.connections:
        by_cell[c.post].append(
            [c.post, "NetStim" if c.driven else c.pre, c.section, c.loc, c.synapse, c.weight, c.delay]
        )
    ours = [row for rows in by_cell.values() for row in rows]
    assert len(ours) == len(expected["connections"]) == expected["synapses"] == SYNAPSES.get(name, expected["synapses"])
    for a, b in zip(ours, expected["connections"], strict=True):
        assert a[:3] == b[:3]
        assert a[4] == (b[4] or a[4])  # where a stimulus names no synMech, NetPyNE takes the first
        assert [a[3], *a[5:]] == pytest.approx([b[3], *b[5:]], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_spikes(name: str, folder: Path, reference: dict[str, Any]) -> None:
    results = nmlbridge.simulate(folder / f"{name}.json", allow=("mods",))
    times, gids = reference[name]["spikes"]
    theirs = sorted(zip(np.round(times, 6).tolist(), map(int, gids), strict=True))
    assert spikes(results) == theirs
    assert len(theirs) > 10


@pytest.fixture(scope="module")
def layered(folder: Path) -> nmlbridge.Results:
    """A run of the model of three layers."""
    return nmlbridge.simulate(folder / "layers.json")


@pytest.mark.parametrize("include", INCLUDED)
def test_counts_and_rates_of_what_netpyne_includes(
    include: str, layered: nmlbridge.Results, reference: dict[str, Any]
) -> None:
    """Histograms of 2 ms: ours, numpy's of NetPyNE's spikes, and what is drawn; the rates of the cells."""
    seen, stop = reference["layers"]["seen"][include], 0.05
    assert len(seen["times"]) == len(INCLUDED[include])
    edges = np.arange(0, 52, 2)
    assert not seen["drawn"] or seen["drawn"] == edges[:-1].tolist()  # NetPyNE leaves out the last bin
    rates = []
    for item, times in zip(INCLUDED[include], seen["times"], strict=True):
        spikes, _ = analysis.select(layered.spikes, item)
        expected = np.histogram(times, edges)[0].tolist()
        assert analysis.histogram(spikes, 2e-3, stop)[1].tolist() == expected
        rates.append(sorted(analysis.rates(spikes, stop)))
        if sum(expected):
            drawn = [patch.get_data() for patch in plot.rate(spikes, stop, width=2e-3).patches]
            cells = [size for _, size in spikes.populations.values()]
            together = sum(one.values * size for one, size in zip(drawn, cells, strict=True)) * 2e-3
            assert together == pytest.approx(expected) and drawn[0].edges == pytest.approx(edges)
    if include == '"eachPop"':
        means = dict(zip(INCLUDED[include], map(np.mean, rates), strict=True))
        assert means == pytest.approx(reference["layers"]["rates"])
    if seen["rates"] is not None:
        assert [sorted(each) for each in seen["rates"]] == [pytest.approx(each) for each in rates]
    assert include.startswith("[") or sum(map(len, seen["times"])) > 0


OURS = """
import json, sys
from pathlib import Path
from neuron import h
from nmlbridge.simulator.neuron.build import Network
from nmlbridge.simulator.program import Program
asked = json.load(open("ours.json"))
exec(asked["facts"])
h.nrn_load_dll(asked["library"])
found = {}
for name, folder in asked["programs"].items():
    network = Network(h, h.ParallelContext(), Program.load(Path(folder)))
    network.build()
    found[name] = {gid: {plain(section): facts(section) for section in cell.sections}
                   for gid, cell in network.cells.items() if cell.sections}
    h.ParallelContext().gid_clear()
    del network
json.dump(found, open("ours found.json", "w"))
"""
PLACED = ("dendrites", "point cells", "hybrid", "varied", "subcellular", "layers")


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[str, Any]:
    """What ``h.psection()`` says of each section that a run would have."""
    programs, library = {}, ""
    for name in PLACED:
        network, simulation = read_simulation(folder / f"{name}.json", allow=("mods",))
        program = lowered_of(network, simulation, Report()).program
        program.save(folder / "programs" / name)
        programs[name], library = str(folder / "programs" / name), str(compile_mods(MODS))
    (folder / "ours.json").write_text(json.dumps({"programs": programs, "facts": FACTS, "library": library}))
    done = subprocess.run([sys.executable, "-c", OURS], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "ours found.json").read_text())
    return found


@pytest.mark.parametrize("name", PLACED)
def test_the_same_sections(name: str, built: dict[str, Any], reference: dict[str, Any]) -> None:
    """``h.psection()`` of each section of each cell. Of point processes the kinds: here synapses of one kind at one
    place, whose sum is a synapse of that kind, are one."""
    ours, theirs = built[name], reference[name]["sections"]
    assert ours.keys() == theirs.keys()
    for gid, sections in theirs.items():
        assert ours[gid].keys() == sections.keys()
        for label, section in sections.items():
            found = ours[gid][label]
            for part in ("nseg", "Ra", "cm", "parent", "ions", "processes"):
                assert found[part] == section[part], (gid, label, part)
            for part in ("L", "diam"):  # of cells that are moved and turned
                assert found[part] == pytest.approx(section[part], rel=1e-14)
            assert np.array(found["points"]) == pytest.approx(np.array(section["points"]), abs=1e-4)
            assert found["mechanisms"].keys() == section["mechanisms"].keys()
            for mechanism, parameters in section["mechanisms"].items():
                assert found["mechanisms"][mechanism].keys() == parameters.keys()
                for parameter, values in parameters.items():
                    assert found["mechanisms"][mechanism][parameter] == pytest.approx(values, rel=1e-13)


def test_cells_are_turned_alike(folder: Path, reference: dict[str, Any]) -> None:
    name = "varied"
    instance = Files.of(folder / f"{name}.json", (), {}, Report()).instance(Report())
    cells = [cell for cell in instance.cells.values() if cell.secs]
    for cell, theirs in zip(cells, reference[name]["points"], strict=True):
        assert cell.secs is not None
        ours = [point for section in cell.secs.values() for point in section["geom"].get("pt3d", ())]
        assert np.array(ours).ravel() == pytest.approx(np.array(theirs).ravel(), abs=1e-9)


@pytest.mark.parametrize("name", SAVED)
def test_a_network_that_netpyne_has_saved_gives_its_spikes(
    name: str, folder: Path, reference: dict[str, Any]
) -> None:  # fmt: skip
    times, _ = reference[name]["spikes"]
    ours = [time for time, _ in spikes(nmlbridge.simulate(folder / f"saved {name}_data.json", allow=("mods",)))]
    assert ours == sorted(np.round(times, 6).tolist())


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_network_made_anew_from_its_rules_gives_the_same_spikes(
    name: str, folder: Path, reference: dict[str, Any]
) -> None:  # fmt: skip
    times, gids = reference[name]["spikes"]
    path, anew = folder / f"saved {name}_data.json", {"instantiate": False}
    ours = spikes(nmlbridge.simulate(path, allow=("mods",), changes=anew))
    assert ours == sorted(zip(np.round(times, 6).tolist(), map(int, gids), strict=True))


def saved_and_made(folder: Path, report: Report) -> tuple[Any, Any]:
    """The network "varied" as NetPyNE has saved it, and as its rules make it."""
    saved = Files.of(folder / "saved varied_data.json", (), {}, report).instance(report)
    return saved, Files.of(folder / "varied.json", (), {}, Report()).instance(Report())


def test_functions_in_saved_networks_have_their_values(folder: Path) -> None:
    """NetPyNE saves "uniform(8, 12)", not the number that a synapse got."""
    report = Report()
    saved, made = saved_and_made(folder, report)
    assert not report.losses
    assert [note.severity for note in report if note.code == "netpyne-functions"] == ["info"]
    ours, theirs = (
        sorted((c.post, c.pre, c.driven, c.section, c.loc, c.synapse, sorted(c.values)) for c in one.connections)
        for one in (saved, made)
    )
    assert ours == theirs
    assert len({dict(c.values)["tau2"] for c in saved.connections if c.synapse == "GABA"}) > 10
    for gid, cell in saved.cells.items():
        for name, section in (cell.secs or {}).items():
            for mechanism, parameters in made.cells[gid].secs[name]["mechs"].items():
                for word, value in parameters.items():  # NetPyNE saves L as NEURON has it, in single precision
                    assert section["mechs"][mechanism][word] == pytest.approx(value, rel=1e-8)


def test_random_functions_whose_order_is_lost_are_reported(folder: Path, tmp_path: Path) -> None:
    data = json.loads((folder / "saved varied_data.json").read_text())
    data["net"]["params"]["synMechParams"]["NMDA"]["e"] = "normal(0, 1)"
    path, report = tmp_path / "net_netpyne.json", Report()
    path.write_text(json.dumps(data))
    nmlbridge.read(path, report=report)
    assert [note.severity for note in report if note.code == "netpyne-functions"] == ["approximation"]
    assert "synMechParams.NMDA.tau1" in str(report)


@pytest.mark.parametrize("broken", ["cellParams", "function"])
def test_functions_that_no_rule_states(broken: str, folder: Path, tmp_path: Path) -> None:
    data = json.loads((folder / "saved varied_data.json").read_text())
    if broken == "cellParams":
        data["net"]["params"]["cellParams"]["T"]["secs"]["apical"]["mechs"] = {"pas": {"g": "3e-5*exp(-dist_path/200)"}}
    else:
        data["net"]["params"]["synMechParams"]["NMDA"]["e"] = "elsewhere + 1"
    path = tmp_path / "net_netpyne.json"
    path.write_text(json.dumps(data))
    words = {"cellParams": "pas.e is 'normal.*a function that a rule", "function": "'elsewhere', which is not known"}
    with pytest.raises(NmlBridgeError, match=words[broken]):
        nmlbridge.convert(path, tmp_path / "out.nml")
    assert not (tmp_path / "out.nml").exists()


def test_what_the_refusal_of_a_pickle_says_makes_json_of_it(
    folder: Path, tmp_path: Path, reference: dict[str, Any]
) -> None:
    (tmp_path / "model.pkl").write_bytes((folder / "saved one population_data.pkl").read_bytes())
    with pytest.raises(NmlBridgeError, match="a pickle") as raised:
        nmlbridge.read(tmp_path / "model.pkl")
    script = "from netpyne import sim" + str(raised.value).partition("from netpyne import sim")[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ours = spikes(nmlbridge.simulate(tmp_path / "model_data.json"))
    times, gids = reference["one population"]["spikes"]
    assert ours == sorted(zip(np.round(times, 6).tolist(), map(int, gids), strict=True))


@pytest.mark.parametrize("name", ["one population", "hybrid", "subcellular", "junctions", "varied"])
def test_saved_by_us_and_read_again_it_spikes_alike(name: str, folder: Path) -> None:
    network = nmlbridge.read(folder / f"{name}.json")
    nmlbridge.write(network, folder / "again_netpyne.json")
    first = nmlbridge.simulate(folder / f"{name}.json", allow=("mods",), duration=150)
    again = nmlbridge.simulate(folder / "again_netpyne.json", allow=("mods",), duration=150)
    assert spikes(again) == spikes(first)
    assert len(first.spikes) > 12


def test_junctions_are_a_loss_where_they_have_no_counterpart(folder: Path, tmp_path: Path) -> None:
    report = Report()
    network = nmlbridge.read(folder / "junctions.json", allow=("mods",), report=report)
    nmlbridge.write(network, tmp_path / "net.nml", report=report)
    assert nmlbridge.validate(tmp_path / "net.nml") == []
    assert {"Tunnel", "Graded"} <= {name for note in report for name in ("Tunnel", "Graded") if name in str(note)}


@pytest.mark.parametrize("name", ["one population", "two populations", "varied", "junctions"])
def test_the_same_on_any_number_of_ranks(name: str, folder: Path) -> None:
    path = folder / f"{name}.json"
    more: dict[str, Any] = {"duration": 80, "allow": ("mods",)}
    more["changes"] = {"rng": "native"} if name == "varied" else {}
    one, two, four = (spikes(nmlbridge.simulate(path, ranks=ranks, **more)) for ranks in (1, 2, 4))
    assert one == two == four
    assert len(one) > 12
