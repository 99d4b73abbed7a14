"""Synthesis methods on a random tiny stack: guidance 0 is no guidance, a batch changes nothing, better is better."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from brain.errors import InputError, UsageError
from pipelines.generators import CATALOGUE as GENERATORS
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.stacks.find import resolve
from pipelines.synthesis import CATALOGUE, Made, Natural, Sight, SynthesisContext, SynthesisSettings, mixed
from tests.rounding import rounding

DRAWING = ("best-of-n", "braindive", "embedding", "guided", "noise", "search", "unguided")
QUICK = SynthesisSettings(steps=4, published_steps=4, few_steps=2, candidates=4, iterations=3, scale=20.0, guidance=2.0)


@pytest.fixture(scope="module")
def context(tiny_stack: Path) -> SynthesisContext:
    from diffusers import AutoencoderTiny

    pipeline = GENERATORS["unclip"].open(resolve(str(tiny_stack)), device="cpu", dtype="float32").pipeline
    rng = np.random.default_rng(0)
    dim = pipeline.unet.config.projection_class_embeddings_input_dim // 2
    embeddings = rng.standard_normal((12, dim)).astype(np.float32)
    direction = rng.standard_normal(dim).astype(np.float32)
    tiny = AutoencoderTiny.from_pretrained(tiny_stack / "tiny_vae").eval().requires_grad_(False)
    return SynthesisContext(
        pipeline=pipeline,
        objective=lambda pictures: pictures[:, 0].mean((1, 2)) - pictures[:, 2].mean((1, 2)),
        direction=direction,
        tiny=tiny,
        natural=Natural(
            ids=tuple(f"n{i}" for i in range(12)),
            open=lambda one: Image.new("RGB", (16, 16), (20 * int(one[1:]), 0, 0)),
            embeddings=embeddings,
            worth=np.arange(12, dtype=np.float32)[::-1].copy(),
        ),
        settings=QUICK,
        batches=MicroBatches(width=2, threads=1),
    )


def made(context: SynthesisContext, method: str, seeds: list[int]) -> list[Made]:
    return list(CATALOGUE[method].make(context, seeds))


def pixels(some: list[Made]) -> list[bytes]:
    return [one.image.tobytes() for one in some]


def test_the_catalogue_has_every_way_the_comparison_needs() -> None:
    assert set(CATALOGUE.names()) == {*DRAWING, "retrieval"}
    assert all(CATALOGUE[name].description for name in CATALOGUE.names())


@pytest.mark.parametrize("method", ["guided", "braindive"])
def test_guidance_zero_is_the_plain_loop_bit_for_bit(context: SynthesisContext, method: str) -> None:
    plain = replace(context, settings=replace(QUICK, scale=0.0, conditioned=False))
    assert pixels(made(plain, method, [1, 2, 3])) == pixels(made(plain, "unguided", [1, 2, 3]))


@pytest.mark.parametrize("method", DRAWING)
def test_five_at_once_are_five_alone(context: SynthesisContext, method: str) -> None:
    alone = [picture for seed in range(5) for picture in pixels(made(context, method, [seed]))]
    assert pixels(made(context, method, list(range(5)))) == alone
    assert len(set(alone)) == 5


@pytest.mark.parametrize("method", ["guided", "noise", "best-of-n", "search", "braindive"])
def test_following_the_objective_raises_it_and_its_opposite_lowers_it(context: SynthesisContext, method: str) -> None:
    # the random small decoder knows nothing of the random large one: gradients go through the one that is judged
    free = replace(context, settings=replace(QUICK, conditioned=False, scale=200.0), tiny=None)
    against = replace(free, objective=lambda pictures: -context.objective(pictures))
    up = np.mean([one.trajectory[-1] for one in made(free, method, list(range(4)))])
    down = -np.mean([one.trajectory[-1] for one in made(against, method, list(range(4)))])
    plain = np.mean([one.trajectory[-1] for one in made(free, "unguided", list(range(4)))])
    assert down < plain < up


@pytest.mark.parametrize("method", DRAWING)
def test_watching_changes_no_picture_and_sees_the_same_whatever_the_batch(
    context: SynthesisContext, method: str
) -> None:
    """What a picture looks like on its way is bound to its seed; candidates belong to none."""
    seen: dict[str, dict[tuple[int, int], bytes]] = {"alone": {}, "together": {}}

    def watching(kept: dict[tuple[int, int], bytes]) -> SynthesisContext:
        def watch(sight: Sight) -> None:
            for row, seed in enumerate(sight.seeds):
                assert sight.latents is not None
                kept[seed, sight.step] = sight.latents[row].numpy().tobytes()

        return replace(context, watch=watch)

    alone = [picture for seed in (3, 4) for picture in pixels(made(watching(seen["alone"]), method, [seed]))]
    together = pixels(made(watching(seen["together"]), method, [3, 4]))
    assert alone == together == pixels(made(context, method, [3, 4]))
    assert seen["alone"] == seen["together"]
    steps = {"best-of-n": 0, "search": 0, "noise": QUICK.few_steps}.get(method, QUICK.steps)
    assert set(seen["alone"]) == {(seed, step) for seed in (3, 4) for step in range(steps)}


def test_no_parameter_keeps_a_gradient(context: SynthesisContext) -> None:
    for method in ("guided", "braindive", "noise"):
        made(context, method, [0])
    networks = (context.pipeline.unet, context.pipeline.vae, context.tiny)
    assert all(weight.grad is None for network in networks for weight in network.parameters())


def test_retrieval_ranks_natural_pictures_and_runs_out(context: SynthesisContext) -> None:
    best = made(context, "retrieval", [0, 1, 2])
    assert [one.source for one in best] == ["n0", "n1", "n2"] and best[0].trajectory == (11.0,)
    with pytest.raises(InputError, match="ask for fewer"):
        made(context, "retrieval", list(range(13)))


def test_a_reference_is_where_the_loop_starts(context: SynthesisContext) -> None:
    side = context.pipeline.picture_size
    shown = replace(context, reference=Image.new("RGB", side, (200, 30, 30)), settings=replace(QUICK, strength=0.5))
    assert pixels(made(shown, "guided", [0])) != pixels(made(context, "guided", [0]))


def test_a_nan_in_the_gradient_is_one_sentence(context: SynthesisContext) -> None:
    broken = replace(context, objective=lambda pictures: pictures.sum((1, 2, 3)) * float("nan"))
    with pytest.raises(InputError, match="not finite"):
        made(broken, "guided", [0])


def test_an_objective_without_a_direction_cannot_be_embedded(context: SynthesisContext) -> None:
    with pytest.raises(UsageError, match="linear in it"):
        made(replace(context, direction=None), "embedding", [0])


def test_half_precision_points_the_same_way(context: SynthesisContext) -> None:
    latents = torch.randn(3, *context.pipeline.latent_shape, generator=torch.Generator().manual_seed(3))

    def gradient(kind: torch.dtype) -> torch.Tensor:
        network = context.tiny.to(kind)
        leaf = latents.to(kind).requires_grad_(True)
        context.objective(network.decode(leaf, return_dict=False)[0].float()).sum().backward()
        assert leaf.grad is not None
        return leaf.grad.float().flatten()

    try:
        half = gradient(torch.bfloat16)
    finally:
        context.tiny.float()
    whole = gradient(torch.float32)
    assert torch.nn.functional.cosine_similarity(half, whole, dim=0) > 0.99


def test_a_mixture_leans_to_the_embeddings_that_are_worth_it() -> None:
    rng = np.random.default_rng(4)
    embeddings = rng.standard_normal((200, 16)).astype(np.float32)
    worth = rng.standard_normal(200).astype(np.float32)
    best = embeddings[worth.argmax()]
    sharp = mixed(embeddings, worth, sharpness=1e4, variety=0.0, seed=0)
    flat = mixed(embeddings, worth, sharpness=0.0, variety=0.0, seed=0)
    np.testing.assert_allclose(sharp, best, rtol=1e-3)
    exact = embeddings.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1)
    unit = exact / norms[:, None]
    mean = unit.mean(0)
    gain = norms.mean() / np.linalg.norm(mean)
    # in float32 is the norm of 16 numbers, which are divided by it; the mean of directions is scaled up to their length
    apart = rounding(sums=16 + 1, scale=gain * np.abs(unit).mean(0).max())
    np.testing.assert_allclose(flat, mean * gain, atol=apart, rtol=0)


def test_mixtures_differ_by_seed_as_draws_from_the_softmax_do() -> None:
    embeddings = np.eye(6, dtype=np.float32)
    worth = np.log(np.array([8, 4, 2, 1, 1e-9, 1e-9], np.float32))
    same = [mixed(embeddings, worth, sharpness=1.0, variety=0.0, seed=seed) for seed in (1, 2)]
    assert np.array_equal(*same)
    drawn = [int(mixed(embeddings, worth, sharpness=1.0, variety=1.0, seed=seed).argmax()) for seed in range(600)]
    share = np.bincount(drawn, minlength=6) / 600
    np.testing.assert_allclose(share, np.array([8, 4, 2, 1, 0, 0]) / 15, atol=0.06)  # the Gumbel maximum
    again = [mixed(embeddings, worth, sharpness=1.0, variety=1.0, seed=3) for _ in range(2)]
    assert np.array_equal(*again)


def test_each_seed_starts_from_a_mixture_of_its_own(context: SynthesisContext) -> None:
    conditions = context.conditions([1, 2, 3])
    assert conditions.shape == (3, context.natural.embeddings.shape[1])
    assert np.array_equal(conditions[1], context.conditions([2])[0])
    assert len(np.unique(conditions, axis=0)) == 3


class Recorded(SynthesisSettings):
    """Settings that remember which of their fields were read, once they are built."""

    def __getattribute__(self, name: str) -> object:
        facts = object.__getattribute__(self, "__dict__")
        if name in SynthesisSettings.__dataclass_fields__ and "seen" in facts:
            facts["seen"].add(name)
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("method", CATALOGUE.names())
def test_a_method_reads_the_settings_that_it_names_and_no_others(context: SynthesisContext, method: str) -> None:
    settings, seen = Recorded(**asdict(QUICK)), set[str]()
    settings.__dict__["seen"] = seen
    made(replace(context, settings=settings), method, [0])
    assert seen == set(CATALOGUE[method].reads)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"steps": 0}, "--steps: expected 1 or more, found 0"),
        ({"published_steps": 0}, "--published-steps: expected 1 or more, found 0"),
        ({"scale": -1.0}, "--scale: expected 0 to 1000000.0, found -1.0"),
        ({"rate": float("nan")}, "--rate: expected 0 to 1000000.0, found nan"),
        ({"sharpness": float("inf")}, "--sharpness: expected 0 to 1000000.0, found inf"),
        ({"variety": -0.5}, "--variety: expected 0 to"),
        ({"guidance": -3.0}, "--guidance: expected 0 to"),
        ({"strength": 1.5}, "--strength: expected above 0 and at most 1, found 1.5"),
        ({"strength": 0.0}, "--strength: expected above 0 and at most 1, found 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_their_flag(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        SynthesisSettings(**asked)


@pytest.mark.parametrize("catalogue", ["pipelines.generators", "pipelines.synthesis", "decode.methods"])
def test_a_catalogue_is_listed_without_torch(checkout: Path, catalogue: str) -> None:
    code = f"import sys, {catalogue} as it; list(it.CATALOGUE); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
