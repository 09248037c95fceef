"""What `nmlbridge plan` foresees against what runs take: published models, each planned and run in turn.

    python benchmarks/foresight.py [--corpus .../shared/corpus] [--repeat 3]

Printed are ratios foreseen / measured of the processor's seconds to build and to simulate (slowest rank) and of memory
(all ranks), medians of the repeats; and of the processor's seconds to compile into an empty cache. The costs of this
machine are measured first, if they are not known.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
from pathlib import Path

from nmlbridge import simulate
from nmlbridge.simulator.neuron.compile import compile_mods, processors
from nmlbridge.simulator.plan.calibrate import costs
from nmlbridge.simulator.plan.predict import foresee, prepared

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
MODELS: list[tuple[str, float | None, float, int]] = [  # file, duration (ms), rate (Hz), ranks
    ("ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml", 300.0, 10.0, 1),
    ("ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml", 300.0, 10.0, 2),
    ("NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml", None, 10.0, 1),
    ("NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml", None, 10.0, 2),
    ("Brunel2000/NeuroML2/LEMS_Sim_BrunelFromPyNN.xml", None, 10.0, 1),
    ("Brunel2000/NeuroML2/LEMS_Sim_BrunelFromPyNN.xml", None, 5000.0, 1),
    ("GranCellLayer/NeuroML2/LEMS_GranCellLayer.xml", None, 10.0, 1),
    ("NetPyNEShowcase/NeuroML2/LEMS_HybridSmall.xml", None, 10.0, 1),
    ("PospischilEtAl2008/NeuroML2/LEMS_FiveCells.xml", None, 10.0, 1),
]


def ratios(path: Path, duration: float | None, rate: float, ranks: int, repeat: int) -> dict[str, float]:
    """Foreseen over measured for one model."""
    program, measured = prepared(path, duration=duration), costs()
    chosen = os.environ.get("NMLBRIDGE_CACHE")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["NMLBRIDGE_CACHE"] = empty
        cold = foresee(program, measured, ranks, rate).compile
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        compile_mods(program.mods)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = {"compile": cold / (cpu / min(processors(), len(program.mods)))}
    os.environ.pop("NMLBRIDGE_CACHE")
    if chosen is not None:
        os.environ["NMLBRIDGE_CACHE"] = chosen
    plan = foresee(program, measured, ranks, rate)
    runs = [simulate(path, duration=duration, ranks=ranks).phases for _ in range(repeat)]
    for name, phase, key, value in (
        ("build", "instantiate", "cpu", float(plan.build.max())),
        ("simulate", "simulate", "cpu", float(plan.simulate.max())),
        ("memory", "simulate", "peak_mb", float(plan.memory.sum())),
    ):
        found[name] = value / statistics.median(phases[phase][key] for phases in runs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.corpus.is_dir():
        print(f"skipped: {arguments.corpus} is not there; --corpus names another place")
        return
    print(f"{'foreseen / measured':44s}{'ranks':>6}{'rate':>7}{'build':>9}{'simulate':>9}{'memory':>9}{'compile':>9}")
    for name, duration, rate, ranks in MODELS:
        found = ratios(arguments.corpus / name, duration, rate, ranks, arguments.repeat)
        numbers = "".join(f"{found[key]:9.2f}" for key in ("build", "simulate", "memory", "compile"))
        print(f"{Path(name).stem:44s}{ranks:6d}{rate:7g}{numbers}", flush=True)


if __name__ == "__main__":
    main()
