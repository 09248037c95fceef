"""Programs written by hand, run by the worker."""

from __future__ import annotations

import pytest

from nmlbridge.simulator.neuron.launch import run_program

from . import programs

pytestmark = pytest.mark.neuron


def test_one_cell_fires() -> None:
    results = run_program(programs.one_cell())
    assert len(results.spike_times) == 1
