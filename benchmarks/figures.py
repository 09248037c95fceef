"""What a raster with rates costs: nmlbridge and NetPyNE, the same spikes, in turn.

    python benchmarks/figures.py [--spikes 100000 1000000 10000000] [--most 1000000] [--repeat 3] [--netpyne PYTHON]

The spikes are random ones of 100 000 cells in two populations over 10 s, in a file of numpy. Each picture is made in a
process of its own, which loads the spikes, draws a raster and the rates of the populations, and writes PNG. Printed are
medians of the CPU seconds after loading and of the peak memory, what the imports take included. NetPyNE is asked for at
most ``--most`` spikes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CELLS = (80_000, 20_000)

OURS = """
import numpy as np
from nmlbridge.plot import raster_with_rate, save
from nmlbridge.results import SpikeTrains
gid, time = np.load("gid.npy"), np.load("time.npy")
start = clock()
trains = SpikeTrains(gid, time, {"e": (0, 80_000), "i": (80_000, 20_000)})
upper, _ = raster_with_rate(trains, 10.0)
save(upper.figure, "ours.png")
"""

NETPYNE = """
import matplotlib
matplotlib.use("Agg")
import numpy as np
from netpyne import sim
gid, time = np.load("gid.npy"), np.load("time.npy")
start = clock()
times, gids = (time * 1e3).tolist(), gid.tolist()
data = {"spkTimes": times, "spkInds": gids, "spkGids": gids, "popNumCells": [80_000, 20_000], "popLabels": ["e", "i"],
        "cellGids": list(range(100_000)), "cellPops": ["e"] * 80_000 + ["i"] * 20_000, "axisArgs": {},
        "legendLabels": ["e", "i"], "timeRange": [0, 10_000], "numNetStims": 0}
sim.plotting.plotRaster(rasterData=data, saveFig="raster.png", showFig=False)
sim.plotting.plotSpikeFreq(freqData=data, binSize=100, saveFig="rate.png", showFig=False)
"""

AROUND = """
import resource
def clock():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
%s
print("COST", clock() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def cost(python: str, script: str, folder: Path) -> tuple[float, float]:
    """CPU seconds and peak MB."""
    done = subprocess.run([python, "-c", AROUND % script], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise SystemExit(f"a picture failed: {done.stderr[-2000:]}")
    seconds, peak = done.stdout.rsplit("COST", 1)[1].split()
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spikes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--most", type=int, default=1_000_000, help="spikes that NetPyNE is asked for")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--netpyne", default=sys.executable, help="a Python that has NetPyNE")
    arguments = parser.parse_args()
    peer = not subprocess.run([arguments.netpyne, "-c", "import netpyne"], capture_output=True).returncode
    if not peer:
        print("NetPyNE is not installed: nmlbridge alone")
    print(f"{'spikes':>10}{'ours':>10}{'MB':>8}{'NetPyNE':>10}{'MB':>8}{'ratio':>8}")
    for count in arguments.spikes:
        random = np.random.default_rng(1)
        rows: dict[str, list[tuple[float, float]]] = {"ours": [], "netpyne": []}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "gid.npy", random.integers(0, sum(CELLS), count))
            np.save(folder / "time.npy", np.sort(random.uniform(0, 10, count)))
            for _ in range(arguments.repeat):
                rows["ours"].append(cost(sys.executable, OURS, folder))
                if peer and count <= arguments.most:
                    rows["netpyne"].append(cost(arguments.netpyne, NETPYNE, folder))
        middle = {who: [statistics.median(part) for part in zip(*each, strict=True)] for who, each in rows.items()}
        line = f"{count:10d}{middle['ours'][0]:8.2f} s{middle['ours'][1]:8.0f}"
        if middle["netpyne"]:
            seconds, peak = middle["netpyne"]
            line += f"{seconds:8.2f} s{peak:8.0f}{seconds / middle['ours'][0]:8.1f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
