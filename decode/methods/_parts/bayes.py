"""What a Bayesian reading of patterns is made of: which bank, what is learned of a fold, what is drawn from.

    learn_reading(run, recording, fold, settings, ...)          # RUN/learned/METHOD/METHOD.FOLD.safetensors and .json
    evidence_of(run, recording, ...)                            # test patterns as evidence: Conditions of its own space
    readings.posteriors(ladder, "decoded", stimuli)             # what `bayes_draws` makes conditions of

A row of evidence is the linear form of the log likelihood in the bank's components, its constant, and the number of
showings, on which the quadratic form depends: it tells everything of a pattern that candidates are compared by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.types import Float, Int, Recording, Responses, Split, Stimuli
from decode.methods import Take
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.patterns import columns_of
from decode.run.settings import Settings, spaces_of
from encoders.conditions import Conditions, SpaceCard
from encoders.spaces import CATALOGUE as SPACES
from encoders.spaces import of_sounds
from encoders.storage import write_json
from encoders.voxelwise.bank_guard import looked_at, refuse_tested, same_items, words_known
from encoders.voxelwise.bank_items import open_item
from encoders.voxelwise.banks import Bank, bank_of
from encoders.voxelwise.encoding import Evidence
from encoders.voxelwise.features import Features
from encoders.voxelwise.posterior import Posterior, posterior
from encoders.voxelwise.reading import Reading, fit_reading
from pipelines.drawing import Generator
from pipelines.stacks.find import resolve

LIKELY = 24
"""Candidates that are kept of a posterior, and whose latents are mixed into the start."""
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


def features_of(bank: Bank, spaces: Sequence[str]) -> Features:
    """What the bank's candidates are compared by, in these of its spaces."""
    return Features.of({name: bank.spaces[name] for name in spaces})


def path_of(run: RunFolder, method: str, fold: str) -> Path:
    """Where the reading of a fold lies."""
    return run.learned(method) / run.map(method, fold).name


