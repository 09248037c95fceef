"""Reactions and diffusion on this rank, by NEURON's rxd. Formulas are trees that are walked; nothing runs text.

https://nrn.readthedocs.io/en/latest/python/modelspec/programmatic/rxd.html
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import SimulatorError
from ...graph.chemistry import VOLTAGE, parse
from ...lems.expression import Apply, Bin, Call, Cmp, Expr, Name, Neg, Num
from .shape import define_shape

if TYPE_CHECKING:
    from .build import Network

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

_SCALES = {"species": 1e-4, "state": 1e-2, "parameter": 1.0}  # mM, 1: of cvode's tolerance, as in nmodl


class Chemistry:
    """What "rxd" of a Program says, made when the cells of this rank are there."""

    def __init__(self, network: Network, spec: Mapping[str, Any]) -> None:
        from neuron import rxd

        self.network, self.rxd, self.spec = network, rxd, spec
        self.constants: Mapping[str, float] = spec["constants"]
        self.kept: list[Any] = []
        if any(region.get("box") is not None for region in spec["regions"]):
            define_shape(network)  # before rxd does it, which does not see the other ranks
        self.regions = {region["name"]: self._region(region) for region in spec["regions"]}
        self.species = {one["name"]: self._species(one) for one in spec["species"]}
        for reaction in spec["reactions"]:
            try:
                self.kept.append(self._reaction(reaction))
            except (rxd.RxDException, TypeError, AttributeError, KeyError) as fault:
                raise SimulatorError(f"rxd.reactions.{reaction['name']}: NEURON does not take it: {fault}") from fault

        for one in self.species.values():
            _ = one.nodes  # sets up the space outside, which all ranks must do together

    def _region(self, spec: Mapping[str, Any]) -> Any:
        rxd = self.rxd
        if spec.get("box") is not None:
            dx = spec["dx"]
            return rxd.Extracellular(
                *spec["box"], dx=tuple(dx) if isinstance(dx, list) else dx, volume_fraction=spec["volume_fraction"],
                tortuosity=spec["tortuosity"],
            )  # fmt: skip
        gids = self.network.program.column(spec["gid"])
        sections = self.network.program.column(spec["section"])
        mine = [
            self.network.cells[gid].sections[section]
            for gid, section in zip(gids.tolist(), sections.tolist(), strict=True)
            if gid in self.network.cells
        ]
        geometry = getattr(rxd, spec["geometry"])
        if spec["geometry"] not in ("inside", "membrane"):
            geometry = geometry(**spec["numbers"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a rank that has no cell of the region
            return rxd.Region(mine, name=spec["name"], nrn_region=spec["side"], geometry=geometry)

    def _species(self, spec: Mapping[str, Any]) -> Any:
        rxd = self.rxd
        kind = {"species": rxd.Species, "state": rxd.State, "parameter": rxd.Parameter}[spec["kind"]]
        scale = _SCALES[spec["kind"]] if spec["scale"] is None else spec["scale"]
        more: dict[str, Any] = {"charge": spec["charge"], "initial": self._initial(spec["initial"])}
        if spec["kind"] != "parameter":
            more["atolscale"] = scale
        if spec["kind"] == "species":
            d = spec["d"]
            more |= {"d": tuple(d) if isinstance(d, list) else d,
                     "ecs_boundary_conditions": spec["boundary"]}  # fmt: skip
        try:
            return kind([self.regions[name] for name in spec["regions"]], name=spec["name"], **more)
        except (rxd.RxDException, TypeError) as fault:
            raise SimulatorError(f"rxd.species.{spec['name']}: NEURON does not take it: {fault}") from fault

    def _initial(self, given: Any) -> Any:
        if given is None or isinstance(given, (int, float)):
            return given
        by_region = given if isinstance(given, dict) else {"": given}
        trees = {name: parse(value) for name, value in by_region.items()}
        names = {id(region): name for name, region in self.regions.items()}

        def value(node: Any) -> float:
            name = names.get(id(node.region), "")
            tree = trees.get(name, trees.get(""))
            if tree is None:
                raise SimulatorError(f"rxd: there is no initial value in region '{name}'")
            return float(_number(tree, lambda id: self._of_node(node, id)))

        return value

    def _of_node(self, node: Any, name: str) -> float:
        if name in self.constants:
            return self.constants[name]
        if name in ("x", "y", "z"):
            return float(getattr(node, f"{name}3d"))
        segment = node.segment
        return float(segment.diam if name == "diam" else self.network.h.distance(_root(segment.sec)(0), segment))

    def _reaction(self, spec: Mapping[str, Any]) -> Any:
        rxd = self.rxd
        regions = None if spec["regions"] is None else [self.regions[name] for name in spec["regions"]]
        left, forward = self._value(spec["left"]), self._value(spec["forward"])
        if spec["kind"] == "rate":
            return rxd.Rate(left, forward, regions=regions, membrane_flux=spec["membrane_flux"])
        more = [] if spec["backward"] is None else [self._value(spec["backward"])]
        named: dict[str, Any] = {"custom_dynamics": spec["custom"], "membrane_flux": spec["membrane_flux"]}
        if spec["kind"] == "multicompartment":
            named |= {"membrane": self.regions[spec["membrane"]], "scale_by_area": spec["by_area"]}
            return rxd.MultiCompartmentReaction(left, self._value(spec["right"]), forward, *more, **named)
        del named["membrane_flux"]
        return rxd.Reaction(left, self._value(spec["right"]), forward, *more, regions=regions, **named)

    def _value(self, text: str | float) -> Any:
        return text if isinstance(text, (int, float)) else self._tree(parse(text))

    def _tree(self, expr: Expr) -> Any:
        """What NEURON makes of a formula: a number, or an object of rxd."""
        if isinstance(expr, Num):
            return expr.value
        if isinstance(expr, Neg):
            return -self._tree(expr.arg)
        if isinstance(expr, Name):
            if expr.id in self.species:
                return self.species[expr.id]
            return self.rxd.v if expr.id == VOLTAGE and expr.id not in self.constants else self.constants[expr.id]
        if isinstance(expr, Bin):
            left, right = self._tree(expr.left), self._tree(expr.right)
            whole = expr.op == "*" and isinstance(left, float) and left.is_integer()
            return _OPERATORS[expr.op](int(left) if whole else left, right)  # the numbers of molecules are whole
        if isinstance(expr, Apply) and expr.function == "in":
            of, where = (part.id for part in expr.args if isinstance(part, Name))
            return self.species[of][self.regions[where]]
        if isinstance(expr, Apply):
            return getattr(self.rxd.rxdmath, expr.function)(*(self._tree(part) for part in expr.args))
        raise SimulatorError(f"a rate cannot hold '{type(expr).__name__}'")

    def pointer(self, place: Mapping[str, Any]) -> Any:
        """The concentration of a species at a place that is recorded."""
        one = self.species[place["species"]][self.regions[place["region"]]]
        if "at" in place:
            return one.node_by_location(*place["at"])._ref_value
        segment = self.network.cells[place["gid"]].sections[place["section"]](place["x"])
        nodes = one.nodes(segment)
        if not len(nodes):
            raise LookupError
        return nodes[0]._ref_concentration


def _root(section: Any) -> Any:
    while section.parentseg() is not None:
        section = section.parentseg().sec
    return section


def _number(expr: Expr, named: Callable[[str], float]) -> float:
    """The value of an initial formula."""
    import math

    if isinstance(expr, Num):
        return expr.value
    if isinstance(expr, Name):
        return named(expr.id)
    if isinstance(expr, Neg):
        return -_number(expr.arg, named)
    if isinstance(expr, (Bin, Cmp)):
        return float(_OPERATORS[expr.op](_number(expr.left, named), _number(expr.right, named)))
    if isinstance(expr, Apply) and expr.function == "if":
        return _number(expr.args[1 if _number(expr.args[0], named) else 2], named)
    if isinstance(expr, Apply):
        return float(getattr(math, expr.function)(*(_number(part, named) for part in expr.args)))
    assert not isinstance(expr, Call)
    raise SimulatorError(f"an initial value cannot hold '{type(expr).__name__}'")
