"""Evaluate: RUN/samples become RUN/report, unless the report of these very samples is there."""

from __future__ import annotations

from pathlib import Path

from decode.run_folder import RunFolder
from decode.settings import EvaluateSettings, MachineSettings, Settings, to_json
from evaluation.samples import INDEX


def evaluate_run(out: Path, settings: Settings, data: Path) -> Path:
    """Judges the run in `out` as `settings` say and returns the path of the page."""
    run = RunFolder(out)
    with run.lock():
        run.claim(settings, data, ("machine", "evaluate"))
        asked = {"settings": to_json(settings.evaluate), "samples": _samples_digest(run)}
        page = run.report / "report.html"
        if run.card_facts().get("evaluate") == asked and page.is_file():
            return page
        page = judge(out, settings.evaluate, seed=settings.machine.seed)
        run.add_to_card({"evaluate": asked})
        return page


def judge(
    folder: Path,
    how: EvaluateSettings,
    *,
    seed: int = MachineSettings().seed,
    references: Path | None = None,
    out: Path | None = None,
) -> Path:
    """Judges any folder of pictures, prints the ladder, and returns the path of the page."""
    from evaluation.report import evaluate

    report = evaluate(
        folder,
        references=references,
        judge=how.judge,
        seed=seed,
        bootstrap=how.bootstrap,
        permutations=how.permutations,
        out=out,
    )
    print(report.table())
    for sentence in report.absent:
        print(f"not computed: {sentence}")
    return report.page


def _samples_digest(run: RunFolder) -> str:
    import hashlib

    index = run.samples / INDEX
    return hashlib.sha256(index.read_bytes()).hexdigest() if index.is_file() else ""
