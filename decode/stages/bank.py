"""Banks of candidates: built on a stack, and checked against a stack and a study's test stimuli.

    build(Path("bank"), stack="miniature-image", items=drawn_items(20_000, seed=987_654, modality="image"))
    check(Path("bank"), stack="miniature-image", data=Path("data/simulated"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brain.errors import InputError, UsageError, expected
from brain.types import Stimuli
from decode.run.patterns import folds_of, open_data
from decode.run.settings import DataSettings
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE as SPACES
from encoders.voxelwise.bank_guard import looked_at, refuse_tested, words_known
from encoders.voxelwise.bank_items import Items
from encoders.voxelwise.banks import COMPONENTS, Bank, build_bank
from pipelines.stacks.find import resolve

LATENTS = 64
"""Components of a latent that are kept: where sampling starts is noised, so that finer ones are lost anyway."""


def spaces_for(items: Items, *, stack: str) -> tuple[str, ...]:
    """The spaces that these items can be encoded in on that stack: captions where all have one, what is shown where
    it can be opened."""
    folder, stimuli = resolve(stack, numbers=False), items.stimuli
    said, shown = all(one in stimuli.captions for one in stimuli.ids), "captions" not in items.source
    able = [
        one.name
        for one in SPACES
        if one.modality == stimuli.modality
        and one.component in folder.components
        and (said if one.captioned else shown)
    ]
    return tuple(sorted(able, key=lambda name: -SPACES[name].telling))


def build(
    out: Path, *, stack: str, items: Items, spaces: tuple[str, ...] = (), components: int = COMPONENTS,
    latents: int = LATENTS, device: str = "cpu", seed: int = 0,
) -> Bank:  # fmt: skip
    """Builds a bank of these items on that stack, or goes on with it. Spaces that they have not: UsageError.

    spaces      none: all that these items can be encoded in
    components  how many of a condition are kept, `latents` how many of a latent that is noised
    """
    able = spaces_for(items, stack=stack)
    strange = [name for name in spaces if name not in able]
    if strange or not able:
        found = f"{', '.join(strange) or 'none'}; these items have {', '.join(able) or 'no space on this stack'}"
        raise UsageError(expected("--spaces", f"spaces of {stack} for these items", found, "correct it"))
    folder = resolve(stack)
    opened = {
        name: SPACES[name].open(folder.path, model=folder.model, revision=folder.revision, device=device)
        for name in spaces or able
    }
    kept = {name: latents if SPACES[name].noised else components for name in opened}
    return build_bank(
        out, opened, items.stimuli, source=items.source, licence=items.licence, components=kept, files=items.files,
        seed=seed,
    )  # fmt: skip


def check(folder: Path, *, stack: str = "", data: Path | None = None) -> list[str]:
    """Lines on a bank that can be read; with a stack whether it is of that one, with data that no test stimulus is in
    it."""
    bank = Bank.load(folder)
    facts = bank.facts()
    lines = [f"{folder}: {len(bank)} items of {_said(bank.source)}, licence: {bank.licence}, sha256 {bank.digest[:12]}"]
    for name, one in facts["spaces"].items():
        card = bank.spaces[name].card
        lines.append(f"{name} of {card.model}: {one['components']} components, {one['kept']:.1%} of the variance")
        if stack:
            place = resolve(stack)
            if SPACES[name].component and SPACES[name].component not in place.components:
                found = f"{name} of {card.model}, which {stack} does not have"
                raise InputError(expected(folder, f"a bank of {stack}", found, "name its own --stack"))
            there = SPACES[name].open(place.path, model=place.model, revision=place.revision, device="cpu").card
            bank.must_be_of(there, where=folder)
        if SPACES[name].captioned:
            said = len(set(bank.captions))
            told_apart = len(np.unique(bank.spaces[name].coordinates, axis=0))
            if told_apart < said:
                why = "it does not know all their words, or cuts long ones short"
                lines.append(f"{name}: {said} different captions have {told_apart} different conditions: {why}")
    lines.append(f"labels: {', '.join(bank.labels) or 'none, so that no marginals are computed'}")
    if data is not None:
        recording = open_data(data, DataSettings())
        tested = sorted({name for fold in folds_of(recording, "") for name in fold.test})
        if recording.stimuli.modality not in {SPACES[name].modality for name in bank.spaces}:
            raise InputError(expected(data, "stimuli that the bank is of", recording.stimuli.modality, "give others"))
        true = _true(bank, recording.stimuli, tested, stack=stack)
        refuse_tested(bank, recording.stimuli, tested, true=true, simulated=recording.simulated)
        unlooked = looked_at(bank, true) if stack else "what items look or sound like was not compared: name --stack"
        lines += [unlooked] if unlooked else []
        lines.append(words_known(bank, recording.stimuli, tested))
    return lines


def _true(bank: Bank, stimuli: Stimuli, tested: Sequence[str], *, stack: str) -> dict[str, Conditions]:
    """True conditions of the test stimuli in the bank's spaces of what is shown, on a stack that is named."""
    if not stack:
        return {}
    place = resolve(stack)
    shown = [name for name in bank.spaces if not SPACES[name].captioned]
    return {
        name: SPACES[name]
        .open(place.path, model=place.model, revision=place.revision, device="cpu")
        .encode(stimuli, tested, batch=64)
        for name in shown
    }


def _said(source: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in source.items())
