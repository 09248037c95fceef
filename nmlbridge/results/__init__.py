"""Results: traces, spike trains and where they came from; the files that a LEMS Simulation asks for."""

from .lems import output_paths, write_lems
from .outputs import Display, EventOutputFile, Line, OutputFile, Outputs, requested
from .results import Results, SpikeTrains, Traces
from .simulation import Simulation, saved

__all__ = [
    "Display",
    "EventOutputFile",
    "Line",
    "OutputFile",
    "Outputs",
    "Results",
    "Simulation",
    "SpikeTrains",
    "Traces",
    "output_paths",
    "requested",
    "saved",
    "write_lems",
]
