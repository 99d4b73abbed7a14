"""What each path of double conditioning carries, and how guidance matters: one subject, one judge, one table.

    python -m benchmarks.double_conditioning data/simulated --out runs/paths --encoder runs/masked/encoder.safetensors
    python -m benchmarks.double_conditioning data/simulated --out runs/paths --paths both --stimuli held-out

Fine-tunes the stack once for each choice of paths (both, cross, time) and draws every test stimulus from its averaged
repeats at each guidance scale, from the same seeds. `--stimuli held-out` draws the training stimuli that were held out
instead: a scale is chosen there, not on test. Two-way identification by the judge's features (correlation, among these
stimuli) with 95 % intervals over stimuli, the judge's category, and the spread of the judge's features over the drawn
pictures in units of that over the shown ones. Every folder and cell is kept, and the same command goes on where it
stopped. Writes OUT/paths_test.json and OUT/paths_test.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.data_amount import interval
from brain.data.averages import average_repeats
from brain.readers import open_recording
from brain.types import Float, Recording
from decode.run.seeds import sample_seed
from encoders.settings import Plan
from encoders.storage import read_json, write_json
from evaluation.judges.classifier import ClassifierJudge
from evaluation.similarity import shares_beaten
from pipelines.conditioning.finetuning import finetune_recording
from pipelines.conditioning.pipeline import BrainConditionedPipeline
from pipelines.settings import FinetuneSettings
from pipelines.stacks.find import resolve

KIND = "double-conditioning-cell"
PATHS = ("both", "cross", "time")
GUIDANCE = (1.0, 3.0, 5.0, 8.0)
TEST, HELD_OUT = "test", "held-out"
AT_ONCE = 20
"""Pictures drawn between two moves of the progress bar."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for on the command line."""

    data: Path
    out: Path
    subject: str
    encoder: str
    paths: tuple[str, ...]
    guidance: tuple[float, ...]
    steps: int
    rate: float
    draw_steps: int
    stack: str
    stimuli: str

    def settings(self, paths: str) -> FinetuneSettings:
        """How the stack is fine-tuned on one path or both."""
        often = max(1, self.steps // 10)
        plan = Plan(steps=self.steps, rate=self.rate, warm=often, validate=often, save=200, patience=3)
        return FinetuneSettings(stack=self.stack, encoder=self.encoder, paths=paths, plan=plan)


class Bench:
    """The test stimuli, what the judge sees in them, and the cells."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.judge = ClassifierJudge(name="miniature").open()

    @cached_property
    def recording(self) -> Recording:
        """The subject's, opened once."""
        return open_recording(self.asked.data, subject=self.asked.subject)

    @cached_property
    def shown(self) -> tuple[tuple[str, ...], Float, Any]:
        """The stimuli that are drawn, the judge's features of them, and their categories."""
        ids = tuple(sorted(self.recording.split().test))
        if self.asked.stimuli == HELD_OUT:
            card = read_json(self.folder(self.asked.paths[0]) / "card.json", kind="double-conditioning")
            ids = tuple(card["data"]["held_out_stimuli"])
        seen = self.judge.look([self.recording.stimuli.open(one) for one in ids])
        return ids, np.asarray(seen.features, np.float32), seen.verdicts["category"]

    def folder(self, paths: str) -> Path:
        """What double conditioning has learned on these paths, trained here unless it is there."""
        out = self.asked.out / paths
        if not (out / "card.json").is_file():
            finetune_recording(self.recording, out, self.asked.settings(paths))
        return out

    def cell(self, paths: str, guidance: float) -> dict[str, Any]:
        """Scores of every test stimulus."""
        path = self.asked.out / "cells" / f"{self.asked.stimuli}_{paths}_{guidance:g}.json"
        if not path.is_file():
            pictures = self._draw(paths, guidance)
            ids, features, category = self.shown
            seen = self.judge.look(pictures)
            likeness = np.corrcoef(seen.features, features)[: len(ids), len(ids) :]
            facts = {
                "two_way": np.diagonal(shares_beaten(likeness)).tolist(),
                "category": (seen.verdicts["category"] == category).astype(float).tolist(),
                "spread": _spread(seen.features) / _spread(features),
            }
            write_json(path, {"kind": KIND, **facts})
        return read_json(path, kind=KIND)

    def _draw(self, paths: str, guidance: float) -> list[Any]:
        pipeline = BrainConditionedPipeline.from_folder(self.folder(paths), stack=resolve(self.asked.stack))
        pipeline.set_progress_bar_config(disable=True)
        ids, responses = self.shown[0], self.recording.responses
        assert pipeline.contract is not None
        patterns = average_repeats(pipeline.contract.own(responses.trials(responses.of(ids))))
        seeds = [sample_seed(0, one, 0) for one in patterns.ids]
        made = []
        with tqdm(total=len(seeds), desc=f"{paths}, guidance {guidance:g}", disable=None) as bar:
            for first in range(0, len(seeds), AT_ONCE):
                part = slice(first, first + AT_ONCE)
                made += pipeline(
                    patterns.values[part], seeds=seeds[part], steps=self.asked.draw_steps, guidance_scale=guidance
                ).images
                bar.update(len(seeds[part]))
        return made

    def rows(self) -> list[dict[str, Any]]:
        """Every row of the table."""
        rows = []
        for paths in self.asked.paths:
            card = read_json(self.folder(paths) / "card.json", kind="double-conditioning")
            facts = {"at_start": card["at_start"], "best": card["done"]["best"], "step": card["done"]["step"]}
            for guidance in self.asked.guidance:
                cell = self.cell(paths, guidance)
                scores = {name: interval(np.array([cell[name]])) for name in ("two_way", "category")}
                rows.append({"paths": paths, "guidance": guidance, **scores, "spread": cell["spread"], **facts})
                print(
                    f"{paths:6} guidance {guidance:3g} two-way {scores['two_way']['value']:.4f} "
                    f"category {scores['category']['value']:.2f} spread {cell['spread']:.2f}",
                    flush=True,
                )
        return rows


def _spread(features: Float) -> float:
    """The root mean square of their distances from their mean."""
    centred = features - features.mean(0)
    return float(np.sqrt(np.square(centred).sum(1).mean()))


def draw_figure(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Identification and category over the guidance scale, a line for each choice of paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, metric, label in zip(axes, ("two_way", "category"), ("two-way identification", "category"), strict=True):
        for paths in dict.fromkeys(row["paths"] for row in rows):
            mine = [row for row in rows if row["paths"] == paths]
            at, value = [row["guidance"] for row in mine], np.array([row[metric]["value"] for row in mine])
            low, high = (np.array([row[metric][end] for row in mine]) for end in ("low", "high"))
            axis.errorbar(at, value, [value - low, high - value], marker="o", markersize=3, capsize=2, label=paths)
        axis.set(xlabel="guidance scale", ylabel=label)
    axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Train, draw, score, and write the table with its figure."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks.double_conditioning", description=__doc__.splitlines()[0]
    )
    words.add_argument("data", type=Path)
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--subject", default="")
    words.add_argument("--encoder", default="", help="what masked brain modelling has learned; none starts at random")
    words.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    words.add_argument("--guidance", nargs="+", type=float, default=list(GUIDANCE))
    words.add_argument("--steps", type=int, default=FinetuneSettings().plan.steps, help="of fine-tuning")
    words.add_argument("--rate", type=float, default=FinetuneSettings().plan.rate)
    words.add_argument("--draw-steps", type=int, default=20)
    words.add_argument("--stack", default="miniature-image")
    words.add_argument("--stimuli", choices=(TEST, HELD_OUT), default=TEST)
    given = vars(words.parse_args())
    asked = Asked(**{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()})
    rows = Bench(asked).rows()
    path = asked.out / f"paths_{asked.stimuli}.json"
    write_json(path, {"steps": asked.steps, "rate": asked.rate, "rows": rows})
    draw_figure(rows, path.with_suffix(".png"))
    print(path)


if __name__ == "__main__":
    main()
