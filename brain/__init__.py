"""The ground floor: responses, stimuli, splits and regions; the readers of data sets; the simulated brain."""

import os

# MKL, which multiplies torch's matrices, gives a row the same bits in any place of a batch only if it is told to, and
# it asks once, at its first product; measured: no slower but for the smallest products
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
