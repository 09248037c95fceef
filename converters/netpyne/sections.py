"""A cell's dictionary of sections, as NetPyNE saves it, as a NativeCell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph.native import NativeCell, NativePoint, NativeSection
from ...report import Report

_IMPOSED = "xtra_stim"  # what NetPyNE saves of fields; the rules state them
_GEOMETRY = {"L", "diam", "Ra", "cm", "nseg", "pt3d"}
_KNOWN = {
    "geom", "topol", "mechs", "ions", "pointps", "synMechs", "spikeGenLoc", "threshold", "vinit", "weightNorm", "hObj",
    "secLists", "conds",
}  # fmt: skip
RESERVED = {"mod", "loc", "vref", "synList"}
POINT_DEFAULTS = {"L": 100.0, "diam": 500.0}


def cell_of(
    id: str, secs: Mapping[str, Any], lists: Mapping[str, Any], threshold: float, report: Report, file: str | None,
    moved: bool, v_init: float, gid: int = -1, sender: str | None = None,
) -> NativeCell:  # fmt: skip
    """The NativeCell of a dictionary of sections.

    ``threshold`` (mV) holds where the spiking section states none, ``v_init`` (mV) in all that state none; ``moved``:
    3-D points are relative to the position of the cell; ``sender`` is the label of a process in the section soma whose
    events are the cell's. Raises NetworkError that names the section for what cannot be,
    UnsupportedError for what is not supported.
    """
    order = _parents_first(id, secs, file)
    index = {name: number for number, name in enumerate(order)}
    sections = tuple(_section(id, name, secs[name], index, report, file) for name in order)
    points, names = _points(id, order, secs, file, gid)
    site = next((name for name in secs if "spikeGenLoc" in secs[name]), None)
    x = 0.5
    if site is not None:
        x = number(secs[site]["spikeGenLoc"], id, f"section '{site}': spikeGenLoc", file)
    else:
        site = next((name for name in secs if not secs[name].get("topol")), order[0])
    variable = None
    spiking = None
    for label, point in (secs[site].get("pointps") or {}).items():
        if "vref" in point:
            spiking, variable = names[(site, label)], str(point["vref"])
            break
    if sender is not None:
        if ("soma", sender) not in names:
            raise NetworkError(f"there is no process '{sender}' in a section 'soma' to send the cell's events",
                               file=file, component=id)  # fmt: skip
        spiking, variable = names["soma", sender], None
    if "threshold" in secs[site]:
        threshold = number(secs[site]["threshold"], id, f"section '{site}': threshold", file)
    members = {name: tuple(index[section] for section in listed if section in index) for name, listed in lists.items()}
    return NativeCell(
        id, sections, members, tuple(points), index[site], x, threshold, spiking, variable, v_init,
        moved=moved and any(section.points is not None for section in sections), file=file,
    )  # fmt: skip


def number(value: Any, cell: str, what: str, file: str | None) -> float:
    """A number; NetworkError that says where if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        kind = f"'{value[:40]}'" if isinstance(value, str) else f"a {type(value).__name__}"
        raise NetworkError(f"{what} is {kind}; expected a number", file=file, component=cell)
    return float(value)


def along(value: Any, nseg: int, cell: str, what: str, file: str | None) -> float | tuple[float, ...] | None:
    """A number, or one per segment; None where nothing is to be set."""
    if value is None:
        return None
    if isinstance(value, list):
        if len(value) == 1:
            return along(value[0], nseg, cell, what, file)
        if any(one is None for one in value):
            raise UnsupportedError(f"{cell}: {what} is not set in some segments; give every segment a value")
        return tuple(number(one, cell, what, file) for one in value)
    return number(value, cell, what, file)


def _parents_first(id: str, secs: Mapping[str, Any], file: str | None) -> list[str]:
    """The names of the sections in their order, each after its parent."""
    if not isinstance(secs, Mapping) or not secs:
        raise NetworkError("the cell has no sections", file=file, component=id)
    order: dict[str, None] = {}
    for name in secs:
        chain: list[str] = []
        at: str | None = name
        while at is not None and at not in order:
            if at in chain:
                raise NetworkError(f"the topology goes in a circle at section '{at}'", file=file, component=id)
            if at not in secs:
                raise NetworkError(f"section '{chain[-1]}' has the parent '{at}', which is not there", file=file,
                                   component=id)  # fmt: skip
            chain.append(at)
            at = (secs[at].get("topol") or {}).get("parentSec") or None
        order.update(dict.fromkeys(reversed(chain)))
    return list(order)


