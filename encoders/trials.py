"""Trials to pretrain on: every subject's training trials and unlabelled ones, never a test trial, cut into patches.

    sets = [training_trials(recording, patch=16, held_out=1, unlabelled=found) for recording in recordings]
    sets += [unlabelled_trials(read_hcp(folder), patch=16, spared=spared) for folder in folders]

A trial needs no stimulus here. Test trials are left out by the split's name of their stimulus, and no trial may be a
copy of one (`brain.copies`). Values are z-scores per voxel and session over the trials that are used. What validates is
the last labelled sessions; where there is one session alone, a tenth of the training stimuli with all their trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.copies import EXACT, guard_copies
from brain.errors import InputError, expected
from brain.files import AGAIN
from brain.hdf5 import open_hdf5
from brain.splits import groups_of, tenth_by_hash
from brain.standardise import SessionScaler
from brain.types import Bool, Float, Int, Recording, Responses, Split, sha256_of
from brain.validity import Validity, without_dropped
from encoders.patches import Patches, cut_cortex

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
        """For the card and a checkpoint's identity; trials without a split are told by their values as well."""
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


@dataclass(frozen=True, kw_only=True)
class Spared:
    """One subject's test trials, of which nothing that is trained on may be a copy.

    subject   whose
    measured  (trial, voxel) float32, as they were measured
    scaled    (trial, voxel) float32, z-scores of those whose session has training trials
    """

    subject: str
    measured: Float
    scaled: Float

    def guard(self, measured: Float, scaled: Float, *, name: str) -> None:
        """Refuse (InputError) trials (trial, voxel) that equal one up to a factor, or are like one as z-scores."""
        guard_copies(measured, self.measured, name=name, alike=EXACT)
        guard_copies(scaled, self.scaled, name=name)


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
    Voxels that never move in a session, a copy of a test trial and too few sessions are an InputError.
    """
    chosen = split if isinstance(split, Split) else recording.split(split)
    whole = recording.responses if columns is None else recording.responses.voxels(columns)
    labelled = whole.trials(whole.of(chosen.train))
    validating, note = _validating(labelled, held_out)
    raw = [labelled]
    if unlabelled is not None:
        raw.append(unlabelled.voxels(unlabelled.space.columns_of(whole.space)))
    values = np.concatenate([_scaler(part).apply(part).values for part in raw])
    spared = _spared(whole.trials(whole.of(chosen.test)), _scaler(labelled))
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
    """The test trials of a split ("" the first) of one subject, of the voxels `columns` (None: all of them)."""
    chosen = recording.split(split)
    whole = recording.responses if columns is None else recording.responses.voxels(columns)
    training = whole.trials(whole.of(chosen.train))
    scaler = SessionScaler.fit(training, np.ones(len(training.session), np.bool_))
    return _spared(whole.trials(whole.of(chosen.test)), scaler)


def _spared(test: Responses, scaler: SessionScaler) -> Spared:
    known = test.trials(scaler.knows(test))
    return Spared(subject=test.space.subject, measured=test.values, scaled=scaler.apply(known).values)


def unlabelled_trials(responses: Responses, *, patch: int, spared: Sequence[Spared]) -> Trials:
    """Trials that nobody labelled, of a subject that need have no labelled ones, as `Trials` to train on alone.

    patch   voxels in a patch
    spared  the test trials that none of these may be a copy of, compared where the numbers of voxels agree
    Voxels that are not finite or never move in a session are left out, and the note says so; none left and a copy of a
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
    values = _scaler(usable).apply(usable).values
    for one in spared:
        if one.measured.shape[1] == values.shape[1]:
            one.guard(usable.values, values, name=f"{name}, beside {one.subject}")
    patches = cut_cortex(usable.space, patch)
    return Trials(
        subject=name,
        values=patches.cut(values),
        patches=patches,
        train=np.arange(len(values)),
        held_out=np.arange(0),
        voxels=usable.space.sha256,
        split="",
        note=said and f"{name}: {said}",
    )


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
