"""The spaces of sound against the libraries called by hand; what they refuse; the same sound, the same numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from brain.errors import CheckpointAbsent, InputError
from brain.files.waveforms import levelled, resampled
from brain.types import Float, Stimuli
from encoders.rescale import Rescaling
from encoders.sounds.mel import log_mel, mel_basis
from encoders.spaces import CATALOGUE
from encoders.spaces.clap import window_starts
from encoders.spaces.loa import LoaRecipe, kaldi_fbank
from tests.rounding import largest, rounding

RATE = 16000
SOUNDS = pytest.mark.parametrize("name", ["clap", "loa", "mel-latent"])
KEPT = rounding(sums=1, scale=1.0)
"""What is computed in float64 and kept as float32, of vectors of norm 1."""
UNIT = 24 + 1
"""Sums of a vector of 24 numbers that is made unit length in float32: its norm, by which it is divided."""


def noise(seconds: float = 1.0, *, seed: int = 0, rate: int = RATE) -> Float:
    """Noise that swells, so that one part of it is not another."""
    count = round(seconds * rate)
    swell = np.linspace(0.1, 1, count) ** 2
    return (0.3 * swell * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def sounds(*waves: Float, rate: int = RATE) -> Stimuli:
    named = {f"s{place}": wave for place, wave in enumerate(waves)}
    return Stimuli(ids=tuple(named), modality="sound", opener=lambda one: (named[one], rate))


def opened(name: str, folder: Path, *, seed: int = 0, model: str = "", change: Callable[[], Any] | None = None) -> Any:
    torch.manual_seed(seed)
    named = CATALOGUE[name].tiny(folder)
    if change is not None:
        change()
    return CATALOGUE[name].open(folder, model=model or named, revision="", device="cpu")


def vector(space: Any, wave: Float, *, rate: int = RATE) -> Float:
    return np.asarray(space.encode(sounds(wave, rate=rate), ("s0",), batch=1).values[0])


def rewrite(path: Path, **facts: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | facts), encoding="utf-8")


def by_hand(folder: Path, wave: Float) -> Float:
    """CLAP as its users call it: ClapModel and ClapFeatureExtractor, one clip."""
    from transformers import ClapFeatureExtractor, ClapModel

    extractor = ClapFeatureExtractor.from_pretrained(folder / "feature_extractor")
    inputs = extractor(wave, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    with torch.inference_mode():
        out = ClapModel.from_pretrained(folder / "text_encoder").eval().get_audio_features(**inputs)
    return np.asarray(out.pooler_output[0].numpy())


@pytest.mark.parametrize("seconds", [0.3, 0.95, 1.0])
def test_clap_is_what_transformers_gives_a_clip_that_is_not_cropped(seconds: float, tmp_path: Path) -> None:
    space = opened("clap", tmp_path)
    came = vector(space, noise(seconds))
    # the same tower on the same clip; there the norm is taken in float32, here in float64
    theirs = by_hand(tmp_path, noise(seconds))
    np.testing.assert_allclose(came, theirs, atol=rounding(sums=UNIT, scale=1.0), rtol=0)
    assert np.linalg.norm(came.astype(np.float64)) == pytest.approx(1, abs=KEPT)
    np.testing.assert_array_equal(space.encode_waves([noise(seconds)], batch=4)[0], came)
    assert space.encode_waves([], batch=4).shape == (0, 24)


def fused(folder: Path) -> None:
    """The same tiny CLAP with feature fusion, as laion/clap-htsat-fused has it."""
    from transformers import ClapConfig, ClapModel

    config = ClapConfig.from_pretrained(folder / "text_encoder")
    config.audio_config.enable_fusion = True
    torch.manual_seed(5)
    ClapModel(config).save_pretrained(folder / "text_encoder")
    rewrite(folder / "feature_extractor" / "preprocessor_config.json", truncation="fusion")


def test_a_fused_clap_is_as_deterministic_as_the_other(tmp_path: Path) -> None:
    space = opened("clap", tmp_path, change=lambda: fused(tmp_path))
    waves = [noise(0.8, seed=seed) for seed in range(4)]
    alone = np.stack([vector(space, wave) for wave in waves])
    theirs = by_hand(tmp_path, waves[0])
    np.testing.assert_allclose(alone[0], theirs, atol=rounding(sums=UNIT, scale=1.0), rtol=0)
    together = space.encode(sounds(*waves), ("s0", "s1", "s2", "s3"), batch=4).values
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(vector(space, noise(2.5)), vector(space, noise(2.5)))


def test_a_long_clip_is_windows_averaged_and_never_a_random_crop(tmp_path: Path) -> None:
    space = opened("clap", tmp_path)
    long = noise(2.5)
    assert window_starts(len(long), RATE) == [0, 12000, 24000]
    windows = np.stack([by_hand(tmp_path, long[start : start + RATE]) for start in (0, 12000, 24000)])
    mean = windows.mean(0)
    # by hand three windows are made unit length in float32, and so is their mean, which is shorter
    bound = rounding(sums=UNIT + 3 + UNIT, scale=1 / np.linalg.norm(mean))
    np.testing.assert_allclose(vector(space, long), mean / np.linalg.norm(mean), atol=bound, rtol=0)
    np.random.seed(1)
    first = vector(space, long)
    np.random.seed(2)
    np.testing.assert_array_equal(vector(space, long), first)
    mixed = sounds(noise(0.4), long, noise(1.0, seed=3))
    together = space.encode(mixed, ("s0", "s1", "s2"), batch=3).values
    np.testing.assert_array_equal(together[1], first)


def test_a_sample_too_many_is_no_second_window_and_a_length_of_part_seconds_pads(tmp_path: Path) -> None:
    space = opened("clap", tmp_path)
    long = noise(1.005)
    np.testing.assert_array_equal(vector(space, long), vector(space, long[:RATE]))
    rewrite(tmp_path / "feature_extractor" / "preprocessor_config.json", max_length_s=0.96)
    part = CATALOGUE["clap"].open(tmp_path, model="tiny", revision="", device="cpu")
    assert np.isfinite(vector(part, noise(0.5))).all() and "0.96 s" in part.card.layer


@pytest.mark.parametrize(("samples", "starts"), [(1, [0]), (10, [0]), (11, [0, 1]), (30, [0, 10, 20])])
def test_windows_cover_a_sound_and_stay_inside(samples: int, starts: list[int]) -> None:
    assert window_starts(samples, 10) == starts


def test_a_vector_of_another_clap_is_refused_though_the_width_fits(tmp_path: Path) -> None:
    one = opened("clap", tmp_path / "a", model="cvssp/audioldm2")
    other = opened("clap", tmp_path / "b", model="laion/clap-htsat-unfused")
    retrained = opened("clap", tmp_path / "c", seed=1, model="cvssp/audioldm2")
    conditions = other.encode(sounds(noise()), ("s0",), batch=1)
    assert conditions.space.shape == one.card.shape
    with pytest.raises(InputError, match="model 'cvssp/audioldm2', found 'laion/clap-htsat-unfused'"):
        one.card.must_match(conditions.space)
    with pytest.raises(InputError, match="revision"):
        one.card.must_match(retrained.card)


def test_a_stack_without_the_audio_tower_asks_for_another_clap(tmp_path: Path) -> None:
    """AudioLDM 1's text_encoder is a ClapTextModelWithProjection."""
    from transformers import ClapTextConfig, ClapTextModelWithProjection

    CATALOGUE["clap"].tiny(tmp_path / "whole")
    config = ClapTextConfig(vocab_size=40, hidden_size=16, intermediate_size=16, num_hidden_layers=1)
    config.num_attention_heads = 2
    ClapTextModelWithProjection(config).save_pretrained(tmp_path / "v1" / "text_encoder")
    with pytest.raises(CheckpointAbsent, match="audio tower of cvssp/audioldm-s-full-v2.*folder of the CLAP") as said:
        CATALOGUE["clap"].open(tmp_path / "v1", model="cvssp/audioldm-s-full-v2", revision="", device="cpu")
    assert "\n" not in str(said.value)


