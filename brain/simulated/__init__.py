"""A brain with a known answer: scenes and sounds, a cortex for each, and the files of real data sets."""
