"""Tolerances that are computed, for numbers that agree up to rounding and no further. No test by itself.

    np.testing.assert_allclose(ours, theirs, atol=rounding(sums=3 * 64, scale=4.0), rtol=0)

The error of a sum of n products is at most n u sum |a b|, u = eps / 2, whatever the order of its additions (Jeannerod &
Rump, SIAM Journal on Matrix Analysis and Applications, 2013; to first order Higham, Accuracy and Stability of Numerical
Algorithms, 2002, equation 3.5); so two orders differ by at most n eps sum |a b|. That is a theorem for one sum. Along a
chain, as through the layers of a network, the counts add up and an error is multiplied by what follows it: there the
scale stands for the largest product on the way, and the bound is a count that says what it counted, not a theorem.

`tests/test_tolerances.py` holds every tolerance below a thousandth to this: it comes from here, or from something else
that is computed, never from a literal.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import DTypeLike


def rounding(*, sums: int, scale: float, dtype: DTypeLike | torch.dtype = np.float32) -> float:
    """How far two orders of additions can carry a number.

    sums   additions on the longest way from what came in to the number, one after the other: 3 layers of width 64 are
           3 * 64, a mean over n is n, a single operation is 1
    scale  the largest sum of absolute values on that way, in the number's unit: for values of order 1 whose terms do
           not cancel, the largest value itself
    dtype  what is computed in, the coarsest of all that take part
    """
    eps = torch.finfo(dtype).eps if isinstance(dtype, torch.dtype) else np.finfo(dtype).eps
    return float(sums * eps * scale)


def largest(*arrays: object) -> float:
    """The largest absolute value in these arrays or tensors: the scale of what they sum to."""
    return max(float(np.abs(np.asarray(one, np.float64)).max(initial=0)) for one in arrays)
