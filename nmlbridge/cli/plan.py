"""nmlbridge plan: what a run will take, and the batch script that asks for it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .options import add_allow, add_split, allowed, milliseconds, whole
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..simulator.plan import Plan

_EPILOG = """\
The model is read and counted; nothing of it is compiled or run. What one of each thing costs is measured on this
machine once (half a minute) and kept. Seconds are a processor's of this kind with nothing else to do. A script asks for
twice what is foreseen, and goes on from the last checkpoint if it is submitted again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "file",
        type=Path,
        help="a LEMS file with a Target, a file of rules, or another format that states a run",
    )
    parser.add_argument("-n", "--ranks", type=whole(1, 65536), default=1, metavar="N", help="MPI processes (default 1)")
    add_split(parser)
    parser.add_argument("--backend", choices=("neuron", "coreneuron"), default="neuron",
                        help="what integrates (default: neuron); what coreneuron cannot run is an error")  # fmt: skip
    parser.add_argument("--rate", type=float, metavar="HZ", help="events a second of each cell and source (default 10)")
    parser.add_argument("--source-rate", type=float, metavar="HZ", help="of sources that are no cells (default: same)")
    parser.add_argument("--dt", type=milliseconds, metavar="TIME", help="time step instead of the document's")
    parser.add_argument("--duration", type=milliseconds, metavar="TIME", help="length instead of the document's")
    parser.add_argument("--method", metavar="NAME", help="integration method instead of the document's")
    add_allow(parser)
    parser.add_argument("--script", choices=("slurm", "pbs", "sge"), help="write a batch script for this scheduler")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the script's file (default: the terminal)")


def run(arguments: argparse.Namespace) -> int:
    """Plan, say it, write the script."""
    from ..errors import UsageError
    from ..simulator.plan import batch_script, plan
    from ..simulator.plan.predict import RATE

    rate = RATE if arguments.rate is None else arguments.rate
    if not 0 <= rate < 1e6:
        raise UsageError(f"--rate is {rate:g} Hz; it must be at least 0 and below a million")
    sources = arguments.source_rate
    if sources is not None and not 0 <= sources < 1e6:
        raise UsageError(f"--source-rate is {sources:g} Hz; it must be at least 0 and below a million")
    if arguments.output is not None and arguments.script is None:
        raise UsageError("-o names the file of a script; say which with --script slurm, pbs or sge")
    with ProgressBar() as progress:
        found = plan(
            arguments.file, ranks=arguments.ranks, rate=rate, sources=sources, dt=arguments.dt,
            duration=arguments.duration, method=arguments.method, progress=progress, split=arguments.split,
            backend=arguments.backend, allow=allowed(arguments),
        )  # fmt: skip
    script = ""
    if arguments.script:
        changed = [("--dt", arguments.dt), ("--duration", arguments.duration), ("--method", arguments.method)]
        changed += [("--split", arguments.split if arguments.split != "auto" else None)]
        changed += [("--backend", arguments.backend if arguments.backend != "neuron" else None)]
        options = [word for name, value in changed if value is not None for word in (name, str(value))]
        options += [f"--allow-{kind}" for kind in sorted(allowed(arguments))]
        script = batch_script(found, arguments.script, options)
    if arguments.output is not None:
        from ..files import atomic

        try:
            with atomic(arguments.output) as stream:
                stream.write(script.encode())
        except OSError as fault:
            raise UsageError(f"the script cannot be written to '{arguments.output}': {fault.strerror}") from None
    if arguments.json:
        print(json.dumps(found.to_json() | ({"script": script} if script else {})))
    elif script and arguments.output is None:
        print(script, end="")
        _say(found, sys.stderr)
    else:
        _say(found, sys.stdout)
    return 0


def _say(found: Plan, stream: TextIO) -> None:
    from ..simulator.plan.predict import extent

    counts = found.load
    lines = [
        f"{found.model} on {found.ranks} rank{'s' if found.ranks > 1 else ''}: {counts.cells.sum():.0f} cells of "
        f"{counts.segments.sum():.0f} compartments, {counts.netcons.sum():.0f} connections, {found.steps} steps",
        f"  compile    {found.compile:10.2f} s" + ("" if found.compile else "  (in the cache)"),
    ]
    for name, unit in (("build", "s"), ("simulate", "s"), ("memory", "MB")):
        least, greatest = extent(getattr(found, name))
        spread = f"  ({least:.3g} to {greatest:.3g})" if found.ranks > 1 else ""
        lines.append(f"  {name:10s} {greatest:10.2f} {unit}{spread}")
    lines += [
        f"  in all     {found.seconds:10.2f} s",
        f"  starter    {found.parent_memory:10.2f} MB",
        f"  disk       {found.disk:10.2f} MB",
        f"  balance of the ranks {found.balance:.2f}; events: {found.rate:g} Hz from each cell, "
        f"{found.source_rate:g} Hz from each source (assumed)",
    ]
    if found.ranks > 1:
        lines.append(f"  ranks wait {found.waiting.mean():.3g} s for the slowest, on the average")
    lines += [f"  {remark}" for remark in found.load.remarks]
    print("\n".join(lines), file=stream)
