"""Formats and backends: a table of built-ins, and entry points of other packages, both loaded on first use.

A format of another package is a ``Format`` record that the entry point group ``nmlbridge.formats`` names; a backend is
a ``Backend`` record in the group ``nmlbridge.backends``. A record names its functions as "module:attribute", so that
listing the formats imports none of them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import DocumentError, UsageError
from .files import within_memory
from .report import Report

if TYPE_CHECKING:
    from .graph import Network
    from .results import Simulation

_HEAD = 65536  # bytes that are looked at to tell what a file is


@dataclass(frozen=True)
class Format:
    """A file format: what it is called, how it is told from others, who reads and writes it, what it can carry.

    ``reader`` is (path, report) -> Network, ``writer`` is (network, path, report) -> None, as "module:attribute"
    or the function itself; None where that direction is not there. ``sniff`` looks at the first bytes of a file.
    ``in_folder`` are names of files that stand for the model in a folder of this format: such a folder may be given
    instead of the file, and a new file of such a name asks for this format. ``writes_folder``: what is written is a
    folder. ``features`` are names in nmlbridge.graph.features; what a network has beyond them is noted as a loss when
    it is written.
    ``simulation`` is for files that also say how to run: (path, report, allow) -> (Network, results.Simulation), where
    ``allow`` holds the kinds of code that the user lets in: "mods" (mechanisms in NMODL, which are compiled), "code"
    (Python or hoc, which is run; "python" means the same). ``holds_code``: such code may come
    with a model, and ``reader`` takes ``allow`` too.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    specification: str
    reader: str | Callable[..., Network] | None = None
    writer: str | Callable[..., None] | None = None
    sniff: Callable[[bytes], bool] = lambda head: False
    features: frozenset[str] = frozenset()
    in_folder: tuple[str, ...] = ()
    writes_folder: bool = False
    simulation: str | Callable[..., tuple[Network, Simulation]] | None = None
    compiled: frozenset[str] = frozenset()
    """features that are written as mechanisms of NEURON: all of them runs, none of it comes back as what it was"""
    changeable: bool = False
    """whether ``simulation`` takes ``changes``, other values for what the file states by name"""
    holds_code: bool = False

    def read(self, path: str | Path, report: Report | None = None, allow: Collection[str] = ()) -> Network:
        """Read ``path``; raises DocumentError and the other ModelErrors of the reader."""
        if self.reader is None:
            raise UsageError(f"{self.title} can be written but not read")
        path = Path(path)
        if path.is_dir():
            path = self.file_in(path) or path
        more = {"allow": frozenset(allow)} if self.holds_code else {}
        with within_memory(path):
            network: Network = resolve_name(self.reader)(path, report, **more)
        return network

    def file_in(self, folder: Path) -> Path | None:
        """The file that stands for the model in a folder of this format, None if there is none."""
        return next((folder / name for name in self.in_folder if (folder / name).is_file()), None)

    def write(self, network: Network, path: str | Path, report: Report | None = None) -> None:
        """Write ``network`` to ``path``; what the format cannot carry is noted in ``report``."""
        if self.writer is None:
            raise UsageError(f"{self.title} can be read but not written")
        path = Path(path)
        if path.name in self.in_folder and self.writes_folder:
            path = path.parent
        if self.writes_folder and path.is_dir() and any(path.iterdir()):
            raise UsageError(f"the folder '{path}' is not empty; name a new one, or remove it first")
        if not self.writes_folder and path.is_dir():
            raise UsageError(f"'{path}' is a folder; name the file to write in it")
        gone: Any = resolve_name("nmlbridge.graph.features:REMOVABLE")
        lost = [feature for feature in gone if feature not in self.features | self.compiled]
        self._note(network, report, lost)
        network = resolve_name("nmlbridge.graph.features:without")(network, lost, report or Report())
        if "differing inputs" not in self.features:
            network = resolve_name("nmlbridge.converters.native:inputs_apart")(network)
        native = network.native and "native mechanisms" not in self.features
        differs: Any = resolve_name("nmlbridge.graph.features:differs")
        differing = any(differs(p) and p.component not in network.native for p in network.populations.values())
        if native or (differing and "differing cells" not in self.features):
            # a format of shapes alone has no use for notes on mechanisms
            said = report if "components" in self.features else None
            network = resolve_name("nmlbridge.converters.native:in_components")(network, said)
        self._note(network, report)
        resolve_name(self.writer)(network, path, report)

    def _note(self, network: Network, report: Report | None, only: Collection[str] | None = None) -> None:
        """Note what of a network's features (or of some of them) the format does not hold."""
        if report is None or (only is not None and not only):
            return
        present: dict[str, str] = resolve_name("nmlbridge.graph.features:present")(network)
        for feature, where in present.items():
            code = f"no-{feature.replace(' ', '-')}"
            if only is not None and feature not in only:
                continue
            if feature in self.compiled:
                report.add(code, "approximation", f"{self.title} holds {feature} as mechanisms of NEURON only; {where} "
                           "has some, which runs but is not read back as it was")  # fmt: skip
            elif feature not in self.features:
                report.add(code, "loss", f"{self.title} cannot hold {feature}; {where} has some, which is left out")


