"""SONATA spikes and element reports.

https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md

A report holds one variable of one population, so results with several variables go into a folder: ``spikes.h5`` and
``VARIABLE.h5``. A single file takes the spikes and the variable that most traces are of. Written so that libsonata
reads it: units everywhere, the sorting as an enumeration. Older layouts, without populations, are read too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError
from ...files import atomic_path
from ...report import Report
from ..assemble import Column, by_population, regular_step, traces_of, trains_of
from ..paths import Place, place_of
from ..results import Results, Traces
from ..sonata import MAGIC, VERSION, Element, ReportFile
from ..symbols import NEURON, to_si

_SORTING = {"none": 0, "by_id": 1, "by_time": 2}
_GUESSED = {"v": "mV", "cai": "mM", "vm": "mV", "membrane_potential": "mV"}  # where a file names no unit


def read(path: Path, report: Report) -> Results:
    """One file with spikes, a report or both; or all such files of a folder."""
    files = sorted(path.glob("*.h5")) if path.is_dir() else [path]
    if not files:
        raise DocumentError("the folder has no files of SONATA results (.h5); a circuit is a model: see nmlbridge "
                            "convert and run", file=str(path))  # fmt: skip
    return read_files(files, str(path), report)


def read_files(
    files: Sequence[Path], source: str, report: Report, populations: Mapping[str, tuple[int, int]] | None = None
) -> Results:
    """Files of one run together. ``source`` is what notes name, ``populations`` the known ones: first gid, size."""
    columns: list[Column] = []
    spikes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for file in files:
        with _opened(file) as content:
            try:
                if not {"spikes", "report", "mapping"} & set(content) and len(files) == 1:
                    raise DocumentError(f"the file has neither spikes nor a report{_model(content)}", file=str(file))
                for name, trains in _read_spikes(content, file, report):
                    spikes[name] = trains
                columns += _read_reports(content, file, report)
            except (KeyError, TypeError, AttributeError, ValueError, OSError, IndexError, RuntimeError) as fault:
                raise DocumentError(f"this is no SONATA file of results: {_said(fault)}", file=str(file)) from None
    traces = traces_of(columns, source, report)
    sizes = {name: size for name, (_, size) in (populations or {}).items()}
    for place in filter(None, map(place_of, traces.quantities)):
        sizes[place.population] = max(sizes.get(place.population, 0), place.index + 1)
    return Results(traces=traces, spikes=trains_of(spikes, sizes), provenance={"file": source})


def _model(content: Any) -> str:
    """What to do with a file that belongs to a circuit."""
    found = {"nodes", "edges"} & set(content)
    return f"; these are {found.pop()} of a circuit, which is a model: see nmlbridge convert and run" if found else ""


def _said(fault: Exception) -> str:
    return str(fault).strip("'\"") or type(fault).__name__


def _opened(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as fault:
        raise DocumentError(f"cannot be opened as HDF5: {fault}", file=str(path)) from None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _read_spikes(content: Any, file: Path, report: Report) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    if "spikes" not in content:
        return
    root = content["spikes"]
    if "timestamps" in root:
        groups = {"default": root}
        report.add("old-layout", "info", "the spikes name no population; it is called 'default'", file=str(file))
    else:
        groups = {str(name): group for name, group in root.items()}
    for name, group in groups.items():
        ids = group["node_ids" if "node_ids" in group else "gids"][:]
        times = group["timestamps"]
        if len(ids) != len(times):
            raise DocumentError(f"{len(ids)} node ids, but {len(times)} timestamps in '{name}'", file=str(file))
        if len(ids) and (ids.min() < 0 or ids.max() > 2**40):
            raise DocumentError(f"a node id of '{name}' is out of range", file=str(file))
        factor = to_si(_text(times.attrs.get("units", "ms")))[1]
        yield name, (ids.astype(np.int64), times[:].astype(float) * factor)


def _read_reports(content: Any, file: Path, report: Report) -> Iterator[Column]:
    if "report" in content:
        for name, group in content["report"].items():
            if not {"data", "mapping"} <= set(group):
                report.add("no-data", "info", f"the report's population '{name}' has no data", file=str(file))
                continue
            yield from _one_report(str(name), group["data"], group["mapping"], file, report)
    elif "mapping" in content:  # as the first version of the format had it: one group a variable
        for variable, group in content.items():
            if variable != "mapping" and "data" in group:
                yield from _one_report("default", group["data"], content["mapping"], file, report, str(variable))


def _one_report(
    population: str, data: Any, mapping: Any, file: Path, report: Report, variable: str | None = None
) -> Iterator[Column]:
    values = data[:].astype(float)
    values = values[:, None] if values.ndim == 1 else values
    nodes = np.atleast_1d(mapping["node_ids" if "node_ids" in mapping else "gids"][:]).astype(np.int64)
    pointers = mapping["index_pointers" if "index_pointers" in mapping else "index_pointer"][:].astype(np.int64)
    elements = mapping["element_ids" if "element_ids" in mapping else "element_id"][:].astype(np.int64)
    if "element_pos" in mapping:
        places = mapping["element_pos"][:].astype(float)
    else:
        places = _middles(nodes, pointers, elements)
    if len(pointers) == len(nodes):  # the first version left out the end
        pointers = np.append(pointers, values.shape[1])
    if len(pointers) != len(nodes) + 1 or pointers[-1] != values.shape[1] or (np.diff(pointers) < 0).any() \
            or len(elements) != values.shape[1] or len(places) != values.shape[1]:  # fmt: skip
        raise DocumentError(
            f"the mapping of '{population}' ({len(nodes)} nodes, {len(elements)} elements) does not fit data of "
            f"{values.shape[1]} columns", file=str(file)
        )  # fmt: skip
    name = variable or _text(data.attrs.get("variable", data.attrs.get("variable_name", file.stem)))
    symbol = _text(data.attrs["units"]) if "units" in data.attrs else _GUESSED.get(name)
    if symbol is None or "units" not in data.attrs:
        report.add("unit-guessed", "approximation",
                   f"the report of '{name}' names no unit; " + (f"{symbol} is assumed" if symbol else "taken as SI"),
                   file=str(file))  # fmt: skip
    unit, factor = to_si(symbol or "")
    time = _times(mapping, len(values), report, file)
    for at, node in enumerate(nodes.tolist()):
        span = slice(int(pointers[at]), int(pointers[at + 1]))
        for column, quantity in zip(range(span.start, span.stop), _quantities(
                population, node, elements[span], places[span], name), strict=True):  # fmt: skip
            yield Column(quantity, unit, time, values[:, column] * factor)


def _middles(nodes: np.ndarray, pointers: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """Places on elements, where a file (libsonata's dialect) has none: an element that a node has n times is divided
    into n compartments, in their order."""
    places = np.full(len(elements), 0.5)
    ends = np.append(pointers[1:], len(elements))[: len(nodes)]
    for begin, end in zip(pointers.tolist(), ends.tolist(), strict=False):
        own = elements[begin:end]
        for element, count in Counter(own.tolist()).items():
            if count > 1:
                places[begin:end][own == element] = (np.arange(count) + 0.5) / count
    return places


def _times(mapping: Any, length: int, report: Report, file: Path) -> np.ndarray:
    if "time" not in mapping:
        report.add("no-times", "approximation", "the report has no times; rows are taken to be 0.1 ms apart",
                   file=str(file))  # fmt: skip
        return np.arange(length) * 1e-4
    start, stop, step = (float(x) for x in mapping["time"][:3])
    if not step > 0 or abs((stop - start) / step - length) > 1.5:
        raise DocumentError(f"times from {start:g} to {stop:g} in steps of {step:g} do not fit {length} rows",
                            file=str(file))  # fmt: skip
    factor = to_si(_text(mapping["time"].attrs.get("units", "ms")))[1]
    return np.asarray((start + step * np.arange(length)) * factor)


def _quantities(population: str, node: int, elements: np.ndarray, places: np.ndarray, variable: str) -> Iterator[str]:
    several = Counter(elements.tolist())
    for element, place in zip(elements.tolist(), places.tolist(), strict=True):
        # an element that is there once is named by its id alone
        at = f"{variable}" if several[element] == 1 else f"{variable}@{place:g}"
        yield Place(population, node, element, at).path


def write(results: Results, path: Path, report: Report) -> None:
    """Write one file (``.h5``), or a folder of them (any other name)."""
    variables = _variables(results.traces, path, report)
    if variables:
        report.add("single-precision", "approximation", "a SONATA report has single precision, some seven digits",
                   file=str(path))  # fmt: skip
    if path.suffix != ".h5":
        for variable, rows in variables.items():
            with atomic_path(path / f"{_safe(variable)}.h5") as temporary:
                _write_report(temporary, results.traces, variable, rows)
        with atomic_path(path / "spikes.h5") as temporary:
            _write_spikes(temporary, results)
        return
    kept = max(variables, key=lambda v: len(variables[v]), default=None)
    for variable in variables:
        if variable != kept:
            report.add("one-variable-only", "loss",
                       f"'{variable}' is left out: a SONATA file holds one variable; give a folder to keep all",
                       file=str(path))  # fmt: skip
    with atomic_path(path) as temporary:
        if kept is not None:
            _write_report(temporary, results.traces, kept, variables[kept])
        _write_spikes(temporary, results)


def _variables(traces: Traces, path: Path, report: Report) -> dict[str, list[tuple[Place, int]]]:
    found: dict[str, list[tuple[Place, int]]] = {}
    if len(traces) and regular_step(traces.time) is None:
        report.add("irregular-times", "loss", "the traces are left out: a SONATA report needs equal steps",
                   file=str(path))  # fmt: skip
        return found
    for row, quantity in enumerate(traces.quantities):
        place = place_of(quantity)
        if place is None:
            report.add("no-cell", "loss", f"'{quantity}' is left out: it is no variable of a cell", file=str(path))
            continue
        variable, _, _ = place.variable.partition("@")
        found.setdefault(variable, []).append((place, row))
    return found


def _safe(variable: str) -> str:
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in variable).lstrip(".") or "variable"


def _write_spikes(path: Path, results: Results) -> None:
    """Add the spikes to a file, which is made if it is not there."""
    import h5py

    with h5py.File(path, "a") as file:
        file.attrs["magic"], file.attrs["version"] = np.uint32(MAGIC), np.array(VERSION, np.uint32)
        root = file.create_group("spikes")
        for name, (index, time) in by_population(results).items():
            group = root.create_group(name or "default")
            group.attrs.create("sorting", _SORTING["by_time"], dtype=h5py.enum_dtype(_SORTING, basetype=np.uint8))
            group.create_dataset("node_ids", data=index.astype(np.uint64))
            group.create_dataset("timestamps", data=time * 1e3).attrs["units"] = "ms"


def _write_report(path: Path, traces: Traces, variable: str, members: Sequence[tuple[Place, int]]) -> None:
    symbol, factor = NEURON.get(traces.units[members[0][1]], (traces.units[members[0][1]], 1.0))
    elements = [Element(place.population, place.index, place.segment, float(place.variable.partition("@")[2] or 0.5))
                for place, _ in members]  # fmt: skip
    times = (float(traces.time[0]), regular_step(traces.time) or 0.0)
    file = ReportFile(path, elements, len(traces.time), times, symbol or "1", variable)
    file.write(0, traces.values[[row for _, row in members]] * factor)
