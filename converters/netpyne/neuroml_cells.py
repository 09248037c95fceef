"""importCellParams of a NeuroML ``<cell>``: it stays NeuroML, and NetPyNE's rules see its sections.

A rule for such cells has ``neuroml: {file, cell, origin}``, the file as the model names it and the point (um) at which
NetPyNE puts its (0, 0, 0). Its ``secs``, if it states any, are shapes alone, for rules that choose places; ``neuroml``
in a section lists its segments. NetPyNE itself knows none of these words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...element import Element, Ids
from ...errors import NetworkError
from ...graph.morphology import Morphology
from ...lems.library import same
from ...neuroml import read_document
from ...neuroml.document import is_network
from ...registry import resolve_name
from ...report import Report
from ...units import nearest

if TYPE_CHECKING:
    from .instance import Cell

ENDINGS = (".nml", ".xml")
_LEFT_OUT = ("Target", "Simulation", "notes", "annotation", "include", "Include")
_FREE = ("weightNorm", "neuroml", "synMechs")
"""what a section may state that is nothing of the cell itself"""
_CLOSE = 1e-6  # um


@dataclass(frozen=True, eq=False)
class NeuroMLCell:
    """A cell with all that its file states besides: channels, types."""

    id: str
    elements: tuple[Element, ...]
    morphology: Morphology
    file: str

    @classmethod
    def of(cls, file: Path, name: str, report: Report) -> NeuroMLCell:
        """Read it. Raises DocumentError for a file that is none, NetworkError if it has no such ``<cell>``."""
        found = tuple(e for e in read_document(file, report).elements()
                      if e.tag not in _LEFT_OUT and not is_network(e))  # fmt: skip
        cells = {str(e.get("id")): e for e in found if e.tag in ("cell", "cell2CaPools")}
        if name not in cells:
            other = next((e.tag for e in found if e.get("id") == name), None)
            known = f"; there are {', '.join(cells)}" if cells else "; there are none"
            why = f"is a <{other}>, which has no sections" if other else "is not there"
            raise NetworkError(f"the <cell> '{name}' {why}{nearest(name, list(cells)) or known}", file=str(file))
        apart = [e for e in found if e.get("id") == cells[name].get("morphology")]
        shape = next((e for e in (*cells[name].children, *apart) if e.tag == "morphology"), None)
        if shape is None:
            raise NetworkError(f"the <cell> '{name}' has no morphology", file=str(file), line=cells[name].line)
        return cls(name, found, Morphology.from_element(shape), str(file))

    @cached_property
    def _sections(self) -> Any:
        return resolve_name("nmlbridge.simulator.neuron.sections:map_sections")(self.morphology, Report())

    @cached_property
    def _rows(self) -> list[list[int]]:
        """The segments (rows) of each section, from its beginning to its end."""
        found: list[list[int]] = [[] for _ in self._sections.sections]
        for row in np.argsort(self._sections.begin, kind="stable").tolist():
            found[int(self._sections.section_of[row])].append(row)
        return found

    @cached_property
    def names(self) -> list[str]:
        """What sections are called: as their cable, else as their segment."""
        cables = [(group.id, set(group.rows.tolist())) for group in self.morphology.groups.values() if group.is_cable]
        ids = Ids()
        return [ids.fresh(next((id for id, all_ in cables if set(rows) <= all_), self.morphology.names[rows[0]]))
                for rows in self._rows]  # fmt: skip

    def rule(self) -> dict[str, Any]:
        """Its sections and section lists in NetPyNE's words: geometry and topology."""
        secs: dict[str, Any] = {}
        for name, section, rows in zip(self.names, self._sections.sections, self._rows, strict=True):
            points = section.points
            length = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
            widths = (points[1:, 3] + points[:-1, 3]) / 2
            secs[name] = {
                "geom": {"L": float(length.sum()), "diam": float(np.average(widths, weights=length)),
                         "nseg": section.nseg, "pt3d": [tuple(point) for point in points.tolist()]},
                "topol": {}, "mechs": {}, "neuroml": [int(self.morphology.ids[row]) for row in rows],
            }  # fmt: skip
            if section.parent >= 0:
                secs[name]["topol"] = {"parentSec": self.names[section.parent], "parentX": section.parent_x,
                                       "childX": 0.0}  # fmt: skip
        lists = {
            group.id: [name for name, rows in zip(self.names, self._rows, strict=True)
                       if set(rows) & set(group.rows.tolist())]
            for group in self.morphology.groups.values() if not group.is_cable
        }  # fmt: skip
        return {"secs": secs, "secLists": lists}

    def place(self, section: Mapping[str, Any], x: float) -> tuple[int, float]:
        """(segment id, fraction along) of a place in one of the sections of a rule."""
        rows = [self.morphology.row_by_id[id] for id in section["neuroml"]]
        begin, end = self._sections.begin, self._sections.end
        row = next((row for row in rows if x <= end[row]), rows[-1])
        width = end[row] - begin[row]
        return int(self.morphology.ids[row]), float(np.clip((x - begin[row]) / width, 0.0, 1.0)) if width > 0 else 0.5

    def quantity(self, section: Mapping[str, Any], x: float) -> str:
        """The part of a quantity path that is this place: a segment, with the fraction along it if its middle is in
        another compartment."""
        id, fraction = self.place(section, x)
        row = self.morphology.row_by_id[id]
        number, middle = self._sections.locate(np.array([row]), np.array([0.5]))
        nseg = self._sections.sections[int(number[0])].nseg
        alike = min(int(x * nseg), nseg - 1) == min(int(middle[0] * nseg), nseg - 1)
        return str(id) if alike else f"{id}({fraction:.6g})"

    def check(self, rule: Mapping[str, Any], label: str, file: str | None) -> None:
        """Raise NetworkError if a rule states anything of the cell that its file does not."""
        origin = np.array(_marker(rule, label, file)["origin"])
        theirs = {tuple(section.get("neuroml") or ()): name for name, section in rule["secs"].items()}
        ours = self.rule()["secs"]
        names = {name: theirs.pop(tuple(section["neuroml"]), None) for name, section in ours.items()}
        if theirs:
            raise self._changed(label, next(iter(theirs.values())), "is none of its sections", file)
        for name, own in ours.items():
            stated = rule["secs"].get(names[name])
            if stated is None:
                raise self._changed(label, name, "is left out", file)
            if own["topol"]:
                own["topol"]["parentSec"] = names[own["topol"]["parentSec"]]
            for word in {**own, **stated}:
                if word == "geom" and self._same_shape(own["geom"], stated.get("geom"), origin):
                    continue
                if word not in _FREE and (stated.get(word) or {}) != (own.get(word) or {}):
                    raise self._changed(label, str(names[name]), f"states '{word}' otherwise", file)

    def _same_shape(self, own: Mapping[str, Any], stated: Any, origin: Any) -> bool:
        if not isinstance(stated, Mapping) or set(stated) != set(own):
            return False
        numbers = all(stated[word] == own[word] for word in ("L", "diam", "nseg"))
        points = np.array(stated["pt3d"], float)
        points = points + np.append(origin, 0.0) if points.ndim == 2 and points.shape[1] == 4 else points
        return numbers and points.shape == np.shape(own["pt3d"]) and np.allclose(points, own["pt3d"], 0, _CLOSE)

    def _changed(self, label: str, section: str, why: str, file: str | None) -> NetworkError:
        return NetworkError(f"its cell is the NeuroML <cell> '{self.id}' and stays as '{Path(self.file).name}' states "
                            f"it, but section '{section}' {why}; change the NeuroML file", file=file,
                            component=f"cellParams.{label}")  # fmt: skip


