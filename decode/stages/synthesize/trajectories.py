"""Pictures along the trajectory: what the first pictures of a method look like while they are made.

    HOME/trajectories/           samples, a row a method, the index of each its step; signed as HOME/samples/ is
    synthesis.json               ways.ROW.strips: picture -> {"steps": 20, "shown": [1, 5, ...], "values": [...]}

They are the clean samples that a denoising loop has in mind at a step, through the small decoder where the stack has
one; nobody judges them. Retrieval takes no steps, and what best-of-n and search try is no picture on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.samples.writer import SampleWriter
from pipelines.synthesis import Sight, SynthesisContext

FIRST = 3
"""Pictures of each method whose trajectories are stored."""
STEPS = 6
"""Steps of each that are stored, from the first to the last."""
SIDE = 256
"""Pixels of the longer side; they are looked at and never judged."""


def evenly_spaced(steps: int) -> tuple[int, ...]:
    """At most `STEPS` of so many steps, counted from 0, the first and the last among them."""
    return tuple(dict.fromkeys(np.linspace(0, steps - 1, min(STEPS, steps)).round().astype(int).tolist()))


class Recorder:
    """Keeps the clean samples of the pictures of `seeds` at the steps that are stored, whatever batch they are made in.

    folder  where they go: HOME/trajectories
    `watch` is what a `SynthesisContext` calls; it reads and changes nothing, so that no bit of a picture moves.
    """

    def __init__(self, folder: Path, *, seeds: Collection[int], simulated: str) -> None:
        self.folder, self.seeds, self.simulated = folder, frozenset(seeds), simulated
        self._latents: dict[int, dict[int, Any]] = {}
        self._steps: dict[int, int] = {}

    def watch(self, sight: Sight) -> None:
        """Takes from a step what is stored of it."""
        for row, seed in enumerate(sight.seeds):
            if sight.latents is None or seed not in self.seeds or sight.step not in evenly_spaced(sight.steps):
                continue
            if sight.step == 0:
                self._latents[seed] = {}
            self._steps[seed] = sight.steps
            self._latents[seed][sight.step] = sight.latents[row : row + 1].clone()

    def store(self, context: SynthesisContext, *, seed: int, row: str, name: str, method: str) -> Mapping[str, Any]:
        """Writes the pictures of one trajectory, unless they are there, and returns its facts.

        Nothing is written, and {} returned, of a picture that had no denoising loop of its own.
        """
        import torch

        from pipelines.images.base import pictures_of

        latents = self._latents.pop(seed, {})
        if not latents:
            return {}
        pixels = context.seen(torch.cat(list(latents.values())))
        shown = [step + 1 for step in latents]
        with SampleWriter(self.folder, simulated=self.simulated) as writer:
            for step, picture in zip(shown, pictures_of(pixels), strict=True):
                if writer.done(row, name, step) is None:
                    writer.write(_small(picture), row=row, stimulus=name, index=step, seed=seed, method=method)
        return {"steps": self._steps[seed], "shown": shown, "values": context.judged(pixels)}


def _small(picture: Image.Image) -> Image.Image:
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return small
