"""The front door: what is installed, under which names."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest


def _packages_there(repository: Path) -> set[str]:
    """Dotted names of the folders with Python files, as they are to be installed."""
    names = set()
    for top, package in (
        ("nmlbridge", "nmlbridge"),
        ("simulator", "nmlbridge.simulator"),
        ("converters", "nmlbridge.converters"),
    ):
        for init in (repository / top).rglob("*.py"):
            folder = init.parent.relative_to(repository / top)
            if top == "nmlbridge" and folder.parts[:1] in (("simulator",), ("converters",)):
                continue  # the committed links
            names.add(".".join((package, *folder.parts)))
    return names


def test_hand_written_package_list_equals_the_folders(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    listed = settings["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == _packages_there(repository)


def test_every_package_has_an_init(repository: Path) -> None:
    for name in _packages_there(repository):
        folder = repository / name.replace("nmlbridge.simulator", "simulator").replace(
            "nmlbridge.converters", "converters"
        ).replace(".", "/")
        assert (folder / "__init__.py").is_file(), f"{folder} has no __init__.py"


@pytest.mark.parametrize("name", ["simulator", "converters"])
def test_a_mapped_folder_cannot_be_imported_under_its_short_name(name: str, repository: Path) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=repository, capture_output=True, text=True)
    assert done.returncode != 0
    assert "ImportError" in done.stderr


@pytest.mark.parametrize("name", ["simulator", "converters"])
def test_the_links_in_the_package_point_at_the_folders(name: str, repository: Path) -> None:
    link = repository / "nmlbridge" / name
    assert link.is_symlink()
    assert link.resolve() == repository / name


def test_the_wheel_puts_one_name_into_site_packages(repository: Path, tmp_path: Path) -> None:
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building without isolation needs setuptools 77 or newer, as the extra 'dev' has it")
    source = tmp_path / "source"  # a build leaves its traces where it runs
    unwanted = ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", "output")
    copytree(repository, source, symlinks=True, ignore=unwanted)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("nmlbridge-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nmlbridge"}
    built = {name for name in names if name.endswith(".py")}
    for package in _packages_there(repository):
        assert f"{package.replace('.', '/')}/__init__.py" in built
    assert "nmlbridge/py.typed" in names
