"""The list of words: whole, and as it stands in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from nmlbridge.builder import build
from nmlbridge.builder.reference import words

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_the_docs_is_the_one_that_is_made() -> None:
    assert (DOCS / "words.md").read_text() == words()


def test_each_kind_of_item_stands_once_and_each_link_leads_to_one() -> None:
    page = words()
    heads = re.findall("^## (.*)$", page, re.M)
    assert len(heads) == len(set(heads))
    assert set(re.findall(r"\[(\w+)\]\(#", page)) <= set(heads)
    assert {"Section", "Connection", "Poisson", "ReactionRule"} <= set(heads)


def test_the_cell_that_the_docs_write_out_is_one() -> None:
    text = (DOCS / "rules.md").read_text().split("## Cells written out")[1]
    example = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    del example["include"]
    del example["cells"]["pyr"]["biophysics"]["mechanisms"]["na"]  # its channel is in a file
    network = build(example | {"populations": {"A": {"cell": "pyr", "number": 3}}}).network
    assert network.populations["A"].size == 3
