"""Who is connected to whom: matrices, degrees, motifs and paths of a Network, through scipy.sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require
from ..graph import Network

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FEATURES = ("number", "probability", "convergence", "divergence", "weight", "delay", "strength")
GROUPS = ("population", "cell", "x", "y", "z")
_MEANS = ("weight", "delay", "strength")


def connectivity_matrix(
    network: Network, feature: str = "number", by: str = "population", width: float = 100.0,
    convention: str = "pairs",
) -> tuple[list[str], Any]:  # fmt: skip
    """Names of rows and columns, and the matrix from (row) to (column) of one feature.

    By "population", or by "x", "y" or "z" in slabs of ``width`` um, the matrix is a numpy array (groups, groups); by
    "cell" a scipy.sparse CSR array (cells, cells) in the order of the gids. Features: "number" of connections;
    "probability" that a pair of different cells is connected; "convergence", connections on each target cell;
    "divergence", connections from each source cell; mean "weight" and mean "delay" (ms); "strength", probability times
    mean weight. Where there is no connection a mean is NaN (0 in a sparse array). What is not a chemical synapse joins
    both ways. Cells without a place are in no slab.

    With the ``convention`` "netpyne" the probability is the number of connections over that of all pairs, a cell with
    itself included, the strength that times the sum of the weights, and means are 0 where there is no connection.
    Raises UsageError for another feature, grouping or convention.
    """
    for word, known, what in ((by, GROUPS, "by is"), (convention, ("pairs", "netpyne"), "the convention is")):
        if word not in known:
            raise UsageError(f"{what} '{word}'; there are {', '.join(known)}")
    if feature not in FEATURES:
        raise UsageError(f"there is no feature '{feature}'; there are {', '.join(FEATURES)}")
    if by == "cell":
        return _by_cell(network, feature, convention)
    names, group = _groups(network, by, width)
    pre, post, value = _edges(network, "weight" if feature == "strength" else feature)
    inside = (group[pre] >= 0) & (group[post] >= 0)
    pre, post, value = pre[inside], post[inside], value[inside]
    shape = (len(names), len(names))
    place = group[pre] * len(names) + group[post]
    count = np.bincount(place, minlength=len(names) ** 2).reshape(shape).astype(float)
    total = np.bincount(place, value, len(names) ** 2).reshape(shape)
    size = np.bincount(group[group >= 0], minlength=len(names)).astype(float)
    possible = np.outer(size, size)
    linked = count
    if convention == "pairs" and feature in ("probability", "strength"):
        possible = possible - np.diag(size)
        codes = np.unique((pre * network.size + post)[pre != post])
        first, second = codes // max(network.size, 1), codes % max(network.size, 1)
        linked = np.bincount(group[first] * len(names) + group[second], minlength=len(names) ** 2).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = np.where(possible > 0, linked / possible, 0.0)
        mean = total / count
        result = {
            "number": count, "probability": probability, "convergence": count / size[None, :],
            "divergence": count / size[:, None], "weight": mean, "delay": mean,
            "strength": probability * (total if convention == "netpyne" else np.nan_to_num(mean)),
        }[feature]  # fmt: skip
    return names, np.nan_to_num(result) if convention == "netpyne" else result


def _groups(network: Network, by: str, width: float) -> tuple[list[str], Ints]:
    """Names of the groups, and the group of each cell, -1 for none."""
    populations = network.populations.values()
    sizes = [population.size for population in populations]
    if by == "population":
        return list(network.populations), np.repeat(np.arange(len(sizes)), sizes)
    if not width > 0:
        raise UsageError(f"the width of a slab is {width:g} um; it must be more than 0")
    axis = "xyz".index(by)
    place = np.concatenate([
        np.full(p.size, np.nan) if p.positions is None else p.positions[:, axis] for p in populations
    ] or [np.empty(0)])  # fmt: skip
    known = np.isfinite(place)
    if not known.any():
        return [], np.full(len(place), -1, np.int64)
    slab = np.full(len(place), -1, np.int64)
    slab[known] = np.floor(place[known] / width)
    first, last = slab[known].min(), slab[known].max()
    if last - first >= 10_000:
        raise UsageError(f"slabs of {width:g} um are {last - first + 1}; take wider ones")
    slab[known] -= first
    slab[~known] = -1
    return [f"{k * width:g} to {(k + 1) * width:g}" for k in range(first, last + 1)], slab


def _by_cell(network: Network, feature: str, convention: str) -> tuple[list[str], Any]:
    """As of groups of one cell each."""
    sparse = require("scipy.sparse", "analysis", "connectivity of cells")
    names = [f"{p.id}[{index}]" for p in network.populations.values() for index in range(p.size)]
    pre, post, value = _edges(network, "weight" if feature == "strength" else feature)
    shape = (network.size, network.size)
    total = sparse.csr_array((value, (pre, post)), shape=shape)
    count = sparse.csr_array((np.ones(len(pre)), (pre, post)), shape=shape)
    if feature == "strength" and convention == "netpyne":
        return names, total.multiply(count).tocsr()
    if feature in _MEANS:
        count.data = 1 / count.data
        return names, total.multiply(count).tocsr()
    if feature == "probability" and convention == "pairs":
        count.setdiag(0)
        count.eliminate_zeros()
        count.data[:] = 1.0
    return names, count


def connectivity_by_distance(
    network: Network, width: float, limit: float, presynaptic: str | None = None, postsynaptic: str | None = None,
    axes: str = "xyz",
) -> dict[str, Any]:  # fmt: skip
    """Connections against the distance of the cells, in bins of ``width`` um up to ``limit`` um.

    Of two populations, or of all that have places; distances are along ``axes``. Returns arrays (bins,): "distance",
    the left edges (um); "number" of connections; "pairs" of different cells that are so far apart; "probability" that
    such a pair is connected (NaN where there is none); mean "weight" and "delay" (ms). Pairs are counted through a k-d
    tree, so large networks take seconds. Raises UsageError for populations without places.
    """
    spatial = require("scipy.spatial", "analysis", "connectivity by distance")
    if not (0 < width <= limit) or not axes or not set(axes) <= set("xyz"):
        raise UsageError(f"width {width:g} um, limit {limit:g} um, axes '{axes}': expected 0 < width <= limit and some "
                         "of x, y, z")  # fmt: skip
    bins = round(limit / width)
    edges = width * np.arange(bins + 1)
    place = np.full((network.size, 3), np.nan)
    chosen = []
    for wanted in (presynaptic, postsynaptic):
        if wanted is not None and wanted not in network.populations:
            raise UsageError(f"there is no population '{wanted}'; there are {', '.join(network.populations)}")
        mask = np.zeros(network.size, bool)
        for name, population in network.populations.items():
            if wanted in (None, name) and population.positions is not None:
                span = slice(population.offset, population.offset + population.size)
                mask[span], place[span] = True, population.positions
        if not mask.any():
            raise UsageError(f"{wanted or 'no population'} has no places; there is no distance")
        chosen.append(mask)
    columns = ["xyz".index(axis) for axis in axes]
    trees = [spatial.cKDTree(place[mask][:, columns]) for mask in chosen]
    # count_neighbors counts distances of at most r: those below an edge are what is wanted
    below = np.nextafter(edges[1:], 0)
    within = np.zeros(bins + 1)
    within[1:] = trees[0].count_neighbors(trees[1], below)
    within[1:] -= (chosen[0] & chosen[1]).sum()  # a cell is no pair with itself
    found: dict[str, Any] = {"distance": edges[:-1], "pairs": np.diff(within)}
    pre, post, weight = _edges(network, "weight")
    delay = _edges(network, "delay")[2]
    inside = chosen[0][pre] & chosen[1][post] & (pre != post)
    pre, post, weight, delay = pre[inside], post[inside], weight[inside], delay[inside]
    column = np.searchsorted(edges, np.linalg.norm((place[pre] - place[post])[:, columns], axis=1), "right") - 1
    near = column < bins
    _, one = np.unique((pre * network.size + post)[near], return_index=True)
    number = np.bincount(column[near], minlength=bins).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        found["number"] = number
        found["probability"] = np.bincount(column[near][one], minlength=bins) / found["pairs"]
        found["weight"] = np.bincount(column[near], weight[near], bins) / number
        found["delay"] = np.bincount(column[near], delay[near], bins) / number
    return found


def _edges(network: Network, feature: str = "number") -> tuple[Any, Any, Floats]:
    """gids of both ends and the value of every connection; an electrical one counts from both sides."""
    pre, post, value = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    for projection in network.projections:
        a = projection.pre + network.populations[projection.presynaptic].offset
        b = projection.post + network.populations[projection.postsynaptic].offset
        column = {"weight": projection.weight, "delay": projection.delay}.get(feature)
        missing = 0.0 if feature == "delay" else 1.0
        each = np.full(len(projection), missing) if column is None else np.asarray(column, float)
        ends = [(a, b)] if projection.kind == "chemical" else [(a, b), (b, a)]
        for start, end in ends:
            pre.append(start)
            post.append(end)
            value.append(each)
    return np.concatenate(pre), np.concatenate(post), np.concatenate(value)


def degrees(network: Network) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Connections on each cell and from each cell, (cells,) each, in the order of the gids."""
    pre, post, _ = _edges(network)
    return np.bincount(post, minlength=network.size), np.bincount(pre, minlength=network.size)


