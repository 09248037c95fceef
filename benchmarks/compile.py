"""Compiling a model with many components, nmlbridge against jNeuroML and nrnivmodl, in turn.

    python benchmarks/compile.py [--repeat 3] [--pynml PATH] [--root ... --model LEMS.xml]

The model is NetPyNEShowcase's Balanced network: 80 components, most of them channels of different structure or numbers.
Each run starts with an empty cache. Ours reads, compiles, makes the network and takes one step; pynml
(``-neuron -nogui -compile``) generates and compiles. Of each the seconds of processors with all that it starts and by
the clock, and the memory of the largest process; medians and ratios.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from peers import CORPUS, Usage, find_pynml, in_a_copy

ROOT, MODEL = CORPUS / "NetPyNEShowcase/NeuroML2", "scaling/LEMS_Balanced.xml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that holds all of the model's files")
    parser.add_argument("--model", default=MODEL, help="the LEMS file below it")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pynml", help="pynml of another environment")
    arguments = parser.parse_args()
    pynml = find_pynml(arguments.pynml)
    if pynml is None or not (arguments.root / arguments.model).is_file():
        print("skipped: it takes Java, pynml and the corpus (or --root and --model)")
        return
    name = Path(arguments.model).name
    ours = [sys.executable, "-m", "nmlbridge", "run", name, "--duration", "25us", "--dt", "25us"]
    theirs = [str(pynml), name, "-neuron", "-nogui", "-compile"]
    used: dict[str, list[Usage]] = {"jNeuroML": [], "nmlbridge": []}
    counts = {"jNeuroML": 0, "nmlbridge": 0}
    for _ in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as cache:
            usage, counts["jNeuroML"] = in_a_copy(
                theirs, arguments.root, arguments.model, Path(cache), _mechanisms, pynml.parents[1]
            )
            used["jNeuroML"].append(usage)
            usage, _ = in_a_copy(ours, arguments.root, arguments.model, Path(cache), lambda folder: None)
            used["nmlbridge"].append(usage)
            counts["nmlbridge"] = sum(
                len(listing.read_text().splitlines()) for listing in Path(cache).glob("neuron/objects/*.txt")
            )
    middle = {
        who: [statistics.median(getattr(u, f) for u in runs) for f in ("cpu", "wall", "peak")]
        for who, runs in used.items()
    }
    print(f"{name}, {arguments.repeat} cold compilations in turn")
    print(f"{'':22}{'mechanisms':>12}{'CPU':>10}{'clock':>10}{'largest process':>18}")
    for who, (cpu, wall, peak) in middle.items():
        print(f"{who:22}{counts[who]:12d}{cpu:8.1f} s{wall:8.1f} s{peak:15.0f} MB")
    ratios = [a / b for a, b in zip(middle["nmlbridge"], middle["jNeuroML"], strict=True)]
    print(f"{'ratio':34}{ratios[0]:10.2f}{ratios[1]:10.2f}{ratios[2]:18.2f}   goal: at most a third of the time")


def _mechanisms(folder: Path) -> int:
    return len(list(folder.glob("*.mod")))


if __name__ == "__main__":
    main()
