"""What a Bayesian reading of patterns is made of: which bank, what is learned of a fold, what is drawn from.

    learn_reading(run, recording, fold, settings, ...)          # RUN/learned/METHOD/METHOD.FOLD.safetensors and .json
    evidence_of(run, recording, ...)                            # test patterns as evidence: Conditions of its own space
    spoken(readings, posteriors, text, ...), started(readings, posteriors, latents, ...)

A row of evidence is the linear form of the log likelihood in the bank's components, its constant, and the number of
showings, on which the quadratic form depends: it tells everything of a pattern that candidates are compared by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brain.data.correlation import with_row
from brain.errors import InputError, expected
from brain.types import Float, Int, Recording, Split, Stimuli
from decode.methods import Take
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.patterns import columns_of
from decode.run.settings import Settings, spaces_of
from decode.run.showing import Show
from encoders.conditions import Conditions, SpaceCard
from encoders.spaces import CATALOGUE as SPACES
from encoders.storage import write_json
from encoders.voxelwise.bank_guard import looked_at, refuse_tested, words_known
from encoders.voxelwise.bank_items import open_item
from encoders.voxelwise.banks import Bank, bank_of
from encoders.voxelwise.encoding import Evidence
from encoders.voxelwise.posterior import Posterior, posterior
from encoders.voxelwise.reading import Reading, fit_reading
from pipelines.drawing import Generator
from pipelines.stacks.find import resolve

LIKELY = 24
"""Candidates that are kept of a posterior, and whose latents are mixed into the start."""
ALIKE = 30.0
"""How much a correlation of latents counts beside the log of a candidate's share, where they are mixed."""
OWN = "training stimuli"
"""The bank of who has none."""


def bank_folder(named: str, stack: str) -> Path | None:
    """The bank that is named, else the stack's own, else None."""
    if named:
        return Path(named)
    own = resolve(stack, numbers=False).path / "bank"
    return own if own.is_dir() else None


def candidates_of(named: str, stack: str, true: Mapping[str, Conditions], train: Sequence[str]) -> Bank:
    """The bank to search: that of the folder, or one of the training stimuli in the spaces of `true` (space ->
    Conditions of all stimuli)."""
    folder = bank_folder(named, stack)
    if folder is None:
        nothing = Stimuli(ids=tuple(train), modality="image", opener=lambda name: None)
        return bank_of(true, nothing)
    return Bank.load(folder)


def path_of(run: RunFolder, method: str, fold: str) -> Path:
    """Where the reading of a fold lies."""
    return run.learned(method) / run.map(method, fold).name


