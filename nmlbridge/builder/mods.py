"""Mechanisms of NEURON that a specification may name: those that NEURON has, and those of its mod files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ..nmodl.builtin import BUILT_IN, OF_CELLS
from ..nmodl.files import global_parameters, mechanism_of, texts_of, used, with_globals
from ..nmodl.header import Header, read_header
from ..report import Report
from ..units import nearest
from .context import Context, Path_
from .specification import dotted

_TAKEN = BUILT_IN | {"VecStim"}
_KINDS = {"SUFFIX": "a density mechanism, for the biophysics of a cell",
          "POINT_PROCESS": "a point process, for synapses and components",
          "ARTIFICIAL_CELL": "an artificial cell, for cells"}  # fmt: skip


@dataclass
class Mods:
    """Texts of mod files by file name, and the header of each mechanism that there is, by its name.

    A template may set GLOBAL parameters: these are the same in all cells, so it is told where two users of a mechanism
    do not agree on them. ``texts`` are the files as they are stated.
    """

    context: Context
    texts: dict[str, str] = field(default_factory=dict)
    known: dict[str, Header] = field(default_factory=lambda: dict(OF_CELLS))
    users: dict[str, tuple[str, str]] = field(default_factory=dict)
    """by mechanism: its text with the GLOBALs of who uses it, and who that is"""

    @classmethod
    def of(cls, context: Context) -> Mods:
        """The mechanisms of a specification. Raises NetworkError for a file that is none, or a name that is taken."""
        found = cls(context)
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
        self.texts[file], self.known[header.name] = text, header

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
        for text in self.texts.values():
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

    def add(self, texts: dict[str, str], *path: str | int) -> None:
        """Mod files that a template has brought along, with the GLOBAL parameters that it has set."""
        for file, text in texts.items():
            stated = self.texts.setdefault(file, text)
            name = mechanism_of(text) or file
            if (mechanism_of(stated) or file) != name or with_globals(stated, global_parameters(text)) != with_globals(
                text, global_parameters(text)
            ):
                raise self.context.error(f"'{file}' is there already, with other contents", *path)
            self._use(name, text, path)

    def _use(self, name: str, text: str, path: Path_) -> None:
        before, user = self.users.setdefault(name, (text, dotted(path)))
        ours, theirs = global_parameters(text), global_parameters(before)
        for parameter, value in ours.items():
            if theirs[parameter] != value:
                raise self.context.error(
                    f"the GLOBAL parameter '{parameter}' of '{name}' is {value:g} here and {theirs[parameter]:g} for "
                    f"{user}; cells of one network share it: give one of them a mechanism with another name",
                    *path)  # fmt: skip

    def taken(self, mechanisms: Collection[str], allow: Collection[str], report: Report) -> dict[str, str]:
        """The texts of the mechanisms that are used, where the user allows it; else a loss is noted."""
        texts = {file: self.users.get(mechanism_of(text) or "", (text, ""))[0] for file, text in self.texts.items()}
        found = used(texts, mechanisms)
        if found and "mods" not in allow:
            report.add("mods", "loss", f"the mod files {', '.join(sorted(found))} are taken only if you say so: "
                       "--allow-mods, or allow=('mods',)", file=self.context.spec.source.file)  # fmt: skip
            return {}
        return found
