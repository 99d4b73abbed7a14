"""Brain correlation: what a voxelwise encoder would measure for a sample, compared with what was measured.

The encoder must be one that neither the decoder nor the generator used, or the comparison is circular. Regions are
data, so these metrics stand in no catalogue: `brain_metrics` makes one a region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brain.data.correlation import pairwise
from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison, spaced
from evaluation.score import Int, Marks


@dataclass(frozen=True, kw_only=True)
class BrainCorrelation(Comparison):
    """Pearson correlation over the voxels of `region`: predicted from the sample with measured for the reference
    (MindEye2, Scotti et al. 2024, there with GNet). Dividing by the noise ceiling is the report's."""

    region: str
    network: str = "brain"
    citation: str = "Scotti et al. 2024, ICML (MindEye2)"
    bounds: tuple[float, float] = (-1.0, 1.0)

    def absent(self, references: Views) -> str:
        """Why there is no correlation over voxels here, "" when there is."""
        if self.region not in references.patterns:
            return f"nothing was measured in {self.region}"
        voxels = references.patterns[self.region].shape[1]
        return "" if voxels > 1 else f"a correlation over voxels needs two, and {self.region} has {voxels}"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The correlations over voxels (sample, reference)."""
        table = pairwise(samples.patterns[self.region], references.patterns[self.region])
        return Marks(table=table.astype(np.float32))


def brain_metrics(references: Views) -> tuple[BrainCorrelation, ...]:
    """One metric a region of the references' patterns, named "brain_<region>", in their order."""
    return tuple(
        BrainCorrelation(
            name=f"brain_{region}", region=region, title=spaced(f"brain_{region}"),
            description=f"correlation of predicted with measured responses over the voxels of {region}",
        )
        for region in references.patterns
    )  # fmt: skip
