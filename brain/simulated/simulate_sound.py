"""A whole simulated listening experiment: clips played to a simulated auditory cortex, written as laboratories do.

    simulate_sound(Path("data/heard"), sessions=4, snr=1.0, seed=0)

    stimuli/<clip>.wav, stimuli.tsv          clips of 5.12 s, what they are of, and on which side they stand
    bdata/S1_train.h5, S1_test.h5            one row a presentation and window: lag-shifted volumes, averaged two by two
    bids/sub-01/func/..._bold.h5             the first session of the first subject as time series, with its events

A window's trial is the noiseless response of `auditory_cortex.py`, times `snr`, plus the mean of its two volumes'
noise (neighbouring windows share a volume, so half of their noise), with `noise.Noise`'s map, shared part, session
offsets and drifts. The series convolves the same responses, step by step of 1.28 s, with the canonical haemodynamic
response; its noise is autocorrelated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from brain.console.progress import progress
from brain.data.averages import count_repeats
from brain.errors import StorageError, UsageError, expected
from brain.files.waveforms import RATE
from brain.simulated.cortex.auditory import SAMPLES
from brain.simulated.cortex.auditory_cortex import AuditoryCortex, build_auditory_cortex
from brain.simulated.layouts.sound import Clip, Event, Voxels, write_bdata, write_series, write_stimuli
from brain.simulated.noise import Noise
from brain.simulated.sounds.sound import (
    CLIP_SECONDS,
    HOP_SECONDS,
    WINDOW_SECONDS,
    Sound,
    draw_sound,
    render_sound,
    windows,
)
from brain.types import Float, Int
from brain.writing.origin import sign, sign_parts

TEST_CLIPS, TEST_REPEATS, TRAIN_REPEATS = 100, 6, 2
RUN_CLIPS = 70  # the most presentations of a run: nine minutes
SLIDES = 3  # windows of a clip
NCSNR_MEDIAN, NCSNR_SPREAD, NCSNR_RANGE = 0.25, 0.65, (0.02, 2.0)  # of single windows
EARLY_GAIN = 1.4  # early regions answer sound most reliably
TR_S = HOP_SECONDS  # a volume a step
LEAD, GAP, TAIL = 4, 2, 10  # silent volumes before the first clip, after every clip, after the last
VOLUMES = round(CLIP_SECONDS / TR_S)
RESTING = -2.0  # the least that silence does, percent signal change below natural sounds
AUTOCORRELATION = 0.4  # of neighbouring volumes of the series
SERIES_SESSIONS = 1
PART_NCSNR = 5  # which stream of the seed the ncsnr map is drawn from


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which clip is played when. Clip n is sound n of the seed; presentations are in the order they are played.

    A run plays clips of one side alone, so that each file of responses counts whole runs.

    clips     how many clips there are;  test  (test clip,) int64, sorted, the clips of the test side
    played    (presentation,) int64 the clip;  session, run  (presentation,) int64 from 1, runs counted through sessions
    """

    seed: int
    clips: int
    test: Int
    played: Int
    session: Int
    run: Int

    @cached_property
    def sounds(self) -> tuple[Sound, ...]:
        """The clips as sounds."""
        return tuple(draw_sound(seed=self.seed, index=index) for index in range(self.clips))

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names."""
        return tuple(f"sound{index:04d}" for index in range(self.clips))

    def side(self, clip: int) -> str:
        """ "train" or "test"."""
        return "test" if clip in self.test else "train"


def plan_listening(*, sessions: int, trials: int, seed: int) -> Plan:
    """Sessions of `trials` presentations: up to 100 test clips six times each, the rest training clips twice each.

    Presentations are shuffled over the sessions; in a session the runs of training clips come first. Too few for two
    test clips and two training clips: UsageError.
    """
    total = sessions * trials
    test = min(TEST_CLIPS, total // (TEST_REPEATS + 4 * TRAIN_REPEATS))
    if not (1 <= sessions <= 40 and 1 <= trials <= 1000) or test < 2:
        raise UsageError(
            f"sessions must be 1 to 40 of 1 to 1000 presentations, at least 28 in all, found {sessions} of {trials}"
        )
    train = -(-(total - test * TEST_REPEATS) // TRAIN_REPEATS)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 6]))
    order = rng.permutation(test + train)
    shown = np.concatenate([np.repeat(order[:test], TEST_REPEATS), np.repeat(order[test:], TRAIN_REPEATS)])[:total]
    played: list[Int] = []
    runs: list[Int] = []
    last = 0
    for heard in rng.permutation(shown).reshape(sessions, trials):
        tested = np.isin(heard, order[:test])
        for side in (heard[~tested], heard[tested]):
            many = -(-len(side) // RUN_CLIPS)
            played.append(side)
            runs.append(last + 1 + np.arange(len(side)) * many // max(len(side), 1))
            last += many
    return Plan(
        seed=seed,
        clips=test + train,
        test=np.sort(order[:test]).astype(np.int64),
        played=np.concatenate(played),
        session=np.repeat(np.arange(1, sessions + 1), trials),
        run=np.concatenate(runs),
    )


def draw_ncsnr(cortex: AuditoryCortex, *, seed: int, subject: int) -> NDArray[np.float64]:
    """(voxel,) signal over noise standard deviation of a single window at snr 1; early voxels are better."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, subject, PART_NCSNR]))
    ncsnr = NCSNR_MEDIAN * np.exp(NCSNR_SPREAD * rng.standard_normal(len(cortex)))
    ncsnr[cortex.early.numpy()] *= EARLY_GAIN
    return np.clip(ncsnr, *NCSNR_RANGE)


