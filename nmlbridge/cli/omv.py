"""nmlbridge omv: run, write and serve the validation tests of Open Source Brain."""

from __future__ import annotations

import argparse
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from .options import milliseconds, whole
from .progress import ProgressBar

_TEST = """\
Each test runs nmlbridge in the place of the engine that it names, in a folder of its own; nothing is written beside
the model. The comparison is OMV's, to the letter. Exit code 0 if all pass, 1 if one fails, 3 if nothing failed but
a test could not be run (its target is a program for another engine).
"""
_NEW = """\
The model runs once; each potential that spikes gives a test of its spike times, one that has come to rest of its
resting value, an event file of its mean rate. With --against the model also runs at another dt, and the tolerances are
what separates the two.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    test = parts.add_parser("test", help="run .omt tests and judge them", epilog=_TEST, formatter_class=raw)
    test.add_argument("places", type=Path, nargs="+", metavar="PLACE", help=".omt files, or folders to search")
    test.add_argument("--engine", action="append", metavar="NAME", help="only tests for this engine (repeat for more)")
    test.add_argument("--method", metavar="NAME", default="compat",
                      help="integration method (default compat, which repeats jNeuroML's numbers)")  # fmt: skip
    test.add_argument("--floor", type=float, default=0.0, metavar="X", help="least relative tolerance (default: exact)")
    test.add_argument("--timeout", type=float, default=300.0, metavar="S", help="seconds for each test (default 300)")
    test.add_argument("-j", "--jobs", type=whole(1, 1024), default=1, metavar="N", help="tests at a time (default 1)")
    test.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    new = parts.add_parser("new", help="write tests for a model from a run", epilog=_NEW, formatter_class=raw)
    new.add_argument("file", type=Path, help="a LEMS file with a Target")
    new.add_argument("-o", "--output", type=Path, metavar="DIR", default=Path(), help="where the tests go (default: .)")
    new.add_argument("--engine", metavar="NAME", help="engine that the tests name (default jNeuroML_NEURON)")
    new.add_argument("--method", metavar="NAME", default="compat", help="integration method (default compat)")
    new.add_argument("--tolerance", type=float, default=0.0, metavar="X", help="relative tolerance (default 0)")
    new.add_argument("--against", type=milliseconds, metavar="TIME", help="also run at this dt with the best method")
    shim = parts.add_parser("shim", help="write a command 'jnml' that runs nmlbridge")
    shim.add_argument("folder", type=Path, metavar="DIR", help="where it goes; JNML_HOME=DIR makes OMV use it")
    for part in (test, new, shim):  # the word may stand behind the part, too
        part.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do the part that was asked for."""
    return {"test": _test, "new": _new, "shim": _shim}[arguments.part](arguments)


def _test(arguments: argparse.Namespace) -> int:
    from ..portal.omv.files import find
    from ..portal.omv.report import junit
    from ..portal.omv.run import ERROR, FAIL, PASS, TIMEOUT, Options, Outcome, run_test

    options = Options(arguments.timeout, arguments.floor, arguments.method)
    paths = find(arguments.places)
    if arguments.engine:
        paths = [path for path in paths if _engine(path) in arguments.engine]
    found: dict[Path, Outcome] = {}
    with ThreadPoolExecutor(arguments.jobs) as pool, ProgressBar() as progress:
        waiting = [pool.submit(run_test, path, options) for path in paths]
        for done in as_completed(waiting):
            outcome = done.result()
            found[outcome.path] = outcome
            progress("test", len(found), len(paths))
            if not arguments.json:
                print(f"{outcome.verdict:11} {outcome.seconds:6.1f} s  {outcome.path}  {outcome.why}".rstrip())
                for warning in outcome.warnings:
                    print(f"            warning: {warning}")
    outcomes = [found[path] for path in paths]
    if arguments.junit:
        junit(outcomes, arguments.junit)
    counts = {v: sum(o.verdict == v for o in outcomes) for v in (PASS, FAIL, ERROR, TIMEOUT, "UNSUPPORTED")}
    if arguments.json:
        print(json.dumps({"counts": counts, "tests": [o.row() for o in outcomes]}))
    else:
        print(", ".join(f"{count} {name.lower()}" for name, count in counts.items() if count) or "no tests")
    if counts[FAIL] + counts[ERROR] + counts[TIMEOUT]:
        return 1
    return 0 if counts[PASS] == len(outcomes) else 3


def _engine(path: Path) -> str | None:
    from ..errors import ModelError
    from ..portal.omv.files import read_test

    try:
        return read_test(path).engine
    except ModelError:
        return None


def _new(arguments: argparse.Namespace) -> int:
    from .. import simulate
    from ..portal.omv.write import ENGINE, new_tests

    with tempfile.TemporaryDirectory() as scratch, ProgressBar() as progress:
        first, second = Path(scratch, "first"), Path(scratch, "second")
        results = simulate(arguments.file, output=first, method=arguments.method, progress=progress)
        other = None
        if arguments.against is not None:
            other = simulate(arguments.file, output=second, dt=arguments.against, progress=progress)
        written = new_tests(
            arguments.file, results, first, arguments.output,
            engine=arguments.engine or ENGINE, tolerance=arguments.tolerance, other=other, other_output=second,
        )  # fmt: skip
    if arguments.json:
        print(json.dumps({"files": [str(path) for path in written]}))
    else:
        for path in written:
            print(path)
    return 0


def _shim(arguments: argparse.Namespace) -> int:
    from .jnml import install

    script = install(arguments.folder.resolve())
    if arguments.json:
        print(json.dumps({"file": str(script)}))
    else:
        print(f"{script}\n  use it with: JNML_HOME={script.parent} omv all")
    return 0
