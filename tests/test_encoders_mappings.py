"""The contract of every mapping, over the catalogue: card, settings, a fit, its two files, what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from PIL import Image

from brain.catalogue import Catalogue
from brain.console.flags import parse
from brain.errors import InputError, UsageError
from brain.types import Recording, Responses, Split, Stimuli
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.mappings import CATALOGUE, FittedMap, Task, load_map
from encoders.mappings._parts.linear import LinearMap
from encoders.storage import read_json, read_tensors, write_json, write_tensors

IDS = tuple(f"s{one:02d}" for one in range(30))
FOLD = Split(name="held-out", train=IDS[:24], test=IDS[24:])
VOXELS = {"sbj_1": 24, "sbj_2": 20}
CARD = SpaceCard(name="clip-image", model="m", revision="1", layer="image_embeds", normalisation="none", shape=(2, 3))
TRUTH = np.random.default_rng(1).standard_normal((30, 2, 3)).astype(np.float32)
SHORT = {"network_steps": 12}
"""Settings that make a fit short, of mappings that read them."""

every = pytest.mark.parametrize("name", CATALOGUE.names())


def opener(name: str) -> Image.Image:
    return Image.fromarray(np.random.default_rng(IDS.index(name)).integers(0, 255, (8, 8, 3), np.uint8))


def recording(subject: str = "sbj_1") -> Recording:
    """Two subjects saw the same 30 pictures twice each; voxels are noisy mixtures of the conditions."""
    count = VOXELS[subject]
    rng = np.random.default_rng(count)
    shown = np.concatenate([rng.permutation(30), rng.permutation(30)])
    values = TRUTH.reshape(30, -1)[shown] @ rng.standard_normal((6, count)) + 0.5 * rng.standard_normal((60, count)) + 3
    ijk = np.stack([np.arange(count), np.arange(count) % 3, np.zeros(count, int)], 1)
    space = VoxelSpace(subject=subject, name="v", betas="b", unit="psc", shape=(30, 3, 1), affine=np.eye(4), ijk=ijk)
    responses = Responses(
        values=values.astype(np.float32), stimulus=np.array(IDS)[shown], session=np.repeat([1, 2], 30),
        repeat=np.repeat([0, 1], 30), space=space,
    )  # fmt: skip
    return Recording(
        responses=responses, stimuli=Stimuli(ids=IDS, modality="image", opener=opener), regions=(), splits=(FOLD,)
    )  # fmt: skip


def task(folder: Path, own: Recording) -> Task:
    true = Conditions(space=CARD, values=TRUTH, ids=IDS)

    def encode(stimuli: Stimuli, ids: Sequence[str], subject: str) -> Conditions:
        return true.take(ids)

    return Task(
        recording=own, fold=FOLD, conditions=true, rescaling="spread+norm", regions=("*",),
        columns=lambda other: np.arange(len(other.responses.space)), seed=3, folds=3, device="cpu", folder=folder,
        source=recording, encode=encode,
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that both subjects' recordings name as their source: a reader finds both names there."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("images_256", *VOXELS):
        np.savez(folder / f"{name}.npz", arr_0=np.zeros(1))
    return folder


@pytest.fixture(scope="module")
def own(people: Path) -> Recording:
    return replace(recording(), source=str(people))


@pytest.fixture(scope="module")
def fitted(own: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, FittedMap]:
    return {name: fit(name, task(tmp_path_factory.mktemp(name), own)) for name in CATALOGUE.names()}


def fit(name: str, on: Task) -> FittedMap:
    entry = CATALOGUE[name]
    fields = {field.name for field in dataclasses.fields(entry.settings)}
    return entry.fit(on, replace(entry.settings, **{key: value for key, value in SHORT.items() if key in fields}))


def test_the_catalogue_holds_the_mappings_of_the_recipes() -> None:
    assert {"ridge", "residual", "prior", "shared"} <= set(CATALOGUE.names())


@every
def test_its_card_is_complete(name: str) -> None:
    entry = CATALOGUE[name]
    for text in (entry.name, entry.title, entry.description, entry.citation, entry.family):
        assert text and text == text.strip() and "\n" not in text
    assert isinstance(entry.network, bool)
    said = entry.selection.format(folds=5, inside="the 24 training stimuli of split abc")
    assert "24 training stimuli" in said and said.endswith("never on test stimuli.") or "none of these test" in said


@every
def test_its_settings_are_frozen_and_plain_and_become_flags(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry = CATALOGUE[name]
    kind = type(entry.settings)
    assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    for field, hint in get_type_hints(kind).items():
        assert _plain(hint), f"{field} is {hint}"
        assert field in {one.name for one in dataclasses.fields(kind) if one.kw_only}
    entry.check(entry.settings)

    def asked(settings: kind = entry.settings) -> Any:  # type: ignore[valid-type]
        return settings

    asked.__annotations__ = {"settings": kind, "return": Any}
    assert parse(asked, program="fit", words=[]) == entry.settings
    with pytest.raises(SystemExit):
        parse(asked, program="fit", words=["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for one in dataclasses.fields(kind):
        assert f"--{one.name.replace('_', '-')}" in shown
    assert not dataclasses.fields(kind) or any(word in shown for word in ("penalt", "training"))


def _plain(hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return all(_plain(one) for one in get_args(hint) if one is not ...)
    return hint in (int, float, str, bool) or get_origin(hint) is Literal


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("ridge", {"alphas": (0.0,)}, "--alphas: expected finite numbers above 0, found 0"),
        ("ridge", {"chunk": 0}, "--chunk"),
        ("residual", {"network_steps": -1}, "--network-steps"),
        ("shared", {"alphas": (-1.0,)}, "--alphas"),
        ("shared", {"network_steps": -1}, "--network-steps"),
    ],
)
def test_settings_out_of_bounds_are_a_sentence(name: str, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(CATALOGUE[name].settings, **wrong)


def test_trials_that_nobody_knows_are_refused_by_name() -> None:
    entry = CATALOGUE["ridge"]
    with pytest.raises(UsageError, match="--trials: no use of training trials is called 'singel'; did you mean"):
        entry.check(replace(entry.settings, trials="singel"))


@every
def test_a_fit_predicts_and_says_what_it_is(name: str, own: Recording, fitted: dict[str, FittedMap]) -> None:
    mapped = fitted[name]
    CATALOGUE[name].ready(own, (FOLD,))
    assert mapped.family == CATALOGUE[name].family and mapped.space == CARD and mapped.regions == ("*",)
    assert mapped.unit == "psc" and mapped.voxels.unit == "z" and mapped.split == FOLD.sha256
    assert mapped.cv_r2.shape == (6,) and mapped.samples > 0
    decoded = mapped.decode(among_tests(own))
    assert decoded.ids == FOLD.test and decoded.values.shape == (6, 2, 3) and np.isfinite(decoded.values).all()
    card = mapped.card()
    assert (card["kind"], card["format"], card["family"]) == ("mapping", 2, mapped.family)
    assert json.loads(json.dumps(card)) == card


def among_tests(own: Recording) -> Responses:
    return own.responses.trials(own.responses.of(FOLD.test))


@every
def test_two_files_bring_it_back(name: str, fitted: dict[str, FittedMap], tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    fitted[name].save(path)
    back, test = load_map(path), among_tests(recording())
    assert back.card() == fitted[name].card()
    assert np.array_equal(back.decode(test).values, fitted[name].decode(test).values)
    stored = read_json(path.with_suffix(".json"), kind="mapping")
    assert stored["family"] == CATALOGUE[name].family and stored["format"] == 2


@every
def test_columns_are_reordered_and_a_pattern_alone_is_as_among_others(name: str, fitted: dict[str, FittedMap]) -> None:
    mapped, test = fitted[name], among_tests(recording())
    together = mapped.decode(test)
    turned = test.voxels(np.random.default_rng(0).permutation(VOXELS["sbj_1"]))
    assert np.array_equal(mapped.decode(turned).values, together.values)
    assert np.array_equal(mapped.decode(mapped.scaler.apply(test)).values, together.values)
    for one in together.ids:
        assert np.array_equal(mapped.decode(test.trials(test.of({one}))).values[0], together.take([one]).values[0])


@every
def test_other_data_are_refused(name: str, fitted: dict[str, FittedMap]) -> None:
    mapped, test = fitted[name], among_tests(recording())
    for wrong in ({"unit": "raw"}, {"subject": "subj09"}, {"betas": "c"}, {"ijk": test.space.ijk + [0, 0, 1]}):
        with pytest.raises(InputError):
            mapped.decode(replace(test, space=replace(test.space, **wrong)))
    with pytest.raises(InputError, match="NaN"):
        mapped.predict(np.full((1, VOXELS["sbj_1"]), np.nan, np.float32), ids=["a"])
    with pytest.raises(InputError, match="ids"):
        mapped.predict(np.zeros((2, VOXELS["sbj_1"]), np.float32), ids=["a"])


@every
def test_copies_of_test_trials_are_refused(name: str, own: Recording, tmp_path: Path) -> None:
    values = own.responses.values.copy()
    train, test = (np.flatnonzero(own.responses.of(ids))[0] for ids in (FOLD.train, FOLD.test))
    values[train] = 2 * values[test] + 1
    with pytest.raises(InputError, match="of the training data is test trial"):
        fit(name, task(tmp_path, replace(own, responses=replace(own.responses, values=values))))


@every
def test_test_trials_change_no_number(
    name: str, own: Recording, fitted: dict[str, FittedMap], tmp_path: Path
) -> None:
    values = own.responses.values.copy()
    rows = own.responses.of(FOLD.test)
    values[rows] = np.random.default_rng(9).standard_normal((int(rows.sum()), values.shape[1])) * 50
    again = fit(name, task(tmp_path, replace(own, responses=replace(own.responses, values=values))))
    assert again.card() == fitted[name].card()
    patterns = np.random.default_rng(4).standard_normal((3, VOXELS["sbj_1"])).astype(np.float32)
    assert np.array_equal(again.predict(patterns, ids="abc").values, fitted[name].predict(patterns, ids="abc").values)


def test_a_ridge_reads_single_trials_where_that_is_asked(own: Recording, tmp_path: Path) -> None:
    entry = CATALOGUE["ridge"]
    assert entry.fit(task(tmp_path, own), replace(entry.settings, trials="single")).samples == 48
    assert entry.fit(task(tmp_path, own), entry.settings).samples == 24


def test_data_of_one_subject_alone_train_no_shared_trunk(own: Recording, people: Path, tmp_path: Path) -> None:
    shutil.copy(people / "sbj_1.npz", tmp_path)
    with pytest.raises(UsageError, match="holds sbj_1 alone"):
        CATALOGUE["shared"].ready(replace(own, source=str(tmp_path)), (FOLD,))


@every
def test_a_map_of_the_first_format_is_read(name: str, fitted: dict[str, FittedMap], tmp_path: Path) -> None:
    """As version 0.1.0 wrote it: another kind for networks, no family, `way` for how a network answers."""
    mapped, path = fitted[name], tmp_path / "old.safetensors"
    mapped.save(path)
    card = read_json(path.with_suffix(".json"), kind="mapping")
    kind = {"linear": "mapping", "network": "network-map"}[card.pop("family")]
    if kind == "network-map":
        card["way"] = name
        del card["answer"]
    tensors, _ = read_tensors(path, kind="mapping")
    write_tensors(path, tensors, kind=kind, card={"format": 1})
    card |= {"kind": kind, "format": 1, "tensors": {"file": path.name, "sha256": _sha256(path)}}
    write_json(path.with_suffix(".json"), card)
    back, test = load_map(path), among_tests(recording())
    assert back.card() == mapped.card()
    assert np.array_equal(back.decode(test).values, mapped.decode(test).values)


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"family": "spline"}, {"family": 3}, {"family": None}, {"format": 3}, {"kind": "conditions"},
        {"format": 1, "kind": "x"},
    ],
)  # fmt: skip
def test_a_family_that_nobody_knows_is_one_sentence(
    fitted: dict[str, FittedMap], tmp_path: Path, changed: dict[str, Any]
) -> None:
    path = tmp_path / "one.safetensors"
    fitted["ridge"].save(path)
    card = read_json(path.with_suffix(".json"), kind="mapping")
    write_json(path.with_suffix(".json"), card | changed)
    with pytest.raises(InputError, match="expected a mapping of") as said:
        load_map(path)
    assert "\n" not in str(said.value)


def test_a_new_mapping_is_one_file(own: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which returns a linear map made any way, here by the mean response to what is above the mean."""
    package = tmp_path / "added"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "template.py").write_text(TEMPLATE)
    monkeypatch.syspath_prepend(str(tmp_path))
    (entry,) = Catalogue("added", "mapping")
    mapped = entry.fit(task(tmp_path, own), entry.settings)
    assert isinstance(mapped, LinearMap) and mapped.card()["alpha"] == {}
    mapped.save(tmp_path / "new.safetensors")
    assert np.array_equal(load_map(tmp_path / "new.safetensors").decode(among_tests(recording())).values,
                          mapped.decode(among_tests(recording())).values)  # fmt: skip


