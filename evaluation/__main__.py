"""The judge alone: `python -m evaluation FOLDER [--references DIR] [--profile NAME]` prints the ladder and its page.

Exit codes: 0 done, 2 usage, 3 bad input, 4 no room (disk or memory) or no rights, 5 the judge's weights are absent,
129, 130, 143 stopped by a signal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain.console.commands import command, readable
from brain.console.flags import parse
from evaluation.facts import judged_like


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What can be asked of the judge."""

    references: Path | None = None
    """What was seen or heard: a folder with one file a stimulus, named by its id."""
    train: Path | None = None
    """A folder of what was trained on: looked through for leaks."""
    profile: str = "clean"
    """Which metrics: clean, or paper-... for the metrics of a paper."""
    export: bool = False
    """Also RDMs and a blinded test with people."""
    audit: bool = False
    """Compute every number again and compare with the report."""
    judge: str = ""
    """A judge's name or a classifier's folder; empty takes the bundled miniature."""
    out: Path | None = None
    """Where the report goes; FOLDER/report if not said."""
    seed: int = 0
    """Of the resamples and permutations."""
    bootstrap: int = 2000
    """Resamples for the intervals."""
    permutations: int = 1000
    """Permutations for the p-values."""


USUAL = Asked()


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges a folder, prints the table and, as the last line, the path of the page; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return command("evaluation", lambda: _run(words))


def _run(words: list[str]) -> None:
    beside = next((Path(word) for word in words if (Path(word) / "card.json").is_file()), None)
    usual = USUAL if beside is None else replace(USUAL, **judged_like(beside))

    def asked(folder: Path, /, *, how: Asked = usual) -> tuple[Path, Asked]:
        """Judge a run or any folder of pictures or sounds.

        Args:
            folder: A run, a samples folder, or a folder of images or sounds.
            how: What to judge by.
        """
        return folder, how

    readable(words)
    folder, how = parse(asked, program="python -m evaluation", words=words)
    from evaluation.report.evaluate import Judging, evaluate
    from evaluation.report.pages.page import answer

    judging = Judging(
        judge=how.judge, profile=how.profile, seed=how.seed, bootstrap=how.bootstrap, permutations=how.permutations,
        train=how.train,
    )  # fmt: skip
    if how.audit:
        from evaluation.report.audit import audit

        print(audit(folder, judge=how.judge, references=how.references, train=how.train))
        return
    report = evaluate(folder, how=judging, references=how.references, out=how.out, exported=how.export)
    if how.export:
        from evaluation.export.write import export

        for path in export(report):
            print(path.resolve())
    for sentence in (*answer(report), *report.stated(), *report.said(), *report.noted()):
        print(sentence)
    print(report.table())
    if lacking := report.lacking():
        print(lacking)
    print(report.page.resolve())


if __name__ == "__main__":
    sys.exit(main())
