"""stimSourceParams and stimTargetParams: NetStims, clamps and other point processes on chosen cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import UnsupportedError
from ...report import Report
from .connect import chosen
from .fields import Field, field_of
from .functions import Function
from .instance import Cell, Connection
from .sources import VARIABLE
from .streams import of_gids, of_text
from .synapses import Contacts

if TYPE_CHECKING:
    from .rules import Model

_FUNCTIONS = (
    "del", "dur", "amp", "gain", "rstim", "tau1", "tau2", "onset", "tau", "gmax", "e", "interval", "rate", "number",
    "start", "noise", "weight", "delay", "synsPerConn", "loc",
)  # fmt: skip
_PLACE = ("x", "y", "z", "xnorm", "ynorm", "znorm")

IMPOSED = "XStim"
"""the type of sources of potentials that are imposed from outside"""


def stimulate(
    model: Model, cells: Mapping[int, Cell], connections: list[Connection], report: Report
) -> list[Field]:  # fmt: skip
    """Add the stimuli of all targets to the cells, in NetPyNE's order; the fields among them."""
    fields: list[Field] = []
    sources = dict(model.entries("stimSourceParams"))
    contacts = Contacts(model, cells, report)
    for label, target in model.entries("stimTargetParams"):
        source = sources.get(target.get("source", ""))
        if source is None:
            known = ", ".join(sources) or "none"
            raise model.error(
                f"stimTargetParams.{label}: there is no source '{target.get('source')}'; there are {known}"
            )
        if source.get("type") is None or source.get("originalFormat"):
            raise UnsupportedError(f"stimSourceParams.{target['source']}: type '{source.get('type')}' is not supported")
        if target.get("shape"):
            report.add("netpyne-stimulus", "approximation", f"stimTargetParams.{label}: as in NetPyNE, shape changes "
                       "nothing; that of stimSourceParams does", file=model.file)  # fmt: skip
        if source.get("plast") or target.get("plast"):
            report.add("netpyne-plasticity", "approximation", f"stimTargetParams.{label}: as in NetPyNE, plast changes "
                       "nothing: a mechanism is told of cells' spikes only", file=model.file)  # fmt: skip
        gids = _targets(model, label, target, cells)
        if not gids:
            report.add("netpyne-empty", "info", f"stimTargetParams.{label}: no cell meets its conds", file=model.file)
        if source["type"] == IMPOSED:
            fields += _field(model, label, target["source"], source, gids, cells, report)
            continue
        drawn = _drawn(model, label, source, target, gids, cells)
        if bare := [gid for gid in gids if cells[gid].secs is None]:
            report.add("netpyne-stimulus", "approximation", f"stimTargetParams.{label}: as in NetPyNE the stimulus "
                       f"does nothing to {len(bare)} cells that are artificial; a population of NetStims would",
                       file=model.file)  # fmt: skip
        for row, gid in enumerate(gids):
            if cells[gid].secs is None:
                continue
            values = {**source, **{name: column[row] for name, column in drawn.items() if name in source}}
            here = {name: drawn[name][row] if name in drawn else target.get(name)
                    for name in ("weight", "delay", "synsPerConn", "loc")}  # fmt: skip
            if source["type"] == "NetStim":
                _drive(model, contacts, label, target, values, here, cells[gid], connections)
            else:
                _clamp(model, contacts, label, target, values, here, cells[gid])
    return fields


def fields_of(model: Model, cells: Mapping[int, Cell], report: Report) -> list[Field]:
    """The fields that the rules of a saved network state: of these NetPyNE saves no more than the potentials."""
    sources = dict(model.entries("stimSourceParams"))
    found: list[Field] = []
    for label, target in model.entries("stimTargetParams"):
        source = sources.get(str(target.get("source"))) or {}
        if source.get("type") == IMPOSED:
            gids = _targets(model, label, target, cells)
            found += _field(model, label, target["source"], source, gids, cells, report)
    return found


def _field(
    model: Model, label: str, name: str, source: Mapping[str, Any], gids: list[int], cells: Mapping[int, Cell],
    report: Report,
) -> list[Field]:  # fmt: skip
    """The field of an XStim on some cells; none if these are none."""
    if source.get("mod_based") is True:
        report.add("netpyne-stimulus", "approximation", f"stimSourceParams.{name}: mod_based does nothing here; in "
                   "NetPyNE potentials by way of xtra.mod come a step late, and of several waveforms the last is "
                   "played to all", file=model.file)  # fmt: skip
    return [field_of(model, label, name, source, gids, cells)] if gids else []


