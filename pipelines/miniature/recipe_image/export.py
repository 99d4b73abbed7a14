"""The finished image stages as folders.

pipelines/miniature/image/          the stack
evaluation/judges/miniature/        the judge, which conditions nothing
brain/simulated/cortex/ventral.safetensors the simulator's ventral network
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brain.simulated.cortex.ventral import WEIGHTS
from pipelines.miniature.export import ROOT, add_components, replacing, save_network, write_card
from pipelines.miniature.parts import sampling_scheduler
from pipelines.miniature.recipe_image import models, stages
from pipelines.miniature.recipe_image.recipe import SEEDS, ImageRecipe, embeddings_of, latents_of, noising_schedule

IMAGE = Path("pipelines/miniature/image")
JUDGE = Path("evaluation/judges/miniature")
HALF = ("unet", "text_encoder", "image_encoder")  # stored in half precision, loaded in single
TRAINED = ("autoencoder", "decoder", "tiny", "clip", "text", "eye", "unet")
FACTS = {
    "data": "scenes drawn by brain.simulated.scenes; no photograph, no person, no data set", "scene_seeds": SEEDS,
}  # fmt: skip
SECOND_TOWER = {"eye": ("transformers", "ResNetForImageClassification"), "tiny_vae": ("diffusers", "AutoencoderTiny")}
"""Components that the stack's pipeline does not know."""


def export(recipe: ImageRecipe, out: Path | None) -> None:
    """Write all three under `out` (the packages themselves by default), replacing what stands there."""
    root = ROOT if out is None else out
    _export_stack(recipe, root / IMAGE)
    _export_judge(recipe, root / JUDGE)
    save_network(recipe.finished("cortex", stages.Cortex()).net, root / WEIGHTS.relative_to(ROOT))


def _export_stack(recipe: ImageRecipe, folder: Path) -> None:
    from pipelines.images.image_embedding import ImageEmbeddingPipeline

    parts = _components(recipe)
    tiny = recipe.finished("tiny", stages.TinyAutoencoder()).net
    for name in HALF:
        parts[name] = parts[name].half()
    with replacing(folder) as fresh:
        ImageEmbeddingPipeline(**parts).save_pretrained(fresh)
        tiny.save_pretrained(fresh / "tiny_vae")
        _save_namer(recipe.finished("eye", stages.Namer(models.second_tower())).net.half(), fresh / "eye")
        add_components(fresh, SECOND_TOWER)
        what = "the miniature image stack: CLIP, a second tower, AutoencoderKL, AutoencoderTiny, UNet"
        write_card(recipe, fresh, TRAINED, what=what, facts=FACTS)


def _components(recipe: ImageRecipe) -> dict[str, Any]:
    """The components that the pipeline knows, in single precision."""
    from diffusers import DDPMScheduler
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    tokens = models.tokenizer()
    clip, vae = recipe.clip(tokens), recipe.autoencoder()
    vae.register_to_config(scaling_factor=round(1 / float(latents_of(recipe, vae).std()), 5))
    return {
        "vae": vae,
        "text_encoder": _tower(CLIPTextModelWithProjection, clip, "text_model", "text_projection"),
        "tokenizer": tokens,
        "unet": recipe.finished("unet", stages.Diffusion()).net,
        "scheduler": sampling_scheduler(),
        "image_encoder": _tower(CLIPVisionModelWithProjection, clip, "vision_model", "visual_projection"),
        "feature_extractor": _feature_extractor(),
        "image_normalizer": _normalizer(recipe, clip),
        "image_noising_scheduler": DDPMScheduler(**noising_schedule()),
    }


def _feature_extractor() -> Any:
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(
        size={"shortest_edge": models.PIXELS},
        crop_size={"height": models.PIXELS, "width": models.PIXELS},
        resample=4,  # box: the mean over the picture's pixels, as scenes are reduced
        image_mean=list(models.MEAN),
        image_std=list(models.STD),
    )


def _normalizer(recipe: ImageRecipe, clip: Any) -> Any:
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    images, normalizer = embeddings_of(recipe, clip), StableUnCLIPImageNormalizer(models.WIDTH)
    normalizer.mean.data, normalizer.std.data = images.mean(0, keepdim=True), images.std(0, keepdim=True)
    return normalizer


def _tower(kind: Any, clip: Any, inner: str, projection: str) -> Any:
    """One tower of a CLIPModel as the class with its projection, sharing nothing."""
    tower = kind(getattr(clip.config, inner.replace("_model", "_config")))
    for part in (inner, projection):
        getattr(tower, part).load_state_dict(getattr(clip, part).state_dict())
    return tower.eval()


def _export_judge(recipe: ImageRecipe, folder: Path) -> None:
    with replacing(folder) as fresh:
        _save_namer(recipe.finished("judge", stages.Namer(models.judge())).net, fresh)
        what = "the miniature judge: scores pictures, conditions none"
        write_card(recipe, fresh, ("judge",), what=what, facts=FACTS)


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
