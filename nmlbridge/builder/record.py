"""What to record, as the Simulation of a LEMS document."""

from __future__ import annotations

from ..element import Element
from ..graph import Network
from .context import Context
from .segments import CellParts
from .select import Selections
from .space import Cells


def simulation_element(context: Context, network: Network, cells: Cells, select: Selections, parts: CellParts
                       ) -> Element | None:  # fmt: skip
    """The Simulation: tables of what ``record`` names, and a file of all spikes. None without ``run``."""
    model = context.spec.model
    if model.run is None:
        return None
    source = context.spec.source
    line = source.line(("run",)) or 0
    simulation = Element("Simulation", {
        "id": "simulation", "target": str(network.id), "seed": str(context.seed),
        "length": f"{context.number(model.run.duration, 'ms', 'run', 'duration')!r}ms",
        "step": f"{context.number(model.run.dt, 'ms', 'run', 'dt')!r}ms",
    }, file=source.file or "", line=line)  # fmt: skip
    for name, record in model.record.items():
        path = ("record", name)
        rows = select(record.cells, *path, "cells")
        output = Element("OutputFile", {"id": name, "fileName": f"{model.name}.{name}.dat"}, file=source.file or "",
                         line=source.line(path) or 0)  # fmt: skip
        for row in rows:
            number = int(cells.population_of(row))
            population, index = cells.names[number], int(row - cells.offsets[number])
            where = f"{population}[{index}]"
            if record.at is not None:
                chosen = parts.select(population, record.at, (*path, "at"))
                if len(chosen) != 1:
                    raise context.error(f"'{record.at}' selects {len(chosen)} segments; one is recorded", *path, "at")
                shape = parts.morphology(population)
                assert shape is not None
                where = f"{population}/{index}/{parts.cells[population]}/{shape.ids[chosen[0]]}"
            output.children.append(Element("OutputColumn", {"id": f"{population}_{index}",
                                                            "quantity": f"{where}/{record.variable}"},
                                           file=source.file or "", line=source.line(path) or 0))  # fmt: skip
        simulation.children.append(output)
    events = Element("EventOutputFile", {"id": "spikes", "fileName": f"{model.name}.spikes", "format": "TIME_ID"},
                     file=source.file or "", line=line)  # fmt: skip
    for population in network.populations.values():
        events.children += [
            Element("EventSelection", {"id": str(population.offset + index), "select": f"{population.id}[{index}]",
                                       "eventPort": "spike"}, file=source.file or "", line=line)
            for index in range(population.size)
        ]  # fmt: skip
    simulation.children.append(events)
    return simulation
