"""Is the bundled miniature sound stack good enough to decode with? Held-out sounds, each number with its bar.

    python -m benchmarks.miniature_sound [--sounds 100] [--stack FOLDER] [--judge FOLDER] [--write] [--look FOLDER]

`--write` keeps the numbers in the stack's card; `--look` writes spectrograms to look at and sounds to listen to;
`--stack` and `--judge` measure others than the bundled ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.miniature_stack import two_way
from brain.files.waveforms import RATE, write_wave
from brain.simulated.sounds.sound import READOUTS, Sound, draw_sound, render_sound, windows
from brain.types import Float, Stimuli
from encoders.sounds.mel import log_mel
from encoders.spaces import CATALOGUE as SPACES
from evaluation.judges.sound import MelClassifierJudge
from pipelines.miniature.recipe_sound.data import HELD_OUT_SEED
from pipelines.sounds.pipeline import SoundPipeline
from pipelines.sounds.prompt import SoundPrompt
from pipelines.stacks.find import resolve

BARS = {
    "mel to autoencoder to mel, correlation": 0.97,
    "mel to autoencoder to wave to mel, correlation": 0.9,
    "true mel to wave to mel, correlation": 0.95,
    "caption to sound, top-1 of 100": 0.7,
    "drawn from true LOA, category by the judge": 0.85,
    "drawn from true LOA, two-way by the judge": 0.95,
    "drawn from CLAP by the language model, category by the judge": 0.7,
    "LOA told of CLAP, correlation with the true one": 0.4,
}
BATCH = 25


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Held-out sounds: what they are, and the middle window of each."""

    sounds: Sequence[Sound]
    waves: Float

    @classmethod
    def drawn(cls, count: int) -> HeldOut:
        sounds = [draw_sound(seed=HELD_OUT_SEED, index=index) for index in range(count)]
        return cls(sounds=sounds, waves=np.stack([windows(render_sound(sound))[1] for sound in sounds]))

    def stimuli(self) -> Stimuli:
        """The windows as stimuli."""
        by_id = {f"held{number:05d}": number for number in range(len(self.sounds))}
        return Stimuli(
            ids=tuple(by_id),
            modality="sound",
            opener=lambda one: (self.waves[by_id[one]], RATE),
            captions={one: self.sounds[number].captions for one, number in by_id.items()},
            labels={one: self.sounds[number].labels for one, number in by_id.items()},
        )

    def values(self, group: str) -> np.ndarray:
        """The true value of a group of labels."""
        return np.array([sound.labels[group] for sound in self.sounds])


def encoded(folder: Path, held: HeldOut, name: str) -> Float:
    """The true condition of the held-out windows in a space of the stack."""
    stimuli = held.stimuli()
    space = SPACES[name].open(folder, model="miniature-sound", revision="", device="cpu")
    return np.asarray(space.encode(stimuli, stimuli.ids, batch=BATCH).values)


def correlation(first: Float, second: Float) -> float:
    """The mean over sounds of the correlation between two of their spectrograms (sound, frame, mel)."""
    a, b = (v.reshape(len(v), -1) - v.reshape(len(v), -1).mean(1, keepdims=True) for v in (first, second))
    return float(np.mean((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))))


def mels_of(waves: Float) -> Float:
    """Log-mels (sound, frame, mel) of waveforms (sound, sample)."""
    return np.stack([log_mel(wave) for wave in waves])


