"""nmlbridge: run NeuroML and LEMS models in NEURON, and carry them between formats.

    import nmlbridge
    network = nmlbridge.read("net.nml")          # a Network: populations, projections and inputs as numpy columns
    nmlbridge.write(network, "net.nml.h5")       # the format follows the name
    notes = nmlbridge.validate("LEMS_Sim.xml")   # schema, references, units
    results = nmlbridge.simulate("LEMS_Sim.xml") # Results: traces and spikes as numpy arrays, in SI
    nmlbridge.write_results(results, "x.nwb")    # NWB, SONATA, Neo's NIX, NetPyNE, CSV, MAT, LEMS; read_results reads
    nmlbridge.convert("net.nml", "net.nml.h5")
    nmlbridge.diff("a.nml", "b.nml")             # what differs between two models, not between two texts

Importing the package loads nothing else: each name is looked up on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .builder import build
    from .errors import (
        DocumentError,
        LemsError,
        ModelError,
        NetworkError,
        NmlBridgeError,
        SimulatorError,
        UnsupportedError,
        UsageError,
    )
    from .graph import Network
    from .neuroml.diff import diff
    from .neuroml.validate import validate
    from .portal.archive import check_archive, create_archive, extract_archive
    from .portal.osb import check_repository, export_repository
    from .registry import convert, read, write
    from .report import Report
    from .results import Results, compare_results, read_results, write_results
    from .simulator.converge import converge
    from .simulator.neuron.importer import from_neuron
    from .simulator.run import simulate, simulate_network
    from .simulator.session import Session

# Where each public name lives. Kept apart from the imports above so that `import nmlbridge` costs nothing.
_HOMES = {
    "DocumentError": ".errors",
    "LemsError": ".errors",
    "ModelError": ".errors",
    "Network": ".graph",
    "NetworkError": ".errors",
    "NmlBridgeError": ".errors",
    "Report": ".report",
    "Results": ".results",
    "Session": ".simulator.session",
    "SimulatorError": ".errors",
    "UnsupportedError": ".errors",
    "UsageError": ".errors",
    "build": ".builder",
    "check_archive": ".portal.archive",
    "check_repository": ".portal.osb",
    "compare_results": ".results",
    "converge": ".simulator.converge",
    "convert": ".registry",
    "create_archive": ".portal.archive",
    "diff": ".neuroml",
    "export_repository": ".portal.osb",
    "extract_archive": ".portal.archive",
    "from_neuron": ".simulator.neuron.importer",
    "read": ".registry",
    "read_results": ".results",
    "simulate": ".simulator.run",
    "simulate_network": ".simulator.run",
    "validate": ".neuroml",
    "write": ".registry",
    "write_results": ".results",
}

__all__ = [
    "DocumentError",
    "LemsError",
    "ModelError",
    "Network",
    "NetworkError",
    "NmlBridgeError",
    "Report",
    "Results",
    "Session",
    "SimulatorError",
    "UnsupportedError",
    "UsageError",
    "build",
    "check_archive",
    "check_repository",
    "compare_results",
    "converge",
    "convert",
    "create_archive",
    "diff",
    "export_repository",
    "extract_archive",
    "from_neuron",
    "read",
    "read_results",
    "simulate",
    "simulate_network",
    "validate",
    "write",
    "write_results",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'nmlbridge' has no attribute '{name}'")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
