"""A voxelwise encoder that neither decoder nor generator used: it predicts measured responses from a picture.

RUN/brain.safetensors is written by the stage that judges (`decode/stages/judge/`): ridge from the judge's features to
voxels on training stimuli, the measured patterns of the test stimuli, and which voxels belong to which region. A sample
is then as good as the responses it would evoke are like the measured ones ("brain correlation", Scotti et al. 2024),
region by region; the measured patterns of one repeat against those of the others say how good it could be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.types import Float, Int
from encoders.storage import read_tensors, write_tensors

Wide = NDArray[np.float64]

FILE = "brain.safetensors"
KIND = "voxelwise encoder"
ARRAYS = ("weights", "x_mean", "y_mean", "measured", "first", "rest", "repeats")


@dataclass(frozen=True, kw_only=True)
class BrainEncoder:
    """Judge features -> voxels, beside what was measured on the test stimuli, all in z-scores.

    judge     sha256 of the judge whose features it reads
    weights   (feature, voxel) float32; x_mean (feature,), y_mean (voxel,) float64
    regions   name -> (voxel,) int64 columns
    ids       the test stimuli; measured (stimulus, voxel) float32, the mean over all repeats
    first     (stimulus, voxel) the first repeat alone, rest the mean of the others; NaN for a stimulus shown once
    repeats   (stimulus,) int64, how many trials stand behind `measured`
    split     sha256 of the split whose training stimuli it was fitted on
    """

    judge: str
    weights: Float
    x_mean: Wide
    y_mean: Wide
    regions: Mapping[str, Int]
    ids: tuple[str, ...]
    measured: Float
    first: Float
    rest: Float
    repeats: Int
    split: str

    def predicted(self, features: Float) -> dict[str, Float]:
        """region -> (picture, voxel): responses that pictures with these features (picture, feature) would evoke."""
        whole = ((features - self.x_mean) @ self.weights + self.y_mean).astype(np.float32)
        return self._by_region(whole)

    def seen(self, ids: Sequence[str]) -> dict[str, Float]:
        """region -> (stimulus, voxel) measured on these stimuli; a stimulus nobody measured is an InputError."""
        return self._by_region(self.measured[self._rows(ids)])

    def repeated(self) -> tuple[tuple[str, ...], dict[str, Float], dict[str, Float]]:
        """The stimuli shown twice or more, their first repeat and the mean of their others.

        Region -> (stimulus, voxel) both.
        """
        twice = np.flatnonzero(np.isfinite(self.rest).all(1))
        ids = tuple(self.ids[row] for row in twice)
        return ids, self._by_region(self.first[twice]), self._by_region(self.rest[twice])

    def ceiling(self, repeat: float) -> float | None:
        """The noise ceiling of a correlation with `measured`, from the correlation of one repeat with the others' mean.

        None where repeats do not correlate. With the reliability q of one trial, one trial correlates with the mean
        of k others by q / sqrt(q + (1 - q) / k), and a perfect model with the mean of n trials by
        sqrt(q / (q + (1 - q) / n)) (Spearman 1910, Brown 1910).
        """
        counts = self.repeats[self.repeats > 1]
        if repeat <= 0 or not len(counts):
            return None
        k, n, squared = float(counts.mean() - 1), float(self.repeats.mean()), repeat**2
        middle = squared * (1 - 1 / k)
        q = (middle + np.sqrt(middle**2 + 4 * squared / k)) / 2
        return float(np.sqrt(q / (q + (1 - q) / n)))

    def _by_region(self, whole: Float) -> dict[str, Float]:
        return {name: whole[:, columns] for name, columns in self.regions.items()}

    def _rows(self, ids: Sequence[str]) -> Int:
        place = {name: row for row, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in place]
        if missing:
            raise InputError(
                expected(FILE, "measured patterns of every reference", f"none of {missing[0]}", "fit the run again")
            )
        return np.array([place[name] for name in ids], np.int64)

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        regions = {f"region.{name}": columns for name, columns in self.regions.items()}
        card = {"judge": self.judge, "ids": list(self.ids), "split": self.split, "regions": list(self.regions)}
        write_tensors(path, {**arrays, **regions}, kind=KIND, card=card)

    @classmethod
    def load(cls, path: Path) -> BrainEncoder:
        """Reads what `save` wrote, else an InputError."""
        tensors, card = read_tensors(path, kind=KIND)
        try:
            regions = {name: tensors[f"region.{name}"] for name in card["regions"]}
            arrays = {name: tensors[name] for name in ARRAYS}
            return cls(
                judge=card["judge"], ids=tuple(card["ids"]), split=card["split"], regions=regions, **arrays
            )  # fmt: skip
        except KeyError as fault:
            raise InputError(expected(path, f"a {KIND}", f"one without {fault}", "fit the run again")) from fault
