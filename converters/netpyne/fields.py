"""XStim: potentials imposed from outside, by an electrode or as a uniform field, with a course in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from .instance import Cell
from .sections import number
from .streams import Floats

if TYPE_CHECKING:
    from .rules import Model

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Field:
    """One source on the cells of a target: what ``graph.ImposedField`` needs, and the gids."""

    label: str
    source: str
    gids: tuple[int, ...]
    kind: str
    origin: Place
    vector: Place
    conductivity: float
    times: Floats
    values: Floats


def field_of(
    model: Model, label: str, name: str, source: Mapping[str, Any], gids: Sequence[int], cells: Mapping[int, Cell]
) -> Field:
    """The field of a source ``name``, as a target ``label`` puts it on cells; artificial ones have no outside.

    Its y is NEURON's, so that depths are negative. Amplitudes are mA of an electrode and V/m of a uniform field.
    """
    where = f"stimSourceParams.{name}"
    spec = source.get("field")
    if not isinstance(spec, Mapping) or spec.get("class") not in ("pointSource", "uniform"):
        raise model.error(f"{where}.field: expected a class, pointSource or uniform")
    times, values = _course(model, where, source.get("waveform"))
    x, y, z = model.size
    vector = (0.0, 0.0, 0.0)
    if spec["class"] == "pointSource":
        origin = spec.get("location", [x / 2, -y / 2, z / 2])
        values = values * 1e3
    else:
        origin = spec.get("referencePoint", [x / 2, -y / 2, z / 2])
        phi, theta = (math.radians(angle) for angle in _numbers(model, f"{where}.field.fieldDirection",
                                                               spec.get("fieldDirection", [0, 180]), 2))  # fmt: skip
        # the potential grows along what is called the direction: the field points the other way
        vector = (-math.sin(theta) * math.cos(phi), -math.cos(theta), -math.sin(theta) * math.sin(phi))
        length = math.sqrt(sum(part * part for part in vector))
        vector = (vector[0] / length, vector[1] / length, vector[2] / length)
    one, two, three = _numbers(model, f"{where}.field.location", origin, 3)
    sigma = number(spec.get("sigma", 0.3), where, "field.sigma", model.file)
    return Field(label, name, tuple(gid for gid in gids if cells[gid].secs is not None),
                 "point" if spec["class"] == "pointSource" else "uniform", (one, two, three), vector, sigma, times,
                 values)  # fmt: skip


def _course(model: Model, where: str, wave: Any) -> tuple[Floats, Floats]:
    """Times (ms) and values, at each step up to the end of the run, as NetPyNE plays them."""
    if not isinstance(wave, Mapping) or wave.get("type") not in ("sinusoidal", "pulse", "external"):
        raise model.error(f"{where}.waveform: expected a type: sinusoidal, pulse or external")
    duration = number(model.config.get("duration", 1000.0), "simConfig", "duration", model.file)
    step = number(model.config.get("dt", 0.025), "simConfig", "dt", model.file)
    times = np.arange(0, duration, step)
    if wave["type"] == "external":
        return _external(model, where, wave, times)
    amp, begin = (number(wave.get(word, 0), where, f"waveform.{word}", model.file) for word in ("amp", "del"))
    end = duration
    if "del" in wave and "dur" in wave:
        end = min(begin + number(wave["dur"], where, "waveform.dur", model.file), duration)
    if begin > duration:
        begin = 0.0  # as NetPyNE has it
    values = np.full(len(times), amp)
    if wave["type"] == "sinusoidal":
        frequency = number(wave.get("freq", 0), where, "waveform.freq", model.file)
        values = amp * np.sin(2 * np.pi * frequency * times / 1000)
    return times, np.where((times > begin) & (times < end), values, 0.0)


def _external(model: Model, where: str, wave: Mapping[str, Any], times: Floats) -> tuple[Floats, Floats]:
    columns = []
    for word in ("time", "signal"):
        given = wave.get(word)
        if isinstance(given, str):
            raise UnsupportedError(f"{where}.waveform.{word}: '{given[:60]}' is a file of Python objects, which are "
                                   "not read; state the numbers")  # fmt: skip
        columns.append(np.array(_numbers(model, f"{where}.waveform.{word}", given, None)))
    at, values = columns
    if len(at) != len(values) or not len(at):
        raise model.error(f"{where}.waveform: {len(at)} times go with {len(values)} values")
    if len(at) >= len(times):
        return at[: len(times)], values[: len(times)]
    return times, np.concatenate([values, np.zeros(len(times) - len(values))])


def source_of(field: Mapping[str, Any], column: Callable[[Any], Any], duration: float, dt: float) -> dict[str, Any]:
    """The XStim of a field of a Program, with its course where steps of NEURON look at it: in their middle.

    NetPyNE takes as many times as the run has steps, if it is given no fewer, and plays straight lines between them.
    """
    middles = (np.arange(len(np.arange(0, duration, dt))) + 0.5) * dt
    values = np.interp(middles, column(field["times"]), column(field["values"]))
    x, y, z = field["vector"]
    if field["kind"] == "point":
        spec = {"class": "pointSource", "location": list(field["origin"]), "sigma": field["conductivity"]}
        values = values / 1e3
    else:
        angles = math.atan2(-z, -x), math.acos(max(-1.0, min(1.0, -y)))
        spec = {"class": "uniform", "referencePoint": list(field["origin"]),
                "fieldDirection": [math.degrees(angle) for angle in angles]}  # fmt: skip
    return {"type": "XStim", "field": spec,
            "waveform": {"type": "external", "time": middles.tolist(), "signal": values.tolist()}}  # fmt: skip


def _numbers(model: Model, what: str, value: Any, count: int | None) -> list[float]:
    if isinstance(value, list) and (count is None or len(value) == count):
        if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value):
            return [float(one) for one in value]
    raise model.error(f"{what}: expected {count or 'a list of'} numbers, found {value!r:.60}")
