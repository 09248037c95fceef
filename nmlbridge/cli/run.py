"""nmlbridge run: a LEMS simulation in NEURON, from the file to its output files."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NmlBridgeError
from .options import (
    add_allow,
    add_changes,
    add_split,
    allowed,
    changes_of,
    milliseconds,
    say_notes,
    tolerance,
    whole,
    write_json,
)
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..results import Results

_EPILOG = """\
The files that the document's OutputFile and EventOutputFile elements name are written below DIR. A path there that is
absolute or leads out of DIR is an error before anything runs. While the simulation goes on they grow under their names
with .part behind, readable at any moment; if it ends early, that is what stays. Times are in ms, or carry a unit:
0.025, 0.025ms, 25us.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "file",
        type=Path,
        help="a LEMS file with a Target, a file of rules, another format that states a run; with --duration a NeuroML "
        "network",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="output folder (default: .)")
    parser.add_argument("--dt", type=milliseconds, metavar="TIME", help="time step instead of the document's")
    parser.add_argument("--duration", type=milliseconds, metavar="TIME", help="length instead of the document's")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="seed of all random numbers")
    parser.add_argument("--method", metavar="NAME", help="integration method instead of the document's")
    parser.add_argument("--atol", type=tolerance, metavar="X", help="absolute tolerance of cvode (default 1e-3, in mV)")
    parser.add_argument("--rtol", type=tolerance, metavar="X", help="relative tolerance of cvode (default 0)")
    parser.add_argument("--backend", choices=("neuron", "coreneuron", "reference"),
                        help="what integrates (default: neuron)")  # fmt: skip
    parser.add_argument("-n", "--ranks", type=whole(1, 65536), default=1, metavar="N", help="MPI processes (default 1)")
    add_split(parser)
    parser.add_argument(
        "--record-format",
        choices=("lems", "sonata", "both"),
        default="lems",
        help="lems: the document's own files (default); sonata: spikes.h5, one report a variable",
    )
    parser.add_argument("--checkpoint", type=milliseconds, metavar="EVERY", help="keep the state after each EVERY ms")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of a run that ended")
    parser.add_argument("--plot", action="store_true", help="draw Displays, spikes and fields as PNG into DIR")
    parser.add_argument(
        "--figure",
        action="append",
        default=[],
        metavar="KIND",
        dest="kinds",
        help="draw this too, as nmlbridge plot does: raster, rates, spectrum ... (may be repeated)",
    )
    parser.add_argument(
        "--electrodes",
        type=Path,
        metavar="FILE",
        help="record extracellular potentials and dipoles: positions and more, as YAML or JSON",
    )
    add_changes(parser)
    add_allow(parser)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write seconds and memory of each phase as JSON")
    parser.add_argument("--dump-passes", type=Path, metavar="DIR", help="write what each pass of the compiler made")


def run(arguments: argparse.Namespace) -> int:
    """Simulate, save, and say what there is; as one of several ranks that MPI has started, take part in that."""
    from ..simulator.neuron.job import check, current, leading

    job = current()
    if job is None:
        return _run(arguments)
    if job.rank > 0:
        return job.follow()
    with leading(job):
        check(job, arguments.ranks)
        arguments.ranks = job.size
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    began = time.perf_counter()
    if arguments.plot or arguments.kinds:
        from ..plot import kind_named, require_matplotlib

        require_matplotlib()  # before minutes of simulation, not after
        for kind in arguments.kinds:
            kind_named(kind)
    from .. import simulate
    from ..report import Report

    report = Report()
    electrodes = None
    if arguments.electrodes is not None:
        from ..results import Electrodes

        electrodes = Electrodes.read(arguments.electrodes)
    try:
        with ProgressBar() as progress:
            results = simulate(
                arguments.file,
                output=arguments.output,
                dt=arguments.dt,
                duration=arguments.duration,
                seed=arguments.seed,
                ranks=arguments.ranks,
                method=arguments.method,
                abs_tolerance=arguments.atol,
                rel_tolerance=arguments.rtol,
                backend=arguments.backend,
                dump_passes=arguments.dump_passes,
                changes=changes_of(arguments.changes),
                allow=allowed(arguments),
                progress=progress,
                record_format=arguments.record_format,
                checkpoint=arguments.checkpoint,
                resume=arguments.resume,
                electrodes=electrodes,
                split=arguments.split,
                report=report,
            )
            figures = _draw(results, arguments) if arguments.plot or arguments.kinds else []
    except NmlBridgeError:
        if not arguments.json:
            say_notes(report)  # what was left out may be why
        raise
    answer = results.summary() | {"figures": [str(path) for path in figures]}
    answer["seconds"] = round(time.perf_counter() - began, 3)
    if arguments.report:
        write_json(arguments.report, answer)
    if arguments.json:
        print(json.dumps(answer))
        return 0
    say_notes(results.report)
    _say(results, answer)
    return 0


def _draw(results: Results, arguments: argparse.Namespace) -> list[Path]:
    from .. import read
    from ..plot import draw, figure, kind_named, save

    stem = arguments.file.name.partition(".")[0]
    drawn = draw(results, arguments.output, stem) if arguments.plot else []
    for name in arguments.kinds:
        source = results if kind_named(name).source != "network" else read(arguments.file, allow=allowed(arguments))
        drawn.append(save(figure(name, source, results=results), arguments.output / f"{stem}.{name}.png"))
    return drawn


def _say(results: Results, answer: dict[str, Any]) -> None:
    phases = ", ".join(f"{name} {phase['seconds']:.2f} s" for name, phase in results.phases.items())
    print(
        f"{len(results.traces)} traces at {len(results.time)} times, {len(results.spikes)} spikes; "
        f"{answer['seconds']:.1f} s" + (f" ({phases})" if phases else "")
    )
    for path in (*answer["files"], *answer["figures"]):
        print(f"  {path}")
