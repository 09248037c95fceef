"""One model through every engine: NEURON, CoreNEURON, the reference integrator, and jLEMS where there is a Java.

The spike times of a Hodgkin-Huxley cell with a synapse, each engine at its own step, against NEURON with a step forty
times smaller. The bounds are what the order of each method leaves at that step.
"""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import models

pytestmark = pytest.mark.neuron

STEP = 0.02  # ms
PARTS = (
    models.HH + models.cell("c", models.HH_CHANNELS)
    + '<pulseGenerator id="pulse" delay="5ms" duration="45ms" amplitude="0.2nA"/>'
    + '<spikeGenerator id="clock" period="7.3ms"/>'
    + '<expTwoSynapse id="syn" gbase="5nS" erev="0mV" tauRise="0.5ms" tauDecay="3ms"/>'
)  # fmt: skip
NETWORK = """<population id="p" component="c" size="1"/><population id="s" component="clock" size="1"/>
  <projection id="r" presynapticPopulation="s" postsynapticPopulation="p" synapse="syn">
  <connectionWD id="0" preCellId="../s[0]" postCellId="../p[0]" weight="1" delay="1ms"/></projection>
  <explicitInput target="p[0]" input="pulse"/>"""


def spikes(time: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Upward crossings of 0 mV, interpolated, in ms."""
    i = np.flatnonzero((v[:-1] <= 0) & (v[1:] > 0))
    return np.asarray((time[i] - v[i] * (time[i + 1] - time[i]) / (v[i + 1] - v[i])) * 1e3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.put(tmp_path_factory.mktemp("engines"), PARTS, NETWORK, {"v": "p[0]/v"}, 50, STEP)


@pytest.fixture(scope="module")
def limit(model: Path) -> np.ndarray:
    fine = nmlbridge.simulate(model, dt=STEP / 40)
    times = spikes(fine.time, fine["p[0]/v"])
    assert len(times) >= 3
    return times


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({}, 0.01),  # of second order
        ({"method": "implicit"}, 0.3),  # of first order
        ({"method": "cvode", "abs_tolerance": 1e-6}, 0.02),
        ({"backend": "coreneuron"}, 0.01),
        ({"backend": "reference"}, 1e-3),  # Runge-Kutta of fourth order; the limit itself is known to 1e-4
    ],
)
def test_engines_agree(model: Path, limit: np.ndarray, options: dict[str, object], bound: float) -> None:
    results = nmlbridge.simulate(model, **options)  # type: ignore[arg-type]
    found = spikes(results.time, results["p[0]/v"])
    assert len(found) == len(limit)
    assert np.abs(found - limit).max() < bound


@pytest.mark.java
def test_jlems_agrees(model: Path, limit: np.ndarray, tmp_path: Path) -> None:
    """jLEMS steps by forward Euler, one step behind: its error is of first order, and large."""
    java, package = shutil.which("java"), find_spec("pyneuroml")
    if java is None or package is None or package.origin is None:
        pytest.skip("no Java here")
    jar = next(Path(package.origin).parent.glob("lib/jNeuroML-*-jar-with-dependencies.jar"))
    for source in model.parent.iterdir():
        shutil.copy(source, tmp_path)
    errors = []
    for step in (0.01, 0.005):
        text = (tmp_path / model.name).read_text().replace(f'step="{STEP}ms"', f'step="{step}ms"')
        (tmp_path / "fine.xml").write_text(text)
        command = [java, "-Djava.awt.headless=true", "-jar", str(jar), "fine.xml", "-nogui"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
        time, v = np.loadtxt(tmp_path / "out.dat", unpack=True)
        found = spikes(time, v)
        assert len(found) == len(limit)
        errors.append(np.abs(found - limit).max())
    assert errors[0] < 0.5
    assert errors[1] < 0.65 * errors[0]  # and it goes where ours is, as the step does
