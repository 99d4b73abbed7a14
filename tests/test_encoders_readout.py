"""Read-outs on a masked encoder: ridge on its tokens, fine-tuning from there, and labels of the training set alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.numpy import load_file

from brain.errors import InputError
from brain.machine.memory import fresh
from brain.readers import open_recording
from brain.types import Recording
from encoders.conditions import Conditions, SpaceCard
from encoders.labelled import Labelled, labelled_trials, rows_of, settled, supervised_job
from encoders.masked.model import MaskedBrain
from encoders.masked.patches import cut_cortex
from encoders.masked.readout import FrozenSettings, Readout, TuneSettings, features, finetune, fit_frozen
from encoders.ridge import RidgeSettings, fit_ridge
from encoders.settings import MaskedSettings, Plan
from encoders.storage import write_tensors
from encoders.training import WEIGHTS
from tests.rounding import largest, rounding

MODEL = MaskedSettings(patch=6, width=16, depth=1, heads=2, decoder_width=8)
RIDGE = RidgeSettings(alphas=(1.0, 10.0, 100.0), folds=3)
TUNE = TuneSettings(
    plan=Plan(steps=9, rate=1e-3, warm=2, validate=3, save=3, patience=0), batch=10, start=FrozenSettings(ridge=RIDGE)
)
CARD = SpaceCard(name="toy", model="m", revision="r", layer="l", normalisation="none", shape=(2, 3))


@pytest.fixture(scope="module")
def recording(planted: Path) -> Recording:
    return open_recording(planted)


@pytest.fixture(scope="module")
def conditions(recording: Recording) -> Conditions:
    """Six numbers of each picture: the mean colours of its upper and lower half."""
    ids = recording.stimuli.ids
    halves = [np.asarray(recording.stimuli.open(one), np.float32).reshape(2, -1, 3).mean(1) / 255 for one in ids]
    return Conditions(space=CARD, values=np.stack(halves), ids=ids)


@pytest.fixture(scope="module")
def trials(recording: Recording, conditions: Conditions) -> Labelled:
    return labelled_trials(recording, conditions, split=recording.split(), share=0.2)


@pytest.fixture(scope="module")
def encoder() -> MaskedBrain:
    torch.manual_seed(0)
    return MaskedBrain(MODEL).eval().requires_grad_(False)


def test_validation_holds_out_stimuli_and_no_test_trial_is_there(recording: Recording, trials: Labelled) -> None:
    train, held = set(trials.ids[trials.train]), set(trials.ids[trials.held_out])
    assert not train & held
    assert train | held == set(recording.split().train)
    assert len(trials.values) == 2 * 28 and len(held) == 6


def test_what_test_trials_hold_changes_no_bit(recording: Recording, conditions: Conditions, trials: Labelled) -> None:
    rows = recording.responses.of(recording.split().test)
    values, truth = recording.responses.values.copy(), conditions.values.copy()
    values[rows] = 1e6
    truth[conditions.rows(recording.split().test)] = -1e6
    poisoned = replace(recording, responses=replace(recording.responses, values=values))
    again = labelled_trials(poisoned, replace(conditions, values=truth), split=recording.split(), share=0.2)
    assert np.array_equal(again.values, trials.values) and np.array_equal(again.truth, trials.truth)


def test_a_test_stimulus_cannot_be_asked_for(recording: Recording, conditions: Conditions) -> None:
    split = recording.split()
    with pytest.raises(InputError, match="is no training stimulus"):
        labelled_trials(recording, conditions, split=split, only=[*split.train[:3], split.test[0]])


def test_a_copy_of_a_test_trial_under_another_name_is_refused(recording: Recording, conditions: Conditions) -> None:
    split, values = recording.split(), recording.responses.values.copy()
    copied = np.flatnonzero(recording.responses.of(split.train))[3]
    values[copied] = 2 * values[recording.responses.of(split.test)][5] + 1
    planted = replace(recording, responses=replace(recording.responses, values=values))
    with pytest.raises(InputError, match="trial 3 .* is test trial 5"):
        labelled_trials(planted, conditions, split=split)


def test_few_labels_leave_the_z_scores_as_they_are(
    recording: Recording, conditions: Conditions, trials: Labelled
) -> None:
    few = recording.split().train[:4]
    less = labelled_trials(recording, conditions, split=recording.split(), only=few)
    assert set(less.ids) == set(few)
    assert np.array_equal(less.values, trials.values[np.isin(trials.ids, few)])


def test_every_row_comes_once_an_epoch_and_finds_its_subject(trials: Labelled) -> None:
    job = supervised_job([trials, trials], lambda *_: torch.zeros(1), batch=10, seed=0, identity={})
    steps = -(-2 * len(trials.train) // 10)
    seen = sorted(row for step in range(steps) for row in job.batch(step)[1])
    first, second = rows_of([trials, trials], seen)
    assert first == second == trials.train.tolist()
    assert job.batch(0) == job.batch(0) != job.batch(steps)


def test_the_frozen_readout_is_the_ridge_on_the_tokens(encoder: MaskedBrain, trials: Labelled) -> None:
    readout = fit_frozen(encoder, trials, settings=FrozenSettings(ridge=RIDGE), rescaling="none")
    values, ids, truth = trials.averaged(np.arange(len(trials.values)))
    patches = cut_cortex(trials.voxels, MODEL.patch)
    with torch.no_grad():
        centre = torch.from_numpy(patches.centre)
        tokens = [
            encoder.encode(fresh(one), centre).flatten(1) for one in torch.from_numpy(patches.cut(values)).split(1)
        ]
    by_hand = fit_ridge(
        torch.cat(tokens).numpy(), truth, groups=ids, alphas=RIDGE.alphas, folds=3, seed=0, chunk=1024
    )  # fmt: skip
    new = np.random.default_rng(0).standard_normal((4, 90)).astype(np.float32)
    # one pattern a call on either side: the same bits
    np.testing.assert_array_equal(readout.predict(new).reshape(4, -1), by_hand.predict(features(encoder, patches, new)))
    assert readout.predict(new).shape == (4, 2, 3)


def tune(encoder: MaskedBrain, trials: Labelled, folder: Path, **changes: object) -> Readout:
    """Fine-tuned with small settings and these changes of the plan."""
    settings = replace(TUNE, plan=replace(TUNE.plan, **changes))  # type: ignore[arg-type]
    return finetune(
        encoder, trials, folder=folder, settings=settings, rescaling="none", accelerator=Accelerator(cpu=True)
    )


def test_fine_tuning_that_never_helps_keeps_the_ridge_it_began_with(
    encoder: MaskedBrain, trials: Labelled, tmp_path: Path
) -> None:
    spoilt = tune(encoder, trials, tmp_path, rate=1.0, warm=0)
    values, ids, truth = trials.averaged(trials.train)
    patches = cut_cortex(trials.voxels, MODEL.patch)
    start = fit_ridge(
        features(encoder, patches, values), truth, groups=ids, alphas=RIDGE.alphas, folds=3, seed=0, chunk=1024
    )
    prediction, tokens = spoilt.predict(values[:5]).reshape(5, -1), features(encoder, patches, values[:5])
    # two operations make a head's weight of the ridge's, two bring it back; the bias likewise; the sum is in float64
    offset = np.abs(start.x_mean) @ np.abs(start.weights) + np.abs(start.y_mean)
    apart = rounding(sums=4 + 4, scale=largest(np.abs(tokens) @ np.abs(start.weights) + offset))
    np.testing.assert_allclose(prediction, start.predict(tokens), atol=apart, rtol=0)


def test_fine_tuning_moves_the_encoder_and_lowers_the_validation_loss(
    encoder: MaskedBrain, trials: Labelled, tmp_path: Path
) -> None:
    # a start that is shrunk too far has something left to learn
    shy = FrozenSettings(ridge=replace(RIDGE, alphas=(1e5,)))
    settings = replace(TUNE, start=shy, plan=replace(TUNE.plan, steps=30, rate=3e-3))
    tuned = finetune(
        encoder, trials, folder=tmp_path, settings=settings, rescaling="none", accelerator=Accelerator(cpu=True)
    )
    frozen = fit_frozen(encoder, trials, settings=FrozenSettings(ridge=RIDGE), rescaling="none")
    assert not torch.equal(tuned.encoder.embed.weight, frozen.encoder.embed.weight)
    assert torch.equal(encoder.embed.weight, frozen.encoder.embed.weight)


def test_a_resumed_fine_tuning_ends_in_the_same_bits(encoder: MaskedBrain, trials: Labelled, tmp_path: Path) -> None:
    whole = tune(encoder, trials, tmp_path / "whole")
    tune(encoder, trials, tmp_path / "part")
    sorted((tmp_path / "part" / "checkpoints").iterdir())[-1].unlink()  # as if it had been killed before its last save
    resumed = tune(encoder, trials, tmp_path / "part")
    mine, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "part"))
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert np.array_equal(whole.predict(trials.values[:3]), resumed.predict(trials.values[:3]))


def test_a_readout_comes_back_and_another_family_does_not(
    encoder: MaskedBrain, trials: Labelled, tmp_path: Path
) -> None:
    readout = fit_frozen(encoder, trials, settings=FrozenSettings(ridge=RIDGE), rescaling="spread+norm")
    readout.save(tmp_path / "readout.safetensors")
    back = Readout.load(tmp_path / "readout.safetensors")
    assert np.array_equal(back.predict(trials.values[:5]), readout.predict(trials.values[:5]))
    assert back.space == CARD and back.facts["trained"] == "frozen"
    write_tensors(tmp_path / "map.safetensors", {"weights": np.zeros(3)}, kind="mapping", card={})
    with pytest.raises(InputError, match="expected a masked-readout file, found a mapping file"):
        Readout.load(tmp_path / "map.safetensors")


def test_patterns_of_other_voxels_or_with_nan_are_refused(encoder: MaskedBrain, trials: Labelled) -> None:
    readout = fit_frozen(encoder, trials, settings=FrozenSettings(ridge=RIDGE), rescaling="none")
    with pytest.raises(InputError, match="90"):
        readout.predict(np.zeros((1, 89), np.float32))
    with pytest.raises(InputError, match="NaN"):
        readout.predict(np.full((1, 90), np.nan, np.float32))


def test_a_restoration_wants_enough_stimuli_to_tell_a_spread() -> None:
    prediction = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    with pytest.raises(InputError, match="4 held-out stimuli cannot tell the spread"):
        settled(prediction, prediction, ids="abcd", kind="spread", limit=5.0)
    assert settled(prediction, prediction, ids="abcd", kind="none", limit=5.0).kind == "none"
