"""The sampler: every scheduler, x0 there and back, guidance, hooks, starts, the bits of a sample in any batch."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from brain.errors import InputError, UsageError
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.sampling.sampler import (
    Gaussian,
    Hooks,
    Noised,
    Prompt,
    SamplerState,
    classifier_free,
    generators_of,
    in_micro_batches,
    noise_of,
    output_of,
    sample,
    scheduler_named,
    two_scales,
    x0_of,
)
from pipelines.settings import SCHEDULERS
from tests.rounding import largest, rounding

# diffusers' own way of handing a tensor to numpy
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

SHAPE = (4, 8, 8)
OWN = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
KINDS = ["epsilon", "v_prediction"]


def stack_scheduler(kind: str = "epsilon") -> Any:
    return diffusers.DDIMScheduler(
        **OWN, prediction_type=kind, clip_sample=False, steps_offset=1, set_alpha_to_one=False
    )


def gaussian_denoiser(scheduler: Any, kind: str, mean: float = 0.0) -> Any:
    """The exact model output for data N(mean, 1), by any scheduler whose input is variance preserving."""

    def denoise(x: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        a = float(scheduler.alphas_cumprod[int(t)])
        x0 = mean + a**0.5 * (x - a**0.5 * mean)
        return output_of(x0, x, a, kind=kind)

    return denoise


def nothing(count: int) -> Prompt:
    return Prompt(text=torch.zeros(count, 2, 3))


def walk(name: str, *, seeds: list[int], kind: str = "epsilon", denoise: Any = None, **more: Any) -> Tensor:
    own = stack_scheduler(kind)
    generators = generators_of(seeds)
    settings = {"start": Gaussian(), "steps": 8, "eta": 0.0, "hooks": Hooks(), "watch": lambda step, t, x: x} | more
    return sample(
        denoise or gaussian_denoiser(own, kind),
        nothing(len(seeds)),
        scheduler=scheduler_named(name, own),
        noise=noise_of(generators, SHAPE),
        generators=generators,
        **settings,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_exact_score_gives_the_data_back(name: str, kind: str) -> None:
    """With the exact denoiser of N(0.5, 1) every scheduler draws from about N(0.5, 1), whatever the model predicts."""
    own = stack_scheduler(kind)
    drawn = walk(name, seeds=list(range(24)), kind=kind, denoise=gaussian_denoiser(own, kind, 0.5), steps=50)
    assert abs(float(drawn.mean()) - 0.5) < 0.06
    assert 0.8 < float(drawn.std()) < 1.1


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_sample_is_the_same_in_any_company(name: str) -> None:
    """One seed, one sample: alone, among others, in another order, and twice through one scheduler."""
    together = walk(name, seeds=[3, 1, 4, 1, 5], eta=0.5 if name == "ddim" else 0.0)
    alone = walk(name, seeds=[4], eta=0.5 if name == "ddim" else 0.0)
    assert torch.equal(together[2], alone[0])
    assert torch.equal(together[1], together[3])
    assert not torch.equal(together[0], together[1])


def test_the_scheduler_keeps_nothing_of_a_walk() -> None:
    own = stack_scheduler()
    scheduler = scheduler_named("dpm++", own)

    def once(seed: int) -> Tensor:
        return sample(
            gaussian_denoiser(own, "epsilon"),
            nothing(1),
            scheduler=scheduler,
            start=Gaussian(),
            noise=noise_of(generators_of([seed]), SHAPE),
            generators=generators_of([seed]),
            steps=5,
            eta=0.0,
            hooks=Hooks(),
            watch=lambda step, t, x: x,
        )

    first = once(1)
    once(2)
    assert torch.equal(first, once(1))
    assert scheduler.num_inference_steps is None


def test_eta_is_noise_of_the_samples_own_generator() -> None:
    assert not torch.equal(walk("ddim", seeds=[1], eta=0.0), walk("ddim", seeds=[1], eta=1.0))
    with pytest.raises(UsageError, match="eta"):
        walk("dpm++", seeds=[1], eta=1.0)


@pytest.mark.parametrize("kind", [*KINDS, "sample"])
def test_x0_and_output_are_inverse(kind: str) -> None:
    x, output = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    there = x0_of(output, x, 0.3, kind=kind)
    # two products and a sum each way, and divided by a share of which 0.3 is the smaller square
    back = rounding(sums=2 * 3, scale=(largest(x) + largest(output)) / 0.3**0.5, dtype=torch.float64)
    torch.testing.assert_close(output_of(there, x, 0.3, kind=kind), output, atol=back, rtol=0)
    with pytest.raises(InputError, match="prediction type"):
        x0_of(output, x, 0.3, kind="flow")


@pytest.mark.parametrize("kind", KINDS)
def test_x0_is_what_the_scheduler_itself_sees(kind: str) -> None:
    """DDIM says its own x0: ours, from any prediction type, is the same number."""
    scheduler = stack_scheduler(kind)
    scheduler.set_timesteps(10)
    x, output, t = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE), scheduler.timesteps[3]
    theirs, share = scheduler.step(output, t, x).pred_original_sample, float(scheduler.alphas_cumprod[t])
    # two roots, a product, a sum, and divided by the share of signal
    apart = rounding(sums=4, scale=(largest(x) + largest(output)) / share**0.5)
    torch.testing.assert_close(x0_of(output, x, share, kind=kind), theirs, atol=apart, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_hook_that_changes_nothing_changes_nothing(name: str, kind: str) -> None:
    """The way to x0 and back is the same step, on sigmas and on timesteps alike."""
    plain = walk(name, seeds=[1, 2], kind=kind)
    hooked = walk(name, seeds=[1, 2], kind=kind, hooks=Hooks(on_x0=lambda x0, at: x0))
    # in each of 8 steps two products and a sum to x0, and the same back; of x and of the output
    torch.testing.assert_close(hooked, plain, atol=rounding(sums=8 * 2 * 3, scale=2 * largest(plain)), rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ddim", "dpm++", "euler"])
def test_a_hook_on_x0_says_where_the_walk_ends(name: str, kind: str) -> None:
    """A hook that always answers the same picture draws that picture: the scheduler steps towards what it returned."""
    target = torch.linspace(-1, 1, 256).reshape(1, *SHAPE)
    drawn = walk(name, seeds=[1], kind=kind, steps=20, hooks=Hooks(on_x0=lambda x0, at: target.expand_as(x0)))
    assert torch.allclose(drawn, target, atol=0.12)  # ddim leaves the noise of the last timestep, 0.03 of N(0, 1)


def test_hooks_are_called_in_order_with_where_they_are() -> None:
    calls: list[tuple[str, int]] = []
    moments: list[SamplerState] = []

    def called(name: str) -> Any:
        def hook(x: Tensor, at: SamplerState) -> Tensor:
            calls.append((name, at.step))
            moments.append(at)
            assert x.shape == (2, *SHAPE)
            return x

        return hook

    def watch(step: int, t: Tensor, x: Tensor) -> Tensor:
        calls.append(("watch", step))
        return x

    hooks = Hooks(before_step=called("before"), on_x0=called("x0"), after_step=called("after"))
    walk("ddim", seeds=[1, 2], steps=3, hooks=hooks, watch=watch)
    assert calls == [(name, step) for step in range(3) for name in ("before", "x0", "after", "watch")]
    own = stack_scheduler()
    assert all(at.steps == 3 and at.alpha_bar == float(own.alphas_cumprod[int(at.t)].double()) for at in moments)
    assert moments[0].alpha_bar < moments[-1].alpha_bar


@pytest.mark.parametrize("name", SCHEDULERS)
def test_looking_changes_no_bit_and_sees_where_the_scheduler_goes(name: str) -> None:
    """The observer is told x0 after guidance; the last one is where a deterministic walk ends."""
    seen: list[tuple[int, Tensor]] = []

    def look(x0: Tensor, at: SamplerState) -> None:
        seen.append((at.step, x0.clone()))
        x0.zero_()  # it may do with it what it likes, unless a scheduler predicts x0 itself

    drawn = walk(name, seeds=[1, 2], steps=6, hooks=Hooks(look=look))
    assert torch.equal(drawn, walk(name, seeds=[1, 2], steps=6))
    assert [step for step, _ in seen] == list(range(len(seen))) and len(seen) >= 6
    target = torch.full(SHAPE, 0.25)
    told: list[Tensor] = []
    guided = Hooks(on_x0=lambda x0, at: target.expand_as(x0), look=lambda x0, at: told.append(x0))
    walk(name, seeds=[1], steps=6, hooks=guided)
    torch.testing.assert_close(told[2], target.expand_as(told[2]), atol=rounding(sums=3, scale=20), rtol=0)


@pytest.mark.parametrize("place", ["before_step", "after_step"])
def test_what_a_hook_returns_is_used(place: str) -> None:
    moved = walk("ddim", seeds=[1], hooks=Hooks(**{place: lambda x, at: x + 1}))
    assert not torch.allclose(moved, walk("ddim", seeds=[1]), atol=0.1)


def test_hooked_guidance_tilts_the_law() -> None:
    """N(0, 1) tilted by exp(x) is N(1, 1), whose x0 is the plain one moved by 1 - a: the walk ends in noise + 1.

    Less sqrt(a) of the first step, because the walk starts in pure noise and the schedule does not quite.
    """
    seeds = list(range(4))
    own = stack_scheduler()
    for name in ("ddim", "dpm++"):
        firsts: list[SamplerState] = []

        def tilt(x0: Tensor, at: SamplerState, firsts: list[SamplerState] = firsts) -> Tensor:
            firsts.append(at)
            return x0 + (1 - at.alpha_bar)

        drawn = walk(name, seeds=seeds, steps=50, hooks=Hooks(on_x0=tilt), denoise=gaussian_denoiser(own, "epsilon"))
        moved = drawn - walk(name, seeds=seeds, steps=50)
        assert torch.allclose(moved, torch.tensor(1 - firsts[0].alpha_bar ** 0.5), atol=0.03), name


# guidance


def linear(x: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
    image = 0 if prompt.image is None else prompt.image.mean(1)
    return x + (prompt.text.mean((1, 2)) + image).reshape(-1, 1)


LINEAR = 2 * 4 + 2
"""Sums of `linear`: a mean over 2 tokens of 4 numbers, which is longer than that of an image, and two additions."""


def test_guidance_is_the_formula() -> None:
    x, t = torch.randn(3, 5), torch.tensor(1)
    prompt, empty = Prompt(text=torch.randn(3, 2, 4)), Prompt(text=torch.randn(1, 2, 4))
    full, plain = linear(x, t, prompt), linear(x, t, empty.repeat(3))
    assert torch.equal(classifier_free(linear, empty, 1)(x, t, prompt), full)
    assert torch.equal(classifier_free(linear, empty, 0)(x, t, prompt), plain)
    leaning = classifier_free(linear, empty, 7.5)(x, t, prompt)
    apart = rounding(sums=LINEAR + 2, scale=largest(plain.abs() + 7.5 * (full.abs() + plain.abs())))
    torch.testing.assert_close(leaning, plain + 7.5 * (full - plain), atol=apart, rtol=0)


def test_two_scales_are_the_formula_and_one_scale_where_equal() -> None:
    x, t = torch.randn(3, 5), torch.tensor(1)
    prompt = Prompt(text=torch.randn(3, 2, 4), image=torch.randn(3, 6))
    empty = Prompt(text=torch.randn(1, 2, 4), image=torch.zeros(1, 6))
    plain, full = linear(x, t, empty.repeat(3)), linear(x, t, prompt)
    seen = linear(x, t, Prompt(text=empty.repeat(3).text, image=prompt.image))
    two = two_scales(linear, empty, text_scale=2.0, image_scale=3.0)(x, t, prompt)
    terms = plain.abs() + 3 * (seen.abs() + plain.abs()) + 2 * (full.abs() + seen.abs())
    apart = rounding(sums=LINEAR + 4, scale=largest(terms))
    torch.testing.assert_close(two, plain + 3 * (seen - plain) + 2 * (full - seen), atol=apart, rtol=0)
    same = two_scales(linear, empty, text_scale=2.0, image_scale=2.0)(x, t, prompt)
    assert torch.equal(same, classifier_free(linear, empty, 2.0)(x, t, prompt))


def test_text_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="text encoder"):
        classifier_free(linear, Prompt(text=torch.zeros(1, 4, 4)), 2.0)(
            torch.zeros(1, 5), torch.tensor(1), Prompt(text=torch.zeros(1, 3, 4))
        )


# starts


def test_noised_start_walks_the_last_part_of_the_steps() -> None:
    latents = torch.randn(2, *SHAPE)
    for name in SCHEDULERS:
        seen: list[int] = []
        near = walk(
            name,
            seeds=[1, 2],
            start=Noised(latents=latents, strength=0.25),
            steps=20,
            watch=lambda step, t, x, seen=seen: seen.append(step) or x,  # type: ignore[func-returns-value]
        )
        far = walk(name, seeds=[1, 2], start=Noised(latents=latents, strength=1.0), steps=20)
        assert len(seen) in (5, 6), name  # the last quarter; pndm walks its second timestep twice
        assert (near - latents).square().mean() < (far - latents).square().mean(), name


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.1])
def test_strength_outside_its_range_is_refused(strength: float) -> None:
    with pytest.raises(UsageError, match="strength"):
        Noised(latents=torch.zeros(1, *SHAPE), strength=strength)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="steps"):
        walk("ddim", seeds=[1], steps=0)
    with pytest.raises(UsageError, match="no step"):
        walk("ddim", seeds=[1], steps=2, start=Noised(latents=torch.zeros(1, *SHAPE), strength=0.3))
    with pytest.raises(UsageError, match="euler"):
        scheduler_named("eulr", stack_scheduler())
    for seed in (-1, 2**63):
        with pytest.raises(UsageError, match="seed"):
            generators_of([seed])


def test_a_named_scheduler_keeps_the_stacks_schedule() -> None:
    own = diffusers.PNDMScheduler(**OWN, steps_offset=1, skip_prk_steps=True)
    for name in SCHEDULERS:
        named = scheduler_named(name, own)
        assert torch.allclose(named.alphas_cumprod, own.alphas_cumprod)
        assert named.config.get("clip_sample", False) is False  # latents have no range


# lanes


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(4, 48, 3, padding=1),
        torch.nn.GroupNorm(4, 48),
        torch.nn.SiLU(),
        torch.nn.Conv2d(48, 48, 3, padding=1),
        torch.nn.Flatten(2),
        torch.nn.Linear(64, 96),
    )


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 11])
def test_lanes_give_the_same_bits_for_any_count_order_and_workers(count: int, workers: int) -> None:
    net, x = network(), torch.randn(11, *SHAPE)
    with torch.no_grad():
        whole = MicroBatches(width=4, threads=1).run(net, x)
        order = torch.randperm(11)[:count]
        assert torch.equal(MicroBatches(width=4, threads=1, workers=workers).run(net, x[order]), whole[order])
        # two convolutions of 3 x 3, the mean of a group of a quarter of 48 maps of 64 places, a linear layer
        sums = 9 * 4 + 48 // 4 * 64 + 9 * 48 + 64
        torch.testing.assert_close(whole, net(x), atol=rounding(sums=sums, scale=largest(whole)), rtol=0)


def test_lanes_leave_threads_and_gradients_as_they_were() -> None:
    net, x = network(), torch.randn(5, *SHAPE, requires_grad=True)
    before = torch.get_num_threads()
    batches = MicroBatches(width=2, threads=1, workers=2)
    batches.run(net, x).sum().backward()
    assert x.grad is not None and torch.get_num_threads() == before
    with torch.no_grad():
        assert not batches.run(net, x).requires_grad


def test_lanes_run_in_threads_that_are_kept() -> None:
    net, x = network(), torch.randn(9, *SHAPE)
    batches = MicroBatches(width=2, threads=1, workers=3)
    first, own = batches.run(net, x), threading.get_ident()
    threads = {one.ident for one in threading.enumerate()}
    seen: set[int] = set()

    def noting(part: Tensor) -> Tensor:
        seen.add(threading.get_ident())
        assert torch.get_num_threads() == 1
        return net(part)  # type: ignore[no-any-return]

    for _ in range(5):
        assert torch.equal(batches.run(noting, x), first)
    assert own not in seen and {one.ident for one in threading.enumerate()} == threads
    born: list[int] = []
    late = threading.Thread(target=lambda: born.append(torch.get_num_threads()))
    late.start()
    late.join()
    assert born == [torch.get_num_threads()], "a thread born later runs on as many as torch is set to"


def test_lanes_within_a_lane_wait_for_nobody() -> None:
    net, x = network(), torch.randn(4, *SHAPE)
    batches = MicroBatches(width=2, threads=1, workers=1)
    assert torch.equal(batches.run(lambda part: batches.run(net, part), x), batches.run(net, x))


def test_a_lane_that_fails_takes_the_others_along() -> None:
    x, running = torch.arange(40.0)[:, None], threading.Semaphore(0)

    def failing(part: Tensor) -> Tensor:
        if float(part[0]) == 2:
            raise ArithmeticError("no")
        running.release()
        return part

    with pytest.raises(ArithmeticError):
        MicroBatches(width=1, threads=1, workers=2).run(failing, x)
    done = 0
    while running.acquire(blocking=False):
        done += 1
    assert not running.acquire(timeout=0.2), "nothing goes on after the error"
    assert done < 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_makes_workers_of_its_own() -> None:
    batches, x = MicroBatches(width=1, threads=1, workers=2), torch.ones(3, 2)
    batches.run(lambda part: part, x)
    child = os.fork()
    if not child:
        fine = False
        try:
            fine = bool(torch.equal(batches.run(lambda part: part + 1, x), x + 1))
        finally:
            os._exit(0 if fine else 1)
    for _ in range(300):
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert done and code == 0


def test_a_lane_holds_whole_samples_under_guidance() -> None:
    counts: list[int] = []

    def counting(x: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        counts.append(len(x))
        return linear(x, t, prompt)

    empty = Prompt(text=torch.zeros(1, 2, 4))
    spread = in_micro_batches(classifier_free(counting, empty, 2.0), MicroBatches(width=3, threads=0))
    prompt, x = Prompt(text=torch.randn(4, 2, 4)), torch.randn(4, 5)
    drawn = spread(x, torch.tensor(1), prompt)
    assert counts == [6, 6]
    expected = classifier_free(linear, empty, 2.0)(x, torch.tensor(1), prompt)
    # plain + 2 * (full - plain), where an empty prompt of zeros leaves x as the plain
    terms = x.abs() + 2 * (linear(x, torch.tensor(1), prompt).abs() + x.abs())
    torch.testing.assert_close(drawn, expected, atol=rounding(sums=LINEAR + 2, scale=largest(terms)), rtol=0)


def test_lanes_fit_the_network() -> None:
    assert MicroBatches.fitting(network(), "cpu").threads == 1
    large = torch.nn.Linear(8000, 8000, bias=False, device="meta")
    assert MicroBatches.fitting(large, "cpu").width == 1
    assert MicroBatches.fitting(network(), "cuda").width > MicroBatches.fitting(large, "cuda").width
