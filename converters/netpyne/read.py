"""Reading NetPyNE's JSON files: a Network, and the run that goes with it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...errors import DocumentError, UnsupportedError
from ...graph import Network
from ...report import Report
from ...results import Simulation, elements_of
from .config import Recorded, simulation_of
from .document import beside, load
from .instance import Instance
from .rules import build
from .saved import instance_of, is_saved


def read(path: Path, report: Report | None = None) -> Network:
    """The network of a NetPyNE file. Raises DocumentError, NetworkError or UnsupportedError."""
    return read_simulation(path, report)[0]


def read_simulation(
    path: Path, report: Report | None = None, allow: Collection[str] = ()
) -> tuple[Network, Simulation]:
    """The network of a NetPyNE file and the run that its simConfig states."""
    report = report if report is not None else Report()
    data = load(path)
    instance, config = _instance(data, path, report)
    network = instance.network(report)
    members = _members(instance, network)
    simulation = simulation_of(config, network, members, report, str(path))
    network.simulation, network.settings = elements_of(simulation, str(network.id)), simulation
    return network, simulation


def _instance(data: dict[str, Any], path: Path, report: Report) -> tuple[Instance, dict[str, Any]]:
    """The network of a file and its simConfig: saved, or built from the rules that the file or an index names."""
    config = data.get("simConfig") or {}
    if is_saved(data):
        return instance_of(data, path, report), config
    params = (data.get("net") or {}).get("params")
    if "netParams" in data and isinstance(config, str):
        params, config = _indexed(data, path)
    if not isinstance(params, dict):
        raise UnsupportedError(f"{path}: the file holds neither an instantiated network (net.cells and net.pops) nor "
                               "rules (net.params)")  # fmt: skip
    report.add("netpyne-rng", "info", "the network is made from its rules with the random numbers that NetPyNE 1.1 "
               "draws on one rank", file=str(path))  # fmt: skip
    return build(params, config, report, str(path)), config


def _indexed(data: dict[str, Any], path: Path) -> tuple[Any, dict[str, Any]]:
    """netParams and simConfig of the JSON files that an index names."""
    found = []
    for key in ("netParams", "simConfig"):
        named = beside(path, data.get(key), key)
        if named.suffix != ".json":
            raise UnsupportedError(f"{path}: {key} is '{named.name}'; only JSON files are read")
        found.append(load(named))
    params = (found[0].get("net") or {}).get("params")
    config = found[1].get("simConfig")
    if not isinstance(params, dict) or not isinstance(config, dict):
        raise DocumentError("the files of the index need {'net': {'params': ...}} and {'simConfig': ...}",
                            file=str(path))  # fmt: skip
    return params, config


def _members(instance: Instance, network: Network) -> Recorded:
    """Where the cells of each population of NetPyNE are in the hub; split populations are put together again."""
    members: dict[str, list[tuple[str, int]]] = {}
    for population in network.populations.values():
        label = population.properties.get("netpyne_pop", population.id)
        members.setdefault(label, []).extend((population.id, row) for row in range(population.size))
    order = [cell for pop in instance.pops for cell in members[pop.label]]
    return Recorded(members, order)
