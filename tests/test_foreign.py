"""Code of a model, run apart: what it answers, how it fails, when it is ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nmlbridge import foreign
from nmlbridge.errors import DocumentError, UsageError

HEAD = "import json, sys, pathlib, subprocess, os, time\nasked = json.load(open(sys.argv[1]))\n"


def ask(tmp_path: Path, text: str) -> foreign.Answer:
    program = tmp_path / "program.py"
    program.write_text(HEAD + text)
    return foreign.ask(["-P", str(program)], {"x": 2}, tmp_path / "model.py")


@pytest.mark.parametrize("words", [("code",), ("python",), frozenset({"mods", "code"})])
def test_both_spellings_let_code_run(words: tuple[str, ...]) -> None:
    foreign.may_run(Path("a.py"), words)
    for allow in ((), ("mods",)):
        with pytest.raises(UsageError, match="--allow-code"):
            foreign.may_run(Path("a.py"), allow)


def test_an_answer_and_what_was_said(tmp_path: Path) -> None:
    answer = ask(tmp_path, "print('hello'); print('there', file=sys.stderr)\n"
                 "json.dump({'y': asked['x'] + 1, 'in': os.listdir()}, open(sys.argv[2], 'w'))")  # fmt: skip
    assert answer.check() == {"y": 3, "in": answer.found["in"]} and set(answer.found["in"]) <= {
        "request.json", "said.txt", "answer.json"
    }  # fmt: skip
    assert "hello" in answer.said and "there" in answer.said


def test_an_error_has_its_place_on_one_line(tmp_path: Path) -> None:
    fault = "json.dump({'error': 'a\\n b', 'line': 7, 'file': None}, open(sys.argv[2], 'w'))"
    with pytest.raises(DocumentError, match=r"a b; do this") as caught:
        ask(tmp_path, fault).check("; do this")
    assert caught.value.line == 7 and Path(str(caught.value.file)).name == "model.py"
    with pytest.raises(DocumentError, match=r"ended with code 3: x+"):
        ask(tmp_path, "print('x' * 10_000_000); sys.stdout.flush(); os._exit(3)")


def test_what_goes_on_for_too_long_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv(foreign.LIMIT, "2")
    text = f"child = subprocess.Popen(['sleep', '600'])\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(" \
           "str(child.pid))\ntime.sleep(600)"  # fmt: skip
    with pytest.raises(DocumentError, match="still running after 2 s"):
        ask(tmp_path, text)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except (ProcessLookupError, FileNotFoundError):
            break
        if state == "Z":  # ended, and nobody has asked for its code
            break
        time.sleep(0.05)
    else:
        pytest.fail("its child still runs")


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan"])
def test_a_limit_that_is_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(foreign.LIMIT, text)
    with pytest.raises(UsageError, match=foreign.LIMIT):
        ask(tmp_path, "")
