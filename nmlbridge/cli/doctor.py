"""nmlbridge doctor: what is missing on this machine, and the cure."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from ..errors import NmlBridgeError
from .progress import ProgressBar

# distribution, what it is for, the extra that brings it (None: it comes with nmlbridge itself)
_PACKAGES: tuple[tuple[str, str, str | None], ...] = (
    ("numpy", "arrays", None),
    ("lxml", "reading XML", None),
    ("h5py", "reading and writing HDF5", None),
    ("libNeuroML", "the XML schema", None),
    ("pyNeuroML", "the core ComponentTypes", None),
    ("matplotlib", "run --plot", "plot"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. ``needed`` says whether a serial run needs it."""

    what: str
    there: bool
    needed: bool
    found: str = ""
    cure: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.epilog = "Exit code 0 if models can be run (perhaps without MPI or figures), 4 if they cannot."


def run(arguments: argparse.Namespace) -> int:
    """Look at this machine and print what was found."""
    findings = list(_examine())
    able = all(finding.there for finding in findings if finding.needed)
    if arguments.json:
        print(json.dumps({"able": able, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            mark = "ok     " if finding.there else "MISSING" if finding.needed else "without"
            print(f"{mark} {finding.what}" + (f": {finding.found}" if finding.found else ""))
            if not finding.there and finding.cure:
                print(f"        {finding.cure}")
        print("models can be run on this machine" if able else "models cannot be run until what is MISSING is there")
    return 0 if able else 4


def _examine() -> Iterator[Finding]:
    yield Finding("nmlbridge", True, True, f"{__version__} in {Path(__file__).resolve().parents[1]}")
    yield Finding("Python", True, True, f"{platform.python_version()} on {sys.platform} {platform.machine()}")
    for name, purpose, extra in _PACKAGES:
        cure = f"pip install 'nmlbridge[{extra}]'" if extra else f"pip install {name}"
        yield _look(f"{name} ({purpose})", extra is None, cure, partial(version, name))
    yield _cache()
    yield from _simulator()


def _look(what: str, needed: bool, cure: str, find: Callable[[], str]) -> Finding:
    """What ``find`` says, or its complaint with the cure."""
    try:
        return Finding(what, True, needed, find())
    except PackageNotFoundError:
        return Finding(what, False, needed, "not installed", cure)
    except NmlBridgeError as fault:
        return Finding(what, False, needed, str(fault), cure)


def _simulator() -> Iterator[Finding]:
    """A small model is compiled and run, on one process and on two."""
    from ..simulator.neuron.doctor import facts

    with ProgressBar() as progress:
        progress("trying")
        for fact in facts():
            optional = fact.name.lower().startswith("mpi")
            cure = fact.cure or ("pip install 'nmlbridge[mpi]'; without it runs use one process" if optional else "")
            yield Finding(fact.name, fact.works, not optional, fact.detail, cure)


def _cache() -> Finding:
    """The folder for compiled mechanisms can be written to."""
    from ..simulator.neuron.compile import cache_folder

    folder = cache_folder()
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    cure = "make it writable, or set $NMLBRIDGE_CACHE to a folder that is"
    writable = os.access(place, os.W_OK | os.X_OK)
    return Finding("cache of compiled mechanisms", writable, True, str(folder), "" if writable else cure)
