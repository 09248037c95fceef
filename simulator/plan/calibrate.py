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
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..backend import RawResults
from ..neuron.compile import cache_folder, compile_mods
from ..neuron.launch import run_program
from ..neuron.mpi import find_launcher, find_library
from ..neuron.toolchain import find_toolchain
from ..program import BLOCKS, Program
from ..work import work

VERSION = 5
_RUNS = 19
_CELLS, _STEPS, _SEGMENTS, _LONG = 2000, 4000, 40, 40_000
_POINTS, _FAN, _RATE = 3, 40, 20.0  # of a cell; connections from each source; Hz

LIGHT = "NEURON { SUFFIX callight NONSPECIFIC_CURRENT i THREADSAFE } ASSIGNED { v i } BREAKPOINT { i = 1e-4*(v + 65) }"
_TERMS = " + ".join(f"{0.1 + k / 100}*(v + {k})*(v - {k})" for k in range(1, 13))
MANY_OPERATIONS = (
    "NEURON { SUFFIX calops NONSPECIFIC_CURRENT i THREADSAFE RANGE x } ASSIGNED { v i x }\n"
    f"BREAKPOINT {{ x = {_TERMS}\n i = 1e-12*x }}"
)
_GATES = "\n".join(
    f" a = exp(0.0{k + 1}*(v + 40))\n b = exp(-0.0{k + 1}*(v + 65))\n s{k}' = a*(1 - s{k}) - b*s{k}" for k in range(4)
)
MANY_CALLS = f"""
NEURON {{ SUFFIX calexp NONSPECIFIC_CURRENT i THREADSAFE }} ASSIGNED {{ v i }} STATE {{ s0 s1 s2 s3 }}
BREAKPOINT {{ SOLVE states METHOD cnexp i = 1e-12*s0*s1*s2*s3*(v + 65) }}
INITIAL {{ s0 = 0 s1 = 0 s2 = 0 s3 = 0 }}
DERIVATIVE states {{ LOCAL a, b
{_GATES}
}}
"""
POINT = """
NEURON { POINT_PROCESS CalPoint NONSPECIFIC_CURRENT i RANGE tau THREADSAFE } PARAMETER { tau = 3 }
ASSIGNED { v i } STATE { g } INITIAL { g = 0 }
BREAKPOINT { SOLVE states METHOD cnexp i = g*v } DERIVATIVE states { g' = -g/tau } NET_RECEIVE(w) { g = g + w }
"""
SOURCE = """
NEURON { ARTIFICIAL_CELL CalSource RANGE interval } PARAMETER { interval = 50 } ASSIGNED { n }
INITIAL { n = 0 net_send(interval, 1) }
NET_RECEIVE(w) { if (flag == 1) { n = n + 1 net_event(t) net_send(interval, 1) } }
"""


@dataclass(frozen=True)
class Costs:
    """Processor seconds, and MB, of one of each."""

    start: float  # s: NEURON, with nothing in it
    start_mb: float
    build_cell: float
    build_segment: float
    build_density: float
    build_point: float
    build_source: float
    build_netcon: float
    build_mechanism: float
    mb_library: float
    mb_mechanism: float
    mb_cell: float
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
    exchange: float  # of spikes between two ranks
    start_mpi: float
    mb_mpi: float
    compile_start: float
    compile_letter: float


def costs(progress: Callable[[float, float], None] | None = None) -> Costs:
    """The measured costs, from the cache if this machine and this NEURON have been measured before (half a minute)."""
    key = f"{find_toolchain().identity}-{platform.node()}-{os.cpu_count()}-{VERSION}"
    file = cache_folder().parent / f"costs-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    try:
        known = json.loads(file.read_text())
        return Costs(**{each.name: float(known[each.name]) for each in fields(Costs)})
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = _measure(progress or (lambda done, total: None))
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(asdict(found), indent=1))
    os.replace(temporary, file)
    return found


