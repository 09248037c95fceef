"""The reference integrator against closed solutions, and what only it can run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.cli import main
from nmlbridge.errors import UnsupportedError, UsageError

HEAD = '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>'  # noqa: E501
OSCILLATOR = (
    '<ComponentType name="oscillator"><Parameter name="w" dimension="per_time"/><Exposure name="x" dimension="none"/>'
    '<Exposure name="y" dimension="none"/><Dynamics><StateVariable name="x" exposure="x" dimension="none"/>'
    '<StateVariable name="y" exposure="y" dimension="none"/><TimeDerivative variable="x" value="w*y"/>'
    '<TimeDerivative variable="y" value="-w*x"/><OnStart><StateAssignment variable="x" value="1"/></OnStart>'
    '</Dynamics></ComponentType><oscillator id="o" w="1per_ms"/>'
)


def _model(folder: Path, body: str, target: str, quantities: list[str], length: float, step: float) -> Path:
    columns = "".join(f'<OutputColumn id="c{n}" quantity="{q}"/>' for n, q in enumerate(quantities))
    file = folder / "LEMS_Model.xml"
    file.write_text(
        f'{HEAD}{body}<Simulation id="sim" length="{length}ms" step="{step}ms" target="{target}">'
        f'<OutputFile id="f" fileName="out.dat">{columns}</OutputFile></Simulation></Lems>'
    )
    return file


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4)])
def test_a_component_without_network_and_the_order_of_each_method(tmp_path: Path, method: str, order: int) -> None:
    model = _model(tmp_path, OSCILLATOR, "o", ["x", "y"], 10, 0.1)
    errors = []
    for dt in (0.1, 0.05):
        results = nmlbridge.simulate(model, dt=dt, method=method, backend="reference")
        errors.append(np.abs(results["x"] - np.cos(results.time * 1e3)).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


def test_lsoda(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    model = _model(tmp_path, OSCILLATOR, "o", ["x"], 10, 0.1)
    results = nmlbridge.simulate(model, method="lsoda", backend="reference")
    np.testing.assert_allclose(results["x"], np.cos(results.time * 1e3), atol=1e-7)


def test_a_target_that_is_no_network_is_written_like_any_other(tmp_path: Path) -> None:
    model = _model(tmp_path, OSCILLATOR, "o", ["x"], 1, 0.1)
    assert main(["run", str(model), "-o", str(tmp_path / "out")]) == 0
    assert np.loadtxt(tmp_path / "out" / "out.dat")[-1] == pytest.approx([1e-3, math.cos(1)], rel=1e-5)


def test_spikes_do_not_wait_for_the_grid(tmp_path: Path) -> None:
    """Leaky integrate and fire: the interval is tau ln((E - reset) / (E - thresh)), here with a step of 1 ms."""
    model = _model(
        tmp_path,
        '<iafTauCell id="c" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms"/>'
        '<network id="net"><population id="p" component="c" size="2"/></network>', "net", ["p[0]/v"], 200, 1,
    )  # fmt: skip
    results = nmlbridge.simulate(model, backend="reference")
    first, second = (results.spikes.of("p", row) for row in (0, 1))
    assert len(first) > 3
    np.testing.assert_allclose(np.diff(first), 30e-3 * math.log(20 / 5), rtol=1e-4)
    np.testing.assert_array_equal(first, second)


TISSUE = (
    '<ComponentType name="slice"><Child name="network" type="network"/><Exposure name="temperature" '
    'dimension="temperature"/><Parameter name="first" dimension="temperature"/><Parameter name="later" '
    'dimension="temperature"/><Parameter name="change" dimension="time"/><Dynamics><StateVariable name="temperature" '
    'exposure="temperature" dimension="temperature"/><OnStart><StateAssignment variable="temperature" value="first"/>'
    '</OnStart><OnCondition test="t .gt. change"><StateAssignment variable="temperature" value="later"/></OnCondition>'
    "</Dynamics></ComponentType>"
    '<ionChannelHH id="k" conductance="10pS"><gateHHtauInf id="n" instances="1"><q10Settings type="q10ExpTemp" '
    'q10Factor="3" experimentalTemp="32degC"/><timeCourse type="fixedTimeCourse" tau="2ms"/><steadyState '
    'type="HHSigmoidVariable" rate="1" midpoint="-50mV" scale="10mV"/></gateHHtauInf></ionChannelHH>'
    '<pointCellCondBased id="c" C="10pF" v0="-65mV" thresh="20mV"><channelPopulation id="ks" ionChannel="k" '
    'number="100" erev="-77mV"/></pointCellCondBased>'
    '<slice id="s" first="32degC" later="22degC" change="5ms"><network id="net"><population id="p" component="c" '
    'size="1"/></network></slice>'
)


def test_a_network_in_a_tissue_whose_temperature_changes(tmp_path: Path) -> None:
    """A time constant follows q10^((T - T0) / 10 K) at every moment."""
    model = _model(tmp_path, TISSUE, "s", ["net/p[0]/ks/k/n/tau", "temperature", "net/p[0]/v"], 10, 0.1)
    results = nmlbridge.simulate(model)
    tau, temperature = results["net/p[0]/ks/k/n/tau"], results["temperature"]
    assert [temperature[0], temperature[-1]] == pytest.approx([305.15, 295.15])
    assert [tau[0], tau[-1]] == pytest.approx([2e-3, 6e-3])
    assert (np.diff(tau) != 0).sum() == 1


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    model = _model(tmp_path, OSCILLATOR, "o", ["x"], 1, 0.1)
    with pytest.raises(UnsupportedError, match="runs networks only"):
        nmlbridge.simulate(model, backend="neuron")
    with pytest.raises(UsageError, match="no method 'magic' of reference; there are rk4, euler, lsoda"):
        nmlbridge.simulate(model, method="magic", backend="reference")
    with pytest.raises(UsageError, match="no backend 'nest'"):
        nmlbridge.simulate(model, backend="nest")
    with pytest.raises(UsageError, match="no ranks"):
        nmlbridge.simulate(model, backend="reference", ranks=2)
