"""What surrounds a component in a network, as far as every backend needs it."""

from __future__ import annotations

from dataclasses import replace

from ..lems.flat import FlatComponent, Parameter
from ..units import Dimension

TEMPERATURE = Dimension(k=1)


def with_temperature(flat: FlatComponent, kelvin: float) -> FlatComponent:
    """The component with its Requirement ``temperature`` fulfilled by a constant."""
    if "temperature" not in flat.externals:
        return flat
    externals = {name: item for name, item in flat.externals.items() if name != "temperature"}
    parameters = {**flat.parameters, "temperature": Parameter(kelvin, TEMPERATURE, "temperature", "constant")}
    return replace(flat, externals=externals, parameters=parameters)
