"""LEMS components with other parameters: one for each set that rows of a population or input list have of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...element import Element, Ids
from ...graph import InputList, Network, Population
from ...graph.projection import DEFAULT
from ...lems import Library, load_core
from .elements import quantity, quantity_like, si_unit
from .kinds import combinations

Ints = npt.NDArray[np.int64]


def variants(
    owner: Population | InputList, components: Sequence[Element], library: Library, ids: Ids
) -> list[tuple[Element, Ints]]:
    """(component, rows) for each set of parameters by the ``values`` of LEMS cells or inputs."""
    old = next(element for element in components if element.get("id") == owner.component)
    kind = library.type(old.get("type") or old.tag)
    units = {name: si_unit(library, kind.parameters[name].dimension) for name in owner.values}
    made = []
    for values, rows in combinations({}, owner.values, len(next(iter(owner.values.values())))):
        texts = {name: quantity_like(value, old.attributes.get(name, "0"), library) or quantity(value, units[name])
                 for name, value in values.items()}  # fmt: skip
        attributes = {**old.attributes, **texts, "id": ids.fresh(owner.component)}
        made.append((Element(old.tag, attributes, old.children, old.text, old.file, old.line), rows))
    return made


def inputs_apart(network: Network) -> Network:
    """The same network with components of their own, and lists, for LEMS inputs that differ within a list."""
    apart = [inputs for inputs in network.inputs if inputs.values and inputs.component not in network.native]
    if not apart:
        return network
    taken = [e.get("id") or e.get("name") or "" for e in network.components]
    ids = Ids([*taken, *network.native, *network.populations, *(p.id for p in network.projections),
               *(i.id for i in network.inputs), str(network.id)])  # fmt: skip
    library = load_core().extended(network.components)
    standing = {inputs.component for inputs in apart} - _named(network)
    components = [e for e in network.components if e.get("id") not in standing]
    lists: list[InputList] = []
    for inputs in network.inputs:
        if not any(inputs is each for each in apart):
            lists.append(inputs)
            continue
        for number, (component, rows) in enumerate(variants(inputs, network.components, library, ids)):
            components.append(component)
            columns: dict[str, Any] = {name: None if column is None else column[rows]
                                       for name, column in inputs.columns().items() if name != "ids"}  # fmt: skip
            lists.append(replace(inputs, id=ids.fresh(inputs.id) if number else inputs.id, values={}, ids=DEFAULT,
                                 component=component.attributes["id"], **columns))  # fmt: skip
    return replace(network, components=components, inputs=lists)


def _named(network: Network) -> set[str]:
    """Ids of components that something else than lists of inputs that differ refers to."""
    named = {text for top in network.components for e in top.iter() for key, text in e.attributes.items()
             if key != "id"}  # fmt: skip
    return named | {inputs.component for inputs in network.inputs if not inputs.values}
