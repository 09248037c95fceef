"""The exponential of vectorised mechanisms, and that their loops are what the compiler turns into vectors."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nmlbridge.simulator.neuron.compile import Build, Running
from nmlbridge.simulator.neuron.coreneuron import _translated
from nmlbridge.simulator.neuron.toolchain import Toolchain, find_toolchain
from nmlbridge.simulator.neuron.vectorise import EXP, vectorised

pytestmark = pytest.mark.neuron

CHANNEL = """
NEURON { SUFFIX gated THREADSAFE NONSPECIFIC_CURRENT i }
ASSIGNED { v i }
STATE { n }
INITIAL { n = 0 }
BREAKPOINT { LOCAL g
 SOLVE states METHOD cnexp
 g = 0.01 * n CONDUCTANCE g
 i = g * (v + 70) }
DERIVATIVE states { LOCAL a
 if (v != -50) { a = 0.1 * (v + 50) / (1 - exp(-0.1 * (v + 50))) } else { a = 1 }
 n' = a * (1 - n) - 0.5 * exp(0.01 * v) * n }
"""


@pytest.fixture(scope="module")
def tools() -> Toolchain:
    return find_toolchain()


@pytest.fixture(scope="module")
def exponential(tools: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("exp")
    loop = 'extern "C" void all(double const* __restrict x, double* __restrict y, long n) '
    (folder / "exp.cpp").write_text(f"{EXP}\n{loop}{{ for (long i = 0; i < n; ++i) y[i] = exp(x[i]); }}\n")
    command = [*tools.compiler, *tools.flags, "-shared", "exp.cpp", "-o", "exp.so"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return ctypes.CDLL(str(folder / "exp.so"))


def _apply(library: ctypes.CDLL, x: NDArray[np.float64]) -> NDArray[np.float64]:
    y = np.empty_like(x)
    pointer = ctypes.POINTER(ctypes.c_double)
    library.all(x.ctypes.data_as(pointer), y.ctypes.data_as(pointer), ctypes.c_long(len(x)))
    return y


def test_exp_is_exact_to_two_units_in_the_last_place(exponential: ctypes.CDLL) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-700, 700, 200_000), rng.normal(0, 1, 200_000), rng.normal(0, 1e-6, 1000), [0.0]])
    exact = np.exp(x.astype(np.longdouble))
    error = np.abs(_apply(exponential, x).astype(np.longdouble) - exact) / np.spacing(exact.astype(float))
    assert float(error.max()) < 2.0  # two roundings with FMA, a few more without
    assert _apply(exponential, np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_exp_of_extremes_is_that_of_neuron(exponential: ctypes.CDLL) -> None:
    x = np.array([np.inf, 1e4, 700.0, -700.1, -1e5, -np.inf])
    assert _apply(exponential, x) == pytest.approx([np.exp(700)] * 3 + [0.0] * 3, rel=1e-15)
    assert np.isnan(_apply(exponential, np.full(9, np.nan))).all()


def test_a_value_does_not_depend_on_its_place_in_the_loop(exponential: ctypes.CDLL) -> None:
    x = np.random.default_rng(2).uniform(-60, 60, 1009)
    together = _apply(exponential, x)
    alone = np.concatenate([_apply(exponential, x[i : i + 1].copy()) for i in range(len(x))])
    shifted = np.concatenate([_apply(exponential, x[:3].copy()), _apply(exponential, x[3:].copy())])
    assert np.array_equal(together, alone)
    assert np.array_equal(together, shifted)


def test_the_loops_of_a_channel_become_vectors(tools: Toolchain, tmp_path: Path) -> None:
    if "g++" not in tools.compiler[0] or not tools.processor:
        pytest.skip("the compiler's remarks are read in g++'s words")
    build = Build(tools, tmp_path, tmp_path, {"gated.mod": CHANNEL}, 1, lambda done, total: None)
    text = build._translated("gated.mod")
    assert isinstance(build.running, Running) and text.count("ivdep") == 3
    assert text.count("_vec_d[_ni[_iml]] += _g;") == 2  # with the currents, and by itself
    (tmp_path / "unit.cpp").write_text(text)
    command = [
        *tools.compiler,
        *tools.flags,
        "-fopt-info-vec-optimized",
        f"-I{tools.root / 'include'}",
        "-c",
        "unit.cpp",
    ]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stderr
    lines = text.splitlines()
    starts = [row for row, line in enumerate(lines, 1) if line.startswith("for (size_t _iml = 0;")]
    assert len(starts) == 3
    for row in starts:
        assert f"unit.cpp:{row}:" in said, f"the loop in line {row} was not vectorised"


def test_the_currents_of_a_channel_go_by_blocks_in_coreneuron(tools: Toolchain, tmp_path: Path) -> None:
    """A synapse's do not: several may be at one node."""
    if not (tools.root / "bin" / "nmodl").is_file():
        pytest.skip("this NEURON has no CoreNEURON")
    synapse = CHANNEL.replace("SUFFIX gated", "POINT_PROCESS touching")
    build = Build(tools, tmp_path, tmp_path, {"gated.mod": CHANNEL, "touching.mod": synapse}, 1, lambda a, b: None)
    channel, point = (_translated(build, tmp_path / name, tmp_path) for name in sorted(build.mods))
    assert channel.count("nmlb::each(nodecount") == 1
    assert "nmlb::each(nodecount" not in point


def test_what_is_not_the_translators_is_left_alone() -> None:
    assert vectorised("int main() { return 0; }\n") == "int main() { return 0; }\n"


SHARED = """
NEURON { SUFFIX shared GLOBAL inf }
ASSIGNED { v inf }
STATE { n }
INITIAL { n = 0 }
BREAKPOINT { SOLVE states METHOD cnexp }
PROCEDURE rates() { inf = v }
DERIVATIVE states { rates()  n' = inf - n }
"""


def test_a_mechanism_with_one_counter_for_the_file_keeps_it(tools: Toolchain, tmp_path: Path) -> None:
    """Its functions read the counter, so an inner one of the same name would have them see another instance."""
    (tmp_path / "shared.mod").write_text(SHARED)
    subprocess.run([str(tools.translator), "shared.mod"], cwd=tmp_path, check=True, capture_output=True)
    source = (tmp_path / "shared.cpp").read_text()
    assert "\nstatic size_t _iml" in source
    assert vectorised(source) == source
