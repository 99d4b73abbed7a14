"""The sound pipeline: equal to diffusers' own of both families, one seed one sample, starts, lengths and refusals."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from brain.errors import InputError, UsageError
from brain.files.waveforms import levelled
from brain.machine.memory import fresh
from encoders.sounds.mel import log_mel_tensor
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.sampling.sampler import Hooks
from pipelines.sounds.pipeline import SoundPipeline
from pipelines.sounds.prompt import SoundPrompt
from pipelines.sounds.tiny import CLAP, LATENT, LOA, PIECES, SAMPLES, TEXT, tiny_sound_stack
from pipelines.stacks import load
from tests.rounding import largest, rounding

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

FAMILIES = ("audioldm2", "audioldm")
IDS = tuple(f"clip{place}" for place in range(5))
SEEDS = [11, 12, 13, 14, 15]
FAST: dict[str, Any] = {"steps": 3, "guidance_scale": 3.0}
ONE = MicroBatches(width=2, threads=1)
STEP = 2 + 4
"""Sums of one step of a walk besides the network's: two of guidance, four at most of a scheduler."""


def all_at_once(count: int) -> MicroBatches:
    """One call for all samples, on torch's own threads: how diffusers' pipelines call the networks."""
    return MicroBatches(width=count, threads=0)


def exactly_scaled(pipeline: SoundPipeline) -> SoundPipeline:
    """The pipeline with latents scaled by .5: multiplied or divided, they are the same numbers."""
    vae = copy.deepcopy(pipeline.vae)
    vae.register_to_config(scaling_factor=0.5)
    return silenced(SoundPipeline(**{**pipeline.components, "vae": vae}))


def heard(stimulus: str) -> tuple[np.ndarray[Any, Any], int]:
    rng = np.random.default_rng(IDS.index(stimulus))
    return rng.normal(0, 0.1, SAMPLES).astype(np.float32), 16000


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    load.quiet()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("stacks")
    return {family: tiny_sound_stack(root / family, family=family) for family in FAMILIES}


@pytest.fixture(scope="module")
def pipelines(folders: dict[str, Path]) -> dict[str, SoundPipeline]:
    return {family: silenced(SoundPipeline.from_pretrained(folder)) for family, folder in folders.items()}


@pytest.fixture(params=FAMILIES)
def pipeline(request: pytest.FixtureRequest, pipelines: dict[str, SoundPipeline]) -> SoundPipeline:
    return pipelines[request.param]


