"""Random sound stacks of the real classes, laid out as AudioLDM 2 or AudioLDM, small enough for a test to draw with.

Their sounds mean nothing. They load, save, check and draw like trained ones: 64 mel bands, 100 frames a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brain.files.json_files import read_json

FRAMES, MELS = 64, 64
SAMPLES = FRAMES * 160
LATENT = (4, 16, 16)
CLAP = 24
LOA = (4, 16)
TEXT = 32
PIECES = 12


def tiny_sound_stack(
    folder: Path, *, family: str = "audioldm2", seed: int = 0, vocoder: bool = True, audio_tower: bool = True
) -> Path:
    """Write a stack of sounds of 0.64 s into `folder` (made if absent) and return it.

    `family` is "audioldm2" or "audioldm". `vocoder` False leaves the vocoder out; `audio_tower` False leaves CLAP its
    text tower alone, as the hub's AudioLDM has it.
    """
    import torch

    from pipelines.sounds.pipeline import SoundPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = {"vae": _autoencoder(), "scheduler": _scheduler(), **_clap(audio_tower=audio_tower)}
        parts |= {"vocoder": tiny_vocoder()} if vocoder else {}
        parts |= _audioldm2() if family == "audioldm2" else {"unet": _audioldm_unet()}
        SoundPipeline(**parts).save_pretrained(folder)
        if family == "audioldm2":
            _add_teacher(folder)
    return folder


def _autoencoder() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT[0],
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=FRAMES,
        scaling_factor=0.4,
    )


def _scheduler() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.0015,
        beta_end=0.0195,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def tiny_vocoder() -> Any:
    """A random HiFi-GAN from 64 mel bands to 160 samples a frame."""
    import torch
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    net = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=MELS,
            sampling_rate=16000,
            upsample_initial_channel=16,
            upsample_rates=[8, 5, 4],
            upsample_kernel_sizes=[16, 11, 8],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3]],
            normalize_before=False,
        )
    )
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            layer.reset_parameters()  # transformers' own start is too quiet to be heard
    return net


def _audioldm_unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT[1],
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=(8, 16),  # each level attends to itself
        attention_head_dim=4,
        norm_num_groups=4,
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=CLAP,
        class_embeddings_concat=True,
    )


def _audioldm2() -> dict[str, Any]:
    from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel
    from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5EncoderModel, T5Tokenizer

    unet = AudioLDM2UNet2DConditionModel(
        sample_size=LATENT[1],
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=((None, LOA[1], TEXT),) * 2,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    language = GPT2Config(
        vocab_size=2,
        n_positions=48,
        n_embd=LOA[1],
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=1,
        max_new_tokens=LOA[0],
    )
    letters = [(letter, -4.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    tokens = T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters], extra_ids=0, model_max_length=PIECES
    )
    text = T5Config(
        vocab_size=len(tokens), d_model=TEXT, d_kv=8, d_ff=32, num_layers=1, num_heads=4, decoder_start_token_id=0
    )
    return {
        "unet": unet,
        "text_encoder_2": T5EncoderModel(text),
        "tokenizer_2": tokens,
        "projection_model": AudioLDM2ProjectionModel(CLAP, TEXT, LOA[1]),
        "language_model": GPT2LMHeadModel(language),
    }


def _clap(*, audio_tower: bool) -> dict[str, Any]:
    from transformers import (
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapTextConfig,
        ClapTextModelWithProjection,
        RobertaTokenizer,
    )
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values()]
    tokens = RobertaTokenizer(
        vocab={piece: place for place, piece in enumerate(pieces)}, merges=[], model_max_length=PIECES
    )
    text = ClapTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=PIECES + 2,
        type_vocab_size=1,
        projection_dim=CLAP,
    )
    if not audio_tower:
        return {"text_encoder": ClapTextModelWithProjection(text), "tokenizer": tokens}
    audio = ClapAudioConfig(
        spec_size=64,
        window_size=4,
        num_mel_bins=16,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        num_hidden_layers=2,
        hidden_size=32,
        patch_size=4,
        patch_stride=[4, 4],
        patch_embeds_hidden_size=16,
        projection_dim=CLAP,
    )
    extractor = ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16000,
        hop_length=160,
        fft_window_size=512,
        max_length_s=1,
        truncation="rand_trunc",
        frequency_min=50,
        frequency_max=8000,
    )
    whole = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=CLAP)
    return {"text_encoder": ClapModel(whole), "feature_extractor": extractor, "tokenizer": tokens}


def _add_teacher(folder: Path) -> None:
    """The masked autoencoder's tower that makes LOA, its recipe, and its line in the index."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=LOA[1],
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=[FRAMES, MELS],
        patch_size=[16, 16],
        num_channels=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder / "teacher")
    recipe = {
        "front_end": "audioldm-mel", "frames": FRAMES, "mels": MELS, "mean": -5.0, "std": 3.0, "pad": "zero",
        "layers": [1, 2], "tokens": LOA[0],
    }  # fmt: skip
    (folder / "teacher" / "preprocessor_config.json").write_text(json.dumps(recipe) + "\n", encoding="utf-8")
    index = folder / "model_index.json"
    facts = read_json(index) | {"teacher": ["transformers", "ViTModel"]}
    index.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
