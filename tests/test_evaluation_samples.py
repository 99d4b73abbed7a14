"""The folder of samples: whole or not at all, never doubled, never lost; foreign folders read or refused."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain.errors import InputError, StorageError
from brain.files.pictures import open_image
from evaluation.samples.read import read_samples
from evaluation.samples.types import INDEX, file_of
from evaluation.samples.writer import SampleWriter

ROOT = Path(__file__).parents[1]


def picture(seed: int, side: int = 8) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def fill(folder: Path, stimuli: int = 3, indices: int = 2) -> None:
    with SampleWriter(folder) as writer:
        for stimulus in range(stimuli):
            writer.reference(picture(stimulus), stimulus=f"s{stimulus}", captions=("a dog",), labels={"kind": "dog"})
            for index in range(indices):
                writer.write(
                    picture(100 + stimulus * 10 + index),
                    row="decoded", stimulus=f"s{stimulus}", index=index, seed=index, method="m",
                )  # fmt: skip


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / INDEX).read_text().splitlines()]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    fill(tmp_path / "samples")
    for folder in (tmp_path, tmp_path / "samples"):
        samples = read_samples(folder, references=None)
        assert samples.rows() == ("decoded",)
        assert [sample.name for sample in samples.of("decoded")] == ["s0-0", "s0-1", "s1-0", "s1-1", "s2-0", "s2-1"]
        assert samples.references["s1"].labels == {"kind": "dog"} and samples.references["s1"].captions == ("a dog",)
        assert np.array_equal(np.asarray(samples.open(samples.of("decoded")[3])), np.asarray(picture(111)))
        assert np.array_equal(np.asarray(samples.open(samples.references["s2"])), np.asarray(picture(2)))


def test_index_keeps_the_contract(tmp_path: Path) -> None:
    fill(tmp_path, stimuli=1, indices=1)
    reference, decoded = lines(tmp_path)
    assert (reference["row"], reference["sample"], reference["file"]) == ("reference", "s0", "references/s0.png")
    data = (tmp_path / "decoded/s0-0.png").read_bytes()
    assert decoded == {
        "sample": "s0-0", "row": "decoded", "stimulus": "s0", "index": 0, "seed": 0, "file": "decoded/s0-0.png",
        "sha256": hashlib.sha256(data).hexdigest(), "method": "m", "withheld": False,
    }  # fmt: skip


def test_torn_last_line_is_truncated_and_its_sample_drawn_again(tmp_path: Path) -> None:
    fill(tmp_path)
    whole = (tmp_path / INDEX).read_bytes()
    (tmp_path / INDEX).write_bytes(whole[:-20])
    (tmp_path / "decoded/s9-0.png.part").write_bytes(b"half")
    assert len(read_samples(tmp_path, references=None).samples) == 5
    with SampleWriter(tmp_path) as writer:
        assert writer.done("decoded", "s2", 0) is not None and writer.done("decoded", "s2", 1) is None
        writer.write(picture(121), row="decoded", stimulus="s2", index=1, seed=1, method="m")
    assert (tmp_path / INDEX).read_bytes() == whole
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("damage", ["flip", "gone"])
def test_damaged_sample_is_not_done(tmp_path: Path, damage: str) -> None:
    fill(tmp_path)
    victim = tmp_path / "decoded/s1-0.png"
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")
        with pytest.raises(InputError, match="sha256"):
            samples = read_samples(tmp_path, references=None)
            samples.open(samples.of("decoded")[2])
    with SampleWriter(tmp_path) as writer:
        assert len(writer) == 8 and writer.done("decoded", "s1", 0) is None
        writer.write(picture(110), row="decoded", stimulus="s1", index=0, seed=0, method="m")
    keys = [(line["row"], line["sample"]) for line in lines(tmp_path)]
    assert len(keys) == len(set(keys)) == 9


def test_done_sample_is_not_written_twice(tmp_path: Path) -> None:
    fill(tmp_path)
    with SampleWriter(tmp_path) as writer, pytest.raises(InputError, match="there already"):
        writer.write(picture(0), row="decoded", stimulus="s0", index=0, seed=0, method="m")


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with SampleWriter(tmp_path), pytest.raises(StorageError, match="another process"):
        SampleWriter(tmp_path)
    SampleWriter(tmp_path).close()


def test_kill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from PIL import Image\n"
        "from evaluation.samples.writer import SampleWriter\n"
        "with SampleWriter(Path(sys.argv[1])) as writer:\n"
        "    for i in range(400):\n"
        "        if writer.done('decoded', f's{i}') is None:\n"
        "            image = Image.new('RGB', (32, 32), (i % 256, i // 256, 7))\n"
        "            writer.write(image, row='decoded', stimulus=f's{i}', index=0, seed=i, method='m')\n"
    )
    counts = []
    for moment in (0, 20, 60):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            counted = (tmp_path / INDEX).read_bytes().count(b"\n") if (tmp_path / INDEX).exists() else -1
            if counted >= moment:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        counts.append((tmp_path / INDEX).read_bytes().count(b"\n"))
    assert counts == sorted(counts)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=60)
    assert sorted(str(line["sample"]) for line in lines(tmp_path)) == sorted(f"s{i}-0" for i in range(400))
    for line in lines(tmp_path):
        assert hashlib.sha256((tmp_path / str(line["file"])).read_bytes()).hexdigest() == line["sha256"]
    assert len(list(tmp_path.rglob("*.png"))) == 400 and not list(tmp_path.rglob("*.part"))


def test_withheld_sample_is_a_line_without_a_file(tmp_path: Path) -> None:
    with SampleWriter(tmp_path) as writer:
        sample = writer.write(None, row="decoded", stimulus="s0", index=0, seed=0, method="m", withheld=True)
        assert sample.file == "" and not list(tmp_path.rglob("*.png"))
    with SampleWriter(tmp_path) as writer:
        assert writer.done("decoded", "s0") == sample


@pytest.mark.parametrize("stimulus", ["a/b", "../../x", ".hidden", "ü ö", "a~b", "CON?", "x\ty", "%41", "ß" * 20])
def test_any_stimulus_id_gets_a_file_inside(tmp_path: Path, stimulus: str) -> None:
    fill(tmp_path)
    with SampleWriter(tmp_path) as writer:
        writer.reference(picture(1), stimulus=stimulus)
        writer.write(picture(2), row="decoded", stimulus=stimulus, index=0, seed=0, method="m")
    assert file_of("decoded", stimulus, 0).count("/") == 1
    samples = read_samples(tmp_path, references=None)
    drawn = next(sample for sample in samples.samples if sample.stimulus == stimulus)
    assert np.array_equal(np.asarray(samples.open(drawn)), np.asarray(picture(2)))


@pytest.mark.parametrize("row", ["references", "../up", "", "Decoded", "a/b"])
def test_odd_row_names_are_refused(tmp_path: Path, row: str) -> None:
    with SampleWriter(tmp_path) as writer, pytest.raises(InputError, match="row name"):
        writer.write(picture(1), row=row, stimulus="s0", index=0, seed=0, method="m")


@pytest.mark.parametrize("file", ["../secret.png", "/etc/passwd", "a/../../b.png", "a\\..\\b.png", "\0"])
def test_paths_out_of_the_folder_are_refused(tmp_path: Path, file: str) -> None:
    folder, outside = tmp_path / "samples", tmp_path / "outside"
    fill(folder)
    outside.mkdir()
    picture(0).save(outside / "b.png")
    line = json.dumps({"row": "decoded", "stimulus": "s0", "index": 7, "file": file})
    with (folder / INDEX).open("a") as out:
        out.write(line + "\n")
    with pytest.raises(InputError, match="inside the folder"):
        read_samples(folder, references=None)
    with pytest.raises(InputError, match="inside the folder"):
        SampleWriter(folder)


def test_a_link_in_a_folder_of_samples_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    folder, outside = tmp_path / "samples", tmp_path / "outside"
    fill(folder)
    outside.mkdir()
    picture(0).save(outside / "b.png")
    (folder / "link").symlink_to(outside)
    with (folder / INDEX).open("a") as out:
        out.write(json.dumps({"row": "decoded", "stimulus": "s0", "index": 7, "file": "link/b.png"}) + "\n")
    for use in (lambda: read_samples(folder, references=None), lambda: SampleWriter(folder)):
        with pytest.raises(InputError, match=r"link: expected a file or folder of this place itself, found a link"):
            use()


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "null", '{"row": "decoded"}', '{"row": 1, "stimulus": "s0", "file": "a.png"}', "\xff",
        '{"row": "decoded", "stimulus": "s0", "file": ""}',
        '{"row": "decoded", "stimulus": "s0", "file": "a", "index": "0"}',
        '{"row": "decoded", "stimulus": "s0", "index": 0, "file": "decoded/s0-0.png"}',
    ],
)  # fmt: skip
def test_damaged_line_inside_the_index_is_named(tmp_path: Path, line: str) -> None:
    fill(tmp_path)
    with (tmp_path / INDEX).open("ab") as out:
        out.write(line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match="line 10"):
        read_samples(tmp_path, references=None)


def test_no_rights_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="room and rights to write"):
        SampleWriter(tmp_path / "file" / "samples")


def test_references_that_we_wrote_are_found_under_their_ids(tmp_path: Path) -> None:
    """A file's name quotes what it cannot bear; given as --references, such files are those of the samples."""
    ids = ("a b", "c%d", "é1", "x.y")
    with SampleWriter(tmp_path / "mine") as writer:
        for number, name in enumerate(ids):
            writer.reference(Image.new("RGB", (8, 8), (number, 0, 0)), stimulus=name)
            writer.write(
                Image.new("RGB", (8, 8), (0, number, 0)), row="decoded", stimulus=name, index=0, seed=0, method="m"
            )
    found = read_samples(tmp_path / "mine", references=tmp_path / "mine" / "references")
    assert not found.unmatched and sorted(found.references) == sorted(ids)
    for number, name in enumerate(ids):
        assert found.open(found.references[name]).getpixel((0, 0)) == (number, 0, 0)


