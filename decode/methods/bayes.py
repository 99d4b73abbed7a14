"""Bayes: which of very many candidates the brain may have answered to (Naselaris et al. 2009, Nishimoto et al. 2011).

An encoding model says how likely the measured pattern is under each candidate of a bank; what is drawn from is the
posterior's mean, or its most likely candidate, mixed with a ridge's prediction as far as training stimuli ask for it.
The picture starts from the decoded latent, mixed with the latents of likely candidates where the bank has them.

RUN/learned/METHOD/METHOD.FOLD.safetensors   encoding models, noise, weights and mixture (`encoders.voxelwise.reading`)
RUN/posteriors/METHOD.json           words and doubt of every test stimulus (`evaluation.statistics.posteriors`)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from brain.console.bounds import within
from brain.errors import InputError, UsageError, expected
from brain.types import Recording, Split
from decode.methods import Decoder, Take, read_from
from decode.methods._parts.bayes import Readings, bank_folder, evidence_name, evidence_of, learn_reading
from decode.methods._parts.bayes_draws import by_seed, conditions_of
from decode.methods._parts.bayes_opponents import OPPONENTS, correlated, likely, other_words
from decode.methods._parts.bayes_words import write_words
from decode.methods._parts.generated import Generated, decoder_of
from decode.methods._parts.reranking import RERANKED, check_reranking, reranked, write_generated
from decode.methods._parts.sounds import CARD, Reranks
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.settings import Settings, fitting, spaces_of
from encoders.conditions import Conditions
from encoders.voxelwise.banks import Bank
from evaluation.samples.rows import RowCard
from pipelines.drawing import Drawn, Watch
from pipelines.generators.sound_anchored import AnchoredSampling
from pipelines.generators.takagi import TakagiSampling
from pipelines.generators.unclip import UnclipSampling

WITHOUT = ("oracle", "mean")
"""Rows that are drawn from true conditions, and read nothing of a brain."""


@dataclass(frozen=True, kw_only=True)
class Reads:
    """Which candidates, which voxels, and what of the posterior is drawn."""

    bank: str = fitting("", place=True)
    """Folder of a bank; empty takes the stack's own, or training stimuli."""
    experts: tuple[str, ...] = fitting(("ventral+lateral", "nsdgeneral"))
    """Sets of voxels, REGION+REGION, each with a temperature of its own."""
    drawn_from: Literal["mean", "maximum", "draw"] = "mean"
    """The posterior's mean, its most likely candidate, or one drawn by each sample's seed."""
    sharpness: float = 1.0
    """Power of the posterior of which the mean is drawn; 1 as it is settled."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # the sampling beside it
        within("--sharpness", self.sharpness, 0.01, 1000)
        if not self.experts or not all(all(one.split("+")) for one in self.experts):
            found = " ".join(map(repr, self.experts)) or "none"
            raise UsageError(expected("--experts", "sets of voxels such as ventral+lateral", found, "correct it"))

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """Set of voxels -> its regions."""
        return {one: tuple(one.split("+")) for one in self.experts}


@dataclass(frozen=True, kw_only=True)
class ReadsStart(Reads):
    """The same, and how much of the start comes out of the bank."""

    start_mix: float = 0.7
    """Share of likely candidates' latents in the start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("--start-mix", self.start_mix, 0, 1)


@dataclass(frozen=True, kw_only=True)
class BayesSettings(ReadsStart, TakagiSampling):
    """A caption and a start out of a bank."""


@dataclass(frozen=True, kw_only=True)
class BayesImageSettings(ReadsStart, UnclipSampling):
    """An image embedding and a start out of a bank."""


@dataclass(frozen=True, kw_only=True)
class BayesSoundSettings(Reads, Reranks, AnchoredSampling):
    """CLAP, LOA and a start out of a bank."""

    experts: tuple[str, ...] = fitting(("association", "auditory"))
    """Sets of voxels, REGION+REGION, each with a temperature of its own."""


