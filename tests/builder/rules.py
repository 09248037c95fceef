"""Specifications for the tests."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.graph import Network
from nmlbridge.results import Results

CELL = {"type": "iafCell", "leakReversal": "-60 mV", "thresh": "-50 mV", "reset": "-65 mV", "C": "0.2 nF",
        "leakConductance": "0.01 uS"}  # fmt: skip
SYNAPSE = {"type": "expTwoSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "1 ms", "tauDecay": "3 ms"}


def spec(rule: dict[str, Any], sizes: tuple[int, int] = (200, 150), **more: Any) -> dict[str, Any]:
    """Two populations in a box, and one rule between them."""
    return {
        "space": {"x": [0, 500], "y": [0, 300], "z": [0, 400]},
        "cells": {"cell": CELL},
        "synapses": {"syn": SYNAPSE},
        "populations": {"A": {"cell": "cell", "number": sizes[0]}, "B": {"cell": "cell", "number": sizes[1]}},
        "connections": {"rule": {"from": "A", "to": "B", "synapse": "syn", **rule}},
        **more,
    }


def built(rule: dict[str, Any], sizes: tuple[int, int] = (200, 150), **more: Any) -> Network:
    """The network of ``spec``."""
    return build(spec(rule, sizes, **more)).network


def columns(network: Network) -> dict[str, tuple[Any, ...]]:
    """What every projection says, for comparing to the last bit."""
    return {
        p.id: tuple(None if c is None else np.ascontiguousarray(c).tobytes()
                    for name, c in p.columns().items() if name != "ids")
        for p in network.projections
    }  # fmt: skip


def run(data: dict[str, Any], ranks: int = 1) -> Results:
    """What the network and the run of a specification, which is left as it was, give."""
    made = build(copy.deepcopy(data))
    assert made.simulation is not None
    return nmlbridge.simulate_network(made.network, made.simulation, ranks=ranks)
