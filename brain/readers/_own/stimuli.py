"""The stimuli of the own-data format: whose image is whose, their folder, captions and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.leaks import NEAR, content_sha256, look_at, twins_of
from brain.errors import InputError, expected
from brain.files.tables import in_part
from brain.readers._own.fields import ArrayFile, folder_within, linked
from brain.readers._own.values import as_texts, ids_of, text_of, turned
from brain.readers._parts.media import (
    GO_ON,
    ArrayImages,
    NoMedia,
    by_ending,
    check_ids,
    examples,
    folder_media,
    likely_folder,
    without_media,
)
from brain.types import Stimuli

COPIES, COPIES_OF = 4000, 64
"""Images without names among which copies are looked for, and of how many of them."""


def stimulus_of(source: ArrayFile, trials: int) -> tuple[NDArray[np.str_], Stimuli]:
    """(trial,) ids, and the stimuli they name."""
    ids = ids_of(source, "stimulus", trials) if "stimulus" in source else None
    if "images" in source:
        images, count = source.images()
        source.notes.extend(filter(None, [images.note]))
        stimulus, rows = _whose(source, ids, images, count=count, trials=trials)
        known = tuple(sorted(rows))
        check_ids(known, str(source.path))
        shown = sorted(set(stimulus.tolist()))
        missing = in_part(shown, known)
        source.notes.extend(filter(None, [without_media(shown, missing)]))
        return stimulus, described(source, known, replace(images, rows=rows), "image", without=missing)
    if ids is None:
        then = "add `stimulus`, the id of what each trial showed, or name it with --fields stimulus=..."
        raise InputError(expected(source.path, "stimulus or images", "neither", then))
    known = tuple(sorted(set(ids.tolist())))
    check_ids(known, str(source.path))
    folder = _folder(source)
    if folder is None:
        likely = likely_folder((file.parent for file in linked(source.path)), known)
        return ids, described(source, known, NoMedia(where=str(source.path), likely=likely), "image")
    opener, modality = folder_media(folder, known, partial=source.partial, then=GO_ON)
    missing = in_part(known, opener.files)
    source.notes.extend(filter(None, [without_media(known, missing), *opener.notes()]))
    return ids, described(source, tuple(opener.files), opener, modality, without=missing)


def _whose(
    source: ArrayFile, ids: NDArray[np.str_] | None, images: ArrayImages, *, count: int, trials: int
) -> tuple[NDArray[np.str_], dict[str, int]]:
    """Which image is which stimulus: by `image_ids`; or one a trial; or, for whole-number ids, by row."""
    if "image_ids" in source:
        names = ids_of(source, "image_ids", count).tolist()
        rows = {name: number for number, name in enumerate(names)}
        if ids is None:
            then = "add stimulus, the id of what each trial showed, or name it with --fields stimulus=..."
            raise InputError(expected(source.path, "stimulus beside image_ids", "image_ids alone", then))
        if len(rows) < count:
            twice = next(name for number, name in enumerate(names) if rows[name] != number)
            raise InputError(expected(f"{source.path}, image_ids", "ids that differ", f"{twice!r} twice", "correct it"))
        return ids, _only_shown(source, ids, rows)
    if count == trials:
        return _one_a_trial(source, ids, images, trials)
    if ids is None or not all(name.isdigit() for name in ids.tolist()):
        want = f"{trials} images, one a trial, or image_ids"
        shape = source.read("responses").shape
        if ids is None and count == shape[1]:
            raise InputError(turned(f"{source.path}, responses", shape, "images", count))
        then = "add image_ids"
        if ids is None:
            then = "add stimulus, the id or the row of images that each trial showed, or name it: --fields stimulus=..."
        raise InputError(expected(f"{source.path}, images", want, f"{count} images without", then))
    shown = _only_shown(source, ids, {str(number): number for number in range(count)})
    if "0" not in shown:
        said = "stimulus holds whole numbers, taken as rows of images counted from 0, and row 0 was never shown"
        source.notes.append(f"{said}: give image_ids if they count from 1")
    return ids, shown


def _only_shown(source: ArrayFile, ids: NDArray[np.str_], rows: Mapping[str, int]) -> dict[str, int]:
    shown = set(ids.tolist())
    missing = sorted(shown - set(rows))
    from_one = "image_ids" not in source and str(len(rows)) in missing and "0" not in shown
    if missing and (not source.partial or len(missing) == len(shown) or from_one):
        came = f"none for stimulus {examples(missing)} ({len(missing)} of {len(shown)})"
        then = "correct the ids"
        if "image_ids" not in source:
            came += f", for {len(rows)} images are rows 0 to {len(rows) - 1}"
            then = "count from 0, or give image_ids"
        elif ending := by_ending(missing, rows):
            came += f"; ids in image_ids differ from these by {ending!r} alone"
            then = f"write both with {ending!r}, or both without"
        elif len(missing) < len(shown):
            then += GO_ON
        raise InputError(expected(f"{source.path}, images", "an image for every stimulus", came, then))
    return {name: rows[name] for name in shown if name in rows}


def _one_a_trial(
    source: ArrayFile, ids: NDArray[np.str_] | None, images: ArrayImages, trials: int
) -> tuple[NDArray[np.str_], dict[str, int]]:
    """Image t is what trial t showed. Equal images are one stimulus; where ids are given they must say so too."""
    digests = [content_sha256(images.image(trial)) for trial in range(trials)]
    names = ids.tolist() if ids is not None else [f"image-{digest[:12]}" for digest in digests]
    rows: dict[str, int] = {}
    for trial, name in enumerate(names):
        first = rows.setdefault(name, trial)
        if digests[first] != digests[trial]:
            came = f"two different ones, in trials {first} and {trial} (0-based)"
            then = "give each image its own id, or give image_ids"
            raise InputError(expected(f"{source.path}, images", f"one image for stimulus {name!r}", came, then))
    if ids is not None:
        _check_order(source, names, digests)
    else:
        source.notes.extend(_near_copies(images, dict(list(rows.items())[:COPIES])))
    return np.array(names, np.str_), rows


def _near_copies(images: ArrayImages, rows: Mapping[str, int]) -> tuple[str, ...]:
    """A sentence where images that nobody named differ by no more than copies do that were compressed or scaled."""
    looks = look_at(((name, images.image(row)) for name, row in rows.items()), count=len(rows))
    some = looks.ids[:: -(-len(looks.ids) // COPIES_OF)]
    twins = [twin for twin in twins_of(looks, looks.of(some)) if twin.train != twin.test]
    if not twins:
        return ()
    count = f"{len({twin.test for twin in twins})} of {len(some)} looked at"
    said = f"images: {count} are nearly another one (likeness from {NEAR}), and each counts as a stimulus of its own"
    return (f"{said}: where they are copies of one, saved anew, give `stimulus`, the id of what each trial showed",)


def _check_order(source: ArrayFile, names: Sequence[str], digests: Sequence[str]) -> None:
    """Refuse ids that count the images, each once, in another order: image t may be trial t's, or image k stimulus k's.

    Where an id comes twice, its images were equal, which only trials' own images are.
    """
    numbers = [int(name) for name in names if name.isdecimal()]
    first = min(numbers, default=0)
    if sorted(numbers) != list(range(first, first + len(names))):
        source.notes.extend(_each_once(names))
        return
    trial = next((one for one, number in enumerate(numbers) if digests[number - first] != digests[one]), None)
    if trial is None:
        return
    count, name = len(names), names[trial]
    found = (
        f"{count} images for {count} trials whose stimuli are the numbers {first} to {first + count - 1} in another "
        f"order: image {trial} may be that of trial {trial}, or image {numbers[trial] - first} that of its stimulus "
        f"{name!r}"
    )
    then = (
        f"add image_ids: the numbers in order (numpy.arange({first}, {first + count})) if image k is of stimulus k, "
        "the stimulus of each trial if image t is what trial t showed"
    )
    raise InputError(expected(f"{source.path}, images", "one reading of whose image is whose", found, then))


def _each_once(names: Sequence[str]) -> tuple[str, ...]:
    """A sentence where ids that come once each stand in no order: image t is taken for trial t's on trust."""
    ordered = sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)
    if len(set(names)) < len(names) or list(names) == ordered:
        return ()
    said = "images: as many as trials, so image t is read as what trial t showed"
    return (f"{said}: where image k is that of the k-th id in order, give image_ids",)


