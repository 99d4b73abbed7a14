"""Trials to pretrain on: every subject's training trials and unlabelled ones, never a test trial, cut into patches.

    sets = [training_trials(recording, patch=16, held_out=1, unlabelled=found) for recording in recordings]
    sets += [unlabelled_trials(read_hcp(folder), patch=16, spared=spared) for folder in folders]

A trial needs no stimulus here. Test trials are left out by the split's name of their stimulus, and no trial may be a
copy of one (`brain.data.copies`). Values are z-scores per voxel and session over the trials that are used. What
validates is the last labelled sessions; where there is one session alone, a tenth of the training stimuli with all
their trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.clips import groups_of
from brain.data.standardise import SessionScaler
from brain.data.validity import Validity, without_dropped
from brain.digest import sha256_of
from brain.errors import InputError, expected
from brain.files.hdf5 import open_hdf5
from brain.files.paths import AGAIN
from brain.splits.tenth_by_hash import tenth_by_hash
from brain.types import Bool, Float, Int, Recording, Responses, Split
from encoders.masked.patches import Patches, cut_cortex
from encoders.training_trials import Spared, refuse_constant, standardised

UNLABELLED = "unlabelled"
"""Where a data folder keeps trials that nobody labelled: `unlabelled/<subject>.h5` with values, session and ijk."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """One subject's trials for pretraining.

    subject   whose
    values    (trial, patch, size) float32 z-scores
    patches   how they were cut
    train     (row,) int64, the rows to train on; held_out (row,) others, to validate on; none where nothing is labelled
    voxels    sha256 of the voxel space
    split     sha256 of the split whose test trials were left out, "" where nothing is labelled
    note      a sentence on what was done otherwise than is usual, "" where nothing was
    """

    subject: str
    values: Float
    patches: Patches
    train: Int
    held_out: Int
    voxels: str
    split: str
    note: str = ""

    def facts(self) -> dict[str, object]:
        """For the card and a checkpoint's identity; trials without a split are identified by their values as well."""
        digest = {} if self.split else {"trials_sha256": sha256_of(self.values.tobytes())}
        return {
            "subject": self.subject,
            "trials": len(self.train),
            "held_out": len(self.held_out),
            "voxels": self.patches.voxels,
            "voxels_sha256": self.voxels,
            "patches_sha256": self.patches.sha256,
            "split_sha256": self.split,
            **digest,
        }


def training_trials(
    recording: Recording,
    *,
    patch: int,
    held_out: int,
    split: str | Split = "",
    columns: Int | None = None,
    unlabelled: Responses | None = None,
) -> Trials:
    """The training trials of one subject, and its unlabelled ones, as `Trials`.

    patch     voxels in a patch; held_out how many of the last labelled sessions validate. Of one session alone a tenth
              of the training stimuli validates instead, with all their trials, and the note says so
    split     whose test trials are left out, or its name; "" is the recording's first
    columns   (voxel,) int64, which voxels; None takes all
    Voxels that are constant in a session, a copy of a test trial and too few sessions are an InputError.
    """
    chosen = split if isinstance(split, Split) else recording.split(split)
    whole = recording.responses if columns is None else recording.responses.voxels(columns)
    labelled = whole.trials(whole.of(chosen.train))
    validating, note = _validating(labelled, held_out)
    raw = [labelled]
    if unlabelled is not None:
        raw.append(unlabelled.voxels(unlabelled.space.columns_of(whole.space)))
    scaled = [_scaled(part) for part in raw]
    values = np.concatenate([part.values for _, part in scaled])
    spared = Spared.of(whole.trials(whole.of(chosen.test)), scaled[0][0])
    spared.guard(np.concatenate([part.values for part in raw]), values, name=spared.subject)
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
        note=note,
    )


def _validating(labelled: Responses, held_out: int) -> tuple[Bool, str]:
    """(trial,) which labelled trials validate, and a sentence where it is not the last sessions."""
    subject, sessions = labelled.space.subject, np.unique(labelled.session)
    if len(sessions) > 1 or held_out < 1:
        if not 0 < held_out < len(sessions):
            raise InputError(
                f"{subject}: {len(sessions)} sessions cannot spare {held_out} to validate on; "
                "hold out at least one and train on at least one"
            )
        return np.isin(labelled.session, sessions[-held_out:]), ""
    # by the digest of their names, so that a stimulus which several subjects saw is held out of all of them
    shown = labelled.stimulus.tolist()
    if len(set(groups_of(shown).tolist())) < 2:
        raise InputError(f"{subject}: one session of one training stimulus cannot spare it; read more of the data")
    drawn = tenth_by_hash(shown)
    said = f"{len(drawn.test)} of {len(drawn.test) + len(drawn.train)} training stimuli validate, with all their trials"
    return labelled.of(drawn.test), f"{subject}: all trials are of one session, so {said}"


