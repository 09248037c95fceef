"""Reading NetPyNE's models: a Network, and the run that goes with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ...graph import Network
from ...report import Report
from ...results import Simulation, elements_of
from .config import Recorded, simulation_of
from .files import Files
from .instance import Instance
from .mechanisms import mods_of, set_globals
from .older import as_older
from .reactions import chemistry_of


def read(path: Path, report: Report | None = None, allow: Collection[str] = ()) -> Network:
    """The network of a NetPyNE file. Raises DocumentError, NetworkError or UnsupportedError."""
    return read_simulation(path, report, allow)[0]


def read_simulation(
    path: Path, report: Report | None = None, allow: Collection[str] = (), changes: Mapping[str, Any] | None = None
) -> tuple[Network, Simulation]:
    """The network of a NetPyNE model and the run that its simConfig states.

    ``allow`` with "code" lets Python run that states the model, with "mods" the mechanisms of its folder be compiled.
    ``changes`` are other values by name: an attribute of simConfig, "netParams.connParams.EE.weight", and "rng":
    "netpyne" (what NetPyNE draws), "neuron8" (the same, with the noise of NetStims that NEURON 8 and older gave) or
    "native" (streams of their own for each rule, cell and stimulus).
    """
    report = report if report is not None else Report()
    if path.is_dir():
        path = path / "index.npjson"
    found = Files.of(path, allow, changes or {}, report)
    instance = found.instance(report)
    network = instance.network(report)
    params = found.params if found.data is None else (found.data.get("net") or {}).get("params")
    mods = mods_of(found.path, found.mods, network, allow, report)
    network.mods.update(set_globals(mods, params or {}, found.config, network, report))
    members = _members(instance, network)
    network.chemistry = chemistry_of((params or {}).get("rxdParams"), members, network, str(path))
    simulation = simulation_of(found.config, network, members, report, str(path))
    if found.rng == "neuron8":
        as_older(network)
    network.simulation, network.settings = elements_of(simulation, str(network.id)), simulation
    return network, simulation


def _members(instance: Instance, network: Network) -> Recorded:
    """Where the cells of each population of NetPyNE are in the hub; split populations are put together again."""
    members: dict[str, list[tuple[str, int]]] = {}
    for population in network.populations.values():
        label = population.properties.get("netpyne_pop", population.id)
        members.setdefault(label, []).extend((population.id, row) for row in range(population.size))
    for pop in instance.pops:
        members.setdefault(pop.label, [])  # a population may have no cells
    order = [cell for pop in instance.pops for cell in members[pop.label]]
    whole = {id: (cell.neuroml, cell.secs) for id, cell in instance.whole.items() if cell.neuroml and cell.secs}
    return Recorded(members, order, whole)
