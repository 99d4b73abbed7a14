"""Double conditioning of a text-conditioned stack on one subject: the work of `pipelines.finetune`.

A ridge to what the stack's own encoders say of the pictures is where the prompter starts
(`pipelines.conditioning.ridge_start`), then all that learns denoises. Checkpoints and the log of losses lie in
OUT/training and hold only what learns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brain.catalogue import unknown
from brain.data.design import choose
from brain.errors import InputError, UsageError, expected
from brain.readers import open_recording, parse_fields
from brain.types import Float, Int, Recording, Split
from encoders.conditions import Conditions
from encoders.masked.model import MaskedBrain, augmented
from encoders.masked.patched import TRIALS, PatchedTrials, patched_trials
from encoders.masked.pretraining import load_encoder, must_compute
from encoders.masked.readout import FrozenSettings
from encoders.settings import MaskedSettings, Plan
from encoders.spaces import CATALOGUE as SPACES
from encoders.storage import Arrays, read_tensors
from encoders.training import WEIGHTS, Job, held, leave, train, validate
from encoders.training_state import arrays_of
from encoders.training_trials import in_batches, repeats_of
from pipelines.conditioning.double_conditioning import PATHS, ConditioningEncoder, DoublyConditioned
from pipelines.conditioning.pipeline import FAMILY, base_facts, new_conditioning_encoder, open_base, write_folder
from pipelines.conditioning.ridge_start import own_prompts, start_from_ridge
from pipelines.images.latent_text import LatentTextPipeline
from pipelines.sampling.sampler import output_of
from pipelines.settings import RIDGE_START, FinetuneSettings
from pipelines.stacks.find import resolve
from pipelines.stacks.folder import StackFolder

LATENTS, TRAINING = "latents.safetensors", "training"
MIXED = "mixed"
"""Samples are averages of some of a stimulus' repeats, drawn anew: what is decoded later is averaged too."""
RIDGE = FrozenSettings().ridge
"""Penalties on a scale for tokens, of which there are many more than voxels."""
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""How far along the noise schedule the validation set is looked at."""
VALIDATION = -1
ENCODED = 16
"""Pictures the autoencoder takes at once: another number would move a latent's last bits."""


def finetune(data: Path, out: Path, settings: FinetuneSettings) -> Path:
    """Trains on a data set, or goes on training; returns the folder that `BrainConditionedPipeline` opens."""
    check(settings)
    recording = open_recording(
        data,
        subject=settings.subject,
        sessions=settings.sessions,
        reader=settings.reader,
        fields=parse_fields(settings.fields),
    )
    choice = choose(recording, (recording.split(settings.split),), asked=settings.standardise)
    if choice.standardise == "none":
        raise UsageError("--standardise none: the network learns from z-scores; take session, or all")
    if choice.announced:
        print(choice.sentence)
    return finetune_recording(choice.on(recording), out, settings)


def check(settings: FinetuneSettings) -> None:
    """Refuses (UsageError), before data are opened, choices that nobody knows and numbers this device has not."""
    for name, known in (("paths", PATHS), ("trials", TRIALS)):
        if (chosen := getattr(settings, name)) not in known:
            raise UsageError(f"--{name}: {unknown('choice', chosen, known)}")
    must_compute(settings.precision)


def finetune_recording(
    recording: Recording,
    out: Path,
    settings: FinetuneSettings,
    *,
    split: Split | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """The same on an opened recording, for one split of it, and for some of its training stimuli alone if `names`."""
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())
    with held(out, accelerator):
        return _finetuned(recording, out, settings, split=split, names=names, accelerator=accelerator)


def _finetuned(
    recording: Recording,
    out: Path,
    settings: FinetuneSettings,
    *,
    split: Split | None,
    names: Sequence[str] | None,
    accelerator: Any,
) -> Path:
    if recording.stimuli.modality != "image":
        raise UsageError("double conditioning draws pictures and these data are of sounds; choose other data")
    chosen, stack = split or recording.split(settings.split), resolve(settings.stack)
    encoder = _given_encoder(recording, chosen, settings)
    brain = settings.model if encoder is None else encoder.settings
    learn = _learnable(recording, chosen, settings, patch=brain.patch, names=names)
    latents = true_latents(recording, learn, stack, out / LATENTS)
    base = _base_for(latents, stack)
    torch.manual_seed(settings.plan.seed)
    prompter = new_conditioning_encoder(base, learn.contract, brain=brain, paths=settings.paths)
    if encoder is not None:
        prompter.brain.load_state_dict(encoder.state_dict())
    ridge_r2 = _start(prompter, recording, learn, stack, unet=base.unet, settings=settings)
    if settings.checkpointing:
        base.unet.enable_gradient_checkpointing()
    facts = {"stack": base_facts(stack), "data": learn.facts(), **_facts(settings, brain)}
    job = denoising_job(
        learn, latents, settings, brain=brain, scheduler=base.scheduler, device=accelerator.device, facts=facts
    )
    model = DoublyConditioned(base.unet, prompter).settle().to(accelerator.device)
    learned, reached = _trained(model, job, settings.plan, folder=out / TRAINING, accelerator=accelerator)
    if accelerator.is_main_process:
        card = {**facts, "ridge_r2": ridge_r2, "plan": asdict(settings.plan), **reached}
        write_folder(out, learned, prompter=prompter, contract=learn.contract, card=card)
    leave(accelerator)
    return out