def test_a_clap_of_its_own_folder_opens_as_well(tmp_path: Path) -> None:
    space = opened("clap", tmp_path / "stack")
    alone = tmp_path / "clap"
    alone.mkdir()
    for path in [*(tmp_path / "stack" / "text_encoder").iterdir(), *(tmp_path / "stack/feature_extractor").iterdir()]:
        path.rename(alone / path.name)
    again = CATALOGUE["clap"].open(alone, model="tiny", revision="", device="cpu")
    np.testing.assert_array_equal(vector(again, noise()), vector(space, noise()))


def test_an_extractor_of_another_clap_and_another_model_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "feature_extractor" / "preprocessor_config.json"
    opened("clap", tmp_path)
    rewrite(config, truncation="fusion")
    with pytest.raises(InputError, match="one checkpoint"):
        CATALOGUE["clap"].open(tmp_path, model="tiny", revision="", device="cpu")
    rewrite(config, truncation="rand_trunc", feature_size=32)
    with pytest.raises(InputError, match="32 mel bands for a tower of 16"):
        CATALOGUE["clap"].open(tmp_path, model="tiny", revision="", device="cpu")
    rewrite(tmp_path / "text_encoder" / "config.json", model_type="clip")
    with pytest.raises(InputError, match="model of type 'clip'"):
        CATALOGUE["clap"].open(tmp_path, model="tiny", revision="", device="cpu")


