"""Writing the small models of these tests, and running them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import nmlbridge
from nmlbridge import Results

PAS = '<ionChannelPassive id="pas" conductance="10pS"/>'
RC = '<iafCell id="rc" leakReversal="-60mV" thresh="100mV" reset="-70mV" C="0.2nF" leakConductance="10nS"/>'
"""a membrane that never spikes: 20 ms, 100 Mohm, at rest at -60 mV"""
LEAK = '<channelDensity id="leak" ionChannel="pas" condDensity="0.1mS_per_cm2" erev="-65mV" ion="non_specific"/>'


def segment(id: int, distal: tuple[float, ...], proximal: tuple[float, ...] | None = None,
            parent: int | None = None, along: float | None = None) -> str:  # fmt: skip
    """A segment between points (x, diameter) or (x, y, diameter), in um."""

    def point(tag: str, values: tuple[float, ...]) -> str:
        x, y = (*values[:-1], 0.0)[:2]
        return f'<{tag} x="{x}" y="{y}" z="0" diameter="{values[-1]}"/>'

    fraction = "" if along is None else f' fractionAlong="{along}"'
    above = "" if parent is None else f'<parent segment="{parent}"{fraction}/>'
    near = "" if proximal is None else point("proximal", proximal)
    return f'<segment id="{id}" name="s{id}">{above}{near}{point("distal", distal)}</segment>'


BALL = segment(0, (20, 20), (0, 20))
"""a cylinder of 20 by 20 um"""
AREA = np.pi * 20e-6 * 20e-6
"""of BALL, m2"""


def cell(id: str, membrane: str, segments: str = BALL, species: str = "", start: str = "-65mV", cm: str = "1",
         ra: str = "100", threshold: str = '<spikeThresh value="0mV"/>') -> str:  # fmt: skip
    """A cell with a morphology; ``cm`` in uF/cm2, ``ra`` in ohm cm."""
    return (
        f'<cell id="{id}"><morphology id="m_{id}">{segments}</morphology><biophysicalProperties id="bio">'
        f'<membraneProperties>{membrane}{threshold}<specificCapacitance value="{cm}uF_per_cm2"/>'
        f'<initMembPotential value="{start}"/></membraneProperties><intracellularProperties>{species}'
        f'<resistivity value="{ra}ohm_cm"/></intracellularProperties></biophysicalProperties></cell>'
    )


def pulse(id: str, amplitude: str, delay: str = "0ms", duration: str = "10s") -> str:
    """A pulseGenerator."""
    return f'<pulseGenerator id="{id}" delay="{delay}" duration="{duration}" amplitude="{amplitude}"/>'


def populations(*components: str, size: int = 1) -> str:
    """One population for each component, named p_ and the component's id."""
    return "".join(f'<population id="p_{c}" component="{c}" size="{size}"/>' for c in components)


def write(
    folder: Path, components: str, network: str, record: Mapping[str, str], length: float = 20, step: float = 0.025,
    temperature: str | None = "25degC", target: str = "net", simulation: str = "", events: Mapping[str, str] = {},
) -> Path:  # fmt: skip
    """A LEMS file; ``record`` maps column ids to quantities, ``length`` and ``step`` are in ms."""
    columns = "".join(f'<OutputColumn id="{id}" quantity="{path}"/>' for id, path in record.items())
    selections = "".join(
        f'<EventSelection id="{id}" select="{path}" eventPort="spike"/>' for id, path in events.items()
    )
    spikes = f'<EventOutputFile id="e" fileName="out.spikes" format="TIME_ID">{selections}</EventOutputFile>'
    warm = "" if temperature is None else f' type="networkWithTemperature" temperature="{temperature}"'
    body = f'<network id="net"{warm}>{network}</network>' if network else ""
    times = simulation or f'length="{length}ms" step="{step}ms"'
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "LEMS_Corner.xml"
    file.write_text(
        '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        f'<Include file="Simulation.xml"/><Include file="PyNN.xml"/>{components}{body}'
        f'<Simulation id="sim" {times} target="{target}"><OutputFile id="o" fileName="out.dat">{columns}</OutputFile>'
        f"{spikes if events else ''}</Simulation></Lems>"
    )
    return file


def run(folder: Path, components: str, network: str, record: Mapping[str, str], length: float = 20,
        step: float = 0.025, **options: Any) -> Results:  # fmt: skip
    """Run in NEURON."""
    return nmlbridge.simulate(write(folder, components, network, record, length, step, **options))


def both(file: Path, step: float = 0.025) -> tuple[Results, Results]:
    """NEURON at a fifth of the step, and the reference integrator."""
    return nmlbridge.simulate(file, dt=0.2 * step), nmlbridge.simulate(file, backend="reference", dt=step)


def difference(ours: Results, reference: Results, quantity: str) -> float:
    """The root mean square of the difference, as a part of the range (which must be something)."""
    wanted = reference[quantity]
    found = np.interp(reference.time, ours.time, ours[quantity])
    span = float(np.ptp(wanted))
    assert span > 0, quantity
    return float(np.sqrt(np.mean((found - wanted) ** 2))) / span


def crossings(time: np.ndarray, v: np.ndarray, level: float) -> np.ndarray:
    """When ``v`` rises through ``level``, interpolated."""
    at = np.flatnonzero((v[:-1] < level) & (v[1:] >= level))
    return np.asarray(time[at] + (level - v[at]) * (time[at + 1] - time[at]) / (v[at + 1] - v[at]))
