"""Repositories for Open Source Brain: what is exported passes its own tests, and any folder can be checked."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from nmlbridge import read_results
from nmlbridge.cli import main
from nmlbridge.errors import ModelError, UnsupportedError, UsageError
from nmlbridge.neuroml import read_document, validate
from nmlbridge.portal.about import About, author, component_rdf
from nmlbridge.portal.omv import run as omv
from nmlbridge.portal.omv.files import find
from nmlbridge.portal.osb import check_repository, export_repository, repository_record
from nmlbridge.portal.osb.annotate import annotated
from nmlbridge.portal.osb.export import Options
from nmlbridge.portal.osb.netpyne import write_netpyne
from nmlbridge.report import Report

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "01_two_populations" / "LEMS_TwoPopulations.xml"
DRY = Options(run=False)
ABOUT = About("Two Populations", authors=(author("Ada Lovelace", "0000-0002-1825-0097"),), doi="10.1000/xyz",
              source="https://example.org/model", license="MIT")  # fmt: skip


def _levels(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in check_repository(folder):
        found.setdefault(line.rule, set()).add(line.level)
    return found


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a repository, not run."""
    folder = tmp_path_factory.mktemp("dry") / "two"
    export_repository(EXAMPLE, folder, about=ABOUT, options=DRY)
    return folder


def test_a_dry_export_has_what_a_repository_needs(dry: Path) -> None:
    there = {p.relative_to(dry).as_posix() for p in dry.rglob("*") if p.is_file()}
    assert {"README.md", "LICENSE", "CITATION.md", "CITATION.cff", "_osb.yml", ".github/workflows/omv-ci.yml",
            "osb_repository.json", "NeuroML2/LEMS_TwoPopulations.xml", "NeuroML2/TwoPopulations.net.nml",
            "NeuroML2/cells.nml", "NeuroML2/synapses.nml", "NeuroML2/.test.validate.omt",
            "NEURON/.test.TwoPopulations.nrn.omt", "NEURON/run.py", "NEURON/README.md", ".gitignore", "index.npjson",
            "src/netParams.json", "src/cfg.json"} == {
        name for name in there if not name.startswith(("mod/", "NEURON/model/", "NEURON/runtime/"))}  # fmt: skip
    assert "Ada Lovelace" in (dry / "LICENSE").read_text()
    readme = (dry / "README.md").read_text()
    assert "https://doi.org/10.1000/xyz" in readme
    assert "Eight excitatory cells" in readme
    assert "{" not in readme
    cff = yaml.safe_load((dry / "CITATION.cff").read_text())
    assert cff["authors"] == [
        {"family-names": "Lovelace", "given-names": "Ada", "orcid": "https://orcid.org/0000-0002-1825-0097"}
    ]
    assert yaml.safe_load((dry / ".github/workflows/omv-ci.yml").read_text())["jobs"]["omv"]["strategy"]["matrix"] == {
        "engine": ["jNeuroML_validate", "PyNEURON"]
    }
    levels = _levels(dry)
    assert all("fail" not in found for found in levels.values()), levels
    assert json.loads((dry / "osb_repository.json").read_text()) == repository_record(dry)
    assert repository_record(dry, "me/mine")["uri"] == "https://github.com/me/mine"


def test_annotations_are_added_and_nothing_else_is_changed(dry: Path) -> None:
    source, copy = (
        (EXAMPLE.parent / "TwoPopulations.net.nml").read_text(),
        (dry / "NeuroML2/TwoPopulations.net.nml").read_text(),
    )
    start = copy.index("\n<annotation>")
    end = copy.index("</annotation>") + len("</annotation>")
    assert copy[:start] + copy[end:] == source
    assert "https://doi.org/10.1000/xyz" in copy[start:end]
    assert not [p for p in validate(dry / "NeuroML2/TwoPopulations.net.nml") if p.severity == "error"]
    assert read_document(dry / "NeuroML2/LEMS_TwoPopulations.xml").networks[0].size == 12


