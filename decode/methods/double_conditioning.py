"""Double conditioning (Chen et al. 2023, MinD-Vis): the run's stack is fine-tuned to draw from voxels themselves.

RUN/learned/mindvis/masked      the brain encoder's pretraining, unless an encoder was given
RUN/learned/mindvis/card.json   written last: what was learned, as `pipelines.finetune` leaves it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from brain.console.bounds import within
from brain.errors import InputError, UsageError, expected
from brain.types import Recording, Split
from decode.methods import Decoder, Plain, Take
from decode.methods._parts.generated import check_levels, decoder_of
from decode.run.folder import RunFolder
from decode.run.settings import EVERY, Settings, alone, fitting
from encoders.conditions import Conditions
from encoders.storage import read_json
from evaluation.samples.rows import RowCard
from pipelines.drawing import Generator
from pipelines.settings import FinetuneSettings, Sampling
from pipelines.stacks.find import resolve

NAME = "mindvis"
RATE = 1e-4
FACTS = ("stack", "paths", "brain", "encoder_sha256", "ridge_r2", "at_start", "done")
"""What the run's own card says of the fine-tuning."""
HELD_OUT = 1
"""Sessions that validate the pretraining."""


@dataclass(frozen=True, kw_only=True)
class DoubleConditioningSettings(Sampling):
    """What the stack is fine-tuned on and how, and how it draws."""

    voxels: tuple[str, ...] = fitting(("nsdgeneral",))
    """Regions whose voxels it is fine-tuned on; * for every voxel."""
    paths: Literal["cross", "time", "both"] = fitting("both")
    """Into the UNet's cross-attention, its time embedding, or both."""
    start: Literal["ridge", "silent"] = fitting("ridge")
    """Initialise from a ridge to the stack's conditions, or at zero."""
    encoder: str = fitting("", place=True)
    """File of `encoders.pretrain`; empty pretrains on the run's trials."""
    masked_steps: int = fitting(1500)
    """Steps of that masked pretraining; 0 starts from random weights."""
    tune_steps: int = fitting(1000)
    """Steps of fine-tuning; patience is three tenths of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("--masked-steps", self.masked_steps, 0)
        within("--tune-steps", self.tune_steps, 1)
        if not self.voxels:
            raise UsageError(
                expected("--voxels", "regions to fine-tune on", "none", "add --voxels nsdgeneral, or * for all")
            )
        if "*" in self.voxels:
            alone(self.voxels, flag="--voxels", written="--voxels '*'")


@dataclass(frozen=True, kw_only=True)
class DoubleConditioning(Plain):
    """The method; it reads no maps."""

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    def check(self, settings: Settings, own: DoubleConditioningSettings) -> None:
        """Refuses an encoder that is not there (InputError), and more steps than the stack has noise levels."""
        if own.encoder and not Path(own.encoder).is_file():
            then = "pretrain one, or leave --encoder out"
            raise InputError(expected(own.encoder, "a masked encoder", "nothing there", then))
        check_levels(own, resolve(settings.maps.stack, numbers=False))

    def regions(self, own: DoubleConditioningSettings) -> Mapping[str, tuple[str, ...]]:
        """Those it is fine-tuned on."""
        return {"--voxels": own.voxels}

    def learn(
        self, run: RunFolder, recording: Recording, fold: Split, settings: Settings, own: DoubleConditioningSettings
    ) -> dict[str, Any]:
        """Fine-tunes the run's stack on the training trials of `fold`, or finds it done."""
        from pipelines.conditioning.finetuning import finetune_recording
        from pipelines.conditioning.pipeline import CARD, FAMILY

        home = run.learned(NAME)
        card = home / CARD
        if not card.is_file():
            encoder = own.encoder
            if not encoder and own.masked_steps:
                encoder = str(_pretrained(home, recording, fold, settings, own))
            how = _finetuning(own, settings, encoder=encoder)
            finetune_recording(recording, home, how, split=fold)
        facts = read_json(card, kind=FAMILY)
        return {str(card.relative_to(run.path)): {name: facts[name] for name in FACTS}}

    def patterns(self, run: RunFolder, recording: Recording, *, stimuli: set[str], take: Take) -> Conditions:
        """z-scores of the run's voxels for these test stimuli, repeats averaged."""
        from encoders.masked.patched import VoxelContract
        from pipelines.conditioning.generator import voxel_conditions
        from pipelines.conditioning.pipeline import VOXELS

        path = run.learned(NAME) / VOXELS
        if not path.is_file():
            then = "fit a run with this method, such as by --recipe mindvis-miniature"
            raise InputError(expected(run.learned(NAME), "a fine-tuned stack", "none", then))
        trials = recording.responses.trials(recording.responses.of(stimuli))
        return voxel_conditions(VoxelContract.load(path), take(trials))

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> Generator:
        """The run's stack with what it has learned."""
        from pipelines.conditioning.generator import open_conditioned

        stack, machine = resolve(settings.maps.stack), settings.machine
        return open_conditioned(
            run.learned(NAME), stack, name=NAME, device=machine.device, dtype=settings.sampling.dtype
        )

    def decoder(self, opened: Generator, settings: Settings, own: Any, *, seconds: float) -> Decoder:
        """The fine-tuned stack as these settings let it draw."""
        maps = {space: space for space in opened.cards}
        return decoder_of(opened, self.name, settings, own, maps=maps, seconds=seconds)


