"""The outcomes of OMV tests as JUnit XML, which CI services show."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from collections.abc import Sequence
from pathlib import Path

from ...files import atomic
from .run import FAIL, PASS, UNSUPPORTED, Outcome


def junit(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write one testcase an outcome: a failure, an error, or skipped where it could not be run."""
    suite = xml.Element("testsuite", name="omv", tests=str(len(outcomes)))
    for outcome in outcomes:
        case = xml.SubElement(
            suite, "testcase", name=outcome.path.name, classname=str(outcome.path.parent), time=f"{outcome.seconds:.2f}"
        )
        if outcome.verdict != PASS:
            tag = {FAIL: "failure", UNSUPPORTED: "skipped"}.get(outcome.verdict, "error")
            xml.SubElement(case, tag, message=_plain(outcome.why))
    with atomic(path) as stream:
        stream.write(xml.tostring(suite, encoding="utf-8", xml_declaration=True))


def _plain(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() else " " for c in text)
