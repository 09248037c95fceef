"""Checkpoints: the state of a network in files, one set a rank, from which a later process goes on.

NEURON's SaveState keeps voltages, states, the variables of mechanisms that receive events, the weights and flags of
connections, the queue of events (savstate.cpp of NEURON 9), and the concentrations of rxd. Of what the mechanisms here
have, it lacks

- the position of each RANDOM stream: read and set by ``get_seq`` and ``set_seq``;
- what gap junctions, continuous synapses and mirrors were last told of the other side, which the next step uses;
- the course of imposed fields, which follows from the number of steps;
- whether a WATCH is above or below its threshold. That is the outcome of the last test, which looked at the state one
  step before the checkpoint. So the checkpoint holds that state too: a resumed process takes it, makes one step, which
  tests every WATCH as the first process did, throws the step away and takes the state of the checkpoint itself.

Under MPI a checkpoint is made right after ``psolve``, which ends by exchanging spikes: none is under way between ranks.
A set of files becomes the checkpoint when all are written, by the replacement of one small file that names it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import SimulatorError
from ..saving import POINTER, random_variables
from .build import Network
from .handed import Handed
from .record import Recorder, Spikes

if TYPE_CHECKING:
    from .lfp import Field


def latest(folder: Path) -> dict[str, Any] | None:
    """What the newest checkpoint in ``folder`` says of itself: step, time (ms), ranks, hash, name; None without one."""
    try:
        found: dict[str, Any] = json.loads((folder / POINTER).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as fault:
        raise SimulatorError(f"the checkpoint in {folder} cannot be read: {fault}") from fault
    if not _proper(found):  # its name is that of a folder, which later is taken away
        raise SimulatorError(f"the checkpoint in {folder} is damaged: see {POINTER}; start anew without --resume")
    return found


def _proper(found: Any) -> bool:
    texts, numbers = ("name", "hash", "split"), ("step", "every", "ranks")
    return (
        isinstance(found, dict)
        and all(isinstance(found.get(key), str) for key in texts)
        and all(isinstance(found.get(key), int) for key in numbers)
        and isinstance(found.get("time"), (int, float))
        and found["name"] == f"step-{found['step']}"
    )


class Checkpoints:
    """Writes and takes checkpoints of this rank's part of a network."""

    def __init__(
        self, network: Network, folder: Path, recorder: Recorder, spikes: Spikes, every: int, field: Field | None = None
    ) -> None:  # fmt: skip
        """``every``: steps between checkpoints; ``field`` is what electrodes see."""
        self.network, self.folder, self.recorder, self.spikes = network, folder, recorder, spikes
        self.field = field
        self.every = every

    def begin(self, step: int) -> None:
        """One step before the checkpoint at ``step``: write that state."""
        network = self.network
        self.new = self.folder / f"step-{step}.new"
        if network.rank == 0:
            shutil.rmtree(self.new, ignore_errors=True)
            self.new.mkdir(parents=True)
        network.pc.barrier()
        self._write_state(self.new / f"{network.rank}.before")

    def finish(self, step: int) -> None:
        """At ``step``, with all that was recorded on disk: write the state, and make it the checkpoint."""
        network = self.network
        self._write_state(self.new / f"{network.rank}.state")
        np.savez(
            self.new / f"{network.rank}.npz",
            streams=np.array([stream.get_seq() for stream in _streams(network)], float),
            peers=np.array([getattr(member, name) for member, name in _peers(network)], float),
            spikes=self.spikes.count,
            seen=self.recorder.seen,
            field=self.field.seen if self.field is not None else 0,
            not_finite=np.array(sorted(self.recorder.not_finite), np.int64),
        )
        network.pc.barrier()
        if network.rank == 0:
            self._publish(self.new, f"step-{step}", step)
        network.pc.barrier()

    def _publish(self, new: Path, name: str, step: int) -> None:
        network = self.network
        facts = {"name": name, "step": step, "time": step * network.dt, "ranks": network.ranks}
        facts["every"] = self.every
        facts["hash"] = network.program.hash
        facts["split"] = network.shares.digest()
        before = latest(self.folder)
        shutil.rmtree(self.folder / name, ignore_errors=True)  # of a run that ended before it could name them
        os.replace(new, self.folder / name)
        pointer = self.folder / (POINTER + ".new")
        with pointer.open("w") as stream:
            json.dump(facts, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(pointer, self.folder / POINTER)
        if before is not None and before["name"] != name:
            shutil.rmtree(self.folder / before["name"], ignore_errors=True)

    def restore(self, facts: dict[str, Any], advance: Callable[[int], None]) -> int:
        """After initialisation: take the state of a checkpoint, the recorders included; the step that it is at.

        ``advance`` makes so many steps.
        """
        network, step = self.network, int(facts["step"])
        if facts["hash"] != network.program.hash or facts["ranks"] != network.ranks:
            raise SimulatorError("the checkpoint is of another program or number of ranks")
        files = self.folder / facts["name"]
        self._read_state(files / f"{network.rank}.before", step - 1)
        advance(1)
        self._read_state(files / f"{network.rank}.state", step)
        with np.load(files / f"{network.rank}.npz", allow_pickle=False) as saved:
            streams = list(_streams(network))
            for stream, position in zip(streams, saved["streams"].tolist(), strict=True):
                stream.set_seq(position)
            for (member, variable), value in zip(_peers(network), saved["peers"].tolist(), strict=True):
                setattr(member, variable, value)
            self.recorder.drop()
            self.recorder.seen = int(saved["seen"])
            self.recorder.not_finite = set(saved["not_finite"].tolist())
            if self.field is not None:
                self.field.go_on(step, int(saved["field"]))
            self.spikes.drop()
            self.spikes.open(int(saved["spikes"]))
        return step

    def _write_state(self, path: Path) -> None:
        """SaveState into a file; through memory where that can be, so that a full disk is an OSError and no abort."""
        h = self.network.h
        state = h.SaveState()
        state.save()
        if not hasattr(os, "memfd_create"):
            state.fwrite(h.File(str(path)))
            return
        memory = os.memfd_create("nmlbridge")
        try:
            state.fwrite(h.File(f"/proc/self/fd/{memory}"))
            with os.fdopen(os.dup(memory), "rb") as source, path.open("wb") as target:
                source.seek(0)
                shutil.copyfileobj(source, target, 1 << 20)
        finally:
            os.close(memory)

    def _read_state(self, path: Path, step: int) -> None:
        if not path.is_file():
            raise SimulatorError(f"the checkpoint lacks the file {path}")
        state = self.network.h.SaveState()
        state.fread(self.network.h.File(str(path)))
        state.restore()
        if self.network.imposed is not None:
            self.network.imposed.at(step)


def _streams(network: Network) -> Iterator[Any]:
    """The RANDOM variables of this rank, and what stands for them, always in the same order."""
    spec = network.program.spec
    names = {"NetStim": ["ranvar"]} | dict(random_variables(text) for text in network.program.mods.values())
    for population in spec.get("populations", ()):
        group, first = network.groups[population["id"]], population["first_gid"]
        for gid in network.local(first, population["size"]):
            if "artificial" in population:
                points = [(population["artificial"], group.members[gid - first])]
            else:
                made = spec["templates"][population["template"]].get("points", ())
                here = zip(made, network.cells[gid].points, strict=True)
                points = [(p["mechanism"], m) for p, m in here if m is not None]
            for mechanism, member in points:
                yield from (getattr(member, name) for name in names.get(mechanism, ()))
    for groups in (network.groups, network.generators):
        for group in groups.values():
            if group.id not in {population["id"] for population in spec.get("populations", ())}:
                for member in group.members.values():
                    yield from (getattr(member, name) for name in names.get(group.mechanism, ()))
    yield from (stream for stream in network.streams if isinstance(stream, Handed))


def _peers(network: Network) -> Iterator[tuple[Any, str]]:
    """The members of this rank and their variables that are copied from elsewhere at each step."""
    for spec in network.program.spec.get("transfers", ()):
        for member in network.groups[spec["points"]].members.values():
            yield member, spec["variable"]
    yield from network.mirrors.copied()
