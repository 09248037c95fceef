"""Programs written by hand, run by the worker, against exact solutions and NEURON driven directly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmlbridge.errors import SimulatorError
from nmlbridge.simulator.backend import RawResults
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.program import Program

from . import programs

pytestmark = pytest.mark.neuron


@pytest.fixture(scope="module")
def ring() -> RawResults:
    return run_program(programs.ring())


def _changed(program: Program, **spec: Any) -> Program:
    return replace(program, spec={**program.spec, **spec})


def test_samples_are_exact_in_number_and_time() -> None:
    results = run_program(programs.one_cell(run=programs.run(duration=300.0)))
    assert results.columns.shape == (4, 12001)
    assert results.time[0] == 0 and results.time[-1] == pytest.approx(0.3, abs=1e-12)
    assert results.columns[0, 0] == -0.065
    assert len(results.spike_times) > 10 and (np.diff(results.spike_times) > 0).all()


def test_recordings_say_what_was_asked() -> None:
    results = run_program(programs.one_cell())
    v, m, i, constant = results.columns
    step = int(np.argmax(v > 0))  # the first sample above 0 mV is where the spike is
    assert results.spike_times[0] == pytest.approx(results.time[step], abs=0.03e-3)
    assert 0.05 < m[0] < 0.06 and m.max() > 0.9
    assert i[results.time < 0.9e-3].max() == 0 and i[-1] == 0.5e-9
    assert (constant == 6.0).all()


def test_same_program_same_bytes() -> None:
    first, second = run_program(programs.one_cell()), run_program(programs.one_cell())
    assert first.hash == second.hash == programs.one_cell().hash
    assert first.columns.tobytes() == second.columns.tobytes()


def test_record_every_keeps_one_step_of_so_many() -> None:
    every = run_program(programs.one_cell())
    some = run_program(programs.one_cell(run=programs.run(record_every=7)))
    assert some.columns.shape == (4, 400 // 7 + 1)
    np.testing.assert_array_equal(some.columns, every.columns[:, ::7])
    np.testing.assert_allclose(some.time, every.time[::7], atol=1e-15)


def test_a_duration_that_is_no_multiple_of_the_step_ends_before_it() -> None:
    results = run_program(programs.one_cell(run=programs.run(dt=0.03, duration=1.0)))
    assert results.columns.shape[1] == len(results.time) == 34
    assert results.time[-1] == pytest.approx(0.99e-3)


def test_nothing_recorded_is_no_failure() -> None:
    results = run_program(programs.one_cell(recordings=[], spikes=[]))
    assert results.columns.shape == (0, 401) and len(results.spike_times) == 0


def test_cvode_agrees_and_samples_at_the_same_times() -> None:
    fixed = run_program(programs.one_cell(run=programs.run(dt=0.001)))
    free = run_program(programs.one_cell(run=programs.run(dt=0.025, cvode={"atol": 1e-6, "rtol": 0.0})))
    assert free.columns.shape == (4, 401)
    assert np.abs(free.columns[0] - fixed.columns[0, ::25]).max() < 0.5e-3


def test_second_order_is_nearer_to_the_converged_spike() -> None:
    best = run_program(programs.one_cell(run=programs.run(dt=0.0005))).spike_times[0]
    first = run_program(programs.one_cell(run=programs.run(dt=0.05))).spike_times[0]
    second = run_program(programs.one_cell(run=programs.run(dt=0.05, second_order=2))).spike_times[0]
    assert abs(second - best) <= abs(first - best)


def test_numbers_per_segment_are_set_where_they_belong() -> None:
    program = programs.ring()
    recordings = [
        {"column": k, "gid": 4, "section": 1, "x": (2 * k + 1) / 6, "mechanism": "testleak", "variable": "g"}
        for k in range(3)
    ] + [{"column": 3 + k, "gid": 4, "section": 1, "x": (2 * k + 1) / 6, "variable": "v"} for k in range(3)]
    results = run_program(_changed(program, recordings=recordings, run=programs.run(duration=0.025)))
    np.testing.assert_array_equal(results.columns[:3, 0], [1e-3, 2e-3, 3e-3])
    np.testing.assert_array_equal(results.columns[3:, 0], [-64.0, -63.0, -62.0])


def test_state_of_a_mechanism_decays_as_it_must(ring: RawResults) -> None:
    np.testing.assert_allclose(ring.columns[7], np.exp(-ring.time / 10e-3), rtol=1e-9)


def test_random_sources_have_their_own_streams(ring: RawResults) -> None:
    trains = [ring.spike_times[ring.spike_gids == gid] for gid in range(6, 12)]
    assert len({tuple(train) for train in trains}) == 6
    assert ring.columns[9, -1] == len(trains[1])  # "count" of the second source
    assert ring.columns[8, -1] > 0


def test_random_sources_have_the_rate_they_should() -> None:
    ids = np.column_stack([np.arange(400), np.ones(400), np.ones(400)]).astype(np.uint32)
    population = {
        "id": "noise",
        "artificial": "TestPoisson",
        "first_gid": 10,
        "size": 400,
        "parameters": {"mean": "T:mean"},
        "random": "T:ids",
        "rng": "rng",
    }
    spec = {"populations": [population], "spikes": "all", "run": programs.run(duration=1000.0)}
    mean = np.where(np.arange(400) < 200, 10.0, 40.0)
    results = run_program(Program(spec, {"ids": ids, "mean": mean}, {"poisson.mod": programs.POISSON}))
    fast = (results.spike_gids < 210).sum() / 200
    slow = (results.spike_gids >= 210).sum() / 200
    assert fast == pytest.approx(100, abs=4 * np.sqrt(100 / 200))
    assert slow == pytest.approx(25, abs=4 * np.sqrt(25 / 200))
    other = run_program(Program(spec, {"ids": ids + 1, "mean": mean}, {"poisson.mod": programs.POISSON}))
    assert other.spike_times.tolist() != results.spike_times.tolist()


def test_sums_of_variables(ring: RawResults) -> None:
    dendrite = run_program(
        _changed(programs.ring(), recordings=[{"column": 0, "gid": 1, "section": 1, "x": 0.5, "variable": "v"}])
    )
    expected = 2e-3 * ring.columns[1] * 1e3 - 1e-3 * dendrite.columns[0] + 1.0
    np.testing.assert_allclose(ring.columns[11], expected, rtol=0, atol=1e-15)


def test_gap_junction_follows_the_voltages(ring: RawResults) -> None:
    """The current is that of the step before, with the peer's voltage as it was transferred."""
    current = 0.002e-6 * (ring.columns[0] - ring.columns[1])
    assert np.corrcoef(current[1:], ring.columns[10, 1:])[0, 1] > 0.99


