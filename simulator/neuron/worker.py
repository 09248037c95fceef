"""Runs one Program in this process: ``python -m nmlbridge.simulator.neuron.worker PROGRAM_DIR OUT_DIR [options]``.

Options: ``--library FILE`` the compiled mechanisms, ``--progress`` lines on standard output, ``--ranks N`` under
mpiexec, ``--checkpoint STEPS`` a checkpoint after every so many steps, ``--resume`` go on from the newest one,
``--serve`` do what commands on standard input say (``serve``).

A progress line is ``@nmlbridge {"phase": ..., "done": ..., "total": ...}``. After each block of steps there is
``@nmlbridge {"samples": n, "until": t}``: all ranks have written the first n samples and the spikes up to t (s). If
anything fails, the last line on standard error is ``@nmlbridge {"error": kind, "message": text, "rank": r}`` and the
exit code is not zero.

What is in OUT_DIR: ``columns.npy`` (columns, samples; SI), complete up to the last block; ``spikes-RANK.bin``, records
as ``record.SPIKE``; at the very end ``phases.json`` with "phases", "notes", "hash", "ranks" and "samples".
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import SimulatorError
from ..program import BLOCKS, LONGEST, Program, Shape
from .build import Network
from .checkpoint import Checkpoints, latest
from .coreneuron import hand_over
from .lifeline import die_with_parent
from .record import ColumnFile, Recorder, Spikes
from .scheme import Scheme
from .shares import Shares
from .stepping import stepper

MARK = "@nmlbridge "
_MEMORY = 64e6  # bytes of recorded values that wait in NEURON's Vectors


class Run:
    """One Program on one rank, phase by phase."""

    def __init__(
        self, folder: Path, out: Path, library: Path | None, ranks: int, progress: bool, every: int, resume: bool,
        serves: bool = False,
    ) -> None:
        """``every``: steps between checkpoints, 0 for none; ``serves``: commands will follow (``serve``)."""
        self.out, self.talk, self.checkpoint_steps = out, progress, every
        self.parent = os.getppid()
        self.rank = 0
        self.phases: dict[str, dict[str, float]] = {}
        self.notes: list[str] = []
        self.library = library
        self.told = 0.0
        with self._phase("build"):
            h = self.h = start_neuron(library, ranks)
            self.pc = h.ParallelContext()
            self.rank, self.ranks = int(self.pc.id()), int(self.pc.nhost())
            if self.ranks != ranks:
                raise SimulatorError(f"MPI started {self.ranks} ranks, expected {ranks}")
            self.program = Program.load(folder, mapped=True)
            self.run = self.program.spec["run"]
            self.shape = shape = Shape.of(self.program)
            self.dt, self.every, self.steps, self.columns = shape.dt, shape.every, shape.steps, shape.columns
            self.scheme = Scheme(h, self.pc, self.run, shape)
            if self.run.get("coreneuron"):
                hand_over(self.library)
            shares = Shares.load(folder, self.program, ranks)
            self.network = Network(h, self.pc, self.program, self._ticks(), shares)
            self.network.made = [] if serves else None
            self.network.build()
            if not (self.run.get("cvode") or self.run.get("coreneuron") or self.network.placement.cuts):
                self.scheme.stepper = stepper(self.library)
            self.field = self._field()
            plain = [place for place in self.program.spec.get("recordings", ()) if "field" not in place]
            self.recorder = Recorder(self.network, plain, *self.scheme.sampling())
            self.spikes = Spikes(self.network, self.program.spec.get("spikes"), out / f"spikes-{self.rank}.bin")
            self.checkpoints = Checkpoints(self.network, out, self.recorder, self.spikes, every, self.field)
            self.resumed = latest(out) if resume else None
            lengthened = int(self.pc.allreduce(self.network.lengthened, 1))
            if lengthened:
                self.notes.append(
                    f"{lengthened} connections between ranks have a delay below the step; it was raised to {self.dt} ms"
                )
            if not serves:
                self._open()

    def _field(self) -> Any:
        """What electrodes see, if there are any."""
        if "electrodes" not in self.program.spec:
            return None
        from .lfp import Field

        return Field(self.network, self.program.spec["electrodes"], self.every, self.scheme.sampling()[1])

    def _open(self) -> None:
        """Make the output files, or take those of the run that is resumed; every rank writes its own columns."""
        fresh = self.rank == 0 and self.resumed is None
        self.output = ColumnFile(self.out / "columns.npy", self.columns, self.shape.samples, create=fresh)
        self.pc.barrier()
        self.output.open()
        if self.resumed is None:
            self.spikes.open()
        self.recorder.fill_constants(self.output)

    def simulate(self) -> None:
        """Initialise and advance to the end."""
        with self._phase("simulate"):
            self.scheme.initialise()
            if self.field is not None:
                self.field.keep()
            # the number of all columns, so that chunks are the same on all ranks
            chunk = max(1, min(-(-self.steps // BLOCKS), LONGEST, int(_MEMORY / 8 / max(self.columns, 1))))
            if self.run.get("coreneuron"):  # the network is handed over and back for each chunk
                waiting = self.columns
                if self.field is not None:  # whose currents wait as well
                    waiting += int(self.pc.allreduce(self.field.count, 2))
                chunk = max(1, min(self.steps, int(_MEMORY / 8 / max(waiting, 1))))
            self.done = 0
            if self.resumed is not None:
                self.done = self.checkpoints.restore(self.resumed, self._advance)
            self._block()
            every = self.checkpoint_steps or self.steps
            while self.done < self.steps:
                mark = (self.done // every + 1) * every  # of the next checkpoint; there is none at the end
                if mark >= self.steps:
                    self._chunk(min(chunk, self.steps - self.done))
                elif self.done < mark - 1:
                    self._chunk(min(chunk, mark - 1 - self.done))
                else:
                    self.checkpoints.begin(mark)
                    self._chunk(1)
                    self.checkpoints.finish(mark)

    def _chunk(self, count: int) -> None:
        """Advance by ``count`` steps and write what they gave."""
        self._advance(count)
        self.done += count
        self._block()
        self._progress("simulate", self.done * self.dt, self.shape.duration)

    def _advance(self, count: int) -> None:
        self.scheme.advance(self.done, count)

    def _block(self) -> None:
        """Write what was recorded; when all ranks have, say so."""
        self.recorder.take(self.output)
        if self.field is not None:
            self.field.take(self.output)
        self.spikes.take()
        self.pc.barrier()
        if self.talk and self.rank == 0:
            samples = min(self.done // self.every + 1, self.shape.samples)
            if not self.done and self.scheme.tolerances:
                samples = 0  # cvode samples a little late, the first too
            _say({"samples": samples, "until": self.done * self.dt * 1e-3})

    def save(self) -> None:
        """Close the files and sum up: seconds and memory of the ranks' phases, and remarks."""
        with self._phase("save"):
            self.output.close()
            self.spikes.close()
        _write(self.out / f"rank-{self.rank}.json", [self.phases, sorted(self.recorder.not_finite)])
        self.pc.barrier()
        if self.rank == 0:
            self._summary()
        self.pc.barrier()

    def _summary(self) -> None:
        files = [self.out / f"rank-{rank}.json" for rank in range(self.ranks)]
        parts, unsound = zip(*[_read(file) for file in files], strict=True)
        phases = {
            name: {
                "seconds": max(part[name]["seconds"] for part in parts),
                "cpu": max(part[name]["cpu"] for part in parts),
                "peak_mb": sum(part[name]["peak_mb"] for part in parts),
            }
            for name in self.phases
        }
        bad = sorted({row for rows in unsound for row in rows})
        if bad:
            self.notes.append(f"{len(bad)} columns ended with values that are not finite; the first is column {bad[0]}")
        for file in files:
            file.unlink()
        summary = {"phases": phases, "notes": self.notes, "hash": self.program.hash, "ranks": self.ranks}
        summary["samples"] = self.shape.samples
        _write(self.out / "phases.json.new", summary)
        os.replace(self.out / "phases.json.new", self.out / "phases.json")

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        _reset_peak()
        start, worked = time.perf_counter(), time.process_time()
        yield
        seconds, cpu = time.perf_counter() - start, time.process_time() - worked
        self.phases[name] = {"seconds": seconds, "cpu": cpu, "peak_mb": _peak()}

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
            _say({"phase": phase, "done": done, "total": total})


