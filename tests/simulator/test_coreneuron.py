"""CoreNEURON: the same numbers as NEURON's, and a clear word beforehand about what it cannot run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import UnsupportedError
from nmlbridge.simulator.neuron.coreneuron import check
from nmlbridge.simulator.program import Program

CELLS = "NeuroML2/LEMSexamples/LEMS_NML2_Ex25_MultiComp.xml"
RESETS = "NeuroML2/LEMSexamples/LEMS_NML2_Ex0_IaF.xml"

pytestmark = pytest.mark.neuron

RUN = {"dt": 0.025, "duration": 10.0}


def _program(run: dict[str, Any] | None = None, text: str = "", **spec: Any) -> Program:
    return Program({"run": RUN | (run or {}), **spec}, {}, {"made.mod": text} if text else {})


@pytest.mark.slow
def test_cells_and_synapses_are_as_in_neuron(corpus: Path) -> None:
    model = corpus / CELLS
    one = nmlbridge.simulate(model, duration=40)
    other = nmlbridge.simulate(model, duration=40, backend="coreneuron")
    assert len(one.spikes.time) >= 5
    assert np.array_equal(one.spikes.gid, other.spikes.gid)
    assert np.abs(one.spikes.time - other.spikes.time).max() < 1e-9
    for quantity in one.traces.quantities:
        assert other[quantity] == pytest.approx(one[quantity], rel=1e-6, abs=1e-9), quantity
    assert other.provenance["backend"] == "coreneuron"


def test_an_abstract_cell_is_refused_before_anything_is_compiled(corpus: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"iaf.* is an abstract cell.*leave out --backend coreneuron"):
        nmlbridge.simulate(corpus / RESETS, backend="coreneuron")


@pytest.mark.parametrize(
    ("program", "word"),
    [
        (_program({"cvode": {"atol": 1e-3, "rtol": 0.0}}), "variable steps"),
        (_program({"pointers": True}), "pointers"),
        (_program({"dt": 50.0}), "50 ms"),
        (_program(text="NEURON { SUFFIX a }\nVERBATIM\nint x;\nENDVERBATIM\n"), r"made\.mod.*VERBATIM"),
        (_program(text="NEURON { POINT_PROCESS a POINTER p }\n"), "POINTER"),
        (_program(points=[{"mechanism": "VClamp"}]), "'VClamp'"),
    ],
)
def test_what_it_lacks_is_said(program: Program, word: str) -> None:
    with pytest.raises(UnsupportedError, match=word):
        check(program)


def test_all_that_is_lacking_is_said_at_once_and_comments_do_not_count() -> None:
    with pytest.raises(UnsupportedError, match=r"variable steps.*pointers"):
        check(_program({"cvode": {}, "pointers": True} | {"cvode": {"atol": 1e-3}}))
    check(_program(text=": no VERBATIM here\nNEURON { SUFFIX a }\n", templates=[{"inserts": [{"mechanism": "a"}]}]))
    check(replace(_program(), spec={"run": RUN, "points": [{"mechanism": "IClamp"}]}))
