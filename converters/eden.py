"""EDEN, which reads LEMS itself: a folder with the model as one LEMS file, without includes but the core types, and the
script that runs it. https://eden-simulator.org, `pip install eden-simulator`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import UnsupportedError
from ..files import new_folder
from ..graph import Network
from ..report import Report
from ..results import elements_of, saved
from .scripts import DEFAULT_RUN, components_of

MODEL = "LEMS_model.xml"
_RUN = f'''"""Run: python run.py [THREADS]; needs `pip install eden-simulator` and a C compiler."""

import os
import sys
from pathlib import Path

from eden_simulator import runEden

os.chdir(Path(__file__).resolve().parent)
results = runEden({MODEL!r}, threads=int(sys.argv[1]) if len(sys.argv) > 1 else None)
print(f"{{len(results) - 1}} traces at {{len(results['t'])}} times")
'''


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write the folder; without a Simulation in the model v of the first cell of each population is recorded."""
    from ..neuroml import write_lems

    report = report if report is not None else Report()
    if network.native:
        raise UnsupportedError(f"'{next(iter(network.native))}' is made of mechanisms of NEURON, which EDEN has not")
    if network.id is not None and not network.simulation:
        components, _ = components_of(network, report)
        shown = [p for p in network.populations.values()
                 if p.size and "v" in components[p.component].type.exposures]  # fmt: skip
        outputs = saved({"v.dat": [f"{p.id}[{int(p.instance_ids[0])}]/v" for p in shown]}, [])
        report.add("no-simulation", "info", f"the model does not say how it is run; the script runs "
                   f"{DEFAULT_RUN.duration:g} ms and records v of one cell a population")  # fmt: skip
        network = replace(network, simulation=elements_of(replace(DEFAULT_RUN, outputs=outputs), network.id))
    with new_folder(path) as folder:
        write_lems(network, folder / MODEL)
        (folder / "run.py").write_text(_RUN, encoding="utf-8")
