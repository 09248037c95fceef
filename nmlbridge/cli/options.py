"""What several verbs share: reading options, and saying what a run or a conversion noted."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import LemsError, UsageError, one_line
from ..report import Report
from ..units import split_quantity

_MILLISECONDS = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001}
_MOST_NOTES = 20  # lines on the terminal; --json and --report have them all


def milliseconds(text: str) -> float:
    """A positive time: "0.025", "0.025ms", "25 us" and "2.5e-5s" are all 0.025."""
    try:
        number, unit = split_quantity(text)
        value = float(number) * _MILLISECONDS[unit]
    except (LemsError, KeyError):
        raise argparse.ArgumentTypeError(f"'{text}' is not a time like 0.025, 0.025ms or 25us") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive time")
    return value


def tolerance(text: str) -> float:
    """A number that is not negative."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no tolerance: it must not be negative")
    return value


def whole(minimum: int, maximum: int = 2**63 - 1) -> type[int]:
    """A type for argparse: a whole number of at least ``minimum`` and at most ``maximum``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"{value} is not between {minimum} and {maximum}")
        return value

    return parse  # type: ignore[return-value]


def add_allow(parser: argparse.ArgumentParser) -> None:
    """The options that let in code that comes with a model."""
    parser.add_argument(
        "--allow-code", action="store_true", help="run the model's own code: Python (NetPyNE, PyNN, NEURON) or hoc"
    )
    parser.add_argument("--allow-python", dest="allow_code", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--allow-mods", action="store_true", help="compile the mod files that come with the model")


def add_changes(parser: argparse.ArgumentParser) -> None:
    """The option that puts other values for what a model states by name."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="another value in a file of rules, or of NetPyNE: gain=2, connections.EE.weight=0.5 (may be repeated)",
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """The option that says whether cells are split over ranks."""
    parser.add_argument(
        "--split",
        choices=("auto", "off", "force"),
        default="auto",
        help="split a cell over ranks: auto, if it limits them (default); off, never; force, one at least, or an error",
    )


def allowed(arguments: argparse.Namespace) -> frozenset[str]:
    """The kinds of code that these options let in."""
    return frozenset(kind for kind in ("code", "mods") if getattr(arguments, f"allow_{kind}"))


def say_notes(report: Report) -> None:
    """The losses and approximations of a report, one line each, on stderr."""
    worth = [note for note in report if note.severity != "info"]
    for note in worth[:_MOST_NOTES]:
        print(f"nmlbridge: {one_line(str(note))}", file=sys.stderr)
    if len(worth) > _MOST_NOTES:
        print(f"nmlbridge: and {len(worth) - _MOST_NOTES} more; --json lists them all", file=sys.stderr)


def write_json(path: Path, answer: dict[str, Any]) -> None:
    """Write an answer as a JSON file, all of it or nothing; UsageError if the place cannot be written."""
    from ..files import atomic

    try:
        with atomic(path) as stream:
            stream.write(json.dumps(answer, indent=1).encode() + b"\n")
    except OSError as fault:
        raise UsageError(f"the report cannot be written to '{path}': {fault.strerror}") from None


def changes_of(words: list[str]) -> dict[str, float | str]:
    """The values of ``--set NAME=VALUE``; raises UsageError for a word without ``=``."""
    changes: dict[str, float | str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set needs NAME=VALUE, not '{word}'")
        try:
            changes[name.strip()] = float(value)
        except ValueError:
            changes[name.strip()] = value.strip()
    return changes
