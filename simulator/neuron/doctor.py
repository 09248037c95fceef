"""Whether models can be run on this machine, found out by running one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ...errors import NmlBridgeError, SimulatorError
from ..program import Program
from .launch import run_program
from .toolchain import find_toolchain

_MECHANISM = """
NEURON { SUFFIX nmlbridge_check  NONSPECIFIC_CURRENT i  RANGE q  THREADSAFE }
UNITS { (mA) = (milliamp) }
STATE { q }
ASSIGNED { i (mA/cm2) }
BREAKPOINT { SOLVE decay METHOD cnexp  i = 0 }
INITIAL { q = 1 }
DERIVATIVE decay { q' = -q }
"""


@dataclass(frozen=True)
class Fact:
    """One thing that was tried: what it is, whether it works, what was found, and the cure if it does not."""

    name: str
    works: bool
    detail: str
    cure: str = ""


def facts() -> list[Fact]:
    """Whether NEURON, the compiler, MPI and mpi4py are there and work; takes a few seconds the first time."""
    found = [_compiler(), _run("serial run", 1), _run("MPI run on 2 ranks", 2)]
    try:
        found.append(Fact("mpi4py", True, version("mpi4py")))
    except PackageNotFoundError:
        found.append(Fact("mpi4py", False, "not installed", "pip install mpi4py (models run without it)"))
    return found


def _compiler() -> Fact:
    try:
        tools = find_toolchain()
    except SimulatorError as fault:
        return Fact("NEURON and compiler", False, str(fault))
    return Fact("NEURON and compiler", True, f"NEURON {tools.version} in {tools.root}; {tools.compiler_version}")


def _run(name: str, ranks: int) -> Fact:
    """Compile a mechanism of one state, run it for 1 ms, and compare with the exact solution."""
    try:
        results = run_program(trial(), ranks=ranks)
    except NmlBridgeError as fault:
        return Fact(name, False, str(fault))
    off = float(np.abs(results.columns[0] - np.exp(-1e3 * results.time)).max())
    if off > 1e-9:
        return Fact(name, False, f"a decay is off by {off:.1e} from its exact solution", "reinstall NEURON")
    return Fact(name, True, f"compiled and ran in {sum(p['seconds'] for p in results.phases.values()):.1f} s")


def trial() -> Program:
    """The smallest Program that needs a compiled mechanism."""
    return Program(
        {
            "templates": [
                {
                    "id": "cell",
                    "sections": [{"name": "soma", "L": 10.0, "diam": 10.0, "nseg": 1, "parent": -1, "Ra": 100.0}],
                    "v_init": -65.0,
                    "inserts": [{"mechanism": "nmlbridge_check", "sections": [0], "parameters": {}}],
                    "source": {"kind": "voltage", "section": 0, "x": 0.5, "threshold": 0.0},
                }
            ],
            "populations": [{"id": "cells", "template": 0, "first_gid": 0, "size": 2}],
            "recordings": [
                {"column": 0, "gid": 1, "section": 0, "x": 0.5, "mechanism": "nmlbridge_check", "variable": "q"}
            ],
            "spikes": "all",
            "run": {"dt": 0.025, "duration": 1.0, "celsius": 6.3, "seed": 1},
        },
        mods={"nmlbridge_check.mod": _MECHANISM},
    )
