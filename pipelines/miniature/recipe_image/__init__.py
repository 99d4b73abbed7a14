"""The recipe of the miniature image stack: every network from nothing, on scenes nobody will be tested on."""
