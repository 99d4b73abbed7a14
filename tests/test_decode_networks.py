"""Networks as recipes: fitted, killed and gone on with, decoded, on a shared trunk, every fault a sentence."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.cli import main
from brain.errors import InputError
from brain.readers import open_recording
from brain.types import Recording, Responses, Split
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.run.settings import Settings, maps_of
from decode.stages.draw.opened import Opened
from decode.stages.draw.silenced import fitted_on
from decode.stages.fit.fit import task_of
from decode.stages.fit.spaces import open_spaces
from encoders.conditions import Conditions
from encoders.mappings import Task, load_map
from encoders.mappings._parts.linear import LinearMap
from encoders.mappings._parts.network import NetworkMap, draw_seed
from encoders.mappings._parts.sources import source_split, source_trials
from encoders.spaces import Space
from evaluation.samples.read import read_samples
from tests.sampling import asked

FAST = ("--network-steps", "12", "--steps", "2", "--folds", "3", "--judge", "pixels", "--bootstrap", "100",
        "--permutations", "20", "--rows", "decoded", "oracle")  # fmt: skip
PICTURES, TESTS, REPEATS = 24, 5, 2
VOXELS = {"sbj_1": 30, "sbj_2": 24, "sbj_3": 18}


def study(data: Path, out: Path, stack: Path, *more: str, command: str = "study") -> int:
    cut = FAST[:2] + FAST[4:6] if command == "fit" else FAST
    recipe = () if "--recipe" in more else ("--recipe", "residual-miniature")
    return main([command, str(data), "--out", str(out), "--stack", str(stack), *cut, *recipe, *more])


def map_of(run: Path) -> Path:
    (path,) = (run / "maps").glob("*.safetensors")
    return path


def trials_of_test(recording: Recording) -> Responses:
    return recording.responses.trials(recording.responses.of(recording.split().test))


@pytest.fixture(scope="module")
def residual(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study by the recipe residual-miniature."""
    out = tmp_path_factory.mktemp("runs") / "residual"
    assert study(planted, out, tiny_stack) == 0
    return out


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects of different voxel counts who saw the same pictures, in MinD-Vis's layout."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    pictures = rng.random((PICTURES + TESTS, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    np.savez(folder / "images_256.npz", train_images=pictures[:PICTURES], test_images=pictures[PICTURES:])
    seen = pictures[:, ::4, ::4].reshape(PICTURES + TESTS, -1) - 0.5
    for name, voxels in VOXELS.items():
        signal_ = seen @ rng.standard_normal((48, voxels))
        tests = np.repeat(signal_[PICTURES:], REPEATS, axis=0) + 0.5 * rng.standard_normal((TESTS * REPEATS, voxels))
        order = rng.permutation(PICTURES)
        np.savez(
            folder / f"{name}.npz",
            arr_0=signal_[order] + 0.5 * rng.standard_normal((PICTURES, voxels)),
            arr_1=tests,
            arr_2=tests.reshape(TESTS, REPEATS, voxels).mean(1),
            arr_3=order,
            VC=np.ones(voxels, bool),
        )
    return folder


@pytest.fixture(scope="module")
def space(people: Path, tiny_stack: Path) -> Space:
    stimuli = open_recording(people, subject="sbj_1").stimuli
    (found,) = open_spaces(shared(tiny_stack), stimuli=stimuli, ids=stimuli.ids).values()
    return found


def shared(stack: Path) -> Settings:
    settings = CATALOGUE["shared-miniature"].settings()
    return asked(settings, stack=str(stack), maps=("clip-image=VC",))


def task(folder: Path, recording: Recording, fold: Split, space: Space, stack: Path) -> Task:
    """The task of shared-miniature on this fold; true conditions of this subject are not looked at."""
    none = Conditions(space=space.card, values=np.zeros((0, *space.card.shape), np.float32), ids=())
    settings = shared(stack)
    (spec,) = maps_of(settings.maps).values()
    return task_of(RunFolder(folder), recording, fold, spec, none, space=space, settings=settings)


