"""Plain columns in HDF5: one dataset of numbers each, at the root of the file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from ..errors import DocumentError
from ..graph.columns import Floats


def read_columns(path: Path, needed: tuple[str, ...], known: tuple[str, ...]) -> dict[str, Floats]:
    """Columns by name, all of one length and finite. Raises DocumentError for a file that is not so."""

    def wrong(message: str) -> DocumentError:
        return DocumentError(message, file=str(path))

    try:
        with h5py.File(path, "r") as file:
            if not set(needed) <= set(file) <= set(known):
                raise wrong(f"the datasets are {', '.join(file) or 'none'}; expected {', '.join(known)}")
            table: dict[str, Floats] = {}
            for name, data in file.items():
                if not isinstance(data, h5py.Dataset) or data.ndim != 1 or data.dtype.kind not in "iuf":
                    raise wrong(f"'{name}' is no row of numbers")
                table[name] = np.asarray(data[:], np.float64)
    except OSError as error:
        raise wrong(f"it cannot be read as HDF5: {error}") from None
    sizes = {len(column) for column in table.values()}
    if len(sizes) > 1:
        raise wrong(f"the datasets have different lengths: {', '.join(map(str, sorted(sizes)))}")
    if not all(np.isfinite(column).all() for column in table.values()):
        raise wrong("a value is not finite")
    return table
