"""No tolerance of a rounding error is a literal that somebody once widened: it is computed where it stands."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.rounding import largest, rounding

NAMES = {"atol", "rtol", "abs", "rel", "decimal"}
SMALLEST = 1e-3
"""From here on a tolerance stands for something else: a statistic, a quantisation, a published figure."""


def literals(path: Path) -> list[str]:
    """Where a file has a tolerance below a thousandth that is a number and no expression, or compares with one."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in NAMES and _small(node.value):
            found.append(f"{path.name}:{node.value.lineno} {node.arg}={ast.unparse(node.value)}")
        if isinstance(node, ast.Compare) and isinstance(node.ops[-1], ast.Lt | ast.LtE):
            found += [f"{path.name}:{node.lineno} {ast.unparse(node)}"] if _small(node.comparators[-1]) else []
    return sorted(found)


def _small(node: ast.expr) -> bool:
    """A literal above 0 and below a thousandth, or a product with one."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _small(node.left) or _small(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < SMALLEST


def test_no_tolerance_is_a_small_literal(checkout: Path) -> None:
    found = [line for path in sorted((checkout / "tests").rglob("test_*.py")) for line in literals(path)]
    assert not found, "compute these with tests.rounding:\n" + "\n".join(found)


def test_a_small_literal_is_found(tmp_path: Path) -> None:
    path = tmp_path / "test_one.py"
    lines = ["assert f(a, atol=1e-5)", "assert x < 3e-4 * y", "assert f(a, atol=rounding(sums=3, scale=1.0), rel=0.1)"]
    path.write_text("\n".join(lines))
    assert [line.split()[0] for line in literals(path)] == ["test_one.py:1", "test_one.py:2"]


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_two_orders_of_a_sum_stay_within_rounding_and_another_number_does_not(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (10, 1000, 30000):
        terms = torch.randn(50, count, generator=generator).to(dtype)
        exact = terms.double().sum(1)
        one, other = terms.sum(1), terms.flip(1).cumsum(1)[:, -1]
        bound = rounding(sums=count, scale=float(terms.double().abs().sum(1).max()), dtype=dtype)
        assert float((one.double() - other.double()).abs().max()) <= bound
        assert float((exact + 2 * bound - one.double()).abs().min()) > bound


def test_the_scale_of_small_numbers_is_one() -> None:
    assert largest(np.zeros(3), torch.tensor([0.5])) == 1.0 and largest(np.array([-7.0]), [2]) == 7.0
    assert rounding(sums=8, scale=2.0) == 16 * np.finfo(np.float32).eps
    assert rounding(sums=8, scale=2.0, dtype=np.float64) == 16 * np.finfo(np.float64).eps
