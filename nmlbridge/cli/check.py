"""nmlbridge check: which simulators can run a model, and what they lack."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..report import Report
from .options import add_allow, add_split, allowed, milliseconds, say_notes, whole
from .progress import ProgressBar

_EPILOG = """\
The model is read and made ready to run, as `run` does it, but nothing is compiled or run. Exit code 0 if what was asked
about can run it (without --backend: if NEURON can), 3 if not, 1 if the model is wrong.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "file",
        type=Path,
        help="a LEMS file with a Target, a file of rules, or another format that states a run",
    )
    parser.add_argument("--backend", choices=("neuron", "coreneuron"), help="ask about this one (default: both)")
    parser.add_argument("-n", "--ranks", type=whole(1, 65536), default=1, metavar="N", help="MPI processes (default 1)")
    add_split(parser)
    parser.add_argument("--dt", type=milliseconds, metavar="TIME", help="time step instead of the document's")
    parser.add_argument("--method", metavar="NAME", help="integration method instead of the document's")
    add_allow(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, and say a line for each simulator."""
    from ..errors import UnsupportedError
    from ..simulator.suits import NEURONS, lacks

    asked = (arguments.backend,) if arguments.backend else NEURONS
    report = Report()
    with ProgressBar() as progress:
        found = lacks(
            arguments.file, asked, ranks=arguments.ranks, dt=arguments.dt, method=arguments.method,
            split=arguments.split, allow=allowed(arguments), progress=progress, report=report,
        )  # fmt: skip
    if arguments.json:
        print(json.dumps({"runs": {name: what is None for name, what in found.items()}, "lacks": found,
                          "notes": report.to_json()}))  # fmt: skip
    else:
        say_notes(report)
        for name, what in found.items():
            print(f"{name}: {'runs it' if what is None else what}")
            for note in report if name == asked[0] else ():
                if note.code == "placement":
                    print(f"  {note.message}")
    return 0 if found[asked[0]] is None else UnsupportedError.exit_code
