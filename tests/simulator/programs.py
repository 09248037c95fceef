"""Small Programs written by hand, for the tests of the worker."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmlbridge.simulator.program import Program

# A Poisson source: intervals from its own Random123 stream.
POISSON = """
NEURON { ARTIFICIAL_CELL TestPoisson  RANGE mean, count  RANDOM rng }
PARAMETER { mean = 10 (ms) }
ASSIGNED { count }
INITIAL { count = 0  random_setseq(rng, 0)  net_send(-mean*log(1 - random_uniform(rng)), 1) }
NET_RECEIVE (w) {
  if (flag == 1) { count = count + 1  net_event(t)  net_send(-mean*log(1 - random_uniform(rng)), 1) }
}
"""

# One half of a gap junction.
GAP = """
NEURON { POINT_PROCESS TestGap  RANGE g, vpeer, i  NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { g = 0.001 (uS) }
ASSIGNED { v (mV) vpeer (mV) i (nA) }
BREAKPOINT { i = g*(v - vpeer) }
"""

# A leaky integrator as a density mechanism with one state.
LEAK = """
NEURON { SUFFIX testleak  RANGE g, e, q  NONSPECIFIC_CURRENT i  THREADSAFE }
UNITS { (mA) = (milliamp) (mV) = (millivolt) (S) = (siemens) }
PARAMETER { g = 0.001 (S/cm2) e = -65 (mV) }
STATE { q }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT { SOLVE states METHOD cnexp  i = g*(v - e) }
INITIAL { q = 1 }
DERIVATIVE states { q' = -q/10 }
"""

# A calcium pool that starts from what the program sets.
POOL = """
NEURON { SUFFIX testpool  USEION ca READ cai WRITE cai  RANGE start }
UNITS { (mM) = (milli/liter) }
PARAMETER { start = 0.5 (mM) }
STATE { cai (mM) }
BREAKPOINT { SOLVE states METHOD cnexp }
INITIAL { cai = start }
DERIVATIVE states { cai' = -cai/20 }
"""


def run(**changes: Any) -> dict[str, Any]:
    """The run part of a specification: 10 ms in steps of 0.025 ms."""
    return {"dt": 0.025, "duration": 10.0, "celsius": 6.3, "seed": 1, "second_order": 0, **changes}


def soma(**changes: Any) -> dict[str, Any]:
    """A template with one Hodgkin-Huxley compartment."""
    return {
        "id": "soma",
        "sections": [{"name": "soma", "L": 20.0, "diam": 20.0, "nseg": 1, "parent": -1, "parent_x": 1.0, "Ra": 100.0}],
        "cm": "T:soma_cm",
        "v_init": "T:soma_v",
        "inserts": [{"mechanism": "hh", "sections": [0], "parameters": {"gnabar": 0.12}}],
        "ions": [],
        "points": [],
        "source": {"kind": "voltage", "section": 0, "x": 0.5, "threshold": 0.0},
        **changes,
    }


def column(*values: float, dtype: type = float) -> np.ndarray:
    return np.array(values, dtype=dtype)


SOMA_TABLES = {"soma_cm": column(1.0), "soma_v": column(-65.0)}


def one_cell(**spec: Any) -> Program:
    """One Hodgkin-Huxley compartment that a current of 0.5 nA makes fire."""
    return Program(
        {
            "templates": [soma()],
            "populations": [{"id": "pop", "template": 0, "first_gid": 0, "size": 1}],
            "points": [
                {
                    "id": "stim",
                    "mechanism": "IClamp",
                    "gid": "T:gid",
                    "section": "T:section",
                    "x": "T:x",
                    "parameters": {"delay": 1.0, "dur": 100.0, "amp": "T:amp"},
                }
            ],
            "recordings": [
                {"column": 0, "gid": 0, "section": 0, "x": 0.5, "variable": "v", "scale": 1e-3},
                {"column": 1, "gid": 0, "section": 0, "x": 0.5, "mechanism": "hh", "variable": "m"},
                {"column": 2, "points": "stim", "index": 0, "variable": "i", "scale": 1e-9},
                {"column": 3, "constant": 2.0, "scale": 3.0},
            ],
            "spikes": "all",
            "run": run(),
            **spec,
        },
        {
            **SOMA_TABLES,
            "gid": column(0, dtype=int),
            "section": column(0, dtype=int),
            "x": column(0.5),
            "amp": column(0.5),
        },
    )


def ring(cells: int = 6, **spec: Any) -> Program:
    """Cells with a dendrite in a ring of synapses, driven by Poisson sources, neighbours joined by gap junctions."""
    n = cells
    index = np.arange(n)
    template = soma(
        id="cell",
        sections=[
            {"name": "soma", "L": 20.0, "diam": 20.0, "nseg": 1, "parent": -1, "parent_x": 1.0, "Ra": 100.0},
            {"name": "dend", "points": "T:dend", "nseg": 3, "parent": 0, "parent_x": 1.0, "Ra": 150.0},
        ],
        cm="T:cm",
        v_init="T:v",
        inserts=[
            {"mechanism": "hh", "sections": [0], "parameters": {}},
            {"mechanism": "testleak", "sections": [1], "parameters": {"g": "T:leak", "e": -60.0}},
        ],
    )
    tables = {
        "dend": np.array([[0, 0, 0, 3.0], [50, 0, 0, 2.0], [120, 10, 0, 1.0]]),
        "cm": column(1.0, 1.5, 1.5, 1.5),
        "v": column(-65.0, -64.0, -63.0, -62.0),
        "leak": column(1e-3, 2e-3, 3e-3),
        "gid": index,
        "dendrite": np.ones(n, dtype=int),
        "x": np.full(n, 0.5),
        "ids": np.column_stack([index, np.full(n, 7), np.full(n, 11)]).astype(np.uint32),
        "source": index,
        "next": (index + 1) % n,
        "row": index,
        "weight": np.linspace(0.004, 0.006, n),
        "delay": np.linspace(0.5, 2.0, n),
        "drive": np.full(n, 0.01),
        "none": np.zeros(n),
        # each gap junction has two halves: half k is on cell k or its neighbour, and sees the other
        "gap_gid": np.concatenate([index[:-1], index[1:]]),
        "gap_peer": np.concatenate([index[1:], index[:-1]]),
        "gap_row": np.arange(2 * (n - 1)),
        "gap_section": np.zeros(2 * (n - 1), dtype=int),
        "gap_x": np.full(2 * (n - 1), 0.5),
    }
    return Program(
        {
            "templates": [template],
            "populations": [
                {"id": "ring", "template": 0, "first_gid": 0, "size": n},
                {
                    "id": "noise",
                    "artificial": "TestPoisson",
                    "first_gid": n,
                    "size": n,
                    "parameters": {"mean": 8.0},
                    "random": "T:ids",
                    "rng": "rng",
                },
            ],
            "points": [
                {
                    "id": "syn",
                    "mechanism": "Exp2Syn",
                    "gid": "T:gid",
                    "section": "T:dendrite",
                    "x": "T:x",
                    "parameters": {"tau1": 0.5, "tau2": 3.0},
                },
                {
                    "id": "gap",
                    "mechanism": "TestGap",
                    "gid": "T:gap_gid",
                    "section": "T:gap_section",
                    "x": "T:gap_x",
                    "parameters": {"g": 0.002},
                },
            ],
            "generators": [
                {
                    "id": "drive",
                    "mechanism": "TestPoisson",
                    "gid": "T:gid",
                    "parameters": {"mean": 5.0},
                    "random": "T:ids",
                    "rng": "rng",
                    "targets": {"points": "syn", "index": "T:row", "weight": "T:drive", "delay": "T:none"},
                }
            ],
            "netcons": [
                {"source_gid": "T:source", "points": "syn", "index": "T:next", "weight": "T:weight", "delay": "T:delay"}
            ],
            "transfers": [
                {
                    "source_gid": "T:gap_peer",
                    "source_section": "T:gap_section",
                    "source_x": "T:gap_x",
                    "source_variable": "v",
                    "points": "gap",
                    "index": "T:gap_row",
                    "variable": "vpeer",
                }
            ],
            "recordings": [
                {"column": k, "gid": k, "section": 0, "x": 0.5, "variable": "v", "scale": 1e-3} for k in range(n)
            ]
            + [
                {"column": n, "points": "syn", "index": 1, "variable": "g", "scale": 1e-6},
                {"column": n + 1, "gid": 1, "section": 1, "x": 5 / 6, "mechanism": "testleak", "variable": "q"},
                {"column": n + 2, "generators": "drive", "index": 3, "variable": "count"},
                {"column": n + 3, "gid": n + 1, "artificial": True, "variable": "count"},
                {"column": n + 4, "points": "gap", "index": 0, "variable": "i", "scale": 1e-9},
                {
                    "column": n + 5,
                    "terms": [
                        {"gid": 1, "section": 0, "x": 0.5, "variable": "v", "scale": 2.0},
                        {"gid": 1, "section": 1, "x": 0.5, "variable": "v", "scale": -1.0},
                    ],
                    "scale": 1e-3,
                    "offset": 1.0,
                },
            ],
            "spikes": "all",
            "run": run(duration=50.0),
            **spec,
        },
        tables,
        {"poisson.mod": POISSON, "gap.mod": GAP, "leak.mod": LEAK},
    )
