"""The sounds that were heard: a folder of clips, what stimuli.tsv says of them, and the windows cut out of them.

A stimulus is a clip ("dog3": the whole file) or a window of one ("dog3_slide1"). Where nothing else is said, window k
is the half of the clip that begins at k quarters of it: three overlapping windows a clip, as in Park et al. (2025).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.clips import SLIDE, clip_of
from brain.errors import InputError, expected
from brain.files.paths import composed, listed, optional, optional_folder
from brain.files.tables import read_records
from brain.files.waveforms import LONGEST_SECONDS, RATE, SHORTEST_SECONDS, length_of, read_wave, resampled, windowed
from brain.readers._parts.media import SOUND_ENDINGS, NoMedia, check_ids
from brain.types import Float, Stimuli

TABLE = "stimuli.tsv"
FOLDERS = ("stimuli", "sounds")
PARTS = ("bdata", "bids", "fmri_data")
"""Folders of a data set that hold responses alone, the stimuli lying beside them."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """The clips of a data set.

    files   clip -> sound file; `folder` where they lie
    absent  the clips of which a link alone is at hand, whose sound has not been fetched
    known   the clips of the table, empty where there is none
    captions, labels, splits   clip -> what the table says
    """

    folder: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict, repr=False)
    absent: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    captions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    splits: Mapping[str, str] = field(default_factory=dict, repr=False)

    def missing(self, clips: Iterable[str]) -> tuple[str, ...]:
        """Those of these clips that have no sound file, sorted; none are missed where there is no folder at all."""
        return tuple(sorted(set(clips) - set(self.files))) if self.folder is not None else ()

    def partly(self, ids: Iterable[str]) -> tuple[str, ...]:
        """A sentence on each thing that the table says of some of these stimuli's clips and not of all."""
        clips = {clip_of(name) for name in ids}
        if self.known and not clips & self.known:
            return (f"none of the {len(clips)} clips has a row in {TABLE} (first: {min(clips)})",)
        had = {f"a row in {TABLE}": clips & self.known, "a caption": {one for one in clips if self.captions.get(one)}}
        for key in sorted({key for labels in self.labels.values() for key in labels}):
            had[f"the label {key!r}"] = {one for one in clips if key in self.labels.get(one, {})}
        return tuple(
            f"{len(there)} of {len(clips)} clips have {what}; {len(clips - there)} have none "
            f"(first: {min(clips - there)})"
            for what, there in had.items()
            if there and clips - there
        )


def homes_of(path: Path) -> tuple[Path, ...]:
    """Where stimuli may lie: the folder of the data at `path` and, where it holds responses alone, the one above."""
    home = path if path.is_dir() else path.parent
    above = [place.parent for place in (home.absolute(), home.resolve()) if place.name in PARTS]
    return tuple(dict.fromkeys((home, *above)))


def given_folder(path: Path, fields: Mapping[str, str]) -> Path | None:
    """The folder that the field `stimuli` names, relative to the data; None where it does not."""
    home = path if path.is_dir() else path.parent
    return home / fields["stimuli"] if "stimuli" in fields else None


def find_clips(homes: Iterable[Path], given: Path | None) -> Clips:
    """The clips in `given`, or else in a folder `stimuli` or `sounds` of the first of `homes` that has one.

    stimuli.tsv is read beside the folder or in it. Files or rows of one name, and links to a folder or a table that has
    not been fetched, are an InputError.
    """
    if given is not None and optional_folder(given, what="a folder of sounds") is None:
        raise InputError(expected(given, "a folder of sounds", "no such folder", "correct --fields stimuli=FOLDER"))
    places = [home / name for home in homes for name in FOLDERS]
    folder = given or next((place for place in places if optional_folder(place, what="a folder of sounds")), None)
    if folder is None:
        return Clips()
    files: dict[str, Path] = {}
    for path in (path for path in listed(folder, "**/*") if path.suffix.lower() in SOUND_ENDINGS):
        clip = composed(path.stem)
        if clip in files:
            came = f"two, {files[clip].name} and {path.relative_to(folder)}"
            if files[clip].stem != path.stem:
                came += ", whose names differ only in how accents are stored"
            raise InputError(expected(folder, f"one sound called {clip!r}", came, "rename one of them"))
        files[clip] = path
    absent = frozenset(clip for clip, path in files.items() if not path.exists())
    files = {clip: path for clip, path in files.items() if clip not in absent}
    tables = [table for place in (folder.parent, folder) if (table := optional(place / TABLE, what="a table of clips"))]
    if not tables:
        return Clips(folder=folder, files=files, absent=absent)
    if len(tables) > 1:
        came = f"two, {tables[0]} and {tables[1]}"
        raise InputError(expected(folder, f"one {TABLE}, in it or beside it", came, "take one of them away"))
    rows = [{**row, "clip": composed(row["clip"])} for row in read_table(tables[0], needed=("clip",))]
    if not rows:
        raise InputError(expected(tables[0], "a row for each clip", "none", "fetch it again, or take it away"))
    return Clips(folder=folder, files=files, absent=absent, **_described(tables[0], rows))


