"""Saved networks (``sim.saveData`` as JSON): every cell, connection and stimulus as it was instantiated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ...errors import DocumentError, NetworkError, UnsupportedError
from ...graph import Adjuster
from ...report import Report
from .courses import Shaped, shape_of
from .instance import Cell, Connection, Instance, Pop
from .mechanisms import celsius_of
from .plasticity import adjuster_of
from .recomputed import recompute
from .rules import Model
from .sections import number
from .stimulate import IMPOSED, fields_of

_CONNECTION = {
    "preGid", "preLabel", "sec", "loc", "synMech", "weight", "delay", "label", "weightIndex", "preLoc", "preSec",
    "pointer", "gapJunction", "threshold", "hObj", "synsPerConn", "connsPerNetCon", "synMechIndex",
    "plast", "shape", "distributeSynsUniformly", "connRandomSecFromList",
}  # fmt: skip
_UNBUILT = {
    "gapId": "gap junctions of old versions",
}  # fmt: skip


def is_saved(data: Mapping[str, Any]) -> bool:
    """Whether a NetPyNE file holds an instantiated network."""
    net = data.get("net")
    return isinstance(net, Mapping) and bool(net.get("cells")) and "pops" in net


def rules_of(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The rules that a network was made from; populations in the order of their cells, as names in files are sorted.

    Raises DocumentError or UnsupportedError where the file has none.
    """
    net = data["net"]
    params = net.get("params")
    made = any(cell.get("conns") or cell.get("stims") for cell in net["cells"])
    stated = isinstance(params, Mapping) and params.get("popParams")
    if not stated or (made and not (params.get("connParams") or params.get("stimTargetParams"))):
        raise UnsupportedError(f"{path}: the file holds the network, and no rules to make it from; leave instantiate")
    pops, last = net["pops"], len(net["cells"])
    first = {label: min(pop.get("cellGids") or [last]) for label, pop in pops.items() if isinstance(pop, Mapping)}
    order = sorted(params["popParams"], key=lambda label: first.get(label, last))
    return {**params, "popParams": {label: params["popParams"][label] for label in order}}


def instance_of(data: Mapping[str, Any], path: Path, report: Report) -> Instance:
    """The network of a saved file. Raises DocumentError or NetworkError that names the cell and the entry at fault."""
    file = str(path)
    net, config = data["net"], data.get("simConfig") or {}
    params = net.get("params") or {}
    synapses = params.get("synMechParams") or {}
    if not isinstance(net["cells"], list):
        raise DocumentError("net.cells is no list", file=file)
    cells: dict[int, Cell] = {}
    connections: list[Connection] = []
    plastic: dict[str, Adjuster | None] = {}
    columns = config.get("compactConnFormat") or None
    for place, raw in enumerate(net["cells"]):
        cell = _cell(raw, place, file)
        if cell.gid in cells:
            raise NetworkError(f"net.cells[{place}]: gid {cell.gid} is there twice", file=file)
        cells[cell.gid] = cell
    for place, raw in enumerate(net["cells"]):
        for at, connection in enumerate(raw.get("conns") or ()):
            where = f"net.cells[{place}].conns[{at}]"
            spec = _named(connection, columns, where, file)
            pointer = spec.get("pointer")
            if isinstance(pointer, Mapping) and pointer.get("source") != "pre":
                continue  # the same junction, from the side of the cell before
            synapse = synapses.get(spec.get("synMech")) if isinstance(spec.get("synMech"), str) else None
            joins = bool(pointer) or (isinstance(synapse, Mapping) and bool(synapse.get("pointerParams")))
            _plastic(spec, where, plastic, file, report)
            connections.append(_connection(spec, cells[raw["gid"]], where, file, report, joins))
    duration = number(config.get("duration", 1000.0), "simConfig", "duration", file)
    courses = _courses(net["cells"], columns, duration, file)
    connections = [_stated(one, cells, params, courses) for one in connections] if courses else connections
    recompute(params, config, cells, connections, file, report)
    fields = fields_of(Model(params, config, file), cells, report)
    _check_sources(net["cells"], {one.source for one in fields}, file)
    return Instance(
        _pops(net["pops"], cells, file), cells, connections, params.get("synMechParams") or {},
        threshold=number(params.get("defaultThreshold", 10.0), "net", "defaultThreshold", file),
        celsius=celsius_of(params, config, file),
        v_init=number((config.get("hParams") or {}).get("v_init", -65.0), "net", "v_init", file),
        seed=int((config.get("seeds") or {}).get("stim", 1)),
        inverted_y=bool(config.get("invertedYCoord", True)),
        plastic={label: rule for label, rule in plastic.items() if rule is not None},
        courses=courses,
        moved_points=bool(config.get("pt3dRelativeToCellLocation", True)),
        shared=not config.get("oneSynPerNetcon", True), fields=fields, file=file,
    )  # fmt: skip


