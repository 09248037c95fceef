"""What NetPyNE's own words say and NetPyNE cannot do: densities in all shapes, d_lambda, errors where it is silent."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import nmlbridge
from nmlbridge.converters.netpyne.rules import build
from nmlbridge.errors import NetworkError, NmlBridgeError
from nmlbridge.report import Report

from .netpyne_words import CELL, DEND, EXC, SOMA
from .test_netpyne_reactions import BUFFERING, CONFIGS, STORE
from .test_netpyne_rules import MODELS, rule

CONFIG = {"duration": 60, "dt": 0.05, "seeds": {"conn": 1, "stim": 1, "loc": 1}}


def model(**more: Any) -> dict[str, Any]:
    """Cells P with a dendrite in a box of 400 x 300 x 200 um."""
    return {
        "sizeX": 400, "sizeY": 300, "sizeZ": 200, "popParams": {"P": {"cellType": "P", "numCells": 5}},
        "cellParams": {"P": copy.deepcopy(CELL)}, "synMechParams": {"exc": EXC},
    } | more  # fmt: skip


def written(folder: Path, params: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    path = folder / "model.json"
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": config or CONFIG}))
    return path


@pytest.mark.parametrize("own", [False, True], ids=["netpyne", "native"])
@pytest.mark.parametrize("shape", ["cylinder", "ellipsoid"])
def test_density_functions_in_all_shapes(shape: str, own: bool) -> None:
    """As many cells as the integral of the density says, all in the shape, distributed as the density."""
    params = model(shape=shape, popParams={"P": {"cellType": "P", "density": "2e5*(0.5+ynorm)"}})
    cells = build(params, CONFIG, Report(), own=own).cells.values()
    volume = {"cylinder": np.pi / 4, "ellipsoid": np.pi / 6}[shape] * 0.4 * 0.3 * 0.2
    expected = 2e5 * volume  # the mean of 0.5 + ynorm is 1
    assert abs(len(cells) - expected) < 5 * np.sqrt(expected)
    place = np.array([[cell.tags[f"{axis}norm"] for axis in "xyz"] for cell in cells]) * 2 - 1
    across = place[:, [0, 2]] if shape == "cylinder" else place
    assert (np.linalg.norm(across, axis=1) <= 1 + 1e-9).all()
    heights = np.linspace(-1, 1, 20001)
    slices = np.ones_like(heights) if shape == "cylinder" else 1 - heights**2
    share = np.cumsum(slices * (1 + heights / 2))
    drawn = stats.kstest(place[:, 1], lambda y: np.interp(y, heights, share / share[-1]))
    assert drawn.pvalue > 1e-4


@pytest.mark.parametrize("pop", [{"numCells": 8}, {"density": 3e3}, {"gridSpacing": 100}])
@pytest.mark.parametrize("scale", [0.5, 2.5])
def test_scale(scale: float, pop: dict[str, Any]) -> None:
    """Numbers of cells in proportion, gids without gaps, places within the network."""
    params = model(scale=scale, popParams={"A": {"cellType": "P", **pop}, "B": {"cellType": "P", "numCells": 4}})
    instance = build(params, CONFIG, Report(), own=True)
    assert list(instance.cells) == list(range(len(instance.cells)))
    counts = [len(pop.gids) for pop in instance.pops]
    plain = [len(pop.gids) for pop in build(params | {"scale": 1}, CONFIG, Report(), own=True).pops]
    # as in NetPyNE, densities and grids stay what they are
    assert counts == [int(scale * 8) if "numCells" in pop else plain[0], int(scale * 4)]
    places = np.array([[cell.tags[f"{axis}norm"] for axis in "xyz"] for cell in instance.cells.values()])
    assert ((places >= 0) & (places <= 1)).all() and len(np.unique(places, axis=0)) == len(places)


def test_normalised_distances() -> None:
    """NetPyNE takes roots of differences, which are negative for half of all pairs."""
    params = model(popParams={name: {"cellType": "P", "numCells": 12} for name in "AB"}, connParams={
        "three": rule("A", "B", weight="dist_norm3D"), "two": rule("A", "B", weight="dist_norm2D")})  # fmt: skip
    instance = build(params, CONFIG, Report(), own=True)
    assert len(instance.connections) == 2 * 144
    for connection in instance.connections:
        pre, post = (instance.cells[gid].tags for gid in (connection.pre, connection.post))
        axes = "xyz" if connection.label == "three" else "xz"
        far = np.sqrt(sum((pre[f"{axis}norm"] - post[f"{axis}norm"]) ** 2 for axis in axes))
        assert connection.weight == pytest.approx(far, rel=1e-12)


def test_segments_by_the_length_constant(tmp_path: Path) -> None:
    secs = {
        "soma": SOMA | {"geom": {"diam": 20, "L": 20, "Ra": 150, "nseg": "d_lambda"}},
        "dend": DEND | {"geom": {"diam": 1.5, "L": 800, "Ra": 150, "cm": 1.2, "nseg": "d_lambda"}},
        "drawn": DEND | {"geom": {"Ra": 100, "nseg": "d_lambda",
                                  "pt3d": [[0, 0, 0, 2], [0, 300, 0, 1], [0, 700, 0, 0.5]]}},
    }  # fmt: skip
    secs["dend"]["mechs"] = {"pas": {"g": "1e-4*exp(-dist_path/300)", "e": -70}}
    network = nmlbridge.read(written(tmp_path, model(cellParams={"P": {"secs": secs}})))
    cell: Any = network.native[network.populations["P"].component]
    found = {section.name: section.nseg for section in cell.sections}

    def wanted(pieces: list[tuple[float, float]], ra: float, cm: float) -> int:
        """What NEURON's manual says: lambda_f at 100 Hz, a tenth of it a segment, an odd number of them."""
        far = sum(length / (1e5 * np.sqrt(diam / (4 * np.pi * 100 * ra * cm))) for length, diam in pieces)
        return int((far / 0.1 + 0.9) / 2) * 2 + 1

    assert found == {"soma": 1, "dend": wanted([(800, 1.5)], 150, 1.2),
                     "drawn": wanted([(300, 1.5), (400, 0.75)], 100, 1)}  # fmt: skip
    assert found["dend"] > 10
    assert len(cell.sections[1].mechanisms["pas"]["g"]) == found["dend"]
    secs["soma"]["geom"] = {"diam": 20, "nseg": "d_lambda"}
    with pytest.raises(NmlBridgeError, match=r"cellParams.P.secs.soma.geom.nseg: 'd_lambda' needs"):
        nmlbridge.read(written(tmp_path, model(cellParams={"P": {"secs": secs}})))


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ({"sec": "sooma", "loc": 0.5, "var": "v"}, r"'v'.*cell P\[0\] has no section 'sooma'; did you mean 'soma'"),
        ({"sec": "soma", "loc": 0.5, "mech": "hhh", "var": "m"},
         r"'m'.*section 'soma' of cell P\[0\] has no mechanism 'hhh'; did you mean 'hh'"),
        ({"sec": "dend", "loc": 0.5, "pointp": "Izhi", "var": "u"}, r"'u'.*'dend' of cell P\[0\] has no process 'Izhi"),
        ({"sec": "soma", "loc": 0.5}, "names no variable"),
        ({"sec": "soma", "loc": 0.5, "var": "V", "conds": {"pop": "S"}}, r"cell S\[0\] is a NetStim"),
    ],
)  # fmt: skip
def test_a_recording_that_cannot_be_names_cell_section_and_variable(
    trace: dict[str, Any], said: str, tmp_path: Path
) -> None:
    pops = {"P": {"cellType": "P", "numCells": 2}, "S": {"cellModel": "NetStim", "numCells": 1, "rate": 5}}
    config = CONFIG | {"recordCells": ["all"], "recordTraces": {"X": trace}}
    if "conds" not in trace:
        config["recordCells"] = ["P"]
    with pytest.raises(NetworkError, match=said) as caught:
        nmlbridge.read(written(tmp_path, model(popParams=pops), config))
    assert "simConfig.recordTraces.X" in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.neuron
