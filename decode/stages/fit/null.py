"""The null of a run in folds, RUN/conditions/null.json: what its mappings decode from permuted patterns.

    {"spaces": {"pixels": {"two_way": [...], "top1": [...], "moved_two_way": [...], "moved_top1": [...],
                           "moved_error": [...], "embedding_retrieval": {"brain_to_stimulus_all": {"values": [...],
                           "moved": [...]}, ...}, "groups": [5, 5, 5, 5], "targets": 256, "of": 4096}, ...},
     "absent": {"clip-text": "why"}, "asked": 199, "made of": "sha256"}

The first number of two_way, top1 and the values of retrieval is that of the true assignment, the others are refits
(`encoders.mappings._parts.refit`): p is its rank among them. The moved ones are refits in which no pattern keeps its
own stimulus: their mean is chance and their spread that of noise, beside the standard error that the stimuli of each
claim for two-way identification. `groups`: how many stimuli each group has that patterns change places in. `made of`:
the digest of folds, settings and data; the card names the file's own, so that no other takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.digest import sha256_of
from brain.errors import InputError
from brain.types import Recording, Split
from decode.run.folder import RunFolder
from decode.run.ladder import most_telling
from decode.run.patterns import columns_of
from decode.run.settings import REFITS, MapSettings, Settings, binding, maps_of
from encoders.conditions import Conditions
from encoders.mappings import CATALOGUE as MAPPINGS
from encoders.mappings._parts.knobs import RidgeKnobs
from encoders.mappings._parts.linear import MappingSettings
from encoders.mappings._parts.refit import Refitting, held_out, refits, refitting_of, sizes
from encoders.spaces import Space
from encoders.storage import read_json, write_json
from evaluation.statistics.conditions import Identified, identified
from evaluation.statistics.embedding_retrieval import mean_retrieval
from evaluation.statistics.folds import NULL, null_digest

REACH = 300.0
"""Seconds that refits may take on one core, by estimate, where nobody said how many."""
LARGE, FEW_MOVED = 10, 49
"""Stimuli in a group, on the average, below which refits without a true pair are made apart, and how many."""
ENOUGH = 99
"""Refits below which fewer than were asked for are not taken in silence."""
Found = dict[str, float]
"""Measure of embedding retrieval -> its mean."""


def write_null(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    true: Mapping[str, Conditions],
    *,
    spaces: Mapping[str, Space],
    settings: Settings,
) -> str:
    """Writes the file, or finds it there, and returns its sha256; "" for one split. Ridges alone are fitted anew.

    true  map -> true conditions of its space; the file's "spaces" are maps by name
    """
    if len(folds) < 2:
        return ""
    of = _digest_of(run, folds, settings)
    if not _stands(run, settings, of):
        found, absent = dict[str, Any](), dict[str, str]()
        specs = maps_of(settings.maps)
        for name in most_telling({name: true[spec.space] for name, spec in specs.items()}):
            spec, asked = specs[name], settings.maps.refits
            knobs, conditions = settings.mapping(spec.mapping), true[spec.space]
            if MAPPINGS[spec.mapping].network:
                absent[name] = f"--mapping {spec.mapping} trains networks, which are not trained anew"
                continue
            if not isinstance(knobs, RidgeKnobs):
                absent[name] = f"refits are of ridges, and --mapping {spec.mapping} is none"
                continue
            if not asked:
                absent[name] = "--refits 0 leaves them out"
                continue
            ridge = knobs.ridge(folds=settings.maps.folds, seed=settings.machine.seed)
            design = refitting_of(
                recording.responses.voxels(columns_of(recording, spec.regions)), conditions, folds=folds,
                settings=MappingSettings(ridge=ridge), rescaling=spaces[spec.space].rescaling,
                single=knobs.trials == "single",
            )  # fmt: skip
            draws = affordable(design, asked)
            if draws:
                found[name] = null_facts(design, draws=draws, seed=settings.machine.seed, whole=conditions)
            else:
                absent[name] = (
                    f"{_too_long(design, asked)}; --trials averaged and fewer folds take less, and "
                    f"--refits {REFITS[0]} or more takes what is asked for, however long"
                )
        facts = {"spaces": found, "absent": absent, "asked": settings.maps.refits, "made of": of}
        write_json(run.path / NULL, facts)
    return null_digest(run.path)


def null_is_current(run: RunFolder, settings: Settings) -> bool:
    """Whether a fitted run has the null that its card names, of as many refits as are asked for."""
    card = run.card_facts()
    if len(card.get("tested", {})) < 2:
        return True
    return "null" in card and _stands(run, settings, None)


def _stands(run: RunFolder, settings: Settings, of: str | None) -> bool:
    """Whether the file is the card's, of as many refits as are asked for and, unless None, `of` this digest.

    A fit that was stopped has no card yet that names one.
    """
    path = run.path / NULL
    if not path.is_file() or run.card_facts().get("null", null_digest(run.path)) != null_digest(run.path):
        return False
    try:
        facts = read_json(path, kind="null")
    except InputError:
        return False  # made anew
    return facts.get("asked") == settings.maps.refits and of in (None, facts.get("made of"))


def _digest_of(run: RunFolder, folds: Sequence[Split], settings: Settings) -> str:
    """The sha256 of what decides the numbers: folds, how mappings are fitted, the seed, and the data's content."""
    fit = sorted((part, name, value) for (part, name), value in binding(settings.whole(), "fit").items())
    facts = json.dumps([[fold.sha256 for fold in folds], fit, settings.machine.seed], sort_keys=True).encode()
    content = run.content.read_bytes() if run.content.is_file() else b""
    return sha256_of(facts, content)


