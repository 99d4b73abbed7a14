"""The voxelwise encoder by which decoded samples are held against the measured brain: RUN/brain.safetensors.

Ridge from the judge's features of the training stimuli to every voxel of the regions. Neither the mappings nor the
generator have used these features. It is fitted for one split with enough test stimuli, and for the judge that asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain.data.averages import average_repeats
from brain.types import Float, Recording, Responses, Split
from decode.run.folder import RunFolder
from decode.run.patterns import folds_of
from decode.run.settings import Settings
from decode.run.showing import Show, show_like
from decode.stages.fit.regions import FEWEST, shown_regions
from decode.stages.own_data import own_data
from encoders.patterns import standardised
from encoders.ridge import RidgeSettings, fit_ridge
from evaluation.judges import Bench
from evaluation.report.costs import metered
from evaluation.samples.read import read_samples
from evaluation.statistics.brain import FILE, BrainEncoder


def write_encoder(run: RunFolder, settings: Settings, data: Path, bench: Bench) -> str:
    """Fits the encoder of this judge, or finds it there. Returns why there is none, "" where there is one.

    Unusable data are an InputError, as in the fit.
    """
    judge, path = bench.card.get("sha256", ""), run.path / FILE
    if not judge:
        return f"brain correlation: judge {bench.card['name']} has no network to fit a voxelwise encoder on"
    if path.is_file() and BrainEncoder.load(path).judge == judge:
        return ""
    recording = own_data(run, data, settings)
    folds = folds_of(recording, settings.data.split, run)
    if len(folds) > 1 or len(folds[0].test) < FEWEST or not shown_regions(recording):
        return f"brain correlation: needs regions and one split with {FEWEST} test stimuli or more"
    show = show_like(read_samples(run.path, references=None))
    with metered(run.path, "encoder"):
        fitted(recording, folds[0], bench, show=show, settings=settings).save(path)
    return ""


def fitted(recording: Recording, fold: Split, bench: Bench, *, show: Show, settings: Settings) -> BrainEncoder:
    """The encoder of one split; `show` brings stimuli before the judge as the references are."""
    from brain.console.progress import progress

    regions = shown_regions(recording)
    columns = np.flatnonzero(np.any([region.mask for region in regions], axis=0))
    responses = recording.responses.voxels(columns)
    training, scaler = standardised(responses, fold.train)
    train = average_repeats(training)
    stimuli = (
        show(recording.stimuli, name)
        for name in progress(train.ids, desc="the judge looks at training stimuli", unit="stimulus")
    )
    features = bench.look(stimuli).features
    ridge = RidgeSettings(folds=settings.maps.folds, seed=settings.machine.seed)
    fit = fit_ridge(
        features, train.values, groups=train.ids, alphas=ridge.alphas, folds=ridge.folds, seed=ridge.seed,
        chunk=ridge.chunk, sound=recording.stimuli.modality == "sound",
    )  # fmt: skip
    tested = scaler.apply(responses.trials(responses.of(fold.test)))
    measured = average_repeats(tested)
    first, rest = halves(tested, measured.ids)
    return BrainEncoder(
        judge=bench.card["sha256"],
        weights=fit.weights,
        x_mean=fit.x_mean,
        y_mean=fit.y_mean,
        regions={region.name: np.flatnonzero(region.mask[columns]) for region in regions},
        ids=measured.ids,
        measured=measured.values,
        first=first,
        rest=rest,
        repeats=measured.repeats,
        split=fold.sha256,
    )


def halves(responses: Responses, ids: Sequence[str]) -> tuple[Float, Float]:
    """(stimulus, voxel) the first repeat of each stimulus, and the mean of its others: NaN where there are none."""
    first = np.empty((len(ids), responses.values.shape[1]), np.float32)
    rest = np.full_like(first, np.nan)
    for row, name in enumerate(ids):
        trials = np.flatnonzero(responses.stimulus == name)
        ordered = trials[np.lexsort((responses.repeat[trials], responses.session[trials]))]
        first[row] = responses.values[ordered[0]]
        if len(ordered) > 1:
            rest[row] = responses.values[ordered[1:]].mean(0, dtype=np.float64)
    return first, rest
