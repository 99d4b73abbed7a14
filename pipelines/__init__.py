"""From a condition to a picture: stacks of pretrained components, a sampler with hooks, and generators over both."""

import os

# diffusers reads this once, when it is first imported: no repository may bring code of its own.
os.environ.setdefault("DIFFUSERS_DISABLE_REMOTE_CODE", "1")
