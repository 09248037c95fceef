"""YAML and JSON of strangers into plain values: no tags, no circles, no bombs of aliases, one clear error.

``read_source`` knows the line of every value; ``load_json`` is for files of many MB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import DocumentError

Path_ = tuple[str | int, ...]
_MOST_NODES = 2_000_000
_DEEPEST = 60
_SCALARS = ("str", "int", "float", "bool", "null")


@dataclass
class Source:
    """Plain values as read, and the line (from 1) on which each begins, by its path."""

    data: Any
    file: str | None = None
    lines: dict[Path_, int] = field(default_factory=dict)

    def line(self, path: Path_) -> int | None:
        """The line of a value, or of the nearest one around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)


def read_source(path: str | Path) -> Source:
    """Read a file. Raises DocumentError with file and line if it is no YAML or JSON, or says one key twice."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise DocumentError(f"the file cannot be read: {getattr(fault, 'strerror', None) or fault}",
                            file=str(path)) from None  # fmt: skip
    return parse_source(text, str(path))


def load_json(path: Path) -> Any:
    """What is in a JSON file. Raises DocumentError, with the line of a fault, for what is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DocumentError("there is no such file", file=str(path)) from None
    except OSError as fault:
        raise DocumentError(f"cannot be read: {fault.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise DocumentError("this is no JSON: it is not text in UTF-8", file=str(path)) from None
    except json.JSONDecodeError as fault:
        raise DocumentError(f"this is no JSON: {fault.msg}", file=str(path), line=fault.lineno) from None
    except RecursionError:
        raise DocumentError("this is no JSON that can be read: it is nested too deep", file=str(path)) from None
    except ValueError:
        raise DocumentError("this is no JSON that can be read: a number has thousands of digits",
                            file=str(path)) from None  # fmt: skip


def json_object(text: Any) -> dict[str, Any]:
    """The JSON object that a text inside another file is, {} for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def parse_source(text: str, file: str | None = None) -> Source:
    """The values of YAML text (JSON is YAML); see ``read_source``."""
    if text.lstrip().startswith("{"):
        text = _json_without_tabs(text, file)
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        problem = str(getattr(fault, "problem", None) or fault).splitlines()[0]
        if "',' or" in problem:
            problem += "; within { } and [ ], texts with commas or brackets need quotes"
        raise DocumentError(f"this is not YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from None
    source = Source(None, file)
    if node is not None:
        if _size(node, {}, ()) > _MOST_NODES:
            raise DocumentError("there are too many values; aliases within aliases make more of each other", file=file)
        source.data = _Builder(source).value(node, (), ())
    return source


def _json_without_tabs(text: str, file: str | None) -> str:
    """JSON as it is, but with spaces for tabs, which YAML does not let stand between values."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text  # YAML in braces, or neither: the YAML reader says what is wrong
    quoted, out = False, []
    before = ""
    for letter in text:
        if letter == '"' and before != "\\":
            quoted = not quoted
        before = "" if before == "\\" else letter
        out.append(" " if letter == "\t" and not quoted else letter)
    return "".join(out)


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node comes to with every alias written out; each node is looked at once."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in above or len(above) > _DEEPEST:
        return 1  # what contains itself, or is nested too deep, the builder names with its place
    if id(node) not in known:
        inner = [child for pair in node.value for child in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_size(child, known, (*above, id(node))) for child in inner)
    return known[id(node)]


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source, self.count = source, 0
        self.plain = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path_, above: tuple[int, ...]) -> Any:
        self.count += 1
        line = node.start_mark.line + 1
        if self.count > _MOST_NODES or len(path) > _DEEPEST:
            raise self.error("there are too many values, or they are nested too deep", line)
        if id(node) in above:
            raise self.error("this value contains itself", line)
        self.source.lines.setdefault(path, line)
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, number), above) for number, child in enumerate(node.value)]
        kind = node.tag.rpartition(":")[2]
        if kind == "timestamp":
            return str(node.value)
        if not node.tag.startswith("tag:yaml.org,2002:") or kind not in _SCALARS:
            raise self.error(f"the tag '{node.tag[:40]}' is not allowed; write plain values", line)
        try:
            value = self.plain.construct_object(node)
        except ValueError:  # a date that is none, a whole number of thousands of digits
            raise self.error(f"'{str(node.value)[:40]}' is no number", line) from None
        if kind == "bool" and str(node.value).lower() not in ("true", "false"):
            return str(node.value)  # yes, no, on and off are words here, as in YAML 1.2
        return value

    def mapping(self, node: yaml.MappingNode, path: Path_, above: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error("a key must be a word", line)
            key = str(key_node.value)
            if key in found:
                raise self.error(f"the key '{key}' is there twice (first on line {self.source.lines[(*path, key)]}); "
                                 "rename one", line)  # fmt: skip
            self.source.lines[(*path, key)] = line
            found[key] = self.value(child, (*path, key), above)
        return found

    def error(self, message: str, line: int) -> DocumentError:
        return DocumentError(message, file=self.source.file, line=line)
