"""Features of single cells from their voltage, through eFEL, and f-I curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require

Floats = npt.NDArray[np.float64]
USUAL = ("Spikecount", "mean_frequency", "time_to_first_spike", "AP_amplitude", "AHP_depth", "AP_width",
         "ISI_CV", "adaptation_index2", "voltage_base", "steady_state_voltage")  # fmt: skip


def features(
    time: npt.ArrayLike, voltage: npt.ArrayLike, start: float, stop: float, names: Sequence[str] = USUAL
) -> dict[str, Floats | None]:
    """Electrophysiological features of a voltage trace (V, times in s) with a stimulus from ``start`` to ``stop`` (s).

    The names and units (ms, mV, Hz) are eFEL's, https://efel.readthedocs.io/en/latest/eFeatures.html. A feature that
    the trace does not have is None. Raises UsageError for an unknown name.
    """
    efel = require("efel", "analysis", "electrophysiological features")
    known = set(efel.get_feature_names())
    strange = [name for name in names if name not in known]
    if strange:
        raise UsageError(f"eFEL has no feature {', '.join(strange)}")
    t, v = np.asarray(time, float) * 1e3, np.asarray(voltage, float) * 1e3
    trace = {"T": t, "V": v, "stim_start": [start * 1e3], "stim_end": [stop * 1e3]}
    (found,) = efel.get_feature_values([trace], list(names), raise_warnings=False)
    return {name: None if found[name] is None else np.asarray(found[name], float) for name in names}


def fi_curve(
    currents: Sequence[float], trains: Sequence[npt.ArrayLike], start: float, stop: float
) -> dict[str, Floats]:
    """Rates against currents: one spike train (s) for each current (any unit), counted from ``start`` to ``stop`` (s).

    Returns arrays (currents,): "current"; "rate", spikes over the duration; "onset", the inverse of the first interval;
    "steady", the inverse of the mean of the last half of the intervals; "latency" (s). Hz; NaN where a train is short.
    """
    if len(currents) != len(trains):
        raise UsageError(f"{len(currents)} currents and {len(trains)} trains; there must be one train a current")
    if not stop > start:
        raise UsageError(f"the window from {start:g} to {stop:g} s is empty")
    rows = []
    for train in trains:
        times = np.sort(np.asarray(train, float))
        times = times[(times >= start) & (times < stop)]
        gaps = np.diff(times)
        rows.append((
            len(times) / (stop - start),
            1 / gaps[0] if len(gaps) else np.nan,
            1 / gaps[len(gaps) // 2 :].mean() if len(gaps) else np.nan,
            times[0] - start if len(times) else np.nan,
        ))  # fmt: skip
    rate, onset, steady, latency = np.array(rows, float).reshape(-1, 4).T
    return {"current": np.asarray(currents, float), "rate": rate, "onset": onset, "steady": steady, "latency": latency}
