"""Scenes: what is drawn, by which pen, in which colours."""
