"""What benchmarks share: a command run in a fresh copy of a model's folder, with the time and memory that it took."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus"
Made = TypeVar("Made")


@dataclass(frozen=True)
class Usage:
    """Of a command and all processes that it started: seconds by the clock and of processors, MB of the largest."""

    wall: float
    cpu: float
    peak: float


def find_pynml(given: str | None) -> Path | None:
    """pynml: the given one, that of this Python, or that of the path; None without Java or pynml."""
    near = Path(sys.executable).with_name("pynml")
    found = given or (str(near) if near.is_file() else shutil.which("pynml"))
    return Path(found).resolve() if found and shutil.which("java") else None


def in_a_copy(
    command: Sequence[str], root: Path, model: str, cache: Path, look: Callable[[Path], Made], home: Path | None = None,
    folders: Sequence[str] = (),
) -> tuple[Usage, Made]:
    """Run ``command`` beside ``model`` in a copy of ``root`` that is thrown away; ``look`` at that folder afterwards.

    ``home`` is the folder of the environment whose NEURON is to be used, ``folders`` are made beside the model.
    Ends this program if the command fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, root.name)
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("x86_64", "arm64", ".git"))
        environment = os.environ | {"NMLBRIDGE_CACHE": str(cache)}
        if home is not None:
            environment |= {"NEURON_HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ.get('PATH', '')}"}
        folder = (copy / model).parent
        for name in folders:
            (folder / name).mkdir(parents=True, exist_ok=True)
        with open(Path(scratch, "said"), "w+") as said:
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.perf_counter() - start
            if process.returncode:
                said.seek(0)
                sys.exit(f"{' '.join(command)} failed for {model}:\n{said.read()[-3000:]}")
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit), look(folder)
