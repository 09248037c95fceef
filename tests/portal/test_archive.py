"""COMBINE archives: what we write is right to others, what others write cannot hurt."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from nmlbridge.cli import main
from nmlbridge.errors import DocumentError, UsageError
from nmlbridge.neuroml import read_document
from nmlbridge.portal.about import About, author, doi
from nmlbridge.portal.archive import Limits, check_archive, create_archive, extract_archive
from nmlbridge.report import Report

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The example, packed."""
    create_archive(EXAMPLE, tmp_path / "two.omex")
    return tmp_path / "two.omex"


def _zip(path: Path, files: dict[str, bytes], manifest: str | None = None) -> Path:
    """An archive as a stranger may write it."""
    if manifest is None:
        entries = "".join(
            f'<content location="./{n}" format="http://purl.org/NET/mediatypes/text/plain"/>' for n in files
        )
        manifest = _manifest(entries)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("manifest.xml", manifest)
        for name, data in files.items():
            made.writestr(name, data)
    return path


def _manifest(
    entries: str, root: str = '<content location="." format="http://identifiers.org/combine.specifications/omex"/>'
) -> str:
    space = "http://identifiers.org/combine.specifications/omex-manifest"
    return f'<omexManifest xmlns="{space}">{root}{entries}</omexManifest>'


def test_the_same_content_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    create_archive(EXAMPLE, tmp_path / "again" / "two.omex")
    assert (tmp_path / "again" / "two.omex").read_bytes() == archive.read_bytes()


def test_what_is_packed_comes_back(archive: Path, tmp_path: Path) -> None:
    files = extract_archive(archive, tmp_path / "out")
    assert {"LEMS_TwoPopulations.xml", "TwoPopulations.net.nml", "cells.nml", "synapses.nml", "manifest.xml",
            "metadata.rdf", "TwoPopulations.sedml"} == {f.name for f in files}  # fmt: skip
    for name in ("LEMS_TwoPopulations.xml", "cells.nml"):
        assert (tmp_path / "out" / name).read_bytes() == (EXAMPLE.parent / name).read_bytes()
    assert check_archive(archive) == []
    assert len(read_document(tmp_path / "out" / "LEMS_TwoPopulations.xml").files) == 4


def test_libcombine_and_libsedml_find_no_fault(archive: Path) -> None:
    libcombine = pytest.importorskip("libcombine")
    libsedml = pytest.importorskip("libsedml")
    found = libcombine.CombineArchive()
    assert found.initializeFromArchive(str(archive))
    assert found.getManifest().getNumErrors() == 0
    with zipfile.ZipFile(archive) as content:
        assert found.getNumEntries() == len(content.namelist()) - 1  # all but the manifest
    assert found.getMasterFile().getLocation() == "./TwoPopulations.sedml"
    document = libsedml.readSedMLFromString(found.extractEntryToString("./TwoPopulations.sedml"))
    assert document.getNumErrors() == 0, document.getErrorLog().toString()
    assert document.getSimulation(0).getOutputEndTime() == 0.5
    assert document.getSimulation(0).getNumberOfPoints() == 20000
    assert document.getModel(0).getSource() == "LEMS_TwoPopulations.xml"
    assert document.getNumOutputs() == 4  # two files, two displays
    targets = {document.getDataGenerator(i).getVariable(0).getTarget() for i in range(document.getNumDataGenerators())}
    assert "excitatoryCells/0/excitatory/v" in targets


def test_what_sedml_cannot_say_is_a_loss(tmp_path: Path) -> None:
    report = Report()
    create_archive(EXAMPLE, tmp_path / "a.omex", report=report)
    assert [note.code for note in report.losses] == ["sedml-no-events"]


def test_models_with_files_in_several_folders(corpus: Path, tmp_path: Path) -> None:
    model = corpus / "NeuroML2" / "LEMSexamples" / "LEMS_NML2_Ex5_DetCell.xml"
    names = create_archive(model, tmp_path / "a.omex", files=[corpus / "NeuroML2" / "LICENSE.lesser"][:0])
    assert "examples/NML2_SingleCompHHCell.nml" in names
    assert check_archive(tmp_path / "a.omex") == []


def test_files_beside(tmp_path: Path) -> None:
    model = tmp_path / "m" / "a.nml"
    model.parent.mkdir()
    model.write_text('<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="a"/>')
    (model.parent / "notes.odd").write_text("x")
    (tmp_path / "outside.txt").write_text("x")
    names = create_archive(model, tmp_path / "a.omex", files=[model.parent / "notes.odd"])
    assert names == ["manifest.xml", "a.nml", "metadata.rdf", "notes.odd"]
    assert check_archive(tmp_path / "a.omex") == []
    with pytest.raises(UsageError, match="outside"):
        create_archive(model, tmp_path / "b.omex", files=[tmp_path / "outside.txt"])
    (model.parent / "link").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(UsageError, match="link"):
        create_archive(model, tmp_path / "b.omex", files=[model.parent / "link"])
    assert not (tmp_path / "b.omex").exists()


