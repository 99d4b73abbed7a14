"""Lanes, micro-batches of fixed width: a network is always called on the same number of samples, in fresh memory of one
format, by the same number of threads, so that the bits of a sample depend on nothing but the sample.

A processor's convolutions and matrix products round differently for another batch size, another thread count or other
strides (measured: 2e-6 for a small UNet, enough to flip pixels). So a batch of any size is cut into lanes of `width`
samples, the last one filled up with copies, each lane is copied into fresh memory (`brain.memory.fresh`) and runs on
`threads` threads; lanes run side by side in Python threads. What comes out is in fresh memory too: an autoencoder hands
over latents as its last kernel left them, and the next network would notice.

A place in a lane has bits of its own only where an elementwise function meets numbers that fill no vector register, at
the very end of a tensor. Layers of a multiple of 8 units leave none over in lanes of 4; other networks draw one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from brain.memory import MEMORY_FORMAT, fresh

SMALL = 50_000_000  # weights; above this one sample fills a processor
REGISTERS = 32
"""float32 numbers that an elementwise function takes at once: two registers of AVX-512, the widest there is."""
FEW = 4
"""Samples in a lane of a small network on a processor."""


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """How many samples one call carries (`width`), and on how many threads (`threads`, 0 = as torch is set).

    Both decide the last bits of a sample and belong into the run's card; `workers`, the number of lanes that run at
    the same time, and the batch do not.
    """

    width: int
    threads: int
    workers: int = 1

    @classmethod
    def fitting(cls, network: nn.Module, device: str | torch.device) -> Lanes:
        """The lanes for a network of this size: 4 samples on 1 thread for a small one on a processor, and so on."""
        small = sum(weight.numel() for weight in network.parameters()) < SMALL
        if torch.device(device).type != "cpu":
            return cls(width=32 if small else 4, threads=0)
        if small:
            return cls(width=FEW if _even(network) else 1, threads=1, workers=max(1, torch.get_num_threads()))
        return cls(width=1, threads=0)

    @property
    def batch(self) -> int:
        """The batch that keeps every worker busy."""
        return self.width * self.workers

    def run(self, network: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """`network(*inputs)` lane by lane.

        Every input is (sample, ...) in whatever memory, or None, passed on as it is; the result is (sample, ...) in the
        same order. The caller's gradient mode holds inside.
        """
        count = next(len(one) for one in inputs if one is not None)
        grad = torch.is_grad_enabled()

        def lane(first: int) -> Tensor:
            rows = slice(first, first + self.width)
            with torch.set_grad_enabled(grad):
                part = [None if one is None else fresh(one[rows], rows=self.width) for one in inputs]
                return fresh(network(*part)[: min(self.width, count - first)])

        firsts = range(0, count, self.width)
        if self.threads == 0:
            return torch.cat([lane(first) for first in firsts])
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(self.threads,)) as pool:
                return torch.cat(list(pool.map(lane, firsts)))
        finally:
            torch.set_num_threads(before)  # torch hands a worker's setting on to threads born later

    def facts(self) -> dict[str, int | str]:
        """What the run's card has to say about the last bits; `lane_threads` are those it really runs on."""
        return {
            "lane_width": self.width,
            "lane_threads": self.threads or torch.get_num_threads(),
            "memory_format": MEMORY_FORMAT,
        }


def _even(network: nn.Module) -> bool:
    """Whether no layer leaves numbers over at the end of a lane; maps over places, as convolutions make, never do."""
    layers = [one for one in network.modules() if isinstance(one, nn.Linear)]
    return all(one.out_features * FEW % REGISTERS == 0 for one in layers)


def given(values: Tensor, device: str | torch.device) -> Tensor:
    """What a pipeline was handed, (sample, ...), as float32 on its device in fresh memory."""
    return fresh(values.to(device).float())
