"""Log-mel spectrograms as grey values, the same scale for every sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.score import Float

Wide = NDArray[np.float64]
# Natural logarithms of mel magnitudes: the recipe's floor is black, and no sound of full scale reaches white.
QUIETEST, LOUDEST = float(np.log(1e-5)), 2.5


def grey_mels(mels: Float) -> Wide:
    """Log-mels of any shape as 0..1: the floor is 0, e^2.5 is 1."""
    grey: Wide = np.clip((mels.astype(np.float64) - QUIETEST) / (LOUDEST - QUIETEST), 0, 1)
    return grey