def learn_reading(
    run: RunFolder, recording: Recording, fold: Split, settings: Settings, *, method: str,
    sets: Mapping[str, tuple[str, ...]], bank: str, read: Sequence[str], start: str,
) -> dict[str, Any]:  # fmt: skip
    """Fits the reading of this fold, or finds it; path of its card -> facts.

    read   spaces that candidates are compared in, of those that are decoded and that the bank has; the first must be
    start  the space that sampling starts in, where it is decoded
    A bank of another stack, or with a test stimulus, is an InputError.
    """
    stack, path = settings.maps.stack, path_of(run, method, fold.name)
    known = spaces_of(settings.maps)
    true = {name: Conditions.load(run.conditions(name, "true")) for name in (*read, start) if name in known}
    shown = set(recording.responses.stimulus.tolist())
    trained = sorted(set(fold.train) & shown)
    found = candidates_of(bank, stack, true, trained)
    compared = [name for name in read if name in true and (name in found.spaces or name == read[0])]
    for name in compared:
        found.must_be_of(true[name].space, where=f"bank {found.where}")
    beside = bank_folder(bank, stack) is not None
    pictured = {name: one for name, one in true.items() if not SPACES[name].captioned}
    said = [words_known(found, recording.stimuli, fold.test), looked_at(found, pictured)] if beside else []
    said = [one for one in said if one]
    reading = Reading.load(path) if path.is_file() else None
    if reading is None or (reading.bank, reading.split) != (found.digest, fold.sha256):
        struck: tuple[str, ...] = ()
        if beside:
            struck = refuse_tested(
                found, recording.stimuli, fold.test, true=pictured, simulated=recording.simulated
            )  # fmt: skip
        # settled with what is left out later, so that test stimuli move nothing that is learned
        features = features_of(found, compared)
        reading = fit_reading(
            recording.responses, fold, experts={name: columns_of(recording, regions) for name, regions in sets.items()},
            true={name: true[name] for name in compared}, features=features,
            own=same_items(found, recording.stimuli, trained, sound=any(map(of_sounds, compared))), bank=found.digest,
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
    """What the posterior of one stimulus is: its fold, the row of it, of how many showings its pattern is, the
    posterior of the fold's stimuli, and the candidate that was drawn from it, None where none was."""

    fold: str
    row: int
    showings: int
    found: Posterior = field(repr=False)
    drawn: int | None = None

    @property
    def best(self) -> int:
        """The candidate that was drawn, else the most likely one."""
        return int(self.found.best[self.row, 0]) if self.drawn is None else self.drawn

    @property
    def likely(self) -> tuple[Int, NDArray[np.float64]]:
        """Candidates (candidate,) and their shares: the one that was drawn, else the most likely ones."""
        if self.drawn is not None:
            return np.array([self.drawn]), np.ones(1)
        return self.found.best[self.row], self.found.share[self.row]


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
    _features: dict[str, Features] = field(default_factory=dict, repr=False)
    _spaces: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def facts(self) -> dict[str, Any] | str:
        """What a card says of the bank."""
        folder = bank_folder(self.bank, self.stack)
        return OWN if folder is None else self._whole.facts()

    @cached_property
    def _whole(self) -> Bank:
        return candidates_of(self.bank, self.stack, self.true, ())

    def anew(self, bank: Bank, rows: Iterable[int], space: str) -> dict[int, Float]:
        """Row -> condition (*shape,) float32 of that candidate, encoded from its caption, or from what it looks or
        sounds like: every number, not those of components alone. Rows of which the bank has neither are left out."""
        wanted, entry = sorted(set(rows)), SPACES[space]
        if bank_folder(self.bank, self.stack) is None:
            own = self.true[space].take([bank.ids[row] for row in wanted]).values
            return dict(zip(wanted, own, strict=True))
        if entry.captioned:
            items: dict[str, Any] = {bank.ids[row]: None for row in wanted if bank.captions[row]}
        else:
            items = {bank.ids[row]: item for row in wanted if (item := open_item(bank, row)) is not None}
        if not items:
            return {}
        if space not in self._spaces:
            stack = resolve(self.stack)
            self._spaces[space] = entry.open(stack.path, model=stack.model, revision=stack.revision, device="cpu")
            self.true[space].space.must_match(self._spaces[space].card)
        said = {bank.ids[row]: (bank.captions[row],) for row in wanted}
        found = Stimuli(ids=tuple(items), modality=entry.modality, opener=items.__getitem__, captions=said)
        values = self._spaces[space].encode(found, found.ids, batch=32).take(found.ids).values
        made = dict(zip(found.ids, values, strict=True))
        return {row: made[bank.ids[row]] for row in wanted if bank.ids[row] in made}

    def features(self, fold: str) -> Features:
        """What the candidates of a fold are compared by."""
        if fold not in self._features:
            self._features[fold] = features_of(self.candidates(fold), [one.name for one in self.reading(fold).spaces])
        return self._features[fold]

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

    def correlated(self, fold: str, trials: Responses) -> dict[str, Said]:
        """Stimulus -> the candidates whose predicted patterns correlate best with that of these trials, as if they were
        equally likely."""
        reading, candidates = self.reading(fold), self.features(fold).candidates
        names, best = reading.correlated(trials, candidates, keep=min(LIKELY, len(candidates)))
        nothing = np.zeros(len(names))
        found = Posterior(
            best=best, share=np.full(best.shape, 1 / best.shape[1]), log_best=nothing, entropy=nothing,
            prior_entropy=float(np.log(len(candidates))), mean=np.asarray(candidates[best[:, 0]], np.float64),
        )  # fmt: skip
        return {name: Said(fold=fold, row=row, showings=0, found=found) for row, name in enumerate(names)}

    def evidence(self, fold: str, names: Sequence[str], read: Conditions) -> Evidence:
        """What is kept in `read` of these stimuli, as evidence on the candidates of their fold."""
        values = read.take(names).values.astype(np.float64)
        width, showings = self.features(fold).candidates.shape[1], values[:, 0].round().astype(np.int64)
        return Evidence(
            linear=np.ascontiguousarray(values[:, 2 : 2 + width]), constant=values[:, 1],
            quadratic=self.reading(fold).quadratic(showings), showings=showings,
        )  # fmt: skip

    def said(
        self, folds: Mapping[str, str], read: Conditions, *, sharpness: float, keep: int, labels: bool = False,
        without: Mapping[str, Int] | None = None, seeds: Mapping[str, Sequence[int]] | None = None,
    ) -> dict[str, Said]:  # fmt: skip
        """Stimulus -> its posterior, from evidence on it by the reading of its fold (`folds`).

        without  stimulus -> (candidate,) those that are impossible for it
        seeds    stimulus -> seeds by each of which a candidate is drawn from its posterior
        """
        said: dict[str, Said] = {}
        for fold in dict.fromkeys(folds.values()):
            names = [one for one in folds if folds[one] == fold]
            evidence, bank = self.evidence(fold, names, read), self.candidates(fold)
            found = posterior(
                evidence.tempered(sharpness), self.features(fold).candidates, keep=keep,
                labels=bank.labels if labels else None,
                without={row: without[name] for row, name in enumerate(names) if name in without} if without else None,
                seeds={row: seeds[name] for row, name in enumerate(names) if name in seeds} if seeds else None,
            )  # fmt: skip
            for row, (one, count) in enumerate(zip(names, evidence.showings.tolist(), strict=True)):
                said[one] = Said(fold=fold, row=row, showings=count, found=found)
        return said
