"""Reads the Natural Scenes Dataset as its authors lay it out, whole or in part, and the simulated brain alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain.data.nsd_facts import IMAGES, NSDGENERAL_VOXELS, SUBJECT_SESSIONS, SUBJECT_VOLUMES
from brain.data.validity import Validity, measured, without_dropped
from brain.errors import InputError, UsageError, counted, expected
from brain.files.hdf5 import open_hdf5
from brain.files.json_files import read_json
from brain.files.nifti import Grid, on_grid, read_volume
from brain.files.paths import listed, optional
from brain.readers import Apart, Inspection
from brain.readers._nsd.betas import FETCH, Betas, betas_grid, choose_betas, find_betas, read_session
from brain.readers._nsd.regions import Atlas, on_one_grid, read_atlases, regions_at, voxels_of
from brain.readers._nsd.trials import DESIGN, STIM_INFO, Trials, check_stim_info, read_trials, responses_path
from brain.splits.nsd import SHARED_982, SHARED_1000, SPECIAL_515
from brain.types import Bool, Float, Int, Recording, Responses, Split, Stimuli
from brain.voxels import VoxelSpace
from brain.writing.origin import simulated_by

BRICK = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
SIDECARS = "nsddata_stimuli/stimuli/nsd"
PLAUSIBLE = (0.02, 50.0)
"""Percent signal change: where the median voxel's standard deviation must lie."""


