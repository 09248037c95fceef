"""The declared examples do what their first lines say, and stop doing it when the cause is taken away."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml

import nmlbridge
from nmlbridge import analysis
from nmlbridge.builder.specification import schema
from nmlbridge.results import Results
from nmlbridge.simulator.neuron.mpi import find_launcher, find_library

pytestmark = pytest.mark.neuron


def peak(results: Results, population: str, start: float, stop: float) -> float:
    """Frequency (Hz) at which a population's activity has most power, from 3 to 40 Hz."""
    counts, _ = np.histogram(results.spikes.of(population), np.arange(start, stop, 0.002))
    power = np.abs(np.fft.rfft(counts - counts.mean(), 8192)) ** 2
    frequency = np.fft.rfftfreq(8192, 2e-3)
    band = (frequency > 3) & (frequency < 40)
    return float(frequency[band][power[band].argmax()])


def test_a_thalamocortical_loop_has_spindles_of_its_own(repository: Path) -> None:
    model = repository / "examples" / "11_thalamocortical" / "loop.yaml"
    results = nmlbridge.simulate(model)
    for population in ("TC", "RE", "CX"):
        assert 8 < peak(results, population, 0.1, 1.0) < 13, population
        assert (results.spikes.of(population) > 0.9).any(), population  # half a second and more after the volley
    free = nmlbridge.simulate(model, changes={"reticular": 0})
    assert (free.spikes.time > 0.3).sum() == 0


def test_relay_cells_burst_when_inhibition_lets_go(repository: Path) -> None:
    """Each cycle begins in relay cells that were held down; the others follow. It needs the low-threshold current, and
    is handed to the cortex by relay cells."""
    model = repository / "examples" / "11_thalamocortical" / "loop.yaml"
    results = nmlbridge.simulate(model)
    times = np.sort(results.spikes.of("TC"))
    begins = times[np.append(True, np.diff(times) > 0.04)]
    assert len(begins) > 8
    voltage = results["TC[0]/v"]
    for begin in begins:
        before = (results.time > begin - 0.06) & (results.time < begin - 0.01)
        assert voltage[before].min() < -0.080
        for population in ("RE", "CX"):
            later = results.spikes.of(population)
            assert 1e-3 < later[later > begin].min() - begin < 0.02
        assert (times[(times >= begin) & (times < begin + 0.03)]).size > 40  # of 20 cells: bursts
    still = nmlbridge.simulate(model, changes={"cells.relay.biophysics.mechanisms.t.density": 0})
    assert (still.spikes.time > 0.3).sum() == 0
    apart = nmlbridge.simulate(model, changes={"connections.TC_to_CX.weight": 0})
    assert len(apart.spikes.of("CX")) == 0 and (apart.spikes.of("TC") > 0.9).any()


def test_a_volley_climbs_through_the_column(repository: Path) -> None:
    model = repository / "examples" / "12_cortical_column" / "column.yaml"
    whole, cut = (nmlbridge.simulate(model, changes=changes) for changes in ({}, {"upward": 0}))

    def after(results: Results, population: str) -> int:
        times = results.spikes.of(population)
        return int(((times >= 0.15) & (times < 0.195)).sum())

    assert after(whole, "E23") > 3 * after(cut, "E23")
    assert after(whole, "E5") > 1.5 * after(cut, "E5")
    assert after(whole, "E4") == pytest.approx(after(cut, "E4"), rel=0.15)
    first = [np.median(times[(times > 0.15) & (times < 0.2)])
             for times in (whole.spikes.of(layer) for layer in ("E4", "E23", "E5"))]  # fmt: skip
    assert first == sorted(first)


