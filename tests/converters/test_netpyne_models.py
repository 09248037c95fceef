"""Models of LEMS components for NetPyNE: rules or instances with mod files, which give nmlbridge's spikes there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from nmlbridge import simulate
from nmlbridge.cli import main
from nmlbridge.errors import UnsupportedError
from nmlbridge.registry import convert
from nmlbridge.report import Report

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"
needs_netpyne = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra bench)")

RULES = """
import json, sys
from netpyne import sim
config, params = sim.loadModel(sys.argv[1])
config.saveJson = False
sim.create(params, config)
sim.simulate()
print("\\nSPIKES", json.dumps([list(sim.simData["spkid"]), list(sim.simData["spkt"])]))
"""
SAVED = """
import json, subprocess, sys
import neuron
subprocess.run(["nrnivmodl", sys.argv[1].replace(".json", "_mod")], check=True, capture_output=True)
neuron.load_mechanisms(".")
from netpyne import sim
sim.load(sys.argv[1])
sim.setupRecording()
sim.simulate()
print("\\nSPIKES", json.dumps([list(sim.simData["spkid"]), list(sim.simData["spkt"])]))
"""


def in_netpyne(path: Path, script: str) -> list[tuple[float, int]]:
    """Spikes (ms, gid) that NetPyNE gives."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls nrnivmodl by its name
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=path.parent, capture_output=True, text=True,
                          timeout=300, env={**os.environ, "PATH": tools}, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("SPIKES"))
    gids, times = json.loads(line[7:])
    return sorted(zip(times, map(int, gids), strict=True))


def same(found: list[tuple[float, int]], model: Path) -> None:
    """Equal steps of equal equations with equal random numbers: nothing but the order of sums may differ."""
    ours = simulate(model, method="implicit").spikes
    expected = sorted(zip((ours.time * 1e3).tolist(), ours.gid.tolist(), strict=True))
    assert len(expected) > 10
    assert [gid for _, gid in found] == [gid for _, gid in expected]
    assert [time for time, _ in found] == pytest.approx([time for time, _ in expected], abs=1e-9)


@needs_netpyne
@pytest.mark.neuron
@pytest.mark.slow
def test_gap_junctions_and_noise(tmp_path: Path) -> None:
    report = Report()
    convert(EXAMPLE, tmp_path / "index.npjson", report=report)
    assert {note.code for note in report.losses} <= {"no-annotations"}
    same(in_netpyne(tmp_path / "index.npjson", RULES), EXAMPLE)


@needs_netpyne
@pytest.mark.neuron
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "NetPyNEShowcase/NeuroML2/LEMS_Spikers.xml",  # Poisson trains, cells of PyNN's types, cells with channels
        "NeuroML2/LEMSexamples/LEMS_NML2_Ex16_Inputs.xml",  # every kind of input, sources of events
    ],
)
def test_published_models_by_their_rules(name: str, corpus: Path, tmp_path: Path) -> None:
    convert(corpus / name, tmp_path / "model.npjson")
    same(in_netpyne(tmp_path / "model.npjson", RULES), corpus / name)


@needs_netpyne
@pytest.mark.neuron
@pytest.mark.slow
def test_instances_of_cells_with_many_sections(corpus: Path, tmp_path: Path) -> None:
    model = corpus / "NetPyNEShowcase" / "NeuroML2" / "multicomp" / "LEMS_DendConn.xml"
    report = Report()
    convert(model, tmp_path / "m_netpyne.json", report=report)
    assert "netpyne-loader" not in {note.code for note in report.notes}
    same(in_netpyne(tmp_path / "m_netpyne.json", SAVED), model)


@pytest.mark.neuron
@pytest.mark.parametrize(
    "name",
    [
        "NetPyNEShowcase/NeuroML2/multicomp/LEMS_DendConn.xml",  # cells with many sections
        "NetPyNEShowcase/NeuroML2/LEMS_Spikers.xml",  # cells whose process sends the events, Poisson trains
        "NetPyNEShowcase/NeuroML2/LEMS_HybridSmall.xml",
    ],
)
def test_there_and_back_runs_the_same(name: str, corpus: Path, tmp_path: Path) -> None:
    """Rules and mod files are read again as those of any NetPyNE model."""
    convert(corpus / name, tmp_path / "index.npjson")
    found = simulate(tmp_path / "index.npjson", allow=("mods",)).spikes
    same(sorted(zip((found.time * 1e3).tolist(), found.gid.tolist(), strict=True)), corpus / name)


def test_what_the_loader_of_instances_leaves_out_is_a_loss(tmp_path: Path) -> None:
    report = Report()
    convert(EXAMPLE, tmp_path / "m_netpyne.json", report=report)
    assert any(note.code == "netpyne-loader" and "gap junctions" in note.message for note in report.losses)
    assert {path.name for path in tmp_path.iterdir()} == {"m_netpyne.json", "m_netpyne_mod"}
    assert len(list((tmp_path / "m_netpyne_mod").glob("*.mod"))) == 8


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "mine.mod").write_text("precious")
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if Path(target).name == "index.npjson":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="space"):
        convert(EXAMPLE, tmp_path / "index.npjson")
    assert [path.name for path in tmp_path.rglob("*")] == ["mod", "mine.mod"]


def test_what_has_no_cells_is_one_error(tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = corpus / "NML2_LEMS_Examples" / "Figure8_SBML_LEMS.xml"
    with pytest.raises(UnsupportedError, match="no network"):
        convert(model, tmp_path / "index.npjson")
    assert main(["convert", str(model), str(tmp_path / "index.npjson")]) == 3
    assert "no network" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
