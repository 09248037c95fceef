"""The folder that a run has written is a source of results: of all verbs, whatever its files are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.cli import main
from nmlbridge.errors import DocumentError
from nmlbridge.results import Results, read_results

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = EXAMPLES / "10_ping/ping.yaml"
LEMS = EXAMPLES / "01_two_populations/LEMS_TwoPopulations.xml"

pytestmark = pytest.mark.neuron


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of runs in here, and what the runs gave in ``RESULTS``."""
    folder = tmp_path_factory.mktemp("runs")
    for name, model, form in (("lems", RULES, "lems"), ("sonata", RULES, "sonata"), ("both", RULES, "both"),
                              ("document", LEMS, "lems")):  # fmt: skip
        RESULTS[name] = nmlbridge.simulate(model, output=folder / name, duration=60, record_format=form)
    return folder


RESULTS: dict[str, Results] = {}


@pytest.mark.parametrize("name", ["lems", "sonata", "both", "document"])
def test_it_holds_what_the_run_gave(name: str, folder: Path) -> None:
    found, run = read_results(folder / name), RESULTS[name]
    assert found.spikes.populations == run.spikes.populations  # of silent cells, too
    assert len(run.spikes) > 5 and len(run.spikes.gid) == len(found.spikes.gid)
    for population, (_, size) in run.spikes.populations.items():
        for cell in range(size):
            assert found.spikes.of(population, cell) == pytest.approx(run.spikes.of(population, cell), rel=1e-9)
    assert set(found.traces.quantities) <= set(run.traces.quantities) and len(found.traces) >= 3
    for quantity in found.traces.quantities:
        limit = 1e-6 if name == "sonata" else 1e-9  # single precision there
        assert found[quantity] == pytest.approx(run[quantity], rel=limit, abs=1e-15)
        assert found.traces.unit(quantity) == run.traces.unit(quantity)
    assert found.provenance["program"] == run.provenance["program"]


@pytest.mark.parametrize("name", ["lems", "sonata", "document"])
def test_every_verb_takes_it(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")
    monkeypatch.chdir(tmp_path)
    source = str(folder / name)
    for kind in ("raster", "traces", "rates"):
        assert main(["plot", kind, source]) == 0
        assert (tmp_path / f"{name}.{kind}.png").stat().st_size > 5000
    assert main(["report", source, "-o", "page.html"]) == 0 and (tmp_path / "page.html").is_file()
    assert main(["results", "show", source]) == 0
    shown = capsys.readouterr().out
    assert f"{len(RESULTS[name].spikes)} spikes" in shown
    assert main(["results", "convert", source, "run.csv"]) == 0
    assert main(["results", "compare", source, source, "--shift", "0"]) == 0
    monkeypatch.chdir(folder / name)
    assert main(["plot", "raster", ".", "-o", str(tmp_path / "here.png")]) == 0


def test_two_runs_in_a_folder(tmp_path: Path) -> None:
    for model in (RULES, LEMS):
        nmlbridge.simulate(model, output=tmp_path, duration=5)
    with pytest.raises(DocumentError, match=r"holds 2 runs.*LEMS_TwoPopulations.run.json, ping.run.json"):
        read_results(tmp_path)
    assert set(read_results(tmp_path / "ping.run.json").spikes.populations) == {"E", "I"}


def test_a_folder_without_a_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "raster", str(tmp_path)]) != 0
    assert "no run has written here" in capsys.readouterr().err
    (tmp_path / "ping.spikes.part").write_text("0.1\t3\n")
    with pytest.raises(DocumentError, match=r"ended early.*ping\.spikes\.part"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nmlbridge_run": 99}, "expected a manifest"),
        ({"events": [{"file": "../../secret", "format": "TIME_ID", "gids": "ids"}]}, "leaves the folder"),
        ({"events": [{"file": "/etc/passwd", "format": "TIME_ID", "gids": "ids"}]}, "leaves the folder"),
        ({"events": [{"file": "gone.spikes", "format": "TIME_ID", "gids": "ids"}]}, "no longer there"),
        ({"tables": [{"file": "ping.v.dat", "columns": []}]}, "names the time and 0 quantities"),
        ({"tables": 7}, "no manifest of a run"),
        ({"populations": {"E": 3}}, "no manifest of a run"),
    ],
)
def test_a_bad_manifest_is_an_error(change: dict[str, object], said: str, folder: Path, tmp_path: Path) -> None:
    for file in (folder / "lems").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = tmp_path / "ping.run.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(DocumentError, match=said):
        read_results(tmp_path)


def test_ids_that_are_no_gids(tmp_path: Path) -> None:
    """A document may call its cells as it likes; the folder knows which they are."""
    text = LEMS.read_text().replace('id="0" select="inhibitoryCells', 'id="70" select="inhibitoryCells')
    for file in LEMS.parent.glob("*.nml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / LEMS.name).write_text(text)
    run = nmlbridge.simulate(tmp_path / LEMS.name, output=tmp_path / "out", duration=60)
    found = read_results(tmp_path / "out")
    for population, (_, size) in run.spikes.populations.items():
        for cell in range(size):
            assert np.allclose(found.spikes.of(population, cell), run.spikes.of(population, cell), rtol=1e-9)
