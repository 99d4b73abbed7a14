"""Objectives of a synthesis: regions with signed weights, one voxel, or a pattern of activity over a region.

    signs, terms = objective_terms(region=("FFA-1",), against=("PPA",), voxel="", pattern="")
    term.readout(recording, fitting)     the weighted sum over voxels that an `ObjectiveTerm` stands for

A region's mean needs no `ObjectiveTerm`: every encoder knows its regions. All are linear in the response, so each
collapses to one vector of the encoder before any loop.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.files.npz import read_npy
from brain.files.paths import present
from brain.files.tables import read_records
from brain.types import Float, Int, Recording
from brain.voxels import VoxelSpace
from encoders.voxelwise.model import FLOOR, Fitting, Readout, Voxelwise, mean_of, r2_of, towards

CSV = ("i", "j", "k", "value")
PLAIN = re.compile(r"[A-Za-z0-9._, -]+")
"""What an objective's words consist of whose folder is called by them alone."""
LONGEST = 120
"""Letters of a folder's name, a digest left aside."""
Place = tuple[int, int, int]


class ObjectiveTerm(Protocol):
    """A term of an objective beside a region's mean."""

    @property
    def name(self) -> str:
        """What it is called in signs, tables and on the page."""

    @property
    def digest(self) -> str:
        """What its name alone does not say, such as a file's sha256."""

    def readout(self, recording: Recording, fitting: Fitting) -> Readout:
        """The weighted sum over voxels; what is not in these data is an InputError or a UsageError."""

    def must_be_known(self, encoder: Voxelwise, *, features: Float, fitting: Fitting, space: VoxelSpace) -> None:
        """Refuses (InputError), with the number, what this encoder cannot predict on held-out stimuli.

        `features` (stimulus, feature) are theirs.
        """


@dataclass(frozen=True)
class OneVoxel:
    """The voxel at this place of the volume."""

    place: Place

    @property
    def name(self) -> str:
        """Such as "voxel 12,40,7"."""
        return f"voxel {','.join(str(number) for number in self.place)}"

    @property
    def digest(self) -> str:
        """Its name, which says all."""
        return self.name

    def readout(self, recording: Recording, fitting: Fitting) -> Readout:
        """The voxel itself; one that is not in these data is an InputError with the nearest that is."""
        ijk = recording.responses.space.ijk
        at = np.flatnonzero((ijk == self.place).all(1))
        if not len(at):
            near = ",".join(str(number) for number in ijk[_nearest(ijk, self.place)])
            raise InputError(
                expected(f"--voxel {self.name[6:]}", "a voxel of these data (ijk)", "none", f"the nearest is {near}")
            )
        return mean_of(at)

    def must_be_known(self, encoder: Voxelwise, *, features: Float, fitting: Fitting, space: VoxelSpace) -> None:
        """Refuses a voxel below the floor on `features` (stimulus, feature), and names the nearest above it."""
        if encoder.r2[self.name] >= FLOOR:
            return
        r2 = r2_of(encoder.predict(features), fitting.test)
        known = np.flatnonzero(r2 >= FLOOR)
        then = "no voxel is above; take more sessions or another tower"
        if len(known):
            best = int(known[_nearest(space.ijk[known], self.place)])
            then = f"the nearest is {','.join(str(one) for one in space.ijk[best])} with {r2[best]:.3f}"
        raise InputError(
            expected(
                self.name, f"an encoder with R2 of {FLOOR} or more on held-out stimuli", f"{encoder.r2[self.name]:.3f}",
                then,
            )
        )  # fmt: skip


def _nearest(ijk: Int, place: Place) -> int:
    """The row of ijk (voxel, 3) that is closest."""
    return int(np.square(ijk - np.array(place)).sum(1).argmin())


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A pattern of activity over the voxels of regions.

    source   a stimulus id, whose measured pattern is meant (z-scored by training trials, mean over repeats), or a
             file: .npy (voxel,) over all voxels of the data in their order, or .csv with columns i, j, k, value
    regions  whose voxels; their union
    """

    source: str
    regions: tuple[str, ...]

    @property
    def path(self) -> Path | None:
        """The file, None where a stimulus is named."""
        return Path(self.source) if Path(self.source).suffix.lower() in (".npy", ".csv") else None

    @property
    def name(self) -> str:
        """Such as "pattern of STIMULUS in V1 and V2"; a file is named without its ending."""
        called = self.source if self.path is None else self.path.stem
        return f"pattern of {called} in {' and '.join(self.regions)}"

    @property
    def digest(self) -> str:
        """The stimulus id, or the file's sha256."""
        if self.path is None:
            return self.source
        return hashlib.sha256(present(self.path, what="a pattern", then="give a .npy or .csv").read_bytes()).hexdigest()

    def readout(self, recording: Recording, fitting: Fitting) -> Readout:
        """The projection on the pattern, which is centred and scaled over the regions' voxels."""
        columns = recording.columns(self.regions)
        if len(columns) < 2:
            raise InputError(f"{self.name}: expected two voxels or more, found {len(columns)}; choose another region")
        if self.path is None:
            target = self._measured(fitting)[columns]
        elif self.path.suffix.lower() == ".npy":
            target = _array(self.path, voxels=len(recording.responses.space))[columns]
        else:
            target = _table(self.path, recording.responses.space.ijk[columns])
        return towards(columns, target, name=self.name)

    def must_be_known(self, encoder: Voxelwise, *, features: Float, fitting: Fitting, space: VoxelSpace) -> None:
        """Refuses a projection below the floor, by the R2 that the encoder has of it.

        `features` (stimulus, feature) are not read.
        """
        encoder.must_know(self.name)

    def _measured(self, fitting: Fitting) -> Float:
        ids = (*fitting.ids, *fitting.test_ids)
        if self.source not in ids:
            raise UsageError(unknown("stimulus with a measured pattern", self.source, ids))
        row = ids.index(self.source)
        found: Float = fitting.responses[row] if row < len(fitting.ids) else fitting.test[row - len(fitting.ids)]
        return found


