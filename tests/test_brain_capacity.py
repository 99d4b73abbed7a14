"""Work that certainly does not fit into memory is refused before it begins; the arithmetic needs no card."""

from __future__ import annotations

import json
import resource
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from brain.errors import StorageError
from brain.machine.capacity import available, bound, machine_room, must_fit, room_on, said
from brain.readers import open_recording
from brain.types import Split
from decode.run.settings import MachineSettings, MapSettings, SamplingSettings, Settings, maps_of
from decode.stages.fit.memory import check_fitting, check_networks, fitting_bytes
from encoders.ridge import fit_ridge, ridge_bytes
from pipelines.stacks.folder import StackFolder


def test_what_does_not_fit_is_refused_with_needed_and_available() -> None:
    must_fit("weights", 4_000_000_000, 4_000_000_000, where="cuda", then="take --device cpu")
    with pytest.raises(StorageError) as refused:
        must_fit("weights", 4_200_000_000, 900_000_000, where="cuda", then="take --device cpu")
    assert str(refused.value) == "weights: expected 4.2 GB of memory or more, found 900 MB on cuda; take --device cpu"
    assert (said(0), said(12_340_000), said(139e9)) == ("0 MB", "12 MB", "139.0 GB")  # type: ignore[arg-type]


def test_memory_that_is_free_is_read_in_linux_and_container_terms(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 100 kB\nMemAvailable:   40 kB\nSwapFree: 2 kB\nHugePages_Total: 0\n")
    assert available(file) == 42 * 1024 and available(tmp_path / "none") is None
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "some").write_text("4096\n")
    assert [bound(tmp_path / name) for name in ("max", "some", "none")] == [None, 4096, None]
    machine = room_on("cpu")
    assert machine > 2**28
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = 2**44 if hard == resource.RLIM_INFINITY else min(2**44, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        assert machine_room() <= limit
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(
    ("groups", "voxels", "targets", "folds"),
    [
        ([f"s{row}" for row in range(200)], 150, 1500, 5),
        ([f"s{row}" for row in range(200)], 450, 1500, 5),
        ([f"s{row}" for row in range(200)], 450, 150, 5),
        (["often"] * 150 + [f"s{row}" for row in range(50)], 450, 1500, 5),
        (["often"] * 150 + [f"s{row}" for row in range(50)], 450, 1500, 20),
    ],
)
def test_a_ridge_holds_no_less_than_is_counted(groups: list[str], voxels: int, targets: int, folds: int) -> None:
    """Of arrays that are really held at once: no fit that would go well is refused, and few that would not begin."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(len(groups), columns)).astype("f4") for columns in (voxels, targets))
    tracemalloc.start()
    try:
        fit_ridge(x, y, groups=groups, alphas=(1.0, 10.0), folds=folds, seed=0, chunk=128)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    counted = ridge_bytes(len(groups), voxels, targets, folds=folds)
    assert counted <= peak <= 3 * counted


def test_a_fit_too_large_for_the_machine_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    ids = np.array([f"s{number}" for number in range(12)])
    np.savez(tmp_path / "own.npz", responses=np.random.default_rng(0).normal(size=(12, 50)).astype("f4"), stimulus=ids)
    recording = open_recording(tmp_path / "own.npz")
    fold = Split(name="one", train=tuple(ids[:10]), test=tuple(ids[10:]))
    settings = Settings(recipe="pixels-ridge", maps=MapSettings(maps=("pixels=*",), stack=""))
    counted = fitting_bytes(recording, fold, {"pixels": (10, 10)}, maps_of(settings.maps)["pixels"], settings)
    assert counted == 12 * 50 * 4 + 4 * (12 * 100 + 10 * 150) + ridge_bytes(10, 50, 100, folds=5)
    check_fitting(recording, [fold], {"pixels": (10, 10)}, settings)
    with pytest.raises(StorageError, match=r"fitting pixels: expected .* GB of memory or more, found .* --maps"):
        check_fitting(recording, [fold], {"pixels": (10**7, 10**7)}, settings)


def test_the_weights_of_a_stack_are_counted_from_headers_alone(tmp_path: Path, tiny_stack: Path) -> None:
    for name, dtype in (("a.safetensors", "f4"), ("a.fp16.safetensors", "f2")):
        (tmp_path / "unet").mkdir(exist_ok=True)
        save_file({"w": np.zeros((3, 5), dtype), "b": np.zeros(7, dtype)}, tmp_path / "unet" / name)
    stack = StackFolder(path=tmp_path, row=None)
    assert (stack.weights("unet"), stack.weights("vae")) == (22, 0)
    settings = Settings(recipe="r", maps=MapSettings(stack=str(tiny_stack), maps=("vae-latent=*",)))
    for drawn in (True, False):
        check_networks(settings, drawn=drawn)


def test_a_stack_larger_than_the_machine_is_refused_with_what_to_take(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"unet": ["diffusers", "UNet2DConditionModel"]}))
    (tmp_path / "unet").mkdir()
    count = 3 * 10**12  # a hole in the file: 12 TB of weights that take no room here
    head = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    with (tmp_path / "unet/model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + 4 * count)
    settings = Settings(recipe="r", maps=MapSettings(stack=str(tmp_path), maps=("vae-latent=*",)))
    with pytest.raises(StorageError, match=r"in float32: expected 12000\.0 GB .* on cpu; take --dtype float16"):
        check_networks(settings, drawn=True)
    half = replace(settings, sampling=SamplingSettings(dtype="float16"), machine=MachineSettings(device="cpu"))
    with pytest.raises(StorageError, match=r"in float16: expected 6000\.0 GB .* on cpu; take a smaller --stack"):
        check_networks(half, drawn=True)
