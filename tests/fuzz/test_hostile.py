"""Documents written to do harm: one clear error, no traceback, nothing written outside the output folder."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import h5py
import pytest

from nmlbridge.cli import main
from nmlbridge.simulator.neuron.checkpoint import latest
from nmlbridge.simulator.saving import POINTER

CELL = '<iafCell id="c" leakReversal="-65mV" thresh="-50mV" reset="-65mV" C="1nF" leakConductance="10nS"/>'
NETWORK = '<network id="net"><population id="p" component="c" size="2"/></network>'
RULES = """name: net
cells:
  c: {type: iafCell, leakReversal: -60 mV, thresh: -50 mV, reset: -65 mV, C: 0.2 nF, leakConductance: 0.01 uS}
populations:
  A: {cell: c, number: 3}
run: {duration: 1 ms}
"""


def lems(folder: Path, body: str = CELL + NETWORK, quantity: str = "p[0]/v") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "L.xml"
    path.write_text(
        '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        f'<Include file="Simulation.xml"/>{body}<Simulation id="sim" length="1ms" step="0.1ms" target="net">'
        f'<OutputFile id="o" fileName="x.dat"><OutputColumn id="v" quantity="{quantity}"/></OutputFile>'
        "</Simulation></Lems>"
    )
    return path


def refused(words: list[str | Path], capsys: pytest.CaptureFixture[str], *said: str) -> None:
    """The command line fails with one line that says so."""
    assert main([str(word) for word in words]) in (1, 2, 3, 4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("nmlbridge: error: ") and "Traceback" not in lines[0]
    assert all(word in lines[0] for word in said), lines[0]
    assert "TOPSECRET" not in lines[0]


# links that come with a model, in the folder where it is run -------------------------------------------------------


@pytest.mark.neuron
@pytest.mark.parametrize("name", ["x.dat.part", "spikes.h5.part", "v.h5.part", ".spikes.h5.a"])
def test_a_link_under_the_name_of_a_part_is_not_followed(name: str, tmp_path: Path) -> None:
    model, own = lems(tmp_path / "model"), tmp_path / "own.txt"
    own.write_text("mine")
    (model.parent / name).symlink_to(own)
    assert main(["run", str(model), "-o", str(model.parent), "--record-format", "both"]) == 0
    assert own.read_text() == "mine"
    for made in ("x.dat", "spikes.h5", "v.h5"):
        assert (model.parent / made).is_file() and not (model.parent / made).is_symlink()


@pytest.mark.neuron
@pytest.mark.parametrize("name", ["L.checkpoint", "L.checkpoint/lock", "L.checkpoint/out", "L.checkpoint/out/time.npy"])
def test_a_folder_of_checkpoints_may_not_lie_elsewhere(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, own = lems(tmp_path / "model"), tmp_path / "own"
    own.mkdir()
    (own / "lock").write_text("mine")
    (model.parent / name).parent.mkdir(parents=True, exist_ok=True)
    (model.parent / name).symlink_to(own / "lock" if name.endswith(("lock", ".npy")) else own)
    refused(["run", model, "-o", model.parent, "--checkpoint", "0.5"], capsys, name, "is a link")
    assert (own / "lock").read_text() == "mine" and [p.name for p in own.iterdir()] == ["lock"]


@pytest.mark.parametrize("change", [{"name": "../../own"}, {"name": 5}, {"step": "7"}, {"ranks": None}, {"every": []}])
def test_a_checkpoint_names_no_other_folder(change: dict[str, object], tmp_path: Path) -> None:
    """The folder that it names is taken away at the next checkpoint."""
    facts = {"name": "step-7", "step": 7, "time": 0.7, "ranks": 1, "every": 7, "hash": "a", "split": ""}
    (tmp_path / POINTER).write_text(json.dumps(facts))
    assert latest(tmp_path) == facts
    (tmp_path / POINTER).write_text(json.dumps(facts | change))
    from nmlbridge.errors import SimulatorError

    with pytest.raises(SimulatorError, match="damaged"):
        latest(tmp_path)


# names that become files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["../../out", "a/b", "..", "x" * 300, "a\\b"])
@pytest.mark.parametrize("part", ["population", "cell"])
def test_ids_that_sonata_cannot_call_files(
    part: str, id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = CELL + NETWORK.replace('"p"', f'"{id}"')
    if part == "cell":
        body = CELL.replace('"c"', f'"{id}"') + NETWORK.replace('"c"', f'"{id}"')
    model = lems(tmp_path / "model", body, f"{id}[0]/v")
    refused(["convert", model, tmp_path / "deep" / "er" / "x.sonata"], capsys, id[:60])
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["L.xml"]


TEXTS_OF_CODE = ("a'+OWN()+'", "a\nOWN()\n", 'a"""+OWN()+"""', "{OWN()}")
POINTS = """<Include file="PyNN.xml"/><IF_cond_exp id={cell} cm="1" i_offset="0.9" tau_syn_E="5" tau_syn_I="5"
v_init="-65" tau_m="20" tau_refrac="5" v_reset="-65" v_rest="-65" v_thresh="-50" e_rev_E="0" e_rev_I="-70"/>
<network id="net"><notes>{notes}</notes><population id={population} component={cell} size="2">
<property tag={tag} value={tag}/></population></network>"""


@pytest.mark.parametrize("slot", ["cell", "population", "tag"])
@pytest.mark.parametrize("ending", ["neuron", "brian2", "pynn", "eden"])
def test_text_stays_text_in_scripts(ending: str, slot: str, tmp_path: Path) -> None:
    written = 0
    for number, text in enumerate(TEXTS_OF_CODE):
        words = {"cell": "c", "population": "p", "tag": "t", slot: text}
        quoted = {name: quoteattr(word).replace("\n", "&#10;") for name, word in words.items()}
        body = POINTS.format(**quoted, notes=escape(text))
        quantity = quoteattr(f"{words['population']}[0]/v")[1:-1].replace("\n", "&#10;").replace('"', "&quot;")
        target = tmp_path / f"x{number}.{ending}"
        if main(["convert", str(lems(tmp_path, body, quantity)), str(target)]) != 0:
            continue
        written += 1
        for script in target.rglob("*.py") if target.is_dir() else [target]:
            tree = ast.parse(script.read_text())
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "OWN"]
        for mod in target.rglob("*.mod"):
            assert "OWN()" not in mod.read_text()
    assert written


# numbers ------------------------------------------------------------------------------------------------------------

TYPE = """<ComponentType name="cc" extends="baseCellMembPot"><Dynamics>
<StateVariable name="v" dimension="voltage" exposure="v"/><DerivedVariable name="q" dimension="none" value="{}"/>
<TimeDerivative variable="v" value="q * K"/></Dynamics>
<Constant name="K" dimension="voltage_per_time" value="1 mV_per_ms"/></ComponentType>
<Dimension name="voltage_per_time" m="1" l="2" t="-4" i="-1"/><Unit symbol="mV_per_ms" dimension="voltage_per_time"
power="0"/><cc id="c"/>"""


@pytest.mark.parametrize("backend", ["neuron", "reference"])
@pytest.mark.parametrize("text", ["9^9^9^9", "1/0", "exp(1e9)", "log(-1)"])
def test_what_is_no_number(text: str, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = lems(tmp_path / "model", TYPE.format(text) + NETWORK)
    refused(["run", model, "-o", tmp_path / "out", "--backend", backend], capsys, "'c'", "no finite number")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    ("text", "said"),
    [("1e12", "more than this machine"), (".inf", "finite"), (".nan", "finite"), ("9" * 5000, "no number"),
     ("'2^4000'", "finite")],
)  # fmt: skip
def test_numbers_of_cells(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RULES.replace("number: 3", f"number: {text}"))
    refused(["run", path, "-o", tmp_path / "out"], capsys, "r.yaml:5", said)
    for more in ("density: 1e300", "grid: {x: 1e-12}"):
        path.write_text(RULES.replace("number: 3", more) + "space: {x: [0, 1000], y: [0, 1000], z: [0, 1000]}\n")
        refused(["run", path, "-o", tmp_path / "out"], capsys, "r.yaml:5", "more than this machine")


def test_a_data_set_that_only_claims_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name in ("timestamps", "node_ids"):
            file.create_dataset(f"spikes/p/{name}", (10**13,), "f8", chunks=(1000,))
    refused(["results", "show", tmp_path / "s.h5"], capsys, "s.h5", "memory")


@pytest.mark.parametrize(
    ("length", "dt", "said"),
    [(float("inf"), 0.1, "L is not a finite"), (10, 0, "dt is 0"), (10, 1e-30, "steps"), (10, float("nan"), "dt")],
)
def test_numbers_of_netpyne(
    length: float, dt: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = {"geom": {"L": length, "diam": 10}, "mechs": {"pas": {"g": 0.001, "e": -65}}}
    cells, populations = {"c": {"secs": {"soma": section}}}, {"A": {"cellType": "c", "numCells": 1}}
    path = tmp_path / "n_netpyne.json"
    net = {"params": {"cellParams": cells, "popParams": populations}}
    path.write_text(json.dumps({"net": net, "simConfig": {"duration": 1, "dt": dt}}))
    refused(["run", path, "-o", tmp_path / "out"], capsys, said)


def test_sbml_that_is_deep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">'
    (tmp_path / "a.sbml").write_text(head + "<a>" * 100_000)
    refused(["convert", tmp_path / "a.sbml", tmp_path / "x.xml"], capsys, "a.sbml:1", "deeper than")


@pytest.mark.parametrize(
    ("attributes", "said"),
    [('weight="nan" delay="1 ms"', "a weight of"), ('weight="1e999" delay="1 ms"', "a weight of"),
     ('weight="1" delay="1e999 ms"', "1e999 ms")],
)  # fmt: skip
def test_connections(attributes: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = f'<connectionWD id="0" preCellId="../p[0]" postCellId="../p[1]" {attributes}/>'
    ends = 'presynapticPopulation="p" postsynapticPopulation="p"'
    body = (
        f'{CELL}<expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="3ms"/><network id="net">'
        f'<population id="p" component="c" size="2"/><projection id="k" {ends} synapse="s">{row}</projection></network>'
    )
    model = lems(tmp_path / "model", body)
    refused(["run", model, "-o", tmp_path / "out"], capsys, "L.xml:1", "'k'", said)
    refused(["convert", model, tmp_path / "x.nml.h5"], capsys, "L.xml:1", "'k'", said)


@pytest.mark.parametrize(
    ("rule", "said"),
    [("probability: 1, contacts: 1e12", "contacts are more than"), ("probability: 1, contacts: .inf", "finite"),
     ("probability: .nan", "finite"), ("file: ../secret.txt", "must name the columns")],
)  # fmt: skip
def test_rules(rule: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret.txt").write_text("TOPSECRET:x:0:0")
    path = tmp_path / "model" / "r.yaml"
    path.parent.mkdir()
    synapse = "synapses:\n  s: {type: expOneSynapse, gbase: 1 nS, erev: 0 mV, tauDecay: 3 ms}\n"
    path.write_text(f"{RULES}{synapse}connections:\n  k: {{from: A, to: A, {rule}, synapse: s, weight: 1, delay: 1}}\n")
    refused(["run", path, "-o", tmp_path / "out"], capsys, said)
    path.write_text(f"{RULES}{synapse}stimuli:\n  n: {{type: rhythmic, to: A, period: 1e-300, synapse: s}}\n")
    refused(["run", path, "-o", tmp_path / "out"], capsys, "r.yaml:10", "events are more than")


# YAML and JSON -------------------------------------------------------------------------------------------------------

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
TEXTS = {
    "bomb": BOMB,
    "itself": "positions: &a [*a]\n",
    "tag": "positions: !!python/object/apply:os.system ['touch owned']\n",
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "long number": f'{{"a": {"9" * 6000}}}',
    "no text": "\0",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    "words",
    [["run", "L.xml", "--electrodes", "?.yaml"], ["convert", "?.nmllite.yaml", "x.nml"], ["run", "?.yaml"],
     ["convert", "?.nmllite.json", "x.nml"], ["convert", "?_netpyne.json", "x.nml"], ["results", "show", "?.json"],
     ["convert", "?_hnn.json", "x.nml"], ["convert", "circuit_config.json", "x.nml"], ["info", "?.json"]],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_plain_data(kind: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    lems(tmp_path)
    given = [word.replace("?", "bad") for word in words]
    bad = next(word for word in given if word.startswith(("bad", "circuit")))
    Path(bad).write_text(TEXTS[kind])
    refused([*given], capsys, bad)
    assert {p.name for p in tmp_path.rglob("*")} == {"L.xml", bad}


def test_an_error_is_one_line_without_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = lems(tmp_path / "model", quantity="p[0]/v&#10;nmlbridge: all is well&#9;\u202etxt")
    refused(["run", model, "-o", tmp_path / "out"], capsys, r"v\nnmlbridge: all is well\t\u202etxt")
