"""Runs one Program in this process: ``python -m nmlbridge.simulator.neuron.worker PROGRAM_DIR OUT_DIR [options]``.

Options: ``--library FILE`` the compiled mechanisms, ``--progress`` lines on standard output, ``--ranks N`` under
mpiexec. A progress line is ``@nmlbridge {"phase": ..., "done": ..., "total": ...}``. If anything fails, the last line
on standard error is ``@nmlbridge {"error": kind, "message": text}``, the exit code is not zero, and OUT_DIR is left as
it was. What is left in OUT_DIR, written last to first: ``phases.json`` (with "notes" and "hash"), ``spike_gids.npy``,
``spike_times.npy`` (s), ``time.npy`` (s), ``columns.npy`` (columns, samples; SI).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SimulatorError
from ..program import Program
from .build import Network
from .record import ColumnFile, Recorder, Spikes

MARK = "@nmlbridge "
_CHUNKS, _LONGEST = 100, 1000  # a chunk is a hundredth of the steps, and no more than so many
_MEMORY = 64e6  # bytes of recorded values that wait in NEURON's Vectors


class Run:
    """One Program on one rank, phase by phase."""

    def __init__(self, folder: Path, out: Path, library: Path | None, ranks: int, progress: bool) -> None:
        self.out, self.partial, self.talk = out, out / ".partial", progress
        self.parent = os.getppid()
        self.phases: dict[str, dict[str, float]] = {}
        self.notes: list[str] = []
        self.told = 0.0
        with self._phase("build"):
            h = self.h = _neuron(library, ranks)
            self.pc = h.ParallelContext()
            self.rank, self.ranks = int(self.pc.id()), int(self.pc.nhost())
            if self.ranks != ranks:
                raise SimulatorError(f"MPI started {self.ranks} ranks, expected {ranks}")
            self.program = Program.load(folder)
            self.run = self.program.spec["run"]
            self._settings()
            self.network = Network(h, self.pc, self.program, self._ticks())
            self.network.build()
            cvode = self.run.get("cvode")
            self.recorder = Recorder(
                self.network,
                self.program.spec.get("recordings", ()),
                1 if cvode else self.every,
                self.dt * self.every if cvode else None,
            )
            self.spikes = Spikes(self.network, self.program.spec.get("spikes"))
            lengthened = int(self.pc.allreduce(self.network.lengthened, 1))
            if lengthened:
                self.notes.append(
                    f"{lengthened} connections between ranks have a delay below the step; it was raised to {self.dt} ms"
                )
            self._open()

    def _settings(self) -> None:
        run, h = self.run, self.h
        self.dt, self.duration = float(run["dt"]), float(run["duration"])
        self.every = int(run.get("record_every", 1))
        ratio = self.duration / self.dt
        self.steps = round(ratio) if abs(ratio - round(ratio)) < 1e-6 * max(ratio, 1) else int(ratio)
        self.samples = self.steps // self.every + 1
        h.celsius = float(run.get("celsius", 6.3))
        h.secondorder = int(run.get("second_order", 0))
        h.dt = self.dt
        self.cvode = h.CVode()
        if run.get("cvode"):
            self.cvode.active(1)
            self.cvode.atol(run["cvode"].get("atol", 1e-3))
            self.cvode.rtol(run["cvode"].get("rtol", 0.0))

    def _open(self) -> None:
        """Make the output file; every rank writes its own columns."""
        if self.rank == 0:
            self.partial.mkdir(parents=True)
        columns = len(self.program.spec.get("recordings", ()))
        self.output = ColumnFile(self.partial / "columns.npy", columns, self.samples, create=self.rank == 0)
        self.pc.barrier()
        self.output.open()
        self.recorder.fill_constants(self.output)

    def simulate(self) -> None:
        """Initialise and advance to the end."""
        with self._phase("simulate"):
            self.pc.set_maxstep(max(10.0, 2 * self.dt))
            if self.run.get("v_init") is None:
                self.h.finitialize()
            else:
                self.h.finitialize(self.run["v_init"])
            columns = max(len(self.program.spec.get("recordings", ())), 1)  # the same on all ranks, as chunks must be
            chunk = max(1, min(-(-self.steps // _CHUNKS), _LONGEST, int(_MEMORY / 8 / columns)))
            done = 0
            while done < self.steps:
                count = min(chunk, self.steps - done)
                done += count
                if self.run.get("cvode"):
                    self.pc.psolve((done + 0.25) * self.dt)
                else:
                    self.pc.psolve(self.h.t + (count + 0.5) * self.dt)  # the half keeps rounding from losing a step
                self.recorder.take(self.output)
                self._progress("simulate", done * self.dt, self.duration)
            if not self.steps:
                self.recorder.take(self.output)

    def save(self) -> None:
        """Put the ranks' parts together and move them into the output folder."""
        with self._phase("save"):
            self._progress("save", 0.0, 1.0)
            self.output.close()
            gids, times = self.spikes.arrays()
            within = times <= (self.duration + 0.5 * self.dt) * 1e-3
            np.save(self.partial / f"gids-{self.rank}.npy", gids[within], allow_pickle=False)
            np.save(self.partial / f"times-{self.rank}.npy", times[within], allow_pickle=False)
            bad = sorted(self.recorder.not_finite)
            _write(self.partial / f"notes-{self.rank}.json", bad)
            self.pc.barrier()
            if self.rank == 0:
                self._merge()
        _write(self.partial / f"phases-{self.rank}.json", self.phases)
        self.pc.barrier()
        if self.rank == 0:
            self._publish()
            self._progress("save", 1.0, 1.0)
        self.pc.barrier()

    def _merge(self) -> None:
        gids = np.concatenate([np.load(self.partial / f"gids-{rank}.npy") for rank in range(self.ranks)])
        times = np.concatenate([np.load(self.partial / f"times-{rank}.npy") for rank in range(self.ranks)])
        order = np.lexsort((gids, times))
        np.save(self.partial / "spike_gids.npy", gids[order], allow_pickle=False)
        np.save(self.partial / "spike_times.npy", times[order], allow_pickle=False)
        clock = np.arange(self.samples) * (self.dt * self.every) * 1e-3
        np.save(self.partial / "time.npy", clock, allow_pickle=False)
        bad = sorted({row for rank in range(self.ranks) for row in _read(self.partial / f"notes-{rank}.json")})
        if bad:
            self.notes.append(f"{len(bad)} columns ended with values that are not finite; the first is column {bad[0]}")

    def _publish(self) -> None:
        """Sum up the ranks' phases and move the finished files out of the partial folder, the summary last."""
        parts = [_read(self.partial / f"phases-{rank}.json") for rank in range(self.ranks)]
        phases = {
            name: {
                "seconds": max(part[name]["seconds"] for part in parts),
                "peak_mb": sum(part[name]["peak_mb"] for part in parts),
            }
            for name in self.phases
        }
        summary = {"phases": phases, "notes": self.notes, "hash": self.program.hash, "ranks": self.ranks}
        _write(self.partial / "phases.json", summary)
        for name in ("columns.npy", "time.npy", "spike_times.npy", "spike_gids.npy", "phases.json"):
            os.replace(self.partial / name, self.out / name)
        shutil.rmtree(self.partial)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        _reset_peak()
        start = time.perf_counter()
        yield
        self.phases[name] = {"seconds": time.perf_counter() - start, "peak_mb": _peak()}

    def _ticks(self) -> Any:
        """A function that counts what is built and reports it."""
        spec = self.program.spec
        total = sum(population["size"] for population in spec.get("populations", ()))
        for key, column in (("points", "gid"), ("generators", "gid"), ("netcons", "source_gid")):
            total += sum(len(self.program.column(group[column])) for group in spec.get(key, ()))
        done = 0

        def tick(count: int) -> None:
            nonlocal done
            done += count * self.ranks
            self._progress("build", min(done, total), total)

        return tick

    def _progress(self, phase: str, done: float, total: float) -> None:
        """One line at most every 0.1 s, and the last of a phase; also notices when nobody waits for this run."""
        now = time.monotonic()
        if now - self.told < 0.1 and done < total:
            return
        self.told = now
        if os.getppid() != self.parent:
            raise SimulatorError("the process that started the run is gone")
        if self.talk and self.rank == 0:
            sys.stdout.write(MARK + json.dumps({"phase": phase, "done": done, "total": total}) + "\n")
            sys.stdout.flush()


