"""A mutation fuzzer over everything that the product reads: `make fuzz KIND=own-h5 COUNT=300 SEED=1`."""
