"""The NEURON project that is written runs without nmlbridge and gives the numbers of ``nmlbridge run``."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import convert, read, simulate, write
from nmlbridge.errors import NmlBridgeError, UnsupportedError
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.program import Program

from ..converters.contract import everything, native_everything

ALONE = """
import runpy, sys
sys.modules["nmlbridge"] = None  # importing it is an error
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
pytestmark = pytest.mark.neuron


def run_alone(project: Path, *words: str, compile: bool = False) -> Path:
    """Run the project with nmlbridge out of reach; ``compile`` with nrnivmodl, else with the cache's library."""
    program = Program.load(project / "model")
    if not compile and program.mods:
        library = compile_mods(program.mods)
        assert library is not None
        (project / "compiled" / "x86_64").mkdir(parents=True)
        shutil.copy(library, project / "compiled" / "x86_64")
    out = project.parent / "alone"
    done = subprocess.run([sys.executable, "-c", ALONE, "run.py", "-o", str(out), *words], cwd=project,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def same_files(ours: Path, alone: Path) -> int:
    """The number of files; all are the same to the last digits that are written."""
    files = [path for path in ours.rglob("*") if path.is_file() and path.suffix != ".json"]  # names of columns
    for path in files:
        if path.name == "spikes.dat":  # ids are paths of cells
            assert (alone / path.name).read_text() == path.read_text()
            continue
        a, b = (np.loadtxt(folder / path.relative_to(ours), ndmin=2) for folder in (ours, alone))
        assert a.shape == b.shape and a.size
        # ten digits are written; compilers may order a sum another way
        np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-12)
    return len(files)


def test_a_published_cell_runs_with_neuron_alone(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "NML2_LEMS_Examples" / "LEMS_NML2_Ex5_DetCell.xml"
    if not source.is_file():
        source = next(iter(corpus.rglob("LEMS_NML2_Ex5_DetCell.xml")), source)
    if not source.is_file():
        pytest.skip("LEMS_NML2_Ex5_DetCell.xml is not in the corpus")
    convert(source, tmp_path / "project", target_format="neuron")
    simulate(source, output=tmp_path / "ours")
    assert same_files(tmp_path / "ours", run_alone(tmp_path / "project", compile=True)) >= 1


def test_a_network_with_something_of_everything(tmp_path: Path) -> None:
    write(everything(tmp_path), tmp_path / "project", format="neuron")
    simulate(tmp_path / "LEMS_everything.xml", output=tmp_path / "ours")
    assert same_files(tmp_path / "ours", run_alone(tmp_path / "project")) == 1


def test_mechanisms_of_neuron_itself(tmp_path: Path) -> None:
    write(native_everything(), tmp_path / "saved_netpyne.json", format="netpyne")
    simulate(tmp_path / "saved_netpyne.json", output=tmp_path / "ours")
    convert(tmp_path / "saved_netpyne.json", tmp_path / "project", target_format="neuron")
    assert same_files(tmp_path / "ours", run_alone(tmp_path / "project")) >= 1


def test_without_a_simulation_voltages_are_recorded_and_that_is_said(tmp_path: Path) -> None:
    network = everything(tmp_path)
    network.simulation = []
    report = Report()
    write(network, tmp_path / "project", format="neuron", report=report)
    assert "no-simulation" in {note.code for note in report}
    table = np.loadtxt(run_alone(tmp_path / "project", "--duration", "5") / "v.dat")
    assert table.shape == (201, 4)


def test_text_of_a_model_is_never_code(tmp_path: Path) -> None:
    bad = '"""+__import__("os").system("touch pwned")+"""<script>|`'
    network = everything(tmp_path)
    network.file = bad
    network.id = bad
    network.simulation[0].attributes["target"] = bad
    write(network, tmp_path / "project", format="neuron")
    for script in (tmp_path / "project").rglob("*.py"):
        assert "pwned" not in script.read_text()
        ast.parse(script.read_text())
    assert "<script>" not in (tmp_path / "project" / "README.md").read_text()


def test_what_stands_there_is_readable(tmp_path: Path) -> None:
    write(everything(tmp_path), tmp_path / "project", format="neuron")
    document = json.loads((tmp_path / "project" / "model" / "program.json").read_text())
    assert [p["size"] for p in document["spec"]["populations"]] == [3, 4, 2]
    assert sorted((tmp_path / "project" / "model" / "mod").glob("*.mod"))


def test_a_document_without_a_network_is_refused(tmp_path: Path) -> None:
    network = everything(tmp_path)
    network.id, network.populations, network.projections, network.inputs = None, {}, [], []
    with pytest.raises(UnsupportedError, match="no network"):
        write(network, tmp_path / "project", format="neuron")
    assert not (tmp_path / "project").exists()


def test_outputs_outside_the_folder_are_refused(tmp_path: Path) -> None:
    everything(tmp_path)
    path = tmp_path / "LEMS_everything.xml"
    path.write_text(path.read_text().replace('fileName="out.dat"', 'fileName="../out.dat"'))
    with pytest.raises(NmlBridgeError, match="leaves the output folder"):
        write(read(path), tmp_path / "project", format="neuron")
    assert not (tmp_path / "project").exists()
