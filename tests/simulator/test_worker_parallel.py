"""The same Program on one rank and on several: the same spikes and traces, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmlbridge.errors import SimulatorError, UsageError
from nmlbridge.simulator.neuron import mpi
from nmlbridge.simulator.neuron.launch import run_program

from . import programs

pytestmark = pytest.mark.neuron


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_do_not_change_the_results(launcher: None, ranks: int) -> None:
    serial, parallel = run_program(programs.ring()), run_program(programs.ring(), ranks=ranks)
    assert parallel.ranks == ranks and parallel.hash == serial.hash
    assert len(serial.spike_times) > 20
    np.testing.assert_array_equal(parallel.spike_gids, serial.spike_gids)
    np.testing.assert_array_equal(parallel.spike_times, serial.spike_times)
    np.testing.assert_array_equal(parallel.columns, serial.columns)


@pytest.mark.mpi
@pytest.mark.parametrize("delay", [0.0, 0.01])
def test_a_delay_below_the_step_is_kept_between_ranks(launcher: None, delay: float) -> None:
    """The receiving rank watches a copy of the sender's voltage."""
    program = programs.ring()
    program = replace(program, tables={**program.tables, "delay": np.full(6, delay)})
    serial, parallel = run_program(program), run_program(program, ranks=3)
    assert parallel.notes == ()
    np.testing.assert_array_equal(parallel.spike_gids, serial.spike_gids)
    np.testing.assert_array_equal(parallel.spike_times, serial.spike_times)
    np.testing.assert_array_equal(parallel.columns, serial.columns)


@pytest.mark.mpi
def test_a_delay_below_the_step_is_lengthened_with_variable_steps_and_noted(launcher: None) -> None:
    program = programs.ring()
    spec = {**program.spec, "run": {**program.spec["run"], "cvode": {"atol": 1e-3, "rtol": 0.0}}}
    program = replace(program, spec=spec, tables={**program.tables, "delay": np.zeros(6)})
    results = run_program(program, ranks=2)
    assert len(results.notes) == 1 and "connections between ranks have a delay below the step" in results.notes[0]


@pytest.mark.mpi
def test_a_delay_of_exactly_one_step_is_as_good_as_any(launcher: None) -> None:
    program = programs.ring()
    program = replace(program, tables={**program.tables, "delay": np.full(6, 0.025)})
    serial, parallel = run_program(program), run_program(program, ranks=2)
    assert parallel.notes == ()
    np.testing.assert_allclose(parallel.columns[:6], serial.columns[:6], rtol=0, atol=1e-9)
    np.testing.assert_allclose(parallel.spike_times, serial.spike_times, rtol=0, atol=1e-9)


@pytest.mark.mpi
def test_a_failure_of_one_rank_ends_all(launcher: None) -> None:
    program = programs.ring(recordings=[{"column": 0, "gid": 3, "section": 9, "x": 0.5, "variable": "v"}])
    with pytest.raises(SimulatorError, match="section 9"):
        run_program(program, ranks=2)


def test_without_mpi_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi, "find_launcher", lambda: None)
    with pytest.raises(UsageError, match=r"pip install 'nmlbridge\[mpi\]'"):
        run_program(programs.one_cell(), ranks=2)
    with pytest.raises(UsageError, match="at least 1"):
        run_program(programs.one_cell(), ranks=0)


@pytest.mark.mpi
def test_a_rank_that_cannot_help_is_remarked_on(launcher: None) -> None:
    results = run_program(programs.one_cell(), ranks=3)
    assert any("it is not split over ranks" in note and "there are 3" in note for note in results.notes)
    np.testing.assert_array_equal(results.columns, run_program(programs.one_cell()).columns)
