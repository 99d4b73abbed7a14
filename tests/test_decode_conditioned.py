"""The recipe of double conditioning: fitted, killed and gone on with, decoded, every fault a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from brain.data.pack import write_arrays
from brain.errors import UsageError
from brain.readers import open_recording
from decode.methods import CATALOGUE as METHODS
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.stages.draw.opened import Opened
from encoders.conditions import Conditions
from evaluation.samples.read import read_samples
from tests.rounding import largest, rounding

FAST = ("--steps", "2", "--folds", "3", "--judge", "pixels", "--bootstrap", "100", "--permutations", "20",
        "--masked-steps", "4", "--tune-steps", "4")  # fmt: skip
ROWS = ("decoded", "shuffled", "mean", "prior", "repeat", "retrieval", "round_trip")


def study(data: Path, out: Path, stack: Path, *more: str) -> int:
    return main(["study", str(data), "--out", str(out), "--stack", str(stack), "--recipe", "mindvis-miniature",
                 *FAST, *more])  # fmt: skip


@pytest.fixture(scope="module")
def run(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study by the recipe mindvis-miniature."""
    out = tmp_path_factory.mktemp("runs") / "mindvis"
    assert study(planted, out, tiny_stack) == 0
    return out


def test_every_row_is_drawn_by_the_fine_tuned_stack_and_takagis_beside(run: Path) -> None:
    samples = read_samples(run, references=None)
    assert {row: len(samples.of(row)) for row in samples.rows()} == dict.fromkeys((*ROWS, "takagi"), 8)
    methods = {json.loads(line)["row"]: json.loads(line)["method"] for line in lines(run)}
    assert methods["decoded"] == methods["shuffled"] == methods["mean"] == "mindvis" and methods["takagi"] == "takagi"
    card = json.loads((run / "card.json").read_text())
    assert "learned/mindvis/card.json" in card["fitted"] and card["decode"]["generator"] == "mindvis"
    facts = card["learned"]["learned/mindvis/card.json"]
    assert facts["paths"] == "both" and facts["encoder_sha256"] and facts["done"]["step"] == 4
    assert (run / "learned/mindvis/masked/encoder.safetensors").is_file()
    assert (run / "report/report.html").is_file()


def lines(run: Path) -> list[str]:
    return (run / "samples/index.jsonl").read_text().splitlines()


def test_a_test_stimulus_has_no_part_in_pretraining_or_fine_tuning(run: Path, planted: Path) -> None:
    split = open_recording(planted).split()
    masked = json.loads((run / "learned/mindvis/masked/card.json").read_text())
    tuned = json.loads((run / "learned/mindvis/card.json").read_text())
    assert {one["split_sha256"] for one in masked["data"]} == {tuned["data"]["split_sha256"]} == {split.sha256}
    assert masked["data"][0]["trials"] + masked["data"][0]["held_out"] == 2 * len(split.train)
    assert tuned["data"]["samples"] + tuned["data"]["held_out"] == 2 * len(split.train)


def test_patterns_are_averages_in_the_order_of_the_contract(run: Path, planted: Path) -> None:
    recording = open_recording(planted)
    names = set(recording.split().test[:3])
    found = METHODS["mindvis"].patterns(RunFolder(run), recording, stimuli=names, take=lambda trials: trials)
    assert found.space.name == "voxels" and found.space.shape == (90,) and set(found.ids) == names
    rows = recording.responses.stimulus == found.ids[0]
    train = np.isin(recording.responses.stimulus, recording.split().train)
    values = recording.responses.values.astype(np.float64)
    wanted, spreads = [], []
    for session in (1, 2):
        here = recording.responses.session == session
        known = values[here & train]
        wanted.append((values[here & rows] - known.mean(0)) / known.std(0))
        spreads.append(known.std(0).min())
    # of each session a mean and a spread are kept, of each trial a difference and a quotient, and then their average
    bound = rounding(sums=5, scale=largest(values) / min(spreads))
    np.testing.assert_allclose(found.values[0], np.concatenate(wanted).mean(0), atol=bound, rtol=0)


def test_a_killed_fit_goes_on_and_a_second_call_does_nothing(
    run: Path, planted: Path, tiny_stack: Path, tmp_path: Path
) -> None:
    half = shutil.copytree(run, tmp_path / "half")
    (half / "learned/mindvis/card.json").unlink()
    (half / "card.json").unlink()
    shutil.rmtree(half / "samples")
    before = (run / "learned/mindvis/brain_encoder/model.safetensors").read_bytes()
    assert study(planted, half, tiny_stack) == 0
    assert (half / "learned/mindvis/brain_encoder/model.safetensors").read_bytes() == before
    digests = [sorted(json.loads(line)["sha256"] for line in lines(one)) for one in (run, half)]
    assert digests[0] == digests[1]
    stamp = (half / "learned/mindvis/card.json").stat().st_mtime_ns
    assert study(planted, half, tiny_stack) == 0
    assert (half / "learned/mindvis/card.json").stat().st_mtime_ns == stamp


