"""Activation and time constants of a compiled mechanism, measured in NEURON: whatever its file says, this is what runs.

Cells with the mechanism alone are clamped far away and then to each voltage. Three samples of a gate that relaxes as
an exponential give its time constant and where it goes (Aitken's formula).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..graph import InputList, NativeCell, NativeProcess, NativeSection, Network, Population
from ..results import Kinetics, Simulation, saved
from .run import simulate_network

_OWN = {"hh": ("m", "h", "n")}  # states of mechanisms that come with NEURON
_HOLD, _DT, _STRIDES = 2.0, 0.005, (1, 10, 100, 1000)  # ms, ms, samples
_STATE = re.compile(r"\bSTATE\s*\{([^}]*)\}")
_COMMENT = re.compile(r"\bCOMMENT\b.*?\bENDCOMMENT\b|[:?][^\n]*", re.S)
_SUFFIX = re.compile(r"\bSUFFIX\s+(\w+)")


def mechanism_kinetics(
    mechanism: str, voltage: npt.ArrayLike | None = None, mods: Mapping[str, str] | None = None,
    states: Sequence[str] = (), temperature: float = 6.3, ions: Mapping[str, Mapping[str, float]] | None = None,
) -> Kinetics:  # fmt: skip
    """Kinetics of a density mechanism at each ``voltage`` (n,) V (default: -120 to 60 mV in steps of 2).

    ``mods`` are texts of mechanisms by file name; ``states`` names the gates (default: those of its STATE block).
    ``temperature`` in degC; ``ions`` as in ``graph.NativeSection``. A gate that did not move, or does not relax as one
    exponential, has NaN. Raises UsageError for a mechanism whose gates are not known.
    """
    volts = np.linspace(-0.12, 0.06, 91) if voltage is None else np.atleast_1d(np.asarray(voltage, float))
    gates = tuple(states) or _states(mechanism, mods or {})
    millivolts = volts * 1e3
    section = NativeSection("soma", L=10.0, diam=10.0, mechanisms={mechanism: {}}, ions=dict(ions or {}))
    cell = NativeCell("cell", (section,))
    clamp = NativeProcess("clamp", "SEClamp", "input", {"rs": 1e-5, "dur1": _HOLD, "dur2": 1e9})
    away = np.where(millivolts > -40, -120.0, 40.0)
    rows = np.arange(len(volts))
    network = Network(
        "kinetics", {"cells": Population.sized("cells", "cell", len(volts))}, [],
        [InputList("clamps", "clamp", "cells", rows, values={"amp1": away, "amp2": millivolts})],
        native={"cell": cell, "clamp": clamp}, mods=dict(mods or {}), temperature=temperature + 273.15,
    )  # fmt: skip
    quantities = [f"cells[{row}]/soma(0.5)/{mechanism}/{gate}" for gate in gates for row in rows]
    first = round(_HOLD / _DT) + 3
    run = Simulation((first + 2 * _STRIDES[-1] + 1) * _DT, _DT, method="implicit", v_init=-65.0,
                     outputs=saved({"gates.dat": quantities}, []))  # fmt: skip
    found = simulate_network(network, run).traces
    steady, tau = {}, {}
    for gate in gates:
        values = np.array([found[f"cells[{row}]/soma(0.5)/{mechanism}/{gate}"] for row in rows])
        steady[gate], tau[gate] = _relaxation(values[:, first:])
    return Kinetics(mechanism, volts, steady, tau)


def suffixes(mods: Mapping[str, str]) -> list[str]:
    """The names of the density mechanisms in texts of mechanisms."""
    return [found[1] for text in mods.values() if (found := _SUFFIX.search(_COMMENT.sub("", text)))]


def _relaxation(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where each row (n, samples) goes, and its time constant (n,) s: samples about a time constant apart tell best."""
    goal, constant = values[:, -1].copy(), np.full(len(values), np.nan)
    for stride in _STRIDES:
        a, b, c = values[:, 0], values[:, stride], values[:, 2 * stride]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (c - b) / (b - a)
            found = -stride * _DT * 1e-3 / np.log(ratio)
            end = a + (b - a) / (1 - ratio)
        usable = (np.abs(b - a) > 1e-12) & (ratio > 0) & (ratio < 1)
        # a longer stride is better as long as it is not beyond the time constant found so far
        better = usable & (np.isnan(constant) | (stride * _DT * 1e-3 <= constant))
        constant[better], goal[better] = found[better], end[better]
    return goal, constant


def _states(mechanism: str, mods: Mapping[str, str]) -> tuple[str, ...]:
    for text in mods.values():
        plain = _COMMENT.sub("", text)
        suffix, block = _SUFFIX.search(plain), _STATE.search(plain)
        if suffix and suffix[1] == mechanism and block:
            named = re.sub(r"\([^)]*\)|\bFROM\b\s*\S+\s*\bTO\b\s*\S+|<[^>]*>", "", block[1])
            return tuple(re.findall(r"[A-Za-z_]\w*", named))
    if mechanism in _OWN:
        return _OWN[mechanism]
    known = ", ".join((*_OWN, *suffixes(mods)))
    raise UsageError(f"the gates of the mechanism '{mechanism}' are not known; there are {known}; or name its states")
