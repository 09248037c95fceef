"""Fields, reactions, plasticity and electrodes with checkpoints, variable steps, CoreNEURON, ranks, sessions and plans.

Each pair gives the numbers of the plain run, or one error before anything is compiled: the table in docs/cli.md.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import UnsupportedError, UsageError
from nmlbridge.results import Electrodes, Results
from nmlbridge.simulator.neuron.played import knots, together

pytestmark = pytest.mark.neuron

NET: dict[str, Any] = {
    "name": "net",
    "parameters": {"strength": 20},
    "cells": {"cell": {
        "sections": {"soma": {"points": [[0, 0, 0, 12], [0, 12, 0, 12]]},
                     "dend": {"points": [[0, 12, 0, 2], [0, 212, 0, 2]], "parent": "soma", "compartments": 11}},
        "biophysics": {"v_init": -65, "resistivity": 100, "mechanisms": {"hh": {"neuron": "hh"}}},
    }},
    "populations": {"A": {"cell": "cell", "positions": [[0, 0, 0], [15, 0, 0], [30, 5, 0]]}},
    "synapses": {"syn": {"neuron": "Exp2Syn", "tau1": 0.5, "tau2": 3, "e": 0}},
    "connections": {"AA": {"from": "A[0]", "to": "A[1:3]", "pattern": "all_to_all", "synapse": "syn", "weight": 0.01,
                           "delay": 1, "at": "dend",
                           "plasticity": {"type": "stdp", "a_plus": 0.1, "a_minus": 0.1, "w_max": 0.05}}},
    "stimuli": {
        "i": {"type": "pulse", "to": "A[0]", "amplitude": 0.3, "start": 1, "duration": 30},
        "field": {"type": "uniform_field", "to": "A", "direction": [0, 1, 0], "amplitude": "strength",
                  "course": {"times": [0, 2, 2, 4, 8, 8], "values": [0, 0, 1, -1, 0.5, 0]}},
        "wave": {"type": "point_electrode", "to": "A[2]", "position": [60, 50, 0], "amplitude": 5,
                 "course": "sin(2 * pi * t / 3)"},
    },
    "rxd": {
        "regions": {"cyt": {"cells": "A", "side": "i"}, "er": {"cells": "A"},
                    "ecs": {"outside": {"x": [-20, 60], "y": [-20, 240], "z": [-20, 20], "voxel": 20,
                                        "volume_fraction": 0.2, "tortuosity": 1.6}}},
        "species": {"k": {"regions": ["cyt", "ecs"], "charge": 1, "d": 1, "initial": {"cyt": 54.4, "ecs": 2.5}},
                    "buf": {"regions": "cyt", "initial": "1e-2 + 1e-4 * path_dist", "d": 0.2},
                    "store": {"regions": "er", "initial": "1e-2 + 1e-4 * path_dist", "d": 0.2}},
        "rates": {"loss": {"species": "buf", "rate": "-1e-2 * buf * exp(-v / 50)"},
                  "use": {"species": "store", "rate": "-1e-2 * store"}},
    },
    "record": {"v": {"cells": "A", "at": "dend"}, "w": {"weights": "AA"}, "ki": {"cells": "A", "variable": "k[cyt]"},
               "near": {"place": [15, 6, 0], "variable": "k[ecs]"},
               "far": {"place": [55, 230, 15], "variable": "k[ecs]"},
               "store": {"cells": "A", "variable": "store"}, "ko": {"cells": "A", "variable": "ko"},
               "buf": {"cells": "A", "at": "dend", "variable": "buf"}},
    "run": {"duration": 12, "dt": 0.025},
}  # fmt: skip
EVERYTHING = ("fields", "rxd", "plasticity", "electrodes")
CONTACTS = Electrodes(np.array([[50.0, 50, 0], [50, 150, 20]]), dipole=True)


def of(*parts: str, **run: Any) -> dict[str, Any]:
    """The network with some of EVERYTHING."""
    data = copy.deepcopy(NET)
    data["run"] |= run
    if "fields" not in parts:
        data["stimuli"] = {"i": data["stimuli"]["i"]}
    if "rxd" not in parts:
        del data["rxd"]
        data["record"] = {name: data["record"][name] for name in ("v", "w")}
    if "plasticity" not in parts:
        del data["connections"]["AA"]["plasticity"], data["record"]["w"]
    return data


def results_of(data: dict[str, Any], *, changes: dict[str, Any] | None = None, **options: Any) -> Results:
    made = build(copy.deepcopy(data))
    assert made.simulation is not None
    return nmlbridge.simulate_network(made.network, replace(made.simulation, **(changes or {})), **options)


def apart(one: Results, other: Results, part: str = "") -> float:
    """The greatest difference of a trace, as a part of its range; charge is conserved, so that dipole/x is noise."""
    assert one.traces.quantities == other.traces.quantities
    rows = [n for n, name in enumerate(one.traces.quantities) if part in name and name not in ("dipole/x", "dipole/z")]
    a, b = one.traces.values[rows], other.traces.values[rows]
    assert len(rows) and (np.ptp(a, axis=1) > 0).all()
    return float((np.abs(a - b).max(axis=1) / np.ptp(a, axis=1)).max())


class Stop(Exception):
    """Ends a run."""


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_a_resumed_run_is_the_same(tmp_path: Path, whole: Results, request: pytest.FixtureRequest, ranks: int) -> None:
    """To the last bit, but for sums over compartments, whose order is not fixed."""
    if ranks > 1:
        request.getfixturevalue("launcher")

    def progress(phase: str, done: float, total: float) -> None:
        if phase == "simulate" and done >= 8:  # after the checkpoint at 7.4 ms, while the fields last
            raise Stop

    options: dict[str, Any] = {"electrodes": CONTACTS, "output": tmp_path, "ranks": ranks}
    with pytest.raises(Stop):
        results_of(of(*EVERYTHING), checkpoint=3.7, progress=progress, **options)
    rest = results_of(of(*EVERYTHING), resume=True, **options)
    exact = [n for n, name in enumerate(whole.traces.quantities) if not name.startswith(("lfp", "dipole"))]
    np.testing.assert_array_equal(rest.traces.values[exact], whole.traces.values[exact])
    np.testing.assert_array_equal(rest.spikes.time, whole.spikes.time)
    assert len(whole.spikes) >= 3 and apart(whole, rest) < 1e-12
    saved = np.loadtxt(tmp_path / "lfp.dat")  # the part before the checkpoint is of the first process
    np.testing.assert_allclose(saved[:, 1:].T, [whole["lfp[0]"], whole["lfp[1]"]], rtol=1e-8, atol=1e-15)


@pytest.fixture(scope="module")
def whole() -> Results:
    return results_of(of(*EVERYTHING), electrodes=CONTACTS)


def test_variable_steps_go_to_the_limit_of_small_ones() -> None:
    """Fixed steps of 1/16 have errors of their own, of a spike's time above all: 5 us move its flank by 1 %."""
    fine = results_of(of(*EVERYTHING, dt=0.025 / 16), changes={"record_every": 16}, electrodes=CONTACTS)
    found = results_of(of(*EVERYTHING), changes={"method": "cvode", "cvode": (1e-5, 0.0)}, electrodes=CONTACTS)
    np.testing.assert_allclose(found.spikes.time, fine.spikes.time, rtol=0, atol=1e-5)
    assert apart(fine, found, "/v") < 0.03
    assert apart(fine, found, "/k/") < 0.01 and apart(fine, found, "buf") < 0.001
    assert apart(fine, found, "store") < 1e-3
    for row in (0, 1):
        assert found[f"weights/AA[{row}]"][-1] == pytest.approx(fine[f"weights/AA[{row}]"][-1], rel=1e-3)
    rms = np.sqrt(np.mean((fine["lfp[0]"] - found["lfp[0]"]) ** 2)) / np.ptp(fine["lfp[0]"])
    assert rms < 0.01  # where the clamp jumps, the sample is before it or after it