def silenced(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(count: int, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(normal(count, CLAP, seed=seed), dim=-1)


def told(pipeline: SoundPipeline, count: int, seed: int = 0) -> SoundPrompt:
    if pipeline.language_model is None:
        return SoundPrompt(clap=unit(count, seed))
    return SoundPrompt(loa=normal(count, *LOA, seed=seed))


# equal to diffusers' own

CLASSES = {"ddim": diffusers.DDIMScheduler, "dpm++": diffusers.DPMSolverMultistepScheduler}


def near(came: Any, expected: Any, *, sums: int) -> bool:
    """Equal but for so many sums, whose rounding goes with the largest number: those between calls of the networks,
    which are called on the same samples."""
    one, other = np.asarray(came), np.asarray(expected)
    return bool(np.abs(one - other).max() <= rounding(sums=sums, scale=np.abs(other).max()))


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("name", CLASSES)
def test_audioldm2_is_diffusers(pipelines: dict[str, SoundPipeline], name: str, scale: float) -> None:
    ours = exactly_scaled(pipelines["audioldm2"])
    parts = {key: value for key, value in ours.components.items() if key != "scheduler"}
    theirs = silenced(diffusers.AudioLDM2Pipeline(**parts, scheduler=CLASSES[name].from_config(ours.scheduler.config)))
    noise, text, loa = normal(2, *LATENT), normal(2, 3, TEXT, seed=1), normal(2, *LOA, seed=2)
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    nothing = SoundPrompt(
        loa=normal(1, *LOA, seed=3), text=normal(1, 3, TEXT, seed=4), mask=torch.ones(1, 3, dtype=torch.long)
    )
    guided = {
        "negative_prompt_embeds": nothing.text.expand(2, -1, -1),
        "negative_generated_prompt_embeds": nothing.loa.expand(2, -1, -1),
        "negative_attention_mask": nothing.mask.expand(2, -1),
    }
    asked = {
        "prompt_embeds": text,
        "attention_mask": mask,
        "generated_prompt_embeds": loa,
        "num_inference_steps": 3,
        "guidance_scale": scale,
        **(guided if scale > 1 else {}),
    }
    expected = theirs(**asked, latents=noise.clone(), output_type="latent").audios
    waves = theirs(**asked, latents=noise.clone(), output_type="pt").audios
    came = ours(
        SoundPrompt(loa=loa, text=text, mask=mask),
        seeds=[1, 2],
        steps=3,
        guidance_scale=scale,
        scheduler=name,
        unconditional=nothing,
        noise=noise,
        batches=all_at_once(2),
    )
    with torch.no_grad():
        mels = theirs.vae.decode(expected / theirs.vae.config.scaling_factor).sample[:, 0]
    assert near(came.latents, expected, sums=3 * STEP)
    assert near(came.mels, mels, sums=3 * STEP) and came.waves.shape == (2, SAMPLES)
    assert near(came.waves, waves, sums=3 * STEP) and np.abs(came.waves[0] - came.waves[1]).max() > 1 / 2**15


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.filterwarnings("ignore:.*AudioLDMPipeline:FutureWarning")
def test_audioldm_is_diffusers(pipelines: dict[str, SoundPipeline], folders: Any, name: str, scale: float) -> None:
    ours = exactly_scaled(pipelines["audioldm"])
    kept = ("vae", "text_encoder", "tokenizer", "unet", "vocoder")
    theirs = silenced(
        diffusers.AudioLDMPipeline(
            **{key: ours.components[key] for key in kept}, scheduler=CLASSES[name].from_config(ours.scheduler.config)
        )
    )
    noise, clap, nothing = normal(2, *LATENT), unit(2), unit(1, seed=9)
    waves = theirs(
        prompt_embeds=clap,
        negative_prompt_embeds=nothing.expand(2, -1),
        latents=noise.clone(),
        num_inference_steps=3,
        guidance_scale=scale,
        output_type="pt",
    ).audios
    came = ours(
        SoundPrompt(clap=clap),
        seeds=[1, 2],
        steps=3,
        guidance_scale=scale,
        scheduler=name,
        unconditional=SoundPrompt(clap=nothing),
        noise=noise,
        batches=all_at_once(2),
    )
    assert near(came.waves, waves, sums=3 * STEP) and np.abs(came.waves[0] - came.waves[1]).max() > 1 / 2**15


def test_the_language_model_is_diffusers(pipelines: dict[str, SoundPipeline], folders: dict[str, Path]) -> None:
    """Both as the miniature stores it and as the hub does, as a GPT2Model; with a text that is partly padding."""
    from transformers import GPT2Model

    ours = pipelines["audioldm2"]
    bare = GPT2Model.from_pretrained(folders["audioldm2"] / "language_model")
    theirs = diffusers.AudioLDM2Pipeline(**ours.components)
    clap, text = unit(3), normal(3, 4, TEXT, seed=1)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    with torch.no_grad():
        context = ours.projection_model(clap[:, None], text, torch.ones(3, 1, dtype=torch.long), mask)
        with warnings.catch_warnings():
            # diffusers 0.42 calls by a name that transformers 5.24 announces the end of; ours must not
            warnings.filterwarnings("ignore", "`past_key_values` is deprecated", FutureWarning)
            expected = theirs.generate_language_model(
                context.hidden_states, attention_mask=context.attention_mask, max_new_tokens=LOA[0]
            )
    said, batches = SoundPrompt(text=text, mask=mask), all_at_once(3)
    # a CLAP vector made unit length, a projection, and for each token, which is fed back, two layers: queries, scores
    # of a head of 8, what 4 + 5 and 4 more places say, out of it, in and out of 4 times the width
    width, places = LOA[1], 4 + 5 + 4
    sums = CLAP + 1 + CLAP + LOA[0] * 2 * (width + 8 + 2 * places + width + width + 4 * width)
    told = ours.coarse_to_fine(clap * 7, text=said, batches=batches)
    torch.testing.assert_close(told, expected, atol=rounding(sums=sums, scale=largest(expected)), rtol=0)
    other = SoundPipeline(**{**ours.components, "language_model": bare})
    told = other.coarse_to_fine(clap, text=said, batches=batches)
    torch.testing.assert_close(told, expected, atol=rounding(sums=sums, scale=largest(expected)), rtol=0)
    loa = normal(3, *LOA)
    blend = ours.coarse_to_fine(clap, loa, weight=0.3, text=said, batches=batches)
    terms = 0.3 * loa.abs() + 0.7 * expected.abs()
    apart = rounding(sums=sums + 2, scale=largest(terms))
    torch.testing.assert_close(blend, 0.3 * loa + 0.7 * expected, atol=apart, rtol=0)
    assert torch.equal(ours.coarse_to_fine(clap, loa, weight=1), loa)
    assert not torch.allclose(ours.coarse_to_fine(clap), expected, atol=0.1, rtol=0)


# what the pipeline does, in both families


def test_a_sample_is_the_same_in_any_company(pipeline: SoundPipeline) -> None:
    whole = pipeline(told(pipeline, 5), seeds=SEEDS, **FAST)
    for row in range(5):
        one = SoundPrompt(
            **{key: None if part is None else part[row : row + 1] for key, part in vars(told(pipeline, 5)).items()}
        )
        alone = pipeline(one, seeds=[SEEDS[row]], **FAST)
        assert np.array_equal(alone.waves[0], whole.waves[row]) and np.array_equal(alone.mels[0], whole.mels[row])
    assert not np.array_equal(whole.waves[0], whole.waves[1])
    again = pipeline(told(pipeline, 5), seeds=[*SEEDS[:4], 99], **FAST)
    assert np.array_equal(again.waves[:4], whole.waves[:4]) and not np.array_equal(again.waves[4], whole.waves[4])


@pytest.mark.parametrize("seconds", [0.0, 0.32, 1.0])
def test_any_length_whose_frames_fill_the_latent(pipeline: SoundPipeline, seconds: float) -> None:
    drawn = pipeline(told(pipeline, 1), seeds=[1], seconds=seconds, steps=1)
    length = round((seconds or 0.64) * 16000)
    assert drawn.waves.shape == (1, length) and drawn.waves.dtype == np.float32
    assert drawn.mels.shape == (1, length // 160, 64) and drawn.rate == 16000 and drawn.vocoder == "hifigan"
    assert np.abs(drawn.waves).max() > 1e-3 and drawn.withheld == [False]
    with pytest.raises(UsageError, match=r"multiple of 0\.04.*use 0\.64"):
        pipeline(told(pipeline, 1), seeds=[1], seconds=0.63)


def test_the_start_decides_by_strength(pipeline: SoundPipeline) -> None:
    coded = pipeline.encode_sounds(np.stack([heard(one)[0] for one in IDS[:2]]))
    kept: dict[str, Any] = {"seeds": [1, 2], "steps": 10, "guidance_scale": 1.0}
    near = pipeline(told(pipeline, 2), coded, strength=0.2, **kept).latents
    far = pipeline(told(pipeline, 2), coded, strength=1.0, **kept).latents
    assert (near - coded).square().mean() < 0.3 * (far - coded).square().mean()
    for strength in (0.0, 1.1, -0.5):
        with pytest.raises(UsageError, match="strength"):
            pipeline(told(pipeline, 2), coded, strength=strength, **kept)
    with pytest.raises(UsageError, match="no step"):
        pipeline(told(pipeline, 2), coded, strength=0.05, **kept)
    with pytest.raises(UsageError, match="another length"):
        pipeline(told(pipeline, 2), coded, seconds=1.28, **kept)
    with pytest.raises(InputError, match="mel latents"):
        pipeline(told(pipeline, 2), coded[:, :3], **kept)


def test_full_strength_of_a_zero_latent_is_a_walk_from_noise(pipeline: SoundPipeline) -> None:
    """The last noised step holds sqrt(alpha_bar) of the start: with zeros there, only its noise, shrunk a little."""
    noise = normal(1, *LATENT)
    asked: dict[str, Any] = {"seeds": [1], "steps": 5, "noise": noise}
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(5)
    share = float((1 - scheduler.alphas_cumprod[scheduler.timesteps[0]]) ** 0.5)
    from_zero = pipeline(told(pipeline, 1), torch.zeros(1, *LATENT), strength=1.0, **asked).latents
    from_noise = pipeline(told(pipeline, 1), **{**asked, "noise": noise * share}).latents
    # the share and its product, and 5 steps on the same samples
    apart = rounding(sums=2 + 5 * STEP, scale=largest(from_noise))
    torch.testing.assert_close(from_zero, from_noise, atol=apart, rtol=0)


def test_hooks_and_callback_reach_the_walk(pipeline: SoundPipeline) -> None:
    steps: list[int] = []

    def end(caller: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else {}

    assert not pipeline(told(pipeline, 1), seeds=[1], callback_on_step_end=end, **FAST).latents.any()
    assert steps == [0, 1, 2]
    plain = pipeline(told(pipeline, 1), seeds=[1], **FAST).latents
    hooked = pipeline(told(pipeline, 1), seeds=[1], hooks=Hooks(after_step=lambda x, at: x + 1), **FAST).latents
    assert not torch.allclose(hooked, plain, atol=0.1)


def test_guidance_zero_is_the_prior(pipeline: SoundPipeline) -> None:
    nothing = pipeline(told(pipeline, 2), seeds=[1, 2], steps=3, guidance_scale=0.0)
    prior = pipeline.prior(seeds=[1, 2], steps=3)
    assert np.array_equal(nothing.waves, prior.waves)  # the same calls
    alone = pipeline(told(pipeline, 2), seeds=[1, 2], steps=3, guidance_scale=1.0)
    assert not torch.allclose(alone.latents, prior.latents, atol=0.1, rtol=0)


def test_save_and_load(pipeline: SoundPipeline, tmp_path: Path) -> None:
    before = pipeline(told(pipeline, 1), seeds=[1], **FAST)
    pipeline.save_pretrained(tmp_path / "again")
    again = silenced(SoundPipeline.from_pretrained(tmp_path / "again"))
    assert np.array_equal(again(told(pipeline, 1), seeds=[1], **FAST).waves, before.waves)


def test_round_trip_is_mel_autoencoder_and_vocoder(pipeline: SoundPipeline) -> None:
    waves = np.stack([heard(one)[0] for one in IDS[:3]])
    came = exactly_scaled(pipeline).round_trip(waves, batches=all_at_once(3))
    with torch.no_grad():  # the same calls on the same numbers
        code = pipeline.vae.encode(log_mel_tensor(torch.from_numpy(levelled(waves)))[:, None]).latent_dist.mode()
        mels = pipeline.vae.decode(fresh(code)).sample[:, 0]
        expected = pipeline.vocoder(fresh(mels))
    assert np.array_equal(came.mels, mels.numpy())
    assert np.array_equal(came.waves, expected.numpy()[:, :SAMPLES])


def test_not_a_number_is_no_sound_and_silence_is_withheld(pipeline: SoundPipeline) -> None:
    with pytest.raises(InputError, match="NaN from the autoencoder.*float32"):
        pipeline.decode_latents(torch.full((1, *LATENT), float("nan")))
    mute = SoundPipeline(**{**pipeline.components, "vocoder": type(pipeline.vocoder)(pipeline.vocoder.config)})
    for weight in mute.vocoder.parameters():
        weight.data.zero_()
    assert mute.decode_latents(normal(2, *LATENT)).withheld == [True, True]


def test_conditions_that_do_not_fit_are_refused(pipelines: dict[str, SoundPipeline]) -> None:
    second, first = pipelines["audioldm2"], pipelines["audioldm"]
    for prompt in (SoundPrompt(clap=unit(1)), SoundPrompt(loa=normal(1, *LOA), clap=unit(1))):
        with pytest.raises(InputError, match="coarse_to_fine"):
            second(prompt, seeds=[1])
    for prompt in (SoundPrompt(loa=normal(1, *LOA)), SoundPrompt(loa=normal(1, *LOA), clap=unit(1))):
        with pytest.raises(InputError, match="clap alone"):
            first(prompt, seeds=[1])
    with pytest.raises(InputError, match="CLAP: expected"):
        first(SoundPrompt(clap=normal(1, CLAP + 1)), seeds=[1])
    with pytest.raises(InputError, match="LOA: expected"):
        second(SoundPrompt(loa=normal(1, 4, 3)), seeds=[1])
    with pytest.raises(InputError, match="text: expected"):
        second(SoundPrompt(loa=normal(1, *LOA), text=normal(1, 2, 3)), seeds=[1])
    with pytest.raises(InputError, match="one each"):
        first(SoundPrompt(clap=unit(2)), seeds=[1])
    with pytest.raises(UsageError, match="LOA weight"):
        second.coarse_to_fine(unit(1), normal(1, *LOA), weight=1.2)
    bare = SoundPipeline(**{**second.components, "language_model": None, "projection_model": None})
    with pytest.raises(InputError, match="weight 1"):
        bare.coarse_to_fine(unit(1), normal(1, *LOA), weight=0.9)
    assert torch.equal(bare.coarse_to_fine(unit(1), normal(1, *LOA), weight=1), normal(1, *LOA))
    with pytest.raises(InputError, match="text_encoder_2"):
        first.encode_text(["a dog"])


def test_text_is_read_and_its_padding_is_not(pipelines: dict[str, SoundPipeline]) -> None:
    ours, loa = pipelines["audioldm2"], normal(2, *LOA)
    said = ours.encode_text(["a dog barks", "rain"])

    def drawn(text: torch.Tensor, mask: torch.Tensor) -> Any:
        return ours(SoundPrompt(loa=loa, text=text, mask=mask), seeds=[1, 2], **FAST).latents

    base = drawn(said.text, said.mask)
    padded = torch.nn.functional.pad(said.text, (0, 0, 0, 3), value=5.0)
    # in each of 3 steps four attentions read text: a sum of weights and one of what they weigh, over 3 pieces more
    apart = rounding(sums=3 * (STEP + 4 * 2 * (PIECES + 3)), scale=largest(base))
    longer = drawn(padded, torch.nn.functional.pad(said.mask, (0, 3)))
    torch.testing.assert_close(longer, base, atol=apart, rtol=0)
    assert not torch.allclose(drawn(said.text.flip(0), said.mask.flip(0)), base, atol=0.1, rtol=0)
    unsaid = ours(SoundPrompt(loa=loa), seeds=[1, 2], **FAST).latents
    assert not torch.allclose(unsaid, base, atol=0.1, rtol=0)


def test_the_empty_condition_without_its_encoder_is_zeros_and_says_so(folders: dict[str, Path]) -> None:
    for family, without in (("audioldm2", "text_encoder_2"), ("audioldm", "text_encoder")):
        bare = SoundPipeline.from_pretrained(folders[family], **{without: None})
        empty = bare.empty(ONE)
        assert bare.facts()["empty_condition"] == "zeros"
        assert not (empty.clap if empty.clap is not None else empty.text).any()


def test_griffin_lim_stands_in_where_no_vocoder_is(folders: dict[str, Path]) -> None:
    bare = silenced(SoundPipeline.from_pretrained(folders["audioldm"], vocoder=None))
    drawn = bare(SoundPrompt(clap=unit(2)), seeds=[1, 2], **FAST)
    assert drawn.vocoder == bare.facts()["vocoder"] == "griffin-lim"
    assert drawn.waves.shape == (2, SAMPLES) and drawn.withheld == [False, False]
    alone = bare(SoundPrompt(clap=unit(2)[1:]), seeds=[2], **FAST)
    assert np.array_equal(alone.waves[0], drawn.waves[1])
