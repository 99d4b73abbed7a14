"""`afterimage study DATA --recipe NAME --out RUN`: fit, decode and evaluate in one go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import named, parse, recipes_own
from brain.devices import check_device
from decode.recipes import CATALOGUE, DEFAULT
from decode.settings import DecodeSettings, EvaluateSettings, FitSettings, MachineSettings, Settings


def run(words: Sequence[str]) -> None:
    """Runs or resumes the study and prints the path of its report, last."""
    recipe = CATALOGUE[named("--recipe", words, DEFAULT)].settings()

    def study(
        data: Positional[Path],
        *,
        out: Path,
        recipe: str = recipe.recipe,
        machine: MachineSettings = recipe.machine,
        fit: FitSettings = recipe.fit,
        decode: DecodeSettings = recipe.decode,
        evaluate: EvaluateSettings = recipe.evaluate,
    ) -> tuple[Path, Path, Settings]:
        """Fit, decode and evaluate in one go; a second call skips what is done.

        Args:
            data: NSD's folder, BData, MinD-Vis archives, a BIDS series of sounds, or a file of your own.
            out: The run folder to make or to resume.
            recipe: Complete settings by name; every other flag overrides one of them.
        """
        settings = Settings(recipe=recipe, machine=machine, fit=fit, decode=decode, evaluate=evaluate)
        return data, out, settings

    from decode.study import study as run_study

    hints = recipes_own(words, "machine", "fit", "decode", "evaluate")
    data, out, settings = parse(study, command="study", words=words, hints=hints)
    check_device(settings.machine.device)
    print(run_study(data, out, settings))
