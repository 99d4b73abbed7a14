"""Generators of sound: the contract of every one, anchors, and stacks as the hub has them.

The contract tests run over every entry of the generators' catalogue that draws sounds, without being edited.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.types import Stimuli
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE as SPACES
from pipelines.drawing import Generator
from pipelines.generators import CATALOGUE
from pipelines.settings import SoundSampling
from pipelines.sounds.pipeline import SoundPipeline
from pipelines.sounds.tiny import SAMPLES, tiny_sound_stack
from pipelines.stacks import find, folder, load
from tests.sampling import sampling

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

SOUNDS = [entry.name for entry in CATALOGUE if SPACES[entry.needs[0]].modality == "sound"]
IDS = tuple(f"clip{place}" for place in range(5))
SEEDS = [11, 12, 13, 14, 15]


def heard(stimulus: str) -> tuple[np.ndarray[Any, Any], int]:
    rng = np.random.default_rng(IDS.index(stimulus))
    return rng.normal(0, 0.1, SAMPLES).astype(np.float32), 16000


STIMULI = Stimuli(ids=IDS, modality="sound", opener=heard)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    load.quiet()


def true_conditions(folder: folder.StackFolder, spaces: Sequence[str]) -> dict[str, Conditions]:
    """Of five sounds, by the spaces themselves."""
    return {
        space: SPACES[space]
        .open(folder.path, model=folder.model, revision=folder.revision, device="cpu")
        .encode(STIMULI, IDS, batch=4)
        for space in spaces
    }


@pytest.fixture(scope="module", params=SOUNDS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, Any]:
    folder = find.resolve(str(CATALOGUE[request.param].tiny(tmp_path_factory.mktemp("stack"))))
    return CATALOGUE[request.param].open(folder, device="cpu", dtype="float32"), folder


@pytest.fixture(scope="module")
def conditions(opened: tuple[Generator, Any]) -> dict[str, Conditions]:
    generator, folder = opened
    return true_conditions(folder, [one for one in (*generator.cards, *generator.optional) if one != "anchor"])


def draw(
    generator: Generator, told: dict[str, Conditions], ids: Sequence[str], seeds: Sequence[int], **more: Any
) -> list[Any]:
    how = sampling(CATALOGUE[generator.name].settings, **{"steps": 2, "strength": 0.5, **more})
    return [one.wave for one in generator(told, ids, seeds, **how)]


def test_every_generator_draws_the_same_in_any_batch(opened: Any, conditions: Any) -> None:
    generator = opened[0]
    whole = draw(generator, conditions, IDS, SEEDS, batch=5)
    assert generator.modality == "sound" and all(one.shape == (SAMPLES,) for one in whole)
    assert not np.array_equal(whole[0], whole[1])
    again = draw(generator, conditions, IDS, SEEDS, batch=2)
    assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
    rest = draw(generator, {space: one.take(IDS[3:]) for space, one in conditions.items()}, IDS[3:], SEEDS[3:])
    assert all(np.array_equal(a, b) for a, b in zip(rest, whole[3:], strict=True))


def test_every_condition_is_used_and_checked(opened: Any, conditions: Any) -> None:
    generator = opened[0]
    base = draw(generator, conditions, IDS[:1], [1])[0]
    for space in conditions:
        other = {**conditions, space: replace(conditions[space], values=conditions[space].values[::-1].copy())}
        assert not np.array_equal(draw(generator, other, IDS[:1], [1])[0], base), space
        card = replace(conditions[space].space, revision="another")
        wrong = {**conditions, space: Conditions(space=card, values=conditions[space].values, ids=IDS)}
        with pytest.raises(InputError, match=space):
            draw(generator, wrong, IDS[:1], [1])
    needed = {space: one for space, one in conditions.items() if space in generator.cards}
    assert draw(generator, needed, IDS[:1], [1])[0].shape == (SAMPLES,)
    with pytest.raises(InputError, match=generator.name):
        generator({}, IDS, SEEDS, settings=SoundSampling())


def test_prior_round_trip_and_facts(opened: Any) -> None:
    generator, settings = opened[0], SoundSampling(steps=2, seconds=0.32)
    drawn = list(generator.prior(IDS[:2], [1, 2], settings=settings))
    assert [(one.id, one.seed, one.rate, one.wave.shape) for one in drawn] == [
        (IDS[0], 1, 16000, (5120,)),
        (IDS[1], 2, 16000, (5120,)),
    ]
    waves = np.stack([heard(one)[0] for one in IDS])
    there = list(generator.resound(waves))
    assert np.array_equal(next(generator.resound(waves[4:])), there[4])
    with pytest.raises(UsageError, match="draws sounds"):
        list(generator.round_trip([]))
    facts = generator.facts(settings)
    assert facts["vocoder"] == "hifigan" and facts["settings"]["seconds"] == 0.32
    assert facts["empty_condition"] == "encoded" and json.dumps(facts)


def attention_that_runs() -> AbstractContextManager[None]:
    """torch's fast bfloat16 attention asks the processor for AVX-512 and fails where ATEN_CPU_CAPABILITY forbids it."""
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        return nullcontext()
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def test_rounded_networks_leave_autoencoder_and_vocoder_whole(opened: Any, conditions: Any) -> None:
    rough = CATALOGUE[opened[0].name].open(opened[1], device="cpu", dtype="bfloat16")
    kinds = {name: next(getattr(rough.pipeline, name).parameters()).dtype for name in ("unet", "vae", "vocoder")}
    assert kinds == {"unet": torch.bfloat16, "vae": torch.float32, "vocoder": torch.float32}
    with attention_that_runs():
        a = draw(rough, conditions, IDS[:1], [1])[0]
    b = draw(opened[0], conditions, IDS[:1], [1])[0]
    assert np.corrcoef(a, b)[0, 1] > 0.95


