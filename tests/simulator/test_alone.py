"""The network clamp on whole models: one cell, with the input that it had, does to the last bit what it did.

No tolerance is needed: the clamp takes the same steps of the same equations, with the events at the same times and in
their order, so that every sum is rounded alike. Events that came from cells of other ranks are in that order, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge import Session
from nmlbridge.graph import Network
from nmlbridge.results import Simulation, saved

from ..converters.netpyne_models import CONFIGS, MODELS, MODS

pytestmark = pytest.mark.neuron


def _clamped(network: Network, duration: float, cells: list[str], ranks: int = 1) -> None:
    spikes = [f"{p.id}[{row}]" for p in network.populations.values() for row in range(p.size)]
    outputs = saved({"v.dat": [f"{cell}/v" for cell in cells]}, spikes)
    simulation = Simulation(duration, 0.025, method="implicit", outputs=outputs)
    with Session(network, simulation, ranks=ranks) as session:
        whole = session.run()
        for cell in cells:
            population, _, row = cell.rstrip("]").partition("[")
            onto = [p for p in network.projections if p.postsynaptic == population and (p.post == int(row)).any()]
            assert onto
            with session.alone(cell) as alone:
                one = alone.run()
                assert np.array_equal(one[f"{cell}/v"], whole[f"{cell}/v"])
                assert np.ptp(one[f"{cell}/v"]) > 1e-3
                times = whole.spikes.of(population, int(row))
                assert len(one.spikes) == len(times) and np.array_equal(one.spikes.time, times)
                for projection in onto:  # so these events are what it got
                    alone.set_weights(projection.id, 0.0)
                assert not np.array_equal(alone.run()[f"{cell}/v"], whole[f"{cell}/v"])


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_cells_of_a_published_network(corpus: Path, ranks: int) -> None:
    """Traub's cells in ACnet2, 60 cells with 984 connections."""
    file = corpus / "ACnet2/neuroConstruct/generatedNeuroML2/MediumNet.net.nml"
    if not file.is_file():
        pytest.skip("the corpus has no ACnet2")
    _clamped(nmlbridge.read(file), 150.0, ["pyramidals_48[5]", "baskets_12[2]"], ranks=ranks)


@pytest.mark.parametrize(("name", "cells"), [("layers", ["E4[7]", "I5[3]"]), ("dendrites", ["M[2]"])])
def test_cells_of_netpynes_tutorials(name: str, cells: list[str], tmp_path: Path) -> None:
    """With noise of NetStims, whose streams go on as they did."""
    model: dict[str, Any] = {"net": {"params": MODELS[name]}, "simConfig": CONFIGS[name]}
    (tmp_path / "model.json").write_text(json.dumps(model))
    _clamped(nmlbridge.read(tmp_path / "model.json"), 80.0, cells)


def test_cells_of_a_hybrid_network(tmp_path: Path) -> None:
    (tmp_path / "mod").mkdir()
    for name, text in MODS.items():
        (tmp_path / "mod" / name).write_text(text)
    model = {"net": {"params": MODELS["hybrid"]}, "simConfig": CONFIGS["hybrid"]}
    (tmp_path / "model.json").write_text(json.dumps(model))
    network = nmlbridge.read(tmp_path / "model.json", allow=("mods",))
    onto = {p.postsynaptic: int(p.post[0]) for p in network.projections}
    _clamped(network, 100.0, [f"{population}[{row}]" for population, row in onto.items()])
