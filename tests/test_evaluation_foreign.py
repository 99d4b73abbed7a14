"""Anybody's folder: every kind of image is scored as what it shows or refused in one sentence, and names stay text."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from brain.errors import InputError
from brain.files.tables import of_cell
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.files import read_ladder
from evaluation.report.types import Report
from evaluation.report.worlds import identical_lines
from evaluation.samples.foreign import unread_lines
from evaluation.samples.read import read_samples
from evaluation.samples.types import INDEX
from evaluation.samples.writer import SampleWriter
from tests.rounding import rounding

ROOT = Path(__file__).parents[1]
SIDE = 24
KEPT = rounding(sums=1, scale=1.0)
"""Correlations are computed in float64 and kept as float32."""
MARKUP = "<script>alert(1)<|script>&amp; \"x\" 'y' ${z} {{ z }}"


def shown(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def grey(seed: int) -> Image.Image:
    return shown(seed).convert("L")


def judged(mine: Path, references: Path | None, out: Path) -> Report:
    how = Judging(judge="pixels", bootstrap=200, permutations=100)
    return evaluate(mine, references=references, how=how, out=out)


def per_stimulus(report: Report, metric: str) -> dict[str, float]:
    with (report.folder / "per_stimulus.csv").open(newline="", encoding="utf-8") as lines:
        return {
            of_cell(line["stimulus"]): float(line["value"])
            for line in csv.DictReader(lines)
            if (line["row"], line["metric"]) == ("decoded", metric) and line["value"]
        }


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Samples, references, and where the report goes."""
    for name in ("mine", "shown"):
        (tmp_path / name).mkdir()
    return tmp_path / "mine", tmp_path / "shown", tmp_path / "report"


