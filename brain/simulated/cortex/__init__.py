"""The cortex that watches and the one that listens, with the networks inside them."""