@dataclass(frozen=True)
class Backend:
    """A program that runs models; ``simulate`` is "module:attribute" of a function like nmlbridge.simulate."""

    name: str
    title: str
    simulate: str | Callable[..., Any]
    features: frozenset[str] = frozenset()


_RULES = re.compile(rb'(?:^populations|[{,]\s*"populations")\s*:', re.M)


def _root_tag(head: bytes) -> bytes:
    """Local name of the first start tag in the first bytes of an XML file, b"" if there is none."""
    before = rb"<!--.*?(-->|\Z)|<\?.*?(\?>|\Z)|<![^\[>]*(\[.*?\]\s*>|>|\Z)"  # comments, instructions, a DOCTYPE
    head = re.sub(before, b"", head.removeprefix(b"\xef\xbb\xbf"), flags=re.S)
    found = re.match(rb"\s*<(?:[\w.-]+:)?([\w.-]+)", head)
    return found.group(1) if found else b""


# comments, then seven numbers: id, type, x, y, z, radius, parent
_SWC = re.compile(rb"(\s*#[^\n]*\n)*\s*\d+[ \t]+\d+([ \t]+[-+.\deE]+){4}[ \t]+-?\d+\s", re.S)
_ASC = re.compile(rb"(\s*;[^\n]*\n)*\s*\(", re.S)

# the version that NeuroMLlite writes into each of its files stands in the first entry
_NEUROMLLITE = re.compile(
    rb"""^\s*(\{\s*)?['"]?[\w-]+['"]?\s*:\s*(\{\s*)?['"]?version['"]?\s*:\s*['"]?NeuroMLlite""", re.S
)
_NETPYNE = re.compile(rb'\s*\{\s*"(net|simConfig|simData|netpyne_version|netpyne_changeset)"\s*:')
_NPJSON = re.compile(rb'(?=.{,4096}"netParams"\s*:\s*")(?=.{,4096}"simConfig"\s*:\s*")\s*\{', re.S)
_PYNN = re.compile(rb"""^[ \t]*(from|import)[ \t]+pyNN\b|["']pyNN\.""", re.M)
_NETPYNE_PYTHON = re.compile(rb"^[ \t]*(from|import)[ \t]+netpyne\b", re.M)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
REFUSED_PICKLE = (
    "this is a pickle, which can run any code as it is read, and is never read; save the model as JSON. If you trust a "
    "file that NetPyNE has saved, Python makes JSON of it: from netpyne import sim; sim.load('model.pkl', "
    "createNEURONObj=False); sim.cfg.filename, sim.cfg.saveJson, sim.cfg.savePickle = 'model', True, False; "
    "sim.saveData()"
)
_NETPYNE_HOLDS = frozenset({
    "native mechanisms", "networks", "positions", "properties", "connections", "weights", "delays", "places on cells",
    "inputs", "temperature", "simulation", "gap junctions", "continuous projections", "reactions and diffusion",
    "plasticity", "courses", "imposed fields", "shared synapses",
})  # fmt: skip
_COMPILED = frozenset({
    "components", "component types", "morphologies", "biophysics",
})  # fmt: skip
_HNN = re.compile(rb'\s*\{\s*"object_type"\s*:\s*"Network"')
# a circuit with its files of nodes, or a simulation of one
_SONATA = re.compile(rb'^\s*\{.*("nodes_file"|"edges_file"|"node_sets_file"|"network"\s*:\s*"[^"]*config)', re.S)

