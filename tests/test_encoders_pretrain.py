"""Pretraining: what may be trained on, every trial once an epoch on any number of processes, and no loss by a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from brain.errors import InputError
from brain.readers import open_recording
from brain.simulated.layouts.tiny import tiny_nsd
from brain.types import Recording
from encoders.masked.pretraining import load_encoder, open_trials, pretrain
from encoders.masked.trials import batches, training_trials
from encoders.settings import MaskedSettings, Plan, PretrainSettings
from encoders.storage import write_tensors
from encoders.training import LOG, WEIGHTS
from tests.rounding import rounding

TINY = MaskedSettings(patch=4, width=16, depth=1, heads=2, decoder_width=8)
PLAN = Plan(steps=12, validate=4, save=4, warm=2, patience=0)
WORDS = ["--steps", "40", "--validate", "10", "--save", "3", "--batch", "9", "--warm", "5", "--patience", "0",
         "--patch", "4", "--width", "16", "--depth", "1", "--heads", "2", "--decoder-width", "8"]  # fmt: skip


def asked(**changes: object) -> PretrainSettings:
    """Small settings, with these changes."""
    return replace(PretrainSettings(batch=9, model=TINY, plan=PLAN), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def recording(planted: Path) -> Recording:
    return open_recording(planted)


def test_test_trials_and_held_out_sessions_do_not_train(recording: Recording) -> None:
    trials = training_trials(recording, patch=4, held_out=1)
    test = recording.responses.of(recording.split().test)
    assert len(trials.values) == (~test).sum() == len(trials.train) + len(trials.held_out)
    assert not set(trials.train) & set(trials.held_out)
    joined = trials.patches.join(trials.values)
    for session in (1, 2):
        rows = recording.responses.session[~test] == session
        mean, sums = joined[rows].mean(0), int(rows.sum())
        np.testing.assert_allclose(mean, 0, atol=rounding(sums=sums, scale=np.abs(joined[rows]).mean(0).max()), rtol=0)


def test_of_one_session_training_stimuli_are_held_out(recording: Recording) -> None:
    responses = replace(recording.responses, session=np.ones(72, np.int64))
    alone = replace(recording, responses=responses)
    trials = training_trials(alone, patch=4, held_out=1)
    shown = responses.stimulus[responses.of(recording.split().train)]
    validating = shown[trials.held_out]
    assert len(set(validating)) == 2 and len(validating) == 4  # both trials of two of 28
    assert not set(validating) & set(shown[trials.train])
    assert trials.note == (
        "subj01: all trials are of one session, so 2 of 28 training stimuli validate, with all their trials"
    )
    with pytest.raises(InputError, match="1 sessions cannot spare 0"):
        training_trials(alone, patch=4, held_out=0)
    lone = replace(recording.split(), train=recording.split().train[:1])
    with pytest.raises(InputError, match="one session of one training stimulus cannot spare it"):
        training_trials(replace(alone, splits=(lone,)), patch=4, held_out=1)


def test_a_labelled_run_is_what_it_was(recording: Recording) -> None:
    """A checkpoint's identity: what stands there more would refuse every training that was begun before."""
    trials = training_trials(recording, patch=4, held_out=1)
    assert set(trials.facts()) == {
        "subject", "trials", "held_out", "voxels", "voxels_sha256", "patches_sha256", "split_sha256",
    }  # fmt: skip
    assert trials.note == ""


def test_a_test_trial_planted_under_another_name_is_refused(recording: Recording) -> None:
    responses = recording.responses
    split = recording.split()
    planted = responses.values.copy()
    train_row = np.flatnonzero(responses.of(split.train))[5]
    test_row = np.flatnonzero(responses.of(split.test))[0]
    planted[train_row] = 1.7 * planted[test_row]
    stained = replace(recording, responses=replace(responses, values=planted))
    with pytest.raises(InputError, match="is test trial .* take the test trials out"):
        training_trials(stained, patch=4, held_out=1)


