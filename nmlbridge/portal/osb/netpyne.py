"""The model as NetPyNE UI opens it: index.npjson with netParams, simConfig and the mechanisms' mod files."""

from __future__ import annotations

from pathlib import Path

from ...converters.netpyne.model import parameters_of, write_index
from ...registry import read
from ...report import Report

INDEX, MODS = "index.npjson", "mod"
_NET_PARAMS, _CONFIG = "src/netParams.json", "src/cfg.json"


def write_netpyne(model: Path, folder: Path, report: Report | None = None) -> list[str]:
    """Write the files below ``folder`` and return their names.

    Raises UnsupportedError, before anything is written, for a simulation of no network, and for what NetPyNE's
    parameters have no place for.
    """
    report = report if report is not None else Report()
    made = parameters_of(read(model, report=report), model, report)
    return write_index(made, folder / INDEX, _NET_PARAMS, _CONFIG, MODS)
