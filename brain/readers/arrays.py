"""Reads any laboratory's own arrays from one HDF5 or npz file; `pack` makes such a file. The format: docs/own_data.md.

Two fields are enough: `responses` (trial, voxel) and either `stimulus` (trial,) with pictures beside the file, or
`images`, one a trial. Whatever else a file holds is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain import hdf5, npz
from brain.averages import count_repeats
from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.files import HDF5_MAGIC
from brain.leaks import content_sha256
from brain.origin import plain
from brain.readers import Inspection
from brain.readers._bdata_file import is_bdata
from brain.readers._media import ArrayImages, NoMedia, array_images, check_ids, folder_media
from brain.splits import leave_out, tenth_by_hash
from brain.types import LEAVE_OUT, Float, Int, Recording, Region, Responses, Split, Stimuli, VoxelSpace
from brain.validity import Validity

DIGEST = "packed_sha256"
FIELDS: Mapping[str, str] = {
    "responses": "(trial, voxel) numbers",
    "stimulus": "(trial,) text or whole numbers, the stimulus of each trial",
    "images": "(image, H, W) or (image, H, W, 3) numbers in 0..1 or 0..255, or binary",
    "image_ids": "(image,) text or whole numbers, the stimulus that each image is",
    "folder": "text, the folder of image or sound files, relative to the file",
    "session": "(trial,) whole numbers",
    "repeat": "(trial,) whole numbers, 0 for a stimulus' first showing",
    "group": "(trial,) text or whole numbers; each is left out in turn",
    "ncsnr": "(voxel,) numbers, noise ceiling SNR",
    "ijk": "(voxel, 3) whole numbers, the voxels' places in the volume",
    "shape": "(3,) whole numbers, X, Y, Z of the volume",
    "affine": "(4, 4) numbers, voxel index -> millimetres",
    "subject": "text",
    "unit": "text, such as psc or z",
    "betas": "text, where the responses come from",
    "simulated": "text, what simulated the responses; absent for a recorded brain",
    "captions": "(caption,) text",
    "caption_ids": "(caption,) text or whole numbers, the stimulus of each caption",
    "label_ids": "(labelled,) text or whole numbers, the stimuli that `labels` speaks of",
    "labels": "group of (labelled,) text, such as labels/category",
    "roi": "group of (voxel,) booleans, one a region, such as roi/V1",
    DIGEST: "text, JSON of field -> sha256, of every field but responses and images as `pack` wrote it",
    "split": "group of groups of text, split/<name>/train and split/<name>/test: stimulus ids",
}
"""The fields of the format. Only `responses` must be there."""

LEAVE_OUT_UP_TO = 200
"""So many stimuli or fewer are also offered to be left out one by one."""
TENTH_FROM = 50
"""From so many stimuli a tenth is a test set."""


@dataclass(frozen=True)
class Box:
    """The fields of one file, HDF5 or npz, under our names: `fields` says what the file calls them."""

    path: Path
    fields: Mapping[str, str]
    names: tuple[str, ...]
    is_hdf5: bool

    def __contains__(self, name: str) -> bool:
        theirs = self.fields.get(name, name)
        return theirs in self.names or any(other.startswith(f"{theirs}/") for other in self.names)

    def read(self, name: str) -> NDArray[Any]:
        """The whole array of a field."""
        theirs = self.fields.get(name, name)
        if name not in self:
            came = f"a file with {', '.join(self.names)[:200] or 'nothing'}"
            raise InputError(expected(self.path, f"the field {theirs!r}", came, "add it, or name it with --fields"))
        if not self.is_hdf5:
            return npz.read_npz(self.path, [theirs])[theirs]
        with hdf5.open_hdf5(self.path, [theirs]) as data:
            if theirs not in data:
                raise InputError(
                    expected(f"{self.path}, {theirs}", FIELDS.get(name, "an array"), "a group", "rename it")
                )
            return _plain(data[theirs])

    def group(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a group, by their names in it; none where the file has no such group."""
        theirs = self.fields.get(name, name)
        if not self.is_hdf5:
            inside = [other for other in self.names if other.startswith(f"{theirs}/")]
            arrays = npz.read_npz(self.path, inside)
        else:
            with hdf5.open_hdf5(self.path, [], optional=[theirs]) as data:
                arrays = {key: _plain(dataset) for key, dataset in data.items()}
        return {key.removeprefix(f"{theirs}/"): values for key, values in arrays.items() if key != theirs}

    def images(self) -> tuple[ArrayImages, int]:
        """The opener of the field `images`, not yet told whose is whose, and how many there are. HDF5 is streamed."""
        theirs, where = self.fields.get("images", "images"), f"{self.path}, images"
        if not self.is_hdf5:
            whole = self.read("images")
            return array_images(whole.__getitem__, shape=whole.shape, dtype=whole.dtype, where=where), len(whole)
        with hdf5.open_hdf5(self.path, [theirs], streamed=[theirs]) as data:
            shape, dtype = data[theirs].shape, data[theirs].dtype
            opener = array_images(lambda number: data[theirs][number], shape=shape, dtype=dtype, where=where)
        return replace(opener, row=Hdf5Rows(self.path, theirs)), int(shape[0])


