"""simConfig: how a network is run and what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph import NativeCell, Network
from ...report import Report
from ...results import Electrodes, Simulation, saved
from ...results.simulation import MAX_STEPS
from ...units import nearest
from .neuroml_cells import NeuroMLCell
from .sections import number
from .vocabulary import note_undone


class Recorded:
    """Which cells a selection of NetPyNE means. ``members`` maps the label of a population to its cells' (id, row),
    ``whole`` the ids of populations of NeuroML cells to the cell and its sections."""

    def __init__(
        self, members: Mapping[str, list[tuple[str, int]]], order: list[tuple[str, int]],
        whole: Mapping[str, tuple[NeuroMLCell, Mapping[str, Any]]],
    ) -> None:  # fmt: skip
        self.members, self.order, self.whole = members, order, whole

    def chosen(self, selection: Any, what: str) -> list[tuple[str, int]]:
        """The (population, row) of each cell: "all", a label, a number, (label, index) or (label, [indices])."""
        found: dict[tuple[str, int], None] = {}
        for item in selection if isinstance(selection, list) else [selection]:
            if item in ("all", "allCells"):
                found |= dict.fromkeys(self.order)
            elif item in ("allNetStims", "eachPop") or isinstance(item, bool):
                continue
            elif isinstance(item, int):
                if not 0 <= item < len(self.order):
                    raise UnsupportedError(f"{what}: there is no cell {item}")
                found[self.order[item]] = None
            elif isinstance(item, str):
                found |= dict.fromkeys(self._of(item, what))
            elif isinstance(item, (list, tuple)) and len(item) == 2:
                cells = self._of(item[0], what)
                for index in item[1] if isinstance(item[1], list) else [item[1]]:
                    if not isinstance(index, int) or not -len(cells) <= index < len(cells):
                        raise UnsupportedError(f"{what}: population '{item[0]}' has no cell {index}")
                    found[cells[index]] = None
            else:
                raise UnsupportedError(f"{what}: the selection {item!r:.60} is not known")
        return list(found)

    def _of(self, label: str, what: str) -> list[tuple[str, int]]:
        if label not in self.members:
            raise UnsupportedError(f"{what}: there is no population '{label}'")
        return self.members[label]


def simulation_of(config: Mapping[str, Any], network: Network, members: Recorded, report: Report,
                  file: str | None) -> Simulation:  # fmt: skip
    """The run that a simConfig states. Raises NetworkError for a number that is none, UnsupportedError by name."""

    def stated(name: str, default: float) -> float:
        return number(config.get(name, default), "simConfig", name, file)

    values = config.get("hParams") or {}
    note_undone(config, file, report)
    dt = stated("dt", 0.025)
    step = config.get("recordStep", 0.1)
    every = 1
    if step != "adaptive" and dt > 0:  # else Simulation refuses it
        every = max(1, round(min(number(step, "simConfig", "recordStep", file) / dt, MAX_STEPS)))
    tolerance = (stated("cvode_atol", 1e-3), 0.0) if config.get("cvode_active") else None
    return Simulation(
        stated("duration", stated("tstop", 1000.0)), dt, seed=int((config.get("seeds") or {}).get("stim", 1)),
        method="implicit", v_init=number(values.get("v_init", -65.0), "simConfig", "v_init", file),
        record_every=every, cvode=tolerance,
        outputs=saved(_traces(config, network, members, report, file), _spikes(config, members)),
        electrodes=_electrodes(config, network, members),
    )  # fmt: skip


def _electrodes(config: Mapping[str, Any], network: Network, members: Recorded) -> Electrodes | None:
    """Its electrodes and dipoles. What NetPyNE calls y of an electrode is a depth; its medium has 0.3 S/m."""
    places, dipole = config.get("recordLFP") or [], bool(config.get("recordDipole"))
    if not places and not dipole:
        return None
    try:
        positions = np.array(places, float).reshape(-1, 3) * (1, -1, 1)
    except (TypeError, ValueError):
        raise UnsupportedError("simConfig: recordLFP needs a list of places [x, y, z] in um") from None
    cells: dict[str, None] = {}
    for name in ("saveLFPCells", "saveDipoleCells"):
        if wanted := config.get(name):
            chosen = members.order if wanted is True else members.chosen(wanted, name)
            cells |= dict.fromkeys(
                f"{population}[{row}]" for population, row in chosen
                if population in members.whole
                or isinstance(network.native.get(network.populations[population].component), NativeCell)
            )  # fmt: skip
    populations = bool(config.get("saveLFPPops") or config.get("saveDipolePops"))
    return Electrodes(positions, 0.3, dipole=dipole, populations=populations, cells=tuple(cells), shapes="shared")


def _spikes(config: Mapping[str, Any], members: Recorded) -> list[str]:
    wanted = config.get("recordCellsSpikes", -1)
    cells = members.order if wanted == -1 else members.chosen(wanted, "recordCellsSpikes")
    return [f"{population}[{row}]" for population, row in cells]


def _traces(config: Mapping[str, Any], network: Network, members: Recorded, report: Report,
            file: str | None) -> dict[str, list[str]]:  # fmt: skip
    cells = members.chosen(config.get("recordCells") or [], "recordCells")
    for name in ("plotTraces", "iplotTraces"):
        options = (config.get("analysis") or {}).get(name)
        if isinstance(options, Mapping) and options.get("include"):
            cells += [c for c in members.chosen(options["include"], f"analysis.{name}") if c not in cells]
            break
    files: dict[str, list[str]] = {}
    for label, spec in (config.get("recordTraces") or {}).items():
        paths = []
        for population, row in cells:
            at = f"{population}[{row}]"
            if population in members.whole:
                path = _whole_path(spec, members.whole[population], at)
            else:
                path = _path(spec, network.native.get(network.populations[population].component), at)
            if path is not None and _meets(spec.get("conds"), network, population, row):
                paths.append(path)
        if paths:
            safe = "".join(c if c.isalnum() or c in "_-" else "_" for c in label)
            files[f"{safe}.dat"] = paths
            continue
        asked = [(pop, row) for pop, row in cells if _meets(spec.get("conds"), network, pop, row)]
        if asked:
            raise _impossible(label, spec, network, members, asked[0], file)
        if cells:
            report.add("netpyne-trace", "loss", f"recordTraces '{label}': its conds meet none of the recorded cells",
                       file=file)  # fmt: skip
    return files


def _impossible(
    label: str, spec: Mapping[str, Any], network: Network, members: Recorded, at: tuple[str, int], file: str | None
) -> NetworkError:  # fmt: skip
    """Why a trace can be of none of the cells that are recorded, told of the first (NetPyNE is silent)."""
    population, row = at
    cell, section = network.native.get(network.populations[population].component), spec.get("sec")
    place = f"cell {population}[{row}]"
    if not isinstance(spec.get("var"), str):
        why = "it names no variable: var"
    elif population in members.whole:
        known = list(members.whole[population][1])
        why = (f"{place} is a NeuroML cell, of which v and what is in synapses and stimuli are recorded here"
               if section in known else f"{place} has no section '{section}'"
               f"{nearest(str(section), known) or _among(known)}")  # fmt: skip
    elif not isinstance(cell, NativeCell):
        why = f"{place} is a {getattr(cell, 'mechanism', 'process')}, which has no section '{section}'"
    elif section not in cell.index:
        why = f"{place} has no section '{section}'{nearest(str(section), list(cell.index)) or _among(cell.index)}"
    elif spec.get("pointp"):
        why = f"section '{section}' of {place} has no process '{spec['pointp']}'"
    else:
        here = list(cell.sections[cell.index[section]].mechanisms)
        why = (f"section '{section}' of {place} has no mechanism '{spec.get('mech')}'"
               f"{nearest(str(spec.get('mech')), here) or _among(here)}")  # fmt: skip
    return NetworkError(
        f"variable '{spec.get('var')}' cannot be recorded: {why}. Mend or remove the trace, or name cells that have it "
        "by its conds or by recordCells", file=file, component=f"simConfig.recordTraces.{label}",
    )  # fmt: skip


def _among(names: Iterable[str]) -> str:
    return f"; there are {', '.join(list(names)[:6]) or 'none'}"


def _path(spec: Mapping[str, Any], cell: Any, at: str) -> str | None:
    """The quantity path of one entry of recordTraces on one cell, None where NetPyNE records nothing either."""
    variable = spec.get("var")
    if not isinstance(variable, str):
        return None
    if not isinstance(cell, NativeCell):
        return None if spec.get("sec") else f"{at}/{variable}"
    section = spec.get("sec")
    if section not in cell.index:
        return None
    place = f"{at}/{section}({spec.get('loc', 0.5)})"
    for key in ("synMech", "stim"):
        if spec.get(key):
            return f"{place}/synapses:{spec[key]}:{spec.get('index', 0)}/{variable}"
    if spec.get("pointp"):
        own = [point.mechanism for point in cell.points if point.section == cell.index[section]]
        return f"{place}/{own[0]}/{variable}" if own else None
    if spec.get("mech"):
        has = spec["mech"] in cell.sections[cell.index[section]].mechanisms
        return f"{place}/{spec['mech']}/{variable}" if has else None
    return f"{place}/{variable}"


def _whole_path(spec: Mapping[str, Any], whole: tuple[NeuroMLCell, Mapping[str, Any]], at: str) -> str | None:
    """The same on a NeuroML cell, where places are on segments."""
    cell, secs = whole
    variable, section, loc = spec.get("var"), str(spec.get("sec")), spec.get("loc", 0.5)
    if not isinstance(variable, str) or section not in secs or not isinstance(loc, (int, float)):
        return None
    for key in ("synMech", "stim"):
        if spec.get(key):
            return f"{at}/{cell.place(secs[section], loc)[0]}/synapses:{spec[key]}:{spec.get('index', 0)}/{variable}"
    inside = spec.get("mech") or spec.get("pointp") or variable != "v"
    return None if inside else f"{at}/{cell.quantity(secs[section], loc)}/v"


def _meets(conditions: Any, network: Network, population: str, row: int) -> bool:
    if not conditions:
        return True
    known = network.populations[population]
    facts: dict[str, Any] = {
        "pop": known.properties.get("netpyne_pop", population), "gid": known.offset + row, "cellList": row,
        "cellType": known.properties.get("netpyne_cellType"), "cellModel": known.properties.get("netpyne_cellModel"),
    }  # fmt: skip
    for key, wanted in conditions.items():
        if facts.get(key) not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True
