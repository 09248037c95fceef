"""Quantity paths of native cells: ``pop[3]/v``, ``pop[3]/dend(0.25)/v``, ``pop[3]/soma(0.5)/hh/m``, ``pop[3]/exc/g``.

After the cell stands a section with its place (or the index of a section), then a variable of the membrane or a density
mechanism and its variable. ``synapses:exc:2/g`` is the third process of ``exc`` on the cell, ``exc/g`` its first.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import NetworkError
from ...graph.native import NativeCell, NativeProcess
from ...results.outputs import Place
from ..quantities import CellPath, attached, split_path
from .native import Natives
from .population import CellKind
from .recordings import Recording

AT = re.compile(r"^(?P<name>.+)\((?P<x>[0-9.eE+-]+)\)$")


def resolve_native(quantity: str, natives: Natives, kinds: dict[str, CellKind], where: Place) -> Recording | None:
    """How to record a quantity of a native cell, or of a native process on any cell; None if it is neither.

    Raises ModelError that names the document's place if the cell is native and has no such thing.
    """
    path = split_path(quantity, natives.network)
    kind = kinds[path.population]
    population = natives.network.populations[path.population]
    gid = population.offset + path.row
    found = _of_process(quantity, path, natives, gid, kind)
    if found is not None or kind.native is None:
        return found
    if not path.rest:
        raise where.error(f"the quantity '{quantity}' names no variable; expected something like {quantity}/v")
    if isinstance(kind.native, NativeProcess):
        name = path.rest[-1]
        unit, scale = _unit(name, point=True)
        return Recording(quantity, unit, lambda: {"gid": gid, "artificial": True, "variable": name, "scale": scale})
    return _of_cell(quantity, path, kind.native, gid, where)


def _of_cell(quantity: str, path: CellPath, cell: NativeCell, gid: int, where: Place) -> Recording:
    rest = list(path.rest)
    section, x = (cell.spike_section, cell.spike_x) if path.segment is None else (
        path.segment, 0.5 if path.fraction is None else path.fraction)  # fmt: skip
    at = AT.match(rest[0])
    if at or (len(rest) > 1 and rest[0] in cell.index):
        try:
            section, x = cell.section(at["name"] if at else rest[0]), float(at["x"]) if at else 0.5
        except (NetworkError, ValueError) as fault:
            raise where.error(f"the quantity '{quantity}': {fault}") from None
        rest = rest[1:]
    if not 0 <= x <= 1 or not 0 <= section < len(cell.sections):
        raise where.error(f"the quantity '{quantity}' is at no place of the cell '{cell.id}'")
    here: dict[str, Any] = {"gid": gid, "section": section, "x": x}
    if len(rest) == 1:
        for number, point in enumerate(cell.points):
            if rest[0] == point.mechanism:
                raise where.error(f"the quantity '{quantity}' names no variable of '{rest[0]}' ({number})")
        unit, scale = _unit(rest[0])
        return Recording(quantity, unit, lambda: {**here, "variable": rest[0], "scale": scale})
    if len(rest) == 2:
        mechanism, name = rest
        anywhere = path.segment is None and at is None
        for number, point in enumerate(cell.points):
            if point.mechanism == mechanism and (anywhere or point.section == section):
                unit, scale = _unit(name, point=True)
                place = {"gid": gid, "template_point": number, "variable": name, "scale": scale}
                return Recording(quantity, unit, place.copy)
        if mechanism not in cell.sections[section].mechanisms:
            known = ", ".join(cell.sections[section].mechanisms) or "none"
            raise where.error(
                f"the quantity '{quantity}': section '{cell.sections[section].name}' of '{cell.id}' has no mechanism "
                f"'{mechanism}'; it has {known}"
            )
        unit, scale = _unit(name)
        return Recording(quantity, unit, lambda: {**here, "mechanism": mechanism, "variable": name, "scale": scale})
    raise where.error(f"the quantity '{quantity}' cannot be understood; expected SECTION(x)/MECHANISM/VARIABLE")


def _of_process(quantity: str, path: CellPath, natives: Natives, gid: int, kind: CellKind) -> Recording | None:
    """A variable of a synapse or input that is attached to a cell."""
    if len(path.rest) < 2:
        return None
    rest, section = list(path.rest), path.segment
    at = AT.match(rest[0])
    if at and len(rest) > 2 and isinstance(kind.native, NativeCell):
        section, rest = kind.native.index.get(at["name"], -1), rest[1:]
    if section is not None and kind.native is None:  # a segment of a cell of LEMS
        section = kind.locate(section, path.fraction)[0]
    wanted = attached(rest[0])
    group = natives.groups.get(wanted.component)
    row = None if group is None or not group.chunks else group.row(gid, section, wanted.number)
    if group is None or row is None:
        return None
    name = rest[-1]
    unit, scale = _unit(name, point=True)
    group.recorded = True  # an instance that serves several connections would show them all

    def place() -> dict[str, Any]:
        assert group.index is not None
        return {"points": group.key, "index": int(group.index[row]), "variable": name, "scale": scale}

    return Recording(quantity, unit, place)


def _unit(name: str, point: bool = False) -> tuple[str, float]:
    """SI unit and factor of a variable, by NEURON's habits of naming; dimensionless and 1 for any other."""
    if name in ("v", "vc", "rs") or re.fullmatch(r"e(na|k|ca|cl|h)?", name):
        return ("Ohm", 1e6) if name == "rs" else ("V", 1e-3)
    if re.fullmatch(r"(na|k|ca|cl|mg)[io]", name):
        return "mol/m3", 1.0
    if name == "i" or name.startswith(("i_", "ina", "ik", "ica", "ih", "il")):
        return ("A", 1e-9) if point or name == "i_membrane_" else ("A/m2", 10.0)
    if name == "g" or re.fullmatch(r"g[a-z]*(bar|max)?", name):
        return ("S", 1e-6) if point else ("S/m2", 1e4)
    return "", 1.0
