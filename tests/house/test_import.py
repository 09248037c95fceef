"""Importing the package, and asking for help, is light and silent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nmlbridge

HEAVY = ("neuron", "matplotlib", "lxml", "h5py", "numpy", "pyneuroml", "neuroml", "lems", "mpi4py", "pandas", "scipy")


def _modules_after(code: str, repository: Path) -> set[str]:
    """Top-level names that are loaded after ``code`` ran in a fresh interpreter, which must print nothing else."""
    script = f"{code}\nimport json, sys\nsys.stderr.write(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return set(json.loads(done.stderr))  # anything printed beside the list would not parse


def test_import_prints_nothing_and_loads_nothing_heavy(repository: Path) -> None:
    assert _modules_after("import nmlbridge", repository).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["convert", "--help"],
        ["formats", "--help"],
        ["osb", "--help"],
        ["results", "--help"],
        ["archive", "--help"],
    ],
)
def test_help_loads_nothing_heavy(words: list[str], repository: Path) -> None:
    quiet = "import contextlib, io\nfrom nmlbridge.cli import main\n"
    call = f"with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main({words!r})"
    assert _modules_after(quiet + call, repository).isdisjoint(HEAVY)


def test_the_public_names_are_there_and_sorted() -> None:
    assert nmlbridge.__all__ == sorted(nmlbridge.__all__)
    assert set(nmlbridge.__all__) == set(nmlbridge._HOMES)
    for name in nmlbridge.__all__:
        assert getattr(nmlbridge, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nmlbridge.nonsense  # noqa: B018  (the lookup is the test)
