"""The runs of a BIDS-like folder: which events belong to which series, how long a volume takes, and its voxels' values.

sub-01/[ses-01/]func/sub-01_task-listen_run-01_events.tsv
sub-01/[ses-01/]func/sub-01_task-listen_run-01_bold.h5       key "data" (time, voxel), as LeBel et al. (2023) store it
                    or ..._bold.nii.gz, there or in derivatives/*/sub-01/..., with more words before _bold
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, expected
from brain.files import hdf5
from brain.files.json_files import is_number, read_json
from brain.files.nifti import Grid, on_grid, read_header, read_volume
from brain.files.paths import listed, optional
from brain.types import Float, Int

SERIES_ENDINGS = (".h5", ".hf5", ".hdf5", ".nii.gz", ".nii")
KEY = "data"
UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
TR_NEAR = 0.01
"""The share by which two statements of the TR may differ."""
LONGEST_TR_S = 60.0
"""Seconds: a repetition time above is in milliseconds, or none."""
LIMIT = 32 * 2**30
"""Bytes that a series may take in memory."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: `session` counts from 1, `label` is such as "ses-01 run-02", `sidecar` what the JSON beside it says."""

    subject: str
    session: int
    label: str
    events: Path
    series: Path
    sidecar: Mapping[str, Any]

    @property
    def is_nifti(self) -> bool:
        """Whether the series is an image, not a matrix."""
        return ".nii" in self.series.name


def root_of(path: Path) -> Path | None:
    """The folder that holds sub-*: `path` or its `bids`; None where neither has events. Never raises."""
    return next((root for root in (path, path / "bids") if _events_in(root)), None)


def _events_in(root: Path) -> list[Path]:
    return listed(root, "sub-*/func/*_events.tsv", "sub-*/ses-*/func/*_events.tsv")


def find_runs(root: Path, subject: str, *, series: str = "") -> tuple[Run, ...]:
    """The subject's runs in the order of their names; `series` is a text that the series' name must contain.

    Sessions keep their numbers where all are numbers, else they are counted. A run without a series, or with several,
    and a run that is there twice are an InputError.
    """
    found = [events for events in _events_in(root) if events.relative_to(root).parts[0] == subject]
    _refuse_twice(root, found)
    sessions = sorted({_entity(events, "ses") for events in found})
    counted = all(session.isdigit() for session in sessions)
    runs = []
    for events in found:
        path = _series_of(root, events, series)
        session = _entity(events, "ses")
        words = [part for part in events.name.split("_")[1:-1] if part.startswith(("ses-", "run-"))]
        runs.append(
            Run(
                subject=subject,
                session=int(session) if counted else sessions.index(session) + 1,
                label=" ".join(words) or events.name.removesuffix("_events.tsv"),
                events=events,
                series=path,
                sidecar=_sidecar(root, events, path),
            )
        )
    return tuple(runs)


def _refuse_twice(root: Path, found: Sequence[Path]) -> None:
    """A run whose events lie there twice, under a session's folder and above it or as run-1 and run-01, is one run."""
    seen: dict[str, Path] = {}
    for events in found:
        run = re.sub(r"-0+(?=\d)", "-", events.name)
        first = seen.setdefault(run, events)
        if first != events:
            came = f"two, {first.relative_to(root)} and {events.relative_to(root)}"
            then = "take one away, or give each its own session and run"
            raise InputError(expected(root, f"one file of the events of {run.removesuffix('_events.tsv')}", came, then))


def subjects_in(root: Path) -> tuple[str, ...]:
    """The subjects that have events, such as ("sub-01",)."""
    return tuple(sorted({events.relative_to(root).parts[0] for events in _events_in(root)}))


def _entity(path: Path, name: str) -> str:
    return next((part.removeprefix(f"{name}-") for part in path.name.split("_") if part.startswith(f"{name}-")), "")


def _series_of(root: Path, events: Path, asked: str) -> Path:
    stem = events.name.removesuffix("_events.tsv")
    beside = events.parent.relative_to(root)
    for folders in ([events.parent], listed(root, f"derivatives/*/{beside.as_posix()}")):
        found = [
            path
            for folder in folders
            for path in listed(folder, f"{stem}_*")
            if path.name.endswith(tuple(f"_bold{ending}" for ending in SERIES_ENDINGS)) and asked in path.name
        ]
        if len(found) == 1:
            return found[0]
        if found:
            came = f"{len(found)}, such as {found[0].name} and {found[1].name}"
            raise InputError(expected(events, "one series of its run", came, "choose with --fields series=TEXT"))
    then = "put the series beside the events" if not asked else "correct --fields series=TEXT"
    raise InputError(expected(events, f"a series {stem}_bold.nii.gz or .h5", "none", then))


def _sidecar(root: Path, events: Path, series: Path) -> dict[str, Any]:
    """What is said of the series, by BIDS' inheritance: every *_bold.json above it whose entities are all its own.

    From the root down, of one folder those with fewer entities first; what is said nearer to the series goes before
    what is said farther off; the JSON of a derivative's series goes before all.
    """
    stem = events.name.removesuffix("_events.tsv")
    ending = next(ending for ending in SERIES_ENDINGS if series.name.endswith(ending))
    own = series.with_name(series.name.removesuffix(ending) + ".json")
    folders = [root, *(events.parent.parents[n] for n in range(len(events.parent.relative_to(root).parts) - 1))][::-1]
    above = sorted({*folders, events.parent}, key=lambda folder: len(folder.parts))
    places = [
        place
        for folder in above
        for place in sorted(listed(folder, "*bold.json"), key=lambda place: place.name.count("_"))
        if set(place.name.removesuffix("bold.json").strip("_").split("_")) - {""} <= set(stem.split("_"))
    ]
    facts: dict[str, Any] = {}
    for place in [*places, own]:
        if optional(place, what="the sidecar of a series") is not None:
            facts |= read_json(place, what="a JSON object", then="correct it")
    return facts


