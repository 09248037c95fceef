"""What all words of a specification are made of: values, selections, names, and items that refuse unknown words."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from ..units import nearest
from .language import checked

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def _value(value: Any) -> float | str:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return checked(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number, or a formula as text")
    return value


def _selection(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('expected a selection as text, such as "E | I" or "E & depth > 300"')
    return checked(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(f"'{str(value)[:40]}' cannot be a name: letters, digits and _, and no digit first")
    return value


Value = Annotated[float | str, BeforeValidator(_value)]
Selection = Annotated[str, BeforeValidator(_selection)]
Id = Annotated[str, BeforeValidator(_name)]
Range = tuple[Value, Value]


class Item(BaseModel):
    """A model that refuses unknown words and offers the nearest known one."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _words(cls, data: Any) -> Any:
        if isinstance(data, dict) and cls.model_config.get("extra") != "allow":
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for word in data:
                if word not in known and word not in cls.model_fields:
                    hint = nearest(str(word), known) or f"; there are {', '.join(known)}"
                    raise PydanticCustomError("unknown_word", "'{word}' is not known here{hint}",
                                              {"word": str(word), "hint": hint})  # fmt: skip
        return data


def one_of(item: Item, words: tuple[str, ...], needed: bool = True) -> None:
    given = [word for word in words if getattr(item, word) is not None]
    if len(given) > 1:
        raise PydanticCustomError("one_of", "{text}", {"text": f"'{given[0]}' and '{given[1]}' exclude each other"})
    if needed and not given:
        raise PydanticCustomError("one_of", "{text}", {"text": f"one of these is needed: {', '.join(words)}"})
