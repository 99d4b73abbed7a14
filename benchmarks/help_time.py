"""How long `afterimage --help` takes, beside a bare argparse and a bare torch: python -m benchmarks.help_time

The three are timed in turn, several rounds in one run, so that the machine's mood is shared; the medians' ratios are
what counts. The promise: under half a second, and a small fraction of what importing torch alone would cost.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

PROMISE = 0.5
PEERS = {
    "afterimage --help": ["-m", "app.cli", "--help"],
    "import argparse": ["-c", "import argparse"],
    "import torch": ["-c", "import torch"],
}


def seconds(words: Sequence[str]) -> float:
    """Wall time of one fresh interpreter running `words`, in seconds."""
    before = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before


def main() -> int:
    """Prints the medians and ratios; exit code 1 where the promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.help_time", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for words in PEERS.values():
        seconds(words)  # warm the file cache
    times: dict[str, list[float]] = {name: [] for name in PEERS}
    for _ in range(rounds):
        for name, words in PEERS.items():
            times[name].append(seconds(words))
    medians = {name: statistics.median(values) for name, values in times.items()}
    own = medians["afterimage --help"]
    for name, values in times.items():
        print(
            f"{name:<20} median {medians[name]:.3f} s  (min {min(values):.3f}, max {max(values):.3f}, {rounds} rounds)"
        )
    for name in PEERS:
        if name != "afterimage --help":
            print(f"afterimage --help / {name}: {own / medians[name]:.2f}")
    kept = own < PROMISE
    print(f"promise of {PROMISE} s: {'kept' if kept else 'broken'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
