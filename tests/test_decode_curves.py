"""Curves are made once, scored twice and audited; a voxelwise encoder knows the brain; a squeezed map projects."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import main
from brain.readers import open_recording
from brain.types import Responses
from decode.recipes import CATALOGUE
from decode.run.patterns import folds_of, later_repeats
from decode.stages.judge.brain_encoder import halves
from decode.stages.judge.curves import planned
from encoders.conditions import Conditions
from encoders.ridge import RidgeSettings, fit_ridge, low_rank
from evaluation.statistics.brain import BrainEncoder
from tests.rounding import largest, rounding

FAST = ("--steps", "3", "--folds", "3", "--bootstrap", "200", "--permutations", "50")


@pytest.fixture(scope="module")
def run(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with curves, judged by pixels."""
    out = tmp_path_factory.mktemp("curves") / "run"
    own = ("--recipe", "takagi-miniature", "--judge", "pixels")
    words = ["study", str(planted), "--out", str(out), "--stack", str(tiny_stack), *FAST, *own]
    assert main([*words, "--curves", "--curve-stimuli", "4"]) == 0
    return out


def facts_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report/report.json").read_text()))


def test_every_curve_is_there_with_every_point_scored_before_and_after_the_generator(run: Path) -> None:
    plan = {
        one["name"]: [point["label"] for point in one["points"]]
        for one in json.loads((run / "curves/curves.json").read_text())["curves"]
    }
    assert plan == {
        "regions": ["early", "ventral", "lateral", "without early", "without ventral", "without lateral", "all"],
        "rank": ["1", "5", "10", "30", "50", "100", "all"],
        "repeats": ["1", "2"],
        "sessions": ["1", "2"],
    }
    points = facts_of(run)["curves"]
    for name, labels in plan.items():
        measures = {point["measure"] for point in points if point["curve"] == name}
        assert {"conditions vae-latent", "conditions clip-text", "two_way", "pixcorr"} <= measures
        for measure in measures:
            assert [p["label"] for p in points if (p["curve"], p["measure"]) == (name, measure)] == labels
    sizes = {point["measure"].split()[0]: point["n"] for point in points}
    assert sizes["conditions"] == 8 and sizes["two_way"] == 4
    assert all(point["low"] <= point["value"] <= point["high"] for point in points)


def test_the_page_draws_them(run: Path) -> None:
    page = (run / "report/report.html").read_text()
    assert "With less of it" in page and page.count("<polyline") >= 4 and "without lateral" in page


def test_the_last_point_is_the_run_itself(run: Path) -> None:
    points = [p for p in facts_of(run)["curves"] if p["measure"] == "conditions vae-latent" and p["label"] == "all"]
    decoded, true = (Conditions.load(run / f"conditions/vae-latent.{row}.safetensors") for row in ("decoded", "true"))
    mine = decoded.values.reshape(8, -1)
    theirs = true.take(decoded.ids).values.reshape(8, -1)
    r = np.corrcoef(mine, theirs)[:8, 8:]
    by_hand = np.mean([np.mean(np.delete(r[i], i) < r[i, i]) for i in range(8)])
    assert len(points) == 2 and all(point["value"] == pytest.approx(by_hand) for point in points)


def test_what_is_there_is_not_made_again_and_what_is_lost_is(run: Path, tmp_path: Path, planted: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    settings = json.loads((copy / "settings.json").read_text())
    (copy / "settings.json").write_text(json.dumps({**settings, "data": str(planted)}))
    one, other = copy / "curves/conditions/clip-text.rank_5.safetensors", copy / "curves/samples/rank_5"
    before, pictures = one.read_bytes(), {path.name: path.read_bytes() for path in other.iterdir()}
    kept = copy / "curves/conditions/clip-text.rank_1.safetensors"
    stamp = kept.stat().st_mtime_ns
    one.unlink()
    shutil.rmtree(other)
    assert main(["evaluate", str(copy), "--curves"]) == 0
    assert one.read_bytes() == before and kept.stat().st_mtime_ns == stamp
    assert {path.name: path.read_bytes() for path in other.iterdir()} == pictures


def test_an_audit_covers_the_curves(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(run)]) == 0
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    facts = facts_of(copy)
    facts["curves"][5]["value"] -= 0.01
    (copy / "report/report.json").write_text(json.dumps(facts))
    capsys.readouterr()
    assert main(["audit", str(copy)]) == 3
    assert "curves" in capsys.readouterr().err


def test_curves_of_folds_are_refused_in_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path), "--references", str(tmp_path), "--curves"]) == 2
    assert "--curves: expected a run as it was made" in capsys.readouterr().err


def test_a_region_left_out_leaves_the_others_to_the_map_that_had_no_other(planted: Path) -> None:
    recording = open_recording(planted)
    settings = CATALOGUE["takagi-miniature"].settings()
    curves = {curve.name: curve for curve in planned(recording, folds_of(recording, "")[0], settings)}
    without = {point.label: point.regions for point in curves["regions"].points}
    assert without["without early"] == {"vae-latent": ("ventral", "lateral"), "clip-text": ("ventral", "lateral")}
    assert without["without ventral"] == {"vae-latent": ("early",), "clip-text": ("lateral",)}
    assert without["lateral"] == {"vae-latent": ("lateral",), "clip-text": ("lateral",)}


