"""Library: the dimensions, units, constants and ComponentTypes that a model may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import DecimalException

from ..element import Element
from ..errors import LemsError
from ..report import Report
from ..units import NONE, Dimension, Unit, nearest, parse_quantity, split_quantity
from .content import note_unknown
from .dynamics import attribute
from .types import ComponentType, read_type

_EXPONENTS = ("m", "l", "t", "i", "k", "n", "j")


@dataclass(frozen=True, slots=True)
class Value:
    """A number in SI with its dimension."""

    value: float
    dimension: Dimension


class Library:
    """Dimensions, units, constants and types by name; ``extended`` gives a larger one and leaves this one as it is.

    Types are built from their elements when they are first asked for.
    """

    def __init__(self, elements: Iterable[Element] = (), report: Report | None = None) -> None:
        self._dimensions: dict[str, Dimension] = {"none": NONE}
        self._units: dict[str, Unit] = {}
        self._constants: dict[str, Value] = {}
        self._elements: dict[str, Element] = {}
        self._types: dict[str, ComponentType] = {}
        self._names: dict[Dimension, str] = {}
        self._quantities: dict[str, tuple[float, Dimension]] = {}
        self._add(elements, report, frozenset())

    def extended(self, elements: Iterable[Element], report: Report | None = None) -> Library:
        """A library with the Dimensions, Units, Constants and ComponentTypes among ``elements`` added.

        A type may stand twice if both say the same. A type of the document replaces one of this library, which the
        report notes. Raises LemsError, with both places, where the document defines a name twice.
        """
        larger = Library()
        larger._dimensions.update(self._dimensions)
        larger._units.update(self._units)
        larger._constants.update(self._constants)
        larger._elements.update(self._elements)
        larger._add(elements, report, frozenset(self._elements))
        return larger

    def _add(self, elements: Iterable[Element], report: Report | None, inherited: frozenset[str]) -> None:
        groups: dict[str, list[Element]] = {"Dimension": [], "Unit": [], "Constant": [], "ComponentType": []}
        for element in elements:
            if element.tag in groups:
                groups[element.tag].append(element)
        for element in groups["Dimension"]:
            name, dimension = attribute(element, "name"), _dimension(element)
            if self._dimensions.setdefault(name, dimension) != dimension:
                raise _placed(element, f"the dimension '{name}' is defined twice, as {self._dimensions[name]} "
                              f"and as {dimension}; give one of them another name")  # fmt: skip
        for element in groups["Unit"]:
            symbol, unit = attribute(element, "symbol"), self._unit(element)
            if self._units.setdefault(symbol, unit) != unit:
                raise _placed(element, f"the unit '{symbol}' is defined twice and differently; "
                              "give one of them another symbol")  # fmt: skip
        for element in groups["Constant"]:
            # LEMS knows a global constant by its symbol; its name may be words
            name = element.get("symbol") or attribute(element, "name")
            self._constants[name] = self._constant(element)
        own: dict[str, Element] = {}
        for element in groups["ComponentType"]:
            name = attribute(element, "name")
            before = own.get(name) or (self._elements.get(name) if name in inherited else None)
            own.setdefault(name, element)
            if before is None or same(before, element):
                continue
            if before is not self._elements.get(name):
                raise _placed(element, f"the ComponentType '{name}' is defined twice, also at "
                              f"{before.file}:{before.line}; rename or remove one")  # fmt: skip
            if report is not None:
                report.add(
                    "core-type-replaced",
                    "info",
                    f"the ComponentType '{name}' replaces the one of {before.file}",
                    file=element.file,
                    line=element.line,
                )
        for name, element in own.items():
            if name not in self._elements or not same(self._elements[name], element):
                self._elements[name] = element
                if report is not None:
                    note_unknown(element, report)

    def _unit(self, element: Element) -> Unit:
        try:
            return Unit(
                attribute(element, "symbol"),
                self.dimension(attribute(element, "dimension")),
                int(element.get("power") or 0),
                float(element.get("scale") or 1.0),
                float(element.get("offset") or 0.0),
            )
        except (ValueError, DecimalException):
            raise _placed(
                element, f"the unit '{element.get('symbol')}' needs a whole power and numbers for scale and offset"
            ) from None
        except LemsError as error:
            raise _placed(element, error.message) from None

    def _constant(self, element: Element) -> Value:
        try:
            dimension = self.dimension(element.get("dimension") or "none")
            return Value(self.constant(attribute(element, "value"), dimension), dimension)
        except LemsError as error:
            raise _placed(element, error.message) from None

    @property
    def dimensions(self) -> Mapping[str, Dimension]:
        """Dimensions by name."""
        return self._dimensions

    @property
    def units(self) -> Mapping[str, Unit]:
        """Units by symbol."""
        return self._units

    @property
    def constants(self) -> Mapping[str, Value]:
        """Global constants by name."""
        return self._constants

    @property
    def type_names(self) -> tuple[str, ...]:
        """The names of all ComponentTypes."""
        return tuple(self._elements)

    def has_type(self, name: str) -> bool:
        """Whether there is a ComponentType of this name."""
        return name in self._elements

    def type(self, name: str) -> ComponentType:
        """The ComponentType ``name``, with all that it inherits.

        Raises LemsError if there is none (with the nearest names), if it extends one that does not exist, or itself.
        """
        found = self._types.get(name)
        return found if found is not None else self._build(name)

    def _build(self, name: str) -> ComponentType:
        chain: list[Element] = []
        base: ComponentType | None = None
        at: str | None = name
        while at is not None:
            base = self._types.get(at)
            if base is not None:
                break
            element = self._elements.get(at)
            if element is None:
                message = f"unknown ComponentType '{at}'{nearest(at, self._elements)}"
                if not chain:
                    raise LemsError(message)
                raise _placed(chain[-1], f"the ComponentType '{chain[-1].get('name')}' extends an {message}")
            if element in chain:
                circle = " extends ".join(str(e.get("name")) for e in [*chain[chain.index(element) :], element])
                raise _placed(element, f"ComponentTypes extend each other in a circle: {circle}")
            chain.append(element)
            at = element.get("extends")
        for element in reversed(chain):
            base = read_type(element, base)
            self._types[base.name] = base
        assert base is not None
        return base

    def dimension(self, name: str) -> Dimension:
        """The dimension ``name``; LemsError with the nearest names if there is none."""
        try:
            return self._dimensions[name]
        except KeyError:
            raise LemsError(f"unknown dimension '{name}'{nearest(name, self._dimensions)}") from None

    def dimension_name(self, dimension: Dimension) -> str:
        """A name for people: 'voltage', or the exponents where the library has no name."""
        if not self._names:
            for name, known in self._dimensions.items():
                self._names.setdefault(known, name)
        return self._names.get(dimension, str(dimension))

    def quantity(self, text: str) -> tuple[float, Dimension]:
        """Read a quantity: SI value and dimension; LemsError as in ``units.parse_quantity``."""
        found = self._quantities.get(text)
        if found is None:
            found = parse_quantity(text, self._units)
            if len(self._quantities) < 10_000:
                self._quantities[text] = found
        return found

    def constant(self, text: str, dimension: Dimension | None) -> float:
        """As ``convert``, for the value of a Constant: without a unit it is in SI, as jLEMS takes it."""
        return self.convert(text, dimension if split_quantity(text)[1] else None)

    def convert(self, text: str, dimension: Dimension | None) -> float:
        """Read a quantity that must have this dimension (any, if None), in SI; a bare 0 fits everywhere.

        Raises LemsError that says what was found and which units would do.
        """
        value, found = self.quantity(text)
        if dimension is None or found == dimension or (value == 0 and not split_quantity(text)[1]):
            return value
        fitting = [unit.symbol for unit in self._units.values() if unit.dimension == dimension]
        units = f"in {', '.join(fitting[:4])}, ..." if fitting else "no Unit is of it"
        expected = f"a {self.dimension_name(dimension)} ({units})"
        if not split_quantity(text)[1]:
            raise LemsError(f"'{text}' has no unit; expected {expected}")
        wanted = "a plain number" if dimension.dimensionless else expected
        raise LemsError(f"'{text}' is a {self.dimension_name(found)}; expected {wanted}")


def same(one: Element, two: Element) -> bool:
    """Whether two elements say the same: tags, attributes and children; descriptions, texts and places aside."""
    pairs = [(one, two)]
    while pairs:
        one, two = pairs.pop()
        if one is two:
            continue
        if one.tag != two.tag or len(one.children) != len(two.children):
            return False
        left = {k: v for k, v in one.attributes.items() if k != "description"}
        right = {k: v for k, v in two.attributes.items() if k != "description"}
        if left != right:
            return False
        pairs += zip(one.children, two.children, strict=True)
    return True


def _dimension(element: Element) -> Dimension:
    try:
        return Dimension(*(int(element.get(base) or 0) for base in _EXPONENTS))
    except ValueError:
        raise _placed(element, f"the dimension '{element.get('name')}' needs whole numbers as exponents") from None


def _placed(element: Element, message: str) -> LemsError:
    return LemsError(message, file=element.file, line=element.line)
