"""Sampling: the denoising loop with hooks, guidance towards an objective, micro-batches of fixed width."""
