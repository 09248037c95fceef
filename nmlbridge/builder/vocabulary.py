"""The words of a specification, as typed models: what may be said, and what it means.

``Value`` is a number, or a formula in which the names under ``parameters`` may stand; ``Selection`` is a formula with a
truth value for each cell or segment (``builder.language``). Every model refuses words that it does not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from .substances import Chemistry
from .words import Id, Item, Range, Selection, Value, one_of


class Component(Item):
    """A LEMS component: its type, its parameters as the type names them, children as mappings or lists of them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str = Field(description="name of a ComponentType: izhikevich2007Cell, expTwoSynapse, ionChannelHH ...")


class ExpSyn(Item):
    """NEURON's ExpSyn: a conductance that jumps and decays. Weights of its connections are in uS."""

    neuron: Literal["ExpSyn"]
    tau: Value = Field(default=0.1, description="ms")
    e: Value = Field(default=0.0, description="mV")


class Exp2Syn(Item):
    """NEURON's Exp2Syn: a conductance with a rise and a decay. Weights of its connections are in uS."""

    neuron: Literal["Exp2Syn"]
    tau1: Value = Field(default=0.1, description="ms")
    tau2: Value = Field(default=10.0, description="ms")
    e: Value = Field(default=0.0, description="mV")


class NeuronProcess(Item):
    """A point process or artificial cell of a mod file under ``mods``; as a cell also NEURON's own IntFire1, IntFire2,
    IntFire4. Its parameters stand beside, in NEURON's units."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Value]
    neuron: str = Field(description="the name behind POINT_PROCESS or ARTIFICIAL_CELL")


def _kind_of_process(data: Any) -> str:
    name = data.get("neuron") if isinstance(data, dict) else getattr(data, "neuron", None)
    return "component" if name is None else name if name in ("ExpSyn", "Exp2Syn") else "process"


Synapse = Annotated[
    Annotated[Component, Tag("component")] | Annotated[ExpSyn, Tag("ExpSyn")] | Annotated[Exp2Syn, Tag("Exp2Syn")]
    | Annotated[NeuronProcess, Tag("process")],
    Discriminator(_kind_of_process),
]  # fmt: skip
AnyComponent = Annotated[
    Annotated[Component, Tag("component")] | Annotated[NeuronProcess, Tag("process")],
    Discriminator(lambda data: "component" if _kind_of_process(data) == "component" else "process"),
]


class TemplateCell(Item):
    """A cell of a template in hoc, or of a class or function in Python, which is run: ``--allow-code``.

    What its code builds in NEURON is taken over: sections, mechanisms, ions, its own point processes. Its mod files are
    those under ``mods``, else those beside the file.
    """

    template: str = Field(description="the template, class or function that makes the cell")
    file: str = Field(description="hoc or Python, relative to the specification")
    arguments: list[float | str] = Field(default=[], description="what the template is called with")
    v_init: Value = Field(default=-65.0, description="mV")
    threshold: Value = Field(default=0.0, description="mV: a spike is a crossing from below")


class FileCell(Item):
    """A cell of a NeuroML or LEMS file; the file's other components come along."""

    file: str = Field(description="path relative to the specification")
    component: str | None = Field(default=None, description="id in the file (default: the name here)")


class Section(Item):
    """An unbranched cable: length and diameter in um, or points (x, y, z, diameter)."""

    length: Value | None = Field(default=None, description="um")
    diameter: Value | None = Field(default=None, description="um")
    points: list[tuple[float, float, float, float]] | None = Field(
        default=None, description="um: x, y, z, diameter along it"
    )
    parent: str | None = Field(default=None, description="the section it grows from (default: none, for the root)")
    at: float = Field(default=1.0, ge=0, le=1, description="where on the parent it begins, 0 to 1")
    compartments: int | Literal["d_lambda"] = Field(
        default=1, description="how many, or d_lambda: by the length constant"
    )

    @model_validator(mode="after")
    def _shape(self) -> Section:
        if self.points is None and (self.length is None or self.diameter is None):
            raise PydanticCustomError("shape", "a section needs length and diameter, or points")
        if self.points is not None and len(self.points) < 2:
            raise PydanticCustomError("shape", "points need at least two rows of x, y, z, diameter")
        return self


