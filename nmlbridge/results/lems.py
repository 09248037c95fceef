"""The files that a LEMS Simulation asks for.

OutputFile: tab-separated columns, time in s first, all values SI, one row a step, the first at t = 0.
EventOutputFile: one line an event, ``ID_TIME`` or ``TIME_ID``, time in s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from .outputs import EventOutputFile, OutputFile, Outputs
from .results import Results
from .table import rows


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


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to, which becomes ``path`` at the end; missing folders are made.

    If the body raises, nothing stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream whose content becomes ``path`` when all is written; missing folders are made."""
    with atomic_path(path) as temporary, temporary.open("xb") as stream:
        yield stream


def write_lems(
    results: Results,
    folder: str | Path,
    outputs: Outputs,
    gids: Mapping[str, int] | None = None,
    progress: Callable[[str, float, float], None] | None = None,
    digits: int | None = None,
) -> tuple[Path, ...]:
    """Write every OutputFile and EventOutputFile below ``folder`` and return their paths.

    ``gids`` maps the path of each event selection to the gid of its source. Raises ModelError for a path that leaves
    the folder, KeyError for a quantity that was not recorded. ``progress`` is called as ("save", done, total).
    ``digits`` rounds the values of OutputFiles to so many significant digits (default: all that the format has).
    """
    paths = output_paths(outputs, folder)
    for done, file in enumerate(outputs.files, 1):
        _write_table(results, file, paths[file.name], digits)
        if progress:
            progress("save", done, len(outputs.files))
    for events in outputs.event_files:
        _write_events(results, events, paths[events.name], gids or {})
    return tuple(paths.values())


def _write_table(results: Results, file: OutputFile, path: Path, digits: int | None) -> None:
    traces = results.traces
    chosen = [traces.row(quantity) for _, quantity in file.columns]
    values, time = traces.values, traces.time
    if digits is not None:
        values, time, chosen = _rounded(values[chosen], digits), _rounded(time, digits), list(range(len(chosen)))
    with atomic(path) as stream:
        for piece in rows(time, values, chosen):
            stream.write(piece)


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Values with so many significant decimal digits."""
    size = np.where((values == 0) | ~np.isfinite(values), 1.0, np.abs(values))
    unit = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    return np.asarray(np.where(np.isfinite(values), np.round(values * unit) / unit, values))


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