def test_metadata_says_who_and_what(tmp_path: Path) -> None:
    about = About("A <title>", "about & more", (author("Ada Lovelace", "0000-0002-1825-0097"),), doi("10.1000/x"))
    create_archive(EXAMPLE, tmp_path / "a.omex", about=about)
    with zipfile.ZipFile(tmp_path / "a.omex") as content:
        text = content.read("metadata.rdf").decode()
    assert "A &lt;title&gt;" in text
    assert "https://orcid.org/0000-0002-1825-0097" in text
    assert "http://omex-library.org/a.omex" in text


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/etc/evil", "a/../../evil", "C:/evil", "a\\..\\evil", "a//b", "./a", "nul.txt", "x\ny", "a" * 300],
)
def test_names_that_would_leave_the_folder(name: str, tmp_path: Path) -> None:
    bad = _zip(tmp_path / "bad.omex", {"zzzz": b"x"})
    raw = bad.read_bytes()
    if len(name) == 4 and name != "zzzz":
        bad.write_bytes(raw.replace(b"zzzz", name.encode()))
    else:
        _zip(bad, {name: b"x"}, _manifest(""))
    with pytest.raises(DocumentError):
        extract_archive(bad, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.omex"]
    assert [f.severity for f in check_archive(bad)] == ["error"]


def test_links_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.omex"
    with zipfile.ZipFile(bad, "w") as made:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("link/passwd", "x")
    with pytest.raises(DocumentError, match="symbolic link"):
        extract_archive(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bombs_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.omex"
    with zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(5_000_000))
    with pytest.raises(DocumentError, match="more than 1000000 bytes"):
        extract_archive(bad, tmp_path / "out", Limits(total=1_000_000, ratio=10_000))
    with pytest.raises(DocumentError, match="unpacks to 5000000"):
        extract_archive(bad, tmp_path / "out", Limits(ratio=100))
    # a directory that lies about the size
    raw = bytearray(bad.read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24 : at + 28] = struct.pack("<I", 1000)
    bad.write_bytes(raw)
    with pytest.raises(DocumentError):
        extract_archive(bad, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.omex"]
    with zipfile.ZipFile(bad, "w") as made:
        for number in range(50):
            made.writestr(f"f{number}", b"")
    with pytest.raises(DocumentError, match="50 files"):
        extract_archive(bad, tmp_path / "out", Limits(files=10))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [["a", "a"], ["a", "A"], ["a", "a/b"], ["a", "b", "a"]])
def test_names_that_clash(names: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.omex"
    with zipfile.ZipFile(bad, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    with pytest.raises(DocumentError):
        extract_archive(bad, tmp_path / "out")


def test_damage_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    raw = bytearray(archive.read_bytes())
    raw[400:600] = bytes(200)
    bad = tmp_path / "bad.omex"
    bad.write_bytes(raw)
    with pytest.raises(DocumentError):
        extract_archive(bad, tmp_path / "out")
    bad.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(DocumentError, match="no ZIP"):
        extract_archive(bad, tmp_path / "out")
    assert check_archive(bad)[0].severity == "error"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.omex", "two.omex"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        extract_archive(archive, tmp_path / "full")


_TEXT = '<content location="./{}" format="http://purl.org/NET/mediatypes/text/plain"/>'


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (_manifest(_TEXT.format("a") + _TEXT.format("b")), "missing"),
        (_manifest(_TEXT.format("a") * 2), "duplicate"),
        (_manifest(""), "not-listed"),
        (_manifest(_TEXT.format("a"), root=""), "no-root"),
        (_manifest('<content location="./a" format=""/>'), "no-format"),
        (_manifest('<content location="./a" format="text/plain"/>'), "format"),
        (_manifest(_TEXT.format("a") + _TEXT.format("../a")), "location"),
        (_manifest(_TEXT.format("a") + _TEXT.format("manifest.xml")), "lists-itself"),
        ("<omexManifest/>", "namespace"),
        ("<manifest/>", "damaged"),
        ("<omexManifest", "damaged"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><omexManifest>&e;</omexManifest>', "damaged"),
    ],
)  # fmt: skip
def test_faults_of_manifests(manifest: str, code: str, tmp_path: Path) -> None:
    found = check_archive(_zip(tmp_path / "a.omex", {"a": b"x"}, manifest))
    assert code in [finding.code for finding in found]
    assert not any("root:" in finding.message for finding in found)


def test_faults_of_what_is_inside(tmp_path: Path) -> None:
    nml = "http://identifiers.org/combine.specifications/neuroml"
    sed = "http://identifiers.org/combine.specifications/sed-ml"
    manifest = _manifest(f'<content location="a.nml" format="{nml}"/><content location="a.sedml" format="{sed}"/>')
    files = {"a.nml": b"<neuroml>\n<include href='b.nml'/></neuroml>",
             "a.sedml": b"<sedML><model id='m' source='c.xml'/><task id='t' modelReference='n'/></sedML>"}  # fmt: skip
    found = {f.code: f for f in check_archive(_zip(tmp_path / "a.omex", files, manifest))}
    assert {"model", "sedml-model", "sedml-reference"} <= set(found)
    assert (found["model"].file, found["model"].line) == ("a.nml", 2)
    assert check_archive(_zip(tmp_path / "b.omex", {}, ""))[0].code == "damaged"


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "x.omex"
    assert main(["archive", "create", str(EXAMPLE), "-o", str(target), "--author", "Ada Lovelace", "--json"]) == 0
    assert "TwoPopulations.sedml" in json.loads(capsys.readouterr().out)["files"]
    assert main(["archive", "check", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "findings": []}
    assert main(["archive", "extract", str(target), "-o", str(tmp_path / "out")]) == 0
    assert main(["archive", "extract", str(target), "-o", str(tmp_path / "out")]) == 2
    assert main(["archive", "check", str(EXAMPLE)]) == 1
    assert main(["archive", "create", str(EXAMPLE), "-o", str(target), "--orcid", "0000-0002-1825-0097"]) == 2
