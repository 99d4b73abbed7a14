"""Stacks: where each pretrained checkpoint of the table is found, how it is fetched, and what is checked.

A stack is a folder in the Hugging Face layout (`model_index.json` and one folder a component). It comes with the
package, from a folder of the user's, or from the Hugging Face cache; nothing above this module asks which.

    resolve(name or folder) -> StackFolder     never downloads; absent is `CheckpointAbsent` with the command to run
    fetch(name)                                the one place that downloads: safetensors and JSON, at a revision
    check(name or folder) -> StackReport       every component loads; files with their sha256
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from brain import tensors
from brain.catalogue import unknown
from brain.errors import AfterimageError, CheckpointAbsent, InputError, StorageError, UsageError, expected
from brain.files import listed, present
from brain.json_files import is_number, read_json
from brain.progress import progress
from encoders.checkpoint_folders import SAFE, checked, pickles, refuse_code
from encoders.mel import MelRecipe
from pipelines.stack_table import ROWS, StackRow

SHELF = "AFTERIMAGE_STACKS"  # environment variable: a folder of stacks, one folder a name
INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers", "stable_diffusion", "audioldm2")
CHOOSES = re.compile(r"(TF|Flax)?Auto[A-Z]|.*Pipeline\w*$|pipeline$")
"""Names of the libraries' things that choose or load a class by themselves (AutoModel, but not AutoencoderKL)."""


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
        facts = read_json(path, what="a scheduler's configuration", then=_RESTORE)
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
            sizes[fact] = read_json(path, what=f"the configuration of the {part}", then=_RESTORE).get(fact)
        places, levels, recipe = sizes["sample_size"], sizes["block_out_channels"], MelRecipe()
        places = places[0] if isinstance(places, list) and places else places
        if type(places) is not int or not isinstance(levels, list) or not 0 < len(levels) < 16:
            what = "sample_size of its UNet and block_out_channels of its vae"
            raise InputError(expected(self.path, what, "others", _RESTORE))
        return recipe.samples(places * 2 ** (len(levels) - 1)) / recipe.rate

    def weights(self, component: str) -> int:
        """How many numbers a component has, from its files' headers; a tensor of several types counts once."""
        slots = {
            name: math.prod(slot.shape)
            for path in listed(self.path / component, "*.safetensors")
            for name, slot in tensors.header(path, then=_RESTORE).tensors.items()
        }
        return sum(slots.values())

    @cached_property
    def components(self) -> dict[str, tuple[str, str]]:
        """Component -> (library, class) of the folder's own index, without those it leaves out."""
        return read_index(self.path)


@dataclass(frozen=True, kw_only=True)
class StackReport:
    """What `check` found: component -> class, file -> sha256, and the count of weights over all components."""

    folder: StackFolder
    components: dict[str, str]
    files: dict[str, str]
    weights: int


def names() -> tuple[str, ...]:
    """The names of the table, in its order."""
    return tuple(row.name for row in ROWS)


def row_named(name: str) -> StackRow:
    """The row of that name or hub id; an unknown one is a `UsageError` with the nearest."""
    for row in ROWS:
        if name in (row.name, row.hub):
            return row
    raise UsageError(unknown("stack", name, names()))


def resolve(stack: str, *, revision: str = "", numbers: bool = True) -> StackFolder:
    """Where a stack lies: `stack` is a name of the table, a hub id of the table, or a folder; never downloads.

    Looked for in this order: the package (bundled stacks), the folder `$AFTERIMAGE_STACKS/NAME`, the Hugging Face
    cache at `revision` (the row's own if ""). Absent or incomplete: `CheckpointAbsent`. Damaged: `InputError`, which
    takes reading every weight once a process for NaN, unless `numbers` is False.
    """
    known = {name for row in ROWS for name in (row.name, row.hub) if name}
    if stack not in known and Path(stack).is_dir():
        return _sound(StackFolder(path=Path(stack).resolve(), row=None), numbers=numbers)
    row = row_named(stack)
    for place in (_bundled, _shelved):
        path = place(row)
        if path is not None:
            return _sound(StackFolder(path=path, row=row), numbers=numbers)
    path = _cached(row, revision) if row.hub else None
    if path is None:
        raise absent(row)
    return _sound(StackFolder(path=path, row=row), numbers=numbers)


def absent(row: StackRow) -> CheckpointAbsent:
    """The error for a stack that is not at hand: id, size, licence and the command that gets it."""
    if not row.hub:
        return CheckpointAbsent(
            f"stack {row.name} ({row.gigabytes} GB, {row.licence}) belongs to the package and is not in this install; "
            f"install afterimage again, or train it: accelerate launch -m {row.recipe}"
        )
    return CheckpointAbsent(
        f"stack {row.name} is not at hand: {row.hub} at {row.revision}, about {row.gigabytes} GB, licence "
        f"{row.licence}; get it with: afterimage stacks fetch {row.name}"
    )


def fetch(name: str, *, revision: str = "", say: Callable[[str], None] = print) -> StackFolder:
    """Download a stack of the table into the Hugging Face cache: its components' safetensors and JSON, nothing else.

    `revision` replaces the row's. `say` gets the licence and the size before the first byte. Offline, gated or gone:
    `CheckpointAbsent`; a full disk: `StorageError`.
    """
    row = row_named(name)
    if not row.hub:
        say(f"{row.name} comes with the package; nothing to fetch")
        return resolve(name)
    say(f"{row.hub} at {revision or row.revision}: about {row.gigabytes} GB, licence {row.licence} ({row.pinned_by})")
    return _sound(StackFolder(path=_snapshot(row, revision, local_only=False), row=row))


