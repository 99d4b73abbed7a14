"""The stages of a study: fit, draw, judge; and synthesis, simulation."""
