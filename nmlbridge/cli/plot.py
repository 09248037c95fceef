"""nmlbridge plot: figures of results and of models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .options import milliseconds

_EPILOG = """\
kinds from results: raster, rate, rates, rate-distribution, intervals, traces, spectrum, spectrogram, coherence,
phase-plane; from a model: connectivity, network; from both: movie (SOURCE is the results, --model the model).
The ending of FILE says what is written: .png, .pdf, .svg, .html (interactive; extra 'interactive'), .gif for a movie.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("kind", help="what to draw")
    parser.add_argument(
        "source", type=Path, help="results (a file, or a LEMS file whose outputs lie beside it), or a model"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the figure (default: SOURCE.KIND.png here)")
    parser.add_argument("--outputs", type=Path, metavar="DIR", help="where the source, a LEMS file, put its outputs")
    parser.add_argument("--model", type=Path, metavar="FILE", help="movie: the model, which says where the cells are")
    parser.add_argument("--quantity", action="append", default=[], metavar="PATH", dest="quantities",
                        help="a recorded quantity such as pop[0]/v (may be repeated)")  # fmt: skip
    parser.add_argument("--population", metavar="ID", help="only this population")
    parser.add_argument("--start", type=milliseconds, metavar="TIME", help="begin of the window")
    parser.add_argument("--stop", type=milliseconds, metavar="TIME", help="end of the window")
    parser.add_argument(
        "--width", type=milliseconds, metavar="TIME", help="width of a bin, or of a segment of a spectrum"
    )
    parser.add_argument("--limit", type=float, metavar="HZ", help="highest frequency to show")
    parser.add_argument(
        "--feature",
        default="number",
        metavar="NAME",
        help="connectivity: number, probability, convergence, divergence, weight, delay, strength",
    )
    parser.add_argument(
        "--by", choices=("population", "cell"), default="population", help="connectivity: rows are these"
    )
    parser.add_argument("--view", choices=("xy", "xz", "yz", "3d"), default="xy", help="network: seen from where")


def run(arguments: argparse.Namespace) -> int:
    """Draw, write, and say where."""
    from ..plot import Options, figure, kind_named, require_matplotlib, save

    require_matplotlib()
    seconds = {
        name: None if (v := getattr(arguments, name)) is None else v * 1e-3 for name in ("start", "stop", "width")
    }
    name = arguments.kind
    ending = "gif" if name == "movie" else "png"
    target = arguments.output or Path(f"{arguments.source.name.partition('.')[0]}.{name}.{ending}")
    if name == "movie":
        path = _movie(arguments, target, seconds)
    else:
        kind = kind_named(name)
        options = Options(
            seconds["start"] or 0.0, seconds["stop"], arguments.population, tuple(arguments.quantities),
            arguments.feature, arguments.by, arguments.view, seconds["width"], arguments.limit,
        )  # fmt: skip
        source = _model(arguments.source) if kind.source == "network" else _results(arguments)
        path = save(figure(name, source, options), target)
    print(json.dumps({"figure": str(path), "kind": name}) if arguments.json else path)
    return 0


def _movie(arguments: argparse.Namespace, target: Path, seconds: dict[str, float | None]) -> Any:
    from ..errors import UsageError
    from ..plot import movie

    if arguments.model is None:
        raise UsageError("a movie needs the model too, which says where the cells are: --model FILE")
    network = _model(arguments.model)
    start, stop = seconds["start"] or 0.0, seconds["stop"]
    return movie(network, _results(arguments).spikes, target, stop, start, view=arguments.view)


def _model(path: Path) -> Any:
    from .. import read

    return read(path)


def _results(arguments: argparse.Namespace) -> Any:
    from ..results import read_results

    return read_results(arguments.source, folder=arguments.outputs)
