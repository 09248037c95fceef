"""nmlbridge info: what a model file holds."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..report import Report
from .options import add_allow, allowed, say_notes
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..neuroml import Document

_MOST_ROWS = 30  # of one kind on the terminal; --json has them all


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("file", type=Path, help="a model file, or a folder of a format that is one")
    add_allow(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the file with its includes and say what is in it."""
    from ..neuroml import read_any
    from ..registry import format_to_read

    report = Report()
    title = format_to_read(arguments.file).title
    with ProgressBar() as progress:
        progress("read")
        document = read_any(arguments.file, report, allowed(arguments))
    facts = _facts(document, title) | {"notes": report.to_json()}
    if arguments.json:
        print(json.dumps(facts))
        return 0
    say_notes(report)
    _say(facts)
    return 0


def _facts(document: Document, title: str) -> dict[str, Any]:
    tags = Counter(element.tag for element in document.elements() if element.tag not in ("network", "Target"))
    return {
        "file": str(document.path),
        "format": title,
        "files": [str(file.path) for file in document.files],
        "target": document.target,
        "components": dict(tags.most_common()),
        "networks": [network.summary() for network in document.networks],
    }


def _say(facts: dict[str, Any]) -> None:
    print(f"{facts['file']}: {facts['format']}" + (f", runs {facts['target']}" if facts["target"] else ""))
    if len(facts["files"]) > 1:
        _rows(f"{len(facts['files'])} files", facts["files"])
    _rows("components", [f"{count} {tag}" for tag, count in facts["components"].items()])
    for network in facts["networks"]:
        warmth = network["temperature_K"]
        celsius = f", {warmth - 273.15:g} degC" if warmth is not None else ""
        print(f"network {network['id']}: {network['cells']} cells, {network['connections']} connections{celsius}")
        _rows("populations", [f"{id}: {p['size']} {p['component']}" for id, p in network["populations"].items()])
        _rows(
            "projections",
            [
                f"{id}: {p['connections']} {p['kind']} from {p['from']} to {p['to']}"
                for id, p in network["projections"].items()
            ],
        )
        inputs = network["input_lists"].items()
        _rows("inputs", [f"{id}: {i['inputs']} {i['component']} to {i['population']}" for id, i in inputs])


def _rows(title: str, rows: list[str]) -> None:
    if not rows:
        return
    print(f"  {title}")
    for row in rows[:_MOST_ROWS]:
        print(f"    {row}")
    if len(rows) > _MOST_ROWS:
        print(f"    and {len(rows) - _MOST_ROWS} more")