@dataclass(frozen=True, kw_only=True)
class Bayes(Generated):
    """A method by a generator's name, and what it reads.

    read    spaces that candidates are compared in, the first wherever it draws
    start   the space that sampling starts in, where it is decoded
    anchor  whether it starts from the most likely candidate itself
    """

    read: tuple[str, ...]
    start: str
    anchor: bool = False

    def regions(self, own: Any) -> Mapping[str, tuple[str, ...]]:
        """Those of all sets of voxels."""
        return {"--experts": tuple(dict.fromkeys(name for names in own.sets.values() for name in names))}

    def learn(self, run: RunFolder, recording: Recording, fold: Split, settings: Settings, own: Any) -> dict[str, Any]:
        """Fits encoding models on the training trials of `fold`, or finds them fitted."""
        return learn_reading(
            run, recording, fold, settings, method=self.name, sets=own.sets, bank=own.bank, read=self.read,
            start=self.start,
        )  # fmt: skip

    def patterns(self, run: RunFolder, recording: Recording, *, stimuli: set[str], take: Take) -> Conditions:
        """What averaged patterns of these test stimuli say of candidates, each by its fold's models."""
        return evidence_of(run, recording, method=self.name, stimuli=stimuli, take=take)

    def finish(self, run: RunFolder, settings: Settings) -> None:
        """Puts what the posterior says of every test stimulus into words, RUN/posteriors/METHOD.json, and encodes what
        was drawn of sounds, for what the generator loses."""
        known = spaces_of(settings.maps)
        true = {name: Conditions.load(run.conditions(name, "true")) for name in self.spaces if name in known}
        write_words(self.readings(run, settings, true), run)
        write_generated(run, settings)

    def check(self, settings: Settings, own: Any) -> None:
        """As of every generator, and refuses re-ranking without decoded CLAP, and a bank that cannot be searched."""
        super().check(settings, own)
        check_reranking(settings)
        folder = bank_folder(own.bank, settings.maps.stack)
        if folder is not None:
            bank = Bank.load(folder)
            bank.must_have(self.read[0], where=folder)
            if "likely" in settings.sampling.rows and "captions" in bank.source:
                found, then = "captions alone", "leave likely out of --rows, or build the bank of --images"
                raise InputError(expected(f"bank {folder}", "items that row likely can show", found, then))

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> Readings:
        """The generator, the bank, and the models of every fold."""
        maps = read_from(settings.maps, self.spaces, method=self.name)
        found = self.readings(run, settings, {space: true[name] for space, name in maps.items()})
        found.candidates(next(iter(run.card_facts()["tested"])))  # another bank is told before weights are read
        return replace(found, generator=super().open(run, settings, true=true))

    def decoder(self, opened: Readings, settings: Settings, own: Any, *, seconds: float) -> Decoder:
        """The generator, conditioned on the posterior."""
        maps = read_from(settings.maps, self.spaces, method=self.name)
        assert opened.generator is not None
        found = decoder_of(opened.generator, self.name, settings, own, maps=maps, seconds=seconds)

        def beside(ladder: Ladder, row: str, stimuli: Sequence[str]) -> dict[str, Conditions]:
            if row in WITHOUT:
                return {}
            if own.drawn_from == "draw":
                return ladder.conditions(row, stimuli, (self.keeps,))
            said = opened.posteriors(ladder, row, stimuli, sharpness=own.sharpness)
            read = ladder.conditions(row, stimuli, tuple(maps.values()))
            decoded = {space: read[name] for space, name in maps.items()}
            return conditions_of(opened, said, decoded, own=own, **self.starts)

        def draw(
            conditions: Mapping[str, Conditions], ids: Sequence[str], seeds: Sequence[int], *,
            watch: Watch | None = None,
        ) -> Iterator[Drawn]:  # fmt: skip
            if self.keeps not in conditions:
                yield from found.draw(conditions, ids, seeds, watch=watch)
                return
            each, names = by_seed(opened, conditions, ids, seeds, own=own, **self.starts)
            for name, drawn in zip(ids, found.draw(each, names, seeds, watch=watch), strict=True):
                yield replace(drawn, id=name)

        return replace(found, draw=draw, beside=beside, facts={**found.facts, "bank": opened.facts})

    @property
    def spaces(self) -> tuple[str, ...]:
        """All that it reads and starts in."""
        return (*self.read, self.start)

    def readings(self, run: RunFolder, settings: Settings, true: Mapping[str, Conditions]) -> Readings:
        """The bank and the models of every fold; `true`: space -> true conditions."""
        own = settings.method(self.name)
        return Readings(run=run, method=self.name, stack=settings.maps.stack, bank=own.bank, true=true)

    @property
    def starts(self) -> dict[str, Any]:
        """Where sampling starts, for `conditions_of`."""
        return {"start": self.start, "anchor": self.anchor}


def bayes(
    name: str, *, title: str, description: str, settings: Any, rows: Mapping[str, Any] | None = None,
    cards: Sequence[RowCard] = (), **facts: Any,
) -> Bayes:  # fmt: skip
    """An entry: all of them find candidates in one way, and differ in what is drawn from them.

    rows  row -> how it is drawn, besides the opponents; `cards` of these rows
    """
    card = RowCard(
        name=name.replace("-", "_"), title=title, order=10,
        description="the same responses by encoding models and a bank, beside the recipe's own method",
    )  # fmt: skip
    drawn = {"likely": likely, "other_words": other_words, "correlated": correlated, **(rows or {})}
    return Bayes(
        name=name, title=title, description=description, settings=settings, keeps=evidence_name(name), drawn=drawn,
        citation="Naselaris et al. 2009, Neuron 63:902; Nishimoto et al. 2011, Curr Biol 21:1641",
        rows=(card, *OPPONENTS, *cards), **facts,
    )  # fmt: skip


ENTRIES = (
    bayes(
        "bayes",
        title="Bayesian reading",
        description="encoding models find the likely candidates of a bank; the posterior is drawn from a decoded start",
        generator="takagi", noised="vae-latent", read=("clip-text",), start="vae-latent",
        settings=BayesSettings(),
    ),
    bayes(
        "bayes-image",
        title="Bayesian reading, image embedding",
        description="encoding models find the likely candidates of a bank; their image embedding is drawn",
        generator="unclip", noised="vae-latent", read=("clip-image",), start="vae-latent",
        settings=BayesImageSettings(),
    ),
    bayes(
        "bayes-sound",
        title="Bayesian reading of sounds",
        description="encoding models find the likely sounds of a bank; CLAP and LOA are drawn from the likeliest on",
        generator="sound-anchored", noised="mel-latent", read=("clap", "loa"), start="mel-latent", anchor=True,
        rows={RERANKED: reranked}, cards=(CARD,), settings=BayesSoundSettings(),
    ),
)  # fmt: skip
