"""A random stack of the real classes in the miniature's exact structure, small enough for a test to draw with.

Its pictures mean nothing. It loads, saves, checks and draws like a trained one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brain.files.json_files import read_json

TOKENS = 8
WIDTH = 32
PIXELS = 32


def tiny_stack(folder: Path, *, seed: int = 0, image_condition: bool = True, safety_checker: bool = False) -> Path:
    """Write a stack of 32 px pictures into `folder` (made if absent) and return it.

    `image_condition` False leaves out what unCLIP needs, as Stable Diffusion 1.x does; `safety_checker` adds one.
    """
    import torch

    from pipelines.images.image_embedding import ImageEmbeddingPipeline
    from pipelines.images.latent_text import LatentTextPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = _parts(image_condition=image_condition, safety_checker=safety_checker)
        extra = parts.pop("tiny_vae")
    kind = ImageEmbeddingPipeline if image_condition else LatentTextPipeline
    kind(**parts).save_pretrained(folder)
    extra.save_pretrained(folder / "tiny_vae")
    index = folder / "model_index.json"
    facts = read_json(index) | {"tiny_vae": ["diffusers", "AutoencoderTiny"]}
    index.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


def _parts(*, image_condition: bool, safety_checker: bool) -> dict[str, Any]:
    from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler

    tokens, processor = _tokenizer(), _processor()
    parts = {
        "vae": AutoencoderKL(
            block_out_channels=(8, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=PIXELS,
            scaling_factor=0.7,
        ),
        "tiny_vae": AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
            latent_channels=4,
        ),
        "text_encoder": _text_encoder(tokens),
        "tokenizer": tokens,
        "unet": _unet(image_condition=image_condition),
        "scheduler": DDIMScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.02,
            prediction_type="v_prediction",
            timestep_spacing="trailing",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
    }
    if image_condition:
        parts |= {"image_encoder": _image_encoder(), "feature_extractor": processor, **_noising()}
    if safety_checker:
        parts |= {"safety_checker": _safety_checker(), "feature_extractor": processor}
    return parts


def _unet(*, image_condition: bool) -> Any:
    from diffusers import UNet2DConditionModel

    image = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 2 * WIDTH}
    return UNet2DConditionModel(
        sample_size=PIXELS // 4,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        **(image if image_condition else {}),
    )


def _noising() -> dict[str, Any]:
    import torch
    from diffusers import DDPMScheduler
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    normalizer = StableUnCLIPImageNormalizer(WIDTH)
    torch.nn.init.normal_(normalizer.mean, std=0.1)
    torch.nn.init.uniform_(normalizer.std, 0.5, 1.5)
    return {
        "image_normalizer": normalizer,
        "image_noising_scheduler": DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
    }


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: place for place, piece in enumerate(pieces)}, merges=[], model_max_length=TOKENS)


def _text_encoder(tokens: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokens),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=tokens.bos_token_id,
            eos_token_id=tokens.eos_token_id,
            pad_token_id=tokens.pad_token_id,
        )
    )


def _vision() -> Any:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=PIXELS,
        patch_size=8,
    )


def _image_encoder() -> Any:
    from transformers import CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(_vision())


def _processor() -> Any:
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": PIXELS}, crop_size={"height": PIXELS, "width": PIXELS})


def _safety_checker() -> Any:
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    config = CLIPConfig(vision_config=_vision().to_dict(), projection_dim=WIDTH)
    return StableDiffusionSafetyChecker(config)
