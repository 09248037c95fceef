"""nmlbridge convert: a model in another format."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import UsageError
from ..report import Report
from .options import add_allow, allowed, say_notes, write_json
from .progress import ProgressBar


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = "`nmlbridge formats` lists the names for --from and --to."
    parser.add_argument("source", type=Path, help="the file or folder to read; its content tells the format")
    parser.add_argument("target", type=Path, nargs="?", help="the file or folder to write; its name tells the format")
    parser.add_argument("-o", "--output", type=Path, metavar="TARGET", help="the target, as other verbs name it")
    parser.add_argument("--from", dest="source_format", metavar="FORMAT", help="format of the source")
    parser.add_argument("--to", dest="target_format", metavar="FORMAT", help="format of the target")
    parser.add_argument("--fail-on-loss", action="store_true", help="what the target cannot carry is an error")
    add_allow(parser)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was lost or approximated as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what could not be carried over."""
    from ..registry import convert

    targets = [path for path in (arguments.target, arguments.output) if path is not None]
    if len(targets) != 1:
        raise UsageError("name one target, the file or folder to write: nmlbridge convert SOURCE TARGET")
    target = targets[0]
    if target.exists() and arguments.source.exists() and target.samefile(arguments.source):
        raise UsageError(f"'{arguments.source}' cannot be converted into itself; name another target")
    with ProgressBar() as progress:
        report = Report(strict=arguments.fail_on_loss, progress=progress)
        progress("convert")
        network = convert(
            arguments.source,
            target,
            source_format=arguments.source_format,
            target_format=arguments.target_format,
            report=report,
            allow=allowed(arguments),
        )
    answer = {"source": str(arguments.source), "target": str(target), "notes": report.to_json()}
    if arguments.report:
        write_json(arguments.report, answer)
    if arguments.json:
        print(json.dumps(answer))
        return 0
    say_notes(report)
    print(f"{target}: {network!r}")
    return 0
