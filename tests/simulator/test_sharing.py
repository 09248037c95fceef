"""Places that are one to NEURON share one point process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nmlbridge.lems import load_core, resolve
from nmlbridge.neuroml import read_document
from nmlbridge.report import Report
from nmlbridge.results import requested
from nmlbridge.simulator.neuron.lower import lower
from nmlbridge.simulator.neuron.settings import Settings

from . import models

SYNAPSE = '<expTwoSynapse id="syn" gbase="1nS" erev="0mV" tauRise="0.5ms" tauDecay="3ms"/>'


def test_synapses_on_one_compartment_are_one_point_process(tmp_path: Path) -> None:
    """The cable has four compartments: 0.26 and 0.49 are on its second, 0.51 on its third; its end is its own place."""
    fractions = (0.26, 0.49, 0.51, 1.0, 1.0)
    connections = "".join(
        f'<connection id="{n}" preCellId="../src[0]" postCellId="../p/0/c" postFractionAlong="{x}"/>'
        for n, x in enumerate(fractions)
    )
    parts = (
        models.PASSIVE + SYNAPSE + '<spikeArray id="src_"><spike id="0" time="1ms"/></spikeArray>'
        + models.cell("c", models.LEAK, models.cable("c", 400, 2, 4))
    )  # fmt: skip
    network = (
        '<population id="src" component="src_" size="1"/>'
        '<population id="p" component="c" size="1" type="populationList">'
        '<instance id="0"><location x="0" y="0" z="0"/></instance></population>'
        f'<projection id="pr" presynapticPopulation="src" postsynapticPopulation="p" synapse="syn">'
        f"{connections}</projection>"
    )
    path = models.put(tmp_path, parts, network, {"v": "p/0/c/v"}, 5, 0.01)
    report = Report()
    document = read_document(path, report)
    library = load_core().extended(document.elements(), report)
    components = resolve(document.elements(), library, report)
    simulation = components.simulation(document.target)
    program = lower(
        document.networks[0],
        components,
        library,
        Settings(dt=0.01, duration=5.0, seed=1),
        requested(simulation),
        report,
    ).program
    (points,) = program.spec["points"]
    (netcons,) = program.spec["netcons"]
    x = program.tables[points["x"].removeprefix("T:")]
    index = program.tables[netcons["index"].removeprefix("T:")]
    assert np.allclose(np.sort(x), [0.375, 0.625, 1.0])
    assert np.allclose(x[index], [0.375, 0.375, 0.625, 1.0, 1.0])
