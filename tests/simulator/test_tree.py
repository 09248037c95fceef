"""Trees of many cells solved side by side: the numbers of NEURON's own solver, to the last bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmlbridge.simulator.neuron.compile import compile_mods

pytestmark = pytest.mark.neuron

LEAK = """
NEURON { SUFFIX leaking THREADSAFE NONSPECIFIC_CURRENT i RANGE g }
PARAMETER { g = 0.0001 }
ASSIGNED { v i }
INITIAL { }
BREAKPOINT { CONDUCTANCE g
 i = g * (v + 65) }
"""

# Cells are lists of parents of their sections; lengths differ, so each cell has numbers of its own.
SCRIPT = """
import ctypes, hashlib, json, os, sys
os.environ["NEURON_MODULE_OPTIONS"] = "-nogui -nobanner"
from neuron import h
from nmlbridge.simulator.neuron.coreneuron import hand_over
from pathlib import Path
library, how, shapes, shrinks = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4] == "shrinks"
h.nrn_load_dll(library)
ours = ctypes.CDLL(library)
active = ours.nmlb_solve(how == "ours")
pc, kept, traces = h.ParallelContext(), [], []
for number, parents in enumerate(shapes):
    sections = []
    for index, parent in enumerate(parents):
        section = h.Section(name=f"s{number}_{index}")
        section.L, section.diam, section.nseg = 30 + 7 * index + number, 1 + 0.1 * number, 1 + index % 3
        section.insert("leaking")
        if parent >= 0:
            section.connect(sections[parent](1 if index % 2 else 0.5))
        sections.append(section)
    clamp = h.IClamp(sections[0](0.5))
    clamp.delay, clamp.dur, clamp.amp = 0.2, 3, 0.1 + 0.01 * number
    netcon = h.NetCon(sections[0](0.5)._ref_v, None, sec=sections[0])
    pc.set_gid2node(number, 0)
    pc.cell(number, netcon)
    traces += [h.Vector().record(section(x)._ref_v) for section in sections for x in (0.5, 1.0)]
    kept += [sections, clamp, netcon]
if how == "core":
    hand_over(Path(library))
h.secondorder, h.dt, h.celsius = 2, 0.025, 6.3
pc.set_maxstep(10)
h.finitialize(-65)
pc.psolve(2.0 + h.dt / 2)
if shrinks:
    kept[0][0].diam, kept[0][-1].Ra = 0.4, 150
pc.psolve(5.0 + h.dt / 2)
values = b"".join(trace.as_numpy().tobytes() for trace in traces)
used = ctypes.c_long.in_dll(ours, "nmlb_solved").value
peak = max(trace.max() for trace in traces)
print("@@", json.dumps([active, used, len(traces[0]), peak, hashlib.sha256(values).hexdigest()]))
"""
TREE = [-1, 0, 0, 1, 1, 2, 5, 5, 5]
ALIKE = [*[TREE] * 9, [-1], *[[-1, 0, 1, 1]] * 6, *[TREE] * 3]
UNLIKE = [[-1, 0, 1, 2, 3, 4, 5], [-1, 0, 0, 0, 1], [-1, 0, 1, 1, 2, 2]]


@pytest.fixture(scope="module")
def library() -> Path:
    made = compile_mods({"leaking.mod": LEAK}, coreneuron=True)
    assert made is not None
    return made


def _run(library: Path, how: str, shapes: list[list[int]], shrinks: bool) -> list[object]:
    words = [str(library), how, json.dumps(shapes), "shrinks" if shrinks else ""]
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=120)
    assert "@@" in ran.stdout, ran.stderr[-2000:]
    return list(json.loads(ran.stdout.partition("@@")[2]))


@pytest.mark.parametrize("shrinks", [False, True], ids=["", "a diameter changes"])
@pytest.mark.parametrize("shapes", [ALIKE, UNLIKE], ids=["alike", "unlike"])
def test_the_numbers_are_those_of_neuron(library: Path, shapes: list[list[int]], shrinks: bool) -> None:
    own = _run(library, "neuron", shapes, shrinks)
    ours = _run(library, "ours", shapes, shrinks)
    assert own[:2] == [0, 0]
    assert ours[:2] == [1, 200 if shapes is ALIKE else 0]  # steps that were solved side by side
    assert own[2] == 201
    assert float(str(own[3])) > -60  # the clamps did something
    assert ours[2:] == own[2:]
    if not shrinks:  # CoreNEURON has the geometry of the start
        assert _run(library, "core", shapes, shrinks)[2:] == own[2:]
