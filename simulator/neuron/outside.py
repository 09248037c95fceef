"""Lowering of what acts on cells from outside: imposed fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import UnsupportedError
from ...graph import Network
from .population import CellKind, Kind
from .tables import Tables

if TYPE_CHECKING:
    from .lower import Settings


def outside(network: Network, kinds: Mapping[str, CellKind], tables: Tables, settings: Settings) -> dict[str, Any]:
    """The fields of a network as "fields" of a Program; nothing if there are none.

    Raises UnsupportedError for cells that have no shape, or a scheme that has no fields.
    """
    if not network.fields:
        return {}
    for given, what in ((settings.cvode, "cvode"), (settings.compat, "the compatibility scheme"),
                        (settings.coreneuron, "CoreNEURON")):  # fmt: skip
        if given:
            raise UnsupportedError(f"'{network.fields[0].id}' needs NEURON's fixed steps; {what} has no fields")
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
        moved = kind.native is not None and getattr(kind.native, "moved", False)
        if population.positions is not None and not moved:
            entry["positions"] = tables.add(f"{key}.positions", population.positions[field.target])
        entries.append(entry)
    return {"fields": entries}
