"""Where cells without 3-D points lie: as NEURON lays them out, whatever the number of ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import Network

_APART = 100.0  # um along z: NEURON's define_shape lays out so far apart the sections that have no parent


def define_shape(network: Network) -> None:
    """Give points to the sections of this rank that have none.

    NEURON counts the sections of the process, and puts an undrawn cell 100 um behind the origin for each section before
    it. Here those of all ranks are counted, so that on many ranks cells lie where they lie on one.
    """
    h, cells = network.h, network.cells
    bare = {gid: cell.sections[0] for gid, cell in cells.items() if cell.sections and not h.n3d(sec=cell.sections[0])}
    h.define_shape()
    if network.ranks == 1 or not bare:
        return
    spec, before = network.program.spec, 0
    for population in spec.get("populations", ()):
        if "template" not in population:
            continue
        begin, size = population["first_gid"], population["size"]
        each, number = len(spec["templates"][population["template"]]["sections"]), before
        before += size * each
        for gid in network.local(begin, size):
            if gid not in bare:
                continue
            shift = _APART * (number + (gid - begin) * each) - h.z3d(0, sec=bare[gid])
            if not shift:
                continue
            for section in cells[gid].sections:
                for i in range(int(h.n3d(sec=section))):
                    h.pt3dchange(i, h.x3d(i, sec=section), h.y3d(i, sec=section), h.z3d(i, sec=section) + shift,
                                 h.diam3d(i, sec=section), sec=section)  # fmt: skip
