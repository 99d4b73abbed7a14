"""Small valid inputs of every kind that is read, and the call that reads each: KINDS, name -> (write, read)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import soundfile
from PIL import Image

from app.cli import main
from brain.data.pack import pack, write_arrays
from brain.errors import AfterimageError
from brain.readers import open_recording, reader_of
from brain.simulated.layouts.tiny import tiny_nsd
from brain.simulated.layouts.tiny_listener import tiny_listener
from encoders.conditions import Conditions
from encoders.masked.trials import read_unlabelled
from evaluation.samples.read import read_samples
from pipelines.images.tiny import tiny_stack
from pipelines.stacks.load import check

TRIALS, VOXELS = 24, 8
IDS = [f"s{number:02d}" for number in range(TRIALS)]
Read = Callable[[Path], str]


def planted() -> dict[str, Any]:
    """The arrays of a small experiment."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (TRIALS, 8, 8, 3), np.uint8)
    return {"responses": generator.normal(size=(TRIALS, VOXELS)).astype(np.float32), "images": images}


def own_npz(root: Path) -> None:
    """One npz in the own-data format."""
    fields = {
        "stimulus": np.array(IDS),
        "image_ids": np.array(IDS),
        "session": np.repeat([1, 2], TRIALS // 2),
        "ncsnr": np.ones(VOXELS),
        "roi/V1": np.arange(VOXELS) < 3,
        "split/mine/train": np.array(IDS[:18]),
        "split/mine/test": np.array(IDS[18:]),
        "captions": np.array(["a dog"] * TRIALS),
        "caption_ids": np.array(IDS),
    }
    np.savez_compressed(root / "data.npz", **planted(), **fields)


def own_h5(root: Path, *, folder: str = "") -> None:
    """One HDF5 file in the own-data format; with `folder` its stimuli lie there."""
    whole = planted()
    write_arrays(
        root / "data.h5",
        responses=whole["responses"],
        stimulus=IDS,
        images=None if folder else whole["images"],
        image_ids=None if folder else IDS,
        fields={"session": np.repeat([1, 2], TRIALS // 2)} | ({"folder": folder} if folder else {}),
        regions={"V1": np.arange(VOXELS) < 3},
        splits={"mine": (IDS[:18], IDS[18:])},
        captions={name: ["a dog"] for name in IDS},
    )


def pictures(folder: Path, names: list[str], suffixes: tuple[str, ...] = (".png", ".jpg", ".webp")) -> None:
    """One picture a name, in the formats in turn."""
    folder.mkdir()
    for number, name in enumerate(names):
        Image.fromarray(planted()["images"][number]).save(folder / f"{name}{suffixes[number % len(suffixes)]}")


def sounds(folder: Path, names: list[str], endings: tuple[str, ...] = ("wav", "flac")) -> None:
    """One quarter of a second of noise a name."""
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number, name in enumerate(names):
        wave = 0.1 * generator.standard_normal(4000)
        soundfile.write(folder / f"{name}.{endings[number % len(endings)]}", wave, 16000)


def own_pictures(root: Path) -> None:
    """Own data beside a folder of pictures."""
    pictures(root / "images", IDS)
    own_h5(root, folder="images")


def own_sounds(root: Path) -> None:
    """Own data beside a folder of sounds."""
    sounds(root / "sounds", IDS)
    own_h5(root, folder="sounds")


def nsd(root: Path, ending: str) -> None:
    """A tiny brain in NSD's layout."""
    tiny_nsd(root, sessions=2, trials=12, shared=3, formats=(ending,))


def listener(root: Path, part: str) -> None:
    """A tiny listener as BData or as a series."""
    tiny_listener(root, clips=6, tests=2)
    shutil.rmtree(root / ("bids" if part == "bdata" else "bdata"))


def series_nifti(root: Path) -> None:
    """A tiny listener's series and masks as NIfTI."""
    voxels = tiny_listener(root, clips=6, tests=2).voxels
    shutil.rmtree(root / "bdata")
    for path in sorted(root.rglob("*_bold.h5")):
        with h5py.File(path) as file:
            values = file["data"][()].T
        image = volume(voxels, slice(None), values)
        image.header.set_xyzt_units("mm", "sec")
        image.header["pixdim"][4] = 1.28
        nibabel.save(image, str(path).replace(".h5", ".nii.gz"))
        path.unlink()
    home = root / "bids/sub-01"
    (home / "rois.h5").unlink()
    (home / "rois").mkdir()
    for name, mask in voxels.regions.items():
        nibabel.save(volume(voxels, mask, np.ones(int(mask.sum()), np.float32)), home / f"rois/{name}.nii.gz")


def volume(voxels: Any, chosen: Any, values: Any) -> Any:
    """The values of these voxels, (voxel[, time]), as an image."""
    whole = np.zeros((5, 6, 4, *values.shape[1:]), np.float32)
    whole[tuple(voxels.ijk[chosen].T)] = values
    return nibabel.Nifti1Image(whole, voxels.affine)


def mindvis(root: Path) -> None:
    """A subject of MinD-Vis' npz files."""
    generator = np.random.default_rng(0)
    mean, spread = generator.standard_normal((4, 20)), generator.standard_normal((4, 3, 20))
    single = mean[:, None] + spread - spread.mean(1, keepdims=True)
    regions = {"VC": np.arange(20) < 15, "V1": np.arange(20) < 6}
    arrays = {"arr_0": generator.standard_normal((12, 20)), "arr_1": single.reshape(-1, 20), "arr_2": mean}
    np.savez(root / "sbj_3.npz", **arrays, arr_3=generator.permutation(12), **regions)
    shown = np.arange(16 * 12).reshape(-1, 2, 2, 3) / 255.0
    np.savez(root / "images_256.npz", train_images=shown[:12], test_images=shown[12:])


def unlabelled(root: Path) -> None:
    """Unlabelled trials beside the own data of the same voxels."""
    own_h5(root)
    with h5py.File(root / "data.h5", "r+") as file:
        file["subject"] = "s1"
    ijk = np.stack([np.arange(VOXELS), np.zeros(VOXELS, int), np.zeros(VOXELS, int)], axis=1)
    (root / "unlabelled").mkdir()
    with h5py.File(root / "unlabelled/s1.h5", "w") as file:
        for name, values in {"values": planted()["responses"], "session": np.repeat([1, 2], 12), "ijk": ijk}.items():
            file.create_dataset(name, data=values, fletcher32=True)


def read_both(root: Path) -> str:
    """All numbers of the unlabelled trials of the subject of `root/data.h5`."""
    found = read_unlabelled(root, open_recording(root / "data.h5"))
    return digest(found and (found.values.tolist(), found.session.tolist(), found.space.sha256))


def packed(root: Path) -> None:
    """What `pack` takes: arrays, tables of text, pictures."""
    np.save(root / "responses.npy", planted()["responses"])
    (root / "ids.txt").write_text("\n".join(IDS))
    (root / "captions.csv").write_text("\n".join(f'{name},"a {name}"' for name in IDS))
    (root / "session.csv").write_text("\n".join(["1"] * 12 + ["2"] * 12))
    (root / "V1.txt").write_text("\n".join(str(int(number < 3)) for number in range(VOXELS)))
    pictures(root / "images", IDS, (".png",))


def run(root: Path) -> None:
    """A finished run of pixels-ridge."""
    own_h5(root)
    if study(root):
        raise RuntimeError("the seed's study failed")


def study(root: Path) -> int:
    """The exit code of a study of `root/data.h5` by pixels-ridge into `root/run`."""
    words = ["--recipe", "pixels-ridge", "--folds", "3", "--bootstrap", "100", "--permutations", "20"]
    return main(["study", str(root / "data.h5"), *words, "--pixels", "rgb-8x8", "--out", str(root / "run")])


def studied(root: Path) -> str:
    """The same study over a run that stands; exit codes 2 to 5 are sentences."""
    code = study(root)
    if code not in (0, 2, 3, 4, 5):
        raise RuntimeError(f"study leaves with {code}")
    if code:
        raise AfterimageError(f"study leaves with {code}")
    return sampled(root / "run")


def samples(root: Path, write: Callable[[Path, list[str]], None]) -> None:
    """Anyone's folder of samples beside references."""
    write(root / "references", IDS[:6])
    write(root / "samples", IDS[:6])


def digest(*parts: object) -> str:
    """The digest of arrays and texts: two readings of one input agree in it."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return whole.hexdigest()


def opened(path: Path) -> str:
    """All numbers and stimuli of a recording, which is inspected too."""
    reader_of(path).inspect(path)
    recording = open_recording(path)
    responses, stimuli = recording.responses, recording.stimuli
    media = [stimuli.open(name) for name in stimuli.ids[:30]]
    arrays = [np.asarray(one[0] if isinstance(one, tuple) else one) for one in media]
    regions = [(region.name, region.mask.tolist()) for region in recording.regions]
    splits = [(split.name, split.sha256) for split in recording.splits]
    labels = sorted((name, sorted(one.items())) for name, one in stimuli.labels.items())
    words = sorted(stimuli.captions.items()), labels
    trials = responses.stimulus.tolist(), responses.session.tolist(), responses.repeat.tolist()
    return digest(responses.values, trials, responses.space.sha256, regions, splits, words, *arrays)


def pack_and_open(root: Path) -> str:
    """What `pack` makes of its inputs."""
    out = pack(
        root / "packed.h5",
        responses=root / "responses.npy",
        stimulus=root / "ids.txt",
        images=root / "images",
        captions=root / "captions.csv",
        columns={"session": root / "session.csv"},
        regions={"V1": root / "V1.txt"},
        size=8,
    )
    return opened(Path(out))


def stored(root: Path) -> str:
    """The tensors and samples that a run keeps."""
    found = [Conditions.load(path).values for path in sorted((root / "run/conditions").glob("*.safetensors"))]
    return digest(*found, sampled(root / "run"))


def sampled(folder: Path, references: Path | None = None) -> str:
    """All samples of a folder, opened."""
    found = read_samples(folder, references=references)
    opener = found.hear if found.modality == "sound" else found.open
    kept = [one for one in (*found.samples, *found.references.values()) if not one.withheld]
    return digest(*(np.asarray(opener(one)) for one in kept))


def audited(root: Path) -> str:
    """`afterimage audit` over a run, whose exit codes 2 to 5 are sentences."""
    code = main(["audit", str(root / "run")])
    if code:
        raise AfterimageError(f"audit leaves with {code}")
    return "audited"


KINDS: dict[str, tuple[Callable[[Path], None], Read]] = {
    "own-npz": (own_npz, lambda root: opened(root / "data.npz")),
    "own-h5": (own_h5, lambda root: opened(root / "data.h5")),
    "own-pictures": (own_pictures, lambda root: opened(root / "data.h5")),
    "own-sounds": (own_sounds, lambda root: opened(root / "data.h5")),
    "nsd-hdf5": (lambda root: nsd(root, "hdf5"), opened),
    "nsd-nifti": (lambda root: nsd(root, "nii.gz"), opened),
    "mindvis": (mindvis, opened),
    "bdata": (lambda root: listener(root, "bdata"), opened),
    "series-h5": (lambda root: listener(root, "bids"), opened),
    "series-nifti": (series_nifti, opened),
    "unlabelled": (unlabelled, read_both),
    "pack": (packed, pack_and_open),
    "samples-pictures": (
        lambda root: samples(root, pictures), lambda root: sampled(root / "samples", root / "references")
    ),
    "samples-sounds": (lambda root: samples(root, sounds), lambda root: sampled(root / "samples", root / "references")),
    "stored": (run, stored),
    "run": (run, audited),
    "resumed": (run, studied),
    "stack": (lambda root: shutil.copytree(tiny_stack(root / "made"), root / "stack") and None, lambda root: digest(
        sorted(check(str(root / "stack")).components.items())
    )),
}  # fmt: skip
