"""From the command to the results: ACnet2 (60 cells of up to 9 compartments, 984 synapses), nmlbridge against pynml.

    python benchmarks/acnet2.py [--model .../ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml] [--repeat 3]

The model is Open Source Brain's, unchanged; each run gets a fresh copy of its folder. Cold means an empty cache of
compiled mechanisms, warm a cache that the run before has filled. pynml (jNeuroML) keeps no cache: its mechanisms are
generated and compiled in each run. The runs of the two take turns; printed are medians and ratios.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "shared/corpus/ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml"
BIN = Path(sys.executable).parent


def timed(command: list[str], model: Path, cache: Path) -> float:
    """Seconds of a command in a fresh copy of the model's folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        shutil.copytree(model.parent, folder, ignore=shutil.ignore_patterns("x86_64", "arm64", ".test*"))
        environment = os.environ | {
            "NMLBRIDGE_CACHE": str(cache),
            "NEURON_HOME": str(BIN.parent),  # jNeuroML does not find NEURON by itself
            "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        }
        start = time.perf_counter()
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if ran.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}")
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        print(f"skipped: {arguments.model} is not there; --model names another place of ACnet2's LEMS_MediumNet.xml")
        return
    if shutil.which("java") is None:
        print("skipped: pynml needs Java, and there is none")
        return
    name = arguments.model.name
    ours = [sys.executable, "-m", "nmlbridge", "run", name]
    theirs = [str(BIN / "pynml"), name, "-neuron", "-run", "-nogui"]
    times: dict[str, list[float]] = {"pynml": [], "cold": [], "warm": []}
    for _ in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as cache:
            times["pynml"].append(timed(theirs, arguments.model, Path(cache)))
            times["cold"].append(timed(ours, arguments.model, Path(cache)))
            times["warm"].append(timed(ours, arguments.model, Path(cache)))
    middle = {what: statistics.median(values) for what, values in times.items()}
    print(f"pynml -neuron -run    {middle['pynml']:6.1f} s")
    for what, goal in (("cold", "less than 1/2"), ("warm", "less than 1/3")):
        ratio = middle[what] / middle["pynml"]
        print(f"nmlbridge run, {what}   {middle[what]:6.1f} s   ratio {ratio:.2f}   goal {goal}")


if __name__ == "__main__":
    main()
