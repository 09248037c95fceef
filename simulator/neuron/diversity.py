"""What the cells of one population and the inputs of one list differ in; the one compartment of abstract cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import NetworkError, UnsupportedError
from ...graph import InputList, Population
from ...lems import Component
from ...lems.evaluate import evaluate
from ...lems.expression import names
from ...lems.flat import FlatComponent
from ...nmodl.mechanism import POINT_AREA_UM2
from ...units import nearest
from .population import CellKind, Kind
from .tables import Tables


def each_of(
    owner: Population | InputList, component: Component, flat: FlatComponent,
    flatten: Callable[[Component], FlatComponent],
) -> list[FlatComponent]:  # fmt: skip
    """The component as it is for each row, by the ``values`` of a population or input list. Raises NetworkError for
    names that it has not."""
    for name in owner.values:
        if name not in component.parameters:
            raise NetworkError(f"a {component.type.name} has no parameter '{name}'"
                               f"{nearest(name, component.parameters)}", **owner.place())  # fmt: skip
    count = len(next(iter(owner.values.values())))
    columns = _reckoned(owner.values, component, flat)
    plain = flat.parameters

    def made(row: int) -> FlatComponent:
        own = {name: replace(plain[name], value=float(column[row])) for name, column in columns.items()}
        return replace(flat, parameters={**plain, **own})

    stated = dict(component.parameters)

    def flattened(row: int) -> FlatComponent:
        component.parameters.update({name: float(column[row]) for name, column in owner.values.items()})
        return flatten(component)

    if not count or all(parameter.kind != "derived" for parameter in plain.values()):
        return [made(row) for row in range(count)]
    try:  # derived parameters of children, and those that search the model, are not reckoned here
        if all(made(row).parameters == flattened(row).parameters for row in {0, count // 2, count - 1}):
            return [made(row) for row in range(count)]
        return [flattened(row) for row in range(count)]
    finally:
        component.parameters.update(stated)


def _reckoned(
    values: Mapping[str, npt.NDArray[np.float64]], component: Component, flat: FlatComponent
) -> dict[str, npt.NDArray[np.float64]]:
    """Flat names and columns of the values, and of the component's own DerivedParameters that depend on them."""
    flat_names = {parameter.path: name for name, parameter in flat.parameters.items() if "/" not in parameter.path}
    env: dict[str, Any] = {path: flat.parameters[name].value for path, name in flat_names.items()} | dict(values)
    moved, found = set(values), {flat_names[name]: column for name, column in values.items() if name in flat_names}
    derived = {name: member.value for name, member in component.type.derived_parameters.items()
               if name in flat_names and member.value is not None}  # fmt: skip
    for _ in derived:
        for name, formula in derived.items():
            needed = names(formula)
            if needed & moved and needed <= env.keys():
                moved.add(name)
                with np.errstate(all="ignore"):
                    env[name] = np.broadcast_to(evaluate(formula, env), len(next(iter(values.values()))))
                found[flat_names[name]] = env[name]
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
    mechanism = request.made

    def table(name: str, column: npt.NDArray[np.float64]) -> float | str:
        return tables.number(f"{population.id}.{name}", np.ascontiguousarray(column[request.own], dtype=float))

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
        raise UnsupportedError(f"population '{population.id}': values are of cells without sections; those with "
                               "sections that differ are individuals")  # fmt: skip


def _density(capacitance: Any) -> Any:
    """The cm in uF/cm2 with which a section of known area has exactly a cell's capacitance in nF."""
    return capacitance * 1e-3 / (POINT_AREA_UM2 * 1e-8)
