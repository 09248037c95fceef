"""Results: traces, spike trains and where they came from; their files, read, written and compared."""

from .compare import Comparison, Limits, Scales, compare_results
from .electrodes import Electrodes
from .formats.neo import from_neo, to_neo
from .kinetics import Kinetics
from .lems import output_paths, write_lems
from .outputs import Display, EventOutputFile, Line, OutputFile, Outputs, requested
from .registry import ResultsFormat, read_results, results_formats, write_results
from .results import Results, SpikeTrains, Traces
from .simulation import Simulation, elements_of, saved, settings_in

__all__ = [
    "Comparison",
    "Display",
    "Electrodes",
    "EventOutputFile",
    "Kinetics",
    "Limits",
    "Line",
    "OutputFile",
    "Outputs",
    "Results",
    "ResultsFormat",
    "Scales",
    "Simulation",
    "SpikeTrains",
    "Traces",
    "compare_results",
    "from_neo",
    "elements_of",
    "output_paths",
    "read_results",
    "requested",
    "results_formats",
    "saved",
    "to_neo",
    "settings_in",
    "write_lems",
    "write_results",
]
