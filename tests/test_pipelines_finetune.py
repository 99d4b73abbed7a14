"""Double conditioning: what learns and what does not, both paths, guidance, the folder, and no loss by a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from brain.errors import InputError, UsageError
from brain.readers import open_recording
from brain.types import Recording, Split
from encoders.masked.patched import PatchedTrials, VoxelContract, patched_trials
from encoders.masked.pretraining import pretrain
from encoders.settings import MaskedSettings, Plan, PretrainSettings
from encoders.training import WEIGHTS
from pipelines.conditioning.double_conditioning import (
    CROSS,
    ConditioningEncoder,
    DoublyConditioned,
    PromptSizes,
    open_slot,
)
from pipelines.conditioning.finetuning import (
    LATENTS,
    TRAINING,
    VALIDATION,
    denoising_job,
    finetune,
    finetune_recording,
    true_latents,
)
from pipelines.conditioning.pipeline import (
    CARD,
    CHANGED,
    VOXELS,
    BrainConditionedPipeline,
    new_conditioning_encoder,
    open_base,
)
from pipelines.finetune import main
from pipelines.images.latent_text import LatentTextPipeline
from pipelines.images.tiny import tiny_stack as write_stack
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.settings import FinetuneSettings
from pipelines.stacks.find import resolve
from tests.rounding import largest, rounding

BRAIN = MaskedSettings(patch=4, width=16, depth=1, heads=2, decoder_width=8)
PLAN = Plan(steps=6, rate=5e-3, validate=3, save=2, warm=2, patience=0)


@pytest.fixture(scope="module")
def recording(planted: Path) -> Recording:
    return open_recording(planted)


@pytest.fixture(scope="module")
def learn(recording: Recording) -> PatchedTrials:
    return patched_trials(recording, patch=4)


@pytest.fixture(scope="module")
def plain_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack without an image condition, as Stable Diffusion 1.x is."""
    return write_stack(tmp_path_factory.mktemp("stacks") / "plain", image_condition=False)


