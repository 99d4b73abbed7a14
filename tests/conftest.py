"""What every test stands on: no network but this machine itself, few threads, real classes at toy size."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for name, value in {
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "MPLBACKEND": "Agg",
}.items():
    os.environ[name] = value
os.environ.setdefault("OMP_NUM_THREADS", "2")

import pytest  # noqa: E402 - the environment comes first, libraries read it when imported

LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", ""}


SLOW = (
    "test_golden_study", "test_demo_browser", "test_golden_sound", "test_miniature", "test_encoders_pretrain",
    "test_simulated_cortex",
)  # fmt: skip
NUMERIC = (
    "test_brain_", "test_encoders_", "test_evaluation_judges", "test_evaluation_metrics", "test_evaluation_score",
    "test_evaluation_sounds", "test_pipelines_drawing", "test_pipelines_guidance", "test_pipelines_ridge",
    "test_pipelines_sampler", "test_pipelines_sound.", "test_pipelines_vocoding",
)  # fmt: skip
"""How the names of files begin that the rows of tests/processors.py run: arithmetic, no whole studies or trainings."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes comes first, so that no worker is left alone with it; tests to rounding are `numeric`.

    These are the tests of a file of one of the rooms that computes tolerances (`tests.rounding`), unless it marks some
    of its own as numeric.
    """
    items.sort(key=lambda item: next((n for n, name in enumerate(SLOW) if item.path.stem.startswith(name)), len(SLOW)))
    chosen = {item.path for item in items if item.get_closest_marker("numeric")}
    for item in items:
        computes = hasattr(getattr(item, "module", None), "rounding")
        if computes and item.path.name.startswith(NUMERIC) and item.path not in chosen:
            item.add_marker("numeric")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that reaches for another machine fails, whatever it wanted there."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test reached for the network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout that is tested."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tiny_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack of the real classes, random and tiny, in the miniature's structure."""
    from pipelines.images.tiny import tiny_stack as write

    return write(tmp_path_factory.mktemp("stacks") / "tiny")


def plant(out: Path, *, hidden: bool = False) -> Path:
    """A data set of our own format in which voxels are a noisy linear picture of the pictures: 36 of them, shown twice.

    Regions early, ventral, lateral and nsdgeneral; captions; a split "held-out" of 28 and 8. `hidden`: pictures and
    captions of the 8 are noise, their responses what they were
    """
    import numpy as np

    from brain.data.pack import write_arrays

    rng = np.random.default_rng(0)
    ids = [f"s{number:02d}" for number in range(36)]
    coarse = rng.integers(0, 256, (36, 4, 4, 3), np.uint8)
    images = coarse.repeat(4, axis=1).repeat(4, axis=2)
    said = {name: [f"{('red', 'round', 'far')[number % 3]} {number}"] for number, name in enumerate(ids)}
    if hidden:
        images[28:] = np.random.default_rng(1).integers(0, 256, images[28:].shape)
        said |= {name: ["nothing of that"] for name in ids[28:]}
    signal = (coarse.reshape(36, -1) / 255.0 - 0.5) @ rng.standard_normal((48, 90))
    order = np.concatenate([rng.permutation(36), rng.permutation(36)])
    return write_arrays(
        out,
        responses=(signal[order] + 0.3 * rng.standard_normal((72, 90))).astype(np.float32),
        stimulus=[ids[row] for row in order],
        images=images,
        image_ids=ids,
        fields={
            "session": np.repeat([1, 2], 36),
            "subject": "subj01",
            "ijk": np.stack([np.arange(90) % 9, np.arange(90) // 9, np.zeros(90, int)], 1),
            "affine": np.diag([2.0, 2.0, 2.0, 1.0]),
        },
        regions={name: np.arange(90) % 3 == place for place, name in enumerate(("early", "ventral", "lateral"))}
        | {"nsdgeneral": np.ones(90, bool)},
        splits={"held-out": (ids[:28], ids[28:])},
        captions=said,
    )


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of `plant`."""
    return plant(tmp_path_factory.mktemp("data") / "planted.h5")
