"""The simulated cortex sees what its regions should see, the same for one picture and for many, with a gradient."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from brain.data.averages import average_repeats
from brain.data.reliability import estimate_ncsnr
from brain.data.standardise import SessionScaler
from brain.errors import InputError, UsageError
from brain.readers import open_recording
from brain.simulated.cortex.anatomy import AREAS
from brain.simulated.cortex.ventral import READOUTS
from brain.simulated.cortex.visual_cortex import PREFERS, Cortex, _graded, build_cortex, to_tensor
from brain.simulated.noise import draw_noise
from brain.simulated.scenes.scene import draw_scene, render
from brain.simulated.scenes.things import CATEGORIES
from brain.simulated.simulate import simulate, truth_of
from brain.types import Recording
from tests.rounding import largest, rounding


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return build_cortex(0, 1)


@pytest.fixture(scope="module")
def shown() -> tuple[torch.Tensor, np.ndarray]:
    scenes = [draw_scene(seed=9, index=index) for index in range(160)]
    return torch.stack([to_tensor(render(s, 64)) for s in scenes]), np.array([s.category for s in scenes])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short sessions of the brain above."""
    return simulate(tmp_path_factory.mktemp("sim") / "data", sessions=2, trials=60, seed=0, formats=("hdf5", "nii.gz"))


@pytest.fixture(scope="module")
def responses(cortex: Cortex, shown: tuple[torch.Tensor, np.ndarray]) -> torch.Tensor:
    """(scene, voxel) of the scenes that are shown."""
    with torch.no_grad():
        return cortex.respond(shown[0])


def region(cortex: Cortex, *names: str) -> torch.Tensor:
    return torch.from_numpy(np.isin([AREAS[n].name for n in cortex.anatomy.area], names))


def test_category_regions_prefer_their_category(
    cortex: Cortex, shown: tuple[torch.Tensor, np.ndarray], responses: torch.Tensor
) -> None:
    category = shown[1]
    for name, wanted in PREFERS.items():
        mean = responses[:, region(cortex, name)].mean(1).numpy()
        by_category = {c: mean[category == c].mean() for c in CATEGORIES}
        assert max(by_category, key=by_category.get) == wanted, name
        graded = sorted(by_category.values())
        assert graded[-2] - graded[0] > 0.02 * (graded[-1] - graded[0]), f"{name} is all or nothing"


def test_category_regions_are_graded_inside_their_category(
    cortex: Cortex, shown: tuple[torch.Tensor, np.ndarray], responses: torch.Tensor
) -> None:
    """The category explains most of a region's mean, and a large thing drives it more than a small one."""
    category = shown[1]
    size = np.array([draw_scene(seed=9, index=index).size for index in range(len(category))])
    for name in ("FFA-1", "PPA", "EBA", "VWFA-1", "food"):
        mean = responses[:, region(cortex, name)].mean(1).numpy()
        inside = category == PREFERS[name]
        assert np.corrcoef(mean, inside)[0, 1] ** 2 > 0.6, name
        assert mean[inside].std() > 0.5 * mean.std(), f"{name} is flat inside its category"
        assert mean[inside & (size == "large")].mean() > mean[inside & (size == "small")].mean() + 0.3, name


def test_areas_like_things_besides_their_category(
    cortex: Cortex, shown: tuple[torch.Tensor, np.ndarray], responses: torch.Tensor
) -> None:
    category = shown[1]
    scenes = [draw_scene(seed=9, index=index) for index in range(len(category))]
    built = np.array([scene.setting in ("street", "room") for scene in scenes])
    warm = np.array([scene.colour in ("red", "orange", "yellow", "brown") for scene in scenes])
    for name, liked in (("PPA", built), ("food", warm)):
        mean = responses[:, region(cortex, name)].mean(1).numpy()
        others = category != PREFERS[name]
        assert mean[others & liked].mean() > mean[others & ~liked].mean() + 0.05, name


def test_evidence_is_nothing_without_its_category_and_never_saturates() -> None:
    odds = torch.tensor([-30.0, 0.0, 10.0, 20.0, 40.0])
    logits = {group: torch.zeros(len(odds), len(values)) for group, values in READOUTS.items()}
    logits["category"][:, 2] = odds
    width = len(READOUTS["category"])
    drive = _graded(logits)
    evidence, by_extent, central = drive[:, 2], drive[:, width + 2], drive[:, 2 * width + 2]
    assert evidence[0] < 0.05 and (evidence[2:] - evidence[1:-1] > 0.25).all()
    torch.testing.assert_close(by_extent, evidence / 2)
    torch.testing.assert_close(central, evidence / 3)


@torch.no_grad()
def test_early_areas_are_retinotopic(cortex: Cortex) -> None:
    """A grating patch in one quadrant drives the opposite hemisphere and the right half of V1 most."""
    x = torch.arange(64.0)
    grating = 0.5 + 0.5 * torch.sign(torch.sin(x * 2 * torch.pi / 8))
    drive = {}
    for top in (True, False):
        for left in (True, False):
            picture = torch.full((3, 64, 64), 0.5)
            rows, columns = slice(6, 26) if top else slice(38, 58), slice(6, 26) if left else slice(38, 58)
            picture[:, rows, columns] = grating[columns]
            drive[top, left] = cortex.raw(picture[None])[0] - cortex.raw(torch.full((1, 3, 64, 64), 0.5))[0]
    right = torch.from_numpy(cortex.anatomy.right)
    for (top, left), change in drive.items():
        mean = {
            (ventral, side): change[region(cortex, "V1v" if ventral else "V1d") & (right if side else ~right)].mean()
            for ventral in (True, False)
            for side in (True, False)
        }
        assert max(mean, key=mean.get) == (top, left)


