"""nmlbridge converge on a neuron whose limit is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nmlbridge import converge
from nmlbridge.cli import main
from nmlbridge.errors import UsageError

MODEL = """<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>
<Include file="Simulation.xml"/>
<iafTauCell id="c" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms"/>
<network id="net"><population id="p" component="c" size="1"/></network>
<Simulation id="sim" length="40ms" step="1ms" target="net">
<OutputFile id="f" fileName="v.dat"><OutputColumn id="v" quantity="p[0]/v"/></OutputFile></Simulation></Lems>"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "LEMS_Model.xml"
    file.write_text(MODEL.replace('length="40ms"', 'length="20ms"'))  # it starts with a reset; the next comes later
    return file


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4)])
def test_the_order_of_a_method_is_found(model: Path, method: str, order: int) -> None:
    found = converge(model, backend="reference", method=method)
    assert found.steps == (1.0, 0.5, 0.25, 0.125)
    trace = found.series[0]
    assert trace.order == pytest.approx(order, abs=0.2)
    assert trace.errors[0] > trace.errors[1] > trace.errors[2]


def test_spikes_are_compared_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "LEMS_Model.xml"
    model.write_text(MODEL.replace('length="40ms"', 'length="100ms"'))
    assert main(["converge", str(model), "--backend", "reference", "--method", "euler", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    spikes = next(s for s in answer["series"] if s["kind"] == "spikes")
    assert spikes["name"] == "p"
    assert 0.05 < spikes["errors"][0] < 5
    assert spikes["order"] == pytest.approx(1, abs=0.3)


def test_the_table_names_steps_and_quantities(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["converge", str(model), "--backend", "reference", "--halvings", "2"]) == 0
    head, line = capsys.readouterr().out.splitlines()[:2]
    assert "dt 1 ms" in head
    assert "against dt 0.25 ms" in head
    assert line.startswith("p[0]/v")


def test_one_halving_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        converge(model, halvings=1)
