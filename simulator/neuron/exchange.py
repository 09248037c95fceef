"""How long ranks take to tell each other of spikes and voltages: a program for MPI to run, and what runs it.

Ranks that lose their processor for a moment keep the others waiting, so the time of many short stretches is taken, and
the shortest but few of them are what exchanges cost where nothing disturbs them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from .launch import environment
from .mpi import launch_command

_STEPS, _STRETCHES, _PATIENCE = 20, 1500, 4.0  # s
_QUIET = 2  # percent of the stretches are taken to be undisturbed
_DT = 0.025  # ms
_MARK = "@exchange "


def measured(ranks: int = 2) -> tuple[float, float]:
    """Seconds of a step in which ``ranks`` with one cell each exchange spikes, and what voltages take more."""
    starter, extra = launch_command(ranks)
    command = [*starter, sys.executable, "-P", "-m", "nmlbridge.simulator.neuron.exchange", str(ranks)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(extra), timeout=120, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith(_MARK))
    spikes, both = json.loads(line.removeprefix(_MARK))
    return float(spikes), max(float(both - spikes), 0.0)


def main(ranks: int) -> None:
    """Cells in a ring, whose connections have a delay of one step."""
    from .worker import start_neuron

    h = start_neuron(None, ranks)
    pc = h.ParallelContext()
    gid = int(pc.id())
    cell = h.Section(name="cell")
    source = h.NetCon(cell(0.5)._ref_v, None, sec=cell)
    pc.set_gid2node(gid, gid)
    pc.cell(gid, source)
    target = h.ExpSyn(cell(0.5))
    heard = pc.gid_connect((gid + 1) % int(pc.nhost()), target)
    heard.delay, heard.weight[0] = 1.2 * _DT, 0.0  # a step and a little, which rounding cannot take below it
    h.dt = _DT
    pc.set_maxstep(10)
    spikes = _stretches(h, pc)
    pc.source_var(cell(0.5)._ref_v, gid, sec=cell)
    pc.target_var(target, target._ref_e, (gid + 1) % int(pc.nhost()))
    pc.setup_transfer()
    both = _stretches(h, pc)
    if gid == 0:
        sys.stdout.write(f"{_MARK}{json.dumps([spikes, both])}\n")
        sys.stdout.flush()
    pc.barrier()
    h.quit()


def _stretches(h: Any, pc: Any) -> float:
    """Seconds of a step in those stretches that nothing disturbs."""
    h.finitialize(-65)
    times: list[float] = []
    end, goes_on = time.perf_counter() + _PATIENCE, 1.0
    while goes_on and len(times) < _STRETCHES:
        pc.barrier()
        start = time.perf_counter()
        pc.psolve(h.t + _STEPS * _DT)
        times.append((time.perf_counter() - start) / _STEPS)
        goes_on = pc.allreduce(float(time.perf_counter() < end), 3)  # the least: all stop together
    return sorted(times)[len(times) * _QUIET // 100]


if __name__ == "__main__":
    main(int(sys.argv[1]))