def test_connections_of_the_column_depend_on_depth_and_distance(repository: Path) -> None:
    network = nmlbridge.build(repository / "examples" / "12_cortical_column" / "column.yaml").network
    depth = network.populations["E5"].positions[:, 1]
    assert (depth < 950).sum() > 1.2 * (depth >= 950).sum()  # more cells towards the top of layer 5
    near = far = pairs_near = pairs_far = layers = 0
    for projection in network.projections:
        if not projection.id.startswith("local_excitation"):
            continue
        pre, post = (network.populations[name].positions for name in (projection.presynaptic, projection.postsynaptic))
        plane = np.linalg.norm((pre[:, None] - post[None])[:, :, [0, 2]], axis=2)
        level = np.abs(pre[:, None, 1] - post[None, :, 1])
        here = level < 50
        pairs_near, pairs_far = pairs_near + (here & (plane < 75)).sum(), pairs_far + (here & (plane > 250)).sum()
        edges = plane[projection.pre, projection.post], level[projection.pre, projection.post]
        near, far = near + ((edges[1] < 50) & (edges[0] < 75)).sum(), far + ((edges[1] < 50) & (edges[0] > 250)).sum()
        layers += (edges[1] > 500).sum()
    assert near / pairs_near == pytest.approx(0.11, abs=0.03)  # 0.15 exp(-(r / 150)^2 - d / 100), on average
    assert far / pairs_far < 0.1 * near / pairs_near
    assert layers < 0.02 * sum(len(p) for p in network.projections if p.id.startswith("local_excitation"))


def test_each_input_has_its_place_on_the_pyramidal_cells(repository: Path) -> None:
    network = nmlbridge.build(repository / "examples" / "13_hippocampus" / "ca1.yaml").network
    cell = next(e for e in network.components if e.get("id") == "pyramidal")
    names = {int(e.get("id")): e.get("name") for e in cell.iter() if e.tag == "segment"}  # type: ignore[arg-type]

    def sections(part: nmlbridge.graph.Projection | nmlbridge.graph.InputList) -> set[str]:
        column = part.post_segment if isinstance(part, nmlbridge.graph.Projection) else part.segment
        return {str(names[int(segment)]).split("_")[0] for segment in np.unique(column)}

    projections = {p.id: sections(p) for p in network.projections}
    inputs = {i.id: sections(i) for i in network.inputs if i.population == "PC"}
    assert projections["BC_to_PC"] == {"soma"} and projections["OLM_to_PC"] == {"tuft"}
    assert {"basal"} == set().union(*(where for id, where in projections.items() if id.startswith("recurrent")))
    assert set().union(*(where for id, where in inputs.items() if id.startswith("schaffer"))) == {"trunk"}
    assert inputs["entorhinal"] == {"tuft"}


def test_the_septum_paces_the_hippocampus(repository: Path) -> None:
    model = repository / "examples" / "13_hippocampus" / "ca1.yaml"
    results = nmlbridge.simulate(model)
    phase = np.exp(2j * np.pi * results.spikes.of("PC") / 0.125)  # of theta
    assert len(phase) > 50
    assert abs(phase.mean()) > 0.6
    assert len(nmlbridge.simulate(model, changes={"septum": 0}).spikes.of("PC")) < 0.2 * len(phase)
    pytest.importorskip("lfpykit", reason="electrodes need the extra 'signals'")
    rate = 1 / results.time[1]
    below, above = (results[f"lfp[{contact}]"] for contact in (0, 8))
    frequency, power = analysis.power_spectrum(above, rate, 0.5)
    assert frequency[1:][power[1:].argmax()] == 8
    locked = [analysis.phase_locking(results.spikes.of("PC"), field, rate, (6, 10)) for field in (below, above)]
    assert min(one.strength for one in locked) > 0.6
    assert abs(np.angle(np.exp(1j * (locked[0].phase - locked[1].phase)))) > 2  # theta turns over along the cells


def test_basal_ganglia_choose_the_stronger_action_if_there_is_dopamine(repository: Path) -> None:
    model = repository / "examples" / "14_basal_ganglia" / "actions.yaml"

    def rates(dopamine: float, **more: float) -> dict[str, tuple[float, float]]:
        built = nmlbridge.build(model, dopamine=dopamine, **more)
        spikes = nmlbridge.simulate_network(built.network, built.simulation).spikes
        late = spikes.time > 0.25
        found = {}
        for name in ("GPi", "TH"):
            population = built.network.populations[name]
            left = population.positions[:, 0] < 200
            found[name] = tuple(np.isin(spikes.gid[late], population.offset + np.flatnonzero(side)).sum()
                                / 0.35 / side.sum() for side in (left, ~left))  # fmt: skip
        return found

    network = nmlbridge.build(model).network
    for projection in network.projections:  # paths within an action stay in its half
        if not projection.id.startswith("hold"):
            pre, post = (network.populations[name].positions[rows, 0] < 200 for name, rows in (
                (projection.presynaptic, projection.pre), (projection.postsynaptic, projection.post)))  # fmt: skip
            assert len(pre) and (pre == post).all()
    whole, lacking = rates(1), rates(0.1)
    released = rates(1, **{"connections.hold.weight": 0})
    assert released["GPi"][0] < 0.7 * whole["GPi"][0]  # it is the subthalamic nucleus that holds the other one back
    assert whole["GPi"][1] < 0.3 * whole["GPi"][0]
    assert whole["TH"][1] > 2 * whole["TH"][0]
    assert max(lacking["TH"]) < 0.3 * whole["TH"][1] and min(lacking["GPi"]) > whole["GPi"][0]


