"""Batch scripts that ask a scheduler for what a run will take.

Slurm (https://slurm.schedmd.com/sbatch.html), PBS Professional and OpenPBS (qsub(1B), pbs_resources(7B)) and Grid
Engine (qsub(1), queue_conf(5): limits of memory are for each slot, that of time is not).
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ...errors import UsageError
from .predict import Plan

SCHEDULERS = ("slurm", "pbs", "sge")
SAFETY = 2.0  # of time and memory, since clusters' processors and networks differ from this machine's
_LEAST_MINUTES, _LEAST_MB = 10, 500
_MAPPED = 500  # MB of addresses beyond the memory in use, for Grid Engine, which limits those


def batch_script(found: Plan, scheduler: str, arguments: Sequence[str] = (), output: str = "results") -> str:
    """The text of a script that runs the planned model, with room to spare, and goes on where an earlier run ended.

    ``arguments`` are further options of ``nmlbridge run``. Raises UsageError for a scheduler that is not known, or a
    name with a line break.
    """
    if scheduler not in SCHEDULERS:
        raise UsageError(f"there is no scheduler '{scheduler}'; there are {', '.join(SCHEDULERS)}")
    if any(not part.isprintable() for part in (found.model, output, *arguments)):
        raise UsageError("a name in a batch script must be of printable characters")
    minutes = max(_LEAST_MINUTES, math.ceil(found.seconds * SAFETY / 60))
    parent = found.parent_memory / found.ranks  # one process starts the others
    memory = max(_LEAST_MB, math.ceil((float(found.memory.max()) + parent) * SAFETY / 100) * 100)
    name = "".join(
        c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in Path(found.model).name.split(".")[0]
    )
    name = ("n" + name if not name[:1].isalpha() else name)[:40]
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
    head = {
        "slurm": [
            f"#SBATCH --job-name={name}", f"#SBATCH --ntasks={found.ranks}", f"#SBATCH --mem-per-cpu={memory}M",
            f"#SBATCH --time={clock}", "#SBATCH --cpus-per-task=1",
        ],
        "pbs": [
            f"#PBS -N {name[:15]}", f"#PBS -l select={found.ranks}:ncpus=1:mpiprocs=1:mem={memory}mb",
            f"#PBS -l walltime={clock}", "#PBS -j oe", "#PBS -S /bin/bash",  # else the login shell, whatever #! says
        ],
        "sge": [
            f"#$ -N {name}", *([f"#$ -pe mpi {found.ranks}"] if found.ranks > 1 else []), "#$ -cwd", "#$ -j y",
            f"#$ -l h_vmem={memory + _MAPPED}M", f"#$ -l h_rt={clock}", "#$ -S /bin/bash",
        ],
    }[scheduler]  # fmt: skip
    every = max(found.duration / 10, found.duration * 60 / max(found.seconds, 1e-9) if found.seconds > 600 else 0)
    model = f"./{found.model}" if found.model.startswith("-") else found.model  # not an option
    command = ["nmlbridge", "run", model, "-o", output, "-n", str(found.ranks), *arguments]
    if "coreneuron" not in arguments:  # which keeps none
        command += ["--checkpoint", f"{every:.6g}ms", "--resume"]
    folder = {"slurm": "$SLURM_SUBMIT_DIR", "pbs": "$PBS_O_WORKDIR"}.get(scheduler)
    lines = [
        "#!/bin/bash",
        *head,
        "",
        f"# foreseen: {found.seconds:.0f} s in all, at most {float(found.memory.max()):.0f} MB a rank,"
        f" {found.disk:.0f} MB on disk; asked for is {SAFETY:g} times that",
        "set -euo pipefail",
        f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"',  # PBS and SGE start with an empty one
        *([f'cd "{folder}"'] if folder else []),
        " ".join(shlex.quote(word) for word in command),
    ]
    return "\n".join(lines) + "\n"
