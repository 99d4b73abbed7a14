"""Micro-batches: a network is called on a fixed number of rows in fresh memory, so that a row's bits are its own.

    states = in_micro_batches(network, values, device="cpu")

On a processor that is one row a call. Kernels round differently for another number of rows; and at the end of a
batch, or of a thread's share of it, elementwise functions take another path for what fills no vector register, so that
a row's place may matter as well. A row alone has neither. `pipelines.sampling.micro_batches` calls the small networks
that draw on several rows at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from brain.machine.memory import fresh

if TYPE_CHECKING:
    from torch import Tensor

ROWS = {"cpu": 1}
"""Rows of a call by the kind of device; others take 32, and nobody promises bits there."""


def in_micro_batches(network: Callable[[Tensor], Tensor], values: Tensor, *, device: str) -> Tensor:
    """`network(values)` of values (row, ...), one row or more, on `device` -> (row, ...) in their order, there."""
    import torch

    rows = ROWS.get(torch.device(device).type, 32)
    return torch.cat([network(fresh(part, rows=rows).to(device))[: len(part)] for part in values.split(rows)])
