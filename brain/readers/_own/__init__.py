"""Parts of the reader of data of one's own, `brain.readers.arrays`."""
