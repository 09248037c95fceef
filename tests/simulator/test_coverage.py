"""The table of what runs: complete, the same in the docs, and what it refuses is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import nmlbridge
from nmlbridge.cli import main
from nmlbridge.errors import UnsupportedError
from nmlbridge.lems import load_core
from nmlbridge.simulator import coverage

from . import models


def test_every_type_of_the_core_is_in_one_row() -> None:
    known = [name for row in coverage.TABLE for name in row.types]
    assert len(known) == len(set(known))
    library = load_core()
    installed = {name for name in library.type_names if not name.startswith("base")}  # there to be extended
    assert installed == set(known)


def test_the_docs_show_the_table(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats", "--types"]) == 0
    assert capsys.readouterr().out == (repository / "docs" / "coverage.md").read_text()


def test_what_the_table_refuses_is_refused(tmp_path: Path) -> None:
    varied = (
        '<channelDensityNonUniform id="sloped" ionChannel="pas" erev="-65mV" ion="non_specific"><variableParameter '
        'parameter="condDensity" segmentGroup="g"><inhomogeneousValue inhomogeneousParameter="far" value="0.02*p"/>'
        "</variableParameter></channelDensityNonUniform>"
    )
    shape = models.cable("c", 100, 2, 3).replace('id="dend"', 'id="g"').replace(
        '<member segment="0"/>',
        '<member segment="0"/><inhomogeneousParameter id="far" variable="p" metric="Path Length from root"/>',
    )  # fmt: skip
    file = models.put(
        tmp_path, models.PASSIVE + models.cell("c", varied, shape), '<population id="p" component="c" size="1"/>',
        {"v": "p[0]/v"}, 1, 0.1,
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"net.nml:\d+.*sloped.*channelDensityNonUniform"):
        nmlbridge.simulate(file, backend="reference")
