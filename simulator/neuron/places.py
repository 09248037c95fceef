"""Which cell and which of its sections each row of a Program's groups is on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program import Program

Ints = NDArray[np.int64]


class Places:
    """Answers for one Program, from its tables."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.points = {each["id"]: each for each in program.spec.get("points", ())}
        self.populations = {each["id"]: each for each in program.spec.get("populations", ())}

    def of(self, group: Mapping[str, Any], rows: Ints) -> tuple[Ints, Ints]:
        """gid and section of rows of an entry of "points", or of "generators": there of what a generator drives."""
        gids = self.program.column(group["gid"])[rows].astype(np.int64)
        if "section" in group:
            return gids, self.program.column(group["section"])[rows].astype(np.int64)
        targets = group.get("targets")
        if not targets:
            return gids, np.zeros_like(gids)
        return gids, self.target(targets, self.program.column(targets["index"])[rows])[1]

    def target(self, group: Mapping[str, Any], index: NDArray[Any], exact: bool = True) -> tuple[Ints, Ints]:
        """gid and section of what values of ``index`` stand for: rows of a group of points, or cells of a population.

        No sections are found if not ``exact``. KeyError if there is neither group nor population.
        """
        id, index = group["points"], index.astype(np.int64)
        if id in self.points:
            if not exact:
                return self.program.column(self.points[id]["gid"])[index].astype(np.int64), index[:0]
            return self.of(self.points[id], index)
        population = self.populations[id]
        point, section = int(group.get("template_point", 0)), 0
        if "template" in population:
            made = self.program.spec["templates"][population["template"]].get("points", ())
            section = int(made[point]["section"]) if point < len(made) else 0
        return index + population["first_gid"], np.full(len(index), section)

    def source(self, gids: Ints) -> tuple[Ints, Ints]:
        """The cell and section that the events of some gids come from; those that nothing has are their own cells."""
        cells, sections = gids.copy(), np.zeros_like(gids)
        for population in self.populations.values():
            if "template" in population:
                here = (gids >= population["first_gid"]) & (gids < population["first_gid"] + population["size"])
                sections[here] = home_section(self.program.spec["templates"][population["template"]])
        for each in self.program.spec.get("sources", ()):
            here = (gids >= each["first_gid"]) & (gids < each["first_gid"] + each["size"])
            cells[here] += each["cells"] - each["first_gid"]
            sections[here] = each["section"]
        return cells, sections


def home_section(template: Mapping[str, Any]) -> int:
    """The section that a cell's own events come from; the first if it sends none."""
    source = template.get("source")
    if source is None:
        return 0
    return int(source["section"] if source["kind"] == "voltage" else template["points"][source["point"]]["section"])