def test_restored_clap_guesses_have_unit_norm_and_the_spread_of_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((200, 24)) + 1
    truth = (truth / np.linalg.norm(truth, axis=1, keepdims=True)).astype(np.float32)
    shrunk = (truth.mean(0) + 0.2 * (truth - truth.mean(0))).astype(np.float32)
    space = opened("clap", tmp_path)
    groups = [str(one) for one in range(200)]
    restored = Rescaling.fit(shrunk, truth, groups=groups, kind=space.rescaling, limit=9).apply(shrunk)
    np.testing.assert_allclose(np.linalg.norm(restored.astype(np.float64), axis=1), 1, atol=KEPT, rtol=0)
    # a difference, a product and a sum shrank the truth in float32, and 1 / .2 blows up what they were off
    bound = rounding(sums=3, scale=np.abs(truth).max() / 0.2)
    np.testing.assert_allclose(restored, truth, atol=bound, rtol=0)


def test_latents_are_the_scaled_mode_of_the_levelled_mel(tmp_path: Path) -> None:
    space = opened("mel-latent", tmp_path)
    wave = noise(1.28)
    mel = torch.from_numpy(log_mel(levelled(wave)))[None, None]
    with torch.inference_mode():
        posterior = space.vae.encode(mel).latent_dist
    assert mel.shape == (1, 1, 128, 64) and posterior.mode().shape == (1, 4, 32, 16), "time first, then mel"
    expected = 0.41 * posterior.mode()[0].numpy()  # one product of the same numbers
    np.testing.assert_allclose(vector(space, wave), expected, rtol=rounding(sums=1, scale=1.0))
    assert (posterior.std > 1e-3).all(), "a mode that equals every sample shows nothing"
    np.testing.assert_array_equal(space.encode_mels([mel[0, 0].numpy()])[0], vector(space, wave))


def test_an_autoencoder_of_pictures_is_no_autoencoder_of_sounds(tmp_path: Path) -> None:
    CATALOGUE["vae-latent"].tiny(tmp_path)
    with pytest.raises(InputError, match="one of 3 channels"):
        CATALOGUE["mel-latent"].open(tmp_path, model="tiny", revision="", device="cpu")


def pooled_by_hand(space: Any, pixels: torch.Tensor) -> Float:
    """Blocks called one after the other; LayerNorm of the outputs of both; time x band cells pooled in loops."""
    teacher = space.teacher
    with torch.inference_mode():
        states, hidden = [], teacher.embeddings(pixels[None, None])
        for block in teacher.layers if hasattr(teacher, "layers") else teacher.encoder.layer:
            out = block(hidden)
            hidden = out[0] if isinstance(out, tuple) else out
            states.append(teacher.layernorm(hidden)[0, 1:].numpy())
    grid = ((states[0] + states[1]) / 2).reshape(8, 4, 16)  # (time, band, width)
    cells = [grid[2 * token : 2 * token + 2].reshape(-1, 16) for token in range(4)]
    return np.stack([(cell.mean(0) + cell.max(0)) / 2 for cell in cells])


