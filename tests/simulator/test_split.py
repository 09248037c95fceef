"""A cell split over ranks gives what the whole cell gives, up to the rounding of sums in another order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmlbridge.errors import SimulatorError, UsageError
from nmlbridge.simulator.backend import Checkpointing, RawResults
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.neuron.splitting import place
from nmlbridge.simulator.program import Program

from . import giants

pytestmark = [pytest.mark.neuron, pytest.mark.mpi]

ROUNDING = 1e-9
"""mV, of voltages of 100 mV: one solution of the matrix is good to some 1e-13 mV, and a spike makes errors grow; other
numbers are compared relative to their size. A wrong joint is seen at once: cells then part by millivolts."""


def same(split: RawResults, whole: RawResults) -> None:
    """Both have fired, equally, and recorded the same."""
    assert len(whole.spike_times) and np.isfinite(whole.columns).all()
    np.testing.assert_array_equal(split.spike_gids, whole.spike_gids)
    np.testing.assert_array_equal(split.spike_times, whole.spike_times)
    np.testing.assert_allclose(split.columns[:12], whole.columns[:12], rtol=0, atol=ROUNDING * 1e-3)
    np.testing.assert_allclose(split.columns[12:], whole.columns[12:], rtol=1e-8, atol=1e-18)


@pytest.mark.parametrize(("ranks", "order"), [(2, 0), (3, 2)])
def test_a_giant_cell_alone(launcher: None, ranks: int, order: int) -> None:
    """Under both schemes; synapses, a clamp and gap junctions between its own branches are on it."""
    program = giants.giant()
    program = replace(program, spec={**program.spec, "run": {**program.spec["run"], "second_order": order}})
    whole, split = run_program(program), run_program(program, ranks=ranks)
    assert (whole.spike_gids == 0).sum() > 1, "the cell itself fires"
    assert all(np.ptp(column) > 0 for column in whole.columns)
    assert [note for note in split.notes if "giant[0] is split over" in note] and not whole.notes
    same(split, whole)


def test_a_giant_cell_in_a_network(launcher: None) -> None:
    """Connections, gap junctions with other cells, delays below the step both ways (not of sources that have no voltage
    that other ranks could watch)."""
    program = giants.giant(others=30)
    long = program.tables["net.delay"]
    for delay in (long, np.where(program.tables["net.source"] <= 30, 0.01, long)):
        program = replace(program, tables={**program.tables, "net.delay": delay})
        assert list(place(program, 2).cuts) == [0]
        whole, split = run_program(program), run_program(program, ranks=2)
        assert len(set(whole.spike_gids.tolist())) > 20
        assert len(split.notes) == 1 and "is split over" in split.notes[0]
        same(split, whole)


def test_two_giants_on_three_ranks(launcher: None) -> None:
    program = two(giants.giant(fine=25))
    assert list(place(program, 3).cuts) == [0, 1]
    same(run_program(program, ranks=3), run_program(program))


def two(program: Program) -> Program:
    """The cell twice, the first making the second fire."""
    spec = dict(program.spec)
    giant, noise = spec["populations"]
    spec["populations"] = [{**giant, "size": 2}, {**noise, "first_gid": 2}]
    tables = dict(program.tables)
    tables["net.source"] = np.where(np.arange(60) % 10 == 0, 0, tables["net.source"] + 1)
    tables["syn.gid"] = (np.arange(60) % 10 < 5).astype(int)
    tables["gen.gid"] = tables["syn.gid"][tables["gen.index"]]
    tables["own.source"], tables["own.index"] = np.array([7, 0]), np.array([0, 1])
    spec["sources"] = [{**spec["sources"][0], "first_gid": 7}]
    return replace(program, spec=spec, tables=tables)


def test_a_checkpoint_of_a_split_cell(launcher: None, tmp_path: Path) -> None:
    """Resuming gives what an undisturbed run on the same pieces gives, to the last bit."""
    program = giants.giant(others=10)
    run = {**program.spec["run"], "duration": 12.0, "second_order": 2}
    program = replace(program, spec={**program.spec, "run": run})
    straight = run_program(program, ranks=2)

    class Stop(Exception):
        pass

    def stop(block: object) -> None:
        if (tmp_path / "out" / "checkpoint.json").exists():
            raise Stop

    with pytest.raises(Stop):
        run_program(program, ranks=2, checkpointing=Checkpointing(tmp_path, 100), follow=stop)
    with pytest.raises(UsageError, match="the same --split"):
        run_program(program, ranks=2, checkpointing=Checkpointing(tmp_path, 100, True), split="off")
    resumed = run_program(program, ranks=2, checkpointing=Checkpointing(tmp_path, 100, True))
    np.testing.assert_array_equal(resumed.spike_times, straight.spike_times)
    np.testing.assert_array_equal(resumed.columns, straight.columns)


def test_a_section_that_is_not_there_is_told_of_on_ranks(launcher: None) -> None:
    program = giants.giant()
    wrong = program.tables["syn.section"].copy()
    wrong[3] = 500
    with pytest.raises(SimulatorError, match="'syn' refers to section 500 of cell 0"):
        run_program(replace(program, tables={**program.tables, "syn.section": wrong}), ranks=2)
