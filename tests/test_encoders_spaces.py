"""The contract of every condition space, over the catalogue, on random tiny components of the real classes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.machine.memory import fresh
from brain.types import Stimuli
from encoders.frozen.torchvision_guard import settle_torchvision
from encoders.spaces import CATALOGUE, SelfMade, Space
from encoders.towers import CATALOGUE as TOWERS
from tests.rounding import largest, rounding

IDS = tuple(f"nsd{one:05d}" for one in range(15))


def image_of(stimulus: str) -> Image.Image:
    """A smooth picture with a colour of its own, 50 x 40 px."""
    rng = np.random.default_rng(int(stimulus[3:]))
    return Image.fromarray(rng.integers(0, 255, (4, 5, 3), np.uint8)).resize((50, 40), Image.Resampling.BICUBIC)


def sound_of(stimulus: str) -> tuple[np.ndarray, int]:
    """A tone of its own, 1 s at 16 kHz."""
    time = np.arange(16000) / 16000
    return np.sin(2 * np.pi * (200 + 50 * int(stimulus[3:])) * time).astype(np.float32), 16000


def stimuli(modality: str = "image", opener: Callable[[str], Any] | None = None) -> Stimuli:
    captions = {
        one: tuple(f"{one[-2:]} {word}" for word in ("a dog", "two red cars")[: row % 2 + 1])
        for row, one in enumerate(IDS)
    }
    return Stimuli(
        ids=IDS, modality=modality, opener=opener or {"image": image_of, "sound": sound_of}[modality], captions=captions
    )


def _case(name: str) -> Any:
    """A name of the catalogue; a space with a package of its own runs where that package is."""
    needs = CATALOGUE[name].requires
    if not needs:
        return name
    absent = importlib.util.find_spec(needs) is None
    marks = [pytest.mark.skipif(absent, reason=f"{name} needs {needs}, which is not installed")]
    return pytest.param(name, marks=[*marks, *([pytest.mark.openclip] if needs == "open_clip" else [])])


every = pytest.mark.parametrize("name", [_case(name) for name in CATALOGUE.names()])


@pytest.fixture
def opened(name: str, tmp_path: Path) -> Space:
    return opened_in(name, tmp_path)


def opened_in(name: str, folder: Path, *, revision: str = "", seed: int = 0) -> Space:
    import torch

    settle_torchvision()
    torch.manual_seed(seed)
    model = CATALOGUE[name].tiny(folder)
    return CATALOGUE[name].open(folder, model=model, revision=revision, device="cpu")


def test_the_catalogue_holds_the_spaces_of_the_first_recipes() -> None:
    assert {"clip-image", "clip-text", "vae-latent", "pixels", "openclip-image"} <= set(CATALOGUE.names())


@pytest.mark.parametrize("entry", [*CATALOGUE, *TOWERS], ids=lambda entry: f"{type(entry).__name__}")
def test_a_card_is_complete(entry: Any) -> None:
    for text in (entry.name, entry.title, entry.description, entry.citation):
        assert text and text == text.strip() and "\n" not in text


def test_what_a_space_tells_is_ordered() -> None:
    """The order that retrieval and the null of folds went by, which the numbers of a run depend on."""
    telling = sorted(CATALOGUE, key=lambda entry: -entry.telling)
    kept = [entry.name for entry in telling if entry.component or entry.name == "pixels"]
    assert kept == ["clip-image", "clip-text", "clap", "loa", "pixels", "vae-latent", "mel-latent"]
    assert len({entry.telling for entry in telling}) == len(telling)
    assert {entry.name for entry in CATALOGUE if entry.captioned} == {"clip-text"}
    assert {entry.name for entry in CATALOGUE if entry.noised} == {"vae-latent", "mel-latent"}
    assert {entry.name for entry in CATALOGUE if isinstance(entry, SelfMade)} == {"pixels"}


def test_pictures_decide_their_own_pixels() -> None:
    pixels = CATALOGUE["pixels"]
    assert isinstance(pixels, SelfMade)
    given = stimuli()
    assert pixels.model_of(given, IDS) == "rgb-40x50"
    grey = stimuli(opener=lambda name: image_of(name).convert("L").resize((16, 12)))
    assert pixels.model_of(grey, IDS) == "grey-12x16"
    one = stimuli(opener=lambda name: image_of(name) if name == IDS[-1] else grey.open(name))
    assert pixels.model_of(one, IDS) == "rgb-12x16"
    large = stimuli(opener=lambda name: image_of(name).resize((200, 100)))
    assert pixels.model_of(large, IDS) == "rgb-32x64"


def test_reading_cards_imports_no_torch(checkout: Path) -> None:
    code = (
        "import sys\nfrom encoders.spaces import CATALOGUE\nfrom encoders.towers import CATALOGUE as TOWERS\n"
        "for one in (*CATALOGUE, *TOWERS): one.title, one.description, one.citation\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'transformers', 'diffusers', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@every
def test_conditions_fit_their_card(name: str, opened: Space) -> None:
    given = stimuli(CATALOGUE[name].modality)
    conditions = opened.encode(given, IDS, batch=4)
    assert conditions.space == opened.card and opened.card.name == name and conditions.ids == IDS
    assert conditions.values.shape == (len(IDS), *opened.card.shape) and conditions.values.dtype == np.float32
    assert np.isfinite(conditions.values).all()
    assert opened.rescaling in ("none", "spread", "spread+norm")
    assert opened.card.revision and opened.card.layer and opened.card.normalisation
    flat = conditions.values.reshape(len(IDS), -1)
    assert len(np.unique(flat.round(4), axis=0)) == len(IDS), "different stimuli must differ"


@every
def test_the_batch_changes_nothing(name: str, opened: Space) -> None:
    given = stimuli(CATALOGUE[name].modality)
    alone = opened.encode(given, IDS, batch=1)
    np.testing.assert_array_equal(opened.encode(given, IDS, batch=7).values, alone.values)
    np.testing.assert_array_equal(opened.encode(given, IDS, batch=1).values, alone.values)
    some = opened.encode(given, IDS[::-2], batch=3)
    np.testing.assert_array_equal(some.values, alone.take(IDS[::-2]).values)


@every
def test_stimuli_are_streamed(name: str, opened: Space) -> None:
    """Never more stimuli alive than a batch holds, whatever has been opened so far."""
    import weakref

    alive: list[weakref.ref[Any]] = []
    most = 0
    make = {"image": image_of, "sound": sound_of}[CATALOGUE[name].modality]

    def watched(stimulus: str) -> Any:
        nonlocal most
        came = make(stimulus)
        alive.append(weakref.ref(came if isinstance(came, Image.Image) else came[0]))
        most = max(most, sum(one() is not None for one in alive))
        return came

    opened.encode(stimuli(CATALOGUE[name].modality, watched), IDS, batch=3)
    assert most <= 3


@every
def test_opening_again_gives_the_same_numbers_and_another_stack_another_card(name: str, tmp_path: Path) -> None:
    given = stimuli(CATALOGUE[name].modality)
    first, again = opened_in(name, tmp_path / "a"), opened_in(name, tmp_path / "b")
    assert first.card == again.card
    np.testing.assert_array_equal(
        first.encode(given, IDS[:2], batch=2).values, again.encode(given, IDS[:2], batch=2).values
    )
    if CATALOGUE[name].component or CATALOGUE[name].requires:
        other = opened_in(name, tmp_path / "c", seed=1)
        assert other.card.shape == first.card.shape
        with pytest.raises(InputError, match="revision"):
            first.card.must_match(other.card)
        assert opened_in(name, tmp_path / "d", revision="v1").card.revision == "v1"


@every
def test_wrong_requests_are_said(name: str, opened: Space) -> None:
    given = stimuli(CATALOGUE[name].modality)
    with pytest.raises(UsageError, match="batch"):
        opened.encode(given, IDS, batch=0)
    with pytest.raises(InputError, match="duplicate"):
        opened.encode(given, (IDS[0], IDS[0]), batch=2)


PRETRAINED = [_case(name) for name in CATALOGUE.names() if CATALOGUE[name].component]


@pytest.mark.parametrize("name", PRETRAINED)
def test_an_absent_component_is_an_absent_checkpoint(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointAbsent, match=CATALOGUE[name].component):
        CATALOGUE[name].open(tmp_path, model="miniature-image", revision="", device="cpu")


@pytest.mark.parametrize("name", PRETRAINED)
@pytest.mark.parametrize("damage", ["truncated weights", "no configuration", "broken configuration", "no weights"])
def test_a_damaged_component_is_one_sentence(name: str, damage: str, tmp_path: Path) -> None:
    model = CATALOGUE[name].tiny(tmp_path)
    place = tmp_path / CATALOGUE[name].component
    weights = next(place.glob("*.safetensors"))
    if damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no configuration":
        (place / "config.json").unlink()
    else:
        (place / "config.json").write_text("{")
    with pytest.raises(InputError) as said:
        CATALOGUE[name].open(tmp_path, model=model, revision="", device="cpu")
    assert "\n" not in str(said.value)


def test_captions_are_averaged_and_the_null_condition_is_the_empty_caption(tmp_path: Path) -> None:
    space: Any = opened_in("clip-text", tmp_path)
    given = stimuli()
    two = IDS[1]
    assert len(given.captions[two]) == 2
    hidden = space.encode_texts(given.captions[two], batch=1)
    of_two = rounding(sums=2, scale=largest(hidden))
    np.testing.assert_allclose(space.encode(given, [two], batch=5).values[0], hidden.mean(0), atol=of_two, rtol=0)
    assert np.abs(hidden[0] - hidden[1]).max() > 1e-2
    null = space.encode_texts(("",), batch=1)
    assert null.shape == (1, *space.card.shape) and np.abs(null[0] - hidden[0]).max() > 1e-2
    assert space.encode_texts((), batch=3).shape == (0, *space.card.shape)
    silent = Stimuli(ids=IDS, modality="image", opener=image_of)
    with pytest.raises(InputError, match="caption"):
        space.encode(silent, IDS, batch=2)


def test_text_is_what_diffusers_would_feed_the_unet(tmp_path: Path) -> None:
    """The oracle is StableDiffusionPipeline.encode_prompt on the same components."""
    from diffusers import StableDiffusionPipeline

    space: Any = opened_in("clip-text", tmp_path)
    pipeline = StableDiffusionPipeline.__new__(StableDiffusionPipeline)
    pipeline.tokenizer, pipeline.text_encoder, pipeline.unet = space.tokenizer, plain_text(tmp_path), None
    expected, _ = pipeline.encode_prompt("a red car", "cpu", 1, False)
    # one text on either side: the same network on the same row
    np.testing.assert_array_equal(space.encode_texts(("a red car",), batch=1)[0], expected[0].detach().numpy())


def plain_text(folder: Path) -> Any:
    """The same text tower without its projection, as Stable Diffusion's folders carry it."""
    from transformers import CLIPTextModel

    return CLIPTextModel.from_pretrained(folder / "text_encoder").eval()


