"""nmlbridge doctor says what is missing and the cure."""

from __future__ import annotations

import json

import pytest

from nmlbridge.cli import doctor, main
from nmlbridge.errors import SimulatorError


def test_json_has_each_finding(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert code == (0 if answer["able"] else 4)
    findings = {finding["what"] for finding in answer["findings"]}
    assert {"NEURON and compiler", "serial run", "Python"} <= findings


def test_a_missing_compiler_is_4_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert main(["doctor"]) == 4
    out = capsys.readouterr().out
    assert "MISSING NEURON and compiler" in out
    assert "install" in out


def test_a_missing_package_is_named_with_its_install_line() -> None:
    finding = doctor._look("x", True, "pip install x", lambda: doctor.version("no-such-distribution"))
    assert (finding.there, finding.cure) == (False, "pip install x")


def test_a_complaint_is_passed_on() -> None:
    def complain() -> str:
        raise SimulatorError("no headers; reinstall")

    assert doctor._look("x", True, "", complain).found == "no headers; reinstall"
