"""What each network of the miniature sound stack learns: one module a stage, sounds in, a loss and its parts out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from brain.simulated.cortex.auditory import AuditoryNet
from brain.simulated.sounds.sound import READOUTS
from encoders.sounds.mel import log_mel_tensor
from pipelines.miniature.parts import coded, grouped, grouped_loss, heads
from pipelines.miniature.recipe_sound import models
from pipelines.miniature.stage import Parts


def standard(mels: torch.Tensor) -> torch.Tensor:
    """Raw log-mels (..., frame, mel) -> about zero mean and unit spread, as the judge and the teacher take them."""
    return (mels - models.MEAN) / models.STD


def worn(mels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Standardised log-mels as a decoder may return them: shifted in time, louder or softer, blurred, noisy.

    `mels` (batch, frame, mel).
    """
    count = len(mels)
    draw = torch.rand(count, 5, 1, 1, generator=generator)
    mels = mels.roll(int(torch.randint(mels.shape[1], (1,), generator=generator)), 1)
    soft = F.avg_pool2d(mels[:, None], 5, stride=1, padding=2, count_include_pad=False)[:, 0]
    mels = mels + (soft - mels) * draw[:, 0] * (draw[:, 1] < 0.5)
    mels = mels + 0.8 * (draw[:, 2] - 0.5)
    noise = torch.randn(mels.shape, generator=generator)
    return mels + 0.3 * draw[:, 3] * (draw[:, 4] < 0.5) * noise