def tr_of(run: Run, asked: float) -> float:
    """Seconds from volume to volume: `asked` where it is not 0, else what sidecar and header say, which must agree."""
    if asked:
        return asked
    known = known_trs(run)
    if not known:
        then = "write RepetitionTime in the JSON beside it, or give --fields tr_s=SECONDS"
        raise InputError(expected(run.series, "a repetition time", "none in sidecar or header", then))
    low, high = min(known.values()), max(known.values())
    if high - low > TR_NEAR * low:
        came = " and ".join(f"{tr:g} s in {who}" for who, tr in known.items())
        raise InputError(
            expected(run.series, "one repetition time", came, "correct one, or give --fields tr_s=SECONDS")
        )
    who, tr = next(iter(known.items()))
    if tr > LONGEST_TR_S:
        then = "correct it, or give --fields tr_s=SECONDS"
        want = f"a repetition time of at most {LONGEST_TR_S:g} s"
        raise InputError(expected(run.series, want, f"{tr:g} s (milliseconds?) in {who}", then))
    return tr


def known_trs(run: Run) -> dict[str, float]:
    """Who says what the repetition time is, in seconds: sidecar and header, where they do; a text is an InputError."""
    said = run.sidecar.get("RepetitionTime")
    if _unclear(run):
        found = f"{said!r}" + (" (milliseconds?)" if is_number(said) and said > LONGEST_TR_S else "")
        want = f"RepetitionTime in seconds, a number up to {LONGEST_TR_S:g}"
        then = "correct it, or give --fields tr_s=SECONDS"
        raise InputError(expected(f"{run.series}, its JSON sidecar", want, found, then))
    trs = {"the JSON sidecar": said, "the NIfTI header": _header_tr(run)}
    return {who: float(tr) for who, tr in trs.items() if tr is not None and np.isfinite(tr) and tr > 0}


def contradicted(runs: Sequence[Run], tr_s: float) -> tuple[str, ...]:
    """Sentences where a repetition time that was asked for is not what sidecars or headers say, and of which runs."""
    found: dict[str, list[str]] = {}
    for run in runs:
        said = {} if _unclear(run) else known_trs(run)
        others = [f"{tr:g} s in {who}" for who, tr in said.items() if abs(tr - tr_s) > TR_NEAR * tr]
        if others:
            found.setdefault(" and ".join(others), []).append(run.label)
    return tuple(
        f"the repetition time is {tr_s:g} s as asked for, against {others}"
        + (f" of {', '.join(labels)}" if len(labels) < len(runs) else "")
        for others, labels in found.items()
    )


def _unclear(run: Run) -> bool:
    """Does the sidecar say something that is no repetition time? Where another was asked for it is not looked at."""
    said = run.sidecar.get("RepetitionTime")
    return said is not None and (not is_number(said) or not 0 < said <= LONGEST_TR_S)


def _header_tr(run: Run) -> float | None:
    if not run.is_nifti:
        return None
    header = read_header(run.series)[1]
    zooms = header.get_zooms()
    scale = UNITS.get(header.get_xyzt_units()[1])
    return float(zooms[3]) * scale if len(zooms) > 3 and scale else None


def shape_of(run: Run) -> tuple[int, ...]:
    """(time, voxel) of a matrix, (X, Y, Z, time) of an image; read from the header alone."""
    if run.is_nifti:
        shape = read_header(run.series)[0]
        if len(shape) != 4:
            raise InputError(expected(run.series, "a 4-D series (X, Y, Z, time)", f"{shape}", "give the whole series"))
        return shape
    with hdf5.open_hdf5(run.series, [KEY], streamed=[KEY]) as data:
        if KEY not in data:
            raise InputError(expected(f"{run.series}, {KEY}", "(time, voxel)", "a group", "store the series there"))
        shape, kind = tuple(int(length) for length in data[KEY].shape), data[KEY].dtype.kind
    if len(shape) != 2 or 0 in shape or kind not in "iuf":
        raise InputError(expected(f"{run.series}, {KEY}", "numbers (time, voxel)", f"{shape}", "store time as rows"))
    return shape


def volumes_of(run: Run) -> int:
    """How many volumes the series has."""
    shape = shape_of(run)
    return shape[3] if run.is_nifti else shape[0]


def read_values(run: Run, ijk: Int | None, *, voxels: int, grid: Grid | None) -> Float:
    """(time, voxel) float32 of a run. Of an image the voxels `ijk` (voxel, 3) of `grid`; of a matrix all columns."""
    shape = shape_of(run)
    if not run.is_nifti:
        if shape[1] != voxels:
            came = f"{shape[1]} columns"
            raise InputError(
                expected(run.series, f"{voxels} voxels as the regions have", came, "give files of one subject")
            )
        with hdf5.open_hdf5(run.series, [KEY]) as data:
            return np.asarray(data[KEY][()], np.float32)
    if ijk is None or grid is None:
        raise InputError(expected(run.series, "series of one kind", "a NIfTI among matrices", "give one kind"))
    claims = int(np.prod(shape, dtype=np.int64)) * 4
    if claims > LIMIT:
        raise InputError(expected(run.series, f"a volume below {LIMIT} bytes", f"{claims}", "check the file"))
    return np.ascontiguousarray(on_grid(read_volume(run.series), grid)[tuple(ijk.T)].T.astype(np.float32))
