"""Finished runs whose data lie where a test says, for what the demo shows of a brain. No test by itself."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.demo.runs import Prepared, Run
from brain.data.standardise import SessionScaler
from brain.types import Recording, Region, Responses, Split, Stimuli
from brain.voxels import VoxelSpace, surface_space
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.stages.draw.opened import Opened
from evaluation.report.types import Ladder
from evaluation.samples.types import Sample, Samples

IDS = tuple(f"s{number:02d}" for number in range(12))
TEST = IDS[9:]
FACTS = {"subject": "subj01", "betas": "b", "unit": "z"}


def vertices(ids: object, sides: object, *, of: int = 10_242, name: str = "fsaverage5") -> VoxelSpace:
    """A space of these vertices."""
    return surface_space(**FACTS, name=name, vertices=np.asarray(ids), hemisphere=np.asarray(sides), of=of)


def volume(name: str, *, side: float, shape: tuple[int, int, int], corner: tuple[float, float, float]) -> VoxelSpace:
    """A space of every voxel of a volume."""
    affine = np.diag([side, side, side, 1.0])
    affine[:3, 3] = corner
    return VoxelSpace(**FACTS, name=name, shape=shape, affine=affine, ijk=np.argwhere(np.ones(shape, bool)))


def recording_on(space: VoxelSpace, regions: dict[str, NDArray[np.bool_]], *, simulated: str = "") -> Recording:
    """Twelve stimuli, shown twice in one session, three of them held out; responses are noise."""
    rng = np.random.default_rng(0)
    trials = np.array([*IDS, *IDS])
    return Recording(
        responses=Responses(
            values=rng.standard_normal((len(trials), len(space))).astype(np.float32), stimulus=trials,
            session=np.ones(len(trials)), repeat=np.repeat([0, 1], len(IDS)), space=space,
        ),
        stimuli=Stimuli(ids=IDS, modality="image", opener=str),
        regions=tuple(Region(name=name, atlas=name, mask=mask) for name, mask in regions.items()),
        splits=(Split(name="held-out", train=IDS[:9], test=TEST),), simulated=simulated,
    )  # fmt: skip


def opened_on(recording: Recording, home: Path) -> Prepared:
    """The recording as the demo has it of a run whose data are open."""
    opened = Opened(run=RunFolder(home), settings=CATALOGUE["bayes-miniature"].settings(), data=home)
    # where a cached property keeps what it has read
    opened.__dict__.update({"recording": recording, "folds": recording.splits})
    responses, (split,) = recording.responses, recording.splits
    return Prepared(opened=opened, scalers={split.name: SessionScaler.fit(responses, responses.of(split.train))})


def run_on(home: Path, regions: tuple[str, ...], *, suffix: str = ".png") -> Run:
    """A run of the test stimuli whose card has these regions."""
    references = {
        name: Sample(row="reference", stimulus=name, index=0, seed=0, file=f"references/{name}{suffix}", sha256="",
                     method="", withheld=False)
        for name in TEST
    }  # fmt: skip
    samples = Samples(folder=home, reference_folder=home, samples=(), references=references)
    return Run(
        name="on a surface", folder=RunFolder(home), settings=CATALOGUE["bayes-miniature"].settings(), data=home,
        samples=samples, ladder=Ladder(scores=(), modality=samples.modality), simulated="",
        card={"data": {"regions": {name: 1 for name in regions}}},
    )  # fmt: skip


def z_of(recording: Recording, stimulus: str) -> NDArray[np.float64]:
    """(voxel,) the mean z-score of a test stimulus, by numpy alone."""
    responses = recording.responses
    seen = responses.values[responses.of(recording.splits[0].train)].astype(np.float64)
    shown = responses.values[responses.stimulus == stimulus].astype(np.float64)
    return np.asarray(((shown - seen.mean(0)) / seen.std(0)).mean(0))


def unpacked(text: str, kind: str) -> NDArray[np.generic]:
    """What a page reads of a text of `app.demo.surface`."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)
