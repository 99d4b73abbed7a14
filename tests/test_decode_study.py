"""A whole study on a random tiny stack: what a run leaves, that it resumes with the same bits, that faults are said."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from app.cli import main
from brain.data.pack import write_arrays
from encoders.conditions import Conditions
from evaluation.samples.read import read_samples

FAST = ("--steps", "3", "--folds", "3", "--judge", "pixels", "--bootstrap", "200", "--permutations", "50")


def words(data: Path, out: Path, stack: Path, *more: str) -> list[str]:
    return ["study", str(data), "--out", str(out), "--recipe", "takagi-miniature", "--stack", str(stack), *FAST, *more]


def digests(run: Path) -> dict[str, str]:
    """Key of a sample -> sha256 of its file, from an index in which no key stands twice."""
    lines = [json.loads(line) for line in (run / "samples/index.jsonl").read_text().splitlines()]
    keys = [f"{line['row']}/{line['stimulus']}-{line['index']}" for line in lines]
    assert len(set(keys)) == len(keys)
    assert all((run / "samples" / line["file"]).is_file() for line in lines)
    return dict(zip(keys, (line["sha256"] for line in lines), strict=True))


@pytest.fixture(scope="module")
def run(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study by the default recipe, two samples a stimulus."""
    out = tmp_path_factory.mktemp("runs") / "first"
    assert main(words(planted, out, tiny_stack, "--seeds", "2")) == 0
    return out


def fitted_copy(run: Path, out: Path) -> Path:
    """The run as it was before anything was drawn."""
    shutil.copytree(run, out)
    shutil.rmtree(out / "samples")
    return out


def test_a_study_leaves_what_the_design_says(run: Path) -> None:
    for name in ("settings.json", "card.json", "report/report.html", "report/report.json", "report/per_stimulus.csv"):
        assert (run / name).stat().st_size > 0
    assert sorted(path.name for path in (run / "maps").glob("*.safetensors")) == [
        "clip-text.held-out.safetensors",
        "vae-latent.held-out.safetensors",
    ]
    samples = read_samples(run, references=None)
    assert {row: len(samples.of(row)) for row in samples.rows()} == {
        "decoded": 16, "shuffled": 8, "mean": 8, "prior": 8, "repeat": 8, "retrieval": 8, "oracle": 8, "round_trip": 8,
    }  # fmt: skip
    assert len(samples.references) == len(samples.others) == 8
    assert {one.block for one in samples.references.values()} == {""}  # one session: all may change places
    regions = json.loads((run / "report/regions.json").read_text())["regions"]
    assert {region["name"] for region in regions} >= {"early", "ventral", "lateral"}
    assert all(-1 <= region["accuracy"] <= 1 and 0 <= region["ceiling"] <= 1 for region in regions)


def test_the_card_names_everything_but_a_place_or_a_person(run: Path, planted: Path) -> None:
    card = json.loads((run / "card.json").read_text())
    assert card["splits"] == [{"name": "held-out", "sha256": card["splits"][0]["sha256"], "train": 28, "test": 8}]
    assert len(card["splits"][0]["sha256"]) == 64
    assert card["data"]["voxels"] == 90 and card["decode"]["generator"] == "takagi"
    assert card["software"]["packages"]["torch"] != "none" and card["settings"]["machine"]["seed"] == 0
    assert set(card["spaces"]) == {"vae-latent", "clip-text"} and card["decode"]["stack"]["licence"]
    for file in (run / "card.json", run / "report/report.html", run / "report/report.json"):
        text = file.read_text()
        for place in (planted.parent.parent, Path.home(), Path(__file__).parents[1], Path(sys.prefix)):
            assert f"{place}/" not in text, file