def test_cvode_alone_is_enough_to_ask_for_it(tmp_path: Path) -> None:
    """By its name, from the command line too; the first sample is what the model starts with."""
    file = tmp_path / "net.yaml"
    import yaml

    file.write_text(yaml.safe_dump(of("fields")))
    found = nmlbridge.simulate(file, method="cvode", output=tmp_path / "out", ranks=1)
    loose = nmlbridge.simulate(file, method="cvode", abs_tolerance=0.1)
    fixed = nmlbridge.simulate(file, method="implicit")
    assert not np.array_equal(found.traces.values, fixed.traces.values)
    assert not np.array_equal(found.traces.values, loose.traces.values)
    saved = np.loadtxt(tmp_path / "out/net.v.dat")
    np.testing.assert_allclose(saved[0], [0, -0.065, -0.065, -0.065], atol=1e-9)
    with pytest.raises(UsageError, match="add --method cvode"):
        nmlbridge.simulate(file, method="implicit", abs_tolerance=0.1)


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_coreneuron_plays_fields(request: pytest.FixtureRequest, ranks: int) -> None:
    """NEURON's steps in another order of sums; at t = 0 the field is that of t = 0, not of the middle of a step."""
    if ranks > 1:
        request.getfixturevalue("launcher")
    one = results_of(of("fields"), electrodes=CONTACTS)
    two = results_of(of("fields"), electrodes=CONTACTS, backend="coreneuron", ranks=ranks)
    np.testing.assert_array_equal(one.spikes.time, two.spikes.time)
    assert apart(one, two, "/v") < 1e-10
    later = np.abs(one["lfp[0]"] - two["lfp[0]"])[1:].max() / np.ptp(one["lfp[0]"])
    assert later < 1e-10


