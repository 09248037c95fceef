"""Identities of NetPyNE's random streams: hashes of strings and of lists of gids.

NetPyNE draws everything from Random123 generators whose ids are such hashes, gids and seeds: the first eight hex digits
of an MD5, of the text or of the gids as 8-byte little-endian integers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def of_text(text: str) -> int:
    """The id that stands for a word, as "NetStim"."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def of_gids(gids: Sequence[int]) -> int:
    """The id that stands for a list of gids, in the order given."""
    raw = np.asarray(gids, dtype="<u8").tobytes()
    return int(hashlib.md5(raw, usedforsecurity=False).hexdigest()[:8], 16)
