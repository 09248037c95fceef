"""Events between the nodes of one component: what EventConnection elements wire is done on the spot."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedError
from ..units import nearest
from .dynamics import Actions, parse_path
from .expression import Cmp, Expr, Name, Num, Piecewise
from .flat import Action, Assign, Emit
from .instances import Node

MAX_RELAYS = 50

Translate = Callable[[Node, Actions], list[Assign]]


class Wiring:
    """The event connections inside one root.

    Events that a node sends are delivered at once: the receiver's actions follow those of the sender. An event that
    leaves the root stays as an Emit.
    """

    def __init__(self, root: Node, translate: Translate, regime_number: Callable[[Node, str], int]) -> None:
        self.root, self.translate, self.regime_number = root, translate, regime_number
        self.receivers: dict[tuple[int, str], list[tuple[Node, str]]] = {}
        for node in root.walk():
            self._connect(node)

    def _connect(self, node: Node) -> None:
        structure = node.type.structure
        with_names = dict(structure.names)
        for connection in structure.connections:
            ends = []
            for name in (connection.source, connection.target):
                path = with_names.get(name)
                if path is None:
                    hint = nearest(name, with_names)
                    raise node.component.error(
                        f"the Structure of '{node.type.name}' connects '{name}', which no With names{hint}"
                    )
                ends.append(self._instance(node, path))
            source, target = ends
            if source is None or target is None:
                continue  # one end is outside the root
            out = _port(node, source, connection.source_port, source.type.out_ports, "out")
            into = _port(node, target, connection.target_port, target.type.in_ports, "in")
            self.receivers.setdefault((id(source), out), []).append((target, into))

    def _instance(self, node: Node, name: str) -> Node | None:
        """The node that the instance attribute of a With element means; None for what is outside the root."""
        if name == "this":
            return node
        if name == "parent":
            return node.parent
        if name in node.type.paths:
            text = node.component.texts.get(name)
            if text is None:
                raise node.component.error(f"the {node.type.name} lacks {name}, the path to the receiver of its events")
        else:
            text = name
        nodes = [node]
        for step in parse_path(text.strip().removesuffix("/")):
            nodes = [below for n in nodes for below in n.follow(step)]
        if len(nodes) != 1:
            raise node.component.error(f"the path '{text}' leads to {len(nodes)} instances; expected one")
        return nodes[0]

    def run(self, node: Node, actions: Actions, depth: int = 0) -> list[Action]:
        """The actions of one block with all that its events set off, in flat names.

        Raises LemsError if events run in a circle.
        """
        if depth > MAX_RELAYS:
            raise node.component.error("events are passed on in a circle between the parts of this component")
        result: list[Action] = list(self.translate(node, actions))
        for port in actions.events:
            if port not in node.type.out_ports:
                raise node.component.error(
                    f"the ComponentType '{node.type.name}' has no out port '{port}'{nearest(port, node.type.out_ports)}"
                )
            for target, into in self.receivers.get((id(node), port), ()):
                result += self.deliver(target, into, depth + 1)
            if node is self.root:
                result.append(Emit(port))
        if actions.transition is not None and node.regime is not None:
            number = self.regime_number(node, actions.transition)
            result.append(Assign(node.regime, Num(float(number))))
            result += self.run(node, node.dynamics.regimes[number].on_entry, depth + 1)
        return result

    def deliver(self, node: Node, port: str, depth: int) -> list[Action]:
        """What an event at a port of a node below the root, or relayed to the root, does."""
        result: list[Action] = []
        for event in node.dynamics.events:
            if event.port == port:
                result += self.run(node, event.actions, depth)
        changes: list[tuple[Expr | None, Expr]] = []
        for number, regime in enumerate(node.dynamics.regimes):
            for event in regime.dynamics.events:
                if event.port == port and node.regime is not None:
                    active = Cmp("==", Name(node.regime), Num(float(number)))
                    for action in self.run(node, event.actions, depth):
                        if isinstance(action, Emit):
                            raise UnsupportedError(
                                f"component '{node.component.label}' passes an event on in one regime only, "
                                "which cannot be flattened"
                            )
                        if action.variable == node.regime:
                            changes.append((active, action.expr))
                        else:
                            result.append(
                                Assign(
                                    action.variable, Piecewise(((active, action.expr), (None, Name(action.variable))))
                                )
                            )
        if changes and node.regime is not None:
            result.append(Assign(node.regime, Piecewise((*changes, (None, Name(node.regime))))))
        return result


def _port(node: Node, end: Node, named: str | None, ports: tuple[str, ...], direction: str) -> str:
    """The port of one end of a connection: the named one, or the first of the direction."""
    if named is not None and named in end.type.texts:
        named = end.component.texts.get(named)
    if named is None:
        if not ports:
            raise end.component.error(f"the {end.type.name} has no {direction} port to connect")
        return ports[0]
    if named not in ports:
        raise node.component.error(f"the {end.type.name} has no {direction} port '{named}'{nearest(named, ports)}")
    return named