def motifs(network: Network) -> dict[str, int]:
    """Counts of small patterns of the graph whose edges are pairs of different cells with a connection.

    "edges"; "reciprocal" pairs; "convergent" and "divergent" pairs of edges that share an end; "chains" a -> b -> c of
    three different cells; "feedforward" triangles (a -> b -> c with a -> c); "cycles" a -> b -> c -> a. Subgraphs are
    counted whatever else connects their cells.
    """
    adjacency = _adjacency(network)
    into, out = adjacency.sum(axis=0), adjacency.sum(axis=1)
    reciprocal = adjacency.multiply(adjacency.T).sum()
    squared = adjacency @ adjacency
    return {
        "edges": int(adjacency.nnz),
        "reciprocal": int(reciprocal // 2),
        "convergent": int((into * (into - 1) // 2).sum()),
        "divergent": int((out * (out - 1) // 2).sum()),
        "chains": int((into * out).sum() - reciprocal),
        "feedforward": int(squared.multiply(adjacency).sum()),
        "cycles": int(squared.multiply(adjacency.T).sum() // 3),
    }


def path_lengths(network: Network, sources: npt.ArrayLike | None = None) -> Floats:
    """Least number of connections from each source gid (default: all cells) to each cell, (sources, cells).

    It is inf where there is no path. Memory grows as sources times cells: name sources for a large network.
    """
    graph = require("scipy.sparse.csgraph", "analysis", "paths in networks")
    indices = None if sources is None else np.asarray(sources, np.int64)
    found: Floats = graph.shortest_path(_adjacency(network), method="D", unweighted=True, indices=indices)
    return found


def _adjacency(network: Network) -> Any:
    """1 for each ordered pair of different cells that is connected, int64."""
    sparse = require("scipy.sparse", "analysis", "the graph of a network")
    pre, post, _ = _edges(network)
    codes = np.unique((pre * network.size + post)[pre != post])
    ones = np.ones(len(codes), np.int64)
    return sparse.csr_array((ones, (codes // max(network.size, 1), codes % max(network.size, 1))),
                            shape=(network.size, network.size))  # fmt: skip
