"""Runs a Program in this process and writes its text files: the runner of a project that needs NEURON alone.

``project`` copies this file, and those that it imports, beside a model; nothing else of nmlbridge is there then.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SimulatorError
from ..program import Program, Shape
from .build import Network
from .record import SPIKE, ColumnFile, Recorder, Spikes
from .scheme import Scheme

DIGITS = 10  # significant, of the numbers in tables
_CHUNK = 1000  # steps between two looks at what was recorded


def main(project: Path, arguments: Sequence[str]) -> int:
    """Compile the mechanisms if that was not done, simulate, write the files below ``-o``; the exit code."""
    words = list(arguments)
    try:
        out, duration = Path(_option(words, "-o") or "results"), _option(words, "--duration")
        mpi = "--mpi" in words
        if [word for word in words if word != "--mpi"]:
            raise SimulatorError("options: -o FOLDER, --duration MS, --mpi")
        _Run(project, out, mpi, None if duration is None else float(duration)).run()
    except (SimulatorError, OSError, ValueError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 4
    return 0


def _option(words: list[str], name: str) -> str | None:
    """The value behind an option, taken out of the words."""
    if name not in words:
        return None
    place = words.index(name)
    if place + 1 == len(words):
        raise SimulatorError(f"{name} needs a value")
    value = words.pop(place + 1)
    words.pop(place)
    return value


def _library(project: Path, needed: bool) -> Path | None:
    """The compiled mechanisms; nrnivmodl makes them beside the model at the first run."""
    if not needed:
        return None
    build = project / "compiled"  # a folder of its own: NEURON loads by itself what lies where it is started
    found = list(build.glob("*/**/libnrnmech.*"))
    if not found:
        beside = Path(sys.executable).with_name("nrnivmodl")
        tool = str(beside) if beside.is_file() else shutil.which("nrnivmodl")
        if tool is None:
            raise SimulatorError("there is no nrnivmodl; install NEURON (pip install neuron)")
        build.mkdir(exist_ok=True)
        done = subprocess.run([tool, "../model/mod"], cwd=build, capture_output=True, text=True)
        found = list(build.glob("*/**/libnrnmech.*"))
        if done.returncode or not found:
            raise SimulatorError(f"nrnivmodl failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return found[0]


class _Run:
    def __init__(self, project: Path, out: Path, mpi: bool, duration: float | None) -> None:
        os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui -nobanner")
        from neuron import h

        program = Program.load(project / "model", mapped=True)
        if duration is not None:
            spec = {**program.spec, "run": {**program.spec["run"], "duration": duration}}
            program = Program(spec, program.tables, program.mods)
        self.h: Any = h
        self.project, self.program, self.out, self.shape = project, program, out, Shape.of(program)
        if mpi:
            h.nrnmpi_init()
        self.pc = h.ParallelContext()
        if self.pc.id() == 0:
            _library(project, bool(program.mods))
        self.pc.barrier()  # one rank compiles
        library = _library(project, bool(program.mods))
        if library is not None and not h.nrn_load_dll(str(library)):
            raise SimulatorError(f"NEURON does not load {library}")
        self.scheme = Scheme(h, self.pc, program.spec["run"], self.shape)

    def run(self) -> None:
        """Build, advance, write."""
        h, pc, shape = self.h, self.pc, self.shape
        rank = int(pc.id())
        work = self.out / ".work"
        work.mkdir(parents=True, exist_ok=True)
        network = Network(h, pc, self.program)
        network.build()
        recorder = Recorder(network, self.program.spec.get("recordings", ()), *self.scheme.sampling())
        spikes = Spikes(network, self.program.spec.get("spikes"), work / f"spikes-{rank}.bin")
        columns = ColumnFile(work / "columns.npy", shape.columns, shape.samples, create=rank == 0)
        pc.barrier()
        columns.open()
        spikes.open()
        recorder.fill_constants(columns)
        self.scheme.initialise()
        done = 0
        recorder.take(columns)
        while done < shape.steps:
            count = min(_CHUNK, shape.steps - done)
            self.scheme.advance(done, count)
            done += count
            recorder.take(columns)
            spikes.take()
        columns.close()
        spikes.close()
        pc.barrier()
        if rank == 0:
            self.write(json.loads((self.project / "model" / "files.json").read_text()), work, int(pc.nhost()))
            shutil.rmtree(work)
        pc.barrier()
        if pc.nhost() > 1:
            h.quit()

    def write(self, files: dict[str, Any], work: Path, ranks: int) -> None:
        """Tables: time (s) and columns in SI units, tab-separated. Events: an id and a time (s) a line."""
        shape = self.shape
        clock = np.arange(shape.samples) * (shape.every * shape.dt * 1e-3)
        values = np.load(work / "columns.npy", allow_pickle=False)
        for table in files["tables"]:
            path = self.out / table["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = np.stack([clock, *(values[row] for row in table["rows"])], axis=1)
            np.savetxt(path, rows, fmt=f"%.{DIGITS - 1}e", delimiter="\t")
            sys.stdout.write(f"{path}: {len(table['rows'])} columns\n")
        parts = [np.fromfile(work / f"spikes-{rank}.bin", SPIKE) for rank in range(ranks)]
        events = np.concatenate(parts)
        events = events[np.lexsort((events["gid"], events["time"]))]
        for table in files["events"]:
            path = self.out / table["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            ids: dict[int, list[str]] = {}
            for id, gid in table["ids"]:
                ids.setdefault(gid, []).append(id)
            with path.open("w") as stream:
                for gid, time in events.tolist():
                    for id in ids.get(gid, ()):
                        pair = (id, f"{time:.{DIGITS}g}")
                        stream.write("\t".join(pair if table["format"] == "ID_TIME" else pair[::-1]) + "\n")
            sys.stdout.write(f"{path}\n")
