"""Every format of results: what it says it can carry comes back, the rest is in the report."""

from __future__ import annotations

import json
import math
import pickle
import shutil
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

from nmlbridge import read_results, write_results
from nmlbridge.errors import DocumentError, ModelError, UsageError
from nmlbridge.report import Report
from nmlbridge.results import Limits, Results, ResultsFormat, SpikeTrains, Traces, compare_results, results_formats

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations"
WRITTEN = [record for record in results_formats().values() if record.writer is not None]
# what single precision (SONATA's reports) and ten digits (LEMS tables) leave of a trace, relative to its range
PRECISION = {"sonata": 1e-6, "dat": 1e-9}


def _results(irregular: bool = False) -> Results:
    """Two variables of cells in two populations, one of them silent, sampled every 0.1 ms."""
    time = np.arange(400) * 1e-4
    if irregular:
        time = time + 1e-6 * np.sin(np.arange(400))
        time[0] = 0.0
    v = [-0.065 + 0.01 * np.sin(time * 300 + k) for k in range(3)]
    ca = 5e-5 * (1 + np.cos(time * 100))
    gid = np.array([0, 2, 0, 1, 2, 2])
    spikes = np.array([0.0012, 0.0034, 0.0101, 0.0101, 0.03, 0.0312345678])
    return Results(
        Traces(time, np.array([*v, ca]), ("exc[0]/v", "exc/2/cell/v", "inh[1]/v", "exc[0]/3/caConc"),
               ("V", "V", "V", "mol/m3")),
        SpikeTrains(gid, spikes, {"exc": (0, 3), "inh": (3, 2)}),
        {"model": "LEMS_x.xml", "dt": 1e-4, "duration": 0.04, "seed": 7},
    )  # fmt: skip


def _written(results: Results, record: ResultsFormat, folder: Path) -> tuple[Path, Report]:
    path, report = folder / f"results{record.extensions[-1 if record.name == 'sonata' else 0]}", Report()
    record.write(results, path, report)
    return path, report


@pytest.mark.parametrize("record", results_formats().values(), ids=lambda record: record.name)
def test_each_names_functions_that_are_there(record: ResultsFormat) -> None:
    for target in (record.reader, record.writer):
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize("irregular", [False, True], ids=["regular", "irregular"])
@pytest.mark.parametrize("record", WRITTEN, ids=lambda record: record.name)
def test_what_a_format_carries_comes_back(record: ResultsFormat, irregular: bool, tmp_path: Path) -> None:
    sent = _results(irregular)
    path, report = _written(sent, record, tmp_path)
    found = read_results(path, report=report)  # told by its content
    lost = {note.code for note in report.losses}
    left = (lost == {"irregular-times"}) if record.name == "sonata" and irregular else False
    assert left or not lost - {"silent-populations"}
    if not left:
        compared = compare_results(sent, found, Limits(rms=PRECISION.get(record.name, 1e-12), shift=1e-12))
        assert compared.passed
        assert len(compared.traces) == 4
        assert dict(zip(found.traces.quantities, found.traces.units, strict=True))["exc[0]/v"] == "V"
    assert sum(found.spikes.counts().values()) == len(sent.spikes)
    if "populations" in record.features:
        assert found.spikes.populations == sent.spikes.populations
    if "provenance" in record.features:
        assert found.provenance == sent.provenance


@pytest.mark.parametrize("record", WRITTEN, ids=lambda record: record.name)
def test_spikes_alone_and_nothing_at_all(record: ResultsFormat, tmp_path: Path) -> None:
    spikes = SpikeTrains(np.array([1]), np.array([0.5]), {"pop": (0, 2)})
    path, _ = _written(Results(spikes=spikes, provenance={"duration": 1.0}), record, tmp_path)
    found = read_results(path)
    assert found.spikes.of("pop", 1).tolist() == pytest.approx([0.5], abs=1e-12)
    path, _ = _written(Results(), record, tmp_path / "empty")
    assert len(record.read(path).spikes) == 0


