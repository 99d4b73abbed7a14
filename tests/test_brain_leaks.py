"""Altered copies are found and distinct pictures are not; test statistics are noticed; clusters hold out their own."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.cluster.vq import kmeans2

from brain.data.averages import count_repeats
from brain.data.leaks import NEAR, guard_statistics, leak_report, look_at, near_duplicates, twins_of
from brain.data.standardise import SessionScaler
from brain.errors import InputError
from brain.simulated.scenes.scene import draw_scene, render
from brain.splits.cluster import cluster_splits
from brain.types import Responses, Split
from brain.voxels import VoxelSpace

Picture = Image.Image


@pytest.fixture(scope="module")
def scenes() -> list[Picture]:
    return [render(draw_scene(seed=3, index=index), 64) for index in range(90)]


def of(values: np.ndarray) -> Picture:
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(picture, np.float32)


def saved(picture: Picture) -> Picture:
    box = io.BytesIO()
    picture.save(box, "JPEG", quality=60)
    return Image.open(box)


def cropped(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    wide, tall = picture.size
    box = (left * wide, top * tall, (1 - right) * wide, (1 - bottom) * tall)
    return picture.resize(picture.size, Image.Resampling.LANCZOS, box=box)


def noisy(picture: Picture) -> Picture:
    return of(pixels(picture) + 5 * np.random.default_rng(0).standard_normal(pixels(picture).shape))


ALTERED: dict[str, Callable[[Picture], Picture]] = {
    "saved as JPEG": saved,
    "brighter": lambda one: of(pixels(one) * 1.1),
    "darker": lambda one: of(pixels(one) * 0.9),
    "more contrast": lambda one: of((pixels(one) - 128) * 1.1 + 128),
    "less contrast": lambda one: of((pixels(one) - 128) * 0.9 + 128),
    "cropped on all sides": lambda one: cropped(one, 0.03, 0.03, 0.03, 0.03),
    "cropped in a corner": lambda one: cropped(one, 0.03, 0.03, 0, 0),
    "cropped on one side": lambda one: cropped(one, 0, 0, 0.03, 0),
    "noisy": noisy,
    "mirrored": ImageOps.mirror,
    "larger": lambda one: one.resize((200, 200), Image.Resampling.BICUBIC),
    "all of it": lambda one: ImageOps.mirror(noisy(of(pixels(saved(cropped(one, 0.02, 0.03, 0.01, 0))) * 0.9))),
}


@pytest.mark.parametrize("how", list(ALTERED))
def test_a_slightly_altered_picture_is_found_whichever_side_it_is_on(how: str, scenes: list[Picture]) -> None:
    for row in (0, 7, 11, 30):
        altered = ALTERED[how](scenes[row])
        others = [(f"t{other}", scenes[other]) for other in range(40, 60)]
        forth = near_duplicates([("a", altered), *others], [("b", scenes[row])])
        back = near_duplicates([("b", scenes[row]), *others], [("a", altered)])
        assert [(twin.train, twin.test, twin.exact) for twin in forth] == [("a", "b", False)], row
        assert [(twin.train, twin.test, twin.exact) for twin in back] == [("b", "a", False)], row


def test_distinct_scenes_are_not_taken_for_copies(scenes: list[Picture]) -> None:
    names = [(f"s{row}", scene) for row, scene in enumerate(scenes)]
    assert near_duplicates(names[:65], names[65:]) == ()
    # the threshold decides, not the choice of candidates: a lower one finds the likest
    assert near_duplicates(names[:65], names[65:], threshold=0.85)


def test_grey_and_tiny_binary_figures_are_told_apart_and_their_copies_found() -> None:
    generator = np.random.default_rng(0)
    figures = [Image.fromarray((generator.random((10, 10)) > 0.7).astype(np.uint8) * 255) for _ in range(60)]
    names = [(f"f{row}", figure) for row, figure in enumerate(figures)]
    assert near_duplicates(names[:30], names[30:]) == ()
    one = figures[50]
    copies = [("dim", of(pixels(one) * 0.9)), ("noisy", noisy(one)), ("mirrored", ImageOps.mirror(one))]
    found = near_duplicates([*names[:30], *copies], [("one", one)])
    assert {twin.train for twin in found} == {"dim", "noisy", "mirrored"}


def test_pictures_of_one_colour_are_like_nothing_but_themselves() -> None:
    plain = [(str(grey), Image.new("RGB", (8, 8), (grey, grey, grey))) for grey in (0, 100, 101)]
    assert near_duplicates(plain[:2], plain[2:]) == ()
    (twin,) = near_duplicates(plain, [("again", plain[1][1].copy())])
    assert (twin.train, twin.exact, twin.likeness) == ("100", True, 1.0)


def test_sounds_are_compared_bit_for_bit_and_the_report_says_so() -> None:
    wave = np.sin(np.linspace(0, 99, 400, dtype=np.float32))
    looks = look_at([("a", (wave, 16000)), ("b", (wave * np.float32(0.9), 16000)), ("c", (wave.copy(), 16000))])
    report = leak_report([Split(name="x", train=("a", "b"), test=("c",))], looks)
    assert [(twin["train"], twin["test"]) for twin in report["exact"]] == [("a", "c")] and report["near"] == []
    assert "altered copies are not looked for" in report["sentences"][0] and report["threshold"] is None


def test_the_report_names_both_stimuli_of_every_fold(scenes: list[Picture]) -> None:
    looks = look_at({"a": scenes[0], "b": ImageOps.mirror(scenes[0]), "c": scenes[1], "d": scenes[2]}.items())
    folds = [Split(name="one", train=("b", "c"), test=("a",)), Split(name="two", train=("a", "b"), test=("c", "d"))]
    report = leak_report(folds, looks)
    assert [(twin["fold"], twin["train"], twin["test"]) for twin in report["near"]] == [("one", "b", "a")]
    assert report["checked"] == {"stimuli": 4, "folds": 2, "pairs": 6} and report["threshold"] == NEAR
    assert any("b is nearly test stimulus a" in sentence for sentence in report["sentences"])
    assert [row["split"] for row in report["folds"]] == [fold.sha256 for fold in folds]
    with pytest.raises(InputError, match="z was not looked at"):
        twins_of(looks.of(["a"]), looks.of(["z"]))


# statistics


SPLIT = Split(name="mine", train=tuple(f"s{n}" for n in range(16)), test=tuple(f"s{n}" for n in range(16, 20)))


def raw(trials: int = 120, voxels: int = 50, sessions: int = 2, seed: int = 0) -> Responses:
    generator = np.random.default_rng(seed)
    names = np.array([f"s{number}" for number in generator.permutation(trials) % 20])
    session = np.arange(trials) * sessions // trials + 1
    values = generator.normal(size=(trials, voxels)) * generator.uniform(0.5, 4, voxels) + session[:, None] + 3
    ijk = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], axis=1)
    space = VoxelSpace(
        subject="s", name="native", betas="b", unit="psc", shape=(voxels, 1, 1), affine=np.eye(4), ijk=ijk
    )
    return Responses(values=values, stimulus=names, session=session, repeat=count_repeats(names), space=space)


def scored(responses: Responses, rows: np.ndarray) -> Responses:
    return SessionScaler.fit(responses, rows).apply(responses)


def test_responses_standardised_with_the_test_trials_are_refused_by_session() -> None:
    responses = raw()
    whole = np.ones(120, bool)
    for ddof in (0, 1):
        leaked = scored(responses, whole)
        leaked = replace(leaked, values=leaked.values * np.float32(((60 - ddof) / 60) ** 0.5))
        with pytest.raises(InputError, match=r"'mine', session 1: .* test statistics .*; give responses") as caught:
            guard_statistics(leaked, SPLIT)
        assert "\n" not in str(caught.value)
    second = scored(responses, whole)
    one_only = np.where((responses.session == 2)[:, None], second.values, responses.values)
    with pytest.raises(InputError, match="session 2:"):
        guard_statistics(replace(responses, values=one_only), SPLIT)


def test_a_few_dead_voxels_half_precision_and_a_unit_of_another_name_hide_nothing() -> None:
    leaked = scored(raw(voxels=100), np.ones(120, bool))
    values = leaked.values.astype(np.float16).astype(np.float32)
    values[:, :3] = 0
    values[:, 3] = 17 + values[:, 4]
    with pytest.raises(InputError, match="session 1"):
        guard_statistics(replace(leaked, values=values, space=replace(leaked.space, unit="psc")), SPLIT)


def test_standardised_over_all_sessions_together_is_refused_too() -> None:
    responses = raw()
    once = replace(responses, session=np.ones(120, int))
    leaked = replace(responses, values=scored(once, np.ones(120, bool)).values)
    with pytest.raises(InputError, match="all sessions together"):
        guard_statistics(leaked, SPLIT)


def test_one_test_stimulus_among_many_trials_is_enough() -> None:
    responses = raw(trials=4000, sessions=1)
    split = Split(name="one", train=tuple(f"s{n}" for n in range(19)), test=("s19",))
    few = responses.trials(~responses.of(["s19"]) | (np.arange(4000) < 30))
    with pytest.raises(InputError, match="session 1"):
        guard_statistics(scored(few, np.ones(len(few.values), bool)), split)


@pytest.mark.parametrize("seed", range(5))
def test_honest_responses_are_accepted(seed: int) -> None:
    responses = raw(seed=seed)
    train = responses.of(SPLIT.train)
    guard_statistics(responses, SPLIT)
    guard_statistics(scored(responses, train), SPLIT)
    centred = responses.values - responses.values.mean(axis=0)
    guard_statistics(replace(responses, values=centred), SPLIT)
    tiny = responses.trials(np.arange(9))
    guard_statistics(scored(tiny, np.ones(9, bool)), SPLIT)


def test_a_session_without_a_test_trial_may_be_standardised_whole() -> None:
    responses = raw()
    mixed = responses.trials((responses.session == 2) | responses.of(SPLIT.train))
    values = np.where(
        (mixed.session == 1)[:, None], scored(mixed, np.ones(len(mixed.values), bool)).values, mixed.values
    )
    guard_statistics(replace(mixed, values=values), SPLIT)


def test_runs_that_are_standardised_each_for_itself_may_be_left_out_in_turn() -> None:
    responses = raw()
    names = np.array([f"s{16 * int(session == 2) + n % 4}" for n, session in enumerate(responses.session)])
    by_run = replace(responses, stimulus=names, repeat=count_repeats(names))
    guard_statistics(scored(by_run, np.ones(120, bool)), SPLIT)


# clusters


def blobs() -> tuple[list[str], np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    kind = generator.integers(0, 3, 60)
    centres = generator.normal(size=(3, 6)) * 10
    return [f"s{n:02d}" for n in range(60)], centres[kind] + generator.normal(size=(60, 6)), kind


def test_a_cluster_is_held_out_whole_and_together_they_test_everything_once() -> None:
    ids, features, kind = blobs()
    splits = cluster_splits(ids, features, k=3, seed=0)
    assert [split.name for split in splits] == ["cluster-3-0", "cluster-3-1", "cluster-3-2"]
    truth = dict(zip(ids, kind.tolist(), strict=True))
    for split in splits:
        assert len({truth[name] for name in split.test}) == 1
        assert {truth[name] for name in split.test}.isdisjoint(truth[name] for name in split.train)
    assert sorted(name for split in splits for name in split.test) == ids
    sizes = [len(split.test) for split in splits]
    assert sizes == sorted(sizes, reverse=True)


def test_clusters_are_the_same_in_any_order_and_a_librarys_k_means_leaves_them_so() -> None:
    ids, features, _ = blobs()
    splits = cluster_splits(ids, features, k=5, seed=1)
    order = np.random.default_rng(0).permutation(60)
    assert cluster_splits([ids[row] for row in order], features[order], k=5, seed=1) == splits
    place = {name: row for row, name in enumerate(ids)}
    parts = [[place[name] for name in split.test] for split in splits]
    centres = np.stack([features[part].mean(axis=0) for part in parts])
    label = kmeans2(features, centres, iter=50, minit="matrix", missing="raise")[1]
    assert all((label[part] == number).all() for number, part in enumerate(parts))


def test_no_cluster_is_empty_and_an_impossible_number_is_refused() -> None:
    ids = [str(number) for number in range(12)]
    features = np.repeat([[0.0], [1.0], [50.0]], 4, axis=0)
    for seed in range(20):
        assert [len(split.test) for split in cluster_splits(ids, features, k=3, seed=seed)] == [4, 4, 4]
    for k in (1, 4, 13):
        with pytest.raises(InputError, match=f"2 to 3 clusters .* found {k};"):
            cluster_splits(ids, features, k=k, seed=0)
    with pytest.raises(InputError, match="finite"):
        cluster_splits(ids, np.full((12, 1), np.nan), k=2, seed=0)
