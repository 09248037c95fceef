"""Networks in types of a model's own, on the reference integrator: against closed solutions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import ModelError, UnsupportedError

TYPES = """
<ComponentType name="clock"><Parameter name="period" dimension="time"/><EventPort name="tick" direction="out"/>
  <Exposure name="since" dimension="time"/><Dynamics><StateVariable name="since" exposure="since" dimension="time"/>
  <TimeDerivative variable="since" value="1"/><OnCondition test="since .gt. period">
  <StateAssignment variable="since" value="0"/><EventOut port="tick"/></OnCondition></Dynamics></ComponentType>
<ComponentType name="tank"><Parameter name="tau" dimension="time"/><EventPort name="in" direction="in"/>
  <EventPort name="other" direction="in"/>
  <Exposure name="x" dimension="none"/><Exposure name="flow" dimension="none"/>
  <Attachments name="valves" type="valve"/>
  <Dynamics><StateVariable name="x" exposure="x" dimension="none"/>
  <DerivedVariable name="flow" exposure="flow" dimension="none" select="valves[*]/a" reduce="add"/>
  <TimeDerivative variable="x" value="-x / tau"/><OnEvent port="in"><StateAssignment variable="x" value="x + 1"/>
  </OnEvent></Dynamics></ComponentType>
<ComponentType name="valve"><Parameter name="tau" dimension="time"/>
  <Property name="weight" dimension="none" defaultValue="1"/>
  <EventPort name="in" direction="in"/><Exposure name="a" dimension="none"/><Dynamics>
  <StateVariable name="a" exposure="a" dimension="none"/><TimeDerivative variable="a" value="-a / tau"/>
  <OnEvent port="in"><StateAssignment variable="a" value="a + weight"/></OnEvent></Dynamics></ComponentType>
<ComponentType name="Assembly"><Children name="crowds" type="Crowd"/><Children name="fans" type="Fan"/>
  <Children name="wires" type="Wire"/></ComponentType>
<ComponentType name="Crowd"><ComponentReference name="of" type="Component"/><Parameter name="count" dimension="none"/>
  <Structure><MultiInstantiate number="count" component="of"/></Structure></ComponentType>
<ComponentType name="Fan"><Link name="source" type="Crowd"/><Link name="target" type="Crowd"/>
  <Child name="pattern" type="Pattern"/></ComponentType>
<ComponentType name="Pattern"/>
<ComponentType name="Everyone" extends="Pattern"><Structure><ForEach instances="../source" as="a">
  <ForEach instances="../target" as="b"><EventConnection from="a" to="b"/></ForEach></ForEach></Structure>
  </ComponentType>
<ComponentType name="Wire"><Path name="from"/><Path name="to"/><ComponentReference name="through" type="valve"/>
  <Parameter name="strength" dimension="none"/><Parameter name="lag" dimension="time"/><Text name="place"/>
  <Text name="port"/>
  <Structure><With instance="from" as="a"/><With instance="to" as="b"/>
  <EventConnection from="a" to="b" receiver="through" receiverContainer="place" targetPort="port" delay="lag">
  <Assign property="weight" value="strength"/></EventConnection></Structure></ComponentType>