def _finetuning(own: DoubleConditioningSettings, settings: Settings, *, encoder: str) -> FinetuneSettings:
    from encoders.settings import Plan

    often = max(1, own.tune_steps // 10)
    plan = Plan(
        steps=own.tune_steps, rate=RATE, warm=often, validate=often, patience=3, seed=settings.machine.seed
    )  # fmt: skip
    return FinetuneSettings(
        stack=settings.maps.stack, encoder=encoder, regions=() if own.voxels == EVERY else own.voxels,
        paths=own.paths, start=own.start, model=_model(), plan=plan,
    )  # fmt: skip


def _model() -> Any:
    """Sizes that a processor trains in minutes; an encoder of other sizes is pretrained apart and given."""
    from encoders.settings import MaskedSettings

    return MaskedSettings(patch=32, width=128, depth=3, mlp=2.0, decoder_width=64)


def _pretrained(
    home: Path, recording: Recording, fold: Split, settings: Settings, own: DoubleConditioningSettings
) -> Path:
    """The masked encoder of this run, trained on the fold's training trials and the data's unlabelled ones."""
    from decode.run.patterns import columns_of
    from encoders.masked.pretraining import pretrain_sets
    from encoders.masked.trials import read_unlabelled, training_trials
    from encoders.settings import Plan, PretrainSettings
    from encoders.training import WEIGHTS
    from pipelines.conditioning.pipeline import CARD

    folder = home / "masked"
    if not (folder / CARD).is_file():
        trials = training_trials(
            recording,
            patch=_model().patch,
            held_out=HELD_OUT,
            split=fold,
            columns=columns_of(recording, own.voxels),
            unlabelled=read_unlabelled(Path(recording.source), recording),
        )
        plan = Plan(steps=own.masked_steps, warm=min(100, own.masked_steps), patience=0, seed=settings.machine.seed)
        pretrain_sets([trials], folder, PretrainSettings(model=_model(), plan=plan))
    return folder / WEIGHTS


ENTRIES = (
    DoubleConditioning(
        name=NAME,
        title="Double conditioning",
        description="the stack itself is fine-tuned to draw from voxels, which masked brain modelling encodes",
        citation="Chen et al., CVPR 2023 (MinD-Vis)",
        settings=DoubleConditioningSettings(),
        trains=True,
        lacks={"oracle": "it draws from voxels, which have no true conditions"},
        rows=(
            RowCard(
                name="mindvis",
                title="Double conditioning",
                description="the same responses by a stack that was fine-tuned on them",
                order=13,
            ),
        ),
    ),
)