def _measure(progress: Callable[[float, float], None]) -> Costs:
    done = 0

    def run(*mods: str, ranks: int = 1, **changes: Any) -> tuple[float, float, float, Program]:
        """Seconds to build and to simulate, MB, and the Program."""
        nonlocal done
        program = _program(mods, **changes)
        raw = run_program(program, ranks=ranks)
        done += 1
        progress(min(done, _RUNS), _RUNS)
        return _cpu(raw, "build"), _cpu(raw, "simulate"), raw.phases["simulate"]["peak_mb"], program

    few, many = _compiling(1), _compiling(4)
    letter = max((many[0] - few[0]) / (many[1] - few[1]), 0.0)
    nothing = run(cells=1, steps=1)
    one, three = run(LIGHT, cells=1, steps=1), run(LIGHT, MANY_OPERATIONS, MANY_CALLS, cells=1, steps=1)
    still = run(cells=1, steps=_LONG)
    busy = run(LIGHT, MANY_OPERATIONS, MANY_CALLS, cells=1, steps=_LONG)
    each_mb, each_build = max(three[2] - one[2], 0.0) / 2, max(three[0] - one[0], 0.0) / 2
    library_mb = max(one[2] - nothing[2] - each_mb, 0.0)
    loaded_mb, loaded = library_mb + each_mb, each_build  # what one mechanism takes that nobody has
    cells = run()
    cables = run(cells=_CELLS // _SEGMENTS, segments=_SEGMENTS)
    light, operations, calls = run(LIGHT), run(MANY_OPERATIONS), run(MANY_CALLS)
    points = run(POINT, points=_POINTS)
    quiet = run(POINT, SOURCE, points=_POINTS, sources=_CELLS, interval=1e9)
    wired = run(POINT, SOURCE, points=_POINTS, sources=_CELLS, fan=_FAN, interval=1e9)
    loud = run(POINT, SOURCE, points=_POINTS, sources=_CELLS, fan=_FAN, interval=1e3 / _RATE)
    # the same blocks, short and long, with and without columns
    short, long = ((run(cells=300, steps=n)[1], run(cells=300, columns=300, steps=n)[1]) for n in (_STEPS, 5 * _STEPS))
    taken = ((short[1] - short[0]) / 300, (long[1] - long[0]) / 300)
    sample = max((taken[1] - taken[0]) / (4 * _STEPS), 0.0)
    exchange, start_mpi, mb_mpi = _exchange(lambda **c: run(LIGHT, **c))

    per = _CELLS * _STEPS
    # B cells of one segment and C cables of many: what a cell and what a segment takes
    cell, segment = _two((cells[1], cables[1]), (nothing[1],) * 2, (_CELLS, _CELLS // _SEGMENTS), (_CELLS, _CELLS))
    build_cell, build_segment = _two((cells[0], cables[0]), (nothing[0],) * 2, (_CELLS, _CELLS // _SEGMENTS),
                                     (_CELLS, _CELLS))  # fmt: skip
    mb_cell, mb_segment = _two((cells[2], cables[2]), (nothing[2],) * 2, (_CELLS, _CELLS // _SEGMENTS),
                               (_CELLS, _CELLS))  # fmt: skip
    texts = work({str(k): text for k, text in enumerate((LIGHT, MANY_OPERATIONS, MANY_CALLS, POINT))})
    rows = [texts[name] for name in ("callight", "calops", "calexp")]
    matrix = np.array([[1.0, row.operations, row.calls] for row in rows])
    extra = np.array([max(each[1] - cells[1], 0.0) / per for each in (light, operations, calls)])
    instance, operation, call = (max(float(value), 0.0) for value in np.linalg.solve(matrix, extra))
    arithmetic = sum(instance + operation * row.operations + call * row.calls for row in rows)
    point = (points[1] - cells[1]) / per / _POINTS
    point -= instance + operation * texts["CalPoint"].operations + call * texts["CalPoint"].calls
    netcons = _CELLS * _FAN
    fired = _CELLS * _RATE * _STEPS * 0.025e-3
    return Costs(
        start=nothing[0],
        start_mb=nothing[2],
        build_cell=build_cell,
        build_segment=build_segment,
        build_density=_over(light[0] - cells[0] - loaded, _CELLS),
        build_point=_over(points[0] - cells[0] - loaded, _CELLS * _POINTS),
        build_source=_over(quiet[0] - points[0] - loaded, _CELLS),
        build_netcon=_over(wired[0] - quiet[0], netcons),
        build_mechanism=each_build,
        mb_library=library_mb,
        mb_mechanism=each_mb,
        mb_cell=mb_cell,
        mb_segment=mb_segment,
        mb_density=_over(calls[2] - cells[2] - loaded_mb, _CELLS),
        mb_point=_over(points[2] - cells[2] - loaded_mb, _CELLS * _POINTS),
        mb_source=_over(quiet[2] - points[2] - each_mb, _CELLS),
        mb_netcon=_over(wired[2] - quiet[2], netcons),
        step=_over(still[1] - nothing[1], _LONG),
        step_mechanism=max((busy[1] - still[1]) / _LONG - arithmetic, 0.0) / 3,
        step_cell=cell / _STEPS,
        step_segment=segment / _STEPS,
        step_instance=instance,
        step_operation=operation,
        step_call=call,
        step_point=max(point, 0.0),
        sample=sample,
        column=max(taken[0] - sample * _STEPS, 0.0) / BLOCKS,
        event=_over(loud[1] - wired[1], fired * _FAN),
        exchange=exchange,
        start_mpi=start_mpi,
        mb_mpi=mb_mpi,
        compile_start=max(few[0] - letter * few[1], 0.0),
        compile_letter=letter,
    )


def _two(
    totals: tuple[float, float], base: tuple[float, float], cells: tuple[float, float], segments: tuple[float, float]
) -> tuple[float, float]:
    """The cost of a cell and of a segment, from two runs with different numbers of them."""
    first, second = totals[0] - base[0], totals[1] - base[1]
    cell = max((first - second) / (cells[0] - cells[1]), 0.0)
    return cell, max((second - cell * cells[1]) / segments[1], 0.0)


def _over(difference: float, number: float) -> float:
    return max(difference, 0.0) / number


def _cpu(raw: RawResults, phase: str) -> float:
    return float(raw.phases[phase]["cpu"])


def _compiling(number: int) -> tuple[float, float]:
    """Seconds to compile so many mechanisms that no cache has, and the letters of their texts."""
    stamp = f"{time.time_ns()}"
    mods = {
        f"cal{k}_{number}.mod": MANY_CALLS.replace("calexp", f"cal{k}_{number}") + f"\n: {stamp}\n"
        for k in range(number)
    }
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    compile_mods(mods, jobs=1)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, sum(map(len, mods.values()))


def _exchange(run: Callable[..., tuple[float, float, float, Program]]) -> tuple[float, float, float]:
    """Seconds of one exchange of spikes between two ranks, seconds and MB to start MPI on each.

    Where there is no MPI to measure, what is usual: 20 us, 0.1 s, 15 MB.
    """
    if find_launcher() is None or find_library(find_launcher()) is None:
        return 20e-6, 0.1, 15.0
    one, two = run(cells=2, ring=True), run(cells=2, ring=True, ranks=2)
    return _over(two[1] - one[1], _STEPS), max(two[0] - one[0], 0.0), max(two[2] / 2 - one[2], 0.0)


def _program(
    mods: tuple[str, ...], *, cells: int = _CELLS, segments: int = 1, steps: int = _STEPS, points: int = 0,
    sources: int = 0, fan: int = 0, interval: float = 1e9, columns: int = 0, ring: bool = False,
) -> Program:  # fmt: skip
    """Equal cells of some segments; ``mods`` are on all of them, with so many points, sources and connections."""
    names = [text.split("{", 1)[1].split()[1] for text in mods]
    kinds = dict(zip(names, [text.split("{", 1)[1].split()[0] for text in mods], strict=True))
    tables: dict[str, Any] = {"cm": np.ones(segments), "v": np.full(segments, -65.0)}
    template = {
        "id": "c",
        "sections": [{"name": "soma", "L": 20.0 * segments, "diam": 5.0, "nseg": segments, "parent": -1,
                      "parent_x": 1.0, "Ra": 100.0}],
        "cm": "T:cm",
        "v_init": "T:v",
        "inserts": [{"mechanism": n, "sections": [0], "parameters": {}} for n in names if kinds[n] == "SUFFIX"],
        "ions": [],
        "points": [],
        "source": {"kind": "voltage", "section": 0, "x": 0.5, "threshold": 0.0},
    }  # fmt: skip
    spec: dict[str, Any] = {
        "templates": [template],
        "populations": [{"id": "p", "template": 0, "first_gid": 0, "size": cells}],
        "recordings": [
            {"column": k, "gid": k, "section": 0, "x": 0.5, "variable": "v", "scale": 1e-3} for k in range(columns)
        ],
        "spikes": "all",
        "run": {"dt": 0.025, "duration": 0.025 * steps, "celsius": 6.3, "seed": 1, "second_order": 0},
    }
    if ring and not points:
        points, mods = 1, (*mods, POINT)
        names.append("CalPoint")
    if points:
        number = cells * points
        tables |= {"gid": np.arange(number) % cells, "section": np.zeros(number, int), "x": np.full(number, 0.5)}
        spec["points"] = [{"id": "s", "mechanism": "CalPoint", "gid": "T:gid", "section": "T:section", "x": "T:x",
                           "parameters": {}}]  # fmt: skip
    if sources:
        spec["populations"].append({"id": "n", "artificial": "CalSource", "first_gid": cells, "size": sources,
                                    "parameters": {"interval": interval}})  # fmt: skip
    heads = np.repeat(np.arange(cells, cells + sources), fan) if fan else np.arange(cells if ring else 0)
    if len(heads):
        tables |= {"head": heads, "row": (np.arange(len(heads)) * 7919 + 1) % (cells * points)}
        tables |= {"weight": np.full(len(heads), 1e-9), "delay": np.full(len(heads), 0.025 if ring else 1.0)}
        spec["netcons"] = [{"source_gid": "T:head", "points": "s", "index": "T:row", "weight": "T:weight",
                            "delay": "T:delay"}]  # fmt: skip
    return Program(spec, tables, {f"{name}.mod": text for name, text in zip(names, mods, strict=True)})
