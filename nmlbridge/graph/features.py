"""What a network has that a format may not be able to hold: the vocabulary of features, and where each is found.

A format's record names the features that it carries; what a network has beyond these is noted as a loss before anything
is written. The detail inside a feature (one mechanism, one column) is the writer's own to report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from ..element import Element
from ..report import Report
from .native import ADDING, NativeProcess
from .network import Network
from .population import Population

CELLS_WITH_SHAPE = ("cell", "cell2CaPools")


def present(network: Network) -> dict[str, str]:
    """The features that a network has, each with the place where it was first found."""
    everywhere = (network, *network.others)
    found = {name: place for name, find in FEATURES.items() if (place := find(network))}
    for other in everywhere[1:]:
        found |= {name: place for name, find in FEATURES.items() if name not in found and (place := find(other))}
    return found


def without(network: Network, lost: Collection[str], report: Report) -> Network:
    """The network without those of REMOVABLE that are in ``lost``, and without recordings of what they have."""
    there = [name for name in REMOVABLE if name in lost and FEATURES[name](network)]
    if not there:
        return network
    changes: dict[str, Any] = {}
    if "plasticity" in there:
        changes["projections"] = [p if p.plasticity is None else replace(p, plasticity=None)
                                  for p in network.projections]  # fmt: skip
    if "courses" in there:
        changes["projections"] = [replace(p, course=None) if p.course is not None else p
                                  for p in changes.get("projections", network.projections)]  # fmt: skip
        changes["inputs"] = [replace(i, course=None) if i.course is not None else i for i in network.inputs]
        changes["populations"] = {id: replace(p, course=None) if p.course is not None else p
                                  for id, p in network.populations.items()}  # fmt: skip
    if "reactions and diffusion" in there:
        changes["chemistry"] = None
    if "imposed fields" in there:
        changes["fields"] = []
    gone: dict[str, None] = {}

    def kept(quantity: str) -> bool:
        steps = quantity.split("/")
        lost = ("plasticity" in there and steps[0] == "weights") or (
            "reactions and diffusion" in there and "rxd" in steps[:-2]
        )
        if lost:
            gone[quantity] = None
        return not lost

    changes["simulation"] = [_recording(element, kept) for element in network.simulation]
    if network.settings is not None:
        outputs = network.settings.outputs
        files = [replace(f, columns=tuple(c for c in f.columns if kept(c[1]))) for f in outputs.files]
        shown = [replace(d, lines=tuple(line for line in d.lines if kept(line.quantity))) for d in outputs.displays]
        outputs = replace(outputs, files=tuple(f for f in files if f.columns), displays=tuple(shown))
        changes["settings"] = replace(network.settings, outputs=outputs)
    if gone:
        report.add("recording", "loss", f"{', '.join(list(gone)[:3])}{' ...' if len(gone) > 3 else ''} cannot be "
                   "recorded without what is left out", file=network.file)  # fmt: skip
    return replace(network, **changes)


def _recording(element: Element, kept: Callable[[str], bool]) -> Element:
    """A Simulation element without the quantities that are not kept, and without files that have none left."""
    children = []
    for old in element.children:
        if kept(old.attributes.get("quantity", "")):
            new = _recording(old, kept)
            if new.children or not old.children:
                children.append(new)
    return Element(element.tag, dict(element.attributes), children, element.text, element.file, element.line,
                   element.raw)  # fmt: skip


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


def _courses(network: Network) -> str:
    """Where weights or parameters change in time."""
    lists = _first([each.id for each in network.inputs if each.course is not None], "input list")
    return (_projections(network, lambda p: p.course is not None)
            or _populations(network, lambda p: p.course is not None) or lists)  # fmt: skip


def _shared(network: Network) -> str:
    """Synapses that several connections act on, where that is not as good as one for each."""
    return _first([part.id for part in network.native.values()
                   if isinstance(part, NativeProcess) and part.shared and part.mechanism not in ADDING], "component")


def differs(population: Population) -> bool:
    """Whether the cells of a population have numbers of their own."""
    return bool(population.values) or population.individuals is not None


FEATURES: dict[str, Callable[[Network], str]] = {
    "components": _components,
    "component types": lambda n: _elements(n, ("ComponentType",), "type"),
    "native mechanisms": lambda n: _first(list(n.native), "component"),
    "shared synapses": _shared,
    "morphologies": _shapes,
    "biophysics": _biophysics,
    "networks": _networks,
    "several networks": lambda n: _first([str(o.id) for o in n.others], "network"),
    "positions": lambda n: _populations(n, lambda p: p.positions is not None),
    "instance ids": lambda n: _populations(n, lambda p: not np.array_equal(p.instance_ids, np.arange(p.size))),
    "differing cells": lambda n: _populations(n, lambda p: differs(p) and p.component not in n.native),
    "differing inputs": lambda n: _first([i.id for i in n.inputs if i.values and i.component not in n.native],
                                         "input list"),
    "properties": lambda n: _populations(n, lambda p: bool(p.properties)),
    "connections": lambda n: _projections(n, lambda p: len(p) > 0),
    "weights": lambda n: _projections(n, lambda p: p.weight is not None and bool(np.any(p.weight != 1))),
    "delays": lambda n: _projections(n, lambda p: p.delay is not None and bool(np.any(p.delay != 0))),
    "places on cells": _on_cell,
    "plasticity": lambda n: _projections(n, lambda p: p.plasticity is not None),
    "courses": _courses,
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

REMOVABLE = ("plasticity", "courses", "reactions and diffusion", "imposed fields")
"""features that a network can do without, for a format that has no place for them"""
