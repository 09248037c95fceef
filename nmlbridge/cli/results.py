"""nmlbridge results: files of results, converted, shown and compared."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..report import Report
from .options import milliseconds, say_notes

if TYPE_CHECKING:
    from ..results import Comparison, Results

_FORMATS = """\
A folder as input means what a run has written there (run -o DIR); a LEMS file means the output files that it names,
beside it. Formats are told by content when read and by
name when written; --from and --to name them: run, lems-run, dat, csv, sonata, nwb, nix, netpyne, mat.
"""
_COMPARE = """\
Exit code 0 if everything that both have is within the limits, 1 if not. Without options: traces within a thousandth of
their range (root mean square), as many spikes in each cell, each within 0.1 ms. A limit of "none" does not ask.
"""
_SOURCE = "the folder of a run, a file of results, or a LEMS file whose outputs lie beside it"
_MOST = 12  # lines of each kind on the terminal; --json has them all


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    convert = parts.add_parser("convert", help="write results in another format", epilog=_FORMATS, formatter_class=raw)
    convert.add_argument("source", type=Path, help=_SOURCE)
    convert.add_argument("target", type=Path, help="the file to write; its name tells the format")
    convert.add_argument("--to", dest="target_format", metavar="FORMAT", help="format of the target")
    convert.add_argument("--fail-on-loss", action="store_true", help="what the target cannot carry is an error")
    show = parts.add_parser("show", help="say what a file of results holds", epilog=_FORMATS, formatter_class=raw)
    show.add_argument("source", type=Path, help=_SOURCE)
    compare = parts.add_parser("compare", help="say how far two results are apart", epilog=_COMPARE,
                               formatter_class=raw)  # fmt: skip
    compare.add_argument("source", type=Path, metavar="FIRST", help="the results that count as right")
    compare.add_argument("second", type=Path, metavar="SECOND", help="the results that are judged")
    compare.add_argument("--rms", type=_limit, default=1e-3, metavar="X", help="of a trace, relative to its range")
    compare.add_argument("--shift", type=_time_limit, default=0.1, metavar="TIME", help="largest shift of a spike")
    compare.add_argument("--coincidence", type=_limit, metavar="G", help="least coincidence factor of a cell")
    compare.add_argument("--victor-purpura", type=_limit, metavar="X", help="largest such distance of a cell")
    compare.add_argument("--van-rossum", type=_limit, metavar="X", help="largest such distance of a cell")
    compare.add_argument("--rate", type=_limit, metavar="X", help="largest relative difference of spike counts")
    compare.add_argument("--window", type=milliseconds, default=2.0, metavar="TIME", help="half window of coincidence")
    compare.add_argument("--cost", type=milliseconds, default=10.0, metavar="TIME",
                         help="Victor-Purpura: the shift that costs 1")  # fmt: skip
    compare.add_argument("--kernel", type=milliseconds, default=10.0, metavar="TIME", help="time constant, van Rossum")
    compare.add_argument("--distances", action="store_true", help="compute both distances though no limit asks")
    compare.add_argument("--strict", action="store_true", help="what only one of the two has is a difference")
    compare.add_argument("--second-format", metavar="FORMAT", help="format of SECOND")
    for part in (convert, show, compare):
        part.add_argument("--outputs", type=Path, metavar="DIR", help="where the source, a LEMS file, put its outputs")
        part.add_argument("--from", dest="source_format", metavar="FORMAT", help="format of the source")
        part.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON object")


def _limit(text: str) -> float | None:
    if text == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number of at least 0 nor 'none'")
    return value


def _time_limit(text: str) -> float | None:
    """A time in ms; 0 means equal to the last digit."""
    return None if text == "none" else 0.0 if text.strip() in ("0", "0ms", "0s") else milliseconds(text)


def run(arguments: argparse.Namespace) -> int:
    """Do the part that was asked for."""
    return {"convert": _convert, "show": _show, "compare": _compare}[arguments.part](arguments)


def _convert(arguments: argparse.Namespace) -> int:
    from ..errors import UsageError
    from ..results import read_results, write_results

    report = Report(strict=arguments.fail_on_loss)
    source, target = arguments.source, arguments.target
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"'{source}' cannot be converted into itself; name another target")
    results = read_results(source, format=arguments.source_format, report=report, folder=arguments.outputs)
    write_results(results, target, format=arguments.target_format, report=report)
    if arguments.json:
        print(json.dumps({"source": str(source), "target": str(target), "notes": report.to_json()}))
    else:
        say_notes(report)
        print(f"{target}: {len(results.traces)} traces, {len(results.spikes)} spikes")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from ..results import read_results

    report = Report()
    results = read_results(arguments.source, format=arguments.source_format, report=report, folder=arguments.outputs)
    if arguments.json:
        print(json.dumps(_facts(results) | {"notes": report.to_json()}))
        return 0
    say_notes(report)
    for name, value in results.provenance.items():
        print(f"{name}: {value}")
    time = results.time
    if len(time):
        print(f"{len(results.traces)} traces at {len(time)} times, {time[0]:g} to {time[-1]:g} s")
    for row in _facts(results)["traces"][:_MOST]:
        print(f"  {row['quantity']}: {row['least']:.6g} to {row['greatest']:.6g} {row['unit']}".rstrip())
    if len(results.traces) > _MOST:
        print(f"  and {len(results.traces) - _MOST} more")
    print(f"{len(results.spikes)} spikes")
    for name, count in results.spikes.counts().items():
        print(f"  {name}: {count} of {results.spikes.populations[name][1]} cells")
    return 0


def _facts(results: Results) -> dict[str, list[dict[str, object]]]:
    traces = results.traces
    rows = [
        {"quantity": quantity, "unit": unit, "least": float(values.min()), "greatest": float(values.max()),
         "last": float(values[-1])}
        for quantity, unit, values in zip(traces.quantities, traces.units, traces.values, strict=True)
        if len(values)
    ]  # fmt: skip
    facts = results.summary()
    return {**facts, "traces": rows}


def _compare(arguments: argparse.Namespace) -> int:
    from ..results import Limits, Scales, compare_results, read_results

    first = read_results(arguments.source, format=arguments.source_format, folder=arguments.outputs)
    second = read_results(arguments.second, format=arguments.second_format)
    limits = Limits(
        rms=arguments.rms, shift=None if arguments.shift is None else arguments.shift * 1e-3,
        coincidence=arguments.coincidence, victor_purpura=arguments.victor_purpura, van_rossum=arguments.van_rossum,
        rate=arguments.rate,
    )  # fmt: skip
    scales = Scales(arguments.window * 1e-3, arguments.cost * 1e-3, arguments.kernel * 1e-3)
    found = compare_results(first, second, limits, scales, distances=arguments.distances, strict=arguments.strict)
    if arguments.json:
        print(json.dumps(found.to_json()))
    else:
        _say(found)
    return 0 if found.passed else 1


def _say(found: Comparison) -> None:
    traces = sorted(found.traces, key=lambda t: (t.passed, -t.relative))
    for trace in traces[:_MOST]:
        apart = f"rms {trace.rms:.3g} {trace.unit} ({trace.relative:.2g} of the range), at most {trace.largest:.3g}"
        print(f"{_verdict(trace.passed)} {trace.quantity}: {apart}")
    if len(traces) > _MOST:
        print(f"     and {len(traces) - _MOST} traces that differ less")
    for name, (a, b, passed) in found.rates.items():
        cells = [t for t in found.trains if t.population == name]
        shift = max((t.shift for t in cells if t.shift is not None), default=0.0)
        agree = sum(t.passed for t in cells)
        verdict = _verdict(passed and agree == len(cells))
        print(f"{verdict} {name}: {a} and {b} spikes, {agree} of {len(cells)} cells agree, "
              f"largest shift {shift * 1e3:.4g} ms")  # fmt: skip
        for train in sorted(cells, key=lambda t: (t.passed, t.coincidence or 0.0))[:3]:
            said = {"shift (s)": train.shift, "coincidence": train.coincidence,
                    "Victor-Purpura": train.victor_purpura, "van Rossum": train.van_rossum}  # fmt: skip
            measures = [f"{key} {value:.4g}" for key, value in said.items() if value is not None]
            counts = f"{train.first} and {train.second} spikes"
            print(f"       {_verdict(train.passed)} [{train.index}]: {', '.join([counts, *measures])}")
    for name in found.alone[:_MOST]:
        print(f"     only in one of them: {name}")
    print("equal within the limits" if found.passed else "they differ")


def _verdict(passed: bool) -> str:
    return "ok  " if passed else "FAIL"
