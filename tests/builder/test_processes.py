"""Long rules are built by several processes: the same to the last bit, and nothing stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge.builder import Specification, build, connect, processes
from nmlbridge.errors import NetworkError

from .rules import built, columns, spec
from .test_every_kind import POINTS, TREES, folder

__all__ = ["folder"]  # a fixture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process builds all")


def _divided(monkeypatch: pytest.MonkeyPatch, shares: int) -> list[int]:
    """Have rules built in so many shares; a list of the processes that are forked."""
    started: list[int] = []
    fork = os.fork

    def counted() -> int:
        found = fork()
        if found:
            started.append(found)
        return found

    monkeypatch.setattr(os, "fork", counted)
    monkeypatch.setattr(connect, "processors", lambda pairs: shares if pairs else 1)
    return started


@pytest.mark.parametrize("data", [POINTS, TREES], ids=["points", "trees"])
@pytest.mark.parametrize("shares", [2, 5])
def test_every_kind_of_rule_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], shares: int
) -> None:  # fmt: skip
    whole = columns(build(Specification.of(data, folder), allow=("code", "mods")).network)
    started = _divided(monkeypatch, shares)
    divided = columns(build(Specification.of(data, folder), allow=("code", "mods")).network)
    assert list(divided) == list(whole)
    assert [name for name in whole if divided[name] != whole[name]] == []
    assert len(started) >= (shares - 1) * 5


def test_a_share_of_a_share_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def part() -> Any:
        data = spec({"probability": 0.3, "weight": "uniform(0, 1)"}, (60, 50))
        return build(data, posts=lambda name, size: np.arange(size) % 2 == 0).network

    whole = columns(part())
    assert _divided(monkeypatch, 3) == []
    assert columns(part()) == whole


def test_more_processes_than_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = columns(built({"pattern": "all_to_all"}, (5, 2)))
    _divided(monkeypatch, 4)
    assert columns(built({"pattern": "all_to_all"}, (5, 2))) == whole


def test_a_fault_is_told_as_if_there_were_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # only cells far up have negative delays, and they are built by another process
    wrong = {"probability": 0.5, "delay": "if(post_index > 140, -2, 1)"}
    with pytest.raises(NetworkError) as alone:
        built(wrong)
    started = _divided(monkeypatch, 3)
    with pytest.raises(NetworkError) as divided:
        built(wrong)
    assert str(divided.value) == str(alone.value) and "a delay is -2 ms" in str(alone.value)
    assert len(started) == 2
    for number in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(number, 0)


def test_an_interrupted_run_ends_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _divided(monkeypatch, 3)
    here = os.getpid()

    def never(share: int) -> processes.Groups:
        if os.getpid() == here:
            raise KeyboardInterrupt
        threading.Event().wait(60)
        return {}

    with pytest.raises(KeyboardInterrupt):
        processes.together(3, never)
    assert len(started) == 2
    for number in started:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_process_that_is_killed_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = columns(built({"convergence": 20}))
    here = os.getpid()
    edges = connect.Rule.edges

    def dying(rule: connect.Rule) -> Any:
        if os.getpid() != here:
            os._exit(9)
        return edges(rule)

    started = _divided(monkeypatch, 3)
    monkeypatch.setattr(connect.Rule, "edges", dying)
    assert columns(built({"convergence": 20})) == whole
    assert len(started) == 2


def test_no_room_for_a_process_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = columns(built({"convergence": 20}))
    started = _divided(monkeypatch, 4)
    fork = os.fork

    def one_only() -> int:
        if started:
            raise BlockingIOError("Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", one_only)
    before = len(os.listdir("/proc/self/fd"))
    assert columns(built({"convergence": 20})) == whole
    assert len(started) == 1 and len(os.listdir("/proc/self/fd")) == before


def test_short_rules_start_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process for so little"))
    built({"probability": 0.5})


def test_not_beside_other_threads() -> None:
    assert processes.processors(10**12) == min(len(os.sched_getaffinity(0)), 16)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert processes.processors(10**12) == 1
    finally:
        done.set()
        thread.join()


def test_a_long_rule_leaves_no_files(tmp_path: Path) -> None:
    """As users run it: a rule that is long enough, with a folder for temporary files of its own."""
    code = (
        "from nmlbridge.builder import build\n"
        f"build({spec({'probability': 0.01}, (4000, 4000))!r})\n"
        "import os, resource\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0, len(os.sched_getaffinity(0)) > 1)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stderr == ""
    children, several = done.stdout.split()
    assert children == several
    assert list(tmp_path.iterdir()) == [] and tempfile.gettempdir() != str(tmp_path)
