"""The method bayes on a random tiny stack: what it learns, what it draws from, its rows, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image, ImageOps

from app.cli import main
from brain.data.averages import average_repeats
from brain.errors import InputError
from brain.readers import open_recording
from brain.types import Stimuli
from decode.methods import CATALOGUE as METHODS
from decode.methods._parts.bayes import OWN, Readings, Said
from decode.methods._parts.bayes_draws import by_seed, spoken, started
from decode.methods.bayes import BayesSettings
from decode.run.folder import RunFolder
from decode.run.patterns import folds_of
from decode.stages.bank import build
from decode.stages.draw.opened import Opened
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE as SPACES
from encoders.voxel_contract import own_trials
from encoders.voxelwise.bank_guard import same_words
from encoders.voxelwise.bank_items import caption_items, drawn_items, file_items, open_item
from encoders.voxelwise.banks import Bank
from encoders.voxelwise.reading import Reading, _held_out, _Training, held_in
from evaluation.samples.read import read_samples
from evaluation.statistics.folds import read_design
from evaluation.statistics.posteriors import read_posteriors
from tests.conftest import plant
from tests.test_decode_study import FAST, digests

ROWS = ("decoded", "shuffled", "mean", "repeat", "oracle", "retrieval", "likely", "other_words", "correlated")
LADDER = ROWS[:6]


def words(data: Path, out: Path, stack: Path, *more: str) -> list[str]:
    own = ("--recipe", "bayes-miniature", "--steps", "3", "--scheduler", "ddim", "--strength", "0.7",
           "--drawn-from", "mean", "--beside", "--maps", "vae-latent=early", "clip-text=nsdgeneral")  # fmt: skip
    return ["study", str(data), "--out", str(out), "--stack", str(stack), *FAST, *own, *more]


@pytest.fixture(scope="module")
def bank(tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("banks") / "drawn"
    items = drawn_items(40, seed=9, modality="image")
    build(folder, stack=str(tiny_stack), items=items, spaces=("clip-text", "vae-latent"), components=8, latents=6)
    return folder


@pytest.fixture(scope="module")
def run(planted: Path, tiny_stack: Path, bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with a bank, and every row."""
    out = tmp_path_factory.mktemp("runs") / "bayes"
    assert main(words(planted, out, tiny_stack, "--bank", str(bank), "--rows", *ROWS)) == 0
    return out


