"""Networks of hnn-core beside hnn-core itself, which cannot share a Python with this NEURON.

NMLBRIDGE_HNN_PYTHON names a Python that has hnn-core (pip install hnn-core, in an environment of its own).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.hnn.drives import LONGEST
from nmlbridge.errors import NmlBridgeError
from nmlbridge.registry import format_to_read, formats, read, resolve_name
from nmlbridge.report import Report
from nmlbridge.results import saved

MODELS = ("erp", "busy")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hnn-core's networks, and what it makes of them."""
    python = os.environ.get("NMLBRIDGE_HNN_PYTHON")
    if python is None:
        pytest.skip("NMLBRIDGE_HNN_PYTHON names no Python that has hnn-core")
    folder = tmp_path_factory.mktemp("hnn")
    program = Path(__file__).with_name("hnn_reference.py")
    subprocess.run([python, str(program), str(folder)], check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def runs(made: Path) -> dict[str, Any]:
    return {model: nmlbridge.simulate(made / f"{model}.json", allow=("mods",)) for model in MODELS}


@pytest.mark.neuron
def test_the_evoked_response_is_that_of_hnn_core(made: Path, runs: dict[str, Any]) -> None:
    """As simulate_dipole gives it: with a baseline taken off, and constants of nature of 1986 (1e-6 different), which
    moves a few spikes by one step."""
    known = np.load(made / "erp.npz")["published"][1:]
    assert np.corrcoef(moment(runs["erp"]), known)[0, 1] > 0.9999


@pytest.mark.neuron
@pytest.mark.parametrize("model", MODELS)
def test_dipole_and_spikes_are_those_of_hnn_core_in_the_same_units(
    model: str, made: Path, runs: dict[str, Any]
) -> None:
    """hnn-core sums axial currents times lengths, we transmembrane currents times places: the same, but for rounding
    and, where a current is injected, for a constant (0.5 nA at the middle of the soma, 19.5 um, in 9 cells)."""
    known, found = np.load(made / f"{model}.npz"), runs[model]
    ours, theirs = moment(found), known["raw"][1:]
    if model == "busy":
        assert any(note.code == "hnn-dipole" for note in found.report)
        t = np.asarray(found.time)[1:] * 1e3
        on = (t > 20.0125) & (t < 120.0125)
        theirs = theirs + np.where(on, 9 * 0.5 * 19.5e-6, 0.0)
    assert np.ptp(theirs) > 1e-2
    assert abs(ours - theirs).max() < 1e-6 * np.ptp(theirs)
    spikes = sorted(zip(found.spikes.gid.tolist(), (found.spikes.time * 1e3).tolist(), strict=True))
    same = sorted(zip(known["gids"].tolist(), known["times"].tolist(), strict=True))
    assert len(spikes) > 150
    assert [gid for gid, _ in spikes] == [gid for gid, _ in same]
    assert np.allclose([time for _, time in spikes], [time for _, time in same], atol=1e-6)


def moment(results: Any) -> Any:
    """The dipole along the apical dendrites, nAm, from the first step on."""
    return np.asarray(results.traces["dipole/z"])[1:] * 1e9


@pytest.mark.parametrize("model", MODELS)
def test_the_events_of_drives_are_those_of_hnn_core(model: str, made: Path) -> None:
    known = np.load(made / f"{model}.npz")
    network = read(made / f"{model}.json")
    drives = [name.removeprefix("events ") for name in known.files if name.startswith("events ")]
    assert len(drives) >= 2
    for name in drives:
        population = network.populations[name]
        assert population.train_rows is not None and population.train_times is not None
        order = np.lexsort((population.train_times, population.train_rows))
        times = population.train_times[order]
        assert np.array_equal(times[times <= 170.0], known[f"events {name}"])


def model() -> dict[str, Any]:
    """A network in hnn-core's layout that needs no mod files: a cable of two sections, and a drive with two sources."""
    cell = {
        "cell_tree": {"soma,0": ["soma,1"], "soma,1": ["dend,0"], "dend,0": ["dend,1"]},
        "sect_loc": {"distal": ["dend"]}, "synapses": {"ampa": {"e": 0.0, "tau1": 0.5, "tau2": 5.0}},
        "sections": {
            "dend": {"L": 120.0, "diam": 2.0, "cm": 1.0, "Ra": 200.0, "end_pts": [[0, 0, 20], [0, 0, 140]], "nseg": 3,
                     "v0": -60.0, "syns": ["ampa"],
                     "mechs": {"pas": {"g_pas": [[1 / 6, 0.5, 5 / 6], [1e-4, 2e-4, 3e-4]], "e_pas": -60.0}}},
            "soma": {"L": 20.0, "diam": 20.0, "cm": 1.0, "Ra": 200.0, "end_pts": [[0, 0, 0], [0, 0, 20]], "nseg": 1,
                     "v0": -60.0, "syns": [], "mechs": {"pas": {"g_pas": 1e-4, "e_pas": -60.0}}},
        },
    }  # fmt: skip
    return {
        "object_type": "Network", "N_pyr_x": 1, "N_pyr_y": 2, "celsius": 37.0, "threshold": 0.0, "delay": 1.0,
        "cell_types": {"pyr": {"cell_object": cell, "cell_metadata": {}}},
        "gid_ranges": {"pyr": {"start": 0, "stop": 2}, "ev": {"start": 2, "stop": 4}},
        "pos_dict": {"pyr": [[0, 0, 0], [0, 1, 0]], "ev": [[0, 0, 0], [0, 0, 0]]},
        "external_drives": {"ev": {"type": "evoked", "event_seed": 3, "cell_specific": True, "events": [],
                                   "dynamics": {"mu": 5.0, "sigma": 0.0, "numspikes": 1}}},
        "external_biases": {},
        "connectivity": [{"src_type": "ev", "target_type": "pyr", "gid_pairs": {"2": [0], "3": [1]}, "loc": "distal",
                          "receptor": "ampa", "nc_dict": {"A_weight": 1e-3, "A_delay": 0.1, "lamtha": 2.0, "gain": 2.0,
                                                          "threshold": 0.0}}],
    }  # fmt: skip


def written(data: dict[str, Any], folder: Path) -> Path:
    path = folder / "net.json"
    path.write_text(json.dumps(data))
    return path


def test_a_network_is_read_without_hnn_core(tmp_path: Path) -> None:
    path = written(model(), tmp_path)
    assert format_to_read(path).name == "hnn"
    network = read(path)
    cell = network.native["pyr"]
    assert [section.name for section in cell.sections] == ["soma", "dend"]
    assert cell.sections[1].mechanisms["pas"] == {"g": (1e-4, 2e-4, 3e-4), "e": -60.0}
    assert (cell.sections[1].parent, cell.sections[1].parent_x, cell.sections[1].child_x) == (0, 1.0, 0.0)
    (link,) = network.projections
    far = np.exp(-1 / 4)  # 1 um apart, lamtha 2 um
    assert link.post_segment.tolist() == [1, 1] and link.weight is not None and link.delay is not None
    assert np.allclose(link.weight, [2e-3, 2e-3 * far]) and np.allclose(link.delay, [0.1, 0.1 / far])
    assert network.populations["ev"].train_times is not None
    assert network.populations["ev"].train_times.tolist() == [5.0, 5.0]
    assert network.temperature == pytest.approx(310.15)


@pytest.mark.neuron
def test_the_dipole_is_that_of_the_axial_currents(tmp_path: Path) -> None:
    """hnn-core's definition, by Ohm's law from the potentials: current along the cell times the way that it goes."""
    network, settings = formats_run(written(model(), tmp_path))
    places = ("soma(0.5)", *(f"dend({x!r})" for x in (1 / 6, 0.5, 5 / 6)))
    paths = [f"pyr[{row}]/{place}/v" for row in (0, 1) for place in places]
    settings = replace(settings, duration=40.0, outputs=saved({"v.dat": paths}, []))
    results = nmlbridge.simulate_network(network, settings)
    v = 1e3 * np.array([results.traces[path] for path in paths]).reshape(2, 4, -1)  # mV
    soma, dend = 200 * 1e-2 / (np.pi * 10**2), 200 * 1e-2 / (np.pi * 1**2)  # MOhm/um
    current = -np.diff(v, axis=1) / np.array([10 * soma + 20 * dend, 40 * dend, 40 * dend])[:, None]  # nA
    known = (current * np.array([30.0, 40.0, 40.0])[:, None]).sum(axis=(0, 1))  # nA um
    found = np.asarray(results.traces["dipole/z"]) * 1e15
    assert known.min() < -1, "current that enters far up flows down"
    assert abs(found - known)[1:].max() < 1e-5 * np.ptp(known)


def formats_run(path: Path) -> Any:
    """The network and the run of a file."""
    return resolve_name(formats()["hnn"].simulation or "")(path)


BAD = {
    "no section of that name": (("connectivity", 0, "loc"), "apical", "apical"),
    "no such receptor there": (("connectivity", 0, "loc"), "soma", "no synapse 'ampa'"),
    "a gid of nobody": (("connectivity", 0, "gid_pairs"), {"2": [7]}, "gids are 0 to 1"),
    "a gid that is none": (("connectivity", 0, "gid_pairs"), {"x": [0]}, "'x' is no gid"),
    "no reach": (("connectivity", 0, "nc_dict", "lamtha"), 0, "more than 0"),
    "far apart": (("connectivity", 0, "nc_dict", "lamtha"), 1e-3, "too far apart"),
    "a text for a number": (("cell_types", "pyr", "cell_object", "sections", "dend", "L"), "long", "'L' is 'long'"),
    "infinite": (("cell_types", "pyr", "cell_object", "sections", "dend", "Ra"), float("inf"), "'Ra' is inf"),
    "too few values": (("cell_types", "pyr", "cell_object", "sections", "dend", "nseg"), 5, "expected 2 x 5 numbers"),
    "a ring": (("cell_types", "pyr", "cell_object", "cell_tree"), {"soma,1": ["dend,0"], "dend,1": ["soma,0"]}, "ring"),
    "an end that is none": (("cell_types", "pyr", "cell_object", "cell_tree"), {"soma,2": []}, "no end of a section"),
    "too few places": (("pos_dict", "pyr"), [[0, 0, 0]], "1 places of 'pyr', which has 2"),
    "a drive of another kind": (("external_drives", "ev", "type"), "odd", "'odd' are not supported"),
    "too many events": (("external_drives", "ev", "dynamics", "numspikes"), 10**9, "1000000 are the most"),
    "a spread below zero": (("external_drives", "ev", "dynamics", "sigma"), -1, "0 or more"),
    "events that are none": (("external_drives", "ev", "events"), [7], "no list of trials"),
    "another object": (("object_type",), "Net", "expected 'Network'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_error_that_names_the_file(name: str, tmp_path: Path) -> None:
    keys, value, said = BAD[name]
    data: Any = model()
    at = data
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    path = written(data, tmp_path)
    with pytest.raises(NmlBridgeError, match=r"net\.json") as fault:
        formats()["hnn"].read(path)
    assert said in str(fault.value)


def leaves(at: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in nested objects and lists, whole parts too."""
    for key, value in at.items() if isinstance(at, dict) else enumerate(at):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))


def test_whatever_stands_in_a_place_ends_in_a_network_or_in_our_error(tmp_path: Path) -> None:
    first = model()
    first["external_biases"] = {"tonic": {"pyr": {"amplitude": 0.1, "t0": 1.0, "tstop": None, "section": "soma"}}}
    refused = 0
    for keys, value in product(leaves(first), (None, "x", -1, 0.5, 10**400, [], [1], {}, {"x": 1}, True)):
        data: Any = json.loads(json.dumps(first))
        at = data
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value
        try:
            formats()["hnn"].read(written(data, tmp_path))
        except NmlBridgeError as fault:
            refused += "net.json" in str(fault)
    assert refused > 300


def test_bursts_lie_around_their_times(tmp_path: Path) -> None:
    data = model()
    dynamics = {"tstart": 100.0, "tstart_std": 0.0, "tstop": 400.0, "burst_rate": 10.0, "burst_std": 0.0,
                "numspikes": 3, "spike_isi": 8.0}  # fmt: skip
    data["external_drives"]["ev"] |= {"type": "bursty", "dynamics": dynamics}
    population = read(written(data, tmp_path)).populations["ev"]
    assert population.train_times is not None and population.train_rows is not None
    for source in range(2):
        times = population.train_times[population.train_rows == source]
        assert times.tolist() == [92.0, 100.0, 108.0, 192.0, 200.0, 208.0, 292.0, 300.0, 308.0]


def test_no_end_of_a_drive_and_strange_spacing_are_said(tmp_path: Path) -> None:
    data = model()
    data["external_drives"]["ev"] |= {"type": "poisson", "dynamics": {"tstart": 0, "tstop": None,
                                                                      "rate_constant": {"pyr": 10.0}}}  # fmt: skip
    data["pos_dict"]["pyr"][1] = [0, 2, 0]
    report = Report()
    network = read(written(data, tmp_path), report=report)
    times = network.populations["ev"].train_times
    assert times is not None and LONGEST - 2000 < times.max() < LONGEST
    assert abs(len(times) - 200) < 5 * np.sqrt(200)  # 10 Hz for 10 s, two sources
    assert {"hnn-drive", "hnn-spacing"} <= {note.code for note in report}


def test_mod_files_are_taken_only_where_that_is_allowed(tmp_path: Path) -> None:
    data = model()
    data["cell_types"]["pyr"]["cell_object"]["sections"]["soma"]["mechs"]["leaky"] = {"g_leaky": 1.0}
    path = written(data, tmp_path)
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "leaky.mod").write_text("NEURON { SUFFIX leaky RANGE g }\nPARAMETER { g = 1 }\n")
    report = Report()
    assert not read(path, report=report).mods
    assert any("--allow-mods" in note.message for note in report)
    assert list(read(path, allow=("mods",)).mods) == ["leaky.mod"]
