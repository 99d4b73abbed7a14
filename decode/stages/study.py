"""Study: fit, decode and evaluate in one go; each stage skips what is done and says when it begins."""

from __future__ import annotations

from pathlib import Path

from brain.errors import together
from brain.writing.places import only_files
from decode.run.folder import RunFolder
from decode.run.patterns import opened_once
from decode.run.settings import Settings
from decode.stages.draw.draw import check_drawing, check_rows, decode
from decode.stages.fit.fit import STAGES, check, fit
from decode.stages.judge.judge import check_judging, check_names, evaluate_run


def study(data: Path, out: Path, settings: Settings) -> Path:
    """Runs or resumes all three stages in the run folder `out` and returns the path of the report's page.

    Settings of all stages are checked before the first of them, and what is wrong with them is said in one error: by
    their names first, then against the data's names, and last what takes opening a stack or a judge.
    """
    only_files(out)
    together([
        lambda: check(settings),
        lambda: check_rows(settings),
        lambda: check_drawing(settings),
        lambda: check_names(RunFolder(out), settings),
    ])  # fmt: skip
    with opened_once():
        _begin(1, "fit")
        print(fit(data, out, settings, stages=STAGES, later=[lambda: check_judging(RunFolder(out), settings)]))
        _begin(2, "decode")
        print(decode(out, settings, data))
        _begin(3, "evaluate")
        return evaluate_run(out, settings, data)


def _begin(number: int, stage: str) -> None:
    print(f"stage {number} of 3: {stage}", flush=True)