def text_vectors(pipeline: Any, held: HeldOut) -> Float:
    """CLAP's vector of each sound's first caption."""
    said = pipeline.tokenizer([sound.captions[0] for sound in held.sounds], padding=True, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(pipeline.text_encoder.get_text_features(**said).pooler_output.float().numpy())


def top1(sounds: Float, texts: Float, held: HeldOut, pool: int = 100) -> float:
    """The share of captions whose nearest sound of `pool` has that caption, over all whole pools (one at least).

    Of a hundred sounds some are of one kind and one set of labels: they have one caption, and either will do.
    """
    said = np.array([sound.captions[0] for sound in held.sounds])
    hits = []
    for first in range(0, max(1, len(sounds) - pool + 1), pool):
        rows = slice(first, first + pool)
        hits.append(said[rows][(texts[rows] @ sounds[rows].T).argmax(1)] == said[rows])
    return float(np.mean(hits))


def drawn(pipeline: Any, loa: torch.Tensor, *, steps: int, guidance_scale: float) -> tuple[Float, Float]:
    """Waveforms and log-mels drawn from LOA (sound, 8, dim), seed 0 upwards."""
    found = [
        pipeline(
            SoundPrompt(loa=part),
            seeds=range(first, first + len(part)),
            steps=steps,
            guidance_scale=guidance_scale,
            scheduler="ddim",
        )
        for first, part in zip(range(0, len(loa), BATCH), loa.split(BATCH), strict=True)
    ]
    return np.concatenate([one.waves for one in found]), np.concatenate([one.mels for one in found])


def measure(
    folder: Path, judge: Path | None, *, count: int, steps: int, guidance_scale: float, look: Path | None
) -> dict[str, float]:
    """Every number of `BARS`, and the judge's own accuracy a group, on `count` held-out sounds."""
    held = HeldOut.drawn(count)
    pipeline = SoundPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    bench = MelClassifierJudge(name="miniature-sound", folder=judge).open()
    seen = bench.look(held.waves)
    clap, loa = encoded(folder, held, "clap"), encoded(folder, held, "loa")
    told = pipeline.coarse_to_fine(torch.from_numpy(clap))
    true = mels_of(held.waves)
    through = pipeline.round_trip(held.waves)
    by_loa, loa_mels = drawn(pipeline, torch.from_numpy(loa), steps=steps, guidance_scale=guidance_scale)
    by_clap, clap_mels = drawn(pipeline, told, steps=steps, guidance_scale=guidance_scale)
    of_loa, of_clap = bench.look(by_loa), bench.look(by_clap)
    if look:
        rows = (true, through.mels, loa_mels, clap_mels, mels_of(by_loa))
        sheet(rows, look / "miniature_sound.png", names=[sound.kind for sound in held.sounds])
        for name, waves in {"true": held.waves, "through": through.waves, "loa": by_loa, "clap": by_clap}.items():
            for number in range(8):
                write_wave(look / f"{number:02d}-{held.sounds[number].kind}-{name}.wav", waves[number], RATE)
    found = {
        "mel to autoencoder to mel, correlation": correlation(true, through.mels),
        "mel to autoencoder to wave to mel, correlation": correlation(true, mels_of(through.waves)),
        "true mel to wave to mel, correlation": correlation(true, mels_of(vocoded(pipeline, true))),
        "caption to sound, top-1 of 100": top1(clap, text_vectors(pipeline, held), held),
        "drawn from true LOA, category by the judge": share(of_loa, held, "category"),
        "drawn from true LOA, two-way by the judge": two_way(of_loa.features, seen.features),
        "drawn from CLAP by the language model, category by the judge": share(of_clap, held, "category"),
        "LOA told of CLAP, correlation with the true one": centred(told.numpy(), loa),
    }
    return found | {f"judge, {group}": share(seen, held, group) for group in READOUTS}


def vocoded(pipeline: Any, mels: Float) -> Float:
    """Waveforms of log-mels by whatever the stack has for it."""
    with torch.inference_mode():
        return np.asarray(pipeline._vocode()(torch.from_numpy(mels)).numpy())


def share(opinion: Any, held: HeldOut, group: str) -> float:
    """How often the judge's verdict in a group is the truth."""
    return float(np.mean(opinion.verdicts[group] == held.values(group)))


def centred(first: Float, second: Float) -> float:
    """The mean correlation of two sets of vectors after the second's mean over sounds has been taken from both."""
    a, b = ((v - second.mean(0)).reshape(len(v), -1) for v in (first, second))
    return float(np.mean((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))))


def sheet(rows: Sequence[Float], path: Path, *, names: Sequence[str], columns: int = 12) -> None:
    """Rows of spectrograms, low bands below, time to the right; the columns' names are printed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = Image.new("L", (260 * columns, 68 * len(rows)))
    for y, row in enumerate(rows):
        for x, mel in enumerate(row[:columns]):
            grey = np.clip((mel.T[::-1] + 9) / 10 * 255, 0, 255).astype(np.uint8)
            page.paste(Image.fromarray(grey), (260 * x, 68 * y))
    page.save(path)
    print(" | ".join(names[:columns]))


def main() -> None:
    """Measure, print against the bars, maybe keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--stack", type=Path, default=None)
    parser.add_argument("--judge", type=Path, default=None)
    parser.add_argument("--write", action="store_true", help="keep the numbers in the stack's card.json")
    parser.add_argument("--look", type=Path, default=None, help="folder for spectrograms and sounds")
    asked = parser.parse_args()
    folder = asked.stack or resolve("miniature-sound").path
    found = measure(
        folder,
        asked.judge,
        count=asked.sounds,
        steps=asked.steps,
        guidance_scale=asked.guidance,
        look=asked.look,
    )
    for name, value in found.items():
        verdict = f"expected >= {BARS[name]:g}   {'met' if value >= BARS[name] else 'NOT MET'}" if name in BARS else ""
        print(f"{name:64s} {value:8.3f}   {verdict}")
    if asked.write:
        path = folder / "card.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        facts = {"sounds": asked.sounds, "seed": HELD_OUT_SEED, "steps": asked.steps, "guidance": asked.guidance}
        card["measured"] = facts | {name: round(value, 4) for name, value in found.items()}
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
