"""The judge alone: `python -m evaluation FOLDER [--references DIR] [--profile NAME]` prints the ladder and its page.

Exit codes: 0 done, 2 usage, 3 bad input, 4 no room (disk or memory) or no rights, 5 the judge's weights are absent,
129, 130, 143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from brain.commands import command, readable


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges a folder, prints the table and, as the last line, the path of the page; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return command("evaluation", lambda: _run(words))


def _run(words: list[str]) -> None:
    readable(words)
    asked = _parser().parse_args(words)
    from evaluation.report import Judging, evaluate

    how = Judging(
        judge=asked.judge, profile=asked.profile, seed=asked.seed, bootstrap=asked.bootstrap,
        permutations=asked.permutations, train=asked.train,
    )  # fmt: skip
    if asked.audit:
        from evaluation.audit import audit

        print(audit(asked.folder, judge=asked.judge, references=asked.references, train=asked.train))
        return
    report = evaluate(asked.folder, how=how, references=asked.references, out=asked.out, exported=asked.export)
    if asked.export:
        from evaluation.export import export

        for path in export(report):
            print(path.resolve())
    for sentence in report.said():
        print(sentence)
    print(report.table())
    if lacking := report.lacking():
        print(lacking)
    print(report.page.resolve())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description="Judge a run or any folder of pictures or sounds."
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="a run, a samples folder, or a folder of images or sounds"
    )
    parser.add_argument(
        "--references", type=Path, metavar="DIR", help="what was seen or heard: one file a stimulus, by its id"
    )
    parser.add_argument("--train", type=Path, metavar="DIR", help="what was trained on: looked through for leaks")
    parser.add_argument("--profile", default="clean", help="clean, or paper-... for the metrics of a paper (clean)")
    parser.add_argument("--export", action="store_true", help="also RDMs and a blinded test with people")
    parser.add_argument("--audit", action="store_true", help="compute every number again and compare with the report")
    parser.add_argument("--judge", default="", help="a judge's name or a classifier's folder (the bundled miniature)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes (FOLDER/report)")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples and permutations (0)")
    parser.add_argument("--bootstrap", type=int, default=2000, help="resamples for the intervals (2000)")
    parser.add_argument("--permutations", type=int, default=1000, help="permutations for the p-values (1000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
