"""Reactions and diffusion of substances in and around cells: regions, species, reactions.

Units are NEURON's: um, ms, mM, um2/ms; rates of reactions in mM/ms, of reactions across membranes in molecules/um2/ms.
https://nrn.readthedocs.io/en/latest/python/modelspec/programmatic/rxd.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import LemsError, NetworkError
from ..units import nearest
from .chemistry import check_initial, check_rate, parse
from .columns import Ints

GEOMETRIES: dict[str, tuple[str, ...]] = {
    "inside": (), "membrane": (), "Shell": ("lo", "hi"), "FixedCrossSection": ("cross_area", "surface_area"),
    "FractionalVolume": ("volume_fraction", "surface_fraction", "neighbor_areas_fraction"),
    "FixedPerimeter": ("perimeter", "on_cell_surface"), "DistributedBoundary": ("area_per_vol", "perim_per_area"),
    "ScalableBorder": ("scale", "diam_scale", "on_cell_surface"),
}  # fmt: skip
"""NEURON's geometries of regions, and what each may be given"""
KINDS = ("reaction", "multicompartment", "rate")


@dataclass(frozen=True, eq=False)
class Part:
    """Cells of a population that a region is in: rows, and segments (None: the whole of each cell)."""

    population: str
    rows: Ints
    segments: Ints | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A part of cells: ``side`` is "i", "o" or None, what NEURON's ions of that side take part in.

    Or, with ``box`` (low x, y, z, high x, y, z; um) and voxels of ``dx`` um, the space outside of cells.
    """

    name: str
    parts: tuple[Part, ...] = ()
    side: str | None = None
    geometry: str = "inside"
    numbers: Mapping[str, float | bool] = field(default_factory=dict)
    box: tuple[float, ...] | None = None
    dx: float | tuple[float, ...] = 10.0
    volume_fraction: float = 1.0
    tortuosity: float = 1.0


@dataclass(frozen=True, eq=False)
class Species:
    """A substance ("species"), a "state", or a "parameter", in some regions.

    ``initial`` is a number, a formula of the place, or one of these by region; None leaves it to NEURON. ``boundary``
    is the concentration at the borders of the space outside (None: nothing crosses them). ``scale`` is what the
    absolute tolerance of variable steps is multiplied with (None: as for concentrations of LEMS).
    """

    name: str
    regions: tuple[str, ...]
    kind: str = "species"
    d: float | tuple[float, ...] = 0.0
    charge: int = 0
    initial: float | str | Mapping[str, float | str] | None = None
    boundary: float | None = None
    scale: float | None = None


@dataclass(frozen=True, eq=False)
class Reaction:
    """``left`` becomes ``right`` at the rate ``forward``, and back; or, of kind "rate", ``left`` grows at ``forward``.

    With ``custom`` the rates are not multiplied by the concentrations. ``regions`` None means all.
    """

    name: str
    kind: str
    left: str
    right: str
    forward: float | str
    backward: float | str | None = None
    regions: tuple[str, ...] | None = None
    custom: bool = False
    membrane: str | None = None
    membrane_flux: bool = False
    by_area: bool = True


@dataclass(frozen=True, eq=False)
class Reactions:
    """All regions, species and reactions of a network. Raises NetworkError that names the part at fault."""

    regions: dict[str, Region]
    species: dict[str, Species]
    reactions: dict[str, Reaction]
    constants: dict[str, float] = field(default_factory=dict)
    file: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        for region in self.regions.values():
            if region.geometry not in GEOMETRIES:
                raise self.error("regions", region.name, f"there is no geometry '{region.geometry}'"
                                 f"{nearest(region.geometry, GEOMETRIES)}")  # fmt: skip
            for word in region.numbers:
                if word not in GEOMETRIES[region.geometry]:
                    raise self.error("regions", region.name, f"{region.geometry} has no '{word}'")
        for one in self.species.values():
            for name in one.regions:
                self._region("species", one.name, name)
            given = one.initial if isinstance(one.initial, Mapping) else {"": one.initial}
            for region_name, value in given.items():
                if region_name:
                    self._region("species", one.name, region_name)
                if isinstance(value, str):
                    self._checked("species", one.name, value, initial=True)
        for reaction in self.reactions.values():
            for text in (reaction.left, reaction.right, reaction.forward, reaction.backward):
                if isinstance(text, str) and text:
                    self._checked("reactions", reaction.name, text)
            for name in reaction.regions or ():
                self._region("reactions", reaction.name, name)
            if reaction.kind == "multicompartment" and reaction.membrane is None:
                raise self.error("reactions", reaction.name, "it joins regions, and needs the membrane between them")
            if reaction.membrane is not None:
                self._region("reactions", reaction.name, reaction.membrane)

    def _region(self, kind: str, name: str, region: str) -> None:
        if region not in self.regions:
            raise self.error(kind, name, f"there is no region '{region}'"
                             f"{nearest(region, self.regions) or '; there are ' + ', '.join(self.regions)}")

    def _checked(self, kind: str, name: str, text: str, initial: bool = False) -> None:
        try:
            tree = parse(text)
            if initial:
                check_initial(tree, self.constants)
            else:
                check_rate(tree, self.species, self.regions, self.constants)
        except LemsError as fault:
            raise self.error(kind, name, fault.message) from None

    def error(self, kind: str, name: str, message: str) -> NetworkError:
        """A NetworkError at a part."""
        return NetworkError(message, file=self.file, line=self.line, component=f"rxd.{kind}.{name}")

    @property
    def outside(self) -> bool:
        """Whether there is a region outside of cells."""
        return any(region.box is not None for region in self.regions.values())

    def summary(self) -> dict[str, Any]:
        """Counts, as plain values."""
        return {"regions": len(self.regions), "species": list(self.species), "reactions": len(self.reactions)}
