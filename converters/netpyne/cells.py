"""cellParams: which rules a cell meets, and the sections that they give it together."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...graph.morphology import by_length_constant
from ...report import Report
from .anatomy import FAR, Anatomy, Turns
from .functions import Function
from .instance import Cell
from .neuroml_cells import NeuroMLCell, of_rule
from .sections import RESERVED
from .streams import Stream, of_text

if TYPE_CHECKING:
    from .rules import Model

_PLACE = ("x", "y", "z", "xnorm", "ynorm", "znorm")


def meets(conditions: Mapping[str, Any], tags: Mapping[str, Any], gid: int) -> bool:
    """Whether a cell meets the conditions of a cell rule: a list of numbers is a closed interval, of words a choice."""
    for key, wanted in conditions.items():
        has = gid if key == "gid" else tags.get(key)
        if isinstance(wanted, list) and wanted:
            numeric = isinstance(wanted[0], (int, float))
            if numeric and key != "gid":
                if has is None or not wanted[0] <= has <= wanted[1]:
                    return False
            elif has not in wanted:
                return False
        elif isinstance(has, list):
            if wanted not in has:
                return False
        elif has != wanted:
            return False
    return True


class Rules:
    """The cell rules of a model. A cell's string functions draw from one stream of its own, in NetPyNE's order."""

    def __init__(self, model: Model, report: Report) -> None:
        self.model, self.report = model, report
        self.rules = list(model.entries("cellParams"))
        self.functions: dict[str, Function | None] = {}
        self.streams: dict[int, Stream] = {}
        """the stream of each cell, where its functions have left it"""
        self.turns = Turns(model)
        self.whole = {label: self._neuroml(label, rule) for label, rule in self.rules if "neuroml" in rule}
        self._diversity()

    def _neuroml(self, label: str, rule: dict[str, Any]) -> NeuroMLCell:
        """The NeuroML cell of a rule, which gets its sections if it states none."""
        cell = of_rule(rule, label, self.model.file, self.report)
        if rule.get("secs"):
            cell.check(rule, label, self.model.file)
        else:
            rule |= cell.rule() | {"secLists": cell.rule()["secLists"] | dict(rule.get("secLists") or {})}
        return cell

    def _diversity(self) -> None:
        """Rules with a diversityFraction hold for an interval of the cells' fractions."""
        ends: dict[tuple[Any, ...], float] = {}
        tiny = 1e-12
        for label, rule in self.rules:
            if "diversityFraction" not in rule:
                continue
            conditions = dict(rule.get("conds") or {})
            if not conditions:
                raise self.model.error(f"cellParams.{label}: diversityFraction needs conds")
            key = tuple(conditions.get(name) for name in ("cellType", "cellModel", "pop"))
            key = tuple(tuple(k) if isinstance(k, list) else k for k in key)
            start = ends.get(key, 0.0)
            ends[key] = start + rule["diversityFraction"]
            conditions["fraction"] = [start - tiny if start else start, ends[key] - tiny]
            rule["conds"] = conditions

    def apply(self, cell: Cell) -> None:
        """Give a cell the sections of all rules that it meets."""
        stream = self.model.stream("cell", of_text("cellParams"), cell.gid, int(self.model.seeds["cell"]))
        self.streams[cell.gid] = stream
        assert cell.secs is not None
        for label, rule in self.rules:
            conditions = rule.get("conds")
            met = meets(conditions, cell.tags, cell.gid) if conditions else cell.tags.get("cellType") == label
            if not met:
                continue
            if not isinstance(rule.get("secs"), Mapping):
                raise self.model.error(f"cellParams.{label}: the cell {cell.gid} meets this rule, which has no secs")
            if cell.secs and (label in self.whole or cell.neuroml is not None):
                raise self.model.error(f"cellParams.{label}: the cell {cell.gid} meets another rule too, but a NeuroML "
                                       "cell stays as it is")  # fmt: skip
            if label in self.whole:
                cell.neuroml = self.whole[label]
                cell.origin = tuple(rule["neuroml"].get("origin", cell.origin))
            self._merge(cell, label, rule, stream)
        if not cell.secs:
            raise self.model.error(
                f"no rule of cellParams fits cell {cell.gid} of population '{cell.tags.get('pop')}' "
                f"(cellType '{cell.tags.get('cellType')}')"
            )

    def _merge(self, cell: Cell, label: str, rule: Mapping[str, Any], stream: Stream) -> None:
        assert cell.secs is not None
        names = {name: cell.tags[name] for name in _PLACE if name in cell.tags}
        for name, value in (rule.get("vars") or {}).items():
            names[name] = self._value(value, names, stream, f"cellParams.{label}.vars.{name}")
        for name, spec in rule["secs"].items():
            where = f"cellParams.{label}.secs.{name}"
            section = cell.secs.setdefault(name, {"topol": {}})
            for key, value in spec.items():
                if key == "geom":
                    geometry = section.setdefault("geom", {})
                    for word, one in value.items():
                        if word == "nseg" and one == "d_lambda":
                            geometry[word] = one
                            continue
                        geometry[word] = self._value(one, names, stream, f"{where}.geom.{word}")
                    if geometry.get("pt3d"):
                        geometry["pt3d"] = self.turns.turned(label, name, cell.gid, geometry["pt3d"])
                elif key in ("mechs", "ions", "pointps"):
                    continue
                elif key == "topol":
                    section["topol"] = dict(section.get("topol") or {}) | dict(value or {})
                else:
                    section[key] = copy.deepcopy(value)
            geometry = section.get("geom") or {}
            if geometry.get("nseg") == "d_lambda":
                geometry["nseg"] = self._divided(geometry, where)
        for name, spec in rule["secs"].items():  # when all sections are there, as distances along the cell need
            where = f"cellParams.{label}.secs.{name}"
            section = cell.secs[name]
            nseg = int((section.get("geom") or {}).get("nseg", 1))
            for mechanism, parameters in (spec.get("mechs") or {}).items():
                own = section.setdefault("mechs", {}).setdefault(mechanism, {})
                for word, one in parameters.items():
                    own[word] = self._per_segment(one, names, stream, nseg, f"{where}.mechs.{mechanism}.{word}", cell,
                                                  name)  # fmt: skip
            for ion, values in (spec.get("ions") or {}).items():
                section.setdefault("ions", {}).setdefault(ion, {}).update(values)
            for process, parameters in (spec.get("pointps") or {}).items():
                own = section.setdefault("pointps", {}).setdefault(process, {})
                for word, one in parameters.items():
                    plain = word in RESERVED or one == "gid"
                    value = cell.gid if one == "gid" else one
                    own[word] = value if plain else self._value(value, names, stream,
                                                                f"{where}.pointps.{process}.{word}")  # fmt: skip
        cell.lists.update(copy.deepcopy(rule.get("secLists") or {}))
        labels = cell.tags.setdefault("label", [])
        if isinstance(labels, list):
            labels.append(label)

    def _divided(self, geometry: Mapping[str, Any], where: str) -> int:
        """The number of segments of a section by its length constant, which NetPyNE has not: nseg "d_lambda"."""
        try:
            ra, cm = float(geometry.get("Ra", 35.4)), float(np.mean(geometry.get("cm", 1.0)))
            if geometry.get("pt3d"):
                points = np.array(geometry["pt3d"], float)
                length = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
                return by_length_constant(length, (points[1:, 3] + points[:-1, 3]) / 2, ra, cm)
            return by_length_constant(float(geometry["L"]), float(np.mean(geometry["diam"])), ra, cm)
        except (KeyError, TypeError, ValueError):
            raise self.model.error(f"{where}.geom.nseg: 'd_lambda' needs numbers for L and diam, or pt3d") from None

    def _function(self, text: str, where: str) -> Function:
        if text not in self.functions:
            self.functions[text] = Function(text, where, self.model.file)
        found = self.functions[text]
        assert found is not None
        return found

    def _value(self, value: Any, names: Mapping[str, Any], stream: Stream, where: str) -> Any:
        """A value, computed if it is a string function."""
        if not isinstance(value, str):
            return copy.deepcopy(value)
        function = self._function(value, where)
        if FAR & function.names:
            raise UnsupportedError(f"{where}: '{min(FAR & function.names)}' is for the parameters of mechanisms")
        function.check_names(names)
        return float(function(names, stream))

    def _per_segment(self, value: Any, names: Mapping[str, Any], stream: Stream, nseg: int, where: str, cell: Cell,
                     section: str) -> Any:  # fmt: skip
        """A mechanism's parameter: NetPyNE computes a function anew for each segment."""
        if not isinstance(value, str):
            return copy.deepcopy(value)
        function = self._function(value, where)
        far = FAR & function.names
        if not (far or (function.random and nseg > 1)):
            return self._value(value, names, stream, where)
        anatomy = Anatomy(self.model, cell)
        found = []
        for x in anatomy.centres(section):
            here = {**names, **anatomy.distances(section, x, far)}
            function.check_names(here)
            found.append(float(function(here, stream)))
        return found if nseg > 1 else found[0]

    def point_parameters(self, cell: Cell, parameters: Mapping[str, Any], label: str) -> dict[str, Any]:
        """Parameters of an artificial cell, functions and ranges of rates computed."""
        stream = self.model.stream("cell", of_text("cellParams"), cell.gid, int(self.model.seeds["cell"]))
        names = {name: cell.tags[name] for name in _PLACE if name in cell.tags}
        found: dict[str, Any] = {}
        for name, value in parameters.items():
            if isinstance(value, str):
                found[name] = self._value(value, names, stream, f"popParams.{label}.{name}")
            else:
                found[name] = copy.deepcopy(value)
        if cell.tags.get("cellModel") == "NetStim" and isinstance(found.get("rate"), list):
            low, high = found["rate"]
            seed = int(self.model.seeds["stim"])
            found["rate"] = self.model.stream("cell", of_text("point_rate"), cell.gid, seed).uniform(low, high)
        return found