def learn_reading(
    run: RunFolder, recording: Recording, fold: Split, settings: Settings, *, method: str,
    sets: Mapping[str, tuple[str, ...]], bank: str, spaces: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Fits the reading of this fold, or finds it; path of its card -> facts.

    spaces  the one that candidates are searched in, and those of what is shown, where they are decoded
    A bank of another stack, or with a test stimulus, is an InputError.
    """
    stack, path = settings.maps.stack, path_of(run, method, fold.name)
    known, space = spaces_of(settings.maps), spaces[0]
    true = {name: Conditions.load(run.conditions(name, "true")) for name in spaces if name in known}
    shown = set(recording.responses.stimulus.tolist())
    found = candidates_of(bank, stack, true, sorted(set(fold.train) & shown))
    components = found.must_be_of(true[space].space, where=f"bank {found.where}")
    beside = bank_folder(bank, stack) is not None
    pictured = {name: one for name, one in true.items() if name != space}
    said = [words_known(found, recording.stimuli, fold.test), looked_at(found, pictured)] if beside else []
    said = [one for one in said if one]
    reading = Reading.load(path) if path.is_file() else None
    if reading is None or (reading.bank, reading.split) != (found.digest, fold.sha256):
        struck: tuple[str, ...] = ()
        if beside:
            struck = refuse_tested(found, recording.stimuli, fold.test, true=pictured)
            components = found.without(struck).spaces[space]
        reading = fit_reading(
            recording.responses, fold, experts={name: columns_of(recording, regions) for name, regions in sets.items()},
            true=true[space], components=components, candidates=components.coordinates.astype(np.float32),
            own={} if beside else {name: row for row, name in enumerate(found.ids)}, bank=found.digest,
            folds=settings.maps.folds, seed=settings.machine.seed,
        )  # fmt: skip
        reading = replace(reading, struck=struck)
        reading.save(path)
    for line in (*said, *reading.notes):
        print(line)
    facts = {**reading.facts(), "candidates": found.facts() if beside else OWN, "notes": [*reading.notes, *said]}
    write_json(path.with_suffix(".json"), facts)
    return {str(path.with_suffix(".json").relative_to(run.path)): facts}


def evidence_of(run: RunFolder, recording: Recording, *, method: str, stimuli: set[str], take: Take) -> Conditions:
    """What averaged patterns of these test stimuli say, each by its fold's reading."""
    found: dict[str, list[float]] = {}
    for fold, tested in run.card_facts()["tested"].items():
        here = stimuli & set(tested)
        if not here:
            continue
        reading = Reading.load(path_of(run, method, fold))
        trials = recording.responses.trials(recording.responses.of(here))
        ids, evidence = reading.evidence(take(trials))
        for row, name in enumerate(ids):
            showings = float(evidence.showings[row])
            found[name] = [showings, float(evidence.constant[row]), *evidence.linear[row].tolist()]
    width = max(map(len, found.values()))
    values = np.zeros((len(found), width), np.float32)
    for row, one in enumerate(found.values()):
        values[row, : len(one)] = one
    return Conditions(space=_evidence_card(method, width), values=values, ids=tuple(found))


def evidence_name(method: str) -> str:
    """What the space of a method's evidence is called."""
    return f"{method}-evidence"


def _evidence_card(method: str, width: int) -> SpaceCard:
    return SpaceCard(
        name=evidence_name(method), model=method, revision="", layer="log likelihood in the bank's components",
        normalisation="showings, constant, linear form", shape=(width,),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the posterior of one stimulus is: its fold, the row of it, and the posterior of the fold's stimuli."""

    fold: str
    row: int
    found: Posterior = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Readings:
    """The bank and every fold's reading, each opened when it is asked for, and a generator where something is drawn.

    true  space -> true conditions of the run's stimuli
    """

    run: RunFolder
    method: str
    stack: str
    bank: str
    true: Mapping[str, Conditions] = field(repr=False)
    generator: Generator | None = None
    _banks: dict[str, Bank] = field(default_factory=dict, repr=False)
    _readings: dict[str, Reading] = field(default_factory=dict, repr=False)

    @cached_property
    def facts(self) -> dict[str, Any] | str:
        """What a card says of the bank."""
        folder = bank_folder(self.bank, self.stack)
        return OWN if folder is None else self._whole.facts()

    @cached_property
    def _whole(self) -> Bank:
        return candidates_of(self.bank, self.stack, self.true, ())

    @cached_property
    def _texts(self) -> Any | None:
        """The space of captions that is searched, opened on the stack; None where another is."""
        card = self.reading(next(iter(self.run.card_facts()["tested"]))).space
        if not SPACES[card.name].captioned:
            return None
        stack = resolve(self.stack)
        found = SPACES[card.name].open(stack.path, model=stack.model, revision=stack.revision, device="cpu")
        card.must_match(found.card)
        return found

    def encoded(self, caption: str) -> Float | None:
        """The condition of a caption, (*shape,) float32; None of none, and where captions are not what is searched."""
        if not caption or self._texts is None:
            return None
        return np.asarray(self._texts.encode_texts([caption], batch=1)[0], np.float32)

    def reading(self, fold: str) -> Reading:
        """The reading of a fold."""
        if fold not in self._readings:
            self._readings[fold] = Reading.load(path_of(self.run, self.method, fold))
        return self._readings[fold]

    def candidates(self, fold: str) -> Bank:
        """The bank that the fold's reading was fitted with; another one is an InputError."""
        if fold in self._banks:
            return self._banks[fold]
        named, reading = bank_folder(self.bank, self.stack) is not None, self.reading(fold)
        found = self._whole if named else candidates_of(self.bank, self.stack, self.true, reading.ids)
        if found.digest != reading.bank:
            then = "put the bank of the fit back, or fit again into another --out"
            raise InputError(expected(f"bank {found.where}", "the bank that the run was fitted with", "another", then))
        self._banks[fold] = found.without(reading.struck)
        return self._banks[fold]

    def posteriors(
        self, ladder: Ladder, row: str, stimuli: Sequence[str], *, sharpness: float = 1,
        without: Mapping[str, Int] | None = None,
    ) -> dict[str, Said]:  # fmt: skip
        """Stimulus -> its posterior to the power of `sharpness`, from what the ladder's row reads of it.

        without  stimulus -> (candidate,) those that are impossible for it
        """
        name = evidence_name(self.method)
        read = ladder.conditions(row, stimuli, (name,))[name]
        folds = {one: ladder.fold(one).name for one in stimuli}
        return self.said(folds, read, sharpness=sharpness, keep=LIKELY, without=without)

    def said(
        self, folds: Mapping[str, str], read: Conditions, *, sharpness: float, keep: int, labels: bool = False,
        without: Mapping[str, Int] | None = None,
    ) -> dict[str, Said]:  # fmt: skip
        """Stimulus -> its posterior, from evidence on it by the reading of its fold (`folds`).

        `without` stimulus -> (candidate,) those that are impossible for it
        """
        said: dict[str, Said] = {}
        for fold in dict.fromkeys(folds.values()):
            names = [one for one in folds if folds[one] == fold]
            reading, bank = self.reading(fold), self.candidates(fold)
            values, space = read.take(names).values.astype(np.float64), bank.spaces[reading.space.name]
            showings = values[:, 0].round().astype(np.int64)
            evidence = Evidence(
                linear=np.ascontiguousarray(values[:, 2 : 2 + len(space.axes)]), constant=values[:, 1],
                quadratic=reading.quadratic(showings), showings=showings,
            )  # fmt: skip
            found = posterior(
                evidence.tempered(sharpness), space.coordinates, keep=keep, labels=bank.labels if labels else None,
                without={row: without[name] for row, name in enumerate(names) if name in without} if without else None,
            )  # fmt: skip
            said |= {one: Said(fold=fold, row=number, found=found) for number, one in enumerate(names)}
        return said


def spoken(readings: Readings, said: Mapping[str, Said], text: Conditions, *, drawn_from: str) -> Conditions:
    """What is drawn from: the posterior's mean, or its most likely candidate ("maximum"), mixed with `text`, a ridge's
    prediction, as the reading says.

    A candidate with a caption is encoded anew, and has every number of its condition, not those of components alone.
    """
    rows = []
    for name in text.ids:
        one = said[name]
        space = readings.candidates(one.fold).spaces[text.space.name]
        best = int(one.found.best[one.row, 0])
        if drawn_from == "mean":
            condition = space.conditions(one.found.mean[one.row][None])[0]
        else:
            anew = readings.encoded(readings.candidates(one.fold).captions[best])
            condition = space.conditions(space.coordinates[best][None])[0] if anew is None else anew
        share = np.float64(readings.reading(one.fold).mixture)
        own = text.values[text.rows([name])[0]].astype(np.float64)
        rows.append((1 - share) * condition + share * own)
    return Conditions(space=text.space, values=np.asarray(rows, np.float32), ids=text.ids)


def started(readings: Readings, said: Mapping[str, Said], latents: Conditions, *, share: float) -> Conditions:
    """Where sampling starts: the decoded latents, mixed with those of likely candidates that are most like them.

    A bank without latents, or a `share` of 0, leaves them as they are. What is mixed is brought back to the spread of
    the decoded latent, which averaging takes away.
    """
    rows = []
    for name in latents.ids:
        one, own = said[name], latents.values[latents.rows([name])[0]].astype(np.float64)
        bank = readings.candidates(one.fold)
        if not share or latents.space.name not in bank.spaces:
            rows.append(own)
            continue
        space = bank.must_be_of(latents.space, where=f"bank {bank.where}")
        likely = space.conditions(space.coordinates[one.found.best[one.row]]).astype(np.float64)
        mean = space.mean.astype(np.float64).reshape(own.shape)
        apart = (likely - mean).astype(np.float32).reshape(len(likely), -1)
        alike = with_row(apart, (own - mean).astype(np.float32).reshape(-1))
        log = np.log(np.maximum(one.found.share[one.row], np.finfo(np.float64).tiny)) + ALIKE * alike
        weights = np.exp(log - log.max())
        picture = np.tensordot(weights / weights.sum(), likely, 1)
        mixed = share * picture + (1 - share) * own
        rows.append(mixed * (own.std() / mixed.std()))
    return Conditions(space=latents.space, values=np.asarray(rows, np.float32), ids=latents.ids)



def shown_candidate(readings: Readings, said: Said, stimuli: Stimuli, show: Show) -> Any:
    """What the most likely candidate looks or sounds like, as stimuli are shown; of a caption alone an InputError."""
    bank = readings.candidates(said.fold)
    row = int(said.found.best[said.row, 0])
    name = bank.ids[row]
    if bank_folder(readings.bank, readings.stack) is None:
        return show(stimuli, name)
    item = open_item(bank, row)
    if item is None:
        then = "leave the row likely out, or build the bank of --images"
        raise InputError(expected(f"bank {bank.where}", f"a picture of {name}", "a caption alone", then))
    alone = Stimuli(ids=(name,), modality=stimuli.modality, opener=lambda _: item)
    return show(alone, name)
