"""Spike times of VecStim populations: given, regular or noisy, patterns and pulses, from NetPyNE's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from .instance import Cell
from .patterns import events_of
from .sections import number
from .streams import Floats, Stream, of_text

if TYPE_CHECKING:
    from .rules import Model

_MOST = 10_000  # events that NetPyNE draws of one cell

GIVEN_MOD = "vecstim.mod"
"""the file name of GIVEN"""

GIVEN = """: VecStim: sends events at the times of a Vector, which NetPyNE hands over with play
NEURON {
    ARTIFICIAL_CELL VecStim
    POINTER given
}

ASSIGNED {
    given
    row
    due (ms)
}

INITIAL {
    row = 0
    choose()
    if (row > 0) {
        net_send(due - t, 1)
    }
}

NET_RECEIVE(w) {
    if (flag == 1) {
        net_event(t)
        choose()
        if (row > 0) {
            net_send(due - t, 1)
        }
    }
}

: the next time and the row after it; the row is -1 if none is left
PROCEDURE choose() {
VERBATIM
    IvocVect* times = reinterpret_cast<IvocVect*>(_p_given);
    int at = static_cast<int>(row);
    if (times && at >= 0 && at < vector_capacity(times)) {
        due = vector_vec(times)[at];
        row = at + 1;
    } else {
        row = -1;
    }
ENDVERBATIM
}

PROCEDURE play() {
VERBATIM
    _p_given = ifarg(1) ? static_cast<void*>(vector_arg(1)) : nullptr;
ENDVERBATIM
}
"""


def spike_times(model: Model, cell: Cell, given: Any, row: int, label: str) -> list[float]:
    """The events (ms) of one VecStim up to the end of the run, sorted."""
    params = cell.params
    duration = number(model.config.get("duration", 1000.0), "simConfig", "duration", model.file)
    given = params.get("spkTimes", given)
    if "rate" in params and isinstance(params["rate"], list):
        low, high = params["rate"]
        params["rate"] = model.stream("cell", of_text("point_rate"), cell.gid, model.seeds["stim"]).uniform(low, high)
    if "rate" in params or "interval" in params:
        interval = 1000.0 / params["rate"] if "rate" in params else params["interval"]
        noise, start = params.get("noise", 0.0), params.get("start", 0.0)
        fixed = np.full(int((1 + 1.5 * noise) * duration / interval), (1.0 - noise) * interval)
        if noise == 0.0:
            times = np.cumsum(fixed) + (start - interval)
        else:
            stream = model.stream("train", of_text("vecstim_spkt"), cell.gid, params["seed"])
            times = np.cumsum(fixed + _gaps(stream, noise * interval, len(fixed), label)) + (
                start - interval * (1 - noise)
            )
    elif "spikePattern" in params:
        times = events_of(model, cell, label)
    elif isinstance(given, list):
        times = np.array(given[row] if given and isinstance(given[0], list) else given, dtype=float)
    else:
        raise model.error(f"popParams.{label}: a VecStim needs interval, rate or spkTimes")
    for serial, pulse in enumerate(params.get("pulses") or ()):
        times = np.append(times, _pulse(model, cell, pulse, serial, label))
    times[times < 0] = 0
    times = np.sort(times)
    found: list[float] = times[times <= duration].tolist()
    return found


def _gaps(stream: Stream, mean: float, count: int, label: str) -> Floats:
    """Exponential gaps; the first number is that of setting the distribution."""
    if count >= _MOST:
        raise UnsupportedError(f"popParams.{label}: {count} events of one VecStim; NetPyNE makes fewer than {_MOST}")
    stream.next()
    return np.array([stream.negexp(mean) for _ in range(count)])


def _pulse(model: Model, cell: Cell, pulse: dict[str, Any], serial: int, label: str) -> Floats:
    if not {"start", "end"} <= set(pulse) or not {"interval", "rate"} & set(pulse):
        raise model.error(f"popParams.{label}: a pulse needs start, end, and rate or interval")
    pulse_rate: Any = pulse.get("rate")
    if isinstance(pulse_rate, list):
        stream = model.stream("pulse rate", of_text(f"point_rate_pulse{serial}"), cell.gid, model.seeds["stim"])
        pulse_rate = stream.uniform(*pulse_rate)
    interval = pulse["interval"] if "interval" in pulse else 1000.0 / pulse_rate
    noise, start, end = pulse.get("noise", 0.0), pulse["start"], pulse["end"]
    fixed = np.full(int((1 + 1.5 * noise) * (end - start) / interval), (1.0 - noise) * interval)
    if noise == 0.0:
        times = np.cumsum(fixed) + (start - interval)
    else:
        gaps = _gaps(model.stream("pulse", serial, cell.gid, cell.params["seed"]), noise * interval, len(fixed), label)
        times = np.cumsum(fixed + gaps) + (start - interval * (1 - noise))
    times[times < start] = start
    return times[times <= end]