class Mechanism(Item):
    """A channel on the membrane; ``density`` may vary along the cell (path_dist, x, y, z, diam, depth)."""

    channel: str = Field(description="a channel of components, or of an included file")
    density: Value = Field(description="S_per_cm2 unless it has a unit")
    erev: Value = Field(description="mV")
    ion: str = Field(default="non_specific", description="whose current it is: na, k, ca ...")
    where: Selection = Field(default="all", description="which sections")


class NeuronMechanism(Item):
    """A density mechanism of NEURON, inserted in whole sections: ``{neuron: hh, gnabar: 0.12, where: soma}``.

    Its parameters stand beside, in NEURON's units; each may vary along the cell. A cell that has one has no LEMS
    channels, and is simulated by NEURON's own equations.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Value]
    neuron: str = Field(description="hh, pas, or the SUFFIX of a mod file under mods")
    where: Selection = Field(default="all", description="which sections")


def _kind_of_mechanism(data: Any) -> str:
    return "neuron" if (("neuron" in data) if isinstance(data, dict) else hasattr(data, "neuron")) else "channel"


AnyMechanism = Annotated[
    Annotated[Mechanism, Tag("channel")] | Annotated[NeuronMechanism, Tag("neuron")], Discriminator(_kind_of_mechanism)
]


class Ion(Item):
    """What an ion starts with on some sections, beside NEURON's own mechanisms."""

    e: Value | None = Field(default=None, description="mV: its reversal potential")
    i: Value | None = Field(default=None, description="mM inside")
    o: Value | None = Field(default=None, description="mM outside")
    where: Selection = Field(default="all", description="which sections")


class Varying(Item):
    """A value on some sections."""

    value: Value
    where: Selection = Field(default="all", description="which sections")


class Biophysics(Item):
    """What the membrane of a cell has."""

    capacitance: Value | list[Varying] = Field(default=1.0, description="uF_per_cm2")
    resistivity: Value = Field(default=100.0, description="ohm_cm")
    v_init: Value = Field(default=-65.0, description="mV")
    threshold: Value = Field(default=0.0, description="mV: a spike is a crossing from below")
    mechanisms: dict[Id, AnyMechanism] = {}
    ions: dict[Id, Ion | list[Ion]] = Field(default={}, description="beside NEURON's own mechanisms")


class SectionCell(Item):
    """A cell written out: sections, and what is on their membrane. Becomes a NeuroML cell."""

    sections: dict[Id, Section] = Field(description="one of them has no parent: the root")
    groups: dict[Id, Selection] = Field(default={}, description="names for parts of it: dend | tuft, path_dist > 500")
    biophysics: Biophysics = Field(default=Biophysics(), description="what is on the membrane")


class SwcCell(Item):
    """A reconstruction (SWC), with groups soma, axon, dendrite, apical by its types. Becomes a NeuroML cell."""

    swc: str = Field(description="path of an SWC or ASC file, relative to the specification")
    groups: dict[Id, Selection] = Field(default={}, description="names for parts of it: dend | tuft, path_dist > 500")
    compartments: int | Literal["d_lambda"] = Field(default="d_lambda", description="of each unbranched piece")
    biophysics: Biophysics = Field(default=Biophysics(), description="what is on the membrane")


def _kind_of_cell(data: Any) -> str:
    for word in ("template", "file", "swc", "sections", "neuron"):
        if (word in data) if isinstance(data, dict) else hasattr(data, word):
            return word
    return "component"


Cell = Annotated[
    Annotated[Component, Tag("component")] | Annotated[FileCell, Tag("file")] | Annotated[SwcCell, Tag("swc")]
    | Annotated[SectionCell, Tag("sections")] | Annotated[TemplateCell, Tag("template")]
    | Annotated[NeuronProcess, Tag("neuron")],
    Discriminator(_kind_of_cell),
]  # fmt: skip


