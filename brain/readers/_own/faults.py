"""What is wrong with a file of the own-data format, part by part."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from brain.data.validity import must_be_measured
from brain.errors import InputError
from brain.readers._own.fields import ArrayFile
from brain.readers._own.splits import halves_of, stored_split
from brain.readers._own.stimuli import described, stimulus_of
from brain.readers._own.values import check_digest, check_turned, ids_of, integers_of, responses_of, text_of
from brain.readers._own.voxels import affine_of, ncsnr_of, regions_of, space_of, usable_in


def faults_of(source: ArrayFile) -> tuple[str, ...]:
    """What is wrong with the parts of the file, each read by itself: one sentence a part."""
    found: list[str] = []

    def tried(part: Callable[[], Any]) -> Any:
        try:
            return part()
        except InputError as error:
            found.append(str(error))
            return None

    tried(partial(check_digest, source))
    for name in ("subject", "betas", "unit", "simulated"):
        tried(partial(text_of, source, name, ""))
    tried(partial(affine_of, source))
    values = tried(partial(responses_of, source))
    if values is None:
        return tuple(found)
    before = len(found)
    tried(partial(check_turned, source, *values.shape))
    values = values.T if len(found) > before else values  # of turned ones the other parts are no fault
    trials, voxels = values.shape
    kept = tried(partial(must_be_measured, values, source.path))
    ones = np.ones(trials, np.int64)
    whole = [tried(partial(integers_of, source, name, trials, ones)) for name in ("session", "repeat")]
    tried(partial(space_of, source, voxels))
    tried(partial(regions_of, source, voxels, np.ones(voxels, np.bool_)))
    usable = None
    if kept is not None and whole[0] is not None:
        usable = tried(partial(usable_in, source.path, values[kept], whole[0][kept]))
    # of voxels of which nobody knows whether they are used the noise ceiling may be anything
    tried(partial(ncsnr_of, source, voxels, np.zeros(voxels, np.bool_) if usable is None else usable[0]))
    if "group" in source:
        tried(partial(ids_of, source, "group", trials))
    ids = tried(partial(ids_of, source, "stimulus", trials)) if "stimulus" in source else None
    stimulus = tried(partial(stimulus_of, source, trials))
    if stimulus is None and ids is not None:
        tried(partial(described, source, tuple(sorted(set(ids.tolist()))), None, "image"))
    shown = ids if stimulus is None else stimulus[0]
    halves = tried(partial(halves_of, source))
    if shown is not None and halves is not None:
        names = frozenset(shown.tolist())
        for name, lists in sorted(halves.items()):
            tried(partial(stored_split, source, name, lists, read=(), shown=names))
    return tuple(dict.fromkeys(found))
