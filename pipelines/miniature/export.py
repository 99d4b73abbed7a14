"""Finished stages as folders in the Hugging Face layout, each with a card that says how it came about."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from brain.files.json_files import as_object, read_json
from brain.files.paths import read_text
from encoders.training import LOG
from encoders.training_state import read_average
from pipelines.miniature.recipe import Recipe
from pipelines.miniature.stage import newest

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` that takes its place when it is full: who reads meanwhile finds it whole."""
    fresh = folder.with_name(folder.name + ".partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def save_network(net: nn.Module, path: Path) -> None:
    """A simulator's network as one safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)


def add_components(folder: Path, components: Mapping[str, Sequence[str]]) -> None:
    """Names in a stack's index the components that its pipeline does not know."""
    index = folder / "model_index.json"
    facts = {**read_json(index), **{name: list(kind) for name, kind in components.items()}}
    index.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_card(recipe: Recipe, folder: Path, names: Sequence[str], *, what: str, facts: Mapping[str, Any]) -> None:
    """card.json: recipe, data, seeds, steps, losses, digests of all that lies in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    card = {
        "what": what,
        "licence": "Apache-2.0",
        "recipe": f"accelerate launch -m {type(recipe).__module__.rpartition('.')[0]}",
        "loop": "trained by encoders.training",
        "scale": recipe.scale,
        **facts,
        "trained": {name: _trained(recipe.work / name) for name in names},
        "torch": torch.__version__,
        "sha256": {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _trained(folder: Path) -> dict[str, Any]:
    """A stage's settings, where it stopped, and a dozen lines of its log."""
    _, card = read_average(newest(folder))
    path = folder / LOG
    text = read_text(path, what="a stage's log", then="train this stage again")
    log = [as_object(line, path) for line in text.splitlines()]
    return {
        "settings": card["identity"]["stage"],
        "stopped_at": card["progress"]["step"],
        "log": log[:: max(1, len(log) // 12)] + log[-1:],
    }
