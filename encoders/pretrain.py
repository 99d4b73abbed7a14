"""Pretrain a brain encoder by masked brain modelling on the training trials of one subject or many.

    accelerate launch -m encoders.pretrain data/simulated --out runs/masked
    accelerate launch -m encoders.pretrain data/simulated --out runs/masked --subjects subj01 subj02 --steps 4000
    accelerate launch -m encoders.pretrain data/Kamitani/npz --out runs/masked --also data/HCP/npz
    torchrun --standalone --nproc_per_node 2 -m encoders.pretrain data/simulated --out runs/masked

The last form is what really runs two processes without a graphics card. Losses go to OUT/log.jsonl and, where it is
installed, TensorBoard's OUT/tensorboard; the weights with the least loss on the held-out trials are
OUT/encoder.safetensors. The same command again goes on from the last checkpoint, to the same bits on a processor.
`encoders.masked.pretraining` does the work: this module imports nothing heavy, so that it answers, and can be stopped,
at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from brain.console.commands import command, readable
from brain.console.flags import parse
from encoders.settings import PretrainSettings


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    return command("pretrain", lambda: _run(given), resumes=True)


def _run(words: list[str]) -> None:
    def asked(data: Path, /, *, out: Path, settings: PretrainSettings = WHOLE) -> tuple[Path, Path, PretrainSettings]:
        """Pretrain a brain encoder by masked brain modelling.

        Args:
            data: The data: a folder in NSD's layout, or a file in the own-data format.
            out: The folder of the encoder, its checkpoints and logs.
            settings: What to pretrain on and how.
        """
        return data, out, settings

    readable(words)
    data, out, settings = parse(asked, program="python -m encoders.pretrain", words=words)
    from encoders.masked.pretraining import FAMILY, pretrain
    from encoders.storage import read_json

    weights = pretrain(data, out, settings)
    done = read_json(weights.with_name("card.json"), kind=FAMILY)["done"]
    print(f"{done['step']} steps, {done['samples']} samples, least validation loss {done['best']:.4g}")
    print(weights)


WHOLE = PretrainSettings()

if __name__ == "__main__":
    sys.exit(main())