def components_of(cells: Iterable[Cell]) -> list[Element]:
    """What the NeuroML files of cells state, each once. Raises NetworkError for two things of one id."""
    files = {cell.neuroml.file: cell.neuroml for cell in cells if cell.neuroml is not None}
    found: list[Element] = []
    known: dict[str, Element] = {}
    for element in (element for part in files.values() for element in part.elements):
        id = element.get("id") or element.get("name")
        before = known.setdefault(id, element) if id is not None else element
        if before is element:
            found.append(element)
        elif not same(before, element):
            raise NetworkError(f"another component is called '{id}' ({before.file}:{before.line}); rename one",
                               file=element.file, line=element.line, component=id)  # fmt: skip
    return found


def spot_on(cell: Cell, section: str | None, loc: float) -> tuple[int, float] | None:
    """(segment id, fraction along) of a place on a NeuroML cell; None for any other."""
    if cell.neuroml is None or cell.secs is None:
        return None
    name = section or next(iter(cell.secs))
    if name not in cell.secs:
        raise NetworkError(f"there is no section '{name}'{nearest(name, list(cell.secs))}; there are "
                           f"{', '.join(list(cell.secs)[:8])}", component=cell.neuroml.id)  # fmt: skip
    return cell.neuroml.place(cell.secs[name], loc)


def of_rule(rule: Mapping[str, Any], label: str, model: str | None, report: Report) -> NeuroMLCell:
    """The cell of a rule. Raises NetworkError with its place for what cannot be, DocumentError for its file."""
    marker = _marker(rule, label, model)
    folder = Path(model).parent if model else Path()
    return NeuroMLCell.of(folder / marker["file"], marker["cell"], report)


def _marker(rule: Mapping[str, Any], label: str, file: str | None) -> dict[str, Any]:
    marker = rule["neuroml"]
    if not isinstance(marker, Mapping) or not all(isinstance(marker.get(word), str) for word in ("file", "cell")):
        raise NetworkError("neuroml: expected {file: ..., cell: ...}", file=file, component=f"cellParams.{label}")
    try:
        origin = np.array(marker.get("origin", (0, 0, 0)), float)
    except (TypeError, ValueError):
        origin = np.zeros(0)
    if origin.shape != (3,) or not np.isfinite(origin).all():
        raise NetworkError("neuroml.origin: expected three numbers", file=file, component=f"cellParams.{label}")
    return {**marker, "origin": origin.tolist()}


def imported(file: str, name: str, folder: str) -> dict[str, Any]:
    """What ``importCellParams`` keeps of a NeuroML file, in the process that runs a model's Python."""
    path = Path(file).resolve()
    inside = path.is_relative_to(Path(folder).resolve())
    kept = path.relative_to(Path(folder).resolve()) if inside else path
    return {**NeuroMLCell.of(path, name, Report()).rule(), "globals": {},
            "neuroml": {"file": str(kept), "cell": name, "origin": [0.0, 0.0, 0.0]}}  # fmt: skip


def centred(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule whose soma is at (0, 0, 0), as somaAtOrigin puts it: by the middle one of its points."""
    soma = next((section for name, section in rule["secs"].items() if "soma" in name), None)
    if soma is None:
        return rule
    points = soma["geom"]["pt3d"]
    origin = points[len(points) // 2][:3]
    for section in rule["secs"].values():
        section["geom"]["pt3d"] = [(*(a - b for a, b in zip(point[:3], origin, strict=True)), point[3])
                                   for point in section["geom"]["pt3d"]]  # fmt: skip
    return rule | {"neuroml": rule["neuroml"] | {"origin": list(origin)}}
