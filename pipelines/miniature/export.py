"""Finished stages into folders in the Hugging Face layout, each with a card that says how it came about.

pipelines/miniature/image/          the stack
evaluation/judges/miniature/        the judge, which conditions nothing
brain/simulated/ventral.safetensors the simulator's ventral network
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from brain.json_files import read_json
from brain.simulated.ventral import WEIGHTS
from brain.tensors import header
from pipelines.miniature import models, stages

if TYPE_CHECKING:
    from pipelines.miniature.train import Recipe

ROOT = Path(__file__).parents[2]
IMAGE = Path("pipelines/miniature/image")
JUDGE = Path("evaluation/judges/miniature")
HALF = ("unet", "text_encoder", "image_encoder")  # stored in half precision, loaded in single


def export(recipe: Recipe, out: Path | None) -> None:
    """Write all three under `out` (the packages themselves by default), replacing what stands there."""
    root = ROOT if out is None else out
    _export_stack(recipe, root / IMAGE)
    _export_judge(recipe, root / JUDGE)
    net = recipe.finished("cortex", stages.Cortex()).net
    (root / WEIGHTS.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, root / WEIGHTS.relative_to(ROOT))


def _fresh(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _export_stack(recipe: Recipe, folder: Path) -> None:
    from diffusers import DDIMScheduler, DDPMScheduler
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
    from transformers import CLIPImageProcessorPil, CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    from pipelines.image_embedding import ImageEmbeddingPipeline
    from pipelines.miniature.train import embeddings_of, latents_of, noising_schedule

    tokens = models.tokenizer()
    clip = recipe.clip(tokens)
    vae = recipe.autoencoder()
    tiny = recipe.finished("tiny", stages.TinyAutoencoder()).net
    vae.register_to_config(scaling_factor=round(1 / float(latents_of(recipe, vae).std()), 5))
    images = embeddings_of(recipe, clip)
    normalizer = StableUnCLIPImageNormalizer(models.WIDTH)
    normalizer.mean.data, normalizer.std.data = images.mean(0, keepdim=True), images.std(0, keepdim=True)
    text, vision = (_tower(kind, clip) for kind in (CLIPTextModelWithProjection, CLIPVisionModelWithProjection))
    parts: dict[str, Any] = {
        "vae": vae,
        "text_encoder": text,
        "tokenizer": tokens,
        "unet": recipe.finished("unet", stages.Diffusion()).net,
        "scheduler": DDIMScheduler(
            **models.schedule(), timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        "image_encoder": vision,
        "feature_extractor": CLIPImageProcessorPil(
            size={"shortest_edge": models.PIXELS},
            crop_size={"height": models.PIXELS, "width": models.PIXELS},
            resample=4,  # box: the mean over the picture's pixels, as scenes are reduced
            image_mean=list(models.MEAN),
            image_std=list(models.STD),
        ),
        "image_normalizer": normalizer,
        "image_noising_scheduler": DDPMScheduler(**noising_schedule()),
    }
    for name in HALF:
        parts[name] = parts[name].half()
    _fresh(folder)
    ImageEmbeddingPipeline(**parts).save_pretrained(folder)
    tiny.save_pretrained(folder / "tiny_vae")
    _save_namer(recipe.finished("eye", stages.Namer(models.eye())).net.half(), folder / "eye")
    index = folder / "model_index.json"
    facts = read_json(index)
    facts |= {"tiny_vae": ["diffusers", "AutoencoderTiny"], "eye": ["transformers", "ResNetForImageClassification"]}
    index.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    names = ("autoencoder", "decoder", "tiny", "clip", "text", "eye", "unet")
    _write_card(
        recipe, folder, names, "the miniature image stack: CLIP, a second tower, AutoencoderKL, AutoencoderTiny, UNet"
    )


def _tower(kind: Any, clip: Any) -> Any:
    """One tower of a CLIPModel as the class with its projection, sharing nothing."""
    part = "text" if "Text" in kind.__name__ else "vision"
    tower = kind(getattr(clip.config, f"{part}_config"))
    inner, projection = getattr(clip, f"{part}_model"), "text_projection" if part == "text" else "visual_projection"
    getattr(tower, f"{part}_model").load_state_dict(inner.state_dict())
    getattr(tower, projection).load_state_dict(getattr(clip, projection).state_dict())
    return tower.eval()


def _export_judge(recipe: Recipe, folder: Path) -> None:
    _save_namer(recipe.finished("judge", stages.Namer(models.judge())).net, _fresh(folder))
    _write_card(recipe, folder, ("judge",), "the miniature judge: scores pictures, conditions none")


def _save_namer(net: Any, folder: Path) -> None:
    net.save_pretrained(folder)
    preprocessing = {
        "do_resize": True,
        "size": {"height": models.PIXELS, "width": models.PIXELS},
        "resample": 4,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(models.MEAN),
        "image_std": list(models.STD),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8")


def _write_card(recipe: Recipe, folder: Path, names: tuple[str, ...], what: str) -> None:
    """card.json: recipe, data, seeds, steps, losses, digests."""
    from pipelines.miniature import data

    trained = {}
    for name in names:
        facts = header(recipe.work / name / "checkpoint.safetensors").metadata
        log = json.loads(facts["log"])
        trained[name] = {
            "settings": json.loads(facts["stage"]),
            "stopped_at": int(facts["step"]),
            "log": log[:: max(1, len(log) // 12)] + log[-1:],
        }
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    card = {
        "what": what,
        "licence": "Apache-2.0",
        "recipe": "accelerate launch -m pipelines.miniature.train",
        "scale": recipe.scale,
        "data": "scenes drawn by brain.simulated.scenes; no photograph, no person, no data set",
        "scene_seeds": {"stack": data.STACK_SEED, "judge": data.JUDGE_SEED, "cortex": data.CORTEX_SEED},
        "trained": trained,
        "torch": torch.__version__,
        "sha256": {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