def test_a_text_tower_without_projection_gives_the_same_states(tmp_path: Path) -> None:
    space: Any = opened_in("clip-text", tmp_path)
    plain_text(tmp_path).save_pretrained(tmp_path / "text_encoder")
    plain: Any = CATALOGUE["clip-text"].open(tmp_path, model="tiny", revision="", device="cpu")
    np.testing.assert_array_equal(plain.encode_texts(("a",), batch=1), space.encode_texts(("a",), batch=1))


def test_a_tokenizer_without_its_length_is_refused(tmp_path: Path) -> None:
    CATALOGUE["clip-text"].tiny(tmp_path)
    config = tmp_path / "tokenizer" / "tokenizer_config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"model_max_length": 12', '"model_max_length": null'))
    with pytest.raises(InputError, match="model_max_length"):
        CATALOGUE["clip-text"].open(tmp_path, model="tiny", revision="", device="cpu")


def test_embeddings_are_those_of_transformers(tmp_path: Path) -> None:
    import torch

    space: Any = opened_in("clip-image", tmp_path)
    pixels = space.processor(images=[image_of(one) for one in IDS], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = torch.cat([space.tower(fresh(one)).image_embeds for one in pixels.split(1)])
    # one picture a call on either side: the same bits
    np.testing.assert_array_equal(space.encode(stimuli(), IDS, batch=4).values, expected.numpy())


def test_latents_are_the_scaled_mode_and_decode_to_the_size_they_came_from(tmp_path: Path) -> None:
    import torch
    from diffusers.image_processor import VaeImageProcessor

    space: Any = opened_in("vae-latent", tmp_path)
    square = image_of(IDS[0]).resize((32, 32))
    given = stimuli(opener=lambda one: square)
    latent = space.encode(given, IDS[:1], batch=1).values
    pixels = VaeImageProcessor(vae_scale_factor=2).preprocess(square)
    with torch.inference_mode():
        posterior = space.vae.encode(pixels).latent_dist
        expected = posterior.mode() * space.vae.config.scaling_factor
        assert space.vae.decode(expected / space.vae.config.scaling_factor).sample.shape == (1, 3, 32, 32)
    # a pixel is brought to -1..1 in two operations, another two there; then every layer sums what it sees
    sums = 2 + sum(one[0].numel() for one in space.vae.encoder.parameters() if one.ndim > 1)
    scale = space.vae.config.scaling_factor * largest(posterior.mode())
    np.testing.assert_allclose(latent, expected.numpy(), atol=rounding(sums=sums, scale=scale), rtol=0)
    assert (posterior.std > 1e-3).all(), "a mode that equals every sample shows nothing"


@pytest.mark.parametrize(("model", "shape"), [("grey-10x10", (1, 10, 10)), ("rgb-8x6", (3, 8, 6)), ("", (3, 64, 64))])
def test_pixels_in_the_size_that_was_asked_for(model: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    space = CATALOGUE["pixels"].open(tmp_path, model=model, revision="", device="cpu")
    conditions = space.encode(stimuli(), IDS, batch=4)
    assert conditions.values.shape == (len(IDS), *shape)
    assert conditions.values.min() >= 0 and 0.5 < conditions.values.max() <= 1


def test_pixels_of_their_own_size_are_untouched(tmp_path: Path) -> None:
    patch = (np.random.default_rng(0).random((10, 10)) > 0.5).astype(np.uint8) * 255
    given = stimuli(opener=lambda one: Image.fromarray(patch).convert("RGB"))
    space = CATALOGUE["pixels"].open(tmp_path, model="grey-10x10", revision="", device="cpu")
    np.testing.assert_array_equal(space.encode(given, IDS[:1], batch=1).values[0, 0], patch / 255)
    for wrong in ("10x10", "grey-0x10", "cmyk-10x10", "grey-10"):
        with pytest.raises(UsageError, match="pixels"):
            CATALOGUE["pixels"].open(tmp_path, model=wrong, revision="", device="cpu")


def test_a_sound_is_no_picture(tmp_path: Path) -> None:
    space = CATALOGUE["pixels"].open(tmp_path, model="", revision="", device="cpu")
    with pytest.raises(InputError, match="expected pictures"):
        space.encode(stimuli("sound"), IDS, batch=2)


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is not None, reason="open_clip is installed here")
def test_open_clip_absent_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'pip install -e "\.\[openclip\]"'):
        CATALOGUE["openclip-image"].open(tmp_path, model="", revision="", device="cpu")
