"""Drawing edges: kernels on plain arrays, with a cost that follows the number of edges drawn.

Every row (a cell after the synapse, or such a cell and a box of cells before it) has a key; its draws are a function
of that key and a count, so that rows can be made in any order, in any number of pieces.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .randomness import uniforms, words

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]


def ragged(counts: Ints) -> tuple[Ints, Ints]:
    """For ``counts[r]`` places in each row: the row of each place, and its number within the row."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)


def skips(sizes: Ints, probability: Floats, key: int, keys: Keys) -> tuple[Ints, Ints]:
    """Choose each of ``sizes[r]`` places of row r with ``probability[r]``: rows and places, sorted.

    Gaps between successes are geometric, so only successes cost anything.
    """
    probability = np.minimum(probability, 1.0)
    rows: Ints = np.flatnonzero((probability > 0) & (sizes > 0))
    at = np.full(len(rows), -1, np.int64)  # the last place looked at
    used = np.zeros(len(rows), np.int64)
    found_rows: list[Ints] = []
    found: list[Ints] = []
    with np.errstate(divide="ignore"):
        scale = np.log1p(-probability)
    while len(rows):
        expected = (sizes[rows] - 1 - at) * probability[rows]
        draws = (expected + 3 * np.sqrt(expected)).astype(np.int64) + 1
        row, place = ragged(draws)
        count = used[row] + place
        length = np.log(uniforms(key, keys[rows][row], count)) / scale[rows][row]
        gap = np.minimum(length, sizes[rows][row]).astype(np.int64) + 1
        total = np.cumsum(gap)
        ends = np.cumsum(draws)
        base = np.concatenate([[0], total[ends[:-1] - 1]]) if len(ends) else ends
        place = at[row] + total - base[row]
        good = place < sizes[rows][row]
        found_rows.append(rows[row[good]])
        found.append(place[good])
        last = place[ends - 1]
        more = last < sizes[rows]
        rows, at, used = rows[more], last[more], (used + draws)[more]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    row, place = np.concatenate(found_rows), np.concatenate(found)
    if len(found) > 1:
        order = np.lexsort((place, row))
        row, place = row[order], place[order]
    return row, place


def distinct(counts: Ints, sizes: Ints, key: int, keys: Keys, cumulative: Floats | None = None) -> tuple[Ints, Ints]:
    """Choose ``counts[r]`` different ones of ``sizes[r]`` places for each row: rows and places, sorted.

    All are equally likely, or as the increments of ``cumulative`` (from 0 to 1, one size for all rows).
    """
    if cumulative is not None:
        return _sorted(*_first(counts, sizes, key, keys, cumulative))
    few = 2 * counts <= sizes
    row, place = _first(np.where(few, counts, 0), sizes, key, keys, None)
    many = np.flatnonzero(~few)
    if len(many):  # those that are left out are fewer
        out_row, out = _first(sizes[many] - counts[many], sizes[many], key, keys[many], None)
        begin = np.concatenate([[0], np.cumsum(sizes[many])])
        kept = np.ones(begin[-1], bool)
        kept[begin[out_row] + out] = False
        all_row, all_place = ragged(sizes[many])
        row = np.concatenate([row, many[all_row[kept]]])
        place = np.concatenate([place, all_place[kept]])
    return _sorted(row, place)


def _sorted(row: Ints, place: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort((place, row))
    return row[order], place[order]


def _first(counts: Ints, sizes: Ints, key: int, keys: Keys, cumulative: Floats | None) -> tuple[Ints, Ints]:
    """The first ``counts[r]`` different numbers in each row's endless sequence of draws."""
    rows = np.flatnonzero(counts > 0)
    share = np.minimum(counts / np.maximum(sizes, 1), 0.999)
    draws = (-sizes * np.log1p(-share)).astype(np.int64)
    draws += (3 * np.sqrt(draws)).astype(np.int64) + 2
    found_rows, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    while len(rows):
        row, count = ragged(draws[rows])
        u = uniforms(key, keys[rows][row], count)
        if cumulative is None:
            value = np.minimum((u * sizes[rows][row]).astype(np.int64), sizes[rows][row] - 1)
        else:
            value = np.searchsorted(cumulative, u, side="right").astype(np.int64)
        width = int(sizes[rows].max())
        order = np.argsort(row * width + value, kind="stable")
        code = (row * width + value)[order]
        fresh = np.empty(len(code), bool)
        fresh[order] = np.concatenate([[True], code[1:] != code[:-1]])
        total = np.cumsum(fresh)
        begin = np.concatenate([[0], np.cumsum(draws[rows])])[:-1]
        rank = total - (total[begin] - fresh[begin])[row]
        have = np.add.reduceat(fresh, begin)
        done = have >= counts[rows]
        keep = fresh & (rank <= counts[rows][row]) & done[row]
        found_rows.append(rows[row[keep]])
        found.append(value[keep])
        rows = rows[~done]
        draws[rows] *= 2
    return np.concatenate(found_rows), np.concatenate(found)


def pair_keys(pre: Keys, post: Keys) -> Keys:
    """One key for each pair of cells."""
    return words(0x6E6D6C62, pre, post)
