"""nmlbridge doctor: what is missing on this machine, and the cure."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from ..errors import NmlBridgeError

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
        yield _look(f"{name} ({purpose})", extra is None, cure, lambda name=name: version(name))
    yield from _neuron()
    yield from _mpi()
    yield _cache()


def _look(what: str, needed: bool, cure: str, find: Callable[[], str]) -> Finding:
    """What ``find`` says, or its complaint with the cure."""
    try:
        return Finding(what, True, needed, find())
    except PackageNotFoundError:
        return Finding(what, False, needed, "not installed", cure)
    except NmlBridgeError as fault:
        return Finding(what, False, needed, str(fault), cure)


def _neuron() -> Iterator[Finding]:
    from ..simulator.neuron.toolchain import compiler_version, find_compiler, neuron_root, neuron_version

    yield _look("NEURON", True, "pip install neuron", lambda: f"{neuron_version()} in {neuron_root()}")
    yield _look("C++ compiler", True, "", lambda: compiler_version(find_compiler()))


def _mpi() -> Iterator[Finding]:
    from ..simulator.neuron.mpi import find_launcher, find_library

    cure = "pip install 'nmlbridge[mpi]', or an MPI of the system; without it runs use one process"
    launcher = find_launcher()
    library = find_library(launcher)
    if launcher is None or library is None:
        lost = "there is no mpiexec" if launcher is None else f"there is {launcher}, but no libmpi"
        yield Finding("MPI", False, False, lost, cure)
        return
    try:
        done = subprocess.run([launcher, "--version"], capture_output=True, text=True, timeout=30, check=True)
        yield Finding("MPI", True, False, f"{done.stdout.strip().splitlines()[0]} ({launcher}, {library})")
    except (OSError, subprocess.SubprocessError, IndexError) as fault:
        yield Finding("MPI", False, False, f"{launcher} does not answer: {fault}", cure)


def _cache() -> Finding:
    """The folder for compiled mechanisms can be written to."""
    from ..simulator.neuron.compile import cache_folder

    folder = cache_folder()
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    cure = "make it writable, or set $NMLBRIDGE_CACHE to a folder that is"
    writable = os.access(place, os.W_OK | os.X_OK)
    return Finding("cache of compiled mechanisms", writable, True, str(folder), "" if writable else cure)
