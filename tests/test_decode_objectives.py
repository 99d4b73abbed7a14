"""Wishes beside a region's mean: one voxel, a pattern; what cannot be asked is one sentence with the next step."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import main
from brain.data.pack import write_arrays
from brain.errors import UsageError
from decode.run.folder import RunFolder
from decode.run.patterns import open_data
from decode.run.seeds import sample_seed
from decode.stages.draw.steps import Step, Stopped
from decode.stages.synthesize.lab import FittedRun
from decode.stages.synthesize.methods import known_methods, method_card, usual_methods
from decode.stages.synthesize.objectives import OneVoxel, Pattern, SynthesisRequest, objective_terms
from decode.stages.synthesize.synthesize import synthesize_beside
from decode.stages.synthesize.trajectories import FIRST, STEPS
from evaluation.report.synthesis import TRAJECTORIES
from evaluation.samples.images import png_bytes
from evaluation.samples.index import read_rows
from pipelines.images.tiny import tiny_stack
from pipelines.stacks.find import SHELF
from pipelines.synthesis import CATALOGUE, SynthesisSettings
from tests.rounding import largest, rounding
from tests.test_decode_beside import tree

QUICK = ("--n", "2", "--steps", "2", "--few-steps", "1", "--method", "guided", "retrieval")
COUNT, VOXELS = 90, 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 pictures shown twice to voxels that see their mean colour; the last voxel, (9, 5, 0), sees nothing."""
    rng = np.random.default_rng(0)
    ids = [f"s{number:03d}" for number in range(COUNT)]
    images = np.clip(rng.integers(0, 256, (COUNT, 1, 1, 3)) + rng.integers(-30, 30, (COUNT, 16, 16, 3)), 0, 255)
    signal = (images.mean((1, 2)) / 255 - 0.5) @ rng.standard_normal((3, VOXELS)) * 4
    signal[:, -1] = 0
    order = np.concatenate([rng.permutation(COUNT), rng.permutation(COUNT)])
    return write_arrays(
        tmp_path_factory.mktemp("data") / "colours.h5",
        responses=(signal[order] + 0.2 * rng.standard_normal((2 * COUNT, VOXELS))).astype(np.float32),
        stimulus=[ids[row] for row in order],
        images=images.astype(np.uint8),
        image_ids=ids,
        fields={
            "session": np.repeat([1, 2], COUNT),
            "subject": "subj01",
            "ijk": np.stack([np.arange(VOXELS) % 10, np.arange(VOXELS) // 10, np.zeros(VOXELS, int)], 1),
            "affine": np.diag([2.0, 2.0, 2.0, 1.0]),
        },
        regions={
            "early": np.arange(VOXELS) < 20,
            "ventral": (np.arange(VOXELS) >= 20) & (np.arange(VOXELS) < 59),
            "silent": np.arange(VOXELS) == 59,
            "nsdgeneral": np.ones(VOXELS, bool),
        },
        splits={"held-out": (ids[:60], ids[60:])},
        captions={name: ["a colour"] for name in ids},
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_stack(tmp_path_factory.mktemp("stacks") / "tiny")


@pytest.fixture(scope="module")
def run(data: Path, stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "fitted"
    maps = ("--recipe", "takagi-miniature", "--maps", "clip-text=ventral", "vae-latent=early")
    assert main(["fit", str(data), "--out", str(out), "--stack", str(stack), "--folds", "3", *maps]) == 0
    return out


def made(run: Path, folder: str) -> dict[str, Any]:
    home = run / "synthesis" / folder
    facts: dict[str, Any] = json.loads((home / "report.json").read_text(encoding="utf-8"))
    assert (home / "report.html").stat().st_size > 0 and len(read_rows(home / "samples")) == 4
    return facts


def test_one_voxel_and_a_pattern_are_driven_and_named_on_the_page(run: Path) -> None:
    assert main(["synthesize", str(run), "--voxel", "3,1,0", *QUICK]) == 0
    facts = made(run, "voxel-3-1-0")
    assert facts["wanted"] == "voxel 3,1,0"
    assert all(one["r2"]["voxel 3,1,0"] > 0.05 for one in facts["encoders"].values())
    assert "voxel 3,1,0" in (run / "synthesis/voxel-3-1-0/report.html").read_text(encoding="utf-8")

    words = ["synthesize", str(run), "--region", "ventral", "--against", "early", "--pattern", "s074", *QUICK]
    assert main(words) == 0
    facts = made(run, "pattern-of-s074-in-ventral-against-early")
    assert facts["wanted"] == "pattern of s074 in ventral against early"
    (best,) = (row for row in facts["rows"] if row["row"] == "retrieval")
    assert best["percentile"]["guide"] > 95 and best["profile"]["pattern of s074 in ventral"] > 1


def test_a_pattern_from_a_file_is_the_measured_one_by_another_road(run: Path, data: Path, tmp_path: Path) -> None:
    settings, _ = RunFolder(run).stored()
    recording = open_data(data, settings.data)
    fitted = FittedRun(run=RunFolder(run), recording=recording, settings=settings)
    row = list(fitted.fitting.ids).index("s004")
    values, columns = fitted.fitting.responses[row], recording.columns(["ventral"])
    np.save(tmp_path / "aim.npy", values)
    places = recording.responses.space.ijk[columns]
    lines = [f"{i},{j},{k},{values[column]!s}" for (i, j, k), column in zip(places[::-1], columns[::-1], strict=True)]
    (tmp_path / "aim.csv").write_text("\n".join(["i,j,k,value", *lines]) + "\n")
    request = [
        Pattern(source=source, regions=("ventral",)).readout(recording, fitted.fitting)
        for source in ("s004", str(tmp_path / "aim.npy"), str(tmp_path / "aim.csv"))
    ]
    # a mean and a spread over the voxels, in float64, and what is made of the two
    bound = rounding(sums=2 * len(columns) + 6, scale=largest(request[0].weights), dtype=np.float64)
    for other in request[1:]:
        np.testing.assert_array_equal(other.columns, request[0].columns)
        np.testing.assert_allclose(other.weights, request[0].weights, atol=bound, rtol=0)
    response = values[None] * 3 + 1
    bound = rounding(sums=3, scale=largest(response[:, columns]))  # a product, a sum, and what is kept
    assert request[0](response)[0] == pytest.approx(3 * values[columns].std(dtype=np.float64), abs=bound)
    assert OneVoxel((4, 2, 0)).readout(recording, fitted.fitting).columns.tolist() == [24]


def test_a_changed_file_does_not_go_into_the_same_folder(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aim = tmp_path / "aim.npy"
    words = ["synthesize", str(run), "--region", "early", "--pattern", str(aim), "--n", "2", "--method", "retrieval"]
    np.save(aim, np.arange(VOXELS) % 3)
    assert main(words) == 0
    np.save(aim, np.arange(VOXELS) % 5)
    assert main(words) == 2
    assert "were made with asks" in capsys.readouterr().err


def test_other_settings_are_not_mixed_into_a_folder_of_pictures(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synthesize", str(run), "--region", "nsdgeneral", "--method", "retrieval", "--n", "2"]
    assert main(words) == 0
    before = (run / "synthesis/nsdgeneral/synthesis.json").read_bytes()
    assert main([*words, "--scale", "20"]) == 2
    assert "made with scale 60.0 and are now asked for 20.0" in capsys.readouterr().err
    assert (run / "synthesis/nsdgeneral/synthesis.json").read_bytes() == before


CASES: dict[tuple[str, ...], tuple[int, str]] = {
    (): (2, "expected a region, found none"),
    ("--region", "ventra"): (2, "no region is called 'ventra'"),
    ("--region", "ventral", "--method", "guide"): (2, "no synthesis method is called 'guide'"),
    ("--region", "ventral", "--against", "ventral"): (2, "found twice"),
    ("--region", "ventral:high"): (2, "expected NAME or NAME:WEIGHT"),
    ("--region", "ventral", "--n", "0"): (2, "expected one picture or more"),
    ("--voxel", "3,1"): (2, "expected I,J,K, three whole numbers"),
    ("--voxel", "3,1,0", "--region", "early"): (2, "expected alone"),
    ("--voxel", "30,1,0"): (3, "found none; the nearest is 9,1,0"),
    ("--voxel", "9,5,0"): (3, "R2 of 0.05 or more on held-out stimuli, found -0."),
    ("--region", "silent"): (3, "'silent': expected an encoder with R2 of 0.05"),
    ("--region", "silent", "--pattern", "s004"): (3, "expected two voxels or more, found 1"),
    ("--region", "ventra", "--pattern", "s004"): (2, "no region is called 'ventra'"),
    ("--region", "early:2", "--pattern", "s004"): (2, "without weights"),
    ("--region", "early", "--pattern", "s4000"): (2, "did you mean"),
    ("--region", "early", "--pattern", "none.npy"): (3, "no such file"),
    ("--region", "early", "--pattern", "short.npy"): (3, f"expected ({VOXELS},) numbers"),
    ("--region", "early", "--pattern", "nan.npy"): (3, "20 that are not"),
    ("--region", "early", "--pattern", "few.csv"): (3, "none for 18, first [2, 0, 0]"),
    ("--region", "early", "--pattern", "other.csv"): (3, "expected the column 'i', found the columns x, y, z, value"),
}


@pytest.mark.parametrize("words", CASES)
def test_what_cannot_be_asked_is_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.ones(7))
    np.save("nan.npy", np.full(VOXELS, np.nan))
    Path("few.csv").write_text("i,j,k,value\n0,0,0,1\n1,0,0,2\n")
    Path("other.csv").write_text("x,y,z,value\n0,0,0,1\n")
    before = sorted((run / "synthesis").glob("*"))
    code, sentence = CASES[words]
    assert main(["synthesize", str(run), *words]) == code
    # on a busy machine lines on how far it is come before it
    said = "".join(line for line in capsys.readouterr().err.splitlines() if not line.startswith("natural pictures"))
    assert sentence in said and said.startswith("afterimage: ")
    assert words != ("--voxel", "9,5,0") or "; the nearest is 9,4,0 with 0." in said
    assert sorted((run / "synthesis").glob("*")) == before


def test_names_and_signs_of_wishes() -> None:
    signs, terms = objective_terms(region=("A", "B:0.5"), against=("C:2",))
    assert signs == {"A": 1.0, "B": 0.5, "C": -2.0} and terms == ()
    assert SynthesisRequest(signs=signs, methods=(), count=1).name == "A-0.5xB-against-2xC"


def test_objectives_whose_names_differ_in_signs_have_folders_of_their_own() -> None:
    def name(*regions: str) -> str:
        return SynthesisRequest(signs=dict.fromkeys(regions, 1.0), methods=(), count=1).name

    assert name("left_V1") == "left-V1" and name("voxel 1,2,3") == "voxel-1-2-3"  # as they were called before
    strange = ("V<5", "V>5", "V=5", "\u65e5", "\u672c", "..", "<", *("a" * 200 + end for end in "bc"))
    assert len({name(one) for one in strange}) == len(strange)
    for one in strange:
        assert 0 < len(name(one)) < 140 and not name(one).startswith(".") and "/" not in name(one)
    signs, terms = objective_terms(region=(), voxel="-1, 4,5")
    assert signs == {"voxel -1,4,5": 1.0} and terms == (OneVoxel((-1, 4, 5)),)
    signs, (aim,) = objective_terms(region=("A", "B"), against=("C",), pattern="s1")
    assert signs == {"pattern of s1 in A and B": 1.0, "C": -1.0} and aim.digest == "s1"
    with pytest.raises(UsageError, match="found twice"):
        objective_terms(region=("A",), against=("A",), pattern="s1")


def test_a_stack_without_an_image_encoder_needs_an_eye_and_is_guided_by_it(
    run: Path, stack: Path, data: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """As Stable Diffusion 1.x and 2.x are laid out: text alone, a small decoder and a tower from elsewhere."""
    monkeypatch.delenv(SHELF, raising=False)
    plain, out = tiny_stack(tmp_path / "plain", image_condition=False), tmp_path / "run"
    shutil.copytree(run, out)
    settings = out / "settings.json"
    assert str(stack) in settings.read_text()
    settings.write_text(settings.read_text().replace(str(stack), str(plain)))
    words = ["synthesize", str(out), "--data", str(data), "--region", "early", "--n", "1", "--steps", "2", "--method"]
    assert main([*words, "guided"]) == 5
    assert "expected a tower that guides, found none; get one with: afterimage stacks fetch" in capsys.readouterr().err
    shutil.copytree(checkout / "pipelines/miniature/image/eye", plain / "eye")
    assert main([*words, "guided"]) == 0
    facts = json.loads((out / "synthesis/early/synthesis.json").read_text(encoding="utf-8"))
    assert set(facts["encoders"]) == {"eye", "second"} and facts["decoder in the loop"] == "tiny_vae"
    assert main([*words, "embedding"]) == 2
    assert "expected a stack whose UNet takes an image embedding" in capsys.readouterr().err


def test_pictures_beside_the_run_are_the_run_s_own_and_leave_it_alone(run: Path, tmp_path: Path) -> None:
    """The same objective and seed give the same files in the run and beside it, watched or not."""
    words = ["synthesize", str(run), "--region", "ventral", *QUICK]
    assert main(words) == 0
    before = tree(run)
    assert main([*words, "--to", str(tmp_path / "cli")]) == 0
    assert (tmp_path / "cli" / "report.html").is_file()
    settings, data = RunFolder(run).stored()
    fitted = FittedRun(
        run=RunFolder(run), recording=open_data(data, settings.data), settings=settings, keep=tmp_path / "keep"
    )
    request = SynthesisRequest(signs={"ventral": 1.0}, methods=("guided", "retrieval"), count=2)
    told: list[Step] = []
    asked = {"request": request, "how": SynthesisSettings(steps=2, few_steps=1), "seed": 0}
    found = synthesize_beside(fitted, to=tmp_path / "told", tell=told.append, **asked)
    assert tree(run) == before and not (tmp_path / "keep").exists()  # the run has its encoders already
    own = {(one.row, one.stimulus): one.sha256 for one in read_rows(run / "synthesis" / "ventral" / "samples")}
    for beside in ("cli", "told"):
        assert {(one.row, one.stimulus): one.sha256 for one in read_rows(tmp_path / beside / "samples")} == own
    guided = [one for one in told if one.what == "guided"]
    assert [one.step for one in guided] == [1, 2] and all(one.steps == 2 for one in guided)
    assert all(len(one.previews) == len(one.values) == 2 for one in guided)
    looked = [one.step for one in told if one.what == "natural pictures, features"]
    assert looked == sorted(looked) and looked[-1] <= told[0].steps
    assert [row.row for row in found.rows] == ["guided", "retrieval"]
    with pytest.raises(UsageError, match="were made with seed"):
        synthesize_beside(fitted, to=tmp_path / "told", **(asked | {"seed": 1}))
    with pytest.raises(UsageError, match="beside the run"):
        synthesize_beside(fitted, to=run / "again", **asked)


@pytest.mark.parametrize(
    "method", ["noise", "search", "best-of-n", "unguided", "embedding", "random-region", "braindive"]
)
def test_every_way_that_takes_time_tells_of_it_and_can_be_stopped(run: Path, tmp_path: Path, method: str) -> None:
    settings, data = RunFolder(run).stored()
    fitted = FittedRun(
        run=RunFolder(run), recording=open_data(data, settings.data), settings=settings, keep=tmp_path / "keep"
    )
    how = SynthesisSettings(steps=2, published_steps=2, few_steps=2, candidates=4, iterations=2)
    request = SynthesisRequest(signs={"ventral": 1.0}, methods=(method,), count=1)
    told: list[Step] = []

    def tell(step: Step) -> None:
        told.append(step)
        if step.what == method:
            raise Stopped

    with pytest.raises(Stopped):
        synthesize_beside(fitted, to=tmp_path / "told", request=request, how=how, seed=0, tell=tell)
    assert told[-1].what == method and read_rows(tmp_path / "told" / "samples") == ()


def pictures(home: Path) -> dict[str, str]:
    """Picture of a synthesis -> the digest of its file."""
    return {one.stimulus: one.sha256 for one in read_rows(home / "samples")}


def test_a_ranking_asked_for_more_or_resumed_goes_on_where_it_was(run: Path, tmp_path: Path) -> None:
    words = ["synthesize", str(run), "--region", "ventral", "--method", "retrieval"]
    assert main([*words, "--n", "4", "--to", str(tmp_path / "once")]) == 0
    whole = pictures(tmp_path / "once")
    assert len(set(whole.values())) == 4
    assert main([*words, "--n", "2", "--to", str(tmp_path / "twice")]) == 0
    assert main([*words, "--n", "4", "--to", str(tmp_path / "twice")]) == 0
    assert pictures(tmp_path / "twice") == whole
    index = tmp_path / "twice/samples/index.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(line for line in lines if '"p001"' not in line))
    assert main([*words, "--n", "4", "--to", str(tmp_path / "twice")]) == 0
    assert pictures(tmp_path / "twice") == whole


def test_trajectories_are_stored_and_judged_by_nobody_and_change_no_picture(run: Path, tmp_path: Path) -> None:
    settings, data = RunFolder(run).stored()
    fitted = FittedRun(
        run=RunFolder(run), recording=open_data(data, settings.data), settings=settings, keep=tmp_path / "keep"
    )
    how, request = SynthesisSettings(steps=8), SynthesisRequest(signs={"ventral": 1.0}, methods=("guided",), count=4)
    home = tmp_path / "made"
    asked = {"how": how, "seed": 5}
    synthesize_beside(fitted, to=home, request=replace(request, count=1), **asked)
    first = {one.file: one.sha256 for one in read_rows(home / TRAJECTORIES)}
    (home / "samples/guided/p000-0.png").unlink()  # is drawn again, and its trajectory is there
    found = synthesize_beside(fitted, to=home, request=request, **asked)
    stored = {one.file: one.sha256 for one in read_rows(home / TRAJECTORIES)}
    assert len(first) == STEPS and len(stored) == FIRST * STEPS and first.items() <= stored.items()
    (name, strips), = found.strips().items()
    assert name == "guided" and [one.shown for one in strips] == [(1, 2, 4, 5, 7, 8)] * FIRST
    assert len({one.sha256 for one in strips[0].samples}) == STEPS and len(set(strips[0].values)) == STEPS
    assert {row.row: len(row.values["guide"]) for row in found.rows} == {"guided": 4}
    seeds = [sample_seed(5, "ventral", number) for number in range(4)]
    bare = CATALOGUE["guided"].make(fitted.context(request, how, random=False), seeds)
    digests = [hashlib.sha256(png_bytes(one.image.convert("RGB"))).hexdigest() for one in bare]
    assert [one.sha256 for one in found.samples] == digests


def test_without_a_method_there_are_guided_pictures_and_all_controls() -> None:
    assert usual_methods() == ("guided", "unguided", "random-region")
    controls = {name for name in known_methods() if method_card(name).control}
    assert controls == {"unguided", "random-region"} and method_card("random-region").counts == "denoising step"


def test_courses_and_costs_of_a_way_survive_a_stop_in_its_middle(run: Path, tmp_path: Path) -> None:
    settings, data = RunFolder(run).stored()
    fitted = FittedRun(
        run=RunFolder(run), recording=open_data(data, settings.data), settings=settings, keep=tmp_path / "keep"
    )
    how = SynthesisSettings(few_steps=1, candidates=2)
    asked = {
        "request": SynthesisRequest(signs={"ventral": 1.0}, methods=("best-of-n",), count=3),
        "how": how,
        "seed": 0,
    }

    def stopped(step: Step) -> None:
        if (tmp_path / "stopped/samples/best_of_n").is_dir():
            raise Stopped

    with pytest.raises(Stopped):
        synthesize_beside(fitted, to=tmp_path / "stopped", tell=stopped, **asked)
    assert 0 < len(pictures(tmp_path / "stopped")) < 3
    for name in ("stopped", "whole"):
        synthesize_beside(fitted, to=tmp_path / name, **asked)
    found, whole = (
        json.loads((tmp_path / name / "synthesis.json").read_text())["ways"]["best_of_n"]
        for name in ("stopped", "whole")
    )
    assert found["courses"] == whole["courses"] and sorted(found["courses"]) == ["p000", "p001", "p002"]
    assert found["flops"] == whole["flops"] and found["seconds"] > 0
    assert pictures(tmp_path / "stopped") == pictures(tmp_path / "whole")
