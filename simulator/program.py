"""Program: what a simulation is turned into before it runs: a specification, tables of numbers, mechanism texts.

All numbers are in NEURON's units (ms, mV, nA, uS, um, S/cm2, mM); a string ``"T:key"`` in the specification stands
for the table ``key``. Rows of a table belong together across the tables of one group. On disk a Program is a folder
with ``program.json``, ``tables.npz`` and ``mod/*.mod``.

The keys of the specification::

    mods         [file names]; filled in from the texts
    templates    one per kind of cell that has sections:
      id         text
      sections   [{name, nseg, parent: index or -1, parent_x, Ra (ohm cm),
                   child_x: 0, points: "T:" (n,4) x y z diam um   or   L, diam (um; "T:" per segment)}]; a parent
                   stands before its children
      cm         "T:" uF/cm2, one value per NEURON segment: sections in order, segments from end 0 to end 1
      v_init     "T:" mV, same rows; or a number; missing: NEURON's -65
      inserts    [{mechanism, sections: [indices], parameters: {name: number | "T:" per segment of these sections}}]
      ions       [{ion, sections, internal, external (mM), reversal (mV): number | null | "T:" per segment, charge,
                   as_written: true if mechanisms decide how the reversal potential comes about}]
      points     [{mechanism, section, x, parameters: {name: number}, random: null, rng}]: the cell's own processes
      source     {kind: "voltage", section, x, threshold (mV)} | {kind: "point", point: index, variable,
                  threshold: of crossings by that variable; events of the process itself if not given} | null
    populations  [{id, first_gid, size, template: index, positions: "T:" (n,3) um, by which the points are shifted}
                  | {id, first_gid, size, artificial: mechanism, random, rng,
                     parameters: {name: number | "T:" per cell}, trains: {rows: "T:", times: "T:" ms}}]
                 origins: "T:" (n,3) um are added to the points before NEURON rounds them, positions after; trains are
                 events that NetStims at rest are told to send
                 a population with a template may have point_parameters: [{point: index, parameters: {name: "T:" per
                 cell}, random, rng}], and cm and v_init (number or "T:" per cell) of cells with one compartment; and
                 own: [{path: keys and indices of a number or table in the template, values: "T:" (n,) or (n, ...)}],
                 which its cells have there instead
    sources      [{cells: first gid of a population, size, first_gid, section, x, threshold}]: further places that send
                 events, one for each cell, with gids beyond those of the cells; their events are not among the spikes
    points       [{id, mechanism, gid, section, x: "T:", parameters: {name: number | "T:"}, random: null | "T:" (n,3)
                   Random123 ids, rng: name of the RANDOM variable, or noiseFromRandom, which takes a Random,
                   shared: true if all connections to a place act on one of them}]: point processes placed on cells
    generators   [{id, mechanism (an artificial cell), gid: "T:" (of the cell it drives), parameters, random, rng,
                   targets: {points: id, index, weight, delay: "T:"}}]: one private source of events per row
    netcons      [{source_gid: "T:", points: id, index: "T:", weight: "T:" (n,) or (n,k), delay: "T:" ms,
                   source_cell: "T:" gid of the cell that a place of ``sources`` is on}]
                 plastic: [{id of a projection, begin, end: rows, parameters of the rule, variable of the synapse
                   that is the weight | null, mechanism, pointer: those of a mod file of the model, if it is no rule of
                   ours}] and start: "T:" weights, where connections are plastic
                 course: {of: id of the projection, variable, times: "T:" (k,) ms, values: "T:" (k,)}: factors of the
                   weights, one after the other; also in targets of generators; in populations of a variable of
                   sources, values (k,) or (n,k)
                 of: [{id of a projection, begin, end: rows}], variable: of the synapse that has the weight | null
                 ``points`` of targets and netcons names a group of points, or a population: then the event goes to the
                 artificial cell, or to the cell's own point process ``template_point`` (0 if not given)
                 (so may ``points`` in transfers and recordings)
    transfers    [{source_gid, source_section, source_x: "T:", source_variable: "v" | {points: id, index: "T:",
                   variable}, points: id, index: "T:", variable}]: values copied each step (gap junctions)
    fields       [{population, first_gid, rows: "T:" of the population, positions: "T:" (n,3) um of these, that NEURON
                   does not know of, kind: "uniform" | "point", vector, origin (3 numbers), conductivity S/m,
                   times: "T:" ms, values: "T:" V/m or uA, upright: [sections without points that stand along y at
                   the cell's place]}]: potentials imposed from outside
    rxd          {constants: {name: number}, regions: [{name, gid, section: "T:" rows alike, side, geometry, numbers} or
                   {name, box, dx, volume_fraction, tortuosity}], species, reactions: as in graph.reactions}
    recordings   [{column, scale, offset} and the place]: SI value = raw * scale + offset (1 and 0 if not given);
                 the place is one of
                   {gid, section, x, variable}                  "v", or an ion's variable such as "cai"
                   {gid, section, x, mechanism, variable}       of a density mechanism
                   {points: id, index, variable}                of a row of a group of points
                   {gid, template_point, variable}              of the cell's own point process
                   {gid, artificial: true, variable}            of an artificial cell
                   {generators: id, index, variable}            of a generator
                   {gid, plastic: id of a projection, row, variable}   of what adjusts the weight of a connection to gid
                   {gid, section, x, species, region}           the concentration of a species of ``rxd``
                   {species, region, at: [x, y, z]}             the same, outside of cells
                   {constant: number}
                   {terms: [{place, scale}, ...]}               the sum of raw * scale of each
                   {field: index}                               a row of what ``electrodes`` gives
    electrodes   {positions: "T:" (n,3) um, conductivity S/m, method (LFPykit's), radius um | null, samples, normals,
                  dipole: bool, views: [[first gid, number of cells]] seen on their own too, first_column, columns,
                  shapes: "given" | "joined" | "shared", as ``results.Electrodes`` says,
                  populations: [{id, first_gid, size, moved: whether NEURON has the cells where they are, positions:
                  "T:" um, turns: "T:" quaternions, bare: [sections without 3-D points], somata: [sections]}]}
    alone        {gid, gids, times: "T:" ms}: this cell alone is made, and gets the events that others sent then
    spikes       [gids] | "all" | "T:" gids
    run          {dt, duration (ms), celsius, seed, second_order: 0|1|2, v_init: null | mV, record_every: 1,
                  cvode: null | {atol, rtol, maxstep (ms, may be missing),
                                 scales: {name of a state as NEURON's atolscale knows it: factor of atol}}}

Number of samples of each column: duration/dt/record_every + 1, the first at t = 0.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LemsError
from ..pile import blocks, copied, release

FORMAT = "nmlbridge program 1"


def own_template(program: Program, population: Mapping[str, Any], row: int) -> dict[str, Any]:
    """The template of one cell of a population: numbers and arrays of its own in place of some of what stands for all,
    if its cells differ."""
    made: dict[str, Any] = dict(program.spec["templates"][population["template"]])
    for each in population.get("own", ()):
        at: Any = made
        *steps, last = each["path"]
        for step in steps:
            at[step] = dict(at[step]) if isinstance(at[step], dict) else list(at[step])
            at = at[step]
        value = program.column(each["values"])[row]
        at[last] = value if value.ndim else float(value)
    return made


def check_mod_names(names: Iterable[str]) -> None:
    """ValueError for a name of a mod file that may not stand in generated code."""
    for name in names:
        stem, dot, extension = name.partition(".")
        if not (stem.isidentifier() and stem.isascii() and dot + extension == ".mod"):
            raise ValueError(f"'{name}' cannot name a mechanism file, expected letters, digits and _, then .mod")


@dataclass(frozen=True, eq=False)
class Program:
    """The specification, the tables it refers to as "T:key", and the texts of the mechanisms by file name.

    Tables are made read-only. Raises ValueError if a reference has no table, if a table is not numeric, or if a
    mechanism's file name is not a plain name ending in ``.mod``.
    """

    spec: Mapping[str, Any]
    tables: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mods: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tables = {}
        for key in sorted(self.tables):
            column = np.ascontiguousarray(self.tables[key])
            if column.dtype.kind not in "biuf":
                raise ValueError(f"table '{key}' has type {column.dtype}, expected numbers")
            if column.flags.writeable:  # the caller may change his own array later
                column = copied(column)
            tables[key] = column
        check_mod_names(self.mods)
        object.__setattr__(self, "tables", MappingProxyType(tables))
        object.__setattr__(self, "mods", MappingProxyType(dict(sorted(self.mods.items()))))
        object.__setattr__(self, "spec", MappingProxyType({**self.spec, "mods": sorted(self.mods)}))
        lost = sorted({key for key in _references(dict(self.spec)) if key not in tables})
        if lost:
            raise ValueError(f"the specification refers to tables that are not there: {', '.join(lost)}")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical form: equal Programs have equal hashes, on every machine."""
        digest = hashlib.sha256(FORMAT.encode())

        def add(part: bytes) -> None:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)

        add(_json(dict(self.spec)).encode())
        for key, column in self.tables.items():
            kind = column.dtype.newbyteorder("<")
            add(f"{key} {kind.str} {column.shape}".encode())
            digest.update(column.nbytes.to_bytes(8, "little"))
            for piece in _bytes(column, kind):
                digest.update(piece)
        for name, text in self.mods.items():
            add(name.encode())
            add(text.encode())
        return digest.hexdigest()

    def save(self, folder: str | Path) -> Path:
        """Write program.json, tables.npz and mod/ into ``folder`` (made if needed); same Program, same bytes."""
        folder = Path(folder)
        (folder / "mod").mkdir(parents=True, exist_ok=True)
        (folder / "program.json").write_text(_json({"format": FORMAT, "hash": self.hash, "spec": dict(self.spec)}))
        write_tables(folder / "tables.npz", self.tables)
        for name, text in self.mods.items():
            (folder / "mod" / name).write_text(text)
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, mapped: bool = False) -> Program:
        """Read what ``save`` wrote; raises ValueError if it is not that, OSError if it cannot be read.

        ``mapped``: leave the tables on disk; processes then share the pages that they look at, see ``release``. The
        hash is taken as it is written.
        """
        folder = Path(folder)
        document = json.loads((folder / "program.json").read_text())
        if document.get("format") != FORMAT:
            raise ValueError(f"{folder} holds '{document.get('format')}', expected '{FORMAT}'")
        mods = {name: (folder / "mod" / name).read_text() for name in document["spec"]["mods"]}
        if mapped:
            tables, memory = map_tables(folder / "tables.npz")
            program = cls(document["spec"], tables, mods)
            program.__dict__.update(hash=document["hash"], _memory=memory)
            return program
        with np.load(folder / "tables.npz", allow_pickle=False) as file:
            tables = {key: file[key] for key in file.files}
        return cls(document["spec"], tables, mods)

    def release(self) -> None:
        """Give back the memory of mapped tables; what is looked at again comes from the disk, or the system's cache."""
        memory = self.__dict__.get("_memory")
        if memory is not None and hasattr(mmap, "MADV_DONTNEED"):
            memory.madvise(mmap.MADV_DONTNEED)

    def column(self, reference: str) -> NDArray[Any]:
        """The table that a "T:key" stands for."""
        return self.tables[reference.removeprefix("T:")]

    def __repr__(self) -> str:
        cells = sum(population["size"] for population in self.spec.get("populations", ()))
        rows = sum(len(self.column(netcon["source_gid"])) for netcon in self.spec.get("netcons", ()))
        return f"<Program {self.hash[:12]}: {cells} cells, {rows} connections, {len(self.mods)} mechanisms>"


