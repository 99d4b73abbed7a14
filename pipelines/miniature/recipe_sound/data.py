"""Rendered sounds for training: windows drawn once into memory-mapped files, the same for the same (seed, count).

The recipe's seeds lie above 2**32, where `afterimage simulate` cannot reach: no sound of a study was ever trained on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.files.json_files import read_json
from brain.simulated.sounds.sound import READOUTS, draw_sound, render_sound
from encoders.sounds.mel import log_mel_tensor
from pipelines.miniature.recipe_sound.models import MELS, RATE, SAMPLES, feature_extractor

CHUNK = 200
SPOKEN = 2  # windows taken of one clip
STACK_SEED, JUDGE_SEED, AUDITORY_SEED, HELD_OUT_SEED = (2**32 + step for step in (101, 102, 103, 104))
FILES = ("waves", "mels", "features")


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Windows of 2.56 s, memory-mapped.

    waves (window, 40960) int16   mels (window, 256, 64) float16, AudioLDM's recipe
    features (window, 253, 64) float16, dB, what ClapFeatureExtractor makes of the same windows
    captions (window, 3) str      labels: group -> (window,) into its READOUTS
    """

    waves: NDArray[np.int16]
    mels: NDArray[np.float16]
    features: NDArray[np.float16]
    captions: Sequence[Sequence[str]]
    labels: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.mels)


def clap_features(waves: torch.Tensor) -> torch.Tensor:
    """(n, sample) -> (n, frame, mel) in dB: ClapFeatureExtractor for whole windows, many at a time."""
    extractor = _extractor()
    size = extractor.fft_window_size
    spectrum = torch.stft(
        waves,
        size,
        extractor.hop_length,
        window=torch.hann_window(size),
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.abs().square().transpose(1, 2) @ torch.from_numpy(extractor.mel_filters_slaney).float()
    return 10 * power.clamp(min=1e-10).log10()


_extractor = lru_cache(maxsize=1)(feature_extractor)


def _chunk(job: tuple[int, int, int]) -> tuple[list[NDArray[np.generic]], list[list[str]], list[list[int]]]:
    """The windows of the clips `first` to `stop` of a seed."""
    seed, first, stop = job
    torch.set_num_threads(1)
    waves, captions, labels = [], [], []
    for index in range(first, stop):
        sound = draw_sound(seed=seed, index=index)
        wave = render_sound(sound)
        starts = np.random.default_rng([seed, index]).integers(len(wave) - SAMPLES + 1, size=SPOKEN)
        for start in starts:
            waves.append(np.round(wave[start : start + SAMPLES] * 32767).astype(np.int16))
            captions.append(list(sound.captions))
            labels.append([READOUTS[group].index(sound.labels[group]) for group in READOUTS])
    whole = np.stack(waves)
    heard = torch.from_numpy(whole.astype(np.float32) / 32767)
    arrays = [whole, log_mel_tensor(heard).half().numpy(), clap_features(heard).half().numpy()]
    return arrays, captions, labels


def rendered(cache: Path, *, seed: int, count: int, workers: int = 2) -> Sounds:
    """`count` windows of `seed`, from the cache folder or drawn into it now (a whole folder or none)."""
    folder = cache / f"sounds-{seed}-{count}"
    if not folder.is_dir():
        _render(folder, seed, count, workers=workers)
    facts = read_json(folder / "facts.json")
    labels = np.array(facts["labels"])
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in FILES}
    return Sounds(
        **arrays,
        captions=facts["captions"],
        labels={group: labels[:, column] for column, group in enumerate(READOUTS)},
    )


def _render(folder: Path, seed: int, count: int, *, workers: int) -> None:
    partial = folder.with_suffix(".partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    clips = -(-count // SPOKEN)
    jobs = [(seed, first, min(first + CHUNK, clips)) for first in range(0, clips, CHUNK)]
    shapes = ((SAMPLES,), (SAMPLES // 160, MELS), (SAMPLES // _extractor().hop_length + 1, MELS))
    stored = [
        np.lib.format.open_memmap(partial / f"{name}.npy", mode="w+", dtype=kind, shape=(count, *shape))
        for name, kind, shape in zip(FILES, (np.int16, np.float16, np.float16), shapes, strict=True)
    ]
    captions: list[list[str]] = []
    labels: list[list[int]] = []
    with ProcessPoolExecutor(workers) as pool:
        made = progress(pool.map(_chunk, jobs), total=len(jobs), desc=f"rendering {count} windows", unit="chunk")
        for arrays, said, named in made:
            rows = slice(len(captions), min(len(captions) + len(said), count))
            for file, array in zip(stored, arrays, strict=True):
                file[rows] = array[: rows.stop - rows.start]
            captions += said
            labels += named
    for file in stored:
        file.flush()
    facts = {"captions": captions[:count], "labels": labels[:count], "rate": RATE}
    (partial / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    partial.rename(folder)
