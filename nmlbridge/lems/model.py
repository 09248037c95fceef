"""Components of a model: elements matched with their ComponentTypes, numbers in SI.

How a child element finds its slot follows jLEMS: a Child slot by the element's tag, a Children slot by type, the last
slot that accepts the type wins. The content of networks belongs to the graph and is not resolved here; the content of a
morphology is resolved only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ..element import Element
from ..errors import LemsError
from ..report import Report
from ..units import nearest
from .library import Library, same
from .types import ComponentType

MAX_DEPTH = 100
Find = Callable[[str], "Component | None"]
_NOT_COMPONENTS = frozenset(
    "Include include Target Dimension Unit Constant ComponentType notes annotation property Assertion".split()
)
# allowed by the NeuroML schema anywhere, or known to it and not to LEMS
_QUIET = frozenset("notes annotation property reversalPotential RDF Description".split())
# parameters that the NeuroML schema or the core types themselves call optional: (declaring type, parameter)
_OPTIONAL = frozenset(
    {
        ("baseIonChannel", "conductance"),
        ("baseChannelDensityCond", "condDensity"),
        ("Line", "timeScale"),
        ("Line", "scale"),
        ("Display", "timeScale"),
    }
)


class References(Mapping[str, "Component"]):
    """The components that a component refers to, by the name of the reference; looked up when asked for.

    Indexing raises LemsError with the nearest ids if the id is dangling.
    """

    __slots__ = ("_owner", "_find", "ids", "_inline")

    def __init__(self, owner: Component, find: Find) -> None:
        self._owner, self._find = owner, find
        self.ids: dict[str, str] = {}
        self._inline: dict[str, Component] = {}

    def __getitem__(self, name: str) -> Component:
        if name in self._inline:
            return self._inline[name]
        identifier = self.ids[name]
        found = self._find(identifier)
        if found is None:
            known = getattr(self._find, "known", ())
            raise self._owner.error(f"{name}='{identifier}' names no component{nearest(identifier, known)}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter({**self.ids, **self._inline})

    def __len__(self) -> int:
        return len({**self.ids, **self._inline})

    def everything(self) -> Iterator[Component]:
        """All components of the model that these references point into, at any depth."""
        known: Mapping[str, Component] = getattr(self._find, "known", {})
        for component in known.values():
            yield from component.iter()

    def put(self, name: str, component: Component) -> None:
        """Set a reference to a component that is written inside its owner."""
        self._inline[name] = component


class Component:
    """A component: its type and what it says.

    ``parameters``: SI values by name; ``texts``: Text and Path attributes and all others that no one declares;
    ``references``: see References; ``children``: (slot, component) in document order; ``element`` is the source.
    """

    __slots__ = ("id", "type", "parameters", "texts", "references", "element", "file", "line", "_children", "_later")

    def __init__(self, identifier: str, type_: ComponentType, element: Element, find: Find) -> None:
        self.id, self.type, self.element = identifier, type_, element
        self.file, self.line = element.file, element.line
        self.parameters: dict[str, float] = {}
        self.texts: dict[str, str] = {}
        self.references = References(self, find)
        self._children: list[tuple[str, Component]] = []
        self._later: Callable[[Component], None] | None = None

    @property
    def children(self) -> list[tuple[str, Component]]:
        """(name of the Child or Children slot, component), in document order."""
        if self._later is not None:
            later, self._later = self._later, None
            later(self)
        return self._children

    def child(self, slot: str) -> Component | None:
        """The first component in the slot."""
        return next((component for name, component in self.children if name == slot), None)

    def children_of(self, slot: str) -> list[Component]:
        """All components in the slot."""
        return [component for name, component in self.children if name == slot]

    def is_a(self, type_name: str) -> bool:
        """Whether the component's type is, or extends, this one."""
        return self.type.is_a(type_name)

    def iter(self) -> Iterator[Component]:
        """This component and all below it."""
        yield self
        for _, child in self.children:
            yield from child.iter()

    @property
    def label(self) -> str:
        """The id, or the tag of an element without one."""
        return self.id or f"<{self.element.tag}>"

    def error(self, message: str) -> LemsError:
        """A LemsError that names this component and its place."""
        return LemsError(message, file=self.file or None, line=self.line or None, component=self.label)

    def __repr__(self) -> str:
        return f"<Component {self.type.name} {self.label!r} {self.file}:{self.line}>"