def test_faults_are_said_before_any_work(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*more: str) -> tuple[int, str]:
        out = tmp_path / "none"
        code = study(planted, out, tiny_stack, *more)
        assert not (out / "learned").exists() and not (out / "maps").exists()
        return code, capsys.readouterr().err

    for words, sentence in (
        (("--voxels", "nowhere"), "no region is called 'nowhere'"),
        (("--paths", "bth"), "--paths: expected cross, time or both, found bth; write both"),
        (("--tune-steps", "0"), "--tune-steps: expected 1 or more, found 0"),
        (("--curves",), "method mindvis reads no maps; leave --curves out"),
        (("--voxels",), "--voxels: expected regions to fine-tune on, found none; add --voxels nsdgeneral"),
    ):
        code, error = said(*words)
        assert code == 2 and sentence in error, error
    code, error = said("--encoder", str(tmp_path / "absent.safetensors"))
    assert code == 3 and "expected a masked encoder, found nothing there" in error, error


def test_one_stack_is_fine_tuned_for_one_split(
    tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    ids = [f"s{number}" for number in range(12)]
    data = write_arrays(
        tmp_path / "two.h5",
        responses=rng.standard_normal((24, 40)).astype(np.float32),
        stimulus=ids * 2,
        images=rng.integers(0, 256, (12, 8, 8, 3), np.uint8),
        image_ids=ids,
        fields={"session": np.repeat([1, 2], 12)},
        regions={name: np.ones(40, bool) for name in ("early", "ventral", "lateral", "nsdgeneral")},
        splits={"leave-out-1": (ids[:9], ids[9:]), "leave-out-2": (ids[3:], ids[:3])},
        captions={name: [name] for name in ids},
    )
    assert study(data, tmp_path / "run", tiny_stack) == 2
    assert "method mindvis: expected one split to train on, found 2 folds; name one" in capsys.readouterr().err


def test_silenced_voxels_stand_at_the_mean_of_training_trials_and_no_other_moves(run: Path) -> None:
    settings, data = RunFolder(run).stored()
    opened = Opened(run=RunFolder(run), settings=settings, data=data)
    (fold,), early = opened.folds, opened.recording.region("early").mask
    whole, found = (
        opened.decoded(set(fold.test), lambda one: one, settings=settings, silenced=silenced)["voxels"]
        for silenced in ((), ("early",))
    )
    np.testing.assert_array_equal(found.values[:, ~early], whole.values[:, ~early])
    raw = largest(opened.recording.responses.values)
    assert largest(found.values[:, early]) < rounding(sums=8, scale=raw) < largest(whole.values[:, early])


def test_voxels_have_a_mean_and_no_oracle(run: Path) -> None:
    facts = Conditions.load(next((run / "conditions").glob("clip-text.true.safetensors")))
    recording_voxels = Conditions(space=patterns_card(run), values=np.ones((2, 90), np.float32), ids=("a", "b"))
    ladder = Ladder(folds=(), true={"clip-text": facts}, decoded={"voxels": recording_voxels}, seed=0)
    assert not ladder.conditions("mean", ["a"], ["voxels"])["voxels"].values.any()
    with pytest.raises(UsageError, match="nobody knows true voxels; leave it out"):
        ladder.conditions("oracle", ["a"], ["voxels"])


def patterns_card(run: Path):  # type: ignore[no-untyped-def]
    from encoders.masked.patched import VoxelContract
    from pipelines.conditioning.generator import voxel_card
    from pipelines.conditioning.pipeline import VOXELS

    return voxel_card(VoxelContract.load(RunFolder(run).learned("mindvis") / VOXELS))


def test_a_run_without_a_fine_tuned_stack_says_how_to_get_one(planted: Path, tmp_path: Path) -> None:
    from brain.errors import InputError

    with pytest.raises(InputError, match="expected a fine-tuned stack, found none; fit a run with this method"):
        METHODS["mindvis"].patterns(RunFolder(tmp_path), open_recording(planted), stimuli={"s30"}, take=lambda one: one)


def test_the_recipes_ask_for_what_the_paper_has() -> None:
    for name in ("mindvis-miniature", "mindvis-sd15"):
        settings = CATALOGUE[name].settings()
        own, asked = settings.method("mindvis"), settings.sampling
        assert asked.method == "mindvis" and own.voxels and own.paths == "both"
        assert "takagi" in asked.beside and "oracle" not in asked.rows
