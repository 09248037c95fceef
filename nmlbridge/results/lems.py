"""The files that a LEMS Simulation asks for.

OutputFile: tab-separated columns, time in s first, all values SI, one row a step, the first at t = 0.
EventOutputFile: one line an event, ``ID_TIME`` or ``TIME_ID``, time in s.

The files can be written block by block while a run goes on (``stream`` says what they are called meanwhile).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from ..files import atomic
from .outputs import EventOutputFile, OutputFile, Outputs
from .results import Results
from .stream import own_part
from .table import Table


def output_paths(outputs: Outputs, folder: str | Path) -> dict[str, Path]:
    """Where each file is to go, by its name in the document; to be called before anything runs.

    A path is relative to ``folder``. Raises ModelError for one that leaves it (absolute, through ``..`` or through a
    link), that is a folder, or that two files share.
    """
    root = Path(folder).resolve()
    paths: dict[str, Path] = {}
    files: tuple[OutputFile | EventOutputFile, ...] = (*outputs.files, *outputs.event_files)
    for file in files:
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


def write_lems(
    results: Results,
    folder: str | Path,
    outputs: Outputs,
    gids: Mapping[str, int] | None = None,
    progress: Callable[[str, float, float], None] | None = None,
    digits: int | None = None,
) -> tuple[Path, ...]:
    """Write every OutputFile and EventOutputFile below ``folder`` and return their paths; all or nothing.

    ``gids`` maps the path of each event selection to the gid of its source. Raises ModelError for a path that leaves
    the folder, KeyError for a quantity that was not recorded. ``progress`` is called as ("save", done, total).
    ``digits`` rounds the values of OutputFiles to so many significant digits (default: all that the format has).
    """
    traces, spikes = results.traces, results.spikes
    stream = LemsStream(outputs, folder, traces.quantities, gids or {}, digits)
    try:
        stream.write(traces.time, traces.values, spikes.gid, spikes.time)
        paths = stream.finish()
    except BaseException:
        stream.discard()
        raise
    if progress:
        progress("save", 1, 1)
    return paths


class LemsStream:
    """The OutputFiles and EventOutputFiles of a Simulation, as ``write_lems`` writes them.

    ``quantities`` are the rows of the columns to come, ``gids`` the source of each event selection; ``digits`` rounds
    values to so many significant digits; ``units`` are those of the quantities, for files whose columns are named
    beside them. With ``again`` the same blocks are written over what an unfinished run has left, which stays readable
    meanwhile. Raises as ``output_paths`` does, KeyError for a quantity that is not recorded.
    """

    def __init__(
        self,
        outputs: Outputs,
        folder: str | Path,
        quantities: Sequence[str],
        gids: Mapping[str, int],
        digits: int | None = None,
        again: bool = False,
        units: Sequence[str] = (),
    ) -> None:
        self.paths, self.digits = output_paths(outputs, folder), digits
        rows = {quantity: row for row, quantity in enumerate(quantities)}
        chosen = [[_row(rows, file, path) for _, path in file.columns] for file in outputs.files]
        sources = [[(id, gids[path]) for id, path, _ in file.selections] for file in outputs.event_files]
        texts = {name: _Text(path, again) for name, path in self.paths.items()}
        self.written = any(text.part.stat().st_size for text in texts.values())
        self.tables = [(texts[file.name], row) for file, row in zip(outputs.files, chosen, strict=True)]
        unit = dict(zip(quantities, units, strict=False))
        self.names = {
            Path(f"{self.paths[file.name]}.json"): [{"quantity": q, "unit": unit.get(q, "")} for _, q in file.columns]
            for file in outputs.files if file.named
        }  # fmt: skip
        self.events = [(texts[file.name], file, s) for file, s in zip(outputs.event_files, sources, strict=True)]

    def write(self, time: np.ndarray, columns: np.ndarray, gids: np.ndarray, times: np.ndarray) -> None:
        """Append the block to each file; a file whose disk is full keeps the whole blocks it has."""
        if len(time) and self.tables:
            table = Table(time if self.digits is None else _rounded(time, self.digits))
            for text, chosen in self.tables:
                if self.digits is None:
                    text.append(table.rows(columns, chosen))
                else:
                    text.append(table.rows(_rounded(columns[chosen], self.digits)))
        if len(times):
            for text, file, sources in self.events:
                text.append([_event_lines(file, sources, gids, times)])
        self.written = True

    def finish(self) -> tuple[Path, ...]:
        """Give the files their names."""
        for text in self._texts():
            os.truncate(text.part, text.size)
            os.replace(text.part, text.path)
        for path, columns in self.names.items():
            with atomic(path) as stream:
                stream.write(json.dumps({"columns": columns}, indent=1).encode())
        return tuple(self.paths.values())

    def abandon(self) -> tuple[Path, ...]:
        """Leave the files as parts if there are samples in them, or take them away."""
        if self.written:
            return tuple(text.part for text in self._texts())
        self.discard()
        return ()

    def discard(self) -> None:
        """Take away what was written."""
        for text in self._texts():
            text.part.unlink(missing_ok=True)

    def _texts(self) -> list[_Text]:
        return [text for text, *_ in self.tables] + [text for text, *_ in self.events]


class _Text:
    """A text file that grows by whole blocks. It is opened for each, since there may be thousands."""

    def __init__(self, path: Path, again: bool) -> None:
        """``again``: what is there is written over, and stays until then."""
        self.path, self.part, self.size = path, own_part(path), 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.part.open("a+b" if again else "w+b") as stream:
            stream.truncate(_whole_lines(stream))

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write all ``pieces`` (bytes), or nothing of them."""
        with self.part.open("r+b", buffering=0) as stream:
            length = stream.seek(0, os.SEEK_END)
            stream.seek(self.size)
            try:
                for piece in pieces:
                    data = memoryview(piece)
                    while data:
                        data = data[stream.write(data) :]
            except BaseException as fault:
                with suppress(OSError):
                    stream.truncate(max(self.size, length))
                if isinstance(fault, OSError):
                    fault.filename = str(self.part)
                raise
            self.size = stream.tell()


def _whole_lines(stream: IO[bytes]) -> int:
    """The length of a file without a last line that was cut off."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - (1 << 16))
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _row(rows: Mapping[str, int], file: OutputFile, quantity: str) -> int:
    if quantity not in rows:
        raise KeyError(f"'{quantity}' of the output file '{file.name}' was not recorded")
    return rows[quantity]


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Values with so many significant decimal digits."""
    size = np.where((values == 0) | ~np.isfinite(values), 1.0, np.abs(values))
    unit = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    return np.asarray(np.where(np.isfinite(values), np.round(values * unit) / unit, values))


def _event_lines(
    file: EventOutputFile, sources: Sequence[tuple[str, int]], gids: np.ndarray, times: np.ndarray
) -> bytes:
    """The events of all selections, by time; a source that is selected twice is there under both ids."""
    order = np.argsort(gids, kind="stable")
    by_gid, by_time = gids[order], times[order]
    found: list[tuple[float, str]] = []
    for id, gid in sources:
        first, last = np.searchsorted(by_gid, [gid, gid + 1])
        found.extend((time, id) for time in by_time[first:last].tolist())
    found.sort(key=lambda event: event[0])
    if file.format == "ID_TIME":
        return "".join(f"{id}\t{time:.10g}\n" for time, id in found).encode()
    return "".join(f"{time:.10g}\t{id}\n" for time, id in found).encode()