# hoc that makes sections or templates, or Python that imports NEURON; not PyNN's or NetPyNE's scripts
_HOC = re.compile(rb"^[ \t]*(begintemplate[ \t]+\w|create[ \t]+\w|load_file[ \t]*\(|(from|import)[ \t]+neuron\b)", re.M)

_NETWORK = frozenset({
    "networks", "positions", "instance ids", "properties", "connections", "weights", "delays", "places on cells",
    "gap junctions", "continuous projections", "inputs", "temperature",
})  # fmt: skip
_NEUROML = _NETWORK | {"components", "component types", "morphologies", "biophysics", "several networks", "annotations"}
_SCRIPT = frozenset({
    "components", "networks", "positions", "connections", "weights", "delays", "inputs", "simulation",
})  # fmt: skip

_FORMATS = (
    Format(
        name="lems",
        title="LEMS XML",
        extensions=(".xml",),
        specification="https://docs.neuroml.org/Userdocs/LEMS.html",
        reader="nmlbridge.neuroml:read_xml",
        writer="nmlbridge.neuroml:write_lems",
        sniff=lambda head: _root_tag(head).lower() == b"lems",
        features=(_NEUROML | {"simulation"}) - {"annotations"},
    ),
    Format(
        name="neuroml",
        title="NeuroML 2 XML",
        extensions=(".nml", ".xml"),
        specification="https://docs.neuroml.org/Userdocs/NeuroMLv2.html",
        reader="nmlbridge.neuroml:read_xml",
        writer="nmlbridge.neuroml:write_xml",
        sniff=lambda head: _root_tag(head) == b"neuroml",
        features=_NEUROML,
    ),
    Format(
        name="neuroml-hdf5",
        title="NeuroML 2 HDF5",
        extensions=(".nml.h5", ".h5", ".hdf5"),
        specification="https://docs.neuroml.org/Userdocs/HDF5.html",
        reader="nmlbridge.neuroml:read_hdf5",
        writer="nmlbridge.neuroml:write_hdf5",
        sniff=lambda head: head.startswith(b"\x89HDF\r\n\x1a\n"),
        features=_NEUROML,
    ),
    Format(
        name="sonata",
        title="SONATA",
        extensions=(".sonata",),
        specification="https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md",
        reader="nmlbridge.converters.sonata:read",
        writer="nmlbridge.converters.sonata:write",
        sniff=lambda head: _SONATA.search(head) is not None,
        features=(_NEUROML | {"simulation"})
        - {"gap junctions", "continuous projections", "several networks", "annotations"},
        in_folder=("config.json", "circuit_config.json", "simulation_config.json"),
        writes_folder=True,
    ),
    Format(
        name="swc",
        title="SWC morphology",
        extensions=(".swc",),
        specification="https://swc-specification.readthedocs.io",
        reader="nmlbridge.converters.swc:read",
        writer="nmlbridge.converters.swc:write",
        sniff=lambda head: _SWC.match(head) is not None,
        features=frozenset({"morphologies"}),
    ),
    Format(
        name="neurolucida",
        title="Neurolucida ASC morphology",
        extensions=(".asc",),
        specification="https://www.mbfbioscience.com/help/neurolucida_explorer/Content/2_Files/ASCII.htm",
        reader="nmlbridge.converters.swc:read",
        sniff=lambda head: _ASC.match(head) is not None,
        features=frozenset({"morphologies"}),
    ),
    Format(
        name="neuromllite",
        title="NeuroMLlite (JSON, YAML)",
        extensions=(".nmllite.json", ".nmllite.yaml", ".json", ".yaml"),
        specification="https://docs.neuroml.org/Userdocs/NeuroMLlite.html",
        reader="nmlbridge.converters.neuromllite:read",
        writer="nmlbridge.converters.neuromllite:write",
        sniff=lambda head: _NEUROMLLITE.search(head) is not None,
        features=_NEUROML - {"several networks", "annotations"},
    ),
    Format(
        name="netpyne",
        title="NetPyNE (JSON, index, Python)",
        extensions=("_netpyne.json", ".npjson"),
        specification="https://doc.netpyne.org",
        reader="nmlbridge.converters.netpyne.read:read",
        writer="nmlbridge.converters.netpyne.write:write",
        simulation="nmlbridge.converters.netpyne.read:read_simulation",
        sniff=lambda head: any(sign(head) for sign in (_NETPYNE.match, _NPJSON.match, _NETPYNE_PYTHON.search)),
        features=_NETPYNE_HOLDS,
        compiled=_COMPILED,
        in_folder=("index.npjson",),
        holds_code=True,
        changeable=True,
    ),
    Format(
        name="hnn",
        title="hnn-core network (JSON)",
        extensions=("_hnn.json",),
        specification="https://jonescompneurolab.github.io/hnn-core",
        reader="nmlbridge.converters.hnn.read:read",
        simulation="nmlbridge.converters.hnn.read:read_simulation",
        sniff=lambda head: _HNN.match(head) is not None,
        features=frozenset({
            "native mechanisms", "networks", "positions", "connections", "weights", "delays", "places on cells",
            "inputs", "temperature",
        }),
        holds_code=True,
    ),
    Format(
        name="neuron",
        title="NEURON project: mod files, Python, data",
        extensions=(".neuron",),
        specification="https://nrn.readthedocs.io",
        writer="nmlbridge.simulator.neuron.project:write",
        features=(_SCRIPT - {"positions"}) | {
            "component types", "native mechanisms", "morphologies", "biophysics", "places on cells", "gap junctions",
            "continuous projections", "temperature", "imposed fields", "plasticity", "courses",
            "differing cells", "differing inputs", "shared synapses",
            "reactions and diffusion",
        },
        writes_folder=True,
    ),
    Format(
        name="arbor",
        title="Arbor project: recipe script, mechanisms, data",
        extensions=(".arbor",),
        specification="https://docs.arbor-sim.org",
        writer="nmlbridge.simulator.arbor.project:write",
        features=(_SCRIPT - {"positions"}) | {
            "component types", "morphologies", "biophysics", "places on cells", "temperature",
        },
        writes_folder=True,
    ),
    Format(
        name="hoc",
        title="NEURON code: hoc or Python that builds cells",
        extensions=(".hoc", ".py"),
        specification="https://nrn.readthedocs.io",
        reader="nmlbridge.simulator.neuron.importer:read",
        simulation="nmlbridge.simulator.neuron.importer:read_simulation",
        sniff=lambda head: _HOC.search(head) is not None,
        features=frozenset({
            "native mechanisms", "networks", "positions", "connections", "weights", "delays", "places on cells",
            "inputs", "temperature", "simulation",
        }),
        holds_code=True,
    ),
    Format(
        name="pynn",
        title="PyNN script, standard cells",
        extensions=(".pynn",),
        specification="https://neuralensemble.org/docs/PyNN/",
        reader="nmlbridge.converters.pynn.script:read",
        writer="nmlbridge.converters.pynn.write:write",
        sniff=lambda head: _PYNN.search(head) is not None,
        features=_SCRIPT,
        holds_code=True,
        writes_folder=True,
    ),
    Format(
        name="brian2",
        title="Brian 2 script, point cells",
        extensions=(".brian2",),
        specification="https://brian2.readthedocs.io",
        writer="nmlbridge.converters.brian:write",
        features=(_SCRIPT | {"component types"}) - {"positions"},
        writes_folder=True,
    ),
    Format(
        name="eden",
        title="EDEN: LEMS and a script that runs it",
        extensions=(".eden",),
        specification="https://eden-simulator.org",
        writer="nmlbridge.converters.eden:write",
        features=(_NEUROML | {"simulation"}) - {"several networks", "annotations"},
        writes_folder=True,
    ),
    Format(
        name="sbml",
        title="SBML",
        extensions=(".sbml",),
        specification="https://sbml.org",
        reader="nmlbridge.converters.sbml:read",
        sniff=lambda head: _root_tag(head) == b"sbml",
        features=frozenset({"components", "component types", "simulation"}),
    ),
    Format(
        name="vtk",
        title="VTK PolyData, geometry",
        extensions=(".vtp",),
        specification="https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html",
        writer="nmlbridge.converters.vtk:write",
        features=frozenset({"morphologies", "positions"}),
    ),
    Format(
        name="gltf",
        title="glTF 2.0 binary, geometry",
        extensions=(".glb",),
        specification="https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html",
        writer="nmlbridge.converters.gltf:write",
        features=frozenset({"morphologies", "positions"}),
    ),
    Format(
        name="rules",
        title="network stated as rules (YAML, JSON)",
        extensions=(".yaml", ".yml", ".json"),
        specification="https://json-schema.org/draft/2020-12/schema",
        reader="nmlbridge.builder:read",
        simulation="nmlbridge.builder:read_simulation",
        sniff=lambda head: _RULES.search(head) is not None,
        holds_code=True,
        changeable=True,
    ),
)

