"""A reader that nobody knows: FILE.toy, an npz under another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from brain.readers import Inspection
from brain.types import Recording, Region, Responses, Split, Stimuli
from brain.voxels import VoxelSpace


class Toy:
    """The entry."""

    name = "toy"
    title = "a toy file"
    description = "responses and pictures in an npz that ends in .toy"
    citation = "nobody, never"
    licence = ""
    terms = ""

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".toy" and path.is_file()

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        return ("toy",)

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}
        ids = tuple(found["ids"].tolist())
        pictures = {name: Image.fromarray(one) for name, one in zip(ids, found["pictures"], strict=True)}
        voxels = found["responses"].shape[1]
        space = VoxelSpace(
            subject="toy", name="native", betas="native", unit="psc", shape=(voxels, 1, 1), affine=np.eye(4),
            ijk=np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], 1),
        )  # fmt: skip
        trials = len(found["responses"])
        responses = Responses(
            values=found["responses"].astype(np.float32), stimulus=found["shown"], space=space,
            session=np.ones(trials, np.int64), repeat=found["repeat"],
        )  # fmt: skip
        test = ids[::4]
        return Recording(
            responses=responses, stimuli=Stimuli(ids=ids, modality="image", opener=pictures.__getitem__),
            regions=(Region(name="all", mask=np.ones(voxels, bool), atlas="toy"),),
            splits=(Split(name="every-fourth", train=tuple(set(ids) - set(test)), test=test),), reader=self.name,
            source=str(path),
        )  # fmt: skip

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        return Inspection(lines=(f"{path}: a toy",))


ENTRIES = (Toy(),)