def _noise(cortex: AuditoryCortex, *, seed: int, subject: int) -> Noise:
    """The noise of single volumes: the mean of two has the noise of a window."""
    anatomy = cortex.anatomy
    ncsnr = draw_ncsnr(cortex, seed=seed, subject=subject) / np.sqrt(2)
    place = anatomy.ijk @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    return Noise(seed=seed, subject=subject, snr=1.0, ncsnr=ncsnr, place=place)


@torch.no_grad()
def noiseless(cortex: AuditoryCortex, plan: Plan, *, batch: int = 12) -> Float:
    """(clip, window, voxel) float32 noiseless responses, percent signal change."""
    out = np.empty((plan.clips, SLIDES, len(cortex)), np.float32)
    starts = range(0, plan.clips, batch)
    for start in progress(starts, desc="the cortex listens", unit="batch", leave=False):
        waves = np.stack([windows(render_sound(sound)) for sound in plan.sounds[start : start + batch]])
        heard = cortex.respond(torch.from_numpy(waves).flatten(0, 1))
        out[start : start + batch] = heard.numpy().reshape(len(waves), SLIDES, -1)
    return out


def trials_of(signal: Float, plan: Plan, noise: Noise, *, snr: float) -> Float:
    """(presentation, window, voxel): what a scanner saw, two volumes a window, the lag already taken out."""
    out = snr * signal[plan.played]
    for session in np.unique(plan.session).tolist():
        rows = np.flatnonzero(plan.session == session)
        silent = np.zeros((len(rows) * VOLUMES, signal.shape[-1]), np.float32)
        seen = noise.session(silent, session).reshape(len(rows), VOLUMES, -1)
        out[rows] += (seen[:, :-1] + seen[:, 1:]) / 2
    return out


def haemodynamic(tr_s: float, *, seconds: float = 25.0) -> NDArray[np.float64]:
    """(volume,) the canonical double gamma (Glover, NeuroImage, 1999, with SPM's constants) after a step's middle.

    Scaled so that a clip alone drives its voxels to the response of its windows.
    """
    from scipy.stats import gamma

    after = np.maximum((np.arange(round(seconds / tr_s)) - 0.5) * tr_s, 0)
    shape = gamma.pdf(after, 6) - gamma.pdf(after, 16) / 6
    return np.asarray(shape / np.convolve(shape, np.ones(VOLUMES)).max())


def series_of(
    signal: Float, plan: Plan, noise: Noise, *, snr: float, run: int, rest: Float
) -> tuple[Float, tuple[Event, ...]]:
    """One run as ((time, voxel), events). A step hears the windows it lies in; `rest` (voxel,) is silence's answer."""
    rows = np.flatnonzero(plan.run == run)
    starts = LEAD + np.arange(len(rows)) * (VOLUMES + GAP)
    drive = np.tile(rest, (int(starts[-1]) + VOLUMES + TAIL, 1))
    for start, clip in zip(starts.tolist(), plan.played[rows].tolist(), strict=True):
        early, middle, late = signal[clip]
        drive[start : start + VOLUMES] = (early, (early + middle) / 2, (middle + late) / 2, late)
    bold = lfilter(haemodynamic(TR_S), [1.0], drive, axis=0)
    white = noise.session(np.zeros_like(drive), 1000 + run)
    kept = np.sqrt(1 - AUTOCORRELATION**2)
    values = snr * bold + lfilter([kept], [1.0, -AUTOCORRELATION], white, axis=0)
    events = tuple(
        Event(
            onset_s=float(start * TR_S),
            duration_s=CLIP_SECONDS,
            trial_type=plan.sounds[clip].category,
            stim_file=f"{plan.names[clip]}.wav",
        )
        for start, clip in zip(starts.tolist(), plan.played[rows].tolist(), strict=True)
    )
    return np.asarray(values, np.float32), events


