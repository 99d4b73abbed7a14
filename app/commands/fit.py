"""`afterimage fit DATA --recipe NAME --out RUN`: mappings from voxels to the conditions of a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from app.flags import SEVERAL, given_once, knobs, parse, recipe_settings, recipes_own, typed, with_knobs
from brain.machine.devices import check_device
from decode.run.settings import DataSettings, MachineSettings, MapSettings, Settings


def run(words: Sequence[str]) -> None:
    """Fits, or finds it done."""
    given_once(words, SEVERAL)
    base = recipe_settings(words)
    penalties = knobs("mappings", base.mappings, stages=("fit",), title=f"Mapping {base.maps.mapping}.")
    title = f"What decoding method {', '.join(base.methods)} learns."
    learned = knobs("methods", base.methods, stages=("fit",), title=title, beside=penalties)

    def fit(
        data: Positional[Path],
        *,
        out: Path,
        recipe: str = base.recipe,
        machine: MachineSettings = base.machine,
        recorded: DataSettings = base.data,
        maps: MapSettings = base.maps,
        mapping: Any = penalties,
        method: Any = learned,
    ) -> tuple[Path, Path, Settings]:
        """Fit mappings from voxels to the conditions of a generator.

        Args:
            data: A data set that `afterimage inspect` knows, or a file of your own.
            out: The run folder to make or to resume.
            recipe: Settings by name; every other flag overrides one of them.
        """
        settings = replace(
            base, recipe=recipe, machine=machine, data=recorded, maps=maps,
            mappings=with_knobs(base.mappings, mapping), methods=with_knobs(base.methods, method),
        )  # fmt: skip
        return data, out, settings

    asked = typed(fit, mapping=penalties, method=learned)
    data, out, settings = parse(asked, command="fit", words=words, hints=recipes_own(words))
    check_device(settings.machine.device)
    from decode.stages.fit.fit import fit as run_fit

    print(run_fit(data, out, settings))
