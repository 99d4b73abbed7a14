"""Bayes: which of very many candidates the brain may have answered to (Naselaris et al. 2009, Nishimoto et al. 2011).

An encoding model says how likely the measured pattern is under each candidate of a bank; what is drawn from is the
posterior's mean, or its most likely candidate, mixed with a ridge's prediction as far as training stimuli ask for it.
The picture starts from the decoded latent, mixed with the latents of likely candidates where the bank has them.

RUN/learned/bayes/FOLD.safetensors   encoding models, noise, weights and mixture (`encoders.voxelwise.reading`)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from brain.console.bounds import within
from brain.errors import UsageError, expected
from brain.types import Int, Recording, Split
from decode.methods import Decoder, Kept, RowTask, Take, read_from
from decode.methods._parts.bayes import (
    Readings,
    evidence_name,
    evidence_of,
    learn_reading,
    shown_candidate,
    spoken,
    started,
)
from decode.methods._parts.bayes_words import write_words
from decode.methods._parts.generated import Generated, decoder_of
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.seeds import sample_seed
from decode.run.settings import Settings, fitting, spaces_of
from encoders.conditions import Conditions
from encoders.voxelwise.bank_guard import same_words
from evaluation.samples.rows import RowCard
from pipelines.drawing import Drawn
from pipelines.generators.takagi import TakagiSampling

NAME = "bayes"
READ, START = "clip-text", "vae-latent"
WITHOUT = ("oracle", "mean")
"""Rows that are drawn from true conditions, and read nothing of a brain."""


@dataclass(frozen=True, kw_only=True)
class BayesSettings(TakagiSampling):
    """Which candidates, which voxels, and what of the posterior is drawn."""

    bank: str = fitting("", place=True)
    """Folder of a bank; empty takes the stack's own, or training stimuli."""
    experts: tuple[str, ...] = fitting(("ventral+lateral", "nsdgeneral"))
    """Sets of voxels, REGION+REGION, each with a temperature of its own."""
    drawn_from: Literal["mean", "maximum"] = "mean"
    """The posterior's mean, or its most likely candidate."""
    sharpness: float = 1.0
    """Power of the posterior of which the mean is drawn; 1 as it is settled."""
    start_mix: float = 0.7
    """Share of likely candidates' latents in the start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("--sharpness", self.sharpness, 0.01, 1000)
        within("--start-mix", self.start_mix, 0, 1)
        if not self.experts or not all(all(one.split("+")) for one in self.experts):
            found = " ".join(map(repr, self.experts)) or "none"
            raise UsageError(expected("--experts", "sets of voxels such as ventral+lateral", found, "correct it"))

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """Set of voxels -> its regions."""
        return {one: tuple(one.split("+")) for one in self.experts}


@dataclass(frozen=True, kw_only=True)
class Bayes(Generated):
    """The method; its generator is that of latent and text."""

    def regions(self, own: BayesSettings) -> Mapping[str, tuple[str, ...]]:
        """Those of all sets of voxels."""
        return {"--experts": tuple(dict.fromkeys(name for names in own.sets.values() for name in names))}

    def learn(
        self, run: RunFolder, recording: Recording, fold: Split, settings: Settings, own: BayesSettings
    ) -> dict[str, Any]:
        """Fits encoding models on the training trials of `fold`, or finds them fitted."""
        return learn_reading(
            run, recording, fold, settings, method=NAME, sets=own.sets, bank=own.bank, spaces=(READ, START)
        )  # fmt: skip

    def patterns(self, run: RunFolder, recording: Recording, *, stimuli: set[str], take: Take) -> Conditions:
        """What averaged patterns of these test stimuli say of candidates, each by its fold's models."""
        return evidence_of(run, recording, method=NAME, stimuli=stimuli, take=take)

    def finish(self, run: RunFolder, settings: Settings) -> None:
        """Puts what the posterior says of every test stimulus into words, RUN/learned/bayes/posterior.json."""
        known = spaces_of(settings.maps)
        true = {name: Conditions.load(run.conditions(name, "true")) for name in (READ, START) if name in known}
        write_words(_readings(run, settings, true), run)

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> Readings:
        """The generator, the bank, and the models of every fold."""
        maps = read_from(settings.maps, (READ, START))
        return replace(
            _readings(run, settings, {space: true[name] for space, name in maps.items()}),
            generator=super().open(run, settings, true=true),
        )  # fmt: skip

    def decoder(self, opened: Readings, settings: Settings, own: BayesSettings, *, seconds: float) -> Decoder:
        """The generator, conditioned on the posterior."""
        maps = read_from(settings.maps, (READ, START))
        assert opened.generator is not None
        found = decoder_of(opened.generator, NAME, settings, own, maps=maps, seconds=seconds)

        def beside(ladder: Ladder, row: str, stimuli: Sequence[str]) -> dict[str, Conditions]:
            if row in WITHOUT:
                return {}
            return _drawn_from(opened, ladder, row, stimuli, maps=maps, own=own)

        return replace(found, beside=beside, facts={**found.facts, "bank": opened.facts})


