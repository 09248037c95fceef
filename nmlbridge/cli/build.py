"""nmlbridge build: a network from rules, written in any format."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..report import Report
from .options import add_allow, add_changes, allowed, changes_of, say_notes, whole
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..graph import Network

_EPILOG = """\
Without -o the network is built and described. `--schema` prints the JSON Schema of such files, for editors; `--words`
all their words. What a file of rules may say is told in docs/rules.md. Models of NetPyNE (JSON, index.npjson, Python)
are built too.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument("file", type=Path, nargs="?", help="a file of rules, YAML or JSON; a model of NetPyNE")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="file or folder to write; its name tells the format"
    )
    parser.add_argument("--to", dest="format", metavar="FORMAT", help="format of what is written")
    add_changes(parser)
    parser.add_argument("--seed", type=whole(0), metavar="N", help="seed instead of that of the run")
    add_allow(parser)
    parser.add_argument("--words", action="store_true", help="print every word of such files as Markdown, and no more")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema and do nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Build, write, and say what there is."""
    from ..builder import schema

    if arguments.words:
        from ..builder.reference import words

        print(words(), end="")
        return 0
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
        network = _network(arguments, report)
        if arguments.output is not None:
            progress("save")
            write(network, arguments.output, format=arguments.format, report=report)
    seconds = round(time.perf_counter() - began, 3)
    if arguments.json:
        facts = network.summary() | {"notes": report.to_json(), "seconds": seconds}
        print(json.dumps(facts | {"output": str(arguments.output) if arguments.output else None}))
        return 0
    say_notes(report)
    print(f"{network!r}\nbuilt in {seconds:.2f} s")
    if arguments.output is not None:
        print(f"  {arguments.output}")
    return 0


def _network(arguments: argparse.Namespace, report: Report) -> Network:
    from ..builder import build
    from ..registry import formats, resolve_name

    changes: dict[str, Any] = dict(changes_of(arguments.changes))
    other = formats()["netpyne"]
    folder = arguments.file.is_dir() and other.file_in(arguments.file)
    path = folder or arguments.file
    if path.is_file() and other.simulation is not None and other.sniff(path.read_bytes()[:65536]):
        if arguments.seed is not None:
            raise UsageError("a model of NetPyNE has several seeds: --set seeds.conn=N, and loc, stim, cell")
        network: Network = resolve_name(other.simulation)(path, report, allowed(arguments), changes)[0]
        return network
    return build(arguments.file, seed=arguments.seed, report=report, allow=allowed(arguments), **changes).network
