"""The recipe of the miniature sound stack: every network from nothing, on sounds nobody will be tested on.

    accelerate launch -m pipelines.miniature.recipe_sound --work runs/miniature-sound            all stages, then export
    accelerate launch -m pipelines.miniature.recipe_sound --work runs/miniature-sound --stage clap
    torchrun --standalone --nproc_per_node 2 -m pipelines.miniature.recipe_sound --work runs/miniature-sound

The last form is what really runs two processes without a graphics card (`accelerate launch --cpu` runs one).
Stages: auditory, judge, autoencoder, clap, teacher, text (independent of each other), language (after the last three),
unet (after autoencoder and language), decoder and vocoder (after autoencoder), export. Each resumes from where it was.
`--scale 0.001` runs a few steps of each, to try it out.
"""

from __future__ import annotations

import sys

from pipelines.miniature.recipe import run
from pipelines.miniature.recipe_sound.export import export
from pipelines.miniature.recipe_sound.recipe import SoundRecipe
from pipelines.miniature.recipe_sound.train import TRAINERS

if __name__ == "__main__":
    sys.exit(run(SoundRecipe, TRAINERS, export=export, description=__doc__))