def _too_long(design: Refitting, asked: int) -> str:
    return f"{asked} refits would take about {design.seconds * asked / 60:.0f} minutes"


def affordable(design: Refitting, asked: int) -> int:
    """How many refits are taken: as many as were named; by default all, or as many as are within reach, if ENOUGH."""
    within = int(REACH / design.seconds)
    if asked != MapSettings().refits or asked <= within:
        return asked
    if within < ENOUGH:
        return 0
    print(f"{_too_long(design, asked)}: {within} are taken")
    return within


def null_facts(design: Refitting, *, draws: int, seed: int, whole: Conditions) -> dict[str, Any]:
    """What the file says of one space, of which `whole` are the true conditions."""
    rows, groups = held_out(design), sizes(design)
    # in small groups many patterns keep their stimulus by chance, and what they know is no chance
    apart = FEW_MOVED if len(design.ids) < LARGE * len(groups) else 0
    scores, moved = list[tuple[Identified, Found]](), list[tuple[Identified, Found]]()

    def add(found: list[tuple[Identified, Found]], decoded: NDArray[Any]) -> None:
        found.append((identified(decoded, design.truth[rows]), mean_retrieval(decoded, design.truth[rows])))
        bar.update()

    with progress(total=1 + draws + apart, desc=f"null of {whole.space.name}: fitting anew", unit="refit") as bar:
        for decoded in refits(design, draws=draws, seed=seed):
            add(scores, decoded)
        for decoded in islice(refits(design, draws=apart, seed=seed, moved=True), 1, None) if apart else ():
            add(moved, decoded)
    unpaired = moved or scores[1:]
    return {
        "two_way": [float(one.two_way.mean()) for one, _ in scores],
        "top1": [float(one.top1.mean()) for one, _ in scores],
        "moved_two_way": [float(one.two_way.mean()) for one, _ in unpaired],
        "moved_top1": [float(one.top1.mean()) for one, _ in unpaired],
        "moved_error": [one.error for one, _ in unpaired],
        "embedding_retrieval": {
            measure: {"values": [one[measure] for _, one in scores], "moved": [one[measure] for _, one in unpaired]}
            for measure in scores[0][1]
        },
        "groups": groups,
        "targets": design.truth.shape[1],
        "of": int(np.prod(whole.space.shape)),
    }
