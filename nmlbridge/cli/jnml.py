"""A stand-in for the command ``jnml``: what OMV and scripts ask of jNeuroML is answered by nmlbridge.

``JNML_HOME`` names the folder of ``jnml``. OMV calls it without a PATH, so the script names its interpreter.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError

METHOD = "NMLBRIDGE_METHOD"
"""Environment variable: the integration method instead of "compat", which ``-neuron`` means."""
_RUN = {"-nogui", "-run", "-netpyne", "-neuron", "-eden", "-brian2", "-json", "-compile"}
_VALUE = {"-np", "-outputdir", "-I", "-verbose", "-java_max_memory"}
_SCRIPT = """\
#!{python}
import sys

sys.path[:0] = {path!r}
from nmlbridge.cli.jnml import main

sys.exit(main(sys.argv[1:]))
"""


def install(folder: Path) -> Path:
    """Write the command ``jnml`` into ``folder`` and return its path. Raises UsageError if another one is there."""
    script = folder / "jnml"
    if script.exists() and b"nmlbridge" not in script.read_bytes():
        raise UsageError(f"'{script}' is another program; choose a folder of its own for the stand-in")
    folder.mkdir(parents=True, exist_ok=True)
    package = str(Path(__file__).parents[2])
    script.write_text(_SCRIPT.format(python=sys.executable, path=[package]))
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return script


def arguments(words: Sequence[str]) -> list[str]:
    """The command line of nmlbridge that does what ``jnml WORDS`` does. Raises UsageError for what is not offered."""
    flags, files, values = set(), [], {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _VALUE:
            if not rest:
                raise UsageError(f"jnml {word} needs a value")
            values[word] = rest.pop(0)
        elif word.startswith("-"):
            flags.add(word)
        else:
            files.append(word)
    if flags & {"-v", "-version", "--version"}:
        return ["--version"]
    if not files:
        raise UsageError("jnml needs a LEMS or NeuroML file")
    if flags & {"-validate", "-validatev1"}:
        return ["validate", *files]
    strange = flags - _RUN
    if strange:
        raise UsageError(f"this stand-in for jnml does not offer {', '.join(sorted(strange))}; see nmlbridge --help")
    if flags & {"-neuron", "-netpyne", "-eden", "-brian2"} and "-run" not in flags:
        raise UsageError("this stand-in for jnml runs models (-run); it leaves no generated code")
    if len(files) > 1:
        raise UsageError(f"jnml runs one file, got {', '.join(files)}")
    method = os.environ.get(METHOD) or ("compat" if "-neuron" in flags else None)
    command = ["run", files[0], "-n", values.get("-np", "1")]
    if "-outputdir" in values:
        command += ["-o", values["-outputdir"]]
    return command + (["--method", method] if method else [])


def main(words: Sequence[str]) -> int:
    """Run the command that the words mean; the exit code."""
    from . import main as nmlbridge

    try:
        command = arguments(words)
    except UsageError as error:
        sys.stderr.write(f"jnml (nmlbridge): {error}\n")
        return error.exit_code
    return nmlbridge(command)
