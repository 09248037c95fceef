"""MATLAB 5 files: time, values, quantities, units, spikes and populations as variables, all SI.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError, UsageError
from ...extras import require
from ...files import atomic
from ...plain import json_object
from ...report import Report
from ..assemble import plain
from ..results import Results, SpikeTrains, Traces

_LARGEST = 2**31 - 1  # bytes of one variable


def read(path: Path, report: Report) -> Results:
    """The variables that ``write`` names; a file without ``time`` and ``values`` or ``spike_time`` is refused."""
    io: Any = require("scipy.io", "mat", "reading MATLAB files")
    try:
        found = io.loadmat(path, squeeze_me=False, chars_as_strings=True)
    except NotImplementedError:
        raise DocumentError("this is a MATLAB 7.3 file; save it with -v7", file=str(path)) from None
    except (ValueError, TypeError, OSError, KeyError, IndexError) as fault:
        raise DocumentError(f"this is no MATLAB 5 file: {fault}", file=str(path)) from None
    except Exception as fault:  # scipy's reader raises what it meets: MatReadError, zlib.error, OverflowError ...
        raise DocumentError(f"this MATLAB file is damaged: {fault}", file=str(path)) from None
    if "time" not in found and "spike_time" not in found:
        raise DocumentError("there is no variable 'time' or 'spike_time' in it", file=str(path))
    try:
        names, units = _texts(found.get("quantities")), _texts(found.get("units"))
        time = _line(found.get("time", []))
        values = np.asarray(found.get("values", np.empty((0, len(time)))), float)
        if values.shape != (len(names), len(time)) and values.T.shape == (len(names), len(time)):
            values = values.T
        traces = Traces(time, values.reshape(len(names), len(time)), tuple(names), tuple(units))
        first = _line(found.get("population_first", [])).astype(int)
        size = _line(found.get("population_size", [])).astype(int)
        spans = zip(first.tolist(), size.tolist(), strict=True)
        populations = dict(zip(_texts(found.get("populations")), spans, strict=True))
        spikes = SpikeTrains(_line(found.get("spike_gid", [])), _line(found.get("spike_time", [])), populations)
    except (ValueError, TypeError) as fault:
        raise DocumentError(f"the variables do not fit each other: {fault}", file=str(path)) from None
    about = _texts(found.get("provenance"))
    return Results(traces, spikes, json_object(about[0] if about else "") or {"file": str(path)})


def _line(value: Any) -> np.ndarray:
    return np.asarray(value, float).ravel()


def _texts(value: Any) -> list[str]:
    """The strings of a cell array or a char array."""
    if value is None:
        return []
    flat = np.asarray(value).ravel()
    return [str(v.ravel()[0]) if isinstance(v, np.ndarray) and v.size else "" if isinstance(v, np.ndarray) else str(v)
            for v in flat]  # fmt: skip


def write(results: Results, path: Path, report: Report) -> None:
    """Write everything. Raises UsageError for more than two gigabytes of one variable, which the format cannot hold."""
    io: Any = require("scipy.io", "mat", "writing MATLAB files")
    traces, spikes = results.traces, results.spikes
    if traces.values.nbytes > _LARGEST:
        raise UsageError("a MATLAB 5 file holds at most 2 GB of one variable; write NWB or SONATA")
    variables = {
        "time": traces.time, "values": traces.values, "quantities": _cells(traces.quantities),
        "units": _cells(traces.units), "spike_gid": spikes.gid.astype(float), "spike_time": spikes.time,
        "populations": _cells(tuple(spikes.populations)),
        "population_first": np.array([first for first, _ in spikes.populations.values()], float),
        "population_size": np.array([size for _, size in spikes.populations.values()], float),
        "provenance": json.dumps(plain(results.provenance)),
    }  # fmt: skip
    with atomic(path) as stream:
        io.savemat(stream, variables, do_compression=True)


def _cells(texts: tuple[str, ...]) -> np.ndarray:
    cells = np.empty((len(texts), 1), object)
    cells[:, 0] = texts
    return cells
