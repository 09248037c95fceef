"""Abstract cells of one population that differ in parameters: one mechanism, and a number for each cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import NetworkError, UnsupportedError
from ...graph import Population
from ...lems import Component
from ...lems.flat import FlatComponent
from ...units import nearest
from .population import POINT_AREA_UM2, CellKind, Kind
from .tables import Tables


def each_cell(
    population: Population, component: Component, flat: FlatComponent, flatten: Callable[[Component], FlatComponent]
) -> list[FlatComponent]:  # fmt: skip
    """The component as it is for each cell, by the population's ``values``. Raises NetworkError for other names."""
    for name in population.values:
        if name not in component.parameters:
            raise NetworkError(f"a {component.type.name} has no parameter '{name}'"
                               f"{nearest(name, component.parameters)}", **population.place())  # fmt: skip
    rows = [dict(zip(population.values, row, strict=True)) for row in zip(*population.values.values(), strict=True)]
    if all(parameter.kind != "derived" for parameter in flat.parameters.values()):
        plain = flat.parameters
        return [
            replace(flat, parameters={**plain, **{n: replace(plain[n], value=float(v)) for n, v in row.items()}})
            for row in rows
        ]
    found, stated = [], dict(component.parameters)
    try:
        for row in rows:
            component.parameters.update({name: float(value) for name, value in row.items()})
            found.append(flatten(component))
    finally:
        component.parameters.update(stated)
    return found


def own_numbers(population: Population, kind: CellKind, tables: Tables) -> dict[str, Any]:
    """What a population of a Program has for such cells: ``parameters``, and for cells with a voltage ``cm`` and
    ``v_init``, each a number or a table of one for each cell."""
    request = kind.request
    assert request is not None
    mechanism, rows = request.made, slice(request.varied_at, request.varied_at + population.size)

    def table(name: str, column: npt.NDArray[np.float64]) -> float | str:
        return tables.number(f"{population.id}.{name}", np.ascontiguousarray(column[rows], dtype=float))

    found: dict[str, Any] = {"parameters": {n: table(n, column) for n, column in mechanism.parameters.items()}}
    if kind.kind is Kind.POINT:
        if mechanism.capacitance is not None:
            found["cm"] = table("cm", mechanism.capacitance * 1e-3 / (POINT_AREA_UM2 * 1e-8))
        if mechanism.v_init is not None:
            found["v_init"] = table("v_init", mechanism.v_init)
    return found


def check_alike(population: Population) -> None:
    """Raises UnsupportedError for cells with sections whose parameters are to differ."""
    if not population.values:
        return
    raise UnsupportedError(f"population '{population.id}': cells with sections do not differ in parameters; "
                           "make several kinds of cells")  # fmt: skip
