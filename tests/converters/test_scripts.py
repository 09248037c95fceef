"""Scripts for Brian 2 and EDEN: they run there, and give the spikes and traces of the model here."""

from __future__ import annotations

import ast
import operator as op
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import convert, read
from nmlbridge.converters.brian import printed
from nmlbridge.errors import NetworkError, UnsupportedError
from nmlbridge.lems.evaluate import evaluate
from nmlbridge.lems.expression import Apply, Num, Piecewise, parse
from nmlbridge.registry import formats
from nmlbridge.report import Report
from nmlbridge.simulator.run import simulate_reference

from . import test_pynn as pynn
from .contract import everything

MODEL = """<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<iafRefCell id="iaf" leakReversal="-65mV" thresh="-50mV" reset="-70mV" C="0.2nF" leakConductance="10nS" refract="3ms"/>
<adExIaFCell id="adex" C="281pF" gL="30nS" EL="-70.6mV" reset="-48.5mV" VT="-50.4mV" thresh="-40.4mV" refract="0ms"
  delT="2mV" tauw="40ms" a="4nS" b="0.08nA"/>
<expTwoSynapse id="two" gbase="8nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<expOneSynapse id="one" gbase="5nS" erev="-80mV" tauDecay="6ms"/>
<pulseGenerator id="pulse" delay="20ms" duration="100ms" amplitude="0.3nA"/>
<pulseGenerator id="step" delay="10ms" duration="150ms" amplitude="0.8nA"/>
<spikeArray id="train"><spike id="0" time="10ms"/><spike id="1" time="12ms"/><spike id="2" time="30.5ms"/></spikeArray>
<network id="net"><population id="A" component="iaf" size="2"/><population id="B" component="adex" size="1"/>
<population id="S" component="train" size="1"/>
<projection id="AB" presynapticPopulation="A" postsynapticPopulation="B" synapse="one">
  <connectionWD id="0" preCellId="../A[0]" postCellId="../B[0]" weight="2" delay="1.5 ms"/></projection>
<projection id="SA" presynapticPopulation="S" postsynapticPopulation="A" synapse="two">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../A[1]" weight="3" delay="1 ms"/></projection>
<inputList id="list" population="A" component="pulse"><input id="0" target="../A[0]" destination="synapses"/>
  <input id="1" target="../A[1]" destination="synapses"/></inputList>
<inputList id="more" population="B" component="step"><input id="0" target="../B[0]" destination="synapses"/></inputList>
</network>
<Simulation id="sim" length="150ms" step="0.01ms" target="net"><OutputFile id="of" fileName="../../v.dat">
  <OutputColumn id="a" quantity="A[1]/v"/><OutputColumn id="b" quantity="B[0]/v"/></OutputFile>{}</Simulation>
<Target component="sim"/></Lems>"""
CELLS = ["A[0]", "A[1]", "B[0]"]
EVENTS = '<EventOutputFile id="ev" fileName="s.dat" format="ID_TIME">' + "".join(
    f'<EventSelection id="{n}" select="{cell}" eventPort="spike"/>' for n, cell in enumerate(CELLS)
) + "</EventOutputFile>"  # fmt: skip


