"""The null of a run in folds, RUN/report/null.json: what its mappings decode from permuted patterns.

    {"spaces": {"pixels": {"two_way": [...], "top1": [...], "error": [...], "targets": 256, "of": 4096}, ...},
     "absent": {"clip-text": "why"}, "within": 4, "stimuli": 20}

The first number of each list is that of the true assignment, the others are refits (`encoders.refit`). `error` is the
standard error that the stimuli of a refit claim for its two-way identification: what the refits really spread, over
that, says how much too narrow such an interval is in folds. `within`: in how many groups patterns change places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brain.progress import progress
from brain.types import Recording, Split
from decode.checks import columns_of
from decode.ladder import MOST_TELLING
from decode.run_folder import RunFolder
from decode.settings import Settings, needed_maps
from encoders.conditions import Conditions
from encoders.mapping import MappingSettings
from encoders.refit import Design, design_of, held_out, refits
from encoders.ridge import RidgeSettings
from encoders.spaces import Space
from encoders.storage import write_json
from evaluation.conditions import Identified, identified
from evaluation.folds import NULL

REACH = 300.0
"""Seconds that refits may take on one core, by estimate."""
ENOUGH = 99
"""Refits below which fewer than were asked for are not taken in silence."""


def write_null(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    true: Mapping[str, Conditions],
    *,
    spaces: Mapping[str, Space],
    ridge: RidgeSettings,
    settings: Settings,
) -> None:
    """Writes the file, or finds it there; nothing for one split. Ridges alone are fitted anew, of the likely spaces."""
    path = run.report / NULL
    if len(folds) < 2 or path.is_file():
        return
    found, absent, groups = {}, {}, 0
    for name in [*(one for one in MOST_TELLING if one in true), *(one for one in true if one not in MOST_TELLING)]:
        if settings.fit.mapping != "ridge":
            absent[name] = f"--mapping {settings.fit.mapping} trains networks, which are not trained anew"
            continue
        if not settings.fit.refits:
            absent[name] = "--refits 0 leaves them out"
            continue
        columns = columns_of(recording, needed_maps(settings.fit)[name])
        design = design_of(
            recording.responses.voxels(columns), true[name], folds=folds, settings=MappingSettings(ridge=ridge),
            restoration=spaces[name].restoration, single=settings.fit.trials == "single",
        )  # fmt: skip
        groups = len(np.unique(design.blocks))
        draws = affordable(design, settings.fit.refits)
        if draws:
            found[name] = _null(design, draws=draws, seed=settings.machine.seed, name=name, whole=true[name])
        else:
            minutes = design.seconds * settings.fit.refits / 60
            absent[name] = (
                f"{settings.fit.refits} refits would take about {minutes:.0f} minutes; --refits asks for fewer"
            )
    stimuli = len({name for fold in folds for name in (*fold.train, *fold.test)})
    write_json(path, {"spaces": found, "absent": absent, "within": groups, "stimuli": stimuli})


def affordable(design: Design, asked: int) -> int:
    """How many refits are taken of those asked for: all within reach, or as many as are, if ENOUGH; else none."""
    within = int(REACH / design.seconds)
    return asked if asked <= within else within * (within >= ENOUGH)


def _null(design: Design, *, draws: int, seed: int, name: str, whole: Conditions) -> dict[str, Any]:
    rows, scores = held_out(design), list[Identified]()
    for decoded in progress(
        refits(design, draws=draws, seed=seed), total=1 + draws, desc=f"null of {name}: fitting anew", unit="refit"
    ):
        scores.append(identified(decoded, design.truth[rows]))
    return {
        "two_way": [float(one.two_way.mean()) for one in scores],
        "top1": [float(one.top1.mean()) for one in scores],
        "error": [one.error for one in scores],
        "targets": design.truth.shape[1],
        "of": int(np.prod(whole.space.shape)),
    }