def test_loa_is_the_pooling_written_by_hand(tmp_path: Path) -> None:
    space = opened("loa", tmp_path)
    wave = noise(1.28)
    pixels = torch.from_numpy((log_mel(levelled(wave)) + 5) / 6)
    came = vector(space, wave)
    assert came.shape == (4, 16) and came.dtype == np.float32
    # the same blocks; then means over two of them and over the 8 cells of a token, and of mean and maximum
    expected = pooled_by_hand(space, pixels)
    np.testing.assert_allclose(came, expected, atol=rounding(sums=2 + 8 + 2, scale=largest(expected)), rtol=0)


def test_tokens_are_in_time(tmp_path: Path) -> None:
    """With positions and attention taken out, a token changes with its own stretch of the sound alone."""
    space = opened("loa", tmp_path)
    with torch.no_grad():
        for name, weight in space.teacher.named_parameters():
            if "o_proj" in name or "attention.output" in name:
                weight.zero_()
    spectrogram = np.zeros((128, 64), np.float32)
    changed = spectrogram.copy()
    changed[32:64] += np.random.default_rng(0).standard_normal((32, 64)).astype(np.float32)
    apart = np.abs(space._forward([changed]) - space._forward([spectrogram]))[0].max(1)
    assert apart[1] > 1e-3 and not apart[[0, 2, 3]].any()


def test_kaldis_filter_bank_is_that_of_the_ast_extractor() -> None:
    from transformers import ASTFeatureExtractor

    with warnings.catch_warnings():  # 128 bands leave one empty, and transformers says so
        warnings.simplefilter("ignore", UserWarning)
        extractor = ASTFeatureExtractor(max_length=128)
    recipe = LoaRecipe(
        front_end="kaldi-fbank",
        frames=128,
        mels=128,
        mean=-4.2677393,
        std=4.5689974,
        pad="zero",
        layers=(1,),
        tokens=8,
    )
    for seconds in (0.7, 1.28):
        wave = levelled(noise(seconds))
        expected = extractor(wave, sampling_rate=RATE, return_tensors="np")["input_values"][0]
        kept = rounding(sums=1, scale=largest(expected))  # both compute in float64
        np.testing.assert_allclose(recipe.spectrogram(wave, name="a"), expected, atol=kept, rtol=0)
    assert kaldi_fbank(noise(1.28), mels=128).shape == (126, 128)


@pytest.mark.parametrize("front_end", ["audioldm-mel", "kaldi-fbank"])
def test_a_short_sound_is_followed_by_silence_or_by_itself(front_end: str) -> None:
    facts: dict[str, Any] = {"front_end": front_end, "frames": 100, "mels": 64, "mean": 0, "std": 0.5, "tokens": 1}
    wave = noise(0.25)
    silent = LoaRecipe(pad="zero", layers=(1,), **facts).spectrogram(wave, name="a")
    again = LoaRecipe(pad="repeat", layers=(1,), **facts).spectrogram(wave, name="a")
    assert silent.shape == again.shape == (100, 64)
    floor = np.log(1e-5) if front_end == "audioldm-mel" else 0
    # the floor and its logarithm
    np.testing.assert_allclose(silent[40:], floor, atol=rounding(sums=2, scale=largest(floor)), rtol=0)
    # 25 frames are the sound's 4000 samples, and each frame is transformed by itself: what may be added up in another
    # order is a band's magnitudes, none below 0, as many as it is wide; then their logarithm
    widest = int((mel_basis() > 0).sum(0).max())
    bound = rounding(sums=widest, scale=1.0) + rounding(sums=1, scale=largest(again))
    np.testing.assert_allclose(again[30:45], again[55:70], atol=bound, rtol=0)
    np.testing.assert_allclose(again[3:20], silent[3:20], atol=bound, rtol=0)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"tokens": 3}, "divide 8 patches"),
        ({"layers": [1, 3]}, "hidden states 0 to 2"),
        ({"frames": 64}, "64 x 64 for a teacher of 128 x 64"),
        ({"pad": "mirror"}, "pad zero or repeat"),
        ({"std": 0}, "std above 0"),
        ({"layers": []}, "sizes"),
        ({"front_end": "mfcc"}, "kaldi-fbank"),
        ({"mean": "none"}, "whole component"),
    ],
)
def test_a_recipe_that_does_not_fit_its_teacher_is_refused(facts: dict[str, Any], words: str, tmp_path: Path) -> None:
    recipe = tmp_path / "teacher" / "preprocessor_config.json"
    with pytest.raises(InputError, match=words) as said:
        opened("loa", tmp_path, change=lambda: rewrite(recipe, **facts))
    assert "\n" not in str(said.value)


