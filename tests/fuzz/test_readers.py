"""Whatever is read, the answer is a model or one of our errors: no crash, no hang, no evaluation.

``NMLBRIDGE_FUZZ`` multiplies the number of examples (100 takes minutes).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nmlbridge
from nmlbridge.errors import NmlBridgeError
from nmlbridge.lems.evaluate import evaluate
from nmlbridge.lems.expression import names, parse, to_text

_MORE = float(os.environ.get("NMLBRIDGE_FUZZ", "1"))
EXAMPLES = Path(__file__).parents[2] / "examples"


def _many(count: int) -> settings:
    return settings(
        max_examples=int(count * _MORE), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


_TOKENS = st.sampled_from(
    "x y v t 1 2.5 1e3 1e-400 1e999 0 + - * / ^ ( ) .gt. .lt. .and. .or. .eq. .neq. exp( ln( random( H( sqrt( "
    ", ; : [ ] "
    "__import__ lambda import os.system ' \" \\ \n \0 é ² .. . 1.e 0x10 1_000 nan inf".split(" ")
)
_EXPRESSIONS = st.lists(_TOKENS, max_size=25).map(lambda tokens: " ".join(tokens)) | st.text(max_size=60)


@given(_EXPRESSIONS)
@_many(400)
def test_an_expression_is_a_tree_or_an_error(text: str) -> None:
    try:
        tree = parse(text)
    except NmlBridgeError:
        return
    again = parse(to_text(tree))
    env = dict.fromkeys(names(tree), 0.7)
    generator = np.random.Generator(np.random.Philox(1))
    one = evaluate(tree, env, generator)
    two = evaluate(again, env, np.random.Generator(np.random.Philox(1)))
    assert np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "-" * 100_000 + "x", "x" + "^x" * 50_000, "1" * 1_000_000, "x" * 10**6]
)
def test_long_and_deep_expressions_end(text: str) -> None:
    try:
        tree = parse(text)
    except NmlBridgeError:
        return
    value = evaluate(tree, dict.fromkeys(names(tree), 1.0))
    assert math.isinf(value) or np.isfinite(value)


def _xml_files() -> list[Path]:
    return sorted(EXAMPLES.rglob("*.nml")) + sorted(EXAMPLES.rglob("*.xml"))


_PIECES = st.binary(max_size=12) | st.sampled_from(
    b"< > \" &amp; &x; <!-- ]]> \xff\xfe \0 id='../../x' nan -1 1e999".split(b" ")
)


def _read(path: Path, content: bytes) -> None:
    """Read a file of this content or refuse it, and leave it and its folder as they were."""
    path.write_bytes(content)
    beside = sorted(path.parent.iterdir())
    try:
        nmlbridge.read(path)
        nmlbridge.validate(path)
    except NmlBridgeError as error:
        assert len(str(error)) < 4000
    assert path.read_bytes() == content
    assert sorted(path.parent.iterdir()) == beside


@given(st.data())
@_many(150)
def test_a_damaged_document_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(_xml_files()))
    text = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 40))
        text[at : at + length] = data.draw(_PIECES)
    _read(tmp_path / source.name, bytes(text))


@pytest.fixture(scope="module")
def good_hdf5(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("good") / "net.nml.h5"
    nmlbridge.convert(EXAMPLES / "01_two_populations" / "TwoPopulations.net.nml", file)
    return file.read_bytes()


@given(st.data())
@_many(150)
def test_a_damaged_hdf5_file_is_read_or_refused(good_hdf5: bytes, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(good_hdf5)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(piece)] = piece
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    _read(tmp_path / "net.nml.h5", bytes(content))


def test_a_huge_count_in_a_few_bytes_takes_no_memory(tmp_path: Path) -> None:
    """A data set may claim any shape without a byte behind it."""
    file = tmp_path / "net.nml.h5"
    nmlbridge.convert(EXAMPLES / "01_two_populations" / "TwoPopulations.net.nml", file)
    with h5py.File(file, "r+") as h5:
        group = next(g for name, g in h5["neuroml/network"].items() if name.startswith("projection"))
        name = next(iter(group))
        attributes = dict(group[name].attrs)
        columns = group[name].shape[1]
        del group[name]
        empty = group.create_dataset(name, (10**12, columns), "f4", chunks=(1024, columns))
        empty.attrs.update(attributes)
    with pytest.raises(NmlBridgeError):
        nmlbridge.read(file)


def test_a_huge_population_in_a_few_bytes_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "net.nml"
    file.write_text(
        '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="d">'
        '<network id="n"><population id="p" component="c" size="1000000000000"/></network></neuroml>'
    )
    with pytest.raises(NmlBridgeError, match="size"):
        nmlbridge.read(file)
