"""The texts of a repository: README, citation, workflow, the portal's own files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import yaml

from ..about import About


@dataclass(frozen=True)
class Layout:
    """What a repository has: paths relative to its top. ``repository`` is OWNER/NAME on GitHub."""

    repository: str
    main: str
    models: tuple[str, ...]
    tests: tuple[str, ...] = ()
    nwb: str | None = None
    notebook: str | None = None
    npjson: bool = False
    project: str | None = None
    branch: str = "main"


def readme(about: About, layout: Layout, facts: Sequence[str]) -> str:
    """README.md: what the model is, where it comes from, what is in the repository, how it is run."""
    home = f"https://github.com/{layout.repository}"
    badges = [f"[![OMV]({home}/actions/workflows/omv-ci.yml/badge.svg)]({home}/actions/workflows/omv-ci.yml)"]
    if layout.nwb:
        raw = f"https://raw.githubusercontent.com/{layout.repository}/{layout.branch}/{quote(layout.nwb)}"
        badges.append("[![NWB Explorer](https://img.shields.io/badge/NWB_Explorer-open-blue)]"
                      f"(http://nwbexplorer.opensourcebrain.org/nwbfile={raw})")  # fmt: skip
    parts = [f"# {about.title}", "\n".join(badges), about.description]
    if facts:
        parts.append("\n".join(f"- {fact}" for fact in facts))
    origin = _origin(about)
    if origin:
        parts.append("## Where it comes from\n\n" + "\n".join(f"- {line}" for line in origin))
    parts.append("## What is here\n\n" + _table(layout))
    parts.append(
        "## How to run it\n\n"
        f"With nmlbridge and NEURON:\n\n```\nnmlbridge run {layout.main}\n```\n\n"
        "With [jNeuroML](https://github.com/NeuroML/jNeuroML) and NEURON:\n\n"
        f"```\njnml {layout.main} -neuron -nogui -run\n```\n\n" + _alone(layout) +
        "The tests compare the model with values that were measured when this repository was made "
        "([OMV](https://github.com/OpenSourceBrain/osb-model-validation)):\n\n```\nomv all\n```"
    )
    parts.append(
        "## Reusing this model\n\nWhat is in this repository is provided under the terms of its [licence](LICENSE). "
        "If you use the model in your research, please cite it as [CITATION.md](CITATION.md) says."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _alone(layout: Layout) -> str:
    """How the NEURON project is run, if there is one."""
    return f"With NEURON alone:\n\n```\npython {layout.project}\n```\n\n" if layout.project else ""


def _origin(about: About) -> list[str]:
    lines = [f"Publication: https://doi.org/{about.doi}"] if about.doi else []
    if about.source:
        lines.append(f"Source: {about.source}")
    lines += [f"{_spoken(relation)}: {link}" for link, relation in about.links if link not in (about.source,)]
    if about.authors:
        lines.append("By " + ", ".join(f"[{a.name}](https://orcid.org/{a.orcid})" if a.orcid else a.name
                                       for a in about.authors))  # fmt: skip
    return lines


def _spoken(relation: str) -> str:
    """isVersionOf: Is version of."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in relation)
    return words[:1].upper() + words[1:] if words else "See"


def _table(layout: Layout) -> str:
    rows = [(layout.main, "the simulation"), *((name, "part of the model") for name in layout.models)]
    rows += [(name, "a test of Open Source Brain's model validation") for name in layout.tests]
    if layout.nwb:
        rows.append((layout.nwb, "results of the simulation, Neurodata Without Borders"))
    if layout.notebook:
        rows.append((layout.notebook, "runs the model and draws its results"))
    if layout.project:
        rows.append((layout.project, "the model for NEURON alone, with the random numbers of the tests"))
    if layout.npjson:
        rows.append(("index.npjson", "opens the model in NetPyNE UI"))
    lines = [f"| [{name}]({quote(name)}) | {what} |" for name, what in rows]
    return "\n".join(["| file | |", "|---|---|", *lines])


def citation_md(about: About, layout: Layout) -> str:
    """CITATION.md in the form that repositories of Open Source Brain have."""
    original = f"https://doi.org/{about.doi}" if about.doi else "none is known; please cite this repository"
    parts = [
        "## Citing this model",
        "If you use this model in your research, please cite:",
        f"**The publication upon which this model is based**\n\n- {original}",
    ]
    if about.source:
        parts.append(f"**The source of this model**\n\n- {about.source}")
    parts.append(f"**This repository**\n\n- {_names(about)}. {about.title}. https://github.com/{layout.repository}")
    return "\n\n".join(parts) + "\n"


def _names(about: About) -> str:
    return ", ".join(a.name for a in about.authors) or f"The authors of {about.title}"


