"""``shape`` of weights and ``rates`` of NetStims: numbers that NetPyNE plays while a network runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph import Course
from ...report import Report
from . import streams
from .sections import number

_STEP = 0.001  # s: the resolution of NetPyNE's pulses
_SPAN = 10  # the width of the pulse that is repeated, in widths of its shape
_NEVER = 1e10  # ms: the interval of a rate of zero
_WORDS = {"switchOnOff", "pulseType", "pulseWidth", "pulsePeriod"}


SHAPE = "netpyne_shape"
"""attribute of a projection or input list: the shape that its course was made of, as JSON"""


@dataclass(frozen=True)
class Shaped:
    """A shape and what it makes of weights."""

    shape: Mapping[str, Any]
    course: Course

    @property
    def attributes(self) -> dict[str, str]:
        """What keeps the shape in the hub."""
        return {SHAPE: json.dumps(dict(self.shape), sort_keys=True)}


def shape_of(shape: Any, duration: float, where: str, file: str | None) -> Shaped | None:
    """What a ``shape`` makes of weights in a run of ``duration`` (ms), with NetPyNE's numbers; None if it is empty.

    Raises NetworkError with the word at fault.
    """
    if not shape:
        return None
    if not isinstance(shape, Mapping) or set(shape) - _WORDS:
        raise NetworkError(f"{where}.shape: expected {', '.join(sorted(_WORDS))}", file=file)
    kind = shape.get("pulseType", "square")
    if kind not in ("square", "gaussian"):
        raise NetworkError(f"{where}.shape: the pulseType is {kind!r:.30}; there are square and gaussian", file=file)
    width, period = (number(shape.get(word, 100.0), where, f"shape {word}", file) / 1000
                     for word in ("pulseWidth", "pulsePeriod"))  # fmt: skip
    if period <= 0 or int(_SPAN * width / _STEP) < 2 or int(_SPAN * width / _STEP) % 2:
        raise NetworkError(f"{where}.shape: expected a pulsePeriod above 0, and a pulseWidth of a fifth of a "
                           "millisecond or a multiple of it", file=file)  # fmt: skip
    switched = shape.get("switchOnOff", [0])
    if not isinstance(switched, list) or switched != sorted(switched):
        raise NetworkError(f"{where}.shape: switchOnOff must be times in their order", file=file)
    ends = [number(time, where, "shape switchOnOff", file) for time in [*switched, duration]]
    times: list[Any] = []
    values: list[Any] = []
    for begin, end in zip(ends[::2], ends[1::2], strict=False):
        one = _pulses(begin / 1000, end / 1000, period, width, kind)
        times.append(one[0])
        values.append(one[1])
    return Shaped(shape, Course("weight", np.concatenate(times), np.concatenate(values))) if times else None


def _pulses(begin: float, end: float, period: float, width: float, kind: str) -> tuple[Any, Any]:
    """Pulses between two times (s): when (ms) and how much, zero before the first and at the end."""
    window = end - begin
    count = int(window / _STEP)
    starts = []
    at = 0.0
    while at < window:
        if at < window - _STEP / 2:
            starts.append(at)
        at += period
    size = int(_SPAN * width / _STEP)
    if kind == "gaussian":
        x = (np.arange(size) - size / 2 + 1) * _STEP
        pulse = np.exp(-2 * (2 * x / width - 1) ** 2)
        pulse = pulse / pulse.max()
    else:
        pulse = np.zeros(size)
        pulse[size // 2 : size // 2 + int(width / _STEP)] = 1
    if count < 1:
        return np.zeros(1), np.zeros(1)
    events = np.zeros(count)
    events[(np.array(starts) / _STEP).astype(int)] = 1
    values = np.convolve(events, pulse, mode="full")[size // 2 - 1 : -(size // 2)]
    times = (np.arange(count) * _STEP + begin) * 1e3
    return np.concatenate([[0], times, [times[-1] + _STEP * 1e3]]), np.concatenate([[0], values, [0]])


def rates_in(dynamic: Any, row: int) -> list[Any] | None:
    """The [rates, times] that ``dynamicRates`` give a cell of a population; None where NetPyNE gives it none."""
    if not isinstance(dynamic, Mapping) or not dynamic.get("rates") or "times" not in dynamic:
        return None
    rates = dynamic["rates"]
    if not isinstance(rates[0], list):
        return [rates, dynamic["times"]]
    return [rates[row], dynamic["times"]] if row < len(rates) else None


def rates_of(cells: Sequence[Any], label: str, file: str | None) -> Course | None:
    """The intervals of NetStims whose ``rates`` are [rates (Hz), times (ms)] of each cell; None if they have none."""
    given = [cell.params.get("rates") for cell in cells]
    if not any(given):
        return None
    tables = []
    for rates in given:
        if not (isinstance(rates, list) and len(rates) == 2 and all(isinstance(one, list) for one in rates)):
            raise UnsupportedError(f"population '{label}': rates must be [rates, times] in each cell, or in none")
        tables.append([[number(one, label, "rates", file) for one in part] for part in rates])
    if any(table[1] != tables[0][1] for table in tables) or any(len(a) != len(b) for a, b in tables):
        raise UnsupportedError(f"population '{label}': the rates of its cells must have the same times, one for each")
    intervals = [[1000.0 / rate if rate > 0 else _NEVER for rate in table[0]] for table in tables]
    return Course("interval", np.array(tables[0][1]), np.array(intervals))


def stated_shape(course: Any, attributes: Mapping[str, str], id: str, report: Report) -> dict[str, Any]:
    """The ``shape`` that a course of weights was made of, as a word of a connection; noted if it was made of none."""
    if course is None:
        return {}
    if SHAPE in attributes:
        return {"shape": json.loads(attributes[SHAPE])}
    report.add("netpyne-course", "loss", "how its weights change in time is left out: NetPyNE has pulses only",
               component=id)  # fmt: skip
    return {}


def written_rates(times: Any, intervals: Any) -> list[list[float]]:
    """The ``rates`` of one NetStim, [rates (Hz), times (ms)], for its intervals (ms)."""
    return [[streams.rate_of(one) for one in np.asarray(intervals).tolist()], np.asarray(times).tolist()]
