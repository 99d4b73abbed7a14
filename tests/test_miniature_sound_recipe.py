"""The recipe of the sound stack: its data are what the real classes make of them, its conditions what spaces say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from brain.files.waveforms import levelled
from brain.simulated.sounds.sound import READOUTS, draw_sound, vocabulary
from encoders.sounds.mel import log_mel
from pipelines.miniature.recipe_image import data as scenes
from pipelines.miniature.recipe_sound import models, stages
from pipelines.miniature.recipe_sound.data import (
    AUDITORY_SEED,
    HELD_OUT_SEED,
    JUDGE_SEED,
    STACK_SEED,
    Sounds,
    clap_features,
    rendered,
)
from pipelines.miniature.stage import newest
from tests.rounding import largest, rounding


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Sounds:
    return rendered(tmp_path_factory.mktemp("cache"), seed=HELD_OUT_SEED, count=7, workers=1)


def test_no_study_can_reach_the_sounds_of_training() -> None:
    seeds = {STACK_SEED, JUDGE_SEED, AUDITORY_SEED, HELD_OUT_SEED}
    others = {scenes.STACK_SEED, scenes.JUDGE_SEED, scenes.CORTEX_SEED, scenes.HELD_OUT_SEED}
    assert len(seeds) == 4 and not seeds & others and min(seeds) > 2**32


def test_sounds_are_cached_whole_and_the_same(tmp_path: Path, sounds: Sounds) -> None:
    again = rendered(tmp_path, seed=HELD_OUT_SEED, count=7, workers=1)
    assert np.array_equal(again.waves, sounds.waves) and again.captions == sounds.captions
    assert sounds.waves.shape == (7, 40_960) and len(sounds) == 7 and set(sounds.labels) == set(READOUTS)
    assert sounds.labels["kind"][0] == sounds.labels["kind"][1]  # two windows of one clip
    assert not np.array_equal(sounds.waves[0], sounds.waves[1])
    assert not list(tmp_path.glob("*.partial"))


def test_cached_mels_are_the_recipes(sounds: Sounds) -> None:
    for wave, mel in zip(sounds.waves, sounds.mels, strict=True):
        assert np.abs(log_mel(wave.astype(np.float32) / 32767) - mel).max() < 0.01


def test_cached_features_are_the_extractors(sounds: Sounds) -> None:
    waves = sounds.waves.astype(np.float32) / 32767
    true = models.feature_extractor()(list(waves), sampling_rate=models.RATE, return_tensors="pt")["input_features"]
    assert (true[:, 0] - clap_features(torch.from_numpy(waves))).abs().max() < 0.01
    assert np.abs(true[:, 0].numpy() - sounds.features).max() < 0.05


def test_the_tokenizers_know_every_caption_word_whole() -> None:
    clap, text = models.clap_tokenizer(), models.text_tokenizer()
    assert all(len(clap.tokenize(f" {word}")) == len(text.tokenize(word)) == 1 for word in vocabulary())
    captions = [caption for index in range(60) for caption in draw_sound(seed=1, index=index).captions]
    for tokens in (clap, text):
        ids = [tokens(caption).input_ids for caption in captions]
        assert max(map(len, ids)) <= models.TOKENS
    assert clap.decode(clap(captions[0]).input_ids, skip_special_tokens=True) == captions[0]


def test_the_recipes_loa_is_the_spaces(tmp_path: Path, sounds: Sounds) -> None:
    from brain.types import Stimuli
    from encoders.spaces import CATALOGUE
    from pipelines.miniature.recipe_sound.export import LOA_FACTS

    net = models.teacher().eval()
    net.save_pretrained(tmp_path / "teacher")
    (tmp_path / "teacher" / "preprocessor_config.json").write_text(json.dumps(LOA_FACTS))
    wave = sounds.waves[0].astype(np.float32) / 32767
    one = Stimuli(ids=("one",), modality="sound", opener=lambda _: (wave, models.RATE))
    space = CATALOGUE["loa"].open(tmp_path, model="ours", revision="", device="cpu")
    with torch.no_grad():
        mel = stages.standard(torch.from_numpy(log_mel(levelled(wave))))[None, None]
        hidden = net(pixel_values=mel, output_hidden_states=True).hidden_states
        ours = models.loa_of(hidden, net.layernorm).numpy()
    # the same teacher on the same spectrogram; means over 3 layers and over 8 patches, and of mean and maximum
    apart = rounding(sums=len(models.LAYERS) + 8 + 2, scale=largest(ours))
    np.testing.assert_allclose(space.encode(one, ("one",), batch=1).values, ours, atol=apart, rtol=0)


def test_told_loa_is_what_the_pipelines_language_model_says() -> None:
    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sounds.language import language_loa

    net, tokens = stages.Language().eval(), models.text_tokenizer()
    speaker = models.text_encoder(tokens).eval()
    clap = torch.nn.functional.normalize(torch.randn(3, models.WIDTH, generator=torch.Generator().manual_seed(1)))
    ids = torch.tensor(tokens(["a dog barks"]).input_ids).expand(3, -1)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        states = speaker(input_ids=ids).last_hidden_state
        theirs = language_loa(
            net.projection,
            net.net,
            clap,
            text=states,
            mask=mask,
            tokens=models.LOA[0],
            batches=MicroBatches(width=3, threads=0),
        )
        loa = net.predicted(clap, states, mask, theirs)
    # Each token is what follows those before it. One pass: a projection, and three layers of queries, scores of a head,
    # what the places say, out of it, in and out of 4 times the width. There a token is asked alone, here all at once.
    tokens, width = models.LOA
    places = 1 + 2 + ids.shape[1] + 2 + tokens
    sums = models.WIDTH + 3 * (width + width // 6 + 2 * places + width + width + 4 * width)
    torch.testing.assert_close(loa, theirs, atol=rounding(sums=sums, scale=largest(theirs)), rtol=0)


def test_a_rough_loa_is_still_its_own() -> None:
    generator = torch.Generator().manual_seed(2)
    loa = torch.randn(40, *models.LOA, generator=generator) @ torch.randn(192, 192, generator=generator) / 14
    rough = stages.Roughness(loa)(loa, generator)
    near = torch.cdist(rough.flatten(1), loa.flatten(1)).argmin(1)
    assert not torch.equal(rough, loa) and (near == torch.arange(40)).float().mean() > 0.8


def test_the_teacher_hides_three_quarters_of_the_patches() -> None:
    """What is drawn of the hidden patches depends on the seen ones alone."""
    torch.manual_seed(0)
    net, order = stages.Teacher().eval(), torch.arange(64)[None]
    mels = torch.randn(1, models.FRAMES, models.MELS)
    seen, unseen = mels.clone(), mels.clone()
    seen[:, 0], unseen[:, -1] = 9.0, 9.0
    with torch.no_grad():
        tokens = [net.drawn(one, order) for one in (mels, seen, unseen)]
    assert torch.equal(tokens[0], tokens[2]) and not torch.equal(tokens[0], tokens[1])


def test_the_recipe_runs_as_a_command(tmp_path: Path) -> None:
    """A few steps of one real stage through accelerate's launcher."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu", "-m"]
    command += ["pipelines.miniature.recipe_sound", "--work", str(tmp_path), "--scale", "0.001", "--stage", "text"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert newest(tmp_path / "text").is_file()
