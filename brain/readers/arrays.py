"""Reads any laboratory's own arrays from one HDF5 or npz file, as `pack` makes it: docs/howto/own_data.md.

Two fields are enough: `responses` (trial, voxel) and either `stimulus` (trial,) with pictures beside the file, or
`images`, one a trial. Whatever else a file holds is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain.data.averages import count_repeats
from brain.data.validity import without_dropped
from brain.errors import InputError, counted
from brain.files.paths import is_hdf5
from brain.files.tables import in_part
from brain.readers import Inspection
from brain.readers._bdata.file import is_bdata
from brain.readers._own.faults import faults_of
from brain.readers._own.fields import FIELDS, is_within, open_arrays
from brain.readers._own.splits import stored_splits, with_families
from brain.readers._own.stimuli import stimulus_of
from brain.readers._own.values import check_digest, check_turned, ids_of, integers_of, responses_of, text_of
from brain.readers._own.voxels import check_asked, ncsnr_of, regions_of, rows_of, space_of, usable_in
from brain.readers._parts.media import NoMedia
from brain.types import LEAVE_OUT, Recording, Responses
from brain.writing.origin import plain


class Arrays:
    """The reader of data of one's own: one file, one subject."""

    name = "arrays"
    title = "data of your own, an .h5, .hdf5 or .npz with `responses`; see docs/howto/own_data.md"
    description = "one subject from one file: responses (trial, voxel), what each trial showed, and more"
    citation = ""
    licence = ""
    terms = ""

    def recognises(self, path: Path) -> bool:
        """A file that ends in .h5, .hdf5 or .npz, or is HDF5 whatever its name, and no BData."""
        if not path.is_file() or not os.access(path, os.R_OK):
            return False
        named = path.suffix.lower() in (".h5", ".hdf5", ".npz")
        return (named or is_hdf5(path)) and not is_bdata(path)

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The one subject of the file: its field `subject`, by the name that `fields` says, else the file's name."""
        return (text_of(open_arrays(path, fields or {}), "subject", path.stem),)

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """The file's subject in the laboratory's own unit."""
        source = open_arrays(path, fields)
        check_digest(source)
        values = responses_of(source)
        trials, voxels = values.shape
        check_turned(source, trials, voxels)
        stimulus, stimuli = stimulus_of(source, trials)
        session = integers_of(source, "session", trials, np.ones(trials, np.int64))
        repeat = integers_of(source, "repeat", trials, count_repeats(stimulus))
        space = space_of(source, voxels)
        check_asked(path, space, subject=subject, betas=betas)
        responses = Responses(values=values, stimulus=stimulus, session=session, repeat=repeat, space=space)
        shown = frozenset(stimulus.tolist())
        rows = rows_of(path, session, tuple(sessions))
        rows = rows[np.isin(stimulus[rows], np.array(stimuli.ids, np.str_))]
        responses, kept, dropped = without_dropped(responses.trials(rows), path)
        rows = rows[kept]
        source.notes.extend(dropped)
        usable, masked = usable_in(path, responses.values, responses.session)
        # without pictures nobody knows that ids called like windows are none
        sound = stimuli.modality == "sound" or isinstance(stimuli.opener, NoMedia)
        stored = stored_splits(source, sorted(set(responses.stimulus.tolist())), shown)
        group = ids_of(source, "group", trials)[rows] if "group" in source else None
        splits, left_out = with_families(stored, responses.stimulus, group, sound=sound)
        return Recording(
            responses=replace(responses.voxels(np.flatnonzero(usable)), group=group),
            stimuli=stimuli,
            regions=regions_of(source, voxels, usable),
            splits=splits,
            left_out=left_out,
            ncsnr=ncsnr_of(source, voxels, usable),
            masked=masked,
            notes=tuple(dict.fromkeys(source.notes)),
            reader=self.name,
            source=str(path),
            simulated=plain(text_of(source, "simulated", "")),
        )

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What the file holds, which of it is understood, what would be left out, and every part that is at fault."""
        source = open_arrays(path, fields or {})
        try:
            recording = self.read(path, subject="", sessions=(), betas="", fields=fields or {})
        except InputError as error:
            line = f"data of your own at {path}, with {', '.join(source.names)[:500]}"
            problems = tuple(dict.fromkeys((*faults_of(source), str(error))))
            return Inspection(lines=(line,), facts={"format": "arrays"}, problems=problems)
        responses, stimuli = recording.responses, recording.stimuli
        families = sorted({split.name if LEAVE_OUT not in split.name else LEAVE_OUT for split in recording.splits})
        regions = {region.name: int(region.mask.sum()) for region in recording.regions}
        understood = [name for name in FIELDS if name in source]
        used = [source.fields.get(name, name) for name in understood]
        known = [name for name in source.names for one in used if is_within(name, one) or is_within(one, name)]
        ignored = in_part(source.names, known)
        lines = [
            f"data of your own at {path}, subject {responses.space.subject}, unit {responses.space.unit}",
            f"{len(responses.values)} trials of {len(stimuli.ids)} stimuli ({stimuli.modality}), "
            f"{len(responses.space)} voxels, {counted(len(np.unique(responses.session)), 'session')}",
            f"regions: {', '.join(f'{name} {count}' for name, count in regions.items())}",
            f"splits: {', '.join(families)}",
            f"fields: {', '.join(understood)}" + (f"; not used: {', '.join(ignored)}" if ignored else ""),
            f"absent: {', '.join(name for name in FIELDS if name not in understood)}",
            *recording.masked,
            *recording.notes,
        ]
        facts = {
            "format": "arrays",
            "trials": len(responses.values),
            "voxels": len(responses.space),
            "stimuli": len(stimuli.ids),
            "modality": stimuli.modality,
            "regions": regions,
            "splits": [split.name for split in recording.splits],
            "fields": understood,
            "ignored": list(ignored),
        }
        return Inspection(lines=tuple(lines), facts=facts, recording=recording)


ENTRIES = (Arrays(),)
