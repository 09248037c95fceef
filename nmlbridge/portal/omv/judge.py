"""OMV's rules of comparison, to the letter (behaviour of osbmodelvalidation 0.4).

Where OMV itself would stop with an exception on a file or a value, the observable fails here with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .files import Observable

Floats = npt.NDArray[np.float64]
Find = Callable[[str], Path | None]
"""From the path that an observable names to the file that the run has written, None if it has not."""
DEFAULT_TOLERANCE = 0.1
QUERIES = frozenset({"morphology", "temperature"})  # OMV asks NEURON's interpreter; no other engine can answer


@dataclass(frozen=True)
class Verdict:
    """Whether an observable agrees; ``needed`` is the smallest relative tolerance that would do (NaN if none does).

    ``supported`` is False for what cannot be looked at outside OMV's own engines.
    """

    kind: str
    passed: bool
    why: str = ""
    needed: float = math.nan
    supported: bool = True


class _Missing(Exception):
    """Something that should be compared is not there; the text says what."""


def judge(observable: Observable, produced: Find, mep_folder: Path, floor: float = 0.0) -> Verdict:
    """Compare one observable of a finished run. ``floor`` is the least relative tolerance (0: as the test says)."""
    kind, spec = observable.kind, observable.spec
    if kind in QUERIES or kind not in _READERS:
        return Verdict(kind, False, f"'{kind}' is a query to another engine's interpreter", supported=False)
    spec = spec if isinstance(spec, dict) else {}
    try:
        found = _READERS[kind](spec, produced)
        if kind == "activation variables":
            inside = bool(np.all((found[:, 1:] >= 0) & (found[:, 1:] <= 1)))
            return Verdict(kind, inside, "" if inside else "a value is outside [0, 1]")
        expected = _expected(observable, mep_folder)
    except _Missing as fault:
        return Verdict(kind, False, str(fault))
    except (OSError, ValueError, IndexError, KeyError, TypeError) as fault:
        return Verdict(kind, False, f"the output cannot be read: {fault}")
    try:
        tolerance = max(float(spec.get("tolerance", DEFAULT_TOLERANCE)), floor)
    except (TypeError, ValueError):
        return Verdict(kind, False, f"the tolerance is '{spec.get('tolerance')}'; expected a number")
    return _compare(kind, found, expected, tolerance)


def _compare(kind: str, found: Any, expected: Any, tolerance: float) -> Verdict:
    a, b = np.asarray(found, float), np.asarray(expected, float)
    if a.shape != b.shape:
        return Verdict(kind, False, f"{_count(a)}, expected {_count(b)}")
    if not a.size:
        return Verdict(kind, True, needed=0.0)
    with np.errstate(all="ignore"):
        needed = float(np.max(np.abs((a - b) / b)))
    passed = bool(np.allclose(a, b, tolerance))
    why = "" if passed else f"off by {needed:.3g}, tolerance {tolerance:g}: {_some(a)}, expected {_some(b)}"
    return Verdict(kind, passed, why, needed)


def _count(values: Floats) -> str:
    return "one value" if values.ndim == 0 else f"{len(values)} values"


def _some(values: Floats) -> str:
    flat = values.ravel()
    return ", ".join(f"{x:.6g}" for x in flat[:6]) + (" ..." if len(flat) > 6 else "")


def _expected(observable: Observable, folder: Path) -> Any:
    value = observable.expected
    if isinstance(value, dict) and "file" in value:
        spec = value["file"]
        return _table(folder / spec["path"], spec)
    if isinstance(value, dict) or value is None:
        raise _Missing("the .mep expects no value for it")
    return _given(value, "expected")


def _given(values: Any, which: str) -> Any:
    if isinstance(values, list) and not all(values):
        raise _Missing(f"an {which} time is exactly 0, which OMV takes for a missing one")
    return values


def _table(path: Path, spec: dict[str, Any]) -> Floats:
    columns = spec.get("columns", (0, 1))
    scaling = spec.get("scaling", [1.0] * len(columns))
    table = np.loadtxt(path, usecols=columns, skiprows=spec.get("header", 0))
    return np.asarray(table * np.asarray(scaling, float), float)


def _series(spec: dict[str, Any], produced: Find, key: str = "file") -> Floats:
    file = produced(str(spec[key]["path"]))
    if file is None:
        raise _Missing(f"the run has not written {spec[key]['path']}")
    return _table(file, spec[key])


def detect(table: Floats, method: str, threshold: float) -> Floats:
    """Times of spikes in a table of time and value: the first sample above the threshold, or each local maximum.

    As OMV does it there is no interpolation, and a plateau counts once, at its end.
    """
    t, v = table.T
    if method == "threshold":
        rows = 1 + np.flatnonzero((v[:-1] <= threshold) & (v[1:] > threshold))
    elif method == "derivative":
        slope = np.diff(v)
        rows = 1 + np.flatnonzero((slope[:-1] >= 0) & (np.roll(slope, -1)[:-1] < 0))
    else:
        rows = np.empty(0, dtype=int)
    return np.asarray(t[rows], float)


def _by_id(spec: dict[str, Any], produced: Find) -> dict[float, list[float]]:
    wanted = spec["spiketimes file"]
    file = produced(str(wanted["path"]))
    if file is None:
        raise _Missing(f"the run has not written {wanted['path']}")
    form = wanted.get("format", "ID_TIME")
    if form not in ("ID_TIME", "TIME_ID", "ID_TIME_NEST_DAT"):
        raise _Missing(f"'{form}' is no format of spike files; expected ID_TIME, TIME_ID or ID_TIME_NEST_DAT")
    if not file.read_bytes().strip():
        return {}
    rows = np.loadtxt(file, skiprows=3 if form == "ID_TIME_NEST_DAT" else 0, ndmin=2)
    ids, times = (rows[:, 1], rows[:, 0]) if form == "TIME_ID" else (rows[:, 0], rows[:, 1])
    chosen, scaling = wanted.get("ids", 0), float(wanted.get("scaling", 1))
    found: dict[float, list[float]] = {}
    for id, time in zip(ids.tolist(), times.tolist(), strict=True):
        if chosen == "*" or chosen == id:
            found.setdefault(id, []).append(time * scaling)
    return found


def _spikes(spec: dict[str, Any], produced: Find) -> Any:
    if "spiketimes file" in spec:
        found = _by_id(spec, produced)
        if len(found) != 1:
            raise _Missing(f"the file has spikes of {len(found)} cells, expected one")
        return _given(next(iter(found.values())), "observed")
    table = _series(spec, produced)
    if "spike detection" not in spec:
        return table
    how = spec["spike detection"] or {}
    return detect(table, how.get("method", "threshold"), float(how.get("threshold", 0)))


def _rate(spec: dict[str, Any], produced: Find) -> float:
    if "spiketimes file" not in spec:
        raise _Missing("OMV computes a spike rate of a 'spiketimes file' only")
    found = _by_id(spec, produced)
    if not found:
        return 0.0
    method = spec.get("method", "isi based")
    start, end = float(spec.get("start_time", 0)), float(spec.get("end_time", math.inf))
    return sum(_one_rate(times, method, start, end) for times in found.values()) / len(found)


def _one_rate(times: list[float], method: str, start: float, end: float) -> float:
    if method == "duration based":
        return sum(start <= t <= end for t in times) / (end - start)
    if method != "isi based":
        raise _Missing(f"'{method}' is no method for rates; expected 'isi based' or 'duration based'")
    inside = [b - a for a, b in pairwise(times) if start <= b <= end and start <= a <= end]
    return len(inside) / sum(inside) if inside else 0.0


def _resting(spec: dict[str, Any], produced: Find) -> float:
    return float(np.mean(_series(spec, produced)[-int(spec.get("average last", 1)) :, 1]))


def _resistance(spec: dict[str, Any], produced: Find) -> float:
    voltage, current = _series(spec, produced, "file_Vm"), _series(spec, produced, "file_VC_i")

    def mean(table: Floats, window: str) -> float:
        low, high = spec.get(window, [0.0, 0.0])
        return float(np.mean(table[(current[:, 0] >= low) & (current[:, 0] <= high), 1]))

    step = mean(current, "command window") - mean(current, "holding window")
    return (mean(voltage, "command window") - mean(voltage, "holding window")) / step


_READERS: dict[str, Callable[[dict[str, Any], Find], Any]] = {
    "spike times": _spikes,
    "spike rate": _rate,
    "resting": _resting,
    "timeseries": _series,
    "activation variables": _series,
    "input resistance": _resistance,
}
