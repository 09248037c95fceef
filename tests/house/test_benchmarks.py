"""`make bench` runs every benchmark."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def runner():
    """benchmarks/__main__.py as a module."""
    spec = importlib.util.spec_from_file_location("benchmarks_main", BENCHMARKS / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_every_benchmark_is_run(runner) -> None:
    programs = {f.stem for f in BENCHMARKS.glob("[!_]*.py") if '__name__ == "__main__"' in f.read_text()}
    assert set(runner.QUICK) == programs


def test_a_failure_stops_nothing_and_is_named(runner, tmp_path, monkeypatch, capsys) -> None:
    """Three programs that fail, are skipped, and are well: all run, and the last line names the first."""
    for name, text in (("bad", "print('x'); raise SystemExit('broken')"), ("none", "print('skipped: no peer')"),
                       ("good", "print('ratio 2')")):  # fmt: skip
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(runner, "QUICK", {"bad": "", "none": "", "good": ""})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--kept", str(tmp_path / "kept")])
    assert runner.main() == 1
    out = capsys.readouterr().out
    lines = [line.split()[:2] for line in out.splitlines()]
    assert all(row in lines for row in (["bad", "FAILED"], ["none", "skipped"], ["good", "ok"]))
    assert out.splitlines()[-1] == "failed: bad"
    assert "ratio 2" in (tmp_path / "kept" / "good.txt").read_text()
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--kept", str(tmp_path / "kept"), "good", "none"])
    assert runner.main() == 0
