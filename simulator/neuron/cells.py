"""Cells with a morphology: sections, passive properties per compartment, and where each density and species is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...element import Element
from ...errors import LemsError, NetworkError
from ...graph.morphology import Morphology, SegmentGroup
from ...lems import Component, Model
from ...lems.evaluate import evaluate
from ...lems.expression import names, parse
from ...report import Report
from ...units import Unit
from .sections import Section, Sections, map_sections

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_UNIFORM = {
    "channelDensityNonUniform": ("channelDensity", "condDensity"),
    "channelDensityNonUniformNernst": ("channelDensityNernst", "condDensity"),
    "channelDensityNonUniformGHK": ("channelDensityGHK", "permeability"),
}
_PASSIVE = {
    "specificCapacitance": (100.0, "specific capacitance"),  # F/m2 -> uF/cm2
    "initMembPotential": (1e3, "initial potential"),  # V -> mV
}


@dataclass
class Placement:
    """A density or species on a cell.

    ``sections`` are sorted; ``coverage`` (0..1) and ``values`` (SI, or None) have one entry per compartment of these
    sections, in order. ``area`` (m2) is the membrane over which a channelPopulation is spread evenly. ``internal`` and
    ``external`` are a species' initial concentrations in mM.
    """

    part: Component
    sections: Ints
    coverage: Floats
    ion: str | None = None
    values: Floats | None = None
    area: float | None = None
    internal: float | None = None
    external: float | None = None

    def component(self, model: Model) -> Component:
        """The component to flatten: of the uniform type where the density varies along the cell."""
        if self.values is None:
            return self.part
        uniform, parameter = _UNIFORM[self.part.type.name]
        copy = Component(self.part.id, model.library.type(uniform), self.part.element, self.part.references._find)
        copy.parameters = {**self.part.parameters, parameter: 1.0}
        copy.texts = dict(self.part.texts)
        copy.references.ids.update(self.part.references.ids)
        return copy


@dataclass
class CellTemplate:
    """What is needed to build one kind of cell; arrays per compartment, sections in order."""

    morphology: Morphology
    mapping: Sections
    cm: Floats
    """uF/cm2"""
    v_init: Floats
    """mV"""
    threshold: Floats
    """mV, from where a compartment counts as spiking"""
    densities: list[Placement] = field(default_factory=list)
    species: list[Placement] = field(default_factory=list)

    @property
    def sections(self) -> list[Section]:
        """The sections, parents first."""
        return self.mapping.sections

    @property
    def root_segment(self) -> int:
        """The id of the segment that stands for the cell where none is named: 0, or the root if there is no 0."""
        return 0 if 0 in self.morphology.row_by_id else self.morphology.root

    def compartment(self, section: int, x: float) -> int:
        """The compartment that a place is on, all compartments counted through."""
        nseg = self.sections[section].nseg
        return int(self.mapping.first[section]) + min(int(x * nseg), nseg - 1)

    def locate(self, segments: Ints, fractions: Floats) -> tuple[Ints, Floats]:
        """(section, x) of places on segments. Raises NetworkError for a segment that is not there."""
        known = self.morphology.row_by_id
        different, inverse = np.unique(segments, return_inverse=True)
        missing = [int(id) for id in different if int(id) not in known]
        if missing:
            raise NetworkError(
                f"segment {missing[0]} is not there; '{self.morphology.id}' has {len(known)} segments, ids "
                f"{min(known)} to {max(known)}"
            )
        rows = np.array([known[int(id)] for id in different], dtype=np.int64)[inverse.reshape(-1)]
        return self.mapping.locate(rows, np.asarray(fractions, dtype=float))


def lower_cell(cell: Component, model: Model, units: Mapping[str, Unit], report: Report) -> CellTemplate:
    """Sections and placements of a cell. Raises NetworkError or LemsError with file and line."""
    return _Cell(cell, model, units, report).run()


class _Cell:
    def __init__(self, cell: Component, model: Model, units: Mapping[str, Unit], report: Report) -> None:
        self.cell, self.model, self.units, self.report = cell, model, units, report
        self.morphology = Morphology.from_element(self.part("morphology"))
        self.mapping = map_sections(self.morphology, report)
        self.centre_section, self.centre_x = self.mapping.centres()

    def part(self, tag: str) -> Element:
        """The morphology element, inside the cell or standing at top level under the id that the cell names."""
        inside = self.cell.element.find(tag)
        if inside is not None:
            return inside
        name = self.cell.element.get(tag)
        found = self.model.lookup(name) if name else None
        if found is None:
            raise self.cell.error(f"the cell has no {tag}" if not name else f"{tag}='{name}' is not there")
        return found.element

    def biophysics(self) -> Component:
        for slot in ("biophysicalProperties", "biophysicalProperties2CaPools"):
            child = self.cell.child(slot)
            if child is not None:
                return child
        name = self.cell.element.get("biophysicalProperties")
        found = self.model.lookup(name) if name else None
        if found is None:
            raise self.cell.error(
                f"biophysicalProperties='{name}' is not there" if name else "the cell has no biophysicalProperties"
            )
        return found

    def run(self) -> CellTemplate:
        biophysics = self.biophysics()
        inside: list[Component] = []
        for _, part in biophysics.children:
            inside += [component for _, component in part.children]
        size = self.mapping.compartments
        cm, v_init, Ra = np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan)
        template = CellTemplate(self.morphology, self.mapping, cm, v_init, np.zeros(size))
        for component in inside:
            kind = component.type.name
            if kind in _PASSIVE:
                target = cm if kind == "specificCapacitance" else v_init
                self.paint(target, component, component.parameters["value"] * _PASSIVE[kind][0])
            elif kind == "resistivity":
                self.paint(Ra, component, component.parameters["value"] * 100.0)  # ohm m -> ohm cm
            elif kind == "spikeThresh":
                here = self.mapping.coverage(self.rows(component).rows) > 0
                template.threshold[here] = component.parameters["value"] * 1e3
            elif component.is_a("baseChannelDensity"):
                template.densities.append(self.density(component))
            elif component.is_a("baseChannelPopulation"):
                template.densities.append(self.population(component))
            elif component.is_a("species"):
                template.species.append(self.species(component))
        self.finish(template, cm, v_init, Ra)
        self.unread(biophysics.element)
        return template

    def rows(self, component: Component) -> SegmentGroup:
        """The segments that a component is on: its segmentGroup, or one segment."""
        single = component.texts.get("segment") or component.element.get("segment")
        if single is not None:
            if not single.isdigit() or int(single) not in self.morphology.row_by_id:
                raise component.error(f"segment='{single[:40]}' is not there")
            return SegmentGroup(single, np.array([self.morphology.row_by_id[int(single)]]))
        name = component.texts.get("segmentGroup") or component.element.get("segmentGroup")
        try:
            return self.morphology.group(name)
        except KeyError:
            known = ", ".join(list(self.morphology.groups)[:8]) or "none"
            raise component.error(f"segmentGroup='{name}' is not there; there are: {known}") from None

    def paint(self, target: Floats, component: Component, value: float) -> None:
        """Set a passive property where a group is; what comes later overrides, by the part it covers."""
        coverage = self.mapping.coverage(self.rows(component).rows)
        before = np.where(np.isnan(target), value, target)
        target[:] = np.where(coverage > 0, coverage * value + (1 - coverage) * before, target)

    def finish(self, template: CellTemplate, cm: Floats, v_init: Floats, Ra: Floats) -> None:
        for values, default, what in ((cm, 1.0, "specificCapacitance (1 uF_per_cm2 is taken)"),
                                      (v_init, -65.0, "initMembPotential (-65 mV is taken)"),
                                      (Ra, 35.4, "resistivity (NEURON's 35.4 ohm_cm is taken)")):  # fmt: skip
            if np.isnan(values).any():
                matters = values is not Ra or self.mapping.compartments > 1
                if matters:
                    self.report.add("not-stated", "approximation", f"parts of the cell have no {what}",
                                    file=self.cell.file, line=self.cell.line, component=self.cell.id)  # fmt: skip
                values[np.isnan(values)] = default
        for number, section in enumerate(self.mapping.sections):
            first = int(self.mapping.first[number])
            section.Ra = float(Ra[first : first + section.nseg].mean())

    def placement(self, component: Component, group: SegmentGroup) -> Placement:
        covered = self.mapping.coverage(group.rows)
        sections = np.unique(self.centre_section[covered > 0])
        here = np.isin(self.centre_section, sections)
        return Placement(component, sections, covered[here], component.texts.get("ion"))

    def density(self, component: Component) -> Placement:
        if component.type.name not in _UNIFORM:
            return self.placement(component, self.rows(component))
        varied = component.child("variableParameter")
        wanted = _UNIFORM[component.type.name][1]
        if varied is None or varied.texts.get("parameter") != wanted:
            raise component.error(f"expected one variableParameter with parameter='{wanted}'")
        group = self.rows(varied)
        formula = varied.child("inhomogeneousValue")
        if formula is None:
            raise component.error("the variableParameter has no inhomogeneousValue")
        placed = self.placement(component, group)
        here = np.isin(self.centre_section, placed.sections)
        placed.values = self.vary(component, group, formula)[here]
        return placed

    def population(self, component: Component) -> Placement:
        """A number of channels instead of a density: they are spread evenly over the membrane that they are on."""
        group = self.rows(component)
        placed = self.placement(component, group)
        placed.area = float(self.morphology.area[group.rows].sum()) * 1e-12
        if not placed.area:
            raise component.error("the channelPopulation is on segments without any area")
        return placed

    def vary(self, component: Component, group: SegmentGroup, formula: Component) -> Floats:
        """The value of an inhomogeneous parameter (SI) at the middle of every compartment."""
        id = formula.texts.get("inhomogeneousParameter")
        every = [p for g in (group, *self.morphology.groups.values()) for p in g.inhomogeneous]
        parameter = next((p for p in every if p.id == id), None)
        if parameter is None:
            raise component.error(f"inhomogeneousParameter='{id}' is not there")
        if parameter.metric != "Path Length from root":
            raise component.error(
                f"the metric '{parameter.metric[:40]}' is not known; expected 'Path Length from root'"
            )
        p = self.path_length()
        inside = self.mapping.coverage(group.rows) > 0
        if parameter.translation_start is not None and inside.any():
            p = p - self.morphology.start[group.rows].min() + parameter.translation_start
        if parameter.normalization_end is not None and inside.any():
            ends = self.morphology.start[group.rows] + self.morphology.length[group.rows]
            furthest = ends.max() - (self.morphology.start[group.rows].min() if parameter.translation_start is not None
                                     else 0.0) + (parameter.translation_start or 0.0)  # fmt: skip
            if furthest > 0:
                p = p * parameter.normalization_end / furthest
        text = formula.texts.get("value", "")
        try:
            tree = parse(text)
            unknown = names(tree) - {parameter.variable}
            if unknown:
                raise LemsError(f"'{sorted(unknown)[0]}' in '{text[:60]}' is not known; the variable is "
                                f"'{parameter.variable}'")  # fmt: skip
        except LemsError as error:
            raise component.error(error.message) from None
        return np.broadcast_to(evaluate(tree, {parameter.variable: p}), p.shape).astype(float)

    def path_length(self) -> Floats:
        """Path length (um) from the beginning of the root to the middle of each compartment."""
        lengths = []
        starts: list[float] = []
        for section in self.mapping.sections:
            steps = np.linalg.norm(np.diff(section.points[:, :3], axis=0), axis=1)
            lengths.append(float(steps.sum()))
            above = 0.0 if section.parent < 0 else starts[section.parent] + section.parent_x * lengths[section.parent]
            starts.append(above)
        return np.array(starts)[self.centre_section] + self.centre_x * np.array(lengths)[self.centre_section]

    def species(self, component: Component) -> Placement:
        placed = self.placement(component, self.rows(component))
        placed.internal = component.parameters.get("initialConcentration")  # mol/m3 is mM
        placed.external = component.parameters.get("initialExtConcentration")
        return placed

    def unread(self, biophysics: Element) -> None:
        for element in biophysics.iter():
            if element.tag == "reversalPotential":
                self.report.add("reversal-potential", "info",
                                "reversalPotential is not read: densities state their own erev",
                                file=element.file, line=element.line, component=self.cell.id)  # fmt: skip
