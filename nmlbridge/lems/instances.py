"""The tree of instances below one component, and what a name or a path means at each node of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from ..errors import LemsError
from ..units import NONE, Dimension, nearest
from .dynamics import ConditionalDerivedVariable, DerivedVariable, Dynamics, Search, Step, parse_path
from .evaluate import evaluate
from .expression import names
from .flat import External, FlatComponent, Parameter, Property
from .library import Library
from .model import Component

MAX_DEPTH = 30
MAX_CHAIN = 100
MAX_NODES = 200_000
MAX_PATHS = 100_000_000  # characters of all paths: a few lines can ask for a tree that fills any memory


class Names:
    """Gives out flat names, each once."""

    def __init__(self) -> None:
        self._used = {"t"}

    def reserve(self, name: str) -> None:
        """Keep ``name`` from being given out."""
        self._used.add(name)

    def unique(self, wanted: str) -> str:
        """``wanted`` as an identifier that no one has yet."""
        base = re.sub(r"[^A-Za-z0-9_]", "_", wanted)
        if not base or base[0].isdigit():
            base = "_" + base
        if base == "t":
            base = "t_value"
        name, number = base, 2
        while name in self._used:
            name, number = f"{base}_{number}", number + 1
        self._used.add(name)
        return name


class Node:
    """One instance: a component at its place in the tree.

    ``keys`` are the names that a path may use for it (id first, then slot), ``paths`` all its paths from the root.
    """

    def __init__(self, component: Component, parent: Node | None, slot: str, keys: list[str], flat_key: str) -> None:
        self.component, self.parent, self.slot, self.keys = component, parent, slot, keys
        self.type = component.type
        self.dynamics = self.type.dynamics or Dynamics()
        self.children: list[Node] = []
        self.symbols: dict[str, str] = {}
        """Name in the type -> flat name, of variables (all) and parameters (once used)."""
        self.exposures: dict[str, str] = {}
        """Exposure -> name in the type."""
        self.regime: str | None = None
        """Flat name of the number of the active regime."""
        if parent is None:
            self.prefix, self.paths = "", [""]
        else:
            self.prefix = f"{parent.prefix}{flat_key}_"
            self.paths = [f"{above}{key}/" for above in parent.paths[:4] for key in keys]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def path(self, name: str) -> str:
        """The path of a variable of this node from the root."""
        return self.paths[0] + name

    def follow(self, step: Step) -> list[Node]:
        """The nodes that one step of a path leads to; LemsError if the type has nothing of this name."""
        if step.name in ("..", "parent") and step.name not in self.type.child:
            return [self.parent] if self.parent is not None else []
        if step.name in (".", "this"):
            return [self]
        found = [child for child in self.children if child.slot == step.name]
        if not found:
            found = [child for child in self.children if step.name in child.keys]
        if not found:
            known = [*self.type.child, *self.type.children, *self.type.references, *self.type.attachments]
            if step.name not in known:
                raise self.component.error(
                    f"the path step '{step.name}' names nothing in a {self.type.name}{nearest(step.name, known)}"
                )
        if step.position is not None:
            found = found[step.position : step.position + 1]
        if step.where is not None:
            attribute, value = step.where
            found = [n for n in found if _text(n.component, attribute) == value]
        return found


def _text(component: Component, attribute: str) -> str | None:
    if attribute == "id":
        return component.id
    if attribute in component.references.ids:
        return component.references.ids[attribute]
    return component.texts.get(attribute)


def _searched(component: Component, name: str, search: Search) -> Component:
    wanted = search.wanted
    if search.attribute is not None and not search.literal:
        *steps, last = (step.name for step in parse_path(search.wanted))
        source: Component | None = component
        for step in steps:
            assert source is not None
            source = source.child(step) or (source.references[step] if step in source.references else None)
            if source is None:
                raise component.error(f"DerivedParameter '{name}': '{step}' of '{search.wanted}' leads to no component")
        assert source is not None
        text = _text(source, last)
        if text is None:
            raise component.error(f"DerivedParameter '{name}': '{source.label}' has no '{last}' to search by")
        wanted = text
    found = [
        other
        for other in component.references.everything()
        if other.is_a(search.type) and (search.attribute is None or _text(other, search.attribute) == wanted)
    ]
    if len(found) != 1:
        which = f" with {search.attribute}='{wanted}'" if search.attribute is not None else ""
        raise component.error(
            f"DerivedParameter '{name}' searches the model for one {search.type}{which}; there are {len(found)}"
        )
    return found[0]


def grow(component: Component) -> Node:
    """The tree of instances below ``component``: its children and the references that Structure makes instances of.

    Raises LemsError where a reference is dangling or components contain each other.
    """
    root = Node(component, None, "", [component.id], "")
    _grow(root, 0, [0, 0])
    return root


def _grow(node: Node, depth: int, spent: list[int]) -> None:
    spent[0] += 1
    spent[1] += sum(map(len, node.paths))
    if spent[0] > MAX_NODES or spent[1] > MAX_PATHS:
        raise node.component.error(
            f"there are more than {MAX_NODES} components in one (or their paths are too long); do they contain each "
            "other many times?"
        )
    if depth > MAX_DEPTH:
        raise node.component.error(
            f"nested deeper than {MAX_DEPTH} components; do some refer to each other in a circle?"
        )
    listed: list[tuple[str, Component, bool]] = [
        (slot, child, slot in node.type.child) for slot, child in node.component.children
    ]
    for name in _instances(node):
        if name in node.component.references:
            listed.append((name, node.component.references[name], True))
    count: dict[str, int] = {}
    for slot, _, _ in listed:
        count[slot] = count.get(slot, 0) + 1
    taken: set[str] = set()
    seen: dict[str, int] = {}
    for slot, child, single in listed:
        number = seen.get(slot, 0)
        seen[slot] = number + 1
        keys = [child.id] if child.id else []
        if single or (not keys and count[slot] == 1):
            keys.append(slot)
        elif not keys:
            keys.append(f"{slot}[{number}]")
        if not child.id and count[slot] == 1:
            keys.append(child.element.tag)
        if keys[0] in taken:
            keys = keys[1:] or [f"{slot}[{number}]"]
        taken.add(keys[0])
        flat_key = keys[0] if not keys[0][0].isdigit() else f"{slot}_{keys[0]}"
        flat_key = flat_key.replace("[", "_").replace("]", "")
        below = Node(child, node, slot, list(dict.fromkeys(keys)), flat_key)
        node.children.append(below)
        _grow(below, depth + 1, spent)


def _instances(node: Node) -> list[str]:
    """The references that become children: those that Structure names and those that a select looks into."""
    references = node.type.references
    by_case = {name.lower(): name for name in references}
    wanted = [by_case.get(name.lower(), "") for name in node.type.structure.instances]
    for variable in node.dynamics.derived:
        if isinstance(variable, DerivedVariable) and variable.select and variable.select[0].name in references:
            wanted.append(variable.select[0].name)
    return list(dict.fromkeys(name for name in wanted if name))


class Scope:
    """What names mean: fills the parameters, properties and externals of the flat component as they are used."""

    def __init__(self, flat: FlatComponent, root: Node, library: Library) -> None:
        self.flat, self.root, self.library = flat, root, library
        self.names = Names()
        self.absent: dict[str, str] = {}
        """Flat name of a parameter that was not given -> what to say if it is needed."""
        self._constants: dict[str, str] = {}
        self._busy: list[tuple[int, str]] = []

    def dimension(self, node: Node, name: str | None, exposure: str | None = None) -> Dimension:
        """A dimension by name; without a name, that of the exposure."""
        if name is None:
            exposed = node.type.exposures.get(exposure or "")
            name = exposed.dimension if exposed is not None else "none"
        if name == "*":
            return NONE
        try:
            return self.library.dimension(name)
        except LemsError as error:
            raise node.component.error(f"in the ComponentType '{node.type.name}': {error.message}") from None

    def lookup(self, node: Node, name: str) -> str:
        """The flat name of ``name`` as an expression of this node means it; LemsError if it means nothing."""
        found = self.local(node, name)
        if found is not None:
            return found
        if name == "t":
            return "t"
        required = node.type.requirements.get(name)
        above = node.parent
        while above is not None:
            found = self.exposed(above, name)
            if found is not None:
                return found
            required = required or above.type.requirements.get(name)
            above = above.parent
        if required is not None:
            if name not in self.flat.externals:
                dimension = self.dimension(node, required.dimension)
                self.flat.externals[name] = External(dimension, "requirement", name)
            return name
        if name in self.library.constants:
            return self._global(name)
        known = {*node.symbols, *node.type.parameters, *node.type.constants, *node.type.requirements, "t"}
        raise node.component.error(
            f"the ComponentType '{node.type.name}' uses '{name}', which it does not declare{nearest(name, known)}"
        )

    def exposed(self, node: Node, name: str) -> str | None:
        """The flat name of what the node shows to others as ``name``: an exposure or a variable of that name."""
        return self.local(node, node.exposures.get(name, name))

    def local(self, node: Node, name: str) -> str | None:
        """The flat name of a variable, parameter, constant or property of this node."""
        found = node.symbols.get(name)
        if found is not None:
            return found
        type_ = node.type
        value: float | None
        if name in type_.parameters:
            kind, dimension = "parameter", type_.parameters[name].dimension
        elif name in type_.derived_parameters:
            kind, dimension = "derived", type_.derived_parameters[name].dimension
        elif name in type_.constants:
            kind, dimension = "constant", type_.constants[name].dimension
        elif name in type_.properties or name in type_.hidden_properties:
            return self._property(node, name)
        else:
            return None
        value = self.number(node, name)
        flat_name = node.symbols[name] = self.names.unique(node.prefix + name)
        if value is None:
            value = math.nan
            self.absent[flat_name] = f"the {type_.name} '{node.component.label}' lacks {name}"
        self.flat.parameters[flat_name] = Parameter(value, self.dimension(node, dimension), node.path(name), kind)
        return flat_name

    def _property(self, node: Node, name: str) -> str:
        member = node.type.properties.get(name) or node.type.hidden_properties[name]
        dimension = self.dimension(node, member.dimension)
        try:
            default = self.library.convert(member.default, dimension) if member.default is not None else 0.0
        except LemsError as error:
            raise node.component.error(f"property {name} of the type '{node.type.name}': {error.message}") from None
        flat_name = node.symbols[name] = self.names.unique(node.prefix + name)
        if node is self.root:
            self.flat.properties[flat_name] = Property(default, dimension, node.path(name))
        else:
            self.flat.parameters[flat_name] = Parameter(default, dimension, node.path(name), "constant")
        return flat_name

    def _global(self, name: str) -> str:
        if name not in self._constants:
            value = self.library.constants[name]
            self._constants[name] = self.names.unique(name)
            self.flat.parameters[self._constants[name]] = Parameter(value.value, value.dimension, name, "constant")
        return self._constants[name]

    def number(self, node: Node, name: str) -> float | None:
        """The value of a parameter, derived parameter or constant of the node; None if it depends on one not given."""
        type_ = node.type
        if name in type_.parameters:
            return node.component.parameters.get(name)
        if name in type_.constants:
            constant = type_.constants[name]
            try:
                return self.library.constant(constant.value, self.dimension(node, constant.dimension))
            except LemsError as error:
                raise node.component.error(f"constant {name} of the type '{type_.name}': {error.message}") from None
        if name not in type_.derived_parameters:
            return self._number_above(node, name)
        if (id(node), name) in self._busy:
            raise node.component.error(f"the DerivedParameter '{name}' of '{type_.name}' depends on itself")
        if len(self._busy) > MAX_CHAIN:
            raise node.component.error(f"more than {MAX_CHAIN} DerivedParameters depend on each other in a row")
        self._busy.append((id(node), name))
        try:
            return self._derived(node, name)
        finally:
            self._busy.pop()

    def _number_above(self, node: Node, name: str) -> float | None:
        above = node.parent if name in node.type.requirements else None
        while above is not None:
            members = (above.type.parameters, above.type.constants, above.type.derived_parameters)
            if any(name in part for part in members):
                return self.number(above, name)
            above = above.parent
        if name in self.library.constants:
            return self.library.constants[name].value
        known = [*node.type.parameters, *node.type.derived_parameters, *node.type.constants]
        raise node.component.error(
            f"a DerivedParameter of '{node.type.name}' uses '{name}', which is no parameter{nearest(name, known)}"
        )

    def _derived(self, node: Node, name: str) -> float | None:
        member = node.type.derived_parameters[name]
        if member.search is not None:
            return self.number(grow(_searched(node.component, name, member.search)), member.search.name)
        if member.value is None:
            assert member.select is not None
            nodes = [node]
            for step in member.select[:-1]:
                nodes = [n for above in nodes for n in above.follow(step)]
            if len(nodes) != 1:
                raise node.component.error(f"DerivedParameter '{name}' selects {len(nodes)} components; expected one")
            return self.number(nodes[0], member.select[-1].name)
        env: dict[str, float] = {}
        for needed in sorted(names(member.value)):
            value = self.number(node, needed)
            if value is None:
                return None
            env[needed] = value
        result = float(np.asarray(evaluate(member.value, env), dtype=np.float64))
        if math.isnan(result):
            given = ", ".join(f"{key}={value:g}" for key, value in sorted(env.items()))
            raise node.component.error(f"the DerivedParameter '{name}' has no value for {given} (SI)")
        return result


def exposures(node: Node) -> dict[str, str]:
    """Exposure -> variable of the node, those of regimes included.

    Of several variables that claim one exposure it is the one of its name: jLEMS looks for a variable first.
    """
    found: dict[str, str] = {}
    blocks = [node.dynamics, *(regime.dynamics for regime in node.dynamics.regimes)]
    for block in blocks:
        variables: list[DerivedVariable | ConditionalDerivedVariable] = list(block.derived)
        for variable in (*block.states, *variables):
            if variable.exposure and found.get(variable.exposure) != variable.exposure:
                found[variable.exposure] = variable.name
    return found
