"""The tabs of the demo, a file each: `build(gr, ..., house)` lays out its components and says what they call."""
