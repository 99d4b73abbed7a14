"""What synthesis in a run stands on, each made once: towers, encoders, natural pictures, the simulated cortex."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from brain.data.averages import average_repeats
from brain.data.reliability import estimate_ncsnr
from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.files.pictures import open_image
from brain.types import Float, Recording, Region, Responses, Split
from brain.writing.origin import MARKER
from decode.run.folder import RunFolder
from decode.run.patterns import folds_of
from decode.run.seeds import sample_seed
from decode.run.settings import Settings
from decode.run.showing import shown
from decode.stages.draw.steps import Step, Tell
from decode.stages.synthesize.methods import RANDOM
from decode.stages.synthesize.objectives import ObjectiveTerm, SynthesisRequest
from encoders.patterns import standardised
from encoders.spaces.openclip_image import CONFIG as OPENCLIP
from encoders.towers import CATALOGUE as TOWERS
from encoders.towers import Tower
from encoders.voxelwise.model import (
    FLOOR,
    Fitting,
    Objective,
    Readout,
    Voxelwise,
    features_of,
    fit_voxelwise,
    mean_of,
    objective,
    unit,
)
from pipelines.previews import small_decoder
from pipelines.stacks.parts import part_of
from pipelines.synthesis import Natural, SynthesisContext, SynthesisSettings

if TYPE_CHECKING:
    from torch import Tensor

GUIDE, SECOND, TRUTH = "guide", "second", "truth"
CLIP, SECOND_TOWER = "clip", "eye"
REPORT_EVERY = 10
"""Natural pictures that are looked at from one telling to the next."""
BATCH = 50
"""Pictures that the simulated cortex watches together."""


@dataclass(frozen=True)
class FittedRun:
    """A fitted run with what synthesis needs of it: encoders, natural pictures, the truth where there is one.

    `terms` is what may stand in signs beside regions. Encoders that the run does not hold yet are kept in `keep`, in
    the
    run itself where that is None.
    """

    run: RunFolder
    recording: Recording
    settings: Settings
    terms: tuple[ObjectiveTerm, ...] = ()
    keep: Path | None = None

    def __post_init__(self) -> None:
        if self.recording.stimuli.modality != "image":
            raise InputError(f"{self.run.path}: expected a run on images, found {self.recording.stimuli.modality}")

    @cached_property
    def fold(self) -> Split:
        """The run's split; several folds are an InputError."""
        folds = folds_of(self.recording, self.settings.data.split, self.run)
        if len(folds) > 1:
            raise InputError(
                f"{self.run.path}: expected a run of one split, found {len(folds)} folds; fit one with --split"
            )
        return folds[0]

    @cached_property
    def stack(self) -> Any:
        """The stack that the run was fitted on; a run without one is a UsageError."""
        from pipelines.stacks.find import resolve

        if not self.settings.maps.stack:
            raise UsageError(f"{self.run.path}: this run has no stack to draw with; fit one with --stack")
        return resolve(self.settings.maps.stack)

    @cached_property
    def towers(self) -> dict[str, Tower]:
        """The towers that guide, CLIP and the stack's second one if it has one, and the network that never does."""
        import importlib.resources

        bundled = Path(str(importlib.resources.files("evaluation.judges").joinpath("miniature")))
        device = self.settings.machine.device
        found = {}
        if "image_encoder" in self.stack.components:
            found[CLIP] = TOWERS["clip-image"].open(self.stack.path, model=self.stack.model, device=device)
        eye = part_of(self.stack, SECOND_TOWER)
        if eye is not None:
            kind = "openclip-image" if (eye / OPENCLIP).is_file() else "classifier"
            found[SECOND_TOWER] = TOWERS[kind].open(eye, model=self.stack.model, device=device)
        if not found:
            raise CheckpointAbsent(
                f"stack {self.stack.model}: expected a tower that guides, found none; get one with: afterimage stacks "
                "fetch openclip-b16"
            )
        return {**found, SECOND: TOWERS["classifier"].open(bundled, model="miniature", device=device)}

    @property
    def guides(self) -> tuple[str, ...]:
        """The towers that guide."""
        return tuple(name for name in self.towers if name != SECOND)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Every natural picture: training stimuli, then test stimuli."""
        return (*self.fold.train, *self.fold.test)

    @cached_property
    def features(self) -> dict[str, Float]:
        """Tower -> features (natural picture, feature), as the networks give them."""
        return self._features(None)

    def prepare(self, tell: Tell) -> None:
        """Looks at the natural pictures now and tells of each, unless that is done."""
        if "features" not in self.__dict__:
            self.__dict__["features"] = self._features(tell)

    def _features(self, tell: Tell | None) -> dict[str, Float]:
        found, total = dict[str, Float](), len(self.towers) * len(self.ids)

        for number, (which, tower) in enumerate(self.towers.items()):
            stream = self._naturals(tell, "natural pictures, features", before=number * len(self.ids), total=total)
            found[which] = features_of(tower, stream, count=len(self.ids), say=f"natural pictures, {which}")
        return found

    def _naturals(self, tell: Tell | None, what: str, *, before: int, total: int) -> Iterator[Any]:
        """The pixels of every natural picture, telling of every few that have been taken."""
        # opened before the first is taken: weights that are loaded in inference mode could carry no gradient ever after
        self.pipeline  # noqa: B018
        return self._counted(tell, what, before=before, total=total)

    def _counted(self, tell: Tell | None, what: str, *, before: int, total: int) -> Iterator[Any]:
        for number, one in enumerate(self.ids, start=1):
            yield self.natural_pixels(one)
            if tell is not None and number % REPORT_EVERY == 0:
                tell(Step(what=what, step=before + number, steps=total))

    @cached_property
    def _natural(self) -> dict[tuple[str, ...], dict[str, Float]]:
        return {}

    def natural_responses(self, asked: Mapping[str, Readout], *, tell: Tell | None = None) -> dict[str, Float]:
        """Scorer -> (picture, readout) what natural pictures evoke, from the features that are there already."""
        if tuple(asked) not in self._natural:
            stream = self._naturals(tell, "natural pictures, responses", before=0, total=len(self.ids))
            self._natural[tuple(asked)] = self._evoked(self.features, stream, asked)
        return self._natural[tuple(asked)]

    def natural_pixels(self, one: str) -> Any:
        """One natural picture (height, width, 3) uint8, at the size of the stack."""
        return np.asarray(shown(self.recording.stimuli, one, self.size), np.uint8)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) at which natural pictures are seen: the stack's own."""
        return self.pipeline.picture_size  # type: ignore[no-any-return]

    @cached_property
    def pipeline(self) -> Any:
        """The pipeline of the stack, opened in float32."""
        from pipelines.generators import of_pictures

        entry, device = of_pictures(self.stack), self.settings.machine.device
        return entry.open(self.stack, device=device, dtype="float32").pipeline

    @cached_property
    def trials(self) -> tuple[Responses, Responses]:
        """Training and test trials, z-scored by training trials."""
        responses, fold = self.recording.responses, self.fold
        training, scaler = standardised(responses, fold.train)
        return training, scaler.apply(responses.trials(responses.of(fold.test)))

    @cached_property
    def fitting(self) -> Fitting:
        """Training and test patterns, averaged over repeats."""
        training, z = self.trials
        train, test = average_repeats(training), average_repeats(z)
        regions = {region.name: np.flatnonzero(region.mask) for region in self.recording.regions}
        return Fitting(
            responses=train.values, ids=train.ids, test=test.values, test_ids=test.ids, regions=regions,
            split=self.fold.sha256,
            ceiling={name: self._ceiling(mean_of(columns)) for name, columns in regions.items()},
        )  # fmt: skip

    def _ceiling(self, asked: Readout) -> float:
        """The noise ceiling, as R2, of what is asked averaged over repeats; NaN where nothing repeats."""
        z = self.trials[1]
        alone = replace(z, values=asked(z.values)[:, None], space=z.space.take(np.array([0])))
        try:
            squared = float(estimate_ncsnr(alone)[0]) ** 2
        except InputError:
            return float("nan")
        return squared / (squared + 1 / float(average_repeats(alone).repeats.mean()))

    @cached_property
    def asked(self) -> dict[str, Readout]:
        """Name -> read-out of what is asked beside regions."""
        return {term.name: term.readout(self.recording, self.fitting) for term in self.terms}

    def readout(self, name: str) -> Readout:
        """What is asked under this name, a region's mean where it is a region's."""
        return self.asked[name] if name in self.asked else mean_of(self.fitting.regions[name])

    def held_out(self, which: str) -> Float:
        """Unit-norm features (test stimulus, feature) of that tower."""
        place = {one: row for row, one in enumerate(self.ids)}
        return unit(self.features[which][[place[one] for one in self.fitting.test_ids]])

    def encoder(self, which: str) -> Voxelwise:
        """The encoder on that tower, which knows regions and what is asked beside."""
        found = self._of_regions(which)
        for name, asked in self.asked.items():
            found = found.asking(
                name, asked, features=self.held_out(which), test=self.fitting.test, ceiling=self._ceiling(asked)
            )
        return found

    def _of_regions(self, which: str) -> Voxelwise:
        """The encoder on that tower, fitted or found in RUN/encoders."""
        tower, own = self.towers[which], self.run.path / "encoders"
        for folder in (own, self.keep or own):
            path = folder / f"{which}.safetensors"
            if path.is_file():
                found = Voxelwise.load(path)
                if dict(found.tower) == tower.facts() and found.split == self.fold.sha256:
                    return found
        place = {one: row for row, one in enumerate(self.ids)}
        rows = [place[one] for one in self.fitting.ids]
        found = fit_voxelwise(
            tower, unit(self.features[which][rows]), self.held_out(which), data=self.fitting,
            seed=self.settings.machine.seed,
        )  # fmt: skip
        found.save(path)
        return found

    def context(
        self, request: SynthesisRequest, how: SynthesisSettings, *, random: bool, seed: int = 0
    ) -> SynthesisContext:
        """The synthesis context for this objective or for as many voxels drawn at `random` from all others.

        seed  of that draw
        """
        parts: list[tuple[Tower, Tensor, float]] = []
        worth, direction = np.zeros(len(self.ids), np.float64), None
        for which in self.guides:
            encoder, signs = self.encoder(which), request.signs
            for term in self.terms:
                term.must_be_known(
                    encoder, features=self.held_out(which), fitting=self.fitting, space=self.recording.responses.space
                )
            if random:
                encoder, signs = self._random(encoder, signs, seed=seed), {RANDOM: 1.0}
            vector, bias = encoder.linear(signs)
            alone = unit(self.features[which]) @ vector + np.float32(bias)
            # each tower counts in its own spread over natural pictures, so that none drowns the other
            goal = objective([(self.towers[which], encoder)], signs, floor=-np.inf if random else FLOOR)
            parts += goal.over(float(alone.std())).parts
            worth += alone / alone.std() / len(self.guides)
            if which == CLIP:
                direction = vector
        natural = Natural(
            ids=self.ids,
            open=lambda one: shown(self.recording.stimuli, one, self.size),
            embeddings=self.features[self.guides[0]],
            worth=np.asarray(worth, np.float32),
        )
        reference = None
        if request.reference is not None:
            reference = open_image(request.reference)
        return SynthesisContext(
            pipeline=self.pipeline, objective=Objective(name=goal.name, parts=tuple(parts)),
            direction=direction, tiny=self.tiny, natural=natural, settings=how,
            batches=self.pipeline.batches(), reference=reference,
        )  # fmt: skip

    def _random(self, guide: Voxelwise, signs: Mapping[str, float], *, seed: int) -> Voxelwise:
        """The encoder with one region of its own: random voxels outside of the objective's, as many as these."""
        named = np.concatenate([guide.readout(name).columns for name in signs])
        others = np.setdiff1d(np.arange(len(guide.bias)), named)
        rng = np.random.default_rng(sample_seed(seed, RANDOM, 0))
        drawn = np.sort(rng.choice(others, size=min(len(named), len(others)), replace=False))
        return replace(guide, regions={**guide.regions, RANDOM: drawn}, r2={**guide.r2, RANDOM: 1.0})

    @cached_property
    def tiny(self) -> Any:
        """The stack's small decoder, None where it has none."""
        return small_decoder(self.stack, device=self.settings.machine.device)

    def responses(self, pictures: Sequence[Image.Image], asked: Mapping[str, Readout]) -> dict[str, Float]:
        """Scorer -> (picture, readout) what these pictures evoke, regions' means among it."""
        pixels = [np.asarray(picture.convert("RGB"), np.uint8) for picture in pictures]
        features = {
            which: features_of(tower, pixels, count=len(pixels), say=f"scoring, {which}")
            for which, tower in self.towers.items()
        }
        return self._evoked(features, pixels, asked)

    def _evoked(
        self, features: Mapping[str, Float], pixels: Iterable[Any], asked: Mapping[str, Readout]
    ) -> dict[str, Float]:
        """Scorer -> (picture, asked) of pictures (H, W, 3) uint8 whose features are known."""
        found = {which: _read(self.encoder(which).predict(unit(one)), asked) for which, one in features.items()}
        guided = np.mean([found.pop(which) for which in self.guides], axis=0, dtype=np.float32)
        found = {GUIDE: np.asarray(guided), SECOND: found[SECOND]}
        if self.cortex is not None:
            found[TRUTH] = _read(_watched(self.cortex, pixels), asked)
        return found

    @cached_property
    def cortex(self) -> Any:
        """The simulated cortex behind simulated data, None behind others."""
        # a packed file is of a simulated brain too, and its cortex is not at hand
        if not (Path(self.recording.source) / MARKER).is_file():
            return None
        from brain.simulated.simulate import truth_of

        return truth_of(Path(self.recording.source), self.recording.responses.space.subject)

    def facts(self, request: SynthesisRequest, methods: Mapping[str, Any]) -> dict[str, Any]:
        """What the report has to know: regions, encoders' accuracy, trajectories and costs."""
        encoders = {which: self.encoder(which) for which in self.towers}
        return {
            "signs": dict(request.signs),
            "decoder in the loop": "full" if self.tiny is None else "tiny_vae",
            "subject": self.recording.responses.space.subject,
            "regions": [region.name for region in self.shown()],
            "encoders": {
                which: {
                    "tower": dict(one.tower),
                    "r2": {region: one.r2[region] for region in request.signs},
                    "r2 over ceiling": {region: one.normalised(region) for region in request.signs},
                }
                for which, one in encoders.items()
            },
            "ways": dict(methods),
        }

    def shown(self) -> tuple[Region, ...]:
        """The regions that the report shows, in the order of the data."""
        from decode.stages.fit.regions import shown_regions

        request = {region.name for region in shown_regions(self.recording)}
        return tuple(region for region in self.recording.regions if region.name in request)


def _read(responses: Float, asked: Mapping[str, Readout]) -> Float:
    return np.stack([one(responses) for one in asked.values()], 1)


def _watched(cortex: Any, pixels: Iterable[Any]) -> Float:
    import torch

    found, stream = [], iter(pixels)
    with torch.inference_mode():
        while batch := list(islice(stream, BATCH)):
            stack = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float() / 255
            found.append(np.asarray(cortex(stack).numpy(), np.float32))
    return np.concatenate(found)
