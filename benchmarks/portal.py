"""What is exported for Open Source Brain, judged by the programs that it is for, each as it is published.

    python benchmarks/portal.py [--envs FOLDER]

WangBuzsaki1996 and examples/01 are exported; then, of each: stock `omv all` in a clean copy, whose `jnml` is
pyNeuroML's; the COMBINE archive in libCombine and libSEDML; the NWB file in pynwb of today and in pynwb 2.5.0, which
NWB Explorer has, each in an environment of its own (made in FOLDER the first time); NWBInspector's critical messages.
Needs the extras `bench` and `dev`, and Java. Prints a line for each; the exit code is 1 if one is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nmlbridge import create_archive, export_repository
from nmlbridge.portal.about import About, author

HERE = Path(__file__).resolve().parents[1]
MODELS = {
    "WangBuzsaki1996": HERE.parent / "shared/corpus/WangBuzsaki1996/NeuroML2/LEMS/LEMS_WangBuzsaki.xml",
    "examples/01": HERE / "examples/01_two_populations/LEMS_TwoPopulations.xml",
}
PYNWB = {"pynwb 2.5.0": ["pynwb==2.5.0", "h5py<3.9", "hdmf<3.12", "numpy<2", "setuptools<81"], "pynwb": ["pynwb"]}
READ = """
import sys, warnings, pynwb
warnings.simplefilter("ignore")
with pynwb.NWBHDF5IO(sys.argv[1], "r", load_namespaces=True) as io:
    content = io.read()
    series = [s.data[:] for s in content.acquisition.values()]
    print(pynwb.__version__, len(series), 0 if content.units is None else len(content.units))
"""


def environment(name: str, needs: list[str], folder: Path) -> Path:
    """The Python of an environment that has just these packages."""
    place = folder / name.replace(" ", "-")
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *needs], check=True)
    return python


def validated(folder: Path, scratch: Path) -> tuple[bool, str]:
    """`omv all` in a copy of the repository."""
    copy = scratch / "copy"
    shutil.copytree(folder, copy)
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["omv", "all"], cwd=copy, env={**os.environ, "PATH": tools}, capture_output=True, text=True)
    passed = done.returncode == 0 and "All tests passing" in done.stdout
    checks = done.stdout.count("✔")
    return passed, f"{checks} checks" if passed else done.stdout[-500:]


def archived(model: Path, scratch: Path) -> tuple[bool, str]:
    """The archive in libCombine, its SED-ML in libSEDML."""
    import libcombine
    import libsedml

    path = scratch / "model.omex"
    create_archive(model, path)
    archive = libcombine.CombineArchive()
    faults = 0 if archive.initializeFromArchive(str(path)) else 1
    faults += archive.getManifest().getNumErrors()
    names = [archive.getEntry(number).getLocation() for number in range(archive.getNumEntries())]
    for name in names:
        if name.endswith(".sedml"):
            faults += libsedml.readSedMLFromString(archive.extractEntryToString(name)).getNumErrors()
    return faults == 0, f"{len(names)} entries, {faults} faults"


def judged(model: Path, scratch: Path, envs: Path) -> Iterator[tuple[str, bool, str, float]]:
    """(what, whether it is as it should be, what was found, seconds) for each judge."""
    from nwbinspector import Importance, inspect_nwbfile

    folder = scratch / "repository"
    about = About("Model", authors=(author("Ada Lovelace"),), license="MIT")
    began = time.perf_counter()
    export_repository(model, folder, about=about)
    yield "export", True, f"{sum(1 for _ in folder.rglob('*'))} files", time.perf_counter() - began
    for what, judge in (("omv all", lambda: validated(folder, scratch)), ("OMEX", lambda: archived(model, scratch))):
        began = time.perf_counter()
        good, found = judge()
        yield what, good, found, time.perf_counter() - began
    (nwb,) = (folder / "results").glob("*.nwb")
    for name, needs in PYNWB.items():
        began = time.perf_counter()
        python = environment(name, needs, envs)
        done = subprocess.run([python, "-c", READ, nwb], capture_output=True, text=True)
        said = done.stdout.strip() or done.stderr[-300:]
        yield name, done.returncode == 0, f"version, series, units: {said}", time.perf_counter() - began
    began = time.perf_counter()
    critical = [m for m in inspect_nwbfile(nwbfile_path=str(nwb)) if m.importance.value >= Importance.CRITICAL.value]
    yield "NWBInspector", not critical, f"{len(critical)} critical", time.perf_counter() - began


def main() -> int:
    """Print a line for each judge of each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "nmlbridge-pynwb")
    envs = parser.parse_args().envs
    bad = 0
    for name, model in MODELS.items():
        with tempfile.TemporaryDirectory() as scratch:
            for what, good, found, seconds in judged(model, Path(scratch), envs):
                bad += not good
                print(f"{name:16} {what:13} {'ok' if good else 'FAULT':6} {found} ({seconds:.1f} s)", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