def _folder(source: ArrayFile) -> Path | None:
    """The folder of pictures or sounds: the field `folder`, or the folder that --fields names for it, within the file's
    own; else `images` or `sounds` beside.

    Where the file is a link, beside the link first. A folder may be a link that its owner made to elsewhere; one that
    leads nowhere is an InputError.
    """
    homes = [file.parent for file in linked(source.path)]
    if "folder" in source or "folder" in source.fields:
        text = text_of(source, "folder", source.fields.get("folder", ""))
        folder = folder_within(source.path, text)
        if folder is None:
            want = f"a folder within {homes[0]}"
            raise InputError(expected(f"{source.path}, folder", want, f"{text!r}", "move it there, or fetch it"))
        return folder
    for place in (home / name for home in homes for name in ("images", "sounds")):
        if place.is_dir():
            return place
        if place.is_symlink():
            found = "a link that leads to none"
            raise InputError(expected(place, "a folder", found, "fetch it, or take the link away"))
    return None


def described(
    source: ArrayFile, ids: tuple[str, ...], opener: Any, modality: str, *, without: tuple[str, ...] = ()
) -> Stimuli:
    """The stimuli of these ids; `without` are those that have no picture, whose captions and labels are no error."""
    captions: dict[str, tuple[str, ...]] = {}
    if "captions" in source:
        texts = as_texts(source.read("captions"), f"{source.path}, captions")
        for name, text in zip(ids_of(source, "caption_ids", len(texts)).tolist(), texts.tolist(), strict=True):
            captions[name] = (*captions.get(name, ()), text)
        _count(source, "captions", captions, ids, without)
    labels: dict[str, dict[str, str]] = {}
    for key, column in source.group("labels").items() if "labels" in source else ():
        spoken = np.where(column, "yes", "no") if column.dtype.kind == "b" else column
        values = as_texts(spoken, f"{source.path}, labels/{key}")
        names = ids_of(source, "label_ids", len(values)).tolist()
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InputError(expected(f"{source.path}, label_ids", "each id once", f"{twice[0]!r} twice", "correct it"))
        for name, label in zip(names, values.tolist(), strict=True):
            labels.setdefault(name, {})[key] = label
    if "labels" in source:
        _count(source, "labels", labels, ids, without)
    shown = set(ids)
    return Stimuli(
        ids=ids,
        modality=modality,
        opener=opener,
        captions={name: texts for name, texts in captions.items() if name in shown},
        labels={name: known for name, known in labels.items() if name in shown},
    )


def _count(source: ArrayFile, what: str, given: Iterable[str], ids: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Note how far captions or labels fit the stimuli, where they do not fit in full."""
    named = in_part(tuple(given), without)
    strange, without = in_part(named, ids), in_part(ids, named)
    if strange or without:
        said = f"{what}: {len(ids) - len(without)} of {len(ids)} stimuli have one"
        more = f"; ids that are no stimulus: {examples(strange)} ({len(strange)})" if strange else ""
        source.notes.append(said + more)