def _given_encoder(recording: Recording, split: Split, settings: FinetuneSettings) -> MaskedBrain | None:
    """The pretrained encoder that was asked for, which has spared the split's test trials; None where none was."""
    if not settings.encoder:
        return None
    path = Path(settings.encoder)
    encoder, card = load_encoder(path)
    must_have_spared(path, card, subject=recording.responses.space.subject, split=split)
    return encoder


def _learnable(
    recording: Recording, split: Split, settings: FinetuneSettings, *, patch: int, names: Sequence[str] | None
) -> PatchedTrials:
    return patched_trials(
        recording,
        patch=patch,
        regions=settings.regions,
        split=split,
        trials=settings.trials,
        share=settings.held_out,
        seed=settings.plan.seed,
        names=names,
    )


def _base_for(latents: Float, stack: StackFolder) -> LatentTextPipeline:
    """The stack to fine-tune; one whose latents have another shape than these is an InputError."""
    base = open_base(stack)
    if tuple(latents.shape[1:]) != base.latent_shape:
        came = str(tuple(latents.shape[1:]))
        raise InputError(expected(stack.path, f"latents of {base.latent_shape}", came, "choose another stack"))
    return base


def _start(
    prompter: ConditioningEncoder,
    recording: Recording,
    learn: PatchedTrials,
    stack: StackFolder,
    *,
    unet: Any,
    settings: FinetuneSettings,
) -> dict[str, float]:
    """Where the ridge is to start it, the variance that the ridge explains, by path."""
    if settings.start != RIDGE_START:
        return {}
    targets = own_prompts(recording, learn, stack, unet=unet, paths=settings.paths)
    return start_from_ridge(prompter, learn, targets, ridge=RIDGE)


def _trained(
    model: nn.Module, job: Job, plan: Plan, *, folder: Path, accelerator: Any
) -> tuple[Arrays, dict[str, Any]]:
    """What has the least validation loss of all that training went through, its start among them, and card facts."""
    began, at_start = arrays_of(model), validate(model, job, accelerator)
    done = train(model, plan, folder=folder, job=job, accelerator=accelerator)
    better = done.best < at_start
    learned = read_tensors(folder / WEIGHTS, kind=FAMILY)[0] if better else began
    return learned, {"at_start": at_start, "done": asdict(done)}


def must_have_spared(path: Path, card: dict[str, Any], *, subject: str, split: Split) -> None:
    """Refuse (InputError) an encoder whose pretraining on this subject left out other test trials than `split`'s."""
    for one in card["data"]:
        if one["subject"] == subject and one["split_sha256"] != split.sha256:
            raise InputError(
                expected(
                    path,
                    f"an encoder that left out the test trials of split {split.name!r} ({split.sha256[:12]})",
                    f"one that left out those of {one['split_sha256'][:12]}",
                    "pretrain again with --split, it may have seen test trials",
                )
            )


def true_latents(recording: Recording, learn: PatchedTrials, stack: StackFolder, path: Path) -> Float:
    """(sample, channel, y, x) the stack's latents of what each sample was shown, cached in `path`.

    A cache of another stack or of other stimuli is made again.
    """
    ids = tuple(sorted(set(learn.stimulus.tolist())))
    space = SPACES["vae-latent"].open(stack.path, model=stack.model, revision=stack.revision, device="cpu")
    stored = Conditions.load(path) if path.is_file() else None
    if stored is None or stored.space != space.card or stored.ids != ids:
        stored = space.encode(recording.stimuli, ids, batch=ENCODED)
        stored.save(path)
    return stored.values[stored.rows(learn.stimulus.tolist())]


