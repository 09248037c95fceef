"""Where a run's results go while it goes on, and what lets a long run survive: files in blocks, and checkpoints."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SimulatorError, UnsupportedError, UsageError
from ..report import Report
from ..results import Outputs
from ..results.formats.run import write_manifest
from ..results.lems import LemsStream
from ..results.stream import SonataStream, Stream
from .backend import Block, Checkpointing
from .program import Program, Shape

FORMATS = {"lems": (True, False), "sonata": (False, True), "both": (True, True)}
"""Formats of the files that a run writes: whether each has LEMS's own text files, and SONATA's."""

POINTER = "checkpoint.json"  # the file in a run's folder that says that there is a checkpoint
After = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Saving:
    """What to write: ``output`` the folder (None: nothing), ``record_format`` a key of FORMATS.

    ``checkpoint`` is the time (ms) between checkpoints, None for none; ``resume`` goes on from the newest one;
    ``name`` is that of the model's file, after which the folder of checkpoints is called. Raises UsageError for what
    does not go together.
    """

    output: Path | None = None
    record_format: str = "lems"
    checkpoint: float | None = None
    resume: bool = False
    name: str = "run"

    def __post_init__(self) -> None:
        if self.record_format not in FORMATS:
            raise UsageError(f"there is no record format '{self.record_format}'; there are {', '.join(FORMATS)}")
        if self.output is None and (self.checkpoint is not None or self.resume):
            raise UsageError("checkpoints are kept in the output folder; say which it is")

    @property
    def survives(self) -> bool:
        """Whether the run has checkpoints, or is to go on from one."""
        return self.checkpoint is not None or self.resume

    def checkpointing(self, program: Program) -> Checkpointing | None:
        """For a Program; UnsupportedError if its state cannot be kept."""
        if not self.survives or self.output is None:
            return None
        shape = Shape.of(program)
        if program.spec["run"].get("cvode"):
            raise UnsupportedError("a run of variable steps (cvode) cannot be resumed exactly; choose a --method")
        for name, text in program.mods.items():
            if "VERBATIM" in text:
                raise UnsupportedError(f"{name} has C code of its own, whose state a checkpoint cannot keep")
            if _DENSITY.search(text) and random_variables(text)[1]:
                raise UnsupportedError(f"{name} draws random numbers inside a membrane; a checkpoint cannot keep them")
        steps = 0 if self.checkpoint is None else max(1, round(self.checkpoint / shape.dt))
        return Checkpointing(self.output / f"{self.name}.checkpoint", steps, self.resume)

    def resumable(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.output is not None and (self.output / f"{self.name}.checkpoint" / "out" / POINTER).is_file()

    def tidy(self) -> None:
        """Take away the checkpoints of a run whose files are complete."""
        if self.survives and self.output is not None:
            shutil.rmtree(self.output / f"{self.name}.checkpoint", ignore_errors=True)

    def refuse(self, who: str) -> None:
        """UsageError if checkpoints are asked of a backend that has none."""
        if self.survives:
            raise UsageError(f"{who} has no checkpoints; leave out --checkpoint and --resume")


@dataclass
class Files:
    """The files of one run, written as it goes on: ``follow`` takes its blocks. ``seconds`` is what that took."""

    streams: Sequence[Stream]
    after: dict[int, After] = field(default_factory=dict)
    seconds: float = 0.0
    manifest: Callable[[Sequence[Path]], object] | None = None

    def follow(self, block: Block) -> None:
        """Write a block; SimulatorError if it cannot be, with all earlier ones whole."""
        start = time.perf_counter()
        for row, change in self.after.items():
            block.columns[row] = change(block.columns[row])
        try:
            for stream in self.streams:
                stream.write(block.time, block.columns, block.spike_gids, block.spike_times)
        except OSError as fault:
            raise _unwritten(fault) from fault
        self.seconds += time.perf_counter() - start

    def finish(self) -> tuple[Path, ...]:
        """All is there: give the files their names, and say in a manifest what they are."""
        files = tuple(path for stream in self.streams for path in stream.finish())
        if files and self.manifest is not None:
            self.manifest(files)
        return files

    def discard(self) -> None:
        """Take away what was written."""
        for stream in self.streams:
            stream.discard()

    def abandon(self, fault: BaseException, resume: bool) -> None:
        """The run has ended early: keep what there is, and add a note to the fault that says where."""
        left = [path for stream in self.streams for path in stream.abandon()]
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            fault.add_note(f"what was recorded until then is in {left[0]}{more}")
        if resume:
            fault.add_note("the same command with --resume goes on from the last checkpoint")


def open_files(
    saving: Saving, outputs: Outputs, quantities: Sequence[str], units: Sequence[str], gids: dict[str, int],
    populations: dict[str, tuple[int, int]], clock: tuple[int, float], report: Report, digits: int | None,
    provenance: Mapping[str, Any],
) -> Files:  # fmt: skip
    """Make the files of a run; ``clock`` is the number of samples and the time (s) between them."""
    files = Files([])
    if saving.output is None:
        return files
    lems, sonata = FORMATS[saving.record_format]
    streams: list[Stream] = []
    try:
        if lems:
            streams.append(LemsStream(outputs, saving.output, quantities, gids, digits, saving.resume, units))
        if sonata:
            streams.append(SonataStream(saving.output, populations, quantities, units, *clock, report, saving.resume))
    except BaseException as fault:
        for stream in streams:
            stream.abandon()
        if isinstance(fault, OSError):
            raise _unwritten(fault) from fault
        raise
    files.streams = streams
    folder = saving.output

    def manifest(written: Sequence[Path]) -> None:
        own = set(streams[0].paths.values()) if isinstance(streams[0], LemsStream) else set()
        write_manifest(folder, saving.name, outputs if lems else None, [one for one in written if one not in own],
                       dict(zip(quantities, units, strict=True)), gids, populations, provenance)  # fmt: skip

    files.manifest = manifest
    return files


_DENSITY = re.compile(r"^[^:]*\bSUFFIX\s", re.MULTILINE)
_MECHANISM = re.compile(r"^[^:]*\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)", re.MULTILINE)
_RANDOM = re.compile(r"^[^:]*?\bRANDOM[ \t]+(\w+(?:[ \t]*,\s*\w+)*)", re.MULTILINE)


def random_variables(text: str) -> tuple[str, list[str]]:
    """The name of the mechanism in a mod file, and its RANDOM variables."""
    found = _MECHANISM.search(text)
    names = [name for several in _RANDOM.findall(text) for name in re.split(r"[\s,]+", several)]
    return found.group(1) if found else "", names


def _unwritten(fault: OSError) -> SimulatorError:
    name: Any = fault.filename
    what = f"cannot write {name or 'the results'}: {fault.strerror or fault}"
    if fault.errno in (28, 122):  # no space, over quota
        what += "; free some of the disk"
    return SimulatorError(what)