def test_one_picture_responds_as_it_does_among_many(cortex: Cortex, shown: tuple[torch.Tensor, np.ndarray]) -> None:
    with torch.no_grad():
        together, alone = cortex.respond(shown[0][:5]), cortex.respond(shown[0][3:4])
    # the longest way: the convolutions one after the other, the layer that gathers them, a read-out of it, the mixing
    layers = [one for one in (*cortex.net.blocks.parameters(), cortex.net.gather.weight) if one.ndim > 1]
    sums = sum(one[0].numel() for one in layers) + cortex.net.gather.out_features + cortex.mixing.shape[1]
    # 9,000 roundings of either sign come to their root, and four times that less than once in a thousand
    # (Higham and Mary, SIAM J. Sci. Comput. 2019)
    apart = rounding(sums=round(4 * sums**0.5), scale=largest(alone))
    torch.testing.assert_close(together[3], alone[0], atol=apart, rtol=0)


def test_a_region_has_a_gradient_to_the_picture(cortex: Cortex, shown: tuple[torch.Tensor, np.ndarray]) -> None:
    for name in ("FFA-1", "V1v"):
        picture = shown[0][:1].clone().requires_grad_(True)
        cortex.respond(picture)[:, region(cortex, name)].mean().backward()
        assert picture.grad is not None and torch.isfinite(picture.grad).all() and picture.grad.abs().max() > 0


def test_responses_are_scaled_to_natural_scenes(responses: torch.Tensor) -> None:
    assert responses.mean().abs() < 0.1 and 0.8 < responses.std(0).mean() < 1.2


def test_subjects_differ(cortex: Cortex) -> None:
    other = build_cortex(0, 2)
    assert len(other) != len(cortex)
    assert build_cortex.__wrapped__(0, 1).anatomy.ijk.tolist() == cortex.anatomy.ijk.tolist()


def test_the_data_read_back_as_nsd(small: Path) -> None:
    recording = open_recording(small, subject="subj01")
    assert recording.reader == "nsd"
    assert recording.responses.values.shape[0] == 120
    names = {found.name for found in recording.regions}
    assert {"V1", "hV4", "OFA", "FFA-1", "FFA-2", "EBA", "PPA", "OPA", "RSC", "VWFA-1", "food", "early"} <= names
    picture = recording.stimuli.open(recording.stimuli.ids[0])
    row = int(recording.stimuli.ids[0].removeprefix("nsd"))
    assert np.array_equal(np.asarray(picture), np.asarray(render(draw_scene(seed=0, index=row), 128)))
    assert recording.stimuli.captions[recording.stimuli.ids[0]] == draw_scene(seed=0, index=row).captions


def test_the_truth_explains_the_trials(small: Path) -> None:
    recording = open_recording(small, subject="subj01")
    responses = recording.responses
    scaler = SessionScaler.fit(responses, np.ones(len(responses.values), np.bool_))
    averaged = average_repeats(scaler.apply(responses))
    pictures = torch.stack([to_tensor(recording.stimuli.open(one)) for one in averaged.ids])
    with torch.no_grad():
        truth = truth_of(small, "subj01")(pictures).numpy()
    assert truth.shape == averaged.values.shape
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(truth.T[::20], averaged.values.T[::20], strict=True)])
    ceiling = recording.ncsnr[::20]
    good = ceiling > np.quantile(ceiling, 0.9)
    assert r[good].mean() > 0.4 and np.corrcoef(r, ceiling)[0, 1] > 0.3


def test_no_signal_no_truth(cortex: Cortex) -> None:
    signal = np.random.default_rng(0).standard_normal((200, len(cortex))).astype(np.float32)
    noise = draw_noise(cortex, seed=0, subject=1, snr=0.0)
    twin = dataclasses.replace(noise, snr=1.0)
    silent, heard = noise.session(signal, 1), twin.session(signal, 1)
    aligned = lambda data: np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(data.T[:300], signal.T[:300], strict=True)])  # noqa: E731
    assert abs(aligned(silent)) < 0.02 < 0.1 < aligned(heard)


def test_the_written_ncsnr_is_what_the_trials_show(tmp_path: Path) -> None:
    data = simulate(tmp_path / "data", sessions=1, trials=750, seed=0)
    recording: Recording = open_recording(data, subject="subj01")
    scaler = SessionScaler.fit(recording.responses, np.ones(750, np.bool_))
    found = estimate_ncsnr(scaler.apply(recording.responses))
    assert np.corrcoef(found, recording.ncsnr)[0, 1] > 0.85
    assert abs(np.median(found) / np.median(recording.ncsnr) - 1) < 0.25


@pytest.mark.parametrize(
    "wrong", [{"modality": "smell"}, {"subjects": 9}, {"snr": -1.0}, {"snr": float("nan")}, {"seed": 2**32 + 1}]
)
def test_impossible_simulations_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        simulate(tmp_path / "data", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "data").exists()


def test_only_simulated_data_have_a_truth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="simulation.json"):
        truth_of(tmp_path, "subj01")
