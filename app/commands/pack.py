"""`afterimage pack OUT --responses FILE ...`: a laboratory's own arrays into the one own-data file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import given_once, parse
from brain.console.bounds import within
from brain.errors import UsageError, expected

EXAMPLES = {"--columns": "session=sessions.txt", "--regions": "V1=v1.npy V2=v2.npy"}


def run(words: Sequence[str]) -> None:
    """Packs, reads back what was written, and prints what it is."""

    def pack(
        out: Positional[Path],
        *,
        responses: Path,
        stimulus: Path | None = None,
        images: Path | None = None,
        captions: Path | None = None,
        columns: tuple[str, ...] = (),
        regions: tuple[str, ...] = (),
        subject: str = "",
        unit: str = "",
        size: int = 0,
    ) -> Path:
        """Put your own arrays into the own-data format (docs/howto/own_data.md). Files are .npy, .txt, .csv or .tsv.

        Args:
            out: The .h5 file to make.
            responses: (trial, voxel) numbers.
            stimulus: (trial,) the id of what each trial showed.
            images: An .npy of (image, H, W[, 3]), or a folder of files named after the stimuli.
            captions: Two columns, stimulus id and caption.
            columns: Further fields as NAME=FILE: session, repeat, group, ncsnr, ijk, shape, affine.
            regions: Regions of interest as NAME=FILE, each (voxel,) of 0 and 1.
            subject: The subject's name.
            unit: The responses' unit, such as psc or z.
            size: Pixels to which pictures of a folder are cut square and scaled; 0 keeps them.
        """
        from brain.data.pack import pack as write

        within("--size", size, 0)
        return write(
            out,
            responses=responses,
            stimulus=stimulus,
            images=images,
            captions=captions,
            columns=_files(columns, flag="--columns"),
            regions=_files(regions, flag="--regions"),
            subject=subject,
            unit=unit,
            size=size,
            say=said.append,
        )

    said: list[str] = []
    given_once(words, tuple(EXAMPLES))
    out = parse(pack, command="pack", words=words)
    from brain.readers import reader_of

    for line in (*reader_of(out).inspect(out).lines, *said):
        print(line)


def _files(entries: Sequence[str], *, flag: str) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for entry in entries:
        name, equals, file = entry.partition("=")
        if not (name and equals and file):
            then = f"write {flag} {EXAMPLES[flag]}"
            raise UsageError(expected(flag, "NAME=FILE", repr(entry), then))
        if name in files:
            found = f"two, {str(files[name])!r} and {file!r}"
            raise UsageError(expected(f"{flag} {name}", "one file", found, "keep the one you mean, or rename one"))
        files[name] = Path(file)
    return files
