"""Anybody's folders of images or sounds, whose files are named by stimulus and whose sub-folders are named by row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from brain.errors import InputError
from brain.files.paths import composed, listed
from brain.files.pictures import SUFFIXES
from brain.names import one_line
from brain.writing.origin import simulated_by
from evaluation.samples.rows import OF_STRANGERS, REFERENCE, ordered_rows, read_cards
from evaluation.samples.sounds import SOUND
from evaluation.samples.sounds import SUFFIXES as SOUND_SUFFIXES
from evaluation.samples.types import FOREIGN, INDEX, Sample, Samples, modality_of


def drawn_by(references: Path) -> str:
    """What simulated the experiment of these references: they lie in a signed folder, or in one of a samples folder."""
    above = references.absolute().parent
    return simulated_by(references) or (simulated_by(above) if (above / INDEX).is_file() else "")


def named_references(folder: Path) -> dict[str, Sample]:
    """Stimulus -> its reference, of a folder with one file a stimulus; two of one name are an InputError."""
    found: dict[str, Sample] = {}
    for path in _files(folder):
        name = composed(path.stem)
        if name in found:
            raise InputError(f"{folder}: two references are named {name!r}; keep one file a stimulus")
        found[name] = _foreign(REFERENCE, name, 0, path.name)
    return found


def read_foreign(folder: Path, references: Path) -> Samples:
    """The samples of a folder without an index, at its top and in sub-folders called like rows; none: InputError."""
    shown = named_references(references)
    if not shown:
        raise InputError(f"{references}: expected one reference a stimulus, found none; name another folder")
    drawn: dict[tuple[str, str, int], Sample] = {}
    unmatched: list[str] = []
    cards = read_cards(folder)
    rows = ordered_rows((*OF_STRANGERS, *cards), cards)
    homes = [("decoded", folder), *((row, folder / row) for row in rows if (folder / row).is_dir())]
    for row, home in homes:
        for path, belongs in _paired(home, shown):
            file = path.relative_to(folder).as_posix()
            if belongs is None:
                unmatched.append(file)
                continue
            sample = _foreign(row, *belongs, file)
            if sample.key in drawn:
                raise InputError(f"{folder}: {file} and {drawn[sample.key].file} are the same sample; keep one of them")
            drawn[sample.key] = sample
    unread = _unread(folder, references, rows)
    if not drawn:
        kind = "sounds" if unmatched and modality_of(unmatched[0]) == SOUND else "images"
        beside = f", and its folders {', '.join(unread)[:120]} are called like no row ({_READ})" if unread else ""
        raise InputError(
            f"{folder}: none of its {len(unmatched)} {kind} is named like a reference (such as {next(iter(shown))!r})"
            f"{beside}; rename them to <stimulus> or <stimulus>-<index>, with .png or .wav"
        )
    _must_lie_in_one_place(folder, [sample.file for sample in drawn.values() if sample.row == "decoded"])
    ordered = tuple(drawn[key] for key in sorted(drawn))
    return Samples(
        folder=folder, reference_folder=references, samples=ordered, references=shown, unmatched=tuple(unmatched),
        unread=unread, simulated=simulated_by(folder), drawn_by=drawn_by(references), cards=cards,
    )  # fmt: skip


_READ = f"rows: {', '.join(OF_STRANGERS)}, and those that rows.json names"


def _must_lie_in_one_place(folder: Path, files: list[str]) -> None:
    """Refuses samples at the top, which are row "decoded", beside others in the folder decoded."""
    top, below = ([file for file in files if ("/" in file) == deep] for deep in (False, True))
    if top and below:
        raise InputError(
            f"{folder}: expected the row decoded at the top or in decoded/, found both ({top[0]} and {below[0]}); "
            "give each set a folder of its own, or a row's name"
        )


def _unread(folder: Path, references: Path, rows: Sequence[str]) -> tuple[str, ...]:
    """The folders of pictures or sounds in `folder` that none of the rows is called after, but the references' own."""
    known = {*rows, "references"}
    return tuple(
        path.name
        for path in listed(folder)
        if path.name not in known and path.is_dir() and not path.samefile(references) and _files(path)
    )


def unread_lines(samples: Samples) -> tuple[str, ...]:
    """One sentence on the folders beside the rows that were not read, and what is; none where all was."""
    if not samples.unread:
        return ()
    return (f"Not read: {', '.join(samples.unread)}, for no row is called so; folders that are read are {_READ}.",)


def _paired(home: Path, shown: Mapping[str, Sample]) -> list[tuple[Path, tuple[str, int] | None]]:
    """Each file with the reference and index that its name says, None where there is none.

    "a_1" may be the reference of that name, or the sample 1 of "a". The reading is taken that leaves fewest references
    bare, and where all files bear references' own names, that one; two that are as good are an InputError with both.
    """
    files = _files(home)
    stems = [composed(path.stem) for path in files]
    own, numbered = ([_belongs(stem, shown, own=first) for stem in stems] for first in (True, False))
    bare = [set(shown) - {one[0] for one in reading if one} for reading in (own, numbered)]
    if own == numbered or len(bare[0]) < len(bare[1]) or all(stem in shown for stem in stems):
        return list(zip(files, own, strict=True))
    if len(bare[1]) < len(bare[0]):
        return list(zip(files, numbered, strict=True))
    file, one, other = next(
        (file.name, one, other) for file, one, other in zip(files, own, numbered, strict=True) if one != other
    )
    assert one is not None and other is not None
    raise InputError(
        f"{home / file}: expected a name of one reading, found two: the reference {one[0]!r}, or sample {other[1]} of "
        f"{other[0]!r}; rename the references so that none ends in another's name and a number"
    )


def _belongs(stem: str, shown: Mapping[str, Sample], *, own: bool) -> tuple[str, int] | None:
    """Whose sample a file of this name is. `own`: a reference's own name goes before another's with a number."""
    numbered = re.fullmatch(r"(.+)[-_](\d{1,6})", stem)
    found = (numbered[1], int(numbered[2])) if numbered and numbered[1] in shown else None
    if stem in shown and (own or found is None):
        return stem, 0
    return found


def _foreign(row: str, stimulus: str, index: int, file: str) -> Sample:
    return Sample(
        row=row, stimulus=stimulus, index=index, seed=0, file=file, sha256="", method=FOREIGN, withheld=False
    )


def _files(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*SUFFIXES, *SOUND_SUFFIXES) and path.is_file() and not path.name.startswith(".")
    )
    for path in found:
        # what the system could not decode comes as lone surrogates, which no report can be written with
        if any("\ud800" <= letter <= "\udfff" for letter in path.name):
            raise InputError(f"{folder}: expected file names in UTF-8, found {path.name!r}; rename the file")
        one_line(path.name, folder)
    return found