def test_two_cells_with_a_gap_junction_relax_as_they_must() -> None:
    """Two passive compartments of capacitance C joined by g: their difference decays with 2g/C, their sum stays."""
    template = programs.soma(
        inserts=[], sections=[{"name": "s", "L": 10.0, "diam": 10.0, "nseg": 1, "parent": -1, "Ra": 100.0}]
    )
    program = Program(
        {
            "templates": [template | {"v_init": -50.0}, template | {"id": "other", "v_init": -70.0}],
            "populations": [
                {"id": "a", "template": 0, "first_gid": 0, "size": 1},
                {"id": "b", "template": 1, "first_gid": 1, "size": 1},
            ],
            "points": [
                {
                    "id": "gap",
                    "mechanism": "TestGap",
                    "gid": "T:gid",
                    "section": "T:zero",
                    "x": "T:x",
                    "parameters": {"g": 1e-3},
                }
            ],
            "transfers": [
                {
                    "source_gid": "T:peer",
                    "source_section": "T:zero",
                    "source_x": "T:x",
                    "source_variable": "v",
                    "points": "gap",
                    "index": "T:gid",
                    "variable": "vpeer",
                }
            ],
            "recordings": [{"column": k, "gid": k, "section": 0, "x": 0.5, "variable": "v"} for k in (0, 1)],
            "spikes": [],
            "run": programs.run(dt=0.001, duration=5.0),
        },
        {
            "soma_cm": np.ones(1),
            "gid": np.array([0, 1]),
            "peer": np.array([1, 0]),
            "zero": np.zeros(2, dtype=int),
            "x": np.full(2, 0.5),
        },
        {"gap.mod": programs.GAP},
    )
    results = run_program(program)
    capacitance = np.pi * 10 * 10 * 1e-8  # uF: 1 uF/cm2 on pi L d um2
    expected = 20 * np.exp(-2 * 1e-3 / (capacitance * 1e3) * results.time * 1e3)  # uS / nF is 1/ms
    np.testing.assert_allclose(results.columns[0] - results.columns[1], expected, rtol=2e-3)
    np.testing.assert_allclose(results.columns.sum(axis=0), -120.0, atol=1e-6)


