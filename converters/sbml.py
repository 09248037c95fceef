"""SBML in, as a ComponentType of LEMS without dimensions, a component and a Simulation. https://sbml.org

What is read: compartments of constant size, species (as concentration or amount, as SBML says), parameters, reactions,
rate and assignment rules, initial assignments, function definitions and events without delay. Time is in s; numbers
keep the unit that they have in the file.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ..element import Element
from ..errors import DocumentError, UnsupportedError
from ..extras import require
from ..graph import Network
from ..lems.evaluate import evaluate
from ..lems.expression import FUNCTIONS, Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, names, to_text
from ..report import Report

DURATION, STEPS = 100.0, 10000
"""how long a model runs, in its own unit of time: SBML does not say"""
_DEEPEST = 1000
_INVERSE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}
_RESERVED = {*FUNCTIONS, "t", "TIME_UNIT", "id", "type"}


def read(path: Path, report: Report | None = None) -> Network:
    """A Network without populations that holds the model; UnsupportedError for what LEMS does not express."""
    report = report if report is not None else Report()
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    content = path.read_bytes()
    if b"<sbml" not in content and b":sbml" not in content:
        raise DocumentError("there is no element <sbml> in it", file=str(path))
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DocumentError("a DOCTYPE is not read: it could name other files", file=str(path))
    _not_too_deep(content, path)
    sbml = require("libsbml", "sbml", "reading SBML")
    document = sbml.readSBMLFromString(content.decode("utf-8", errors="replace"))
    for number in range(document.getNumErrors()):
        fault = document.getError(number)
        if fault.getSeverity() >= sbml.LIBSBML_SEV_ERROR:
            raise DocumentError(" ".join(fault.getMessage().split()), file=str(path), line=fault.getLine() or None)
    for name in ("promoteLocalParameters", "expandFunctionDefinitions"):
        properties = sbml.ConversionProperties()
        properties.addOption(name, True)
        document.convert(properties)
    if document.getModel() is None:
        raise DocumentError("the file has no model", file=str(path))
    try:
        return _Model(sbml, document.getModel(), path, report).network()
    except (UnsupportedError, RecursionError) as fault:
        raise UnsupportedError(f"{path}: {fault}") from None


def _not_too_deep(content: bytes, path: Path) -> None:
    """libsbml follows elements within elements until its stack is used up, and takes the process along."""
    parser, depth = expat.ParserCreate(), 0

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DocumentError(f"elements are nested deeper than {_DEEPEST}", file=str(path),
                                line=parser.CurrentLineNumber)  # fmt: skip

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    with suppress(expat.ExpatError):  # libsbml says what is wrong with it
        parser.Parse(content, True)


def _listed(owner: Any, what: str) -> list[Any]:
    count = getattr(owner, f"getNum{what}" + ("" if what.endswith("s") else "s"))()
    return [getattr(owner, f"get{what}")(n) for n in range(count)]


class _Model:
    def __init__(self, sbml: Any, model: Any, path: Path, report: Report) -> None:
        self.sbml, self.model, self.path, self.report = sbml, model, path, report
        self.values: dict[str, float] = {}
        self.derived: dict[str, Expr] = {}
        self.slopes: dict[str, Expr] = {}
        self.cases: dict[str, list[tuple[Expr | None, Expr]]] = {}

    def refuse(self, message: str) -> Any:
        raise UnsupportedError(message)

    def symbol(self, id: str) -> str:
        return f"{id}_sbml" if id in _RESERVED else id

    def network(self) -> Network:
        model = self.model
        if _listed(model, "Constraint"):
            self.report.add("constraints", "loss", "constraints have no counterpart and are left out")
        self.initial()
        self.rules()
        self.reactions()
        events, armed = self.events()
        changed = {a.get("variable") or "" for e in events for a in e.children}
        states = {*self.slopes, *changed, *armed}
        type_id = self.symbol(model.getId() or "model")
        members = [Element("Constant", {"name": "TIME_UNIT", "dimension": "time", "value": f"{self.second()!r}s"})]
        fixed = [n for n in self.values if n not in states and n not in self.derived]
        members += [Element("Constant", {"name": n, "dimension": "none", "value": repr(self.values[n])}) for n in fixed]
        shown = sorted({*states, *self.derived} - set(armed))
        members += [Element("Exposure", {"name": n, "dimension": "none"}) for n in shown]
        parts = [Element("StateVariable", {"name": n, "dimension": "none"} | ({"exposure": n} if n in shown else {}))
                 for n in sorted(states)]  # fmt: skip
        parts += [Element("DerivedVariable", {"name": n, "dimension": "none", "exposure": n, "value": to_text(e)})
                  for n, e in self.derived.items()]  # fmt: skip
        for name, cases in self.cases.items():
            made = [Element("Case", ({"condition": to_text(c)} if c is not None else {}) | {"value": to_text(v)})
                    for c, v in cases]  # fmt: skip
            parts.append(Element("ConditionalDerivedVariable", {"name": name, "dimension": "none"}, made))
        parts += [Element("TimeDerivative", {"variable": n, "value": f"({to_text(e)})/TIME_UNIT"})
                  for n, e in self.slopes.items()]  # fmt: skip
        start = {**{n: self.values.get(n, 0.0) for n in states}, **armed}
        parts.append(Element("OnStart", {}, [Element("StateAssignment", {"variable": n, "value": to_text(Num(v))})
                                             for n, v in sorted(start.items())]))  # fmt: skip
        kind = Element("ComponentType", {"name": f"{type_id}_type"},
                       [*members, Element("Dynamics", {}, [*parts, *events])])  # fmt: skip
        duration = DURATION * self.second()
        self.report.add("no-simulation", "info", f"SBML does not say how long a model runs; the simulation is "
                        f"{duration:g} s long")  # fmt: skip
        columns = [Element("OutputColumn", {"id": n, "quantity": n}) for n in shown]
        run = Element("Simulation", {"id": "sim", "length": f"{duration!r}s", "step": f"{duration / STEPS!r}s",
                                     "target": type_id},
                      [Element("OutputFile", {"id": "of", "fileName": f"{type_id}.dat"}, columns)])  # fmt: skip
        for element in (*kind.iter(), *run.iter()):
            element.file = str(self.path)
        component = Element(f"{type_id}_type", {"id": type_id}, file=str(self.path))
        return Network(None, components=[kind, component], header={"id": type_id}, file=str(self.path),
                       simulation=[run, Element("Target", {"component": "sim"})])  # fmt: skip

    def second(self) -> float:
        """The model's unit of time in s."""
        unit = self.model.getTimeUnits() or "time"
        definition = self.model.getUnitDefinition(unit)
        if definition is None:
            return 1.0
        factor = 1.0
        for part in _listed(definition, "Unit"):
            if part.getKind() not in (self.sbml.UNIT_KIND_SECOND, self.sbml.UNIT_KIND_DIMENSIONLESS):
                self.refuse(f"the unit of time '{unit}' is no time")
            factor *= (part.getMultiplier() * 10.0 ** part.getScale()) ** part.getExponentAsDouble()
        return factor

    # values ---------------------------------------------------------------------------------------------------------

    def initial(self) -> None:
        model = self.model
        for compartment in _listed(model, "Compartment"):
            size = compartment.getSize() if compartment.isSetSize() else 1.0
            self.values[self.symbol(compartment.getId())] = size
        for parameter in _listed(model, "Parameter"):
            self.values[self.symbol(parameter.getId())] = parameter.getValue() if parameter.isSetValue() else math.nan
        for species in _listed(model, "Species"):
            size = self.values[self.symbol(species.getCompartment())]
            value = species.getInitialConcentration() if species.isSetInitialConcentration() else math.nan
            if species.isSetInitialAmount():
                value = species.getInitialAmount() / size
            self.values[self.symbol(species.getId())] = value * size if species.getHasOnlySubstanceUnits() else value
        waiting = {self.symbol(a.getSymbol()): self.math(a.getMath()) for a in _listed(model, "InitialAssignment")}
        for rule in _listed(model, "Rule"):
            if rule.isAssignment():
                waiting[self.symbol(rule.getVariable())] = self.math(rule.getMath())
        if any(self.symbol(c.getId()) in waiting for c in _listed(model, "Compartment")):
            self.refuse("a compartment whose size is computed is not read")
        for _ in range(len(waiting) + 1):
            for name, expr in list(waiting.items()):
                inside = self.opened(expr)
                if not inside & set(waiting):
                    self.values[name] = self.number(expr)
                    del waiting[name]
        if waiting:
            self.refuse(f"the value of '{next(iter(waiting))}' depends on itself")

    def opened(self, expr: Expr) -> set[str]:
        """Names in an expression and in the cases that it refers to."""
        found = names(expr)
        for name in found & set(self.cases):
            for test, value in self.cases[name]:
                found |= self.opened(value) | (self.opened(test) if test is not None else set())
        return found

    def number(self, expr: Expr) -> float:
        known: dict[str, Any] = {**self.values, "t": 0.0, "TIME_UNIT": 1.0}
        for name in self.cases:
            if name in self.opened(expr):
                value = next((v for c, v in self.cases[name] if c is None or evaluate(c, known)), Num(math.nan))
                known[name] = float(evaluate(value, known))
        return float(evaluate(expr, known))

    def rules(self) -> None:
        for rule in _listed(self.model, "Rule"):
            if rule.isAlgebraic():
                self.refuse("algebraic rules are not read")
            name, expr = self.symbol(rule.getVariable()), self.math(rule.getMath())
            if rule.isRate() and self.model.getCompartment(rule.getVariable()) is not None:
                self.refuse(f"the size of compartment '{name}' changes, which is not read")
            (self.slopes if rule.isRate() else self.derived)[name] = expr

    def reactions(self) -> None:
        for reaction in _listed(self.model, "Reaction"):
            law = reaction.getKineticLaw()
            if law is None or law.getMath() is None:
                self.refuse(f"reaction '{reaction.getId()}' has no kinetic law")
            rate = self.symbol(reaction.getId())
            self.derived[rate] = self.math(law.getMath())
            for sign, what in ((-1.0, "Reactant"), (1.0, "Product")):
                for part in _listed(reaction, what):
                    species = self.model.getSpecies(part.getSpecies())
                    name = self.symbol(species.getId())
                    if species.getBoundaryCondition() or species.getConstant():
                        continue
                    if part.isSetStoichiometryMath() or (part.isSetId() and self.symbol(part.getId()) in self.derived):
                        self.refuse(f"reaction '{rate}' has a stoichiometry that is computed")
                    if species.isSetConversionFactor() or self.model.isSetConversionFactor():
                        self.refuse("conversion factors are not read")
                    count = part.getStoichiometry() if part.isSetStoichiometry() else 1.0
                    change: Expr = Bin("*", Num(sign * count), Name(rate))
                    if not species.getHasOnlySubstanceUnits():
                        change = Bin("/", change, Name(self.symbol(species.getCompartment())))
                    before = self.slopes.get(name)
                    self.slopes[name] = change if before is None else Bin("+", before, change)

    def events(self) -> tuple[list[Element], dict[str, float]]:
        """A condition of SBML's fires when it becomes true: a state says whether it may."""
        made, armed = [], {}
        for number, event in enumerate(_listed(self.model, "Event")):
            label = event.getId() or str(number)
            if event.isSetDelay() or event.isSetPriority():
                self.refuse(f"event '{label}' has a delay or a priority, which is not read")
            flag, test = f"armed_{number}", self.math(event.getTrigger().getMath())
            if not isinstance(test, (Cmp, Logic)):
                self.refuse(f"the trigger of event '{label}' is no comparison")
            actions: list[Element] = []
            done: set[str] = set()
            for assignment in _listed(event, "EventAssignment"):
                name, expr = self.symbol(assignment.getVariable()), self.math(assignment.getMath())
                if self.model.getCompartment(assignment.getVariable()) is not None:
                    self.refuse(f"event '{label}' changes the size of a compartment, which is not read")
                if self.opened(expr) & done:
                    self.refuse(f"event '{label}' swaps values, which assignments one after the other cannot")
                done.add(name)
                actions.append(Element("StateAssignment", {"variable": name, "value": to_text(expr)}))
            off, on = Num(0.0), Num(1.0)
            ready = Logic("and", test, Cmp(">", Name(flag), Num(0.5)))
            again = Logic("and", _inverse(test), Cmp("<", Name(flag), Num(0.5)))
            disarm, arm = (Element("StateAssignment", {"variable": flag, "value": to_text(v)}) for v in (off, on))
            made += [Element("OnCondition", {"test": to_text(ready)}, [*actions, disarm]),
                     Element("OnCondition", {"test": to_text(again)}, [arm])]  # fmt: skip
            armed[flag] = 0.0 if event.getTrigger().getInitialValue() or self.model.getLevel() < 3 else 1.0
        return made, armed

    # expressions ----------------------------------------------------------------------------------------------------

    def math(self, node: Any) -> Expr:
        s = self.sbml
        if node is None:
            self.refuse("a formula is missing")
        kind = s.ASTNode.getType(node)  # node.getType() is libSEDML's once that is loaded, and no number
        if node.isNumber():
            return Num(float(node.getValue())) if node.getValue() >= 0 else Neg(Num(-float(node.getValue())))
        constants = {s.AST_CONSTANT_E: math.e, s.AST_CONSTANT_PI: math.pi, s.AST_NAME_AVOGADRO: 6.02214179e23}
        if kind in constants:
            return Num(constants[kind])
        if kind == s.AST_NAME_TIME:
            return Bin("/", Name("t"), Name("TIME_UNIT"))
        if kind == s.AST_NAME:
            return Name(self.symbol(node.getName()))
        if kind == s.AST_FUNCTION_PIECEWISE:
            return self.piecewise([self.math(node.getChild(n)) for n in range(node.getNumChildren())])
        parts = [self.math(node.getChild(n)) for n in range(node.getNumChildren())]
        binary = {s.AST_PLUS: "+", s.AST_TIMES: "*", s.AST_MINUS: "-", s.AST_DIVIDE: "/", s.AST_POWER: "^",
                  s.AST_FUNCTION_POWER: "^"}  # fmt: skip
        if kind == s.AST_MINUS and len(parts) == 1:
            return Neg(parts[0])
        if kind in binary:
            return self.chain(binary[kind], parts)
        compare = {s.AST_RELATIONAL_LT: "<", s.AST_RELATIONAL_GT: ">", s.AST_RELATIONAL_LEQ: "<=",
                   s.AST_RELATIONAL_GEQ: ">=", s.AST_RELATIONAL_EQ: "==", s.AST_RELATIONAL_NEQ: "!="}  # fmt: skip
        if kind in compare and len(parts) == 2:
            return Cmp(compare[kind], parts[0], parts[1])
        if kind in (s.AST_LOGICAL_AND, s.AST_LOGICAL_OR) and parts:
            word, result = "and" if kind == s.AST_LOGICAL_AND else "or", parts[0]
            for part in parts[1:]:
                result = Logic(word, result, part)
            return result
        if kind == s.AST_LOGICAL_NOT and isinstance(parts[0], (Cmp, Logic)):
            return _inverse(parts[0])
        if kind == s.AST_FUNCTION_ROOT and len(parts) == 2:
            return Bin("^", parts[1], Bin("/", Num(1.0), parts[0]))
        if kind == s.AST_FUNCTION_LOG and len(parts) == 2:
            return Bin("/", Call("ln", parts[1]), Call("ln", parts[0]))
        calls = {
            s.AST_FUNCTION_EXP: "exp", s.AST_FUNCTION_LN: "ln", s.AST_FUNCTION_ABS: "abs", s.AST_FUNCTION_SIN: "sin",
            s.AST_FUNCTION_COS: "cos", s.AST_FUNCTION_TAN: "tan", s.AST_FUNCTION_SINH: "sinh",
            s.AST_FUNCTION_COSH: "cosh", s.AST_FUNCTION_TANH: "tanh", s.AST_FUNCTION_CEILING: "ceil",
            s.AST_FUNCTION_FLOOR: "floor", s.AST_FUNCTION_ROOT: "sqrt",
        }  # fmt: skip
        if kind in calls and len(parts) == 1:
            return Call(calls[kind], parts[0])
        return self.refuse(f"'{self.sbml.formulaToL3String(node)[:60]}' has no counterpart in LEMS")

    def chain(self, op: str, parts: list[Expr]) -> Expr:
        result = parts[0] if parts else Num(0.0 if op == "+" else 1.0)
        for part in parts[1:]:
            result = Bin(op, result, part)
        return result

    def piecewise(self, parts: list[Expr]) -> Expr:
        cases: list[tuple[Expr | None, Expr]] = [(parts[n + 1], parts[n]) for n in range(0, len(parts) - 1, 2)]
        if len(parts) % 2:
            cases.append((None, parts[-1]))
        name = f"piecewise_{len(self.cases)}"
        self.cases[name] = cases
        return Name(name)


def _inverse(test: Expr) -> Expr:
    if isinstance(test, Cmp):
        return Cmp(_INVERSE[test.op], test.left, test.right)
    if isinstance(test, Logic):
        return Logic("or" if test.op == "and" else "and", _inverse(test.left), _inverse(test.right))
    raise UnsupportedError("a condition is no comparison")
