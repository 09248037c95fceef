"""What a Program has besides cells and connections, rank by rank: fields, electrodes, reactions and diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..neuron.ranks import Placement
from ..program import Program

Counts = NDArray[np.float64]  # one number a rank
PARTS = ("fields", "electrodes", "rxd")


def parts_of(program: Program) -> tuple[str, ...]:
    """Which of PARTS a Program has."""
    return tuple(part for part in PARTS if program.spec.get(part))


@dataclass(frozen=True, eq=False)
class Outside:
    """``imposed``: compartments in fields, once for each field. ``seen``: those that electrodes see; ``products``: with
    how many rows of matrices these are multiplied at each sample, summed. ``nodes``: values of concentrations in cells,
    ``reacting``: in how many of these something reacts, summed over reactions, ``voxels``: values outside of cells.
    """

    imposed: Counts
    seen: Counts
    products: Counts
    nodes: Counts
    reacting: Counts
    voxels: float = 0.0
    reactions: int = 0


def outside(program: Program, ranks: int, placement: Placement) -> Outside:
    """Count. Cells that are split count where their first piece is."""
    spec, zero = program.spec, np.zeros(ranks)
    sizes = _sizes(program)

    def per_rank(gids: NDArray[Any], numbers: NDArray[Any]) -> Counts:
        return np.bincount(placement.of(gids), weights=numbers, minlength=ranks).astype(float)

    imposed, seen, products = zero.copy(), zero.copy(), zero.copy()
    for field in spec.get("fields", ()):
        gids = field["first_gid"] + program.column(field["rows"]).astype(np.int64)
        imposed += per_rank(gids, sizes[gids])
    electrodes = spec.get("electrodes")
    if electrodes:
        for group in electrodes["populations"]:
            gids = np.arange(group["first_gid"], group["first_gid"] + group["size"])
            seen += per_rank(gids, sizes[gids])
        rows = len(program.column(electrodes["positions"])) + 3 * bool(electrodes["dipole"])
        products = rows * seen
        for first, size in electrodes["views"]:
            gids = np.arange(first, first + size)
            products = products + rows * per_rank(gids, sizes[gids])
    nodes, reacting, voxels, reactions = zero.copy(), zero.copy(), 0.0, 0
    if chemistry := spec.get("rxd"):
        where = {region["name"]: _region(program, region, per_rank) for region in chemistry["regions"]}
        for species in chemistry["species"]:
            for name in species["regions"]:
                inside, out = where[name]
                nodes, voxels = nodes + inside, voxels + out
        reactions = len(chemistry["reactions"])
        for reaction in chemistry["reactions"]:
            for name in where if reaction["regions"] is None else reaction["regions"]:
                reacting = reacting + where[name][0]
    return Outside(imposed, seen, products, nodes, reacting, voxels, reactions)


def _region(program: Program, region: Mapping[str, Any], per_rank: Any) -> tuple[Counts, float]:
    """Compartments of a region on each rank, and voxels outside of cells."""
    if region.get("box") is not None:
        low, high = np.array(region["box"][:3]), np.array(region["box"][3:])
        empty = np.zeros(0, np.int64)
        return per_rank(empty, empty), float(np.prod(np.ceil((high - low) / np.asarray(region["dx"]))))
    gids = program.column(region["gid"]).astype(np.int64)
    sections = program.column(region["section"]).astype(np.int64)
    numbers = np.ones(len(gids))
    for population in program.spec["populations"]:
        if "template" in population:
            parts = program.spec["templates"][population["template"]]["sections"]
            nseg = np.array([part.get("nseg", 1) for part in parts])
            mine = (gids >= population["first_gid"]) & (gids < population["first_gid"] + population["size"])
            numbers[mine] = nseg[sections[mine]]
    return per_rank(gids, numbers), 0.0


def _sizes(program: Program) -> NDArray[np.int64]:
    """The compartments of each cell, by gid; 0 for what has none."""
    populations = program.spec.get("populations", ())
    found = np.zeros(max((p["first_gid"] + p["size"] for p in populations), default=0), np.int64)
    for population in populations:
        if "template" in population:
            sections = program.spec["templates"][population["template"]]["sections"]
            first = population["first_gid"]
            found[first : first + population["size"]] = sum(section.get("nseg", 1) for section in sections)
    return found
