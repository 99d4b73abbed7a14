"""The miniature networks before training: the real classes of transformers and diffusers, at a size a laptop runs.

One width, 192, joins them: the text tower's hidden states are the UNet's cross-attention tokens, the image embedding
(noised, with the embedding of its noise level beside it, as in Stable unCLIP) is the UNet's class condition.
"""

from __future__ import annotations

from typing import Any

from brain.simulated.cortex.ventral import READOUTS
from brain.simulated.scenes.scene import vocabulary
from pipelines.miniature.parts import merges_of, namer

WIDTH = 192
TOKENS = 20
PIXELS = 64
LATENT = (4, 16, 16)
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def tokenizer() -> Any:
    """A CLIPTokenizer that knows every caption word whole and spells any other word in bytes."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges = merges_of([(*word[:-1], word[-1] + "</w>") for word in vocabulary()])
    pieces = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    specials = ["<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *specials]))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=TOKENS)


def clip(tokens: Any) -> Any:
    """A CLIPModel: image tower 4 layers on 8-pixel patches, text tower 2 layers, both 192 wide."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    text = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        projection_dim=WIDTH,
    )
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=PIXELS,
        patch_size=8,
        projection_dim=WIDTH,
    )
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH)
    config._attn_implementation = "eager"  # faster than fused attention for short sequences on a processor
    return CLIPModel(config)


def autoencoder() -> Any:
    """An AutoencoderKL that halves the picture twice: 64 x 64 pixels to 4 x 16 x 16."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 48, 96),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT[0],
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=PIXELS,
    )


def tiny_autoencoder() -> Any:
    """An AutoencoderTiny for the same (scaled) latents."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 2, 2),
        num_decoder_blocks=(2, 2, 1),
        latent_channels=LATENT[0],
        latent_magnitude=3,
        scaling_factor=1.0,
    )


def unet() -> Any:
    """A UNet2DConditionModel of about 6 million weights with text tokens and an image embedding as conditions."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT[1],
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        block_out_channels=(48, 96, 144),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # diffusers reads this as the number of heads here
        norm_num_groups=8,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=2 * WIDTH,
    )


def judge() -> Any:
    """A residual net whose grouped logits name what a picture shows; its pooled feature is what the judge compares."""
    return namer(READOUTS, first=32, widths=[32, 64, 128, 192], depths=[1, 2, 2, 1])


def second_tower() -> Any:
    """The stack's second tower, which guides synthesis beside CLIP: wider, less deep, other scenes than the judge's."""
    return namer(READOUTS, first=24, widths=[40, 80, 160, 240], depths=[1, 1, 2, 1])
