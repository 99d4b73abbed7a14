"""The data of a fitted run, opened again: others than it was fitted on are refused, wherever they lie.

    accept(run, settings, data, stages)            before other data are written into a settings.json
    recording = own_data(run, data, settings)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain.data.design import with_standardisation
from brain.data.standardise import SessionScaler
from brain.errors import InputError, expected
from brain.types import STANDARDISATIONS, Recording, Split
from decode.run.content import THEN, held
from decode.run.folder import RunFolder
from decode.run.patterns import folds_of, open_data
from decode.run.settings import Settings, maps_of
from encoders.mappings import load_map

ALIKE = 1e-3
"""How far, in parts of a voxel's spread, the statistics of the very same trials may lie apart after another sum."""


def accept(run: RunFolder, settings: Settings, data: Path, stages: Sequence[str]) -> None:
    """Claims a run for these settings; data at another place are first held against what a fitted one was fitted on.

    What the run cannot go on with, settings or data, is an error that leaves its settings.json as it was.
    """
    run.must_accept(settings, data, stages)
    must_be_its_own(run, data, settings)
    run.claim(settings, data, stages)


def must_be_its_own(run: RunFolder, data: Path, settings: Settings) -> None:
    """Refuses (InputError) data at another place than the run has noted, unless it was fitted on these very trials."""
    if run.card_facts().get("fitted") and not run.has_its_data_at(data):
        own_data(run, data, settings)


def own_data(run: RunFolder, data: Path, settings: Settings) -> Recording:
    """The data of a fitted run, opened: others than it was fitted on, wherever they lie, are an InputError.

    A run of a version that noted no digests knows its data by their place, or by the statistics of its trials.
    """
    recording = with_standardisation(open_data(data, settings.data), standardisation_of(run))
    voxels = run.card_facts().get("data", {}).get("voxels")
    if run.content.is_file() and voxels != len(recording.responses.space):
        what = f"the {voxels} voxels that {run.path} was fitted on"
        raise InputError(expected(recording.source, what, str(len(recording.responses.space)), THEN))
    recording = _of_its_subject(run, held(recording, run), data)
    folds = folds_of(recording, settings.data.split, run)
    if not run.content.is_file() and not run.has_its_data_at(data):
        _must_have_its_statistics(run, recording, folds, settings)
    return recording


def standardisation_of(run: RunFolder) -> str:
    """How a fitted run standardised its trials, by its card; a card that does not say it is an InputError."""
    known = run.card_facts().get("standardisation", {})
    way = known.get("standardise") if isinstance(known, Mapping) else None
    if way not in STANDARDISATIONS:
        found = f"{way!r}" if way else "nothing"
        raise InputError(
            expected(
                run.path / "card.json", f"standardisation by {', '.join(STANDARDISATIONS)}", found,
                "put the card back, or fit again into another --out",
            )
        )  # fmt: skip
    return str(way)


def _of_its_subject(run: RunFolder, recording: Recording, data: Path) -> Recording:
    """The recording under the subject's name that the run knows; another subject is an InputError.

    A file that names no subject is called by its own name. Renamed, it is the same subject if its content is the same.
    """
    responses, known = recording.responses, run.card_facts().get("data", {}).get("subject")
    subject = responses.space.subject
    if known in (None, subject):
        return recording
    if subject == data.stem and run.content.is_file():
        print(f"{data}: by its content these are the data of subject {known}, from whom the file had its name")
        return replace(recording, responses=replace(responses, space=replace(responses.space, subject=known)))
    found, then = f"subject {subject!r}", THEN
    if subject == data.stem:
        found += ", for a file that names no subject is called by its own name"
        then = f"call the file {known}{data.suffix} again, or fit again into another --out"
    raise InputError(expected(recording.source, f"subject {known!r}, on whom {run.path} was fitted", found, then))


def _must_have_its_statistics(run: RunFolder, recording: Recording, folds: Sequence[Split], settings: Settings) -> None:
    """Refuses (InputError) trials whose means and spreads are not those that a mapping holds."""
    for name in maps_of(settings.maps):
        mapping, responses = load_map(run.map(name, folds[0].name)), recording.responses
        unit, known = responses.space.unit, mapping.scaler
        mine = responses.voxels(responses.space.columns_of(replace(mapping.voxels, unit=unit)))
        found = SessionScaler.fit(mine, mine.of(folds[0].train))
        same = np.array_equal(found.sessions, known.sessions) and unit == mapping.unit
        alike = [(found.mean, known.mean), (found.std, known.std)]
        if not same or not all(np.isclose(one, other, atol=ALIKE * known.std).all() for one, other in alike):
            what = f"the trials that {run.path} was fitted on"
            raise InputError(expected(recording.source, what, "other responses to its stimuli", THEN))