class Region(Item):
    """A part of space. A box by default; a cylinder stands along y; ranges (um) that are not given are the space's.

    Of shape mesh: what a closed surface encloses, wherever it lies.
    """

    shape: Literal["box", "cylinder", "ellipsoid", "mesh"] = "box"
    file: str | None = Field(default=None, description="STL, OBJ, PLY or OFF: the surface of a mesh")
    scale: Value = Field(default=1.0, description="um: the file's unit of length")
    x: Range | None = Field(default=None, description="um: from, to")
    y: Range | None = Field(default=None, description="um: from, to")
    z: Range | None = Field(default=None, description="um: from, to")
    where: Selection | None = Field(default=None, description="a mask: a formula of x, y, z, depth and other regions")

    @model_validator(mode="after")
    def _mesh(self) -> Region:
        if (self.shape == "mesh") != (self.file is not None):
            raise PydanticCustomError("mesh", "a region of shape mesh, and no other, has a file")
        if self.shape == "mesh" and (self.x or self.y or self.z):
            raise PydanticCustomError("mesh", "a mesh has the ranges of its surface; cut it by where")
        return self


class Grid(Item):
    """Regular places: the distance of neighbours in um, along each axis; an axis without one has one place."""

    x: Value | None = None
    y: Value | None = None
    z: Value | None = None


class Trains(Item):
    """Spikes that are given (ms): a list for each cell, or a file."""

    times: list[list[float]] | None = Field(default=None, description="ms: a list for each cell")
    file: str | None = Field(default=None, description="spikes in any format of results: SONATA, CSV ...")
    population: str | None = Field(default=None, description="which of the populations of the file")

    @model_validator(mode="after")
    def _either(self) -> Trains:
        one_of(self, ("times", "file"))
        return self


class Population(Item):
    """Cells: of what kind or kinds, how many, and where. With ``spikes`` they are sources of given spikes."""

    cell: str | dict[Id, Value] | None = Field(
        default=None, description="a kind of cells, or several with their shares: {a: 3, b: 1}"
    )
    spikes: Trains | None = Field(default=None, description="instead of cell: sources of given spikes")
    number: Value | None = Field(default=None, description="how many, placed at random")
    density: Value | None = Field(default=None, description="cells per mm3; may be a formula of x, y, z, depth")
    grid: Grid | None = Field(default=None, description="at regular places")
    positions: list[tuple[float, float, float]] | None = Field(default=None, description="um")
    region: str | Region | None = Field(default=None, description="one of regions, or a region (default: space)")
    tags: dict[Id, str | float] = Field(default={}, description="marks to select by")
    vary: dict[str, Value] = Field(
        default={}, description="numbers that differ in each cell: normal(20 mV, 2 mV). Parameters of point cells and "
        "sources; parameters that the formulas of a cell use, or places in the cell: docs/rules.md"
    )

    @model_validator(mode="after")
    def _count(self) -> Population:
        one_of(self, ("cell", "spikes"))
        if self.spikes is None or self.density is not None or self.grid or self.positions is not None:
            one_of(self, ("number", "density", "grid", "positions"))
        return self


class Placement(Item):
    """Where on the cell: segments, and how densely."""

    where: Selection = Field(default="all", description="sections and segments: soma, dendrites & path_dist > 100")
    density: Value = Field(
        default=1.0, description="relative density along the membrane; may be a formula of path_dist ..."
    )
    fraction: float | None = Field(
        default=None, ge=0, le=1, description="a fixed place along the segment (default: anywhere)"
    )


class SmallWorld(Item):
    """A ring in which each cell gets ``neighbours`` from nearest cells, each rewired with a probability."""

    neighbours: int = Field(ge=2)
    rewire: Value = 0.1


class Degrees(Item):
    """Given numbers of outputs for each cell before, and of inputs for each after: a formula each."""

    out: Value
    into: Value


