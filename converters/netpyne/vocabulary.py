"""Every word of NetPyNE 1.1's netParams and simConfig: what is read, what concerns output alone, what is not done here.

Words that are none of these are a model's own variables (netParams, simConfig) or tags (popParams).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...report import Report

CONFIG_READ = frozenset({
    "duration", "tstop", "dt", "hParams", "cvode_active", "cvode_atol", "seeds", "connRandomSecFromList",
    "distributeSynsUniformly", "pt3dRelativeToCellLocation", "invertedYCoord", "allowSelfConns",
    "allowConnsWithWeight0", "oneSynPerNetcon", "compactConnFormat", "recordCells", "recordTraces",
    "recordCellsSpikes", "recordLFP", "recordDipole", "saveLFPCells", "saveLFPPops", "saveDipoleCells",
    "saveDipolePops", "recordStep", "analysis",
})  # fmt: skip
"""what of simConfig has a part in the network or the run"""
CONFIG_OUTPUT = frozenset({
    # how NetPyNE computes and gathers the same numbers
    "coreneuron", "dump_coreneuron_model", "random123", "cache_efficient", "gpu", "use_fast_imem", "createNEURONObj",
    "createPyStruct", "gatherOnlySimData", "includeParamsLabel", "validateNetParams", "checkErrors",
    "checkErrorsVerbose",
    # files, and what is said on the way
    "simLabel", "saveFolder", "filename", "saveDataInclude", "timestampFilename", "savePickle", "saveJson", "saveMat",
    "saveCSV", "saveDpk", "saveHDF5", "saveDat", "saveTxt", "saveCellSecs", "saveCellConns", "saveTiming",
    "backupCfgFile", "timing", "printRunTime", "printPopAvgRates", "printSynsAfterRule", "verbose", "progressBar",
    "recordTime",
})  # fmt: skip
"""what of simConfig changes no number"""
CONFIG_UNDONE: Mapping[str, tuple[Any, str]] = {
    "saveIMembrane": (False, "membrane currents are not recorded"),
    "recordDipolesHNN": (False, "dipoles by hnn's own variables are not recorded"),
    "recordStim": (False, "the events of stimuli are not recorded"),
    "addSynMechs": (True, "synapses are made all the same"),
    "rand123GlobalIndex": (None, "the streams of NetStims do not depend on it"),
    "use_local_dt": (False, "steps are the same for all cells"),
}
"""what of simConfig is not done: the value at which nothing is missing, and what is missing otherwise"""
NET_READ = frozenset({
    "popParams", "cellParams", "synMechParams", "connParams", "stimSourceParams", "stimTargetParams", "subConnParams",
    "rxdParams", "scale", "sizeX", "sizeY", "sizeZ", "shape", "rotateCellsRandomly", "defineCellShapes",
    "correctBorder", "scaleConnWeight", "scaleConnWeightNetStims", "scaleConnWeightModels", "defaultWeight",
    "defaultDelay", "defaultThreshold", "propVelocity", "popTagsCopiedToCells",
})  # fmt: skip
NET_OUTPUT = frozenset({"cellsVisualizationSpacingMultiplier", "mapping"})
"""what of netParams changes nothing; ``mapping`` has done so when the model was stated"""
CONNECTION = frozenset({
    "preConds", "postConds", "probability", "convergence", "divergence", "connList", "connFunc", "weight", "delay",
    "loc", "synsPerConn", "synMech", "sec", "synMechWeightFactor", "synMechDelayFactor", "synMechLocFactor",
    "weightIndex", "threshold", "connRandomSecFromList", "distributeSynsUniformly", "gapJunction", "preLoc", "preSec",
    "preLocs", "preSecs", "plast", "plasticity", "shape", "label",
})  # fmt: skip
CONNECTION_UNDONE: Mapping[str, str] = {
    "disynapticBias": "bias for disynaptic connections, which fails in NetPyNE 1.1 too,",
}
TARGET = frozenset({
    "source", "conds", "sec", "loc", "weight", "delay", "synMech", "synsPerConn", "synMechWeightFactor",
    "synMechDelayFactor", "synMechLocFactor", "connRandomSecFromList", "distributeSynsUniformly", "label",
})  # fmt: skip


def note_undone(config: Mapping[str, Any], file: str | None, report: Report) -> None:
    """Note what a simConfig asks for that is not done."""
    for name, (usual, what) in CONFIG_UNDONE.items():
        if config.get(name, usual) != usual and (config[name] or usual):
            report.add("netpyne-recording" if "recorded" in what else "netpyne-config", "loss",
                       f"simConfig.{name}: {what}", file=file)  # fmt: skip
