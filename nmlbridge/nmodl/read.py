"""NMODL of others, read: declarations, and the statements of each block, as values.

The part of the language that describes channels and cells that fire: assignments, if and else, calls of functions and
procedures, SOLVE, WATCH. TABLE is skipped (its functions are exact here); C code counts only where it would be run.
Source: https://nmodl.readthedocs.io, and the translator's grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import UnsupportedError
from ..lems.expression import Apply, Bin, Cmp, Expr, Logic, Name, Neg, Num
from .header import read_header, without_comments

_VERBATIM = re.compile(r"\bVERBATIM\b(?s:.*?)\bENDVERBATIM\b")
C_CODE = "VERBATIM"
"""what is called where a mod file has C code"""
_TITLE = re.compile(r"(?m)^\s*TITLE[^\n]*$")
_TOKEN = re.compile(
    r"\s*(?:(?P<num>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op><->|<<|->|==|!=|<=|>=|&&|\|\||[-+*/^(){}\[\],=<>!'~]))"
)
_UNIT = re.compile(r"\s*\([^()]*\)")
_LIMITS = re.compile(r"\s*<[^<>]*>")
_BINARY = (("||",), ("&&",), ("<", ">", "<=", ">=", "==", "!="), ("+", "-"), ("*", "/"))
_NEURONS = ("celsius", "v", "t", "dt", "diam", "area")
_DEPTH = 100  # of brackets and of nested ifs


@dataclass(frozen=True)
class Assignment:
    """``name = expr``, or ``name' = expr`` with ``rate``."""

    name: str
    expr: Expr
    rate: bool = False


