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
    for feature, expected in (("convergence", [0, 1, 2]), ("divergence", [0, 1, 2]), ("probability", [0, 1, 1]),
                              ("strength", [0, 1, 5])):  # fmt: skip
        assert analysis.connectivity_matrix(network, feature, "cell")[1].toarray()[0].tolist() == expected
    into, out = analysis.degrees(network)
    assert into.tolist() == [1, 1, 3]
    assert out.tolist() == [3, 1, 1]


def _scattered() -> Network:
    random = np.random.default_rng(4)
    cells = {name: Population.sized(name, "c", size, positions=random.uniform(0, 300, (size, 3)))
             for name, size in (("a", 40), ("b", 30))}  # fmt: skip
    links = [Projection(f"{i}{j}", "chemical", i, j, random.integers(0, cells[i].size, 200),
                        random.integers(0, cells[j].size, 200), weight=random.uniform(0, 1, 200),
                        delay=random.uniform(1, 2, 200), synapses=("s",)) for i, j in ("ab", "bb", "ba")]  # fmt: skip
    return Network("n", cells, links)


def _by_brute_force(network: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places, and ends and weights of all connections."""
    place = np.concatenate([p.positions for p in network.populations.values()])
    first = {name: p.offset for name, p in network.populations.items()}
    pre = np.concatenate([p.pre + first[p.presynaptic] for p in network.projections])
    post = np.concatenate([p.post + first[p.postsynaptic] for p in network.projections])
    return place, pre, post, np.concatenate([p.weight for p in network.projections])


def test_matrices_of_slabs() -> None:
    network = _scattered()
    place, pre, post, weights = _by_brute_force(network)
    names, number = analysis.connectivity_matrix(network, "number", "y", 100)
    assert names == ["0 to 100", "100 to 200", "200 to 300"]
    slab = (place[:, 1] // 100).astype(int)
    probability = analysis.connectivity_matrix(network, "probability", "y", 100)[1]
    weight = analysis.connectivity_matrix(network, "weight", "y", 100)[1]
    for i in range(3):
        for j in range(3):
            mine = (slab[pre] == i) & (slab[post] == j)
            assert number[i, j] == mine.sum() > 5
            assert weight[i, j] == pytest.approx(weights[mine].mean())
            pairs = {(a, b) for a, b in zip(pre[mine], post[mine], strict=True) if a != b}
            possible = (slab == i).sum() * ((slab == j).sum() - (i == j))
            assert probability[i, j] == pytest.approx(len(pairs) / possible)
    assert analysis.connectivity_matrix(_network(), by="z")[0] == []  # nobody has a place


@pytest.mark.parametrize("ends", [(None, None), ("a", "b"), ("b", "b")])
def test_connections_by_distance(ends: tuple[str | None, str | None]) -> None:
    network = _scattered()
    place, pre, post, weights = _by_brute_force(network)
    found = analysis.connectivity_by_distance(network, 50, 400, *ends)
    member = {None: slice(0, 70), "a": slice(0, 40), "b": slice(40, 70)}
    index = np.arange(70)
    i, j = (part.ravel() for part in np.meshgrid(index[member[ends[0]]], index[member[ends[1]]], indexing="ij"))
    i, j = i[i != j], j[i != j]
    pairs = np.histogram(np.linalg.norm(place[i] - place[j], axis=1), np.arange(0, 401, 50))[0]
    assert found["pairs"].tolist() == pairs.tolist()
    mine = np.isin(pre, index[member[ends[0]]]) & np.isin(post, index[member[ends[1]]]) & (pre != post)
    far = np.linalg.norm(place[pre] - place[post], axis=1)
    assert found["number"].tolist() == np.histogram(far[mine], np.arange(0, 401, 50))[0].tolist()
    linked = np.array(sorted({(a, b) for a, b in zip(pre[mine], post[mine], strict=True)}))
    length = np.linalg.norm(place[linked[:, 0]] - place[linked[:, 1]], axis=1)
    some = found["pairs"] > 0
    expected = np.histogram(length, np.arange(0, 401, 50))[0][some] / pairs[some]
    assert found["probability"][some] == pytest.approx(expected)
    second = mine & (far >= 50) & (far < 100)
    assert found["weight"][1] == pytest.approx(weights[second].mean())
    assert found["distance"].tolist() == list(range(0, 400, 50))
    with pytest.raises(UsageError, match="no places"):
        analysis.connectivity_by_distance(_network(), 50, 400)


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
    with pytest.raises(UsageError, match="pairs, netpyne"):
        analysis.connectivity_matrix(_network(), convention="other")
    with pytest.raises(UsageError, match="take wider ones"):
        analysis.connectivity_matrix(_scattered(), by="x", width=1e-3)
