"""Synthesize: pictures that a region of the fitted subject's brain wants to see, RUN/synthesis/OBJECTIVE.

Voxelwise encoders are fitted on the run's training trials: on the stack's CLIP tower and, where the stack has one, on
its second tower, which guide together; and on another network, which never guides and gives a second opinion. In
simulated data the cortex itself is asked as well.
Pictures lie as samples, a row a way; `evaluation/synthesis.py` makes the report from what lies there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.arithmetic import arithmetic
from brain.averages import average_repeats
from brain.catalogue import unknown
from brain.errors import CheckpointAbsent, InputError, UsageError, expected
from brain.leaks import content_sha256
from brain.origin import MARKER
from brain.pictures import open_image
from brain.progress import progress
from brain.reliability import estimate_ncsnr
from brain.types import Float, Recording, Region, Responses, Split
from brain.writing import free_targets
from decode.beside import beside, must_be_beside
from decode.checks import accept, own_data
from decode.fit import standardised
from decode.patterns import folds_of
from decode.run_folder import RunFolder
from decode.seeds import sample_seed
from decode.settings import Settings
from decode.showing import shown
from decode.steps import Step, Tell
from decode.wishes import Ask, Wanted
from encoders.spaces.openclip_image import CONFIG as OPENCLIP
from encoders.storage import write_json, write_tensors
from encoders.towers import CATALOGUE as TOWERS
from encoders.towers import Tower
from encoders.voxelwise import (
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
from evaluation.regions import read_json
from evaluation.samples import SampleWriter, inside, read_rows
from evaluation.synthesis import FOLDER, KIND, RESPONSES, Synthesis, judge_synthesis, report_synthesis
from pipelines.base import pictures_of
from pipelines.parts import part_of
from pipelines.previews import small_decoder
from pipelines.synthesis import CATALOGUE, Natural, Sight, Studio, SynthesisSettings

CLIP, EYE = "clip", "eye"
GUIDE, SECOND, TRUTH = "guide", "second", "truth"
RANDOM = "random-region"
"""The control: the way "guided" on as many voxels as were wanted, drawn from all others."""
RANKED = "retrieval"
"""The way whose pictures are the first of one ranking, so that none can be made without those before it."""
FEW = 10
"""Natural pictures that are looked at from one telling to the next."""
BATCH = 50
"""Pictures that the simulated cortex watches together."""


def ways_of(names: Sequence[str]) -> tuple[str, ...]:
    """The ways by these names, "all" being every one; an unknown name is a UsageError."""
    known = (*CATALOGUE.names(), RANDOM)
    for name in names:
        if name not in (*known, "all"):
            raise UsageError(unknown("way to synthesize", name, known))
    return known if "all" in names else tuple(dict.fromkeys(names))


def row_of(way: str) -> str:
    """The row a way's pictures make."""
    return way.replace("-", "_")


def synthesize(
    out: Path, settings: Settings, data: Path, *, wanted: Wanted, how: SynthesisSettings, to: Path | None = None
) -> Path:
    """Makes what is missing, in the run or in the folder `to` beside it, and returns the path of the report's page.

    A run that is not fitted, or a region that the encoders do not know, is an InputError, an unknown name a UsageError.
    """
    run, seed = RunFolder(out), settings.machine.seed
    if to is not None:
        _must_be_fitted(run)
        _must_be_beside(run, to, wanted=wanted, how=how, seed=seed)
        # encoders belong to the run and its seed, whatever seed is asked for pictures
        own = replace(settings, machine=replace(settings.machine, seed=run.stored()[0].machine.seed))
        recording = own_data(run, data, settings.fit)
        lab = Lab(run=run, recording=recording, settings=own, asks=wanted.asks, keep=to / "encoders")
        synthesize_beside(lab, to=to, wanted=wanted, how=how, seed=seed)
        return report_synthesis(to, seed=seed)
    with run.lock():
        _must_be_fitted(run)
        accept(run, settings, data, ())
        home = run.path / FOLDER / wanted.name
        asked = _asked(wanted, how)
        _must_be_the_same(home, asked)  # before the minute that natural pictures take
        lab = Lab(run=run, recording=own_data(run, data, settings.fit), settings=settings, asks=wanted.asks)
        _must_be_known(lab, wanted)
        lab.studio(wanted, how, random=False)  # an unknowable region is said before anything is written
        run.add_arithmetic("synthesize", arithmetic(settings.machine.device), begun=(run.path / FOLDER).is_dir())
        _into(home, lab, wanted=wanted, how=how, seed=seed)
        return report_synthesis(home, seed=seed)


