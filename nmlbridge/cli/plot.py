"""nmlbridge plot: figures of results and of models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .options import add_allow, allowed, milliseconds

_EPILOG = """\
kinds from results: raster, rate, rates, rate-distribution, intervals, traces, spectrum, spectrogram, coherence,
phase-plane, lfp, csd, dipole, eeg; from a model: connectivity, chord, network, morphology (with --results for what was
recorded), kinetics (SOURCE may be a .mod file); from both: movie (SOURCE is the results, --model the model).
The ending of FILE says what is written: .png, .pdf, .svg, .html (interactive; extra 'interactive'), .gif or .html for a
movie.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("kind", help="what to draw")
    parser.add_argument(
        "source", type=Path, help="the folder of a run, a file of results, a LEMS file with its outputs, or a model"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the figure (default: SOURCE.KIND.png here)")
    parser.add_argument("--outputs", type=Path, metavar="DIR", help="where the source, a LEMS file, put its outputs")
    parser.add_argument("--model", type=Path, metavar="FILE", help="movie: the model, which says where the cells are")
    parser.add_argument("--quantity", action="append", default=[], metavar="PATH", dest="quantities",
                        help="a recorded quantity such as pop[0]/v (may be repeated)")  # fmt: skip
    parser.add_argument("--population", metavar="ID", help="only this population")
    parser.add_argument("--include", action="append", default=[], metavar="CELLS", type=_cells,
                        help="spikes of these alone: a population, pop[3] or a number (may be repeated)")  # fmt: skip
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
        "--by", choices=("population", "cell", "x", "y", "z"), default="population",
        help="connectivity: rows are these; x, y, z: slabs of 100 um",
    )
    parser.add_argument("--view", choices=("xy", "xz", "yz", "3d"), default="xy",
                        help="network, morphology: seen from where")  # fmt: skip
    parser.add_argument("--part", metavar="ID", help="lfp, csd, dipole, eeg: of a population, or of a cell pop[3]")
    parser.add_argument("--spacing", type=float, metavar="UM", help="csd: distance of the contacts")
    parser.add_argument("--up", choices=("x", "y", "z"), default="y", help="eeg: the axis that points out of the head")
    parser.add_argument("--channel", metavar="ID", help="kinetics: which channel (default: the first)")
    parser.add_argument("--temperature", type=float, default=6.3, metavar="DEGC", help="kinetics: (default: 6.3)")
    parser.add_argument("--color", default="path", metavar="WHAT",
                        help="morphology: synapses, path, diameter, or a recorded variable such as v")  # fmt: skip
    parser.add_argument("--cell", type=int, default=0, metavar="N", help="morphology: the cell whose values are shown")
    parser.add_argument("--time", type=milliseconds, metavar="TIME", help="morphology: of the values (default: end)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="morphology: results that recorded the variable")
    add_allow(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw, write, and say where."""
    from ..plot import Options, figure, kind_named, require_matplotlib, save

    require_matplotlib()
    seconds = {
        name: None if (v := getattr(arguments, name)) is None else v * 1e-3
        for name in ("start", "stop", "width", "time")
    }
    name = arguments.kind
    ending = "gif" if name == "movie" else "png"
    target = arguments.output or Path(f"{arguments.source.resolve().name.partition('.')[0]}.{name}.{ending}")
    if name == "movie":
        path = _movie(arguments, target, seconds)
    else:
        kind = kind_named(name)
        options = Options(
            seconds["start"] or 0.0, seconds["stop"], arguments.population, tuple(arguments.quantities),
            arguments.feature, arguments.by, arguments.view, seconds["width"], arguments.limit, arguments.include,
            arguments.part, arguments.spacing, arguments.up, arguments.channel, arguments.temperature, arguments.color,
            arguments.cell, seconds["time"],
        )  # fmt: skip
        source = (_model(arguments.source, allowed(arguments)) if kind.source == "network"
                  else _results(arguments, arguments.source))  # fmt: skip
        more = None
        if kind.also and arguments.results is not None:
            more = _results(arguments, arguments.results)
        path = save(figure(name, source, options, more), target)
    print(json.dumps({"figure": str(path), "kind": name}) if arguments.json else path)
    return 0


def _movie(arguments: argparse.Namespace, target: Path, seconds: dict[str, float | None]) -> Any:
    from ..errors import UsageError
    from ..plot import movie

    if arguments.model is None:
        raise UsageError("a movie needs the model too, which says where the cells are: --model FILE")
    network = _model(arguments.model, allowed(arguments))
    start, stop = seconds["start"] or 0.0, seconds["stop"]
    return movie(network, _results(arguments, arguments.source).spikes, target, stop, start, view=arguments.view)


def _cells(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _model(path: Path, allow: frozenset[str]) -> Any:
    from .. import read

    if path.suffix == ".mod":
        from ..errors import UsageError
        from ..graph import Network

        try:
            return Network(path.stem, mods={path.name: path.read_text()})
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from None
    return read(path, allow=allow)


def _results(arguments: argparse.Namespace, path: Path) -> Any:
    from ..results import read_results

    return read_results(path, folder=arguments.outputs)
