"""Wrong models: one clear error with its place, exit code 1, nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nmlbridge import read, write
from nmlbridge.cli import main

from . import documents as d

SIMULATION = """
<Lems>
  <Target component="sim"/>
  <Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/><Include file="net.nml"/>
  <Simulation id="sim" length="1ms" step="0.01ms" target="net">
    <OutputFile id="o" fileName="{output}"><OutputColumn id="v" quantity="p[0]/v"/></OutputFile>
  </Simulation>
</Lems>
"""
GOOD = d.network('<population id="p" component="iaf" size="2"/>')
CUSTOM = """<ComponentType name="{name}" extends="baseCellMembPot"><Parameter name="{parameter}" dimension="none"/>
<Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
<TimeDerivative variable="v" value="0"/></Dynamics></ComponentType>"""


def simulation(folder: Path, network: str, output: str = "out.dat") -> Path:
    d.put(folder, "net.nml", network)
    return d.put(folder, "LEMS.xml", SIMULATION.format(output=output))


# what is wrong, in net.nml; the line; the component that is named; words of the message
CASES = {
    "missing include": ('<include href="gone.nml"/>' + d.CELLS, "", 1, "", ["gone.nml", "not there"]),
    "unknown type": (
        '\n<iafCel id="x" C="1nF"/>',
        '<population id="p" component="x" size="1"/>',
        2,
        "x",
        ["iafCel", "iafCell"],
    ),
    "wrong unit": (
        '\n<gapJunction id="g" conductance="10mV"/>',
        "",
        2,
        "g",
        ["conductance", "10mV", "voltage"],
    ),
    "dangling cell": (
        d.CELLS,
        '\n<population id="p" component="noCell" size="1"/>',
        None,
        "p",
        ["noCell"],
    ),
    "dangling reference": (
        d.CELLS,
        '\n<population id="p" component="iaf" size="1"/><explicitInput target="p[4]" input="pulse"/>',
        11,
        None,
        ["cell 4", "'p'"],
    ),
    "id used twice": (
        '\n<silentSynapse id="s"/>\n<gapJunction id="s" conductance="1nS"/>',
        "",
        3,
        "s",
        ["used twice"],
    ),
    "population that is not there": (
        d.CELLS,
        '\n<projection id="c" presynapticPopulation="q" postsynapticPopulation="q" synapse="syn"/>',
        11,
        "c",
        ["'q'", "names no population"],
    ),
    "instance used twice": (
        d.CELLS,
        '\n<population id="p" component="iaf"><instance id="0"/><instance id="0"/></population>',
        11,
        "p",
        ["used twice"],
    ),
    "absolute include": ('<include href="/etc/passwd"/>', "", 1, "", ["absolute"]),
    "url": ('<include href="https://example.org/x.nml"/>', "", 1, "", ["URL"]),
}


# a conversion carries documents over as they are: what components say is judged by validate and run
COMPONENTS = ("unknown type", "wrong unit", "dangling cell")
CALLS = [(v, n) for v in ("run", "validate", "convert") for n in CASES if v != "convert" or n not in COMPONENTS]


@pytest.mark.parametrize(("verb", "name"), CALLS)
def test_one_error_with_its_place(
    name: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top, inside, line, component, words = CASES[name]
    model = simulation(tmp_path / "model", d.neuroml(top, f'<network id="net">{inside}</network>'))
    before = sorted(tmp_path.rglob("*"))
    target = tmp_path / "out" / "x.nml"
    arguments = {
        "run": ["run", str(model), "-o", str(tmp_path / "out")],
        "validate": ["validate", str(model)],
        "convert": ["convert", str(model), str(target)],
    }[verb]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    text = out if verb == "validate" else err
    errors = [row for row in text.splitlines() if "error: " in row]
    assert errors and (verb == "validate" or len(errors) == 1 == len(text.splitlines()))
    assert "net.nml" in text and (line is None or f"net.nml:{line}" in text)
    assert all(word in text for word in words), text
    assert component is None or component in text
    assert "Traceback" not in text and "root:" not in text
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [p for p in before if p.is_file()]


BOMB = """<?xml version="1.0"?><!DOCTYPE neuroml [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<neuroml id="x"><notes>&c;</notes></neuroml>"""
EXTERNAL = """<?xml version="1.0"?><!DOCTYPE neuroml [<!ENTITY secret SYSTEM "secret.txt">]>
<neuroml id="x"><notes>&secret;</notes></neuroml>"""
DTD = '<?xml version="1.0"?><!DOCTYPE neuroml SYSTEM "secret.txt">\n<neuroml id="x">&e;</neuroml>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "entity"),
        (EXTERNAL, "entity"),
        (DTD, ""),
        (d.many()[:9000], "cut short"),
        (d.many()[:-20], "cut short"),
        ('<neuroml id="x"><silentSynapse id="a></neuroml>', ""),
        ("", "empty"),
        ("<neuroml " + "<a>" * 10, ""),
        ("<neuroml>" + "<a>" * 100_000, "deeper"),
        ("<neuroml>\0</neuroml>", ""),
        ('<?xml version="1.0" encoding="no-such"?><neuroml/>', ""),
    ],
)
@pytest.mark.parametrize("verb", ["info", "validate"])
def test_what_is_no_proper_xml(
    text: str, words: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    d.put(tmp_path, "secret.txt", "TOPSECRET")
    path = d.put(tmp_path, "x.nml", text)
    assert main([verb, str(path)]) == 1
    out, err = capsys.readouterr()
    assert words in out + err and "x.nml" in out + err
    assert "TOPSECRET" not in out + err and "Traceback" not in out + err


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_an_hdf5_file_cut_short(share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(read(d.put(tmp_path, "x.nml", d.many())), tmp_path / "x.nml.h5")
    data = (tmp_path / "x.nml.h5").read_bytes()
    path = d.put(tmp_path, "cut.nml.h5", data[: int(len(data) * share)])
    assert main(["info", str(path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("nmlbridge: error: ") and "cut.nml.h5" in err and len(err.splitlines()) == 1


def test_a_damaged_hdf5_file_is_refused_or_read(tmp_path: Path) -> None:
    """Bytes turned over anywhere: an error of ours or a network, never another exception."""
    import random

    from nmlbridge.errors import NmlBridgeError

    write(read(d.put(tmp_path, "x.nml", d.many())), tmp_path / "x.nml.h5")
    good = (tmp_path / "x.nml.h5").read_bytes()
    chance = random.Random(1)
    refused = 0
    for _ in range(60):
        data = bytearray(good)
        for _ in range(20):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(d.put(tmp_path, "damaged.nml.h5", bytes(data)))
        except NmlBridgeError:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("content", ["root:x:0:0:root:/root:/bin/sh", "<html>TOPSECRET</html>", "\x7fELF"])
def test_an_include_that_is_no_model_is_not_echoed(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    d.put(tmp_path, "other.txt", content)
    path = d.put(tmp_path, "x.nml", d.neuroml('\n<include href="other.txt"/>'))
    assert main(["info", str(path)]) == 1
    err = capsys.readouterr().err
    assert "x.nml:2" in err and "neither NeuroML nor LEMS" in err
    assert "TOPSECRET" not in err and "root" not in err.replace("pytest-of-root", "")


def test_a_relative_include_may_climb(tmp_path: Path) -> None:
    d.put(tmp_path, "syn.nml", d.neuroml('<silentSynapse id="s"/>'))
    assert len(read(d.put(tmp_path, "sub/x.nml", d.neuroml('<include href="../syn.nml"/>'))).components) == 1


@pytest.mark.parametrize("output", ["../escaped.dat", "/tmp/escaped.dat", "a/../../escaped.dat"])
def test_an_output_that_leaves_the_folder(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = simulation(tmp_path / "model", GOOD, output)
    assert main(["run", str(model), "-o", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert "LEMS.xml:6" in err and "escaped.dat" in err
    assert not list(tmp_path.rglob("escaped*")) and not os.path.exists("/tmp/escaped.dat")


@pytest.mark.neuron
@pytest.mark.parametrize(
    "name",
    [
        "x; ENDVERBATIM",
        "a\nVERBATIM system(&quot;touch escaped&quot;); ENDVERBATIM",
        "$(touch escaped)",
        "../../x",
        "v",
        "exp",
    ],
)
def test_an_id_cannot_break_out_of_nmodl(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an id says, the run is either refused as a wrong model or is the run of that model."""
    monkeypatch.chdir(tmp_path)
    text = d.network(f'<population id="p" component="{name}" size="1"/>').replace(
        "<network", f'<izhikevichCell id="{name}" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65.0" d="6"/><network'
    )
    model = simulation(tmp_path / "model", text)
    code = main(["run", str(model), "-o", str(tmp_path / "out")])
    assert code in (0, 1)
    assert not list(tmp_path.rglob("escaped*"))
    if code == 0:
        assert (tmp_path / "out" / "out.dat").stat().st_size > 1000


@pytest.mark.neuron
@pytest.mark.parametrize("name", ["VERBATIM", "x y", "x;system(0)", "rates", "Δ"])
def test_names_of_a_type_cannot_break_out_of_nmodl(name: str, tmp_path: Path) -> None:
    text = d.neuroml(
        CUSTOM.format(name="mine", parameter=name),
        f'<mine id="cell" {name}="1"/>' if name.isidentifier() else '<mine id="cell"/>',
        '<network id="net"><population id="p" component="cell" size="1"/></network>',
    )
    code = main(["run", str(simulation(tmp_path / "model", text)), "-o", str(tmp_path / "out")])
    assert code == (0 if name.isidentifier() else 1)