class Plasticity(Item):
    """Weights that pairs of spikes change (STDP), between w_min and w_max."""

    type: Literal["stdp"]
    tau_plus: Value = Field(default=20.0, description="ms: of the trace that presynaptic spikes leave")
    tau_minus: Value = Field(default=20.0, description="ms: of the trace that postsynaptic spikes leave")
    a_plus: Value = Field(default=0.01, description="what a pair adds, as a share of w_max")
    a_minus: Value = Field(default=0.0105, description="what a pair takes away, as a share of w_max")
    w_min: Value = 0.0
    w_max: Value = Field(default=1.0, description="more than zero")
    mu: Value = Field(default=0.0, description="0: additive; 1: multiplicative; or between")
    pairs: Literal["all", "nearest"] = "all"


class Connection(Item):
    """A rule for connections between selected cells."""

    from_: Selection = Field(alias="from", description="the cells before")
    to: Selection = Field(description="the cells after")
    probability: Value | None = Field(
        default=None, description="of each pair, 0 to 1; a formula that gives more counts as 1"
    )
    convergence: Value | None = Field(
        default=None, description="how many inputs each cell gets, from distinct cells; rounded"
    )
    divergence: Value | None = Field(
        default=None, description="how many outputs each cell gives, to distinct cells; rounded"
    )
    pattern: Literal["all_to_all", "one_to_one"] | None = None
    pairs: list[tuple[int, int]] | None = Field(default=None, description="places in from and in to")
    file: str | None = Field(default=None, description="CSV, HDF5, SONATA edges: pre, post; weight, delay")
    small_world: SmallWorld | None = Field(default=None, description="a ring, partly rewired")
    degrees: Degrees | None = Field(default=None, description="given numbers of outputs and inputs")
    synapse: str | list[str] | None = Field(default=None, description="one of synapses, or several at each contact")
    weight: Value | list[Value] | None = Field(
        default=None, description="a factor of the synapse; uS for those of NEURON"
    )
    delay: Value | None = Field(default=None, description="ms")
    velocity: Value | None = Field(default=None, description="um_per_ms; adds dist_3d / velocity to the delay")
    contacts: Value = Field(default=1, description="synapses for each connected pair")
    at: Selection | Placement | None = Field(
        default=None, description="where on the cell after (default: its root segment)"
    )
    from_at: Selection | Placement | None = Field(default=None, description="where on the cell before")
    kind: Literal["chemical", "electrical", "continuous"] = Field(
        default="chemical", description="by events; gap junctions; or graded synapses, which follow a potential"
    )
    from_synapse: str | None = Field(
        default=None, description="of a graded synapse: what acts on the cell before (default: nothing does)"
    )
    plasticity: Plasticity | None = Field(default=None, description="STDP")
    autapses: bool = Field(default=False, description="cells may be connected with themselves")

    @model_validator(mode="after")
    def _rule(self) -> Connection:
        one_of(self, ("probability", "convergence", "divergence", "pattern", "pairs", "file", "small_world",
                       "degrees"))  # fmt: skip
        if isinstance(self.weight, list) and (
            not isinstance(self.synapse, list) or len(self.weight) != len(self.synapse)
        ):
            raise PydanticCustomError("weights", "a list of weights needs a list of as many synapses")
        return self


class _Stimulus(Item):
    to: Selection = Field(description="which cells")
    at: Selection | Placement | None = Field(default=None, description="where on the cell (default: its root segment)")


class _ThroughSynapse(_Stimulus):
    synapse: str | None = Field(default=None, description="one of synapses (default: that of defaults)")
    weight: Value | None = Field(default=None, description="(default: that of defaults)")
    number: int = Field(default=1, ge=1, description="independent ones for each cell")


class Poisson(_ThroughSynapse):
    """Independent Poisson trains."""

    type: Literal["poisson"]
    rate: Value = Field(description="Hz")
    start: Value = Field(default=0.0, description="ms")
    stop: Value | None = Field(default=None, description="ms (default: never)")


class Rhythm(_ThroughSynapse):
    """Spikes in a rhythm, each moved by a normal jitter (ms)."""

    type: Literal["rhythmic"]
    period: Value = Field(description="ms")
    start: Value = Field(default=0.0, description="ms")
    stop: Value | None = Field(default=None, description="ms (default: never)")
    jitter: Value = Field(default=0.0, description="ms: standard deviation")


