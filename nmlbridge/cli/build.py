"""nmlbridge build: a network from rules, written in any format."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..report import Report
from .options import changes_of, say_notes, whole
from .progress import ProgressBar

_EPILOG = """\
Without -o the network is built and described. `--schema` prints the JSON Schema of such files, for editors. What a file
of rules may say is in docs/rules.md.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument("file", type=Path, nargs="?", help="a file of rules, YAML or JSON")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="file or folder to write; its name tells the format"
    )
    parser.add_argument("--to", dest="format", metavar="FORMAT", help="format of what is written")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="another value: gain=2, connections.EE.weight=0.5 (may be repeated)",
    )
    parser.add_argument("--seed", type=whole(0), metavar="N", help="seed instead of that of the run")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema and do nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Build, write, and say what there is."""
    from ..builder import build, schema

    if arguments.schema:
        print(json.dumps(schema(), indent=2))
        return 0
    if arguments.file is None:
        raise UsageError("name a file of rules (see nmlbridge build --help)")
    from ..registry import format_named, format_to_write, write

    if arguments.output is not None:  # a wrong name should not cost the building
        format_to_write(arguments.output) if arguments.format is None else format_named(arguments.format)
    began = time.perf_counter()
    report = Report()
    with ProgressBar() as progress:
        progress("build")
        changes: dict[str, Any] = dict(changes_of(arguments.changes))
        built = build(arguments.file, seed=arguments.seed, report=report, **changes)
        if arguments.output is not None:
            progress("save")
            write(built.network, arguments.output, format=arguments.format, report=report)
    seconds = round(time.perf_counter() - began, 3)
    if arguments.json:
        facts = built.network.summary() | {"notes": report.to_json(), "seconds": seconds}
        print(json.dumps(facts | {"output": str(arguments.output) if arguments.output else None}))
        return 0
    say_notes(report)
    print(f"{built.network!r}\nbuilt in {seconds:.2f} s")
    if arguments.output is not None:
        print(f"  {arguments.output}")
    return 0
