"""The backend "reference": the equations of a LEMS model as they stand, integrated in numpy."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ModelError, NetworkError
from ...graph import Network
from ...lems import Component, Library, Model
from ...report import Report
from ...results import SpikeTrains, Traces
from ...results.outputs import Outputs
from ..quantities import split_path, unit_symbol
from .declared import declared
from .integrate import METHODS, Diverged, Integrator
from .network import Laid, lay_component, lay_nested, lay_network, make, within

if TYPE_CHECKING:
    from ..backend import Progress

__all__ = ["METHODS", "integrate"]


def integrate(
    target: Network | Component, model: Model, library: Library, outputs: Outputs, report: Report, *, dt: float,
    duration: float, seed: int, method: str | None = None, inside: Network | None = None,
    progress: Progress | None = None,
) -> tuple[Traces, SpikeTrains, dict[str, int]]:  # fmt: skip
    """Integrate a network of point cells and single segments, or one component by itself; ``dt``, ``duration`` in s.

    ``inside`` is the network that the component is around, if there is one. A component in types of the model's own
    that make populations is a network too.
    ``method`` is rk4 (fixed steps, conditions located inside a step), euler (the same with explicit Euler steps) or
    lsoda (SciPy's, error below 1e-9 a step); None is rk4, and lsoda where the model is too stiff for it. Returns traces
    and spikes (SI) and the gid behind each event selection.
    """
    if isinstance(target, Component) and inside is None:
        target = declared(target) or target
    network = target if isinstance(target, Network) else inside
    if isinstance(target, Network):
        laid = lay_network(target, model, library)
    elif inside is not None:
        laid = lay_nested(target, inside, model, library)
    else:
        laid = lay_component(target, library)
    system = make(laid, seed)
    probes, quantities, units = [], [], []
    saved = {quantity for file in outputs.files for _, quantity in file.columns}
    places = {quantity: file.place for file in outputs.files for _, quantity in file.columns}
    for quantity in outputs.quantities():
        try:
            probe = laid.probe(quantity, network)
        except NetworkError as error:
            if quantity not in saved:
                report.add("line-not-drawn", "loss", str(error), component=quantity)
                continue
            raise places[quantity].error(error.message) from None
        group, name, _ = probe
        flat = group.flat
        tables = (flat.states, flat.derived, flat.parameters, flat.properties, flat.externals)
        table = next(table for table in tables if name in table)
        probes.append(probe)
        quantities.append(quantity)
        units.append(unit_symbol(table[name].dimension))
    with np.errstate(all="ignore" if method is None else "warn"):
        try:
            trajectory = Integrator(system, dt, duration, method or "rk4").run(probes, progress)
        except Diverged as stiff:
            if method is not None or find_spec("scipy") is None:
                raise
            report.add("stiff", "info", f"too stiff for steps of {dt * 1e3:g} ms: {str(stiff).partition(';')[0]}; "
                       "integrated by lsoda instead")  # fmt: skip
            trajectory = Integrator(make(laid, seed), dt, duration, "lsoda").run(probes, progress)
    spikes = [
        (time, group.first_gid + row)
        for time, group, row, port in trajectory.events
        if group.first_gid is not None and port == group.flat.out_ports[0]
    ]
    spikes.sort()
    populations = {laid.groups[0].flat.id: (0, 1)}
    if network is not None:
        populations = {p.id: (p.offset, p.size) for p in network.populations.values()}
    trains = SpikeTrains(
        np.array([gid for _, gid in spikes], dtype=np.int64), np.array([time for time, _ in spikes]), populations
    )
    traces = Traces(trajectory.time, trajectory.values, tuple(quantities), tuple(units))
    return traces, trains, _gids(outputs, network, laid)


def _gids(outputs: Outputs, network: Network | None, laid: Laid) -> dict[str, int]:
    gids = {}
    for file in outputs.event_files:
        for _, path, _ in file.selections:
            if network is None:
                gids[path] = 0
                continue
            try:
                cell = split_path((within(path, network) if laid.root else None) or path, network)
            except ModelError as error:
                raise file.place.error(error.message) from None
            gids[path] = network.populations[cell.population].offset + cell.row
    return gids
