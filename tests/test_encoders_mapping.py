"""A mapping's contracts: voxels reordered or refused, statistics from training alone, one as in a batch, disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.errors import InputError
from brain.types import Responses
from brain.voxels import VoxelSpace, column_space, surface_space
from encoders.conditions import Conditions, SpaceCard
from encoders.mappings._parts.linear import LinearMap, MappingSettings, fit_mapping
from encoders.ridge import RidgeSettings
from tests.rounding import rounding

STIMULI, REPEATS, VOXELS = 60, 3, 40
TEST = {f"nsd{one:05d}" for one in range(0, STIMULI, 6)}
CARD = SpaceCard(name="clip-image", model="m", revision="1", layer="image_embeds", normalisation="none", shape=(2, 5))
SETTINGS = MappingSettings(ridge=RidgeSettings(alphas=(1.0, 10.0, 100.0, 1000.0), folds=4))


def experiment(poison: float | None = None) -> tuple[Responses, Conditions]:
    """Responses that carry the conditions, in two sessions; `poison` replaces every test trial."""
    rng = np.random.default_rng(0)
    ids = tuple(f"nsd{one:05d}" for one in range(STIMULI))
    truth = rng.standard_normal((STIMULI, 10)).astype(np.float32)
    shown = np.tile(np.arange(STIMULI), REPEATS)
    values = truth[shown] @ rng.standard_normal((10, VOXELS)) + rng.standard_normal((len(shown), VOXELS)) + 4
    stimulus = np.array(ids)[shown]
    if poison is not None:
        values[np.isin(stimulus, sorted(TEST))] = poison
    ijk = np.stack(np.unravel_index(rng.permutation(1000)[:VOXELS], (10, 10, 10)), axis=1)
    space = VoxelSpace(
        subject="subj01", name="func", betas="b2", unit="psc", shape=(10, 10, 10), affine=np.eye(4), ijk=ijk
    )
    responses = Responses(
        values=values,
        stimulus=stimulus,
        session=np.arange(len(shown)) % 2 + 1,
        repeat=np.repeat(np.arange(REPEATS), STIMULI),
        space=space,
    )
    return responses, Conditions(space=CARD, values=truth.reshape(STIMULI, 2, 5), ids=ids)


def fit(responses: Responses, conditions: Conditions, *, rescaling: str = "spread+norm") -> LinearMap:
    train = ~responses.of(TEST)
    scaler = SessionScaler.fit(responses, train)
    averaged = average_repeats(scaler.apply(responses).trials(train))
    return fit_mapping(
        averaged.values,
        averaged.ids,
        conditions=conditions,
        voxels=replace(responses.space, unit="z"),
        unit=responses.space.unit,
        regions=("V1", "V2"),
        scaler=scaler,
        rescaling=rescaling,
        split="abc",
        settings=SETTINGS,
    )


@pytest.fixture(scope="module")
def mapping() -> LinearMap:
    return fit(*experiment())


def test_it_decodes_what_it_was_fitted_for(mapping: LinearMap) -> None:
    responses, truth = experiment()
    prediction = mapping.decode(responses.trials(responses.of(TEST)))
    assert prediction.space == CARD and set(prediction.ids) == TEST
    flat, true = prediction.values.reshape(len(TEST), -1), truth.take(prediction.ids).values.reshape(len(TEST), -1)
    assert np.corrcoef(flat.ravel(), true.ravel())[0, 1] > 0.9
    length = np.linalg.norm(flat.astype(np.float64), axis=1)
    # restored in float64, kept as float32
    np.testing.assert_allclose(length, mapping.rescaling.norm, rtol=rounding(sums=1, scale=1.0))
    assert mapping.cv_r2.mean() > 0.7 and mapping.samples == STIMULI - len(TEST)


def test_held_out_rows_change_no_fitted_number(mapping: LinearMap) -> None:
    poisoned = fit(*experiment(poison=1e6))
    for name, array in mapping.tensors().items():
        np.testing.assert_array_equal(array, poisoned.tensors()[name], err_msg=name)
    assert mapping.card() == poisoned.card()


def test_a_pattern_alone_has_the_bits_it_has_in_a_batch(mapping: LinearMap) -> None:
    responses, _ = experiment()
    test = responses.trials(responses.of(TEST))
    together = mapping.decode(test)
    for one in sorted(TEST):
        np.testing.assert_array_equal(
            mapping.decode(test.trials(test.of({one}))).values[0], together.take([one]).values[0]
        )


def test_other_voxel_orders_are_brought_back_and_other_voxels_refused(mapping: LinearMap) -> None:
    responses, _ = experiment()
    test = responses.trials(responses.of(TEST))
    shuffled = test.voxels(np.random.default_rng(2).permutation(VOXELS))
    np.testing.assert_array_equal(mapping.decode(shuffled).values, mapping.decode(test).values)
    moved = replace(test, space=replace(test.space, ijk=(test.space.ijk + 1) % 10))
    with pytest.raises(InputError, match="voxels are not in these data"):
        mapping.decode(moved)
    for change in ({"subject": "subj02"}, {"betas": "b3"}, {"affine": np.eye(4) * 2}, {"unit": "raw"}):
        with pytest.raises(InputError):
            mapping.decode(replace(test, space=replace(test.space, **change)))


def test_z_scores_are_taken_as_they_are(mapping: LinearMap) -> None:
    responses, _ = experiment()
    test = responses.trials(responses.of(TEST))
    np.testing.assert_array_equal(mapping.decode(mapping.scaler.apply(test)).values, mapping.decode(test).values)


def test_single_trials_may_train_with_repeats_in_one_fold() -> None:
    responses, conditions = experiment()
    train = ~responses.of(TEST)
    scaler = SessionScaler.fit(responses, train)
    trials = scaler.apply(responses).trials(train)
    single = fit_mapping(
        trials.values,
        trials.stimulus.tolist(),
        conditions=conditions,
        voxels=trials.space,
        unit="psc",
        regions=("V1",),
        scaler=scaler,
        rescaling="spread",
        split="abc",
        settings=SETTINGS,
    )
    assert single.samples == len(trials.values) and single.cv_r2.mean() > 0.5


def test_wrong_patterns_are_refused(mapping: LinearMap) -> None:
    with pytest.raises(InputError, match="ids"):
        mapping.predict(np.zeros((2, VOXELS), np.float32), ids=["a"])
    with pytest.raises(InputError, match="NaN"):
        mapping.predict(np.full((1, VOXELS), np.nan, np.float32), ids=["a"])
    with pytest.raises(InputError, match="voxels"):
        mapping.predict(np.zeros((1, VOXELS + 1), np.float32), ids=["a"])
    with pytest.raises(InputError, match="unit 'z'"):
        replace(mapping, voxels=replace(mapping.voxels, unit="psc"))


def test_saved_and_loaded_it_is_the_same(mapping: LinearMap, tmp_path: Path) -> None:
    path = tmp_path / "maps" / "early.safetensors"
    mapping.save(path)
    back = LinearMap.load(path)
    assert back.card() == mapping.card() and back.voxels.sha256 == mapping.voxels.sha256
    responses, _ = experiment()
    np.testing.assert_array_equal(back.decode(responses).values, mapping.decode(responses).values)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["voxels"]["count"] == VOXELS and card["split_sha256"] == "abc" and card["regions"] == ["V1", "V2"]
    assert sum(card["alpha"].values()) == 10 and card["space"] == CARD.facts() and card["versions"]["numpy"]


@pytest.mark.parametrize("kind", ["surface", "columns"])
def test_a_map_of_vertices_or_of_columns_keeps_what_they_are(tmp_path: Path, kind: str) -> None:
    responses, conditions = experiment()
    facts = {"subject": "subj01", "name": "n", "betas": "b2", "unit": "psc"}
    sides = ["L"] * (VOXELS // 2) + ["R"] * (VOXELS - VOXELS // 2)
    space = {
        "surface": surface_space(**facts, vertices=range(VOXELS), hemisphere=sides, of=VOXELS),
        "columns": column_space(**facts, columns=VOXELS, source="a" * 64),
    }[kind]
    own = replace(responses, space=space)
    mapping = fit(own, conditions)
    mapping.save(tmp_path / "one.safetensors")
    back = LinearMap.load(tmp_path / "one.safetensors")
    assert (back.voxels.kind, back.voxels.source) == (kind, space.source)
    np.testing.assert_array_equal(back.decode(own).values, mapping.decode(own).values)
    with pytest.raises(InputError, match=f"fitted on kind '{kind}' and these data have 'volume'"):
        back.decode(responses)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(bytes(whole))


def _edit(path: Path, *keys: str, value: object) -> None:
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    place = card
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")


DAMAGE = {
    "truncated": _truncate,
    "a flipped bit": _flip,
    "foreign": lambda path: save_file({"weights": np.zeros(3, np.float32)}, path),
    "without its card": lambda path: path.with_suffix(".json").unlink(),
    "with a broken card": lambda path: path.with_suffix(".json").write_text("{"),
    "with a card that lacks a fact": lambda path: path.with_suffix(".json").write_text('{"kind": "mapping"}'),
    "with a card of another format": lambda path: _edit(path, "format", value=99),
    "with a card of another subject": lambda path: _edit(path, "voxels", "subject", value="subj02"),
    "with a card of another shape": lambda path: _edit(path, "space", "shape", value=[3, 5]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_mapping_is_one_sentence(mapping: LinearMap, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "early.safetensors"
    mapping.save(path)
    DAMAGE[damage](path)
    with pytest.raises(InputError) as said:
        LinearMap.load(path)
    assert "\n" not in str(said.value)


def test_its_name_must_end_in_safetensors(mapping: LinearMap, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="safetensors"):
        mapping.save(tmp_path / "early.bin")
