"""nmlbridge validate: what is wrong with a model, all at once."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ..errors import one_line
from .progress import ProgressBar


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = "Exit code 0 if all files are valid (warnings do not count), 1 if one is not."
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="NeuroML or LEMS files")
    parser.add_argument("--no-warnings", action="store_true", help="show errors only")


def run(arguments: argparse.Namespace) -> int:
    """Check each file with what it includes; print one line a problem."""
    from .. import validate

    found = {}
    with ProgressBar() as progress:
        for row, path in enumerate(arguments.files):
            progress("validate", row, len(arguments.files))
            found[str(path)] = validate(path)
        progress("validate", 1, 1)
    if arguments.no_warnings:
        found = {path: [p for p in problems if p.severity == "error"] for path, problems in found.items()}
    valid = {path: not any(p.severity == "error" for p in problems) for path, problems in found.items()}
    if arguments.json:
        files = [
            {"file": path, "valid": valid[path], "problems": [asdict(problem) for problem in problems]}
            for path, problems in found.items()
        ]
        print(json.dumps({"valid": all(valid.values()), "files": files}))
    else:
        for path, problems in found.items():
            for problem in problems:
                print(one_line(str(problem)))
            errors = sum(problem.severity == "error" for problem in problems)
            print(f"{path}: valid" if valid[path] else f"{path}: {errors} error{'s' if errors > 1 else ''}")
    return 0 if all(valid.values()) else 1
