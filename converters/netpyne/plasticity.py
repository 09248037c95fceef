"""``plast`` of connections: a mechanism of the model that adjusts their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import NetworkError
from ...graph import Adjuster
from ...report import Report
from .sections import number

WIRED = "STDP"
"""the one mechanism that NetPyNE tells of spikes and leads to a weight"""


def adjuster_of(spec: Any, where: str, file: str | None, report: Report) -> Adjuster | None:
    """The process that a ``plast`` states; None, noted, for one that changes nothing in NetPyNE either."""
    if not spec:
        return None
    if not isinstance(spec, Mapping) or not isinstance(spec.get("mech"), str):
        raise NetworkError(f"{where}.plast: expected a mech and params", file=file)
    if spec["mech"] != WIRED:
        report.add("netpyne-plasticity", "approximation", f"{where}.plast: as in NetPyNE, '{spec['mech']}' changes "
                   f"nothing; only the mechanism '{WIRED}' is told of spikes", file=file)  # fmt: skip
        return None
    given = spec.get("params") or {}
    if not isinstance(given, Mapping):
        raise NetworkError(f"{where}.plast: params must be an object", file=file)
    return Adjuster(WIRED, {name: number(value, where, f"plast {name}", file) for name, value in given.items()})


def adjusters_of(rules: Mapping[str, Mapping[str, Any]], file: str | None, report: Report) -> dict[str, Adjuster]:
    """Those of connParams, by label."""
    found = {}
    for label, rule in rules.items():
        adjuster = adjuster_of(rule.get("plast"), f"connParams.{label}", file, report)
        if adjuster is not None:
            found[label] = adjuster
        if rule.get("plasticity"):
            report.add("netpyne-plasticity", "approximation", f"connParams.{label}: as in NetPyNE 1.1, 'plasticity' "
                       "changes nothing; the word that it reads is 'plast'", file=file)  # fmt: skip
    return found
