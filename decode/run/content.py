"""What a run was made of, RUN/content.json, which data are held against whenever they are opened again.

    note(run, content_of(recording, looks, captioned=...))     when it is fitted, before the first condition
    own = held(recording, run)                                 later: an InputError where the data are others by now

Content, not place, binds a run: what moved is the same data, what was written over at its place is not. The way a
volume's axes run says nothing about content, nor does the order of trials, unless it is what counts the repeats;
voxels, values, and which trial showed what, do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from brain.console.progress import progress
from brain.data.leaks import Looks, content_sha256
from brain.digest import sha256_of
from brain.errors import InputError, expected
from brain.types import Int, Recording, Responses, Stimuli
from brain.voxels import VoxelSpace
from decode.run.folder import RunFolder
from encoders.storage import read_json, write_json

THEN = "name the data it was fitted on with --data, or fit again into another --out"


def content_of(recording: Recording, looks: Looks, *, captioned: bool) -> dict[str, Any]:
    """The digests of responses, trials, captions (where a space encodes them) and of every stimulus in `looks`."""
    captions = captions_sha256(recording.stimuli, looks.ids) if captioned else ""
    stimuli = dict(zip(looks.ids, looks.digests, strict=True))
    return {**trials_content(recording.responses), "captions": captions, "stimuli": stimuli}


def trials_content(responses: Responses) -> dict[str, str]:
    """{"responses": the digest of all rows, "trials": of all rows with stimulus, session and repeat}, in any order."""
    order = place_order(responses.space)
    moved = not np.array_equal(order, np.arange(len(order)))
    rows = [hashlib.sha256((row[order] if moved else row).data).digest() for row in responses.values]
    facts = zip(rows, responses.stimulus.tolist(), responses.session.tolist(), responses.repeat.tolist(), strict=True)
    trials = sorted(row + json.dumps(known).encode() for row, *known in facts)
    return {"responses": sha256_of(*sorted(rows)), "trials": sha256_of(*trials)}


def place_order(space: VoxelSpace) -> Int:
    """(voxel,) the columns sorted by place, the same however the axes of the volume run: whole numbers alone decide."""
    step = space.affine[:3, :3]
    axes = np.argsort(np.abs(step).argmax(axis=0), kind="stable")
    towards = np.sign(step[np.abs(step).argmax(axis=0), np.arange(3)])
    keys = space.ijk * np.where(towards < 0, -1, 1)
    return np.lexsort(tuple(keys[:, axis] for axis in axes)).astype(np.int64)


def captions_sha256(stimuli: Stimuli, ids: Iterable[str]) -> str:
    """The digest of these stimuli's captions."""
    return sha256_of(json.dumps([[name, list(stimuli.captions.get(name, ()))] for name in sorted(ids)]).encode())


def note(run: RunFolder, made: Mapping[str, Any]) -> None:
    """Writes down what the run is made of. Where a stopped fit has noted other data, they are refused (InputError).

    True conditions bind nothing: where nothing was mapped yet, those of other or unknown data are made anew.
    """
    known = content_noted(run)
    common = known.get("stimuli", {}).keys() & made["stimuli"].keys()
    others = [name for name in sorted(common) if known["stimuli"][name] != made["stimuli"][name]]
    if others or any(known.get(part) != made[part] for part in ("responses", "trials", "captions")):
        if known and run.mapped:
            subject = f"data for {run.path}"
            found = f"another stimulus {others[0]!r}" if others else "other trials"
            raise InputError(expected(subject, "what its fit was begun with", found, THEN))
        if not run.mapped:
            shutil.rmtree(run.path / "conditions", ignore_errors=True)
    write_json(run.content, made)


def content_noted(run: RunFolder) -> dict[str, Any]:
    """What the run has noted of its data; nothing where it was fitted by a version that did not.

    A file that says something else is an InputError.
    """
    if not run.content.is_file():
        return {}
    known = read_json(run.content, kind="run")
    texts = all(isinstance(known.get(part), str) for part in ("responses", "trials", "captions"))
    stimuli = known.get("stimuli")
    if not texts or not isinstance(stimuli, dict) or not all(isinstance(one, str) for one in stimuli.values()):
        raise InputError(expected(run.content, "digests of a run's data", "something else", "fit again"))
    return known


def held(recording: Recording, run: RunFolder) -> Recording:
    """The recording, if its trials are those of the fit and captions too where they were encoded, else an InputError.

    Its stimuli are held against the fit's as each is opened. A run that has noted nothing takes the recording as it is.
    """
    known = content_noted(run)
    if not known:
        return recording
    here, what = trials_content(recording.responses), f"the trials that {run.path} was fitted on"
    if known["responses"] != here["responses"]:
        raise InputError(expected(recording.source, what, "other responses to its stimuli", THEN))
    if known["trials"] != here["trials"]:
        found = "the same responses in trials of other stimuli, sessions or repeats"
        raise InputError(expected(recording.source, what, found, THEN))
    digests, stimuli = known["stimuli"], recording.stimuli
    captioned = known["captions"] and stimuli.captions  # data that have lost all of them are not data with others
    if captioned and known["captions"] != captions_sha256(stimuli, digests):
        what = f"the captions that {run.path} was fitted on"
        raise InputError(expected(recording.source, what, "others", THEN))
    opener = HeldOpener(opener=stimuli.opener, digests=digests, source=recording.source, run=str(run.path))
    return replace(recording, stimuli=replace(stimuli, opener=opener))


@dataclass(frozen=True, kw_only=True)
class HeldOpener:
    """Opens stimuli, and refuses (InputError) one that is another than the fit has seen under this id.

    digests  id -> content_sha256 of the stimuli that the fit has seen; others are opened as they are
    """

    opener: Any = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)
    source: str
    run: str

    def __call__(self, stimulus: str) -> Any:
        """The stimulus, if it is the one of the fit."""
        opened = self.opener(stimulus)
        if self.digests.get(stimulus) not in (None, content_sha256(opened)):
            kind = "sound" if isinstance(opened, tuple) else "picture"
            what = f"the {kind} that {self.run} was fitted on"
            raise InputError(expected(f"{self.source}, stimulus {stimulus!r}", what, f"another {kind}", THEN))
        return opened


def hold(stimuli: Stimuli, names: Iterable[str]) -> None:
    """Opens these stimuli, so that another than the fit's is refused (InputError) before work is done with them."""
    if isinstance(stimuli.opener, HeldOpener):
        for name in progress(list(names), desc="holding stimuli against the fit", unit="stimulus"):
            stimuli.open(name)
