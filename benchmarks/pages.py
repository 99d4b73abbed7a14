"""The page of a large study: how large it is, how long it takes to write, and until a browser has opened it.

    python -m benchmarks.pages [--stimuli 1000] [--times 5] [--side 256]

Pictures of noise and shapes, four rows, the judge of pixels: what is measured is the page and no decoder. Opened in
Debian's chromium from the disk, until its load event and until the first screen can be scrolled.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.report.evaluate import Judging, measure
from evaluation.report.files import write_report
from evaluation.samples.read import read_samples
from evaluation.samples.writer import SampleWriter
from tests.browser import chromium, look

ROWS = ("decoded", "shuffled", "retrieval", "oracle")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__.splitlines()[0])
    parser.add_argument("--stimuli", type=int, default=1000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--side", type=int, default=256)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = drawn(Path(place), asked.stimuli, asked.side)
        samples = read_samples(folder, references=None)
        report = measure(folder, samples, how=Judging(judge="pixels", bootstrap=100, permutations=0))
        began = time.perf_counter()
        write_report(report)
        took = time.perf_counter() - began
        leaves = list((report.folder / "gallery").glob("*.html"))
        size = report.page.stat().st_size / 1e6
        beside = sum(path.stat().st_size for path in leaves) / 1e6
        print(f"{asked.stimuli} stimuli of {asked.side} pixels, {len(ROWS)} rows each")
        print(f"page {size:.2f} MB, written with its {len(leaves)} leaves ({beside:.0f} MB) in {took:.1f} s")
        opened = [opening(report.page) for _ in range(asked.times)]
        low, high = min(opened), max(opened)
        print(f"opened in {statistics.median(opened):.2f} s ({low:.2f} to {high:.2f}, n {len(opened)})")


def drawn(folder: Path, stimuli: int, side: int) -> Path:
    """A samples folder of pictures that are smooth with some noise, as photographs are."""
    rng = np.random.default_rng(0)
    with SampleWriter(folder / "samples", simulated="benchmarks.pages") as writer:
        for i in range(stimuli):
            shown = picture(rng, side)
            name, labels = f"s{i:05d}", {"category": "abcdefgh"[i % 8]}
            writer.reference(Image.fromarray(shown), stimulus=name, captions=(f"picture {i}",), labels=labels)
            for row in ROWS:
                mixed = Image.fromarray((0.5 * shown + 0.5 * picture(rng, side)).astype(np.uint8))
                writer.write(mixed, row=row, stimulus=name, index=0, seed=0, method="none")
    return folder


def picture(rng: np.random.Generator, side: int) -> Any:
    """(y, x, 3) uint8."""
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(coarse) + rng.normal(0, 6, (side, side, 3)), 0, 255).astype(np.uint8)


def opening(page: Path) -> float:
    """Seconds from a new browser's asking for the page until it is loaded and has been painted twice."""
    with chromium() as driver:
        look(driver, width=1400)
        began = time.perf_counter()
        driver.get(page.as_uri())
        driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
