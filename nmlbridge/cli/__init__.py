"""The command line: ``nmlbridge VERB ...``, one module a verb, imported only when it is called.

A verb's module has ``configure(parser)``, which adds its options, and ``run(arguments) -> int``, its exit code.
Exit codes: 0 done, 1 the model or the input is wrong, 2 usage, 3 unsupported feature, 4 the simulator failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from .. import __version__
from ..errors import NmlBridgeError, UsageError, one_line

VERBS = {
    "run": "run a model in NEURON and save what it asks for",
    "build": "build a network from rules and write it in any format",
    "check": "say which simulators can run a model, and what they lack",
    "plan": "foresee the time and memory of a run, and write its batch script",
    "converge": "say how far a model's step is from the limit of small steps",
    "info": "say what a model file holds",
    "validate": "check a model: schema, references, units, dimensions",
    "convert": "write a model in another format",
    "diff": "say what differs between two models",
    "formats": "list the formats and what they can carry",
    "archive": "make, check and unpack COMBINE archives",
    "osb": "write and check repositories for Open Source Brain",
    "omv": "run and write the validation tests of Open Source Brain",
    "results": "convert, show and compare files of results",
    "plot": "draw results or a model",
    "report": "write one HTML page about a run",
    "doctor": "say what is missing on this machine, and the cure",
}


class _Parser(argparse.ArgumentParser):
    """Raises its complaints, so that they are reported like every other error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with ``argv`` (default: the process's own arguments) and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except NmlBridgeError as error:
        return _fail(error, words)
    except KeyboardInterrupt as interruption:
        print("; ".join(["interrupted", *getattr(interruption, "__notes__", ())]), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has gone; keep the interpreter from complaining when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(words: list[str]) -> int:
    about = "Run NeuroML and LEMS models in NEURON; read, check and convert them."
    parser = _Parser(prog="nmlbridge", description=about)
    parser.add_argument("--version", action="version", version=f"nmlbridge {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    asked = next((word for word in words if not word.startswith("-")), None)
    for verb, summary in VERBS.items():
        subparser = verbs.add_parser(verb, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if verb == asked:
            import_module(f"{__name__}.{verb}").configure(subparser)
            subparser.add_argument("--json", action="store_true", help="answer with one JSON object on standard output")
    if not words:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    arguments = parser.parse_args(words)
    code: int = import_module(f"{__name__}.{arguments.verb}").run(arguments)
    return code


def _fail(error: NmlBridgeError, words: list[str]) -> int:
    """Say what went wrong: one line on stderr, or with --json one object on stdout."""
    if "--json" in words:
        import json

        facts = {name: getattr(error, name) for name in ("file", "line", "component") if getattr(error, name, None)}
        message = "; ".join([getattr(error, "message", str(error)), *getattr(error, "__notes__", ())])
        answer = {"type": type(error).__name__, "message": message, **facts, "exit_code": error.exit_code}
        print(json.dumps({"error": answer}))
    else:
        said = "; ".join([f"nmlbridge: error: {error}", *getattr(error, "__notes__", ())])
        print(one_line(said), file=sys.stderr)
    return error.exit_code
