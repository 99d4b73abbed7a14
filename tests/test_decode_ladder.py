"""Seeds, derangements, folds and rows: what decides a sample, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.errors import InputError, StorageError, UsageError
from brain.readers import open_recording
from brain.types import Split
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.migration import as_stored, section_from, settings_from
from decode.run.patterns import first_repeats, folds_of
from decode.run.seeds import derangement, sample_seed
from decode.run.settings import MapSettings, SamplingSettings, Settings, maps_of, to_json
from encoders.conditions import Conditions, SpaceCard
from pipelines.generators.takagi import TakagiSampling

SPACE = SpaceCard(name="pixels", model="grey-1x2", revision="1", layer="pixels", normalisation="0..1", shape=(1, 1, 2))


@given(st.lists(st.text(min_size=1), min_size=2, max_size=30, unique=True), st.integers())
def test_a_derangement_is_a_bijection_without_a_fixed_point_whatever_the_order(ids: list[str], seed: int) -> None:
    partner = derangement(ids, seed)
    assert sorted(partner) == sorted(partner.values()) == sorted(ids)
    assert all(partner[name] != name for name in ids)
    assert derangement(ids[::-1], seed) == partner


def test_seeds_differ_by_run_stimulus_and_index_and_fit_a_generator() -> None:
    seeds = {sample_seed(run, name, index) for run in range(3) for name in ("a", "b", "a1") for index in range(4)}
    assert len(seeds) == 36
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert sample_seed(0, "nsd00013", 0) == 1539622927254008013  # what was drawn once is drawn again in every version


def ladder() -> Ladder:
    def conditions(ids: tuple[str, ...], values: list[list[float]]) -> Conditions:
        return Conditions(space=SPACE, ids=ids, values=np.array(values, np.float32).reshape(len(ids), 1, 1, 2))

    true = conditions(("a", "b", "c", "d"), [[0, 1], [1, 0], [2, 4], [9, 5]])
    decoded = conditions(("c", "d"), [[0.1, 0.9], [0.8, 0.2]])
    folds = (Split(name="only", train=("a", "b"), test=("c", "d")),)
    return Ladder(folds=folds, true={"pixels": true}, decoded={"pixels": decoded}, seed=0)


def test_every_row_draws_from_what_it_says() -> None:
    every = ("decoded", "shuffled", "mean", "oracle")
    rows = {row: ladder().conditions(row, ["d", "c"], ["pixels"])["pixels"] for row in every}
    assert all(row.ids == ("d", "c") for row in rows.values())
    np.testing.assert_allclose(rows["decoded"].values.reshape(2, 2), [[0.8, 0.2], [0.1, 0.9]])
    np.testing.assert_allclose(rows["shuffled"].values.reshape(2, 2), [[0.1, 0.9], [0.8, 0.2]])
    np.testing.assert_allclose(rows["mean"].values.reshape(2, 2), [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(rows["oracle"].values.reshape(2, 2), [[9, 5], [2, 4]])


def test_retrieval_takes_the_training_picture_that_correlates_best() -> None:
    assert ladder().nearest("c") == "a"
    assert ladder().nearest("d") == "b"


def test_retrieval_searches_with_a_map_that_is_read() -> None:
    plain = ladder()
    probe = replace(plain.decoded["pixels"], values=plain.decoded["pixels"].values[::-1].copy())
    two = replace(
        plain, true={"probe": plain.true["pixels"], **plain.true}, decoded={"probe": probe, **plain.decoded},
        read=("pixels",),
    )  # fmt: skip
    assert [two.nearest(name) for name in "cd"] == [plain.nearest(name) for name in "cd"] == ["a", "b"]
    assert replace(two, read=("probe",)).nearest("c") == "b"


def test_a_stimulus_tested_in_two_folds_is_refused(planted: Path) -> None:
    recording = open_recording(planted)
    first = recording.splits[0]
    twice = tuple(Split(name=f"leave-out-{number}", train=first.train, test=first.test) for number in (1, 2))
    with pytest.raises(InputError, match="tested in more than one"):
        folds_of(replace(recording, splits=twice), "leave-out")


def test_the_first_repeats_are_the_earliest(planted: Path) -> None:
    responses = open_recording(planted).responses
    once = first_repeats(responses, 1)
    assert len(once.values) == 36 and set(once.session.tolist()) == {1}
    assert first_repeats(responses, 0) is responses
    assert len(first_repeats(responses, 9).values) == 72


@pytest.mark.parametrize("recipe", list(CATALOGUE), ids=lambda recipe: recipe.name)
def test_a_recipe_returns_complete_settings_that_survive_json(recipe: object) -> None:
    settings = recipe.settings()  # type: ignore[attr-defined]
    assert settings.recipe == recipe.name and recipe.title and recipe.description  # type: ignore[attr-defined]
    assert maps_of(settings.maps) and settings.sampling.method in settings.methods
    stored = json.loads(json.dumps(as_stored(settings.whole(), "data")))
    assert settings_from(stored, where="settings.json") == settings.whole()


@pytest.mark.parametrize(
    ("maps", "word"),
    [((), "at least one"), (("clip-text",), "SPACE=REGION"), (("a=b", "a=c"), "twice"), (("a=b+",), "SPACE=REGION"),
     ((":a=b",), "SPACE=REGION"), (("a@=b",), "SPACE=REGION"), (("x:a=b", "x:c=b"), "twice")],
)
def test_maps_that_say_nothing_clear_are_refused(maps: tuple[str, ...], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        maps_of(MapSettings(maps=maps))


def test_settings_of_another_version_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="warp"):
        section_from(SamplingSettings, {**to_json(SamplingSettings()), "warp": 9}, where="settings.json")
    known = to_json(TakagiSampling())
    for name, value in (("steps", "many"), ("guidance", True), ("scheduler", "warp"), ("strength", [1])):
        with pytest.raises(InputError, match=f"settings.json: {name}: expected "):
            section_from(TakagiSampling, {**known, name: value}, where="settings.json")
    assert section_from(TakagiSampling, {**known, "guidance": 3}, where="settings.json").guidance == 3
    with pytest.raises(InputError, match="rows: expected "):
        section_from(SamplingSettings, {**to_json(SamplingSettings()), "rows": ["decoded", 1]}, where="settings.json")


def test_maps_have_names_spaces_and_mappings() -> None:
    maps = maps_of(MapSettings(maps=("clip-text=V1+V2", "fine:clip-text@prior=V4"), mapping="ridge"))
    assert list(maps) == ["clip-text", "fine"] and {one.space for one in maps.values()} == {"clip-text"}
    assert (maps["fine"].mapping, maps["fine"].regions) == ("prior", ("V4",)) and maps["clip-text"].mapping == "ridge"


def test_a_run_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.lock(), pytest.raises(StorageError, match="process [0-9]+ is working"), run.lock():
        pass
    with run.lock():
        pass


def test_a_folder_with_other_files_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="other files"):
        RunFolder(tmp_path).claim(Settings(recipe="x"), tmp_path / "data", ("fit",))
    assert [child.name for child in tmp_path.iterdir()] == ["thesis.tex"]
