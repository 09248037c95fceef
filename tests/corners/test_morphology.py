"""How segments become sections: tapers, branch points inside a segment, spheres, groups by path and subtree."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge.results import Results

from . import models

pytestmark = pytest.mark.neuron

RA, G, CURRENT = 1.0, 1.0, 0.01e-9  # ohm m, S/m2, A
CABLE = '<segmentGroup id="{}" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="{}"/>{}</segmentGroup>'  # noqa: E501
S = models.segment
SHAPES = {
    # a dendrite that tapers from 4 to 1 um, without groups
    "taper": S(0, (20, 20), (0, 20)) + S(1, (120, 1), (20, 4), parent=0),
    # a branch at the middle of a segment that states no proximal point: it is 50 um long and begins with 2 um
    "implicit": S(0, (100, 2), (0, 2)) + S(1, (50, 50, 2), parent=0, along=0.5),
    # a branch at 0.25 of the second of two segments of one cable
    "inside": S(0, (40, 2), (0, 2)) + S(1, (80, 2), parent=0) + S(2, (50, 60, 1), (50, 0, 1), parent=1, along=0.25)
    + CABLE.format("c", 8, '<member segment="0"/><member segment="1"/>')
    + CABLE.format("b", 1, '<member segment="2"/>'),
    "sphere": S(0, (0, 20), (0, 20)),
    # a step in diameter inside a cable
    "step": S(0, (50, 4), (0, 4)) + S(1, (100, 1), (50, 1), parent=0)
    + CABLE.format("c", 2, '<member segment="0"/><member segment="1"/>'),
}  # fmt: skip
TREE = (
    S(0, (10, 10), (0, 10)) + S(1, (20, 2), parent=0) + S(2, (30, 2), parent=1) + S(3, (20, 10, 2), parent=1)
    + '<segmentGroup id="way"><path><from segment="0"/><to segment="2"/></path></segmentGroup>'
    '<segmentGroup id="below"><subTree><from segment="1"/></subTree></segmentGroup>'
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    components, record = models.PAS + models.pulse("p", "10pA"), {}
    network = models.populations(*SHAPES, "tree")
    for name, shape in SHAPES.items():
        components += models.cell(name, models.LEAK, shape)
        network += f'<explicitInput target="p_{name}[0]" input="p"/>'
        for number in range(shape.count("<segment ")):
            record[f"{name}{number}"] = f"p_{name}/0/{name}/{number}/v"
    groups = "".join(
        f'<channelDensity id="{id}" ionChannel="pas" condDensity="0.1mS_per_cm2" erev="{erev}mV" segmentGroup="{id}" '
        'ion="non_specific"/>' for id, erev in (("way", -50), ("below", -80))
    )  # fmt: skip
    components += models.cell("tree", groups, TREE)
    record |= {f"tree{n}": f"p_tree/0/tree/{n}/v" for n in range(4)}
    return models.run(tmp_path_factory.mktemp("shapes"), components, network, record, 150, 0.05)


def rise(results: Results, name: str, segment: int) -> float:
    """The steady depolarisation, V."""
    return float(results[f"p_{name}/0/{name}/{segment}/v"][-1]) + 65e-3


def frustum(length: float, a: float, b: float) -> float:
    """Lateral area in m2 from um; a, b are diameters."""
    return float(np.pi * (a + b) / 2 * np.hypot(length, (a - b) / 2)) * 1e-12


def axial(length: float, a: float, b: float) -> float:
    """Resistance in ohm along a frustum with diameters a, b; um."""
    return RA * length * 4 / (np.pi * a * b) * 1e6


def test_a_taper_begins_at_its_proximal_end(results: Results) -> None:
    """Soma and dendrite, a compartment each: the half next to the soma is the thick one, from 4 to 2.5 um."""
    resistance = axial(10, 20, 20) + axial(50, 4, 2.5)
    soma, dendrite = G * frustum(20, 20, 20), G * frustum(100, 4, 1)
    ratio = 1 / (1 + resistance * dendrite)
    assert rise(results, "taper", 1) / rise(results, "taper", 0) == pytest.approx(ratio, rel=1e-6)
    assert rise(results, "taper", 0) == pytest.approx(CURRENT / (soma + dendrite * ratio), rel=1e-6)


def test_an_implicit_proximal_point_is_where_the_branch_begins(results: Results) -> None:
    """The branch has 50 um, not the 70.7 um from the end of its parent; it hangs at the middle."""
    trunk, branch = G * frustum(100, 2, 2), G * frustum(50, 2, 2)
    ratio = 1 / (1 + axial(25, 2, 2) * branch)
    assert rise(results, "implicit", 1) / rise(results, "implicit", 0) == pytest.approx(ratio, rel=1e-6)
    assert rise(results, "implicit", 0) == pytest.approx(CURRENT / (trunk + branch * ratio), rel=1e-6)


def test_a_branch_inside_a_segment_of_a_cable(results: Results) -> None:
    """0.25 along the second segment is 50 um along the cable of 80 um: a border between compartments of 10 um.

    NEURON puts it on the compartment from 50 to 60 um, whose middle is the place 55 um; half a compartment is allowed.
    """
    branch = G * frustum(60, 1, 1)
    at = rise(results, "inside", 2) * (1 + axial(30, 1, 1) * branch)
    trunk = np.array([rise(results, "inside", 0), rise(results, "inside", 1)])  # at 20 and 60 um
    assert trunk.min() <= at <= trunk.max()
    slope = abs(trunk[1] - trunk[0]) / 40
    assert abs(at - np.interp(50, [20, 60], trunk)) < 20 * slope


def test_a_sphere_has_the_area_of_a_sphere(results: Results) -> None:
    assert rise(results, "sphere", 0) == pytest.approx(CURRENT / (G * np.pi * 20e-6**2), rel=1e-6)


def test_a_step_in_diameter_is_kept(results: Results) -> None:
    """Two compartments of 50 um, of 4 and of 1 um; the ring between them counts to neither."""
    near, far = G * frustum(50, 4, 4), G * frustum(50, 1, 1)
    ratio = 1 / (1 + (axial(25, 4, 4) + axial(25, 1, 1)) * far)
    # the step's ring has an area of its own in NEURON: 11.8 um2 of 785
    assert rise(results, "step", 1) / rise(results, "step", 0) == pytest.approx(ratio, rel=0.02)
    assert rise(results, "step", 0) == pytest.approx(CURRENT / (near + far * ratio), rel=0.02)


def test_groups_by_path_and_by_subtree_have_their_densities(results: Results) -> None:
    """Segments 0 to 2 leak towards -50 mV, 1 to 3 towards -80 mV; everything is close to isopotential."""
    way = frustum(10, 10, 10) + 2 * frustum(10, 2, 2)
    below = frustum(10, 2, 2) * 2 + frustum(10, 2, 2)
    first = np.array([results[f"p_tree/0/tree/{n}/v"][-1] for n in range(4)])
    mean = (way * -50e-3 + below * -80e-3) / (way + below)
    np.testing.assert_allclose(first, mean, atol=3e-3)
    assert first[0] > first[1] > first[3]
