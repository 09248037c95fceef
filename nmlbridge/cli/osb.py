"""nmlbridge osb: repositories for Open Source Brain, written and checked."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..report import Report
from .archive import add_about
from .options import say_notes
from .progress import ProgressBar

_EXPORT = """\
The model runs twice, at its own step and at half of it: what is recorded becomes tests with measured values, what
separates the two becomes their tolerance. DIR must be new or empty.
"""
_CHECK = """\
Exit code 0 if no line says FAIL, 1 if one does. Nothing of the repository is run.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    export = parts.add_parser("export", help="write a repository for a model", epilog=_EXPORT, formatter_class=raw)
    export.add_argument("model", type=Path, help="a LEMS file with a Target")
    export.add_argument("folder", type=Path, metavar="DIR", help="where the repository goes")
    export.add_argument("--repository", metavar="OWNER/NAME", help="on GitHub (default OpenSourceBrain/DIR)")
    export.add_argument("--license-file", type=Path, metavar="FILE", help="text of the licence")
    export.add_argument("--no-run", action="store_true", help="do not run the model: tests without values, no NWB")
    export.add_argument("--tolerance", type=float, metavar="X", help="of the tests, instead of a second run")
    export.add_argument("--no-notebook", action="store_true", help="leave out the notebook")
    export.add_argument("--no-nwb", action="store_true", help="leave out the results as NWB")
    export.add_argument("--no-netpyne", action="store_true", help="leave out index.npjson for NetPyNE UI")
    export.add_argument("--force", action="store_true", help="replace files in a folder that is not empty")
    add_about(export)
    check = parts.add_parser("check", help="say what a repository lacks", epilog=_CHECK, formatter_class=raw)
    check.add_argument("folder", type=Path, metavar="DIR")
    record = parts.add_parser("metadata", help="the portal's record of a repository, as JSON")
    record.add_argument("folder", type=Path, metavar="DIR")
    record.add_argument("--repository", metavar="OWNER/NAME", help="on GitHub")
    for part in (export, check, record):
        part.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do the part that was asked for."""
    return {"export": _export, "check": _check, "metadata": _metadata}[arguments.part](arguments)


def _export(arguments: argparse.Namespace) -> int:
    from ..errors import UsageError
    from ..portal.about import about_from
    from ..portal.osb import export_repository
    from ..portal.osb.export import Options

    name = arguments.repository
    if name is not None and (name.count("/") != 1 or not all(name.split("/"))):
        raise UsageError(f"'{name}' is no repository on GitHub; expected OWNER/NAME")
    report = Report()
    options = Options(
        repository=name, run=not arguments.no_run, tolerance=arguments.tolerance, license_file=arguments.license_file,
        notebook=not arguments.no_notebook, nwb=not arguments.no_nwb, netpyne=not arguments.no_netpyne,
        force=arguments.force,
    )  # fmt: skip
    about = about_from(vars(arguments), arguments.model.name.removesuffix(".xml").removeprefix("LEMS_"))
    with ProgressBar() as progress:
        done = export_repository(arguments.model, arguments.folder, about=about, options=options, report=report,
                                 progress=progress)  # fmt: skip
    if arguments.json:
        print(json.dumps({"folder": str(done.folder), "files": list(done.files), "notes": report.to_json()}))
        return 0
    say_notes(report)
    for file in done.files:
        print(done.folder / file)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from ..portal.osb import check_repository

    lines = check_repository(arguments.folder)
    counts = {level: sum(line.level == level for line in lines) for level in ("pass", "warn", "fail")}
    if arguments.json:
        print(json.dumps({"counts": counts, "lines": [line.to_json() for line in lines]}))
    else:
        for line in lines:
            print(line)
        print(", ".join(f"{count} {level}" for level, count in counts.items()), file=sys.stderr)
    return 1 if counts["fail"] else 0


def _metadata(arguments: argparse.Namespace) -> int:
    from ..errors import UsageError
    from ..portal.osb import repository_record

    if not arguments.folder.is_dir():
        raise UsageError(f"'{arguments.folder}' is no folder")
    print(json.dumps(repository_record(arguments.folder, arguments.repository), indent=None if arguments.json else 2))
    return 0
