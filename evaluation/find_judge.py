"""Judges by their names: those of the catalogue, and classifiers in folders of one's own."""

from __future__ import annotations

import os
from pathlib import Path

from brain.errors import UsageError, expected
from evaluation.judges import CATALOGUE, Judge
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND

BUNDLED = {IMAGE: "miniature", SOUND: "miniature-sound"}


def find_judge(name: str) -> Judge:
    """The judge of that name, or the classifier or CLAP in that folder; an unknown name is a UsageError."""
    if os.path.lexists(Path(name) / "config.json"):
        return _of_folder(Path(name))
    return CATALOGUE[name]


def judge_of(name: str, modality: str) -> Judge:
    """The judge of that name for pictures or sounds, "" being the bundled one; one for the other is a UsageError."""
    judge = find_judge(name or BUNDLED[modality])
    if judge.modality != modality:
        looks = {IMAGE: "pictures", SOUND: "sounds"}
        then = f"take --judge {BUNDLED[modality]}"
        raise UsageError(expected(f"judge {judge.name!r}", f"{looks[judge.modality]} to judge", looks[modality], then))
    return judge


def _of_folder(folder: Path) -> Judge:
    from evaluation.judges.classifier import ClassifierJudge, read_object
    from evaluation.judges.hearing import AudioClassifierJudge, ClapJudge
    from evaluation.judges.sound import PREPROCESSOR, MelClassifierJudge

    name = folder.resolve().name
    config = read_object(folder / "config.json")
    if os.path.lexists(folder / PREPROCESSOR):
        return MelClassifierJudge(name=name, folder=folder)
    if config.get("model_type") == "clap":
        return ClapJudge(name=name, folder=folder)
    if any(str(kind).endswith("ForAudioClassification") for kind in config.get("architectures") or ()):
        return AudioClassifierJudge(name=name, folder=folder)
    return ClassifierJudge(name=name, folder=folder)
