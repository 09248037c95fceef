"""Rules in bounded memory: what grows with neither the pairs nor the connections."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

GROWS = """
import json, resource, sys
import numpy as np
from nmlbridge.builder import build

def made(number, rule):
    network = build({
        "cells": {"cell": {"type": "iafCell", "leakReversal": "-60 mV", "thresh": "-50 mV", "reset": "-65 mV",
                           "C": "0.2 nF", "leakConductance": "0.01 uS"}},
        "synapses": {"syn": {"type": "expOneSynapse", "gbase": "1 nS", "erev": "0 mV", "tauDecay": "3 ms"}},
        "populations": {"E": {"cell": "cell", "number": number}},
        "connections": {"EE": {"from": "E", "to": "E", "synapse": "syn", "weight": "uniform(0, 1)",
                               "delay": "uniform(1, 5)", "autapses": True, **rule}}}).network
    return network.projections[0]

rule, number = json.loads(sys.argv[1]), int(sys.argv[2])
made(1000, {"probability": 0.1})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
edges = made(number, rule)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
into = np.zeros(number, np.int64)
for start in range(0, len(edges), 1 << 18):
    into += np.bincount(edges.post[start : start + (1 << 18)], minlength=number)
print(json.dumps({"edges": len(edges), "grown": grown * 1024, "least": int(into.min()), "most": int(into.max())}))
"""


def _grown(rule: dict[str, object], number: int) -> dict[str, int]:
    """What one rule makes of a population, in a process of its own: edges, growth of the peak (bytes), degrees."""
    program = [sys.executable, "-c", GROWS, json.dumps(rule), str(number)]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, int] = json.loads(ran.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in other units")
@pytest.mark.parametrize(
    ("rule", "number", "least", "most"),
    [
        # each degree is binomial: 1000 of 10,000, with a deviation of 30, and six of them for the outermost of 10,000
        pytest.param({"probability": 0.1}, 10_000, 820, 1180, id="a tenth of 100,000,000 pairs"),
        pytest.param({"convergence": 1000}, 10_000, 1000, 1000, id="convergence"),
        pytest.param({"convergence": 2500}, 2500, 2500, 2500, id="convergence of the whole population"),
    ],
)
def test_memory_grows_with_neither_pairs_nor_connections(
    rule: dict[str, object], number: int, least: int, most: int
) -> None:
    """A byte for each of 100,000,000 pairs is 100 MB, columns of 10,000,000 connections 320 MB; it is 2 to 15 MB."""
    found = _grown(rule, number)
    assert least <= found["least"] and found["most"] <= most
    assert found["grown"] < 40e6, found
