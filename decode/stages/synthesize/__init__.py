"""Synthesize: pictures that drive a region of the fitted brain."""
