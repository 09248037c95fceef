"""What each thing costs on this machine: a few small Programs, built and run once, and kept in the cache.

The programs differ in one thing each (cells, segments, mechanisms with many operations or many exponentials, point
processes, connections, sources, recordings), so differences of seconds and memory give the cost of one. Seconds are
those of the processor, so that what else goes on here does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import RawResults
from ..neuron.compile import Build, cache_folder
from ..neuron.exchange import measured
from ..neuron.launch import run_program
from ..neuron.mpi import find_launcher, find_library
from ..neuron.toolchain import find_toolchain
from ..program import BLOCKS
from ..work import work
from . import trials
from .outside import PARTS
from .trials import CELLS, LIGHT, MANY_CALLS, MANY_OPERATIONS, POINT, SOURCE, STEPS

VERSION = 8
_RUNS = 23
_SEGMENTS, _SECTIONS, _LONG = 40, 10, 40_000
_CONTACTS, _VOXELS = 32, 20
WIDTH = 4  # instances of a mechanism that are computed at once
_POINTS, _FAN, _RATE = 3, 40, 20.0  # of a cell; connections from each source; Hz


@dataclass(frozen=True)
class Costs:
    """Processor seconds, and MB, of one of each."""

    start: float  # s: NEURON, with nothing in it
    start_mb: float
    build_cell: float
    build_section: float
    build_segment: float
    build_density: float
    build_point: float
    build_source: float
    build_netcon: float
    build_mechanism: float
    mb_library: float
    mb_mechanism: float
    mb_cell: float
    mb_section: float
    mb_segment: float
    mb_density: float
    mb_point: float
    mb_source: float
    mb_netcon: float
    step: float  # of any network
    step_mechanism: float  # of a mechanism, however few instances
    step_cell: float
    step_segment: float
    step_instance: float
    step_operation: float
    step_call: float
    step_point: float  # more than a density with the same arithmetic
    sample: float
    column: float  # of values that one block writes
    event: float
    fire: float  # a source, of which events come
    exchange: float  # of spikes between two ranks
    transfer: float  # of voltages
    start_mpi: float
    mb_mpi: float
    compile_link: float
    compile_unit: float  # that the compiler is given at once
    compile_letter: float
    compile_solver: float  # what every library has besides
    # of fields, electrodes, reactions and diffusion: 0 where nobody asked
    build_imposed: float = 0.0  # of a compartment
    mb_imposed: float = 0.0
    step_field: float = 0.0  # of any
    step_imposed: float = 0.0
    start_seen: float = 0.0  # of any electrodes
    start_seen_mb: float = 0.0
    build_seen: float = 0.0
    mb_seen: float = 0.0
    step_electrodes: float = 0.0
    step_seen: float = 0.0
    step_product: float = 0.0  # of a compartment and a row of the matrix
    start_rxd: float = 0.0
    start_rxd_mb: float = 0.0
    build_node: float = 0.0
    mb_node: float = 0.0
    step_rxd: float = 0.0
    step_node: float = 0.0
    step_reacting: float = 0.0
    step_voxel: float = 0.0


Progress = Callable[[float, float], None]


def costs(progress: Progress | None = None, parts: Collection[str] = PARTS) -> Costs:
    """The measured costs, from the cache if this machine and this NEURON have been measured before (half a minute).

    Those of ``parts`` ("fields", "electrodes", "rxd") are measured where they are asked for; others are 0 if unknown.
    """
    key = f"{find_toolchain().identity}-{platform.node()}-{os.cpu_count()}-{VERSION}"
    file = cache_folder().parent / f"costs-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    names = {each.name for each in fields(Costs)}
    try:
        known = {name: float(value) for name, value in json.loads(file.read_text()).items() if name in names}
        Costs(**known)
    except (OSError, ValueError, AttributeError, TypeError):
        known = {}
    said = progress or (lambda done, total: None)
    found = known or _measure(said)
    for part in parts:
        if not _OF_PART[part][0] <= found.keys():
            found = found | _OF_PART[part][1](_runner(said, _OF_PART[part][2]))
    if found is not known:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(found, indent=1))
        os.replace(temporary, file)
    return Costs(**found)


Run = Callable[..., tuple[float, float, float]]


def _runner(progress: Progress, total: int) -> Run:
    """What builds and runs a trial: seconds to build and to simulate, and MB."""
    done = 0

    def run(*mods: str, ranks: int = 1, **changes: Any) -> tuple[float, float, float]:
        nonlocal done
        raw = run_program(trials.trial(mods, **changes), ranks=ranks)
        done += 1
        progress(min(done, total), total)
        return _cpu(raw, "build"), _cpu(raw, "simulate"), float(raw.phases["simulate"]["peak_mb"])

    return run


def _measure(progress: Progress) -> dict[str, float]:
    run = _runner(progress, _RUNS)
    compiling = _compiling()
    nothing = run(cells=1, steps=1)
    one, three = run(LIGHT, cells=1, steps=1), run(LIGHT, MANY_OPERATIONS, MANY_CALLS, cells=1, steps=1)
    still = run(cells=1, steps=_LONG)
    busy = run(LIGHT, MANY_OPERATIONS, MANY_CALLS, cells=1, steps=_LONG)
    each_mb, each_build = max(three[2] - one[2], 0.0) / 2, max(three[0] - one[0], 0.0) / 2
    library_mb = max(one[2] - nothing[2] - each_mb, 0.0)
    loaded_mb, loaded = library_mb + each_mb, each_build  # what one mechanism takes that nobody has
    cells = run()
    cables = run(cells=CELLS // _SEGMENTS, segments=_SEGMENTS)
    branched = run(cells=CELLS // _SECTIONS, sections=_SECTIONS)
    light, operations, calls = run(LIGHT), run(MANY_OPERATIONS), run(MANY_CALLS)
    points = run(POINT, points=_POINTS)
    quiet = run(POINT, SOURCE, points=_POINTS, sources=CELLS, interval=1e9)
    wired = run(POINT, SOURCE, points=_POINTS, sources=CELLS, fan=_FAN, interval=1e9)
    loud = run(POINT, SOURCE, points=_POINTS, sources=CELLS, fan=_FAN, interval=1e3 / _RATE)
    firing = run(POINT, SOURCE, points=_POINTS, sources=CELLS, interval=1e2 / _RATE)
    # the same blocks, short and long, with and without columns
    short, long = ((run(cells=300, steps=n)[1], run(cells=300, columns=300, steps=n)[1]) for n in (STEPS, 5 * STEPS))
    taken = ((short[1] - short[0]) / 300, (long[1] - long[0]) / 300)
    sample = max((taken[1] - taken[0]) / (4 * STEPS), 0.0)
    exchange, transfer, start_mpi, mb_mpi = _exchange(lambda **c: run(LIGHT, **c))

    per = CELLS * STEPS
    # cells of one section, of many, and of one with many segments: what a cell, a section and a segment takes
    rows = (cells, branched, cables)
    build_cell, build_section, build_segment = _three([each[0] - nothing[0] for each in rows])
    mb_cell, mb_section, mb_segment = _three([each[2] - nothing[2] for each in rows])
    cell, segment = _two((cells[1], cables[1]), (nothing[1],) * 2, (CELLS, CELLS // _SEGMENTS), (CELLS, CELLS))
    texts = work({str(k): text for k, text in enumerate((LIGHT, MANY_OPERATIONS, MANY_CALLS, POINT))})
    worked = [texts[name] for name in ("callight", "calops", "calexp")]
    matrix = np.array([[1.0, row.operations, row.calls] for row in worked])
    extra = np.array([max(each[1] - cells[1], 0.0) / per for each in (light, operations, calls)])
    instance, operation, call = (max(float(value), 0.0) for value in np.linalg.solve(matrix, extra))
    arithmetic = sum(instance + operation * row.operations + call * row.calls for row in worked)
    point = (points[1] - cells[1]) / per / _POINTS
    point -= instance + operation * texts["CalPoint"].operations + call * texts["CalPoint"].calls
    netcons = CELLS * _FAN
    fired = CELLS * _RATE * STEPS * 0.025e-3
    fire = _over(firing[1] - quiet[1], 10 * fired)
    return {
        "start": nothing[0],
        "start_mb": nothing[2],
        "build_cell": build_cell,
        "build_section": build_section,
        "build_segment": build_segment,
        "build_density": _over(light[0] - cells[0] - loaded, CELLS),
        "build_point": _over(points[0] - cells[0] - loaded, CELLS * _POINTS),
        "build_source": _over(quiet[0] - points[0] - loaded, CELLS),
        "build_netcon": _over(wired[0] - quiet[0], netcons),
        "build_mechanism": each_build,
        "mb_library": library_mb,
        "mb_mechanism": each_mb,
        "mb_cell": mb_cell,
        "mb_section": mb_section,
        "mb_segment": mb_segment,
        "mb_density": _over(calls[2] - cells[2] - loaded_mb, CELLS),
        "mb_point": _over(points[2] - cells[2] - loaded_mb, CELLS * _POINTS),
        "mb_source": _over(quiet[2] - points[2] - each_mb, CELLS),
        "mb_netcon": _over(wired[2] - quiet[2], netcons),
        "step": _over(still[1] - nothing[1], _LONG),
        "step_mechanism": max((busy[1] - still[1]) / _LONG - WIDTH * arithmetic, 0.0) / 3,
        "step_cell": cell / STEPS,
        "step_segment": segment / STEPS,
        "step_instance": instance,
        "step_operation": operation,
        "step_call": call,
        "step_point": max(point, 0.0),
        "sample": sample,
        "column": max(taken[0] - sample * STEPS, 0.0) / BLOCKS,
        "event": _over(loud[1] - wired[1] - fire * fired, fired * _FAN),
        "fire": fire,
        "exchange": exchange,
        "transfer": transfer,
        "start_mpi": start_mpi,
        "mb_mpi": mb_mpi,
        **compiling,
    }


def _measure_field(run: Run) -> dict[str, float]:
    """What imposed fields take."""
    number = CELLS // _SEGMENTS
    plain, one = run(cells=number, segments=_SEGMENTS), run(cells=1, steps=1)
    few, many = run(cells=1, outside=trials.field), run(cells=number, segments=_SEGMENTS, outside=trials.field)
    still = run(cells=1)
    step = _over(few[1] - still[1], STEPS)
    return {
        "build_imposed": _over(many[0] - plain[0] - max(few[0] - one[0], 0.0), CELLS),
        "mb_imposed": _over(many[2] - plain[2], CELLS),
        "step_field": step,
        "step_imposed": _over(many[1] - plain[1] - step * STEPS, CELLS * STEPS),
    }


def _measure_electrodes(run: Run) -> dict[str, float]:
    """What electrodes take."""
    cables = {"cells": CELLS // _SEGMENTS, "segments": _SEGMENTS}
    plain, one, still = run(**cables), run(cells=1, steps=1), run(cells=1)
    few, many = run(cells=1, outside=trials.electrodes(1)), run(**cables, outside=trials.electrodes(1))
    wide = run(**cables, outside=trials.electrodes(_CONTACTS))
    start, mb, step = max(few[0] - one[0], 0.0), max(few[2] - one[2], 0.0), _over(few[1] - still[1], STEPS)
    product = _over(wide[1] - many[1], CELLS * STEPS * (_CONTACTS - 1))
    return {
        "start_seen": start,
        "start_seen_mb": mb,
        "build_seen": _over(wide[0] - plain[0] - start, CELLS),
        "mb_seen": _over(wide[2] - plain[2] - mb, CELLS),
        "step_electrodes": step,
        "step_seen": max(_over(many[1] - plain[1] - step * STEPS, CELLS * STEPS) - product, 0.0),
        "step_product": product,
    }


def _measure_rxd(run: Run) -> dict[str, float]:
    """What reactions and diffusion take."""
    steps, long = STEPS // 4, STEPS // 10
    cables = {"cells": CELLS // _SEGMENTS, "segments": _SEGMENTS, "steps": steps}
    plain, one, still = run(**cables), run(cells=1, steps=1), run(cells=1, steps=STEPS)
    few = run(cells=1, steps=STEPS, outside=trials.chemistry(True))
    inert, busy = (run(**cables, outside=trials.chemistry(reacting)) for reacting in (False, True))
    cube = run(cells=1, steps=long, outside=trials.chemistry(False, _VOXELS))
    start, mb, step = max(few[0] - one[0], 0.0), max(few[2] - one[2], 0.0), _over(few[1] - still[1], STEPS)
    return {
        "start_rxd": start,
        "start_rxd_mb": mb,
        "build_node": _over(inert[0] - plain[0] - start, 3 * CELLS),
        "mb_node": _over(busy[2] - plain[2] - mb, 3 * CELLS),
        "step_rxd": step,
        "step_node": _over(inert[1] - plain[1] - step * steps, 3 * CELLS * steps),
        "step_reacting": _over(busy[1] - inert[1], CELLS * steps),
        "step_voxel": _over(cube[1] - (step + still[1] / STEPS) * long, _VOXELS**3 * long),
    }


_OF_PART: dict[
    str, tuple[set[str], Callable[[Run], dict[str, float]], int]
] = {  # what is measured, how, in how many runs
    "fields": ({"build_imposed", "mb_imposed", "step_field", "step_imposed"}, _measure_field, 5),
    "electrodes": (
        {"start_seen", "build_seen", "step_electrodes", "step_seen", "step_product"},
        _measure_electrodes,
        6,
    ),
    "rxd": ({"start_rxd", "build_node", "step_rxd", "step_node", "step_reacting", "step_voxel"}, _measure_rxd, 7),
}


def _two(
    totals: tuple[float, float], base: tuple[float, float], cells: tuple[float, float], segments: tuple[float, float]
) -> tuple[float, float]:
    """The cost of a cell and of a segment, from two runs with different numbers of them."""
    first, second = totals[0] - base[0], totals[1] - base[1]
    cell = max((first - second) / (cells[0] - cells[1]), 0.0)
    return cell, max((second - cell * cells[1]) / segments[1], 0.0)


def _three(totals: list[float]) -> tuple[float, float, float]:
    """The cost of a cell, a section and a segment, from runs with as many segments in ever fewer sections and cells."""
    plain, branched, cables = totals
    few, fewer = CELLS // _SECTIONS, CELLS // _SEGMENTS
    cell = max((plain - branched) / (CELLS - few), 0.0)
    section = max((branched - cables - cell * (few - fewer)) / (CELLS - fewer), 0.0)
    return cell, section, max((cables - (cell + section) * fewer) / CELLS, 0.0)


def _over(difference: float, number: float) -> float:
    return max(difference, 0.0) / number


def _cpu(raw: RawResults, phase: str) -> float:
    return float(raw.phases[phase]["cpu"])


def _compiling() -> dict[str, float]:
    """Seconds to compile: the library, each unit, each letter, and what is in all libraries. No cache is used."""

    def spent(text: str, name: str, number: int, jobs: int) -> tuple[float, int]:
        mods = {f"{name}{k}_{number}.mod": text.replace(name, f"{name}{k}_{number}") for k in range(number)}
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryDirectory() as folder:
            Build(find_toolchain(), cache, Path(folder), mods, jobs, lambda done, total: None).library()
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, sum(map(len, mods.values()))

    with tempfile.TemporaryDirectory() as empty:
        cache = Path(empty)
        first, again = spent(LIGHT, "callight", 1, 1), spent(LIGHT.replace("1e-4", "2e-4"), "callight", 1, 1)
        apart, long = spent(LIGHT, "callight", 2, 2), spent(MANY_CALLS, "calexp", 12, 1)
    letter = max((long[0] - again[0]) / (long[1] - again[1]), 0.0)
    unit = max(apart[0] - again[0] - letter * (apart[1] - again[1]), 0.0)
    return {
        "compile_link": max(again[0] - unit - letter * again[1], 0.0),
        "compile_unit": unit,
        "compile_letter": letter,
        "compile_solver": max(first[0] - again[0], 0.0),
    }


def _exchange(run: Run) -> tuple[float, float, float, float]:
    """Seconds of one exchange of spikes and of voltages between two ranks, seconds and MB to start MPI on each.

    Where there is no MPI to measure, what is usual: 2 us, 2 us, 0.05 s, 15 MB.
    """
    if find_launcher() is None or find_library(find_launcher()) is None:
        return 2e-6, 2e-6, 0.05, 15.0
    one, two = run(cells=2, ring=True, steps=1), run(cells=2, ring=True, ranks=2, steps=1)
    return *measured(), max(two[0] - one[0], 0.0), max(two[2] / 2 - one[2], 0.0)
