"""The recipe of the miniature sound stack: every network from nothing, on sounds nobody will be tested on."""
