"""Memory against the length of a run, with everything recorded: it must not grow, whatever is written.

    python benchmarks/recording.py [--lengths 500 2000 8000] [--ranks 1]

The model is examples/01_two_populations. Each run is a process of its own; printed are the peak memory (MB) of the
process that follows the run and writes its files, of the ranks together, what is on disk afterwards, and ratios to the
shortest run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = Path(__file__).resolve().parents[1] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"


def run(length: float, ranks: int, form: str) -> tuple[float, float, float]:
    """MB of the process that follows, of the ranks, and on disk."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "nmlbridge.cli", "run", str(MODEL), "-o", folder, "--duration", str(length)]
        words += ["-n", str(ranks), "--record-format", form, "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        phases = json.loads(done.stdout)["phases"]
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
    return phases["save"]["peak_mb"], phases["simulate"]["peak_mb"], disk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lengths", type=float, nargs="+", default=[500.0, 2000.0, 8000.0])
    parser.add_argument("--ranks", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{'format':10s}{'ms':>8}{'follower':>10}{'ranks':>8}{'disk':>8}{'ratios':>24}")
    for form in ("lems", "sonata"):
        first: tuple[float, ...] | None = None
        for length in arguments.lengths:
            found = run(length, arguments.ranks, form)
            first = first or found
            ratios = "".join(f"{value / base:8.2f}" for value, base in zip(found, first, strict=True))
            print(f"{form:10s}{length:8g}{found[0]:10.1f}{found[1]:8.1f}{found[2]:8.1f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