def script(folder: Path, name: str, model: str) -> Path:
    """The script for ``name``, written and run."""
    path = folder / "LEMS_net.xml"
    path.write_text(model)
    report = Report()
    convert(path, folder / "out", target_format=name, report=report)
    assert not report.losses
    (folder / "out" / "brian_preferences").write_text("codegen.target = 'numpy'\n")  # nothing to compile
    done = subprocess.run([sys.executable, "run.py"], cwd=folder / "out", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.slow
def test_brian_gives_the_spikes_of_the_reference(tmp_path: Path) -> None:
    pytest.importorskip("brian2")
    out = script(tmp_path, "brian2", MODEL.format(EVENTS).replace("../../", ""))
    lines = [line.split("\t") for line in (out / "spikes.dat").read_text().splitlines()]
    results = simulate_reference(tmp_path / "LEMS_net.xml")
    for number, cell in enumerate(CELLS):
        theirs = np.sort([float(time) for name, time in lines if name == cell])
        ours = np.sort(results.spikes.time[results.spikes.gid == number])
        # Brian puts each spike on its step of 0.01 ms, one after the other: a dozen spikes
        assert len(ours) == len(theirs) > 3
        assert np.abs(ours - theirs).max() < 0.2e-3, cell
    assert np.loadtxt(out / "v.dat").shape == (15000, 3)


@pytest.mark.slow
def test_eden_gives_the_trace_of_the_reference(tmp_path: Path) -> None:
    pytest.importorskip("eden_simulator")
    # EDEN 0.2.3 crashes on the model above, so it gets the one that PyNN gets
    out = script(tmp_path, "eden", pynn.MODEL.format(pynn.EVENTS))
    theirs = np.loadtxt(out / "v.dat")
    ours = simulate_reference(tmp_path / "LEMS_net.xml").traces
    until = theirs[:, 0] < 0.02  # before the first spike, whose place on the grid is each one's own
    at = np.interp(theirs[until, 0], ours.time, ours.values[0])
    assert np.abs(theirs[until, 1] - at).max() < 1e-4 and np.ptp(at) > 1e-3


def test_expressions_mean_the_same_to_brian() -> None:
    values = {"x": 1.7, "y": -0.3}
    functions = {"exp": np.exp, "log": np.log, "sign": np.sign, "sqrt": np.sqrt, "ceil": np.ceil, "int": int}
    texts = ["-x^2*y", "exp(-x)/y - ln(x)", "x .gt. y .and. y .lt. 0", "H(x) + sqrt(x)", "2^x^y", "ceil(x) - -y"]
    cases = ((parse("x .gt. 2"), Num(1.0)), (parse("x .gt. 1"), Num(2.0)), (None, Num(3.0)))
    trees = [*map(parse, texts), Piecewise(cases)]
    for tree in trees:
        text = printed(tree, {"x": "x", "y": "y"})
        assert _value(ast.parse(text, mode="eval").body, {**values, **functions}) == pytest.approx(
            float(evaluate(tree, values))
        )
    with pytest.raises(UnsupportedError, match="factorial"):
        printed(parse("factorial(x)"), {})
    with pytest.raises(UnsupportedError):
        printed(Apply("f", ()), {})


def _value(node: ast.AST, known: dict[str, object]) -> float:
    """Python's reading of an expression that has numbers, names, operators and calls only."""
    binary = {ast.Add: op.add, ast.Sub: op.sub, ast.Mult: op.mul, ast.Div: op.truediv, ast.Pow: op.pow}
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return known[node.id]  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp):
        inside = _value(node.operand, known)
        return float(not inside) if isinstance(node.op, ast.Not) else -inside
    if isinstance(node, ast.BinOp):
        return binary[type(node.op)](_value(node.left, known), _value(node.right, known))
    if isinstance(node, ast.Compare):
        left, right = _value(node.left, known), _value(node.comparators[0], known)
        return float(left > right if isinstance(node.ops[0], ast.Gt) else left < right)
    if isinstance(node, ast.BoolOp):
        parts = [_value(part, known) for part in node.values]
        return float(all(parts) if isinstance(node.op, ast.And) else any(parts))
    assert isinstance(node, ast.Call)
    return float(known[node.func.id](_value(node.args[0], known)))  # type: ignore


def test_a_script_stays_in_its_folder_and_has_no_code_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "LEMS_net.xml").write_text(MODEL.format(""))
    convert(tmp_path / "LEMS_net.xml", tmp_path / "out", target_format="brian2")
    text = (tmp_path / "out" / "run.py").read_text()
    assert "FILES = {'v.dat': " in text and ".." not in text.replace("...", "")
    ast.parse(text)


def test_cells_with_a_shape_are_left_out_and_said(tmp_path: Path) -> None:
    report = Report()
    network = everything(tmp_path)
    formats()["brian2"].write(network, tmp_path / "out", report)
    left = {note.component for note in report.losses if note.code.endswith("left-out")}
    assert {"c", "bc"} <= left
    assert read(tmp_path / "LEMS_everything.xml").populations.keys() == {"a", "b", "c"}


@pytest.mark.parametrize("format", ["pynn", "brian2", "eden"])
def test_a_cell_that_the_model_does_not_define_is_named(format: str, tmp_path: Path) -> None:
    model = tmp_path / "net.nml"
    model.write_text(
        '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="m"><network id="net">'
        '<population id="pop" component="elsewhere" size="1"/></network></neuroml>'
    )
    with pytest.raises(NetworkError, match=r"population 'pop' has the component 'elsewhere'.*include the file"):
        convert(model, tmp_path / "out", target_format=format)
    assert not (tmp_path / "out").exists()
