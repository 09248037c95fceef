"""What `nmlbridge plan` foresees against what runs take: published models, each planned and run in turn.

    python benchmarks/foresight.py [--corpus .../shared/corpus] [--repeat 3]

Printed are ratios foreseen / measured of the processor's seconds to build and to simulate (slowest rank) and of memory
(all ranks), of the runs that were quickest; and of the processor's seconds to compile into an empty cache. The costs of
this machine are measured first, if they are not known. What other programs took of the machine meanwhile is "others":
ranks that lose their processor keep others waiting, so figures for two ranks mean something only where that is near 0.
The last lines have fields imposed from outside, reactions and diffusion, and electrodes.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import tempfile
from pathlib import Path

import numpy as np
from quiet import quietly

from nmlbridge import simulate
from nmlbridge.simulator.electrodes import Electrodes
from nmlbridge.simulator.neuron.compile import compile_mods, processors
from nmlbridge.simulator.plan.calibrate import costs
from nmlbridge.simulator.plan.outside import parts_of
from nmlbridge.simulator.plan.predict import foresee, prepared

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
HERE = Path(__file__).resolve().parents[1]
ACNET2 = "ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml"
BALANCED = "NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml"
CONTACTS = Electrodes(np.array([[100.0, 50.0 * k, 100.0] for k in range(16)]))
# file, duration (ms), Hz of what is no cell, ranks, electrodes
MODELS: list[tuple[str, float | None, float, int, Electrodes | None]] = [
    (ACNET2, 300.0, 10.0, 1, None),
    (ACNET2, 300.0, 10.0, 2, None),
    (BALANCED, None, 10.0, 1, None),
    (BALANCED, None, 10.0, 2, None),
    ("Brunel2000/NeuroML2/LEMS_Sim_BrunelFromPyNN.xml", None, 5000.0, 1, None),
    ("GranCellLayer/NeuroML2/LEMS_GranCellLayer.xml", None, 10.0, 1, None),
    ("NetPyNEShowcase/NeuroML2/LEMS_HybridSmall.xml", None, 10.0, 1, None),
    ("PospischilEtAl2008/NeuroML2/LEMS_FiveCells.xml", None, 10.0, 1, None),
    (str(HERE / "examples/17_magnetic_stimulation/pulse.yaml"), None, 10.0, 1, None),
    (str(HERE / "examples/19_calcium_diffusion/dendrite.yaml"), 300.0, 10.0, 1, None),
    (ACNET2, 300.0, 10.0, 1, CONTACTS),
]


def ratios(
    path: Path, duration: float | None, sources: float, ranks: int, electrodes: Electrodes | None, repeat: int
) -> dict[str, float]:
    """Foreseen over measured for one model, and the share of the machine that others had."""
    program = prepared(path, duration=duration, electrodes=electrodes)
    measured = costs(parts=parts_of(program))
    chosen = os.environ.get("NMLBRIDGE_CACHE")
    found = {"compile": math.nan}
    with tempfile.TemporaryDirectory() as empty:
        os.environ["NMLBRIDGE_CACHE"] = empty
        cold = foresee(program, measured, ranks, sources=sources).compile
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        compile_mods(program.mods)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if program.mods:
        found["compile"] = cold / (cpu / min(processors(), len(program.mods)))
    os.environ.pop("NMLBRIDGE_CACHE")
    if chosen is not None:
        os.environ["NMLBRIDGE_CACHE"] = chosen
    plan = foresee(program, measured, ranks, sources=sources)

    def run() -> dict[str, dict[str, float]]:
        return simulate(path, duration=duration, ranks=ranks, electrodes=electrodes).phases

    runs, others = zip(*(quietly(run, tries=1, patience=5) for _ in range(repeat)), strict=True)
    for name, phase, key, value in (
        ("build", "instantiate", "cpu", float(plan.build.max())),
        ("simulate", "simulate", "cpu", float(plan.simulate.max())),
        ("memory", "simulate", "peak_mb", float(plan.memory.sum())),
    ):
        found[name] = value / min(phases[phase][key] for phases in runs)
    return found | {"others": min(others)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.corpus.is_dir():
        print(f"skipped: {arguments.corpus} is not there; --corpus names another place")
        return
    columns = ("build", "simulate", "memory", "compile", "others")
    print(f"{'foreseen / measured':44s}{'ranks':>6}" + "".join(f"{name:>9}" for name in columns))
    for name, duration, sources, ranks, electrodes in MODELS:
        found = ratios(arguments.corpus / name, duration, sources, ranks, electrodes, arguments.repeat)
        what = Path(name).stem + (f", {len(electrodes.positions)} electrodes" if electrodes else "")
        print(f"{what:44s}{ranks:6d}" + "".join(f"{found[key]:9.2f}" for key in columns), flush=True)


if __name__ == "__main__":
    main()
