"""From posteriors to what is drawn from: conditions, a start, an anchor, and candidates as they look or sound.

    conditions_of(readings, said, decoded, own=own, start="vae-latent", anchor=False)      # all of these together
    spoken(readings, said, text, drawn_from="maximum")     # the conditions of a space that candidates are compared in
    started(readings, said, latents, share=0.7)            # latents mixed with those of likely candidates
    anchored(readings, said, latents)                      # the latent of the most likely candidate itself
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from brain.data.correlation import with_row
from brain.errors import InputError, expected
from brain.types import Float, Stimuli
from decode.methods._parts.bayes import Readings, Said, bank_folder, evidence_name
from decode.run.showing import Show
from encoders.conditions import Conditions
from encoders.voxelwise.bank_items import open_item
from pipelines.generators.sound_anchored import ANCHOR

ALIKE = 30.0
"""How much a correlation of latents counts beside the log of a candidate's share, where they are mixed."""


def conditions_of(
    readings: Readings, said: Mapping[str, Said], decoded: Mapping[str, Conditions], *, own: Any, start: str,
    anchor: bool, mixed: bool = True,
) -> dict[str, Conditions]:  # fmt: skip
    """Space -> what is drawn from.

    decoded  space -> what maps predict of the stimuli; own: settings of the method
    start    the space that sampling starts in, where it is decoded; `anchor`: at the most likely candidate itself
    mixed    whether the ridge has its share
    """
    compared = readings.features(next(iter(said.values())).fold).spaces
    found = {
        space: spoken(readings, said, decoded[space], drawn_from=own.drawn_from, mixed=mixed) for space in compared
    }
    if start in decoded and anchor:
        found[ANCHOR] = anchored(readings, said, decoded[start])
    elif start in decoded:
        found[start] = started(readings, said, decoded[start], share=own.start_mix)
    return found


def by_seed(
    readings: Readings, given: Mapping[str, Conditions], ids: Sequence[str], seeds: Sequence[int], *, own: Any,
    start: str, anchor: bool,
) -> tuple[dict[str, Conditions], list[str]]:  # fmt: skip
    """Conditions of samples, each from a candidate of its own, which its seed draws from the posterior of its stimulus.

    given  space -> what maps predict of the stimuli, and their evidence
    Returns space -> Conditions, and the samples' names among them (sample,).
    """
    evidence = given[evidence_name(readings.method)]
    folds = {name: fold for fold, tested in readings.run.card_facts()["tested"].items() for name in tested}
    wanted: dict[str, list[int]] = {}
    for name, seed in zip(ids, seeds, strict=True):
        wanted.setdefault(name, []).append(seed)
    found = readings.said(
        {name: folds[name] for name in wanted}, evidence, sharpness=own.sharpness, keep=1, seeds=wanted
    )  # fmt: skip
    names = [f"{name}#{seed}" for name, seed in zip(ids, seeds, strict=True)]
    said = {
        f"{name}#{seed}": replace(found[name], drawn=int(candidate))
        for name, own_seeds in wanted.items()
        for seed, candidate in zip(own_seeds, found[name].found.drawn[found[name].row].tolist(), strict=True)
    }
    rest = {space: one for space, one in given.items() if space != evidence.space.name}
    keys = tuple(dict.fromkeys(names))
    whose = [key.rpartition("#")[0] for key in keys]
    decoded = {space: replace(one, values=one.values[one.rows(whose)], ids=keys) for space, one in rest.items()}
    asked = replace(own, drawn_from="maximum")
    return decoded | conditions_of(readings, said, decoded, own=asked, start=start, anchor=anchor), names


def spoken(
    readings: Readings, said: Mapping[str, Said], ridge: Conditions, *, drawn_from: str, mixed: bool = True
) -> Conditions:
    """What is drawn from in a space that candidates are compared in: the posterior's mean, or its most likely candidate
    ("maximum"), encoded anew where it can be, `mixed` with a ridge's prediction, `ridge`, as the reading says. Anything
    else is a ValueError: a candidate a seed is drawn by `by_seed`."""
    if drawn_from not in ("mean", "maximum"):
        raise ValueError(f"expected mean or maximum, found {drawn_from!r}")
    rows, space = [], ridge.space.name
    likeliest = _anew(readings, said, ridge.ids, space) if drawn_from == "maximum" else {}
    for name in ridge.ids:
        one = said[name]
        components = readings.candidates(one.fold).spaces[space]
        if name in likeliest:
            condition = likeliest[name]
        elif drawn_from == "maximum":
            condition = components.conditions(components.coordinates[one.best][None])[0]
        else:
            mean = readings.features(one.fold).part(one.found.mean[one.row][None], space)
            condition = components.conditions(mean)[0]
        share = np.float64(readings.reading(one.fold).mixture if mixed else 0)
        own = ridge.values[ridge.rows([name])[0]].astype(np.float64)
        rows.append((1 - share) * condition + share * own)
    return Conditions(space=ridge.space, values=np.asarray(rows, np.float32), ids=ridge.ids)


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
        rows_of, shares = one.likely
        likely = space.conditions(space.coordinates[rows_of]).astype(np.float64)
        mean = space.mean.astype(np.float64).reshape(own.shape)
        apart = (likely - mean).astype(np.float32).reshape(len(likely), -1)
        alike = with_row(apart, (own - mean).astype(np.float32).reshape(-1))
        log = np.log(np.maximum(shares, np.finfo(np.float64).tiny)) + ALIKE * alike
        weights = np.exp(log - log.max())
        picture = np.tensordot(weights / weights.sum(), likely, 1)
        mixed = share * picture + (1 - share) * own
        rows.append(mixed * (own.std() / mixed.std()))
    return Conditions(space=latents.space, values=np.asarray(rows, np.float32), ids=latents.ids)


def anchored(readings: Readings, said: Mapping[str, Said], latents: Conditions) -> Conditions:
    """The latent of the most likely candidate of each stimulus of `latents`; of a bank that has none, `latents`."""
    found = _anew(readings, said, latents.ids, latents.space.name)
    rows = [found.get(name, latents.values[latents.rows([name])[0]]) for name in latents.ids]
    return Conditions(space=latents.space, values=np.asarray(rows, np.float32), ids=latents.ids)


def shown_candidate(readings: Readings, said: Said, stimuli: Stimuli, show: Show) -> Any:
    """What the most likely candidate looks or sounds like, as stimuli are shown; of a caption alone an InputError."""
    bank, row = readings.candidates(said.fold), said.best
    name = bank.ids[row]
    if bank_folder(readings.bank, readings.stack) is None:
        return show(stimuli, name)
    item = open_item(bank, row)
    if item is None:
        then = "leave the row likely out, or build the bank of --images"
        raise InputError(expected(f"bank {bank.where}", f"a picture of {name}", "a caption alone", then))
    alone = Stimuli(ids=(name,), modality=stimuli.modality, opener=lambda _: item)
    return show(alone, name)


def _anew(readings: Readings, said: Mapping[str, Said], names: Sequence[str], space: str) -> dict[str, Float]:
    """Stimulus -> the condition of its most likely candidate, of those that can be encoded anew."""
    found: dict[str, Float] = {}
    for fold in dict.fromkeys(said[name].fold for name in names):
        own = [name for name in names if said[name].fold == fold]
        made = readings.anew(readings.candidates(fold), [said[name].best for name in own], space)
        found |= {name: made[said[name].best] for name in own if said[name].best in made}
    return found
