"""Pipelines and generators: equal to diffusers' own, saved and loaded, one seed one sample, and refusals.

The contract tests run over every entry of the generators' catalogue that draws pictures, without being edited.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.types import Stimuli
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE as SPACES
from pipelines.drawing import Drawn, Generator
from pipelines.generators import CATALOGUE
from pipelines.images.image_embedding import ImageEmbeddingPipeline
from pipelines.images.latent_text import LatentTextPipeline
from pipelines.images.tiny import PIXELS, TOKENS, WIDTH, tiny_stack
from pipelines.sampling.micro_batches import MicroBatches, rows_depend_on_place
from pipelines.sampling.sampler import Hooks, generators_of
from pipelines.settings import Batching
from pipelines.stacks.find import resolve
from pipelines.stacks.folder import StackFolder
from pipelines.stacks.load import quiet
from tests.rounding import rounding
from tests.sampling import sampling

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

IDS = tuple(f"picture{place}" for place in range(7))
SEEDS = [11, 12, 13, 14, 15, 16, 17]
FAST = {"steps": 3, "guidance_scale": 3.0}


def picture(stimulus: str) -> Image.Image:
    rng = np.random.default_rng(IDS.index(stimulus))
    return Image.fromarray(rng.integers(0, 256, (PIXELS, PIXELS, 3), np.uint8))


STIMULI = Stimuli(ids=IDS, modality="image", opener=picture, captions={one: (f"{one} of a dog",) for one in IDS})


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny stack in the miniature's structure."""
    return tiny_stack(tmp_path_factory.mktemp("stacks") / "tiny")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny stack in the structure of Stable Diffusion 1.x, with a safety checker."""
    return tiny_stack(tmp_path_factory.mktemp("stacks") / "plain", image_condition=False, safety_checker=True)


@pytest.fixture(scope="module")
def takagi(stack: Path) -> LatentTextPipeline:
    return silent(LatentTextPipeline.from_pretrained(stack))


@pytest.fixture(scope="module")
def unclip(stack: Path) -> ImageEmbeddingPipeline:
    return silent(ImageEmbeddingPipeline.from_pretrained(stack))


def silent(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def png(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "png")
    return hashlib.sha256(stream.getvalue()).hexdigest()


def texts(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, TOKENS, WIDTH, generator=torch.Generator().manual_seed(seed))


def embeds(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def latents(count: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


# equal to diffusers' own

STEPS = 4


def all_at_once(count: int) -> MicroBatches:
    """One call for all samples, on torch's own threads: how diffusers' pipelines call the networks."""
    return MicroBatches(width=count, threads=0)


def step_by_step(steps: int) -> float:
    """How far two walks end apart whose networks are called on the same samples: by what is computed between calls.

    A step adds up twice for guidance and four times at most in a scheduler (x0, the noise, their sum, and a second
    order or new noise); a picture is a latent's pixel and a half.
    """
    return rounding(sums=steps * (2 + 4) + 1, scale=1.0)  # pictures go from 0 to 1


def theirs(kind: Any, pipeline: Any, **parts: Any) -> Any:
    return silent(
        kind(**parts, **{name: getattr(pipeline, name) for name in ("vae", "text_encoder", "tokenizer", "unet")})
    )


@pytest.fixture(scope="module")
def bare(plain: Path) -> LatentTextPipeline:
    """Without the checker; with the last hidden states first, as Stable Diffusion's own text encoder class has them."""
    from transformers import CLIPTextModel

    encoder = CLIPTextModel.from_pretrained(plain / "text_encoder")
    return silent(LatentTextPipeline.from_pretrained(plain, safety_checker=None, text_encoder=encoder))


