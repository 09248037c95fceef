"""The frame of the command line: exit codes, errors as lines and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nmlbridge
from nmlbridge.cli import VERBS, main
from nmlbridge.errors import LemsError, NmlBridgeError, SimulatorError, UnsupportedError


def _fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def simulate(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(nmlbridge, "simulate", simulate, raising=False)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LemsError("the unit is wrong", file="a.xml", line=3, component="x"), 1),
        (nmlbridge.UsageError("no matplotlib"), 2),
        (UnsupportedError("no Brian here"), 3),
        (SimulatorError("nrnivmodl failed"), 4),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    error: NmlBridgeError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fail_with(error, monkeypatch)
    assert main(["run", "a.xml"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"nmlbridge: error: {error}\n")


def test_an_error_as_json_has_its_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _fail_with(LemsError("the unit is wrong", file="a.xml", line=3, component="x"), monkeypatch)
    assert main(["run", "a.xml", "--json"]) == 1
    out, err = capsys.readouterr()
    facts = {"type": "LemsError", "message": "the unit is wrong", "file": "a.xml", "line": 3, "component": "x"}
    assert json.loads(out) == {"error": facts | {"exit_code": 1}}
    assert err == ""


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _fail_with(KeyboardInterrupt(), monkeypatch)
    assert main(["run", "a.xml"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["run"],
        ["run", "a.xml", "--dt", "10mV"],
        ["run", "a.xml", "--dt", "-1"],
        ["run", "a.xml", "--duration", "inf"],
        ["run", "a.xml", "-n", "0"],
        ["run", "a.xml", "--seed", "1.5"],
        ["run", "a.xml", "--no-such-option"],
        ["convert", "a.nml"],
        ["convert", __file__, __file__],
        ["convert", "a.nml", "b.nml", "-o", "c.nml"],
        ["convert", "a.nml", "b.xyz"],
        ["convert", "a.nml", "b.nml", "--to", "cuneiform"],
    ],
)
def test_a_wrong_call_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err


@pytest.mark.parametrize("verb", ["info", "validate", "run"])
def test_a_file_that_is_not_there_is_1_and_named(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "no/such.nml"]) == 1
    assert "no/such.nml" in capsys.readouterr().err


def test_formats_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in answer["formats"]} >= {"lems", "neuroml", "neuroml-hdf5"}
    assert answer["backends"][0]["name"] == "neuron"


def test_a_closed_pipe_is_no_traceback(repository: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(repository)!r}); from nmlbridge.cli import main; sys.exit(main())"
    command = f"'{sys.executable}' -c \"{code}\" formats | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_the_target_of_convert_may_be_named_as_an_output(tmp_path: Path) -> None:
    source, target = tmp_path / "a.nml", tmp_path / "b.xml"
    source.write_text('<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="a">'
                      '<spikeGenerator id="s" period="5 ms"/></neuroml>')  # fmt: skip
    assert main(["convert", str(source), "-o", str(target)]) == 0
    assert 'period="5 ms"' in target.read_text()
