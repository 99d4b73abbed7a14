"""Fine-tune a text-conditioned stack on one subject by double conditioning (Chen et al. 2023, MinD-Vis).

    accelerate launch -m pipelines.finetune data/simulated --out runs/mindvis --encoder runs/masked/encoder.safetensors
    accelerate launch -m pipelines.finetune data/simulated --out runs/cross --paths cross --steps 2000
    torchrun --standalone --nproc_per_node 2 -m pipelines.finetune data/simulated --out runs/mindvis

It learns from labelled training trials alone. A ridge to what the stack's own encoders say of the pictures is where
the prompter starts (--start silent leaves it out), then all that learns denoises. The state with the least denoising
loss on held-out training stimuli, the start among them, becomes the folder that `BrainConditionedPipeline.from_folder`
opens. The same command again goes on from the last checkpoint, to the same bits on a processor.
`pipelines.conditioning.finetuning` does the work: this module imports nothing heavy, so that it answers and can be
stopped at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from brain.console.commands import command, readable
from brain.console.flags import parse
from pipelines.settings import FinetuneSettings


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    return command("finetune", lambda: _run(given), resumes=True)


def _run(words: list[str]) -> None:
    def asked(data: Path, /, *, out: Path, settings: FinetuneSettings = WHOLE) -> tuple[Path, Path, FinetuneSettings]:
        """Fine-tune a stack on one subject's pictures by double conditioning.

        Args:
            data: The data: a folder in NSD's layout, or a file in the own-data format.
            out: The folder of what is learned, its checkpoints and logs.
            settings: What to fine-tune on what, and how.
        """
        return data, out, settings

    readable(words)
    data, out, settings = parse(asked, program="python -m pipelines.finetune", words=words)
    from encoders.storage import read_json
    from pipelines.conditioning.finetuning import finetune
    from pipelines.conditioning.pipeline import CARD, FAMILY

    folder = finetune(data, out, settings)
    card = read_json(folder / CARD, kind=FAMILY)
    least = min(card["done"]["best"], card["at_start"])
    print(f"{card['done']['step']} steps, least validation loss {least:.4g} ({card['at_start']:.4g} at the start)")
    print(folder)


WHOLE = FinetuneSettings()

if __name__ == "__main__":
    sys.exit(main())