TEMPLATE = '''
from dataclasses import dataclass

import numpy as np

from encoders.mappings._parts.linear import LinearMap
from encoders.patterns import standardised, training_patterns
from encoders.rescale import Rescaling


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """None."""


class Template:
    name, title, description, citation = "template", "Template", "covariance as weights", "none"
    settings, network, family, selection = Knobs(), False, "linear", "Nothing was chosen inside {inside}."

    def check(self, settings):
        pass

    def ready(self, recording, folds):
        pass

    def fit(self, task, settings):
        responses = task.recording.responses.voxels(task.columns(task.recording))
        training, scaler = standardised(responses, task.fold.train)
        patterns, ids = training_patterns(training, "averaged")
        truth = task.conditions.take(ids).values.reshape(len(ids), -1)
        mean = truth.mean(0)
        weights = (patterns.T @ (truth - mean) / len(ids)).astype(np.float32)
        return LinearMap(
            voxels=training.space, unit=responses.space.unit, regions=task.regions, space=task.conditions.space,
            scaler=scaler, weights=weights, x_mean=np.zeros(len(weights)), y_mean=mean.astype(np.float64),
            cv_r2=np.zeros(len(mean), np.float32), split=task.fold.sha256, samples=len(ids), notes=(),
            rescaling=Rescaling.fit(patterns @ weights, truth, groups=ids, kind=task.rescaling, limit=5.0),
        )

    def load(self, path):
        return LinearMap.load(path)


ENTRIES = (Template(),)
'''


def test_reading_cards_and_settings_imports_nothing_heavy(checkout: Path) -> None:
    code = (
        "import sys\nfrom encoders.mappings import CATALOGUE\n"
        "for one in CATALOGUE: one.title, one.citation, one.check(one.settings)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'scipy', 'sklearn', 'accelerate'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
