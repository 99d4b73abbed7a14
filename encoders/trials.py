"""Trials to pretrain on: every subject's training trials and unlabelled ones, never a test trial, cut into patches.

    sets = [training_trials(recording, patch=16, held_out=1, unlabelled=found) for recording in recordings]

A trial needs no stimulus here. Test trials are left out by the split's name of their stimulus, and no trial may be a
copy of one (`brain.copies`). Values are z-scores per voxel and session over the trials that are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain.copies import EXACT, guard_copies
from brain.errors import InputError
from brain.hdf5 import open_hdf5
from brain.standardise import SessionScaler
from brain.types import Float, Int, Recording, Responses
from encoders.patches import Patches, cut_cortex

UNLABELLED = "unlabelled"
"""Where a data folder keeps trials that nobody labelled: `unlabelled/<subject>.h5` with values, session and ijk."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """One subject's trials for pretraining.

    subject   whose
    values    (trial, patch, size) float32 z-scores
    patches   how they were cut
    train     (row,) int64, the rows to train on; held_out (row,) those of the last sessions, to validate on
    voxels    sha256 of the voxel space; split sha256 of the split whose test trials were left out
    """

    subject: str
    values: Float
    patches: Patches
    train: Int
    held_out: Int
    voxels: str
    split: str

    def facts(self) -> dict[str, object]:
        """For the card and a checkpoint's identity."""
        return {
            "subject": self.subject,
            "trials": len(self.train),
            "held_out": len(self.held_out),
            "voxels": self.patches.voxels,
            "voxels_sha256": self.voxels,
            "patches_sha256": self.patches.sha256,
            "split_sha256": self.split,
        }


def training_trials(
    recording: Recording,
    *,
    patch: int,
    held_out: int,
    split: str = "",
    columns: Int | None = None,
    unlabelled: Responses | None = None,
) -> Trials:
    """The training trials of one subject, and its unlabelled ones, as `Trials`.

    patch     voxels in a patch; held_out how many of the last labelled sessions validate
    split     whose test trials are left out; "" the recording's first
    columns   (voxel,) int64, which voxels; None takes all
    Voxels that never move in a session, a copy of a test trial and too few sessions are an InputError.
    """
    chosen = recording.split(split)
    whole = recording.responses if columns is None else recording.responses.voxels(columns)
    labelled = whole.trials(whole.of(chosen.train))
    sessions = np.unique(labelled.session)
    if not 0 < held_out < len(sessions):
        raise InputError(
            f"{whole.space.subject}: {len(sessions)} sessions cannot spare {held_out} to validate on; "
            "hold out at least one and train on at least one"
        )
    raw = [labelled]
    if unlabelled is not None:
        raw.append(unlabelled.voxels(unlabelled.space.columns_of(whole.space)))
    values = np.concatenate([_scaler(part).apply(part).values for part in raw])
    _guard(raw, values, test=whole.trials(whole.of(chosen.test)), scaler=_scaler(labelled))
    validating = np.isin(labelled.session, sessions[-held_out:])
    rows = np.arange(len(values))
    patches = cut_cortex(whole.space, patch)
    return Trials(
        subject=whole.space.subject,
        values=patches.cut(values),
        patches=patches,
        train=np.concatenate([rows[: len(labelled.values)][~validating], rows[len(labelled.values) :]]),
        held_out=rows[: len(labelled.values)][validating],
        voxels=whole.space.sha256,
        split=chosen.sha256,
    )


def _guard(raw: Sequence[Responses], values: Float, *, test: Responses, scaler: SessionScaler) -> None:
    """Refuse copies of test trials: equal up to a factor as they were measured, or alike as z-scores."""
    measured = np.concatenate([part.values for part in raw])
    guard_copies(measured, test.values, name=test.space.subject, alike=EXACT)
    known = test.trials(np.isin(test.session, scaler.sessions))
    guard_copies(values, scaler.apply(known).values, name=test.space.subject)


def _scaler(responses: Responses) -> SessionScaler:
    """z-scores per voxel and session over all of these trials, none of which is a test trial."""
    scaler = SessionScaler.fit(responses, np.ones(len(responses.session), np.bool_))
    still = np.flatnonzero((scaler.std == 0).any(0))
    if len(still):
        raise InputError(
            f"{responses.space.subject}: {len(still)} voxels never move in a session (first: ijk "
            f"{responses.space.ijk[still[0]].tolist()}); mask them out before pretraining"
        )
    return scaler


def read_unlabelled(data: Path, recording: Recording) -> Responses | None:
    """The unlabelled trials of this recording's subject in a data folder, in its own unit; None where there are none.

    Their voxels must be the recording's: other or missing ones are an InputError.
    """
    space = recording.responses.space
    path = data / UNLABELLED / f"{space.subject}.h5"
    if not path.is_file():
        return None
    with open_hdf5(path, ["values", "session", "ijk"]) as file:
        values, session = np.asarray(file["values"][:], np.float32), np.asarray(file["session"][:], np.int64)
        ijk = np.asarray(file["ijk"][:], np.int64)
    mine = Responses(
        values=values,
        stimulus=np.full(len(values), UNLABELLED),
        session=session,
        repeat=np.zeros(len(values), np.int64),
        space=replace(space, ijk=ijk),
    )
    return mine.voxels(mine.space.columns_of(space))


def batches(sets: Sequence[Trials], *, batch: int, seed: int, epoch: int) -> list[tuple[int, list[int]]]:
    """One epoch's batches (place of the subject, rows): every training trial once, each batch of one subject.

    A subject's last batch is as small as what is left. The order depends on seed and epoch alone.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    found = []
    for place, one in enumerate(sets):
        order = rng.permutation(one.train)
        found += [(place, order[first : first + batch].tolist()) for first in range(0, len(order), batch)]
    return [found[place] for place in rng.permutation(len(found))]
