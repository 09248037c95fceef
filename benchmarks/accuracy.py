"""Whole traces against the limit of small steps: nmlbridge and jNeuroML, at the step that the model asks for.

    python benchmarks/accuracy.py [--finer 16] [--pynml PATH] [MODEL ...]

Each model of the corpus runs with the default method and with the code that jNeuroML generates for NEURON, in turn; the
limit is our own run with steps ``finer`` times smaller. The error of a column is the root mean square of its difference
from the limit, as a part of its range over the run; a model's errors are the largest among its columns, its ratio the
median over them. jNeuroML's files have seven digits: what is below 1e-7 counts as 1e-7 on both sides.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from peers import CORPUS, find_pynml, in_a_copy

import nmlbridge
from nmlbridge.results import Results

FLOOR = 1e-7
EXAMPLES = "NeuroML2/LEMSexamples/LEMS_NML2_"
MODELS = {  # what it shows: the LEMS file
    "HH cell": f"{EXAMPLES}Ex5_DetCell.xml",
    "calcium pool": f"{EXAMPLES}Ex15_CaDynamics.xml",
    "GHK": f"{EXAMPLES}Ex18_GHK.xml",
    "temperature, Q10": f"{EXAMPLES}Ex10_Q10.xml",
    "NMDA block": f"{EXAMPLES}Ex6_NMDA.xml",
    "short-term plasticity": f"{EXAMPLES}Ex7_STP.xml",
    "current synapses": f"{EXAMPLES}Ex21_CurrentBasedSynapses.xml",
    "graded synapses, HH": f"{EXAMPLES}Ex20a_AnalogSynapsesHH.xml",
    "gap junctions": "NetPyNEShowcase/NeuroML2/gaps/LEMS_SimExampleGJ.xml",
    "fractional gates": f"{EXAMPLES}Ex24_FractionalConductance.xml",
    "cables": f"{EXAMPLES}Ex25_MultiComp.xml",
    "FitzHugh-Nagumo": f"{EXAMPLES}Ex9_FN.xml",
    "Izhikevich 2007": "IzhikevichModel/NeuroML2/LEMS_2007One.xml",
    "custom cell": "WangBuzsaki1996/NeuroML2/LEMS_ComponentType/LEMS_WangBuzsaki.xml",
    "cortical cells": "PospischilEtAl2008/NeuroML2/LEMS_FiveCells.xml",
    "two-cell network": "ACnet2/neuroConstruct/generatedNeuroML2/LEMS_TwoCell.xml",
}


def main() -> None:
    """Print a table, a model a line, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of: {', '.join(MODELS)} (default: all)")
    parser.add_argument("--finer", type=int, default=16, help="how much smaller the steps of the limit are")
    parser.add_argument("--pynml", help="pynml of another environment")
    arguments = parser.parse_args()
    pynml = find_pynml(arguments.pynml)
    if pynml is None or not CORPUS.is_dir():
        print("skipped: it takes Java, pynml and the corpus")
        return
    ratios = []
    print(f"{'model':24} {'columns':>7}  {'jNeuroML':>9}  {'nmlbridge':>9}  {'ratio':>8}")
    for name in arguments.models or MODELS:
        model = MODELS[name]
        ours, theirs = errors(model, arguments.finer, pynml)
        if not theirs:
            print(f"{name:24} jNeuroML leaves no file to compare")
            continue
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        ratios.append(ratio)
        print(f"{name:24} {len(ours):7}  {max(theirs):9.1e}  {max(ours):9.1e}  {ratio:8.4f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.4f}")


def errors(model: str, finer: int, pynml: Path) -> tuple[list[float], list[float]]:
    """Errors of our columns and of jNeuroML's, those that both have."""
    path = CORPUS / model
    coarse = nmlbridge.simulate(path)
    step = coarse.provenance["dt"] * 1e3
    fine = nmlbridge.simulate(path, dt=step / finer)
    root = CORPUS / Path(model).parts[0]
    command = [str(pynml), Path(model).name, "-neuron", "-nogui", "-run"]
    with tempfile.TemporaryDirectory() as cache:
        home = Path(sys.executable).parent.parent
        needed = sorted({str(Path(file.name).parent) for file in coarse.outputs.files})  # jNeuroML makes none
        _, found = in_a_copy(command, root, str(path.relative_to(root)), Path(cache),
                             lambda folder: read(folder, coarse), home, needed)  # fmt: skip
    ours, theirs = [], []
    for quantity, values in found.items():
        limit, mine = fine[quantity][::finer], coarse[quantity]
        size = min(len(limit), len(mine), len(values))
        spread = float(np.ptp(limit))
        if spread <= 0 or not np.isfinite(values).all():
            continue
        for kept, column in ((ours, mine), (theirs, values)):
            kept.append(max(float(np.sqrt(np.mean((column[:size] - limit[:size]) ** 2))) / spread, FLOOR))
    return ours, theirs


def read(folder: Path, results: Results) -> dict[str, np.ndarray]:
    """The columns of the OutputFiles that a run left."""
    found = {}
    for file in results.outputs.files:
        path = folder / file.name
        if path.is_file():
            table = np.loadtxt(path, ndmin=2)
            for column, (_, quantity) in enumerate(file.columns, 1):
                if column < table.shape[1]:
                    found[quantity] = table[:, column]
    return found


if __name__ == "__main__":
    main()