def test_test_trials_among_the_unlabelled_are_refused(recording: Recording) -> None:
    responses = recording.responses
    rows = responses.of(recording.split().test)
    unlabelled = replace(responses.trials(rows), stimulus=np.full(rows.sum(), "unlabelled"))
    with pytest.raises(InputError, match="test trial"):
        training_trials(recording, patch=4, held_out=1, unlabelled=unlabelled)


def test_voxels_that_never_move_are_named(recording: Recording) -> None:
    values = recording.responses.values.copy()
    values[:, 7] = 3.0
    still = replace(recording, responses=replace(recording.responses, values=values))
    with pytest.raises(InputError, match="1 voxels are constant in a session .first: ijk .7, 0, 0"):
        training_trials(still, patch=4, held_out=1)


def test_every_trial_comes_once_an_epoch_in_another_order_each(recording: Recording) -> None:
    sets = [training_trials(recording, patch=4, held_out=1)] * 2
    first, second = (batches(sets, batch=9, seed=0, epoch=epoch) for epoch in (0, 1))
    for epoch in (first, second):
        seen = Counter((place, row) for place, rows in epoch for row in rows)
        assert set(seen.values()) == {1}
        assert len(seen) == 2 * len(sets[0].train)
    assert first != second
    assert {len(rows) for _, rows in first} == {9, len(sets[0].train) % 9}


