"""Reading the network files of hnn-core (``Network.write_configuration``): JSON with cells, positions, drives, gids.

https://jonescompneurolab.github.io/hnn-core: the layout is that of hnn-core 0.6. The mechanisms are mod files
of hnn-core: those beside the file, else those of an hnn-core that is installed here.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ...graph import InputList, NativeCell, NativeProcess, Network, Population, Projection
from ...graph.columns import Floats, Ints
from ...nmodl.files import mods_beside, texts_of, used
from ...report import Report
from ...results import Electrodes, Simulation, elements_of, saved
from ..netpyne.document import load
from ..netpyne.mechanisms import AT_HAND
from ..netpyne.mechanisms import used as mechanisms_of
from .cells import cell_of
from .drives import LONGEST, times_of
from .part import Part

_DURATION, _DT = 170.0, 0.025  # ms: what hnn-core's parameter files and simulate_dipole take
_TRAIN = "train"
_FOREVER = 1e9  # ms


def read(path: Path, report: Report | None = None, allow: Collection[str] = ()) -> Network:
    """The network of a file of hnn-core. Raises DocumentError, NetworkError or UnsupportedError."""
    return read_simulation(path, report, allow)[0]


def read_simulation(
    path: Path, report: Report | None = None, allow: Collection[str] = ()
) -> tuple[Network, Simulation]:  # fmt: skip
    """The network, and a run of it as long as hnn-core's own (the file states none), which records spikes and the
    current dipole moment: ``dipole/z`` is hnn-core's dipole. ``allow`` with "mods" lets its mechanisms be compiled."""
    report = report if report is not None else Report()
    data = Part(load(path), "", str(path))
    if data.data.get("object_type") != "Network":
        raise data.error(f"object_type is {data.data.get('object_type')!r:.40}; expected 'Network'")
    network = _Reading(data, report).network()
    network.mods.update(_mods(path, network, allow, report))
    cells = [p.id for p in network.populations.values() if isinstance(network.native[p.component], NativeCell)]
    chosen = [f"{id}[{row}]" for id in cells for row in range(network.populations[id].size)]
    simulation = Simulation(
        _DURATION, _DT, method="implicit", outputs=saved({}, chosen),
        electrodes=Electrodes(np.empty((0, 3)), dipole=True, populations=True, shapes="joined"),
    )  # fmt: skip
    report.add("hnn-run", "info", f"the file states no run; hnn-core's {_DURATION:g} ms in steps of {_DT:g} ms are "
               "taken, and the events of the first trial", file=str(path))  # fmt: skip
    network.simulation, network.settings = elements_of(simulation, str(network.id)), simulation
    return network, simulation


