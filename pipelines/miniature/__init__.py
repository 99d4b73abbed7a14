"""The bundled miniature stacks and the recipes that trained them.

`accelerate launch -m pipelines.miniature.recipe_image` for pictures, `-m pipelines.miniature.recipe_sound` for sounds.
"""
