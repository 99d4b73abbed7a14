"""Labelled training trials of one subject cut into patches, and the voxels that what learns from them is bound to.

    data = patched_trials(recording, patch=16, regions=("nsdgeneral",))
    data.contract.own(responses)      # the trials of another day as z-scores of these very voxels, or an error

A test stimulus has no road in: it is left out by name, by pixels under another name, and by a copy of its trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.data.averages import average_repeats
from brain.data.leaks import guard, look_at_all
from brain.data.standardise import SessionScaler
from brain.errors import InputError, UsageError, expected
from brain.types import Float, Int, Recording, Responses, Split
from brain.voxels import VoxelSpace
from encoders.masked.patches import Patches, cut_cortex
from encoders.storage import Arrays, read_tensors, write_tensors
from encoders.training_trials import Spared, held_out, refuse_constant
from encoders.voxel_contract import own_trials

KIND = "voxel-contract"
TRIALS = ("mixed", "single", "averaged")


@dataclass(frozen=True, kw_only=True)
class VoxelContract:
    """Which voxels a network reads and how.

    voxels   VoxelSpace of the columns, in the data's own unit
    scaler   SessionScaler of these voxels, from training trials
    patches  how they are cut
    split    sha256 of the split whose training stimuli were used
    """

    voxels: VoxelSpace
    scaler: SessionScaler
    patches: Patches
    split: str

    def own(self, responses: Responses) -> Responses:
        """The same trials with only these voxels, in this order, as z-scores; other voxels are an InputError.

        Data in the own unit are standardised with the stored scaler, z-scores are taken as they are.
        """
        mine = replace(self.voxels, unit="z")
        return own_trials(responses, voxels=mine, unit=self.voxels.unit, scaler=self.scaler)

    def cut(self, values: Float) -> Float:
        """z-scores (sample, voxel) -> (sample, patch, size); another number of voxels or NaN is an InputError."""
        if not np.isfinite(values).all():
            raise InputError("voxels: expected finite values, found NaN or infinity; mask these voxels and train again")
        return self.patches.cut(values)

    def facts(self) -> dict[str, object]:
        """For the card."""
        return {
            "subject": self.voxels.subject,
            "betas": self.voxels.betas,
            "unit": self.voxels.unit,
            "voxels": len(self.voxels),
            "voxels_sha256": self.voxels.sha256,
            "patches_sha256": self.patches.sha256,
            "split_sha256": self.split,
        }

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        space = self.voxels
        texts = {name: getattr(space, name) for name in ("subject", "name", "betas", "unit")}
        card = {**texts, "shape": list(space.shape), "split": self.split, "sha256": space.sha256}
        arrays: Arrays = {"ijk": space.ijk, "affine": space.affine, "column": self.patches.column}
        tensors = {**arrays, "centre": self.patches.centre, **self.scaler.arrays()}
        write_tensors(path, tensors, kind=KIND, card=card)

    @classmethod
    def load(cls, path: Path) -> VoxelContract:
        """Read what `save` wrote; foreign, damaged or of another digest: `InputError`."""
        tensors, card = read_tensors(path, kind=KIND)
        try:
            texts = {name: card[name] for name in ("subject", "name", "betas", "unit")}
            space = VoxelSpace(**texts, shape=tuple(card["shape"]), affine=tensors["affine"], ijk=tensors["ijk"])
            patches = Patches(column=tensors["column"], centre=tensors["centre"], voxels=len(space))
            split, digest = card["split"], card["sha256"]
        except KeyError as fault:
            raise InputError(expected(path, "a whole voxel contract", f"one without {fault}", "train again")) from fault
        if space.sha256 != digest:
            raise InputError(expected(path, "the digest of its voxels", "another", "train again"))
        return cls(voxels=space, scaler=SessionScaler.from_arrays(tensors), patches=patches, split=split)


@dataclass(frozen=True, kw_only=True)
class PatchedTrials:
    """Labelled samples of one subject, cut into patches: trials, or averages of a stimulus' trials.

    values    (sample, patch, size) float32 z-scores
    stimulus  (sample,) what was shown
    train     (row,) int64 samples to train on; held_out (row,) those of the held-out training stimuli
    contract  the voxels
    """

    values: Float
    stimulus: NDArray[np.str_]
    train: Int
    held_out: Int
    contract: VoxelContract

    def __len__(self) -> int:
        return len(self.values)

    def facts(self) -> dict[str, object]:
        """For the card and a checkpoint's identity."""
        return {
            **self.contract.facts(),
            "samples": len(self.train),
            "held_out": len(self.held_out),
            "held_out_stimuli": sorted(set(self.stimulus[self.held_out].tolist())),
        }


def patched_trials(
    recording: Recording,
    *,
    patch: int,
    regions: Sequence[str] = (),
    split: Split | None = None,
    trials: str = "single",
    share: float = 0.1,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> PatchedTrials:
    """The training trials of a recording of pictures, cut into patches, with a share of their stimuli held out.

    patch    voxels in a patch
    regions  whose voxels; none named takes every voxel
    split    whose test stimuli stay out; None takes the recording's first
    trials   samples are single trials ("single", and "mixed", which training averages as it draws them), or "averaged"
             over the repeats of a stimulus
    share    of the training stimuli that validate, one or more
    names    the training stimuli to use; None takes the split's
    Voxels that are constant in a session, test material in training and too few stimuli are an InputError.
    """
    if trials not in TRIALS:
        raise UsageError(unknown("use of training trials", trials, TRIALS))
    chosen = split or recording.split()
    used, sound = tuple(sorted(chosen.train if names is None else names)), recording.stimuli.modality == "sound"
    guard(chosen, used, look_at_all(recording.stimuli, sorted({*used, *chosen.test})), sound=sound)
    whole = recording.responses.voxels(recording.columns(regions)) if regions else recording.responses
    contract, training = _standardised(whole, chosen, used, patch=patch)
    if trials == "averaged":
        averaged = average_repeats(training)
        values, stimulus = averaged.values, np.array(averaged.ids)
    else:
        values, stimulus = training.values, training.stimulus
    validating = held_out(stimulus, count=_count(len(set(stimulus.tolist())), share=share), seed=seed)
    return PatchedTrials(
        values=contract.cut(values),
        stimulus=stimulus,
        train=np.flatnonzero(~validating).astype(np.int64),
        held_out=np.flatnonzero(validating).astype(np.int64),
        contract=contract,
    )


def _standardised(
    whole: Responses, split: Split, used: Sequence[str], *, patch: int
) -> tuple[VoxelContract, Responses]:
    """The contract and the training trials as z-scores, none of which is a copy of a test trial."""
    rows = whole.of(used)
    # of all sessions: one without two training trials could never be decoded from
    scaler = SessionScaler.fit(whole, rows)
    raw = whole.trials(rows)
    refuse_constant(scaler, raw)
    training = scaler.apply(raw)
    spared = Spared.of(whole.trials(whole.of(split.test)), scaler)
    spared.guard(raw.values, training.values, name=spared.subject)
    patches = cut_cortex(whole.space, patch)
    return VoxelContract(voxels=whole.space, scaler=scaler, patches=patches, split=split.sha256), training


def _count(stimuli: int, *, share: float) -> int:
    """How many of so many stimuli validate, one at least; none left to train on is an InputError."""
    count = max(1, round(share * stimuli))
    if not 0 <= share < 1 or count >= stimuli:
        raise InputError(
            f"training: {stimuli} training stimuli cannot spare {count} to validate on; hold a smaller share out"
        )
    return count