@dataclass(frozen=True)
class Action:
    """A call of a procedure that stands alone."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True)
class Choice:
    """Branches in order; the condition of the last may be None."""

    cases: tuple[tuple[Expr | None, tuple[Statement, ...]], ...]


@dataclass(frozen=True)
class Solve:
    """``SOLVE block METHOD method``."""

    block: str
    method: str


@dataclass(frozen=True)
class Watch:
    """``WATCH (condition) flag``."""

    condition: Expr
    flag: int


Statement = Assignment | Action | Choice | Solve | Watch


@dataclass
class Block:
    """A FUNCTION, PROCEDURE, DERIVATIVE, INITIAL, BREAKPOINT or NET_RECEIVE; ``locals_`` are its own variables."""

    kind: str
    name: str
    arguments: tuple[str, ...] = ()
    locals_: set[str] = field(default_factory=set)
    body: tuple[Statement, ...] = ()


@dataclass
class Source:
    """What a mod file says: ``uses`` maps an ion to what is read and written of it."""

    suffix: str = ""
    kind: str = ""
    uses: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    nonspecific: list[str] = field(default_factory=list)
    ranges: set[str] = field(default_factory=set)
    constants: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    assigned: set[str] = field(default_factory=set)
    left_open: tuple[str, ...] = ()
    """as ``Header`` has it"""
    blocks: dict[str, Block] = field(default_factory=dict)

    def block(self, name: str) -> Block | None:
        """A block by its name; INITIAL and BREAKPOINT by these words."""
        return self.blocks.get(name)


def read_nmodl(text: str) -> Source:
    """Read a mod file. Raises UnsupportedError that names the word that is not understood."""
    plain = _TITLE.sub("", without_comments(text))
    source, header = _Reader(_VERBATIM.sub(f" {C_CODE}() ", plain)).source(), read_header(text)
    source.left_open = () if header is None else header.left_open
    return source


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.found = Source()

    # tokens --------------------------------------------------------------------------------------------------------

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        return match.group(0).strip() if match else ""

    def take(self, wanted: str | None = None) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match is None or (wanted is not None and match.group(0).strip() != wanted):
            near = " ".join(self.text[self.at : self.at + 40].split())
            raise UnsupportedError(f"'{near}' is not understood" + (f"; expected '{wanted}'" if wanted else ""))
        self.at = match.end()
        return match.group(0).strip()

    def name(self) -> str:
        word = self.take()
        if not (word[0].isalpha() or word[0] == "_"):
            raise UnsupportedError(f"'{word}' stands where a name is expected")
        return word

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()

    def inside(self) -> str:
        """The text of a block in braces, as it stands."""
        self.take("{")
        start, depth = self.at, 1
        while depth:
            step = re.compile(r"[{}]").search(self.text, self.at)
            if step is None:
                raise UnsupportedError("a brace is not closed")
            depth += 1 if step.group(0) == "{" else -1
            self.at = step.end()
        return self.text[start : self.at - 1]

    # declarations --------------------------------------------------------------------------------------------------

    def source(self) -> Source:
        while self.text[self.at :].strip():
            word = self.name()
            if word in ("UNITSOFF", "UNITSON", "INDEPENDENT", "DEFINE", "THREADSAFE"):
                if word == "INDEPENDENT":
                    self.inside()
                elif word == "DEFINE":
                    raise UnsupportedError("DEFINE is not supported")
                continue
            if word == C_CODE:
                self.arguments()
            elif word == "LOCAL":
                self.found.assigned |= set(self.declared())
            elif word == "NEURON":
                self.neuron(self.inside())
            elif word == "UNITS":
                self.units(self.inside())
            elif word in ("PARAMETER", "CONSTANT"):
                self.values(self.inside(), self.found.parameters if word == "PARAMETER" else self.found.constants)
            elif word in ("STATE", "ASSIGNED"):
                names = re.findall(
                    r"[A-Za-z_]\w*(?:\s*\[)?", re.sub(r"\([^()]*\)|<[^<>]*>|\bFROM\b.*", " ", self.inside())
                )
                if any(name.endswith("[") for name in names):
                    raise UnsupportedError(f"it has an array, '{names[0]}'")
                if word == "STATE":
                    self.found.states += names
                else:
                    self.found.assigned |= set(names)
            elif word in ("INITIAL", "BREAKPOINT", "NET_RECEIVE"):
                self.statements_of(Block(word, word))
            elif word in ("FUNCTION", "PROCEDURE", "DERIVATIVE"):
                self.statements_of(Block(word, self.name()))
            else:
                raise UnsupportedError(f"it has a block {word}")
        ions = {name for read, written in self.found.uses.values() for name in (*read, *written)}
        for name in (*_NEURONS, *ions):  # old files declare as parameters what NEURON sets
            self.found.parameters.pop(name, None)
        return self.found

    def declared(self) -> list[str]:
        """The names behind LOCAL."""
        names = [self.name()]
        if self.peek() == "[":
            raise UnsupportedError(f"it has an array, '{names[0]}'")
        while self.peek() == ",":
            self.take()
            names.append(self.name())
        return names

    def neuron(self, text: str) -> None:
        found = self.found
        for match in re.finditer(r"\b(SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)", text):
            found.kind, found.suffix = match[1], match[2]
        for match in re.finditer(r"\bUSEION\s+(\w+)((?:\s+(?:READ|WRITE)\s+\w+(?:\s*,\s*\w+)*)*)", text):
            each = dict(re.findall(r"(READ|WRITE)\s+(\w+(?:\s*,\s*\w+)*)", match[2]))
            read, written = ({n.strip() for n in each.get(w, "").split(",") if n.strip()} for w in ("READ", "WRITE"))
            found.uses[match[1]] = (read, written)
        for word, target in (("NONSPECIFIC_CURRENT", found.nonspecific), ("ELECTRODE_CURRENT", None)):
            for match in re.finditer(rf"\b{word}\s+(\w+(?:\s*,\s*\w+)*)", text):
                if target is None:
                    raise UnsupportedError("it injects current as an electrode does")
                target += [name.strip() for name in match[1].split(",")]
        for match in re.finditer(r"\bRANGE\s+(\w+(?:\s*,\s*\w+)*)", text):
            found.ranges |= {name.strip() for name in match[1].split(",")}
        if re.search(r"\b(POINTER|BBCOREPOINTER|RANDOM)\b", text):
            raise UnsupportedError("it has pointers or random numbers")

    def units(self, text: str) -> None:
        for match in re.finditer(r"(\w+)\s*=\s*\((\w+)\)\s*\(([^()]*)\)", text):
            known = {"faraday": 96485.33212, "k-mole": 8.31446261815324, "pi": 3.141592653589793}
            value = known.get(match[2].lower())
            if value is None:
                raise UnsupportedError(f"the constant '{match[1]}' in UNITS is not known")
            scale = {"kilocoulombs": 1e-3}.get(match[3].strip().lower(), 1.0)
            self.found.constants[match[1]] = value * scale

    def values(self, text: str, target: dict[str, float]) -> None:
        inner = _Reader(text)
        while inner.text[inner.at :].strip():
            name = inner.name()
            if inner.peek() == "[":
                raise UnsupportedError(f"it has an array, '{name}'")
            value = 0.0
            if inner.peek() == "=":
                inner.take()
                sign = -1.0 if inner.peek() == "-" and inner.take() else 1.0
                value = sign * float(inner.take())
            inner.skip(_UNIT)
            inner.skip(_LIMITS)
            target[name] = value

    # statements ----------------------------------------------------------------------------------------------------

    def statements_of(self, block: Block) -> None:
        if self.peek() == "(":
            self.take()
            names = []
            while self.peek() != ")":
                names.append(self.name())
                self.skip(_UNIT)
                if self.peek() == ",":
                    self.take()
            self.take(")")
            block.arguments = tuple(names)
        self.skip(_UNIT)
        block.body = self.braces(block)
        self.found.blocks[block.name] = block

    def braces(self, block: Block) -> tuple[Statement, ...]:
        self.take("{")
        self.depth += 1
        if self.depth > _DEPTH:
            raise UnsupportedError("its blocks are nested too deeply")
        found: list[Statement] = []
        while self.peek() != "}":
            statement = self.statement(block)
            if statement is not None:
                found.append(statement)
        self.take("}")
        self.depth -= 1
        return tuple(found)

    def statement(self, block: Block) -> Statement | None:
        word = self.name()
        if word == "LOCAL":
            block.locals_ |= set(self.declared())
            return None
        if word in ("UNITSOFF", "UNITSON"):
            return None
        if word in ("TABLE", "CONDUCTANCE"):
            # up to the end of the line, and the lines that go on with one of TABLE's own words
            rest = re.compile(r"[^\n}]*(?:\n\s*(?:DEPEND|FROM|TO|WITH|USEION)\b[^\n}]*)*").match(self.text, self.at)
            self.at = rest.end() if rest else self.at
            return None
        if word == "SOLVE":
            name, method = self.name(), ""
            if self.peek() == "METHOD":
                self.take()
                method = self.name()
            return Solve(name, method)
        if word == "if":
            return self.choice(block)
        if word in ("while", "FROM", "FORALL"):
            raise UnsupportedError(f"it has the statement '{word}'")
        if word == "INITIAL":  # of NET_RECEIVE: what each connection begins with
            self.inside()
            return None
        if word == "WATCH":
            self.take("(")
            condition = self.expression()
            self.take(")")
            return Watch(condition, int(self.take()))
        if word == "state_discontinuity":
            target, value = self.arguments()
            if not isinstance(target, Name):
                raise UnsupportedError("state_discontinuity sets what is no variable")
            return Assignment(target.id, value)
        if self.peek() == "(":
            return Action(word, self.arguments())
        rate = self.peek() == "'"
        if rate:
            self.take()
        self.take("=")
        return Assignment(word, self.expression(), rate)

    def choice(self, block: Block) -> Choice:
        cases: list[tuple[Expr | None, tuple[Statement, ...]]] = []
        self.take("(")
        condition = self.expression()
        self.take(")")
        cases.append((condition, self.braces(block)))
        if self.peek() == "else":
            self.take()
            if self.peek() == "if":
                self.take()
                cases += self.choice(block).cases
            else:
                cases.append((None, self.braces(block)))
        return Choice(tuple(cases))

    # expressions ---------------------------------------------------------------------------------------------------

    def arguments(self) -> tuple[Expr, ...]:
        self.take("(")
        found = []
        while self.peek() != ")":
            found.append(self.expression())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return tuple(found)

    def expression(self, level: int = 0) -> Expr:
        if level == len(_BINARY):
            return self.unary()
        left = self.expression(level + 1)
        while self.peek() in _BINARY[level]:
            op = self.take()
            right = self.expression(level + 1)
            if level == 0 or level == 1:
                left = Logic("or" if op == "||" else "and", left, right)
            else:
                left = Cmp(op, left, right) if level == 2 else Bin(op, left, right)
        return left

    def unary(self) -> Expr:
        if self.peek() == "-":
            self.take()
            return Neg(self.unary())
        if self.peek() == "+":
            self.take()
            return self.unary()
        base = self.primary()
        if self.peek() == "^":
            self.take()
            return Bin("^", base, self.unary())
        return base

    def primary(self) -> Expr:
        word = self.take()
        if word == "(":
            self.depth += 1
            if self.depth > _DEPTH:
                raise UnsupportedError("its formulas are nested too deeply")
            inner = self.expression()
            self.take(")")
            self.depth -= 1
            return inner
        if word[0].isdigit() or word[0] == ".":
            self.skip(_UNIT)
            return Num(float(word))
        if not (word[0].isalpha() or word[0] == "_"):
            raise UnsupportedError(f"'{word}' stands where a number or a name is expected")
        if self.peek() == "(":
            return Apply(word, self.arguments())
        if self.peek() == "[":
            raise UnsupportedError(f"it has an array, '{word}'")
        return Name(word)