def _array(path: Path, *, voxels: int) -> Float:
    what = f"({voxels},) numbers, one for each voxel of these data in their order"
    found = read_npy(path)
    if found.shape != (voxels,) or found.dtype.kind not in "fiu":
        raise InputError(expected(path, what, f"{found.dtype} {found.shape}", "or a .csv with i, j, k, value"))
    return np.asarray(found, np.float32)


def _table(path: Path, ijk: Int) -> Float:
    """Values of a CSV in the order of ijk (voxel, 3); each of these voxels must stand in it, others may."""
    what = f"columns {', '.join(CSV)}"
    found: dict[Place, float] = {}
    for number, row in enumerate(read_records(path, needed=CSV, mark=",", quoted=True), start=1):
        try:
            place, value = (int(row["i"]), int(row["j"]), int(row["k"])), float(row["value"])
        except ValueError as error:
            raise InputError(expected(f"{path}, row {number}", what, f"others ({error})", "write it again")) from error
        if place in found or not np.isfinite(value):
            strange = f"voxel {place} twice" if place in found else f"{row['value']!r}"
            raise InputError(expected(f"{path}, row {number}", "one finite value a voxel", strange, "correct it"))
        found[place] = value
    missing = [place for place in ijk.tolist() if tuple(place) not in found]
    if missing:
        raise InputError(
            expected(path, f"a value for {len(ijk)} voxels", f"none for {len(missing)}, first {missing[0]}", "add them")
        )
    return np.array([found[tuple(place)] for place in ijk.tolist()], np.float32)


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """What to synthesize: signs of regions or terms (below 0 for --against), the methods, how many pictures of each."""

    signs: Mapping[str, float]
    methods: tuple[str, ...]
    count: int
    reference: Path | None = None
    terms: tuple[ObjectiveTerm, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"--n: expected one picture or more of each method, found {self.count}")

    @property
    def name(self) -> str:
        """The folder's name: "FFA-1", "FFA-1-against-PPA".

        Where signs or foreign letters were replaced, or much was cut off, a digest keeps it apart from others.
        """
        up = [name if sign == 1 else f"{sign:g}x{name}" for name, sign in self.signs.items() if sign > 0]
        down = [name if sign == -1 else f"{-sign:g}x{name}" for name, sign in self.signs.items() if sign < 0]
        words = "-".join([*up, *(["against", *down] if down else [])])
        name = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-")
        if PLAIN.fullmatch(words) and name.strip(".") and len(name) <= LONGEST:
            return name
        return "-".join(filter(None, [name[:LONGEST].strip(".-"), hashlib.sha256(words.encode()).hexdigest()[:8]]))


def objective_terms(
    *, region: Sequence[str], against: Sequence[str] = (), voxel: str = "", pattern: str = ""
) -> tuple[dict[str, float], tuple[ObjectiveTerm, ...]]:
    """Flags as name -> weight and the terms beside regions; what cannot be combined is a UsageError."""
    if voxel and (pattern or region):
        raise UsageError("--voxel: expected alone, found with --region or --pattern; ask for one of them")
    if voxel:
        one = OneVoxel(place_of(voxel))
        return {one.name: 1.0, **signs_of((), against)}, (one,)
    if not region:
        raise UsageError("--region: expected a region, found none; `afterimage inspect` names those of your data")
    signs = signs_of(region, against)
    if not pattern:
        return signs, ()
    over = tuple(name for name, sign in signs.items() if sign > 0)
    if any(signs[name] != 1 for name in over):
        raise UsageError("--pattern: expected regions without weights, found some with; the pattern weighs the voxels")
    aim = Pattern(source=pattern, regions=over)
    return {aim.name: 1.0, **{name: sign for name, sign in signs.items() if sign < 0}}, (aim,)


def place_of(voxel: str) -> Place:
    """I,J,K as a place of the volume."""
    found = re.fullmatch(r"(-?[0-9]+), ?(-?[0-9]+), ?(-?[0-9]+)", voxel)
    if found is None:
        raise UsageError(f"--voxel {voxel}: expected I,J,K, three whole numbers, found others")
    i, j, k = (int(number) for number in found.groups())
    return i, j, k


def signs_of(region: Sequence[str], against: Sequence[str]) -> dict[str, float]:
    """`--region FFA-1 EBA:0.5 --against PPA` as region -> weight; one on both sides is a UsageError."""
    found: dict[str, float] = {}
    for words, sign in ((region, 1.0), (against, -1.0)):
        for word in words:
            name, _, weight = word.partition(":")
            try:
                value = sign * float(weight or 1)
            except ValueError as error:
                raise UsageError(
                    f"--region {word}: expected NAME or NAME:WEIGHT, found {weight!r} for a weight"
                ) from error
            if name in found:
                raise UsageError(
                    f"--region {name}: expected once, found twice; name a region in --region or --against, once"
                )
            found[name] = value
    return found