def test_foreign_folder_beside_references(tmp_path: Path) -> None:
    mine, shown = tmp_path / "mine", tmp_path / "shown"
    (mine / "oracle").mkdir(parents=True)
    shown.mkdir()
    for stimulus in ("cat", "a-1"):
        picture(1).save(shown / f"{stimulus}.png")
    for name in ("cat-0.png", "cat_12.jpg", "a-1.webp", "a-1-3.png", "stranger.png", "oracle/cat.bmp"):
        picture(2).save(mine / name)
    (mine / "notes.txt").write_text("not an image")
    samples = read_samples(mine, references=shown)
    found = {(sample.row, sample.stimulus, sample.index) for sample in samples.samples}
    assert found == {
        ("decoded", "cat", 0), ("decoded", "cat", 12), ("decoded", "a-1", 0), ("decoded", "a-1", 3),
        ("oracle", "cat", 0),
    }  # fmt: skip
    assert samples.unmatched == ("stranger.png",)
    picture(3).save(mine / "cat-12.png")
    with pytest.raises(InputError, match="same sample"):
        read_samples(mine, references=shown)


@pytest.mark.parametrize("folder", ["absent", "empty", "alone"])
def test_nothing_to_judge_is_one_sentence(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "alone").mkdir()
    picture(0).save(tmp_path / "alone" / "a.png")
    with pytest.raises(InputError, match="; "):
        read_samples(tmp_path / folder, references=None)


