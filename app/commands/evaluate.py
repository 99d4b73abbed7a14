"""`afterimage evaluate RUN_OR_FOLDER`: score pictures against what was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse, runs_own
from brain.machine.devices import check_device
from decode.run.folder import RunFolder
from decode.run.settings import EvaluationSettings, MachineSettings, Settings
from evaluation.facts import judged_like


def run(words: Sequence[str]) -> None:
    """Judges and prints the path of the page, last."""
    home = next((Path(word) for word in words if (Path(word) / "settings.json").is_file()), None)
    stored, data = (Settings(recipe=""), Path()) if home is None else RunFolder(home).stored()
    beside = next((Path(word) for word in words if (Path(word) / "card.json").is_file()), None)
    if home is None and beside is not None:
        # what was drawn beside a run is judged as the run is
        stored = replace(stored, evaluation=replace(stored.evaluation, **judged_like(beside)))

    def evaluate(
        folder: Positional[Path],
        *,
        references: Path | None = None,
        train: Path | None = None,
        out: Path | None = None,
        data: Path = data,
        device: str = stored.machine.device,
        batch: int = stored.machine.batch,
        evaluation: EvaluationSettings = stored.evaluation,
    ) -> tuple[Path, Path | None, Path | None, Path | None, Path, MachineSettings, EvaluationSettings]:
        """Score pictures or sounds against what was shown, with chance, intervals and p; JSON, CSV and one HTML page.

        Args:
            folder: A run, or any folder of pictures or sounds named by stimulus.
            references: What was shown, one image or sound a stimulus, where the folder does not hold it.
            train: The pictures that were trained on, to look for leaks where no run says it.
            out: Where the report goes; RUN/report if not said.
            data: The data of a run, if they have moved since the fit.
            device: Where the pictures of curves are drawn: cpu, cuda, cuda:1, mps.
            batch: How many of them are drawn side by side; 0 is what keeps the device busy.
        """
        machine = replace(stored.machine, device=device, batch=batch)
        return folder, references, train, out, data, machine, evaluation

    folder, references, train, out, data, machine, how = parse(
        evaluate, command="evaluate", words=words, hints=runs_own(stored, EvaluationSettings, others=True)
    )
    check_device(machine.device)
    from decode.stages.judge.judge import evaluate_run, judge

    if folder == home and references is None and train is None and out is None:
        print(evaluate_run(folder, replace(stored, machine=machine, evaluation=how), data))
        return
    print(judge(folder, how, references=references, train=train, out=out))