def moved(waves: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Waveforms (batch, sample) as a room may change them: earlier or later, softer or louder, some in white noise."""
    draw = torch.rand(3, len(waves), 1, generator=generator)
    waves = waves.roll(int(torch.randint(-2000, 2001, (1,), generator=generator)), 1) * 10 ** (0.9 * draw[0] - 0.6)
    level = waves.square().mean(1, keepdim=True).sqrt() * 10 ** (2 * draw[1] - 3.5)
    return waves + torch.randn(waves.shape, generator=generator) * level * (draw[2] < 0.5)


class Auditory(nn.Module):
    """Stage "auditory": the simulator's auditory network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = AuditoryNet()

    def forward(self, waves: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """Cross-entropy of the labels, group -> (batch,), given waveforms (batch, sample)."""
        return grouped_loss(self.net.readout(self.net(waves)), labels)


class Namer(nn.Module):
    """Stage "judge", which scores and never conditions anything."""

    def __init__(self) -> None:
        super().__init__()
        self.net = models.judge()

    def forward(self, mels: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """Cross-entropy of the labels, group -> (batch,), given standardised log-mels (batch, frame, mel)."""
        return grouped_loss(grouped(self.net(mels[:, None]).logits, READOUTS), labels)


class Autoencoder(nn.Module):
    """Stage "autoencoder": raw log-mels in, the same out, through 8 numbers for 8 frames x 8 mels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = models.autoencoder()

    def forward(self, mels: torch.Tensor, noise: torch.Tensor) -> Parts:
        """The loss on raw log-mels (batch, frame, mel); `noise` (batch, channel, time, mel) draws the latent."""
        x = mels[:, None]
        out, divergence = coded(self.net, x, noise)
        apart, parts = heard_loss(out, x)
        return apart + 1e-4 * divergence, parts


class Decoder(nn.Module):
    """Stage "decoder": the autoencoder's decoder alone learns on; the latents stay what the UNet was trained on."""

    def __init__(self) -> None:
        super().__init__()
        whole = models.autoencoder()
        self.post_quant_conv, self.decoder = whole.post_quant_conv, whole.decoder

    def forward(self, mels: torch.Tensor, latents: torch.Tensor) -> Parts:
        """The loss of decoded `latents` (batch, channel, time, mel) against raw log-mels (batch, frame, mel)."""
        return heard_loss(self.decoder(self.post_quant_conv(latents)).float(), mels[:, None])


def heard_loss(out: torch.Tensor, x: torch.Tensor) -> Parts:
    """How far one raw log-mel (batch, 1, frame, mel) is from another: absolute, squared and edge by edge.

    In standard units, means over all; beside the loss, a scalar, their correlation.
    """
    apart = (out - x) / models.STD
    edges = sum(torch.diff(apart, dim=d).abs().mean() for d in (2, 3))
    made, true = (v.detach().flatten(1) - v.detach().flatten(1).mean(1, keepdim=True) for v in (out, x))
    correlation = F.cosine_similarity(made, true)
    loss = apart.abs().mean() + apart.square().mean() + 0.5 * edges
    return loss, {"correlation": round(float(correlation.mean()), 4)}


class Clap(nn.Module):
    """Stage "clap": sounds and captions find each other.

    The sound's embedding must also name what is heard; those read-outs are dropped after training, as in the image
    stack. Captions of one kind with the same labels say the same, so equal captions count as one another's target.
    """

    def __init__(self, tokens: Any) -> None:
        super().__init__()
        self.net = models.clap(tokens)
        self.heads = heads(models.WIDTH, READOUTS)

    def forward(
        self, features: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, labels: dict[str, torch.Tensor]
    ) -> Parts:
        """The contrastive loss of sounds and captions, and that of the labels, group -> (batch,).

        `features` (batch, frame, mel) of CLAP's extractor; `ids` and `mask` (batch, token).
        """
        heard = self.net.audio_model(input_features=features[:, None]).pooler_output
        said = self.net.text_model(input_ids=ids, attention_mask=mask).pooler_output
        sound = F.normalize(self.net.audio_projection(heard).float(), dim=1)
        text = F.normalize(self.net.text_projection(said).float(), dim=1)
        close = sound @ text.T
        scores = self.net.logit_scale_a.clamp(max=4.6).exp() * close
        back = self.net.logit_scale_t.clamp(max=4.6).exp() * close.T
        same = torch.stack([labels[group][:, None] == labels[group] for group in READOUTS]).all(0).float()
        target = same / same.sum(1, keepdim=True)
        contrast = (F.cross_entropy(scores, target) + F.cross_entropy(back, target)) / 2
        named, parts = grouped_loss({group: head(8 * sound) for group, head in self.heads.items()}, labels)
        found = same[close.argmax(0), torch.arange(len(same))].mean()
        return contrast + named, {"top1": round(float(found), 3), **parts}


class Teacher(nn.Module):
    """Stage "teacher": a masked autoencoder on spectrogram patches (Huang et al. 2022) whose LOA must tell something.

    Three quarters of the patches are hidden and drawn again by a small decoder. Besides, LOA of the whole window must
    name the sound, and every token its own 0.32 s as 4 x 16 means: masking alone teaches too little on so few sounds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = models.teacher()
        patches, pixels = models.FRAMES * models.MELS // models.PATCH**2, models.PATCH**2
        narrow = 96
        self.into = nn.Linear(models.LOA[1], narrow)
        self.hidden = nn.Parameter(0.02 * torch.randn(narrow))
        self.places = nn.Parameter(0.02 * torch.randn(patches, narrow))
        self.drawer = nn.Sequential(
            nn.TransformerEncoderLayer(narrow, 4, 4 * narrow, 0.0, "gelu", batch_first=True, norm_first=True),
            nn.LayerNorm(narrow),
            nn.Linear(narrow, pixels),
        )
        self.heads = heads(models.LOA[1], READOUTS)
        self.envelope = nn.Linear(models.LOA[1], 64)

    def forward(self, mels: torch.Tensor, order: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """mels (batch, 256, 64) standardised; order (batch, patch) a random order, whose first quarter is seen."""
        masked = self._redrawn(mels, order)
        hidden = self.net(pixel_values=mels[:, None], output_hidden_states=True).hidden_states
        loa = models.loa_of(hidden, self.net.layernorm)
        named, parts = grouped_loss({group: head(loa.mean(1)) for group, head in self.heads.items()}, labels)
        coarse = F.avg_pool2d(mels[:, None], (8, 4)).unflatten(2, (models.LOA[0], 4)).flatten(3).permute(0, 2, 1, 3)
        predicted = F.mse_loss(self.envelope(loa).float(), coarse.flatten(2))
        more = {"masked": round(float(masked.detach()), 3), "told": round(float(predicted.detach()), 3)}
        return masked + named + predicted, more | parts

    def drawn(self, mels: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        """All patches (batch, patch, pixel), standardised each, drawn from the first quarter of `order`."""
        side, seen = models.LOA[1], order[:, : order.shape[1] // 4]
        embeddings = self.net.embeddings
        tokens = embeddings.patch_embeddings(mels[:, None]) + embeddings.position_embeddings[:, 1:]
        tokens = tokens.gather(1, seen[:, :, None].expand(-1, -1, side))
        first = (embeddings.cls_token + embeddings.position_embeddings[:, :1]).expand(len(mels), -1, -1)
        states = encoded(self.net, torch.cat([first, tokens], 1))[:, 1:]
        canvas = self.hidden.expand(len(mels), order.shape[1], -1).to(states.dtype)
        narrow = self.into(states).to(canvas.dtype)
        canvas = canvas.scatter(1, seen[:, :, None].expand(-1, -1, narrow.shape[2]), narrow)
        patches: torch.Tensor = self.drawer(canvas + self.places).float()
        return patches

    def _redrawn(self, mels: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        size, seen = models.PATCH, order[:, : order.shape[1] // 4]
        truth = mels.unflatten(1, (-1, size)).unflatten(3, (-1, size)).permute(0, 1, 3, 2, 4).flatten(3).flatten(1, 2)
        truth = (truth - truth.mean(2, keepdim=True)) / (truth.var(2, keepdim=True) + 1e-2).sqrt()
        apart = (self.drawn(mels, order) - truth).square().mean(2)
        unseen = torch.ones_like(apart).scatter(1, seen, 0.0)
        masked: torch.Tensor = (apart * unseen).sum() / unseen.sum()
        return masked


def encoded(net: Any, tokens: torch.Tensor) -> torch.Tensor:
    """A ViTModel's layers and last norm over any tokens (batch, token, width)."""
    for layer in net.layers:
        tokens = layer(tokens)
    states: torch.Tensor = net.layernorm(tokens)
    return states


class Text(nn.Module):
    """Stage "text": the second text encoder, whose mean state must say what a caption says, by read-outs dropped."""

    def __init__(self, tokens: Any) -> None:
        super().__init__()
        self.net = models.text_encoder(tokens)
        self.heads = heads(models.WIDTH, READOUTS)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, labels: dict[str, torch.Tensor]) -> Parts:
        """Cross-entropy of the labels, group -> (batch,), given captions `ids` and `mask` (batch, token)."""
        states = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return grouped_loss({group: head(pooled.float()) for group, head in self.heads.items()}, labels)


class Language(nn.Module):
    """Stage "language": CLAP and text states in, eight LOA tokens out, one after the other as AudioLDM 2 makes them.

    In training a token's predecessors are the true ones or a first guess, so that the model bears its own guesses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.projection = models.projection()
        self.net = models.language()

    def forward(
        self,
        clap: torch.Tensor,
        text: tuple[torch.Tensor, torch.Tensor],
        loa: torch.Tensor,
        truth: torch.Tensor,
    ) -> Parts:
        """clap (batch, 128); text: states and mask; loa (batch, 8, 192); truth (batch, 8, 1) true where shown."""
        with torch.no_grad():
            guess = self.predicted(clap, *text, loa)
        out = self.predicted(clap, *text, torch.where(truth, loa, guess))
        loss = F.mse_loss(out, loa) / loa.var() + 0.3 * F.l1_loss(out, loa) / loa.std()
        loss = loss + 0 * self.net.lm_head.weight.sum()  # never said, but the loop steps every weight
        made, true = ((v.detach() - loa.mean(0)).flatten(1) for v in (out, loa))
        return loss, {"correlation": round(float(F.cosine_similarity(made, true).mean()), 3)}

    def predicted(
        self, clap: torch.Tensor, states: torch.Tensor, mask: torch.Tensor, before: torch.Tensor
    ) -> torch.Tensor:
        """The eight tokens (batch, 8, 192) that follow the prompt when `before` stands for their predecessors."""
        prompt = self.projection(
            hidden_states=clap[:, None],
            hidden_states_1=states,
            attention_mask=mask.new_ones(len(mask), 1),
            attention_mask_1=mask,
        )
        inputs = torch.cat([prompt.hidden_states, before[:, :-1].to(prompt.hidden_states.dtype)], 1)
        seen = torch.cat([prompt.attention_mask, mask.new_ones(len(mask), before.shape[1] - 1)], 1)
        hidden: torch.Tensor = self.net.transformer(inputs_embeds=inputs, attention_mask=seen).last_hidden_state
        return hidden[:, -before.shape[1] :].float()


class Diffusion(nn.Module):
    """Stage "unet": velocity prediction under LOA, text, both or neither."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers.models.attention_processor import AttnProcessor

        self.net = models.unet()
        self.net.set_attn_processor(AttnProcessor())

    def forward(
        self,
        noisy: torch.Tensor,
        times: torch.Tensor,
        loa: torch.Tensor,
        text: tuple[torch.Tensor, torch.Tensor],
        velocity: torch.Tensor,
    ) -> Parts:
        """The squared error of the predicted `velocity` (batch, channel, time, mel), as `noisy` is.

        `times` (batch,), `loa` (batch, 8, 192), `text`: states (batch, token, dim) and mask (batch, token).
        """
        out = self.net(
            noisy, times, encoder_hidden_states=loa, encoder_hidden_states_1=text[0], encoder_attention_mask_1=text[1]
        )
        return F.mse_loss(out.sample.float(), velocity), {}


class Vocoder(nn.Module):
    """Stage "vocoder": raw log-mels to waveforms, by the spectra of three resolutions and the log-mel itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = models.vocoder()

    def forward(self, mels: torch.Tensor, waves: torch.Tensor) -> Parts:
        """mels (batch, frame, 64) raw; waves (batch, sample) float, the true ones."""
        out = self.net(mels).float()[:, : waves.shape[1]]
        with torch.autocast("cpu", enabled=False):
            spectra = torch.stack([spectral_loss(out, waves, size) for size in (256, 512, 1024)]).mean()
            heard = F.l1_loss(log_mel_tensor(out), log_mel_tensor(waves))
        return spectra + heard, {"mel": round(float(heard.detach()), 3)}


def spectral_loss(out: torch.Tensor, truth: torch.Tensor, size: int) -> torch.Tensor:
    """Spectral convergence and log-magnitude distance (Yamamoto et al. 2020, section 2.2).

    `out` and `truth` (batch, sample), windows of `size` samples.
    """
    window = torch.hann_window(size, device=out.device)
    first, second = (
        torch.stft(wave, size, size // 4, window=window, return_complex=True).abs().clamp(min=1e-5)
        for wave in (out, truth)
    )
    convergence: torch.Tensor = (first - second).norm(dim=(1, 2)) / second.norm(dim=(1, 2))
    return convergence.mean() + F.l1_loss(first.log(), second.log())


class Roughness:
    """Makes LOA (batch, 8, 192) rough as a decoded one: fewer components, blurred in time, shrunk, noisy."""

    def __init__(self, loa: torch.Tensor) -> None:
        """`loa` (sound, 8, 192): true ones, whose mean, spread and leading components are kept."""
        flat = loa[:4000].flatten(1)
        self.mean, self.spread = flat.mean(0).unflatten(0, loa.shape[1:]), float(flat.std(0).mean())
        self.components = torch.pca_lowrank(flat, q=min(128, len(flat)), niter=2)[2].T

    def __call__(self, loa: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draw = torch.rand(4, len(loa), 1, 1, generator=generator)
        apart = loa - self.mean
        kept = 4 + int(torch.randint(len(self.components), (1,), generator=generator))
        basis = self.components[:kept]
        apart = apart + (((apart.flatten(1) @ basis.T) @ basis).view_as(apart) - apart) * (draw[0] < 0.6)
        apart = apart + (apart.mean(1, keepdim=True) - apart) * 0.8 * draw[1].square()
        noise = self.spread * torch.randn(loa.shape, generator=generator)
        rough: torch.Tensor = self.mean + apart * (1 - 0.3 * draw[2]) + 0.7 * draw[3].square() * noise
        return rough
