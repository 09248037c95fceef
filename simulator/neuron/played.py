"""Courses of imposed currents that NEURON plays itself: where its steps vary, and where CoreNEURON takes them.

Between its knots a course is linear, as ``Vector.play`` has it. cvode begins anew at each knot, so that it steps over
none; there all compartments read one played number, times a share of their own. CoreNEURON follows no pointers: it
gets the sum of all fields for each compartment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_STRAIGHT = 1e-13  # of the greatest value: how far a knot may be off the line between its neighbours, to be no knot

MECHANISM = "NmlbridgeImposed"
MOD = """NEURON {
    POINT_PROCESS NmlbridgeImposed
    RANGE share, course, i
    POINTER shared
    ELECTRODE_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
}

PARAMETER {
    share = 0 (nA)
}

ASSIGNED {
    i (nA)
    course
    shared
}

BREAKPOINT {
    i = share * shared
}
"""


def play_shares(h: Any, segments: Sequence[Any], shares: Floats, courses: Sequence[tuple[Floats, Floats]]) -> list[Any]:
    """For cvode: ``shares`` (fields, segments), nA, times the course of each field; what has to be kept alive."""
    kept: list[Any] = []
    for share, (times, values) in zip(shares, courses, strict=True):
        first = None
        for index in np.flatnonzero(share).tolist():
            process = getattr(h, MECHANISM)(segments[index])
            process.share = float(share[index])
            first = process if first is None else first
            h.setpointer(first._ref_course, "shared", process)
            kept.append(process)
        if first is not None:
            when, what = knots(times, values)
            vectors = h.Vector(what), h.Vector(when)
            vectors[0].play(first._ref_course, vectors[1], 1)
            kept.extend(vectors)
    return kept


def play_sums(h: Any, clamps: Sequence[Any], shares: Floats, courses: Sequence[tuple[Floats, Floats]]) -> list[Any]:
    """For CoreNEURON: each clamp gets the sum of its fields; what has to be kept alive."""
    times, values = together(courses)
    when = h.Vector(times)
    kept: list[Any] = [when]
    for index, clamp in enumerate(clamps):
        course = h.Vector(shares[:, index] @ values)
        course.play(clamp._ref_amp, when, 1)
        kept.append(course)
    return kept


def knots(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """A course from t = 0 on, without the points that lie on the line between their neighbours."""
    later = times > 0
    begin = float(np.interp(0.0, times, values))
    times, values = np.concatenate([[0.0], times[later]]), np.concatenate([[begin], values[later]])
    if len(times) < 3:
        return times, values
    widths, rises = np.diff(times), np.diff(values)
    span = widths[:-1] + widths[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(rises[:-1] * widths[1:] - rises[1:] * widths[:-1]) / span
    bent = ~(off <= _STRAIGHT * np.abs(values).max())  # three points at one time are kept
    kept = np.concatenate([[True], bent, [True]])
    return times[kept], values[kept]


def together(courses: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Several courses with the same times (n,), and their values (courses, n) there; a jump is two equal times."""
    bent = [knots(*course) for course in courses]
    single = np.unique(np.concatenate([times for times, _ in bent]))
    jumps = np.unique(np.concatenate([times[1:][np.diff(times) == 0] for times, _ in bent]))
    times = np.sort(np.concatenate([single, jumps]))
    before = np.concatenate([np.diff(times) == 0, [False]])
    values = np.array([
        np.where(before, np.interp(-times, -when[::-1], what[::-1]), np.interp(times, when, what))
        for when, what in bent
    ])  # fmt: skip
    return times, values


def imposed_mods(fields: Sequence[Any], variable: bool) -> Mapping[str, str]:
    """The mechanism that fields need where steps are ``variable``."""
    return {f"{MECHANISM}.mod": MOD} if len(fields) and variable else {}