def _drawn_from(
    readings: Readings, ladder: Ladder, row: str, stimuli: Sequence[str], *, maps: Mapping[str, str],
    own: BayesSettings, without: Mapping[str, Int] | None = None,
) -> dict[str, Conditions]:  # fmt: skip
    """Space -> what a row draws from: what the posterior says, and where sampling starts."""
    said = readings.posteriors(ladder, row, stimuli, sharpness=own.sharpness, without=without)
    read = ladder.conditions(row, stimuli, tuple(maps.values()))
    found = {READ: spoken(readings, said, read[maps[READ]], drawn_from=own.drawn_from)}
    if START in maps:
        found[START] = started(readings, said, read[maps[START]], share=own.start_mix)
    return found


def _of(task: RowTask) -> Readings:
    """What a row of its own is drawn from."""
    maps = read_from(task.settings.maps, (READ, START))
    return _readings(task.run, task.settings, {space: task.ladder.true[name] for space, name in maps.items()})


def likely_pictures(task: RowTask) -> Iterator[Kept]:
    """The most likely candidates themselves, no generator."""
    readings, names = _of(task), list(dict.fromkeys(name for name, _ in task.asked))
    said = readings.posteriors(task.ladder, "decoded", names)
    for name, index in task.asked:
        picture = shown_candidate(readings, said[name], task.recording.stimuli, task.decoder.show)
        yield Kept(drawn=Drawn(id=name, seed=0, image=picture, withheld=False), index=index)


def other_words(task: RowTask) -> Iterator[Kept]:
    """As decoded, of a bank without every candidate that has all words, or all labels, of the stimulus."""
    readings, names = _of(task), list(dict.fromkeys(name for name, _ in task.asked))
    bank, ladder = {name: readings.candidates(task.ladder.fold(name).name) for name in names}, task.ladder
    gone = {name: same_words(bank[name], task.recording.stimuli, name) for name in names}
    conditions = _drawn_from(
        readings, ladder, "decoded", names, maps=task.decoder.maps, own=task.own, without=gone
    )  # fmt: skip
    asked = [name for name, _ in task.asked]
    seeds = [sample_seed(ladder.seed, name, index) for name, index in task.asked]
    stream = task.decoder.draw(conditions, asked, seeds, watch=task.watch)
    for (_, index), drawn in zip(task.asked, stream, strict=True):
        yield Kept(drawn=drawn, index=index)


def _readings(run: RunFolder, settings: Settings, true: Mapping[str, Conditions]) -> Readings:
    own: BayesSettings = settings.method(NAME)
    return Readings(run=run, method=NAME, stack=settings.maps.stack, bank=own.bank, true=true)


ENTRIES = (
    Bayes(
        name=NAME,
        title="Bayesian reading",
        description="encoding models find the likely candidates of a bank; the posterior is drawn from a decoded start",
        citation="Naselaris et al. 2009, Neuron 63:902; Nishimoto et al. 2011, Curr Biol 21:1641",
        generator="takagi",
        noised=START,
        keeps=evidence_name(NAME),
        settings=BayesSettings(),
        drawn={"likely": likely_pictures, "other_words": other_words},
        rows=(
            RowCard(
                name=NAME,
                title="Bayesian reading",
                description="the same responses by encoding models and a bank, beside the recipe's own method",
                order=10,
            ),
            RowCard(
                name="likely",
                title="Most likely candidate",
                description="no generator: the picture of the bank that the responses make most likely",
                order=92,
            ),
            RowCard(
                name="other_words",
                title="Without the stimulus' words",
                description="as decoded, of a bank without every candidate that has all words of the stimulus",
                order=5,
            ),
        ),
    ),
)