class Model:
    """All top-level components of a document and the library that they were resolved with."""

    def __init__(self, components: dict[str, Component], library: Library) -> None:
        self.components = components
        self.library = library

    def component(self, identifier: str) -> Component:
        """The top-level component with this id; LemsError with the nearest ids if there is none."""
        found = self.components.get(identifier)
        if found is None:
            raise LemsError(f"there is no component '{identifier}'{nearest(identifier, self.components)}")
        return found

    def lookup(self, identifier: str) -> Component | None:
        """The top-level component with this id, or None."""
        return self.components.get(identifier)

    def of_type(self, type_name: str) -> list[Component]:
        """The top-level components whose type is, or extends, this one."""
        return [component for component in self.components.values() if component.is_a(type_name)]

    def simulation(self, target: str | None = None) -> Component:
        """The Simulation that ``target`` (of the Target element) names, or the only one there is.

        Raises LemsError if it is not there, is no Simulation, or the choice is not clear.
        """
        if target:
            found = self.component(target)
            if not found.is_a("Simulation"):
                raise found.error(f"the Target '{target}' is a {found.type.name}; expected a Simulation")
            return found
        all_of_them = self.of_type("Simulation")
        if len(all_of_them) != 1:
            ids = ", ".join(component.id for component in all_of_them) or "none"
            raise LemsError(f"expected one Simulation, found {ids}; name one with <Target component=...>")
        return all_of_them[0]

    def check(self, errors: list[LemsError] | None = None) -> None:
        """Follow every reference once; LemsError at the first that is dangling, or all of them in ``errors``."""
        for component in self.components.values():
            for part in component.iter():
                for name in part.references:
                    try:
                        part.references[name]
                    except LemsError as error:
                        if errors is None:
                            raise
                        errors.append(error)


class _Index:
    """Looks components up by id once all of them are there."""

    def __init__(self) -> None:
        self.known: dict[str, Component] = {}

    def __call__(self, identifier: str) -> Component | None:
        return self.known.get(identifier)


def resolve(
    elements: Iterable[Element],
    library: Library,
    report: Report | None = None,
    errors: list[LemsError] | None = None,
    base: Model | None = None,
) -> Model:
    """Turn top-level elements into components of the library's types.

    Elements that are no components (includes, dimensions, units, types, notes ...) are passed over. Raises LemsError,
    with file, line and component, for an unknown type, a missing parameter, a quantity of the wrong dimension, an id
    that two different elements share. What the types do not know is noted in the report. With ``errors`` all of them
    are gathered there instead, and the components that they are about are left out. The components of ``base`` are
    there too, where no element has their id.
    """
    return _Resolver(library, report if report is not None else Report(), errors, base).run(elements)


