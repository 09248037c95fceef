"""Lowering of what is besides cells and connections: imposed fields, reactions and diffusion.

A concentration is the quantity of a cell ``A[0]/dend(0.5)/rxd/ca/er``, or ``rxd/k/ecs/10,20,30`` of a place
(um) outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from ...graph import NativeCell, Network
from ...graph.reactions import Region
from ...results.outputs import Place
from ..quantities import split_path
from .native_recordings import AT
from .plasticity import plastic_mods
from .played import imposed_mods
from .population import CellKind, Kind
from .recordings import Recording
from .tables import Tables

Ints = npt.NDArray[np.int64]

if TYPE_CHECKING:
    from .settings import Settings


def may_change(network: Network) -> None:
    """UnsupportedError for weights that change in time where no events of NEURON's own have them."""
    for projection in network.projections:
        own = projection.kind == "chemical" and network.native.keys() >= set(projection.synapses)
        if projection.course is not None and not own:
            raise UnsupportedError(f"the weights of '{projection.id}' change in time; those of NEURON's own synapses "
                                   "can")  # fmt: skip
    for inputs in network.inputs:
        process = network.native.get(inputs.component)
        if inputs.course is not None and getattr(process, "drives", None) is None:
            raise UnsupportedError(f"the weights of '{inputs.id}' change in time; those of NEURON's own sources that "
                                   "drive a synapse can")  # fmt: skip
    for population in network.populations.values():
        if population.course is not None and population.component not in network.native:
            raise UnsupportedError(f"a parameter of '{population.id}' changes in time; those of NEURON's own sources "
                                   "can")  # fmt: skip


def outside(network: Network, kinds: Mapping[str, CellKind], tables: Tables, settings: Settings) -> dict[str, Any]:
    """The "fields" and "rxd" of a Program, where there are any.

    Raises UnsupportedError for cells that have no shape, or a scheme that has neither.
    """
    may_change(network)
    for there, lacking in ((network.fields, "imposed fields"), (network.chemistry, "reactions and diffusion")):
        if there and settings.compat:
            raise UnsupportedError(f"the compatibility scheme has no {lacking}; take another --method")
    fields = _fields(network, kinds, tables)
    return ({"fields": fields} if fields else {}) | _chemistry(network, kinds, tables)


def own_mods(network: Network, settings: Settings) -> dict[str, str]:
    """The mechanisms that plastic connections and fields need, where they are there."""
    return {**plastic_mods(network), **imposed_mods(network.fields, settings.cvode is not None)}


def _fields(network: Network, kinds: Mapping[str, CellKind], tables: Tables) -> list[dict[str, Any]]:
    entries = []
    for number, field in enumerate(network.fields):
        population, kind = network.populations[field.population], kinds[field.population]
        if kind.kind is not Kind.CELL:
            raise UnsupportedError(f"the field '{field.id}' acts on population '{population.id}', whose cells have no "
                                   "shape; a field needs cells with sections")  # fmt: skip
        key = f"field{number}"
        entry = {
            "population": population.id, "first_gid": population.offset, "kind": field.kind,
            "rows": tables.add(f"{key}.rows", field.target), "vector": list(field.vector),
            "origin": list(field.origin), "conductivity": field.conductivity,
            "times": tables.add(f"{key}.times", field.times), "values": tables.add(f"{key}.values", field.values),
        }  # fmt: skip
        moved = (kind.native is not None and getattr(kind.native, "moved", False)) or network.outside
        if field.upright and isinstance(kind.native, NativeCell):
            bare = [number for number, section in enumerate(kind.native.sections) if section.points is None]
            entry["upright"] = bare
            moved = bool(moved) and not bare  # sections that stand are moved by the worker
        if population.positions is not None and not moved:
            entry["positions"] = tables.add(f"{key}.positions", population.positions[field.target])
        entries.append(entry)
    return entries


