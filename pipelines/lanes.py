"""Lanes: a network is always called on the same number of samples by the same number of threads, so that the bits of
a sample depend on nothing but the sample.

A processor's convolutions and matrix products round differently for another batch size or another thread count
(measured: 2e-6 for a small UNet, enough to flip pixels), but not for another place in the batch. So a batch of any size
is cut into lanes of `width` samples, the last one filled up with copies, and each lane runs on `threads` threads; lanes
run side by side in Python threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SMALL = 50_000_000  # weights; above this one sample fills a processor


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
            return cls(width=4, threads=1, workers=max(1, torch.get_num_threads()))
        return cls(width=1, threads=0)

    @property
    def batch(self) -> int:
        """The batch that keeps every worker busy."""
        return self.width * self.workers

    def run(self, network: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """`network(*inputs)` lane by lane.

        Every input is (sample, ...) or None, passed on as it is; the result is (sample, ...) in the same order. The
        caller's gradient mode holds inside.
        """
        count = next(len(one) for one in inputs if one is not None)
        grad = torch.is_grad_enabled()

        def lane(first: int) -> Tensor:
            part = [None if one is None else _filled(one[first : first + self.width], self.width) for one in inputs]
            with torch.set_grad_enabled(grad):
                return network(*part)[: min(self.width, count - first)]

        firsts = range(0, count, self.width)
        if self.threads == 0:
            return torch.cat([lane(first) for first in firsts])
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(self.threads,)) as pool:
                return torch.cat(list(pool.map(lane, firsts)))
        finally:
            torch.set_num_threads(before)  # torch hands a worker's setting on to threads born later

    def facts(self) -> dict[str, int]:
        """What the run's card has to say about the last bits."""
        return {
            "lane_width": self.width,
            "lane_threads": self.threads or torch.get_num_threads(),
            "cores": os.cpu_count() or 0,
        }


def _filled(rows: Tensor, width: int) -> Tensor:
    """Fresh memory of exactly `width` rows: the rows, then copies of the last."""
    spare = width - len(rows)
    return torch.cat([rows, rows[-1:].expand(spare, *rows.shape[1:])]) if spare else rows.clone()
