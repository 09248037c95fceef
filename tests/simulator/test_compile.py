"""The cache of compiled mechanisms: what is built, what is reused, what a failure says."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nmlbridge.errors import SimulatorError
from nmlbridge.simulator.neuron import compile as compiling
from nmlbridge.simulator.neuron.compile import compile_mods, relevant
from nmlbridge.simulator.neuron.unity import LAST_HEADER, join

from . import programs

pytestmark = pytest.mark.neuron

DENSITY = """
NEURON {{ SUFFIX {name}  NONSPECIFIC_CURRENT i  RANGE g  THREADSAFE }}
UNITS {{ (mA) = (milliamp) (mV) = (millivolt) (S) = (siemens) }}
PARAMETER {{ g = {g} (S/cm2) }}
STATE {{ q }}
ASSIGNED {{ v (mV) i (mA/cm2) }}
BREAKPOINT {{ SOLVE states METHOD cnexp  i = g*q*v }}
INITIAL {{ q = rate(v) }}
DERIVATIVE states {{ q' = rate(v) - q }}
FUNCTION rate(v (mV)) {{ rate = 1/(1 + exp(-v/10)) }}
"""
KINETIC = """
NEURON { SUFFIX kin  USEION na READ ena WRITE ina  RANGE gmax  GLOBAL fast }
UNITS { (mA) = (milliamp) (mV) = (millivolt) (S) = (siemens) }
PARAMETER { gmax = 0.1 (S/cm2) fast = 1 }
STATE { c1 c2 o }
ASSIGNED { v (mV) ena (mV) ina (mA/cm2) a (/ms) b (/ms) }
BREAKPOINT { SOLVE states METHOD sparse  ina = gmax*o*(v - ena) }
INITIAL { SOLVE states STEADYSTATE sparse }
KINETIC states { rates(v)  ~ c1 <-> c2 (a, b)  ~ c2 <-> o (2*a, b)  CONSERVE c1 + c2 + o = 1 }
PROCEDURE rates(v (mV)) { a = exp(v/40)*fast  b = exp(-v/30) }
"""
NONLINEAR = """
NEURON { SUFFIX nonlin  NONSPECIFIC_CURRENT i  RANGE k }
UNITS { (mA) = (milliamp) (mV) = (millivolt) }
PARAMETER { k = 1 }
STATE { x z }
ASSIGNED { i (mA/cm2) }
BREAKPOINT { SOLVE states METHOD derivimplicit  i = 0 }
INITIAL { x = 1  z = 0 }
DERIVATIVE states { x' = -x*x*k + z  z' = x - z*z }
"""
WATCHING = """
NEURON { POINT_PROCESS Watching  RANGE thresh, reset, gl, el  NONSPECIFIC_CURRENT i }
UNITS { (mV) = (millivolt) (nA) = (nanoamp) (uS) = (microsiemens) }
PARAMETER { thresh = -50 (mV) reset = -70 (mV) gl = 0.01 (uS) el = -40 (mV) }
ASSIGNED { v (mV) i (nA) }
BREAKPOINT { i = gl*(v - el) }
INITIAL { net_send(0, 1) }
NET_RECEIVE (w, last (ms)) {
  INITIAL { last = t }
  if (flag == 1) { WATCH (v > thresh) 2 } else if (flag == 2) { net_event(t)  v = reset }
}
"""
TABLED = """
NEURON { SUFFIX tabled  USEION k READ ek WRITE ik  RANGE gbar  GLOBAL inf, tau }
UNITS { (mA) = (milliamp) (mV) = (millivolt) (S) = (siemens) }
PARAMETER { gbar = 0.03 (S/cm2) }
STATE { n }
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) celsius (degC) inf tau (ms) }
BREAKPOINT { SOLVE states METHOD cnexp  ik = gbar*n^4*(v - ek) }
INITIAL { rates(v)  n = inf }
DERIVATIVE states { rates(v)  n' = (inf - n)/tau }
PROCEDURE rates(v (mV)) {
  TABLE inf, tau DEPEND celsius FROM -100 TO 100 WITH 200
  inf = 1/(1 + exp(-(v + 30)/10))  tau = 1 + 5/(1 + exp((v + 50)/20))
}
"""
VARIOUS = {
    "kin.mod": KINETIC,
    "nonlin.mod": NONLINEAR,
    "watching.mod": WATCHING,
    "tabled.mod": TABLED,
    "poisson.mod": programs.POISSON,
    "gap.mod": programs.GAP,
    "pool.mod": programs.POOL,
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("NMLBRIDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "neuron"


def _density(name: str, g: float = 0.001) -> str:
    return DENSITY.format(name=name, g=g)


def _objects(cache: Path) -> set[str]:
    """Objects of mechanisms; there is that of the solver besides."""
    return {path.name for path in (cache / "objects").glob("*.o") if not path.name.startswith("solver-")}


def _registered(library: Path) -> str:
    """What NEURON says it has after loading the library, in a process of its own."""
    script = f"""
from neuron import h
h.nrn_load_dll({str(library)!r})
for kind in (0, 1):
    types, name = h.MechanismType(kind), h.ref("")
    for k in range(int(types.count())):
        types.select(k); types.selected(name); print(name[0])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout


def test_no_mechanisms_no_library(cache: Path) -> None:
    assert compile_mods({}) is None
    assert not cache.exists()


def test_mechanisms_of_all_kinds_compile_as_one_source(cache: Path) -> None:
    library = compile_mods(VARIOUS, jobs=1)
    assert library is not None
    assert len(_objects(cache)) == 1, "the mechanisms were compiled one by one: they could not be joined"
    known = _registered(library).split()
    assert {"kin", "nonlin", "Watching", "tabled", "TestPoisson", "TestGap", "testpool"} <= set(known)
    assert sorted(path.name for path in cache.iterdir()) == sorted(["objects", library.parent.name])


@pytest.mark.slow
def test_joined_and_separate_code_compute_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import sys
from neuron import h
h.nrn_load_dll(sys.argv[1])
s = h.Section(name="s")
for name in ("kin", "nonlin", "tabled"):
    s.insert(name)
p = h.Watching(s(0.5))
h.finitialize(-60)
for _ in range(400):
    h.fadvance()
seg = s(0.5)
print(repr([seg.v, seg.kin.o, seg.nonlin.x, seg.nonlin.z, seg.tabled.n]))
"""

    def values(library: Path | None) -> str:
        words = [sys.executable, "-c", script, str(library)]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    joined = values(compile_mods(VARIOUS, jobs=1))
    monkeypatch.setenv("NMLBRIDGE_CACHE", str(cache / "second"))
    monkeypatch.setattr(compiling, "join", lambda sources: None)
    separate = values(compile_mods(VARIOUS, jobs=1))
    assert len(_objects(cache / "second" / "neuron")) == len(VARIOUS)
    assert joined == separate and "nan" not in joined


def test_the_library_is_found_again_and_depends_on_every_text(cache: Path) -> None:
    first = compile_mods({"a.mod": _density("a")})
    assert first is not None
    made = first.stat().st_mtime_ns
    assert compile_mods({"a.mod": _density("a")}) == first
    assert first.stat().st_mtime_ns == made
    assert compile_mods({"a.mod": _density("a", 0.002)}) != first


def test_only_what_changed_is_compiled(cache: Path) -> None:
    mods = {f"m{k}.mod": _density(f"m{k}") for k in range(4)}
    compile_mods(mods, jobs=2)
    before = _objects(cache)
    steps: list[tuple[float, float]] = []
    mods["fresh.mod"] = _density("fresh")
    library = compile_mods(mods, jobs=2, progress=lambda *step: steps.append(step))
    assert steps == [(4, 5), (5, 5)]
    assert len(_objects(cache) - before) == 1
    assert library is not None and {"m0", "m1", "m2", "m3", "fresh"} <= set(_registered(library).split())


@pytest.mark.slow
def test_another_mechanism_of_the_same_name_does_not_slip_in(cache: Path) -> None:
    compile_mods({"a.mod": _density("same", 0.5), "b.mod": _density("b")}, jobs=1)
    compile_mods({"c.mod": _density("same", 0.25), "b.mod": _density("b")}, jobs=1)
    library = compile_mods({"a.mod": _density("same", 0.125), "b.mod": _density("b")}, jobs=1)
    script = (
        f"from neuron import h; h.nrn_load_dll({str(library)!r}); s = h.Section(name='s'); s.insert('same'); "
        "print(s(0.5).same.g)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.125"


def test_a_mechanism_that_nmodl_refuses_is_named(cache: Path) -> None:
    mods = {"good.mod": _density("good"), "bad.mod": _density("bad").replace("STATE", "STAET")}
    with pytest.raises(SimulatorError, match=r"bad\.mod") as caught:
        compile_mods(mods)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in cache.iterdir()) == ["objects"]


def test_a_mechanism_that_the_compiler_refuses_is_named(cache: Path) -> None:
    broken = _density("broken").replace("PARAMETER", "VERBATIM\nnot c;\nENDVERBATIM\nPARAMETER")
    mods = {"good.mod": _density("good"), "broken.mod": broken, "fine.mod": _density("fine")}
    with pytest.raises(SimulatorError, match=r"broken\.mod does not compile: .*error") as caught:
        compile_mods(mods, jobs=1)
    assert len(str(caught.value)) < 2000
    assert sorted(path.name for path in cache.iterdir()) == ["objects"]


def test_no_compiler_is_said_with_the_cure(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SimulatorError, match="no C\\+\\+ compiler; install one"):
        compile_mods({"a.mod": _density("a")})
    monkeypatch.setenv("CXX", "nowhere-g++")
    with pytest.raises(SimulatorError, match="'nowhere-g\\+\\+' that \\$CXX names"):
        compile_mods({"a.mod": _density("a")})


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NMLBRIDGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(SimulatorError, match=r"\$NMLBRIDGE_CACHE"):
        compile_mods({"a.mod": _density("a")})


def test_two_at_once_build_once(cache: Path) -> None:
    counted: list[int] = []
    found: list[Path | None] = []

    def build() -> None:
        found.append(compile_mods({"a.mod": _density("a")}, progress=lambda done, total: counted.append(1)))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] and found[0] is not None and found[0].is_file()
    assert len(counted) == 2  # start and end of one build


def test_the_lock_of_a_dead_builder_does_not_block(cache: Path) -> None:
    library = compile_mods({"a.mod": _density("a")})
    assert library is not None
    library.unlink()
    library.parent.rmdir()
    lock = cache / f"{library.parent.name}.lock"
    script = f"import fcntl, os; s = open({str(lock)!r}, 'a'); fcntl.flock(s, fcntl.LOCK_EX); os._exit(9)"
    subprocess.run([sys.executable, "-c", script], check=False)
    assert lock.exists()
    assert compile_mods({"a.mod": _density("a")}) == library


def test_sources_that_look_different_are_not_joined() -> None:
    assert join(["int a;", "int b;"]) is None
    assert join([f'{LAST_HEADER}#include "mine.h"\n', f"{LAST_HEADER}int b;"]) is None


def test_what_is_said_of_a_compilation_is_what_matters() -> None:
    output = "Translating a.mod into a.cpp\nIn file included from x\na.cpp:3:1: \x1b[31merror\x1b[0m: no\nnote: here\n"
    assert relevant(output) == "a.cpp:3:1: error: no"
    assert relevant("something odd\n") == "something odd"
    assert os.linesep not in relevant("a\nb\n")


@pytest.mark.parametrize("name", ["../x.mod", "a-b.mod", "x){}.mod", "x.txt"])
def test_names_that_may_not_stand_in_code_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a mechanism file"):
        compile_mods({name: "NEURON { SUFFIX x }"})