@pytest.fixture(scope="module")
def trained(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finetune(planted, tmp_path_factory.mktemp("runs") / "both", asked(tiny_stack))


@pytest.fixture(scope="module")
def pipeline(trained: Path, tiny_stack: Path) -> BrainConditionedPipeline:
    return opened(trained, tiny_stack)


def asked(stack: Path, **changes: object) -> FinetuneSettings:
    """Small settings on this stack, with these changes."""
    return replace(FinetuneSettings(stack=str(stack), model=BRAIN, plan=PLAN, batch=9), **changes)  # type: ignore[arg-type]


def opened(folder: Path, stack: Path) -> BrainConditionedPipeline:
    found = BrainConditionedPipeline.from_folder(folder, stack=resolve(str(stack)))
    found.set_progress_bar_config(disable=True)
    return found


def model_of(stack: Path, learn: PatchedTrials, paths: str) -> DoublyConditioned:
    """A network whose silent projections have been given a voice."""
    torch.manual_seed(0)
    base = open_base(resolve(str(stack)))
    prompter = new_conditioning_encoder(base, learn.contract, brain=BRAIN, paths=paths)
    for name in ("to_text", "to_time"):
        if hasattr(prompter, name):
            torch.nn.init.normal_(getattr(prompter, name).weight, std=0.1)
    return DoublyConditioned(base.unet, prompter).settle()


def condition_of(model: DoublyConditioned, patches: torch.Tensor, *, dropped: bool = False) -> torch.Tensor:
    """What the network makes of the same noise under these patches."""
    x = torch.randn(len(patches), 4, 8, 8, generator=torch.Generator().manual_seed(1))
    times = torch.full((len(patches),), 400)
    return model(x, times, patches, torch.full((len(patches),), dropped))


@pytest.mark.parametrize("kind", ["projection", "identity"])
@pytest.mark.parametrize("paths", ["both", "cross", "time"])
def test_gradients_reach_the_brain_and_the_wanted_weights_alone(
    tiny_stack: Path, plain_stack: Path, learn: PatchedTrials, paths: str, kind: str
) -> None:
    model = model_of(tiny_stack if kind == "projection" else plain_stack, learn, paths)
    assert model.unet.config.class_embed_type == kind
    condition_of(model, torch.from_numpy(learn.values[:3])).square().sum().backward()
    moved = {name for name, one in model.named_parameters() if one.grad is not None}
    assert moved == {name for name, one in model.named_parameters() if one.requires_grad}
    unet = {name.removeprefix("unet.") for name in moved if name.startswith("unet.")}
    every = {name for name, _ in model.unet.named_parameters()}
    assert unet == ({name for name in every if CROSS.search(name)} if paths != "time" else set())
    assert {"prompter.brain.embed.weight", "prompter.brain.blocks.0.up.weight"} <= moved
    assert ("prompter.to_text.weight" in moved, "prompter.to_time.weight" in moved) == (
        paths != "time",
        paths != "cross",
    )
    assert not any("decoder" in name or "predict" in name for name in moved)


def test_the_trained_cross_attention_is_attention_to_the_text_alone(tiny_stack: Path) -> None:
    unet = open_base(resolve(str(tiny_stack))).unet
    found = {name for name, _ in unet.named_parameters() if CROSS.search(name)}
    blocks = [name for name, part in unet.named_modules() if type(part).__name__ == "BasicTransformerBlock"]
    keys = [name for name in found if name.endswith("attn2.to_k.weight")]
    assert len(keys) == len(blocks) > 0
    assert not any(".resnets." in name for name in found)


@pytest.mark.parametrize("paths", ["both", "cross", "time"])
def test_each_path_changes_the_drawing_and_an_untrained_one_is_the_empty_prompt(
    tiny_stack: Path, learn: PatchedTrials, paths: str
) -> None:
    patches = torch.from_numpy(learn.values[:2])
    model = model_of(tiny_stack, learn, paths).eval()
    with torch.no_grad():
        mine, other, empty = (
            condition_of(model, patches),
            condition_of(model, patches.flip(0)),
            condition_of(model, patches, dropped=True),
        )
        assert not torch.allclose(mine, other, atol=1e-2)
        assert not torch.allclose(mine, empty, atol=1e-2)
        for name in ("to_text", "to_time"):
            if hasattr(model.prompter, name):
                torch.nn.init.zeros_(getattr(model.prompter, name).weight)
        assert torch.equal(condition_of(model, patches), empty)


def test_the_new_slot_leaves_an_untrained_stack_as_it_was(plain_stack: Path, learn: PatchedTrials) -> None:
    untouched = open_base(resolve(str(plain_stack)))
    model = DoublyConditioned(*_zero_initialised(plain_stack, learn)).eval()
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    text = untouched.encode_text([""]).expand(2, -1, -1)
    with torch.no_grad():
        plain = untouched.unet(x, torch.full((2,), 400), encoder_hidden_states=text).sample
        assert torch.equal(condition_of(model, torch.from_numpy(learn.values[:2])), plain)


def _zero_initialised(stack: Path, learn: PatchedTrials) -> tuple[object, ConditioningEncoder]:
    base = open_base(resolve(str(stack)))
    return base.unet, new_conditioning_encoder(base, learn.contract, brain=BRAIN, paths="both")


def test_a_unet_without_a_free_place_is_refused() -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
        norm_num_groups=4, num_class_embeds=3, cross_attention_dim=8, attention_head_dim=4,
    )  # fmt: skip
    with pytest.raises(InputError, match="takes other conditions .num_class_embeds 3"):
        open_slot(unet)