_BACKENDS = (
    Backend(
        name="neuron",
        title="NEURON, with mechanisms compiled from the model's own equations",
        simulate="nmlbridge.simulator.run:simulate",
        features=frozenset({"mpi", "gap junctions", "abstract cells", "custom component types"}),
    ),
    Backend(
        name="coreneuron",
        title="CoreNEURON: NEURON builds the network and hands it over; fixed steps, no C code in mechanisms",
        simulate="nmlbridge.simulator.run:simulate_coreneuron",
        features=frozenset({"gap junctions", "custom component types"}),
    ),
    Backend(
        name="reference",
        title="the model's own equations integrated in numpy: components, point cells, single segments",
        simulate="nmlbridge.simulator.run:simulate_reference",
        features=frozenset({"abstract cells", "custom component types", "components without a network"}),
    ),
)


def resolve_name(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, imported if it is given as "module:attribute".

    So a lower layer may offer what a higher one does (``Network.to_libneuroml``) without importing it.
    """
    if callable(target):
        return target
    module, _, attribute = target.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function


class Named(Protocol):
    """A record of a table: it has a name that no other one has."""

    @property
    def name(self) -> str: ...


Record = TypeVar("Record", bound=Named)


def record_table(kind: type[Record], built_in: tuple[Record, ...], group: str) -> Mapping[str, Record]:
    """Built-ins first, then the entry points of ``group`` by name; a broken or clashing one warns and is left out."""
    table = {record.name: record for record in built_in}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            record = entry.load()
        except Exception as fault:  # whatever another package does wrong must not stop this one
            warnings.warn(f"entry point {entry.value} of {group} is left out: {fault!r}", stacklevel=3)
            continue
        if not isinstance(record, kind) or record.name in table:
            warnings.warn(f"entry point {entry.value} of {group} is left out: no new {kind.__name__}", stacklevel=3)
            continue
        table[record.name] = record
    return MappingProxyType(table)


@cache
def formats() -> Mapping[str, Format]:
    """All formats by name, the built-in ones first."""
    return record_table(Format, _FORMATS, "nmlbridge.formats")


@cache
def backends() -> Mapping[str, Backend]:
    """All backends by name, the built-in ones first."""
    return record_table(Backend, _BACKENDS, "nmlbridge.backends")


def format_named(name: str) -> Format:
    """The format called ``name``; raises UsageError with the names there are."""
    try:
        return formats()[name]
    except KeyError:
        raise UsageError(f"there is no format '{name}'; there are: {', '.join(formats())}") from None


def format_to_read(path: str | Path) -> Format:
    """The format of an existing file, told by its first bytes, or of a folder, told by the names in it.

    Raises DocumentError if none claims it.
    """
    path = Path(path)
    if path.is_dir():
        for record in formats().values():
            if record.file_in(path) is not None:
                return record
        known = ", ".join(sorted({name for record in formats().values() for name in record.in_folder}))
        raise DocumentError(f"this is a folder, and has no {known or 'model'} in it", file=str(path))
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise DocumentError("there is no such file", file=str(path)) from None
    except OSError as fault:
        raise DocumentError(f"the file cannot be read: {fault.strerror}", file=str(path)) from None
    for record in formats().values():
        if record.sniff(head):
            return record
    if _PICKLE.match(head):
        raise DocumentError(REFUSED_PICKLE, file=str(path))
    raise DocumentError(
        "the file is empty" if not head else f"the file is none of: {', '.join(f.title for f in formats().values())}",
        file=str(path),
    )


def format_to_write(path: str | Path) -> Format:
    """The format that the name of a new file asks for: a name that stands for a folder, else the longest extension
    that fits and can be written; a folder may be called as its format (``sonata/``). Of formats with one extension the
    first in the table counts, but files called LEMS_* are LEMS."""
    for record in formats().values():
        if record.writer is not None and Path(path).name in record.in_folder:
            return record
    name = Path(path).name.lower()
    if name.startswith("lems_") and name.endswith(".xml"):
        return format_named("lems")
    fitting = [
        (len(extension), record)
        for record in formats().values()
        if record.writer is not None
        for extension in record.extensions
        if name.endswith(extension) and record.name != "lems"
    ]
    named = formats().get(name)
    if not fitting and named is not None and named.writer is not None and named.writes_folder:
        return named
    if not fitting:
        known = sorted({e for record in formats().values() if record.writer is not None for e in record.extensions})
        raise UsageError(f"'{path}' has none of the extensions that can be written: {', '.join(known)}")
    return max(fitting, key=lambda pair: pair[0])[1]


def read(
    path: str | Path, *, format: str | None = None, report: Report | None = None, allow: Collection[str] = ()
) -> Network:
    """Read a model file into a Network; the format is told by the file's content unless ``format`` names it.

    A file with a cell or a channel alone gives a Network without populations. What could not be carried over is noted
    in ``report``. ``allow`` names kinds of code that may come with a model: "code" is run, "mods" are taken over.
    Raises DocumentError, LemsError or NetworkError with the place, UsageError for an unknown format.
    """
    record = format_named(format) if format is not None else format_to_read(path)
    return record.read(path, report, allow)


def write(network: Network, path: str | Path, *, format: str | None = None, report: Report | None = None) -> None:
    """Write a Network to a file or folder; the format follows its name unless ``format`` names it.

    It appears whole or not at all. What the format cannot carry is noted in ``report``. Raises UsageError for an
    unknown format, or one that is only read, and UnsupportedError for a network of which it can hold nothing.
    """
    record = format_named(format) if format is not None else format_to_write(path)
    record.write(network, path, report)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    report: Report | None = None,
    allow: Collection[str] = (),
) -> Network:
    """Read ``source``, write it as ``target``, and return the Network that went over; ``allow`` is as in ``read``.

    Raises what ``read`` and ``write`` raise; then nothing is written.
    """
    # the target is looked up first: a wrong name should not cost the reading of a large file
    record = format_named(target_format) if target_format is not None else format_to_write(target)
    network = read(source, format=source_format, report=report, allow=allow)
    if report is not None and network.settings is not None and network.settings.electrodes is not None:
        report.add("electrodes", "loss", f"the model's electrodes and dipoles have no place in {record.title}",
                   file=str(source))  # fmt: skip
    record.write(network, target, report)
    return network


def matching(features: frozenset[str]) -> Iterator[Format]:
    """The formats that can carry all of ``features``."""
    return (record for record in formats().values() if features <= record.features)
