"""Banks: what they keep, how they are built and go on, that no test stimulus is in one, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.cli import main
from brain.errors import InputError, UsageError
from brain.types import Stimuli
from decode.stages.bank import build, check
from encoders.spaces import CATALOGUE as SPACES
from encoders.spaces import Space
from encoders.voxelwise import banks
from encoders.voxelwise.bank_guard import looked_at, refuse_tested, same_items, same_words, words_known
from encoders.voxelwise.bank_items import caption_items, drawn_items, file_items, open_item
from encoders.voxelwise.banks import FILE, Bank, bank_of, build_bank
from tests.rounding import largest, rounding

ITEMS = 14


def pixels_space() -> Space:
    return SPACES["pixels"].open(Path(), model="grey-6x6", revision="", device="")


def pictures(count: int = ITEMS, *, seed: int = 0) -> Stimuli:
    """Pictures of noise with captions, one of two labels and a label that is their own."""
    rng = np.random.default_rng(seed)
    drawn = {f"p{one:02d}": rng.integers(0, 256, (12, 12, 3), np.uint8) for one in range(count)}
    return Stimuli(
        ids=tuple(drawn), modality="image", opener=lambda name: Image.fromarray(drawn[name]),
        captions={name: (f"a picture of {name}", "noise") for name in drawn},
        labels={name: {"kind": "ab"[one % 2], "own": name} for one, name in enumerate(drawn)},
    )  # fmt: skip


def built(folder: Path, stimuli: Stimuli, **more: Any) -> Bank:
    asked = {"source": {"images": "noise"}, "licence": "ours", "components": {"pixels": 100}, **more}
    return build_bank(folder, {"pixels": pixels_space()}, stimuli, **asked)


def test_a_bank_keeps_conditions_to_half_precision(tmp_path: Path) -> None:
    stimuli = pictures()
    bank = built(tmp_path / "bank", stimuli)
    true = pixels_space().encode(stimuli, stimuli.ids, batch=4)
    part = bank.spaces["pixels"]
    assert len(bank) == ITEMS and part.axes.shape == (ITEMS - 1, 36) and part.kept > 0.9999
    # of all the axes there are, nothing is lost but what half precision rounds in axes and coordinates
    bound = rounding(sums=2 * ITEMS, scale=largest(part.coordinates), dtype=np.float16)
    np.testing.assert_allclose(part.conditions(part.coordinates), true.values, atol=bound, rtol=0)
    assert bank.captions[3] == "a picture of p03" and bank.ids == stimuli.ids
    assert set(bank.labels) == {"kind"}, "labels of as many names as items say nothing"
    assert [bank.names["kind"][code] for code in bank.labels["kind"][:3]] == ["a", "b", "a"]
    assert not (tmp_path / "bank/shards").exists()
    fewer = built(tmp_path / "fewer", stimuli, components={"pixels": 5})
    assert fewer.spaces["pixels"].axes.shape == (5, 36) and 0 < fewer.spaces["pixels"].kept < 1
    assert fewer.digest != bank.digest and Bank.load(tmp_path / "bank").digest == bank.digest


def test_a_build_that_was_stopped_goes_on_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banks, "SHARD", 4)
    stimuli, asked = pictures(), []
    whole = built(tmp_path / "whole", stimuli)

    def opened(name: str) -> Any:
        asked.append(name)
        if len(asked) == ITEMS + 9:  # in the third shard, after the axes
            raise KeyboardInterrupt
        return stimuli.open(name)

    watched = replace(stimuli, opener=opened)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path / "again", watched)
    with pytest.raises(InputError, match="expected a finished bank, found one whose build was stopped"):
        Bank.load(tmp_path / "again")
    with pytest.raises(UsageError, match="a build of other items or settings"):
        built(tmp_path / "again", watched, components={"pixels": 3})
    before = len(asked)
    bank = built(tmp_path / "again", watched)
    assert len(asked) - before == ITEMS - 8, "what was encoded is not encoded again"
    assert bank.digest == whole.digest
    assert built(tmp_path / "again", watched).digest == whole.digest and len(asked) == before + ITEMS - 8


@pytest.mark.parametrize("damage", ["cut", "bits", "other"])
def test_a_damaged_bank_is_said(tmp_path: Path, damage: str) -> None:
    built(tmp_path / "bank", pictures())
    file = tmp_path / "bank" / FILE
    raw = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(raw[: len(raw) // 2])
    elif damage == "bits":
        raw[-40] ^= 1
        file.write_bytes(raw)
    else:
        true = pixels_space().encode(pictures(), pictures().ids, batch=4)
        true.save(file)
    with pytest.raises(InputError, match=str(file)):
        Bank.load(tmp_path / "bank")


def test_banks_of_other_things_are_refused(tmp_path: Path) -> None:
    bank = built(tmp_path / "bank", pictures())
    other = SPACES["pixels"].open(Path(), model="grey-7x7", revision="", device="").card
    with pytest.raises(InputError, match="grey-7x7.*found pixels of grey-6x6"):
        bank.must_be_of(other, where=tmp_path / "bank")
    with pytest.raises(InputError, match="conditions in clip-text, found pixels"):
        bank.must_be_of(replace(other, name="clip-text"), where=tmp_path / "bank")
    with pytest.raises(UsageError, match="expected an empty folder, found another bank"):
        built(tmp_path / "bank", pictures(seed=1), licence="theirs")
    (tmp_path / "files").mkdir()
    for seed in (0, 1):  # other pictures of the same names
        for name in pictures().ids:
            pictures(seed=seed).open(name).save(tmp_path / f"files/{name}.png")
        items = file_items(tmp_path / "files", modality="image", captions=None)
        if seed:
            with pytest.raises(UsageError, match="found another bank"):
                built(tmp_path / "named", items.stimuli, files=items.files)
        else:
            assert len(built(tmp_path / "named", items.stimuli, files=items.files)) == ITEMS
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note.txt").write_text("mine")
    with pytest.raises(UsageError, match="found other files"):
        built(tmp_path / "full", pictures())
    with pytest.raises(InputError, match="10 items or more, found 3"):
        built(tmp_path / "few", pictures(3))


def test_a_bank_of_conditions_at_hand_is_a_bank(tmp_path: Path) -> None:
    stimuli = pictures()
    true = pixels_space().encode(stimuli, stimuli.ids, batch=4)
    bank, whole = bank_of({"pixels": true}, stimuli), built(tmp_path / "bank", stimuli)
    part = bank.spaces["pixels"]
    bound = rounding(sums=2 * ITEMS, scale=largest(part.coordinates), dtype=np.float16)
    np.testing.assert_allclose(part.conditions(part.coordinates), true.values, atol=bound, rtol=0)
    assert bank.labels.keys() == whole.labels.keys() and bank.digest != whole.digest
    fewer = bank.without(["p01", "p05"])
    assert len(fewer) == ITEMS - 2 and fewer.digest == bank.digest and "p01" not in fewer.ids
    np.testing.assert_array_equal(fewer.spaces["pixels"].coordinates[1], part.coordinates[2])
    assert bank.without([]) is bank


# no test stimulus


def test_a_test_stimulus_in_the_bank_is_refused_by_name(tmp_path: Path) -> None:
    stimuli = pictures()
    bank = built(tmp_path / "bank", stimuli)
    with pytest.raises(InputError, match="expected no test stimulus, found p03 by its id"):
        refuse_tested(bank, stimuli, ["x", "p03"])
    ids = tuple(f"{one}#2" if one == "p04" else f"q{one}" for one in bank.ids)
    captions = replace(bank, ids=ids, source={"captions": "a.json"})
    with pytest.raises(InputError, match="found p04 by its id"):
        refuse_tested(captions, stimuli, ["p04"])
    pictured = replace(captions, source={"images": "folder"})
    assert refuse_tested(pictured, stimuli, ["p04"]) == (), "which is another picture than p04#2"
    with pytest.raises(InputError, match="found p04#2 by its id"):
        refuse_tested(pictured, stimuli, ["p04#2"])
    others = replace(bank, ids=tuple(f"q{one}" for one in bank.ids), captions=("Noise!", *bank.captions[1:]))
    with pytest.raises(InputError, match="all captions of p02"):
        refuse_tested(others, stimuli, ["p02"])
    assert refuse_tested(replace(others, source={"drawn": "scenes"}), stimuli, ["p02"]) == ()


@pytest.mark.parametrize("planted", ["the same", "re-saved"])
def test_a_copy_of_a_test_picture_in_the_bank_is_refused(tmp_path: Path, planted: str) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (ITEMS + 1, 6, 6, 3), np.uint8).repeat(10, axis=1).repeat(10, axis=2)
    tested = Stimuli(ids=("shown",), modality="image", opener=lambda name: Image.fromarray(coarse[ITEMS]))
    (tmp_path / "files").mkdir()
    for one in range(ITEMS):
        Image.fromarray(coarse[one]).save(tmp_path / f"files/p{one}.png")
    items = file_items(tmp_path / "files", modality="image", captions=None)
    clean = built(tmp_path / "clean", items.stimuli, files=items.files, source=items.source)
    true = pixels_space().encode(tested, tested.ids, batch=1)
    assert refuse_tested(clean, tested, ["shown"], true={"pixels": true}) == ()
    copy = Image.fromarray(coarse[ITEMS])
    if planted == "re-saved":
        copy.resize((55, 55)).save(tmp_path / "files/innocent.jpg", quality=80)
    else:
        copy.save(tmp_path / "files/innocent.png")
    items = file_items(tmp_path / "files", modality="image", captions=None)
    bank = built(tmp_path / "bank", items.stimuli, files=items.files, source=items.source)
    with pytest.raises(InputError, match="found shown, which item innocent looks like"):
        refuse_tested(bank, tested, ["shown"], true={"pixels": true})
    shutil.move(tmp_path / "bank", tmp_path / "elsewhere")  # a bank beside its pictures moves with them
    moved = replace(Bank.load(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="innocent"):
        refuse_tested(moved, tested, ["shown"], true={"pixels": true})


def test_scenes_that_look_alike_by_chance_are_struck_out_and_the_same_scene_is_refused(tmp_path: Path) -> None:
    items = drawn_items(12, seed=3, modality="image")
    bank = built(tmp_path / "bank", items.stimuli, source=items.source)
    scene = items.stimuli.open(items.stimuli.ids[4])
    assert np.array_equal(np.asarray(open_item(bank, 4)), np.asarray(scene))
    darker = Image.fromarray((np.asarray(scene) * 0.93).astype(np.uint8))
    for shown, exact in ((scene, True), (darker, False)):
        tested = Stimuli(ids=("t",), modality="image", opener=lambda name, shown=shown: shown)
        true = {"pixels": pixels_space().encode(tested, ["t"], batch=1)}
        if exact:
            with pytest.raises(InputError, match="drawn-3-000004"):
                refuse_tested(bank, tested, ["t"], true=true)
        else:
            assert refuse_tested(bank, tested, ["t"], true=true) == ("drawn-3-000004",)


def test_a_bank_drawn_by_the_seed_of_the_data_is_refused(tmp_path: Path) -> None:
    bank = replace(built(tmp_path / "bank", pictures()), source={"drawn": "scenes", "count": ITEMS, "seed": 3})
    with pytest.raises(InputError, match="found seed 3, by which the data were drawn too"):
        refuse_tested(bank, pictures(), ["x"], simulated="afterimage simulate, seed 3")
    assert refuse_tested(bank, pictures(), ["x"], simulated="afterimage simulate, seed 30") == ()


def test_the_digest_is_of_labels_and_source_too(tmp_path: Path) -> None:
    items = drawn_items(12, seed=3, modality="image")
    bank = built(tmp_path / "bank", items.stimuli, source=items.source)
    (group, *_) = bank.names
    renamed = replace(bank, names={**bank.names, group: bank.names[group][::-1]})
    for number, other in enumerate((renamed, replace(bank, source={**bank.source, "seed": 4}))):
        other.save(tmp_path / str(number))
        assert Bank.load(tmp_path / str(number)).digest != bank.digest
    replace(bank, licence="another").save(tmp_path / "licence")
    assert Bank.load(tmp_path / "licence").digest == bank.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": ("p00",) * ITEMS}, "an id of its own for every item"),
        ({"ids": (chr(27), *(f"q{one}" for one in range(ITEMS - 1)))}, "of one line"),
        ({"files": (os.path.abspath("secret.png"), *("",) * (ITEMS - 1))}, "files named from the bank's own place"),
        ({"source": {"drawn": "scenes", "seed": "x"}}, "the seed that drew it"),
        ({"names": {"kind": ("a",)}, "labels": {"kind": np.full(ITEMS, 7)}}, "a name of every label"),
        ({"coordinates": np.nan}, "finite numbers"),
        ({"coordinates": None}, "that fit their space"),
        ({"axes": np.array(1.0, np.float32)}, "that fit their space"),
    ],
)
def test_a_bank_that_no_build_writes_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    bank = built(tmp_path / "bank", pictures())
    if "coordinates" in change:
        part = bank.spaces["pixels"]
        made = part.coordinates[:, :-1] if change["coordinates"] is None else np.full_like(part.coordinates, np.nan)
        change = {"spaces": {"pixels": replace(part, coordinates=made)}}
    if "axes" in change:
        change = {"spaces": {"pixels": replace(bank.spaces["pixels"], axes=change["axes"])}}
    replace(bank, **change).save(tmp_path / "other")
    with pytest.raises(InputError, match=said):
        Bank.load(tmp_path / "other")


def test_items_that_are_a_training_stimulus_are_found(tmp_path: Path) -> None:
    bank = built(tmp_path / "bank", pictures())
    stimuli = Stimuli(
        ids=("p02", "other"), modality="image", opener=lambda name: None,
        captions={"other": (bank.captions[5].upper(),)},
    )  # fmt: skip
    found = same_items(bank, stimuli, ["p02", "other", "nothing"], sound=False)
    assert {name: rows.tolist() for name, rows in found.items()} == {"p02": [2], "other": [5], "nothing": []}
    windows = replace(bank, ids=tuple(f"clip{one // 3}_slide{one % 3}" for one in range(ITEMS)))
    assert same_items(windows, stimuli, ["clip1_slide2"], sound=True)["clip1_slide2"].tolist() == [3, 4, 5]
    drawn = replace(bank, source={"drawn": "scenes", "seed": 1})
    assert not len(same_items(drawn, stimuli, ["other"], sound=False)["other"]), "where equal words are no leak"


def test_words_that_the_bank_knows_are_counted(tmp_path: Path) -> None:
    bank = built(tmp_path / "bank", pictures())
    asked = Stimuli(
        ids=("a", "b", "c"), modality="image", opener=lambda name: None,
        captions={"a": ("of p03, a picture",), "b": ("a picture of p99",)},
    )  # fmt: skip
    assert words_known(bank, asked, ["a", "b", "c"]).startswith("1 of 2 test stimuli have all the words")
    fewer = replace(asked, captions={"a": ("picture",), "b": ("a picture of p99",)})
    assert words_known(bank, fewer, ["a", "b"]).startswith("1 of 2"), "an item may say more"
    assert "not compared" in looked_at(bank, {}) and not looked_at(bank, {"pixels": None})  # type: ignore[dict-item]
    assert "not known" in words_known(bank, asked, ["c"])


def test_candidates_with_all_words_or_all_labels_of_a_stimulus_are_found(tmp_path: Path) -> None:
    items = drawn_items(30, seed=11, modality="image")
    bank = built(tmp_path / "bank", items.stimuli, source=items.source)
    name = items.stimuli.ids[7]
    assert same_words(bank, items.stimuli, name).tolist() == [7]
    labels = dict(items.stimuli.labels[items.stimuli.ids[3]]) | {"companion": "something else"}
    asked = Stimuli(
        ids=("a", "b", "c"), modality="image", opener=lambda name: None, labels={"b": labels},
        captions={"a": (bank.captions[5].split(" ", 1)[1],), "c": ("words that nobody says",)},
    )  # fmt: skip
    assert 5 in same_words(bank, asked, "a"), "a candidate may say more than the stimulus"
    assert same_words(bank, asked, "b").tolist() == [3], "what need not be there does not count"
    assert not len(same_words(bank, asked, "c"))


# what banks are made of


def test_captions_of_tables_texts_and_coco(tmp_path: Path) -> None:
    table, text, coco = tmp_path / "c.tsv", tmp_path / "c.txt", tmp_path / "captions.json"
    table.write_text("ID\tCaption\n007\ta cat\n007\tone cat\n8\ta dog, alone\n")
    text.write_text("a cat\na dog\n")
    coco.write_text(json.dumps({"annotations": [
        {"id": 1, "image_id": 42, "caption": "a\ncat "},
        {"id": 2, "image_id": 42, "caption": "one cat"}]}))  # fmt: skip
    assert dict(caption_items(table).stimuli.captions) == {
        "007": ("a cat",), "007#2": ("one cat",), "8": ("a dog, alone",)
    }  # fmt: skip
    assert caption_items(text).stimuli.ids == ("line-1", "line-2")
    found = caption_items(coco)
    assert dict(found.stimuli.captions) == {"42": ("a cat",), "42#2": ("one cat",)} and "CC BY" in found.licence
    with pytest.raises(InputError, match="a caption alone"):
        found.stimuli.open("42")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.tsv", "007\n", "line 1: expected two columns"),
        ("c.tsv", "7\ta\n8\t\n", "a caption of its own for 8"),
        ("c.tsv", "7\ta\n7#2\tb\n7\tc\n", "one name twice"),
        ("c.tsv", "id\tcaption\n", "expected captions, found none"),
        ("c.csv", "", "expected captions, found none"),
        ("c.json", "{}", "annotations of COCO"),
        ("c.json", '{"annotations": [{"caption": "a"}]}', "image_id and caption"),
        ("c.json", '{"annotations": [{"image_id": null, "caption": "a"}]}', "found None and 'a'"),
        ("c.json", '{"annotations": [{"image_id": 1, "caption": ["x"]}]}', "a text as caption"),
        ("c.json", '{"annotations": [{"image_id": 1, "caption": "\\ud800 dog"}]}', "letters that can be seen"),
        ("c.txt", "a \x1b[31mdog\n", "letters that can be seen"),
    ],
)
def test_captions_that_are_none_are_said(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        caption_items(tmp_path / name)


def test_folders_of_files_and_what_lacks(tmp_path: Path) -> None:
    for one in range(3):
        Image.new("RGB", (8, 8), (one * 90, 0, 0)).save(tmp_path / f"{one}.png")
    (tmp_path / "c.csv").write_text("0,black\n1,dark\n2,red\n")
    items = file_items(tmp_path, modality="image", captions=tmp_path / "c.csv")
    assert items.stimuli.captions["2"] == ("red",) and items.files["1"] == (tmp_path / "1.png").resolve()
    (tmp_path / "c.csv").write_text("0,black\n1,dark\n")
    with pytest.raises(InputError, match="a caption of 2, found none"):
        file_items(tmp_path, modality="image", captions=tmp_path / "c.csv")
    with pytest.raises(InputError, match="files of sounds, found none"):
        file_items(tmp_path, modality="sound", captions=None)
    Image.new("RGB", (8, 8)).save(tmp_path / "2.jpg")
    with pytest.raises(InputError, match="differ in their ending"):
        file_items(tmp_path, modality="image", captions=None)


def test_drawn_sounds_are_items_too(tmp_path: Path) -> None:
    items = drawn_items(3, seed=2, modality="sound")
    wave, rate = items.stimuli.open(items.stimuli.ids[1])
    assert rate == 16000 and wave.ndim == 1 and np.abs(wave).max() > 0.1
    assert items.stimuli.labels[items.stimuli.ids[0]]["kind"] and len(items.stimuli.captions[items.stimuli.ids[0]]) == 3


# commands


def test_a_bank_is_built_and_checked_by_commands(
    tmp_path: Path, tiny_stack: Path, planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = tmp_path / "bank"
    made_of = ["--stack", str(tiny_stack), "--components", "6", "--drawn", "12", "--seed", "4"]
    words = ["bank", "build", str(bank), *made_of]
    assert main(words) == 0
    said = capsys.readouterr().out
    for part in ("12 items of", "drawn scenes", "seed 4", "clip-text of", "vae-latent of"):
        assert part in said
    assert main(["bank", "check", str(bank), "--stack", str(tiny_stack), "--data", str(planted)]) == 0
    assert "of 8 test stimuli have all the words" in capsys.readouterr().out
    assert main(words) == 0, "a bank that is there is found"
    assert main([*words[:-1], "7"]) == 2
    assert "another bank" in capsys.readouterr().err
    assert main([*words, "--data", str(tmp_path / "nowhere")]) == 3
    assert "nowhere: expected data" in capsys.readouterr().err
    assert main(["bank", "check", str(bank), "--components", "6"]) == 2
    assert "found --components" in capsys.readouterr().err
    assert set(Bank.load(bank).spaces) >= {"clip-text", "vae-latent"}


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ([], 2, "expected one of --captions FILE, --images DIR"),
        (["--drawn", "12", "--captions", "c.txt"], 2, "--captions FILE and --drawn COUNT"),
        (["--drawn", "12"], 2, "--stack, whose conditions are meant"),
        (["--drawn", "3", "--stack", "STACK"], 2, "10 items or more"),
        (["--drawn", "12", "--stack", "STACK", "--spaces", "clap"], 2, "--spaces"),
        (["--images", "nowhere", "--stack", "STACK"], 3, "files of images, found none"),
        (["--drawn", "12", "--stack", "STACK", "--components", "0"], 2, "--components"),
        (["--captions", "c.txt", "--stack", "STACK", "--modality", "sound"], 2, "--modality beside --drawn"),
    ],
)
def test_a_bank_that_cannot_be_is_one_sentence(
    tmp_path: Path, tiny_stack: Path, more: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tiny_stack) if word == "STACK" else word for word in more]
    assert main(["bank", "build", str(tmp_path / "bank"), *words]) == code
    found = capsys.readouterr().err
    assert said in found and found.count("\n") == 1 and not (tmp_path / "bank" / FILE).exists()


def test_a_bank_of_another_stack_is_said(tmp_path: Path, tiny_stack: Path) -> None:
    items = drawn_items(12, seed=4, modality="image")
    build(tmp_path / "bank", stack=str(tiny_stack), items=items, spaces=("clip-text",), components=4)
    assert len([line for line in check(tmp_path / "bank", stack=str(tiny_stack)) if "captions have" not in line]) == 3
    with pytest.raises(InputError, match="clip-text of miniature-image"):
        check(tmp_path / "bank", stack="miniature-image")


def test_captions_that_the_stack_cannot_tell_apart_are_counted(tmp_path: Path, tiny_stack: Path) -> None:
    lines = [f"thing number {one} on a table" for one in range(10)]
    lines += ["far " * 200 + one for one in ("cat", "dog", "cup")]  # which are cut before that
    (tmp_path / "c.txt").write_text("\n".join(lines), encoding="utf-8")
    items = caption_items(tmp_path / "c.txt")
    build(tmp_path / "bank", stack=str(tiny_stack), items=items, spaces=("clip-text",), components=8)
    (said,) = (line for line in check(tmp_path / "bank") if "different conditions" in line)
    apart = int(said.partition(" captions have ")[2].split()[0])
    assert said.startswith("clip-text: 13 different captions") and 1 < apart <= 11, "a tiny tokenizer knows few words"


def test_a_bank_speaks_of_its_conditions() -> None:
    stimuli = pictures()
    true = pixels_space().encode(stimuli, stimuli.ids, batch=4)
    part = bank_of({"pixels": true}, stimuli).spaces["pixels"]
    one = part.conditions(part.coordinates[2:3])
    np.testing.assert_array_equal(one[0], part.conditions(part.coordinates)[2])