def test_own_annotations_stay() -> None:
    own = (
        b'<neuroml id="d"><cell id="c"><notes>a</notes><annotation>mine</annotation></cell><network id="n"/></neuroml>'
    )
    assert annotated(own, ABOUT, "x") == (own, [], ["c", "n"])
    plain = b'<neuroml id="d"><cell id="c"><notes>a &lt; b</notes><!-- x --><morphology/></cell></neuroml>'
    data, new, _ = annotated(plain, ABOUT, "x")
    assert new == ["c"]
    assert data.startswith(b'<neuroml id="d"><cell id="c"><notes>a &lt; b</notes>\n<annotation>')
    assert annotated(plain, About("x"), "x") == (plain, [], [])
    assert component_rdf(About("x", authors=ABOUT.authors), "id") is None


@pytest.mark.neuron
@pytest.mark.slow
def test_an_export_passes_its_own_tests(corpus: Path, tmp_path: Path) -> None:
    model = corpus / "WangBuzsaki1996" / "NeuroML2" / "LEMS" / "LEMS_WangBuzsaki.xml"
    report = Report()
    done = export_repository(model, tmp_path / "wb", about=About("WangBuzsaki"), report=report)
    assert done.results is not None
    assert "licence-found" in {note.code for note in report}
    assert (tmp_path / "wb" / "LICENSE").read_text() == (corpus / "WangBuzsaki1996" / "LICENSE").read_text()
    tests = find([tmp_path / "wb"])
    outcomes = [omv.run_test(path, omv.Options(method="compat")) for path in tests]
    assert [outcome.verdict for outcome in outcomes] == [omv.PASS]
    mep = yaml.safe_load((tmp_path / "wb" / "NeuroML2" / ".test.WangBuzsaki.mep").read_text())
    times = mep["experiments"]["bc"]["expected"]["spike times"]
    # what the published test of this model expects, within its tolerance
    published = yaml.safe_load((corpus / "WangBuzsaki1996" / ".test.wb.mep").read_text())
    assert times == pytest.approx(published["experiments"]["current clamp"]["expected"]["spike times"], rel=0.0026)
    nwb = read_results(tmp_path / "wb" / "results" / "WangBuzsaki.nwb")
    assert len(nwb.spikes) == len(times)
    assert nwb.traces.quantities == ("popWB/0/wb1/v",)
    assert (len(nwb.time), nwb.time[1]) == (20_001 - 3334, pytest.approx(6e-6))  # every sixth of 100,001 samples
    assert nwb["popWB/0/wb1/v"][:100] == pytest.approx(done.results["popWB/0/wb1/v"][: 100 * 6 : 6])
    assert str(tmp_path) not in json.dumps(nwb.provenance)
    levels = _levels(tmp_path / "wb")
    assert levels.pop("neuroml") == {"fail"}  # the published cell file does not follow the schema
    assert all("fail" not in found for found in levels.values())
    book = json.loads((tmp_path / "wb" / "WangBuzsaki.ipynb").read_text())
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]), feature_version=(3, 9))  # the portal's Python


