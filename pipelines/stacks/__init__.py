"""Stacks: the table of pretrained checkpoints, where each is found, how it is fetched, and what loads of it."""
