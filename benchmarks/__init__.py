"""Benchmarks: ratios against peers measured in one run, never a test. `make bench` runs them."""
