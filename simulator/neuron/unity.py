"""Several translated mechanisms as one C++ source, so that NEURON's headers are read once and not once for each.

NEURON 9 translates a .mod file of 30 lines into a source that takes 1.5 s to compile, of which 0.7 s are its headers
and 0.4 s templates that all mechanisms share. One source of eight takes 2.5 s instead of 12 s. The translator makes
file-scope names such as ``_mechtype`` in each source, so here every mechanism's own names get a suffix by a macro
that holds for its part alone. Should a source not look as expected, ``join`` says so with None, and the mechanisms are
compiled one by one, as NEURON itself does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LAST_HEADER = '#include "neuron/cache/mechanism_range.hpp"\n'
_DEFINITION = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_STATIC = re.compile(r"(?:^|;)[ \t]*static\b([^;{=]*)", re.MULTILINE)
_FUNCTION = re.compile(r"([A-Za-z_]\w*)\s*\(")
_VARIABLE = re.compile(r"([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*(?:,|$)")
_ALIAS = re.compile(r"^[ \t]*using\s+([A-Za-z_]\w*)\s*=", re.MULTILINE)
_TEMPLATE_ALIAS = re.compile(r"template\s*<[^<>]*>\s*using\s+([A-Za-z_]\w*)\s*=[^;]*;")
_TEMPLATE_FUNCTION = re.compile(r"template\s*<[^<>]*>\s*\w+\s+([A-Za-z_]\w*)\s*\(")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b[ \t]*(.*)$", re.MULTILINE)


def join(sources: Sequence[str]) -> str | None:
    """One source with all of ``sources`` (the translator's output), or None if they cannot be put together."""
    first, parts = "", []
    late: set[str] = set()
    for index, source in enumerate(sources):
        head, found, body = source.partition(LAST_HEADER)
        if not found:
            return None
        first = first or head + LAST_HEADER
        late.update(header.strip() for header in _INCLUDE.findall(body))
        parts.append(_renamed(head, _INCLUDE.sub("", body), f"__{index}"))
    if any(not header.startswith("<") for header in late):
        return None
    # a standard header that one mechanism asks for must not be read under the macros of another
    return "".join([first, *(f"#include {header}\n" for header in sorted(late)), *parts])


def _renamed(head: str, body: str, suffix: str) -> str:
    """The part of one mechanism, between the macros that rename what it defines and their end."""
    macros = set(_DEFINITION.findall(body))
    names = set(_ALIAS.findall(body)) | set(_TEMPLATE_ALIAS.findall(body)) | set(_TEMPLATE_FUNCTION.findall(body))
    for declaration in _STATIC.findall(body):
        function = _FUNCTION.search(declaration)
        names.update([function.group(1)] if function else _VARIABLE.findall(declaration))
    names -= macros
    before = [f"#define {name} {name}{suffix}\n" for name in sorted(names)]
    # what the translator says above the headers about this mechanism, such as NRN_VECTORIZED
    own = [line for line in head.splitlines(keepends=True) if line.startswith("#define NRN_")]
    before += [f"#undef {line.split()[1]}\n{line}" for line in own]
    after = [f"#undef {name}\n" for name in sorted(names | macros)]
    return "".join([*before, body, "\n", *after])
