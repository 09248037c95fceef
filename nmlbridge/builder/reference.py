"""Every word of a specification as a page of Markdown, from the models themselves."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .vocabulary import Model
from .words import Id, Range, Selection, Value

_PLAIN = {Value: "value", Selection: "selection", Id: "name", Range: "two values"}
_BASIC = {float: "number", int: "whole number", str: "text", bool: "true or false"}

_HEAD = """# The words of a specification

Made by `nmlbridge build --words`; what the words are for is told in [rules.md](rules.md). A *value* is a number, a
quantity or a formula; a *selection* is a formula with a truth value; *name -> X* is a mapping of names of your choice
to items.
"""


def words() -> str:
    """The page: a table for each kind of item, in the order in which the model names them.

    Words whose type is a mapping take names of the user's choice.
    """
    parts = [_HEAD]
    parts += [_table(model) for model in _models()]
    return "\n".join(parts)


def _models() -> Iterator[type[BaseModel]]:
    """The model, and whatever it names, each once, the nearest first."""
    found: list[type[BaseModel]] = [Model]
    for model in found:
        yield model
        for info in model.model_fields.values():
            found += [other for other in dict.fromkeys(_named(info.annotation)) if other not in found]


def _named(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _named(part)


def _table(model: type[BaseModel]) -> str:
    summary = " ".join((model.__doc__ or "").strip().split("\n\n")[0].split()).replace("``", "`")
    rows = [f"| `{info.alias or name}` | {_kind(_whole(info))} | {_default(info)} | {_cell(info.description or '')} |"
            for name, info in model.model_fields.items()]  # fmt: skip
    if model.model_config.get("extra") == "allow":
        rows.append("| ... | value | | parameters of its own |")
    head = "| word | what | default | |\n|---|---|---|---|\n"
    return f"## {model.__name__}\n\n{summary}\n\n{head}" + "\n".join(rows) + "\n"


def _whole(info: FieldInfo) -> Any:
    """The annotation as it was written: pydantic takes an outer ``Annotated`` apart."""
    for known in _PLAIN:
        if get_origin(known) is Annotated and get_args(known)[0] == info.annotation:
            if any(mark in info.metadata for mark in get_args(known)[1:]):
                return known
    return info.annotation


def _kind(annotation: Any) -> str:
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation in _BASIC:
        return _BASIC[annotation]
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inside[0])
    if origin in (Union, types.UnionType):
        return _either([_kind(part) for part in inside if part is not type(None)])
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inside)
    if origin is list:
        return f"list of {_kind(inside[0])}"
    if origin is tuple:
        return f"{len(inside)} numbers"
    if origin is dict:
        return f"name -> {_kind(inside[1])}"
    return f"[{annotation.__name__}](#{annotation.__name__.lower()})"


def _either(kinds: list[str]) -> str:
    return " or ".join(dict.fromkeys(kinds))


def _default(info: FieldInfo) -> str:
    default = info.default
    if info.is_required():
        return "*needed*"
    if default is None or isinstance(default, BaseModel) or default in ({}, []):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
