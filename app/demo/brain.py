"""What the brain gave to a stimulus, as it is shown: bars by region, and a surface, a glass brain or slices.

view = brain_view(run, known, "nsd00013")       None where the data are not there
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

import numpy as np

from app.demo.knobs import regions
from app.demo.looks import STRONG, slice_uris, uri_of
from app.demo.runs import Pattern, Prepared, Run
from app.demo.surface import Place, masks_text, place_of, scale_css, scale_ends, values_text
from app.demo.view_types import BrainView, SurfaceView
from brain.types import Float, Recording, Region
from brain.voxels import VoxelSpace
from decode.stages.fit.regions import shown_regions

SLICES = (
    "Slices of the data's own grid from below to above, left at the left, front at the top; red is above, blue below "
    f"the voxel's mean, the deepest colour {STRONG:g} standard deviations from it."
)
SURFACE = f"Red is above, blue below a vertex's own mean, the deepest colour {STRONG:g} standard deviations from it."
DRAWING = threading.Lock()
"""Matplotlib's figures are drawn by one thread at a time."""


def brain_view(run: Run, known: Prepared | None, stimulus: str) -> BrainView | None:
    """The pattern of a test stimulus where its space lets it be shown; None where there is none."""
    pattern = known.pattern(stimulus) if known else None
    if known is None or known.opened is None or pattern is None:
        return None
    return pattern_view(run, known.opened.recording, pattern)


def pattern_view(run: Run, recording: Recording, pattern: Pattern) -> BrainView:
    """A pattern over a recording's voxels, as it is shown."""
    space = recording.responses.space
    place = place_of(space, simulated=recording.simulated)
    shown = shown_regions(recording)
    most = max([1.0, *(abs(mean) for _, mean, _ in pattern.regions)])  # one scale, so that stimuli can be compared
    bars = tuple(
        (name, f"{mean:+.2f}".replace("-", "−"), 100 * mean / most, voxels) for name, mean, voxels in pattern.regions
    )
    note = (
        "z-scored within session by mean and standard deviation of the training trials, averaged over "
        f"{pattern.repeats} repeat{'s' if pattern.repeats != 1 else ''} of this stimulus."
    )
    known = set(regions(run)) if place.kind != "own" and run.modality == "image" else set()
    return BrainView(
        bars=bars, slices=slice_uris(pattern.values, space) if space.placed else (),
        note=" ".join([note, *([SLICES] if space.placed else [SURFACE] if place.kind == "surface" else [])]),
        space=place.space, why=place.why, surface=surface_view(pattern.values, place, shown),
        glass=glass_uri(pattern.values, space) if place.kind == "glass" else "",
        run=run.name, choosable=tuple(region.name for region in shown if region.name in known),
    )  # fmt: skip


def surface_view(values: Float, place: Place, shown: Sequence[Region]) -> SurfaceView | None:
    """A pattern (voxel,) on the mesh; None where it has no place there."""
    if place.columns is None:
        return None
    masks = np.array([region.mask for region in shown], np.bool_).reshape(len(shown), len(values))
    return SurfaceView(
        values=values_text(values, place.columns), masks=masks_text(masks, place.columns),
        regions=tuple(region.name for region in shown), scale=scale_css(), ends=scale_ends(),
    )  # fmt: skip


def glass_uri(values: Float, space: VoxelSpace) -> str:
    """A pattern (voxel,) over a volume in MNI space as a PNG of a glass brain, the strongest value along each ray."""
    import matplotlib
    import nibabel
    import nilearn.plotting

    with DRAWING:
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        volume = np.zeros(space.shape, np.float32)
        volume[tuple(space.ijk.T)] = np.nan_to_num(values)
        figure = plt.figure(figsize=(8, 2.6), dpi=110)
        try:
            nilearn.plotting.plot_glass_brain(
                nibabel.Nifti1Image(volume, space.affine), figure=figure, display_mode="lyrz", colorbar=True,
                cmap="RdBu_r", plot_abs=False, vmin=-STRONG, vmax=STRONG, threshold=None, symmetric_cbar=True,
            )  # fmt: skip
            out = io.BytesIO()
            figure.savefig(out, format="png", facecolor="white")
        finally:
            plt.close(figure)
    return uri_of(out.getvalue())
