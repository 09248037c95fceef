"""What a Program has of everything, rank by rank. Nothing is built or run: the counts come from its tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..neuron.ranks import Placement, deal, step_costs
from ..program import Program
from ..work import contents

Counts = NDArray[np.float64]  # one number a rank


@dataclass
class Load:
    """How many of each thing every rank has: arrays of one number a rank."""

    ranks: int
    cells: Counts
    segments: Counts
    netcons: Counts
    transfers: Counts
    instances: dict[str, Counts] = field(default_factory=dict)  # by mechanism
    columns: int = 0
    dearest: str = ""
    """the cell whose step costs most, as population[row]"""
    share: float = 0.0
    """of that cell in the work of all; a cell is on one rank, so more than 1/share ranks do not help"""

    def zero(self) -> Counts:
        """No thing on any rank."""
        return np.zeros(self.ranks)

    def add(self, mechanism: str, counts: Counts) -> None:
        """So many more instances of a mechanism."""
        self.instances[mechanism] = self.instances.get(mechanism, self.zero()) + counts


def load(program: Program, ranks: int) -> Load:
    """Count a Program on so many ranks."""
    spec = program.spec
    empty = np.zeros(ranks)
    found = Load(ranks, empty.copy(), empty.copy(), empty.copy(), empty.copy())
    found.columns = sum("constant" not in recording for recording in spec.get("recordings", ()))
    templates = [contents(each) for each in spec.get("templates", ())]
    step = step_costs(program)
    if len(step) and step.sum() > 0:
        gid = int(step.argmax())
        found.share = float(step[gid] / step.sum())
        home = next(p for p in spec["populations"] if p["first_gid"] <= gid < p["first_gid"] + p["size"])
        found.dearest = f"{home['id']}[{gid - home['first_gid']}]"
    placement = Placement(program, ranks, deal(step, ranks) if ranks > 1 else None)
    homes: dict[str, NDArray[np.int64]] = {}
    for population in spec.get("populations", ()):
        gids = np.arange(population["first_gid"], population["first_gid"] + population["size"])
        homes[population["id"]] = placement.of(gids)
        counts = _per_rank(homes[population["id"]], ranks)
        if "artificial" in population:
            found.add(population["artificial"], counts)
            continue
        segments, mechanisms = templates[population["template"]]
        found.cells += counts
        found.segments += segments * counts
        for mechanism, number in mechanisms.items():
            found.add(mechanism, number * counts)
    for kind in ("points", "generators"):
        for group in spec.get(kind, ()):
            home = placement.of(program.column(group["gid"]).astype(np.int64))
            if kind == "points":
                homes[group["id"]] = home
            found.add(group["mechanism"], _per_rank(home, ranks))
            if kind == "generators" and group.get("targets"):
                found.netcons += _per_rank(home, ranks)
    for group in spec.get("netcons", ()):
        rows = program.column(group["index"]).astype(np.int64)
        found.netcons += _per_rank(homes[group["points"]][rows], ranks)
    for group in spec.get("transfers", ()):
        rows = program.column(group["index"]).astype(np.int64)
        found.transfers += _per_rank(homes[group["points"]][rows], ranks)
    return found


def shortest_delay(program: Program) -> float:
    """The least delay (ms) between cells, after which ranks must exchange spikes; at most 10 ms."""
    delays = [program.column(group["delay"]) for group in program.spec.get("netcons", ())]
    least = min((float(column.min()) for column in delays if len(column)), default=10.0)
    return min(max(least, float(program.spec["run"]["dt"])), 10.0)


def _per_rank(home: NDArray[np.int64], ranks: int) -> Counts:
    return np.bincount(home, minlength=ranks).astype(float)
