"""From a recording to what the stages need: the folds that were asked for, and the trials of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.readers import open_recording, parse_fields
from brain.splits.cluster import CLUSTER, cluster_splits, count_in
from brain.types import Int, Recording, Responses, Split
from decode.run.folder import RunFolder
from decode.run.settings import EVERY, DataSettings
from encoders.conditions import Conditions
from encoders.spaces import of_sounds
from encoders.storage import read_json, write_json

_KEPT: ContextVar[dict[tuple[Path, DataSettings], Recording] | None] = ContextVar("kept", default=None)


@contextmanager
def opened_once() -> Iterator[None]:
    """In here the same data are opened once, for a study's stages read them one after the other."""
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def open_data(data: Path, read: DataSettings) -> Recording:
    """The recording that these settings name; data that are gone are an InputError that says how to name others."""
    kept, key = _KEPT.get(), (data.absolute(), replace(read, standardise="", split=""))
    if kept is not None and key in kept:
        return kept[key]
    recording = _opened(data, read)
    if kept is not None:
        kept[key] = recording
    return recording


def _opened(data: Path, read: DataSettings) -> Recording:
    if not data.exists():
        then = "check the path, or, where a run has moved without its data, name them with --data"
        raise InputError(expected(data, "data", "nothing there: no such file or folder", then))
    return open_recording(
        data,
        subject=read.subject,
        sessions=read.sessions,
        betas=read.betas,
        reader=read.reader,
        fields=parse_fields(read.fields),
    )


def columns_of(recording: Recording, regions: tuple[str, ...]) -> Int:
    """(voxel,) the columns of the regions' union; EVERY is every voxel."""
    if regions == EVERY:
        return np.arange(len(recording.responses.space), dtype=np.int64)
    return recording.columns(regions)


def folds_of(recording: Recording, asked: str, run: RunFolder | None = None) -> tuple[Split, ...]:
    """The split of that name (empty: the first), or every split of a family such as leave-out.

    A stimulus tested twice is an InputError.
    "cluster-5", and "cluster-5-2" of it, are read from the `run` that made them. Data of which a fitted `run` had other
    folds are an InputError.
    """
    if run is not None and cluster_count(recording, asked) > 0:
        folds = tuple(read_clusters(run, asked, set(recording.responses.stimulus.tolist())))
    else:
        folds = recording.folds(asked)
    twice = [name for name, count in Counter(name for fold in folds for name in fold.test).items() if count > 1]
    if twice:
        raise InputError(
            f"splits {asked!r}: stimulus {twice[0]} is tested in more than one; choose splits whose tests are disjoint"
        )
    known = {} if run is None else {one["name"]: one["sha256"] for one in run.card_facts().get("splits", [])}
    if known and any(known.get(fold.name) != fold.sha256 for fold in folds):
        raise InputError(
            f"{recording.source}: expected the stimuli that the run was fitted and is tested on, found others; name "
            "the data it was fitted on with --data, or fit again into another --out"
        )
    return folds


def cluster_count(recording: Recording, asked: str) -> int:
    """How many clusters a name such as "cluster-5" or "cluster-5-2" asks for; 0 where it names another split."""
    return 0 if asked in {split.name for split in recording.splits} else count_in(asked)


def write_clusters(run: RunFolder, conditions: Conditions, *, k: int, seed: int) -> None:
    """Writes RUN/splits/cluster-<k>.json: the clusters of these stimuli by the angle between their conditions."""
    sound = of_sounds(conditions.space.name)
    splits = cluster_splits(conditions.ids, _directions(conditions), k=k, seed=seed, sound=sound)
    write_json(
        _clusters_path(run, k),
        {
            "space": conditions.space.name,
            "space_sha256": conditions.space.digest,
            "seed": seed,
            "clusters": {split.name: list(split.test) for split in splits},
        },
    )


def read_clusters(run: RunFolder, asked: str, shown: set[str]) -> tuple[Split, ...]:
    """The splits that `write_clusters` left, or the one of them that is named; other stimuli are an InputError."""
    path = _clusters_path(run, int(asked.split("-")[1]))
    written = read_json(path, kind="split").get("clusters")
    clusters = written if isinstance(written, dict) else {}
    names = [name for group in clusters.values() for name in group]
    if set(names) != shown or len(names) != len(shown):
        raise InputError(
            f"{path}: expected clusters of the {len(shown)} stimuli of these data, found {len(names)} others; "
            "decode the data it was fitted on, or fit again into another --out"
        )
    splits = tuple(
        Split(name=name, train=tuple(shown - set(group)), test=tuple(group)) for name, group in clusters.items()
    )
    chosen = tuple(split for split in splits if asked == split.name or split.name.startswith(f"{asked}-"))
    if not chosen:
        raise UsageError(unknown("split", asked, tuple(split.name for split in splits)))
    return chosen


def _clusters_path(run: RunFolder, k: int) -> Path:
    return run.path / "splits" / f"{CLUSTER}-{k}.json"


def _directions(conditions: Conditions) -> NDArray[np.float64]:
    """(stimulus, feature): centred, of norm 1. A text condition counts by the mean of its tokens."""
    values = conditions.values.astype(np.float64)
    flat = values.mean(axis=1) if values.ndim == 3 else values.reshape(len(values), -1)
    flat = flat - flat.mean(axis=0)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.where(norm > 0, norm, 1), np.float64)


def first_repeats(responses: Responses, count: int) -> Responses:
    """Only the first `count` trials of every stimulus, in order of session and repeat; 0 keeps them all."""
    if count == 0:
        return responses
    seen: Counter[str] = Counter()
    keep = np.zeros(len(responses.values), np.bool_)
    for row in np.lexsort((responses.repeat, responses.session)):
        name = str(responses.stimulus[row])
        keep[row] = seen[name] < count
        seen[name] += 1
    return responses.trials(keep)


def later_repeats(responses: Responses) -> Responses:
    """Every trial but the first of its stimulus, in order of session and repeat."""
    seen: set[str] = set()
    keep = np.zeros(len(responses.values), np.bool_)
    for row in np.lexsort((responses.repeat, responses.session)):
        name = str(responses.stimulus[row])
        keep[row] = name in seen
        seen.add(name)
    return responses.trials(keep)


def repeated_of(responses: Responses, stimuli: Iterable[str]) -> list[str]:
    """Those of `stimuli` that were shown twice or more, sorted."""
    shown = Counter(responses.stimulus[responses.of(stimuli)].tolist())
    return sorted(name for name, count in shown.items() if count > 1)
