"""A doubly conditioned stack as a generator: z-scores of voxels are its conditions, space "voxels".

    generator = open_conditioned(folder, stack, name="mindvis", device="cpu", dtype="float32")
    generator({"voxels": voxel_conditions(contract, responses)}, ids, seeds, settings=Sampling())

It has no entry in the catalogue of generators, for it draws from nothing that a mapping decodes, and it is opened from
the folder of a fine-tuning beside its stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.data.averages import average_repeats
from brain.types import Responses
from encoders.conditions import Conditions, SpaceCard
from encoders.masked.patched import VoxelContract
from pipelines.drawing import Generator, number_type
from pipelines.images.base import Drawing
from pipelines.settings import Sampling
from pipelines.stacks.folder import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks

SPACE = "voxels"


def open_conditioned(folder: Path, stack: StackFolder, *, name: str, device: str, dtype: str) -> Generator:
    """The base stack with what `folder` has learned, as `pipelines.finetune` wrote it; another stack: `InputError`."""
    from pipelines.conditioning.pipeline import BrainConditionedPipeline

    pipeline = BrainConditionedPipeline.from_folder(
        folder, stack=stack, device=device, dtype=number_type(device=device, dtype=dtype)
    )
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.contract is not None  # from_folder bound it
    return Generator(
        name=name, pipeline=pipeline, cards={SPACE: voxel_card(pipeline.contract)}, optional={}, draw=_draw
    )


def voxel_card(contract: VoxelContract) -> SpaceCard:
    """The space of these voxels' z-scores: conditions of other voxels, or in another order, do not match it."""
    return SpaceCard(
        name=SPACE,
        model=contract.voxels.subject,
        revision=contract.voxels.sha256,
        layer=contract.voxels.betas,
        normalisation="z",
        shape=(len(contract.voxels),),
    )


def voxel_conditions(contract: VoxelContract, responses: Responses) -> Conditions:
    """Single trials -> one pattern a stimulus, repeats averaged, as conditions of this space."""
    averaged = average_repeats(contract.own(responses))
    return Conditions(space=voxel_card(contract), values=averaged.values, ids=averaged.ids)


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: Sampling,
    batches: MicroBatches,
    hooks: Hooks,
) -> Drawing:
    return pipeline(  # type: ignore[no-any-return]
        values[SPACE],
        seeds=seeds,
        steps=settings.steps,
        guidance_scale=settings.guidance,
        eta=settings.eta,
        scheduler=settings.scheduler,
        batches=batches,
        hooks=hooks,
    )