@dataclass(frozen=True)
class Hdf5Rows:
    """Reads one row of an HDF5 data set at a time."""

    path: Path
    name: str

    def __call__(self, number: int) -> NDArray[Any]:
        """Row `number` of the data set."""
        with hdf5.open_hdf5(self.path, [self.name], streamed=[self.name]) as data:
            return np.asarray(data[self.name][number])


def _plain(dataset: Any) -> NDArray[Any]:
    """A data set as an array: text as str, everything else as it is."""
    return np.asarray(dataset.asstr()[()], np.str_) if dataset.dtype.kind == "O" else np.asarray(dataset[()])


def open_box(path: Path, fields: Mapping[str, str]) -> Box:
    """The file as a box of fields; `fields` goes before those of a <file>.fields.json beside it."""
    with open(path, "rb") as file:
        is_hdf5 = file.read(8) == HDF5_MAGIC
    names = hdf5.names_in(path) if is_hdf5 or path.suffix != ".npz" else npz.names_in(path)
    mapping = {**_sidecar(path), **fields}
    for ours, theirs in mapping.items():
        if ours not in FIELDS:
            raise UsageError(unknown("field", ours, tuple(FIELDS)))
        if theirs.split("/")[0] not in {name.split("/")[0] for name in names}:
            came = f"a file with {', '.join(names)[:200]}"
            raise InputError(expected(path, f"the field {theirs!r} for {ours}", came, "correct --fields"))
    return Box(path, mapping, names, is_hdf5)


