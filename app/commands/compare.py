"""`afterimage compare RUN RUN ...`: evaluated runs side by side on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse


def run(words: Sequence[str]) -> None:
    """Compares and prints the path of the page, last."""

    def compare(
        runs: Positional[tuple[Path, ...]] = (), *, out: Path = Path("compare.html")
    ) -> tuple[tuple[Path, ...], Path]:
        """Evaluated runs side by side: numbers, differences paired by stimulus, settings; one self-contained page.

        Args:
            runs: Two or more runs, or folders that were evaluated; each is compared with the first.
            out: The page to write; an earlier page of this command is written over, and no other file.
        """
        return runs, out

    runs, out = parse(compare, command="compare", words=words)
    from evaluation.report.compare import compare as compare_runs

    print(compare_runs(runs, out=out))
