"""What a LEMS Simulation asks to be saved and shown, and the files it gets.

OutputFile: tab-separated columns, time in s first, all values SI, one row a step, the first at t = 0.
EventOutputFile: one line an event, ``ID_TIME`` or ``TIME_ID``, time in s. Display: lines that are drawn in one figure.
https://docs.neuroml.org/Userdocs/LEMS_elements/Simulation.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from .results import Results
from .table import rows

if TYPE_CHECKING:
    from ..lems import Component

FORMATS = ("ID_TIME", "TIME_ID")


@dataclass(frozen=True)
class Place:
    """Where in the document something was asked for."""

    file: str | None = None
    line: int | None = None
    component: str | None = None

    def error(self, message: str) -> ModelError:
        """A ModelError that names this place."""
        return ModelError(message, file=self.file, line=self.line, component=self.component)


@dataclass(frozen=True)
class OutputFile:
    """A table of quantities over time: ``columns`` are (id, LEMS path) in the order of the file."""

    id: str
    name: str
    columns: tuple[tuple[str, str], ...]
    place: Place = Place()


@dataclass(frozen=True)
class EventOutputFile:
    """A list of events: ``selections`` are (id as it is written, LEMS path of the source, event port)."""

    id: str
    name: str
    format: str
    selections: tuple[tuple[str, str, str], ...]
    place: Place = Place()


@dataclass(frozen=True)
class Line:
    """One curve: the quantity (SI) is divided by ``scale``, time (s) by ``time_scale``."""

    id: str
    quantity: str
    scale: float = 1.0
    time_scale: float = 1.0
    color: str | None = None


@dataclass(frozen=True)
class Display:
    """One figure with its lines; ``limits`` are xmin, xmax, ymin, ymax in the displayed units, or None."""

    id: str
    title: str
    lines: tuple[Line, ...]
    limits: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Outputs:
    """Everything that one Simulation asks to be saved or shown."""

    files: tuple[OutputFile, ...] = ()
    event_files: tuple[EventOutputFile, ...] = ()
    displays: tuple[Display, ...] = ()

    def quantities(self, displays: bool = True) -> list[str]:
        """The distinct LEMS paths to be recorded, in the order of the document."""
        saved = [quantity for file in self.files for _, quantity in file.columns]
        shown = [line.quantity for display in self.displays for line in display.lines] if displays else []
        return list(dict.fromkeys(saved + shown))

    def selections(self) -> list[tuple[str, str]]:
        """The distinct (path, port) pairs of the event sources, in the order of the document."""
        return list(dict.fromkeys((path, port) for file in self.event_files for _, path, port in file.selections))


def requested(simulation: Component) -> Outputs:
    """What a resolved component of type Simulation asks for; raises ModelError for a format that is none."""
    return Outputs(
        tuple(_output_file(c) for c in simulation.children_of("outputs")),
        tuple(_event_file(c) for c in simulation.children_of("events")),
        tuple(_display(c) for c in simulation.children_of("displays")),
    )


def _place(component: Component) -> Place:
    return Place(component.file, component.line, component.id)


def _name(component: Component) -> str:
    name, folder = component.texts.get("fileName", ""), component.texts.get("path", "")
    if not name:
        raise _place(component).error("has no fileName; give it the name of the file to write")
    return os.path.join(folder, name)


def _output_file(component: Component) -> OutputFile:
    columns = tuple((c.id, c.texts["quantity"]) for c in component.children_of("outputColumn"))
    return OutputFile(component.id, _name(component), columns, _place(component))


def _event_file(component: Component) -> EventOutputFile:
    format = component.texts.get("format", "").upper()
    if format not in FORMATS:
        raise _place(component).error(f"the format is '{format}'; it must be {' or '.join(FORMATS)}")
    selections = tuple(
        (c.id, c.texts["select"], c.texts.get("eventPort", "spike")) for c in component.children_of("eventSelection")
    )
    return EventOutputFile(component.id, _name(component), format, selections, _place(component))


def _display(component: Component) -> Display:
    own_time = component.parameters.get("timeScale", 1.0)
    lines = tuple(
        Line(
            c.id,
            c.texts["quantity"],
            c.parameters.get("scale", 1.0),
            c.parameters.get("timeScale", own_time),
            c.texts.get("color"),
        )
        for c in component.children_of("lines")
    )
    names = ("xmin", "xmax", "ymin", "ymax")
    found = [component.parameters[name] for name in names if name in component.parameters]
    limits = (found[0], found[1], found[2], found[3]) if len(found) == len(names) else None
    return Display(component.id, component.texts.get("title", component.id), lines, limits)


def output_paths(outputs: Outputs, folder: str | Path) -> dict[str, Path]:
    """Where each file is to go, by its name in the document; to be called before anything runs.

    A path is relative to ``folder``. Raises ModelError for one that leaves it (absolute, through ``..`` or through a
    link), that is a folder, or that two files share.
    """
    root = Path(folder).resolve()
    paths: dict[str, Path] = {}
    for file in (*outputs.files, *outputs.event_files):
        if "\0" in file.name or "\n" in file.name:
            raise file.place.error("the output file's name has a character that no file name may have")
        path = (root / file.name).resolve()
        if os.path.isabs(file.name) or not path.is_relative_to(root) or path == root:
            raise file.place.error(
                f"the output path '{file.name}' leaves the output folder; give a path relative to it, without '..'"
            )
        if path.is_dir() or file.name.endswith("/"):
            raise file.place.error(f"the output path '{file.name}' is a folder; give the name of a file")
        if path in paths.values():
            raise file.place.error(f"another output of this simulation already goes to '{file.name}'")
        paths[file.name] = path
    return paths


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream whose content becomes ``path`` when all is written; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def write_lems(
    results: Results,
    folder: str | Path,
    outputs: Outputs,
    gids: Mapping[str, int] | None = None,
    progress: Callable[[str, float | None], None] | None = None,
) -> tuple[Path, ...]:
    """Write every OutputFile and EventOutputFile below ``folder`` and return their paths.

    ``gids`` maps the path of each event selection to the gid of its source. Raises ModelError for a path that leaves
    the folder, KeyError for a quantity that was not recorded.
    """
    paths = output_paths(outputs, folder)
    total = len(paths)
    for file in outputs.files:
        _write_table(results, file, paths[file.name])
        if progress:
            progress("save", (list(paths).index(file.name) + 1) / total)
    for events in outputs.event_files:
        _write_events(results, events, paths[events.name], gids or {})
    return tuple(paths.values())


def _write_table(results: Results, file: OutputFile, path: Path) -> None:
    traces = results.traces
    chosen = [traces.row(quantity) for _, quantity in file.columns]
    with atomic(path) as stream:
        for piece in rows(traces.time, traces.values, chosen):
            stream.write(piece)


def _write_events(results: Results, file: EventOutputFile, path: Path, gids: Mapping[str, int]) -> None:
    id_first = file.format == "ID_TIME"
    with atomic(path) as stream:
        for time, id in _events(results, file.selections, gids):
            line = f"{id}\t{time:.10g}\n" if id_first else f"{time:.10g}\t{id}\n"
            stream.write(line.encode())


def _events(
    results: Results, selections: Iterable[tuple[str, str, str]], gids: Mapping[str, int]
) -> list[tuple[float, str]]:
    """(time, id) of the events of all selections, by time; a source that is selected twice is there under both ids."""
    order = np.argsort(results.spikes.gid, kind="stable")
    sorted_gid, sorted_time = results.spikes.gid[order], results.spikes.time[order]
    found: list[tuple[float, str]] = []
    for id, path, _ in selections:
        first, last = np.searchsorted(sorted_gid, [gids[path], gids[path] + 1])
        found.extend((time, id) for time in sorted_time[first:last].tolist())
    return sorted(found, key=lambda event: event[0])
