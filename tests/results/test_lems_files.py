"""The files of a LEMS Simulation: what they hold, and where they may go."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nmlbridge.errors import ModelError
from nmlbridge.files import atomic
from nmlbridge.results import EventOutputFile, OutputFile, Outputs, Results, SpikeTrains, Traces, write_lems
from nmlbridge.results.lems import output_paths
from nmlbridge.results.outputs import Place

PLACE = Place("LEMS_x.xml", 12, "of0")
RESULTS = Results(
    Traces(np.array([0.0, 2.5e-5]), np.array([[-0.065, -0.064], [1.0, 2.0]]), ("p[0]/v", "p[0]/n")),
    SpikeTrains(np.array([4, 3, 4]), np.array([0.1, 0.2, 0.3]), {"p": (3, 2)}),
)


def _one(name: str) -> Outputs:
    return Outputs(files=(OutputFile("of0", name, (("v", "p[0]/v"),), PLACE),))


def test_a_table_has_time_first_and_the_columns_in_order(tmp_path: Path) -> None:
    columns = (("n", "p[0]/n"), ("v", "p[0]/v"))
    (path,) = write_lems(RESULTS, tmp_path, Outputs(files=(OutputFile("of0", "deep/er/x.dat", columns, PLACE),)))
    assert path == tmp_path / "deep" / "er" / "x.dat"
    assert path.read_text() == (
        "0.000000000e+00\t1.000000000e+00\t-6.500000000e-02\n2.500000000e-05\t2.000000000e+00\t-6.400000000e-02\n"
    )


@pytest.mark.parametrize(
    ("format", "text"),
    [("ID_TIME", "b\t0.1\na\t0.2\nb\t0.3\n"), ("TIME_ID", "0.1\tb\n0.2\ta\n0.3\tb\n")],
)
def test_events_stand_by_time_under_the_ids_of_the_document(format: str, text: str, tmp_path: Path) -> None:
    events = EventOutputFile("e", "x.spikes", format, (("a", "p[0]", "spike"), ("b", "p[1]", "spike")), PLACE)
    (path,) = write_lems(RESULTS, tmp_path, Outputs(event_files=(events,)), gids={"p[0]": 3, "p[1]": 4})
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["/tmp/x.dat", "../x.dat", "a/../../x.dat", "..", ".", "", "a/", "x\0.dat", "x\n.dat"])
def test_a_path_that_leaves_the_folder_is_an_error_with_its_place(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"LEMS_x.xml:12: component 'of0': "):
        output_paths(_one(name), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "out").symlink_to(tmp_path)
    with pytest.raises(ModelError, match="leaves the output folder"):
        output_paths(_one("out/x.dat"), inside)


def test_dots_that_stay_inside_are_fine(tmp_path: Path) -> None:
    assert output_paths(_one("./a/../x.dat"), tmp_path) == {"./a/../x.dat": tmp_path / "x.dat"}


def test_two_outputs_cannot_share_a_file(tmp_path: Path) -> None:
    both = Outputs(files=(*_one("x.dat").files, *_one("./x.dat").files))
    with pytest.raises(ModelError, match="another output"):
        output_paths(both, tmp_path)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as stream:
        stream.write(b"half of it")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.dat"]


def test_quantities_are_recorded_once() -> None:
    outputs = Outputs(files=(*_one("a").files, *_one("b").files))
    assert outputs.quantities() == ["p[0]/v"]
