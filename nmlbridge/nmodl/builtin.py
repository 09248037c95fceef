"""The mechanisms that every NEURON has, without a mod file.

https://nrn.readthedocs.io/en/latest/python/modelspec/programmatic/mechanisms/mech.html
"""

from __future__ import annotations

from .header import Header

OF_CELLS = {
    name: Header(name, kind, parameters, receives=kind != "SUFFIX")
    for name, kind, parameters in (
        ("hh", "SUFFIX", {"gnabar": "S_per_cm2", "gkbar": "S_per_cm2", "gl": "S_per_cm2", "el": "mV"}),
        ("pas", "SUFFIX", {"g": "S_per_cm2", "e": "mV"}),
        ("IntFire1", "ARTIFICIAL_CELL", {"tau": "ms", "refrac": "ms"}),
        ("IntFire2", "ARTIFICIAL_CELL", {"taum": "ms", "taus": "ms", "ib": ""}),
        ("IntFire4", "ARTIFICIAL_CELL", {"taue": "ms", "taui1": "ms", "taui2": "ms", "taum": "ms"}),
    )
}
"""those that cells are made of: density mechanisms and artificial cells, with the units of their parameters"""

BUILT_IN = frozenset(OF_CELLS) | {
    "fastpas", "extracellular", "capacitance", "morphology", "ExpSyn", "Exp2Syn", "AlphaSynapse", "IClamp", "SEClamp",
    "VClamp", "APCount", "NetStim", "PatternStim",
}  # fmt: skip
"""the names of all"""

ARTIFICIAL = tuple(name for name, header in OF_CELLS.items() if header.kind == "ARTIFICIAL_CELL")
"""cells that events may go to"""
