"""Conditions of a sound UNet, and the UNets of AudioLDM and AudioLDM 2 as denoisers of `pipelines.sampling.sampler`.

SoundPrompt       AudioLDM 2 reads `loa`, `text` and `mask`; AudioLDM reads `clap`
sound_denoiser    a UNet of either family -> denoise(x, t, prompt)
in_sound_lanes    the same denoiser, lane by lane
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from brain.errors import InputError
from pipelines.sampling.micro_batches import MicroBatches


@dataclass(frozen=True, kw_only=True)
class SoundPrompt:
    """Conditions of some samples; what the UNet at hand does not read is None.

    loa   (sample, token, dim) "language of audio": pooled AudioMAE features (Liu et al. 2024, AudioLDM 2)
    text  (sample, piece, dim) last hidden states of the second text encoder
    mask  (sample, piece) 1 where a piece counts, 0 where it is padding
    clap  (sample, dim) CLAP embeddings
    """

    loa: Tensor | None = None
    text: Tensor | None = None
    mask: Tensor | None = None
    clap: Tensor | None = None

    def __len__(self) -> int:
        return next(len(part) for part in self.parts() if part is not None)

    def parts(self) -> tuple[Tensor | None, ...]:
        """Its fields in their order."""
        return tuple(getattr(self, one.name) for one in fields(self))

    def repeat(self, count: int) -> SoundPrompt:
        """This prompt, (1, ...), for `count` samples."""
        return _of([None if part is None else part.expand(count, *part.shape[1:]) for part in self.parts()])

    def __add__(self, other: SoundPrompt) -> SoundPrompt:
        """The samples of both; the shorter text is padded with pieces that do not count."""
        pieces = max(0 if one.text is None else one.text.shape[1] for one in (self, other))
        pairs = zip(self._padded(pieces).parts(), other._padded(pieces).parts(), strict=True)
        return _of([_joined(a, b) for a, b in pairs])

    def _padded(self, pieces: int) -> SoundPrompt:
        if self.text is None or self.mask is None or self.text.shape[1] == pieces:
            return self
        spare = pieces - self.text.shape[1]
        return SoundPrompt(
            loa=self.loa,
            text=torch.nn.functional.pad(self.text, (0, 0, 0, spare)),
            mask=torch.nn.functional.pad(self.mask, (0, spare)),
            clap=self.clap,
        )


def _of(parts: list[Tensor | None]) -> SoundPrompt:
    loa, text, mask, clap = parts
    return SoundPrompt(loa=loa, text=text, mask=mask, clap=clap)


def _joined(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return None
    if a.shape[1:] != b.shape[1:]:
        raise InputError(
            f"sound conditions: {tuple(b.shape[1:])} beside {tuple(a.shape[1:])} of the empty condition; "
            "use conditions of this stack's own encoders"
        )
    return torch.cat([a, b])


SoundDenoiser = Callable[[Tensor, Tensor, SoundPrompt], Tensor]


def sound_denoiser(unet: Any) -> SoundDenoiser:
    """A UNet of either family as a denoiser: x (sample, channel, time, mel) float32 outside, its own type inside."""
    kind = next(unet.parameters()).dtype

    def typed(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.to(kind)

    def audioldm2(x: Tensor, t: Tensor, prompt: SoundPrompt) -> Tensor:
        return unet(  # type: ignore[no-any-return]
            x.to(kind),
            t,
            encoder_hidden_states=typed(prompt.loa),
            encoder_hidden_states_1=typed(prompt.text),
            encoder_attention_mask_1=prompt.mask,
            return_dict=False,
        )[0].float()

    def audioldm(x: Tensor, t: Tensor, prompt: SoundPrompt) -> Tensor:
        output = unet(x.to(kind), t, encoder_hidden_states=None, class_labels=typed(prompt.clap), return_dict=False)
        return output[0].float()  # type: ignore[no-any-return]

    return audioldm2 if reads_loa(unet) else audioldm


def in_sound_micro_batches(denoise: SoundDenoiser, batches: MicroBatches) -> SoundDenoiser:
    """The same denoiser, called on micro-batches. Goes around guidance, so that a micro-batch holds whole samples."""

    def spread(x: Tensor, t: Tensor, prompt: SoundPrompt) -> Tensor:
        return batches.run(lambda x, *parts: denoise(x, t, _of(list(parts))), x, *prompt.parts())

    return spread


def reads_loa(unet: Any) -> bool:
    """Whether a UNet is AudioLDM 2's (True) or AudioLDM's (False); any other is an `InputError`."""
    from diffusers import AudioLDM2UNet2DConditionModel

    if isinstance(unet, AudioLDM2UNet2DConditionModel):
        return True
    if unet.config.class_embed_type == "simple_projection" and unet.config.class_embeddings_concat:
        return False
    raise InputError(
        "this stack's UNet: expected AudioLDM 2's, or AudioLDM's with a CLAP condition, found another; "
        "choose a stack of sound"
    )


def condition_widths(unet: Any) -> tuple[int, int]:
    """(LOA dim, text dim) of AudioLDM 2's UNet: its first two attentions of a block read LOA, the rest text."""
    blocks = [block for block in unet.config.cross_attention_dim if isinstance(block, (list, tuple))]
    loa = [dim for block in blocks for dim in block[:2] if dim is not None]
    text = [dim for block in blocks for dim in block[2:] if dim is not None]
    if not loa or not text:
        raise InputError(
            f"this stack's UNet: expected cross-attention to LOA and to text, found {unet.config.cross_attention_dim}; "
            "choose a stack of AudioLDM 2's"
        )
    return loa[0], text[0]
