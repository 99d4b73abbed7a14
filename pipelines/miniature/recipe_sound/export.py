"""The finished sound stages as folders.

pipelines/miniature/sound/            the stack
evaluation/judges/miniature_sound/    the judge, which conditions nothing
brain/simulated/cortex/auditory.safetensors  the simulator's auditory network
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brain.simulated.cortex.auditory import WEIGHTS
from encoders.sounds.mel import MelRecipe
from pipelines.miniature.export import ROOT, add_components, replacing, save_network, write_card
from pipelines.miniature.parts import sampling_scheduler
from pipelines.miniature.recipe_sound import models, stages
from pipelines.miniature.recipe_sound.data import HELD_OUT_SEED
from pipelines.miniature.recipe_sound.recipe import SEEDS, SoundRecipe, latents_of

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
TRAINED = ("autoencoder", "decoder", "clap", "teacher", "text", "language", "unet", "vocoder")
FACTS = {
    "data": "sounds synthesised by brain.simulated.sounds; no recording, no voice, no data set",
    "sound_seeds": {**SEEDS, "held out": HELD_OUT_SEED},
}


def export(recipe: SoundRecipe, out: Path | None) -> None:
    """Write all three under `out` (the packages themselves by default), replacing what stands there."""
    root = ROOT if out is None else out
    export_stack(recipe, root / SOUND)
    _export_judge(recipe, root / JUDGE)
    save_network(recipe.finished("auditory", stages.Auditory()).net, root / WEIGHTS.relative_to(ROOT))


def export_stack(recipe: SoundRecipe, folder: Path) -> None:
    """The stack alone. A vocoder is part of it once stage "vocoder" has been trained."""
    from diffusers import AudioLDM2Pipeline

    networks, others = _networks(recipe), _others()
    halves = {name: net if net is None else net.half() for name, net in networks.items()}  # loaded in single precision
    with replacing(folder) as fresh:
        AudioLDM2Pipeline(**halves, **others).save_pretrained(fresh)
        _save_teacher(recipe, fresh / "teacher")
        add_components(fresh, {"teacher": ("transformers", "ViTModel")})
        names = [name for name in TRAINED if recipe.has(name)]
        what = "the miniature sound stack: CLAP, teacher of LOA, language model, VAE, UNet"
        write_card(recipe, fresh, names, what=what, facts=FACTS)


def _networks(recipe: SoundRecipe) -> dict[str, Any]:
    spread = float(latents_of(recipe).std())
    vae, language = recipe.autoencoder(), recipe.language()
    vae.register_to_config(scaling_factor=round(1 / spread, 5))
    return {
        "vae": vae,
        "text_encoder": recipe.clap(),
        "text_encoder_2": recipe.text(),
        "projection_model": language.projection,
        "language_model": language.net,
        "unet": recipe.finished("unet", stages.Diffusion()).net,
        "vocoder": recipe.finished("vocoder", stages.Vocoder()).net if recipe.has("vocoder") else None,
    }


def _others() -> dict[str, Any]:
    return {
        "tokenizer": models.clap_tokenizer(),
        "tokenizer_2": models.text_tokenizer(),
        "feature_extractor": models.feature_extractor(),
        "scheduler": sampling_scheduler(),
    }


def _save_teacher(recipe: SoundRecipe, folder: Path) -> None:
    recipe.finished("teacher", stages.Teacher()).net.half().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(LOA_FACTS, indent=2) + "\n", encoding="utf-8")


def _export_judge(recipe: SoundRecipe, folder: Path) -> None:
    facts: dict[str, Any] = {"frames": models.FRAMES, "mean": models.MEAN, "std": models.STD}
    facts["mel"] = MelRecipe().facts()
    with replacing(folder) as fresh:
        recipe.finished("judge", stages.Namer()).net.save_pretrained(fresh)
        (fresh / "preprocessor.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        what = "the miniature judge of sounds: scores sounds, conditions none"
        write_card(recipe, fresh, ("judge",), what=what, facts=FACTS)
