"""What to record and how to run, as the settings of a Simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UsageError
from ..graph import Network
from ..results.electrodes import Electrodes
from ..results.outputs import EventOutputFile, OutputFile, Outputs, Place
from ..results.simulation import Simulation
from ..units import nearest
from .context import Context, Path_
from .segments import CellParts
from .select import Selections
from .space import Cells
from .vocabulary import Record


def settings(context: Context, network: Network, cells: Cells, select: Selections, parts: CellParts
             ) -> Simulation | None:  # fmt: skip
    """How to run: a table for each entry of ``record``, and a file of all spikes. None without ``run``."""
    model, source = context.spec.model, context.spec.source
    tables = []
    for name, record in model.record.items():
        path = ("record", name)
        columns = []
        place = Place(source.file, source.line(path), f"record.{name}")
        if record.weights is not None:
            weights = _weights(context, network, name, record)
            tables.append(OutputFile(name, f"{model.name}.{name}.dat", weights, place, named=True))
            continue
        variable = _variable(context, record.variable, (*path, "variable"))
        if record.place is not None:
            where = ",".join(repr(float(number)) for number in record.place)
            if not variable.startswith("rxd/"):
                raise context.error("outside of cells there are species only, such as k[ecs]", *path, "variable")
            columns.append((name, f"{variable}/{where}"))
            tables.append(OutputFile(name, f"{model.name}.{name}.dat", tuple(columns), place, named=True))
            continue
        assert record.cells is not None
        for row in select(record.cells, *path, "cells"):
            number = int(cells.population_of(row))
            population, index = cells.names[number], int(row - cells.offsets[number])
            where = f"{population}[{index}]"
            if record.at is not None:
                chosen = parts.select(population, record.at, (*path, "at"))
                if len(chosen) != 1:
                    raise context.error(f"'{record.at}' selects {len(chosen)} segments; one can be recorded; [0] "
                                        "behind it takes the first", *path, "at")  # fmt: skip
                shape = parts.morphology(population)
                assert shape is not None
                native = parts.shapes.get(parts.cells[population])
                if native is not None:
                    section, x = native.place(chosen, np.full(1, 0.5))
                    where = f"{population}[{index}]/{native.names[section[0]]}({float(x[0])!r})"
                else:
                    where = f"{population}/{index}/{parts.cells[population]}/{shape.ids[chosen[0]]}"
            columns.append((f"{population}_{index}", f"{where}/{variable}"))
        tables.append(OutputFile(name, f"{model.name}.{name}.dat", tuple(columns), place, named=True))
    run = model.run
    if run is None:
        return None
    spikes = tuple(
        (str(population.offset + index), f"{population.id}[{index}]", "spike")
        for population in network.populations.values() for index in range(population.size)
    )  # fmt: skip
    place = Place(source.file, source.line(("run",)), "run")
    numbers = {word: context.number(getattr(run, word), "ms", "run", word) for word in ("duration", "dt")}
    for word, value in numbers.items():
        if not value > 0:
            raise context.error(f"it is {value:g} ms; it must be more than zero", "run", word)
    if numbers["dt"] > numbers["duration"]:
        raise context.error(f"a step of {numbers['dt']:g} ms is longer than the run", "run", "dt")
    events = (EventOutputFile("spikes", f"{model.name}.spikes", "TIME_ID", spikes, place),) if spikes else ()
    seen = _electrodes(context, network, cells, select)
    outputs = Outputs(tuple(tables), events)
    return Simulation(numbers["duration"], numbers["dt"], context.seed, outputs=outputs, electrodes=seen)


def _electrodes(context: Context, network: Network, cells: Cells, select: Selections) -> Electrodes | None:
    """What the part ``electrodes`` asks for."""
    said = context.spec.model.electrodes
    if said is None:
        return None
    plain: dict[str, Any] = said.model_dump(exclude={"radius", "cells"})
    radius = None if said.radius is None else context.number(said.radius, "um", "electrodes", "radius")
    chosen = []
    if said.cells is not None:
        for row in select(said.cells, "electrodes", "cells"):
            number = int(cells.population_of(row))
            chosen.append(f"{cells.names[number]}[{int(row - cells.offsets[number])}]")
    try:
        return Electrodes(**plain, radius=radius, cells=tuple(chosen))
    except UsageError as error:
        raise context.error(str(error), "electrodes") from None


def _weights(context: Context, network: Network, name: str, record: Record) -> tuple[tuple[str, str], ...]:
    """Labels and quantities of weights of a rule; NetworkError if it is none, or not plastic."""
    connections = context.spec.model.connections
    plastic = [label for label, rule in connections.items() if rule.plasticity is not None]
    if record.weights not in plastic:
        hint = nearest(str(record.weights), plastic) or f"; there are {', '.join(plastic) or 'none'}"
        raise context.error(f"'{record.weights}' is no rule with a plasticity{hint}", "record", name, "weights")
    found = []
    for projection in network.projections:
        if projection.rule == record.weights:
            found += [(f"{projection.id}_{row}", f"weights/{projection.id}[{row}]") for row in range(len(projection))]
    if record.number is not None and record.number < len(found):
        found = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, record.number).round().astype(int))]
    return tuple(found)


def _variable(context: Context, name: str, path: Path_) -> str:
    """A variable as a path has it; a species stands as ca[er], or as ca if it is in one region only."""
    species, bracket, region = name.partition("[")
    said = context.spec.model.rxd
    kinds = () if said is None else (said.species, said.states, said.parameters)
    item: Any = next((kind[species] for kind in kinds if species in kind), None)
    if item is None:
        return name
    regions = [item.regions] if isinstance(item.regions, str) else item.regions
    region = region.rstrip("]") if bracket else regions[0]
    if region not in regions or (not bracket and len(regions) > 1):
        raise context.error(f"'{name}' names no region of '{species}'; it is in {', '.join(regions)}: write "
                            f"{species}[{regions[0]}]", *path)  # fmt: skip
    return f"rxd/{species}/{region}"
