"""Finished sound stages into folders in the Hugging Face layout, each with a card that says how it came about.

pipelines/miniature/sound/            the stack
evaluation/judges/miniature_sound/    the judge, which conditions nothing
brain/simulated/auditory.safetensors  the simulator's auditory network
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
from brain.simulated.auditory import WEIGHTS
from brain.tensors import header
from encoders.mel import MelRecipe
from pipelines.miniature import sound_models as models
from pipelines.miniature import sound_stages as stages

if TYPE_CHECKING:
    from pipelines.miniature.sound_recipe import Recipe

ROOT = Path(__file__).parents[2]
SOUND = Path("pipelines/miniature/sound")
JUDGE = Path("evaluation/judges/miniature_sound")
LOA_FACTS: dict[str, Any] = {
    "front_end": "audioldm-mel",
    "frames": models.FRAMES,
    "mels": models.MELS,
    "mean": models.MEAN,
    "std": models.STD / 2,  # AudioMAE's convention divides by twice this
    "pad": "repeat",
    "layers": list(models.LAYERS),
    "tokens": models.LOA[0],
}
PARTS = ("autoencoder", "decoder", "clap", "teacher", "text", "language", "unet", "vocoder")


def export(recipe: Recipe, out: Path | None) -> None:
    """Write all three under `out` (the packages themselves by default), replacing what stands there."""
    root = ROOT if out is None else out
    export_stack(recipe, root / SOUND)
    _export_judge(recipe, root / JUDGE)
    net = recipe.finished("auditory", stages.Auditory()).net
    path = root / WEIGHTS.relative_to(ROOT)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)


def export_stack(recipe: Recipe, folder: Path) -> None:
    """The stack alone. A vocoder is part of it once stage "vocoder" has been trained."""
    from diffusers import AudioLDM2Pipeline, DDIMScheduler

    from pipelines.miniature.sound_recipe import latents_of

    spread = float(latents_of(recipe).std())
    vae, language = recipe.autoencoder(), recipe.language()
    vae.register_to_config(scaling_factor=round(1 / spread, 5))
    voiced = (recipe.work / "vocoder" / "checkpoint.safetensors").is_file()
    networks = {
        "vae": vae,
        "text_encoder": recipe.clap(),
        "text_encoder_2": recipe.text(),
        "projection_model": language.projection,
        "language_model": language.net,
        "unet": recipe.finished("unet", stages.Diffusion()).net,
        "vocoder": recipe.finished("vocoder", stages.Vocoder()).net if voiced else None,
    }
    others = {
        "tokenizer": models.clap_tokenizer(),
        "tokenizer_2": models.text_tokenizer(),
        "feature_extractor": models.feature_extractor(),
        "scheduler": DDIMScheduler(
            **models.schedule(), timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    }
    fresh = _fresh(folder)
    halves = {name: net if net is None else net.half() for name, net in networks.items()}  # loaded in single precision
    AudioLDM2Pipeline(**halves, **others).save_pretrained(fresh)
    _save_teacher(recipe, fresh / "teacher")
    index = fresh / "model_index.json"
    facts = read_json(index) | {"teacher": ["transformers", "ViTModel"]}
    index.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    names = tuple(name for name in PARTS if (recipe.work / name / "checkpoint.safetensors").is_file())
    _write_card(recipe, fresh, names, "the miniature sound stack: CLAP, teacher of LOA, language model, VAE, UNet")
    _replace(fresh, folder)


def _save_teacher(recipe: Recipe, folder: Path) -> None:
    recipe.finished("teacher", stages.Teacher()).net.half().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(LOA_FACTS, indent=2) + "\n", encoding="utf-8")


def _fresh(folder: Path) -> Path:
    """An empty folder beside `folder`, so that whoever reads `folder` meanwhile finds it whole."""
    fresh = folder.with_name(folder.name + ".partial")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    return fresh


def _replace(fresh: Path, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)


def _export_judge(recipe: Recipe, folder: Path) -> None:
    fresh = _fresh(folder)
    recipe.finished("judge", stages.Namer()).net.save_pretrained(fresh)
    facts: dict[str, Any] = {"frames": models.FRAMES, "mean": models.MEAN, "std": models.STD}
    facts["mel"] = MelRecipe().facts()
    (fresh / "preprocessor.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    _write_card(recipe, fresh, ("judge",), "the miniature judge of sounds: scores sounds, conditions none")
    _replace(fresh, folder)


def _write_card(recipe: Recipe, folder: Path, names: tuple[str, ...], what: str) -> None:
    """card.json: recipe, data, seeds, steps, losses, digests."""
    from pipelines.miniature import sound_data

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
        "recipe": "accelerate launch -m pipelines.miniature.sound_train",
        "scale": recipe.scale,
        "data": "sounds synthesised by brain.simulated.sounds; no recording, no voice, no data set",
        "sound_seeds": {
            "stack": sound_data.STACK_SEED,
            "judge": sound_data.JUDGE_SEED,
            "auditory": sound_data.AUDITORY_SEED,
            "held out": sound_data.HELD_OUT_SEED,
        },
        "trained": trained,
        "torch": torch.__version__,
        "sha256": {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
