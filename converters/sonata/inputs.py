"""What a simulation of SONATA adds to a circuit: spikes, clamps, node sets, length and step, what is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ...element import Element
from ...errors import DocumentError, NetworkError
from ...graph import InputList
from ...report import Report
from ..swc import Shape, safe_id
from .config import Config
from .tables import Array, Table, column, open_hdf5

if TYPE_CHECKING:
    from .read import Nodes, Reader

_CLAMPS = ("current_clamp", "linear")
_REPLAY = ("h5", "csv", "sonata", "synapse_replay")
_VOLTAGE = ("v", "V_m", "vm", "voltage")


def number(owner: Any, name: str) -> float | None:
    """A number of a JSON object, None if there is none."""
    value = owner.get(name) if isinstance(owner, dict) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def items(config: Config, name: str) -> dict[str, dict[str, Any]]:
    """The named objects of one part of the simulation configuration (inputs, reports)."""
    found = config.simulation.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
        raise DocumentError(f"'{name}' is no object of objects", file=str(config.main))
    return found


def spike_trains(config: Config, report: Report) -> dict[str, dict[int, Array]]:
    """By population ("" where an old file does not say) and node: times of input spikes in ms, sorted."""
    found: dict[str, dict[int, Array]] = {}
    for name, source in items(config, "inputs").items():
        if source.get("input_type") != "spikes" and source.get("module") not in (
            "h5",
            "csv",
            "sonata",
            "synapse_replay",
        ):
            continue
        text = source.get("input_file") or source.get("spike_file")
        if not isinstance(text, str):
            raise DocumentError(f"the input '{name}' names no 'input_file'", file=str(config.main))
        path = config.path(text)
        trains = _csv(path) if path.suffix.lower() == ".csv" else _hdf5(path)
        default = source.get("node_set")
        for population, spikes in trains.items():
            to = population or _named(config, default) if isinstance(default, str) else population
            into = found.setdefault(to, {})
            for node, times in spikes.items():
                into[node] = np.sort(np.concatenate([into[node], times])) if node in into else np.sort(times)
    return found


def _named(config: Config, name: str) -> str:
    """The population of a node set; a name that is no node set is taken for a population, as old files mean it."""
    entry = config.node_sets.get(name)
    return str(entry["population"]) if isinstance(entry, dict) and isinstance(entry.get("population"), str) else name


def _by_node(ids: Array, times: Array) -> dict[int, Array]:
    order = np.argsort(ids, kind="stable")
    nodes, starts = np.unique(ids[order], return_index=True)
    return {int(n): part for n, part in zip(nodes, np.split(times[order], starts[1:]), strict=True)} if len(ids) else {}


def _hdf5(path: Path) -> dict[str, dict[int, Array]]:
    with open_hdf5(path, "spikes") as (_, group):
        if "timestamps" in group:  # before there were populations
            times = column(group, "timestamps", None, path)
            ids = column(group, "gids" if "gids" in group else "node_ids", len(times), path)
            return {"": _by_node(ids, times.astype(np.float64))}
        found = {}
        for name, each in group.items():
            if isinstance(each, h5py.Group):
                times = column(each, "timestamps", None, path)
                ids = column(each, "node_ids", len(times), path)
                found[name] = _by_node(ids, times.astype(np.float64))
        return found


def _csv(path: Path) -> dict[str, dict[int, Array]]:
    """Columns timestamps, population, node_ids, separated by spaces."""
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    head = lines[0].split() if lines else []
    if "timestamps" not in head or "node_ids" not in head:
        raise DocumentError("the first line must name the columns timestamps, population and node_ids", file=str(path))
    rows: dict[str, list[tuple[int, float]]] = {}
    for number_, line in enumerate(lines[1:], 2):
        values = dict(zip(head, line.split(), strict=False))
        if not values:
            continue
        try:
            rows.setdefault(values.get("population", ""), []).append(
                (int(values["node_ids"]), float(values["timestamps"]))
            )
        except (KeyError, ValueError):
            raise DocumentError(f"'{line[:60]}' is no spike", file=str(path), line=number_) from None
    return {
        name: _by_node(np.array([i for i, _ in spikes]), np.array([t for _, t in spikes]))
        for name, spikes in rows.items()
    }


def spike_array(id: str, times: Array) -> Element:
    """Spikes of one virtual node."""
    spikes = [Element("spike", {"id": str(n), "time": f"{t!r} ms"}) for n, t in enumerate(times.tolist())]
    return Element("spikeArray", {"id": id}, spikes)


# node sets ----------------------------------------------------------------------------------------------------------


def select(reader: Reader, wanted: Any, owner: str, seen: tuple[str, ...] = ()) -> dict[str, Array]:
    """Rows of each population that a node set selects. Raises DocumentError for a set that is not there."""
    if wanted in (None, "all"):
        return {name: np.arange(len(nodes.ids)) for name, nodes in reader.nodes.items()}
    config = reader.config
    if isinstance(wanted, str):
        if wanted in seen:
            raise DocumentError(f"the node set '{wanted}' contains itself", file=str(config.main))
        if wanted in config.node_sets:
            return select(reader, config.node_sets[wanted], owner, (*seen, wanted))
        if wanted in reader.nodes:
            return {wanted: np.arange(len(reader.nodes[wanted].ids))}
        known = ", ".join([*config.node_sets, *reader.nodes][:12])
        raise DocumentError(f"{owner} names the node set '{wanted}', which is not there; there are {known}",
                            file=str(config.main))  # fmt: skip
    if isinstance(wanted, list):
        parts = [select(reader, each, owner, seen) for each in wanted]
        names = {name for part in parts for name in part}
        return {n: np.unique(np.concatenate([part[n] for part in parts if n in part])) for n in sorted(names)}
    if not isinstance(wanted, dict):
        raise DocumentError(
            f"{owner} has a node set that is neither a name, a list nor an object", file=str(config.main)
        )
    found = {}
    for name, nodes in reader.nodes.items():
        chosen = np.ones(len(nodes.ids), dtype=bool)
        for key, value in wanted.items():
            chosen &= _matching(nodes, name, key, value)
        if chosen.any():
            found[name] = np.flatnonzero(chosen)
    return found


def _matching(nodes: Nodes, name: str, key: str, value: Any) -> Array:
    values = value if isinstance(value, list) else [value]
    everything = np.ones(len(nodes.ids), dtype=bool)
    if key == "population":
        return everything if name in values else ~everything
    if key in ("node_id", "node_ids", "gids"):
        return np.isin(nodes.ids, np.array(values, dtype=np.int64))
    if key == "node_type_id":
        return np.isin(nodes.table.type_ids, np.array(values, dtype=np.int64))
    if isinstance(value, dict):
        numbers = nodes.table.number(key)
        if numbers is None:
            return ~everything
        tests = {"$gt": np.greater, "$gte": np.greater_equal, "$lt": np.less, "$lte": np.less_equal}
        for sign, limit in value.items():
            if sign in tests:
                everything &= tests[sign](numbers, float(limit))
        return everything
    types = nodes.table.type_ids
    if key in nodes.table.columns:
        return np.isin(nodes.table.columns[key].astype(str), [str(v) for v in values])
    fitting = [id for id, row in nodes.table.types.items() if row.get(key) in [str(v) for v in values]]
    return np.isin(types, np.array(fitting, dtype=np.int64))


# clamps -------------------------------------------------------------------------------------------------------------


def input_lists(reader: Reader) -> list[InputList]:
    """Current clamps as input lists; every other kind of input but spikes is noted."""
    found = []
    for name, source in items(reader.config, "inputs").items():
        if source.get("input_type") == "spikes" or source.get("module") == "synapse_replay":
            continue
        values = {key: number(source, key) for key in ("amp", "amp_start", "amp_end", "delay", "duration")}
        amplitude = values["amp"] if values["amp"] is not None else values["amp_start"]
        constant = values["amp_end"] is None or values["amp_end"] == amplitude
        if source.get("input_type") not in _CLAMPS or amplitude is None or not constant:
            what = f"{source.get('input_type')}, module {source.get('module')}"
            reader.report.add("input", "loss", f"the input '{name}' ({what}) has no like in NeuroML",
                              file=str(reader.config.main))  # fmt: skip
            continue
        own = reader.own.get("inputs", {}).get(name, {})
        id = own.get("component") or reader.name(name, f"{name}_input")
        texts = {"delay": values["delay"] or 0.0, "duration": values["duration"] or 0.0}
        clamp = Element("pulseGenerator", {"id": id, **{k: f"{v!r} ms" for k, v in texts.items()},
                                           "amplitude": f"{amplitude!r} nA"})  # fmt: skip
        reader.cells.add(clamp)
        selected = select(reader, source.get("node_set", source.get("cells")), f"the input '{name}'")
        for population, rows in selected.items():
            nodes = reader.nodes[population]
            for number_, piece in enumerate(nodes.pieces):
                targets = nodes.place[rows[nodes.piece[rows] == number_]]
                if len(targets) and (piece.element is None or piece.element.tag != "spikeArray"):
                    lists = reader.name(own.get("list") or f"{name}_{piece.population}")
                    found.append(InputList(lists, id, piece.population, targets))
    for entry in reader.own.get("input_lists", []):
        columns: dict[str, Any] = {k: np.array(v) for k, v in entry.items() if isinstance(v, list)}
        found.append(InputList(entry["id"], entry["component"], entry["population"], **columns))
    return found


# length, step, recordings -------------------------------------------------------------------------------------------


def simulation(reader: Reader, network: str) -> list[Element]:
    """The run of the configuration as <Simulation>; an empty list if it has none."""
    run = reader.config.simulation.get("run")
    stop, step = number(run, "tstop"), number(run, "dt")
    if stop is None or step is None:
        return []
    if not (step > 0 and stop > 0):
        raise DocumentError(f"tstop {stop} and dt {step} must be more than 0", file=str(reader.config.main))
    reader.meta["simulation"] = {k: v for k, v in reader.config.simulation.items() if k not in ("manifest", "network")}
    id = reader.name("simulation", f"{network}_simulation")
    said = {"id": id, "length": f"{stop!r} ms", "step": f"{step!r} ms", "target": network}
    seed = number(run, "random_seed")
    if seed is not None:
        if seed != int(seed) or seed < 0:
            raise DocumentError(f"random_seed is {seed:g}; expected a whole number, 0 or more",
                                file=str(reader.config.main))  # fmt: skip
        said["seed"] = str(int(seed))
    element = Element("Simulation", said)
    events = Element("EventOutputFile", {"id": "spikes", "fileName": "spikes.dat", "format": "TIME_ID"})
    gid = 0
    for nodes in reader.nodes.values():
        ids = nodes.instance_ids
        for piece in nodes.pieces:
            for row in piece.rows:
                if piece.element is not None and piece.element.tag != "spikeArray":
                    place = f"{piece.population}/{int(ids[row])}/{piece.component}"
                    events.children.append(
                        Element("EventSelection", {"id": str(gid), "select": place, "eventPort": "spike"})
                    )
                gid += 1
    if events.children:
        element.children.append(events)
    for name, report in items(reader.config, "reports").items():
        _report(reader, element, name, report)
    return [Element("Target", {"component": id}), element]


def _report(reader: Reader, simulation: Element, name: str, report: dict[str, Any]) -> None:
    if report.get("variable_name") not in _VOLTAGE or report.get("module", "membrane_report") != "membrane_report":
        reader.report.add("report", "loss", f"the report '{name}' of {report.get('variable_name')} by "
                          f"{report.get('module')} is not recorded", file=str(reader.config.main))  # fmt: skip
        return
    file = Element("OutputFile", {"id": safe_id(name), "fileName": f"{safe_id(name)}.dat"})
    for population, rows in select(reader, report.get("cells"), f"the report '{name}'").items():
        nodes = reader.nodes[population]
        instances = nodes.instance_ids
        for row in rows:
            piece = nodes.pieces[int(nodes.piece[row])]
            if piece.element is not None and piece.element.tag not in ("spikeArray", "intFire1"):
                node = int(nodes.ids[row])
                path = f"{piece.population}/{int(instances[row])}/{piece.component}/v"
                file.children.append(Element("OutputColumn", {"id": f"{safe_id(population)}_{node}", "quantity": path}))
    if file.children:
        simulation.children.append(file)


# where on a cell ----------------------------------------------------------------------------------------------------


def on_sections(shape: Shape, sections: Array, along: Array, table: Table, by_type: bool) -> tuple[Array, Array]:
    """Segments and fractions of places along sections (0..1 of the section's length).

    Sections count from 0 at the soma. ``sec_id`` counts in the order in which NEURON's import makes them, soma, axon,
    dendrites, apical ones (after the soma the dendrites where the axon is replaced); ``afferent_section_id`` in the
    order of the file.
    """
    morphology = shape.morphology
    order = list(range(len(shape.sections)))
    if by_type and [name for name, _ in shape.sections][-2:] != ["axon", "axon"]:
        rank = {"soma": 0, "axon": 1, "dend": 2, "apic": 3}
        order.sort(key=lambda at: rank[shape.sections[at][0]])
    if len(sections) and (int(sections.max()) >= len(order) or int(sections.min()) < 0):
        bad = int(sections.max()) if int(sections.max()) >= len(order) else int(sections.min())
        raise NetworkError(f"an edge of '{table.name}' is on section {bad}; the morphology has {len(order)}",
                           file=table.file, component=table.name)  # fmt: skip
    segment, fraction = np.zeros(len(sections), dtype=np.int64), np.full(len(sections), 0.5)
    for number_ in np.unique(sections):
        ids = np.array(shape.sections[order[int(number_)]][1], dtype=np.int64)
        here = np.flatnonzero(sections == number_)
        if not len(ids):
            continue
        rows = np.array([morphology.row_by_id[int(i)] for i in ids])
        ends = np.cumsum(morphology.length[rows])
        at = np.clip(along[here], 0, 1) * ends[-1]
        which = np.minimum(np.searchsorted(ends, at), len(ids) - 1)
        segment[here] = ids[which]
        fraction[here] = np.clip(
            (at - (ends[which] - morphology.length[rows][which])) / morphology.length[rows][which], 0, 1
        )
    return segment, fraction
