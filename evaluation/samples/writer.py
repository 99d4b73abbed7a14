"""The writer of a folder of samples, safe against a kill at any moment."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from brain.errors import InputError, StorageError
from brain.names import one_line
from brain.writing.opener import appending, write_bytes
from brain.writing.origin import sign, simulated_by
from brain.writing.places import only_files, storing
from evaluation.samples.images import png_bytes
from evaluation.samples.index import lines_of
from evaluation.samples.rows import REFERENCE, RowCard, add_cards
from evaluation.samples.sounds import SOUND, Float, samples_in, wav_bytes
from evaluation.samples.types import INDEX, Sample, file_of, inside, modality_of

_TEMPORARY = ".part"


class SampleWriter:
    """Writes a folder of samples so that a kill at any moment loses at most the sample in hand.

    Opening truncates a torn last line, drops lines whose file is gone or damaged (sha256) and removes half-written
    files; `done` then says what need not be drawn again. One writer a folder: a second is a StorageError.
    `simulated` says what simulated the brain, "" for a recorded one; `rows` are the cards of rows that are not the
    ladder's own, of which those that rows.json lacks are written into it.
    """

    def __init__(self, folder: Path, *, simulated: str = "", rows: Sequence[RowCard] = ()) -> None:
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
            add_cards(folder, rows)
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
        """The finished and verified sample of that key, or None when it must be drawn, for the first time or again."""
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
            raise InputError(f"{self.folder}: sample {stimulus}-{index} of {row!r} is there already; call done() first")
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
        """Stores what was shown, with captions and true labels: a picture, or a sound (sample,).

        `done("reference", stimulus)` says if it is there.
        """
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
        kept = [sample for sample in lines_of(whole, self.folder / INDEX) if _intact(self.folder, sample)]
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
