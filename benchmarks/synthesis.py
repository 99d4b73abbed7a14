"""Activation against cost, every method in one run: python -m benchmarks.synthesis RUN [--region FFA-1] [--pictures 8]

RUN is a fitted run. Activation is the second encoder's, which never guided, and the simulated cortex' where there is
one; cost is FLOPs and seconds a picture, and how little of `braindive`'s (50 steps, the published loop) a method needs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from decode.run.folder import RunFolder
from decode.run.patterns import open_data
from decode.run.seeds import sample_seed
from decode.stages.synthesize.lab import FittedRun
from decode.stages.synthesize.objectives import SynthesisRequest
from decode.stages.synthesize.synthesize import flops_of
from pipelines.synthesis import CATALOGUE, SynthesisSettings

PEER = "braindive, 50 steps"
HOW = SynthesisSettings()
RUNS: dict[str, tuple[str, SynthesisSettings]] = {
    PEER: ("braindive", HOW),
    "guided, 20 steps": ("guided", HOW),
    "guided, 7 steps": ("guided", replace(HOW, steps=7, scale=120.0, variety=0.0, sharpness=20.0)),
    "noise": ("noise", HOW),
    "search": ("search", HOW),
    "best-of-n": ("best-of-n", HOW),
    "embedding": ("embedding", HOW),
    "unguided": ("unguided", HOW),
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One method: median activation by scorer, FLOPs and seconds a picture."""

    name: str
    activation: dict[str, float]
    flops: float
    seconds: float


def measure(fitted: FittedRun, region: str, pictures: int) -> list[Measured]:
    """Every method on the same seeds."""
    request = SynthesisRequest(signs={region: 1.0}, methods=(), count=pictures)
    seeds = [sample_seed(fitted.settings.machine.seed, region, number) for number in range(pictures)]
    asked = {region: fitted.readout(region)}
    found = []
    for name, (method, how) in RUNS.items():
        context = fitted.context(request, how, random=False)
        list(CATALOGUE[method].make(context, seeds[:1]))  # the first call pays for what is loaded late
        began = time.perf_counter()
        made = list(CATALOGUE[method].make(context, seeds))
        seconds = (time.perf_counter() - began) / pictures
        responses = fitted.responses([one.image for one in made], asked)
        found.append(
            Measured(
                name=name,
                activation={scorer: float(np.median(values[:, 0])) for scorer, values in responses.items()},
                flops=flops_of(method, context, seeds[0]),
                seconds=seconds,
            )
        )
    return found


def table(found: Sequence[Measured]) -> str:
    """One line a method, ratios to the published loop."""
    peer = next(one for one in found if one.name == PEER)
    lines = []
    for one in found:
        scores = "  ".join(f"{scorer} {value:6.2f}" for scorer, value in one.activation.items())
        cost = f"{one.flops / 1e9:7.1f} GFLOP (1/{peer.flops / one.flops:.1f})"
        lines.append(f"{one.name:20} {scores}  {cost}  {one.seconds:5.2f} s (1/{peer.seconds / one.seconds:.1f})")
    return "\n".join(lines)


def main() -> int:
    """Prints the table; exit code 1 where no method reaches the peer's activation at a tenth of its FLOPs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--region", default="FFA-1")
    parser.add_argument("--pictures", type=int, default=8)
    asked = parser.parse_args()
    run = RunFolder(asked.run)
    settings, data = run.stored()
    fitted = FittedRun(run=run, recording=open_data(data, settings.data), settings=settings)
    found = measure(fitted, asked.region, asked.pictures)
    print(table(found))
    peer = next(one for one in found if one.name == PEER)
    cheap = [one for one in found if one.flops <= peer.flops / 10]
    return int(not any(one.activation["second"] >= peer.activation["second"] for one in cheap))


if __name__ == "__main__":
    raise SystemExit(main())
