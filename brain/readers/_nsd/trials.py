"""Who saw what when in NSD: the design file, held against responses.tsv row by row. 1-based becomes 0-based here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.averages import count_repeats
from brain.data.nsd_facts import SESSION_TRIALS, SHARED
from brain.errors import InputError, expected
from brain.files.mat import read_mat
from brain.files.paths import optional
from brain.files.tables import read_records
from brain.types import Bool, Int

DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"
STIM_INFO = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"


@dataclass(frozen=True, kw_only=True)
class Trials:
    """The stimulus trials of one subject, in the order in which they were shown.

    session  (trial,) int64, 1-based
    place    (trial,) int64, 0-based place in the session: the row of the session's betas
    nsd      (trial,) int64, nsdId, 0-based: the row of imgBrick
    shared   (trial,) bool, one of the images that all subjects were to see
    repeat   (trial,) int64, 0 for the first showing to this subject
    """

    session: Int
    place: Int
    nsd: Int
    shared: Bool
    repeat: Int

    def take(self, rows: NDArray[Any]) -> Trials:
        """Only these trials, `rows` (trial,); places and repeats keep their meaning."""
        return Trials(
            session=self.session[rows],
            place=self.place[rows],
            nsd=self.nsd[rows],
            shared=self.shared[rows],
            repeat=self.repeat[rows],
        )


def responses_path(root: Path, subject: str) -> Path:
    """Where a subject's behaviour lies."""
    return root / "nsddata/ppdata" / subject / "behav/responses.tsv"


def read_trials(root: Path, subject: str) -> Trials:
    """Every trial of the sessions that `subject` did, by the design and by responses.tsv alike.

    The first row in which the two differ is named in an InputError.
    """
    shown = read_responses(responses_path(root, subject))
    planned = planned_trials(root, subject)
    done = np.isin(planned.session, np.unique([session for session, _ in shown]))
    trials = planned.take(np.flatnonzero(done))
    _check_same(responses_path(root, subject), trials, shown)
    return trials


def planned_trials(root: Path, subject: str) -> Trials:
    """Every trial that the design file plans for `subject`, whether or not it was run."""
    design = _load_design(root / DESIGN)
    order = design["masterordering"].ravel()
    index = int(subject.removeprefix("subj")) - 1
    images = design["subjectim"]
    if not 0 <= index < len(images) or order.min() < 1 or order.max() > images.shape[1]:
        came = f"{images.shape} with orders {order.min()}..{order.max()}"
        raise InputError(expected(root / DESIGN, f"images of {subject}", came, "fetch the design file again"))
    session, place = _sessions(design["stimpattern"], len(order))
    nsd = images[index, order - 1][: len(session)] - 1
    _check_shared(root / DESIGN, design["sharedix"], nsd=nsd, shared=order[: len(session)] <= SHARED)
    return Trials(
        session=session, place=place, nsd=nsd, shared=order[: len(session)] <= SHARED, repeat=count_repeats(nsd)
    )


def _load_design(path: Path) -> dict[str, Int]:
    names = ("masterordering", "subjectim", "sharedix", "stimpattern")
    found = read_mat(path, names, what="NSD's design file", then="fetch nsddata/experiments/nsd again")
    missing = [name for name in names[:3] if name not in found or not found[name].size]
    if missing or found["subjectim"].ndim != 2:
        what = missing[0] if missing else "subjectim (subject, image)"
        raise InputError(expected(path, what, "a file without it", "fetch nsd_expdesign.mat again"))
    for name, values in found.items():
        if values.dtype.kind == "f" and not (values == np.rint(values)).all():
            raise InputError(expected(f"{path}, {name}", "whole numbers", "others", "fetch nsd_expdesign.mat again"))
    if not np.isin(found.get("stimpattern", 0), (0, 1)).all():
        raise InputError(expected(f"{path}, stimpattern", "0 and 1", "others", "fetch nsd_expdesign.mat again"))
    return {name: np.asarray(found.get(name, ()), np.int64) for name in names}


