"""`afterimage audit RUN`: every number of a report computed again from the files it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse


def run(words: Sequence[str]) -> None:
    """Audits and prints one sentence; a difference ends with exit code 3."""

    def audit(
        folder: Positional[Path], *, judge: str = "", references: Path | None = None
    ) -> tuple[Path, str, Path | None]:
        """Compute every number of a report again from its files and fail on any difference.

        Args:
            folder: A run, or any folder that was evaluated.
            judge: The judge's folder, where the report's judge was one.
            references: What was shown, where the folder does not hold it.
        """
        return folder, judge, references

    folder, judge, references = parse(audit, command="audit", words=words)
    from evaluation.audit import audit as audit_folder

    print(audit_folder(folder, judge=judge, references=references))
