"""The recipe of the miniature image stack: every network from nothing, on scenes nobody will be tested on.

    accelerate launch -m pipelines.miniature.recipe_image --work runs/miniature             all stages, then export
    accelerate launch -m pipelines.miniature.recipe_image --work runs/miniature --stage clip
    torchrun --standalone --nproc_per_node 2 -m pipelines.miniature.recipe_image --work runs/miniature

The last form is what really runs two processes without a graphics card (`accelerate launch --cpu` runs one).
Stages: cortex, judge, eye, autoencoder, clip (independent of each other), text (after clip), tiny and decoder (after
autoencoder), unet (after autoencoder and text), export. Each resumes from its own checkpoint. `--scale 0.001` runs a
few steps of each, to try it out.
"""

from __future__ import annotations

import sys

from pipelines.miniature.recipe import run
from pipelines.miniature.recipe_image.export import export
from pipelines.miniature.recipe_image.recipe import ImageRecipe
from pipelines.miniature.recipe_image.train import TRAINERS

if __name__ == "__main__":
    sys.exit(run(ImageRecipe, TRAINERS, export=export, description=__doc__))