def write_tables(path: Path, tables: Mapping[str, NDArray[Any]]) -> None:
    """Arrays by name into a file that ``numpy.load`` and ``map_tables`` read."""
    with zipfile.ZipFile(path, "w") as archive:  # np.savez would trip over a table named "file"
        for key, column in tables.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
                head = np.lib.format.header_data_from_array_1_0(column)
                np.lib.format.write_array_header_1_0(stream, head)
                for piece in _bytes(column, column.dtype):
                    stream.write(piece)


def _bytes(column: NDArray[Any], kind: np.dtype[Any]) -> Iterator[bytes]:
    """The bytes of an array in memory's order, in pieces."""
    flat = column.reshape(-1)
    for block in blocks(len(flat)):
        yield flat[block].astype(kind, copy=False).tobytes()
        release(column)


def map_tables(path: Path) -> tuple[dict[str, NDArray[Any]], mmap.mmap]:
    """The arrays of such a file as views into it, read-only, and the map that they are views into."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        found: dict[str, NDArray[Any]] = {}
        for entry in archive.infolist():
            with archive.open(entry) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
                header = member.tell()
            # the local header may have other extra fields than the directory says
            name, extra = (int.from_bytes(memory[entry.header_offset + at : entry.header_offset + at + 2], "little")
                           for at in (26, 28))  # fmt: skip
            start, count = entry.header_offset + 30 + name + extra + header, int(np.prod(shape))
            flat = np.frombuffer(memory, dtype, count, start) if count else np.zeros(0, dtype)
            found[entry.filename.removesuffix(".npy")] = flat.reshape(shape)
    return found, memory


BLOCKS, LONGEST = 50, 1000  # a run is written in so many blocks, none of more steps than this


@dataclass(frozen=True)
class Shape:
    """What a Program records: ``samples`` of ``columns`` quantities, one every ``every`` of ``steps`` of ``dt`` ms."""

    columns: int
    samples: int
    steps: int
    every: int
    dt: float
    duration: float

    @classmethod
    def of(cls, program: Program) -> Shape:
        """From the specification; a last step that does not fit whole into the duration (ms) is left out."""
        run = program.spec["run"]
        dt, duration, every = float(run["dt"]), float(run["duration"]), int(run.get("record_every", 1))
        ratio = duration / dt
        steps = round(ratio) if abs(ratio - round(ratio)) < 1e-6 * max(ratio, 1) else int(ratio)
        return cls(len(program.spec.get("recordings", ())), steps // every + 1, steps, every, dt, duration)


def is_table(value: object) -> bool:
    """Whether a value of the specification stands for a table."""
    return isinstance(value, str) and value.startswith("T:")


def _references(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("T:"):
            yield value.removeprefix("T:")
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _references(part)


def _json(value: object) -> str:
    """Canonical JSON: sorted keys, no blanks, numbers with all their digits. LemsError for NaN or infinity."""
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain
        )
    except ValueError:
        where = next(_not_finite(value), "a number")
        raise LemsError(f"{where} of what NEURON is to make is no finite number; look for a division by zero, an "
                        "overflow or a value like 1e999 in the model") from None  # fmt: skip


def _not_finite(value: object, path: str = "") -> Iterator[str]:
    """Where NaN or infinity stands."""
    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        yield path
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _not_finite(part, f"{path}/{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from _not_finite(part, f"{path}[{number}]")


def _plain(value: object) -> object:
    """A numpy scalar as Python's; anything else is refused."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a Program cannot hold a {type(value).__name__}")
