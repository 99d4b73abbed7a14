"""Masked brain modelling on the training trials of one subject or many: the work of `encoders.pretrain`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brain.console.progress import progress
from brain.data.design import usable
from brain.errors import InputError, UsageError, expected
from brain.readers import open_recording, parse_fields, reader_of
from brain.readers.mindvis import HCP_FILE, hcp_folders, read_hcp
from brain.types import Responses
from encoders.masked.model import MaskedBrain, augmented
from encoders.masked.trials import (
    UNLABELLED,
    Trials,
    batches,
    read_unlabelled,
    spared_trials,
    training_trials,
    unlabelled_trials,
)
from encoders.settings import PretrainSettings, masked_of
from encoders.storage import read_tensors, write_json
from encoders.training import WEIGHTS, Job, held, leave, train
from encoders.training_trials import Spared

FAMILY = "masked-brain"
VALIDATION = -1
"""The step that seeds the masks of the validation set, which are always the same."""


def pretrain(data: Path, out: Path, settings: PretrainSettings) -> Path:
    """Trains, or goes on training, and returns the path of the encoder's weights."""
    must_compute(settings.precision)
    return pretrain_sets(open_trials(data, settings), out, settings)


def pretrain_sets(sets: Sequence[Trials], out: Path, settings: PretrainSettings) -> Path:
    """The same on trials that were opened before."""
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())
    notes = [one.note for one in sets if one.note]
    for note in notes:
        accelerator.print(f"note: {note}", file=sys.stderr)
    torch.manual_seed(settings.plan.seed)
    model = MaskedBrain(settings.model)
    for one in sets:
        settings.model.kept(len(one.patches))
    facts = {"family": FAMILY, "model": asdict(settings.model), "data": [one.facts() for one in sets]}
    job = masked_job(sets, settings, identity=facts, device=accelerator.device)
    with held(out, accelerator):
        done = train(model, settings.plan, folder=out, job=job, accelerator=accelerator)
        if accelerator.is_main_process:
            said = {"notes": notes} if notes else {}
            write_json(out / "card.json", {**facts, **said, "plan": asdict(settings.plan), "done": asdict(done)})
    leave(accelerator)
    return out / WEIGHTS


def must_compute(precision: str) -> None:
    """Refuses (UsageError) numbers that the device which trains here does not compute in."""
    card = torch.cuda.is_available()
    if precision == "fp16" and not card:
        raise UsageError(expected("--precision", "no or bf16 on a processor", precision, "take one of them"))
    if precision == "bf16" and card and not torch.cuda.is_bf16_supported():
        raise UsageError(expected("--precision", "no or fp16 on this graphics card", precision, "take one of them"))


def open_trials(data: Path, settings: PretrainSettings) -> list[Trials]:
    """Every subject's trials, then those of `settings.also`, which train alone."""
    found: list[Trials] = []
    spared: list[Spared] = []
    names = parse_fields(settings.fields)
    for subject in settings.subjects or reader_of(data, settings.reader).subjects(data, fields=names):
        recording = open_recording(
            data, subject=subject, sessions=settings.sessions, reader=settings.reader, fields=names
        )
        recording = usable(recording, (recording.split(settings.split),))
        unlabelled = None if settings.labelled_only else read_unlabelled(data, recording)
        columns = recording.columns(settings.regions) if settings.regions else None
        found.append(
            training_trials(
                recording,
                patch=settings.model.patch,
                held_out=settings.held_out,
                split=settings.split,
                columns=columns,
                unlabelled=unlabelled,
            )
        )
        if settings.also:
            # a file may hold all of a subject's voxels, however few are trained on
            which = (None,) if columns is None else (None, columns)
            spared += [spared_trials(recording, split=settings.split, columns=one) for one in which]
    return [*found, *_more_trials(settings, spared)] if settings.also else found


