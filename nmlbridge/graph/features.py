"""What a network has that a format may not be able to hold: the vocabulary of features, and where each is found.

A format's record names the features that it carries; what a network has beyond these is noted as a loss before anything
is written. The detail inside a feature (one mechanism, one column) is the writer's own to report.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..element import Element
from .network import Network

CELLS_WITH_SHAPE = ("cell", "cell2CaPools")


def present(network: Network) -> dict[str, str]:
    """The features that a network has, each with the place where it was first found."""
    everywhere = (network, *network.others)
    found = {name: place for name, find in FEATURES.items() if (place := find(network))}
    for other in everywhere[1:]:
        found |= {name: place for name, find in FEATURES.items() if name not in found and (place := find(other))}
    return found


def _first(ids: list[str], what: str) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    return f"{what} '{ids[0]}'{more}"


def _elements(network: Network, tags: tuple[str, ...], what: str) -> str:
    return _first([e.get("id") or e.get("name") or e.tag for e in network.components if e.tag in tags], what)


def _networks(network: Network) -> str:
    return f"network '{network.id}'" if network.id is not None else ""


_NO_COMPONENTS = ("ComponentType", "notes", "annotation", "property", "Dimension", "Unit", "Constant", "Assertion")


def _components(network: Network) -> str:
    ids = [e.get("id") or e.tag for e in network.components if e.tag not in _NO_COMPONENTS]
    return _first(ids, "component")


def _shapes(network: Network) -> str:
    cells = [e for e in network.components if e.tag in CELLS_WITH_SHAPE and e.find("morphology")]
    return _first([e.get("id") or "" for e in cells], "cell") or _elements(network, ("morphology",), "morphology")


def _biophysics(network: Network) -> str:
    tags = ("biophysicalProperties", "biophysicalProperties2CaPools")
    cells = [e for e in network.components if e.tag in tags or any(child.tag in tags for child in e.children)]
    return _first([e.get("id") or "" for e in cells], "cell")


def _populations(network: Network, has: Callable[..., bool]) -> str:
    return _first([p.id for p in network.populations.values() if has(p)], "population")


def _projections(network: Network, has: Callable[..., bool]) -> str:
    return _first([p.id for p in network.projections if has(p)], "projection")


def _on_cell(network: Network) -> str:
    def placed(p: object, names: tuple[str, ...]) -> bool:
        return any(np.any(getattr(p, name) != default) for name, default in zip(names, (0, 0.5, 0, 0.5), strict=False))

    names = ("pre_segment", "pre_fraction", "post_segment", "post_fraction")
    inputs = [i.id for i in network.inputs if placed(i, ("segment", "fraction"))]
    return _projections(network, lambda p: placed(p, names)) or _first(inputs, "input list")


def _annotations(network: Network) -> str:
    tags = ("notes", "annotation")

    def has(elements: list[Element]) -> bool:
        return any(e.tag in tags for e in elements)

    if has(network.extra):
        return f"network '{network.id}'"
    return _populations(network, lambda p: has(p.extra)) or _elements(network, tags, "element")


FEATURES: dict[str, Callable[[Network], str]] = {
    "components": _components,
    "component types": lambda n: _elements(n, ("ComponentType",), "type"),
    "native mechanisms": lambda n: _first(list(n.native), "component"),
    "morphologies": _shapes,
    "biophysics": _biophysics,
    "networks": _networks,
    "several networks": lambda n: _first([str(o.id) for o in n.others], "network"),
    "positions": lambda n: _populations(n, lambda p: p.positions is not None),
    "instance ids": lambda n: _populations(n, lambda p: not np.array_equal(p.instance_ids, np.arange(p.size))),
    "properties": lambda n: _populations(n, lambda p: bool(p.properties)),
    "connections": lambda n: _projections(n, lambda p: len(p) > 0),
    "weights": lambda n: _projections(n, lambda p: p.weight is not None and bool(np.any(p.weight != 1))),
    "delays": lambda n: _projections(n, lambda p: p.delay is not None and bool(np.any(p.delay != 0))),
    "places on cells": _on_cell,
    "plasticity": lambda n: _projections(n, lambda p: p.plasticity is not None),
    "gap junctions": lambda n: _projections(n, lambda p: p.kind == "electrical"),
    "continuous projections": lambda n: _projections(n, lambda p: p.kind == "continuous"),
    "inputs": lambda n: _first([i.id for i in n.inputs], "input list"),
    "reactions and diffusion": lambda n: "rxd" if n.chemistry is not None else "",
    "imposed fields": lambda n: _first([f.id for f in n.fields], "field"),
    "temperature": lambda n: f"network '{n.id}'" if n.temperature is not None else "",
    "annotations": _annotations,
    "simulation": lambda n: _first([e.get("id") or e.tag for e in n.simulation if e.tag != "Target"], "simulation"),
}
"""Each feature by its name, and a function that says where a network has it ("" if it has not)."""
