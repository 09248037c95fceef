"""A run foreseen: seconds and memory of each rank, from a Program's counts and this machine's costs."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UsageError
from ..neuron.compile import compiled, outstanding, processors
from ..neuron.coreneuron import check_ranks
from ..neuron.ranks import Placement
from ..neuron.splitting import place
from ..program import BLOCKS, LONGEST, Program, Shape
from ..work import work, work_of
from .calibrate import WIDTH, Costs, costs
from .count import Counts, Load, hasty, load, shortest_delay
from .outside import Outside, parts_of

RATE = 10.0  # Hz of each source of events, where nobody says better
_START = 0.6  # s from the start of the process to the first section: the interpreter and NEURON itself
_TEXT = 17  # bytes of a number in a table of text


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run will take. ``build`` and ``simulate`` (s) and ``memory`` (MB) have one number a rank.

    ``compile`` is in s, 0 if the cache has the mechanisms; ``parent_memory`` (MB) is of the process that starts the
    run; ``disk`` (MB) is what it records. ``rate`` and ``source_rate`` (Hz) are the
    assumptions about events.
    """

    model: str
    ranks: int
    build: Counts
    simulate: Counts
    memory: Counts
    compile: float
    parent_memory: float
    disk: float
    rate: float
    load: Load
    steps: int
    duration: float
    source_rate: float

    @property
    def seconds(self) -> float:
        """Of the whole run: that of the slowest rank."""
        return self.compile + _START + float((self.build + self.simulate).max())

    @property
    def balance(self) -> float:
        """Mean over greatest work of a rank: 1 is perfect."""
        return float(self.simulate.mean() / self.simulate.max()) if self.simulate.max() > 0 else 1.0

    @property
    def waiting(self) -> Counts:
        """Seconds of the simulation for which each rank waits for the slowest, as an array of one number a rank."""
        return self.simulate.max() - self.simulate

    @property
    def useful(self) -> int:
        """The greatest number of ranks that can help: the dearest of the cells that stay whole sets a limit."""
        return max(1, math.ceil(1 / self.load.share - 1e-9)) if self.load.share > 0 else 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("build", "simulate", "waiting", "memory")
        per_rank = {name: [round(float(x), 4) for x in getattr(self, name)] for name in names}
        return {
            "model": self.model, "ranks": self.ranks, "seconds": round(self.seconds, 3),
            "compile": round(self.compile, 3),
            **per_rank, "parent_memory": round(self.parent_memory, 1), "disk": round(self.disk, 3), "rate": self.rate,
            "source_rate": self.source_rate,
            "balance": round(self.balance, 3), "dearest": self.load.dearest, "share": round(self.load.share, 6),
            "useful_ranks": self.useful, "split": list(self.load.split), "remarks": list(self.load.remarks),
            "steps": self.steps, "duration": self.duration,
            "cells": float(self.load.cells.sum()), "segments": float(self.load.segments.sum()),
            "connections": float(self.load.netcons.sum()),
            "mechanisms": {name: float(counts.sum()) for name, counts in sorted(self.load.instances.items())},
        }  # fmt: skip


def plan(
    model: str | Path,
    *,
    ranks: int = 1,
    rate: float = RATE,
    sources: float | None = None,
    progress: Callable[[str, float, float], None] | None = None,
    split: str = "auto",
    **options: Any,
) -> Plan:
    """Foresee the run of a model on so many ranks, each on a processor like this machine's.

    The model is read and lowered, and counted; nothing of it is compiled or run. ``rate`` (Hz) is that of every cell,
    ``sources`` that of artificial cells and generators (None: the same). ``split`` and ``options`` are those of
    ``simulate`` (dt, duration, method, backend ...). Raises as ``simulate`` does, also for what the backend or so many
    ranks cannot run, and UsageError for a model that NEURON would not run.
    """
    program = prepared(model, progress=progress, **options)
    placement = place(program, ranks, split)
    if program.spec["run"].get("coreneuron"):
        check_ranks(program, placement)
    report = progress or (lambda phase, done, total: None)
    measured = costs(lambda done, total: report("measure this machine", done, total), parts_of(program))
    return foresee(program, measured, ranks, rate, str(model), placement, sources)


def prepared(model: str | Path, **options: Any) -> Program:
    """The Program that ``simulate`` would run."""
    from ..run import simulate

    class Prepared(Exception):
        pass

    found: list[Program] = []

    def stop(program: Program, **_: Any) -> Any:
        found.append(program)
        raise Prepared

    try:
        simulate(model, runner=stop, **options)
    except Prepared:
        return found[0]
    raise UsageError(f"{model} does not run in NEURON; there is nothing to plan")


