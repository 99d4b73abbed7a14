"""Weights of published networks: found where the libraries keep them or in a folder of one's own, never fetched.

The folder is named by the environment variable AFTERIMAGE_WEIGHTS and holds the files under their published names, or
as safetensors of the same stem. What is nowhere is a CheckpointAbsent that says how to get it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.errors import CheckpointAbsent, InputError, expected
from brain.files.paths import present
from brain.files.tensors import finite_header, read_pickle, read_torch
from brain.machine.installation import extra

FOLDER = "AFTERIMAGE_WEIGHTS"
EXTRA = extra("perceptual")
AGAIN = "fetch it again"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A published file of weights: its name, size, licence and what it was trained on in words, and how to get it."""

    file: str
    size: str
    licence: str
    get: str
    world: str = ""

    @property
    def stem(self) -> str:
        """The file's name up to its first dot."""
        return self.file.partition(".")[0]

    def places(self) -> tuple[Path, ...]:
        """Where it is looked for, in this order: one's own folder, then the cache of torch.hub."""
        import torch

        own = os.environ.get(FOLDER)
        kept = Path(torch.hub.get_dir()) / "checkpoints" / self.file
        if not own:
            return (kept,)
        return Path(own) / self.file, Path(own) / f"{self.stem}.safetensors", kept

    def path(self) -> Path | None:
        """The file that would be read, None where it is nowhere; an unfetched link is an error when it is read."""
        return next((place for place in self.places() if os.path.lexists(place)), None)

    def lacking(self) -> str:
        """What is needed and how to get it, as the end of a sentence."""
        looked = " and ".join(dict.fromkeys(said(place.parent) for place in self.places()))
        return (
            f"expected {self.file} ({self.size}, {self.licence}) in {looked}, found none; fetch it by `{self.get}`, "
            f"or name a folder that holds it in {FOLDER}"
        )

    def found(self, subject: str) -> Path:
        """The file that will be read; nowhere is a CheckpointAbsent."""
        place = self.path()
        if place is None:
            raise CheckpointAbsent(f"{subject}: {self.lacking()}")
        return place

    def card(self, place: Path) -> dict[str, str]:
        """What stands in a report: the file, its sha256, and whether that is the one the published name carries."""
        digest = sha256(place)
        carried = self.stem.rpartition("-")[2]
        same = place.name == self.file and len(carried) == 8 and digest.startswith(carried)
        return {
            "weights": f"{place.name}, {'as published' if same else 'not known to be as published'}",
            "sha256": digest,
        }


def hub_folder(subject: str, repository: str, *, files: Sequence[str], said_size: str) -> Path:
    """The folder of a repository of the hub: in one's own folder of weights under its last name, or in the hub's cache.

    files  what is wanted of it, model.safetensors among them; nowhere is a CheckpointAbsent about `subject`
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE

    own = os.environ.get(FOLDER)
    folder = Path(own) / repository.rpartition("/")[2] if own else None
    if folder is not None and os.path.lexists(folder / "model.safetensors"):
        return folder
    kept = try_to_load_from_cache(repository, "model.safetensors")
    if isinstance(kept, str):
        return Path(kept).parent
    cache = said(Path(HF_HUB_CACHE))
    looked = f"{said(folder)} and {cache}" if folder else cache
    listed = " ".join(files)
    raise CheckpointAbsent(
        f"{subject}: expected {repository} ({listed}, {said_size}) in {looked}, found none; fetch it by "
        f"`hf download {repository} {listed}`, or put its folder into one that {FOLDER} names"
    )


def read_weights(place: Path) -> Mapping[str, Any]:
    """name -> tensor, without running what a pickle may hold; a damaged or foreign file is an InputError."""
    if place.suffix != ".safetensors":
        return read_pickle(place, then=AGAIN)
    finite_header(place, then=AGAIN)
    return read_torch(place, then=AGAIN)


def fill(network: Any, state: Mapping[str, Any], *, place: Path) -> Any:
    """The network with exactly these weights, float32, frozen; one too few or of another shape is an InputError."""
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as fault:
        came = " ".join(str(fault).split())[:160]
        raise InputError(
            expected(place, f"the weights of {type(network).__name__}", f"others ({came})", AGAIN)
        ) from fault
    return network.float().eval().requires_grad_(False)


def said(folder: Path) -> str:
    """A folder as a report may print it: a person's home is ~, for reports are passed on."""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def first_line(fault: BaseException) -> str:
    """The first line of what a library says, which may go on for pages."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


def sha256(place: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with present(place, what="weights", then=AGAIN).open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and load reports: what matters of them is checked and said by us."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
