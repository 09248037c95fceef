"""Ranks that are killed at random moments: no hang, no orphan, readable results, and an exact continuation."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import SimulatorError
from nmlbridge.simulator.saving import POINTER

from .lives import ranks, wait_for, workers

pytestmark = [pytest.mark.neuron, pytest.mark.mpi, pytest.mark.slow]
EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"
KILLS = 20
LONGEST = 15.0  # s from the death of a rank to the error, on a busy machine
SHARED = {"duration": 300.0, "ranks": 2}


class Killer(threading.Thread):
    """Kills one rank of the run in ``folder``, up to ``longest`` seconds after it has begun."""

    def __init__(self, folder: Path, chance: random.Random, longest: float) -> None:
        super().__init__(daemon=True)
        self.folder, self.chance, self.longest = folder, chance, longest
        self.at: float | None = None
        self.over = threading.Event()

    def run(self) -> None:
        if wait_for(lambda: self.over.is_set() or len(ranks(self.folder)) == 2, 60):
            self.over.wait(self.chance.uniform(0, self.longest))
            victims = ranks(self.folder)
            if len(victims) == 2:
                os.kill(self.chance.choice(victims), signal.SIGKILL)
                self.at = time.monotonic()


def _readable(out: Path, whole: bytes) -> None:
    """Each file that the lost run left holds whole blocks of what an undisturbed run writes."""
    text = out / "two_populations.dat.part"
    if text.exists():
        written = text.read_bytes()
        assert written.endswith(b"\n") and whole.startswith(written)
    for path in out.glob("*.h5.part"):
        with h5py.File(path) as file:
            assert set(file) & {"spikes", "report"}
            for group in file.get("spikes", {}).values():
                assert len(group["timestamps"]) == len(group["node_ids"])


def test_ranks_killed_at_random_moments(launcher: None, tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("NMLBRIDGE_KILL_SEED", "7"))
    nmlbridge.simulate(EXAMPLE, duration=1.0)  # compiles
    began = time.monotonic()
    whole = nmlbridge.simulate(EXAMPLE, output=tmp_path / "whole", **SHARED)
    longest = time.monotonic() - began
    expected = (tmp_path / "whole" / "two_populations.dat").read_bytes()
    out, kills, named, continued = tmp_path / "out", 0, 0, 0
    while kills < KILLS or not continued:
        killer, saved = Killer(out, chance, longest), any(out.glob(f"*.checkpoint/out/{POINTER}"))
        if kills < KILLS or not saved:
            killer.start()
        began = time.monotonic()
        try:
            rest = nmlbridge.simulate(EXAMPLE, output=out, checkpoint=20.0, resume=True, record_format="both", **SHARED)
        except SimulatorError as fault:
            assert killer.at is not None, fault
            assert time.monotonic() - killer.at < LONGEST
            assert re.match(r"(rank [01]|a rank) was ended by SIGKILL", str(fault)), fault
            kills, named = kills + 1, named + str(fault).startswith("rank ")
            assert wait_for(lambda: not workers(out), 5), "a process outlived the run"
            _readable(out, expected)
            continue
        longest = time.monotonic() - began  # a machine that has less to do now: aim earlier
        killer.over.set()
        if killer.is_alive():
            killer.join()
        np.testing.assert_array_equal(rest.spikes.gid, whole.spikes.gid)
        np.testing.assert_array_equal(rest.spikes.time, whole.spikes.time)
        np.testing.assert_array_equal(rest.traces.values, whole.traces.values)
        assert (out / "two_populations.dat").read_bytes() == expected
        assert not list(out.glob("*.part")) and not list(out.glob("*.checkpoint"))
        continued += saved
    assert named >= 0.7 * KILLS  # Open MPI does not always know
