"""Foresight: counts against what NEURON builds, predictions against runs, batch scripts that a shell understands."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge.cli import main
from nmlbridge.errors import UsageError
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.plan import SCHEDULERS, batch_script
from nmlbridge.simulator.plan.calibrate import Costs, costs
from nmlbridge.simulator.plan.count import load, shortest_delay
from nmlbridge.simulator.plan.predict import foresee, prepared
from nmlbridge.simulator.work import work

from . import programs

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"
UNIT = Costs(**{field.name: 1.0 for field in fields(Costs)})


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_counts_are_those_of_the_tables_on_any_number_of_ranks(ranks: int) -> None:
    found = load(programs.ring(cells=6), ranks)
    totals = {name: counts.sum() for name, counts in found.instances.items()}
    assert found.cells.sum() == 6 and found.segments.sum() == 24  # a soma and three compartments of a dendrite
    assert totals == {"hh": 6, "testleak": 18, "Exp2Syn": 6, "TestGap": 10, "TestPoisson": 12}
    assert found.netcons.sum() == 12 and found.transfers.sum() == 10
    assert all(len(counts) == ranks for counts in (found.cells, found.netcons, *found.instances.values()))
    assert found.cells.max() - found.cells.min() <= 1
    assert shortest_delay(programs.ring()) == pytest.approx(0.5)


def test_arithmetic_is_counted_where_it_is_done_at_each_step() -> None:
    text = """
    NEURON { SUFFIX m } STATE { s } : exp(1) + exp(2)
    INITIAL { s = exp(v) + exp(2*v) }
    BREAKPOINT { SOLVE states METHOD cnexp  i = 2*(v + 65) + 3*(v + 65) }
    DERIVATIVE states { s' = -s/5 + exp(-0.1*v) }
    """
    (found,) = work({"m.mod": text}).items()
    # v + 65 once, two products, a sum; in the derivative a quotient, a sum, a product, exp, and exp of the method
    assert found[0] == "m" and found[1].kind == "density"
    assert (found[1].operations, found[1].calls) == (4 + 3, 2)
    kinds = {each.kind for each in work({"a": programs.POISSON, "b": programs.GAP}).values()}
    assert kinds == {"artificial", "point"}


def test_a_plan_adds_up_and_scales() -> None:
    program = programs.ring(cells=64)
    one, two = foresee(program, UNIT, 1), foresee(program, UNIT, 2)
    twice = foresee(programs.ring(cells=64, run=programs.run(duration=100.0)), UNIT, 1)
    assert twice.simulate[0] > 1.9 * one.simulate[0] and twice.build[0] == one.build[0]
    assert two.build.max() < one.build.max() and two.balance > 0.95
    assert two.memory.max() < one.memory.max() < two.memory.sum()
    assert foresee(program, UNIT, 1, rate=100.0).simulate[0] > one.simulate[0]
    json.dumps(two.to_json())


@pytest.mark.neuron
@pytest.mark.slow
def test_what_is_foreseen_comes(tmp_path: Path) -> None:
    """Of a network of another kind than those that were measured; the factor allows for a busy machine."""
    measured = costs()
    program = programs.ring(cells=200, run=programs.run(duration=300.0))
    found = foresee(program, measured, 1)
    raw = run_program(program)
    assert 0.3 < found.simulate[0] / raw.phases["simulate"]["cpu"] < 3
    assert 0.7 < found.memory[0] / raw.phases["simulate"]["peak_mb"] < 1.4
    assert found.build[0] < 0.1 + 3 * raw.phases["build"]["cpu"]


def test_nothing_is_run_for_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", fail)
    program = prepared(EXAMPLE, duration=10.0)
    assert load(program, 2).cells.sum() == 12


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_batch_scripts_ask_for_twice_what_is_foreseen(scheduler: str, tmp_path: Path) -> None:
    found = foresee(programs.ring(), UNIT, 3, model="my model; rm -rf $HOME/LEMS_x.xml")
    found = replace(found, simulate=np.array([7000.0, 7200.0, 7100.0]), memory=np.array([900.0, 1000.0, 950.0]),
                    parent_memory=300.0, build=np.zeros(3), compile=0.0)  # fmt: skip
    text = batch_script(found, scheduler, ["--dt", "0.01"])
    script = tmp_path / "job.sh"
    script.write_text(text)
    assert text.startswith("#!/bin/bash\n")
    assert "04:01:00" in text and "2200" in text  # twice 7200.6 s; twice 1000 MB and a third of 300 MB
    mark = {"slurm": "#SBATCH --ntasks=3", "pbs": "select=3:ncpus=1", "sge": "#$ -pe mpi 3"}[scheduler]
    assert mark in text
    assert "'my model; rm -rf $HOME/LEMS_x.xml'" in text and "--checkpoint" in text and "--resume" in text
    if bash := shutil.which("bash"):
        subprocess.run([bash, "-n", script], check=True)


def test_batch_scripts_refuse_what_cannot_be_written() -> None:
    found = foresee(programs.ring(), UNIT, 1, model="a.xml")
    with pytest.raises(UsageError, match="slurm, pbs, sge"):
        batch_script(found, "lsf")
    with pytest.raises(UsageError, match="printable"):
        batch_script(replace(found, model="a\n#SBATCH --exclusive"), "slurm")


@pytest.mark.neuron
def test_the_verb_writes_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr("nmlbridge.simulator.plan.predict.costs", lambda progress: UNIT)
    assert main(["plan", str(EXAMPLE), "-n", "2", "--script", "slurm", "-o", str(tmp_path / "job.sh"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ranks"] == 2 and answer["cells"] == 12 and len(answer["memory"]) == 2
    assert (tmp_path / "job.sh").read_text() == answer["script"]
    assert main(["plan", str(EXAMPLE), "-o", str(tmp_path / "x")]) == 2
    assert main(["plan", str(EXAMPLE)]) == 0
    assert "12 cells" in capsys.readouterr().out
