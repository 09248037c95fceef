"""All benchmarks, one after the other, whatever becomes of each; what `make bench` runs.

    python benchmarks [--quick] [NAME ...]

Each is a process of its own. Its output is shown as it comes and kept in build/bench/NAME.txt. At the end is a table
of what became of each; the exit code is 1 if one failed, and the last line names those. With --quick each runs once and
on smaller models, to see that it works; its ratios are those of small things.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUICK: dict[str, str] = {  # in the order in which they run: the arguments of a quick run
    "documents": "--rows 100000 --repeat 1",
    "sonata": "100000",
    "builder": "--cells 1000 --repeat 1 --rules probability convergence distance",
    "figures": "--spikes 100000 --repeat 1",
    "instantiate": "--repeat 1 --grow 200000",
    "recording": "--lengths 200 800",
    "lfp": "--repeat 1 --cells 20 --duration 50",
    "compile": "--repeat 1",
    "acnet2": "--repeat 1",
    "simulate": "--repeat 1",
    "accuracy": "gap_junctions",
    "parallel": "--repeat 1 --no-strong --weak 1,2 --memory 200000",
    "foresight": "--repeat 1",
    "portal": "",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a benchmark: ok, skipped or failed; how long it took; the last thing that it said."""

    name: str
    word: str
    seconds: float
    last: str


def run(name: str, arguments: list[str], kept: Path) -> Outcome:
    """Run one, showing its output and keeping it in ``kept``."""
    start, lines = time.perf_counter(), []
    command = [sys.executable, "-u", str(HERE / f"{name}.py"), *arguments]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    )
    assert process.stdout is not None
    with kept.open("w") as file:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            lines.append(line.strip())
    failed = process.wait() != 0
    said = [line for line in lines if line]
    skipped = bool(said) and all(line.startswith("skipped") for line in said)
    word = "FAILED" if failed else "skipped" if skipped else "ok"
    return Outcome(name, word, time.perf_counter() - start, said[-1] if said else "")


def main() -> int:
    """Run those that are asked for; 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(QUICK)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="once each, on smaller models")
    parser.add_argument("--kept", type=Path, default=HERE.parent / "build" / "bench", help="folder of the outputs")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in QUICK]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(QUICK)}")
    arguments.kept.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for name in arguments.names or QUICK:
        words = QUICK[name].split() if arguments.quick else []
        print(f"== {' '.join([name, *words])}", flush=True)
        outcomes.append(run(name, [word.replace("_", " ") for word in words], arguments.kept / f"{name}.txt"))
    print(f"\n{'benchmark':12} {'':8} {'s':>6}  the last line of its output, all of which is in {arguments.kept}")
    for each in outcomes:
        print(f"{each.name:12} {each.word:8} {each.seconds:6.0f}  {each.last[:100]}")
    failed = [each.name for each in outcomes if each.word == "FAILED"]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