@pytest.mark.parametrize("paths", ["both", "time"])
def test_frozen_weights_keep_their_bits(
    planted: Path, tiny_stack: Path, trained: Path, tmp_path: Path, paths: str
) -> None:
    folder = trained if paths == "both" else finetune(planted, tmp_path, asked(tiny_stack, paths=paths))
    before = open_base(resolve(str(tiny_stack)))
    after = opened(folder, tiny_stack)
    changed = {
        name
        for name, value in before.unet.state_dict().items()
        if not torch.equal(value, after.unet.state_dict()[name])
    }
    kept = set(load_file(folder / CHANGED))
    assert changed <= kept == ({name for name in kept if CROSS.search(name)})
    assert len(changed) > 0.9 * len(kept) if paths == "both" else not kept
    for part in ("vae", "text_encoder"):
        mine, theirs = getattr(after, part).state_dict(), getattr(before, part).state_dict()
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_conditions_are_dropped_at_the_rate_asked_and_never_in_validation(
    recording: Recording, learn: PatchedTrials, tiny_stack: Path, tmp_path: Path
) -> None:
    stack = resolve(str(tiny_stack))
    settings = asked(tiny_stack, dropout=0.3)
    latents = true_latents(recording, learn, stack, tmp_path / LATENTS)
    scheduler = open_base(stack).scheduler
    job = denoising_job(learn, latents, settings, brain=BRAIN, scheduler=scheduler, device="cpu", facts={})
    seen: list[torch.Tensor] = []

    def watch(x: torch.Tensor, t: torch.Tensor, patches: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        seen.append(dropped)
        return torch.zeros_like(x)

    for step in range(400):
        key, rows = job.batch(step)
        job.loss(watch, key, rows)  # type: ignore[arg-type]
    rate = float(torch.cat(seen).float().mean())
    assert abs(rate - 0.3) < 4 * (0.3 * 0.7 / sum(map(len, seen))) ** 0.5
    seen.clear()
    for key, rows in job.check:
        assert key[0] == VALIDATION
        assert set(rows) <= set(learn.held_out.tolist())
        job.loss(watch, key, rows)  # type: ignore[arg-type]
    assert not torch.cat(seen).any()


def test_mixed_samples_are_averages_of_some_repeats_and_all_of_them_in_validation(
    recording: Recording, learn: PatchedTrials, tiny_stack: Path, tmp_path: Path
) -> None:
    """Every picture is shown twice: a sample is its trial, or the mean of both, each about half of the time."""
    stack = resolve(str(tiny_stack))
    latents, scheduler = true_latents(recording, learn, stack, tmp_path / LATENTS), open_base(stack).scheduler
    settings = asked(tiny_stack, trials="mixed", augment=False)
    job = denoising_job(learn, latents, settings, brain=BRAIN, scheduler=scheduler, device="cpu", facts={})
    seen: list[torch.Tensor] = []

    def watch(x: torch.Tensor, t: torch.Tensor, patches: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        seen.append(patches)
        return torch.zeros_like(x)

    row = int(learn.train[0])
    both = learn.values[learn.stimulus == learn.stimulus[row]].mean(0)
    for step in range(60):
        job.loss(watch, (step, -1), [row])  # type: ignore[arg-type]
    of_two = rounding(sums=2, scale=largest(learn.values))
    alone = [np.array_equal(one[0], learn.values[row]) for one in seen]
    assert all(mine or np.allclose(one[0], both, atol=of_two, rtol=0) for mine, one in zip(alone, seen, strict=True))
    assert 15 < sum(alone) < 45
    key, rows = job.check[0]
    job.loss(watch, key, rows[:1])  # type: ignore[arg-type]
    held = learn.values[learn.stimulus == learn.stimulus[rows[0]]].mean(0)
    np.testing.assert_allclose(seen[-1][0], held, atol=of_two, rtol=0)


def test_the_loss_is_the_mean_square_to_the_schedulers_own_target(
    recording: Recording, learn: PatchedTrials, tiny_stack: Path, tmp_path: Path
) -> None:
    """The stack predicts v; diffusers' own noising and velocity of the same draw must give the same number."""
    from diffusers import DDIMScheduler

    stack = resolve(str(tiny_stack))
    latents = true_latents(recording, learn, stack, tmp_path / LATENTS)
    scheduler = open_base(stack).scheduler
    assert isinstance(scheduler, DDIMScheduler)
    job = denoising_job(learn, latents, asked(tiny_stack), brain=BRAIN, scheduler=scheduler, device="cpu", facts={})
    seen = {}

    def watch(x: torch.Tensor, t: torch.Tensor, patches: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        seen.update(x=x, t=t)
        return torch.zeros_like(x)

    rows = [0, 5, 7]
    losses = job.loss(watch, (3, -1), rows)  # type: ignore[arg-type]
    z, share = torch.from_numpy(latents[rows]), scheduler.alphas_cumprod[seen["t"]][:, None, None, None]
    noise = (seen["x"] - share.sqrt() * z) / (1 - share).sqrt()
    # two roots, two products, a sum; and once more, back to the noise
    drawn = 2 * rounding(sums=5, scale=largest(z) + largest(seen["x"]))
    torch.testing.assert_close(scheduler.add_noise(z, noise, seen["t"]), seen["x"], atol=drawn, rtol=0)
    aim = scheduler.get_velocity(z, noise, seen["t"])
    # the noise is divided by its share; a square is off by twice its root times that; then a mean over the latent
    square = 2 * float(aim.abs().mean((1, 2, 3)).max()) * drawn / float((1 - share).sqrt().min())
    whole = rounding(sums=aim[0].numel(), scale=float(losses.max()))
    torch.testing.assert_close(losses, aim.square().mean((1, 2, 3)), atol=square + whole, rtol=0)


def test_guidance_of_one_is_the_conditional_and_other_scales_are_not(
    pipeline: BrainConditionedPipeline, learn: PatchedTrials
) -> None:
    voxels = learn.contract.patches.join(learn.values[:2])
    plain, leaning = (_drawn(pipeline, voxels, scale=scale) for scale in (1.0, 4.0))
    prompt = pipeline.condition_of(voxels, batches=BOTH)
    again = LatentTextPipeline(**{name: getattr(pipeline, name) for name in LATENT})
    again.unet, x = pipeline.unet, _walk(pipeline, prompt)
    # the networks see the same two samples in one call: a step's own sums are left, x0, the noise and theirs
    torch.testing.assert_close(plain, x, atol=rounding(sums=STEPS * 3, scale=largest(x)), rtol=0)
    assert not torch.allclose(plain, leaning, atol=1e-3)


LATENT = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
STEPS = 4
BOTH = MicroBatches(width=2, threads=0)
"""Two samples in one call on torch's own threads, as without lanes."""


def _drawn(pipeline: BrainConditionedPipeline, voxels: np.ndarray, *, scale: float) -> torch.Tensor:
    asked = {"steps": STEPS, "guidance_scale": scale, "scheduler": "ddim", "output_type": "latent", "batches": BOTH}
    return pipeline(voxels, seeds=range(len(voxels)), **asked).images


def _walk(pipeline: BrainConditionedPipeline, prompt: object) -> torch.Tensor:
    """The conditional walk by diffusers alone."""
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(STEPS)
    x = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)])
    with torch.no_grad():
        for t in scheduler.timesteps:
            out = pipeline.unet(x, t, encoder_hidden_states=prompt.text, class_labels=prompt.image).sample  # type: ignore[attr-defined]
            x = scheduler.step(out, t, x).prev_sample
    return x