def synthesize_beside(
    lab: Lab, *, to: Path, wanted: Wanted, how: SynthesisSettings, seed: int, tell: Tell | None = None
) -> Synthesis:
    """Makes what is missing in the folder `to` instead of the run's own, which is only read, and judges it.

    tell  told every natural picture that is looked at, and every step that a way takes, with previews and the
          objective in standard deviations over natural pictures; what it raises ends the work
    Pictures of other settings in `to`, and what `synthesize` refuses, are refused before anything is written.
    """
    _must_be_fitted(lab.run)
    more = _must_be_beside(lab.run, to, wanted=wanted, how=how, seed=seed)
    _must_be_known(lab, wanted)
    if tell is not None:
        lab.prepare(tell)
    with beside(to) as sink, sink.lock():
        lab.studio(wanted, how, random=False)
        if tell is not None:
            lab.natural_responses(_readouts(lab, wanted.signs), tell=tell)
        _into(to, lab, wanted=wanted, how=how, seed=seed, tell=tell, more=more)
    return judge_synthesis(to, seed=seed)


def _must_be_beside(
    run: RunFolder, to: Path, *, wanted: Wanted, how: SynthesisSettings, seed: int
) -> dict[str, Any]:
    """Refuses a folder that is not beside the run or holds other pictures; returns what tells them from others."""
    must_be_beside(run, to)
    more = {"seed": seed, "signs": dict(wanted.signs)}
    _must_be_the_same(to, {**_asked(wanted, how), **more})
    return more


def _must_be_known(lab: Lab, wanted: Wanted) -> None:
    """Refuses (UsageError) a region that the data have not, before a tower is opened."""
    for name in wanted.signs:
        if name not in {ask.name for ask in lab.asks}:
            lab.recording.region(name)


def _must_be_fitted(run: RunFolder) -> None:
    if not run.card_facts().get("fitted"):
        raise InputError(f"{run.path}: expected a fitted run, found one that is not; run `afterimage fit` first")


