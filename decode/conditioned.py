"""Double conditioning in a run: a stack fine-tuned on the run's own training trials, and what it draws from.

RUN/mindvis/masked      the brain encoder's pretraining, unless an encoder was given
RUN/mindvis/card.json   written last: what was learned, as `pipelines.finetune` leaves it
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from brain.errors import InputError
from brain.types import Recording, Responses, Split
from decode.checks import columns_of
from decode.run_folder import RunFolder
from decode.settings import EVERY, Settings
from encoders.conditions import Conditions
from encoders.pretraining import pretrain_sets
from encoders.settings import MaskedSettings, Plan, PretrainSettings
from encoders.storage import read_json
from encoders.training import WEIGHTS
from encoders.trials import read_unlabelled, training_trials
from pipelines.brain_conditioned import CARD, FAMILY, VOXELS
from pipelines.conditioned_generator import voxel_conditions
from pipelines.finetuning import finetune_recording
from pipelines.labelled import VoxelContract
from pipelines.settings import FinetuneSettings

MODEL = MaskedSettings(patch=32, width=128, depth=3, mlp=2.0, decoder_width=64)
"""Sizes that a processor trains in minutes; an encoder of other sizes is pretrained apart and given."""
RATE = 1e-4
FACTS = ("stack", "paths", "brain", "encoder_sha256", "ridge_r2", "at_start", "done")
"""What the run's own card says of the fine-tuning."""
HELD_OUT = 1
"""Sessions that validate the pretraining."""


def condition(run: RunFolder, recording: Recording, fold: Split, settings: Settings) -> dict[str, Any]:
    """Fine-tunes the run's stack on the training trials of `fold`, or finds it done; facts by its card's path."""
    card = run.conditioned / CARD
    if not card.is_file():
        fit, seed = settings.fit, settings.machine.seed
        encoder = fit.encoder
        if not encoder and fit.masked_steps:
            encoder = str(_pretrained(run, recording, fold, settings))
        often = max(1, fit.tune_steps // 10)
        plan = Plan(steps=fit.tune_steps, rate=RATE, warm=often, validate=often, patience=3, seed=seed)
        regions = () if fit.voxels == EVERY else fit.voxels
        how = FinetuneSettings(
            stack=fit.stack, encoder=encoder, regions=regions, paths=fit.paths, start=fit.start, model=MODEL, plan=plan
        )
        finetune_recording(recording, run.conditioned, how, split=fold)
    facts = read_json(card, kind=FAMILY)
    return {str(card.relative_to(run.path)): {name: facts[name] for name in FACTS}}


def _pretrained(run: RunFolder, recording: Recording, fold: Split, settings: Settings) -> Path:
    """The masked encoder of this run, trained on the fold's training trials and the data's unlabelled ones."""
    fit = settings.fit
    folder = run.conditioned / "masked"
    if not (folder / CARD).is_file():
        trials = training_trials(
            recording,
            patch=MODEL.patch,
            held_out=HELD_OUT,
            split=fold,
            columns=columns_of(recording, fit.voxels),
            unlabelled=read_unlabelled(Path(recording.source), recording),
        )
        plan = Plan(steps=fit.masked_steps, warm=min(100, fit.masked_steps), patience=0, seed=settings.machine.seed)
        pretrain_sets([trials], folder, PretrainSettings(model=MODEL, plan=plan))
    return folder / WEIGHTS


def patterns(
    run: RunFolder, recording: Recording, *, stimuli: set[str], take: Callable[[Responses], Responses]
) -> Conditions:
    """z-scores of the run's voxels for these test stimuli, repeats averaged; `take` chooses among the repeats."""
    path = run.conditioned / VOXELS
    if not path.is_file():
        raise InputError(
            f"{run.conditioned}: expected a fine-tuned stack, found none; fit a run with --voxels nsdgeneral"
        )
    trials = recording.responses.trials(recording.responses.of(stimuli))
    return voxel_conditions(VoxelContract.load(path), take(trials))
