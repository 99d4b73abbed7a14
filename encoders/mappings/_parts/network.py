"""The network family of maps: a residual network of one subject, which answers by its regression or by its prior.

    NetworkMap.load(path).decode(responses)

This module imports no torch until a map is used: `afterimage decode` names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from brain.errors import InputError, expected
from brain.types import Float
from encoders.conditions import Conditions
from encoders.mappings._parts.base import BaseMap, check_patterns, read_map
from encoders.storage import Arrays

if TYPE_CHECKING:
    from encoders.mappings._parts.residual_map import ResidualMap

REGRESSION, PRIOR = "regression", "prior"
ANSWERS = (REGRESSION, PRIOR)
"""How a network may answer: with its regression, or with what its diffusion prior draws."""
FIRST = {"residual": REGRESSION, "shared": REGRESSION, "prior": PRIOR}
"""What the cards of format 1 called `way` -> the answer."""


@dataclass(frozen=True, kw_only=True)
class NetworkMap(BaseMap):
    """Voxels -> conditions by a residual network of one subject.

    network      ResidualMap of this subject alone, of this map's space and rescaling
    answer       one of `ANSWERS`; what the prior draws is left as it is, whatever the rescaling
    seed         from which a stimulus' own seed of the prior derives
    cv_r2        1 - squared error / variance on the held-out training stimuli, repeats averaged, before rescaling.
                 These stimuli also chose when training stopped, so that it flatters a little
    """

    family: ClassVar[str] = "network"
    network: ResidualMap
    answer: str
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer not in ANSWERS or len(self.network.subjects) != 1:
            found = f"{self.answer!r} for {', '.join(self.network.subjects)}"
            what = f"{' or '.join(ANSWERS)} for one subject"
            raise InputError(expected("network map", what, found, "fit again"))
        self.network.space.must_match(self.space)
        voxels, targets = len(self.voxels), int(np.prod(self.space.shape))
        read = {name: adapter.in_features for name, adapter in self.network.network.adapters.items()}
        sizes = (*read.values(), len(self.network.centre))
        if sizes != (voxels, targets):
            what = f"an adapter of {voxels} voxels and a network of {targets} targets"
            raise InputError(expected("network map", what, f"sizes {sizes}", "fit again"))

    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the map's own column order -> Conditions of `ids`.

        Each pattern goes through the network alone, so that it has the bits it has among others.
        """
        check_patterns(values, ids)
        made = [self._one(pattern[None], name) for pattern, name in zip(values, ids, strict=True)]
        return Conditions(space=self.space, values=np.concatenate(made), ids=tuple(ids))

    def tensors(self) -> Arrays:
        """The network's weights, and its rescaling: name -> array of any shape."""
        return self.network.arrays()

    def facts(self) -> dict[str, Any]:
        """How it answers, and the network's own card."""
        return {"answer": self.answer, "seed": self.seed, "network": self.network.card()}

    @classmethod
    def load(cls, path: Path) -> NetworkMap:
        """Read what `save` wrote. Truncated, foreign, of another card, or of another voxel digest: `InputError`."""
        return read_map(path, lambda *parts: _from(*parts, path=path), family=cls.family)

    def _one(self, pattern: Float, name: str) -> Float:
        if self.answer == PRIOR:
            return self.network.draw(pattern, seeds=[draw_seed(self.seed, name)])
        return self.network.predict(pattern)


def draw_seed(seed: int, stimulus: str) -> int:
    """The prior's seed for one stimulus, 0 .. 2**63 - 1, unlike the seed that its picture is drawn with."""
    digest = hashlib.sha256(f"prior\0{seed}\0{stimulus}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _from(common: dict[str, Any], tensors: Arrays, card: dict[str, Any], *, path: Path) -> NetworkMap:
    from encoders.mappings._parts.residual_map import ResidualMap

    network = ResidualMap.of(tensors, card["network"], path=path)
    (rescaling,) = network.rescaling.values()
    answer = FIRST[card["way"]] if card["format"] == 1 else card["answer"]
    return NetworkMap(**common, rescaling=rescaling, network=network, answer=answer, seed=card["seed"])
