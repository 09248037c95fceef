"""ComponentType: a type of the LEMS language with all that it inherits.

What ``extends`` hands down follows jLEMS: parameters, derived parameters, constants, requirements, exposures, event
ports, children, references and links are inherited; properties, texts, paths, attachments, structure and the other
requirements are not. Dynamics and Simulation come from the nearest ancestor that has them, as a whole; ``<Super/>``
inside Dynamics puts the ancestor's before one's own. Source: LEMS 0.7.6 and jLEMS 0.12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..element import Element
from ..errors import LemsError
from .dynamics import Dynamics, Search, Step, attribute, expression, parse_path, parse_search, read_dynamics
from .expression import Expr


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number with a dimension (a name of the library, or ``*`` for any) that each component gives."""

    name: str
    dimension: str
    default: str | None = None
    declared_by: str = ""


@dataclass(frozen=True, slots=True)
class DerivedParameter:
    """A number computed once from the other parameters: an expression, a path, or a search of the model."""

    name: str
    dimension: str
    value: Expr | None
    select: tuple[Step, ...] | None = None
    search: Search | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that the type gives, as a quantity."""

    name: str
    dimension: str
    value: str


@dataclass(frozen=True, slots=True)
class Property:
    """A number per instance, set by whatever makes the instance."""

    name: str
    dimension: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A variable that something above must have."""

    name: str
    dimension: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """A variable that others may use and that can be recorded."""

    name: str
    dimension: str


@dataclass(frozen=True, slots=True)
class ComponentReference:
    """An attribute that holds the id of another component."""

    name: str
    type: str
    local: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class EventConnection:
    """Events of ``source`` go to ``target``; both are names of With or ForEach elements.

    ``receiver``: a reference; an instance of it, among the target's attachments ``container``, takes the events.
    """

    source: str
    target: str
    source_port: str | None
    target_port: str | None
    receiver: str | None = None
    container: str | None = None
    delay: str | None = None
    assigned: tuple[tuple[str, str], ...] = ()
    """property of the receiver -> the parameter, or number, that it gets"""


@dataclass(frozen=True, slots=True)
class Loop:
    """A ForEach: ``body`` once for each of the instances that a path leads to, known by ``name`` inside."""

    path: str
    name: str
    body: tuple[Loop | EventConnection, ...]


@dataclass(frozen=True, slots=True)
class Multiple:
    """A MultiInstantiate: ``number`` (a parameter, or digits) instances of what the reference ``component`` names."""

    number: str
    component: str


@dataclass(frozen=True, slots=True)
class Structure:
    """How an instance is put together, as far as one component is concerned.

    ``instances``: references that become children; ``names``: With name -> its path; ``connections``: between these.
    What makes a network of it: ``multiples``, ``loops``, and ``through``, connections that end in a receiver.
    """

    instances: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    connections: tuple[EventConnection, ...] = ()
    through: tuple[EventConnection, ...] = ()
    multiples: tuple[Multiple, ...] = ()
    loops: tuple[Loop, ...] = ()


@dataclass(frozen=True)
class ComponentType:
    """A resolved type. Mappings go from a member's name to the member and keep the order of declaration."""

    name: str
    ancestors: tuple[str, ...] = ()
    """The names of the types that this one extends, the nearest first."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    derived_parameters: Mapping[str, DerivedParameter] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Parameter name -> the quantity that it is pinned to."""
    constants: Mapping[str, Constant] = field(default_factory=dict)
    properties: Mapping[str, Property] = field(default_factory=dict)
    hidden_properties: Mapping[str, Property] = field(default_factory=dict)
    """Properties of ancestors. LEMS does not hand them down; inherited Dynamics may still speak of them."""
    requirements: Mapping[str, Requirement] = field(default_factory=dict)
    exposures: Mapping[str, Exposure] = field(default_factory=dict)
    in_ports: tuple[str, ...] = ()
    out_ports: tuple[str, ...] = ()
    child: Mapping[str, str] = field(default_factory=dict)
    """Child slot -> type name."""
    children: Mapping[str, str] = field(default_factory=dict)
    """Children slot -> type name."""
    references: Mapping[str, ComponentReference] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """Link -> type name of the sibling it points at."""
    texts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    index_parameters: tuple[str, ...] = ()
    attachments: Mapping[str, str] = field(default_factory=dict)
    """Attachments -> type name."""
    instance_requirements: Mapping[str, str] = field(default_factory=dict)
    component_requirements: tuple[str, ...] = ()
    dynamics: Dynamics | None = None
    structure: Structure = Structure()
    simulation: tuple[Element, ...] = ()
    description: str = ""
    file: str = ""
    line: int = 0

    def is_a(self, name: str) -> bool:
        """Whether this is the type ``name`` or extends it."""
        return name == self.name or name in self.ancestors


def read_type(element: Element, base: ComponentType | None) -> ComponentType:
    """Read a ComponentType element; ``base`` is the resolved type that it extends.

    Raises LemsError with file, line and type on what cannot be read.
    """
    name = attribute(element, "name")
    try:
        return _read(name, element, base or ComponentType(""))
    except LemsError as error:
        message = f"in the ComponentType '{name}': {error.message}"
        raise LemsError(message, file=error.file or element.file, line=error.line or element.line) from None