def _sidecar(path: Path) -> dict[str, str]:
    beside = path.with_name(f"{path.name}.fields.json")
    if not beside.exists():
        return {}
    try:
        table = json.loads(beside.read_text(encoding="utf-8"))
        return {str(ours): str(theirs) for ours, theirs in table.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(expected(beside, 'JSON such as {"group": "run"}', f"{error}", "correct it")) from error


class Arrays:
    """The reader of data of one's own: one file, one subject."""

    name = "arrays"
    title = "data of your own, an .h5, .hdf5 or .npz with `responses`; see docs/own_data.md"

    def recognises(self, path: Path) -> bool:
        """A file that ends in .h5, .hdf5 or .npz, or is HDF5 whatever its name, and no BData."""
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            head = file.read(8)
        return (path.suffix.lower() in (".h5", ".hdf5", ".npz") or head == HDF5_MAGIC) and not is_bdata(path)

    def subjects(self, path: Path) -> tuple[str, ...]:
        """The one subject of the file: its field `subject`, else the file's name."""
        return (_text(open_box(path, {}), "subject", path.stem),)

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """The file's subject in the laboratory's own unit."""
        box = open_box(path, fields)
        _check_digest(box)
        values = _responses(box)
        trials, voxels = values.shape
        stimulus, stimuli = _stimulus(box, trials)
        session = _whole(box, "session", trials, np.ones(trials, np.int64))
        repeat = _whole(box, "repeat", trials, count_repeats(stimulus))
        space = _space(box, voxels)
        _check_asked(path, space, subject=subject, betas=betas)
        responses = Responses(values=values, stimulus=stimulus, session=session, repeat=repeat, space=space)
        rows = _session_rows(path, session, tuple(sessions))
        responses = responses.trials(rows)
        usable, masked = _usable(path, responses)
        return Recording(
            responses=responses.voxels(np.flatnonzero(usable)),
            stimuli=stimuli,
            regions=_regions(box, voxels, usable),
            splits=_splits(box, responses.stimulus, rows),
            ncsnr=_ncsnr(box, voxels, usable),
            masked=masked,
            reader=self.name,
            source=str(path),
            simulated=plain(_text(box, "simulated", "")),
        )

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What the file holds, which of it is understood, what would be left out, and every part that is at fault."""
        box = open_box(path, fields or {})
        flat = _ungrouped(box)
        try:
            recording = self.read(path, subject="", sessions=(), betas="", fields=fields or {})
        except InputError as error:
            line = f"data of your own at {path}, with {', '.join(box.names)[:500]}"
            problems = tuple(dict.fromkeys((*_faults(box), str(error))))
            return Inspection(lines=(line,), facts={"format": "arrays"}, notes=flat, problems=problems)
        responses, stimuli = recording.responses, recording.stimuli
        families = sorted({split.name if LEAVE_OUT not in split.name else LEAVE_OUT for split in recording.splits})
        regions = {region.name: int(region.mask.sum()) for region in recording.regions}
        lone = {sentence.split(": expected")[0].rpartition(", ")[2] for sentence in flat}
        understood = [name for name in FIELDS if name in box and box.fields.get(name, name) not in lone]
        used = {box.fields.get(name, name).split("/")[0] for name in understood}
        ignored = [name for name in box.names if name.split("/")[0] not in used]
        lines = [
            f"data of your own at {path}, subject {responses.space.subject}, unit {responses.space.unit}",
            f"{len(responses.values)} trials of {len(stimuli.ids)} stimuli ({stimuli.modality}), "
            f"{len(responses.space)} voxels, {len(np.unique(responses.session))} sessions",
            f"regions: {', '.join(f'{name} {count}' for name, count in regions.items())}",
            f"splits: {', '.join(families)}",
            f"fields: {', '.join(understood)}" + (f"; not used: {', '.join(ignored)}" if ignored else ""),
            f"absent: {', '.join(name for name in FIELDS if name not in understood)}",
            *recording.masked,
        ]
        facts = {
            "format": "arrays",
            "trials": len(responses.values),
            "voxels": len(responses.space),
            "stimuli": len(stimuli.ids),
            "modality": stimuli.modality,
            "regions": regions,
            "splits": [split.name for split in recording.splits],
            "fields": understood,
            "ignored": ignored,
        }
        return Inspection(lines=tuple(lines), facts=facts, notes=flat)


def field_sha256(values: Any) -> str:
    """The digest of a small field, of its type, shape and values: what `pack` notes and reading compares."""
    array = np.asarray(values)
    is_text = array.dtype.kind in "UO"
    data = json.dumps(array.ravel().tolist()).encode() if is_text else np.ascontiguousarray(array).tobytes()
    head = f"{'text' if is_text else array.dtype.str} {array.shape} "
    return hashlib.sha256(head.encode() + data).hexdigest()


def _check_digest(box: Box) -> None:
    """Refuses fields that are not what `pack` wrote, where the file says what that was."""
    if not box.is_hdf5 or DIGEST not in box.names:
        return
    with hdf5.open_hdf5(box.path, [DIGEST]) as data:
        text = np.asarray(data[DIGEST][()]).tobytes().rstrip(b"\0")
    then = f"fetch the file again; if it was changed on purpose, take the field {DIGEST} out"
    try:
        written = {str(name): str(digest) for name, digest in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise InputError(expected(f"{box.path}, {DIGEST}", FIELDS[DIGEST], "another text", then)) from error
    with hdf5.open_hdf5(box.path, list(written), then=then) as data:
        for name, digest in written.items():
            if name not in data or field_sha256(_plain(data[name])) != digest:
                raise InputError(expected(f"{box.path}, {name}", "what was packed (sha256)", "other values", then))


def _responses(box: Box) -> Float:
    values = box.read("responses")
    if values.ndim != 2 or values.dtype.kind not in "iuf" or 0 in values.shape:
        came = f"{values.dtype} {values.shape}"
        raise InputError(expected(f"{box.path}, responses", FIELDS["responses"], came, "store trials as rows"))
    return values.astype(np.float32)


def _texts(values: NDArray[Any], where: str) -> NDArray[np.str_]:
    """Ids as text: text as it is, whole numbers in their shortest form."""
    flat = np.atleast_1d(values)
    if flat.dtype.kind == "S":
        flat = np.char.decode(flat, "utf-8")
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat == np.rint(flat)).all():
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "iuU":
        raise InputError(expected(where, "text or whole numbers", f"{flat.dtype}", "store the ids as text"))
    return flat.astype(np.str_)


def _ids(box: Box, name: str, length: int | None = None) -> NDArray[np.str_]:
    where = f"{box.path}, {name}"
    ids = _texts(box.read(name), where)
    if ids.ndim != 1 or (length is not None and len(ids) != length):
        came = f"shape {ids.shape}"
        raise InputError(expected(where, FIELDS[name] + (f", {length} of them" if length else ""), came, "correct it"))
    return ids


def _whole(box: Box, name: str, length: int, default: Int) -> Int:
    if name not in box:
        return default
    values = box.read(name)
    if values.shape != (length,) or values.dtype.kind not in "iuf" or not (values == np.rint(values)).all():
        came = f"{values.dtype} {values.shape}"
        raise InputError(expected(f"{box.path}, {name}", f"{FIELDS[name]}, {length} of them", came, "correct it"))
    return values.astype(np.int64)


def _text(box: Box, name: str, default: str) -> str:
    return str(_texts(box.read(name), f"{box.path}, {name}").ravel()[0]) if name in box else default


def _numbers(box: Box, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = box.read(name)
    if values.shape != shape or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        came = f"{values.dtype} {values.shape}"
        raise InputError(expected(f"{box.path}, {name}", f"{FIELDS[name]}, finite, shape {shape}", came, "correct it"))
    return values.astype(np.float64)


def _space(box: Box, voxels: int) -> VoxelSpace:
    lone = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], axis=1)
    ijk = _numbers(box, "ijk", (voxels, 3)).astype(np.int64) if "ijk" in box else lone
    least = ijk.max(axis=0) + 1
    shape = _numbers(box, "shape", (3,)).astype(np.int64) if "shape" in box else least
    if ijk.min() < 0 or (shape < least).any() or len(np.unique(ijk, axis=0)) < voxels:
        came = f"ijk {ijk.min(axis=0).tolist()}..{(least - 1).tolist()} in {shape.tolist()}"
        raise InputError(expected(box.path, "each voxel's own place in the volume", came, "correct ijk or shape"))
    return VoxelSpace(
        subject=_text(box, "subject", box.path.stem),
        name="native",
        betas=_text(box, "betas", "native"),
        unit=_text(box, "unit", "native"),
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        affine=_numbers(box, "affine", (4, 4)) if "affine" in box else np.eye(4),
        ijk=ijk,
    )


def _check_asked(path: Path, space: VoxelSpace, *, subject: str, betas: str) -> None:
    for name, asked, have in (("subject", subject, space.subject), ("betas", betas, space.betas)):
        if asked not in ("", have):
            raise UsageError(f"{path}: {name} {asked!r} was asked for and the file holds {have!r}; leave it out")


def _session_rows(path: Path, session: Int, sessions: tuple[int, ...]) -> Int:
    missing = sorted(set(sessions) - set(session.tolist()))
    if missing:
        there = np.unique(session).tolist()
        raise InputError(expected(path, f"session {missing[0]}", f"a file with sessions {there}", "name others"))
    return np.flatnonzero(np.isin(session, sessions)) if sessions else np.arange(len(session))


def _usable(path: Path, responses: Responses) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    validity = Validity(len(responses.space))
    for session in np.unique(responses.session).tolist():
        validity.look(responses.values[responses.session == session], session)
    if not validity.usable.any():
        raise InputError(f"{path}: {'; '.join(validity.sentences())}; no voxel is left to decode")
    return validity.usable, validity.sentences()


def _stimulus(box: Box, trials: int) -> tuple[NDArray[np.str_], Stimuli]:
    """(trial,) ids, and the stimuli they name."""
    ids = _ids(box, "stimulus", trials) if "stimulus" in box else None
    if "images" in box:
        images, count = box.images()
        stimulus, rows = _whose(box, ids, images, count=count, trials=trials)
        known = tuple(sorted(rows))
        check_ids(known, str(box.path))
        return stimulus, _described(box, known, replace(images, rows=rows), "image")
    if ids is None:
        then = "add `stimulus`, the id of what each trial showed, or name it with --fields stimulus=..."
        raise InputError(expected(box.path, "stimulus or images", "neither", then))
    known = tuple(sorted(set(ids.tolist())))
    check_ids(known, str(box.path))
    folder = _folder(box)
    if folder is None:
        return ids, _described(box, known, NoMedia(where=str(box.path)), "image")
    opener, modality = folder_media(folder, known)
    return ids, _described(box, known, opener, modality)


def _whose(
    box: Box, ids: NDArray[np.str_] | None, images: ArrayImages, *, count: int, trials: int
) -> tuple[NDArray[np.str_], dict[str, int]]:
    """Which image is which stimulus: by `image_ids`; or one a trial; or, for whole-number ids, by row."""
    if "image_ids" in box:
        names = _ids(box, "image_ids", count).tolist()
        rows = {name: number for number, name in enumerate(names)}
        if ids is None or len(rows) < count:
            what = "stimulus beside image_ids" if ids is None else "image_ids that differ"
            raise InputError(expected(box.path, what, "a file without", "add what is missing"))
        return ids, _only_shown(box, ids, rows)
    if count == trials:
        return _one_a_trial(box, ids, images, trials)
    if ids is None or not all(name.isdigit() for name in ids.tolist()):
        want = f"{trials} images, one a trial, or image_ids"
        raise InputError(expected(f"{box.path}, images", want, f"{count} images without", "add image_ids"))
    return ids, _only_shown(box, ids, {str(number): number for number in range(count)})


def _only_shown(box: Box, ids: NDArray[np.str_], rows: Mapping[str, int]) -> dict[str, int]:
    missing = sorted(set(ids.tolist()) - set(rows))
    if missing:
        came = f"none for stimulus {missing[0]!r}"
        raise InputError(expected(f"{box.path}, images", "an image for every stimulus", came, "correct the ids"))
    return {name: rows[name] for name in set(ids.tolist())}


def _one_a_trial(
    box: Box, ids: NDArray[np.str_] | None, images: ArrayImages, trials: int
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
            raise InputError(expected(f"{box.path}, images", f"one image for stimulus {name!r}", came, then))
    return np.array(names, np.str_), rows


def _folder(box: Box) -> Path | None:
    """The folder of pictures or sounds: the field `folder`, within the file's own; else `images` or `sounds` beside."""
    home = box.path.resolve().parent
    if "folder" in box:
        folder = (home / _text(box, "folder", "")).resolve()
        if not folder.is_relative_to(home) or not folder.is_dir():
            raise InputError(expected(f"{box.path}, folder", f"a folder within {home}", f"{folder}", "move it there"))
        return folder
    return next((home / name for name in ("images", "sounds") if (home / name).is_dir()), None)


def _described(box: Box, ids: tuple[str, ...], opener: Any, modality: str) -> Stimuli:
    captions: dict[str, tuple[str, ...]] = {}
    if "captions" in box:
        texts = _ids(box, "captions")
        for name, text in zip(_ids(box, "caption_ids", len(texts)).tolist(), texts.tolist(), strict=True):
            captions[name] = (*captions.get(name, ()), text)
    labels: dict[str, dict[str, str]] = {}
    for key, column in box.group("labels").items() if "labels" in box else ():
        names = _ids(box, "label_ids", len(column)).tolist()
        for name, label in zip(names, _texts(column, f"{box.path}, labels/{key}").tolist(), strict=True):
            labels.setdefault(name, {})[key] = label
    return Stimuli(ids=ids, modality=modality, opener=opener, captions=captions, labels=labels)


def _regions(box: Box, voxels: int, usable: NDArray[np.bool_]) -> tuple[Region, ...]:
    """Every roi/<name> that has a usable voxel, and "all"."""
    regions = []
    for name, values in sorted(box.group("roi").items()) if "roi" in box else ():
        mask = np.asarray(values)
        if mask.shape != (voxels,) or not np.isin(mask, (0, 1)).all():
            came = f"{mask.dtype} {mask.shape}"
            raise InputError(expected(f"{box.path}, roi/{name}", f"({voxels},) booleans", came, "correct the mask"))
        if mask.astype(np.bool_)[usable].any():
            regions.append(Region(name=name, atlas="roi", mask=mask.astype(np.bool_)[usable]))
    if all(region.name != "all" for region in regions):
        regions.append(Region(name="all", atlas="all voxels", mask=np.ones(int(usable.sum()), np.bool_)))
    return tuple(regions)


def _ncsnr(box: Box, voxels: int, usable: NDArray[np.bool_]) -> Float | None:
    return _numbers(box, "ncsnr", (voxels,)).astype(np.float32)[usable] if "ncsnr" in box else None


def _splits(box: Box, stimulus: NDArray[np.str_], rows: Int) -> tuple[Split, ...]:
    """The file's own splits; one "leave-out-<group>" a group; and, where it brings neither, splits made by rule."""
    splits = _stored_splits(box, set(stimulus.tolist()))
    if "group" in box:
        groups: dict[str, set[str]] = {}
        for group, name in zip(_ids(box, "group")[rows].tolist(), stimulus.tolist(), strict=True):
            groups.setdefault(group, set()).add(name)
        return (*splits, *leave_out(dict(sorted(groups.items()))))
    if splits:
        return splits
    ids = sorted(set(stimulus.tolist()))
    if len(ids) < 2:
        return ()
    tenth = (tenth_by_hash(ids),) if len(ids) >= TENTH_FROM else ()
    return (*tenth, *(leave_out({name: [name] for name in ids}) if len(ids) <= LEAVE_OUT_UP_TO else ()))


def _stored_splits(box: Box, shown: set[str]) -> tuple[Split, ...]:
    halves: dict[str, dict[str, list[str]]] = {}
    for key, ids in box.group("split").items() if "split" in box else ():
        name, _, half = key.rpartition("/")
        if half not in ("train", "test") or not name:
            came = f"split/{key}"
            raise InputError(expected(box.path, "split/<name>/train and split/<name>/test", came, "rename it"))
        halves.setdefault(name, {})[half] = _texts(ids, f"{box.path}, split/{key}").tolist()
    splits = []
    for name, lists in sorted(halves.items()):
        train, test = (tuple(set(lists.get(part, [])) & shown) for part in ("train", "test"))
        if not train or not test:
            came = f"{len(train)} and {len(test)}"
            want = "train and test ids that were shown"
            raise InputError(expected(f"{box.path}, split/{name}", want, came, "add them"))
        splits.append(Split(name=name, train=train, test=test))
    return tuple(splits)


def _ungrouped(box: Box) -> tuple[str, ...]:
    """A sentence on each field that has to be a group and is an array, which nothing reads."""
    return tuple(
        expected(
            f"{box.path}, {box.fields.get(name, name)}",
            f"a {FIELDS[name]}",
            "one array, which is used for nothing",
            f"call it {name}/NAME" if name != "split" else "call it split/NAME/train and split/NAME/test",
        )
        for name in ("labels", "roi", "split")
        if name in box and not box.group(name)
    )


def _faults(box: Box) -> tuple[str, ...]:
    """What is wrong with the parts of the file, each read by itself: one sentence a part."""
    found: list[str] = []

    def tried(part: Callable[[], Any]) -> Any:
        try:
            return part()
        except InputError as error:
            found.append(str(error))
            return None

    values = tried(lambda: _responses(box))
    if values is None:
        return tuple(found)
    trials, voxels = values.shape
    tried(lambda: _stimulus(box, trials))
    for name in ("session", "repeat"):
        tried(partial(_whole, box, name, trials, np.ones(trials, np.int64)))
    tried(lambda: _space(box, voxels))
    tried(lambda: _regions(box, voxels, np.ones(voxels, np.bool_)))
    tried(lambda: _ncsnr(box, voxels, np.ones(voxels, np.bool_)))
    return tuple(found)


ENTRIES = (Arrays(),)