def _neuron(library: Path | None, ranks: int) -> Any:
    """NEURON's top level with the mechanisms loaded, and MPI started if there are several ranks."""
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui -nobanner"
    from neuron import h

    if ranks > 1:
        h.nrnmpi_init()
    if library is not None and not h.nrn_load_dll(str(library)):
        raise SimulatorError(f"NEURON does not load the mechanisms in {library}")
    return h


def _reset_peak() -> None:
    """Start a new measurement of peak memory, where the system can (Linux)."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")


def _peak() -> float:
    """Peak memory in MB since the last reset; of the whole process where that is not known."""
    with suppress(OSError), open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def main(arguments: Sequence[str]) -> int:
    """Run the Program that the arguments name; the exit code."""
    words = list(arguments)
    library = Path(words.pop(words.index("--library") + 1)) if "--library" in words else None
    ranks = int(words.pop(words.index("--ranks") + 1)) if "--ranks" in words else 1
    folder, out = (Path(word) for word in words if not word.startswith("--"))
    out.mkdir(parents=True, exist_ok=True)
    try:
        run = Run(folder, out, library, ranks, "--progress" in words)
        run.simulate()
        run.save()
        if ranks > 1:
            run.h.quit()  # ends MPI, and this process
        sys.stdout.flush()
        os._exit(0)  # everything is on disk; taking a large network apart would take longer than building it
    except BaseException as fault:
        shutil.rmtree(out / ".partial", ignore_errors=True)
        kind = type(fault).__name__
        text = str(fault) if isinstance(fault, SimulatorError) else f"{kind}: {fault}"
        sys.stderr.write("\n" + MARK + json.dumps({"error": kind, "message": text}) + "\n")
        sys.stderr.flush()
        if ranks > 1:
            os._exit(4)  # the other ranks wait for this one: mpiexec ends them
        return 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