def test_a_resumed_training_ends_in_the_same_bits(planted: Path, tmp_path: Path) -> None:
    whole = pretrain(planted, tmp_path / "whole", asked())
    (tmp_path / "part").mkdir()
    half = pretrain(planted, tmp_path / "part", asked())
    last = sorted((tmp_path / "part" / "checkpoints").iterdir())[-1]
    last.unlink()  # as if it had been killed before its last save
    half.unlink()
    pretrain(planted, tmp_path / "part", asked())
    assert same(whole, tmp_path / "part" / WEIGHTS)
    lines = [json.loads(line) for line in (tmp_path / "part" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert len(list((tmp_path / "part" / "checkpoints").iterdir())) == 2


def same(one: Path, other: Path) -> bool:
    """Whether two weight files hold the same bits."""
    mine, theirs = load_file(one), load_file(other)
    return set(mine) == set(theirs) and all(np.array_equal(mine[name], theirs[name]) for name in mine)


def write_hcp(folder: Path, values: np.ndarray) -> Path:
    """Frames (frame, voxel) as HCP_visual_voxel.npz of the subject that the folder is called after."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "HCP_visual_voxel.npz", V1=values[:, :3], V2=values[:, 3:6], V3=values[:, 6:7], V4=values[:, 7:])
    return folder


def test_rest_of_others_trains_along_and_validates_nothing(planted: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((60, 50)).astype(np.float32)
    frames[:, 4] = 7.0
    write_hcp(tmp_path / "rest" / "100610", frames)
    write_hcp(tmp_path / "rest" / "102311", rng.standard_normal((43, 90)).astype(np.float32))
    also = asked(also=(str(tmp_path / "rest"),))
    sets = open_trials(planted, also)
    assert [one.subject for one in sets] == ["subj01", "100610, unlabelled", "102311, unlabelled"]
    assert [(len(one.train), len(one.held_out)) for one in sets] == [(28, 28), (6, 0), (4, 0)]
    joined = sets[1].patches.join(sets[1].values)
    atol = rounding(sums=len(joined), scale=np.abs(joined).mean(0).max())
    np.testing.assert_allclose(joined.mean(0), np.zeros(49), atol=atol, rtol=0)
    whole = pretrain(planted, tmp_path / "whole", also)
    card = json.loads((tmp_path / "whole" / "card.json").read_text())
    assert card["notes"] == [
        "100610, unlabelled: up to 1 of 50 voxels are constant in session 1; 1 voxel is left out in all"
    ]
    assert [one["trials"] for one in card["data"]] == [28, 6, 4]
    pretrain(planted, tmp_path / "part", also)
    for last in (sorted((tmp_path / "part" / "checkpoints").iterdir())[-1], tmp_path / "part" / WEIGHTS):
        last.unlink()
    assert same(whole, pretrain(planted, tmp_path / "part", also))
    write_hcp(tmp_path / "rest" / "102311", rng.standard_normal((43, 90)).astype(np.float32))
    with pytest.raises(InputError, match="another --out"):  # other trials, as many
        pretrain(planted, tmp_path / "whole", also)


@pytest.mark.parametrize("regions", [(), ("early",)])
def test_test_trials_among_the_rest_of_others_are_refused(
    planted: Path, recording: Recording, tmp_path: Path, regions: tuple[str, ...]
) -> None:
    """Whole patterns, and those of the voxels that are trained on."""
    rows = recording.responses.of(recording.split().test)
    values = recording.responses.values[rows]
    columns = recording.columns(regions) if regions else np.arange(90)
    for place, found in enumerate((values, values[:, columns])):
        folder = write_hcp(tmp_path / str(place), np.repeat(3 * found, 10, axis=0))
        with pytest.raises(InputError, match=f"{place}, unlabelled, beside subj01: trial 0 .* is test trial 0"):
            open_trials(planted, asked(also=(str(folder),), regions=regions))


def test_unlabelled_trials_of_other_data_train_along(planted: Path, tmp_path: Path) -> None:
    tiny = tiny_nsd(tmp_path / "other")
    other = open_recording(tiny.root)
    (tiny.root / "unlabelled").mkdir()
    file = tiny.root / "unlabelled" / "subj01.h5"
    values = np.random.default_rng(0).standard_normal((12, len(other.responses.space))).astype(np.float32)

    def write(trials: np.ndarray) -> None:
        with h5py.File(file, "w") as out:
            out["values"], out["session"] = trials, np.full(len(trials), 1001)
            out["ijk"] = other.responses.space.ijk

    write(values)
    for path in (tiny.root, file):
        sets = open_trials(planted, asked(also=(str(path),)))
        assert [len(one.train) for one in sets] == [28, 12]
        assert sets[1].patches.voxels == values.shape[1]
    write(np.concatenate([values, other.responses.values[other.responses.of(other.split().test)]]))
    with pytest.raises(InputError, match="trial 12 .* is test trial 0"):
        open_trials(planted, asked(also=(str(file),)))


def test_nothing_unlabelled_at_a_path_is_said(planted: Path, tmp_path: Path) -> None:
    assert _settings_of(["--also", "rest", "more"]).also == ("rest", "more")
    with pytest.raises(InputError, match=r"expected HCP_visual_voxel.npz, folders of it, or .*found none of them"):
        open_trials(planted, asked(also=(str(tmp_path),)))


@pytest.mark.numeric
@pytest.mark.parametrize("parts", [4, 9, 12])
def test_accumulating_gradients_changes_nothing_but_rounding(planted: Path, tmp_path: Path, parts: int) -> None:
    """The gradient of one step, as the optimiser's averages keep it. Weights after many steps would not do: Adam moves
    a weight by the full rate whichever side of zero a gradient falls that is rounding and nothing else."""

    def averages(accumulate: int) -> dict[str, np.ndarray]:
        plan = replace(PLAN, steps=1, warm=0, validate=1, save=1, accumulate=accumulate)
        folder = tmp_path / str(accumulate)
        pretrain(planted, folder, asked(plan=plan))
        found = load_file(folder / "checkpoints" / "step-00000001.safetensors")
        return {name: value for name, value in found.items() if name.startswith("optimiser.exp_avg")}

    one, several = averages(1), averages(parts)
    assert len(one) == 2 * len([name for name in one if "exp_avg_sq" in name])
    sums = 9 * 23 * TINY.patch  # a batch of trials, of 23 patches, of voxels
    for kind in ("exp_avg.", "exp_avg_sq."):
        names = [name for name in one if kind in name]
        atol = rounding(sums=sums, scale=max(float(np.abs(one[name]).max()) for name in names))
        assert any(np.abs(one[name]).max() > 100 * atol for name in names)
        for name in names:
            np.testing.assert_allclose(several[name], one[name], atol=atol, rtol=0, err_msg=name)


def test_a_checkpoint_of_other_settings_or_data_is_refused(planted: Path, tmp_path: Path) -> None:
    pretrain(planted, tmp_path, asked())
    with pytest.raises(InputError, match=r"step-00000012.*'rate': 0.01.*found .*'rate': 0.001.*another --out"):
        pretrain(planted, tmp_path, asked(plan=replace(PLAN, rate=0.01)))
    with pytest.raises(InputError, match=r"expected data .*another --out"):
        pretrain(planted, tmp_path, asked(regions=("early",)))


def test_a_damaged_checkpoint_is_named_and_the_one_before_stands(planted: Path, tmp_path: Path) -> None:
    pretrain(planted, tmp_path, asked())
    kept, damaged = sorted((tmp_path / "checkpoints").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(InputError, match="step-00000012"):
        pretrain(planted, tmp_path, asked())
    damaged.unlink()
    pretrain(planted, tmp_path, asked())
    assert kept.name == "step-00000008.safetensors"


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(planted: Path, tmp_path: Path) -> None:
    wild = asked(plan=replace(PLAN, rate=1e30, warm=0, clip=1e30, save=1))
    with pytest.raises(InputError, match="expected a finite loss, found nan"):
        pretrain(planted, tmp_path, wild)
    for path in (tmp_path / "checkpoints").iterdir():
        assert load_file(path)


def test_the_encoder_comes_back_and_a_foreign_file_does_not(planted: Path, tmp_path: Path) -> None:
    path = pretrain(planted, tmp_path, asked())
    net, card = load_encoder(path)
    assert card["data"][0]["trials"] == 28
    assert net.encode(torch.zeros(2, 6, 4), torch.zeros(6, 3)).shape == (2, 6, 16)
    write_tensors(tmp_path / "map.safetensors", {"weights": np.zeros(3)}, kind="mapping", card={})
    with pytest.raises(InputError, match="expected a masked-brain file, found a mapping file"):
        load_encoder(tmp_path / "map.safetensors")
    for sizes, said in (({"heads": 0}, "heads: expected 1 to 65536, found 0"), ({"with": 16}, "argument 'with'")):
        changed = {**card, "model": {**card["model"], **sizes}}
        write_tensors(tmp_path / "odd.safetensors", load_file(path), kind="masked-brain", card=changed)
        with pytest.raises(InputError, match=f"odd.safetensors: expected a card with an encoder's sizes.*{said}"):
            load_encoder(tmp_path / "odd.safetensors")


def test_early_stopping_waits_its_patience(planted: Path, tmp_path: Path) -> None:
    pretrain(planted, tmp_path, asked(plan=replace(PLAN, steps=400, validate=1, patience=3, rate=0.05)))
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    losses = [line["validation"] for line in lines]
    assert len(losses) < 400
    assert min(losses) == losses[-4] or len(losses) == 3


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with one thread a process in the checkout."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )


def test_two_processes_killed_three_times_end_as_the_uninterrupted_run(planted: Path, tmp_path: Path) -> None:
    """28 training trials in batches of 9 divide neither by the batch nor by the processes."""
    whole = command(
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        "-m", "encoders.pretrain", str(planted), "--out", str(tmp_path / "whole"), *WORDS,
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "whole" / LOG).read_text().splitlines()]
    assert lines[-1]["step"] == 40, whole.stderr
    assert lines[-1]["samples"] == 10 * 28  # four batches an epoch: 9, 9, 9, 1
    killed = command("tests/pretraining_nursery.py", str(planted), str(tmp_path / "killed"), "3")
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.count("killed after step") == 3
    for name in (WEIGHTS, "checkpoints/step-00000040.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)
    pretrain(planted, tmp_path / "alone", _settings_of(WORDS))
    one, two = (_losses(tmp_path / name) for name in ("alone", "whole"))
    # the same gradient, a sum over trials, patches and voxels in another order, once more at every step
    apart = np.abs(np.array(one[:20]) / np.array(two[:20]) - 1)
    assert (apart <= rounding(sums=9 * 23 * TINY.patch, scale=1.0) * np.arange(1, 21)).all()


def _losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / LOG).read_text().splitlines()]


def _settings_of(words: list[str]) -> PretrainSettings:
    from tyro import cli
    from tyro.conf import OmitArgPrefixes

    return cli(OmitArgPrefixes[PretrainSettings], args=words)