class _Reading:
    """The parts of one file on their way into the hub."""

    def __init__(self, data: Part, report: Report) -> None:
        self.data, self.report = data, report
        self.cells = data.part("cell_types").parts()
        self.drives = data.part("external_drives").parts()
        self.threshold = data.number("threshold")
        self.ranges = {name: (part.whole("start"), part.whole("stop"))
                       for name, part in data.part("gid_ranges").parts().items()}  # fmt: skip
        self.order = sorted(self.ranges, key=lambda name: self.ranges[name])
        for name in (*self.cells, *self.drives):
            if name not in self.ranges:
                raise data.error(f"gid_ranges does not say the gids of '{name}'")
        self.places = {name: self.positions(name) for name in self.order}
        self.kinds = {name: self.kind(part) for name, part in self.cells.items()}
        self.native: dict[str, Any] = {}
        self.names: set[str] = set()

    def kind(self, part: Part) -> Part:
        """The cell of a type; older versions of hnn-core wrote it without what is known of it."""
        return part.part("cell_object") if "cell_object" in part.data else part

    def positions(self, name: str) -> Floats:
        start, stop = self.ranges[name]
        found = self.data.part("pos_dict").numbers(name, -1, 3)
        if len(found) != stop - start:
            raise self.data.error(f"pos_dict has {len(found)} places of '{name}', which has {stop - start} gids")
        return found

    def network(self) -> Network:
        for name, part in self.kinds.items():
            self.native[name] = cell_of(name, part, self.threshold)
        connections = self.connections()
        projections = [self.projection(part) for part in connections]
        populations = {}
        for name in self.order:
            if name in self.cells:
                populations[name] = Population.sized(name, name, len(self.places[name]), positions=self.places[name],
                                                     file=self.data.file)  # fmt: skip
            elif name in self.drives:
                populations[name] = self.drive(name, connections)
        self.spacing()
        if "rec_arrays" in self.data.data and self.data.part("rec_arrays").data:
            self.report.add("hnn-electrodes", "loss", "arrays of electrodes are left out; a run records potentials "
                            "with electrodes of its own", file=self.data.file)  # fmt: skip
        return Network(
            "hnn", populations, projections, self.biases(), self.data.number("celsius") + 273.15, native=self.native,
            file=self.data.file,
        )  # fmt: skip

    # sources --------------------------------------------------------------------------------------------------------

    def drive(self, name: str, connections: list[Part]) -> Population:
        """The sources of a drive, with the times of their events: those of the file, else drawn."""
        drive = self.drives[name]
        start, stop = self.ranges[name]
        self.native.setdefault(_TRAIN, NativeProcess(_TRAIN, "VecStim", "source", file=self.data.file))
        trains: list[Floats] = []
        if drive.data.get("events"):
            first = _first_trial(drive)
            trains = [np.sort(first.numbers(str(row), -1)) for row in range(stop - start)]
        else:
            targets: dict[int, str] = {}
            for part in connections:
                if part.text("src_type") == name and drive.data.get("cell_specific"):
                    targets |= {int(gid): part.text("target_type") for gid in part.part("gid_pairs").data}
            trains = [times_of(drive, row, targets.get(start + row, "")) for row in range(stop - start)]
            dynamics = drive.part("dynamics").data
            if "tstop" in dynamics and dynamics["tstop"] is None:
                self.report.add("hnn-drive", "approximation", f"the drive has no end; its events end at {LONGEST:g} ms",
                                file=drive.file, component=name)  # fmt: skip
        rows = np.repeat(np.arange(stop - start), [len(train) for train in trains])
        times = np.concatenate([np.zeros(0), *trains])
        order = np.argsort(times, kind="stable")
        return Population.sized(name, _TRAIN, stop - start, positions=self.places[name], train_rows=rows[order],
                                train_times=times[order], file=self.data.file)  # fmt: skip

    def biases(self) -> list[InputList]:
        """Tonic currents: a clamp on each cell of a type."""
        found = []
        for bias in self.data.part("external_biases").parts().values():
            for name, part in bias.parts().items():
                if name not in self.cells:
                    raise bias.error(f"there is no cell type '{name}'")
                begin, end = part.number("t0"), part.number("tstop", _FOREVER)
                if end < begin:
                    raise part.error(f"it ends at {end:g} ms, before it begins at {begin:g} ms")
                id = self.fresh(f"{bias.name.rpartition('.')[2]}_{name}")
                self.native[id] = NativeProcess(id, "IClamp", "input", {
                    "delay": begin, "dur": end - begin, "amp": part.number("amplitude"),
                }, file=self.data.file)  # fmt: skip
                section = self.native[name].section(part.text("section") if "section" in part.data else "soma")
                rows = np.arange(len(self.places[name]))
                found.append(InputList(f"{id}_inputs", id, name, rows, segment=np.full(len(rows), section),
                                       file=self.data.file))  # fmt: skip
                self.report.add("hnn-dipole", "info", "while a current is injected, the recorded dipole is off by the "
                                "current times the height of its place: a constant", file=self.data.file,
                                component=id)  # fmt: skip
        return found

    # connections ----------------------------------------------------------------------------------------------------

    def connections(self) -> list[Part]:
        listed = self.data.entry("connectivity")
        if not isinstance(listed, list):
            raise self.data.error("'connectivity' is no list")
        return [self.data.within(each, f"connectivity[{row}]") for row, each in enumerate(listed)]

    def projection(self, part: Part) -> Projection:
        """Connections of one kind: each onto all sections of a place, with weights and delays by distance."""
        source, target = part.text("src_type"), part.text("target_type")
        if target not in self.cells or not (source in self.cells or source in self.drives):
            raise part.error(f"'{source}' to '{target}' is no connection from cells or a drive to cells")
        pre, post = self.pairs(part, source, target)
        sections, synapse = self.place(part, target)
        rule = part.part("nc_dict")
        reach = rule.number("lamtha")
        if reach <= 0:
            raise rule.error(f"lamtha is {reach:g}; it must be more than 0")
        if rule.number("threshold", self.threshold) != self.threshold:
            self.report.add("hnn-threshold", "approximation", "its threshold is not that of the network, which counts "
                            "for all connections of a cell", file=part.file, component=part.name)  # fmt: skip
        away = self.places[target][post, :2] - self.places[source][pre, :2]
        near = np.exp(-(np.hypot(away[:, 0], away[:, 1]) ** 2) / reach**2)
        if (near == 0).any():
            raise part.error(f"cells are too far apart for lamtha={reach:g} um: the delay would have no end")
        weight, delay = rule.number("A_weight") * rule.number("gain", 1.0) * near, rule.number("A_delay") / near
        each = len(sections)
        return Projection(
            self.fresh(f"{source}_{target}_{part.text('loc')}_{part.text('receptor')}"), "chemical", source, target,
            np.repeat(pre, each), np.repeat(post, each), post_segment=np.tile(np.array(sections, np.int64), len(pre)),
            weight=np.repeat(weight, each), delay=np.repeat(delay, each), synapses=(synapse,), file=part.file,
        )  # fmt: skip

    def pairs(self, part: Part, source: str, target: str) -> tuple[Ints, Ints]:
        """Rows of the two populations, one of each for each pair of cells."""
        pairs = part.part("gid_pairs")
        pre: list[float] = []
        post: list[float] = []
        for key in pairs.data:
            if not key.isdecimal():
                raise pairs.error(f"'{key:.40}' is no gid")
            ends = pairs.numbers(key, -1)
            pre += [int(key)] * len(ends)
            post += ends.tolist()
        rows = []
        for name, gids in ((source, pre), (target, post)):
            start, stop = self.ranges[name]
            found = np.array(gids, float) - start
            if ((found < 0) | (found >= stop - start) | (found % 1 > 0)).any():
                raise pairs.error(f"a gid is not of '{name}', whose gids are {start} to {stop - 1}")
            rows.append(found.astype(np.int64))
        return rows[0], rows[1]

    def place(self, part: Part, target: str) -> tuple[tuple[int, ...], str]:
        """The sections that a connection goes to, and its synapse there."""
        where, receptor = part.text("loc"), part.text("receptor")
        cell = self.native[target]
        sections = cell.section_lists[where] if where in cell.section_lists else (cell.section(where),)
        described = self.kinds[target].part("sections")
        for section in sections:
            name = cell.sections[section].name
            if receptor not in described.part(name).words("syns"):
                raise part.error(f"the section '{name}' of '{target}' has no synapse '{receptor}'")
        id = f"{target}_{receptor}"
        if id not in self.native:
            synapse = self.kinds[target].part("synapses").part(receptor)
            values = {key: synapse.number(key) for key in ("e", "tau1", "tau2")}
            self.native[id] = NativeProcess(id, "Exp2Syn", "synapse", values, file=part.file)
        return sections, id

    def spacing(self) -> None:
        """lamtha counts in cells of the grid, whose width hnn-core keeps to itself and reads as 1 um."""
        size = self.data.whole("N_pyr_x") * self.data.whole("N_pyr_y")
        for name in self.cells:
            places = self.places[name]
            if len(places) == size > 1 and abs(np.hypot(*(places[1] - places[0])[:2]) - 1) > 1e-6:
                self.report.add("hnn-spacing", "approximation", "the file does not say in what unit lamtha is; 1 um is "
                                "taken, as hnn-core does, though the cells are not 1 um apart", file=self.data.file,
                                component=name)  # fmt: skip
                return

    def fresh(self, id: str) -> str:
        """``id``, or with a number if it is taken."""
        found = next(name for n in count(1) if (name := id if n == 1 else f"{id}_{n}") not in self.names)
        self.names.add(found)
        return found


