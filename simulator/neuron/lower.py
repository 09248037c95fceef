"""From a network to a Program: which mechanisms, which sections, which tables. A pure function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError, NetworkError, UnsupportedError
from ...graph import InputList, NativeCell, Network, Population, Projection
from ...lems import Component, Library, Model, flatten
from ...lems.flat import FlatComponent
from ...nmodl.compile import Dump
from ...nmodl.mechanism import Role
from ...nmodl.mod import Mod
from ...pile import made, picked, shifted
from ...report import Report
from ...results.outputs import Outputs, Place
from ..environment import with_temperature
from ..program import Program
from ..quantities import split_path
from .accumulate import jump, jumping, summed, with_sum
from .attachments import Attachment, Floats, Ints, Rows, emit, stream_of, streams
from .catalogue import Catalogue, Request
from .cells import Placement, lower_cell
from .clamps import rings
from .compat import draws, first_reversal, layout_of, single, threshold_of
from .diversity import check_alike, each_of, one_compartment, own_numbers
from .individuals import Equations, Flat, Individuals, cell_outline, ion_entry, varied_along
from .native import Natives
from .native_recordings import resolve_native
from .outside import outside, own_mods, species_of
from .plasticity import may_be_plastic, weight_of
from .population import CellKind, Kind, Placed
from .recordings import Recording, asked_for, resolve, selected
from .roles import (
    DEFAULT_CELSIUS,
    SUMMED,
    cell_role,
    charge,
    component_draws,
    density_role,
    ion_name,
    moving_paths,
    per_area,
    per_segment,
    point_role,
    pool_role,
)
from .senders import Senders, straight_in
from .settings import Settings
from .tables import Tables
from .trains import spike_times
from .tunnels import End, join, pairs
from .variable import tolerances

KELVIN = 273.15


@dataclass(frozen=True)
class Lowered:
    """The Program, what its columns are, the gid behind each event selection, what was compiled from equations."""

    program: Program
    recordings: tuple[Recording, ...]
    gids: dict[str, int]
    populations: dict[str, tuple[int, int]]
    mechanisms: dict[str, Mod] = field(default_factory=dict)


def lower(
    network: Network, model: Model, library: Library, settings: Settings, outputs: Outputs, report: Report,
    dump: Dump | None = None, variants: Sequence[tuple[Network, Model, Library]] = ()) -> Lowered:  # fmt: skip
    """Turn a network into a Program for NEURON. Raises ModelError or UnsupportedError before anything is generated.

    Parameters that differ in ``variants`` are no constants of mechanisms, so that they can be changed later.
    """
    lowering = _Lowering(network, model, library, settings, outputs, report, dump)
    lowering.apart = {inputs.id for one in (network, *(other for other, _, _ in variants)) for inputs in one.inputs
                      if inputs.values}  # fmt: skip
    for other, its_model, its_library in variants:
        one = _Lowering(other, its_model, its_library, settings, outputs, report, None)
        one.apart = lowering.apart
        one.gather()
        lowering.catalogue.variants.append({key: [each.flat, *each.varied]
                                            for key, each in one.catalogue.requests.items()})  # fmt: skip
    return lowering.run()


class _Lowering:
    def __init__(
        self, network: Network, model: Model, library: Library, settings: Settings, outputs: Outputs, report: Report,
        dump: Dump | None,
    ) -> None:  # fmt: skip
        self.network, self.model, self.library = network, model, library
        self.settings, self.outputs, self.report = settings, outputs, report
        self.catalogue = Catalogue(report, dump)
        self.tables = Tables()
        self.kinds: dict[str, CellKind] = {}
        self.by_component: dict[str, CellKind] = {}
        self.attachments: dict[str, Attachment] = {}
        self.natives = Natives(network, self.tables, settings.seed, settings.v_init)
        self.apart: set[str] = set()
        """lists of inputs that differ, or come to differ: they share their rows with no other list"""
        self.reversals: dict[str, float] = {}
        self.senders = Senders(sum(p.size for p in network.populations.values()))
        self.kelvin = network.temperature if network.temperature is not None else KELVIN + DEFAULT_CELSIUS

    def gather(self) -> list[Recording | None]:
        """Ask for the mechanisms of everything, and for what is recorded."""
        for population in self.network.populations.values():
            self.kinds[population.id] = self.kind_of(population)
        for projection in self.network.projections:
            self.projection(projection)
        for inputs in self.network.inputs:
            self.inputs(inputs)
        return [self.recording(q, where, saved) for q, where, saved in asked_for(self.outputs)]

    def run(self) -> Lowered:
        recordings = [recording for recording in self.gather() if recording is not None]
        gids = {path: self.gid_of(path, where) for path, where in selected(self.outputs)}
        self.second_order = self.scheme()
        self.catalogue.stagger = None if self.settings.cvode else self.second_order / 4
        self.catalogue.compile()
        self.place_densities()
        spec = self.spec(recordings, gids)
        populations = {p.id: (p.offset, p.size) for p in self.network.populations.values()}
        mods = self.catalogue.mods | self.network.mods | own_mods(self.network, self.settings)
        program = Program(spec, self.tables.arrays, mods)
        return Lowered(program, tuple(recordings), gids, populations, self.catalogue.values)

    # cells ---------------------------------------------------------------------------------------------------------

    def flat(self, component: Component) -> FlatComponent:
        flat = flatten(component, self.library)
        if "temperature" in flat.externals and self.network.temperature is None:
            self.report.add(
                "no-temperature", "approximation",
                f"the network states no temperature; NEURON's {DEFAULT_CELSIUS} degC is used",
                file=component.file, line=component.line, component=component.id,
            )  # fmt: skip
        return with_temperature(flat, self.kelvin)

    def quietly(self, component: Component) -> FlatComponent:
        """The same for one of many cells, of which the first was told of."""
        return with_temperature(flatten(component, self.library), self.kelvin)

    def asked(
        self, key: tuple[object, ...], component: Component, make: Callable[[], tuple[FlatComponent, Role]]
    ) -> Request:
        """The catalogue's request for a component, in the scheme of this run."""
        request = self.catalogue.ask(key, make)
        if self.settings.compat and not draws(request.flat):
            request.layout = layout_of(component, request.flat, request.role)
        return request

    def kind_of(self, population: Population) -> CellKind:
        key = population.component
        own = population.values or population.individuals is not None
        if own and not self.natives.has(key):  # cells that differ are a kind of their own
            key = f"{key} of {population.id}"
        if key in self.by_component:
            return self.by_component[key]
        if self.natives.has(population.component):
            kind = self.by_component[key] = self.natives.kind(population)
            return kind
        component = self.component(population.component, population)
        if component.is_a("cell"):
            check_alike(population)
            kind = self.cell(component, population if own else None)
        else:
            kind = self.abstract(component, population if population.values else None)
        self.by_component[key] = kind
        return kind

    def component(self, id: str, owner: Population | Projection | InputList) -> Component:
        """A component that a part of the network names. Raises NetworkError with the part's place."""
        if self.model.lookup(id) is None:
            try:
                self.model.component(id)
            except ModelError as error:
                raise NetworkError(error.message, **owner.place()) from None
        return self.model.component(id)

    def abstract(self, component: Component, varied: Population | None) -> CellKind:
        flat = self.flat(component)
        role = cell_role(flat, self.watched(component.id))
        if self.settings.compat:
            role = replace(role, gathers=False)
        stepped = self.settings.compat and not draws(flat)
        if role.kind == "source" and (stepped or self.watched(component.id) & moving_paths(flat)):
            role = Role("cell")  # an artificial cell stands still between its events
        times = spike_times(flat) if role.kind == "source" else None
        if times is not None and varied is None and not self.watched(component.id):
            return CellKind(Kind.SOURCE, component.id, train=np.array(times) * 1e3)
        total = summed(flat) if role.kind == "cell" and not self.settings.compat else None
        made = flat
        if total is not None:
            made, role = with_sum(flat, total), replace(role, gathers=False)
        name = component.id if varied is None else f"{component.id} of {varied.id}"
        request = self.asked(("cell", name), component, lambda: (made, role))
        if varied is not None:
            each = each_of(varied, component, flat, self.flat)
            request.varied = each if total is None else [with_sum(one, total) for one in each]
        return CellKind(Kind.POINT if role.kind == "cell" else Kind.SOURCE, component.id, request)

    def watched(self, component: str) -> set[str]:
        """The LEMS paths that are recorded of an abstract cell."""
        found = set()
        for quantity, _, _ in asked_for(self.outputs):
            try:
                path = split_path(quantity, self.network)
            except ModelError:
                continue  # said when the recording is looked up
            if self.network.populations[path.population].component == component:
                found.add("/".join(path.rest))
        return found

    def cell(self, component: Component, population: Population | None) -> CellKind:
        """The kind of a cell with sections; that of one population, if its cells differ."""
        name = component.id if population is None else f"{component.id} of {population.id}"
        template = lower_cell(component, self.model, self.library.units, self.report)
        kind = CellKind(Kind.CELL, component.id, template=template)
        for species in template.species:
            ion = ion_name(species.ion)
            if ion is not None:
                kind.pools.add(ion)
                required = self.flat(species.component(self.model)).externals
                kind.currents |= {source for name, source in SUMMED.items() if name in required}
        for number, placement in enumerate(template.densities):
            kind.densities.append(self.density(name, kind, placement, number))
        for number, species in enumerate(template.species):
            self.pool(component, name, kind, species, number)
        if population is not None:
            kind.own = Individuals(population, kind, self.model, self.library, self.quietly, self.equations,
                                   self.rounded)  # fmt: skip
        return kind

    def equations(self, placement: Placement, model: Model, flat: Flat) -> Equations:
        """What a density or a species of a cell is, and what is set in each compartment."""
        part = placement.component(model)
        found = flat(part)
        if self.settings.compat:
            found = first_reversal(found, part, model, self.reversals, self.report)
        if placement.area is not None:
            found = per_area(found, placement.area)
        whole, varied, values = found, None, placement.values
        if values is not None or not bool(np.all(placement.coverage == 1.0)):
            varied = next((n for n in ("condDensity", "permeability", "number") if n in found.parameters), None)
            if varied is None:
                raise UnsupportedError(
                    f"'{part.id}' ({part.type.name}) covers only a part of a section, or varies along the cell, but "
                    "has neither condDensity nor permeability to scale"
                )
            found = per_segment(found, varied)
            values = placement.coverage * (whole.parameters[varied].value if values is None else values)
        return Equations(part, found, varied, values)

    def density(self, cell: str, kind: CellKind, placement: Placement, number: int) -> Placed:
        made = self.equations(placement, self.model, self.flat)
        ion = ion_name(placement.ion)
        key = ("density", cell, number)
        request = self.asked(key, made.part, lambda: (made.flat, density_role(made.flat, ion, kind.pools,
                                                                              kind.currents)))  # fmt: skip
        return Placed(made.part.id, request, placement.sections, made.values, made.varied, ion=ion)

    def pool(self, cell: Component, name: str, kind: CellKind, species: Placement, number: int) -> None:
        part = species.component(self.model)
        ion = ion_name(species.ion)
        if ion is None:
            self.report.add(
                "no-ion", "loss",
                f"the species '{part.id}' of '{cell.id}' names no ion: nothing reads its concentration, which is not "
                "computed", file=part.file, line=part.line, component=part.id,
            )  # fmt: skip
            return
        flat = self.flat(part)
        key = ("pool", name, number)
        request = self.asked(key, part, lambda: (flat, pool_role(flat, ion, kind.pools, kind.currents)))
        kind.pool_models.append(Placed(part.id, request, species.sections))
        kind.ions.append(ion_entry(species, ion))

    # connections and inputs ----------------------------------------------------------------------------------------

    def attachment(
        self, key: str, component_id: str, target: CellKind, electrode: bool, owner: Projection | InputList
    ) -> Attachment:
        """Rows of one component go together, whatever projection or list they come from."""
        pools = frozenset(target.pools)
        gathered = target.request is not None and target.request.role.gathers
        full = f"{key}:{component_id}:{'+'.join(sorted(pools))}{':gathered' if gathered else ''}"
        if full not in self.attachments:
            component = self.component(component_id, owner)

            def make() -> tuple[FlatComponent, Role]:
                flat = self.flat(component)
                spiky = bool(flat.events and any(e.actions for e in flat.events)) or component.is_a("baseSynapse")
                plain = electrode and not spiky and not component_draws(flat)
                return flat, point_role(flat, set(pools), plain, gathered)

            request = self.asked((full,), component, make)
            self.attachments[full] = Attachment(full, component_id, request)
        return self.attachments[full]

    def places(
        self, population: Population, rows: Ints, segments: Ints, fractions: Floats
    ) -> tuple[Ints, Ints, Floats]:
        """(gid, section, x) of places on cells of a population."""
        return shifted(rows, population.offset), *self.kinds[population.id].places(segments, fractions)

    def projection(self, projection: Projection) -> None:
        pre = self.network.populations[projection.presynaptic]
        post = self.network.populations[projection.postsynaptic]
        count = len(projection.pre)
        weight = projection.weight if projection.weight is not None else np.broadcast_to(1.0, count)
        delay = projection.delay if projection.delay is not None else np.broadcast_to(0.0, count)
        may_be_plastic(projection, self.network, self.adds_up(post))
        if projection.kind == "chemical":
            for number, synapse in enumerate(projection.synapses):
                chosen = projection.through(number)
                if not (count if chosen is None else len(chosen)):
                    continue
                segment = picked(projection.post_segment, chosen)
                gid, section, x = self.places(post, picked(projection.post, chosen), segment,
                                              picked(projection.post_fraction, chosen))  # fmt: skip
                arrives = self.arrival(pre, picked(delay, chosen))
                if self.natives.has(synapse):
                    self.natives.projection(projection, synapse, chosen, (gid, section, x), picked(weight, chosen),
                                            arrives, pre, post)  # fmt: skip
                    continue
                self.needs_current(post, synapse)
                if self.adds_up(post):
                    events = jumping(projection, self.flat(self.component(synapse, projection)), chosen)
                    straight_in(self.senders, self.tables, events, pre, post, self.kinds[pre.id], self.kinds[post.id],
                                arrives, None)  # fmt: skip
                    continue
                source, cell = self.senders.gids(pre, self.kinds[pre.id], projection, chosen)
                self.attachment("synapse", synapse, self.kinds[post.id], False, projection).chunks.append(Rows(
                    gid, section, x, segment, picked(weight, chosen), source_gid=source, source_cell=cell,
                    delay=arrives, stream=streams(projection.id, chosen, len(gid)),
                    owner=projection.id if chosen is None else "", plastic=projection.plasticity,
                ))  # fmt: skip
            if not projection.synapses and count:
                straight_in(self.senders, self.tables, projection, pre, post, self.kinds[pre.id], self.kinds[post.id],
                            self.arrival(pre, delay), self.report if self.settings.compat else None)  # fmt: skip
            return
        self.tunnels(projection, pre, post, weight)

    def adds_up(self, post: Population) -> bool:
        """Whether a cell sums what is attached to it by itself (never in the compatibility scheme)."""
        request = self.kinds[post.id].request
        return request is not None and "attachedStep" in request.flat.parameters

    def tunnels(
        self, projection: Projection, pre: Population, post: Population, weight: npt.NDArray[np.float64]
    ) -> None:
        """The halves of gap junctions and of analogue synapses, each with what it reads of the other."""
        for first, second, chosen in pairs(projection):
            kinds = self.kinds[pre.id], self.kinds[post.id]
            if self.natives.has(first) and self.natives.has(second):
                places = [self.places(population, cells[chosen], segments[chosen], fractions[chosen])
                          for population, cells, segments, fractions in (
                              (pre, projection.pre, projection.pre_segment, projection.pre_fraction),
                              (post, projection.post, projection.post_segment, projection.post_fraction))]  # fmt: skip
                self.natives.junctions(projection, (first, second), (places[0], places[1]), weight[chosen])
                continue
            for population, component in ((pre, first), (post, second)):
                if self.adds_up(population):
                    self.needs_current(population, component)
            ends = (
                End(self.attachment("tunnel", first, kinds[0], False, projection), kinds[0], pre.id,
                    projection.pre[chosen], projection.pre_segment[chosen],
                    self.places(pre, projection.pre[chosen], projection.pre_segment[chosen],
                                projection.pre_fraction[chosen])),
                End(self.attachment("tunnel", second, kinds[1], False, projection), kinds[1], post.id,
                    projection.post[chosen], projection.post_segment[chosen],
                    self.places(post, projection.post[chosen], projection.post_segment[chosen],
                                projection.post_fraction[chosen])),
            )  # fmt: skip
            join(projection, ends, weight[chosen], streams(projection.id, chosen, len(chosen)))

    def arrival(self, pre: Population, delay: Floats) -> Floats:
        """Delays (ms) less the time by which a fixed step sees a crossing late: half a step on average.

        A little less than half keeps arrivals off the middle of a step, where rounding would decide between two steps.
        """
        kind = self.kinds[pre.id]
        if self.settings.cvode or self.settings.compat or kind.kind is Kind.SOURCE or kind.native is not None:
            return delay
        late = 0.45 * self.settings.dt
        return made(len(delay), np.float64, lambda rows: np.maximum(delay[rows] - late, 0.0), delay)

    def needs_current(self, post: Population, synapse: str) -> None:
        if self.kinds[post.id].kind is Kind.SOURCE:
            raise UnsupportedError(
                f"the synapse '{synapse}' acts on population '{post.id}', whose '{post.component}' is a source of "
                "events and takes no current"
            )
        if self.adds_up(post) and jump(self.flat(self.model.component(synapse))) is None:
            raise UnsupportedError(
                f"'{post.component}' uses the sum of its attached currents outside the derivative of v; NEURON keeps "
                f"no such sum, unless all that is attached adds to a current that stays, which '{synapse}' does not"
            )

    def inputs(self, inputs: InputList) -> None:
        if not len(inputs.target):
            return
        population = self.network.populations[inputs.population]
        self.needs_current(population, inputs.component)
        gid, section, x = self.places(population, inputs.target, inputs.segment, inputs.fraction)
        weight = inputs.weight if inputs.weight is not None else np.ones(len(gid))
        if self.natives.has(inputs.component):
            self.natives.inputs(inputs, (gid, section, x), weight)
            return
        key = f"input {inputs.id}" if inputs.id in self.apart else "input"
        attachment = self.attachment(key, inputs.component, self.kinds[population.id], True, inputs)
        if inputs.values:
            component, request = self.component(inputs.component, inputs), attachment.request
            request.varied = each_of(inputs, component, request.flat, self.flat)
        attachment.chunks.append(Rows(gid, section, x, inputs.segment, weight,
                                      stream=streams(inputs.id, None, len(gid))))  # fmt: skip

    # what is recorded ----------------------------------------------------------------------------------------------

    def recording(self, quantity: str, where: Place, saved: bool) -> Recording | None:
        """How to record a quantity; one that is only drawn and cannot be had is left out with a note."""
        try:
            found = weight_of(quantity, self.network, where) or species_of(quantity, self.network, self.kinds, where)
            found = found or resolve_native(quantity, self.natives, self.kinds, where)
            return found or resolve(quantity, self.network, self.kinds, self.attachments, where)
        except (ModelError, UnsupportedError) as error:
            if not saved:
                self.report.add("line-not-drawn", "loss", str(error), component=quantity)
                return None
            if isinstance(error, NetworkError) and not error.file:
                raise where.error(error.message) from error
            raise

    def gid_of(self, selection: str, where: Place) -> int:
        try:
            path = split_path(selection, self.network)
        except NetworkError as error:
            raise where.error(error.message) from error
        return self.network.populations[path.population].offset + path.row

    # the Program ---------------------------------------------------------------------------------------------------

    def scheme(self) -> int:
        """NEURON's secondorder: 2 where it is stable. A voltage clamp rings under it; rxd has first-order steps."""
        if self.network.chemistry is None and self.settings.second_order is not None:
            return self.settings.second_order
        if self.network.chemistry is not None or self.natives.clamped():
            return 0
        for attachment in self.attachments.values():
            request = attachment.request
            flat = request.flat
            if request.role.kind != "electrode" or "v" not in flat.externals:
                continue
            gids = attachment.column("gid")
            for population in self.network.populations.values():
                here = (gids >= population.offset) & (gids < population.offset + population.size)
                if here.any() and any(rings(one, self.kinds[population.id], self.settings.dt)
                                      for one in (flat, *request.varied)):  # fmt: skip
                    self.report.add(
                        "clamp", "info",
                        f"'{flat.id}' clamps a voltage faster than a step: first-order implicit steps are used",
                    )  # fmt: skip
                    return 0
        return 2

    def place_densities(self) -> None:
        """Name the mechanism of each density; a second one of the same structure in a section is a copy."""
        for kind in self.by_component.values():
            used: dict[str, list[set[int]]] = {}
            for placed in (*kind.densities, *kind.pool_models):
                mechanism = placed.request.made
                layers = used.setdefault(mechanism.name, [])
                sections = {int(s) for s in placed.sections}
                number = next((n for n, layer in enumerate(layers) if not layer & sections), len(layers))
                if number == len(layers):
                    layers.append(set())
                layers[number] |= sections
                placed.mechanism = self.catalogue.copy(mechanism, number)

    def spec(self, recordings: list[Recording], gids: dict[str, int]) -> dict[str, Any]:
        groups: dict[str, list[dict[str, Any]]] = {"points": [], "netcons": [], "transfers": []}
        groups |= self.natives.emit()
        for attachment in self.attachments.values():
            for name, entries in emit(attachment, self.tables, self.settings.seed).items():
                groups[name] += entries
        groups["netcons"] += self.senders.straight
        templates: list[dict[str, Any]] = []
        for kind in self.by_component.values():
            if kind.kind is Kind.SOURCE:
                continue
            kind.number = len(templates)
            if isinstance(kind.native, NativeCell):
                templates.append(self.natives.cell_entry(kind.native, f"cell{kind.number}", self.tables))
            else:
                templates.append(self.cell_entry(kind) if kind.kind is Kind.CELL else self.point_entry(kind))
        silent = {a.key for a in self.attachments.values() if a.request.made.silent}
        columns = []
        for number, recording in enumerate(recordings):
            place = recording.place()
            if place.get("points") in silent:
                place = {"constant": 0.0}
            columns.append({"column": number, **place})
        settings = self.settings
        return {
            "templates": templates,
            "populations": [self.population_entry(p) for p in self.network.populations.values()],
            **groups,
            **({"sources": self.senders.entries} if self.senders.entries else {}),
            **outside(self.network, self.kinds, self.tables, settings),
            "recordings": columns,
            "spikes": "all",
            "run": {
                "dt": settings.dt, "duration": settings.duration, "celsius": round(self.kelvin - KELVIN, 9),
                "seed": settings.seed, "second_order": self.second_order, "v_init": None,
                "record_every": settings.record_every,
                "cvode": tolerances(settings.cvode, settings.dt, self.catalogue, self.report),
                **({"pointers": True} if settings.compat else {}),
                **({"coreneuron": True} if settings.coreneuron else {}),
            },
        }  # fmt: skip

    def cell_entry(self, kind: CellKind) -> dict[str, Any]:
        key = f"cell{kind.number}"
        entry = cell_outline(kind, self.tables, key, self.rounded)
        for number, placed in enumerate((*kind.densities, *kind.pool_models)):
            parameters: dict[str, Any] = dict(placed.request.parameters())
            if placed.values is not None:
                variable, factor = varied_along(placed)
                parameters[variable] = self.tables.add(f"{key}.insert{number}", placed.values / factor)
            entry["inserts"].append({
                "mechanism": placed.mechanism_name, "sections": [int(s) for s in placed.sections],
                "parameters": parameters,
            })  # fmt: skip
        for ion in sorted(kind.pools):
            # where no pool is, a density that reads the concentration finds none
            filled = {s for each in kind.ions if each["ion"] == ion for s in each["sections"]}
            bare = sorted({int(s) for placed in kind.densities for s in placed.sections
                           if any(i.name == ion for i in placed.request.made.mod.ions)} - filled)  # fmt: skip
            if bare:
                entry["ions"].append({"ion": ion, "sections": bare, "internal": 0.0, "external": 0.0,
                                      "charge": charge(ion)})  # fmt: skip
        return entry

    def rounded(self, values: npt.NDArray[np.float64] | float, factor: float) -> npt.NDArray[np.float64]:
        """Values in a unit that is SI times ``factor``; the compatibility scheme knows them in single precision."""
        return single(values, factor) if self.settings.compat else np.atleast_1d(np.asarray(values, dtype=float))

    def point_entry(self, kind: CellKind) -> dict[str, Any]:
        assert kind.request is not None
        watched = self.settings.compat and kind.request.made.drives_voltage
        threshold = threshold_of(self.model.component(kind.component)) if watched else None
        return one_compartment(kind, self.tables, threshold)

    def population_entry(self, population: Population) -> dict[str, Any]:
        kind = self.kinds[population.id]
        entry: dict[str, Any] = {"id": population.id, "first_gid": population.offset, "size": population.size}
        if kind.native is not None:
            held = {"template": kind.number} if kind.kind is Kind.CELL else {}
            return entry | held | self.natives.population_entry(population, kind)
        random = None
        if kind.request is not None and kind.request.made.random:
            ids = np.stack([np.full(population.size, stream_of(population.id)), np.arange(population.size),
                            np.full(population.size, self.settings.seed)], axis=1)  # fmt: skip
            random = self.tables.add(f"{population.id}.random", (ids % 2**32).astype(np.uint32))
        if kind.train is not None:
            count, size = len(kind.train), population.size
            entry |= {"artificial": "NetStim", "parameters": {}, "trains": {
                "rows": self.tables.add(f"{population.id}.train_rows", np.tile(np.arange(size), count)),
                "times": self.tables.add(f"{population.id}.train_times", np.repeat(kind.train, size)),
            }}  # fmt: skip
        elif kind.kind is Kind.SOURCE:
            assert kind.request is not None
            entry |= {"artificial": kind.request.made.name, "parameters": dict(kind.request.parameters())}
            if population.values:
                entry |= own_numbers(population, kind, self.tables)
            if random:
                entry |= {"random": random, "rng": "rng"}
        else:
            entry["template"] = kind.number
            moved = self.settings.compat or self.network.outside
            if moved and kind.kind is Kind.CELL and population.positions is not None:
                places = single(population.positions.ravel(), 1.0).reshape(-1, 3)
                entry["positions"] = self.tables.add(f"{population.id}.positions", places)
            own = own_numbers(population, kind, self.tables) if population.values else {}
            if kind.own is not None:
                entry["own"] = kind.own.stated(self.tables)
            if random or own:
                point = {"point": 0, "parameters": own.pop("parameters", {})}
                entry["point_parameters"] = [point | ({"random": random, "rng": "rng"} if random else {})]
                entry |= own
        return entry
