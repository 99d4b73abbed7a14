"""Micro-batches of fixed width: a network is always called on the same number of samples, in fresh memory, with weights
of one memory format, by the same number of threads, so that the bits of a sample depend on nothing but the sample.

A processor's convolutions and matrix products round differently for another batch size, another thread count or other
strides (measured: 2e-6 for a small UNet, enough to flip pixels). So a batch of any size is cut into lanes of `width`
samples, the last one filled up with copies, each lane is copied into fresh memory (`brain.machine.memory.fresh`) and
runs on `threads` threads; lanes run side by side in Python threads. What comes out is in fresh memory too: an
autoencoder hands over latents as its last kernel left them, and the next network would notice.

A place in a lane has bits of its own in two cases: where an elementwise function meets numbers that fill no vector
register, at the very end of a tensor, which layers of a multiple of 4 units never leave over in lanes of 8; and where a
matrix product treats its last rows otherwise, as MKL does under AVX2 unless it is strict (`brain/__init__.py` asks for
it). Both are looked for, and what they are found in draws one by one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from brain.machine.memory import MEMORY_FORMAT, fresh

SMALL = 50_000_000  # weights; above this one sample fills a processor
AT_ONCE = 32
"""float32 numbers that an elementwise function takes in one turn: two registers of AVX-512, the widest there is."""
WIDTH = 8
"""Samples in a micro-batch of a small network on a processor (`benchmarks/micro_batches.py`)."""
FORMATS = {"UNet2DConditionModel": "channels_last"}
"""Class of a network -> memory format of its weights on a processor, where it is another than `MEMORY_FORMAT`: one that
makes it faster, which for other classes it does not (`benchmarks/micro_batches.py`)."""


@dataclass(frozen=True, kw_only=True)
class MicroBatches:
    """How many samples one call carries (`width`), and on how many threads (`threads`, 0 = as torch is set).

    Both decide the last bits of a sample and belong into the run's card; `workers`, the number of lanes that run at
    the same time, and the batch do not.
    """

    width: int
    threads: int
    workers: int = 1

    @classmethod
    def fitting(cls, network: nn.Module, device: str | torch.device, *, beside: Iterable[object] = ()) -> MicroBatches:
        """Micro-batches for a network of this size: 8 samples on 1 thread for a small one on a processor, and so on.

        `beside` are the components that are called in the same lanes; what is no network there does not count.
        """
        small = sum(weight.numel() for weight in network.parameters()) < SMALL
        if torch.device(device).type != "cpu":
            return cls(width=32 if small else 4, threads=0)
        if small:
            alike = all(_even(one) for one in (network, *beside)) and not rows_depend_on_place()
            return cls(width=WIDTH if alike else 1, threads=1, workers=max(1, torch.get_num_threads()))
        return cls(width=1, threads=0)

    @property
    def batch(self) -> int:
        """The batch that keeps every worker busy."""
        return self.width * self.workers

    def run(self, network: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """`network(*inputs)`, micro-batch by micro-batch.

        Every input is (sample, ...) in whatever memory, or None, passed on as it is; the result is (sample, ...) in the
        same order. The caller's gradient mode holds inside. No sample at all is an InputError.
        """
        count = next(len(one) for one in inputs if one is not None)
        grad = torch.is_grad_enabled()

        def micro_batch(first: int) -> Tensor:
            rows = slice(first, first + self.width)
            with torch.set_grad_enabled(grad):
                part = [None if one is None else fresh(one[rows], rows=self.width) for one in inputs]
                return fresh(network(*part)[: min(self.width, count - first)])

        firsts = range(0, max(count, 1), self.width)
        if self.threads == 0 or getattr(_HERE, "threads", 0) == self.threads:
            return torch.cat([micro_batch(first) for first in firsts])
        futures = [_pool(self.workers, self.threads).submit(micro_batch, first) for first in firsts]
        try:
            return torch.cat([one.result() for one in futures])
        except BaseException:
            for one in futures:
                one.cancel()
            wait(futures)  # nothing of a call that failed goes on behind its back
            raise

    def facts(self) -> dict[str, int]:
        """What the run's card has to say about the last bits; `lane_threads` are those it really runs on."""
        return {
            "lane_width": self.width,
            "lane_threads": self.threads or torch.get_num_threads(),
        }


_HERE = threading.local()
"""`threads` in a worker: how many it runs on. A network that calls micro-batches of its own there waits for nobody."""
_POOLS: dict[tuple[int, int, int], ThreadPoolExecutor] = {}
"""(process, workers, threads) -> a pool that is kept: making one took as long as a small network's call. A process that
was forked makes its own, for threads do not come along."""
_MAKING = threading.Lock()


def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """The kept pool of so many workers, each on so many threads."""
    key = (os.getpid(), workers, threads)
    with _MAKING:
        if key not in _POOLS:
            before, together = torch.get_num_threads(), threading.Barrier(workers + 1)
            _POOLS[key] = ThreadPoolExecutor(workers, "micro-batch", initializer=_begin, initargs=(threads,))
            for _ in range(workers):
                _POOLS[key].submit(together.wait)
            together.wait()
            # torch hands a worker's setting on to threads born later, so all are born now and it is taken back
            torch.set_num_threads(before)
        return _POOLS[key]


def _begin(threads: int) -> None:
    torch.get_num_threads()  # what torch does once in every thread, at its first look, would undo what follows
    torch.set_num_threads(threads)
    _HERE.threads = threads


def lay_out(component: object) -> None:
    """Brings a network's weights into the memory format of its class; on another device than a processor, and of what
    is no network, nothing."""
    if isinstance(component, nn.Module) and memory_format(component) == "channels_last":
        component.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def memory_format(component: nn.Module) -> str:
    """Which memory format a network's weights have, by torch's name for it."""
    here = next(component.parameters()).device.type == "cpu"
    return FORMATS.get(type(component).__name__, MEMORY_FORMAT) if here else MEMORY_FORMAT


def _even(component: object) -> bool:
    """Whether no layer leaves numbers over at the end of a micro-batch.

    Convolutions are not asked: on maps of even sides, as all our stacks have, no channels leave any over. Nor is the
    head of a language model, whose words nobody reads.
    """
    if not isinstance(component, nn.Module):
        return True
    head = getattr(component, "get_output_embeddings", None)
    words = None if head is None else head()
    layers = [one for one in component.modules() if isinstance(one, nn.Linear) and one is not words]
    return all(one.out_features * WIDTH % AT_ONCE == 0 for one in layers)


@lru_cache(maxsize=1)
def rows_depend_on_place() -> bool:
    """Whether a row of a product has other bits in another place, in this process, on one thread."""
    draw = torch.Generator().manual_seed(0)

    def look(_: Tensor) -> Tensor:
        for units in (32, 64, 256):
            weight, row = torch.randn(units, units, generator=draw), torch.randn(1, units, generator=draw)
            for rows in (WIDTH, 2 * WIDTH, 3 * WIDTH, 64 * WIDTH):
                made = nn.functional.linear(fresh(row, rows=rows), weight)
                if not torch.equal(made, made[:1].expand_as(made)):
                    return torch.ones(1)
        return torch.zeros(1)

    return bool(MicroBatches(width=1, threads=1).run(look, torch.zeros(1)).any())


def given(values: Tensor, device: str | torch.device) -> Tensor:
    """What a pipeline was handed, (sample, ...), as float32 on its device in fresh memory.

    `MicroBatches.run` copies what a network reads; this is for what is computed before, such as the length of a CLAP
    vector.
    """
    return fresh(values.to(device).float())