def test_a_sample_has_the_same_bits_in_any_company(pipeline: BrainConditionedPipeline, learn: PatchedTrials) -> None:
    voxels = learn.contract.patches.join(learn.values[:7])
    seeds = list(range(100, 107))
    whole = pipeline(voxels, seeds=seeds, steps=3, output_type="pt").images
    for rows in ([4], [6, 4, 1], [0, 1, 2, 3, 4]):
        some = pipeline(voxels[rows], seeds=[seeds[row] for row in rows], steps=3, output_type="pt").images
        assert torch.equal(some, whole[rows])
    assert not torch.equal(whole[0], whole[1])


def test_the_prior_is_drawn_from_the_empty_prompt_of_training(pipeline: BrainConditionedPipeline) -> None:
    drawn = pipeline.prior(seeds=[3, 4], steps=2)
    assert [image.size for image in drawn.images] == [(32, 32)] * 2
    voxels = np.zeros((2, 90), np.float32)
    same = pipeline(voxels, seeds=[3, 4], steps=2, guidance_scale=0.0)
    assert [np.asarray(one).tolist() for one in drawn.images] == [np.asarray(one).tolist() for one in same.images]


def test_voxels_are_put_in_order_or_refused(pipeline: BrainConditionedPipeline, recording: Recording) -> None:
    contract = pipeline.contract
    assert contract is not None
    responses = recording.responses.trials(recording.responses.of(recording.split().test))
    mine = contract.own(responses)
    assert np.array_equal(contract.own(responses.voxels(np.arange(90)[::-1])).values, mine.values)
    with pytest.raises(InputError, match="1 of the mapping's 90 voxels are not in these data"):
        contract.own(responses.voxels(np.arange(89)))
    with pytest.raises(InputError, match="fitted on subject 'subj01' and these data have 'subj02'"):
        contract.own(replace(responses, space=replace(responses.space, subject="subj02")))
    with pytest.raises(InputError, match="expected .trial, 90., found .2, 80."):
        pipeline(np.zeros((2, 80), np.float32), seeds=[0, 1])
    with pytest.raises(InputError, match="1 seeds for conditions of .2. samples"):
        pipeline(np.zeros((2, 90), np.float32), seeds=[0])
    with pytest.raises(InputError, match="NaN or infinity"):
        pipeline(np.full((1, 90), np.nan, np.float32), seeds=[0])


