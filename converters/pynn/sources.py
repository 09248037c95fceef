"""PyNN's current sources as elements of NeuroML: pulses, sines, steps, and noise in a type of its own."""

from __future__ import annotations

import math
from typing import Any

from ...element import Element
from ...errors import UnsupportedError
from ..native.elements import element

NOISE = "gaussianSteps"
_EVER = 1e10  # ms: PyNN's own "for ever" has no number in XML


def sources_of(source: Any) -> Element:
    """The element that injects what a current source of PyNN's does, without an id.

    Raises UnsupportedError for a source of another kind.
    """
    kind = type(source).__name__
    try:
        given = source.get_parameters()
    except NotImplementedError:  # PyNN's mock keeps what it was made with
        given = source.parameter_space

    def value(name: str) -> Any:
        found = getattr(given[name], "base_value", given[name])
        return [float(x) for x in found.value] if hasattr(found, "value") else float(found)

    if kind == "DCSource":
        return _pulse(value("start"), value("stop"), value("amplitude"))
    if kind == "StepCurrentSource":
        ends = [*value("times")[1:], _EVER]
        steps = [_pulse(*each) for each in zip(value("times"), ends, value("amplitudes"), strict=True) if each[2]]
        return _together(steps)
    if kind == "ACSource":
        start, stop = value("start"), min(value("stop"), _EVER)
        sine = element(
            "sineGenerator", phase=repr(math.radians(value("phase"))), delay=f"{start!r} ms",
            duration=f"{stop - start!r} ms", amplitude=f"{value('amplitude')!r} nA",
            period=f"{1e3 / value('frequency')!r} ms",
        )  # fmt: skip
        return _together([sine, _pulse(start, stop, value("offset"))]) if value("offset") else sine
    if kind == "NoisyCurrentSource":
        times = {"start": value("start"), "stop": min(value("stop"), _EVER), "interval": value("dt")}
        currents = {name: f"{value(name)!r} nA" for name in ("mean", "stdev")}
        return element(NOISE, **{name: f"{time!r} ms" for name, time in times.items()}, **currents)
    raise UnsupportedError(f"{kind} is no current source that is known; DCSource, ACSource, StepCurrentSource and "
                           "NoisyCurrentSource are")  # fmt: skip


def _pulse(start: float, stop: float, amplitude: float) -> Element:
    length = min(stop, _EVER) - start
    return element("pulseGenerator", delay=f"{start!r} ms", duration=f"{length!r} ms", amplitude=f"{amplitude!r} nA")


def _together(parts: list[Element]) -> Element:
    for number, part in enumerate(parts):
        part.attributes = {"id": f"part{number}", **part.attributes}
    return element("compoundInput", parts)


def noise_type() -> Element:
    """The ComponentType of NoisyCurrentSource: a current that is drawn anew at each interval."""

    def put(variable: str, value: str) -> Element:
        return element("StateAssignment", variable=variable, value=value)

    drawn = "mean + stdev * sqrt(-2 * ln(1 - random(1))) * cos(6.283185307179586 * random(1))"
    dynamics = element("Dynamics", [
        element("StateVariable", name="i", dimension="current", exposure="i"),
        element("StateVariable", name="due", dimension="time"),
        element("OnStart", [put("due", "start")]),
        element("OnCondition", [put("i", drawn), put("due", "due + interval")],
                test="t .geq. due .and. t .lt. stop"),
        element("OnCondition", [put("i", "0")], test="t .geq. stop"),
    ])  # fmt: skip
    sizes = {"start": "time", "stop": "time", "interval": "time", "mean": "current", "stdev": "current"}
    parameters = [element("Parameter", name=name, dimension=dimension) for name, dimension in sizes.items()]
    return element("ComponentType", [*parameters, dynamics], name=NOISE, extends="basePointCurrent",
                   description="A current that keeps for an interval a value drawn from a normal distribution, as "
                   "PyNN's NoisyCurrentSource does")  # fmt: skip
