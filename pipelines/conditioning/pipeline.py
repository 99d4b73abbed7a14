"""The pipeline of a doubly conditioned stack: voxels in, pictures out; and the folder that `pipelines.finetune` writes.

    pipeline = BrainConditionedPipeline.from_folder(Path("runs/mindvis"), stack=resolve("miniature-image"))
    voxels = pipeline.contract.own(responses).values          # z-scores of the very voxels it learned from
    pipeline(voxels, seeds=range(len(voxels)), guidance_scale=3.0).images

A folder holds what was learned and nothing of the base stack, which it names by the digest of its files:

    card.json                            the base stack, the paths, the voxels, the training
    brain_encoder/model.safetensors      the encoder and its projections, and the empty prompt; config.json their sizes
    brain_encoder/voxels.safetensors     the voxel contract: voxels, scaler, patches
    unet/cross_attention.safetensors     the UNet's weights that changed
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brain.errors import InputError, expected
from encoders.masked.patched import VoxelContract
from encoders.settings import MaskedSettings, masked_of
from encoders.storage import Arrays, read_json, read_tensors, write_json, write_tensors
from pipelines.conditioning.double_conditioning import ConditioningEncoder, PromptSizes, open_slot
from pipelines.images.base import Drawing, LatentPipeline, StepEnd
from pipelines.images.latent_text import LatentTextPipeline
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.sampling.sampler import (
    Gaussian,
    Hooks,
    Noised,
    Prompt,
    Start,
    classifier_free,
    generators_of,
    scheduler_named,
    unet_denoiser,
)
from pipelines.stacks.folder import StackFolder, digests
from pipelines.stacks.load import damage, quiet

FAMILY = "double-conditioning"
CARD = "card.json"
CONFIG, WEIGHTS = "brain_encoder/config.json", "brain_encoder/model.safetensors"
VOXELS, CHANGED = "brain_encoder/voxels.safetensors", "unet/cross_attention.safetensors"
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""The components that make a base stack the one that was trained on."""