def spared_trials(recording: Recording, *, split: str = "", columns: Int | None = None) -> Spared:
    """The test trials of a split ("" the first) of one subject, of the voxels `columns` (voxel,) (None: all)."""
    chosen = recording.split(split)
    whole = recording.responses if columns is None else recording.responses.voxels(columns)
    scaler, _ = standardised(whole.trials(whole.of(chosen.train)))
    return Spared.of(whole.trials(whole.of(chosen.test)), scaler)


def unlabelled_trials(responses: Responses, *, patch: int, spared: Sequence[Spared]) -> Trials:
    """Trials that nobody labelled, of a subject that need have no labelled ones, as `Trials` to train on alone.

    patch   voxels in a patch
    spared  the test trials that none of these may be a copy of, compared where the numbers of voxels agree
    Voxels that are not finite, or constant in a session, are left out, and the note says so; none left and a copy of a
    test trial are an InputError.
    """
    responses, _, dropped = without_dropped(responses, f"{responses.space.subject}, {UNLABELLED}")
    validity = Validity(len(responses.space))
    for session in np.unique(responses.session).tolist():
        validity.look(responses.values[responses.session == session], session)
    name = f"{responses.space.subject}, {UNLABELLED}"
    said = "; ".join((*dropped, *validity.sentences()))
    if not validity.usable.any():
        raise InputError(f"{name}: {said}; no voxel is left to train on, so check how the data were made")
    usable = responses.voxels(np.flatnonzero(validity.usable))
    _, scaled = _scaled(usable)
    for one in spared:
        if one.measured.shape[1] == len(usable.space):
            one.guard(usable.values, scaled.values, name=f"{name}, beside {one.subject}")
    patches = cut_cortex(usable.space, patch)
    return Trials(
        subject=name,
        values=patches.cut(scaled.values),
        patches=patches,
        train=np.arange(len(scaled.values)),
        held_out=np.arange(0),
        voxels=usable.space.sha256,
        split="",
        note=said and f"{name}: {said}",
    )


def _scaled(trials: Responses) -> tuple[SessionScaler, Responses]:
    scaler, scaled = standardised(trials)
    refuse_constant(scaler, trials)
    return scaler, scaled


def read_unlabelled(data: Path, recording: Recording) -> Responses | None:
    """The unlabelled trials of this recording's subject in a data folder, in its own unit; None where there are none.

    Their voxels must be the recording's: other or missing ones, and arrays that are none of these, are an InputError.
    """
    space = recording.responses.space
    path = data / UNLABELLED / f"{space.subject}.h5"
    if not path.is_file():
        return None
    with open_hdf5(path, ["values", "session", "ijk"]) as file:
        found = {name: np.asarray(data[()]) for name, data in file.items()}
    values, session, ijk = found["values"], found["session"], found["ijk"]
    trials, voxels = values.shape if values.ndim == 2 else (0, 0)
    _must_be(path, found, "values", (max(trials, 1), max(voxels, 1)), kinds="iuf", what="numbers (trial, voxel)")
    _must_be(path, found, "session", (trials,), kinds="iu", what=f"the session of each of {trials} trials")
    _must_be(path, found, "ijk", (voxels, 3), kinds="iu", what=f"the place of each of {voxels} voxels")
    if len(np.unique(ijk, axis=0)) < voxels:
        raise InputError(expected(f"{path}, ijk", "a place of its own for each voxel", "one twice", AGAIN))
    mine = Responses(
        values=values.astype(np.float32),
        stimulus=np.full(trials, UNLABELLED),
        session=session.astype(np.int64),
        repeat=np.zeros(trials, np.int64),
        space=replace(space, ijk=ijk.astype(np.int64)),
    )
    return mine.voxels(mine.space.columns_of(space))


def _must_be(
    path: Path, found: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...], *, kinds: str, what: str
) -> None:
    if found[name].shape != shape or found[name].dtype.kind not in kinds:
        came = f"{found[name].dtype} {found[name].shape}"
        raise InputError(expected(f"{path}, {name}", what, came, AGAIN))


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
