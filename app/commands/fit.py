"""`afterimage fit DATA --recipe NAME --out RUN`: mappings from voxels to the conditions of a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tyro.conf import Positional

from app.flags import named, parse, recipes_own
from brain.devices import check_device
from decode.recipes import CATALOGUE, DEFAULT
from decode.settings import FitSettings, MachineSettings, Settings


def run(words: Sequence[str]) -> None:
    """Fits, or finds it done."""
    base = CATALOGUE[named("--recipe", words, DEFAULT)].settings()

    def fit(
        data: Positional[Path],
        *,
        out: Path,
        recipe: str = base.recipe,
        machine: MachineSettings = base.machine,
        fit: FitSettings = base.fit,
    ) -> tuple[Path, Path, Settings]:
        """Fit mappings from voxels to the conditions of a generator.

        Args:
            data: NSD's folder, BData, MinD-Vis archives, a BIDS series of sounds, or a file of your own.
            out: The run folder to make or to resume.
            recipe: Complete settings by name; every other flag overrides one of them.
        """
        return data, out, replace(base, recipe=recipe, machine=machine, fit=fit)

    from decode.fit import fit as run_fit

    data, out, settings = parse(fit, command="fit", words=words, hints=recipes_own(words, "machine", "fit"))
    check_device(settings.machine.device)
    print(run_fit(data, out, settings))