@pytest.mark.parametrize(("trace", "said"), [
    ({"sec": "soma", "loc": 0.5, "mech": "hh", "var": "gkk"}, r"gkk \(cell P\[0\], section 'soma'\).*'gk'"),
    ({"sec": "soma", "loc": 0.5, "var": "cai"}, r"variable cai \(cell P\[0\], section 'soma'\)"),
    ({"sec": "soma", "loc": 0.5, "synMech": "exc", "var": "i"}, r"P\[0\]/soma\(0.5\)/synapses:exc:0/i"),
])  # fmt: skip
def test_a_variable_that_is_not_there_is_named_by_the_run(trace: dict[str, Any], said: str, tmp_path: Path) -> None:
    config = CONFIG | {"recordCells": ["P"], "recordTraces": {"X": trace}}
    with pytest.raises(NmlBridgeError, match=said):
        nmlbridge.simulate(written(tmp_path, model(), config), duration=1)


def test_a_trace_of_some_of_the_cells_is_taken_there(tmp_path: Path) -> None:
    """As in NetPyNE: cells that lack the place are passed over, as long as another one has it."""
    cells = {"P": CELL, "Q": {"secs": {"soma": SOMA}}}
    pops = {name: {"cellType": name, "numCells": 2} for name in cells}
    config = CONFIG | {"recordCells": ["all"], "recordTraces": {"D": {"sec": "dend", "loc": 0.5, "var": "v"}}}
    network = nmlbridge.read(written(tmp_path, model(popParams=pops, cellParams=cells), config))
    assert network.settings is not None
    assert network.settings.outputs.quantities() == ["P[0]/dend(0.5)/v", "P[1]/dend(0.5)/v"]


