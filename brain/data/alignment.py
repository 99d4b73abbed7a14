"""Is the series aligned with the sounds? A sweep of lags: how well each is predicted by the sounds' own spectrum.

    sweep = lag_sweep(Path("data/listener/bids"), region="A1")
    for line in sweep.lines(): print(line)

A wrong repetition time, dummy volumes or events of another run move the best lag away from 4 to 6 seconds or leave no
best lag at all. Training clips alone are looked at, so that a lag chosen by this sweep is not chosen by the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.console.progress import progress
from brain.data.clips import groups_of
from brain.errors import InputError, UsageError, expected
from brain.files.waveforms import RATE
from brain.readers._parts.auditory import regions_of
from brain.readers._parts.sounds import SoundWindows
from brain.readers._series.windows import Timing, means, timing_of
from brain.readers.series import Listening, Played, open_listening
from brain.splits.held_out import clip_splits
from brain.types import Float

LAGS_S = tuple(number / 2 for number in range(21))
"""0 to 10 seconds in halves."""
REGION = "early"
BANDS, LOW_HZ = 16, 60.0
FRAME = 512
FOLDS = 4
PENALTY = 0.1
"""The ridge penalty, as a share of the training windows; features and responses have spread 1."""
USUAL_S = (3.0, 8.0)
"""Where the best lag of a hemodynamic response lies."""


@dataclass(frozen=True, kw_only=True)
class LagSweep:
    """What each lag gave.

    lags_s        (lag,) seconds
    correlation   (lag,) Pearson r of predicted and measured response, held-out clips, mean over the region's voxels
    subject, region, voxels, windows   of whom and over how many
    left_out      a sentence on each kind of event or window that was not looked at
    """

    lags_s: tuple[float, ...]
    correlation: tuple[float, ...]
    subject: str
    region: str
    voxels: int
    windows: int
    left_out: tuple[str, ...] = ()

    @property
    def best_s(self) -> float:
        """The lag of the highest correlation; of lags that choose the same volumes the middle one."""
        best = np.flatnonzero(np.isclose(self.correlation, max(self.correlation), atol=1e-9))
        return self.lags_s[int(best[len(best) // 2])]

    def lines(self) -> tuple[str, ...]:
        """A table for people, and a sentence on the best lag."""
        low, high = USUAL_S
        said = "" if low <= self.best_s <= high else f", outside {low:g} to {high:g} s: check TR, onsets and dummies"
        return (
            f"lag sweep of {self.subject}, {self.region} ({self.voxels} voxels), {self.windows} training windows:",
            *(f"  {one}" for one in self.left_out),
            *(f"  {lag:5.2f} s  r {score:6.3f}" for lag, score in zip(self.lags_s, self.correlation, strict=True)),
            f"best lag {self.best_s:g} s (r {max(self.correlation):.3f}){said}",
        )

    def facts(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {
            "subject": self.subject,
            "region": self.region,
            "voxels": self.voxels,
            "windows": self.windows,
            "lags_s": list(self.lags_s),
            "correlation": list(self.correlation),
            "best_s": self.best_s,
            "left_out": list(self.left_out),
        }


def lag_sweep(
    path: Path,
    lags_s: Sequence[float] = LAGS_S,
    *,
    subject: str = "",
    region: str = "",
    fields: Mapping[str, str] | None = None,
    seed: int = 0,
) -> LagSweep:
    """How well the sounds' spectra predict the responses of a region at each lag, by folds over clips.

    path     data that the reader `series` opens; `fields` as there (lag_s is what is swept and left alone)
    region   such as "A1"; empty takes "early" where there is one, else "all"
    Prediction: ridge regression on the log energy of 16 bands, mean and spread over the window. The same windows are
    used at every lag: those that the series reaches at the longest. Fewer than two clips a fold is an InputError.
    """
    if not lags_s or min(lags_s) < 0 or len(set(lags_s)) < len(lags_s):
        raise UsageError(f"lag sweep: expected different lags from 0 s on, found {tuple(lags_s)}")
    listening = open_listening(path, subject=subject, fields=fields or {})
    timing = timing_of(fields or {})
    if listening.clips.folder is None:
        raise InputError(expected(path, "a folder of sounds for the lag sweep", "none", "put the clips in `stimuli`"))
    name, columns = _columns(listening, region)
    played = [_reached(one, timing, longest=max(lags_s)) for one in listening.played]
    late = sum(len(one.events) for one in listening.played) - sum(len(one.events) for one in played)
    played = [one for one in played if one.events]
    bar = progress(played, desc="series", unit="run", leave=False)
    series = [one.series(listening.places, timing)[:, columns] for one in bar]
    stimulus = np.concatenate([one.cut(timing).stimulus for one in played]) if played else np.array([], np.str_)
    rows, silent = _training(path, listening, stimulus)
    features = spectra(listening, stimulus[rows], timing)
    fold = _folds(stimulus[rows], path=path, seed=seed)
    scores = []
    for lag in progress(lags_s, desc="lags", unit="lag", leave=False):
        cuts = [one.cut(replace(timing, lag_s=lag)) for one in played]
        responses = np.concatenate([means(values, windows) for values, windows in zip(series, cuts, strict=True)])
        scores.append(predicted(features, responses[rows], fold))
    return LagSweep(
        lags_s=tuple(float(lag) for lag in lags_s),
        correlation=tuple(scores),
        subject=listening.subject,
        region=name,
        voxels=len(columns),
        windows=len(features),
        left_out=(
            *(f"{late} events are left out: the series ends before their response at {max(lags_s):g} s",) * bool(late),
            *(f"{silent} training clips without a sound file are left out",) * bool(silent),
        ),
    )


def _columns(listening: Listening, region: str) -> tuple[str, NDArray[np.int64]]:
    masks = {one.name: one.mask for one in regions_of(listening.places.masks, voxels=len(listening.places.ijk))}
    name = region or (REGION if REGION in masks else "all")
    if name not in masks:
        raise UsageError(unknown("region", name, tuple(masks)))
    return name, np.flatnonzero(masks[name])


def _reached(played: Played, timing: Timing, *, longest: float) -> Played:
    """The run with the events that the series reaches even at the longest lag."""
    end = played.start_s + (played.volumes - timing.dummy) * played.tr_s - played.tr_s
    return replace(
        played, events=tuple(event for event in played.events if event.onset_s + event.duration_s + longest <= end)
    )


def _training(path: Path, listening: Listening, stimulus: NDArray[np.str_]) -> tuple[NDArray[np.bool_], int]:
    """(window,) bool the training windows whose sound has a file, and how many training clips have none."""
    splits = clip_splits(stimulus.tolist(), listening.clips.splits)
    if not splits:
        raise InputError(expected(path, "training and test clips for the lag sweep", "one kind", "give more clips"))
    clips = groups_of(stimulus.tolist())
    train = np.isin(stimulus, np.array(splits[0].train, np.str_))
    missing = listening.clips.missing(clips[train].tolist())
    return train & ~np.isin(clips, np.array(missing, np.str_)), len(missing)


def _folds(stimulus: NDArray[np.str_], *, path: Path, seed: int) -> NDArray[np.int64]:
    """(window,) the fold of each, all windows of a clip in one."""
    clips, whose = np.unique(groups_of(stimulus.tolist()), return_inverse=True)
    if len(clips) < 2 * FOLDS:
        came = f"{len(clips)}"
        raise InputError(
            expected(path, f"{2 * FOLDS} training clips or more for the lag sweep", came, "give more clips")
        )
    order = np.random.default_rng(seed).permutation(len(clips))
    return np.asarray(order[whose] % FOLDS, np.int64)


def spectra(listening: Listening, stimulus: NDArray[np.str_], timing: Timing) -> NDArray[np.float64]:
    """(window, 32): mean and spread over time of the log energy of 16 bands of each window's sound."""
    opener = SoundWindows(files=listening.clips.files, window_s=timing.window_s, hop_s=timing.hop_s)
    known = {name: _bands(opener(name)[0]) for name in progress(sorted(set(stimulus.tolist())), desc="sounds",
                                                             unit="window", leave=False)}  # fmt: skip
    return np.stack([known[name] for name in stimulus.tolist()])


