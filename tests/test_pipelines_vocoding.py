"""Vocoders and re-ranking: Griffin-Lim against librosa and tones, peaks, the best of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from brain.errors import InputError, UsageError
from encoders.sounds.mel import MelRecipe, log_mel_tensor
from pipelines.drawing import Drawn
from pipelines.reranking import best_of
from pipelines.sounds.tiny import tiny_vocoder
from pipelines.sounds.vocoding import GriffinLim, Hifigan, limited
from tests.rounding import rounding


def test_griffin_lim_gives_a_tone_back_at_its_place() -> None:
    time = torch.arange(16000) / 16000
    waves = torch.stack([torch.sin(2 * torch.pi * 440 * time), torch.sin(2 * torch.pi * 1500 * time) * (time > 0.5)])
    recipe = MelRecipe()
    mels = log_mel_tensor(waves)
    back = GriffinLim(recipe=recipe)(mels)
    assert back.shape == waves.shape
    assert [int(one.argmax()) for one in torch.fft.rfft(back).abs()] == pytest.approx([440, 1500], abs=40)
    assert back[1, :7200].abs().max() < 0.1 * back[1].abs().max()
    errors = [
        (log_mel_tensor(GriffinLim(recipe=recipe, iterations=count)(mels)).exp() - mels.exp()).square().mean()
        for count in (0, 8, 32)
    ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_is_librosas(momentum: float) -> None:
    librosa = pytest.importorskip("librosa")
    magnitudes = np.abs(np.random.default_rng(0).normal(size=(513, 30))).astype(np.float32)
    expected = librosa.griffinlim(
        magnitudes, n_iter=8, hop_length=160, n_fft=1024, center=False, momentum=momentum, init=None
    )
    ours = GriffinLim(recipe=MelRecipe(), iterations=8, momentum=momentum).invert(torch.from_numpy(magnitudes.T)[None])
    inner = slice(512, -512)  # at the ends the two divide by next to nothing, each in its own way
    # eight times, and once at the end back alone: transforms of 1024, each of 10 stages that sum two complex products,
    # and as many frames as overlap, of the sound and of the window that divides it
    back = 4 * 10 + 2 * 1024 // 160
    apart = rounding(sums=8 * (back + 4 * 10) + back, scale=np.abs(expected[inner]).max())
    np.testing.assert_allclose(ours[0].numpy()[inner], expected[inner], atol=apart, rtol=0)


def test_peaks_are_turned_down_and_never_clipped() -> None:
    waves = torch.tensor([[0.5, -0.25, 0.0], [3.0, -1.5, 0.75]])
    down = limited(waves)
    assert torch.equal(down[0], waves[0]) and torch.allclose(down[1], waves[1] * 0.33)


def test_a_vocoder_of_another_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="vocoder.*recipe"):
        Hifigan(vocoder=tiny_vocoder(), recipe=MelRecipe(hop=256))


# the best of several


def waves_of(seeds: Sequence[int]) -> list[Drawn]:
    return [
        Drawn(id="clip", seed=seed, withheld=seed == 3, wave=None if seed == 3 else np.full(4, seed, np.float32))
        for seed in seeds
    ]


def test_the_best_is_kept_with_every_score() -> None:
    asked: list[tuple[int, ...]] = []

    def score(waves: Any) -> Any:
        asked.append(waves.shape)
        return -np.abs(waves[:, 0] - 5.2)

    best = best_of(waves_of([1, 3, 5, 7]), score)
    assert (best.drawn.seed, best.index, best.candidates, asked) == (5, 2, 4, [(3, 4)])
    kept = rounding(sums=1, scale=5.2)  # 5.2 as a float32, from which 5 is taken
    assert np.isnan(best.scores[1]) and best.scores[2] == pytest.approx(-0.2, abs=kept)
    assert best_of(waves_of([9, 8, 7]), lambda waves: np.zeros(len(waves))).drawn.seed == 9


def test_re_ranking_refuses_what_it_cannot_compare() -> None:
    for seeds in ([], [1, 1]):
        with pytest.raises(UsageError, match="different seeds"):
            best_of(waves_of(seeds), lambda waves: waves[:, 0])
    with pytest.raises(InputError, match="finite"):
        best_of(waves_of([1, 2]), lambda waves: waves[:, 0] * np.nan)
    with pytest.raises(InputError, match="finite"):
        best_of(waves_of([1, 2]), lambda waves: waves)
    with pytest.raises(InputError, match="heard"):
        best_of(waves_of([3]), lambda waves: waves[:, 0])
