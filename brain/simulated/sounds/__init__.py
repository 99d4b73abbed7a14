"""Sounds: what is heard, and how each kind is synthesized."""