def test_an_anchor_is_blended_with_the_decoded_start(tmp_path: Path) -> None:
    entry = CATALOGUE["sound-anchored"]
    for family in ("audioldm2", "audioldm"):
        folder = find.resolve(str(tiny_sound_stack(tmp_path / family, family=family)))
        generator = entry.open(folder, device="cpu", dtype="float32")
        told = true_conditions(folder, tuple(generator.cards))
        latent = told["mel-latent"]
        exemplar = replace(latent, values=latent.values[::-1].copy())
        half = replace(latent, values=(latent.values + exemplar.values) / 2)

        def drawn(start: Conditions, anchor: Conditions | None, weight: float) -> Any:
            given = {**told, "mel-latent": start} | ({} if anchor is None else {"anchor": anchor})  # noqa: B023
            return draw(generator, given, IDS[:1], [1], anchor_weight=weight)  # noqa: B023

        assert np.array_equal(drawn(latent, exemplar, 1.0), drawn(exemplar, None, 1.0))
        assert np.array_equal(drawn(latent, exemplar, 0.0), drawn(latent, None, 1.0))
        assert np.array_equal(drawn(latent, exemplar, 0.5), drawn(half, None, 1.0))  # halves are exact
        with pytest.raises(UsageError, match="anchor-weight"):
            drawn(latent, exemplar, 1.5)


def test_the_hubs_audioldm2_draws_from_clap_alone(tmp_path: Path) -> None:
    """Without a teacher, and with the language model under the class the hub names."""
    from transformers import GPT2Model

    folder = tiny_sound_stack(tmp_path / "hub")
    bare = GPT2Model.from_pretrained(folder / "language_model")
    for name in ("language_model", "teacher"):
        shutil.rmtree(folder / name)
    bare.save_pretrained(folder / "language_model")
    index = json.loads((folder / "model_index.json").read_text())
    del index["teacher"]
    index["language_model"] = ["transformers", "GPT2Model"]
    (folder / "model_index.json").write_text(json.dumps(index))
    stack = find.resolve(str(folder))
    generator = CATALOGUE["sound-c2f"].open(stack, device="cpu", dtype="float32")
    assert set(generator.optional) == set()
    told = true_conditions(stack, ["clap"])
    assert draw(generator, told, IDS[:1], [1])[0].shape == (SAMPLES,)
    with pytest.raises(CheckpointAbsent, match="teacher"):
        CATALOGUE["sound-direct"].open(stack, device="cpu", dtype="float32")


def test_direct_generators_differ_by_what_they_are_told_alone() -> None:
    direct, clap = CATALOGUE["sound-direct"], CATALOGUE["sound-clap"]
    assert type(direct) is type(clap)
    assert (direct.needs, clap.needs) == (("loa",), ("clap",))
    assert (direct.settings.guidance, clap.settings.guidance) == (3.5, 2.5)


def test_sound_stacks_are_in_the_table_and_load_whole(tmp_path: Path) -> None:
    for name in ("miniature-sound", "audioldm2", "audioldm-s"):
        row = find.row_named(name)
        assert set(row.generators) <= set(SOUNDS) and (not row.hub or "NC" in row.licence)
    report = load.check(str(tiny_sound_stack(tmp_path / "whole")))
    assert report.components["unet"] == "AudioLDM2UNet2DConditionModel"
    assert report.components["projection_model"] == "AudioLDM2ProjectionModel"
    assert report.components["language_model"] == "GPT2LMHeadModel"


def test_the_hubs_audioldm_has_a_text_tower_alone(tmp_path: Path) -> None:
    folder = tiny_sound_stack(tmp_path / "hub", family="audioldm", audio_tower=False)
    pipeline = SoundPipeline.from_pretrained(folder)
    assert torch.allclose(pipeline.empty(pipeline.batches()).clap.norm(dim=1), torch.ones(1))
    assert pipeline.prior(seeds=[1], steps=1).waves.shape == (1, SAMPLES)
    with pytest.raises(CheckpointAbsent, match="audio tower"):
        CATALOGUE["sound-clap"].open(find.resolve(str(folder)), device="cpu", dtype="float32")
