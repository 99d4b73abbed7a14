"""No tolerance of a rounding error is a literal that somebody once widened: it is computed where it stands."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.rounding import largest, rounding

NAMES = {"atol", "rtol", "abs", "rel"}
CALLS = {"allclose", "isclose", "approx", "assert_allclose", "assert_close"}
SMALLEST = 1e-3
"""From here on a tolerance stands for something else: a statistic, a quantisation, a published figure."""


def literals(path: Path) -> list[str]:
    """Where a file has a number below a thousandth in a tolerance, by name or by place, or in a comparison."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            parts += [keyword.value for keyword in node.keywords if keyword.arg in NAMES]
            if name in CALLS:
                parts += node.args[1:] if name == "approx" else node.args[2:]
        if isinstance(node, ast.Compare) and any(isinstance(one, _ORDERS) for one in node.ops):
            parts += [node.left, *node.comparators]
        found += [f"{path.name}:{part.lineno} {ast.unparse(part)}" for part in parts if _small(part)]
    return sorted(set(found))


_ORDERS = ast.Lt | ast.LtE | ast.Gt | ast.GtE


def _small(node: ast.expr) -> bool:
    """A literal above 0 and below a thousandth, also written as a power or a quotient, or a term or factor of one."""
    if isinstance(node, ast.BinOp):
        power = isinstance(node.op, ast.Pow) and isinstance(node.right, ast.UnaryOp) and _number(node.left) == 10
        quotient = isinstance(node.op, ast.Div) and _number(node.left) == 1 and 1000 < _number(node.right) != 2**15
        terms = isinstance(node.op, ast.Mult | ast.Add | ast.Sub) and (_small(node.left) or _small(node.right))
        return power or quotient or terms
    return 0 < _number(node) < SMALLEST


def _number(node: ast.expr) -> float:
    return float(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, int | float) else 0.0


def test_no_tolerance_is_a_small_literal(checkout: Path) -> None:
    found = [line for path in sorted((checkout / "tests").rglob("test_*.py")) for line in literals(path)]
    assert not found, "compute these with tests.rounding:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "assert f(a, atol=1e-5)", "assert x < 3e-4 * y", "assert 1e-5 > x", "assert x <= 1e-5 < y",
        "allclose(a, b, 1e-5)", "assert a == approx(b, 1e-6)", "f(a, rel=10**-6)", "f(a, abs=1 / 1e6)",
        "f(a, atol=rounding(sums=3) + 1e-5)",
        "torch.testing.assert_close(a, b, atol=0, rtol=2e-6)",
    ],
)  # fmt: skip
def test_a_small_literal_is_found(tmp_path: Path, line: str) -> None:
    path = tmp_path / "test_one.py"
    path.write_text(f"\n{line}\n")
    assert [one.split()[0] for one in literals(path)][:1] == ["test_one.py:2"]


@pytest.mark.parametrize(
    "line", ["f(a, atol=rounding(sums=3, scale=1.0), rel=0.1)", "assert x < 0.01", "g(scale=1e-5)"]
)
def test_what_is_computed_or_large_or_no_tolerance_is_left_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "test_one.py"
    path.write_text(line)
    assert literals(path) == []


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


def test_the_scale_is_the_largest_absolute_value_and_the_bound_its_multiple() -> None:
    assert largest(np.zeros(3), torch.tensor([0.5])) == 0.5 and largest(np.array([-7.0]), [2]) == 7.0
    assert rounding(sums=8, scale=2.0) == 16 * np.finfo(np.float32).eps
    assert rounding(sums=8, scale=2.0, dtype=np.float64) == 16 * np.finfo(np.float64).eps
