"""`afterimage audit RUN`: every number of a report computed again from the files it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse


def run(words: Sequence[str]) -> None:
    """Audits and prints one sentence; a difference ends with exit code 3."""

    def audit(
        folder: Positional[Path], *, judge: str = "", references: Path | None = None, train: Path | None = None
    ) -> tuple[Path, str, Path | None, Path | None]:
        """Compute every number of a report again from its files and fail on any difference.

        Args:
            folder: A run, or any folder that was evaluated.
            judge: The judge's folder, where the report's judge was one.
            references: What was shown, where the folder does not hold it.
            train: The pictures that were trained on, where the report was made with them.
        """
        return folder, judge, references, train

    folder, judge, references, train = parse(audit, command="audit", words=words)
    from evaluation.report.audit import audit as audit_folder

    print(audit_folder(folder, judge=judge, references=references, train=train))
