"""SBML in: the trajectories are those of libroadrunner or of SciPy; what LEMS does not express is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import read
from nmlbridge.errors import ModelError, UnsupportedError
from nmlbridge.simulator.run import simulate_reference

pytest.importorskip("libsbml")

MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model id="m">
<listOfCompartments><compartment id="c" size="2" constant="true"/></listOfCompartments>
<listOfSpecies>
 <species id="A" compartment="c" initialConcentration="3" hasOnlySubstanceUnits="false" boundaryCondition="false"
  constant="false"/>
 <species id="B" compartment="c" initialAmount="0.5" hasOnlySubstanceUnits="true" boundaryCondition="false"
  constant="false"/></listOfSpecies>
<listOfParameters><parameter id="k" value="0.3" constant="true"/><parameter id="t" value="0.05" constant="true"/>
 <parameter id="x" value="1" constant="false"/><parameter id="y" constant="false"/></listOfParameters>
<listOfInitialAssignments><initialAssignment symbol="x">MATH<apply><times/><ci>k</ci><cn>2</cn></apply>END
 </initialAssignment></listOfInitialAssignments>
<listOfRules>
 <rateRule variable="x">MATH<apply><minus/><apply><sin/><csymbol encoding="text"
   definitionURL="http://www.sbml.org/sbml/symbols/time">time</csymbol></apply><ci>x</ci></apply>END</rateRule>
 <assignmentRule variable="y">MATH<piecewise><piece><cn>1</cn><apply><gt/><ci>A</ci><cn>1.5</cn></apply></piece>
   <otherwise><ci>x</ci></otherwise></piecewise>END</assignmentRule></listOfRules>
<listOfReactions><reaction id="r" reversible="false" fast="false">
 <listOfReactants><speciesReference species="A" stoichiometry="2" constant="true"/></listOfReactants>
 <listOfProducts><speciesReference species="B" stoichiometry="1" constant="true"/></listOfProducts>
 <kineticLaw>MATH<apply><times/><ci>c</ci><ci>k</ci><ci>A</ci></apply>END</kineticLaw></reaction>
 <reaction id="d" reversible="false" fast="false">
 <listOfReactants><speciesReference species="B" stoichiometry="1" constant="true"/></listOfReactants>
 <kineticLaw>MATH<apply><times/><ci>t</ci><ci>B</ci></apply>END</kineticLaw></reaction></listOfReactions>
<listOfEvents><event useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">
 MATH<apply><lt/><ci>A</ci><cn>1</cn></apply>END</trigger>
 <listOfEventAssignments><eventAssignment variable="A">MATH<apply><plus/><ci>A</ci><cn>2</cn></apply>END
 </eventAssignment></listOfEventAssignments></event></listOfEvents></model></sbml>"""


def written(folder: Path, text: str = MODEL) -> Path:
    path = folder / "model.sbml"
    path.write_text(text.replace("MATH", '<math xmlns="http://www.w3.org/1998/Math/MathML">').replace("END", "</math>"))
    return path


def test_trajectories_are_the_equations(tmp_path: Path) -> None:
    """A halves at rate 2k and gets 2 whenever it falls below 1: both have a closed form; B and x are quadratures."""
    traces = simulate_reference(written(tmp_path)).traces
    column = {name.rpartition("/")[2]: traces.values[n] for n, name in enumerate(traces.quantities)}
    time, k = traces.time, 0.3
    first = np.log(3.0) / (2 * k)  # from 3 to 1, and then each time so: 1 + 2 = 3
    expected = 3 * np.exp(-2 * k * np.mod(time, first))
    away = np.abs(np.mod(time + first / 2, first) - first / 2) > 0.02
    assert np.allclose(column["A"][away], expected[away], rtol=0.02)  # the event is found within a step of 0.01
    x = (0.6 + 0.5) * np.exp(-time) + (np.sin(time) - np.cos(time)) / 2
    assert np.allclose(column["x"], x, atol=1e-6)
    assert np.array_equal(column["y"][away], np.where(column["A"] > 1.5, 1.0, column["x"])[away])


def test_libsedml_in_the_same_process_changes_nothing(tmp_path: Path) -> None:
    """Loaded after libSBML it takes over the class of formulas, whose kinds are then no numbers."""
    pytest.importorskip("libsedml")
    reading = "import sys, pathlib; from nmlbridge.converters.sbml import read; print(read(pathlib.Path(sys.argv[1])))"
    path = written(tmp_path)

    def printed(script: str) -> str:
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        return done.stdout

    assert printed("import libsbml, libsedml; " + reading) == printed(reading)


def test_roadrunner_agrees(tmp_path: Path) -> None:
    roadrunner = pytest.importorskip("roadrunner")
    path = written(tmp_path)
    runner = roadrunner.RoadRunner(str(path))
    theirs = runner.simulate(0, 20, 2001, ["time", "[A]", "B", "x"])
    traces = simulate_reference(path).traces
    column = {name.rpartition("/")[2]: traces.values[n] for n, name in enumerate(traces.quantities)}
    for n, name in ((2, "B"), (3, "x")):
        assert np.allclose(np.interp(theirs[:, 0], traces.time, column[name]), theirs[:, n], rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("<sin/>", "<arccos/>", "no counterpart"),
    ("<rateRule variable=\"x\">", "<algebraicRule>", None),
    ("</sbml>", "", None),
])  # fmt: skip
def test_what_cannot_be_read_is_one_error(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    path = written(tmp_path, MODEL.replace(old, new))
    with pytest.raises((UnsupportedError, ModelError), match=message) as raised:
        read(path)
    assert "\n" not in str(raised.value) and "model.sbml" in str(raised.value)


def test_external_entities_are_refused(tmp_path: Path) -> None:
    evil = MODEL.replace("<sbml ", '<!DOCTYPE sbml [<!ENTITY x SYSTEM "file:///etc/passwd">]><sbml ', 1)
    with pytest.raises(ModelError, match="DOCTYPE"):
        read(written(tmp_path, evil), format="sbml")
