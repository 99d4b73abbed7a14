"""The bundled miniature stacks and the recipes that trained them: `accelerate launch -m pipelines.miniature.train` for
pictures, `-m pipelines.miniature.sound_train` for sounds."""
