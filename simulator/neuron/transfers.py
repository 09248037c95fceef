"""Continuous coupling: what states begin with, brought to where it is read; pointers in place of transfers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import SimulatorError

if TYPE_CHECKING:
    from .build import Network


def start_of(pc: Any, ranks: int, sent: Mapping[int, Any], got: Sequence[tuple[Any, int]]) -> Callable[[], None]:
    """What is to be called after INITIAL blocks: NEURON's own first transfer comes before them, and brings 0.

    ``sent`` are the variables of this rank by their number, ``got`` those that take one, with the number of it.
    """

    def bring() -> None:
        values = {number: pointer[0] for number, pointer in sent.items()}
        if ranks > 1:
            for others in pc.py_allgather(values):
                values.update(others)
        for pointer, number in got:
            pointer[0] = values[number]

    return bring


def by_pointers(network: Network, groups: Sequence[Mapping[str, Any]]) -> None:
    """Couple by pointers, which see a variable as it is, on one rank only."""
    if network.ranks > 1:
        raise SimulatorError("the compatibility scheme couples cells by pointers; run it on one rank")
    column = network.program.column
    for spec in groups:
        variable, targets = spec["source_variable"], network.groups[spec["points"]].members
        if isinstance(variable, str):
            table = zip(*(column(spec[f"source_{c}"]).tolist() for c in ("gid", "section", "x")), strict=True)
            places = [network.section(int(gid), int(index), "pointers")(x) for gid, index, x in table]
        else:
            members = network.groups[variable["points"]].members
            places = [members[int(row)] for row in column(variable["index"]).tolist()]
            variable = variable["variable"]
        for row, place in zip(column(spec["index"]).tolist(), places, strict=True):
            network.h.setpointer(network.pointer(place, variable), spec["variable"], targets[int(row)])
