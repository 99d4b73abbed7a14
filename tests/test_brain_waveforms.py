"""Waveforms: what is taken in, what is refused in one sentence, and that a written sound is the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from brain.errors import InputError, StorageError, UsageError
from brain.files.waveforms import RATE, checked, levelled, read_wave, resampled, windowed, write_wave
from brain.types import Float
from tests.rounding import rounding


def tone(hertz: float = 440.0, *, seconds: float = 1.0, rate: int = RATE, peak: float = 0.5) -> Float:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def refused(path: Path, words: str, **stretch: float) -> None:
    with pytest.raises(InputError, match=words) as said:
        read_wave(path, **stretch)
    assert "\n" not in str(said.value) and str(path) in str(said.value)


def test_a_written_sound_comes_back_and_is_mono_16_bit_pcm(tmp_path: Path) -> None:
    path = tmp_path / "folder of naïve sounds" / "a.wav"
    write_wave(path, tone(), RATE)
    wave, rate = read_wave(path)
    np.testing.assert_allclose(wave, tone(), atol=1 / 2**15)
    assert rate == RATE and wave.dtype == np.float32
    raw_rate, raw = wavfile.read(path)  # another reader than ours
    assert raw_rate == RATE and raw.dtype == np.int16 and raw.shape == (RATE,)
    assert [one.name for one in path.parent.iterdir()] == ["a.wav"]


def test_a_loud_sound_is_turned_down_and_not_clipped(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav", tone(peak=3), RATE)
    wave, _ = read_wave(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, tone(peak=0.99), atol=2 / 2**15)


@pytest.mark.parametrize(
    ("wave", "words"),
    [
        (np.zeros(RATE, np.float32), "silence"),
        (np.full(RATE, np.nan, np.float32), "NaN"),
        (np.ones((RATE, 2), np.float32), "mono"),
        (tone(seconds=0.05), "0.1 s"),
    ],
)
def test_what_is_no_sound_is_not_written(wave: Float, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        write_wave(tmp_path / "a.wav", wave, RATE)
    assert not list(tmp_path.iterdir())


def test_no_place_to_write_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="room and rights to write"):
        write_wave(tmp_path / "file" / "a.wav", tone(), RATE)


def test_a_stretch_of_a_sound_is_what_slicing_the_whole_gives(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wave(path, tone(seconds=5.12), RATE)
    whole, _ = read_wave(path)
    part, _ = read_wave(path, start_s=1.28, seconds=2.56)
    np.testing.assert_array_equal(part, whole[20480 : 20480 + 40960])
    np.testing.assert_array_equal(windowed(whole, RATE, start_s=1.28, seconds=2.56, name=path), part)


def test_a_stretch_may_miss_a_hop_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wave(path, tone(seconds=2), RATE)
    short, _ = read_wave(path, start_s=1, seconds=1.005)
    assert len(short) == 16080 and not short[16000:].any() and short[:16000].any()
    np.testing.assert_array_equal(short, windowed(read_wave(path)[0], RATE, start_s=1, seconds=1.005, name="a"))
    for start, seconds in ((1, 1.01), (2, 1), (2.5, 0.2), (0, 3)):
        refused(path, "inside the sound", start_s=start, seconds=seconds)
        with pytest.raises(InputError, match="inside the sound"):
            windowed(tone(seconds=2), RATE, start_s=start, seconds=seconds, name="a")
    for start, seconds in ((-1.0, 1.0), (0.0, 0.0), (0.0, 31.0), (float("nan"), 1.0)):
        with pytest.raises(UsageError, match="stretch"):
            read_wave(path, start_s=start, seconds=seconds)


def test_an_hour_is_refused_whole_and_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 1000, 1, "PCM_U8") as file:
        for minute in range(60):
            file.write(tone(10 + minute, seconds=60, rate=1000))
    refused(path, r"at most 30 s, found one of 3600\.0 s")
    wave, rate = read_wave(path, start_s=1800, seconds=2)
    assert rate == 1000 and np.abs(np.fft.rfft(wave)).argmax() == 80  # 40 Hz in the minute that begins there


def test_stereo_at_44100_is_averaged_and_resampled(tmp_path: Path) -> None:
    both = np.stack([tone(rate=44100), tone(rate=44100) * 0.5], axis=1)
    soundfile.write(tmp_path / "a.flac", both, 44100)
    wave, rate = read_wave(tmp_path / "a.flac")
    assert rate == 44100
    # half a step of 16 bits, and a peak of .375 that is written as 32767 times itself and read as a part of 32768
    np.testing.assert_allclose(wave, both.mean(1), atol=(0.5 + 0.375) / 2**15, rtol=0)
    down = resampled(wave, rate)
    assert len(down) == RATE and down.dtype == np.float32
    np.testing.assert_allclose(down[200:-200], 0.75 * tone()[200:-200], atol=2e-3)
    np.testing.assert_array_equal(resampled(wave, rate, to=rate), wave)
    assert len(resampled(tone(rate=22050), 22050)) == RATE


def test_what_lies_above_the_new_rate_is_taken_out() -> None:
    high = resampled(tone(12000, rate=44100), 44100)
    assert np.abs(high[200:-200]).max() < 5e-3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"once upon a time " * 50, "does not read as one"),
        (b"RIFF" + b"\0" * 60, "does not read as one"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
    ],
)
def test_files_that_are_no_sound_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    refused(tmp_path / "a.wav", words)


def test_damaged_and_odd_sounds_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.wav", "no such file")
    write_wave(tmp_path / "cut.wav", tone(), RATE)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:20000])
    refused(tmp_path / "cut.wav", "20000 of 32044 bytes")
    soundfile.write(tmp_path / "cut.flac", tone(seconds=9), RATE)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "cut.flac").read_bytes()[:9000])
    refused(tmp_path / "cut.flac", "sound")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), RATE)
    refused(tmp_path / "none.wav", "a sound of 0.000 s")
    soundfile.write(tmp_path / "one.wav", np.ones(1, np.float32), RATE)
    refused(tmp_path / "one.wav", "found 1 sample at")
    holes = tone()
    holes[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", holes, RATE, subtype="FLOAT")
    refused(tmp_path / "nan.wav", "NaN")
    soundfile.write(tmp_path / "slow.wav", tone(), 100)
    refused(tmp_path / "slow.wav", "rate")


def test_samples_of_all_channels_are_counted_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain.files.waveforms.MOST", 8 * RATE - 1)
    soundfile.write(tmp_path / "seven.wav", np.tile(tone()[:, None], 7), RATE)
    assert len(read_wave(tmp_path / "seven.wav")[0]) == RATE
    soundfile.write(tmp_path / "eight.wav", np.tile(tone()[:, None], 8), RATE)
    refused(tmp_path / "eight.wav", "in all channels, found 8 channels of 16000; keep one channel")
    assert len(read_wave(tmp_path / "eight.wav", seconds=0.5)[0]) == RATE // 2


@pytest.mark.parametrize(
    ("wave", "rate", "words"),
    [
        (tone(), 0, "rate"),
        (tone(), -16000, "rate"),
        (tone(), 44100.5, "rate"),
        (tone()[:100], RATE, "100 samples"),
        (np.full(RATE, np.inf, np.float32), RATE, "infinity"),
        (np.ones(RATE, np.int16), RATE, "int16"),
        (np.ones((2, RATE), np.float32), 10000, "sample"),
        (np.ones((RATE, 2, 2), np.float32), RATE, "channel"),
    ],
)
def test_arrays_that_are_no_sound_are_refused(wave: Float, rate: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        checked(wave, rate, name="the sound")


def test_levelled_is_centred_at_half_peak_each_by_itself() -> None:
    waves = np.stack([tone(peak=0.01) + 0.2, tone(peak=0.9)])
    level = levelled(waves)
    kept = rounding(sums=1, scale=0.5)
    # 1e-8 beside the peak of .01 is what keeps silence from being divided by zero
    np.testing.assert_allclose(np.abs(level).max(1), 0.5, atol=kept + 0.5 * 1e-8 / 0.01, rtol=0)
    np.testing.assert_allclose(level.mean(1, dtype=np.float64), 0, atol=kept, rtol=0)
    np.testing.assert_array_equal(levelled(waves[0]), level[0])
    assert not levelled(np.zeros(RATE, np.float32)).any()
