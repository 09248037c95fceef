"""nmlbridge run hands its options on and says what there is; the simulation itself is replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.cli import main
from nmlbridge.cli.options import milliseconds
from nmlbridge.errors import UnsupportedError
from nmlbridge.report import Report
from nmlbridge.results import Display, Line, Outputs, Results, SpikeTrains, Traces


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def simulate(path: Path, **options: Any) -> Results:
        made.append({"path": path, **options})
        report = Report()
        report.add("guess", "approximation", "the temperature was guessed", component="net")
        return Results(
            Traces(np.array([0.0, 1e-3]), np.array([[-0.065, -0.06]]), ("p[0]/v",), ("V",)),
            SpikeTrains(np.array([0]), np.array([5e-4]), {"p": (0, 1)}),
            {"seed": 3},
            {"simulate": {"seconds": 0.5, "peak_mb": 60.0}},
            Outputs(displays=(Display("d", "title", (Line("l", "p[0]/v", 1e-3, 1e-3),)),)),
            (Path("x.dat"),),
            report,
        )

    monkeypatch.setattr(nmlbridge, "simulate", simulate, raising=False)
    return made


@pytest.mark.parametrize(
    ("text", "value"), [("0.025", 0.025), ("0.025ms", 0.025), ("25 us", 0.025), ("2.5e-5s", 0.025), ("1s", 1000.0)]
)
def test_times_are_read_in_ms(text: str, value: float) -> None:
    assert milliseconds(text) == pytest.approx(value, rel=1e-15)


def test_options_reach_the_simulation(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    words = ["run", "a.xml", "-o", str(tmp_path), "--dt", "25us", "--duration", "1s", "--seed", "7", "-n", "2",
             "--allow-mods"]  # fmt: skip
    assert main(words) == 0
    (call,) = calls
    assert call.pop("progress") is not None and call.pop("report") is not None
    assert call == {
        "path": Path("a.xml"),
        "allow": frozenset({"mods"}),
        "backend": None,
        "output": tmp_path,
        "dt": 0.025,
        "duration": 1000.0,
        "seed": 7,
        "ranks": 2,
        "record_format": "lems",
        "checkpoint": None,
        "resume": False,
        "split": "auto",
        "method": None,
        "abs_tolerance": None,
        "rel_tolerance": None,
        "dump_passes": None,
        "changes": {},
        "electrodes": None,
    }


def test_by_default_files_go_to_the_current_folder(calls: list[dict[str, Any]]) -> None:
    assert main(["run", "a.xml"]) == 0
    assert calls[0]["output"] == Path()
    assert calls[0]["dt"] is None


def test_what_there_is_goes_to_stdout_and_notes_to_stderr(
    calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "a.xml"]) == 0
    out, err = capsys.readouterr()
    assert "1 traces at 2 times, 1 spikes" in out
    assert "x.dat" in out
    assert err == "nmlbridge: approximation: 'net': the temperature was guessed [guess]\n"


def test_json_is_one_object(calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "a.xml", "--json"]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["spikes_by_population"] == {"p": 1}
    assert answer["notes"][0]["code"] == "guess"
    assert err == ""


def test_the_report_has_the_phases(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    assert main(["run", "a.xml", "--report", str(path)]) == 0
    assert json.loads(path.read_text())["phases"]["simulate"] == {"seconds": 0.5, "peak_mb": 60.0}


def test_plot_draws_each_display_and_a_raster(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")
    assert main(["run", "LEMS_a.xml", "-o", str(tmp_path), "--plot"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"LEMS_a.d.png", "LEMS_a.raster.png"}


def test_a_missing_extra_answers_with_its_install_line_before_anything_runs(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["run", "a.xml", "--plot"]) == 2
    assert "pip install 'nmlbridge[plot]'" in capsys.readouterr().err
    assert calls == []


def test_what_was_left_out_is_said_before_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def simulate(path: Path, *, report: Report, **options: Any) -> Results:
        report.add("mods", "loss", "mod files are taken only with --allow-mods")
        raise UnsupportedError("there is no mechanism 'x'")

    monkeypatch.setattr(nmlbridge, "simulate", simulate, raising=False)
    assert main(["run", "a.xml"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert "taken only with --allow-mods" in said[0] and said[1] == "nmlbridge: error: there is no mechanism 'x'"
    assert main(["run", "a.xml", "--json"]) == 3
    assert "allow" not in capsys.readouterr().err
