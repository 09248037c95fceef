"""Which rows of a population are alike: those that become one population of one component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...graph import NativeCell, Population
from ...graph.population import Individual

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def combinations(
    usual: Mapping[str, float], values: Mapping[str, Floats], count: int
) -> list[tuple[dict[str, float], Ints]]:
    """(parameters, rows) for all rows that agree in what differs, in the order of their first rows."""
    if not values or not count:
        return [(dict(usual), np.arange(count))]
    table = np.column_stack(list(values.values()))
    _, first, inverse, sizes = np.unique(table, axis=0, return_index=True, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(inverse.reshape(-1), kind="stable"), np.cumsum(sizes)[:-1])
    return [
        ({**usual, **dict(zip(values, table[first[n]].tolist(), strict=True))}, members[n]) for n in np.argsort(first)
    ]


def kinds_of(population: Population) -> list[tuple[Individual, Ints]]:
    """(cell, rows) for the individuals of a population, native ones that are the same together, in the order of their
    first rows."""
    kinds: dict[Any, tuple[Individual, list[int]]] = {}
    for row, each in enumerate(population.individuals or ()):
        key = each.key if isinstance(each, NativeCell) else row
        kinds.setdefault(key, (each, []))[1].append(row)
    return [(each, np.array(rows)) for each, rows in kinds.values()]
