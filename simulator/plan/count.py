"""What a Program has of everything, rank by rank. Nothing is built or run: the counts come from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pile import blocks, extremes, release
from ..neuron.ranks import Cut, Placement, named, step_costs, sums, template_of
from ..neuron.shares import row_homes, target_homes
from ..neuron.splitting import place, remarks
from ..program import Program
from ..work import contents
from .outside import Outside, outside, parts_of

Counts = NDArray[np.float64]  # one number a rank


@dataclass
class Load:
    """How many of each thing every rank has: arrays of one number a rank."""

    ranks: int
    cells: Counts
    sections: Counts
    segments: Counts
    netcons: Counts
    transfers: Counts
    driven: Counts
    """of the netcons: from artificial cells and generators"""
    instances: dict[str, Counts] = field(default_factory=dict)  # by mechanism
    columns: int = 0
    outside: Outside | None = None
    dearest: str = ""
    """the cell whose step costs most, as population[row], of those that stay whole"""
    share: float = 0.0
    """of that cell in the work of all; more than 1/share ranks do not help"""
    split: tuple[str, ...] = ()
    """the cells that are split over ranks"""
    remarks: tuple[str, ...] = ()
    """on the placement"""

    def zero(self) -> Counts:
        """No thing on any rank."""
        return np.zeros(self.ranks)

    def add(self, mechanism: str, counts: Counts) -> None:
        """So many more instances of a mechanism."""
        self.instances[mechanism] = self.instances.get(mechanism, self.zero()) + counts


def load(program: Program, ranks: int, placement: Placement | None = None) -> Load:
    """Count a Program on so many ranks, placed as a run would place it if nothing else is said."""
    spec = program.spec
    empty = np.zeros(ranks)
    found = Load(ranks, *[empty.copy() for _ in range(6)])  # type: ignore[arg-type]  # before the fields with defaults
    found.columns = sum("constant" not in r and "field" not in r for r in spec.get("recordings", ()))
    placement = placement or place(program, ranks)
    found.outside = outside(program, ranks, placement) if parts_of(program) else None
    # on one rank: which cells would limit two
    limits = placement if ranks > 1 else place(program, 2)
    step = step_costs(program)
    step[list(limits.cuts)] = 0
    if len(step) and step.sum() > 0:
        found.dearest, found.share = named(program, int(step.argmax())), limits.share
    found.split = tuple(named(program, gid) for gid in placement.cuts)
    found.remarks = tuple(remarks(program, placement))
    templates = [contents(each) for each in spec.get("templates", ())]
    for population in spec.get("populations", ()):
        gids = np.arange(population["first_gid"], population["first_gid"] + population["size"])
        if "artificial" in population:
            found.add(population["artificial"], _per_rank(placement.of(gids), ranks))
            continue
        segments, mechanisms = templates[population["template"]]
        counts = _per_rank(placement.of(gids[~np.isin(gids, list(placement.cuts))]), ranks)
        found.cells += counts
        found.sections += len(spec["templates"][population["template"]]["sections"]) * counts
        found.segments += segments * counts
        for mechanism, number in mechanisms.items():
            found.add(mechanism, number * counts)
    for gid, cut in placement.cuts.items():
        _count_pieces(found, template_of(program, gid), cut)
    for kind in ("points", "generators"):
        for group in spec.get(kind, ()):
            counts = _per_rank(row_homes(program, group, placement), ranks)
            found.add(group["mechanism"], counts)
            if kind == "generators" and group.get("targets"):
                found.netcons += counts
                found.driven += counts
    sources = [(p["first_gid"], p["size"]) for p in spec.get("populations", ()) if "artificial" in p]
    for group in spec.get("netcons", ()):
        homes = target_homes(program, group, placement)
        found.netcons += _per_rank(homes, ranks)
        heads = program.column(group["source_gid"])
        for first, size in sources:
            found.driven += _per_rank(homes[(heads >= first) & (heads < first + size)], ranks)
    for group in spec.get("transfers", ()):
        found.transfers += _per_rank(target_homes(program, group, placement), ranks)
    return found


def _count_pieces(found: Load, template: Mapping[str, Any], cut: Cut) -> None:
    """Add what a cell in pieces has on each rank; as a cell it is where its first section is."""
    found.cells[cut.homes[0]] += 1
    sizes = np.array([section.get("nseg", 1) for section in template["sections"]], float)
    found.sections += _per_rank(cut.homes, found.ranks)
    found.segments += sums(cut.homes, sizes, found.ranks)
    for insert in template.get("inserts", ()):
        members = np.asarray(insert["sections"], int)
        found.add(insert["mechanism"], sums(cut.homes[members], sizes[members], found.ranks))
    for point in template.get("points", ()):
        found.add(point["mechanism"], _per_rank(cut.homes[[point["section"]]], found.ranks))


def shortest_delay(program: Program) -> float:
    """The least delay (ms) between cells of at least a step, after which ranks must exchange spikes; at most 10 ms."""
    dt = float(program.spec["run"]["dt"])
    delays = [program.column(group["delay"]) for group in program.spec.get("netcons", ())]
    longer = [column if float(extremes(column)[0]) >= dt - 1e-9 else column[column >= dt - 1e-9]
              for column in delays if len(column)]  # fmt: skip
    return min([10.0, *(float(extremes(column)[0]) for column in longer if len(column))])


def hasty(program: Program) -> bool:
    """Whether connections are shorter than a step: ranks then tell each other voltages at each step."""
    dt = float(program.spec["run"]["dt"])
    delays = [program.column(group["delay"]) for group in program.spec.get("netcons", ())]
    return any(float(extremes(column)[0]) < dt - 1e-9 for column in delays if len(column))


def _per_rank(home: NDArray[Any], ranks: int) -> Counts:
    found = np.zeros(ranks)
    for rows in blocks(len(home)):
        found += np.bincount(home[rows], minlength=ranks)
        release(home)
    return found