def test_without_inhibition_a_wave_runs_through_the_slice(repository: Path) -> None:
    model = repository / "examples" / "15_epilepsy" / "slice.yaml"

    def part(inhibition: float) -> list[tuple[float, float]]:
        """For each eighth of the slice: the share of cells that fire after the touch, and the median of when."""
        built = nmlbridge.build(model, inhibition=inhibition)
        spikes = nmlbridge.simulate_network(built.network, built.simulation).spikes
        first = np.array([times[times > 0.05].min(initial=np.inf)
                          for times in (spikes.of_gid(gid) for gid in range(400))])  # fmt: skip
        return [(float((eighth < np.inf).mean()), float(np.median(eighth))) for eighth in first.reshape(8, 50)]

    healthy, seized = part(1), part(0.1)
    assert healthy[0][0] > 0.3 and max(share for share, _ in healthy[1:]) < 0.1
    assert min(share for share, _ in seized) > 0.5
    assert seized[0][1] < seized[2][1] < seized[4][1] < seized[6][1]


def test_magnesium_makes_the_dendrite_jump(repository: Path) -> None:
    model = repository / "examples" / "16_nmda_spike" / "dendrite.yaml"

    def gains(magnesium: str) -> tuple[np.ndarray, np.ndarray]:
        """What each further synapse adds to the soma's peak (mV), and for how long the tuft is above -40 mV (ms)."""
        results = nmlbridge.simulate(model, changes={"magnesium": magnesium})
        soma, tuft = results.traces.values[:20], results.traces.values[20:]
        return np.diff(soma.max(axis=1)) * 1e3, (tuft > -0.040).sum(axis=1) * results.time[1] * 1e3

    (blocked, lasts), (free, _) = gains("1 mM"), gains("1e-6 mM")
    assert (lasts[:8] == 0).all() and lasts[9] > 40 and (np.diff(lasts[8:]) > 0).all()  # a plateau, or none
    best = int(blocked.argmax())
    assert 3 < best < 12 and blocked[best] > 4 * blocked[0]
    assert (np.diff(free) < 0).all()


def test_a_coil_excites_thick_axons_that_lie_along_its_field(repository: Path) -> None:
    model = repository / "examples" / "17_magnetic_stimulation" / "pulse.yaml"

    def answers(**changes: float) -> tuple[int, int]:
        spikes = nmlbridge.simulate(model, changes=changes).spikes
        return len(spikes.of("thick_axons")), len(spikes.of("thin_axons"))

    first = nmlbridge.simulate(model)
    ends, middles = (first.traces.values[row].argmax() for row in (0, 2))
    assert ends != middles and first.time[min(ends, middles)] > 2e-3  # it runs along the axon, after the pulse
    assert answers() == (20, 0)
    assert answers(strength=500) == (20, 20)
    assert answers(strength=500, angle=90) == (0, 0)


def test_a_cell_learns_to_answer_the_first_inputs(repository: Path) -> None:
    model = repository / "examples" / "18_learning" / "latency.yaml"
    results = nmlbridge.simulate(model)
    latency = results.spikes.of("OUT") % 0.1
    weights = np.array([results[f"weights/learned[{row}]"][-1] for row in range(60)])
    assert len(latency) == 39 and latency[-1] < 0.7 * latency[0]
    assert (weights[:12] == 2.5).all() and (weights[20:34] < 0.05).all()
    fixed = nmlbridge.simulate(model, changes={"learning": 0}).spikes.of("OUT") % 0.1
    assert np.ptp(fixed[1:]) < 1e-9


