"""Trees of many cells solved side by side: the numbers of NEURON's own solver, to the last bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.neuron.stepping import stepper

pytestmark = pytest.mark.neuron

LEAK = """
NEURON { SUFFIX leaking THREADSAFE NONSPECIFIC_CURRENT i RANGE g }
PARAMETER { g = 0.0001 }
ASSIGNED { v i }
INITIAL { }
BREAKPOINT { CONDUCTANCE g
 i = g * (v + 65) }
"""

JOINING = """
NEURON { POINT_PROCESS joining THREADSAFE NONSPECIFIC_CURRENT i RANGE other, i }
ASSIGNED { v i other }
INITIAL { }
BREAKPOINT { i = 1e-4 * (v - other) }
"""

# Cells are lists of parents of their sections; lengths differ, so each cell has numbers of its own.
SCRIPT = """
import ctypes, hashlib, json, os, sys
os.environ["NEURON_MODULE_OPTIONS"] = "-nogui -nobanner"
from neuron import h
from nmlbridge.simulator.neuron.coreneuron import hand_over
from pathlib import Path
library, how, shapes, extra = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
h.nrn_load_dll(library)
ours = ctypes.CDLL(library)
active = ours.nmlb_solve(how in ("solved", "stepped"))
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
if extra == "rich":  # currents of ions, of the capacitance and of all, events, gap junctions, what is played
    h.CVode().use_fast_imem(1)
    for number, sections in enumerate(kept[::3]):
        sections[0].insert("hh")
        sections[0].push()
        pc.source_var(sections[0](0.5)._ref_v, number, sec=sections[0])
        synapse, junction = h.ExpSyn(sections[-1](0.5)), h.joining(sections[0](0.5))
        wire = pc.gid_connect((number + 1) % len(shapes), synapse)
        wire.weight[0], wire.delay = 0.01, 0.3
        pc.target_var(junction, junction._ref_other, (number + 2) % len(shapes))
        h.pop_section()
        segment = sections[0](0.5)
        traces += [h.Vector().record(ref) for ref in (segment._ref_ina, segment._ref_i_cap, segment._ref_i_membrane_,
                                                      segment.hh._ref_m, synapse._ref_g, junction._ref_i)]
        kept += [(synapse, junction, wire)]
    levels, moments = h.Vector([0, 0.1, -0.05]), h.Vector([0, 1, 4])
    levels.play(kept[1]._ref_amp, moments, 1)
    kept += [levels, moments]
    pc.setup_transfer()
if how == "core":
    hand_over(Path(library))
h.secondorder, h.dt, h.celsius = 2, 0.025, 6.3
pc.set_maxstep(10)

def shrink():
    kept[0][0].diam, kept[0][-1].Ra = 0.4, 150

def solve(until):
    if how == "stepped":
        steps = round((until - h.t) / h.dt)
        assert ours.nmlb_advance(steps - 1) == steps - 1
    pc.psolve(until + h.dt / 2)

h.finitialize(-65)
if extra == "an event shrinks":
    h.CVode().event(1.51, shrink)
solve(2.0)
if extra == "shrinks":
    shrink()
solve(5.0)
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
    made = compile_mods({"leaking.mod": LEAK, "joining.mod": JOINING}, coreneuron=True)
    assert made is not None
    return made


def _run(library: Path, how: str, shapes: list[list[int]], extra: str) -> list[object]:
    words = [str(library), how, json.dumps(shapes), extra]
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=120)
    assert "@@" in ran.stdout, ran.stderr[-2000:]
    return list(json.loads(ran.stdout.partition("@@")[2]))


@pytest.mark.parametrize("extra", ["", "shrinks", "an event shrinks", "rich"])
@pytest.mark.parametrize("shapes", [ALIKE, UNLIKE], ids=["alike", "unlike"])
def test_the_numbers_are_those_of_neuron(library: Path, shapes: list[list[int]], extra: str) -> None:
    own = _run(library, "neuron", shapes, extra)
    assert own[:2] == [0, 0]
    assert own[2] == 201
    assert float(str(own[3])) > -60  # the clamps did something
    for how in ("solved", "stepped"):
        ours = _run(library, how, shapes, extra)
        assert ours[:2] == [1, 200 if shapes is ALIKE else 0], how  # steps that were solved side by side
        assert ours[2:] == own[2:], how
    if not extra:  # CoreNEURON has the geometry of the start
        assert _run(library, "core", shapes, extra)[2:] == own[2:]


def test_a_neuron_whose_steps_are_not_known_takes_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    neuron = pytest.importorskip("neuron")
    monkeypatch.setattr(neuron, "__version__", "9.1.0")
    assert stepper(tmp_path / "a library that is not even opened.so") is None