def _section(
    id: str, name: str, spec: Mapping[str, Any], index: Mapping[str, int], report: Report, file: str | None
) -> NativeSection:
    who = f"section '{name}'"
    unknown = sorted(set(spec) - _KNOWN)
    if unknown:
        report.add("netpyne-section", "loss", f"{who}: '{unknown[0]}' is not read", file=file, component=id)
    geometry = spec.get("geom") or {}
    for key in sorted(set(geometry) - _GEOMETRY - {_IMPOSED}):
        report.add("netpyne-geometry", "loss", f"{who}: geom '{key}' is not read", file=file, component=id)
    nseg = int(number(geometry.get("nseg", 1), id, f"{who}: nseg", file))
    values = {
        key: number(geometry[key], id, f"{who}: {key}", file)
        for key in ("L", "Ra") if geometry.get(key) is not None
    }  # fmt: skip
    for key in ("diam", "cm"):
        found = along(geometry.get(key), nseg, id, f"{who}: {key}", file)
        if found is not None:
            values[key] = found  # type: ignore[assignment]
    points = geometry.get("pt3d") or None
    topology = spec.get("topol") or {}
    parent = topology.get("parentSec") or None
    mechanisms = {
        mechanism: _given(parameters, nseg, id, f"{who}: {mechanism}", file)
        for mechanism, parameters in (spec.get("mechs") or {}).items()
    }
    ions = {
        ion: {k: v for k, v in _given(found, nseg, id, f"{who}: ion {ion}", file).items() if k in ("e", "i", "o")}
        for ion, found in (spec.get("ions") or {}).items()
    }
    if spec.get("weightNorm"):
        report.add("netpyne-weight-norm", "info", f"{who}: weightNorm is in the weights already", file=file,
                   component=id)  # fmt: skip
    return NativeSection(
        name, -1 if parent is None else index[parent],
        number(topology.get("parentX", 1.0), id, f"{who}: parentX", file),
        number(topology.get("childX", 0.0), id, f"{who}: childX", file),
        points=None if points is None else _points3d(points, id, who, file), nseg=nseg, mechanisms=mechanisms,
        ions=ions, v_init=None if spec.get("vinit") is None else number(spec["vinit"], id, f"{who}: vinit", file),
        **values,
    )  # fmt: skip


def _given(parameters: Any, nseg: int, id: str, what: str, file: str | None) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise NetworkError(f"{what}: expected parameters by name", file=file, component=id)
    found = {name: along(value, nseg, id, f"{what}.{name}", file) for name, value in parameters.items()}
    return {name: value for name, value in found.items() if value is not None}


def _points3d(points: Any, id: str, who: str, file: str | None) -> np.ndarray:
    try:
        table = np.array(points, dtype=float)
    except (TypeError, ValueError):
        raise NetworkError(f"{who}: pt3d must be a list of four numbers each", file=file, component=id) from None
    if table.ndim != 2 or table.shape[1] != 4 or not np.isfinite(table).all():
        raise NetworkError(f"{who}: pt3d must be a list of four numbers each", file=file, component=id)
    return table


def _points(
    id: str, order: list[str], secs: Mapping[str, Any], file: str | None, gid: int
) -> tuple[list[NativePoint], dict[tuple[str, str], int]]:
    """The cell's own point processes, and the number of each by section and label."""
    points: list[NativePoint] = []
    numbers: dict[tuple[str, str], int] = {}
    for at, name in enumerate(order):
        for label, spec in (secs[name].get("pointps") or {}).items():
            what = f"section '{name}': process '{label}'"
            if "mod" not in spec:
                raise NetworkError(f"{what} has no 'mod'", file=file, component=id)
            parameters = {
                key: number(gid if value == "gid" else value, id, f"{what}: {key}", file)
                for key, value in spec.items()
                if key not in RESERVED and not key.startswith("_") and key != "hObj"
            }
            numbers[(name, label)] = len(points)
            loc = number(spec.get("loc", 0.5), id, f"{what}: loc", file)
            points.append(NativePoint(str(spec["mod"]), at, loc, parameters))
    return points, numbers
