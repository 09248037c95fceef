"""Connectivity of small graphs counted by hand, and of random ones."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge import analysis
from nmlbridge.errors import UsageError
from nmlbridge.graph import Network, Population, Projection

pytest.importorskip("scipy")


def _network() -> Network:
    """Three cells a -> b0 -> b1 -> a, a -> b1 too, twice; weights 1, 2, 3, 4, 6; delays 1 ms."""
    populations = {"a": Population.sized("a", "c", 1), "b": Population.sized("b", "c", 2)}

    def link(id: str, pre: str, post: str, i: list[int], j: list[int], weight: list[float]) -> Projection:
        return Projection(id, "chemical", pre, post, np.array(i), np.array(j), weight=np.array(weight),
                          delay=np.ones(len(i)), synapses=("s",))  # fmt: skip

    projections = [
        link("ab", "a", "b", [0, 0, 0], [0, 1, 1], [1, 4, 6]),
        link("bb", "b", "b", [0], [1], [2]),
        link("ba", "b", "a", [1], [0], [3]),
    ]
    return Network("n", populations, projections)


def test_matrices_of_populations() -> None:
    network = _network()
    names, number = analysis.connectivity_matrix(network)
    assert names == ["a", "b"]
    assert number.tolist() == [[0, 3], [1, 1]]
    assert analysis.connectivity_matrix(network, "probability")[1].tolist() == [[0, 1], [0.5, 0.5]]
    assert analysis.connectivity_matrix(network, "convergence")[1].tolist() == [[0, 1.5], [1, 0.5]]
    assert analysis.connectivity_matrix(network, "divergence")[1].tolist() == [[0, 3], [0.5, 0.5]]
    weight = analysis.connectivity_matrix(network, "weight")[1]
    assert np.isnan(weight[0, 0])
    assert weight[0, 1] == pytest.approx(11 / 3)
    assert analysis.connectivity_matrix(network, "delay")[1][1].tolist() == [1, 1]
    assert analysis.connectivity_matrix(network, "strength")[1][1].tolist() == [1.5, 1.0]


def test_matrices_of_cells_and_degrees() -> None:
    network = _network()
    names, number = analysis.connectivity_matrix(network, by="cell")
    assert names == ["a[0]", "b[0]", "b[1]"]
    assert number.toarray().tolist() == [[0, 1, 2], [0, 0, 1], [1, 0, 0]]
    assert analysis.connectivity_matrix(network, "weight", "cell")[1].toarray()[0].tolist() == [0, 1, 5]
    into, out = analysis.degrees(network)
    assert into.tolist() == [1, 1, 3]
    assert out.tolist() == [3, 1, 1]


def test_motifs_and_paths() -> None:
    network = _network()
    found = analysis.motifs(network)
    assert found == {"edges": 4, "reciprocal": 1, "convergent": 1, "divergent": 1, "chains": 3, "feedforward": 1,
                     "cycles": 1}  # fmt: skip
    assert analysis.path_lengths(network).tolist() == [[0, 1, 1], [2, 0, 1], [1, 2, 0]]
    assert analysis.path_lengths(network, [1]).tolist() == [[2, 0, 1]]


def test_motifs_of_a_random_graph_are_those_of_networkx() -> None:
    networkx = pytest.importorskip("networkx")
    random = np.random.default_rng(0)
    matrix = random.random((40, 40)) < 0.2
    pre, post = np.nonzero(matrix)
    projection = Projection("p", "chemical", "a", "a", pre, post, synapses=("s",))
    found = analysis.motifs(Network("n", {"a": Population.sized("a", "c", 40)}, [projection]))
    np.fill_diagonal(matrix, False)
    graph = networkx.from_numpy_array(matrix.astype(int), create_using=networkx.DiGraph)
    m = matrix.astype(int)
    chains = sum(m[i, j] * m[j, k] for i in range(40) for j in range(40) for k in range(40) if len({i, j, k}) == 3)
    cycles = sum(1 for c in networkx.simple_cycles(graph, length_bound=3) if len(c) == 3)
    assert found["edges"] == graph.number_of_edges()
    assert found["chains"] == chains
    assert found["cycles"] == cycles
    assert found["feedforward"] == sum(m[i, j] * m[j, k] * m[i, k]
                                       for i in range(40) for j in range(40) for k in range(40))  # fmt: skip


def test_unknown_words_are_told() -> None:
    with pytest.raises(UsageError, match="there are number, probability"):
        analysis.connectivity_matrix(_network(), "numbr")
    with pytest.raises(UsageError, match="population, cell"):
        analysis.connectivity_matrix(_network(), by="segment")
    with pytest.raises(UsageError, match="one of populations"):
        analysis.connectivity_matrix(_network(), "probability", "cell")
