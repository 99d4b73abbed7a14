"""Guards against leaks: test material in training by name, by content or slightly altered, and test statistics.

    guard             refuses a test stimulus in training by name, and bit for bit under another name
    guard_statistics  refuses responses that were standardised together with the test trials
    near_duplicates   finds re-saved, brightened, cropped, noisy or mirrored copies; `leak_report` puts them in JSON

A copy is a matter of degree, so that near duplicates are reported with their likeness and never refused. Pictures are
looked at once (`look_at`) and kept as thumbnails; sounds are compared bit for bit only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.console.progress import progress
from brain.data.clips import check_groups
from brain.errors import InputError
from brain.types import Bool, Float, Responses, Split, Stimuli

Pixels = NDArray[np.uint8]

NEAR = 0.98
"""Likeness from which two pictures are reported: of 810,000 pairs of distinct simulated scenes the likest have 0.972,
of 100 scenes re-saved, 10 % brighter or darker, cropped by 3 %, noisy (5 of 255) or mirrored the least like has 0.984.
"""
SIZE, FINE, COARSE = 48, 24, 8
"""Sides of the thumbnail that is kept, of what is compared finely, and of what chooses whom to compare finely."""
CANDIDATE = 0.95
"""Coarse likeness from which a pair is compared finely."""
NAMED = 20
"""Pairs that get a sentence of their own."""
SCALES = (0.883, 0.9115, 0.94, 0.97, 1.0)
SHIFTS = (-0.015, 0.0, 0.015)
"""Windows of the test picture that are held against the training picture's central 94 %: 3 % cut either way."""

TRIALS = 10
"""Trials of a session below which nobody can tell how it was standardised."""
MOMENT = 1e-3
"""Mean and spread this near to 0 and 1 are standardised; LEAST is what rounding leaves of them."""
LEAST = 1e-5
SHARE = 95
"""Per cent of the voxels that must agree; of LOOKED_AT of them at most."""
LOOKED_AT = 1000


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A training stimulus that is, or may be, a test stimulus: `likeness` 0..1, `exact` where no bit differs."""

    train: str
    test: str
    likeness: float
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What is kept of stimuli that were opened once.

    ids      (stimulus,)
    digests  (stimulus,) content_sha256
    thumbs   (stimulus, 48, 48, 3) uint8, or (0, 48, 48, 3) of sounds
    """

    ids: tuple[str, ...]
    digests: tuple[str, ...]
    thumbs: Pixels = field(repr=False)

    @property
    def pictures(self) -> bool:
        """Whether these are pictures, which can be compared by likeness."""
        return len(self.thumbs) > 0

    def of(self, ids: Iterable[str]) -> Looks:
        """The looks of these stimuli, in this order; one that was not looked at is an InputError."""
        place = {name: row for row, name in enumerate(self.ids)}
        wanted = tuple(ids)
        missing = [name for name in wanted if name not in place]
        if missing:
            raise InputError(f"leaks: stimulus {missing[0]} was not looked at; look at all stimuli of the split")
        rows = [place[name] for name in wanted]
        thumbs = self.thumbs[rows] if self.pictures else self.thumbs
        return Looks(ids=wanted, digests=tuple(self.digests[row] for row in rows), thumbs=thumbs)


def look_at(stimuli: Iterable[tuple[str, Any]], *, count: int | None = None) -> Looks:
    """Opens each (id, stimulus) once and keeps its digest and, of a picture, a thumbnail; `count` is for the bar."""
    ids, digests, thumbs = [], [], []
    for name, stimulus in progress(stimuli, total=count, desc="looking for leaks", unit="stimulus"):
        ids.append(name)
        digests.append(content_sha256(stimulus))
        if not isinstance(stimulus, tuple):
            thumbs.append(_thumb(stimulus))
    whole = np.stack(thumbs) if thumbs else np.zeros((0, SIZE, SIZE, 3), np.uint8)
    return Looks(ids=tuple(ids), digests=tuple(digests), thumbs=whole)


