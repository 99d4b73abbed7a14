"""Reads time series with events, BIDS-like: what was heard when, and the volumes. How to: docs/howto/sound_data.md.

Every window of every sound becomes one row: the mean of the volumes that were taken from `lag_s` after its beginning
on, for as long as it lasts. The series is cleared of drift and z-scored per run before; both look at all volumes of a
run and at no label. Everything is in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brain.console.progress import progress
from brain.data.averages import count_repeats
from brain.data.clips import clip_of
from brain.errors import InputError, UsageError, counted, expected
from brain.files.json_files import is_number
from brain.readers import Inspection
from brain.readers._bdata.file import holds_bdata
from brain.readers._parts.auditory import regions_of
from brain.readers._parts.sessions import choose_subject, chosen, is_yes, read_settings
from brain.readers._parts.sounds import Clips, find_clips, given_folder, heard, homes_of, stimuli_of
from brain.readers._series.runs import (
    Run,
    contradicted,
    find_runs,
    read_values,
    root_of,
    subjects_in,
    tr_of,
    volumes_of,
)
from brain.readers._series.voxels import Places, find_voxels
from brain.readers._series.windows import Cut, Heard, Timing, cut, levelled, means, read_events, timing_of
from brain.splits.held_out import clip_splits
from brain.types import Float, Int, Recording, Responses
from brain.voxels import VoxelSpace

FIELDS: Mapping[str, str] = {
    "lag_s": "seconds from a sound to its response; 4.5",
    "window_s": "seconds of a window; 2.56",
    "hop_s": "seconds from window to window; half a window",
    "dummy": "volumes at the front of the file that were taken before time 0 of the events; 0",
    "tr_s": "seconds from volume to volume, where sidecar and header are wrong",
    "start_s": "seconds after its start at which a volume was taken; what the sidecar says as StartTime, else 0",
    "series": "a text that the series' file names contain, where a run has several",
    "stimuli": "the folder of sounds",
    "partial": "yes leaves out trials whose sound is not at hand",
    "onset": "what events.tsv calls onset",
    "duration": "what events.tsv calls duration",
    "stim_file": "what events.tsv calls stim_file",
}
"""What `fields` may say; all are optional."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """One run with its events: what `cut` needs, and no values yet."""

    run: Run
    events: tuple[Heard, ...]
    tr_s: float
    start_s: float
    volumes: int

    def cut(self, timing: Timing) -> Cut:
        """The windows of this run by that timing."""
        return cut(
            self.events, timing, path=self.run.events, tr_s=self.tr_s, start_s=self.start_s, volumes=self.volumes
        )

    def series(self, places: Places, timing: Timing) -> Float:
        """(time, voxel) float32 of this run, without drift and as z-scores."""
        values = read_values(self.run, places.ijk, voxels=len(places.ijk), grid=places.grid)
        return levelled(values, tr_s=self.tr_s, dummy=timing.dummy)


@dataclass(frozen=True, kw_only=True)
class Listening:
    """All runs of one subject, before they are cut."""

    subject: str
    played: tuple[Played, ...]
    places: Places = field(repr=False)
    clips: Clips = field(repr=False)


def open_listening(path: Path, *, subject: str, fields: Mapping[str, str]) -> Listening:
    """Events, timing, voxels and clips of one subject; reads no values. Errors as the module's reader."""
    root = root_of(path)
    if root is None:
        then = "give a folder of that form, or convert the data (docs/howto/sound_data.md)"
        raise InputError(expected(path, "sub-*/func/*_events.tsv with series", "none", then))
    name = choose_subject(path, subjects_in(root), subject, what="subjects with events")
    timing = timing_of(fields)
    played = []
    clips = find_clips((*homes_of(path), *homes_of(root)), given_folder(path, fields))
    for run in find_runs(root, name, series=fields.get("series", "")):
        start = run.sidecar.get("StartTime", 0.0) if timing.start_s is None else timing.start_s
        if not is_number(start) or not 0 <= start < 60:
            raise InputError(
                expected(f"{run.series}, sidecar StartTime", "seconds", repr(start), "correct the sidecar")
            )
        events = read_events(run.events, fields)
        _refuse_unknown(run.events, events, clips)
        played.append(
            Played(run=run, events=events, tr_s=tr_of(run, timing.tr_s), start_s=start, volumes=volumes_of(run))
        )
    return Listening(
        subject=name, played=tuple(played), places=find_voxels(root, [one.run for one in played]), clips=clips
    )


def _refuse_unknown(path: Path, events: Sequence[Heard], clips: Clips) -> None:
    """A clip that the table of stimuli does not know is a wrong name, not a sound that is missing."""
    strange = [event for event in events if clips.known and event.clip not in clips.known]
    if strange:
        came = f"{strange[0].clip!r}"
        want = f"a stim_file that stimuli.tsv knows ({len(clips.known)} clips)"
        raise InputError(expected(f"{path}, row {strange[0].row}", want, came, "correct the row or the table"))


