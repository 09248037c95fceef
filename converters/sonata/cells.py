"""Biophysical cells: the `nml` templates of SONATA with a morphology file beside them, as NeuroML cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...element import Element
from ...errors import DocumentError
from ...graph.morphology import CABLE
from ...report import Report
from ..swc import Shape, read_shape, safe_id
from .config import Config
from .models import component_type

_REGIONS = ("soma", "axon", "dend", "apic")
_AXON_STUB = (30.0, 30.0, 1.0)  # um: lengths of its two sections, diameter
_CHANNEL_FILES = ("{}.channel.nml", "{}.nml")


class Cells:
    """Cells already made, and what they brought along."""

    def __init__(self, config: Config, report: Report) -> None:
        self.config, self.report = config, report
        self.shapes: dict[str, Shape] = {}
        self.channels: set[str] = set()
        self.components: dict[str, Element] = {}

    def add(self, element: Element) -> None:
        """A component, once by id; a type, once by name."""
        key = element.get("id") or f"{element.tag} {element.get('name')}"
        self.components.setdefault(key, element)

    def cell(self, id: str, template: Path, morphology: Path | None, processing: str) -> Element | None:
        """A cell of an `nml` template. A template that has its own morphology is taken as it is."""
        from ...neuroml import read_document

        document = read_document(template, self.report)
        found = None
        for element in document.elements():
            if found is None and element.tag == "cell":
                found = element
            elif element.tag not in ("notes", "annotation") or document.main.root.find("cell") is None:
                self.component(element)
        if found is None:  # a point neuron: the one component that is no type
            points = [e for e in document.main.root.children if e.get("id") and e.tag not in ("include", "Include")]
            return points[0] if points else None
        if found.find("morphology") is not None:
            return found
        if morphology is None:
            raise DocumentError("the template has no morphology, and the node type names none that is there",
                                file=str(template), component=id)  # fmt: skip
        shape = read_shape(morphology, self.report)
        if processing in ("aibs_perisomatic", "aibs_perisomatic_directed"):
            shape = _with_axon_stub(shape)
        elif processing not in ("", "fullaxon", "aibs_allactive_fullaxon"):
            self.report.add("model-processing", "loss", f"model_processing '{processing}' is not known; the morphology "
                            "is taken as it is in its file", component=id, file=str(template))  # fmt: skip
        self.shapes[id] = shape
        return self.assemble(id, found, shape)

    def component(self, element: Element) -> None:
        if element.tag == "concentrationModel" and element.get("type") == "CaDynamics":
            self.add(component_type("CaDynamics"))
            values = {k: v for k, v in element.attributes.items() if k not in ("type", "segmentGroup")}
            element = Element("CaDynamics", values, file=element.file, line=element.line)
        self.add(element)

    def assemble(self, id: str, source: Element, shape: Shape) -> Element:
        regions = {name for name, ids in shape.sections if ids}
        cell = Element("cell", {"id": id}, [], file=source.file, line=source.line)
        for child in source.children:
            if child.tag == "biophysicalProperties":
                cell.children.append(_with_regions(shape.element))
                cell.children.append(self.biophysics(child, regions, id))
            else:
                cell.children.append(child)
        return cell

    def biophysics(self, source: Element, regions: set[str], id: str) -> Element:
        """The properties, each with an id and only where the cell has the region."""
        result = Element("biophysicalProperties", {"id": source.get("id") or "biophysics"}, file=source.file,
                         line=source.line)  # fmt: skip
        for part in source.children:
            copy = Element(part.tag, dict(part.attributes), [], file=part.file, line=part.line)
            for item in part.children:
                group = item.get("segmentGroup")
                if group in _REGIONS and group not in regions:
                    continue  # NEURON's template sets nothing on a region without sections either
                copy.children.append(item)
                if channel := item.get("ionChannel"):
                    self.channel(channel, item, id)
            if part.tag == "membraneProperties":
                self.state(copy)
            result.children.append(copy)
        return result

    def state(self, membrane: Element) -> None:
        """Threshold and initial potential, which SONATA has in the simulation's configuration."""
        simulation: dict[str, Any] = self.config.simulation
        threshold = _number(simulation.get("run"), "spike_threshold", -15)
        start = _number(simulation.get("conditions"), "v_init", -80)
        at = next(
            (i for i, e in enumerate(membrane.children) if e.tag == "specificCapacitance"), len(membrane.children)
        )
        if membrane.find("spikeThresh") is None:
            membrane.children.insert(at, Element("spikeThresh", {"value": f"{threshold!r} mV"}))
        if membrane.find("initMembPotential") is None:
            membrane.children.append(Element("initMembPotential", {"value": f"{start!r} mV"}))

    def channel(self, name: str, item: Element, cell: str) -> None:
        """The channel's definition: passive, a NeuroML file beside the mechanisms, or a note that there is none."""
        if name in self.channels:
            return
        self.channels.add(name)
        if name == "pas":
            self.add(Element("ionChannelPassive", {"id": "pas", "conductance": "10pS"}))
            return
        for folder in ("mechanisms_dir", "biophysical_neuron_models_dir"):
            for pattern in _CHANNEL_FILES:
                path = self.config.find(folder, pattern.format(safe_id(name)))
                if path is not None:
                    from ...neuroml import read_document

                    for element in read_document(path, self.report).elements():
                        self.component(element)
                    return
        self.report.add(
            "no-channel", "loss",
            f"the channel '{name}' is a mod file to SONATA; put its NeuroML as {name}.channel.nml into mechanisms_dir, "
            "or the cell cannot be run", file=item.file, line=item.line, component=cell,
        )  # fmt: skip


