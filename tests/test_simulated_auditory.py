"""The simulated auditory cortex hears what its regions should hear, the same for one sound and for many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from brain.errors import InputError
from brain.files.waveforms import RATE
from brain.simulated.cortex import auditory
from brain.simulated.cortex.auditory import SAMPLES, AuditoryNet, centres
from brain.simulated.cortex.auditory_cortex import (
    EARLY,
    PREFERS,
    REGIONS,
    TEMPORAL,
    AuditoryCortex,
    build_auditory_cortex,
    early_maps,
    pitch_strength,
    wired,
)
from brain.simulated.sounds.sound import CATEGORIES, CATEGORY_OF, KINDS, READOUTS, draw_sound, render_sound, windows

TIME = np.arange(SAMPLES) / RATE


def waves_of(*sounds: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(sounds).astype(np.float32))


@pytest.fixture(scope="module")
def cortex() -> AuditoryCortex:
    return build_auditory_cortex(0, 1)


@pytest.fixture(scope="module")
def heard() -> tuple[torch.Tensor, np.ndarray]:
    """Middle windows of four sounds of every kind, and their categories."""
    sounds = [draw_sound(seed=9, index=index, kind=kind) for kind in KINDS for index in range(4)]
    return waves_of(*(windows(render_sound(sound))[1] for sound in sounds)), np.array([s.category for s in sounds])


@torch.no_grad()
def test_a_pure_tone_drives_the_channel_of_its_frequency(cortex: AuditoryCortex) -> None:
    for hertz in (150.0, 600.0, 2400.0, 6000.0):
        gram = cortex.net.cochlea(waves_of(0.3 * np.sin(2 * np.pi * hertz * TIME)))[0, 10:-10].mean(0)
        assert abs(np.log2(centres()[int(gram.argmax())] / hertz)) < 0.2


@torch.no_grad()
def test_rising_tones_move_along_a1_and_back_along_the_belt(cortex: AuditoryCortex) -> None:
    tones = [0.3 * np.sin(2 * np.pi * hertz * TIME) for hertz in (150.0, 400.0, 1100.0, 3000.0, 6500.0)]
    respond = cortex.respond(waves_of(*tones)).numpy()
    masks, along = cortex.regions(), cortex.anatomy.along
    for name, sign in (("A1", -1), ("LBelt", 1)):
        weights = np.clip(respond[:, masks[name]] - respond[:, masks[name]].mean(0), 0, None) ** 2
        centre = weights @ along[masks[name]] / weights.sum(1)
        assert (np.diff(sign * centre) > 0).all() and abs(centre[-1] - centre[0]) > 0.3, (name, centre)
    early = np.flatnonzero(np.isin([REGIONS[n].name for n in cortex.anatomy.area[cortex.early.numpy()]], ["A1"]))
    best = np.array([150, 400, 1100, 3000, 6500])[respond[:, cortex.early.numpy()[early]].argmax(0)]
    wanted = cortex.best_hz.numpy()[early]
    assert np.corrcoef(np.log(best), np.log(wanted))[0, 1] > 0.8


@torch.no_grad()
def test_fast_voxels_prefer_fast_modulation(cortex: AuditoryCortex) -> None:
    noise = np.random.default_rng(0).standard_normal(SAMPLES) * 0.1
    rates = np.array(TEMPORAL)
    modulated = [noise * (1 + 0.9 * np.sin(2 * np.pi * rate * TIME)) for rate in rates]
    maps = early_maps(cortex.net.cochlea(waves_of(*modulated))).mean((2, 3))[:, 1::5].numpy()  # no spectral ripple
    assert (maps.argmax(0) == np.arange(len(rates))).all(), maps
    respond = cortex.respond(waves_of(*modulated)).numpy()[:, cortex.early.numpy()]
    shares = np.exp(respond - respond.max(0))
    preferred = (shares * np.log2(rates)[:, None]).sum(0) / shares.sum(0)
    assert np.corrcoef(preferred, np.log2(cortex.best_rate.numpy()))[0, 1] > 0.3


@torch.no_grad()
def test_upward_sweeps_are_not_downward_ones(cortex: AuditoryCortex) -> None:
    sweep = np.concatenate([0.2 * np.sin(2 * np.pi * 300 / 0.25 * (2 ** (t / 0.25 * 3) - 1) / 3 / np.log(2) * 0.25)
                            for t in [np.arange(4000) / RATE]] * 11)[:SAMPLES]  # fmt: skip
    up, down = early_maps(cortex.net.cochlea(waves_of(sweep, sweep[::-1].copy()))).mean((2, 3))
    paired = torch.stack([(up - down)[[k, k + 1]] for k in (2, 4, 7, 9, 12, 14)])
    assert (paired[:, 0] * paired[:, 1] < 0).sum() >= 5  # one direction of a pair gains what the other loses


@torch.no_grad()
def test_early_voxels_keep_when_it_sounded(cortex: AuditoryCortex) -> None:
    noise = np.random.default_rng(1).standard_normal(SAMPLES) * 0.1
    first = noise * (np.arange(SAMPLES) < SAMPLES // 2)
    respond = cortex.respond(waves_of(first, noise - first)).numpy()[:, cortex.early.numpy()]
    assert np.corrcoef(respond[1] - respond[0], cortex.late_share.numpy())[0, 1] > 0.7


@torch.no_grad()
def test_pitch_is_strong_for_harmonics_at_their_pitch_and_absent_in_noise() -> None:
    harmonic = np.sum(
        [np.sin(2 * np.pi * 200 * k * TIME) / k for k in range(2, 12)], axis=0
    )  # the fundamental is missing
    noise = np.random.default_rng(0).standard_normal(SAMPLES)
    tonal, noisy = pitch_strength(waves_of(0.1 * harmonic, 0.1 * noise))
    edges = np.geomspace(75, 1050, 13)
    assert edges[int(tonal.argmax())] <= 201 and tonal.max() > 3 * noisy.max()
    assert tonal[edges[:-1] > 260].max() < 0.8 * tonal.max()


@torch.no_grad()
def test_regions_prefer_their_category_gradedly(cortex: AuditoryCortex, heard: tuple[torch.Tensor, np.ndarray]) -> None:
    waves, category = heard
    respond, masks = cortex.respond(waves).numpy(), cortex.regions()
    for name, wanted in PREFERS.items():
        mean = respond[:, masks[name]].mean(1)
        by_category = {one: float(mean[category == one].mean()) for one in CATEGORIES}
        assert max(by_category, key=by_category.__getitem__) == wanted, (name, by_category)
        within = mean[category == wanted]
        graded = sorted(by_category.values())
        assert within.std() > 0.08 and graded[-2] - graded[0] > 0.05 * (graded[-1] - graded[0]), name


@torch.no_grad()
def test_the_net_names_sounds_it_never_heard(cortex: AuditoryCortex, heard: tuple[torch.Tensor, np.ndarray]) -> None:
    logits = cortex.net.readout(cortex.net(heard[0]))
    named = np.array(tuple(CATEGORIES))[logits["category"].argmax(1).numpy()]
    assert np.mean(named == heard[1]) > 0.8
    assert set(logits) == set(READOUTS) and logits["kind"].shape == (len(heard[1]), len(CATEGORY_OF))


@torch.no_grad()
def test_one_sound_responds_as_it_does_among_many(
    cortex: AuditoryCortex, heard: tuple[torch.Tensor, np.ndarray]
) -> None:
    together, alone = cortex.respond(heard[0][:5]), cortex.respond(heard[0][3:4])
    assert torch.allclose(together[3], alone[0], atol=1e-3)


def test_a_region_has_a_finite_gradient_to_the_sound_and_to_silence(
    cortex: AuditoryCortex, heard: tuple[torch.Tensor, np.ndarray]
) -> None:
    masks = cortex.regions()
    for wave in (heard[0][:1], torch.zeros(1, SAMPLES)):
        for name in ("STSda", "A1"):
            sound = wave.clone().requires_grad_(True)
            cortex.respond(sound)[:, torch.from_numpy(masks[name])].mean().backward()  # type: ignore[no-untyped-call]
            assert sound.grad is not None and torch.isfinite(sound.grad).all()
    assert sound.grad is not None


@torch.no_grad()
def test_responses_are_scaled_to_natural_sounds(cortex: AuditoryCortex, heard: tuple[torch.Tensor, np.ndarray]) -> None:
    respond = cortex.respond(heard[0])
    assert respond.mean().abs() < 0.15 and 0.8 < respond.std(0).mean() < 1.2


def test_a_subject_has_every_region_on_both_sides_and_is_the_same_again(cortex: AuditoryCortex) -> None:
    masks, right = cortex.regions(), cortex.anatomy.right
    assert 1300 <= len(cortex) <= 2500
    assert all((masks[area.name] & side).sum() >= 10 for area in REGIONS for side in (right, ~right))
    assert np.isin(np.array([REGIONS[n].name for n in cortex.anatomy.area])[cortex.early.numpy()], list(EARLY)).all()
    place = cortex.anatomy.ijk @ cortex.anatomy.affine[:3, :3].T + cortex.anatomy.affine[:3, 3]
    assert np.abs(place[masks["A1"] & right].mean(0) - (45, -23, 9)).max() < 5
    again, other = (wired(cortex.net, seed=0, subject=subject) for subject in (1, 2))
    for part in ("mixing", "pooling", "tuning", "best_hz"):
        assert torch.equal(getattr(again, part), getattr(cortex, part))
    assert len(other) != len(cortex)


def test_a_window_of_another_length_is_refused(cortex: AuditoryCortex) -> None:
    with pytest.raises(InputError, match="40960"):
        cortex.respond(torch.zeros(2, 16000))


def test_without_weights_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(auditory, "WEIGHTS", tmp_path / "auditory.safetensors")
    with pytest.raises(InputError, match="recipe_sound"):
        auditory.load_auditory()


def test_the_cochlea_is_not_stored_with_the_weights() -> None:
    assert not [name for name in AuditoryNet().state_dict() if "cochlea" in name]