class NSD:
    """The reader of NSD's official layout: `nsddata`, `nsddata_betas` and `nsddata_stimuli` side by side."""

    name = "nsd"
    title = "a folder with nsddata and nsddata_betas, as NSD's bucket has them"
    description = "the Natural Scenes Dataset as its authors lay it out, whole or in part, or simulated"
    citation = "Allen et al. 2022"
    licence = "NSD Terms and Conditions"
    terms = "who has agreed to NSD's terms may not pass its data on, its pictures among them"

    def recognises(self, path: Path) -> bool:
        """A folder that holds nsddata or nsddata_betas."""
        return (path / "nsddata").is_dir() or (path / "nsddata_betas").is_dir()

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The subjects with betas, such as ("subj01",)."""
        folders = listed(path / "nsddata_betas/ppdata", "subj[0-9][0-9]")
        return tuple(folder.name for folder in folders if find_betas(path, folder.name))

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject in percent signal change: the voxels of nsdgeneral, or of all masks where it was not fetched."""
        if fields:
            raise UsageError("NSD's files have fixed names; --fields is for data of your own")
        name = self._subject(path, subject)
        chosen = choose_betas(path, name, betas)
        trials = read_trials(path, name)
        check_stim_info(path, trials)
        taken = _wanted_sessions(chosen, trials, tuple(sessions))
        kept = trials.take(np.isin(trials.session, taken))
        atlases = read_atlases(path, name, chosen.space)
        grid, placed = betas_grid(chosen, taken.tolist(), atlases[0].grid)
        atlases = on_one_grid(atlases, grid)
        space = _space(name, chosen, atlases, grid)
        values, validity = _read_values(chosen, kept, trials, space=space, grid=grid)
        columns = np.flatnonzero(validity.usable)
        if not columns.size:
            raise InputError(f"{chosen.folder}: {'; '.join(validity.sentences())}; no voxel is left to decode")
        ids = np.array([stimulus_id(nsd) for nsd in kept.nsd.tolist()])
        responses = Responses(values=values, stimulus=ids, session=kept.session, repeat=kept.repeat, space=space)
        responses, rows, dropped = without_dropped(responses, chosen.folder)
        kept = kept.take(rows)
        if len(columns) < len(space):
            responses = responses.voxels(columns)
        ncsnr, unknown = _read_ncsnr(chosen, responses.space, grid)
        return Recording(
            responses=responses,
            stimuli=_stimuli(path, sorted(set(responses.stimulus.tolist()))),
            regions=regions_at(atlases, responses.space.ijk)[0],
            splits=splits_of(kept, trials),
            ncsnr=ncsnr,
            masked=(*dropped, *validity.sentences(), *unknown),
            notes=(placed,) if placed else (),
            reader=self.name,
            source=str(path),
        )

    def _subject(self, path: Path, subject: str) -> str:
        known = self.subjects(path)
        if not known:
            where = path / "nsddata_betas/ppdata"
            raise InputError(expected(where, "betas of a subject (subjNN/func1pt8mm/...)", "none", "fetch the betas"))
        if subject in known:
            return subject
        if subject or len(known) > 1:
            asked = f"no subject is called {subject!r}" if subject else "the data hold several subjects"
            raise UsageError(f"{path}: {asked}; choose one of {', '.join(known)}")
        return known[0]

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What of NSD lies under `path`, against what is known of the whole; reads no betas."""
        subjects = self.subjects(path)
        lines, facts = _inspect_shared(path)
        facts["subjects"] = {}
        for subject in subjects:
            more, found = _inspect_subject(path, subject)
            lines += more
            facts["subjects"][subject] = found
        if not subjects:
            lines.append("betas: none; fetch nsddata_betas/ppdata/<subject>/func1pt8mm/<version>")
        sessions = {name: apart for name in subjects if (apart := _apart(path, name))}
        return Inspection(lines=tuple(lines), facts=facts, sessions=sessions)


def stimulus_id(nsd: int) -> str:
    """The id of an image by its nsdId, 0-based: 13 -> "nsd00013"."""
    return f"nsd{nsd:05d}"


def _wanted_sessions(betas: Betas, trials: Trials, sessions: tuple[int, ...]) -> Int:
    done = np.unique(trials.session).tolist()
    strange = sorted(set(sessions) - set(done))
    if strange:
        raise InputError(expected(betas.folder, f"a session of {done[0]}..{done[-1]}", f"{strange}", "name others"))
    chosen = sorted(set(sessions)) or done
    absent = _absent(betas, chosen)
    if absent:
        raise InputError(absent)
    return np.array(chosen, np.int64)


def _absent(betas: Betas, sessions: Sequence[int]) -> str:
    """A sentence on those of the `sessions` whose betas are not there, "" where all are."""
    missing = [session for session in sessions if session not in betas.files]
    there = " ".join(str(session) for session in betas.files)
    want, found = f"betas of {len(sessions)} sessions", f"a folder without session {', '.join(map(str, missing))}"
    then = f"fetch them, or read what is there with --sessions {there}"
    return expected(betas.folder, want, found, then) if missing else ""


def _apart(root: Path, subject: str) -> Apart | None:
    """The sessions of the betas that would be read, where it is known which the subject did."""
    if not ((root / DESIGN).is_file() and responses_path(root, subject).is_file()):
        return None
    betas, done = choose_betas(root, subject, ""), np.unique(read_trials(root, subject).session).tolist()
    there = tuple(session for session in done if session in betas.files)
    return Apart(there=there, note=_absent(betas, done)) if there else None


def _space(subject: str, betas: Betas, atlases: Sequence[Atlas], grid: Grid) -> VoxelSpace:
    mask = voxels_of(atlases)
    affine = np.eye(4) if grid.affine is None else grid.affine
    shape = (int(mask.shape[0]), int(mask.shape[1]), int(mask.shape[2]))
    ijk = np.argwhere(mask)
    return VoxelSpace(
        subject=subject, name=betas.space, betas=betas.version, unit="psc", shape=shape, affine=affine, ijk=ijk
    )


def _read_values(
    betas: Betas, kept: Trials, trials: Trials, *, space: VoxelSpace, grid: Grid
) -> tuple[Float, Validity]:
    """(trial, voxel) of `kept`, indexed by (session, place) alone, and which voxels can be used."""
    values = np.empty((len(kept.nsd), len(space)), np.float32)
    validity = Validity(len(space))
    for session in np.unique(kept.session).tolist():
        planned = int((trials.session == session).sum())
        here = read_session(betas.files[session], space.ijk, grid, trials=planned)
        rows = kept.session == session
        values[rows] = here[kept.place[rows]]
        validity.look(here, session)
        _check_plausible(betas.files[session], here[measured(here)], validity.usable)
    return values, validity


def _check_plausible(path: Path, values: Float, usable: Bool) -> None:
    """A wrong scale hides behind every z-score, so it is looked for here."""
    if not usable.any() or not len(values):
        return
    spread = float(np.median(values[:, usable].std(axis=0)))
    if not PLAUSIBLE[0] <= spread <= PLAUSIBLE[1]:
        want = f"betas in percent signal change (median spread {PLAUSIBLE[0]}..{PLAUSIBLE[1]})"
        raise InputError(expected(path, want, f"a median spread of {spread:.3g}", "check the file's scale and type"))


def _read_ncsnr(betas: Betas, space: VoxelSpace, grid: Grid) -> tuple[Float | None, tuple[str, ...]]:
    path = optional(betas.folder / "ncsnr.nii.gz", what="the betas' noise ceiling SNR")
    if path is None:
        return None, ()
    stored = read_volume(path, then=FETCH)
    if stored.values.ndim != 3:
        raise InputError(expected(path, "a (X, Y, Z) volume", f"shape {stored.values.shape}", FETCH))
    volume = on_grid(stored, grid)
    ncsnr = np.asarray(volume[tuple(space.ijk.T)], np.float32)
    unknown = ~np.isfinite(ncsnr) | (ncsnr < 0)
    said = (f"{int(unknown.sum())} voxels have no ncsnr; 0 is taken for theirs",) if unknown.any() else ()
    return np.where(unknown, np.float32(0), ncsnr), said


def splits_of(kept: Trials, trials: Trials) -> tuple[Split, ...]:
    """The named splits that the sessions read allow; `trials` are all that the subject did.

    nsd-shared1000        test: every shared image shown; training: every other image shown
    nsd-shared982-37ses   where sessions 1..37 were read. Test: shared images with three showings in them (982 for a
                          complete subject); training: the subject's own images shown in them
    nsd-special515        where sessions 1..30 were read. Test: images that all eight subjects saw three times, which
                          are those of the first 30 sessions, since all follow one order; training: every other image
    """
    splits = [_split(SHARED_1000, test=kept.nsd[kept.shared], train=kept.nsd[~kept.shared])]
    done = set(kept.session.tolist())
    for name, last in ((SHARED_982, 37), (SPECIAL_515, 30)):
        if done >= set(range(1, last + 1)):
            early = trials.session <= last
            images, counts = np.unique(trials.nsd[early & trials.shared], return_counts=True)
            test = images[counts == 3]
            own = kept.nsd[~kept.shared & (kept.session <= 37)]
            train = own if last == 37 else np.setdiff1d(kept.nsd, test)
            splits.append(_split(name, test=test, train=train))
    return tuple(split for split in splits if split is not None)


def _split(name: str, *, test: Int, train: Int) -> Split | None:
    if not len(test) or not len(train):
        return None
    ids = [tuple(stimulus_id(nsd) for nsd in np.unique(images).tolist()) for images in (train, test)]
    return Split(name=name, train=ids[0], test=ids[1])


@dataclass(frozen=True)
class BrickImages:
    """Opens one image of imgBrick at a time: (P, P, 3) uint8 -> PIL RGB. `path` is nsd_stimuli.hdf5."""

    path: Path

    def __call__(self, stimulus: str) -> Any:
        """The image of an id such as "nsd00013"."""
        from PIL import Image

        row = int(stimulus.removeprefix("nsd"))
        then = "fetch nsddata_stimuli, or evaluate without pictures of what was seen"
        how: dict[str, Any] = {"streamed": ["imgBrick"], "sparse": ["imgBrick"], "as_stored": True}
        with open_hdf5(self.path, ["imgBrick"], **how, then=then) as file:
            brick = file["imgBrick"]
            _must_hold(self.path, brick, row, then=then)
            stored = brick.chunks is None or brick.id.get_chunk_info_by_coord((row, 0, 0, 0)).size
            if not stored:
                raise InputError(expected(f"{self.path}, row {row}", "an image", "a row never written", then))
            return Image.fromarray(brick[row])


def _must_hold(path: Path, brick: Any, row: int, *, then: str) -> None:
    if brick.ndim != 4 or brick.shape[3] != 3 or brick.dtype != np.uint8 or row >= len(brick):
        found = f"{brick.dtype} {brick.shape}"
        raise InputError(expected(f"{path}, imgBrick", f"uint8 (image, P, P, 3) with row {row}", found, then))


def _stimuli(root: Path, ids: Sequence[str]) -> Stimuli:
    captions = {name: tuple(texts) for name, texts in _sidecar(root, "captions", ids).items()}
    labels = {name: dict(entry) for name, entry in _sidecar(root, "labels", ids).items()}
    opener = BrickImages(root / BRICK)
    return Stimuli(ids=tuple(ids), modality="image", opener=opener, captions=captions, labels=labels)


def _sidecar(root: Path, name: str, ids: Sequence[str]) -> dict[str, Any]:
    """What captions.json or labels.json says of these images; the files are ours, NSD leaves both to COCO."""
    path = optional(root / SIDECARS / f"{name}.json", what=f"the images' {name}")
    if path is None:
        return {}
    table = read_json(path, what="JSON of nsdId -> entry", then="write it again")
    entries: dict[str, Any] = {}
    for row, entry in table.items():
        texts = entry.values() if name == "labels" and isinstance(entry, dict) else entry
        plain = isinstance(texts, list | type({}.values())) and all(isinstance(text, str) for text in texts)
        if not re.fullmatch(r"[0-9]{1,9}", row) or not plain or f"nsd{int(row):05d}" in entries:
            raise InputError(expected(f"{path}, {row[:40]!r}", "nsdId -> entry", f"{entry!r:.80}", "write it again"))
        entries[f"nsd{int(row):05d}"] = entry
    return {stimulus: entries[stimulus] for stimulus in ids if stimulus in entries}


def _inspect_shared(root: Path) -> tuple[list[str], dict[str, Any]]:
    lines = [f"NSD layout at {root}"]
    facts: dict[str, Any] = {"format": "nsd", "simulated": bool(simulated_by(root))}
    if facts["simulated"]:
        lines.append("simulated: yes, a brain with a known answer (simulation.json)")
    needed = {"design": DESIGN, "stimulus table": STIM_INFO, "images": BRICK}
    for what, relative in needed.items():
        facts[what] = (root / relative).is_file()
        lines.append(f"{what}: {relative}" if facts[what] else f"{what}: MISSING; fetch {relative}")
    if facts["images"]:
        how: dict[str, Any] = {"streamed": ["imgBrick"], "sparse": ["imgBrick"], "as_stored": True}
        with open_hdf5(root / BRICK, ["imgBrick"], **how) as file:
            _must_hold(root / BRICK, file["imgBrick"], 0, then="fetch nsddata_stimuli again")
            facts["image shape"] = list(file["imgBrick"].shape)
        lines.append(f"images: {facts['image shape']}" + _against(facts["image shape"][0], IMAGES, "rows"))
    return lines, facts


def _against(count: int, known: int, what: str) -> str:
    return "" if count == known else f" (NSD has {known} {what})"


def _inspect_subject(root: Path, subject: str) -> tuple[list[str], dict[str, Any]]:
    lines, facts = [f"{subject}:"], dict[str, Any](betas={})
    index = int(subject[4:]) - 1
    official = index in range(len(SUBJECT_SESSIONS))
    done: list[int] = []
    if (root / DESIGN).is_file() and responses_path(root, subject).is_file():
        trials = read_trials(root, subject)
        done = np.unique(trials.session).tolist()
        counts = f"{counted(len(done), 'session')}, {len(trials.nsd)} trials, {len(np.unique(trials.nsd))} images"
        shared = len(np.unique(trials.nsd[trials.shared]))
        note = _against(len(done), SUBJECT_SESSIONS[index], "sessions of this subject") if official else ""
        lines.append(f"  did {counts}, {shared} of them shared{note}; design and responses.tsv agree")
        facts |= {"sessions": done, "trials": len(trials.nsd), "shared": shared}
    else:
        lines.append("  design or responses.tsv MISSING; both are needed to know what was shown")
    for betas in find_betas(root, subject):
        missing = [session for session in done if session not in betas.files]
        formats = sorted({path.name.split(".", 1)[1] for path in betas.files.values()})
        gap = f", MISSING session {', '.join(map(str, missing))}" if missing else ""
        ncsnr = "" if (betas.folder / "ncsnr.nii.gz").is_file() else ", MISSING ncsnr.nii.gz"
        name = f"{betas.space}/{betas.version}"
        lines.append(f"  betas {name}: {counted(len(betas.files), 'session')} ({', '.join(formats)}){gap}{ncsnr}")
        facts["betas"][name] = {"sessions": list(betas.files), "missing": missing}
    more, regions = _inspect_regions(root, subject, find_betas(root, subject)[0])
    known = facts_differ(regions, index) if official and not simulated_by(root) else ""
    return lines + more + ([f"  note: {known}"] if known else []), facts | regions


def _inspect_regions(root: Path, subject: str, betas: Betas) -> tuple[list[str], dict[str, Any]]:
    atlases = read_atlases(root, subject, betas.space)
    grid, placed = betas_grid(betas, list(betas.files), atlases[0].grid)
    atlases = on_one_grid(atlases, grid)
    mask = voxels_of(atlases)
    regions, empty = regions_at(atlases, np.argwhere(mask))
    counts = {region.name: int(region.mask.sum()) for region in regions}
    lines = [f"  volume {mask.shape}, {int(mask.sum())} voxels to read"]
    for atlas in atlases:
        here = [f"{region.name} {counts[region.name]}" for region in regions if region.atlas == atlas.name]
        source = f" [names: {atlas.named_by}]" if atlas.named_by else " [no ctab: its labels have no names, not read]"
        lines.append(f"  {atlas.name}: {', '.join(here) or 'no region'}{source}")
    if placed:
        lines.append(f"  {placed}")
    if empty:
        lines.append(f"  empty, left out: {', '.join(empty)}")
    return lines, {"volume": list(mask.shape), "voxels": int(mask.sum()), "regions": counts, "empty": list(empty)}


def facts_differ(facts: Mapping[str, Any], index: int) -> str:
    """In words, how volume and voxel count differ from those of NSD's subject `index` (0..7); "" where they do not."""
    volume, voxels = SUBJECT_VOLUMES[index], NSDGENERAL_VOXELS[index]
    if tuple(facts["volume"]) == volume and facts["voxels"] == voxels:
        return ""
    return f"NSD's own func1pt8mm has a volume of {volume} and {voxels} voxels in nsdgeneral"


ENTRIES = (NSD(),)
