"""The ground floor: responses, stimuli, splits and regions; the readers of data sets; the simulated brain."""

import os

# MKL, which multiplies torch's matrices, gives a row the same bits in any place of a batch only if it is told to, and
# it asks once, at its first product; measured: no slower but for the smallest products
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
# OpenBLAS, which multiplies numpy's, keeps its threads turning for a tenth of a second after every product; measured:
# a fifth less processor time, and no more of the clock's, if they sleep after 2^16 turns. No bit depends on it
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")
