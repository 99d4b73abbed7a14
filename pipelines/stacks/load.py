"""Load the components of a stack, or one sentence that says which does not load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.console.progress import progress
from brain.errors import AfterimageError, InputError, expected
from encoders.frozen.checkpoint_folders import checked
from pipelines.stacks.find import resolve
from pipelines.stacks.folder import INDEX, RESTORE, StackFolder, digests, has_weights


@dataclass(frozen=True, kw_only=True)
class StackReport:
    """What `check` found: component -> class, file -> sha256, and the count of weights over all components."""

    folder: StackFolder
    components: dict[str, str]
    files: dict[str, str]
    weights: int


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
    checked(folder.path / name, then=RESTORE)
    safe = {"use_safetensors": True} if has_weights(folder.path / name) else {}
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
            raise InputError(expected(self.path, "a component that loads", first, RESTORE)) from error


def quiet() -> None:
    """Keep diffusers and transformers from writing load reports and progress of loading into the user's terminal."""
    from encoders.frozen.torchvision_guard import settle_torchvision

    settle_torchvision()
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _library(name: str) -> Any:
    import diffusers
    import diffusers.pipelines.audioldm2
    import diffusers.pipelines.stable_diffusion
    import transformers

    if name in ("stable_diffusion", "audioldm2"):
        return getattr(diffusers.pipelines, name)
    return {"diffusers": diffusers, "transformers": transformers}[name]
