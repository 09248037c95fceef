"""Which ComponentTypes of the NeuroML core run where: the one table that checks, docs and tests go by.

A type that the document defines itself needs no row: what it extends says what it is, and its equations are compiled
like those of the core.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import UnsupportedError
from ..lems import Component

RUNS = "runs"
NO_EFFECT = "no effect"
REFUSED = "refused"
BASE = "base"


@dataclass(frozen=True)
class Row:
    """Types that are treated alike: ``neuron`` and ``reference`` say how; ``remark`` is what one should know.

    BASE stands for a type that only others are made from; NO_EFFECT for what is kept and written back but is no part of
    the equations.
    """

    title: str
    types: tuple[str, ...]
    neuron: str = RUNS
    reference: str = RUNS
    remark: str = ""


def _row(title: str, types: str, neuron: str = RUNS, reference: str = RUNS, remark: str = "") -> Row:
    return Row(title, tuple(types.split()), neuron, reference, remark)


TABLE = (
    _row("Cells with a morphology", "cell cell2CaPools",
         remark="the reference backend has no cable equation: one segment only"),
    _row("Morphology", "morphology segment proximal distal parent point3DWithDiam segmentGroup member include path "
         "subTree from to inhomogeneousParameter proximalDetails distalDetails",
         remark="one section for each cable group, else for each segment; a branch inside a compartment "
         "begins at its middle"),
    _row("Membrane", "membraneProperties membraneProperties2CaPools biophysicalProperties "
         "biophysicalProperties2CaPools intracellularProperties intracellularProperties2CaPools specificCapacitance "
         "initMembPotential spikeThresh resistivity species"),
    _row("Channel densities", "channelDensity channelDensityVShift channelDensityNernst channelDensityNernstCa2 "
         "channelDensityGHK channelDensityGHK2 channelPopulation channelPopulationNernst",
         remark="any number on a segment; GHK and Nernst read the concentrations of calcium, as LEMS has it"),
    _row("Densities that vary along a cell", "channelDensityNonUniform channelDensityNonUniformNernst "
         "channelDensityNonUniformGHK variableParameter inhomogeneousValue", reference=REFUSED,
         remark="LEMS has no equations for them: their current is 0 there"),
    _row("Channels", "ionChannel ionChannelHH ionChannelPassive ionChannelVShift ionChannelKS"),
    _row("Gates", "gate gateHHrates gateHHtauInf gateHHInstantaneous gateHHratesTau gateHHratesInf gateHHratesTauInf "
         "gateFractional subGate"),
    _row("Kinetic schemes", "gateKS KSState closedState openState KSTransition forwardTransition reverseTransition "
         "vHalfTransition tauInfTransition",
         remark="they begin in equilibrium; q10Settings inside them have no effect, as in LEMS"),
    _row("Rates and temperature", "HHExpRate HHSigmoidRate HHExpLinearRate HHExpVariable HHSigmoidVariable "
         "HHExpLinearVariable fixedTimeCourse q10Fixed q10ExpTemp q10ConductanceScaling"),
    _row("Concentrations", "concentrationModel decayingPoolConcentrationModel fixedFactorConcentrationModel "
         "fixedFactorConcentrationModelTraub",
         remark="the volume of a decaying pool goes by the area of the compartment"),
    _row("Point cells with channels", "pointCellCondBased pointCellCondBasedCa"),
    _row("Abstract cells", "iafTauCell iafTauRefCell iafCell iafRefCell izhikevichCell izhikevich2007Cell adExIaFCell "
         "fitzHughNagumoCell fitzHughNagumo1969Cell pinskyRinzelCA3Cell hindmarshRose1984Cell"),
    _row("PyNN", "IF_curr_alpha IF_curr_exp IF_cond_alpha IF_cond_exp EIF_cond_exp_isfa_ista EIF_cond_alpha_isfa_ista "
         "HH_cond_exp expCondSynapse expCurrSynapse alphaCondSynapse alphaCurrSynapse SpikeSourcePoisson"),
    _row("Synapses", "alphaCurrentSynapse expOneSynapse alphaSynapse expTwoSynapse expThreeSynapse "
         "blockingPlasticSynapse doubleSynapse voltageConcDepBlockMechanism tsodyksMarkramDepMechanism "
         "tsodyksMarkramDepFacMechanism"),
    _row("Plasticity by spike times", "stdpSynapse",
         remark="its equations run, but the core itself calls them not yet working"),
    _row("Continuous coupling", "gapJunction silentSynapse linearGradedSynapse gradedSynapse",
         remark="a silent synapse is not made"),
    _row("Inputs", "pulseGenerator sineGenerator rampGenerator compoundInput pulseGeneratorDL sineGeneratorDL "
         "rampGeneratorDL compoundInputDL voltageClamp voltageClampTriple timedSynapticInput poissonFiringSynapse "
         "transientPoissonFiringSynapse",
         remark="random streams are NEURON's own: the same on any number of ranks, other ones than those of jLEMS"),
    _row("Sources of events", "spikeGenerator spikeGeneratorRandom spikeGeneratorPoisson spikeGeneratorRefPoisson "
         "spikeArray spike"),
    _row("Networks", "network networkWithTemperature population populationList instance location projection connection "
         "connectionWD synapticConnection synapticConnectionWD explicitConnection electricalProjection "
         "electricalConnection electricalConnectionInstance electricalConnectionInstanceW continuousProjection "
         "continuousConnection continuousConnectionInstance continuousConnectionInstanceW explicitInput inputList "
         "input inputW"),
    _row("Space", "region rectangularExtent", NO_EFFECT, NO_EFFECT, "kept in the document"),
    _row("Simulations", "Simulation Display Line OutputFile OutputColumn EventOutputFile EventSelection Meta",
         remark="of Meta, what is for NEURON: cvode and its tolerances"),
    _row("Notes and annotations", "notes annotation property rdf_RDF rdf_Description rdf_Bag rdf_li bqbiol_encodes "
         "bqbiol_hasPart bqbiol_hasProperty bqbiol_hasVersion bqbiol_is bqbiol_isDescribedBy bqbiol_isEncodedBy "
         "bqbiol_isHomologTo bqbiol_isPartOf bqbiol_isPropertyOf bqbiol_isVersionOf bqbiol_occursIn bqbiol_hasTaxon "
         "bqmodel_is bqmodel_isDescribedBy bqmodel_isDerivedFrom bqmodel_isInstanceOf bqmodel_hasInstance dc_title "
         "dc_description dc_creator dc_contributor dc_source dcterms_abstract dcterms_license dcterms_created "
         "dcterms_created_description dcterms_date dcterms_modified dcterms_modified_description dcterms_date_list "
         "dcterms_references prism_keyword collex_thumbnail scoro_successor scoro_funder rdfs_seeAlso foaf_name "
         "foaf_homepage foaf_account foaf_fundedBy foaf_mbox foaf_weblog foaf_thumbnail foaf_publications orcid_id",
         NO_EFFECT, NO_EFFECT, "kept in the document"),
)  # fmt: skip


def refuse(component: Component, backend: str) -> None:
    """Raise UnsupportedError, with the place, if a part of the component is of a type that the backend refuses."""
    for row in TABLE:
        if getattr(row, backend) != REFUSED:
            continue
        for part in _walk(component):
            if part.type.name in row.types:
                raise UnsupportedError(
                    f"{part.file}:{part.line}: component '{part.label}': the backend {backend} cannot run a "
                    f"{part.type.name} ({row.remark}); use the backend neuron"
                )


def _walk(component: Component) -> Iterable[Component]:
    yield component
    for _, child in component.children:
        yield from _walk(child)


def markdown() -> str:
    """The table for the docs."""
    lines = [
        "# What runs where",
        "",
        "Every ComponentType of the NeuroML core, and what the two backends make of it. `runs` is said of what the",
        "tests compare: NEURON with the reference integrator, both with formulas, or counts with what chance allows.",
        "Types that a document defines itself run like those that they extend: channels and all their parts,",
        "concentration models, synapses with their plasticity and block, inputs, sources, cells, rate units.",
        "",
        "What NEURON has no place for is refused before anything is generated, with file, line and component:",
        "a condition that sends an event but compares nothing that changes continuously; a cell whose dv/dt is not",
        "a constant times what comes in; two sums of attached currents in one cell; a peer's variable that neither its",
        "synapse nor its cell shows. A target that is no network runs on the reference backend;",
        "so do networks in a model's own types of populations and connections (MultiInstantiate, EventConnection).",
        "",
        "| | NEURON | reference | |",
        "|---|---|---|---|",
    ]
    for row in TABLE:
        lines.append(f"| **{row.title}** | {row.neuron} | {row.reference} | {row.remark} |")
        lines.append(f"| {' '.join(f'`{name}`' for name in row.types)} | | | |")
    lines += ["", "Printed from the table in `simulator/coverage.py` by `nmlbridge formats --types`.", ""]
    return "\n".join(lines)
