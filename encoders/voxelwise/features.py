"""Features that candidates are compared by: principal components of one or several spaces, side by side.

    features = Features.of({"clap": bank.spaces["clap"], "loa": bank.spaces["loa"]})
    features.candidates                             # (candidate, feature): what is searched
    features.of_conditions({"clap": clap, "loa": loa}, ids)      # (stimulus, feature) of conditions
    features.part(rows, "loa")                      # (row, component): the coordinates of that space again

Of several spaces each has the same share of the variance, for a squared error over all of them settles how far voxels
are believed, and the unit of a space is its maker's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.types import Float
from encoders.conditions import Conditions
from encoders.voxelwise.banks import Components


@dataclass(frozen=True, kw_only=True)
class Features:
    """Components of all candidates.

    spaces  space -> its Components, in the order in which they stand side by side
    scales  (space,) what coordinates are multiplied with; 1 where there is one space
    """

    spaces: Mapping[str, Components]
    scales: tuple[float, ...]

    @classmethod
    def of(cls, spaces: Mapping[str, Components]) -> Features:
        """Those of a bank's spaces, of as many candidates."""
        if len(spaces) == 1:
            return cls(spaces=spaces, scales=(1.0,))
        sizes = [float(np.square(one.coordinates, dtype=np.float64).sum(1).mean()) for one in spaces.values()]
        return cls(spaces=spaces, scales=tuple(1 / np.sqrt(size) if size > 0 else 1.0 for size in sizes))

    @cached_property
    def candidates(self) -> NDArray[Any]:
        """(candidate, feature); of one space its coordinates as they lie in the bank, in half precision."""
        parts = [one.coordinates for one in self.spaces.values()]
        return parts[0] if len(parts) == 1 else self._together(parts)

    def of_conditions(self, true: Mapping[str, Conditions], ids: Sequence[str]) -> Float:
        """(stimulus, feature) float32 of the conditions of these stimuli, one a space."""
        return self._together([one.coordinates_of(true[name].take(ids).values) for name, one in self.spaces.items()])

    def part(self, rows: NDArray[Any], space: str) -> NDArray[np.float64]:
        """Features (row, feature) -> the coordinates (row, component) float64 of one space."""
        ends = np.cumsum([len(one.axes) for one in self.spaces.values()])
        place = list(self.spaces).index(space)
        own = rows[:, ends[place] - len(self.spaces[space].axes) : ends[place]]
        return np.asarray(own, np.float64) / self.scales[place]

    def _together(self, parts: Sequence[NDArray[Any]]) -> Float:
        both = zip(parts, self.scales, strict=True)
        scaled = [np.asarray(one, np.float32) * np.float32(scale) for one, scale in both]
        return np.ascontiguousarray(np.concatenate(scaled, axis=1), np.float32)