def check(stack: str) -> StackReport:
    """Load every component of a stack and list its files with their sha256; what does not load is an `InputError`."""
    folder = resolve(stack)
    loading = progress(folder.components, desc="loading", unit="component")
    loaded = {name: load_component(folder, name) for name in loading}
    return StackReport(
        folder=folder,
        components={name: type(part).__name__ for name, part in loaded.items()},
        files=digests(folder.path),
        weights=sum(p.numel() for part in loaded.values() if hasattr(part, "parameters") for p in part.parameters()),
    )


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
    facts = read_json(file, what="a stack in the Hugging Face layout", then=_RESTORE)
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


def load_component(folder: StackFolder, name: str) -> Any:
    """One component by the class its index names, on the CPU, in its saved type; absent or damaged: `InputError`."""
    if name not in folder.components:
        raise InputError(
            expected(folder.path, f"a component {name}", ", ".join(sorted(folder.components)), "choose another stack")
        )
    library, kind = folder.components[name]
    quiet()
    found = getattr(_library(library), kind, None)
    if not isinstance(found, type) or not hasattr(found, "from_pretrained"):
        raise InputError(
            expected(folder.path / INDEX, f"a class of {library}", kind, "update diffusers and transformers")
        )
    checked(folder.path / name, then=_RESTORE)
    safe = {"use_safetensors": True} if _has_weights(folder.path / name) else {}
    with damage(folder.path / name):
        return found.from_pretrained(folder.path / name, local_files_only=True, **safe)


class damage:
    """A `with` block in which any failure to load becomes one `InputError` that names the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, (AfterimageError, MemoryError)):
            first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise InputError(expected(self.path, "a component that loads", first, _RESTORE)) from error


def quiet() -> None:
    """Keep diffusers and transformers from writing load reports and progress of loading into the user's terminal."""
    from encoders.torchvision_guard import settle_torchvision

    settle_torchvision()
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


_RESTORE = "fetch or copy the stack again"


def _library(name: str) -> Any:
    import diffusers
    import diffusers.pipelines.audioldm2
    import diffusers.pipelines.stable_diffusion
    import transformers

    if name in ("stable_diffusion", "audioldm2"):
        return getattr(diffusers.pipelines, name)
    return {"diffusers": diffusers, "transformers": transformers}[name]


def _bundled(row: StackRow) -> Path | None:
    if row.hub:
        return None
    from importlib.resources import files

    path = Path(str(files("pipelines.miniature"))) / row.name.removeprefix("miniature-")
    return path if (path / INDEX).is_file() else None


def _shelved(row: StackRow) -> Path | None:
    shelf = os.environ.get(SHELF, "")
    path = Path(shelf) / row.name
    return path.resolve() if shelf and path.is_dir() else None


def _cached(row: StackRow, revision: str) -> Path | None:
    """The snapshot in the Hugging Face cache, or None if it is not there or not all of it is."""
    try:
        path = _snapshot(row, revision, local_only=True)
    except CheckpointAbsent:
        return None
    here = (path / INDEX).is_file() and all((path / part).is_dir() for part in read_index(path))
    return path if here else None


def _snapshot(row: StackRow, revision: str, *, local_only: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        path = snapshot_download(
            row.hub,
            revision=revision or row.revision,
            local_files_only=local_only,
            allow_patterns=[
                INDEX,
                *(f"{part}/*.{end}" for part in row.components for end in ("json", "txt", "safetensors")),
            ],
            ignore_patterns=["*.fp16.safetensors", "*.non_ema.safetensors"],
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        if local_only:
            raise absent(row) from error
        raise CheckpointAbsent(
            f"stack {row.name}: {row.hub} at {revision or row.revision} could not be fetched ({type(error).__name__}); "
            f"see https://huggingface.co/{row.hub} for access and licence, or put its folder into ${SHELF}"
        ) from error
    except OSError as error:
        raise StorageError(
            f"stack {row.name}: about {row.gigabytes} GB could not be stored: {error}; free some space"
        ) from error
    return Path(path)


def _sound(folder: StackFolder, *, numbers: bool = True) -> StackFolder:
    """The folder itself, if every component is there, its files can be read and its weights are whole and finite."""
    for name in folder.components:
        if not (folder.path / name).is_dir():
            raise InputError(expected(folder.path / name, "a component's folder", "nothing", _RESTORE))
    what = f"reading the weights of {folder.path.name}"
    for name in progress(folder.components, desc=what, unit="component", leave=False, disable=not numbers):
        part = folder.path / name
        checked(part, numbers=numbers, then=_RESTORE)
        if (part / "config.json").is_file() and not _has_weights(part):
            raise InputError(
                expected(part, "weights as .safetensors", ", ".join(pickles(part)) or "none", SAFE)
            )
    return folder


def _has_weights(part: Path) -> bool:
    return bool(listed(part, "*.safetensors"))


def _sha256(file: Path) -> str:
    with present(file, what="a file of a stack", then=_RESTORE).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
