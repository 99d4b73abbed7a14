"""Simulated sounds: the same clip anywhere, audible everywhere, and labels that can be heard."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.files.waveforms import RATE
from brain.simulated.sounds.acoustics import shaped
from brain.simulated.sounds.sound import (
    CATEGORIES,
    KINDS,
    READOUTS,
    WINDOW_SECONDS,
    Sound,
    draw_sound,
    render_sound,
    vocabulary,
    windows,
)
from tests.rounding import largest, rounding


def _centroid(wave: NDArray[np.float32]) -> float:
    """Spectral centre of gravity in octaves above 1 Hz, of magnitudes."""
    size = np.abs(np.fft.rfft(wave))[1:]
    return float((size * np.log2(np.fft.rfftfreq(len(wave), 1 / RATE)[1:])).sum() / size.sum())


def _long_spectrum(wave: NDArray[np.float32]) -> NDArray[np.floating]:
    frames = np.abs(np.fft.rfft(wave[: len(wave) // 512 * 512].reshape(-1, 512) * np.hanning(512), axis=1))
    log = np.log(frames + 1e-3)
    return np.asarray(np.concatenate((log.mean(axis=0), log.std(axis=0))))


def test_a_sound_is_a_function_of_seed_and_index() -> None:
    first, again, other = (draw_sound(seed=seed, index=5) for seed in (3, 3, 4))
    assert first == again and first != other
    np.testing.assert_array_equal(render_sound(first), render_sound(again))
    assert np.abs(render_sound(first) - render_sound(other)).max() > 0.1


def test_every_run_of_as_many_indices_as_kinds_holds_each_kind_once() -> None:
    runs = [[draw_sound(seed=0, index=start + place).kind for place in range(len(KINDS))] for start in (0, len(KINDS))]
    assert all(Counter(run) == Counter(KINDS) for run in runs)
    assert runs[0] != runs[1]
    counts = Counter(draw_sound(seed=0, index=index).pitch for index in range(300))
    assert all(counts[value] > 70 for value in READOUTS["pitch"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_clean_waveform_heard_in_every_window(kind: str) -> None:
    # numpy takes a mean in blocks of 128, each by eight running sums that are added pair by pair, as the blocks are
    mean = 128 // 8 + 3 + int(np.ceil(np.log2(round(5.12 * RATE) / 128)))
    for index in range(3):
        wave = render_sound(draw_sound(seed=2, index=index, kind=kind))
        assert wave.dtype == np.float32 and wave.shape == (round(5.12 * RATE),)
        assert np.isfinite(wave).all()
        # brought to a peak by a quotient and a product
        assert abs(float(np.abs(wave).max()) - 0.5) <= rounding(sums=2, scale=0.5)
        assert abs(float(wave.mean(dtype=np.float64))) <= rounding(sums=mean + 2, scale=float(np.abs(wave).mean()))
        power = [float(np.sqrt(np.mean(window**2))) for window in windows(wave)]
        assert min(power) > 0.01 and max(power) < 3 * min(power)
        second = np.sqrt((wave[: 5 * RATE].reshape(5, RATE) ** 2).mean(axis=1))
        assert second.min() > 0.004  # no second of silence


def test_windows_are_three_that_overlap_by_half_and_differ() -> None:
    wave = render_sound(draw_sound(seed=0, index=0, kind="man"))
    early, middle, late = windows(wave)
    size = round(WINDOW_SECONDS * RATE)
    assert len(early) == len(middle) == len(late) == size == 40960
    np.testing.assert_array_equal(early[size // 2 :], middle[: size // 2])
    assert abs(float(np.corrcoef(early, middle)[0, 1])) < 0.5


def test_captions_are_three_different_sentences_of_the_vocabulary() -> None:
    words = set(vocabulary())
    for index in range(60):
        sound = draw_sound(seed=1, index=index)
        assert len(set(sound.captions)) == 3
        for caption in sound.captions:
            assert set(caption.replace(",", "").split()) <= words
    assert set(draw_sound(seed=1, index=0).labels) == set(READOUTS)


def _pairs(group: str, low: str, high: str) -> list[tuple[Sound, Sound]]:
    """For every kind a sound of one value of a group and one of another, equal in what else is named but the room."""
    found: list[tuple[Sound, Sound]] = []
    for kind in KINDS:
        drawn = [draw_sound(seed=7, index=index, kind=kind) for index in range(80)]
        others = [name for name in ("pitch", "pace", "brightness", "space") if name != group]
        dry = [sound for sound in drawn if group == "space" or sound.space == "dry"]
        pair = [
            (a, b)
            for a in dry
            for b in dry
            if getattr(a, group) == low
            and getattr(b, group) == high
            and all(getattr(a, name) == getattr(b, name) for name in others)
        ]
        found.append(pair[0])
    return found


def test_pitch_and_brightness_move_the_spectrum_up() -> None:
    for group, low, high, least in (("pitch", "low", "high", 26), ("brightness", "dark", "bright", 28)):
        up = [_centroid(render_sound(b)) > _centroid(render_sound(a)) for a, b in _pairs(group, low, high)]
        assert sum(up) >= least, [kind for kind, moved in zip(KINDS, up, strict=True) if not moved]


def _envelope(wave: NDArray[np.float32]) -> NDArray[np.floating]:
    return np.asarray(np.sqrt((wave[: len(wave) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)))


def test_pace_moves_the_envelope_faster() -> None:
    """Centre of the loudness contour's spectrum between 0.3 and 15 Hz; kinds whose pace is a melody's or a sweep's
    show it in their spectrum over time instead, so a clear majority is asked for."""

    def rate(sound: Sound) -> float:
        loud = _envelope(render_sound(sound))
        size = np.abs(np.fft.rfft(loud - loud.mean())) ** 2
        hertz = np.fft.rfftfreq(len(loud), 0.01)
        kept = (hertz > 0.3) & (hertz < 15)
        return float((size * hertz)[kept].sum() / size[kept].sum())

    faster = [rate(b) > rate(a) for a, b in _pairs("pace", "slow", "fast")]
    assert sum(faster) >= 22, [kind for kind, moved in zip(KINDS, faster, strict=True) if not moved]


def test_an_echo_fills_the_pauses() -> None:
    def quiet(sound: Sound) -> float:
        loud = _envelope(render_sound(sound))
        return float(np.quantile(loud, 0.1) / loud.mean())

    pairs = [pair for pair in _pairs("space", "dry", "echoing") if pair[0].kind in ("man", "dog", "typing", "clock")]
    assert len(pairs) == 4
    assert all(quiet(echoing) > 1.5 * quiet(dry) for dry, echoing in pairs)


def test_categories_and_kinds_can_be_told_from_the_long_term_spectrum() -> None:
    """Nearest kind mean of log-spectrum mean and spread: far over chance (1 in 29, 1 in 6), short of sure."""
    drawn = [[draw_sound(seed=11, index=index, kind=kind) for index in range(12)] for kind in KINDS]
    features = np.stack([[_long_spectrum(render_sound(sound)) for sound in sounds] for sounds in drawn])
    features = (features - features.mean(axis=(0, 1))) / features.std(axis=(0, 1))
    means, test = features[:, :9].mean(axis=1), features[:, 9:].reshape(-1, features.shape[-1])
    nearest = np.argmin(((test[:, None] - means[None]) ** 2).sum(axis=-1), axis=1)
    truth = np.repeat(np.arange(len(KINDS)), 3)
    category = np.repeat(np.arange(len(CATEGORIES)), [len(kinds) for kinds in CATEGORIES.values()])
    assert np.mean(nearest == truth) > 0.25
    assert np.mean(category[nearest] == category[truth]) > 0.4
    within = features[:, 9] - features[:, 10]  # two sounds of one kind differ as well
    assert (np.sqrt((within**2).mean(axis=1)) > 0.3).all()


def test_an_envelope_of_ones_gives_the_source_back() -> None:
    source = np.random.default_rng(0).standard_normal(4000, dtype=np.float32)
    # there and back by transforms of 512, of 9 stages that sum two complex products; four frames overlap
    apart = rounding(sums=2 * 4 * 9 + 4, scale=largest(source))
    np.testing.assert_allclose(shaped((source, np.ones(257)))[400:-400], source[400:-400], atol=apart, rtol=0)
