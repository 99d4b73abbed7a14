"""The demo as somebody waits for it: first page, first intermediate picture, whole decode; and what watching costs.

    python -m benchmarks.demo [RUN] [--times 7] [--silence V1] [--drawings 200]
                                                        RUN is a finished run of pictures; runs/first if not said

Seconds in Debian's chromium against a server in a process of its own, median and spread over the times. The last line
but one is a ratio in the same run: the same picture by the session with previews, and by the decoding function
without. A region switched off is timed from the session's point of view, the last line is the memory of many drawings.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.demo.knobs import Asked, settings_of
from app.demo.runs import Run, open_runs
from app.demo.session import House
from decode.stages.draw.beside import draw_beside

PATIENCE = 120


def spread(name: str, seconds: Sequence[float]) -> str:
    """Median and the lowest and highest of several times."""
    return (
        f"{name:<46} {statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f}, n {len(seconds)})"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/first"))
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--silence", default="V1")
    parser.add_argument("--drawings", type=int, default=200)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} before")
    print(in_a_browser(asked.run, asked.times))
    print(watched(asked.run, asked.times))
    print(silenced(asked.run, asked.times, asked.silence))
    print(kept(asked.run, asked.drawings))


def in_a_browser(run: Path, times: int) -> str:
    """Times as a visitor has them, each from a browser of its own; the first visit is said apart."""
    command = [sys.executable, "-m", "app.cli", "app", str(run), "--port", "0", "--no-browser"]
    began = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found, "the demo did not start"
        started, visits = time.perf_counter() - began, [visit(found[0]) for _ in range(times + 1)]
    finally:
        server.terminate()
        server.wait()
    first, others = visits[0], visits[1:]
    lines = [f"{'command to address':<46} {started:6.2f} s"]
    for place, name in enumerate(("first page", "first intermediate picture after the click", "whole decode")):
        lines.append(f"{name + ', first visitor':<46} {first[place]:6.2f} s")
        lines.append(spread(name, [one[place] for one in others]))
    return "\n".join(lines)


def visit(url: str) -> tuple[float, float, float]:
    """Seconds to the first stimulus on the page; from the click to the first preview, and to the finished picture."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.binary_location = "/usr/bin/chromium"
    os.environ["SE_OFFLINE"] = "true"
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        began = time.perf_counter()
        driver.get(url)
        page = since(began, lambda: driver.execute_script("return !!document.querySelector('#decode-view .tile img')"))
        since(began, lambda: driver.execute_script("return !!document.querySelector('#decode-rest .bars')"))
        # noted in the page itself, because asking from outside takes as long as a step
        driver.execute_script(
            """window.seen = {}; const drawn = document.querySelector('#decode-drawn'); const start = performance.now();
            new MutationObserver(() => { const now = (performance.now() - start) / 1000;
              if (drawn.querySelector('.tile img')) window.seen.first ??= now;
              if (drawn.querySelector('.done')) window.seen.whole ??= now; })
              .observe(drawn, {childList: true, subtree: true, attributes: true});
            document.querySelector('#decode-draw').click()"""
        )
        since(began, lambda: driver.execute_script("return window.seen.whole"))
        seen = driver.execute_script("return window.seen")
        return page, float(seen["first"]), float(seen["whole"])
    finally:
        driver.quit()


def since(began: float, ready: Callable[[], Any]) -> float:
    """Seconds from `began` until it is ready."""
    while not ready():
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError("the page did not come to that")
        time.sleep(0.01)
    return time.perf_counter() - began


def watched(run: Path, times: int) -> str:
    """What previews, ranking and pages cost: the same picture by the session and by `draw_beside` alone."""
    house = House(open_runs([run]))
    (name,) = house.runs
    one = house.run(name)
    own = one.settings.method(one.settings.sampling.method)
    visitor, seconds = house.visitor("benchmark"), {"session": list[float](), "alone": list[float]()}
    with tempfile.TemporaryDirectory() as place:
        for number in range(times + 1):
            asked = Asked(strength=own.strength, guidance=own.guidance, steps=own.steps, seed=number + 100)
            began = time.perf_counter()
            list(visitor.draw(name, one.stimuli[0], asked))
            seconds["session"].append(time.perf_counter() - began)
            seconds["alone"].append(alone(house, name, asked, to=Path(place) / str(number)))
    house.close()
    ratios = [a / b for a, b in zip(seconds["session"][1:], seconds["alone"][1:], strict=True)]
    low, high = min(ratios), max(ratios)
    return (
        f"{'with previews and rank, against without':<46} {statistics.median(ratios):6.2f} x  ({low:.2f} to {high:.2f})"
    )


def silenced(run: Path, times: int, region: str) -> str:
    """Seconds until a stimulus is drawn again with this region silenced, the first one, which reads the data, apart."""
    house = House(open_runs([run]))
    (name,) = house.runs
    seconds = []
    for number in range(times + 1):
        asked = settings_asked(house.run(name), seed=0, silenced=(region,))
        began = time.perf_counter()
        list(house.visitor("benchmark").draw(name, house.run(name).stimuli[number], asked))
        seconds.append(time.perf_counter() - began)
    house.close()
    return "\n".join([
        f"{f'{region} switched off, first':<46} {seconds[0]:6.2f} s", spread(f"{region} switched off", seconds[1:]),
    ])  # fmt: skip


def kept(run: Path, drawings: int) -> str:
    """This process's resident memory after that many drawings against that after 20."""
    house = House(open_runs([run]))
    (name,) = house.runs
    resident = []
    for number in range(drawings):
        asked = settings_asked(house.run(name), seed=number, silenced=())
        list(house.visitor("benchmark").draw(name, house.run(name).stimuli[0], asked))
        if number + 1 in (20, drawings):
            text = Path("/proc/self/status").read_text()
            resident.append(int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS"))) / 1024)
    house.close()
    first, last = resident[0], resident[-1]
    return f"memory after 20 and {drawings} drawings: {first:.0f} and {last:.0f} MiB, {100 * (last / first - 1):+.1f} %"


def settings_asked(run: Run, *, seed: int, silenced: tuple[str, ...]) -> Asked:
    """The run's own settings with a seed and silenced regions."""
    own = run.settings.method(run.settings.sampling.method)
    return Asked(
        strength=own.strength, guidance=own.guidance, steps=own.steps, seed=seed, silenced=silenced
    )  # fmt: skip


def alone(house: House, name: str, asked: Asked, *, to: Path) -> float:
    """Seconds of the same picture in the same thread, without a preview."""
    run, known = house.run(name), house.known(name)
    assert known is not None and known.opened is not None
    opened, settings = known.opened, settings_of(run, asked)
    began = time.perf_counter()
    list(
        house.worker.stepwise(
            lambda tell: draw_beside(opened, settings, to=to, stimuli=(run.stimuli[0],)), stop=threading.Event()
        )
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