def _read(name: str, element: Element, base: ComponentType) -> ComponentType:
    parameters, derived = dict(base.parameters), dict(base.derived_parameters)
    fixed, constants = dict(base.fixed), dict(base.constants)
    requirements, exposures = dict(base.requirements), dict(base.exposures)
    child, children = dict(base.child), dict(base.children)
    references, links = dict(base.references), dict(base.links)
    in_ports, out_ports = list(base.in_ports), list(base.out_ports)
    properties: dict[str, Property] = {}
    attachments: dict[str, str] = {}
    instance_requirements: dict[str, str] = {}
    listed: dict[str, list[str]] = {tag: [] for tag in ("Text", "Path", "IndexParameter", "ComponentRequirement")}
    dynamics, structure, simulation = None, Structure(), base.simulation

    for e in element.children:
        tag = e.tag
        dimension = e.get("dimension") or "none"
        if tag == "Parameter":
            key = attribute(e, "name")
            derived.pop(key, None)
            constants.pop(key, None)
            fixed.pop(key, None)
            parameters[key] = Parameter(key, dimension, e.get("defaultValue") or e.get("default"), name)
        elif tag == "DerivedParameter":
            key = attribute(e, "name")
            parameters.pop(key, None)
            constants.pop(key, None)
            derived[key] = _derived_parameter(key, dimension, e)
        elif tag == "Fixed":
            fixed[attribute(e, "parameter")] = attribute(e, "value")
        elif tag == "Constant":
            key = attribute(e, "name")
            parameters.pop(key, None)
            derived.pop(key, None)
            constants[key] = Constant(key, dimension, attribute(e, "value"))
        elif tag == "Property":
            key = attribute(e, "name")
            properties[key] = Property(key, dimension, e.get("defaultValue"))
        elif tag == "Requirement":
            requirements[attribute(e, "name")] = Requirement(attribute(e, "name"), dimension)
        elif tag == "Exposure":
            exposures[attribute(e, "name")] = Exposure(attribute(e, "name"), dimension)
        elif tag == "EventPort":
            ports = {"in": in_ports, "out": out_ports}.get(e.get("direction") or "")
            if ports is None:
                raise LemsError(
                    f"EventPort '{e.get('name')}' has direction '{e.get('direction')}'; expected 'in' or 'out'",
                    file=e.file,
                    line=e.line,
                )
            if attribute(e, "name") not in ports:
                ports.append(attribute(e, "name"))
        elif tag == "Child":
            child[attribute(e, "name")] = attribute(e, "type")
        elif tag == "Children":
            children[attribute(e, "name")] = attribute(e, "type")
        elif tag == "ComponentReference":
            key = attribute(e, "name")
            references[key] = ComponentReference(
                key, e.get("type") or "", e.get("local") == "true", e.get("required", "true") != "false"
            )
        elif tag == "Link":
            links[attribute(e, "name")] = e.get("type") or ""
        elif tag == "Attachments":
            attachments[attribute(e, "name")] = e.get("type") or ""
        elif tag == "InstanceRequirement":
            instance_requirements[attribute(e, "name")] = e.get("type") or ""
        elif tag in listed:
            listed[tag].append(attribute(e, "name"))
        elif tag == "Dynamics":
            dynamics = read_dynamics(e)
            if e.find("Super") is not None and base.dynamics is not None:
                dynamics = dynamics.over(base.dynamics)
        elif tag == "Structure":
            structure = _structure(e)
        elif tag == "Simulation":
            simulation = tuple(e.children)

    return ComponentType(
        name=name,
        ancestors=(base.name, *base.ancestors) if base.name else (),
        parameters=parameters,
        derived_parameters=derived,
        fixed=fixed,
        constants=constants,
        properties=properties,
        hidden_properties={**base.hidden_properties, **base.properties},
        requirements=requirements,
        exposures=exposures,
        in_ports=tuple(in_ports),
        out_ports=tuple(out_ports),
        child=child,
        children=children,
        references=references,
        links=links,
        texts=tuple(listed["Text"]),
        paths=tuple(listed["Path"]),
        index_parameters=tuple(listed["IndexParameter"]),
        attachments=attachments,
        instance_requirements=instance_requirements,
        component_requirements=tuple(listed["ComponentRequirement"]),
        dynamics=dynamics if dynamics is not None else base.dynamics,
        structure=structure,
        simulation=simulation,
        description=element.get("description") or "",
        file=element.file,
        line=element.line,
    )


def _derived_parameter(name: str, dimension: str, element: Element) -> DerivedParameter:
    select = element.get("select")
    if select is None:
        return DerivedParameter(name, dimension, expression(element))
    search = parse_search(select)
    if search is not None:
        return DerivedParameter(name, dimension, None, search=search)
    return DerivedParameter(name, dimension, None, parse_path(select))


def _structure(element: Element) -> Structure:
    names, connections = [], []
    for e in element.children:
        if e.tag == "With" and e.get("instance") is not None:
            names.append((attribute(e, "as"), attribute(e, "instance")))
        elif e.tag == "EventConnection":
            connections.append(_event_connection(e))
    return Structure(
        tuple(attribute(e, "component") for e in element.children if e.tag == "ChildInstance"),
        tuple(names),
        tuple(c for c in connections if c.receiver is None),
        tuple(c for c in connections if c.receiver is not None),
        tuple(
            Multiple(attribute(e, "number"), attribute(e, "component"))
            for e in element.children
            if e.tag == "MultiInstantiate" and e.get("number") is not None
        ),
        tuple(_loop(e) for e in element.children if e.tag == "ForEach"),
    )


def _event_connection(e: Element) -> EventConnection:
    return EventConnection(
        attribute(e, "from"), attribute(e, "to"), e.get("sourcePort"), e.get("targetPort"),
        e.get("receiver"), e.get("receiverContainer"), e.get("delay"),
        tuple((attribute(a, "property"), attribute(a, "value")) for a in e.children if a.tag == "Assign"),
    )  # fmt: skip


def _loop(element: Element) -> Loop:
    body = [
        _loop(e) if e.tag == "ForEach" else _event_connection(e)
        for e in element.children
        if e.tag in ("ForEach", "EventConnection")
    ]
    return Loop(attribute(element, "instances"), attribute(element, "as"), tuple(body))