class Times(_ThroughSynapse):
    """Spikes at given times (ms), the same for all, or from a text file with one time a line."""

    type: Literal["times"]
    times: list[float] | None = Field(default=None, description="ms")
    file: str | None = Field(default=None, description="text with one time (ms) a line")

    @model_validator(mode="after")
    def _either(self) -> Times:
        one_of(self, ("times", "file"))
        return self


class Pulse(_Stimulus):
    """A current (nA) for some time."""

    type: Literal["pulse"]
    amplitude: Value = Field(description="nA")
    start: Value = Field(default=0.0, description="ms")
    duration: Value = Field(description="ms")


class Sine(_Stimulus):
    """A sine current (nA)."""

    type: Literal["sine"]
    amplitude: Value = Field(description="nA")
    period: Value = Field(description="ms")
    phase: Value = Field(default=0.0, description="radians")
    start: Value = Field(default=0.0, description="ms")
    duration: Value = Field(description="ms")


class Clamp(_Stimulus):
    """A voltage clamp (mV) through a series resistance (Mohm)."""

    type: Literal["voltage_clamp"]
    voltage: Value = Field(description="mV")
    start: Value = Field(default=0.0, description="ms")
    duration: Value = Field(description="ms")
    resistance: Value = Field(default=1.0, description="Mohm, in series")


class Input(_Stimulus):
    """Any LEMS component that acts on a cell."""

    type: Literal["component"]
    component: str = Field(description="one of components, or of an included file")
    weight: Value | None = Field(default=None, description="a factor of what it does")


class Course(Item):
    """A course in time: values at times (ms), linear between them; two values at one time are a jump."""

    times: list[float] | None = Field(default=None, description="ms")
    values: list[float] | None = Field(default=None, description="one for each time")
    file: str | None = Field(default=None, description="text with two numbers a line: time (ms) and value")

    @model_validator(mode="after")
    def _alike(self) -> Course:
        one_of(self, ("times", "file"))
        if self.times is not None and (not self.times or len(self.values or ()) != len(self.times)):
            raise PydanticCustomError("course", "as many values are needed as times")
        return self


AnyCourse = Annotated[
    Annotated[Value, Tag("value")] | Annotated[Course, Tag("course")],
    Discriminator(lambda data: "course" if isinstance(data, (dict, Course)) else "value"),
]


class _Field(Item):
    to: Selection = Field(description="which cells")
    course: AnyCourse = Field(default=1.0, description="in time: a formula of t (ms), or values listed")


class UniformField(_Field):
    """A uniform electric field outside the cells, as in TMS and tDCS."""

    type: Literal["uniform_field"]
    direction: tuple[Value, Value, Value] = Field(description="x, y, z; its length does not matter")
    amplitude: Value = Field(description="V_per_m, times the course")
    origin: tuple[Value, Value, Value] = Field(default=(0.0, 0.0, 0.0), description="um: where its potential is 0")


class PointElectrode(_Field):
    """A current that leaves a point in a large medium."""

    type: Literal["point_electrode"]
    position: tuple[Value, Value, Value] = Field(description="um")
    amplitude: Value = Field(description="uA, times the course")
    conductivity: Value = Field(default=0.3, description="S_per_m of the medium")


Stimulus = Annotated[
    Poisson | Rhythm | Times | Pulse | Sine | Clamp | Input | UniformField | PointElectrode, Field(discriminator="type")
]


class Record(Item):
    """A variable of some cells, at one place of each, or the weights of plastic connections, into a table."""

    cells: Selection | None = None
    weights: str | None = Field(default=None, description="a rule for connections that has a plasticity")
    place: tuple[float, float, float] | None = Field(default=None, description="um: of a species outside of cells")
    number: int | None = Field(default=None, ge=1, description="so many of the weights, evenly spread (default: all)")
    variable: str = Field(default="v", description="what the cell exposes: v, u, caConc, or a species: ca[er] ...")
    at: Selection | None = Field(default=None, description="one segment (default: the root)")

    @model_validator(mode="after")
    def _what(self) -> Record:
        one_of(self, ("cells", "weights", "place"))
        return self


