"""Bad specifications: one clear error each, with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmlbridge.builder import Specification, build
from nmlbridge.cli import main
from nmlbridge.errors import DocumentError, ModelError, UsageError

GOOD = """\
name: net
parameters:
  gain: 2
  far: 100
space: {x: [0, 300], y: [0, 300], z: [0, 300]}
regions:
  upper: {y: [0, 100]}
cells:
  cell: {type: iafCell, leakReversal: -60 mV, thresh: -50 mV, reset: -65 mV, C: 0.2 nF, leakConductance: 0.01 uS}
synapses:
  syn: {type: expTwoSynapse, gbase: gain * 1 nS, erev: 0 mV, tauRise: 1 ms, tauDecay: 3 ms}
populations:
  A: {cell: cell, number: 20, region: upper, tags: {layer: L1}}
  B: {cell: cell, density: 1000}
connections:
  rule: {from: A, to: B, probability: 0.5, synapse: syn, weight: "normal(gain, 0.1)", delay: 1 ms}
stimuli:
  noise: {type: poisson, to: "A[0:5]", rate: 10 Hz, synapse: syn}
record:
  v: {cells: "B[0]"}
run: {duration: 100 ms}
"""

BAD = {
    # what is put for what, on which line the error is, which words it says
    "misspelt key": ("probability:", "probabilty:", 16, "did you mean 'probability'"),
    "misspelt section": ("stimuli:", "stimulus:", 17, "did you mean 'stimuli'"),
    "cyclic topology": ("{type: iafCell",
                        "{sections: {a: {length: 9, diameter: 2, parent: b}, b: {length: 9, diameter: 2, "
                        "parent: a}}}\n  other: {type: iafCell", 9, "circle: a -> b -> a"),
    "misspelt type": ("iafCell", "iafCel", 9, "did you mean 'iafCell'"),
    "misspelt parameter": ("thresh:", "tresh:", 9, "did you mean 'thresh'"),
    "missing parameter": ("tauRise: 1 ms, ", "", 11, "tauRise"),
    "NEURON's word": ("duration: 100 ms", "tstop: 100", 21, "it is called 'duration'"),
    "NetPyNE's word": ("cell: cell, number", "cellType: cell, number", 13, "it is called 'cell'"),
    "NetPyNE's section": ("populations:", "popParams:", 12, "it is called 'populations'"),
    "unit left out": ("C: 0.2 nF", "C: 0.2", 9, "capacitance"),
    "wrong dimension": ("gain * 1 nS", "gain * 1 mV", 11, "conductance"),
    "unknown unit": ("10 Hz", "10 hz", 18, "'Hz'"),
    "unknown synapse": ("0.5, synapse: syn", "0.5, synapse: sin", 16, "did you mean 'syn'"),
    "unknown cell": ("{cell: cell, number", "{cell: sell, number", 13, "did you mean 'cell'"),
    "unknown region": ("region: upper", "region: uper", 13, "did you mean 'upper'"),
    "unknown population": ("to: B", "to: BB", 16, "did you mean 'B'"),
    "rate without end": ("rate: 10 Hz", "rate: 1e200 Hz", 18, "the rate is 1e+200 Hz; expected 0 to 1e+09 Hz"),
    "unknown stimulus": ("poisson", "poison", 18, "did you mean 'poisson'"),
    "unknown name in a formula": ("normal(gain", "normal(gian", 16, "did you mean 'gain'"),
    "empty selection": ("to: B", 'to: "B & depth > 9000"', 16, "selects no cell"),
    "member that is not there": ("B[0]", "B[90]", 20, "no member [90]"),
    "impossible convergence": ("probability: 0.5", "convergence: 21", 16, "21 inputs from distinct cells"),
    "impossible divergence": ("probability: 0.5", "divergence: 5000", 16, "5000 outputs to distinct cells"),
    "probability above one": ("probability: 0.5", "probability: 1.5", 16, "0 to 1"),
    "two rules": ("probability: 0.5", "probability: 0.5, convergence: 3", 16, "exclude each other"),
    "no rule": ("probability: 0.5, ", "", 16, "one of these is needed"),
    "negative delay": ("delay: 1 ms", "delay: -1 ms", 16, "must not be negative"),
    "drawn negative delay": ("delay: 1 ms", "delay: 'normal(0, 1)'", 16, "clip"),
    "negative rate": ("rate: 10 Hz", "rate: -10 Hz", 18, "the rate is -10 Hz; expected 0"),
    "density without volume": ("z: [0, 300]}", "z: [5, 5]}", 14, "volume"),
    "range upside down": ("upper: {y: [0, 100]}", "upper: {y: [100, 0]}", 7, "smaller number stands first"),
    "function that yields NaN": ("probability: 0.5", "probability: sqrt(-dist_3d)", 16, "nan"),
    "weight that yields infinity": ('"normal(gain, 0.1)"', "1 / (gain - 2)", 16, "inf"),
    "cyclic parameters": ("gain: 2", "gain: far * 1\n  far2: 1\n", None, None),
    "parameter that needs itself": ("gain: 2", "gain: 2 * gain", 3, "needs itself"),
    "names that collide": ("upper: {y", "B: {y", 14, "already one of the regions"),
    "component ids that collide": ("syn: {type", "cell: {type", None, "another component is called 'cell'"),
    "a name of geometry": ("far: 100", "depth: 100", 4, "name of geometry"),
    "key twice": ("  B: {cell", "  A: {cell", 14, "twice (first on line 13)"),
    "not YAML": ("to: B,", "to: B: ,", 16, "YAML"),
    "a tag": ("number: 20", "number: !!python/object:os.system 20", 13, "tag"),
    "not a number": ("number: 20", "number: [20]", 13, "number"),
    "half a cell": ("number: 20", "number: 20.5", 13, "whole number"),
    "no duration": ("duration: 100 ms", "dt: 0.1", 21, "'duration' is missing"),
    "random numbers of NetPyNE": ("duration: 100 ms", "duration: 100 ms, rng: netpyne", 21, "in NetPyNE's words"),
    "random numbers of no one": ("duration: 100 ms", "duration: 100 ms, rng: mine", 21, "'mine' is none of native"),
    "duration of nothing": ("duration: 100 ms", "duration: 0", 21, "more than zero"),
    "syntax of a formula": ('"normal(gain, 0.1)"', "2 *", 16, "character"),
    "place on a point cell": ("delay: 1 ms", "at: soma", 16, "points"),
    "comma within braces": ("probability: 0.5", "probability: table(p, dist_3d)", 16, "needs quotes"),
    "brackets within braces": ('"A[0:5]"', "A[0:5]", 18, "need quotes"),
    "a voltage for a time": ("delay: 1 ms", "delay: 1 mV", 16, "it is a voltage; expected a number in ms"),
    "a conductivity for a rate": ("rate: 10 Hz", "rate: 1 S_per_m", 18, "expected a number in Hz"),
    "a junction that waits for events": ("probability", "kind: electrical, probability", 16, "which waits for events"),
    "a graded synapse that does": ("probability", "kind: continuous, probability", 16, "needs a gradedSynapse"),
    "events for a junction": ("expTwoSynapse, gbase: gain * 1 nS, erev: 0 mV, tauRise: 1 ms, tauDecay: 3 ms",
                              "gapJunction, conductance: 1 nS", 16, "say kind: electrical"),
    "a step longer than the run": ("duration: 100 ms", "duration: 1, dt: 5", 21, "longer than the run"),
    "file that is not there": ("probability: 0.5", "file: edges.csv", 16, "no file 'edges.csv'"),
    "absolute path": ("probability: 0.5", "file: /etc/passwd", 16, "relative"),
}  # fmt: skip
del BAD["cyclic parameters"]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(GOOD)
    return path


def test_the_good_one_is_good(good: Path) -> None:
    network = build(good).network
    assert network.populations["A"].size == 20
    assert network.populations["B"].size == 27  # 1000 per mm3 in 0.027 mm3


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, good: Path) -> None:
    old, new, line, said = BAD[case]
    assert GOOD.count(old) >= 1
    good.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ModelError) as raised:
        build(good)
    assert raised.value.file == str(good)
    assert line is None or raised.value.line == line, str(raised.value)
    assert said in str(raised.value).replace(str(good), "")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ("pre,post\n0,1\n1.5,2\n", 3, "'pre' is 1.5; expected a whole number"),
        ("pre,post\n\n0,1\n1,99\n", 4, "'post' is 99, but 'to' of the rule has 27 cells"),
        ("pre,post\n-1,1\n", 2, "'pre' is -1, but 'from' of the rule has 20 cells"),
        ("pre,post,weight\n0,1,1\n1,2,nan\n", 3, "'weight' is not finite"),
        ("pre,post,delay\n0,1,1\n1,2,-3\n", 3, "the delay is -3 ms"),
        ("a,b\n0,1\n", 1, "the first line must name the columns: pre and post"),
        ("", 1, "it has none"),
        ("pre,target\n0,1\n", 1, "it has pre"),
        ("pre,post\n0,x\n", 2, "a value is no number"),
        ("pre,post\n0,1,2\n", 2, "the row has 3 values; the header names 2"),
    ],
)
def test_bad_lists_of_connections(good: Path, rows: str, line: int, said: str) -> None:
    """The error names the line of the file that is at fault."""
    file = good.with_name("edges.csv")
    file.write_text(rows)
    good.write_text(GOOD.replace("probability: 0.5", "file: edges.csv"))
    with pytest.raises(ModelError) as raised:
        build(good)
    assert (raised.value.file, raised.value.line) == (str(file), line)
    assert said in str(raised.value).replace(str(good), "")


@pytest.mark.parametrize(
    "text", ["", "3", "[1, 2]", "a: &a [*a]", "populations: {A: {cell: c, number: 1, <<: x}}", "\t{"]
)
def test_what_is_no_specification(text: str) -> None:
    with pytest.raises(ModelError):
        build(Specification.parse(text))


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(DocumentError, match="too many values"):
        Specification.parse("\n".join(lines))


def test_the_random_numbers_of_netpyne_are_refused_by_name(good: Path) -> None:
    with pytest.raises(ModelError, match=r"run.rng.*NetPyNE's words \(netParams"):
        build(good, rng="netpyne")
    assert len(build(good, rng="native").network.projections) == 1


def test_a_density_on_the_wrong_side_of_zero() -> None:
    with pytest.raises(ModelError, match="negative"):
        build(Specification.parse(GOOD.replace("density: 1000", "density: 1000 * (150 - depth)")))


def test_changes_by_name(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = build(good, gain=5).network.projections[0].weight
    assert weight is not None and weight.mean() == pytest.approx(5, abs=0.1)
    assert len(build(good, **{"connections.rule.probability": 1}).network.projections[0]) == 20 * 27
    with pytest.raises(UsageError, match="did you mean 'gain'"):
        build(good, gian=3)
    assert main(["build", str(good), "--set", "connections.rule.probability=7"]) == 1
    assert "connections.rule.probability" in capsys.readouterr().err
