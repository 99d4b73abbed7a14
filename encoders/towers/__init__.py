"""Towers: frozen networks from pixels to features that gradients can pass, one file a kind.

    tower = CATALOGUE["clip-image"].open(folder, model="miniature-image", device="cpu")
    features = tower(pictures)          pictures (picture, 3, H, W) in [0, 1], any size; features (picture, feature)

A tower resizes by itself, by one differentiable function (bilinear, antialiased), so that a voxelwise encoder is fitted
and later followed uphill on the very same view of a picture: BrainDiVE's released code fitted on one resize and guided
through another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from brain.catalogue import Catalogue
from brain.machine.memory import fresh

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Tower:
    """An opened tower.

    name, model, digest   of the catalogue, of the stack or folder, sha256 of its weights: what an encoder is tied to
    side                  pictures are brought to side x side pixels
    mean, std             of its normalisation, three colours each
    width                 features it gives
    forward               (picture, 3, side, side) normalised -> (picture, width), differentiable
    """

    name: str
    model: str
    digest: str
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    width: int
    forward: Callable[[Tensor], Tensor] = field(repr=False)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Unit-norm features (picture, width) of pictures (picture, 3, H, W) in [0, 1]."""
        from torch.nn import functional as F  # noqa: N812

        return F.normalize(self.raw(pictures), dim=1)

    def raw(self, pictures: Tensor) -> Tensor:
        """The features as the network gives them, (picture, width) float32, however the pictures lie in memory."""
        from torch.nn import functional as F  # noqa: N812

        pictures = fresh(pictures)
        if pictures.shape[-2:] != (self.side, self.side):
            pictures = F.interpolate(
                pictures, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
            )
        mean = pictures.new_tensor(self.mean).view(1, 3, 1, 1)
        std = pictures.new_tensor(self.std).view(1, 3, 1, 1)
        return self.forward((pictures - mean) / std).float()

    def facts(self) -> dict[str, object]:
        """For a card."""
        return {"tower": self.name, "model": self.model, "sha256": self.digest, "side": self.side, "width": self.width}


class TowerEntry(Protocol):
    """A kind of tower in the catalogue; title, description and citation are its card, in the field's words."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...

    def open(self, folder: Path, *, model: str, device: str) -> Tower:
        """The tower in `folder`; absent weights are a CheckpointAbsent, damaged ones an InputError."""

    def tiny(self, folder: Path) -> Path:
        """A random small one, written below `folder`; the folder to open it from. For tests."""


CATALOGUE: Catalogue[TowerEntry] = Catalogue("encoders.towers", "tower")
