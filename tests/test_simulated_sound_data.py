"""A simulated listening experiment: what is played when, what the files hold, and that they hold the truth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from brain.data.averages import average_repeats
from brain.data.reliability import estimate_ncsnr
from brain.data.standardise import SessionScaler
from brain.errors import StorageError, UsageError
from brain.files.waveforms import read_wave
from brain.readers import open_recording
from brain.simulated import simulate_sound as module
from brain.simulated.cortex.auditory_cortex import build_auditory_cortex
from brain.simulated.simulate import simulate, truth_of
from brain.simulated.simulate_sound import (
    LEAD,
    TR_S,
    VOLUMES,
    Plan,
    draw_ncsnr,
    haemodynamic,
    noiseless,
    plan_listening,
    series_of,
    trials_of,
)
from brain.simulated.sounds.sound import draw_sound, render_sound, windows
from brain.types import Float
from tests.rounding import rounding

SEED = 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heard") / "data"
    return simulate(out, modality="sound", sessions=2, trials=42, seed=SEED, snr=2.0)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_listening(sessions=2, trials=42, seed=SEED)


@pytest.fixture(scope="module")
def signal(plan: Plan) -> Float:
    return noiseless(build_auditory_cortex(SEED, 1), plan)


def test_the_default_plan_is_the_one_promised() -> None:
    plan = plan_listening(sessions=4, trials=350, seed=0)
    shown = np.bincount(plan.played, minlength=plan.clips)
    tested = np.isin(np.arange(plan.clips), plan.test)
    assert (plan.clips, len(plan.test)) == (500, 100)
    assert (shown[tested] == 6).all() and (shown[~tested] == 2).all()
    assert np.bincount(plan.session).tolist() == [0, 350, 350, 350, 350]
    for run in np.unique(plan.run):
        of_run = plan.run == run
        assert len(np.unique(plan.session[of_run])) == 1 and of_run.sum() <= 70
        assert len(np.unique(np.isin(plan.played[of_run], plan.test))) == 1  # a run is of one side


@pytest.mark.parametrize(("sessions", "trials"), [(1, 28), (3, 37), (1, 1000)])
def test_any_number_of_presentations_has_both_sides(sessions: int, trials: int) -> None:
    plan = plan_listening(sessions=sessions, trials=trials, seed=1)
    assert len(plan.played) == sessions * trials == len(plan.run)
    assert set(plan.played.tolist()) == set(range(plan.clips))
    assert len(plan.test) >= 2 and plan.clips - len(plan.test) >= 4


@pytest.mark.parametrize("wrong", [{"trials": 13}, {"sessions": 0}, {"sessions": 41}, {"trials": 1001}])
def test_impossible_experiments_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        simulate(tmp_path / "data", modality="sound", **{"sessions": 1, "trials": 40, **wrong})  # type: ignore[arg-type]
    assert not (tmp_path / "data").exists()


def test_the_clips_on_disk_are_the_sounds_of_the_seed(data: Path, plan: Plan) -> None:
    facts = json.loads((data / "simulation.json").read_text())
    assert (facts["modality"], facts["seed"], facts["trials"]) == ("sound", SEED, 42)
    table = [line.split("\t") for line in (data / "stimuli.tsv").read_text().splitlines()]
    rows = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}
    assert set(rows) == set(plan.names)
    sound = draw_sound(seed=SEED, index=5)
    assert rows["sound0005"]["kind"] == sound.kind and rows["sound0005"]["caption_1"] == sound.captions[0]
    assert {name for name, row in rows.items() if row["split"] == "test"} == {plan.names[n] for n in plan.test}
    wave, rate = read_wave(data / "stimuli/sound0005.wav")
    # half a step of 16 bits, and a peak of .5 that is written as 32767 times itself and read as a part of 32768
    assert rate == 16000 and np.abs(wave - render_sound(sound)).max() <= (0.5 + 0.5) / 2**15


def test_the_responses_read_back_as_bdata_and_hold_the_truth(data: Path, plan: Plan) -> None:
    """The average over presentations follows the cortex, window for window, in its own window best."""
    recording = open_recording(data, subject="S1", reader="bdata")
    responses = recording.responses
    assert len(responses.values) == 2 * 42 * 3 and sorted(set(responses.session.tolist())) == [1, 2]
    test = next(split.test for split in recording.splits if split.name == "test-windows")
    scaler = SessionScaler.fit(responses, np.ones(len(responses.values), np.bool_))
    averaged = average_repeats(scaler.apply(responses))
    found = dict(zip(averaged.ids, averaged.values, strict=True))
    clips = sorted({name.split("_")[0] for name in test})
    cut = [windows(render_sound(draw_sound(seed=SEED, index=int(clip[5:])))) for clip in clips]
    with torch.no_grad():
        truth = truth_of(data, "S1")(torch.from_numpy(np.concatenate(cut))).numpy()
    heard = np.stack([found[f"{clip}_slide{slide}"] for clip in clips for slide in range(3)])
    assert heard.shape == truth.shape
    good = np.argsort(draw_ncsnr(build_auditory_cortex(SEED, 1), seed=SEED, subject=1))[-300:]
    a, b = ((x[:, good] - x[:, good].mean(0)) / x[:, good].std(0) for x in (heard, truth))
    match = a @ b.T
    right = match.argmax(1) // 3 == np.arange(len(a)) // 3
    assert right.mean() > 0.8  # of the clip
    blocks = np.stack([match[3 * n : 3 * n + 3, 3 * n : 3 * n + 3] for n in range(len(clips))]).mean(0)
    blocks = blocks - blocks.mean(0) - blocks.mean(1, keepdims=True) + blocks.mean()
    assert (blocks.argmax(1) == np.arange(3)).all(), blocks  # and of the window within it


def test_the_noise_is_what_was_planned() -> None:
    """Many repeats of few clips: the reliability of single windows is the ncsnr map times snr."""
    cortex = build_auditory_cortex(SEED, 1)
    rng = np.random.default_rng(0)
    played = np.repeat(np.arange(40), 12)
    plan = Plan(
        seed=SEED, clips=40, test=np.arange(2), played=rng.permutation(played), session=np.ones(480, np.int64),
        run=np.ones(480, np.int64),
    )  # fmt: skip
    signal = rng.standard_normal((40, 3, len(cortex))).astype(np.float32)
    noise = module._noise(cortex, seed=SEED, subject=1)
    seen = trials_of(signal, plan, noise, snr=1.0)
    again = trials_of(signal, plan, noise, snr=1.0)
    np.testing.assert_array_equal(seen, again)
    planned = draw_ncsnr(cortex, seed=SEED, subject=1)
    left = seen - signal[plan.played]
    left -= left.mean((0, 1))
    spread = left.std((0, 1))
    assert np.corrcoef(np.log(1 / spread), np.log(planned))[0, 1] > 0.98
    assert abs(np.median(spread * planned) - 1) < 0.1
    shared = [(left[:, a] * left[:, b]).mean(0) / spread**2 for a, b in ((0, 1), (1, 2), (0, 2))]
    assert abs(np.median(shared[0]) - 0.5) < 0.08 and abs(np.median(shared[1]) - 0.5) < 0.08
    assert abs(np.median(shared[2])) < 0.08  # the first and the last window have no volume in common


def test_no_signal_no_truth(plan: Plan, signal: Float) -> None:
    noise = module._noise(build_auditory_cortex(SEED, 1), seed=SEED, subject=1)
    silent, loud = (trials_of(signal, plan, noise, snr=snr) for snr in (0.0, 1.0))
    truth = signal[plan.played] - signal[plan.played].mean(0)
    aligned = [float(((seen - seen.mean(0)) * truth).mean()) for seen in (silent, loud)]
    assert abs(aligned[0]) < 0.05 and aligned[1] > 0.5


def test_the_haemodynamic_response_peaks_at_five_seconds_and_sums_a_clip_to_one() -> None:
    shape = haemodynamic(0.1)
    assert abs((shape.argmax() - 0.5) * 0.1 - 5.0) < 0.15 and shape[0] == 0 and shape.min() < 0
    clip = np.convolve(haemodynamic(TR_S), np.ones(VOLUMES)).max()
    assert abs(clip - 1) <= rounding(sums=VOLUMES + 1, scale=1.0, dtype=np.float64)


def test_the_series_follows_the_clips_with_the_lag_of_the_haemodynamic_response(plan: Plan, signal: Float) -> None:
    cortex = build_auditory_cortex(SEED, 1)
    noise = dataclasses.replace(module._noise(cortex, seed=SEED, subject=1), ncsnr=np.full(len(cortex), 50.0))
    rest = np.zeros(len(cortex), np.float32)
    values, events = series_of(signal, plan, noise, snr=1.0, run=1, rest=rest)
    rows = np.flatnonzero(plan.run == 1)
    assert len(events) == len(rows) and values.shape[1] == len(cortex)
    assert events[0].onset_s == LEAD * TR_S and events[0].stim_file == f"{plan.names[plan.played[0]]}.wav"
    onset = np.array([round(event.onset_s / TR_S) for event in events])
    assert (np.diff(onset) == VOLUMES + 2).all()
    truth = signal[plan.played[rows]].mean(1)
    truth = (truth - truth.mean(0)) / truth.std(0)
    lags = np.arange(12)
    follow = []
    for lag in lags:
        seen = values[np.minimum(onset + lag, len(values) - 1)]
        follow.append(float((truth * (seen - seen.mean(0)) / seen.std(0)).mean()))
    best = (int(np.argmax(follow)) - VOLUMES / 2 + 0.5) * TR_S
    assert max(follow) > 0.6 and 3.5 < best < 6.5


def test_the_series_reads_back_and_agrees_with_the_trials(data: Path) -> None:
    series = open_recording(data, subject="sub-01", reader="series")
    trials = open_recording(data, subject="S1", reader="bdata")
    assert set(series.responses.stimulus.tolist()) <= set(trials.responses.stimulus.tolist())
    assert {region.name for region in series.regions} >= {"A1", "STSda"}
    assert series.responses.values.shape[1] == trials.responses.values.shape[1]


def test_the_estimated_reliability_is_near_the_planned_one(data: Path) -> None:
    recording = open_recording(data, subject="S1", reader="bdata")
    test = next(split.test for split in recording.splits if split.name == "test-windows")
    rows = recording.responses.trials(np.isin(recording.responses.stimulus, test))
    scaler = SessionScaler.fit(rows, np.ones(len(rows.values), np.bool_))
    found = estimate_ncsnr(scaler.apply(rows))
    planned = 2.0 * draw_ncsnr(build_auditory_cortex(SEED, 1), seed=SEED, subject=1)
    assert np.corrcoef(found, planned)[0, 1] > 0.6
    assert 0.6 < np.median(found) / np.median(planned) < 1.6


def test_a_folder_with_data_is_left_alone(data: Path) -> None:
    with pytest.raises(StorageError, match="choose another folder"):
        simulate(data, modality="sound", sessions=1, trials=40)