def _more_trials(settings: PretrainSettings, spared: Sequence[Spared]) -> Iterator[Trials]:
    sources = [source for path in settings.also for source in _sources(Path(path))]
    for source in progress(sources, desc="unlabelled", unit="subject"):
        if source.is_dir():
            yield unlabelled_trials(read_hcp(source), patch=settings.model.patch, spared=spared)
        else:
            responses, own = _of_other_data(source, settings.regions)
            yield unlabelled_trials(responses, patch=settings.model.patch, spared=[*spared, own])


def _sources(path: Path) -> tuple[Path, ...]:
    """The folders of HCP subjects, or the files of unlabelled trials, at `path`; none is an InputError."""
    alone = path.parent.name == UNLABELLED and path.suffix == ".h5" and path.is_file()
    files = (path,) if alone else tuple(sorted(path.glob(f"{UNLABELLED}/*.h5")))
    found = hcp_folders(path) or files
    if not found:
        want = f"{HCP_FILE}, folders of it, or a data folder with {UNLABELLED}/*.h5"
        raise InputError(expected(path, want, "none of them", "give --also the folder that holds them"))
    return found


def _of_other_data(file: Path, regions: Sequence[str]) -> tuple[Responses, Spared]:
    """The trials in DATA/unlabelled/<subject>.h5, of these regions if any, and the subject's own test trials."""
    data, subject = file.parent.parent, file.stem
    recording = open_recording(data, subject=subject)
    recording = usable(recording, recording.splits[:1])
    responses = read_unlabelled(data, recording)
    columns = recording.columns(regions) if regions else None
    assert responses is not None
    return (responses if columns is None else responses.voxels(columns)), spared_trials(recording, columns=columns)


def masked_job(sets: Sequence[Trials], settings: PretrainSettings, *, identity: dict[str, Any], device: Any) -> Job:
    """The masked-modelling task on these trials, for `train`."""
    values = [torch.from_numpy(one.values) for one in sets]
    centre = [torch.from_numpy(one.patches.centre).to(device) for one in sets]
    valid = [torch.from_numpy(one.patches.valid).to(device) for one in sets]
    seed, batch = settings.plan.seed, settings.batch

    @lru_cache(maxsize=2)
    def epoch_of(epoch: int) -> list[tuple[int, list[int]]]:
        return batches(sets, batch=batch, seed=seed, epoch=epoch)

    def at(step: int) -> tuple[tuple[int, int], list[int]]:
        epoch, place = divmod(step, len(epoch_of(0)))
        subject, rows = epoch_of(epoch)[place]
        return (subject, step), rows

    def loss(model: nn.Module, key: tuple[int, int], rows: Sequence[int]) -> Tensor:
        subject, step = key
        generators = [_generator(seed, step, subject, row) for row in rows]
        whole = values[subject][list(rows)]
        noise = torch.stack([torch.rand(whole.shape[1], generator=one) for one in generators])
        seen = whole if step == VALIDATION else augmented(whole, settings.model, generators)
        out: Tensor = model(whole.to(device), centre[subject], valid[subject], noise.to(device), seen.to(device))
        return out

    check = [
        ((subject, VALIDATION), one.held_out[first : first + 256].tolist())
        for subject, one in enumerate(sets)
        for first in range(0, len(one.held_out), 256)
    ]
    return Job(batch=at, loss=loss, check=check, identity={**identity, "batch": batch})


def _generator(seed: int, step: int, subject: int, row: int) -> torch.Generator:
    """The trial's own randomness in this step, whoever computes it and in whatever company."""
    number = ((seed * 1_000_003 + step + 1) * 1009 + subject) * 1_000_003 + row
    return torch.Generator().manual_seed(number % 2**63)


def load_encoder(path: Path) -> tuple[MaskedBrain, dict[str, Any]]:
    """The encoder in a file that `pretrain` wrote, ready to read, and its card; another family is an InputError."""
    tensors, card = read_tensors(path, kind=FAMILY)
    model = MaskedBrain(masked_of(card, where=path))
    model.load_state_dict({name: torch.from_numpy(one) for name, one in tensors.items()})
    return model.eval().requires_grad_(False), card
