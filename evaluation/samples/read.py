"""Reading samples: a run, a samples folder, or any folder of images or sounds beside its references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brain.errors import InputError
from brain.files.paths import composed
from brain.writing.origin import simulated_by
from brain.writing.places import quoted
from evaluation.samples.foreign import drawn_by, named_references, read_foreign
from evaluation.samples.images import IMAGE
from evaluation.samples.index import find_index, lines_of
from evaluation.samples.rows import OTHER_REPEATS, REFERENCE, read_cards
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import INDEX, Sample, Samples, modality_of


def one_modality(samples: Samples) -> Samples:
    """The samples, if all are pictures or all are sounds; both in one place are an InputError."""
    listed = (*samples.references.values(), *samples.others.values(), *samples.samples)
    first: dict[str, Sample] = {}
    for sample in listed:
        if sample.file:
            first.setdefault(modality_of(sample.file), sample)
    if len(first) > 1:
        picture, sound = first[IMAGE], first[SOUND]
        raise InputError(
            f"{samples.folder}: expected pictures or sounds, found both ({picture.row} {picture.file} and {sound.row} "
            f"{sound.file}); give each a folder of its own"
        )
    return samples


def read_samples(folder: Path, *, references: Path | None) -> Samples:
    """A run, a samples folder, or any folder of images or of sounds named by stimulus id beside `references`.

    Foreign files are named `<stimulus>.png`, `<stimulus>-<index>.png` or `<stimulus>_<index>.png` (any usual suffix,
    or .wav), at the top or in decoded/ (row "decoded"), and in sub-folders named by row; without `references`
    FOLDER/references is taken. Nothing to judge, pictures beside sounds, or a damaged index, is an InputError.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: expected a folder of samples, found none; name a run or a folder of images or sounds"
        )
    index = find_index(folder)
    if index is not None:
        return one_modality(_read_index(index, references))
    shown = references if references is not None else folder / "references"
    if not shown.is_dir():
        raise InputError(
            f"{folder}: expected {INDEX} or a folder of references, found neither; "
            "give --references FOLDER with one image or sound a stimulus"
        )
    return one_modality(read_foreign(folder, shown))


def _read_index(index: Path, references: Path | None) -> Samples:
    raw = index.read_bytes()
    lines = list(lines_of(raw[: raw.rfind(b"\n") + 1], index))
    shown = {line.stimulus: line for line in lines if line.row == REFERENCE}
    reference_folder = index.parent
    if references is not None:
        lines = [replace(line, stimulus=composed(line.stimulus)) for line in lines]
        shown, reference_folder = _as_drawn(named_references(references), lines), references
    drawn = sorted((line for line in lines if line.row not in (REFERENCE, OTHER_REPEATS)), key=lambda line: line.key)
    others = {line.stimulus: line for line in lines if line.row == OTHER_REPEATS and not line.withheld}
    if not drawn or not shown:
        raise InputError(
            f"{index}: expected samples and references, found {len(drawn)} and {len(shown)}; "
            "decode first (a stopped run resumes)"
        )
    known = tuple(line for line in drawn if line.stimulus in shown)
    lost = tuple(f"{line.row}/{line.name}" for line in drawn if line.stimulus not in shown)
    return Samples(
        folder=index.parent, reference_folder=reference_folder, samples=known, references=shown, unmatched=lost,
        others=others, simulated=simulated_by(index.parent), drawn_by=drawn_by(reference_folder),
        cards=read_cards(index.parent),
    )  # fmt: skip


def _as_drawn(shown: dict[str, Sample], lines: Sequence[Sample]) -> dict[str, Sample]:
    """References under the ids of the samples: files that we wrote have names in which some letters are quoted."""
    lost = {line.stimulus for line in lines} - shown.keys()
    known = {composed(quoted(name)): name for name in lost}
    return {known.get(name, name): replace(one, stimulus=known.get(name, name)) for name, one in shown.items()}
