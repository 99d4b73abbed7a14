"""Rescaling of predictions to the true mean, SD and norm, which regression shrinks, before a generator takes them.

Ridge shrinks: its guesses vary less than the truth and lie too near the mean, where no generator has been trained.
For a guess p, target by target,

    spread   r = mean(truth) + (p - mean(held-out p)) * std(truth) / std(held-out p)      the gain limited to `limit`
    norm     r * mean|truth| / |r|                                                        the whole vector, last

All statistics come from cross-validated predictions of the TRAINING stimuli and from their true conditions, never from
the patterns being decoded: a single pattern is decoded as it is among a thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, UsageError
from brain.types import Float

Kind = Literal["none", "spread", "spread+norm"]


@dataclass(frozen=True, kw_only=True)
class Rescaling:
    """Rescaling of one space's predictions.

    kind    "none", "spread" or "spread+norm"
    centre  (target,) float64, mean of the held-out predictions
    mean    (target,) float64, mean of the true conditions
    gain    (target,) float64, what a deviation from `centre` is multiplied with; 0 for a target that never moves
    norm    mean norm of the true conditions
    ratio   mean norm of the held-out predictions over `norm`, before rescaling: how far ridge had shrunk them
    """

    kind: Kind
    centre: NDArray[np.float64]
    mean: NDArray[np.float64]
    gain: NDArray[np.float64]
    norm: float
    ratio: float

    @classmethod
    def fit(
        cls,
        cv_prediction: Float,
        truth: Float,
        *,
        groups: Sequence[str] | NDArray[np.str_],
        kind: str,
        limit: float,
    ) -> Rescaling:
        """Statistics of held-out training predictions and their truth, both (sample, target), averaged per group first.

        groups  (sample,) the stimulus of each sample: patterns are decoded averaged, so repeats are averaged here too
        limit   the largest gain (above 0; infinity sets no limit): a target that cannot be predicted is not blown up
        """
        if kind not in get_args(Kind):
            raise UsageError(f"rescaling: kind must be one of {', '.join(get_args(Kind))}, found {kind!r}")
        if not limit > 0:
            raise UsageError(f"rescaling: expected a largest gain above 0, found {limit}")
        if cv_prediction.shape != truth.shape or truth.ndim != 2 or len(groups) != len(truth):
            raise InputError(
                f"rescaling: predictions {cv_prediction.shape}, truth {truth.shape} and {len(groups)} groups differ"
            )
        prediction, true = _per_group(cv_prediction, groups), _per_group(truth, groups)
        spread = prediction.std(0)
        moving = (spread > 0) & (np.ptp(truth, axis=0) > 0)
        gain = np.where(moving, np.minimum(true.std(0) / np.where(moving, spread, 1), limit), 0)
        norm = float(np.linalg.norm(true, axis=1).mean())
        came = float(np.linalg.norm(prediction, axis=1).mean())
        return cls(
            kind=kind,  # type: ignore[arg-type] # just checked
            centre=prediction.mean(0),
            mean=true.mean(0),
            gain=gain,
            norm=norm,
            ratio=came / norm if norm > 0 else 1.0,
        )

    def apply(self, predictions: Float) -> Float:
        """(sample, target) float32 -> the same, restored; every sample by itself, in float64, then rounded."""
        predictions = np.asarray(predictions, np.float32)
        if predictions.ndim != 2 or predictions.shape[1] != len(self.gain):
            raise InputError(
                f"rescaling: expected predictions (sample, {len(self.gain)}), found {predictions.shape}; fit again"
            )
        return np.stack([self._one(prediction) for prediction in predictions]) if len(predictions) else predictions

    def _one(self, prediction: Float) -> Float:
        if self.kind == "none":
            return prediction
        restored = self.mean + (prediction.astype(np.float64) - self.centre) * self.gain
        if self.kind == "spread+norm":
            length = float(np.sqrt(np.sum(restored * restored)))
            restored = restored * (self.norm / length) if length > 0 else restored
        return restored.astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """For the card: the kind, the norms and how hard the gains pull."""
        quantiles = np.quantile(self.gain, [0.05, 0.5, 0.95])
        return {
            "kind": self.kind,
            "norm": self.norm,
            "norm_ratio_before": self.ratio,
            "gain_05_50_95": [float(one) for one in quantiles],
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Itself as plain arrays, to be stored."""
        return {
            "restore.centre": self.centre,
            "restore.mean": self.mean,
            "restore.gain": self.gain,
            "restore.norms": np.array([self.norm, self.ratio]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, kind: str) -> Rescaling:
        """Back from `arrays()` and the kind; other entries are left alone."""
        if kind not in get_args(Kind):
            raise InputError(f"rescaling: expected a kind of {', '.join(get_args(Kind))}, found {kind!r}; fit again")
        missing = [name for name in ("centre", "mean", "gain", "norms") if f"restore.{name}" not in arrays]
        if missing:
            raise InputError(f"rescaling: restore.{missing[0]} is not among the stored arrays; fit again")
        norm, ratio = arrays["restore.norms"].tolist()
        return cls(
            kind=kind,  # type: ignore[arg-type] # just checked
            centre=arrays["restore.centre"],
            mean=arrays["restore.mean"],
            gain=arrays["restore.gain"],
            norm=norm,
            ratio=ratio,
        )


def _per_group(values: Float, groups: Sequence[str] | NDArray[np.str_]) -> NDArray[np.float64]:
    """(group, target) float64: the mean of each group's rows."""
    _, member, count = np.unique(np.asarray(groups, np.str_), return_inverse=True, return_counts=True)
    order = np.argsort(member, kind="stable")
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    total: NDArray[np.float64] = np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
    return total / count[:, None]
