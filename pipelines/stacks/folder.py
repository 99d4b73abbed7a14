"""A stack at hand: a folder in the Hugging Face layout, `model_index.json` and one folder a component."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from brain.files import tensors
from brain.files.json_files import is_number, read_json
from brain.files.paths import listed, present
from encoders.frozen.checkpoint_folders import refuse_code
from encoders.sounds.mel import MelRecipe
from pipelines.stacks.table import StackRow

INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers", "stable_diffusion", "audioldm2")
CHOOSES = re.compile(r"(TF|Flax)?Auto[A-Z]|.*Pipeline\w*$|pipeline$")
"""Names of the libraries' things that choose or load a class by themselves (AutoModel, but not AutoencoderKL)."""
RESTORE = "fetch or copy the stack again"


@dataclass(frozen=True, kw_only=True)
class StackFolder:
    """A stack at hand: its folder and, if it is one of the table's, its row."""

    path: Path
    row: StackRow | None

    @property
    def model(self) -> str:
        """What a space card calls it: the hub id, else the row's name, else the folder's name."""
        if self.row is None:
            return self.path.name
        return self.row.hub or self.row.name

    @property
    def revision(self) -> str:
        """The hub commit where the folder is a hub snapshot, else "": condition spaces then digest their own files."""
        snapshot = re.fullmatch(r"[0-9a-f]{40}", self.path.name) and self.path.parent.name == "snapshots"
        return self.path.name if snapshot else ""

    @cached_property
    def sha256(self) -> str:
        """One digest of all its files, for the run's card."""
        lines = [f"{name} {digest}" for name, digest in sorted(digests(self.path).items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def noise_levels(self) -> int:
        """How many noise levels its schedule was trained on, which is the most steps that sampling can have."""
        return self.levels_of("scheduler")

    def levels_of(self, scheduler: str) -> int:
        """How many noise levels the schedule of that component was trained on."""
        path = self.path / scheduler / "scheduler_config.json"
        if not path.is_file():
            raise InputError(expected(self.path, f"{scheduler}/{path.name}", "none", "fetch or copy it again"))
        facts = read_json(path, what="a scheduler's configuration", then=RESTORE)
        steps = facts.get("num_train_timesteps", 1000)
        if not is_number(steps):
            found = f"num_train_timesteps {steps!r:.40}"
            raise InputError(expected(path, "a scheduler's configuration", found, "fetch it again"))
        return int(steps)

    @property
    def seconds(self) -> float:
        """How long the sounds are that its UNet was trained on, from the configurations of unet and vae alone."""
        sizes: dict[str, Any] = {}
        for part, fact in (("unet", "sample_size"), ("vae", "block_out_channels")):
            path = self.path / part / "config.json"
            sizes[fact] = read_json(path, what=f"the configuration of the {part}", then=RESTORE).get(fact)
        places, levels, recipe = sizes["sample_size"], sizes["block_out_channels"], MelRecipe()
        places = places[0] if isinstance(places, list) and places else places
        if type(places) is not int or not isinstance(levels, list) or not 0 < len(levels) < 16:
            what = "sample_size of its UNet and block_out_channels of its vae"
            raise InputError(expected(self.path, what, "others", RESTORE))
        return recipe.samples(places * 2 ** (len(levels) - 1)) / recipe.rate

    def weights(self, component: str) -> int:
        """How many numbers a component has, from its files' headers; a tensor of several types counts once."""
        slots = {
            name: math.prod(slot.shape)
            for path in listed(self.path / component, "*.safetensors")
            for name, slot in tensors.header(path, then=RESTORE).tensors.items()
        }
        return sum(slots.values())

    @cached_property
    def components(self) -> dict[str, tuple[str, str]]:
        """Component -> (library, class) of the folder's own index, without those it leaves out."""
        return read_index(self.path)


def digests(path: Path) -> dict[str, str]:
    """File (relative to the stack's folder) -> sha256, of the index and of every component's files, hidden ones not."""
    files = [path / INDEX] + [
        file for component in sorted(read_index(path)) for file in listed(path / component) if not file.is_dir()
    ]
    return {file.relative_to(path).as_posix(): _sha256(file) for file in files}


def read_index(path: Path) -> dict[str, tuple[str, str]]:
    """Component -> (library, class) of a stack's `model_index.json`, without components that it leaves out.

    No index, an unreadable one, or one that names anything but single classes of diffusers and transformers:
    `InputError`.
    """
    file = path / INDEX
    facts = read_json(file, what="a stack in the Hugging Face layout", then=RESTORE)
    refuse_code(facts, file)
    found: dict[str, tuple[str, str]] = {}
    for name, value in facts.items():
        if not isinstance(value, list) or len(value) != 2 or value == [None, None]:
            continue
        library, kind = value
        if library not in LIBRARIES or "/" in name or name.startswith("."):
            what = f"components of {', '.join(LIBRARIES)}"
            raise InputError(expected(file, what, f"{name} of {library!r}", "no other code is loaded"))
        if not isinstance(kind, str) or not kind.isidentifier() or kind.startswith("_") or CHOOSES.match(kind):
            then = f"write the class of {name} itself"
            raise InputError(expected(file, "a concrete class", kind if isinstance(kind, str) else repr(kind), then))
        found[name] = (library, kind)
    return found


def has_weights(part: Path) -> bool:
    """Whether a component has weights: any safetensors file."""
    return bool(listed(part, "*.safetensors"))


def _sha256(file: Path) -> str:
    with present(file, what="a file of a stack", then=RESTORE).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