@pytest.mark.neuron
@pytest.mark.mpi
@pytest.mark.parametrize("name", ["distance and depth", "counts and lists"])
def test_random_functions_are_the_same_on_any_number_of_ranks(name: str, tmp_path: Path) -> None:
    """Of probability, weight, delay and convergence; as drawn by NetPyNE on one rank, and natively."""
    path = written(tmp_path, MODELS[name], CONFIG)
    for rng, more in (("netpyne", (2,)), ("native", (2, 4))):
        runs = [nmlbridge.simulate(path, ranks=ranks, changes={"rng": rng}).spikes for ranks in (1, *more)]
        assert len(runs[0]) > 10
        for other in runs[1:]:
            assert other.time.tolist() == runs[0].time.tolist() and other.gid.tolist() == runs[0].gid.tolist()


@pytest.mark.neuron
@pytest.mark.mpi
@pytest.mark.parametrize(("name", "params"), [("buffering", BUFFERING), ("store", STORE)])
def test_reactions_are_the_same_on_two_ranks(name: str, params: dict[str, Any], tmp_path: Path) -> None:
    """In the cells and outside of them: bare sections lie in the space where NEURON lays them out on one rank."""
    params, config = copy.deepcopy(params), CONFIGS[name] | {"duration": 8}
    if name == "store":  # so that all cells lie in it
        params["rxdParams"]["regions"]["ecs"]["zhi"] = 490
    path = written(tmp_path, params, config)
    one, two = nmlbridge.simulate(path), nmlbridge.simulate(path, ranks=2)
    assert one.traces.quantities == two.traces.quantities
    moved = 0
    for name, unit, a, b in zip(one.traces.quantities, one.traces.units, one.traces.values, two.traces.values,
                                strict=True):  # fmt: skip
        assert b == pytest.approx(a, rel=1e-8, abs=1e-9 if unit == "V" else 1e-15), name
        moved += np.ptp(a) > 1e-12
    assert moved > 5
