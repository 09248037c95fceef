"""Random numbers that are functions of what they are for.

There is no generator with a state: a number is a hash of (seed, purpose, rule, cells, count). So it is the same for any
number of ranks, in any order, on any machine, and whatever else the model draws. The hash is SplitMix64's finaliser
(Stafford's variant 13), applied once for each coordinate; keys of names come from BLAKE2.
Sources: Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195; Salmon et al. 2011, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(0xBF58476D1CE4E5B9)
_TWO = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


def key_of(*parts: str | int) -> int:
    """A 64-bit key of names and numbers."""
    text = "\0".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _mixed(words: Words) -> Words:
    words = words ^ (words >> np.uint64(30))
    words *= _ONE
    words ^= words >> np.uint64(27)
    words *= _TWO
    words ^= words >> np.uint64(31)
    return words


def words(key: int, *coordinates: npt.ArrayLike) -> Words:
    """64 random bits for each combination of the (broadcast) integer coordinates."""
    state: Any = np.asarray(key, np.uint64)
    with np.errstate(over="ignore"):
        for coordinate in coordinates:
            steps = np.atleast_1d(np.asarray(coordinate)).astype(np.uint64)
            state = _mixed(np.asarray(state + _GOLDEN * (steps + np.uint64(1)), np.uint64))
    return np.asarray(state, np.uint64)


def uniforms(key: int, *coordinates: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Numbers strictly between 0 and 1, all 2^53 equally likely; shapes as in ``words``."""
    return np.asarray(((words(key, *coordinates) >> np.uint64(11)).astype(np.float64) + 0.5) * _UNIT)


def below(size: npt.ArrayLike, key: int, *coordinates: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Whole numbers in 0 .. size-1 (``size`` broadcasts too)."""
    count = np.asarray(size, np.int64)
    return np.minimum((uniforms(key, *coordinates) * count).astype(np.int64), count - 1)