<clock id="fast" period="10ms"/><clock id="slow" period="25ms"/><tank id="t" tau="20ms"/><valve id="v" tau="5ms"/>
"""


def model(folder: Path, body: str, quantities: tuple[str, ...], length: int = 40) -> Path:
    columns = "".join(f'<OutputColumn id="c{n}" quantity="{q}"/>' for n, q in enumerate(quantities))
    file = folder / "LEMS_Own.xml"
    file.write_text(
        f'<Lems><Target component="sim"/><Include file="NeuroMLCoreDimensions.xml"/><Include file="Simulation.xml"/>'
        f"{TYPES}"
        f'<Assembly id="net">{body}</Assembly><Simulation id="sim" length="{length}ms" step="0.1ms" target="net">'
        f'<OutputFile id="f" fileName="out.dat">{columns}</OutputFile></Simulation></Lems>'
    )
    return file


def jumps(time: np.ndarray, at: list[float], tau: float, height: float = 1.0) -> np.ndarray:
    """The sum of exponentials that begin at the times ``at``; times in ms."""
    return sum(
        (np.where(time >= start, height * np.exp(-(time - start) / tau), 0.0) for start in at), np.zeros(len(time))
    )


def test_everyone_with_everyone(tmp_path: Path) -> None:
    body = """<Crowd id="c" of="fast" count="2"/><Crowd id="d" of="t" count="3"/>
      <Fan source="c" target="d"><pattern type="Everyone"/></Fan>"""
    results = nmlbridge.simulate(model(tmp_path, body, ("d[0]/x", "d[2]/x")))
    time = results.time * 1e3
    away = np.abs(time % 10) > 0.05  # a sample at an event is before or after it
    for name in ("d[0]/x", "d[2]/x"):
        np.testing.assert_allclose(results[name][away], jumps(time, [10, 20, 30], 20, 2.0)[away], atol=1e-6)
    np.testing.assert_allclose(results.spikes.of("c", 1), [0.01, 0.02, 0.03], atol=1e-9)


def test_one_with_one_through_a_receiver(tmp_path: Path) -> None:
    body = """<Crowd id="c" of="fast" count="1"/><Crowd id="s" of="slow" count="1"/><Crowd id="d" of="t" count="2"/>
      <Wire from="c[0]" to="d[1]" through="v" strength="0.5" lag="2 ms" place="valves"/>
      <Wire from="../s[0]" to="d[1]" through="v" strength="3" lag="0 ms" place="valves"/>"""
    results = nmlbridge.simulate(model(tmp_path, body, ("d[0]/flow", "d[1]/flow")))
    time = results.time * 1e3
    assert not results["d[0]/flow"].any()
    expected = jumps(time, [12, 22, 32], 5, 0.5) + jumps(time, [25], 5, 3.0)
    away = np.all([np.abs(time - t) > 0.05 for t in (12, 22, 25, 32)], axis=0)
    np.testing.assert_allclose(results["d[1]/flow"][away], expected[away], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ('<Crowd id="c" of="fast" count="1.5"/>', ModelError, "makes 1.5 instances"),
        ('<Crowd id="c" of="fast" count="1"/><Crowd id="c" of="t" count="1"/>', ModelError, "one of its own"),
        (
            '<Crowd id="c" of="fast" count="1"/><Crowd id="d" of="t" count="2"/>'
            '<Wire from="c[0]" to="d[2]" through="v" strength="1" lag="0 ms" place="valves"/>',
            ModelError,
            "is no instance of 'd', which has 2",
        ),
        (
            '<Crowd id="c" of="fast" count="1"/><Crowd id="d" of="t" count="2"/>'
            '<Wire from="c[0]" to="d[0]" through="v" strength="1" lag="0 ms" place="valves" port="out"/>',
            UnsupportedError,
            "uses the port 'out'",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, body: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        nmlbridge.simulate(model(tmp_path, body, ("c[0]/since",)))


BALL = """<Lems><Target component="sim"/><Include file="NeuroMLCoreDimensions.xml"/><Include file="Simulation.xml"/>
<ComponentType name="ball"><Exposure name="h" dimension="none"/><Constant name="s" dimension="time" value="1s"/>
  <Dynamics><StateVariable name="h" exposure="h" dimension="none"/><StateVariable name="u" dimension="none"/>
  <TimeDerivative variable="h" value="u / s"/><TimeDerivative variable="u" value="-10 / s"/>
  <OnStart><StateAssignment variable="h" value="5"/></OnStart><OnCondition test="h .lt. 0">
  <StateAssignment variable="u" value="-0.5 * u"/><StateAssignment variable="h" value="0"/></OnCondition></Dynamics>
</ComponentType><ball id="b"/><Simulation id="sim" length="5s" step="10ms" target="b">
<OutputFile id="f" fileName="o.dat"><OutputColumn id="h" quantity="h"/></OutputFile></Simulation></Lems>"""


def test_a_ball_comes_to_rest(tmp_path: Path) -> None:
    """Infinitely many bounces, each half as fast, end after 3 s: 1 s of falling, then 1, 1/2, 1/4 ... s."""
    file = tmp_path / "LEMS_Ball.xml"
    file.write_text(BALL)
    results = nmlbridge.simulate(file)
    assert results["h"][100:200].max() == pytest.approx(1.25, rel=1e-3)  # a quarter of the height
    assert np.abs(results["h"][310:]).max() < 1e-2


def test_what_is_stiff_is_integrated_by_another_method(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    file = tmp_path / "LEMS_Stiff.xml"
    body = BALL.replace('value="u / s"', 'value="1e5 * (cos(t / s) - h) / s"')
    file.write_text(body.replace('value="-10 / s"', 'value="0 / s"').replace("h .lt. 0", "h .lt. -9"))
    results = nmlbridge.simulate(file)
    np.testing.assert_allclose(results["h"][1:], np.cos(results.time[1:]), atol=1e-4)
    assert [note.code for note in results.report.notes].count("stiff") == 1
    assert math.isfinite(results["h"][-1])
