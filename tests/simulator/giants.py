"""A Program with a giant cell, for the tests of cells that are split over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmlbridge.simulator.program import Program

from . import programs


def giant(others: int = 0, sections: int = 120, synapses: int = 60, fine: int = 11, **spec: Any) -> Program:
    """A cell of many sections with Hodgkin-Huxley channels all over, whose voltages begin unlike, with a clamp on its
    soma and synapses all over that sources make fire; gap junctions between two of its branches, and between it and
    ``others``, cells of one compartment that it makes fire, and that make it fire. A branch has a synapse of the cell's
    own, which spikes of another branch reach, and synapses have generators. ``fine``: compartments of a
    section, about."""
    rng = np.random.default_rng(5)
    parents = [-1] + [int(rng.integers(max(0, n - 15), n)) if n > 6 else 0 for n in range(1, sections)]
    made: list[dict[str, Any]] = [
        {"name": "soma", "L": 20.0, "diam": 20.0, "nseg": 3, "parent": -1, "parent_x": 1.0, "Ra": 100.0}]  # fmt: skip
    for number in range(1, sections):
        made.append({
            "name": f"dend{number}", "L": float(rng.uniform(30, 100)), "diam": float(rng.uniform(0.8, 2.0)),
            "nseg": int(rng.choice([fine - 2, fine, fine + 2])), "parent": parents[number], "Ra": 100.0,
            "parent_x": float(rng.choice([0.0, 0.5, 1.0])) if parents[number] == 0 or rng.random() < 0.1 else 1.0,
        })  # fmt: skip
    size = sum(section["nseg"] for section in made)
    template = programs.soma(
        id="giant", sections=made, cm="T:cm", v_init="T:v",
        inserts=[
            {"mechanism": "hh", "sections": list(range(sections)), "parameters": {"gnabar": "T:gna", "gkbar": 0.02}},
            {"mechanism": "testleak", "sections": list(range(1, sections)), "parameters": {"g": 1e-4}},
        ],
        points=[{"mechanism": "Exp2Syn", "section": 70, "x": 0.5, "parameters": {"tau1": 0.5, "tau2": 3.0, "e": 0.0}}],
        source={"kind": "voltage", "section": 0, "x": 0.5, "threshold": -10.0},
    )  # fmt: skip
    places = rng.integers(0, sections, synapses)
    small = np.arange(others) + 1
    first = 1 + others  # of the sources
    tables = {
        **programs.SOMA_TABLES, "cm": rng.uniform(0.9, 1.1, size), "v": rng.uniform(-66, -64, size),
        "gna": rng.uniform(0.05, 0.08, size),
        "stim.gid": np.zeros(1, int), "stim.section": np.zeros(1, int), "stim.x": np.full(1, 0.5),
        "syn.gid": np.concatenate([np.zeros(synapses, int), small]),
        "syn.section": np.concatenate([places, np.zeros(others, int)]), "syn.x": rng.uniform(0, 1, synapses + others),
        "net.source": np.concatenate([first + np.arange(synapses) % 5, np.zeros(others, int), small]),
        "net.index": np.concatenate([np.arange(synapses), synapses + np.arange(others), np.arange(others)]),
        "net.weight": np.full(synapses + 2 * others, 0.002), "net.delay": rng.uniform(1, 3, synapses + 2 * others),
        "gap.gid": np.concatenate([[0, 0], small, np.zeros(others, int)]),
        "gap.section": np.concatenate([[40, 90], np.zeros(others, int), places[:others]]),
        "gap.x": np.full(2 + 2 * others, 0.5), "gap.index": np.arange(2 + 2 * others),
        "peer.gid": np.concatenate([[0, 0], np.zeros(others, int), small]),
        "peer.section": np.concatenate([[90, 40], places[:others], np.zeros(others, int)]),
        "own.source": np.array([first + 5, 0]), "own.cell": np.zeros(2, int), "own.index": np.zeros(2, int),
        "own.weight": np.full(2, 0.01), "own.delay": np.array([0.5, 0.01]),
        "gen.gid": np.zeros(8, int), "gen.index": np.arange(8) * 7, "gen.weight": np.full(8, 0.001),
        "gen.delay": np.full(8, 0.2), "gen.mean": np.linspace(3, 6, 8),
        "gen.ids": np.column_stack([np.arange(8), np.full(8, 4), np.full(8, 1)]).astype(np.uint32),
        "ids": np.column_stack([np.arange(5), np.full(5, 3), np.full(5, 1)]).astype(np.uint32),
    }  # fmt: skip
    watched = [0, 1, 30, 60, 90, sections - 1]
    return Program(
        {
            "templates": [template, programs.soma(id="small")],
            "populations": [
                {"id": "giant", "template": 0, "first_gid": 0, "size": 1},
                *([{"id": "small", "template": 1, "first_gid": 1, "size": others}] if others else []),
                {"id": "noise", "artificial": "TestPoisson", "first_gid": first, "size": 5, "random": "T:ids",
                 "rng": "rng", "parameters": {"mean": 4.0}},
            ],
            "points": [
                {"id": "stim", "mechanism": "IClamp", "gid": "T:stim.gid", "section": "T:stim.section",
                 "x": "T:stim.x", "parameters": {"delay": 1.0, "dur": 1e3, "amp": 0.5}},
                {"id": "syn", "mechanism": "Exp2Syn", "gid": "T:syn.gid", "section": "T:syn.section", "x": "T:syn.x",
                 "parameters": {"tau1": 0.5, "tau2": 3.0, "e": 0.0}},
                {"id": "gap", "mechanism": "TestGap", "gid": "T:gap.gid", "section": "T:gap.section", "x": "T:gap.x",
                 "parameters": {"g": 0.002}},
            ],
            "sources": [{"cells": 0, "size": 1, "first_gid": first + 5, "section": 60, "x": 0.5, "threshold": -20.0}],
            "generators": [{"id": "gen", "mechanism": "TestPoisson", "gid": "T:gen.gid", "random": "T:gen.ids",
                            "rng": "rng", "parameters": {"mean": "T:gen.mean"},
                            "targets": {"points": "syn", "index": "T:gen.index", "weight": "T:gen.weight",
                                        "delay": "T:gen.delay"}}],
            "netcons": [{"source_gid": "T:net.source", "points": "syn", "index": "T:net.index",
                         "weight": "T:net.weight", "delay": "T:net.delay"},
                        {"source_gid": "T:own.source", "source_cell": "T:own.cell", "points": "giant",
                         "index": "T:own.index", "weight": "T:own.weight", "delay": "T:own.delay"}],
            "transfers": [{"source_gid": "T:peer.gid", "source_section": "T:peer.section", "source_x": "T:gap.x",
                           "source_variable": "v", "points": "gap", "index": "T:gap.index", "variable": "vpeer"}],
            "recordings": [
                *({"column": column, "gid": 0, "section": section, "x": x, "variable": "v", "scale": 1e-3}
                  for column, (section, x) in enumerate([(s, 0.5) for s in watched] + [(s, 0.0) for s in watched])),
                {"column": 12, "points": "syn", "index": 1, "variable": "i", "scale": 1e-9},
                {"column": 13, "gid": 0, "section": 60, "x": 0.5, "mechanism": "hh", "variable": "m"},
                {"column": 14, "gid": 0, "template_point": 0, "variable": "i", "scale": 1e-9},
                {"column": 15, "generators": "gen", "index": 3, "variable": "count"},
                {"column": 16, "points": "giant", "index": 0, "variable": "g"},
            ],
            "spikes": "all", "run": programs.run(duration=25.0), **spec,
        },
        tables, {"poisson.mod": programs.POISSON, "gap.mod": programs.GAP, "leak.mod": programs.LEAK},
    )  # fmt: skip