@pytest.mark.parametrize("record", WRITTEN, ids=lambda record: record.name)
def test_an_interrupted_write_leaves_nothing(
    record: ResultsFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="no space"):
        _written(_results(), record, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("record", WRITTEN, ids=lambda record: record.name)
@pytest.mark.parametrize("damage", ["half", "text", "empty"])
def test_damaged_files_are_one_clear_error(record: ResultsFormat, damage: str, tmp_path: Path) -> None:
    path, _ = _written(_results(), record, tmp_path)
    target = path / "spikes.h5" if path.is_dir() else path
    content = target.read_bytes()
    target.write_bytes({"half": content[: len(content) // 2 - 3], "text": b"hello\nworld\n", "empty": b""}[damage])
    if path.suffix == ".dat" and damage == "empty":
        return  # a table without rows is a table
    with pytest.raises(DocumentError) as raised:
        record.read(path)
    assert raised.value.file and Path(raised.value.file).name in {target.name, path.name}


def test_a_pickle_is_refused_by_any_name(tmp_path: Path) -> None:
    path = tmp_path / "model_output.json"
    path.write_bytes(pickle.dumps({"simData": {}}))
    with pytest.raises(DocumentError, match="pickle"):
        read_results(path)


def test_unknown_names_and_formats(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.nwb"):
        write_results(_results(), tmp_path / "x.doc")
    with pytest.raises(UsageError, match="netpyne"):
        read_results(tmp_path, format="nonsense")
    with pytest.raises(DocumentError, match="no such file"):
        read_results(tmp_path / "x.dat")


def test_bad_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_text("0 1\n0.1 2\n0.2 2 3\n")
    with pytest.raises(DocumentError, match="3 numbers") as raised:
        read_results(tmp_path / "x.dat", format="dat")
    assert raised.value.line == 3
    (tmp_path / "x.csv").write_text("time (ms),a (mV)\n0,1\n1,x\n")
    with pytest.raises(DocumentError, match="'x' is not a number") as raised:
        read_results(tmp_path / "x.csv")
    assert raised.value.line == 3
    (tmp_path / "x.csv").write_text("time (ms),a (mV)\n0,1\n1,2\n")
    assert read_results(tmp_path / "x.csv")["a"].tolist() == [0.001, 0.002]


def test_event_files_without_names(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text("3 0.1\n1 0.25\n")
    (tmp_path / "b.dat").write_text("0.1 3\n0.25 1\n")
    for name in ("a.dat", "b.dat"):
        assert read_results(tmp_path / name).spikes.of_gid(3).tolist() == [0.1]


def test_a_lems_file_stands_for_what_it_wrote(tmp_path: Path) -> None:
    for file in EXAMPLE.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    lems = tmp_path / "LEMS_TwoPopulations.xml"
    with pytest.raises(DocumentError, match="run it first"):
        read_results(lems)
    from nmlbridge.lems import resolve
    from nmlbridge.neuroml import read_document
    from nmlbridge.results import output_paths, requested

    document = read_document(lems)
    outputs = requested(resolve(document.elements(), document.library()).simulation(document.target))
    places = output_paths(outputs, tmp_path)
    for file in outputs.files:
        places[file.name].parent.mkdir(exist_ok=True)
        np.savetxt(places[file.name], np.outer(np.arange(20.0), np.arange(1, len(file.columns) + 2)))
    for events in outputs.event_files:
        places[events.name].write_text("".join(
            f"{id} {0.001 * n:g}\n" if events.format == "ID_TIME" else f"{0.001 * n:g} {id}\n"
            for n, (id, *_) in enumerate(events.selections, 1)
        ))  # fmt: skip
    (tmp_path / "out").mkdir()
    for place in places.values():
        place.rename(tmp_path / "out" / place.name)
    with pytest.raises(DocumentError, match="run it first"):
        read_results(lems)
    found = read_results(lems, folder=tmp_path / "out")
    assert found.traces.quantities == tuple(q for file in outputs.files for _, q in file.columns)
    (events,) = outputs.event_files
    assert len(found.spikes) == len(events.selections)
    assert sum(size for _, size in found.spikes.populations.values()) == len(events.selections)


def test_sonata_as_libsonata_reads_it(tmp_path: Path) -> None:
    libsonata = pytest.importorskip("libsonata")
    sent = _results()
    write_results(sent, tmp_path / "out.sonata")
    spikes = libsonata.SpikeReader(str(tmp_path / "out.sonata" / "spikes.h5"))["exc"]
    assert spikes.sorting == "by_time"
    assert [node for node, _ in spikes.get()] == sent.spikes.gid.tolist()
    report = libsonata.ElementReportReader(str(tmp_path / "out.sonata" / "v.h5"))["exc"]
    assert report.times == pytest.approx((0.0, 40.0, 0.1))
    assert (report.time_units, report.data_units) == ("ms", "mV")
    frame = report.get(node_ids=libsonata.Selection([2]))
    assert frame.data[:, 0] == pytest.approx(sent["exc/2/cell/v"] * 1e3, rel=1e-6)


def test_a_document_inside_another_file_does_not_mislead(tmp_path: Path) -> None:
    from nmlbridge.results.formats.nwb import write

    write(_results(), tmp_path / "x.nwb", Report(), about={"source_script": "<Lems/>", "source_script_file_name": "a"})
    assert len(read_results(tmp_path / "x.nwb").traces) == 4


@pytest.mark.slow
def test_nwb_inspector_finds_nothing_critical(tmp_path: Path) -> None:
    nwbinspector = pytest.importorskip("nwbinspector")
    write_results(_results(), tmp_path / "x.nwb")
    said = list(nwbinspector.inspect_nwbfile(nwbfile_path=str(tmp_path / "x.nwb")))
    worse = [m for m in said if m.importance.name != "BEST_PRACTICE_SUGGESTION"]
    assert [m.message for m in worse] == []


def test_elephant_takes_our_spike_trains() -> None:
    statistics = pytest.importorskip("elephant.statistics")
    block = _results().to_neo()
    trains = {train.name: train for train in block.segments[0].spiketrains}
    assert len(trains) == 5
    assert float(statistics.mean_firing_rate(trains["exc[2]"]).rescale("Hz")) == pytest.approx(3 / 0.04)


def test_the_corpus_in_netpyne_and_sonata(corpus: Path) -> None:
    report = Report()
    network = read_results(corpus / "netpyne" / "model_output.json", report=report)
    assert len(network.spikes) == 5499
    assert network.spikes.populations["I5"] == (250, 50)
    assert network["E2[0]/v"][0] == pytest.approx(-0.065)
    assert [note.code for note in report] == ["not-taken-over"]  # the spikes of its inputs
    raw = json.loads((corpus / "netpyne" / "model_output.json").read_text())["simData"]
    assert network.spikes.time.sum() == pytest.approx(sum(raw["spkt"]) * 1e-3)
    cells = read_results(corpus / "sonata" / "9_cells" / "output")
    assert (len(cells.traces), len(cells.spikes)) == (18, 78)
    with h5py.File(corpus / "sonata" / "9_cells" / "output" / "membrane_potential.h5") as file:
        assert cells["cortex[4]/v"] == pytest.approx(file["report/cortex/data"][:, 4] * 1e-3)
    assert math.isclose(cells.time[1], 1e-4)
    old = read_results(corpus / "sonata" / "300_intfire" / "inputs" / "lgn_spikes.h5")
    assert len(old.spikes) == 2738


class _Entry:
    """An entry point of another package."""

    name, value = "counts", "elsewhere:FORMAT"

    def load(self) -> ResultsFormat:
        return ResultsFormat("counts", "spike counts", (".counts",), "https://example.org", writer=_write_counts)


def _write_counts(results: Results, path: Path, report: Report) -> None:
    report.add("counts-only", "loss", "spike times and traces are left out", file=str(path))
    path.write_text("".join(f"{name} {count}\n" for name, count in results.spikes.counts().items()))


def test_another_package_adds_a_format(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nmlbridge.registry.entry_points", lambda group: [_Entry()] if "results" in group else [])
    results_formats.cache_clear()
    try:
        with pytest.raises(ModelError, match="left out"):
            write_results(_results(), tmp_path / "x.counts", report=Report(strict=True))
        write_results(_results(), tmp_path / "x.counts")
        assert (tmp_path / "x.counts").read_text() == "exc 6\ninh 0\n"
        with pytest.raises(UsageError, match="not read"):
            read_results(tmp_path / "x.counts", format="counts")
    finally:
        monkeypatch.undo()
        results_formats.cache_clear()


def test_a_sonata_report_without_places_on_elements(tmp_path: Path) -> None:
    """As libsonata writes and reads them: an element that stands n times is n compartments, in order."""
    path = tmp_path / "soma.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("report/net")
        group["data"] = np.arange(8.0).reshape(2, 4)
        group["data"].attrs["units"] = "mV"
        mapping = group.create_group("mapping")
        mapping["node_ids"], mapping["index_pointers"] = [3, 7], [0, 3, 4]
        mapping["element_ids"], mapping["time"] = [0, 1, 1, 0], [0.0, 0.2, 0.1]
        file.create_group("report/empty")
    report = Report()
    results = read_results(path, report=report)
    named = ["net[3]/soma", "net[3]/1/soma@0.25", "net[3]/1/soma@0.75", "net[7]/soma"]
    assert list(results.traces.quantities) == named
    np.testing.assert_allclose(results["net[3]/1/soma@0.75"], [2e-3, 6e-3])
    assert [note.code for note in report] == ["no-data"]
