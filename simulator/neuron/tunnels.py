"""Continuous coupling: what each half of a pair reads from the other one.

LEMS calls this a tunnel: the half's ``peer`` is the half at the other end, which shows its own variables and those of
the cell that it is on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import UnsupportedError
from ...graph import Projection
from ...lems.expression import names
from ...lems.flat import FlatComponent
from ...nmodl.equations import from_flat
from .attachments import Attachment, Floats, Ints, PeerPoint, Rows
from .population import CellKind, Kind

_OF_A_PLACE = {"v": "v", "caConc": "cai", "caConcExt": "cao", "caConc2": "ca2i", "caConcExt2": "ca2o"}


@dataclass(frozen=True)
class End:
    """One side of rows of a projection: ``cells`` are rows of the population, ``places`` (gid, section, x)."""

    half: Attachment
    kind: CellKind
    population: str
    cells: Ints
    segments: Ints
    places: tuple[Ints, Ints, Floats]


def join(projection: Projection, ends: tuple[End, End], weight: Floats, streams: Callable[[], Ints]) -> None:
    """Add the rows of both sides, each with where it finds what it reads of the other side."""
    starts = [sum(len(chunk.gid) for chunk in end.half.chunks) for end in ends]
    if ends[0].half is ends[1].half:
        starts[1] += len(weight)
    for side, (here, there) in enumerate((ends, ends[::-1])):
        rows = starts[1 - side] + np.arange(len(weight))
        gid, section, x = there.places
        here.half.chunks.append(Rows(
            *here.places, here.segments, weight, peer_gid=gid, peer_section=section, peer_x=x, stream=streams,
            peers=_peers(here.half, there, rows, projection),
        ))  # fmt: skip


def pairs(projection: Projection) -> list[tuple[str, str, Ints]]:
    """(component on the pre side, on the post side, rows) for each pair of components that there is."""
    if projection.kind == "electrical":
        names = (projection.synapses, projection.synapses)
        columns = (projection.synapse, projection.synapse)
    else:
        names = (projection.pre_components, projection.post_components)
        columns = (projection.pre_component, projection.post_component)
    found: dict[tuple[int, int], None] = dict.fromkeys(zip(columns[0].tolist(), columns[1].tolist(), strict=True))
    return [
        (names[0][pre], names[1][post], np.flatnonzero((columns[0] == pre) & (columns[1] == post)))
        for pre, post in found
    ]


def _peers(half: Attachment, there: End, rows: Ints, projection: Projection) -> dict[str, str | PeerPoint]:
    """Where the variables are that ``half`` reads of its peer, the ``rows`` of the group at the other end.

    Raises UnsupportedError for what NEURON cannot bring over.
    """
    other, kind = there.half, there.kind
    found: dict[str, str | PeerPoint] = {}
    for symbol, external in half.request.flat.externals.items():
        if external.kind != "peer":
            continue
        path = external.target.split("/", 1)[1]
        far = other.request.flat
        name = _own(far, path)
        if name is not None:
            other.request.record.add(name)
            found[external.target] = PeerPoint(other.key, rows, other.request, name)
            continue
        if kind.request is not None:
            name = kind.request.flat.paths.get(path)
            if name == "v" and "v" in kind.request.flat.derivatives:
                found[external.target] = "v"
                continue
            if name is not None and kind.kind is Kind.POINT:
                kind.request.record.add(name)
                ahead = not _moved_by(half.request.flat, symbol)
                if ahead:
                    kind.request.ahead.add(name)
                found[external.target] = PeerPoint(there.population, there.cells, kind.request, name, ahead)
                continue
        elif path == "v" or (path in _OF_A_PLACE and ("ca2" if "2" in path else "ca") in kind.pools):
            found[external.target] = _OF_A_PLACE[path]
            continue
        raise UnsupportedError(
            f"projection '{projection.id}': '{half.component}' reads '{path}' of its peer, which neither "
            f"'{other.component}' nor a '{kind.component}' shows in NEURON"
        )
    return found


def _moved_by(flat: FlatComponent, symbol: str) -> bool:
    """Whether a state of the component moves by a variable, rather than its current alone."""
    eq = from_flat([flat])
    reach = eq.depends({symbol})
    return any(names(rate) & reach for rate in eq.derivatives.values())


def _own(flat: FlatComponent, path: str) -> str | None:
    """The flat name of a state or derived variable of the component itself."""
    name = flat.paths.get(path, path)
    return name if name in flat.states or name in flat.derived else None