def test_low_rank_is_the_projection_on_the_predictions_own_directions() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 20)).astype(np.float32)
    y = (x @ rng.standard_normal((20, 30)) + rng.standard_normal((60, 30))).astype(np.float32)
    ridge = RidgeSettings()
    fit = fit_ridge(x, y, groups=list(map(str, range(60))), alphas=ridge.alphas, folds=5, seed=0, chunk=64)
    centred = x - x.mean(0, dtype=np.float64)
    made = centred @ fit.weights
    _, spectrum, directions = np.linalg.svd(made, full_matrices=False)
    for rank in (1, 4):
        squeezed = low_rank(fit, x, rank=rank)
        wanted = fit.weights @ directions[:rank].T @ directions[:rank]
        # kept as float32; before it, in float64, directions turn by a rounding of their squares over the gap of these
        gap = spectrum[0] ** 2 / (spectrum[rank - 1] ** 2 - spectrum[rank] ** 2)
        turned = rounding(sums=sum(made.shape), scale=gap * largest(wanted), dtype=np.float64)
        bound = turned + rounding(sums=1, scale=largest(wanted))
        np.testing.assert_allclose(squeezed.weights, wanted, atol=bound, rtol=0)
        assert np.linalg.matrix_rank(centred @ squeezed.weights, tol=1e-2) == rank
        # the best that any rank can do for these predictions (Eckart & Young)
        error = np.square(made - centred @ squeezed.weights).sum()
        assert error == pytest.approx(np.square(spectrum[rank:]).sum(), rel=1e-3)
    assert low_rank(fit, x, rank=30) is fit


def test_repeats_part_into_the_first_and_the_others() -> None:
    from brain.voxels import VoxelSpace

    space = VoxelSpace(
        subject="s",
        name="v",
        betas="",
        unit="z",
        shape=(2, 1, 1),
        affine=np.eye(4),
        ijk=np.array([[0, 0, 0], [1, 0, 0]]),
    )
    responses = Responses(
        values=np.arange(10).reshape(5, 2), stimulus=["a", "b", "a", "a", "c"], session=[2, 1, 1, 3, 1],
        repeat=[1, 0, 0, 2, 0], space=space,
    )  # fmt: skip
    first, rest = halves(responses, ("a", "b", "c"))
    assert first.tolist() == [[4, 5], [2, 3], [8, 9]]
    assert rest[0].tolist() == [3, 4] and np.isnan(rest[1:]).all()
    assert sorted(later_repeats(responses).values[:, 0].tolist()) == [0, 6]


def test_an_encoder_comes_back_as_it_was_written_and_says_what_it_lacks(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    encoder = BrainEncoder(
        judge="ab", weights=rng.random((3, 4), np.float32), x_mean=rng.random(3), y_mean=rng.random(4),
        regions={"V1": np.array([0, 2])}, ids=("a", "b"), measured=rng.random((2, 4), np.float32),
        first=rng.random((2, 4), np.float32), rest=np.full((2, 4), np.nan, np.float32), split="cd",
        repeats=np.array([1, 1]),
    )  # fmt: skip
    encoder.save(tmp_path / "brain.safetensors")
    again = BrainEncoder.load(tmp_path / "brain.safetensors")
    features = rng.random((5, 3), np.float32)
    wanted = ((features - encoder.x_mean) @ encoder.weights + encoder.y_mean)[:, [0, 2]]
    # in float64, kept as float32
    bound = rounding(sums=1, scale=largest(wanted))
    np.testing.assert_allclose(again.predicted(features)["V1"], wanted, atol=bound, rtol=0)
    assert again.repeated()[0] == () and again.seen(["b"])["V1"].tolist() == encoder.measured[1:, [0, 2]].tolist()
    from brain.errors import InputError

    with pytest.raises(InputError, match="none of zebra"):
        again.seen(["zebra"])


def test_the_noise_ceiling_is_what_a_perfect_model_reaches() -> None:
    rng = np.random.default_rng(2)
    signal = rng.standard_normal((400, 60))
    trials = signal[None] + 2.5 * rng.standard_normal((3, 400, 60))

    def mean_r(left: np.ndarray, right: np.ndarray) -> float:
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(left, right, strict=True)]))

    empty = np.zeros((400, 60), np.float32)
    encoder = BrainEncoder(
        judge="", weights=empty[:1], x_mean=np.zeros(1), y_mean=np.zeros(60), regions={}, split="", first=empty,
        ids=tuple(map(str, range(400))), measured=empty, rest=empty, repeats=np.full(400, 3),
    )  # fmt: skip
    found = encoder.ceiling(mean_r(trials[0], trials[1:].mean(0)))
    assert found == pytest.approx(mean_r(signal, trials.mean(0)), abs=0.02)
    assert encoder.ceiling(-0.01) is None


def test_a_misspelt_profile_or_judge_leaves_the_run_as_it_was(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "settings.json").read_bytes()
    for words in (("--profile", "paper"), ("--judge", "nobody")):
        assert main(["evaluate", str(run), *words]) == 2
    assert (run / "settings.json").read_bytes() == before
    assert "did you mean paper-takagi" in capsys.readouterr().err
