"""Who is connected to whom: matrices, degrees, motifs and paths of a Network, through scipy.sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require
from ..graph import Network

Floats = npt.NDArray[np.float64]
FEATURES = ("number", "probability", "convergence", "divergence", "weight", "delay", "strength")


def connectivity_matrix(network: Network, feature: str = "number", by: str = "population") -> tuple[list[str], Any]:
    """Names of rows and columns, and the matrix from (row) to (column) of one feature.

    By "population" the matrix is a numpy array (populations, populations), by "cell" a scipy.sparse CSR array (cells,
    cells) in the order of the gids, for the features that a pair of cells has. Features: "number" of connections;
    "probability" that a pair of different cells is connected; "convergence", connections on each target cell;
    "divergence", connections from each source cell; mean "weight" and mean "delay" (ms); "strength", probability times
    mean weight. Where there is no connection a mean is NaN. What is not a chemical synapse
    joins both ways. Raises UsageError for another feature or grouping.
    """
    if by not in ("population", "cell"):
        raise UsageError(f"by is '{by}'; there are population, cell")
    if feature not in FEATURES:
        raise UsageError(f"there is no feature '{feature}'; there are {', '.join(FEATURES)}")
    if by == "cell":
        return _by_cell(network, feature)
    names = list(network.populations)
    row = {name: number for number, name in enumerate(names)}
    count, pairs, weight, delay = (np.zeros((len(names), len(names))) for _ in range(4))
    linked: dict[tuple[int, int], list[npt.NDArray[np.int64]]] = {}
    for projection in network.projections:
        i, j = row[projection.presynaptic], row[projection.postsynaptic]
        ends = [(i, j, projection.pre, projection.post)]
        if projection.kind != "chemical":
            ends.append((j, i, projection.post, projection.pre))
        for a, b, pre, post in ends:
            count[a, b] += len(projection)
            weight[a, b] += len(projection) if projection.weight is None else projection.weight.sum()
            delay[a, b] += 0.0 if projection.delay is None else projection.delay.sum()
            linked.setdefault((a, b), []).append(pre * network.populations[names[b]].size + post)
    size = np.array([population.size for population in network.populations.values()], float)
    for place, codes in linked.items():
        pairs[place] = len(np.unique(np.concatenate(codes)))
    possible = np.outer(size, size) - np.diag(size)
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = np.where(possible > 0, pairs / possible, 0.0)
        result = {
            "number": count, "probability": probability, "convergence": count / size[None, :],
            "divergence": count / size[:, None], "weight": weight / count, "delay": delay / count,
            "strength": probability * np.nan_to_num(weight / count),
        }[feature]  # fmt: skip
    return names, result


def _by_cell(network: Network, feature: str) -> tuple[list[str], Any]:
    sparse = require("scipy.sparse", "analysis", "connectivity of cells")
    if feature not in ("number", "weight", "delay"):
        raise UsageError(f"the feature '{feature}' is one of populations; cells have number, weight, delay")
    names = [f"{p.id}[{index}]" for p in network.populations.values() for index in range(p.size)]
    pre, post, value = _edges(network, feature)
    shape = (network.size, network.size)
    total = sparse.csr_array((value, (pre, post)), shape=shape)
    if feature == "number":
        return names, total
    count = sparse.csr_array((np.ones(len(pre)), (pre, post)), shape=shape)
    count.data = 1 / count.data
    return names, total.multiply(count).tocsr()


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
