"""What each network of the miniature stack learns: one module a stage, pictures in, a loss and its named parts out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from brain.simulated.cortex.ventral import READOUTS, VentralNet
from pipelines.miniature.parts import coded, grouped, grouped_loss, heads
from pipelines.miniature.recipe_image import models
from pipelines.miniature.stage import Parts


def to_unit(pictures: torch.Tensor) -> torch.Tensor:
    """(batch, 64, 64, 3) uint8 -> (batch, 3, 64, 64) float in [0, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def worn(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures as a decoder may return them: shifted, dimmed, blurred, noisy; (batch, 3, 64, 64) in [0, 1]."""
    count = len(pictures)
    draw = torch.rand(count, 5, 1, 1, 1, generator=generator)
    dx, dy = (int(torch.randint(-3, 4, (1,), generator=generator)) for _ in range(2))
    pictures = F.pad(pictures, (3, 3, 3, 3), mode="replicate")[:, :, 3 + dy : 67 + dy, 3 + dx : 67 + dx]
    soft = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bilinear")
    pictures = pictures + (soft - pictures) * (draw[:, 0] < 0.35)
    pictures = (pictures - 0.5) * (0.85 + 0.3 * draw[:, 1]) + 0.5 + 0.12 * (draw[:, 2] - 0.5)
    noise = torch.randn(pictures.shape, generator=generator) * 0.06 * (draw[:, 3] * (draw[:, 4] < 0.5))
    return (pictures + noise).clamp(0, 1)


class Cortex(nn.Module):
    """Stage "cortex": the simulator's ventral network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = VentralNet()

    def forward(self, pictures: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """Cross-entropy of the labels, group -> (batch,), given pictures (batch, 3, 64, 64) in 0..1."""
        return grouped_loss(self.net.readout(self.net(pictures)), labels)


class Namer(nn.Module):
    """Stages "judge", which scores and never conditions anything, and "eye", which guides and never scores."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """Cross-entropy of the labels, group -> (batch,), given pictures (batch, 3, 64, 64) in 0..1."""
        return grouped_loss(grouped(self.net(pictures * 2 - 1).logits, READOUTS), labels)


class Autoencoder(nn.Module):
    """Stage "autoencoder": pictures in, the same pictures out, through 4 x 16 x 16 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = models.autoencoder()

    def forward(self, pictures: torch.Tensor, noise: torch.Tensor) -> Parts:
        """The loss on pictures (batch, 3, 64, 64) in 0..1; `noise` (batch, 4, 16, 16) draws the latent."""
        x = pictures * 2 - 1
        out, divergence = coded(self.net, x, noise)
        apart, parts = drawn_loss(out, x)
        return apart + 1e-4 * divergence, parts


class Decoder(nn.Module):
    """Stage "decoder": the autoencoder's decoder alone learns on; the latents stay what the UNet was trained on."""

    def __init__(self) -> None:
        super().__init__()
        whole = models.autoencoder()
        self.post_quant_conv, self.decoder = whole.post_quant_conv, whole.decoder

    def forward(self, pictures: torch.Tensor, latents: torch.Tensor) -> Parts:
        """The loss of decoded `latents` (batch, 4, 16, 16) against pictures (batch, 3, 64, 64) in 0..1."""
        x = pictures * 2 - 1
        return drawn_loss(self.decoder(self.post_quant_conv(latents)).float(), x)


def drawn_loss(out: torch.Tensor, x: torch.Tensor) -> Parts:
    """How far a drawing is from its picture: absolute, squared and edge by edge; both (batch, 3, H, W) in [-1, 1]."""
    edges = sum((torch.diff(out, dim=d) - torch.diff(x, dim=d)).abs().mean() for d in (2, 3))
    squared = F.mse_loss(out, x)
    psnr = float(10 * torch.log10(4 / squared.detach()))
    return F.l1_loss(out, x) + squared + 0.5 * edges, {"psnr": round(psnr, 2)}


class TinyAutoencoder(nn.Module):
    """Stage "tiny": an AutoencoderTiny that reads and writes the frozen autoencoder's scaled latents."""

    def __init__(self) -> None:
        super().__init__()
        self.net = models.tiny_autoencoder()

    def forward(self, pictures: torch.Tensor, latents: torch.Tensor) -> Parts:
        """The loss of writing and reading: pictures (batch, 3, 64, 64) in 0..1, scaled `latents` (batch, 4, 16, 16)."""
        x = pictures * 2 - 1
        out = self.net.decode(latents).sample.float()
        coded = self.net.encode(x).latents.float()
        squared = F.mse_loss(out, x)
        psnr = float(10 * torch.log10(4 / squared.detach()))
        return F.l1_loss(out, x) + squared + 0.3 * F.mse_loss(coded, latents), {"psnr": round(psnr, 2)}


class Clip(nn.Module):
    """Stage "clip": pictures and captions of one scene find each other.

    The image embedding must also name what the picture shows; those read-outs are dropped after training. On few
    samples this teaches the tower far faster than the contrast alone.
    """

    def __init__(self, tokens: Any) -> None:
        super().__init__()
        self.net = models.clip(tokens)
        self.heads = heads(models.WIDTH, READOUTS)

    def forward(self, pictures: torch.Tensor, ids: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """The contrastive loss of pictures and captions, and that of the labels, group -> (batch,).

        `pictures` (batch, 3, 64, 64) in 0..1, `ids` (batch, token).
        """
        seen = self.net.vision_model(pixel_values=pictures * 2 - 1).pooler_output
        said = self.net.text_model(input_ids=ids).pooler_output
        image = F.normalize(self.net.visual_projection(seen).float(), dim=1)
        text = F.normalize(self.net.text_projection(said).float(), dim=1)
        scores = self.net.logit_scale.clamp(max=4.6).exp() * image @ text.T
        own = torch.arange(len(scores))
        contrast = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
        named, parts = grouped_loss({group: head(8 * image) for group, head in self.heads.items()}, labels)
        top1 = (scores.argmax(0) == own).float().mean()
        return contrast + named, {"top1": round(float(top1), 3), **parts}


class Text(nn.Module):
    """Stage "text": a new text tower learns to say what the finished, locked image tower sees (Zhai et al. 2022)."""

    def __init__(self, tokens: Any) -> None:
        super().__init__()
        whole = models.clip(tokens)
        self.text_model, self.text_projection = whole.text_model, whole.text_projection
        self.logit_scale = whole.logit_scale

    def forward(self, images: torch.Tensor, ids: torch.Tensor) -> Parts:
        """The contrastive loss of image embeddings (batch, dim) and captions `ids` (batch, token)."""
        said = self.text_projection(self.text_model(input_ids=ids).pooler_output)
        text, image = F.normalize(said.float(), dim=1), F.normalize(images, dim=1)
        scores = self.logit_scale.clamp(max=4.6).exp() * image @ text.T
        own = torch.arange(len(scores))
        top1 = (scores.argmax(0) == own).float().mean()
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2, {"top1": round(float(top1), 3)}


class Diffusion(nn.Module):
    """Stage "unet": velocity prediction under text tokens, an image embedding, both or neither."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers.models.attention_processor import AttnProcessor

        self.net = models.unet()
        self.net.set_attn_processor(AttnProcessor())

    def forward(
        self,
        noisy: torch.Tensor,
        times: torch.Tensor,
        tokens: torch.Tensor,
        image: torch.Tensor,
        velocity: torch.Tensor,
    ) -> Parts:
        """The squared error of the predicted `velocity` (batch, 4, 16, 16), as `noisy` is.

        `times` (batch,), `tokens` (batch, token, dim), `image` (batch, 384): the noised embedding and its level.
        """
        out = self.net(noisy, times, encoder_hidden_states=tokens, class_labels=image).sample.float()
        return F.mse_loss(out, velocity), {}
