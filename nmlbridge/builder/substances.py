"""The words of reactions and diffusion (``rxd``)."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from .words import Id, Item, Range, Selection, Value, one_of


class Geometry(Item):
    """The shape of a region within its sections; the words beside are those of NEURON's geometry of that kind."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, bool | Value]
    type: Literal["shell", "fraction", "border", "boundary", "cross_section", "perimeter"] = Field(
        description="shell: lo, hi; fraction: volume_fraction, surface_fraction; border: scale, on_cell_surface ..."
    )


class Outside(Item):
    """The space outside of cells: a box (um) in voxels."""

    x: Range
    y: Range
    z: Range
    voxel: Value = Field(default=10.0, description="um")
    volume_fraction: Value = 1.0
    tortuosity: Value = 1.0


class ReactionRegion(Item):
    """Where substances are: in whole sections of cells, or in the space outside of them."""

    cells: Selection | None = None
    where: Selection = Field(default="all", description="which sections")
    side: Literal["i", "o"] | None = Field(default=None, description="of the membrane, as NEURON's ions know it")
    geometry: Literal["inside", "membrane"] | Geometry = "inside"
    outside: Outside | None = None

    @model_validator(mode="after")
    def _place(self) -> ReactionRegion:
        one_of(self, ("cells", "outside"))
        return self


class Substance(Item):
    """A substance, as a concentration (mM) in regions."""

    regions: str | list[str]
    d: Value = Field(default=0.0, description="um2/ms: how it diffuses")
    charge: int = 0
    initial: Value | dict[Id, Value] | None = Field(
        default=None, description="mM; a formula of x, y, z, path_dist, diam; or one for each region"
    )
    boundary: Value | None = Field(default=None, description="mM at the borders of the space outside (default: closed)")


class State(Item):
    """A quantity that reactions and rates change, and that does not diffuse."""

    regions: str | list[str]
    initial: Value | dict[Id, Value] | None = None


class Given(Item):
    """A quantity that stays as it is, and may vary with the place."""

    regions: str | list[str]
    value: Value | dict[Id, Value]


class ReactionRule(Item):
    """A reaction by the law of mass action, or with rates of its own."""

    scheme: str = Field(description="2 * ca + buf <-> cabuf; or -> if nothing goes back; ca[er] -> ca[cyt]")
    forward: float | str = Field(description="a number, or a formula of species, parameters and v")
    backward: float | str | None = None
    regions: str | list[str] | None = None
    custom: bool = Field(default=False, description="the rates are whole, not multiplied by concentrations")
    membrane: str | None = Field(default=None, description="the region between those that the reaction joins")
    membrane_flux: bool = Field(default=False, description="what crosses the membrane is a current of the cell")
    by_area: bool = Field(default=True, description="the rate is for an area of the membrane")


class RateRule(Item):
    """How fast a species or state grows."""

    species: str = Field(description="ca, or ca[er]")
    rate: float | str = Field(description="mM/ms: a formula of species, parameters and v")
    regions: str | list[str] | None = None
    membrane_flux: bool = False


class Chemistry(Item):
    """Reactions and diffusion, by NEURON's rxd."""

    regions: dict[Id, ReactionRegion]
    species: dict[Id, Substance] = {}
    states: dict[Id, State] = {}
    parameters: dict[Id, Given] = {}
    reactions: dict[Id, ReactionRule] = {}
    rates: dict[Id, RateRule] = {}
