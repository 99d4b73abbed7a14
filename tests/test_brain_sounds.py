"""The folder of sounds and its table: what fits in part is counted, dead links and companions of a Mac are told."""

from __future__ import annotations

import re
import shutil
import unicodedata
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest

from brain.data.alignment import lag_sweep
from brain.errors import AfterimageError, InputError, UsageError
from brain.readers import open_recording
from brain.readers._parts.sessions import is_yes
from brain.readers._parts.sounds import SoundWindows, find_clips, homes_of, read_table
from brain.simulated.layouts.tiny_listener import TinyListener, tiny_listener
from brain.splits.held_out import clip_splits
from brain.types import Recording

LONG = 15.0
"""Seconds after which the responses to a run's last sounds would end behind the series."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TinyListener:
    return tiny_listener(tmp_path_factory.mktemp("listener"), clips=16, tests=3, noise=0.0)


@pytest.fixture
def listener(made: TinyListener, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made.root, tmp_path / "listener"))


def read(path: Path, reader: str, **fields: str) -> Recording:
    return open_recording(path / "bids" if reader == "series" else path, reader=reader, fields=fields)


def refused(path: Path, reader: str, **fields: str) -> str:
    with pytest.raises(AfterimageError) as caught:
        read(path, reader, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(table: Path, **cells: tuple[int, str]) -> None:
    """Set column -> (how many rows from the top, text)."""
    head, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    for name, (count, text) in cells.items():
        for row in rows[:count]:
            row[head.index(name)] = text
    table.write_text("\n".join("\t".join(row) for row in (head, *rows)) + "\n")


@pytest.mark.parametrize("reader", ["bdata", "series"])
def test_captions_and_labels_of_some_clips_are_counted(listener: Path, reader: str) -> None:
    edit(listener / "stimuli.tsv", caption_1=(5, ""), caption_2=(4, ""), category=(2, ""))
    notes = read(listener, reader).notes
    assert "12 of 16 clips have a caption; 4 have none (first: clip00)" in notes
    assert "14 of 16 clips have the label 'category'; 2 have none (first: clip00)" in notes


def test_clips_without_a_row_are_counted(listener: Path) -> None:
    table = listener / "stimuli.tsv"
    table.write_text("\n".join(table.read_text().splitlines()[:-2]))
    assert "14 of 16 clips have a row in stimuli.tsv; 2 have none (first: clip14)" in read(listener, "bdata").notes
    table.write_text("clip\tcaption_1\nanother\ta word\n")
    assert "none of the 16 clips has a row in stimuli.tsv (first: clip00)" in read(listener, "bdata").notes
    table.write_text("clip\tcaption_1\n")
    assert "stimuli.tsv: expected a row for each clip, found none" in refused(listener, "bdata")


def test_sides_of_some_clips_are_refused(listener: Path) -> None:
    edit(listener / "stimuli.tsv", split=(2, ""))
    said = "the sides of the sounds: expected train or test for each of them, found none for 2 of 16 (first: clip00)"
    assert said in refused(listener, "series")
    with pytest.raises(InputError, match="none for 1 of 3"):
        clip_splits(["a", "b", "c"], {"a": "train", "b": "test"}, what="image")


def test_the_tables_sides_count_where_the_files_say_none_and_must_agree_where_they_do(listener: Path) -> None:
    edit(listener / "stimuli.tsv", split=(1, "test"))
    said = "stimuli.tsv: expected train, as the data say, found test for 'clip00' (1 of 16"
    assert said in refused(listener, "bdata")
    (listener / "bdata" / "S1_test.h5").unlink()
    (listener / "bdata" / "S1_train.h5").rename(listener / "bdata" / "S1.h5")
    assert read(listener, "bdata").split().test == ("clip00_slide1",)


@pytest.mark.parametrize("reader", ["bdata", "series"])
def test_links_that_were_not_fetched_are_never_taken_for_nothing(listener: Path, reader: str) -> None:
    sound = listener / "stimuli" / "clip01.wav"
    sound.unlink()
    sound.symlink_to("../.git/annex/objects/gone")
    said = refused(listener, reader)
    assert "found none for 1 of 16 clips" in said and "1 of them links to files that have not been fetched" in said
    assert "run `datalad get` on them" in said
    kept = read(listener, reader, partial="yes")
    assert "15 of 16 clips have a sound file; the trials of the others are left out" in kept.notes
    table = listener / "stimuli.tsv"
    table.unlink()
    table.symlink_to(".git/annex/objects/gone")
    assert "stimuli.tsv: expected a table of clips, found a link to a file that has not been fetched" in refused(
        listener, reader, partial="yes"
    )
    shutil.rmtree(listener / "stimuli")
    (listener / "stimuli").symlink_to("nowhere")
    assert "stimuli: expected a folder of" in refused(listener, reader)


def test_companions_of_a_mac_are_no_sounds(listener: Path) -> None:
    for path in [*listener.glob("stimuli/*"), listener / "stimuli.tsv"]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(78))
    clips = find_clips([listener], None)
    assert len(clips.files) == 16 and not any(name.startswith("._") for name in clips.files)


@pytest.mark.parametrize("reader", ["bdata", "series"])
@pytest.mark.parametrize(("of_files", "of_tables"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_of_clips_are_the_same_name_in_files_and_tables(
    listener: Path, reader: str, of_files: Literal["NFC", "NFD"], of_tables: Literal["NFC", "NFD"]
) -> None:
    clip = sorted(file.stem for file in (listener / "stimuli").glob("*.wav"))[0]
    new = f"\u00e9t\u00e9{clip}"
    there = listener / "stimuli" / f"{clip}.wav"
    there.rename(there.with_stem(unicodedata.normalize(of_files, new)))
    named = unicodedata.normalize(of_tables, new)
    for table in (listener / "stimuli.tsv", *listener.rglob("*_events.tsv")):
        table.write_text(re.sub(rf"\b{clip}(?=\.wav|\t)", named, table.read_text()))
    for file in listener.glob("bdata/*.h5"):
        with h5py.File(file, "r+") as data:
            for key in [key for key in names_of(data) if str(text_of(data[key])).startswith(clip)]:
                text = text_of(data[key])
                del data[key]
                data[key] = text.replace(clip, named)
    recording = read(listener, reader)
    mine = [name for name in recording.stimuli.ids if name.startswith(new)]
    assert mine and len(recording.stimuli.open(mine[0])[0]) and recording.stimuli.captions[mine[0]]
    shutil.copy(listener / "stimuli" / f"{unicodedata.normalize(of_files, new)}.wav",
                listener / "stimuli" / f"{unicodedata.normalize(of_tables, new)}.wav")  # fmt: skip
    assert "whose names differ only in how accents are stored" in refused(listener, reader)


def names_of(data: h5py.File) -> list[str]:
    found: list[str] = []
    data["vmap"].visititems(lambda name, item: found.append(f"vmap/{name}") if isinstance(item, h5py.Dataset) else None)
    return found


def text_of(dataset: Any) -> str:
    value = np.asarray(dataset[()]).reshape(-1)[0]
    return value.decode() if isinstance(value, bytes) else str(value)


def test_two_tables_are_one_too_many(listener: Path) -> None:
    shutil.copy(listener / "stimuli.tsv", listener / "stimuli" / "stimuli.tsv")
    assert "expected one stimuli.tsv, in it or beside it, found two" in refused(listener, "bdata")


def test_tables_are_read_by_their_characters(tmp_path: Path) -> None:
    table = tmp_path / "stimuli.tsv"
    text = 'clip\tsplit\tcaption\nä\ttrain\t"hm" he said\nb\ttest\t\n\t\t\n\n'
    want = [
        {"clip": "ä", "split": "train", "caption": '"hm" he said'},
        {"clip": "b", "split": "test", "caption": ""},
    ]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        table.write_text(text, encoding=encoding)
        assert read_table(table, needed=("clip",)) == want
    for raw, said in (
        ("clip\tsplit\ncaf\xe9\ttrain\n".encode("latin-1"), "in UTF-8, found other bytes in line 2"),
        (b"clip\tsplit\na\ttrain\tx\n", "line 2: expected 2 cells, found 3 .'x' has no column"),
        (b"clip\tsplit\na\n", "line 2: expected 2 cells as in its head, found 1"),
        (b"clip\tsplit\na\ttrain\n\t\nb\ttest\n", "line 3: expected a row, found a blank line above others"),
        (b"clip\tclip\na\tb\n", "expected the column 'clip' once"),
        (b"clip\tsplit\na\0b\ttrain\n", "line 2: expected text, found a zero byte"),
        (b"name\na\n", "expected the column 'clip', found the columns name; add it, or correct --fields"),
    ):
        table.write_bytes(raw)
        with pytest.raises(InputError, match=said):
            read_table(table, needed=("clip",))


def test_half_a_sound_has_no_windows(listener: Path) -> None:
    path = listener / "stimuli" / "clip01.wav"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="expected a whole wav file"):
        SoundWindows(files={"clip01": path})("clip01_slide1")
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match="expected a sound .*found a web page"):
        SoundWindows(files={"clip01": path})("clip01_slide1")


def test_stimuli_lie_beside_a_link_to_responses_too(tmp_path: Path) -> None:
    (tmp_path / "store" / "bdata").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    link = tmp_path / "project" / "bdata"
    link.symlink_to(tmp_path / "store" / "bdata")
    assert homes_of(link) == (link, tmp_path / "project", tmp_path / "store")


def test_yes_and_no_are_all_that_is_said() -> None:
    assert [is_yes(fields, "partial") for fields in ({"partial": "yes"}, {"partial": "no"}, {})] == [True, False, False]
    with pytest.raises(UsageError, match="--fields partial=true: expected yes or no, found 'true'; write partial=yes"):
        is_yes({"partial": "true"}, "partial")


def test_what_a_lag_sweep_leaves_out_is_counted(listener: Path) -> None:
    whole = lag_sweep(listener / "bids", [2.0, 4.0])
    assert whole.left_out == ()
    (listener / "stimuli" / "clip00.wav").unlink()
    fewer = lag_sweep(listener / "bids", [2.0, LONG])
    assert fewer.left_out[-1] == "1 training clips without a sound file are left out"
    assert fewer.left_out[0].endswith(f"the series ends before their response at {LONG:g} s")
    assert fewer.facts()["left_out"] == list(fewer.left_out) and fewer.windows < whole.windows
    assert any(fewer.left_out[0] in line for line in fewer.lines()) and np.isfinite(fewer.correlation).all()