def test_a_second_call_changes_nothing_and_needs_no_network_library(run: Path, planted: Path, tiny_stack: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "settings.json"}
    code = (
        "import sys; from app.cli import main; code = main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *words(planted, run, tiny_stack, "--seeds", "2")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    *_, page, torch = result.stdout.splitlines()
    assert (page, torch) == (str(run / "report/report.html"), "False")
    assert {path: path.read_bytes() for path in before} == before


def test_one_stimulus_alone_is_drawn_as_among_all(run: Path, tmp_path: Path) -> None:
    whole = digests(run)
    alone = fitted_copy(run, tmp_path / "alone")
    data = json.loads((run / "settings.json").read_text())["data"]
    assert main(["decode", str(alone), "--data", str((run / data).resolve()), "--stimuli", "s31"]) == 0
    drawn = digests(alone)
    assert set(drawn) == {key for key in whole if "/s31-" in key}
    assert drawn == {key: whole[key] for key in drawn}


def test_killed_in_the_middle_and_resumed_no_sample_is_lost_or_doubled_and_all_bits_are_the_same(
    run: Path, planted: Path, tmp_path: Path
) -> None:
    copy = fitted_copy(run, tmp_path / "killed")
    command = [sys.executable, "-m", "app.cli", "decode", str(copy), "--data", str(planted)]
    index = copy / "samples/index.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not (index.exists() and index.read_bytes().count(b"\n") >= 14):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it finished before it could be killed"
    (copy / "samples/decoded").mkdir(exist_ok=True)
    (copy / "samples/decoded/.torn.part").write_bytes(b"half a picture")
    with index.open("ab") as file:
        file.write(b'{"sample": "s30-0", "row": "dec')
    assert len(index.read_bytes().splitlines()) < 64
    assert main(command[3:]) == 0
    assert digests(copy) == digests(run)


def test_more_samples_are_added_and_those_there_are_kept(run: Path, planted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "more"
    shutil.copytree(run, copy)
    before = digests(copy)
    assert main(["decode", str(copy), "--data", str(planted), "--seeds", "3"]) == 0
    after = digests(copy)
    assert len(after) == len(before) + 8 and {key: after[key] for key in before} == before


def test_batch_and_order_of_the_flags_change_nothing(run: Path, planted: Path, tmp_path: Path) -> None:
    whole = digests(run)
    for batch in ("1", "7"):
        copy = fitted_copy(run, tmp_path / batch)
        assert main(["decode", "--rows", "decoded", "--batch", batch, "--data", str(planted), "--", str(copy)]) == 0
        drawn = {key: digest for key, digest in digests(copy).items() if key.startswith("decoded")}
        assert len(drawn) == 16 and drawn == {key: whole[key] for key in drawn}


def test_a_report_is_written_anew_under_another_judge_and_once_only(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "judged"
    shutil.copytree(run, copy)
    page = copy / "report/report.html"
    before = page.stat().st_mtime_ns
    assert main(["evaluate", str(copy)]) == 0
    assert page.stat().st_mtime_ns == before
    assert main(["evaluate", str(copy), "--bootstrap", "300"]) == 0
    assert page.stat().st_mtime_ns > before
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    assert main(["evaluate", str(copy / "samples"), "--judge", "pixels", "--out", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine/report.html").is_file()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--steps", "4"), "steps 3 and is now asked for 4"),
        (("--seed", "1"), "seed 0 and is now asked for 1"),
        (("--alphas", "1"), "alphas"),
        (("--chunk", "8"), "chunk 1024 and is now asked for 8"),
        (("--recipe", "unclip-miniature"), "recipe"),
    ],
)
def test_a_run_made_otherwise_is_not_resumed(
    run: Path, planted: Path, tiny_stack: Path, more: Sequence[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(planted, run, tiny_stack, "--seeds", "2"), *more]) == 2
    said = capsys.readouterr().err
    assert named in said and "--out" in said and said.count("\n") == 1


def test_poisoned_test_trials_change_no_fitted_number(
    run: Path, planted: Path, tiny_stack: Path, tmp_path: Path
) -> None:
    poisoned = tmp_path / "planted.h5"
    shutil.copy(planted, poisoned)
    with h5py.File(poisoned, "r+") as file:
        rows = np.flatnonzero(file["stimulus"].asstr()[()] >= "s28")
        values = file["responses"][()]
        values[rows] *= 1e6
        file["responses"][...] = values
    out = tmp_path / "poisoned"
    own = ("--recipe", "takagi-miniature", "--stack", str(tiny_stack), "--folds", "3")
    assert main(["fit", str(poisoned), "--out", str(out), *own]) == 0
    assert list((run / "maps").glob("*.safetensors"))
    for path in sorted((run / "maps").glob("*.safetensors")):
        assert (out / "maps" / path.name).read_bytes() == path.read_bytes()


def rewritten(planted: Path, out: Path, *, order: np.ndarray) -> Path:
    """The data set with its voxels in another order, or without some."""
    with h5py.File(planted) as file:
        text = {name: file[name].asstr()[()].tolist() for name in ("stimulus", "image_ids")}
        return write_arrays(
            out,
            responses=file["responses"][()][:, order],
            stimulus=text["stimulus"],
            images=file["images"][()],
            image_ids=text["image_ids"],
            fields={
                "session": file["session"][()], "subject": "subj01", "ijk": file["ijk"][()][order],
                "shape": np.array([9, 10, 1]), "affine": file["affine"][()],
            },
            regions={name: mask[()][order] for name, mask in file["roi"].items()},
            splits={"held-out": (text["image_ids"][:28], text["image_ids"][28:])},
        )  # fmt: skip


def test_voxels_in_another_order_are_put_right(run: Path, planted: Path, tmp_path: Path) -> None:
    mixed = rewritten(planted, tmp_path / "mixed.h5", order=np.random.default_rng(1).permutation(90))
    copy = fitted_copy(run, tmp_path / "run")
    assert main(["decode", str(copy), "--data", str(mixed), "--rows", "decoded", "--seeds", "1"]) == 0
    whole = digests(run)
    drawn = {key: digest for key, digest in digests(copy).items() if key.startswith("decoded")}
    assert len(drawn) == 8 and drawn == {key: whole[key] for key in drawn}


def test_a_voxel_that_is_missing_is_refused(
    run: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = rewritten(planted, tmp_path / "fewer.h5", order=np.arange(1, 90))
    copy = fitted_copy(run, tmp_path / "run")
    assert main(["decode", str(copy), "--data", str(fewer)]) == 3
    assert "expected the 90 voxels that" in (said := capsys.readouterr().err) and "found 89; name the data" in said
    (copy / "content.json").unlink()  # a run of before knows the voxels of its mappings alone
    assert main(["decode", str(copy), "--data", str(fewer)]) == 3
    assert "1 of the mapping's" in capsys.readouterr().err


def test_a_voxel_that_is_not_a_number_is_masked_and_reported(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.h5"
    shutil.copy(planted, bad)
    with h5py.File(bad, "r+") as file:
        values = file["responses"][()]
        values[5, 17] = np.nan
        file["responses"][...] = values
    out = tmp_path / "run"
    assert main(["fit", str(bad), "--out", str(out), "--stack", str(tiny_stack), "--folds", "3"]) == 0
    card = json.loads((out / "card.json").read_text())
    assert card["data"]["voxels"] == 89 and "1" in " ".join(card["data"]["masked"])


def test_a_test_picture_among_the_training_pictures_is_refused(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaking = tmp_path / "leaking.h5"
    shutil.copy(planted, leaking)
    with h5py.File(leaking, "r+") as file:
        file["images"][30] = file["images"][3]
    assert main(["fit", str(leaking), "--out", str(tmp_path / "run"), "--stack", str(tiny_stack)]) == 3
    said = capsys.readouterr().err
    assert "s03" in said and "s30" in said and said.count("\n") == 1


def test_a_full_disk_is_said_in_one_sentence_and_the_run_goes_on_later(
    run: Path, planted: Path, tmp_path: Path
) -> None:
    copy = fitted_copy(run, tmp_path / "full")
    rows = ("round_trip", "mean", "oracle", "prior")
    command = [sys.executable, "-m", "app.cli", "decode", str(copy), "--data", str(planted), "--rows", *rows]
    command += ["--control-seeds", "2"]  # so that the index is longer than any card
    # bytes a file may hold: enough for the card, not for the whole index
    limit = (copy / "card.json").stat().st_size + 300

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = subprocess.run(command, capture_output=True, text=True, preexec_fn=small_files)
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr and "room" in result.stderr.splitlines()[-1]
    assert 8 < len(digests(copy)) < 56
    assert main(command[3:]) == 0
    whole, found = digests(run), digests(copy)
    known = {key: whole[key] for key in whole if key.startswith((*rows, "reference"))}
    assert len(found) > len(known) and {key: found[key] for key in known} == known


def test_a_place_that_cannot_be_written_is_said_in_one_sentence(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(words(planted, tmp_path / "file" / "run", tiny_stack)) == 4
    said = capsys.readouterr().err
    assert "room and rights to write" in said and said.count("\n") == 1


def test_unclip_needs_its_own_conditions_and_says_so(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(planted, tmp_path / "run", tiny_stack, "--method", "unclip")) == 2
    assert "clip-image" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_unclip_draws_from_the_image_embedding(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = ("--recipe", "unclip-miniature", "--rows", "decoded", "oracle")
    assert main(words(planted, out, tiny_stack, *more)) == 0
    assert Conditions.load(out / "conditions/clip-image.decoded.safetensors").values.shape == (8, 32)
    assert len(digests(out)) == 24


def test_pixels_by_ridge_decode_every_stimulus_by_the_map_that_never_saw_it(planted: Path, tmp_path: Path) -> None:
    grouped = tmp_path / "grouped.h5"
    shutil.copy(planted, grouped)
    with h5py.File(grouped, "r+") as file:
        names = file["stimulus"].asstr()[()]
        del file["split"], file["packed_sha256"]
        file["group"] = np.array([int(name[1:]) % 6 for name in names])
    out = tmp_path / "run"
    small = ("--bootstrap", "200", "--permutations", "50", "--refits", "19")
    words = ["study", str(grouped), "--recipe", "pixels-ridge", "--pixels", "rgb-8x8", "--out", str(out)]
    assert main([*words, *small]) == 0
    card = json.loads((out / "card.json").read_text())
    tested = [name for names in card["tested"].values() for name in names]
    assert len(card["tested"]) == 6 and len(tested) == len(set(tested)) == 36
    rows = {
        row["row"]: row
        for row in json.loads((out / "report/report.json").read_text())["rows"]
        if row["metric"] == "two_way"
    }
    assert rows["decoded"]["value"] > 0.9
    assert rows["shuffled"]["low"] < 0.5 < rows["shuffled"]["high"]
    null = json.loads((out / "conditions/null.json").read_text())["spaces"]["pixels"]
    assert len(null["two_way"]) == 20 and null["two_way"][0] > 0.9 > 0.55 > max(null["two_way"][1:])
    must_make_refits_again(words, small, out)


def must_make_refits_again(words: list[str], small: tuple[str, ...], out: Path) -> None:
    """Refits that are gone or another's are made again by a fit, to the byte; other numbers of them are made anew."""
    path, page = out / "conditions/null.json", out / "report/report.html"
    kept, looked = path.read_bytes(), page.read_bytes()
    path.unlink()
    assert main(["evaluate", str(out)]) == 3
    assert main([*words, *small]) == 0 and path.read_bytes() == kept and page.read_bytes() == looked
    path.write_bytes(kept.replace(b"0.", b"0.1", 3))
    assert main([*words, *small]) == 0 and path.read_bytes() == kept
    assert main([*words, *small[:-1], "20"]) == 0
    assert len(json.loads(path.read_bytes())["spaces"]["pixels"]["two_way"]) == 21 and page.read_bytes() != looked


def test_several_maps_into_one_space_stand_side_by_side(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    """Another region and another mapping of the same space, under a name of its own, change nothing of the first."""
    out = tmp_path / "run"
    maps = ("--maps", "vae-latent=early", "clip-text=ventral+lateral", "again:clip-text@residual=early")
    few = ("--rows", "decoded", "oracle", "retrieval")
    assert main(words(planted, out, tiny_stack, *maps, *few)) == 0
    names = {path.name for path in (out / "maps").glob("*.safetensors")}
    assert names == {f"{name}.held-out.safetensors" for name in ("vae-latent", "clip-text", "again")}
    cards = {name: json.loads((out / f"maps/{name}.held-out.json").read_text()) for name in ("clip-text", "again")}
    assert cards["again"]["space"] == cards["clip-text"]["space"] and cards["again"]["regions"] == ["early"]
    assert (cards["clip-text"]["family"], cards["again"]["family"]) == ("linear", "network")
    report = json.loads((out / "report/report.json").read_text())
    assert [one["space"] for one in report["conditions"]] == ["again", "clip-text", "vae-latent"]
    alone = tmp_path / "alone"
    assert main(words(planted, alone, tiny_stack, *maps[:3], *few)) == 0
    assert digests(alone) == digests(out)


def test_a_space_that_several_maps_of_other_names_predict_is_refused(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = ("--maps", "vae-latent=early", "one:clip-text=ventral", "two:clip-text=lateral")
    assert main(words(planted, tmp_path / "run", tiny_stack, *maps)) == 2
    assert "--maps: expected one map called clip-text, found one, two, all into it" in capsys.readouterr().err
    assert main(words(planted, tmp_path / "one", tiny_stack, *maps[:3], "--rows", "decoded", "retrieval")) == 0
    assert (tmp_path / "one/conditions/one.decoded.safetensors").is_file()
