"""A specification: typed, and with the place of every value. Read and written as YAML, JSON or plain Python."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..errors import NetworkError, UsageError
from ..plain import Path_, Source, parse_source, read_source
from ..units import nearest
from .vocabulary import Model


@dataclass(frozen=True)
class Specification:
    """A valid ``model`` and where it was said. ``folder`` is what its file names are relative to."""

    model: Model
    source: Source = field(default_factory=lambda: Source(None))
    folder: Path = Path()

    @classmethod
    def read(cls, path: str | Path, **changes: Any) -> Specification:
        """Read a YAML or JSON file; ``changes`` as in ``changed``. Raises DocumentError or NetworkError."""
        return _valid(read_source(path), Path(path).parent, changes)

    @classmethod
    def parse(cls, text: str, folder: str | Path = "", **changes: Any) -> Specification:
        """Read YAML or JSON text."""
        return _valid(parse_source(text), Path(folder), changes)

    @classmethod
    def of(cls, data: Mapping[str, Any], folder: str | Path = "", **changes: Any) -> Specification:
        """Take plain values, as a Python program makes them."""
        return _valid(Source(copy.deepcopy(dict(data))), Path(folder), changes)

    def changed(self, changes: Mapping[str, Any]) -> Specification:
        """The same specification with other values: {"gain": 2} for a parameter, {"connections.EE.weight": 2}."""
        source = Source(copy.deepcopy(self.to_dict()), self.source.file, self.source.lines)
        return _valid(source, self.folder, changes)

    def to_dict(self) -> dict[str, Any]:
        """What was said, as plain values."""
        return self.model.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_yaml(self) -> str:
        """What was said, as YAML."""
        text: str = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=100)
        return text

    def to_json(self) -> str:
        """What was said, as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def error(self, message: str, *path: str | int) -> NetworkError:
        """An error at a place in the specification."""
        return NetworkError(message, file=self.source.file, line=self.source.line(path), component=dotted(path) or None)

    def __repr__(self) -> str:
        model = self.model
        return (f"<Specification {model.name}: {len(model.populations)} populations, {len(model.connections)} rules, "
                f"{len(model.stimuli)} stimuli>")  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of specifications, for editors."""
    found = Model.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "nmlbridge network"}


def dotted(path: Path_) -> str:
    """A path as people write it: connections.EE.synapse[1]."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _valid(source: Source, folder: Path, changes: Mapping[str, Any]) -> Specification:
    if not isinstance(source.data, dict):
        raise NetworkError("a specification is a mapping with words such as populations and connections",
                           file=source.file, line=1 if source.file else None)  # fmt: skip
    for name, value in changes.items():
        _change(source.data, name, value)
    try:
        model = Model.model_validate(source.data)
    except ValidationError as fault:
        raise _error(fault, source) from None
    return Specification(model, source, folder)


def _change(data: dict[str, Any], name: str, value: Any) -> None:
    steps = name.split(".") if "." in name else ["parameters", name]
    if name == "rng" and isinstance(data.get("run"), dict) and name not in (data.get("parameters") or {}):
        steps = ["run", name]
        data["run"].setdefault(name, value)
    at: Any = data
    number = 0
    while number < len(steps):
        step = steps[number]
        if isinstance(at, list) and step.isdigit() and int(step) < len(at):
            key: Any = int(step)
            number += 1
        elif isinstance(at, dict) and (joint := _longest(steps[number:], at)):
            key = ".".join(steps[number : number + joint])
            number += joint
        elif isinstance(at, dict) and number == len(steps) - 1 and number > 1:
            key = step
            number += 1
        else:
            known = (
                list(at) if isinstance(at, dict) else [str(i) for i in range(len(at))] if isinstance(at, list) else []
            )
            raise UsageError(f"'{name}' is not in the specification{nearest(step, known)}")
        if number == len(steps):
            at[key] = value
        else:
            at = at[key]


def _longest(steps: list[str], known: Mapping[str, Any]) -> int:
    """How many steps together are a key; keys of ``vary`` may have dots."""
    return next((count for count in range(len(steps), 0, -1) if ".".join(steps[:count]) in known), 0)


def _error(fault: ValidationError, source: Source) -> NetworkError:
    """The first thing that is wrong, at its place."""
    first = min(fault.errors(include_url=False), key=lambda e: source.line(_path(e, source.data)) or 0)
    path = _path(first, source.data)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing":
        message = f"'{first['loc'][-1]}' is missing"
    elif first["type"] == "union_tag_invalid":
        context = first["ctx"]
        known = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
        message = f"'{context['tag']}' is none of {', '.join(known)}{nearest(str(context['tag']), known)}"
    elif first["type"] == "literal_error":
        known = [tag.strip("'") for tag in str(first["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        message = f"'{first['input']}' is none of {', '.join(known)}{nearest(str(first['input']), known)}"
    return NetworkError(message, file=source.file, line=source.line(path), component=dotted(path) or None)


def _path(error: Any, data: Any) -> Path_:
    """The place of an error in the data: the steps of pydantic without those that stand for a choice of types."""
    path: list[str | int] = []
    at = data
    for step in error["loc"]:
        if (isinstance(at, dict) and step in at) or (isinstance(at, (list, tuple)) and isinstance(step, int)):
            path.append(step)
            at = at[step] if isinstance(at, dict) or int(step) < len(at) else None
    word = (error.get("ctx") or {}).get("word")
    return (*path, word) if word is not None else tuple(path)
