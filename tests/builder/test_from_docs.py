"""What docs/rules.md shows is so: its YAML has only words that there are, its Python runs as it is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nmlbridge.builder import Specification


def blocks(repository: Path, language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", (repository / "docs" / "rules.md").read_text(), re.DOTALL)
    assert found
    return list(found)


def test_the_yaml_is_a_specification(repository: Path) -> None:
    for text in blocks(repository, "yaml"):
        data = yaml.safe_load(text)
        if "biophysics" in data:
            data = {"cells": {"c": {"sections": {"soma": {"length": 9, "diameter": 9}}, **data}}}
        data.setdefault("populations", {})
        again = Specification.parse(Specification.of(data).to_yaml())
        assert again.to_dict().keys() >= data.keys()


@pytest.mark.neuron
def test_ten_lines_from_rules_to_a_raster(repository: Path, tmp_path: Path) -> None:
    (script,) = (text for text in blocks(repository, "python") if "raster.png" in text)
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    script += "print(len(results.spikes.time))\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
    assert (tmp_path / "raster.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["raster.png"]
