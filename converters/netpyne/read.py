"""Reading NetPyNE's JSON files: a Network, and the run that goes with it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...errors import UnsupportedError
from ...graph import Network
from ...report import Report
from ...results import Simulation, elements_of
from .config import Recorded, simulation_of
from .document import load
from .instance import Instance
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
    instance = _instance(data, path, report)
    network = instance.network(report)
    members = _members(instance, network)
    simulation = simulation_of(data.get("simConfig") or {}, network, members, report, str(path))
    network.simulation = elements_of(simulation, str(network.id))
    return network, simulation


def _instance(data: dict[str, Any], path: Path, report: Report) -> Instance:
    if is_saved(data):
        return instance_of(data, path, report)
    raise UnsupportedError(f"{path}: the file holds no instantiated network (net.cells and net.pops)")


def _members(instance: Instance, network: Network) -> Recorded:
    """Where the cells of each population of NetPyNE are in the hub; split populations are put together again."""
    members: dict[str, list[tuple[str, int]]] = {}
    for population in network.populations.values():
        label = population.properties.get("netpyne_pop", population.id)
        members.setdefault(label, []).extend((population.id, row) for row in range(population.size))
    order = [cell for pop in instance.pops for cell in members[pop.label]]
    return Recorded(members, order)
