"""Plain columns in HDF5: one dataset of numbers each, at the root of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from ..errors import DocumentError
from ..graph.columns import Floats


def read_columns(path: Path, needed: tuple[str, ...], known: tuple[str, ...]) -> dict[str, Floats]:
    """Columns by name, all of one length and finite; those of SONATA edges as pre, post, weight, delay.

    Raises DocumentError for a file that is not so.
    """

    def wrong(message: str) -> DocumentError:
        return DocumentError(message, file=str(path))

    try:
        with h5py.File(path, "r") as file:
            if "edges" in file and isinstance(file["edges"], h5py.Group):
                return _edges(file["edges"], wrong)
            if not set(needed) <= set(file) <= set(known):
                raise wrong(f"the datasets are {', '.join(file) or 'none'}; expected {', '.join(known)}")
            table: dict[str, Floats] = {}
            for name, data in file.items():
                if not isinstance(data, h5py.Dataset) or data.ndim != 1 or data.dtype.kind not in "iuf":
                    raise wrong(f"'{name}' is no row of numbers")
                table[name] = np.asarray(data[:], np.float64)
    except OSError as error:
        raise wrong(f"it cannot be read as HDF5: {error}") from None
    return _checked(table, wrong)


def _checked(table: dict[str, Floats], wrong: Callable[[str], DocumentError]) -> dict[str, Floats]:
    sizes = {len(column) for column in table.values()}
    if len(sizes) > 1:
        raise wrong(f"the datasets have different lengths: {', '.join(map(str, sorted(sizes)))}")
    if not all(np.isfinite(column).all() for column in table.values()):
        raise wrong("a value is not finite")
    return table


def _edges(group: h5py.Group, wrong: Callable[[str], DocumentError]) -> dict[str, Floats]:
    """The one population of a SONATA edges file: ids of nodes, and weight and delay where they are columns.

    https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md
    """
    if len(group) != 1:
        raise wrong(f"it has the populations {', '.join(group) or 'none'}; expected one")
    edges = next(iter(group.values()))
    own = edges.get("0") if isinstance(edges, h5py.Group) else None
    places = {"pre": (edges, "source_node_id"), "post": (edges, "target_node_id")}
    if isinstance(own, h5py.Group):
        places |= {"weight": (own, "syn_weight"), "delay": (own, "delay")}
    table = {}
    for name, (where, key) in places.items():
        data = where.get(key) if isinstance(where, h5py.Group) else None
        if isinstance(data, h5py.Dataset) and data.ndim == 1 and data.dtype.kind in "iuf":
            table[name] = np.asarray(data[:], np.float64)
        elif name in ("pre", "post"):
            raise wrong(f"'{edges.name}' has no {key}")
    return _checked(table, wrong)
