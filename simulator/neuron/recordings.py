"""From LEMS quantity paths to what NEURON records.

Resolving has two steps, because a mechanism only keeps the variables that somebody reads: ``resolve`` finds the
component and marks the variable before the mechanisms are compiled, ``place`` says afterwards where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from ...graph import Network
from ...results.outputs import Outputs, Place
from ..quantities import Attached, CellPath, attached, split_path, unit_symbol
from .attachments import Attachment
from .catalogue import Request
from .population import CellKind, Kind, Placed
from .totals import AREAS, CURRENTS, attached_current, channel_current, size


@dataclass
class Recording:
    """One quantity: its path, its SI unit, and how to find it once the mechanisms are there."""

    quantity: str
    unit: str
    place: Callable[[], dict[str, Any]]
    after: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] | None = None
    """what is done to the recorded column (SI), where NEURON has the quantity in another form only"""


def resolve(
    quantity: str, network: Network, kinds: dict[str, CellKind], attachments: dict[str, Attachment], where: Place
) -> Recording:
    """Find what a quantity path means. Raises NetworkError or UnsupportedError that names the document's place."""
    path = split_path(quantity, network)
    population = network.populations[path.population]
    kind = kinds[path.population]
    gid = population.offset + path.row
    last = path.rest[-1] if path.rest else ""
    if not path.rest:
        raise where.error(f"the quantity '{quantity}' names no variable; expected something like {quantity}/v")
    if kind.kind is Kind.CELL:
        found = _of_cell(quantity, path, kind, gid, attachments)
    else:
        found = _of_point(quantity, path, kind, gid)
    if found is None:
        found = _of_attachment(quantity, path, kind, gid, attachments)
    if found is None:
        known = ", ".join(kind.known_variables()[:12])
        raise where.error(
            f"the quantity '{quantity}' asks for '{last}', which a '{population.component}' does not have; "
            f"it has {known}"
        )
    return found


def _of_cell(
    quantity: str, path: CellPath, kind: CellKind, gid: int, attachments: dict[str, Attachment]
) -> Recording | None:
    section, x = kind.locate(path.segment, path.fraction)
    here = {"gid": gid, "section": section, "x": x}
    if path.rest == ("v",):
        return Recording(quantity, "V", lambda: {**here, "variable": "v", "scale": 1e-3})
    if path.rest in (("caConc",), ("caConcExt",), ("caConc2",), ("caConcExt2",)):
        ion = "ca2" if path.rest[0].endswith("2") else "ca"
        if ion not in kind.pools:
            return Recording(quantity, "mol/m3", lambda: {"constant": 0.0})
        side = "o" if "Ext" in path.rest[0] else "i"
        return Recording(quantity, "mol/m3", lambda: {**here, "variable": f"{ion}{side}"})
    if path.rest == ("spiking",):
        assert kind.template is not None
        threshold = float(kind.template.threshold[kind.template.compartment(section, x)]) * 1e-3
        return Recording(quantity, "", lambda: {**here, "variable": "v", "scale": 1e-3},
                         lambda v: (v > threshold).astype(float))  # fmt: skip
    if len(path.rest) == 1 and kind.template is not None:
        compartment = None if path.segment is None else kind.template.compartment(section, x)
        if path.rest[0] in AREAS:
            value = size(kind, path.rest[0], compartment)
            unit = "m2" if path.rest[0] == "surfaceArea" else "F/m2"
            return Recording(quantity, unit, lambda: {"constant": value})
        if path.rest[0] in CURRENTS:
            return Recording(quantity, "A", channel_current(kind, gid, CURRENTS[path.rest[0]], compartment))
        if path.rest[0] == "iSyn":
            return Recording(quantity, "A", attached_current(attachments, gid, path.segment))
    for depth in range(len(path.rest) - 1):
        for placed in kind.inside(path.rest[depth]):
            rest = "/".join(path.rest[depth + 1 :])
            name = placed.request.flat.paths.get(rest)
            if name is None:
                continue
            if not placed.covers(section):
                raise UnsupportedError(
                    f"the quantity '{quantity}': '{path.rest[depth]}' is not on that segment of the cell"
                )
            return _marked(quantity, placed.request, name, partial(_on, placed, here))
    return None


def _on(placed: Placed, here: dict[str, Any]) -> dict[str, Any]:
    return {**here, "mechanism": placed.mechanism_name}


def _of_point(quantity: str, path: CellPath, kind: CellKind, gid: int) -> Recording | None:
    request = kind.request
    assert request is not None
    rest = "/".join(path.rest)
    name = request.flat.paths.get(rest)
    if name is None:
        return None
    if name == "v" and "v" in request.flat.derivatives:
        return Recording(quantity, "V", lambda: {"gid": gid, "section": 0, "x": 0.5, "variable": "v", "scale": 1e-3})
    if kind.kind is Kind.SOURCE:
        return _marked(quantity, request, name, lambda: {"gid": gid, "artificial": True})
    return _marked(quantity, request, name, lambda: {"gid": gid, "template_point": 0})


def _of_attachment(
    quantity: str, path: CellPath, kind: CellKind, gid: int, attachments: dict[str, Attachment]
) -> Recording | None:
    if len(path.rest) < 2:
        return None
    wanted: Attached = attached(path.rest[0])
    for attachment in attachments.values():
        if attachment.component != wanted.component or not attachment.chunks:
            continue
        row = attachment.find(gid, path.segment, wanted.number)
        if row is None:
            continue
        name = attachment.request.flat.paths.get("/".join(path.rest[1:]))
        if name is None:
            continue

        def place(attachment: Attachment = attachment, row: int = row) -> dict[str, Any]:
            index = attachment.index
            if index is None:  # a synapse without any current is not made at all
                return {"points": attachment.key, "index": 0}
            return {"points": attachment.key, "index": int(index[row])}

        return _marked(quantity, attachment.request, name, place)
    return None


def _marked(quantity: str, request: Request, name: str, where: Callable[[], dict[str, Any]]) -> Recording:
    """A variable of a mechanism: keep it, and read it where the mechanism is."""
    flat = request.flat
    for table in (flat.states, flat.derived, flat.parameters, flat.properties, flat.externals):
        if name in table:
            dimension = table[name].dimension
            break
    if name in flat.parameters:
        value = flat.parameters[name].value
        return Recording(quantity, unit_symbol(dimension), lambda: {"constant": value})
    request.record.add(name)

    def place() -> dict[str, Any]:
        found = request.variable(name)
        if found is None:
            raise UnsupportedError(f"the quantity '{quantity}' cannot be recorded: NEURON keeps no '{name}' there")
        variable, scale = found
        return {**where(), "variable": variable, "scale": scale}

    return Recording(quantity, unit_symbol(dimension), place)


def asked_for(outputs: Outputs) -> list[tuple[str, Place, bool]]:
    """(quantity, where it is asked for, whether it is saved rather than only drawn), each quantity once."""
    found: dict[str, tuple[Place, bool]] = {}
    for file in outputs.files:
        for _, quantity in file.columns:
            found.setdefault(quantity, (file.place, True))
    for display in outputs.displays:
        for line in display.lines:
            found.setdefault(line.quantity, (Place(), False))
    return [(quantity, *where) for quantity, where in found.items()]


def selected(outputs: Outputs) -> list[tuple[str, Place]]:
    """(path, where it is asked for) of each source of events, once."""
    found: dict[str, Place] = {}
    for file in outputs.event_files:
        for _, path, _ in file.selections:
            found.setdefault(path, file.place)
    return list(found.items())
