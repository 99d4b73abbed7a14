"""What decoding methods of sounds share: the row of the best of several samples, and what is left of decoded CLAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brain.console.bounds import within
from decode.methods._parts.generated import Generated
from decode.methods._parts.reranking import RERANKED, check_reranking, reranked, write_generated
from decode.run.folder import RunFolder
from decode.run.settings import Settings
from evaluation.samples.rows import RowCard

CARD = RowCard(
    name=RERANKED,
    title="Reranked",
    description="several decodes, kept the one that makes the measured responses likeliest",
    order=30,
)


@dataclass(frozen=True, kw_only=True)
class Reranks:
    """What the row of the best of several samples reads."""

    candidates: int = 8
    """Samples of which row reranked keeps the best."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # the sampling beside it
        within("--candidates", self.candidates, 1)


@dataclass(frozen=True, kw_only=True)
class SoundMethod(Generated):
    """A method of sounds by a generator's name, with the row reranked."""

    def check(self, settings: Settings, own: Any) -> None:
        """As of every generator, and refuses re-ranking without decoded CLAP."""
        super().check(settings, own)
        check_reranking(settings)

    def finish(self, run: RunFolder, settings: Settings) -> None:
        """Encodes what was drawn, for what the generator loses."""
        write_generated(run, settings)


def sound_method(*, row: RowCard, **facts: Any) -> SoundMethod:
    """The method with its own row, and the row reranked."""
    return SoundMethod(rows=(row, CARD), drawn={RERANKED: reranked}, **facts)
