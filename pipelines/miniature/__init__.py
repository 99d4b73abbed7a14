"""The bundled miniature stacks and the recipe that trained them (`accelerate launch -m pipelines.miniature.train`)."""
