"""What a LEMS Simulation asks to be saved and shown.

https://docs.neuroml.org/Userdocs/LEMS_elements/Simulation.html
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ModelError

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
    """A table of quantities over time: ``columns`` are (id, LEMS path) in the order of the file.

    ``named``: a file of JSON beside it says what its columns are, since no document does.
    """

    id: str
    name: str
    columns: tuple[tuple[str, str], ...]
    place: Place = Place()
    named: bool = False


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
