"""A model of any components for NetPyNE: netParams, simConfig, the mod files of its equations, and what holds them.

``index.npjson`` names files of rules, which NetPyNE UI and ``netpyne.sim.loadModel`` open; a ``.json`` file holds the
network as it was instantiated, for ``netpyne.sim.load``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...files import atomic
from ...graph import Network
from ...registry import resolve_name
from ...report import Report
from .mechanisms import folder_of_saved
from .parameters import Parameters

_ARRAYS = '''"""netParams of the JSON file of this name, with waveforms as arrays."""

import json
from pathlib import Path

import numpy
from netpyne import specs

here = Path(globals().get("__file__", {name!r}))  # NetPyNE imports modules that know no file
text = here.with_suffix(".json").read_text()
netParams = specs.NetParams(json.loads(text)["net"]["params"])
for source in netParams.stimSourceParams.values():
    for word in ("time", "signal"):
        if word in source.get("waveform", {{}}):
            source["waveform"][word] = numpy.array(source["waveform"][word])
'''


def write_model(network: Network, path: Path, report: Report) -> None:
    """Write the network by way of what NEURON would run; nothing stays if it cannot be.

    Raises UnsupportedError for what NetPyNE has no place for, and what lowering raises.
    """
    made = parameters_of(network, path, report)
    if path.suffix == ".npjson":
        stem = "" if path.stem == "index" else f"{path.stem}_"
        write_index(made, path, f"{stem}netParams.json", f"{stem}cfg.json", f"{stem}mod")
        return
    params, config = made.net_params(), made.config()
    saved = _saved(params, config, report)
    with files_beside(path.parent, mods_of_saved(path, made.mods, report)), atomic(path) as stream:
        stream.write(json.dumps(saved, allow_nan=False).encode())


def note_fields(names: Iterable[str], report: Report) -> None:
    """Say that fields are in the rules of a saved network, where NetPyNE does not look for them."""
    report.add("netpyne-fields", "loss", f"{', '.join(names)}: netpyne.sim.load does not rebuild imposed fields, which "
               "nmlbridge reads again; an index (.npjson) has them in netParams")  # fmt: skip


def mods_of_saved(path: Path, mods: Mapping[str, str], report: Report) -> dict[str, str]:
    """The mod files of a saved network by their names below its folder; said where they are, if there are any."""
    folder = folder_of_saved(path)
    if mods:
        report.add("netpyne-mods", "info", f"the mechanisms are in {folder}; compile them (nrnivmodl {folder}) before "
                   "netpyne.sim.load", file=str(path))  # fmt: skip
    return {f"{folder}/{name}": text for name, text in mods.items()}


def parameters_of(network: Network, path: Path, report: Report) -> Parameters:
    """What NEURON would run of a network, by implicit steps as NetPyNE takes them."""
    lowered, _ = resolve_name("nmlbridge.simulator.neuron.project:lowered_of")(network, path, report, "implicit")
    everywhere = (network, *network.others)
    positions = {p.id: p.positions for n in everywhere for p in n.populations.values() if p.positions is not None}
    attributes = {p.id: p.attributes for n in everywhere for p in n.projections}
    attributes |= {inputs.id: inputs.attributes for n in everywhere for inputs in n.inputs}
    return Parameters(lowered.program, report, positions, attributes)


def write_index(made: Parameters, path: Path, params: str, config: str, mods: str) -> list[str]:
    """Write an index with the files that it names below its folder, and return the names of all."""
    rules = made.net_params()
    texts = {
        params: json.dumps({"net": {"params": rules}}, indent=1, allow_nan=False) + "\n",
        config: json.dumps({"simConfig": made.config()}, indent=1, allow_nan=False) + "\n",
    }
    if any("waveform" in source for source in rules["stimSourceParams"].values()):
        module = params.replace(".json", ".py")
        texts[module] = _ARRAYS.format(name=module)
        made.report.add("netpyne-fields", "info", f"{module} makes arrays of the waveforms of fields in {params}, as "
                        "NetPyNE takes no lists; nmlbridge reads it with --allow-code", file=str(path))  # fmt: skip
        params = module
    texts |= {f"{mods}/{name}": text for name, text in made.mods.items()}
    index = {"netParams": params, "simConfig": config} | ({"mod_folder": mods} if made.mods else {})
    with files_beside(path.parent, texts), atomic(path) as stream:
        stream.write(json.dumps(index, indent=1).encode() + b"\n")
    return sorted([path.name, *texts])


@contextmanager
def files_beside(folder: Path, texts: Mapping[str, str]) -> Iterator[None]:
    """Files below ``folder`` by name; those that were not there before go again if the body or a write fails."""
    fresh: list[Path] = []
    made: list[Path] = []
    try:
        for name, text in texts.items():
            path = folder / name
            if not path.parent.exists():
                made.append(path.parent)
            if not path.exists():
                fresh.append(path)
            with atomic(path) as stream:
                stream.write(text.encode())
        yield
    except BaseException:
        with suppress(OSError):
            for path in fresh:
                path.unlink(missing_ok=True)
            for parent in made:
                parent.rmdir()
        raise


def _saved(params: dict[str, Any], config: dict[str, Any], report: Report) -> dict[str, Any]:
    """The network as NetPyNE saves it when it has made it from these rules."""
    cells: list[dict[str, Any]] = []
    pops: dict[str, dict[str, Any]] = {}
    left: set[str] = set()
    fields: list[str] = []
    for id, pop in params["popParams"].items():
        tags = {"pop": id, **{key: pop[key] for key in ("cellType", "cellModel", "originalFormat") if key in pop}}
        pops[id] = {"tags": tags | {"numCells": pop["numCells"]},
                    "cellGids": list(range(len(cells), len(cells) + pop["numCells"]))}  # fmt: skip
        if "originalFormat" in pop:
            left.add(f"the cells of '{id}' send events by a process of their own")
        for each in pop["cellsList"]:
            rule = params["cellParams"].get(each.get("cellType", pop.get("cellType")))
            norms = {f"{axis}norm": each[axis] / params[f"size{axis.upper()}"] for axis in "xyz"}
            cell: dict[str, Any] = {"gid": len(cells), "tags": tags | each | norms, "conns": [], "stims": []}
            cell |= {"secs": rule["secs"], "secLists": {}} if rule else {"params": cell["tags"].pop("params")}
            cells.append(cell)
    for label, rule in params["connParams"].items():
        pre, post = (pops[rule[key]["pop"]]["cellGids"] for key in ("preConds", "postConds"))
        kind = pops[rule["postConds"]["pop"]]["tags"]
        synapse = params["synMechParams"].get(rule.get("synMech"))
        if synapse is None:
            left.add(f"events reach the cells of '{kind['pop']}' themselves")
        elif "pointerParams" in synapse:
            left.add("there are gap junctions")
        if "shape" in rule or "plast" in rule:
            left.add("weights change")
        place = {key: rule[key] for key in ("sec", "synMech", "preSec", "preLoc", "shape", "plast") if key in rule}
        for row, (first, second) in enumerate(rule["connList"]):
            cells[post[second]]["conns"].append({
                "preGid": pre[first], "label": label, "loc": rule["loc"][row], "weight": rule["weight"][row],
                "delay": rule["delay"][row] if "delay" in rule else 0.0, **place,
            })  # fmt: skip
    for label, target in params["stimTargetParams"].items():
        source = params["stimSourceParams"][target["source"]]
        if "shape" in source:
            left.add("weights change")
        if source["type"] == "XStim":
            fields.append(target["source"])
            continue
        cell = cells[pops[target["conds"]["pop"]]["cellGids"][target["conds"]["cellList"][0]]]
        place = {"sec": target["sec"], "loc": target["loc"]}
        stim = {"source": target["source"], "label": label, **source}
        if source["type"] != "NetStim":
            cell["stims"].append(stim | place)
            continue
        cell["stims"].append(stim)
        cell["conns"].append(place | {
            "preGid": "NetStim", "preLabel": target["source"], "label": label, "synMech": target["synMech"],
            "weight": target["weight"], "delay": target["delay"],
            **({"shape": source["shape"]} if "shape" in source else {}),
        })  # fmt: skip
    if fields:
        note_fields(fields, report)
    for reason in sorted(left):
        report.add("netpyne-loader", "loss", f"{reason}, which netpyne.sim.load does not rebuild; an index "
                   "(.npjson) has them in netParams", component="")  # fmt: skip
    # rules with sections would be applied once more to the cells that are loaded
    bare = {id: {"conds": rule["conds"], "secs": {}, "secLists": {}} for id, rule in params["cellParams"].items()}
    sources = {name: params["stimSourceParams"][name] for name in fields}
    targets = {label: one for label, one in params["stimTargetParams"].items() if one["source"] in sources}
    kept = params | {"cellParams": bare, "connParams": {}, "stimSourceParams": sources, "stimTargetParams": targets,
                     "popParams": {id: pop["tags"] for id, pop in pops.items()}}  # fmt: skip
    return {
        "netpyne_version": "1.1.1", "netpyne_changeset": "", "net": {"params": kept, "cells": cells, "pops": pops},
        "simConfig": config | {"createNEURONObj": True, "createPyStruct": True, "compactConnFormat": False},
    }  # fmt: skip
