"""Reading and writing a large network, nmlbridge against libNeuroML, in one run.

    python benchmarks/documents.py [--rows 1000000] [--repeat 3]

A network of 1000 cells and ROWS connectionWD is generated; then each job runs in a process of its own, the two tools in
turn. Printed are the median seconds and the peak memory of the process (imports included), and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CELLS = 1000
GOALS = {
    "read XML": "at least 12 times faster in at most an eighth of the memory",
    "write XML": "at least 8 times faster",
    "write HDF5": "at least 8 times faster",
    "read HDF5": "at least 8 times faster",
}

# Each job is (setup, what is timed); {source} and {target} are files.
OURS = {
    "read XML": ("from nmlbridge import read", "read({xml!r})"),
    "write XML": ("from nmlbridge import read, write; n = read({xml!r})", "write(n, {out!r} + '.nml')"),
    "write HDF5": ("from nmlbridge import read, write; n = read({xml!r})", "write(n, {out!r} + '.nml.h5')"),
    "read HDF5": ("from nmlbridge import read", "read({h5!r})"),
}
THEIRS = {
    "read XML": ("from neuroml.loaders import NeuroMLLoader as L", "L.load({xml!r})"),
    "write XML": (
        "from neuroml.loaders import NeuroMLLoader as L; from neuroml.writers import NeuroMLWriter as W\n"
        "n = L.load({xml!r})",
        "W.write(n, {out!r} + '.nml')",
    ),
    "write HDF5": (
        "from neuroml.loaders import NeuroMLLoader as L; from neuroml.writers import NeuroMLHdf5Writer as W\n"
        "n = L.load({xml!r})",
        "W.write(n, {out!r} + '.nml.h5')",
    ),
    "read HDF5": ("from neuroml.loaders import NeuroMLHdf5Loader as L", "L.load({h5!r})"),
}
PROGRAM = """
import json, resource, sys, time
{setup}
start = time.perf_counter()
{job}
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print("RESULT" + json.dumps([seconds, peak]))
"""


def generate(path: Path, rows: int) -> None:
    """A network as exporters write it: one line a connection, full references, numbers of ordinary length."""
    with path.open("w") as stream:
        stream.write(
            '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="bench">\n'
            '  <expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="3ms"/>\n'
            '  <iafCell id="iaf" leakReversal="-65mV" thresh="-50mV" reset="-65mV" C="1nF" leakConductance="10nS"/>\n'
            '  <network id="net">\n    <population id="pop" component="iaf" type="populationList" '
            f'size="{CELLS}">\n'
        )
        for i in range(CELLS):
            location = f'<location x="{i * 1.7:.3f}" y="{i % 13}" z="-{i}.25"/>'
            stream.write(f'      <instance id="{i}">{location}</instance>\n')
        stream.write('    </population>\n    <projection id="proj" presynapticPopulation="pop" '
                     'postsynapticPopulation="pop" synapse="syn">\n')  # fmt: skip
        state = 12345
        for i in range(rows):
            state = (state * 1103515245 + 12345) % 2147483648
            pre, post = state % CELLS, state // 1009 % CELLS
            stream.write(
                f'      <connectionWD id="{i}" preCellId="../pop/{pre}/iaf" postCellId="../pop/{post}/iaf" '
                f'preSegmentId="{i % 3}" preFractionAlong="0.{state % 997:03d}" postSegmentId="{i % 5}" '
                f'postFractionAlong="0.5" weight="{state % 10007 / 5000:.6f}" '
                f'delay="{1 + state % 4000 / 1000:.3f}ms"/>\n'
            )
        stream.write("    </projection>\n  </network>\n</neuroml>\n")


def measure(job: tuple[str, str], files: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak megabytes of a job in a fresh process."""
    setup, timed = (text.format(**files) for text in job)
    program = PROGRAM.format(setup=setup, job=timed)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    line = next((line for line in ran.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        sys.exit(f"failed:\n{program}\n{ran.stderr[-2000:]}")
    seconds, peak = json.loads(line.removeprefix("RESULT"))
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of nmlbridge per job; libNeuroML runs once per job")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        xml, h5 = Path(folder, "net.nml"), Path(folder, "net.nml.h5")
        generate(xml, arguments.rows)
        print(f"{arguments.rows} connectionWD, {xml.stat().st_size / 1e6:.0f} MB of XML")
        files = {"xml": str(xml), "h5": str(h5), "out": str(Path(folder, "out"))}
        # both read the HDF5 file that libNeuroML itself would write
        measure((THEIRS["write HDF5"][0], f"W.write(n, {str(h5)!r})"), files)
        print(f"{'job':12}{'libNeuroML':>22}{'nmlbridge':>22}{'times faster':>14}{'memory':>10}   goal")
        for name, goal in GOALS.items():
            theirs = measure(THEIRS[name], files)
            ours = [measure(OURS[name], files) for _ in range(arguments.repeat)]
            seconds = statistics.median(run[0] for run in ours)
            peak = statistics.median(run[1] for run in ours)
            print(
                f"{name:12}{theirs[0]:10.2f} s {theirs[1]:6.0f} MB {seconds:10.2f} s {peak:6.0f} MB "
                f"{theirs[0] / seconds:12.1f}x{peak / theirs[1]:9.3f}x   {goal}",
                flush=True,
            )


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"{time.perf_counter() - began:.0f} s in all")
