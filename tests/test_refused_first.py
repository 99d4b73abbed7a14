"""What cannot end well is refused before any work: names no file can bear, thin sessions, targets that are links."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

import encoders.pretrain
import pipelines.finetune
from app.cli import main
from brain.data.inspection import look
from brain.errors import InputError
from brain.readers import open_recording
from brain.readers._parts.media import check_ids
from encoders.settings import MaskedSettings, Plan, PretrainSettings
from evaluation.samples.types import file_of
from pipelines.settings import FinetuneSettings

HEAVY = """import sys
from app.cli import main
code = main(sys.argv[1:])
print(code, [name for name in ("torch", "transformers", "diffusers") if name in sys.modules])
"""
RECIPE = ("--recipe", "pixels-ridge")
TRAININGS = {"pretrain": encoders.pretrain.main, "finetune": pipelines.finetune.main}


def arrays(path: Path, **fields: Any) -> Path:
    """Thirty pictures, each shown three times, in three sessions, over 40 voxels."""
    rng = np.random.default_rng(0)
    ids = np.array([f"s{number:02d}" for number in range(30)])
    images = rng.random((30, 8, 8)).astype(np.float32)
    images[0, 0, 0] = 1
    order = np.concatenate([rng.permutation(30) for _ in range(3)])
    values = images.reshape(30, -1)[order] @ rng.normal(size=(64, 40)) + rng.normal(size=(90, 40))
    whole = {
        "responses": values.astype(np.float32), "stimulus": ids[order], "images": images, "image_ids": ids,
        "session": np.repeat([1, 2, 3], 30), **fields,
    }  # fmt: skip
    np.savez(path, **{name: array for name, array in whole.items() if array is not None})
    return path


def test_ids_are_counted_as_the_files_names_that_they_become() -> None:
    cjk = "\u65e5\u672c\u8a9e\u306e\u523a\u6fc0" * 5
    for name in ("a" * 120, cjk[:26], "%" * 80):
        check_ids([name], "here")
        assert len(file_of("decoded", name, 9999).split("/")[1].encode()) <= 255
    with pytest.raises(InputError, match="240 bytes or fewer as a file's name, found one of 30 letters that takes"):
        check_ids([cjk], "here")
    for name in ("a\x85b", "a\u2028b", "a\nb", "a" * 121, ""):
        with pytest.raises(InputError, match="expected a plain name"):
            check_ids([name], "here")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"roi/": np.ones(40, bool)}, "region: expected a name that can be read, found an empty one"),
        ({"roi/x\ny": np.ones(40, bool)}, "expected a name of one line, found 'roi/x"),
        ({"subject": np.array("a\x1b[31m")}, "subject: expected a name that can be read"),
        ({"subject": np.array(" ")}, "subject: expected a name that can be read, found an empty one"),
        ({"group": np.array(["", "b"])[np.arange(90) % 2]}, "a name that can be read, found an empty one"),
    ],
)
def test_names_that_cannot_be_read_are_refused_when_data_are_opened(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    if "group" in fields:
        stimulus = np.load(arrays(tmp_path / "plain.npz"))["stimulus"]
        fields = {"group": np.array([["", "b"][int(one[1:]) % 2] for one in stimulus])}
    data = arrays(tmp_path / "data.npz", **fields)
    with pytest.raises(InputError, match="rename it") as fault:
        open_recording(data)
    assert said in str(fault.value) and str(data) in str(fault.value)
    assert said in " ".join(look(data).problems)


def test_sessions_without_two_training_trials_are_standardised_by_all_and_refused_within_before_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = arrays(tmp_path / "data.npz", session=np.arange(90))
    said = "standardisation: all. 90 of 90 sessions have, in a fold, fewer than two training stimuli"
    assert any(said in one for one in look(data).lines)
    words = ["fit", str(data), *RECIPE, "--out", str(tmp_path / "run"), "--standardise", "session"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert f"{data}, session: expected two training stimuli or more in each session" in err
    assert "90 of 90" in err and "take --standardise all" in err and not (tmp_path / "run").exists()
    session = np.repeat([1, 2, 3], 30)
    session[-1] = 4
    found = look(arrays(tmp_path / "one.npz", session=session))
    assert not found.problems and any("Session 4 has" in one for one in found.lines)


def pictures(home: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for folder in ("shown", "mine"):
        (home / folder).mkdir()
        for number in range(4):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(home / folder / f"p{number}.png")
    return home / "shown", home / "mine"


@pytest.mark.parametrize("name", ["report.html", "per_stimulus.csv", "rdms.hdf5"])
def test_a_report_whose_last_file_cannot_be_written_leaves_none_of_its_first(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, mine = pictures(tmp_path)
    out, secret = tmp_path / "out", tmp_path / "secret.html"
    out.mkdir()
    (out / name).symlink_to(secret)
    more = ("--judge", "pixels", "--bootstrap", "100", "--permutations", "20")
    export = ("--export",) if name == "rdms.hdf5" else ()
    words = ["evaluate", str(mine), "--references", str(shown), "--out", str(out), *more, *export]
    assert main(words) == 3
    assert f"{out / name}: expected a file or folder of this place itself, found a link" in capsys.readouterr().err
    assert [one.name for one in out.iterdir()] == [name] and not secret.exists()
    (out / name).unlink()
    (out / name).mkdir()
    assert main(words) == 3 and "found a folder" in capsys.readouterr().err
    assert [one.name for one in out.iterdir()] == [name]


def test_a_file_where_the_reports_folder_should_be_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, mine = pictures(tmp_path)
    (tmp_path / "out").write_text("notes")
    assert main(["evaluate", str(mine), "--references", str(shown), "--out", str(tmp_path / "out")]) == 3
    assert "expected a folder, or nothing yet, found something else" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "notes"


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("takagi-miniature", "no region is called 'early' or 'ventral' or 'lateral'"),
        ("unclip-miniature", "no region is called 'nsdgeneral'"),
        ("c2f-miniature", "these data are of images and clap encodes sounds"),
    ],
)
def test_what_names_alone_can_tell_is_told_before_a_network_is_imported(
    tmp_path: Path, checkout: Path, recipe: str, said: str
) -> None:
    words = ["study", str(arrays(tmp_path / "data.npz")), "--recipe", recipe, "--out", str(tmp_path / "run")]
    ended = subprocess.run(
        [sys.executable, "-c", HEAVY, *words], capture_output=True, text=True, cwd=checkout, timeout=120, check=True
    )
    assert ended.stdout.splitlines()[-1] == "2 []" and said in ended.stderr
    assert not (tmp_path / "run").exists()


def test_weights_are_read_only_when_names_will_do(
    tmp_path: Path, tiny_stack: Path, planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = tmp_path / "stack"
    shutil.copytree(tiny_stack, stack)
    weights = next(stack.glob("unet/*.safetensors"))
    arrays_there = load_file(weights)
    name = next(iter(arrays_there))
    save_file({**arrays_there, name: np.full_like(arrays_there[name], np.nan)}, weights)
    study = ["--recipe", "takagi-miniature", "--stack", str(stack), "--out", str(tmp_path / "run")]
    assert main(["study", str(arrays(tmp_path / "data.npz")), *study]) == 2
    assert "no region is called" in capsys.readouterr().err
    assert main(["study", str(planted), *study]) == 3
    assert weights.name in capsys.readouterr().err and not (tmp_path / "run").exists()


SIZES = [
    ("--patch", "0", "1 to 65536"),
    ("--width", "0", "1 to 65536"),
    ("--width", "100000000000000000000", "1 to 65536"),
    ("--width", "190", "a multiple of --heads 4"),
    ("--depth", "0", "1 to 65536"),
    ("--heads", "0", "1 to 65536"),
    ("--mlp", "-1", "a hidden width of 1 to 65536"),
    ("--mlp", "nan", "a hidden width of 1 to 65536"),
    ("--mlp", "0.001", "a hidden width of 1 to 65536"),
    ("--decoder-width", "-8", "1 to 65536"),
    ("--decoder-width", "97", "a multiple of --heads 4"),
    ("--decoder-depth", "0", "1 to 65536"),
    ("--ratio", "1", "a share above 0 to below 1"),
    ("--ratio", "nan", "a share above 0 to below 1"),
    ("--noise", "-1", "0 or more"),
    ("--noise", "inf", "a number with an end"),
    ("--drop", "2", "a share from 0 to below 1"),
    ("--drop", "nan", "a share from 0 to below 1"),
    ("--rate", "inf", "a number with an end"),
    ("--decay", "inf", "a number with an end"),
    ("--clip", "0", "a norm above 0"),
    ("--accumulate", "65537", "1 to 65536"),
    ("--batch", "0", "1 or more"),
    ("--sessions", "-1", "0 or more"),
    ("--precision", "fp8", ""),
    ("--held-out", "0", ""),
]
"""Flags of both trainings, values they cannot have, and what is expected instead."""
OWN = [
    ("finetune", "--held-out", "1", "a share above 0 to below 1"),
    ("finetune", "--dropout", "1", "a share from 0 to below 1"),
    ("finetune", "--start", "rigde", ""),
    ("finetune", "--paths", "bth", ""),
    ("finetune", "--trials", "all", ""),
]


@pytest.mark.parametrize(
    ("training", "flag", "value", "what"), [(one, *rest) for one in TRAININGS for rest in SIZES] + OWN
)
def test_a_setting_out_of_bounds_is_refused_by_its_flag_before_data_are_opened(
    tmp_path: Path, training: str, flag: str, value: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert TRAININGS[training]([str(tmp_path / "nowhere"), "--out", str(out), flag, value]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{training}: {flag}: {'expected ' + what if what else ''}") and err.count("\n") == 1
    assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a graphics card computes in these numbers")
@pytest.mark.parametrize("training", list(TRAININGS))
def test_numbers_that_a_processor_has_not_are_refused_before_data_are_opened(
    tmp_path: Path, training: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"), "--precision"]
    assert TRAININGS[training]([*words, "fp16"]) == 2
    said = f"{training}: --precision: expected no or bf16 on a processor, found fp16; take one of them\n"
    assert capsys.readouterr().err == said and not (tmp_path / "out").exists()
    assert TRAININGS[training]([*words, "bf16"]) == 3
    assert "nowhere" in capsys.readouterr().err


def test_settings_of_trainings_at_their_bounds_are_taken() -> None:
    model = MaskedSettings(patch=1, width=1, depth=1, heads=1, mlp=1, decoder_width=1, decoder_depth=1, noise=0, drop=0)
    plan = Plan(steps=1, rate=0, warm=0, decay=0, clip=1e-9, accumulate=1, validate=1, patience=0, save=1)
    PretrainSettings(model=model, plan=plan, batch=1, held_out=1, sessions=(1,), precision="fp16")
    FinetuneSettings(model=model, plan=plan, batch=1, held_out=0.5, dropout=0, sessions=(1,), precision="bf16")
