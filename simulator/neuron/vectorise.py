"""Translated mechanisms whose loops over instances a compiler can turn into vector instructions.

NEURON 9 keeps each variable of a mechanism in one array, but what its translator writes is compiled to one instance at
a time, for two reasons: the compiler cannot know that two instances do not share memory, and each ``exp`` is a call of
a function. Here the loops over instances get a pragma that says the first, and ``exp`` becomes arithmetic that can be
inlined. Nothing else is assumed: additions keep their order, infinities and NaN their meaning. Since no operation is
contracted except where it is written, an instance's result does not depend on whether it was computed in a vector or
in the rest of a loop, so not on how instances are spread over processes either.

A loop that does more than arithmetic (events, tables, tests that end it) is compiled as before.

While ``stepping`` takes whole steps, the loop over currents adds the conductances to the matrix too, for which NEURON
has a second one; and each function keeps where its variables are, which do not move in that time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

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

EACH = """
#if defined(__clang__)
#define NMLB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define NMLB_INDEPENDENT _Pragma("GCC ivdep")
#endif
namespace nmlb {
// Do something with each of some nodes, given its place and its number. Numbers often follow each other, and then
// vectors need not be put together one by one.
constexpr int BLOCK = 16;

template <typename Action>
static inline void each(int count, int const* nodes, Action action) {
    int i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        int const first = nodes[i];
        int others = 0;
        for (int k = 0; k < BLOCK; ++k) others |= nodes[i + k] - first - k;
        if (others) {
            NMLB_INDEPENDENT
            for (int k = 0; k < BLOCK; ++k) action(i + k, nodes[i + k]);
        } else {
            NMLB_INDEPENDENT
            for (int k = 0; k < BLOCK; ++k) action(i + k, first + k);
        }
    }
    NMLB_INDEPENDENT
    for (int k = i; k < count; ++k) action(k, nodes[k]);
}
}  // namespace nmlb
"""

EDITION = 4
"""counts the changes of what this module makes, so that a cache gives nothing that was compiled before them"""

_INDEPENDENT = """
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#else
#pragma GCC ivdep
#endif
for (size_t _iml = 0;"""

_STEPPING = """
extern "C" long nmlb_stepping __attribute__((weak));  // which call of stepping's it is, 0 at other times
static NMLB_INLINE long nmlb_call() { return &nmlb_stepping ? nmlb_stepping : 0; }
static inline double* nmlb_elsewhere(size_t nodes) {
    static thread_local std::vector<double> unread;
    if (unread.size() < nodes) unread.resize(nodes);
    return unread.data();
}
"""

_RANGE = "\n_nrn_mechanism_cache_range _lmr{_sorted_token, *_nt, *_ml_arg, _type};\n"
_KEPT = """
long const _call = nmlb_call();
auto const _places = [&] { return _nrn_mechanism_cache_range{_sorted_token, *_nt, *_ml_arg, _type}; };
static long _kept_call = 0;
static _nrn_mechanism_cache_range _kept = _places();
_nrn_mechanism_cache_range _lmr = _call && _kept_call == _call ? _kept : _places();
if (_call && _kept_call != _call) { _kept = _lmr; _kept_call = _call; }
"""

_CURRENT, _SLOPE = "_vec_rhs[_ni[_iml]] -= _rhs;", "_vec_d[_ni[_iml]] += _g;"

_AFTER_MACROS = "#define nrn_init "  # the translator's first name of its own, after its own definition of exp


def vectorised(source: str) -> str:
    """The translator's output, made to vectorise; unchanged where it does not look as expected."""
    head, found, body = source.partition(_AFTER_MACROS)
    if not found or "#define exp hoc_Exp" not in head:
        return source
    if "\nstatic size_t _iml" in source:
        # not thread-safe: one counter for the file, which its functions read, so that no loop may have its own
        return source
    body = _with_slopes(body)
    density = "register_mech(" in body and "point_register_mech(" not in body
    for name in ("nrn_state", "nrn_cur", "nrn_jacob"):
        body = _changed(name, body, _kept)
        if density or name == "nrn_state":  # point processes of one segment add to the same node, one after the other
            body = _changed(name, body, _independent)
    return head + EXP + _STEPPING + _AFTER_MACROS + body


def _found(function: str, text: str) -> re.Match[str] | None:
    """A function of the translator's, unless it holds code of the model's own."""
    defined = re.search(
        rf"static void {function}\(_nrn_model_sorted_token const& _sorted_token.*?\n}}\n", text, re.DOTALL
    )
    return None if defined is None or "VERBATIM" in defined.group(0) else defined


def _changed(function: str, text: str, change: Callable[[str], str]) -> str:
    """The text with one function changed, where it has it."""
    found = _found(function, text)
    return text if found is None else text[: found.start()] + change(found.group(0)) + text[found.end() :]


def _independent(function: str) -> str:
    """Say of the loop over instances that its turns do not depend on each other."""
    return re.sub(r"\nfor \((?:size_t )?_iml = 0;", _INDEPENDENT, function, count=1)


def _kept(function: str) -> str:
    """Look for the places of variables once in a call of stepping's."""
    return function.replace(_RANGE, _KEPT, 1)


def _with_slopes(text: str) -> str:
    """While stepping, have the loop over currents add their slopes to the matrix, and leave out the loop for these."""
    current, slope = _found("nrn_cur", text), _found("nrn_jacob", text)
    if current is None or slope is None:
        return text
    if current.group(0).count(_CURRENT) != 1 or slope.group(0).count(_SLOPE) != 1:
        return text
    if re.search(r"_sav_(?:rhs|d)\[|#if", current.group(0) + slope.group(0)):
        return text  # an electrode's, which is part of more
    text = _changed("nrn_cur", text, _adding_slopes)
    return _changed("nrn_jacob", text, lambda function: function.replace(_RANGE, f"\nif (nmlb_call()) return;{_RANGE}"))


def _adding_slopes(function: str) -> str:
    # at other times they are added to numbers that nobody reads, so that there is one loop
    where = "auto const _vec_d = nmlb_call() ? _nt->node_d_storage() : nmlb_elsewhere(_nt->end);"
    function = function.replace(_RANGE, f"{_RANGE}{where}\n", 1)
    return function.replace(_CURRENT, f"{_CURRENT}\n{_SLOPE}", 1)