def look_at_all(stimuli: Stimuli, ids: Sequence[str]) -> Looks:
    """The looks of these stimuli of a recording."""
    return look_at(((name, stimuli.open(name)) for name in ids), count=len(ids))


def guard(split: Split, train_ids: Iterable[str], looks: Looks | None = None, *, sound: bool = True) -> None:
    """Refuse (InputError) to fit on `train_ids` when one of them is a test stimulus of `split`.

    With `looks` at both sides, a training stimulus whose pixels (or waveform) equal a test stimulus' bit for bit is
    refused too.
    """
    train = sorted(set(train_ids))
    both = sorted(set(train) & set(split.test))
    if both:
        raise InputError(
            f"split {split.name!r}: {len(both)} of its test stimuli are in the training set (first: {both[0]}); "
            "take them out before the fit"
        )
    check_groups(Split(name=split.name, train=tuple(train), test=split.test), sound=sound)
    if looks is None:
        return
    for twin in _exact(looks.of(train), looks.of(split.test)):
        raise InputError(
            f"split {split.name!r}: training stimulus {twin.train} is the same as test stimulus {twin.test} bit for "
            "bit; take one of the two out before the fit"
        )


def near_duplicates(
    train: Iterable[tuple[str, Any]], test: Iterable[tuple[str, Any]], *, threshold: float = NEAR
) -> tuple[Twin, ...]:
    """Pairs of (id, picture) of the two sides that are the same or alike from `threshold`, exact ones first.

    Likeness is the correlation of two 24 x 24 thumbnails, which no brightness or contrast changes, the best over
    mirror images and over crops of up to 3 % a side. Pictures are streamed; sounds are compared bit for bit only.
    """
    return twins_of(look_at(train), look_at(test), threshold=threshold)


def twins_of(train: Looks, test: Looks, *, threshold: float = NEAR) -> tuple[Twin, ...]:
    """`near_duplicates` of stimuli that were looked at already."""
    exact = _exact(train, test)
    if not (train.pictures and test.pictures):
        return tuple(exact)
    known = {(twin.train, twin.test) for twin in exact}
    near = [twin for twin in _near(train, test, threshold) if (twin.train, twin.test) not in known]
    return (*exact, *sorted(near, key=lambda twin: (-twin.likeness, twin.test, twin.train)))


def leak_report(folds: Sequence[Split], looks: Looks, *, threshold: float = NEAR) -> dict[str, Any]:
    """What was compared and what was found, fold by fold, ready for JSON. `looks` are at every stimulus of the folds.

    {"sentences", "threshold", "checked", "exact", "near", "folds": [{"fold", "split", "train", "test", "exact", ...}]}
    """
    rows, found = [], []
    for fold in folds:
        twins = twins_of(looks.of(fold.train), looks.of(fold.test), threshold=threshold)
        found.append((fold.name, twins))
        facts = twin_facts(twins, train=len(fold.train), test=len(fold.test), pictures=looks.pictures)
        rows.append({"fold": fold.name, "split": fold.sha256, **facts["checked"]})
    pairs = sum(row["pairs"] for row in rows)
    every = [(name, twin) for name, twins in found for twin in twins]
    return {
        "sentences": _sentences([twin for _, twin in every], pairs=pairs, pictures=looks.pictures),
        "threshold": threshold if looks.pictures else None,
        "checked": {"stimuli": len(looks.ids), "folds": len(rows), "pairs": pairs},
        "exact": [{"fold": name, **_facts(twin)} for name, twin in every if twin.exact],
        "near": [{"fold": name, **_facts(twin)} for name, twin in every if not twin.exact],
        "folds": rows,
    }


def twin_facts(twins: Sequence[Twin], *, train: int, test: int, pictures: bool = True) -> dict[str, Any]:
    """The same of one comparison of `train` with `test` stimuli: {"sentences", "checked", "exact", "near"}."""
    return {
        "sentences": _sentences(twins, pairs=train * test, pictures=pictures),
        "checked": {"train": train, "test": test, "pairs": train * test},
        "exact": [_facts(twin) for twin in twins if twin.exact],
        "near": [_facts(twin) for twin in twins if not twin.exact],
    }