def test_concentrations_start_where_the_program_says() -> None:
    template = programs.soma(
        sections=[{"name": "s", "L": 30.0, "diam": 10.0, "nseg": 3, "parent": -1, "Ra": 100.0}],
        cm=None,
        v_init=-65.0,
        inserts=[{"mechanism": "testpool", "sections": [0], "parameters": {"start": "T:start"}}],
        ions=[{"ion": "ca", "sections": [0], "internal": "T:start", "external": 2.5, "charge": 2}],
    )
    other = template | {"id": "other", "inserts": []}
    program = Program(
        {
            "templates": [template, other],
            "populations": [{"id": f"p{k}", "template": k, "first_gid": k, "size": 1} for k in (0, 1)],
            "recordings": [
                {"column": 3 * k + s, "gid": k, "section": 0, "x": (2 * s + 1) / 6, "variable": "cai"}
                for k in (0, 1)
                for s in range(3)
            ]
            + [{"column": 6, "gid": 1, "section": 0, "x": 0.5, "variable": "cao"}],
            "run": programs.run(),
        },
        {"start": np.array([0.1, 0.2, 0.3])},
        {"pool.mod": programs.POOL},
    )
    results = run_program(program)
    start = np.array([[0.1], [0.2], [0.3]])
    np.testing.assert_allclose(results.columns[:3], start * np.exp(-results.time / 20e-3), rtol=1e-9)
    np.testing.assert_allclose(results.columns[3:6], np.broadcast_to(start, (3, 401)), rtol=1e-12)
    np.testing.assert_array_equal(results.columns[6], 2.5)


