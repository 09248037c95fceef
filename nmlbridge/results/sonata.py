"""SONATA's HDF5 layouts for spikes and reports, written in blocks while a run goes on.

https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md ("Output file formats")

A process that is killed must not leave a torn file. HDF5 itself gives no such promise for a file that grows, so a file
here is always closed between blocks, and:

- a report has its final shape from the start (frames by elements, NaN until written), so a block changes nothing but
  numbers;
- spikes grow in two copies by turns; the one that was completed last is what the file's name points at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

MAGIC, VERSION = 0x0A7A, (0, 1)
_CHUNK = 8192  # spikes in a chunk of a dataset
_FILL = 1 << 20  # values that are set to NaN at once


@dataclass(frozen=True)
class Element:
    """One column of a report: a variable of a place on a cell of a population (``node``: its row; a segment's id)."""

    population: str
    node: int
    element: int = 0
    position: float = 0.5


class SpikeFile:
    """Spikes of populations, ordered by time: /spikes/POPULATION/{timestamps (ms), node_ids}.

    ``populations`` maps an id to (first gid, size). ``again``: a file that is there stays until the first block.
    ``add`` appends a block; after it the file ``path`` is complete and closed. ``close`` removes what is
    needed for appending. OSError if the disk is full: ``path`` is then as it was.
    """

    def __init__(self, path: Path, populations: Mapping[str, tuple[int, int]], again: bool = False) -> None:
        self.path, self.populations = path, dict(populations)
        self.copies = [path.with_name(f".{path.name}.{letter}") for letter in "ab"]
        self.behind: list[tuple[np.ndarray, np.ndarray]] = []  # what the older copy lacks
        path.parent.mkdir(parents=True, exist_ok=True)
        for copy in self.copies:
            copy.unlink(missing_ok=True)
            self._create(copy)
        if not (again and path.exists()):
            self._publish()

    def add(self, gids: np.ndarray, times: np.ndarray) -> None:
        """Append spikes: gids (m,) and times (m,) in s, not earlier than those before."""
        if not len(gids):
            return
        self.copies.reverse()
        self.behind.append((gids, times))
        import h5py

        with h5py.File(self.copies[0], "r+") as file:
            for some, when in self.behind:
                self._append(file, some, when)
        self.behind = [(gids, times)]
        self._publish()

    def close(self) -> None:
        """Leave the file alone under its name."""
        for copy in self.copies:
            with suppress(FileNotFoundError):
                copy.unlink()

    def _append(self, file: h5py.File, gids: np.ndarray, times: np.ndarray) -> None:
        for name, (first, size) in self.populations.items():
            mine = (gids >= first) & (gids < first + size)
            if not mine.any():
                continue
            group = file["spikes"][name]
            for key, values in (("timestamps", times[mine] * 1e3), ("node_ids", gids[mine] - first)):
                data = group[key]
                data.resize(len(data) + len(values), axis=0)
                data[-len(values) :] = values

    def _create(self, path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            _stamp(file)
            spikes = file.create_group("spikes")
            by = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")
            for name in self.populations:
                group = spikes.create_group(name)
                group.attrs.create("sorting", 2, dtype=by)
                for key, kind in (("timestamps", "f8"), ("node_ids", "u8")):
                    group.create_dataset(key, (0,), kind, maxshape=(None,), chunks=(_CHUNK,))
                group["timestamps"].attrs["units"] = "ms"

    def _publish(self) -> None:
        """Let the file's name point at the first copy, at once."""
        link = self.path.with_name(f".{self.path.name}.link")
        link.unlink(missing_ok=True)
        os.link(self.copies[0], link)
        os.replace(link, self.path)


class ReportFile:
    """One variable over time: /report/POPULATION/data (frames, elements), with its mapping.

    ``elements`` says what the columns are, in the order in which ``write`` gets them; in the file they are ordered by
    population and node. ``times`` is (start, step) in s and ``frames`` the number of samples; the frames that are not
    written yet are NaN. With ``again`` a file of this form that is there is written over. OSError if the disk has no
    room for the whole.
    """

    def __init__(
        self,
        path: Path,
        elements: Sequence[Element],
        frames: int,
        times: tuple[float, float],
        unit: str,
        variable: str,
        again: bool = False,
    ) -> None:
        import h5py

        self.path, self.frames = path, frames
        self.orders: dict[str, np.ndarray] = {}
        for population in dict.fromkeys(element.population for element in elements):
            rows = [row for row, element in enumerate(elements) if element.population == population]
            rows.sort(key=lambda row: (elements[row].node, elements[row].element))
            self.orders[population] = np.array(rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        if again and self._fits():
            return
        with h5py.File(path, "w") as file:
            _stamp(file)
            for population, order in self.orders.items():
                group = file.create_group(f"report/{population}")
                data = self._allocate(group, frames, len(order))
                data.attrs["units"], data.attrs["variable"] = unit, variable
                _mapping(group.create_group("mapping"), [elements[row] for row in order], frames, times)

    def _fits(self) -> bool:
        """Whether the file is there and has room for all that will be written."""
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                report = file["report"]
                wanted = {population: (self.frames, len(order)) for population, order in self.orders.items()}
                return {population: report[population]["data"].shape for population in report} == wanted
        except (OSError, KeyError):
            return False

    def _allocate(self, group: h5py.Group, frames: int, columns: int) -> h5py.Dataset:
        """The data, contiguous on disk and all NaN: afterwards no block needs more room."""
        data = group.create_dataset("data", (frames, columns), "f4")  # libsonata reads no other
        step = max(1, _FILL // max(columns, 1))
        empty = np.full((min(step, frames), columns), np.nan, np.float32)  # a lone nan is written row by row
        for start in range(0, frames, step):
            data[start : start + step] = empty[: frames - start]
        return data

    def write(self, first: int, values: np.ndarray) -> None:
        """Put ``values`` (elements, n) into the frames from ``first`` on."""
        import h5py

        with h5py.File(self.path, "r+") as file:
            for population, order in self.orders.items():
                file["report"][population]["data"][first : first + values.shape[1]] = values[order].T


def _stamp(file: h5py.File) -> None:
    file.attrs["magic"] = np.uint32(MAGIC)
    file.attrs["version"] = np.array(VERSION, np.uint32)


def _mapping(group: h5py.Group, elements: Sequence[Element], frames: int, times: tuple[float, float]) -> None:
    nodes = np.array([element.node for element in elements], np.uint64)
    distinct, first = np.unique(nodes, return_index=True)
    group["node_ids"] = distinct
    group["node_ids"].attrs["sorted"] = np.uint8(1)
    group["index_pointers"] = np.append(first, len(nodes)).astype(np.uint64)
    group["element_ids"] = np.array([element.element for element in elements], np.uint32)
    group["element_pos"] = np.array([element.position for element in elements], np.float32)
    start, step = (value * 1e3 for value in times)
    group["time"] = np.array([start, start + frames * step, step])
    group["time"].attrs["units"] = "ms"
