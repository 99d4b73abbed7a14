"""What an encoding model says of drawn sounds: which of several the brain would have answered like this, and what of
the decoded condition is left in them.

    scorer = open_scorers(run, recording, folds, settings=settings)["test"]
    scorer(waves, "clip3_slide1")           # (candidate,) correlation of predicted with measured responses

The model is ridge from the true CLAP of the training sounds to the training responses of the voxels that CLAP is
decoded from (Ciferri et al. 2025). It has seen no test trial; a sample that was picked by it was picked by the
measured response, so that the brain's own metrics no longer judge it fairly: the report says how many were compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brain.averages import average_repeats
from brain.errors import InputError, UsageError
from brain.types import Float, Recording, Split, Stimuli
from brain.waveforms import RATE, resampled
from decode.checks import columns_of
from decode.fit import ridge_settings, standardised
from decode.patterns import first_repeats
from decode.run_folder import RunFolder
from decode.settings import Settings, needed_maps
from encoders.conditions import Conditions
from encoders.ridge import RidgeFit, fit_ridge
from encoders.spaces import CATALOGUE
from encoders.voxelwise import PENALTIES
from evaluation.samples import read_samples

SPACE = "clap"
PREDICTABLE = 0.01
"""Cross-validated r2, within training, from which a voxel has a say."""


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """The encoding model of one fold.

    clap      the opened CLAP space of the run's stack
    fit       CLAP -> voxels; `voxels` (voxel,) int64 those that it predicts at all
    measured  test stimulus -> (voxel,) z-scored response of these
    """

    clap: Any = field(repr=False)
    fit: RidgeFit = field(repr=False)
    voxels: Any
    measured: Mapping[str, Float] = field(repr=False)

    def __call__(self, waves: Float, stimulus: str) -> Float:
        """Waves (candidate, sample) at 16 kHz -> (candidate,) correlation over voxels with the stimulus' response."""
        rate = self.clap.extractor.sampling_rate
        heard = [resampled(wave, RATE, to=rate) for wave in waves]
        guess = self.fit.predict(self.clap.encode_waves(heard, batch=8))[:, self.voxels]
        guess, truth = guess - guess.mean(1, keepdims=True), self.measured[stimulus] - self.measured[stimulus].mean()
        scale = np.linalg.norm(guess, axis=1) * np.linalg.norm(truth)
        return np.asarray(guess @ truth / np.where(scale > 0, scale, 1), np.float32)


def open_scorers(
    run: RunFolder, recording: Recording, folds: Sequence[Split], *, settings: Settings
) -> dict[str, Scorer]:
    """Fold -> its encoding model; a run that decodes no CLAP is a UsageError."""
    maps = needed_maps(settings.fit)
    if SPACE not in maps:
        raise UsageError(f"--rows: reranked needs {SPACE} among --maps, found {', '.join(maps)}; leave reranked out")
    clap, true = open_clap(settings), Conditions.load(run.conditions(SPACE, "true"))
    responses = recording.responses.voxels(columns_of(recording, maps[SPACE]))
    found = {}
    for fold in folds:
        training, scaler = standardised(responses, fold.train)
        train = average_repeats(training)
        ridge = ridge_settings(settings.fit, seed=settings.machine.seed)
        fit = fit_ridge(
            true.take(train.ids).values, train.values, groups=train.ids, alphas=PENALTIES,
            folds=ridge.folds, seed=ridge.seed, chunk=ridge.chunk,
        )  # fmt: skip
        voxels = np.flatnonzero(fit.cv_r2 > PREDICTABLE)
        if not len(voxels):
            raise InputError(f"fold {fold.name}: {SPACE} predicts no voxel to re-rank by; leave the row reranked out")
        tested = first_repeats(responses.trials(responses.of(fold.test)), settings.decode.test_repeats)
        measured = average_repeats(scaler.apply(tested))
        rows = dict(zip(measured.ids, measured.values[:, voxels], strict=True))
        found[fold.name] = Scorer(clap=clap, fit=fit, voxels=voxels, measured=rows)
    return found


def open_clap(settings: Settings) -> Any:
    """The CLAP space on the run's stack."""
    from pipelines.stacks import resolve

    stack = resolve(settings.fit.stack)
    return CATALOGUE[SPACE].open(stack.path, model=stack.model, revision=stack.revision, device=settings.machine.device)


def write_generated(run: RunFolder, settings: Settings) -> None:
    """Encodes the first decoded sound of every stimulus, unless it is done: RUN/conditions/clap.generated.safetensors.

    It is what the report needs to say how much of the decoded condition the generator has lost. A run that decodes no
    CLAP has none.
    """
    if SPACE not in needed_maps(settings.fit):
        return
    samples = read_samples(run.path, references=None)
    if samples.modality != "sound":
        return
    drawn = {one.stimulus: one for one in samples.of("decoded") if one.index == 0 and not one.withheld}
    path = run.conditions(SPACE, "generated")
    if not drawn or (path.is_file() and set(Conditions.load(path).ids) == set(drawn)):
        return
    made = Stimuli(ids=tuple(drawn), modality="sound", opener=lambda name: (samples.hear(drawn[name]), RATE))
    open_clap(settings).encode(made, made.ids, batch=16).save(path)