def _check_sources(raw: list[Any], known: Collection[str], file: str) -> None:
    """UnsupportedError for potentials that are imposed on a cell by a source that no rule states."""
    for place, cell in enumerate(raw):
        for stim in cell.get("stims") or ():
            if stim.get("type") == IMPOSED and str(stim.get("source")) not in known:
                raise UnsupportedError(f"{file}: net.cells[{place}]: the rules that were saved do not state the XStim "
                                       f"'{stim.get('source')}'")  # fmt: skip


def _courses(
    raw: list[Any], columns: list[str] | None, duration: float, file: str
) -> dict[tuple[bool, str], Shaped]:  # fmt: skip
    """The shapes of weights by label or source, of which all connections must have one."""
    found: dict[tuple[bool, str], Any] = {}
    for place, cell in enumerate(raw):
        for at, connection in enumerate(cell.get("conns") or ()):
            where = f"net.cells[{place}].conns[{at}]"
            spec = _named(connection, columns, where, file)
            driven = spec.get("preGid") == "NetStim"
            key = (driven, str(spec.get("preLabel" if driven else "label") or ""))
            shape = spec.get("shape") or None
            if found.setdefault(key, shape) != shape:
                raise UnsupportedError(f"{file}: {where}: the connections labelled '{key[1]}' have different shapes of "
                                       "weights; give those that differ a label of their own")  # fmt: skip
    made = ((key, shape_of(shape, duration, f"'{key[1]}'", file)) for key, shape in found.items())
    return {key: course for key, course in made if course is not None}


def _stated(
    one: Connection, cells: Mapping[int, Cell], params: Mapping[str, Any], courses: Mapping[tuple[bool, str], Shaped]
) -> Connection:  # fmt: skip
    """A connection with the weight that its rule states: NetPyNE plays that one, and saves it scaled."""
    cell, models = cells[one.post], params.get("scaleConnWeightModels")
    if (one.driven, str(cell.stims[one.pre].get("source")) if one.driven else one.label) not in courses:
        return one
    scale = params.get("scaleConnWeight", 1.0)
    if isinstance(models, Mapping) and cell.tags.get("cellModel") in models:
        scale = models[cell.tags["cellModel"]]
    if one.driven:
        scale = params.get("scaleConnWeightNetStims", 1.0)
    section = (cell.secs or {}).get(one.section or "") or {}
    if isinstance(section.get("weightNorm"), list):
        nseg = int((section.get("geom") or {}).get("nseg", 1))
        scale = scale * section["weightNorm"][round(one.loc * nseg) - 1]
    return one._replace(weight=one.weight / scale) if scale else one


def _cell(raw: Any, place: int, file: str) -> Cell:
    where = f"net.cells[{place}]"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("gid"), int) or not isinstance(raw.get("tags"), Mapping):
        raise DocumentError(f"{where}: expected a cell with a gid and tags", file=file)
    secs = raw.get("secs") or None
    params = raw.get("params") or raw["tags"].get("params") or {}
    times = None
    for home in (params, raw["tags"]):
        found = home.get("spkTimes")
        if isinstance(found, list) and all(isinstance(t, (int, float)) for t in found):
            times = [max(float(t), 0.0) for t in found]
            break
    # of fields NetPyNE saves the potentials, compartment by compartment; the rules state what they are
    stims = [dict(stim) for stim in raw.get("stims") or () if stim.get("type") != IMPOSED]
    return Cell(raw["gid"], dict(raw["tags"]), secs, dict(raw.get("secLists") or {}), dict(params), stims, times)