class BrainConditionedPipeline(LatentPipeline):
    """Draws pictures from responses by a UNet that was fine-tuned on them (`conditioning.double_conditioning`)."""

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        prompter: Any,
        safety_checker: Any = None,
        feature_extractor: Any = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            prompter=prompter,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
        )
        self.contract: VoxelContract | None = None
        self.card: dict[str, Any] = {}

    @classmethod
    def from_folder(
        cls, folder: Path, *, stack: StackFolder, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> BrainConditionedPipeline:
        """The base stack with what `folder` has learned; another stack, or an unfinished folder: `InputError`.

        `dtype` is the stack's; the brain encoder stays in float32.
        """
        card = read_json(folder / CARD, kind=FAMILY)
        if card.get("family") != FAMILY:
            raise InputError(expected(folder / CARD, f"a {FAMILY} folder", str(card.get("family")), "give its --out"))
        must_be_base(folder, card, stack)
        base = open_base(stack)
        prompter = read_conditioning_encoder(folder)
        if open_slot(base.unet) != prompter.sizes.slot:
            raise InputError(expected(folder / CONFIG, "the vector this UNet takes", "another width", "train again"))
        _change(base.unet, folder / CHANGED)
        pipeline: BrainConditionedPipeline = cls(**_parts_of(base), prompter=prompter)
        pipeline.contract, pipeline.card = VoxelContract.load(folder / VOXELS), card
        pipeline = pipeline.to(device)
        for name, part in pipeline.components.items():
            if isinstance(part, nn.Module):
                part.eval().requires_grad_(False).to(torch.float32 if name == "prompter" else dtype)
        return pipeline

    @torch.no_grad()
    def __call__(
        self,
        voxels: Tensor | np.ndarray,
        latents: Tensor | None = None,
        *,
        seeds: Sequence[int],
        steps: int = 50,
        strength: float = 0.8,
        guidance_scale: float = 3.0,
        eta: float = 0.0,
        scheduler: str = "",
        hooks: Hooks = Hooks(),  # noqa: B008  frozen
        batches: MicroBatches | None = None,
        callback_on_step_end: StepEnd | None = None,
        output_type: str = "pil",
    ) -> Drawing:
        """Draw one picture a row.

        voxels   (sample, voxel) z-scores of the contract's voxels, see `VoxelContract.own`
        latents  (sample, channel, y, x) to start from, noised by `strength`; None starts from noise alone
        seeds    one a sample; the same seed and voxels give the same bits in any batch
        """
        batches = batches or self.batches()
        counts = {len(one) for one in (voxels, latents) if one is not None}
        if counts != {len(seeds)}:
            raise InputError(f"drawing: {len(seeds)} seeds for conditions of {sorted(counts)} samples; give one each")
        start: Start = Gaussian()
        if latents is not None:
            start = Noised(latents=self._fitted(latents, batches), strength=strength)
        return self._draw(
            classifier_free(unet_denoiser(self.unet), self._empty(batches), guidance_scale),
            self.condition_of(voxels, batches=batches),
            start=start,
            generators=generators_of(seeds),
            scheduler=scheduler_named(scheduler, self.scheduler),
            steps=steps,
            eta=eta,
            hooks=hooks,
            batches=batches,
            on_step_end=callback_on_step_end,
            output_type=output_type,
        )

    @torch.no_grad()
    def condition_of(self, voxels: Tensor | np.ndarray, *, batches: MicroBatches | None = None) -> Prompt:
        """What the brain tells the UNet: z-scores (sample, voxel) of the contract's voxels -> a prompt a sample."""
        if self.contract is None:
            raise InputError("drawing: this pipeline is bound to no voxels; open it by from_folder")
        patches = torch.from_numpy(self.contract.cut(np.asarray(voxels, np.float32))).to(self.device)
        sizes = self.prompter.sizes

        def flat(some: Tensor) -> Tensor:
            prompt = self.prompter(some)
            return torch.cat([prompt.text.flatten(1), prompt.image], 1)

        both = (batches or self.batches()).run(flat, patches)
        text, image = both.split([sizes.tokens * sizes.dim, sizes.slot], 1)
        return Prompt(text=text.unflatten(1, (sizes.tokens, sizes.dim)), image=image)

    def _empty(self, batches: MicroBatches) -> Prompt:
        """The prompt that training put in the place of dropped conditions."""
        said: Prompt = self.prompter.empty()
        return said


def open_base(stack: StackFolder) -> LatentTextPipeline:
    """The base stack on the processor in float32; a stack without text conditions, or a damaged one: `InputError`."""
    missing = [name for name in PARTS if name not in stack.components]
    if missing:
        raise InputError(
            expected(stack.path, f"a stack with {', '.join(PARTS)}", f"none of {missing[0]}", "choose another stack")
        )
    quiet()
    with damage(stack.path):
        return LatentTextPipeline.from_pretrained(  # type: ignore[no-any-return]
            stack.path, use_safetensors=True, local_files_only=True, trust_remote_code=False
        )


def base_facts(stack: StackFolder) -> dict[str, str]:
    """The name of a base stack and one digest of the files of its `PARTS`."""
    lines = [f"{name} {one}" for name, one in sorted(digests(stack.path).items()) if name.split("/")[0] in PARTS]
    sha256 = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return {"model": stack.model, "revision": stack.revision, "sha256": sha256}


def must_be_base(folder: Path, card: Mapping[str, Any], stack: StackFolder) -> None:
    """Refuse (InputError) a stack that the folder was not trained on."""
    mine, theirs = card["stack"], base_facts(stack)
    if mine["sha256"] != theirs["sha256"]:
        raise InputError(
            expected(
                folder / CARD,
                f"the stack it was trained on, {mine['model']} ({mine['sha256'][:12]})",
                f"{theirs['model']} ({theirs['sha256'][:12]})",
                "name that stack, or train on this one",
            )
        )


def new_conditioning_encoder(
    base: LatentTextPipeline, contract: VoxelContract, *, brain: MaskedSettings, paths: str
) -> ConditioningEncoder:
    """A zero-initialised conditioning encoder, for this stack and these voxels; it opens the UNet's slot."""
    text = base.encode_text([""])
    sizes = PromptSizes(
        patches=len(contract.patches), tokens=text.shape[1], dim=text.shape[2], slot=open_slot(base.unet), paths=paths
    )
    prompter = ConditioningEncoder(brain, sizes)
    prompter.empty_text.copy_(text)
    prompter.centre.copy_(torch.from_numpy(contract.patches.centre))
    return prompter


def write_folder(
    folder: Path, learned: Arrays, *, prompter: ConditioningEncoder, contract: VoxelContract, card: Mapping[str, Any]
) -> None:
    """Write what a `DoublyConditioned` has learned ("unet." and "prompter." arrays, any shape); the card comes last."""
    facts = {"brain": asdict(prompter.brain.settings), "sizes": asdict(prompter.sizes)}
    write_tensors(folder / WEIGHTS, _within(learned, "prompter."), kind=FAMILY, card=facts)
    write_json(folder / CONFIG, facts)
    write_tensors(folder / CHANGED, _within(learned, "unet."), kind=FAMILY, card={"stack": card["stack"]})
    contract.save(folder / VOXELS)
    write_json(folder / CARD, {"family": FAMILY, **card})


def read_conditioning_encoder(folder: Path) -> ConditioningEncoder:
    """The conditioning encoder of a folder, ready to read; one that does not fit its sizes is an InputError."""
    tensors, facts = read_tensors(folder / WEIGHTS, kind=FAMILY)
    prompter = ConditioningEncoder(masked_of(facts, where=folder / WEIGHTS, key="brain"), PromptSizes(**facts["sizes"]))
    _load(prompter, tensors, path=folder / WEIGHTS)
    return prompter.eval()


def _change(unet: nn.Module, path: Path) -> None:
    tensors, _ = read_tensors(path, kind=FAMILY)
    _load(unet, tensors, path=path)


def _load(network: nn.Module, tensors: Arrays, *, path: Path) -> None:
    """Put these arrays into the network; what it does not have, or in another shape, is an InputError."""
    state = {name: torch.from_numpy(one) for name, one in tensors.items()}
    try:
        strange = network.load_state_dict(state, strict=False).unexpected_keys
    except RuntimeError as error:
        raise InputError(expected(path, "weights of this network", "others", "train again")) from error
    if strange:
        raise InputError(expected(path, "weights of this network", strange[0], "train again"))


def _within(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)}


def _parts_of(base: LatentTextPipeline) -> dict[str, Any]:
    """The base stack's own components, those it leaves out among them as None."""
    return {name: getattr(base, name, None) for name in (*PARTS, "safety_checker", "feature_extractor")}
