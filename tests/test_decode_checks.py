"""What cannot end well is said before the first work, all of it at once; only what was made binds a run."""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shutil
import wave
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from app.cli import main
from brain.errors import AfterimageError, CheckpointAbsent, InputError, UsageError, together
from brain.readers import open_recording
from decode.methods.double_conditioning import DoubleConditioningSettings
from decode.methods.pixels import PixelsSettings
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.run.migration import section_from
from decode.run.patterns import columns_of
from decode.run.settings import DataSettings, MapSettings, Settings, maps_of, to_json
from decode.stages.fit.lengths import check_lengths, filled_up, longest_of
from decode.stages.fit.memory import fitting_bytes
from decode.stages.own_data import must_be_its_own
from decode.stages.synthesize.synthesize import _noted
from encoders.mappings._parts.knobs import RidgeKnobs
from encoders.mappings.residual import ResidualKnobs
from encoders.ridge import ridge_bytes
from evaluation.report.evaluate import _picked
from evaluation.samples.read import read_samples
from pipelines.stacks.folder import StackFolder

SMALL = ("--judge", "pixels", "--bootstrap", "100", "--permutations", "20", "--folds", "3", "--refits", "0")


def changed(planted: Path, out: Path, change: Callable[[Any], None]) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(planted, out)
    with h5py.File(out, "r+") as file:
        del file["packed_sha256"]
        change(file)
    return out


def pixels(data: Path, out: Path, *more: str) -> int:
    return main(["study", str(data), "--recipe", "pixels-ridge", "--out", str(out), *SMALL, *more])