@pytest.mark.mpi
def test_ranks_agree(launcher: None, whole: Results) -> None:
    two = results_of(of(*EVERYTHING), electrodes=CONTACTS, ranks=2)
    assert apart(whole, two) < 1e-12 and np.array_equal(whole["A[1]/dend(0.5)/v"], two["A[1]/dend(0.5)/v"])


def test_a_session_runs_it_again_and_changes_the_field(whole: Results) -> None:
    made = build(of(*EVERYTHING))
    assert made.simulation is not None
    made = replace(made, simulation=replace(made.simulation, electrodes=CONTACTS))
    with made.session() as session:
        session.run(until=5, every=2.5, call=lambda s: None)
        np.testing.assert_array_equal(session.run().traces.values, whole.traces.values)
        session.change(strength=5)
        weaker = session.run()
    data = of(*EVERYTHING)
    data["parameters"]["strength"] = 5
    np.testing.assert_array_equal(weaker.traces.values, results_of(data, electrodes=CONTACTS).traces.values)
    assert apart(whole, weaker) > 0.01


@pytest.mark.parametrize(("part", "changes", "options", "message"), [
    ("rxd", {}, {"backend": "coreneuron"}, "it has no reactions and diffusion; leave out --backend"),
    ("plasticity", {}, {"backend": "coreneuron"}, "plastic connections change weights.*leave out --backend"),
    ("rxd", {"method": "cvode"}, {"ranks": 2}, r"run on one rank.*--method best"),
    ("fields", {"method": "compat"}, {}, "the compatibility scheme has no imposed fields; take another --method"),
    ("rxd", {"method": "compat"}, {}, "has no reactions and diffusion; take another --method"),
    *((part, {"method": "cvode"}, {"checkpoint": 5.0}, "choose a --method") for part in EVERYTHING),
    *((part, {}, {"backend": "coreneuron", "checkpoint": 5.0}, "leave out --ch|--backend") for part in EVERYTHING),
])  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_compiled(
    part: str, changes: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was run")

    if part == "electrodes":
        options = options | {"electrodes": CONTACTS}
    with pytest.raises((UnsupportedError, UsageError), match=message):
        results_of(of(part), changes=changes, output=tmp_path, runner=never, **options)
    assert not list(tmp_path.iterdir())


def test_a_session_refuses_variable_steps() -> None:
    made = build(of("fields"))
    assert made.simulation is not None
    with pytest.raises(UnsupportedError, match="take another method"):
        nmlbridge.Session(made.network, replace(made.simulation, method="cvode"))


def test_courses_are_kept_where_they_bend() -> None:
    times, values = np.array([-2.0, 0, 1, 2, 2, 3, 4]), np.array([2.0, 0, 1, 2, -1, -1, -1])
    when, what = knots(times, values)
    assert when.tolist() == [0, 2, 2, 4] and what.tolist() == [0, 2, -1, -1]
    grid, both = together([(times, values), (np.array([0.0, 2.5]), np.array([1.0, 1.0]))])
    assert grid.tolist() == [0, 2, 2, 2.5, 4] and both.tolist() == [[0, 2, -1, -1, -1], [1, 1, 1, 1, 1]]
    at = np.linspace(0, 6, 241) + 1e-9
    np.testing.assert_allclose(np.interp(at, when, what), np.interp(at, times, values), atol=1e-12)
