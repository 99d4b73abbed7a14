"""A recipe that nobody knows."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.run.settings import EvaluationSettings, MapSettings, SamplingSettings

ENTRIES = (
    Recipe(
        name="toy-recipe",
        title="Toy",
        description="everything that nobody knows, in one",
        maps=MapSettings(stack="", maps=("toy-colours=*",), mapping="toy-shrunk", folds=3),
        sampling=SamplingSettings(
            method="toy-blocks", beside=(), rows=("decoded", "toy_inverted", "shuffled", "mean", "retrieval", "oracle")
        ),
        evaluation=EvaluationSettings(judge="toy-averages"),
        knobs={"tint": 0.1, "shrinkage": 0.9},
    ),
)
