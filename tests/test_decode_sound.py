"""A study of sounds on a tiny stack of the real classes: every row, wav files as promised, and recipes that fit."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brain.data.clips import clip_of
from brain.errors import UsageError
from brain.readers import open_recording
from brain.simulated.layouts.tiny_listener import tiny_listener
from decode.methods import CATALOGUE as METHODS
from decode.methods import row_of
from decode.methods._parts.reranking import open_scorers
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.settings import Settings
from decode.stages.draw.beside import draw_beside, drawn_of
from decode.stages.draw.draw import decode
from decode.stages.draw.opened import Opened
from decode.stages.fit.fit import STAGES, fit
from encoders.conditions import Conditions, SpaceCard
from evaluation.samples.index import read_rows
from tests import sampling
from tests.rounding import rounding

MAPS = ("clap=association", "loa=auditory", "mel-latent=early")
ROWS = {"reference", "decoded", "direct", "c2f", "reranked", "shuffled", "mean", "prior", "repeat", "other_repeats",
        "retrieval", "oracle", "round_trip"}  # fmt: skip


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_listener(tmp_path_factory.mktemp("listener") / "data").root


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The miniature recipe on a tiny random stack, which draws .64 s."""
    from pipelines.sounds.tiny import tiny_sound_stack

    recipe = CATALOGUE["c2f-miniature"].settings()
    stack = str(tiny_sound_stack(tmp_path_factory.mktemp("stack") / "tiny"))
    return sampling.asked(
        recipe, stack=stack, fields="window_s=0.64,hop_s=1.28", maps=MAPS, steps=3, strength=0.7, candidates=2
    )


