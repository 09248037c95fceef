"""Names that NMODL, hoc and C++ accept: ids from a document never reach generated text as they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

# NMODL keywords and block names, functions, NEURON's own variables, C++ keywords and macros that would clash
_RESERVED = set(
    """
    v t dt celsius diam area e i ina ik ica cai cao nai nao ki ko ena ek eca E PI F R FARADAY
    rng flag w weight states look rates heaviside factorial_of nseg L Ra cm secondorder second_order
    sin cos tan sinh cosh tanh exp log log10 sqrt fabs abs ceil floor pow fmod min max random factorial
    if else while for from to return VERBATIM LOCAL SOLVE METHOD STATE INITIAL BREAKPOINT NEURON UNITS PARAMETER
    ASSIGNED KINETIC DERIVATIVE PROCEDURE FUNCTION NET_RECEIVE CONDUCTANCE WATCH TABLE DEPEND DEFINE INCLUDE BEFORE
    AFTER COMPARTMENT CONSERVE STEADYSTATE LINEAR NONLINEAR DISCRETE CONSTRUCTOR DESTRUCTOR CONSTANT INDEPENDENT SWEEP
    PLOT WITH RESET MATCH EQUATION TERMINAL PUT GET FORALL FUNCTION_TABLE LON LONGITUDINAL_DIFFUSION RANDOM SUFFIX
    GLOBAL RANGE int double float char void bool auto const static struct class public private namespace template this
    new delete operator switch case default break continue do goto sizeof typedef union enum extern inline register
    volatile signed unsigned short long true false using virtual friend try catch throw and or not xor asm mutable
    explicit y J I j jn yn y1 j1 gamma _t _v nan inf new hoc_exp net_send net_event net_move at_time state_discontinuity
    scop_random printf
    """.split()
)
# what the compiler itself adds to a mechanism
_OWN = re.compile(r"(late|drive|now|was|jump|slope)_|v_before|v_hold|i_m|(sent|due|fired)_\d+")
_UNSAFE = re.compile(r"[^A-Za-z0-9_]")


def safe(text: str, taken: Iterable[str] = (), limit: int = 48) -> str:
    """A name of letters, digits and underscores that starts with a letter, is not reserved and not in ``taken``."""
    name = _UNSAFE.sub("_", text) or "x"
    if not name[0].isalpha():
        name = "x" + name
    if len(name) > limit:
        name = name[: limit - 9] + "_" + hashlib.sha256(text.encode()).hexdigest()[:8]
    # A trailing zero would be the start value NMODL declares by itself for a state (m0 for m)
    while name in _RESERVED or name.endswith("0") or name in taken or _OWN.fullmatch(name):
        name += "_"
    return name


def mangle(names: Iterable[str]) -> dict[str, str]:
    """Distinct safe names for all ``names``, in order."""
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        result[name] = safe(name, taken)
        taken.add(result[name])
    return result
