"""What all words of a specification are made of: values, selections, names, and items that refuse unknown words."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from ..units import nearest
from .language import checked

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")

# What NEURON's and NetPyNE's users write first, for what is called otherwise here: a hint, not an alias.
_ELSEWHERE = {
    "nseg": "compartments", "L": "length", "diam": "diameter", "pt3d": "points", "childX": "at", "parentX": "at",
    "parentSec": "parent", "cm": "capacitance", "Ra": "resistivity", "mechs": "mechanisms", "secs": "sections",
    "secLists": "groups", "vinit": "v_init", "gbar": "density",
    "numCells": "number", "size": "number", "cellType": "cell", "gridSpacing": "grid", "cellsList": "positions",
    "preConds": "from", "postConds": "to", "pre": "from", "post": "to", "source": "from", "target": "to",
    "preSynMech": "from_synapse", "synMech": "synapse", "synsPerConn": "contacts", "sec": "at", "loc": "at",
    "connList": "pairs", "gapJunction": "kind",
    "amp": "amplitude", "dur": "duration", "del": "start", "delay": "start", "interval": "period", "noise": "jitter",
    "spkTimes": "times", "celsius": "temperature", "tstop": "duration", "seeds": "seed",
    "popParams": "populations", "cellParams": "cells", "connParams": "connections", "synMechParams": "synapses",
    "stimSourceParams": "stimuli", "stimTargetParams": "stimuli", "rxdParams": "rxd", "simConfig": "run",
    "recordTraces": "record",
}  # fmt: skip


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


def _meant(word: str, known: list[str]) -> str:
    here = _ELSEWHERE.get(word)
    return f"; it is called '{here}'" if here in known else nearest(word, known)


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
                    hint = _meant(str(word), known) or f"; there are {', '.join(known)}"
                    if str(word).endswith((")", "]")):
                        hint = "; within { } a formula or selection with a comma needs quotes: \"table(map, x, y)\""
                    raise PydanticCustomError("unknown_word", "'{word}' is not known here{hint}",
                                              {"word": str(word), "hint": hint})  # fmt: skip
        return data


def one_of(item: Item, words: tuple[str, ...], needed: bool = True) -> None:
    given = [word for word in words if getattr(item, word) is not None]
    if len(given) > 1:
        raise PydanticCustomError("one_of", "{text}", {"text": f"'{given[0]}' and '{given[1]}' exclude each other"})
    if needed and not given:
        raise PydanticCustomError("one_of", "{text}", {"text": f"one of these is needed: {', '.join(words)}"})
