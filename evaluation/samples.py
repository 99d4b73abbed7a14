"""The folder format of samples: one file a sample, an append-only index, safe against a kill at any moment.

    FOLDER/index.jsonl                   one line a sample, in the order in which they were finished
    FOLDER/references/<stimulus>.png     what was shown (row "reference")
    FOLDER/<row>/<stimulus>-<index>.png  what was drawn: row decoded, shuffled, mean, retrieval, oracle, round_trip, ...
    FOLDER/simulation.json               where the brain is simulated: by what; a copied folder takes it along

Sounds are .wav in place of .png, mono at 16 kHz and all of one length; a folder holds pictures or sounds, never both.
`SampleWriter` writes it; `read_samples` reads it, or any folder of files named by stimulus id beside a folder of
references. A sample is first a whole file (temp name, fsync, rename) and then a line (append, fsync): a kill loses
at most the sample in hand, and nothing is ever there twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from PIL import Image

from brain import writing
from brain.errors import InputError, StorageError
from brain.files import composed, listed
from brain.json_files import parsed
from brain.names import one_line
from brain.origin import sign, simulated_by
from brain.pictures import SUFFIXES, decode_image, read_bytes
from brain.writing import appending, only_files, quoted, storing, write_bytes
from evaluation.images import IMAGE, png_bytes
from evaluation.sounds import SOUND, Float, hear_file, samples_in, wav_bytes
from evaluation.sounds import SUFFIXES as SOUND_SUFFIXES

REFERENCE = "reference"
# In the ladder's order: what the brain gave, what needs no brain, what needs no decoder.
ROWS = (
    "decoded", "takagi", "unclip", "mindvis", "anchored", "direct", "c2f", "reranked", "shuffled", "mean", "prior",
    "repeat", "retrieval", "exemplar", "oracle", "round_trip",
)  # fmt: skip
# What the row "repeat" is compared with instead of the references: pictures decoded from the other repeats.
OTHER_REPEATS = "other_repeats"
INDEX = "index.jsonl"
FOREIGN = "foreign"
"""The method of samples that nobody of ours drew."""
_TEMPORARY = ".part"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One line of the index.

    row       "decoded", "shuffled", ... or "reference"
    stimulus  the id of the stimulus it belongs to
    index     0, 1, ...: which of the stimulus' samples in that row
    seed      what the generator was seeded with; `method` what drew it
    file      path inside the folder, "" when nothing was kept; sha256 of the file's bytes, "" where nobody gave one
    withheld  a safety checker or a fault kept it back: it is counted and never scored
    captions  texts that belong to it; labels such as {"category": "faces"} (references carry the true ones)
    block     of a reference: whom it may change places with under the null hypothesis ("session 3"), "" for anybody
    candidates  how many were drawn and compared before this one was kept: 1 is no picking
    """

    row: str
    stimulus: str
    index: int
    seed: int
    file: str
    sha256: str
    method: str
    withheld: bool
    captions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    block: str = ""
    candidates: int = 1

    @property
    def key(self) -> tuple[str, str, int]:
        """Row, stimulus, index: what must never stand twice in a folder."""
        return self.row, self.stimulus, self.index

    @property
    def name(self) -> str:
        """The sample's name: "nsd00013-0"; a reference is named by its stimulus alone."""
        return self.stimulus if self.row == REFERENCE else f"{self.stimulus}-{self.index}"

    def line(self) -> bytes:
        """The index line, JSON in UTF-8 with its newline."""
        facts: dict[str, Any] = {
            "sample": self.name, "row": self.row, "stimulus": self.stimulus, "index": self.index, "seed": self.seed,
            "file": self.file, "sha256": self.sha256, "method": self.method, "withheld": self.withheld,
        }  # fmt: skip
        if self.captions:
            facts["captions"] = list(self.captions)
        if self.labels:
            facts["labels"] = dict(self.labels)
        if self.block:
            facts["block"] = self.block
        if self.candidates != 1:
            facts["candidates"] = self.candidates
        return json.dumps(facts, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A folder of samples as it was read.

    folder      where the samples' files are relative to; `index` the file or folder errors name
    samples     every sample but the references, ordered by row, stimulus, index
    references  stimulus id -> Sample, each with a file relative to `reference_folder`
    others      stimulus id -> Sample decoded from the other repeats, what the row "repeat" is compared with
    unmatched   files of a foreign folder that belong to no reference: named, never guessed
    unread      folders of pictures or sounds in a foreign folder that no row is called after
    simulated   what simulated the brain behind the samples, "" for a recorded one and where nobody says it
    drawn_by    what simulated the experiment that the references are of, "" for anything else
    """

    folder: Path
    reference_folder: Path
    samples: tuple[Sample, ...]
    references: Mapping[str, Sample]
    unmatched: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    others: Mapping[str, Sample] = field(default_factory=dict)
    simulated: str = ""
    drawn_by: str = ""

    def rows(self) -> tuple[str, ...]:
        """The rows present, the known ones first and in the ladder's order."""
        present = {sample.row for sample in self.samples}
        return (*(row for row in ROWS if row in present), *sorted(present - set(ROWS)))

    def of(self, row: str) -> tuple[Sample, ...]:
        """The samples of one row, ordered by stimulus and index."""
        return tuple(sample for sample in self.samples if sample.row == row)

    @property
    def modality(self) -> str:
        """ "image" or "sound", by the files of the references."""
        return modality_of(next(iter(self.references.values())).file)

    def open(self, sample: Sample) -> Image.Image:
        """The sample's picture, 8-bit RGB; a file that differs from its sha256 is an InputError."""
        return decode_image(self.read(sample), self.path(sample))

    def hear(self, sample: Sample) -> Float:
        """The sample's sound, (sample,) mono at 16 kHz; a file that differs from its sha256 is an InputError."""
        self.read(sample)
        return hear_file(self.path(sample))

    def path(self, sample: Sample) -> Path:
        """Where the sample's file lies."""
        home = self.reference_folder if sample.row == REFERENCE else self.folder
        # files of somebody else's folder are data: where such come from a DataLad clone, all are links
        return home / sample.file if sample.method == FOREIGN else inside(home, sample.file)

    def read(self, sample: Sample) -> bytes:
        """The sample's bytes as they lie on disk; others than its sha256 says are an InputError."""
        path = self.path(sample)
        data = read_bytes(path, what=modality_of(sample.file))
        if sample.sha256 and hashlib.sha256(data).hexdigest() != sample.sha256:
            raise InputError(
                f"{path}: expected the bytes the index names (sha256), found others; draw this sample again"
            )
        return data


class SampleWriter:
    """Writes a folder of samples so that a kill at any moment loses at most the sample in hand.

    Opening truncates a torn last line, drops lines whose file is gone or damaged (sha256) and removes half-written
    files; `done` then says what need not be drawn again. One writer a folder: a second is a StorageError.
    `simulated` says what simulated the brain, "" for a recorded one.
    """

    def __init__(self, folder: Path, *, simulated: str = "") -> None:
        self.folder = folder
        only_files(folder)
        self._index: FileIO = appending(folder / INDEX)
        _lock(self._index, folder)
        try:
            self._done = {sample.key: sample for sample in self._recover()}
            self._first = next((sample.file for sample in self._done.values() if sample.file), "")
            self._length = samples_in(folder / self._first) if modality_of(self._first) == SOUND else 0
            if simulated and not simulated_by(folder):
                sign(folder, {"by": simulated})
        except BaseException:
            self._index.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets the folder go."""
        self._index.close()

    def __len__(self) -> int:
        return len(self._done)

    def done(self, row: str, stimulus: str, index: int = 0) -> Sample | None:
        """The finished and verified sample of that key, or None when it must (still, or again) be drawn."""
        return self._done.get((row, stimulus, index))

    def write(
        self,
        drawn: Image.Image | Float | None,
        *,
        row: str,
        stimulus: str,
        index: int,
        seed: int,
        method: str,
        withheld: bool = False,
        captions: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
        block: str = "",
        candidates: int = 1,
    ) -> Sample:
        """Stores one sample and its line, in that order, both on disk when this returns.

        drawn  an RGB picture, or a sound (sample,) float in -1..1 at 16 kHz, as long as the folder's others; None for
               a withheld sample, which is a line without a file
        A sample that is done already is an InputError: ask `done` first. So is a sound that is silent, clipped, not
        finite or of another length, and a sound among pictures. No room or no rights is a StorageError.
        """
        if (row, stimulus, index) in self._done:
            raise InputError(f"{self.folder}: sample {stimulus}-{index} of {row!r} is there already; ask done() first")
        if (drawn is None) != withheld:
            raise InputError(
                f"{self.folder}: sample {stimulus}-{index}: a withheld one has no image or sound, any other has one"
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", row) or row == "references":
            raise InputError(
                f"{self.folder}: expected a row name of small letters, digits and _, found {row!r}; rename it"
            )
        one_line(stimulus, f"{self.folder}, a stimulus' id")
        suffix, data = self._encoded(drawn, name=f"{self.folder}: sample {stimulus}-{index} of {row!r}")
        sample = Sample(
            row=row, stimulus=stimulus, index=index, seed=seed, method=method, withheld=withheld, captions=captions,
            labels=labels or {}, block=block, candidates=candidates,
            file=file_of(row, stimulus, index, suffix=suffix) if data else "",
            sha256=hashlib.sha256(data).hexdigest() if data else "",
        )  # fmt: skip
        if data:
            write_bytes(self.folder / sample.file, data)
        with storing(self.folder):
            self._append(sample.line())
        self._done[sample.key] = sample
        self._first = self._first or sample.file
        return sample

    def _encoded(self, drawn: Image.Image | Float | None, *, name: str) -> tuple[str, bytes]:
        if drawn is None:
            return "", b""
        suffix = ".png" if isinstance(drawn, Image.Image) else ".wav"
        if self._first and modality_of(self._first) != modality_of(suffix):
            raise InputError(
                f"{name}: expected {'a picture' if suffix == '.wav' else 'a sound'} beside {self._first}, found the "
                "other; pictures and sounds go into folders of their own"
            )
        if isinstance(drawn, Image.Image):
            return suffix, png_bytes(drawn)
        data = wav_bytes(drawn, name=name)
        if self._length and len(drawn) != self._length:
            raise InputError(
                f"{name}: expected {self._length} samples as the folder's other sounds have, found {len(drawn)}; "
                "cut it to the stimulus' window"
            )
        self._length = len(drawn)
        return suffix, data

    def reference(
        self,
        shown: Image.Image | Float,
        *,
        stimulus: str,
        captions: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
        block: str = "",
    ) -> Sample:
        """Stores what was shown, with captions and true labels; `done("reference", stimulus)` says if it is there."""
        return self.write(
            shown, row=REFERENCE, stimulus=stimulus, index=0, seed=0, method="", captions=captions, labels=labels,
            block=block,
        )  # fmt: skip

    def _append(self, line: bytes) -> None:
        end = self._index.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._index.write(line) :]
        except OSError:
            # A full disk may have taken half a line: leave the index as it was, whole lines only.
            self._index.truncate(end)
            raise
        os.fsync(self._index.fileno())

    def _recover(self) -> list[Sample]:
        for part in self.folder.rglob(f"*{_TEMPORARY}"):
            with storing(self.folder):
                part.unlink()
        raw = self._index.read()
        whole = raw[: raw.rfind(b"\n") + 1]
        kept = [sample for sample in _parse(whole, self.folder / INDEX) if _intact(self.folder, sample)]
        lines = b"".join(sample.line() for sample in kept)
        if len(kept) == whole.count(b"\n"):
            if len(whole) < len(raw):
                with storing(self.folder):
                    self._index.truncate(len(whole))
                    os.fsync(self._index.fileno())
            return kept
        self._index.close()
        write_bytes(self.folder / INDEX, lines)
        self._index = appending(self.folder / INDEX)
        _lock(self._index, self.folder)
        return kept


def file_of(row: str, stimulus: str, index: int, *, suffix: str = ".png") -> str:
    """Where a sample lies inside the folder; characters a file name cannot bear are percent-quoted."""
    stem = quoted(stimulus)
    return f"references/{stem}{suffix}" if row == REFERENCE else f"{quote(row, safe='')}/{stem}-{index}{suffix}"


def modality_of(file: str) -> str:
    """ "sound" for a file (or suffix) of sound, else "image"."""
    return SOUND if file.lower().endswith(SOUND_SUFFIXES) else IMAGE


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


def inside(folder: Path, file: str) -> Path:
    """`file` under `folder`; a path that leaves the folder (absolute, "..") or leads through a link: InputError."""
    pure = PurePosixPath(file)
    path = folder / pure
    if not file or "\0" in file or "\\" in file or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"{folder}: expected a path inside the folder, found {file!r}; correct the index")
    return writing.inside(folder, path)


def find_index(folder: Path) -> Path | None:
    """The index of a run folder or of a samples folder, or None where there is none (a foreign folder)."""
    return next((path for path in (folder / INDEX, folder / "samples" / INDEX) if path.is_file()), None)


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
    return one_modality(_read_foreign(folder, shown))


def _read_index(index: Path, references: Path | None) -> Samples:
    raw = index.read_bytes()
    lines = list(_parse(raw[: raw.rfind(b"\n") + 1], index))
    shown = {line.stimulus: line for line in lines if line.row == REFERENCE}
    reference_folder = index.parent
    if references is not None:
        lines = [replace(line, stimulus=composed(line.stimulus)) for line in lines]
        shown, reference_folder = _as_drawn(_named_references(references), lines), references
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
        others=others, simulated=simulated_by(index.parent), drawn_by=_drawn_by(reference_folder),
    )  # fmt: skip


def _as_drawn(shown: dict[str, Sample], lines: Sequence[Sample]) -> dict[str, Sample]:
    """References under the ids of the samples: files that we wrote have names in which some letters are quoted."""
    lost = {line.stimulus for line in lines} - shown.keys()
    known = {composed(quoted(name)): name for name in lost}
    return {known.get(name, name): replace(one, stimulus=known.get(name, name)) for name, one in shown.items()}


def _drawn_by(references: Path) -> str:
    """What simulated the experiment of these references: they lie in a signed folder, or in one of a samples folder."""
    above = references.absolute().parent
    return simulated_by(references) or (simulated_by(above) if (above / INDEX).is_file() else "")


def read_rows(folder: Path) -> tuple[Sample, ...]:
    """The samples of an index that stands without references of its own, ordered; none where there is no index."""
    index = folder / INDEX
    if not index.is_file():
        return ()
    raw = index.read_bytes()
    return tuple(sorted(_parse(raw[: raw.rfind(b"\n") + 1], index), key=lambda line: line.key))


def _named_references(folder: Path) -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    for path in _files(folder):
        name = composed(path.stem)
        if name in found:
            raise InputError(f"{folder}: two references are named {name!r}; keep one file a stimulus")
        found[name] = _foreign(REFERENCE, name, 0, path.name)
    return found


def _read_foreign(folder: Path, references: Path) -> Samples:
    shown = _named_references(references)
    if not shown:
        raise InputError(f"{references}: expected one reference a stimulus, found none; name another folder")
    drawn: dict[tuple[str, str, int], Sample] = {}
    unmatched: list[str] = []
    homes = [("decoded", folder), *((row, folder / row) for row in ROWS if (folder / row).is_dir())]
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
    unread = _unread(folder, references)
    if not drawn:
        kind = "sounds" if unmatched and modality_of(unmatched[0]) == SOUND else "images"
        beside = f", and its folders {', '.join(unread)[:120]} are called like no row ({_ROWS})" if unread else ""
        raise InputError(
            f"{folder}: none of its {len(unmatched)} {kind} is named like a reference (such as {next(iter(shown))!r})"
            f"{beside}; rename them to <stimulus> or <stimulus>-<index>, with .png or .wav"
        )
    _must_lie_in_one_place(folder, [sample.file for sample in drawn.values() if sample.row == "decoded"])
    ordered = tuple(drawn[key] for key in sorted(drawn))
    return Samples(
        folder=folder, reference_folder=references, samples=ordered, references=shown, unmatched=tuple(unmatched),
        unread=unread, simulated=simulated_by(folder), drawn_by=_drawn_by(references),
    )  # fmt: skip


_ROWS = f"rows: {', '.join(ROWS)}"


def _must_lie_in_one_place(folder: Path, files: list[str]) -> None:
    """Refuses samples at the top, which are row "decoded", beside others in the folder decoded."""
    top, below = ([file for file in files if ("/" in file) == deep] for deep in (False, True))
    if top and below:
        raise InputError(
            f"{folder}: expected the row decoded at the top or in decoded/, found both ({top[0]} and {below[0]}); "
            "give each set a folder of its own, or a row's name"
        )


def _unread(folder: Path, references: Path) -> tuple[str, ...]:
    """The folders of pictures or sounds in `folder` that no row is called after, but the references' own."""
    known = {*ROWS, "references"}
    return tuple(
        path.name
        for path in listed(folder)
        if path.name not in known and path.is_dir() and not path.samefile(references) and _files(path)
    )


def unread_lines(samples: Samples) -> tuple[str, ...]:
    """One sentence on the folders beside the rows that were not read, and what is; none where all was."""
    if not samples.unread:
        return ()
    return (f"Not read: {', '.join(samples.unread)}, for no row is called so; folders that are read are {_ROWS}.",)


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


def _parse(raw: bytes, index: Path) -> Iterator[Sample]:
    seen: set[tuple[str, str, int]] = set()
    for number, line in enumerate(raw.split(b"\n")[:-1], 1):
        where = f"{index} line {number}"
        facts = parsed(line, where, what="one sample as JSON", then="remove it")
        try:
            sample = _sample(facts)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{where}: expected one sample as JSON, found {error}; remove it") from error
        for name in (sample.row, sample.stimulus, sample.method, sample.block, *sample.labels, *sample.labels.values()):
            one_line(name, where)
        if sample.file:
            inside(index.parent, sample.file)
        if sample.key in seen:
            raise InputError(f"{index} line {number}: {sample.row} {sample.name} stands twice; remove one of the lines")
        seen.add(sample.key)
        yield sample


def _sample(facts: Any) -> Sample:
    if not isinstance(facts, dict):
        raise TypeError("no object")
    sample = Sample(
        row=facts["row"],
        stimulus=facts["stimulus"],
        index=facts.get("index", 0),
        seed=facts.get("seed", 0),
        file=facts["file"],
        sha256=facts.get("sha256", ""),
        method=facts.get("method", ""),
        withheld=facts.get("withheld", False),
        captions=tuple(facts.get("captions", ())),
        labels=dict(facts.get("labels", {})),
        block=facts.get("block", ""),
        candidates=facts.get("candidates", 1),
    )
    texts = (sample.row, sample.stimulus, sample.file, sample.sha256, sample.method, sample.block, *sample.captions)
    if not all(isinstance(text, str) for text in (*texts, *sample.labels, *sample.labels.values())):
        raise TypeError("something other than text in a text field")
    if not (type(sample.index) is int and type(sample.seed) is int and type(sample.withheld) is bool):
        raise TypeError("index, seed or withheld of the wrong kind")
    if type(sample.candidates) is not int or sample.candidates < 1:
        raise TypeError("candidates that are no number above 0")
    if not sample.file and not sample.withheld:
        raise ValueError("neither a file nor withheld")
    return sample


def _intact(folder: Path, sample: Sample) -> bool:
    if not sample.file:
        return sample.withheld
    path = inside(folder, sample.file)
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sample.sha256


def _lock(index: FileIO, folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(index.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        index.close()
        raise StorageError(f"{folder}: another process is writing samples here; wait for it") from error
