"""The miniature sound networks before training: the classes of AudioLDM 2's stack, at a size a laptop runs.

A window of 2.56 s is 256 mel frames x 64 mels; the autoencoder makes 8 x 32 x 8 numbers of it. The UNet hears LOA,
eight tokens of the masked autoencoder "teacher", and the states of a text encoder; the language model makes LOA of
CLAP.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from brain.simulated.sounds.sound import READOUTS, vocabulary
from pipelines.miniature.parts import merges_of, namer

FRAMES, MELS = 256, 64
SAMPLES, RATE = 40_960, 16_000
LATENT = (8, 32, 8)
WIDTH = 128  # CLAP's projection and the text encoder's states
LOA = (8, 192)  # tokens in time, width
PATCH = 16
LAYERS = (4, 5, 6)  # hidden states of the teacher that LOA averages; 0 is the embedding, 6 the last layer
TOKENS = 32
MEAN, STD = -4.4, 2.2  # of raw log-mels, roughly: networks start there, the interfaces stay raw


def clap_tokenizer() -> Any:
    """A RobertaTokenizer that knows every caption word whole and spells any other word in bytes."""
    from transformers import RobertaTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    words = vocabulary()
    # letters join into words, and the space before a word last
    merges = merges_of([tuple(word) for word in words]) + [("Ġ", word) for word in words]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values(), *(a + b for a, b in merges)]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=TOKENS)


def text_tokenizer() -> Any:
    """A T5Tokenizer (a unigram model) with every caption word as one piece, and single characters."""
    from transformers import T5Tokenizer

    words = vocabulary()
    letters = sorted({*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'-", *"".join(words)})
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -8.0)]
    vocab += [(f"▁{word}", -2.0) for word in words] + [(letter, -8.0) for letter in letters]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=TOKENS)


def feature_extractor() -> Any:
    """A ClapFeatureExtractor for windows of exactly 2.56 s: nothing random, nothing padded.

    The hop is 162 samples, so that 253 frames come out; with 160 there would be 257, one more than the tower's 256.
    """
    from transformers import ClapFeatureExtractor

    return ClapFeatureExtractor(
        feature_size=MELS,
        sampling_rate=RATE,
        hop_length=162,
        max_length_s=SAMPLES / RATE,
        fft_window_size=1024,
        frequency_min=0,
        frequency_max=8000,
        truncation="rand_trunc",
        padding="repeatpad",
    )


def clap(tokens: Any) -> Any:
    """A ClapModel: a Swin tower over the folded mel of 128 x 128, a RoBERTa of two layers, projected to 128."""
    from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig

    text = ClapTextConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS + 2,
        type_vocab_size=1,
        pad_token_id=tokens.pad_token_id,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        projection_dim=WIDTH,
    )
    audio = ClapAudioConfig(
        spec_size=128,
        num_mel_bins=MELS,
        patch_size=8,
        patch_stride=[8, 8],
        window_size=4,
        patch_embeds_hidden_size=96,
        depths=[2, 2],
        num_attention_heads=[3, 6],
        num_hidden_layers=2,
        hidden_size=192,
        projection_dim=WIDTH,
        num_classes=1,
        drop_path_rate=0.0,
    )
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=WIDTH)
    config._attn_implementation = "eager"
    return ClapModel(config)


def autoencoder() -> Any:
    """An AutoencoderKL that halves a raw log-mel three times: 1 x 256 x 64 to 8 x 32 x 8."""
    from diffusers import AutoencoderKL

    net = AutoencoderKL(
        in_channels=1,
        out_channels=1,
        block_out_channels=(16, 32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=LATENT[0],
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=FRAMES,
        mid_block_add_attention=False,
    )
    _start_at_raw(net.encoder.conv_in)
    with torch.no_grad():
        net.decoder.conv_out.weight.mul_(STD)
        net.decoder.conv_out.bias.fill_(MEAN)
    return net


def _start_at_raw(layer: Any) -> None:
    """Let a fresh first convolution see raw log-mels as if they had been standardised."""
    with torch.no_grad():
        layer.weight.div_(STD)
        layer.bias.sub_(MEAN * layer.weight.flatten(1).sum(1))


def teacher() -> Any:
    """A ViTModel over patches of 16 x 16 of the standardised log-mel, positions begun as sines (He et al. 2022)."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=LOA[1],
        intermediate_size=4 * LOA[1],
        num_hidden_layers=LAYERS[-1],
        num_attention_heads=6,
        image_size=[FRAMES, MELS],
        patch_size=[PATCH, PATCH],
        num_channels=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = "eager"
    net = ViTModel(config, add_pooling_layer=False)
    with torch.no_grad():
        places = torch.from_numpy(_sines(FRAMES // PATCH, MELS // PATCH, width=LOA[1]))
        net.embeddings.position_embeddings[:, 1:].copy_(places)
    return net


def _sines(rows: int, columns: int, *, width: int) -> NDArray[np.float32]:
    """Sines and cosines of (row, column), (rows * columns, width)."""
    rates = 1 / 100 ** (np.arange(width // 4) / (width // 4))
    y, x = (grid.reshape(-1, 1) * rates for grid in np.mgrid[:rows, :columns])
    return np.concatenate([np.sin(y), np.cos(y), np.sin(x), np.cos(x)], 1).astype(np.float32)


def loa_of(hidden: Any, norm: Any) -> torch.Tensor:
    """A teacher's hidden states -> LOA (batch, 8, 192), as AudioLDM 2 pools AudioMAE (Liu et al. 2024, section III).

    The layers' normalised states are averaged, the class token dropped, and (mean + max) / 2 taken over each token's
    stretch of time and the whole band.
    """
    states = torch.stack([norm(hidden[layer]) for layer in LAYERS]).mean(0)[:, 1:].float()
    stretches: torch.Tensor = states.unflatten(1, (LOA[0], -1))
    return (stretches.mean(2) + stretches.amax(2)) / 2


def projection() -> Any:
    """The AudioLDM2ProjectionModel: CLAP and text states into the language model's width, begun and ended by tokens."""
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel

    return AudioLDM2ProjectionModel(text_encoder_dim=WIDTH, text_encoder_1_dim=WIDTH, langauge_model_dim=LOA[1])


def language() -> Any:
    """A GPT2LMHeadModel of three layers whose hidden states are LOA tokens; its vocabulary is never used."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=2,
        n_positions=96,
        n_embd=LOA[1],
        n_layer=3,
        n_head=6,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=1,
        max_new_tokens=LOA[0],
    )
    config._attn_implementation = "eager"
    return GPT2LMHeadModel(config)


def text_encoder(tokens: Any) -> Any:
    """A T5EncoderModel of two layers, 128 wide."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokens),
            d_model=WIDTH,
            d_kv=32,
            d_ff=4 * WIDTH,
            num_layers=2,
            num_heads=4,
            relative_attention_num_buckets=16,
            relative_attention_max_distance=TOKENS,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )


def unet() -> Any:
    """An AudioLDM2UNet2DConditionModel: self-attention, LOA and text in turn at the coarsest level, 8 x 2.

    There a LOA token and a row stand for the same 0.32 s.
    """
    from diffusers import AudioLDM2UNet2DConditionModel

    return AudioLDM2UNet2DConditionModel(
        sample_size=LATENT[1],
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        block_out_channels=(32, 64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=((None, LOA[1], WIDTH),) * 3,
        attention_head_dim=4,  # diffusers reads this as the number of heads here
        norm_num_groups=8,
        use_linear_projection=True,
    )


def vocoder() -> Any:
    """A SpeechT5HifiGan from raw log-mels to 160 samples a frame."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    net = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=MELS,
            sampling_rate=RATE,
            upsample_initial_channel=256,
            upsample_rates=[8, 5, 4],
            upsample_kernel_sizes=[16, 11, 8],
            resblock_kernel_sizes=[3, 7],
            resblock_dilation_sizes=[[1, 3], [1, 3]],
            normalize_before=False,
        )
    )
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            layer.reset_parameters()
    _start_at_raw(net.conv_pre)
    return net


def judge() -> Any:
    """A residual net whose grouped logits name what a log-mel holds; its pooled feature is the judge's ear."""
    return namer(READOUTS, first=24, widths=[24, 48, 96, 160], depths=[1, 1, 2, 1], num_channels=1)