@pytest.mark.neuron
@pytest.mark.slow
def test_a_model_with_noise_is_tested_by_its_own_numbers(tmp_path: Path) -> None:
    """jNeuroML draws other numbers (and does not compile for NEURON 9): the tests run a project with ours."""
    report = Report()
    done = export_repository(EXAMPLE, tmp_path / "two", about=ABOUT, options=Options(nwb=False), report=report)
    assert "random-model" in {note.code for note in report}
    folder = tmp_path / "two" / "NEURON"
    test = yaml.safe_load((folder / ".test.TwoPopulations.nrn.omt").read_text())
    assert (test["engine"], test["target"]) == ("PyNEURON", "run.py")
    # as OMV calls it, in an environment in which nmlbridge is not found
    tool = Path(sys.executable).with_name("nrniv")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    }
    subprocess.run([tool, "-python", folder / "run.py", "-nogui"], cwd=folder, env=environment, check=True,
                   capture_output=True, stdin=subprocess.DEVNULL, timeout=300)  # fmt: skip
    mep = yaml.safe_load((folder / ".test.TwoPopulations.mep").read_text())
    for name, experiment in test["experiments"].items():
        [(kind, spec)] = experiment["observables"].items()
        expected = mep["experiments"][name]["expected"][kind]
        if kind == "spike times":
            assert (folder / spec["file"]["path"]).is_file() and spec["file"]["path"].startswith("results/")
            table = np.loadtxt(folder / spec["file"]["path"], usecols=spec["file"]["columns"]) * 1000
            up = np.flatnonzero((table[:-1, 1] <= 0) & (table[1:, 1] > 0)) + 1
            assert table[up, 0] == pytest.approx(expected, abs=1e-8) and len(up) > 10
    assert done.results is not None and len(mep["experiments"]) == 5
    assert all("fail" not in found for found in _levels(tmp_path / "two").values())


