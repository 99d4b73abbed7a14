"""True sizes on the meta device: shapes hold, counts are the known ones, no gradient through the UNet is cheap."""

from __future__ import annotations

import pytest
import torch

from benchmarks.synthesis_cost import SIZES, Piece, memory, methods, networks, pieces
from pipelines.sampling.sampler import Prompt, unet_denoiser


@pytest.mark.parametrize("name", SIZES)
def test_networks_of_the_published_size_fit_together(name: str) -> None:
    size = SIZES[name]
    found = networks(size)
    weights = sum(weight.numel() for weight in found["unet"].parameters()) / 1e6
    assert weights == pytest.approx(859.5 if name == "sd15" else 865.9, abs=0.1)
    x = torch.empty(2, 4, size.latent, size.latent, device="meta")
    with torch.no_grad():
        text = torch.empty(2, 77, size.text, device="meta")
        assert unet_denoiser(found["unet"])(x, torch.tensor(1, device="meta"), Prompt(text=text)).shape == x.shape
        for decoder in ("vae", "tiny"):
            drawn = found[decoder].decode(x, return_dict=False)[0]
            assert drawn.shape == (2, 3, 8 * size.latent, 8 * size.latent)


def test_counts_are_those_that_are_known() -> None:
    """Reference: torch's counter on these networks, one picture at 512 pixels."""
    piece = pieces(SIZES["sd21-base"])
    known = {"unet": (0.80, 0.92), "vae": (2.52, 2.55), "tiny": (0.14, 0.14), "tower": (0.035, 0.037)}
    for name, (forward, gradient) in known.items():
        assert piece[name].forward == pytest.approx(forward, rel=0.05)
        assert piece[name].back == pytest.approx(forward + gradient, rel=0.05)
    cost = methods(piece)
    assert cost["guided, 8 steps"] < cost["braindive, 50 steps"] / 10
    assert memory(piece)["guided"] < memory(piece)["braindive"] / 2


def test_a_sum_is_a_sum() -> None:
    piece = {name: Piece(weights=0, forward=1, back=2, kept=0) for name in ("unet", "vae", "tiny", "tower")}
    assert methods(piece)["braindive, 50 steps"] == 50 * 7 + 1
    assert methods(piece)["guided, 8 steps"] == 8 * 6 + 1