def test_a_teacher_with_weights_or_recipe_missing_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    CATALOGUE["loa"].tiny(tmp_path)
    recipe = tmp_path / "teacher" / "preprocessor_config.json"
    kept = recipe.read_text(encoding="utf-8")
    recipe.write_text(json.dumps({"max_length": 1024}), encoding="utf-8")
    with pytest.raises(InputError, match="one without front_end"):
        CATALOGUE["loa"].open(tmp_path, model="tiny", revision="", device="cpu")
    recipe.write_text(kept, encoding="utf-8")
    weights = load_file(tmp_path / "teacher" / "model.safetensors")
    del weights["layernorm.weight"]
    save_file(weights, tmp_path / "teacher" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="1 weights missing, the first is layernorm.weight"):
        CATALOGUE["loa"].open(tmp_path, model="tiny", revision="", device="cpu")


def test_the_recipe_is_part_of_the_space(tmp_path: Path) -> None:
    one = opened("loa", tmp_path / "a")
    recipe = tmp_path / "b" / "teacher" / "preprocessor_config.json"
    other = opened("loa", tmp_path / "b", change=lambda: rewrite(recipe, pad="repeat"))
    with pytest.raises(InputError, match="pad repeat"):
        one.card.must_match(other.card)


@SOUNDS
def test_stereo_at_44100_is_the_mono_sound_at_the_towers_rate(name: str, tmp_path: Path) -> None:
    space = opened(name, tmp_path)
    left, right = noise(rate=44100), noise(rate=44100, seed=1)
    stereo = vector(space, np.stack([left, right], axis=1), rate=44100)
    mono = vector(space, resampled((left + right) / 2, 44100))
    np.testing.assert_array_equal(stereo, mono)  # half of a sum of two is exact, and the rest is the same


@SOUNDS
def test_the_same_sound_has_the_same_bits_in_any_order(name: str, tmp_path: Path) -> None:
    space = opened(name, tmp_path)
    given = sounds(*(noise(seed=seed) for seed in range(5)))
    first = space.encode(given, given.ids, batch=2)
    np.testing.assert_array_equal(space.encode(given, given.ids, batch=2).values, first.values)
    backwards = space.encode(given, given.ids[::-1], batch=4)
    np.testing.assert_array_equal(backwards.take(given.ids).values, first.values)


@SOUNDS
@pytest.mark.parametrize(
    ("wave", "words"),
    [
        (np.zeros(0, np.float32), "0 samples"),
        (np.ones(1, np.float32), "1 sample "),
        (np.full(RATE, np.nan, np.float32), "NaN"),
        (np.ones(RATE, np.int16), "int16"),
        (np.zeros(31 * RATE, np.float32), "windows"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(name: str, wave: Float, words: str, tmp_path: Path) -> None:
    space = opened(name, tmp_path)
    with pytest.raises(InputError, match=words) as said:
        vector(space, wave)
    assert "stimulus s0" in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize("name", ["loa", "mel-latent"])
def test_a_sound_longer_than_the_spectrogram_is_refused_and_half_a_hop_is_not(name: str, tmp_path: Path) -> None:
    space = opened(name, tmp_path)
    with pytest.raises(InputError, match="at most 20480 samples, found 20640"):
        vector(space, noise(1.29))
    wave = noise(1.285)
    assert np.abs(levelled(wave)[:20480] - levelled(wave[:20480])).max() < 0.1
    assert np.isfinite(vector(space, wave)).all()


@SOUNDS
def test_a_picture_is_no_sound(name: str, tmp_path: Path) -> None:
    space = opened(name, tmp_path)
    pictures = Stimuli(ids=("s0",), modality="image", opener=lambda one: one)
    with pytest.raises(InputError, match="expected sounds, found image"):
        space.encode(pictures, ("s0",), batch=1)
