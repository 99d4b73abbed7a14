"""From samples to scores: judging, folds, conditions, curves, sets."""