def coloured() -> Image.Image:
    left = np.zeros((6, 4, 3), np.uint8)
    left[:3] = (250, 20, 30)
    left[3:] = (10, 200, 60)
    return Image.fromarray(left)


def test_foreign_images_are_normalised(tmp_path: Path) -> None:
    want = np.asarray(coloured()).astype(int)
    coloured().convert("RGBA").save(tmp_path / "rgba.png")
    coloured().convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.gif")
    coloured().convert("CMYK").save(tmp_path / "cmyk.tif")
    for name in ("rgba.png", "p.gif", "cmyk.tif"):
        image = open_image(tmp_path / name)
        assert image.mode == "RGB" and np.abs(np.asarray(image).astype(int) - want).max() <= 2, name
    exif = Image.Exif()
    exif[0x0112] = 6
    coloured().rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(np.asarray(open_image(tmp_path / "turned.png")), want)


def test_transparent_is_white_and_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert np.asarray(open_image(tmp_path / "clear.png")).min() == 255
    deep = np.array([[0, 257, 32896, 65535]] * 2, np.uint16)
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        assert np.asarray(open_image(tmp_path / name))[0, :, 1].tolist() == [0, 1, 128, 255], name


def claiming(side: int) -> bytes:
    """A PNG of a few bytes whose header claims `side` x `side` pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def test_unreadable_images_are_one_sentence(tmp_path: Path) -> None:
    picture(0, 64).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("<svg onload=alert(1)>")
    for name, side in (("large.png", 9000), ("bomb.png", 10000), ("worse.png", 50000)):
        (tmp_path / name).write_bytes(claiming(side))
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    frames = [Image.new("L", (4, 4), grey) for grey in (0, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for name in ("cut.png", "text.png", "large.png", "bomb.png", "worse.png", "float.tif", "moving.gif", "absent.png"):
        with pytest.raises(InputError, match=name):
            open_image(tmp_path / name)
