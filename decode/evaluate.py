"""Evaluate: RUN/samples become RUN/report, unless the report of these very samples is there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from brain.arithmetic import arithmetic
from decode.run_folder import RunFolder
from decode.settings import EvaluateSettings, MachineSettings, Settings, to_json
from evaluation.samples import INDEX


def evaluate_run(out: Path, settings: Settings, data: Path) -> Path:
    """Judges the run in `out` as `settings` say and returns the path of the page."""
    from evaluation.judges import judge_of
    from evaluation.profiles import find_profile

    run = RunFolder(out)
    modality = run.card_facts().get("data", {}).get("modality", "image")
    # a misspelt name is said before the run's settings take it in
    find_profile(settings.evaluate.profile, modality)
    judging = judge_of(settings.evaluate.judge, modality)
    with run.lock():
        run.claim(settings, data, ("machine", "evaluate"))
        if settings.evaluate.curves:
            from decode.curves import draw_curves

            draw_curves(run, settings, data, stimuli=settings.evaluate.curve_stimuli)
        asked = {"settings": to_json(settings.evaluate), "samples": _digest(run)}
        page = run.report / "report.html"
        if _asked(run) == asked and page.is_file():
            return page
        from decode.brain_encoder import write_encoder

        bench = judging.open()
        if lacking := write_encoder(run, settings, data, bench):
            print(lacking)
        page = judge(out, settings.evaluate, seed=settings.machine.seed)
        # a report is written whole, by what computes now
        run.add_to_card({"evaluate": {**asked, "arithmetic": arithmetic()}})
        return page


def _asked(run: RunFolder) -> dict[str, object]:
    """What the report that stands was asked for."""
    facts = run.card_facts().get("evaluate", {})
    return {name: one for name, one in facts.items() if name != "arithmetic"}


def judge(
    folder: Path,
    how: EvaluateSettings,
    *,
    seed: int = MachineSettings().seed,
    references: Path | None = None,
    train: Path | None = None,
    out: Path | None = None,
) -> Path:
    """Judges any folder of pictures, prints the ladder, and returns the path of the page."""
    from evaluation.report import Judging, evaluate

    judging = Judging(
        judge=how.judge, profile=how.profile, seed=seed, bootstrap=how.bootstrap, permutations=how.permutations,
        train=train,
    )  # fmt: skip
    report = evaluate(folder, how=judging, references=references, out=out)
    print(report.table())
    if lacking := report.lacking():
        print(lacking)
    if how.export:
        from evaluation.export import export

        for path in export(report):
            print(path)
    return report.page


def _digest(run: RunFolder) -> str:
    """The digest of every sample's line, curves' too."""
    found = hashlib.sha256()
    for index in (run.samples / INDEX, run.path / "curves" / "samples" / INDEX):
        found.update(index.read_bytes() if index.is_file() else b"none")
    return found.hexdigest()