def _number(owner: Any, name: str, default: float) -> float:
    value = owner.get(name, default) if isinstance(owner, dict) else default
    return float(value) if isinstance(value, (int, float)) else default


def _with_regions(morphology: Element) -> Element:
    """The morphology with groups of the names that templates use: soma, axon, dend, apic."""
    there = {group.get("id") for group in morphology.findall("segmentGroup")}
    groups = {"soma_group": "soma", "axon_group": "axon", "dendrite_group": "dend", "apical_group": "apic"}
    more = [
        Element("segmentGroup", {"id": name}, [Element("include", {"segmentGroup": group})])
        for group, name in groups.items()
        if group in there and name not in there
    ]
    at = next((i for i, e in enumerate(morphology.children) if e.get("id") == "all"), len(morphology.children))
    children = [*morphology.children[:at], *more, *morphology.children[at:]]
    return Element("morphology", dict(morphology.attributes), children)


def _with_axon_stub(shape: Shape) -> Shape:
    """The axon replaced by two sections of 30 um at the middle of the soma, as the Allen Institute's models are.

    Sections are in the order of that template: soma, dendrites, apical ones, axon. The stub points away from the soma
    where the axon did, down where there was none.
    """
    ids = {name: [i for kind, part in shape.sections if kind == name for i in part] for name in _REGIONS}
    gone = {str(i) for i in ids["axon"]}
    segments = [e for e in shape.element.findall("segment") if e.get("id") not in gone]
    kept = {e.get("id") for e in segments}
    segments = [e for e in segments if (p := e.find("parent")) is None or p.get("segment") in kept]
    root = segments[0]
    near, far = root.find("proximal"), root.find("distal")
    assert near is not None and far is not None
    middle = [(float(near.attributes[a]) + float(far.attributes[a])) / 2 for a in "xyz"]
    number = max(int(e.attributes["id"]) for e in shape.element.findall("segment")) + 1
    first, second, diameter = _AXON_STUB
    sections = [(n, part) for n, part in shape.sections if n != "axon"]
    order = {name: at for at, name in enumerate(("soma", "dend", "apic"))}
    sections.sort(key=lambda section: order[section[0]])  # stable: file order within a type
    at = middle[1]
    parent = {"segment": root.attributes["id"], "fractionAlong": "0.5"}
    for length in (first, second):
        ends = [
            Element(tag, {"x": repr(middle[0]), "y": repr(y), "z": repr(middle[2]), "diameter": repr(diameter)})
            for tag, y in (("proximal", at), ("distal", at - length))
        ]
        at -= length
        segments.append(Element("segment", {"id": str(number), "name": f"axon_{number}"},
                                [Element("parent", parent), *ends]))  # fmt: skip
        sections.append(("axon", [number]))
        parent = {"segment": str(number)}
        number += 1
    groups: list[Element] = []
    names: dict[str, list[Element]] = {name: [] for name in _REGIONS}
    for at_, (name, part) in enumerate(sections):
        if part:
            id = f"{name}_section_{at_}"
            members = [Element("member", {"segment": str(i)}) for i in part]
            groups.append(Element("segmentGroup", {"id": id, "neuroLexId": CABLE}, members))
            names[name].append(Element("include", {"segmentGroup": id}))
    typed = [Element("segmentGroup", {"id": name}, parts) for name, parts in names.items() if parts]
    whole = Element("segmentGroup", {"id": "all"}, [i for parts in names.values() for i in parts])
    return Shape(Element("morphology", dict(shape.element.attributes), [*segments, *groups, *typed, whole]), sections)
