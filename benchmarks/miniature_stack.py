"""Is the bundled miniature stack good enough to decode with? Held-out scenes, every number with its bar, in one run.

    python -m benchmarks.miniature_stack [--scenes 200] [--write] [--look FOLDER]

`--write` keeps the numbers in the stack's card; `--look` writes contact sheets to look at.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from brain.simulated.scenes.scene import Scene, draw_scene, render
from brain.types import Stimuli
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE as SPACES
from evaluation.judges.classifier import ClassifierJudge
from pipelines.generators import CATALOGUE as GENERATORS
from pipelines.generators.takagi import TakagiSampling
from pipelines.generators.unclip import UnclipSampling
from pipelines.miniature.recipe_image.data import HELD_OUT_SEED
from pipelines.stacks.find import resolve

BARS = {
    "autoencoder PSNR, dB": (28.0, ">="),
    "caption to image, top-1 of 100": (0.85, ">="),
    "drawn from captions, category by the judge": (0.85, ">="),
    "drawn from true image embeddings, two-way by the judge": (0.97, ">="),
    "weights, MB": (60.0, "<="),
    "20 steps at batch 8, s": (8.0, "<="),
}


def stimuli_of(scenes: Sequence[Scene]) -> Stimuli:
    """Held-out scenes as stimuli at 128 pixels, as the simulator shows them."""
    by_id = {f"held{number:05d}": scene for number, scene in enumerate(scenes)}
    return Stimuli(
        ids=tuple(by_id),
        modality="image",
        opener=lambda one: render(by_id[one], 128),
        captions={one: scene.captions for one, scene in by_id.items()},
        labels={one: scene.labels for one, scene in by_id.items()},
    )


def encoded(stimuli: Stimuli, name: str) -> Conditions:
    """The scenes' true condition in a space of the bundled stack."""
    stack = resolve("miniature-image")
    space = SPACES[name].open(stack.path, model="miniature-image", revision="", device="cpu")
    return space.encode(stimuli, stimuli.ids, batch=50)


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB of two RGB images."""
    a, b = (np.asarray(image.resize((64, 64), Image.Resampling.BOX), np.float64) for image in (first, second))
    return float(10 * np.log10(255**2 / np.square(a - b).mean()))


def top1(images: np.ndarray, texts: np.ndarray, pool: int = 100) -> float:
    """The share of captions whose own picture is nearest among `pool`, over all whole pools."""
    images, texts = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (images, texts))
    hits = []
    for first in range(0, len(images) - pool + 1, pool):
        rows = slice(first, first + pool)
        hits.append((texts[rows] @ images[rows].T).argmax(1) == np.arange(pool))
    return float(np.mean(hits))


def two_way(drawn: np.ndarray, true: np.ndarray) -> float:
    """The share of pairs in which a drawn picture's feature correlates more with its own reference."""
    drawn, true = (v - v.mean(1, keepdims=True) for v in (drawn, true))
    drawn, true = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (drawn, true))
    scores = drawn @ true.T
    wins = scores.diagonal()[:, None] > scores
    return float(wins.sum() / (len(wins) * (len(wins) - 1)))


def sheet(rows: Sequence[Sequence[Image.Image]], path: Path) -> None:
    """Rows of pictures, each 128 pixels, to look at."""
    page = Image.new("RGB", (128 * len(rows[0]), 128 * len(rows)))
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            page.paste(image.resize((128, 128), Image.Resampling.LANCZOS), (128 * x, 128 * y))
    page.save(path)


def caption_vectors(stimuli: Stimuli) -> np.ndarray:
    """The text tower's projected vector of each scene's first caption."""
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    home = resolve("miniature-image").path
    tokens = CLIPTokenizer.from_pretrained(home / "tokenizer")
    tower = CLIPTextModelWithProjection.from_pretrained(home / "text_encoder").float().eval()
    words = [stimuli.captions[one][0] for one in stimuli.ids]
    ids = tokens(words, padding="max_length", max_length=tokens.model_max_length, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(tower(input_ids=ids.input_ids).text_embeds.numpy())


def measure(count: int, look: Path | None) -> dict[str, float]:
    """Every number of `BARS` on `count` held-out scenes."""
    stimuli = stimuli_of([draw_scene(seed=HELD_OUT_SEED, index=index) for index in range(count)])
    stack = resolve("miniature-image")
    seeds = list(range(count))
    images, texts = encoded(stimuli, "clip-image"), encoded(stimuli, "clip-text")
    unclip, takagi = (GENERATORS[name].open(stack, device="cpu", dtype="float32") for name in ("unclip", "takagi"))
    # from pure noise (strength 1) the latent says nothing, so takagi draws from the caption alone
    by_takagi = TakagiSampling(steps=20, guidance=4.0, strength=1.0, scheduler="")
    by_unclip = UnclipSampling(steps=20, guidance=4.0, strength=1.0)
    latents = encoded(stimuli, "vae-latent")
    by_text = takagi({"vae-latent": latents, "clip-text": texts}, stimuli.ids, seeds, settings=by_takagi)
    of_text_pictures = [drawn.image for drawn in by_text]
    began = time.perf_counter()
    list(unclip({"clip-image": images}, stimuli.ids[:8], seeds[:8], settings=by_unclip))
    seconds = time.perf_counter() - began
    by_image = unclip({"clip-image": images}, stimuli.ids, seeds, settings=by_unclip)
    of_image_pictures = [drawn.image for drawn in by_image]
    truth = [stimuli.open(one) for one in stimuli.ids]
    judge = ClassifierJudge(name="miniature").open()
    seen, of_text, of_image = (judge.look(pictures) for pictures in (truth, of_text_pictures, of_image_pictures))
    categories = [stimuli.labels[one]["category"] for one in stimuli.ids]
    right = np.mean(of_text.verdicts["category"] == np.array(categories))
    recoded = list(unclip.round_trip(truth))
    if look:
        look.mkdir(parents=True, exist_ok=True)
        sheet([row[:12] for row in (truth, recoded, of_text_pictures, of_image_pictures)], look / "miniature.png")
    return {
        "autoencoder PSNR, dB": float(np.mean([psnr(a, b) for a, b in zip(recoded, truth, strict=True)])),
        "caption to image, top-1 of 100": top1(images.values, caption_vectors(stimuli)),
        "drawn from captions, category by the judge": float(right),
        "drawn from true image embeddings, two-way by the judge": two_way(of_image.features, seen.features),
        "weights, MB": sum(path.stat().st_size for path in stack.path.rglob("*.safetensors")) / 1e6,
        "20 steps at batch 8, s": seconds,
    }


def main() -> None:
    """Measure, print against the bars, maybe keep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.miniature_stack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="keep the numbers in the stack's card.json")
    parser.add_argument("--look", type=Path, default=None, help="folder for contact sheets")
    asked = parser.parse_args()
    found = measure(asked.scenes, asked.look)
    for name, value in found.items():
        bar, side = BARS[name]
        met = value >= bar if side == ">=" else value <= bar
        print(f"{name:58s} {value:8.3f}   wanted {side} {bar:g}   {'met' if met else 'NOT MET'}")
    if asked.write:
        path = resolve("miniature-image").path / "card.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        card["measured"] = {"scenes": asked.scenes, "seed": HELD_OUT_SEED} | {k: round(v, 4) for k, v in found.items()}
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
