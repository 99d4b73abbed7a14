"""The bundled sound stack is whole, small, says where it comes from, and does what it should on unseen sounds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks.miniature_sound import measure
from pipelines.miniature.recipe_sound.export import JUDGE, SOUND
from pipelines.stacks.find import resolve
from pipelines.stacks.load import check


@pytest.fixture(scope="module")
def measured(checkout: Path) -> dict[str, float]:
    """The benchmark's numbers on 24 held-out sounds, drawn in fewer steps than a study takes."""
    return measure(checkout / SOUND, None, count=24, steps=10, guidance_scale=2.0, look=None)


@pytest.mark.parametrize("folder", [SOUND, JUDGE])
def test_every_bundled_file_is_the_one_its_card_names(checkout: Path, folder: Path) -> None:
    card = json.loads((checkout / folder / "card.json").read_text(encoding="utf-8"))
    for name, digest in card["sha256"].items():
        assert hashlib.sha256((checkout / folder / name).read_bytes()).hexdigest() == digest, name
    here = {str(p.relative_to(checkout / folder)) for p in (checkout / folder).rglob("*") if p.is_file()}
    assert here - {"card.json"} == set(card["sha256"])


def test_the_weights_are_under_60_mb(checkout: Path) -> None:
    weights = [path for folder in (SOUND, JUDGE) for path in (checkout / folder).rglob("*.safetensors")]
    assert 10e6 < sum(path.stat().st_size for path in weights) <= 60e6


def test_every_component_loads_and_is_of_the_real_classes() -> None:
    found = check("miniature-sound").components
    assert found["unet"] == "AudioLDM2UNet2DConditionModel"
    assert found["text_encoder"] == "ClapModel"
    assert found["language_model"] == "GPT2LMHeadModel"
    assert found["teacher"] == "ViTModel"
    assert resolve("miniature-sound").row is not None


def test_a_sound_survives_mel_autoencoder_and_waveform(measured: dict[str, float]) -> None:
    assert measured["mel to autoencoder to mel, correlation"] >= 0.95
    assert measured["mel to autoencoder to wave to mel, correlation"] >= 0.9


def test_sounds_drawn_from_true_conditions_are_recognised(measured: dict[str, float]) -> None:
    assert measured["drawn from true LOA, two-way by the judge"] >= 0.95
    assert measured["drawn from true LOA, category by the judge"] >= 0.8
    assert measured["drawn from CLAP by the language model, category by the judge"] >= 0.7


def test_captions_find_their_sounds(measured: dict[str, float]) -> None:
    assert measured["caption to sound, top-1 of 100"] >= 0.7