def _write_subject(out: Path, plan: Plan, *, subject: int, snr: float) -> None:
    cortex = build_auditory_cortex(plan.seed, subject)
    noise = _noise(cortex, seed=plan.seed, subject=subject)
    signal = noiseless(cortex, plan)
    voxels = Voxels(ijk=cortex.anatomy.ijk, affine=cortex.anatomy.affine, regions=cortex.regions())
    trials = trials_of(signal, plan, noise, snr=snr)
    repeat = count_repeats(np.array([plan.names[clip] for clip in plan.played.tolist()]))
    tested = np.isin(plan.played, plan.test)
    for side, chosen in (("train", ~tested), ("test", tested)):
        rows = np.flatnonzero(chosen)
        write_bdata(
            out / f"bdata/S{subject}_{side}.h5",
            trials[rows].reshape(-1, len(cortex)),
            stimulus=[f"{plan.names[plan.played[row]]}_slide{slide}" for row in rows for slide in range(SLIDES)],
            voxels=voxels,
            columns={
                "Session": np.repeat(plan.session[rows], SLIDES),
                "Run": np.repeat(plan.run[rows], SLIDES),
                "Repeat": np.repeat(repeat[rows] + 1, SLIDES),
                "slide": np.tile(np.arange(SLIDES), len(rows)),
            },
        )
    if subject == 1:
        _write_runs(out / "bids", plan, cortex, noise=noise, signal=signal, snr=snr, voxels=voxels)


def _write_runs(
    root: Path, plan: Plan, cortex: AuditoryCortex, *, noise: Noise, signal: Float, snr: float, voxels: Voxels
) -> None:
    with torch.no_grad():
        rest = cortex.respond(torch.zeros(1, SAMPLES))[0].clamp(min=RESTING).numpy()
    for run in np.unique(plan.run[plan.session <= SERIES_SESSIONS]).tolist():
        values, events = series_of(signal, plan, noise, snr=snr, run=run, rest=rest)
        write_series(root, values, subject="01", run=run, tr_s=TR_S, events=events, voxels=voxels)


def simulate_sound(
    out: Path, *, subjects: int = 1, sessions: int = 4, snr: float = 1.0, seed: int = 0, trials: int = 350
) -> Path:
    """Write a simulated listening experiment under `out` and return `out`; `simulation.json` comes last.

    subjects 1..8; sessions 1..40 of `trials` presentations; snr scales the signal (0 is noise alone). An `out` that
    already holds stimuli is a StorageError.
    """
    if (out / "stimuli").exists() or (out / "bdata").exists():
        raise StorageError(expected(out, "a folder without data", "one that holds some", "choose another folder"))
    plan = plan_listening(sessions=sessions, trials=trials, seed=seed)
    clips = [
        Clip(clip=name, split=plan.side(index), captions=sound.captions, labels=sound.labels)
        for index, (name, sound) in enumerate(zip(plan.names, plan.sounds, strict=True))
    ]
    sounds = dict(zip(plan.names, plan.sounds, strict=True))
    write_stimuli(out, clips, wave=lambda clip: render_sound(sounds[clip]))
    for subject in progress(range(1, subjects + 1), desc="making brains listen", unit="subject"):
        _write_subject(out, plan, subject=subject, snr=snr)
    asked = {"seed": seed, "snr": snr, "subjects": subjects, "sessions": sessions, "trials": trials}
    sign_parts(out, {"modality": "sound", "seed": seed})
    sign(out, {"modality": "sound", **asked, **_facts(plan)})
    return out


def _facts(plan: Plan) -> dict[str, float | int | str]:
    return {
        "rate": RATE,
        "clip_s": CLIP_SECONDS,
        "window_s": WINDOW_SECONDS,
        "hop_s": HOP_SECONDS,
        "train_clips": plan.clips - len(plan.test),
        "test_clips": len(plan.test),
        "train_repeats": TRAIN_REPEATS,
        "test_repeats": TEST_REPEATS,
        "ncsnr_median": NCSNR_MEDIAN,
        "series_sessions": SERIES_SESSIONS,
        "tr_s": TR_S,
        "haemodynamic_response": "double gamma, peak 5 s",
        "autocorrelation": AUTOCORRELATION,
    }