@pytest.fixture(scope="module")
def run(listener: Path, asked: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    fit(listener, out, asked, stages=STAGES)
    decode(out, asked, listener)
    return out


def _conditions(run: Path, space: str, kind: str) -> Conditions:
    return Conditions.load(run / "conditions" / f"{space}.{kind}.safetensors")


def test_every_row_is_drawn_of_every_test_stimulus(run: Path, listener: Path) -> None:
    rows = read_rows(run / "samples")
    test = set(open_recording(listener).split().test)
    assert {one.row for one in rows} == ROWS
    for row, count in Counter(one.row for one in rows).items():
        assert count == len(test), row
    assert {one.stimulus for one in rows} == test
    assert {one.candidates for one in rows if one.row == "reranked"} == {2}
    assert {one.method for one in rows if one.row in ("direct", "c2f")} == {"sound-direct", "sound-c2f"}


def test_every_sound_is_mono_16_khz_pcm_16_of_the_window_s_length_and_neither_clipped_nor_silent(run: Path) -> None:
    for one in read_rows(run / "samples"):
        facts = soundfile.info(run / "samples" / one.file)
        assert (facts.channels, facts.samplerate, facts.subtype, facts.frames) == (1, 16000, "PCM_16", 10240)
        wave, _ = soundfile.read(run / "samples" / one.file)
        assert 3 / 2**15 < np.abs(wave).max() < 0.995  # above -80 dB: 3 steps of 16 bits


def test_a_second_call_draws_nothing_and_a_lost_sample_comes_back_to_the_bit(
    run: Path, listener: Path, asked: Settings
) -> None:
    assert "decoded already" in decode(run, asked, listener)
    for row in ("decoded", "c2f", "reranked"):
        path = run / "samples" / next(one.file for one in read_rows(run / "samples") if one.row == row)
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        path.unlink()
        assert "1 samples drawn" in decode(run, asked, listener)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_what_the_generator_loses_can_be_counted(run: Path) -> None:
    decoded, generated = (
        Conditions.load(run / f"conditions/clap.{kind}.safetensors") for kind in ("decoded", "generated")
    )
    assert set(decoded.ids) == set(generated.ids)
    generated.space.must_match(decoded.space)
    norms = np.linalg.norm(generated.values.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=rounding(sums=1, scale=1.0), rtol=0)  # kept as float32


def test_what_a_kill_kept_from_being_counted_is_counted_by_the_next_call(
    run: Path, listener: Path, asked: Settings
) -> None:
    """Killed after the last sample: all is drawn, and what the generator's sounds say is not yet written."""
    path = run / "conditions/clap.generated.safetensors"
    before = path.read_bytes()
    path.unlink()
    assert "decoded already" in decode(run, asked, listener)
    assert path.read_bytes() == before
    stamp = path.stat().st_mtime_ns
    decode(run, asked, listener)
    assert path.stat().st_mtime_ns == stamp


def test_silenced_sounds_are_drawn_from_and_judged_by_what_is_left_of_the_response(
    run: Path, listener: Path, asked: Settings, tmp_path: Path
) -> None:
    opened = Opened(run=RunFolder(run), settings=asked, data=listener)
    (fold,), recording = opened.folds, opened.recording
    blind = opened.tested(fold.test, ("association",), trials="averaged").responses
    whole, left = (
        open_scorers(opened.run, recording, opened.folds, settings=asked, tested=tested)[fold.name].measured
        for tested in (recording.responses, blind)
    )
    scale = max(float(np.abs(one.linear).max()) for one in whole.values())
    assert np.ptp([one.linear[0] for one in left.values()], axis=0).max() < 1e-3 * scale
    for name, one in whole.items():  # the model is of all voxels still
        np.testing.assert_array_equal(list(one.quadratic.values()), list(left[name].quadratic.values()))
    few = sampling.asked(asked, rows=("decoded", "reranked", "oracle"), beside=())
    drawn = drawn_of(draw_beside(opened, few, to=tmp_path / "blind", stimuli=fold.test[:1], silenced=("association",)))
    before = {(one.row, one.stimulus): one.sha256 for one in read_rows(run / "samples")}
    same = {one.row: one.sha256 == before[one.row, one.stimulus] for one in drawn}
    assert same == {"decoded": False, "reranked": False, "oracle": True}


def test_the_card_names_the_vocoder_and_how_windows_were_made(run: Path) -> None:
    card = json.loads((run / "card.json").read_text())
    assert card["data"]["modality"] == "sound"
    assert card["decode"]["vocoder"] in ("hifigan", "griffin-lim")


def test_an_exemplar_is_the_nearest_training_sound_and_of_another_clip(run: Path, listener: Path) -> None:
    fold = open_recording(listener).split()
    true = {space: _conditions(run, space, "true") for space in ("clap", "mel-latent")}
    ladder = Ladder(folds=(fold,), true=true, decoded={}, seed=0)
    name = fold.test[0]
    near = ladder.nearest(name, row="oracle")
    assert near in fold.train
    assert clip_of(near) != clip_of(name)
    rows = true["clap"].take((name, *fold.train)).values
    correlation = np.corrcoef(rows)[0, 1:]
    assert near == fold.train[int(correlation.argmax())]
    latents = ladder.exemplars("mel-latent", "oracle", [name])
    np.testing.assert_array_equal(latents.values[0], true["mel-latent"].take([near]).values[0])
    assert latents.ids == (name,)


def test_a_clap_vector_of_another_checkpoint_is_refused_by_the_generator(run: Path, asked: Settings) -> None:
    from brain.errors import InputError
    from decode.run.folder import RunFolder

    true = {
        space: Conditions.load(run / f"conditions/{space}.true.safetensors") for space in ("clap", "loa", "mel-latent")
    }
    name = asked.sampling.method
    method, own = METHODS[name], asked.method(name)
    decoder = method.decoder(method.open(RunFolder(run), asked, true=true), asked, own, seconds=0.0)
    other = SpaceCard(**{**true["clap"].space.facts(), "model": "another/clap", "shape": true["clap"].space.shape})
    stranger = replace(true["clap"], space=other)
    with pytest.raises(InputError, match="another/clap"):
        decoder.draw({**true, "clap": stranger}, true["clap"].ids[:1], [0])


def test_a_recipe_for_pictures_is_refused_on_sounds_and_the_reverse(
    listener: Path, planted: Path, tiny_stack: Path, asked: Settings, tmp_path: Path
) -> None:
    pictures = CATALOGUE["takagi-miniature"].settings()
    with pytest.raises(UsageError, match="data are of sounds .* use one of .*c2f-miniature"):
        fit(listener, tmp_path / "a", sampling.asked(pictures, stack=str(tiny_stack)))
    maps = sampling.asked(asked, fields="")
    with pytest.raises(UsageError, match="data are of images .* use one of .*takagi-miniature"):
        fit(planted, tmp_path / "b", maps)


def test_a_generator_beside_needs_its_spaces(listener: Path, asked: Settings, tmp_path: Path) -> None:
    fewer = sampling.asked(asked, maps=MAPS[:1] + MAPS[2:])
    with pytest.raises(UsageError, match="method sound-direct draws from loa and loa is not decoded"):
        fit(listener, tmp_path / "c", fewer)
    assert row_of("sound-direct") == "direct"
