"""Ranks that hold parts of different kinds go on together: none waits for another in vain."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .rules import CELL, SYNAPSE

pytestmark = [pytest.mark.neuron, pytest.mark.mpi]

BALL = {"sections": {"soma": {"length": 20, "diameter": 20}}, "biophysics": {
    "v_init": -65, "mechanisms": {"channels": {"neuron": "hh"}}}}  # fmt: skip
RUN = {"duration": 100, "dt": 0.1}
MODELS: dict[str, dict[str, Any]] = {
    "sources only, but for one cell": {
        "cells": {"cell": CELL, "beat": {"type": "spikeGenerator", "period": "7 ms"}}, "synapses": {"syn": SYNAPSE},
        "populations": {"S": {"cell": "beat", "number": 12, "vary": {"period": "uniform(5 ms, 9 ms)"}},
                        "C": {"cell": "cell", "number": 1}},
        "connections": {"SC": {"from": "S", "to": "C", "pattern": "all_to_all", "synapse": "syn", "weight": 3,
                               "delay": 1}},
    },
    "no cell with a voltage at all": {
        "cells": {"beat": {"type": "spikeGenerator", "period": "7 ms"}, "unit": {"neuron": "IntFire1", "tau": 20}},
        "populations": {"S": {"cell": "beat", "number": 5}, "U": {"cell": "unit", "number": 4}},
        "connections": {"SU": {"from": "S", "to": "U", "probability": 0.7, "weight": 0.4, "delay": "uniform(1, 3)"}},
    },
    "a field on one cell": {
        "cells": {"ball": BALL}, "synapses": {"syn": SYNAPSE}, "space": {"x": [0, 100], "y": [0, 100], "z": [0, 100]},
        "populations": {"B": {"cell": "ball", "number": 2}},
        "connections": {"BB": {"from": "B", "to": "B", "pattern": "all_to_all", "synapse": "syn", "weight": 5,
                               "delay": 2}},
        "stimuli": {"push": {"type": "pulse", "to": "B[0]", "amplitude": 0.3, "duration": 100},
                    "field": {"type": "uniform_field", "to": "B[1]", "direction": [0, 1, 0], "amplitude": 5}},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_uneven_ranks_end_with_the_same_spikes(name: str, launcher: None, tmp_path: Path) -> None:
    """In a process of its own, which is ended if ranks wait for each other."""
    (tmp_path / "model.json").write_text(json.dumps(copy.deepcopy(MODELS[name]) | {"name": "net", "run": RUN}))
    spikes = []
    for ranks in (1, 2, 3):
        folder = tmp_path / f"on_{ranks}"
        subprocess.run([sys.executable, "-m", "nmlbridge", "run", "model.json", "-n", str(ranks), "-o", str(folder)],
                       cwd=tmp_path, check=True, capture_output=True, timeout=120)  # fmt: skip
        spikes.append(sorted((folder / "net.spikes").read_text().splitlines()))
    assert len(spikes[0]) > 4 and spikes[1] == spikes[0] and spikes[2] == spikes[0]