@pytest.fixture(scope="module")
def without(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a bank: training stimuli are the candidates."""
    out = tmp_path_factory.mktemp("runs") / "own"
    assert main(words(planted, out, tiny_stack, "--rows", "decoded", "shuffled")) == 0
    return out


def opened(run: Path, planted: Path) -> Opened:
    settings, _ = RunFolder(run).stored()
    return Opened(run=RunFolder(run), settings=settings, data=planted)


def test_a_study_learns_and_draws_every_row(run: Path) -> None:
    samples = read_samples(run, references=None)
    assert {row: len(samples.of(row)) for row in samples.rows()} == dict.fromkeys(ROWS, 8)
    card = json.loads((run / "card.json").read_text())
    facts = card["learned"]["learned/bayes/bayes.held-out.json"]
    assert set(facts["sets"]) == {"ventral+lateral", "nsdgeneral"} and 0 <= facts["mixture"] <= 1
    assert facts["candidates"]["items"] == 40 and facts["settled_on"] == 28
    assert card["decode"]["bank"]["digest"] == facts["bank"] and card["learners"] == ["bayes"]
    assert json.loads((run / "settings.json").read_text())["asked"]["methods"]["bayes"]["bank"]


def test_rows_are_drawn_from_what_they_say(run: Path, planted: Path) -> None:
    one = opened(run, planted)
    keys = [(row, name, 0) for row in LADDER for name in one.folds[0].test]
    ladder, decoder = one.ladder(one.settings, keys), one.decoder(one.settings)
    names = list(one.folds[0].test)
    found = {row: decoder.conditions(ladder, row, names)["clip-text"] for row in ("decoded", "oracle", "mean")}
    np.testing.assert_array_equal(found["oracle"].values, ladder.true["clip-text"].take(names).values)
    assert np.ptp(found["mean"].values, axis=0).max() == 0
    ridge = ladder.decoded["clip-text"].take(names).values
    assert not np.allclose(found["decoded"].values, ridge)
    shuffled = decoder.conditions(ladder, "shuffled", names)["clip-text"].values
    assert sorted(map(float, shuffled[:, 0, 0])) == sorted(map(float, found["decoded"].values[:, 0, 0]))
    assert not np.array_equal(shuffled, found["decoded"].values)


def test_the_same_condition_alone_as_among_all(run: Path, planted: Path, tmp_path: Path) -> None:
    whole, name = digests(run), "s31"
    alone = tmp_path / "alone"
    shutil.copytree(run, alone)
    shutil.rmtree(alone / "samples")
    assert main(["decode", str(alone), "--data", str(planted), "--stimuli", name]) == 0
    drawn = digests(alone)
    assert set(drawn) == {key for key in whole if f"/{name}-" in key}
    assert drawn == {key: whole[key] for key in drawn}


def test_mixture_sharpness_and_start_mean_what_they_say(run: Path, planted: Path) -> None:
    one = opened(run, planted)
    names = list(one.folds[0].test)
    ladder = one.ladder(one.settings, [("decoded", name, 0) for name in names])
    readings: Readings = METHODS["bayes"].open(one.run, one.settings, true=one.true)
    said = readings.posteriors(ladder, "decoded", names)
    text, latents = (ladder.decoded[space].take(names) for space in ("clip-text", "vae-latent"))
    bank, fold = readings.candidates(one.folds[0].name), one.folds[0].name
    reading = readings.reading(fold)
    for share in (0.0, 0.25, 1.0):
        readings._readings[fold] = replace(reading, mixture=share)
        found = spoken(readings, said, text, drawn_from="mean").values
        mean = bank.spaces["clip-text"].conditions(said[names[0]].found.mean)
        np.testing.assert_allclose(found, (1 - share) * mean + share * text.values, rtol=1e-3, atol=1e-3)
    readings._readings[fold] = replace(reading, mixture=0.0, weights=(1.0, 1.0))
    said = readings.posteriors(ladder, "decoded", names)
    best = spoken(readings, said, text, drawn_from="maximum").values
    rows = said[names[0]].found.best[:, 0]
    texts = Stimuli(
        ids=tuple(dict.fromkeys(map(str, rows.tolist()))), modality="image", opener=lambda name: None,
        captions={str(row): (bank.captions[row],) for row in rows.tolist()},
    )  # fmt: skip
    space = SPACES["clip-text"].open(Path(one.settings.maps.stack), model="tiny", revision="", device="cpu")
    anew = space.encode(texts, texts.ids, batch=4)
    np.testing.assert_array_equal(best, anew.values[anew.rows([str(row) for row in rows.tolist()])])
    readings._banks[fold] = replace(bank, captions=("",) * len(bank))
    best = spoken(readings, said, text, drawn_from="maximum").values
    exact = bank.spaces["clip-text"].conditions(bank.spaces["clip-text"].coordinates[rows])
    np.testing.assert_array_equal(best, exact)
    sharp = spoken(readings, readings.posteriors(ladder, "decoded", names, sharpness=100), text, drawn_from="mean")
    np.testing.assert_allclose(sharp.values, best, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(started(readings, said, latents, share=0).values, latents.values)
    mixed = started(readings, said, latents, share=0.7)
    assert not np.array_equal(mixed.values, latents.values)
    np.testing.assert_allclose(mixed.values.std((1, 2, 3)), latents.values.std((1, 2, 3)), rtol=1e-3)
    assert isinstance(said[names[0]], Said)


def test_the_bank_s_own_pictures_and_a_bank_without_the_words(run: Path, planted: Path) -> None:
    one = opened(run, planted)
    names = list(one.folds[0].test)
    ladder = one.ladder(one.settings, [("decoded", name, 0) for name in names])
    readings: Readings = METHODS["bayes"].open(one.run, one.settings, true=one.true)
    said, samples = readings.posteriors(ladder, "decoded", names), read_samples(run, references=None)
    bank = readings.candidates(one.folds[0].name)
    for sample in samples.of("likely"):
        row = int(said[sample.stimulus].found.best[said[sample.stimulus].row, 0])
        size = samples.open(sample).size
        expected = ImageOps.fit(open_item(bank, row), size, method=Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(samples.open(sample)), np.asarray(expected))
    # none of these stimuli has words of the bank: nothing is taken away, and the same pictures are drawn
    assert {one.sha256 for one in samples.of("other_words")} == {one.sha256 for one in samples.of("decoded")}
    gone = {names[0]: said[names[0]].found.best[0, :1]}
    without = readings.posteriors(ladder, "decoded", names, without=gone)
    assert int(without[names[0]].found.best[0, 0]) == int(said[names[0]].found.best[0, 1])


def test_candidates_with_the_stimulus_words_are_taken_away_in_that_row_alone(
    planted: Path, tiny_stack: Path, tmp_path: Path
) -> None:
    lines = [f"a {colour} thing number {number}" for number in range(6) for colour in ("red", "blue")]
    (tmp_path / "said.txt").write_text("\n".join([*lines, "red is the thing and it is 30"]), encoding="utf-8")
    items = caption_items(tmp_path / "said.txt")
    build(tmp_path / "bank", stack=str(tiny_stack), items=items, spaces=("clip-text",), components=8)
    out = tmp_path / "run"
    more = ("--bank", str(tmp_path / "bank"), "--rows", "decoded", "other_words", "--drawn-from", "maximum")
    assert main(words(planted, out, tiny_stack, *more)) == 0
    drawn = digests(out)
    with_words = {name for name in ("s30",) if drawn[f"other_words/{name}-0"] != drawn[f"decoded/{name}-0"]}
    one = opened(out, planted)
    names = list(one.folds[0].test)
    readings: Readings = METHODS["bayes"].open(one.run, one.settings, true=one.true)
    ladder = one.ladder(one.settings, [("decoded", name, 0) for name in names])
    said = readings.posteriors(ladder, "decoded", names)
    gone = {name: same_words(readings.candidates("held-out"), one.recording.stimuli, name) for name in names}
    assert {name: rows.tolist() for name, rows in gone.items() if len(rows)} == {"s30": [12]}
    assert bool(with_words) == (said["s30"].best == 12)
    for name in names:
        if name != "s30":
            assert drawn[f"other_words/{name}-0"] == drawn[f"decoded/{name}-0"]


def test_a_bank_with_a_test_picture_is_refused_by_the_study(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    stimuli = open_recording(planted).stimuli
    (tmp_path / "files").mkdir()
    for number in range(20, 36):  # of which those from 28 on are tested
        stimuli.open(f"s{number}").save(tmp_path / f"files/other{number}.png")
    (tmp_path / "said.csv").write_text("".join(f"other{number},thing {number}\n" for number in range(20, 36)), "utf-8")
    items = file_items(tmp_path / "files", modality="image", captions=tmp_path / "said.csv")
    build(tmp_path / "bank", stack=str(tiny_stack), items=items, components=8, latents=6)
    learned = tmp_path / "out" / "learned"
    assert main(words(planted, tmp_path / "out", tiny_stack, "--bank", str(tmp_path / "bank"))) == 3
    assert not list(learned.rglob("*.safetensors"))


def test_a_plain_search_is_drawn_without_a_ridge_and_a_strange_pattern_is_told(
    run: Path, planted: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    path = other / "learned/bayes/bayes.held-out.safetensors"
    reading = Reading.load(path)
    replace(reading, mixture=0.5, weights=(1.0, 1.0), misfits=np.array([-9.0, -9.0])).save(path)
    again = ["decode", str(other), "--data", str(planted), "--rows", "decoded", "correlated"]
    assert main([*again, "--to", str(tmp_path / "drawn")]) == 0
    drawn, before = digests(tmp_path / "drawn"), digests(run)
    same = {row: [drawn[key] == before[key] for key in drawn if key.startswith(row)] for row in ("decoded", "corr")}
    assert all(same["corr"]) and not any(same["decoded"])
    (other / "posteriors/bayes.json").unlink()
    settings, _ = RunFolder(other).stored()
    METHODS["bayes"].finish(RunFolder(other), settings)
    told = json.loads((other / "posteriors/bayes.json").read_text())["stimuli"]
    assert len(told) == 8 and all(one["none"] for one in told.values())


def test_each_seed_draws_a_candidate_of_its_own(run: Path, planted: Path, tmp_path: Path) -> None:
    again = ["decode", str(run), "--data", str(planted), "--rows", "decoded", "--drawn-from", "draw", "--seeds", "4"]
    assert main([*again, "--to", str(tmp_path / "all")]) == 0
    assert main([*again, "--to", str(tmp_path / "one"), "--stimuli", "s31"]) == 0
    drawn, alone = digests(tmp_path / "all"), digests(tmp_path / "one")
    assert len([key for key in drawn if key.startswith("decoded/")]) == 32
    assert alone == {key: drawn[key] for key in alone} and len(alone) == 5
    beside = ["decode", str(run), "--data", str(planted), "--rows", "other_words", "--stimuli", "s31"]
    for way in ("draw", "maximum", "mean"):
        assert main([*beside, "--drawn-from", way, "--to", str(tmp_path / way)]) == 0
    others = [digests(tmp_path / way)["other_words/s31-0"] for way in ("draw", "maximum", "mean")]
    assert others[0] == others[1] != others[2], "the likeliest of those that are left"
    one = opened(run, planted)
    own = replace(one.settings.method("bayes"), drawn_from="draw")
    settings = replace(one.settings, methods={**one.settings.methods, "bayes": own})
    ladder, names = one.ladder(settings, [("decoded", name, 0) for name in one.folds[0].test]), ["s30", "s30", "s31"]
    decoder, readings = one.decoder(settings), METHODS["bayes"].open(one.run, settings, true=one.true)
    given = decoder.conditions(ladder, "decoded", ["s30", "s31"])
    each, keys = by_seed(readings, given, names, [5, 6, 5], own=own, start="vae-latent", anchor=False)
    assert keys == ["s30#5", "s30#6", "s31#5"] and each["clip-text"].ids == tuple(keys)
    bank, mixture = readings.candidates("held-out"), readings.reading("held-out").mixture
    anew = readings.anew(bank, range(len(bank)), "clip-text")
    text = given["clip-text"]
    ridge = text.values[text.rows(names)]
    drawn_texts = (each["clip-text"].values - mixture * ridge) / (1 - mixture)
    apart = [min(float(np.abs(text - one).max()) for one in anew.values()) for text in drawn_texts]
    assert max(apart) < 1e-3, "every sample's text is a candidate's"


def test_a_plain_search_takes_the_best_correlation_and_a_strange_pattern_is_none_of_the_bank(
    run: Path, planted: Path
) -> None:
    one = opened(run, planted)
    readings: Readings = METHODS["bayes"].open(one.run, one.settings, true=one.true)
    fold = one.folds[0]
    reading, candidates = readings.reading(fold.name), readings.features(fold.name).candidates
    trials = one.recording.responses.trials(one.recording.responses.of(set(fold.test)))
    names, best = reading.correlated(trials, candidates, keep=3)
    averaged = average_repeats(own_trials(trials, voxels=reading.voxels, unit=reading.unit, scaler=reading.scaler))
    own, encoding = max(zip(reading.columns, reading.encodings, strict=True), key=lambda two: len(two[1].columns))
    predicted = encoding.expected(candidates.astype(np.float32))
    found = np.corrcoef(predicted, averaged.values[:, own][:, encoding.columns])[len(predicted) :, : len(predicted)]
    assert names == averaged.ids
    np.testing.assert_array_equal(best, np.argsort(-found, axis=1)[:, :3])
    alone, first = reading.correlated(trials.trials(trials.of({names[3]})), candidates, keep=3)
    assert alone == names[3:4] and np.array_equal(first[0], best[3])

    voxels = sum(len(two.columns) for two in reading.encodings)
    believed = replace(reading, weights=(1.0, 1.0), misfits=np.array([10.0, 20.0, 40.0]) / voxels)
    most = believed.together(averaged.values[:1], averaged.repeats[:1])
    top = most.log_likelihood(candidates.astype(np.float64)).max(1)
    ceiling = sum(two.ceiling(averaged.repeats[:1]) for two in reading.encodings)
    assert not believed.unexplained(ceiling - 49.0, averaged.repeats[:1]).any()
    assert believed.unexplained(ceiling - 51.0, averaged.repeats[:1]).all() and (top <= ceiling).all()
    silent = replace(believed, weights=(0.0, 0.0))
    assert not silent.unexplained(ceiling - 1e9, averaged.repeats[:1]).any()
    assert len(reading.misfits) == reading.settled_on and (np.diff(reading.misfits) >= 0).all()


def test_silenced_voxels_stand_where_the_training_patterns_have_their_mean(run: Path, planted: Path) -> None:
    one = opened(run, planted)
    (fold,), shown, early = one.folds, one.recording.responses, one.recording.region("early").mask
    reading = Reading.load(run / f"learned/bayes/bayes.{fold.name}.safetensors")
    train, test = (
        average_repeats(
            own_trials(shown.trials(shown.of(ids)), voxels=reading.voxels, unit=reading.unit, scaler=reading.scaler)
        )
        for ids in (fold.train, fold.test)
    )
    patterns = np.where(early, train.values.mean(0, dtype=np.float64), test.values).astype(np.float32)
    believed = replace(reading, weights=(1.0, 1.0))
    silenced, whole = (believed.together(one, test.repeats).linear for one in (patterns, test.values))
    found = one.tested(set(fold.test), ("early",), trials="averaged").responses
    ids, evidence = believed.evidence(found)
    assert ids == test.ids and np.abs(silenced - whole).max() > 0.1 * np.abs(whole).max()
    np.testing.assert_allclose(evidence.linear, silenced, atol=1e-3 * np.abs(whole).max(), rtol=0)
    found = one.decoded(set(fold.test), lambda trials: trials, settings=one.settings, silenced=("early",))
    _, evidence = reading.evidence(one.tested(set(fold.test), ("early",), trials="averaged").responses)
    linear = found["bayes-evidence"].take(ids).values[:, 2:]
    np.testing.assert_array_equal(linear, evidence.linear.astype(np.float32))


def test_with_every_voxel_silenced_rows_of_the_bank_show_one_candidate(
    run: Path, planted: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    path = other / "learned/bayes/bayes.held-out.safetensors"
    replace(Reading.load(path), weights=(1.0, 1.0)).save(path)  # of a random stack the posterior is the prior
    rows, names = ("likely", "correlated", "oracle"), ("s30", "s31", "s32", "s33")
    again = ["decode", str(other), "--data", str(planted), "--rows", *rows, "--stimuli", *names]
    assert main([*again, "--to", str(tmp_path / "whole")]) == 0
    assert main([*again, "--to", str(tmp_path / "blind"), "--silence", "nsdgeneral"]) == 0
    whole, blind = digests(tmp_path / "whole"), digests(tmp_path / "blind")
    shown = [{digest for key, digest in drawn.items() if key.startswith("likely/")} for drawn in (whole, blind)]
    assert len(shown[0]) > 1 and len(shown[1]) == 1
    changed = {row: {whole[key] != blind[key] for key in whole if key.startswith(row)} for row in rows}
    assert True in changed["likely"] and True in changed["correlated"] and changed["oracle"] == {False}


def test_test_trials_change_nothing_that_is_learned(
    run: Path, planted: Path, tiny_stack: Path, bank: Path, tmp_path: Path
) -> None:
    poisoned = tmp_path / "planted.h5"
    shutil.copy(planted, poisoned)
    with h5py.File(poisoned, "r+") as file:
        values = file["responses"][()]
        values[file["stimulus"].asstr()[()] >= "s28"] *= 1e6
        file["responses"][...] = values
    own = ("--recipe", "bayes-miniature", "--stack", str(tiny_stack), "--bank", str(bank), "--folds", "3")
    maps = ("--maps", "vae-latent=early", "clip-text=nsdgeneral")
    assert main(["fit", str(poisoned), "--out", str(tmp_path / "run"), *own, *maps]) == 0
    name = "learned/bayes/bayes.held-out.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


def test_of_the_test_stimuli_nothing_but_responses_is_read(
    run: Path, tiny_stack: Path, bank: Path, tmp_path: Path
) -> None:
    hidden = plant(tmp_path / "planted.h5", hidden=True)
    rows = ("decoded", "shuffled", "repeat", "retrieval", "likely", "correlated")
    how = words(hidden, tmp_path / "run", tiny_stack, "--bank", str(bank), "--rows", *rows)
    assert main(how) == 0
    read, same = (
        [(home / "learned/bayes/bayes.held-out.safetensors").read_bytes(), digests(home)]
        for home in (run, tmp_path / "run")
    )
    assert read[0] == same[0]
    drawn = {key: digest for key, digest in same[1].items() if key.partition("/")[0] in rows}
    assert len(drawn) == 8 * len(rows) and drawn == {key: read[1][key] for key in drawn}


def test_words_and_doubt_are_told_of_every_test_stimulus(run: Path, planted: Path, bank: Path) -> None:
    path = run / "posteriors/bayes.json"
    (told,) = read_posteriors(run)
    recording, drawn = open_recording(planted), Bank.load(bank)
    assert (told.method, told.candidates) == ("bayes", 40)
    assert set(told.stimuli) == set(folds_of(recording, "")[0].test)
    captions = dict(zip(drawn.ids, drawn.captions, strict=True))
    for words in told.stimuli.values():
        assert len(words.captions) == 5 and 0 < sum(one.share for one in words.captions) <= 1.001
        assert all(captions[one.item] == one.caption for one in words.captions)
        assert set(words.labels) == set(drawn.labels) and not words.none
        assert all(0.9 < sum(found.values()) <= 1.001 for found in words.labels.values())
        assert 0 <= words.entropy <= np.log(40) + 1e-3 and words.prior_entropy == round(np.log(40), 4)
    before = path.stat().st_mtime_ns
    assert main(["decode", str(run), "--data", str(planted)]) == 0
    assert path.stat().st_mtime_ns == before, "it is of that evidence"
    evidence = (run / "conditions/bayes-evidence.read.safetensors").read_bytes()
    assert json.loads(path.read_text())["made of"] == hashlib.sha256(evidence).hexdigest()
    assert Conditions.load(run / "conditions/bayes-evidence.read.safetensors").space.name == "bayes-evidence"


def test_without_a_bank_training_stimuli_are_the_candidates(without: Path, planted: Path) -> None:
    card = json.loads((without / "card.json").read_text())
    assert card["decode"]["bank"] == OWN
    assert card["learned"]["learned/bayes/bayes.held-out.json"]["candidates"] == OWN
    one = opened(without, planted)
    readings: Readings = METHODS["bayes"].open(one.run, one.settings, true=one.true)
    assert readings.candidates(one.folds[0].name).ids == one.folds[0].train
    assert len(read_samples(without, references=None).of("decoded")) == 8


def test_a_bank_with_training_stimuli_is_believed_as_far_as_one_without() -> None:
    """What is shown is a candidate of the bank, and its windows: they settle nothing, or patterns seem to say all."""
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((60, 8)).astype(np.float32)
    ids = tuple(f"c{one // 2:02}_slide{one % 2}" for one in range(60))
    kinds[1::2] = kinds[::2] + 0.05 * rng.standard_normal((30, 8))
    others = rng.standard_normal((400, 8)).astype(np.float32)
    training = _Training(
        ids=ids, patterns=(kinds @ rng.standard_normal((8, 40)) + 3 * rng.standard_normal((60, 40))).astype(np.float32),
        showings=np.ones(60, np.int64), features=kinds, owner=np.arange(60), deviations=np.zeros((60, 40), np.float32),
        folds=3, seed=0, sound=True,
    )  # fmt: skip
    every, fold = np.arange(60), held_in(ids, folds=3, seed=0, sound=True)
    candidates = np.concatenate([others, kinds])
    clip = [np.flatnonzero([name[:3] == ids[row][:3] for name in ids]) + 400 for row in every]
    scores, *_ = _held_out(training, [np.arange(40)], every, fold, candidates, clip)
    assert np.isneginf(scores[0]).sum() == 120 and all(np.isneginf(scores[0][row, clip[row]]).all() for row in every)


def test_every_fold_learns_from_its_own_training_stimuli(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    more = ("--split", "cluster-3", "--rows", "decoded", "--refits", "19")
    assert main(words(planted, out, tiny_stack, *more)) == 0
    recording = open_recording(planted)
    folds = folds_of(recording, "cluster-3", RunFolder(out))
    readings = {fold.name: Reading.load(out / f"learned/bayes/bayes.{fold.name}.safetensors") for fold in folds}
    assert {one.split for one in readings.values()} == {fold.sha256 for fold in folds}
    assert len(read_samples(out, references=None).of("decoded")) == sum(len(fold.test) for fold in folds)
    computed = json.loads((out / "card.json").read_text())["arithmetic"]["fit"]
    assert len(computed) == 1 and "unknown" not in computed[0], "conditions of clusters are no earlier version's"
    # refits are of ridges: a row that they did not draw has neither their chance nor their width
    design = read_design(out)
    assert design.in_folds and design.null_of("decoded") is None and np.isnan(design.chance("decoded", "two_way"))


def test_what_is_learned_comes_from_training_trials_alone(run: Path, planted: Path, tmp_path: Path) -> None:
    """Noise instead of every test response and every test stimulus' condition: the reading's bytes stay."""
    settings, _ = RunFolder(run).stored()
    recording = open_recording(planted)
    fold = folds_of(recording, "")[0]
    rng, values = np.random.default_rng(0), recording.responses.values.copy()
    tested = recording.responses.of(fold.test)
    values[tested] = rng.standard_normal((int(tested.sum()), values.shape[1]))
    noisy = replace(recording, responses=replace(recording.responses, values=values))
    other = RunFolder(tmp_path / "other")
    shutil.copytree(run / "conditions", other.path / "conditions")
    shutil.copy(run / "content.json", other.path)
    true = Conditions.load(other.conditions("clip-text", "true"))
    spoilt = true.values.copy()
    spoilt[true.rows(fold.test)] = 7
    replace(true, values=spoilt).save(other.conditions("clip-text", "true"))
    method = METHODS["bayes"]
    method.learn(other, noisy, fold, settings, settings.method("bayes"))
    name = "learned/bayes/bayes.held-out.safetensors"
    assert (other.path / name).read_bytes() == (run / name).read_bytes()


def test_another_bank_than_the_fits_is_refused(run: Path, planted: Path, bank: Path, tmp_path: Path) -> None:
    one = opened(run, planted)
    readings: Readings = METHODS["bayes"].open(one.run, one.settings, true=one.true)
    fold = one.folds[0].name
    other = replace(readings.reading(fold), bank="f" * 64)
    shutil.copytree(run, tmp_path / "run")
    other.save(tmp_path / "run/learned/bayes/bayes.held-out.safetensors")
    with pytest.raises(InputError, match="expected the bank that the run was fitted with, found another"):
        METHODS["bayes"].open(RunFolder(tmp_path / "run"), one.settings, true=one.true)  # before weights are read


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--bank", "nowhere"), 3, "nowhere"),
        (("--curves",), 2, "method bayes learns more than maps"),
        (("--experts", "v+"), 2, "--experts"),
        (("--experts", "nowhere"), 2, "no region is called 'nowhere'"),
        (("--start-mix", "1.5"), 2, "--start-mix"),
        (("--sharpness", "0"), 2, "--sharpness"),
        (("--bank", "OTHER"), 3, "clip-text of"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    planted: Path, tiny_stack: Path, tmp_path: Path, more: tuple[str, ...], code: int, said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if more[-1] == "OTHER":
        items = drawn_items(12, seed=1, modality="image")
        build(tmp_path / "other", stack="miniature-image", items=items, spaces=("clip-text",), components=4)
        more = (more[0], str(tmp_path / "other"))
    assert main(words(planted, tmp_path / "out", tiny_stack, *more)) == code
    found = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in found


def test_sets_of_voxels_are_regions_joined() -> None:
    assert BayesSettings(experts=("a+b", "c")).sets == {"a+b": ("a", "b"), "c": ("c",)}
