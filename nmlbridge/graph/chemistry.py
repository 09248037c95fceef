"""Formulas of reactions: rates and sides of reactions, in the LEMS grammar with species of regions, ``ca[cyt]``.

They are read here and never run as text: who simulates them walks the tree.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..errors import LemsError
from ..lems.expression import Apply, Cmp, Expr, Name, Parser, operands
from ..units import nearest

FUNCTIONS = frozenset(
    "exp log log10 sqrt sin cos tan sinh cosh tanh asin acos atan fabs ceil floor erf erfc expm1 log1p pow fmod "
    "atan2 vtrap".split()
)
"""of rates; each is a function of NEURON's rxdmath"""
_TWO = frozenset({"pow", "fmod", "atan2", "vtrap"})
_ALIASES = {"ln": "log", "abs": "fabs"}
VOLTAGE = "v"
"""the membrane potential (mV), in rates"""
OF_NODE = ("x", "y", "z", "path_dist", "diam")
"""what an initial value may vary with: the place (um), the path from the root (um), the diameter (um)"""


class _Parser(Parser):
    token = re.compile(
        r"\s*(?:(?P<dot>\.(?:gt|lt|geq|leq|ge|le|eq|neq|ne|and|or)\.)"
        r"|(?P<num>(?:\d+\.(?![a-z]{2,3}\.)\d*|\d+|\.\d+)(?:[eE][+-]?\d+)?)"
        r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
        r"|(?P<op>\*\*|[<>]=?|[=!]=|[-+*/^(),]|\[|\]))"
    )
    level_of = {**Parser.level_of, "**": Parser.level_of["^"],
                **dict.fromkeys(("<", ">", "<=", ">=", "==", "!="), Parser.level_of[".lt."])}  # fmt: skip

    def join(self, op: str, left: Expr, right: Expr) -> Expr:
        if op in ("<", ">", "<=", ">=", "==", "!="):
            return Cmp(op, left, right)
        return super().join("^" if op == "**" else op, left, right)

    def atom(self) -> Expr:
        kind, value, _ = self.tokens[self.at]
        following = self.tokens[self.at + 1][1] if kind == "name" else ""
        if following == "[":
            self.at += 2
            kind, region, _ = self.tokens[self.at]
            if kind != "name" or self.tokens[self.at + 1][1] != "]":
                self.fail("expected the name of a region in brackets, as in ca[cyt]")
            self.at += 2
            return Apply("in", (Name(value), Name(region)))
        if following == "(":
            return self.call(_ALIASES.get(value, value))
        return super().atom()

    def call(self, name: str) -> Expr:
        if name not in FUNCTIONS and name != "if":
            self.fail(f"'{name}' is no function{nearest(name, [*FUNCTIONS, 'if'])}")
        self.at += 2
        arguments = self.arguments()
        wanted = 3 if name == "if" else 2 if name in _TWO else 1
        if len(arguments) != wanted:
            self.fail(f"{name} has {len(arguments)} arguments; expected {wanted}")
        self.at += 1
        return Apply(name, tuple(arguments))


def parse(text: str | float) -> Expr:
    """Read a rate, a side of a reaction, or an initial value. Raises LemsError that names the spot."""
    return _Parser(text if isinstance(text, str) else repr(float(text))).whole()


def check_rate(expr: Expr, species: Collection[str], regions: Collection[str], constants: Collection[str]) -> None:
    """Raises LemsError for a name that is not known, or for what a rate cannot hold."""
    if isinstance(expr, Apply) and expr.function == "in":
        of, where = expr.args
        assert isinstance(of, Name) and isinstance(where, Name)
        if of.id not in species:
            raise LemsError(f"'{of.id}' is no species{nearest(of.id, species) or _are(species)}")
        if where.id not in regions:
            raise LemsError(f"'{where.id}' is no region{nearest(where.id, regions) or _are(regions)}")
        return
    if isinstance(expr, Name):
        known = (*species, *constants, VOLTAGE)
        if expr.id not in known:
            raise LemsError(f"'{expr.id}' is not known here{nearest(expr.id, known) or _are(known)}")
    if isinstance(expr, Cmp) or (isinstance(expr, Apply) and expr.function == "if"):
        raise LemsError("a rate cannot hold comparisons; smooth functions such as 1 / (1 + (k / ca)^4) can")
    for part in operands(expr):
        check_rate(part, species, regions, constants)


def check_initial(expr: Expr, constants: Collection[str]) -> None:
    """Raises LemsError for a name that an initial value cannot depend on."""
    if isinstance(expr, Apply) and expr.function == "in":
        raise LemsError("an initial value cannot depend on species")
    if isinstance(expr, Name):
        known = (*OF_NODE, *constants)
        if expr.id not in known:
            raise LemsError(f"'{expr.id}' is not known here{nearest(expr.id, known) or _are(known)}")
    for part in operands(expr):
        check_initial(part, constants)


def _are(known: Collection[str]) -> str:
    return f"; there are {', '.join(known) or 'none'}"
