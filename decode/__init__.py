"""A study, stage by stage: settings and recipes, fit, decode, evaluate, and the run folder that carries them."""
