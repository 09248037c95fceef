"""What the formats that are Python scripts share: a folder with a script, its arrays and a README; text of the model
reaches a script only through ``literal``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..files import new_folder
from ..graph import InputList, Network, Population, Projection
from ..lems import Component, Library, load_core, resolve
from ..report import Report
from ..results.outputs import OutputFile
from ..results.paths import place_of
from ..results.simulation import Simulation, settings_in
from ..units import nearest
from .swc import safe_id

ARRAYS = "network.npz"
DEFAULT_RUN = Simulation(100.0)
"""what a script runs where the model says nothing"""


def literal(value: Any) -> str:
    """``value`` as a Python literal; only plain values pass, so that what stands in a script is never code."""
    if isinstance(value, (bool, int, str)) or value is None:
        return repr(value)
    if isinstance(value, (float, np.floating)):
        number = float(f"{float(value):.15g}")  # a change of units leaves dust in the last place
        return repr(number) if math.isfinite(number) else f"float({str(number)!r})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(literal(v) for v in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    raise TypeError(f"{type(value).__name__} is no plain value")


def comment(text: str) -> str:
    """Text of a model on one line of a comment."""
    return " ".join(ascii(text)[1:-1].split())[:200]


def components_of(network: Network, report: Report) -> tuple[dict[str, Component], Library]:
    """The resolved components of a network by id (SI), and the library with the types of its own.

    Raises NetworkError if a population has a component that is not there: its file was not included.
    """
    library = load_core().extended(network.components, report)
    components = resolve(network.components, library, report).components
    for population in network.populations.values():
        if population.component not in components:
            raise NetworkError(
                f"population '{population.id}' has the component '{population.component}', which the model does not "
                f"define{nearest(population.component, components)}; include the file that does"
            )
    return components, library


def settings_of(network: Network, report: Report) -> Simulation:
    """How the model is run; DEFAULT_RUN, and a note, where it does not say."""
    found = settings_in(network.simulation)
    if found is None:
        report.add("no-simulation", "info", f"the model does not say how long it is run; the script runs "
                   f"{DEFAULT_RUN.duration:g} ms in steps of {DEFAULT_RUN.dt:g} ms")  # fmt: skip
    return found or DEFAULT_RUN


def file_name(name: str, used: set[str]) -> str:
    """A name for a file of results beside the script: no folders, not used twice."""
    stem = safe_id(Path(name).name.rsplit(".", 1)[0])
    found = next(n for k in range(len(used) + 1) if (n := f"{stem}{'_' * k}.dat") not in used)
    used.add(found)
    return found


def columns_of(file: OutputFile, network: Network, variable: str, report: Report) -> list[tuple[str, int]]:
    """(population, row) of the columns of a file that are ``variable`` of a cell; the others are noted as a loss."""
    found = []
    for _, quantity in file.columns:
        place = place_of(quantity)
        population = network.populations.get(place.population) if place is not None else None
        row = population.row_of(place.index) if population is not None and place is not None else None
        if place is None or population is None or row is None or place.variable != variable:
            report.add("output-left-out", "loss", f"'{quantity}' is not recorded: only '{variable}' of cells is",
                       component=file.id)  # fmt: skip
            continue
        found.append((population.id, row))
    return found


def edges_of(projection: Projection) -> tuple[Any, Any, Any]:
    """pre/post rows (n, 2), weights and delays (ms), filled in."""
    weight = np.ones(len(projection)) if projection.weight is None else projection.weight
    delay = np.zeros(len(projection)) if projection.delay is None else projection.delay
    return np.stack([projection.pre, projection.post], axis=1), weight, delay


def write_folder(path: Path, files: dict[str, str], arrays: dict[str, Any] | None = None) -> None:
    """Text files, and the arrays under ARRAYS, as a folder that is whole or not there."""
    with new_folder(path) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        if arrays is not None:
            np.savez_compressed(folder / ARRAYS, **arrays)


def left_out(item: Population | Projection | InputList, why: str, report: Report) -> None:
    """Note that an item of the network is not in the script."""
    kind = {Population: "population", Projection: "projection", InputList: "input list"}[type(item)]
    report.add(f"{kind.replace(' ', '-')}-left-out", "loss", f"{kind} '{item.id}' is left out: {why}",
               component=item.id)  # fmt: skip