def test_of_a_network_silenced_voxels_stand_at_the_mean_of_single_training_trials(residual: Path) -> None:
    settings, data = RunFolder(residual).stored()
    opened = Opened(run=RunFolder(residual), settings=settings, data=data)
    (spec,), (fold,), mapping = maps_of(settings.maps).values(), opened.folds, load_map(map_of(residual))
    assert fitted_on(settings, spec) == "single"
    trials = mapping.own(trials_of_test(opened.recording))
    early = opened.recording.region("early").mask[opened.recording.columns(spec.regions)]
    shown = opened.recording.responses
    values = np.where(early, mapping.own(shown.trials(shown.of(fold.train))).values.mean(0), trials.values)
    hand = mapping.decode(replace(trials, values=values))
    found = opened.decoded(set(fold.test), lambda one: one, settings=settings, silenced=("early",))[spec.name]
    whole = mapping.decode(trials).take(hand.ids).values
    assert np.abs(hand.values - whole).max() > 0.01 * np.abs(whole).max()
    np.testing.assert_allclose(found.take(hand.ids).values, hand.values, atol=1e-3 * np.abs(whole).max(), rtol=0)


def test_a_study_by_a_network_ends_in_a_report_and_says_how_it_was_trained(residual: Path) -> None:
    assert (residual / "report/report.html").stat().st_size > 0
    samples = read_samples(residual, references=None)
    assert {row: len(samples.of(row)) for row in samples.rows()} == {"decoded": 8, "oracle": 8}
    card = json.loads((residual / "card.json").read_text())
    assert card["settings"]["maps"]["mapping"] == "residual" and set(card["accuracy"]) == {"clip-image of held-out"}
    (note,) = card["notes"]
    assert note.startswith("clip-image: a residual network, trained on 46 trials of 23 training stimuli")
    assert (residual / "training/held-out/clip-image/log.jsonl").is_file()
    assert (
        "Networks were stopped by held-out stimuli"
        in json.loads((residual / "report/leaks.json").read_text())["penalty"]
    )


def test_its_card_tells_what_a_ridge_s_card_tells(residual: Path) -> None:
    mapped = load_map(map_of(residual))
    assert isinstance(mapped, NetworkMap) and mapped.regions == ("nsdgeneral",) and mapped.samples == 46
    assert mapped.rescaling.kind == "spread+norm" and mapped.cv_r2.shape == mapped.space.shape
    card = json.loads(map_of(residual).with_suffix(".json").read_text())
    assert card["family"] == "network" and card["voxels"]["count"] == 90 and card["answer"] == "regression"
    assert card["split_sha256"] == mapped.split and card["space"] == mapped.space.facts()


def test_the_accuracy_is_that_of_held_out_training_stimuli(residual: Path, planted: Path) -> None:
    mapped, recording = load_map(map_of(residual)), open_recording(planted)
    assert isinstance(mapped, NetworkMap)
    true = Conditions.load(residual / "conditions/clip-image.true.safetensors")
    split = recording.split()
    inner = np.unique(np.array(split.train))
    held = set(np.random.default_rng([0, 11]).permutation(inner)[:5].tolist())
    own = mapped.own(recording.responses.trials(recording.responses.of(held)))
    ids = sorted(held)
    values = np.stack([own.values[own.stimulus == name].mean(0) for name in ids])
    truth = true.take(ids).values
    left = np.square(truth - mapped.network.regress(values)).sum(0) / np.square(truth - truth.mean(0)).sum(0)
    np.testing.assert_allclose(mapped.cv_r2, 1 - left, atol=1e-3)


@pytest.mark.parametrize("way", ["residual", "prior"])
def test_a_stimulus_alone_is_decoded_as_among_all(
    planted: Path, residual: Path, prior: Path, way: str
) -> None:  # fmt: skip
    mapped = load_map(map_of({"residual": residual, "prior": prior}[way]))
    test = trials_of_test(open_recording(planted))
    together = mapped.decode(test)
    assert len(together) == 8 and np.isfinite(together.values).all()
    for name in together.ids:
        assert np.array_equal(mapped.decode(test.trials(test.of({name}))).values[0], together.take([name]).values[0])


