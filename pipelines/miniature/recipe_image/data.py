"""Rendered scenes for training: drawn once into a memory-mapped cache, the same for the same (seed, count).

The recipe's seeds lie above 2**32, where `afterimage simulate` cannot reach: no scene of a study was ever trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.simulated.cortex.ventral import READOUTS
from brain.simulated.scenes.scene import draw_scene, render
from brain.simulated.scenes.things import CATEGORY_OF

PIXELS = 64
CHUNK = 500
STACK_SEED, JUDGE_SEED, CORTEX_SEED, HELD_OUT_SEED = (2**32 + step for step in (1, 2, 3, 4))


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """pictures (scene, 64, 64, 3) uint8; captions (scene, 3) str; labels: group -> (scene,) into its READOUTS."""

    pictures: NDArray[np.uint8]
    captions: Sequence[Sequence[str]]
    labels: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.pictures)


def _label(group: str, labels: dict[str, str]) -> int:
    value = labels[group]
    if group == "companion":
        value = CATEGORY_OF[value] if value else "none"
    return READOUTS[group].index(value)


def _chunk(job: tuple[int, int, int]) -> tuple[NDArray[np.uint8], list[list[str]], NDArray[np.int64]]:
    seed, first, stop = job
    scenes = [draw_scene(seed=seed, index=index) for index in range(first, stop)]
    pictures = np.stack([np.asarray(render(scene, PIXELS)) for scene in scenes])
    labels = np.array([[_label(group, scene.labels) for group in READOUTS] for scene in scenes])
    return pictures, [list(scene.captions) for scene in scenes], labels


def rendered(cache: Path, *, seed: int, count: int, workers: int = 2) -> Scenes:
    """`count` scenes of `seed`, from the cache folder or drawn into it now (a whole file or none)."""
    path = cache / f"scenes-{seed}-{count}.npz"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        jobs = [(seed, first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
        with ProcessPoolExecutor(workers) as pool:
            drawing = progress(pool.map(_chunk, jobs), total=len(jobs), desc=f"drawing {count} scenes", unit="chunk")
            chunks = list(drawing)
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial,
            pictures=np.concatenate([pictures for pictures, _, _ in chunks]),
            labels=np.concatenate([labels for _, _, labels in chunks]),
            captions=np.array(json.dumps([caption for _, captions, _ in chunks for caption in captions])),
        )
        partial.rename(path)
    with np.load(path, allow_pickle=False) as file:
        labels = file["labels"]
        return Scenes(
            pictures=file["pictures"],
            captions=json.loads(str(file["captions"])),
            labels={group: labels[:, column] for column, group in enumerate(READOUTS)},
        )
