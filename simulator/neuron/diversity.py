"""Abstract cells in a Program: their one compartment, and what cells of one population differ in."""

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
from ...nmodl.mechanism import POINT_AREA_UM2
from ...units import nearest
from .population import CellKind, Kind
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


def one_compartment(kind: CellKind, tables: Tables, threshold: float | None) -> dict[str, Any]:
    """The Program's template of an abstract cell; ``threshold`` (mV) if it is by its voltage that it sends events."""
    request = kind.request
    assert request is not None
    mechanism, key = request.made, f"cell{kind.number}"
    capacitance = 1.0 if mechanism.capacitance is None else float(mechanism.capacitance[request.member])
    v_init = -65.0 if mechanism.v_init is None else float(mechanism.v_init[request.member])
    point = {"mechanism": mechanism.name, "section": 0, "x": 0.5, "parameters": request.parameters()}
    source: dict[str, Any] | None = {"kind": "point", "point": 0} if mechanism.emits else None
    if threshold is not None:
        source = {"kind": "voltage", "section": 0, "x": 0.5, "threshold": threshold}
    section = {"name": "point", "nseg": 1, "parent": -1, "parent_x": 1.0, "Ra": 35.4, "L": 10.0, "diam": 10.0}
    return {
        "id": kind.component, "inserts": [], "ions": [], "points": [point], "sections": [section],
        "cm": tables.add(f"{key}.cm", [_density(capacitance)]), "v_init": tables.add(f"{key}.v", [v_init]),
        "source": source,
    }  # fmt: skip


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
            found["cm"] = table("cm", _density(mechanism.capacitance))
        if mechanism.v_init is not None:
            found["v_init"] = table("v_init", mechanism.v_init)
    return found


def check_alike(population: Population) -> None:
    """Raises UnsupportedError for cells with sections whose parameters are to differ."""
    if population.values:
        raise UnsupportedError(f"population '{population.id}': cells with sections do not differ in parameters; "
                               "make several kinds of cells")  # fmt: skip


def _density(capacitance: Any) -> Any:
    """The cm in uF/cm2 with which a section of known area has exactly a cell's capacitance in nF."""
    return capacitance * 1e-3 / (POINT_AREA_UM2 * 1e-8)
