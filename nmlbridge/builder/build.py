"""Building: a specification in, a Network out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph import Network, Population
from ..graph.native import mechanisms_of
from ..graph.population import Individual
from ..registry import resolve_name
from ..report import Report
from ..results.simulation import Simulation, elements_of
from ..units import nearest
from .components import Components
from .connect import SILENT, Rule
from .context import RESERVED, Context
from .diversity import divided, with_model
from .fields import imposed
from .individuals import individuals
from .reactions import chemistry
from .record import settings
from .segments import CellParts
from .select import Selections
from .space import Cells, Space
from .specification import Specification
from .stimuli import Stimuli
from .trains import Given, played
from .varied import Rows, varied
from .vocabulary import PointElectrode, UniformField

Floats = npt.NDArray[np.float64]
KELVIN = 273.15


@dataclass(frozen=True, eq=False)
class Built:
    """A built network, and how its specification says to run it (None without ``run``)."""

    network: Network
    simulation: Simulation | None
    specification: Specification
    allow: frozenset[str] = frozenset()

    def session(self, ranks: int = 1, vary: Mapping[str, Any] | None = None) -> Any:
        """A ``Session`` of the network, whose ``change`` takes other values of the rules by name.

        ``vary`` names values that will change in LEMS components (currents, rates, channels), each with another value
        than it has; weights, delays, and parameters of NEURON's own mechanisms always can.
        Raises NetworkError if the specification does not say how to run.
        """
        if self.simulation is None:
            raise self.specification.error("there is no 'run', so it is not said how long")
        spec = self.specification

        def rebuild(changes: Mapping[str, Any]) -> Network:
            return build(spec.changed(changes), allow=self.allow).network

        make = resolve_name("nmlbridge.simulator.session:Session")
        variants = [rebuild({name: value}) for name, value in (vary or {}).items()]
        return make(self.network, self.simulation, ranks=ranks, rebuild=rebuild, variants=variants)


def build(
    specification: Specification | Mapping[str, Any] | str | Path,
    *,
    seed: int | None = None,
    posts: Callable[[str, int], npt.NDArray[np.bool_]] | None = None,
    report: Report | None = None,
    allow: Collection[str] = (),
    **changes: Any,
) -> Built:
    """Build the network of a specification: a Specification, plain values, or the path of a YAML or JSON file.

    ``seed`` replaces that of the run. ``posts(population, size)`` chooses the cells whose connections are made, as
    truth values: ranks that divide the cells among them make together exactly what one process makes. ``allow`` names
    what may come with a model: "mods" are compiled when it runs, "code" of templates is run. ``changes`` are other
    values by name (``Specification.changed``). Raises NetworkError and other ModelErrors with the place.
    """
    if isinstance(specification, (str, Path)):
        specification = Specification.read(specification)
    elif not isinstance(specification, Specification):
        specification = Specification.of(specification)
    if changes:
        specification = specification.changed(changes)
    report = report if report is not None else Report()
    context = Context.of(specification, seed)
    model = specification.model
    _names_differ(context)
    components = Components(context, report, allow)
    model, trains = played(context, components)
    context = with_model(context, model)
    if model.name in components.by_id:
        raise context.error(f"a component is called '{model.name}' too; rename one", "name")
    components.check_channels()
    components.check_synapses()
    for name, population in model.populations.items():
        kinds = [population.cell] if isinstance(population.cell, str) else population.cell or ()
        for kind in kinds:
            if kind not in components.cells and kind not in components.by_id:
                known = list(components.cells)
                hint = nearest(kind, known) or f"; there are {', '.join(known) or 'none'}"
                raise context.error(f"there is no cell '{kind}'{hint}", "populations", name, "cell")
            components.cells.setdefault(kind, kind)
    for name, rule in model.connections.items():
        if rule.kind == "continuous" and rule.from_synapse is None and SILENT not in components.by_id:
            components.made(SILENT, "silentSynapse", {}, ("connections", name))
    space = Space(context)
    placed = {name: space.place(name, population) for name, population in model.populations.items()}
    model, placed = divided(context, placed)
    context = space.context = with_model(context, model)
    cells = Cells.of(placed)
    select = Selections(context, space, cells)
    of_population = {name: components.cells[str(population.cell)] for name, population in model.populations.items()}
    own = {name: Rows(context, space, name, cells) for name in placed}
    vary = {name: varied(rows, components) for name, rows in own.items()}
    different = {name: found for name, rows in own.items() if (found := individuals(rows, components)) is not None}
    of_population |= {name: component for name, (component, _) in different.items()}
    parts = CellParts(context, components.by_id, of_population, components.native, components.shapes)
    mine = None
    if posts is not None:
        mine = np.concatenate([np.asarray(posts(name, len(where)), bool) for name, where in placed.items()])
    projections = [
        projection for name in model.connections
        for projection in Rule(context, space, cells, select, name, mine).projections(parts)
    ]  # fmt: skip
    inputs = [
        inputs for name, item in model.stimuli.items() if not isinstance(item, (UniformField, PointElectrode))
        for inputs in Stimuli(context, space, cells, select, components, parts, name).lists()
    ]  # fmt: skip
    fields = [
        field for name, item in model.stimuli.items() if isinstance(item, (UniformField, PointElectrode))
        for field in imposed(context, cells, select, name)
    ]  # fmt: skip
    source = specification.source
    mechanisms = mechanisms_of(*components.native.values())
    network = Network(
        model.name,
        {name: _population(context, name, of_population[name], where, trains.get(name), vary[name],
                           different[name][1] if name in different else None)
         for name, where in placed.items()},
        projections, inputs, temperature=_temperature(context, components), components=components.elements,
        native=components.native, mods=components.mods.taken(mechanisms, allow), fields=fields,
        chemistry=chemistry(context, cells, select, parts), file=source.file, line=1 if source.file else None,
    )  # fmt: skip
    run = settings(context, network, cells, select, parts)
    if run is not None:  # what the network is written to says how to run it, too
        network.settings, network.simulation = run, elements_of(run, str(network.id))
    return Built(network, run, specification, frozenset(allow))


def _population(
    context: Context, name: str, component: str, where: Floats, given: Given | None, values: dict[str, Floats],
    different: Sequence[Individual] | None,
) -> Population:  # fmt: skip
    source = context.spec.source
    tags = context.spec.model.populations[name].tags
    return Population(
        name, component, np.arange(len(where)), where, type="populationList",
        properties={tag: str(value) for tag, value in tags.items()},
        train_rows=None if given is None else given.rows, train_times=None if given is None else given.times,
        values=values, individuals=different, file=source.file, line=source.line(("populations", name)),
    )  # fmt: skip


def _temperature(context: Context, components: Components) -> float | None:
    """K: as the run says, else as the code of templates has set it."""
    run = context.spec.model.run
    if run is not None and run.temperature is not None:
        return context.number(run.temperature, "degC", "run", "temperature") + KELVIN
    stated = set(components.celsius.values())
    if len(stated) > 1:
        said = ", ".join(f"{name} {value:g}" for name, value in components.celsius.items())
        raise context.error(f"the templates set different temperatures (degC: {said}); run: {{temperature: ...}} says "
                            "which one holds", "run")  # fmt: skip
    return stated.pop() + KELVIN if stated else None


def _names_differ(context: Context) -> None:
    """One name, one meaning, wherever selections and formulas may use it."""
    model = context.spec.model
    seen: dict[str, str] = {}
    for kind in ("parameters", "regions", "populations"):
        for name in getattr(model, kind):
            if name in RESERVED:
                raise context.error(f"'{name}' is a name of geometry; choose another", kind, name)
            if name in seen:
                raise context.error(f"'{name}' is already one of the {seen[name]}; rename one", kind, name)
            seen[name] = kind


def read(path: str | Path, report: Report | None = None, allow: Collection[str] = ()) -> Network:
    """The network of a specification file; with how it is run, if the file says so. ``allow`` as in ``build``."""
    return build(path, report=report, allow=allow).network


def read_simulation(
    path: Path, report: Report, allow: frozenset[str], changes: Mapping[str, Any] | None = None
) -> tuple[Network, Simulation]:
    """The network of a specification file and how to run it. Raises NetworkError if the file does not say how."""
    built = build(path, report=report, allow=allow, **(changes or {}))
    if built.simulation is None:
        raise built.specification.error("there is no 'run', so it is not said how long; add one, such as "
                                        "run: {duration: 500 ms}")  # fmt: skip
    return built.network, built.simulation