def _targets(model: Model, label: str, target: Mapping[str, Any], cells: Mapping[int, Cell]) -> list[int]:
    conditions = target.get("conds") or {}
    gids = sorted(chosen(conditions, cells))
    listed = conditions.get("cellList")
    if listed is None or listed == "all":
        return gids
    if not isinstance(listed, list):
        raise model.error(f"stimTargetParams.{label}: cellList must be 'all' or a list of numbers")
    try:
        wanted = {gids[index] for index in listed}
    except (IndexError, TypeError):
        raise model.error(f"stimTargetParams.{label}: cellList asks for a cell that is not there") from None
    return [gid for gid in gids if gid in wanted]


def _drawn(
    model: Model, label: str, source: Mapping[str, Any], target: Mapping[str, Any], gids: list[int],
    cells: Mapping[int, Cell],
) -> dict[str, list[float]]:  # fmt: skip
    """Values of string functions for each cell: parameter after parameter, from one stream."""
    stream = model.stream(label, of_text(f"stim_{source['type']}"), of_gids(gids), int(model.seeds["stim"]))
    stated = {**source, **target}
    found: dict[str, list[float]] = {}
    for name in _FUNCTIONS:
        if not isinstance(stated.get(name), str):
            continue
        if (name, stated[name]) == ("rate", VARIABLE):
            continue
        function = Function(stated[name], f"stimTargetParams.{label}.{name}", model.file)
        column = []
        for gid in gids:
            names: dict[str, Any] = dict(model.constants)
            names |= {f"post_{axis}": cells[gid].tags[axis] for axis in _PLACE}
            function.check_names(names)
            column.append(float(function(names, stream)))
        found[name] = column
    return found


def _drive(
    model: Model, contacts: Contacts, label: str, target: Mapping[str, Any], source: Mapping[str, Any],
    here: Mapping[str, Any], cell: Cell, connections: list[Connection],
) -> None:  # fmt: skip
    """A NetStim for each synapse, and the connection through which it acts."""
    if source.get("rate") is None and source.get("interval") is None:
        raise model.error(f"stimSourceParams.{target['source']}: a NetStim needs a rate or an interval")
    stim = {
        "source": target["source"], "type": "NetStim", "label": label,
        "rate": source["rate"] if source.get("rate") is not None else 1000.0 / source["interval"],
        "noise": source.get("noise", 0.0), "number": source.get("number", 1e9), "start": source.get("start", 0),
        "seed": source.get("seed", model.seeds["stim"]),
    }  # fmt: skip
    stated = {
        "weight": 1.0 if here["weight"] is None else here["weight"],
        "delay": 1.0 if here["delay"] is None else here["delay"], "loc": here["loc"],
        "synsPerConn": 1 if here["synsPerConn"] is None else here["synsPerConn"],
    }  # fmt: skip
    synapses = target.get("synMech")
    synapses = synapses if isinstance(synapses, list) else [synapses]
    scale = float(model.constants["scaleConnWeightNetStims"])
    section = target.get("sec") if isinstance(target.get("sec"), str) else None
    rule = {**target, "shape": source.get("shape")}
    for number, synapse in enumerate(synapses):
        values = contacts.of_synapse(stated, target, synapses, number, f"stimTargetParams.{label}")
        values["synsPerConn"] = stated["synsPerConn"]
        contacts.contact(label, rule, -1, cell.gid, synapse, section if section else target.get("sec"), values,
                         connections, driven=True, scale=scale, stim=stim)  # fmt: skip


def _clamp(
    model: Model, contacts: Contacts, label: str, target: Mapping[str, Any], source: Mapping[str, Any],
    here: Mapping[str, Any], cell: Cell,
) -> None:  # fmt: skip
    wanted = target.get("sec")
    if isinstance(wanted, list):
        raise UnsupportedError(f"stimTargetParams.{label}: a list of sections for a {source['type']} is not supported")
    stim = dict(source) | {
        "source": target["source"], "label": label, "sec": contacts.sections(cell, wanted)[0],
        "loc": 0.5 if here["loc"] is None else here["loc"],
    }  # fmt: skip
    cell.stims.append(stim)