def _chemistry(network: Network, kinds: Mapping[str, CellKind], tables: Tables) -> dict[str, Any]:
    chemistry = network.chemistry
    if chemistry is None:
        return {}
    regions: list[dict[str, Any]] = []
    for number, region in enumerate(chemistry.regions.values()):
        if region.box is not None:
            regions.append({"name": region.name, "box": list(region.box), "dx": _plain(region.dx),
                            "volume_fraction": region.volume_fraction, "tortuosity": region.tortuosity})  # fmt: skip
            continue
        gids, sections = _places(network, kinds, region)
        regions.append({
            "name": region.name, "side": region.side, "geometry": region.geometry, "numbers": dict(region.numbers),
            "gid": tables.add(f"rxd{number}.gid", gids), "section": tables.add(f"rxd{number}.section", sections),
        })  # fmt: skip
    species = [
        {"name": s.name, "kind": s.kind, "regions": list(s.regions), "d": _plain(s.d), "charge": s.charge,
         "initial": dict(s.initial) if isinstance(s.initial, Mapping) else s.initial, "boundary": s.boundary,
         "scale": s.scale}
        for s in chemistry.species.values()
    ]  # fmt: skip
    reactions = [
        {"name": r.name, "kind": r.kind, "left": r.left, "right": r.right, "forward": r.forward,
         "backward": r.backward, "regions": None if r.regions is None else list(r.regions), "custom": r.custom,
         "membrane": r.membrane, "membrane_flux": r.membrane_flux, "by_area": r.by_area}
        for r in chemistry.reactions.values()
    ]  # fmt: skip
    return {"rxd": {"constants": dict(chemistry.constants), "regions": regions, "species": species,
                    "reactions": reactions}}  # fmt: skip


def _plain(value: float | tuple[float, ...]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value


def _places(network: Network, kinds: Mapping[str, CellKind], region: Region) -> tuple[Ints, Ints]:
    """The cells and sections of a region, a row for each section."""
    gids, sections = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for part in region.parts:
        population, kind = network.populations[part.population], kinds[part.population]
        if kind.kind is not Kind.CELL:
            raise UnsupportedError(f"the region '{region.name}' is in population '{population.id}', whose cells have "
                                   "no sections")  # fmt: skip
        if part.segments is not None:
            found, _ = kind.locate_all(part.segments, np.full(len(part.segments), 0.5))
            inside = np.unique(found)
        elif isinstance(kind.native, NativeCell):
            inside = np.arange(len(kind.native.sections))
        else:
            assert kind.template is not None
            inside = np.arange(len(kind.template.sections))
        gids.append(np.repeat(population.offset + part.rows, len(inside)))
        sections.append(np.tile(inside, len(part.rows)))
    return np.concatenate(gids), np.concatenate(sections)


def species_of(quantity: str, network: Network, kinds: Mapping[str, CellKind], where: Place) -> Recording | None:
    """How to record a concentration; None for another kind of quantity. Raises an error for one that is not there."""
    steps = quantity.split("/")
    if "rxd" not in steps[:-2]:
        return None
    at = steps.index("rxd")
    species, region = steps[at + 1 : at + 3]
    chemistry = network.chemistry
    one = None if chemistry is None else chemistry.species.get(species)
    if chemistry is None or one is None or region not in one.regions:
        raise where.error(f"the quantity '{quantity}': there is no species '{species}' in a region '{region}'")
    here = {"species": species, "region": region}
    if at == 0:
        try:
            place = [float(number) for number in "/".join(steps[3:]).split(",")]
        except ValueError:
            place = []
        if len(place) != 3 or chemistry.regions[region].box is None:
            raise where.error(f"the quantity '{quantity}' needs a region outside of cells and a place x,y,z")
        return Recording(quantity, "mol/m3", lambda: {**here, "at": place})
    path = split_path("/".join(steps[:at]), network)
    kind = kinds[path.population]
    if kind.kind is not Kind.CELL:
        raise where.error(f"the quantity '{quantity}' is of a cell that has no sections")
    section, x = (path.segment or 0, 0.5) if kind.native is not None else kind.locate(path.segment, None)
    named = AT.match(path.rest[0]) if path.rest else None
    if named is not None and isinstance(kind.native, NativeCell):
        section, x = kind.native.section(named["name"]), float(named["x"])
    gid = network.populations[path.population].offset + path.row
    return Recording(quantity, "mol/m3", lambda: {**here, "gid": gid, "section": section, "x": x})