class _Resolver:
    def __init__(
        self, library: Library, report: Report, errors: list[LemsError] | None = None, base: Model | None = None
    ) -> None:  # fmt: skip
        self.library, self.report, self.errors = library, report, errors
        self.find = _Index()
        self.base = {} if base is None else base.components
        self.find.known.update(self.base)
        self.sources: dict[str, Element] = {}
        self.depth = 0

    def run(self, elements: Iterable[Element]) -> Model:
        for element in elements:
            if element.tag in _NOT_COMPONENTS:
                continue
            identifier = element.get("id")
            if identifier is None:
                self.note(element, "component-without-id", "loss", f"<{element.tag}> has no id and cannot be used")
                continue
            before = self.sources.setdefault(identifier, element)
            if before is not element and not same(before, element):
                self.fail(
                    LemsError(
                        f"the id '{identifier}' is used twice: by <{before.tag}> at {before.file}:{before.line} and by "
                        f"this <{element.tag}>; rename one",
                        file=element.file,
                        line=element.line,
                        component=identifier,
                    )
                )
        for identifier, element in self.sources.items():
            try:
                self.find.known[identifier] = self.component(element, None)
            except LemsError as error:
                self.fail(error)
        for component in [self.find.known[id] for id in self.sources if id in self.find.known]:
            self.adopt(component)
        return Model(self.find.known, self.library)

    def fail(self, error: LemsError) -> None:
        """Raise an error, or gather it."""
        if self.errors is None:
            raise error
        self.errors.append(error)

    def note(self, element: Element, code: str, severity: str, message: str, component: str | None = None) -> None:
        self.report.add(
            code, severity, message, file=element.file or None, line=element.line or None, component=component
        )

    def type_of(self, element: Element, slot_type: str | None) -> ComponentType:
        """The type of an element: its ``type`` attribute, the type of its Child slot, or its tag."""
        name = element.get("type") or slot_type
        if name is None:
            name = element.tag
            if name == "Component":
                prototype = self.prototype(element)
                if prototype is None:
                    raise self.error(element, "a <Component> needs a type or extends another component")
                return self.type_of(prototype, None)
        try:
            return self.library.type(name)
        except LemsError as error:
            if self.library.has_type(name):
                raise
            if element.get("type") and self.library.has_type(slot_type or element.tag):
                hint = f"; type='{name}' asks for it, <{element.tag}> alone would be a {slot_type or element.tag}"
                raise self.error(element, error.message + hint) from None
            raise self.error(element, error.message) from None

    def error(self, element: Element, message: str) -> LemsError:
        who = element.get("id") or f"<{element.tag}>"
        return LemsError(message, file=element.file or None, line=element.line or None, component=who)

    def prototype(self, element: Element) -> Element | None:
        name = element.get("extends")
        if name is None:
            return None
        found = self.sources.get(name) or (self.base[name].element if name in self.base else None)
        if found is None:
            raise self.error(
                element, f"it extends the component '{name}', which is not there{nearest(name, self.sources)}"
            )
        return found

    def lineage(self, element: Element) -> list[Element]:
        """The element and its prototypes, the furthest first."""
        chain = [element]
        while (before := self.prototype(chain[-1])) is not None:
            if any(before is one for one in chain):
                raise self.error(element, "components extend each other in a circle")
            if len(chain) > MAX_DEPTH:
                raise self.error(element, f"more than {MAX_DEPTH} components extend each other in a row")
            chain.append(before)
        return chain[::-1]

    def component(self, element: Element, slot_type: str | None) -> Component:
        """The component of an element and all inside it; ``slot_type`` is what its place makes of it."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(element, f"components are nested deeper than {MAX_DEPTH} levels")
        try:
            return self.made(element, slot_type)
        finally:
            self.depth -= 1

    def made(self, element: Element, slot_type: str | None) -> Component:
        lineage = [element] if "extends" not in element.attributes else self.lineage(element)
        type_ = self.type_of(element, slot_type)
        component = Component(element.get("id") or "", type_, element, self.find)
        attributes = element.attributes
        if len(lineage) > 1:
            attributes = {k: v for source in lineage for k, v in source.attributes.items()}
        for name, text in attributes.items():
            if name in type_.parameters and name not in type_.fixed:
                component.parameters[name] = self.number(component, name, text)
            elif name in type_.references:
                component.references.ids[name] = text.strip()
            elif name not in ("id", "type", "extends") or name in type_.texts:
                component.texts[name] = text
        for name, text in type_.fixed.items():
            if name in type_.parameters:
                component.parameters[name] = self.number(component, name, text)
        if len(component.parameters) < len(type_.parameters):
            self.complete(component)
        if type_.is_a("network"):
            return component
        sources = [child for source in lineage for child in source.children]
        if not sources:
            return component
        if type_.is_a("morphology"):
            component._later = lambda c: self.place(c, sources)
        else:
            self.place(component, sources)
        return component

    def number(self, component: Component, name: str, text: str) -> float:
        dimension = component.type.parameters[name].dimension
        try:
            return self.library.convert(text, None if dimension == "*" else self.library.dimension(dimension))
        except LemsError as error:
            raise component.error(f"parameter {name}: {error.message}") from None

    def complete(self, component: Component) -> None:
        """Defaults for the parameters that are not given; LemsError if one has none."""
        missing = []
        for parameter in component.type.parameters.values():
            if parameter.name in component.parameters:
                continue
            if parameter.default is not None:
                component.parameters[parameter.name] = self.number(component, parameter.name, parameter.default)
            elif (parameter.declared_by, parameter.name) not in _OPTIONAL:
                missing.append(parameter)
        if missing:
            listed = ", ".join(
                f"{p.name} (a {'plain number' if p.dimension == 'none' else p.dimension})" for p in missing
            )
            given = [n for n in component.texts if not n.startswith("xmlns")]
            hint = nearest(missing[0].name, given) if given else ""
            raise component.error(f"the {component.type.name} lacks {listed}{hint}")

    def place(self, component: Component, sources: list[Element]) -> None:
        """Make children of the elements that fit a slot or a reference."""
        type_ = component.type
        single: dict[str, int] = {}
        for element in sources:
            tag = element.tag
            if tag in ("notes", "annotation"):
                continue
            if tag in type_.child:
                child = self.component(element, type_.child[tag])
                if tag in single:
                    component._children[single[tag]] = (tag, child)
                else:
                    single[tag] = len(component._children)
                    component._children.append((tag, child))
                continue
            if tag in type_.references and "type" not in element.attributes:
                name = type_.references[tag].type
                component.references.put(tag, self.component(element, None if self.library.has_type(tag) else name))
                continue
            name = element.get("type") or tag
            if tag == "Component" and "type" not in element.attributes:
                name = self.type_of(element, None).name
            if not self.library.has_type(name) and tag in type_.children and element.get("type") is None:
                name = type_.children[tag]
            slot = self.slot(type_, name) if self.library.has_type(name) else None
            if slot is not None:
                component._children.append((slot, self.component(element, name)))
            elif tag in type_.references:
                component.references.put(tag, self.component(element, None))
            elif tag not in _QUIET:
                if element.get("type") is not None and not self.library.has_type(name):
                    self.type_of(element, None)
                accepts = ", ".join([*type_.child, *type_.children.values()]) or "no children"
                self.note(
                    element,
                    "unknown-element",
                    "loss",
                    f"<{tag}> has no place in a {type_.name}, which takes {accepts}",
                    component.label,
                )

    def slot(self, type_: ComponentType, name: str) -> str | None:
        """The last Children slot of ``type_`` that accepts the type ``name``."""
        candidate = self.library.type(name)
        found = None
        for slot, accepted in type_.children.items():
            if candidate.is_a(accepted):
                found = slot
        return found

    def adopt(self, component: Component) -> None:
        """Take top-level components named by an attribute into Child slots: <cell morphology="id">."""
        if component.type.child:
            for name in component.type.child:
                text = component.texts.get(name)
                if (
                    text is not None
                    and component.child(name) is None
                    and (found := self.find(text.strip())) is not None
                ):
                    component._children.append((name, found))
