"""Run the first example and draw its figures: what `make demo` does.

On two MPI processes if there is an MPI, on one otherwise; everything that is written goes to examples/output.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nmlbridge.cli import main
from nmlbridge.simulator.neuron.mpi import find_launcher, find_library

HERE = Path(__file__).resolve().parent


def demo() -> int:
    """Run the example as the command line would, and say which command that is."""
    launcher = find_launcher()
    ranks = 2 if launcher is not None and find_library(launcher) is not None else 1
    model = HERE / "01_two_populations" / "LEMS_TwoPopulations.xml"
    words = ["run", str(model), "-n", str(ranks), "-o", str(HERE / "output"), "--plot"]
    print("nmlbridge " + " ".join(words), flush=True)
    return main(words)


if __name__ == "__main__":
    sys.exit(demo())