def test_events_reach_a_cell_s_own_point_process_and_artificial_cells() -> None:
    relay = """
NEURON { ARTIFICIAL_CELL TestRelay  RANGE got }
ASSIGNED { got }
INITIAL { got = 0 }
NET_RECEIVE (w) { got = got + w  net_event(t) }
"""
    one = np.zeros(1, dtype=int)
    program = Program(
        {
            "templates": [
                programs.soma(
                    points=[
                        {"mechanism": "Exp2Syn", "section": 0, "x": 0.5, "parameters": {"tau2": 1.0}},
                        {"mechanism": "ExpSyn", "section": 0, "x": 0.5, "parameters": {"tau": 1.5}},
                    ]
                )
            ],
            "populations": [
                {"id": "cell", "template": 0, "first_gid": 0, "size": 1},
                {
                    "id": "start",
                    "artificial": "NetStim",
                    "first_gid": 1,
                    "size": 1,
                    "parameters": {"number": 2, "start": 1.0, "interval": 3.0},
                },
                {"id": "relay", "artificial": "TestRelay", "first_gid": 2, "size": 1},
            ],
            "netcons": [
                {"source_gid": "T:one", "points": "relay", "index": "T:zero", "weight": "T:w", "delay": "T:d"},
                {
                    "source_gid": "T:two",
                    "points": "cell",
                    "template_point": 1,
                    "index": "T:zero",
                    "weight": "T:w",
                    "delay": "T:d",
                },
            ],
            "recordings": [
                {"column": 0, "gid": 0, "template_point": 1, "variable": "g"},
                {"column": 1, "gid": 2, "artificial": True, "variable": "got"},
            ],
            "spikes": [2],
            "run": programs.run(),
        },
        {
            **programs.SOMA_TABLES,
            "zero": one,
            "one": one + 1,
            "two": one + 2,
            "w": np.array([0.25]),
            "d": np.array([0.5]),
        },
        {"relay.mod": relay},
    )
    results = run_program(program)
    np.testing.assert_allclose(results.spike_times, [1.5e-3, 4.5e-3], atol=1e-12)
    assert results.spike_gids.tolist() == [2, 2]
    assert results.columns[1, -1] == 0.5
    g = results.columns[0]
    assert g[results.time < 1.99e-3].max() == 0
    late = results.time > 5.1e-3
    np.testing.assert_allclose(g[late], g[late][0] * np.exp(-(results.time[late] - results.time[late][0]) / 1.5e-3))


def test_the_same_network_built_by_hand_gives_the_same_voltages(tmp_path: Any) -> None:
    """NEURON driven directly, in its own process, for the cell with a clamp."""
    import subprocess
    import sys

    script = """
from neuron import h
import numpy as np
s = h.Section(name="s"); s.L = s.diam = 20; s.Ra = 100; s.insert("hh")
c = h.IClamp(s(0.5)); c.delay = 1; c.dur = 100; c.amp = 0.5
v = h.Vector(); v.record(s(0.5)._ref_v)
h.dt = 0.025; h.celsius = 6.3; h.finitialize(-65)
while len(v) < 401: h.fadvance()
np.save("v.npy", np.array(v))
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(run_program(programs.one_cell()).columns[0], np.load(tmp_path / "v.npy") * 1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"points": [{"id": "syn", "mechanism": "Nowhere", "gid": "T:gid", "section": "T:section", "x": "T:x"}]},
         "'syn' needs the point process 'Nowhere'"),
        ({"points": [{"id": "syn", "mechanism": "ExpSyn", "gid": "T:gid", "section": "T:section", "x": "T:x",
                      "parameters": {"tow": 1.0}}]}, "'ExpSyn' has no parameter 'tow'"),
        ({"recordings": [{"column": 0, "gid": 0, "section": 3, "x": 0.5, "variable": "v"}]}, "section 3"),
        ({"recordings": [{"column": 0, "gid": 7, "section": 0, "x": 0.5, "variable": "v"}]}, "gid 7"),
        ({"recordings": [{"column": 0, "gid": 0, "section": 0, "x": 0.5, "mechanism": "pas", "variable": "g"}]},
         "mechanism pas"),
        ({"templates": [programs.soma(inserts=[{"mechanism": "hh", "sections": [0], "parameters": {"gbar": 1}}])]},
         "no parameter 'gbar'"),
        ({"netcons": [{"source_gid": "T:gid", "points": "gone", "index": "T:gid", "weight": "T:x", "delay": "T:x"}]},
         "'gone'"),
        ({"templates": [programs.soma(source=None)],
          "netcons": [{"source_gid": "T:gid", "points": "stim", "index": "T:gid", "weight": "T:x", "delay": "T:x"}]},
         "cell 0, which sends no events"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SimulatorError) as caught:
        run_program(_changed(programs.one_cell(), **change))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_blows_up_is_noted() -> None:
    program = programs.one_cell()
    tables = {**program.tables, "amp": np.array([np.inf])}
    results = run_program(replace(program, tables=tables))
    assert any("not finite" in note for note in results.notes)