def guard_statistics(responses: Responses, split: Split) -> None:
    """Refuse (InputError) responses that were z-scored together with the test trials of `split`.

    They betray themselves: over all trials of a session, or of all sessions, 95 % of the voxels have mean 0 and spread
    1 as exactly as rounding allows, and over the training trials alone they have not. Sessions of fewer than 10 trials
    or without a test trial tell nothing.
    """
    train, test = responses.of(split.train), responses.of(split.test)
    columns = np.unique(np.linspace(0, len(responses.space) - 1, LOOKED_AT).astype(np.int64))
    groups: dict[str, Bool] = {
        f"session {session}": responses.session == session for session in np.unique(responses.session)
    }
    if len(groups) > 1:
        groups["all sessions together"] = np.ones(len(responses.session), np.bool_)
    for name, rows in groups.items():
        if rows.sum() < TRIALS or not (rows & test).any() or (rows & train).sum() < 2:
            continue
        together = off_standard(responses.values[np.ix_(rows, columns)])
        if together > MOMENT:
            continue
        alone = off_standard(responses.values[np.ix_(rows & train, columns)])
        if alone > max(LEAST, 10 * together):
            raise InputError(
                f"split {split.name!r}, {name}: the responses have mean 0 and spread 1 over training and test trials "
                f"together and miss them by {alone:.1g} over the training trials alone, so that test statistics are in "
                "them; give responses that are not standardised, or z-scored by the training trials alone"
            )


def content_sha256(stimulus: Any) -> str:
    """The hex digest of an opened stimulus: size and RGB pixels of a PIL image, or rate and samples of a sound."""
    if isinstance(stimulus, tuple):
        waveform, rate = stimulus
        samples = np.ascontiguousarray(waveform, np.float32)
        return hashlib.sha256(f"sound {rate} {samples.shape}".encode() + samples.tobytes()).hexdigest()
    pixels = np.ascontiguousarray(np.asarray(stimulus.convert("RGB"), np.uint8))
    return hashlib.sha256(f"image {pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def off_standard(values: Float, *, percentile: float = SHARE) -> float:
    """How far this percentile of the non-constant voxels is from mean 0 and SD 1 (ddof 0 or 1); inf if there are none.

    `values` (trial, voxel).
    """
    wide = values.astype(np.float64)
    mean, spread, trials = wide.mean(axis=0), wide.std(axis=0), len(wide)
    moves = np.isfinite(spread) & (spread > 0)
    if not moves.any():
        return float("inf")
    mean, spread = mean[moves], spread[moves]
    miss = np.minimum(np.abs(spread - 1), np.abs(spread * np.sqrt(trials / (trials - 1)) - 1))
    return float(np.percentile(np.maximum(np.abs(mean) / spread, miss), percentile))


def _exact(train: Looks, test: Looks) -> list[Twin]:
    """Every pair without a differing bit, in the order of training."""
    tested: dict[str, list[str]] = {}
    for name, digest in zip(test.ids, test.digests, strict=True):
        tested.setdefault(digest, []).append(name)
    return [
        Twin(train=name, test=twin, likeness=1.0, exact=True)
        for name, digest in zip(train.ids, train.digests, strict=True)
        for twin in tested.get(digest, ())
    ]


def _near(train: Looks, test: Looks, threshold: float) -> Iterable[Twin]:
    """Pairs from `threshold`: the coarse thumbnails of all pairs choose which few are compared in every window."""
    coarse = _unit(_pooled(train.thumbs))
    for name, thumb in zip(test.ids, test.thumbs, strict=True):
        both = _unit(_pooled(np.stack([thumb, thumb[:, ::-1]])))
        rows = np.flatnonzero((coarse @ both.T).max(axis=1) >= min(CANDIDATE, threshold))
        if len(rows):
            for row, likeness in zip(rows.tolist(), _likeness(train.thumbs[rows], thumb), strict=True):
                if likeness >= threshold:
                    yield Twin(train=train.ids[row], test=name, likeness=likeness, exact=False)


def _likeness(candidates: Pixels, thumb: Pixels) -> list[float]:
    """(candidate,) the best correlation of each candidate's centre, or its mirror image, with a window of `thumb`."""
    tall = _CENTRE @ candidates.astype(np.float32).reshape(len(candidates), SIZE, SIZE * 3)
    centres = _CENTRE @ tall.reshape(len(candidates), FINE, SIZE, 3)
    windows = _unit(_windowed(thumb)).T
    best = np.maximum(_unit(centres) @ windows, _unit(centres[:, :, ::-1]) @ windows).max(axis=1)
    return [float(value) for value in np.clip(best, 0, 1).round(4)]


def _windowed(thumb: Pixels) -> Float:
    """(window, 24, 24, 3): `thumb` (48, 48, 3) seen through every window."""
    parts = len(_PARTS)
    axes = _AXES.reshape(parts * FINE, SIZE)
    tall = (axes @ thumb.astype(np.float32).reshape(SIZE, SIZE * 3)).reshape(parts * FINE, SIZE, 3)
    wide = axes @ np.ascontiguousarray(tall.transpose(1, 0, 2)).reshape(SIZE, parts * FINE * 3)
    views = wide.reshape(parts, FINE, parts, FINE, 3)
    return np.stack([views[across, :, down].transpose(1, 0, 2) for down, across in _WINDOWS])


def _pooled(thumbs: Pixels) -> Float:
    """(picture, 8, 8, 3): means of blocks."""
    block = SIZE // COARSE
    blocks = thumbs.reshape(len(thumbs), COARSE, block, COARSE, block, 3)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32), np.float32)


