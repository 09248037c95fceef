"""From a damaged model to the program of a simulation: a Program or one of our errors, in bounded time and memory."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmlbridge
from nmlbridge.errors import NmlBridgeError
from nmlbridge.graph.morphology import Morphology
from nmlbridge.simulator.program import Program

from .test_readers import EXAMPLES, _many

MODELS = ("01_two_populations/LEMS_TwoPopulations.xml", "02_custom_types/LEMS_CustomTypes.xml")
SAFE = re.compile(r"[A-Za-z0-9_ .,:;=+\-*/^()<>!&|{}'\"\n\t#%@?~\[\]]*")


class Lowered(Exception):
    """Thrown in place of the run, when the Program is there."""


def lower(model: Path, **options: Any) -> Program | None:
    """The Program of a model, None if it is refused with an error of ours."""
    found: list[Program] = []

    def runner(program: Program, *rest: Any, **more: Any) -> Any:
        found.append(program)
        raise Lowered

    try:
        nmlbridge.simulate(model, runner=runner, **options)
    except Lowered:
        return found[0]
    except NmlBridgeError as error:
        assert len(str(error)) < 4000
    return None


_NUMBERS = [
    "nan", "inf", "-1", "0", "1e308", "1e-320", "-0", "1 mV", "1e999mV", "0ms", "-5ms", "1e12ms", "5 parsecs", "1.5",
    "99999999999999999999",
]  # fmt: skip
_WORDS = [
    "", " ", "x", "v", "t", "dt", "soma", "pyr", "../exc[0]", "exc[999]", "é", "x" * 300, "../../etc/passwd", "/tmp/x",
    "http://x/y.nml", "a\nVERBATIM\nsystem(1);\nENDVERBATIM\n", "}{", "*/", "'; DROP", "$(touch x)", "`touch x`", "%s",
]  # fmt: skip
_VALUES = st.sampled_from(_NUMBERS + _WORDS)


@given(st.data())
@_many(60)
def test_damaged_attributes_are_lowered_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    source = EXAMPLES / data.draw(st.sampled_from(MODELS))
    folder = tmp_path / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source.parent, folder, ignore=shutil.ignore_patterns("output", "*.dat"))
    files = sorted(folder.glob("*.nml")) + sorted(folder.glob("*.xml"))
    for _ in range(data.draw(st.integers(1, 3))):
        file = data.draw(st.sampled_from(files))
        text = file.read_text()
        places = list(re.finditer(r'="([^"]*)"', text))
        place = data.draw(st.sampled_from(places))
        value = data.draw(_VALUES)
        quoted = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        file.write_text(text[: place.start(1)] + quoted + text[place.end(1) :])
    program = lower(folder / source.name)
    if program is not None:
        for mod in program.mods.values():
            assert not re.search(r"\bVERBATIM\b", mod)
            assert SAFE.fullmatch(mod), "a character that no mechanism needs"
    assert {p.name for p in tmp_path.iterdir()} == {"model"}


IAF = (
    '<iafCell id="{}" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF" leakConductance="0.01uS"/>'
)
HEAD = '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="d">'


def _lems(folder: Path, body: str, quantity: str = "p[0]/v", simulation: str = 'length="1ms" step="0.1ms"') -> Path:
    file = folder / "LEMS.xml"
    file.write_text(
        '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        f'<Include file="Simulation.xml"/>{body}<Simulation id="sim" target="n" {simulation}>'
        f'<OutputFile id="o" fileName="o.dat"><OutputColumn id="c" quantity="{quantity}"/></OutputFile>'
        "</Simulation></Lems>"
    )
    return file


def _refused(model: Path, words: str) -> None:
    with pytest.raises(NmlBridgeError, match=words):
        nmlbridge.simulate(model, runner=lambda *a, **k: pytest.fail("it was lowered"))


def test_variables_that_double_each_other_take_no_memory(tmp_path: Path) -> None:
    """Sixty lines, each twice the one before, make a formula of 2^60 parts."""
    chain = "".join(
        f'<DerivedVariable name="d{i + 1}" dimension="none" value="d{i} * d{i} + d{i}"/>' for i in range(60)
    )
    kind = f"""<ComponentType name="bomb" extends="baseCellMembPotDL"><Dynamics>
        <StateVariable name="V" dimension="none" exposure="V"/><DerivedVariable name="d0" dimension="none" value="V"/>
        {chain}<TimeDerivative variable="V" value="d60 * SEC_INV"/></Dynamics>
        <Constant name="SEC_INV" dimension="per_time" value="1 per_s"/></ComponentType>"""
    body = kind + '<bomb id="b"/><network id="n"><population id="p" component="b" size="1"/></network>'
    program = lower(_lems(tmp_path, body, "p[0]/V"))
    assert program is None or sum(map(len, program.mods.values())) < 1_000_000


def test_more_steps_than_a_life_are_refused(tmp_path: Path) -> None:
    body = IAF.format("c") + '<network id="n"><population id="p" component="c" size="1"/></network>'
    _refused(_lems(tmp_path, body, simulation='length="1e12s" step="1e-9ms"'), "steps")


def test_more_cells_than_memory_are_refused(tmp_path: Path) -> None:
    body = IAF.format("c") + '<network id="n"><population id="p" component="c" size="400000000000"/></network>'
    _refused(_lems(tmp_path, body), "more than this machine can hold")


def test_files_that_include_each_other_for_ever_end(tmp_path: Path) -> None:
    for i in range(3000):
        (tmp_path / f"f{i}.nml").write_text(f'{HEAD}<include href="f{i + 1}.nml"/></neuroml>')
    (tmp_path / "f3000.nml").write_text(f"{HEAD}</neuroml>")
    with pytest.raises(NmlBridgeError, match="include each other"):
        nmlbridge.read(tmp_path / "f0.nml")
    (tmp_path / "a.nml").write_text(f'{HEAD}<include href="b.nml"/></neuroml>')
    (tmp_path / "b.nml").write_text(f'{HEAD}<include href="a.nml"/></neuroml>')
    assert nmlbridge.read(tmp_path / "a.nml").size == 0  # a circle is read once


def _cell(groups: str) -> str:
    return f"""{HEAD}<cell id="c"><morphology id="m"><segment id="0"><proximal x="0" y="0" z="0" diameter="1"/>
        <distal x="9" y="0" z="0" diameter="1"/></segment>{groups}</morphology></cell></neuroml>"""


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("".join(f'<segmentGroup id="g{i}"><include segmentGroup="g{i + 1}"/></segmentGroup>' for i in range(5000))
         + '<segmentGroup id="g5000"><member segment="0"/></segmentGroup>', "include each other"),
        ('<segmentGroup id="g"><property tag="numberInternalDivisions" value="1e15"/><member segment="0"/>'
         "</segmentGroup>", "numberInternalDivisions"),
    ],
)  # fmt: skip
def test_morphologies_that_ask_for_too_much_are_refused(tmp_path: Path, groups: str, words: str) -> None:
    file = tmp_path / "c.nml"
    file.write_text(_cell(groups))
    (component,) = [e for e in nmlbridge.read(file).components if e.tag == "cell"]
    with pytest.raises(NmlBridgeError, match=words):
        Morphology.from_element(component.findall("morphology")[0])


@pytest.mark.parametrize(
    "parts",
    [
        "".join(f'<ComponentType name="t{i}" extends="t{i + 1}"/>' for i in range(3000))
        + '<ComponentType name="t3000"/>',
        "".join(f'<ComponentType name="t{i}" extends="t{(i + 1) % 3}"/>' for i in range(3)),
        "".join(f'<Component id="c{i}" extends="c{i + 1}"/>' for i in range(3000))
        + IAF.format("c3000"),
        '<Component id="a" extends="b"/><Component id="b" extends="a"/>',
    ],
    ids=["long types", "cyclic types", "long prototypes", "cyclic prototypes"],
)  # fmt: skip
def test_chains_without_end_end(tmp_path: Path, parts: str) -> None:
    body = parts + '<network id="n"><population id="p" component="c0" size="1"/></network>'
    assert lower(_lems(tmp_path, body)) is None