def denoising_job(
    learn: PatchedTrials,
    latents: Float,
    settings: FinetuneSettings,
    *,
    brain: MaskedSettings,
    scheduler: Any,
    device: Any,
    facts: dict[str, Any],
) -> Job:
    """The denoising task of these samples, for `train`: a key is a step, or a place on the noise schedule.

    `latents` (sample, channel, y, x).
    """
    loss = _DenoisingLoss(learn, latents, settings, brain=brain, scheduler=scheduler, device=device)
    seed, batch, last = settings.plan.seed, settings.batch, len(loss.alpha_bar) - 1

    def order(epoch: int) -> Int:
        return np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(learn.train)

    rows_at = in_batches(order, batch)
    check = [
        ((VALIDATION, round(share * last)), learn.held_out[first : first + batch].tolist())
        for share in LEVELS
        for first in range(0, len(learn.held_out), batch)
    ]
    identity = {"family": FAMILY, **facts}
    return Job(batch=lambda step: ((step, -1), rows_at(step)), loss=loss, check=check, identity=identity)


class _DenoisingLoss:
    """(model, key, rows) -> (row,) mean squared errors of what the scheduler's kind of network predicts."""

    def __init__(
        self,
        learn: PatchedTrials,
        latents: Float,
        settings: FinetuneSettings,
        *,
        brain: MaskedSettings,
        scheduler: Any,
        device: Any,
    ) -> None:
        self.values, self.clean = torch.from_numpy(learn.values), torch.from_numpy(np.ascontiguousarray(latents))
        self.alpha_bar, self.kind = scheduler.alphas_cumprod.float(), scheduler.config.prediction_type
        alone = [np.array([row]) for row in range(len(learn))]
        self.repeats = repeats_of(learn.stimulus) if settings.trials == MIXED else alone
        self.settings, self.brain, self.device = settings, brain, device

    def __call__(self, model: nn.Module, key: tuple[int, int], rows: Sequence[int]) -> Tensor:
        generators = [_generator(self.settings.plan.seed, *key, row) for row in rows]
        dropped, times, noise = self._drawn(key, generators)
        seen, z = self._seen(key, rows, generators), self.clean[list(rows)]
        share = self.alpha_bar[times][:, None, None, None]
        x = share.sqrt() * z + (1 - share).sqrt() * noise
        aim = output_of(z, x, share, kind=self.kind)
        out = model(*(one.to(self.device) for one in (x, times, seen, dropped)))
        apart: Tensor = (out.float() - aim.to(self.device)).square().mean((1, 2, 3))
        return apart

    def _drawn(self, key: tuple[int, int], generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor, Tensor]:
        """Which samples lose their condition, where on the schedule each stands, and its noise."""
        levels, shape = len(self.alpha_bar), self.clean.shape[1:]
        dropped = torch.tensor([bool(torch.rand((), generator=one) < self.settings.dropout) for one in generators])
        times = torch.tensor([int(torch.randint(levels, (), generator=one)) for one in generators])
        noise = torch.stack([torch.randn(shape, generator=one) for one in generators])
        if key[0] == VALIDATION:
            return torch.zeros_like(dropped), torch.full_like(times, key[1]), noise
        return dropped, times, noise

    def _seen(self, key: tuple[int, int], rows: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
        """The samples' patches: means of some of their repeats, augmented where that is asked for."""
        whole = key[0] == VALIDATION
        drawn = [_some(self.repeats[row], row, one, whole=whole) for row, one in zip(rows, generators, strict=True)]
        seen = torch.stack([self.values[some].mean(0) for some in drawn])
        return augmented(seen, self.brain, generators) if self.settings.augment and not whole else seen


def _some(repeats: Int, row: int, generator: torch.Generator, *, whole: bool) -> Int:
    """The sample and, each by a coin, the other repeats of its stimulus; all of them if `whole`."""
    if whole or len(repeats) == 1:
        return repeats
    coins = torch.rand(len(repeats), generator=generator).numpy() < 0.5
    some: Int = repeats[coins | (repeats == row)]
    return some


def _generator(seed: int, step: int, level: int, row: int) -> torch.Generator:
    """The sample's own randomness in this step, whoever computes it and in whatever company."""
    number = ((seed * 1_000_003 + step + 1) * 10_007 + level + 1) * 1_000_003 + row
    return torch.Generator().manual_seed(number % 2**63)


def _facts(settings: FinetuneSettings, brain: MaskedSettings) -> dict[str, Any]:
    """The settings that decide what is learned, for the card and a checkpoint's identity."""
    names = ("paths", "trials", "dropout", "augment", "batch", "precision", "start")
    facts = {name: getattr(settings, name) for name in names}
    file = Path(settings.encoder)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if settings.encoder else ""
    return {**facts, "regions": list(settings.regions), "brain": asdict(brain), "encoder_sha256": sha256}