@pytest.fixture(scope="module")
def run(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pixels"
    assert pixels(planted, out) == 0
    return out


def copied(run: Path, out: Path) -> Path:
    """The run at another place, beside the data it was made of."""
    data = RunFolder(run).stored()[1]
    shutil.copytree(run, out)
    settings = json.loads((out / "settings.json").read_text())
    (out / "settings.json").write_text(json.dumps({**settings, "data": os.path.relpath(data, out)}))
    return out


def data_of(run: Path) -> Path:
    return RunFolder(run).stored()[1].resolve()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--judge", "nosuch"), 2, "no judge is called 'nosuch'"),
        (("--judge", "inception_v3"), 5, "inception_v3"),
        (("--profile", "nosuch"), 2, "no profile is called 'nosuch'"),
        (("--bootstrap", "50"), 2, "--bootstrap: expected 100 or more"),
        (("--rows", "decoded", "nosuch"), 2, "no row is called 'nosuch'"),
        (("--steps", "0"), 2, "--steps: expected 1 or more, found 0"),
        (("--steps", "5000"), 2, "--steps: expected 1 to 1000 on this stack, found 5000"),
        (("--strength", "0"), 2, "--strength: expected above 0"),
        (("--scheduler", "nosuch"), 2, "euler, euler-ancestral or pndm, found nosuch"),
        (("--dtype", "float8"), 2, "--dtype: expected float32, bfloat16 or float16, found float8; write float32"),
        (("--recipe", "unclip-miniature", "--noise-level", "5000"), 2, "--noise-level: expected 0 to 999"),
    ],
)
def test_a_setting_of_a_later_stage_is_refused_before_the_first_work(
    planted: Path, tiny_stack: Path, tmp_path: Path, more: Sequence[str], code: int, said: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    assert main(["study", str(planted), "--out", str(tmp_path / "run"), "--stack", str(tiny_stack), *more]) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_all_that_is_wrong_is_said_at_once(planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ("--judge", "nosuch", "--profile", "odd", "--maps", "clip-text=V1", "--rows", "prior")
    assert pixels(planted, tmp_path / "run", *wrong) == 2
    said = capsys.readouterr().err
    for part in ("leave prior out", "pixels is not decoded", "judge is called 'nosuch'", "is called 'odd'"):
        assert part in said
    assert said.count("\n") == 1


def test_several_faults_are_one_error_of_the_first_kind() -> None:
    def fails(error: AfterimageError) -> Callable[[], None]:
        def check() -> None:
            raise error

        return check

    together([])
    with pytest.raises(CheckpointAbsent, match="^gone$"):
        together([fails(CheckpointAbsent("gone")), fails(CheckpointAbsent("gone"))])
    with pytest.raises(InputError, match=r"2 faults: \(1\) a; \(2\) b"):
        together([fails(InputError("a")), fails(UsageError("b"))])


def test_missing_regions_and_captions_are_said_together_with_what_to_type(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def poorer(file: Any) -> None:
        del file["roi"]["early"]
        captions, ids = file["captions"].asstr()[()][:30], file["caption_ids"].asstr()[()][:30]
        del file["captions"], file["caption_ids"]
        file["captions"], file["caption_ids"] = captions.astype(object), ids.astype(object)

    with h5py.File(planted) as file:
        lacking = len(set(file["image_ids"].asstr()[()]) - set(file["caption_ids"].asstr()[()][:30]))
    data = changed(planted, tmp_path / "poorer.h5", poorer)
    own = ("--recipe", "takagi-miniature", "--stack", str(tiny_stack))
    words = ["study", str(data), "--out", str(tmp_path / "run"), *own, *SMALL]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "no region is called 'early'" in said and "ventral" in said
    assert "--maps 'vae-latent=*' 'clip-text=ventral+lateral'" in said and "--recipe " in said
    assert f"a caption or more of each of 36 stimuli, found none of {lacking} (" in said
    assert not (tmp_path / "run/conditions").exists()
    assert main(["fit", str(data), "--out", str(tmp_path / "run"), "--recipe", "unclip-miniature", "--stack",
                 str(tiny_stack), "--folds", "3"]) == 0  # fmt: skip


def sounds(folder: Path, seconds: Sequence[float]) -> Path:
    (folder / "sounds").mkdir(parents=True)
    ids = np.array([f"t{number:02d}" for number in range(len(seconds))])
    for name, long in zip(ids, seconds, strict=True):
        with wave.open(str(folder / "sounds" / f"{name}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16000)
            out.writeframes((np.sin(np.arange(int(16000 * long)) / 9) * 9000).astype("<i2").tobytes())
    responses = np.random.default_rng(0).normal(size=(len(ids), 12)).astype("float32")
    split = {"split/mine/train": ids[:-4], "split/mine/test": ids[-4:]}
    np.savez(folder / "tones.npz", responses=responses, stimulus=ids, **split)
    return folder / "tones.npz"


def test_sounds_of_several_lengths_are_refused_with_the_shortest_and_the_longest(tmp_path: Path) -> None:
    recording = open_recording(sounds(tmp_path / "many", [1.2 - 0.05 * number for number in range(8)]))
    with pytest.raises(InputError, match=r"one length, 8 of them, found 8 lengths from 0\.850 s \(t07\) to 1\.200 s"):
        check_lengths(recording, recording.stimuli.ids)
    same = open_recording(sounds(tmp_path / "one", [0.5] * 8))
    check_lengths(same, same.stimuli.ids)


def test_sounds_longer_than_the_stack_takes_are_refused_before_they_are_encoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = sounds(tmp_path / "long", [3.0] * 6 + [2.9, 3.1]), tmp_path / "run"
    maps = ("--maps", "clap=*", "loa=*", "mel-latent=*", "--folds", "2")
    assert main(["study", str(data), "--recipe", "c2f-miniature", *maps, "--out", str(out)]) == 3
    said = capsys.readouterr().err
    assert "expected sounds of at most 2.560 s, which is what space loa takes, found 8 of 8 sounds" in said
    assert "up to 3.100 s (t07); cut all to one length of at most 2.560 s" in said and said.count("\n") == 1
    assert not (out / "conditions").exists()
    short = open_recording(sounds(tmp_path / "mixed", [2.0, *[2.56] * 4, 3.0]))
    with pytest.raises(InputError, match=r"1 of 6 sounds that are longer, up to 3\.000 s .* at most 2\.000 s"):
        check_lengths(short, short.stimuli.ids, {"space mel-latent": 2.56})
    fits = open_recording(sounds(tmp_path / "fits", [2.56] * 6))
    check_lengths(fits, fits.stimuli.ids, {"space loa": 2.56})


def test_data_without_any_picture_are_refused_before_a_run_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = np.array([f"c{number}" for number in range(12)])
    np.savez(tmp_path / "bare.npz", responses=np.random.default_rng(0).normal(size=(12, 6)), stimulus=ids)
    assert pixels(tmp_path / "bare.npz", tmp_path / "run") == 3
    said = capsys.readouterr().err
    assert "expected the picture or sound of c0, found none; put `images` in the file" in said
    assert said.count("\n") == 1 and not (tmp_path / "run").exists()


def test_sounds_that_are_filled_up_are_said(tmp_path: Path) -> None:
    settings = CATALOGUE["c2f-miniature"].settings()
    short = open_recording(sounds(tmp_path / "short", [1.2] * 6))
    (said,) = filled_up(short, settings, short.stimuli.ids)
    assert said.startswith("sounds of 1.200 s are shorter than what space loa (2.560 s), space mel-latent (2.560 s), ")
    assert said.endswith("they are filled up, as each space's card says, and what is drawn is cut to their length")
    whole = open_recording(sounds(tmp_path / "whole", [2.56] * 6))
    assert filled_up(whole, settings, whole.stimuli.ids) == ()


def test_how_long_the_sounds_of_a_stack_are_is_known_without_its_weights(tmp_path: Path) -> None:
    for part, facts in {
        "unet": {"sample_size": 256}, "vae": {"sample_size": 1024, "block_out_channels": [128, 256, 512]},
        "teacher": {"front_end": "kaldi-fbank", "frames": 1000, "mels": 128, "mean": -4.3, "std": 4.6, "pad": "zero",
                    "layers": [10], "tokens": 8},
    }.items():  # fmt: skip
        (tmp_path / "audioldm2" / part).mkdir(parents=True)
        name = "preprocessor_config.json" if part == "teacher" else "config.json"
        (tmp_path / "audioldm2" / part / name).write_text(json.dumps(facts))
    stack = StackFolder(path=tmp_path / "audioldm2", row=None)
    known = longest_of(stack, ("clap", "mel-latent", "loa"))
    assert known == {"space loa": 10.0, "space mel-latent": 10.24, "stack audioldm2": 10.24}
    (stack.path / "vae/config.json").write_text("{}")
    with pytest.raises(InputError, match="sample_size in frames"):
        longest_of(stack, ("mel-latent",))
    with pytest.raises(InputError, match="block_out_channels of its vae"):
        longest_of(stack, ("clap",))


def few(planted: Path, out: Path, stimuli: int, *, test: int) -> Path:
    """The first stimuli of the planted data, of which the last are tested; 0 leaves each out in turn."""
    with h5py.File(planted) as file:
        shown, ids = file["stimulus"].asstr()[()], file["image_ids"].asstr()[()][:stimuli]
        rows = np.isin(shown, ids)
        split = {"split/held/train": ids[:-test], "split/held/test": ids[-test:]} if test else {}
        np.savez(out, responses=file["responses"][()][rows], stimulus=shown[rows].astype(str),
                 images=file["images"][()][:stimuli], image_ids=ids.astype(str),
                 **{name: one.astype(str) for name, one in split.items()})  # fmt: skip
    return out


@pytest.mark.parametrize(
    ("stimuli", "test", "said"),
    [
        (12, 1, "two test stimuli or more, for a report compares each with others, found 1 (s11)"),
        (3, 0, "3 training stimuli or more for --folds 3, found 2; ask for --folds 2"),
        (2, 0, "found 1; name another --split, or give data of more stimuli"),
    ],
)
def test_too_few_stimuli_are_one_sentence_before_the_fit(
    planted: Path, tmp_path: Path, stimuli: int, test: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pixels(few(planted, tmp_path / "few.npz", stimuli, test=test), tmp_path / "run") == 3
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "run/maps").exists()


@pytest.mark.parametrize(("stimuli", "test", "folds"), [(12, 2, "3"), (3, 0, "2")])
def test_few_stimuli_that_can_be_compared_make_a_report(
    planted: Path, tmp_path: Path, stimuli: int, test: int, folds: str
) -> None:
    data = few(planted, tmp_path / "few.npz", stimuli, test=test)
    assert pixels(data, tmp_path / "run", "--folds", folds) == 0
    assert (tmp_path / "run/report/report.html").is_file()


def test_one_test_stimulus_can_be_drawn_and_what_has_no_number_is_said(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = few(planted, tmp_path / "few.npz", 12, test=1), tmp_path / "run"
    assert main(["fit", str(data), "--recipe", "pixels-ridge", "--out", str(out), "--folds", "3"]) == 0
    assert main(["decode", str(out)]) == 2
    assert "this run tests 1; ask for --rows decoded mean retrieval" in capsys.readouterr().err
    assert main(["decode", str(out), "--rows", "decoded", "mean", "retrieval"]) == 0
    assert main(["evaluate", str(out), "--judge", "pixels", "--bootstrap", "100", "--permutations", "20"]) == 0
    said = capsys.readouterr().out
    absent = json.loads((out / "report/report.json").read_text())["absent"]
    assert any("top1_other_recons: identification needs two references" in one for one in absent)
    assert "nan" not in said.split("not computed")[0]


def test_a_run_that_holds_conditions_alone_is_not_bound(planted: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert pixels(planted, out) == 0
    shutil.rmtree(out / "maps")
    shutil.rmtree(out / "samples")
    (out / "card.json").unlink()
    assert pixels(planted, out, "--folds", "4", "--pixels", "grey-4x4") == 0
    assert json.loads((out / "card.json").read_text())["spaces"]["pixels"]["shape"] == [1, 4, 4]


def test_a_run_that_holds_references_alone_is_not_bound_and_draws_them_anew(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path / "run")
    shutil.rmtree(copy / "samples")
    assert main(["decode", str(copy), "--rows", "decoded"]) == 0
    index = copy / "samples/index.jsonl"
    lines = [line for line in index.read_text().splitlines(keepends=True) if '"reference"' in line]
    index.write_text("".join(lines))
    shutil.rmtree(copy / "samples/decoded")
    before = {path: path.stat().st_mtime_ns for path in (copy / "samples/references").iterdir()}
    assert main(["decode", str(copy), "--test-repeats", "1"]) == 0
    assert all(path.stat().st_mtime_ns > made for path, made in before.items())
    assert RunFolder(copy).stored()[0].sampling.test_repeats == 1
    assert main(["decode", str(copy), "--test-repeats", "2"]) == 2


def test_data_of_others_are_refused_before_the_run_notes_them(
    run: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(file: Any) -> None:
        file["responses"][...] = file["responses"][()][::-1]

    copy, foreign = copied(run, tmp_path / "run"), changed(planted, tmp_path / "else" / planted.name, other)
    before = (copy / "settings.json").read_bytes()
    for command, *more in (("decode", "--seeds", "2"), ("evaluate",), ("synthesize", "--region", "early")):
        assert main([command, str(copy), *more, "--data", str(foreign)]) == 3
        assert "was fitted on, found the same responses in trials of other stimuli" in capsys.readouterr().err
        assert (copy / "settings.json").read_bytes() == before
    assert main(["decode", str(copy), "--seeds", "2"]) == 0


def test_data_of_the_same_means_and_another_spread_are_others(run: Path, planted: Path, tmp_path: Path) -> None:
    recording = open_recording(planted)
    responses, train = recording.responses, recording.responses.of(recording.folds()[0].train)

    def wider(file: Any) -> None:
        values = responses.values.copy()
        for session in np.unique(responses.session):
            rows = responses.session == session
            mean = values[rows & train].mean(axis=0, dtype=np.float64)
            values[rows] = mean + 1.01 * (values[rows] - mean)
        file["responses"][...] = values

    copy = RunFolder(copied(run, tmp_path / "run"))
    fit = copy.stored()[0]
    must_be_its_own(copy, changed(planted, tmp_path / "same" / planted.name, lambda file: None), fit)
    with pytest.raises(InputError, match="was fitted on, found other responses to its stimuli"):
        must_be_its_own(copy, changed(planted, tmp_path / "else" / planted.name, wider), fit)


def test_a_run_that_moved_without_its_data_is_judged_where_they_are(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_of(run)
    copy = tmp_path / "far" / "away"
    shutil.copytree(run, copy)
    assert main(["decode", str(copy), "--seeds", "2"]) == 3
    assert "name them with --data" in capsys.readouterr().err
    assert main(["evaluate", str(copy), "--bootstrap", "110", "--data", str(data)]) == 0
    assert data_of(copy) == data


def test_a_report_of_another_profile_is_not_lost(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copied(run, tmp_path / "run")
    before = (copy / "report/report.json").read_bytes()
    more = ("--profile", "paper-brain-diffuser")
    assert main(["evaluate", str(copy), *more]) == 2
    assert "holds a report by profile clean" in capsys.readouterr().err
    assert (copy / "report/report.json").read_bytes() == before
    assert main(["evaluate", str(copy), *more, "--out", str(tmp_path / "beside")]) == 0
    assert (tmp_path / "beside/report.html").is_file() and (copy / "report/report.json").read_bytes() == before


def test_more_samples_make_a_report_stale_which_is_said_by_decode_and_by_the_audit(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copied(run, tmp_path / "run")
    assert main(["audit", str(copy)]) == 0
    assert main(["decode", str(copy), "--stimuli", "s30", "--seeds", "4"]) == 0
    assert f"write it again with `afterimage evaluate {copy}`" in capsys.readouterr().out
    assert main(["audit", str(copy)]) == 3
    said = capsys.readouterr().err
    assert "is stale; evaluate again" in said and "numbers" not in said
    assert main(["evaluate", str(copy)]) == 0 and main(["audit", str(copy)]) == 0


def test_an_audit_of_a_run_at_work_says_who_is_at_work(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copied(run, tmp_path / "run")
    with (copy / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("process 4711")
        held.flush()
        assert main(["audit", str(copy)]) == 4
    assert "found process 4711 at work on it; wait" in capsys.readouterr().err
    assert main(["audit", str(copy)]) == 0


def test_only_rows_that_were_picked_are_said_to_be(run: Path) -> None:
    found = read_samples(run, references=None)
    assert _picked(found) == "every sample is kept, none is picked"
    more = tuple(replace(one, candidates=5) if one.row == "mean" else one for one in found.samples)
    assert _picked(replace(found, samples=more)) == "best of 5 in row mean: samples were PICKED"


BEYOND = [
    ("alphas", (1.0, -1.0), "--alphas: expected finite numbers above 0, found -1; "),
    ("alphas", (0.0,), "--alphas: expected finite numbers above 0, found 0; "),
    ("alphas", (math.nan,), "--alphas: expected finite numbers above 0, found nan; "),
    ("alphas", (math.inf,), "--alphas: expected finite numbers above 0, found inf; "),
    ("chunk", 0, "--chunk: expected 1 or more, found 0; "),
    ("folds", 1, "--folds: expected 2 or more, found 1; "),
    ("network_steps", -1, "--network-steps: expected 0 or more, found -1; "),
    ("masked_steps", -1, "--masked-steps: expected 0 or more, found -1; "),
    ("tune_steps", 0, "--tune-steps: expected 1 or more, found 0; "),
    ("sessions", (1, -1), "--sessions: expected 0 or more, found -1; "),
    ("pixels", "grey-0x0", "--pixels: expected pixels such as grey-10x10 or rgb-64x64, found 'grey-0x0'; "),
    ("pixels", "cmyk-8x8", "--pixels: expected pixels such as grey-10x10 or rgb-64x64, found 'cmyk-8x8'; "),
    ("voxels", ("V1", "*"), "--voxels: expected * alone, for it is every voxel already, found * beside V1; "),
]


PARTS = (RidgeKnobs(), MapSettings(), ResidualKnobs(), DoubleConditioningSettings(), DataSettings(), PixelsSettings())


@pytest.mark.parametrize(("name", "value", "said"), BEYOND)
def test_settings_of_a_fit_are_bounded_where_they_are_made(name: str, value: Any, said: str) -> None:
    (kind,) = {type(part) for part in PARTS if name in {one.name for one in fields(part)}}
    with pytest.raises(UsageError, match=re.escape(said)):
        replace(kind(), **{name: value})
    # of a file, which no flag can mend
    stored = json.loads(json.dumps({**to_json(kind()), name: value}))
    with pytest.raises(InputError) as fault:
        section_from(kind, stored, where="settings.json")
    words = said.removeprefix("--").removesuffix("; ")
    assert str(fault.value) == f"settings.json: {words}; put the file back, or start a new run with --out"


def test_settings_at_their_bounds_are_taken() -> None:
    least = (
        RidgeKnobs(alphas=(1e-9,), chunk=1), MapSettings(folds=2), ResidualKnobs(network_steps=0),
        DoubleConditioningSettings(masked_steps=0, tune_steps=1, voxels=("*",)), DataSettings(sessions=(1,)),
        PixelsSettings(pixels="grey-1x9999"),
    )  # fmt: skip
    for one in least:
        assert section_from(type(one), json.loads(json.dumps(to_json(one))), where="settings.json") == one


@pytest.mark.parametrize(
    "more",
    [
        ("--alphas", "-1"),
        ("--chunk", "0"),
        ("--folds", "1"),
        ("--mapping", "residual", "--network-steps", "-1"),
        ("--pixels", "grey-0x0"),
    ],
)
def test_a_fit_out_of_bounds_is_refused_before_data_are_opened(
    tmp_path: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(tmp_path / "nowhere.h5"), "--recipe", "pixels-ridge", "--out", str(tmp_path / "run")]
    assert main([*words, *more]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"afterimage: {more[-2]}: expected ") and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flag", "words", "said"),
    [
        ("--maps", ("pixels=all+*",), "found * beside all; write 'pixels=*' for every voxel, or leave * out"),
        ("--maps", ("pixels=*+*",), "found * beside itself; write 'pixels=*' for every voxel"),
    ],
)
def test_every_voxel_beside_regions_is_refused_at_once(
    tmp_path: Path, flag: str, words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pixels(tmp_path / "nowhere.h5", tmp_path / "run", flag, *words) == 2
    err = capsys.readouterr().err
    assert f"{flag}: expected * alone, for it is every voxel already, {said}" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_voxels_are_counted_by_what_fits_them(planted: Path) -> None:
    recording = open_recording(planted)
    whole = len(recording.responses.space)
    early = int(recording.region("early").mask.sum())
    assert columns_of(recording, ("*",)).tolist() == list(range(whole)) and early < whole
    assert len(columns_of(recording, ("early", "early"))) == early
    fold, shapes = recording.split(), {"pixels": (1, 8, 8)}
    bytes_of = {
        names: fitting_bytes(recording, fold, shapes, maps_of(settings.maps)["pixels"], settings)
        for names in ("*", "early")
        for settings in [Settings(recipe="x", maps=MapSettings(maps=(f"pixels={names}",)))]
    }
    samples = len(fold.train)
    ridges = [ridge_bytes(samples, voxels, 64, folds=5) for voxels in (whole, early)]
    assert bytes_of["*"] - bytes_of["early"] == 4 * samples * (whole - early) + ridges[0] - ridges[1]


def test_a_union_that_is_written_like_one_region_is_refused(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed(planted, tmp_path / "plus.h5", lambda file: file["roi"].move("early", "V1+V2"))
    assert pixels(data, tmp_path / "run", "--maps", "pixels=V1+V2") == 2
    said = "--maps: expected regions joined by +, found 'V1+V2', which is one region of these data; rename that region"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_flags_of_a_hint_can_be_typed(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words of --voxels stand apart, regions of --maps are joined."""
    words = ("--maps", "clip-text=early+erly", "--voxels", "early", "lateral", "nowhere", "--beside", "--stack")
    assert main(["study", str(planted), "--recipe", "mindvis-miniature", "--out", str(tmp_path / "run"), *words,
                 str(tiny_stack)]) == 2  # fmt: skip
    assert "--maps 'clip-text=early' --voxels 'early' 'lateral'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--rows", "decoded", "decoded"), "--rows: expected names that differ, found 'decoded' twice"),
        (("--rows",), "--rows: expected one row or more of decoded"),
        (("--curve-stimuli", "-1"), "--curve-stimuli: expected 2 or more, found -1"),
    ],
)
def test_a_study_out_of_bounds_is_refused_before_any_work(
    planted: Path, tmp_path: Path, more: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", str(planted), "--recipe", "pixels-ridge", "--out", str(tmp_path / "run")]
    assert main([*words, *more]) == 2
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "change",
    [{"asked": math.nan}, {"asked": []}, {"asked": {"maps": {}}}, {"recipe": 3}, {"data": {"x": 1}}],
)
def test_settings_of_another_form_are_one_sentence(
    run: Path, planted: Path, tmp_path: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copied(run, tmp_path / "run")
    stored = json.loads((copy / "settings.json").read_text())
    for card in (True, False):  # of a finished run, and of a fit that was stopped
        (copy / "settings.json").write_text(json.dumps({**stored, **change}))
        if not card:
            (copy / "card.json").unlink()
        for words in (["study", str(planted), "--recipe", "pixels-ridge", "--out", str(copy)], ["decode", str(copy)]):
            assert main(words) == 3
            said = "settings.json: expected the settings of a run, found values of other types; put the file back"
            assert said in capsys.readouterr().err


def test_what_another_call_noted_in_another_form_is_one_sentence(tmp_path: Path) -> None:
    """Beside a run: the card of a folder of samples, and what a synthesis was asked for."""
    (tmp_path / "card.json").write_text(json.dumps({"beside": {"drawn": 3}}))
    with pytest.raises(InputError, match=r"card\.json: expected the card of a run, found other values under 'beside'"):
        RunFolder(tmp_path).card_facts()
    (tmp_path / "synthesis.json").write_text(json.dumps({"asked": 3, "ways": []}))
    for part in ("asked", "ways"):
        with pytest.raises(InputError, match=rf"synthesis\.json: expected facts under '{part}', found another value"):
            _noted(tmp_path, part)
    assert _noted(tmp_path / "nowhere", "asked") == {}
