"""The verb that says which simulators can run a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nmlbridge.cli import main
from nmlbridge.simulator import suits
from nmlbridge.simulator.neuron.coreneuron import handed_over
from nmlbridge.simulator.plan.predict import prepared
from nmlbridge.simulator.program import Program

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ABSTRACT = """<Lems>
  <Target component="sim"/>
  <Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
  <iafTauCell id="c" leakReversal="-60mV" thresh="-50mV" reset="-70mV" tau="30ms"/>
  <network id="n"><population id="p" component="c" size="1"/></network>
  <Simulation id="sim" length="10ms" step="0.1ms" target="n"/>
</Lems>"""


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, str | None]]:
    """The exit code, and what each simulator lacks."""
    code = main(["check", *words, "--json"])
    return code, json.loads(capsys.readouterr().out).get("lacks", {})


def test_what_lacks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    file = next((EXAMPLES / "01_two_populations").glob("LEMS*.xml"))
    assert asked(capsys, str(file)) == (0, {"neuron": None, "coreneuron": None})
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == ["neuron: runs it", "coreneuron: runs it"]


def test_what_coreneuron_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "LEMS_abstract.xml"
    file.write_text(ABSTRACT)
    code, lacks = asked(capsys, str(file))
    assert code == 0 and lacks["neuron"] is None and "abstract cell" in str(lacks["coreneuron"])
    code, lacks = asked(capsys, str(file), "--backend", "coreneuron")
    assert code == 3 and list(lacks) == ["coreneuron"]
    file.write_text(ABSTRACT.replace('component="c"', 'component="d"'))
    assert main(["check", str(file)]) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [file.name]


def test_what_ranks_lack(capsys: pytest.CaptureFixture[str]) -> None:
    """CoreNEURON takes no delays below two steps between ranks, and splits no cells."""
    file = str(next((EXAMPLES / "01_two_populations").glob("LEMS*.xml")))
    assert asked(capsys, file, "--dt", "1")[1] == {"neuron": None, "coreneuron": None}
    code, lacks = asked(capsys, file, "--dt", "1", "-n", "2")
    assert code == 0 and lacks["neuron"] is None and "delay below two steps (2 ms)" in str(lacks["coreneuron"])
    code, lacks = asked(capsys, file, "--split", "force", "-n", "2")
    assert code == 0 and lacks["neuron"] is None and "no split cells" in str(lacks["coreneuron"])
    assert main(["check", file, "--split", "force", "-n", "2"]) == 0
    assert "is split over 2 ranks" in capsys.readouterr().out.splitlines()[1]
    assert main(["check", file, "--split", "force"]) == 2


def test_a_model_is_lowered_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """CoreNEURON is asked about what was made for NEURON, which is what would be made for it."""
    file = str(next((EXAMPLES / "01_two_populations").glob("LEMS*.xml")))
    made = []

    def counted(*arguments: object, **options: Any) -> Program:
        made.append(prepared(file, **options))
        return made[-1]

    monkeypatch.setattr(suits, "prepared", counted)
    assert asked(capsys, file)[1] == {"neuron": None, "coreneuron": None}
    assert len(made) == 1
    assert handed_over(made[0]).hash == prepared(file, backend="coreneuron").hash != made[0].hash