def foresee(
    program: Program, one: Costs, ranks: int, rate: float = RATE, model: str = "", placement: Placement | None = None,
    sources: float | None = None,
) -> Plan:  # fmt: skip
    """The same for a Program, with costs at hand."""
    counts, texts, shape = load(program, ranks, placement), work(program.mods), Shape.of(program)
    kinds = {insert["mechanism"] for t in program.spec.get("templates", ()) for insert in t.get("inserts", ())}
    step = one.step + one.step_cell * counts.cells + one.step_segment * counts.segments
    build = one.start + one.build_cell * counts.cells + one.build_section * counts.sections
    build = build + one.build_segment * counts.segments
    memory = one.start_mb + one.mb_cell * counts.cells + one.mb_section * counts.sections
    memory = memory + one.mb_segment * counts.segments
    driving = rate if sources is None else sources
    events, fires = (counts.netcons - counts.driven) * rate + counts.driven * driving, counts.zero()
    build = build + one.build_mechanism * len(program.mods)
    memory = memory + (one.mb_library + one.mb_mechanism * len(program.mods) if program.mods else 0.0)
    for mechanism, number in counts.instances.items():
        each = work_of(mechanism, texts, "density" if mechanism in kinds else "point")
        if each.kind == "artificial":
            build = build + one.build_source * number
            memory = memory + one.mb_source * number
            fires = fires + number * driving
            continue
        step = step + one.step_mechanism * (number > 0)
        point = each.kind == "point"
        cost = one.step_instance + one.step_operation * each.operations + one.step_call * each.calls
        rest = number % WIDTH  # which vector instructions do not reach: each takes as long as a vector
        step = step + (number + (WIDTH - 1) * rest) * cost + number * (one.step_point if point else 0.0)
        build = build + number * (one.build_point if point else one.build_density)
        memory = memory + number * (one.mb_point if point else one.mb_density)
    build = build + one.build_netcon * counts.netcons
    memory = memory + one.mb_netcon * counts.netcons
    blocks = max(min(BLOCKS, shape.steps), shape.steps / LONGEST)
    recorded = counts.columns / ranks * (one.sample * shape.steps + one.column * blocks)
    simulate = shape.steps * step + (one.event * events + one.fire * fires) * shape.duration * 1e-3 + recorded
    if ranks > 1:
        build, memory = build + one.start_mpi, memory + one.mb_mpi
        voltages = shape.steps * (bool(counts.transfers.sum()) or hasty(program))
        voltages += 2 * shape.steps * bool(counts.split)  # to the rank that solves the joints, and back
        spikes = math.ceil(shape.duration / shortest_delay(program))
        talk = spikes * one.exchange + voltages * one.transfer
        simulate = simulate + talk * max(1.0, math.log2(ranks))
    if counts.outside is not None:
        more = _outside(one, counts.outside, shape)
        build, simulate, memory = build + more[0], simulate + more[1], memory + more[2]
    return Plan(
        model=model,
        ranks=ranks,
        build=build,
        simulate=simulate,
        memory=memory,
        compile=_compiling(one, program.mods),
        parent_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        disk=float(shape.columns * shape.samples * (8 + _TEXT)) / 1e6,
        rate=rate,
        load=counts,
        steps=shape.steps,
        duration=shape.duration,
        source_rate=driving,
    )


def _outside(one: Costs, found: Outside, shape: Shape) -> tuple[Counts, Counts, Counts]:
    """Seconds to build and to simulate and MB of fields, electrodes, reactions and diffusion, on each rank."""
    build = one.build_imposed * found.imposed
    memory = one.mb_imposed * found.imposed
    simulate = shape.steps * ((found.imposed > 0) * one.step_field + one.step_imposed * found.imposed)
    if found.seen.any():
        build = build + one.start_seen + one.build_seen * found.seen
        memory = memory + one.start_seen_mb + one.mb_seen * found.seen
        simulate = simulate + shape.steps * (one.step_electrodes + one.step_seen * found.seen)
        simulate = simulate + shape.samples * one.step_product * found.products
    if found.reactions or found.nodes.any() or found.voxels:
        build = build + one.start_rxd + one.build_node * found.nodes
        memory = memory + one.start_rxd_mb + one.mb_node * found.nodes
        step = one.step_rxd + one.step_node * found.nodes + one.step_reacting * found.reacting
        simulate = simulate + shape.steps * (step + one.step_voxel * found.voxels)
    return build, simulate, memory


def _compiling(one: Costs, mods: Mapping[str, str]) -> float:
    """Seconds to compile what the cache lacks, on the processors that there are."""
    if not mods or compiled(mods):
        return 0.0
    missing, units, shared = outstanding(mods)
    letters = sum(len(mods[name]) for name in missing)
    work = one.compile_unit * units + one.compile_letter * letters + one.compile_solver * shared
    return one.compile_link + work / max(1, min(processors(), units + shared))


def extent(values: Counts) -> tuple[float, float]:
    """Least and greatest of the ranks."""
    return float(np.min(values)), float(np.max(values))
