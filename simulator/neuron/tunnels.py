"""Continuous coupling: what each half of a pair reads from the other one.

LEMS calls this a tunnel: the half's ``peer`` is the half at the other end, which shows its own variables and those of
the cell that it is on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from ...graph import Projection
from ...lems.flat import FlatComponent
from .attachments import Attachment, PeerPoint
from .population import CellKind, Kind

Ints = npt.NDArray[np.int64]
_OF_A_PLACE = {"v": "v", "caConc": "cai", "caConcExt": "cao", "caConc2": "ca2i", "caConcExt2": "ca2o"}


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


def peers(
    half: Attachment, other: Attachment, other_rows: Ints, kind: CellKind, population: str, cells: Ints,
    projection: Projection,
) -> dict[str, str | PeerPoint]:  # fmt: skip
    """Where the variables that ``half`` reads of its peer are.

    The peer is ``other``, at the rows ``other_rows`` of its group, on the ``cells`` (rows) of a population of a kind.
    Raises UnsupportedError for what NEURON cannot bring over.
    """
    found: dict[str, str | PeerPoint] = {}
    for external in half.request.flat.externals.values():
        if external.kind != "peer":
            continue
        path = external.target.split("/", 1)[1]
        far = other.request.flat
        name = _own(far, path)
        if name is not None:
            other.request.record.add(name)
            found[external.target] = PeerPoint(other.key, other_rows, other.request, name)
            continue
        if kind.request is not None:
            name = kind.request.flat.paths.get(path)
            if name == "v" and "v" in kind.request.flat.derivatives:
                found[external.target] = "v"
                continue
            if name is not None and kind.kind is Kind.POINT:
                kind.request.record.add(name)
                found[external.target] = PeerPoint(population, cells, kind.request, name)
                continue
        elif path == "v" or (path in _OF_A_PLACE and ("ca2" if "2" in path else "ca") in kind.pools):
            found[external.target] = _OF_A_PLACE[path]
            continue
        raise UnsupportedError(
            f"projection '{projection.id}': '{half.component}' reads '{path}' of its peer, which neither "
            f"'{other.component}' nor a '{kind.component}' shows in NEURON"
        )
    return found


def _own(flat: FlatComponent, path: str) -> str | None:
    """The flat name of a state or derived variable of the component itself."""
    name = flat.paths.get(path, path)
    return name if name in flat.states or name in flat.derived else None
