"""Where double conditioning starts: the prompter says what a ridge on the brain's tokens says, and never less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.linear_model import Ridge

from brain.errors import InputError, UsageError
from brain.readers import open_recording
from brain.types import Recording
from encoders.masked.patched import PatchedTrials, patched_trials
from encoders.ridge import RidgeSettings
from encoders.settings import MaskedSettings, Plan
from encoders.storage import read_json
from pipelines.conditioning.double_conditioning import ConditioningEncoder
from pipelines.conditioning.finetuning import finetune_recording
from pipelines.conditioning.pipeline import CARD, CHANGED, FAMILY, WEIGHTS, new_conditioning_encoder, open_base
from pipelines.conditioning.ridge_start import own_prompts, start_from_ridge, tokens_of
from pipelines.images.tiny import tiny_stack as write_stack
from pipelines.settings import FinetuneSettings
from pipelines.stacks.find import resolve
from tests.rounding import largest, rounding

BRAIN = MaskedSettings(patch=4, width=16, depth=1, heads=2, decoder_width=8)
ALPHA = 300.0
ONE = RidgeSettings(alphas=(ALPHA,), folds=3)


@pytest.fixture(scope="module")
def recording(planted: Path) -> Recording:
    return open_recording(planted)


@pytest.fixture(scope="module")
def learn(recording: Recording) -> PatchedTrials:
    return patched_trials(recording, patch=4)


def prompter_of(stack: Path, learn: PatchedTrials, *, paths: str = "both") -> tuple[ConditioningEncoder, object]:
    torch.manual_seed(0)
    base = open_base(resolve(str(stack)))
    return new_conditioning_encoder(base, learn.contract, brain=BRAIN, paths=paths), base.unet


def averages(learn: PatchedTrials, ids: tuple[str, ...]) -> torch.Tensor:
    mine = learn.stimulus[learn.train]
    return torch.from_numpy(np.stack([learn.values[learn.train][mine == one].mean(0) for one in ids]))


def test_what_is_said_first_is_scikit_learns_ridge_on_the_tokens(
    recording: Recording, learn: PatchedTrials, tiny_stack: Path
) -> None:
    prompter, unet = prompter_of(tiny_stack, learn)
    targets = own_prompts(recording, learn, resolve(str(tiny_stack)), unet=unet, paths="both")
    found = start_from_ridge(prompter, learn, targets, ridge=ONE)
    x = tokens_of(prompter, learn, targets.ids)
    with torch.no_grad():
        prompt = prompter(averages(learn, targets.ids))
    assert targets.text is not None and targets.time is not None
    # the ridge's product over the tokens, the same product read out, and what is said of at most as many as pictures
    sums = 2 * x.shape[1] + len(x)
    for said, true in ((prompt.text, targets.text), (prompt.image, targets.time)):
        flat = true.reshape(len(x), -1)
        wanted = Ridge(alpha=ALPHA).fit(x, flat).predict(x)
        assert np.abs(wanted - flat.mean(0)).max() > 0.01
        apart = rounding(sums=sums, scale=largest(wanted))
        np.testing.assert_allclose(said.numpy().reshape(len(x), -1), wanted, atol=apart, rtol=0)
    assert set(found) == {"text", "time"} and all(value < 1 for value in found.values())


def test_held_out_stimuli_have_no_part_in_it(recording: Recording, learn: PatchedTrials, tiny_stack: Path) -> None:
    values = learn.values.copy()
    values[learn.held_out] = 1e3
    weights = []
    for some in (learn, replace(learn, values=values)):
        prompter, unet = prompter_of(tiny_stack, some)
        targets = own_prompts(recording, some, resolve(str(tiny_stack)), unet=unet, paths="both")
        assert not set(targets.ids) & set(learn.stimulus[learn.held_out].tolist())
        start_from_ridge(prompter, some, targets, ridge=ONE)
        weights.append(prompter.read.weight.detach().clone())
    assert torch.equal(*weights)


@pytest.mark.parametrize(("paths", "said"), [("cross", {"text"}), ("time", {"time"})])
def test_a_path_that_is_off_has_no_target(
    recording: Recording, learn: PatchedTrials, tiny_stack: Path, paths: str, said: set[str]
) -> None:
    prompter, unet = prompter_of(tiny_stack, learn, paths=paths)
    targets = own_prompts(recording, learn, resolve(str(tiny_stack)), unet=unet, paths=paths)
    assert set(start_from_ridge(prompter, learn, targets, ridge=ONE)) == said
    with torch.no_grad():
        prompt, empty = prompter(averages(learn, targets.ids)), prompter.empty()
    assert torch.equal(prompt.image, empty.image.expand_as(prompt.image)) == (paths == "cross")
    assert torch.equal(prompt.text, empty.text.expand_as(prompt.text)) == (paths == "time")


def test_a_map_of_more_directions_than_the_rank_keeps_the_main_ones(
    recording: Recording, learn: PatchedTrials, tiny_stack: Path
) -> None:
    prompter, unet = prompter_of(tiny_stack, learn)
    targets = own_prompts(recording, learn, resolve(str(tiny_stack)), unet=unet, paths="both")
    sizes = replace(prompter.sizes, rank=2)
    narrow = ConditioningEncoder(BRAIN, sizes)
    state = {name: one for name, one in prompter.state_dict().items() if not name.startswith(("read", "say"))}
    narrow.load_state_dict(state, strict=False)
    start_from_ridge(prompter, learn, targets, ridge=ONE)
    start_from_ridge(narrow, learn, targets, ridge=ONE)
    patches = averages(learn, targets.ids)
    with torch.no_grad():
        whole, few = (one(patches).text.flatten(1) for one in (prompter, narrow))
    moved = few - few.mean(0)
    # a singular value moves no further than the norm of what is off: a read-out over the tokens, two numbers, a mean
    noise = rounding(sums=narrow.read.in_features + 2 + len(few), scale=float(few.norm()))
    assert torch.linalg.matrix_rank(moved, atol=noise, rtol=0) == 2
    left = (whole - few).square().sum() / (whole - whole.mean(0)).square().sum()
    assert 0 < left < 0.9


def test_without_captions_and_image_condition_it_is_refused(
    recording: Recording, learn: PatchedTrials, tmp_path: Path
) -> None:
    stack = write_stack(tmp_path / "plain", image_condition=False)
    _, unet = prompter_of(stack, learn)
    told = own_prompts(recording, learn, resolve(str(stack)), unet=unet, paths="both")
    assert told.text is not None and told.time is None
    silent = replace(recording, stimuli=replace(recording.stimuli, captions={}))
    with pytest.raises(InputError, match="neither captions nor an image condition; take --start silent"):
        own_prompts(silent, learn, resolve(str(stack)), unet=unet, paths="both")
    with pytest.raises(UsageError, match="no start is called 'rigde'"):
        FinetuneSettings(start="rigde")


def test_training_that_makes_it_worse_leaves_the_start(recording: Recording, tiny_stack: Path, tmp_path: Path) -> None:
    """Under a decay that ruins the network what is kept is the ridge's start, bit for bit."""
    plan = Plan(steps=4, rate=1e-2, decay=3e2, warm=1, validate=2, save=2, patience=0)
    ruined = FinetuneSettings(stack=str(tiny_stack), model=BRAIN, plan=plan, batch=9)
    folder = finetune_recording(recording, tmp_path / "ruined", ruined)
    card = read_json(folder / CARD, kind=FAMILY)
    assert card["done"]["best"] > card["at_start"] and set(card["ridge_r2"]) == {"text", "time"}
    before = open_base(resolve(str(tiny_stack))).unet.state_dict()
    after = load_file(folder / CHANGED)
    assert after and all(np.array_equal(before[name].numpy(), one) for name, one in after.items())
    assert (
        not load_file(folder / WEIGHTS)["to_text.weight"].any() and load_file(folder / WEIGHTS)["say_text.weight"].any()
    )
