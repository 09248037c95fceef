"""Mechanisms of NEURON that a specification may name: those that NEURON has, and those of its mod files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from ..element import Ids
from ..errors import UnsupportedError
from ..nmodl.builtin import BUILT_IN, OF_CELLS
from ..nmodl.files import global_parameters, mechanism_of, renamed, same_code, texts_of, used, with_globals
from ..nmodl.header import Header, read_header
from ..report import Report
from ..units import nearest
from .context import Context, Path_
from .specification import dotted

_TAKEN = BUILT_IN | {"VecStim"}
_KINDS = {"SUFFIX": "a density mechanism, for the biophysics of a cell",
          "POINT_PROCESS": "a point process, for synapses and components",
          "ARTIFICIAL_CELL": "an artificial cell, for cells"}  # fmt: skip

_APART = "give one of them a mechanism with another name"


@dataclass
class Mods:
    """Texts of mod files by file name, and the header of each mechanism that there is, by its name.

    A template may set GLOBAL parameters, which all cells in NEURON share, and bring mod files of its own: where two
    templates do not agree about a mechanism, the second gets a copy of it.
    """

    context: Context
    report: Report
    stated: dict[str, str] = field(default_factory=dict)
    """the files that the specification names, as they are"""
    texts: dict[str, str] = field(default_factory=dict)
    """all, with the GLOBALs that templates have set"""
    known: dict[str, Header] = field(default_factory=lambda: dict(OF_CELLS))
    users: dict[str, tuple[str, str]] = field(default_factory=dict)
    """by mechanism: its text with the GLOBALs of who used it first, and who that is"""

    @classmethod
    def of(cls, context: Context, report: Report) -> Mods:
        """The mechanisms of a specification. Raises NetworkError for a file that is none, or a name that is taken."""
        found = cls(context, report)
        model, folder = context.spec.model, context.spec.folder
        for number, name in enumerate(model.mods):
            path: Path_ = ("mods", number)
            place = folder / name
            if Path(name).is_absolute() or "://" in name:
                raise context.error(f"'{name[:80]}' must be named relative to the specification", *path)
            files = sorted(place.glob("*.mod")) if place.is_dir() else [place]
            if not files or not all(file.is_file() for file in files):
                raise context.error(f"there are no mod files at '{name[:80]}'", *path)
            for file, text in texts_of(files).items():
                found._add(file, text, path)
        return found

    def _add(self, file: str, text: str, path: Path_) -> None:
        header = read_header(text)
        if header is None:
            raise self.context.error(f"'{file}' defines no mechanism; expected SUFFIX, POINT_PROCESS or "
                                     "ARTIFICIAL_CELL in its NEURON block", *path)  # fmt: skip
        if header.name in self.known or header.name in _TAKEN or file in self.texts:
            raise self.context.error(f"'{file}' defines '{header.name}', which is there already", *path)
        self.stated[file] = self.texts[file] = text
        self.known[header.name] = header

    def header(self, name: str, kinds: Collection[str], *path: str | int) -> Header:
        """The mechanism called ``name``, of one of the kinds. Raises NetworkError with the nearest names."""
        header = self.known.get(name)
        fitting = sorted(n for n, h in self.known.items() if h.kind in kinds)
        if "synapses" in path:
            fitting += ["ExpSyn", "Exp2Syn"]
        if header is None:
            hint = nearest(name, fitting) or f"; there are {', '.join(fitting) or 'none'}"
            raise self.context.error(f"there is no mechanism '{name[:40]}'{hint}; 'mods' names the mod files of others",
                                     *path)  # fmt: skip
        if header.kind not in kinds:
            raise self.context.error(f"'{name}' is {_KINDS[header.kind]}", *path)
        if header.pointers:
            raise self.context.error(f"'{name}' needs the pointer '{header.pointers[0]}', which cannot be stated here",
                                     *path)  # fmt: skip
        for text in self.stated.values():
            if mechanism_of(text) == name:
                self._use(name, text, path)
        return header

    def parameter(self, header: Header, word: str, *path: str | int) -> str:
        """The unit of a parameter. Raises NetworkError with the nearest names."""
        if word not in header.parameters:
            known = list(header.parameters)
            hint = nearest(word, known) or f"; there are {', '.join(known) or 'none that may differ'}"
            raise self.context.error(f"'{header.name}' has no parameter '{word}'{hint}", *path)
        return header.parameters[word]

    def add(self, texts: Mapping[str, str], *path: str | int) -> dict[str, str]:
        """Mod files that a template has brought along, with the GLOBAL parameters that it has set. What is another
        mechanism under a name that is in use gets a name of its own: the answer maps names to new ones.

        Raises NetworkError for a mechanism that cannot be called otherwise.
        """
        own = {}
        for file, text in texts.items():
            name = mechanism_of(text) or file
            before, user = self.users.setdefault(name, (text, dotted(path)))
            if same_code(before, text):
                stated = (f for f, t in self.texts.items() if mechanism_of(t) == name)
                self.texts[next(stated, None) or self._fresh(file)] = before
                continue
            said = f"{_differing(name, text, before)} {user}"
            own[name] = self._copy(name, text, said, path)
            self.report.add(
                "mods", "info", f"{said}; here the mechanism is '{own[name]}', so that each has its own",
                file=self.context.spec.source.file, component=dotted(path),
            )  # fmt: skip
        return own

    def _copy(self, name: str, text: str, said: str, path: Path_) -> str:
        """The name of a mechanism that is ``text`` under a name of its own."""
        for number in count(2):
            fresh = f"{name}_{number}"
            try:
                copy = renamed(text, fresh)
            except UnsupportedError:
                raise self.context.error(f"{said}; cells of one network share it, as C code in its mod file needs its "
                                         f"name: {_APART}", *path) from None  # fmt: skip
            if fresh in self.known:
                continue
            if fresh not in self.users:
                self.users[fresh] = copy, dotted(path)
                self.texts[self._fresh(fresh)] = copy
                return fresh
            if same_code(self.users[fresh][0], copy):
                return fresh
        raise AssertionError("numbers do not end")

    def _fresh(self, file: str) -> str:
        """A name for a file that no other has."""
        return f"{Ids(Path(name).stem for name in self.texts).fresh(Path(file).stem)}.mod"

    def _use(self, name: str, text: str, path: Path_) -> None:
        """The specification itself uses what a mod file defines, as it is stated."""
        before, user = self.users.setdefault(name, (text, dotted(path)))
        if not same_code(before, text):
            said = f"{_differing(name, text, before)} {user}"
            raise self.context.error(f"{said}; cells of one network share it: {_APART}", *path)

    def taken(self, mechanisms: Collection[str], allow: Collection[str]) -> dict[str, str]:
        """The texts of the mechanisms that are used, where the user allows it; else a loss is noted."""
        found = used(self.texts, mechanisms)
        if found and "mods" not in allow:
            self.report.add("mods", "loss", f"the mod files {', '.join(sorted(found))} are taken only if you say so: "
                       "--allow-mods, or allow=('mods',)", file=self.context.spec.source.file)  # fmt: skip
            return {}
        return found


def _differing(name: str, text: str, before: str) -> str:
    """What differs between two mod files of one mechanism, up to the name of who has the second."""
    ours, theirs = global_parameters(text), global_parameters(before)
    differing = [g for g in ours if ours[g] != theirs.get(g, ours[g])]
    if differing and set(ours) == set(theirs) and same_code(with_globals(text, theirs), before):
        said = ", ".join(f"'{g}' of '{name}' is {ours[g]:g} here and {theirs[g]:g}" for g in differing)
        return f"the GLOBAL parameter {said} for"
    return f"the mod file of '{name}' here has other contents than that of"
