"""Reactions and diffusion of a specification, with their regions as cells and segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..graph.chemistry import OF_NODE, VOLTAGE, parse
from ..graph.reactions import Part, Reaction, Reactions, Region, Species
from .context import Context, Path_, used_names
from .language import names
from .segments import CellParts
from .select import Selections
from .space import AXES, Cells
from .substances import Chemistry, Geometry, ReactionRegion

_CLASSES = {
    "shell": "Shell", "fraction": "FractionalVolume", "border": "ScalableBorder", "boundary": "DistributedBoundary",
    "cross_section": "FixedCrossSection", "perimeter": "FixedPerimeter",
}  # fmt: skip


def chemistry(context: Context, cells: Cells, select: Selections, parts: CellParts) -> Reactions | None:
    """What ``rxd`` says; None if there is none. Raises NetworkError at the place of what cannot be."""
    said = context.spec.model.rxd
    if said is None:
        return None
    constants = {name: float(column.values) for name, column in context.parameters.items()}
    _names_differ(context, said, constants)
    regions = {name: _region(context, cells, select, parts, name, item) for name, item in said.regions.items()}
    species = {one.name: one for one in _species(context, said)}
    reactions = {one.name: one for one in _reactions(context, said)}
    source = context.spec.source
    try:
        made = Reactions(regions, species, reactions, constants, source.file, source.line(("rxd",)))
    except NetworkError as fault:
        raise context.error(fault.message, *_place(said, str(fault.component))) from None
    used = set().union(*(names(parse(text)) for text in _formulas(made)))
    return replace(made, constants={name: value for name, value in constants.items() if name in used})


def _formulas(made: Reactions) -> Iterator[str]:
    for one in made.species.values():
        initial = one.initial.values() if isinstance(one.initial, Mapping) else (one.initial,)
        yield from (value for value in initial if isinstance(value, str))
    for each in made.reactions.values():
        for value in (each.left, each.right, each.forward, each.backward):
            if isinstance(value, str) and value:  # a rate has no right side
                yield value


def _place(said: Chemistry, component: str) -> Path_:
    """Where a part that the graph found fault with stands: states, parameters and rates are kinds of their own here."""
    _, kind, name = component.split(".", 2)
    words = {"species": ("species", "states", "parameters"), "reactions": ("reactions", "rates")}.get(kind, (kind,))
    return ("rxd", next((word for word in words if name in getattr(said, word)), kind), name)


def _names_differ(context: Context, said: Chemistry, constants: Mapping[str, float]) -> None:
    seen = dict.fromkeys((VOLTAGE,), "names of the membrane potential")
    seen |= dict.fromkeys(constants, "parameters")
    for kinds in (("species", "states", "parameters"), ("reactions", "rates")):
        own = dict(seen) if kinds[0] == "species" else {}
        for kind in kinds:
            for name in getattr(said, kind):
                if name in own:
                    raise context.error(f"'{name}' is already one of the {own[name]}; rename one", "rxd", kind, name)
                own[name] = kind


def _region(
    context: Context, cells: Cells, select: Selections, parts: CellParts, name: str, item: ReactionRegion
) -> Region:
    path: Path_ = ("rxd", "regions", name)
    if item.outside is not None:
        return _outside(context, name, item, (*path, "outside"))
    assert item.cells is not None
    rows = select(item.cells, *path, "cells")
    population = cells.population_of(rows)
    found = []
    for which in np.unique(population):
        label = cells.names[which]
        segments = None
        if item.where != "all":
            chosen = parts.select(label, item.where, (*path, "where"))
            native, shape = parts.shapes.get(parts.cells[label]), parts.morphology(label)
            assert shape is not None
            segments = np.unique(native.place(chosen, np.full(len(chosen), 0.5))[0]) if native else shape.ids[chosen]
        elif parts.morphology(label) is None:
            raise context.error(f"the cells of '{label}' have no sections", *path, "cells")
        found.append(Part(label, rows[population == which] - cells.offsets[which], segments))
    geometry, numbers = "inside", {}
    if isinstance(item.geometry, Geometry):
        geometry = _CLASSES[item.geometry.type]
        numbers = {
            word: value if isinstance(value, bool) else context.number(value, "", *path, "geometry", word)
            for word, value in (item.geometry.model_extra or {}).items()
        }
    else:
        geometry = item.geometry
    return Region(name, tuple(found), item.side, geometry, numbers)


def _outside(context: Context, name: str, item: ReactionRegion, path: Path_) -> Region:
    out = item.outside
    assert out is not None
    ends = np.array([[context.number(end, "um", *path, axis, i) for i, end in enumerate(getattr(out, axis))]
                     for axis in AXES])  # fmt: skip
    for axis, (low, high) in zip(AXES, ends, strict=True):
        if not low < high:
            raise context.error(f"the range goes from {low:g} to {high:g}; the smaller stands first", *path, axis)
    numbers = {word: context.number(getattr(out, word), unit, *path, word)
               for word, unit in (("voxel", "um"), ("volume_fraction", ""), ("tortuosity", ""))}  # fmt: skip
    for word, value in numbers.items():
        if not value > 0:
            raise context.error(f"it is {value:g}; it must be more than zero", *path, word)
    return Region(name, box=(*ends[:, 0].tolist(), *ends[:, 1].tolist()), dx=numbers["voxel"],
                  volume_fraction=numbers["volume_fraction"], tortuosity=numbers["tortuosity"])  # fmt: skip


def _list(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _species(context: Context, said: Chemistry) -> Iterator[Species]:
    for name, item in said.species.items():
        path: Path_ = ("rxd", "species", name)
        d = context.number(item.d, "", *path, "d")
        if d < 0:
            raise context.error(f"it is {d:g}; it must not be negative", *path, "d")
        boundary = None if item.boundary is None else context.number(item.boundary, "mM", *path, "boundary")
        yield Species(name, _list(item.regions), "species", d, item.charge,
                      _initial(context, item.initial, (*path, "initial")), boundary)  # fmt: skip
    for name, state in said.states.items():
        initial = _initial(context, state.initial, ("rxd", "states", name, "initial"))
        yield Species(name, _list(state.regions), "state", initial=initial)
    for name, given in said.parameters.items():
        value = _initial(context, given.value, ("rxd", "parameters", name, "value"))
        yield Species(name, _list(given.regions), "parameter", initial=value)


def _initial(context: Context, value: Any, path: Path_) -> Any:
    """Numbers with units become numbers of mM; formulas of the place stay."""
    if isinstance(value, dict):
        return {region: _initial(context, one, (*path, region)) for region, one in value.items()}
    if isinstance(value, str):
        if not used_names(value) & set(OF_NODE):
            return context.number(value, "mM", *path)
    return value


def _reactions(context: Context, said: Chemistry) -> Iterator[Reaction]:
    for name, item in said.reactions.items():
        for arrow in ("<->", "->", None):
            if arrow is None:
                raise context.error(f"'{item.scheme}' has no arrow; expected A + B <-> C, or A -> B", "rxd",
                                    "reactions", name, "scheme")  # fmt: skip
            left, found, right = item.scheme.partition(arrow)
            if found:
                break
        if (arrow == "<->") != (item.backward is not None):
            which = "needs a backward rate" if arrow == "<->" else "has a backward rate; its arrow is <->"
            raise context.error(f"the reaction {which}", "rxd", "reactions", name)
        kind = "multicompartment" if item.membrane is not None else "reaction"
        yield Reaction(
            name, kind, left.strip(), right.strip(), item.forward, item.backward,
            None if item.regions is None else _list(item.regions), item.custom, item.membrane, item.membrane_flux,
            item.by_area,
        )  # fmt: skip
    for name, rate in said.rates.items():
        regions = None if rate.regions is None else _list(rate.regions)
        yield Reaction(name, "rate", rate.species, "", rate.rate, None, regions, membrane_flux=rate.membrane_flux)