def _bands(wave: Float) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(wave.astype(np.float64), FRAME)[:: FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    edges = np.geomspace(LOW_HZ, RATE / 2, BANDS + 1)
    band = np.clip(np.searchsorted(edges, np.fft.rfftfreq(FRAME, 1 / RATE), side="right") - 1, 0, BANDS - 1)
    energy = np.stack([power[:, band == one].sum(axis=1) for one in range(BANDS)], axis=1)
    loud = np.log(energy + 1e-6)
    return np.concatenate([loud.mean(axis=0), loud.std(axis=0)])


def predicted(features: NDArray[Any], responses: NDArray[Any], fold: NDArray[np.int64]) -> float:
    """Mean over voxels of Pearson's r between held-out predictions and responses; 0 where either never moves.

    features (window, feature), responses (window, voxel), fold (window,) int. Statistics are each fold's training
    windows' own.
    """
    guesses, truth = np.zeros(responses.shape), np.asarray(responses, np.float64)
    for one in np.unique(fold).tolist():
        train, test = fold != one, fold == one
        x, spread = features[train], features[train].std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        z = (x - x.mean(axis=0)) / scale
        y = truth[train] - truth[train].mean(axis=0)
        weights = np.linalg.solve(z.T @ z + PENALTY * len(z) * np.eye(z.shape[1]), z.T @ y)
        guesses[test] = (features[test] - x.mean(axis=0)) / scale @ weights + truth[train].mean(axis=0)
    guesses -= guesses.mean(axis=0)
    centred = truth - truth.mean(axis=0)
    norms = np.linalg.norm(guesses, axis=0) * np.linalg.norm(centred, axis=0)
    return float(np.mean(np.where(norms > 0, (guesses * centred).sum(axis=0) / np.where(norms > 0, norms, 1), 0)))
