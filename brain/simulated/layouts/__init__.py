"""Data sets on disk as laboratories lay them out, and tiny ones for tests."""
