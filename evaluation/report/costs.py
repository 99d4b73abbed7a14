"""What the stages of a run took: RUN/costs.jsonl, a line a stage that came to its end, and a report's own share.

    {"stage": "fit", "seconds": 41.2, "cpu_seconds": 66.0, "peak_mib": 1830.5}

    meter = Meter.start()
    ...
    meter.cost("fit")

Times are of a machine, no fact of a run: no number of a report rests on them, and an audit does not look at them.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from brain.writing.opener import appending
from brain.writing.places import free_targets

FILE = "costs.jsonl"
STAGES = ("fit", "decode", "encoder", "evaluate")
"""Stages in the order in which a study has them."""
LONGEST = 1_000_000
"""Characters of such a file beyond which nobody of ours has written it."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one stage took: seconds of the clock, CPU seconds of all threads, the process's peak memory in MiB.

    peak_mib  None where the system does not say it of the stage alone
    """

    stage: str
    seconds: float
    cpu_seconds: float
    peak_mib: float | None


@dataclass(frozen=True, kw_only=True)
class Meter:
    """When a stage began, by both clocks; `alone`: whether the peak of memory counts from then on."""

    began: float
    cpu: float
    alone: bool

    @classmethod
    def start(cls) -> Meter:
        """From now on; the process's peak of memory is set back where the system allows it."""
        return cls(began=time.perf_counter(), cpu=time.process_time(), alone=_reset_peak())

    def cost(self, stage: str) -> Cost:
        """What it took until now."""
        return Cost(
            stage=stage, seconds=round(time.perf_counter() - self.began, 2),
            cpu_seconds=round(time.process_time() - self.cpu, 2), peak_mib=_peak() if self.alone else None,
        )  # fmt: skip


@contextlib.contextmanager
def metered(run: Path, stage: str) -> Iterator[None]:
    """Adds a line on what this block took to the run's file; a block that fails leaves none.

    What would keep the line from being written is an InputError or a StorageError before the block.
    """
    free_targets(run, [FILE])
    meter = Meter.start()
    yield
    with appending(run / FILE) as file:
        end = file.seek(0, os.SEEK_END)
        # a line that a kill has torn ends before this one begins
        torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
        file.write(b"\n" * torn + json.dumps(asdict(meter.cost(stage))).encode() + b"\n")


def read_costs(run: Path) -> list[Cost]:
    """The lines of a run's file, [] where there is none; what is no such line, a torn last one too, is left out."""
    path = run / FILE
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LONGEST:
        return []
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    return [cost for line in lines if (cost := _read(line)) is not None]


def _read(line: str) -> Cost | None:
    try:
        facts = json.loads(line)
        peak = facts["peak_mib"]
        found = Cost(
            stage=facts["stage"], seconds=float(facts["seconds"]), cpu_seconds=float(facts["cpu_seconds"]),
            peak_mib=None if peak is None else float(peak),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    numbers = (found.seconds, found.cpu_seconds, found.peak_mib or 0.0)
    return found if found.stage in STAGES and all(0 <= one < math.inf for one in numbers) else None


def _reset_peak() -> bool:
    """Sets the peak of this process's memory back to what it has now; whether the system allows that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak() -> float | None:
    """The peak of this process's resident memory in MiB, None where the system does not say it."""
    status = Path("/proc/self/status").read_text()
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(found[0]) / 1024, 1) if found else None