class Series:
    """The reader of BIDS-like series with events."""

    name = "series"
    title = "a BIDS-like folder of sounds: sub-*/func with events.tsv and series (NIfTI, or HDF5 with `data`)"
    description = "time series with events, BIDS-like, cut into one row a window of sound"
    citation = ""
    licence = ""
    terms = ""

    def recognises(self, path: Path) -> bool:
        """A folder with sub-*/func/*_events.tsv, or whose `bids` has them and that holds no BData."""
        root = root_of(path) if path.is_dir() else None
        return root is not None and (root == path or not holds_bdata(path))

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The subjects with events, such as ("sub-01",)."""
        root = root_of(path)
        return subjects_in(root) if root is not None else ()

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject's windows, in standard deviations of their run (unit "run-z")."""
        read_settings(fields, FIELDS)
        timing = timing_of(fields)
        if betas not in ("", timing.name):
            raise UsageError(
                f"{path}: betas {betas!r} was asked for and these are {timing.name!r}; use --fields lag_s="
            )
        listening = open_listening(path, subject=subject, fields=fields)
        cuts = [one.cut(timing) for one in listening.played]
        stimulus = np.concatenate([windows.stimulus for windows in cuts])
        kept, media = heard(listening.clips, stimulus, where=str(path), partial=is_yes(fields, "partial"))
        splits = clip_splits(stimulus[kept].tolist(), listening.clips.splits)
        whole = Responses(
            values=_values(listening, cuts, timing)[kept],
            stimulus=stimulus[kept],
            session=_sessions(listening, cuts)[kept],
            repeat=count_repeats(stimulus[kept]),
            space=_space(listening, timing),
        )
        responses, usable, masked = chosen(path, whole, sessions)
        masks = {name: mask[usable] for name, mask in listening.places.masks.items()}
        stimuli = stimuli_of(
            listening.clips,
            whole.stimulus.tolist(),
            where=str(path),
            window_s=timing.window_s,
            hop_s=timing.hop_s,
        )
        return Recording(
            responses=responses,
            stimuli=stimuli,
            regions=regions_of(masks, voxels=len(responses.space)),
            splits=splits,
            masked=masked,
            notes=tuple(
                filter(
                    None,
                    (*alignment(listening, cuts, timing), media, *listening.clips.partly(whole.stimulus.tolist()),
                     listening.places.said),
                )
            ),  # fmt: skip
            reader=self.name,
            source=str(path),
        )

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What there is and how it would be cut, by the usual lag and window or by `fields`; reads no values."""
        root = root_of(path) or path
        lines, facts = [f"series with events at {root}"], dict[str, object](format="series")
        found: dict[str, object] = {}
        timing = timing_of(fields or {})
        for subject in self.subjects(path):
            listening = open_listening(path, subject=subject, fields=fields or {})
            cuts = [one.cut(timing) for one in listening.played]
            names = np.concatenate([windows.stimulus for windows in cuts]).tolist()
            missing = listening.clips.missing(clip_of(name) for name in names)
            voxels = len(listening.places.ijk)
            regions = regions_of(listening.places.masks, voxels=voxels)
            counts = {region.name: int(region.mask.sum()) for region in regions}
            lines += [
                f"{subject}: {counted(len(listening.played), 'run')}, {voxels} voxels",
                *(f"  {line}" for line in alignment(listening, cuts, timing)),
                f"  regions: {', '.join(f'{name} {count}' for name, count in counts.items())}",
                f"  sounds: {listening.clips.folder or 'no folder'}" + (f", MISSING {len(missing)}" * bool(missing)),
                *([f"  {listening.places.said}"] if listening.places.said else []),
            ]
            found[subject] = {"runs": len(cuts), "windows": len(names), "regions": counts, "missing": list(missing)}
        facts["subjects"] = found
        return Inspection(lines=tuple(lines), facts=facts)


def _sessions(listening: Listening, cuts: Sequence[Cut]) -> Int:
    pairs = zip(listening.played, cuts, strict=True)
    return np.concatenate([np.full(len(windows.stimulus), one.run.session, np.int64) for one, windows in pairs])


def _values(listening: Listening, cuts: Sequence[Cut], timing: Timing) -> Float:
    """(window, voxel) of all runs, one run in memory at a time."""
    pairs = progress(list(zip(listening.played, cuts, strict=True)), desc="series", unit="run", leave=False)
    return np.concatenate([means(one.series(listening.places, timing), windows) for one, windows in pairs])


def _space(listening: Listening, timing: Timing) -> VoxelSpace:
    places = listening.places
    return VoxelSpace(
        subject=listening.subject,
        name="native",
        betas=timing.name,
        unit="run-z",
        shape=places.shape,
        affine=places.affine,
        ijk=places.ijk,
    )


def alignment(listening: Listening, cuts: Sequence[Cut], timing: Timing) -> tuple[str, ...]:
    """In sentences: how many windows of what, which volumes answer to the first, what was dropped and what was done."""
    first, windows = listening.played[0], cuts[0]
    trs = sorted({one.tr_s for one in listening.played})
    low, high = int(windows.first[0]), int(windows.stop[0]) - 1
    taken = [first.start_s + (volume - timing.dummy) * first.tr_s for volume in (low, high)]
    counts = sorted({int(count) for part in cuts for count in (part.stop - part.first)})
    sounds = sum(len(one.events) for one in listening.played)
    total = sum(one.volumes for one in listening.played)
    return (
        f"alignment: {sum(len(part.stimulus) for part in cuts)} windows of {sounds} sounds in {len(cuts)} runs; "
        f"TR {' and '.join(f'{tr:g}' for tr in trs)} s, {timing.name}",
        f"first window {str(windows.stimulus[0])!r}, heard at {first.events[0].onset_s:g} s of {first.run.label}: "
        f"the mean of volumes {low} to {high} (from 0), taken {taken[0]:.2f} to {taken[1]:.2f} s; "
        f"{' or '.join(map(str, counts))} volumes a window",
        f"{timing.dummy * len(cuts)} of {total} volumes dropped as dummies; drift removed by a polynomial and z-scored "
        "per run over all its volumes, without regard to what was heard when",
        *contradicted([one.run for one in listening.played], first.tr_s),
    )


ENTRIES = (Series(),)