def start_neuron(library: Path | None, ranks: int) -> Any:
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


def _say(word: dict[str, object]) -> None:
    sys.stdout.write(MARK + json.dumps(word) + "\n")
    sys.stdout.flush()


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _option(words: list[str], name: str) -> str | None:
    """The value behind an option, taken out of the words."""
    if name not in words:
        return None
    place = words.index(name)
    value = words.pop(place + 1)
    words.pop(place)
    return value


def main(arguments: Sequence[str]) -> int:
    """Run the Program that the arguments name; the exit code."""
    die_with_parent()
    words = list(arguments)
    library = _option(words, "--library")
    ranks, every = int(_option(words, "--ranks") or 1), int(_option(words, "--checkpoint") or 0)
    folder, out = (Path(word) for word in words if not word.startswith("--"))
    out.mkdir(parents=True, exist_ok=True)
    run: Run | None = None
    try:
        run = Run(
            folder, out, Path(library) if library else None, ranks, "--progress" in words, every, "--resume" in words,
            "--serve" in words,
        )
        if "--serve" in words:
            from .serve import serve

            serve(run)
        else:
            run.simulate()
            run.save()
        if ranks > 1:
            run.h.quit()  # ends MPI, and this process
        sys.stdout.flush()
        os._exit(0)  # everything is on disk; taking a large network apart would take longer than building it
    except BaseException as fault:
        kind = type(fault).__name__
        text = str(fault) if isinstance(fault, SimulatorError) else f"{kind}: {fault}"
        if isinstance(fault, OSError):
            text = f"cannot write {fault.filename or 'the results'}: {fault.strerror or fault}"
        word = {"error": kind, "message": text, "rank": _rank() if ranks > 1 else 0}
        sys.stderr.write("\n" + MARK + json.dumps(word) + "\n")
        sys.stderr.flush()
        if ranks > 1:
            os._exit(4)  # the other ranks wait for this one: mpiexec ends them
        return 4


def _rank() -> int:
    """This process's rank, as the launcher says it: also right before MPI is there."""
    names = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
