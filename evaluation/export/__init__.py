"""Exports: what other programs and other people can judge by themselves."""
