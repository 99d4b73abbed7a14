"""Pretraining: what may be trained on, every trial once an epoch on any number of processes, and no loss by a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from brain.errors import InputError
from brain.readers import open_recording
from brain.types import Recording
from encoders.masked import MaskedSettings
from encoders.pretrain import PretrainSettings, load_encoder, pretrain
from encoders.storage import write_tensors
from encoders.training import LOG, WEIGHTS, Plan
from encoders.trials import batches, training_trials

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
        np.testing.assert_allclose(joined[rows].mean(0), 0, atol=1e-5)


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
    with pytest.raises(InputError, match="1 voxels never move in a session .first: ijk .7, 0, 0"):
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


def test_accumulating_gradients_changes_nothing_but_rounding(planted: Path, tmp_path: Path) -> None:
    one = load_file(pretrain(planted, tmp_path / "one", asked()))
    parts = load_file(pretrain(planted, tmp_path / "parts", asked(plan=replace(PLAN, accumulate=4))))
    for name, value in one.items():
        np.testing.assert_allclose(parts[name], value, atol=2e-4)


def test_a_checkpoint_of_other_settings_or_data_is_refused(planted: Path, tmp_path: Path) -> None:
    pretrain(planted, tmp_path, asked())
    with pytest.raises(InputError, match=r"step-00000012.*'rate': 0.01.*came .*'rate': 0.001.*another --out"):
        pretrain(planted, tmp_path, asked(plan=replace(PLAN, rate=0.01)))
    with pytest.raises(InputError, match=r"wanted data .*another --out"):
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
    with pytest.raises(InputError, match="wanted a finite loss, came nan"):
        pretrain(planted, tmp_path, wild)
    for path in (tmp_path / "checkpoints").iterdir():
        assert load_file(path)


def test_the_encoder_comes_back_and_a_foreign_file_does_not(planted: Path, tmp_path: Path) -> None:
    path = pretrain(planted, tmp_path, asked())
    net, card = load_encoder(path)
    assert card["data"][0]["trials"] == 28
    assert net.encode(torch.zeros(2, 6, 4), torch.zeros(6, 3)).shape == (2, 6, 16)
    write_tensors(tmp_path / "map.safetensors", {"weights": np.zeros(3)}, kind="mapping", card={})
    with pytest.raises(InputError, match="wanted a masked-brain file, came a mapping file"):
        load_encoder(tmp_path / "map.safetensors")


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


def test_two_processes_killed_ten_times_end_as_the_uninterrupted_run(planted: Path, tmp_path: Path) -> None:
    """28 training trials in batches of 9 divide neither by the batch nor by the processes."""
    whole = command(
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        "-m", "encoders.pretrain", str(planted), "--out", str(tmp_path / "whole"), *WORDS,
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "whole" / LOG).read_text().splitlines()]
    assert lines[-1]["step"] == 40, whole.stderr
    assert lines[-1]["samples"] == 10 * 28  # four batches an epoch: 9, 9, 9, 1
    killed = command("tests/pretraining_nursery.py", str(planted), str(tmp_path / "killed"), "10")
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.count("killed after step") == 10
    for name in (WEIGHTS, "checkpoints/step-00000040.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)
    pretrain(planted, tmp_path / "alone", _settings_of(WORDS))
    one, two = (_losses(tmp_path / name) for name in ("alone", "whole"))
    np.testing.assert_allclose(one[:20], two[:20], rtol=1e-4)  # the same gradient: a sum in another order


def _losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / LOG).read_text().splitlines()]


def _settings_of(words: list[str]) -> PretrainSettings:
    from tyro import cli
    from tyro.conf import OmitArgPrefixes

    return cli(OmitArgPrefixes[PretrainSettings], args=words)