def _unit(pictures: Float) -> Float:
    """(picture, number): centred and of norm 1, so that products are correlations; 0 for a picture of one colour."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("pn,pn->p", flat, flat))[:, None]
    # a hundredth of a grey level is less than any picture holds and more than rounding leaves
    return np.asarray(flat / np.where(norm > 1e-2 * flat.shape[1] ** 0.5, norm, np.inf), np.float32)


def _thumb(picture: Any) -> Pixels:
    return np.asarray(picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.uint8)


def _axis(scale: float, shift: float) -> Float:
    """(24, 48): means over 24 equal stretches of that part of an axis that has this scale about its shifted centre."""
    first = (0.5 - scale / 2 + shift) * SIZE
    edges = first + np.arange(FINE + 1) * scale * SIZE / FINE
    cells = np.arange(SIZE)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    covered = np.clip(overlap, 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)


_PARTS = [(scale, shift) for scale, shift in product(SCALES, SHIFTS) if scale / 2 + abs(shift) <= 0.5 + 1e-9]
_AXES = np.stack([_axis(scale, shift) for scale, shift in _PARTS])
_CENTRE = _axis(SCALES[2], 0.0)
_WINDOWS = [
    (down, across)
    for down, across in product(range(len(_PARTS)), repeat=2)
    if abs(SCALES.index(_PARTS[down][0]) - SCALES.index(_PARTS[across][0])) <= 1
]


def _facts(twin: Twin) -> dict[str, Any]:
    return {"train": twin.train, "test": twin.test, "likeness": twin.likeness}


def _sentences(twins: Sequence[Twin], *, pairs: int, pictures: bool) -> list[str]:
    """What was compared, then each leak by the names of both stimuli, NAMED of them at most."""
    exact = sum(twin.exact for twin in twins)
    said = f"{pairs} pairs of a training and a test stimulus were compared: {exact} are the same bit for bit"
    if pictures:
        said += f", {len(twins) - exact} are near duplicates (mirror images and crops of 3 % included)."
    else:
        said += "; these are sounds, of which altered copies are not looked for."
    named = [
        f"Training stimulus {twin.train} is test stimulus {twin.test} bit for bit."
        if twin.exact
        else f"Training stimulus {twin.train} is nearly test stimulus {twin.test} (likeness {twin.likeness:.3f})."
        for twin in twins[:NAMED]
    ]
    more = [f"{len(twins) - NAMED} more pairs are not named here."] if len(twins) > NAMED else []
    return [said, *named, *more]
