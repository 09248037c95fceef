"""nmlbridge converge: how far a model's step is from the limit of small steps."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from .options import milliseconds, whole
from .progress import ProgressBar

_EPILOG = """\
The model runs at dt, dt/2, dt/4 ... and every run is compared with the finest. A column is the error at that dt: of a
trace its root mean square difference (SI), of a population the greatest shift of a spike (ms). The order is the power
of dt with which the error falls. Nothing is written.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument("file", type=Path, help="a LEMS file with a Target, such as LEMS_Simulation.xml")
    parser.add_argument("--dt", type=milliseconds, metavar="TIME", help="time step to begin with (the document's)")
    parser.add_argument("--halvings", type=whole(2, 12), default=3, metavar="N", help="how often to halve (default 3)")
    parser.add_argument("--duration", type=milliseconds, metavar="TIME", help="length instead of the document's")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="seed of all random numbers")
    parser.add_argument("--method", metavar="NAME", help="integration method instead of the document's")
    parser.add_argument("--backend", choices=("neuron", "coreneuron", "reference"),
                        help="what integrates (default: neuron)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run, compare, and print one line a trace or population."""
    from ..simulator.converge import converge

    with ProgressBar() as progress:
        found = converge(
            arguments.file, dt=arguments.dt, halvings=arguments.halvings, duration=arguments.duration,
            seed=arguments.seed, method=arguments.method, backend=arguments.backend, progress=progress,
        )  # fmt: skip
    if arguments.json:
        print(json.dumps(found.summary()))
        return 0
    head = "".join(f"{f'dt {step:.4g} ms':>16}" for step in found.steps[:-1])
    width = max([len(s.name) for s in found.series] + [8]) + 2
    print(f"{'error of':{width}}{head}{'order':>8}   (against dt {found.steps[-1]:.4g} ms)")
    for series in found.series:
        cells = "".join(f"{_cell(error, series.kind):>16}" for error in series.errors)
        order = "-" if math.isnan(series.order) else f"{series.order:.1f}"
        counts = f"   spikes {', '.join(map(str, series.counts))}" if len(set(series.counts)) > 1 else ""
        print(f"{series.name:{width}}{cells}{order:>8}{counts}")
    return 0


def _cell(error: float, kind: str) -> str:
    if math.isnan(error):
        return "spikes differ"
    return f"{error:.4g}" + (" ms" if kind == "spikes" else "")