def _sessions(stimpattern: Int, planned: int) -> tuple[Int, Int]:
    """Two (trial,): the session and the place in it of each trial, from the design's own counts of stimulus trials."""
    if stimpattern.ndim == 3:
        counts = stimpattern.sum(axis=(1, 2))
    else:
        counts = np.full(planned // SESSION_TRIALS, SESSION_TRIALS)
    counts = counts[np.cumsum(counts) <= planned]
    session = np.repeat(np.arange(1, len(counts) + 1), counts)
    place = np.concatenate([np.arange(count) for count in counts]) if len(counts) else np.zeros(0)
    return session.astype(np.int64), place.astype(np.int64)


def _check_shared(path: Path, sharedix: Int, *, nsd: Int, shared: Bool) -> None:
    strange = np.setdiff1d(nsd[shared], sharedix.ravel() - 1)
    if strange.size:
        came = f"73KID {int(strange[0]) + 1}, which is not among them"
        raise InputError(expected(path, "shared images from sharedix", came, "fetch the design file again"))


def read_responses(path: Path) -> list[tuple[int, int]]:
    """(SESSION, 73KID) of every row of a responses.tsv, both 1-based as they stand there."""
    table = read_records(path, needed=("SESSION", "73KID"), then="fetch nsddata/ppdata/<subject>/behav again")
    rows = [(_whole(row["SESSION"], path, n), _whole(row["73KID"], path, n)) for n, row in enumerate(table, start=1)]
    if not rows:
        raise InputError(expected(path, "a row for each trial", "none", "fetch responses.tsv again"))
    return rows


def _whole(text: str | None, path: Path, row: int) -> int:
    try:
        number = float(text or "")
        if not math.isfinite(number) or number != int(number):
            raise ValueError(text)
    except ValueError as error:
        raise InputError(expected(f"{path}, row {row}", "whole numbers", repr(text), "fetch it again")) from error
    return int(number)


def _check_same(path: Path, trials: Trials, shown: list[tuple[int, int]]) -> None:
    planned = zip(trials.session.tolist(), (trials.nsd + 1).tolist(), trials.place.tolist(), strict=True)
    for row, ((session, image, place), came) in enumerate(zip(planned, shown, strict=False), start=1):
        if (session, image) != came:
            raise InputError(
                expected(
                    f"{path}, row {row}",
                    f"session {session} and 73KID {image}, as nsd_expdesign.mat has for its trial {place + 1}",
                    f"session {came[0]} and 73KID {came[1]}",
                    "one of the two files is not this data set's: fetch both again",
                )
            )
    if len(shown) != len(trials.nsd):
        came_rows = f"{len(shown)}"
        raise InputError(expected(path, f"{len(trials.nsd)} rows", came_rows, "fetch responses.tsv again"))


def check_stim_info(root: Path, trials: Trials) -> None:
    """Hold the csv's shared1000 column against the design for every image of `trials`; no csv is no complaint."""
    path = root / STIM_INFO
    if optional(path, what="NSD's table of stimuli") is None:
        return
    says = _read_shared(path)
    for image, shared in zip(trials.nsd.tolist(), trials.shared.tolist(), strict=True):
        if says.get(image) is not shared:
            came = "no row" if image not in says else f"shared1000 {says[image]}"
            raise InputError(expected(f"{path}, nsdId {image}", f"shared1000 {shared}", came, "fetch the csv again"))


def _read_shared(path: Path) -> dict[int, bool]:
    """nsdId (0-based) -> shared1000 of every row of the csv."""
    table = read_records(path, needed=("nsdId", "shared1000"), mark=",", quoted=True, then="fetch the csv again")
    return {
        _whole(row["nsdId"], path, number): row["shared1000"] in ("True", "TRUE", "1")
        for number, row in enumerate(table, start=1)
    }