def citation_cff(about: About, layout: Layout) -> str:
    """CITATION.cff, which GitHub shows: https://citation-file-format.github.io, version 1.2.0."""
    people: list[dict[str, str]] = []
    for a in about.authors:
        person = {"family-names": a.family, "given-names": a.given}
        if a.orcid:
            person["orcid"] = f"https://orcid.org/{a.orcid}"
        people.append({key: value for key, value in person.items() if value})
    content: dict[str, object] = {
        "cff-version": "1.2.0",
        "message": "If you use this model, please cite it as below.",
        "title": about.title,
        "type": "software",
        "authors": people or [{"name": f"The authors of {about.title}"}],
        "repository-code": f"https://github.com/{layout.repository}",
    }
    if about.description:
        content["abstract"] = about.description
    if about.keywords:
        content["keywords"] = list(about.keywords)
    if about.license:
        content["license"] = about.license
    if about.doi:
        content["references"] = [
            {"type": "article", "title": f"The publication of {about.title}", "doi": about.doi,
             "authors": [dict(person) for person in people] or [{"name": f"The authors of {about.title}"}]}
        ]  # fmt: skip
    return yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)


def workflow(engines: Sequence[str]) -> str:
    """.github/workflows/omv-ci.yml: the tests on GitHub, for each engine."""
    listed = ", ".join(engines)
    return f"""\
name: Continuous builds using OMV

on:
  push:
    branches: [main, master, development]
  pull_request:
  workflow_dispatch:

jobs:
  omv:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    strategy:
      fail-fast: false
      matrix:
        engine: [{listed}]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install git+https://github.com/OpenSourceBrain/osb-model-validation scipy sympy matplotlib
      - run: omv all -V --engine=${{{{ matrix.engine }}}}
      - run: omv list -V
"""


def osb_yml(main_model: str) -> str:
    """_osb.yml, which the first version of the portal reads."""
    return yaml.safe_dump({"mainModel": main_model}, sort_keys=False)


def notebook(about: About, layout: Layout, outputs: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A notebook that runs the model with pyNeuroML, draws what it wrote, and saves that as NWB.

    Its code runs on Python 3.9 with what Open Source Brain's JupyterLab has: pyNeuroML, NEURON, numpy, matplotlib,
    pynwb. ``outputs`` are (file, names of its columns), the files relative to the LEMS file.
    """
    folder, _, lems = layout.main.rpartition("/")
    files = {name: list(columns) for name, columns in outputs}
    cells = [
        _markdown(f"# {about.title}\n\n{about.description}".strip()),
        _code(
            "import os\n\nimport matplotlib.pyplot as plt\nimport numpy as np\nfrom pyneuroml import pynml\n\n"
            f"FOLDER, LEMS = {folder or '.'!r}, {lems!r}\n"
            "here = os.getcwd()\n"
            f"if not os.path.exists(os.path.join(here, FOLDER, LEMS)):\n"
            '    raise SystemExit("open this notebook in the top folder of the repository")'
        ),
        _markdown("## Run"),
        _code(
            "os.chdir(os.path.join(here, FOLDER))\n"
            "try:\n"
            "    ok = pynml.run_lems_with_jneuroml_neuron(LEMS, nogui=True, plot=False, load_saved_data=False)\n"
            "finally:\n"
            "    os.chdir(here)\n"
            'assert ok, "the simulation failed"'
        ),
        _markdown("## Plot"),
        _code(
            f"FILES = {json.dumps(files, indent=4)}\n"
            "tables = {name: np.loadtxt(os.path.join(here, FOLDER, name), ndmin=2) for name in FILES}\n"
            "for name, table in tables.items():\n"
            "    plt.figure(figsize=(9, 3))\n"
            "    for number, column in enumerate(FILES[name], 1):\n"
            "        plt.plot(table[:, 0] * 1e3, table[:, number], label=column)\n"
            '    plt.xlabel("time (ms)")\n'
            "    plt.title(name)\n"
            "    plt.legend(fontsize=7)\n"
            "plt.show()"
        ),
        _markdown("## Save as Neurodata Without Borders"),
        _code(
            "from datetime import datetime, timezone\n"
            "from pynwb import NWBHDF5IO, NWBFile, TimeSeries\n\n"
            f"nwb = NWBFile(session_description={about.title!r}, identifier={layout.repository!r},\n"
            "              session_start_time=datetime.now(timezone.utc), keywords=['simulation', 'NeuroML'])\n"
            "for name, table in tables.items():\n"
            "    for number, column in enumerate(FILES[name], 1):\n"
            "        label = ''.join(c if c.isalnum() else '_' for c in name + '_' + column)\n"
            "        nwb.add_acquisition(TimeSeries(\n"
            "            name=label, data=table[:, number], timestamps=table[:, 0], unit='SI',\n"
            "            description='column ' + column + ' of ' + name))\n"
            "with NWBHDF5IO('from_notebook.nwb', 'w') as io:\n"
            "    io.write(nwb)"
        ),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    content = {
        "cells": cells,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                     "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    return json.dumps(content, indent=1) + "\n"


def _markdown(text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, object]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
            "source": text.splitlines(keepends=True)}  # fmt: skip