def test_without_a_licence_nothing_is_written(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE.parent, tmp_path / "a" / "b" / "c" / "d" / "model", ignore=shutil.ignore_patterns("output"))
    model = tmp_path / "a" / "b" / "c" / "d" / "model" / EXAMPLE.name
    with pytest.raises(UsageError, match="--license"):
        export_repository(model, tmp_path / "out", options=DRY)
    with pytest.raises(UsageError, match=r"GPL-3\.0"):
        export_repository(model, tmp_path / "out", about=About("x", license="GPL-3.0"), options=DRY)
    (tmp_path / "text").write_text("All rights reserved")
    export_repository(model, tmp_path / "out", options=Options(run=False, license_file=tmp_path / "text"))
    assert (tmp_path / "out" / "LICENSE").read_text() == "All rights reserved"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "out", "text"]


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".git").mkdir(parents=True)
    (out / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        export_repository(EXAMPLE, out, about=ABOUT, options=DRY)
    assert (out / "README.md").read_text() == "mine"
    (out / "other.txt").write_text("stays")
    export_repository(EXAMPLE, out, about=ABOUT, options=Options(run=False, force=True))
    assert (out / "README.md").read_text() != "mine"
    assert (out / "other.txt").read_text() == "stays"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_names_that_cannot_be_shared(tmp_path: Path) -> None:
    model = tmp_path / "a b" / "LEMS_x.xml"
    model.parent.mkdir()
    model.write_text('<Lems><Target component="s"/><Include file="c d.nml"/></Lems>')
    (tmp_path / "a b" / "c d.nml").write_text('<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="a"/>')
    with pytest.raises(ModelError, match="blank"):
        export_repository(model, tmp_path / "out", about=ABOUT, options=DRY)
    with pytest.raises(UsageError, match="Target"):
        export_repository(EXAMPLE.parent / "cells.nml", tmp_path / "out", about=ABOUT, options=DRY)
    assert not (tmp_path / "out").exists()


def test_a_bad_repository_is_answered_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("x")
    (tmp_path / "CITATION.cff").write_text("a: [1,")
    (tmp_path / "_osb.yml").write_text("mainModel: nowhere.nml")
    (tmp_path / "a.nml").write_text("<neuroml")
    (tmp_path / "LEMS_a.xml").write_text('<Lems><Include file="no.nml"/></Lems>')
    (tmp_path / ".test.omt").write_text("target: [")
    (tmp_path / "index.npjson").write_text('{"simConfig": "cfg.json"}')
    (tmp_path / "x.ipynb").write_text("[]")
    (tmp_path / "x.nwb").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "with blank.txt").write_text("")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "omv.yml").write_text("- a")
    levels = _levels(tmp_path)
    assert {rule for rule, found in levels.items() if "fail" in found} == {
        "readme", "citation", "names", "neuroml", "lems", "tests", "workflow", "_osb.yml", "npjson", "notebooks", "nwb",
    }  # fmt: skip
    assert levels["license"] == {"pass"}
    assert not any("could not be checked" in line.message for line in check_repository(tmp_path))
    with pytest.raises(UsageError):
        check_repository(tmp_path / "x.ipynb")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["ACnet2", "Brunel2000", "GranCellLayer", "IzhikevichModel", "NML2_LEMS_Examples", "NetPyNEShowcase", "NeuroML2",
     "PospischilEtAl2008", "WangBuzsaki1996", "hdf5", "netpyne", "neuromllite", "sonata", "swc"],
)  # fmt: skip
def test_real_repositories(name: str, corpus: Path) -> None:
    lines = check_repository(corpus / name)
    assert not any("could not be checked" in line.message for line in lines)
    levels: dict[str, set[str]] = {}
    for line in lines:
        levels.setdefault(line.rule, set()).add(line.level)
    if name == "ACnet2":
        assert "fail" in levels["license"]
        assert "fail" in levels["citation"]
    if name == "Brunel2000":
        assert levels["license"] == {"pass"}
        assert "fail" not in levels["citation"]


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = [
        "osb",
        "export",
        str(EXAMPLE),
        str(out),
        "--no-run",
        "--license",
        "MIT",
        "--repository",
        "me/mine",
        "--json",
    ]
    assert main(words) == 0
    assert "README.md" in json.loads(capsys.readouterr().out)["files"]
    assert main(words) == 2
    capsys.readouterr()
    assert main(["osb", "check", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["fail"] == 0
    (out / "LICENSE").unlink()
    assert main(["osb", "check", str(out)]) == 1
    assert "FAIL license" in capsys.readouterr().out
    assert main(["osb", "metadata", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["name"], record["uri"]) == ("TwoPopulations", "https://github.com/me/mine")
    assert record["repository_type"] == "github"
    assert main(["osb", "export", str(EXAMPLE), str(out), "--repository", "mine"]) == 2


def test_netpyne_gets_cells_synapses_and_connections(corpus: Path, tmp_path: Path) -> None:
    model = corpus / "ACnet2" / "neuroConstruct" / "generatedNeuroML2" / "LEMS_MediumNet.xml"
    network = read_document(model).networks[0]
    names = write_netpyne(model, tmp_path)
    index = json.loads((tmp_path / "index.npjson").read_text())
    params = json.loads((tmp_path / index["netParams"]).read_text())["net"]["params"]
    config = json.loads((tmp_path / index["simConfig"]).read_text())["simConfig"]
    assert {p["numCells"] for p in params["popParams"].values()} == {p.size for p in network.populations.values()}
    assert sum(len(rule["connList"]) for rule in params["connParams"].values()) == network.connections
    for rule in params["connParams"].values():
        assert len(rule["connList"]) == len(rule["weight"]) == len(rule["delay"]) == len(rule["loc"])
        sections = params["cellParams"][params["popParams"][rule["postConds"]["pop"]]["cellType"]]["secs"]
        assert rule["sec"] in sections
        assert rule["synMech"] in params["synMechParams"]
    assert len(params["stimTargetParams"]) == sum(len(inputs.target) for inputs in network.inputs)
    used = {mech for cell in params["cellParams"].values() for sec in cell["secs"].values() for mech in sec["mechs"]}
    used |= {syn["mod"] for syn in params["synMechParams"].values()}
    used |= {stim["type"] for stim in params["stimSourceParams"].values()}
    assert {f"mod/{name}.mod" for name in used} == {name for name in names if name.endswith(".mod")}
    assert (config["dt"], config["hParams"]["celsius"]) == (0.01, 6.3)


def test_what_netpyne_cannot_say_is_named(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE.parent, tmp_path / "model")
    net = tmp_path / "model" / "TwoPopulations.net.nml"
    net.write_text(net.read_text().replace('postSegmentId="4"', 'postSegmentId="4" preSegmentId="1"'))
    (tmp_path / "out").mkdir()
    with pytest.raises(UnsupportedError, match="several places"):
        write_netpyne(tmp_path / "model" / EXAMPLE.name, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