CLASSES = {
    "ddim": diffusers.DDIMScheduler,
    "dpm++": diffusers.DPMSolverMultistepScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler,
}


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", CLASSES)
def test_text_to_image_is_stable_diffusions(bare: LatentTextPipeline, name: str, kind: str) -> None:
    own = type(bare.scheduler).from_config(bare.scheduler.config, prediction_type=kind)
    ours = LatentTextPipeline(**{**bare.components, "scheduler": own})
    golden = theirs(
        diffusers.StableDiffusionPipeline,
        bare,
        scheduler=CLASSES[name].from_config(own.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    expected = golden(
        prompt_embeds=texts(3),
        negative_prompt=[""] * 3,
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        generator=generators_of([1, 2, 3]),
        output_type="pt",
    ).images
    asked = {"seeds": [1, 2, 3], "steps": STEPS, "guidance_scale": 3.0, "scheduler": name, "output_type": "pt"}
    came = silent(ours)(texts(3), batches=all_at_once(3), **asked).images
    torch.testing.assert_close(came, expected, atol=step_by_step(STEPS), rtol=0)
    assert float((expected[0] - expected[1]).abs().max()) > 0.01


@pytest.mark.parametrize("name", CLASSES)
def test_image_to_image_is_stable_diffusions(bare: LatentTextPipeline, name: str) -> None:
    golden = theirs(
        diffusers.StableDiffusionImg2ImgPipeline,
        bare,
        scheduler=CLASSES[name].from_config(bare.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    expected = golden(
        prompt_embeds=texts(2),
        negative_prompt=[""] * 2,
        image=latents(2),
        strength=0.6,
        num_inference_steps=5,
        guidance_scale=3.0,
        generator=generators_of([1, 2]),
        output_type="pt",
    ).images
    asked = {"seeds": [1, 2], "steps": 5, "strength": 0.6, "guidance_scale": 3.0, "scheduler": name}
    came = bare(texts(2), latents(2), batches=all_at_once(2), output_type="pt", **asked).images
    torch.testing.assert_close(came, expected, atol=step_by_step(5), rtol=0)


@pytest.mark.parametrize("level", [0, 300])
def test_image_embedding_is_stable_unclips(stack: Path, level: int) -> None:
    from transformers import CLIPTextModel

    encoder = CLIPTextModel.from_pretrained(stack / "text_encoder")
    ours = silent(ImageEmbeddingPipeline.from_pretrained(stack, text_encoder=encoder))
    names = ("image_encoder", "feature_extractor", "image_normalizer", "image_noising_scheduler", "scheduler")
    golden = theirs(diffusers.StableUnCLIPImg2ImgPipeline, ours, **{name: getattr(ours, name) for name in names})
    expected = golden(
        image_embeds=embeds(2),
        prompt=["a dog", ""],
        noise_level=level,
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        generator=generators_of([5, 6]),
        output_type="pt",
    ).images
    told = ours.encode_text(["a dog", ""], batches=all_at_once(2))
    asked = {"seeds": [5, 6], "steps": STEPS, "guidance_scale": 4.0, "noise_level": level, "output_type": "pt"}
    came = ours(embeds(2), told, batches=all_at_once(2), **asked).images
    torch.testing.assert_close(came, expected, atol=step_by_step(STEPS), rtol=0)


# what a pipeline does


def test_pipelines_save_and_load(takagi: Any, unclip: Any, tmp_path: Path) -> None:
    for pipeline, told in ((takagi, texts(2)), (unclip, embeds(2))):
        before = pipeline(told, seeds=[1, 2], **FAST).images
        pipeline.save_pretrained(tmp_path / type(pipeline).__name__)
        again = silent(type(pipeline).from_pretrained(tmp_path / type(pipeline).__name__))
        assert [png(one) for one in again(told, seeds=[1, 2], **FAST).images] == [png(one) for one in before]
        assert before[0].size == pipeline.picture_size == (PIXELS, PIXELS)


def test_scale_one_is_the_condition_alone_and_zero_the_empty_one(takagi: Any, unclip: Any) -> None:
    def same(a: Any, b: Any) -> bool:
        return torch.equal(a.images, b.images)

    kept = {"seeds": [1, 2], "steps": 3, "output_type": "latent"}
    empty = takagi.encode_text([""]).expand(2, -1, -1)
    assert same(takagi(texts(2), guidance_scale=0.0, **kept), takagi(empty, guidance_scale=1.0, **kept))
    assert not same(takagi(texts(2), guidance_scale=1.0, **kept), takagi(empty, guidance_scale=1.0, **kept))
    zero = unclip(embeds(2), texts(2), guidance_scale=0.0, **kept)
    assert same(zero, unclip(embeds(2, 9), texts(2, 9), guidance_scale=0.0, **kept))
    two = unclip(embeds(2), texts(2), guidance_scale=2.0, image_scale=3.0, **kept)
    assert not same(two, unclip(embeds(2), texts(2), guidance_scale=2.0, **kept))


def test_every_condition_is_used(unclip: Any) -> None:
    def drawn(*told: Any, **more: Any) -> Any:
        return unclip(*told, seeds=[1], output_type="latent", **{**FAST, **more}).images

    base = drawn(embeds(1), texts(1), latents(1))
    assert not torch.allclose(base, drawn(embeds(1, 9), texts(1), latents(1)), atol=1e-3)
    assert not torch.allclose(base, drawn(embeds(1), texts(1, 9), latents(1)), atol=1e-3)
    assert not torch.allclose(base, drawn(embeds(1), texts(1), latents(1, 9)), atol=1e-3)
    assert not torch.allclose(base, drawn(embeds(1), texts(1), latents(1), noise_level=500), atol=1e-3)


def test_callback_and_hooks_reach_the_walk(takagi: Any, capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[int] = []

    def end(pipeline: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        assert pipeline is takagi
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else {}

    asked = {"seeds": [1], "output_type": "latent", **FAST}
    assert not takagi(texts(1), callback_on_step_end=end, **asked).images.any()
    assert steps == [0, 1, 2]
    hooked = takagi(texts(1), hooks=Hooks(after_step=lambda x, at: x + 1), **asked).images
    assert not torch.allclose(hooked, takagi(texts(1), **asked).images, atol=0.1)
    takagi.set_progress_bar_config(disable=False)
    takagi(texts(1), **asked)
    takagi.set_progress_bar_config(disable=True)
    assert "3/3" in capsys.readouterr().err


def test_latents_of_another_size_go_through_pixels(takagi: Any) -> None:
    small = torch.randn(2, 4, 5, 5)
    assert takagi(texts(2), small, seeds=[1, 2], **FAST).images[0].size == (PIXELS, PIXELS)
    with pytest.raises(InputError, match="latents"):
        takagi(texts(2), torch.randn(2, 3, 8, 8), seeds=[1, 2], **FAST)


def test_a_real_start_stays_near_the_picture(takagi: Any) -> None:
    """Low strength from a picture's own latent ends nearer to it than from noise."""
    coded = takagi.encode_pictures([picture(one) for one in IDS[:2]])
    kept = {"seeds": [1, 2], "steps": 10, "guidance_scale": 1.0, "output_type": "latent"}
    near = takagi(texts(2), coded, strength=0.2, **kept).images
    far = takagi(texts(2), coded, strength=1.0, **kept).images
    assert (near - coded).square().mean() < (far - coded).square().mean()


def attention_that_runs() -> AbstractContextManager[None]:
    """torch's fast bfloat16 attention asks the processor for AVX-512 and fails where ATEN_CPU_CAPABILITY forbids it."""
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        return nullcontext()
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def test_half_precision_draws_nearly_the_same(stack: Path, takagi: Any) -> None:
    rough = silent(LatentTextPipeline.from_pretrained(stack)).to(torch.bfloat16)
    a = takagi(texts(2), seeds=[1, 2], output_type="pt", **FAST).images.flatten()
    with attention_that_runs():
        b = rough(texts(2), seeds=[1, 2], output_type="pt", **FAST).images.flatten()
    assert b.dtype == torch.float32 and float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.99


def test_withheld_samples_have_no_picture(plain: Path) -> None:
    """The real checker with thresholds nobody passes, then with ones everybody does."""
    pipeline = silent(LatentTextPipeline.from_pretrained(plain))
    pipeline.safety_checker.concept_embeds_weights.data.fill_(-2)
    strict = pipeline(texts(3), seeds=[1, 2, 3], **FAST)
    assert strict.withheld == [True] * 3 and strict.images == [None] * 3
    pipeline.safety_checker.concept_embeds_weights.data.fill_(2)
    pipeline.safety_checker.special_care_embeds_weights.data.fill_(2)
    easy = pipeline(texts(3), seeds=[1, 2, 3], **FAST)
    assert easy.withheld == [False] * 3 and all(one is not None and np.asarray(one).any() for one in easy.images)


def test_numbers_that_are_not_finite_are_no_picture(takagi: Any) -> None:
    with pytest.raises(InputError, match="float32"):
        takagi.decode_latents(torch.full((1, 4, 8, 8), float("nan")))


def test_conditions_of_another_size_are_refused(takagi: Any, unclip: Any) -> None:
    with pytest.raises(InputError, match="text condition"):
        takagi(torch.zeros(1, TOKENS, WIDTH + 1), seeds=[1])
    with pytest.raises(InputError, match="text"):
        takagi(torch.zeros(1, TOKENS + 1, WIDTH), seeds=[1], **FAST)
    with pytest.raises(InputError, match="image embeddings"):
        unclip(torch.zeros(1, WIDTH + 1), seeds=[1])
    with pytest.raises(UsageError, match="noise level"):
        unclip(embeds(1), seeds=[1], noise_level=1000)
    for told in ((texts(2), None), (texts(1), latents(2))):
        with pytest.raises(InputError, match="one each"):
            takagi(*told, seeds=[1])
    with pytest.raises(InputError, match="one each"):
        unclip(embeds(2), seeds=[1])


def test_a_stack_without_an_image_condition_serves_no_unclip(plain: Path) -> None:
    with pytest.raises(InputError, match="image_normalizer.*miniature-image"):
        CATALOGUE["unclip"].open(resolve(str(plain)), device="cpu", dtype="float32")


# the contract of every generator


PICTURES = [entry.name for entry in CATALOGUE if SPACES[entry.needs[0]].modality == "image"]


@pytest.fixture(scope="module", params=PICTURES)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, StackFolder]:
    folder = resolve(str(CATALOGUE[request.param].tiny(tmp_path_factory.mktemp("stack"))))
    return CATALOGUE[request.param].open(folder, device="cpu", dtype="float32"), folder


@pytest.fixture(scope="module")
def told(opened: tuple[Generator, StackFolder]) -> dict[str, Conditions]:
    """True conditions of seven pictures, by the condition spaces themselves."""
    generator, folder = opened
    found = {}
    for space in generator.cards:
        entry = SPACES[space].open(folder.path, model=folder.model, revision=folder.revision, device="cpu")
        found[space] = entry.encode(STIMULI, IDS, batch=4)
    return found


def draw(
    generator: Generator, told: dict[str, Conditions], ids: Sequence[str], seeds: Sequence[int], **more: Any
) -> list[Drawn]:
    how = sampling(CATALOGUE[generator.name].settings, **{"steps": 3, **more})
    return list(generator(told, ids, seeds, **how))


def test_entry_says_what_it_needs() -> None:
    for entry in CATALOGUE:
        assert entry.needs and not set(entry.needs) & set(entry.takes)
        assert set(entry.needs) | set(entry.takes) <= set(SPACES.names())
        assert entry.settings.steps >= 1 and entry.title and entry.description


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++", "euler-ancestral", "ddpm"])
def test_same_png_in_any_batch_order_and_resume(opened: Any, told: Any, scheduler: str) -> None:
    """Batch 1, 3 and 7, backwards, and a walk that was stopped and taken up again: bit for bit the same files."""
    generator = opened[0]
    whole = draw(generator, told, IDS, SEEDS, batch=7, scheduler=scheduler)
    digests = [png(one.image) for one in whole]
    assert [(one.id, one.seed) for one in whole] == list(zip(IDS, SEEDS, strict=True))
    assert len(set(digests)) == 7
    for batch in (1, 3):
        again = draw(generator, told, IDS, SEEDS, batch=batch, scheduler=scheduler)
        assert [png(one.image) for one in again] == digests
    back = draw(generator, told, IDS[::-1], SEEDS[::-1], scheduler=scheduler)
    assert [png(one.image) for one in back] == digests[::-1]
    rest = draw(generator, told, IDS[5:], SEEDS[5:], scheduler=scheduler)
    assert [png(one.image) for one in rest] == digests[5:]


def test_same_png_on_any_number_of_threads(opened: Any, told: Any) -> None:
    before = torch.get_num_threads()
    digests = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        digests.append([png(one.image) for one in draw(opened[0], told, IDS, SEEDS)])
    torch.set_num_threads(before)
    assert digests[0] == digests[1] == digests[2]


def test_a_single_pattern_draws_as_it_does_among_others(opened: Any, told: Any) -> None:
    single = {space: values.take([IDS[2]]) for space, values in told.items()}
    alone = draw(opened[0], single, [IDS[2]], [SEEDS[2]])
    among = draw(opened[0], told, IDS, SEEDS)
    assert png(alone[0].image) == png(among[2].image)


def test_several_seeds_of_one_stimulus_differ(opened: Any, told: Any) -> None:
    drawn = draw(opened[0], told, [IDS[0]] * 3, [1, 2, 1])
    assert png(drawn[0].image) == png(drawn[2].image) != png(drawn[1].image)


def test_pictures_stream(opened: Any, told: Any) -> None:
    """The first picture comes before the last is drawn: a consumer that stops has drawn one batch."""
    calls: list[int] = []
    generator = opened[0]

    def counted(*told: Any) -> Any:
        calls.append(len(told[2]))
        return generator.draw(*told)

    how = sampling(CATALOGUE[generator.name].settings, steps=2, batch=2)
    stream = replace(generator, draw=counted)(told, IDS, SEEDS, **how)
    assert calls == []
    next(stream)
    assert calls == [2]


def test_wrong_conditions_are_refused_before_anything_is_drawn(opened: Any, told: Any) -> None:
    generator = opened[0]
    settings = CATALOGUE[generator.name].settings
    space = next(iter(told))
    card = told[space].space
    for wrong in (
        replace(card, model="another"),
        replace(card, revision="sha256:0"),
        replace(card, layer="penultimate"),
        replace(card, normalisation="l2"),
    ):
        bad = {**told, space: Conditions(space=wrong, values=told[space].values, ids=IDS)}
        with pytest.raises(InputError, match=space):
            generator(bad, IDS, SEEDS, settings=settings)
    grown = replace(card, shape=(*card.shape, 1))
    bad = {**told, space: Conditions(space=grown, values=told[space].values[..., None], ids=IDS)}
    with pytest.raises(InputError, match="shape"):
        generator(bad, IDS, SEEDS, settings=settings)
    with pytest.raises(InputError, match="leave"):
        generator({**told, "pixels": told[space]}, IDS, SEEDS, settings=settings)
    with pytest.raises(InputError, match=generator.name):
        generator({}, IDS, SEEDS, settings=settings)
    with pytest.raises(InputError, match="seed"):
        generator(told, IDS, SEEDS[1:], settings=settings)
    with pytest.raises(InputError, match="stranger"):
        generator(told, ["stranger"], [1], settings=settings)


def test_round_trip_is_the_autoencoder_in_any_number(opened: Any) -> None:
    generator = opened[0]
    pictures = [picture(one) for one in IDS]
    there = list(generator.round_trip(pictures))
    assert [one.size for one in there] == [(PIXELS, PIXELS)] * 7
    assert [png(one) for one in generator.round_trip(pictures[4:5])] == [png(there[4])]
    x = torch.from_numpy(np.asarray(pictures[0], np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.no_grad():
        vae = generator.pipeline.vae
        back = (vae.decode(vae.encode(x).latent_dist.mode()).sample / 2 + 0.5).clamp(0, 1) * 255
    assert np.abs(np.asarray(there[0], np.float32) - back[0].permute(1, 2, 0).numpy()).max() <= 0.51


def test_facts_for_the_card(opened: Any) -> None:
    micro_batch = 1 if rows_depend_on_place() else 2
    settings = CATALOGUE[opened[0].name].settings
    facts = opened[0].facts(settings, Batching(micro_batch=micro_batch))
    assert facts["lane_width"] == micro_batch and facts["dtype"] == "float32" and facts["device"] == "cpu"
    assert facts["settings"]["steps"] == settings.steps


def test_lane_belongs_to_the_sample_and_batch_does_not(opened: Any, told: Any) -> None:
    if rows_depend_on_place():
        with pytest.raises(UsageError, match="--micro-batch 2: expected 1 or 0 here"):
            draw(opened[0], told, IDS, SEEDS, micro_batch=2)
        return
    two = [png(one.image) for one in draw(opened[0], told, IDS, SEEDS, micro_batch=2, batch=5)]
    assert two == [png(one.image) for one in draw(opened[0], told, IDS, SEEDS, micro_batch=2, batch=1)]


def test_device_and_dtype_are_never_replaced_in_silence(opened: Any) -> None:
    entry = CATALOGUE[opened[0].name]
    with pytest.raises(UsageError, match="dtype"):
        entry.open(opened[1], device="cpu", dtype="int8")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cuda"):
            entry.open(opened[1], device="cuda", dtype="float32")


def test_a_stack_without_a_tower_names_it(tmp_path: Path) -> None:
    folder = tiny_stack(tmp_path / "stack")
    found = resolve(str(folder))
    for file in (folder / "image_encoder").iterdir():
        file.unlink()
    (folder / "image_encoder").rmdir()
    with pytest.raises(CheckpointAbsent, match="image_encoder"):
        CATALOGUE["unclip"].open(found, device="cpu", dtype="float32")
