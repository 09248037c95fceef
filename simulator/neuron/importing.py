"""Runs hoc or Python that builds cells, and writes down what is there: ``python -m ... REQUEST ANSWER`` (JSON files).

The request has "file", "library" (compiled mechanisms or null), "template" (a name or null), "arguments" of it, and
"left_open" (as ``extract`` takes it). The answer is what ``live.extract`` says, or has "error" and "line". What the
model prints goes to standard error.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

from .live import extract

_TEMPLATE = re.compile(r"^\s*begintemplate\s+(\w+)", re.M)


class NoModel(Exception):
    """The file builds nothing, and it cannot be told what it should."""


def main(request: Path, answer: Path) -> int:
    """Answer one request; the code is not zero if the model's own code failed."""
    asked = json.loads(request.read_text())
    file = Path(asked["file"])
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui -nobanner"
    from neuron import h  # in a folder that holds no compiled mechanisms of anyone

    if asked["library"] is not None and not h.nrn_load_dll(asked["library"]):
        answer.write_text(json.dumps({"error": "NEURON does not load the compiled mechanisms", "line": None}))
        return 1
    os.chdir(file.parent)
    sys.path.insert(0, str(file.parent))
    sys.argv = [str(file)]
    try:
        h.load_file("stdrun.hoc")
        defined = _load(h, file)
        made, before = None, [str(section) for section in h.allsec()]
        if asked["template"] is not None or not before:
            made = _instance(h, file, defined, asked["template"], asked["arguments"])
        found = extract(h, but=before if made is not None else (), left_open=asked["left_open"])
        del defined, made  # which have kept the model alive
    except BaseException as fault:  # whatever the code does: that it exits, too
        answer.write_text(json.dumps(_fault(fault, file)))
        return 1
    answer.write_text(json.dumps(found))
    return 0


def _load(h: Any, file: Path) -> dict[str, Any]:
    """Run the file; what it defines, which keeps what it made alive."""
    if file.suffix.lower() == ".py":
        return dict(runpy.run_path(str(file), run_name=file.stem))
    if not h.load_file(1, str(file)):
        raise NoModel("NEURON does not load the file")
    return {}


def _instance(h: Any, file: Path, defined: dict[str, Any], wanted: str | None, arguments: list[Any]) -> Any:
    """A cell of the template that the file defines."""
    if file.suffix.lower() == ".py":
        kinds = inspect.isclass if wanted is None else callable  # of functions only the user knows what they are for
        found = {n: v for n, v in defined.items() if kinds(v) and getattr(v, "__module__", None) == file.stem}
    else:
        names = _TEMPLATE.findall(file.read_text(errors="replace"))
        found = {name: getattr(h, name) for name in names}
    if wanted is not None and wanted not in found:
        raise NoModel(f"there is no template '{wanted}'; there are {', '.join(found) or 'none'}")
    if wanted is None and len(found) != 1:
        several = f"several templates ({', '.join(found)}); make a cell of one in a file of its own, or name one"
        raise NoModel(f"the file makes no sections, and defines {several if found else 'no template'}")
    return found[wanted or next(iter(found))](*arguments)


def _fault(fault: BaseException, file: Path) -> dict[str, Any]:
    line = None
    trace = fault.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(fault, SyntaxError) and fault.filename == str(file):
        line = fault.lineno
    kind = "" if isinstance(fault, NoModel) else f"{type(fault).__name__}: "
    return {"error": f"{kind}{fault}", "line": line}


if __name__ == "__main__":
    stream = os.dup(1)
    os.dup2(2, 1)  # the answer is a file, and what the model prints is no answer
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