def test_another_stack_and_damaged_folders_are_refused(
    trained: Path, tiny_stack: Path, plain_stack: Path, tmp_path: Path
) -> None:
    import shutil

    with pytest.raises(InputError, match="the stack it was trained on, tiny .* name that stack"):
        opened(trained, plain_stack)
    with pytest.raises(InputError, match="the stack it was trained on"):
        opened(trained, write_stack(tmp_path / "tiny", seed=1))
    half = shutil.copytree(trained, tmp_path / "half")
    (half / CARD).unlink()
    with pytest.raises(InputError, match="expected the card"):
        opened(half, tiny_stack)
    foreign = shutil.copytree(trained, tmp_path / "foreign")
    shutil.copy(trained / CHANGED, foreign / VOXELS)
    with pytest.raises(InputError, match="expected a voxel-contract file"):
        opened(foreign, tiny_stack)


def test_the_voxel_contract_comes_back_whole(learn: PatchedTrials, tmp_path: Path) -> None:
    learn.contract.save(tmp_path / "voxels.safetensors")
    back = VoxelContract.load(tmp_path / "voxels.safetensors")
    assert back.facts() == learn.contract.facts()
    assert np.array_equal(back.scaler.mean, learn.contract.scaler.mean)
    assert np.array_equal(back.patches.centre, learn.contract.patches.centre)


def test_held_out_stimuli_do_not_train_and_test_stimuli_are_nowhere(recording: Recording, learn: PatchedTrials) -> None:
    train, held = (set(learn.stimulus[rows].tolist()) for rows in (learn.train, learn.held_out))
    assert not train & held
    assert train | held == set(recording.split().train)
    assert len(held) == 3  # a tenth of 28
    averaged = patched_trials(recording, patch=4, trials="averaged")
    assert len(averaged) == 28
    assert len(learn) == 56
    with pytest.raises(InputError, match="1 of its test stimuli are in the training set"):
        patched_trials(recording, patch=4, names=[*recording.split().train, recording.split().test[0]])


def test_a_copy_of_a_test_trial_or_of_a_test_picture_is_refused(recording: Recording) -> None:
    responses, split = recording.responses, recording.split()
    values = responses.values.copy()
    values[np.flatnonzero(responses.of(split.train))[5]] = 1.7 * values[np.flatnonzero(responses.of(split.test))[0]]
    with pytest.raises(InputError, match="is test trial"):
        patched_trials(replace(recording, responses=replace(responses, values=values)), patch=4)
    stimuli = recording.stimuli
    twin = replace(stimuli, opener=lambda name: stimuli.open(split.test[0] if name == split.train[0] else name))
    with pytest.raises(InputError, match="is the same as test stimulus .* bit for bit"):
        patched_trials(replace(recording, stimuli=twin), patch=4)


def test_an_encoder_that_may_have_seen_test_trials_is_refused(
    planted: Path, recording: Recording, tiny_stack: Path, tmp_path: Path
) -> None:
    path = pretrain(planted, tmp_path / "masked", PretrainSettings(model=BRAIN, plan=PLAN, batch=9))
    still = replace(PLAN, rate=1e-9)
    out = finetune(planted, tmp_path / "out", asked(tiny_stack, encoder=str(path), plan=still))
    learned, known = load_file(out / "brain_encoder/model.safetensors"), load_file(path)
    weight = known["embed.weight"]
    # a step of AdamW moves a weight by its rate and its decay at most, and rounds it
    moved = still.steps * still.rate * (1 + still.decay) + rounding(sums=still.steps, scale=largest(weight))
    np.testing.assert_allclose(learned["brain.embed.weight"], weight, atol=moved, rtol=0)
    split = recording.split()
    other = Split(name="other", train=split.train[1:], test=(*split.test, split.train[0]))
    with pytest.raises(InputError, match="left out the test trials of split 'other'"):
        finetune_recording(recording, tmp_path / "other", asked(tiny_stack, encoder=str(path)), split=other)