def _named(connection: Any, columns: list[str] | None, where: str, file: str) -> Mapping[str, Any]:
    """A connection by name, whether it was saved so or as a compact list."""
    if isinstance(connection, Mapping):
        return connection
    if columns and isinstance(connection, list) and len(connection) == len(columns):
        return dict(zip(columns, connection, strict=True))
    hint = "" if columns else "; simConfig.compactConnFormat would name its columns"
    raise DocumentError(f"{where}: expected a connection by name{hint}", file=file)


def _plastic(spec: Mapping[str, Any], where: str, known: dict[str, Adjuster | None], file: str, report: Report) -> None:
    """Note what adjusts a connection's weight under its label, under which all connections must agree."""
    label = str(spec.get("label") or "")
    rule = known.get(label)
    if spec.get("preGid") == "NetStim":
        return  # NetPyNE tells nothing of such events
    if spec.get("plast") or label in known:
        rule = adjuster_of(spec.get("plast"), where, file, report)
    if label in known and known[label] != rule:
        raise UnsupportedError(f"{file}: {where}: the connections labelled '{label}' are plastic in different ways; "
                               "give those that differ a label of their own")  # fmt: skip
    known[label] = rule


def _connection(spec: Mapping[str, Any], cell: Cell, where: str, file: str, report: Report,
                joins: bool) -> Connection:  # fmt: skip
    for word in sorted(set(spec) - _CONNECTION):
        if spec[word]:
            what = _UNBUILT.get(word, f"'{word}' of connections")
            report.add("netpyne-connection", "loss", f"{what} are left out, the first in {where}", file=file,
                       component=str(spec.get("label") or ""))  # fmt: skip
    pre, driven = spec.get("preGid"), False
    if pre == "NetStim":
        driven = True
        found = [n for n, stim in enumerate(cell.stims) if stim.get("source") == spec.get("preLabel")]
        if not found:
            raise NetworkError(f"{where}: cell {cell.gid} has no stimulus '{spec.get('preLabel')}'", file=file)
        pre = found[0]
    if not isinstance(pre, int):
        raise NetworkError(f"{where}: preGid is {pre!r:.40}; expected a gid or 'NetStim'", file=file)
    if cell.secs is None and spec.get("loc", 0) is None:  # artificial cells have no places
        spec = {**spec, "loc": 0.5}
    weight, delay, loc = (
        number(spec.get(name, default), str(cell.gid), f"{where}.{name}", file)
        for name, default in (("weight", 1.0), ("delay", 1.0), ("loc", 0.5))
    )
    section, peer = spec.get("sec"), None
    if joins:
        peer = (str(spec.get("preSec") or "soma"),
                number(0.5 if spec.get("preLoc") is None else spec["preLoc"], str(cell.gid), f"{where}.preLoc", file))
    return Connection(
        pre, cell.gid, section if isinstance(section, str) else None, loc, spec.get("synMech"), weight, delay,
        str(spec.get("label") or ""), driven, int(spec.get("weightIndex") or 0), peer=peer,
    )  # fmt: skip


def _pops(pops: Any, cells: Mapping[int, Cell], file: str) -> list[Pop]:
    if not isinstance(pops, Mapping):
        raise DocumentError("net.pops is no object", file=file)
    found = []
    for label, spec in pops.items():
        gids = spec.get("cellGids") if isinstance(spec, Mapping) else None
        if not isinstance(gids, list):
            raise DocumentError(f"net.pops.{label}: expected cellGids", file=file)
        found.append(Pop(label, dict(spec.get("tags") or {}), [gid for gid in gids if gid in cells]))
    found.sort(key=lambda pop: pop.gids[0] if pop.gids else -1)
    left = set(cells) - {gid for pop in found for gid in pop.gids}
    if left:
        raise NetworkError(f"cell {min(left)} is in no population", file=file)
    return [pop for pop in found if pop.gids]
