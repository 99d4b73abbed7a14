"""A method that nobody knows: four blocks of the predicted colours, tinted by a knob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from brain.console.bounds import within
from brain.types import Float, Recording, Split
from decode.methods import Decoder, Kept, Plain, RowTask, read_from
from decode.run.folder import RunFolder
from decode.run.settings import Settings
from decode.run.showing import Pictures
from encoders.conditions import Conditions
from encoders.storage import read_json, write_json
from evaluation.samples.rows import RowCard
from pipelines.drawing import Drawn, Watch

SPACE, NAME = "toy-colours", "toy-blocks"


@dataclass(frozen=True, kw_only=True)
class BlocksSettings:
    """What it reads."""

    tint: float = 0.0
    """How much is added to each colour, from 0 to 1."""

    def __post_init__(self) -> None:
        within("--tint", self.tint, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Blocks(Plain):
    """The method."""

    needs: tuple[str, ...] = (SPACE,)
    takes: tuple[str, ...] = ()

    def check(self, settings: Settings, own: BlocksSettings) -> None:
        read_from(settings.maps, self.needs)

    def learn(
        self, run: RunFolder, recording: Recording, fold: Split, settings: Settings, own: BlocksSettings
    ) -> dict[str, Any]:
        path = run.learned(NAME) / "card.json"
        if not path.is_file():
            write_json(path, {"trained on": len(fold.train)})
        return {str(path.relative_to(run.path)): read_json(path, kind="toy")}

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> int:
        return int(read_json(run.learned(NAME) / "card.json", kind="toy")["trained on"])

    def decoder(self, opened: int, settings: Settings, own: BlocksSettings, *, seconds: float) -> Decoder:
        def draw(
            conditions: Mapping[str, Conditions],
            ids: Sequence[str],
            seeds: Sequence[int],
            *,
            watch: Watch | None = None,
        ) -> Iterator[Drawn]:
            values = conditions[SPACE]
            for name, seed, row in zip(ids, seeds, values.rows(ids), strict=True):
                yield Drawn(id=name, seed=seed, image=blocks(values.values[row] + own.tint), withheld=False)

        return Decoder(
            method=self.name, show=Pictures(size=(16, 16)), draw=draw, prior=None, round_trip=None,
            facts={"generator": self.name, "trained on": opened, "tint": own.tint},
            maps=read_from(settings.maps, self.needs),
        )  # fmt: skip


def blocks(colours: Float) -> Image.Image:
    """(quarter, colour) from 0 to 1 as a picture."""
    small = (np.clip(colours, 0, 1) * 255).round().astype(np.uint8).reshape(2, 2, 3)
    return Image.fromarray(small).resize((16, 16), Image.Resampling.NEAREST)


def inverted(task: RowTask) -> Iterator[Kept]:
    """What was decoded, its colours turned around."""
    names = [name for name, _ in task.asked]
    drawn = task.decoder.draw(task.decoder.conditions(task.ladder, "decoded", names), names, [0] * len(names))
    for one, (_, index) in zip(drawn, task.asked, strict=True):
        assert one.image is not None
        image = ImageOps.invert(one.image)
        yield Kept(drawn=Drawn(id=one.id, seed=0, image=image, withheld=False), index=index)


ENTRIES = (
    Blocks(
        name=NAME,
        title="Colour blocks",
        description="four blocks of the predicted colours",
        settings=BlocksSettings(),
        stack=False,
        lacks={"prior": "it draws nothing without a condition", "round_trip": "it has no autoencoder"},
        drawn={"toy_inverted": inverted},
        rows=(
            RowCard(name="toy_blocks", title="Blocks beside", description="the same by blocks", order=21),
            RowCard(name="toy_inverted", title="Blocks inverted", description="the decoded colours turned around",
                    order=22),
        ),
    ),
)  # fmt: skip
