"""Planted leaks end to end: found and named, or refused in one sentence; semantic hold-outs; maps of every voxel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest

from app.cli import main
from brain.errors import InputError, UsageError
from brain.readers import open_recording
from brain.types import Split
from brain.voxels import VoxelSpace
from decode.run.folder import RunFolder
from decode.run.patterns import folds_of
from decode.stages.fit.regions import LOWEST_CEILING, VoxelScores, voxel_scores, write_maps
from encoders.conditions import Conditions
from encoders.ridge import RidgeSettings
from tests.rounding import largest, rounding

TRAINING = [f"s{number:02d}" for number in range(28)]


def changed(planted: Path, out: Path, change: Callable[[Any], None]) -> Path:
    shutil.copy(planted, out)
    with h5py.File(out, "r+") as file:
        change(file)
    return out


def fit(data: Path, out: Path, *more: str) -> int:
    few = ["--folds", "3", "--refits", "0"]
    return main(["fit", str(data), "--recipe", "pixels-ridge", "--out", str(out), *few, *more])


def leaks(run: Path) -> dict[str, Any]:
    return json.loads((run / "report/leaks.json").read_text())


@pytest.fixture(scope="module")
def honest(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "honest"
    assert fit(planted, out) == 0
    return out


def test_a_run_without_a_leak_says_what_was_compared_and_who_chose_the_penalties(honest: Path) -> None:
    found = leaks(honest)
    split = json.loads((honest / "card.json").read_text())["splits"][0]["sha256"]
    assert found["exact"] == found["near"] == [] and found["checked"]["pairs"] == 28 * 8
    assert found["penalty"] == (
        f"Penalties were chosen by 3 folds inside the 28 training stimuli of split {split}, never on test stimuli."
    )
    assert found["sentences"][-1] == found["penalty"]


def test_a_slightly_altered_test_picture_in_training_is_found_and_both_are_named(planted: Path, tmp_path: Path) -> None:
    def plant(file: Any) -> None:
        altered = file["images"][30][:, ::-1].astype(float) * 0.95 + np.random.default_rng(0).normal(0, 4, (16, 16, 3))
        file["images"][3] = np.clip(altered, 0, 255).astype(np.uint8)

    data = changed(planted, tmp_path / "leaking.h5", plant)
    assert fit(data, tmp_path / "run") == 0
    found = leaks(tmp_path / "run")
    assert [(twin["fold"], twin["train"], twin["test"]) for twin in found["near"]] == [("held-out", "s03", "s30")]
    assert found["near"][0]["likeness"] >= found["threshold"] and found["exact"] == []
    assert any("s03" in sentence and "s30" in sentence for sentence in found["sentences"])


def test_a_bit_identical_test_picture_in_training_is_refused_by_name(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def plant(file: Any) -> None:
        file["images"][3] = file["images"][30]

    assert fit(changed(planted, tmp_path / "leaking.h5", plant), tmp_path / "run") == 3
    said = capsys.readouterr().err
    assert "s03" in said and "s30" in said and "bit for bit" in said and said.strip().count("\n") == 0


def standardised(file: Any, rows: np.ndarray) -> None:
    values, session = file["responses"][()], file["session"][()]
    for one in np.unique(session):
        used = values[rows & (session == one)]
        values[session == one] = (values[session == one] - used.mean(axis=0)) / used.std(axis=0)
    file["responses"][...] = values


def test_a_fit_that_saw_test_statistics_is_refused_in_one_sentence(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed(planted, tmp_path / "z.h5", lambda file: standardised(file, np.ones(72, bool)))
    assert fit(data, tmp_path / "run") == 3
    said = capsys.readouterr().err
    assert "session 1" in said and "test statistics" in said and "training trials alone" in said
    assert said.strip().count("\n") == 0
    assert not (tmp_path / "run/maps").exists() and not (tmp_path / "run/card.json").exists()


def test_a_fit_that_saw_training_statistics_only_is_accepted(planted: Path, tmp_path: Path) -> None:
    def train_only(file: Any) -> None:
        standardised(file, np.isin(file["stimulus"].asstr()[()], TRAINING))

    assert fit(changed(planted, tmp_path / "z.h5", train_only), tmp_path / "run") == 0


def test_many_folds_open_every_picture_once_for_their_leaks(planted: Path, tmp_path: Path) -> None:
    def grouped(file: Any) -> None:
        del file["split"], file["packed_sha256"]
        file["group"] = np.array([int(name[1:]) % 6 for name in file["stimulus"].asstr()[()]])
        file["images"][7] = file["images"][8][:, ::-1]

    assert fit(changed(planted, tmp_path / "grouped.h5", grouped), tmp_path / "run") == 0
    found = leaks(tmp_path / "run")
    # each of the two is once a test and once a training stimulus
    assert sorted((twin["train"], twin["test"]) for twin in found["near"]) == [("s07", "s08"), ("s08", "s07")]
    assert found["checked"] == {"stimuli": 36, "folds": 6, "pairs": 6 * 6 * 30} and "6 folds" in found["penalty"]


@pytest.fixture(scope="module")
def clustered(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "clustered"
    assert fit(planted, out, "--split", "cluster-3") == 0
    return out


def test_a_semantic_hold_out_is_made_by_fit_and_read_back(planted: Path, clustered: Path) -> None:
    out = clustered
    stored = json.loads((out / "splits/cluster-3.json").read_text())
    true = Conditions.load(out / "conditions/pixels.true.safetensors")
    assert stored["space"] == "pixels" and stored["space_sha256"] == true.space.digest
    recording, run = open_recording(planted), RunFolder(out)
    folds = folds_of(recording, "cluster-3", run)
    assert {fold.name: list(fold.test) for fold in folds} == stored["clusters"]
    assert sorted(name for fold in folds for name in fold.test) == sorted(recording.stimuli.ids)
    assert all(len(fold.train) + len(fold.test) == 36 for fold in folds)
    card = json.loads((out / "card.json").read_text())
    assert [split["sha256"] for split in card["splits"]] == [fold.sha256 for fold in folds]
    assert folds_of(recording, "cluster-3-1", run) == (folds[1],)
    with pytest.raises(UsageError, match="cluster-3-7"):
        folds_of(recording, "cluster-3-7", run)
    with pytest.raises(InputError, match="no such file"):
        folds_of(recording, "cluster-4", run)
    fewer = recording.responses.trials(recording.responses.stimulus != "s05")
    with pytest.raises(InputError, match="clusters of the 35 stimuli"):
        folds_of(type(recording)(**{**vars(recording), "responses": fewer}), "cluster-3", run)


def test_every_cluster_is_decoded_by_the_map_that_never_saw_it(planted: Path, clustered: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(clustered, out)
    assert main(["decode", str(out), "--data", str(planted), "--rows", "decoded"]) == 0
    assert len(Conditions.load(out / "conditions/pixels.decoded.safetensors")) == 36


def test_a_semantic_hold_out_keeps_like_from_like(planted: Path, clustered: Path) -> None:
    """The nearest training condition of a test stimulus is farther away than under a random split of the same sizes."""
    out = clustered
    true = Conditions.load(out / "conditions/pixels.true.safetensors")
    flat = true.values.reshape(len(true), -1)
    flat = (flat - flat.mean(axis=0)) / np.linalg.norm(flat - flat.mean(axis=0), axis=1, keepdims=True)

    def nearest(folds: Sequence[Split]) -> float:
        return float(
            np.mean([(flat[true.rows(one.test)] @ flat[true.rows(one.train)].T).max(axis=1).mean() for one in folds])
        )

    folds = folds_of(open_recording(planted), "cluster-3", RunFolder(out))
    drawn, random = np.random.default_rng(0).permutation(np.array(true.ids)).tolist(), []
    for fold in folds:
        test, drawn = drawn[: len(fold.test)], drawn[len(fold.test) :]
        random.append(Split(name="random", train=tuple(set(true.ids) - set(test)), test=tuple(test)))
    assert nearest(folds) < nearest(random)


def test_maps_hold_each_voxel_at_its_own_place(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    places = np.argwhere(np.ones((4, 5, 3), bool))[generator.permutation(60)[:20]]
    affine = np.array([[1.8, 0, 0, -9], [0, 1.8, 0, 4], [0, 0.2, 1.8, 7], [0, 0, 0, 1]])
    space = VoxelSpace(subject="s", name="n", betas="b", unit="z", shape=(4, 5, 3), affine=affine, ijk=places)
    accuracy = generator.normal(0.3, 0.2, 20).astype(np.float32)
    ceiling = np.concatenate([[0, LOWEST_CEILING / 2], generator.uniform(0.3, 0.9, 18)]).astype(np.float32)
    write_maps(tmp_path, space, VoxelScores(accuracy=accuracy, ceiling=ceiling, measure=""))
    over = np.where(ceiling >= LOWEST_CEILING, accuracy / np.maximum(ceiling, LOWEST_CEILING), 0)
    for name, values in {"accuracy": accuracy, "ceiling": ceiling, "accuracy_over_ceiling": over}.items():
        image = nibabel.load(tmp_path / f"{name}.nii.gz")
        assert image.get_data_dtype() == np.float32 and image.shape == (4, 5, 3)
        # NIfTI keeps an affine as float32; a quotient is rounded once
        np.testing.assert_allclose(image.affine, affine, atol=rounding(sums=1, scale=largest(affine)), rtol=0)
        volume = np.asarray(image.dataobj)
        found = [volume[tuple(place)] for place in places]
        np.testing.assert_allclose(found, values, rtol=rounding(sums=1, scale=1.0))
        assert np.count_nonzero(volume) == np.count_nonzero(values)
    write_maps(tmp_path / "none", space, VoxelScores(accuracy=accuracy, ceiling=None, measure=""))
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["accuracy.nii.gz"]


def test_a_run_leaves_its_maps_beside_its_regions(honest: Path, planted: Path) -> None:
    recording = open_recording(planted)
    true = {"pixels": Conditions.load(honest / "conditions/pixels.true.safetensors")}
    scores = voxel_scores(recording, recording.folds(), true, ridge=RidgeSettings(folds=3, seed=0))
    volume = np.asarray(nibabel.load(honest / "report/maps/accuracy.nii.gz").dataobj)
    # of predictions that add up, in float32, a direction a stimulus at most; each factor is made in 7 operations
    bound = rounding(sums=len(true["pixels"]) + 7, scale=1.0)
    np.testing.assert_allclose(volume[tuple(recording.responses.space.ijk.T)], scores.accuracy, atol=bound, rtol=0)
    regions = json.loads((honest / "report/regions.json").read_text())["regions"]
    early = next(region for region in regions if region["name"] == "early")
    own = recording.responses.space.ijk[recording.region("early").mask]
    values = volume[tuple(own.T)]
    bound = rounding(sums=len(values), scale=float(np.abs(values).mean()))
    assert values.mean() == pytest.approx(early["accuracy"], abs=bound)


@pytest.mark.parametrize("name", [".lock", "card.json", "settings.json", "report", "maps", "samples/index.jsonl"])
def test_a_link_planted_in_a_run_changes_and_reveals_nothing(
    name: str, honest: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, secret = Path(shutil.copytree(honest, tmp_path / "run")), tmp_path / "secret"
    if name in ("report", "maps"):
        secret.mkdir()
        (secret / "leaks.json").write_text('{"token": "hunter2"}')
        shutil.rmtree(run / name)
    else:
        secret.write_text('{"token": "hunter2"}')
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(secret)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    study = ["study", str(planted), "--recipe", "pixels-ridge", "--out", str(run)]
    for command in (["decode", str(run)], ["evaluate", str(run)], ["audit", str(run)], study):
        assert main(command) == 3, command
        said = capsys.readouterr()
        assert "found a link" in said.err and "hunter2" not in said.out + said.err
    assert fit(planted, run) == 3
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_folder_and_data_that_are_links_are_fine(honest: Path, planted: Path, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "store")
    (tmp_path / "run").symlink_to(tmp_path / "store")
    (tmp_path / "data.h5").symlink_to(planted)
    assert main(["decode", str(tmp_path / "run"), "--data", str(tmp_path / "data.h5"), "--stimuli", "s30"]) == 0


def test_what_a_kill_left_in_a_run_is_swept_and_what_others_have_is_not(
    honest: Path, planted: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(honest, tmp_path / "run"))
    names = [f"maps/.a.safetensors.{2**22 + 1}.tmp", f".card.json.{2**22 + 1}.part", "conditions/.tmpAb3dEf"]
    names.append(".report.lock")
    for name in names:
        (run / name).write_text("half")
    assert fit(planted, run) == 0
    assert not any((run / name).exists() for name in names)
    theirs = tmp_path / "home"
    theirs.mkdir()
    for name in (".tmpAb3dEf", "notes.txt"):
        (theirs / name).write_text("mine")
    assert fit(planted, theirs) == 2
    assert {path.name for path in theirs.iterdir()} == {".lock", ".tmpAb3dEf", "notes.txt"}
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / f".settings.json.{2**22 + 1}.part").write_text("killed before it had begun")
    assert fit(planted, empty) == 0


@pytest.mark.parametrize(
    ("part", "value"),
    [("splits", [["a"]]), ("splits", {"name": "x"}), ("tested", []), ("tested", {"a": 3}), ("fitted", "all"),
     ("fitted", [3]), ("repeated", {"s30": 1}), ("data", "mine"), ("evaluate", ["settings"])],
)  # fmt: skip
def test_a_card_of_other_parts_is_one_sentence(
    part: str, value: Any, honest: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(honest, tmp_path / "run"))
    card = json.loads((run / "card.json").read_text())
    (run / "card.json").write_text(json.dumps({**card, part: value}))
    for command in (["decode", str(run)], ["evaluate", str(run)], ["synthesize", str(run), "--region", "early"]):
        assert main(command) == 3, command
        assert f"card.json: expected the card of a run, found other values under '{part}'" in capsys.readouterr().err
    assert fit(planted, run) == 3


def test_a_card_without_the_stimuli_that_were_tested_is_one_sentence(
    honest: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(honest, tmp_path / "run"))
    card = json.loads((run / "card.json").read_text())
    del card["tested"]
    (run / "card.json").write_text(json.dumps(card))
    assert main(["decode", str(run)]) == 3 and fit(planted, run) == 3
    assert "card.json: expected the card of a fitted run, found one without 'tested'" in capsys.readouterr().err