def _described(table: Path, rows: list[dict[str, str]]) -> dict[str, Any]:
    names = [row["clip"] for row in rows]
    check_ids(names, str(table))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(expected(table, "each clip once", f"{twice[0]!r} twice", "give each clip its own name"))
    splits = {row["clip"]: row["split"] for row in rows if row.get("split")}
    strange = sorted(set(splits.values()) - {"train", "test"})
    if strange:
        raise InputError(expected(f"{table}, split", "train or test", repr(strange[0]), "correct it"))
    texts = [key for key in rows[0] if key.startswith("caption")] if rows else []
    groups = [key for key in rows[0] if key not in ("clip", "split", *texts)] if rows else []
    return {
        "known": frozenset(names),
        "splits": splits,
        "captions": {row["clip"]: tuple(row[key] for key in texts if row[key]) for row in rows},
        "labels": {row["clip"]: {key: row[key] for key in groups if row[key]} for row in rows},
    }


def read_table(path: Path, *, needed: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a tab-separated table, column -> text; one without the columns `needed` is an InputError."""
    return read_records(path, needed=needed, then="add it, or correct --fields")


@dataclass(frozen=True, kw_only=True)
class SoundWindows:
    """Opens a window, or a whole clip, as ((sample,) float32, 16000): mono, resampled, exactly as long as it is.

    window_s, hop_s   seconds of a window and from window to window; 0 takes half and a quarter of the clip's file
    """

    files: Mapping[str, Path] = field(repr=False)
    window_s: float = 0.0
    hop_s: float = 0.0

    def __call__(self, stimulus: str) -> tuple[Float, int]:
        """The sound of that id; a damaged, empty or too long file, or a window outside it, is an InputError."""
        clip = clip_of(stimulus)
        path = self.files[clip]
        if clip == stimulus:
            return resampled(*read_wave(path)), RATE
        number = int(stimulus.removeprefix(f"{clip}{SLIDE}"))
        length = _seconds(path) if not (self.window_s and self.hop_s) else 0.0
        window, hop = self.window_s or length / 2, self.hop_s or length / 4
        wave = resampled(*read_wave(path, start_s=number * hop, seconds=window))
        return windowed(wave, RATE, start_s=0.0, seconds=window, name=path), RATE


def _seconds(path: Path) -> float:
    """How long a clip is; one that is no clip of windows by its length is an InputError."""
    samples, rate = length_of(path)
    length = samples / rate
    if not 2 * SHORTEST_SECONDS <= length <= 2 * LONGEST_SECONDS:
        want = f"a clip of {2 * SHORTEST_SECONDS:g} to {2 * LONGEST_SECONDS:g} s, for windows of half a clip"
        then = "cut it to what was heard, or give --fields window_s=SECONDS,hop_s=SECONDS"
        raise InputError(expected(path, want, f"{samples} samples ({length:g} s)", then))
    return length


def stimuli_of(clips: Clips, ids: Iterable[str], *, where: str, window_s: float = 0.0, hop_s: float = 0.0) -> Stimuli:
    """The Stimuli of these ids: opened from the clips' files where there are any, described by their clips' row."""
    names = tuple(sorted(set(ids)))
    check_ids(names, where)
    opener: Any = SoundWindows(files=clips.files, window_s=window_s, hop_s=hop_s)
    if clips.folder is None:
        opener = NoMedia(where=where)
    return Stimuli(
        ids=names,
        modality="sound",
        opener=opener,
        captions={name: clips.captions[clip_of(name)] for name in names if clips.captions.get(clip_of(name))},
        labels={name: clips.labels[clip_of(name)] for name in names if clips.labels.get(clip_of(name))},
    )


def heard(clips: Clips, stimulus: NDArray[np.str_], *, where: str, partial: bool) -> tuple[NDArray[Any], str]:
    """(trial,) bool: the trials whose sound is at hand, and a sentence on the others, or "".

    Sounds that are missing are an InputError unless `partial` allows to go on without their trials. Where there is no
    folder of sounds at all every trial stays: responses can be read without.
    """
    missing = clips.missing(clip_of(name) for name in stimulus.tolist())
    if not missing:
        return np.ones(len(stimulus), np.bool_), ""
    total = len({clip_of(name) for name in stimulus.tolist()})
    if not partial:
        came = f"none for {len(missing)} of {total} clips (first: {missing[0]})"
        unfetched = sorted(clips.absent & set(missing))
        if unfetched:
            came += f", {len(unfetched)} of them links to files that have not been fetched (first: {unfetched[0]})"
        first = "run `datalad get` on them" if unfetched else "put them there"
        then = f"{first}, or go on without their trials by --fields partial=yes"
        raise InputError(expected(f"{clips.folder} for {where}", "a sound file for every clip", came, then))
    here = np.array([clip_of(name) not in set(missing) for name in stimulus.tolist()], np.bool_)
    if not here.any():
        raise InputError(
            expected(f"{clips.folder} for {where}", "sounds that were heard", "none", "name the files after the clips")
        )
    return here, f"{total - len(missing)} of {total} clips have a sound file; the trials of the others are left out"
