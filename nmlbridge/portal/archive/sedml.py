"""The experiment of a LEMS Simulation as SED-ML: its length, its outputs as reports, its displays as plots.

SED-ML Level 1 Version 3 (https://sed-ml.org), with LEMS as the language of the model and LEMS paths as the targets, as
jNeuroML and BioSimulators have it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from ...lems import Component
from ...report import Report
from ...results import Outputs

EULER, CVODE = "KISAO:0000030", "KISAO:0000019"
_MATH = "http://www.w3.org/1998/Math/MathML"
_TIME = "urn:sedml:symbol:time"


def sedml_text(
    source: str, simulation: Component, outputs: Outputs, report: Report, algorithm: str | None = None
) -> bytes:
    """A SED-ML document that runs ``source`` (a LEMS file beside it) as its ``simulation`` says.

    ``algorithm`` is a KiSAO term; without it, fixed steps (explicit Euler's term, as for any LEMS step) or, where the
    document asks for variable steps, CVODE's. Event files, which SED-ML has no word for, are noted as a loss.
    """
    step, length = simulation.parameters["step"], simulation.parameters["length"]
    variable = any(m.texts.get("method") == "cvode" for m in simulation.children_of("metas"))
    term = algorithm or (CVODE if variable else EULER)
    for events in outputs.event_files:
        report.add(
            "sedml-no-events",
            "loss",
            f"the event file '{events.name}' has no counterpart in SED-ML",
            file=events.place.file,
            line=events.place.line,
            component=events.id,
        )
    names = _Names()
    points = math.ceil(length / step - 1e-9)
    generators: dict[str, str] = {}
    for quantity in dict.fromkeys([_TIME, *outputs.quantities()]):
        generators[quantity] = names.new("time" if quantity == _TIME else f"q_{quantity}")
    body = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<sedML xmlns="http://sed-ml.org/sed-ml/level1/version3" level="1" version="3">',
        "  <listOfSimulations>",
        f'    <uniformTimeCourse id="course" initialTime="0" outputStartTime="0" outputEndTime="{length:.12g}" '
        f'numberOfPoints="{points}">',
        f'      <algorithm kisaoID="{term}"/>',
        "    </uniformTimeCourse>",
        "  </listOfSimulations>",
        "  <listOfModels>",
        f'    <model id="model" language="urn:sedml:language:lems" source={quoteattr(source)}/>',
        "  </listOfModels>",
        "  <listOfTasks>",
        '    <task id="task" modelReference="model" simulationReference="course"/>',
        "  </listOfTasks>",
        "  <listOfDataGenerators>",
        *(line for quantity, id in generators.items() for line in _generator(quantity, id)),
        "  </listOfDataGenerators>",
        *_outputs(outputs, generators, names),
        "</sedML>",
        "",
    ]
    return "\n".join(body).encode()


class _Names:
    """Ids that are letters, digits and underscores, each once."""

    def __init__(self) -> None:
        self.taken = {"course", "model", "task"}

    def new(self, text: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "x"
        base = base if not base[0].isdigit() else f"_{base}"
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name


def _generator(quantity: str, id: str) -> Iterable[str]:
    where = f'symbol="{_TIME}"' if quantity == _TIME else f"target={quoteattr(quantity)}"
    label = "time" if quantity == _TIME else quantity
    return (
        f'    <dataGenerator id="{id}" name={quoteattr(label)}>',
        "      <listOfVariables>",
        f'        <variable id="{id}_value" {where} taskReference="task"/>',
        "      </listOfVariables>",
        f'      <math xmlns="{_MATH}"><ci>{id}_value</ci></math>',
        "    </dataGenerator>",
    )


def _outputs(outputs: Outputs, generators: dict[str, str], names: _Names) -> list[str]:
    lines = []
    for file in outputs.files:
        id = names.new(f"report_{file.id}")
        lines += [f'    <report id="{id}" name={quoteattr(file.name)}>', "      <listOfDataSets>"]
        for label, quantity in (("time", _TIME), *file.columns):
            lines.append(
                f'        <dataSet id="{names.new(f"{id}_{label}")}" label={quoteattr(label)} '
                f'dataReference="{generators[quantity]}"/>'
            )
        lines += ["      </listOfDataSets>", "    </report>"]
    for display in outputs.displays:
        if not display.lines:
            continue
        id = names.new(f"plot_{display.id}")
        lines += [f'    <plot2D id="{id}" name={quoteattr(display.title)}>', "      <listOfCurves>"]
        for line in display.lines:
            own = names.new(f"{id}_{line.id}")
            lines.append(
                f'        <curve id="{own}" name={quoteattr(line.id)} logX="false" logY="false" '
                f'xDataReference="{generators[_TIME]}" yDataReference="{generators[line.quantity]}"/>'
            )
        lines += ["      </listOfCurves>", "    </plot2D>"]
    return ["  <listOfOutputs>", *lines, "  </listOfOutputs>"] if lines else []