def test_a_resumed_training_ends_in_the_same_bits(
    planted: Path, trained: Path, tiny_stack: Path, tmp_path: Path
) -> None:
    finetune(planted, tmp_path, asked(tiny_stack))
    last = sorted((tmp_path / TRAINING / "checkpoints").iterdir())[-1]
    last.unlink()  # as if it had been killed before its last save
    for name in (f"{TRAINING}/{WEIGHTS}", CARD):
        (tmp_path / name).unlink()
    finetune(planted, tmp_path, asked(tiny_stack))
    for name in (f"{TRAINING}/{WEIGHTS}", f"{TRAINING}/checkpoints/{last.name}", CHANGED):
        mine, theirs = load_file(tmp_path / name), load_file(trained / name)
        assert set(mine) == set(theirs)
        assert all(np.array_equal(mine[key], theirs[key]) for key in mine)
    with pytest.raises(InputError, match="expected paths cross, found both"):
        finetune(planted, tmp_path, asked(tiny_stack, paths="cross"))


def test_a_checkpoint_holds_what_learns_and_nothing_of_the_base(trained: Path, tiny_stack: Path) -> None:
    for path in (trained / TRAINING / "checkpoints").iterdir():
        names = [name.removeprefix("model.") for name in load_file(path) if name.startswith("model.")]
        assert all(CROSS.search(name) for name in names if name.startswith("unet."))
        assert any(name.startswith("prompter.to_time") for name in names)
        assert not any("decoder" in name for name in names)
    card = json.loads((trained / CARD).read_text())
    assert card["stack"]["model"] == tiny_stack.name
    assert card["data"]["voxels"] == 90
    assert card["done"]["step"] == 6


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(planted: Path, tiny_stack: Path, tmp_path: Path) -> None:
    wild = replace(PLAN, rate=1e30, warm=0, clip=1e30, save=1)
    with pytest.raises(InputError, match="expected a finite loss, found nan"):
        finetune(planted, tmp_path, asked(tiny_stack, plan=wild))
    found = list((tmp_path / TRAINING / "checkpoints").iterdir())
    assert found
    assert all(load_file(path) for path in found)
    assert not (tmp_path / CARD).exists()


@pytest.mark.parametrize("paths", ["cross", "time"])
def test_each_path_learns_which_response_belongs_to_which_picture(
    recording: Recording, tiny_stack: Path, paths: str
) -> None:
    """Flat latents whose signs are linear in the response: a brain of another picture must denoise them worse."""
    learn = patched_trials(recording, patch=4, trials="averaged")
    signs = np.sign(learn.values.reshape(len(learn), -1) @ np.random.default_rng(3).standard_normal((92, 4)))
    latents = np.broadcast_to(2 * signs[:, :, None, None], (len(learn), 4, 8, 8)).astype(np.float32)
    settings = asked(tiny_stack, batch=28, augment=False, dropout=0.0, plan=replace(PLAN, steps=50, rate=4e-3))
    model = model_of(tiny_stack, learn, paths)
    facts = {"brain": BRAIN, "scheduler": open_base(resolve(str(tiny_stack))).scheduler, "device": "cpu", "facts": {}}
    job = denoising_job(learn, latents, settings, **facts)  # type: ignore[arg-type]
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=settings.plan.rate)
    for step in range(settings.plan.steps):
        key, rows = job.batch(step)
        job.loss(model, key, rows).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    foreign = replace(learn, values=np.roll(learn.values, 1, 0))
    with torch.no_grad():
        own, other = (
            float(one.loss(model, (VALIDATION, 500), list(range(28))).mean())
            for one in (job, denoising_job(foreign, latents, settings, **facts))  # type: ignore[arg-type]
        )
    assert own < 0.9 * other


def test_the_command_says_what_is_wrong_in_one_sentence(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(planted), "--out", str(tmp_path), "--stack", str(tiny_stack)]
    assert main([*words, "--paths", "crss"]) == UsageError.exit_code
    assert "cross" in capsys.readouterr().err
    assert main([*words, "--encoder", str(tmp_path / "none.safetensors")]) == InputError.exit_code
    with pytest.raises(UsageError, match="--dropout"):
        FinetuneSettings(dropout=1.0)


def test_a_mixture_of_paths_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="both"):
        PromptSizes(patches=2, tokens=2, dim=2, slot=2, paths="bth")