def turned(picture: Image.Image, orientation: int) -> tuple[Image.Image, Image.Exif]:
    """The picture as a camera stores it that notes this orientation: exif_transpose undone."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture.transpose(undo[orientation]), exif


def over_white(picture: Image.Image, alpha: int) -> Image.Image:
    veiled = np.asarray(picture, np.float64) * alpha / 255 + 255 - alpha
    return Image.fromarray(veiled.round().astype(np.uint8))


def test_every_kind_of_image_is_scored_as_what_it_shows(folders: tuple[Path, Path, Path]) -> None:
    """Each reference is an 8-bit PNG of what its sample, stored another way, must be read as."""
    mine, references, out = folders
    exact, near = [], []
    for orientation in range(2, 9):
        for suffix in ("png", "tiff"):
            name = f"turned{orientation}{suffix}"
            stored, exif = turned(shown(orientation), orientation)
            stored.save(mine / f"{name}.{suffix}", exif=exif)
            shown(orientation).save(references / f"{name}.png")
            exact.append(name)
    for name, alpha in (("solid", 255), ("veiled", 128), ("gone", 0)):
        picture = shown(20 + alpha)
        picture.putalpha(alpha)
        picture.save(mine / f"{name}.png")
        over_white(shown(20 + alpha), alpha).save(references / f"{name}.png")
        near.append(name)
    picture = grey(11).convert("LA")
    picture.putalpha(Image.new("L", picture.size, 128))
    picture.save(mine / "greyveil.png")
    over_white(grey(11).convert("RGB"), 128).save(references / "greyveil.png")
    near.append("greyveil")
    holes = grey(12)
    holes.save(mine / "holes.png", transparency=int(np.asarray(holes)[0, 0]))
    whitened = np.asarray(holes).copy()
    whitened[whitened == whitened[0, 0]] = 255
    Image.fromarray(whitened).save(references / "holes.png")
    exact.append("holes")
    for suffix in ("png", "tif"):
        deep = np.asarray(grey(13), np.uint16) * 257
        Image.fromarray(deep).save(mine / f"deep{suffix}.{suffix}")
        grey(13).save(references / f"deep{suffix}.png")
        exact.append(f"deep{suffix}")
    for suffix, mode in (("tif", "CMYK"), ("jpg", "CMYK"), ("jpg", "YCbCr"), ("webp", "RGB")):
        name = f"{mode}{suffix}"
        shown(14).convert(mode).save(mine / f"{name}.{suffix}", quality=95)
        shown(14).save(references / f"{name}.png")
        near.append(name)
    grey(15).convert("1").save(mine / "bits.png")
    grey(15).convert("1").convert("RGB").save(references / "bits.png")
    shown(16).quantize(64).save(mine / "few.gif")
    shown(16).quantize(64).convert("RGB").save(references / "few.png")
    shown(17).save(mine / "LOUD.PNG")
    shown(17).save(references / "LOUD.bmp")
    exact += ["bits", "few", "LOUD"]
    large = shown(18).resize((4 * SIDE, 4 * SIDE), Image.Resampling.NEAREST)
    large.save(mine / "large.png")
    shown(18).save(references / "large.png")
    large.resize((SIDE, 3 * SIDE)).save(mine / "tall.png")
    shown(18).save(references / "tall.png")
    near += ["large", "tall"]

    report = judged(mine, references, out)
    found = per_stimulus(report, "pixcorr")
    assert sorted(found) == sorted(exact + near)
    assert {name: found[name] for name in exact} == pytest.approx(dict.fromkeys(exact, 1.0), abs=KEPT)
    # White on white has no variance, and correlates with nothing.
    assert found.pop("gone") == 0
    assert all(value > 0.98 for value in found.values()), found


def test_rotation_is_seen_where_no_tag_undoes_it(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    for i in range(4):
        shown(i).transpose(Image.Transpose.ROTATE_90).save(mine / f"n{i}.png")
        shown(i).save(references / f"n{i}.png")
    assert max(per_stimulus(judged(mine, references, out), "pixcorr").values()) < 0.9


def test_missing_extra_and_renamed_are_named_and_not_guessed(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    for i in range(6):
        shown(i).save(references / f"n{i}.png")
    for i in range(4):
        shown(i).save(mine / f"n{i}.png")
    shown(4).save(mine / "n4_final.png")  # renamed: not n4
    shown(5).save(mine / "N5.png")  # another case is another name
    shown(7).save(mine / "n7.png")
    shown(0).save(mine / ".n5.png")
    (mine / "n5.png").mkdir()
    (mine / "n4.txt").write_text("no image")
    (mine / "Thumbs.db").write_bytes(b"\0" * 20)
    (mine / "oracle").mkdir()
    shown(2).save(mine / "oracle" / "n2-0.png")
    (mine / "drafts").mkdir()  # no row of the ladder: nobody's samples
    shown(5).save(mine / "drafts" / "n5.png")
    report = judged(mine, references, out)
    known = report.card["evaluation"]
    assert known["references without a sample"] == ["n4", "n5"]
    assert known["samples without a reference"] == ["N5.png", "n4_final.png", "n7.png"]
    assert sorted(per_stimulus(report, "pixcorr")) == ["n0", "n1", "n2", "n3"]
    assert report.rows() == ("decoded", "oracle")
    found = report.score("decoded", "top1")
    assert found is not None and (found.n, found.pool, found.chance) == (4, 6, 1 / 6)
    assert "n4_final.png" in report.page.read_text("utf-8")


def test_two_files_of_one_name_are_refused(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    for i in range(3):
        shown(i).save(mine / f"n{i}.png")
        shown(i).save(references / f"n{i}.png")
    shown(1).save(references / "n1.jpg")
    with pytest.raises(InputError, match="two references are named 'n1'; keep one"):
        judged(mine, references, out)
    (references / "n1.jpg").unlink()
    shown(1).save(mine / "n1.bmp")
    with pytest.raises(InputError, match=r"n1\.png and n1\.bmp are the same sample"):
        judged(mine, references, out)


@pytest.mark.parametrize("where", ["mine", "shown"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("empty", "expected an image"),
        ("text", "expected an image"),
        ("cut", "damaged"),
        ("moving", "an animation"),
        ("float", "floating point"),
        ("wide", "32-bit numbers 0..70000"),
        ("huge", "million pixels|64,000,000"),
        ("unreadable", "readable image"),
    ],
)
def test_what_no_image_can_be_made_of_is_one_sentence(
    folders: tuple[Path, Path, Path], where: str, fault: str, said: str
) -> None:
    mine, references, out = folders
    for i in range(3):
        shown(i).save(mine / f"n{i}.png")
        shown(i).save(references / f"n{i}.png")
    home = {"mine": mine, "shown": references}[where]
    (home / "n1.png").unlink()
    victim = home / ("n1.tif" if fault in ("float", "wide") else "n1.png")
    if fault in ("empty", "text"):
        victim.write_bytes(b"" if fault == "empty" else b"<svg onload=alert(1)>")
    elif fault == "cut":
        shown(1).save(victim)
        victim.write_bytes(victim.read_bytes()[:200])
    elif fault == "moving":
        shown(1).save(victim, save_all=True, append_images=[shown(2)])
    elif fault == "float":
        Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(victim)
    elif fault == "wide":
        Image.fromarray(np.full((4, 4), 70000, np.int32)).save(victim)
    elif fault == "huge":
        Image.new("1", (8001, 8000)).save(victim)
    else:
        victim.symlink_to(victim.name)  # a link to itself
        if not victim.is_file():
            report = judged(mine, references, out)
            key = "references without a sample" if where == "mine" else "samples without a reference"
            assert any("n1" in name for name in report.card["evaluation"][key])
            return
    with pytest.raises(InputError, match=said) as error:
        judged(mine, references, out)
    assert victim.name in str(error.value) and "; " in str(error.value) and "\n" not in str(error.value)
    assert not (out / "report.html").exists()


def test_the_command_refuses_and_leaves_with_code_three(folders: tuple[Path, Path, Path]) -> None:
    mine, references, _ = folders
    for i in range(3):
        shown(i).save(mine / f"other{i}.png")
        shown(i).save(references / f"n{i}.png")
    flags = ["--references", str(references), "--judge", "pixels"]
    done = subprocess.run(
        [sys.executable, "-m", "evaluation", str(mine), *flags], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 3 and not done.stdout
    (sentence,) = done.stderr.splitlines()
    assert "none of its 3 images is named like a reference (such as 'n0'); rename them" in sentence


class Page(HTMLParser):
    """The tags of a page, what their attributes hold, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def stays_text(report: Report) -> Page:
    page = Page(report.page)
    assert page.tags.count("script") == 1
    assert not {"iframe", "object", "embed", "link", "form", "base", "marquee"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    links = [value for name, value in page.attributes if name in ("src", "href") and value]
    assert links and all(link.startswith(("data:image/", "#")) for link in links)
    return page


def test_names_of_files_stay_text(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    names = [MARKUP, "<marquee>bold", "=1+1", "ü 漢字 \u202e", "a'b\"c", "-0", "%41%2F", "x\ty"]
    for i, name in enumerate(names):
        shown(i).save(mine / f"{name}.png")
        shown(i).save(references / f"{name}.png")
    shown(99).save(mine / "<marquee>stranger.png")
    report = judged(mine, references, out)
    page = stays_text(report)
    assert "<marquee>stranger.png" in page.text
    assert all(name in page.text for name in (MARKUP, "<marquee>bold", "=1+1"))
    assert per_stimulus(report, "pixcorr") == pytest.approx(dict.fromkeys(names, 1.0), abs=KEPT)
    json.loads((out / "report.json").read_text("utf-8"))


def test_names_that_are_no_text_are_handled_or_refused(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    for home in (mine, references):
        for i in range(3):
            shown(i).save(home / f"n{i}.png")
        os.rename(home / "n2.png", os.fsencode(home) + b"/latin\xe9.png")
    with pytest.raises(InputError, match="; ") as error:
        judged(mine, references, out)
    assert "\n" not in str(error.value)
    str(error.value).encode()


def test_markup_in_an_index_stays_text(tmp_path: Path) -> None:
    markup = "</style></title><script>alert(1)</script><marquee>&lt;i&gt; {{ 7*7 }}"
    with SampleWriter(tmp_path / "samples") as writer:
        for i in range(4):
            labels = {"category": f"<marquee>{i % 2}", "<marquee>group": "<marquee>value"}
            writer.reference(shown(i), stimulus=f"<marquee>{i}", captions=(markup,), labels=labels)
            for row in ("decoded", "made_up"):
                writer.write(shown(i), row=row, stimulus=f"<marquee>{i}", index=0, seed=0, method=markup)
    card = {"subject": markup, "split": {"name": "<marquee>split"}, markup: {markup: [markup]}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    report = judged(tmp_path, None, tmp_path / "report")
    page = stays_text(report)
    assert markup in page.text and "<marquee>0" in page.text
    assert report.rows() == ("decoded", "made_up", "category_oracle")


def test_an_index_with_another_folder_of_references(tmp_path: Path) -> None:
    """References that are given stand in for the index' own, whatever their size and mode."""
    with SampleWriter(tmp_path / "run") as writer:
        for i in range(4):
            writer.reference(shown(50 + i), stimulus=f"n{i}")
            writer.write(shown(i), row="decoded", stimulus=f"n{i}", index=0, seed=0, method="m")
    other = tmp_path / "other"
    other.mkdir()
    for i in range(3):
        shown(i).convert("CMYK").resize((2 * SIDE, 2 * SIDE)).save(other / f"n{i}.tif")
    mine = per_stimulus(judged(tmp_path / "run", None, tmp_path / "first"), "pixcorr")
    given = judged(tmp_path / "run", other, tmp_path / "second")
    found = per_stimulus(given, "pixcorr")
    assert max(mine.values()) < 0.9 and min(found.values()) > 0.98 and sorted(found) == ["n0", "n1", "n2"]
    assert given.card["evaluation"]["samples without a reference"] == ["decoded/n3-0"]
    assert (tmp_path / "run" / INDEX).is_file()


# whose file is whose


def put(folder: Path, names: dict[str, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in names.items():
        shown(seed).save(folder / f"{name}.png")


def test_one_name_of_two_readings_is_refused_or_leaves_fewest_bare(tmp_path: Path) -> None:
    put(tmp_path / "shown", {"a": 1, "a_1": 2, "b": 3})
    put(tmp_path / "mine", {"a_1": 4, "b_1": 5})
    with pytest.raises(InputError, match=r"a_1\.png: .* the reference 'a_1', or sample 1 of 'a'; rename"):
        read_samples(tmp_path / "mine", references=tmp_path / "shown")
    put(tmp_path / "mine", {"a_1_1": 6})
    found = read_samples(tmp_path / "mine", references=tmp_path / "shown")
    keys = {sample.file: sample.key[1:] for sample in found.samples}
    assert keys == {"a_1.png": ("a", 1), "a_1_1.png": ("a_1", 1), "b_1.png": ("b", 1)}
    put(tmp_path / "own", {"a_1": 4, "b": 5})
    found = read_samples(tmp_path / "own", references=tmp_path / "shown")
    assert [sample.stimulus for sample in found.samples] == ["a_1", "b"]


def test_a_row_lies_in_one_place_and_folders_that_are_no_row_are_named(tmp_path: Path) -> None:
    put(tmp_path / "shown", {"a": 1, "b": 3})
    put(tmp_path / "mine" / "decoded", {"a": 4, "b": 5})
    put(tmp_path / "mine" / "brain_diffuser", {"a": 6})
    put(tmp_path / "mine" / "references", {"a": 1})
    found = read_samples(tmp_path / "mine", references=tmp_path / "shown")
    assert found.unread == ("brain_diffuser",)
    (said,) = unread_lines(found)
    assert said.startswith("Not read: brain_diffuser, for no row is called so; folders that are read are rows: ")
    put(tmp_path / "mine", {"a_3": 7})
    with pytest.raises(InputError, match=r"found both \(a_3\.png and decoded/a\.png\)"):
        read_samples(tmp_path / "mine", references=tmp_path / "shown")
    with pytest.raises(InputError, match=r"its folders brain_diffuser are called like no row"):
        (tmp_path / "other").mkdir()
        put(tmp_path / "other" / "brain_diffuser", {"a": 6})
        read_samples(tmp_path / "other", references=tmp_path / "shown")


def test_results_that_are_the_references_and_references_that_are_one_are_said(tmp_path: Path) -> None:
    put(tmp_path / "shown", {"a": 1, "b": 3, "c": 3})
    put(tmp_path / "mine", {"a": 1, "b": 4, "c": 5})
    (tmp_path / "mine" / "a.png").unlink()
    shown(1).save(tmp_path / "mine" / "a.bmp")  # the same pixels in another file
    same, twins = identical_lines(read_samples(tmp_path / "mine", references=tmp_path / "shown"))
    assert same.startswith("Row decoded: 1 of 3 samples ARE their references, bit for bit")
    assert twins.startswith("2 of 3 references are the same as another, bit for bit (first: b and c)")


def test_what_is_known_of_the_files_stands_first_in_the_report(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    names = {f"n{number}": number for number in range(4)}
    put(mine, names)
    put(references, names)
    report = judged(mine, references, out)
    assert report.said()[0].startswith("Row decoded: 4 of 4 samples ARE their references")
    assert "4 of 4 samples ARE their references" in report.page.read_text("utf-8")


def test_names_that_are_formulas_are_text_in_the_table_and_come_back(folders: tuple[Path, Path, Path]) -> None:
    mine, references, out = folders
    for seed, home in enumerate((mine, references)):
        put(home, {"=1+1": seed, "-1": seed + 5, "@x": seed + 8})
    report = judged(mine, references, out)
    text = (out / "per_stimulus.csv").read_text("utf-8")
    assert ",'=1+1," in text and ",'@x," in text and ",-1," in text
    found = read_ladder(out, modality="image").score("decoded", report.metrics()[0])
    assert found is not None and set(found.ids) == {"=1+1", "-1", "@x"}
    assert report.rows() == ("decoded",)


@pytest.mark.parametrize(("one", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_references_and_samples_are_matched_however_their_accents_are_stored(
    folders: tuple[Path, Path, Path], one: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"]
) -> None:
    mine, references, _ = folders
    names = [f"caf\u00e9 {number}" for number in range(3)]
    for number, name in enumerate(names):
        shown(number).save(references / f"{unicodedata.normalize(one, name)}.png")
        shown(number).save(mine / f"{unicodedata.normalize(other, name)}-1.png")
    found = read_samples(mine, references=references)
    assert not found.unmatched and [line.stimulus for line in found.samples] == names
    shown(0).save(references / f"{unicodedata.normalize(other, names[0])}.png")
    with pytest.raises(InputError, match="two references are named"):
        read_samples(mine, references=references)
