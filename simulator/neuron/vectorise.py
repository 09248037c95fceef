"""Translated mechanisms whose loops over instances a compiler can turn into vector instructions.

NEURON 9 keeps each variable of a mechanism in one array, but what its translator writes is compiled to one instance at
a time, for two reasons: the compiler cannot know that two instances do not share memory, and each ``exp`` is a call of
a function. Here the loops over instances get a pragma that says the first, and ``exp`` becomes arithmetic that can be
inlined. Nothing else is assumed: additions keep their order, infinities and NaN their meaning. Since no operation is
contracted except where it is written, an instance's result does not depend on whether it was computed in a vector or
in the rest of a loop, so not on how instances are spread over processes either.

A loop that does more than arithmetic (events, tables, tests that end it) is compiled as before.
"""

from __future__ import annotations

import re

FLAGS = (
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
)
"""Of the compiler: tests may be computed on both sides and selected; nothing reads errno or floating-point traps."""

# exp(x) = 2^k exp(r), |r| <= ln(2)/2, by the Taylor series to r^13 (remainder 4e-18); the sum k + 1.5 * 2^52 has k in
# its last bits. Within 1 unit in the last place of the exact value between -700 and 700. Beyond, as NEURON's hoc_Exp:
# 0, and exp(700).
EXP = """
#include <cstdint>
#include <cstring>
#undef exp
#define NMLB_INLINE inline __attribute__((always_inline))
static NMLB_INLINE double nmlb_fma(double a, double b, double c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}
static NMLB_INLINE double nmlb_exp(double x) {
    double y = x < 700.0 ? x : 700.0;
    y = y > -700.0 ? y : -700.0;
    double const shifted = nmlb_fma(y, 0x1.71547652b82fep+0, 0x1.8p52);
    double const k = shifted - 0x1.8p52;
    double const r = nmlb_fma(k, -0x1.abc9e3b39803fp-56, nmlb_fma(k, -0x1.62e42fefa39efp-1, y));
    double p = 0x1.6124613a86d09p-33;
    p = nmlb_fma(p, r, 0x1.1eed8eff8d898p-29);
    p = nmlb_fma(p, r, 0x1.ae64567f544e4p-26);
    p = nmlb_fma(p, r, 0x1.27e4fb7789f5cp-22);
    p = nmlb_fma(p, r, 0x1.71de3a556c734p-19);
    p = nmlb_fma(p, r, 0x1.a01a01a01a01ap-16);
    p = nmlb_fma(p, r, 0x1.a01a01a01a01ap-13);
    p = nmlb_fma(p, r, 0x1.6c16c16c16c17p-10);
    p = nmlb_fma(p, r, 0x1.1111111111111p-7);
    p = nmlb_fma(p, r, 0x1.5555555555555p-5);
    p = nmlb_fma(p, r, 0x1.5555555555555p-3);
    p = nmlb_fma(p, r, 0.5);
    p = nmlb_fma(p, r, 1.0);
    p = nmlb_fma(p, r, 1.0);
    std::uint64_t bits, scale;
    std::memcpy(&bits, &p, 8);
    std::memcpy(&scale, &shifted, 8);
    bits += scale << 52;
    std::memcpy(&p, &bits, 8);
    return x >= -700.0 ? p : (x < -700.0 ? 0.0 : x);
}
#define exp nmlb_exp
"""

EDITION = 2
"""counts the changes of what this module makes, so that a cache gives nothing that was compiled before them"""

_INDEPENDENT = """
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#else
#pragma GCC ivdep
#endif
for (size_t _iml = 0;"""

_AFTER_MACROS = "#define nrn_init "  # the translator's first name of its own, after its own definition of exp


def vectorised(source: str) -> str:
    """The translator's output, made to vectorise; unchanged where it does not look as expected."""
    head, found, body = source.partition(_AFTER_MACROS)
    if not found or "#define exp hoc_Exp" not in head:
        return source
    if "\nstatic size_t _iml" in source:
        # not thread-safe: one counter for the file, which its functions read, so that no loop may have its own
        return source
    density = "register_mech(" in body and "point_register_mech(" not in body
    # point processes of one segment add to the same node, so their currents cannot be added in one go
    loops = ("nrn_state", "nrn_cur", "nrn_jacob") if density else ("nrn_state",)
    for name in loops:
        body = _independent(name, body)
    return head + EXP + _AFTER_MACROS + body


def _independent(function: str, text: str) -> str:
    """Say of the loop over instances in a function that its turns do not depend on each other."""
    defined = re.search(
        rf"static void {function}\(_nrn_model_sorted_token const& _sorted_token.*?\n}}\n", text, re.DOTALL
    )
    if defined is None or "VERBATIM" in defined.group(0):
        return text
    changed = re.sub(r"\nfor \((?:size_t )?_iml = 0;", _INDEPENDENT, defined.group(0), count=1)
    return text[: defined.start()] + changed + text[defined.end() :]
