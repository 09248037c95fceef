"""nmlbridge diff: what differs between two models, not between two texts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = "Exit code 0 if the two are the same model, 1 if they differ. The formats may differ."
    parser.add_argument("a", type=Path, help="one model file")
    parser.add_argument("b", type=Path, help="the other")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and print one line a difference."""
    from .. import diff

    differences = [str(difference) for difference in diff(arguments.a, arguments.b)]
    if arguments.json:
        print(json.dumps({"same": not differences, "differences": differences}))
    elif differences:
        print("\n".join(differences))
    else:
        print("the same model")
    return 1 if differences else 0