def test_a_buffer_slows_calcium_down(repository: Path) -> None:
    """Free calcium from a point has its peak at x after x^2 / 2d; a fixed buffer divides d by 1 + B on / off."""
    model = repository / "examples" / "19_calcium_diffusion" / "dendrite.yaml"

    def peaks(**changes: float) -> tuple[float, float]:
        """When calcium is highest 10 um away (ms), and how high."""
        results = nmlbridge.simulate(model, changes=changes)
        at10 = results.traces.values[1]
        return float(results.time[at10.argmax()] * 1e3), float(at10.max())

    free, bound, pumped = peaks(buffer=0), peaks(), peaks(buffer=0, pump=0.002)
    assert free[0] == pytest.approx(10**2 / (2 * 0.2), rel=0.03)
    assert bound[0] == pytest.approx(2 * free[0], rel=0.05) and bound[1] == pytest.approx(free[1] / 2, rel=0.05)
    assert pumped[1] < 0.7 * free[1]


def test_a_loop_that_is_closed_stops_the_wave(repository: Path) -> None:
    script = runpy.run_path(str(repository / "examples" / "20_closed_loop" / "stop_a_wave.py"))
    free, guarded, acted = script["main"]()
    assert free > 250 and guarded < 0.25 * free
    assert 50 < acted < 70


def test_gap_junctions_pull_a_ring_together(repository: Path) -> None:
    model = repository / "examples" / "21_gap_junctions" / "ring.yaml"

    def order(coupling: float) -> float:
        """How much the phases of the cells agree, from 0 to 1, at the spikes of the first one after 150 ms."""
        results = nmlbridge.simulate(model, changes={"coupling": coupling})
        listener = results.traces.values[2]
        tops = (listener[1:-1] > listener[:-2]) & (listener[1:-1] >= listener[2:])
        assert listener.max() > -0.058 and abs(tops.sum() - len(results.spikes.of("I", 0))) <= 1  # it is told of each
        trains = [times[times > 0.15] for times in (results.spikes.of("I", cell) for cell in range(10))]
        found = []
        for time in trains[0][1:-1]:
            near = [(train, int(np.searchsorted(train, time))) for train in trains]
            phases = [(time - t[k - 1]) / (t[k] - t[k - 1]) for t, k in near if 0 < k < len(t)]
            found.append(abs(np.exp(2j * np.pi * np.array(phases)).mean()))
        return float(np.mean(found))

    assert order(1) > 0.8 and order(0) < 0.4


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "duration"),
    [("13_hippocampus/ca1", 100), ("18_learning/latency", 300), ("19_calcium_diffusion/dendrite", 10),
     ("21_gap_junctions/ring", 20)],
)  # fmt: skip
def test_two_ranks_are_one(name: str, duration: float, repository: Path) -> None:
    """Spikes and all that is recorded; what electrodes see is a sum over cells, whose order the ranks change."""
    launcher = find_launcher()
    if launcher is None or find_library(launcher) is None:
        pytest.skip("no MPI here")
    model = repository / "examples" / f"{name}.yaml"
    one, two = (nmlbridge.simulate(model, changes={"run.duration": duration}, ranks=ranks) for ranks in (1, 2))
    assert np.array_equal(one.spikes.time, two.spikes.time) and np.array_equal(one.spikes.gid, two.spikes.gid)
    assert one.traces.quantities == two.traces.quantities
    assert len(one.spikes.time) > 10 or name.startswith("19")
    for quantity in one.traces.quantities:
        kind = next((kind for kind in ("lfp", "dipole") if quantity.startswith(kind)), None)
        alike = [one[each] for each in one.traces.quantities if kind is not None and each.startswith(kind)]
        most = 1e-9 * max((float(np.abs(values).max()) for values in alike), default=0.0)
        assert np.abs(one[quantity] - two[quantity]).max() <= most, quantity


def test_they_fit_the_schema(repository: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema())
    files = sorted((repository / "examples").glob("*/*.yaml"))
    assert len(files) > 10
    for file in files:
        assert [error.message for error in validator.iter_errors(yaml.safe_load(file.read_text()))] == [], file


@pytest.mark.parametrize("name", ["10_ping/ping", "11_thalamocortical/loop", "12_cortical_column/column",
                                  "13_hippocampus/ca1", "14_basal_ganglia/actions", "15_epilepsy/slice",
                                  "16_nmda_spike/dendrite"])  # fmt: skip
def test_they_are_valid_as_neuroml(name: str, repository: Path, tmp_path: Path) -> None:
    network = nmlbridge.build(repository / "examples" / f"{name}.yaml").network
    nmlbridge.write(network, tmp_path / "net.nml")
    assert nmlbridge.validate(tmp_path / "net.nml") == []
