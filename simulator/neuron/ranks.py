"""Which rank owns what: the one place that decides it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Gids = TypeVar("Gids", int, NDArray[np.int64])


def owner(gid: Gids, ranks: int) -> Gids:
    """Rank of the cell ``gid`` (or of each of an array) among ``ranks``: round robin."""
    return gid % ranks


def local(first: int, size: int, rank: int, ranks: int) -> range:
    """The gids from ``first`` on, ``size`` of them, that belong to ``rank``."""
    return range(first + (rank - first) % ranks, first + size, ranks)
