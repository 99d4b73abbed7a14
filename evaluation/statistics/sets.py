"""Set scores: how far the samples of a row, as a set, lie from the references, as a set, in a judge's features.

    frechet(x, y)            Frechet distance of two Gaussians (FAD: Kilgour et al. 2019), biased upwards by few sounds
    kernel_distance(x, y)    unbiased squared maximum mean discrepancy x 100 (KAD: Chung et al. 2025), below 0 at times
    set_scores(spaces, ...)  both of every row, and of a floor: two halves of the references against each other

A set of sounds of the right kind in the wrong order is perfect here: these say nothing of decoding. The Frechet
distance of two draws of 60 from ONE distribution can be half of the largest there is, which is why the floor is
printed, with n, and why the extractor stands in the name: values of two extractors cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.digest import sha256_of
from evaluation.score import LEVEL, Chances, Float, Int

Wide = NDArray[np.float64]
Draws = Callable[[Int, Int], float]

FLOOR = "floor"
REFERENCE = "reference"
KAD_SCALE = 100
"""KAD is printed times this, as its authors do."""
DRAWS = 200
SPLITS = 20
FEWEST = 4


@dataclass(frozen=True, kw_only=True)
class SetScore:
    """One row of samples as a set under one distance.

    metric      "fad_<extractor>" or "kad_<extractor>"; less is better
    low, high   95 % interval: a bootstrap over stimuli, moved by its own bias; of the floor, over its splits
    n           samples in the row (of the floor: in one half); references: how many it is compared with
    """

    row: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    references: int

    def facts(self) -> dict[str, Any]:
        """The score as report.json says it."""
        return asdict(self)


def frechet(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """|m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) of (n, feature) and (m, feature) values, n and m above 1.

    Covariances are divided by n - 1. The trace of the root is the sum of the singular values of A B^T, where
    S_x = A^T A and S_y = B^T B, so that no root of a matrix is taken (Dowson & Landau 1982 for the distance).
    """
    means = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    a, b = ((v - mean) / np.sqrt(len(v) - 1) for v, mean in zip((x, y), means, strict=True))
    total = float(((means[0] - means[1]) ** 2).sum() + (a**2).sum() + (b**2).sum())
    return max(0.0, total - 2 * float(np.linalg.svd(_small(a) @ _small(b).T, compute_uv=False).sum()))


def _small(values: Wide) -> Wide:
    """What has the products of (n, feature) values in the fewest rows: of a tall matrix its triangle."""
    return np.asarray(np.linalg.qr(values, mode="r"), np.float64) if len(values) > values.shape[1] else values


def kernel_distance(references: NDArray[np.floating], samples: NDArray[np.floating]) -> float:
    """100 x the unbiased squared MMD of (n, feature) and (m, feature) values under a Gaussian kernel.

    Its width is the median distance of two references (Chung et al. 2025, section 3); Gretton et al. 2012, eq. 3.
    """
    kernels = _Kernels.of(references.astype(np.float64), samples.astype(np.float64))
    return kernels.distance(np.ones(len(references)), np.ones(len(samples)))


@dataclass(frozen=True, kw_only=True)
class _Kernels:
    """Kernel values within the references, within the samples, and between them; weights count how often each is in."""

    xx: Wide
    yy: Wide
    xy: Wide

    @classmethod
    def of(cls, x: Wide, y: Wide) -> _Kernels:
        from scipy.spatial.distance import cdist, pdist

        width = float(np.median(pdist(x))) or 1.0
        xx, yy, xy = (np.exp(-cdist(p, q, "sqeuclidean") / (2 * width**2)) for p, q in ((x, x), (y, y), (x, y)))
        return cls(xx=xx, yy=yy, xy=xy)

    def distance(self, w: Wide, v: Wide) -> float:
        between = float(w @ self.xy @ v) / float(w.sum() * v.sum())
        return KAD_SCALE * (_pairs(self.xx, w) + _pairs(self.yy, v) - 2 * between)


def _pairs(kernel: Wide, weights: Wide) -> float:
    """The mean over pairs of two different ones: one that was drawn twice is never paired with itself."""
    alone = weights**2
    return float(weights @ kernel @ weights - alone @ np.diagonal(kernel)) / float(weights.sum() ** 2 - alone.sum())


def set_scores(
    spaces: Mapping[str, Mapping[str, Float]],
    names: Mapping[str, str],
    *,
    ids: Mapping[str, Sequence[str]],
    chances: Chances,
) -> tuple[SetScore, ...]:
    """FAD and KAD of every row, the floor first, in the features of each network of `names` (network -> printed name).

    spaces  row -> network -> (stimulus, feature); "reference" is what the others are compared with
    ids     row -> the stimuli of these features: an interval draws stimuli, with their samples
    Rows of one sample, and fewer than four references, are left out.
    """
    from brain.console.progress import progress

    shown = spaces[REFERENCE]
    place = {name: number for number, name in enumerate(ids[REFERENCE])}
    asked = [
        (network, row)
        for network in names
        if network in shown and len(shown[network]) >= FEWEST
        for row in (FLOOR, *spaces)
    ]
    found: list[SetScore] = []
    for network, row in progress(asked, desc="set distances", unit="row"):
        draw = int(sha256_of(names[network].encode(), row.encode())[:16], 16)  # whoever else is there
        rng = np.random.default_rng([chances.seed, 3, draw])
        x = shown[network].astype(np.float64)
        if row == FLOOR:
            found += _floor(x, names[network], rng)
        elif row != REFERENCE and len(spaces[row][network]) > 1:
            places = np.array([place[name] for name in ids[row]], np.int64)
            found += _row(row, x, spaces[row][network].astype(np.float64), own=places, name=names[network], rng=rng)
    return tuple(found)


def _row(row: str, x: Wide, y: Wide, *, own: Int, name: str, rng: np.random.Generator) -> list[SetScore]:
    """Both distances of one row; y (sample, feature) belong to the references `own` (sample,) of x."""
    kernels = _Kernels.of(x, y)
    counts = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=DRAWS)
    draws: dict[str, list[float]] = {"fad": [], "kad": []}
    for count in counts:
        with_samples = count[own]
        # a distance needs two different ones on either side
        if min(np.count_nonzero(count), np.count_nonzero(with_samples)) > 1:
            draws["fad"].append(frechet(np.repeat(x, count, axis=0), np.repeat(y, with_samples, axis=0)))
            draws["kad"].append(kernels.distance(count.astype(np.float64), with_samples.astype(np.float64)))
    values = {"fad": frechet(x, y), "kad": kernels.distance(np.ones(len(x)), np.ones(len(y)))}
    return [
        SetScore(
            row=row, metric=f"{kind}_{name}", value=value, n=len(y), references=len(x),
            **_moved(np.array(draws[kind]), value, least=0.0 if kind == "fad" else -np.inf),
        )
        for kind, value in values.items()
    ]  # fmt: skip


def _moved(draws: Wide, value: float, *, least: float) -> dict[str, float]:
    """The quantiles of a bootstrap, moved so that its mean is the value: stimuli drawn twice make sets look narrow."""
    if not len(draws):
        return {"low": value, "high": value}
    low, high = np.quantile(draws - draws.mean() + value, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": max(least, float(low)), "high": float(high)}


def _floor(x: Wide, name: str, rng: np.random.Generator) -> list[SetScore]:
    """What two halves of the references score against each other, over random splits."""
    half = len(x) // 2
    splits = [rng.permutation(len(x)) for _ in range(SPLITS)]
    distances = {"fad": frechet, "kad": kernel_distance}
    found = []
    for kind, distance in distances.items():
        values = np.array([distance(x[order[:half]], x[order[half : 2 * half]]) for order in splits])
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found.append(
            SetScore(
                row=FLOOR, metric=f"{kind}_{name}", value=float(values.mean()), low=float(low), high=float(high),
                n=half, references=half,
            )
        )  # fmt: skip
    return found
