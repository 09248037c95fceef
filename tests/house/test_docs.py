"""What the documentation names is there, and what is there is documented."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from nmlbridge.cli import VERBS

HOMES = {"build": "rules", "results": "results", "omv": "omv", "osb": "osb", "archive": "osb", "plot": "plots"}
"""pages that say more of a verb than docs/cli.md does"""
OLD = {"--allow-python", "--json"}  # the former means --allow-code, the latter belongs to every verb


@pytest.fixture(scope="module")
def pages(repository: Path) -> dict[Path, str]:
    found = [repository / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "examples/README.md")]
    return {path: path.read_text() for path in (*found, *sorted((repository / "docs").glob("*.md")))}


def options_of(verb: str) -> list[tuple[str, ...]]:
    """The options of a verb and of what stands behind it, each with all its spellings."""
    parser = argparse.ArgumentParser(prog=verb)
    import_module(f"nmlbridge.cli.{verb}").configure(parser)

    def walk(part: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
        for action in part._actions:
            if isinstance(action, argparse._SubParsersAction):
                for inner in action.choices.values():
                    yield from walk(inner)
            elif action.option_strings:
                yield tuple(action.option_strings)

    return [spellings for spellings in walk(parser) if "--help" not in spellings]


def test_links_lead_somewhere(pages: dict[Path, str]) -> None:
    lost = []
    for page, text in pages.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith("http"):
                continue
            name, _, anchor = link.partition("#")
            path = page.parent / name if name else page
            heads = re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE) if path.suffix == ".md" else []
            anchors = {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}
            if not path.exists() or (anchor and anchor not in anchors):
                lost.append(f"{page.name}: {link}")
    assert not lost


def test_commands_are_there(pages: dict[Path, str]) -> None:
    strange, seen = [], 0
    for page, text in pages.items():
        for verb, rest in re.findall(r"nmlbridge +([a-z]+)\b((?:[^`\n|]|\n {12,})*)", text):
            if verb not in VERBS:
                continue  # a sentence
            known = {"--json", "--help", *(word for spellings in options_of(verb) for word in spellings)}
            named = re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)
            seen += len(named)
            strange += [f"{page.name}: {verb} {word}" for word in named if word not in known]
    assert not strange
    assert seen > 50


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_documented(verb: str, repository: Path, pages: dict[Path, str]) -> None:
    page = pages[repository / "docs" / "cli.md"]
    section = "".join(
        text for title, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", page, re.MULTILINE) if verb in title
    )
    assert section, f"docs/cli.md has no section about {verb}"
    section += pages[repository / "docs" / f"{HOMES[verb]}.md"] if verb in HOMES else ""
    missing = [
        spellings for spellings in options_of(verb)
        if not OLD & set(spellings) and not any(re.search(rf"(?<![\w-]){word}(?![\w-])", section) for word in spellings)
    ]  # fmt: skip
    assert not missing


def test_variables_of_the_environment_are_documented(repository: Path, pages: dict[Path, str]) -> None:
    used = {
        name for folder in ("nmlbridge", "simulator", "converters") for path in (repository / folder).rglob("*.py")
        for name in re.findall(r"\"(NMLBRIDGE_[A-Z_]+)\"", path.read_text())
    }  # fmt: skip
    told = pages[repository / "docs" / "cli.md"] + pages[repository / "docs" / "omv.md"]
    assert used and not [name for name in sorted(used) if name not in told]
