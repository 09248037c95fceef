"""nmlbridge report: one HTML page about a run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .options import add_allow, allowed
from .progress import ProgressBar

_EPILOG = """\
A model (LEMS, a file of rules, or another format's simulation) is run, and nothing but the page is written. With
--outputs, or for results, nothing is run; --model then adds the summary and the figures of the network.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = _EPILOG
    parser.add_argument("source", type=Path, help="the folder of a run, a file of results, or a model that can be run")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the page (default: SOURCE.report.html here)")
    parser.add_argument("--outputs", type=Path, metavar="DIR", help="where the source, a LEMS file, put its outputs")
    parser.add_argument("--model", type=Path, metavar="FILE", help="the model that the results are of")
    add_allow(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run or read, write the page, and say where."""
    from ..files import atomic
    from ..plot import page, require_matplotlib

    require_matplotlib()
    source = arguments.source
    results, network = _gather(arguments)
    target = arguments.output or Path(f"{source.resolve().name.partition('.')[0]}.report.html")
    text = page(results, network, source.resolve().name)
    with atomic(target) as stream:
        stream.write(text.encode())
    print(json.dumps({"report": str(target)}) if arguments.json else target)
    return 0


def _gather(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """The results, and the network if there is a model."""
    from .. import read, simulate
    from ..errors import NmlBridgeError
    from ..results import read_results
    from ..results.registry import results_format_to_read

    source, model, allow = arguments.source, arguments.model, allowed(arguments)
    try:
        ready = arguments.outputs is not None or results_format_to_read(source).name != "lems-run"
    except NmlBridgeError:
        ready = False  # no results: then it is a model, or the run says what is wrong
    if ready:
        return read_results(source, folder=arguments.outputs), None if model is None else read(model, allow=allow)
    with ProgressBar() as progress:
        results = simulate(source, progress=progress, allow=allow)
    try:
        network = read(model or source, allow=allow)
    except NmlBridgeError:
        if model is not None:
            raise
        network = None  # the target is a lone component
    return results, network