class Electrodes(Item):
    """What is seen outside the cells: potentials at places (um), and the current dipole moment."""

    positions: list[tuple[float, float, float]] = Field(default=[], description="um")
    conductivity: float = Field(default=0.3, gt=0, description="S/m")
    source: Literal["line", "point", "soma_point"] = "line"
    radius: Value | None = Field(default=None, description="um: contacts are discs")
    normals: list[tuple[float, float, float]] | None = Field(default=None, description="of the discs (default: z)")
    samples: int = Field(default=50, ge=2, description="points of a disc")
    dipole: bool = Field(default=False, description="also the current dipole moment")
    populations: bool = Field(default=False, description="also of each population on its own")
    cells: Selection | None = Field(default=None, description="also of each of these cells on its own")
    shapes: Literal["given", "joined", "shared"] = "given"


class Run(Item):
    """How to run."""

    duration: Value = Field(description="ms")
    dt: Value = Field(default=0.025, description="ms")
    seed: int = Field(default=1, ge=0, description="of every random number")
    temperature: Value | None = Field(default=None, description="degC")
    rng: Literal["native"] = Field(default="native", description="streams of its own for each rule, pair and stimulus")

    @field_validator("rng", mode="before")
    @classmethod
    def _rng(cls, value: Any) -> Any:
        if value == "netpyne":
            raise PydanticCustomError(
                "rng", "NetPyNE draws for its own rules, cell by cell in its order; rules here have no such numbers: "
                "state the model in NetPyNE's words (netParams and simConfig as JSON or Python), where 'netpyne' is "
                "the default; or leave rng out"
            )  # fmt: skip
        return value


class Defaults(Item):
    """What a connection or stimulus has where it says nothing."""

    synapse: str | None = None
    weight: Value = 1.0
    delay: Value = Field(default=0.0, description="ms")


class Table(Item):
    """Numbers to look up in formulas by ``table(name, x)`` or ``table(name, x, y)``: linear in between."""

    x: list[float] | None = Field(default=None, description="increasing numbers")
    y: list[float] | None = Field(default=None, description="increasing numbers, if the table has two axes")
    values: list[float] | list[list[float]] | None = Field(default=None, description="one for each x, or a row")
    file: str | None = Field(default=None, description="CSV: x, value; or a corner, y along the first row, x down")

    @model_validator(mode="after")
    def _either(self) -> Table:
        if (self.file is None) == (self.x is None or self.values is None):
            raise PydanticCustomError("table", "a table needs x and values, or a file")
        return self


class Model(Item):
    """A network, stated."""

    name: Id = "network"
    notes: str | None = None
    parameters: dict[Id, Value] = Field(default={}, description="names for numbers, to be used in every formula")
    tables: dict[Id, Table] = Field(default={}, description="numbers to look up in formulas")
    defaults: Defaults = Defaults()
    space: Region = Region(x=(0, 100), y=(0, 100), z=(0, 100))
    regions: dict[Id, Region] = {}
    include: list[str] = Field(default=[], description="NeuroML and LEMS files whose components may be used")
    mods: list[str] = Field(default=[], description="mod files, or folders of them; compiled with --allow-mods")
    cells: dict[Id, Cell] = Field(default={}, description="kinds of cells")
    synapses: dict[Id, Synapse] = Field(default={}, description="kinds of synapses")
    components: dict[Id, AnyComponent] = Field(default={}, description="channels, inputs and other LEMS components")
    populations: dict[Id, Population]
    connections: dict[Id, Connection] = Field(default={}, description="rules")
    stimuli: dict[Id, Stimulus] = Field(default={}, description="what acts on cells from outside")
    rxd: Chemistry | None = Field(default=None, description="reactions and diffusion")
    record: dict[Id, Record] = Field(default={}, description="tables to write, by name")
    electrodes: Electrodes | None = None
    run: Run | None = None
