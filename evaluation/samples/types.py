"""The folder format of samples: one file a sample, an append-only index, safe against a kill at any moment.

    FOLDER/index.jsonl                   one line a sample, in the order in which they were finished
    FOLDER/references/<stimulus>.png     what was shown (row "reference")
    FOLDER/<row>/<stimulus>-<index>.png  what was drawn: row decoded, shuffled, mean, retrieval, oracle, round_trip, ...
    FOLDER/rows.json                     the cards of rows that are not the ladder's own, see `evaluation.samples.rows`
    FOLDER/simulation.json               where the brain is simulated: by what; a copied folder takes it along

Sounds are .wav in place of .png, mono at 16 kHz and all of one length; a folder holds pictures or sounds, never both.
`SampleWriter` writes it; `read_samples` reads it, or any folder of files named by stimulus id beside a folder of
references. A sample is first a whole file (temp name, fsync, rename) and then a line (append, fsync): a kill loses
at most the sample in hand, and nothing is ever there twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from PIL import Image

from brain.errors import InputError
from brain.files.pictures import decode_image, read_bytes
from brain.writing import places
from brain.writing.places import quoted
from evaluation.samples.images import IMAGE
from evaluation.samples.rows import REFERENCE, RowCard, card_of, ordered_rows
from evaluation.samples.sounds import SOUND, Float, hear_file
from evaluation.samples.sounds import SUFFIXES as SOUND_SUFFIXES

INDEX = "index.jsonl"
FOREIGN = "foreign"
"""The method of samples that nobody of ours drew."""


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
        """Row, stimulus, index: what is never a duplicate in a folder."""
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
    cards       row -> its card, of the rows that the folder's rows.json names
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
    cards: Mapping[str, RowCard] = field(default_factory=dict)

    def rows(self) -> tuple[str, ...]:
        """The rows present, by the order on their cards and then by name."""
        return ordered_rows((sample.row for sample in self.samples), self.cards)

    def card(self, row: str) -> RowCard:
        """The card of a row: the folder's, the ladder's own, or one made of its name."""
        return card_of(row, self.cards, modality=self.modality)

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


def file_of(row: str, stimulus: str, index: int, *, suffix: str = ".png") -> str:
    """Where a sample lies inside the folder; characters a file name cannot bear are percent-quoted."""
    stem = quoted(stimulus)
    return f"references/{stem}{suffix}" if row == REFERENCE else f"{quote(row, safe='')}/{stem}-{index}{suffix}"


def modality_of(file: str) -> str:
    """ "sound" for a file (or suffix) of sound, else "image"."""
    return SOUND if file.lower().endswith(SOUND_SUFFIXES) else IMAGE


def inside(folder: Path, file: str) -> Path:
    """`file` under `folder`; a path that leaves the folder (absolute, "..") or leads through a link: InputError."""
    pure = PurePosixPath(file)
    path = folder / pure
    if not file or "\0" in file or "\\" in file or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"{folder}: expected a path inside the folder, found {file!r}; correct the index")
    return places.inside(folder, path)
