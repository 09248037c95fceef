"""NetStims and clamps: their words in NetPyNE, and their parameters in NEURON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedError
from .sections import number
from .streams import rate_of

VARIABLE = "variable"
"""the rate of a NetStim that is to be changed while the network runs"""
CHANGING = "NSLOC"
"""the mechanism, of the model's mod files, that NetPyNE takes for it"""
SELDOM = 0.1**-1 * 1e3
"""ms; the interval that it begins with"""
_STIM_WORDS = {"source", "type", "label", "loc", "sec", "hObj"}


def netstim_of(stim: Mapping[str, Any], gid: int, file: str | None) -> tuple[str, dict[str, float]]:
    """The mechanism of a NetStim, and its parameters as NEURON has them. NetPyNE states the rate in Hz."""
    where = f"{gid}"
    noise = number(stim.get("noise", 0.0), where, "noise", file)
    count = number(stim.get("number", 1e9), where, "number", file)
    if stim.get("rate") == VARIABLE:
        return CHANGING, {"interval": SELDOM, "noise": noise, "number": count}
    if isinstance(stim.get("rate"), str):
        raise UnsupportedError(f"cell {gid}: the stimulus rate is '{stim['rate'][:40]}'; expected a number (Hz) or "
                               f"'{VARIABLE}'")  # fmt: skip
    if stim.get("rate") is not None:
        interval = number(stim["rate"], where, "rate", file) ** -1 * 1e3
    else:
        interval = number(stim.get("interval"), where, "interval", file)
    start = number(stim.get("start", 0.0), where, "start", file)
    return "NetStim", {"interval": interval, "noise": noise, "start": start, "number": count}


def stated_netstim(mechanism: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The words of a NetStim with parameters of NEURON's; None for another source of events."""
    if mechanism == CHANGING and values.get("interval") == SELDOM and "start" not in values:
        return {"rate": VARIABLE, "start": 0, **{word: values[word] for word in ("noise", "number")}}
    if mechanism != "NetStim":
        return None
    return {
        "rate": rate_of(values.get("interval", 10.0)), "noise": values.get("noise", 0.0),
        "start": values.get("start", 50.0), "number": values.get("number", 10.0),
    }  # fmt: skip


def clamp_of(stim: Mapping[str, Any], gid: int, file: str | None) -> dict[str, float]:
    """The parameters of a clamp or another process that acts by itself; those of an array each by its index."""
    found = {}
    for name, value in stim.items():
        if name in _STIM_WORDS or value is None:
            continue
        if isinstance(value, list):
            for index, one in enumerate(value):
                found[f"{name}[{index}]"] = number(one, str(gid), name, file)
        else:
            found[name] = number(value, str(gid), f"{stim.get('type')} {name}", file)
    return found