def _first_trial(drive: Part) -> Part:
    """The trains of the first trial, by the number of the source."""
    trials = drive.data["events"]
    if not isinstance(trials, list) or not isinstance(trials[0], list):
        raise drive.error("'events' is no list of trials, each a list of trains")
    return drive.within({str(row): train for row, train in enumerate(trials[0])}, "events")


def _mods(path: Path, network: Network, allow: Collection[str], report: Report) -> dict[str, str]:
    """Texts of the mod files that the cells need, beside the file or in the hnn-core of this Python (not imported)."""
    wanted = mechanisms_of(network) - AT_HAND
    found = used(mods_beside(path), wanted)
    if not found:
        installed = find_spec("hnn_core")
        places = installed.submodule_search_locations if installed is not None else None
        files = [file for place in places or () for file in sorted(Path(place, "mod").glob("*.mod"))]
        found = used(texts_of(files), wanted)
    if found and "mods" not in allow:
        report.add("hnn-mods", "loss", f"mod files of {', '.join(sorted(wanted))} are taken only if you say so: "
                   "--allow-mods, or allow=('mods',)", file=str(path))  # fmt: skip
        return {}
    if wanted and not found:
        report.add("hnn-mods", "loss", f"there are no mod files of {', '.join(sorted(wanted))}, without which it does "
                   "not run: put hnn-core's folder 'mod' beside the file", file=str(path))  # fmt: skip
    return found
