"""`afterimage study DATA --recipe NAME --out RUN`: fit, decode and evaluate in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from app.flags import SEVERAL, given_once, knobs, parse, recipe_settings, recipes_own, typed, with_knobs
from brain.machine.devices import check_device
from decode.run.settings import (
    DataSettings,
    EvaluationSettings,
    MachineSettings,
    MapSettings,
    SamplingSettings,
    Settings,
)


def run(words: Sequence[str]) -> None:
    """Runs or resumes the study and prints the path of its report, last."""
    given_once(words, SEVERAL)
    base = recipe_settings(words)
    penalties = knobs("mappings", base.mappings, stages=("fit",), title=f"Mapping {base.maps.mapping}.")
    title = f"Decoding method {', '.join(base.methods)}."
    drawn = knobs("methods", base.methods, stages=("fit", "decode"), title=title, beside=penalties)

    def study(
        data: Positional[Path],
        *,
        out: Path,
        recipe: str = base.recipe,
        machine: MachineSettings = base.machine,
        recorded: DataSettings = base.data,
        maps: MapSettings = base.maps,
        mapping: Any = penalties,
        sampling: SamplingSettings = base.sampling,
        method: Any = drawn,
        evaluation: EvaluationSettings = base.evaluation,
    ) -> tuple[Path, Path, Settings]:
        """Fit, decode and evaluate in one go; a second call skips what is done.

        Args:
            data: A data set that `afterimage inspect` knows, or a file of your own.
            out: The run folder to make or to resume.
            recipe: Settings by name; every other flag overrides one of them.
        """
        settings = replace(
            base, recipe=recipe, machine=machine, data=recorded, maps=maps, sampling=sampling, evaluation=evaluation,
            mappings=with_knobs(base.mappings, mapping), methods=with_knobs(base.methods, method),
        )  # fmt: skip
        return data, out, settings

    asked = typed(study, mapping=penalties, method=drawn)
    data, out, settings = parse(asked, command="study", words=words, hints=recipes_own(words))
    check_device(settings.machine.device)
    from decode.stages.study import study as run_study

    print(run_study(data, out, settings))
