"""Recipes without any generator: what plain regression sees. They need no checkpoint and take anyone's arrays."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.run.settings import EvaluationSettings, MapSettings, SamplingSettings

ENTRIES = (
    # few stimuli: every trial trains, and one penalty for all pixels is chosen by leaving stimuli out
    Recipe(
        name="pixels-ridge",
        title="Pixels by ridge",
        description="straight to pixels; in folds where the data have groups; for your own data",
        citation="Miyawaki et al. 2008, Neuron",
        maps=MapSettings(stack="", maps=("pixels=*",), folds=9),
        sampling=SamplingSettings(method="pixels", rows=("decoded", "shuffled", "mean", "retrieval")),
        evaluation=EvaluationSettings(judge="pixels"),
        knobs={"trials": "single", "shared_penalty": True},
    ),
)