@pytest.fixture(scope="module")
def prior(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose conditions the diffusion prior draws."""
    out = tmp_path_factory.mktemp("runs") / "prior"
    assert study(planted, out, tiny_stack, "--mapping", "prior") == 0
    return out


def test_the_prior_draws_from_one_seed_a_stimulus(prior: Path, residual: Path, planted: Path) -> None:
    mapped, regression = load_map(map_of(prior)), load_map(map_of(residual))
    assert isinstance(mapped, NetworkMap) and isinstance(regression, NetworkMap)
    pattern = np.zeros((2, 90), np.float32)
    drawn = mapped.predict(pattern, ids=["a", "b"]).values
    assert not np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[1], mapped.predict(pattern[:1], ids=["b"]).values[0])
    assert not np.array_equal(drawn, replace(mapped, seed=1).predict(pattern, ids=["a", "b"]).values)
    assert len({draw_seed(seed, name) for seed in range(5) for name in "abc"}) == 15
    # both recipes train one network; only what answers differs
    assert np.array_equal(mapped.network.regress(pattern), regression.network.regress(pattern))
    assert mapped.rescaling.kind == "none" and "diffusion prior" in mapped.notes[-1]
    decoded = Conditions.load(prior / "conditions/clip-image.decoded.safetensors")
    assert np.array_equal(
        decoded.values, mapped.decode(trials_of_test(open_recording(planted))).take(decoded.ids).values
    )


def test_a_trunk_of_other_subjects_is_joined(people: Path, tiny_stack: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ("--recipe", "shared-miniature", "--subject", "sbj_2", "--maps", "clip-image=VC")
    assert study(people, run, tiny_stack, *more) == 0
    assert (run / "report/report.html").is_file() and len(read_samples(run, references=None).of("decoded")) == TESTS
    mapped = load_map(map_of(run))
    assert isinstance(mapped, NetworkMap) and mapped.network.subjects == ("sbj_2",) and len(mapped.voxels) == 24
    sources = mapped.network.card()["facts"]["joined"]["data"]
    assert [(one["subject"], one["voxels"]) for one in sources] == [("sbj_1", 30), ("sbj_3", 18)]
    assert mapped.notes[1] == "the trunk was trained on sbj_1 (22 trials), sbj_3 (22 trials)"
    for part in ("others/encoder.safetensors", "adapter/log.jsonl"):
        assert (run / "training/god/clip-image" / part).is_file()
    assert "source subjects of the shared trunk" in json.loads((run / "report/leaks.json").read_text())["penalty"]
    # as if it had been killed before the last save of both trainings
    whole = map_of(run).read_bytes()
    shutil.rmtree(run / "maps")
    for part in ("others", "adapter"):
        sorted((run / "training/god/clip-image" / part / "checkpoints").iterdir())[-1].unlink()
    assert study(people, run, tiny_stack, *more) == 0
    assert map_of(run).read_bytes() == whole


def test_what_the_run_tests_trains_no_source_subject(
    people: Path, tiny_stack: Path, space: Space, tmp_path: Path
) -> None:
    """Neither where its own split trains on it, nor its own test stimuli; no bit of either is left."""
    mine = open_recording(people, subject="sbj_1")
    own = mine.split()
    fold = Split(name="other", train=(*own.train[3:], *own.test), test=own.train[:3])
    kept = set(own.train) - set(fold.test)
    assert set(source_split(open_recording(people, subject="sbj_2"), fold).train) == kept
    trials = source_trials(task(tmp_path, mine, fold, space, tiny_stack), "sbj_2")
    assert set(trials.ids.tolist()) == kept
    poisoned = shutil.copytree(people, tmp_path / "poisoned")
    with np.load(people / "sbj_2.npz") as stored:
        arrays = dict(stored)
    gone = np.isin(arrays["arr_3"], [int(name.removeprefix("train")) for name in fold.test])
    arrays["arr_0"][gone] *= -7
    arrays["arr_1"], arrays["arr_2"] = arrays["arr_1"] * 9, arrays["arr_2"] * 9
    np.savez(poisoned / "sbj_2.npz", **arrays)
    moved = replace(mine, source=str(poisoned))
    again = source_trials(task(tmp_path, moved, fold, space, tiny_stack), "sbj_2")
    assert np.array_equal(again.values, trials.values) and np.array_equal(again.truth, trials.truth)
    with pytest.raises(InputError, match="tests every stimulus"):
        source_split(open_recording(people, subject="sbj_2"), Split(name="all", train=own.test, test=own.train))


def test_a_source_subject_who_saw_a_tested_picture_under_another_name_is_refused(
    people: Path, tiny_stack: Path, space: Space, tmp_path: Path
) -> None:
    mine = open_recording(people, subject="sbj_1")

    def opener(name: str) -> object:
        return mine.stimuli.opener("train0007" if name == "test0000" else name)

    twin = replace(mine, stimuli=replace(mine.stimuli, opener=opener))
    with pytest.raises(InputError, match="train0007 is the same as test stimulus test0000"):
        source_trials(task(tmp_path, twin, mine.split(), space, tiny_stack), "sbj_2")


def test_a_killed_fit_goes_on_to_the_same_bytes(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    more = ("--network-steps", "100", "--seed", "3")
    assert study(planted, tmp_path / "whole", tiny_stack, *more, command="fit") == 0
    run = tmp_path / "killed"
    code = "import sys; from app.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["fit", str(planted), "--out", str(run), "--stack", str(tiny_stack), "--recipe", "residual-miniature",
             "--folds", "3", *more]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log = run / "training/held-out/clip-image/log.jsonl"
    while process.poll() is None and not (log.is_file() and log.read_bytes().count(b"\n") >= 33):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (run / "maps").exists()
    assert main(words) == 0
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == list(range(1, 101))
    for ending in (".safetensors", ".json"):
        mine, theirs = (map_of(tmp_path / name).with_suffix(ending) for name in ("whole", "killed"))
        assert mine.read_bytes() == theirs.read_bytes()


def test_other_voxels_are_refused_and_another_order_is_brought_back(residual: Path, planted: Path) -> None:
    mapped = load_map(map_of(residual))
    test = trials_of_test(open_recording(planted))
    shuffled = test.voxels(np.random.default_rng(2).permutation(90))
    assert np.array_equal(mapped.decode(shuffled).values, mapped.decode(test).values)
    for wrong in (replace(test.space, subject="subj02"), replace(test.space, ijk=test.space.ijk + 1)):
        with pytest.raises(InputError, match="fit again"):
            mapped.decode(replace(test, space=wrong))
    with pytest.raises(InputError, match="NaN"):
        mapped.predict(np.full((1, 90), np.nan, np.float32), ids=["a"])


def damage_card(path: Path, *keys: str, value: object) -> None:
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    place = card
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "foreign": lambda path: save_file({"weights": np.zeros(3, np.float32)}, path),
    "without its card": lambda path: path.with_suffix(".json").unlink(),
    "a card of another kind": lambda path: damage_card(path, "kind", value="conditions"),
    "a card of another family": lambda path: damage_card(path, "family", value="linear"),
    "a card of other tensors": lambda path: damage_card(path, "tensors", "sha256", value="0"),
    "a card of another subject": lambda path: damage_card(path, "voxels", "subject", value="subj02"),
    "a card of another network": lambda path: damage_card(path, "network", "network", "width", value=7),
    "a card of another answer": lambda path: damage_card(path, "answer", value="guessing"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_map_is_one_sentence(residual: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / map_of(residual).name
    for ending in (".safetensors", ".json"):
        shutil.copy(map_of(residual).with_suffix(ending), path.with_suffix(ending))
    DAMAGE[damage](path)
    with pytest.raises(InputError) as said:
        load_map(path)
    assert "\n" not in str(said.value)


def test_a_ridge_is_loaded_as_a_ridge(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    words = ["fit", str(planted), "--out", str(tmp_path / "ridge"), "--stack", str(tiny_stack), "--folds", "3"]
    assert main([*words, "--recipe", "residual-miniature", "--mapping", "ridge"]) == 0
    assert isinstance(load_map(map_of(tmp_path / "ridge")), LinearMap)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--mapping", "residuel"), "no mapping is called 'residuel'; did you mean residual"),
        (("--mapping", "shared"), "simulate OUT --subjects 4"),
        (("--curves",), "every point fits ridges anew"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    planted: Path,
    tiny_stack: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    said: str,
) -> None:
    assert study(planted, tmp_path / "run", tiny_stack, *more) == 2
    error = capsys.readouterr().err
    assert said in error and not (tmp_path / "run/conditions").exists()


def test_curves_of_a_finished_run_are_refused(residual: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(residual), "--curves"]) == 2
    assert "--mapping residual" in capsys.readouterr().err and not (residual / "curves").exists()


def test_too_few_stimuli_are_refused(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import h5py

    data = Path(shutil.copy(planted, tmp_path / "few.h5"))
    with h5py.File(data, "r+") as file:
        kept = file["split/held-out/train"].asstr()[:9].tolist()
        del file["split/held-out/train"], file["packed_sha256"]
        file.create_dataset("split/held-out/train", data=np.array(kept, object), dtype=h5py.string_dtype())
    assert study(data, tmp_path / "run", tiny_stack, command="fit") == 3
    assert "9 training stimuli cannot spare the 5" in capsys.readouterr().err
    assert not (tmp_path / "run/conditions").exists()  # said before a stimulus was encoded

