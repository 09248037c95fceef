"""OMV's rules, and whole tests written, run and judged."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nmlbridge.cli import main
from nmlbridge.cli.jnml import arguments, install
from nmlbridge.errors import DocumentError, UsageError
from nmlbridge.portal.omv.files import Observable, find, read_test
from nmlbridge.portal.omv.judge import Verdict, judge
from nmlbridge.portal.omv.run import Options, run_test

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations"


def _judge(folder: Path, kind: str, spec: dict[str, Any], expected: Any, floor: float = 0.0) -> Verdict:
    def produced(name: str) -> Path | None:
        file = folder / name
        return file if file.is_file() else None

    return judge(Observable(kind, spec, expected), produced, folder, floor)


@pytest.fixture
def trace(tmp_path: Path) -> dict[str, Any]:
    """0..9 ms in s and V: crossings of 0 at samples 2 and 7, the first a plateau of two samples."""
    v = np.array([-1, 0, 1, 1, -1, -2, -1, 3, -1, -1]) * 1e-3
    np.savetxt(tmp_path / "v.dat", np.column_stack([np.arange(10) * 1e-3, v]))
    return {"file": {"path": "v.dat", "columns": [0, 1], "scaling": [1000, 1000]}}


@pytest.mark.parametrize(
    ("method", "threshold", "times"),
    [("threshold", 0, [2, 7]), ("threshold", 0.5, [2, 7]), ("threshold", 2, [7]), ("derivative", 0, [3, 7])],
)
def test_spikes_are_samples_not_crossings(
    tmp_path: Path, trace: dict[str, Any], method: str, threshold: float, times: list[float]
) -> None:
    spec = trace | {"spike detection": {"method": method, "threshold": threshold}, "tolerance": 0}
    assert _judge(tmp_path, "spike times", spec, times).passed
    assert not _judge(tmp_path, "spike times", spec, [t + 0.01 for t in times]).passed


@pytest.mark.parametrize(
    ("expected", "tolerance", "passed"),
    [
        ([2.0, 7.0], 0, True),
        ([2.0 + 1e-9, 7.0], 0, True),  # allclose's absolute part
        ([2.0 + 1e-7, 7.0], 0, False),
        ([2.1, 7.0], None, True),  # 0.1 where nothing is said
        ([2.1, 7.0], 0.04, False),
        ([2.0], 0.5, False),  # another number of spikes
        ([], 0.5, False),
        ([0.0, 7.0], 1, False),  # OMV takes 0 for nothing
    ],
)
def test_tolerance(
    tmp_path: Path, trace: dict[str, Any], expected: list[float], tolerance: float | None, passed: bool
) -> None:
    spec = (
        trace | {"spike detection": {"method": "threshold"}} | ({} if tolerance is None else {"tolerance": tolerance})
    )
    assert _judge(tmp_path, "spike times", spec, expected).passed is passed


def test_the_tolerance_that_would_do_is_said(tmp_path: Path, trace: dict[str, Any]) -> None:
    spec = trace | {"spike detection": {}, "tolerance": 0}
    assert _judge(tmp_path, "spike times", spec, [2.5, 7.0]).needed == pytest.approx(0.2)
    assert _judge(tmp_path, "spike times", spec, [2.5, 7.0], floor=0.21).passed


def test_no_spikes_where_none_are_expected(tmp_path: Path, trace: dict[str, Any]) -> None:
    spec = trace | {"spike detection": {"threshold": 100}}
    assert _judge(tmp_path, "spike times", spec, []).passed


@pytest.mark.parametrize(
    ("form", "ids", "spec", "rate"),
    [
        ("ID_TIME", "*", {}, 1000 * (1 + 2 / 3) / 2),
        ("ID_TIME", 0, {}, 1000.0),
        ("TIME_ID", 1, {}, 2000 / 3),
        ("ID_TIME", "*", {"method": "duration based", "end_time": 0.01}, 300.0),
        ("ID_TIME", 1, {"method": "duration based", "start_time": 0.002, "end_time": 0.004}, 1000.0),
        ("ID_TIME", 5, {}, 0.0),
    ],
)
def test_rates(tmp_path: Path, form: str, ids: Any, spec: dict[str, Any], rate: float) -> None:
    rows = [(0, 0.001), (1, 0.001), (0, 0.002), (0, 0.003), (1, 0.003), (1, 0.004)]
    rows = [(i, t) if form == "ID_TIME" else (t, i) for i, t in rows]
    np.savetxt(tmp_path / "s.dat", rows)
    where = {"spiketimes file": {"path": "s.dat", "format": form, "ids": ids}, "tolerance": 1e-9}
    assert _judge(tmp_path, "spike rate", where | spec, rate).passed
    assert not _judge(tmp_path, "spike rate", where | spec, rate + 1).passed


def test_spikes_of_two_cells_are_no_spike_times(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "s.dat", [(0, 1.0), (1, 2.0)])
    where = {"spiketimes file": {"path": "s.dat", "format": "ID_TIME", "ids": "*"}}
    assert "2 cells" in _judge(tmp_path, "spike times", where, [1.0, 2.0]).why


def test_resting_timeseries_bounds(tmp_path: Path, trace: dict[str, Any]) -> None:
    assert _judge(tmp_path, "resting", trace | {"average last": 3, "tolerance": 1e-9}, 1 / 3).passed
    assert not _judge(tmp_path, "resting", trace | {"tolerance": 1e-9}, 1 / 3).passed
    assert _judge(tmp_path, "timeseries", trace, trace).passed
    assert not _judge(tmp_path, "activation variables", trace, None).passed


def test_what_cannot_be_judged_does_not_pass(tmp_path: Path, trace: dict[str, Any]) -> None:
    assert not _judge(tmp_path, "morphology", {}, {"total area": 1}).supported
    assert "not written" in _judge(tmp_path, "spike times", {"file": {"path": "w.dat"}}, [1.0]).why
    assert not _judge(tmp_path, "spike times", trace | {"spike detection": {}}, None).passed
    (tmp_path / "v.dat").write_text("<html>")
    assert "cannot be read" in _judge(tmp_path, "spike times", trace, [1.0]).why


def _write(folder: Path, omt: object, mep: object = None) -> Path:
    (folder / "t.mep").write_text(mep if isinstance(mep, str) else yaml.safe_dump(mep))
    (folder / "t.omt").write_text(omt if isinstance(omt, str) else yaml.safe_dump(omt))
    return folder / "t.omt"


@pytest.mark.parametrize(
    ("omt", "mep", "said"),
    [
        ("a: [", None, "not YAML"),
        ("- 1", None, "expected YAML"),
        ({"target": "x"}, None, "'engine: text'"),
        ({"target": "x", "engine": "y", "mep": "no.mep"}, None, "cannot be read"),
        (
            {"target": "x", "engine": "y", "mep": "t.mep", "experiments": {"a": {}}},
            {"experiments": {}},
            "'a' is not in",
        ),
        ({"target": "x", "engine": "y", "mep": "t.mep"}, {"experiments": {}}, "expected 'experiments:'"),
        ("target: !!python/object/apply:os.system ['true']", None, "not YAML"),
    ],
)
def test_a_broken_test_says_why(tmp_path: Path, omt: object, mep: object, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        read_test(_write(tmp_path, omt, mep))


def test_several_targets_and_odd_keys(tmp_path: Path) -> None:
    for name in ("a.cell.nml", "b.cell.nml", "c.nml"):
        (tmp_path / name).write_text("")
    observables = {"spike times": {"spiketimes file": {"path": "s", "id": 3}}}
    omt = {"target": "*.cell.nml c.nml", "engine": "jNeuroML_validate", "mep": "t.mep",
           "experiments": {"x": {"observables": observables}}}  # fmt: skip
    test = read_test(_write(tmp_path, omt, {"experiments": {"x": {"expected": {"spike times": [1]}}}}))
    assert [p.name for p in test.targets] == ["a.cell.nml", "b.cell.nml", "c.nml"]
    assert "'ids:'" in test.warnings[0]
    (tmp_path / ".hidden.omt").write_text("")
    assert [p.name for p in find([tmp_path])] == [".hidden.omt", "t.omt"]


@pytest.mark.neuron
def test_new_tests_pass_and_wrong_ones_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = next(EXAMPLE.glob("LEMS_*.xml"))
    before = sorted(p.name for p in EXAMPLE.iterdir())
    assert main(["omv", "new", str(model), "-o", str(tmp_path), "--method", "best"]) == 0
    omt = next(tmp_path.glob(".*.omt"))
    assert main(["omv", "test", str(tmp_path), "--method", "best", "--junit", str(tmp_path / "j.xml")]) == 0
    assert "<testcase" in (tmp_path / "j.xml").read_text()
    mep = omt.with_suffix(".mep")
    content = yaml.safe_load(mep.read_text())
    for experiment in content["experiments"].values():
        for kind, value in experiment["expected"].items():
            experiment["expected"][kind] = [t * 1.01 for t in value] if isinstance(value, list) else value * 1.01
    mep.write_text(yaml.safe_dump(content))
    capsys.readouterr()
    assert main(["omv", "test", str(omt), "--method", "best", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["counts"]["FAIL"] == 1
    assert all(o["needed"] == pytest.approx(0.01 / 1.01) for o in answer["tests"][0]["observables"])
    assert sorted(p.name for p in EXAMPLE.iterdir()) == before


def test_other_engines_are_unsupported(tmp_path: Path) -> None:
    (tmp_path / "run.hoc").write_text("")
    _write(tmp_path, {"target": "run.hoc", "engine": "NEURON"})
    assert main(["omv", "test", str(tmp_path)]) == 3


def test_validation_tests(tmp_path: Path) -> None:
    (tmp_path / "good.nml").write_text('<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="a"/>')
    (tmp_path / "bad.nml").write_text("<neuroml")
    omt = _write(tmp_path, {"target": "good.nml", "engine": "jNeuroML_validate"})
    assert main(["omv", "test", str(omt)]) == 0
    assert main(["omv", "test", str(_write(tmp_path, {"target": "*.nml", "engine": "jNeuroML_validate"}))]) == 1
    assert main(["omv", "test", str(_write(tmp_path, {"target": "no.nml", "engine": "jNeuroML_validate"}))]) == 1


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("-v", ["--version"]),
        ("LEMS.xml -nogui", ["run", "LEMS.xml", "-n", "1"]),
        ("LEMS.xml -neuron -nogui -run", ["run", "LEMS.xml", "-n", "1", "--method", "compat"]),
        ("LEMS.xml -netpyne -nogui -np 4 -run", ["run", "LEMS.xml", "-n", "4"]),
        ("-validate a.nml b.nml", ["validate", "a.nml", "b.nml"]),
    ],
)
def test_jnml_words(words: str, meant: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NMLBRIDGE_METHOD", raising=False)
    assert arguments(words.split()) == meant


@pytest.mark.parametrize("words", ["", "LEMS.xml -neuron", "LEMS.xml -vertex", "a.xml b.xml -nogui", "a.xml -np"])
def test_jnml_refuses(words: str) -> None:
    with pytest.raises(UsageError):
        arguments(words.split())


def test_the_stand_in_needs_no_path(tmp_path: Path) -> None:
    script = install(tmp_path / "home")
    done = subprocess.run([str(script), "-v"], env={"JNML_HOME": str(script.parent)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1][0].isdigit()
    (tmp_path / "jnml").write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match="another program"):
        install(tmp_path)
    assert sys.executable in script.read_text()
    assert math.isclose(script.stat().st_mode & 0o100, 0o100)


STRICT = [  # one for each kind of model: gates, schemes, calcium, synapses, regimes, networks of cells with segments
    "ACnet2/neuroConstruct/generatedNeuroML2/.test.two.jnmlnrn.omt",
    "NeuroML2/LEMSexamples/test/.test.ex5.jnmlnrn.omt",
    "NeuroML2/LEMSexamples/test/.test.ex7.jnmlnrn.omt",
    "NeuroML2/LEMSexamples/test/.test.ex14.jnmlnrn.omt",
    "NeuroML2/LEMSexamples/test/.test.ex25.jnmlnrn.omt",
    "NetPyNEShowcase/NeuroML2/.test.hhsim.jnmlnrn.omt",
    "PospischilEtAl2008/NeuroML2/.test.5.jnmlnrn.omt",
]


@pytest.mark.neuron
@pytest.mark.slow
@pytest.mark.parametrize("name", STRICT)
def test_published_tests_pass_at_tolerance_zero(name: str) -> None:
    path = Path(__file__).parents[3] / "shared" / "corpus" / name
    if not path.is_file():
        pytest.skip("the corpus of public models is not here")
    outcome = run_test(path, Options())
    assert outcome.verdict == "PASS", outcome.why
