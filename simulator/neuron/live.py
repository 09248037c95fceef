"""What a live NEURON model is made of, as plain values: sections, mechanisms, processes, connections.

Works on NEURON's top-level object ``h``, in whatever process that lives; imports nothing of NEURON itself.
https://nrn.readthedocs.io/en/latest/python/modelspec/programmatic.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_SKIPPED = {"morphology", "capacitance"}
_LISTS = ("all", "somatic", "axonal", "basal", "apical", "myelinated")
"""lists of sections that templates usually have"""
_NUMBER = re.compile(r"\[\d+\]$")
_CONCENTRATION_INITIAL, _REVERSAL_INITIAL = 4, 32  # what NEURON packs into the value of ion_style


def extract(
    h: Any, but: Collection[str] = (), left_open: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:  # fmt: skip
    """All that stands in NEURON now, as values that JSON can hold. Lengths um, the rest in NEURON's units.

    ``but``: names of sections. Trees that begin with one of them are left out, and with them all connections.
    ``left_open``: variables of mechanisms that are no PARAMETERs, but set by those who use them (``Header.left_open``).
    """
    return _Live(h, left_open or {}).document(frozenset(but))


class _Live:
    def __init__(self, h: Any, left_open: Mapping[str, Sequence[str]]) -> None:
        self.h, self.left_open = h, left_open
        self.notes: list[list[str]] = []
        self.densities = _names(h.MechanismType(0), h)
        self.parameters: dict[str, list[str]] = {}
        self.styles: dict[tuple[str, ...], int] = {}
        self.sections: dict[str, tuple[int, int]] = {}  # NEURON's name -> cell, section

    def document(self, but: frozenset[str]) -> dict[str, Any]:
        h = self.h
        roots = h.SectionList()
        roots.allroots()
        roots = [root for root in roots if str(root) not in but]
        groups: dict[str, dict[str, Any]] = {}
        for root in roots:
            cell = root.cell()
            key = str(cell) if cell is not None else f"section {root.name()}"
            group = groups.setdefault(key, {"object": cell, "roots": []})
            group["roots"].append(root)
        cells = [self.cell(number, group) for number, group in enumerate(groups.values())]
        sources = [] if but else self.sources()
        connections = [] if but else self.connections(sources)
        return {
            "cells": cells, "sources": sources, "connections": connections, "notes": self.notes,
            "celsius": float(h.celsius), "dt": float(h.dt), "v_init": self.said("v_init", -65.0),
            "tstop": self.said("tstop", 5.0), "globals": self.globals(),
        }  # fmt: skip

    def said(self, name: str, default: float) -> float:
        """A variable of the standard run library, which may not be there."""
        try:
            return float(getattr(self.h, name))
        except (AttributeError, LookupError, TypeError):
            return default

    # cells ---------------------------------------------------------------------------------------------------------

    def cell(self, number: int, group: dict[str, Any]) -> dict[str, Any]:
        found: list[Any] = []
        stack = list(reversed(group["roots"]))
        while stack:
            section = stack.pop()
            found.append(section)
            stack += list(reversed(section.children()))
        prefix = str(group["object"])
        for index, section in enumerate(found):
            self.sections[str(section)] = (number, index)
        owner = group["object"]
        return {
            "name": "" if owner is None else _NUMBER.sub("", prefix) if "[" in prefix else type(owner).__name__,
            "sections": [self.section(section) for section in found],
            "lists": self.lists(owner),
            "processes": [self.process(p) for s in found for place in s.allseg() for p in place.point_processes()],
        }  # fmt: skip

    def lists(self, owner: Any) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for name in _LISTS if owner is not None else ():
            try:
                members = [self.sections[str(section)][1] for section in getattr(owner, name)]
            except Exception:  # whatever else the template calls so: a function, a number, sections of other cells
                continue
            if members:
                found[name] = members
        return found

    def section(self, section: Any) -> dict[str, Any]:
        parent = section.parentseg()
        entry: dict[str, Any] = {
            "name": str(section).rpartition(".")[2] if section.cell() is not None else section.name(),
            "nseg": section.nseg, "Ra": section.Ra, "L": section.L,
            "parent": -1 if parent is None else self.sections[str(parent.sec)][1],
            "parent_x": 1.0 if parent is None else float(parent.x),
            "child_x": float(section.orientation()),
            "diam": [place.diam for place in section], "cm": [place.cm for place in section],
            "mechanisms": {}, "ions": {},
        }  # fmt: skip
        count = section.n3d()
        if count >= 2:
            entry["points"] = [
                [section.x3d(i), section.y3d(i), section.z3d(i), section.diam3d(i)] for i in range(count)
            ]
        inserted = [name for name in self.densities if self.h.ismembrane(name, sec=section)]
        for name in inserted:
            if name.endswith("_ion"):
                entry["ions"][name.removesuffix("_ion")] = self.ion(section, name, inserted)
            elif name not in _SKIPPED:
                entry["mechanisms"][name] = {
                    parameter.removesuffix(f"_{name}"): [getattr(place, parameter) for place in section]
                    for parameter in self.names(name)
                }
        return entry

    def ion(self, section: Any, name: str, inserted: list[str]) -> dict[str, list[float]]:
        """What an ion starts from: of the values that NEURON will not compute itself when it initialises."""
        ion = name.removesuffix("_ion")
        style = int(self.h.ion_style(name, sec=section))
        found: dict[str, list[float]] = {}
        for side in ("i", "o"):
            start = float(getattr(self.h, f"{ion}{side}0_{name}"))
            values = [float(getattr(place, f"{ion}{side}")) for place in section]
            found[side] = [start] * len(values) if style & _CONCENTRATION_INITIAL else values
        if not style & _REVERSAL_INITIAL:
            found["e"] = [float(getattr(place, f"e{ion}")) for place in section]
        usual = self.usual_style(name, inserted)
        if (style ^ usual) & ~_CONCENTRATION_INITIAL:
            self.notes.append(["ion-style", f"section '{section}' has ion_style {style} for {ion}; it gets what its "
                                            f"mechanisms ask for, {usual}"])  # fmt: skip
        return found

    def usual_style(self, name: str, inserted: list[str]) -> int:
        """The ion_style that mechanisms ask for by themselves."""
        key = (name, *inserted)
        if key not in self.styles:
            trial = self.h.Section(name="nmlbridge_trial")
            for mechanism in inserted:
                if mechanism not in _SKIPPED:
                    trial.insert(mechanism)
            self.styles[key] = int(self.h.ion_style(name, sec=trial))
            self.h.delete_section(sec=trial)
        return self.styles[key]

    def names(self, mechanism: str) -> list[str]:
        """The parameters of a mechanism that may differ from place to place."""
        if mechanism not in self.parameters:
            standard, name = self.h.MechanismStandard(mechanism, 1), self.h.ref("")
            found = []
            for index in range(int(standard.count())):
                size = int(standard.name(name, index))
                if size > 1:
                    self.notes.append(["array", f"the array parameter '{name[0]}' of {mechanism} is left out"])
                else:
                    found.append(str(name[0]))
            density = f"_{mechanism}" if mechanism in self.densities else ""
            self.parameters[mechanism] = [*found, *(f"{name}{density}" for name in self.left_open.get(mechanism, ()))]
        return self.parameters[mechanism]

    def process(self, process: Any) -> dict[str, Any]:
        place = process.get_segment()
        mechanism = _NUMBER.sub("", process.hname())
        return {
            "name": process.hname(), "mechanism": mechanism, "section": self.sections[str(place.sec)][1],
            "x": float(place.x), "parameters": self.values(process, mechanism),
        }  # fmt: skip

    def values(self, process: Any, mechanism: str) -> dict[str, float]:
        return {name: float(getattr(process, name)) for name in self.names(mechanism)}

    # artificial cells and connections ------------------------------------------------------------------------------

    def sources(self) -> list[dict[str, Any]]:
        kinds, found = self.h.MechanismType(1), []
        for index, mechanism in enumerate(_names(kinds, self.h)):
            if not kinds.is_artificial(index):
                continue
            for each in self.h.List(mechanism):
                found.append({"name": each.hname(), "mechanism": mechanism, "parameters": self.values(each, mechanism),
                              "random": _stream(each)})  # fmt: skip
        return found

    def connections(self, sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = {source["name"] for source in sources}
        found = []
        for connection in self.h.List("NetCon"):
            pre, place, post = connection.pre(), connection.preseg(), connection.syn()
            entry: dict[str, Any] = {
                "threshold": float(connection.threshold), "delay": float(connection.delay),
                "weights": [float(connection.weight[i]) for i in range(int(connection.wcnt()))],
                "post": None if post is None else post.hname(),
            }  # fmt: skip
            if pre is not None and pre.hname() in known:
                entry["source"] = pre.hname()
            elif place is not None:
                number, index = self.sections[str(place.sec)]
                entry["cell"] = [number, index, float(place.x)]
                if pre is not None:
                    entry["process"] = pre.hname()
            else:
                self.notes.append(["source", f"{connection.hname()} has no source in this model; it is left out"])
                continue
            found.append(entry)
        return found

    def globals(self) -> dict[str, float]:
        """All global parameters of mechanisms, as NEURON calls them."""
        found = {}
        mechanisms = (*self.densities, *_names(self.h.MechanismType(1), self.h))
        for name in dir(self.h):
            if name.startswith("_") or not any(name.endswith(f"_{mechanism}") for mechanism in mechanisms):
                continue
            try:
                value = getattr(self.h, name)
            except Exception:  # a RANGE variable asks for a section, a function for arguments
                continue
            if isinstance(value, float):
                found[name] = value
        return found


def _names(kinds: Any, h: Any) -> list[str]:
    """The mechanisms that NEURON has of one kind."""
    name, found = h.ref(""), []
    for index in range(int(kinds.count())):
        kinds.select(index)
        kinds.selected(name)
        found.append(str(name[0]))
    return found


def _stream(process: Any) -> list[int] | None:
    """The ids of the random stream of a NetStim; None where it has none that can be read."""
    try:
        return [int(number) for number in process.ranvar.get_ids()]
    except Exception:  # another kind of process, or of generator
        return None
