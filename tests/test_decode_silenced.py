"""Silenced regions: voxels at the mean that maps were fitted about, fold by fold; what that changes, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.cli import main
from brain.data.pack import write_arrays
from brain.errors import InputError, UsageError
from brain.types import Split
from decode.api import draw
from decode.run.folder import RunFolder
from decode.run.patterns import first_repeats
from decode.run.settings import Settings
from decode.stages.draw.beside import draw_beside, drawn_of
from decode.stages.draw.opened import Opened
from encoders.mappings import load_map
from encoders.mappings._parts.linear import LinearMap
from evaluation.__main__ import main as judge
from evaluation.report.worlds import silenced_lines
from evaluation.samples.read import read_samples
from evaluation.statistics.folds import read_design
from tests import sampling
from tests.rounding import largest, rounding

GROUPS, VOXELS = ("a", "b", "c"), 24
EARLY, LATE, APART = (np.arange(VOXELS) // 8 == place for place in range(3))
ROWS = ("decoded", "shuffled", "mean", "repeat", "retrieval", "oracle")
SENTENCE = (
    "Silenced: the 8 voxels of early stand at their training mean, and nothing was fitted anew: a difference from the "
    "run says what this decoder takes from there, not what a brain does without it. Of methods that weigh candidates "
    "by their likelihood, a voxel at the mean is evidence for the mean, and not the absence of any."
)
Wide = NDArray[np.float64]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three groups of eight pictures, shown one to three times over two sessions, far from 0 and of other spreads.

    Because repeats differ in number, the mean over stimuli is another than that over trials, whose z-score is 0.
    """
    rng = np.random.default_rng(3)
    ids = [f"s{number:02d}" for number in range(24)]
    images = rng.integers(0, 256, (24, 4, 4), np.uint8)
    shown = rng.permutation(np.repeat(np.arange(24), 1 + np.arange(24) // 3 % 3))
    session = 1 + np.arange(len(shown)) % 2
    signal = (images.reshape(24, -1) / 255 - 0.5) @ rng.standard_normal((16, VOXELS))
    noisy = signal[shown] + 0.3 * rng.standard_normal((len(shown), VOXELS))
    return write_arrays(
        tmp_path_factory.mktemp("data") / "groups.h5",
        responses=(100 + 10 * session[:, None] + noisy * rng.uniform(1, 4, VOXELS)).astype(np.float32),
        stimulus=[ids[row] for row in shown],
        images=images,
        image_ids=ids,
        fields={"session": session, "group": [GROUPS[row % 3] for row in shown], "subject": "subj01"},
        regions={"early": EARLY, "late": LATE, "apart": APART, "part": np.arange(VOXELS) % 12 == 0},
    )


def fitted(data: Path, out: Path, *more: str) -> Path:
    asked = ["--recipe", "pixels-ridge", "--pixels", "grey-4x4", "--maps", "pixels=late+early", "--folds", "3"]
    assert main(["fit", str(data), "--out", str(out), *asked, *more]) == 0
    return out


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in three folds with every row that reads a brain and two that read none, and refits for its null."""
    out = fitted(data, tmp_path_factory.mktemp("runs") / "run", "--trials", "averaged", "--refits", "19")
    assert main(["decode", str(out), "--rows", *ROWS]) == 0
    return out


def opened_of(run: Path) -> Opened:
    settings, data = RunFolder(run).stored()
    return Opened(run=RunFolder(run), settings=settings, data=data)


@pytest.fixture(scope="module")
def opened(run: Path) -> Opened:
    return opened_of(run)


@pytest.fixture
def asked(opened: Opened) -> Settings:
    return sampling.asked(opened.settings, rows=("decoded",))


def by_hand(opened: Opened, fold: Split, name: str, silent: NDArray[np.bool_], *, trials: str, how: str) -> Wide:
    """(voxel,) the averaged z-scores of a test stimulus, of silent voxels the mean of what a map is fitted on."""
    responses = opened.recording.responses
    values, train = responses.values.astype(np.float64), np.isin(responses.stimulus, fold.train)
    z = values.copy()
    for group in {"session": (1, 2), "all": (0,), "none": ()}[how]:
        here = responses.session == group if group else np.ones(len(values), bool)
        known = values[here & train]
        z[here] = (values[here] - known.mean(0)) / known.std(0)
    patterns = z[train]
    if trials == "averaged":
        patterns = np.stack([z[responses.stimulus == one].mean(0) for one in fold.train])
    return np.asarray(np.where(silent, patterns.mean(0), z[responses.stimulus == name].mean(0)))


def near(mapping: LinearMap, patterns: Wide, raw: float) -> float:
    """How far float32 carries a prediction: z-scores of responses as large as `raw` over the smallest spread, then one
    sum over voxels, rescaled."""
    z = rounding(sums=4, scale=raw / float(mapping.scaler.std.min())) + rounding(sums=4, scale=largest(patterns))
    weighed = np.abs(mapping.weights.astype(np.float64)).sum(0).max() * max(1.0, largest(mapping.rescaling.gain))
    return float(z * weighed) + rounding(sums=4, scale=largest(mapping.y_mean))


@pytest.mark.parametrize(
    ("trials", "how"), [("averaged", "session"), ("single", "session"), ("averaged", "all"), ("single", "none")]
)
def test_conditions_are_those_of_patterns_put_at_the_mean_by_hand(
    data: Path, tmp_path: Path, trials: str, how: str
) -> None:
    """In every fold, by its own mean, whatever the standardisation and whichever patterns its map was fitted on."""
    out = fitted(data, tmp_path / "run", "--trials", trials, "--standardise", how, "--refits", "0")
    opened, moved = opened_of(out), 0.0
    asked = opened.settings
    assert len(opened.folds) == 3
    for silenced, silent in ((("early",), EARLY), (("late", "part"), LATE | (np.arange(VOXELS) % 12 == 0))):
        for fold in opened.folds:
            found = opened.decoded(set(fold.test), lambda one: one, settings=asked, silenced=silenced)["pixels"]
            mapping = load_map(opened.run.map("pixels", fold.name))
            assert isinstance(mapping, LinearMap) and set(found.ids) == set(fold.test)
            hand = np.stack([by_hand(opened, fold, one, silent, trials=trials, how=how) for one in found.ids])
            own = hand[:, EARLY | LATE]  # columns are the union's, in the recording's order
            wanted = mapping.predict(own.astype(np.float32), ids=found.ids)
            atol = near(mapping, own, largest(opened.recording.responses.values))
            np.testing.assert_allclose(found.values, wanted.values, atol=atol, rtol=0)
            whole = opened.decoded(set(fold.test), lambda one: one, settings=asked)["pixels"]
            moved = max(moved, largest(found.values - whole.values) / atol)
            if trials == "averaged" or how == "none":
                assert largest(own[:, silent[EARLY | LATE]]) > 1e-3  # the mean over stimuli is no z-score of 0
    assert moved > 100


def test_with_every_voxel_silenced_the_prediction_is_the_map_s_mean(opened: Opened) -> None:
    for fold in opened.folds:
        take = {"settings": opened.settings, "silenced": ("early", "late")}
        found = opened.decoded(set(fold.test), lambda one: one, **take)["pixels"]  # type: ignore[arg-type]
        mapping = load_map(opened.run.map("pixels", fold.name))
        assert isinstance(mapping, LinearMap)
        mean = mapping.rescaling.apply(mapping.y_mean.astype(np.float32)[None]).reshape(found.values[0].shape)
        atol = near(mapping, np.ones((1, 1)), largest(opened.recording.responses.values))
        np.testing.assert_allclose(found.values, np.broadcast_to(mean, found.values.shape), atol=atol, rtol=0)


def test_other_voxels_and_other_trials_are_what_they_were_and_each_fold_has_its_own_mean(opened: Opened) -> None:
    whole = opened.recording.responses
    assert opened.tested({"s00"}, (), trials="averaged") is opened.recording
    names = {name for fold in opened.folds for name in fold.test[1:]}
    found = opened.tested(names, ("early",), trials="averaged").responses
    shown = whole.trials(whole.of(names))
    np.testing.assert_array_equal(found.values[:, ~EARLY], shown.values[:, ~EARLY])
    assert (found.values[:, EARLY] != shown.values[:, EARLY]).any(axis=1).all()
    assert found.stimulus.tolist() == shown.stimulus.tolist()
    stood: dict[tuple[str, int], set[bytes]] = {}
    for row, (name, session) in enumerate(zip(found.stimulus.tolist(), found.session.tolist(), strict=True)):
        fold = next(fold.name for fold in opened.folds if name in fold.test)
        stood.setdefault((fold, session), set()).add(found.values[row, EARLY].tobytes())
    assert len(stood) == 6 and all(len(one) == 1 for one in stood.values())
    assert len(set.union(*stood.values())) == 6


def test_repeats_are_silenced_as_everything_else(opened: Opened) -> None:
    name = next(one for one in opened.folds[0].test if int(one[1:]) // 3 % 3 == 2)
    keys = [(row, name, 0) for row in ("decoded", "repeat", "other_repeats")]
    whole = opened.ladder(opened.settings, keys)
    found = opened.ladder(opened.settings, keys, silenced=("early",))
    assert np.abs(found.decoded["pixels"].values - whole.decoded["pixels"].values).max() > 0
    first = opened.decoded({name}, lambda one: first_repeats(one, 1), settings=opened.settings, silenced=("early",))
    np.testing.assert_array_equal(found.repeats["repeat"]["pixels"].values, first["pixels"].values)
    for row in ("repeat", "other_repeats"):
        assert (found.repeats[row]["pixels"].values != whole.repeats[row]["pixels"].values).any()


def digests(folder: Path) -> dict[tuple[str, str], str]:
    samples = read_samples(folder, references=None)
    return {(one.row, one.stimulus): one.sha256 for row in samples.rows() for one in samples.of(row)}


def test_rows_that_read_a_brain_change_and_the_others_do_not(run: Path, tmp_path: Path) -> None:
    """By the command, which draws what `draw_beside` and `decode.api.draw` draw."""
    out = tmp_path / "blind"
    assert main(["decode", str(run), "--to", str(out), "--silence", "early"]) == 0
    before, after = digests(run), digests(out)
    assert set(before) == set(after) and {row for row, _ in before} == {*ROWS}
    changed = {row: {after[key] != before[key] for key in before if key[0] == row} for row in ROWS}
    assert changed["mean"] == changed["oracle"] == {False}
    assert changed["decoded"] == changed["shuffled"] == changed["repeat"] == {True}
    assert True in changed["retrieval"]
    again = opened_of(run)
    drawn = draw_beside(again, again.settings, to=tmp_path / "python", stimuli=("s05",), silenced=["early"])
    assert {(one.row, one.stimulus): one.sha256 for one in drawn_of(drawn) if one.row != "other_repeats"} == {
        key: after[key] for key in after if key[1] == "s05"
    }
    draw(run, stimuli=["s05"], to=tmp_path / "notebook", silence="early", rows=["decoded"])
    assert digests(tmp_path / "notebook") == {("decoded", "s05"): after["decoded", "s05"]}


def card_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "card.json").read_text())["beside"])


def test_the_card_names_the_regions_and_a_folder_keeps_to_them(opened: Opened, asked: Settings, tmp_path: Path) -> None:
    blind, whole = tmp_path / "blind", tmp_path / "whole"
    first = draw_beside(opened, asked, to=blind, stimuli=("s00",), silenced=("part", "early", "part"))
    assert (card_of(blind)["silenced"], card_of(blind)["silenced_voxels"]) == (["early", "part"], 9)
    assert draw_beside(opened, asked, to=blind, stimuli=("s00",), silenced=("early", "part")) == first
    draw_beside(opened, asked, to=whole, stimuli=("s00",))
    assert not {"silenced", "silenced_voxels"} & set(card_of(whole))
    for place, other, said in (
        (blind, ("early",), r"samples of silenced \['early'\], found some of \['early', 'part'\]; choose another"),
        (blind, (), r"samples of silenced \[\], found some of \['early', 'part'\]"),
        (whole, ("early",), r"samples of silenced \['early'\], found some of \[\]"),
    ):
        with pytest.raises(UsageError, match=said):
            draw_beside(opened, asked, to=place, stimuli=("s01",), silenced=other)
    card = json.loads((blind / "card.json").read_text())
    card["beside"]["silenced"] = "early"
    (blind / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError):
        draw_beside(opened, asked, to=blind, stimuli=("s00",), silenced=("early", "part"))


@pytest.mark.parametrize(
    ("silenced", "says"),
    [
        (("earlie",), "--silence: no region is called 'earlie'; did you mean early"),
        (("early", "V1"), "--silence: no region is called 'V1'; known are apart, early, late, part"),
        (("*",), "--silence: no region is called '*'"),
        (
            ("early", "apart"),
            "--silence: expected a region with voxels that are read, which are those of late, early, found apart",
        ),
    ],
    ids=str,
)
def test_regions_that_change_nothing_are_refused_and_leave_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], silenced: tuple[str, ...], says: str
) -> None:
    assert main(["decode", str(run), "--to", str(tmp_path / "blind"), "--silence", *silenced]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "blind").exists()


def test_regions_are_silenced_beside_a_run_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "samples/index.jsonl").read_bytes()
    assert main(["decode", str(run), "--silence", "early"]) == 2
    assert "add --to FOLDER, or leave --silence out" in capsys.readouterr().err
    with pytest.raises(UsageError, match="add to= FOLDER, or leave silence= out"):
        draw(run, silence=["early"])
    twice = ["decode", str(run), "--to", str(tmp_path / "a"), "--silence", "early", "--silence", "late"]
    assert main(twice) == 2 and "expected --silence once" in capsys.readouterr().err
    assert (run / "samples/index.jsonl").read_bytes() == before
    assert main(["decode", str(run), "--rows", "decoded", "--stimuli", "s00", "--silence"]) == 0  # none, as --stimuli


def test_a_report_says_what_was_silenced_and_takes_no_refits_of_all_voxels(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "blind"
    assert main(["decode", str(run), "--to", str(out), "--silence", "early", "--rows", "decoded"]) == 0
    assert judge([str(out), "--judge", "pixels", "--bootstrap", "100", "--permutations", "0"]) == 0
    report = json.loads((out / "report/report.json").read_text())
    assert report["said"].count(SENTENCE) == 1 and SENTENCE in (out / "report/report.html").read_text()
    assert read_design(run).nulls and not read_design(out).nulls
    assert read_design(out).absent == {
        "pixels": "refits read every voxel, and these samples are drawn with early silenced"
    }
    assert judge([str(out), "--audit"]) == 0


def test_the_sentence_of_cards_of_all_kinds() -> None:
    assert silenced_lines({}) == silenced_lines({"beside": {}}) == silenced_lines({"beside": {"silenced": []}}) == ()
    assert silenced_lines({"beside": {"silenced": ["early"], "silenced_voxels": 8}}) == (SENTENCE,)
    (three,) = silenced_lines({"beside": {"silenced": ["V1", "V2", "V\x1b3"], "silenced_voxels": "many"}})
    assert three.startswith("Silenced: the voxels of V1, V2 and V3 stand")
    (one,) = silenced_lines({"beside": {"silenced": ["V1"], "silenced_voxels": 1}})
    assert one.startswith("Silenced: the 1 voxel of V1 stand")
