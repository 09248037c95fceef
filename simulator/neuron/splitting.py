"""Cells that cost so much that they limit the ranks: cut into pieces, which are dealt out with all other cells.

As long as the fullest rank has noticeably more than the mean, its dearest cell is cut (see ``cut``) into pieces of
at most a fraction of the mean; several fractions are tried, and the coarsest that comes out even is taken. A cell is
cut only if that makes the fullest rank's step shorter by more than what the pieces' talk costs in each step.

NEURON joins pieces under fixed steps only, CoreNEURON not at all; fields, electrodes, reactions and plastic connections
look at a cell as a whole. Then cells stay whole, and ``hindrance`` says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ...errors import UnsupportedError, UsageError
from ..program import Program
from .cut import Tree, cut, united, wires
from .places import Places, home_section
from .ranks import Cut, Floats, Placement, deal, named, section_costs, step_costs, sums, template_of

SPLITS = ("auto", "off", "force")
"""Whether cells are cut: those that limit the ranks, if it is worth it; none; the dearest at least, or an error."""

_UNEVEN = 1.1  # of the mean: the load of the fullest rank from which on a cell of it may be cut
_GAIN = 0.9  # of the fullest rank's load: what must be left after a cut
_TALK = 50000.0  # operations of a step: messages between pieces, and waiting for them (docs/scaling.md)
_JOINED = 60.0  # what a compartment costs more in pieces: multisplit goes through a tree more slowly than tree.py
_FRACTIONS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08)
_LOOK = 256  # cells of a rank that are looked at, the dearest first
_SLACK = 1.03  # what a coarser cut may cost more than the finest


@dataclass(frozen=True)
class Part:
    """A cell that may be cut: its tree, what a step of each section costs, and how much more if the cell is cut."""

    tree: Tree
    costs: Floats
    joined: Floats


def place(program: Program, ranks: int, how: str = "auto") -> Placement:
    """Where cells and pieces of cells go; ``how`` is one of SPLITS.

    Raises UsageError if ``how`` asks to cut and there is but one rank, UnsupportedError if no cell can be cut.
    """
    if how not in SPLITS:
        raise UsageError(f"there is no way '{how}' to split cells; there are {', '.join(SPLITS)}")
    if ranks < 2:
        if how == "force":
            raise UsageError("--split force needs ranks to split a cell over: add -n 2 or more")
        return Placement(program, ranks)
    costs = step_costs(program)
    whole = Placement(program, ranks, deal(costs, ranks))
    assert whole.homes is not None
    whole.weigh(costs, sums(whole.homes, costs, ranks))
    if how == "off" or not costs.sum() > 0:
        return whole
    loads = whole.loads
    if how == "auto" and loads.max() <= _UNEVEN * loads.mean():
        return whole
    why = hindrance(program)
    if why is not None:
        if how == "force":
            raise UnsupportedError(f"no cell can be split over ranks: {why}; leave out --split force")
        whole.hindrance = why
        return whole
    return _divided(program, whole, costs, how == "force")


def remarks(program: Program, placement: Placement) -> Iterator[str]:
    """What one should know of a placement: the cells that are cut, and ranks that cannot be of use."""
    for gid, found in placement.cuts.items():
        yield (
            f"the cell {named(program, gid)} is split over {len(np.unique(found.homes))} ranks: "
            f"{found.pieces.max() + 1} pieces, joined at {len(wires(found.tree, found.pieces))} places; sums are in "
            "another order than in a whole cell, so that numbers agree to rounding (--split off keeps it whole)"
        )
    share, ranks = placement.share, placement.ranks
    useful = math.ceil(1 / share - 1e-9) if share > 0 else ranks
    if ranks > useful or placement.hindrance:
        why = f": {placement.hindrance}" if placement.hindrance else ""
        yield (
            f"one cell is {share:.0%} of the work, and it is not split over ranks{why}; more than {useful} ranks do "
            f"not make this faster, and there are {ranks}"
        )


def hindrance(program: Program) -> str | None:
    """Why no cell of a Program can be split, if that is so."""
    spec = program.spec
    run = spec["run"]
    for stops, why in (
        (run.get("coreneuron"), "CoreNEURON has no split cells"),
        (run.get("cvode"), "NEURON splits cells under fixed steps only, and this run has variable ones (cvode)"),
        (run.get("pointers"), "the compatibility scheme runs on one rank"),
        (spec.get("rxd"), "reactions and diffusion need whole cells"),
        (spec.get("fields"), "imposed fields need whole cells"),
        (spec.get("electrodes"), "electrodes need whole cells"),
        (spec.get("alone"), "one cell is run alone"),
    ):
        if stops:
            return why
    return None


def _divided(program: Program, whole: Placement, costs: Floats, force: bool) -> Placement:
    best, parts, tied = whole, dict[int, Part](), _tied(program)
    while not parts or best.loads.max() > _UNEVEN * best.loads.mean():
        first = force and not parts
        gids = _limiting(program, best, costs, {*parts, *tied}, first)
        if not gids:
            if first:
                raise UnsupportedError(
                    "no cell can be split over ranks: none has several sections that may come apart (where sums over "
                    "a whole cell are recorded, or connections to it are plastic, they may not); leave out --split"
                )
            break
        more = parts | {gid: _part(program, gid) for gid in gids}
        found = _dealt(program, whole, costs, more, first)
        if not found.cuts or not (first or found.loads.max() + _TALK <= _GAIN * best.loads.max()):
            break
        best, parts = found, more
    if best is whole and tied:
        best.hindrance = tied.get(int(costs.argmax()))
    return best


def _part(program: Program, gid: int) -> Part:
    sections = template_of(program, gid)["sections"]
    joined = _JOINED * np.array([int(section.get("nseg", 1)) for section in sections], float)
    return Part(Tree.of(sections), section_costs(program, gid), joined)


def _limiting(program: Program, placed: Placement, costs: Floats, but: set[int], anywhere: bool) -> list[int]:
    """All cells of several sections that cost more than the mean of ranks, or else the dearest cell on the fullest rank
    (or ``anywhere``); none of ``but``."""
    assert placed.homes is not None

    def able(gid: int) -> bool:
        with suppress(KeyError):  # an artificial cell
            return gid not in but and len(template_of(program, gid)["sections"]) > 1
        return False

    giants = np.flatnonzero(costs > _UNEVEN * placed.loads.mean()).tolist()
    if found := [gid for gid in giants if able(gid)]:
        return found
    here = np.arange(len(costs)) if anywhere else np.flatnonzero(placed.homes == placed.loads.argmax())
    dearest = here[np.argsort(-costs[here], kind="stable")][:_LOOK].tolist()
    return list(filter(able, dearest))[:1]


def _dealt(program: Program, whole: Placement, costs: Floats, parts: Mapping[int, Part], force: bool) -> Placement:
    """The cells of ``parts`` in pieces and all others whole, on ranks; the coarsest cut of those that come out even.

    With ``force`` no part stays in one piece, where that can be.
    """
    mean = float(whole.loads.mean())
    if force:
        mean = min(mean, *(0.6 * float(part.costs.sum()) for part in parts.values()))
    found = [_pieces(program, whole.ranks, costs, parts, mean * fraction, force) for fraction in _FRACTIONS]
    least = min(each.loads.max() for each in found)
    even = [each for each in found if each.loads.max() <= _SLACK * least]
    if force:
        even = [each for each in found if set(each.cuts) == set(parts)] or even
        even.sort(key=lambda each: float(each.loads.max()))
    return even[0]


def _pieces(
    program: Program, ranks: int, costs: Floats, parts: Mapping[int, Part], limit: float, force: bool
) -> Placement:
    """The same with pieces of at most ``limit``."""
    rest = np.setdiff1d(np.arange(len(costs)), list(parts))
    pieces = {gid: cut(part.tree, part.costs, limit) for gid, part in parts.items()}
    each = {gid: sums(pieces[gid], part.costs) for gid, part in parts.items()}
    dealt = deal(np.concatenate([costs[rest], *each.values()]), ranks)
    homes, cuts, start = np.zeros(len(costs), np.uint16), {}, len(rest)
    homes[rest] = dealt[:start]
    loads = sums(homes[rest], costs[rest], ranks)
    for gid, part in parts.items():
        own = dealt[start : start + len(each[gid])].astype(np.int64)
        start += len(own)
        if force and len(set(own.tolist())) == 1:
            own = deal(each[gid], ranks).astype(np.int64)
        loads += sums(own, each[gid], ranks)
        sections = own[pieces[gid]]
        homes[gid] = sections[home_section(template_of(program, gid))]
        if len(set(own.tolist())) > 1:
            loads += sums(sections, part.joined, ranks)
            cuts[gid] = Cut(part.tree, united(part.tree, pieces[gid], own), sections)
    found = Placement(program, ranks, homes, cuts)
    found.weigh(costs, loads)
    return found


def _tied(program: Program) -> dict[int, str]:
    """Cells that stay whole, and why."""
    found: dict[int, str] = {}
    spec, places = program.spec, Places(program)
    for group in spec.get("netcons", ()):
        if "plastic" in group:
            index = program.column(group["index"])
            for entry in group["plastic"]:
                gids, _ = places.target(group, index[entry["begin"] : entry["end"]], exact=False)
                found |= dict.fromkeys(np.unique(gids).tolist(), "connections to it are plastic")
    groups = {each["id"]: each for each in (*spec.get("points", ()), *spec.get("generators", ()))}
    for recording in spec.get("recordings", ()):
        at = set()
        for term in recording.get("terms", ()):
            if "section" in term:
                at.add((int(term["gid"]), int(term["section"])))
            elif group := groups.get(term.get("points", term.get("generators"))):
                gids, sections = places.of(group, np.array([term["index"]]))
                at.add((int(gids[0]), int(sections[0])))
        if len(at) > 1:
            found |= dict.fromkeys((gid for gid, _ in at), "a sum over several of its sections is recorded")
    return found
