"""The judge alone: `python -m evaluation FOLDER [--references DIR] [--judge NAME]` prints the ladder and its page.

Exit codes: 0 done, 2 usage, 3 bad input, 4 no room or no rights on disk, 5 the judge's weights are absent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from brain.errors import AfterimageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges a folder, prints the table and, as the last line, the path of the page; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        from evaluation.report import evaluate

        report = evaluate(
            asked.folder,
            references=asked.references,
            judge=asked.judge,
            seed=asked.seed,
            bootstrap=asked.bootstrap,
            permutations=asked.permutations,
            out=asked.out,
        )
    except AfterimageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(report.table())
    for sentence in report.absent:
        print(f"not computed: {sentence}")
    print(report.page.resolve())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description="Judge a run or any folder of images.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a run, a samples folder, or a folder of images")
    parser.add_argument("--references", type=Path, metavar="DIR", help="what was seen: one image a stimulus, by its id")
    parser.add_argument("--judge", default="miniature", help="miniature, pixels, or the folder of an image classifier")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes (FOLDER/report)")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples and permutations (0)")
    parser.add_argument("--bootstrap", type=int, default=2000, help="resamples for the intervals (2000)")
    parser.add_argument("--permutations", type=int, default=1000, help="permutations for the p-values (1000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
