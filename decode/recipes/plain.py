"""Recipes without any generator: what plain regression sees. They need no checkpoint and take anyone's arrays."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.settings import DecodeSettings, EvaluateSettings, FitSettings, Settings


def pixels_ridge() -> Settings:
    """Voxels to pixels by ridge, every leave-out fold of the data in turn, judged by the pixels themselves.

    Such data have few stimuli: every trial trains, and one penalty for all pixels is chosen by leaving stimuli out.
    """
    return Settings(
        recipe="pixels-ridge",
        fit=FitSettings(stack="", maps=("pixels=*",), trials="single", shared_penalty=True, folds=9),
        decode=DecodeSettings(method="pixels", rows=("decoded", "shuffled", "mean", "retrieval")),
        evaluate=EvaluateSettings(judge="pixels"),
    )


ENTRIES = (
    Recipe(name="pixels-ridge", says="straight to pixels, leave-out folds; for your own data", settings=pixels_ridge),
)
