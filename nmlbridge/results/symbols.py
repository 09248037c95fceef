"""From the unit symbols of other people's files to SI and back."""

from __future__ import annotations

_SI = {
    "V": ("V", 1.0), "volt": ("V", 1.0), "volts": ("V", 1.0), "mV": ("V", 1e-3), "uV": ("V", 1e-6), "µV": ("V", 1e-6),
    "A": ("A", 1.0), "ampere": ("A", 1.0), "amperes": ("A", 1.0), "mA": ("A", 1e-3), "uA": ("A", 1e-6),
    "nA": ("A", 1e-9), "pA": ("A", 1e-12), "S": ("S", 1.0), "siemens": ("S", 1.0), "mS": ("S", 1e-3),
    "uS": ("S", 1e-6), "nS": ("S", 1e-9), "pS": ("S", 1e-12), "s": ("s", 1.0), "seconds": ("s", 1.0),
    "second": ("s", 1.0), "ms": ("s", 1e-3), "us": ("s", 1e-6), "mol_per_m3": ("mol/m3", 1.0),
    "mol/m3": ("mol/m3", 1.0), "mM": ("mol/m3", 1.0), "uM": ("mol/m3", 1e-3), "nM": ("mol/m3", 1e-6),
    "M": ("mol/m3", 1e3), "Hz": ("Hz", 1.0), "per_s": ("Hz", 1.0), "kHz": ("Hz", 1e3), "": ("", 1.0),
    "1": ("", 1.0), "dimensionless": ("", 1.0), "n/a": ("", 1.0), "mA/cm2": ("A/m2", 10.0),
    "A/m2": ("A/m2", 1.0), "S/m2": ("S/m2", 1.0), "S/cm2": ("S/m2", 1e4), "degC": ("degC", 1.0),
    "K": ("K", 1.0), "m": ("m", 1.0), "um": ("m", 1e-6),
}  # fmt: skip
NEURON = {"V": ("mV", 1e3), "A": ("nA", 1e9), "S": ("uS", 1e6), "s": ("ms", 1e3), "mol/m3": ("mM", 1.0),
          "A/m2": ("mA/cm2", 0.1), "S/m2": ("S/cm2", 1e-4)}  # fmt: skip
"""The units that NEURON's people write, and the number of them in one of SI."""


def to_si(symbol: str) -> tuple[str, float]:
    """(SI symbol, factor) of a unit; a symbol that is not known is taken as it is."""
    return _SI.get(symbol.strip(), (symbol.strip(), 1.0))


def known(symbol: str) -> bool:
    """Whether a unit's symbol is known."""
    return symbol.strip() in _SI