def _into(
    home: Path,
    lab: Lab,
    *,
    wanted: Wanted,
    how: SynthesisSettings,
    seed: int,
    tell: Tell | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Makes what is missing in `home`, and what every scorer says of all that is there."""
    asked = {**_asked(wanted, how), **(more or {})}
    facts = _stored(home)
    write_json(home / "synthesis.json", {**read_json(home / "synthesis.json"), "asked": asked})
    with SampleWriter(home / "samples", simulated=lab.recording.simulated) as writer:
        for way in wanted.ways:
            studio = lab.studio(wanted, how, random=way == RANDOM, seed=seed)
            if tell is not None:
                studio = replace(studio, watch=_told(studio, way, tell))
            known = facts.setdefault(row_of(way), {})
            for _ in _make(way, studio, writer, wanted=wanted, seed=seed, known=known):
                # with every picture, for a course is told once: no later call could find it again
                write_json(home / "synthesis.json", {**read_json(home / "synthesis.json"), "ways": facts})
            if tell is None and known.get("courses") and "flops" not in known:
                known["flops"] = flops_of(way, studio, sample_seed(seed, wanted.name, 0))
            write_json(home / "synthesis.json", {**lab.facts(wanted, facts), "asked": asked})
    pictures: dict[str, list[Image.Image]] = {}
    for sample in read_rows(home / "samples"):
        pictures.setdefault(sample.row, []).append(open_image(inside(home / "samples", sample.file)))
    _keep_responses(home, lab, pictures, signs=wanted.signs)


def _told(studio: Studio, way: str, tell: Tell) -> Callable[[Sight], None]:
    """What tells of a way's steps: how the pictures look now and what the guiding encoders make of them."""

    def watch(sight: Sight) -> None:
        if sight.latents is None:
            tell(Step(what=way, step=sight.step, steps=sight.steps))
            return
        pixels = studio.seen(sight.latents)
        tell(
            Step(
                what=way, step=sight.step + 1, steps=sight.steps, previews=tuple(pictures_of(pixels)),
                values=tuple(studio.judged(pixels)),
            )
        )  # fmt: skip

    return watch


def _asked(wanted: Wanted, how: SynthesisSettings) -> dict[str, Any]:
    """What decides a picture besides its way and seed, as JSON."""
    return {
        **asdict(how),
        "reference": "" if wanted.reference is None else content_sha256(open_image(wanted.reference)),
        "asks": [ask.digest for ask in wanted.asks],
    }


def _must_be_the_same(home: Path, asked: Mapping[str, Any]) -> None:
    """Refuses to put pictures of other settings beside those that are there, and a place where no report can be."""
    free_targets(home, ("synthesis.json", RESPONSES, "report.json", "report.html"))
    for key, value in _noted(home, "asked").items():
        if asked.get(key) != value:
            raise UsageError(
                f"{home}: these pictures were made with {key} {value!r} and are now asked for {asked.get(key)!r}; "
                "ask for the same, or move the folder away"
            )


def name(number: int) -> str:
    """The name of a picture: "p000"."""
    return f"p{number:03d}"


def _make(
    way: str, studio: Studio, writer: SampleWriter, *, wanted: Wanted, seed: int, known: dict[str, Any]
) -> Iterator[None]:
    """Makes the missing pictures of one way, a few at a time.

    known  what is known of the way: courses by picture, seconds a picture. It is brought up to date, and one thing is
           yielded, before each picture is stored, so that no picture lies there without its course.
    """
    row = row_of(way)
    seeds = [sample_seed(seed, wanted.name, number) for number in range(wanted.count)]
    missing = [number for number in range(wanted.count) if writer.done(row, name(number)) is None]
    courses = known.setdefault("courses", {})
    # retrieval ranks: a picture's number is its rank, whatever is there already
    some_of = [list(range(wanted.count))] if way == RANKED and missing else _parts(missing, studio.lanes.batch)
    spent = known.get("seconds", 0.0) * len(courses)
    began = time.perf_counter()
    with progress(total=len(missing), desc=way, unit="picture") as bar:
        for some in some_of:
            made = _way(way).make(studio, [seeds[number] for number in some])
            for number, one in zip(some, made, strict=True):
                if number not in missing:
                    continue
                courses[name(number)] = list(one.course)
                known["seconds"] = (spent + time.perf_counter() - began) / len(courses)
                yield
                writer.write(
                    one.image.convert("RGB"), row=row, stimulus=name(number), index=0, seed=one.seed, method=way,
                    candidates=one.candidates,
                )  # fmt: skip
                bar.update()


def _parts(numbers: Sequence[int], size: int) -> list[list[int]]:
    """The numbers in their order, at most `size` together."""
    step = max(1, size)
    return [list(numbers[first : first + step]) for first in range(0, len(numbers), step)]


def _way(name: str) -> Any:
    return CATALOGUE["guided" if name == RANDOM else name]


def flops_of(way: str, studio: Studio, seed: int) -> float:
    """Floating-point operations of one picture of that way, counted on one picture in this thread."""
    from torch.utils.flop_counter import FlopCounterMode

    from pipelines.lanes import Lanes

    alone = replace(studio, lanes=Lanes(width=1, threads=0))
    with FlopCounterMode(display=False) as counter:
        list(_way(way).make(alone, [seed]))
    return float(counter.get_total_flops())


def _stored(home: Path) -> dict[str, Any]:
    """Row -> what is known of ways that were run before."""
    return _noted(home, "ways")


def _noted(home: Path, part: str) -> dict[str, Any]:
    """A part of synthesis.json, {} where there is none; one of another form is an InputError."""
    found = read_json(home / "synthesis.json").get(part, {})
    if not isinstance(found, dict):
        then = "put the file back, or move the folder away"
        raise InputError(expected(home / "synthesis.json", f"facts under {part!r}", "another value", then))
    return found


@dataclass(frozen=True)
class Lab:
    """A fitted run with what synthesis needs of it: encoders, natural pictures, the truth where there is one.

    `asks` is what may stand in signs beside regions. Encoders that the run does not hold yet are kept in `keep`, in the
    run itself where that is None.
    """

    run: RunFolder
    recording: Recording
    settings: Settings
    asks: tuple[Ask, ...] = ()
    keep: Path | None = None

    def __post_init__(self) -> None:
        if self.recording.stimuli.modality != "image":
            raise InputError(f"{self.run.path}: expected a run on images, found {self.recording.stimuli.modality}")

    @cached_property
    def fold(self) -> Split:
        """The run's split; several folds are an InputError."""
        folds = folds_of(self.recording, self.settings.fit.split, self.run)
        if len(folds) > 1:
            raise InputError(
                f"{self.run.path}: expected a run of one split, found {len(folds)} folds; fit one with --split"
            )
        return folds[0]

    @cached_property
    def stack(self) -> Any:
        from pipelines.stacks import resolve

        if not self.settings.fit.stack:
            raise UsageError(f"{self.run.path}: this run has no stack to draw with; fit one with --stack")
        return resolve(self.settings.fit.stack)

    @cached_property
    def towers(self) -> dict[str, Tower]:
        """The towers that guide, CLIP and the stack's second one if it has one, and the network that never does."""
        import importlib.resources

        bundled = Path(str(importlib.resources.files("evaluation.judges").joinpath("miniature")))
        device = self.settings.machine.device
        found = {}
        if "image_encoder" in self.stack.components:
            found[CLIP] = TOWERS["clip-image"].open(self.stack.path, model=self.stack.model, device=device)
        eye = part_of(self.stack, EYE)
        if eye is not None:
            kind = "openclip-image" if (eye / OPENCLIP).is_file() else "classifier"
            found[EYE] = TOWERS[kind].open(eye, model=self.stack.model, device=device)
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
            if tell is not None and number % FEW == 0:
                tell(Step(what=what, step=before + number, steps=total))

    @cached_property
    def _natural(self) -> dict[tuple[str, ...], dict[str, Float]]:
        return {}

    def natural_responses(self, asked: Mapping[str, Readout], *, tell: Tell | None = None) -> dict[str, Float]:
        """Scorer -> (natural picture, asked) what natural pictures evoke, from the features that are there already."""
        if tuple(asked) not in self._natural:
            stream = self._naturals(tell, "natural pictures, responses", before=0, total=len(self.ids))
            self._natural[tuple(asked)] = self._evoked(self.features, stream, asked)
        return self._natural[tuple(asked)]

    def natural_pixels(self, one: str) -> Any:
        return np.asarray(shown(self.recording.stimuli, one, self.size), np.uint8)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) at which natural pictures are seen: the stack's own."""
        return self.pipeline.picture_size  # type: ignore[no-any-return]

    @cached_property
    def pipeline(self) -> Any:
        from pipelines.generators import CATALOGUE as GENERATORS

        serves = "unclip" if "image_normalizer" in self.stack.components else "takagi"
        return GENERATORS[serves].open(self.stack, device=self.settings.machine.device, dtype="float32").pipeline

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
        return {ask.name: ask.readout(self.recording, self.fitting) for ask in self.asks}

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

    def studio(self, wanted: Wanted, how: SynthesisSettings, *, random: bool, seed: int = 0) -> Studio:
        """Everything the ways may use, for this objective or for as many voxels drawn at `random` from all others.

        seed  of that draw
        """
        parts, worth, direction = [], np.zeros(len(self.ids), np.float64), None
        for which in self.guides:
            encoder, signs = self.encoder(which), wanted.signs
            for ask in self.asks:
                ask.must_be_known(
                    encoder, features=self.held_out(which), fitting=self.fitting, space=self.recording.responses.space
                )
            if random:
                encoder, signs = self._random(encoder, signs, seed=seed), {RANDOM: 1.0}
            vector, bias = encoder.linear(signs)
            alone = unit(self.features[which]) @ vector + np.float32(bias)
            # each tower counts in its own spread over natural pictures, so that none drowns the other
            wish = objective([(self.towers[which], encoder)], signs, floor=-np.inf if random else FLOOR)
            parts += wish.over(float(alone.std())).parts
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
        if wanted.reference is not None:
            reference = open_image(wanted.reference)
        return Studio(
            pipeline=self.pipeline, objective=Objective(name=wish.name, parts=tuple(parts)), wish=direction,
            tiny=self.tiny, natural=natural, settings=how,
            lanes=self.pipeline.lanes(), reference=reference,
        )  # fmt: skip

    def _random(self, guide: Voxelwise, signs: Mapping[str, float], *, seed: int) -> Voxelwise:
        """The encoder with one region of its own: random voxels outside of the wanted ones, as many as these."""
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
        """Scorer -> (picture, asked) what these pictures evoke, regions' means among it."""
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
        found = {GUIDE: guided, SECOND: found[SECOND]}
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

    def facts(self, wanted: Wanted, ways: Mapping[str, Any]) -> dict[str, Any]:
        """What the report has to know: regions, encoders' accuracy, courses and costs."""
        encoders = {which: self.encoder(which) for which in self.towers}
        return {
            "signs": dict(wanted.signs),
            "decoder in the loop": "full" if self.tiny is None else "tiny_vae",
            "subject": self.recording.responses.space.subject,
            "regions": [region.name for region in self.shown()],
            "encoders": {
                which: {
                    "tower": dict(one.tower),
                    "r2": {region: one.r2[region] for region in wanted.signs},
                    "r2 over ceiling": {region: one.normalised(region) for region in wanted.signs},
                }
                for which, one in encoders.items()
            },
            "ways": dict(ways),
        }

    def shown(self) -> tuple[Region, ...]:
        from decode.regions import shown_regions

        wanted = {region.name for region in shown_regions(self.recording)}
        return tuple(region for region in self.recording.regions if region.name in wanted)


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


def _keep_responses(
    home: Path, lab: Lab, pictures: Mapping[str, list[Image.Image]], *, signs: Mapping[str, float]
) -> None:
    """HOME/responses.safetensors: scorer and row -> (picture, region or ask), natural pictures as row "natural"."""
    asked = _readouts(lab, signs)
    kept: dict[str, Any] = {}
    found = {"natural": lab.natural_responses(asked)}
    found |= {row: lab.responses(some, asked) for row, some in pictures.items()}
    for row, scored in found.items():
        kept |= {f"{scorer}.{row}": values for scorer, values in scored.items()}
    write_tensors(home / RESPONSES, kept, kind=KIND, card={"regions": list(asked)})


def _readouts(lab: Lab, signs: Mapping[str, float]) -> dict[str, Readout]:
    """What every picture is asked for: the mean of each region that is shown, and what is wanted."""
    return {name: lab.readout(name) for name in dict.fromkeys([region.name for region in lab.shown()] + list(signs))}
